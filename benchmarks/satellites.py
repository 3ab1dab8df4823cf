"""How often streaks of simulated satellites get their right names out of a catalogue of 30,000.

``python -m benchmarks satellites`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated; ``--real FOLDER`` adds the Station by its real element sets.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pages import command_of, number, table, title_lines, write_page
from benchmarks.simulate.satellites import (
    SimulatedSky,
    SkyFrame,
    TrueStreak,
    observer_teme,
    pointed,
    simulate_satellites,
    sunlit,
    teme_to_gcrs,
    true_states,
    true_streaks,
)
from detectors.types import FloatArray
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.rotation import days_since_j2000, sidereal_angle_rad, teme_to_ecef, utc_of
from regengine.orbit.sun_moon import sun_moon
from regengine.orbit.tle import ElementSet, TleSet, load_tle_file
from regengine.sky.satellites.catalogue import SatelliteCatalogue, Satellites, load_catalogue
from regengine.sky.satellites.naming import SatellitesInPicture, StreakRecord, satellites_in_picture
from regengine.sky.satellites.observer import Exposure, GroundSite, Observer, Station

WIDTH_PX, HEIGHT_PX = 3000, 2000
FIELDS_DEG, EXPOSURES_S = (6.0, 70.0), (1.0, 30.0)
CLOCKS_S = (0.1, 0.3, 1.0)
LIMIT_MAG, NARROWER_MAG = (4.5, 7.5), 2.0  # at the widest, and more for each tenth of its width
TRAIN_SHARE = 0.15  # of the frames look at one of the trains
ABOARD_SHARE, STRANGER_SHARE = 0.2, 0.4
STATION_AGE_H = (0.0, 12.0)
ATTITUDE_PX = 0.4
SPREAD_H = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One frame's outcome.

    ``true`` has the number of the satellite that drew each streak, None where none did, ``listed``
    whether the catalogue has it; the rest is
    what was found. ``seconds`` is processor time, of SGP4 and all; ``at_train`` says that the frame
    was pointed at satellites that fly one close behind the other.
    """

    frame: SkyFrame
    clock_sigma_s: float
    true: list[str | None]
    listed: list[bool]
    age_days: list[float]
    streaks: list[StreakRecord]
    found: SatellitesInPicture
    satellites: Satellites
    exposure: Exposure
    seconds: float
    at_train: bool


def trials(
    sky: SimulatedSky,
    listed: NDArray[np.bool_],
    catalogue: SatelliteCatalogue,
    count: int,
    seed: int,
) -> Iterator[Trial]:
    """Frames with at least one streak, drawn one after the other."""
    done, number = 0, 0
    satellites = catalogue.at(sky.time_utc)
    while done < count:
        rng = np.random.default_rng([seed, number])
        number += 1
        trial = _trial(sky, listed, satellites, rng)
        if trial is not None:
            done += 1
            yield trial


def _trial(
    sky: SimulatedSky, listed: NDArray[np.bool_], satellites: Satellites, rng: np.random.Generator
) -> Trial | None:
    frame, observer, at_train = _frame(sky, rng)
    clock_sigma_s = float(rng.choice(CLOCKS_S))
    drawn = true_streaks(sky, frame)
    if rng.random() < STRANGER_SHARE:
        drawn.append(_stranger(frame, rng))
    if not any(one.row is not None for one in drawn):
        return None
    streaks = [measured(one, rng) for one in drawn]
    exposure = Exposure(
        field=solved(frame, rng),
        start_utc=frame.start_utc + timedelta(seconds=float(rng.normal(0.0, clock_sigma_s))),
        exposure_s=frame.exposure_s,
        observer=observer,
        clock_sigma_s=clock_sigma_s,
        attitude_sigma_px=0.5,
    )
    started = time.process_time()
    found = satellites_in_picture(satellites, exposure, streaks)
    return Trial(
        frame=frame,
        clock_sigma_s=clock_sigma_s,
        true=[None if one.row is None else sky.numbers[one.row] for one in drawn],
        listed=[one.row is not None and bool(listed[one.row]) for one in drawn],
        age_days=[np.nan if one.row is None else float(sky.age_days[one.row]) for one in drawn],
        streaks=streaks,
        found=found,
        satellites=satellites,
        exposure=exposure,
        seconds=time.process_time() - started,
        at_train=at_train,
    )


def _frame(sky: SimulatedSky, rng: np.random.Generator) -> tuple[SkyFrame, Observer, bool]:
    exposure_s = float(np.exp(rng.uniform(*np.log(EXPOSURES_S))))
    field_deg = float(np.exp(rng.uniform(*np.log(FIELDS_DEG))))
    aboard = rng.random() < ABOARD_SHARE
    at_train = rng.random() < TRAIN_SHARE and not aboard
    station = int(rng.choice(_stations(sky))) if aboard else None
    target: int | None = None
    while True:
        start = sky.time_utc + timedelta(hours=float(rng.uniform(-SPREAD_H, SPREAD_H)))
        lat, lon = float(rng.uniform(-55.0, 60.0)), float(rng.uniform(-180.0, 180.0))
        if aboard:
            break
        if at_train:
            target = int(rng.choice(sky.trains))
            lat, lon = below(sky, target, start)
            lat, lon = lat + float(rng.normal(0.0, 2.0)), lon + float(rng.normal(0.0, 2.0))
        if -35.0 < sun_moon(start, lon, lat).sun_elevation_deg < -9.0 and (
            target is None or sunlit(true_states(sky, np.array([target]), start)[0], start)[0]
        ):
            break
    limit = rng.uniform(*LIMIT_MAG) + NARROWER_MAG * np.log10(FIELDS_DEG[1] / field_deg)
    blank = SkyFrame(
        start_utc=start,
        exposure_s=exposure_s,
        site=None if aboard else (lat, lon, float(rng.uniform(0.0, 2500.0))),
        station=station,
        matrix=np.eye(3),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=float(0.5 * WIDTH_PX / np.tan(np.radians(field_deg) / 2.0)),
        k1=float(rng.normal(0.0, 0.02)),
        limit_mag=float(limit),
    )
    axis = looking(sky, blank, target, rng)
    frame = replace(blank, matrix=pointed(axis, rng.uniform(0.0, 2.0 * np.pi)))
    if station is None:
        assert frame.site is not None
        return frame, GroundSite(lat=lat, lon=lon, height_m=frame.site[2]), at_train
    return frame, Station(element_set=_station_elements(sky, station)), False


def below(sky: SimulatedSky, row: int, time: datetime) -> tuple[float, float]:
    """Latitude and longitude under a satellite, to a degree."""
    position = true_states(sky, np.array([row]), time)[0][0]
    x, y, z = teme_to_ecef(position, sidereal_angle_rad(days_since_j2000(time)))
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def looking(
    sky: SimulatedSky, frame: SkyFrame, target: int | None, rng: np.random.Generator
) -> FloatArray:
    """Where the camera looks: at a satellite, or anywhere above the horizon."""
    observer = observer_teme(sky, frame, frame.start_utc)
    if target is not None:
        middle = frame.start_utc + timedelta(seconds=0.5 * frame.exposure_s)
        sight = true_states(sky, np.array([target]), middle)[0][0] - observer
        return np.asarray(teme_to_gcrs(frame.start_utc) @ sight / np.linalg.norm(sight))
    up = teme_to_gcrs(frame.start_utc) @ observer
    up /= np.linalg.norm(up)
    east = np.cross([0.0, 0.0, 1.0], up)
    east /= np.linalg.norm(east)
    # From orbit, stars stand above a limb that is 20 degrees down
    least = -5.0 if frame.station is not None else 30.0
    rise = np.arcsin(rng.uniform(np.sin(np.radians(least)), 1.0))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    level = np.cos(turn) * east + np.sin(turn) * np.cross(up, east)
    return np.asarray(np.sin(rise) * up + np.cos(rise) * level)


def _stations(sky: SimulatedSky) -> NDArray[np.intp]:
    """Satellites that may carry a camera: low, and with a set of some hours."""
    low = np.array([name.startswith("CUBE") for name in sky.names])
    return np.flatnonzero(low & (24.0 * sky.age_days < STATION_AGE_H[1]))


def _station_elements(sky: SimulatedSky, row: int) -> ElementSet:
    return ElementSet(
        line1=sky.lines[row][0],
        line2=sky.lines[row][1],
        epoch_utc=sky.time_utc - timedelta(days=float(sky.age_days[row])),
        satellite=sky.numbers[row],
        name=sky.names[row],
        path=Path("simulated"),
        line_number=1,
    )


def solved(frame: SkyFrame, rng: np.random.Generator) -> SkyCamera:
    """The camera as solved stars give it, a fraction of a pixel off."""
    tilt = rng.normal(0.0, ATTITUDE_PX / frame.focal_px, 3)
    matrix = frame.matrix @ (np.eye(3) + np.cross(np.eye(3), tilt))
    return SkyCamera(
        width_px=frame.width_px,
        height_px=frame.height_px,
        focal_px=frame.focal_px,
        principal_point=((frame.width_px - 1) / 2.0, (frame.height_px - 1) / 2.0),
        distortion=(frame.k1, 0.0, 0.0, 0.0, 0.0),
        quaternion_icrs=matrix_quaternion(matrix),
    )


def measured(streak: TrueStreak, rng: np.random.Generator) -> StreakRecord:
    """What a detector says of it: ends with noise, the left one first."""
    end_px, line_px = float(np.exp(rng.normal(np.log(1.5), 0.5))), float(rng.uniform(0.2, 0.6))
    x1, y1, x2, y2 = streak.ends
    along = np.array([x2 - x1, y2 - y1]) / np.hypot(x2 - x1, y2 - y1)
    across = np.array([-along[1], along[0]])
    ends = np.array([[x1, y1], [x2, y2]])
    ends += np.outer(rng.normal(0.0, end_px, 2) * ~np.array(streak.cut), along)
    ends += np.outer(rng.normal(0.0, line_px, 2), across)
    order = [0, 1] if ends[0, 0] <= ends[1, 0] else [1, 0]
    (x1, y1), (x2, y2) = ends[order].tolist()
    return StreakRecord(
        x1=x1, y1=y1, x2=x2, y2=y2, sigma_end_px=max(end_px, 0.7), sigma_line_px=max(line_px, 0.3),
        cut=(streak.cut[order[0]], streak.cut[order[1]]),
    )  # fmt: skip


def _stranger(frame: SkyFrame, rng: np.random.Generator) -> TrueStreak:
    """A meteor, an aircraft, a false streak: anywhere, of any length."""
    length = np.exp(rng.uniform(np.log(30.0), np.log(1500.0)))
    while True:
        x, y = rng.uniform(0.0, frame.width_px), rng.uniform(0.0, frame.height_px)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        x2, y2 = x + length * np.cos(turn), y + length * np.sin(turn)
        if 0.0 < x2 < frame.width_px - 1 and 0.0 < y2 < frame.height_px - 1:
            return TrueStreak(ends=(x, y, x2, y2), cut=(False, False), row=None)


@dataclass(frozen=True, kw_only=True)
class Named:
    """One streak: who drew it (None: no satellite), and its most probable name."""

    true: str | None
    listed: bool
    best: str | None
    probability: float
    aboard: bool
    at_train: bool
    clock_sigma_s: float
    age_days: float

    @property
    def right(self) -> bool:
        """Whether the most probable name is the true one."""
        return self.best is not None and self.best == self.true and self.listed


MOMENTS = 50
AGES_DAYS, WITHIN = (0.25, 1.0, 1.6), 1.25
EXPOSURE_S, CLOCK_S, FOCAL_PX = 5.0, 0.3, 2600.0


def station_section(real: Path, seed: int) -> list[str]:
    """A table by the age of the sets, as Markdown lines."""
    tles = load_tle_file(real / "orbit" / "iss_tles.txt")
    rng = np.random.default_rng([seed, 5])
    rows = []
    for least in AGES_DAYS:
        ahead, probability = np.array(_outcomes(tles, least, rng)).T
        middle, most = np.nanquantile(np.abs(ahead), [0.5, 0.9])
        rows.append(
            [
                f"{least:g} to {WITHIN * least:g}",
                str(len(ahead)),
                f"{middle:.2f} / {most:.1f}",
                f"{np.mean(probability >= 0.5):.1%}",
                f"{np.mean(probability >= 0.9):.1%}",
            ]
        )
    header = ("age, days", "frames", "off by s, median / 90 %", "P ≥ 0.5", "P ≥ 0.9")
    return [
        "## Real element sets",
        "",
        "Moments of 1998 to 2026 at which the Station was sunlit: its orbit is that of its nearest "
        "real set, the catalogue has it alone, by a real set older than that; reboosts are part "
        f"of it. Frames of 60° from the ground, {EXPOSURE_S:g} s, clocks of {CLOCK_S:g} s.",
        "",
        *table(header, rows, 4),
        "",
    ]


def _outcomes(tles: TleSet, least: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """By how many seconds the Station was ahead, and the probability of its name, of each frame."""
    days = tles.epoch_days
    found: list[tuple[float, float]] = []
    for true in rng.permutation(len(tles)).tolist():
        old = int(np.searchsorted(days, days[true] - least, side="right")) - 1
        if old < 0 or days[true] - days[old] > WITHIN * least:
            continue
        if tles.disagreement(true) or tles.disagreement(old):
            continue
        outcome = _outcome(_sky(tles, true, old), rng)
        if outcome is not None:
            found.append(outcome)
        if len(found) == MOMENTS:
            break
    return found


def _sky(tles: TleSet, true: int, old: int) -> SimulatedSky:
    """A sky with the Station alone."""
    told = tles[old]
    return SimulatedSky(
        time_utc=utc_of(tles.epoch_days[true]),
        names=("ISS",),
        numbers=(told.satellite,),
        true=(tles[true].satrec(),),
        lines=((told.line1, told.line2),),
        age_days=np.array([tles.epoch_days[true] - tles.epoch_days[old]]),
        magnitude=np.array([-1.0]),
        trains=np.zeros(0, np.intp),
    )


def _outcome(sky: SimulatedSky, rng: np.random.Generator) -> tuple[float, float] | None:
    start = sky.time_utc
    if not sunlit(true_states(sky, np.array([0]), start)[0], start)[0]:
        return None
    lat, lon = below(sky, 0, start)
    site = GroundSite(
        lat=float(np.clip(lat + rng.normal(0.0, 3.0), -89.0, 89.0)), lon=lon + rng.normal(0.0, 3.0)
    )
    frame = SkyFrame(
        start_utc=start,
        exposure_s=EXPOSURE_S,
        site=(site.lat, site.lon, site.height_m),
        station=None,
        matrix=np.eye(3),
        width_px=3000,
        height_px=2000,
        focal_px=FOCAL_PX,
        k1=0.0,
        limit_mag=9.0,
    )
    axis = looking(sky, frame, 0, rng)
    frame = replace(frame, matrix=pointed(axis, rng.uniform(0.0, 2.0 * np.pi)))
    drawn = true_streaks(sky, frame)
    if not drawn:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.txt"
        path.write_text(sky.text(), encoding="utf-8")
        satellites = load_catalogue(path).at(start)
    exposure = Exposure(
        field=solved(frame, rng),
        start_utc=start + timedelta(seconds=float(rng.normal(0.0, CLOCK_S))),
        exposure_s=EXPOSURE_S,
        observer=site,
        clock_sigma_s=CLOCK_S,
    )
    naming = satellites_in_picture(satellites, exposure, [measured(drawn[0], rng)]).namings[0]
    if not len(naming.order):
        return np.nan, 0.0
    return float(naming.evidence.ahead_s[naming.order[0]]), float(naming.probability[0])


NIGHT = datetime(2026, 10, 14, 20, tzinfo=UTC)
UNLISTED_SHARE = 0.08
BINS = (0.0, 0.5, 0.7, 0.9, 0.99, 1.0)


def named_streaks(trial: Trial) -> list[Named]:
    """What became of each streak of a frame."""
    found = []
    for k, naming in enumerate(trial.found.namings):
        best, probability = None, 0.0
        if len(naming.order):
            row = trial.found.tracks.rows[naming.evidence.rows[naming.order[0]]]
            best, probability = trial.satellites.numbers[row], float(naming.probability[0])
        found.append(
            Named(
                true=trial.true[k],
                listed=trial.listed[k],
                best=best,
                probability=probability,
                aboard=trial.frame.station is not None,
                at_train=trial.at_train,
                clock_sigma_s=trial.clock_sigma_s,
                age_days=trial.age_days[k],
            )
        )
    return found


def summary_row(title: str, streaks: Iterable[Named]) -> list[str]:
    """One row: streaks of listed satellites, how many are named right, how many sure and wrong."""
    every = list(streaks)
    known = [one for one in every if one.listed]
    sure = [one for one in every if one.probability >= 0.9]
    wrong = sum(not one.right for one in sure)
    if not known:
        return [title, "0", *["–"] * 5]
    return [
        title,
        f"{len(known):,}",
        f"{np.mean([one.right for one in known]):.2%}",
        f"{np.mean([one.right and one.probability >= 0.5 for one in known]):.2%}",
        f"{np.mean([one.right and one.probability >= 0.9 for one in known]):.2%}",
        f"{len(sure):,}",
        f"{wrong} ({wrong / max(len(sure), 1):.2%})",
    ]


HEADER = (
    "streaks",
    "of listed satellites",
    "most probable is right",
    "right with P ≥ 0.5",
    "right with P ≥ 0.9",
    "all with P ≥ 0.9",
    "of these wrong",
)
Choice = tuple[str, Callable[[Named], bool]]
CHOICES: tuple[Choice, ...] = (
    ("**all but trains**", lambda one: not one.at_train),
    ("from the ground", lambda one: not one.at_train and not one.aboard),
    ("from orbit", lambda one: one.aboard),
    ("clock 0.1 s", lambda one: not one.at_train and one.clock_sigma_s == 0.1),
    ("clock 0.3 s", lambda one: not one.at_train and one.clock_sigma_s == 0.3),
    ("clock 1 s", lambda one: not one.at_train and one.clock_sigma_s == 1.0),
    ("elements under 1 day", lambda one: not one.at_train and one.age_days < 1.0),
    ("elements of 1 to 2 days", lambda one: not one.at_train and one.age_days >= 1.0),
    ("frames pointed at trains", lambda one: one.at_train),
    ("everything", lambda one: True),
)


def calibration_rows(streaks: list[Named]) -> list[list[str]]:
    """Mean probability and share of right names, by probability."""
    rows = []
    for low, high in itertools.pairwise(BINS):
        chosen = [one for one in streaks if one.best is not None and low <= one.probability < high]
        if chosen:
            mean = float(np.mean([one.probability for one in chosen]))
            right = float(np.mean([one.right for one in chosen]))
            name = f"{low:g} to {high:g}"
            rows.append([name, str(len(chosen)), number(mean, 4), number(right, 4)])
    return rows


def report(streaks: list[Named], seconds: list[float], load_s: float, count: int) -> list[str]:
    """All tables as Markdown lines."""
    strangers = [one for one in streaks if one.true is None]
    unlisted = [one for one in streaks if one.true is not None and not one.listed]
    lines = table(HEADER, [summary_row(t, filter(f, streaks)) for t, f in CHOICES], right=6)
    lines += ["", "## Probabilities", ""]
    lines += table(
        ("probability of the best name", "streaks", "mean probability", "share right"),
        calibration_rows(streaks),
        right=3,
    )
    lines += ["", "## What no catalogue has", ""]
    rows = [
        [
            title,
            str(len(some)),
            str(sum(one.probability >= 0.5 for one in some)),
            str(sum(one.probability >= 0.9 for one in some)),
        ]
        for title, some in (
            ("lines anywhere (meteors, aircraft, false streaks)", strangers),
            ("satellites missing in the catalogue", unlisted),
        )
    ]
    lines += table(("streaks of", "streaks", "named with P ≥ 0.5", "with P ≥ 0.9"), rows, right=3)
    lines += [
        "",
        "## Time",
        "",
        f"Processor seconds on one core. Reading {count:,} element sets and choosing the best of "
        f"each satellite: {load_s:.2f}. Predicting and naming a frame: {np.median(seconds):.2f} in "
        f"the median, {np.quantile(seconds, 0.9):.2f} for one in ten.",
        "",
    ]
    return lines


def preamble(arguments: list[str], frames: int, count: int) -> list[str]:
    """What was run, where and when."""
    shown = [
        "FOLDER" if before == "--real" else word
        for before, word in zip(["", *arguments], arguments, strict=False)
    ]
    note = (
        f"{frames} simulated frames under {count:,} satellites "
        "(`benchmarks/simulate/satellites.py`): constellations in planes, trains, "
        "sun-synchronous and geostationary satellites, rocket bodies, debris. Element sets are 0 "
        "to 2 days old and err as published figures say, with heavy tails; "
        f"{UNLISTED_SHARE:.0%} of the satellites are not in the catalogue. Frames of 3000 x 2000 "
        "pixels, 6° to 70° wide, 1 to 30 s, four in five from sites on the ground and one from "
        "orbit; clocks are off by 0.1, 0.3 or 1 s (one sigma). Ends of streaks have errors of 0.5 "
        "to 4 px along and 0.2 to 0.6 px across, the attitude one of 0.4 px. 40 % of the frames "
        "have one line that is no satellite. Some frames are pointed at a train (satellites 1 to "
        "12 s apart on one track), far more than chance would have: they are counted apart."
    )
    return title_lines("Names of satellites' streaks", command_of("satellites", shown), note)


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks satellites", description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--count", type=int, default=30000, help="satellites in the sky")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--real", type=Path, help="folder with orbit/iss_tles.txt")
    parser.add_argument("--out", type=Path, help="folder for the dated Markdown file")
    options = parser.parse_args(argv)
    sky = simulate_satellites(options.count, NIGHT, np.random.default_rng(options.seed))
    listed = np.random.default_rng([options.seed, 1]).random(len(sky.names)) > UNLISTED_SHARE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalogue.txt"
        path.write_text(sky.text(listed), encoding="utf-8")
        started = time.process_time()
        catalogue = load_catalogue(path)
        catalogue.at(sky.time_utc)
        load_s = time.process_time() - started
    streaks: list[Named] = []
    seconds: list[float] = []
    for done, trial in enumerate(trials(sky, listed, catalogue, options.frames, options.seed), 1):
        streaks += named_streaks(trial)
        seconds.append(trial.seconds)
        if done % 20 == 0:
            print(f"{done} frames, {len(streaks)} streaks", file=sys.stderr)
    lines = report(streaks, seconds, load_s, len(catalogue.pairs))
    if options.real is not None:
        lines += station_section(options.real, options.seed)
    write_page(options.out, "satellites", [*preamble(argv, options.frames, len(sky.names)), *lines])
    return 0
