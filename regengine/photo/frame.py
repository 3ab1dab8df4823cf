"""A photo and its metadata, read before any detection: time, camera body, lens and place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from detectors.constants import KM_PER_DEGREE
from regengine.errors import ConfigError, Option
from regengine.io.times import to_utc
from regengine.photo.exif import Exif
from regengine.photo.formats import PhotoFile, read_photo_file
from regengine.photo.lens_profile import LensProfile, choose_profile
from regengine.photo.notations import archive_frame_id, clean_text, frame_id_of, wrap_lon
from regengine.photo.records import FrameRecord, FrameRecords, record_beside

FULL_FRAME_MM = (36.0, 24.0)  # assumed sensor if the body is unknown
# Nikon's DX crop of a full-frame sensor: 2784 px of 8.46 um (D3S), 3648 px of 6.45 um (D5).
_DX_FACTOR, _DX_MM = 1.5, (23.5, 15.65)
# Aspect ratios of pictures run from 1.500 (D5) to 1.510 (DCS 760)
_KNOWN_SHAPE, _ANY_3_TO_2 = 0.001, 0.007


@dataclass(frozen=True)
class CameraBody:
    """A camera body: its EXIF name, its sensor in millimetres and its full picture in pixels."""

    name: str
    long_mm: float
    short_mm: float
    long_px: int
    short_px: int

    @property
    def native_pitch_um(self) -> float:
        """Pixel pitch of an uncropped picture that is not resized."""
        return self.long_mm * 1000.0 / self.long_px


# Sensor and picture sizes from the makers' data sheets. Checked against the focal-plane resolution
# that the cameras themselves write into EXIF: D4 7.305, D5 6.443, Z 9 4.345 um. The first column is
# searched for in the upper-case name, between non-alphanumeric neighbours.
_BODIES = (
    ("D3S", CameraBody("NIKON D3S", 36.0, 23.9, 4256, 2832)),
    ("D3X", CameraBody("NIKON D3X", 35.9, 24.0, 6048, 4032)),
    ("D3", CameraBody("NIKON D3", 36.0, 23.9, 4256, 2832)),
    ("D4S", CameraBody("NIKON D4S", 36.0, 23.9, 4928, 3280)),
    ("D4", CameraBody("NIKON D4", 36.0, 23.9, 4928, 3280)),
    ("D5", CameraBody("NIKON D5", 35.9, 23.9, 5568, 3712)),
    ("D6", CameraBody("NIKON D6", 35.9, 23.9, 5568, 3712)),
    ("D700", CameraBody("NIKON D700", 36.0, 23.9, 4256, 2832)),
    ("D800E", CameraBody("NIKON D800E", 35.9, 24.0, 7360, 4912)),
    ("D800", CameraBody("NIKON D800", 35.9, 24.0, 7360, 4912)),
    ("D810", CameraBody("NIKON D810", 35.9, 24.0, 7360, 4912)),
    ("D850", CameraBody("NIKON D850", 35.9, 23.9, 8256, 5504)),
    ("Z ?9", CameraBody("NIKON Z 9", 35.9, 23.9, 8256, 5504)),
    ("D2XS", CameraBody("NIKON D2Xs", 23.7, 15.7, 4288, 2848)),
    ("D1X", CameraBody("NIKON D1X", 23.7, 15.6, 3008, 1960)),
    ("D1", CameraBody("NIKON D1", 23.7, 15.6, 2000, 1312)),
    ("DCS ?760C?|K760C", CameraBody("KODAK DCS 760", 27.6, 18.3, 3032, 2008)),
    ("DCS ?460C?", CameraBody("KODAK DCS 460", 27.6, 18.4, 3060, 2036)),
    ("ILCE-7SM2", CameraBody("SONY ILCE-7SM2", 35.6, 23.8, 4240, 2832)),
    ("IXUS 700", CameraBody("CANON DIGITAL IXUS 700", 7.18, 5.32, 3072, 2304)),
    ("RP_OV5647", CameraBody("RASPBERRY PI OV5647", 3.629, 2.722, 2592, 1944)),
    ("IMX477", CameraBody("RASPBERRY PI IMX477", 6.287, 4.712, 4056, 3040)),
)
_PATTERNS = tuple(
    (re.compile(rf"(?<![A-Z0-9])(?:{pattern})(?![A-Z0-9])"), body) for pattern, body in _BODIES
)


def find_body(name: str) -> CameraBody | None:
    """Return the body for a name from EXIF or an archive record; None if it is not in the table.

    Names are, for example, ``"NIKON D3S"``, ``"NIKON D3S S/N: 2053892"``,
    ``"KODAK S/N:  K760C-01390"`` or ``"Nikon D2Xs Electronic Still Camera"``.
    """
    upper = name.upper()
    return next((body for pattern, body in _PATTERNS if pattern.search(upper)), None)


def find_pitch(
    body: CameraBody | None, width_px: int, height_px: int, *, crop_factor: float | None = None
) -> tuple[float, bool]:
    """Return the pixel pitch of a file (micrometres), and whether its aspect ratio says a crop.

    A file that has the sensor's number of pixels along one side has the sensor's pitch. Any other
    file is assumed to be a resized copy of the full picture, of an unknown body of full frame.
    """
    long_px, short_px = max(width_px, height_px), min(width_px, height_px)
    if body is None:
        long_mm, short_mm = (side_mm / (crop_factor or 1.0) for side_mm in FULL_FRAME_MM)
        return _compute_resized_pitch(long_px, short_px, long_mm, short_mm, _ANY_3_TO_2)
    native = body.native_pitch_um
    factor_over_own = (crop_factor or 0.0) * body.long_mm / FULL_FRAME_MM[0]
    if abs(factor_over_own / _DX_FACTOR - 1.0) < 0.1:
        return _compute_resized_pitch(long_px, short_px, *_DX_MM, _ANY_3_TO_2)
    if long_px == body.long_px or short_px == body.short_px:
        cropped = not _shapes_agree(long_px, short_px, body.long_px / body.short_px, _KNOWN_SHAPE)
        return native, cropped
    short_mm = body.short_px * native / 1000.0
    return _compute_resized_pitch(long_px, short_px, body.long_mm, short_mm, _KNOWN_SHAPE)


def _shapes_agree(long_px: int, short_px: int, ratio: float, tolerance: float) -> bool:
    expected_short = long_px / ratio
    return abs(short_px - expected_short) <= max(1.0, tolerance * expected_short)


def _compute_resized_pitch(
    long_px: int, short_px: int, long_mm: float, short_mm: float, tolerance: float
) -> tuple[float, bool]:
    """Return sensor side over file side; for a crop, the largest pitch that fits the sensor."""
    by_long, by_short = long_mm * 1000.0 / long_px, short_mm * 1000.0 / short_px
    if _shapes_agree(long_px, short_px, long_mm / short_mm, tolerance):
        return by_long, False
    # A crop that fills one side of the sensor cannot exceed the other: a square crop of a 3:2
    # picture is at most as wide as the sensor is high.
    return min(by_long, by_short), True


NAIVE_AS_UTC = "naive, taken as UTC"
# Default radius for a named city within which the picture shows ground
CENTRE_RADIUS_KM = 100.0
# Its orbit is inclined by 51.6 degrees, and its horizon is 21 degrees away from 450 km; a nadir
# that is given by hand may be some degrees off
MAX_LAT_DEG = {"nadir": 55.0, "centre": 73.0}
_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """User options for a photo; they override EXIF and record.

    ``time_utc`` without a time zone is UTC; ``pixel_pitch_um`` is that of the file's pixels;
    ``nadir`` is (lon, lat) in degrees. Some part of the picture shows ground within ``radius_km``
    of ``centre``, (lon, lat), or of a town of the name ``place``. ``altitude_km`` is above WGS84.
    ``lenses`` are calibrated lenses, from which each photo uses its own. Impossible places raise
    ConfigError; `regengine.options` checks the numbers.
    """

    time_utc: datetime | None = None
    focal_mm: float | None = None
    pixel_pitch_um: float | None = None
    nadir: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    place: str | None = None
    radius_km: float | None = None
    altitude_km: float | None = None
    lenses: tuple[LensProfile, ...] = ()

    def __post_init__(self) -> None:
        for name in ("nadir", "centre"):
            place = getattr(self, name)
            if place is None:
                continue
            lon, lat = place
            if not (-180.0 <= lon <= 360.0 and -90.0 <= lat <= 90.0):
                bounds = "longitude (-180 to 180), latitude (-90 to 90)"
                raise ConfigError(Option(name), f" must be {bounds}, not {lon}, {lat}.")
            limit = MAX_LAT_DEG[name]
            if name == "centre":
                limit += (self.radius_km or CENTRE_RADIUS_KM) / KM_PER_DEGREE
            if abs(lat) > limit:
                raise ConfigError(
                    Option(name, f"{lon:g},{lat:g}"),
                    " is a place that the station never "
                    f"{'sees' if name == 'centre' else 'flies over'}: write longitude, then "
                    f"latitude, which is at most {MAX_LAT_DEG[name]:g} degrees north or south.",
                )
            object.__setattr__(self, name, (wrap_lon(lon), lat))
        if self.place is not None and self.centre is not None:
            raise ConfigError(
                Option("place"),
                " and ",
                Option("centre"),
                " both say what the photo shows: give one of them.",
            )
        if self.radius_km is not None and self.centre is None and self.place is None:
            raise ConfigError(
                Option("radius_km"),
                " needs ",
                Option("centre"),
                " or ",
                Option("place"),
                ": give one of them with it.",
            )


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One photo: its file, its picture as stored, and its time, lens and place as far as known.

    ``pixel_pitch_um`` is that of this file's pixels: sensor side over file side in a resized copy.
    ``sources`` is the source of each value: ``exif``, ``record``, ``option``, ``filename``,
    ``table`` or ``assumed``, with remarks in brackets. Some part of the picture shows ground within
    ``radius_km`` of ``centre``, or of a town of the name ``place``; ``mentions`` are texts that may
    name towns, by their source, the likelier ones first. ``may_be_cropped`` is true if the aspect
    ratio of the file differs from the sensor's. ``profile`` is the calibration of camera and lens,
    if one was given.
    """

    file: PhotoFile
    frame_id: str
    orientation: int = 1  # EXIF's 1 to 8; not applied
    time_utc: datetime | None = None
    focal_mm: float | None = None
    pixel_pitch_um: float | None = None
    camera_body: str | None = None
    lens: str | None = None
    exposure_s: float | None = None
    aperture_f: float | None = None
    iso: float | None = None
    nadir: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    place: str | None = None
    mentions: dict[str, str] = field(default_factory=dict)
    radius_km: float = CENTRE_RADIUS_KM
    altitude_km: float | None = None
    sources: dict[str, str] = field(default_factory=dict)
    may_be_cropped: bool = False
    profile: LensProfile | None = None

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def sha256(self) -> str:
        return self.file.sha256

    @property
    def width_px(self) -> int:
        return self.file.width_px

    @property
    def height_px(self) -> int:
        return self.file.height_px

    @property
    def focal_px(self) -> float | None:
        if self.focal_mm is None or self.pixel_pitch_um is None:
            return None
        return self.focal_mm * 1000.0 / self.pixel_pitch_um


def read_frame(
    path: Path,
    *,
    records: FrameRecords | None = None,
    options: FrameOptions = FrameOptions(),
) -> Frame:
    """Read the metadata of a photo; options have priority over EXIF, and EXIF over the record.

    Missing EXIF is not an error: unknown values are None. Raises FrameError if the file is not a
    readable image, or too small or too large to register.
    """
    path = Path(path)
    file = read_photo_file(path, hashed=True)
    exif = file.exif
    frame_id = frame_id_of(path)
    record = (records.get(path) if records else None) or record_beside(path)
    record = record or FrameRecord(frame_id=frame_id)
    sources = {"frame_id": "filename"} if archive_frame_id(path.stem) else {}

    # The name of the body, as in the table if it is listed there
    name = _first("camera_body", sources, exif=exif.camera_body, record=record.camera or None)
    body = find_body(name) if name else None
    camera_body = body.name if body else name
    time = _first(
        "time", sources, option=options.time_utc, exif=exif.time_utc, record=record.time_utc
    )
    if time is not None and (
        time.tzinfo is None or (sources["time"] == "exif" and exif.time_is_naive)
    ):
        sources["time"] = with_remark(sources["time"], NAIVE_AS_UTC)
    if exif.time_remark is not None and options.time_utc is None:
        sources["time"] = with_remark(sources.get("time", "unknown"), exif.time_remark)
    time_utc = None if time is None else to_utc(time)
    focal_mm = _choose_focal_mm(exif, options, record, body, sources)
    pitch_um, may_be_cropped = _choose_pitch(file, options, body, sources)
    nadir = _first("nadir", sources, option=options.nadir, record=record.nadir)
    centre = _first("centre", sources, option=options.centre, record=record.centre)
    place = _first(
        "place", sources, option=options.place, record=record.place or None, exif=exif.place
    )
    noted = "; ".join(filter(None, (record.features, record.caption)))
    mentions = {"record": noted, "exif": clean_text(exif.caption or ""), "filename": path.stem}
    radius_km = record.radius_km if sources.get("centre") == "record" else options.radius_km
    profile = choose_profile(
        options.lenses,
        camera=camera_body,
        lens=exif.lens,
        focal_mm=focal_mm,
        width_px=file.width_px,
        height_px=file.height_px,
    )
    return Frame(
        file=file,
        frame_id=frame_id,
        orientation=exif.orientation,
        time_utc=time_utc,
        focal_mm=focal_mm,
        pixel_pitch_um=pitch_um,
        camera_body=camera_body,
        lens=exif.lens,
        exposure_s=_first("exposure_s", sources, exif=exif.exposure_s, record=record.exposure_s),
        aperture_f=_first("aperture_f", sources, exif=exif.aperture_f, record=record.aperture_f),
        iso=_first("iso", sources, exif=exif.iso, record=record.iso),
        nadir=nadir,
        centre=centre,
        place=place,
        mentions=mentions,
        radius_km=radius_km or CENTRE_RADIUS_KM,
        altitude_km=_first(
            "altitude_km", sources, option=options.altitude_km, record=record.altitude_km
        ),
        sources=sources,
        may_be_cropped=may_be_cropped,
        profile=profile,
    )


def _first(name: str, sources: dict[str, str], **values: _Value | None) -> _Value | None:
    """Return the first known value, in the given order, and record its source."""
    for source, value in values.items():
        if value is not None:
            sources[name] = source
            return value
    return None


def with_remark(source: str, remark: str) -> str:
    return f"{source[:-1]}; {remark})" if source.endswith(")") else f"{source} ({remark})"


def _choose_focal_mm(
    exif: Exif,
    options: FrameOptions,
    record: FrameRecord,
    body: CameraBody | None,
    sources: dict[str, str],
) -> float | None:
    equivalent = exif.focal_35mm_equivalent_mm
    focal_mm = _first("focal_mm", sources, option=options.focal_mm, exif=exif.focal_mm)
    if focal_mm is None and equivalent is not None:
        sources["focal_mm"] = "exif (35 mm equivalent)"
        focal_mm = equivalent * (body.long_mm / 36.0 if body else 1.0)
    if focal_mm is None:
        focal_mm = _first("focal_mm", sources, record=record.focal_mm)
    if exif.focal_remark is not None and options.focal_mm is None:
        sources["focal_mm"] = with_remark(sources.get("focal_mm", "unknown"), exif.focal_remark)
    return focal_mm


def _choose_pitch(
    file: PhotoFile,
    options: FrameOptions,
    body: CameraBody | None,
    sources: dict[str, str],
) -> tuple[float, bool]:
    """Return the pixel pitch: from the option, else from the table's sensor, else full-frame."""
    crop_factor, size = file.exif.crop_factor, (file.width_px, file.height_px)
    pitch_um, may_be_cropped = find_pitch(body, *size, crop_factor=crop_factor)
    sources["pixel_pitch_um"] = "table" if body else "exif" if crop_factor else "assumed"
    # LibRaw includes the rim of the sensor: 4284 px for a D3S, whose own pictures have 4256.
    if body and file.format == "raw" and abs(max(size) / body.long_px - 1.0) < 0.03:
        pitch_um, may_be_cropped = body.native_pitch_um, False
    if options.pixel_pitch_um is not None:
        sources["pixel_pitch_um"] = "option"
        return options.pixel_pitch_um, may_be_cropped
    return pitch_um, may_be_cropped
