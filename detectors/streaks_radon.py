"""Streak detection by the fast Radon transform, a matched filter over all line segments.

Lines are in pixels of the frame, unless a function says of which other they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors import streak_frame
from detectors.background import blur_image, compute_blurred_noise
from detectors.psf import FWHM_PER_SIGMA, find_nearest_pixels
from detectors.star_trails import StarTrail
from detectors.streak_line import (
    MIN_SIDE_PX,
    TILE_PX,
    WIDEST_PX,
    BinnedFrame,
    Line,
    Path,
    bin_known,
    find_band_pixels,
    find_segments,
    fit_line,
    follow_line,
    log10_expected_by_chance,
    log10_false_alarm,
    measure_line,
    prepare_binned,
    refit_line,
    shuffle_tiles,
    snr_for,
    strip_along,
    sum_across,
)
from detectors.types import BoolImage, FloatArray, FloatImage, StreakDetections, StreakFlag

# Limits without a source were chosen by eye on real and simulated frames
TRAIL_DEG = 12.0  # by which a trail may differ from those about it


@dataclass(frozen=True, kw_only=True)
class Radon:
    """Streak detector using the fast Radon transform; equations in ``docs/methods/streaks.md``."""

    # Maximum log10 of the expected number of false alarms per frame
    max_log10_false_alarm: float = -3.0
    max_streaks: int = 50  # maximum number of streaks returned, highest SNR first
    max_tries: int = 120  # maximum number of candidates to fit
    name: ClassVar[str] = "radon"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.types.Detector`."""
        frame = streak_frame.StreakFrame.of(light, mask, saturated)
        if frame is None:
            return StreakDetections.empty()
        bright, tracks = find_bright_lines(frame)
        sky = find_sky(frame, [*bright, *tracks])
        trail = sky.trail
        lines = [
            one
            for one in bright
            if not (sky.star_sigma_measured and is_narrow(one, sky))
            and (trail is None or not is_star_trail(one, trail))
        ]
        hidden, pixels = sky.hidden, frame.residual.size
        for size in (1, 2, 4):
            # Most streaks are found without binning: wider ones need a lower false-alarm rate
            rare = self.max_log10_false_alarm - (2.0 if size > 1 else 0.0)
            if min(frame.residual.shape) < size * MIN_SIDE_PX and size > 1:
                break
            binned = prepare_binned(frame.residual, hidden, size)
            found, taken, rest = search_lines(binned, sky, snr_for(rare, pixels), self.max_tries)
            found = [one.scaled(size) for one in found]
            # Chance lines (none is as clear as 40 sigma) in the shuffled tiles of the frame
            # without its streaks: from the SNR on that white noise exceeds 1.6 times. A share of
            # those rejected as star chains counts: in other cases such a chain passes
            shuffled, least_snr = [], 0.0
            if any(one.snr < 40.0 for one in found) and min(rest.light.shape) > 2 * TILE_PX:
                mixed = shuffle_tiles(rest)
                least_snr = snr_for(0.2, mixed.light.size)
                passed, refused, _ = search_lines(mixed, sky, least_snr, self.max_tries)
                shuffled = [(one.scaled(size), 1.0) for one in passed]
                shuffled += [
                    (one.scaled(size), 0.3) for one, reason in refused if reason == "star chain"
                ]
            chance = log10_expected_by_chance(found, shuffled, least_snr, pixels)
            lines += [
                replace(one, log10_false_alarm=log10_expected)
                for one, log10_expected in zip(found, chance.tolist(), strict=True)
                if log10_expected <= rare and not is_piece(one, lines)
            ]
            for line, _ in taken:
                hidden[find_band_pixels(hidden.shape, line.scaled(size))] = True
        lines = [line for line in lines if not is_bent(line, frame.residual)]
        lines = sorted(leave_out_crowds(lines), key=lambda line: -line.snr)[: self.max_streaks]
        # Measured last: detection and rejection use the light in which the lines were found
        lines = measure_in_own_light(frame, lines, hidden)
        known = np.array([one.log10_false_alarm for one in lines])
        white = log10_false_alarm([one.snr for one in lines], pixels)
        chance = np.where(np.isnan(known), white, known)
        # 5 of 144 simulated frames of three generators had a line that is not due to chance: a
        # curled or clipped track, a row of star trails, or a wisp of cloud. All were shorter than
        # 250 px: the rate of such structures is added to that of chance lines
        length = np.array([one.path.length_px for one in lines])
        other = np.log(np.where(length < 250.0, 0.035, 0.007))
        chance = np.logaddexp(chance * np.log(10.0), other) / np.log(10.0)
        return describe_lines(frame, lines, chance)


def search_lines(
    binned: BinnedFrame, sky: Sky, min_snr: float, max_tries: int
) -> tuple[list[Line], list[tuple[Line, str | None]], BinnedFrame]:
    """Fit lines where line sums stand out, each in what the ones before have left.

    Returns the streaks, all lines that were taken away with the reason to reject them (None for a
    streak), and the frame without them.
    """
    streaks: list[Line] = []
    taken: list[tuple[Line, str | None]] = []
    rest = replace(binned, light=binned.light.copy(), known=binned.known.copy())
    # A segment of the transform has at least 0.75 of the SNR of the fitted streak
    # One pixel counts no more than four: stars are bright, not long
    cut = blur_image(np.clip(rest.light, -4.0, 4.0), streak_frame.SIGMA_PX)
    waiting = find_segments(cut, streak_frame.SIGMA_PX, 0.75 * min_snr)
    tries, t = 0, (np.arange(48) + 0.5) / 48
    while len(waiting) and tries < max_tries:
        if taken:
            # Of candidates in blocks, since most never come to their turn, those of which 0.6 of 48
            # places are not lost to a line that was taken away
            x1, y1, x2, y2 = waiting[:64, :4, None].transpose(1, 0, 2)
            x, y = x1 + (x2 - x1) * t, y1 + (y2 - y1) * t
            there = rest.known[find_nearest_pixels(rest.known.shape, x, y)].mean(axis=1) > 0.6
            waiting = waiting[int(np.argmax(there)) if there.any() else 64 :]
            if not there.any():
                continue
        x1, y1, x2, y2 = waiting[0, :4].tolist()
        (x1, y1), (x2, y2) = sorted([(x1, y1), (x2, y2)])
        waiting, tries = waiting[1:], tries + 1
        rough = Path(x1=x1, y1=y1, x2=x2, y2=y2)
        line = fit_line(rest.light, rest.known, rough, streak_frame.SIGMA_PX, min_snr)
        if line is None or line.snr < min_snr:
            continue
        reason = find_rejection(line, sky, rest)
        if reason is None and join_line(binned.light, binned.known, streaks, line) is None:
            streaks.append(line)
        taken.append((line, reason))
        pixels = find_band_pixels(rest.light.shape, line)
        rest.light[pixels] = rest.known[pixels] = 0.0
    return streaks, taken, rest


def find_sky(frame: streak_frame.StreakFrame, bright: list[Line]) -> Sky:
    """Find stars, cosmic rays and defects, with the bright lines found before masked."""
    taken = np.zeros(frame.ignored.shape, bool)
    for line in bright:
        taken[find_band_pixels(taken.shape, line)] = True
    lost = frame.clipped & ~streak_frame.find_clipped_streaks(frame.clipped) & ~taken
    hidden = frame.ignored | taken | streak_frame.mask_clipped_stars(frame.residual, lost)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))  # charge bleeds by 2 px
    hidden |= cv2.dilate(lost.astype(np.uint8), disc) > 0
    hidden |= streak_frame.find_sharp_pixels(frame.residual)
    flat, _ = streak_frame.flatten_residual(frame.residual, hidden, roughly=True)
    flat[hidden] = 0.0
    unit = compute_blurred_noise(streak_frame.SIGMA_PX)
    trail = streak_frame.find_star_trail(blur_image(flat, streak_frame.SIGMA_PX), unit)
    if trail is not None:
        known, widths = (~hidden).astype(np.float32), []
        # The width of streaks fitted to the brightest trails
        for x, y, length, angle in trail.single[:24].tolist():
            dx, dy = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
            rough = Path(x1=x - dx, y1=y - dy, x2=x + dx, y2=y + dy)
            fitted = fit_line(flat, known, rough, streak_frame.SIGMA_PX, 8.0)
            if fitted is not None:
                widths.append(fitted.sigma_px)
        if len(widths) >= 5:
            trail = replace(trail, sigma_px=float(np.median(widths)))
    stars, sigma_px, measured = streak_frame.find_stars(flat, hidden, trail)
    return Sky(
        hidden=hidden | stars, trail=trail, star_sigma_px=sigma_px, star_sigma_measured=measured
    )


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Masked pixels of a frame, and the width and trail of its stars."""

    hidden: BoolImage
    trail: StarTrail | None
    star_sigma_px: float
    star_sigma_measured: bool  # whether the width was measured on stars; otherwise it is a default


def find_rejection(line: Line, sky: Sky, binned: BinnedFrame) -> str | None:
    """Find the reason to reject a line, in pixels of the binned frame; None for a streak."""
    full = line.scaled(binned.bin_px)
    length = full.path.length_px
    shortest = 15.0 if line.snr < 15.0 else 10.0
    if length < max(20.0, shortest * full.sigma_px):
        return "short"
    # Narrower lines are detected without binning
    if binned.bin_px > 1 and line.sigma_px < 0.9:
        return "seen without binning"
    if sky.trail is not None and is_star_trail(full, sky.trail):
        return "star trail"
    # Along the sensor border, or faint and along a row or column
    away = measure_border_distances_px(full, sky.hidden.shape)
    # Row and column offsets of a sensor are not fully removed. Where the frame darkens towards its
    # border, short parts of rows and columns stand out
    path = full.path
    drift = min(abs(path.x2 - path.x1), abs(path.y2 - path.y1))
    is_long_row = path.length_px > 256.0 or min(away[0], away[-1]) < 2.0
    read_out = is_long_row and drift < 1.5 and full.snr < 20.0
    # Within 1.5 sigma of the border; the profile then falls to a third inside the frame
    if np.median(away) < 1.5 * full.sigma_px or read_out:
        return "border or row"
    if is_narrow(full, sky):
        return "cosmic ray"
    # The fraction of the line's squared SNR that its brightest few points explain
    star_sigma_px = sky.star_sigma_px / binned.bin_px
    inside = line.inside
    u = line.u[inside] / line.bin_px
    weight, rest = line.weight[inside], line.signal[inside].copy()
    even = float(rest.sum()) ** 2 / max(float(weight.sum()), 1e-6)
    places = np.arange(u[0], u[-1], 0.5)
    points = np.exp(-0.5 * ((u - places[:, None]) / star_sigma_px) ** 2)
    power = np.maximum(np.square(points) @ weight, 0.05)
    explained = 0.0
    for _ in range(3):
        light = np.maximum(points @ rest, 0.0) / power
        best = int(np.argmax(light**2 * power))
        explained += float(light[best] ** 2 * power[best])
        rest -= light[best] * points[best] * weight
    # In a uniform line of 30 px at 10 sigma three points explain 0.92 in 1 of 100 cases, and less
    # in longer lines. In a row of blended stars they explain more
    if explained / max(even, 1e-6) > 0.92:
        return "star chain"
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 32), 0.0)
    texture = float(binned.texture[find_nearest_pixels(binned.texture.shape, x, y)].mean())
    cloudy = texture > 1.1
    # Short wide streaks are found without binning; wisps of cloud only with binning
    wisp = binned.bin_px > 1 and length < 30.0 * full.sigma_px
    if wisp or (cloudy and line.snr < 8.0):
        return "cloud"
    # Faint wide lines are star crowds and nebulae
    if line.snr < 10.0 and full.sigma_px > 1.7 * sky.star_sigma_px:
        return "wide"
    # Width relative to a star: clouds are wider. Nearby objects (meteors, aircraft) are out of
    # focus, and two lamps side by side are even wider
    widest = 1.8 if cloudy else 2.2
    if full.sigma_px > widest * max(sky.star_sigma_px, 0.85) + 0.5:
        long = length > 24.0 * full.sigma_px and line.sigma_px < 0.95 * WIDEST_PX
        return None if long and line.snr > 12.0 and not cloudy else "wide"
    return None


def is_narrow(line: Line, sky: Sky) -> bool:
    """Whether a line is narrower than the point spread function.

    Such lines are particle tracks and sensor columns, possibly widened by demosaicing. The stricter
    limit applies to short lines only, since the PSF varies over the frame and along a long line. It
    does not apply to faint lines along the border, where background subtraction removes twice as
    much of the line's wings.
    """
    ratio = line.sigma_px / sky.star_sigma_px
    # Cosmic rays are narrower than stars, clouds are wider
    if ratio < 0.7:
        return True
    if line.bin_px > 1 or line.path.length_px >= 120.0 or not sky.star_sigma_measured:
        return False
    away_px = float(np.median(measure_border_distances_px(line, sky.hidden.shape)))
    # Brighter lines near the border are excluded from the background level
    if line.snr < 30.0 and away_px < 1.5 * streak_frame.FLAT_SIGMA_PX:
        return False
    # Simulated streaks have 0.96 or more of the width of nearby stars, particle tracks behind a
    # colour filter array mostly 0.93 or less
    return float(np.log(ratio)) + line.sigma_width < np.log(0.95)


def is_bent(line: Line, residual: FloatImage) -> bool:
    """Whether the centre of a short, bright line wanders, as in the track of a slow particle."""
    path = line.path
    if path.length_px > 75.0 or line.snr < 12.0 or line.bin_px > 1:
        return False
    half = 3.0 * line.sigma_px + 2.0
    strip = strip_along(residual, np.ones_like(residual), path, beyond_px=0.0, half_px=half)
    window = np.exp(-0.5 * (strip.v / (1.5 * line.sigma_px)) ** 2)
    piece_px = 4.0
    count = max(3, int(path.length_px / piece_px))
    edges = np.linspace(0, strip.u.size, count, endpoint=False).astype(int)
    light = np.add.reduceat(strip.light * window, edges, axis=0)
    total = np.maximum(light.sum(axis=1), 1e-3)
    middle = (light @ strip.v) / total
    noise = float(np.sqrt(piece_px * np.square(window * strip.v).sum()) / np.median(total))
    t = np.linspace(-1.0, 1.0, count)
    wander = float(np.std(middle - np.polynomial.Polynomial.fit(t, middle, 1)(t)))
    # Simulated bright streaks of up to 75 px, bent by lens distortion, wander by 0.24 px or less
    return wander > 0.3 + 2.5 * noise


def measure_border_distances_px(line: Line, shape: tuple[int, ...]) -> FloatArray:
    """Measure distances of a line from the border at 9 points, (9,)."""
    return measure_to_border(*line.path.at(np.linspace(0.0, line.path.length_px, 9), 0.0), shape)


def measure_to_border(x: FloatArray, y: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    return np.minimum.reduce([x, shape[1] - 1 - x, y, shape[0] - 1 - y])


def is_star_trail(line: Line, trail: StarTrail) -> bool:
    """Whether a line matches the common star trail."""
    cos, sin = line.path.along
    angle = np.arctan2(sin, cos)
    trail_px, trail_rad = trail.near(*line.path.at(0.5 * line.path.length_px, 0.0))
    away = abs((angle - trail_rad + 0.5 * np.pi) % np.pi - 0.5 * np.pi)
    longest = 2.2 * trail_px + 10.0
    # Several faint star trails in a row look like one longer trail
    if line.snr < 25.0:
        longest = 12.0 * trail_px + 100.0
    # Short lines have uncertain directions
    unsure = np.arctan2(2.0 * line.sigma_px, line.path.length_px) + trail.turned_rad
    return bool(away < np.radians(TRAIL_DEG) + unsure and line.path.length_px < longest)


def leave_out_crowds(lines: list[Line]) -> list[Line]:
    """Remove short lines if there are many: knots of galaxies, and star trails side by side.

    Streaks are single, in trains, or dashes of one line. Short lines parallel to their neighbours
    are star trails, regardless of brightness, and so are rows of such trails.
    """
    paths = [line.path for line in lines]
    trains, trails = np.array(are_in_trains(paths), bool), np.zeros(len(paths), bool)
    length = np.array([path.length_px for path in paths])
    # Parallel to two neighbours of similar length; their direction may vary over the frame, as
    # around a celestial pole
    for k, path in enumerate(paths):
        alike = find_alike(path, paths, TRAIL_DEG, 1.8)
        beside = sum(away < 350.0 and off > 8.0 for away, off in alike)
        trails[k] = beside >= 2 and length[k] < 80.0 and not trains[k]
    kept = np.ones(len(paths), bool)
    if np.count_nonzero(trails) >= 5:
        kept = ~trails & (length > 5.0 * float(np.median(length[trails])))
    short = kept & (length < 60.0) & (np.array([line.snr for line in lines]) < 30.0) & ~trains
    if np.count_nonzero(short) >= 4:
        kept &= ~short
    return [line for line, keep in zip(lines, kept, strict=True) if keep]


# Obviously bright streaks: areas far above the noise that are long, straight and even

SIDE_DARK = 0.5  # of the light in the middle, three half widths away
BRIGHT_BINS = (1, 2, 4, 8)  # sides of the squares
# A pixel of a bright streak stands out so far of the noise and of what lies about it
LIT_SIGMA = (6.0, 25.0)
MIN_SNR = 30.0  # of the whole streak
SHORTEST_PX = 12
NEAR_PX = 1.2  # of the ridge to its line
STEP_LIGHT = np.sinh((np.arange(256, dtype=np.float32) - 48.0) / 24.0)  # of the 8 bits of a median


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
    if not on_axis or bin_px > 1:
        return not on_axis
    # It comes out of the border, or is the border. A streak beside it shows its own middle: light
    # falls off to the outside, too
    path, (h, w) = line.path, above.shape
    for x, y in ((path.x1, path.y1), (path.x2, path.y2)):
        ahead, beside = min(x, w - 1 - x), min(y, h - 1 - y)
        if abs(cos) <= abs(sin):
            ahead, beside = beside, ahead
        if ahead < 3.0 or beside < line.sigma_px:
            return False
    # It comes out of a star, which is wider than what bleeds from it
    wings = (np.abs(strip.v) > width + 0.5) & (np.abs(strip.v) < 2.0 * width + 2.0)
    core = lights[:, wings].mean(axis=1)
    # A star's wings stand beside the line in one place, a streak's own along all of it
    return bool(core.max() <= 8.0 + 4.0 * max(float(np.quantile(core, 0.25)), 0.0))


def find_bright_lines(frame: streak_frame.StreakFrame) -> tuple[list[Line], list[Line]]:
    """Find streaks that are obvious, and tracks of particles, too sharp for light.

    They are found before stars and clipped pixels are hidden, clipped or not.

    In squares of 1, 2, 4 and 8 pixels, so that wide ones are narrow in one of them. Short ones
    count as streaks where they are few: many are the stars' trails, knots or letters, and need a
    closer look.
    """
    lines: list[Line] = []
    free = ~frame.ignored
    coarsest = max([s for s in BRIGHT_BINS if min(frame.residual.shape) >= s * MIN_SIDE_PX] or [1])
    for size in (s for s in BRIGHT_BINS if s <= coarsest):
        light, known = bin_known(frame.residual, free.astype(np.float32), size)
        # Median of the pixels about each, which forgets what is narrower than half of it; in steps
        # that grow with the light
        coded = np.clip(np.arcsinh(light) * 24.0 + 48.0, 0.0, 255.0)
        level = STEP_LIGHT[cv2.medianBlur(np.rint(coded).astype(np.uint8), 21)]
        above = light - level
        found: list[Line] = []
        still_free = known > 0.5
        widest = 5.5 if size < coarsest else np.inf  # the median takes light away from wider ones
        for least in LIT_SIGMA:
            lit = (above > size * least + 0.2 * np.maximum(level, 0.0)) & still_free
            for rough, sigma in rough_lines(lit):
                # The least-squares line; stars on it count no more than it does
                cut, usual = _cut(above, rough)
                if sigma > WIDEST_PX or usual < LIT_SIGMA[0]:
                    continue
                line = fit_line(cut * known, known, rough, sigma, MIN_SNR)
                if line is None or line.snr < MIN_SNR or FWHM_PER_SIGMA * line.sigma_px > widest:
                    continue
                if not is_bright_streak(line, above, known, size):
                    continue
                if join_line(above, known, found, line) is None:
                    line = follow_line(above, known, line)
                    found.append(line)
                still_free[find_band_pixels(still_free.shape, line)] = False
        for line in found:
            full = line.scaled(size)
            if not is_piece(full, lines):
                lines.append(full)
                free[find_band_pixels(free.shape, full)] = False
    short = [line for line in lines if line.path.length_px < 160.0 * line.bin_px]
    if not short:
        return lines, []
    sharp = streak_frame.find_sharp_pixels(frame.residual) & ~frame.clipped
    tracks = []
    for line in short:
        offs = np.array([-1.5, -0.75, 0.0, 0.75, 1.5])
        x, y = line.path.at(np.arange(0.0, line.path.length_px + 1.0)[:, None], offs)
        beside = sharp[find_nearest_pixels(sharp.shape, x, y)]
        beside &= measure_to_border(np.rint(x), np.rint(y), sharp.shape) >= 0.0
        # Part of a path beside pixels too sharp for light that makes it a particle's track
        if beside.any(axis=1).mean() > 0.35:
            tracks.append(line)
    crowd = [*tracks, *(line for line in short if len(short) > 3 or line.snr < 45.0)]
    return [line for line in lines if not any(line is other for other in crowd)], tracks


def measure_in_own_light(
    frame: streak_frame.StreakFrame, lines: list[Line], hidden: BoolImage
) -> list[Line]:
    """Lines, the bright ones measured again above a level that neither they nor stars have raised.

    The median that shows them takes light from their profile, unevenly also beside them, where
    that counts as scatter. Others, which have a false-alarm figure, stay as they are.

    `hidden` (h, w): bands of the lines and all else that stands out.
    """
    sizes = {line.bin_px for line in lines if np.isnan(line.log10_false_alarm)}
    if not sizes:
        return lines
    light = streak_frame.subtract_level(frame.residual, ~hidden, streak_frame.FLAT_SIGMA_PX)
    known = (~frame.ignored).astype(np.float32)
    frames = {size: bin_known(light, known, size) for size in sizes}
    measures = []
    for line in lines:
        if np.isnan(line.log10_false_alarm):
            light, known = frames[line.bin_px]
            own = line.scaled(1.0 / line.bin_px)
            cut, _ = _cut(light, own.path)
            line = refit_line(cut * known, known, own).scaled(line.bin_px)
        measures.append(line)
    return measures


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
        depth = depth[row, col].astype(float)
        # Lines along which most places of the ridge lie, one after the other (RANSAC)
        rng = np.random.default_rng(0)
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
            normal = step[:, ::-1] * (-1.0, 1.0)
            off = np.abs(places @ normal.T - (start * normal).sum(axis=1))
            best = int(np.argmax((off < NEAR_PX).sum(axis=0)))
            near = off[:, best] < NEAR_PX
            along = np.sort((places[near] - start[best]) @ step[best])
            wide = 2.0 * float(np.median(depth[near]))
            # The longest run without a gap
            breaks = np.flatnonzero(np.diff(along) > 6.0 + wide)
            starts, stops = along[np.append(0, breaks + 1)], along[np.append(breaks, -1)]
            longest = int(np.argmax(stops - starts))
            u1, u2 = float(starts[longest]), float(stops[longest])
            filled = np.count_nonzero((along >= u1) & (along <= u2))
            if u2 - u1 < max(SHORTEST_PX - 3, 2.0 * wide) or filled < min_filled * (u2 - u1):
                break
            ends = [tuple(float(v) for v in start[best] + u * step[best]) for u in (u1, u2)]
            (x1, y1), (x2, y2) = sorted(ends, key=lambda end: end[0])
            found.append((Path(x1=x1, y1=y1, x2=x2, y2=y2), max(0.45, 0.35 * wide)))
            rest = off[:, best] > NEAR_PX + wide
            places, depth = places[rest], depth[rest]
    return found


def _cut(above: FloatImage, path: Path) -> tuple[FloatImage, float]:
    """The light without what is far brighter than the usual light of a path, and that."""
    x, y = path.at(np.arange(0.0, path.length_px + 1.0), 0.0)
    level = float(np.median(above[find_nearest_pixels(above.shape, x, y)]))
    # What is brighter along a streak than 1.5 times its own level is a star
    return np.clip(above, -1.5 * level, 1.5 * level), level


# Measures and flags of fitted streaks

MIN_STEPS = 8  # with less clear light, a line that points at a star counts as its spike


def are_in_trains(paths: list[Path]) -> list[bool]:
    """Which paths follow each other on one line with others of like direction and length."""
    return [
        sum(off < 3.0 + np.radians(2.0) * away for away, off in find_alike(path, paths, 2.0, 1.5))
        >= 3
        for path in paths
    ]


def find_alike(
    path: Path, others: list[Path], turn_deg: float, times: float
) -> list[tuple[float, float]]:
    """Paths of a path's direction and length, within limits: how far they are, and how far beside.

    Both are distances of the middles, in pixels; the path itself is one of them if it is given.
    """
    (cos, sin), alike = path.along, []
    for other in others:
        turn = abs(cos * other.along[1] - sin * other.along[0])
        size = other.length_px / max(path.length_px, 1e-9)
        if turn < np.sin(np.radians(turn_deg)) and 1.0 / times < size < times:
            dx = 0.5 * (other.x1 + other.x2 - path.x1 - path.x2)
            dy = 0.5 * (other.y1 + other.y2 - path.y1 - path.y2)
            alike.append((float(np.hypot(dx, dy)), abs(cos * dy - sin * dx)))
    return alike


def are_spikes(frame: streak_frame.StreakFrame, lines: list[Line]) -> BoolImage:
    """Which lines are diffraction spikes of saturated stars, or what goes on from one, (n,)."""
    spikes = np.zeros(len(lines), bool)
    stars = streak_frame.find_saturated_stars(frame.clipped)
    if not len(stars) or not lines:
        return spikes
    hidden = streak_frame.mask_clipped_stars(
        frame.residual, frame.clipped & ~streak_frame.find_clipped_streaks(frame.clipped)
    )
    for _ in range(2):
        before = spikes.copy()
        for k in np.flatnonzero(~before):
            spikes[k] = is_spike(frame, lines[k], stars, hidden)
        if not (spikes & ~before).any():
            break
        for k in np.flatnonzero(spikes & ~before):  # it hides the way to what goes on from it
            hidden[find_band_pixels(hidden.shape, lines[k])] = True
    return spikes


def is_spike(
    frame: streak_frame.StreakFrame, line: Line, stars: FloatArray, hidden: BoolImage
) -> bool:
    """Whether a line is a diffraction spike: it points at the middle of a saturated star.

    It passes the middle as nearly as both are known. It begins within ten clipped radii of the
    star, or where its light is no longer hidden, or passes it, perhaps from star to star, and is
    fainter away from them, the star's own light left out: a streak that passes a star is as bright
    on all of its way. What ends at stars to both sides is none, nor is what hardly leaves them.

    `stars` (N, 3): as of `streak_frame.find_saturated_stars`; `hidden` (h, w): their light.
    """
    path = line.path
    (cos, sin), length = path.along, path.length_px
    dx, dy = stars[:, 0] - path.x1, stars[:, 1] - path.y1
    along, off, radius = dx * cos + dy * sin, dy * cos - dx * sin, stars[:, 2]
    t = np.clip(along / length, 0.0, 1.0)
    # A spike is straight; its bow is what noise and stars on it make of it, or the lens
    beside = np.minimum(np.abs(off), np.abs(off - 4.0 * path.bow_px * t * (1.0 - t)))
    on = beside < np.maximum(2.0, 0.3 * radius)
    for k in np.flatnonzero(on):
        # Pixels on the way to the star where nothing is hidden
        first = length if along[k] > 0.0 else 0.0
        way = np.arange(first, along[k], 1.0 if along[k] > first else -1.0)
        way = way[(way < 0.0) | (way > length)]
        at = find_nearest_pixels(hidden.shape, path.x1 + way * cos, path.y1 + way * sin)
        on[k] = np.count_nonzero(~hidden[at]) < 10.0 * radius[k]
    if not on.any():
        return False
    along, radius = along[on], radius[on]
    # The frame's own light: that in which lines are sought is cut where it is bright
    known = (~(frame.ignored | frame.clipped)).astype(np.float32)
    half = 3.0 * line.sigma_px + 1.0
    strip = strip_along(frame.residual * known, known, path, beyond_px=0.0, half_px=half)
    signal, weight = sum_across(strip, 0.0, line.sigma_px)
    clear = (np.abs(strip.u[:, None] - along) > 2.5 * radius).all(axis=1)
    clear &= weight > 0.3 * np.median(weight)
    # Away from the first and the last star on the line; another's spike may fill up one side
    before, after = along.min() - strip.u, strip.u - along.max()
    outside = clear & (np.maximum(before, after) > 0.0)
    if np.count_nonzero(outside) < MIN_STEPS:
        return True
    return any(
        _falls_off(signal[some], weight[some], away[some])
        for away in (np.maximum(before, after), before, after)
        if np.count_nonzero(some := clear & (away > 0.0)) >= MIN_STEPS
    )


def _falls_off(signal: FloatArray, weight: FloatArray, away: FloatArray) -> bool:
    """Whether light is fainter in the farther half, by more than noise makes it.

    By medians: stars lie on spikes, too. A piece far from its star falls off less: spikes fall off
    with the distance or faster, and half of that in magnitudes counts.
    """
    light, far = signal / weight, away > np.median(away)
    if not far.any():
        return False
    near_px, far_px = (float(np.median(away[half])) for half in (~far, far))
    near_light, far_light = (float(np.median(light[half])) for half in (~far, far))
    # The sigma of a median is sqrt(pi / 2) of that of a mean
    near_noise, far_noise = (1.2533 / np.sqrt(weight[half].sum()) for half in (~far, far))
    # Simulated spikes that fade evenly or with the square show 0.6 and less, even streaks 0.9
    falls = max(0.75, float(np.sqrt(near_px / far_px)))
    return far_light + float(np.hypot(falls * near_noise, far_noise)) < falls * near_light


def describe_lines(
    frame: streak_frame.StreakFrame, lines: list[Line], log10_false_alarm: FloatArray
) -> StreakDetections:
    """The lines as detections, the surest first; spikes of saturated stars are none."""
    order = np.flatnonzero(~are_spikes(frame, lines))
    order = order[np.argsort([-lines[i].snr for i in order], kind="stable")]
    if not len(order):
        return StreakDetections.empty()
    lines, chance = [lines[i] for i in order], np.asarray(log10_false_alarm, float)[order]
    rows: list[dict[str, float]] = []
    for line, log10_chance in zip(lines, chance.tolist(), strict=True):
        path = line.path
        if path.x1 > path.x2:  # from left to right
            path = Path(x1=path.x2, y1=path.y2, x2=path.x1, y2=path.y1, bow_px=-path.bow_px)
        x, y = path.at(np.arange(0.0, path.length_px), 0.0)
        clipped = frame.clipped[find_nearest_pixels(frame.clipped.shape, x, y)].any()
        flag = StreakFlag.SATURATED if clipped else StreakFlag(0)
        u = np.array([[0.0, -10.0], [path.length_px, path.length_px + 10.0]])
        near, ahead = measure_to_border(*path.at(u, 0.0), frame.residual.shape).T
        # An end within 2.5 px of the border is cut by it if the streak leaves the frame within 10
        # px. A streak parallel to the border does not leave it there
        first, second = (near < 2.5) & (ahead < -0.5)
        flag |= StreakFlag.FIRST_END_OUTSIDE if first else StreakFlag(0)
        flag |= StreakFlag.SECOND_END_OUTSIDE if second else StreakFlag(0)
        if abs(path.bow_px) > max(4.0 * line.bow_sigma_px, 1.0):
            flag |= StreakFlag.CURVED
        end_sigma_px = float(np.hypot(*line.end_sigma_px) / np.sqrt(2.0))
        inside = line.inside
        x, y = line.path.at(line.u[inside], 0.0)
        noise = frame.noise[find_nearest_pixels(frame.noise.shape, x, y)]
        level = line.signal[inside] / np.maximum(line.weight[inside], 1e-3) / line.bin_px
        along = level * noise * np.sqrt(2.0 * np.pi) * line.sigma_px
        rows.append(
            {
                **vars(path),
                "snr": line.snr,
                "width_px": FWHM_PER_SIGMA * line.sigma_px,
                "flux": line.bin_px * float(along.sum()),
                "log10_false_alarm": log10_chance,
                "sigma_end_px": np.nan if first and second else end_sigma_px,
                "sigma_line_px": line.line_sigma_px,
                "flags": flag,
            }
        )
    columns = {name: np.array([row[name] for row in rows], float) for name in rows[0]}
    return StreakDetections(**columns | {"flags": columns["flags"].astype(np.uint8)})


def join_line(light: FloatImage, known: FloatImage, lines: list[Line], new: Line) -> int | None:
    """Index of the line that a new one is a piece of; that line is replaced by both together.

    `light`, `known` (h, w): of the frame with all its streaks; `lines`: changed in place.
    """
    for index, old in enumerate(lines):
        long, short = sorted((old, new), key=lambda line: -line.path.length_px)
        reach = _find_reach(long, short)
        if reach is None:
            continue
        u1, u2 = min(0.0, reach[0]), max(long.path.length_px, reach[1])
        first = long if u1 == 0.0 else short
        last = long if u2 == long.path.length_px else short
        sigmas = (max(first.end_sigma_px), max(last.end_sigma_px))
        path = long.path
        if u1 < 0.0 or u2 > path.length_px:  # carried on to the ends of both
            (cos, sin), part = path.along, short.path
            ends = sorted(
                ((x - path.x1) * cos + (y - path.y1) * sin, x, y)
                for x, y in ((part.x1, part.y1), (part.x2, part.y2))
            )
            cut = path.cut(u1, u2)
            x1, y1 = ends[0][1:] if u1 < 0.0 else (cut.x1, cut.y1)
            x2, y2 = ends[1][1:] if u2 > path.length_px else (cut.x2, cut.y2)
            path = Path(x1=x1, y1=y1, x2=x2, y2=y2, bow_px=cut.bow_px)
        both = measure_line(light, known, path, long.sigma_px, long.errors, sigmas)
        if both is not None:
            # As sure as its clearest part
            lines[index] = replace(both, snr=float(np.maximum(both.snr, long.snr)))
            return index
    return None


def is_piece(new: Line, lines: list[Line]) -> bool:
    """Whether a line lies on, or goes on from, one of the others."""
    pairs = (sorted((old, new), key=lambda line: -line.path.length_px) for old in lines)
    return any(_find_reach(long, short) is not None for long, short in pairs)


def _find_reach(long: Line, short: Line) -> tuple[float, float] | None:
    """Ends of a piece along a longer line; None if it does not belong to it."""
    path, length = long.path, long.path.length_px
    (cos, sin), found = path.along, []
    for x, y in ((short.path.x1, short.path.y1), (short.path.x2, short.path.y2)):
        u = (x - path.x1) * cos + (y - path.y1) * sin
        v = (y - path.y1) * cos - (x - path.x1) * sin
        t, outside = u / length, max(0.0, -u, u - length)
        off = v - 4.0 * path.bow_px * t * (1.0 - t)
        if abs(off) > 1.5 + 1.5 * long.sigma_px + 0.02 * outside:
            return None
        found.append(u)
    u1, u2 = min(found), max(found)
    gap = max(0.0, u1 - length, -u2)
    return (u1, u2) if gap < max(30.0, 0.4 * length) else None  # of the longer piece


DETECTORS = (Radon(),)
