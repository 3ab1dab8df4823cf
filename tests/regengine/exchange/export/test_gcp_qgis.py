"""Control points, read back by GDAL and by the rules of QGIS."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import CRS

from regengine.io.gdal import gdal_session
from regengine.result import FrameResult
from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export, photographed, try_export, write_store


@pytest.fixture
def result(tmp_path: Path) -> FrameResult:
    return photographed(proposal(), tmp_path / "a b & 'c'.jpg")


@pytest.fixture
def of_photo(tmp_path: Path, result: FrameResult) -> Path:
    return write_store(tmp_path / "run.h5", [result])


def check(path: Path, result: FrameResult) -> np.ndarray:
    """GDAL finds the control points, half a pixel from the corner of a pixel; its pixels."""
    with gdal_session(), rasterio.open(path) as dataset:
        points, crs = dataset.gcps
        assert crs.to_epsg() == 4326
        assert len(points) == 4
        for found, point in zip(points, result.control_points, strict=True):
            assert (found.col, found.row) == pytest.approx((point.x + 0.5, point.y + 0.5), abs=1e-9)
            assert (found.x, found.y) == pytest.approx((point.lon, point.lat), abs=1e-12)
        assert dataset.tags()["REGENGINE_FRAME"] == result.frame
        return np.asarray(dataset.read())


def test_gdal_reads_all_three_and_the_photo_stays(
    of_photo: Path, result: FrameResult, tmp_path: Path
) -> None:
    photo = Path(result.path)
    before = photo.read_bytes()
    export(of_photo, "gcp", tmp_path, "--as", "vrt,aux,tif")
    with gdal_session(), rasterio.open(photo) as dataset:
        pixels = dataset.read()
    # With PHOTO.aux.xml beside it the photo itself has control points
    for name in ("a b & 'c'.jpg", "a b & 'c'.gcp.vrt", "a b & 'c'.gcp.tif"):
        assert np.array_equal(check(tmp_path / name, result), pixels), name
    assert photo.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_photos_that_differ_in_their_ending_alone_have_files_of_their_own(tmp_path: Path) -> None:
    results = [photographed(proposal(name), tmp_path / name) for name in ("a.jpg", "a.png")]
    store = write_store(tmp_path / "run.h5", results)
    out = tmp_path / "out"
    export(store, "gcp", out, "--as", "vrt,aux,tif")
    assert {path.name for path in out.glob("*.xml")} == {"a.jpg.aux.xml", "a.png.aux.xml"}
    for result in results:
        for kind in ("vrt", "tif"):
            check(out / f"a-{result.sha256[:8]}.gcp.{kind}", result)
    assert len(list(out.iterdir())) == 6


def test_a_vrt_in_the_photos_folder_moves_with_it(
    of_photo: Path, result: FrameResult, tmp_path: Path
) -> None:
    export(of_photo, "gcp", tmp_path)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("a b & 'c'.jpg", "a b & 'c'.gcp.vrt"):
        shutil.move(tmp_path / name, moved / name)
    assert check(moved / "a b & 'c'.gcp.vrt", result).any()


def test_photos_that_are_gone_or_changed_are_told(result: FrameResult, tmp_path: Path) -> None:
    changed = replace(result, frame="changed", sha256="0" * 64)
    gone = replace(proposal("gone"), path=str(tmp_path / "gone.jpg"))
    small = replace(result, frame="small", width_px=320)
    store = write_store(tmp_path / "run.h5", [changed, gone, result])
    out = tmp_path / "o"
    told = try_export(store, "gcp", out, "--as", "tif", "--json")
    assert told.exit_code == 1
    assert list(json.loads(told.stdout)["failed"]) == [result.path, gone.path]
    assert "not there any more" in told.stderr
    assert len(list(out.iterdir())) == 1
    store = write_store(tmp_path / "small.h5", [small])
    assert "another size" in try_export(store, "gcp", tmp_path / "p").stderr


def test_a_photo_is_never_written_to(result: FrameResult, tmp_path: Path) -> None:
    photo = tmp_path / "x.gcp.tif"
    shutil.copy(result.path, photo)
    link = tmp_path / "x.tif"
    link.symlink_to(photo)
    store = write_store(tmp_path / "run.h5", [replace(result, path=str(link))])
    before = photo.read_bytes()
    told = try_export(store, "gcp", tmp_path, "--as", "tif", "--force")
    assert told.exit_code == 1
    assert "is the photo itself" in told.stderr
    assert photo.read_bytes() == before


def test_kinds_that_are_none_are_refused(of_photo: Path, tmp_path: Path) -> None:
    assert try_export(of_photo, "gcp", tmp_path / "o", "--as", "jpg").exit_code == 2


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


def test_across_the_antimeridian_points_stay_together(result: FrameResult, tmp_path: Path) -> None:
    lons = (179.9, -179.9, -179.8, 179.8)
    points = [replace(p, lon=lon) for p, lon in zip(result.control_points, lons, strict=True)]
    store = write_store(tmp_path / "run.h5", [replace(result, control_points=tuple(points))])
    export(store, "gcp", tmp_path / "o", "--as", "tif")
    with gdal_session(), rasterio.open(tmp_path / "o" / "a b & 'c'.gcp.tif") as dataset:
        of_gdal = [point.x for point in dataset.gcps[0]]
    export(store, "qgis", tmp_path / "o")
    _, read = read_as_qgis((tmp_path / "o" / "a b & 'c'.jpg.points").read_text())
    for found in (of_gdal, [point[0] for point in read]):
        assert found == pytest.approx([179.9, 180.1, 180.2, 179.8])
