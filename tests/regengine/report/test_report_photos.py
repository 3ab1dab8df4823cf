"""Small pictures of a run's photos: the photo itself, the right way up, and no other file."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from reported import accepted, failed

from regengine.report.page import overlay_of, photo_file, thumbnails, turned
from regengine.result import FrameResult
from tests.example_results import proposal


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Bright in its left half."""
    rgb = np.zeros((400, 600, 3), np.uint8)
    rgb[:, :300] = 200
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    Image.fromarray(rgb).save(path)
    return path


def of(photo: Path, **changes: object) -> FrameResult:
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    return accepted(**{"path": str(photo), "sha256": sha256, "orientation": 1} | changes)  # type: ignore[arg-type]


def test_a_photo_is_shown_the_right_way_up(photo: Path, tmp_path: Path) -> None:
    pictures = thumbnails([of(photo, orientation=6)], tmp_path / "run.h5", 5)
    image = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (240, 160)
    assert image[40, 80] > 180  # left becomes up
    assert image[200, 80] < 20


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_are_those_of_pillow(orientation: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    image, stream = Image.fromarray(rgb), io.BytesIO()
    exif = image.getexif()
    exif[0x112] = orientation
    image.save(stream, "png", exif=exif)
    told = np.asarray(ImageOps.exif_transpose(Image.open(stream)))
    np.testing.assert_array_equal(turned(rgb, orientation), told)  # type: ignore[arg-type]


def test_paths_are_tried_from_the_stores_folder_too(photo: Path, tmp_path: Path) -> None:
    assert photo_file("photos/a.png", tmp_path / "run.h5") == tmp_path / "photos" / "a.png"
    for text in ("photos/b.png", "photos", "", "a\x00b", "x" * 5000, "https://a.example/a.png"):
        assert photo_file(text, tmp_path / "run.h5") is None


def test_another_file_in_its_place_is_not_shown(photo: Path, tmp_path: Path) -> None:
    result = of(photo)
    Image.new("RGB", (50, 50)).save(photo)
    assert thumbnails([result], tmp_path / "run.h5", 5) == {}


def test_files_that_are_no_pictures_and_failed_photos_are_left_out(tmp_path: Path) -> None:
    text = tmp_path / "a.jpg"
    text.write_text("no picture")
    bad = of(text)
    assert thumbnails([bad, failed("f", "timed_out")], tmp_path / "run.h5", 5) == {}


def test_no_more_are_read_than_asked_for(photo: Path, tmp_path: Path) -> None:
    results = [of(photo)] * 6 + [of(photo, verdict="review")] * 2
    read: list[None] = []
    pictures = thumbnails(results, tmp_path / "run.h5", 4, lambda: read.append(None))
    assert len(pictures) == len(read) == 4
    assert {6, 7} <= set(pictures)  # reviews are few, all of them are shown
    assert thumbnails(results, tmp_path / "run.h5", 0) == {}


def test_the_overlay_with_the_photos_hash_comes_first(tmp_path: Path) -> None:
    result = proposal("a")
    assert overlay_of(result, tmp_path) is None
    (tmp_path / "a.overlay.png").touch()
    assert overlay_of(result, tmp_path) == tmp_path / "a.overlay.png"
    hashed = tmp_path / f"a-{result.sha256[:8]}.overlay.png"
    hashed.touch()
    assert overlay_of(result, tmp_path) == hashed
