"""Variants of pictures in the registration benchmark, and where their pixels went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_results import nadir_camera
from PIL import ExifTags, Image
from scipy.spatial.transform import Rotation

from benchmarks.registration.cases import Case
from benchmarks.registration.variants import AS_IT_IS, VARIANTS, places_moved_px, variants_of
from matchers.camera import Camera
from regengine.photo.frame import read_frame


@pytest.fixture(scope="module")
def camera() -> Camera:
    return replace(nadir_camera(), focal_px=900.0)


@pytest.fixture(scope="module")
def photo(camera: Camera, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG with EXIF."""
    rng = np.random.default_rng(5)
    picture = rng.integers(0, 256, (camera.height_px, camera.width_px), np.uint8)
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
