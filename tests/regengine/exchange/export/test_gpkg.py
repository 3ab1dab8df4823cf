"""GeoPackage, read back by GDAL through pyogrio and GeoPandas, and by rules of the standard."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest

from regengine.exchange.export.columns import FRAME_COLUMNS
from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export


def test_geopandas_reads_layers_types_and_places(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.gpkg"
    export(everywhere, "gpkg", out)
    layers = dict(pyogrio.list_layers(out))
    assert layers == {"footprints": "MultiPolygon", "nadirs": "Point", "points": "Point"}
    ground = gpd.read_file(out, layer="footprints")
    assert ground.crs.to_epsg() == 4326
    assert ground.geometry.is_valid.all()
    assert list(ground.frame) == ["sea", "limb", '<b>"é\n🌃']
    assert list(ground.columns) == [*(column.name for column in FRAME_COLUMNS), "geometry"]
    assert ground.mirrored.dtype.kind == "b"
    assert ground.matched_lights.dtype.kind == "i"
    points = gpd.read_file(out, layer="points")
    expected = proposal().control_points
    assert list(points.geometry.x[:4]) == [point.lon for point in expected]
    assert list(points.geometry.y[:4]) == [point.lat for point in expected]
    info = pyogrio.read_info(out, layer="points")
    assert info["total_bounds"] == pytest.approx(points.total_bounds)


def test_frames_that_lack_values_have_nulls(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.gpkg"
    export(store, "gpkg", out, "--layers", "points,footprints", "--verdict", "all")
    assert set(dict(pyogrio.list_layers(out))) == {"points", "footprints"}
    assert gpd.read_file(out, layer="footprints").reviewer.isna().all()


def test_it_is_a_geopackage_by_the_standards_own_rules(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.gpkg"
    export(store, "gpkg", out)
    with closing(sqlite3.connect(out)) as base:
        # Requirements 2, 6 and 7
        assert base.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
        # Requirement 11: these three reference systems
        systems = base.execute("SELECT srs_id FROM gpkg_spatial_ref_sys ORDER BY 1").fetchall()
        assert systems == [(-1,), (0,), (4326,)]
        # Requirement 19: the blob's magic and version
        (blob,) = base.execute("SELECT geom FROM footprints").fetchone()
        assert blob[:3] == b"GP\0"


def statements(path: Path) -> dict[str, str]:
    """What the index of points and its triggers are made with, without white space."""
    with closing(sqlite3.connect(path)) as base:
        rows = base.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE 'rtree_points%'")
        return {name: "".join(sql.split()) for name, sql in rows}


def test_the_spatial_index_is_made_as_gdal_makes_it(everywhere: Path, tmp_path: Path) -> None:
    export(everywhere, "gpkg", tmp_path / "all.gpkg")
    points = gpd.read_file(tmp_path / "all.gpkg", layer="points")
    by_gdal = tmp_path / "gdal.gpkg"
    pyogrio.write_dataframe(points, by_gdal, layer="points", dataset_options={"VERSION": "1.3"})
    assert statements(tmp_path / "all.gpkg") == statements(by_gdal)
    entry = "SELECT * FROM gpkg_extensions WHERE table_name = 'points'"
    boxes = "SELECT * FROM rtree_points_geom ORDER BY id"
    for query in (entry, boxes):
        with (
            closing(sqlite3.connect(tmp_path / "all.gpkg")) as ours,
            closing(sqlite3.connect(by_gdal)) as theirs,
        ):
            assert ours.execute(query).fetchall() == theirs.execute(query).fetchall()


def test_gdal_finds_features_by_the_index_and_keeps_it(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.gpkg"
    export(everywhere, "gpkg", out)
    assert pyogrio.read_info(out, layer="footprints")["capabilities"]["fast_spatial_filter"]
    box = (9.0, 15.0, 21.0, 50.0)
    found = gpd.read_file(out, layer="footprints", bbox=box)
    assert list(found.frame) == ["limb", '<b>"é\n🌃']
    # What the index does not hold is not found: it is used
    with closing(sqlite3.connect(out)) as base, base:
        base.execute("DELETE FROM rtree_footprints_geom WHERE id = 3")
    assert list(gpd.read_file(out, layer="footprints", bbox=box).frame) == ["limb"]
    nadir = gpd.read_file(out, layer="nadirs").iloc[:1]
    pyogrio.write_dataframe(nadir, out, layer="nadirs", append=True)
    with closing(sqlite3.connect(out)) as base:
        assert base.execute("SELECT count(*) FROM rtree_nadirs_geom").fetchone() == (4,)
        assert base.execute("SELECT rtreecheck('rtree_nadirs_geom')").fetchone() == ("ok",)


def test_a_layer_without_features_has_an_empty_index(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "none.gpkg"
    export(store, "gpkg", out, "--where", "frame = 'no such'")
    assert len(gpd.read_file(out, layer="points", bbox=(0.0, 0.0, 90.0, 90.0))) == 0
