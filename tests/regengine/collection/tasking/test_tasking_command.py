"""``regengine catalogue tasking``: plans that pandas and GeoPandas open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from regengine.commands import app
from tests.tle_lines import Elements

START = "2016-05-02T00:00:00Z"  # half a day after the element set's epoch


@pytest.fixture
def tle(tmp_path: Path) -> Path:
    path = tmp_path / "iss.txt"
    path.write_text(Elements().text())
    return path


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    path = tmp_path / "sites.csv"
    path.write_text(
        "name,lon,lat,priority\nQuito,-78.5,-0.2,1\nMadrid,-3.7,40.4,9\nPole,0,-89,99\n"
        "Oslo,10.75,59.9,7\n"
        '"=1+1\n🌃 ""x""",2.35,48.86,5\n'
    )
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["catalogue", "tasking", *(str(word) for word in words)])


def plan(tle: Path, sites: Path, out: Path, *words: object) -> pd.DataFrame:
    result = run("--tle", tle, "--places", sites, "--start", START, "--out", out, *words)
    assert result.exit_code == 0, result.output
    return pd.read_csv(out)


def test_a_plan_holds_what_was_asked(tle: Path, sites: Path, tmp_path: Path) -> None:
    table = plan(tle, sites, tmp_path / "plan.csv", "--days", 10, "--max-off-nadir-deg", 50)
    assert table["priority"].is_monotonic_decreasing
    assert {"Quito", "Madrid"} <= set(table["place"])
    assert not {"Pole", "Oslo"} & set(table["place"])  # no pass comes near; May has no night there
    assert dict(zip(table["place"], table["rank"], strict=True))["Madrid"] == 2
    assert (table["sun_elevation_deg"] <= -12.0).all()
    assert (table["off_nadir_deg"] <= 50.0).all()
    assert table.groupby("place").size().max() == 3
    assert (table["need"] == "no_frame").all()
    # The station always flies eastward, and places lie across its way
    north = table["place_lat"] > table["nadir_lat"]
    assert (table["side"] == north.map({True: "left", False: "right"})).all()
    assert set(table["side"]) == {"left", "right"}
    times = pd.to_datetime(table["time_utc"])
    assert times.min() >= pd.Timestamp(START)
    assert times.max() < pd.Timestamp(START) + pd.Timedelta(days=10)
    age_h = (times - pd.to_datetime(table["tle_epoch_utc"])).dt.total_seconds() / 3600.0
    assert (age_h - table["tle_age_h"]).abs().max() < 0.01


def test_uncertainty_grows_with_the_age_of_the_elements(
    tle: Path, sites: Path, tmp_path: Path
) -> None:
    table = plan(tle, sites, tmp_path / "plan.csv", "--days", 12, "--passes", 99)
    table = table.sort_values("tle_age_h")
    assert table["sigma_time_s"].is_monotonic_increasing
    assert table["sigma_time_s"].iloc[0] < 10.0
    assert table["sigma_time_s"].iloc[-1] > 100.0
    assert (table["sigma_ground_km"] > 0.15).all()


def test_the_best_passes_of_a_place_are_kept(tle: Path, sites: Path, tmp_path: Path) -> None:
    all_of_them = plan(tle, sites, tmp_path / "all.csv", "--passes", 99)
    two = plan(tle, sites, tmp_path / "two.csv", "--passes", 2)
    for place, passes in two.groupby("place"):
        best = all_of_them[all_of_them["place"] == place].nsmallest(2, "off_nadir_deg")
        assert set(passes["time_utc"]) == set(best["time_utc"])
        assert passes["time_utc"].is_monotonic_increasing


def test_the_moon_may_be_asked_to_stay_away(tle: Path, sites: Path, tmp_path: Path) -> None:
    words = ("--days", 10, "--passes", 99)
    usual = plan(tle, sites, tmp_path / "usual.csv", *words)
    dark = plan(tle, sites, tmp_path / "dark.csv", *words, "--max-moon-deg", 0)
    assert usual["moon_elevation_deg"].max() > 0.0 >= dark["moon_elevation_deg"].max()
    assert len(dark) == (usual["moon_elevation_deg"] <= 0.0).sum()


def test_geojson_opens_in_geopandas(tle: Path, sites: Path, tmp_path: Path) -> None:
    import geopandas as gpd

    table = plan(tle, sites, tmp_path / "plan.csv")
    out = tmp_path / "plan.geojson"
    result = run("--tle", tle, "--places", sites, "--start", START, "--out", out)
    assert result.exit_code == 0, result.output
    layer = gpd.read_file(out)
    assert len(layer) == len(table)
    assert str(layer.crs) == "EPSG:4326"
    assert list(layer.geometry.x.round(5)) == list(table["place_lon"])
    assert list(layer["off_nadir_deg"]) == list(table["off_nadir_deg"])


def test_hostile_names_are_cells_and_nothing_more(tle: Path, sites: Path, tmp_path: Path) -> None:
    table = plan(tle, sites, tmp_path / "plan.csv", "--days", 10)
    assert '\'=1+1\\u000a🌃 "x"' in set(table["place"])


def test_cities_of_geonames_are_the_usual_places(tle: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    result = run(
        *("--tle", tle, "--min-population", 9_000_000, "--start", START, "--out", out),
        *("--json", "--quiet"),
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    table = pd.read_csv(out)
    assert said["passes"] == len(table)
    assert said["with_passes"] == table["place"].nunique()
    assert said["places"] == said["wanted"] == said["without_any_frame"]
    assert (table["population"] >= 9_000_000).all()


def test_stale_elements_are_refused(tle: Path, sites: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    late = datetime(2016, 6, 1, tzinfo=UTC).isoformat()
    result = run("--tle", tle, "--places", sites, "--start", late, "--out", out)
    assert result.exit_code == 3
    assert "give a newer one" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not out.exists()
    allowed = run(
        "--tle", tle, "--places", sites, "--start", late, "--out", out, "--max-sigma-s", 5000
    )
    assert allowed.exit_code == 0


def test_passes_that_are_too_uncertain_are_told(tle: Path, sites: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    result = run("--tle", tle, "--places", sites, "--start", START, "--days", 20, "--out", out)
    assert result.exit_code == 0
    assert "too old to tell their time" in result.stderr
    assert pd.read_csv(out)["sigma_time_s"].max() <= 180.0


def test_a_file_that_exists_is_kept(tle: Path, sites: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    out.write_text("mine")
    words = ("--tle", tle, "--places", sites, "--start", START, "--out", out)
    result = run(*words)
    assert result.exit_code == 2
    assert out.read_text() == "mine"
    assert run(*words, "--force").exit_code == 0
    assert out.read_text() != "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iss.txt", "plan.csv", "sites.csv"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--out", "plan.xlsx"), 2, "ends in .csv"),
        (("--out", "no/folder/plan.csv"), 2, "cannot be written"),
        (("--out", "plan.csv", "--start", "soon"), 2, "no time"),
        (("--out", "plan.csv", "--places", "none.csv"), 2, "cannot be read"),
        (("none.parquet", "--out", "plan.csv"), 3, "is no file"),
        (("--out", "plan.csv", "--start", "2019-01-01"), 3, "element set"),
    ],
)
def test_mistakes_are_one_sentence(
    tle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--tle", tle, *(() if "--start" in words else ("--start", START)), *words)
    assert result.exit_code == code, result.output
    assert told in result.stderr
    assert result.stderr.startswith("Error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["iss.txt"]
