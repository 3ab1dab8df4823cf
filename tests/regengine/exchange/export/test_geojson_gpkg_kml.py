"""GeoJSON, GeoPackage and KML, read back by GDAL, and by rules of the standards."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import geopandas as gpd
import pyogrio
import pytest
from shapely.geometry import shape

from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export, try_export, write_store


def test_layers_can_be_chosen(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "nadirs.json"
    export(everywhere, "geojson", out, "--layers", "nadirs")
    features = json.loads(out.read_text())["features"]
    places = [shape(feature["geometry"]) for feature in features]
    assert [place.x for place in places] == pytest.approx([179.9, 10.0, 20.0])
    assert features[0]["properties"]["camera_altitude_km"] == pytest.approx(391.2)
    assert try_export(everywhere, "geojson", tmp_path / "x.json", "--layers", "a").exit_code == 2


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
    layers = dict(pyogrio.list_layers(tmp_path / "all.gpkg"))
    assert layers == {"footprints": "MultiPolygon", "nadirs": "Point", "points": "Point"}
    points = gpd.read_file(tmp_path / "all.gpkg", layer="points")
    info = pyogrio.read_info(tmp_path / "all.gpkg", layer="points")
    assert info["total_bounds"] == pytest.approx(points.total_bounds)
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


KML = "{http://www.opengis.net/kml/2.2}"


def test_times_and_styles_are_google_earths(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.kml"
    export(everywhere, "kml", out, "--layers", "nadirs")
    document = ElementTree.parse(out).getroot()[0]
    mark = document.findall(f"{KML}Folder/{KML}Placemark")[0]
    # The standard has these in this order
    order = ["name", "TimeStamp", "styleUrl", "ExtendedData", "Point"]
    assert [child.tag.removeprefix(KML) for child in mark] == order
    assert mark.findtext(f"{KML}name") == "sea"
    assert mark.findtext(f"{KML}TimeStamp/{KML}when") == "2012-03-28T15:46:41Z"
    style = mark.findtext(f"{KML}styleUrl")
    assert style in {f"#{one.get('id')}" for one in document.findall(f"{KML}Style")}


def test_what_xml_cannot_hold_does_not_break_it(tmp_path: Path) -> None:
    result = replace(proposal("a\x01\x0b\r]]>&amp;\ufffe"), path="\udcff.jpg")
    out = tmp_path / "all.kml"
    export(write_store(tmp_path / "run.h5", [result]), "kml", out)
    name = ElementTree.parse(out).getroot()[0].findtext(f"{KML}Folder/{KML}Placemark/{KML}name")
    assert name == "a__\r]]>&amp;_"
