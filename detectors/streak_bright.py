"""Obviously bright streaks: areas far above the noise that are long, straight and even."""

from __future__ import annotations

import cv2
import numpy as np

from detectors.psf import FWHM_PER_SIGMA, find_nearest_pixels
from detectors.streak_describe import is_piece, join_line
from detectors.streak_frame import FLAT_SIGMA_PX, StreakFrame, subtract_level
from detectors.streak_line import (
    WIDEST_PX,
    Line,
    Path,
    find_longest_run,
    fit_line,
    follow_line,
    refit_line,
    strip_along,
)
from detectors.streak_search import Hunt, bin_pixels, mask_streak_band
from detectors.streak_stars import TRACK_SHARE, find_sharp_pixels, measure_sharp_share
from detectors.types import BoolImage, FloatArray, FloatImage

SIDE_DARK = 0.5  # of the light in the middle, three half widths away

BINS = (1, 2, 4, 8)
MIN_SIDE_PX = 48
# A pixel of a bright streak stands out so far of the noise and of what lies about it
LIT_SIGMA = (6.0, 25.0)
MIN_SNR = 30.0
SHORTEST_PX = 12
NEAR_PX = 1.2


def is_bright_streak(line: Line, above: FloatImage, known: FloatImage, bin_px: int) -> bool:
    """Judge a fitted line, in pixels of that frame."""
    width = FWHM_PER_SIGMA * line.sigma_px
    length = line.path.length_px
    if length * bin_px < 20.0 or length < 4.4 * width:
        return False
    if line.sigma_px > 0.95 * WIDEST_PX:
        return False
    short = length < 12.0 * width  # a short one must be more even than a long one
    if short and bin_px > 1:  # galaxies and clouds are
        return False
    off = 1.5 * width + 1.0
    strip = strip_along(above, known, line.path, beyond_px=0.0, half_px=2.0 * off + 1.0)
    steps = (strip.u > 0.5 * width) & (strip.u < length - 0.5 * width)
    lights = strip.light[steps]
    middle = lights[:, np.abs(strip.v) <= 0.5 * width].mean(axis=1)
    if middle.size < 8:
        return False
    left = lights[:, np.abs(strip.v + off) <= 1.0].mean(axis=1)
    right = lights[:, np.abs(strip.v - off) <= 1.0].mean(axis=1)
    usual = float(np.median(middle))
    dark = np.maximum(left, right) < SIDE_DARK * np.minimum(middle, usual)
    if float(np.median(np.maximum(left, right))) > SIDE_DARK * usual:
        return False
    if float((dark & (middle > 0.25 * usual)).mean()) < (0.95 if short else 0.85):
        return False
    low, high = np.quantile(middle, (0.2, 0.8))
    # The fifth percentile of twenty over the eightieth
    if low < (0.5 if short else 0.3) * high:
        return False
    # Along columns or rows charge bleeds and sensors are read; in squares of pixels the star and
    # what bleeds from it are no longer told apart
    cos, sin = line.path.along
    on_axis = min(abs(cos), abs(sin)) < np.sin(np.radians(1.5))
    return not (on_axis and (bin_px > 1 or _bleeds(line, lights, strip.v, above.shape)))


def _bleeds(line: Line, lights: FloatImage, v: FloatArray, shape: tuple[int, ...]) -> bool:
    """Whether a line along an axis comes out of a star, or out of the border, or is the border.

    A streak beside the border shows its own middle: light falls off to the outside, too.
    """
    path = line.path
    h, w = shape
    along_x = abs(path.along[0]) > abs(path.along[1])
    for x, y in ((path.x1, path.y1), (path.x2, path.y2)):
        ahead, beside = min(x, w - 1 - x), min(y, h - 1 - y)
        if not along_x:
            ahead, beside = beside, ahead
        if ahead < 3.0 or beside < line.sigma_px:
            return True
    # A star is wider than what bleeds from it
    width = FWHM_PER_SIGMA * line.sigma_px
    beside = (np.abs(v) > width + 0.5) & (np.abs(v) < 2.0 * width + 2.0)
    core = lights[:, beside].mean(axis=1)
    # A star's wings stand beside the line in one place, a streak's own along all of it
    return bool(core.max() > 8.0 + 4.0 * max(float(np.quantile(core, 0.25)), 0.0))


def find_bright_lines(frame: StreakFrame) -> tuple[list[Line], list[Line]]:
    """Find streaks that are obvious, and tracks of particles, too sharp for light.

    They are found before stars and clipped pixels are hidden, clipped or not.

    In squares of 1, 2, 4 and 8 pixels, so that wide ones are narrow in one of them. Short ones
    count as streaks where they are few: many are the stars' trails, knots or letters, and need a
    closer look.

    They are in pixels of the frame.
    """
    lines: list[Line] = []
    free = ~frame.ignored
    coarsest = max([s for s in BINS if min(frame.residual.shape) >= s * MIN_SIDE_PX] or [1])
    for size in (s for s in BINS if s <= coarsest):
        light, known = frame.residual, free.astype(np.float32)
        if size > 1:
            light, known = (
                bin_pixels(light * known, size),
                bin_pixels(known, size) / np.float32(size),
            )
        widest = 5.5 if size < coarsest else np.inf  # the median takes light away from wider ones
        for line in _find_bright_streaks(light, known, size, widest):
            full = line.scaled(size)
            if not is_piece(full, lines):
                lines.append(full)
                free &= ~mask_streak_band(free.shape, full)
    short = [line for line in lines if line.path.length_px < 160.0 * line.bin_px]
    if not short:
        return lines, []
    sharp = find_sharp_pixels(frame.residual) & ~frame.clipped
    tracks = [line for line in short if measure_sharp_share(line.path, sharp) > TRACK_SHARE]
    many = len(short) > 3
    crowd = [*tracks, *(line for line in short if many or line.snr < 45.0)]
    return [line for line in lines if not any(line is other for other in crowd)], tracks


def measure_in_own_light(frame: StreakFrame, lines: list[Line], hidden: BoolImage) -> list[Line]:
    """Lines, the bright ones measured again above a level that neither they nor stars have raised.

    The median that shows them takes light from their profile, unevenly also beside them, where
    that counts as scatter. Others, which have a false-alarm figure, stay as they are.

    `lines`: in pixels of the frame; `hidden` (h, w): their bands and all else that stands out.
    """
    sizes = {line.bin_px for line in lines if np.isnan(line.log10_false_alarm)}
    if not sizes:
        return lines
    light = subtract_level(frame.residual, ~hidden, FLAT_SIGMA_PX)
    known = (~frame.ignored).astype(np.float32)
    frames = {
        size: (bin_pixels(light * known, size), bin_pixels(known, size) / np.float32(size))
        if size > 1
        else (light, known)
        for size in sizes
    }
    measures = []
    for line in lines:
        if np.isnan(line.log10_false_alarm):
            light, known = frames[line.bin_px]
            own = line.scaled(1.0 / line.bin_px)
            again = refit_line(_cut(light, own.path)[0] * known, known, own)
            line = again.scaled(line.bin_px)
        measures.append(line)
    return measures


def _find_bright_streaks(
    light: FloatImage, known: FloatImage, size: int, widest_px: float
) -> list[Line]:
    """Bright streaks of one size of squares."""
    # Median of the pixels about each; in steps that grow with the light
    coded = np.clip(np.arcsinh(light) * 24.0 + 48.0, 0.0, 255.0)
    # A median forgets what is narrower than half of it
    middle = cv2.medianBlur(np.rint(coded).astype(np.uint8), 21)
    level = np.asarray(np.sinh((middle.astype(np.float32) - 48.0) / 24.0))
    above = np.asarray(light - level, np.float32)
    hunt = Hunt(light=above, known=known, texture=np.ones_like(above), bin_px=size)
    lines: list[Line] = []
    free = known > 0.5
    for least in LIT_SIGMA:
        lit = (above > size * least + 0.2 * np.maximum(level, 0.0)) & free
        for rough, sigma in rough_lines(lit):
            line = _fit_least_squares(above, known, rough, sigma)
            if line is None or FWHM_PER_SIGMA * line.sigma_px > widest_px:
                continue
            if not is_bright_streak(line, above, known, size):
                continue
            if join_line(hunt, lines, line) is None:
                line = follow_line(above, known, line)
                lines.append(line)
            free &= ~mask_streak_band(free.shape, line)
    return lines


def rough_lines(lit: BoolImage, min_filled: float = 0.4) -> list[tuple[Path, float]]:
    """Straight lines in the largest connected areas, with a width of each.

    `min_filled`: places of its ridge to a pixel of a line; a slanted one has 0.7.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(lit.astype(np.uint8))
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    area = stats[:, cv2.CC_STAT_AREA].astype(float)
    # A disc has an extent of 1.25 times the root of its area, and a square of 1.41
    wanted = (extent >= SHORTEST_PX) & (extent > 1.6 * np.sqrt(area))
    wanted[0] = False
    order = np.flatnonzero(wanted)
    order = order[np.argsort(-extent[order], kind="stable")][:40]
    found: list[tuple[Path, float]] = []
    for index in order.tolist():
        left, top, width, height, _ = (int(value) for value in stats[index])
        part = labels[top : top + height, left : left + width] == index
        padded = np.pad(part, 1).astype(np.uint8)
        depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
        ridge = (depth > 0.0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)) - 0.01)
        row, col = np.nonzero(ridge)
        places = np.stack([col + left - 1.0, row + top - 1.0], axis=1)
        found += _lines_through(places, depth[row, col].astype(float), min_filled)
    return found


def _lines_through(
    places: FloatArray, depth: FloatArray, min_filled: float
) -> list[tuple[Path, float]]:
    """Lines along which most places of a ridge lie, one after the other (RANSAC)."""
    rng = np.random.default_rng(0)
    found: list[tuple[Path, float]] = []
    if len(places) > 2000:
        some = np.sort(rng.choice(len(places), 2000, replace=False))
        places, depth = places[some], depth[some]
    for _ in range(4):
        if len(places) < SHORTEST_PX // 2:
            break
        pairs = rng.integers(len(places), size=(150, 2))
        start, step = places[pairs[:, 0]], places[pairs[:, 1]] - places[pairs[:, 0]]
        length = np.hypot(*step.T)
        pairs_used = length > 0.5 * SHORTEST_PX
        if not pairs_used.any():
            break
        start, step = start[pairs_used], step[pairs_used] / length[pairs_used, None]
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1)
        off = np.abs(places @ normal.T - (start * normal).sum(axis=1))
        best = int(np.argmax((off < NEAR_PX).sum(axis=0)))
        near = off[:, best] < NEAR_PX
        along = (places[near] - start[best]) @ step[best]
        width = 2.0 * float(np.median(depth[near]))
        u1, u2 = find_longest_run(along, 6.0 + width)
        filled = np.count_nonzero((along >= u1) & (along <= u2))
        if u2 - u1 < max(SHORTEST_PX - 3, 2.0 * width) or filled < min_filled * (u2 - u1):
            break
        first, last = start[best] + u1 * step[best], start[best] + u2 * step[best]
        if first[0] > last[0]:
            first, last = last, first
        x1, y1, x2, y2 = (float(value) for value in (*first, *last))
        found.append((Path(x1=x1, y1=y1, x2=x2, y2=y2), max(0.45, 0.35 * width)))
        rest = off[:, best] > NEAR_PX + width
        places, depth = places[rest], depth[rest]
    return found


def _fit_least_squares(
    above: FloatImage, known: FloatImage, rough: Path, sigma: float
) -> Line | None:
    """The least-squares line; stars on it count no more than it does."""
    if sigma > WIDEST_PX:
        return None
    cut, level = _cut(above, rough)
    if level < LIT_SIGMA[0]:
        return None
    line = fit_line(cut * known, known, rough, sigma, MIN_SNR)
    return None if line is None or line.snr < MIN_SNR else line


def _cut(above: FloatImage, path: Path) -> tuple[FloatImage, float]:
    """The light without what is far brighter than the usual light of a path, and that."""
    x, y = path.at(np.arange(0.0, path.length_px + 1.0), 0.0)
    level = float(np.median(above[find_nearest_pixels(above.shape, x, y)]))
    # What is brighter along a streak than 1.5 times its own level is a star
    return np.clip(above, -1.5 * level, 1.5 * level), level
