"""Which places a plan is for: those of a list, less those of which an archive has a good frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from pyarrow import parquet
from pyproj import Transformer

from regengine.collection.catalogue.table import FORMAT, FORMAT_VERSION
from regengine.collection.tasking.targets import list_city_targets, read_listed_targets
from regengine.errors import ConfigError
from regengine.places import PlaceTable
from tests.world.elements import Elements
from tests.world.program import Said, run

TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
START = datetime(2016, 5, 2, tzinfo=UTC)
ALTITUDE_KM = 410.0
# Places that passes come near, 8 degrees and more apart; what the archive shows of each: quality,
# degrees of latitude from the nadir to the place, days before the start, verdict
SITES = {
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
    rows = []
    for name, (lon, lat, frames) in SITES.items():
        for k, (quality, north, days, verdict) in enumerate(frames):
            around = shapely.MultiPolygon([shapely.box(lon - 1, lat - 1, lon + 1, lat + 1)])
            rows.append(
                {
                    "frame": f"{name}-{k}",
                    "time_utc": START
                    + timedelta(days=-days, microseconds=FRACTIONS_US.get(name, (0, ""))[0]),
                    "quality": quality,
                    "verdict": verdict,
                    "nadir_lon": lon,
                    "nadir_lat": lat - north,
                    "altitude_km": ALTITUDE_KM,
                    "geometry": shapely.to_wkb(around),
                }
            )
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
    rows = [f"{name},{lon},{lat},{10 + k}" for k, (name, (lon, lat, _)) in enumerate(SITES.items())]
    sites.write_text("\n".join(["name,lon,lat,priority", *rows]))
    write_catalogue(frames)
    given = ("--tle", tle, "--places", sites, "--time", START.isoformat())
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
    weight = {name: 10.0 + k for k, name in enumerate(SITES)}
    priority = {name: weight[name] * (0.5 if name in BEST else 1.0) for name in NEEDS}
    assert dict(zip(table["place"], table["priority"], strict=True)) == priority
    # Of equals, the one that the list has first; dictionaries keep that order
    assert list(table["place"]) == sorted(priority, key=lambda name: -priority[name])
    assert list(table["rank"]) == list(range(1, len(NEEDS) + 1))
    for row in table.to_dict("records"):
        lon, lat, frames = SITES[row["place"]]
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
        time = START - timedelta(days=days)
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
    given = ("--tle", tle, "--places", sites, "--time", START.isoformat(), "--max-sun-deg", 90)
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
    people = [77366.0, None, None, None, 1e10]
    assert table["population"].astype(object).where(table["population"].notna(), None).tolist() == (
        people
    )


def test_of_several_columns_of_names_the_one_called_so_counts(tmp_path: Path) -> None:
    table = listed(tmp_path / "sites.csv", "city,name,lon,lat\nParis,Eiffel tower,2.29,48.86\n")
    assert list(table["name"]) == ["Eiffel tower"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("A,-180.5,0,,", "lon '-180.5' is not a number from -180 to 360"),
        ("A,360.5,0,,", "lon '360.5' is not a number from -180 to 360"),
        ("A,0,90.1,,", "lat '90.1' is not a number from -90 to 90"),
        ("A,0,-90.1,,", "lat '-90.1' is not a number from -90 to 90"),
        ("A,0,north,,", "lat 'north' is not a number from -90 to 90"),
        ("A,0,0,-1,", "population '-1' is not a number from 0 to 1e+10"),
        ("A,0,0,10000000000.5,", "population '10000000000.5' is not a number from 0 to 1e+10"),
        ("A,0,0,,-0.5", "priority '-0.5' is not a number from 0 to 1e+12"),
        ("A,0,0,,1000000000000.5", "priority '1000000000000.5' is not a number from 0 to 1e+12"),
        (",0,0,,", "name, lon or lat is missing"),
        ("A,,0,,", "name, lon or lat is missing"),
        ("A,0,,,", "name, lon or lat is missing"),
    ],
)
def test_a_row_that_is_no_place_is_named_by_its_line(tmp_path: Path, row: str, told: str) -> None:
    with pytest.raises(ConfigError, match="line 3: ") as error:
        listed(tmp_path / "sites.csv", f"name,lon,lat,population,priority\nB,1,2,3,4\n{row}\n")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not a list of places"),
        ("lon,lat\n1,2\n", "is not a list of places"),
        ("name,lat\nA,2\n", "is not a list of places"),
        ("name,lon\nA,2\n", "is not a list of places"),
        ("name,lon,lat\n,,\n", "lists no place"),
        ("name,lon,lat,Longitude\nA,1,2,3\n", "'lon', or 'Longitude', is given twice"),
        ("name,name,lon,lat\nA,B,1,2\n", "'name' is given twice"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
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
