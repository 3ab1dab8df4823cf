"""Warped photos, read back by the GDAL that rasterio brings and by tifffile."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from pyproj import Transformer
from scipy import ndimage

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef
from regengine.exchange.export.formats.geotiff import ground_sigma
from regengine.exchange.export.frame import ExportPoint
from regengine.io.gdal import gdal_session
from regengine.result import ControlPoint, FrameResult, SolvedCamera
from tests.example_results import nadir_camera, proposal
from tests.regengine.exchange.export.exported import export, try_export, write_store

LAMPS = [(60.3, 50.8), (320.5, 213.1), (600.2, 100.4), (40.6, 380.2), (590.1, 390.7)]


def photo_of_lamps(path: Path, camera: Camera) -> FrameResult:
    """A photo of lamps at known places, and a result with this camera."""
    y, x = np.mgrid[: camera.height_px, : camera.width_px]
    light = sum(np.exp(-((x - lx) ** 2 + (y - ly) ** 2) / (2 * 2.0**2)) for lx, ly in LAMPS)
    grey = np.rint(30 + 220 * np.minimum(light, 1.0)).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(path)
    lon, lat = camera.pixel_to_lonlat(*np.array(LAMPS).T)
    base = proposal().control_points[0]
    points: tuple[ControlPoint, ...] = tuple(
        replace(base, x=lx, y=ly, lon=float(a), lat=float(b))
        for (lx, ly), a, b in zip(LAMPS, lon, lat, strict=True)
        if np.isfinite(a)
    )
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=0.0)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(
        proposal(path.stem), path=str(path), sha256=sha256, solved=solved, control_points=points
    )


def bent(lon: float, lat: float, tilt_deg: float, mirrored: bool = False) -> Camera:
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg)
    lens = (-0.08, 0.01, 0.001, -0.002, 0.0)
    return replace(camera, focal_px=900.0, distortion=lens, mirrored=mirrored)


@pytest.mark.parametrize(
    ("camera", "crs"),
    [
        (bent(136.9, 35.7, 0.0), "EPSG:32653"),
        (bent(136.9, 35.7, 45.0, mirrored=True), "EPSG:3857"),
        (bent(179.9, -40.0, 30.0), "EPSG:4326"),
    ],
)
def test_lamps_lie_where_the_camera_sees_them(camera: Camera, crs: str, tmp_path: Path) -> None:
    """Their centres on the map, taken back into the photo: within a fifth of a pixel."""
    store = write_store(tmp_path / "run.h5", [photo_of_lamps(tmp_path / "lamps.png", camera)])
    export(store, "geotiff", tmp_path / "o", "--crs", crs, "--as", "warped")
    with gdal_session(), rasterio.open(tmp_path / "o" / "lamps.warped.tif") as dataset:
        assert dataset.crs.to_epsg() == int(crs.partition(":")[2])
        light = dataset.read(1).astype(float)
        transform = dataset.transform
    to_map = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    found, number = ndimage.label(light > 80)
    assert number == len(LAMPS)
    # Brightness over area of the photo, not of the map: weigh by how much a pixel covers
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    lon, lat = to_map.transform(*(transform @ (columns, rows)), direction="INVERSE")
    px, py = camera.ecef_to_pixel(geodetic_to_ecef(lon, lat))
    area = np.abs(
        np.gradient(px, axis=1) * np.gradient(py, axis=0)
        - np.gradient(px, axis=0) * np.gradient(py, axis=1)
    )
    weight = np.where(found > 0, (light - 80.0) * area, 0.0)
    total = ndimage.sum(weight, found, range(1, number + 1))
    centres = [ndimage.sum(weight * p, found, range(1, number + 1)) / total for p in (px, py)]
    for lamp in LAMPS:
        miss = np.hypot(centres[0] - lamp[0], centres[1] - lamp[1]).min()
        assert miss < 0.2, lamp


def test_a_photo_of_the_limb_has_no_data_in_the_sky(tmp_path: Path) -> None:
    camera = replace(bent(10.0, 20.0, 68.0), focal_px=700.0)
    store = write_store(tmp_path / "run.h5", [photo_of_lamps(tmp_path / "limb.png", camera)])
    export(store, "geotiff", tmp_path / "o", "--resolution", "0.02")
    with gdal_session():
        with rasterio.open(tmp_path / "o" / "limb.warped.tif") as dataset:
            mask, colours = dataset.dataset_mask(), dataset.read()
            column, row = np.meshgrid(np.arange(dataset.width), np.arange(dataset.height))
            lon, lat = dataset.transform @ (column.ravel() + 0.5, row.ravel() + 0.5)
        with rasterio.open(tmp_path / "o" / "limb.sigma.tif") as dataset:
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
    record = json.loads((tmp_path / "o" / "limb.json").read_text())
    assert record["map"]["crs"] == "EPSG:4326"
    assert record["camera"]["focal_px"] == 700.0
    assert record["frame"]["frame"] == "limb"


def test_it_is_a_cloud_optimised_geotiff(tmp_path: Path) -> None:
    """GDAL says so, and the directories lie before the pixels, overviews' pixels first."""
    store = write_store(
        tmp_path / "run.h5", [photo_of_lamps(tmp_path / "a.png", bent(10.0, 45.0, 20.0))]
    )
    export(store, "geotiff", tmp_path / "o", "--resolution", "0.002")
    for name in ("a.warped.tif", "a.sigma.tif"):
        path = tmp_path / "o" / name
        with gdal_session(), rasterio.open(path) as dataset:
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert max(dataset.width, dataset.height) / dataset.overviews(1)[-1] <= 512
            assert dataset.tags()["REGENGINE_FRAME"] == "a"
        with tifffile.TiffFile(path) as file:
            pages = list(file.pages)
            assert all(page.is_tiled for page in pages)
            first = [min(offset for offset in page.dataoffsets if offset) for page in pages]
            assert max(page.offset for page in pages) < min(first)
            smaller = [page.imagewidth < pages[0].imagewidth for page in pages]
            assert any(smaller)
            assert max(np.array(first)[smaller]) < first[0]
    assert not list((tmp_path / "o").glob(".*"))


def test_sigma_is_that_of_the_points_and_grows_away_from_them() -> None:
    camera = bent(10.0, 45.0, 20.0)
    x, y = np.array([100.0, 300.0, 300.0, 100.0]), np.array([100.0, 100.0, 250.0, 250.0])
    lon, lat = camera.pixel_to_lonlat(x, y)
    points = tuple(
        ExportPoint(x=a, y=b, lon=c, lat=d, covariance_px=(4.0, 0.0, 4.0))
        for a, b, c, d in zip(x, y, lon, lat, strict=True)
    )
    known = ground_sigma(camera, points)
    flow_px = 2.0
    at_points = known.at(lon, lat)
    far = known.at(*camera.pixel_to_lonlat([620.0], [420.0]))
    near = known.at(*camera.pixel_to_lonlat([200.0], [175.0]))
    # 2 px of some 440 to 550 m, an axis, and the map's own
    assert flow_px * 400 < at_points.mean() < flow_px * 650
    assert near[0] < at_points.mean() < far[0]
    # Monte Carlo: turn the camera as its covariance says, and see how far places move
    from scipy.spatial.transform import Rotation

    draws = np.random.default_rng(1).multivariate_normal(np.zeros(4), known.covariance, 400)
    places = []
    for *turn, stretch in draws:
        rotation = Rotation.from_quat(camera.quaternion) * Rotation.from_rotvec(turn)
        moved = replace(
            camera,
            quaternion=tuple(rotation.as_quat().tolist()),
            focal_px=camera.focal_px * np.exp(stretch),
        )
        places.append(moved.pixel_to_ecef([620.0], [420.0])[0])
    spread = np.sqrt(np.var(places, axis=0).sum() / 2.0)
    assert np.hypot(spread, 50.0) == pytest.approx(far[0], rel=0.1)


def test_without_known_sigmas_residuals_tell() -> None:
    camera = bent(10.0, 45.0, 0.0)
    lon, lat = (float(v) for v in camera.pixel_to_lonlat(100.0, 100.0))
    sure = ExportPoint(x=100.0, y=100.0, lon=lon, lat=lat)
    off = replace(sure, x=110.0)
    good, bad = (
        ground_sigma(camera, (one,)).at(np.array([lon]), np.array([lat]))[0] for one in (sure, off)
    )
    assert 400 < good < 500
    assert bad > 5 * good


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--crs", "EPSG:999999"], 2, "PROJ knows no such system"),
        (["--resolution", "-1"], 2, "above 0"),
        (["--resolution", "0.0000001"], 1, "give a larger --resolution"),
        (["--as", "warp"], 2, "none of warped, sigma, record"),
    ],
)
def test_maps_that_cannot_be(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    store = write_store(
        tmp_path / "run.h5", [photo_of_lamps(tmp_path / "a.png", bent(10.0, 45.0, 20.0))]
    )
    result = try_export(store, "geotiff", tmp_path / "o", *arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


def test_coarse_maps_are_drawn_from_averages(tmp_path: Path) -> None:
    """A pattern that is finer than the map's pixels becomes grey instead of stripes."""
    camera = bent(10.0, 45.0, 0.0)
    path = tmp_path / "fine.png"
    result = photo_of_lamps(path, camera)
    stripes = np.tile(np.array([[0], [250]], np.uint8), (213, 640))
    Image.fromarray(np.stack([stripes] * 3, axis=-1)).save(path)
    result = replace(result, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    store = write_store(tmp_path / "run.h5", [result])
    export(store, "geotiff", tmp_path / "o", "--resolution", "0.03", "--as", "warped")
    with gdal_session(), rasterio.open(tmp_path / "o" / "fine.warped.tif") as dataset:
        grey = dataset.read(1)[dataset.dataset_mask() > 0].astype(float)
    assert grey.std() < 30
