"""What an archive or its users know of one photo, from however many tables, and a table of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError
from regengine.io.atomic import in_place_of
from regengine.io.extras import missing
from regengine.io.tables import cell, csv_lines
from regengine.io.times import iso_utc

# From where on two tables contradict each other. Clocks of cameras are off by up to half a minute;
# nadirs are printed to 0.1 degrees, and drift by up to 180 km on some days.
OTHER_TIME_S = 60.0
OTHER_NADIR_DEG = 2.0
OTHER_FOCAL = 0.05
ENDINGS = (".csv", ".ndjson", ".jsonl", ".parquet")
_TEXTS = ("frame_id", "camera", "place", "features", "caption", "record_type")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRow:
    """One photo; None or empty where nobody tells."""

    frame_id: str  # as the archive writes it, ``ISS030-E-184140``
    time_utc: datetime | None = None  # aware, UTC
    # nadir_lat, nadir_lon, centre_lat, centre_lon, place_lat, place_lon: degrees, geodetic: below
    # the station; where people put the picture's centre; what the table says the photo shows, such
    # as a city, or a position of which it does not say what it is.
    nadir_lat: float | None = None
    nadir_lon: float | None = None
    altitude_km: float | None = None  # above WGS84
    camera: str = ""  # body, with its serial number where the table has it
    focal_mm: float | None = None
    exposure_s: float | None = None
    aperture_f: float | None = None
    iso: float | None = None
    centre_lat: float | None = None
    centre_lon: float | None = None
    place_lat: float | None = None
    place_lon: float | None = None
    place: str = ""
    features: str = ""
    caption: str = ""
    # sun_azimuth_deg, sun_elevation_deg: at the nadir.
    sun_azimuth_deg: float | None = None
    sun_elevation_deg: float | None = None
    cloud_percent: float | None = None  # as people estimated it
    record_type: str = ""  # the archive's word for how far the photo is catalogued
    # A sentence for each value that is left out, or that tables disagree on.
    problems: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()  # names of the files or tables that tell of it


LISTS = ("problems", "sources")
COLUMNS = tuple(field.name for field in fields(FrameRow))
# Values that only make sense together
PAIRS = (("nadir_lat", "nadir_lon"), ("centre_lat", "centre_lon"), ("place_lat", "place_lon"))
_ALONE = tuple(
    name
    for name in COLUMNS
    if name != "frame_id" and name not in LISTS and all(name not in pair for pair in PAIRS)
)


def merged(first: FrameRow, second: FrameRow) -> FrameRow:
    """One row out of two of the same photo."""
    given = {name: getattr(second, name) for name in _ALONE if _lacks(first, name)}
    for pair in PAIRS:
        if any(_lacks(first, name) for name in pair):
            given |= {name: getattr(second, name) for name in pair}
    told = dict.fromkeys((*first.problems, *second.problems, *_contradictions(first, second)))
    sources = dict.fromkeys((*first.sources, *second.sources))
    return replace(first, **given, problems=tuple(told), sources=tuple(sources))


def _lacks(row: FrameRow, name: str) -> bool:
    return getattr(row, name) in (None, "")


def _contradictions(first: FrameRow, second: FrameRow) -> list[str]:
    found = []
    who = "/".join(second.sources) or "another table"
    if first.time_utc is not None and second.time_utc is not None:
        apart_s = abs((first.time_utc - second.time_utc).total_seconds())
        if apart_s > OTHER_TIME_S:
            found.append(f"{who} has the time {second.time_utc:%Y-%m-%dT%H:%M:%SZ}")
    if (
        first.nadir_lat is not None
        and first.nadir_lon is not None
        and second.nadir_lat is not None
        and second.nadir_lon is not None
    ):
        east = abs(first.nadir_lon - second.nadir_lon) % 360.0
        apart_deg = max(abs(first.nadir_lat - second.nadir_lat), min(east, 360.0 - east))
        if apart_deg > OTHER_NADIR_DEG:
            found.append(f"{who} has the nadir {second.nadir_lat:g}, {second.nadir_lon:g}")
    if first.focal_mm and second.focal_mm:
        ratio = second.focal_mm / first.focal_mm
        if not 1.0 - OTHER_FOCAL <= ratio <= 1.0 + OTHER_FOCAL:
            found.append(f"{who} has the focal length {second.focal_mm:g} mm")
    return found


def check_table(out: Path, force: bool) -> None:
    """See to it that a table can be written, before anything is asked for; ConfigError if not."""
    if out.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--out {out}: the name of a table ends in {', '.join(ENDINGS)}.")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out} cannot be written: name a file in a folder that exists.")
    if (out.exists() or out.is_symlink()) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")
    if out.suffix.lower() == ".parquet":
        _arrow()


def write_table(rows: Sequence[FrameRow], out: Path) -> None:
    """Write a table whole or not at all, in the format that its name ends in, see `check_table`.

    ConfigError if pyarrow is missing for Parquet; StoreError if the file cannot be written.
    """
    ending = out.suffix.lower()
    with in_place_of((out,)) as (temporary,):
        if ending == ".parquet":
            _write_parquet(rows, temporary)
        else:
            text = csv_text(rows) if ending == ".csv" else ndjson_text(rows)
            temporary.write_text(text, encoding="utf-8", newline="")


def csv_text(rows: Sequence[FrameRow]) -> str:
    """Rows as CSV with a header; ``register --metadata`` reads it."""
    cells = ([_cell(*one) for one in record(row).items()] for row in rows)
    return "".join(f"{line}\n" for line in (*csv_lines([COLUMNS]), *csv_lines(cells)))


def ndjson_text(rows: Sequence[FrameRow]) -> str:
    """Rows as a JSON object a line; what nobody tells is null."""
    return "".join(json.dumps(record(row)) + "\n" for row in rows)


def record(row: FrameRow) -> dict[str, Any]:
    """A row as values that JSON has; empty texts are None."""
    return {name: _plain(getattr(row, name)) for name in COLUMNS}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_utc(value)
    if isinstance(value, tuple):
        return list(value)
    return None if value == "" else value


def _cell(name: str, value: Any) -> object:
    return cell(name, "; ".join(value) if name in LISTS else value)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise missing("Parquet", error, instead="take .csv or .ndjson") from error
    return pyarrow


def _write_parquet(rows: Sequence[FrameRow], path: Path) -> None:
    pa = _arrow()
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name == "time_utc":
            return pa.timestamp("us", tz="UTC")
        if name in LISTS:
            return pa.list_(pa.string())
        return pa.string() if name in _TEXTS else pa.float64()

    schema = pa.schema([pa.field(name, kind(name)) for name in COLUMNS])
    columns = {
        name: [
            value if name == "time_utc" else _plain(value)
            for value in (getattr(row, name) for row in rows)
        ]
        for name in COLUMNS
    }
    parquet.write_table(pa.Table.from_pydict(columns, schema=schema), path, compression="zstd")
