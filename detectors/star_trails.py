"""Trails of stars in a frame: bright spots, the trail common to most, or trails about a pole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from detectors.psf import PointSpread, cut_stamps
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray

# Limits without a source were chosen by eye on frames with trails
LONGEST_TRAIL_PX = 80.0  # longer lines are satellites
NEIGHBOURS = 5  # the sky turns: trails of one place are alike
SPOT_SNR, BRIGHT_SNR = 5.0, 9.0  # of a spot's pixels, and of its brightest
MIN_PIXELS, MIN_TRAILS = 6, 6  # of a spot; spots that show a common trail
MAX_TRAILS = 30  # the brightest, to which its profile is fitted
# Long axis over short axis of a spot, second moments. In frames of points half of the spots have
# less than 1.1 and three quarters less than 1.27 (simulated frames)
MIN_ELONGATION = 1.35
MIN_SHARE = 0.5  # of the bright spots: edges and glints are elongated, too, but not most spots
PARALLEL_DEG = 15.0  # by which trails may differ in direction
# Steps of the fit, relative to the moments of the spots
LENGTH_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
ANGLE_STEPS_DEG = (-4.0, -2.0, 0.0, 2.0, 4.0)
TRAIL_SIGMA_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)


@dataclass(frozen=True, kw_only=True)
class TurningTrails:
    """Trails of a sky that turns about a pole: their ends apart change linearly with the place."""

    middle: tuple[float, float]  # x, y of the frame's middle, pixels
    middle_trail_px: tuple[float, float]  # (x, y) from end to end there
    turn_rad: float  # by which the sky turned
    sigma_px: float  # of the profile across

    def trail_px_at(self, x: float, y: float) -> tuple[float, float]:
        """The trail of a star at a place, (x, y) from end to end; x >= 0."""
        dx, dy = x - self.middle[0], y - self.middle[1]
        along_x = self.middle_trail_px[0] - self.turn_rad * dy
        along_y = self.middle_trail_px[1] + self.turn_rad * dx
        sign = -1.0 if along_x < 0.0 else 1.0
        return sign * along_x, sign * along_y


def find_turning_trails(
    spots: tuple[FloatArray, ...], shape: tuple[int, ...]
) -> TurningTrails | None:
    """How the trails of a frame turn about a pole; None where one trail describes them all.

    The ends of a trail at p lie t + w J (p - m) apart: t at the frame's middle m, w the angle by
    which the sky turned, J a quarter turn. Two spots give t and w (whose ends are which cannot be
    seen, so both signs are tried); the pair that most spots agree with is refined on these, and
    taken where an F test says that one trail for all leaves more.

    `spots`: as of `measure_spots`; `shape` (h, w): of the frame.
    """
    x, y, long, short, angle = (column[:120] for column in spots)
    is_long = long > MIN_ELONGATION * short
    n_long = np.count_nonzero(is_long)
    # Single pixels among the bright spots may be more than stars; of points a fifth looks so long
    if n_long < max(MIN_TRAILS, 0.3 * is_long.size):
        return None
    x, y, long, short, angle = (column[is_long] for column in (x, y, long, short, angle))
    length = np.sqrt(12.0 * (long**2 - short**2))
    trail = length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    height, width = shape
    middle = (0.5 * (width - 1.0), 0.5 * (height - 1.0))
    dx, dy = x - middle[0], y - middle[1]
    # (N, 2, 3): the trail at each spot by the three unknowns tx, ty, w
    design = np.zeros((x.size, 2, 3))
    design[:, 0, 0] = design[:, 1, 1] = 1.0
    design[:, 0, 2], design[:, 1, 2] = -dy, dx
    tolerance_px = 0.2 * length + 1.5  # a trail fits where its ends lie so near

    def misfit(unknowns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far each trail lies off, in tolerances, and its ends in the order that fits."""
        fitted = np.einsum("nik,...k->...ni", design, unknowns)
        sign = np.where((fitted * trail).sum(axis=-1) < 0.0, -1.0, 1.0)
        ends = sign[..., None] * trail
        return np.hypot(*np.moveaxis(fitted - ends, -1, 0)) / tolerance_px, ends

    def refine(unknowns: FloatArray, n_unknowns: int) -> tuple[FloatArray, FloatArray]:
        """Least squares for the first unknowns on the trails that agree; the misfits of all."""
        off, ends = misfit(unknowns)
        for _ in range(3):
            agreed = off < 1.0
            weighted = design[agreed, :, :n_unknowns] / tolerance_px[agreed, None, None]
            scaled = ends[agreed] / tolerance_px[agreed, None]
            step = np.linalg.lstsq(weighted.reshape(-1, n_unknowns), scaled.ravel(), rcond=None)[0]
            unknowns = np.append(step, np.zeros(3 - n_unknowns))
            off, ends = misfit(unknowns)
        return unknowns, off

    rng = np.random.default_rng(0)
    pairs = np.stack([rng.choice(x.size, 2, replace=False) for _ in range(400)])
    solved = np.linalg.pinv(design[pairs].reshape(400, 4, 3))
    signs = np.array([[[1.0], [1.0]], [[1.0], [-1.0]]])
    ends = trail[pairs][:, None] * signs
    starts = np.einsum("pkj,psj->psk", solved, ends.reshape(400, 2, 4)).reshape(800, 3)
    best = starts[np.argmin(np.minimum(misfit(starts)[0], 1.0).sum(axis=1))]
    turned, off = refine(best, 3)
    agreed = off < 1.0
    if np.count_nonzero(agreed) < max(MIN_TRAILS, MIN_SHARE * n_long):
        return None
    # A trail at the border differs by 3 px and more from that in the middle
    if abs(turned[2]) * np.hypot(*middle) < 3.0:
        return None
    each = np.column_stack([trail, np.zeros(x.size)])
    straight = each[np.argmin(misfit(each)[0].sum(axis=1))]
    parallel_off = refine(straight, 2)[1]
    left, left_parallel = (np.square(np.minimum(one, 1.0)).sum() for one in (off, parallel_off))
    # By chance an F ratio of 1 and 50 degrees of freedom exceeds 30 once in a million
    if (left_parallel - left) * (2 * x.size - 3) < 30.0 * left:
        return None
    sigma = max(0.6, float(np.sqrt(max(np.median(short[agreed]) ** 2 - 0.5, 0.2))))
    return TurningTrails(
        middle=middle,
        middle_trail_px=(float(turned[0]), float(turned[1])),
        turn_rad=float(turned[2]),
        sigma_px=sigma,
    )


def find_common_trail(
    above: FloatImage, spots: tuple[FloatArray, ...], usable: BoolImage
) -> PointSpread | None:
    """What a star looks like in a frame where the stars are trails; None where they are not.

    Where most of the bright spots are long and parallel, the segment blurred by a Gaussian that
    explains most of their light is the common trail.

    `above` (h, w): light above the background; `spots`: as of `measure_spots`; `usable` (h, w):
    false where a pixel is clipped or ignored.
    """
    parallel = find_parallel_trails(spots)
    if parallel is None:
        return None
    length, common, sigma = parallel.length_px, parallel.angle_rad, parallel.sigma_px
    x, y = parallel.single[:MAX_TRAILS, :2].T
    half = int(np.ceil(0.5 * max(LENGTH_STEPS) * length + 3.5 * sigma)) + 1
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    # Pixels that are clipped or ignored take no part: dark ones in a trail's middle would make it
    # long and wide
    shown = cut_stamps(usable, row, col, half).reshape(len(x), -1).astype(np.float32)
    pixels = np.maximum(shown.sum(axis=1, keepdims=True), 1.0)
    data = cut_stamps(above, row, col, half).reshape(len(x), -1)
    data = (data - np.median(data, axis=1, keepdims=True)) * shown
    data = data / np.maximum(np.sqrt(np.square(data).sum(axis=1)), 1e-12)[:, None]

    def look(turn_deg: float, stretch: float, wider: float, bow: float = 0.0) -> PointSpread:
        turned = common + np.radians(turn_deg)
        sign = 1.0 if np.cos(turned) >= 0.0 else -1.0
        size = sign * length * stretch
        trail = (float(size * np.cos(turned)), float(size * np.sin(turned)))
        return PointSpread(sigma_px=sigma * wider, trail_px=trail, bow_px=bow * abs(size))

    def explained(turn_deg: float, stretch: float, wider: float, bow: float = 0.0) -> float:
        drawn = look(turn_deg, stretch, wider, bow).draw(x - col, y - row, half)
        drawn = drawn.reshape(len(x), -1)
        mean = (drawn * shown).sum(axis=1, keepdims=True) / pixels
        drawn = (drawn - mean) * shown
        power = np.maximum(np.square(drawn).sum(axis=1), 1e-30)
        return float(np.median((data * drawn).sum(axis=1) ** 2 / power))

    # One after the other, from the guesses: they hardly depend on each other
    stretch = max(LENGTH_STEPS, key=lambda step: explained(0.0, step, 1.0))
    turn = max(ANGLE_STEPS_DEG, key=lambda step: explained(step, stretch, 1.0))
    wider = max(TRAIL_SIGMA_STEPS, key=lambda step: explained(turn, stretch, step))
    bows = (-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24)  # a hand shakes
    bow = max(bows, key=lambda step: explained(turn, stretch, wider, step))
    # A bow must explain so much more of the light
    if explained(turn, stretch, wider, bow) < explained(turn, stretch, wider) + 0.01:
        bow = 0.0
    elif bow != 0.0:  # across, a straight trail had taken the bow for width
        wider = max(TRAIL_SIGMA_STEPS, key=lambda step: explained(turn, stretch, step, bow))
        turn = max(ANGLE_STEPS_DEG, key=lambda step: explained(step, stretch, wider, bow))
    fine = max((0.95, 1.0, 1.05), key=lambda step: explained(turn, stretch * step, wider, bow))
    return look(turn, stretch * fine, wider, bow)


@dataclass(frozen=True, kw_only=True)
class StarTrail:
    """The trail that most of the bright spots in a frame draw alike, and the single ones."""

    length_px: float  # median
    angle_rad: float
    sigma_px: float  # of the profile across
    single: FloatArray  # (N, 4): x, y, length and angle of each, the brightest first

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


def find_parallel_trails(spots: tuple[FloatArray, ...]) -> StarTrail | None:
    """Find the spots that are trails of one direction; None where most are not, or do not agree.

    `spots`: as of `measure_spots`.
    """
    x, y, long, short, angle = spots
    trails = long > MIN_ELONGATION * short
    if np.count_nonzero(trails) < max(MIN_TRAILS, MIN_SHARE * trails.size):
        return None
    doubled = np.exp(2j * angle[trails]).mean()
    # Mean resultant of the doubled angles; 1 is parallel
    if np.abs(doubled) >= 0.7:
        common = 0.5 * float(np.angle(doubled))
    else:
        # Trails among tracks of particles: their commonest direction
        some = angle[trails][:400]
        turn = np.angle(np.exp(2j * np.subtract.outer(some, some)))
        alike = (np.abs(turn) < 2.0 * np.radians(PARALLEL_DEG)).sum(axis=1)
        chance = PARALLEL_DEG / 90.0
        usual, scatter = chance * some.size, np.sqrt(chance * (1.0 - chance) * some.size)
        best = int(np.argmax(alike))
        if alike[best] < max(MIN_TRAILS, usual + 3.5 * scatter):
            return None  # chance shows as many alike
        common = float(some[best])
    off = 0.5 * np.angle(np.exp(2j * (angle - common)))
    trails &= np.abs(off) < np.radians(PARALLEL_DEG)
    lengths = np.sqrt(12.0 * (long**2 - short**2))
    length = float(np.median(lengths[trails]))
    if length > LONGEST_TRAIL_PX:
        return None
    return StarTrail(
        length_px=length,
        angle_rad=common,
        # The filter of the spots has widened them by a sigma of one
        sigma_px=max(0.6, float(np.sqrt(max(np.median(short[trails]) ** 2 - 0.5, 0.2)))),
        single=np.column_stack([x, y, lengths, angle])[trails],
    )


def measure_spots(
    rows: IndexArray,
    cols: IndexArray,
    strength: FloatArray | FloatImage,
    shape: tuple[int, ...],
) -> tuple[FloatArray, ...] | None:
    """Measure centre, long and short sigma, and angle of bright spots, by second moments.

    `rows`, `cols`, `strength` (N,): pixels above `SPOT_SNR` under the filter of point-like stars,
    and their signal-to-noise ratio; `shape` (h, w): of the frame. None if there are few.
    """
    if rows.size < MIN_TRAILS * MIN_PIXELS:
        return None
    # Spots are connected at half the pixels: four times as fast, and a dark pixel parts no trail
    half_rows, half_cols = rows // 2, cols // 2
    h, w = shape
    lit = np.zeros((-(-h // 2), -(-w // 2)), np.uint8)
    lit[half_rows, half_cols] = 1
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    label = np.asarray(labels[half_rows, half_cols], np.intp)
    brightest = np.zeros(count)
    np.maximum.at(brightest, label, strength)
    sides = 2 * np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    good = (brightest > BRIGHT_SNR) & (np.bincount(label, minlength=count) >= MIN_PIXELS)
    good &= sides < 2.0 * LONGEST_TRAIL_PX
    good[0] = False
    if not good.any():
        return None
    # Equal say along the trail: a star's light as far as it stands clearly above the noise
    weight = np.minimum(strength, 2.0 * SPOT_SNR)
    across, down = cols.astype(float), rows.astype(float)

    def total(values: FloatArray) -> FloatArray:
        sums = np.bincount(label, weight * values, minlength=good.size)
        return np.asarray(sums[good], float)

    mass = np.maximum(total(np.ones(label.size)), 1e-9)
    x, y = total(across) / mass, total(down) / mass
    xx, yy = total(across**2) / mass - x * x, total(down**2) / mass - y * y
    xy = total(across * down) / mass - x * y
    middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    short, long = np.sqrt(np.maximum(middle - apart, 0.05)), np.sqrt(middle + apart)
    columns = x, y, long, short, 0.5 * np.arctan2(2.0 * xy, xx - yy)
    order = np.argsort(-brightest[good], kind="stable")
    return tuple(column[order] for column in columns)
