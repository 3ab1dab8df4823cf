"""EXIF that a program has dumped by the names of its tags, as what is known of a photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regengine.archive.cells import clean_text, id_in
from regengine.archive.row import FrameRow
from regengine.exif import interpret_exif

# Numbers of EXIF 2.32; names as ExifTool and Pillow print them
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
_ENOUGH = {"Model", "DateTimeOriginal", "FocalLength", "ExposureTime"}


def looks_like_exif(headings: Mapping[str, str]) -> bool:
    """Whether a row is a dump of EXIF."""
    return len(_ENOUGH & headings.keys()) >= 2


def interpret_dump(tags: Mapping[str, str], *, source: str) -> FrameRow | None:
    """What a dump of a photo's EXIF tells.

    Parameters
    ----------
    tags : mapping of str to str
        Values by tag name, and the photo's path as ``path``, ``SourceFile`` or ``FileName``.
    source : str
        Name of the table.

    Returns
    -------
    FrameRow or None
        None where the path holds no archive id.
    """
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
