"""Points files, read by the rules of QGIS's own reader."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from pyproj import CRS

from regengine.exchange.export.formats.gcp_qgis import points_text
from regengine.exchange.export.frame import engine_frame
from regengine.store.rows import StoredFrame
from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export


def read_as_qgis(text: str) -> tuple[str, list[tuple[float, float, float, float, bool]]]:
    """What `QgsGCPList::loadGcps` makes of a file: CRS, then map x, y, source x, y, enabled.

    The first line may name the CRS; the next is passed over whatever it is; every other line must
    have four cells or more, blank ones included.
    """
    lines = text.split("\n")
    if lines[-1] == "":  # QTextStream is at the end after the last line break
        lines.pop()
    line, crs = lines.pop(0), ""
    if "#CRS: " in line:
        crs = line.replace("#CRS: ", "")
        lines.pop(0)
    points = []
    for line in lines:
        cells = line.split(",") if "," in line else line.split("\t")
        assert len(cells) >= 4, f"Malformed content: {line!r}"
        x, y, sx, sy = (float(cell) for cell in cells[:4])
        points.append((x, y, sx, sy, int(cells[4]) != 0 if len(cells) >= 5 else True))
    return crs, points


def test_qgis_reads_the_points_back(store: Path, tmp_path: Path) -> None:
    export(store, "qgis", tmp_path / "o")
    # QGIS opens PHOTO.points by itself with the photo
    text = (tmp_path / "o" / "ISS030-E-184140.jpg.points").read_bytes().decode()
    assert "\r" not in text
    crs, points = read_as_qgis(text)
    assert CRS.from_wkt(crs).to_epsg() == 4326
    expected = proposal().control_points
    assert len(points) == len(expected)
    for (lon, lat, sx, sy, enabled), point in zip(points, expected, strict=True):
        assert enabled
        assert math.isclose(lon, point.lon, abs_tol=1e-8)
        assert math.isclose(lat, point.lat, abs_tol=1e-8)
        # The middle of the upper left pixel is (0, 0) here and (0.5, -0.5) in QGIS
        assert (sx - 0.5, -sy - 0.5) == (point.x, point.y)


def test_points_beside_the_antimeridian_are_beside_each_other() -> None:
    result = proposal()
    points = [
        replace(point, lon=lon)
        for point, lon in zip(result.control_points, (179.5, -179.5, -178.5, 178.5), strict=True)
    ]
    frame = engine_frame(
        StoredFrame(frame_index=0, result=replace(result, control_points=tuple(points))), Path()
    )
    _, read = read_as_qgis(points_text(frame))
    assert [point[0] for point in read] == [179.5, 180.5, 181.5, 178.5]
