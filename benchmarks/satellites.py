"""How often streaks of simulated satellites get their right names out of a catalogue of 30,000.

``python -m benchmarks satellites`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.pages import command_of, parser, table, title_lines, write_page
from benchmarks.simulate.satellites import (
    SimulatedSky,
    SkyFrame,
    TrueStreak,
    observer_teme,
    point_camera,
    simulate_satellites,
    sunlit,
    teme_to_gcrs,
    true_states,
    true_streaks,
)
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.rotation import days_since_j2000, sidereal_angle_rad, teme_to_ecef
from regengine.orbit.sun_moon import sun_moon
from regengine.orbit.tle import ElementSet
from regengine.sky.satellites.catalogue import SatelliteCatalogue, Satellites, load_catalogue
from regengine.sky.satellites.naming import predict_and_name
from regengine.sky.satellites.observer import Exposure, GroundSite, Observer, SatelliteObserver
from regengine.sky.satellites.streak_naming import Streak

WIDTH_PX, HEIGHT_PX = 3000, 2000
FIELDS_DEG, EXPOSURES_S = (6.0, 70.0), (1.0, 30.0)
CLOCKS_S = (0.1, 0.3, 1.0)
LIMIT_MAG, NARROWER_MAG = (4.5, 7.5), 2.0  # at the widest, and more for each tenth of its width
TRAIN_SHARE = 0.15  # of the frames look at one of the trains
ABOARD_SHARE, STRANGER_SHARE = 0.2, 0.4
STATION_AGE_H = 12.0
ATTITUDE_PX = 0.4
SPREAD_H = 3.0


Trial = tuple[list[dict[str, Any]], float]  # of a frame: what became of each streak, and CPU s


def trials(
    sky: SimulatedSky,
    listed: NDArray[np.bool_],
    catalogue: SatelliteCatalogue,
    count: int,
    seed: int,
) -> Iterator[Trial]:
    """Frames with at least one streak: what became of each, and the processor time of naming."""
    satellites = catalogue.at(sky.time_utc)
    tried = (
        _trial(sky, listed, satellites, np.random.default_rng([seed, number]))
        for number in itertools.count()
    )
    yield from itertools.islice((trial for trial in tried if trial is not None), count)


def _trial(
    sky: SimulatedSky, listed: NDArray[np.bool_], satellites: Satellites, rng: np.random.Generator
) -> Trial | None:
    """A row a streak: who drew it, whether the catalogue has that satellite, its likeliest name."""
    frame, observer, at_train = _frame(sky, rng)
    clock_sigma_s = float(rng.choice(CLOCKS_S))
    drawn = true_streaks(sky, frame)
    if rng.random() < STRANGER_SHARE:
        drawn.append(_stranger(frame, rng))
    if not any(one.row is not None for one in drawn):
        return None
    streaks = [detect_streak(one, rng) for one in drawn]
    exposure = make_exposure(frame, observer, clock_sigma_s, rng)
    started = time.process_time()
    tracks, namings = predict_and_name(satellites, exposure, streaks)
    seconds = time.process_time() - started
    named = []
    for one, naming in zip(drawn, namings, strict=True):
        best, probability = None, 0.0
        if len(naming.candidates):
            row = tracks.rows[naming.candidates["row"][0]]
            best, probability = satellites.sets[row].satellite, float(naming.probability[0])
        drew = one.row
        in_catalogue = drew is not None and bool(listed[drew])
        named.append(
            {
                "satellite": drew is not None,
                "listed": in_catalogue,
                "right": drew is not None and in_catalogue and best == sky.numbers[drew],
                "probability": probability,
                "aboard": frame.station is not None,
                "at_train": at_train,  # the frame was pointed at satellites close together
                "clock_sigma_s": clock_sigma_s,
                "age_days": np.nan if drew is None else float(sky.age_days[drew]),
            }
        )
    return named, seconds


def make_exposure(
    frame: SkyFrame, observer: Observer, clock_sigma_s: float, rng: np.random.Generator
) -> Exposure:
    """The exposure as it is known: by solved stars, a fraction of a pixel off, and by a clock."""
    tilt = rng.normal(0.0, ATTITUDE_PX / frame.focal_px, 3)
    return Exposure(
        field=SkyCamera(
            width_px=frame.width_px,
            height_px=frame.height_px,
            focal_px=frame.focal_px,
            principal_point=((frame.width_px - 1) / 2.0, (frame.height_px - 1) / 2.0),
            distortion=(frame.k1, 0.0, 0.0, 0.0, 0.0),
            quaternion_icrs=matrix_quaternion(
                frame.matrix @ (np.eye(3) + np.cross(np.eye(3), tilt))
            ),
        ),
        start_utc=frame.start_utc + timedelta(seconds=float(rng.normal(0.0, clock_sigma_s))),
        exposure_s=frame.exposure_s,
        observer=observer,
        clock_sigma_s=clock_sigma_s,
    )


def _frame(sky: SimulatedSky, rng: np.random.Generator) -> tuple[SkyFrame, Observer, bool]:
    """A frame, who took it, and whether it looks at a train."""
    exposure_s = float(np.exp(rng.uniform(*np.log(EXPOSURES_S))))
    field_deg = float(np.exp(rng.uniform(*np.log(FIELDS_DEG))))
    aboard = rng.random() < ABOARD_SHARE
    at_train = rng.random() < TRAIN_SHARE and not aboard
    # Satellites that may carry a camera: low, and with a set of some hours
    low = np.array([name.startswith("CUBE") for name in sky.names])
    stations = np.flatnonzero(low & (24.0 * sky.age_days < STATION_AGE_H))
    station = int(rng.choice(stations)) if aboard else None
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
    height_m = None if aboard else float(rng.uniform(0.0, 2500.0))
    blank = SkyFrame(
        start_utc=start,
        exposure_s=exposure_s,
        site=None if height_m is None else (lat, lon, height_m),
        station=station,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=float(0.5 * WIDTH_PX / np.tan(np.radians(field_deg) / 2.0)),
        k1=float(rng.normal(0.0, 0.02)),
        limit_mag=float(limit),
    )
    frame = aim_frame(sky, blank, target, rng)
    if height_m is not None:
        return frame, GroundSite(lat=lat, lon=lon, height_m=height_m), at_train
    assert station is not None
    own = ElementSet(
        line1=sky.lines[station][0],
        line2=sky.lines[station][1],
        name=sky.names[station],
        path=Path("simulated"),
        line_number=1,
    )
    return frame, SatelliteObserver(element_set=own), False


def below(sky: SimulatedSky, row: int, time: datetime) -> tuple[float, float]:
    """Latitude and longitude under a satellite, to a degree."""
    position = true_states(sky, np.array([row]), time)[0][0]
    x, y, z = teme_to_ecef(position, sidereal_angle_rad(days_since_j2000(time)))
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def aim_frame(
    sky: SimulatedSky, frame: SkyFrame, target: int | None, rng: np.random.Generator
) -> SkyFrame:
    """The frame pointed at a satellite, or anywhere above the horizon."""
    observer = observer_teme(sky, frame, frame.start_utc)
    turned = teme_to_gcrs(frame.start_utc)
    if target is not None:
        middle = frame.start_utc + timedelta(seconds=0.5 * frame.exposure_s)
        sight = true_states(sky, np.array([target]), middle)[0][0] - observer
        axis = np.asarray(turned @ sight / np.linalg.norm(sight))
    else:
        up = turned @ observer
        up /= np.linalg.norm(up)
        east = np.cross([0.0, 0.0, 1.0], up)
        east /= np.linalg.norm(east)
        # From orbit, stars stand above a limb that is 20 degrees down
        least = -5.0 if frame.station is not None else 30.0
        rise = np.arcsin(rng.uniform(np.sin(np.radians(least)), 1.0))
        turn = rng.uniform(0.0, 2.0 * np.pi)
        level = np.cos(turn) * east + np.sin(turn) * np.cross(up, east)
        axis = np.asarray(np.sin(rise) * up + np.cos(rise) * level)
    return replace(frame, matrix=point_camera(axis, rng.uniform(0.0, 2.0 * np.pi)))


def detect_streak(streak: TrueStreak, rng: np.random.Generator) -> Streak:
    """What a detector says of it: ends with noise, the left one first."""
    end_px, line_px = float(np.exp(rng.normal(np.log(1.5), 0.5))), float(rng.uniform(0.2, 0.6))
    x1, y1, x2, y2 = streak.ends
    along = np.array([x2 - x1, y2 - y1]) / np.hypot(x2 - x1, y2 - y1)
    across = np.array([-along[1], along[0]])
    ends = np.array([[x1, y1], [x2, y2]])
    ends += np.outer(rng.normal(0.0, end_px, 2) * ~np.array(streak.cut), along)
    ends += np.outer(rng.normal(0.0, line_px, 2), across)
    order = [0, 1] if ends[0, 0] <= ends[1, 0] else [1, 0]
    return Streak(
        ends=np.stack([ends[order]] * 2),  # stars stand still
        cut=(streak.cut[order[0]], streak.cut[order[1]]),
        sigma_end_px=max(end_px, 0.7),
        sigma_line_px=max(line_px, 0.3),
    )


def _stranger(frame: SkyFrame, rng: np.random.Generator) -> TrueStreak:
    """A meteor, an aircraft, a false streak: anywhere, of any length."""
    length = np.exp(rng.uniform(np.log(30.0), np.log(1500.0)))
    while True:
        x, y = rng.uniform(0.0, frame.width_px), rng.uniform(0.0, frame.height_px)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        x2, y2 = x + length * np.cos(turn), y + length * np.sin(turn)
        if 0.0 < x2 < frame.width_px - 1 and 0.0 < y2 < frame.height_px - 1:
            return TrueStreak(ends=(x, y, x2, y2), cut=(False, False), row=None)


NIGHT = datetime(2026, 10, 14, 20, tzinfo=UTC)
UNLISTED_SHARE = 0.08


HEADER = (
    "streaks | of listed satellites | most probable is right | right with P ≥ 0.5 | "
    "right with P ≥ 0.9 | all with P ≥ 0.9 | of these wrong"
)
CHOICES = {
    "**all but trains**": "not at_train",
    "from the ground": "not at_train and not aboard",
    "from orbit": "aboard",
    "clock 0.1 s": "not at_train and clock_sigma_s == 0.1",
    "clock 0.3 s": "not at_train and clock_sigma_s == 0.3",
    "clock 1 s": "not at_train and clock_sigma_s == 1.0",
    "elements under 1 day": "not at_train and age_days < 1.0",
    "elements of 1 to 2 days": "not at_train and age_days >= 1.0",
    "frames pointed at trains": "at_train",
    "everything": "index >= 0",
}
NOT_LISTED = {
    "lines anywhere (meteors, aircraft, false streaks)": "not satellite",
    "satellites missing in the catalogue": "satellite and not listed",
}


def summary_row(title: str, streaks: pd.DataFrame) -> list[str]:
    """One row: streaks of listed satellites, how many are named right, how many sure and wrong."""
    known, sure = streaks[streaks.listed], streaks[streaks.probability >= 0.9]
    if not len(known):
        return [title, "0", *["–"] * 5]
    shares = [(known.right & (known.probability >= least)).mean() for least in (0.0, 0.5, 0.9)]
    wrong = int((~sure.right).sum())
    return [
        title,
        f"{len(known):,}",
        *(f"{share:.2%}" for share in shares),
        f"{len(sure):,}",
        f"{wrong} ({wrong / max(len(sure), 1):.2%})",
    ]


def report(streaks: pd.DataFrame, seconds: list[float], load_s: float, count: int) -> list[str]:
    """All tables as Markdown lines."""
    none = []
    for title, choice in NOT_LISTED.items():
        some = streaks.query(choice).probability
        none.append([title, str(len(some)), *(str((some >= p).sum()) for p in (0.5, 0.9))])
    rows = [summary_row(title, streaks.query(choice)) for title, choice in CHOICES.items()]
    named = ("streaks of", "streaks", "named with P ≥ 0.5", "with P ≥ 0.9")
    return [
        *table(HEADER, rows, right=6),
        "",
        "## What no catalogue has",
        "",
        *table(named, none, right=3),
        "",
        "## Time",
        "",
        f"Processor seconds on one core. Reading {count:,} element sets and choosing the best of "
        f"each satellite: {load_s:.2f}. Predicting and naming a frame: {np.median(seconds):.2f} in "
        f"the median, {np.quantile(seconds, 0.9):.2f} for one in ten.",
        "",
    ]


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    given = parser("satellites", __doc__)
    given.add_argument("--frames", type=int, default=200)
    given.add_argument("--count", type=int, default=30000, help="satellites in the sky")
    given.add_argument("--seed", type=int, default=11)
    options = given.parse_args(argv)
    sky = simulate_satellites(options.count, NIGHT, np.random.default_rng(options.seed))
    listed = np.random.default_rng([options.seed, 1]).random(len(sky.names)) > UNLISTED_SHARE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalogue.txt"
        path.write_text(sky.text(listed), encoding="utf-8")
        started = time.process_time()
        catalogue = load_catalogue(path)
        catalogue.at(sky.time_utc)
        load_s = time.process_time() - started
    streaks: list[dict[str, Any]] = []
    seconds: list[float] = []
    tried = trials(sky, listed, catalogue, options.frames, options.seed)
    for done, (named, taken_s) in enumerate(tried, 1):
        streaks += named
        seconds.append(taken_s)
        if done % 20 == 0:
            print(f"{done} frames, {len(streaks)} streaks", file=sys.stderr)
    note = (
        f"{options.frames} simulated frames under {len(sky.names):,} satellites "
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
    title = title_lines("Names of satellites' streaks", command_of("satellites", argv), note)
    lines = report(pd.DataFrame(streaks), seconds, load_s, len(catalogue.sets))
    write_page(options.out, "satellites", [*title, *lines])
    return 0
