"""One row of any table as what is known of its photo."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from urllib.parse import parse_qs, urlsplit

from detectors.constants import FOCAL_RANGE_MM
from regengine.archive.row import FrameRow
from regengine.io.tables import named
from regengine.io.times import parse_date_and_time, parse_iso_time
from regengine.photo.exif import parse_exif_time
from regengine.photo.frame_records import (
    archive_altitude_km,
    archive_frame_id,
    parse_aperture,
    parse_exposure_s,
    parse_iso,
    parse_number,
    wrap_lon,
)

LONGEST_TEXT = 2000  # characters of a caption
# Any mission, roll and frame: ISS030-E-184140, STS099-744-38, ISS006-370-12
_ANY_ID = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z]{2,4}\d{1,3}[A-Za-z]?)[-_ ]([A-Za-z0-9]{1,4})[-_ ](\d{1,7})(?!\d)"
)
_MISSION = re.compile(r"(?<![A-Z0-9])([A-Z]{2,4})(\d{1,3})([A-Z]?)(?![A-Z0-9])", re.IGNORECASE)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d)(?::(\d\d))?$")
_DECIMAL = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_PAIR = re.compile(rf"({_DECIMAL})\s*[,;]\s*({_DECIMAL})$")
_COMMA_PAIR = re.compile(r"([+-]?\d+,\d+)\s*[,;]\s*([+-]?\d+,\d+)$")
_ARCS = re.compile(
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([NS])[\s,;]*"
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([EWO])$"
)
_NAMED_PAIR = re.compile(r"Latitude:\s*([+-]?\d+(?:\.\d+)?)\D*?Longitude:\s*([+-]?\d+(?:\.\d+)?)")
_LENS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:mm)?$", re.IGNORECASE)
UNKNOWN = frozenset({"", "-", "--", "nan", "none", "null", "n/a", "¿?", "?", "unknown"})
# Cameras by the codes of the archive's database: the list in its search form
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
# Our name of a column, and how its heading is written as bare lower-case letters and digits. The
# first spelling that a table has counts. Tables of the archive's database are TABLE.FIELD.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "frame_id": ("frameid", "issid", "nasaid", "idiss", "imagesfilename", "filename", "photo"),
    "mission": ("mission",),
    "roll": ("roll",),
    "frame": ("frame",),
    "bare_id": ("id",),
    "time": ("timeutc", "datetimeutc", "datetime", "fechadate"),
    "gmt_date": ("gmtdate", "photodate", "pdate", "date"),
    "gmt_time": ("gmttime", "phototimegmt", "ptime", "hour"),
    "nadir_lat": ("nadirlat", "nlat", "framesnlat"),
    "nadir_lon": ("nadirlon", "nlon", "framesnlon"),
    "altitude_km": ("altitudekm",),
    "altitude_nmi": ("altitudenmi", "spacecraftaltitudenauticalmiles"),
    "camera": ("camera", "camerabody", "model", "camaramodel", "camerauncataloged"),
    "focal": ("focalmm", "lensmm", "focallengthmm", "fclt", "focal", "lens", "focalfocallength"),
    "exposure": ("exposures", "shutter", "exposure", "exp", "texposicionshutter"),
    "aperture": ("aperturef", "aperture", "f", "aperturaaperture"),
    "iso": ("iso",),
    "centre_lat": ("centrelat", "centerlat", "centerpointlat", "frameslat"),
    "centre_lon": ("centrelon", "centerlon", "centerpointlon", "frameslon"),
    "centre": ("coordenadasdelcentrodelaimagencentercordinates",),
    "place_lat": ("placelat", "citylat", "latcity", "citylat2", "mlcoordlat"),
    "place_lon": ("placelon", "citylon", "loncity", "citylon2", "mlcoordlon"),
    "lat": ("lat",),
    "lon": ("lon",),
    "place": ("place", "geon", "geographicname", "lugarplace", "city"),
    "country": ("paiscountry",),
    "features": ("features", "feat", "featuresidentifiedmanually"),
    "caption": ("caption", "captionscaption"),
    "sun_azimuth": ("sunazimuthdeg", "sunazimuth", "sunaz", "azi"),
    "sun_elevation": (
        "sunelevationdeg",
        "sunelevationangle",
        "sunel",
        "sunelv",
        "elev",
    ),
    "clouds": ("cloudpercent", "cloudspercentage", "cloudspct", "cldp"),
    "record_type": ("recordtype",),
    "map_link": ("coordimage",),
}
# Fields of the archive's database whose meaning depends on their table
TABLE_FIELDS: Mapping[str, str] = {
    "nadir.lat": "nadirlat",
    "nadir.lon": "nadirlon",
    "frames.lat": "frameslat",
    "frames.lon": "frameslon",
    "mlcoord.lat": "mlcoordlat",
    "mlcoord.lon": "mlcoordlon",
}
_TABLES = "frames|nadir|images|camera|captions|mlfeat|mlcoord|publicfeatures"
_FIELD = re.compile(rf"(?:{_TABLES})[.|](\w+)", re.IGNORECASE)

Cell = Callable[[str], str]
Number = Callable[[str, float, float], float | None]


def interpret(
    by_heading: Mapping[str, str], *, source: str, mission: str | None = None
) -> FrameRow | None:
    """What a row tells of its photo."""
    columns = _columns(tuple(by_heading))

    def cell(name: str) -> str:
        text = by_heading.get(columns.get(name, ""), "").split("\r\n")[0].split("\\r\\n")[0]
        text = named(text.strip())
        return "" if text.lower() in UNKNOWN else text

    frame_id = _frame_id(cell, by_heading, mission)
    if frame_id is None:
        return None
    problems: list[str] = []

    def number(name: str, low: float, high: float) -> float | None:
        text = cell(name)
        value = parse_number(text)
        if value is not None and low <= value <= high:
            return value
        if text:
            problems.append(f"{name} {text[:40]!r} is no number from {low:g} to {high:g}")
        return None

    def place(lat_name: str, lon_name: str) -> tuple[float | None, float | None]:
        lat, lon = number(lat_name, -90.0, 90.0), number(lon_name, -180.0, 360.0)
        return (None, None) if lat is None or lon is None else (lat, wrap_lon(lon))

    nadir = place("nadir_lat", "nadir_lon")
    if nadir[0] is None and (link := cell("map_link")):
        if (linked := linked_coordinates(link)) is not None:
            nadir = linked[0], wrap_lon(linked[1])
        elif "MapCoordinate" in link:
            problems.append(f"nadir {clean_text(link)[-40:]!r} is no latitude and longitude")
    centre, shown = place("centre_lat", "centre_lon"), place("place_lat", "place_lon")
    if centre[0] is None and cell("centre"):
        told = parse_coordinates(cell("centre"))
        if told is not None:
            centre = round(told[0], 6), round(wrap_lon(told[1]), 6)
        else:
            problems.append(f"centre {cell('centre')[:40]!r} is no latitude and longitude")
    if "lat" in columns and "lon" in columns:
        bare_place = place("lat", "lon")
        if "center point" in cell("record_type").lower():
            centre = bare_place if centre[0] is None else centre
        elif shown[0] is None:
            shown = bare_place
    focal_mm = parse_lens(cell("focal"))
    if focal_mm is not None and not FOCAL_RANGE_MM[0] <= focal_mm <= FOCAL_RANGE_MM[1]:
        problems.append(f"focal length {cell('focal')!r} is none")
        focal_mm = None
    words = (clean_text(cell(name)) for name in ("place", "country"))
    return FrameRow(
        frame_id=frame_id,
        time_utc=_time(cell, problems),
        nadir_lat=nadir[0],
        nadir_lon=nadir[1],
        altitude_km=_altitude_km(number, nadir[0]),
        camera=camera_name(clean_text(cell("camera"))),
        focal_mm=focal_mm,
        exposure_s=parse_exposure_s(cell("exposure")),
        aperture_f=parse_aperture(cell("aperture")),
        iso=parse_iso(cell("iso")),
        centre_lat=centre[0],
        centre_lon=centre[1],
        place_lat=shown[0],
        place_lon=shown[1],
        place=", ".join(word for word in words if word),
        features=clean_text(cell("features")),
        caption=clean_text(cell("caption")),
        sun_azimuth_deg=number("sun_azimuth", 0.0, 360.0),
        sun_elevation_deg=number("sun_elevation", -90.0, 90.0),
        cloud_percent=number("clouds", 0.0, 100.0),
        record_type=clean_text(cell("record_type")),
        problems=tuple(problems),
        sources=(source,),
    )


@cache
def _columns(headings: tuple[str, ...]) -> dict[str, str]:
    columns = known_columns(headings)
    if not columns.keys() & {"frame_id", "bare_id", "frame"} and "#0" in headings:
        columns["frame_id"] = "#0"  # a column of ids without a heading
    return columns


def _frame_id(cell: Cell, by_heading: Mapping[str, str], mission: str | None) -> str | None:
    """Id by its parts, its column, a link, or the number and the table's mission."""
    found = composed_id(cell("mission"), cell("roll") or "E", cell("frame"))
    texts = (cell("frame_id"), cell("frame"), cell("bare_id"))
    for text in texts if found is None else ():
        found = found or (id_in(text) if text else None)
    if found is None:
        told = (id_in(value) for value in by_heading.values() if "/" in value or "-" in value)
        found = next((one for one in told if one is not None), None)
    if found is None and mission is not None:
        numbers = (composed_id(mission, "E", text) for text in texts)
        found = next((one for one in numbers if one is not None), None)
    return found


def _altitude_km(number: Number, nadir_lat: float | None) -> float | None:
    altitude_km = number("altitude_km", 0.0, 10_000.0)
    altitude_nmi = number("altitude_nmi", 0.0, 5_000.0)
    if altitude_km is None and altitude_nmi and nadir_lat is not None:
        altitude_km = round(archive_altitude_km(altitude_nmi, nadir_lat), 3)
    return altitude_km or None  # the archive writes 0 for "not known"


def _time(cell: Cell, problems: list[str]) -> datetime | None:
    text = cell("time")
    time = parse_any_time(text) if text else None
    if time is None and cell("gmt_date") and cell("gmt_time"):
        text = f"{cell('gmt_date')} {cell('gmt_time')}"
        time = parse_date_and_time(cell("gmt_date"), cell("gmt_time")) or parse_any_time(text)
    if time is None and text:
        problems.append(f"{clean_text(text)[:40]!r} is no time, or leaves day and month open")
    return time


def clean_text(text: str) -> str:
    """Text on one line, of bounded length, without marks that command a terminal."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.split())[:LONGEST_TEXT]


def composed_id(mission: str, roll: str, frame: str) -> str | None:
    """Archive id out of its three parts, as the archive writes it."""
    found = _MISSION.fullmatch(mission.strip())
    number, roll = frame.strip(), roll.strip().upper()
    if found is None or not re.fullmatch(r"[A-Z0-9]{1,4}", roll) or not number.isdecimal():
        return None
    if not number.isascii() or len(number) > 7:
        return None
    return f"{found[1].upper()}{int(found[2]):03d}{found[3].upper()}-{roll}-{int(number)}"


def id_in(text: str) -> str | None:
    """Archive id that a text holds, in a name or a link to the archive's pages or pictures."""
    if "=" in text and "?" in text:
        asked = _asked(text)
        parts = [asked.get(name, [""])[0] for name in ("mission", "roll", "frame")]
        if (found := composed_id(*parts)) is not None:
            return found
    if (of_station := archive_frame_id(text)) is not None:
        return of_station
    other = _ANY_ID.search(text)
    return None if other is None else composed_id(*other.groups())


def mission_in(text: str) -> str | None:
    """Mission that a file's name tells, such as ``ISS030`` in ``City_ISS030.txt``."""
    found = re.search(r"(?<![A-Za-z0-9])ISS(\d{1,3})(?!\d)", text.replace("_", " "), re.IGNORECASE)
    return None if found is None else f"ISS{int(found[1]):03d}"


def parse_any_time(text: str) -> datetime | None:
    """Time in UTC out of ISO 8601, EXIF's form, or ``1/30/2008 22:42:27``.

    Of the last, day and month must be told apart by their size; where both may be a month, and
    differ, there is no time.
    """
    text = text.strip()
    found = _SLASHED.match(text)
    if found is None:
        naive = parse_exif_time(text)
        if naive is not None and len(text) <= 19:
            return naive.replace(tzinfo=UTC)
        return parse_iso_time(text) if len(text) > 10 else None
    first, second, year, *clock = (int(part or 0) for part in found.groups())
    if first <= 12 and second <= 12 and first != second:
        return None
    month, day = (first, second) if first <= 12 else (second, first)
    hour, minute, seconds = (f"{part:02}" for part in clock)
    return parse_iso_time(f"{year}-{month:02}-{day:02}T{hour}:{minute}:{seconds}")


def parse_coordinates(text: str) -> tuple[float, float] | None:
    """Latitude and longitude out of the forms in which people note them."""
    text = text.strip()
    if (arcs := _ARCS.match(text)) is not None:
        parts = arcs.groups()
        lat, lon = _degrees(parts[:4]), _degrees(parts[4:])
    else:
        found = _COMMA_PAIR.match(text) or _PAIR.match(text) or _NAMED_PAIR.search(text)
        if found is None:
            return None
        lat, lon = (float(part.replace(",", ".")) for part in found.groups())
    return (lat, lon) if abs(lat) <= 90.0 and abs(lon) <= 360.0 else None


def _degrees(parts: tuple[str, ...]) -> float:
    """Degrees, minutes, seconds and a letter as degrees; O is a Spanish west."""
    whole = int(parts[0]) + int(parts[1]) / 60.0 + float(parts[2]) / 3600.0
    return -whole if parts[3] in "SWO" else whole


def parse_lens(text: str) -> float | None:
    """Focal length in millimetres out of ``85``, ``24.0 mm``; None for ``Length:`` and ``0``."""
    found = _LENS.match(text.strip())
    return (parse_number(found[1]) or None) if found else None


def linked_coordinates(text: str) -> tuple[float, float] | None:
    """Latitude and longitude that a link to the archive's map of a photo's nadir carries."""
    if "MapCoordinate" not in text:
        return None
    asked = _asked(text)
    return parse_coordinates(",".join(asked.get(name, [""])[0] for name in ("lat", "lon")))


def _asked(link: str) -> dict[str, list[str]]:
    """What a link asks for; nothing where it is no link."""
    try:
        return parse_qs(urlsplit(link.strip()).query, max_num_fields=20, errors="replace")
    except ValueError:
        return {}


def camera_name(text: str) -> str:
    """Name of a camera; a text that is no code is a name already."""
    return CAMERAS.get(text.strip().upper(), text)


def bare(heading: str) -> str:
    """A heading as lower-case ASCII letters and digits, without accents and marks."""
    text = TABLE_FIELDS.get(heading.lower().replace("|", "."))
    if text is None:
        field = _FIELD.fullmatch(heading.strip())
        text = field[1] if field else heading
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def known_columns(headings: Iterable[str]) -> dict[str, str]:
    """Which of a table's headings holds each value that we know."""
    written: dict[str, str] = {}
    for heading in headings:
        written.setdefault(bare(heading), heading)
    found = {}
    for name, spellings in SPELLINGS.items():
        for spelling in spellings:
            if spelling in written:
                found[name] = written[spelling]
                break
    return found
