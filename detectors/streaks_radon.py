"""Streaks by the fast Radon transform: a matched filter of all places, directions and lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.scale_space import gaussian_blur
from detectors.streak_bright import BrightLines, bright_lines
from detectors.streak_candidates import Segments
from detectors.streak_describe import described, is_piece, joined_line
from detectors.streak_fit import fitted_line, path_of
from detectors.streak_frame import StreakFrame, clipped_streaks, flattened
from detectors.streak_line import Line
from detectors.streak_search import BINS, LEAST_SIDE_PX, Hunt, hunt_in, still_there, streak_band
from detectors.streak_stars import (
    BLEED_PX,
    SIGMA_PX,
    clipped_stars,
    common_star_trail,
    grown,
    sharp_pixels,
    stars_of,
)
from detectors.streak_verdict import (
    Sky,
    is_star_trail,
    is_streak,
    log10_false_alarm,
    snr_for,
    without_crowds,
)
from detectors.types import BoolImage, StreakDetections

# A segment of the transform shows at least this part of the fitted streak's SNR
SEGMENT_SHARE = 0.75
WIDE_RARER = 2.0
DARK_TRIES, DARK_MARGIN = 12, 1.1


@dataclass(frozen=True, kw_only=True)
class Radon:
    """Streak detector by the fast Radon transform; ``docs/methods/streaks.md`` has the equations.

    Attributes
    ----------
    max_log10_false_alarm : float
        Streaks that noise would show more often than this in a frame are left out.
    max_streaks : int
        The clearest so many are given.
    max_tries : int
        So many candidates are fitted.
    """

    max_log10_false_alarm: float = -3.0
    max_streaks: int = 50
    max_tries: int = 120
    name: ClassVar[str] = "radon"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.types.StreakDetector`."""
        frame = StreakFrame.of(light, mask, saturated)
        if frame is None:
            return StreakDetections.empty()
        bright = bright_lines(frame)
        sky = sky_of(frame, bright)
        trail = sky.trail
        lines = [one for one in bright.streaks if trail is None or not is_star_trail(one, trail)]
        hidden = sky.hidden
        pixels = frame.residual.size
        for size in BINS:
            # Most streaks are seen without binning: what is wide must be clearer
            rare = self.max_log10_false_alarm - (WIDE_RARER if size > 1 else 0.0)
            least = snr_for(rare, pixels)
            if min(frame.residual.shape) < size * LEAST_SIDE_PX and size > 1:
                break
            hunt = hunt_in(frame.residual, hidden, size)
            found, gone = self._found(hunt, sky, least)
            lines += [
                line for line in (one.scaled(size) for one in found) if not is_piece(line, lines)
            ]
            for line in gone:
                hidden |= streak_band(hidden.shape, line.scaled(size))
        lines = without_crowds(lines)[: self.max_streaks]
        return described(frame, lines, log10_false_alarm([line.snr for line in lines], pixels))

    def _found(self, hunt: Hunt, sky: Sky, least: float) -> tuple[list[Line], list[Line]]:
        """Streaks, and all lines that were taken away, in the order of their finding."""
        lines: list[Line] = []
        gone: list[Line] = []
        whole = hunt
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
            hunt = hunt.without(line)
            waiting = waiting.select(still_there(hunt, waiting))
        if not lines:
            return lines, gone
        null = dark_snr(hunt, dark.select(still_there(hunt, dark)), sky, least)
        return [line for line in lines if line.snr > DARK_MARGIN * null], gone


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
    unit = 1.0 / (2.0 * np.sqrt(np.pi) * SIGMA_PX)
    trail = common_star_trail(gaussian_blur(flat, SIGMA_PX), unit, SIGMA_PX)
    stars = stars_of(flat, hidden, trail)
    return Sky(hidden=hidden | stars.mask, sharp=sharp, trail=trail, star_sigma_px=stars.sigma_px)
