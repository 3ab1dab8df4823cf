"""Star candidates: peaks of the matched-filtered frame, its noise, and the trails of stars."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.background import (
    RING,
    Mesh,
    blur_image,
    estimate_lowest_mode,
    estimate_upper_spread,
    fill_holes,
    find_local_maxima,
    make_gaussian_kernel,
    smooth_boxes,
)
from detectors.psf import LONGEST_TRAIL_PX, PointSpread, cut_stamps
from detectors.types import (
    BoolArray,
    BoolImage,
    FloatArray,
    FloatImage,
    IndexArray,
)

NORMAL_QUARTILE = 0.6745
TOE_LIGHT = np.float32(0.0031308)  # IEC 61966-2-1
SAMPLES_ACROSS = 16  # 256 per box: sigma is accurate to 8 %, the median of nine boxes to 4 %
TRAILS_A_BOX = 4.0


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
    mesh: Mesh  # boxes over the frame
    boxes: FloatImage  # (rows, cols): sigma of the response between stars, by box
    gain: float  # sigma of the response to unit white noise per pixel

    def noise_at(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Interpolate the sigma of the response at pixels."""
        return self.mesh.at(self.boxes, row, col)

    def above(self, snr: float) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Find rows, columns and signal-to-noise ratio of the pixels above a given ratio."""
        row, col = _find_above(self.response, snr * float(self.boxes.min()))
        ratio = self.response[row, col] / self.noise_at(row, col)
        keep = ratio > snr
        return row[keep], col[keep], ratio[keep]


def filter_frame(
    image: FloatImage,
    psf: PointSpread,
    ignored: BoolImage,
    *,
    least_noise: float,
    black_clipped: bool = False,
) -> Filtered:
    """Filter a frame with the PSF minus a local background, and measure the noise of the response.

    `image` (h, w): stabilised light (`stabilise_noise`), background subtracted. `ignored` (h, w):
    pixels excluded from the noise estimate. `least_noise`: lower bound of the sigma of a pixel.
    `black_clipped`: many pixels are black, so the dark side of the noise is unreliable.
    """
    response, gain = filter_answer(image, psf)
    known = np.where(ignored, np.float32(np.nan), response) if ignored.any() else response
    length = psf.trail_length_px
    mesh = Mesh.with_scale(image.shape, 64.0 + TRAILS_A_BOX * length)
    samples = mesh.samples(known, SAMPLES_ACROSS)
    spread = smooth_boxes(estimate_lowest_mode(samples, least_noise * gain)[1])
    # Noise that is clipped at black, or processed, has a longer upper tail than its dark side
    # implies
    tail = smooth_boxes(estimate_upper_spread(samples, (0.9, 0.95, 0.98)))
    fine = Mesh.with_scale(image.shape, 32.0 + TRAILS_A_BOX * length)
    clutter = fill_holes(estimate_upper_spread(fine.samples(known, SAMPLES_ACROSS)))
    long_tailed = np.float32(0.85) * tail
    if not black_clipped:
        # Larger tails are due to stars, as in the Milky Way
        long_tailed = np.minimum(long_tailed, np.float32(2.0) * spread)
    coarse = np.maximum(spread, long_tailed)
    boxes = cv2.resize(coarse, (fine.cols, fine.rows), interpolation=cv2.INTER_LINEAR)
    # Surrounding texture counts as noise by 0.8, as for lights
    boxes = np.maximum(boxes, np.float32(0.8) * clutter)
    boxes = np.maximum(boxes, np.float32(least_noise * gain))
    return Filtered(response=response, mesh=fine, boxes=boxes, gain=gain)


def find_peaks(
    seen: Filtered,
    min_snr: float,
    allowed: BoolImage,
    before: FloatImage | None = None,
) -> tuple[IndexArray, IndexArray]:
    """Find peaks above a minimum signal-to-noise ratio, highest ratio first.

    `allowed` (h, w): mask of permitted positions. `before` (h, w): response before stars were
    subtracted, from which residuals of these stars are estimated and added to the noise. Returns
    `row`, `col` (N,).
    """
    response, least = seen.response, min_snr * float(seen.boxes.min())
    row, col = _find_above(response, least)
    if 8 * row.size > response.size:
        row, col = find_local_maxima(response, least)
    else:  # the same, faster if few exceed the limit
        h, w = response.shape
        inside = (row > 0) & (row < h - 1) & (col > 0) & (col < w - 1)
        row, col = row[inside], col[inside]
        for i, j in RING:
            keep = response[row, col] >= response[row + i, col + j]
            row, col = row[keep], col[keep]
    keep = allowed[row, col]
    row, col = row[keep], col[keep]
    noise = seen.noise_at(row, col)
    if before is not None:
        taken = before[row, col] - response[row, col]
        # Subtraction is assumed to leave a residual of 0.3 of the star
        noise = np.hypot(noise, 0.3 * taken)
    snr = response[row, col] / noise
    order = np.argsort(-snr, kind="stable")
    order = order[snr[order] > min_snr]
    return row[order], col[order]


def _find_above(image: FloatImage, threshold: float) -> tuple[IndexArray, IndexArray]:
    """Find rows and columns of pixels above a threshold."""
    row, col = np.divmod(np.flatnonzero(image > np.float32(threshold)), image.shape[1])
    return row, col


def filter_answer(image: FloatImage, psf: PointSpread) -> tuple[FloatImage, float]:
    """Compute the filter response, and its sigma for unit white noise."""
    if psf.trail_length_px == 0.0:
        matched = blur_image(image, psf.sigma_px)
        kernel = make_gaussian_kernel(psf.sigma_px)
    else:
        drawn = psf.draw(np.zeros(1), np.zeros(1), psf.half_stamp_px)[0]
        kernel = drawn / drawn.sum()
        matched = np.asarray(
            cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        )
    # This width of the local background loses 3 % of the signal-to-noise ratio and follows airglow,
    # haze and the Milky Way
    around = 4.0 * float(np.hypot(psf.sigma_px, psf.trail_length_px / 12.0**0.5))
    wide = make_gaussian_kernel(around)
    inner = (wide.shape[0] - kernel.shape[0]) // 2
    difference = -wide
    difference[inner : inner + kernel.shape[0], inner : inner + kernel.shape[1]] += kernel
    gain = float(np.sqrt(np.square(difference).sum()))
    # The local background by a Gaussian blur, clipping bright stars, at half size
    h, w = image.shape
    size = (-(-w // 2), -(-h // 2))
    half: FloatImage = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = blur_image(half, 0.5 * around)
    usual = float(np.median(np.abs((half - blurred)[::4, ::4]))) / NORMAL_QUARTILE
    if usual > 0.0:
        # clipped, to avoid dark rings around stars
        faint = np.minimum(half, blurred + np.float32(4.0 * usual))
        blurred = blur_image(faint, 0.5 * around)
    level = np.asarray(cv2.resize(blurred, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(matched - level), gain


SPOT_SNR, BRIGHT_SNR = 5.0, 9.0
MIN_PIXELS, MIN_TRAILS = 6, 6
MAX_TRAILS = 30
# Long axis over short axis of a spot, second moments. In frames of points half of the spots have
# less than 1.1 and three quarters less than 1.27 (simulated frames)
MIN_ELONGATION = 1.35
MIN_SHARE = 0.5  # of the bright spots: edges and glints are elongated, too, but not most spots
PARALLEL_DEG = 15.0
LENGTH_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
ANGLE_STEPS_DEG = (-4.0, -2.0, 0.0, 2.0, 4.0)
SIGMA_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)


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
        fitted = design @ unknowns
        sign = np.where((fitted * trail).sum(axis=1) < 0.0, -1.0, 1.0)
        ends = sign[:, None] * trail
        return np.hypot(*(fitted - ends).T) / tolerance_px, ends

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
    starts = []
    for _ in range(400):
        pair = rng.choice(x.size, 2, replace=False)
        for sign in (1.0, -1.0):
            ends = trail[pair] * np.array([[1.0], [sign]])
            starts.append(np.linalg.lstsq(design[pair].reshape(4, 3), ends.ravel(), rcond=None)[0])
    best = min(starts, key=lambda one: np.minimum(misfit(one)[0], 1.0).sum())
    turned, off = refine(best, 3)
    agreed = off < 1.0
    if np.count_nonzero(agreed) < max(MIN_TRAILS, MIN_SHARE * n_long):
        return None
    # A trail at the border differs by 3 px and more from that in the middle
    if abs(turned[2]) * np.hypot(*middle) < 3.0:
        return None
    straight = min((np.append(one, 0.0) for one in trail), key=lambda one: misfit(one)[0].sum())
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
    x, y, long, short, angle = spots
    found = select_parallel_spots(long, short, angle)
    if found is None:
        return None
    trails, common = found
    length = float(np.median(np.sqrt(12.0 * (long**2 - short**2))[trails]))
    if length > LONGEST_TRAIL_PX:
        return None
    # The filter of the spots has widened them by a sigma of one
    sigma = max(0.6, float(np.sqrt(max(np.median(short[trails]) ** 2 - 0.5, 0.2))))
    x, y = x[trails][:MAX_TRAILS], y[trails][:MAX_TRAILS]
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
    wider = max(SIGMA_STEPS, key=lambda step: explained(turn, stretch, step))
    bows = (-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24)  # a hand shakes
    bow = max(bows, key=lambda step: explained(turn, stretch, wider, step))
    # A bow must explain so much more of the light
    if explained(turn, stretch, wider, bow) < explained(turn, stretch, wider) + 0.01:
        bow = 0.0
    elif bow != 0.0:  # across, a straight trail had taken the bow for width
        wider = max(SIGMA_STEPS, key=lambda step: explained(turn, stretch, step, bow))
        turn = max(ANGLE_STEPS_DEG, key=lambda step: explained(step, stretch, wider, bow))
    fine = max((0.95, 1.0, 1.05), key=lambda step: explained(turn, stretch * step, wider, bow))
    return look(turn, stretch * fine, wider, bow)


def select_parallel_spots(
    long: FloatArray, short: FloatArray, angle: FloatArray
) -> tuple[BoolArray, float] | None:
    """Spots that are trails of one direction, and that angle; None where most are not long, or
    do not agree.
    """
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
    return trails & (np.abs(off) < np.radians(PARALLEL_DEG)), common


def measure_spots(seen: Filtered) -> tuple[FloatArray, ...] | None:
    """Measure centre, long and short sigma, and angle of bright spots, by second moments.

    `seen`: the frame under the filter of point-like stars. None if there are few.
    """
    rows, cols, strength = seen.above(SPOT_SNR)
    if rows.size < MIN_TRAILS * MIN_PIXELS:
        return None
    # Spots are connected at half the pixels: four times as fast, and a dark pixel parts no trail
    half_rows, half_cols = rows // 2, cols // 2
    h, w = seen.response.shape
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
    # Equal say along the trail: a star's light as far as it stands clearly above the noise
    weight = np.minimum(strength, 2.0 * SPOT_SNR)
    places = (cols.astype(float), rows.astype(float))
    x, y, long, short, angle = measure_spot_moments(label, weight, places, good)
    order = np.argsort(-brightest[good], kind="stable")
    return x[order], y[order], long[order], short[order], angle[order]


def measure_spot_moments(
    label: IndexArray,
    weight: FloatArray | FloatImage,
    places: tuple[FloatArray, FloatArray],
    good: BoolArray,
) -> tuple[FloatArray, ...]:
    """Centre x and y, long and short sigma and angle of the good ones among labelled spots."""
    across, down = places

    def total(values: FloatArray) -> FloatArray:
        sums = np.bincount(label, weight * values, minlength=good.size)
        return np.asarray(sums[good], float)

    mass = total(np.ones(label.size))
    x, y = total(across) / mass, total(down) / mass
    xx, yy = total(across**2) / mass - x * x, total(down**2) / mass - y * y
    xy = total(across * down) / mass - x * y
    middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    short = np.sqrt(np.maximum(middle - apart, 0.05))
    return x, y, np.sqrt(middle + apart), short, angle
