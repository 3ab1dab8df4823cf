"""A photo's file is read once for what it says of itself, and once to be decoded."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from regengine.errors import FrameError
from regengine.photo.exif import read_exif
from regengine.photo.formats import read_photo_file
from regengine.photo.image import read_display_rgb, read_linear_channels, read_linear_light
from regengine.scene.picture import read_scene_picture
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES

COUNTED = """
import os, sys

photo, lights, elements = sys.argv[1:]
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
import regengine

found = regengine.register(photo, lights=lights, tle=elements)
paths = [path for path in opened if not isinstance(path, int)]
print(found.verdict, sum(os.fspath(path) == photo for path in paths))
"""


@pytest.mark.slow
def test_a_photo_that_is_registered_is_opened_twice() -> None:
    photo = SAMPLES / "ISS990-E-000101.jpg"
    run = subprocess.run(
        [sys.executable, "-c", COUNTED, photo, LIGHTS, ELEMENTS],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.stdout.split() == ["accepted", "2"]


def test_what_a_file_says_of_itself() -> None:
    photo = SAMPLES / "ISS990-E-000101.jpg"
    file = read_photo_file(photo, hashed=True)
    assert file.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()
    with Image.open(photo) as image:
        assert (file.width_px, file.height_px) == image.size
    assert file.exif == read_exif(photo)
    assert file.exif.time_utc is not None
    assert read_photo_file(photo).sha256 == ""


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_a_photo_that_becomes_another_one_while_it_is_read_is_refused(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    Image.new("RGB", (120, 80), (90, 60, 30)).save(path)
    file = read_photo_file(path)
    Image.new("RGB", (90, 80), (90, 60, 30)).save(path)
    for read in (
        lambda: read_linear_light(file, max_long_side_px=100),
        lambda: read_linear_light(file, max_long_side_px=100, small_jpeg=True),
        lambda: read_linear_channels(file, max_long_side_px=100),
        lambda: read_display_rgb(file, 100),
        lambda: read_scene_picture(file),
    ):
        with pytest.raises(FrameError, match=r"changed while it was read.*try again"):
            read()
