from __future__ import annotations

import csv
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from regengine.errors import ConfigError
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.records import FrameRecord, FrameRecords

EXIF_TIME = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
RECORD = FrameRecord(
    frame_id="ISS030-E-184140",
    time_utc=datetime(2012, 3, 28, 15, 46, 0, tzinfo=UTC),
    nadir_lat=35.7,
    nadir_lon=136.9,
    altitude_km=399.9,
    camera="NIKON D3S S/N: 2008336",
    focal_mm=180.0,
    exposure_s=0.1,
    aperture_f=2.8,
    iso=6400.0,
)
RECORDS = FrameRecords(by_id={RECORD.frame_id: RECORD})


def photo(
    folder: Path,
    *,
    name: str = "iss030e184140_lrg.jpg",
    size: tuple[int, int] = (640, 426),
    model: str | None = None,
    exposure: dict[int, Any] | None = None,
) -> Path:
    exif = Image.Exif()
    if model:
        exif[0x0110] = model
    exif.get_ifd(0x8769).update(exposure or {})
    path = folder / name
    Image.new("RGB", size).save(path, exif=exif)
    return path


def d3s_photo(folder: Path) -> Path:
    exposure = {
        0x9003: "2012:03:28 15:46:41",
        0x920A: 85.0,
        0x829A: 0.04,
        0x829D: 1.6,
        0x8827: 3200,
    }
    return photo(folder, model="NIKON D3S", exposure=exposure)


def test_exif_alone(tmp_path: Path) -> None:
    path = d3s_photo(tmp_path)
    frame = read_frame(path)
    assert frame.path == path
    assert frame.frame_id == "ISS030-E-184140"
    assert frame.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (frame.width_px, frame.height_px, frame.orientation) == (640, 426, 1)
    assert frame.time_utc == EXIF_TIME
    assert frame.camera_body == "NIKON D3S"
    assert frame.pixel_pitch_um == pytest.approx(56.25)
    assert frame.focal_px == pytest.approx(85.0 / 0.05625)
    assert (frame.exposure_s, frame.aperture_f, frame.iso) == pytest.approx((0.04, 1.6, 3200.0))
    assert (frame.nadir, frame.altitude_km) == (None, None)
    assert not frame.may_be_cropped
    assert frame.sources == {
        "frame_id": "filename",
        "time": "exif (naive, taken as UTC)",
        "focal_mm": "exif",
        "camera_body": "exif",
        "pixel_pitch_um": "table",
        "exposure_s": "exif",
        "aperture_f": "exif",
        "iso": "exif",
    }


@pytest.mark.parametrize(
    ("tags", "source"),
    [
        ({0x9003: "2014:01:30 10:14:58", 0x9011: "+9:00"}, "exif"),
        (
            {0x9003: "2014:01:30 10:14:58", 0x9011: "09:00"},
            "exif (naive, taken as UTC; EXIF's '09:00' is not a time zone)",
        ),
        ({0x9003: "yesterday"}, "unknown (EXIF's 'yesterday' is not a time)"),
        ({}, None),
    ],
)
def test_what_of_a_time_cannot_be_read_is_told(
    tmp_path: Path, tags: dict[int, str], source: str | None
) -> None:
    exif = Image.Exif()
    exif[0x8769] = tags
    Image.new("L", (640, 426)).save(tmp_path / "a.jpg", exif=exif)
    assert read_frame(tmp_path / "a.jpg").sources.get("time") == source
    given = FrameOptions(time_utc=datetime(2014, 1, 30, tzinfo=UTC))
    assert read_frame(tmp_path / "a.jpg", options=given).sources["time"] == "option"


def test_the_record_fills_what_exif_lacks(tmp_path: Path) -> None:
    frame = read_frame(d3s_photo(tmp_path), records=RECORDS)
    assert frame.time_utc == EXIF_TIME
    assert frame.focal_mm == 85.0
    assert (frame.nadir, frame.altitude_km) == ((136.9, 35.7), 399.9)
    assert (frame.sources["nadir"], frame.sources["altitude_km"]) == ("record", "record")


def test_the_record_alone(tmp_path: Path) -> None:
    frame = read_frame(photo(tmp_path), records=RECORDS)
    assert frame.time_utc == RECORD.time_utc
    assert (frame.focal_mm, frame.exposure_s, frame.aperture_f) == (180.0, 0.1, 2.8)
    assert frame.camera_body == "NIKON D3S"
    assert frame.sources["time"] == frame.sources["focal_mm"] == "record"
    assert frame.sources["camera_body"] == "record"
    assert frame.sources["pixel_pitch_um"] == "table"


def test_options_override_both(tmp_path: Path) -> None:
    options = FrameOptions(
        time_utc=datetime(2012, 3, 28, 17, 46, 11, tzinfo=timezone(timedelta(hours=2))),
        focal_mm=84.0,
        pixel_pitch_um=50.0,
        nadir=(190.0, -3.0),
        altitude_km=410.0,
    )
    frame = read_frame(d3s_photo(tmp_path), records=RECORDS, options=options)
    assert frame.time_utc == datetime(2012, 3, 28, 15, 46, 11, tzinfo=UTC)
    assert frame.time_utc.tzinfo is UTC
    assert (frame.focal_mm, frame.pixel_pitch_um) == (84.0, 50.0)
    assert (frame.nadir, frame.altitude_km) == ((-170.0, -3.0), 410.0)
    for name in ("time", "focal_mm", "pixel_pitch_um", "nadir", "altitude_km"):
        assert frame.sources[name] == "option"


def test_a_place_in_the_picture_is_of_the_option_or_the_record(tmp_path: Path) -> None:
    path = photo(tmp_path)
    assert read_frame(path).centre is None
    record = FrameRecord(
        frame_id=RECORD.frame_id, centre_lat=48.86, centre_lon=2.35, radius_km=20.0
    )
    records = FrameRecords(by_id={record.frame_id: record})
    frame = read_frame(path, records=records)
    assert (frame.centre, frame.radius_km) == ((2.35, 48.86), 20.0)
    frame = read_frame(path, records=records, options=FrameOptions(centre=(190.0, -3.0)))
    assert (frame.centre, frame.radius_km) == ((-170.0, -3.0), 100.0)
    assert frame.sources["centre"] == "option"
    with pytest.raises(ConfigError, match="needs --centre"):
        FrameOptions(radius_km=20.0)
    with pytest.raises(ConfigError, match="centre must be longitude"):
        FrameOptions(centre=(0.0, 91.0))


@pytest.mark.parametrize("told_mm", [0, 0.5, 50_000, 65_535, 4_294_967_295])
def test_a_focal_length_of_no_lens_counts_as_missing_and_is_told(
    tmp_path: Path, told_mm: float
) -> None:
    path = photo(tmp_path, exposure={0x920A: IFDRational(told_mm)})
    remark = f"EXIF's {told_mm} mm is not a focal length"
    frame = read_frame(path)
    assert (frame.focal_mm, frame.focal_px) == (None, None)
    assert frame.sources["focal_mm"] == f"unknown ({remark})"
    frame = read_frame(path, records=RECORDS)
    assert (frame.focal_mm, frame.sources["focal_mm"]) == (180.0, f"record ({remark})")
    frame = read_frame(path, options=FrameOptions(focal_mm=84.0))
    assert (frame.focal_mm, frame.sources["focal_mm"]) == (84.0, "option")
    both = photo(tmp_path, name="both.jpg", exposure={0x920A: IFDRational(told_mm), 0xA405: 24})
    frame = read_frame(both)
    assert frame.focal_mm == pytest.approx(24.0)
    assert frame.sources["focal_mm"] == f"exif (35 mm equivalent; {remark})"


@pytest.mark.parametrize(
    "options",
    [{"focal_mm": 65_535.0}, {"focal_mm": 0.0}, {"pixel_pitch_um": 1e9}, {"altitude_km": 1.0}],
)
def test_options_have_the_same_bounds_everywhere(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be from"):
        FrameOptions(**options)


def test_35_mm_equivalent_stands_in_for_the_focal_length(tmp_path: Path) -> None:
    frame = read_frame(photo(tmp_path, exposure={0xA405: 24}, size=(600, 400)), records=RECORDS)
    assert frame.focal_mm == pytest.approx(24.0)
    assert frame.sources["focal_mm"] == "exif (35 mm equivalent)"
    dx = read_frame(photo(tmp_path, model="NIKON D2Xs", exposure={0xA405: 24}, size=(4288, 2848)))
    assert dx.focal_mm == pytest.approx(15.8)
    # Either way the angle of view is that of 24 mm on 36 mm.
    for one in (frame, dx):
        assert one.focal_px is not None
        assert one.focal_px / one.width_px == pytest.approx(24.0 / 36.0)


@pytest.fixture(scope="module")
def real_frames(real_data: Path) -> list[tuple[dict[str, str], Frame]]:
    with (real_data / "photos/index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [(row, read_frame(real_data / "photos" / row["file"])) for row in rows]


@pytest.mark.real
def test_real_photos_agree_with_their_index(
    real_frames: list[tuple[dict[str, str], Frame]],
) -> None:
    compared = 0
    for row, frame in real_frames:
        assert frame.sha256 == row["sha256"], row["file"]
        assert (frame.width_px, frame.height_px) == (int(row["width"]), int(row["height"]))
        if row["frame_id"].startswith("ISS") and "-E-" in row["frame_id"]:
            assert frame.frame_id == row["frame_id"]
        if frame.sources.get("time") and row["datetime_utc"]:
            assert frame.time_utc is not None
            assert f"{frame.time_utc:%Y-%m-%dT%H:%M:%S}Z" == row["datetime_utc"], row["file"]
        if frame.focal_mm and row["focal_mm"]:
            assert frame.focal_mm == pytest.approx(float(row["focal_mm"]), rel=0.01), row["file"]
            compared += 1
    assert compared >= 50
