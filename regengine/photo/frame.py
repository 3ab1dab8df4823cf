"""A photo and its metadata, read before any detection: time, lens and place."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from detectors.constants import (
    FOCAL_RANGE_MM,
    HEIGHT_RANGE_KM,
    KM_PER_DEGREE,
    PIXEL_PITCH_RANGE_UM,
    SEEN_RANGE_KM,
)
from regengine.errors import ConfigError
from regengine.io.times import to_utc
from regengine.photo.camera_bodies import (
    CameraBody,
    PixelPitch,
    assume_pitch,
    find_body,
    find_body_pitch,
)
from regengine.photo.formats import PhotoFile, read_photo_file
from regengine.photo.frame_ids import archive_frame_id, frame_id_of
from regengine.photo.lens_profile import LensProfile, choose_profile
from regengine.photo.record_values import wrap_lon
from regengine.photo.records import FrameRecord, FrameRecords, record_beside

NAIVE_AS_UTC = "naive, taken as UTC"
# LibRaw includes the rim of the sensor: 4284 px for a D3S, whose own pictures have 4256.
_RAW_RIM = 0.03
# Default radius for a named city within which the picture shows ground
CENTRE_RADIUS_KM = 100.0
# Its orbit is inclined by 51.6 degrees, and its horizon is 21 degrees away from 450 km; a nadir
# that is given by hand may be some degrees off
MAX_LAT_DEG = {"nadir": 55.0, "centre": 73.0}
_OPTION_RANGES = {
    "focal_mm": FOCAL_RANGE_MM,
    "pixel_pitch_um": PIXEL_PITCH_RANGE_UM,
    "altitude_km": HEIGHT_RANGE_KM,
    "radius_km": SEEN_RANGE_KM,
}
_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """User options for a photo; they override EXIF and record.

    ``time_utc`` without a time zone is UTC; ``pixel_pitch_um`` is that of the file's pixels;
    ``nadir`` is (lon, lat) in degrees. Some part of the picture shows ground within ``radius_km``
    of ``centre``, (lon, lat). ``altitude_km`` is above WGS84. ``lenses`` are calibrated lenses,
    from which each photo uses its own. Impossible values raise ConfigError.
    """

    time_utc: datetime | None = None
    focal_mm: float | None = None
    pixel_pitch_um: float | None = None
    nadir: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    radius_km: float | None = None
    altitude_km: float | None = None
    lenses: tuple[LensProfile, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in _OPTION_RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option} must be from {low:g} to {high:g}, not {value}.")
        for name in ("nadir", "centre"):
            place = getattr(self, name)
            if place is None:
                continue
            lon, lat = place
            if not (-180.0 <= lon <= 360.0 and -90.0 <= lat <= 90.0):
                bounds = "longitude (-180 to 180), latitude (-90 to 90)"
                raise ConfigError(f"--{name} must be {bounds}, not {lon}, {lat}.")
            limit = MAX_LAT_DEG[name]
            if name == "centre":
                limit += (self.radius_km or CENTRE_RADIUS_KM) / KM_PER_DEGREE
            if abs(lat) > limit:
                raise ConfigError(
                    f"--{name} {lon:g},{lat:g} is a place that the station never "
                    f"{'sees' if name == 'centre' else 'flies over'}: write longitude, then "
                    f"latitude, which is at most {MAX_LAT_DEG[name]:g} degrees north or south."
                )
            object.__setattr__(self, name, (wrap_lon(lon), lat))
        if self.radius_km is not None and self.centre is None:
            raise ConfigError("--radius-km needs --centre: give both.")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One photo: its file, its picture as stored, and its time, lens and place as far as known.

    ``pixel_pitch_um`` is that of this file's pixels: sensor side over file side in a resized copy.
    ``sources`` is the source of each value: ``exif``, ``record``, ``option``, ``filename``,
    ``table`` or ``assumed``, with remarks in brackets. Some part of the picture shows ground within
    ``radius_km`` of ``centre``. ``may_be_cropped`` is true if the aspect ratio of the file differs
    from the sensor's. ``profile`` is the calibration of camera and lens, if one was given.
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
    radius_km: float = CENTRE_RADIUS_KM
    altitude_km: float | None = None
    sources: dict[str, str] = field(default_factory=dict)
    may_be_cropped: bool = False
    profile: LensProfile | None = None

    @property
    def path(self) -> Path:
        """Path of the photo."""
        return self.file.path

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's content, hexadecimal."""
        return self.file.sha256

    @property
    def width_px(self) -> int:
        """Width as stored, pixels."""
        return self.file.width_px

    @property
    def height_px(self) -> int:
        """Height as stored, pixels."""
        return self.file.height_px

    @property
    def focal_px(self) -> float | None:
        """Focal length in pixels of this file; None if it is unknown."""
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
    record = (records.get(frame_id) if records else None) or record_beside(path)
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
    equivalent = exif.focal_35mm_equivalent_mm
    focal_mm = _first("focal_mm", sources, option=options.focal_mm, exif=exif.focal_mm)
    if focal_mm is None and equivalent is not None:
        sources["focal_mm"] = "exif (35 mm equivalent)"
        focal_mm = equivalent * (body.long_mm / 36.0 if body else 1.0)
    if focal_mm is None:
        focal_mm = _first("focal_mm", sources, record=record.focal_mm)
    if exif.focal_remark is not None and options.focal_mm is None:
        sources["focal_mm"] = with_remark(sources.get("focal_mm", "unknown"), exif.focal_remark)
    pitch = _pixel_pitch(file, options, body, sources)
    nadir = _first("nadir", sources, option=options.nadir, record=record.nadir)
    centre = _first("centre", sources, option=options.centre, record=record.centre)
    radius_km = options.radius_km if sources.get("centre") == "option" else record.radius_km
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
        pixel_pitch_um=pitch.pitch_um,
        camera_body=camera_body,
        lens=exif.lens,
        exposure_s=_first("exposure_s", sources, exif=exif.exposure_s, record=record.exposure_s),
        aperture_f=_first("aperture_f", sources, exif=exif.aperture_f, record=record.aperture_f),
        iso=_first("iso", sources, exif=exif.iso, record=record.iso),
        nadir=nadir,
        centre=centre,
        radius_km=radius_km or CENTRE_RADIUS_KM,
        altitude_km=_first(
            "altitude_km", sources, option=options.altitude_km, record=record.altitude_km
        ),
        sources=sources,
        may_be_cropped=pitch.may_be_cropped,
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
    """Return a source with one more remark in its brackets."""
    return f"{source[:-1]}; {remark})" if source.endswith(")") else f"{source} ({remark})"


def _pixel_pitch(
    file: PhotoFile,
    options: FrameOptions,
    body: CameraBody | None,
    sources: dict[str, str],
) -> PixelPitch:
    """Return the pixel pitch: from the option, else from the table's sensor, else full-frame."""
    exif, size = file.exif, (file.width_px, file.height_px)
    if body is None:
        pitch = assume_pitch(*size, crop_factor=exif.crop_factor)
        sources["pixel_pitch_um"] = "exif" if exif.crop_factor else "assumed"
    else:
        pitch = find_body_pitch(body, *size, crop_factor=exif.crop_factor)
        sources["pixel_pitch_um"] = "table"
        if file.format == "raw" and abs(max(size) / body.long_px - 1.0) < _RAW_RIM:
            pitch = PixelPitch(pitch_um=body.native_pitch_um, may_be_cropped=False)
    if options.pixel_pitch_um is not None:
        sources["pixel_pitch_um"] = "option"
        return PixelPitch(pitch_um=options.pixel_pitch_um, may_be_cropped=pitch.may_be_cropped)
    return pitch
