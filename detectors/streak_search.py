"""Where streaks may be: the frame's line sums that stand out; and the frame without those found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import log_ndtr

from detectors.background import select_ranks, smooth_boxes
from detectors.psf import find_nearest_pixels
from detectors.streak_frame import flatten_residual
from detectors.streak_line import Line
from detectors.types import BoolImage, Columns, FloatArray, FloatImage

NULL_CELL_PX = 128  # the frame's own spread of line sums is measured in cells of about this size
MAX_HITS = 20_000

SIGMA_PX = 1.2  # of the filter, in pixels of the binned frame
BINS = (1, 2, 4)
MIN_SIDE_PX = 48


def compute_partial_transforms(image: FloatImage, most_rows: int) -> Iterator[FloatImage]:
    """Sums along all lines that go down and to the right by up to 45 degrees, tile by tile.

    Levels have the shape (rows, tiles, w), where the rows of a tile are a power of two: ``sums[s,
    b, x]`` is the sum along the line that enters tile b at column x of its first row and moves s
    columns to the right until its last; what lies beyond the image counts zero.

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
    yield sums
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
        yield sums


@dataclass(frozen=True, kw_only=True)
class Segments(Columns):
    """Straight pieces of streaks, the strongest first, with their filters' widths; shapes (N,)."""

    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    snr: FloatArray
    sigma_px: FloatArray


def find_segments(blurred: FloatImage, sigma_px: float, min_snr: float) -> Segments:
    """Line sums over the threshold, of like ones the strongest.

    Two and three tiles of each level, one below the other, make segments that begin at every
    tile: wherever a streak begins, one of them shows nine tenths of its signal-to-noise ratio.

    `blurred` (h, w): white noise of one sigma a pixel, and streaks, blurred by a Gaussian;
    `sigma_px`: of that Gaussian.
    """
    parts = [Segments.empty()]
    # Memory that is used again and again: fresh pages cost more than the sums in them
    room = [np.empty(2 * blurred.size, np.float32) for _ in range(2)]
    for quadrant in range(4):
        # The image so that lines of a quadrant of directions go down and to the right: 0 down and
        # right, 1 down and left, 2 right and down, 3 right and up
        image = blurred.T if quadrant >= 2 else blurred
        image = np.ascontiguousarray(image[:, ::-1] if quadrant % 2 else image)
        longest = max(1, min(image.shape[0], 256))
        most = 1 << (longest.bit_length() - 1)
        for sums in compute_partial_transforms(image, most):
            if len(sums) < min(8, most):
                continue
            x1, y1, x2, y2, snr = _find_hits(sums, sigma_px, min_snr, room)
            if quadrant % 2:
                x1, x2 = image.shape[1] - 1 - x1, image.shape[1] - 1 - x2
            if quadrant >= 2:
                x1, y1, x2, y2 = y1, x1, y2, x2
            sigmas = np.full(snr.size, sigma_px)
            some = Segments(x1=x1, y1=y1, x2=x2, y2=y2, snr=snr, sigma_px=sigmas)
            parts.append(_keep_strongest_alike(some))
    return _keep_strongest_alike(Segments.joined(parts))


def _find_hits(
    sums: FloatImage, sigma_px: float, min_snr: float, room: list[FloatImage]
) -> tuple[FloatArray, ...]:
    """Ends and signal-to-noise ratio of what rises above the threshold, in the turned image."""
    spread = _spread(sums, sigma_px)
    rows = len(sums)
    slope = np.arange(rows) / max(rows - 1, 1)
    found: list[tuple[FloatArray, ...]] = []
    for tiles, total in _stack_tiles(sums, room):
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


def _stack_tiles(sums: FloatImage, room: list[FloatImage]) -> Iterator[tuple[int, FloatImage]]:
    """Sums of two and of three tiles that follow each other along a line, shape as of a level's."""
    rows, tiles, width = sums.shape
    if tiles < 2:
        yield 1, sums
        return
    shapes = (rows, tiles - 1, width), (rows, max(tiles - 2, 0), width)
    for index, shape in enumerate(shapes):
        if room[index].size < int(np.prod(shape)):
            room[index] = np.empty(int(np.prod(shape)), np.float32)
    double, triple = (
        memory[: int(np.prod(shape))].reshape(shape)
        for memory, shape in zip(room, shapes, strict=True)
    )
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


def _spread(sums: FloatImage, sigma_px: float) -> FloatImage:
    """How much wider line sums scatter than white noise makes them, at least 1; shape (tiles, w).

    A tile's sums at a few slopes, in cells: a streak is a small part of them, a cloud is not.
    """
    rows, tiles, width = sums.shape
    slopes = np.unique(np.linspace(0, rows - 1, 8).astype(int))
    unit = compute_line_sigma(rows, slopes / max(rows - 1, 1), sigma_px)
    some = sums[slopes][:, :, ::6] / unit.astype(np.float32)[:, None, None]
    across = max(1, round(width / NULL_CELL_PX))
    group = max(1, NULL_CELL_PX // rows)
    down = -(-tiles // group)
    padded = np.full((len(slopes), down * group, across * -(-some.shape[2] // across)), np.nan)
    padded[:, :tiles, : some.shape[2]] = np.where(some == 0.0, np.nan, some)
    cells = padded.reshape(len(slopes), down, group, across, -1).transpose(1, 3, 0, 2, 4)
    cells = np.sort(np.abs(cells.reshape(down, across, -1)), axis=-1)
    count = np.isfinite(cells).sum(axis=-1)
    boxes = select_ranks(cells, 0.5 * count) / 0.6745
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
    # Of like candidates the strongest is kept
    cell_x = np.floor(0.5 * (some.x1 + some.x2) / 24.0).astype(np.int64)
    cell_y = np.floor(0.5 * (some.y1 + some.y2) / 24.0).astype(np.int64)
    direction = np.floor(angle / 7.5).astype(np.int64)
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

    def hide(self, line: Line) -> None:
        """Take the band of a streak, in pixels of this frame, away."""
        window, band = _mask_band_in_window(self.light.shape, line)
        self.light[window][band] = 0.0
        self.known[window][band] = 0.0


def prepare_hunt(residual: FloatImage, hidden: BoolImage, bin_px: int) -> Hunt:
    """The frame without large structure, in squares of so many pixels."""
    light, known = residual, (~hidden).astype(np.float32)
    if bin_px > 1:
        light = bin_pixels(np.where(hidden, np.float32(0.0), residual), bin_px)
        known = bin_pixels(known, bin_px) / np.float32(bin_px)
    unseen = known < 0.5
    flat, texture = flatten_residual(light, unseen)
    cut = np.clip(flat, -15.0, 15.0)
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
    window, band = _mask_band_in_window(shape, line)
    whole = np.zeros(shape, bool)
    whole[window] = band
    return whole


def _mask_band_in_window(
    shape: tuple[int, ...], line: Line
) -> tuple[tuple[slice, slice], BoolImage]:
    """Rows and columns about a line, and the pixels in them that its light reaches."""
    inside, path, beyond = line.inside, line.path, line.sigma_px + 2.0 * line.sigma_px
    weight = float(line.weight[inside].sum())
    peak = max(float(line.signal[inside].sum()) / max(weight, 1.0), 0.1)
    # Wings of lenses are wider than a Gaussian's
    reach = line.sigma_px * (2.0 + np.sqrt(2.0 * np.log1p(peak / 0.2)) + 0.5 * np.log1p(peak))
    u = np.linspace(-beyond, path.length_px + beyond, max(2, int(path.length_px / 8.0) + 2))
    x, y = path.at(u, 0.0)
    width = round(float(reach))
    left, top = (max(0, int(np.floor(v.min())) - width - 2) for v in (x, y))
    right = min(shape[1], int(np.ceil(x.max())) + width + 3)
    bottom = min(shape[0], int(np.ceil(y.max())) + width + 3)
    paint = np.zeros((max(bottom - top, 0), max(right - left, 0)), np.uint8)
    if paint.size:
        points = [np.rint(np.stack([x - left, y - top], axis=1) * 16.0).astype(np.int32)]
        cv2.polylines(paint, points, False, (1.0,), 2 * width + 1, cv2.LINE_8, 4)
    return (slice(top, top + paint.shape[0]), slice(left, left + paint.shape[1])), paint > 0


def select_still_there(hunt: Hunt, some: Segments) -> BoolImage:
    """Candidates of which 0.6 of 48 places are not lost to a streak that was taken away."""
    t = (np.arange(48) + 0.5) / 48
    x = some.x1[:, None] + (some.x2 - some.x1)[:, None] * t
    y = some.y1[:, None] + (some.y2 - some.y1)[:, None] * t
    return np.asarray(hunt.known[find_nearest_pixels(hunt.known.shape, x, y)].mean(axis=1) > 0.6)


# Tiles are wider than a star and shorter than a streak. They are shuffled within blocks, since
# stars, clouds and noise vary over a frame
TILE_PX = 16
# log10 of the number of lines in white noise at the SNR from which lines of a shuffled frame count
LOG10_WHITE_LINES = 0.2
# Prior of the tail: equivalent number of lines, and mean excess SNR of white noise
PRIOR_LINES, PRIOR_EXCESS = 2.0, 0.17
# Rows of a few stars are short, so short and long lines have separate tails
SHORT_PX = 60.0
CLEAR_SNR = 40.0  # above it, a chance line is excluded


def log10_false_alarm(snr: ArrayLike, pixels: int) -> FloatArray:
    """Compute log10 of the expected number of white-noise streaks of at least the given SNR.

    Expected number = trials per pixel x pixels x Q(snr), where Q is the tail of the normal
    distribution. The number of trials is the look-elsewhere correction: independent segments
    (positions, directions, lengths) per pixel, estimated. In white noise, the number of candidates
    above a threshold is that of 14 normal deviates per pixel. The fit, which also adjusts ends, bow
    and width, is assumed to have ten times as many.
    """
    tail = log_ndtr(-np.asarray(snr, float)) / np.log(10.0)
    return np.asarray(tail + np.log10(150.0 * pixels))


def snr_for(log10_expected: float, pixels: int) -> float:
    """Find the SNR at which white noise gives a certain expected number of streaks in a frame."""
    return float(
        brentq(lambda snr: float(log10_false_alarm(snr, pixels)) - log10_expected, 0.0, 40.0)
    )


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Distribution of the signal-to-noise ratio of chance lines in a frame without streaks."""

    pixels: int
    least_snr: float = 0.0
    # For short and for long lines: number above `least_snr`, and mean excess above it
    counts: tuple[float, float] = (0.0, 0.0)
    excess: tuple[float, float] = (PRIOR_EXCESS, PRIOR_EXCESS)

    @classmethod
    def of(
        cls, lines: Sequence[Line], chains: Sequence[Line], least_snr: float, pixels: int
    ) -> Chance:
        """Estimate from lines found in a shuffled frame, with lengths in pixels of the frame.

        `chains`: lines rejected as star chains; a share of such chains passes in other cases.
        """
        counts, excess = [], []
        for is_long in (False, True):
            passed, refused = (
                [
                    one.snr - least_snr
                    for one in some
                    if (one.path.length_px >= SHORT_PX) == is_long and one.snr > least_snr
                ]
                for some in (lines, chains)
            )
            # A share of star chains passes; it is used even if all of them were rejected
            counts.append(len(passed) + 0.3 * len(refused))
            total = PRIOR_LINES * PRIOR_EXCESS + float(np.sum(passed + refused))
            excess.append(total / (PRIOR_LINES + len(passed) + len(refused)))
        return cls(
            pixels=pixels,
            least_snr=least_snr,
            counts=(counts[0], counts[1]),
            excess=(excess[0], excess[1]),
        )

    def log10_expected(self, line: Line) -> float:
        """Compute log10 of the expected number of chance lines with at least the SNR of a line.

        It is the larger of the numbers for white noise and for the shuffled frame. The latter
        decreases exponentially above `least_snr`, as the sum of a few stars does.
        """
        white = float(log10_false_alarm(line.snr, self.pixels))
        which = int(line.path.length_px >= SHORT_PX)
        if self.counts[which] == 0:
            return white
        over = (line.snr - self.least_snr) / self.excess[which] / np.log(10.0)
        return max(white, float(np.log10(self.counts[which]) - over))


def shuffle_tiles(hunt: Hunt) -> Hunt:
    """Shuffle the tiles of a frame within blocks, half of them rotated by 180 degrees.

    This removes structures longer than a tile. Stars, correlated noise, and the directions of rows
    and trails are preserved.
    """
    rng = np.random.default_rng(0)
    rows, cols = (side // TILE_PX for side in hunt.light.shape)
    order = np.arange(rows * cols).reshape(rows, cols)
    for top in range(0, rows, 8):
        for left in range(0, cols, 8):
            block = (slice(top, top + 8), slice(left, left + 8))
            order[block] = rng.permutation(order[block].ravel()).reshape(order[block].shape)
    turned, tile = rng.random(order.size) < 0.5, TILE_PX
    moved = []
    for image in (hunt.light, hunt.known):
        cut = image[: rows * tile, : cols * tile]
        tiles = cut.reshape(rows, tile, cols, tile).transpose(0, 2, 1, 3).reshape(-1, tile, tile)
        tiles = tiles[order.ravel()]
        tiles[turned] = tiles[turned][:, ::-1, ::-1]
        whole = tiles.reshape(rows, cols, tile, tile).transpose(0, 2, 1, 3)
        moved.append(np.ascontiguousarray(whole.reshape(rows * tile, cols * tile)))
    return replace(hunt, light=moved[0], known=moved[1])
