"""Exports of a photo's place: control points, projects, pictures on a map, rational polynomials."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree  # of what was just written

import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from PIL import Image
from pyproj import CRS, Geod, Transformer
from rasterio.control import GroundControlPoint
from rasterio.features import rasterize
from rasterio.transform import GCPTransformer, RPCTransformer, from_bounds
from rasterio.warp import reproject
from scipy import ndimage
from shapely.geometry import shape

import regengine
from tests.world.exports import (
    LENS,
    ecef_of,
    export,
    nadir_camera,
    nothing_found,
    of_photo,
    photographed,
    placed,
    proposal,
    seen_by,
    seen_places,
    settings_with,
    write_store,
)
from tests.world.program import run
from tests.world.samples import LIGHTS, SAMPLES, true_camera


def camera_of(tilt_deg: float, lon: float = 136.9, lat: float = 35.7, **changed: Any) -> Any:
    return replace(nadir_camera(lon, lat, tilt_deg=tilt_deg), **changed)


def one_photo(folder: Path, camera: Any, ending: str = "jpg") -> Path:
    """A store of one photo that the camera took."""
    folder.mkdir(exist_ok=True)
    result = photographed(proposal("photo"), folder / f"photo.{ending}")
    return write_store(folder / "run.h5", [seen_by(result, camera)])


# Control points ----------------------------------------------------------------------------------

NAME = "a b & 'c'"
SAMPLE = "ISS990-E-000103"


@pytest.fixture
def result(tmp_path: Path) -> Any:
    return photographed(proposal(), tmp_path / f"{NAME}.jpg")


def check_points(path: Path, result: Any) -> np.ndarray:
    """GDAL finds the control points, half a pixel from the corner of a pixel; its pixels."""
    with rasterio.open(path) as dataset:
        points, crs = dataset.gcps
        assert crs.to_epsg() == 4326
        assert len(points) == 4
        for found, point in zip(points, result.control_points, strict=True):
            assert (found.col, found.row) == pytest.approx((point.x + 0.5, point.y + 0.5), abs=1e-4)
            assert (found.x, found.y) == pytest.approx((point.lon, point.lat), abs=1e-9)
        tags = dataset.tags()
        told = ("FRAME", "VERDICT", "PROBABILITY", "TIME_UTC", "PHOTO_SHA256", "SIGMA_M", "LIGHTS")
        assert [tags[f"REGENGINE_{name}"] for name in told] == [
            result.frame, "accepted", "0.9997", "2012-03-28T15:46:41Z", result.sha256, "140.0",
            "Black Marble 2016",
        ]  # fmt: skip
        return np.asarray(dataset.read())


def test_gdal_reads_the_points_of_all_three_and_the_photo_stays(
    result: Any, tmp_path: Path
) -> None:
    own, photo = write_store(tmp_path / "run.h5", [result]), Path(result.path)
    before = photo.read_bytes()
    with warnings.catch_warnings(action="ignore"), rasterio.open(photo) as dataset:
        pixels = dataset.read()
    export(own, "gcp", tmp_path, "--files", "vrt,aux,tif")
    # With PHOTO.aux.xml beside it the photo itself has control points
    for name in (f"{NAME}.jpg", f"{NAME}.gcp.vrt", f"{NAME}.gcp.tif"):
        assert np.array_equal(check_points(tmp_path / name, result), pixels), name
    assert photo.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in (f"{NAME}.jpg", f"{NAME}.gcp.vrt"):
        shutil.move(tmp_path / name, moved / name)
    assert check_points(moved / f"{NAME}.gcp.vrt", result).any()


@pytest.fixture
def near(tmp_path: Path) -> tuple[Path, Any]:
    """A store whose camera of a sample is a pixel off at the edges, and the true one."""
    truth = true_camera(SAMPLE)
    off = seen_by(proposal(SAMPLE), replace(truth, focal_px=1.001 * truth.focal_px))
    lights = shutil.copy(LIGHTS, tmp_path / "lights.tif")
    shutil.copy(SAMPLES / f"{SAMPLE}.jpg", tmp_path)
    result = placed(of_photo(off, tmp_path / f"{SAMPLE}.jpg"))
    result = replace(result, width_px=truth.width_px, height_px=truth.height_px)
    settings = settings_with(lights)
    return write_store(tmp_path / "run.h5", [result], settings=settings), truth


def test_more_points_lie_where_their_sigmas_say_and_make_a_spline(
    near: tuple[Path, Any], tmp_path: Path
) -> None:
    store, truth = near
    tables = []
    for count in (4, 40):
        export(store, "csv", tmp_path / "points.csv", "--points", count, "--force")
        tables.append(pd.read_csv(tmp_path / "points.csv"))
    few, many = tables
    assert (len(few), len(many)) == (4, 40)
    pd.testing.assert_frame_equal(many.iloc[:4], few)  # what is there stays
    solved = regengine.open_store(store)[SAMPLE].camera
    x, y = solved.lonlat_to_pixel(many.lon.to_numpy(), many.lat.to_numpy())
    assert np.hypot(many.x - x, many.y - y).max() < 0.01  # back again, they check nothing
    more = many.iloc[4:]
    lon, lat = truth.pixel_to_lonlat(more.x.to_numpy(), more.y.to_numpy())
    off = Geod(ellps="WGS84").inv(lon, lat, more.lon, more.lat)[2] / more.sigma_m
    assert off.max() < 4.0
    assert 0.2 < float(np.sqrt((off**2).mean())) < 2.0
    for beyond in (many.x < 900, many.x > 1230, many.y < 600, many.y > 800):
        assert beyond.sum() > 9
    export(store, "gcp", tmp_path, "--points", 24)
    with rasterio.open(tmp_path / f"{SAMPLE}.gcp.vrt") as dataset:
        points, _ = dataset.gcps
    assert [one.col - 0.5 for one in points] == pytest.approx(many.x.iloc[:24].tolist(), abs=1e-4)
    x, y = np.meshgrid(np.linspace(400.0, 1700.0, 9), np.linspace(250.0, 1200.0, 9))
    places = truth.pixel_to_lonlat(x.ravel(), y.ravel())
    errors = []
    for used in (points[:4], points):
        with GCPTransformer(used, tps=len(used) > 4) as transform:
            there = transform.xy(y.ravel(), x.ravel(), offset="center")
        errors.append(np.median(Geod(ellps="WGS84").inv(*there, *places)[2]))
    assert errors[1] < 0.2 * errors[0]


def test_matched_lights_are_rows_and_lines(near: tuple[Path, Any], tmp_path: Path) -> None:
    store, truth = near
    export(store, "csv", tmp_path / "m.csv", "--table", "matches")
    table = pd.read_csv(tmp_path / "m.csv")
    assert len(table) > 60
    assert set(table.frame) == {SAMPLE}
    camera = regengine.open_store(store)[SAMPLE].camera
    x, y = camera.lonlat_to_pixel(table.lon.to_numpy(), table.lat.to_numpy())
    assert np.hypot(table.x - x, table.y - y).to_numpy() == pytest.approx(
        table.residual_px.to_numpy(), abs=1e-6
    )
    x, y = truth.lonlat_to_pixel(table.lon.to_numpy(), table.lat.to_numpy())
    assert np.median(np.hypot(table.x - x, table.y - y)) < 4.0
    export(store, "parquet", tmp_path / "m.parquet", "--table", "matches")
    assert len(pd.read_parquet(tmp_path / "m.parquet")) == len(table)
    pictures = []
    for words in ((), ("--matches",)):
        said = run("overlay", store, "--out", tmp_path / "o", "--json", *words)
        assert said.code == 0, said.err
        with Image.open(said.records[0]["overlay"]) as picture:
            pictures.append(np.asarray(picture).astype(int))
    drawn = np.abs(pictures[1] - pictures[0]).max(axis=-1) > 30
    lines = drawn[:, drawn.shape[1] // 2 - 2]  # between photo and map
    assert 20 < lines.sum() < 0.5 * len(lines)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (f"{SAMPLE}.jpg", "the photo is missing"),
        ("lights.tif", "lights.tif, which this run used, was moved or changed: put it back"),
    ],
)
def test_what_lacks_for_a_match_is_told(
    lost: str, said: str, near: tuple[Path, Any], tmp_path: Path
) -> None:
    store, _ = near
    (tmp_path / lost).unlink()
    out = tmp_path / "points.csv"
    (record,) = export(store, "csv", out, "--points", 9, "--json").records
    (remark,) = record["remarks"].values()
    assert remark.startswith("4 of 9 control points: ")
    assert said in remark
    assert len(pd.read_csv(out)) == 4
    words = ("--table", "matches", "--json", "--force")
    (record,) = export(store, "csv", out, *words, code=1).records
    assert said in next(iter(record["failed"].values()))


def test_photos_that_are_gone_or_changed_are_told(result: Any, tmp_path: Path) -> None:
    changed = replace(result, frame="changed", sha256="0" * 64)
    gone = replace(proposal("gone"), path=str(tmp_path / "gone.jpg"))
    store = write_store(tmp_path / "run.h5", [changed, gone, nothing_found(), result])
    out = tmp_path / "gcp"
    words = ("--files", "tif", "--verdict", "all", "--json")
    (record,) = export(store, "gcp", out, *words, code=1).records
    assert list(record["failed"]) == [result.path, gone.path]
    assert "has changed" in record["failed"][result.path]
    missing = "the photo is missing: put it beside the store, or name the folder"
    assert record["failed"][gone.path].startswith(missing)
    assert sum(record["left_out"].values()) == 1
    # Two photos of one name: a part of the hash tells them apart
    assert [path.name for path in out.iterdir()] == [f"{NAME}-{result.sha256[:8]}.gcp.tif"]
    store = write_store(tmp_path / "small.h5", [replace(result, width_px=320)])
    assert "another picture size" in export(store, "gcp", tmp_path / "p", code=1).err


def test_a_photo_is_never_written_to(result: Any, tmp_path: Path) -> None:
    photo, link, out = tmp_path / "x.gcp.tif", tmp_path / "x.tif", tmp_path / "o"
    shutil.copy(result.path, photo)
    link.symlink_to(photo)
    before = photo.read_bytes()
    store = write_store(tmp_path / "run.h5", [replace(result, path=str(link))])
    said = export(store, "gcp", tmp_path, "--files", "tif", "--force", code=1)
    assert "is the photo itself" in said.err
    assert photo.read_bytes() == before
    out.mkdir()
    shutil.copy(result.path, out / "collection.json")
    store = write_store(tmp_path / "s.h5", [replace(result, path=str(out / "collection.json"))])
    assert "is one of the photos" in export(store, "stac", out, "--force", code=2).err
    assert [path.name for path in out.iterdir()] == ["collection.json"]
    assert (out / "collection.json").read_bytes() == before


def read_as_qgis(text: str) -> tuple[str, list[tuple[float, ...]]]:
    """What `QgsGCPList::loadGcps` makes of a file: CRS, then map x, y, source x, y, residuals.

    The first line names the CRS; the next is passed over whatever it is; every other line must
    have four cells or more, blank ones included.
    """
    first, _, *lines = text.removesuffix("\n").split("\n")
    cells = [line.split(",") for line in lines]
    assert all(len(one) >= 5 and int(one[4]) for one in cells)
    return first.removeprefix("#CRS: "), [tuple(map(float, one)) for one in cells]


def test_qgis_reads_the_points_back(result: Any, tmp_path: Path) -> None:
    first = replace(result.control_points[0], x=103.0, y=86.0)  # 3 px right of its place, 4 above
    result = replace(result, control_points=(first, *result.control_points[1:]))
    export(write_store(tmp_path / "run.h5", [result]), "qgis", tmp_path)
    # QGIS opens PHOTO.points by itself with the photo
    text = (tmp_path / f"{NAME}.jpg.points").read_bytes().decode()
    assert "\r" not in text
    crs, points = read_as_qgis(text)
    assert CRS.from_wkt(crs).to_epsg() == 4326
    for (lon, lat, sx, sy, *_), point in zip(points, result.control_points, strict=True):
        assert (lon, lat) == pytest.approx((point.lon, point.lat), abs=1e-8)
        # The middle of the upper left pixel is (0, 0) here and (0.5, -0.5) in QGIS
        assert (sx - 0.5, -sy - 0.5) == (point.x, point.y)
    assert points[0][5:] == pytest.approx((-3.0, -4.0, 5.0), abs=1e-6)  # QGIS's y runs upwards
    assert points[1][5:] == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)


def test_across_the_antimeridian_points_stay_together(result: Any, tmp_path: Path) -> None:
    lons = (179.9, -179.9, -179.8, 179.8)
    points = [replace(p, lon=lon) for p, lon in zip(result.control_points, lons, strict=True)]
    store = write_store(tmp_path / "run.h5", [replace(result, control_points=tuple(points))])
    export(store, "gcp", tmp_path / "o", "--files", "tif")
    with rasterio.open(tmp_path / "o" / f"{NAME}.gcp.tif") as dataset:
        of_gdal = [point.x for point in dataset.gcps[0]]
    export(store, "qgis", tmp_path / "o")
    _, read = read_as_qgis((tmp_path / "o" / f"{NAME}.jpg.points").read_text())
    for found in (of_gdal, [point[0] for point in read]):
        assert found == pytest.approx([179.9, 180.1, 180.2, 179.8])


# Projects of QGIS --------------------------------------------------------------------------------


def test_a_project_of_qgis_names_what_lies_beside_it(result: Any, tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [result], settings=settings_with(LIGHTS))
    export(store, "qgis", tmp_path, "--files", "project")
    root = ElementTree.parse(tmp_path / f"{NAME}.qgs")
    layers = {layer.findtext("id"): layer for layer in root.iterfind("projectlayers/maplayer")}
    in_tree = [each.attrib for each in root.iterfind("layer-tree-group/layer-tree-layer")]
    assert [each["id"] for each in in_tree] == [*layers] == ["points", "photo", "lights"]
    for each in in_tree:
        layer = layers[each["id"]]
        assert layer.findtext("datasource") == each["source"]
        assert layer.findtext("provider") == each["providerKey"]
        assert CRS.from_wkt(layer.findtext("srs/spatialrefsys/wkt") or "").to_epsg() == 4326
    check_points(tmp_path / (layers["photo"].findtext("datasource") or ""), result)
    file, _, query = (layers["points"].findtext("datasource") or "").partition("?")
    wanted = dict(part.split("=") for part in query.split("&"))
    listed = tmp_path / unquote(file.removeprefix("file:"))
    points = pd.read_csv(listed, skiprows=int(wanted["skipLines"]))
    for field, axis in (("xField", "lon"), ("yField", "lat")):
        known = [getattr(point, axis) for point in result.control_points]
        assert points[wanted[field]].tolist() == pytest.approx(known)
    assert layers["lights"].findtext("datasource") == str(LIGHTS)


# Photos on the map -------------------------------------------------------------------------------

LAMPS = [(60.3, 50.8), (320.5, 213.1), (600.2, 100.4), (40.6, 380.2), (590.1, 390.7)]


def bent(lon: float, lat: float, tilt_deg: float, **changed: Any) -> Any:
    return camera_of(tilt_deg, lon, lat, **{"focal_px": 900.0, "distortion": LENS} | changed)


def store_of_lamps(folder: Path, camera: Any) -> Path:
    """A photo ``lamps.png`` of lamps at known places, which are its control points."""
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[: camera.height_px, : camera.width_px]
    light = sum(np.exp(-((x - lx) ** 2 + (y - ly) ** 2) / (2 * 2.0**2)) for lx, ly in LAMPS)
    grey = np.rint(30 + 220 * np.minimum(light, 1.0)).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "lamps.png")
    lon, lat = camera.pixel_to_lonlat(*np.array(LAMPS).T)
    base = replace(proposal().control_points[0], sigma_px=0.6, covariance_px=(0.36, 0.0, 0.36))
    points = tuple(
        replace(base, x=lx, y=ly, lon=float(a), lat=float(b))
        for (lx, ly), a, b in zip(LAMPS, lon, lat, strict=True)
        if np.isfinite(a)
    )
    result = of_photo(seen_by(proposal("lamps"), camera), folder / "lamps.png")
    return write_store(folder / "run.h5", [replace(result, control_points=points)])


@pytest.mark.parametrize(
    ("camera", "crs", "size"),
    [
        (bent(136.9, 35.7, 45.0, mirrored=True), "EPSG:3857", 250.0),
        (bent(179.9, -40.0, 30.0), "EPSG:4326", None),
    ],
)
def test_lamps_lie_on_the_map_where_the_camera_sees_them(
    camera: Any, crs: str, size: float | None, tmp_path: Path
) -> None:
    """Their centres on the map, taken back into the photo: within a fifth of a pixel."""
    store = store_of_lamps(tmp_path, camera)
    words = ("--resolution", size) if size else ()
    export(store, "geotiff", tmp_path / "o", "--crs", crs, *words)
    with rasterio.open(tmp_path / "o" / "lamps.sigma.tif") as dataset:
        sigma = dataset.read(1)
    with rasterio.open(tmp_path / "o" / "lamps.warped.tif") as dataset:
        assert dataset.crs.to_epsg() == int(crs.partition(":")[2])
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        light, transform = dataset.read(1).astype(float), dataset.transform
        assert size is None or dataset.res == (size, size)
        assert np.array_equal(np.isfinite(sigma), dataset.dataset_mask() > 0)
    assert np.nanmin(sigma) > 50.0  # the map's own
    check_lamps(light, transform, crs, camera)


def test_pixels_are_read_as_asked(tmp_path: Path) -> None:
    """The nearest are colours of the photo; the smoother, the steeper between them."""
    store = one_photo(tmp_path, camera_of(20.0), "png")
    with Image.open(tmp_path / "photo.png") as photo:
        colours = set(map(tuple, np.asarray(photo).reshape(-1, 3).tolist()))
    drawn = {}
    for name in ("nearest", "bilinear", "cubic", "lanczos"):
        words = ("--files", "warped", "--resolution", 0.015, "--co", "BLOCKSIZE=128")
        export(store, "geotiff", tmp_path / name, *words, "--resampling", name)
        with rasterio.open(tmp_path / name / "photo.warped.tif") as dataset:
            drawn[name] = dataset.read()[:, dataset.dataset_mask() > 0]
            overview = rasterio.open(dataset.name, overview_level=0).read()
        of_photo_alone = set(map(tuple, overview.reshape(3, -1).T.tolist())) <= colours
        assert of_photo_alone == (name == "nearest")
        assert (set(map(tuple, drawn[name].T.tolist())) <= colours) == (name == "nearest")
    assert len({values.tobytes() for values in drawn.values()}) == 4
    export(store, "kmz", tmp_path / "k", "--resampling", "nearest")
    assert (
        "--format geotiff"
        in export(store, "gcp", tmp_path / "g", "--resampling", "cubic", code=2).err
    )


def test_creation_options_are_those_of_gdal(tmp_path: Path) -> None:
    store = one_photo(tmp_path, camera_of(20.0))
    words = ("--co", "compress=ZSTD", "--co", "BLOCKSIZE=128", "--resolution", 0.02)
    export(store, "geotiff", tmp_path / "o", *words)
    for kind in ("warped", "sigma"):
        with rasterio.open(tmp_path / "o" / f"photo.{kind}.tif") as dataset:
            assert dataset.profile["compress"] == "zstd"
            assert dataset.block_shapes[0] == (128, 128)
    words = ("--co", "COMPRESS=JPEG", "--files", "warped", "--resolution", 0.02)
    export(store, "geotiff", tmp_path / "j", *words)
    with rasterio.open(tmp_path / "j" / "photo.warped.tif") as dataset:
        assert dataset.profile["compress"] == "jpeg"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--co", "FOO=1"), "does not support creation option FOO"),
        (("--co", "TILED=YES"), "does not support creation option TILED"),
        (("--co", "COMPRESS=XYZ"), "'XYZ' is an unexpected value for COMPRESS"),
        (("--co", "BLOCKSIZE=abc"), "'ABC' is an unexpected value for BLOCKSIZE"),
        (("--co", "BLOCKSIZE=129"), "Bad value 129"),
        (("--co", "COMPRESS=JPEG"), "of the sigma file"),
        (("--co", "COMPRESS"), "write KEY=VALUE"),
        (("--co", "TARGET_SRS=EPSG:3857"), "the grid is that of --crs"),
        (("--resampling", "best"), "choose from nearest, bilinear"),
        (("--table", "matches"), "use --format csv or parquet"),
        (("--points", "3"), "--points"),
        (("--points", "9", "--table", "frames"), "--points 9 is for control points"),
    ],
)
def test_options_that_cannot_be_met_are_refused_in_a_sentence(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    store = write_store(tmp_path / "run.h5", [proposal()])
    told = export(store, "geotiff", tmp_path / "o", *words, code=2)
    assert said in told.err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("lon", [136.9, 179.9])
def test_a_kmz_has_the_photo_its_footprint_and_its_points(lon: float, tmp_path: Path) -> None:
    camera = bent(lon, 35.7, 45.0)
    store = store_of_lamps(tmp_path, camera)
    export(store, "kmz", tmp_path / "o", "--resolution", 0.0025)
    with rasterio.open(tmp_path / "o" / "lamps.kmz") as dataset:  # as GDAL and QGIS read it
        assert dataset.crs.to_epsg() == 4326
        assert dataset.res == pytest.approx((0.0025, 0.0025))
        check_lamps(dataset.read(1).astype(float), dataset.transform, "EPSG:4326", camera)
        assert (dataset.read(1)[dataset.read(4) == 0] == 0).all()
    with warnings.catch_warnings(action="ignore"):
        marks = pyogrio.read_dataframe(tmp_path / "o" / "lamps.kmz").set_index("Name").geometry
    assert marks["footprint"].contains(marks["point 1":"point 5"]).all()
    for lamp, place in zip(LAMPS, marks["point 1":"point 5"], strict=True):
        assert camera.lonlat_to_pixel(place.x, place.y) == pytest.approx(lamp, abs=0.01)
    said = export(store, "kmz", tmp_path / "p", "--crs", "EPSG:3857", code=2).err
    assert "EPSG:4326" in said
    assert not (tmp_path / "p").exists()


def check_lamps(light: Any, transform: Any, crs: str, camera: Any) -> None:
    to_map = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    found, number = ndimage.label(light > 80)
    assert number == len(LAMPS)
    # Brightness over area of the photo, not of the map: weigh by how much a pixel covers
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    lon, lat = to_map.transform(*(transform @ (columns, rows)), direction="INVERSE")
    px, py = camera.ecef_to_pixel(ecef_of(lon, lat))
    (px_y, px_x), (py_y, py_x) = np.gradient(px), np.gradient(py)
    weight = np.where(found > 0, (light - 80.0) * np.abs(px_x * py_y - px_y * py_x), 0.0)
    total = ndimage.sum(weight, found, range(1, number + 1))
    centres = [ndimage.sum(weight * p, found, range(1, number + 1)) / total for p in (px, py)]
    for lamp in LAMPS:
        assert np.hypot(centres[0] - lamp[0], centres[1] - lamp[1]).min() < 0.2, lamp


# Rational polynomials ----------------------------------------------------------------------------

CAMERAS = {
    "distorted": camera_of(40.0, distortion=LENS, focal_px=900.0),
    "oblique": camera_of(65.0, distortion=LENS, focal_px=1000.0, mirrored=True),
    "antimeridian": camera_of(30.0, lon=180.0),
    "stretched": camera_of(50.0, pixel_aspect=1.01),
}


def off_by(path: Path, camera: Any, height_m: float) -> float:
    """Pixels by which GDAL puts places elsewhere than the camera, at most."""
    x, y, lon, lat = seen_places(camera, height_m)
    with warnings.catch_warnings(action="ignore"), rasterio.open(path) as dataset:
        assert dataset.rpcs is not None
        with RPCTransformer(dataset.rpcs) as transformer:
            row, column = transformer.rowcol(lon, lat, np.full(len(x), height_m), op=lambda v: v)
    # GDAL counts from the picture's corner
    return float(np.hypot(np.array(column) - 0.5 - x, np.array(row) - 0.5 - y).max())


@pytest.mark.parametrize("name", CAMERAS)
def test_gdal_sees_places_of_any_height_where_the_camera_does(name: str, tmp_path: Path) -> None:
    camera = CAMERAS[name]
    store = one_photo(tmp_path, camera, "tif")
    export(store, "rpc", tmp_path)
    for height_m in (0.0, 700.0, 3600.0):
        for file in ("photo.tif", "photo.rpc.vrt"):
            assert off_by(tmp_path / file, camera, height_m) < 0.1, (file, height_m)


def test_all_files_say_the_same_and_the_photo_stays(tmp_path: Path) -> None:
    found = []
    for kind, ending in (("aux", "jpg"), ("vrt", "jpg"), ("txt", "tif"), ("rpb", "tif")):
        folder = tmp_path / kind
        store = one_photo(folder, camera_of(40.0, distortion=LENS), ending)
        before = (folder / f"photo.{ending}").read_bytes()
        export(store, "rpc", folder, "--files", kind)
        assert (folder / f"photo.{ending}").read_bytes() == before
        with rasterio.open(folder / ("photo.rpc.vrt" if kind == "vrt" else f"photo.{ending}")) as d:
            found.append(d.rpcs)
    assert found[0] is not None
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("lon", [136.9, 180.0])
def test_the_cutline_is_one_ring_around_the_place_of_the_coefficients(
    tmp_path: Path, lon: float
) -> None:
    export(one_photo(tmp_path, camera_of(30.0, lon)), "rpc", tmp_path)
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


def test_the_limb_alone_has_no_coefficients(tmp_path: Path) -> None:
    said = export(one_photo(tmp_path, camera_of(80.0)), "rpc", tmp_path / "o", code=1)
    assert "too little ground below an incidence angle of 80 degrees" in said.err
    assert list((tmp_path / "o").iterdir()) == []


# What a photo carries already --------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_a_place_that_a_photo_carries_is_told_of_before_it_is_contradicted(
    ending: str, tmp_path: Path
) -> None:
    """Four points, or the camera, near Nagoya: 12,000 km from Africa."""
    photo, out, world = tmp_path / f"photo.{ending}", tmp_path / "o", tmp_path / "photo.jgw"
    result = photographed(proposal("photo"), photo)
    out.mkdir()
    if ending == "jpg":
        world.write_text("0.1\n0\n0\n-0.1\n20\n10\n")
    else:
        points = [GroundControlPoint(0, 0, 20, 10), GroundControlPoint(9, 600, 80, 9)]
        points.append(GroundControlPoint(400, 9, 21, -30))
        with warnings.catch_warnings(action="ignore"), rasterio.open(photo, "r+") as dataset:
            dataset.gcps = points, rasterio.crs.CRS.from_epsg(4326)
    name = world.name if ending == "jpg" else photo.name
    store = write_store(tmp_path / "run.h5", [of_photo(result, photo)])
    for format_name in ("gcp", "rpc"):
        said = export(store, format_name, out, code=1)
        assert f"{name} places it " in said.err
        assert "km from its solved camera's ground: move that file away, or replace" in said.err
        assert not list(out.iterdir())
        forced = export(store, format_name, out, "--force", "--json")
        remark = forced.records[0]["remarks"][str(photo)]
        away_km = float(remark.partition(f"{name} places it ")[2].split()[0].replace(",", ""))
        assert 5_000 < away_km < 15_000
        for path in out.iterdir():
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
