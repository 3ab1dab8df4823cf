"""The plan as a table and as a layer of a map."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from regengine.collection.tasking.plan import Plan
from regengine.io.html import visible_text
from regengine.io.tables import cell, write_csv
from regengine.orbit.rotation import utc_of

ENDINGS = (".csv", ".geojson", ".json")
COLUMNS = {
    "rank": "number of the place, the most urgent is 1",
    "place": "its name",
    "country": "its country",
    "place_lon": "its longitude, degrees",
    "place_lat": "its latitude, degrees",
    "population": "people; empty if unknown",
    "priority": "by which the table is sorted",
    "need": "no_frame, or what the best frame lacks: quality, off_nadir, age",
    "best_frame": "the best frame that there is",
    "best_quality": "its quality, 0 to 1",
    "best_off_nadir_deg": "its angle between nadir and place",
    "best_time_utc": "its time",
    "time_utc": "moment of closest approach",
    "sigma_time_s": "one sigma of that moment, seconds",
    "off_nadir_deg": "angle at the station between nadir and place",
    "sigma_ground_km": "one sigma of how far beside the place the station passes",
    "side": "on which side of the ground track the place lies: left, right",
    "azimuth_deg": "direction from the nadir to the place, east of north",
    "heading_deg": "direction of flight over the ground, east of north",
    "ground_km": "from the nadir to the place along the ground",
    "slant_km": "from the station to the place",
    "elevation_deg": "of the station above the place's horizon",
    "nadir_lon": "longitude below the station",
    "nadir_lat": "latitude below the station",
    "altitude_km": "of the station above WGS84",
    "sun_elevation_deg": "of the Sun over the place",
    "moon_elevation_deg": "of the Moon over the place",
    "moon_illumination": "lit share of its disc, 0 to 1",
    "tle_epoch_utc": "epoch of the element set",
    "tle_age_h": "from there to the pass, hours",
}


def plan_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """A row for each pass, with a value for each of `COLUMNS`; None for what is missing."""
    passes, over = plan.passes, plan.over
    epoch = _moment(plan.orbit.element_set.epoch_utc)
    for row, number in enumerate(passes.place.tolist()):
        one = plan.wanted[number]
        target, best = one.target, one.best
        turn_deg = (passes.azimuth_deg[row] - passes.heading_deg[row]) % 360.0
        values = (
            number + 1,
            target.name,
            target.country or None,
            round(target.lon, 5),
            round(target.lat, 5),
            target.population,
            round(one.priority, 3),
            one.need,
            None if best is None else best.frame,
            None if best is None else _rounded(best.quality, 3),
            None if best is None else _rounded(best.off_nadir_deg, 1),
            None if best is None or best.time_utc is None else _moment(best.time_utc),
            _moment(utc_of(passes.days[row])),
            _rounded(plan.sigma_s[row], 1),
            _rounded(passes.off_nadir_deg[row], 2),
            _rounded(plan.sigma_km[row], 1),
            "right" if turn_deg < 180.0 else "left",
            _rounded(passes.azimuth_deg[row], 1),
            _rounded(passes.heading_deg[row], 1),
            _rounded(passes.ground_km[row], 1),
            _rounded(passes.slant_km[row], 1),
            _rounded(passes.elevation_deg[row], 2),
            _rounded(passes.nadir_lon[row], 4),
            _rounded(passes.nadir_lat[row], 4),
            _rounded(passes.altitude_km[row], 1),
            _rounded(over.sun_elevation_deg[row], 2),
            _rounded(over.moon_elevation_deg[row], 2),
            _rounded(over.moon_illumination[row], 3),
            epoch,
            _rounded(plan.age_h[row], 2),
        )
        yield dict(zip(COLUMNS, values, strict=True))


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
