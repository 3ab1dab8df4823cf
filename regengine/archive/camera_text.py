"""What a camera wrote, as text: the archive's own, found by the photo's page, and dumps of EXIF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from regengine.archive.interpret import clean_text, id_in, interpret
from regengine.archive.row import FrameRow
from regengine.archive.web import ArchiveClient
from regengine.errors import ArchiveError
from regengine.io.urls import host_of
from regengine.photo.exif import interpret_exif

PAGE = "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl"
TEXT_MB = 4
BUTTON = "camera metadata"
_ADDRESS = re.compile(r"""['"](/[^'"\s\\]{1,300})['"]""")
_LINE = re.compile(r"\s*([A-Za-z][A-Za-z0-9 /()._-]{0,40}?)\s*[:=]\s+(\S.*)")
# Labels as cameras' and viewers' texts have them, as bare lower-case letters, and ours
_LABELS = {
    "camera": ("camera", "cameramodel", "cameramodelname", "model"),
    "time_utc": ("datetimeoriginal", "dateshot", "dateandtime", "datetime", "date"),
    "focal": ("focallength", "lensfocallength", "length", "lens"),
    "exposure": ("shutter", "shutterspeed", "exposuretime", "exposure"),
    "aperture": ("aperture", "fnumber", "fstop"),
    "iso": ("iso", "isospeed", "isospeedratings", "sensitivity", "isosensitivity"),
}
# Of dumped EXIF: numbers of EXIF 2.32 by names as ExifTool and Pillow print them
_MAIN = {"Model": 0x0110}
_EXPOSURE = {
    "ExposureTime": 0x829A,
    "FNumber": 0x829D,
    "ISOSpeedRatings": 0x8827,
    "PhotographicSensitivity": 0x8827,
    "ISO": 0x8827,
    "DateTimeOriginal": 0x9003,
    "DateTimeDigitized": 0x9004,
    "CreateDate": 0x9004,
    "OffsetTimeOriginal": 0x9011,
    "OffsetTimeDigitized": 0x9012,
    "SubsecTimeOriginal": 0x9291,
    "SubSecTimeOriginal": 0x9291,
    "SubsecTimeDigitized": 0x9292,
    "SubSecTimeDigitized": 0x9292,
    "FocalLength": 0x920A,
}
_TELLING = {"Model", "DateTimeOriginal", "FocalLength", "ExposureTime"}


@dataclass
class _Page(HTMLParser):
    """Finds the button that opens a photo's camera text."""

    address: str = ""
    text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag in ("input", "button") and BUTTON in told.get("value", "").lower():
            found = _ADDRESS.search(told.get("onclick", ""))
            self.address = self.address or (found[1] if found else "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def text_address(page: bytes, page_address: str, frame_id: str) -> str | None:
    """Address of a photo's camera text."""
    parser = _Page()
    text = page.decode("utf-8", errors="replace")
    parser.feed(text)
    if parser.address:
        found = urljoin(page_address, parser.address)
        if urlsplit(found)[:2] == urlsplit(page_address)[:2]:
            return found
    number = frame_id.rpartition("-")[2]
    if number not in text or "<" not in text:
        raise ArchiveError(
            f"{host_of(page_address)} answered with a page that does not tell of {frame_id}: the "
            "archive's pages may have changed: report it."
        )
    return None


def fetch_text(web: ArchiveClient, frame_id: str, page: str = PAGE) -> bytes | None:
    """The camera text of a photo."""
    mission, roll, frame = frame_id.split("-")
    address = f"{page}?{urlencode({'mission': mission, 'roll': roll, 'frame': frame})}"
    place = text_address(web.text(address, TEXT_MB), address, frame_id)
    if place is None:
        return None
    told = web.text(place, TEXT_MB)
    if told.lstrip()[:20].lower().startswith((b"<!doctype", b"<html")):
        raise ArchiveError(
            f"{host_of(page)} sends a web page instead of the camera text of {frame_id}: try "
            "again later."
        )
    return told


def labelled_lines(text: str) -> dict[str, str]:
    """Values of lines such as ``Focal Length : 50.0 mm``, by our names; the first counts."""
    told: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is not None:
            label = re.sub(r"[^a-z]", "", found[1].lower())
            told.setdefault(label, clean_text(found[2]))
    return {
        name: next((told[label] for label in labels if label in told), "")
        for name, labels in _LABELS.items()
    }


def interpret_text(text: str, frame_id: str, source: str) -> FrameRow:
    """What a camera text tells of its photo."""
    row = interpret({"frame_id": frame_id, **labelled_lines(text)}, source=source)
    assert row is not None
    return row


def looks_like_camera_text(text: str) -> bool:
    """Whether a text has lines with labels that cameras write, and is no table."""
    return sum(bool(value) for value in labelled_lines(text).values()) >= 2


def looks_like_exif(headings: Mapping[str, str]) -> bool:
    """Whether a row is a dump of EXIF."""
    return len(_TELLING & headings.keys()) >= 2


def interpret_dump(tags: Mapping[str, str], *, source: str) -> FrameRow | None:
    """What a dump of a photo's EXIF tells."""
    names = (tags.get(name, "") for name in ("path", "SourceFile", "FileName", "frame_id"))
    frame_id = next((found for name in names if name and (found := id_in(name))), None)
    if frame_id is None:
        return None
    main: dict[int, Any] = {_MAIN[name]: text for name, text in tags.items() if name in _MAIN}
    exposure: dict[int, Any] = {
        _EXPOSURE[name]: _value(name, text) for name, text in tags.items() if name in _EXPOSURE
    }
    exif = interpret_exif(main, exposure)
    serial = clean_text(tags.get("BodySerialNumber", ""))
    camera = clean_text(exif.camera_body or "")
    return FrameRow(
        frame_id=frame_id,
        time_utc=exif.time_utc,
        camera=f"{camera} S/N: {serial}" if camera and serial.isalnum() else camera,
        focal_mm=exif.focal_mm,
        exposure_s=exif.exposure_s,
        aperture_f=exif.aperture_f,
        iso=exif.iso,
        sources=(source,),
    )


def _value(name: str, text: str) -> Any:
    """A printed value as EXIF has it: ``50.0 mm`` and ``1/30`` are numbers."""
    if name == "FocalLength":
        text = text.removesuffix("mm").strip()
    head, slash, tail = text.partition("/")
    if slash and head.isdecimal() and tail.isdecimal() and int(tail):
        return int(head) / int(tail)
    return text
