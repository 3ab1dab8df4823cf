"""Passes and every column of a plan by astropy, pyproj and SGP4; which places a plan is for."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from pyproj import Geod, Transformer
from scipy.optimize import minimize_scalar
from sgp4.api import Satrec

from matchers.geometry.earth import geodetic_to_ecef
from regengine.collection.catalogue.table import FORMAT, FORMAT_VERSION
from regengine.collection.tasking.plan import (
    PassLimits,
    Plan,
    find_passes,
    plan_passes,
    select_wanted_places,
)
from regengine.collection.tasking.targets import list_city_targets, read_listed_targets
from regengine.errors import ConfigError
from regengine.orbit import (
    ElementSet,
    load_tle_file,
    orbit_sigma,
    track_positions,
)
from regengine.orbit.propagation import drag_shift_km
from regengine.places import PlaceTable
from tests.world.elements import Elements
from tests.world.program import Said, run

# The search


START = datetime(2016, 5, 1, 19, 12, tzinfo=UTC)
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


DAY_S = 86400.0
PLACES = [
    (2.35, 48.86),
    (-58.4, -34.6),
    (103.8, 1.3),
    (179.95, -16.8),
    (-149.9, 61.2),
    (30.3, 59.9),
]
LON, LAT = np.array(PLACES).T


@pytest.fixture(scope="module")
def orbit(tmp_path_factory: pytest.TempPathFactory) -> ElementSet:
    path = tmp_path_factory.mktemp("tle") / "iss.txt"
    path.write_text(Elements(eccentricity=0.0012).text())
    return load_tle_file(path).best_for(START)


@given(lon=st.floats(-180.0, 179.99), lat=st.floats(-75.0, 75.0))
def test_no_pass_is_missed_anywhere(orbit: ElementSet, lon: float, lat: float) -> None:
    """The search by whole minutes against the orbit every five seconds, for half a day."""
    seconds = np.arange(-10.0, 0.5 * DAY_S + 11.0, 5.0)  # beyond both ends of what is searched
    station = track_positions(orbit, START, seconds, 0.0)
    place = geodetic_to_ecef(lon, lat)
    slant = np.linalg.norm(station - place, axis=-1)
    above = (station - place) @ place > 0.0
    lowest = (slant[1:-1] < slant[:-2]) & (slant[1:-1] <= slant[2:]) & above[1:-1]
    moments = seconds[1:-1][lowest]
    found = find_passes(
        orbit, START, 0.5 * DAY_S, np.array([lon]), np.array([lat]), max_off_nadir_deg=90.0
    )
    clear = found.elevation_deg > 0.5  # at the horizon itself the two ellipsoids' ups differ
    assert all(np.abs(moments - moment).min() < 6.0 for moment in found.seconds[clear])
    inside = (moments > 6.0) & (moments < 0.5 * DAY_S - 6.0)
    high = inside & (slant[1:-1][lowest] < 1800e3)
    assert all(np.abs(found.seconds - moment).min() < 6.0 for moment in moments[high])


def test_a_pass_is_the_moment_of_least_distance_to_a_millisecond(orbit: ElementSet) -> None:
    found = find_passes(orbit, START, DAY_S, LON, LAT, max_off_nadir_deg=65.0)
    assert len(found) >= 10
    for one in found.itertuples():
        place = geodetic_to_ecef(LON[one.place], LAT[one.place])

        def metres(seconds: float, place: np.ndarray = place) -> float:
            (station,) = track_positions(orbit, START, np.array([seconds]), 0.0)
            return float(np.sum((station - place) ** 2)) / 1e6

        around = (one.seconds - 20.0, one.seconds + 15.0)
        least = minimize_scalar(metres, bounds=around, method="bounded", options={"xatol": 1e-5})
        assert one.seconds == pytest.approx(least.x, abs=1e-3)
        assert one.slant_km == pytest.approx(np.sqrt(least.fun), abs=1e-6)


def test_passes_of_a_span_are_those_of_its_parts(orbit: ElementSet) -> None:
    """Wherever a span is cut, from the first moment on and without the last."""
    whole = find_passes(orbit, START, DAY_S, LON, LAT, max_off_nadir_deg=60.0)
    moments = np.sort(whole.seconds.to_numpy())
    for cut_s in (0.0, *(moments[[2, 5]] - 1e-3), *(moments[[2, 5]] + 1e-3), 41_003.0):
        first = find_passes(orbit, START, cut_s, LON, LAT, max_off_nadir_deg=60.0)
        later = START + timedelta(seconds=cut_s)
        second = find_passes(orbit, later, DAY_S - cut_s, LON, LAT, max_off_nadir_deg=60.0)
        both = np.sort(np.concatenate([first.seconds, second.seconds + cut_s]))
        np.testing.assert_allclose(both, moments, rtol=0.0, atol=1e-3)


def test_a_limit_at_the_horizon_takes_what_stands_above_it(orbit: ElementSet) -> None:
    """By the orbit every quarter of a second, nadirs and horizons of PyProj's ellipsoid."""
    rng = np.random.default_rng(8)
    lon, lat = rng.uniform(-180.0, 180.0, 300), rng.uniform(-72.0, 72.0, 300)
    seconds = np.arange(-2.0, 6002.0, 0.25)
    track = track_positions(orbit, START, seconds, 0.0)
    nadir_lon, nadir_lat, _ = TO_ECEF.transform(*track.T, direction="INVERSE")
    down = np.stack(TO_ECEF.transform(nadir_lon, nadir_lat, np.zeros(len(track))), axis=-1) - track
    approaches = []
    for number in range(len(lon)):
        place = np.array(TO_ECEF.transform(lon[number], lat[number], 0.0))
        up = np.array(TO_ECEF.transform(lon[number], lat[number], 1.0)) - place
        towards = place - track
        slant = np.linalg.norm(towards, axis=-1)
        for k in np.flatnonzero((slant[1:-1] < slant[:-2]) & (slant[1:-1] <= slant[2:])) + 1:
            cosine = towards[k] @ down[k] / slant[k] / np.linalg.norm(down[k])
            if 0.0 <= seconds[k] < 6000.0 and -towards[k] @ up > 0.0:
                approaches.append((number, seconds[k], np.degrees(np.arccos(cosine))))
    for limit_deg in (8.0, 20.0, 64.0, 90.0):
        found = find_passes(orbit, START, 6000.0, lon, lat, max_off_nadir_deg=limit_deg)
        expected = [(n, s) for n, s, angle_deg in approaches if angle_deg <= limit_deg]
        assert found.place.tolist() == [n for n, _ in expected]
        np.testing.assert_allclose(found.seconds, [s for _, s in expected], atol=0.15, rtol=0.0)
        assert len(expected) > (0 if limit_deg < 20.0 else 5)


def test_no_places_and_short_spans_have_no_passes(orbit: ElementSet) -> None:
    none = np.empty(0)
    assert len(find_passes(orbit, START, DAY_S, none, none, max_off_nadir_deg=45.0)) == 0
    assert len(find_passes(orbit, START, 8.6, LON, LAT, max_off_nadir_deg=1.0)) == 0


# The columns of a plan


ORBIT = Elements(eccentricity=0.0012, drag=" 40000-4")
SITES = [
    ("Paris", "FR", 2.35, 48.86, 2_138_551, 7.0),
    ("Suva", "FJ", 179.95, -16.8, 77_366, 40.0),
    ("Singapore", "SG", 103.8, 1.3, "", 1.5),
    ("Bratsk", "RU", 101.6, 51.2, 246_000, ""),
    ("Ushuaia", "AR", -68.3, -51.2, 56_956, 7.0),
]
TENTHS = ("azimuth_deg", "heading_deg")
WIDE = PassLimits(max_off_nadir_deg=60.0, max_sun_deg=90.0, max_sigma_s=1e6, most=99)


@pytest.fixture(autouse=True)
def offline() -> Iterator[None]:
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


@pytest.fixture
def tle(tmp_path: Path) -> Path:
    path = tmp_path / "iss.txt"
    path.write_text(ORBIT.text())
    return path


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    path = tmp_path / "sites.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "country", "lon", "lat", "population", "priority"])
        rows.writerows(SITES)
    return path


def make_plan(tle: Path, sites: Path, limits: PassLimits, days: float = 2.0) -> Plan:
    wanted = select_wanted_places(read_listed_targets(sites), None)
    return plan_passes(wanted, load_tle_file(tle), START, days, limits)


def station_ecef_m(time: datetime, after_s: np.ndarray) -> np.ndarray:
    """Where the station is some seconds after a time, shape (..., 3)."""
    import astropy.units as u
    from astropy.coordinates import ITRS, TEME, CartesianRepresentation
    from astropy.time import Time

    moments = Time(time) + after_s.ravel() * u.s
    _, km, _ = Satrec.twoline2rv(*ORBIT.lines()).sgp4_array(moments.utc.jd1, moments.utc.jd2)
    teme = TEME(CartesianRepresentation(km.T * u.km), obstime=moments)
    ecef = teme.transform_to(ITRS(obstime=moments)).cartesian.xyz.to_value(u.m)
    return ecef.T.reshape(*after_s.shape, 3)


def seen_from_station(track_ecef_m: np.ndarray, lon: float, lat: float) -> dict[str, float]:
    """What a plan says of geometry, of the middle one of three places a little apart, (3, 3)."""
    before, station, after = track_ecef_m
    nadir_lon, nadir_lat, height_m = TO_ECEF.transform(*station, direction="INVERSE")
    geod = Geod(ellps="WGS84")
    azimuth, _, ground_m = geod.inv(nadir_lon, nadir_lat, lon, lat)
    ends = [TO_ECEF.transform(*one, direction="INVERSE")[:2] for one in (before, after)]
    leaves, back, _ = geod.inv(*ends[0], *ends[1])
    heading = leaves + 0.5 * ((back + 180.0 - leaves + 180.0) % 360.0 - 180.0)  # half-way
    down = np.array(TO_ECEF.transform(nadir_lon, nadir_lat, 0.0)) - station
    target = np.array(TO_ECEF.transform(lon, lat, 0.0))
    up = np.array(TO_ECEF.transform(lon, lat, 1.0)) - target
    towards = target - station
    slant_m = np.linalg.norm(towards)
    return {
        "off_nadir_deg": np.degrees(np.arccos(towards @ down / slant_m / np.linalg.norm(down))),
        "elevation_deg": np.degrees(np.arcsin(-towards @ up / slant_m)),
        "slant_km": slant_m / 1e3,
        "ground_km": ground_m / 1e3,
        "azimuth_deg": azimuth % 360.0,
        "heading_deg": heading % 360.0,
        "nadir_lon": nadir_lon,
        "nadir_lat": nadir_lat,
        "altitude_km": height_m / 1e3,
    }


def stands_over(times: list[datetime], lon: float, lat: float) -> dict[str, np.ndarray]:
    """Elevations of Sun and Moon, and the lit share of the Moon's disc."""
    import astropy.units as u
    from astropy.coordinates import AltAz, EarthLocation, get_body
    from astropy.time import Time

    moment = Time(times)
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 0.0 * u.m)
    sun, moon = (get_body(name, moment, place) for name in ("sun", "moon"))
    frame = AltAz(obstime=moment, location=place)  # without air
    far, near = sun.distance.to_value(u.km), moon.distance.to_value(u.km)
    apart = moon.separation(sun).to_value(u.rad)
    phase = np.arctan2(far * np.sin(apart), near - far * np.cos(apart))
    return {
        "sun_elevation_deg": sun.transform_to(frame).alt.to_value(u.deg),
        "moon_elevation_deg": moon.transform_to(frame).alt.to_value(u.deg),
        "moon_illumination": 0.5 * (1.0 + np.cos(phase)),
    }


def test_every_column_is_what_other_programs_compute(
    tle: Path, sites: Path, tmp_path: Path
) -> None:
    out = tmp_path / "plan.csv"
    words = ("--days", 2, "--passes", 99, "--max-off-nadir-deg", 60, "--max-sun-deg", 90)
    files = ("--tle", tle, "--places", sites, "--out", out)
    assert run("catalogue", "tasking", *files, "--time", START.isoformat(), *words).code == 0
    table = pd.read_csv(out, keep_default_na=False)
    assert len(table) >= 20
    assert {"left", "right"} == set(table["side"])
    order = ["Bratsk", "Suva", "Paris", "Ushuaia", "Singapore"]  # by thousands of people, 246
    assert table.groupby("rank")["place"].unique().map(list).to_dict() == {
        k: [name] for k, name in enumerate(order, start=1)
    }
    elements = load_tle_file(tle)[0]
    for row in table.to_dict("records"):
        (site,) = (one for one in SITES if one[0] == row["place"])
        assert [row[name] for name in ("country", "place_lon", "place_lat")] == list(site[1:4])
        assert row["population"] == (str(site[4]) if site[4] else "")
        assert row["priority"] == (site[5] or 246.0)
        assert (row["need"], row["best_frame"], row["best_quality"]) == ("no_frame", "", "")
        assert (row["best_off_nadir_deg"], row["best_time_utc"]) == ("", "")
        lon, lat = site[2:4]
        time = datetime.fromisoformat(row["time_utc"])
        # Times are rounded to a tenth: what changes in half of it is open
        steps_s = np.array([-1.0, -0.06, 0.0, 0.06, 1.0])[:, None] + [-0.5, 0.0, 0.5]
        truth = [seen_from_station(one, lon, lat) for one in station_ecef_m(time, steps_s)]
        for name in truth[0]:
            low, _, high = sorted(one[name] for one in truth[1:4])
            if name in ("azimuth_deg", "nadir_lon") and high - low > 180.0:
                continue  # over north, or 180 degrees
            slack = 0.08 if name.endswith("_km") or name in TENTHS else 0.008
            assert low - slack <= row[name] <= high + slack, (name, row)
        assert all(truth[k]["slant_km"] > row["slant_km"] - 0.08 for k in (0, 4))
        assert truth[0]["slant_km"] == pytest.approx(truth[4]["slant_km"], abs=0.6)
        # Right of the flight: to the east of one that goes north
        turn = np.sin(np.radians(row["azimuth_deg"] - row["heading_deg"]))
        assert row["side"] == ("right" if turn > 0.0 else "left")
        age = time - ORBIT.epoch
        assert row["tle_epoch_utc"] == "2016-05-01T12:00:00.0Z"
        assert row["tle_age_h"] == pytest.approx(age / timedelta(hours=1), abs=0.006)
        sigma = orbit_sigma(age / timedelta(hours=1))
        along_km = np.hypot(sigma.along_km, drag_shift_km(elements, time))
        assert row["sigma_time_s"] == pytest.approx(along_km / 7.66, rel=0.08, abs=0.06)
        turned_km = 2.0 * np.pi * 6378.137 / 86_164.1 * np.cos(np.radians(lat)) * along_km / 7.66
        wanted_km = np.hypot(turned_km, sigma.cross_km)
        assert row["sigma_ground_km"] == pytest.approx(wanted_km, rel=0.08, abs=0.06)
    for name, country, lon, lat, *_ in SITES:
        own = table[table["place"] == name]
        assert (own["country"] == country).all()
        times = [datetime.fromisoformat(text) for text in own["time_utc"]]
        for column, values in stands_over(times, lon, lat).items():
            np.testing.assert_allclose(own[column].astype(float), values, atol=0.015)


@pytest.mark.parametrize(
    ("limit", "column"),
    [
        ("max_off_nadir_deg", "off_nadir_deg"),
        ("max_sun_deg", "sun_elevation_deg"),
        ("max_moon_deg", "moon_elevation_deg"),
        ("max_sigma_s", "sigma_time_s"),
    ],
)
def test_a_limit_is_what_is_still_taken(tle: Path, sites: Path, limit: str, column: str) -> None:
    passes = make_plan(tle, sites, WIDE).passes
    middle = float(passes[column].sort_values().iloc[len(passes) // 2])
    at = make_plan(tle, sites, replace(WIDE, **{limit: middle}))
    below = make_plan(tle, sites, replace(WIDE, **{limit: float(np.nextafter(middle, -1e9))}))
    kept = passes[passes[column] <= middle].reset_index(drop=True)
    pd.testing.assert_frame_equal(at.passes, kept)
    assert len(below.passes) == len(kept) - 1
    left_out = limit == "max_sigma_s"
    assert at.uncertain == (len(passes) - len(kept)) * left_out
    assert below.uncertain == (len(passes) - len(kept) + 1) * left_out


def test_what_is_uncertain_by_day_is_not_counted(tle: Path, sites: Path) -> None:
    passes = make_plan(tle, sites, WIDE).passes
    sigma_s = float(passes["sigma_time_s"].median())
    plan = make_plan(tle, sites, replace(WIDE, max_sigma_s=sigma_s, max_sun_deg=-12.0))
    late = (passes["sigma_time_s"] > sigma_s) & (passes["sun_elevation_deg"] <= -12.0)
    assert 0 < plan.uncertain == int(late.sum()) < len(passes) // 2


@pytest.mark.parametrize("most", [1, 2, 3])
def test_of_many_passes_the_steepest_are_listed_in_their_order(
    tle: Path, sites: Path, most: int
) -> None:
    passes = make_plan(tle, sites, WIDE).passes
    kept = make_plan(tle, sites, replace(WIDE, most=most)).passes
    for place, own in passes.groupby("place"):
        steepest = own.nsmallest(most, "off_nadir_deg").sort_values("seconds")
        listed = kept[kept["place"] == place]
        assert listed["seconds"].tolist() == steepest["seconds"].tolist()
    assert kept["place"].is_monotonic_increasing


# The places that are wanted


NIGHT = datetime(2016, 5, 2, tzinfo=UTC)
ALTITUDE_KM = 410.0
# Places that passes come near, 8 degrees and more apart; what the archive shows of each: quality,
# degrees of latitude from the nadir to the place, days before the start, verdict
SHOWN = {
    "no frame": (-60.0, 12.0, []),
    "good": (-52.0, 20.0, [(0.9, 1.0, 300.0, "accepted")]),
    "just good": (-44.0, 28.0, [(0.5, 1.0, 400.0, "accepted")]),
    "poor": (-36.0, -10.0, [(0.49, 1.0, 10.0, "accepted"), (0.3, 1.0, 10.0, "accepted")]),
    "flat": (-28.0, 36.0, [(0.8, 5.0, 10.0, "accepted"), (0.7, 4.0, 10.0, "accepted")]),
    "old": (-20.0, -20.0, [(0.8, 0.0, 401.0, "accepted")]),
    "two lacks": (0.0, -30.0, [(0.2, 5.0, 10.0, "accepted")]),
    "all lacks": (8.0, 40.0, [(0.2, 5.0, 900.0, "accepted")]),
    # The frame that lacks least comes before the one of best quality
    "fewest lacks": (16.0, -40.0, [(0.9, 5.0, 900.0, "accepted"), (0.1, 1.0, 9.0, "accepted")]),
    "not accepted": (24.0, 5.0, [(0.9, 0.0, 9.0, "rejected")]),
    "unjudged": (32.0, 15.0, [(None, 1.0, 9.0, "accepted")]),
    "any": (40.0, -5.0, [(None, 1.0, 9.0, "accepted"), (0.2, 1.5, 9.0, "accepted")]),
}
NEEDS = {
    "no frame": "no_frame", "poor": "quality", "flat": "off_nadir", "old": "age",
    "two lacks": "quality,off_nadir", "all lacks": "quality,off_nadir,age",
    "fewest lacks": "quality", "not accepted": "no_frame", "unjudged": "quality", "any": "quality",
}  # fmt: skip
BEST = {
    "poor": 0, "flat": 0, "old": 0, "two lacks": 0, "all lacks": 0, "fewest lacks": 1,
    "unjudged": 0, "any": 1,
}  # fmt: skip
# Of a second, and what a plan says of it: the nearest tenth
FRACTIONS_US = {"poor": (949_999, "00.9"), "flat": (950_000, "01.0"), "any": (1, "00.0")}


def write_catalogue(path: Path) -> None:
    rows = [
        {
            "frame": f"{name}-{k}",
            "time_utc": NIGHT - timedelta(days=days) + timedelta(microseconds=late_us),
            "quality": quality,
            "verdict": verdict,
            "nadir_lon": lon,
            "nadir_lat": lat - north,
            "altitude_km": ALTITUDE_KM,
            "geometry": shapely.to_wkb(
                shapely.MultiPolygon([shapely.box(lon - 1, lat - 1, lon + 1, lat + 1)])
            ),
        }
        for name, (lon, lat, frames) in SHOWN.items()
        for late_us, _ in [FRACTIONS_US.get(name, (0, ""))]
        for k, (quality, north, days, verdict) in enumerate(frames)
    ]
    rows.append(rows[0] | {"frame": "not placed", "quality": 1.0, "geometry": None})
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table.replace_schema_metadata({FORMAT: str(FORMAT_VERSION)}), path)


def off_nadir_deg(lon: float, lat: float, north: float) -> float:
    """The place's angle at a camera so many degrees south of it."""
    camera = np.array(TO_ECEF.transform(lon, lat - north, 1e3 * ALTITUDE_KM))
    down = np.array(TO_ECEF.transform(lon, lat - north, 0.0)) - camera
    towards = np.array(TO_ECEF.transform(lon, lat, 0.0)) - camera
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(down, towards)), down @ towards)))


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Said]:
    """Plans of three days, all passes by day and night."""
    tle, sites, frames = (tmp_path / name for name in ("iss.txt", "sites.csv", "c.parquet"))
    tle.write_text(Elements().text())
    # The first are the least urgent, so that the order is told by priorities
    rows = [f"{name},{lon},{lat},{10 + k}" for k, (name, (lon, lat, _)) in enumerate(SHOWN.items())]
    sites.write_text("\n".join(["name,lon,lat,priority", *rows]))
    write_catalogue(frames)
    given = ("--tle", tle, "--places", sites, "--time", NIGHT.isoformat())
    words = ("--days", 3, "--max-sun-deg", 90, "--max-off-nadir-deg", 70, "--max-sigma-s", 1e5)
    return lambda out, *more: run(
        "catalogue", "tasking", frames, *given, *words, "--out", tmp_path / out, *more
    )


def test_places_of_which_no_good_frame_is_there_are_wanted(
    plan: Callable[..., Said], tmp_path: Path
) -> None:
    said = plan("plan.csv", "--good-age-days", 400)
    assert said.code == 0, said.err
    table = pd.read_csv(tmp_path / "plan.csv").drop_duplicates("place")
    assert dict(zip(table["place"], table["need"], strict=True)) == NEEDS
    weight = {name: 10.0 + k for k, name in enumerate(SHOWN)}
    priority = {name: weight[name] * (0.5 if name in BEST else 1.0) for name in NEEDS}
    assert dict(zip(table["place"], table["priority"], strict=True)) == priority
    # Of equals, the one that the list has first; dictionaries keep that order
    assert list(table["place"]) == sorted(priority, key=lambda name: -priority[name])
    assert list(table["rank"]) == list(range(1, len(NEEDS) + 1))
    for row in table.to_dict("records"):
        lon, lat, frames = SHOWN[row["place"]]
        if row["place"] not in BEST:
            assert pd.isna(row["best_frame"])
            assert pd.isna(row["best_quality"])
            continue
        k = BEST[row["place"]]
        quality, north, days, _ = frames[k]
        assert row["best_frame"] == f"{row['place']}-{k}"
        assert row["best_quality"] == pytest.approx(quality, nan_ok=True) or quality is None
        angle_deg = off_nadir_deg(lon, lat, north)
        assert row["best_off_nadir_deg"] == pytest.approx(angle_deg, abs=0.051)
        time = NIGHT - timedelta(days=days)
        seconds = FRACTIONS_US.get(row["place"], (0, "00.0"))[1]
        assert row["best_time_utc"] == f"{time:%Y-%m-%dT%H:%M}:{seconds}Z"


@pytest.mark.parametrize(
    ("words", "gone", "come"),
    [
        (("--good-quality", 0.49), {"poor"}, set()),
        (("--good-quality", 0.51), set(), {"just good"}),
        (("--good-off-nadir-deg", 60), {"flat"}, set()),
        (("--good-age-days", 401), {"old"}, set()),
        (("--good-age-days", 399), set(), {"just good"}),
        (("--good-quality", 0, "--good-off-nadir-deg", 90), {"poor", "flat"}, set()),
    ],
)
def test_what_is_good_is_what_was_asked_for(
    plan: Callable[..., Said], tmp_path: Path, words: tuple, gone: set[str], come: set[str]
) -> None:
    age = () if "--good-age-days" in words else ("--good-age-days", 400)
    assert plan("plan.csv", *words, *age).code == 0
    named = set(pd.read_csv(tmp_path / "plan.csv")["place"])
    if words[:2] == ("--good-quality", 0):  # each has one then, but for age or none at all
        gone |= {"two lacks", "fewest lacks", "any"}
    assert named == set(NEEDS) - gone | come


def test_photos_do_not_age_unless_asked_and_a_layer_says_what_the_table_says(
    plan: Callable[..., Said], tmp_path: Path
) -> None:
    assert plan("plan.csv").code == 0
    assert plan("plan.geojson").code == 0
    table = pd.read_csv(tmp_path / "plan.csv")
    assert not table["need"].str.contains("age").any()
    assert "old" not in set(table["place"])
    layer = json.loads((tmp_path / "plan.geojson").read_text())
    assert layer["type"] == "FeatureCollection"
    rows = [feature["properties"] for feature in layer["features"]]
    pd.testing.assert_frame_equal(
        pd.DataFrame(rows, columns=table.columns).fillna(np.nan).infer_objects(),
        table,
        check_dtype=False,
    )
    for feature, row in zip(layer["features"], rows, strict=True):
        assert feature["type"] == "Feature"
        assert feature["geometry"]["type"] == "Point"
        assert feature["geometry"]["coordinates"] == [row["place_lon"], row["place_lat"]]


def test_an_archive_that_shows_none_of_the_places_wants_all(tmp_path: Path) -> None:
    tle, sites, frames = (tmp_path / name for name in ("iss.txt", "sites.csv", "c.parquet"))
    tle.write_text(Elements().text())
    sites.write_text("name,lon,lat\nA,-60,-40\nB,150,-30\n")
    write_catalogue(frames)
    given = ("--tle", tle, "--places", sites, "--time", NIGHT.isoformat(), "--max-sun-deg", 90)
    said = run("catalogue", "tasking", frames, *given, "--out", tmp_path / "plan.csv")
    assert said.code == 0, said.err
    table = pd.read_csv(tmp_path / "plan.csv")
    assert set(table["place"]) == {"A", "B"}
    assert (table["need"] == "no_frame").all()
    assert (table["priority"] == 1.0).all()


def listed(path: Path, text: str) -> pd.DataFrame:
    path.write_text(text, encoding="utf-8")
    return read_listed_targets(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_lists_are_read_under_the_names_that_columns_have(tmp_path: Path, separator: str) -> None:
    """Of several columns of names the one called so counts."""
    header = ["City", "Long", "LATITUDE", "People", "Priority", "note", "Country"]
    rows = [["Suva", "179.5", "-16.8", "77366", "", "x", "FJ"], ["Õ", "200", "90", "", "0", "", ""]]
    rows += [["", "", "", "", "", "", ""], [" Bare ", "-180", "-90"], ["Edge", "360", "0"]]
    rows += [["Most", "0", "0", "1e10", "1e12"]]
    text = "\n".join(separator.join(row) for row in [header, *rows])
    text = f"sep={separator}\n# my places, all of them\n\n{text}\n# end\n"
    table = listed(tmp_path / "sites.csv", text)
    assert list(table["name"]) == ["Suva", "Õ", "Bare", "Edge", "Most"]
    assert list(table["lon"]) == [179.5, -160.0, -180.0, 0.0, 0.0]
    assert list(table["lat"]) == [-16.8, 90.0, -90.0, 0.0, 0.0]
    # Priority as given, else thousands of people, else 1
    assert list(table["weight"]) == [77.366, 0.0, 1.0, 1.0, 1e12]
    assert table["population"].fillna(-1.0).tolist() == [77366.0, -1.0, -1.0, -1.0, 1e10]
    table = listed(tmp_path / "two.csv", "city,name,lon,lat\nParis,Eiffel tower,2.29,48.86\n")
    assert list(table["name"]) == ["Eiffel tower"]


# A row that is no place is named by its line
ROWS = {
    "A,-180.5,0,,": "lon '-180.5' is not a number from -180 to 360",
    "A,360.5,0,,": "lon '360.5' is not a number from -180 to 360",
    "A,0,90.1,,": "lat '90.1' is not a number from -90 to 90",
    "A,0,-90.1,,": "lat '-90.1' is not a number from -90 to 90",
    "A,0,north,,": "lat 'north' is not a number from -90 to 90",
    "A,0,0,-1,": "population '-1' is not a number from 0 to 1e+10",
    "A,0,0,10000000000.5,": "population '10000000000.5' is not a number from 0 to 1e+10",
    "A,0,0,,-0.5": "priority '-0.5' is not a number from 0 to 1e+12",
    "A,0,0,,1000000000000.5": "priority '1000000000000.5' is not a number from 0 to 1e+12",
    **dict.fromkeys((",0,0,,", "A,,0,,", "A,0,,,"), "name, lon or lat is missing"),
}
LISTS = {
    **dict.fromkeys(
        ("", "lon,lat\n1,2\n", "name,lat\nA,2\n", "name,lon\nA,2\n"), "is not a list of places"
    ),
    "name,lon,lat\n,,\n": "lists no place",
    "name,lon,lat,Longitude\nA,1,2,3\n": "'lon', or 'Longitude', is given twice",
    "name,name,lon,lat\nA,B,1,2\n": "'name' is given twice",
    **{
        f"name,lon,lat,population,priority\nB,1,2,3,4\n{row}\n": f"line 3: {told}"
        for row, told in ROWS.items()
    },
}


@pytest.mark.parametrize("text", LISTS)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(LISTS[text])):
        listed(tmp_path / "sites.csv", text)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_listed_targets(tmp_path / "gone.csv")


def test_cities_are_all_with_so_many_people_the_largest_first() -> None:
    everywhere = [one.population for one in PlaceTable()]
    people = min(size for size in everywhere if size >= 500_000)
    at = list_city_targets(people)
    assert len(at) == sum(size >= people for size in everywhere) > 900
    assert at["population"].is_monotonic_decreasing
    np.testing.assert_allclose(at["weight"], at["population"] / 1000.0)
    london = at[at["name"] == "London"].iloc[0]
    assert (london["lon"], london["lat"]) == pytest.approx((-0.1257, 51.5085), abs=0.01)
