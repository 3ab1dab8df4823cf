"""Exports: what is chosen, each format opened by another program, and none of it half written."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np
import pytest
from pyproj import Geod

from tests.world.exports import (
    ALL,
    above,
    decide,
    ecef_of,
    engine_points,
    export,
    nadir_camera,
    nothing_found,
    offline_validator,
    photographed,
    proposal,
    seen_by,
    valid_items,
    work,
    write_store,
)
from tests.world.program import begin, run
from tests.world.tables import by_name

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


@pytest.mark.parametrize("name", [*FILES, "gcp", "geotiff", "qgis", "rpc", "stac"])
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


@dataclass(frozen=True)
class Refused:
    """A call that writes nothing, and a part of its one sentence."""

    name: str
    words: str  # OUT is an empty folder, THERE.csv a file
    says: str


REFUSED = (
    Refused("shapefile", "--format shapefile -o OUT/a", "use gpkg, which every GIS reads"),
    Refused("postgis", "--format postgis -o OUT/a", "use sql with --dialect postgresql"),
    Refused("kml", "--format kml -o OUT/a", "use geojson, which Google Earth opens"),
    Refused("fits", "--format fits -o OUT/a", "use regengine solve --wcs"),
    Refused("unknown format", "--format dxf -o OUT/a", "unknown format; choose from csv, gcp"),
    Refused("ending", "--format GeoPackage -o OUT/a.x", "must end in .gpkg"),
    Refused("other ending", "--format csv -o OUT/a.txt", "must end in .csv"),
    Refused("a file for a folder", "--format .TIF -o THERE.csv", "writes files into a folder"),
    Refused("no folder", "--format csv -o OUT/none/a.csv", "none"),
    Refused("there already", "--format csv -o THERE.csv", "--force"),
    Refused("a link", "--format csv -o LINK.csv", "LINK.csv"),
    Refused("table", "--format csv -o OUT/a.csv --table photos", "choose from points, frames"),
    Refused("layer", "--format geojson -o OUT/a.json --layers roads", "footprints, nadirs, points"),
    Refused("no verdict", "--format qgis -o OUT/o --verdict=", "--verdict"),
    Refused("half a list", "--format qgis -o OUT/o --verdict accepted,", "--verdict"),
    Refused("verdict", "--format qgis -o OUT/o --verdict good", "--verdict"),
    Refused("no dialect", "--format sql -o OUT/a.sql", "--dialect"),
    Refused("dialect", "--format sql -o OUT/a.sql --dialect oracle", "--dialect"),
    Refused("dialect of a table", "--format csv -o OUT/a.csv --dialect mysql", "--dialect"),
    Refused("kind of gcp", "--format gcp -o OUT/o --files jpg", "vrt, aux, tif"),
    Refused("kind of geotiff", "--format geotiff -o OUT/o --files warp", "warped, sigma, record"),
    Refused("kind of rpc", "--format rpc -o OUT/o --files tif", "txt, vrt, footprint, rpb, aux"),
    Refused("crs", "--format geotiff -o OUT/o --crs EPSG:999999", "--crs EPSG:999999"),
    Refused("negative", "--format geotiff -o OUT/o --resolution -1", "--resolution"),
    Refused("zero", "--format geotiff -o OUT/o --resolution 0", "--resolution"),
    Refused("infinite", "--format geotiff -o OUT/o --resolution inf", "--resolution"),
    Refused("no text", "-o - --format qgis", "choose csv, geojson, sql"),
    Refused("text beside json", "-o - --format csv --json", "so does --json"),
    Refused("text of no format", "-o -", "the ending names no format"),
    Refused("no ending", "-o OUT/points", "choose --format from csv"),
    Refused("spreadsheet", "-o OUT/a.xlsx", "use csv, which spreadsheets open"),
    Refused("the store", "--format qgis -o STORE", "is a file"),
)


@pytest.mark.parametrize("row", REFUSED, ids=by_name)
def test_what_cannot_be_written_is_told_and_left(row: Refused, limb: Path, tmp_path: Path) -> None:
    there, link = tmp_path / "there.csv", tmp_path / "link.csv"
    there.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere.csv")
    names = {"OUT": tmp_path, "THERE.csv": there, "LINK.csv": link, "STORE": limb}
    words = [re.sub("|".join(names), lambda m: str(names[m[0]]), w) for w in row.words.split()]
    said = run("export", limb, *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert row.says.replace("LINK.csv", str(link)) in said.err
    assert {path for path in tmp_path.rglob("*") if not path.is_dir()} == {there, link}
    assert there.read_text() == "mine"
    assert export(tmp_path / "no.h5", "qgis", tmp_path / "p", code=3).out == ""


@pytest.mark.parametrize(("name", "package"), [("gpkg", "pyogrio"), ("parquet", "pyarrow")])
def test_without_its_package_it_is_said_what_to_do(
    name: str, package: str, limb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert "regengine[" in export(limb, name, output(name, tmp_path), code=2).err
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_that_of_the_name_and_text_goes_to_standard_output(
    store: Path, tmp_path: Path
) -> None:
    for name, out in (("csv", "a.csv"), ("geojson", "b.json"), ("sql", "c.sql")):
        words = OPTIONS.get(name, ())
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


def test_a_table_has_every_number_of_a_frame_and_of_its_points(tmp_path: Path) -> None:
    """Columns out of the result, or worked out anew by PROJ."""
    whole = above("ISS030-E-184140", 136.9, 35.7, 20.0, mirrored=True)
    camera = whole.solved.camera
    whole = replace(whole, probability_low=0.9, probability_high=0.99995, verdict="review")
    whole = replace(whole, reasons=proposal(verdict="review").reasons)
    store = write_store(tmp_path / "run.h5", [nothing_found(), whole])
    row = frames_of(store, tmp_path, *ALL).set_index("frame").loc[whole.frame]
    fit, lon_lat = whole.fit, camera.pixel_to_lonlat(319.5, 212.5)
    names = ("verdict", "probability", "probability_low", "probability_high", "sha256", "path")
    names += ("category", "category_probability", "camera_body", "focal_mm", "pixel_pitch_um")
    names += ("width_px", "height_px", "orientation", "engine_version")
    of_fit = ("residual_px", "residual_m", "held_out_residual_px", "matched_lights", "log10_odds")
    of_fit += ("runner_up_log10_odds", "ncc")
    expected = {name: getattr(whole, name) for name in names}
    expected |= {name: getattr(fit, name) for name in of_fit}
    expected |= dict(zip(("qx", "qy", "qz", "qw"), camera.quaternion, strict=True))
    expected |= dict(zip(("k1", "k2", "p1", "p2", "k3"), camera.distortion, strict=True))
    expected |= dict(zip(("principal_x", "principal_y"), camera.principal_point, strict=True))
    expected |= {f"ecef_{a}_m": p for a, p in zip("xyz", camera.position_ecef_m, strict=True)}
    expected |= {"frame_index": 1, "reasons": "low_margin,x", "mirrored": True, "sigma_m": 140.0}
    expected |= {"focal_px": 1506.1, "light_map": "Black Marble 2016", "country": "Japan"}
    expected |= {"prior_nadir_lon": 136.9, "prior_nadir_lat": 35.7, "prior_nadir_source": "tle"}
    expected |= {"prior_nadir_altitude_km": 391.2, "time_utc": "2012-03-28T15:46:41Z"}
    for name, value in expected.items():
        assert row[name] == value, name
    close = {"camera_lon": 136.9, "camera_lat": 35.7, "camera_altitude_km": 391.2}
    close |= {"off_nadir_deg": 20.0, "centre_lon": lon_lat[0], "centre_lat": lon_lat[1]}
    for name, value in close.items():
        assert row[name] == pytest.approx(value, abs=1e-6), name
    unknown = {"decision", "reviewer", "reviewed_utc", "disputed", "stale", "quality", "comment"}
    assert set(row.index[row.isna()]) == unknown | {"tags", "pixel_aspect"}
    points = read_csv(store, tmp_path / "p.csv", *ALL)
    assert list(points.point) == [0, 1, 2, 3]
    assert points.dtypes[["x", "point", "lights"]].map(lambda kind: kind.kind).tolist() == [*"fii"]
    for told, point in zip(points.itertuples(), whole.control_points, strict=True):
        assert (told.x, told.y, told.lon, told.lat) == (point.x, point.y, point.lon, point.lat)
        assert (told.sigma_px, told.sigma_m, told.lights) == (0.6, 140.0, 12)
        assert (told.frame, told.verdict, told.origin) == (whole.frame, "review", "engine")
        pixels = (told.covariance_px_xx, told.covariance_px_xy, told.covariance_px_yy)
        metres = (told.covariance_m_ee, told.covariance_m_en, told.covariance_m_nn)
        assert (pixels, metres) == (point.covariance_px, point.covariance_m)


def test_a_table_has_every_frame_and_nothing_where_nothing_is_known(
    store: Path, tmp_path: Path
) -> None:
    frames = frames_of(store, tmp_path, *ALL)
    verdicts = ["accepted"] * 8 + ["review"] * 6 + ["no_match"] * 6 + ["failed"] * 4
    assert list(frames.frame_index) == list(range(40))
    assert list(frames.verdict) == verdicts + ["accepted", "review"] * 8
    assert list(frames.off_nadir_deg.isna()) == [14 <= number < 24 for number in range(40)]


def test_names_that_a_spreadsheet_would_run_are_text(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", 'a"b,c', "two\nlines", "émoji 🌃", "-1"]
    results = [replace(proposal(name), path=f"={name}.jpg") for name in names]
    table = frames_of(write_store(tmp_path / "run.h5", results), tmp_path)
    assert list(table.frame) == ["'=cmd|' /C calc'!A0", *names[1:4], "'-1"]
    assert all(path.startswith("./=") for path in table.path)


def test_frames_and_points_have_the_cities_near_them(tmp_path: Path) -> None:
    places = {"land": (-46.63, -23.55, 0.0), "sea": (-150.0, 0.0, 0.0), "sky": (13.4, 52.5, 80.0)}
    results = [
        seen_by(proposal(name), nadir_camera(lon, lat, tilt_deg=tilt))
        for name, (lon, lat, tilt) in places.items()
    ]
    store = write_store(tmp_path / "run.h5", [*results, nothing_found("nothing")])
    table = frames_of(store, tmp_path, *ALL).set_index("frame")
    columns = [f"{place}_{field}" for place in ("nadir", "centre") for field in ("city", "country")]
    told = table[columns].astype(object).where(table[columns].notna(), None)
    assert told.loc["land"].tolist() == ["São Paulo", "Brazil", "São Paulo", "Brazil"]
    assert told.loc["sea"].tolist() == told.loc["nothing"].tolist() == [None] * 4
    assert told.loc["sky"].tolist() == ["Berlin", "Germany", None, None]
    assert table.nadir_city_km["land"] < 5.0
    points = read_csv(store, tmp_path / "p.csv").set_index(["frame", "point"])
    takayama = points.loc[("land", 1)]
    assert (takayama.city, takayama.country) == ("Takayama", "Japan")
    metres = WGS84.inv(137.25, 36.1333, takayama.lon, takayama.lat)[2]  # by GeoNames
    assert takayama.city_km == pytest.approx(metres / 1e3, rel=0.006)


def test_a_row_calls_nothing_but_the_solved_cameras_place_nadir(tmp_path: Path) -> None:
    """A prior that is 9,900 km beside: an element set 53 days old."""
    results = []
    for source in ("tle", "option", "record", "lights"):
        far = replace(proposal().nadir, lon=-100.0, lat=31.0, source=source)
        results.append(replace(proposal(source), nadir=far))
        results.append(replace(nothing_found(f"{source} alone"), nadir=far))
    store = write_store(tmp_path / "run.h5", results)
    table = frames_of(store, tmp_path, *ALL).set_index("frame")
    for name, row in table.iterrows():
        own = {column for column in row.index if column.startswith("nadir_")}
        assert own == {"nadir_city", "nadir_country", "nadir_city_km"}
        prior = row[["prior_nadir_lon", "prior_nadir_lat", "prior_nadir_source"]]
        source = name.split()[0]
        assert prior.isna().all() if source == "lights" else prior.tolist() == [-100, 31, source]
        assert (row.nadir_country == "Japan") != ("alone" in name)
    nadirs = layer_of("gpkg", store, tmp_path, "nadirs", *ALL)
    assert nadirs.frame.tolist() == ["tle", "option", "record", "lights"]
    for place in nadirs.geometry:
        assert (place.x, place.y) == pytest.approx((136.9, 35.7))


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
    for number, pole in ((28, 90.0), (30, -90.0)):  # closed along the map's edge
        assert ground.geometry[number].contains(Point(100.0, pole - math.copysign(0.05, pole)))
    assert ground.frame[32] == "<script>alert('1')</script> & \"two\""
    assert ground.frame[35].startswith("Größe 東京")
    whole = layer_of(name, store, tmp_path, "footprints")  # of accepted ones nothing is missing
    assert (whole.matched_lights.dtype.kind, whole.mirrored.dtype.kind) == ("i", "b")
    assert whole.light_map[0] == "Black Marble 2016"
    assert ground.reviewer.isna().all()
    assert list(ground.camera_altitude_km) == pytest.approx([391.2] * 30)
    assert str(ground.time_utc[0]).startswith(("2012-03-28 15:46:41", "2012-03-28T15:46:41"))
    points = layer_of(name, store, tmp_path, "points")
    assert set(points.sigma_m) == {140.0}
    assert np.allclose(points.geometry.x, points.lon, atol=1e-6)
    assert len(layer_of(name, store, tmp_path, "points", "--where", "frame = 'no such'")) == 0


def test_layers_can_be_chosen_and_polygons_run_as_geojson_wants(
    store: Path, tmp_path: Path
) -> None:
    from shapely.geometry import shape

    out = tmp_path / "some.json"
    export(store, "geojson", out, "--layers", "nadirs,footprints", "--where", "frame_index < 8")
    features = json.loads(out.read_text())["features"]
    layers = [one["properties"]["layer"] for one in features]
    assert Counter(layers) == {"nadirs": 8, "footprints": 8}
    assert features[layers.index("nadirs")]["geometry"]["coordinates"] == pytest.approx(
        [136.9, 35.7]
    )
    polygons = [one["geometry"] for one in features if one["geometry"]["type"] == "Polygon"]
    assert all(shape(one).exterior.is_ccw for one in polygons)


def test_it_is_a_geopackage_whose_index_gdal_uses_and_keeps(store: Path, tmp_path: Path) -> None:
    import geopandas as gpd
    import pyogrio

    out = tmp_path / "all.gpkg"
    export(store, "gpkg", out)
    with closing(sqlite3.connect(out)) as base:
        # Requirements 2, 6, 7, 11 and 19
        assert base.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
        systems = base.execute("SELECT srs_id FROM gpkg_spatial_ref_sys ORDER BY 1").fetchall()
        assert systems == [(-1,), (0,), (4326,)]
        # When the frames were registered, not when they were exported
        changes = base.execute("SELECT DISTINCT last_change FROM gpkg_contents").fetchall()
        assert changes == [("2026-11-20T12:00:00.000Z",)]
    layers = dict(pyogrio.list_layers(out))
    assert layers == {"footprints": "MultiPolygon", "nadirs": "Point", "points": "Point"}
    assert pyogrio.read_info(out, layer="footprints")["capabilities"]["fast_spatial_filter"]
    box = (136.0, 35.0, 138.0, 36.0)
    assert "ISS030-E-184140" in list(gpd.read_file(out, layer="footprints", bbox=box).frame)
    nadirs = gpd.read_file(out, layer="nadirs")
    pyogrio.write_dataframe(nadirs.iloc[:1], out, layer="nadirs", append=True)
    with closing(sqlite3.connect(out)) as base:
        count = base.execute("SELECT count(*) FROM rtree_nadirs_geom").fetchone()
        assert count == (len(nadirs) + 1,)
        assert base.execute("SELECT rtreecheck('rtree_nadirs_geom')").fetchone() == ("ok",)


# Which frames ------------------------------------------------------------------------------------

CHOSEN: dict[str, list[int]] = {
    "": [0, 1, 2, 3, 4, 5, 6, 7, 24, 26, 28, 30, 32, 34, 36, 38],
    "time_utc >= '2012-03-28T18:50' AND category = 'cities'": [27, 28, 29, 30, 31],
    "off_nadir_deg > 1000 OR frame LIKE '%184141'": [1],
    "probability IS NULL AND width_px IS NULL": [20, 21, 22, 23],
    "frame_index = 2 -- and a comment (": [2],
    '/* a "comment" */ ("FRAME_INDEX" = 2)': [2],
    "frames.frame_index = 2 AND frame != ') OR (\"'": [2],
    "abs(nadir_lon - 137.0) < 0.2 AND verdict = 'accepted'": [0, 32],
    "orientation > 1": [15, 16, 17],
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
    "(SELECT count(*) FROM sqlite_master) > 0", "writefile('x', 'y') = 1",
    "1 = 1) UNION SELECT (1", "1 = 1) OR (1 = 1",
    "frame IN (WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a FROM t) SELECT a FROM t)",
    "1 = 1 THEN 1 WHEN 1 = 1", "SELECT 1", "frame_index IN (VALUES (1))", "avg(probability) > 0",
    "probability > (/* */ SELECT avg(probability) FROM frames)", "rowid < 3", "frame_index = 1 /*",
    '"off_nadir" > 50', '"off_nadir" < 50', 'NOT "off_nadir" IS NULL', 'category = "cities"',
    'frame LIKE "ISS%"', 'verdict IN ("accepted", "review")', 'off_nadir_deg > 50 OR "x""y"',
    "'off_nadir_deg' > 50", "verdict = 'accepted' AND 'off_nadir_deg' > 50", "'off_nadir' > 50",
    "'accepted'", "'", "\0", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("where", WRONG, ids=range(len(WRONG)))
def test_a_condition_can_only_compare(where: str, store: Path, tmp_path: Path) -> None:
    said = export(store, "csv", tmp_path / "f.csv", "--where", where, code=2)
    assert "is not a valid condition" in said.err
    assert not (tmp_path / "f.csv").exists()


def test_a_column_that_is_nearly_right_is_named(store: Path, tmp_path: Path) -> None:
    for where, meant in (("of_nadir_deg > 5", "off_nadir_deg"), ('verdict = "good"', "'good'")):
        assert meant in export(store, "csv", tmp_path / "f.csv", "--where", where, code=2).err


def test_what_is_left_out_is_told(store: Path, tmp_path: Path) -> None:
    said = export(store, "qgis", tmp_path / "o", *ALL, "--json")
    (told,) = said.records
    assert (told["frames"], told["left_out"]) == (30, {"no control points": 10})
    assert told["files"] == len(list((tmp_path / "o").iterdir())) == 30
    assert "excluded: 10 no control points" in said.err
    (told,) = export(
        store, "csv", tmp_path / "f.csv", "--where", "frame_index > 3", "--json"
    ).records
    assert told["left_out"]["not --where"] == 4
    assert told["left_out"]["verdict failed"] == 4


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


def test_points_say_who_made_them_and_how_sure_they_are(decided: Path, tmp_path: Path) -> None:
    import pandas as pd

    points = read_csv(decided, tmp_path / "p.csv")
    moved = points[points.frame == "moved"].reset_index()
    assert list(moved.origin) == ["engine", "person", "person", "engine"]
    assert (moved.x[1], moved.y[1], moved.lon[2]) == (500.0, 70.0, 137.0)
    # 2 px at 391 km and 1400 px: about 280 m a pixel; nobody knows the other's
    assert moved.sigma_m[1] == pytest.approx(2 * 391.2e3 / 1400, rel=0.05)
    assert pd.isna(moved.sigma_px[2])
    assert pd.isna(moved.sigma_m[2])
    assert list(moved.sigma_m[[0, 3]]) == [140.0, 140.0]
    assert list(points[points.frame == "placed"].origin) == ["snap"]


def test_points_that_were_moved_without_a_camera_have_none_of_the_engines(tmp_path: Path) -> None:
    result = proposal()
    store = write_store(tmp_path / "run.h5", [result])
    points = engine_points(result)
    points[0] |= {"lon": 130.0, "origin": "person"}
    decide(store, 0, result, "accepted", work(None, points), "eva")
    assert frames_of(store, tmp_path).focal_px.isna().all()
    decide(store, 0, result, "accepted", work(None, engine_points(result)), "eva")
    assert list(frames_of(store, tmp_path).focal_px) == [1506.1]


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


def test_photos_that_differ_little_in_name_have_files_of_their_own(tmp_path: Path) -> None:
    results = []
    for number, name in enumerate(("0/a.jpg", "1/A.png", "2/b.c.jpg", "3/a.jpg")):
        (tmp_path / name).parent.mkdir()
        results.append(photographed(proposal(f"f{number}"), tmp_path / name))
    store = write_store(tmp_path / "run.h5", results)
    export(store, "geotiff", tmp_path / "o", "--files", "record")
    told = {
        path.name: json.loads(path.read_text())["frame"]["frame"]
        for path in (tmp_path / "o").iterdir()
    }
    assert len({name.casefold() for name in told}) == len(set(told.values())) == 4
    assert told["b.c.json"] == "f2"


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
    assert not {"regengine:path", "regengine:width_px", "regengine:reviewer"} & set(told)
    assert told["regengine:credit"] == (
        "Image courtesy of the Earth Science and Remote Sensing Unit, NASA Johnson Space Center, "
        "ISS030-E-184140"
    )
    assert item.get_links("via")[0].href.endswith("photo.pl?mission=ISS030&roll=E&frame=184140")
    photo = item.assets["photo"].to_dict()
    assert (photo["type"], photo["roles"], photo["proj:shape"]) == (
        "image/jpeg", ["data"], [426, 640],
    )  # fmt: skip
    for one in items.values():
        _, _, (wkb,), _ = pyogrio.raw.read(out / f"{one.id}.stac.json")  # GDAL's own reader
        assert (wkb is None) == (one.geometry is None) == (one.bbox is None)
        assert one.geometry is None or shape(one.geometry).is_valid
    nothing = items["ISS001-E-1"]
    assert nothing.geometry is None
    assert not {"view:off_nadir", "gsd"} & set(nothing.properties)
    points = json.loads((out / "ISS001-E-1.points.geojson").read_text())
    assert points == {"type": "FeatureCollection", "features": []}
    points = json.loads((out / "ISS030-E-184140.points.geojson").read_text())
    assert [one["properties"]["x"] for one in points["features"]] == [100.0, 520.0, 540.0, 90.0]
    west, _, east, _ = items["ISS055-E-0"].bbox or []
    assert (170.0 < west < 180.0, -180.0 < east < -170.0) == (True, True)
    west, _, east, north = items["ISS061-E-0"].bbox or []
    assert (west, east, north) == (-180.0, 180.0, 90.0)
    found = pystac.Collection.from_file(out / "collection.json")
    assert found.id == "catalogue"
    summaries = found.summaries.to_dict()
    assert summaries["regengine:verdict"] == ["accepted", "failed", "no_match", "review"]
    gsd = {item.common_metadata.gsd for item in items.values()} - {None}
    assert summaries["gsd"] == {"minimum": min(gsd), "maximum": max(gsd)}
    first, last = found.extent.temporal.intervals[0]
    assert (first, last) == (datetime(1998, 11, 20, 6, 40, tzinfo=UTC),
                             datetime(2026, 11, 20, 12, tzinfo=UTC))  # fmt: skip
    assert found.providers is not None
    assert "NASA" in found.providers[0].name
    assert set(found.item_assets) == {"photo", "control_points"}
    for key, value in (("view:off_nadir", 91.0), ("proj:code", 3), ("datetime", "yesterday")):
        wrong = item.to_dict(transform_hrefs=False)
        wrong["properties"][key] = value
        with pytest.raises(pystac.STACValidationError):  # the validation sees what is wrong
            offline_validator().validate(
                wrong, pystac.STACObjectType.ITEM, "1.1.0", item.stac_extensions
            )


def test_a_collection_spans_what_its_items_do(tmp_path: Path) -> None:
    places = [("a", 170.0, 10.0), ("b", -175.0, -20.0), ("c", 150.0, 30.0)]
    times = ("2012-03-28T15:46:41Z", "2013-01-02T03:04:05Z", "2011-05-06T07:08:09Z")
    results = [
        replace(above(*place), time_utc=time) for place, time in zip(places, times, strict=True)
    ]
    export(write_store(tmp_path / "run.h5", results), "stac", tmp_path / "o")
    boxes = [item.bbox for item in valid_items(tmp_path / "o").values()]
    (box,), interval = (
        json.loads((tmp_path / "o" / "collection.json").read_text())["extent"][name][of]
        for name, of in (("spatial", "bbox"), ("temporal", "interval"))
    )
    west, east = min(b[0] for b in boxes if b[0] > 0), max(b[2] for b in boxes if b[2] < 0)
    assert box == [west, min(b[1] for b in boxes), east, max(b[3] for b in boxes)]
    assert interval == [[times[2], times[1]]]


def test_items_that_are_not_chosen_any_more_are_not_listed(limb: Path, tmp_path: Path) -> None:
    export(limb, "stac", tmp_path)
    export(limb, "stac", tmp_path, "--force", "--where", "frame = 'none'")
    assert valid_items(tmp_path) == {}
    assert (tmp_path / "limb.stac.json").is_file()  # nothing is removed that was not replaced
    told = json.loads((tmp_path / "collection.json").read_text())
    assert told["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]


def test_a_photo_of_unknown_time_was_taken_before_it_was_processed(tmp_path: Path) -> None:
    write_store(tmp_path / "run.h5", [nothing_found()])
    for moment in ("first", "second"):
        export(tmp_path / "run.h5", "stac", tmp_path / moment / "o", *ALL)
    assert written(tmp_path / "first" / "o") == written(tmp_path / "second" / "o")
    (item,) = valid_items(tmp_path / "first" / "o").values()
    assert (item.datetime, item.properties["datetime"]) == (None, None)
    start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
    assert start == datetime(1998, 11, 20, 6, 40, tzinfo=UTC)
    assert end == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_photos_that_are_not_of_the_archive_get_no_credit(tmp_path: Path) -> None:
    results = [proposal(name) for name in ("Osaka at night", "ISS990-E-1", "my ISS030-E-7")]
    export(write_store(tmp_path / "run.h5", results), "stac", tmp_path / "o")
    items = valid_items(tmp_path / "o")
    assert set(items) == {"Osaka_at_night", "ISS990-E-1", "ISS030-E-7"}
    for item in items.values():
        assert not {"regengine:credit", "license", "providers"} & set(item.properties)
        assert item.get_links("license") == item.get_links("via") == []
    assert items["Osaka_at_night"].properties["title"] == "Osaka at night"
    assert "providers" not in json.loads((tmp_path / "o" / "collection.json").read_text())


def test_the_view_is_that_of_the_camera(tmp_path: Path) -> None:
    """Its angles are worked out anew in `tests.oracle.test_exchange`."""
    camera = replace(nadir_camera(179.9, 0.0, tilt_deg=40.0), distortion=(0.0,) * 5)
    limb = nadir_camera(0.0, 10.0, tilt_deg=71.0)
    results = [seen_by(proposal("down"), camera), seen_by(proposal("limb"), limb)]
    export(write_store(tmp_path / "run.h5", results), "stac", tmp_path / "o")
    told = {key: item.properties for key, item in valid_items(tmp_path / "o").items()}
    view, at = told["down"], camera.pixel_to_lonlat(319.5, 212.5)
    sight, up = np.array(camera.position_ecef_m) - ecef_of(*at), ecef_of(*at, 1.0) - ecef_of(*at)
    slant_m = np.linalg.norm(sight)
    incidence = math.acos(sight @ up / slant_m)
    # The Sun of 28 March 2012, 15:46:41 UTC: declination 3.2 degrees, noon 5 minutes late
    lat, sun = math.radians(at[1]), math.radians(3.2)
    hour = math.radians((15.778 - 0.087 - 12.0) * 15.0 + at[0])
    high = math.sin(lat) * math.sin(sun) + math.cos(lat) * math.cos(sun) * math.cos(hour)
    east = -math.cos(sun) * math.sin(hour)
    north = math.cos(lat) * math.sin(sun) - math.sin(lat) * math.cos(sun) * math.cos(hour)
    expected = {
        "off_nadir": 40.0, "azimuth": 0.0, "incidence_angle": math.degrees(incidence),
        "sun_elevation": math.degrees(math.asin(high)),
        "sun_azimuth": math.degrees(math.atan2(east, north)),
    }  # fmt: skip
    assert {key: view[f"view:{key}"] % 360.0 for key in expected} == pytest.approx(
        {key: value % 360.0 for key, value in expected.items()}, abs=0.15
    )
    gsd_m = slant_m / 1506.1 / math.sqrt(math.cos(incidence))
    assert view["gsd"] == pytest.approx(gsd_m, rel=1e-3)
    # A middle in the sky has a direction but no ground
    view = told["limb"]
    assert view["view:off_nadir"] == pytest.approx(71.0, abs=0.1)
    assert {key for key in view if key.startswith("view:")} == {"view:off_nadir", "view:azimuth"}
    assert "gsd" not in view


@pytest.mark.parametrize("name", ["a.jpg", "a b#c?d%20é\n🌃.png", "up/../javascript:x.jpg"])
def test_the_photo_is_found_from_its_item(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos" / "up").mkdir(parents=True)
    path = tmp_path / "photos" / Path(name).parent / Path(name).name
    result = photographed(proposal(), path)
    export(write_store(tmp_path / "run.h5", [result]), "stac", tmp_path / "catalogue")
    (item,) = valid_items(tmp_path / "catalogue").values()
    photo = item.assets["photo"]
    assert photo.href.startswith("../photos/")
    assert ":" not in photo.href
    assert (tmp_path / "catalogue" / unquote(photo.href)).samefile(path)
    assert photo.extra_fields["file:checksum"] == "1220" + result.sha256


def test_addresses_of_photos_hold_no_secret_and_no_script(tmp_path: Path) -> None:
    starts = {
        "https://me:pw@host.invalid/a b.jpg?token=x": "https://host.invalid/a%20b.jpg?token=***",
        "s3://bucket/a.jpg": "s3://bucket/a.jpg",
        "javascript:alert(1)": "../javascript%3Aalert%281%29",
        "javascript://%0aalert(1)": "../javascript%3A/",
        "data:text/html,<b>": "../data%3Atext/",
    }
    results = [replace(proposal(f"f{k}"), path=path) for k, path in enumerate(starts)]
    results.append(replace(proposal("x"), path="x/a.jpg", sha256="../../../up"))
    export(write_store(tmp_path / "run.h5", results), "stac", tmp_path / "o")
    items = {item.properties["title"]: item for item in valid_items(tmp_path / "o").values()}
    for number, start in enumerate(starts.values()):
        assert items[f"f{number}"].assets["photo"].href.startswith(start)
    # A hash that is none is in no name
    assert "file:checksum" not in items["x"].assets["photo"].extra_fields


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
    (out / "photo.sigma.tif").write_bytes(b"no TIFF")
    other = write_store(tmp_path / "other.h5", [replace(photo, sha256="ab" * 32)])
    export(other, "stac", out, "--force")
    (item,) = valid_items(out).values()
    assert set(item.assets) == {"photo", "control_points"}
    said = run("export", store, "--format", "stac", "--out", tmp_path / "p", "--json")
    assert (said.records[0]["frames"], said.records[0]["files"]) == (1, 3)
