"""Matched-filter star detection with the frame's own PSF, local noise and neighbour subtraction."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from detectors.background import estimate_diffuse_level, remove_stripes
from detectors.frame import StarFrame, StarMethod
from detectors.psf import (
    FWHM_PER_SIGMA,
    USUAL,
    PointSpread,
    find_nearest_pixels,
    find_sharp_star_places,
    mark_first_of_each,
    mask_inside_image,
    measure_width,
    measure_width_of_few,
)
from detectors.scale_space import measure_prominence
from detectors.star_fit import (
    FittedStars,
    StarStamps,
    draw_stars,
    find_long_stars,
    fit_pairs,
    fit_stars,
)
from detectors.star_peaks import (
    NORMAL_QUARTILE,
    TOE_LIGHT,
    Filtered,
    TurningTrails,
    filter_answer,
    filter_frame,
    find_common_trail,
    find_peaks,
    find_turning_trails,
    measure_spots,
    stabilise_noise,
)
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray, StarDetections

WIDTH_SNR = 12.0  # minimum SNR of stars used to measure the width
TWICE_SIGMAS = 1.2  # two fits closer than this are the same star
MIN_FRAGMENTS = 8  # of a streak


@dataclass(frozen=True, kw_only=True)
class Matched(StarMethod):
    """Matched-filter star detector; ``docs/methods/stars.md`` gives the equations.

    The point spread function, including any trail, is measured on the stars of the frame. The
    frame is filtered with it, and each peak is fitted with it after subtraction of neighbours. Hot
    pixels, cosmic rays, ridges and sources with a shape unlike a star are rejected.
    """

    min_snr: float = 4.5  # minimum SNR of a star in the filtered frame
    background_scale_px: float = 64.0  # box size for the estimate of the diffuse light
    max_stars: int = 5000  # number of brightest peaks to measure
    name: ClassVar[str] = "matched"

    def find_in(self, frame: StarFrame) -> StarDetections:
        """See `detectors.frame.StarMethod`."""
        field = StarField.of(frame, self.background_scale_px)
        seen = field.filtered(USUAL)
        spots = measure_spots(seen)
        trail = None
        if spots is not None:
            turning = find_turning_trails(spots, frame.light.shape)
            if turning is not None:
                return self._find_in_cells(field, turning)
            trail = find_common_trail(field.above, spots, field.frame.usable)
        psf = trail or field.width(seen)
        found = field.find_stars(field.filtered(psf), psf, self.min_snr, self.max_stars)
        return field.describe_stars(found, psf, self.min_snr)

    def _find_in_cells(self, field: StarField, turning: TurningTrails) -> StarDetections:
        """Detect stars cell by cell, each with its own trail, if trails vary over the frame.

        Cells are small enough for a trail to change by at most 4 px over one. Each is
        searched with a margin, so that the trails of its stars are complete.
        """
        height, width = field.frame.light.shape
        n_cells = [
            int(np.clip(np.ceil(abs(turning.turn_rad) * side / 4.0), 1, 8))
            for side in (height, width)
        ]
        row_edges, col_edges = (
            np.linspace(0, side, n + 1).astype(int)
            for side, n in zip((height, width), n_cells, strict=True)
        )
        found: list[StarDetections] = []
        for top, bottom in itertools.pairwise(row_edges.tolist()):
            for left, right in itertools.pairwise(col_edges.tolist()):
                trail = turning.trail_px_at(0.5 * (left + right - 1), 0.5 * (top + bottom - 1))
                psf = PointSpread(sigma_px=turning.sigma_px, trail_px=trail)
                around = 2 * psf.half_stamp_px
                y0, x0 = max(0, top - around), max(0, left - around)
                part = field.part(slice(y0, bottom + around), slice(x0, right + around))
                stars = part.describe_stars(
                    part.find_stars(part.filtered(psf), psf, self.min_snr, self.max_stars),
                    psf,
                    self.min_snr,
                )
                stars = replace(stars, x=stars.x + x0, y=stars.y + y0)
                own = (stars.x >= left - 0.5) & (stars.x < right - 0.5)
                own &= (stars.y >= top - 0.5) & (stars.y < bottom - 0.5)
                found.append(stars.select(np.flatnonzero(own)))
        stars = StarDetections.joined(found)
        stars = stars.select(np.argsort(-stars.flux, kind="stable")[: self.max_stars])
        places = np.column_stack([stars.x, stars.y])
        stars = stars.select(mark_first_of_each(places, TWICE_SIGMAS * turning.sigma_px))
        return replace(stars, trail_px=turning.trail_px_at(*turning.middle))


def leave_out_ridges(
    seen: Filtered, psf: PointSpread, row: IndexArray, col: IndexArray
) -> tuple[IndexArray, IndexArray]:
    """Reject peaks on ridges, such as the limb and edges of hardware, by their prominence."""
    if row.size == 0:
        return row, col
    if psf.trail_length_px > 0.0:
        # Keep the strongest peak along each trail; input must be sorted, strongest first
        along = np.array(psf.trail_px) / psf.trail_length_px
        reach = psf.sigma_px + 0.35 * psf.trail_length_px
        places = np.column_stack(
            [
                (col * along[0] + row * along[1]) / reach,
                (row * along[0] - col * along[1]) / (1.5 * psf.sigma_px),
            ]
        )
        keep = mark_first_of_each(places, 1.0)
        return row[keep], col[keep]
    height = seen.response[row, col]
    rise = measure_prominence(seen.response, row, col, 2.0**0.5 * psf.sigma_px)
    keep = rise >= 0.4 * height
    return row[keep], col[keep]


def find_sharp_ones(found: FittedStars, psf: PointSpread, shape: tuple[int, ...]) -> BoolImage:
    """Find hot pixels and cosmic rays: single pixels, pairs of pixels and thin tracks.

    A source is sharp if a pixel or a pair explains the light better than a star and little light
    remains around it, or if it is thinner than the stars of the frame. This includes sources
    widened by demosaicing. `shape`: shape of the frame; stars cut by its border are not tested as
    particle tracks.
    """
    # A single pixel or a pair gains 4.5 in log-likelihood over a star
    better = found.narrow_snr**2 - found.star_snr**2 > 9.0
    better &= found.narrow_snr > 1.1 * found.star_snr
    # 20 % of the pixel's light, over the square root of 23 pixels
    alone = found.around_snr < 2.0 + 0.04 * found.narrow_snr
    short, long = np.sqrt(np.linalg.eigvalsh(found.moments)).T
    thin = (short < 0.6 * psf.sigma_px) & (found.star_snr > 10.0)
    # Fainter sources this thin and elongated differ from a star by 4 sigma of the shape
    faint = (short < 0.45 * psf.sigma_px) & (found.star_snr > 6.0)
    thin |= faint & (short < 0.4 * long)
    thin &= psf.trail_length_px == 0.0  # crossing neighbours make trail widths unreliable
    sharp = (better & alone) | thin
    row, col = find_nearest_pixels(shape, found.x, found.y)
    whole = mask_inside_image(shape, row, col, psf.half_stamp_px).all(axis=(1, 2))
    return np.asarray(sharp | (find_particle_tracks(found, ~sharp, psf) & whole))


def find_bright_neighbours(found: FittedStars) -> IndexArray | None:
    """Find bright stars near each star and of similar brightness, indices of shape (N, K).

    Similar brightness matters because a non-linear response makes bright stars wider or narrower
    than faint ones. None if there are too few bright stars.
    """
    bright = np.flatnonzero(found.settled & (found.star_snr > WIDTH_SNR))
    if bright.size < 8:
        return None
    field = float(np.hypot(np.ptp(found.x[bright]), np.ptp(found.y[bright])))
    # A brightness ratio of e counts as a quarter of the field's diagonal
    brightness = 0.25 * field * np.log(np.maximum(found.star_snr, 1.0))
    places = np.column_stack([found.x, found.y, brightness])
    near = cKDTree(places[bright]).query(places, k=min(bright.size, 25))[1]
    return np.asarray(bright[near], np.intp)


def measure_relative_widths(found: FittedStars, psf: PointSpread) -> FloatArray:
    """Minor and major width of each star relative to the bright stars nearby, shape (N, 2).

    The moments are whitened by the median moments of these stars, which corrects for aberrations
    such as coma. If stars are trails or bright stars are few, the PSF is the reference.
    """
    near = find_bright_neighbours(found) if psf.trail_length_px == 0.0 else None
    if near is None:
        trail = np.array(psf.trail_px)
        usual = psf.sigma_px**2 * np.eye(2)[None] + np.outer(trail, trail) / 12.0
    else:
        usual = np.median(found.moments[near], axis=1)
    values, vectors = np.linalg.eigh(usual)
    undone = vectors * np.maximum(values, 1e-3)[:, None, :] ** -0.5
    seen = np.linalg.eigvalsh(np.swapaxes(undone, 1, 2) @ found.moments @ undone)
    return np.sqrt(np.maximum(seen, 1e-6))


def find_particle_tracks(found: FittedStars, left: BoolImage, psf: PointSpread) -> BoolImage:
    """Find particle tracks (cosmic rays) that demosaicing has widened to a few pixels.

    A track is a bright source thinner than stars in one direction and longer in the other. If many
    bright sources are thinner or smaller than nearby stars of the same brightness, all such sources
    count as tracks. If only a few are, they are probably stars among blended ones.
    `left` (N,): sources not yet rejected as too sharp for a star.
    """
    thin, long = measure_relative_widths(found, psf).T
    noise = 1.0 / np.maximum(found.star_snr, 1e-6)
    trailed = psf.trail_length_px > 0.0
    least_snr = 8.0 if trailed else 20.0
    # 1 in 500 stars behind a colour filter array is this thin and long, 1 in 100 in crowded fields
    track = (thin < 0.85 - 1.7 * noise) & (long > 1.2 * thin)
    track &= found.star_snr > least_snr
    if trailed:
        return np.asarray(track)
    track &= psf.sigma_px > 1.0  # sharper stars have not been demosaiced by interpolation
    near = find_bright_neighbours(found)
    short, size = np.sqrt(np.linalg.eigvalsh(found.moments)).T
    size = np.sqrt(short * size)
    small = np.zeros(len(found), bool)
    # Minor-axis width, and mean of both widths, relative to the bright stars nearby. Particle
    # tracks and hot pixels behind a colour filter array have 0.8 or less; 1 % of simulated stars
    # have less
    for width, least, doubt in ((short, 0.92, 2.9), (size, 0.95, 1.7)):
        limit = least - doubt * noise
        if near is None:
            small |= width < psf.sigma_px * limit
            continue
        usual, scatter = _estimate_usual_width(width, found.star_snr, near)
        # Widths scatter with the position within the pixel, more so for sharp sources. A bright
        # star is not 3 sigma narrower than usual; a fainter source may be a hot pixel nearly as
        # wide as stars
        scatters = np.where(found.star_snr > 60.0, 3.0, 1.0)
        small |= width < np.minimum(usual * limit, usual - scatters * scatter)
    bright = left & found.settled & (found.star_snr > 20.0)
    many = max(3, 0.06 * np.count_nonzero(bright))
    return np.asarray(track | (small & (np.count_nonzero(small & bright) > many)))


def _estimate_usual_width(
    width: FloatArray, snr: FloatArray, near: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Estimate the usual width at the brightness of each star, and the scatter of wider stars.

    With a non-linear response, bright stars are narrower than faint ones. The trend is the line
    through the medians of the fainter and of the brighter half of the nearby stars. Returns shapes
    (N,).

    `width`, `snr` (N,): of all stars. `near` (N, K): bright stars near each star, from
    `find_bright_neighbours`.
    """
    bright = np.log(snr[near])
    order = np.argsort(bright, axis=1)
    bright = np.take_along_axis(bright, order, 1)
    about = np.take_along_axis(width[near], order, 1)
    half = near.shape[1] // 2
    x1, x2 = np.median(bright[:, :half], axis=1), np.median(bright[:, -half:], axis=1)
    y1, y2 = np.median(about[:, :half], axis=1), np.median(about[:, -half:], axis=1)
    # The halves that give the trend differ by half in ln brightness or more
    slope = np.minimum(y2 - y1, 0.0) / np.maximum(x2 - x1, 0.5)
    own = np.log(np.maximum(snr, 1.0))
    rest = about - slope[:, None] * (bright - own[:, None])
    usual, wider = np.quantile(rest, (0.5, 0.75), axis=1)
    return usual, (wider - usual) / NORMAL_QUARTILE


@dataclass(frozen=True)
class StarField:
    """A frame with the large-scale background subtracted, and its noise model."""

    frame: StarFrame
    stable: FloatImage  # variance-stabilised light above the background
    stable_level: FloatImage
    least_noise: float

    @classmethod
    def of(cls, frame: StarFrame, background_scale_px: float) -> StarField:
        """Subtract the background, estimated in boxes of the given size."""
        stable = stabilise_noise(frame.light)
        level = estimate_diffuse_level(
            stable,
            scale_px=background_scale_px,
            mask=frame.ignored if frame.ignored.any() else None,
            # 256 per box: the level is accurate to 0.08 sigma, and each fit has its own
            samples_across=16,
        )
        # Quantisation noise, from the smallest step between some values of the darker pixels
        every = max(1, (frame.ignored.size - np.count_nonzero(frame.ignored)) // 20_000)
        sample = stable.ravel()[::every][~frame.ignored.ravel()[::every]]
        dark = np.unique(sample[sample <= np.median(sample)])
        steps = np.diff(dark)
        step = float(steps.min()) if steps.size else 1.0 / 255.0 / 12.92
        least = max(step / 12.0**0.5, 1e-9)
        above = cv2.subtract(stable, level)
        above[frame.ignored] = 0.0
        noise = max(float(np.median(np.abs(above[::3, ::3]))) / NORMAL_QUARTILE, least)
        flat, defects = remove_stripes(np.asarray(above / np.float32(noise)))
        flat *= np.float32(noise)
        level += above - flat  # row and column patterns belong to the background
        above = flat
        if defects.any():  # hot and dead columns
            frame = replace(frame, ignored=frame.ignored | defects)
        above[frame.ignored] = 0.0
        return cls(frame=frame, stable=np.asarray(above), stable_level=level, least_noise=least)

    def part(self, rows: slice, cols: slice) -> StarField:
        """Cut out a rectangle; positions in it are relative to its corner."""
        return StarField(
            frame=self.frame.part(rows, cols),
            stable=np.ascontiguousarray(self.stable[rows, cols]),
            stable_level=np.ascontiguousarray(self.stable_level[rows, cols]),
            least_noise=self.least_noise,
        )

    def filtered(self, psf: PointSpread) -> Filtered:
        """Apply the matched filter for a point spread function."""
        return filter_frame(
            self.stable,
            psf,
            self.frame.ignored,
            least_noise=self.least_noise,
            black_clipped=self.black_clipped,
        )

    @cached_property
    def black_clipped(self) -> bool:
        """Whether many pixels have the darkest possible value."""
        seen = ~self.frame.ignored
        black = np.count_nonzero((self.frame.light <= self.frame.darkest) & seen)
        return bool(black > 0.05 * np.count_nonzero(seen))

    @cached_property
    def above(self) -> FloatImage:
        """Light above the background."""
        above = np.square(self.stable_level)
        np.subtract(self.frame.light, above, out=above)
        above += TOE_LIGHT
        above[self.frame.ignored] = 0.0
        return above

    def _noise(self, seen: Filtered, row: IndexArray, col: IndexArray) -> FloatArray:
        """Noise (1 sigma) of a pixel in linear light."""
        # The slope is at least that at zero light: levels extrapolated over masked areas may be
        # lower, and a noise of zero would give a single pixel excessive weight
        stable = self.stable_level[row, col].astype(float)
        slope = 2.0 * np.maximum(stable, float(TOE_LIGHT) ** 0.5)
        return seen.noise_at(row, col) / seen.gain * slope

    def width(self, seen: Filtered) -> PointSpread:
        """Measure the point spread function of a frame without trails."""
        row, col = find_peaks(seen, WIDTH_SNR, self.frame.usable)
        noise = self._noise(seen, row, col)
        told = measure_width(self.above, self.frame.usable, row, col, noise)
        if told is None:
            x, y = find_sharp_star_places(self.above, self.frame.usable, row, col)
            x, y = self._with_clipped(x, y)
            noise = self._noise(seen, *find_nearest_pixels(self.above.shape, x, y))
            told = measure_width_of_few(self.above, self.frame.usable, x, y, noise)
        return told or USUAL

    def find_stars(
        self, seen: Filtered, psf: PointSpread, min_snr: float, max_stars: int
    ) -> FittedStars:
        """Fit stars, split blended pairs, and add stars detected after subtraction of the first."""
        row, col = leave_out_ridges(seen, psf, *find_peaks(seen, min_snr, self.frame.usable))
        x, y = self._with_clipped(col[:max_stars].astype(float), row[:max_stars].astype(float))
        stars = self._fit_at(seen, psf, x, y)
        stars = stars.select(~self._lie_on_streaks(stars, psf))
        sharp = find_sharp_ones(stars, psf, self.above.shape)
        keep = (~sharp & stars.settled) | self._are_clipped_stars(stars, psf)
        hot, dropped, stars = stars.select(sharp), stars.select(~keep), stars.select(keep)
        stars = self._split_pairs(seen, psf, stars)
        # Without the stars, and with the background in place of hot pixels
        drawn = draw_stars(self.frame.light.shape, stars.x, stars.y, stars.flux, psf).ravel()
        where = np.flatnonzero(drawn)
        rest = self.stable.copy()
        light = self.frame.light.ravel()[where] - drawn[where]
        rest.ravel()[where] = stabilise_noise(light) - self.stable_level.ravel()[where]
        rest[self._index_around(hot)] = 0.0
        rest[self.frame.ignored] = 0.0
        answer, _ = filter_answer(rest, psf)
        left = replace(seen, response=answer)
        allowed = self.frame.usable.copy()
        if self.frame.clipped.any():
            size = 2 * round(2.0 * psf.fwhm_px) + 1
            clipped = self.frame.clipped.astype(np.uint8)
            allowed &= cv2.dilate(clipped, np.ones((size, size), np.uint8)) == 0
        allowed[self._index_around(hot)] = False
        row, col = leave_out_ridges(left, psf, *find_peaks(left, min_snr, allowed, seen.response))
        room = max(0, max_stars - len(stars))
        if row.size == 0 or room == 0:
            return stars
        more = np.column_stack([col[:room], row[:room]]).astype(float)
        places = np.column_stack([stars.x, stars.y])
        changed = np.concatenate([more, np.column_stack([dropped.x, dropped.y])])
        gap, _ = cKDTree(changed).query(places)
        # Stars within two half stamps of later detections are fitted again
        near = gap < 2.0 * psf.half_stamp_px
        x, y = np.concatenate([places[near], more]).T
        stay = stars.select(~near)
        return FittedStars.joined([stay, self._fit_at(seen, psf, x, y, beside=stay)])

    def _split_pairs(self, seen: Filtered, psf: PointSpread, stars: FittedStars) -> FittedStars:
        """Split blended pairs of stars; trails are not split: their shape does not show pairs."""
        if psf.trail_length_px > 0.0:
            return stars
        # Fainter pairs cannot be resolved
        able = stars.settled & (stars.star_snr > 12.0) & ~self._lie_on_clipped(stars)
        index = np.flatnonzero(able & find_long_stars(stars, psf))
        if index.size == 0:
            return stars
        noise, gain = self._noise_and_gain(seen, stars.x[index], stars.y[index])
        stamps = StarStamps.of(
            self.above, self.frame.usable, stars, index, psf=psf, noise=noise, gain=gain
        )
        return fit_pairs(stars, index, stamps, psf)

    def _fit_at(
        self,
        seen: Filtered,
        psf: PointSpread,
        x: FloatArray,
        y: FloatArray,
        beside: FittedStars | None = None,
    ) -> FittedStars:
        """Fit stars from initial positions; subtract the stars `beside`, which are not refitted."""
        noise, gain = self._noise_and_gain(seen, x, y)
        image = self.above
        if beside is not None:
            image = image - draw_stars(image.shape, beside.x, beside.y, beside.flux, psf)
        return fit_stars(image, self.frame.usable, x, y, psf=psf, noise=noise, gain=gain)

    def _noise_and_gain(
        self, seen: Filtered, x: FloatArray, y: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Noise (1 sigma) of a pixel, and variance per unit of light, at positions."""
        row, col = find_nearest_pixels(self.above.shape, x, y)
        noise = self._noise(seen, row, col)
        level = self.stable_level[row, col].astype(float) ** 2 - float(TOE_LIGHT)
        # Shot noise: variance proportional to the background level. Where black may be clipped, the
        # level is taken to be at least 5 sigma
        level = np.maximum(level, 5.0 * noise)
        level[level == 0.0] = np.inf  # without background and noise, the shot noise is zero too
        return noise, noise**2 / level

    def _index_around(self, hot: FittedStars) -> tuple[IndexArray, IndexArray]:
        """Rows and columns of the 3 x 3 pixels centred on hot pixels."""
        h, w = self.frame.light.shape
        offsets = np.arange(-1, 2)
        row = np.rint(hot.y).astype(np.intp)[:, None, None] + offsets[:, None]
        col = np.rint(hot.x).astype(np.intp)[:, None, None] + offsets
        return np.clip(row, 0, h - 1), np.clip(col, 0, w - 1)

    def _with_clipped(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Replace peaks on clipped areas by one position per area, its centroid."""
        if not self.frame.clipped.any():
            return x, y
        rows, cols = np.nonzero((self.frame.areas.labels > 0) & ~self.frame.ignored)
        labels = self.frame.areas.labels[rows, cols]
        # A clipped channel of a coloured star may be off the star's centre
        light = np.maximum(self.above[rows, cols], np.float32(1e-6))
        total = np.bincount(labels, light)
        some = total > 0.0
        middle_x = np.bincount(labels, light * cols)[some] / total[some]
        middle_y = np.bincount(labels, light * rows)[some] / total[some]
        at = self.frame.areas.labels[np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)] > 0
        return np.append(x[~at], middle_x), np.append(y[~at], middle_y)

    def _lie_on_clipped(self, stars: FittedStars) -> BoolImage:
        """Find stars on clipped areas; their wings give the position, but no shape is known."""
        at = find_nearest_pixels(self.frame.light.shape, stars.x, stars.y)
        return np.asarray(self.frame.areas.labels[at] > 0)

    def _are_clipped_stars(self, stars: FittedStars, psf: PointSpread) -> BoolImage:
        """Find sources on clipped areas that are as wide as other stars."""
        # The flanks of a sharp clipped star constrain its width poorly
        return self._lie_on_clipped(stars) & (measure_relative_widths(stars, psf)[:, 0] > 0.6)

    def _lie_on_streaks(self, stars: FittedStars, psf: PointSpread) -> BoolImage:
        """Find fragments of a continuous streak: in a line, with as much light between them.

        A star superposed on a streak is brighter than the streak, and is kept.
        """
        if len(stars) < MIN_FRAGMENTS:
            return np.zeros(len(stars), bool)
        places = np.column_stack([stars.x, stars.y])
        one, other = cKDTree(places).query_pairs(60.0, output_type="ndarray").T
        apart = np.hypot(*(places[one] - places[other]).T)
        distinct = apart > 2.5 * psf.fwhm_px + psf.trail_length_px
        one, other = one[distinct], other[distinct]
        if one.size == 0:
            return np.zeros(len(stars), bool)
        smooth = cv2.GaussianBlur(self.above, (0, 0), psf.sigma_px)
        share = np.linspace(0.0, 1.0, 24)[:, None]
        x, y = (places[one, axis] * (1.0 - share) + places[other, axis] * share for axis in (0, 1))
        light = smooth[find_nearest_pixels(smooth.shape, x, y)]
        joined = np.quantile(light, 0.25, axis=0) > 0.4 * np.minimum(light[0], light[-1])
        one, other = one[joined], other[joined]
        links = coo_matrix((np.ones(one.size), (one, other)), shape=(len(stars),) * 2)
        chain = connected_components(links, directed=False)[1]
        fragments = np.zeros(len(stars), bool)
        for number in np.flatnonzero(np.bincount(chain) >= MIN_FRAGMENTS):
            members = np.flatnonzero(chain == number)
            while members.size >= MIN_FRAGMENTS:
                offset = places[members] - np.median(places[members], axis=0)
                across = np.abs(offset @ np.linalg.svd(offset, full_matrices=False)[2][1])
                if across.max() < 1.5 + 0.005 * np.ptp(offset):
                    peak = smooth[find_nearest_pixels(smooth.shape, *places[members].T)]
                    fragments[members[peak < 2.5 * np.median(peak)]] = True
                    break
                members = np.delete(members, across.argmax())
        return fragments

    def describe_stars(
        self, found: FittedStars, psf: PointSpread, min_snr: float
    ) -> StarDetections:
        """Select valid stars and make the table with measurements and flags, sorted by flux."""
        h, w = self.above.shape
        inside = (found.x >= 0) & (found.x <= w - 1) & (found.y >= 0) & (found.y <= h - 1)
        found = found.select(inside & (found.flux > 0.0) & (found.star_snr >= min_snr))
        shaped = (
            found.settled & ~find_sharp_ones(found, psf, self.above.shape) & (found.misfit < 4.0)
        )
        found = found.select(shaped | self._are_clipped_stars(found, psf))
        found = found.select(np.argsort(-found.flux, kind="stable"))
        places = np.column_stack([found.x, found.y])
        found = found.select(mark_first_of_each(places, TWICE_SIGMAS * psf.sigma_px))
        found = found.select(~self._lie_on_streaks(found, psf))
        values = np.linalg.eigvalsh(found.moments)
        short, long = np.sqrt(values[:, 0]), np.sqrt(values[:, 1])
        trailed = psf.trail_length_px > 0.0
        size = short if trailed else np.sqrt(short * long)
        return StarDetections(
            x=found.x,
            y=found.y,
            flux=found.flux,
            snr=found.star_snr,
            fwhm_px=FWHM_PER_SIGMA * size,
            ellipticity=1.0 - short / long,
            covariance_px2=found.covariance + 0.01**2 * np.eye(2),
            flags=self.frame.flags(
                found.x,
                found.y,
                np.full(len(found), psf.fwhm_px),
                trail_length_px=psf.trail_length_px,
            ),
            trail_px=psf.trail_px if trailed else None,
        )


DETECTORS = (Matched(),)
