"""Catalogues of frames whose places are known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import geopandas as gpd
import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from regengine.collection.catalogue import arrange
from regengine.collection.catalogue import quality as pictures
from regengine.collection.catalogue.build import write_raw
from regengine.errors import FrameError
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.collection.catalogue.archive import ask, rows_of, taken, try_ask
from tests.regengine.exchange.export.exported import (
    decide,
    engine_points,
    photographed,
    work,
    write_store,
)

TOKYO, PARIS = (139.69, 35.69), (2.35, 48.85)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of two stores: two cities, the date line, the sea, sky, and what is not sure."""
    tmp_path = tmp_path_factory.mktemp("archive")
    first = [
        taken("tokyo1", *TOKYO),
        taken("tokyo2", TOKYO[0] + 0.05, TOKYO[1], time_utc="2012-03-29T15:00:00Z", focal_px=9e3),
        taken("tokyo3", TOKYO[0], TOKYO[1] + 0.05, time_utc="2014-05-01T15:00:00Z"),
        taken("paris", *PARIS, time_utc="2012-03-28T23:30:00Z"),
        nothing_found("stars"),
    ]
    second = [
        taken("east", 179.98, -17.0, time_utc="2012-03-28T12:30:00Z"),
        taken("west", -179.98, -17.0, time_utc="2012-03-28T11:30:00Z"),
        taken("sea", -120.0, -40.0),
        taken("unsure", TOKYO[0] + 0.01, TOKYO[1], verdict="review", focal_px=20e3),
        taken("lost", 60.0, 10.0, verdict="review"),
        replace(first[1], verdict="review", path="elsewhere/tokyo2.jpg"),
    ]
    stores = [write_store(tmp_path / f"{k}.h5", one) for k, one in enumerate((first, second))]
    out = tmp_path / "c.parquet"
    told = ask("build", *stores, "--out", out, "--json").stdout
    assert json.loads(told) == {
        "out": str(out),
        "frames": 10,
        "copies": 1,
        "places": 4,
        "nights": 4,
    }
    return out


def test_how_many_are_worked_out_at_once_changes_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = sorted(archive.parent.glob("*.h5"))
    for frames in (1, 3):
        monkeypatch.setattr("regengine.collection.catalogue.build.BLOCK_FRAMES", frames)
        out = tmp_path / f"{frames}.parquet"
        ask("build", *stores, "--out", out)
        assert rows_of(out) == rows_of(archive)


def test_frames_of_one_place_have_one_number_and_its_city(archive: Path) -> None:
    rows = rows_of(archive)
    groups: dict[object, set[str]] = {}
    for frame, row in rows.items():
        groups.setdefault(row["place_id"], set()).add(frame)
    assert list(groups) == [0, 1, 2, 3, None]
    assert groups[0] == {"tokyo1", "tokyo2", "tokyo3", "unsure"}
    assert groups[1] == {"east", "west"}
    assert groups[None] == {
        "stars",
        "lost",
    }  # where a doubtful proposal alone has been, no place is
    assert rows["tokyo1"]["place"] == rows["tokyo1"]["city"] == "Tokyo"
    assert rows["paris"]["place_country"] == "France"
    assert (rows["sea"]["place"], rows["sea"]["place_country"]) == ("40.0 S 120.0 W", None)
    assert abs(abs(rows["east"]["place_lon"]) - 180.0) < 1e-6
    assert rows["tokyo1"]["place_lon"] == pytest.approx(TOKYO[0] + 0.05 / 3, abs=0.001)


def test_rows_run_by_place_and_time(archive: Path) -> None:
    rows = rows_of(archive)
    assert list(rows)[:4] == ["tokyo1", "unsure", "tokyo2", "tokyo3"]
    assert (rows["west"]["night"], rows["tokyo3"]["month"]) == (date(2012, 3, 27), "2014-05")


def test_each_photo_is_there_once(archive: Path) -> None:
    row = rows_of(archive)["tokyo2"]
    assert (row["copies"], row["verdict"], row["path"]) == (2, "accepted", "photos/tokyo2.jpg")
    assert row["store"].endswith("0.h5")


def test_the_best_of_a_place_and_month_is_the_one_that_shows_most(archive: Path) -> None:
    rows = rows_of(archive)
    best = {frame for frame, row in rows.items() if row["best_of_month"]}
    # tokyo2 has six times tokyo1's focal length; what is not accepted is never the best
    assert best == {"tokyo2", "tokyo3", "paris", "west", "sea"} or best == {
        "tokyo2", "tokyo3", "paris", "east", "sea",
    }  # fmt: skip
    assert {frame for frame, row in rows.items() if row["best_of_year"]} == best
    assert rows["unsure"]["quality"] > rows["tokyo2"]["quality"] > rows["tokyo1"]["quality"]


def test_geometry_is_that_of_the_camera(archive: Path) -> None:
    row = rows_of(archive)["tokyo1"]
    camera = nadir_camera(*TOKYO)
    lon, _ = camera.pixel_to_lonlat([-0.5, 639.5], [212.5, 212.5])
    width_m = math.radians(float(lon[1] - lon[0])) * 6378e3 * math.cos(math.radians(TOKYO[1]))
    assert row["resolution_m"] == pytest.approx(width_m / 640, rel=0.01)
    assert (row["centre_lon"], row["centre_lat"]) == pytest.approx(TOKYO, abs=1e-6)
    assert (row["nadir_lon"], row["nadir_lat"]) == pytest.approx(TOKYO, abs=1e-6)
    assert row["altitude_km"] == pytest.approx(391.2)
    corners = camera.pixel_to_lonlat([0.0, 639.0], [425.0, 0.0])
    box = (row["west"], row["east"], row["south"], row["north"])
    assert box == pytest.approx((*corners[0], *corners[1]), abs=0.02)
    assert row["area_km2"] == pytest.approx((640 * 426) * row["resolution_m"] ** 2 / 1e6, rel=0.02)
    across = rows_of(archive)["east"]
    assert across["west"] > 178.0
    assert across["east"] < -178.0


def test_other_programs_agree(archive: Path) -> None:
    ground = gpd.read_parquet(archive)
    table = pd.read_parquet(archive)
    counted = duckdb.sql(
        f"SELECT place, count(*) FROM read_parquet('{archive}') WHERE place_id IS NOT NULL "
        "GROUP BY place, place_id ORDER BY place_id"
    ).fetchall()
    assert [count for _, count in counted] == [4, 2, 1, 1]
    assert ground.geometry.dropna().is_valid.all()
    assert ground.crs.to_string() == "OGC:CRS84"
    seen = ground[ground.frame == "paris"].iloc[0]
    assert seen.geometry.bounds == pytest.approx(
        (seen.west, seen.south, seen.east, seen.north), abs=0.02
    )
    metres = gpd.GeoSeries([seen.geometry], crs=4326).to_crs(3035).area[0] / 1e6
    assert metres == pytest.approx(seen.area_km2, rel=0.02)
    assert table.place_id.tolist()[:8] == [0, 0, 0, 0, 1, 1, 2, 3]
    assert str(table.time_utc.dtype) == "datetime64[us, UTC]"
    kinds = f"SELECT DISTINCT typeof(night) FROM read_parquet('{archive}')"
    assert duckdb.sql(kinds).fetchall() == [("DATE",)]


def test_what_a_person_decided_counts(tmp_path: Path) -> None:
    results = [taken("a", *TOKYO), taken("b", *TOKYO, verdict="review"), nothing_found("c")]
    store = write_store(tmp_path / "run.h5", results)
    again = write_store(tmp_path / "again.h5", results[:1])
    paris = nadir_camera(*PARIS)
    decide(store, 0, results[0], "rejected", work(None, []), "eva")
    decide(store, 1, results[1], "accepted", work(results[1].solved.camera, []), "eva")
    decide(store, 2, results[2], "accepted", work(paris, engine_points(proposal())), "=eva")
    out = tmp_path / "c.parquet"
    ask("build", store, again, "--out", out, "--quiet")
    rows = rows_of(out)
    assert (rows["a"]["decision"], rows["a"]["copies"]) == ("rejected", 2)
    for name in ("centre_lon", "nadir_lon", "place_id", "quality", "geometry", "resolution_m"):
        assert rows["a"][name] is None
    assert (rows["b"]["verdict"], rows["b"]["place"], rows["b"]["rating"]) == (
        "accepted",
        "Tokyo",
        4,
    )
    assert rows["b"]["best_of_month"]
    assert (rows["c"]["verdict"], rows["c"]["place"]) == ("accepted", "Paris")


def test_what_is_unknown_is_missing(archive: Path) -> None:
    row = rows_of(archive)["stars"]
    known = {name for name, value in row.items() if value is not None}
    assert known == {
        "frame", "sha256", "store", "frame_index", "path", "copies", "verdict", "width_px",
        "height_px", "best_of_month", "best_of_year",
    }  # fmt: skip


def test_a_camera_that_makes_no_sense_stops_nothing(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [taken("odd", *PARIS), taken("fine", *PARIS)])
    with h5py.File(store, "r+") as file:
        file["frames/quaternion"][0] = 0.0
    out = tmp_path / "c.parquet"
    ask("build", store, "--out", out)
    rows = rows_of(out)
    assert rows["odd"]["place_id"] is None
    assert rows["fine"]["place"] == "Paris"


def test_photos_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, gone = photographed(taken("here", *PARIS), tmp_path / "here.jpg"), taken("gone", *PARIS)
    changed = replace(here, frame="changed", sha256="0" * 64)
    store = write_store(tmp_path / "run.h5", [here, gone, changed])
    out = tmp_path / "c.parquet"
    ask("build", store, "--out", out)
    rows = rows_of(out)
    assert rows["here"]["sharpness"] > 0.0
    assert [rows[name]["sharpness"] for name in ("gone", "changed")] == [None, None]
    ask("build", store, "--out", out, "--force", "--no-pictures")
    assert rows_of(out)["here"]["sharpness"] is None

    def torn(path: Path) -> np.ndarray:
        raise FrameError(f"{path} is cut short.")

    monkeypatch.setattr("regengine.scene.quality.read_for_quality", torn)
    ask("build", store, "--out", out, "--force")
    assert rows_of(out)["here"]["sharpness"] is None
    assert pictures.NOTHING_SEEN.cloud is None


def test_row_groups_hold_all_rows_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrange, "ROWS", 2048)
    raw, out = tmp_path / "raw 'q.parquet", tmp_path / "c 'q.parquet"
    places = [(10.0 * (k % 4), 40.0 - (k % 4 == 3)) for k in range(5000)]
    rows = [
        {"frame": f"f{k}", "verdict": "accepted", "centre_lon": lon, "centre_lat": lat}
        for k, (lon, lat) in enumerate(places)
    ]
    assert write_raw(raw, rows) == 5000
    assert arrange.arrange(raw, out).places == 4
    with pq.ParquetFile(out) as file:
        groups = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
        numbers = file.read(columns=["place_id"]).column(0).to_pylist()
    assert sum(groups) == 5000
    assert len(groups) == 3
    assert numbers == sorted([0, 1, 2, 3] * 1250)


def test_too_little_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrange, "MEMORY", "1MB")
    store = write_store(tmp_path / "run.h5", [taken("a", *PARIS)])
    result = try_ask("build", store, "--out", tmp_path / "c.parquet")
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_stores_come_without_the_word_build(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [taken("a", *PARIS)])
    ask(store, "--out", tmp_path / "one.parquet")
    ask("--out", tmp_path / "two.parquet", store)
    assert rows_of(tmp_path / "one.parquet") == rows_of(tmp_path / "two.parquet")
    misspelt = try_ask("palces", tmp_path / "one.parquet")
    assert misspelt.exit_code == 2
    assert "'places'" in misspelt.stderr


def test_bad_inputs_are_one_sentence_and_leave_nothing(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [taken("a", *PARIS)])
    text = tmp_path / "text.h5"
    text.write_text("no store")
    out = tmp_path / "c.parquet"
    for code, words in (
        (3, ("build", tmp_path / "absent.h5", "--out", out)),
        (3, ("build", store, text, "--out", out)),
        (2, ("build", store, store, "--out", out)),
        (2, ("build", store, "--out", tmp_path / "c.csv")),
        (2, ("build", store, "--out", tmp_path / "no" / "c.parquet")),
    ):
        result = try_ask(*words)
        assert (result.exit_code, result.stderr.count("\n")) == (code, 1), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.h5", "text.h5"]
    ask("build", store, "--out", out)
    before = out.read_bytes()
    again = try_ask("build", store, "--out", out)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert out.read_bytes() == before
    text.write_bytes(store.read_bytes()[:-200])
    assert try_ask("build", store, text, "--out", out, "--force").exit_code == 3
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.parquet", "run.h5", "text.h5"]
