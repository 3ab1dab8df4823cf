"""Where streaks may be: the frame's line sums that stand out; and the frame without those found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from detectors.background import select_ranks, smooth_boxes
from detectors.scale_space import blur_image
from detectors.stamps import find_nearest_pixels
from detectors.streak_frame import flatten_residual
from detectors.streak_line import Line, Path
from detectors.types import BoolImage, Columns, FloatArray, FloatImage

QUADRANTS = 4

MIN_ROWS, MAX_ROWS = 8, 256
NULL_CELL_PX = 128  # the frame's own spread of line sums is measured in cells of about this size
NULL_SLOPES, NULL_STEP = 8, 6
NORMAL_QUARTILE = 0.6745
CELL_PX, CELL_DEG = 24.0, 7.5  # of like candidates the strongest is kept
MAX_HITS = 20_000

SIGMA_PX = 1.2  # of the filter, in pixels of the binned frame
BINS = (1, 2, 4)
MIN_KNOWN = 0.5  # of a square of pixels
CLIP_SIGMA = 4.0  # one pixel counts no more than this in a candidate: stars are bright, not long
CLIP_FIT = 15.0
MIN_SIDE_PX = 48
SAMPLES = 48  # places along a candidate at which it is looked at again
STILL_THERE = 0.6


@dataclass(frozen=True, kw_only=True)
class Level:
    """Sums along digital lines through tiles of so many rows."""

    rows: int  # height of the tiles, a power of two
    # (rows, tiles, w): ``sums[s, b, x]`` is the sum along the line that enters tile b at column x
    # of its first row and moves s columns to the right until its last; what lies beyond the image
    # counts zero
    sums: FloatImage


def compute_partial_transforms(image: FloatImage, most_rows: int) -> Iterator[Level]:
    """Sums along all lines that go down and to the right by up to 45 degrees, tile by tile.

    A line of 2 h rows and slope 2 s or 2 s + 1 is a line of h rows and slope s and, below it, one
    of the same slope that starts s or s + 1 columns further right: every level takes two additions
    a pixel.

    References
    ----------
    Brady, M. L. (1998). A fast discrete approximation algorithm for the Radon transform. SIAM J.
    Comput. 27, 107-119. Nir, G., Zackay, B., Ofek, E. O. (2018). Optimal and efficient streak
    detection in astronomical images. AJ 156, 229 (parts of the transform as sums of segments).
    """
    height, width = image.shape
    extra = -height % most_rows
    full = np.pad(image, ((0, extra), (0, 0))) if extra else image
    sums: FloatImage = np.ascontiguousarray(full)[None]
    rows = 1
    yield Level(rows=rows, sums=sums)
    while rows < most_rows:
        above, below = sums[:, 0::2], sums[:, 1::2]
        longer: FloatImage = np.empty((2 * rows, sums.shape[1] // 2, width), np.float32)
        for s in range(rows):
            for step in (0, 1):
                # One image and another moved to the left; zeros come in from the right
                shift, out = s + step, longer[2 * s + step]
                cut = max(0, width - shift)
                np.add(above[s, :, :cut], below[s, :, shift : shift + cut], out=out[:, :cut])
                out[:, cut:] = above[s, :, cut:]
        sums, rows = longer, 2 * rows
        yield Level(rows=rows, sums=sums)


def turn_image(image: FloatImage, quadrant: int) -> FloatImage:
    """The image so that lines of a quadrant of directions go down and to the right.

    0: down and right, 1: down and left, 2: right and down, 3: right and up.
    """
    if quadrant >= 2:
        image = image.T
    if quadrant % 2:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def turn_places_back(
    x: FloatArray, y: FloatArray, quadrant: int, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Places of a turned image (`turn_image`) in the image itself, of that shape (h, w)."""
    height, width = shape
    if quadrant == 0:
        return x, y
    if quadrant == 1:
        return width - 1 - x, y
    if quadrant == 2:
        return y, x
    return y, height - 1 - x


@dataclass(frozen=True, kw_only=True)
class Segments(Columns):
    """Straight pieces of streaks, the strongest first, with their filters' widths; shapes (N,)."""

    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    snr: FloatArray
    sigma_px: FloatArray

    def __len__(self) -> int:
        return int(self.snr.size)


def find_segments(blurred: FloatImage, sigma_px: float, min_snr: float) -> Segments:
    """Line sums over the threshold, of like ones the strongest.

    Two and three tiles of each level, one below the other, make segments that begin at every
    tile: wherever a streak begins, one of them shows nine tenths of its signal-to-noise ratio.

    `blurred` (h, w): white noise of one sigma a pixel, and streaks, blurred by a Gaussian;
    `sigma_px`: of that Gaussian.
    """
    height, width = blurred.shape
    shape = (height, width)
    none = np.zeros(0)
    parts = [Segments(x1=none, y1=none, x2=none, y2=none, snr=none, sigma_px=none)]
    room = _Room(2, 2 * blurred.size)
    for quadrant in range(QUADRANTS):
        image = turn_image(blurred, quadrant)
        longest = max(1, min(image.shape[0], MAX_ROWS))
        most = 1 << (longest.bit_length() - 1)
        for level in compute_partial_transforms(image, most):
            if level.rows < min(MIN_ROWS, most):
                continue
            x1, y1, x2, y2, snr = _find_hits(level, image.shape, sigma_px, min_snr, room)
            x1, y1 = turn_places_back(x1, y1, quadrant, shape)
            x2, y2 = turn_places_back(x2, y2, quadrant, shape)
            width = np.full(snr.size, sigma_px)
            some = Segments(x1=x1, y1=y1, x2=x2, y2=y2, snr=snr, sigma_px=width)
            parts.append(_keep_strongest_alike(some))
    return _keep_strongest_alike(Segments.joined(parts))


class _Room:
    """Memory that is used again and again: fresh pages cost more than the sums in them."""

    def __init__(self, arrays: int, size: int) -> None:
        self._arrays = [np.empty(size, np.float32) for _ in range(arrays)]

    def view(self, index: int, shape: tuple[int, ...]) -> FloatImage:
        """An array of that shape with anything in it; more is made where it is too large."""
        size = int(np.prod(shape))
        if self._arrays[index].size < size:
            self._arrays[index] = np.empty(size, np.float32)
        return self._arrays[index][:size].reshape(shape)


def _find_hits(
    level: Level, shape: tuple[int, ...], sigma_px: float, min_snr: float, room: _Room
) -> tuple[FloatArray, ...]:
    """Ends and signal-to-noise ratio of what rises above the threshold, in the turned image."""
    spread = _spread(level, shape, sigma_px)
    rows = level.rows
    slope = np.arange(rows) / max(rows - 1, 1)
    found: list[tuple[FloatArray, ...]] = []
    for tiles, total in _stack_tiles(level, room):
        unit = compute_line_sigma(tiles * rows, slope, sigma_px)
        least = (min_snr * float(spread.min()) * unit).astype(np.float32)
        hit = np.flatnonzero(total > least[:, None, None])
        if hit.size == 0:
            continue
        s, b, x = np.unravel_index(hit, total.shape)
        flat = total.ravel()
        # Neighbours of the same slope: the ends of a row have others, which does no harm
        peak = flat[hit] >= np.maximum(flat[hit - 1], flat[np.minimum(hit + 1, flat.size - 1)])
        s, b, x = s[peak], b[peak], x[peak]
        # The least calm part of the way counts
        last = x + np.rint((tiles - 1) * slope[s] * rows).astype(np.intp)
        last = np.minimum(last, spread.shape[1] - 1)
        around = np.maximum(spread[b, x], spread[b + tiles - 1, last])
        snr = total[s, b, x] / (unit[s] * around)
        some = snr > min_snr
        s, b, x, snr = s[some], b[some], x[some], snr[some]
        if snr.size > MAX_HITS:
            best = np.argpartition(-snr, MAX_HITS)[:MAX_HITS]
            s, b, x, snr = s[best], b[best], x[best], snr[best]
        length = tiles * rows - 1
        x1, y1 = x.astype(float), (b * rows).astype(float)
        found.append((x1, y1, x1 + slope[s] * length, y1 + length, snr.astype(float)))
    if not found:
        return (np.zeros(0),) * 5
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


def _stack_tiles(level: Level, room: _Room) -> Iterator[tuple[int, FloatImage]]:
    """Sums of two and of three tiles that follow each other along a line, shape as of a level's."""
    sums, rows = level.sums, level.rows
    tiles, width = sums.shape[1:]
    if tiles < 2:
        yield 1, sums
        return
    double = room.view(0, (rows, tiles - 1, width))
    triple = room.view(1, (rows, max(tiles - 2, 0), width))
    for s in range(rows):
        one = min(width, round(s * rows / max(rows - 1, 1)))
        two = min(width, round(2 * s * rows / max(rows - 1, 1)))
        np.add(sums[s, :-1, : width - one], sums[s, 1:, one:], out=double[s, :, : width - one])
        double[s, :, width - one :] = 0.0
        if tiles > 2:
            last = sums[s, 2:, two:]
            np.add(double[s, :-1, : width - two], last, out=triple[s, :, : width - two])
            triple[s, :, width - two :] = 0.0
    yield 2, double
    if tiles > 2:
        yield 3, triple


def compute_line_sigma(rows: int, slope: ArrayLike, sigma_px: float) -> FloatArray:
    """Sigma of the sum of blurred white noise of unit sigma along a line through so many rows.

    The filter is a Gaussian across the line, cos(angle) of it a pixel of length: its square adds
    up to rows cos(angle) / (2 sqrt(pi) sigma).
    """
    return np.sqrt(rows / np.hypot(1.0, slope) / (2.0 * np.sqrt(np.pi) * sigma_px))


def _spread(level: Level, shape: tuple[int, ...], sigma_px: float) -> FloatImage:
    """How much wider line sums scatter than white noise makes them, at least 1; shape (tiles, w).

    A tile's sums at a few slopes, in cells: a streak is a small part of them, a cloud is not.
    """
    rows, sums = level.rows, level.sums
    tiles, width = sums.shape[1:]
    slopes = np.unique(np.linspace(0, rows - 1, NULL_SLOPES).astype(int))
    unit = compute_line_sigma(rows, slopes / max(rows - 1, 1), sigma_px)
    some = sums[slopes][:, :, ::NULL_STEP] / unit.astype(np.float32)[:, None, None]
    across = max(1, round(width / NULL_CELL_PX))
    group = max(1, NULL_CELL_PX // rows)
    down = -(-tiles // group)
    padded = np.full((len(slopes), down * group, across * -(-some.shape[2] // across)), np.nan)
    padded[:, :tiles, : some.shape[2]] = np.where(some == 0.0, np.nan, some)
    cells = padded.reshape(len(slopes), down, group, across, -1).transpose(1, 3, 0, 2, 4)
    cells = np.sort(np.abs(cells.reshape(down, across, -1)), axis=-1)
    count = np.isfinite(cells).sum(axis=-1)
    boxes = select_ranks(cells, 0.5 * count) / NORMAL_QUARTILE
    boxes[count < 60] = np.nan
    boxes = np.maximum(smooth_boxes(np.asarray(boxes, np.float32)), np.float32(1.0))
    full = cv2.resize(boxes, (width, down * group), interpolation=cv2.INTER_LINEAR)
    if full.shape[0] != tiles:
        full = full[:tiles]
    return np.asarray(full, np.float32)


def _keep_strongest_alike(some: Segments) -> Segments:
    """Of segments of about one place and direction the strongest."""
    if len(some) == 0:
        return some
    order = np.argsort(-some.snr, kind="stable")
    some = some.select(order)
    angle = np.degrees(np.arctan2(some.y2 - some.y1, some.x2 - some.x1)) % 180.0
    cell_x = np.floor(0.5 * (some.x1 + some.x2) / CELL_PX).astype(np.int64)
    cell_y = np.floor(0.5 * (some.y1 + some.y2) / CELL_PX).astype(np.int64)
    direction = np.floor(angle / CELL_DEG).astype(np.int64)
    key = (cell_x * 100_003 + cell_y) * 64 + direction
    first = np.unique(key, return_index=True)[1]
    return some.select(np.sort(first))


@dataclass(frozen=True, kw_only=True)
class Hunt:
    """A frame in units of its noise, stars hidden, perhaps binned."""

    light: FloatImage  # (h, w): 0 where hidden
    known: FloatImage  # (h, w): 1, or 0 where hidden
    texture: FloatImage  # (h, w): by how much clouds exceed the noise, at least 1
    bin_px: int = 1  # side of the squares of pixels added up to one

    def candidates(self, least_snr: float) -> Segments:
        """Segments that stand out of the noise."""
        cut = np.clip(self.light, -CLIP_SIGMA, CLIP_SIGMA)
        return find_segments(blur_image(cut, SIGMA_PX), SIGMA_PX, least_snr)

    def copied(self) -> Hunt:
        """The same, with light and known pixels of its own."""
        return replace(self, light=self.light.copy(), known=self.known.copy())

    def hide(self, line: Line) -> None:
        """Take the band of a streak, in pixels of this frame, away."""
        window, band = _mask_band_in_window(self.light.shape, line.path, *_choose_band_reach(line))
        self.light[window][band] = 0.0
        self.known[window][band] = 0.0


def prepare_hunt(residual: FloatImage, hidden: BoolImage, bin_px: int) -> Hunt:
    """The frame without large structure, in squares of so many pixels."""
    light, known = residual, (~hidden).astype(np.float32)
    if bin_px > 1:
        light = bin_pixels(np.where(hidden, np.float32(0.0), residual), bin_px)
        known = bin_pixels(known, bin_px) / np.float32(bin_px)
    unseen = known < MIN_KNOWN
    flat, texture = flatten_residual(light, unseen)
    cut = np.clip(flat, -CLIP_FIT, CLIP_FIT)
    return Hunt(
        light=np.where(unseen, np.float32(0.0), cut),
        known=np.where(unseen, np.float32(0.0), known),
        texture=texture,
        bin_px=bin_px,
    )


def bin_pixels(image: FloatImage, size: int) -> FloatImage:
    """Squares of pixels added up, over their side: white noise keeps its sigma."""
    h, w = (side // size for side in image.shape)
    mean = cv2.resize(image[: h * size, : w * size], (w, h), interpolation=cv2.INTER_AREA)
    return np.asarray(mean * np.float32(size), np.float32)


def mask_streak_band(shape: tuple[int, ...], line: Line) -> BoolImage:
    """Pixels with the light of a streak: as wide as it stands out of the noise."""
    window, band = _mask_band_in_window(shape, line.path, *_choose_band_reach(line))
    whole = np.zeros(shape, bool)
    whole[window] = band
    return whole


def _choose_band_reach(line: Line) -> tuple[float, float]:
    """How far a streak's light reaches to the sides, and beyond the ends."""
    inside = line.inside
    weight = float(line.weight[inside].sum())
    peak = max(float(line.signal[inside].sum()) / max(weight, 1.0), 0.1)
    # Wings of lenses are wider than a Gaussian's
    reach = line.sigma_px * (2.0 + np.sqrt(2.0 * np.log1p(peak / 0.2)) + 0.5 * np.log1p(peak))
    return float(reach), line.sigma_px + 2.0 * line.sigma_px


def _mask_band_in_window(
    shape: tuple[int, ...], path: Path, reach: float, beyond: float
) -> tuple[tuple[slice, slice], BoolImage]:
    """Rows and columns about a path, and the pixels in them that are nearer to it than that."""
    u = np.linspace(-beyond, path.length_px + beyond, max(2, int(path.length_px / 8.0) + 2))
    x, y = path.at(u, 0.0)
    width = round(reach)
    left, top = (max(0, int(np.floor(v.min())) - width - 2) for v in (x, y))
    right = min(shape[1], int(np.ceil(x.max())) + width + 3)
    bottom = min(shape[0], int(np.ceil(y.max())) + width + 3)
    paint = np.zeros((max(bottom - top, 0), max(right - left, 0)), np.uint8)
    if paint.size:
        points = [np.rint(np.stack([x - left, y - top], axis=1) * 16.0).astype(np.int32)]
        cv2.polylines(paint, points, False, (1.0,), 2 * width + 1, cv2.LINE_8, 4)
    return (slice(top, top + paint.shape[0]), slice(left, left + paint.shape[1])), paint > 0


def select_still_there(hunt: Hunt, some: Segments) -> BoolImage:
    """Candidates that have not lost much of their light to a streak that was taken away."""
    t = (np.arange(SAMPLES) + 0.5) / SAMPLES
    x = some.x1[:, None] + (some.x2 - some.x1)[:, None] * t
    y = some.y1[:, None] + (some.y2 - some.y1)[:, None] * t
    return np.asarray(
        hunt.known[find_nearest_pixels(hunt.known.shape, x, y)].mean(axis=1) > STILL_THERE
    )
