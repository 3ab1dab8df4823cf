"""Which maxima of an octave are blobs: not ridges, not rims, not what was found before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from detectors.background import (
    ROUNDING_SIGMA,
    Mesh,
    estimate_lowest_mode,
    estimate_upper_spread,
    fill_holes,
    smooth_boxes,
    spread_about_zero,
)
from detectors.frame import ClippedAreas
from detectors.scale_space import (
    BASE_SIGMA,
    INNER_SIGMAS,
    Octave,
    compute_noise_gain,
    find_local_maxima,
    fit_quadratic_peak,
)
from detectors.types import BoolImage, Columns, FloatArray, FloatImage, IndexArray

# A Gaussian blob's response is greatest, over inner sigmas s, at s = sigma / sqrt 2; blobs with
# sharper centres or near neighbours answer earlier
BLOB_SIGMA_PER_INNER = 1.0
# A blob on the flank of a greater one is a peak of scale though the next scale shows this much
SCALE_TOLERANCE = 0.9
# Inside a clipped area and at its rim, scales finer than a third of its half side see nothing
CLIP_RADIUS_PER_INNER = 3.0
# Where the sides of a peak are looked at, in inner sigmas, and in how many directions
SIDE_RADII = np.array([1.5, 2.0, 2.5])
SIDE_DIRECTIONS = 16
# Two peaks along a ridge differ from the ridge between them by this much noise, by chance
RIDGE_NOISE_SIGMA = 3.0

NEAR = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]

LIT_SIGMA = 3.0
# Below this light sRGB is linear (IEC 61966-2-1): its noise no longer falls with the light
DARK_LIGHT = 0.0031308
LEVEL_NOISE = 1.0  # sigma of JPEG pixels where light lies, in steps of 255
CLUTTER_BOX_PX = 36.0  # of an octave's pixels: about fifteen of its largest blobs
CLUTTER_SAMPLES_ACROSS = 18
# Where a picture shows less noise than its own rounding makes, black is clipped and what is left
# are JPEG's blocks of a step or two (1 / 255 / 12.92 each): these are taken for the noise
CLIPPED_BLACK_SIGMA = 1.5 / 255.0 / 12.92
RATIO_THINNING, MIN_RATIO_PIXELS = 7, 100


@dataclass(frozen=True, kw_only=True)
class Peaks(Columns):
    """Blobs of an octave, in its pixels: nearest pixel, vertex, and first guess of sigma."""

    row: IndexArray
    col: IndexArray
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray

    def __len__(self) -> int:
        return int(self.x.size)


def find_peaks(
    around: Surroundings,
    left: Octave,
    *,
    min_snr: float,
    min_prominence: float,
    min_unexplained: float,
    clutter_weight: float,
) -> Peaks:
    """Blobs of an octave: maxima in place and scale.

    `left`: what is left of the octave without the lights of finer ones; the others as
    `detectors.lights_blobs.Blobs` explains them.
    """
    whole, step = around.whole, around.step
    above = (left.responses[1], left.above)
    taken = np.zeros(whole.base.shape, bool)
    parts = []
    for k, inner in enumerate(INNER_SIGMAS):
        seen, rest = whole.responses[k], left.responses[k]
        gain = compute_noise_gain(inner * step)
        row, col = find_local_maxima(seen, min_snr * gain * float(around.boxes.min()))
        open_sky = around.clip_radius(row, col) <= CLIP_RADIUS_PER_INNER * inner * step
        row, col = row[open_sky & ~taken[row, col]], col[open_sky & ~taken[row, col]]
        noise = around.scale_ratios[k] * around.noise_under_light(row, col)
        sigma = gain * np.maximum(noise, clutter_weight * around.clutter(row, col))
        height = rest[row, col]
        kept = height >= np.maximum(min_snr * sigma, min_unexplained * seen[row, col])
        highest = np.max([above[k][row + i, col + j] for i, j in NEAR], axis=0)
        kept &= height >= SCALE_TOLERANCE * highest
        row, col, sigma = row[kept], col[kept], sigma[kept]
        needed = np.maximum(min_prominence * seen[row, col], RIDGE_NOISE_SIGMA * sigma)
        kept = measure_prominence(seen, row, col, inner) >= needed
        row, col = row[kept], col[kept]
        for i, j in NEAR:
            taken[row + i, col + j] = True
        dx, dy = fit_quadratic_peak(seen, row, col)
        width = np.full(row.size, np.hypot(BLOB_SIGMA_PER_INNER * inner, BASE_SIGMA))
        parts.append(Peaks(row=row, col=col, x=col + dx, y=row + dy, sigma_px=width))
    return Peaks.joined(parts)


def measure_prominence(
    response: FloatImage, row: IndexArray, col: IndexArray, inner: float
) -> FloatArray:
    """How far a peak rises above the highest of the ways that lead across it.

    Along a ridge (the limb, an edge of hardware) the response stays high on two opposite sides.

    `response` (h, w): a filtered image; `row`, `col` (N,): its peaks; `inner`: sigma of the filter;
    the sides are looked at 1.5 to 2.5 of it away. Gives (N,): in units of the response.
    """
    angle = np.arange(SIDE_DIRECTIONS) * (2.0 * np.pi / SIDE_DIRECTIONS)
    radius = SIDE_RADII[:, None] * inner
    at_row = row[:, None, None] + radius * np.sin(angle)
    at_col = col[:, None, None] + radius * np.cos(angle)
    sides = map_coordinates(response, np.stack([at_row, at_col]), order=1, mode="nearest")
    lowest = sides.min(axis=1)
    half = SIDE_DIRECTIONS // 2
    ways = np.minimum(lowest[:, :half], lowest[:, half:])
    return np.asarray(response[row, col] - ways.max(axis=1), float)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """An octave, and what is known of its pixels besides their light.

    Noise is white noise per pixel of the image that explains what the octave's responses show.
    JPEG, demosaicing and cloud make noise that is stronger at some scales than white noise of the
    finest pixels would be: so it is measured anew in each octave, between the lights.
    """

    whole: Octave
    step: int  # pixels of the image along a pixel of the octave
    # level, ignored, (h, w), and areas: of the image
    level: FloatImage
    ignored: BoolImage
    areas: ClippedAreas
    boxes: FloatImage  # (rows, cols): one sigma of a pixel of the image, between the lights
    unlit: BoolImage  # (h, w): pixels of the octave between the lights

    @classmethod
    def of_first_octave(
        cls,
        first: Octave,
        scale_px: float,
        *,
        level: FloatImage,
        ignored: BoolImage,
        areas: ClippedAreas,
    ) -> Surroundings:
        """Find the pixels between the lights and their noise, in boxes of that size."""
        mesh = Mesh.with_scale(first.base.shape, scale_px)
        # Lit is what the blurred image shows: single noisy pixels do not make it, and so the
        # noise left between the lights keeps both its sides.
        samples = mesh.samples(np.where(ignored, np.float32(np.nan), first.outer))
        middle, sigma = (smooth_boxes(boxes) for boxes in estimate_lowest_mode(samples, 0.0))
        unlit = (first.outer <= mesh.upsample(middle + np.float32(LIT_SIGMA) * sigma)) & ~ignored
        boxes = smooth_boxes(_mask_between_lights(mesh, first, unlit, 1))
        boxes = np.where(boxes < ROUNDING_SIGMA, np.float32(CLIPPED_BLACK_SIGMA), boxes)
        return cls(
            whole=first, step=1, level=level, ignored=ignored, areas=areas, boxes=boxes, unlit=unlit
        )

    def of_coarser(self, octave: Octave, step: int, finer: Surroundings) -> Surroundings:
        """Those of a coarser octave; where lights leave no room, noise grows as in the finer."""
        mesh = Mesh.with_boxes(octave.base.shape, *self.boxes.shape)
        room = self.unlit[::step, ::step].astype(np.uint8)
        unlit = cv2.erode(room, np.ones((5, 5), np.uint8)).astype(bool)
        growth = _mask_between_lights(mesh, octave, unlit, step) / self.boxes
        before = finer.boxes / self.boxes
        known = np.isfinite(growth)
        typical = np.median(growth[known]) if known.any() else np.median(before)
        growth = np.where(known, growth, np.maximum(before, typical)).astype(np.float32)
        boxes = smooth_boxes(np.maximum(growth, np.float32(0.5))) * self.boxes
        return replace(self, whole=octave, step=step, boxes=boxes, unlit=unlit)

    def between_lights(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Noise at pixels of the octave as if no light were near."""
        mesh = Mesh.with_boxes(self.whole.base.shape, *self.boxes.shape)
        return mesh.at(self.boxes, row, col)

    def noise_under_light(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Noise at pixels of the octave where light lies around.

        Shot noise grows with the root of the light. Noise of 8-bit sRGB pixels, rounded and
        compressed, grows with the slope of sRGB, from where the background shows it.
        """
        dark = np.maximum(self.level[row * self.step, col * self.step].astype(float), 0.0)
        bright = dark + np.maximum(self.whole.outer[row, col].astype(float), 0.0)
        white = self.between_lights(row, col)
        shot = white * np.sqrt((bright + DARK_LIGHT) / (dark + DARK_LIGHT))
        steeper = _srgb_slope(bright) - _srgb_slope(dark)  # what the background did not show
        return np.asarray(np.hypot(shot, LEVEL_NOISE / 255.0 * steeper))

    def clutter(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """White noise that would look like the texture around pixels of the octave, lights and all.

        Where bumps stand side by side (broken cloud, quilted hardware) none of them is a light; a
        light stands out, for most of its surroundings lie between the lights.
        """
        mesh, boxes = self._clutter
        return mesh.at(boxes, row, col)

    @cached_property
    def _clutter(self) -> tuple[Mesh, FloatImage]:
        mesh = Mesh.with_scale(self.whole.base.shape, CLUTTER_BOX_PX)
        samples = mesh.samples(self.whole.responses[0], CLUTTER_SAMPLES_ACROSS)
        gain = np.float32(compute_noise_gain(INNER_SIGMAS[0] * self.step))
        return mesh, fill_holes(estimate_upper_spread(samples)) / gain

    @cached_property
    def scale_ratios(self) -> tuple[float, ...]:
        """Noise between the lights at each scale over that at the first, as multiples of white."""
        chosen = self.unlit.ravel()[::RATIO_THINNING]
        if np.count_nonzero(chosen) < MIN_RATIO_PIXELS:
            return (1.0,) * len(INNER_SIGMAS)
        white = [
            float(np.median(np.abs(response.ravel()[::RATIO_THINNING][chosen])))
            / compute_noise_gain(inner)
            for response, inner in zip(self.whole.responses, INNER_SIGMAS, strict=True)
        ]
        return tuple(max(1.0, one / white[0]) if white[0] > 0.0 else 1.0 for one in white)

    def clip_radius(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Half of the longer side, in pixels of the image, of the clipped area at pixels.

        0 outside; infinite where no blob may be.
        """
        row, col = row * self.step, col * self.step
        return np.where(self.ignored[row, col], np.inf, self.areas.half_side_px(row, col))


def _srgb_slope(light: FloatArray) -> FloatArray:
    """Linear light per unit of sRGB value (IEC 61966-2-1)."""
    return np.asarray(np.maximum(2.4 / 1.055 * light ** (1.4 / 2.4), 1.0 / 12.92))


def _mask_between_lights(mesh: Mesh, octave: Octave, unlit: BoolImage, step: int) -> FloatImage:
    shown = np.where(unlit, octave.responses[0], np.float32(np.nan))
    gain = compute_noise_gain(INNER_SIGMAS[0] * step)
    return spread_about_zero(mesh.samples(shown)) / np.float32(gain)
