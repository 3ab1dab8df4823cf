"""Photos warped onto the globe: KMZ for Google Earth, QGIS and GDAL.

One archive a photo: KML 2.2 with the warped picture as an overlay, the footprint, the control
points, and what is known of them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import cv2
import numpy as np

from regengine.export import warp
from regengine.export.formats import ExportOptions, FolderFormat
from regengine.export.formats.geotiff import read_photo
from regengine.frames.columns import COURTESY, archive_page, choose_layers, list_geojson
from regengine.frames.frame import ExportFrame

MAX_SIDE_PX = 4096  # of the overlay: what graphics cards of any age take as one texture
SHOWN = ("footprints", "points")


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    camera = frame.camera
    assert camera is not None
    grid = warp.map_grid(camera, options.crs, options.resolution)
    coarser = max(grid.width, grid.height) / MAX_SIDE_PX
    if coarser > 1.0 and options.resolution is None:
        grid = warp.map_grid(camera, options.crs, coarser * grid.resolution)
    reduced, photo = read_photo(frame, camera, grid, replace(options, resolution=grid.resolution))
    picture = np.zeros((grid.height, grid.width, 4), np.uint8)
    for block in warp.map_blocks(reduced, grid):
        height, width = block.seen.shape
        there = picture[block.row : block.row + height, block.column : block.column + width]
        there[..., :3] = warp.draw_block(block, photo, options.resampling)[..., ::-1]
        there[..., 3] = 255 * block.seen
    parts = {
        "doc.kml": (_describe(frame, grid), ZIP_DEFLATED),
        "photo.png": (cv2.imencode(".png", picture)[1].tobytes(), ZIP_STORED),
    }
    with ZipFile(paths[0], "w") as archive:
        for name, (content, compression) in parts.items():
            # No time of day: equal exports have equal bytes
            archive.writestr(ZipInfo(name), content, compression)


def _describe(frame: ExportFrame, grid: warp.OutputGrid) -> bytes:
    """The document: overlay, footprint and points."""
    tags = {key.removeprefix("REGENGINE_"): text for key, text in warp.metadata(frame).items()}
    if archive_page(frame.result.frame) is not None:
        tags["CREDIT"] = f"{COURTESY}, {frame.result.frame}"
    words = "\n".join(f"{key.lower()}: {text}" for key, text in tags.items())
    kml = ElementTree.Element("kml", xmlns="http://www.opengis.net/kml/2.2")
    document = ElementTree.SubElement(kml, "Document")
    _fill(document, {"name": tags["FRAME"]})
    style = ElementTree.SubElement(document, "Style", id="outline")
    _fill(ElementTree.SubElement(style, "LineStyle"), {"color": "ff00d7ff", "width": "2"})
    _fill(ElementTree.SubElement(style, "PolyStyle"), {"fill": "0"})
    overlay = ElementTree.SubElement(document, "GroundOverlay")
    _fill(overlay, {"name": tags["FRAME"], "description": words})
    _fill(ElementTree.SubElement(overlay, "Icon"), {"href": "photo.png"})
    # Beyond 180 degrees where it lies across the antimeridian
    west, south, east, north = grid.bounds
    sides = {"north": north, "south": south, "east": east, "west": west}
    box = ElementTree.SubElement(overlay, "LatLonBox")
    _fill(box, {side: f"{value:.9f}" for side, value in sides.items()})
    for line in list_geojson(frame, choose_layers(SHOWN)):
        feature = json.loads(line)
        is_point = feature["geometry"]["type"] == "Point"
        mark = ElementTree.SubElement(document, "Placemark")
        name = f"point {feature['properties']['point'] + 1}" if is_point else "footprint"
        _fill(mark, {"name": name} if is_point else {"name": name, "styleUrl": "#outline"})
        _draw(mark, feature["geometry"])
    return ElementTree.tostring(kml, encoding="utf-8", xml_declaration=True)


def _fill(parent: ElementTree.Element, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text


def _draw(mark: ElementTree.Element, geometry: dict[str, Any]) -> None:
    """Add a GeoJSON point or polygon to a placemark."""

    def add_line(parent: ElementTree.Element, places: list[list[float]]) -> None:
        _fill(parent, {"coordinates": " ".join(f"{lon:.7f},{lat:.7f}" for lon, lat in places)})

    if geometry["type"] == "Point":
        add_line(ElementTree.SubElement(mark, "Point"), [geometry["coordinates"]])
        return
    several = geometry["type"] == "MultiPolygon"
    group = ElementTree.SubElement(mark, "MultiGeometry")
    for polygon in geometry["coordinates"] if several else [geometry["coordinates"]]:
        drawn = ElementTree.SubElement(group, "Polygon")
        for number, ring in enumerate(polygon):
            side = ElementTree.SubElement(drawn, f"{'inner' if number else 'outer'}BoundaryIs")
            add_line(ElementTree.SubElement(side, "LinearRing"), ring)


KMZ = FolderFormat(files={"kmz": ("{stem}.kmz",)}, write=_write, needs=("camera",))
FORMATS = {"kmz": KMZ}
