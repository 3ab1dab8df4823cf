"""The catalogue of many stores, packages of its frames, plans, and the brightness of lights."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image
from pyproj import Geod
from shapely import Point

import regengine
from regengine.orbit import load_tle_file
from tests.conftest import ROOT
from tests.world.exports import seen_by
from tests.world.program import Said, run
from tests.world.radiometry import (
    MAP,
    RadiometryScene,
    SceneWish,
    draw_radiometry_scene,
    write_trial,
)
from tests.world.results import nadir_camera, nothing_found, proposal, solved
from tests.world.shared import make_once
from tests.world.stores import HOSTILE, write_store

NEXT_YEARS = range(32, 40)  # frames of places that were photographed once before


def build_catalogue(store: Path, folder: Path) -> None:
    shutil.copytree(store.parent, folder / "run")
    with h5py.File(folder / "run" / "run.h5", "r+") as file:
        for k in NEXT_YEARS:
            file["frames/time_utc"][k] = f"20{k - 18}-05-01T20:00:00Z"
    said = run("catalogue", "build", folder / "run" / "run.h5", "--out", folder / "c.parquet")
    assert said.code == 0, said.err


@pytest.fixture(scope="session")
def catalogue(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of the 40 hand-made frames, some of them taken in other years."""
    folder = make_once(tmp_path_factory, "catalogue", lambda made: build_catalogue(store, made))
    return folder / "c.parquet"


@pytest.fixture
def archive(catalogue: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue and its photos that a test may damage."""
    folder = Path(shutil.copytree(catalogue.parent, tmp_path / "archive"))
    store, out = folder / "run" / "run.h5", folder / "c.parquet"
    said = run("catalogue", "build", store, "--out", out, "--force", "--no-pictures")
    assert said.code == 0, said.err
    return out


def ask(*words: object) -> list[dict[str, Any]]:
    said = run("catalogue", *words, "--format", "json")
    assert said.code == 0, said.err
    return said.records


def test_each_photo_is_a_row_of_documented_columns(catalogue: Path) -> None:
    table = pd.read_parquet(catalogue)
    page = (ROOT / "docs" / "catalogue.md").read_text("utf-8")
    told = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(told)) == list(table.columns)
    assert len(table) == 40
    assert table["sha256"].dropna().is_unique
    placed = table.dropna(subset=["place_id"])
    assert placed["place_id"].is_monotonic_increasing
    for _, frames in placed.groupby("place_id"):
        assert frames["time_utc"].is_monotonic_increasing
    assert table["place_id"].isna().iloc[len(placed) :].all()


def test_a_footprint_holds_what_the_photo_shows(catalogue: Path) -> None:
    table = gpd.read_parquet(catalogue)
    shown = table[table["verdict"].isin(["accepted", "review"]) & table["centre_lon"].notna()]
    plain = shown[(shown["west"] < shown["east"]) & (shown["north"].abs() < 85)]
    assert len(plain) > 12
    geod = Geod(ellps="WGS84")
    for row in plain.itertuples():
        assert row.geometry.contains(Point(row.centre_lon, row.centre_lat))
        area_km2 = abs(geod.geometry_area_perimeter(row.geometry)[0]) / 1e6
        assert row.area_km2 == pytest.approx(area_km2, rel=0.05)
    across = shown[shown["west"] > shown["east"]]
    assert len(across) >= 2
    assert (across.geometry.bounds["maxx"] <= 180.0).all()


def test_places_and_their_best_frames_are_those_of_chosen_rows(catalogue: Path) -> None:
    words = ("--verdict", "accepted", "--where", "off_nadir_deg < 30")
    placed = pd.read_parquet(catalogue).dropna(subset=["place_id"])
    chosen = (placed["verdict"] == "accepted") & (placed["off_nadir_deg"] < 30)
    assert 0 < chosen.sum() < len(placed)
    placed = placed[chosen]
    counts = placed["place_id"].value_counts().to_dict()
    places = ask("places", catalogue, *words, "--limit", 0)
    assert {one["place_id"]: one["frames"] for one in places} == counts
    judged = placed[(placed["verdict"] == "accepted") & placed["quality"].notna()]
    best = judged.loc[judged.groupby(["place_id", "month"])["quality"].idxmax()]
    best = best.sort_values(["place_id", "month"])
    listed = ask("best", catalogue, *words, "--limit", 0)
    assert [row["quality"] for row in listed] == pytest.approx(best["quality"].round(3).tolist())
    assert places[0] in ask("places", catalogue, *words, "--place", places[0]["place"])
    assert ask("best", catalogue, "--place", "' OR 1=1 --") == []
    assert ask("places", catalogue, "--reviewed") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("best", "--where", "1 < 2; SELECT 1"), "is not a valid condition"),
        (("best", "--where", "1 = 1) OR (1 = 1"), "is not a valid condition"),
        (("best", "--where", "frame_index IN (FROM frames SELECT 1)"), "is not a valid condition"),
        (("best", "--where", "verdict = accepted"), "text is in single quotes, 'accepted', and"),
        (("changes", "--verdict", "sure"), "--verdict sure is unknown: choose from"),
    ],
)
def test_a_question_that_makes_no_sense_is_told(
    catalogue: Path, words: tuple[str, ...], told: str
) -> None:
    said = run("catalogue", words[0], catalogue, *words[1:])
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_an_answer_goes_to_a_file_whose_name_tells_its_form(
    catalogue: Path, tmp_path: Path
) -> None:
    for form, name in (("csv", "a.csv"), ("json", "a.ndjson"), ("table", "a.txt")):
        printed = run("catalogue", "places", catalogue, "--format", form, "-o", "-")
        said = run("catalogue", "places", catalogue, "--out", tmp_path / name)
        assert (said.code, said.out) == (0, "")
        assert (tmp_path / name).read_text("utf-8") == printed.out
    again = run("catalogue", "coverage", catalogue, "--out", tmp_path / "a.csv")
    assert (again.code, "exists" in again.err) == (2, True)


def test_a_place_is_what_photos_show_by_its_largest_town(tmp_path: Path) -> None:
    """Not the suburb nearest to the middle; and the same wherever a place is asked for."""
    places = {"Osaka": (135.6, 34.48, 0.0), "Tokyo": (138.95, 35.61, 0.0)}
    places |= {"limb": (136.9, 30.0, 75.0), "sea": (-150.0, 0.0, 0.0)}
    frames = {
        name: seen_by(proposal(name), nadir_camera(lon, lat, tilt_deg=tilt))
        for name, (lon, lat, tilt) in places.items()
    }
    store, out = write_store(tmp_path / "run.h5", list(frames.values())), tmp_path / "c.parquet"
    assert run("catalogue", "build", store, "--out", out).code == 0
    table = pd.read_parquet(out).set_index("frame")
    for town in ("Osaka", "Tokyo"):
        assert (table.city[town], table.place[town]) == (town, town)
        (found,) = ask("places", out, "--place", town)
        assert (found["best_frame"], found["place"]) == (town, town)
        package = run("catalogue", "package", out, "--place", town, "--out", tmp_path / town)
        assert f"(photos/{town}.jpg is missing)" in package.err
    assert (table.place["sea"], table.country.isna()["sea"]) == ("Pacific Ocean", True)
    assert np.isnan(table.centre_lon["limb"])
    rows = csv.DictReader(io.StringIO(run("show", store, "--format", "csv").out, newline=""))
    (row,) = [one for one in rows if one["frame"] == "limb"]
    assert (row["centre_lon"], row["centre_lat"]) == ("", "")
    # ... and what is shown is told all the same, and is the same
    shown = ", ".join(table[["city", "country"]].loc["limb"].dropna())
    assert row["place"] == regengine.open_store(store)["limb"].place == shown
    # A suburb is shown as well, and goes by the name of what it belongs to
    assert [row["best_frame"] for row in ask("places", out, "--place", "Sakai")] == ["Osaka"]


def test_coverage_and_changes_are_counted_as_rows_are(catalogue: Path) -> None:
    table = pd.read_parquet(catalogue)
    accepted = table[table["verdict"] == "accepted"]
    (whole,) = ask("coverage", catalogue)
    assert (whole["frames"], whole["accepted"]) == (40, len(accepted))
    assert whole["places"] == accepted["place_id"].nunique()
    assert 0.3 * accepted["area_km2"].sum() < whole["area_seen_km2"] < accepted["area_km2"].sum()
    months = ask("coverage", catalogue, "--by", "month")
    assert sum(row["accepted"] for row in months) == len(accepted)
    pairs = ask("changes", catalogue, "--limit", 0)
    assert pairs
    assert all(pair["days"] >= 180 for pair in pairs)
    assert all(0.0 < pair["score"] <= pair["overlap"] <= 1.0 for pair in pairs)
    scores = [pair["score"] for pair in pairs]
    assert scores == sorted(scores, reverse=True)
    assert ask("changes", catalogue, "--least-days", 100_000) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{other}')",
        "FROM glob('{folder}/*')",
        "COPY frames TO '{catalogue}'",
        "SELECT 1; COPY frames TO '{folder}/out.csv'",
        "ATTACH '{folder}/base.db'",
        "SET enable_external_access = true",
        "SELECT * FROM query('COPY frames TO ''{folder}/out.csv''')",
    ],
)
def test_a_question_reads_nothing_else_and_writes_nothing(
    catalogue: Path, tmp_path: Path, sql: str
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("secret\n")
    before = hashlib.sha256(catalogue.read_bytes()).hexdigest()
    question = sql.format(other=other, folder=tmp_path, catalogue=catalogue)
    said = run("catalogue", "query", catalogue, question)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == [other]
    assert hashlib.sha256(catalogue.read_bytes()).hexdigest() == before


def test_an_answer_in_every_form_says_the_same_and_harms_nobody(catalogue: Path) -> None:
    question = ("query", catalogue, "SELECT frame, quality FROM frames ORDER BY frame")
    rows = ask(*question)
    table = run("catalogue", *question).out
    cells = list(csv.reader(io.StringIO(run("catalogue", *question, "--format", "csv").out)))
    assert len(rows) == len(table.splitlines()) - 1 == len(cells) - 1 == 40
    assert "\x1b" not in table
    assert not any(cell.startswith(("=", "+", "@")) for row in cells for cell in row)
    assert HOSTILE[0] in {row["frame"] for row in rows}


def test_what_is_no_catalogue_is_told(catalogue: Path, store: Path, tmp_path: Path) -> None:
    cut, text = tmp_path / "cut.parquet", tmp_path / "text.parquet"
    cut.write_bytes(catalogue.read_bytes()[:-40])
    text.write_text("frame,path\n")
    for path in (tmp_path / "absent.parquet", tmp_path, text, cut, store):
        said = run("catalogue", "places", path)
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1), path


def test_what_cannot_be_built_leaves_nothing(store: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "text.h5", tmp_path / "c.parquet"
    text.write_text("no store")
    for code, words in (
        (3, (store, text, "--out", out)),
        (2, (store, store, "--out", out)),
        (2, (store, "--out", tmp_path / "c.csv")),
    ):
        said = run("catalogue", "build", *words)
        assert (said.code, said.err.count("\n")) == (code, 1), said.err
    assert list(tmp_path.iterdir()) == [text]


def pack(catalogue: Path, out: Path, *words: object) -> Said:
    place = () if {"--at", "--place", "--frame"} & set(words) else ("--at", "136.9,35.7")
    return run("catalogue", "package", catalogue, "--out", out, *place, *words)


def check_sums(package: Path) -> None:
    """`sha256sum -c` finds every file, and knows of every file."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=package,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in package.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert done.stdout.count(": OK\n") == len(files)


def test_a_package_has_the_originals_and_all_that_belongs_to_them(
    catalogue: Path, tmp_path: Path
) -> None:
    out, flat = tmp_path / "package", tmp_path / "flat.fits"
    flat.write_bytes(b"flat" * 100)
    said = pack(catalogue, out, "--json", "--calibration", flat)
    assert said.code == 0, said.err
    check_sums(out)
    (packed,) = said.records
    frames, points = pd.read_csv(out / "frames.csv"), pd.read_csv(out / "points.csv")
    assert len(packed["frames"]) == len(frames) >= 2
    assert len(points) == 4 * len(frames)
    for row in frames.itertuples():
        photo = out / row.path
        assert hashlib.sha256(photo.read_bytes()).hexdigest() == row.sha256
        camera = json.loads((out / "cameras" / f"{photo.name}.json").read_text())
        assert len(camera["control_points"]) == 4
        qgis = pd.read_csv(photo.with_name(f"{photo.name}.points"), skiprows=1)
        assert list(qgis["sourceX"] - 0.5) == pytest.approx([100, 520, 540, 90])
    assert gpd.read_file(out / "footprints.geojson").contains(Point(136.9, 35.7)).all()
    assert (out / "calibration" / "flat.fits").read_bytes() == flat.read_bytes()
    readme = (out / "README.md").read_text("utf-8")
    for part in ("2012-03-28", "35.7000, 136.9000", "0.9997", "NASA Johnson Space Center"):
        assert part in readme
    assert "<script" not in readme.replace("\\<", "")
    assert str(catalogue.parent) not in readme
    assert all(path.name.isprintable() for path in out.rglob("*"))


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("--at", "-223.1,35.7"), True),
        (("--at", "138.0,35.7", "--radius-km", 105), True),
        (("--at", "138.0,35.7", "--radius-km", 90), False),
        (("--from", "2014-05", "--to", "2014"), True),
        (("--place", "Gifu, JP"), True),
    ],
)
def test_frames_of_a_package_are_those_asked_for(
    catalogue: Path, tmp_path: Path, words: tuple[object, ...], some: bool
) -> None:
    out = tmp_path / "package"
    said = pack(catalogue, out, *words, "--json", "--quiet", "--link")
    assert (said.code, out.exists()) == ((0, True) if some else (1, False))
    if some:
        photos = [path for path in (out / "photos").iterdir() if path.suffix != ".points"]
        assert photos
        assert all(path.is_symlink() for path in photos)


def test_photos_that_are_gone_or_changed_are_told_and_left_out(
    archive: Path, tmp_path: Path
) -> None:
    photos = archive.parent / "run" / "photos"
    (photos / "ISS030-E-184140.jpg").write_bytes(b"something else")
    said = pack(archive, tmp_path / "package", "--json")
    assert (said.code, len(said.records[0]["failed"])) == (1, 1)
    check_sums(tmp_path / "package")
    assert "## Selected, but not included" in (tmp_path / "package" / "README.md").read_text()
    shutil.rmtree(photos)
    said = pack(archive, tmp_path / "none")
    assert (said.code, (tmp_path / "none").exists()) == (1, False)
    assert "nothing was written" in said.err


def test_a_package_is_replaced_when_forced_and_nothing_else_ever(
    catalogue: Path, tmp_path: Path
) -> None:
    out, mine = tmp_path / "package", tmp_path / "mine"
    assert pack(catalogue, out, "--best", 1).code == 0
    before = (out / "SHA256SUMS").read_text()
    refused = pack(catalogue, out)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert (out / "SHA256SUMS").read_text() == before
    assert pack(catalogue, out, "--force").code == 0
    assert len((out / "SHA256SUMS").read_text()) > len(before)
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert pack(catalogue, mine, "--force").code == 2
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"package", "mine"}


def test_a_frame_that_a_person_placed_is_not_said_to_be_the_engines(
    archive: Path, tmp_path: Path
) -> None:
    store, points = archive.parent / "run" / "run.h5", tmp_path / "points.csv"
    (placed,) = run("show", store, "ISS030-E-184140", "--json").records
    lines = ["frame,x,y,lon,lat"]
    for point in placed["control_points"]:
        place = ",".join(str(point[name]) for name in ("x", "y", "lon", "lat"))
        lines.append(f"ISS041-E-1000,{place}")
    points.write_text("\n".join(lines))
    said = run("import", store, points, "--reviewer", "eva")
    assert said.code == 0, said.err
    run("catalogue", "build", store, "--out", archive, "--force", "--no-pictures")
    said = pack(archive, tmp_path / "package", "--frame", "ISS041-E-1000")
    assert said.code == 0, said.err
    readme = (tmp_path / "package" / "README.md").read_text()
    assert "accepted by eva" in readme
    assert "The engine had not placed it." in readme


def test_a_plan_takes_the_element_sets_of_the_package_and_none_that_are_too_old(
    tmp_path: Path,
) -> None:
    tle, sites = tmp_path / "iss.txt", tmp_path / "sites.csv"
    sites.write_text('name,lon,lat\nMadrid,-3.7,40.4\nPole,0,-89\n"=1+1\nx",2.35,48.86\n')
    used = load_tle_file(ROOT / "regengine" / "data" / "element_sets.npz").best_for(
        datetime(2016, 5, 2, tzinfo=UTC)
    )
    tle.write_text(f"{used.line1}\n{used.line2}\n")
    words = ("catalogue", "tasking", "--places", sites, "--out")
    named, found, old = (tmp_path / f"{name}.csv" for name in ("named", "found", "old"))
    start = ("--time", "2016-05-02T00:00:00Z", "--days", 10, "--max-off-nadir-deg", 60)
    assert run(*words, named, *start, "--tle", tle).code == 0
    assert run(*words, found, *start).code == 0
    assert found.read_bytes() == named.read_bytes()
    places = set(pd.read_csv(found)["place"])
    assert "Madrid" in places
    assert not any(place.startswith(("=", "Pole")) for place in places)
    said = run(*words, old, "--time", "2016-07-01T00:00:00Z", "--tle", tle)
    assert (said.code, said.err.count("\n"), old.exists()) == (3, 1, False)
    assert "give a newer one" in said.err


# The brightness of lights


@dataclass(frozen=True)
class Drawn:
    """A scene whose lights are known, and the store of its photo beside its map."""

    scene: RadiometryScene
    store: Path


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A photo with three new lights and three that are gone."""
    scene = draw_radiometry_scene(SceneWish(seed=100, width_px=480, height_px=320, reach_deg=1.5))
    return Drawn(scene, write_trial(scene, tmp_path_factory.mktemp("radiometry")))


def photographed(photo: Path, trial: Drawn, name: str) -> Any:
    """A result whose photo is a file and whose camera is the scene's."""
    camera = trial.scene.camera
    return replace(
        proposal(name),
        path=str(photo),
        sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=solved(camera),
    )


# What docs/radiometry.md says of the band
COMPARED, NOT_SEEN, PHOTO_FULL, MAP_FULL, BRIGHTER, FAINTER = range(6)


def measure(store: Path, lights: Path, out: Path, *arguments: object) -> Said:
    return run("radiometry", store, "--lights", lights, "--out", out, *arguments)


@pytest.fixture(scope="module")
def written(trial: Drawn, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    out = tmp_path_factory.mktemp("out") / "radiometry"
    result = measure(trial.store, trial.store.with_name(MAP), out, "--json", "--plot")
    assert result.code == 0, result.err
    return out, result


def test_the_raster_lies_on_the_maps_own_cells(written: tuple[Path, Said], trial: Drawn) -> None:
    out, _ = written
    lights = trial.store.with_name(MAP)
    with rasterio.open(lights) as source:
        origin, step = source.transform @ (0, 0), source.transform.a
    with rasterio.open(out / "photo.radiometry.tif") as dataset:
        assert dataset.transform.a == pytest.approx(step)
        shift = [(a - b) / step for a, b in zip(dataset.transform @ (0, 0), origin, strict=True)]
        assert np.allclose(shift, np.round(shift), atol=1e-6)
        assert dataset.units == ("1", "nW cm-2 sr-1", "sigma", "code", "1")
        light, radiance, sigma, mask, background = dataset.read()
        limit, gain = float(dataset.tags()["LIMIT_SIGMA"]), float(dataset.tags()["GAIN"])
    assert set(np.unique(mask)) <= set(range(6))
    assert np.array_equal(np.isnan(sigma), mask == NOT_SEEN)
    assert np.array_equal(mask == BRIGHTER, sigma > limit)
    assert np.array_equal(mask == FAINTER, sigma < -limit)
    plain = mask == COMPARED
    # What the bands say by themselves is the gain that is told
    bright = plain & (radiance > 10.0)
    assert np.median(light[bright] / radiance[bright]) == pytest.approx(gain, rel=0.2)
    assert np.nanmin(background) >= 0.0
    # The table counts the same cells, in the same units
    (row,) = pd.read_csv(out / "radiometry.csv").to_dict("records")
    seen = mask[mask != NOT_SEEN]
    assert row["saturated_share"] == pytest.approx((seen == PHOTO_FULL).mean(), rel=1e-6) != 0.0
    assert row["map_saturated_share"] == (seen == MAP_FULL).mean()
    assert row["cell_arcsec"] == pytest.approx(3600.0 * step)
    assert row["background_nw"] == pytest.approx(row["background"] / gain, rel=1e-5)


def test_tables_and_lines_say_the_same(written: tuple[Path, Said]) -> None:
    out, result = written
    photos, changes = (pd.read_csv(out / name) for name in ("radiometry.csv", "changes.csv"))
    page = (ROOT / "docs" / "radiometry.md").read_text(encoding="utf-8")
    assert [name for name in (*photos, *changes) if f"`{name}`" not in page] == []
    (line,) = result.records
    assert line["gain"] == pytest.approx(photos["gain"][0], rel=1e-6)
    assert [one["kind"] for one in line["changes"]] == list(changes["kind"])
    assert line["brighter"] + line["fainter"] == len(changes) >= 6
    assert np.allclose([one["lon"] for one in line["changes"]], changes["lon"], atol=1e-5)
    with Image.open(out / "photo.radiometry.png") as picture:
        assert picture.width > 800


def test_equal_runs_give_equal_tables_and_existing_files_stay(
    written: tuple[Path, Said], trial: Drawn
) -> None:
    out, _ = written
    before = {path: path.read_bytes() for path in out.iterdir()}
    again = measure(trial.store, trial.store.with_name(MAP), out)
    assert again.code == 2
    assert "--force" in again.err
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    forced = measure(trial.store, trial.store.with_name(MAP), out, "--force")
    assert forced.code == 0
    table = out / "radiometry.csv"
    assert table.read_bytes() == before[table]


def measurable(photo: Path, trial: Drawn, name: str) -> Any:
    """Such a result, with two points that are where the camera has them."""
    made = photographed(photo, trial, name)
    x, y = (50.0, 400.0), (50.0, 250.0)
    lon, lat = trial.scene.camera.pixel_to_lonlat(np.array(x), np.array(y))
    points = tuple(
        replace(made.control_points[0], lon=float(a), lat=float(b), x=u, y=v)
        for a, b, u, v in zip(lon, lat, x, y, strict=True)
    )
    return replace(made, control_points=points)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "earlier", "new", "lost"),
    [
        ("VNL_2031.tif", "photo", "vanished", "appeared"),
        ("VNL_2009.tif", "map", "appeared", "vanished"),
        ("VNL.tif", "unknown", "unknown", "unknown"),
    ],
)
def test_dates_tell_whether_a_light_came_or_went(
    trial: Drawn, tmp_path: Path, name: str, earlier: str, new: str, lost: str
) -> None:
    taken = measurable(trial.store.with_name("photo.jpg"), trial, "dated")
    taken = replace(taken, time_utc="2012-03-28T15:46:41Z")
    shutil.copy(trial.store.with_name(MAP), tmp_path / name)
    result = measure(write_store(tmp_path / "run.h5", [taken]), tmp_path / name, tmp_path / "out")
    assert result.code == 0, result.err
    assert pd.read_csv(tmp_path / "out" / "radiometry.csv")["earlier"].tolist() == [earlier]
    changes = pd.read_csv(tmp_path / "out" / "changes.csv")
    told = set(zip(changes["kind"], changes["over_time"], strict=True))
    assert {("new", new), ("lost", lost)} <= told


@pytest.mark.slow
def test_a_photo_that_is_gone_or_another_stops_no_other(trial: Drawn, tmp_path: Path) -> None:
    hostile = tmp_path / "=cmd|'\n🌃.jpg"
    shutil.copy(trial.store.with_name("photo.jpg"), hostile)
    good = measurable(hostile, trial, "=1+1")
    twin = hostile.with_suffix(".jpeg")  # of the same name but for its ending
    shutil.copy(hostile, twin)
    same = replace(good, frame="same", path=str(twin))
    gone = replace(good, frame="gone", path=str(tmp_path / "gone.jpg"))
    other = tmp_path / "other.jpg"
    other.write_bytes(b"another photo")
    changed = replace(good, frame="changed", path=str(other))
    store = write_store(tmp_path / "run.h5", [gone, changed, good, same, nothing_found()])
    out = tmp_path / "out"
    result = measure(store, trial.store.with_name(MAP), out, "--verdict", "accepted,no_match")
    assert result.code == 1
    for words in ("is missing", "has changed", "1 no solved camera"):
        assert words in result.err
    photos = pd.read_csv(out / "radiometry.csv")
    assert list(photos["frame"]) == ["'=1+1", "same"]
    assert len(set(photos["raster"])) == 2
    assert {path.name for path in out.glob("*.tif")} == set(photos["raster"].str.lstrip("'"))
    assert {path.parent for path in tmp_path.rglob("*.tif")} == {out}


def test_a_dark_photo_and_a_place_that_the_map_lacks_are_left_out(
    trial: Drawn, tmp_path: Path
) -> None:
    photo = tmp_path / "dark.png"
    camera = trial.scene.camera
    Image.new("RGB", (camera.width_px, camera.height_px)).save(photo)
    dark = photographed(photo, trial, "dark")
    away = replace(dark, frame="away", solved=proposal().solved)
    lights = trial.store.with_name(MAP)
    for made, code, words in ((away, 0, "outside the map"), (dark, 1, "no light where the map")):
        store, out = tmp_path / f"{made.frame}.h5", tmp_path / made.frame
        said = measure(write_store(store, [made]), lights, out)
        assert said.code == code
        assert words in said.err
    assert (tmp_path / "away" / "radiometry.csv").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--map-sigma-m", "nan"), 2), (("--lights", "nowhere.tif"), 3), (("--out", "mine"), 2)],
)
def test_what_makes_no_sense_is_told_and_nothing_is_written(
    trial: Drawn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text("a file")
    said = measure(trial.store, trial.store.with_name(MAP), Path("out"), *words)
    assert (said.code, said.err.count("\n")) == (code, 1)
    assert words[1] in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert Path("mine").read_text() == "a file"
