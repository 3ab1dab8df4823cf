"""One row of any table as what is known of its photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache

from regengine.archive.camera_codes import camera_name
from regengine.archive.cells import (
    UNKNOWN,
    clean_text,
    composed_id,
    id_in,
    linked_coordinates,
    parse_any_time,
    parse_coordinates,
    parse_lens,
)
from regengine.archive.headers import known_columns
from regengine.archive.row import FrameRow
from regengine.csv_cells import FORMULA_STARTS
from regengine.record_values import (
    archive_altitude_km,
    parse_aperture,
    parse_date_and_time,
    parse_exposure_s,
    parse_iso,
    parse_number,
    wrap_lon,
)

Cell = Callable[[str], str]


def interpret(
    by_heading: Mapping[str, str], *, source: str, mission: str | None = None
) -> FrameRow | None:
    """What a row tells of its photo.

    Parameters
    ----------
    by_heading : mapping of str to str
        The row's cells.
    source : str
        Name of the table.
    mission : str, optional
        Of photos that are named by their number alone.

    Returns
    -------
    FrameRow or None
        None where the row names no photo. A value that makes no sense is left out and named in
        ``problems``.
    """
    columns = _columns(tuple(by_heading))

    def cell(name: str) -> str:
        text = by_heading.get(columns.get(name, ""), "").split("\r\n")[0].split("\\r\\n")[0]
        text = _unquoted(text.strip())
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

    def place(name: str) -> tuple[float | None, float | None]:
        lat, lon = number(f"{name}_lat", -90.0, 90.0), number(f"{name}_lon", -180.0, 360.0)
        return (None, None) if lat is None or lon is None else (lat, wrap_lon(lon))

    nadir = place("nadir")
    if nadir[0] is None and (linked := linked_coordinates(cell("map_link"))) is not None:
        nadir = linked[0], wrap_lon(linked[1])
    centre, shown = place("centre"), place("place")
    if centre[0] is None and cell("centre"):
        told = parse_coordinates(cell("centre"))
        if told is not None:
            centre = round(told[0], 6), round(wrap_lon(told[1]), 6)
        else:
            problems.append(f"centre {cell('centre')[:40]!r} is no latitude and longitude")
    if "lat" in columns and "lon" in columns:
        bare_place = _bare_place(number)
        if "center point" in cell("record_type").lower():
            centre = bare_place if centre[0] is None else centre
        elif shown[0] is None:
            shown = bare_place
    focal_mm = parse_lens(cell("focal"))
    if focal_mm is not None and focal_mm > 5000.0:
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


def _unquoted(text: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text


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


def _bare_place(
    number: Callable[[str, float, float], float | None],
) -> tuple[float | None, float | None]:
    lat, lon = number("lat", -90.0, 90.0), number("lon", -180.0, 360.0)
    return (None, None) if lat is None or lon is None else (lat, wrap_lon(lon))


def _altitude_km(
    number: Callable[[str, float, float], float | None], nadir_lat: float | None
) -> float | None:
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
