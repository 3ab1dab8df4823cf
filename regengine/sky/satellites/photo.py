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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from scipy.special import logsumexp, ndtr

from detectors.constants import DAY_S, FLATTENING, ORBITAL_SPEED_KM_S, SEMI_MAJOR_M
from detectors.types import (
    BoolArray,
    FloatArray,
    IndexArray,
    StreakDetections,
    StreakDetector,
    StreakFlag,
)
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import EphemerisError, FrameError
from regengine.io.plain import format_count, round_or_none
from regengine.io.tables import cell, csv_lines
from regengine.io.times import iso_utc
from regengine.orbit.propagation import position_from_elements, propagate_teme
from regengine.orbit.rotation import (
    J2000_JULIAN_DATE,
    days_since_j2000,
    earth_velocity,
    icrs_to_itrf,
    sidereal_angle_rad,
    sun_direction,
    turn_about_pole,
    utc_of,
)
from regengine.orbit.tle import COST_OF_AGE_BEFORE, TleSet
from regengine.orbit.tle_format import ElementSet
from regengine.orbit.uncertainty import orbit_sigma
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.scene import drawing
from regengine.scene.detection import ENDS, STREAKS
from regengine.sky.stars.photo import HeaderField, SolveJob, read_wcs
from regengine.sky.stars.solve import StarSolution
from regengine.store.result import Answer

if TYPE_CHECKING:
    from sgp4.api import Satrec

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
    station = exposure.station
    nadir = position_from_elements(station, exposure.middle_utc)
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
        "observer": {
            "kind": "station",
            "norad": station.satellite,
            "name": station.name,
            "lat": round(nadir.lat, 4),
            "lon": round(nadir.lon, 4),
            "altitude_km": round(nadir.altitude_km, 2),
            "tle_age_h": round(station.age_h(exposure.middle_utc), 2),
        },
        "mount": "still" if exposure.held_still else "stars",
        "catalogue": {
            "satellites": len(satellites.sets),
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
    picture, factor = drawing.brighten(photo.frame.path)
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
        text, colour = "not in catalogue", drawing.RED
        if best >= NAMED_FROM:
            row = int(naming.candidates["row"][0])
            named.add(row)
            # Probability of an identification
            text, colour = (
                f"{names[row]}  P {best:.3f}",
                drawing.GREEN if best >= 0.9 else drawing.YELLOW,
            )
        elif naming.unlisted < NAMED_FROM:
            text, colour = "ambiguous", drawing.YELLOW
        at, across = drawing.draw_streak_outline(picture, end, factor, colour, gap_px=NAMED_GAP_PX)
        # To the right of the rightmost outline, so that the label covers no light
        beside = across if across[0] > 0.0 else -across
        x, y = at + 1.5 * NAMED_GAP_PX / factor * beside
        column, row = drawing.picture_pixel(x, y, factor)
        lower = 14 if beside[1] >= 0.0 else 0
        place = (column + drawing.LABEL_RIGHT_PX, row + lower - drawing.LABEL_UP_PX)
        drawing.draw_label(picture, text, place, colour)
    order = np.argsort(np.where(lit, tracks.range_km[rows, middle], np.inf), kind="stable")
    for rank, k in enumerate(order):
        row = int(rows[k])
        # More labels would overlap
        show = rank < 40 and row not in named and lit[k]
        x, y = sample_track(tracks, row, photo.exposure)
        colour = drawing.CYAN if lit[k] else drawing.SHADOW
        drawing.draw_track(picture, x, y, factor, colour, names[row] if show else None)
    tracks_of = {"sunlit track": drawing.CYAN, "track in shadow": drawing.SHADOW}
    drawing.draw_legend(
        picture,
        tracks_of
        | {"named": drawing.GREEN, "ambiguous": drawing.YELLOW, "unexplained": drawing.RED},
    )
    drawing.write_picture(picture, target)


MIN_SIGMA_PX = 0.3  # of the attitude, whatever the residuals of the stars
TRAIL_PX = 3.0


@dataclass(frozen=True, kw_only=True)
class SatelliteJob:
    """Settings of ``regengine satellites``; call it with a path; picklable."""

    catalogue: TleSet  # of every satellite
    station: TleSet  # element sets of the satellite with the camera
    # Start of the exposure; None: from EXIF or the FITS header
    time_utc: datetime | None = None
    exposure_s: float | None = None  # duration; None: likewise
    clock_sigma_s: float = 1.0
    mount: str = "auto"  # "stars", "still" or "auto"
    wcs: Path | None = None
    detector: StreakDetector | None = None  # for streaks; None: streaks are not detected
    overlays: drawing.PicturePaths | None = None
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
        satellites = choose_satellites(self.catalogue, frame.time_utc)
        # Attitude of the picture, its one sigma, and the length of star trails (if solved)
        sky: SkyProjection
        trail_px: float | None = None
        if self.wcs is not None:
            sky = read_wcs(self.wcs, (frame.width_px, frame.height_px))
            sigma_px = sky.rms_px
        else:
            solved = SolveJob()(frame.path)
            solution = solved.outcome
            if not isinstance(solution, StarSolution):
                raise FrameError(
                    f"{frame.path}: its pointing is unknown, since its stars were not identified "
                    f"({solution.code}): give a solved field with --wcs.",
                    code="not_solved",
                )
            sky, trail = solution.camera, solved.stars.trail_px
            sigma_px = 3.0 * solution.rms_px / math.sqrt(len(solution))
            trail_px = 0.0 if trail is None else float(np.hypot(*trail))
        exposure = Exposure(
            field=sky,
            start_utc=frame.time_utc,
            exposure_s=exposure_s,
            station=self.station.best_for(frame.time_utc),
            clock_sigma_s=self.clock_sigma_s,
            attitude_sigma_px=max(sigma_px, MIN_SIGMA_PX),
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
        tracks = predict_tracks(satellites, exposure)
        # Probability that each satellite is bright enough at each time, shape (n, T)
        names = [(satellites.sets[row].name or "").upper() for row in tracks.rows]
        debris = np.array([name.endswith(FRAGMENTS) for name in names], bool)
        usual = np.where(debris, SEEN_DEBRIS, SEEN)[:, None]
        usual = usual * np.where(tracks.range_km > FAR_KM, np.sqrt(FAR_KM / tracks.range_km), 1.0)
        lit = np.nan_to_num(tracks.sunlit)
        seen = np.asarray(lit * usual + (1.0 - lit) * SEEN_SHADOW)
        measured = measure_streaks(streaks, exposure)
        return NamedPhoto(
            frame=frame,
            exposure=exposure,
            satellites=satellites,
            tracks=tracks,
            streaks=streaks,
            namings=name_streaks(measured, tracks, seen, exposure),
        )


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
    streaks: Sequence[Streak], tracks: Tracks, seen: FloatArray, exposure: Exposure
) -> list[Naming]:
    """Compute the probabilities of all satellites for each streak of a frame.

    `seen`, shape (n, T): probability that each satellite is bright enough at each time.
    """
    clock_s, log_clock = np.zeros(1), np.zeros(1)
    if exposure.clock_sigma_s > 0.0:
        # Range of clock errors, in sigmas.
        reach = 4.5
        # Step of the clock error: 150 m of a low orbit, a quarter of the accuracy of element sets.
        step = min(0.02 / exposure.clock_sigma_s, 0.3)
        # Maximum number of steps: limits the memory for clocks with errors of minutes.
        count = min(int(np.ceil(2.0 * reach / step)), 6001) | 1
        sigmas = np.linspace(-reach, reach, count)
        clock_s, log_clock = sigmas * exposure.clock_sigma_s, -0.5 * sigmas**2
    seconds, size_px = tracks.seconds, (exposure.field.width_px, exposure.field.height_px)
    followed_s = float(seconds[-1] - seconds[0])
    expected = float(seen[:, seen.shape[1] // 2].sum()) if len(seen) else 0.0
    # Objects in no catalogue: meteors, aircraft, false streaks, per frame; and satellites (secret,
    # recently launched, lost) per listed one that may be visible
    log_rate = np.log(0.1 + 0.15 * expected)
    found, weighed, totals = [], [], []
    for streak in streaks:
        candidates, log_density, log_companion = weigh_tracks(streak, tracks, clock_s, exposure)
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
    streak: Streak, tracks: Tracks, clock_s: FloatArray, exposure: Exposure
) -> tuple[NDArray[Any], FloatArray, FloatArray]:
    """Likelihoods of a streak for the tracks near it, for G clock errors, positive if late.

    Returns the candidates (m,), where a track that may have drawn the streak in either direction
    occurs twice; the log density, shape (m, G), per pixel for each measurement that counts; and the
    log density of another satellite on the same track, per second in which it may pass, (m,).
    """
    parts = []
    every, half_s = np.arange(len(tracks.xy)), 0.5 * exposure.exposure_s
    attitude = np.broadcast_to(exposure.attitude_sigma_px * np.eye(2), (len(every), 2, 2))
    # Factors on the K errors of a track, for satellites whose orbits have changed, and the attitude
    wide = np.ones(tracks.per_sigma.shape[-1] + 2)
    wide[:3] = TAIL_FACTOR, TAIL_ACROSS, TAIL_ACROSS
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
        near &= values[:, 1] - values[:, 0] > -exposure.exposure_s
        core, loose, values, speeds = (a[near] for a in (core, loose, values, speeds))
        terms, companion = [], np.zeros(len(values))
        # Share of ends within the border where the satellite dimmed. The others are those of the
        # exposure.
        true_end = np.where(cut, 0.0, 1.0 - 0.08)
        for kept in np.array(list(product((True, False), repeat=2))):
            weight = float(np.where(kept, true_end, 1.0 - true_end).prod())
            if weight == 0.0:
                continue
            numbers = values, speeds, kept, cut, exposure.exposure_s, clock_s
            density, passed = end_density(core, *numbers)
            terms.append(np.log((1.0 - TAIL_SHARE) * weight) + density)
            if (kept != cut).all():
                companion = passed
            density, _ = end_density(loose, *numbers)
            terms.append(np.log(TAIL_SHARE * weight) + density)
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


# Tracks of catalogued satellites during the exposure, with errors

# By then, drag has shifted a low satellite hundreds of kilometres along its orbit: a streak of one
# frame cannot distinguish it from others (docs/methods/satellites.md)
OLDEST_DAYS = 14.0
# One sigma of the distance of a catalogued satellite from its predicted position
ALONG_EPOCH_KM, ALONG_KM_A_DAY = 0.6, 0.8
DRAG_KM_A_DAY2, DRAG_AT_KM, DRAG_SCALE_KM = 2.1, 415.0, 60.0
CROSS_EPOCH_KM, CROSS_KM_A_DAY = 0.25, 0.12
RADIAL_EPOCH_KM, RADIAL_KM_A_DAY = 0.2, 0.1
# A share of the satellites has manoeuvred, or has a bad fit: their errors are larger by these
# factors, along the track and (thrust changes planes, too) across it
TAIL_SHARE, TAIL_FACTOR, TAIL_ACROSS = 0.12, 8.0, 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Satellites:
    """One element set of each of n satellites, ready for SGP4."""

    sets: tuple[ElementSet, ...] = field(repr=False)
    records: tuple[Satrec, ...] = field(repr=False)  # SGP4 records
    age_h: FloatArray  # shape (n,): time of the photo minus epoch, hours
    skipped: int = 0  # sets excluded because they are damaged or SGP4 rejects them
    stale: int = 0  # satellites excluded because their sets are too old

    def sigma_km(self) -> FloatArray:
        """One sigma along, across and above the orbit, shape (3, n), without manoeuvres."""
        days = np.abs(self.age_h) / 24.0
        perigee_km = np.array([record.radiusearthkm * record.altp for record in self.records])
        # Below some 240 km no satellite stays in orbit for days
        air = np.minimum(np.exp((DRAG_AT_KM - perigee_km) / DRAG_SCALE_KM), 20.0)
        grown = np.hypot(ALONG_KM_A_DAY * days, DRAG_KM_A_DAY2 * air * days**2)
        return np.stack(
            [
                np.hypot(ALONG_EPOCH_KM, grown),
                np.hypot(CROSS_EPOCH_KM, CROSS_KM_A_DAY * days),
                np.hypot(RADIAL_EPOCH_KM, RADIAL_KM_A_DAY * days),
            ]
        )


def choose_satellites(catalogue: TleSet, time_utc: datetime) -> Satellites:
    """The best set of each satellite for a time; satellites with only old sets are excluded.

    Raises EphemerisError if all sets are too far from the time, or SGP4 rejects them.
    """
    age = days_since_j2000(time_utc) - catalogue.epoch_days
    cost = np.where(age > 0.0, COST_OF_AGE_BEFORE * age, -age)
    numbers = np.array([one.satellite for one in catalogue.pairs])
    order = np.lexsort([cost, numbers])
    best = np.sort(order[np.unique(numbers[order], return_index=True)[1]])
    fresh = best[np.abs(age[best]) <= OLDEST_DAYS]
    if not fresh.size:
        nearest = int(np.argmin(np.abs(age)))
        raise EphemerisError(
            f"{catalogue.path}: the element set nearest to the photo is "
            f"{format_count(round(abs(age[nearest])), 'day')} away "
            f"({utc_of(catalogue.epoch_days[nearest]):%Y-%m-%d}), and satellite positions are "
            f"unreliable after {OLDEST_DAYS:.0f} days: take a catalogue of the photo's date.",
            code="tle_stale",
        )
    records = {}
    for row in fresh.tolist():
        with suppress(EphemerisError):
            record = catalogue.pairs[row].satrec()
            if record.error == 0:
                records[row] = record
    if not records:
        raise EphemerisError(
            f"{catalogue.path}: SGP4 cannot use any of its element sets: download the catalogue "
            "again."
        )
    return Satellites(
        sets=tuple(catalogue.pairs[row] for row in records),
        records=tuple(records.values()),
        age_h=24.0 * age[list(records)],
        skipped=len(catalogue.skipped) + len(fresh) - len(records),
        stale=int(best.size - fresh.size),
    )


EARTH_KM = SEMI_MAJOR_M / 1000.0
# Scaled along the pole, the Earth's ellipsoid becomes a sphere
TO_SPHERE = np.array([1.0, 1.0, 1.0 / (1.0 - FLATTENING)])


SkyProjection = SkyCamera | HeaderField  # a picture among the stars


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """Time and observer of an exposure, and its attitude at mid-exposure."""

    field: SkyProjection  # attitude at mid-exposure, fitted to catalogued stars
    start_utc: datetime  # start of the exposure
    exposure_s: float  # its duration
    station: ElementSet  # of the satellite with the camera, such as the ISS
    clock_sigma_s: float = 1.0  # one sigma of the start
    attitude_sigma_px: float = 0.5  # one sigma of the field's position, per axis
    # True: the camera rotates with its observer, and stars trail; False: the stars are fixed
    held_still: bool = False

    @cached_property
    def middle_utc(self) -> datetime:
        """Time of mid-exposure."""
        return self.start_utc + timedelta(seconds=0.5 * self.exposure_s)

    @cached_property
    def middle_days(self) -> float:
        """Time of mid-exposure, days since J2000 (UTC)."""
        return days_since_j2000(self.middle_utc)

    def days(self, seconds: ArrayLike) -> FloatArray:
        """Days since J2000 of seconds from mid-exposure."""
        return self.middle_days + np.asarray(seconds, float) / DAY_S

    @cached_property
    def to_icrs(self) -> FloatArray:
        """Rotation from SGP4's axes to ICRS; changes during the exposure are negligible.

        They are less than a thousandth of an arc second.
        """
        return teme_to_icrs(self.middle_utc)

    @cached_property
    def turning(self) -> FloatArray:
        """Rotation vector of the camera in ICRS, radians per second."""
        if not self.held_still:
            return np.zeros(3)
        # One rotation per orbit: the Station keeps its attitude relative to the nadir
        (position,), (velocity,) = propagate_teme(self.station, np.array([self.middle_days]))
        return np.asarray(self.to_icrs @ (np.cross(position, velocity) / (position @ position)))

    def pixels(self, sight_km: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project lines of sight (TEME, shape (..., 3)) into the picture at mid-exposure."""
        towards = turn_to_stars(sight_km, self.to_icrs, earth_velocity(self.middle_utc))
        return self.field.project(towards)

    def carried(
        self, x: ArrayLike, y: ArrayLike, seconds: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Pixels at mid-exposure with the directions of pixels some seconds earlier or later."""
        px, py = np.asarray(x, float), np.asarray(y, float)
        if not self.held_still:
            return px, py
        sky = self.field.to_sky(px, py)
        turn = np.zeros_like(sky) + np.asarray(seconds, float)[..., None] * self.turning
        turned = Rotation.from_rotvec(turn.reshape(-1, 3))
        return self.field.project(turned.apply(sky.reshape(-1, 3)).reshape(sky.shape))


def orbit_axes(
    position: FloatArray, velocity: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors along, across and above orbits, each of shape (..., 3)."""
    up = position / np.linalg.norm(position, axis=-1, keepdims=True)
    across = np.cross(position, velocity)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return np.cross(across, up), across, up


def compute_station_sigma_km(station: ElementSet, time_utc: datetime) -> FloatArray:
    """One sigma along, across and above a station's orbit, three vectors in SGP4's axes."""
    days = np.array([days_since_j2000(time_utc)])
    axes = np.concatenate(orbit_axes(*propagate_teme(station, days)))
    return np.asarray(orbit_sigma(station.age_h(time_utc)))[:, None] * axes


def states(records: Sequence[Satrec], days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities of many satellites at several times, by SGP4.

    References
    ----------
    Vallado, D. et al. (2006). Revisiting Spacetrack Report #3, AIAA 2006-6753.
    """
    from sgp4.api import SatrecArray

    error, position, velocity = SatrecArray(list(records)).sgp4(
        np.full(len(days), J2000_JULIAN_DATE), np.asarray(days, float)
    )
    position[error != 0] = np.nan
    return position, velocity


def teme_to_icrs(time_utc: datetime) -> FloatArray:
    """Rotation matrix from SGP4's axes to ICRS at a time, shape (3, 3).

    By way of Earth-fixed axes: the sidereal angle of 1982 that defines SGP4's axes, then the IAU's
    rotation of 2006. Polar motion is omitted in both, so it cancels.
    """
    angle = sidereal_angle_rad(days_since_j2000(time_utc))
    to_earth = turn_about_pole(np.eye(3), -angle).T
    return np.asarray(icrs_to_itrf(time_utc).T @ to_earth)


def lines_of_sight(
    position_km: FloatArray, velocity_km_s: FloatArray, observer_km: FloatArray
) -> FloatArray:
    """Vectors from the observer to the satellites at the time of light emission."""
    straight = position_km - observer_km
    # Speed of light, km/s
    delay_s = np.linalg.norm(straight, axis=-1, keepdims=True) / 299792.458
    return np.asarray(straight - velocity_km_s * delay_s)


def turn_to_stars(
    sight_km: FloatArray, to_icrs: FloatArray, earth_velocity: FloatArray
) -> FloatArray:
    """Directions relative to stars at their catalogue positions, in ICRS.

    The observer's motion shifts stars and satellites alike. If the aberration of stars is left in
    the attitude, the Earth's motion must be removed from a satellite's direction: the satellite
    moves with the Earth while its light travels. The correction is up to 20.5 arc seconds.
    """
    unit = sight_km / np.linalg.norm(sight_km, axis=-1, keepdims=True)
    seen = unit @ to_icrs.T - earth_velocity
    return np.asarray(seen / np.linalg.norm(seen, axis=-1, keepdims=True))


def are_hidden_by_earth(position_km: FloatArray, observer_km: FloatArray) -> BoolArray:
    """Whether the Earth blocks the line of sight to satellites."""
    start, end = observer_km * TO_SPHERE, position_km * TO_SPHERE
    step = end - start
    along = -np.sum(start * step, axis=-1) / np.sum(step * step, axis=-1)
    nearest = start + np.clip(along, 0.0, 1.0)[..., None] * step
    # Refraction raises objects 0.6 degrees below the horizontal plane above it: a line of sight
    # with this dip passes this far below an observer at sea level
    return np.asarray((along > 0.0) & (np.linalg.norm(nearest, axis=-1) < EARTH_KM - 0.4))


def sunlit_share(position_km: ArrayLike, sun_teme: FloatArray) -> FloatArray:
    """Visible share of the Sun's disc at satellites, 0 to 1."""
    position = np.asarray(position_km, float) * TO_SPHERE
    sun = sun_teme * TO_SPHERE
    sun = sun / np.linalg.norm(sun)
    distance = np.linalg.norm(position, axis=-1)
    earth_rad = np.arcsin(np.clip(EARTH_KM / distance, 0.0, 1.0))
    apart = np.arccos(np.clip(-(position @ sun) / distance, -1.0, 1.0))
    # The Sun's radius: 696,000 km at one astronomical unit, 16.0 arc minutes
    edge = np.clip((apart - earth_rad) / 0.004652, -1.0, 1.0)
    return np.asarray(0.5 + (edge * np.sqrt(1.0 - edge**2) + np.arcsin(edge)) / np.pi)


MIN_STEPS, MAX_STEPS = 17, 385
MARGIN_SIGMAS = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks:
    """Tracks of n satellites at T times, in pixels of the picture as stored."""

    rows: NDArray[np.intp]  # shape (n,): indices of the given satellites
    # Shape (T,): times from mid-exposure; they extend beyond the exposure by the uncertainty of
    # clock and orbits
    seconds: FloatArray
    # Shape (n, T, 2): positions for the attitude at mid-exposure; NaN behind the camera or the
    # Earth
    xy: FloatArray
    # Shape (n, T, 2, K): shift by one sigma of each error: the satellite along, across and above
    # its orbit, then the observer
    per_sigma: FloatArray
    # Shape (n, T): distance from the observer, and height above the equatorial radius
    range_km: FloatArray
    height_km: FloatArray
    sunlit: FloatArray  # shape (n, T): visible share of the Sun's disc


def predict_tracks(satellites: Satellites, exposure: Exposure) -> Tracks:
    """Predict the tracks of all satellites that may be in a picture."""
    sigma_km = satellites.sigma_km()
    usual_km = float(np.median(sigma_km[0]))
    # Time range ahead and behind, in addition to the clock error
    slack_s = 5.0 * exposure.clock_sigma_s + min(
        MARGIN_SIGMAS * TAIL_FACTOR * usual_km / ORBITAL_SPEED_KM_S, 15.0
    )
    half_s = 0.5 * exposure.exposure_s + slack_s
    # Satellites whose distance from the picture's cone they may cover in that time, in steps
    count = int(np.clip(np.ceil(2.0 * half_s / 20.0), 1, 24))
    step_s = 2.0 * half_s / count
    seconds = -half_s + step_s * (np.arange(count) + 0.5)
    days = exposure.days(seconds)
    position, velocity = states(satellites.records, days)
    observer, _ = propagate_teme(exposure.station, days)
    later, _ = propagate_teme(exposure.station, exposure.days(seconds + 1.0))
    sight = position - observer
    range_km = np.linalg.norm(sight, axis=-1)
    speed = np.linalg.norm(velocity - (later - observer), axis=-1)
    reach_km = 0.5 * step_s * speed + MARGIN_SIGMAS * sigma_km[0][:, None]
    # Direction of the picture's centre, and half angle of the cone that contains the picture
    w, h = exposure.field.width_px, exposure.field.height_px
    edges = np.meshgrid(np.linspace(-0.5, w - 0.5, 9), np.linspace(-0.5, h - 0.5, 9))
    middle = exposure.field.to_sky((w - 1) / 2.0, (h - 1) / 2.0)
    radius = float(np.arccos(np.clip(exposure.field.to_sky(*edges) @ middle, -1.0, 1.0).min()))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.clip(sight @ (exposure.to_icrs.T @ middle) / range_km, -1.0, 1.0)
        angle = np.arccos(cosine) - radius
        angle -= exposure.exposure_s * float(np.linalg.norm(exposure.turning))
        near = (reach_km >= range_km) | (angle <= np.arcsin(np.minimum(reach_km / range_km, 1.0)))
        # The observer itself, and vehicles docked to it
        near &= range_km > 5.0
    rows = np.flatnonzero(near.any(axis=1))
    # A low satellite moves by half a degree: straight to a thousandth of that
    steps = int(np.clip(np.ceil(2.0 * half_s / 0.4) + 1, MIN_STEPS, MAX_STEPS))
    seconds = np.linspace(-half_s, half_s, steps)
    records = [satellites.records[row] for row in rows]
    position, velocity = states(records, exposure.days(seconds))
    observer, _ = propagate_teme(exposure.station, exposure.days(seconds))
    sight = lines_of_sight(position, velocity, observer)
    x, y = exposure.pixels(sight)
    gone = are_hidden_by_earth(position, observer[None])
    xy = np.where(gone[..., None], np.nan, np.stack([x, y], axis=-1))
    # Steps are shorter than the picture's size, and a track has at least two samples
    size = np.array([exposure.field.width_px, exposure.field.height_px])
    slack = 0.5 * size.max()
    near = ((xy > -slack) & (xy < size + slack)).all(axis=-1)
    keep = np.count_nonzero(near, axis=1) > 1
    rows, xy, sight = rows[keep], xy[keep], sight[keep]
    position, velocity = position[keep], velocity[keep]
    offsets = [
        one[rows][:, None, None] * axis
        for one, axis in zip(sigma_km, orbit_axes(position, velocity), strict=True)
    ]
    offsets += [-one for one in compute_station_sigma_km(exposure.station, exposure.middle_utc)]
    moved = [np.stack(exposure.pixels(sight + offset), axis=-1) - xy for offset in offsets]
    angle = sidereal_angle_rad(exposure.middle_days)  # turns Earth-fixed axes to SGP4's
    return Tracks(
        rows=rows,
        seconds=seconds,
        xy=xy,
        per_sigma=np.stack(moved, axis=-1),
        range_km=np.linalg.norm(sight, axis=-1),
        height_km=np.linalg.norm(position, axis=-1) - EARTH_KM,
        sunlit=sunlit_share(position, turn_about_pole(sun_direction(exposure.middle_utc), angle)),
    )


def touch_picture(tracks: Tracks, exposure: Exposure) -> BoolArray:
    """Which tracks cross the picture during the nominal exposure, shape (n,)."""
    seen = np.zeros(len(tracks.rows), bool)
    for row in range(len(seen)):
        x, y = sample_track(tracks, row, exposure)
        w, h = exposure.field.width_px, exposure.field.height_px
        seen[row] = bool(np.any((x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)))
    return seen


def sample_track(
    tracks: Tracks, row: int, exposure: Exposure, steps: int = 33
) -> tuple[FloatArray, FloatArray]:
    """Pixels of one track, from the exposure's start to its end.

    If the camera is fixed to its observer, the track is drawn relative to trailing stars: each
    position is for its own time.
    """
    half = 0.5 * exposure.exposure_s
    seconds = np.linspace(-half, half, steps)
    x, y = (np.interp(seconds, tracks.seconds, tracks.xy[row, :, k]) for k in range(2))
    return exposure.carried(x, y, -seconds)
