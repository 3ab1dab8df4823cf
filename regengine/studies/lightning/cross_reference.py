"""Match flashes of registered photos with pulses of GLM or ISS-LIS, by time-lapse."""

from __future__ import annotations

import csv
import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from regengine.errors import ConfigError, LightningError
from regengine.export.formats import explain_lacking
from regengine.export.formats.sql import read_photo_exif
from regengine.frames.select import Chosen
from regengine.io.plain import format_count, make_printable, round_or_none
from regengine.io.tables import cell, read_csv, read_text, split_lines, unquote_name, write_csv
from regengine.io.times import parse_iso_time
from regengine.photo.formats import check_pixels
from regengine.photo.notations import frame_id_of
from regengine.studies.lightning import match
from regengine.studies.lightning.pulses import PulseSeries, seconds_since_j2000, stamp


@dataclass(frozen=True, kw_only=True)
class PhotoFlash:
    """A flash in a photo, pixels of the image as stored.

    ``photo`` is the path of the photo, or its frame id; ``sha256`` is empty if not given.
    """

    photo: str
    sha256: str
    x: float
    y: float
    exposure_s: float | None = None


def read_flashes(path: Path) -> list[PhotoFlash]:
    """Read detections: NDJSON of ``regengine detect``, or CSV with path (frame), x, y.

    If a photo has several lines, the last is used. LightningError if the file is neither, or
    contains other detections than flashes.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        raise LightningError(f"{path} cannot be read ({error}): give a file of flashes.") from error
    rows: list[tuple[int, Mapping[str, Any]]] = []
    if text.lstrip()[:1] == "{":
        photos: dict[object, list[tuple[int, Mapping[str, Any]]]] = {}
        for number, line in enumerate(split_lines(text), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                found: Any = record.get("lightning", record.get("flashes"))
                if found is not None or "failed" not in record:
                    photos[record.get("sha256") or record.get("path")] = [
                        (number, {**record, **flash}) for flash in found
                    ]
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise LightningError(
                    f"{path}, line {number}: no flashes of a photo; give a file written by "
                    "regengine detect lightning."
                ) from error
        rows = [row for several in photos.values() for row in several]
    else:
        try:
            (_, header), *lines = [*read_csv(text, _name_column)] or [(1, [])]
        except csv.Error as error:
            raise LightningError(
                f"{path} is not a table of flashes ({error}); its columns are path, x, y."
            ) from error
        names = [*map(_name_column, header)]
        rows = [(n, dict(zip(names, cells, strict=False))) for n, cells in lines if any(cells)]
    flashes = []
    for number, row in rows:
        try:
            photo = unquote_name(str(row.get("path") or row.get("frame") or ""))
            x, y = float(row["x"]), float(row["y"])
            exposure = row.get("exposure_s")
            exposure_s = None if exposure in (None, "") else float(exposure)
        except (KeyError, TypeError, ValueError):
            photo, x, y, exposure_s = "", math.nan, math.nan, None
        if not photo or not math.isfinite(x + y):
            raise LightningError(
                f"{path}, line {number}: a flash needs the path of its photo, x and y; give the "
                "output of regengine detect, or a table with the columns path, x, y."
            )
        sha256 = str(row.get("sha256") or "")
        flashes.append(PhotoFlash(photo=photo, sha256=sha256, x=x, y=y, exposure_s=exposure_s))
    return flashes


def _name_column(heading: str) -> str:
    name = heading.strip().lower()
    return name if name in ("path", "frame", "sha256", "x", "y", "exposure_s") else ""


UNKNOWN_EXPOSURE_S = 1.0  # frames with flashes and cities are not exposed for much longer
# Columns of the table, and their decimals if rounded
COLUMNS = {
    "frame": None, "path": None, "flash": None, "x": 3, "y": 3, "time_utc": None,
    "begun_utc": None, "exposure_s": 5,
    "lon": 5, "lat": 5, "cloud_height_km": 3, "storm": None, "instrument": None, "status": None,
    "distance_km": 3, "time_off_s": 4, "chance": 6, "east_km": 3, "north_km": 3,
    "offset_east_km": 3, "offset_north_km": 3, "pulse_time_utc": None, "pulse_lon": 5,
    "pulse_lat": 5, "pulse_area_km2": 1, "pulse_flash": None, "clock_offset_s": 3,
    "clock_sigma_s": 3,
}  # fmt: skip
# What is told of a clock, and its decimals
OF_CLOCK = {
    "offset_s": 3, "sigma_s": 3, "margin": 2, "log10_chance": 2, "flashes": 0, "matched": 0,
    "east_km": 2, "north_km": 2,
}  # fmt: skip
# Columns with the same names in matches
MATCHED = (
    *("distance_km", "time_off_s", "chance", "east_km", "north_km"),
    *("offset_east_km", "offset_north_km"),
)


@dataclass(frozen=True, kw_only=True)
class CrossParams:
    """Parameters of the comparison."""

    cloud_height_m: float
    exposure_s: float | None = None  # overrides the photos' values
    clock_sigma_s: float = 1.0  # of a clock that flashes do not determine
    clock_window_s: float = 130.0  # largest error of the clock
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PlacedFrame:
    """A frame with a camera and a time; seconds of UTC since 2000-01-01 12:00."""

    frame: str
    path: str
    body: str
    camera: Camera
    time_s: float
    exposure_s: float | None
    flashes: tuple[PhotoFlash, ...]


def cross_reference(
    chosen: Chosen, flashes: list[PhotoFlash], series: PulseSeries, params: CrossParams
) -> tuple[list[dict[str, Any]], Counter[str], list[str]]:
    """Compare the flashes of chosen frames with pulses.

    Frames of one camera within a minute of each other are one time-lapse, for which the clock
    offset is determined. Returns plain values of each time-lapse, its ``flashes`` with a value for
    each of `COLUMNS`; the number of excluded photos by reason; and warnings. LightningError if no
    flash can be compared.
    """
    doubts = list(series.doubts)
    frames, left_out = place_frames(chosen, flashes, params)
    if not any(frame.flashes for frame in frames):
        why = ", ".join(f"{format_count(n, 'photo')} {what}" for what, n in left_out.items())
        raise LightningError(
            f"{chosen.store}: none of the {format_count(len(flashes), 'flash', 'flashes')} is in "
            f"a placed frame{f' ({why})' if why else ''}: give flashes of placed photos."
        )
    covered_s = match.merge(series.spans_s)
    reach_s = params.clock_window_s
    times_s = np.array([frame.time_s for frame in frames if frame.flashes])
    if not np.any(
        match.measure(covered_s, times_s + reach_s) > match.measure(covered_s, times_s - reach_s)
    ):
        raise LightningError(
            f"the files of {series.instrument} ({stamp(covered_s[0, 0], 'seconds')} to "
            f"{stamp(covered_s[-1, 1], 'seconds')}) do not cover the photos' time ("
            f"{stamp(times_s.min(), 'seconds')} to {stamp(times_s.max(), 'seconds')}, "
            f"{reach_s:g} s either way): get files of these minutes."
        )
    if any(frame.flashes and frame.exposure_s is None for frame in frames):
        doubts.append(
            f"some photos have no exposure time; {UNKNOWN_EXPOSURE_S:g} s is assumed: give "
            "--exposure-s."
        )
    # Each camera's frames in order of time, split at gaps of a minute
    lapses: list[list[PlacedFrame]] = []
    for frame in sorted(frames, key=lambda one: (one.body, one.time_s, one.path)):
        before = lapses[-1][-1] if lapses else None
        if before is None or before.body != frame.body or frame.time_s - before.time_s > 60.0:
            lapses.append([])
        lapses[-1].append(frame)
    compared = []
    for lapse in lapses:
        if any(frame.flashes for frame in lapse):
            compared.append(compare_lapse(lapse, series, covered_s, params, doubts))
    return compared, left_out, doubts


def place_frames(
    chosen: Chosen, flashes: list[PhotoFlash], params: CrossParams
) -> tuple[list[PlacedFrame], Counter[str]]:
    """Chosen frames that have a camera and a time, with their flashes; how many have not, and why.

    Photos are matched by hash, else by path, frame id or name: folders may differ between runs.
    LightningError if a flash is outside of its photo.
    """
    by_photo: defaultdict[str, list[PhotoFlash]] = defaultdict(list)
    for flash in flashes:
        by_photo[flash.sha256 or flash.photo].append(flash)
    by_name = {_name(one.photo): one.photo for one in flashes if not one.sha256}
    frames, left_out = [], Counter[str]()
    for frame in chosen.frames():
        result = frame.result
        keys = (result.sha256, result.path, result.frame, by_name.get(_name(result.path), ""))
        own = next((by_photo.pop(key) for key in keys if key and key in by_photo), [])
        if own and result.width_px and result.height_px:
            try:
                check_pixels(((one.x, one.y) for one in own), result.width_px, result.height_px)
            except ConfigError as error:
                raise LightningError(
                    f"the flashes do not fit {result.frame} ({error}): check columns and units, "
                    "and that they are of this photo."
                ) from error
        time_utc = parse_iso_time(result.time_utc or "")
        if frame.camera is None or time_utc is None:
            if own:
                left_out[f"with {explain_lacking(frame, 'camera') or 'no time'}"] += 1
            continue
        given_s = [flash.exposure_s for flash in own if flash.exposure_s]
        exposure_s = params.exposure_s or (given_s[0] if given_s else None)
        frames.append(
            PlacedFrame(
                frame=result.frame,
                path=result.path,
                body=result.camera_body or "",
                camera=frame.camera,
                time_s=seconds_since_j2000(time_utc),
                exposure_s=exposure_s or (read_photo_exif(frame.photo).exposure_s if own else None),
                flashes=tuple(own),
            )
        )
    if by_photo:
        left_out["not among the chosen frames of the store"] += len(by_photo)
    return frames, left_out


def _name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


def compare_lapse(
    lapse: list[PlacedFrame],
    series: PulseSeries,
    covered_s: FloatArray,
    params: CrossParams,
    doubts: list[str],
) -> dict[str, Any]:
    """Determine the clock offset of a time-lapse, match its flashes, and return plain values."""
    given_s = np.array([frame.time_s for frame in lapse])
    # Numbers at the end of file names, if they increase with time
    runs = [re.findall(r"\d+", frame_id_of(Path(frame.path))) for frame in lapse]
    numbers = np.array([float(found[-1]) if found else np.nan for found in runs])
    numbers = numbers if np.all(np.diff(numbers) > 0.0) else np.zeros(len(lapse))
    begun_s, frame_sigma_s = match.restore_fractions(given_s, numbers)
    flashes = [(k, n, flash) for k, one in enumerate(lapse) for n, flash in enumerate(one.flashes)]
    which = np.array([k for k, _, _ in flashes])
    exposure_s = np.array([one.exposure_s or UNKNOWN_EXPOSURE_S for one in lapse])
    height_m = params.cloud_height_m
    place = np.array([lapse[k].camera.pixel_to_ecef(f.x, f.y, height_m) for k, _, f in flashes])
    on_cloud = np.isfinite(place).all(axis=1)  # others are in the sky
    seen = match.Sightings(
        start_s=begun_s[which], end_s=(begun_s + exposure_s)[which], position_ecef_m=place
    ).select(on_cloud)

    # The width of the timing jitter: for truncated seconds, half a second on either side
    slack_s = max(0.03, 1.75 * frame_sigma_s)
    clock = match.find_clock(
        seen, begun_s, series.pulses, slack_s, params.clock_window_s, params.seed
    )
    offset_s, sigma_s = 0.0, params.clock_sigma_s
    if clock is not None:
        reach_s = params.clock_window_s
        first, last = seen.start_s - reach_s, seen.end_s + reach_s
        share = np.mean(
            (match.measure(covered_s, last) - match.measure(covered_s, first)) / (last - first)
        )
        if share < 0.95:
            doubts.append(
                f"{lapse[0].frame}: the files of {series.instrument} cover {100 * share:.0f} % of "
                f"the {reach_s:g} s before and after its flashes; clock offsets outside them are "
                "not compared."
            )
        if clock.is_sure:
            offset_s, sigma_s = clock.offset_s, clock.sigma_s
    seen = replace(seen, start_s=seen.start_s + offset_s, end_s=seen.end_s + offset_s)
    found = match.match(seen, series, 3.0 * float(np.hypot(sigma_s, frame_sigma_s)))

    lon, lat, _ = ecef_to_geodetic(seen.position_ecef_m)
    pulses = series.pulses
    pulse_lon, pulse_lat, _ = ecef_to_geodetic(pulses.position_ecef_m)
    rows = []
    of_seen = np.cumsum(on_cloud) - 1
    for number, is_on_cloud, (k, n, flash) in zip(of_seen, on_cloud, flashes, strict=True):
        row: dict[str, Any] = dict.fromkeys(COLUMNS) | {
            "frame": lapse[k].frame,
            "path": lapse[k].path,
            "flash": n,
            "x": flash.x,
            "y": flash.y,
            "time_utc": stamp(given_s[k]),
            "begun_utc": stamp(begun_s[k] + offset_s),
            "exposure_s": lapse[k].exposure_s,
            "cloud_height_km": height_m / 1e3,
            "instrument": series.instrument,
            "status": "sky",
        }
        if clock is not None and clock.is_sure:
            row |= {"clock_offset_s": clock.offset_s, "clock_sigma_s": clock.sigma_s}
        if is_on_cloud:
            row |= {
                "lon": float(lon[number]),
                "lat": float(lat[number]),
                "storm": int(found.storm[number]),
                "status": "unmatched" if found.covered[number] else "not covered",
            }
        if is_on_cloud and (pulse := int(found.pulse[number])) >= 0:
            row |= {name: float(getattr(found, name)[number]) for name in MATCHED} | {
                "status": "matched",
                "pulse_time_utc": stamp(pulses.time_s[pulse]),
                "pulse_lon": float(pulse_lon[pulse]),
                "pulse_lat": float(pulse_lat[pulse]),
                "pulse_area_km2": float(pulses.area_km2[pulse]),
                "pulse_flash": int(pulses.flash[pulse]),
            }
        for name, digits in COLUMNS.items():
            if digits is not None:
                kept = round_or_none(row[name], digits)
                row[name] = kept if kept is None else kept + 0.0  # no negative zero
        rows.append(row)
    return {
        "camera_body": lapse[0].body or None,
        "first_frame": lapse[0].frame,
        "last_frame": lapse[-1].frame,
        "frames": len(lapse),
        "clock": None if clock is None else describe_clock(clock, lapse[0], begun_s[0]),
        "flashes": rows,
    }


def describe_clock(clock: match.Clock, first: PlacedFrame, begun_s: float) -> dict[str, Any]:
    """Description of a clock with a message, and a reason code if it is wrong."""
    offset = f"{clock.offset_s:+.2f} ± {clock.sigma_s:.2f} s"
    flashes = format_count(clock.flashes, "flash", "flashes")
    begun_utc = None
    code = None
    if not clock.is_sure:
        text = (
            f"the pattern of {flashes} does not determine the clock (margin "
            f"{clock.margin:.1f}): give more flashes, or more files"
        )
    else:
        begun_utc = stamp(begun_s + clock.offset_s, "milliseconds")
        suspect = abs(clock.offset_s) > 1.0 + 3.0 * clock.sigma_s  # clock offsets are whole seconds
        code = "clock_suspect" if suspect else None
        text = (
            f"the pattern of {flashes} fits {offset} from the given times (margin "
            f"{clock.margin:.1f}, chance 1e{clock.log10_chance:.0f}); {first.frame}, at "
            f"{stamp(first.time_s, 'seconds')} by its clock, began at {begun_utc}"
        )
        text += ": check the clock" if suspect else ": the clock is right"
    return {
        "code": code,
        "text": text,
        "is_sure": bool(clock.is_sure),
        "begun_utc": begun_utc,
    } | {name: round_or_none(getattr(clock, name), digits) for name, digits in OF_CLOCK.items()}


ENDINGS = (".csv", ".gpkg")


def to_cells(row: dict[str, Any]) -> list[object]:
    return [cell(name, _text(row[name])) for name in COLUMNS]


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows to a new file: GeoPackage, or CSV by the ending of its name."""
    if path.suffix.lower() == ".csv":
        write_csv(path, COLUMNS, map(to_cells, rows))
        return
    import geopandas as gpd
    import pandas as pd
    from shapely import Point

    table = pd.DataFrame({name: [_text(row[name]) for row in rows] for name in COLUMNS})
    kinds = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys(
        ("frame", "path", "time_utc", "begun_utc", "instrument", "status", "pulse_time_utc"), object
    )
    table = table.astype(kinds | dict.fromkeys(("flash", "storm", "pulse_flash"), "Int64"))
    places = [None if row["lon"] is None else Point(row["lon"], row["lat"]) for row in rows]
    layer = gpd.GeoDataFrame(table, geometry=places, crs="EPSG:4326")
    with TemporaryDirectory() as folder:
        file = Path(folder, "flashes.gpkg")
        layer.to_file(file, driver="GPKG", layer="flashes", engine="pyogrio")
        # Fixed time, so that equal tables have equal bytes
        with closing(sqlite3.connect(file)) as base, base:
            base.execute("UPDATE gpkg_contents SET last_change = '1970-01-01T00:00:00.000Z'")
        copyfile(file, path)


def _text(value: Any) -> Any:
    return make_printable(value) if isinstance(value, str) else value
