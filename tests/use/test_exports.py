"""Exports: each opened by another program, and none of it half written."""

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
import warnings
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree  # of what was just written

import duckdb
import geopandas as gpd
import h5py
import numpy as np
import pandas as pd
import pyogrio
import pystac
import pytest
import rasterio
import tifffile
from PIL import Image
from pyproj import CRS, Geod, Transformer
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.view import ViewExtension
from scipy import ndimage
from scipy.spatial.transform import Rotation
from shapely import Point
from shapely.geometry import shape

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, local_axes
from tests.world.exports import (
    decide,
    engine_points,
    export,
    nadir_camera,
    nothing_found,
    of_photo,
    offline_validator,
    photographed,
    proposal,
    seen_by,
    settings_with,
    valid_items,
    work,
    write_store,
)
from tests.world.program import begin, run
from tests.world.samples import LIGHTS

FILES = {
    "csv": "all.csv",
    "geojson": "all.geojson",
    "gpkg": "all.gpkg",
    "parquet": "all.parquet",
    "sql": "all.sql",
}
OPTIONS = {"sql": ("--dialect", "postgresql"), "geotiff": ("--files", "record")}
EVERY = pytest.mark.parametrize("name", [*FILES, "gcp", "geotiff", "qgis", "rpc", "stac"])
MAPS = pytest.mark.parametrize("name", ["geojson", "gpkg", "parquet"])
ALL = ("--verdict", "all")
HOSTILE = [
    "../../up.jpg",
    "/etc/passwd",
    "..",
    "a/..",
    "",
    "C:" + "\\photos\\a.jpg",
    "quo\"te's.jpg",
    "new\nline.jpg",
    "\u202egpj.exe",
    "émoji 🌃.jpg",
    "-rf.jpg",
    "x" * 300 + ".jpg",
    "https://host.invalid/a/b.jpg?x=../..",
    "same.jpg",
    "other/SAME.jpg",
]


def written(out: Path) -> dict[str, bytes]:
    paths = sorted(out.iterdir()) if out.is_dir() else [out]
    return {path.name: path.read_bytes() for path in paths}


def output(name: str, folder: Path) -> Path:
    return folder / FILES.get(name, "all")


@pytest.fixture(scope="module")
def limb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that is there, with all that any format asks for: points, a time, some sky."""
    folder = tmp_path_factory.mktemp("limb")
    camera = replace(nadir_camera(136.9, 35.7, tilt_deg=70.0), focal_px=600.0)
    result = seen_by(photographed(proposal("limb"), folder / "limb.jpg"), camera)
    return write_store(folder / "run.h5", [result])


@EVERY
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


def test_equal_exports_have_equal_bytes_where_a_time_is_unknown(tmp_path: Path) -> None:
    write_store(tmp_path / "run.h5", [nothing_found()])
    for moment in ("first", "second"):
        export(tmp_path / "run.h5", "stac", tmp_path / moment / "o", *ALL)
    assert written(tmp_path / "first" / "o") == written(tmp_path / "second" / "o")
    (item,) = valid_items(tmp_path / "first" / "o").values()
    assert (item.datetime, item.properties["datetime"]) == (None, None)
    start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
    assert start is not None
    assert (start.year, end) == (1998, datetime(2026, 11, 20, 12, tzinfo=UTC))


@pytest.mark.parametrize(("name", "package"), [("gpkg", "pyogrio"), ("parquet", "pyarrow")])
def test_without_its_package_it_is_said_what_to_do(
    name: str, package: str, limb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = export(limb, name, output(name, tmp_path), code=2)
    assert "regengine[" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("shapefile", "--format shapefile: use gpkg, which every GIS reads"),
        ("postgis", "--format postgis: use sql with --dialect postgresql"),
        ("kml", "--format kml: use geojson, which Google Earth opens"),
        ("fits", "--format fits: use regengine solve --wcs"),
        ("dxf", "--format dxf: unknown format; choose from csv, gcp"),
        ("GeoPackage", "must end in .gpkg"),
        (".TIF", "is a file: --format geotiff writes files into a folder"),
    ],
)
def test_formats_are_known_by_what_people_call_them(
    typed: str, says: str, limb: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.x").write_text("")
    assert says in export(limb, typed, tmp_path / "out.x", code=2).err


@pytest.mark.parametrize(
    ("name", "out", "words"),
    [
        ("csv", "points.txt", []),
        ("csv", "no_such_folder/points.csv", []),
        ("csv", "points.csv", ["--table", "photos"]),
        ("csv", "there.csv", []),
        ("csv", "link.csv", []),
        ("geojson", "a.json", ["--layers", "roads"]),
        ("qgis", "o", ["--verdict", ""]),
        ("qgis", "o", ["--verdict", "accepted,"]),
        ("qgis", "o", ["--verdict", "good"]),
        ("sql", "a.sql", []),
        ("sql", "a.sql", ["--dialect", "oracle"]),
        ("csv", "a.csv", ["--dialect", "mysql"]),
        ("gcp", "o", ["--files", "jpg"]),
        ("geotiff", "o", ["--files", "warp"]),
        ("rpc", "o", ["--files", "tif"]),
        ("geotiff", "o", ["--crs", "EPSG:999999"]),
        ("geotiff", "o", ["--resolution", "-1"]),
        ("geotiff", "o", ["--resolution", "0"]),
        ("geotiff", "o", ["--resolution", "inf"]),
    ],
)
def test_what_cannot_be_written_is_told_and_left(
    name: str, out: str, words: list[str], limb: Path, tmp_path: Path
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    before = set(tmp_path.rglob("*"))
    assert export(limb, name, tmp_path / out, *words, code=2).err.count("\n") == 1
    assert {path for path in tmp_path.rglob("*") if not path.is_dir()} <= before
    assert (tmp_path / "there.csv").read_text() == "mine"


# Tables and layers -------------------------------------------------------------------------------


def test_the_format_is_that_of_the_name_and_text_goes_to_standard_output(
    store: Path, tmp_path: Path
) -> None:
    for name, out in (("csv", "a.csv"), ("geojson", "b.json"), ("sql", "c.sql")):
        words = ("--dialect", "postgresql") if name == "sql" else ()
        said = run("export", store, "-o", tmp_path / out, *words)
        assert said.code == 0, said.err
        printed = run("export", store, "--format", name, "--out", "-", *words)
        assert printed.code == 0, printed.err
        assert printed.out == (tmp_path / out).read_text("utf-8")
    for words, why in (
        (("-o", "-", "--format", "qgis"), "choose csv, geojson, sql"),
        (("-o", "-", "--format", "csv", "--json"), "so does --json"),
        (("-o", "-"), "the ending names no format"),
        (("-o", tmp_path / "points"), "choose --format from csv"),
        (("-o", "a.xlsx"), "use csv, which spreadsheets open"),
    ):
        said = run("export", store, *words)
        assert (said.code, said.out) == (2, ""), said.err
        assert why in said.err


def test_pandas_reads_every_number_of_every_verdict_back(store: Path, tmp_path: Path) -> None:
    export(store, "csv", tmp_path / "frames.csv", "--table", "frames", *ALL)
    exactly = {"keep_default_na": False, "na_values": [""]}
    frames = pd.read_csv(tmp_path / "frames.csv", **exactly)
    with h5py.File(store) as file:
        stored = {name: file["frames"][name][:] for name in ("probability", "focal_px", "verdict")}
        points = {name: file["control_points"][name][:] for name in ("x", "y", "lon", "lat")}
    assert list(frames.frame_index) == list(range(40))
    assert list(frames.verdict) == [verdict.decode() for verdict in stored["verdict"]]
    for name in ("probability", "focal_px"):
        assert np.allclose(frames[name], stored[name], rtol=1e-15, atol=0.0, equal_nan=True)
    assert frames.off_nadir_deg[3] == pytest.approx(45.0, abs=0.01)
    assert frames.camera_altitude_km[3] == pytest.approx(391.2)
    export(store, "csv", tmp_path / "points.csv", *ALL)
    table = pd.read_csv(tmp_path / "points.csv", **exactly)
    for name, column in points.items():
        assert np.allclose(table[name], column, rtol=1e-15, atol=0.0)
    assert set(table.covariance_m_en) == {-120.0}
    kinds = {"x": "f", "point": "i", "lights": "i"}
    assert {name: table[name].dtype.kind for name in kinds} == kinds
    asked = f"SELECT count(*) FROM read_csv('{tmp_path}/frames.csv') WHERE off_nadir_deg IS NULL"
    assert duckdb.sql(asked).fetchall() == [(10,)]


def test_names_that_a_spreadsheet_would_run_are_text(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", 'a"b,c', "two\nlines", "émoji 🌃", "-1"]
    results = [replace(proposal(name), path=f"={name}.jpg") for name in names]
    export(
        write_store(tmp_path / "run.h5", results), "csv", tmp_path / "f.csv", "--table", "frames"
    )
    table = pd.read_csv(tmp_path / "f.csv", dtype=str)
    assert list(table.frame) == ["'=cmd|' /C calc'!A0", 'a"b,c', "two\nlines", "émoji 🌃", "'-1"]
    assert all(path.startswith("./=") for path in table.path)


@pytest.mark.parametrize("name", ["gpkg", "geojson"])
def test_geopandas_reads_maps_without_a_warning(name: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [proposal(), nothing_found()])
    out = output(name, tmp_path)
    export(store, name, out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for layer in ("footprints", "points") if name == "gpkg" else (None,):
            read = gpd.read_file(out, layer=layer)
            assert len(read)
            if layer != "points":
                assert read.light_map[0] == "Black Marble 2016"


GIRTH_M = 2.0 * math.pi * 6378137.0


@pytest.mark.parametrize(("crs", "edge"), [("EPSG:3857", 179.9), ("EPSG:3832", -30.1)])
def test_a_photo_moved_to_the_edge_of_a_map_is_drawn_the_same(
    tmp_path: Path, crs: str, edge: float
) -> None:
    """The edge of EPSG:3832 is at 30 degrees west."""
    size = GIRTH_M / 360.0 / 128.0
    drawn = []
    for lon in (136.9, edge):
        photo = tmp_path / f"{lon}.jpg"
        result = photographed(seen_by(proposal(), nadir_camera(lon)), photo)
        store = write_store(tmp_path / f"{lon}.h5", [result])
        out = tmp_path / f"o{lon}"
        export(store, "geotiff", out, "--crs", crs, "--resolution", size, "--files", "warped")
        (path,) = out.glob("*.tif")
        with rasterio.open(path) as raster:
            drawn.append((raster.read(), raster.transform))
    (here, at_here), (there, at_edge) = drawn
    assert here.shape == there.shape
    assert np.abs(there.astype(int) - here).mean() < 1.0
    moved_px = (at_edge.c - at_here.c) / size
    assert (moved_px - 128.0 * (edge - 136.9)) % (360 * 128) == pytest.approx(0.0, abs=1e-3)


def test_a_map_that_is_torn_there_is_told(tmp_path: Path) -> None:
    result = photographed(seen_by(proposal(), nadir_camera(179.9)), tmp_path / "a.jpg")
    store = write_store(tmp_path / "run.h5", [result])
    said = export(store, "geotiff", tmp_path / "o", "--crs", "EPSG:8857", code=1)
    assert "crosses the edge of EPSG:8857" in said.err
    assert "--resolution" not in said.err


def layer_of(name: str, store: Path, folder: Path, layer: str, *words: object) -> gpd.GeoDataFrame:
    """A layer as GeoPandas reads it."""
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
    ground = layer_of(name, store, tmp_path, "footprints", *ALL).set_index("frame_index")
    assert ground.crs.to_string() in ("EPSG:4326", "OGC:CRS84")
    # A table has a row for a frame without a camera, a map has nothing to draw of it
    placed = [*range(14), *range(24, 40)]
    assert list(ground.index) == (list(range(40)) if name == "parquet" else placed)
    if name == "parquet":
        assert ground.geometry[range(14, 24)].isna().all()
        assert str(ground.time_utc.dtype.tz) == "UTC"
    ground = ground.loc[placed]
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
    out = tmp_path / "some.json"
    export(store, "geojson", out, "--layers", "nadirs,footprints", "--where", "frame_index < 8")
    features = json.loads(out.read_text())["features"]
    by_layer = pd.Series([one["properties"]["layer"] for one in features]).value_counts()
    assert dict(by_layer) == {"nadirs": 8, "footprints": 8}
    nadirs = [one for one in features if one["properties"]["layer"] == "nadirs"]
    assert nadirs[0]["geometry"]["coordinates"] == pytest.approx([136.9, 35.7])
    for one in features:
        if one["geometry"]["type"] == "Polygon":
            assert shape(one["geometry"]).exterior.is_ccw


def test_it_is_a_geopackage_whose_index_gdal_uses_and_keeps(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.gpkg"
    export(store, "gpkg", out)
    with closing(sqlite3.connect(out)) as base:
        # Requirements 2, 6, 7, 11 and 19
        assert base.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
        systems = base.execute("SELECT srs_id FROM gpkg_spatial_ref_sys ORDER BY 1").fetchall()
        assert systems == [(-1,), (0,), (4326,)]
        (blob,) = base.execute("SELECT geom FROM footprints").fetchone()
        assert blob[:3] == b"GP\0"
        # When the frames were registered, not when they were exported
        changes = base.execute("SELECT DISTINCT last_change FROM gpkg_contents").fetchall()
        assert changes == [("2026-11-20T12:00:00.000Z",)]
    layers = dict(pyogrio.list_layers(out))
    assert layers == {"footprints": "MultiPolygon", "nadirs": "Point", "points": "Point"}
    assert pyogrio.read_info(out, layer="footprints")["capabilities"]["fast_spatial_filter"]
    box = (136.0, 35.0, 138.0, 36.0)
    names = list(gpd.read_file(out, layer="footprints", bbox=box).frame)
    assert "ISS030-E-184140" in names
    # What the index does not hold is not found: it is used
    with closing(sqlite3.connect(out)) as base, base:
        base.execute("DELETE FROM rtree_footprints_geom WHERE id = 1")
    assert "ISS030-E-184140" not in list(gpd.read_file(out, layer="footprints", bbox=box).frame)
    nadirs = gpd.read_file(out, layer="nadirs")
    pyogrio.write_dataframe(nadirs.iloc[:1], out, layer="nadirs", append=True)
    with closing(sqlite3.connect(out)) as base:
        count = base.execute("SELECT count(*) FROM rtree_nadirs_geom").fetchone()
        assert count == (len(nadirs) + 1,)
        assert base.execute("SELECT rtreecheck('rtree_nadirs_geom')").fetchone() == ("ok",)


def test_frames_and_points_have_the_cities_near_them(tmp_path: Path) -> None:
    def over(name: str, lon: float, lat: float, tilt_deg: float = 0.0) -> Any:
        whole = seen_by(proposal(name), nadir_camera(lon, lat, tilt_deg=tilt_deg))
        first = replace(whole.control_points[0], lon=lon, lat=lat)
        return replace(whole, control_points=(first, *whole.control_points[1:]))

    results = [
        over("land", -46.63, -23.55),
        over("sea", -150.0, 0.0),
        over("sky", 13.4, 52.5, tilt_deg=80.0),
        nothing_found("nothing"),
    ]
    store = write_store(tmp_path / "run.h5", results)
    export(store, "csv", tmp_path / "f.csv", "--table", "frames", *ALL)
    table = pd.read_csv(tmp_path / "f.csv").set_index("frame")
    columns = [f"{place}_{field}" for place in ("nadir", "centre") for field in ("city", "country")]
    told = table[columns].astype(object).where(table[columns].notna(), None)
    assert told.loc["land"].tolist() == ["São Paulo", "Brazil", "São Paulo", "Brazil"]
    assert told.loc["sea"].tolist() == told.loc["nothing"].tolist() == [None] * 4
    assert told.loc["sky"].tolist() == ["Berlin", "Germany", None, None]
    assert table.nadir_city_km["land"] < 5.0
    export(store, "gpkg", tmp_path / "p.gpkg")
    points = gpd.read_file(tmp_path / "p.gpkg", layer="points").set_index(["frame", "point"])
    assert points.loc[("sea", 0)][["city", "country", "city_km"]].isna().all()
    takayama = points.loc[("land", 1)]
    assert (takayama.city, takayama.country) == ("Takayama", "Japan")
    place = takayama.geometry
    metres = Geod(ellps="WGS84").inv(137.25, 36.1333, place.x, place.y)[2]  # by GeoNames
    assert takayama.city_km == pytest.approx(metres / 1e3, rel=0.006)


@pytest.mark.parametrize("source", ["tle", "option", "record", "lights"])
def test_a_row_calls_nothing_but_the_solved_cameras_place_nadir(
    source: str, tmp_path: Path
) -> None:
    """A prior that is 9,900 km beside: an element set 53 days old."""
    far = replace(proposal(), nadir=replace(proposal().nadir, lon=-100.0, lat=31.0, source=source))
    alone = replace(nothing_found(), nadir=far.nadir, verdict="review")
    store = write_store(tmp_path / "run.h5", [far, alone])
    export(store, "gpkg", tmp_path / "a.gpkg", *ALL)
    export(store, "csv", tmp_path / "f.csv", "--table", "frames", *ALL)
    nadirs = gpd.read_file(tmp_path / "a.gpkg", layer="nadirs")
    assert nadirs.frame.tolist() == [far.frame]
    place = nadirs.geometry.iloc[0]
    assert (place.x, place.y) == pytest.approx((136.9, 35.7))
    table = pd.read_csv(tmp_path / "f.csv").set_index("frame")
    for row in (nadirs.iloc[0], table.loc[far.frame], table.loc[alone.frame]):
        assert {name for name in row.index if name.startswith("nadir_")} == {
            "nadir_city", "nadir_country", "nadir_city_km",
        }  # fmt: skip
        prior = row[["prior_nadir_lon", "prior_nadir_lat", "prior_nadir_source"]]
        if source == "lights":
            assert prior.isna().all()
        else:
            assert prior.tolist() == [-100.0, 31.0, source]
    assert table.nadir_country.tolist()[0] == "Japan"
    assert table.nadir_country.isna().tolist() == [False, True]


def test_a_damaged_camera_spoils_no_other(store_copy: Path, tmp_path: Path) -> None:
    with h5py.File(store_copy, "r+") as file:
        file["frames/quaternion"][0] = 0.0
    export(store_copy, "geojson", tmp_path / "all.geojson", "--where", "frame_index < 2")
    features = json.loads((tmp_path / "all.geojson").read_text())["features"]
    told = [(one["properties"]["layer"], one["properties"]["frame_index"]) for one in features]
    alone = [("points", 0)] * 4
    assert told == [*alone, ("footprints", 1), ("nadirs", 1), *[("points", 1)] * 4]
    export(store_copy, "csv", tmp_path / "f.csv", "--table", "frames", "--where", "frame_index < 1")
    assert pd.read_csv(tmp_path / "f.csv").off_nadir_deg.isna().all()


# Which frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "frames"),
    [
        ([], [0, 1, 2, 3, 4, 5, 6, 7, 24, 26, 28, 30, 32, 34, 36, 38]),
        (["--verdict", "failed"], [20, 21, 22, 23]),
        (
            [*ALL, "--where", "time_utc >= '2012-03-28T18:50' AND category = 'cities'"],
            [27, 28, 29, 30, 31],
        ),
        ([*ALL, "--where", "off_nadir_deg > 1000 OR frame LIKE '%184141'"], [1]),
        ([*ALL, "--where", "probability IS NULL AND width_px IS NULL"], [20, 21, 22, 23]),
        (["--where", "frame_index = 2 -- and a comment ("], [2]),
        (["--where", '/* a "comment" */ ("FRAME_INDEX" = 2)'], [2]),
        (["--where", "frames.frame_index = 2 AND frame != ') OR (\"'"], [2]),
        (["--where", "abs(nadir_lon - 137.0) < 0.2"], [0, 32]),
    ],
)
def test_a_condition_chooses(
    words: list[str], frames: list[int], store: Path, tmp_path: Path
) -> None:
    said = export(store, "csv", tmp_path / "f.csv", "--table", "frames", *words, "--json")
    chosen = list(pd.read_csv(tmp_path / "f.csv").frame_index)
    assert chosen == frames
    assert said.records[0]["frames"] == len(chosen)


@pytest.mark.parametrize(
    "where",
    [
        "",
        "1 = 1; DROP TABLE frames",
        "no_such_column = 1",
        "(SELECT count(*) FROM sqlite_master) > 0",
        "load_extension('x')",
        "frame IN (WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a FROM t) SELECT a FROM t)",
        "1 = 1) UNION SELECT (1",
        "1 = 1) OR (1 = 1",
        "1 = 1 THEN 1 WHEN 1 = 1",
        "SELECT 1",
        "probability > (/* */ SELECT avg(probability) FROM frames)",
        "frame_index IN (VALUES (1))",
        "avg(probability) > 0",
        "rowid < 3",  # of a block of frames
        "writefile('x', 'y') = 1",
        "frame_index = 1 /*",
        # Text where a column is meant would be the same for every frame
        '"off_nadir" > 50',
        '"off_nadir" < 50',
        'NOT "off_nadir" IS NULL',
        'category = "cities"',
        'frame LIKE "ISS%"',
        'verdict IN ("accepted", "review")',
        'off_nadir_deg > 50 OR "x""y"',
        "'off_nadir_deg' > 50",
        "verdict = 'accepted' AND 'off_nadir_deg' > 50",
        "'off_nadir' > 50",
        "'accepted'",
        "'",
        "\0",
        "\ud800",
    ],
)
def test_a_condition_can_only_compare(where: str, store: Path, tmp_path: Path) -> None:
    said = export(store, "csv", tmp_path / "f.csv", "--where", where, code=2)
    assert "is not a valid condition" in said.err
    assert not (tmp_path / "f.csv").exists()


def test_what_is_left_out_is_told(store: Path, tmp_path: Path) -> None:
    said = export(store, "qgis", tmp_path / "o", *ALL, "--json")
    (told,) = said.records
    assert (told["frames"], told["left_out"]) == (30, {"no control points": 10})
    assert told["files"] == len(list((tmp_path / "o").iterdir())) == 30
    assert "excluded: 10 no control points" in said.err
    assert export(store, "qgis", store, code=2).out == ""
    assert export(tmp_path / "no.h5", "qgis", tmp_path / "p", code=3).out == ""


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
    turned = replace(nadir_camera(tilt_deg=3.0), focal_px=1400.0)
    lon, lat = (float(v) for v in turned.pixel_to_lonlat(200.0, 200.0))
    placed = [{"x": 200.0, "y": 200.0, "lon": lon, "lat": lat, "sigma_px": 1.0, "origin": "snap"}]
    decide(store, 0, results[0], "rejected", work(None, []), "eva")
    decide(store, 1, results[1], "accepted", work(nadir_camera(), engine_points(results[1])), "eva")
    decide(store, 2, results[2], "unsure", work(None, []), "tom")
    decide(store, 2, results[2], "accepted", work(turned, moved), "eva")
    decide(store, 3, results[3], "accepted", work(turned, placed), "=eva")
    return store


def table(store: Path, out: Path, *words: str) -> pd.DataFrame:
    export(store, "csv", out, "--force", *words)
    return pd.read_csv(out)


def test_what_people_accepted_counts_as_accepted(decided: Path, tmp_path: Path) -> None:
    frames = table(decided, tmp_path / "f.csv", "--table", "frames")
    assert list(frames.frame) == ["as_proposed", "moved", "placed", "nobodys"]
    assert list(frames.verdict) == ["accepted"] * 4
    assert list(frames.reviewer.fillna("")) == ["eva", "eva", "'=eva", ""]
    assert list(frames.disputed[:3].astype(str)) == ["False", "True", "False"]
    assert set(frames.comment.dropna()) == {"'=1+1"}
    assert frames.place[0] == "Ōsaka"
    # The fit is of the engine's camera, and tells nothing of another
    assert list(frames.residual_px.notna()) == [True, False, False, True]
    assert frames.focal_px[1] == 1400.0
    assert frames.off_nadir_deg[2] == pytest.approx(3.0, abs=1e-6)
    shown = [row["frame"] for row in run("show", decided, "--reviewed", "--json").records]
    said = export(decided, "csv", tmp_path / "p.csv", "--reviewed", "--json")
    assert set(pd.read_csv(tmp_path / "p.csv")["frame"]) == set(shown)
    (told,) = said.records
    assert (told["frames"], told["reviewed"]) == (3, 3)
    assert told["left_out"] == {"rejected in review": 1, "not accepted in review": 1}
    where = "decision = 'accepted' AND NOT disputed AND quality > 3"
    frames = table(decided, tmp_path / "f.csv", "--table", "frames", "--where", where)
    assert list(frames.frame) == ["as_proposed", "placed"]


def test_points_say_who_made_them_and_how_sure_they_are(decided: Path, tmp_path: Path) -> None:
    points = table(decided, tmp_path / "p.csv")
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
    assert table(store, tmp_path / "f.csv", "--table", "frames").focal_px.isna().all()
    decide(store, 0, result, "accepted", work(None, engine_points(result)), "eva")
    assert list(table(store, tmp_path / "f.csv", "--table", "frames").focal_px) == [1506.1]


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
    paths = [tmp_path / name for name in ("0/a.jpg", "1/A.png", "2/b.c.jpg", "3/a.jpg")]
    results = []
    for number, path in enumerate(paths):
        path.parent.mkdir()
        results.append(photographed(proposal(f"f{number}"), path))
    store = write_store(tmp_path / "run.h5", results)
    export(store, "geotiff", tmp_path / "o", "--files", "record")
    told = {
        path.name: json.loads(path.read_text())["frame"]["frame"]
        for path in (tmp_path / "o").iterdir()
    }
    assert len({name.casefold() for name in told}) == len(set(told.values())) == 4
    assert told["b.c.json"] == "f2"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qgis", "stac"])
def test_a_kill_leaves_whole_files_and_no_collection(name: str, tmp_path: Path) -> None:
    count = 150
    store = write_store(tmp_path / "run.h5", [proposal(f"f{number}") for number in range(count)])
    out = tmp_path / "o"
    if name == "stac":
        export(store, name, out)
        (out / "f0.stac.json").unlink()  # tells when the first is replaced
    process = begin("export", store, "--format", name, "--out", out, "--force")
    begun = out / ("f0.jpg.points" if name == "qgis" else "f0.stac.json")
    given_up = time.monotonic() + 120.0
    while not begun.exists() and process.poll() is None and time.monotonic() < given_up:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    paths = [path for path in out.iterdir() if not path.name.startswith(".")]
    if name == "stac":
        assert "collection.json" not in {path.name for path in paths}
        for path in paths:
            json.loads(path.read_text())
        assert "exist: nothing was written" in export(store, name, out, code=2).err
    else:
        assert 0 < len(paths) < count
        assert {len(path.read_text().splitlines()) for path in paths} == {6}
    export(store, name, out, "--force")
    if name == "stac":
        links = json.loads((out / "collection.json").read_text())["links"]
        assert sum(link["rel"] == "item" for link in links) == count


# Control points ----------------------------------------------------------------------------------


@pytest.fixture
def result(tmp_path: Path) -> Any:
    return photographed(proposal(), tmp_path / "a b & 'c'.jpg")


@pytest.fixture
def own(tmp_path: Path, result: Any) -> Path:
    """A store of this one photo."""
    return write_store(tmp_path / "run.h5", [result])


def check_points(path: Path, result: Any) -> np.ndarray:
    """GDAL finds the control points, half a pixel from the corner of a pixel; its pixels."""
    with rasterio.open(path) as dataset:
        points, crs = dataset.gcps
        assert crs.to_epsg() == 4326
        assert len(points) == 4
        for found, point in zip(points, result.control_points, strict=True):
            assert (found.col, found.row) == pytest.approx((point.x + 0.5, point.y + 0.5), abs=1e-4)
            assert (found.x, found.y) == pytest.approx((point.lon, point.lat), abs=1e-9)
        assert dataset.tags()["REGENGINE_FRAME"] == result.frame
        return np.asarray(dataset.read())


def test_gdal_reads_the_points_of_all_three_and_the_photo_stays(
    own: Path, result: Any, tmp_path: Path
) -> None:
    photo = Path(result.path)
    before = photo.read_bytes()
    with warnings.catch_warnings(action="ignore"), rasterio.open(photo) as dataset:
        pixels = dataset.read()
    export(own, "gcp", tmp_path, "--files", "vrt,aux,tif")
    # With PHOTO.aux.xml beside it the photo itself has control points
    for name in ("a b & 'c'.jpg", "a b & 'c'.gcp.vrt", "a b & 'c'.gcp.tif"):
        assert np.array_equal(check_points(tmp_path / name, result), pixels), name
    assert photo.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("a b & 'c'.jpg", "a b & 'c'.gcp.vrt"):
        shutil.move(tmp_path / name, moved / name)
    assert check_points(moved / "a b & 'c'.gcp.vrt", result).any()


def test_a_project_of_qgis_names_what_lies_beside_it(result: Any, tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [result], settings=settings_with(LIGHTS))
    export(store, "qgis", tmp_path, "--files", "project")
    text = (tmp_path / "a b & 'c'.qgs").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis ")
    root = ElementTree.fromstring(text)
    layers = {layer.findtext("id"): layer for layer in root.iterfind("projectlayers/maplayer")}
    in_tree = [each.attrib for each in root.iterfind("layer-tree-group/layer-tree-layer")]
    assert [each["id"] for each in in_tree] == [*layers] == ["points", "photo", "lights"]
    assert [each.get("id") for each in root.iterfind("layerorder/layer")] == [*layers][::-1]
    for each in in_tree:
        layer = layers[each["id"]]
        assert layer.findtext("datasource") == each["source"]
        assert layer.findtext("provider") == each["providerKey"]
        assert layer.findtext("srs/spatialrefsys/authid") == "EPSG:4326"
        assert CRS.from_wkt(layer.findtext("srs/spatialrefsys/wkt") or "").to_epsg() == 4326
    photo = tmp_path / (layers["photo"].findtext("datasource") or "")
    check_points(photo, result)
    bands = layers["photo"].find("pipe/rasterrenderer")
    assert bands is not None
    assert (bands.get("type"), bands.get("redBand")) == ("multibandcolor", "1")
    file, _, query = (layers["points"].findtext("datasource") or "").partition("?")
    wanted = dict(part.split("=") for part in query.split("&"))
    listed = tmp_path / unquote(file.removeprefix("file:"))
    points = pd.read_csv(listed, skiprows=int(wanted["skipLines"]))
    assert points[wanted["xField"]].tolist() == pytest.approx(
        [p.lon for p in result.control_points]
    )
    assert points[wanted["yField"]].tolist() == pytest.approx(
        [p.lat for p in result.control_points]
    )
    west, south, east, north = (
        float(root.findtext(f"mapcanvas/extent/{edge}") or "nan")
        for edge in ("xmin", "ymin", "xmax", "ymax")
    )
    assert all(west < p.lon < east and south < p.lat < north for p in result.control_points)
    assert layers["lights"].findtext("datasource") == str(LIGHTS)
    with rasterio.open(layers["lights"].findtext("datasource")) as dataset:
        assert dataset.count == 1
    plain = write_store(tmp_path / "plain.h5", [result])
    export(plain, "qgis", tmp_path / "plain", "--files", "project")
    without = ElementTree.parse(tmp_path / "plain" / "a b & 'c'.qgs")
    assert len(without.findall("projectlayers/maplayer")) == 2


def test_a_project_of_qgis_shows_a_map_of_a_palette_in_its_colours(
    result: Any, tmp_path: Path
) -> None:
    path = tmp_path / "palette.tif"
    with rasterio.open(LIGHTS) as dataset:
        shape = {"height": dataset.height, "width": dataset.width, "transform": dataset.transform}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:4326", count=1, dtype="uint8", **shape
    ) as dataset:
        dataset.write_colormap(1, {7: (99, 163, 221, 255)})
    store = write_store(tmp_path / "run.h5", [result], settings=settings_with(path))
    export(store, "qgis", tmp_path, "--files", "project")
    root = ElementTree.parse(tmp_path / "a b & 'c'.qgs")
    (renderer,) = root.findall(".//rasterrenderer[@type='paletted']")
    (entry,) = renderer.findall("colorPalette/paletteEntry[@value='7']")
    assert (entry.get("color"), entry.get("alpha")) == ("#63a3dd", "255")


def test_photos_that_are_gone_or_changed_are_told(result: Any, tmp_path: Path) -> None:
    changed = replace(result, frame="changed", sha256="0" * 64)
    gone = replace(proposal("gone"), path=str(tmp_path / "gone.jpg"))
    store = write_store(tmp_path / "run.h5", [changed, gone, result])
    told = export(store, "gcp", tmp_path / "o", "--files", "tif", "--json", code=1)
    assert list(told.records[0]["failed"]) == [result.path, gone.path]
    assert "is missing" in told.err
    assert len(list((tmp_path / "o").iterdir())) == 1
    store = write_store(tmp_path / "small.h5", [replace(result, width_px=320)])
    assert "another picture size" in export(store, "gcp", tmp_path / "p", code=1).err


def test_a_photo_is_never_written_to(result: Any, tmp_path: Path) -> None:
    photo, link, out = tmp_path / "x.gcp.tif", tmp_path / "x.tif", tmp_path / "o"
    shutil.copy(result.path, photo)
    link.symlink_to(photo)
    before = photo.read_bytes()
    store = write_store(tmp_path / "run.h5", [replace(result, path=str(link))])
    said = export(store, "gcp", tmp_path, "--files", "tif", "--force", code=1)
    assert "is the photo itself" in said.err
    assert photo.read_bytes() == before
    out.mkdir()
    shutil.copy(result.path, out / "collection.json")
    store = write_store(tmp_path / "s.h5", [replace(result, path=str(out / "collection.json"))])
    assert "is one of the photos" in export(store, "stac", out, "--force", code=2).err
    assert [path.name for path in out.iterdir()] == ["collection.json"]
    assert (out / "collection.json").read_bytes() == before


def read_as_qgis(text: str) -> tuple[str, list[tuple[float, float, float, float]]]:
    """What `QgsGCPList::loadGcps` makes of a file: CRS, then map x, y, source x, y.

    The first line names the CRS; the next is passed over whatever it is; every other line must
    have four cells or more, blank ones included.
    """
    first, _, *lines = text.removesuffix("\n").split("\n")
    cells = [line.split(",") for line in lines]
    assert all(len(one) >= 5 and int(one[4]) for one in cells)
    points = [(float(x), float(y), float(sx), float(sy)) for x, y, sx, sy, *_ in cells]
    return first.removeprefix("#CRS: "), points


def test_qgis_reads_the_points_back(own: Path, result: Any, tmp_path: Path) -> None:
    export(own, "qgis", tmp_path)
    # QGIS opens PHOTO.points by itself with the photo
    text = (tmp_path / f"{Path(result.path).name}.points").read_bytes().decode()
    assert "\r" not in text
    crs, points = read_as_qgis(text)
    assert CRS.from_wkt(crs).to_epsg() == 4326
    for (lon, lat, sx, sy), point in zip(points, result.control_points, strict=True):
        assert (lon, lat) == pytest.approx((point.lon, point.lat), abs=1e-8)
        # The middle of the upper left pixel is (0, 0) here and (0.5, -0.5) in QGIS
        assert (sx - 0.5, -sy - 0.5) == (point.x, point.y)


def test_across_the_antimeridian_points_stay_together(result: Any, tmp_path: Path) -> None:
    lons = (179.9, -179.9, -179.8, 179.8)
    points = [replace(p, lon=lon) for p, lon in zip(result.control_points, lons, strict=True)]
    store = write_store(tmp_path / "run.h5", [replace(result, control_points=tuple(points))])
    export(store, "gcp", tmp_path / "o", "--files", "tif")
    with rasterio.open(tmp_path / "o" / "a b & 'c'.gcp.tif") as dataset:
        of_gdal = [point.x for point in dataset.gcps[0]]
    export(store, "qgis", tmp_path / "o")
    _, read = read_as_qgis((tmp_path / "o" / "a b & 'c'.jpg.points").read_text())
    for found in (of_gdal, [point[0] for point in read]):
        assert found == pytest.approx([179.9, 180.1, 180.2, 179.8])


# Photos on the map -------------------------------------------------------------------------------

LAMPS = [(60.3, 50.8), (320.5, 213.1), (600.2, 100.4), (40.6, 380.2), (590.1, 390.7)]


def bent(lon: float, lat: float, tilt_deg: float, mirrored: bool = False) -> Camera:
    lens = (-0.08, 0.01, 0.001, -0.002, 0.0)
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg)
    return replace(camera, focal_px=900.0, distortion=lens, mirrored=mirrored)


def store_of_lamps(folder: Path, camera: Camera, sigma_px: float = 0.6) -> Path:
    """A photo ``lamps.png`` of lamps at known places, which are its control points."""
    y, x = np.mgrid[: camera.height_px, : camera.width_px]
    light = sum(np.exp(-((x - lx) ** 2 + (y - ly) ** 2) / (2 * 2.0**2)) for lx, ly in LAMPS)
    grey = np.rint(30 + 220 * np.minimum(light, 1.0)).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "lamps.png")
    lon, lat = camera.pixel_to_lonlat(*np.array(LAMPS).T)
    base, variance = proposal().control_points[0], sigma_px**2
    points = tuple(
        replace(base, x=lx, y=ly, lon=float(a), lat=float(b), sigma_px=sigma_px,
                covariance_px=(variance, 0.0, variance))
        for (lx, ly), a, b in zip(LAMPS, lon, lat, strict=True)
        if np.isfinite(a)
    )  # fmt: skip
    result = of_photo(seen_by(proposal("lamps"), camera), folder / "lamps.png")
    return write_store(folder / "run.h5", [replace(result, control_points=points)])


@pytest.mark.parametrize(
    ("camera", "crs"),
    [
        (bent(136.9, 35.7, 45.0, mirrored=True), "EPSG:3857"),
        (bent(179.9, -40.0, 30.0), "EPSG:4326"),
    ],
)
def test_lamps_lie_on_the_map_where_the_camera_sees_them(
    camera: Camera, crs: str, tmp_path: Path
) -> None:
    """Their centres on the map, taken back into the photo: within a fifth of a pixel."""
    store = store_of_lamps(tmp_path, camera)
    export(store, "geotiff", tmp_path / "o", "--crs", crs, "--files", "warped")
    with rasterio.open(tmp_path / "o" / "lamps.warped.tif") as dataset:
        assert dataset.crs.to_epsg() == int(crs.partition(":")[2])
        light, transform = dataset.read(1).astype(float), dataset.transform
    to_map = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    found, number = ndimage.label(light > 80)
    assert number == len(LAMPS)
    # Brightness over area of the photo, not of the map: weigh by how much a pixel covers
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    lon, lat = to_map.transform(*(transform @ (columns, rows)), direction="INVERSE")
    px, py = camera.ecef_to_pixel(geodetic_to_ecef(lon, lat))
    (px_y, px_x), (py_y, py_x) = np.gradient(px), np.gradient(py)
    weight = np.where(found > 0, (light - 80.0) * np.abs(px_x * py_y - px_y * py_x), 0.0)
    total = ndimage.sum(weight, found, range(1, number + 1))
    centres = [ndimage.sum(weight * p, found, range(1, number + 1)) / total for p in (px, py)]
    for lamp in LAMPS:
        assert np.hypot(centres[0] - lamp[0], centres[1] - lamp[1]).min() < 0.2, lamp


def test_a_photo_of_the_limb_has_no_data_in_the_sky(tmp_path: Path) -> None:
    camera = replace(bent(10.0, 20.0, 68.0), focal_px=700.0)
    store = store_of_lamps(tmp_path, camera, sigma_px=2.0)
    export(store, "geotiff", tmp_path / "o", "--resolution", "0.02")
    with rasterio.open(tmp_path / "o" / "lamps.warped.tif") as dataset:
        mask, colours = dataset.dataset_mask(), dataset.read()
        column, row = np.meshgrid(np.arange(dataset.width), np.arange(dataset.height))
        lon, lat = dataset.transform @ (column.ravel() + 0.5, row.ravel() + 0.5)
    with rasterio.open(tmp_path / "o" / "lamps.sigma.tif") as dataset:
        sigma = dataset.read(1)
        assert np.isnan(dataset.nodata)
        assert dataset.units == ("m",)
    seen = mask > 0
    x, y = camera.lonlat_to_pixel(lon, lat)
    inside = (x >= -0.5) & (x <= 639.5) & (y >= -0.5) & (y <= 425.5)
    # What is seen is in the photo; what is in the photo is seen but for ground that is too flat
    assert not (seen.ravel() & ~inside).any()
    assert 0.5 < (seen.sum() / inside.sum()) < 1.0
    assert colours[:, seen].min() >= 25
    assert colours[:, ~seen].max() == 0
    assert np.array_equal(np.isfinite(sigma), seen)
    record = json.loads((tmp_path / "o" / "lamps.json").read_text())
    assert record["map"]["crs"] == "EPSG:4326"
    assert record["camera"]["focal_px"] == 700.0
    assert record["frame"]["frame"] == "lamps"


def test_sigma_is_that_of_the_points_and_grows_away_from_them(tmp_path: Path) -> None:
    camera = bent(10.0, 45.0, 20.0)
    for sigma_px in (2.0, 4.0):
        folder = tmp_path / f"{sigma_px}"
        folder.mkdir()
        store = store_of_lamps(folder, camera, sigma_px=sigma_px)
        export(store, "geotiff", folder / "o", "--files", "sigma", "--resolution", "0.01")
    values = []
    for sigma_px in (2.0, 4.0):
        with rasterio.open(tmp_path / f"{sigma_px}" / "o" / "lamps.sigma.tif") as dataset:
            places = [camera.pixel_to_lonlat(x, y) for x, y in ((320.0, 213.0), (5.0, 5.0))]
            xy = [(float(lon), float(lat)) for lon, lat in places]
            values.append([float(value[0]) for value in dataset.sample(xy)])
    (near, far), (near_twice, far_twice) = values
    # Some 440 to 550 m a pixel; five points of 2 px know the middle better than one
    assert 2 * 400 / math.sqrt(5) * 0.6 < near < 2 * 550
    assert near < far
    # Beside 50 m of the map's own, twice as unsure points make twice as unsure places
    assert near_twice**2 - 50.0**2 == pytest.approx(4 * (near**2 - 50.0**2), rel=0.02)
    assert far_twice**2 - 50.0**2 == pytest.approx(4 * (far**2 - 50.0**2), rel=0.02)


def test_it_is_a_cloud_optimised_geotiff(tmp_path: Path) -> None:
    """GDAL says so, and the directories lie before the pixels, overviews' pixels first."""
    store = store_of_lamps(tmp_path, bent(10.0, 45.0, 20.0))
    out = tmp_path / "o"
    export(store, "geotiff", out, "--files", "warped,sigma", "--resolution", "0.002")
    for name in ("lamps.warped.tif", "lamps.sigma.tif"):
        with rasterio.open(out / name) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert max(dataset.width, dataset.height) / dataset.overviews(1)[-1] <= 512
            assert dataset.tags()["REGENGINE_FRAME"] == "lamps"
        with tifffile.TiffFile(out / name) as file:
            pages = list(file.pages)
            assert all(page.is_tiled for page in pages)
            first = [min(offset for offset in page.dataoffsets if offset) for page in pages]
            assert max(page.offset for page in pages) < min(first)
            smaller = [page.imagewidth < pages[0].imagewidth for page in pages]
            assert any(smaller)
            assert max(np.array(first)[smaller]) < first[0]
    said = export(store, "geotiff", tmp_path / "p", "--resolution", "0.0000001", code=1)
    assert "give a larger --resolution" in said.err
    assert not list(tmp_path.rglob("p/*"))


def test_coarse_maps_are_drawn_from_averages(tmp_path: Path) -> None:
    """A pattern that is finer than the map's pixels becomes grey instead of stripes."""
    stripes = np.tile(np.array([[0], [250]], np.uint8), (213, 640))
    Image.fromarray(np.stack([stripes] * 3, axis=-1)).save(tmp_path / "fine.png")
    result = of_photo(seen_by(proposal(), bent(10.0, 45.0, 0.0)), tmp_path / "fine.png")
    store = write_store(tmp_path / "run.h5", [result])
    export(store, "geotiff", tmp_path / "o", "--resolution", "0.03", "--files", "warped")
    with rasterio.open(tmp_path / "o" / "fine.warped.tif") as dataset:
        grey = dataset.read(1)[dataset.dataset_mask() > 0].astype(float)
    assert grey.std() < 30


# STAC --------------------------------------------------------------------------------------------


def test_pystac_reads_a_valid_catalogue_of_everything(store: Path, tmp_path: Path) -> None:
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
    assert "regengine:path" not in told
    assert told["regengine:credit"] == (
        "Image courtesy of the Earth Science and Remote Sensing Unit, NASA Johnson Space Center, "
        "ISS030-E-184140"
    )
    assert item.get_links("via")[0].href.endswith("photo.pl?mission=ISS030&roll=E&frame=184140")
    assert ProjectionExtension.ext(item.assets["photo"]).shape == [426, 640]
    for one in items.values():
        _, _, (wkb,), _ = pyogrio.raw.read(out / f"{one.id}.stac.json")  # GDAL's own reader
        assert (wkb is None) == (one.geometry is None) == (one.bbox is None)
        assert one.geometry is None or shape(one.geometry).is_valid
    nothing = items["ISS001-E-1"]
    assert nothing.geometry is None
    assert not {"view:off_nadir", "gsd"} & set(nothing.properties)
    points = json.loads((out / "ISS001-E-1.points.geojson").read_text())
    assert points == {"type": "FeatureCollection", "features": []}
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


def test_items_that_are_not_chosen_any_more_are_not_listed(limb: Path, tmp_path: Path) -> None:
    export(limb, "stac", tmp_path)
    export(limb, "stac", tmp_path, "--force", "--where", "frame = 'none'")
    assert valid_items(tmp_path) == {}
    assert (tmp_path / "limb.stac.json").is_file()  # nothing is removed that was not replaced
    told = json.loads((tmp_path / "collection.json").read_text())
    assert told["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]


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
    straight, cameras = nadir_camera(20.0, 50.0, tilt_deg=50.0), {}
    for bearing in (30.0, 135.0, 350.0):
        turn = Rotation.from_rotvec(-local_axes(20.0, 50.0)[2] * bearing, degrees=True)
        turned = (turn * Rotation.from_quat(straight.quaternion)).as_quat()
        cameras[f"{bearing:g}"] = replace(straight, quaternion=tuple(turned.tolist()))
    cameras["equator"] = replace(nadir_camera(179.9, 0.0, tilt_deg=40.0), distortion=(0.0,) * 5)
    cameras["limb"] = nadir_camera(0.0, 10.0, tilt_deg=71.0)
    results = [seen_by(proposal(name), camera) for name, camera in cameras.items()]
    store = write_store(tmp_path / "run.h5", results)
    export(store, "stac", tmp_path / "o")
    items = valid_items(tmp_path / "o")
    for bearing in ("30", "135", "350"):
        lon, lat = (float(one) for one in cameras[bearing].pixel_to_lonlat(319.5, 212.5))
        forward, _, _ = Geod(ellps="WGS84").inv(20.0, 50.0, lon, lat)
        found = ViewExtension.ext(items[bearing]).azimuth
        assert found == pytest.approx(forward % 360.0, abs=0.02)
        assert found == pytest.approx(float(bearing), abs=0.3)
    view, tilt = ViewExtension.ext(items["equator"]), math.radians(40.0)
    assert view.off_nadir == pytest.approx(40.0, abs=1e-3)
    # On a sphere of the equator's radius; the Earth is flatter there by 0.3 % towards the pole
    incidence = math.asin((6378.137 + 391.2) / 6378.137 * math.sin(tilt))
    assert view.incidence_angle == pytest.approx(math.degrees(incidence), abs=0.25)
    slant_m = 6378137.0 * math.sin(incidence - tilt) / math.sin(tilt)
    gsd_m = slant_m / 1506.1 / math.sqrt(math.cos(incidence))
    assert items["equator"].common_metadata.gsd == pytest.approx(gsd_m, rel=0.01)
    # A middle in the sky has a direction but no ground
    view = ViewExtension.ext(items["limb"])
    assert view.off_nadir == pytest.approx(71.0, abs=0.1)
    assert (view.incidence_angle, view.sun_elevation, view.sun_azimuth) == (None, None, None)
    assert "gsd" not in items["limb"].properties
    export(store, "sql", tmp_path / "a.sql", "--dialect", "mysql")
    said = re.findall(r"'((?:\w+ up, )?looking \w+)'", (tmp_path / "a.sql").read_text())
    ways = ("northeast", "southeast", "north", "north")
    assert said == [*(f"{way} up, looking {way}" for way in ways), "looking north"]


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
    assert FileExtension.ext(photo).checksum == "1220" + result.sha256


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
    photo = photographed(proposal(), tmp_path / "photo.jpg")
    store = write_store(tmp_path / "run.h5", [photo])
    out = tmp_path / "o"
    words = ("--crs", "EPSG:32653", "--resolution", "900", "--files", "warped,sigma")
    export(store, "geotiff", out, *words)
    export(store, "stac", out)
    (item,) = valid_items(out).values()
    assert set(item.assets) == {"photo", "control_points", "warped", "sigma"}
    facts = ProjectionExtension.ext(item.assets["warped"])
    with rasterio.open(out / "photo.warped.tif") as raster:
        assert facts.code == "EPSG:32653"
        assert facts.shape == list(raster.shape)
        assert facts.transform == list(raster.transform)[:6]
        assert facts.bbox == list(raster.bounds)
    (out / "photo.sigma.tif").write_bytes(b"no TIFF")
    other = write_store(tmp_path / "other.h5", [replace(photo, sha256="ab" * 32)])
    export(other, "stac", out, "--force")
    (item,) = valid_items(out).values()
    assert set(item.assets) == {"photo", "control_points"}
    said = run("export", store, "--format", "stac", "--out", tmp_path / "p", "--json")
    assert (said.records[0]["frames"], said.records[0]["files"]) == (1, 3)


def test_a_project_where_points_are_says_what_to_do(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [photographed(proposal("a"), tmp_path / "a.jpg")])
    export(store, "qgis", tmp_path)
    said = export(store, "qgis", tmp_path, "--files", "project", code=2).err
    assert "Name another folder with --out, or replace them with --force" in said
    assert "points of yours in them are lost, unless regengine import keeps them" in said
    export(store, "qgis", tmp_path, "--files", "project", "--force")
    assert (tmp_path / "a.qgs").is_file()
