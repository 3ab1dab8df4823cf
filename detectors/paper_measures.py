"""What is measured along segments: light, width, significance, and how well the ends are known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import norm

from detectors.paper_frame import END_STEP_PX, LIGHT_PX, Band, GreyFrame, cut_band
from detectors.streak_line import BOTH_OUTSIDE, Path, streak_flags
from detectors.types import BoolImage, FloatArray, StreakDetections, StreakKind

FWHM_PER_SIGMA = 2.3548
NARROWEST_PX, WIDEST_PX = 1.2, 14.0


def centred(frame: GreyFrame, usable: BoolImage, segment: FloatArray) -> FloatArray:
    """The segment moved onto the middle of its light: a line through the light's centroids."""
    band = cut_band(frame, usable, segment)
    place, offset, weight = _centroids(band)
    if place.size < 2:
        return segment
    slope, base = np.polyfit(place, offset, 1, w=weight)
    return _moved(segment, base, base + slope * band.along[-1])


def with_ends(frame: GreyFrame, usable: BoolImage, segment: FloatArray) -> FloatArray:
    """The segment with its ends where the light falls below half of its median along it."""
    band = cut_band(frame, usable, segment, beyond_px=3.0 * END_STEP_PX)
    profile = _filled(band.profile)
    inner = (band.along >= 0.0) & (band.along <= band.along[-1] - 3.0 * END_STEP_PX)
    half = 0.5 * float(np.median(profile[inner]))
    smooth = np.convolve(profile, np.ones(END_STEP_PX) / END_STEP_PX, "same")
    lit = np.flatnonzero(smooth >= half)
    if half <= 0.0 or lit.size < 2:
        return segment
    length = float(np.hypot(segment[2] - segment[0], segment[3] - segment[1]))
    step = (segment[2:] - segment[:2]) / length
    low, high = (
        _crossing(band.along, smooth, half, lit[0], -1),
        _crossing(band.along, smooth, half, lit[-1], 1),
    )
    return np.concatenate([segment[:2] + low * step, segment[:2] + high * step])


def cut_at_border(frame: GreyFrame, usable: BoolImage, segment: FloatArray) -> FloatArray:
    """The part of the segment between the centres of the outermost pixels; its line stays."""
    h, w = usable.shape
    step = segment[2:] - segment[:2]
    low, high = 0.0, 1.0
    for start, move, last in ((segment[0], step[0], w - 1.0), (segment[1], step[1], h - 1.0)):
        if move != 0.0:
            first, second = sorted((-start / move, (last - start) / move))
            low, high = max(low, first), min(high, second)
    if low >= high:
        return np.zeros(4)
    return np.concatenate([segment[:2] + low * step, segment[:2] + high * step])


def described(frame: GreyFrame, usable: BoolImage, segments: FloatArray) -> StreakDetections:
    """Measure segments, shape (N, 4); the surest come first.

    The signal-to-noise ratio is that of a filter of the segment's length with a Gaussian of its
    width across, over pixels that are seen. The number of false alarms is that ratio's tail of
    the normal distribution times half the square of the number of places (areas of one width
    squared) in the frame: pairs of ends. The paper has neither.
    """
    rows = []
    for segment in segments:
        row = _measured(
            frame, usable, segment if segment[0] <= segment[2] else segment[[2, 3, 0, 1]]
        )
        if row is not None:
            rows.append(row)
    if not rows:
        return StreakDetections.empty()
    rows.sort(key=lambda row: -row["snr"])
    numbers = [name for name in rows[0] if name not in ("flags", "profile")]
    return StreakDetections(
        **{name: np.array([row[name] for row in rows], float) for name in numbers},
        flags=np.array([row["flags"] for row in rows], np.uint8),
        kind=(StreakKind.UNKNOWN,) * len(rows),
        profiles=tuple(row["profile"] for row in rows),
    )


def _measured(frame: GreyFrame, usable: BoolImage, segment: FloatArray) -> dict[str, Any] | None:
    """All numbers of one segment; None where nothing is seen of it."""
    band = cut_band(frame, usable, segment)
    profile = band.profile
    if not np.isfinite(profile).any():
        return None
    width = _width(band)
    sigma = width / FWHM_PER_SIGMA
    template = np.exp(-0.5 * (band.across / sigma) ** 2)[:, None] * band.seen
    snr = float((template * band.signal).sum() / np.sqrt(np.square(template).sum()))
    snr *= band.evenness / (band.scatter * band.unevenness)
    length = float(np.hypot(segment[2] - segment[0], segment[3] - segment[1]))
    places = usable.size / width**2
    trials = max(1.0, 0.5 * places**2)
    profile = _filled(profile) * band.noise
    per_px = max(snr, 1e-3) / max(length, 1.0) ** 0.5
    # Where a step of that height in noise, blurred by the width, is told to begin (Cramer-Rao)
    sigma_end = float(np.sqrt(2.0 * np.pi**0.5 * sigma) / per_px)
    # A line's offset is known to sqrt(2) sigma / snr at its middle, half as well at its ends
    sigma_line = 2.0 * 2.0**0.5 * sigma / max(snr, 1e-3)
    bow, bow_sigma = _bow(band, sigma)
    ends = dict(zip(("x1", "y1", "x2", "y2"), map(float, segment), strict=True))
    path = Path(**ends, bow_px=bow)
    flags = streak_flags(path, usable.shape, bow_sigma_px=bow_sigma, clipped=band.clipped)
    return {
        **ends,
        "snr": snr,
        "width_px": width,
        "flux": float(profile.sum()),
        "log10_false_alarm": float(np.log10(trials) + norm.logsf(snr) / np.log(10.0)),
        "bow_px": bow,
        "sigma_end_px": np.nan if BOTH_OUTSIDE in flags else min(sigma_end, length),
        "sigma_line_px": sigma_line,
        "flags": int(flags),
        "profile": profile,
    }


def _width(band: Band) -> float:
    """Full width at half maximum of the mean cross profile, as far as its middle is its maximum."""
    cross = band.cross_profile
    middle = len(cross) // 2
    near = slice(middle - 2, middle + 3)
    half = 0.5 * float(cross[near].max())
    if half <= 0.0:
        return NARROWEST_PX
    top = middle - 2 + int(np.argmax(cross[near]))
    left = _crossing(band.across, cross, half, _edge(cross, half, top, -1), -1)
    right = _crossing(band.across, cross, half, _edge(cross, half, top, 1), 1)
    return float(np.clip(right - left, NARROWEST_PX, WIDEST_PX))


def _edge(values: FloatArray, half: float, top: int, step: int) -> int:
    """The last place from the top onwards that is still above half."""
    place = top
    while 0 <= place + step < len(values) and values[place + step] >= half:
        place += step
    return place


def _crossing(places: FloatArray, values: FloatArray, level: float, at: int, step: int) -> float:
    """Where values fall through a level between a place and the next one."""
    beyond = at + step
    if not 0 <= beyond < len(values) or values[at] <= values[beyond]:
        return float(places[at])
    share = (values[at] - level) / (values[at] - values[beyond])
    return float(places[at] + step * np.clip(share, 0.0, 1.0))


def _centroids(band: Band, pieces: int = 12) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Middle of the light across, piece by piece: place along, offset, weight."""
    core = np.abs(band.across) <= LIGHT_PX
    light = np.where(band.seen[core], band.signal[core], 0.0)
    edges = np.linspace(0, light.shape[1], min(pieces, max(2, light.shape[1] // 6)) + 1).astype(int)
    found = []
    for first, last in pairwise(edges):
        piece = np.maximum(light[:, first:last].sum(axis=1), 0.0)
        # Few seen pixels, as beside a removed star, tell no middle
        if band.seen[core][:, first:last].mean() < 0.8 or piece.sum() <= 0.0:
            continue
        offset = float(piece @ band.across[core] / piece.sum())
        found.append((band.along[first:last].mean(), offset, float(piece.sum())))
    columns = np.array(found, float).reshape(-1, 3).T
    return columns[0], columns[1], np.sqrt(columns[2])


def _bow(band: Band, sigma: float) -> tuple[float, float]:
    """How far the middle lies off the line between the ends, and one sigma of that."""
    place, offset, weight = _centroids(band)
    if place.size < 5:
        return 0.0, np.inf
    half = 0.5 * float(np.ptp(place))
    centred = (place - 0.5 * float(place.min() + place.max())) / half
    terms = np.polyfit(centred, offset, 2, w=weight)
    scatter = float(np.std(offset - np.polyval(terms, centred))) + 0.02 * sigma
    ends = 0.5 * (band.along[-1] - band.along[0]) / half
    return float(-terms[0] * ends**2), scatter * 3.4 / place.size**0.5


def _moved(segment: FloatArray, first: float, last: float) -> FloatArray:
    """Both ends moved to the right of the segment."""
    length = max(float(np.hypot(segment[2] - segment[0], segment[3] - segment[1])), 1.0)
    normal = np.array([segment[1] - segment[3], segment[2] - segment[0]]) / length
    shift = np.clip([first, last], -LIGHT_PX, LIGHT_PX)
    return segment + np.concatenate([shift[0] * normal, shift[1] * normal])


def _filled(values: FloatArray) -> FloatArray:
    """NaN replaced by interpolation."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    places = np.arange(len(values))
    return np.interp(places, places[known], values[known])
