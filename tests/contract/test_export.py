"""Exports: what is chosen, each format opened by another program, and none of it half written."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import h5py
import numpy as np
import pytest
from pyproj import Geod

from tests.world.exports import (
    ALL,
    above,
    decide,
    engine_points,
    export,
    nadir_camera,
    nothing_found,
    photographed,
    proposal,
    valid_items,
    work,
    write_store,
)
from tests.world.program import begin, run

FILES = {name: f"all.{name}" for name in ("csv", "geojson", "gpkg", "parquet", "sql")}
OPTIONS = {"sql": ("--dialect", "postgresql"), "geotiff": ("--files", "record")}
MAPS = pytest.mark.parametrize("name", ["geojson", "gpkg", "parquet"])
WGS84 = Geod(ellps="WGS84")


def output(name: str, folder: Path) -> Path:
    return folder / FILES.get(name, "all")


def written(out: Path) -> dict[str, bytes]:
    paths = sorted(out.iterdir()) if out.is_dir() else [out]
    return {path.name: path.read_bytes() for path in paths}


def read_csv(store: Path, out: Path, *words: object) -> Any:
    """An exported table, as pandas reads it."""
    import pandas as pd

    export(store, "csv", out, "--force", *words)
    return pd.read_csv(out, keep_default_na=False, na_values=[""])


def frames_of(store: Path, folder: Path, *words: object) -> Any:
    return read_csv(store, folder / "f.csv", "--table", "frames", *words)


@pytest.fixture(scope="module")
def limb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that is there, with all that any format asks for: points, a time, some sky."""
    folder = tmp_path_factory.mktemp("limb")
    result = above("limb", 136.9, 35.7, 70.0, focal_px=600.0)
    return write_store(folder / "run.h5", [photographed(result, folder / "limb.jpg")])


# Any format --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FILES, "gcp", "geotiff", "kmz", "qgis", "rpc", "stac"])
def test_what_exists_is_kept_unless_forced_and_equal_exports_have_equal_bytes(
    name: str, limb: Path, tmp_path: Path
) -> None:
    out, words = output(name, tmp_path), OPTIONS.get(name, ())
    export(limb, name, out, *words)
    first = written(out)
    for path in sorted(out.iterdir()) if out.is_dir() else [out]:
        path.write_text("mine")
    assert "--force" in export(limb, name, out, *words, code=2).err
    assert set(written(out).values()) == {b"mine"}
    export(limb, name, out, "--force", *words)
    assert written(out) == first
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--format shapefile -o OUT/a", "use gpkg, which every GIS reads"),
        ("--format dxf -o OUT/a", "unknown format; choose from csv, gcp"),
        ("--format csv -o OUT/a.txt", "must end in .csv"),
        ("--format csv -o LINK", "link.csv"),
        ("--format qgis -o OUT/o --verdict accepted,", "--verdict"),
        ("--format sql -o OUT/a.sql", "--dialect"),
        ("--format gcp -o OUT/o --files jpg", "vrt, aux, tif"),
        ("--format geotiff -o OUT/o --crs EPSG:999999", "--crs EPSG:999999"),
        ("--format geotiff -o OUT/o --resolution inf", "--resolution"),
        ("-o - --format qgis", "choose csv, geojson, sql"),
        ("-o OUT/points", "choose --format from csv"),
    ],
)
def test_what_cannot_be_written_is_told_and_left(
    words: str, says: str, limb: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "elsewhere.csv")
    for name, path in (("OUT", tmp_path), ("LINK", link)):
        words = words.replace(name, str(path))
    said = run("export", limb, *words.split())
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err
    assert {path for path in tmp_path.rglob("*") if not path.is_dir()} == {link}


@pytest.mark.parametrize(
    "words",
    [*FILES, "gcp --files tif", "geotiff", "kmz", "qgis --files project"],
)
@pytest.mark.filterwarnings("ignore")  # GDAL's, of a file that it could not write
def test_a_full_disk_is_told_and_leaves_no_file(
    words: str, store: Path, limb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files of more than a block, whichever library writes them."""
    name, *more = words.split()
    given = store if name in FILES else limb
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        options = () if name == "geotiff" else OPTIONS.get(name, ())
        said = run("export", given, "--format", name, "-o", output(name, tmp_path), *more, *options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert "because the disk is full" in said.err
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]


def test_the_format_is_that_of_the_name_and_text_goes_to_standard_output(
    store: Path, tmp_path: Path
) -> None:
    sql = (("sql", f"{one}.sql", "--dialect", one) for one in ("postgresql", "mysql"))
    for name, out, *words in (("csv", "a.csv"), ("geojson", "b.json"), *sql):
        assert run("export", store, "-o", tmp_path / out, *words).code == 0
        printed = run("export", store, "--format", name, "--out", "-", *words)
        assert printed.code == 0, printed.err
        assert printed.out == (tmp_path / out).read_text("utf-8")


@pytest.mark.slow
def test_a_kill_leaves_whole_files_and_no_collection(tmp_path: Path) -> None:
    count = 150
    store = write_store(tmp_path / "run.h5", [proposal(f"f{number}") for number in range(count)])
    out = tmp_path / "o"
    export(store, "stac", out)
    (out / "f0.stac.json").unlink()  # tells when the first is replaced
    process = begin("export", store, "--format", "stac", "--out", out, "--force")
    given_up = time.monotonic() + 120.0
    while not (out / "f0.stac.json").exists() and process.poll() is None:
        assert time.monotonic() < given_up
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    paths = [path for path in out.iterdir() if not path.name.startswith(".")]
    assert "collection.json" not in {path.name for path in paths}
    for path in paths:
        json.loads(path.read_text())
    assert "exist: nothing was written" in export(store, "stac", out, code=2).err
    export(store, "stac", out, "--force")
    links = json.loads((out / "collection.json").read_text())["links"]
    assert sum(link["rel"] == "item" for link in links) == count


# Tables ------------------------------------------------------------------------------------------


def test_a_table_has_the_numbers_of_a_frame_and_of_its_points(tmp_path: Path) -> None:
    whole = above("ISS030-E-184140", 136.9, 35.7, 20.0, mirrored=True)
    camera = whole.solved.camera
    whole = replace(whole, verdict="review", reasons=proposal(verdict="review").reasons)
    store = write_store(tmp_path / "run.h5", [nothing_found(), whole])
    row = frames_of(store, tmp_path, *ALL).set_index("frame").loc[whole.frame]
    names = ("verdict", "probability", "sha256", "path", "category", "focal_mm", "orientation")
    expected = {name: getattr(whole, name) for name in names}
    expected |= dict(zip(("qx", "qy", "qz", "qw"), camera.quaternion, strict=True))
    expected |= {f"ecef_{a}_m": p for a, p in zip("xyz", camera.position_ecef_m, strict=True)}
    expected |= {"frame_index": 1, "reasons": "low_margin,x", "mirrored": True, "sigma_m": 140.0}
    expected |= {"focal_px": 1506.1, "k1": 0.01, "matched_lights": 143, "country": "Japan"}
    expected |= {"prior_nadir_source": "tle", "time_utc": "2012-03-28T15:46:41Z"}
    for name, value in expected.items():
        assert row[name] == value, name
    points = read_csv(store, tmp_path / "p.csv", *ALL)
    assert list(points.point) == [0, 1, 2, 3]
    for told, point in zip(points.itertuples(), whole.control_points, strict=True):
        assert (told.x, told.y, told.lon, told.lat) == (point.x, point.y, point.lon, point.lat)
        assert (told.sigma_px, told.sigma_m, told.lights) == (0.6, 140.0, 12)
        assert (told.frame, told.verdict, told.origin) == (whole.frame, "review", "engine")
        pixels = (told.covariance_px_xx, told.covariance_px_xy, told.covariance_px_yy)
        metres = (told.covariance_m_ee, told.covariance_m_en, told.covariance_m_nn)
        assert (pixels, metres) == (point.covariance_px, point.covariance_m)


def test_names_that_a_spreadsheet_would_run_are_text(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", 'a"b,c', "two\nlines", "émoji 🌃", "-1"]
    results = [replace(proposal(name), path=f"={name}.jpg") for name in names]
    table = frames_of(write_store(tmp_path / "run.h5", results), tmp_path)
    assert list(table.frame) == ["'=cmd|' /C calc'!A0", *names[1:4], "'-1"]
    assert all(path.startswith("./=") for path in table.path)


def test_a_damaged_camera_spoils_no_other(store_copy: Path, tmp_path: Path) -> None:
    with h5py.File(store_copy, "r+") as file:
        file["frames/quaternion"][0] = 0.0
    export(store_copy, "geojson", tmp_path / "all.geojson", "--where", "frame_index < 2")
    features = json.loads((tmp_path / "all.geojson").read_text())["features"]
    told = [(one["properties"]["layer"], one["properties"]["frame_index"]) for one in features]
    alone = [("points", 0)] * 4
    assert told == [*alone, ("footprints", 1), ("nadirs", 1), *[("points", 1)] * 4]
    table = frames_of(store_copy, tmp_path, "--where", "frame_index < 1")
    assert table.off_nadir_deg.isna().all()


# Layers ------------------------------------------------------------------------------------------


def layer_of(name: str, store: Path, folder: Path, layer: str, *words: object) -> Any:
    """A layer as GeoPandas reads it."""
    import geopandas as gpd

    out = output(name, folder)
    if name == "parquet":
        table = {"footprints": "frames", "points": "points"}[layer]
        export(store, name, out, "--table", table, "--force", *words)
        return gpd.read_parquet(out)
    export(store, name, out, "--layers", layer, "--force", *words)
    return gpd.read_file(out, layer=None if name == "geojson" else layer)


@MAPS
def test_geopandas_reads_places_types_and_what_is_missing(
    name: str, store: Path, tmp_path: Path
) -> None:
    from shapely import Point

    ground = layer_of(name, store, tmp_path, "footprints", *ALL).set_index("frame_index")
    assert ground.crs.to_string() in ("EPSG:4326", "OGC:CRS84")
    # A table has a row for a frame without a camera, a map has nothing to draw of it
    shown = [*range(14), *range(24, 40)]
    assert list(ground.index) == (list(range(40)) if name == "parquet" else shown)
    if name == "parquet":
        assert ground.geometry[range(14, 24)].isna().all()
        assert str(ground.time_utc.dtype.tz) == "UTC"
    ground = ground.loc[shown]
    assert ground.geometry.is_valid.all()
    for number in range(24, 28):  # cut at the antimeridian
        west, _, east, _ = ground.geometry[number].bounds
        assert (west, east) == (-180.0, 180.0)
        assert ground.geometry[number].area < 30.0
    assert ground.geometry[28].contains(Point(100.0, 89.95))  # closed along the map's edge
    assert ground.geometry[30].contains(Point(100.0, -89.95))
    assert ground.frame[35].startswith("Größe 東京")
    whole = layer_of(name, store, tmp_path, "footprints")  # of accepted ones nothing is missing
    assert (whole.matched_lights.dtype.kind, whole.mirrored.dtype.kind) == ("i", "b")
    points = layer_of(name, store, tmp_path, "points")
    assert set(points.sigma_m) == {140.0}
    assert np.allclose(points.geometry.x, points.lon, atol=1e-6)
    assert len(layer_of(name, store, tmp_path, "points", "--where", "frame = 'no such'")) == 0


def test_it_is_a_geopackage_whose_index_gdal_uses_and_keeps(store: Path, tmp_path: Path) -> None:
    import geopandas as gpd
    import pyogrio

    out = tmp_path / "all.gpkg"
    export(store, "gpkg", out)
    with closing(sqlite3.connect(out)) as base:
        assert base.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
        changed = base.execute("SELECT min(last_change) FROM gpkg_contents").fetchone()
    assert changed[0] > "2014"  # of the latest registration
    layers = dict(pyogrio.list_layers(out))
    assert layers == {"footprints": "MultiPolygon", "nadirs": "Point", "points": "Point"}
    assert pyogrio.read_info(out, layer="footprints")["capabilities"]["fast_spatial_filter"]
    box = (136.0, 35.0, 138.0, 36.0)
    assert "ISS030-E-184140" in list(gpd.read_file(out, layer="footprints", bbox=box).frame)
    nadirs = gpd.read_file(out, layer="nadirs")
    # Of the solved camera, not of the prior
    assert (nadirs.geometry[0].x, nadirs.geometry[0].y) == pytest.approx((136.9, 35.7))


# Which frames ------------------------------------------------------------------------------------

CHOSEN: dict[str, list[int]] = {
    "": [0, 1, 2, 3, 4, 5, 6, 7, 24, 26, 28, 30, 32, 34, 36, 38],
    "time_utc >= '2012-03-28T18:50' AND category = 'cities'": [27, 28, 29, 30, 31],
    "probability IS NULL AND width_px IS NULL": [20, 21, 22, 23],
    "frames.frame_index = 2 AND frame != ') OR (\"'": [2],
    "abs(nadir_lon - 137.0) < 0.2 AND verdict = 'accepted'": [0, 32],
    "decision IS NOT NULL": [],
}


@pytest.mark.parametrize("where", CHOSEN)
def test_a_condition_chooses(where: str, store: Path, tmp_path: Path) -> None:
    words = [*ALL, "--where", where] if where else []
    said = export(store, "csv", tmp_path / "f.csv", "--table", "frames", *words, "--json")
    chosen = [int(line.split(",")[0]) for line in (tmp_path / "f.csv").read_text().splitlines()[1:]
              if line.split(",")[0].isdigit()]  # fmt: skip
    assert chosen == CHOSEN[where]
    assert said.records[0]["frames"] == len(chosen)


# Not a comparison of one frame's columns, or text where a column is meant, which would be the same
# for every frame
WRONG = (
    "", "1 = 1; DROP TABLE frames", "no_such_column = 1", "load_extension('x')",
    "(SELECT count(*) FROM sqlite_master) > 0", "1 = 1) UNION SELECT (1", "1 = 1 THEN 1 WHEN 1 = 1",
    "avg(probability) > 0", "rowid < 3", "frame_index = 1 /*", 'NOT "off_nadir" IS NULL',
    'frame LIKE "ISS%"', "verdict = 'accepted' AND 'off_nadir_deg' > 50", "'accepted'", "\0",
    "frame_index IN (SELECT frame_index FROM frames)", "frame IN (VALUES ('a'))", "-- all",
)  # fmt: skip


@pytest.mark.parametrize("where", WRONG, ids=range(len(WRONG)))
def test_a_condition_can_only_compare(where: str, store: Path, tmp_path: Path) -> None:
    said = export(store, "csv", tmp_path / "f.csv", "--where", where, code=2)
    assert "is not a valid condition" in said.err
    assert not (tmp_path / "f.csv").exists()


@pytest.fixture
def decided(tmp_path: Path) -> Path:
    """Five frames: rejected, accepted as proposed, moved, placed from nothing, nobody's."""
    results = [
        proposal("rejected"),
        proposal("as_proposed", "review"),
        proposal("moved"),
        nothing_found("placed"),
        proposal("nobodys"),
    ]
    store = write_store(tmp_path / "run.h5", results)
    moved = engine_points(results[2])
    moved[1] |= {"x": 500.0, "y": 70.0, "sigma_px": 2.0, "origin": "person"}
    moved[2] |= {"lon": 137.0, "sigma_px": None, "origin": "person"}
    leaning = replace(nadir_camera(tilt_deg=3.0), focal_px=1400.0)
    lon, lat = (float(v) for v in leaning.pixel_to_lonlat(200.0, 200.0))
    from_nothing = {"x": 200.0, "y": 200.0, "lon": lon, "lat": lat, "sigma_px": 1.0}
    snapped = [from_nothing | {"origin": "snap"}]
    decide(store, 0, results[0], "rejected", work(None, []), "eva")
    decide(store, 1, results[1], "accepted", work(nadir_camera(), engine_points(results[1])), "eva")
    decide(store, 2, results[2], "unsure", work(None, []), "tom")
    decide(store, 2, results[2], "accepted", work(leaning, moved), "eva")
    decide(store, 3, results[3], "accepted", work(leaning, snapped), "=eva")
    return store


def test_what_people_accepted_counts_as_accepted(decided: Path, tmp_path: Path) -> None:
    frames = frames_of(decided, tmp_path)
    assert list(frames.frame) == ["as_proposed", "moved", "placed", "nobodys"]
    assert list(frames.verdict) == ["accepted"] * 4
    assert list(frames.reviewer.fillna("")) == ["eva", "eva", "'=eva", ""]
    assert list(frames.disputed[:3].astype(str)) == ["False", "True", "False"]
    assert set(frames.comment.dropna()) == {"'=1+1"}
    assert (frames.place[0], frames.tags[0], frames.quality[0]) == ("Ōsaka", "delta,haze", 4)
    # The fit is of the engine's camera, and tells nothing of another
    assert list(frames.residual_px.notna()) == [True, False, False, True]
    assert frames.focal_px[1] == 1400.0
    assert frames.off_nadir_deg[2] == pytest.approx(3.0, abs=1e-6)
    shown = [row["frame"] for row in run("show", decided, "--reviewed", "--json").records]
    said = export(decided, "csv", tmp_path / "p.csv", "--reviewed", "--json")
    points = read_csv(decided, tmp_path / "p.csv", "--reviewed")
    assert set(points.frame) == set(shown)
    (told,) = said.records
    assert (told["frames"], told["reviewed"]) == (3, 3)
    assert told["left_out"] == {"rejected in review": 1, "not accepted in review": 1}
    where = "decision = 'accepted' AND NOT disputed AND quality > 3"
    frames = frames_of(decided, tmp_path, "--where", where)
    assert list(frames.frame) == ["as_proposed", "placed"]
    # Points say who made them, and how sure they are
    points = read_csv(decided, tmp_path / "p.csv")
    moved = points[points.frame == "moved"].reset_index()
    assert list(moved.origin) == ["engine", "person", "person", "engine"]
    assert (moved.x[1], moved.y[1], moved.lon[2]) == (500.0, 70.0, 137.0)
    # 2 px at 391 km and 1400 px: about 280 m a pixel; nobody knows the other's
    assert moved.sigma_m[1] == pytest.approx(2 * 391.2e3 / 1400, rel=0.05)
    assert moved[["sigma_px", "sigma_m"]].iloc[2].isna().all()
    assert list(moved.sigma_m[[0, 3]]) == [140.0, 140.0]
    assert list(points[points.frame == "placed"].origin) == ["snap"]


# Names of files ----------------------------------------------------------------------------------

HOSTILE = (
    "../../up.jpg", "/etc/passwd", "..", "a/..", "", "C:" + "\\photos\\a.jpg", "quo\"te's.jpg",
    "new\nline.jpg", "\u202egpj.exe", "émoji 🌃.jpg", "-rf.jpg", "x" * 300 + ".jpg",
    "https://host.invalid/a/b.jpg?x=../..", "same.jpg", "other/SAME.jpg",
)  # fmt: skip


def test_hostile_names_stay_in_the_folder(tmp_path: Path) -> None:
    results = [replace(proposal(f"f{number}"), path=path) for number, path in enumerate(HOSTILE)]
    results[0] = replace(results[0], frame="\udcff</script>", camera_body="a\udc80" * 9)
    store = write_store(tmp_path / "run.h5", results)
    before = set(tmp_path.rglob("*"))
    for name, files in (("qgis", len(HOSTILE)), ("stac", 2 * len(HOSTILE) + 1)):
        out = tmp_path / name
        export(store, name, out)
        paths = set(tmp_path.rglob("*")) - before - {out}
        assert {path.parent for path in paths} == {out}
        assert len(paths) == files
        assert all(path.name.isprintable() for path in paths)
        before |= {*paths, out}
    names = {path.name for path in (tmp_path / "qgis").iterdir()}
    assert {"up.jpg.points", "émoji 🌃.jpg.points", "a.jpg.points", "b.jpg.points"} <= names
    items = valid_items(tmp_path / "stac")
    assert {"up", "passwd", "a", "b", "same-" + results[-2].sha256[:8]} <= set(items)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", identity) for identity in items)


# STAC --------------------------------------------------------------------------------------------


def test_pystac_reads_a_valid_catalogue_of_everything(store: Path, tmp_path: Path) -> None:
    import pyogrio
    import pystac
    from shapely.geometry import shape

    export(store, "stac", tmp_path / "here" / "catalogue", *ALL)
    shutil.move(tmp_path / "here", tmp_path / "there")  # all addresses but those of photos move
    out = tmp_path / "there" / "catalogue"
    items = valid_items(out)
    assert len(items) == 40
    item = items["ISS030-E-184140"]
    assert item.datetime == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    told = item.properties
    assert (told["platform"], told["instruments"]) == ("iss", ["NIKON D3S"])
    assert (told["regengine:verdict"], told["regengine:probability"]) == ("accepted", 0.9997)
    assert (told["regengine:sigma_m"], told["proj:code"]) == (140.0, None)
    assert told["regengine:credit"] == (
        "Image courtesy of the Earth Science and Remote Sensing Unit, NASA Johnson Space Center, "
        "ISS030-E-184140"
    )
    for one in items.values():
        _, _, (wkb,), _ = pyogrio.raw.read(out / f"{one.id}.stac.json")  # GDAL's own reader
        assert (wkb is None) == (one.geometry is None) == (one.bbox is None)
        assert one.geometry is None or shape(one.geometry).is_valid
    points = json.loads((out / "ISS030-E-184140.points.geojson").read_text())
    assert [one["properties"]["x"] for one in points["features"]] == [100.0, 520.0, 540.0, 90.0]
    west, _, east, _ = items["ISS055-E-0"].bbox or []
    assert (170.0 < west < 180.0, -180.0 < east < -170.0) == (True, True)
    west, _, east, north = items["ISS061-E-0"].bbox or []
    assert (west, east, north) == (-180.0, 180.0, 90.0)
    found = pystac.Collection.from_file(out / "collection.json")
    assert found.id == "catalogue"
    first, last = found.extent.temporal.intervals[0]
    assert (first, last) == (datetime(1998, 11, 20, 6, 40, tzinfo=UTC),
                             datetime(2026, 11, 20, 12, tzinfo=UTC))  # fmt: skip


def test_addresses_of_photos_find_them_and_hold_no_secret_and_no_script(tmp_path: Path) -> None:
    starts = {
        "https://me:pw@host.invalid/a b.jpg?token=x": "https://host.invalid/a%20b.jpg?token=***",
        "javascript:alert(1)": "../javascript%3Aalert%281%29",
        "javascript://%0aalert(1)": "../javascript%3A/",
        "data:text/html,<b>": "../data%3Atext/",
    }
    results = [replace(proposal(f"f{k}"), path=path) for k, path in enumerate(starts)]
    results.append(replace(proposal("my ISS030-E-7"), path="x/a.jpg", sha256="../../../up"))
    path = tmp_path / "a b#c?d%20é\n🌃.png"
    results.append(photographed(proposal("there"), path))
    export(write_store(tmp_path / "run.h5", results), "stac", tmp_path / "o")
    items = {item.properties["title"]: item for item in valid_items(tmp_path / "o").values()}
    for number, start in enumerate(starts.values()):
        assert items[f"f{number}"].assets["photo"].href.startswith(start)
    photo = items["there"].assets["photo"]
    assert (tmp_path / "o" / unquote(photo.href)).samefile(path)
    assert photo.extra_fields["file:checksum"] == "1220" + results[-1].sha256
    # A hash that is none is in no name, and no photo but the archive's has a credit
    mine = items["my ISS030-E-7"]
    assert "file:checksum" not in mine.assets["photo"].extra_fields
    assert not {"regengine:credit", "license", "providers"} & set(mine.properties)


def test_a_photo_whose_name_is_not_utf8_is_found_again(tmp_path: Path) -> None:
    name, folder = os.fsdecode(b"caf\xe9 \xff.jpg"), tmp_path / "photos"
    folder.mkdir()
    result = above("caf", 136.9, 35.7, 30.0, focal_px=600.0)
    store = write_store(tmp_path / "run.h5", [photographed(result, folder / name)])
    for given, out in ((), "here"), (("--photos", tmp_path / "moved"), "there"):
        for format in ("stac", "geotiff", "kmz", "qgis"):
            export(store, format, tmp_path / out / format, *given)
        assert run("overlay", store, "--out", tmp_path / out, *given).code == 0
        assert (tmp_path / out / name).with_suffix(".overlay.png").is_file()
        (item,) = valid_items(tmp_path / out / "stac").values()
        href = item.assets["photo"].href
        assert "caf%E9%20%FF.jpg" in href
        assert os.path.isfile(os.fsencode(tmp_path / out / "stac") + b"/" + unquote_to_bytes(href))
        assert "not UTF-8" in export(store, "gcp", tmp_path / out / "gcp", *given, code=1).err
        folder = folder.rename(tmp_path / "moved")
    (points,) = (tmp_path / "here" / "qgis").iterdir()
    assert run("import", store, points).code == 0
    assert len(run("show", store, name, "--json").records) == 1


def test_warped_pictures_of_the_same_photo_are_told_of(tmp_path: Path) -> None:
    import rasterio

    photo = photographed(proposal(), tmp_path / "photo.jpg")
    store, out = write_store(tmp_path / "run.h5", [photo]), tmp_path / "o"
    words = ("--crs", "EPSG:32653", "--resolution", "900", "--files", "warped,sigma")
    export(store, "geotiff", out, *words)
    export(store, "stac", out)
    (item,) = valid_items(out).values()
    assert set(item.assets) == {"photo", "control_points", "warped", "sigma"}
    facts = item.assets["warped"].to_dict()
    assert (facts["roles"], item.assets["sigma"].roles) == (["visual"], ["uncertainty"])
    with rasterio.open(out / "photo.warped.tif") as raster:
        assert facts["proj:code"] == "EPSG:32653"
        assert facts["proj:shape"] == list(raster.shape)
        assert facts["proj:transform"] == list(raster.transform)[:6]
        assert facts["proj:bbox"] == list(raster.bounds)
