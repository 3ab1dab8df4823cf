"""Streaks by the fast Radon transform: a matched filter of all places, directions and lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.scale_space import blurred_noise, gaussian_blur
from detectors.stamps import nearest_pixels
from detectors.streak_bright import BrightLines, bright_lines
from detectors.streak_describe import described, in_trains, is_piece, joined_line
from detectors.streak_frame import StreakFrame, clipped_streaks, flattened
from detectors.streak_line import WIDEST_PX, Line, Path, fitted_line, nudged, strip_along
from detectors.streak_null import (
    CLEAR_SNR,
    LOG10_WHITE_LINES,
    TILE_PX,
    Chance,
    log10_false_alarm,
    shuffled,
    snr_for,
)
from detectors.streak_search import (
    BINS,
    LEAST_SIDE_PX,
    Hunt,
    Segments,
    hunt_in,
    still_there,
    streak_band,
)
from detectors.streak_stars import (
    BLEED_PX,
    SIGMA_PX,
    TRACK_SHARE,
    StarTrail,
    clipped_stars,
    common_star_trail,
    grown,
    sharp_pixels,
    sharp_share,
    stars_of,
)
from detectors.types import BoolImage, FloatImage, StreakDetections

# A segment of the transform shows at least this part of the fitted streak's SNR
SEGMENT_SHARE = 0.75
WIDE_RARER = 2.0
DARK_TRIES, DARK_MARGIN = 12, 1.1

# Pieces about as long as a star is wide; without the brightest quarter of them even light keeps
# 0.6 and more of its signal-to-noise ratio, and a few stars in a row hardly any
PIECE_PX, MOST_PIECES, BEST_SHARE = 4.0, 24, 0.25
LEAST_REST, LEAST_REST_BRIGHT = 0.35, 0.12
FAINT_SNR, BRIGHT_SNR = 12.0, 30.0
TRAIL_DEG, TRAIL_LENGTHS, TRAIL_SLACK_PX = 12.0, 1.8, 10.0
# Several faint trails in a row look like a longer one
ROW_SNR, ROW_TRAILS, ROW_SLACK_PX = 25.0, 12.0, 100.0
SHORTEST_PX, SHORTEST_SIGMAS, SHORTEST_SIGMAS_CLEAR, LONG_SNR = 20.0, 15.0, 10.0, 15.0
# Width over that of a star: cosmic rays are narrower, clouds are wider. What is near (meteors,
# aircraft) is out of focus, and two lamps side by side are wider still
NARROWEST, WIDEST, WIDEST_MORE_PX, LEAST_STAR_PX = 0.7, 2.2, 0.5, 0.85
# Of a short line, with so many sigma of its width: simulated streaks show 0.99 and more of the
# stars' width, tracks behind a mosaic of colours mostly 0.96 and less
NARROW_SHORT, NARROW_SIGMAS, NARROW_LENGTH_PX = 0.97, 1.0, 120.0
# Steps of light over its mean, from one piece of a star's FWHM to the next
CHAIN_SNR, CHAIN_LENGTH_PX, CHAIN_WIDTHS, FEWEST_IN_CHAIN = 20.0, 120.0, 2.8, 4
CHAIN_SIGMAS, CHAIN_STEPS = 2.0, 0.3
PARTICLE_LENGTH_PX, PARTICLE_STEPS = 35.0, 0.2
# Simulated bright streaks of up to 75 px, with lenses' bows, wander by 0.24 px and less
BENT_SNR, BENT_LENGTH_PX, BENT_PX, BENT_SIGMAS, BENT_WINDOW = 12.0, 75.0, 0.3, 2.5, 1.5
WIDEST_IN_CLOUDS, CLOUD_TEXTURE, CLOUD_SNR, WISP_SIGMAS = 1.8, 1.1, 8.0, 30.0
WIDE_SNR, WIDE_SIGMAS, WIDE_REST = 12.0, 24.0, 0.5
FAINTEST_WIDE_SNR, FAINT_WIDEST = 10.0, 1.7  # faint and wide is what crowds and nebulae look like
BORDER_PX, LONG_ROW_PX, ROW_DRIFT_PX = 2.0, 256.0, 1.5
# A track of one pixel's width as linear interpolation shows it; a line of starlight
PIXEL_SIGMA, LINE_OVER_STAR, LEAST_LINE_SIGMA, NUDGE_PX = 0.5, 1.1, 0.8, 1.0
NOISE_SIGMAS = 2.2
LEAST_BINNED_SIGMA = 0.9  # narrower ones are seen without binning

SHORT_PX, FEWEST, CROWD_CLEAR_SNR = 60.0, 4, 30.0
LEAST_ALIKE, FEWEST_TRAILS, TRAIL_REACH_PX, SIDE_BY_SIDE_PX = 2, 5, 350.0, 8.0
LONGEST_TRAIL_PX, ROW_OF_TRAILS = 80.0, 5.0


@dataclass(frozen=True, kw_only=True)
class Radon:
    """Streaks by the fast Radon transform; ``docs/methods/streaks.md`` has the equations."""

    # Streaks that noise would show more often than this in a frame are left out
    max_log10_false_alarm: float = -3.0
    max_streaks: int = 50  # the clearest so many are given
    max_tries: int = 120  # so many candidates are fitted
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
        bright = bright_lines(frame)
        sky = sky_of(frame, bright)
        trail = sky.trail
        lines = [
            one
            for one in bright.streaks
            if not (sky.star_sigma_told and is_narrow(one, sky))
            and (trail is None or not is_star_trail(one, trail))
        ]
        hidden = sky.hidden
        pixels = frame.residual.size
        for size in BINS:
            # Most streaks are seen without binning: what is wide must be clearer
            rare = self.max_log10_false_alarm - (WIDE_RARER if size > 1 else 0.0)
            if min(frame.residual.shape) < size * LEAST_SIDE_PX and size > 1:
                break
            hunt = hunt_in(frame.residual, hidden, size)
            found, gone = self._found(hunt, sky, rare, pixels)
            lines += [
                line for line in (one.scaled(size) for one in found) if not is_piece(line, lines)
            ]
            for line in gone:
                hidden |= streak_band(hidden.shape, line.scaled(size))
        lines = [line for line in lines if not is_bent(line, frame.residual)]
        lines = without_crowds(lines)[: self.max_streaks]
        chance = [
            float(log10_false_alarm(one.snr, pixels))
            if np.isnan(one.log10_false_alarm)
            else one.log10_false_alarm
            for one in lines
        ]
        return described(frame, lines, np.array(chance))

    def _found(
        self, hunt: Hunt, sky: Sky, rare: float, pixels: int
    ) -> tuple[list[Line], list[Line]]:
        """Streaks, and all lines that were taken away, in the order of their finding."""
        least = snr_for(rare, pixels)
        lines, gone, hunt, dark = self._lines(hunt, sky, least)
        if not lines:
            return lines, gone
        null = dark_snr(hunt, dark.select(still_there(hunt, dark)), sky, least)
        lines = [line for line in lines if line.snr > DARK_MARGIN * null]
        chance = Chance(pixels=pixels)
        if any(line.snr < CLEAR_SNR for line in lines) and min(hunt.light.shape) > 2 * TILE_PX:
            chance = self._chance(hunt, sky, pixels)
        lines = [replace(one, log10_false_alarm=chance.log10_expected(one)) for one in lines]
        return [line for line in lines if line.log10_false_alarm <= rare], gone

    def _lines(
        self, hunt: Hunt, sky: Sky, least: float
    ) -> tuple[list[Line], list[Line], Hunt, Segments]:
        """Streaks, all lines taken away, the frame without them, and dark candidates."""
        lines: list[Line] = []
        gone: list[Line] = []
        whole, hunt = hunt, hunt.copied()
        waiting, dark = hunt.candidates(SEGMENT_SHARE * least)
        tries = 0
        while len(waiting) and tries < self.max_tries and len(lines) < self.max_streaks:
            rough, sigma = path_of(waiting, 0), float(waiting.sigma_px[0])
            waiting = waiting.select(np.arange(len(waiting)) > 0)
            tries += 1
            line = fitted_line(hunt.light, hunt.known, rough, sigma, least)
            if line is None or line.snr < least:
                continue
            if is_streak(line, sky, hunt) and joined_line(whole, lines, line) is None:
                lines.append(line)
            gone.append(line)
            hunt.hide(line)
            waiting = waiting.select(still_there(hunt, waiting))
        return lines, gone, hunt, dark

    def _chance(self, hunt: Hunt, sky: Sky, pixels: int) -> Chance:
        """What chance shows in a frame without its streaks."""
        mixed, sharp = shuffled(hunt, sky.sharp)
        least = snr_for(LOG10_WHITE_LINES, mixed.light.size)
        hidden = np.zeros_like(sharp)
        lines = self._lines(mixed, replace(sky, sharp=sharp, hidden=hidden), least)[0]
        return Chance.of([line.scaled(hunt.bin_px) for line in lines], least, pixels)


def path_of(some: Segments, index: int) -> Path:
    """One segment as a path from left to right."""
    ends = [
        (float(some.x1[index]), float(some.y1[index])),
        (float(some.x2[index]), float(some.y2[index])),
    ]
    (x1, y1), (x2, y2) = sorted(ends)
    return Path(x1=x1, y1=y1, x2=x2, y2=y2)


def dark_snr(hunt: Hunt, dark: Segments, sky: Sky, least: float) -> float:
    """SNR of the clearest dark line that would pass for a streak if it were bright.

    Noise has none; the texture of clouds has, and as many bright ones.
    """
    negative = replace(hunt, light=-hunt.light, whole=-hunt.whole)
    found = 0.0
    for index in range(min(len(dark), DARK_TRIES)):
        rough, sigma = path_of(dark, index), float(dark.sigma_px[index])
        line = fitted_line(negative.light, negative.known, rough, sigma, least)
        if line is not None and line.snr > max(found, least) and is_streak(line, sky, negative):
            found = line.snr
    return found


def sky_of(frame: StreakFrame, bright: BrightLines) -> Sky:
    """Find stars, cosmic rays and defects; bright lines that are known already are hidden."""
    taken = np.zeros(frame.ignored.shape, bool)
    for line in (*bright.streaks, *bright.tracks):
        taken |= streak_band(taken.shape, line)
    lost = frame.clipped & ~clipped_streaks(frame.clipped) & ~taken
    hidden = frame.ignored | taken | grown(lost, BLEED_PX) | clipped_stars(frame.residual, lost)
    sharp = sharp_pixels(frame.residual) & ~hidden
    hidden |= sharp
    flat, _ = flattened(frame.residual, hidden, roughly=True)
    flat[hidden] = 0.0
    unit = blurred_noise(SIGMA_PX)
    trail = common_star_trail(gaussian_blur(flat, SIGMA_PX), unit, SIGMA_PX)
    if trail is not None:
        trail = trail.measured_on(flat, (~hidden).astype(np.float32))
    stars = stars_of(flat, hidden, trail)
    return Sky(
        hidden=hidden | stars.mask,
        sharp=sharp,
        trail=trail,
        star_sigma_px=stars.sigma_px,
        star_sigma_told=stars.told,
    )


@dataclass(frozen=True, kw_only=True)
class Sky:
    """What of a frame is no streak: hidden pixels, sharp ones among them, and its stars' look."""

    hidden: BoolImage
    sharp: BoolImage
    trail: StarTrail | None
    star_sigma_px: float
    star_sigma_told: bool  # by stars; else a usual one


def is_streak(line: Line, sky: Sky, hunt: Hunt) -> bool:
    """Whether a line, in pixels of that frame, is a streak."""
    full = line.scaled(hunt.bin_px)
    if hunt.bin_px > 1 and line.sigma_px < LEAST_BINNED_SIGMA:
        return False
    length = full.path.length_px
    shortest = SHORTEST_SIGMAS if line.snr < LONG_SNR else SHORTEST_SIGMAS_CLEAR
    if length < SHORTEST_PX or length < shortest * full.sigma_px:
        return False
    if line.sigma_px > 0.95 * WIDEST_PX:
        return False
    if sky.trail is not None and is_star_trail(full, sky.trail):
        return False
    if _on_border_or_row(full, sky.hidden.shape):
        return False
    rest = rest_share(line)
    part = np.clip((line.snr - FAINT_SNR) / (BRIGHT_SNR - FAINT_SNR), 0.0, 1.0)
    if rest < LEAST_REST + part * (LEAST_REST_BRIGHT - LEAST_REST):
        return False
    if is_narrow(full, sky) or is_chain(line, sky, hunt):
        return False
    if sharp_share(full.path, sky.sharp) > TRACK_SHARE:
        return False
    if hunt.bin_px == 1 and narrower_than_light(line, sky, hunt):
        return False
    cloudy = _texture(line, hunt) > CLOUD_TEXTURE
    if cloudy and line.snr < CLOUD_SNR:
        return False
    # Short streaks of some width are seen without binning; wisps of cloud are not
    if hunt.bin_px > 1 and length < WISP_SIGMAS * full.sigma_px:
        return False
    if line.snr < FAINTEST_WIDE_SNR and full.sigma_px > FAINT_WIDEST * sky.star_sigma_px:
        return False
    widest = WIDEST_IN_CLOUDS if cloudy else WIDEST
    if full.sigma_px > widest * max(sky.star_sigma_px, LEAST_STAR_PX) + WIDEST_MORE_PX:
        long = length > WIDE_SIGMAS * full.sigma_px
        return bool(not cloudy and long and line.snr > WIDE_SNR and rest > WIDE_REST)
    return True


def is_narrow(line: Line, sky: Sky) -> bool:
    """Whether a line, in pixels of the frame, is narrower than light is there.

    Tracks of particles and columns of the sensor, also where the interpolation of a mosaic has
    widened them. The profiles of stars change over a frame, that of a long line hardly tells.
    """
    ratio = line.sigma_px / sky.star_sigma_px
    if ratio < NARROWEST:
        return True
    short = line.bin_px == 1 and line.path.length_px < NARROW_LENGTH_PX and sky.star_sigma_told
    sure = float(np.log(ratio)) + NARROW_SIGMAS * line.sigma_width < np.log(NARROW_SHORT)
    return bool(short and sure)


def is_chain(line: Line, sky: Sky, hunt: Hunt) -> bool:
    """Whether the light of a short, faint line comes and goes from one star's width to the next.

    The mean square of successive differences (von Neumann 1941, Ann. Math. Stat. 12, 367) over
    twice the noise's is 1 for even light whatever it does from end to end, with variance 3 / (n -
    1); a row of blended stars is all steps.
    """
    length = line.path.length_px * hunt.bin_px
    # Bright ones are as uneven where particles lose their energy and turn
    particle = line.snr > CHAIN_SNR
    if length > (PARTICLE_LENGTH_PX if particle else CHAIN_LENGTH_PX):
        return False
    piece = max(PIECE_PX, CHAIN_WIDTHS * sky.star_sigma_px / hunt.bin_px)
    inside = np.flatnonzero(line.inside)
    count = int(min(line.path.length_px / piece, inside.size))
    if count < FEWEST_IN_CHAIN:
        return False
    edges = np.linspace(0, inside.size, count, endpoint=False).astype(int)
    weight = np.maximum(np.add.reduceat(line.weight[inside], edges), 1e-3)
    level = np.add.reduceat(line.signal[inside], edges) / np.sqrt(weight) / line.scatter
    excess = 0.5 * float(np.square(np.diff(level)).mean()) - 1.0
    steps = PARTICLE_STEPS if particle else CHAIN_STEPS
    by_chance = CHAIN_SIGMAS * np.sqrt(3.0 / (count - 1))
    return bool(excess > by_chance and excess > (steps * float(level.mean())) ** 2)


def is_bent(line: Line, residual: FloatImage) -> bool:
    """Whether the middle of a short, bright line's light wanders: a slow particle's track.

    `line`: in pixels of the frame.
    """
    path = line.path
    if path.length_px > BENT_LENGTH_PX or line.snr < BENT_SNR or line.bin_px > 1:
        return False
    half = 3.0 * line.sigma_px + 2.0
    strip = strip_along(residual, np.ones_like(residual), path, beyond_px=0.0, half_px=half)
    window = np.exp(-0.5 * (strip.v / (BENT_WINDOW * line.sigma_px)) ** 2)
    count = max(3, int(path.length_px / PIECE_PX))
    edges = np.linspace(0, strip.u.size, count, endpoint=False).astype(int)
    light = np.add.reduceat(strip.light * window, edges, axis=0)
    total = np.maximum(light.sum(axis=1), 1e-3)
    middle = (light @ strip.v) / total
    noise = float(np.sqrt(PIECE_PX * np.square(window * strip.v).sum()) / np.median(total))
    t = np.linspace(-1.0, 1.0, count)
    wander = float(np.std(middle - np.polynomial.Polynomial.fit(t, middle, 1)(t)))
    return wander > BENT_PX + BENT_SIGMAS * noise


def _on_border_or_row(line: Line, shape: tuple[int, ...]) -> bool:
    """Whether a line runs along the border, where sensors end, or, faint, along a row."""
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 9), 0.0)
    h, w = shape
    away = np.minimum(np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y))
    # Rows and columns of a sensor differ, more than their neighbours tell; where the frame grows
    # dark, to its border, short parts of them stand out
    path = line.path
    drift = min(abs(path.x2 - path.x1), abs(path.y2 - path.y1))
    long = path.length_px > LONG_ROW_PX or min(away[0], away[-1]) < BORDER_PX
    read_out = long and drift < ROW_DRIFT_PX and line.snr < CHAIN_SNR
    return bool(np.median(away) < BORDER_PX + line.sigma_px or read_out)


def _texture(line: Line, hunt: Hunt) -> float:
    """Mean texture of clouds along a line."""
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 32), 0.0)
    return float(hunt.texture[nearest_pixels(hunt.texture.shape, x, y)].mean())


def narrower_than_light(line: Line, sky: Sky, hunt: Hunt) -> bool:
    """Whether a line of a pixel's width explains the light better than one of a star's.

    With the pixels that were hidden as too sharp. The squares of the signal-to-noise ratios are
    twice the log-likelihoods.
    """
    known = np.where(sky.sharp, np.float32(1.0), hunt.known)
    light = np.where(sky.sharp, hunt.whole, hunt.light)
    wide = max(LEAST_LINE_SIGMA, min(LINE_OVER_STAR * sky.star_sigma_px, line.sigma_px))
    narrow = nudged(light, known, line.path, PIXEL_SIGMA, NUDGE_PX)[1]
    ratio = narrow / max(nudged(light, known, line.path, wide, NUDGE_PX)[1], 1e-6)
    # What starlight shows, and half way from it to 1, unless noise may do as much
    usual = np.sqrt(2.0 * PIXEL_SIGMA * wide / (PIXEL_SIGMA**2 + wide**2))
    doubt = NOISE_SIGMAS * np.sqrt(1.0 - usual**2) / max(line.snr, 1.0)
    return bool(ratio > min(1.0, max(0.5 * (1.0 + usual), usual + doubt)))


def rest_share(line: Line) -> float:
    """Part of the signal-to-noise ratio that remains without the brightest quarter."""
    inside = np.flatnonzero(line.inside)
    count = int(np.clip(line.path.length_px / PIECE_PX, 4, MOST_PIECES))
    if inside.size < count:
        return 0.0
    edges = np.linspace(0, inside.size, count, endpoint=False).astype(int)
    signal = np.add.reduceat(line.signal[inside], edges)
    weight = np.add.reduceat(line.weight[inside], edges)
    total = float(signal.sum()) / np.sqrt(max(float(weight.sum()), 1e-6))
    level = signal / np.sqrt(np.maximum(weight, 1e-6))
    rest = np.argsort(-level)[round(BEST_SHARE * count) :]
    left = float(signal[rest].sum()) / np.sqrt(max(float(weight[rest].sum()), 1e-6))
    return left / max(total, 1e-6)


def is_star_trail(line: Line, trail: StarTrail) -> bool:
    """Whether a line, in pixels of the frame, is what stars draw."""
    cos, sin = line.path.along
    angle = np.arctan2(sin, cos)
    middle = line.path.at(np.array([0.5 * line.path.length_px]), 0.0)
    trail_px, trail_rad = trail.near(float(middle[0][0]), float(middle[1][0]))
    away = abs((angle - trail_rad + 0.5 * np.pi) % np.pi - 0.5 * np.pi)
    longest = TRAIL_LENGTHS * trail_px + TRAIL_SLACK_PX
    if line.snr < ROW_SNR:
        longest = ROW_TRAILS * trail_px + ROW_SLACK_PX
    # Short lines have no sure direction, and the halves of a bent trail have others than the whole
    unsure = np.arctan2(2.0 * line.sigma_px, line.path.length_px)
    unsure += np.arctan2(4.0 * trail.bow_px, trail.length_px)
    return bool(away < np.radians(TRAIL_DEG) + unsure and line.path.length_px < longest)


def without_crowds(lines: list[Line]) -> list[Line]:
    """Lines without the short ones if these are many: knots of galaxies, and stars side by side.

    Streaks come alone, in trains, or as dashes of one line. Short ones that are parallel to their
    neighbours are trails of stars, however bright, and so are rows of them.

    `lines`: in pixels of the frame.
    """
    trains = in_trains([line.path for line in lines])
    trails = np.array(star_trails(lines), bool) & ~np.array(trains, bool)
    if np.count_nonzero(trails) >= FEWEST_TRAILS:
        longest = ROW_OF_TRAILS * float(
            np.median([line.path.length_px for line, one in zip(lines, trails, strict=True) if one])
        )
        kept = [
            (line, train)
            for line, trail, train in zip(lines, trails, trains, strict=True)
            if not trail and line.path.length_px > longest
        ]
        lines, trains = [line for line, _ in kept], [train for _, train in kept]
    short = [
        line.path.length_px < SHORT_PX and line.snr < CROWD_CLEAR_SNR and not train
        for line, train in zip(lines, trains, strict=True)
    ]
    if sum(short) < FEWEST:
        return lines
    return [line for line, one in zip(lines, short, strict=True) if not one]


def star_trails(lines: list[Line]) -> list[bool]:
    """Which lines are like others about them in length and direction, side by side.

    The direction may turn over the frame, as about a pole.
    """
    marks = []
    for line in lines:
        path = line.path
        cos, sin = path.along
        alike = 0
        for other in lines:
            far = other.path
            turn = abs(cos * far.along[1] - sin * far.along[0])
            size = far.length_px / max(path.length_px, 1e-9)
            dx = 0.5 * (far.x1 + far.x2 - path.x1 - path.x2)
            dy = 0.5 * (far.y1 + far.y2 - path.y1 - path.y2)
            alike += bool(
                other is not line
                and turn < np.sin(np.radians(TRAIL_DEG))
                and 1.0 / TRAIL_LENGTHS < size < TRAIL_LENGTHS
                and float(np.hypot(dx, dy)) < TRAIL_REACH_PX
                and abs(cos * dy - sin * dx) > SIDE_BY_SIDE_PX
            )
        marks.append(alike >= LEAST_ALIKE and path.length_px < LONGEST_TRAIL_PX)
    return marks
