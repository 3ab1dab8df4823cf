"""Frame records: a table that tells, frame by frame, what the archive knows of a photo."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

from detectors.constants import FOCAL_RANGE_MM, HEIGHT_RANGE_KM, SEEN_RANGE_KM, SEMI_MAJOR_M
from regengine.errors import ConfigError
from regengine.io.extras import missing
from regengine.io.regular import open_regular
from regengine.io.tables import decode_text, read_csv
from regengine.io.times import parse_date_and_time, parse_iso_time

NAUTICAL_MILE_KM = 1.852
_ECCENTRICITY_SQ = 0.00669437999014
# Matches ISS030-E-184140, iss030e184140_lrg, Osaka_ISS006-E-22876 and iss073e0206244: expedition,
# "E" for an electronic camera, number. The archive writes three digits for the expedition and the
# number without leading zeros.
_ARCHIVE_ID = re.compile(
    r"(?<![a-z0-9])iss[-_ ]?(\d{1,3})[-_ ]?e[-_ ]?(\d{1,7})(?!\d)", re.IGNORECASE
)
# Photos on film have the number of their roll instead of the E
_FILM_ID = re.compile(r"iss(\d{1,3})-([a-z]?\d{1,3}[a-z]?)-(\d{1,7})", re.IGNORECASE)
_ARCHIVE_PAGE = re.compile(
    r"https?://eol\.jsc\.nasa\.gov/SearchPhotos/photo\.pl\?(.+)", re.IGNORECASE
)
_COPY_ENDING = re.compile(r"(?:_lrg)?(?:\.jpe?g)?$", re.IGNORECASE)
RECORD_ENDING = ".record.csv"
# Column names, as lower-case letters and digits. The long ones are those of the archive's own
# answers in tab-separated text.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "frame_id": ("frameid", "frame", "id"),
    "mission": ("mission",),
    "roll": ("roll",),
    "time": ("timeutc", "datetimeutc", "datetime"),
    "gmt_date": ("gmtdate", "photodate", "pdate"),
    "gmt_time": ("gmttime", "phototimegmt", "ptime"),
    "nadir_lat": ("nadirlat", "nlat"),
    "nadir_lon": ("nadirlon", "nlon"),
    "centre_lat": ("centrelat", "centerlat"),
    "centre_lon": ("centrelon", "centerlon"),
    "radius_km": ("radiuskm",),
    "altitude_km": ("altitudekm",),
    "altitude_nmi": ("altitudenmi", "spacecraftaltitudenauticalmiles"),
    "camera": ("camera", "camerabody"),
    "focal_mm": ("focalmm", "lensmm", "focallengthmm", "fclt"),
    "exposure": ("shutter", "exposures", "exposure"),
    "aperture": ("aperture", "aperturef"),
    "iso": ("iso",),
}
_PHOTO_EXTENSION = re.compile(r"\.(?:jpe?g|png|tiff?|nef|nrw|dng|cr2)$", re.IGNORECASE)


def parse_number(text: str) -> float | None:
    """Finite number that makes up the whole text; None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_exposure_s(text: str) -> float | None:
    """Exposure time in seconds out of ``1/30``, ``0.5``, ``1.3s``; None where it is none."""
    found = re.match(r"(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?\s*(?:s|\"|\\|$)", text)
    if found is None:
        return None
    seconds = float(found[1]) / (float(found[2] or 1.0) or math.inf)
    return seconds or None


def parse_aperture(text: str) -> float | None:
    """F-number out of ``2.8``, ``f/2.8``, ``F1.4``; None for ``f--`` and the like."""
    found = re.match(r"(?:f/?)?\s*(\d+(?:\.\d+)?)\s*(?:\\|$)", text, re.IGNORECASE)
    return float(found[1]) or None if found else None


def parse_iso(text: str) -> float | None:
    """Sensitivity out of ``3200``, ``12800.0``, ``ISO800``, ``Hi 6400``; None for ``HI-1``."""
    found = re.match(r"(?:iso|hi)?\s*(\d+(?:\.\d+)?)\s*(?:\\|$)", text, re.IGNORECASE)
    return float(found[1]) or None if found else None


def wrap_lon(lon_deg: float) -> float:
    """Longitude in [-180, 180); one that lies there already is not touched."""
    return lon_deg if -180.0 <= lon_deg < 180.0 else (lon_deg + 180.0) % 360.0 - 180.0


def archive_altitude_km(altitude_nmi: float, lat_deg: float) -> float:
    """Height above WGS84, km along the nadir's vertical, of an altitude as the archive prints it.

    The archive's altitude (nautical miles) is the distance from the Earth's centre minus the radius
    of the equator: at 52 degrees of geodetic latitude 13 km below the height above the ellipsoid.
    """
    radius_km = altitude_nmi * NAUTICAL_MILE_KM + (1e-3 * SEMI_MAJOR_M)
    sine, cosine = math.sin(math.radians(lat_deg)), math.cos(math.radians(lat_deg))
    prime_vertical = (1e-3 * SEMI_MAJOR_M) / math.sqrt(1.0 - _ECCENTRICITY_SQ * sine**2)
    # |((N + h) cos, (N (1 - e2) + h) sin)| = radius, solved for h.
    across, along = prime_vertical, prime_vertical * (1.0 - _ECCENTRICITY_SQ)
    half_linear = across * cosine**2 + along * sine**2
    constant = (across * cosine) ** 2 + (along * sine) ** 2 - radius_km**2
    return math.sqrt(half_linear**2 - constant) - half_linear


def archive_frame_id(text: str) -> str | None:
    """Archive id found in a text, such as ``"ISS030-E-184140"``, in the archive's own spelling."""
    found = _ARCHIVE_ID.search(text)
    if found is None:
        return None
    return f"ISS{int(found[1]):03d}-E-{int(found[2])}"


def archive_name(text: str) -> str | None:
    """Archive id that a text is, ``iss030e184140`` or with ``.JPG``, or whose page it links to.

    None for other texts, such as paths that hold an id.
    """
    if (page := _ARCHIVE_PAGE.match(text)) is not None:
        asked = parse_qs(page[1], max_num_fields=20, errors="replace")
        text = "-".join(asked.get(part, [""])[0] for part in ("mission", "roll", "frame"))
    bare = _COPY_ENDING.sub("", text.strip())
    if (film := _FILM_ID.fullmatch(bare)) is not None:
        return f"ISS{int(film[1]):03d}-{film[2].upper()}-{int(film[3])}"
    return archive_frame_id(bare) if _ARCHIVE_ID.fullmatch(bare) else None


def frame_id_of(path: Path) -> str:
    """Archive id of a photo by its file name, else the name without its extension.

    ``"ISS073-E-206244"`` for ``iss073e0206244.jpg``, ``"espana"`` for ``espana.png``.
    """
    return archive_frame_id(path.stem) or path.stem


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One row: None where the table does not tell. ``altitude_km`` is above WGS84.

    Some part of the picture shows ground within ``radius_km`` of ``centre``: both are known, or
    none, since the archive's own centre points may be anywhere in a picture, or beside it.
    """

    frame_id: str
    time_utc: datetime | None = None
    nadir: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    radius_km: float | None = None
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

    CSV (comma, semicolon or tab separated), NDJSON or Parquet, columns by their names:
    ``frame_id`` (or the archive's ``mission``, ``roll`` and ``frame``), ``time_utc`` or
    ``gmt_date`` (YYYYMMDD) and ``gmt_time`` (HHMMSS),
    ``nadir_lat`` and ``nadir_lon``, ``centre_lat``, ``centre_lon`` and ``radius_km`` (some part of
    the picture lies within it of that place), ``altitude_km`` (above WGS84) or ``altitude_nmi``
    (nautical miles above a sphere of the equator's radius, as the archive prints it), ``camera``,
    ``focal_mm``, ``shutter``, ``aperture``, ``iso``. Any may lack, others are passed over. Of two
    rows of one frame the first counts. ConfigError if the file cannot be read or is no table of
    frame records.
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


def record_beside(path: Path) -> FrameRecord | None:
    """A photo's record in a table of its own, ``ISS030-E-184140.record.csv`` beside the picture.

    ConfigError if there is one that cannot be read.
    """
    table = record_place(path)
    return load_frame_records(table).get(frame_id_of(path)) if table.is_file() else None


def record_place(path: Path) -> Path:
    """Where the record of a photo lies, if it has one of its own."""
    return path.with_name(path.stem + RECORD_ENDING)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by our names of the columns, of every row."""
    rows = _cells(path)
    try:
        _, header = next(rows, (0, []))
        bare = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in header]
        known = ((name, [one for one in told if one in bare]) for name, told in _COLUMNS.items())
        columns = {name: bare.index(found[0]) for name, found in known if found}
        if "frame_id" not in columns:
            raise ConfigError(
                f"{path} has no column frame_id in its first line; "
                "give a CSV table whose header names its columns"
            )
        for line, cells in rows:
            there = {name: at for name, at in columns.items() if at < len(cells)}
            yield line, {name: cells[at].strip() for name, at in there.items()}
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read as a table of frame records ({error.strerror or error}); "
            "give the path of a CSV, NDJSON or Parquet file"
        ) from error
    except (csv.Error, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} is no table of frame records ({error}); give a CSV, NDJSON or Parquet file"
        ) from error


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbers and cells of a table's rows, the header first."""
    if path.suffix.lower() == ".parquet":
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise missing("Parquet", error, instead="give a .csv or .ndjson file") from error
        records = parquet.read_table(path).to_pylist()
    else:
        # JSC tables that passed through several hands hold bytes of several encodings.
        with open_regular(path) as table:
            text = decode_text(table.read(), errors="replace")
        if not text.startswith("{"):
            yield from read_csv(text)
            return
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
        if not all(isinstance(record, dict) for record in records):
            raise ValueError("not every line is an object")
    header = list(dict.fromkeys(name for record in records for name in record))
    yield 0, header
    for number, record in enumerate(records, start=1):
        cells = (record.get(name) for name in header)
        yield number, ["" if cell is None else str(cell) for cell in cells]


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

    def place_of(name: str) -> tuple[float, float] | None:
        lat, lon = number(f"{name}_lat", -90.0, 90.0), number(f"{name}_lon", -180.0, 360.0)
        return None if lat is None or lon is None else (wrap_lon(lon), lat)

    nadir = place_of("nadir")
    radius_km = number("radius_km", *SEEN_RANGE_KM)
    centre = None if radius_km is None else place_of("centre")
    altitude_km = number("altitude_km", 0.0, HEIGHT_RANGE_KM[1])
    altitude_nmi = number("altitude_nmi", 0.0, 5_000.0)
    if altitude_km is None and altitude_nmi and nadir is not None:
        altitude_km = archive_altitude_km(altitude_nmi, nadir[1])
    # The archive writes 0 for "not known" here, too
    unknown = parse_number(row.get("focal_mm", "")) == 0.0
    focal_mm = None if unknown else number("focal_mm", *FOCAL_RANGE_MM)
    return FrameRecord(
        frame_id=frame_id,
        time_utc=_time(row, place, problems),
        nadir=nadir,
        centre=centre,
        radius_km=None if centre is None else radius_km,
        altitude_km=altitude_km or None,  # the archive writes 0 for "not known"
        camera=re.split(r"[\r\n]|\\r|\\n", row.get("camera", ""))[0].strip() or None,
        focal_mm=focal_mm,
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
