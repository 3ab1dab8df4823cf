"""Register takes the calibrated lens of a photo's camera, and changes nothing without one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import test_lens_profile
from PIL import Image

from regengine.batch.register import parameters_of
from regengine.orbit.propagation import position_from_nadir
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.pipeline import RunInputs
from regengine.registration.preparation import nominal_camera

POSITION = position_from_nadir(10.0, 45.0, 400.0, "option")
PROFILE = replace(test_lens_profile.PROFILE, lens=None)


def photo(folder: Path, *, focal_mm: float = 50.0, lens: str | None = None) -> Path:
    exif = Image.Exif()
    exif[0x0110] = "NIKON D3S"
    exif.get_ifd(0x8769).update({0x920A: focal_mm, **({} if lens is None else {0xA434: lens})})
    path = folder / "night.jpg"
    Image.new("RGB", (1500, 998)).save(path, exif=exif)
    return path


def frame(folder: Path, **named: object) -> Frame:
    return read_frame(photo(folder, **named), options=FrameOptions(lenses=(PROFILE,)))  # type: ignore[arg-type]


def test_a_photo_of_that_lens_starts_from_its_calibration(tmp_path: Path) -> None:
    camera, focal_known = nominal_camera(frame(tmp_path), POSITION)
    scale = 1500 / 4256
    assert focal_known
    assert camera.focal_px == pytest.approx(5911.2 * scale)
    assert camera.principal_point == pytest.approx(
        (749.5 + (2140.25 - 2127.5) * scale, 498.5 + (1409.5 - 1415.5) * scale)
    )
    assert camera.distortion == PROFILE.distortion


def test_another_lens_stays_as_its_metadata_has_it(tmp_path: Path) -> None:
    with_profiles = frame(tmp_path, focal_mm=85.0)
    assert with_profiles.profile is None
    without = read_frame(photo(tmp_path, focal_mm=85.0))
    assert nominal_camera(with_profiles, POSITION) == nominal_camera(without, POSITION)
    assert not any(nominal_camera(without, POSITION)[0].distortion)


def test_the_lens_name_of_the_photo_is_read(tmp_path: Path) -> None:
    assert frame(tmp_path, lens="50.0 mm f/1.4").lens == "50.0 mm f/1.4"


def test_stores_of_runs_without_profiles_stay_good(tmp_path: Path) -> None:
    plain = RunInputs(lights=())
    text, digest = parameters_of(plain)
    assert "lenses" not in json.loads(text)["frame"]
    with_lens = replace(plain, frame=FrameOptions(lenses=(PROFILE,)))
    assert parameters_of(with_lens)[1] != digest
