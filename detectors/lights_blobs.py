"""Multi-scale blob detection of lights: scale-space peaks, fitted and subtracted, finest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors import background
from detectors.psf import (
    FWHM_PER_SIGMA,
    TOE_LIGHT,
    cut_stamps,
    find_nearest_pixels,
    measure_window_moments,
    sum_of_stamps,
)
from detectors.types import BoolImage, Columns, FloatArray, FloatImage, IndexArray, LightDetections

NEAR = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


@dataclass(frozen=True, kw_only=True)
class Peaks(Columns):
    """Blobs of an octave, in its pixels: nearest pixel, vertex, and first guess of sigma."""

    row: IndexArray
    col: IndexArray
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray


def find_peaks(around: Surroundings, left: background.Octave, min_snr: float) -> Peaks:
    """Blobs of an octave: maxima in place and scale.

    `left`: what is left of the octave without the lights of finer ones.
    """
    whole, step = around.whole, around.step
    above = (left.responses[1], left.above)
    mesh, clutter = around.measure_clutter()
    taken = np.zeros(whole.base.shape, bool)
    parts = []
    for k, inner in enumerate(background.INNER_SIGMAS):
        seen, rest = whole.responses[k], left.responses[k]
        gain = background.compute_noise_gain(inner * step)
        row, col = background.find_local_maxima(seen, min_snr * gain * float(around.boxes.min()))
        # Inside a clipped area and at its rim, scales finer than a third of its half side see
        # nothing
        at = (row * step, col * step)
        half_side_px = around.areas.half_sides_px[around.areas.labels[at]]
        clip_radius = np.where(around.ignored[at], np.inf, half_side_px)
        open_sky = clip_radius <= 3.0 * inner * step
        row, col = row[open_sky & ~taken[row, col]], col[open_sky & ~taken[row, col]]
        noise = around.scale_ratios[k] * around.noise_under_light(row, col)
        # Surrounding texture (cloud, hardware) counts as noise by 0.8
        sigma = gain * np.maximum(noise, 0.8 * mesh.at(clutter, row, col))
        height = rest[row, col]
        # Finer lights leave 0.6 of a peak unexplained
        kept = height >= np.maximum(min_snr * sigma, 0.6 * seen[row, col])
        highest = np.max([above[k][row + i, col + j] for i, j in NEAR], axis=0)
        # A blob on the flank of a greater one is a peak though the next scale shows a tenth more
        kept &= height >= 0.9 * highest
        row, col, sigma = row[kept], col[kept], sigma[kept]
        # A peak rises by half of its height above every profile across it: this excludes the limb,
        # edges of hardware and smooth roads. Two peaks along a ridge differ from the ridge between
        # them by 3 sigma of noise, by chance
        needed = np.maximum(0.5 * seen[row, col], 3.0 * sigma)
        kept = background.measure_prominence(seen, row, col, inner) >= needed
        row, col = row[kept], col[kept]
        for i, j in NEAR:
            taken[row + i, col + j] = True
        dx, dy = background.fit_quadratic_peak(seen, row, col)
        # A Gaussian blob's response is greatest, over inner sigmas s, at s = sigma / sqrt 2; blobs
        # with sharper centres or near neighbours answer earlier: sigma is taken for s
        width = np.full(row.size, np.hypot(inner, background.BASE_SIGMA))
        parts.append(Peaks(row=row, col=col, x=col + dx, y=row + dy, sigma_px=width))
    return Peaks.joined(parts)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """An octave, and what is known of its pixels besides their light.

    Noise is white noise per pixel of the image that explains what the octave's responses show.
    JPEG, demosaicing and cloud make noise that is stronger at some scales than white noise of the
    finest pixels would be: so it is measured anew in each octave, between the lights.
    """

    whole: background.Octave
    step: int  # pixels of the image along a pixel of the octave
    # level, ignored, (h, w), and areas: of the image
    level: FloatImage
    ignored: BoolImage
    areas: background.ClippedAreas
    boxes: FloatImage  # (rows, cols): one sigma of a pixel of the image, between the lights
    unlit: BoolImage  # (h, w): pixels of the octave between the lights

    def of_coarser(self, octave: background.Octave, step: int, finer: Surroundings) -> Surroundings:
        """Those of a coarser octave; where lights leave no room, noise grows as in the finer."""
        mesh = background.Mesh.with_boxes(octave.base.shape, *self.boxes.shape)
        room = self.unlit[::step, ::step].astype(np.uint8)
        unlit = cv2.erode(room, np.ones((5, 5), np.uint8)).astype(bool)
        growth = _mask_between_lights(mesh, octave, unlit, step) / self.boxes
        before = finer.boxes / self.boxes
        known = np.isfinite(growth)
        typical = np.median(growth[known]) if known.any() else np.median(before)
        growth = np.where(known, growth, np.maximum(before, typical)).astype(np.float32)
        boxes = background.smooth_boxes(np.maximum(growth, np.float32(0.5))) * self.boxes
        return replace(self, whole=octave, step=step, boxes=boxes, unlit=unlit)

    def between_lights(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Noise at pixels of the octave as if no light were near."""
        mesh = background.Mesh.with_boxes(self.whole.base.shape, *self.boxes.shape)
        return mesh.at(self.boxes, row, col)

    def noise_under_light(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Noise at pixels of the octave where light lies around.

        Shot noise grows with the root of the light. Noise of 8-bit sRGB pixels, rounded and
        compressed, grows with the slope of sRGB, from where the background shows it.
        """
        dark = np.maximum(self.level[row * self.step, col * self.step].astype(float), 0.0)
        bright = dark + np.maximum(self.whole.outer[row, col].astype(float), 0.0)
        white = self.between_lights(row, col)
        shot = white * np.sqrt((bright + TOE_LIGHT) / (dark + TOE_LIGHT))
        steeper = _srgb_slope(bright) - _srgb_slope(dark)  # what the background did not show
        # One sigma of JPEG pixels where light lies is a step of 255
        return np.asarray(np.hypot(shot, 1.0 / 255.0 * steeper))

    def measure_clutter(self) -> tuple[background.Mesh, FloatImage]:
        """White noise that would look like the texture of the octave by box, lights and all.

        Where bumps stand side by side (broken cloud, quilted hardware) none of them is a light; a
        light stands out, for most of its surroundings lie between the lights.
        """
        # About fifteen of the octave's largest blobs
        mesh = background.Mesh.with_scale(self.whole.base.shape, 36.0)
        samples = mesh.samples(self.whole.responses[0], 18)
        gain = np.float32(background.compute_noise_gain(background.INNER_SIGMAS[0] * self.step))
        return mesh, background.fill_holes(background.estimate_upper_spread(samples)) / gain

    @cached_property
    def scale_ratios(self) -> tuple[float, ...]:
        """Noise between the lights at each scale over that at the first, as multiples of white."""
        chosen = self.unlit.ravel()[::7]
        if np.count_nonzero(chosen) < 100:
            return (1.0,) * len(background.INNER_SIGMAS)
        white = [
            float(np.median(np.abs(response.ravel()[::7][chosen])))
            / background.compute_noise_gain(inner)
            for response, inner in zip(self.whole.responses, background.INNER_SIGMAS, strict=True)
        ]
        return tuple(max(1.0, one / white[0]) if white[0] > 0.0 else 1.0 for one in white)


def _srgb_slope(light: FloatArray) -> FloatArray:
    """Linear light per unit of sRGB value (IEC 61966-2-1)."""
    return np.asarray(np.maximum(2.4 / 1.055 * light ** (1.4 / 2.4), 1.0 / 12.92))


def _mask_between_lights(
    mesh: background.Mesh, octave: background.Octave, unlit: BoolImage, step: int
) -> FloatImage:
    shown = np.where(unlit, octave.responses[0], np.float32(np.nan))
    gain = background.compute_noise_gain(background.INNER_SIGMAS[0] * step)
    return background.spread_about_zero(mesh.samples(shown)) / np.float32(gain)


HALF_STAMP_PX = 7  # of the octave: room for the widest blob and a ring about it
OFFSETS = np.arange(-HALF_STAMP_PX, HALF_STAMP_PX + 1)
RING = np.hypot(OFFSETS[:, None], OFFSETS[None, :]) >= 6.0
RING_PLACES = np.argwhere(RING)[:, ::-1].astype(np.float32) - HALF_STAMP_PX  # x, y
RING_SLOPES = RING_PLACES / (RING_PLACES**2).sum(axis=0)  # least squares, ring all around
RING_INDEX = np.flatnonzero(RING)
RING_PRODUCTS = np.stack(
    [RING_PLACES[:, 0] ** 2, RING_PLACES.prod(axis=1), RING_PLACES[:, 1] ** 2], axis=1
)
REGULAR = np.array([[1.0], [0.0], [1.0]], np.float32)  # keeps an empty ring solvable
WIDEST_SIGMA_PX = 3.0  # the stamp must contain more than two sigma


@dataclass(frozen=True, kw_only=True)
class FittedBlobs:
    """Gaussians fitted to blobs, in pixels of the image used for the fit."""

    # x, y, flux, (N,): centre and total flux
    x: FloatArray
    y: FloatArray
    flux: FloatArray
    moments: FloatArray  # (N, 2, 2): second central moments, order (x, y)
    settled: BoolImage  # (N,): False if the window reached its limit or the flux is not positive


def fit_blobs(
    image: FloatImage, x: FloatArray, y: FloatArray, sigma_px: FloatArray, noise: FloatArray
) -> FittedBlobs:
    """Fit neighbouring blobs, each with the light of the others subtracted.

    First, each blob is fitted independently under a window of the initial width. Then, twice, each
    is fitted to the image minus all others as fitted before.

    `image` (h, w): background-subtracted light. `x`, `y`, `sigma_px` (N,): initial centre and
    sigma. `noise` (N,): 1 sigma of a pixel of the image there.
    """
    col, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
    stamps = cut_stamps(image, row, col, HALF_STAMP_PX)
    fitted = _fit(stamps, x - col, y - row, sigma_px, noise, stretch=1.0)
    for _ in range(2):
        drawn = _draw_blobs(fitted)
        others = sum_of_stamps(image.shape, row, col, drawn)
        neighbours = cut_stamps(others, row, col, HALF_STAMP_PX) - drawn
        # The window may grow or shrink by 1.7 relative to the scale of detection
        fitted = _fit(stamps - neighbours, x - col, y - row, sigma_px, noise, stretch=1.7)
    return replace(fitted, x=fitted.x + col, y=fitted.y + row)


def _fit(
    stamps: FloatImage,
    x0: FloatArray,
    y0: FloatArray,
    sigma_px: FloatArray,
    noise: FloatArray,
    *,
    stretch: float,
) -> FittedBlobs:
    """Fit the blob of each stamp; positions are relative to the stamp centre.

    Each pass moves a round Gaussian window to the windowed centroid, and sets it to the width of
    the blob. It moves by twice the offset, since the window halves it (as for SExtractor's
    XWIN_IMAGE). A Gaussian with moments M under a window with moments S has moments (M^-1 +
    S^-1)^-1.

    References
    ----------
    Bernstein, G. M., Jarvis, M. (2002). Shapes and shears, stars and smears. AJ 123, 583-618.
    """
    # Without the plane of background light under each blob, fitted to the darker part of its ring
    ring = stamps.reshape(len(stamps), -1)[:, RING_INDEX]
    slopes = ring @ RING_SLOPES
    flat = ring - slopes @ RING_PLACES.T
    # Again, excluding bright pixels, which belong to neighbours
    quarter, middle = _compute_quantiles(flat)
    kept = (flat <= (2.0 * middle - quarter)[:, None]).astype(np.float32)
    sum_xx, sum_xy, sum_yy = (kept @ RING_PRODUCTS).T + REGULAR
    moment_x, moment_y = ((kept * (flat - middle[:, None])) @ RING_PLACES).T
    change = np.stack(
        [sum_yy * moment_x - sum_xy * moment_y, sum_xx * moment_y - sum_xy * moment_x], axis=1
    )
    slopes = slopes + change / (sum_xx * sum_yy - sum_xy * sum_xy)[:, None]
    flat = ring - slopes @ RING_PLACES.T
    quarter, middle = _compute_quantiles(flat)
    # From the darker quarter of the ring: the rest may contain lights
    level = np.minimum(quarter + 0.6745 * noise, middle).astype(np.float32)
    tilted = slopes[:, 0, None, None] * OFFSETS[None, None, :] + (
        slopes[:, 1, None, None] * OFFSETS[None, :, None]
    )
    around = np.asarray(level[:, None, None] + tilted, np.float32)
    above = stamps - around
    start = np.clip(sigma_px, 0.9, WIDEST_SIGMA_PX)
    lowest, highest = start / stretch, np.minimum(start * stretch, WIDEST_SIGMA_PX)
    x, y, sigma = x0, y0, start
    total, mx, my, xx, yy, xy = measure_window_moments(above, x, y, sigma)
    for _ in range(4):
        x = np.clip(x + 2.0 * mx, x0 - start, x0 + start)
        y = np.clip(y + 2.0 * my, y0 - start, y0 + start)
        own = np.maximum(0.5 * (xx + yy), 1e-3)
        sigma = np.sqrt(1.0 / np.maximum(1.0 / own - 1.0 / sigma**2, 1e-3))
        sigma = np.clip(sigma, lowest, highest)
        total, mx, my, xx, yy, xy = measure_window_moments(above, x, y, sigma)
    seen = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    # Correct windowed moments of Gaussian blobs for the window
    values, vectors = np.linalg.eigh(seen)
    weight = 1.0 / sigma[:, None] ** 2
    # Limit axes to three window widths: under the window, larger blobs look like a plateau
    axes = 1.0 / np.maximum(1.0 / np.maximum(values, 0.05) - weight, weight / 9.0)
    axes = np.minimum(axes, (1.8 * stretch * sigma[:, None]) ** 2)
    moments = np.asarray(np.einsum("nij,nj,nkj->nik", vectors, axes, vectors))
    # A Gaussian blob's windowed sum is flux * sqrt(det S / det(S + M))
    widened = moments + (sigma**2)[:, None, None] * np.eye(2)
    flux = total * np.sqrt(np.linalg.det(widened)) / sigma**2
    settled = (np.maximum(np.abs(x - x0), np.abs(y - y0)) < 0.99 * start) & (flux > 0.0)
    return FittedBlobs(x=x, y=y, flux=flux, moments=moments, settled=settled)


def _compute_quantiles(flat: FloatImage) -> tuple[FloatImage, FloatImage]:
    count = flat.shape[1]
    ordered = np.partition(flat, (count // 4, count // 2), axis=1)
    return ordered[:, count // 4], ordered[:, count // 2]


def _draw_blobs(blobs: FittedBlobs) -> FloatImage:
    """Render each blob into its stamp, shape (N, 15, 15)."""
    inverse = np.linalg.inv(blobs.moments)
    dx, dy = OFFSETS - blobs.x[:, None], OFFSETS - blobs.y[:, None]
    exponent = (
        (inverse[:, 0, 0, None] * dx * dx)[:, None, :]
        + (inverse[:, 1, 1, None] * dy * dy)[:, :, None]
        + 2.0 * (inverse[:, 0, 1, None] * dy)[:, :, None] * dx[:, None, :]
    )
    peak = blobs.flux / (2.0 * np.pi * np.sqrt(np.linalg.det(blobs.moments)))
    shape = np.exp((-0.5 * exponent).astype(np.float32))
    return np.asarray(peak.astype(np.float32)[:, None, None] * shape)


@dataclass(frozen=True, kw_only=True)
class MeasuredLights(Columns):
    """Measured lights, in pixels of the image.

    ``noise`` is the white noise per pixel between the lights nearby, ``own_noise`` that under the
    light itself.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    moments: FloatArray
    noise: FloatArray
    own_noise: FloatArray

    @property
    def sigma_px(self) -> FloatArray:
        """Sigma of the round Gaussian of the same area."""
        return np.asarray(np.linalg.det(self.moments) ** 0.25)

    @property
    def radius_px(self) -> FloatArray:
        return 0.5 * FWHM_PER_SIGMA * self.sigma_px

    @property
    def signal(self) -> FloatArray:
        """Matched-filter signal: the signal-to-noise ratio for unit noise per pixel."""
        return self.flux / (np.sqrt(4.0 * np.pi) * self.sigma_px)


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Multi-scale blob detector for towns and lamps on a bright diffuse background.

    It works octave by octave, from lamps of one pixel to towns. In each octave it finds maxima of
    a difference-of-Gaussians scale space, fits Gaussians to them and subtracts these. Subtraction
    keeps a group of lights from being detected again as one large light.
    ``docs/methods/lights.md`` gives the equations.
    """

    min_snr: float = 5.0  # minimum SNR of a peak in the filtered image
    largest_radius_px: float = 40.0  # half-light radius of the largest lights to detect
    name: ClassVar[str] = "blobs"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> LightDetections:
        """Find the lights of an image; see `detectors.types.Detector`."""
        image = background.as_float_image(light)
        ignored = background.mask_ignored_pixels(image, mask)
        # Such pixels count as clipped even without `saturated`
        clipped = (image >= 0.97) | background.read_clipped_map(saturated, image)
        clipped &= ~ignored
        areas = background.ClippedAreas.of(clipped)
        # Clipped areas too large for a town: caption strips, lightning, the sunlit limb
        ignored |= areas.larger_than(2.0 * self.largest_radius_px)
        if ignored.all() or np.ptp(image[~ignored]) == 0.0:
            return LightDetections.empty()
        image = background.lift_above_zero(image, ignored)
        mesh, boxes, _ = background.measure_diffuse_boxes(image, 128.0, ignored)
        level = mesh.upsample(boxes)
        image = np.where(background.find_hot_pixels(image) | ignored, level, image)
        found = self._find_blobs(image, level, ignored, areas)
        h, w = ignored.shape
        inside = (found.x >= 0) & (found.x <= w - 1) & (found.y >= 0) & (found.y <= h - 1)
        found = found.select(inside & (found.flux > 0.0))
        # Measured radii are noisy: slightly larger ones than the limit are accepted
        found = found.select(found.radius_px <= 1.25 * self.largest_radius_px)
        found = found.select(found.signal / found.noise >= self.min_snr)
        # A light within half of whose radius lies one of a finer octave, with a quarter of its flux
        # or more, is the wings of that, which a Gaussian does not remove
        echo = np.zeros(len(found), bool)
        if len(found) > 1:
            places = np.column_stack([found.x, found.y])
            near = cKDTree(places).query_ball_point(places, 0.5 * found.radius_px)
            for i, others in enumerate(near):
                echo[i] = any(j < i and found.flux[j] >= 0.25 * found.flux[i] for j in others)
        found = found.select(~echo)
        found = found.select(np.argsort(-found.flux, kind="stable"))
        # Cramer-Rao bound of a Gaussian's centre in white noise: 2 M / SNR^2
        own_snr = found.signal / found.own_noise
        bound = 2.0 * found.moments / own_snr[:, None, None] ** 2
        return LightDetections(
            x=found.x,
            y=found.y,
            flux=found.flux,
            snr=found.signal / found.noise,
            radius_px=found.radius_px,
            # Errors are at least 0.02 px (simulated isolated lights at SNR > 200)
            covariance_px2=bound + 0.02**2 * np.eye(2),
            flags=background.flag_lights(found.x, found.y, found.radius_px, ignored, clipped),
        )

    def _find_blobs(
        self,
        image: FloatImage,
        level: FloatImage,
        ignored: BoolImage,
        areas: background.ClippedAreas,
    ) -> MeasuredLights:
        """Find, fit and subtract peaks octave by octave."""
        full = rest = background.blur_image(image - level, background.BASE_SIGMA)
        around: Surroundings | None = None
        lights, step = [MeasuredLights.empty()], 1
        while step * 0.5 * FWHM_PER_SIGMA <= self.largest_radius_px:
            # Smaller octaves consist only of border
            if min(rest.shape) < 8:
                break
            whole = background.make_octave(full)
            left = whole if rest is full else background.make_octave(rest)
            if around is None:
                # Lit is what the blurred image shows: single noisy pixels do not make it, and so
                # the noise left between the lights keeps both its sides
                mesh = background.Mesh.with_scale(whole.base.shape, 128.0)
                samples = mesh.samples(np.where(ignored, np.float32(np.nan), whole.outer))
                middle, sigma = (
                    background.smooth_boxes(one)
                    for one in background.estimate_lowest_mode(samples, 0.0)
                )
                unlit = (whole.outer <= mesh.upsample(middle + np.float32(3.0) * sigma)) & ~ignored
                boxes = background.smooth_boxes(_mask_between_lights(mesh, whole, unlit, 1))
                # Where a picture shows less noise than its own rounding makes, black is clipped and
                # what is left are JPEG's blocks of a step or two (1 / 255 / 12.92 each): these are
                # taken for the noise
                step_noise = np.float32(1.5 / 255.0 / 12.92)
                around = first = Surroundings(
                    whole=whole,
                    step=1,
                    level=level,
                    ignored=ignored,
                    areas=areas,
                    boxes=np.where(boxes < background.ROUNDING_SIGMA, step_noise, boxes),
                    unlit=unlit,
                )
            else:
                around = first.of_coarser(whole, step, around)
            peaks = find_peaks(around, left, self.min_snr)
            if len(peaks) == 0:
                rest = whole.halved if rest is full else left.halved
            else:
                own = around.noise_under_light(peaks.row, peaks.col)
                base_noise = own * (background.compute_blurred_noise(background.BASE_SIGMA) / step)
                fitted = fit_blobs(rest, peaks.x, peaks.y, peaks.sigma_px, base_noise)
                row, col = find_nearest_pixels(rest.shape, fitted.x, fitted.y)
                centred = replace(fitted, x=fitted.x - col, y=fitted.y - row)
                drawn = sum_of_stamps(rest.shape, row, col, _draw_blobs(centred))
                # From sigma 1 to 2, which is 1 of the next octave
                rest = np.ascontiguousarray(background.blur_image(rest - drawn, 3.0**0.5)[::2, ::2])
                noise = around.between_lights(peaks.row, peaks.col)
                # Without the octave's blur, and at least half a pixel wide: the pixel itself blurs
                # by 0.3, a lens by at least 0.4. The peak counts where a fit failed
                values, vectors = np.linalg.eigh(
                    fitted.moments - background.BASE_SIGMA**2 * np.eye(2)
                )
                values = np.maximum(values, (0.5 / step) ** 2)
                moments = np.einsum("nij,nj,nkj->nik", vectors, values, vectors)
                lights.append(
                    MeasuredLights(
                        x=np.where(fitted.settled, fitted.x, peaks.x) * step,
                        y=np.where(fitted.settled, fitted.y, peaks.y) * step,
                        flux=fitted.flux * step**2,
                        moments=moments * step**2,
                        noise=noise,
                        own_noise=own,
                    )
                )
            full, step = whole.halved, 2 * step
        return MeasuredLights.joined(lights)


DETECTORS = (Blobs(),)
