"""Whether a fitted line is a streak: its light lies all along it, and it is no star trail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import log_ndtr

from detectors.streak_describe import in_trains
from detectors.streak_fit import WIDEST_PX, nudged
from detectors.streak_line import Line, Path
from detectors.streak_search import Hunt
from detectors.streak_stars import StarTrail
from detectors.types import BoolImage, FloatArray

# Pieces about as long as a star is wide; without the brightest quarter of them even light keeps
# 0.6 and more of its signal-to-noise ratio, and a few stars in a row hardly any
PIECE_PX, MOST_PIECES, BEST_SHARE = 4.0, 24, 0.25
LEAST_REST, LEAST_REST_BRIGHT = 0.35, 0.12
FAINT_SNR, BRIGHT_SNR = 12.0, 30.0
TRAIL_DEG, TRAIL_LENGTHS, TRAIL_SLACK_PX = 12.0, 1.8, 10.0
# Several faint trails in a row look like a longer one
ROW_SNR, ROW_TRAILS, ROW_SLACK_PX = 12.0, 12.0, 100.0
SHORTEST_PX, SHORTEST_SIGMAS, SHORTEST_SIGMAS_CLEAR, CLEAR_SNR = 17.0, 15.0, 10.0, 15.0
# Width over that of a star: cosmic rays are narrower, clouds are wider. What is near (meteors,
# aircraft) is out of focus, and two lamps side by side are wider still
NARROWEST, WIDEST, WIDEST_MORE_PX, LEAST_STAR_PX = 0.7, 2.2, 0.5, 0.85
WIDEST_IN_CLOUDS, CLOUD_TEXTURE, CLOUD_SNR, WISP_SIGMAS = 1.8, 1.1, 8.0, 30.0
WIDE_SNR, WIDE_SIGMAS, WIDE_REST = 12.0, 24.0, 0.5
SHARP_SHARE, SHARP_PX = 0.35, 1.5
BORDER_PX = 2.0
# A track of one pixel's width as linear interpolation shows it; a line of starlight
PIXEL_SIGMA, LINE_OVER_STAR, LEAST_LINE_SIGMA, NUDGE_PX = 0.5, 1.1, 0.8, 1.0
NOISE_SIGMAS = 2.2
LEAST_BINNED_SIGMA = 0.9  # narrower ones are seen without binning


@dataclass(frozen=True, kw_only=True)
class Sky:
    """What of a frame is no streak: hidden pixels, sharp ones among them, and its stars' look."""

    hidden: BoolImage
    sharp: BoolImage
    trail: StarTrail | None
    star_sigma_px: float


def is_streak(line: Line, sky: Sky, hunt: Hunt) -> bool:
    """Whether a line, in pixels of that frame, is a streak."""
    full = line.scaled(hunt.bin_px)
    if hunt.bin_px > 1 and line.sigma_px < LEAST_BINNED_SIGMA:
        return False
    length = full.path.length_px
    shortest = SHORTEST_SIGMAS if line.snr < CLEAR_SNR else SHORTEST_SIGMAS_CLEAR
    if length < SHORTEST_PX or length < shortest * full.sigma_px:
        return False
    if line.sigma_px > 0.95 * WIDEST_PX:
        return False
    if sky.trail is not None and is_star_trail(full, sky.trail):
        return False
    if _on_border(full, sky.hidden.shape):
        return False
    rest = rest_share(line)
    part = np.clip((line.snr - FAINT_SNR) / (BRIGHT_SNR - FAINT_SNR), 0.0, 1.0)
    if rest < LEAST_REST + part * (LEAST_REST_BRIGHT - LEAST_REST):
        return False
    if full.sigma_px < NARROWEST * sky.star_sigma_px:
        return False
    if sharp_share(full.path, sky.sharp) > SHARP_SHARE:
        return False
    if hunt.bin_px == 1 and narrower_than_light(line, sky, hunt):
        return False
    cloudy = _texture(line, hunt) > CLOUD_TEXTURE
    if cloudy and line.snr < CLOUD_SNR:
        return False
    # Short streaks of some width are seen without binning; wisps of cloud are not
    if hunt.bin_px > 1 and length < WISP_SIGMAS * full.sigma_px:
        return False
    widest = WIDEST_IN_CLOUDS if cloudy else WIDEST
    if full.sigma_px > widest * max(sky.star_sigma_px, LEAST_STAR_PX) + WIDEST_MORE_PX:
        long = length > WIDE_SIGMAS * full.sigma_px
        return bool(not cloudy and long and line.snr > WIDE_SNR and rest > WIDE_REST)
    return True


def _on_border(line: Line, shape: tuple[int, ...]) -> bool:
    """Whether a line runs along the border: backgrounds and sensors end there."""
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 9), 0.0)
    h, w = shape
    away = np.minimum(np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y))
    return bool(np.median(away) < BORDER_PX + line.sigma_px)


def _texture(line: Line, hunt: Hunt) -> float:
    """Mean texture of clouds along a line."""
    x, y = line.path.at(np.linspace(0.0, line.path.length_px, 32), 0.0)
    h, w = hunt.texture.shape
    row, col = np.clip(np.rint(y), 0, h - 1), np.clip(np.rint(x), 0, w - 1)
    return float(hunt.texture[row.astype(np.intp), col.astype(np.intp)].mean())


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


def sharp_share(path: Path, sharp: BoolImage) -> float:
    """Part of a path beside pixels that are too sharp for light."""
    u = np.arange(0.0, path.length_px + 1.0)
    beside = np.zeros(u.size, bool)
    h, w = sharp.shape
    for off in (-SHARP_PX, -0.5 * SHARP_PX, 0.0, 0.5 * SHARP_PX, SHARP_PX):
        x, y = path.at(u, off)
        row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        inside = (row >= 0) & (row < h) & (col >= 0) & (col < w)
        beside |= inside & sharp[np.clip(row, 0, h - 1), np.clip(col, 0, w - 1)]
    return float(beside.mean())


def is_star_trail(line: Line, trail: StarTrail) -> bool:
    """Whether a line, in pixels of the frame, is what stars draw."""
    cos, sin = line.path.along
    angle = np.arctan2(sin, cos)
    away = abs((angle - trail.angle_rad + 0.5 * np.pi) % np.pi - 0.5 * np.pi)
    longest = TRAIL_LENGTHS * trail.length_px + TRAIL_SLACK_PX
    if line.snr < ROW_SNR:
        longest = ROW_TRAILS * trail.length_px + ROW_SLACK_PX
    # Short lines have no sure direction
    unsure = np.arctan2(2.0 * line.sigma_px, line.path.length_px)
    return bool(away < np.radians(TRAIL_DEG) + unsure and line.path.length_px < longest)


# Short faint lines in all directions are what a frame is made of, and no streaks.

SHORT_PX, FEWEST, CROWD_CLEAR_SNR = 60.0, 4, 30.0


def without_crowds(lines: list[Line]) -> list[Line]:
    """Lines without the short ones if these are many: knots of galaxies, and stars side by side.

    Streaks come alone, in trains, or as dashes of one line.

    Parameters
    ----------
    lines : list of Line
        In pixels of the frame.
    """
    trains = in_trains([line.path for line in lines])
    short = [
        line.path.length_px < SHORT_PX and line.snr < CROWD_CLEAR_SNR and not train
        for line, train in zip(lines, trains, strict=True)
    ]
    if sum(short) < FEWEST:
        return lines
    return [line for line, one in zip(lines, short, strict=True) if not one]


# How many streaks as clear as one noise alone would show in a frame.


# Independent segments a pixel: places, directions and lengths that a fit may choose from. An
# estimate: in white noise as many candidates rise above a threshold as 14 normal numbers a pixel
# would, and the fit, free to move ends, bow and width, is given ten times that
TRIALS_PER_PIXEL = 150.0


def log10_false_alarm(snr: ArrayLike, pixels: int) -> FloatArray:
    """Decimal logarithm of the expected number of noise streaks of at least that SNR.

    Expected number = trials a pixel x pixels x Q(snr), with the tail Q of the normal distribution:
    the look-elsewhere correction.

    Parameters
    ----------
    snr : array of float
    pixels : int
        Of the frame.
    """
    tail = log_ndtr(-np.asarray(snr, float)) / np.log(10.0)
    return np.asarray(tail + np.log10(TRIALS_PER_PIXEL * pixels))


def snr_for(log10_expected: float, pixels: int) -> float:
    """Signal-to-noise ratio at which noise shows so many streaks in a frame."""
    return float(
        brentq(lambda snr: float(log10_false_alarm(snr, pixels)) - log10_expected, 0.0, 40.0)
    )
