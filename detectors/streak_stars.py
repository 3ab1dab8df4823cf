"""What is bright and no streak: stars, their trails, hot pixels and cosmic rays are hidden."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from detectors.psf import USUAL, measure_width
from detectors.scale_space import blur_image, compute_blurred_noise, find_local_maxima
from detectors.star_peaks import (
    MIN_TRAILS,
    measure_spot_moments,
    select_parallel_spots,
)
from detectors.streak_line import Path, fit_line
from detectors.types import BoolArray, BoolImage, FloatArray, FloatImage, IndexArray

# Part of a path beside pixels too sharp for light that makes it a particle's track
TRACK_SHARE = 0.35
SPOT_SNR, BRIGHT_SNR = 4.5, 8.0
LONGEST_PX = 80.0
NEIGHBOURS = 5  # the sky turns: trails of one place are alike

SIGMA_PX = 1.2  # of the filter for stars: within 4 % of the best for FWHM 2 to 4 px
RADII_PX = np.array([2.5, 3.5, 5.0, 6.5, 8.0, 10.0, 13.0, 17.0, 22.0, 28.0, 36.0, 46.0, 60.0])
BLEED_PX = 2


@dataclass(frozen=True, kw_only=True)
class StarTrail:
    """Length and direction of the trail of every star, and its width across."""

    length_px: float
    angle_rad: float
    sigma_px: float = 1.2
    bow_px: float = 0.0  # of a shaken hand
    # (N, 4): x, y, length and angle of single trails, the brightest first
    single: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))

    def near(self, x: float, y: float) -> tuple[float, float]:
        """Length and angle of the trails about a place: they change where the sky turns."""
        if len(self.single) < NEIGHBOURS:
            return self.length_px, self.angle_rad
        _, index = cKDTree(self.single[:, :2]).query([x, y], k=NEIGHBOURS)
        some = self.single[index]
        angle = 0.5 * float(np.angle(np.exp(2j * some[:, 3]).mean()))
        return max(float(np.median(some[:, 2])), 0.5 * self.length_px), angle

    @property
    def turned_rad(self) -> float:
        """Standard deviation of the trails' angles: the sky turns about a pole."""
        if len(self.single) < NEIGHBOURS:
            return 0.0
        alike = float(np.abs(np.exp(2j * self.single[:, 3]).mean()))
        return 0.5 * float(np.sqrt(-2.0 * np.log(np.clip(alike, 1e-3, 1.0))))

    def measured_on(self, light: FloatImage, known: FloatImage) -> StarTrail:
        """The same with the width of streaks fitted to the brightest trails."""
        widths = []
        for x, y, length, angle in self.single[:24].tolist():
            along = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
            path = Path(x1=x - along[0], y1=y - along[1], x2=x + along[0], y2=y + along[1])
            line = fit_line(light, known, path, SIGMA_PX, BRIGHT_SNR)
            if line is not None:
                widths.append(line.sigma_px)
        if len(widths) < 5:
            return self
        return replace(self, sigma_px=float(np.median(widths)))

    def filtered(self, blurred: FloatImage, sigma_px: float) -> tuple[FloatImage, float]:
        """A blurred frame summed along the trail, and the sigma of white noise in that."""
        half = int(np.ceil(0.5 * self.length_px)) + 2
        steps = np.linspace(-0.5, 0.5, int(np.ceil(2.0 * self.length_px)) + 1) * self.length_px
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        x, y = half + steps * np.cos(self.angle_rad), half + steps * np.sin(self.angle_rad)
        for dx in (0, 1):
            for dy in (0, 1):
                left, top = np.floor(x).astype(int), np.floor(y).astype(int)
                weight = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
                np.add.at(kernel, (top + dy, left + dx), weight)
        kernel /= kernel.sum()
        answer = cv2.filter2D(blurred, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
        size = 4 * int(np.ceil(sigma_px)) + 1
        wide = cv2.copyMakeBorder(kernel, size, size, size, size, cv2.BORDER_CONSTANT)
        drawn = cv2.GaussianBlur(wide, (0, 0), sigma_px)
        return np.asarray(answer), float(np.sqrt(np.square(drawn).sum()))


def find_common_star_trail(blurred: FloatImage, unit: float, blur_px: float) -> StarTrail | None:
    """What most spots of a frame draw alike: lines of one length and direction.

    `blurred` (h, w): the frame in units of its noise, blurred; `unit`: sigma of the noise in that;
    `blur_px`: sigma of the blur. None where most
    spots are points, or do not agree.
    """
    spots = _measure_spots(blurred, unit)
    if spots is None:
        return None
    x, y, long, short, angle, bend = spots
    found = select_parallel_spots(long, short, angle)
    if found is None:
        return None
    trails, common = found
    off = 0.5 * np.angle(np.exp(2j * (angle - common)))
    if not trails.any():
        return None
    common += float(np.median(off[trails]))
    beside = y[trails] * np.cos(common) - x[trails] * np.sin(common)
    # Dashes of one streak lie on one line
    if np.median(np.abs(beside - np.median(beside))) < 15.0:
        return None
    lengths = np.sqrt(12.0 * (long**2 - short**2))
    length = float(np.median(lengths[trails]))
    if length > LONGEST_PX:
        return None
    # Angles are of half a turn: to its other side a bow has the other sign
    bow = 0.25 * length**2 * float(np.median((bend * np.sign(np.cos(angle - common)))[trails]))
    # The variance across a parabola is 4 / 45 of its squared bow
    across = max(float(np.median(short[trails])) ** 2 - blur_px**2 - 4.0 / 45.0 * bow**2, 0.0)
    return StarTrail(
        length_px=length,
        angle_rad=common,
        sigma_px=float(np.sqrt(max(1.45 * across, 0.72))),  # the blur has widened them
        bow_px=abs(bow),
        single=np.column_stack([x, y, lengths, angle])[trails],
    )


def _measure_spots(blurred: FloatImage, unit: float) -> tuple[FloatArray, ...] | None:
    """Centre, long and short sigma and angle of the bright spots; None where there are few."""
    lit = (blurred > SPOT_SNR * unit).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    rows, cols = np.nonzero(lit)
    if count <= MIN_TRAILS or rows.size == 0:
        return None
    label = np.asarray(labels[rows, cols], np.intp)
    strength = blurred[rows, cols] / unit
    brightest = np.zeros(count, np.float32)
    np.maximum.at(brightest, label, strength)
    sides = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    good = (brightest > BRIGHT_SNR) & (stats[:, cv2.CC_STAT_AREA] >= 6)
    good &= sides < 1.5 * LONGEST_PX
    good[0] = False
    if not good.any():
        return None
    # Equal say along the trail: a star's light as far as it stands clearly above the noise
    weight = np.minimum(strength, 2.0 * SPOT_SNR)

    places = (cols.astype(float), rows.astype(float))
    x, y, long, _, angle = measure_spot_moments(label, weight, places, good)
    # By their own light for the width: equal say would count the wings as much as the core
    short = measure_spot_moments(label, strength, places, good)[3]
    bend = _measure_bends(label, weight, places, good, (x, y, angle))
    order = np.argsort(-brightest[good], kind="stable")
    return x[order], y[order], long[order], short[order], angle[order], bend[order]


def _measure_bends(
    label: IndexArray,
    weight: FloatArray | FloatImage,
    places: tuple[FloatArray, FloatArray],
    good: BoolArray,
    spots: tuple[FloatArray, FloatArray, FloatArray],
) -> FloatArray:
    """Curvature of the good ones among labelled spots; `spots`: their x, y and angle."""
    index = np.where(good, np.cumsum(good) - 1, -1)[label]
    inside = index >= 0
    index, weight = index[inside], np.asarray(weight[inside], float)
    x, y, angle = (column[index] for column in spots)
    dx, dy = places[0][inside] - x, places[1][inside] - y
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    count = int(good.sum())

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(index, weight * values, count), float)

    mass, square = total(np.ones(u.size)), total(u**2)
    spread = total(u**4) - square**2 / mass
    return np.asarray(total(u**2 * v) / np.maximum(spread, 1e-6))


def find_sharp_pixels(residual: FloatImage) -> BoolImage:
    """Pixels too sharp for light that came through a lens: hot ones, tracks of cosmic rays.

    The eight neighbours of a pixel on a streak of FWHM 1.4 px have half of its light; on a track
    of one pixel's width a quarter to a third. Fainter ones count beside clear ones.
    """
    ring = cv2.blur(residual, (3, 3), borderType=cv2.BORDER_REFLECT_101) * 9.0 - residual
    narrow = ring < 8.0 * 0.42 * residual
    clear = (narrow & (residual > 6.0)).astype(np.uint8)
    near = cv2.dilate(clear, np.ones((5, 5), np.uint8)) > 0
    return np.asarray(narrow & near & (residual > 3.0))


def measure_sharp_share(path: Path, sharp: BoolImage) -> float:
    """Part of a path beside pixels that are too sharp for light."""
    u = np.arange(0.0, path.length_px + 1.0)
    beside = np.zeros(u.size, bool)
    h, w = sharp.shape
    for off in (-1.5, -0.75, 0.0, 0.75, 1.5):
        x, y = path.at(u, off)
        row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        inside = (row >= 0) & (row < h) & (col >= 0) & (col < w)
        beside |= inside & sharp[np.clip(row, 0, h - 1), np.clip(col, 0, w - 1)]
    return float(beside.mean())


def find_stars(
    residual: FloatImage, hidden: BoolImage, trail: StarTrail | None
) -> tuple[BoolImage, float, bool]:
    """Find the pixels with the light of stars, and their width.

    The width is one sigma of a Gaussian; it is followed by whether enough stars told it, or else it
    is a usual one.

    `residual` (h, w): in units of the noise, 0 where hidden; `hidden` (h, w): pixels that tell
    nothing.
    """
    blurred = blur_image(residual, SIGMA_PX)
    unit = compute_blurred_noise(SIGMA_PX)
    seen, unit_seen = (blurred, unit) if trail is None else trail.filtered(blurred, SIGMA_PX)
    row, col = find_local_maxima(seen, 4.5 * unit_seen)
    order = np.argsort(-seen[row, col], kind="stable")[:20_000]
    row, col = row[order], col[order]
    # Peaks whose light goes on in some direction more than in most: from the middle of a star it
    # falls off in all directions; from that of a streak, or its end, it goes on at least in one
    angle = np.arange(32) * (2.0 * np.pi / 32)
    reach = np.tile(np.linspace(3.5, 9.5, 5), (32, 1))
    if trail is not None:
        away = np.abs((angle - trail.angle_rad + 0.5 * np.pi) % np.pi - 0.5 * np.pi)
        reach[away < np.radians(25.0)] += 0.5 * trail.length_px
    at_row = row[:, None, None] + reach * np.sin(angle)[:, None]
    at_col = col[:, None, None] + reach * np.cos(angle)[:, None]
    light = map_coordinates(blurred, [at_row, at_col], order=1, mode="nearest")
    second = np.sort(light, axis=-1)[..., 1]  # the darkest may be noise or a gap
    usual = np.median(second, axis=1)
    star = ~np.asarray(second.max(axis=1) - usual > 0.4 * (seen[row, col] - usual))
    row, col = row[star], col[star]
    radius = _measure_radii(blurred, row, col, trail)
    if trail is None:
        bright = blurred[row, col] > 12.0 * unit
        noise = np.ones(np.count_nonzero(bright))
        psf = measure_width(residual, ~hidden, row[bright], col[bright], noise) or USUAL
        sigma, told = psf.sigma_px * (1.0 + 0.3 * psf.wings), psf is not USUAL
    else:
        sigma, told = trail.sigma_px, True
    mask = _paint_discs(residual.shape, row, col, radius, trail)
    return mask, float(sigma), told


def mask_clipped_stars(residual: FloatImage, clipped: BoolImage) -> BoolImage:
    """Discs around the thickest part of clipped areas, as far as light reaches all around.

    A clipped streak is dark to both sides, and so gets a small one; a star's bleeding column, too.
    """
    paint = np.zeros(residual.shape, np.uint8)
    if not clipped.any():
        return paint > 0
    _, labels = cv2.connectedComponents(clipped.astype(np.uint8))
    depth = cv2.distanceTransform(clipped.astype(np.uint8), cv2.DIST_L2, 3)
    row, col = np.nonzero(clipped)
    order = np.argsort(-depth[row, col], kind="stable")[:200_000]
    row, col = row[order], col[order]
    first = np.unique(labels[row, col], return_index=True)[1]
    row, col = row[first], col[first]
    light = blur_image(np.clip(residual, -50.0, 50.0), SIGMA_PX)
    return _paint_discs(residual.shape, row, col, _measure_radii(light, row, col, None), None)


def _measure_radii(
    blurred: FloatImage, row: IndexArray, col: IndexArray, trail: StarTrail | None
) -> FloatArray:
    """How far the light of each star reaches: where the median around it falls into the noise."""
    if trail is None:
        angle = np.arange(16) * (2.0 * np.pi / 16)
        across, along = RADII_PX[:, None] * np.sin(angle), RADII_PX[:, None] * np.cos(angle)
    else:  # to both sides of the trail
        along_px = np.linspace(-0.4, 0.4, 8) * trail.length_px
        across = np.concatenate(
            [RADII_PX[:, None] + 0.0 * along_px, -RADII_PX[:, None] + 0.0 * along_px], 1
        )
        along = np.concatenate([along_px, along_px])[None, :] + 0.0 * across
    cos, sin = (1.0, 0.0) if trail is None else (np.cos(trail.angle_rad), np.sin(trail.angle_rad))
    at_row = row[:, None, None] + along * sin + across * cos
    at_col = col[:, None, None] + along * cos - across * sin
    light = np.median(map_coordinates(blurred, [at_row, at_col], order=1, mode="nearest"), axis=-1)
    dark = light < 0.35  # a star ends where the light is below this, in sigma of a pixel
    first = np.where(dark.any(axis=1), dark.argmax(axis=1), len(RADII_PX) - 1)
    return np.asarray(RADII_PX[first] + 0.5)


def _paint_discs(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, radius: FloatArray,
    trail: StarTrail | None,
) -> BoolImage:  # fmt: skip
    """Discs, or discs drawn out along the trail."""
    paint = np.zeros(shape, np.uint8)
    if trail is None:
        for y, x, r in zip(row.tolist(), col.tolist(), np.ceil(radius).tolist(), strict=True):
            cv2.circle(paint, (x, y), int(r), 1, -1)
        return paint > 0
    half_x = 0.5 * trail.length_px * np.cos(trail.angle_rad)
    half_y = 0.5 * trail.length_px * np.sin(trail.angle_rad)
    for y, x, r in zip(row.tolist(), col.tolist(), np.ceil(radius).tolist(), strict=True):
        first = (round(x - half_x), round(y - half_y))
        last = (round(x + half_x), round(y + half_y))
        cv2.line(paint, first, last, 1, 2 * int(r) + 1)
    return paint > 0


def grow_mask(mask: BoolImage, pixels: int) -> BoolImage:
    """A mask with so many pixels around."""
    if not mask.any():
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
