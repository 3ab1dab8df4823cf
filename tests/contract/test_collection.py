"""The catalogue of many stores, packages of its frames, plans, and the brightness of lights."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
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
from shapely import Point

import regengine
from docs.field_tables import fill_in
from regengine.orbit import load_tle_file
from tests.conftest import ROOT
from tests.world.exports import seen_by
from tests.world.program import Said, begin, run
from tests.world.radiometry import (
    MAP,
    RadiometryScene,
    SceneWish,
    draw_radiometry_scene,
    result_of,
    write_trial,
)
from tests.world.results import nadir_camera, proposal
from tests.world.shared import make_once
from tests.world.stores import HOSTILE, write_store

NEXT_YEARS = range(32, 40)  # frames of places that were photographed once before


def build_catalogue(store: Path, folder: Path) -> None:
    shutil.copytree(store.parent, folder / "run")
    with h5py.File(folder / "run" / "run.h5", "r+") as file:
        for k in NEXT_YEARS:
            file["frames/time_utc"][k] = f"20{k - 18}-05-01T20:00:00Z"
    said = run("catalogue", "build", folder / "run" / "run.h5", "--out", folder / "c.gpkg")
    assert said.code == 0, said.err


@pytest.fixture(scope="session")
def catalogue(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of the 40 hand-made frames, some of them taken in other years."""
    folder = make_once(tmp_path_factory, "catalogue", lambda made: build_catalogue(store, made))
    return folder / "c.gpkg"


@pytest.fixture
def archive(catalogue: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue and its photos that a test may damage."""
    folder = Path(shutil.copytree(catalogue.parent, tmp_path / "archive"))
    store, out = folder / "run" / "run.h5", folder / "c.gpkg"
    said = run("catalogue", "build", store, "--out", out, "--force", "--no-pictures")
    assert said.code == 0, said.err
    return out


def ask(*words: object) -> list[dict[str, Any]]:
    said = run("catalogue", *words, "--format", "json")
    assert said.code == 0, said.err
    return said.records


def test_a_reader_that_has_enough_ends_the_answer_in_silence(catalogue: Path) -> None:
    words = ("catalogue", "query", catalogue, "SELECT frame FROM frames", "--format", "csv")
    with begin(*words) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_each_photo_is_a_row_of_documented_columns(catalogue: Path) -> None:
    table = gpd.read_file(catalogue)
    page = fill_in((ROOT / "docs" / "catalogue.md").read_text("utf-8"))
    told = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(told)) == list(table.columns)
    assert len(table) == 40
    assert table["sha256"].dropna().is_unique
    placed = table.dropna(subset=["place_id"])
    assert placed["place_id"].is_monotonic_increasing
    for _, frames in placed.groupby("place_id"):
        assert frames["time_utc"].is_monotonic_increasing
    assert table["place_id"].isna().iloc[len(placed) :].all()


def test_times_compare_as_texts_in_queries_and_conditions(catalogue: Path) -> None:
    table = gpd.read_file(catalogue)
    table = table.assign(time_utc=table["time_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    for name in ("time_utc", "night"):
        known = table[name].dropna().astype(str).sort_values()
        middle = known.iloc[len(known) // 2][:10]
        where = f"{name} < '{middle}'"
        (told,) = ask("query", catalogue, f"SELECT count(*) AS n FROM frames WHERE {where}")
        assert told["n"] == (known < middle).sum(), name
        met = table[(table[name].astype(str) < middle) & (table["verdict"] == "accepted")]
        chosen = ask(
            "query", catalogue, "places", "--verdict", "accepted", "--where", where, "--limit", 0
        )
        assert sum(one["frames"] for one in chosen) == met["place_id"].notna().sum(), name


def test_places_and_their_best_frames_are_those_of_chosen_rows(catalogue: Path) -> None:
    words = ("--verdict", "accepted", "--where", "off_nadir_deg < 30")
    placed = gpd.read_file(catalogue).dropna(subset=["place_id"])
    chosen = (placed["verdict"] == "accepted") & (placed["off_nadir_deg"] < 30)
    assert 0 < chosen.sum() < len(placed)
    placed = placed[chosen]
    counts = placed["place_id"].value_counts().to_dict()
    places = ask("query", catalogue, "places", *words, "--limit", 0)
    assert {one["place_id"]: one["frames"] for one in places} == counts
    judged = placed[(placed["verdict"] == "accepted") & placed["quality"].notna()]
    best = judged.loc[judged.groupby(["place_id", "month"])["quality"].idxmax()]
    best = best.sort_values(["place_id", "month"])
    listed = ask("query", catalogue, "best", *words, "--limit", 0)
    assert [row["quality"] for row in listed] == pytest.approx(best["quality"].round(3).tolist())
    assert places[0] in ask("query", catalogue, "places", *words, "--place", places[0]["place"])
    assert ask("query", catalogue, "best", "--place", "' OR 1=1 --") == []
    assert ask("query", catalogue, "places", "--reviewed") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("best", "--where", "1 < 2; SELECT 1"), "is not a valid condition"),
        (("best", "--where", "1 = 1) OR (1 = 1"), "is not a valid condition"),
        (("best", "--where", "frame_index IN (FROM frames SELECT 1)"), "is not a valid condition"),
        (("best", "--where", "quality > (SELECT avg(quality) FROM frames)"), "a query within"),
        (("best", "--where", "avg(quality) > 0"), "is not a valid condition"),
        (("best", "--where", "'accepted'"), "it names no column"),
        (("best", "--where", "verdict = accepted"), "text is in single quotes, 'accepted', and"),
        (("changes", "--verdict", "sure"), "--verdict sure is unknown: choose from"),
    ],
)
def test_a_question_that_makes_no_sense_is_told(
    catalogue: Path, words: tuple[str, ...], told: str
) -> None:
    said = run("catalogue", "query", catalogue, *words)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_a_place_is_what_photos_show_by_its_largest_town(tmp_path: Path) -> None:
    """Not the suburb nearest to the middle; and the same wherever a place is asked for."""
    places = {"Osaka": (135.6, 34.48, 0.0), "Tokyo": (138.95, 35.61, 0.0)}
    places |= {"limb": (136.9, 30.0, 75.0), "sea": (-150.0, 0.0, 0.0)}
    frames = {
        name: seen_by(proposal(name), nadir_camera(lon, lat, tilt_deg=tilt))
        for name, (lon, lat, tilt) in places.items()
    }
    store, out = write_store(tmp_path / "run.h5", list(frames.values())), tmp_path / "c.gpkg"
    assert run("catalogue", "build", store, "--out", out).code == 0
    table = gpd.read_file(out).set_index("frame")
    for town in ("Osaka", "Tokyo"):
        assert (table.city[town], table.place[town]) == (town, town)
        (found,) = ask("query", out, "places", "--place", town)
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
    assert [row["best_frame"] for row in ask("query", out, "places", "--place", "Sakai")] == [
        "Osaka"
    ]


def test_coverage_and_changes_are_counted_as_rows_are(catalogue: Path) -> None:
    table = gpd.read_file(catalogue)
    accepted = table[table["verdict"] == "accepted"]
    (whole,) = ask("query", catalogue, "coverage")
    assert (whole["frames"], whole["accepted"]) == (40, len(accepted))
    assert whole["places"] == accepted["place_id"].nunique()
    assert 0.3 * accepted["area_km2"].sum() < whole["area_seen_km2"] < accepted["area_km2"].sum()
    months = ask("query", catalogue, "coverage", "--by", "month")
    assert sum(row["accepted"] for row in months) == len(accepted)
    pairs = ask("query", catalogue, "changes", "--limit", 0)
    assert pairs
    assert all(pair["days"] >= 180 for pair in pairs)
    assert all(0.0 < pair["score"] <= pair["overlap"] <= 1.0 for pair in pairs)
    scores = [pair["score"] for pair in pairs]
    assert scores == sorted(scores, reverse=True)
    assert ask("query", catalogue, "changes", "--least-days", 100_000) == []


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


def test_an_answer_in_every_form_says_the_same_goes_to_a_file_and_harms_nobody(
    catalogue: Path, tmp_path: Path
) -> None:
    question = ("query", catalogue, "SELECT frame, quality FROM frames ORDER BY frame")
    printed = {}
    for form, name in (("csv", "a.csv"), ("json", "a.ndjson"), ("table", "a.txt")):
        printed[form] = run("catalogue", *question, "--format", form, "-o", "-").out
        said = run("catalogue", *question, "--out", tmp_path / name)
        assert (said.code, said.out) == (0, "")
        assert (tmp_path / name).read_text("utf-8") == printed[form]
    rows, cells = ask(*question), list(csv.reader(io.StringIO(printed["csv"])))
    assert len(rows) == len(printed["table"].splitlines()) - 1 == len(cells) - 1 == 40
    assert "\x1b" not in printed["table"]
    assert not any(cell.startswith(("=", "+", "@")) for row in cells for cell in row)
    assert HOSTILE[0] in {row["frame"] for row in rows}
    again = run("catalogue", *question, "--out", tmp_path / "a.csv")
    assert (again.code, "exists" in again.err) == (2, True)


def test_what_is_no_catalogue_or_store_is_told_and_leaves_nothing(
    catalogue: Path, store: Path, tmp_path: Path
) -> None:
    cut, text, out = (tmp_path / name for name in ("cut.gpkg", "text.h5", "c.gpkg"))
    cut.write_bytes(catalogue.read_bytes()[:-40])
    text.write_text("frame,path\n")
    for code, words in (
        *((3, ("query", path, "places")) for path in (tmp_path / "absent.gpkg", text, cut, store)),
        (3, ("build", store, text, "--out", out)),
        (2, ("build", store, store, "--out", out)),
        (2, ("build", store, "--out", tmp_path / "c.csv")),
    ):
        said = run("catalogue", *words)
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), words
    assert {*tmp_path.iterdir()} == {cut, text}


def pack(catalogue: Path, out: Path, *words: object) -> Said:
    place = () if {"--place", "--where"} & set(words) else ("--place", "136.9,35.7")
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
        (("--place", "-223.1,35.7"), True),
        (("--place", "138.0,35.7", "--radius-km", 105), True),
        (("--place", "138.0,35.7", "--radius-km", 90), False),
        (("--place", "Gifu, JP", "--where", "month >= '2014-05' AND month < '2015'"), True),
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
    said = pack(archive, tmp_path / "package", "--where", "frame = 'ISS041-E-1000'")
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


Trial = tuple[RadiometryScene, Path]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A photo with three new lights and three that are gone, and its store beside its map."""
    scene = draw_radiometry_scene(SceneWish(seed=100, width_px=480, height_px=320, reach_deg=1.5))
    return scene, write_trial(scene, tmp_path_factory.mktemp("radiometry"))


# What docs/radiometry.md says of the band
COMPARED, NOT_SEEN, PHOTO_FULL, MAP_FULL, BRIGHTER, FAINTER = range(6)


def measure(store: Path, lights: Path, out: Path, *arguments: object) -> Said:
    return run("radiometry", store, "--lights", lights, "--out", out, *arguments)


@pytest.fixture(scope="module")
def written(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    out = tmp_path_factory.mktemp("out") / "radiometry"
    result = measure(trial[1], trial[1].with_name(MAP), out, "--json", "--plot")
    assert result.code == 0, result.err
    return out, result


def test_the_raster_lies_on_the_maps_own_cells(written: tuple[Path, Said], trial: Trial) -> None:
    out, _ = written
    lights = trial[1].with_name(MAP)
    with rasterio.open(lights) as source:
        origin, step = source.transform @ (0, 0), source.transform.a
    with rasterio.open(out / "photo.radiometry.tif") as dataset:
        assert dataset.transform.a == pytest.approx(step)
        shift = [(a - b) / step for a, b in zip(dataset.transform @ (0, 0), origin, strict=True)]
        assert np.allclose(shift, np.round(shift), atol=1e-6)
        light, radiance, sigma, mask, _ = dataset.read()
        limit, gain = float(dataset.tags()["LIMIT_SIGMA"]), float(dataset.tags()["GAIN"])
    assert np.array_equal(np.isnan(sigma), mask == NOT_SEEN)
    assert np.array_equal(mask == BRIGHTER, sigma > limit)
    assert np.array_equal(mask == FAINTER, sigma < -limit)
    plain = mask == COMPARED
    # What the bands say by themselves is the gain that is told
    bright = plain & (radiance > 10.0)
    assert np.median(light[bright] / radiance[bright]) == pytest.approx(gain, rel=0.2)
    (row,) = pd.read_csv(out / "radiometry.csv").to_dict("records")
    seen = mask[mask != NOT_SEEN]
    assert row["saturated_share"] == pytest.approx((seen == PHOTO_FULL).mean(), rel=1e-6) != 0.0
    assert row["map_saturated_share"] == (seen == MAP_FULL).mean()
    assert row["background_nw"] == pytest.approx(row["background"] / gain, rel=1e-5)


def test_tables_and_lines_say_the_same_and_existing_files_stay(
    written: tuple[Path, Said], trial: Trial
) -> None:
    out, result = written
    photos, changes = (pd.read_csv(out / name) for name in ("radiometry.csv", "changes.csv"))
    page = (ROOT / "docs" / "radiometry.md").read_text(encoding="utf-8")
    assert [name for name in (*photos, *changes) if f"`{name}`" not in page] == []
    (line,) = result.records
    assert line["gain"] == pytest.approx(photos["gain"][0], rel=1e-6)
    assert [one["kind"] for one in line["changes"]] == list(changes["kind"])
    assert line["brighter"] + line["fainter"] == len(changes) >= 6
    assert np.allclose([one["lon"] for one in line["changes"]], changes["lon"], atol=1e-5)
    assert (out / "photo.radiometry.png").is_file()
    before = {path: path.read_bytes() for path in out.iterdir()}
    again = measure(trial[1], trial[1].with_name(MAP), out)
    assert (again.code, "--force" in again.err) == (2, True)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_pictures_of_lights_and_missing_maps_give_no_gain(
    written: tuple[Path, Said], trial: Trial, tmp_path: Path
) -> None:
    picture = ROOT / "regengine" / "data" / "black_marble.tif"
    gone = tmp_path / "nowhere.tif"
    for lights, code, words in ((picture, 2, "maps get --product VNP46A4"), (gone, 3, gone.name)):
        refused = measure(trial[1], lights, tmp_path / "out")
        assert (refused.code, (tmp_path / "out").exists()) == (code, False)
        assert words in refused.err
    # Beside radiances, they are left out
    both = measure(
        trial[1], picture, tmp_path / "out", "--lights", trial[1].with_name(MAP), "--json"
    )
    assert [one["gain"] for one in both.records] == [one["gain"] for one in written[1].records]


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
    trial: Trial, tmp_path: Path, name: str, earlier: str, new: str, lost: str
) -> None:
    taken = result_of(trial[0], trial[1].with_name("photo.jpg"), "dated")
    taken = replace(taken, time_utc="2012-03-28T15:46:41Z")
    shutil.copy(trial[1].with_name(MAP), tmp_path / name)
    result = measure(write_store(tmp_path / "run.h5", [taken]), tmp_path / name, tmp_path / "out")
    assert result.code == 0, result.err
    assert pd.read_csv(tmp_path / "out" / "radiometry.csv")["earlier"].tolist() == [earlier]
    changes = pd.read_csv(tmp_path / "out" / "changes.csv")
    told = set(zip(changes["kind"], changes["over_time"], strict=True))
    assert {("new", new), ("lost", lost)} <= told


def test_a_dark_photo_and_a_place_that_the_map_lacks_are_left_out(
    trial: Trial, tmp_path: Path
) -> None:
    photo = tmp_path / "dark.png"
    camera = trial[0].camera
    Image.new("RGB", (camera.width_px, camera.height_px)).save(photo)
    dark = result_of(trial[0], photo, "dark")
    away = replace(dark, frame="away", solved=proposal().solved)
    lights = trial[1].with_name(MAP)
    for made, code, words in ((away, 0, "outside the map"), (dark, 1, "no light where the map")):
        store, out = tmp_path / f"{made.frame}.h5", tmp_path / made.frame
        said = measure(write_store(store, [made]), lights, out)
        assert said.code == code
        assert words in said.err
    assert (tmp_path / "away" / "radiometry.csv").read_text().count("\n") == 1
