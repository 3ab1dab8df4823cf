"""Solved cameras as GDAL reads them: rational polynomials."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import RPCTransformer, from_bounds
from rasterio.warp import reproject
from shapely import Point
from shapely.geometry import shape

from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from tests.world.exports import (
    export,
    nadir_camera,
    nothing_found,
    of_photo,
    photographed,
    proposal,
    seen_by,
    write_store,
)

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
        "coefficients match the camera to 0.0"
        in said.records[0]["remarks"][str(tmp_path / "photo.tif")]
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


@pytest.mark.parametrize("lon", [136.9, 178.9, 180.0, -179.2, -177.0])
def test_the_cutline_is_one_ring_around_the_place_of_the_coefficients(
    tmp_path: Path, lon: float
) -> None:
    camera = camera_of(30.0, lon)
    export(one_photo(tmp_path, camera), "rpc", tmp_path)
    (feature,) = json.loads((tmp_path / "photo.rpc.geojson").read_text())["features"]
    ring = shape(feature["geometry"])
    assert ring.geom_type == "Polygon"
    west, south, east, north = ring.bounds
    # GDAL draws it so large, on the map of the world as a plane
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.open(tmp_path / "photo.rpc.vrt") as photo,
    ):
        assert photo.rpcs.long_off - 180.0 < west < east < photo.rpcs.long_off + 180.0
        grid = from_bounds(west, south, east, north, 200, 200)
        drawn = np.zeros((200, 200), np.uint8)
        reproject(
            np.full((photo.height, photo.width), 255, np.uint8),
            drawn,
            rpcs=photo.rpcs,
            src_crs="EPSG:4326",
            dst_crs="EPSG:4326",
            dst_transform=grid,
        )
        within = rasterize([ring], (200, 200), transform=grid)
    assert within.mean() > 0.5
    assert (drawn > 0)[within > 0].mean() > 0.98


@pytest.mark.slow
def test_the_footprint_ends_before_the_limb_and_where_coefficients_do(tmp_path: Path) -> None:
    camera = camera_of(55.0, focal_px=230.0, distortion=(-0.12, *LENS[1:]))
    told = export(one_photo(tmp_path, camera), "rpc", tmp_path / "o").err
    assert "they would be off by more than 3 px, so the footprint ends there" in told
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
    assert "too little ground below an incidence angle of 80 degrees" in said.err
    assert list((tmp_path / "o").iterdir()) == []


def test_frames_without_camera_or_photo_are_told_and_stop_no_other(tmp_path: Path) -> None:
    good = photographed(proposal("good"), tmp_path / "good.jpg")
    gone = replace(proposal("gone"), path=str(tmp_path / "gone.jpg"))
    store = write_store(tmp_path / "run.h5", [gone, nothing_found(), good])
    said = export(store, "rpc", tmp_path / "o", "--verdict", "all", "--json", code=1)
    (record,) = said.records
    (why,) = record["failed"].values()
    assert list(record["failed"]) == [gone.path]
    assert why.startswith("the photo is missing: put it beside the store, or name the folder")
    assert record["left_out"] == {"no solved camera": 1}
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "good.rpc.geojson", "good.rpc.vrt", "good_RPC.TXT",
    ]  # fmt: skip


# What a photo carries already --------------------------------------------------------------------


def carry(photo: Path, how: str) -> str:
    """Give a photo a place in Africa; the name of the file that tells of it."""
    affine = rasterio.Affine(0.1, 0.0, 20.0, 0.0, -0.1, 10.0)
    if how == "world file":
        numbers = (affine.a, affine.d, affine.b, affine.e, affine.c, affine.f)
        photo.with_suffix(".jgw").write_text("\n".join(map(str, numbers)) + "\n")
        return f"{photo.stem}.jgw"
    if how == "points":
        rows = [
            f"{20 + x / 100},{10 - y / 100},{x},{-y},1" for x, y in ((1, 1), (600, 9), (9, 400))
        ]
        text = "\n".join(["mapX,mapY,sourceX,sourceY,enable", *rows])
        photo.with_name(f"{photo.name}.points").write_text(text + "\n")
        return f"{photo.name}.points"
    with warnings.catch_warnings(action="ignore"), rasterio.open(photo, "r+") as dataset:
        if how == "tags":
            dataset.crs, dataset.transform = "EPSG:4326", affine
        else:
            places = [(0, 0, 20.0, 10.0), (600, 9, 80.0, 9.0), (9, 400, 21.0, -30.0)]
            points = [GroundControlPoint(row=y, col=x, x=lon, y=lat) for x, y, lon, lat in places]
            dataset.gcps = points, CRS.from_epsg(4326)
    return photo.name


@pytest.mark.parametrize("place", ["own folder", "copy"])
@pytest.mark.parametrize("how", ["world file", "points", "tags", "control points"])
def test_a_place_that_a_photo_carries_is_told_of_before_it_is_contradicted(
    how: str, place: str, tmp_path: Path
) -> None:
    ending = "jpg" if how in ("world file", "points") else "tif"
    result = photographed(proposal("photo"), tmp_path / f"photo.{ending}")
    photo, out = tmp_path / f"photo.{ending}", tmp_path / "o"
    out.mkdir()
    if place == "copy":
        shutil.copy(photo, out / photo.name)
    name = carry(photo if place == "own folder" else out / photo.name, how)
    store = write_store(tmp_path / "run.h5", [of_photo(result, photo)])
    before = sorted(out.iterdir())
    for format_name in ("gcp", "rpc"):
        said = export(store, format_name, out, code=1)
        assert f"{name} places it " in said.err
        assert "km from its solved camera's ground: move that file away, or replace" in said.err
        assert sorted(out.iterdir()) == before
        forced = export(store, format_name, out, "--force", "--json")
        assert f"{name} places it " in forced.records[0]["remarks"][str(photo)]
        with rasterio.open(out / f"photo.{format_name}.vrt") as virtual:
            assert (len(virtual.gcps[0]) == 4) == (format_name == "gcp")
            assert (virtual.rpcs is not None) == (format_name == "rpc")
        for path in set(out.iterdir()) - set(before):
            path.unlink()


def test_our_own_places_agree_with_each_other(tmp_path: Path) -> None:
    store = one_photo(tmp_path, camera_of(0.0))
    for name, *words in (
        ("qgis",),
        ("gcp", "--files", "aux"),
        ("rpc", "--files", "aux,txt,rpb", "--force"),
        ("gcp",),
    ):
        assert "places it" not in export(store, name, tmp_path, *words).err


def test_a_world_file_of_a_system_without_a_name_is_told_of(tmp_path: Path) -> None:
    store = one_photo(tmp_path, camera_of(0.0))
    (tmp_path / "photo.jgw").write_text("100\n0\n0\n-100\n400000\n3900000\n")
    said = export(store, "rpc", tmp_path / "o", code=1)
    assert "photo.jgw places it where its solved camera sees no ground" in said.err
