"""What people bring in: times in odd spellings, depths, cut files, odd names of folders."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from tests.conftest import ROOT
from tests.world.faults import refusing
from tests.world.program import run

SAMPLE = ROOT / "data_samples" / "ISS990-E-000103.jpg"
SPELLINGS = {
    "plain": "2014:01:30 10:14:58",
    "zone": "2014-01-30T12:14:58+02:00",
    "evening": "2014:01:30 22:14:58",
    "pm": "2014:01:30 10:14:58 PM",
    "day": "2014:01:30",
    "strange": "2014:01:30 10:14:58 MEZ",
}


def test_what_stands_beside_a_time_is_not_dropped(tmp_path: Path) -> None:
    for name, text in SPELLINGS.items():
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = text
        Image.new("L", (64, 48)).save(tmp_path / f"{name}.jpg", exif=exif)
    said = run("classify", tmp_path, "--json", "--nadir", "136.9,35.7", "--workers", 0)
    sun = {one["frame"]: one["ephemeris"] for one in said.records}
    assert sun["zone"] == sun["plain"] is not None
    assert sun["pm"] == sun["evening"] is not None
    assert sun["plain"] != sun["evening"]
    assert sun["day"] is None
    assert sun["strange"] is None


def test_a_leap_second_and_a_zone_are_read_of_options_tables_and_headers(tmp_path: Path) -> None:
    """2012-06-30T23:59:60Z is midnight; so it is nine hours to the east."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2012:07:01 08:59:60"
    exif.get_ifd(0x8769)[0x9011] = "+9:00"
    Image.new("L", (64, 48)).save(tmp_path / "tag.jpg", exif=exif)
    Image.new("L", (64, 48)).save(tmp_path / "row.png")
    header = fits.Header({"DATE-OBS": "2012-06-30T23:59:60"})
    fits.PrimaryHDU(np.ones((48, 64), np.float32), header).writeto(tmp_path / "header.fits")
    table = tmp_path / "frames.csv"
    table.write_text("frame_id,gmt_date,gmt_time\nrow,20120630,235960\n")
    said = run("classify", tmp_path, "--json", "--nadir=0,0", "--metadata", table, "--workers", 0)
    sun = {one["frame"]: one["ephemeris"]["sun_elevation_deg"] for one in said.records}
    for time in ("2012-07-01T00:00:00Z", "2012-06-30T23:59:60Z", "2012-07-01T08:59:60 UTC+9"):
        told = run("classify", tmp_path / "row.png", "--json", "--nadir=0,0", "--time", time)
        assert (told.code, told.err) == (0, "")
        (one,) = told.records
        assert sun == dict.fromkeys(("tag", "row", "header"), one["ephemeris"]["sun_elevation_deg"])


def test_a_day_without_a_time_is_no_time(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    said = run("classify", tmp_path / "a.png", "--time", "2014-01-30")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "is not a valid time" in said.err


def test_values_of_a_table_that_are_left_out_are_named(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    table = tmp_path / "frames.csv"
    table.write_text(
        "frame_id;time_utc;nadir_lat;nadir_lon;altitude_km\na;2014-01-30;34,51;179.21;9000\n"
    )
    said = run("classify", tmp_path / "a.png", "--metadata", table)
    assert said.code == 0
    told = [line for line in said.err.splitlines() if "is ignored" in line]
    for word in ("2014-01-30", "34,51", "9000"):
        assert sum(repr(word) in line for line in told) == 1, said.err


def grey_sample() -> np.ndarray:
    return np.asarray(Image.open(SAMPLE).convert("L"))[200:712, 300:1068]


@pytest.mark.parametrize(("ending", "bits"), [("png", 12), ("tif", 14)])
def test_fewer_bits_in_16_are_told_and_make_no_difference(
    tmp_path: Path, ending: str, bits: int
) -> None:
    eight = grey_sample()
    assert eight.max() > 128
    cv2.imwrite(str(tmp_path / "eight.png"), eight)
    cv2.imwrite(str(tmp_path / f"more.{ending}"), eight.astype(np.uint16) << (bits - 8))
    said = run("classify", tmp_path, "--json", "--workers", 0)
    one, other = (record["probabilities"] for record in said.records)
    assert max(abs(one[name] - other[name]) for name in one) < 0.05
    assert f"read as {bits} bits in 16, since its largest sample is" in said.err
    assert said.err.count("bits in 16") == 1


def test_a_dark_picture_keeps_its_16_bits(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((60, 80), 1500, np.uint16))
    assert "bits in 16" not in run("classify", tmp_path / "dark.png").err


def test_a_jpeg_without_its_end_mark_is_read_and_one_without_its_end_is_not(
    tmp_path: Path,
) -> None:
    Image.fromarray(grey_sample()).save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "unmarked.jpg").write_bytes(content[:-2])
    (tmp_path / "torn.jpg").write_bytes(content[:-2000])
    found = {}
    for name in ("whole", "unmarked", "torn"):
        said = run("detect", "lights", tmp_path / f"{name}.jpg", "--json")
        found[name] = said.records[0]["lights"] if said.code == 0 else said.code
    assert found["whole"] == found["unmarked"] != []
    assert found["torn"] == 1


def test_a_folder_with_brackets_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "dir[1]"
    folder.mkdir()
    for name in ("a", "b"):
        Image.new("L", (64, 48)).save(folder / f"{name}.png")
    said = run("classify", f"{folder}/*.png", "--json", "--workers", 0)
    assert [one["frame"] for one in said.records] == ["a", "b"]


def test_an_overlay_that_a_full_disk_refuses_is_told_in_a_sentence(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    with refusing("fsync", 1, errno.ENOSPC) as refused:
        said = run("detect", "lights", tmp_path / "a.png", "--overlay", tmp_path / "o")
    assert refused()
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "the disk is full: free some space" in said.err
    assert "Errno" not in said.err


@pytest.mark.parametrize(
    "words", [("--focal-mm", 0.5), ("--focal-mm", 5000), ("--altitude-km", 20)]
)
def test_a_lens_or_height_that_cannot_be_is_refused(tmp_path: Path, words: tuple[object]) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "a.png")
    said = run("register", tmp_path / "a.png", *words)
    assert said.code == 2
    assert str(words[0]) in said.err
