"""GeoJSON, read back by GDAL through pyogrio."""

from __future__ import annotations

import json
from pathlib import Path

import pyogrio
import pytest
from shapely import from_wkb
from shapely.geometry import shape

from tests.regengine.exchange.export.exported import export, try_export


def test_gdal_reads_all_layers(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.geojson"
    export(everywhere, "geojson", out)
    meta, _, geometry, fields = pyogrio.raw.read(out)
    told = dict(zip(meta["fields"], fields, strict=True))
    assert meta["crs"] == "EPSG:4326"
    shapes = [from_wkb(wkb) for wkb in geometry]
    assert all(one.is_valid for one in shapes)
    kinds = [(layer, one.geom_type) for layer, one in zip(told["layer"], shapes, strict=True)]
    assert kinds.count(("footprints", "MultiPolygon")) == 1
    assert kinds.count(("footprints", "Polygon")) == 2
    assert kinds.count(("nadirs", "Point")) == 3
    assert kinds.count(("points", "Point")) == 12
    sea = shapes[kinds.index(("footprints", "MultiPolygon"))]
    assert (sea.bounds[0], sea.bounds[2]) == (-180.0, 180.0)
    assert sea.area < 10.0
    assert '<b>"é\n🌃' in told["frame"]


def test_layers_can_be_chosen(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "nadirs.json"
    export(everywhere, "geojson", out, "--layers", "nadirs")
    features = json.loads(out.read_text())["features"]
    places = [shape(feature["geometry"]) for feature in features]
    assert [place.x for place in places] == pytest.approx([179.9, 10.0, 20.0])
    assert features[0]["properties"]["camera_altitude_km"] == pytest.approx(391.2)
    assert try_export(everywhere, "geojson", tmp_path / "x.json", "--layers", "a").exit_code == 2


def test_without_frames_there_is_an_empty_collection(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "none.geojson"
    export(store, "geojson", out, "--where", "frame = 'no such'")
    assert len(json.loads(out.read_text())["features"]) == 0
    assert pyogrio.read_info(out)["features"] == 0


def test_frames_without_a_proposal_have_no_footprint(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.geojson"
    export(store, "geojson", out, "--verdict", "no_match")
    assert json.loads(out.read_text())["features"] == []
