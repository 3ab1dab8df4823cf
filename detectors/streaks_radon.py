"""Streak detection by the fast Radon transform, a matched filter over all line segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.psf import find_nearest_pixels
from detectors.scale_space import blur_image, compute_blurred_noise
from detectors.streak_bright import find_bright_lines, measure_in_own_light
from detectors.streak_describe import (
    are_in_trains,
    describe_lines,
    find_alike,
    is_piece,
    join_line,
)
from detectors.streak_frame import (
    FLAT_SIGMA_PX,
    StreakFrame,
    find_clipped_streaks,
    flatten_residual,
)
from detectors.streak_line import WIDEST_PX, Line, Path, fit_line, strip_along
from detectors.streak_search import (
    BINS,
    CLEAR_SNR,
    LOG10_WHITE_LINES,
    MIN_SIDE_PX,
    TILE_PX,
    Chance,
    Hunt,
    log10_false_alarm,
    mask_streak_band,
    prepare_hunt,
    select_still_there,
    shuffle_tiles,
    snr_for,
    with_structure,
)
from detectors.streak_stars import (
    BLEED_PX,
    SIGMA_PX,
    StarTrail,
    find_common_star_trail,
    find_sharp_pixels,
    find_stars,
    grow_mask,
    mask_clipped_stars,
)
from detectors.types import BoolImage, FloatArray, FloatImage, StreakDetections

TRAIL_DEG = 12.0
BENT_PIECE_PX = 4.0


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
        frame = StreakFrame.of(light, mask, saturated)
        if frame is None:
            return StreakDetections.empty()
        bright, tracks = find_bright_lines(frame)
        sky = find_sky(frame, [*bright, *tracks])
        trail = sky.trail
        lines = [
            one
            for one in bright
            if not (sky.star_sigma_told and is_narrow(one, sky))
            and (trail is None or not is_star_trail(one, trail))
        ]
        hidden = sky.hidden
        pixels = frame.residual.size
        for size in BINS:
            # Most streaks are found without binning: wider ones need a lower false-alarm rate
            rare = self.max_log10_false_alarm - (2.0 if size > 1 else 0.0)
            if min(frame.residual.shape) < size * MIN_SIDE_PX and size > 1:
                break
            hunt = prepare_hunt(frame.residual, hidden, size)
            found, gone = self._find_streaks(hunt, sky, rare, pixels)
            lines += [
                line for line in (one.scaled(size) for one in found) if not is_piece(line, lines)
            ]
            for line in gone:
                hidden |= mask_streak_band(hidden.shape, line.scaled(size))
        lines = [line for line in lines if not is_bent(line, frame.residual)]
        lines = sorted(leave_out_crowds(lines), key=lambda line: -line.snr)[: self.max_streaks]
        # Measured last: detection and rejection use the light in which the lines were found
        lines = measure_in_own_light(frame, lines, hidden)
        chance = [
            float(log10_false_alarm(one.snr, pixels))
            if np.isnan(one.log10_false_alarm)
            else one.log10_false_alarm
            for one in lines
        ]
        length = np.array([one.path.length_px for one in lines])
        return describe_lines(frame, lines, with_structure(np.array(chance), length))

    def _find_streaks(
        self, hunt: Hunt, sky: Sky, rare: float, pixels: int
    ) -> tuple[list[Line], list[Line]]:
        """Find streaks, and all lines that were subtracted, in order of detection."""
        least = snr_for(rare, pixels)
        lines, gone, hunt = self._lines(hunt, sky, least)
        chance = Chance(pixels=pixels)
        # Chance lines in the shuffled tiles of the frame without its streaks
        if any(line.snr < CLEAR_SNR for line in lines) and min(hunt.light.shape) > 2 * TILE_PX:
            mixed = shuffle_tiles(hunt)
            least = snr_for(LOG10_WHITE_LINES, mixed.light.size)
            passed, refused, _ = self._lines(mixed, sky, least)
            chains = [
                line for line in refused if find_rejection(line, sky, mixed) is Rejection.STAR_CHAIN
            ]
            passed, chains = ([x.scaled(hunt.bin_px) for x in some] for some in (passed, chains))
            chance = Chance.of(passed, chains, least, pixels)
        lines = [
            replace(one, log10_false_alarm=chance.log10_expected(one.scaled(hunt.bin_px)))
            for one in lines
        ]
        return [line for line in lines if line.log10_false_alarm <= rare], gone

    def _lines(self, hunt: Hunt, sky: Sky, least: float) -> tuple[list[Line], list[Line], Hunt]:
        """Find streaks, all subtracted lines, and the frame without them."""
        lines: list[Line] = []
        gone: list[Line] = []
        whole, hunt = hunt, hunt.copied()
        # A segment of the transform has at least 0.75 of the SNR of the fitted streak
        waiting = hunt.candidates(0.75 * least)
        tries = 0
        while len(waiting) and tries < self.max_tries:
            ends = [
                (float(waiting.x1[0]), float(waiting.y1[0])),
                (float(waiting.x2[0]), float(waiting.y2[0])),
            ]
            (x1, y1), (x2, y2) = sorted(ends)
            rough, sigma = Path(x1=x1, y1=y1, x2=x2, y2=y2), float(waiting.sigma_px[0])
            waiting = waiting.select(np.arange(len(waiting)) > 0)
            tries += 1
            line = fit_line(hunt.light, hunt.known, rough, sigma, least)
            if line is None or line.snr < least:
                continue
            is_streak = find_rejection(line, sky, hunt) is None
            if is_streak and join_line(whole, lines, line) is None:
                lines.append(line)
            gone.append(line)
            hunt.hide(line)
            waiting = waiting.select(select_still_there(hunt, waiting))
        return lines, gone, hunt


def find_sky(frame: StreakFrame, bright: list[Line]) -> Sky:
    """Find stars, cosmic rays and defects, with the bright lines found before masked."""
    taken = np.zeros(frame.ignored.shape, bool)
    for line in bright:
        taken |= mask_streak_band(taken.shape, line)
    lost = frame.clipped & ~find_clipped_streaks(frame.clipped) & ~taken
    hidden = (
        frame.ignored | taken | grow_mask(lost, BLEED_PX) | mask_clipped_stars(frame.residual, lost)
    )
    hidden |= find_sharp_pixels(frame.residual)
    flat, _ = flatten_residual(frame.residual, hidden, roughly=True)
    flat[hidden] = 0.0
    unit = compute_blurred_noise(SIGMA_PX)
    trail = find_common_star_trail(blur_image(flat, SIGMA_PX), unit, SIGMA_PX)
    if trail is not None:
        trail = trail.measured_on(flat, (~hidden).astype(np.float32))
    stars, sigma_px, told = find_stars(flat, hidden, trail)
    return Sky(hidden=hidden | stars, trail=trail, star_sigma_px=sigma_px, star_sigma_told=told)


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Masked pixels of a frame, and the width and trail of its stars."""

    hidden: BoolImage
    trail: StarTrail | None
    star_sigma_px: float
    star_sigma_told: bool  # whether the width was measured on stars; otherwise it is a default


class Rejection(StrEnum):
    """Reason to reject a line as a streak."""

    SHORT = "short"
    UNBINNED = "seen without binning"
    STAR_TRAIL = "star trail"
    BORDER = "border or row"
    COSMIC_RAY = "cosmic ray"
    STAR_CHAIN = "star chain"
    CLOUD = "cloud"
    WIDE = "wide"


def find_rejection(line: Line, sky: Sky, hunt: Hunt) -> Rejection | None:
    """Find the reason to reject a line, in pixels of the binned frame; None for a streak."""
    full = line.scaled(hunt.bin_px)
    length = full.path.length_px
    shortest = 15.0 if line.snr < 15.0 else 10.0
    if length < max(20.0, shortest * full.sigma_px):
        return Rejection.SHORT
    # Narrower lines are detected without binning
    if hunt.bin_px > 1 and line.sigma_px < 0.9:
        return Rejection.UNBINNED
    if sky.trail is not None and is_star_trail(full, sky.trail):
        return Rejection.STAR_TRAIL
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
        return Rejection.BORDER
    if is_narrow(full, sky):
        return Rejection.COSMIC_RAY
    # The fraction of the line's squared SNR that its brightest few points explain
    star_sigma_px = sky.star_sigma_px / hunt.bin_px
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
        return Rejection.STAR_CHAIN
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 32), 0.0)
    texture = float(hunt.texture[find_nearest_pixels(hunt.texture.shape, x, y)].mean())
    cloudy = texture > 1.1
    # Short wide streaks are found without binning; wisps of cloud only with binning
    wisp = hunt.bin_px > 1 and length < 30.0 * full.sigma_px
    if wisp or (cloudy and line.snr < 8.0):
        return Rejection.CLOUD
    # Faint wide lines are star crowds and nebulae
    if line.snr < 10.0 and full.sigma_px > 1.7 * sky.star_sigma_px:
        return Rejection.WIDE
    # Width relative to a star: clouds are wider. Nearby objects (meteors, aircraft) are out of
    # focus, and two lamps side by side are even wider
    widest = 1.8 if cloudy else 2.2
    if full.sigma_px > widest * max(sky.star_sigma_px, 0.85) + 0.5:
        long = length > 24.0 * full.sigma_px and line.sigma_px < 0.95 * WIDEST_PX
        return None if long and line.snr > 12.0 and not cloudy else Rejection.WIDE
    return None


def is_narrow(line: Line, sky: Sky) -> bool:
    """Whether a line, in pixels of the frame, is narrower than the point spread function.

    Such lines are particle tracks and sensor columns, possibly widened by demosaicing. The stricter
    limit applies to short lines only, since the PSF varies over the frame and along a long line. It
    does not apply to faint lines along the border, where background subtraction removes twice as
    much of the line's wings.
    """
    ratio = line.sigma_px / sky.star_sigma_px
    # Cosmic rays are narrower than stars, clouds are wider
    if ratio < 0.7:
        return True
    if line.bin_px > 1 or line.path.length_px >= 120.0 or not sky.star_sigma_told:
        return False
    away_px = float(np.median(measure_border_distances_px(line, sky.hidden.shape)))
    # Brighter lines near the border are excluded from the background level
    if line.snr < 30.0 and away_px < 1.5 * FLAT_SIGMA_PX:
        return False
    # Simulated streaks have 0.96 or more of the width of nearby stars, particle tracks behind a
    # colour filter array mostly 0.93 or less
    return float(np.log(ratio)) + line.sigma_width < np.log(0.95)


def is_bent(line: Line, residual: FloatImage) -> bool:
    """Whether the centre of a short, bright line wanders, as in the track of a slow particle.

    `line`: in pixels of the frame.
    """
    path = line.path
    if path.length_px > 75.0 or line.snr < 12.0 or line.bin_px > 1:
        return False
    half = 3.0 * line.sigma_px + 2.0
    strip = strip_along(residual, np.ones_like(residual), path, beyond_px=0.0, half_px=half)
    window = np.exp(-0.5 * (strip.v / (1.5 * line.sigma_px)) ** 2)
    count = max(3, int(path.length_px / BENT_PIECE_PX))
    edges = np.linspace(0, strip.u.size, count, endpoint=False).astype(int)
    light = np.add.reduceat(strip.light * window, edges, axis=0)
    total = np.maximum(light.sum(axis=1), 1e-3)
    middle = (light @ strip.v) / total
    noise = float(np.sqrt(BENT_PIECE_PX * np.square(window * strip.v).sum()) / np.median(total))
    t = np.linspace(-1.0, 1.0, count)
    wander = float(np.std(middle - np.polynomial.Polynomial.fit(t, middle, 1)(t)))
    # Simulated bright streaks of up to 75 px, bent by lens distortion, wander by 0.24 px or less
    return wander > 0.3 + 2.5 * noise


def measure_border_distances_px(line: Line, shape: tuple[int, ...]) -> FloatArray:
    """Measure distances of a line from the border at 9 points, in pixels of the frame, (9,)."""
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 9), 0.0)
    h, w = shape
    return np.minimum(np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y))


def is_star_trail(line: Line, trail: StarTrail) -> bool:
    """Whether a line, in pixels of the frame, matches the common star trail."""
    cos, sin = line.path.along
    angle = np.arctan2(sin, cos)
    middle = line.path.at(np.array([0.5 * line.path.length_px]), 0.0)
    trail_px, trail_rad = trail.near(float(middle[0][0]), float(middle[1][0]))
    away = abs((angle - trail_rad + 0.5 * np.pi) % np.pi - 0.5 * np.pi)
    longest = 2.2 * trail_px + 10.0
    # Several faint star trails in a row look like one longer trail
    if line.snr < 25.0:
        longest = 12.0 * trail_px + 100.0
    # Short lines have uncertain directions, and parts of a bent trail differ in direction from it
    unsure = np.arctan2(2.0 * line.sigma_px, line.path.length_px)
    unsure += np.arctan2(4.0 * trail.bow_px, trail.length_px) + trail.turned_rad
    return bool(away < np.radians(TRAIL_DEG) + unsure and line.path.length_px < longest)


def leave_out_crowds(lines: list[Line]) -> list[Line]:
    """Remove short lines if there are many: knots of galaxies, and star trails side by side.

    Streaks are single, in trains, or dashes of one line. Short lines parallel to their neighbours
    are star trails, regardless of brightness, and so are rows of such trails.

    `lines`: in pixels of the frame.
    """
    trains = are_in_trains([line.path for line in lines])
    trails = np.array(are_star_trails(lines), bool) & ~np.array(trains, bool)
    if np.count_nonzero(trails) >= 5:
        longest = 5.0 * float(
            np.median([line.path.length_px for line, one in zip(lines, trails, strict=True) if one])
        )
        kept = [
            (line, train)
            for line, trail, train in zip(lines, trails, trains, strict=True)
            if not trail and line.path.length_px > longest
        ]
        lines, trains = [line for line, _ in kept], [train for _, train in kept]
    short = [
        line.path.length_px < 60.0 and line.snr < 30.0 and not train
        for line, train in zip(lines, trains, strict=True)
    ]
    if sum(short) < 4:
        return lines
    return [line for line, one in zip(lines, short, strict=True) if not one]


def are_star_trails(lines: list[Line]) -> list[bool]:
    """Find lines that are parallel to neighbouring lines of similar length, as star trails are.

    The direction may vary over the frame, as around a celestial pole.
    """
    paths = [line.path for line in lines]
    marks = []
    for path in paths:
        alike = find_alike(path, paths, TRAIL_DEG, 1.8)
        beside = sum(away < 350.0 and off > 8.0 for away, off in alike)
        marks.append(beside >= 2 and path.length_px < 80.0)
    return marks


DETECTORS = (Radon(),)
