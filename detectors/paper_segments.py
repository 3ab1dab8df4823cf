"""Straight segments in a map of streak pixels: connected parts, a line each, and what joins up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from detectors.stamps import nearest_pixels
from detectors.streak_line import longest_run
from detectors.types import BoolImage, FloatArray, FloatImage

MOST_SCORED = 2000  # points that judge a line: the share of inliers is then good to 1 %

MOST_COMPONENTS, MOST_LINES = 200, 4  # the longest of a frame, and lines of one
CORE_QUANTILE, CORE_SHARE = 0.75, 0.5  # pixels half as bright as that quantile are of the core
WIDEST_HOLE_PX = 3.0  # of a line within one component
BESIDE_PX = 12.0  # pixels up to here count for how wide a line is


@dataclass(frozen=True, kw_only=True)
class LineFit:
    """A line and the points that lie on it."""

    middle: FloatArray  # (2,): a point of the line, x and y: the centroid of the inliers
    direction: FloatArray  # (2,): unit vector along it
    inliers: BoolImage  # (n,)

    def along(self, points: FloatArray) -> FloatArray:
        """Distances along the line from its middle, shape (n,)."""
        return np.asarray((points - self.middle) @ self.direction)

    def across(self, points: FloatArray) -> FloatArray:
        """Distances to the right of the line (y points down), shape (n,)."""
        offset = points - self.middle
        return offset[:, 1] * self.direction[0] - offset[:, 0] * self.direction[1]


def robust_line(
    points: FloatArray,
    rng: np.random.Generator,
    *,
    inlier_px: float = 2.0,
    trials: int = 200,
    weights: FloatArray | None = None,
) -> LineFit | None:
    """The line on which most points lie.

    Lines through pairs of points are judged, all at once, by the sum of min(d^2, inlier_px^2): of
    two with as many inliers the one that fits them better wins (MSAC). The best line is fitted to
    its inliers by total least squares, twice.

    References
    ----------
    Fischler, M. A., Bolles, R. C. (1981). Random sample consensus. CACM 24, 381-395.
    Torr, P. H. S., Zisserman, A. (2000). MLESAC. CVIU 78, 138-156 (MSAC).
    """
    if len(points) < 2:
        return None
    pairs = points[rng.integers(0, len(points), (trials, 2))]
    steps = pairs[:, 1] - pairs[:, 0]
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    pairs, steps = pairs[lengths > 0.0], steps[lengths > 0.0] / lengths[lengths > 0.0, None]
    if len(pairs) == 0:
        return None
    judges = points
    if len(points) > MOST_SCORED:
        judges = points[rng.choice(len(points), MOST_SCORED, replace=False)]
    normals = np.column_stack([-steps[:, 1], steps[:, 0]])
    distances = normals @ judges.T - np.einsum("ij,ij->i", normals, pairs[:, 0])[:, None]
    costs = np.minimum(np.square(distances), inlier_px**2).sum(axis=1)
    best = int(np.argmin(costs))
    fit = LineFit(middle=pairs[best, 0], direction=steps[best], inliers=np.ones(len(points), bool))
    for _ in range(2):
        near = np.abs(fit.across(points)) <= inlier_px
        if np.count_nonzero(near) < 2:
            break
        fit = least_squares_line(points, near, weights)
    return fit


def least_squares_line(
    points: FloatArray, chosen: BoolImage, weights: FloatArray | None = None
) -> LineFit:
    """Line of least squared distances to the chosen points, shape (n, 2) and (n,)."""
    own = points[chosen]
    weight = np.ones(len(own)) if weights is None else np.maximum(weights[chosen], 1e-9)
    middle = np.average(own, axis=0, weights=weight)
    offset = own - middle
    _, vectors = np.linalg.eigh((offset * weight[:, None]).T @ offset)
    direction = vectors[:, 1]
    if (direction[0], direction[1]) < (0.0, 0.0):
        direction = -direction
    return LineFit(middle=middle, direction=direction, inliers=chosen)


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """Parameters of lines through streak pixels."""

    inlier_px: float = 2.5  # pixels nearer than this to a line lie on it
    trials: int = 200  # pairs of pixels tried for each line
    fewest_pixels: int = 15  # smaller components are noise
    shortest_part_px: float = 10.0  # shorter parts are none
    # A line is so many times as long as the pixels about it are wide: else they are a patch
    longer_than_wide: float = 2.0
    widest_part_px: float = 12.0  # they are one, too, where they are wider than this
    widest_gap_px: float = 60.0  # parts farther apart are not joined
    off_line_px: float = 2.5  # ends of joined parts lie at most this far from their common line


def component_segments(
    streak: BoolImage, light: FloatImage, rng: np.random.Generator, settings: SegmentSettings
) -> FloatArray:
    """Thin straight segments in the connected parts of a map.

    `streak` (h, w); `light` (h, w): denoised light above the sky: lines are fitted to the bright
    cores of the parts. Gives (N, 4): x1, y1, x2, y2 of the outermost inliers.
    """
    found = [
        segment
        for points in components(streak, light, settings)
        for segment in _segments(points, rng, settings)
    ]
    return np.array(found, float).reshape(-1, 4)


def components(
    streak: BoolImage, light: FloatImage, settings: SegmentSettings
) -> Iterator[FloatArray]:
    """Bright pixels of each 8-connected part that is large enough, x and y, the longest first."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(streak.astype(np.uint8), connectivity=8)
    reach = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    large = stats[:, cv2.CC_STAT_AREA] >= settings.fewest_pixels
    large &= reach >= settings.shortest_part_px
    large[0] = False  # the background
    longest = np.argsort(-reach, kind="stable")
    for label in longest[large[longest]][:MOST_COMPONENTS]:
        left, top, width, height = stats[label, :4]
        row, col = np.nonzero(labels[top : top + height, left : left + width] == label)
        level = light[row + top, col + left]
        core = level >= CORE_SHARE * np.quantile(level, CORE_QUANTILE)
        yield np.column_stack([col + left, row + top])[core].astype(float)


def _segments(
    points: FloatArray, rng: np.random.Generator, settings: SegmentSettings
) -> Iterator[FloatArray]:
    """Line after line in one part, the pixels of each and beside it taken away."""
    for _ in range(MOST_LINES):
        if len(points) < settings.fewest_pixels:
            return
        fit = robust_line(points, rng, inlier_px=settings.inlier_px, trials=settings.trials)
        if fit is None:
            return
        along, across = fit.along(points), np.abs(fit.across(points))
        low, high = longest_run(along[fit.inliers], WIDEST_HOLE_PX)
        near = (along >= low) & (along <= high) & (across <= BESIDE_PX)
        length = high - low
        width = np.count_nonzero(near) / max(length, 1.0)
        if width > min(settings.widest_part_px, length / settings.longer_than_wide):
            return  # the best line is none: a patch
        if length >= settings.shortest_part_px:
            yield _ends(fit, low, high)
        points = points[~near]


def _ends(fit: LineFit, low: float, high: float) -> FloatArray:
    return np.concatenate([fit.middle + low * fit.direction, fit.middle + high * fit.direction])


def joined(
    segments: FloatArray, light: FloatImage, usable: BoolImage, settings: SegmentSettings
) -> FloatArray:
    """Collinear parts made one where light, or a star that was removed, lies between them.

    `segments` (N, 4); `light` (h, w): denoised light above the sky; `usable` (h, w): false where it
    tells nothing. Gives (M, 4).
    """
    parts = sorted(segments.tolist(), key=_length, reverse=True)
    whole: list[list[float]] = []
    while parts:
        one = parts.pop(0)
        for number, other in enumerate(parts):
            both = _common(one, other, settings)
            if both is not None and _lit_between(one, other, light, usable):
                parts[number] = both
                parts.sort(key=_length, reverse=True)
                break
        else:
            whole.append(one)
    return np.array(whole, float).reshape(-1, 4)


def _length(segment: list[float]) -> float:
    return float(np.hypot(segment[2] - segment[0], segment[3] - segment[1]))


def _common(one: list[float], other: list[float], settings: SegmentSettings) -> list[float] | None:
    """The segment over both, or None where they do not lie on one line or too far apart."""
    ends = np.array([one[:2], one[2:], other[:2], other[2:]])
    gaps = np.hypot(*(ends[:, None] - ends[None, :]).transpose(2, 0, 1))
    first, last = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
    length = float(gaps[first, last])
    direction = (ends[last] - ends[first]) / length
    offset = ends - ends[first]
    across = offset[:, 1] * direction[0] - offset[:, 0] * direction[1]
    if np.ptp(across) > 2.0 * settings.off_line_px:
        return None
    gap = length - _length(one) - _length(other)
    if gap > min(settings.widest_gap_px, _length(one) + _length(other)):
        return None
    return [float(value) for value in (*ends[first], *ends[last])]


def _lit_between(
    one: list[float], other: list[float], light: FloatImage, usable: BoolImage
) -> bool:
    """Whether the gap is a quarter as bright as the parts, or hidden for the most part."""
    gap = min(([*one[i : i + 2], *other[j : j + 2]] for i in (0, 2) for j in (0, 2)), key=_length)
    if _length(gap) < 3.0:
        return True
    within, seen = _along(gap, light, usable)
    if np.count_nonzero(seen) < 0.3 * seen.size:
        return True
    parts = [_along(part, light, usable) for part in (one, other)]
    levels = [float(np.median(values[ok])) for values, ok in parts if ok.any()]
    return bool(levels) and float(np.median(within[seen])) >= 0.25 * min(levels)


def _along(
    segment: list[float], light: FloatImage, usable: BoolImage
) -> tuple[FloatArray, BoolImage]:
    """Brightest of three pixels across, at every pixel along a segment, and whether it is seen."""
    count = max(2, round(_length(segment)) + 1)
    x, y = np.linspace(segment[0], segment[2], count), np.linspace(segment[1], segment[3], count)
    h, w = light.shape
    row, col = nearest_pixels(light.shape, x, y)
    values = np.full(count, -np.inf)
    steep = abs(segment[3] - segment[1]) > abs(segment[2] - segment[0])
    for step in (-1, 0, 1):
        beside = (
            (row, np.clip(col + step, 0, w - 1)) if steep else (np.clip(row + step, 0, h - 1), col)
        )
        values = np.maximum(values, light[beside])
    return values, usable[row, col]
