"""Frame records: a table that tells, frame by frame, what the archive knows of a photo."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from regengine.errors import ConfigError
from regengine.frame_id import archive_frame_id
from regengine.record_values import (
    archive_altitude_km,
    parse_aperture,
    parse_date_and_time,
    parse_exposure_s,
    parse_iso,
    parse_iso_time,
    parse_number,
    wrap_lon,
)

# Column names, as lower-case letters and digits. The long ones are those of the archive's own
# answers in tab-separated text.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "frame_id": ("frameid", "frame", "id"),
    "mission": ("mission",),
    "roll": ("roll",),
    "time": ("timeutc", "datetimeutc", "datetime"),
    "gmt_date": ("gmtdate", "photodate", "pdate"),
    "gmt_time": ("gmttime", "phototimegmt", "ptime"),
    "nadir_lat": ("nadirlat",),
    "nadir_lon": ("nadirlon",),
    "altitude_km": ("altitudekm",),
    "altitude_nmi": ("altitudenmi", "spacecraftaltitudenauticalmiles"),
    "camera": ("camera", "camerabody"),
    "focal_mm": ("focalmm", "lensmm", "focallengthmm"),
    "exposure": ("shutter", "exposures", "exposure"),
    "aperture": ("aperture", "aperturef"),
    "iso": ("iso",),
}
_PHOTO_EXTENSION = re.compile(r"\.(?:jpe?g|png|tiff?|nef|nrw|dng|cr2)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One row: None where the table does not tell. ``altitude_km`` is above WGS84."""

    frame_id: str
    time_utc: datetime | None = None
    nadir: tuple[float, float] | None = None
    altitude_km: float | None = None
    camera: str | None = None
    focal_mm: float | None = None
    exposure_s: float | None = None
    aperture_f: float | None = None
    iso: float | None = None


@dataclass(frozen=True, kw_only=True)
class FrameRecords:
    """A table of frame records, looked up by frame id.

    ``problems`` holds a sentence for every value that a row has but that could not be understood.
    """

    path: Path
    by_id: Mapping[str, FrameRecord]
    problems: tuple[str, ...] = ()

    def get(self, frame_id: str) -> FrameRecord | None:
        """Record of a frame, however its archive id is spelt; None where the table lacks it."""
        return self.by_id.get(archive_frame_id(frame_id) or frame_id)

    def __len__(self) -> int:
        return len(self.by_id)


def load_frame_records(path: Path) -> FrameRecords:
    """Read a table of frame records.

    Comma, semicolon or tab separated, columns by their header: ``frame_id`` (or the archive's
    ``mission``, ``roll`` and ``frame``), ``time_utc`` or ``gmt_date`` (YYYYMMDD) and ``gmt_time``
    (HHMMSS), ``nadir_lat`` and ``nadir_lon``, ``altitude_km`` (above WGS84) or ``altitude_nmi``
    (nautical miles above a sphere of the equator's radius, as the archive prints it), ``camera``,
    ``focal_mm``, ``shutter``, ``aperture``, ``iso``. Any may lack, others are passed over. Of two
    rows of one frame the first counts.

    Parameters
    ----------
    path : Path
        The table.

    Returns
    -------
    FrameRecords
        All its rows that name a frame.

    Raises
    ------
    ConfigError
        The file cannot be read or is no table of frame records.
    """
    by_id: dict[str, FrameRecord] = {}
    problems: list[str] = []
    for line, row in _rows(path):
        frame_id = _row_id(row)
        if frame_id is None:
            continue
        if frame_id in by_id:
            problems.append(f"{path} line {line}: {frame_id} comes again, the first row counts")
            continue
        by_id[frame_id] = _record(frame_id, row, f"{path} line {line}", problems)
    return FrameRecords(path=Path(path), by_id=by_id, problems=tuple(problems))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by our names of the columns, of every row."""
    try:
        # JSC tables that passed through several hands hold bytes of several encodings.
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read as a table of frame records ({error.strerror}); "
            "give the path of a CSV file"
        ) from error
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header_cells = next(reader, [])
        columns = _columns(header_cells)
        if "frame_id" not in columns:
            raise ConfigError(
                f"{path} has no column frame_id in its first line; "
                "give a CSV table whose header names its columns"
            )
        for cells in reader:
            if cells == header_cells:  # pages of archive answers, one behind the other
                continue
            yield (
                reader.line_num,
                {
                    name: cells[index].strip()
                    for name, index in columns.items()
                    if index < len(cells)
                },
            )
    except csv.Error as error:
        raise ConfigError(
            f"{path} is no table of frame records ({error}); give a CSV file"
        ) from error


def _columns(header: list[str]) -> dict[str, int]:
    """Index of each known column."""
    plain = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in header]
    found: dict[str, int] = {}
    for name, spellings in _COLUMNS.items():
        for spelling in spellings:
            if spelling in plain:
                found[name] = plain.index(spelling)
                break
    return found


def _row_id(row: Mapping[str, str]) -> str | None:
    text = row.get("frame_id", "")
    if row.get("mission") and row.get("roll") and text:
        text = f"{row['mission']}-{row['roll']}-{text}"
    return archive_frame_id(text) or _PHOTO_EXTENSION.sub("", text) or None


def _record(frame_id: str, row: Mapping[str, str], place: str, problems: list[str]) -> FrameRecord:
    def number(name: str, low: float, high: float) -> float | None:
        text = row.get(name, "")
        value = parse_number(text)
        if value is not None and low <= value <= high:
            return value
        if text and text.lower() != "nan":
            problems.append(f"{place}: {name} {text!r} is no number from {low:g} to {high:g}")
        return None

    lat, lon = number("nadir_lat", -90.0, 90.0), number("nadir_lon", -180.0, 360.0)
    nadir = None if lat is None or lon is None else (wrap_lon(lon), lat)
    altitude_km = number("altitude_km", 0.0, 10_000.0)
    altitude_nmi = number("altitude_nmi", 0.0, 5_000.0)
    if altitude_km is None and altitude_nmi and nadir is not None:
        altitude_km = archive_altitude_km(altitude_nmi, nadir[1])
    return FrameRecord(
        frame_id=frame_id,
        time_utc=_time(row, place, problems),
        nadir=nadir,
        altitude_km=altitude_km or None,  # the archive writes 0 for "not known"
        camera=re.split(r"[\r\n]|\\r|\\n", row.get("camera", ""))[0].strip() or None,
        focal_mm=number("focal_mm", 0.0, 5_000.0) or None,
        exposure_s=parse_exposure_s(row.get("exposure", "")),
        aperture_f=parse_aperture(row.get("aperture", "")),
        iso=parse_iso(row.get("iso", "")),
    )


def _time(row: Mapping[str, str], place: str, problems: list[str]) -> datetime | None:
    """Time of a row; without a time zone it is UTC."""
    text = row.get("time", "")
    time = parse_iso_time(text)
    if time is None and row.get("gmt_date") and row.get("gmt_time"):
        text = f"{row['gmt_date']} {row['gmt_time']}"
        time = parse_date_and_time(row["gmt_date"], row["gmt_time"])
    if time is None and text:
        problems.append(f"{place}: {text!r} is no time")
    return time
