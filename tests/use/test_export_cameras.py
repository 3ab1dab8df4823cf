"""Solved cameras as GDAL reads them: rational polynomials, and tilted perspectives."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import RPCTransformer
from rasterio.warp import transform
from scipy.spatial.transform import Rotation
from shapely import Point
from shapely.geometry import shape

from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from tests.kit.exports import (
    export,
    nadir_camera,
    nothing_found,
    of_photo,
    photographed,
    proposal,
    seen_by,
    write_store,
)

STRAIGHT = (0.0, 0.0, 0.0, 0.0, 0.0)
LENS = (-0.08, 0.01, 0.001, -0.002, 0.0)


def camera_of(tilt_deg: float, lon: float = 136.9, **changed: Any) -> Camera:
    return replace(nadir_camera(lon, tilt_deg=tilt_deg), **changed)


def one_photo(folder: Path, camera: Camera, ending: str = "jpg") -> Path:
    """A store of one photo that the camera took."""
    folder.mkdir(exist_ok=True)
    result = photographed(proposal("photo"), folder / f"photo.{ending}")
    return write_store(folder / "run.h5", [seen_by(result, camera)])


def seen_places(camera: Camera, height_m: float, limit_deg: float = 79.9) -> tuple[np.ndarray, ...]:
    """Pixels x, y, and the places that they see at a height, lon, lat."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, 639, 23), np.linspace(0, 425, 19)))
    angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y, height_m))
    x, y = x[angle < limit_deg], y[angle < limit_deg]
    return x, y, *camera.pixel_to_lonlat(x, y, height_m)


def off_by(path: Path, camera: Camera, height_m: float, limit_deg: float = 79.9) -> float:
    """Pixels by which GDAL puts places elsewhere than the camera, at most."""
    x, y, lon, lat = seen_places(camera, height_m, limit_deg)
    with warnings.catch_warnings(action="ignore"), rasterio.open(path) as dataset:
        assert dataset.rpcs is not None
        with RPCTransformer(dataset.rpcs) as transformer:
            row, column = transformer.rowcol(lon, lat, np.full(len(x), height_m), op=lambda v: v)
    # GDAL counts from the picture's corner
    return float(np.hypot(np.array(column) - 0.5 - x, np.array(row) - 0.5 - y).max())


@pytest.mark.parametrize(
    "camera",
    [
        camera_of(0.0),
        camera_of(40.0, distortion=LENS, focal_px=900.0),
        camera_of(65.0, distortion=LENS, focal_px=1000.0, mirrored=True),
        camera_of(30.0, lon=180.0),
        camera_of(70.0, focal_px=600.0),
        camera_of(50.0, pixel_aspect=1.01),
    ],
    ids=["nadir", "distorted", "oblique", "antimeridian", "limb", "stretched"],
)
def test_gdal_sees_places_of_any_height_where_the_camera_does(
    camera: Camera, tmp_path: Path
) -> None:
    store = one_photo(tmp_path, camera, "tif")
    said = export(store, "rpc", tmp_path, "--json")
    assert (
        "coefficients follow the camera to 0.0"
        in said.records[0]["told"][str(tmp_path / "photo.tif")]
    )
    for height_m in (0.0, 700.0, 3600.0):
        for name in ("photo.tif", "photo.rpc.vrt"):
            assert off_by(tmp_path / name, camera, height_m) < 0.1, (name, height_m)


def test_all_files_say_the_same_and_the_photo_stays(tmp_path: Path) -> None:
    camera = camera_of(40.0, distortion=LENS)
    store = one_photo(tmp_path, camera)
    before = (tmp_path / "photo.jpg").read_bytes()
    with warnings.catch_warnings(action="ignore"), rasterio.open(tmp_path / "photo.jpg") as photo:
        pixels = photo.read()
        assert photo.rpcs is None
    export(store, "rpc", tmp_path, "--files", "txt,vrt,footprint,aux")
    assert (tmp_path / "photo.jpg").read_bytes() == before
    found = []
    for name in ("photo.jpg", "photo.rpc.vrt"):
        with rasterio.open(tmp_path / name) as dataset:
            assert np.array_equal(dataset.read(), pixels)
            tags = dataset.tags()
            assert float(tags["REGENGINE_RPC_WORST_PX"]) < 0.1
            assert tags["REGENGINE_RPC_LIMIT_INCIDENCE_DEG"] == "80"
            found.append(dataset.rpcs)
    # Each spelling alone beside a TIFF
    for kind, name in (("txt", "photo_RPC.TXT"), ("rpb", "photo.RPB")):
        alone = one_photo(tmp_path / kind, camera, "tif")
        export(alone, "rpc", tmp_path / kind, "--files", kind)
        assert (tmp_path / kind / name).is_file()
        with rasterio.open(tmp_path / kind / "photo.tif") as dataset:
            found.append(dataset.rpcs)
    assert all(one == found[0] for one in found)


def test_the_footprint_ends_before_the_limb_and_where_coefficients_do(tmp_path: Path) -> None:
    camera = camera_of(55.0, focal_px=230.0, distortion=(-0.12, *LENS[1:]))
    told = export(one_photo(tmp_path, camera), "rpc", tmp_path / "o").err
    assert "they would be more than 3 px off, and the footprint ends there" in told
    (feature,) = json.loads((tmp_path / "o" / "photo.rpc.geojson").read_text())["features"]
    limit = float(feature["properties"]["REGENGINE_RPC_LIMIT_INCIDENCE_DEG"])
    assert 50.0 < limit < 80.0
    assert float(feature["properties"]["REGENGINE_RPC_WORST_PX"]) <= 3.0
    assert off_by(tmp_path / "o" / "photo.rpc.vrt", camera, 0.0, limit) <= 3.0
    ground = shape(feature["geometry"]).buffer(0.05)
    for flattest, inside in ((limit - 2.0, True), (89.0, False)):
        _, _, lon, lat = seen_places(camera, 0.0, flattest)
        held = [ground.contains(Point(*place)) for place in zip(lon, lat, strict=True)]
        assert all(held) == inside


@pytest.mark.parametrize("tilt_deg", [150.0, 80.0], ids=["sky", "limb"])
def test_sky_and_limb_have_no_coefficients(tilt_deg: float, tmp_path: Path) -> None:
    store = one_photo(tmp_path, camera_of(tilt_deg))
    said = export(store, "rpc", tmp_path / "o", code=1)
    assert "it shows too little ground below 80 degrees of incidence" in said.err
    assert list((tmp_path / "o").iterdir()) == []


def test_frames_without_camera_or_photo_are_told_and_stop_no_other(tmp_path: Path) -> None:
    good = photographed(proposal("good"), tmp_path / "good.jpg")
    gone = replace(proposal("gone"), path=str(tmp_path / "gone.jpg"))
    store = write_store(tmp_path / "run.h5", [gone, nothing_found(), good])
    said = export(store, "rpc", tmp_path / "o", "--verdict", "all", "--json", code=1)
    (record,) = said.records
    assert record["failed"] == {gone.path: "the photo is not there any more"}
    assert record["left_out"] == {"no solved camera": 1}
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "good.rpc.geojson", "good.rpc.vrt", "good_RPC.TXT",
    ]  # fmt: skip


def test_a_photos_own_place_is_left_out(tmp_path: Path) -> None:
    photo = tmp_path / "a.tif"
    result = photographed(proposal("a"), photo)
    with warnings.catch_warnings(action="ignore"), rasterio.open(photo, "r+") as dataset:
        dataset.crs, dataset.transform = "EPSG:4326", rasterio.Affine(0.1, 0, 5, 0, -0.1, 50)
    store = write_store(tmp_path / "run.h5", [of_photo(result, photo)])
    export(store, "rpc", tmp_path / "o", "--force")
    with rasterio.open(tmp_path / "o" / "a.rpc.vrt") as dataset:
        assert (dataset.crs, dataset.transform.is_identity) == (None, True)
        assert dataset.rpcs is not None


# Tilted perspectives -----------------------------------------------------------------------------


def places_off_by(path: Path, camera: Camera) -> float:
    """Pixels by which the coordinates under a cursor are off the camera's, at most."""
    x, y, *_ = seen_places(camera, 0.0)
    with rasterio.open(path) as dataset:
        east, north = transform(dataset.crs, "EPSG:4326", *(dataset.transform @ (x + 0.5, y + 0.5)))
    # Where the camera sees what PROJ says
    seen_x, seen_y = camera.lonlat_to_pixel(east, north)
    assert np.isfinite(seen_x).all()
    return float(np.hypot(seen_x - x, seen_y - y).max())


@pytest.mark.parametrize(
    "camera",
    [
        camera_of(0.0, distortion=STRAIGHT),
        camera_of(40.0, focal_px=900.0, distortion=STRAIGHT, mirrored=True),
        camera_of(65.0, lon=180.0, distortion=STRAIGHT, pixel_aspect=1.02),
        camera_of(70.0, focal_px=600.0, distortion=STRAIGHT),
        camera_of(45.0),
    ],
    ids=["nadir", "mirrored", "antimeridian", "limb", "distorted"],
)
def test_proj_knows_the_place_of_every_pixel(camera: Camera, tmp_path: Path) -> None:
    turned = Rotation.from_quat(camera.quaternion) * Rotation.from_euler("z", 37.0, degrees=True)
    qx, qy, qz, qw = turned.as_quat().tolist()
    camera = replace(camera, quaternion=(qx, qy, qz, qw))
    store = one_photo(tmp_path, camera)
    with warnings.catch_warnings(action="ignore"), rasterio.open(tmp_path / "photo.jpg") as photo:
        pixels = photo.read()
    said = export(store, "tpers", tmp_path, "--files", "vrt,aux")
    assert "the perspective follows the camera to 0." in said.err
    for name in ("photo.jpg", "photo.tpers.vrt"):
        assert places_off_by(tmp_path / name, camera) < 0.15
        with rasterio.open(tmp_path / name) as dataset:
            assert np.array_equal(dataset.read(), pixels)
            assert float(dataset.tags()["REGENGINE_TPERS_WORST_PX"]) < 0.15


def test_a_lens_that_bends_lines_needs_a_straight_copy(tmp_path: Path) -> None:
    camera = camera_of(40.0, focal_px=450.0, distortion=LENS)
    store = one_photo(tmp_path, camera)
    told = export(store, "tpers", tmp_path / "o", code=1).err
    assert "its lens bends lines by up to" in told
    assert list((tmp_path / "o").iterdir()) == []
    export(store, "tpers", tmp_path / "o", "--files", "straight")
    straight = tmp_path / "o" / "photo.straight.tif"
    assert places_off_by(straight, replace(camera, distortion=STRAIGHT)) < 0.1
    with rasterio.open(straight) as copied:
        colours, seen = copied.read(), copied.dataset_mask() > 0
        y, x = (part.astype(float) for part in np.nonzero(seen))
        lon, lat = replace(camera, distortion=STRAIGHT).pixel_to_lonlat(x, y)
        at_x, at_y = camera.lonlat_to_pixel(lon, lat)
        # The photo's colours tell where a pixel is, red across and green down
        inside = np.isfinite(at_x) & (at_x % 256 > 8) & (at_x % 256 < 248)
        inside &= (at_y % 256 > 8) & (at_y % 256 < 248)
        for band, at in ((0, at_x), (1, at_y)):
            off = colours[band][seen][inside] - at[inside] % 256
            assert abs(np.median(off)) < 0.5
            assert np.percentile(np.abs(off), 95) < 4.0  # JPEG


def test_the_sky_has_no_perspective(tmp_path: Path) -> None:
    said = export(one_photo(tmp_path, camera_of(150.0)), "tpers", tmp_path / "o", code=1)
    assert "too little ground below 80 degrees of incidence for a perspective" in said.err
