"""Streaks one after the other: the clearest is fitted, judged, taken away; then the next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from detectors.scale_space import gaussian_blur
from detectors.streak_candidates import Segments, clearer_than_dark, segments
from detectors.streak_frame import flattened
from detectors.streak_line import Line, Path
from detectors.types import BoolImage, FloatImage

SIGMA_PX = 1.2  # of the filter, in pixels of the binned frame
BINS = (1, 2, 4)
LEAST_KNOWN = 0.5  # of a square of pixels
CLIP_SIGMA = 4.0  # one pixel counts no more than this in a candidate: stars are bright, not long
CLIP_FIT = 15.0
LEAST_SIDE_PX = 48
DARK_REACH_PX, DARK_FEWEST = 200.0, 3
SAMPLES = 48  # places along a candidate at which it is looked at again
STILL_THERE = 0.6


@dataclass(frozen=True, kw_only=True)
class Hunt:
    """A frame in units of its noise, stars hidden, perhaps binned.

    Attributes
    ----------
    light : ndarray of float32, shape (h, w)
        0 where hidden.
    known : ndarray of float32, shape (h, w)
        1, or 0 where hidden.
    whole : ndarray of float32, shape (h, w)
        The light with all that was hidden.
    texture : ndarray of float32, shape (h, w)
        By how much clouds exceed the noise, at least 1.
    bin_px : int
        Side of the squares of pixels added up to one.
    """

    light: FloatImage
    known: FloatImage
    whole: FloatImage
    texture: FloatImage
    bin_px: int = 1

    def candidates(self, least_snr: float) -> tuple[Segments, Segments]:
        """Segments that stand out of the noise and of the texture about them; and dark ones."""
        cut = np.clip(self.light, -CLIP_SIGMA, CLIP_SIGMA)
        bright, dark = segments(gaussian_blur(cut, SIGMA_PX), SIGMA_PX, least_snr)
        return bright.select(clearer_than_dark(bright, dark, DARK_REACH_PX, DARK_FEWEST)), dark

    def without(self, line: Line) -> Hunt:
        """The frame with the band of a streak, in pixels of this frame, hidden."""
        band = streak_band(self.light.shape, line)
        light, known = self.light.copy(), self.known.copy()
        light[band], known[band] = 0.0, 0.0
        return replace(self, light=light, known=known)


def hunt_in(residual: FloatImage, hidden: BoolImage, bin_px: int) -> Hunt:
    """The frame without large structure, in squares of so many pixels."""
    light, known = residual, (~hidden).astype(np.float32)
    if bin_px > 1:
        light = binned(np.where(hidden, np.float32(0.0), residual), bin_px)
        known = binned(known, bin_px) / np.float32(bin_px)
    unseen = known < LEAST_KNOWN
    flat, texture = flattened(light, unseen)
    cut = np.clip(flat, -CLIP_FIT, CLIP_FIT)
    return Hunt(
        light=np.where(unseen, np.float32(0.0), cut),
        known=np.where(unseen, np.float32(0.0), known),
        whole=cut,
        texture=texture,
        bin_px=bin_px,
    )


def binned(image: FloatImage, size: int) -> FloatImage:
    """Squares of pixels added up, over their side: white noise keeps its sigma."""
    h, w = (side // size for side in image.shape)
    mean = cv2.resize(image[: h * size, : w * size], (w, h), interpolation=cv2.INTER_AREA)
    return np.asarray(mean * np.float32(size), np.float32)


def streak_band(shape: tuple[int, ...], line: Line) -> BoolImage:
    """Pixels with the light of a streak: as wide as it stands out of the noise."""
    inside = line.inside
    weight = float(line.weight[inside].sum())
    peak = max(float(line.signal[inside].sum()) / max(weight, 1.0), 0.1)
    # Wings of lenses are wider than a Gaussian's
    reach = line.sigma_px * (2.0 + np.sqrt(2.0 * np.log1p(peak / 0.2)) + 0.5 * np.log1p(peak))
    return path_band(shape, line.path, float(reach), line.sigma_px + 2.0 * line.sigma_px)


def path_band(shape: tuple[int, ...], path: Path, reach: float, beyond: float) -> BoolImage:
    """Pixels nearer to a path than that."""
    u = np.linspace(-beyond, path.length_px + beyond, max(2, int(path.length_px / 8.0) + 2))
    x, y = path.at(u, 0.0)
    points = [np.rint(np.stack([x, y], axis=1) * 16.0).astype(np.int32)]
    paint = np.zeros(shape, np.uint8)
    cv2.polylines(paint, points, False, (1.0,), 2 * round(reach) + 1, cv2.LINE_8, 4)
    return paint > 0


def still_there(hunt: Hunt, some: Segments) -> BoolImage:
    """Candidates that have not lost much of their light to a streak that was taken away."""
    t = (np.arange(SAMPLES) + 0.5) / SAMPLES
    x = some.x1[:, None] + (some.x2 - some.x1)[:, None] * t
    y = some.y1[:, None] + (some.y2 - some.y1)[:, None] * t
    h, w = hunt.known.shape
    row = np.clip(np.rint(y), 0, h - 1).astype(np.intp)
    col = np.clip(np.rint(x), 0, w - 1).astype(np.intp)
    return np.asarray(hunt.known[row, col].mean(axis=1) > STILL_THERE)
