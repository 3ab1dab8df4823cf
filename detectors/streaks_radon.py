"""Streaks by the fast Radon transform: a matched filter of all places, directions and lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.scale_space import gaussian_blur
from detectors.streak_chance import log10_false_alarm, snr_for
from detectors.streak_describe import described
from detectors.streak_frame import StreakFrame, flattened
from detectors.streak_join import joined_line
from detectors.streak_line import Line, fitted_line, path_of
from detectors.streak_search import BINS, LEAST_SIDE_PX, Hunt, hunt_in, still_there, streak_band
from detectors.streak_stars import BLEED_PX, SIGMA_PX, grown, sharp_pixels, stars_of
from detectors.streak_trail import common_star_trail
from detectors.streak_types import StreakDetections
from detectors.streak_verdict import Sky, is_streak

# A segment of the transform shows at least this part of the fitted streak's SNR
SEGMENT_SHARE = 0.75


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

    max_log10_false_alarm: float = -2.0
    max_streaks: int = 50
    max_tries: int = 120
    name: ClassVar[str] = "radon"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.streak_types.StreakDetector`.

        Parameters
        ----------
        light : ndarray, shape (h, w)
            Linear light.
        mask : ndarray of bool, shape (h, w), optional
            True where pixels must be ignored.
        saturated : ndarray, shape (h, w), optional
            Fraction of clipped pixels under each pixel.

        Returns
        -------
        StreakDetections

        Raises
        ------
        ValueError
            If the image is not two-dimensional or the mask or saturation has another shape.
        """
        frame = StreakFrame.of(light, mask, saturated)
        if frame is None:
            return StreakDetections.empty()
        sky = sky_of(frame)
        hidden = sky.hidden
        pixels = frame.residual.size
        least = snr_for(self.max_log10_false_alarm, pixels)
        lines: list[Line] = []
        for size in BINS:
            if min(frame.residual.shape) < size * LEAST_SIDE_PX and size > 1:
                break
            hunt = hunt_in(frame.residual, hidden, size)
            found, gone = self._found(hunt, sky, least)
            lines += [line.scaled(size) for line in found]
            for line in gone:
                hidden |= streak_band(hidden.shape, line.scaled(size))
        lines = lines[: self.max_streaks]
        return described(frame, lines, log10_false_alarm([line.snr for line in lines], pixels))

    def _found(self, hunt: Hunt, sky: Sky, least: float) -> tuple[list[Line], list[Line]]:
        """Streaks, and all lines that were taken away, in the order of their finding."""
        lines: list[Line] = []
        gone: list[Line] = []
        whole = hunt
        waiting = hunt.candidates(SEGMENT_SHARE * least)
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
        return lines, gone


def sky_of(frame: StreakFrame) -> Sky:
    """Find stars, cosmic rays and defects."""
    hidden = frame.ignored | grown(frame.clipped, BLEED_PX)
    sharp = sharp_pixels(frame.residual) & ~hidden
    hidden |= sharp
    flat = flattened(frame.residual, hidden)
    flat[hidden] = 0.0
    unit = 1.0 / (2.0 * np.sqrt(np.pi) * SIGMA_PX)
    trail = common_star_trail(gaussian_blur(flat, SIGMA_PX), unit, SIGMA_PX)
    stars = stars_of(flat, hidden, trail)
    return Sky(hidden=hidden | stars.mask, sharp=sharp, trail=trail, star_sigma_px=stars.sigma_px)
