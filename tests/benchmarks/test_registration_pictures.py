"""Pictures of the registration benchmark: variants, local checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from example_results import nadir_camera
from PIL import ExifTags, Image
from scipy.spatial.transform import Rotation

from benchmarks.registration.cases import Case
from benchmarks.registration.process import city_light, grid_points, local_shift
from benchmarks.registration.variants import AS_IT_IS, VARIANTS, places_moved_px, variants_of
from matchers.camera import Camera
from matchers.light_grid import LightGrid, pyramid
from matchers.view import render
from regengine.errors import LightMapError
from regengine.lights.source import LightMapInfo
from regengine.photo.frame import read_frame

STEP_DEG = 1.0 / 240.0


WHOLE_EARTH = LightMapInfo(
    paths=(),
    product="made for the test",
    date="",
    kind="radiance",
    resolution_deg=1.0 / 240.0,
    bounds=(-180.0, -90.0, 180.0, 90.0),
    crs="EPSG:4326",
    saturation=None,
    description="a map of the whole Earth",
)


class OneGrid:
    """A light map of one window, whatever is asked."""

    info = WHOLE_EARTH

    def __init__(self, grid: LightGrid) -> None:
        self.grid = grid

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        return self.grid


class Nowhere:
    """A light map that covers nothing."""

    info = WHOLE_EARTH

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        raise LightMapError("There is nothing.", code="outside_map")


@pytest.fixture(scope="module")
def town_map() -> OneGrid:
    """1,500 towns of a few pixels each around 136.9 E, 35.7 N."""
    rng = np.random.default_rng(5)
    side = 1000
    light = np.zeros((side, side))
    rows, cols = rng.integers(0, side, (2, 1500))
    light[rows, cols] = np.exp(rng.normal(3.0, 1.2, 1500))
    light = cv2.GaussianBlur(light, (0, 0), 1.2) + 4.0 * cv2.GaussianBlur(light, (0, 0), 3.5)
    half = 0.5 * side * STEP_DEG
    return OneGrid(
        LightGrid(
            values=np.log10(1.0 + light).astype(np.float32),
            lon0_deg=136.9 - half,
            lat0_deg=35.7 + half,
            step_deg=STEP_DEG,
        )
    )


@pytest.fixture(scope="module")
def camera() -> Camera:
    return replace(nadir_camera(), focal_px=900.0)


@pytest.fixture(scope="module")
def photo(town_map: OneGrid, camera: Camera, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What that camera takes of the towns, as a PNG with EXIF."""
    light = 10.0 ** render(pyramid(town_map.grid, 5), camera, 2) - 1.0
    linear = np.clip(light / np.quantile(light, 0.999), 0.0, 1.0)
    picture = np.rint(255.0 * linear ** (1.0 / 2.2)).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "NIKON D3S"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2012:03:28 15:46:41"
    path = tmp_path_factory.mktemp("photo") / "towns.png"
    Image.fromarray(picture).convert("RGB").save(path, exif=exif)
    return path


def turned(camera: Camera, shift_px: float) -> Camera:
    """The camera turned so that its picture moves sideways."""
    turn = Rotation.from_rotvec([0.0, shift_px / camera.focal_px, 0.0])
    attitude = Rotation.from_quat(camera.quaternion) * turn
    return replace(camera, quaternion=tuple(attitude.as_quat().tolist()))


@pytest.mark.parametrize("size", [(10, 6), (6, 10), (8, 8)], ids=["wide", "tall", "square"])
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_know_where_their_pixels_went(name: str, size: tuple[int, int]) -> None:
    width, height = size
    picture = np.arange(3 * width * height, dtype=np.uint8).reshape(height, width, 3)
    changed = VARIANTS[name].change(picture)
    kept = 0
    for y in range(height):
        for x in range(width):
            to_x, to_y = VARIANTS[name].place(np.array(x), np.array(y), size)
            if 0 <= to_x < changed.shape[1] and 0 <= to_y < changed.shape[0]:
                np.testing.assert_array_equal(changed[int(to_y), int(to_x)], picture[y, x])
                kept += 1
    assert kept == changed.shape[0] * changed.shape[1]
    halves = 2 if VARIANTS[name].crops else 1
    assert kept == width * height // halves


def test_variants_are_written_with_their_exif(photo: Path, tmp_path: Path) -> None:
    case = Case(name="towns", file="cities/towns.png", photo=photo)
    cases = variants_of(case, tmp_path)
    assert [c.variant for c in cases] == [name for name in VARIANTS if name != AS_IT_IS]
    assert [c.variant for c in variants_of(case, tmp_path, "MIRROR")] == ["mirrored"]
    frames = {c.variant: read_frame(c.photo, options=c.options) for c in cases}
    assert {frame.time_utc for frame in frames.values()} == {read_frame(photo).time_utc}
    assert (frames["turned 90°"].width_px, frames["turned 90°"].height_px) == (426, 640)
    assert (frames["middle half"].width_px, frames["middle half"].height_px) == (320, 426)
    pitches = {frame.pixel_pitch_um for frame in frames.values()}
    assert pitches == {36_000.0 / 640.0}  # a crop's would be taken for that of 426 px


def same_view(camera: Camera, name: str) -> Camera:
    """The camera of a variant of a picture, by construction."""
    if name == "mirrored":
        return replace(camera, mirrored=True)
    if name == "middle half":
        px, py = camera.principal_point
        return replace(camera, width_px=320, principal_point=(px - 160.0, py))
    # The picture turned against the clock: what was right is up, so x' = y and y' = -x
    quarter = Rotation.from_matrix([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    attitude = Rotation.from_quat(camera.quaternion) * quarter
    width, height = camera.height_px, camera.width_px
    return replace(
        camera,
        width_px=width,
        height_px=height,
        principal_point=((width - 1) / 2.0, (height - 1) / 2.0),
        quaternion=tuple(attitude.as_quat().tolist()),
    )


@pytest.mark.parametrize("name", ["mirrored", "middle half", "turned 90°"])
def test_the_same_view_has_not_moved(camera: Camera, name: str) -> None:
    other = same_view(camera, name)
    apart = places_moved_px(camera, other, name)
    assert len(apart) > 50
    np.testing.assert_allclose(apart, 0.0, atol=1e-3)
    assert np.median(places_moved_px(camera, turned(other, 3.0), name)) > 2.0


def test_a_turned_solution_has_moved(camera: Camera) -> None:
    # Two pixels at 391 km and a focal length of 900 px: 869 m, 1.88 map pixels
    apart = places_moved_px(camera, turned(camera, 2.0), AS_IT_IS)
    np.testing.assert_allclose(np.median(apart), 1.88, rtol=0.08)


def test_city_light_is_dark_between_towns(photo: Path) -> None:
    values, factor = city_light(photo, 320)
    assert values.shape == (213, 320)
    assert factor == 0.5
    assert np.median(values) < 0.1 < values.max()


def test_the_right_camera_leaves_no_local_shift(
    photo: Path, camera: Camera, town_map: OneGrid
) -> None:
    shift = local_shift(photo, camera, town_map, grid_points(camera))
    assert shift is not None
    assert shift.tried == 35  # the upper and lower rows lie too near the rim
    assert shift.found >= 20
    assert shift.median_px < 0.5
    assert shift.median_m < 200.0


def test_a_turned_camera_leaves_a_local_shift(
    photo: Path, camera: Camera, town_map: OneGrid
) -> None:
    shift = local_shift(photo, turned(camera, 4.0), town_map, grid_points(camera))
    assert shift is not None
    assert shift.median_px == pytest.approx(4.0, abs=0.6)
    assert shift.median_m == pytest.approx(4.0 * 391.2e3 / 900.0, rel=0.2)


def test_there_is_no_local_shift_outside_the_map(photo: Path, camera: Camera) -> None:
    assert local_shift(photo, camera, Nowhere(), grid_points(camera)) is None
