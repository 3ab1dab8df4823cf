"""Read tables of photo metadata from any source, as one record per photo, and write them."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from difflib import get_close_matches
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from detectors.constants import FOCAL_RANGE_MM, HEIGHT_RANGE_KM, SEEN_RANGE_KM
from regengine.errors import ConfigError
from regengine.io.atomic import replace_files
from regengine.io.decoding import open_regular
from regengine.io.plain import format_count, make_printable
from regengine.io.tables import (
    cell,
    check_columns_once,
    check_unpacked,
    csv_lines,
    decode_text,
    read_csv,
    split_lines,
    unquote_name,
    utf16_codec,
)
from regengine.io.times import iso_utc, parse_date_and_time
from regengine.photo.notations import (
    archive_altitude_km,
    archive_frame_id,
    clean_text,
    compose_frame_id,
    find_frame_id,
    find_mission,
    frame_id_of,
    name_spellings,
    parse_coordinates,
    parse_exposure_s,
    parse_focal_mm,
    parse_number,
    parse_query,
    parse_setting,
    parse_time,
    record_place,
    wrap_lon,
)

UNKNOWN = frozenset({"", "-", "--", "nan", "none", "null", "n/a", "¿?", "?", "unknown"})
_ZONE = re.compile(r":\d\d(?:\.\d+)?\s*(?:Z|[+-]\d\d:?\d\d)$")
# Cameras by the codes of the archive's database, from the list in its search form
CAMERAS: Mapping[str, str] = {
    "C1": "Canon Digital IXUS 700",
    "E2": "Kodak DCS460",
    "E3": "Kodak DCS660",
    "E4": "Kodak DCS760c",
    "HB": "Hasselblad",
    "LH": "Linhof",
    "N1": "Nikon D1",
    "N2": "Nikon D2Xs",
    "N3": "Nikon D3",
    "N4": "Nikon D3X",
    "N5": "Nikon D3S",
    "N6": "Nikon D4",
    "N7": "Nikon D800E",
    "N8": "Nikon D5",
    "N9": "Nikon D850",
    "NA": "Nikon D6",
    "NB": "Nikon Z9",
    "NK": "Nikon 35mm film camera",
    "RX": "Rolleiflex",
}

MAX_BYTES = 1 << 28  # the whole archive, 5 million photos, is queried in parts
MAX_LINE_LENGTH = 1 << 20  # for a record that is a line
# Limit above which two records contradict each other. Camera clocks are off by up to half a minute;
# nadirs are printed to 0.1 degrees, and drift by up to 180 km on some days.
OTHER_TIME_S = 60.0
OTHER_NADIR_DEG = 2.0
OTHER_FOCAL = 0.05  # share of the focal length
_WEB_PAGE = ("<!doctype", "<html", "<?xml")
_PHOTO_EXTENSION = re.compile(r"\.(?:jpe?g|png|tiff?|nef|nrw|dng|cr2)$", re.IGNORECASE)
# Our name of a column, and the spellings of its heading as bare lower-case letters and digits. The
# first spelling that a table has is used. Headings of the archive's database are TABLE.FIELD.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "frame_id": ("frameid",),
    "archive_id": ("issid", "nasaid", "idiss", "imagesfilename", "filename", "photo"),
    "path": ("sourcefile", "path", "file"),
    "mission": ("mission",),
    "roll": ("roll",),
    "frame": ("frame",),
    "bare_id": ("id",),
    "time": (
        *("timeutc", "datetimeutc", "datetimeoriginal", "subsecdatetimeoriginal"),
        *("datetime", "fechadate", "subseccreatedate", "createdate"),
    ),
    "time_zone": ("offsettimeoriginal",),
    "gmt_date": ("gmtdate", "photodate", "pdate", "date"),
    "gmt_time": ("gmttime", "phototimegmt", "ptime"),
    "hour": ("hour",),
    "nadir_lat": ("nadirlat", "nlat", "framesnlat"),
    "nadir_lon": ("nadirlon", "nlon", "framesnlon"),
    "altitude_km": ("altitudekm",),
    "altitude_nmi": ("altitudenmi", "spacecraftaltitudenauticalmiles"),
    "camera": ("camera", "camerabody", "model", "camaramodel", "camerauncataloged"),
    "focal_mm": (
        *("focalmm", "lensmm", "focallengthmm", "fclt"),
        *("focal", "focalfocallength", "focallength"),
    ),
    "lens": ("lens",),  # its focal length or its name
    "exposure": ("exposures", "shutter", "exposure", "exp", "texposicionshutter", "exposuretime"),
    "aperture": ("aperturef", "aperture", "f", "aperturaaperture", "fnumber"),
    "iso": ("iso", "isospeedratings"),
    "centre_lat": ("centrelat", "centerlat", "centerpointlat", "frameslat"),
    "centre_lon": ("centrelon", "centerlon", "centerpointlon", "frameslon"),
    "centre": ("coordenadasdelcentrodelaimagencentercordinates",),
    "radius_km": ("radiuskm",),
    "place_lat": ("placelat", "citylat", "latcity", "citylat2", "mlcoordlat"),
    "place_lon": ("placelon", "citylon", "loncity", "citylon2", "mlcoordlon"),
    "lat": ("lat",),
    "lon": ("lon",),
    "place": ("place", "geon", "geographicname", "lugarplace", "city"),
    "country": ("paiscountry",),
    "features": ("features", "feat", "featuresidentifiedmanually"),
    "caption": ("caption", "captionscaption"),
    "sun_azimuth": ("sunazimuthdeg", "sunazimuth", "sunaz", "azi"),
    "sun_elevation": ("sunelevationdeg", "sunelevationangle", "sunel", "sunelv", "elev"),
    "clouds": ("cloudpercent", "cloudspercentage", "cloudspct", "cldp"),
    "record_type": ("recordtype",),
    "map_link": ("coordimage",),
}
# Numbers that a table may have only once, in any spelling
ONLY_ONE = ("nadir_lat", "nadir_lon", "altitude_km", "focal_mm", "centre_lat", "centre_lon")
# Units of columns that are spelt without
_UNITS = {"time": "utc", "exposure": "s", "aperture": "f"}
OWN_NAMES = ("frame_id", "frame", "bare_id", "path")  # columns in which a user may name any photo
_NAMES = {*OWN_NAMES, "archive_id"}
_AXES = ("lat", "lon")
# Fields of the archive's database whose meaning depends on their table
_TABLE_FIELDS = {f"{table}.{axis}" for table in ("nadir", "frames", "mlcoord") for axis in _AXES}
_TABLES = "frames|nadir|images|camera|captions|mlfeat|mlcoord|publicfeatures"
_FIELD = re.compile(rf"(?:{_TABLES})[.|](\w+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRecord:
    """Metadata of one photo from tables; None or empty if no table contains a value.

    Latitudes and longitudes are geodetic, in degrees. ``nadir`` is below the station, ``centre`` is
    the centre of the picture as estimated by people. ``place`` is what the photo shows according to
    the table, such as a city, or a position of unspecified meaning.
    """

    frame_id: str  # as the archive writes it, ``ISS030-E-184140``, else the name of the photo
    time_utc: datetime | None = None  # aware, UTC
    nadir_lat: float | None = None
    nadir_lon: float | None = None
    altitude_km: float | None = None  # above WGS84
    camera: str = ""  # body, with its serial number if the table has it
    focal_mm: float | None = None
    exposure_s: float | None = None
    aperture_f: float | None = None
    iso: float | None = None
    centre_lat: float | None = None
    centre_lon: float | None = None
    # Some part of the picture shows ground within this radius of the centre
    radius_km: float | None = None
    place_lat: float | None = None
    place_lon: float | None = None
    place: str = ""
    features: str = ""
    caption: str = ""
    sun_azimuth_deg: float | None = None  # at the nadir, like the elevation
    sun_elevation_deg: float | None = None
    cloud_percent: float | None = None  # as estimated by people
    record_type: str = ""  # the archive's status of cataloguing
    # A sentence for each value that is left out, or that tables disagree on.
    problems: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()  # names of the files or tables with data of the photo

    @property
    def nadir(self) -> tuple[float, float] | None:
        """Longitude and latitude."""
        if self.nadir_lat is None or self.nadir_lon is None:
            return None
        return self.nadir_lon, self.nadir_lat

    @property
    def centre(self) -> tuple[float, float] | None:
        """Longitude and latitude of a place that the picture shows within the radius.

        None if there is no radius: the archive's own centre points may be anywhere in a picture, or
        outside of it.
        """
        if self.centre_lat is None or self.centre_lon is None or self.radius_km is None:
            return None
        return self.centre_lon, self.centre_lat


COLUMNS = tuple(field.name for field in fields(FrameRecord))
LISTS = ("problems", "sources")
# Columns by the names of their spellings
_COLUMN_OF = {
    name: name if name in COLUMNS else f"{name}_{unit}"
    for name, unit in {**dict.fromkeys(COLUMNS, ""), **_UNITS}.items()
    if name in SPELLINGS
}
# Values that are only meaningful together
_GROUPS = (
    ("nadir_lat", "nadir_lon"),
    ("centre_lat", "centre_lon", "radius_km"),
    ("place_lat", "place_lon"),
)
_IN_GROUPS = {name for group in _GROUPS for name in group}
# What a photo is searched or classified by
_USED = (
    *("time_utc", "nadir", "altitude_km", "camera", "focal_mm", "exposure_s", "aperture_f", "iso"),
    *("centre", "place", "features", "caption"),
)
_ALONE = tuple((name,) for name in COLUMNS[1:] if name not in {*LISTS, *_IN_GROUPS})


@dataclass(frozen=True, kw_only=True)
class FrameRecords:
    """Records of photos by their ids, in order of first appearance.

    ``n_rows`` is the number of rows read, ``n_unnamed`` the number of those without a photo's name.
    ``problems`` has a sentence for every value that could not be parsed, with its position;
    ``headings`` are those of the table. ``alike`` are the names of `find_alike`.
    """

    by_id: Mapping[str, FrameRecord]
    n_rows: int = 0
    n_unnamed: int = 0
    problems: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    alike: Collection[str] = frozenset()

    def get(self, photo: str | Path) -> FrameRecord | None:
        """Return the record of a photo, by its path or any spelling of its id; None if missing.

        A row may name the photo with its folders, or with other folders, ending or case, if that
        is true of no other row or photo.
        """
        text = str(photo)
        name = text if isinstance(photo, str) else frame_id_of(photo)
        names = [name]
        if (printed := make_printable(name)) != name:
            # Bytes that are not UTF-8: as our tables spell them, or as `_read_text` reads them
            names += [printed, os.fsencode(name).decode("cp1252", "replace")]
        ids = (of(one) or one for one in names for of in (archive_frame_id, find_frame_id))
        if (record := next(filter(None, map(self.by_id.get, ids)), None)) is not None:
            return record
        spellings = name_spellings(text)
        near = {one for spelling in spellings for one in self._by_spelling.get(spelling, ())}
        own = _parts(text)
        # By its last folders and its name, not the name alone
        inside = [one for one in near if len(end := _parts(one)) > 1 and own[-len(end) :] == end]
        if len(near) == 1 and spellings.isdisjoint(self.alike):
            inside = list(near)
        return self.by_id[inside[0]] if len(inside) == 1 else None

    @cached_property
    def _by_spelling(self) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = {}
        for frame_id in self.by_id:
            for spelling in name_spellings(frame_id):
                ids.setdefault(spelling, []).append(frame_id)
        return ids

    def describe_unused(self, photos: Sequence[Path]) -> list[str]:
        """Return sentences for rows that meet none of the photos, and unknown columns.

        Nothing is said of photos without a row if all rows are met, and the other way round; of
        unknown columns only if the table gives the photos nothing, or they are nearly known.
        """
        met = [self.get(photo) for photo in photos]
        n_met = len({record.frame_id for record in met if record})
        n_rows, n_without = len(self.by_id), met.count(None)
        sentences = [] if n_rows else ["it has no row"]
        if n_rows and met and not n_met:
            row = next(iter(self.by_id))
            sentences.append(
                f"no row meets a photo: its first is of {row}, not of {photos[0].name}"
            )
        elif n_without and n_met < n_rows:
            sentences.append(
                f"{n_without:,} of {format_count(len(met), 'photo')} have no row, and "
                f"{n_rows - n_met:,} of {format_count(n_rows, 'row')} meet no photo"
            )
        rows = [record for record in met if record] or self.rows
        is_useful = any(getattr(row, name) not in (None, "") for row in rows for name in _USED)
        columns = find_columns(self.headings)
        lacking = {
            spelling: column
            for name, column in _COLUMN_OF.items()
            if name not in columns
            for spelling in SPELLINGS[name]
        }
        unknown = []
        for heading in self.headings:
            bare = bare_heading(heading)
            if bare and bare not in _ALL_SPELLINGS:
                bare = bare.replace("latitude", "lat").replace("longitude", "lon")
                near = get_close_matches(bare, lacking, n=1, cutoff=0.8 if is_useful else 0.5)
                if near or not is_useful:
                    meant = f" ({lacking[near[0]]}?)" if near else ""
                    unknown.append(f"{clean_text(heading)[:40]}{meant}")
        if unknown:
            more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
            sentences.append(f"columns that are not known: {', '.join(unknown[:8])}{more}")
        if n_rows and not is_useful:
            sentences.append(
                "it has no value that is used, such as time_utc, nadir_lat or focal_mm"
            )
        return sentences

    def __len__(self) -> int:
        return len(self.by_id)

    @property
    def rows(self) -> tuple[FrameRecord, ...]:
        return tuple(self.by_id.values())

    @property
    def n_doubtful(self) -> int:
        """Number of photos with a value that was left out or that tables disagree on."""
        return sum(bool(record.problems) for record in self.by_id.values())


def load_frame_records(path: Path) -> FrameRecords:
    """Read a table of the photos of a run, which may have any names.

    A text in a column ``frame_id``, ``frame`` or ``id`` is a photo's name, whether or not it is an
    archive id. A table may have no rows. Otherwise like `read_tables`.
    """
    rows, headings = _read_table(Path(path), any_name=True)
    return replace(merge_records(rows), headings=headings)


def read_tables(paths: Iterable[Path]) -> FrameRecords:
    """Read files with metadata of archive photos from any source into one table.

    Files are CSV (comma, semicolon or tab separated), JSON, NDJSON, or lines of Python
    dictionaries, with columns in any of the `SPELLINGS`; other columns are ignored. Values of an
    earlier row have priority over those of a later one. Raises ConfigError if a file cannot be
    read, or names no photo.
    """
    return merge_records(row for path in paths for row in _read_table(path, any_name=False)[0])


def record_beside(path: Path) -> FrameRecord | None:
    """Read a photo's record, ``ISS030-E-184140.record.csv`` next to the picture, if any.

    Raises ConfigError if it cannot be read.
    """
    table = record_place(path)
    return load_frame_records(table).get(path) if table.is_file() else None


def _read_table(
    path: Path, *, any_name: bool
) -> tuple[list[tuple[str, FrameRecord | None]], tuple[str, ...]]:
    """Return the record of each row with the position of the row, and the headings."""
    name, mission = clean_text(path.name), find_mission(path.stem)
    rows, headings = [], dict[str, None]()
    for place, cells in read_cells(path):
        headings |= dict.fromkeys(cells)
        record = interpret(cells, source=name, mission=mission, any_name=any_name)
        rows.append((f"{path} {place}", record))
    columns = ", ".join(clean_text(heading)[:40] for heading in list(headings)[:12])
    if rows and not find_columns(tuple(headings)):
        why = f"it has no known column, such as frame_id or time_utc, but {columns}"
        raise unreadable_table(path, why)
    if all(record is None for _, record in rows) and (rows or not any_name):
        where = " in a column frame_id" if any_name else ", such as ISS030-E-184140"
        has = f"; its columns: {columns}" if columns else ""
        raise unreadable_table(path, f"no row names a photo{where}{has}")
    return rows, tuple(headings)


def read_cells(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a file of any supported format: their positions and their cells.

    Raises ConfigError if the format is not supported.
    """
    text = _read_text(path)
    start = text.lstrip()[:512]
    if start.lower().startswith(_WEB_PAGE):
        raise unreadable_table(path, "it is a web page, not a table; read it for an error message")
    if not start:
        raise unreadable_table(path, "it is empty")
    read = {"[": _read_json, "{": _read_json}.get(start[:1], _read_csv)
    first = text.lstrip().partition("\n")[0].rstrip()
    has_lines = first.endswith("}") and len(first) > 2 and "\n" in text.strip()
    if start[:1] == "{" and (has_lines or first[1:2] == "'"):
        read = _read_lines
    try:
        yield from read(path, text)
    except csv.Error as error:
        raise unreadable_table(path, str(error)) from error


def unreadable_table(path: Path, why: str) -> ConfigError:
    """Return the error for an unreadable file, one sentence."""
    return ConfigError(
        f"{path} cannot be read as a table of photos ({why}); give the archive's text tables or "
        "JSON, or CSV with column names."
    )


def _read_text(path: Path) -> str:
    """Read the text of a file: UTF-8 or UTF-16, else lines not in UTF-8 as Windows-1252."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise unreadable_table(path, f"it is larger than {MAX_BYTES >> 20} MB: split it")
            data = file.read()
            check_unpacked(data)
    except OSError as error:
        raise unreadable_table(path, error.strerror or str(error)) from error
    if utf16_codec(data) is not None:
        return decode_text(data, errors="replace")
    if b"\0" in data[:4096]:
        raise unreadable_table(path, "it is not text")
    with suppress(UnicodeError):
        return decode_text(data)
    lines = []
    for line in data.splitlines(keepends=True):
        try:
            lines.append(line.decode("utf-8-sig"))
        except UnicodeDecodeError:
            lines.append(line.decode("cp1252", errors="replace"))
    return "".join(lines)


def _read_csv(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    rows = read_csv(text, _meaning)
    _, headings = next(rows, (0, []))
    column_of: dict[str, int] = {}  # the first of repeated headings that are not known
    for index, heading in enumerate(headings):
        column_of.setdefault(heading.strip() or f"#{index}", index)
    is_empty = True
    for line, cells in rows:
        if any(cells):
            is_empty = False
            there = ((name, index) for name, index in column_of.items() if index < len(cells))
            yield f"line {line}", {name: cells[index] for name, index in there}
    if is_empty and not find_columns(tuple(column_of)).keys() & set(OWN_NAMES):
        raise unreadable_table(path, "it has no column frame_id, and no rows")


def _read_json(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        data = json.loads(text, object_pairs_hook=_check_keys)
    except (ValueError, RecursionError) as error:
        raise unreadable_table(path, f"its JSON is damaged or truncated: {error}") from error
    if isinstance(data, dict) and find_columns(tuple(map(str, data))).keys() & _NAMES:
        data = [data]  # a single record
    elif isinstance(data, dict) and not all(isinstance(value, dict) for value in data.values()):
        words = next((str(v) for k, v in data.items() if k in ("error", "result")), "")
        raise unreadable_table(path, f"it has no rows{': ' + words[:100] if words else ''}")
    if isinstance(data, dict):
        data = [{"path": key, **value} for key, value in data.items()]
    for number, item in enumerate(data, start=1):
        if not isinstance(item, dict):
            raise unreadable_table(path, f"its item {number} is not an object")
        yield f"item {number}", _texts(item)


def _read_lines(path: Path, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for number, line in enumerate(split_lines(text), start=1):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE_LENGTH:
                raise ValueError("it is too long")
            try:
                item = json.loads(line, object_pairs_hook=_check_keys)
            except ValueError:
                item = ast.literal_eval(line.strip())  # only constants, nothing is executed
        except csv.Error as error:
            raise unreadable_table(path, f"line {number}: {error}") from error
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise unreadable_table(path, f"line {number} is not a record ({error})") from error
        if not isinstance(item, dict):
            raise unreadable_table(path, f"line {number} is not a record")
        yield f"line {number}", _texts(item)


def _check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which a key that comes again would replace the first."""
    check_columns_once((key for key, _ in pairs), _meaning)
    return dict(pairs)


def _texts(item: Mapping[Any, Any]) -> dict[str, str]:
    lists = {name: "; ".join(map(str, one)) for name, one in item.items() if isinstance(one, list)}
    values = {**item, **lists}.items()
    return {str(name): "" if value is None else str(value) for name, value in values}


def bare_heading(heading: str) -> str:
    """Return a heading as lower-case ASCII letters and digits, without accents and punctuation."""
    field = _FIELD.fullmatch(heading.strip())
    is_whole = heading.lower().replace("|", ".") in _TABLE_FIELDS
    text = field[1] if field and not is_whole else heading
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


_ALL_SPELLINGS = frozenset(chain.from_iterable(SPELLINGS.values()))


def _meaning(heading: str) -> str:
    """Return what a table may have only one column of, the first spelling; "" if unknown."""
    bare = bare_heading(heading)
    if bare not in _ALL_SPELLINGS or _FIELD.fullmatch(heading.strip()):
        return heading.strip().lower() if bare in _ALL_SPELLINGS else ""
    return next((name for name in ONLY_ONE if bare in SPELLINGS[name]), bare)


@cache
def find_columns(headings: tuple[str, ...]) -> dict[str, str]:
    """Return the headings of a table that contain the known values."""
    written: dict[str, str] = {}
    for heading in headings:
        written.setdefault(bare_heading(heading), heading)
    if "exifversion" in written:
        written.pop("datetime", None)  # in EXIF, the time when the file was changed
    columns = {}
    for name, spellings in SPELLINGS.items():
        if (spelling := next(filter(written.__contains__, spellings), None)) is not None:
            columns[name] = written[spelling]
    if not columns.keys() & _NAMES and "#0" in written.values():
        columns["archive_id"] = "#0"  # a column of ids without a heading
    return columns


class _Row:
    """Cells of a row by our names of the columns; cells that cannot be parsed are recorded."""

    def __init__(self, by_heading: Mapping[str, str]) -> None:
        self.by_heading = by_heading
        self.columns = find_columns(tuple(by_heading))
        self.cells: dict[str, str] = {}
        for name, heading in self.columns.items():
            text = by_heading[heading].split("\r\n")[0].split("\\r\\n")[0]
            text = unquote_name(text.strip())
            if text.lower() not in UNKNOWN:
                self.cells[name] = text
        self.problems: list[str] = []

    def cell(self, name: str) -> str:
        return self.cells.get(name, "")

    def number(self, name: str, low: float, high: float, *, zero: bool = True) -> float | None:
        """Return the number of a cell; unless ``zero``, 0 means "not known", as in the archive."""
        text = self.cell(name)
        value = parse_focal_mm(text) if name in ("focal_mm", "lens") else parse_number(text)
        if not text or (value == 0.0 and not zero):
            return None
        if value is not None and low <= value <= high:
            return value
        self.problems.append(f"{name} {text[:40]!r} is not a number from {low:g} to {high:g}")
        return None

    def place(self, lat_name: str, lon_name: str) -> tuple[float | None, float | None]:
        """Return latitude and longitude; None if one of them is missing."""
        lat, lon = self.number(lat_name, -90.0, 90.0), self.number(lon_name, -180.0, 360.0)
        return (None, None) if lat is None or lon is None else (lat, wrap_lon(lon))

    def time(self) -> datetime | None:
        """Return the time of the photo; without a time zone it is UTC."""
        text = self.cell("time")
        if text and not _ZONE.search(text):
            text += self.cell("time_zone")
        time = parse_time(text) if text else None
        day, hour = self.cell("gmt_date"), self.cell("hour")
        clock = self.cell("gmt_time") or hour
        if time is None and day and clock:
            text = f"{day} {clock}"
            # 930 as an hour may be 9:30 as well as 0:09:30
            if self.cell("gmt_time") or not hour.isdecimal() or len(hour) > 4:
                time = parse_date_and_time(day, clock) or parse_time(text)
        if time is None and text:
            unsure = ", or day and month are ambiguous" if "/" in text else ""
            self.problems.append(f"{clean_text(text)[:40]!r} is not a time{unsure}")
        return time

    def frame_id(self, mission: str | None, *, any_name: bool) -> str | None:
        """Return the id from its parts, its column, a link, or number and mission of the table."""
        own = [name for name in OWN_NAMES if name in self.columns]
        if any_name and own:
            name = self.cell(own[0])
            if name and own[0] != "path" and self.cell("mission") and self.cell("roll"):
                parts = self.cell("mission"), self.cell("roll"), name
                name = compose_frame_id(*parts) or "-".join(parts)
            return archive_frame_id(name) or _PHOTO_EXTENSION.sub("", name) or None
        frame_id = compose_frame_id(
            self.cell("mission"), self.cell("roll") or "E", self.cell("frame")
        )
        texts = [text for name in ("archive_id", *OWN_NAMES) if (text := self.cell(name))]
        others = (text for text in self.by_heading.values() if "/" in text or "-" in text)
        frame_id = frame_id or next(filter(None, map(find_frame_id, chain(texts, others))), None)
        if frame_id is None and mission is not None:
            numbers = (compose_frame_id(mission, "E", text) for text in texts)
            frame_id = next(filter(None, numbers), None)
        if frame_id is None and any_name:
            frame_id = _PHOTO_EXTENSION.sub("", self.cell("archive_id")) or None
        return frame_id


def interpret(
    by_heading: Mapping[str, str],
    *,
    source: str,
    mission: str | None = None,
    any_name: bool = False,
) -> FrameRecord | None:
    """Return the record of a row of the table ``source``; None if the row names no photo.

    ``mission`` is that of photos for which a row has only the number; ``any_name`` is as in
    `load_frame_records`.
    """
    row = _Row(by_heading)
    frame_id = row.frame_id(mission, any_name=any_name)
    if frame_id is None:
        return None
    nadir = row.place("nadir_lat", "nadir_lon")
    link = row.cell("map_link")
    if nadir[0] is None and "MapCoordinate" in link:
        query = parse_query(link)
        linked = parse_coordinates(f"{query.get('lat', '')},{query.get('lon', '')}")
        if linked is not None:
            nadir = linked[0], wrap_lon(linked[1])
        else:
            row.problems.append(f"nadir {clean_text(link)[-40:]!r} is not a latitude and longitude")
    centre, shown = row.place("centre_lat", "centre_lon"), row.place("place_lat", "place_lon")
    if centre[0] is None and (text := row.cell("centre")):
        if (noted := parse_coordinates(text)) is not None:
            centre = round(noted[0], 6), round(wrap_lon(noted[1]), 6)
        else:
            row.problems.append(f"centre {text[:40]!r} is not a latitude and longitude")
    if "lat" in row.columns and "lon" in row.columns:
        unnamed = row.place("lat", "lon")
        if "center point" in row.cell("record_type").lower():
            centre = unnamed if centre[0] is None else centre
        elif shown[0] is None:
            shown = unnamed
    radius_km = row.number("radius_km", *SEEN_RANGE_KM)
    time_utc = row.time()
    altitude_km = row.number("altitude_km", 0.0, HEIGHT_RANGE_KM[1], zero=False)
    altitude_nmi = row.number("altitude_nmi", 0.0, 5_000.0, zero=False)
    if altitude_km is None and altitude_nmi is not None and nadir[0] is not None:
        altitude_km = archive_altitude_km(altitude_nmi, nadir[0])
    # A lens given by its name, such as 50mm f/1.4, is not a single number for the focal length
    has_lens = not row.cell("focal_mm") and parse_focal_mm(row.cell("lens")) is not None
    words = (clean_text(row.cell(name)) for name in ("place", "country"))
    # Of several lines the first; a code is replaced by its name
    camera = clean_text(re.split(r"[\r\n]|\\r|\\n", row.cell("camera"))[0])
    return FrameRecord(
        frame_id=frame_id,
        time_utc=time_utc,
        nadir_lat=nadir[0],
        nadir_lon=nadir[1],
        altitude_km=altitude_km,
        camera=CAMERAS.get(camera.upper(), camera),
        focal_mm=row.number("lens" if has_lens else "focal_mm", *FOCAL_RANGE_MM, zero=False),
        exposure_s=parse_exposure_s(row.cell("exposure")),
        aperture_f=parse_setting(row.cell("aperture"), "f/?"),
        iso=parse_setting(row.cell("iso"), "iso|hi"),
        centre_lat=centre[0],
        centre_lon=centre[1],
        radius_km=None if centre[0] is None else radius_km,
        place_lat=shown[0],
        place_lon=shown[1],
        place=", ".join(word for word in words if word),
        features=clean_text(row.cell("features")),
        caption=clean_text(row.cell("caption")),
        sun_azimuth_deg=row.number("sun_azimuth", 0.0, 360.0),
        sun_elevation_deg=row.number("sun_elevation", -90.0, 90.0),
        cloud_percent=row.number("clouds", 0.0, 100.0),
        record_type=clean_text(row.cell("record_type")),
        problems=tuple(row.problems),
        sources=(source,),
    )


def _parts(name: str) -> list[str]:
    """Return folders and name of a photo without ending and case."""
    parts = [part for part in re.split(r"[/\\]", name.casefold()) if part not in ("", ".", "..")]
    return [*parts[:-1], *(_PHOTO_EXTENSION.sub("", part) for part in parts[-1:])]


def merge_records(rows: Iterable[tuple[str, FrameRecord | None]]) -> FrameRecords:
    """Merge records of the same photo, see `merge`; each row comes with its position."""
    by_id: dict[str, FrameRecord] = {}
    problems: list[str] = []
    n_rows = n_unnamed = 0
    for place, record in rows:
        n_rows += 1
        if record is None:
            n_unnamed += 1
            continue
        known_problems: tuple[str, ...] = ()
        if (earlier := by_id.get(record.frame_id)) is not None:
            problems.append(f"{place}: {record.frame_id} is repeated; the first row counts")
            known_problems, record = earlier.problems, merge(earlier, record)
        problems += [f"{place}: {one}" for one in record.problems if one not in known_problems]
        by_id[record.frame_id] = record
    return FrameRecords(by_id=by_id, n_rows=n_rows, n_unnamed=n_unnamed, problems=tuple(problems))


def merge(first: FrameRecord, second: FrameRecord) -> FrameRecord:
    """Merge two records of the same photo: the second fills the gaps of the first.

    Values that are only meaningful together are taken from the record that has more of them.
    """
    given: dict[str, Any] = {}
    for group in (*_ALONE, *_GROUPS):
        lacks = [sum(getattr(one, name) in (None, "") for name in group) for one in (first, second)]
        if lacks[1] < lacks[0]:
            given |= {name: getattr(second, name) for name in group}
    conflicts = []
    who = "/".join(second.sources) or "another table"
    if first.time_utc is not None and second.time_utc is not None:
        apart_s = abs((first.time_utc - second.time_utc).total_seconds())
        if apart_s > OTHER_TIME_S:
            conflicts.append(f"{who} has the time {iso_utc(second.time_utc)}")
    if first.nadir is not None and second.nadir is not None:
        (lon, lat), (other_lon, other_lat) = first.nadir, second.nadir
        east = abs(lon - other_lon) % 360.0
        if max(abs(lat - other_lat), min(east, 360.0 - east)) > OTHER_NADIR_DEG:
            conflicts.append(f"{who} has the nadir {other_lat:g}, {other_lon:g}")
    if first.focal_mm and second.focal_mm:
        ratio = second.focal_mm / first.focal_mm
        if not 1.0 - OTHER_FOCAL <= ratio <= 1.0 + OTHER_FOCAL:
            conflicts.append(f"{who} has the focal length {second.focal_mm:g} mm")
    problems = dict.fromkeys((*first.problems, *second.problems, *conflicts))
    sources = dict.fromkeys((*first.sources, *second.sources))
    return replace(first, **given, problems=tuple(problems), sources=tuple(sources))


ENDINGS = (".csv", ".ndjson", ".jsonl")  # of tables that are written


def write_table(rows: Sequence[FrameRecord], out: Path) -> None:
    """Write a table atomically, in the format of its file name, one of `ENDINGS`.

    Raises StoreError if the file cannot be written.
    """
    text = format_csv(rows) if out.suffix.lower() == ".csv" else format_ndjson(rows)
    with replace_files((out,)) as (temporary,):
        temporary.write_text(text, encoding="utf-8", newline="")


def format_csv(rows: Sequence[FrameRecord]) -> str:
    """Format rows as CSV with a header, which ``register --metadata`` reads."""
    cells = (
        [cell(name, "; ".join(one) if name in LISTS else one) for name, one in record(row).items()]
        for row in rows
    )
    return "".join(f"{line}\n" for line in (*csv_lines([COLUMNS]), *csv_lines(cells)))


def format_ndjson(rows: Sequence[FrameRecord]) -> str:
    return "".join(json.dumps(record(row)) + "\n" for row in rows)


def record(row: FrameRecord) -> dict[str, Any]:
    """Convert a row to JSON values; empty texts are None."""
    values = {name: getattr(row, name) for name in COLUMNS}
    values["time_utc"] = None if row.time_utc is None else iso_utc(row.time_utc)
    values |= {name: list(values[name]) for name in LISTS}
    return {name: None if value == "" else value for name, value in values.items()}
