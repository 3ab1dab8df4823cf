"""Passes and every column of a plan by astropy, pyproj and SGP4; which places a plan is for."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Geod, Transformer
from sgp4.api import Satrec

from regengine.errors import ConfigError
from regengine.frames.catalogue import FORMAT, FORMAT_VERSION, GEOMETRY_HEADER, GEOPACKAGE
from regengine.maps.places import place_index
from regengine.orbit import (
    load_tle_file,
    track_positions,
)
from regengine.studies.tasking.plan import (
    find_passes,
    list_city_targets,
    read_listed_targets,
)
from tests.world.elements import Elements
from tests.world.program import Said, run

# The search

START = datetime(2016, 5, 1, 19, 12, tzinfo=UTC)
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def test_a_limit_at_the_horizon_takes_what_stands_above_it(tle: Path) -> None:
    """By the orbit every quarter of a second, nadirs and horizons of PyProj's ellipsoid."""
    orbit = load_tle_file(tle).best_for(START)
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


def test_every_column_is_what_other_programs_compute(
    tle: Path, sites: Path, tmp_path: Path
) -> None:
    out = tmp_path / "plan.csv"
    words = ("--days", 2, "--passes", 99, "--max-off-nadir-deg", 60, "--max-sun-deg", 90)
    files = ("--tle", tle, "--places", sites, "--out", out)
    asked = ("catalogue", "tasking", *files, "--time", START.isoformat(), *words)
    assert run(*asked).code == 0
    table = pd.read_csv(out, keep_default_na=False)
    assert len(table) >= 20
    assert {"left", "right"} == set(table["side"])
    order = ["Bratsk", "Suva", "Paris", "Ushuaia", "Singapore"]  # by thousands of people, 246
    assert table.groupby("rank")["place"].unique().map(list).to_dict() == {
        k: [name] for k, name in enumerate(order, start=1)
    }
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
    (told,) = run(*asked, "--force", "--max-moon-deg", 0, "--json").records
    below = table["moon_elevation_deg"] <= 0.0
    assert (told["passes"], told["without_any_frame"]) == (below.sum(), len(SITES))
    assert list(pd.read_csv(out)["time_utc"]) == list(table["time_utc"][below])
    assert 0 < below.sum() < len(table)


# The places that are wanted


NIGHT = datetime(2016, 5, 2, tzinfo=UTC)
ALTITUDE_KM = 410.0
# Places that passes come near, 8 degrees and more apart; what the archive shows of each: quality,
# degrees of latitude from the nadir to the place, days before the start, verdict; what a plan says
# of them, and the number of the frame that it calls best
SHOWN = {
    "no frame": (-60.0, 12.0, [], "no_frame", None),
    "just good": (-44.0, 28.0, [(0.5, 1.0, 400.0, "accepted")], "", None),
    "poor": (-36.0, -10.0, [(0.49, 1.0, 9.0, "accepted"), (0.3, 1.0, 9.0, "accepted")],
             "quality", 0),
    "flat": (-28.0, 36.0, [(0.8, 5.0, 9.0, "accepted"), (0.7, 4.0, 9.0, "accepted")],
             "off_nadir", 0),
    "old": (-20.0, -20.0, [(0.8, 0.0, 401.0, "accepted")], "age", 0),
    "two lacks": (0.0, -30.0, [(0.2, 5.0, 9.0, "accepted")], "quality,off_nadir", 0),
    # The frame that lacks least comes before the one of best quality
    "fewest lacks": (16.0, -40.0, [(0.9, 5.0, 900.0, "accepted"), (0.1, 1.0, 9.0, "accepted")],
                     "quality", 1),
    "not accepted": (24.0, 5.0, [(0.9, 0.0, 9.0, "rejected")], "no_frame", None),
    "unjudged": (32.0, 15.0, [(None, 1.0, 9.0, "accepted")], "quality", 0),
}  # fmt: skip
NEEDS = {name: need for name, (*_, need, _) in SHOWN.items() if need}


def write_catalogue(path: Path) -> None:
    rows = [
        {
            "frame": f"{name}-{k}",
            "time_utc": f"{NIGHT - timedelta(days=days):%Y-%m-%dT%H:%M:%S.000Z}",
            "quality": quality,
            "verdict": verdict,
            "nadir_lon": lon,
            "nadir_lat": lat - north,
            "altitude_km": ALTITUDE_KM,
            "geometry": GEOMETRY_HEADER
            + shapely.to_wkb(
                shapely.MultiPolygon([shapely.box(lon - 1, lat - 1, lon + 1, lat + 1)])
            ),
        }
        for name, (lon, lat, frames, *_) in SHOWN.items()
        for k, (quality, north, days, verdict) in enumerate(frames)
    ]
    rows.append(rows[0] | {"frame": "not placed", "quality": 1.0, "geometry": None})
    told = {"version": FORMAT_VERSION, "area_seen_km2": {}}
    with closing(sqlite3.connect(path)) as base, base:
        base.executescript(GEOPACKAGE)
        values = (1, "dataset", FORMAT, "application/json", json.dumps(told))
        base.execute("INSERT INTO gpkg_metadata VALUES (?, ?, ?, ?, ?)", values)
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        base.executemany(f"INSERT INTO frames ({names}) VALUES ({marks})", rows)


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Said]:
    """Plans of three days, all passes by day and night."""
    tle, sites, frames = (tmp_path / name for name in ("iss.txt", "sites.csv", "c.gpkg"))
    tle.write_text(Elements().text())
    # The first are the least urgent, so that the order is told by priorities
    rows = [
        f"{name},{lon},{lat},{10 + k}" for k, (name, (lon, lat, *_)) in enumerate(SHOWN.items())
    ]
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
    every = pd.read_csv(tmp_path / "plan.csv")
    assert plan("plan.geojson", "--good-age-days", 400).code == 0
    layer = json.loads((tmp_path / "plan.geojson").read_text())["features"]
    for feature, row in zip(layer, every.to_dict("records"), strict=True):
        assert feature["geometry"]["coordinates"] == [row["place_lon"], row["place_lat"]]
        assert feature["properties"]["time_utc"] == row["time_utc"]
    table = every.drop_duplicates("place")
    assert dict(zip(table["place"], table["need"], strict=True)) == NEEDS
    weight = {name: 10.0 + k for k, name in enumerate(SHOWN)}
    priority = {n: weight[n] * (1.0 if SHOWN[n][4] is None else 0.5) for n in NEEDS}
    assert dict(zip(table["place"], table["priority"], strict=True)) == priority
    # Of equals, the one that the list has first; dictionaries keep that order
    assert list(table["place"]) == sorted(priority, key=lambda name: -priority[name])
    assert list(table["rank"]) == list(range(1, len(NEEDS) + 1))
    for row in table.to_dict("records"):
        _, _, frames, _, best = SHOWN[row["place"]]
        if best is None:
            assert pd.isna(row["best_frame"])
            continue
        quality, north, days, _ = frames[best]
        assert row["best_frame"] == f"{row['place']}-{best}"
        assert row["best_quality"] == pytest.approx(quality, nan_ok=True) or quality is None
        # 410 km high, so many degrees of 111 km away, on a ball
        down_km = 410.0 + 6371.0 * (1.0 - np.cos(np.radians(north)))
        angle_deg = np.degrees(np.arctan2(6371.0 * np.sin(np.radians(north)), down_km))
        assert row["best_off_nadir_deg"] == pytest.approx(angle_deg, abs=0.2)
        time = NIGHT - timedelta(days=days)
        assert row["best_time_utc"] == f"{time:%Y-%m-%dT%H:%M}:00.0Z"
    # What is good is what was asked for; photos do not age unless asked
    for words, named in (
        ((), set(NEEDS) - {"old"}),
        (("--good-quality", 0.49), set(NEEDS) - {"old", "poor"}),
        (("--good-off-nadir-deg", 60), set(NEEDS) - {"old", "flat", "fewest lacks"}),
        (("--good-age-days", 399), set(NEEDS) | {"just good"}),
    ):
        assert plan("plan.csv", "--force", *words).code == 0
        assert set(pd.read_csv(tmp_path / "plan.csv")["place"]) == named, words


def listed(path: Path, text: str) -> pd.DataFrame:
    path.write_text(text, encoding="utf-8")
    return read_listed_targets(path)


def test_lists_are_read_under_the_names_that_columns_have(tmp_path: Path) -> None:
    header = ["City", "Long", "LATITUDE", "People", "Priority", "note", "Country"]
    rows = [["Suva", "179.5", "-16.8", "77366", "", "x", "FJ"], ["Õ", "200", "90", "", "0", "", ""]]
    rows += [["", "", "", "", "", "", ""], [" Bare ", "-180", "-90"], ["Edge", "360", "0"]]
    rows += [["Most", "0", "0", "1e10", "1e12"]]
    text = "\n".join(";".join(row) for row in [header, *rows])
    table = listed(tmp_path / "sites.csv", f"sep=;\n# my places, all of them\n\n{text}\n# end\n")
    assert list(table["name"]) == ["Suva", "Õ", "Bare", "Edge", "Most"]
    assert list(table["lon"]) == [179.5, -160.0, -180.0, 0.0, 0.0]
    assert list(table["lat"]) == [-16.8, 90.0, -90.0, 0.0, 0.0]
    # Priority as given, else thousands of people, else 1
    assert list(table["weight"]) == [77.366, 0.0, 1.0, 1.0, 1e12]
    assert table["population"].fillna(-1.0).tolist() == [77366.0, -1.0, -1.0, -1.0, 1e10]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,lat\nA,2\n", "is not a list of places"),
        ("name,lon,lat,Longitude\nA,1,2,3\n", "'lon', or 'Longitude', is given twice"),
        # A row that is no place is named by its line
        ("name,lon,lat\nB,1,2\nA,360.5,0\n", "line 3: lon '360.5' is not a number from -180"),
        ("name,lon,lat,priority\nB,1,2,\nA,0,0,-0.5\n", "line 3: priority '-0.5' is not"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        listed(tmp_path / "sites.csv", text)


def test_cities_are_all_with_so_many_people_the_largest_first() -> None:
    everywhere = [one.population for one in place_index()]
    people = min(size for size in everywhere if size >= 500_000)
    at = list_city_targets(people)
    assert len(at) == sum(size >= people for size in everywhere) > 900
    assert at["population"].is_monotonic_decreasing
    np.testing.assert_allclose(at["weight"], at["population"] / 1000.0)
    london = at[at["name"] == "London"].iloc[0]
    assert (london["lon"], london["lat"]) == pytest.approx((-0.1257, 51.5085), abs=0.01)
