"""The plan as a table and as a layer of a map."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from regengine.collection.tasking.plan import FrameOfPlace, Plan, Wanted
from regengine.io.html import visible_text
from regengine.io.tables import cell, write_csv
from regengine.orbit.rotation import utc_of

ENDINGS = (".csv", ".geojson", ".json")
Value = Callable[[Plan, int], Any]


def _seen(name: str, digits: int) -> Value:
    return lambda plan, row: _rounded(getattr(plan.passes, name)[row], digits)


def _over(name: str, digits: int) -> Value:
    return lambda plan, row: _rounded(getattr(plan.over, name)[row], digits)


def _of_plan(name: str, digits: int) -> Value:
    return lambda plan, row: _rounded(getattr(plan, name)[row], digits)


def _of_place(value: Callable[[Wanted], Any]) -> Value:
    return lambda plan, row: value(plan.wanted[plan.passes.place[row]])


def _of_best(value: Callable[[FrameOfPlace], Any]) -> Value:
    return _of_place(lambda one: None if one.best is None else value(one.best))


def _side(plan: Plan, row: int) -> str:
    """On which side of the ground track the place lies."""
    turn_deg = (plan.passes.azimuth_deg[row] - plan.passes.heading_deg[row]) % 360.0
    return "right" if turn_deg < 180.0 else "left"


# Of a plan and the number of one of its passes; None for what is missing
COLUMNS: dict[str, Value] = {
    "rank": lambda plan, row: int(plan.passes.place[row]) + 1,
    "place": _of_place(lambda one: one.target.name),
    "country": _of_place(lambda one: one.target.country or None),
    "place_lon": _of_place(lambda one: round(one.target.lon, 5)),
    "place_lat": _of_place(lambda one: round(one.target.lat, 5)),
    "population": _of_place(lambda one: one.target.population),
    "priority": _of_place(lambda one: round(one.priority, 3)),
    "need": _of_place(lambda one: one.need),
    "best_frame": _of_best(lambda best: best.frame),
    "best_quality": _of_best(lambda best: _rounded(best.quality, 3)),
    "best_off_nadir_deg": _of_best(lambda best: _rounded(best.off_nadir_deg, 1)),
    "best_time_utc": _of_best(lambda best: best.time_utc and _moment(best.time_utc)),
    "time_utc": lambda plan, row: _moment(utc_of(plan.passes.days[row])),
    "sigma_time_s": _of_plan("sigma_s", 1),
    "off_nadir_deg": _seen("off_nadir_deg", 2),
    "sigma_ground_km": _of_plan("sigma_km", 1),
    "side": _side,
    "azimuth_deg": _seen("azimuth_deg", 1),
    "heading_deg": _seen("heading_deg", 1),
    "ground_km": _seen("ground_km", 1),
    "slant_km": _seen("slant_km", 1),
    "elevation_deg": _seen("elevation_deg", 2),
    "nadir_lon": _seen("nadir_lon", 4),
    "nadir_lat": _seen("nadir_lat", 4),
    "altitude_km": _seen("altitude_km", 1),
    "sun_elevation_deg": _over("sun_elevation_deg", 2),
    "moon_elevation_deg": _over("moon_elevation_deg", 2),
    "moon_illumination": _over("moon_illumination", 3),
    "tle_epoch_utc": lambda plan, _: _moment(plan.orbit.element_set.epoch_utc),
    "tle_age_h": _of_plan("age_h", 2),
}


def plan_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """A row for each pass, with a value for each of `COLUMNS`; None for what is missing."""
    for row in range(len(plan.passes)):
        yield {name: value(plan, row) for name, value in COLUMNS.items()}


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan into a new file: GeoJSON, or CSV where its name ends so."""
    (_write_csv if path.suffix.lower() == ".csv" else _write_geojson)(plan, path)


def _write_csv(plan: Plan, path: Path) -> None:
    rows = ([_cell(*one) for one in row.items()] for row in plan_rows(plan))
    write_csv(path, COLUMNS, rows)


def _write_geojson(plan: Plan, path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for row in plan_rows(plan):
            place = [row["place_lon"], row["place_lat"]]
            told = {
                name: visible_text(value) if isinstance(value, str) else value
                for name, value in row.items()
            }
            feature = {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": place},
                "properties": told,
            }
            stream.write(separator + json.dumps(feature, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
        stream.write("\n]}\n")


def _cell(name: str, value: Any) -> object:
    return cell(name, visible_text(value) if isinstance(value, str) else value)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _moment(time: datetime) -> str:
    near = time + timedelta(milliseconds=50)
    return f"{near:%Y-%m-%dT%H:%M:%S}.{near.microsecond // 100_000}Z"
