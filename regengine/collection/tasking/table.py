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
COLUMNS = (
    *("rank", "place", "country", "place_lon", "place_lat", "population", "priority", "need"),
    *("best_frame", "best_quality", "best_off_nadir_deg", "best_time_utc", "time_utc"),
    *("sigma_time_s", "off_nadir_deg", "sigma_ground_km", "side", "azimuth_deg", "heading_deg"),
    *("ground_km", "slant_km", "elevation_deg", "nadir_lon", "nadir_lat", "altitude_km"),
    *("sun_elevation_deg", "moon_elevation_deg", "moon_illumination", "tle_epoch_utc"),
    "tle_age_h",
)


def plan_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    """A row for each pass; None for what is missing."""
    passes, over = plan.passes, plan.over
    for k in range(len(passes)):
        wanted = plan.wanted[passes.place[k]]
        target, best = wanted.target, wanted.best
        # On which side of the ground track the place lies
        turn_deg = (passes.azimuth_deg[k] - passes.heading_deg[k]) % 360.0
        yield {
            "rank": int(passes.place[k]) + 1,
            "place": visible_text(target.name),
            "country": visible_text(target.country) or None,
            "place_lon": round(target.lon, 5),
            "place_lat": round(target.lat, 5),
            "population": target.population,
            "priority": round(wanted.priority, 3),
            "need": wanted.need,
            "best_frame": best and visible_text(best.frame),
            "best_quality": best and _rounded(best.quality, 3),
            "best_off_nadir_deg": best and _rounded(best.off_nadir_deg, 1),
            "best_time_utc": best and best.time_utc and _moment(best.time_utc),
            "time_utc": _moment(utc_of(passes.days[k])),
            "sigma_time_s": _rounded(plan.sigma_s[k], 1),
            "off_nadir_deg": _rounded(passes.off_nadir_deg[k], 2),
            "sigma_ground_km": _rounded(plan.sigma_km[k], 1),
            "side": "right" if turn_deg < 180.0 else "left",
            "azimuth_deg": _rounded(passes.azimuth_deg[k], 1),
            "heading_deg": _rounded(passes.heading_deg[k], 1),
            "ground_km": _rounded(passes.ground_km[k], 1),
            "slant_km": _rounded(passes.slant_km[k], 1),
            "elevation_deg": _rounded(passes.elevation_deg[k], 2),
            "nadir_lon": _rounded(passes.nadir_lon[k], 4),
            "nadir_lat": _rounded(passes.nadir_lat[k], 4),
            "altitude_km": _rounded(passes.altitude_km[k], 1),
            "sun_elevation_deg": _rounded(over.sun_elevation_deg[k], 2),
            "moon_elevation_deg": _rounded(over.moon_elevation_deg[k], 2),
            "moon_illumination": _rounded(over.moon_illumination[k], 3),
            "tle_epoch_utc": _moment(plan.orbit.element_set.epoch_utc),
            "tle_age_h": _rounded(plan.age_h[k], 2),
        }


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan into a new file: GeoJSON, or CSV where its name ends so."""
    rows = list(plan_rows(plan))
    if path.suffix.lower() == ".csv":
        write_csv(path, COLUMNS, ([cell(name, row[name]) for name in COLUMNS] for row in rows))
        return
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [row["place_lon"], row["place_lat"]]},
            "properties": row,
        }
        for row in rows
    ]
    layer = {"type": "FeatureCollection", "features": features}
    text = json.dumps(layer, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _moment(time: datetime) -> str:
    near = time + timedelta(milliseconds=50)
    return f"{near:%Y-%m-%dT%H:%M:%S}.{near.microsecond // 100_000}Z"
