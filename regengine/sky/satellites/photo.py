"""Predict the satellites of a photo (field, time, observer), identify its streaks, and tell.

A streak has four measurements: for each end, the time at which the satellite's predicted track
passes it (relative to the start or the end of the exposure), and the distance from the track. With
the errors of orbit, attitude and measurement, they are normally distributed; the clock error adds
to both times. An end that the border cuts, or that faded, has no time of its own but must lie
within the exposure.

All streaks of a frame share the clock error. Given the clock error, every streak was drawn by one
of the catalogue's satellites or by another object. The joint likelihood of the streaks weights the
clock errors, and the probabilities are averaged over them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr

from detectors.types import (
    BoolArray,
    FloatArray,
    IndexArray,
    StreakDetections,
    StreakDetector,
    StreakFlag,
)
from regengine.errors import FrameError
from regengine.io.plain import round_or_none
from regengine.io.tables import cell, csv_lines
from regengine.io.times import iso_utc
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.sky.detection import ENDS, STREAKS
from regengine.sky.drawing import (
    CYAN,
    GREEN,
    LABEL_RIGHT_PX,
    LABEL_UP_PX,
    RED,
    SHADOW,
    YELLOW,
    PicturePaths,
    brighten,
    draw_label,
    draw_legend,
    draw_streak_outline,
    draw_track,
    picture_pixel,
    write_picture,
)
from regengine.sky.satellites.tracks import (
    TAIL_ACROSS,
    TAIL_FACTOR,
    TAIL_SHARE,
    Exposure,
    SatelliteCatalogue,
    SatelliteObserver,
    Satellites,
    SkyProjection,
    Tracks,
    predict_tracks,
    sample_track,
    touch_picture,
)
from regengine.sky.stars.photo import read_wcs, solve_photo
from regengine.sky.stars.solve import StarSolution
from regengine.store.result import Answer

# Typical accuracy at a signal-to-noise ratio of some 10, for detectors without uncertainties
USUAL_END_PX, USUAL_LINE_PX = 2.0, 0.5
MIN_END_PX, MIN_LINE_PX = 0.7, 0.3  # width of the streak, lens distortion
# Probability that a sunlit satellite in the field is detected. Debris is a hundred times fainter
# than spacecraft, high orbits are a hundred times farther. In the shadow, only flashes are visible,
# and satellites at its edge (refraction, 30 km wide)
SEEN, SEEN_DEBRIS, SEEN_SHADOW = 0.5, 0.08, 0.004
FAR_KM = 3000.0
FRAGMENTS = (" DEB", " COOLANT", " SHROUD")  # endings of debris names in catalogues
LISTED, MIN_LISTED = 5, 0.001
NAMED_FROM = 0.5  # a streak with this probability is reported as a satellite
CSV_COLUMNS = (
    *("frame", "path", "what", "x1", "y1", "x2", "y2", "name", "norad", "probability"),
    *("offset_px", "offset_deg", "offset_s", "sunlit", "range_km", "altitude_km", "tle_age_h"),
)
TERMINAL_HEADER = f"{'photo':18s} what      x1    y1    x2    y2 {'name':20s} p"


def measure_streaks(found: StreakDetections, exposure: Exposure) -> list[Streak]:
    """Detected streaks, in the picture at mid-exposure.

    Unknown uncertainties are replaced by typical ones.
    """
    known = np.stack([found.sigma_end_px, found.sigma_line_px], axis=-1)
    usual = np.where(np.isfinite(known) & (known > 0.0), known, (USUAL_END_PX, USUAL_LINE_PX))
    sigma = np.maximum(usual, (MIN_END_PX, MIN_LINE_PX))
    half = 0.5 * exposure.exposure_s
    measured = []
    for k, flags in enumerate(found.flags):
        x, y = np.array([found.x1[k], found.x2[k]]), np.array([found.y1[k], found.y2[k]])
        ways = [
            np.stack(exposure.carried(x, y, seconds), axis=-1)
            for seconds in (np.array([-half, half]), np.array([half, -half]))
        ]
        measured.append(
            Streak(
                ends=np.stack(ways),
                cut=(
                    bool(flags & StreakFlag.FIRST_END_OUTSIDE),
                    bool(flags & StreakFlag.SECOND_END_OUTSIDE),
                ),
                sigma_end_px=float(sigma[k, 0]),
                sigma_line_px=float(sigma[k, 1]),
            )
        )
    return measured


def predict_and_name(
    satellites: Satellites, exposure: Exposure, streaks: Sequence[Streak] = ()
) -> tuple[Tracks, list[Naming]]:
    """Predict all tracks in a picture and identify its streaks."""
    tracks = predict_tracks(satellites, exposure)
    kinds = tracks.per_sigma.shape[-1]
    # Probability that each satellite is bright enough at each time, shape (n, T)
    names = [(satellites.sets[row].name or "").upper() for row in tracks.rows]
    debris = np.array([name.endswith(FRAGMENTS) for name in names], bool)
    usual = np.where(debris, SEEN_DEBRIS, SEEN)[:, None]
    usual = usual * np.where(tracks.range_km > FAR_KM, np.sqrt(FAR_KM / tracks.range_km), 1.0)
    lit = np.nan_to_num(tracks.sunlit)
    namings = name_streaks(
        streaks,
        PredictedTracks(
            xy=tracks.xy,
            per_sigma=tracks.per_sigma,
            seconds=tracks.seconds,
            seen=np.asarray(lit * usual + (1.0 - lit) * SEEN_SHADOW),
        ),
        Errors(
            exposure_s=exposure.exposure_s,
            clock_sigma_s=exposure.clock_sigma_s,
            attitude_px=exposure.attitude_sigma_px,
            wide_share=TAIL_SHARE,
            wide=(TAIL_FACTOR, TAIL_ACROSS, TAIL_ACROSS, *(1.0,) * (kinds - 3)),
        ),
        (exposure.field.width_px, exposure.field.height_px),
    )
    return tracks, namings


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedPhoto:
    """A photo, its exposure, and the satellites in it."""

    frame: Frame
    exposure: Exposure
    satellites: Satellites
    tracks: Tracks  # of the satellites near the picture
    streaks: StreakDetections
    namings: Sequence[Naming]  # one per streak


def record_of(photo: NamedPhoto) -> dict[str, Any]:
    """JSON-serialisable record of a photo: tracks, the nearest first; streaks with candidates."""
    exposure, satellites, tracks = photo.exposure, photo.satellites, photo.tracks
    middle = len(tracks.seconds) // 2
    inside = np.flatnonzero(touch_picture(tracks, exposure))
    crossing = []
    for row in inside[np.argsort(tracks.range_km[inside, middle], kind="stable")].tolist():
        x, y = sample_track(tracks, row, exposure, 9)
        points = [[round(float(a), 2), round(float(b), 2)] for a, b in zip(x, y, strict=True)]
        sigma_px = float(np.sqrt(np.nansum(tracks.per_sigma[row, middle] ** 2)))
        track = {
            **_satellite(photo, row, middle),
            "points": [None if math.isnan(a + b) else [a, b] for a, b in points],
            "sigma_px": round_or_none(sigma_px, 1),
        }
        crossing.append(track)
    streaks = []
    for number, naming in enumerate(photo.namings):
        # Candidates, the most probable first
        listed = []
        for share, one in list(zip(naming.probability, naming.candidates, strict=True))[:LISTED]:
            if share < MIN_LISTED:
                continue
            step = int(np.abs(tracks.seconds - one["seconds"]).argmin())
            candidate = {
                **_satellite(photo, int(one["row"]), step),
                "probability": round(float(share), 6),
                "offset_px": round_or_none(float(one["beside_px"]), 2),
                "offset_deg": round_or_none(float(one["turned_deg"]), 3),
                "offset_s": round_or_none(float(one["ahead_s"]), 3),
            }
            listed.append(candidate)
        best = listed[0] if listed and listed[0]["probability"] >= NAMED_FROM else {}
        ends = {key: round(float(getattr(photo.streaks, key)[number]), 2) for key in ENDS}
        streaks.append(
            {
                **ends,
                **{key: best.get(key) for key in ("name", "norad", "probability")},
                "not_in_catalogue": round_or_none(naming.unlisted, 6),
                "candidates": listed,
            }
        )
    return {
        "frame": photo.frame.frame_id,
        "path": str(photo.frame.path),
        "time_utc": iso_utc(exposure.start_utc),
        "exposure_s": exposure.exposure_s,
        "clock_sigma_s": exposure.clock_sigma_s,
        "observer": exposure.observer.describe(exposure.middle_days),
        "mount": "still" if exposure.held_still else "stars",
        "catalogue": {
            "satellites": len(satellites),
            "skipped": satellites.skipped,
            "stale": satellites.stale,
            "median_age_h": round(float(np.median(np.abs(satellites.age_h))), 2),
        },
        "tracks": crossing,
        "streaks": streaks,
    }


def _satellite(photo: NamedPhoto, row: int, step: int) -> dict[str, Any]:
    tracks, satellites = photo.tracks, photo.satellites
    number = int(tracks.rows[row])
    return {
        "name": satellites.sets[number].name,
        "norad": satellites.sets[number].satellite,
        "sunlit": bool(tracks.sunlit[row, step] > 0.5),
        "range_km": round_or_none(float(tracks.range_km[row, step]), 1),
        "altitude_km": round_or_none(float(tracks.height_km[row, step]), 1),
        "tle_age_h": round(float(satellites.age_h[number]), 2),
    }


def table_lines(record: dict[str, Any], *, on_terminal: bool) -> Iterable[str]:
    """A record as lines below `TERMINAL_HEADER`, in 80 columns, or as CSV of `CSV_COLUMNS`.

    Its tracks come first, then its streaks with the best candidate.
    """
    rows: list[dict[str, Any]] = []
    for track in record["tracks"]:
        # A track may have no visible sample if it is visible only between two of them
        seen = [point for point in track["points"] if point is not None] or [(None, None)]
        (x1, y1), (x2, y2) = seen[0], seen[-1]
        rows.append({**track, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "what": "track"})
    for streak in record["streaks"]:
        best = streak["candidates"][0] if streak["norad"] else {}
        rows.append({**best, **streak, "what": "streak"})
    if not on_terminal:
        cells = ([(k, (record | row).get(k)) for k in CSV_COLUMNS] for row in rows)
        return csv_lines(
            [value if isinstance(value, bool) else cell(column, value) for column, value in one]
            for one in cells
        )
    return [
        f"{record['frame']:18.18s} {row['what']:6s} "
        + " ".join(
            "    -" if row[k] is None else f"{row[k]:5.0f}" for k in ("x1", "y1", "x2", "y2")
        )
        + f" {row.get('name') or row.get('norad') or '-'!s:20.20s} "
        + ("-" if row.get("probability") is None else f"{row['probability']:.3f}")
        for row in rows
    ]


NAMED_GAP_PX = 9.0  # between a streak's edge and its outline


def draw_satellites(photo: NamedPhoto, target: Path) -> None:
    """Draw predicted tracks and identified streaks.

    Tracks are cyan where the satellite is sunlit and grey in the Earth's shadow, with an arrowhead
    at their end. Streaks are outlined: green with a probability of 0.9 and more, yellow with a
    lower one, red if no satellite of the catalogue explains them.
    """
    picture, factor = brighten(photo.frame.path)
    tracks, middle = photo.tracks, len(photo.tracks.seconds) // 2
    known = [photo.satellites.sets[number] for number in tracks.rows]
    names = [one.name or one.satellite for one in known]
    rows = np.flatnonzero(touch_picture(tracks, photo.exposure))
    lit = tracks.sunlit[rows, middle] > 0.5
    named = set()
    streaks = photo.streaks
    ends = np.column_stack([streaks.x1, streaks.y1, streaks.x2, streaks.y2])
    for end, naming in zip(ends, photo.namings, strict=True):
        best = float(naming.probability[0]) if len(naming.probability) else 0.0
        text, colour = "not in catalogue", RED
        if best >= NAMED_FROM:
            row = int(naming.candidates["row"][0])
            named.add(row)
            # Probability of an identification
            text, colour = f"{names[row]}  P {best:.3f}", GREEN if best >= 0.9 else YELLOW
        elif naming.unlisted < NAMED_FROM:
            text, colour = "ambiguous", YELLOW
        at, across = draw_streak_outline(picture, end, factor, colour, gap_px=NAMED_GAP_PX)
        # To the right of the rightmost outline, so that the label covers no light
        beside = across if across[0] > 0.0 else -across
        x, y = at + 1.5 * NAMED_GAP_PX / factor * beside
        column, row = picture_pixel(x, y, factor)
        lower = 14 if beside[1] >= 0.0 else 0
        place = (column + LABEL_RIGHT_PX, row + lower - LABEL_UP_PX)
        draw_label(picture, text, place, colour)
    order = np.argsort(np.where(lit, tracks.range_km[rows, middle], np.inf), kind="stable")
    for rank, k in enumerate(order):
        row = int(rows[k])
        # More labels would overlap
        show = rank < 40 and row not in named and lit[k]
        x, y = sample_track(tracks, row, photo.exposure)
        colour = CYAN if lit[k] else SHADOW
        draw_track(picture, x, y, factor, colour, names[row] if show else None)
    tracks_of = {"sunlit track": CYAN, "track in shadow": SHADOW}
    draw_legend(picture, tracks_of | {"named": GREEN, "ambiguous": YELLOW, "unexplained": RED})
    write_picture(picture, target)


MIN_SIGMA_PX = 0.3  # of the attitude, whatever the residuals of the stars
TRAIL_PX = 3.0


@dataclass(frozen=True, kw_only=True)
class SatelliteJob:
    """Settings of ``regengine satellites``; call it with a path; picklable."""

    catalogue: SatelliteCatalogue
    station: TleSet  # element sets of the satellite with the camera
    # Start of the exposure; None: from EXIF or the FITS header
    time_utc: datetime | None = None
    exposure_s: float | None = None  # duration; None: likewise
    clock_sigma_s: float = 1.0
    mount: str = "auto"  # "stars", "still" or "auto"
    wcs: Path | None = None
    detector: StreakDetector | None = None  # for streaks; None: streaks are not detected
    overlays: PicturePaths | None = None
    on_terminal: bool = False  # format as terminal lines instead of CSV

    def __call__(self, path: Path) -> Answer:
        """The photo's record and rows; draws the overlay if requested.

        Raises RegengineError with a message if an input is missing.
        """
        photo = self.named(path)
        if self.overlays is not None:
            draw_satellites(photo, self.overlays.of(path))
        record = record_of(photo)
        lines = table_lines(record, on_terminal=self.on_terminal)
        return Answer(line=json.dumps(record), text="\n".join(lines))

    def named(self, path: Path) -> NamedPhoto:
        """Predict the satellites in a photo, and identify its streaks."""
        frame = read_frame(path, options=FrameOptions(time_utc=self.time_utc))
        exposure_s = self.exposure_s if self.exposure_s is not None else frame.exposure_s
        if frame.time_utc is None:
            raise FrameError(
                f"{path}: its time is unknown (no EXIF, no DATE-OBS): give the start of the "
                "exposure with --time.",
                code="no_time",
            )
        if exposure_s is None:
            raise FrameError(
                f"{path}: its exposure time is unknown: give it with --exposure-s.",
                code="no_exposure",
            )
        satellites = self.catalogue.at(frame.time_utc)
        sky, sigma_px, trail_px = self._field(frame)
        exposure = Exposure(
            field=sky,
            start_utc=frame.time_utc,
            exposure_s=exposure_s,
            observer=SatelliteObserver(element_set=self.station.best_for(frame.time_utc)),
            clock_sigma_s=self.clock_sigma_s,
            attitude_sigma_px=sigma_px,
        )
        # Whether the camera rotated with its observer during the exposure. A header does not tell,
        # and few cameras aboard follow the stars; longer star trails than this indicate it
        is_still = self.mount == "still" or (self.mount == "auto" and trail_px is None)
        if self.mount == "auto" and trail_px is not None:
            still = replace(exposure, held_still=True)
            is_still = trail_px > TRAIL_PX or compute_expected_trail_px(still) <= TRAIL_PX
        exposure = replace(exposure, held_still=is_still)
        streaks = (
            StreakDetections.empty()
            if self.detector is None
            else STREAKS.in_photo(frame.file, self.detector).found
        )
        tracks, namings = predict_and_name(satellites, exposure, measure_streaks(streaks, exposure))
        return NamedPhoto(
            frame=frame,
            exposure=exposure,
            satellites=satellites,
            tracks=tracks,
            streaks=streaks,
            namings=namings,
        )

    def _field(self, frame: Frame) -> tuple[SkyProjection, float, float | None]:
        """Attitude of the picture, its one sigma, and the length of star trails (if solved)."""
        size = (frame.width_px, frame.height_px)
        if self.wcs is not None:
            found = read_wcs(self.wcs, size)
            return found, max(found.rms_px, MIN_SIGMA_PX), None
        solved = solve_photo(frame.path)
        if not isinstance(solved.outcome, StarSolution):
            raise FrameError(
                f"{frame.path}: its pointing is unknown, since its stars were not identified "
                f"({solved.outcome.code}): give a solved field with --wcs.",
                code="not_solved",
            )
        solution = solved.outcome
        trail = solved.stars.trail_px
        sigma_px = max(3.0 * solution.rms_px / math.sqrt(len(solution)), MIN_SIGMA_PX)
        return solution.camera, sigma_px, 0.0 if trail is None else float(np.hypot(*trail))


def compute_expected_trail_px(exposure: Exposure) -> float:
    """Expected length of star trails at the centre if the camera is fixed to its observer."""
    x, y = (exposure.field.width_px - 1) / 2.0, (exposure.field.height_px - 1) / 2.0
    half = 0.5 * exposure.exposure_s
    ends = np.stack(exposure.carried([x, x], [y, y], np.array([-half, half])), axis=-1)
    return float(np.hypot(*(ends[1] - ends[0])))


# Shorter streaks are as frequent as those of this length.
MIN_LENGTH_PX = 10.0
# Lower bound: no probability is 1.
MIN_UNLISTED = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Streak:
    """One measured streak.

    ends: Positions of its ends (second axis) in the picture at mid-exposure, if the first end was
        drawn first (first axis 0) or last (1), shape (2, 2, 2). The two differ only for trailing
        stars.
    cut: Whether the border cuts the first, the second end.
    sigma_end_px, sigma_line_px: One sigma of the ends along and across it.
    """

    ends: FloatArray
    cut: tuple[bool, bool]
    sigma_end_px: float
    sigma_line_px: float


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Errors common to all predictions.

    ``wide`` contains factors on the K errors of a track for the ``wide_share`` of satellites whose
    orbits have changed; ``clock_sigma_s`` is for the camera's clock.
    """

    exposure_s: float
    clock_sigma_s: float
    attitude_px: float
    wide_share: float
    wide: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedTracks:
    """Predicted positions of n satellites in the picture at mid-exposure."""

    xy: FloatArray  # (n, T, 2): pixels
    per_sigma: FloatArray  # (n, T, 2, K): shift by one sigma of each error
    seconds: FloatArray  # (T,): from mid-exposure
    seen: FloatArray  # (n, T): probability that each satellite is bright enough at each time


# A track that may have drawn a streak: its index; seconds by which the satellite is ahead of its
# prediction, the mean of the ends with a time (NaN without any); mean distance to the right of the
# track; angle from the track's direction to the streak's; time of the track at the streak's middle
CANDIDATE = np.dtype(
    [
        ("row", np.intp),
        ("ahead_s", float),
        ("beside_px", float),
        ("turned_deg", float),
        ("seconds", float),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Naming:
    """Candidates for one streak."""

    candidates: NDArray[Any]  # of `CANDIDATE`, shape (m,): the most probable first
    probability: FloatArray  # of each
    unlisted: float  # probability that none of them drew it


def name_streaks(
    streaks: Sequence[Streak],
    tracks: PredictedTracks,
    errors: Errors,
    size_px: tuple[int, int],
) -> list[Naming]:
    """Compute the probabilities of all satellites for each streak of a frame.

    Parameters
    ----------
    size_px : tuple of int
        Width and height of the frame.
    """
    clock_s, log_clock = np.zeros(1), np.zeros(1)
    if errors.clock_sigma_s > 0.0:
        # Range of clock errors, in sigmas.
        reach = 4.5
        # Step of the clock error: 150 m of a low orbit, a quarter of the accuracy of element sets.
        step = min(0.02 / errors.clock_sigma_s, 0.3)
        # Maximum number of steps: limits the memory for clocks with errors of minutes.
        count = min(int(np.ceil(2.0 * reach / step)), 6001) | 1
        sigmas = np.linspace(-reach, reach, count)
        clock_s, log_clock = sigmas * errors.clock_sigma_s, -0.5 * sigmas**2
    seen, seconds = tracks.seen, tracks.seconds
    followed_s = float(seconds[-1] - seconds[0])
    expected = float(seen[:, seen.shape[1] // 2].sum()) if len(seen) else 0.0
    # Objects in no catalogue: meteors, aircraft, false streaks, per frame; and satellites (secret,
    # recently launched, lost) per listed one that may be visible
    log_rate = np.log(0.1 + 0.15 * expected)
    found, weighed, totals = [], [], []
    for streak in streaks:
        candidates, log_density, log_companion = weigh_tracks(streak, tracks, clock_s, errors)
        step_at = np.abs(seconds[None, :] - candidates["seconds"][:, None]).argmin(axis=1)
        log_seen = np.log(np.maximum(seen[candidates["row"], step_at], 1e-12))
        log_density = log_seen[:, None] + log_density
        # Number of unlisted satellites per listed one from the same launch, anywhere on the
        # predicted part of its track.
        companions = log_seen + np.log(0.05 / followed_s) + log_companion
        # Logarithm of the density of streaks of unlisted objects
        length = max(float(np.hypot(*(streak.ends[0, 1] - streak.ends[0, 0]))), 1.0)
        diagonal = float(np.hypot(*size_px))
        density = 1.0 / (length * 2.0 * sum(size_px))
        if sum(streak.cut) < 2:
            density /= diagonal
        if not any(streak.cut):
            octaves = np.log(max(diagonal / MIN_LENGTH_PX, math.e))
            density /= max(length, MIN_LENGTH_PX) * octaves
        other = logsumexp([log_rate + float(np.log(density)), *companions])
        total = logsumexp(np.vstack([np.full((1, len(clock_s)), other), log_density]), axis=0)
        found.append(candidates)
        weighed.append(log_density)
        totals.append(total)
        log_clock = log_clock + total
    log_clock = log_clock - logsumexp(log_clock)
    shares = np.zeros((len(streaks), len(seen)))
    for share, candidates, one, total in zip(shares, found, weighed, totals, strict=True):
        np.add.at(share, candidates["row"], np.exp(logsumexp(one - total + log_clock, axis=1)))
    namings = []
    for share, candidates, one in zip(one_streak_each(shares), found, weighed, strict=True):
        # Each track once, in the direction of higher probability
        likely = np.argsort(-one.max(axis=1, initial=-np.inf), kind="stable")
        likely = likely[np.unique(candidates["row"][likely], return_index=True)[1]]
        order = likely[np.argsort(-share[candidates["row"][likely]], kind="stable")]
        most = 1.0 - MIN_UNLISTED
        namings.append(
            Naming(
                candidates=candidates[order],
                probability=np.minimum(share[candidates["row"][order]], most),
                unlisted=float(np.clip(1.0 - share.sum(), MIN_UNLISTED, most)),
            )
        )
    return namings


def one_streak_each(shares: FloatArray) -> FloatArray:
    """Probabilities with at most one streak per satellite, except for broken ones.

    Belief propagation between streaks and satellites, whose marginals are close to the exact ones
    of all joint assignments.

    References
    ----------
    Williams, J., Lau, R. (2014). Approximate evaluation of marginal association probabilities with
    belief propagation. IEEE Trans. Aerospace and Electronic Systems 50 (4), 2942-2959.
    """
    if len(shares) < 2 or not shares.shape[1]:
        return shares
    odds = shares / np.maximum(1.0 - shares.sum(axis=1, keepdims=True), MIN_UNLISTED)
    weighed = odds
    for _ in range(30):
        claim = odds / (1.0 + weighed.sum(axis=1, keepdims=True) - weighed)
        others = claim.sum(axis=0, keepdims=True) - claim
        # Share of satellites with two streaks: they tumble, or the detector lost the line.
        weighed = odds * (1.0 + 0.01 * others) / (1.0 + others)
    return np.asarray(weighed / (1.0 + weighed.sum(axis=1, keepdims=True)))


def weigh_tracks(
    streak: Streak,
    tracks: PredictedTracks,
    clock_s: FloatArray,
    errors: Errors,
) -> tuple[NDArray[Any], FloatArray, FloatArray]:
    """Likelihoods of a streak for the tracks near it, for G clock errors, positive if late.

    Returns the candidates (m,), where a track that may have drawn the streak in either direction
    occurs twice; the log density, shape (m, G), per pixel for each measurement that counts; and the
    log density of another satellite on the same track, per second in which it may pass, (m,).
    """
    parts = []
    every, half_s = np.arange(len(tracks.xy)), 0.5 * errors.exposure_s
    attitude = np.broadcast_to(errors.attitude_px * np.eye(2), (len(every), 2, 2))
    wide = np.array([*errors.wide, 1.0, 1.0])
    for onward in (1, -1):  # the first end drawn first, or last
        places, cut = streak.ends[(1 - onward) // 2][::onward], np.array(streak.cut)[::onward]
        # For each track: times at start and end minus those of the exposure, and distances from the
        # track there; their derivatives by each error; their own sigmas
        values, sigma = np.empty((len(every), 4)), np.empty((len(every), 4))
        slopes = np.empty((len(every), 4, len(wide)))
        speeds = np.empty((len(every), 2))
        for k, place in enumerate(places):
            late_s, beside_px, speed, (along, right), step = meet(tracks.xy, tracks.seconds, place)
            # A satellite ahead of its prediction is where the prediction is later
            shift = np.nan_to_num(tracks.per_sigma[every, step])
            shift = np.concatenate([shift, attitude], axis=-1)
            speeds[:, k] = speed
            values[:, k] = late_s + (half_s, -half_s)[k]
            values[:, 2 + k] = beside_px
            slopes[:, k] = np.einsum("nce,nc->ne", shift, along) / speed[:, None]
            slopes[:, 2 + k] = np.einsum("nce,nc->ne", shift, right)
            sigma[:, k] = streak.sigma_end_px / speed
            sigma[:, 2 + k] = streak.sigma_line_px
        core, loose = (
            np.einsum("nie,nje->nij", some, some) + sigma[:, :, None] ** 2 * np.eye(4)
            for some in (slopes, slopes * wide)
        )
        beside_sigma = np.sqrt(np.einsum("nii->ni", loose)[:, 2:])
        # Tracks farther from a streak than this, in sigmas of the wide errors, are ignored.
        near = (np.abs(values[:, 2:]) < 7.0 * beside_sigma).all(axis=1)
        near &= values[:, 1] - values[:, 0] > -errors.exposure_s
        core, loose, values, speeds = (a[near] for a in (core, loose, values, speeds))
        terms, companion = [], np.zeros(len(values))
        # Share of ends within the border where the satellite dimmed. The others are those of the
        # exposure.
        true_end = np.where(cut, 0.0, 1.0 - 0.08)
        for kept in np.array(list(product((True, False), repeat=2))):
            weight = float(np.where(kept, true_end, 1.0 - true_end).prod())
            if weight == 0.0:
                continue
            numbers = values, speeds, kept, cut, errors.exposure_s, clock_s
            density, passed = end_density(core, *numbers)
            terms.append(np.log((1.0 - errors.wide_share) * weight) + density)
            if (kept != cut).all():
                companion = passed
            density, _ = end_density(loose, *numbers)
            terms.append(np.log(errors.wide_share * weight) + density)
        passed_s, _, _, (along, right), _ = meet(
            tracks.xy[near], tracks.seconds, places.mean(axis=0)
        )
        chord = places[1] - places[0]
        candidates = np.zeros(len(values), CANDIDATE)
        candidates["row"] = np.flatnonzero(near)
        candidates["ahead_s"] = np.nan if cut.all() else values[:, :2][:, ~cut].mean(axis=1)
        candidates["beside_px"] = values[:, 2:].mean(axis=1)
        candidates["turned_deg"] = np.degrees(np.arctan2(right @ chord, along @ chord))
        candidates["seconds"] = passed_s
        parts.append((candidates, logsumexp(np.stack(terms), axis=0), companion))
    candidates, log_density, log_companion = (np.concatenate(p) for p in zip(*parts, strict=True))
    return candidates, log_density, log_companion


def end_density(
    covariance: FloatArray,
    values: FloatArray,
    speeds: FloatArray,
    kept: BoolArray,
    cut: BoolArray,
    exposure_s: float,
    clock_s: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Log densities of the four measurements of a streak for m tracks.

    For this satellite and each clock error, shape (m, G), and for one on the same track at any
    time, per second, shape (m,). The ``values``, shape (m, 4), are seconds from the exposure's
    start and from its end, and two distances from the track, pixels; ``speeds``, shape (m, 2),
    pixels per second at either end. ``kept``: ends that are those of the exposure; the times of
    others do not count. ``cut``: ends at the border.
    """

    def whiten(order: list[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
        # Standardised residuals conditional on the previous ones, their derivatives by the clock
        # error, and these sigmas
        root = np.linalg.cholesky(covariance[:, order][:, :, order])
        by_clock = np.broadcast_to([float(k < 2) for k in order], (len(values), len(order)))
        white = np.linalg.solve(root, np.stack([values[:, order], by_clock], axis=-1))
        return white[..., 0], white[..., 1], np.einsum("mii->mi", root)

    used = [k for k in range(2) if kept[k]] + [2, 3]
    white, slope, sigma = whiten(used)
    log_norm = -np.log(sigma).sum(axis=1) - 0.5 * len(used) * np.log(2.0 * np.pi)
    for k in range(2):
        if kept[k]:
            log_norm -= np.log(speeds[:, k])
        elif not cut[k]:
            log_norm -= np.log(np.maximum(speeds[:, k] * exposure_s, 1.0))
    residual = white[:, None] - clock_s[:, None] * slope[:, None]
    log_density = log_norm[:, None] - 0.5 * (residual**2).sum(axis=-1)
    # Ends without a time of their own were passed during the exposure. Two of them share their
    # error: a time excluded by one must stay excluded
    within = np.ones_like(log_density)
    for k in range(2):
        if not kept[k]:
            last, by_clock, given = (part[:, -1:] for part in whiten([*used, k]))
            inside = (1.0, -1.0)[k] * (last - clock_s * by_clock)
            within += ndtr(inside) - 1.0
            if kept.any():
                within -= ndtr(inside - exposure_s / given)
    log_density += np.log(np.maximum(within, 1e-30))
    square = (white**2).sum(axis=1)
    if not kept.any():
        return log_density, log_norm - 0.5 * square + np.log(exposure_s)
    stiffness = (slope**2).sum(axis=1)
    square = square - (white * slope).sum(axis=1) ** 2 / stiffness
    return log_density, log_norm - 0.5 * square + 0.5 * np.log(2.0 * np.pi / stiffness)


def meet(
    xy: FloatArray, seconds: FloatArray, place: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IndexArray]:
    """Closest approach of each of n tracks to one position of a picture.

    Returns the time, shape (n,), where beyond the ends of a track its last segment is extrapolated;
    the distance, positive to the right of the direction of motion with y pointing down, infinite
    without a track; the speed, pixels per second; unit vectors of the satellite's motion and, to
    their right, shape (2, n, 2); and the index of the nearest sample of the track.
    """
    piece = np.diff(xy, axis=1)
    length2 = np.maximum(np.sum(piece**2, axis=-1), 1e-12)
    share = np.sum((place - xy[:, :-1]) * piece, axis=-1) / length2
    bounded = np.clip(share, 0.0, 1.0)
    off = place - xy[:, :-1] - bounded[..., None] * piece
    distance2 = np.sum(off**2, axis=-1)
    distance2 = np.where(np.isfinite(distance2), distance2, np.inf)
    best = np.argmin(distance2, axis=1)
    rows = np.arange(len(xy))
    there = np.isfinite(distance2[rows, best])
    chosen, step_s = piece[rows, best], seconds[1] - seconds[0]
    size = np.sqrt(length2[rows, best])
    along = np.where(there[:, None], chosen / size[:, None], [1.0, 0.0])
    # The last segment is extrapolated, so that a time is not clipped to the predicted range
    where = np.where(there, share[rows, best], 0.0)
    first, last = best == 0, best == xy.shape[1] - 2
    where = np.where(first & (where < 0.0) | last & (where > 1.0), where, np.clip(where, 0.0, 1.0))
    foot = xy[rows, best] + where[:, None] * chosen
    miss = place - foot
    beside = np.where(there, along[:, 0] * miss[:, 1] - along[:, 1] * miss[:, 0], np.inf)
    right = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return (
        seconds[best] + where * step_s,
        beside,
        np.where(there, size / step_s, 1.0),
        np.stack([along, right]),
        np.where(where > 0.5, best + 1, best),
    )
