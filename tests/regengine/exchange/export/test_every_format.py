"""What all formats keep alike: each test goes through those that are registered."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import pytest

from regengine.exchange.export.columns import FRAME_COLUMNS
from regengine.exchange.export.format import FileFormat
from regengine.exchange.export.formats import format_name, format_names, known_format
from regengine.result import SolvedCamera
from tests.command_line import invoke
from tests.example_results import nadir_camera, proposal
from tests.regengine.exchange.export.exported import export, photographed, try_export, write_store

# What a format must be told, or is quicker with
OPTIONS = {"sql": ("--dialect", "postgresql"), "geotiff": ("--as", "record")}
EVERY = pytest.mark.parametrize("name", format_names())
MAPS = pytest.mark.parametrize("name", ["geojson", "gpkg", "kml", "parquet"])


def output(name: str, folder: Path) -> Path:
    form = known_format(name)
    return folder / (f"all{form.endings[0]}" if isinstance(form, FileFormat) else "all")


def files(out: Path) -> list[Path]:
    return sorted(out.iterdir()) if out.is_dir() else [out]


@pytest.fixture(scope="module")
def limb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that is there, with all that any format asks for: points, a time, some sky."""
    folder = tmp_path_factory.mktemp("limb")
    camera = replace(nadir_camera(136.9, 35.7, tilt_deg=70.0), focal_px=600.0)
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=70.0)
    result = replace(photographed(proposal("limb"), folder / "limb.jpg"), solved=solved)
    return write_store(folder / "run.h5", [result])


@EVERY
def test_what_exists_is_kept_unless_forced(name: str, limb: Path, tmp_path: Path) -> None:
    out, words = output(name, tmp_path), OPTIONS.get(name, ())
    export(limb, name, out, *words)
    written = files(out)
    for path in written:
        path.write_text("mine")
    refused = try_export(limb, name, out, *words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert {path.read_text() for path in written} == {"mine"}
    export(limb, name, out, "--force", *words)
    assert files(out) == written
    assert b"mine" not in {path.read_bytes() for path in written}
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize(("name", "package"), [("parquet", "pyarrow"), ("stac", "pystac")])
def test_without_its_package_it_is_said_what_to_do(
    name: str, package: str, limb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = try_export(limb, name, output(name, tmp_path))
    assert result.exit_code == 2
    assert "regengine[gis]" in result.stderr
    assert list(tmp_path.iterdir()) == []


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
def test_geopandas_reads_places_and_types(name: str, everywhere: Path, tmp_path: Path) -> None:
    ground = layer_of(name, everywhere, tmp_path, "footprints")
    assert ground.crs.to_string() in ("EPSG:4326", "OGC:CRS84")
    assert {column.name for column in FRAME_COLUMNS} <= set(ground.columns)
    assert list(ground.frame) == ["sea", "limb", '<b>"é\n🌃']
    assert ground.geometry.is_valid.all()
    sea = ground.geometry[0]
    assert (sea.geom_type, sea.bounds[0], sea.bounds[2]) == ("MultiPolygon", -180.0, 180.0)
    assert sea.area < 10.0
    assert ground.matched_lights.dtype.kind == "i"
    assert ground.mirrored.dtype.kind == "b"
    assert list(ground.camera_altitude_km) == pytest.approx([391.2] * 3)
    assert str(ground.time_utc[0]).startswith(("2012-03-28 15:46:41", "2012-03-28T15:46:41"))
    if name == "parquet":
        assert str(ground.time_utc.dtype.tz) == "UTC"
    points = layer_of(name, everywhere, tmp_path, "points")
    expected = proposal().control_points
    assert len(points) == 3 * len(expected)
    assert list(points.geometry.x[:4]) == [point.lon for point in expected]
    assert list(points.geometry.y[:4]) == [point.lat for point in expected]
    assert list(points.sigma_m[:4]) == [point.sigma_m for point in expected]


@MAPS
def test_what_is_missing_is_null(name: str, store: Path, tmp_path: Path) -> None:
    ground = layer_of(name, store, tmp_path, "footprints", "--verdict", "all")
    assert ground.reviewer.isna().all()
    without = ground[ground.focal_px.isna()]
    # A table has a row for a frame without a proposal, a map has nothing to draw of it
    assert list(without.frame) == (["ISS001-E-1"] if name == "parquet" else [])
    assert without.geometry.isna().all()
    assert len(layer_of(name, store, tmp_path, "points", "--where", "frame = 'no such'")) == 0


@pytest.mark.parametrize(
    ("typed", "name"),
    [("geopackage", "gpkg"), ("GPKG", "gpkg"), (".tif", "geotiff"), ("GeoTIFF", "geotiff")],
)
def test_formats_are_known_by_what_people_call_them(typed: str, name: str) -> None:
    assert format_name(typed) == name


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("shapefile", "--format shapefile: write gpkg, which every GIS reads"),
        ("postgis", "--format postgis: write sql with --dialect postgresql"),
        ("dxf", "--format dxf: it is none of csv, fits"),
    ],
)
def test_what_is_not_written_names_what_serves(typed: str, says: str, tmp_path: Path) -> None:
    said = invoke("export", "run.h5", "--format", typed, "--out", tmp_path / "out")
    assert said.exit_code == 2
    assert says in said.stderr
