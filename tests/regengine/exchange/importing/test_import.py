"""Points of other programs: read, scored against our camera, kept as reviewed points."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from typer.testing import CliRunner, Result

from regengine.commands import app
from regengine.errors import ConfigError
from regengine.exchange.importing.points import read_csv_points, read_gdal_xml, read_qgis_points
from regengine.io.gdal import gdal_session
from regengine.store.reviews import decisions_path, reviewed
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import export, photographed, write_store

PIXELS = [(60.0, 50.0), (600.0, 60.0), (590.0, 400.0), (50.0, 390.0), (300.0, 200.0)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    results = [proposal(), proposal("ISS030-E-184141", "review"), nothing_found("ISS001-E-000001")]
    return write_store(tmp_path / "run.h5", results)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["import", *(str(word) for word in words)])


def told(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    record: dict[str, Any] = json.loads(result.stdout)
    return record


def qgis_file(path: Path, crs: str, shift_px: float = 0.0, extra: str = "") -> Path:
    """What QGIS writes for a photo of `nadir_camera`."""
    from pyproj import CRS

    to_map = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    lines = [f"#CRS: {CRS.from_user_input(crs).to_wkt('WKT2_2019')}"]
    lines.append("mapX,mapY,sourceX,sourceY,enable,dX,dY,residual")
    for x, y in PIXELS:
        lon, lat = (float(v) for v in nadir_camera().pixel_to_lonlat(x, y))
        map_x, map_y = to_map.transform(lon, lat)
        lines.append(f"{map_x!r},{map_y!r},{x + 0.5 + shift_px},{-(y + 0.5)},1,0,0,0")
    path.write_text("\n".join(lines) + "\n" + extra)
    return path


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32653"])
def test_qgis_points_are_scored_and_kept(store: Path, tmp_path: Path, crs: str) -> None:
    file = qgis_file(tmp_path / "ISS030-E-184140.JPG.points", crs, 3.0, "0,0,9,-9,0,0,0,0\n")
    record = told(store, file, "--reviewer", "eva")
    assert record["frame"] == "ISS030-E-184140"
    assert record["count"] == record["right"] == 5
    # Three pixels, each 391.2 km / 1506.1 px
    assert record["rms_px"] == pytest.approx(3.0, abs=1e-3)
    assert record["rms_m"] == pytest.approx(3.0 * 391.2e3 / 1506.1, rel=0.02)
    assert [point["dx_px"] for point in record["points"]] == pytest.approx([3.0] * 5, abs=1e-3)
    kept = reviewed(store)[0]
    assert (kept.decision, kept.reviewer, kept.tags) == ("accepted", "eva", ("imported",))
    assert [(point.x, point.y) for point in kept.points] == [(x + 3.0, y) for x, y in PIXELS]
    assert {point.origin for point in kept.points} == {"person"}
    # The camera that is kept is that of the points
    assert kept.camera is not None
    x, y = kept.camera.lonlat_to_pixel([p.lon for p in kept.points], [p.lat for p in kept.points])
    assert np.hypot(x - [p.x for p in kept.points], y - [p.y for p in kept.points]).max() < 0.5


def test_what_we_export_comes_back_the_same(tmp_path: Path) -> None:
    result = photographed(proposal(), tmp_path / "a photo.jpg")
    store = write_store(tmp_path / "run.h5", [result])
    out = tmp_path / "o"
    export(store, "qgis", out)
    export(store, "gcp", out, "--as", "vrt,aux,tif")
    export(store, "csv", tmp_path / "points.csv")
    files = [*sorted(out.iterdir()), tmp_path / "points.csv"]
    assert len(files) == 5
    for file in files:
        record = told(store, file, "--no-keep")
        assert record["frame"] == result.frame
        for point, ours in zip(record["points"], result.control_points, strict=True):
            for name in ("x", "y", "lon", "lat"):
                assert point[name] == pytest.approx(getattr(ours, name), abs=1e-8)
    assert not decisions_path(store).exists()


def test_gdals_own_files_are_read(store: Path, tmp_path: Path) -> None:
    """A GeoTIFF in UTM, and a VRT that GDAL wrote, with its order of axes."""
    to_map = Transformer.from_crs("EPSG:4326", "EPSG:32653", always_xy=True)
    points = []
    for x, y in PIXELS:
        lon, lat = (float(v) for v in nadir_camera().pixel_to_lonlat(x, y))
        east, north = to_map.transform(lon, lat)
        points.append(GroundControlPoint(row=y + 0.5, col=x + 0.5, x=east, y=north))
    tif = tmp_path / "ISS030-E-184141.tif"
    with gdal_session():
        profile = {"driver": "GTiff", "width": 640, "height": 426, "count": 1, "dtype": "uint8"}
        with rasterio.open(tif, "w", **profile) as dataset:
            dataset.gcps = (points, rasterio.crs.CRS.from_epsg(32653))
        rasterio.shutil.copy(tif, tmp_path / "b.vrt", driver="VRT")
    for file in (tif, tmp_path / "b.vrt"):
        record = told(store, file, "--no-keep", "--frame", "ISS030-E-184141")
        assert record["rms_px"] < 1e-3


def test_a_table_may_hold_many_photos(store: Path, tmp_path: Path) -> None:
    lon, lat = (float(v) for v in nadir_camera().pixel_to_lonlat(100.0, 100.0))
    rows = [f"{name};100;100;{lon!r};{lat!r};0.5" for name in ("184140", "184141")]
    table = "Photo;Column;Row;Longitude;Latitude;sigma_px\n"
    file = tmp_path / "p.csv"
    file.write_text(table + "\n".join(f"ISS030-E-{row}" for row in rows) + "\n")
    result = run(store, file, "--reviewer", "eva")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "ISS030-E-184140",
        "ISS030-E-184141",
    ]
    assert {number: one.points[0].sigma_px for number, one in reviewed(store).items()} == {
        0: 0.5,
        1: 0.5,
    }


def test_frames_without_a_camera_take_points_all_the_same(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "ISS001-E-000001.csv"
    file.write_text("x,y,lon,lat\n1,2,185,4\n")
    assert "no camera of ours" in run(store, file, "--reviewer", "eva").stdout
    kept = reviewed(store)[2]
    assert kept.camera is None
    assert (kept.points[0].lon, kept.points[0].lat) == (-175.0, 4.0)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.points", "", "no point that is enabled"),
        ("a.points", "h\n1,2,3\n", "fewer than four"),
        ("a.points", "h\n1,2,3,x\n", "is no point"),
        ("a.points", "h\n1,2,3,4,1\n", "had a place on the map already"),
        ("a.points", "#CRS: +proj=nothing\nh\n1,2,3,-4,1\n", "PROJ does not know"),
        ("a.points", "#CRS: +proj=longlat +nadgrids=/x\nh\n1,2,3,-4,1\n", "none that can be used"),
        ("a.points", "h\n500000,4000000,3,-4,1\n", "no place on Earth"),
        ("a.points", "h\n1,nan,3,-4,1\n", "a number that is none"),
        ("a.vrt", "<VRTDataset/>", "no control points"),
        ("a.vrt", "<VRT", "no XML"),
        ("a.aux.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares entities"),
        ("a.vrt", "<V><GCPList><GCP X='1'/></GCPList></V>", "lacks Pixel"),
        ("a.tif", "no tiff", "GDAL cannot read"),
        ("a.csv", "x,y,lon\n1,2,3\n", "no column lat"),
        ("a.csv", "x,y,lon,lat\n1,2,3,four\n", "line 2 holds no point"),
        ("a.csv", "x,y,lon,lat\n", "it has no points"),
        ("a.doc", "", "tells no kind"),
        ("b.csv", "x,y,lon,lat\n1,2,3,4\n", "holds no frame of the name b"),
        ("a.csv", "frame,x,y,lon,lat\nISS030-E-184140,1e9,2,3,4\n", "cannot be those of the photo"),
    ],
)
def test_what_is_no_file_of_points_is_told(
    store: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    good = qgis_file(tmp_path / "ISS030-E-184140.points", "EPSG:4326")
    (tmp_path / name).write_text(text)
    result = run(store, good, tmp_path / name)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    # Of several files none is kept where one is wrong
    assert not decisions_path(store).exists()


@example("x,y,lon,lat\r1,2,3,4", read_csv_points)
@given(st.text(max_size=60), st.sampled_from([read_qgis_points, read_gdal_xml, read_csv_points]))
def test_any_text_is_points_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, reader: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.points"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(ConfigError):
        assert reader(path)[0].points


def test_old_files_with_tabs_and_gdals_order_of_axes(tmp_path: Path) -> None:
    old = tmp_path / "old.points"
    old.write_text("mapX\tmapY\tpixelX\tpixelY\tenable\n10\t50\t1.5\t-2.5\t1\n")
    (photo,) = read_qgis_points(old)
    assert (photo.points[0].x, photo.points[0].y) == (1.0, 2.0)
    assert (photo.points[0].lon, photo.points[0].lat) == (10.0, 50.0)
    vrt = tmp_path / "c.vrt"
    for mapping, x, y in (("2,1", 10, 50), ("1,2", 50, 10)):
        vrt.write_text(
            f'<VRTDataset><GCPList Projection="EPSG:4326" dataAxisToSRSAxisMapping="{mapping}">'
            f'<GCP Pixel="1.5" Line="2.5" X="{x}" Y="{y}"/></GCPList>'
            "<VRTRasterBand><SimpleSource><SourceFilename>dir/photo.jpg</SourceFilename>"
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
        (photo,) = read_gdal_xml(vrt)
        assert photo.photo == "photo.jpg"
        assert (photo.points[0].lon, photo.points[0].lat) == (10.0, 50.0)
