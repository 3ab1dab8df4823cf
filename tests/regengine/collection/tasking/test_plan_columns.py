"""Every column of a plan by astropy, pyproj and SGP4; limits at the limit."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyproj import Geod, Transformer
from sgp4.api import Satrec

from regengine.collection.tasking.plan import PassLimits, Plan, plan_passes, select_wanted_places
from regengine.collection.tasking.targets import read_listed_targets
from regengine.orbit import load_tle_file, orbit_sigma
from regengine.orbit.propagation import drag_shift_km
from tests.world.elements import Elements
from tests.world.program import run

START = datetime(2016, 5, 1, 19, 12, tzinfo=UTC)
ORBIT = Elements(eccentricity=0.0012, drag=" 40000-4")
SITES = [
    ("Paris", "FR", 2.35, 48.86, 2_138_551, 7.0),
    ("Suva", "FJ", 179.95, -16.8, 77_366, 40.0),
    ("Singapore", "SG", 103.8, 1.3, "", 1.5),
    ("Bratsk", "RU", 101.6, 51.2, 246_000, ""),
    ("Ushuaia", "AR", -68.3, -51.2, 56_956, 7.0),
]
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
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
