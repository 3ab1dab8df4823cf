from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from regengine.photo.exif import Exif, interpret_exif, parse_exif_time, read_exif

ORIGINAL, SUBSECOND, OFFSET = 0x9003, 0x9291, 0x9011
Ratio = TiffImagePlugin.IFDRational

FULL = {
    ORIGINAL: "2012:03:28 15:46:41",
    SUBSECOND: "16",
    0x829A: Ratio(1, 13),
    0x829D: Ratio(16, 10),
    0x8827: 3200,
    0x920A: Ratio(85, 1),
    0xA405: 85,
}


def tagged(main: dict[int, Any], exposure: dict[int, Any]) -> Image.Exif:
    exif = Image.Exif()
    exif.update(main)
    exif[0x8769] = exposure
    return exif


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
def test_everything_is_read_from_each_format(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"photo{extension}"
    exif = tagged({0x0110: "NIKON D3S", 0x0112: 6}, FULL)
    if extension == ".tif":  # EXIF is a TIFF's directories; read_exif asks for no picture
        path.write_bytes(exif.tobytes().removeprefix(b"Exif\0\0"))
    else:
        Image.new("RGB", (40, 40)).save(path, exif=exif)
    assert read_exif(path) == Exif(
        time_utc=datetime(2012, 3, 28, 15, 46, 41, 160_000, tzinfo=UTC),
        time_is_naive=True,
        focal_mm=85.0,
        focal_35mm_equivalent_mm=85.0,
        camera_body="NIKON D3S",
        exposure_s=pytest.approx(1 / 13),
        aperture_f=1.6,
        iso=3200.0,
        orientation=6,
    )


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0MM\0*\xff\xff\xff\xff not a directory"])
def test_no_exif_and_damaged_exif_are_empty(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (40, 40)).save(path, exif=exif)
    assert read_exif(path) == Exif()


def test_own_time_zone_is_applied() -> None:
    exif = interpret_exif({}, {ORIGINAL: "2024:06:26 08:44:52", OFFSET: "+02:30"})
    assert exif.time_utc == datetime(2024, 6, 26, 6, 14, 52, tzinfo=UTC)
    assert not exif.time_is_naive
    west = interpret_exif({}, {ORIGINAL: "2024:06:26 08:44:52", OFFSET: "-05:00"})
    assert west.time_utc == datetime(2024, 6, 26, 13, 44, 52, tzinfo=UTC)


@pytest.mark.parametrize("offset", ["09:00", "+15:00", "JST", "+9:0"])
def test_a_time_zone_that_cannot_be_read_is_told(offset: str) -> None:
    exif = interpret_exif({}, {ORIGINAL: "2014:01:30 10:14:58", OFFSET: offset})
    assert exif.time_utc == datetime(2014, 1, 30, 10, 14, 58, tzinfo=UTC)
    assert exif.time_is_naive
    assert exif.time_remark == f"EXIF's {offset!r} is not a time zone"


@pytest.mark.parametrize("offset", ["   :  ", "", "\0\0", "00:00"])
def test_a_time_zone_that_is_left_blank_is_none(offset: str) -> None:
    exif = interpret_exif({}, {ORIGINAL: "2014:01:30 10:14:58", OFFSET: offset})
    assert (exif.time_is_naive, exif.time_remark) == (True, None)


def test_a_time_that_cannot_be_read_is_told_and_the_digitised_time_serves() -> None:
    tags = {ORIGINAL: "2014:01:30 10:14:58 by hand", 0x9004: "2014:01:30 10:14:58"}
    exif = interpret_exif({}, tags)
    assert exif.time_utc == datetime(2014, 1, 30, 10, 14, 58, tzinfo=UTC)
    assert exif.time_remark == "EXIF's '2014:01:30 10:14:58 by hand' is not a time"
    assert interpret_exif({}, {ORIGINAL: "0000:00:00 00:00:00"}).time_remark is None


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("2012:06:30 23:59:60", None),
        ("2012:07:01 08:59:60", "+09:00"),
        ("2012:06:30 23:59:60Z", None),
    ],
)
def test_a_leap_second_is_the_first_of_the_next_day(text: str, offset: str | None) -> None:
    exif = interpret_exif({}, {ORIGINAL: text, OFFSET: offset, SUBSECOND: "25"})
    assert exif.time_utc == datetime(2012, 7, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    assert interpret_exif({}, {ORIGINAL: "2012:06:30 10:14:60"}).time_utc is None


def test_the_editors_time_zone_is_not_applied() -> None:
    # Lightroom writes its own zone beside the modification time (0x0132, 0x9010).
    exif = interpret_exif(
        {0x0132: "2025:10:23 22:42:16"}, {ORIGINAL: "2011:10:29 16:59:22", 0x9010: "+02:00"}
    )
    assert exif.time_utc == datetime(2011, 10, 29, 16, 59, 22, tzinfo=UTC)
    assert exif.time_is_naive
    assert interpret_exif({0x0132: "2020:12:16 14:12:51"}, {}).time_utc is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2012:03:28 15:46:41", datetime(2012, 3, 28, 15, 46, 41)),
        ("2012-03-28T15:46:41Z", datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)),
        ("2014:01:30 10:14:58 PM", datetime(2014, 1, 30, 22, 14, 58)),
        ("2014:01:30 12:14:58 am", datetime(2014, 1, 30, 0, 14, 58)),
        ("2014:01:30 13:14:58 pm", None),
        ("2014:01:30 10:14:58 by hand", None),
        ("2014:01:30", None),
        ("2012:13:28 15:46:41", None),
        ("2012:03:28 25:46:41", None),
        ("    :  :     :  :  ", None),
        ("", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert parse_exif_time(text) == expected


@pytest.mark.parametrize(
    "value", [Ratio(0, 0), Ratio(0, 1), Ratio(1, 0), 0, -5, "eighty", None, (), b"\0"]
)
def test_focal_lengths_that_say_nothing(value: object) -> None:
    assert interpret_exif({}, {0x920A: value}).focal_mm is None


@pytest.mark.parametrize("value", [0, -50, 0.2, 3000.1, 50_000, 65_535, 4_294_967_295])
def test_a_focal_length_of_no_lens_is_kept_apart(value: float) -> None:
    told = interpret_exif({}, {0x920A: value, 0xA405: value})
    assert (told.focal_mm, told.focal_35mm_equivalent_mm) == (None, None)
    assert told.focal_remark == f"EXIF's {value} mm is not a focal length"


@pytest.mark.parametrize(("value", "expected"), [(0, 1), (9, 1), (8, 8), ((3,), 3), ("x", 1)])
def test_orientation(value: object, expected: int) -> None:
    assert interpret_exif({0x0112: value}, {}).orientation == expected


def test_sensitivity_beyond_sixteen_bits() -> None:
    assert interpret_exif({}, {0x8827: 65535, 0x8832: 102400}).iso == 102400.0
    assert interpret_exif({}, {0x8827: 65535}).iso == 65535.0
    assert interpret_exif({}, {0x8827: (3200, 0)}).iso == 3200.0


@pytest.mark.real
def test_exif_of_161_station_photos(real_data: Path) -> None:
    dumps = json.loads((real_data / "orbit/samples/exif_dumps.json").read_text())
    number = {name: tag for tag, name in ExifTags.TAGS.items()}
    number["ISOSpeedRatings"] = 0x8827
    times = 0
    for name, dump in dumps.items():
        tags = {number[key]: value for key, value in dump.items() if key in number}
        exif = interpret_exif(tags, tags)
        if "DateTimeOriginal" not in dump:
            continue
        times += 1
        assert exif.time_utc is not None, name
        # Every one of these cameras ran on GMT, whatever its editor wrote beside.
        assert exif.time_utc.strftime("%Y:%m:%d %H:%M:%S") == dump["DateTimeOriginal"], name
        assert exif.focal_mm == float(dump["FocalLength"]), name
        assert exif.iso == float(dump["ISOSpeedRatings"]), name
    assert times == 159
