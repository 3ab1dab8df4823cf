"""KML, read back by GDAL's LIBKML through pyogrio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyogrio
import pytest
from shapely import from_wkb

from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export, write_store

KML = "{http://www.opengis.net/kml/2.2}"


def test_gdal_reads_the_folders(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.kml"
    export(everywhere, "kml", out)
    assert [name for name, _ in pyogrio.list_layers(out)] == ["footprints", "nadirs", "points"]
    meta, _, geometry, fields = pyogrio.raw.read(out, layer="footprints")
    told = dict(zip(meta["fields"], fields, strict=True))
    assert list(told["frame"]) == ["sea", "limb", '<b>"é\n🌃']
    assert list(told["Name"][:2]) == ["sea", "limb"]
    assert told["matched_lights"].dtype.kind == "i"
    assert told["camera_altitude_km"] == pytest.approx([391.2] * 3)
    shapes = [from_wkb(wkb) for wkb in geometry]
    assert all(one.is_valid for one in shapes)
    assert [one.geom_type for one in shapes] == ["MultiPolygon", "Polygon", "Polygon"]
    points = from_wkb(pyogrio.raw.read(out, layer="points")[2])
    expected = proposal().control_points[0]
    assert (points[0].x, points[0].y) == (expected.lon, expected.lat)


def test_times_and_styles_are_google_earths(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.kml"
    export(everywhere, "kml", out, "--layers", "nadirs")
    document = ElementTree.parse(out).getroot()[0]
    mark = document.findall(f"{KML}Folder/{KML}Placemark")[0]
    # The standard has these in this order
    order = ["name", "TimeStamp", "styleUrl", "ExtendedData", "Point"]
    assert [child.tag.removeprefix(KML) for child in mark] == order
    assert mark.findtext(f"{KML}TimeStamp/{KML}when") == "2012-03-28T15:46:41Z"
    style = mark.findtext(f"{KML}styleUrl")
    assert style in {f"#{one.get('id')}" for one in document.findall(f"{KML}Style")}


def test_what_xml_cannot_hold_does_not_break_it(tmp_path: Path) -> None:
    result = replace(proposal("a\x01\x0b\r]]>&amp;\ufffe"), path="\udcff.jpg")
    out = tmp_path / "all.kml"
    export(write_store(tmp_path / "run.h5", [result]), "kml", out)
    name = ElementTree.parse(out).getroot()[0].findtext(f"{KML}Folder/{KML}Placemark/{KML}name")
    assert name == "a__\r]]>&amp;_"
