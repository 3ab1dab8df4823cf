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
from scipy.special import ndtr

from detectors import background
from detectors.psf import (
    FWHM_PER_SIGMA,
    HALF_MIDDLE_PX,
    HALF_STAMP_PX,
    MAX_STARS,
    NARROWEST_SIGMA_PX,
    TOE_LIGHT,
    USUAL,
    WIDEST_SIGMA_PX,
    FittedStars,
    PointSpread,
    StarStamps,
    cut_stamps,
    draw_stars,
    find_long_stars,
    find_nearest_pixels,
    find_starlike,
    fit_pairs,
    fit_profile,
    fit_stars,
    mark_first_of_each,
    mask_inside_image,
    measure_width,
)
from detectors.star_trails import (
    SPOT_SNR,
    TurningTrails,
    find_common_trail,
    find_turning_trails,
    measure_spots,
)
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray, StarDetections

# Limits without a source were chosen by eye on real and simulated frames
WIDTH_SNR = 12.0  # minimum SNR of stars used to measure the width
TWICE_SIGMAS = 1.2  # two fits closer than this are the same star
MIN_FRAGMENTS = 8  # of a streak
SAMPLES_ACROSS = 16  # 256 per box: sigma is accurate to 8 %, the median of nine boxes to 4 %
TRAILS_A_BOX = 4.0  # lengths of the common trail by which boxes are larger
MAX_CHANCE_SHARE = 0.001  # of peaks of Gaussian noise among the detections of a frame


@dataclass(frozen=True, kw_only=True)
class Matched(background.StarMethod):
    """Matched-filter star detector; ``docs/methods/stars.md`` gives the equations.

    The point spread function, including any trail, is measured on the stars of the frame. The
    frame is filtered with it, and each peak is fitted with it after subtraction of neighbours. Hot
    pixels, cosmic rays, ridges and sources with a shape unlike a star are rejected.
    """

    min_snr: float = 4.5  # minimum SNR of a star in the filtered frame
    background_scale_px: float = 64.0  # box size for the estimate of the diffuse light
    max_stars: int = 5000  # number of brightest peaks to measure
    name: ClassVar[str] = "matched"

    def find_in(self, frame: background.StarFrame) -> StarDetections:
        """See `detectors.background.StarMethod`."""
        field = StarImage.of(frame, self.background_scale_px)
        seen = field.filtered(USUAL)
        spots = measure_spots(*seen.above(SPOT_SNR), frame.light.shape)
        trail = None
        if spots is not None:
            turning = find_turning_trails(spots, frame.light.shape)
            if turning is not None:
                return self._find_in_cells(field, turning)
            trail = find_common_trail(field.above, spots, field.frame.usable)
        psf = trail or field.width(seen)
        found = field.find_stars(field.filtered(psf), psf, self.min_snr, self.max_stars)
        return field.describe_stars(found, psf, self.min_snr)

    def _find_in_cells(self, field: StarImage, turning: TurningTrails) -> StarDetections:
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
    rise = background.measure_prominence(seen.response, row, col, 2.0**0.5 * psf.sigma_px)
    keep = rise >= 0.4 * height
    return row[keep], col[keep]


def find_sharp_ones(found: FittedStars, psf: PointSpread, shape: tuple[int, ...]) -> BoolImage:
    """Find hot pixels and cosmic rays: single pixels, pairs of pixels and thin tracks.

    A source is sharp if a pixel or a pair explains the light better than a star, or if it is
    thinner than the stars of the frame. This includes sources widened by demosaicing. `shape`:
    shape of the frame; stars cut by its border are not tested as particle tracks.
    """
    # A single pixel or a pair gains 4.5 in log-likelihood over a star
    sharp = found.narrow_snr**2 - found.star_snr**2 > 9.0
    if not psf.is_well_sampled:
        # 20 % of the pixel's light, over the square root of 23 pixels
        sharp &= found.around_snr < 2.0 + 0.04 * found.narrow_snr
        sharp &= found.narrow_snr > 1.1 * found.star_snr
    if psf.trail_length_px == 0.0:  # crossing neighbours make trail widths unreliable
        short = np.sqrt(np.linalg.eigvalsh(found.moments)[:, 0])
        sharp |= (short < 0.6 * psf.sigma_px) & (found.star_snr > 10.0)
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


def find_unlike_stars(found: FittedStars, psf: PointSpread) -> BoolImage:
    """Find sources of other widths than stars, or thin and long ones that are fitted worse.

    Narrow ones are warm pixels and particle tracks that demosaicing has widened, wide ones parts of
    galaxies.
    """
    if len(found) < 8:  # too few to tell how stars of the frame are fitted
        return np.asarray(found.misfit > 4.0)
    thin, long = measure_relative_widths(found, psf).T
    size = np.sqrt(thin * long)
    worse = found.misfit / np.median(found.misfit)
    noise = 1.0 / found.star_snr  # of widths
    # Bright stars of real lenses differ as much from the frame's profile
    faint = found.star_snr < 60.0
    if not psf.is_well_sampled:
        narrow = (thin < 0.8 - 1.5 * noise) & (worse > 1.8)
        wide = (size > 1.3 + 0.5 * noise) & (worse > 1.4)
        return np.asarray((narrow | wide) & faint)
    track = (thin < 0.85 - 0.5 * noise) & (long > 1.6 * thin + 4.0 * noise) & (worse > 1.6)
    narrow = (thin < 0.75 - 0.5 * noise) & (found.star_snr > np.where(worse > 1.8, 10.0, 15.0))
    wide = (size > 1.15 + noise) & (worse > 1.2) & faint
    return np.asarray(track | narrow | wide)


def find_chance_peaks(snr: FloatArray, n_pixels: int) -> BoolImage:
    """Find sources that may be noise, so that few of those that are left are.

    The limit is the lowest SNR that Gaussian noise exceeds in at most `MAX_CHANCE_SHARE` times as
    many pixels as there are sources above it.

    References
    ----------
    Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate. J. R. Stat. Soc. B 57,
    289-300. Hopkins, A. M., et al. (2002). A new source detection algorithm using the false-
    discovery rate. AJ 123, 1086-1094.
    """
    ordered = -np.sort(-snr)
    allowed = MAX_CHANCE_SHARE * np.arange(1, snr.size + 1)
    few = ordered[n_pixels * ndtr(-ordered) <= allowed]
    return np.asarray(snr < few.min(initial=np.inf))


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
    track &= psf.is_well_sampled  # sharper stars have not been demosaiced by interpolation
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
        # The usual width at the brightness of each star: with a non-linear response, bright stars
        # are narrower than faint ones. The trend is the line through the medians of the fainter and
        # of the brighter half of the stars nearby
        bright = np.log(found.star_snr[near])
        order = np.argsort(bright, axis=1)
        bright = np.take_along_axis(bright, order, 1)
        about = np.take_along_axis(width[near], order, 1)
        half = near.shape[1] // 2
        x1, x2 = np.median(bright[:, :half], axis=1), np.median(bright[:, -half:], axis=1)
        y1, y2 = np.median(about[:, :half], axis=1), np.median(about[:, -half:], axis=1)
        # The halves that give the trend differ by half in ln brightness or more
        slope = np.minimum(y2 - y1, 0.0) / np.maximum(x2 - x1, 0.5)
        own = np.log(np.maximum(found.star_snr, 1.0))
        rest = about - slope[:, None] * (bright - own[:, None])
        usual, wider = np.quantile(rest, (0.5, 0.75), axis=1)
        scatter = (wider - usual) / background.NORMAL_Q75  # of wider stars
        # Widths scatter with the position within the pixel, more so for sharp sources. A bright
        # star is not 3 sigma narrower than usual; a fainter source may be a hot pixel nearly as
        # wide as stars
        scatters = np.where(found.star_snr > 60.0, 3.0, 1.0)
        small |= width < np.minimum(usual * limit, usual - scatters * scatter)
    bright = left & found.settled & (found.star_snr > (8.0 if psf.is_well_sampled else 20.0))
    many = max(3, 0.06 * np.count_nonzero(bright))
    return np.asarray(track | (small & (np.count_nonzero(small & bright) > many)))


def stabilise_noise(light: FloatImage) -> FloatImage:
    """Apply a variance-stabilising transform: the square root of light plus a small offset.

    Shot noise is proportional to the square root of the light. Cameras also store roughly the
    square root, so noise that is symmetric there is skewed in linear light. The offset is 0.0031,
    below which sRGB is linear.
    """
    root = np.maximum(light, np.float32(0.0))
    root += TOE_LIGHT
    return np.sqrt(root, out=root)


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """A matched-filtered frame and its noise."""

    response: FloatImage  # (h, w): filter response, in units of the image
    mesh: background.Mesh  # boxes over the frame
    boxes: FloatImage  # (rows, cols): sigma of the response between stars, by box
    gain: float  # sigma of the response to unit white noise per pixel

    def noise_at(self, row: IndexArray, col: IndexArray) -> FloatArray:
        return self.mesh.at(self.boxes, row, col)

    def above(self, snr: float) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Find rows, columns and signal-to-noise ratio of the pixels above a given ratio."""
        row, col = np.nonzero(self.response > np.float32(snr * float(self.boxes.min())))
        ratio = self.response[row, col] / self.noise_at(row, col)
        keep = ratio > snr
        return row[keep], col[keep], ratio[keep]

    def find_peaks(
        self, min_snr: float, allowed: BoolImage, before: FloatImage | None = None
    ) -> tuple[IndexArray, IndexArray]:
        """Find rows and columns of peaks above a signal-to-noise ratio, the highest ratio first.

        `allowed` (h, w): mask of permitted positions. `before` (h, w): response before stars were
        subtracted, from which residuals of these stars are estimated and added to the noise.
        """
        response, least = self.response, min_snr * float(self.boxes.min())
        row, col = background.find_local_maxima(response, least)
        keep = allowed[row, col]
        row, col = row[keep], col[keep]
        noise = self.noise_at(row, col)
        if before is not None:
            taken = before[row, col] - response[row, col]
            # Subtraction is assumed to leave a residual of 0.3 of the star
            noise = np.hypot(noise, 0.3 * taken)
        snr = response[row, col] / noise
        order = np.argsort(-snr, kind="stable")
        order = order[snr[order] > min_snr]
        return row[order], col[order]


def filter_answer(image: FloatImage, psf: PointSpread) -> tuple[FloatImage, float]:
    """Compute the filter response, and its sigma for unit white noise."""
    if psf.trail_length_px == 0.0:
        matched = background.blur_image(image, psf.sigma_px)
        kernel = background.make_gaussian_kernel(psf.sigma_px)
    else:
        drawn = psf.draw(np.zeros(1), np.zeros(1), psf.half_stamp_px)[0]
        kernel = drawn / drawn.sum()
        matched = np.asarray(
            cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        )
    # This width of the local background loses 3 % of the signal-to-noise ratio and follows airglow,
    # haze and the Milky Way
    around = 4.0 * float(np.hypot(psf.sigma_px, psf.trail_length_px / 12.0**0.5))
    wide = background.make_gaussian_kernel(around)
    inner = (wide.shape[0] - kernel.shape[0]) // 2
    difference = -wide
    difference[inner : inner + kernel.shape[0], inner : inner + kernel.shape[1]] += kernel
    gain = float(np.sqrt(np.square(difference).sum()))
    # The local background by a Gaussian blur, clipping bright stars, at half size
    h, w = image.shape
    size = (-(-w // 2), -(-h // 2))
    half: FloatImage = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = background.blur_image(half, 0.5 * around)
    usual = float(np.median(np.abs((half - blurred)[::4, ::4]))) / background.NORMAL_Q75
    if usual > 0.0:
        # clipped, to avoid dark rings around stars
        faint = np.minimum(half, blurred + np.float32(4.0 * usual))
        blurred = background.blur_image(faint, 0.5 * around)
    level = np.asarray(cv2.resize(blurred, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(matched - level), gain


@dataclass(frozen=True)
class StarImage:
    """A frame with the large-scale background subtracted, and its noise model."""

    frame: background.StarFrame
    stable: FloatImage  # variance-stabilised light above the background
    stable_level: FloatImage
    least_noise: float

    @classmethod
    def of(cls, frame: background.StarFrame, background_scale_px: float) -> StarImage:
        """Subtract the background, estimated in boxes of the given size."""
        stable = stabilise_noise(frame.light)
        mask = frame.ignored if frame.ignored.any() else None
        # 256 samples per box: the level is accurate to 0.08 sigma, and each fit has its own
        mesh, boxes, _ = background.measure_diffuse_boxes(stable, background_scale_px, mask, 16)
        level = mesh.upsample(boxes)
        # Quantisation noise, from the smallest step between some values of the darker pixels
        every = max(1, (frame.ignored.size - np.count_nonzero(frame.ignored)) // 20_000)
        sample = stable.ravel()[::every][~frame.ignored.ravel()[::every]]
        dark = np.unique(sample[sample <= np.median(sample)])
        steps = np.diff(dark)
        step = float(steps.min()) if steps.size else 1.0 / 255.0 / 12.92
        least = max(step / 12.0**0.5, 1e-9)
        above = cv2.subtract(stable, level)
        above[frame.ignored] = 0.0
        noise = max(float(np.median(np.abs(above[::3, ::3]))) / background.NORMAL_Q75, least)
        flat, defects = background.remove_stripes(np.asarray(above / np.float32(noise)))
        flat *= np.float32(noise)
        level += above - flat  # row and column patterns belong to the background
        above = flat
        if defects.any():  # hot and dead columns
            frame = replace(frame, ignored=frame.ignored | defects)
        above[frame.ignored] = 0.0
        return cls(frame=frame, stable=np.asarray(above), stable_level=level, least_noise=least)

    def part(self, rows: slice, cols: slice) -> StarImage:
        """Cut out a rectangle; positions in it are relative to its corner."""
        return StarImage(
            frame=self.frame.part(rows, cols),
            stable=np.ascontiguousarray(self.stable[rows, cols]),
            stable_level=np.ascontiguousarray(self.stable_level[rows, cols]),
            least_noise=self.least_noise,
        )

    def filtered(self, psf: PointSpread) -> Filtered:
        """Filter with the PSF minus a local background, and measure the noise of the response."""
        response, gain = filter_answer(self.stable, psf)
        ignored = self.frame.ignored
        known = np.where(ignored, np.float32(np.nan), response) if ignored.any() else response
        length = psf.trail_length_px
        mesh = background.Mesh.with_scale(self.stable.shape, 64.0 + TRAILS_A_BOX * length)
        samples = mesh.samples(known, SAMPLES_ACROSS)
        spread = background.smooth_boxes(
            background.estimate_lowest_mode(samples, self.least_noise * gain)[1]
        )
        # Noise that is clipped at black, or processed, has a longer upper tail than its dark side
        # implies
        tail = background.smooth_boxes(background.estimate_upper_spread(samples, (0.9, 0.95, 0.98)))
        fine = background.Mesh.with_scale(self.stable.shape, 32.0 + TRAILS_A_BOX * length)
        clutter = background.fill_holes(
            background.estimate_upper_spread(fine.samples(known, SAMPLES_ACROSS))
        )
        long_tailed = np.float32(0.85) * tail
        if not self.black_clipped:
            # Larger tails are due to stars, as in the Milky Way
            long_tailed = np.minimum(long_tailed, np.float32(2.0) * spread)
        coarse = np.maximum(spread, long_tailed)
        boxes = cv2.resize(coarse, (fine.cols, fine.rows), interpolation=cv2.INTER_LINEAR)
        # Surrounding texture counts as noise by 0.8, as for lights
        boxes = np.maximum(boxes, np.float32(0.8) * clutter)
        boxes = np.maximum(boxes, np.float32(self.least_noise * gain))
        return Filtered(response=response, mesh=fine, boxes=boxes, gain=gain)

    @cached_property
    def black_clipped(self) -> bool:
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
        row, col = seen.find_peaks(WIDTH_SNR, self.frame.usable)
        noise = self._noise(seen, row, col)
        psf = measure_width(self.above, self.frame.usable, row, col, noise)
        if psf is None:
            # Possible stars of any width, also very sharp ones, but no pairs of hot pixels
            whole = cut_stamps(self.frame.usable, row, col, HALF_MIDDLE_PX).all(axis=(1, 2))
            row, col = row[whole], col[whole]
            # Blur of the pixel if linear values are decoded as sRGB, which narrows it by the square
            # root of 2.2. A hot pixel has 0.19 or less
            stamps = cut_stamps(self.above, row, col, HALF_STAMP_PX)
            x, y, _, _, good = find_starlike(stamps, 0.195)
            x, y = self._with_clipped((col + x)[good], (row + y)[good])
            row, col = find_nearest_pixels(self.above.shape, x, y)
            shown = cut_stamps(self.frame.usable, row, col, HALF_STAMP_PX).astype(np.float32)
            # Few, clipped or very sharp stars; clipped ones by the usable pixels of their flanks
            some = np.flatnonzero(shown.sum(axis=(1, 2)) >= 12)[:MAX_STARS]
            if some.size >= 4:
                row, col = row[some], col[some]
                # One Gaussian: core and wings cannot be distinguished there. The whole range of
                # widths: such stars give no initial estimate
                psf = fit_profile(
                    cut_stamps(self.above, row, col, HALF_STAMP_PX),
                    shown[some],
                    x[some] - col,
                    y[some] - row,
                    self._noise(seen, row, col),
                    np.geomspace(NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX, 24),
                    HALF_STAMP_PX,
                    (0.0,),
                )
        return psf or USUAL

    def find_stars(
        self, seen: Filtered, psf: PointSpread, min_snr: float, max_stars: int
    ) -> FittedStars:
        """Fit stars, split blended pairs, and add stars detected after subtraction of the first."""
        row, col = leave_out_ridges(seen, psf, *seen.find_peaks(min_snr, self.frame.usable))
        x, y = self._with_clipped(col[:max_stars].astype(float), row[:max_stars].astype(float))
        stars = self._fit_at(seen, psf, x, y)
        stars = stars.select(~self._lie_on_streaks(stars, psf))
        sharp = find_sharp_ones(stars, psf, self.above.shape)
        keep = ~sharp | self._are_clipped_stars(stars, psf)
        hot, dropped, stars = stars.select(sharp), stars.select(~keep), stars.select(keep)
        if psf.trail_length_px == 0.0:  # the shape of trails does not show blended pairs
            # Fainter pairs cannot be resolved
            able = stars.settled & (stars.star_snr > 12.0) & ~self._lie_on_clipped(stars)
            pairs = np.flatnonzero(able & find_long_stars(stars, psf))
            if pairs.size:
                noise, gain = self._noise_and_gain(seen, stars.x[pairs], stars.y[pairs])
                scene = self.above, self.frame.usable
                stamps = StarStamps.of(*scene, stars, pairs, psf=psf, noise=noise, gain=gain)
                stars = fit_pairs(stars, pairs, stamps, psf)
        # Without the stars, and with the background in place of hot pixels
        drawn = draw_stars(self.frame.light.shape, stars.x, stars.y, stars.flux, psf).ravel()
        where = np.flatnonzero(drawn)
        rest = self.stable.copy()
        light = self.frame.light.ravel()[where] - drawn[where]
        rest.ravel()[where] = stabilise_noise(light) - self.stable_level.ravel()[where]
        around = np.mgrid[-1:2, -1:2].reshape(2, 9, 1)
        rest[find_nearest_pixels(rest.shape, hot.x + around[1], hot.y + around[0])] = 0.0
        rest[self.frame.ignored] = 0.0
        answer, _ = filter_answer(rest, psf)
        left = replace(seen, response=answer)
        allowed = self.frame.usable.copy()
        if self.frame.clipped.any():
            size = 2 * round(2.0 * psf.fwhm_px) + 1
            clipped = self.frame.clipped.astype(np.uint8)
            allowed &= cv2.dilate(clipped, np.ones((size, size), np.uint8)) == 0
        row, col = leave_out_ridges(left, psf, *left.find_peaks(min_snr, allowed, seen.response))
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
        shaped = found.settled & ~find_unlike_stars(found, psf)
        shaped &= ~find_sharp_ones(found, psf, self.above.shape)
        found = found.select(shaped | self._are_clipped_stars(found, psf))
        found = found.select(np.argsort(-found.flux, kind="stable"))
        places = np.column_stack([found.x, found.y])
        found = found.select(mark_first_of_each(places, TWICE_SIGMAS * psf.sigma_px))
        found = found.select(~self._lie_on_streaks(found, psf))
        found = found.select(~find_chance_peaks(found.star_snr, h * w))
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
