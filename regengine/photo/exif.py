"""Read EXIF and FITS headers of photos, and the place and captions that editors write (IPTC, XMP).

No value is trusted: a damaged tag counts as missing.
"""

from __future__ import annotations

import html
import io
import math
import re
import struct
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, BinaryIO

from detectors.constants import FOCAL_RANGE_MM
from regengine.io.times import parse_iso_time, parse_zone, to_utc

if TYPE_CHECKING:
    from astropy.io.fits import Header

# Tag numbers of the EXIF 2.32 standard.
_MODEL, _ORIENTATION, _EXIF_IFD = 0x0110, 0x0112, 0x8769
_EXPOSURE, _F_NUMBER, _ISO, _RECOMMENDED_INDEX = 0x829A, 0x829D, 0x8827, 0x8832
_FOCAL_LENGTH, _FOCAL_LENGTH_35MM, _LENS_MODEL = 0x920A, 0xA405, 0xA434
# (time, sub-seconds, offset). The modification time 0x0132 is that of an editor, and its offset
# 0x9010 is the editor's time zone: 78 of 161 examined station photos have "+02:00" there and an
# original time in GMT, so neither is read.
_TIME_TAGS = ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012))
# Image description of EXIF; XMP and IPTC as tags of TIFF, and IPTC's resource in Photoshop's block
_DESCRIPTION, _XMP, _IPTC, _PHOTOSHOP_IPTC = 0x010E, 0x02BC, 0x83BB, 0x0404
# Where XMP has the same: times in order of preference, the others by their tags
_XMP_TIMES = (
    "exif:DateTimeOriginal",
    "photoshop:DateCreated",
    "exif:DateTimeDigitized",
    "(?:xmp|xap):CreateDate",
)
_XMP_MAIN = {_MODEL: "tiff:Model", _ORIENTATION: "tiff:Orientation"}
_XMP_EXPOSURE = {
    _EXPOSURE: "exif:ExposureTime",
    _F_NUMBER: "exif:FNumber",
    _ISO: "(?:exifEX:PhotographicSensitivity|exif:ISOSpeedRatings)",
    _FOCAL_LENGTH: "exif:FocalLength",
    _FOCAL_LENGTH_35MM: "exif:FocalLengthIn35mmFilm",
    _LENS_MODEL: "exifEX:LensModel",
}
# Names of texts in XMP, and IPTC's numbers of them (IIM 4.2, record 2)
_PLACE_TEXTS = (
    ("(?:photoshop|Iptc4xmpExt):City", 90),
    ("(?:photoshop:Country|Iptc4xmpExt:CountryName)", 101),
)
_CAPTION_TEXTS = (("photoshop:Headline", 105), ("dc:title", 5), ("dc:description", 120))
_XMP_TEXT = re.compile(r"""=\s*+(?:"([^"]*+)"|'([^']*+)')|>\s*+(?:<rdf:[^>]*>\s*+)*+([^<]*+)<""")
_TIME_FORM = re.compile(
    r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?P<fraction>\.\d{1,9})?"
    r"\s*(?P<half>[AP]M)?\s*(?P<zone>.*)",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)
_BLANK = re.compile(r"[\s:0-]*")  # what programs write for an unknown value
_EXIF_START, _XMP_START = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Longer texts and blocks are not looked at. Parts of a PNG in all, of the largest picture 110,000,
# and those that are looked at, each of which may be unpacked to a megabyte
MAX_HEADER_BYTES, MAX_PNG_CHUNKS, MAX_PNG_TEXTS = 4_000_000, 200_000, 200


@dataclass(frozen=True, kw_only=True)
class Exif:
    """EXIF values for registration; None if the file does not contain them.

    ``time_remark`` describes what is unreadable in its time. ``focal_remark`` states that no lens
    has the recorded focal length: 0 for a lens without a chip, or the overflow of a counter.
    ``place`` is the city of IPTC or XMP with its country; ``caption`` has headline, title and
    description.
    """

    time_utc: datetime | None = None
    time_is_naive: bool = False
    time_remark: str | None = None
    focal_mm: float | None = None
    focal_35mm_equivalent_mm: float | None = None
    focal_remark: str | None = None
    camera_body: str | None = None
    lens: str | None = None
    exposure_s: float | None = None
    aperture_f: float | None = None
    iso: float | None = None
    orientation: int = 1
    place: str | None = None
    caption: str | None = None

    @property
    def crop_factor(self) -> float | None:
        if self.focal_mm is None or self.focal_35mm_equivalent_mm is None:
            return None
        return self.focal_35mm_equivalent_mm / self.focal_mm


def read_exif_of(stream: BinaryIO) -> Exif:
    """Read the EXIF of an open file, wherever it stands, and what only XMP or IPTC tell.

    Of several blocks each value is that of the first which has it. Empty if all are missing or
    damaged.
    """
    tags: list[tuple[dict[int, Any], dict[int, Any]]] = []
    with warnings.catch_warnings(action="ignore"):
        try:
            blocks, xmp, iptc = _find_blocks(stream)
            for block in blocks:
                with suppress(Exception):
                    main, exposure = read_tiff_directory(block), {}
                    if (place := _positive(main.get(_EXIF_IFD))) is not None:
                        with suppress(Exception):
                            exposure = read_tiff_directory(block, int(place))
                    tags.append((main, exposure))
            main = tags[0][0] if tags else {}
            xmp, iptc = xmp or main.get(_XMP), iptc or main.get(_IPTC)
            packet = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else ""
            tags.append(_read_xmp_tags(packet))
            for other, _ in tags[1:]:
                tags[0][0].setdefault(_ORIENTATION, other.get(_ORIENTATION))
            exif = interpret_exif(*tags[0])
            for other_tags in tags[1:]:
                exif = _fill_gaps(exif, interpret_exif(*other_tags))
            return _add_texts(exif, tags[0][0], packet, iptc)
        except Exception:  # damaged files make the parser fail in many ways
            return Exif()


def _find_blocks(stream: BinaryIO) -> tuple[list[BinaryIO], object, object]:
    """Find the blocks of EXIF in an open file, each of a TIFF's structure; XMP; and IPTC."""
    from PIL import Image

    stream.seek(0)
    start = stream.read(8)
    if start[:4] in TIFF_STARTS:  # also raw files of its structure
        return [stream], None, None
    blocks: list[bytes] = []
    if start[1:4] == b"PNG":
        info = _read_png_texts(stream)
        profiles = [
            _read_profile(info.get(f"Raw profile type {k}")) for k in ("exif", "APP1", "xmp")
        ]
        blocks = [info.get("exif", b""), *profiles]
        packets = [one.removeprefix(_XMP_START) for one in profiles if b"<x:xmpmeta" in one]
        xmp, iptc = info.get("xmp") or next(iter(packets), None), None
    else:
        stream.seek(0)
        with Image.open(stream, formats=["JPEG", "WEBP", "AVIF"]) as image:
            for name, segment in getattr(image, "applist", ()):
                if name != "APP1" or not segment.startswith(_EXIF_START):
                    continue
                part = segment.removeprefix(_EXIF_START)
                if part[:4] in TIFF_STARTS or not blocks:
                    blocks.append(part)
                elif len(blocks[-1]) < MAX_HEADER_BYTES:  # continued
                    blocks[-1] += part
            blocks = blocks or [image.info.get("exif", b"")]
            resources = image.info.get("photoshop") or {}
            xmp, iptc = image.info.get("xmp"), resources.get(_PHOTOSHOP_IPTC)
    bare = [re.sub(b"^(Exif\0\0){1,2}", b"", block) for block in blocks]
    return [io.BytesIO(block) for block in bare if block[:4] in TIFF_STARTS], xmp, iptc


def _read_png_texts(stream: BinaryIO) -> Mapping[Any, Any]:
    """Read EXIF and texts of a PNG, before and after its picture, which is not decoded."""
    from PIL.PngImagePlugin import PngStream

    stream.seek(8)
    png, n_texts = PngStream(stream), 0
    with suppress(Exception):  # where it is truncated or damaged
        for _ in range(MAX_PNG_CHUNKS):
            name, place, length = png.read()
            if name == b"IEND" or n_texts == MAX_PNG_TEXTS:
                break
            if name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") and length <= MAX_HEADER_BYTES:
                n_texts += 1
                with suppress(Exception):
                    png.call(name, place, length)
            stream.seek(place + length + 4)
    return png.im_info


def _read_profile(text: object) -> bytes:
    """Read a profile that ImageMagick and others write as a text: its name, length and digits."""
    match = re.match(r"\s*\S+\s+\d+\s+([\da-fA-F\s]+)", text if isinstance(text, str) else "")
    with suppress(ValueError):
        return bytes.fromhex(match[1]) if match else b""
    return b""


def read_tiff_directory(stream: BinaryIO, place: int | None = None) -> dict[int, Any]:
    """Read the tags of a directory of a TIFF or BigTIFF, by default of the first."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    stream.seek(0)
    head = stream.read(8)
    is_big, order = head[:4] in TIFF_STARTS[2:], ">" if head[:1] == b"M" else "<"
    head += stream.read(8 if is_big else 0)
    (first,) = struct.unpack(f"{order}{'Q' if is_big else 'L'}", head[8 if is_big else 4 :])
    # Pillow takes a big-endian BigTIFF for a TIFF
    directory = ImageFileDirectory_v2({">": b"MM\0*", "<": b"II*\0"}[order] + bytes(4))
    directory._bigtiff = is_big
    stream.seek(first if place is None else place)
    directory.load(stream)
    tags = dict(directory)
    if is_big and place is None and _EXIF_IFD not in tags:
        # Pillow ignores libtiff's type of it
        stream.seek(first)
        (count,) = struct.unpack(f"{order}Q", stream.read(8))
        entries = struct.iter_unpack(f"{order}HHQQ", stream.read(20 * min(count, 4096)))
        tags |= {tag: value for tag, _, _, value in entries if tag == _EXIF_IFD}
    return tags


def _find_xmp(packet: str, name: str) -> str:
    """Find a text of XMP: an attribute, or an element, which may hold one for each language."""
    start = re.search(rf"{name}\s*+(?=[=>])", packet)
    match = start and _XMP_TEXT.match(packet, start.end())
    return html.unescape(match[1] or match[2] or match[3] or "").strip() if match else ""


def _read_xmp_tags(packet: str) -> tuple[dict[int, Any], dict[int, Any]]:
    """Read from XMP what the main and the EXIF directory would tell."""

    def read(names: Mapping[int, str]) -> dict[int, Any]:
        tags: dict[int, Any] = {}
        for tag, name in names.items():
            text = _find_xmp(packet, name)
            ratio = re.fullmatch(r"(\d{1,10})/0*([1-9]\d{0,9})", text)
            tags[tag] = int(ratio[1]) / int(ratio[2]) if ratio else text
        return tags

    main, exposure = read(_XMP_MAIN), read(_XMP_EXPOSURE)
    for name in _XMP_TIMES:
        time = re.sub(r"(T\d\d:\d\d)(?!:)", r"\1:00", _find_xmp(packet, name))
        if parse_exif_time(time) is not None:
            exposure.setdefault(_TIME_TAGS[0][0], time)
    return main, exposure


def _fill_gaps(first: Exif, other: Exif) -> Exif:
    """Fill what the first does not tell with what another tells, except texts."""
    values: dict[str, Any] = {}
    about = {"time_utc": ("time_is_naive", "time_remark"), "focal_mm": ("focal_remark",)}
    settings = ("camera_body", "lens", "exposure_s", "aperture_f", "iso")
    for name in (*about, "focal_35mm_equivalent_mm", *settings):
        if getattr(first, name) is None and getattr(other, name) is not None:
            values |= {gap: getattr(other, gap) for gap in (name, *about.get(name, ()))}
    return replace(first, **values)


def interpret_exif(main: Mapping[int, Any], exposure: Mapping[int, Any]) -> Exif:
    """Convert raw tags, number to value, of the main and of the EXIF directory to EXIF values."""
    time_utc, naive, remark = _time(exposure)
    orientation = _positive(main.get(_ORIENTATION)) or 1.0
    iso = _positive(exposure.get(_ISO))
    # Value of the 16-bit ISO tag if the true value is larger
    if iso == 65535:
        iso = _positive(exposure.get(_RECOMMENDED_INDEX)) or iso
    focal_mm, focal_remark = _focal_length(exposure.get(_FOCAL_LENGTH), "EXIF's")
    return Exif(
        time_utc=time_utc,
        time_is_naive=naive,
        time_remark=remark,
        focal_mm=focal_mm,
        focal_35mm_equivalent_mm=_focal_length(exposure.get(_FOCAL_LENGTH_35MM), "EXIF's")[0],
        focal_remark=focal_remark,
        camera_body=_text(main.get(_MODEL)) or None,
        lens=_text(exposure.get(_LENS_MODEL)) or None,
        exposure_s=_positive(exposure.get(_EXPOSURE)),
        aperture_f=_positive(exposure.get(_F_NUMBER)),
        iso=iso,
        orientation=int(orientation) if orientation in range(1, 9) else 1,
    )


def _add_texts(exif: Exif, main: Mapping[int, Any], packet: str, iptc: object) -> Exif:
    """Add place and caption to EXIF values: from XMP, else IPTC, and the description."""
    block = iptc if isinstance(iptc, bytes) else b""
    records: dict[int, str] = {}
    for match in re.finditer(rb"\x1c\x02(.)(..)", block, re.DOTALL):
        text, length = block[match.end() :], int.from_bytes(match[2])
        if len(text) >= length:
            records.setdefault(match[1][0], text[:length].decode("utf-8", "replace").strip())

    def read(name: str, number: int) -> str:
        return _find_xmp(packet, name) or records.get(number, "")

    city, country = (read(*text) for text in _PLACE_TEXTS)
    captions = dict.fromkeys(read(*text) for text in _CAPTION_TEXTS)
    captions[_text(main.get(_DESCRIPTION))] = None
    return replace(
        exif,
        place=", ".join(filter(None, (city, country))) if city else None,
        caption="; ".join(filter(None, captions)) or None,
    )


def _focal_length(value: object, source: str) -> tuple[float | None, str | None]:
    """Return a possible focal length, or a remark why the number is impossible."""
    focal_mm = _number(value)
    if focal_mm is None or FOCAL_RANGE_MM[0] <= focal_mm <= FOCAL_RANGE_MM[1]:
        return focal_mm, None
    return None, f"{source} {focal_mm:.10g} mm is not a focal length"


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.replace("\0", " ").strip() if isinstance(value, str) else ""


def _positive(value: Any) -> float | None:
    """Return a finite number above zero, the first if there are several; else None."""
    number = _number(value)
    return number if number is not None and number > 0.0 else None


def _number(value: Any) -> float | None:
    """Return a finite number, the first if there are several; else None."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(exposure: Mapping[int, Any]) -> tuple[datetime | None, bool, str | None]:
    """Return the exposure time in UTC, whether it lacks a time zone, and what is unreadable."""
    remark = None
    for time_tag, subsecond_tag, offset_tag in _TIME_TAGS:
        text, zone_text = (_text(exposure.get(tag)) for tag in (time_tag, offset_tag))
        zone = parse_zone(zone_text)
        time = parse_exif_time(text, zone)
        if time is None:
            if remark is None and not _BLANK.fullmatch(text):
                remark = f"EXIF's {text[:40]!r} is not a time"
            continue
        subsecond = _text(exposure.get(subsecond_tag))
        if subsecond.isdecimal() and time.microsecond == 0:
            time += timedelta(seconds=float(f"0.{subsecond}"))
        naive = time.tzinfo is None
        if naive and remark is None and not _BLANK.fullmatch(zone_text):
            remark = f"EXIF's {zone_text[:40]!r} is not a time zone"
        return to_utc(time), naive, remark
    return None, False, remark


def parse_exif_time(text: str, zone: tzinfo | None = None) -> datetime | None:
    """Parse EXIF's ``YYYY:MM:DD hh:mm:ss``; None if it is not a time.

    Dashes, a ``T``, fractions, AM or PM and a time zone, which some programs write, are accepted.
    The time is aware if a zone is known: its own zone has priority over the given one. Any other
    text after the seconds makes the time invalid, because it could change the time.
    """
    match = _TIME_FORM.fullmatch(text.strip())
    if match is None:
        return None
    hour = int(match[4])
    if half := (match["half"] or "").upper():
        if hour == 0 or hour > 12:
            return None
        hour = hour % 12 + (12 if half == "PM" else 0)
    if match["zone"] and (zone := parse_zone(match["zone"])) is None:
        return None
    clock = f"{hour:02}:{match[5]}:{match[6]}{match['fraction'] or ''}"
    time = parse_iso_time(f"{match[1]}-{match[2]}-{match[3]}T{clock}{zone or ''}")
    return time.replace(tzinfo=None) if time is not None and zone is None else time


def exif_of_fits(headers: list[Header]) -> Exif:
    """Read time, exposure, focal length and camera from the headers of a FITS file."""
    date, clock = _fits_text(headers, "DATE-OBS"), _fits_text(headers, "TIME-OBS", "UT")
    if date is not None and "T" not in date and clock is not None:
        date = f"{date}T{clock}"
    time_utc = None if date is None else parse_iso_time(date)
    remark = f"the header's {date[:40]!r} is not a time" if date and time_utc is None else None
    mjd = _positive(_first(headers, "MJD-OBS"))
    # From June 1957, as no frame of a digital camera is older than satellites, to October 2099
    if time_utc is None and mjd is not None and 36_000.0 < mjd < 88_000.0:
        time_utc = MJD_ZERO + timedelta(days=mjd)
    scale = _fits_text(headers, "TIMESYS")
    if scale is not None and scale.upper() not in ("UTC", "UT", "UT1", "GMT"):
        time_utc, remark = None, f"the header's time system {scale[:40]!r} is not supported"
    focal_mm, focal_remark = _focal_length(_first(headers, "FOCALLEN"), "the header's")
    return Exif(
        time_utc=time_utc,
        time_remark=remark,
        exposure_s=_positive(_first(headers, "EXPTIME", "EXPOSURE")),
        focal_mm=focal_mm,
        focal_remark=focal_remark,
        camera_body=_fits_text(headers, "INSTRUME"),
    )


def _first(headers: list[Header], *names: str) -> Any:
    for name in names:
        for header in headers:
            value = None
            with suppress(Exception):  # an unreadable card counts as missing
                value = header.get(name)
            if value not in (None, ""):
                return value
    return None


def _fits_text(headers: list[Header], *names: str) -> str | None:
    value = _first(headers, *names)
    return str(value).strip() or None if value is not None else None
