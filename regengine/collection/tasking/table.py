"""Write the plan as a table or a map layer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from regengine.collection.tasking.plan import Plan
from regengine.io.html import escape_invisible
from regengine.io.plain import plain
from regengine.io.tables import cell, write_csv

ENDINGS = (".csv", ".geojson", ".json")
# Columns, and their decimals if rounded
COLUMNS = {
    "rank": None, "place": None, "country": None, "place_lon": 5, "place_lat": 5,
    "population": None, "priority": 3, "need": None, "best_frame": None, "best_quality": 3,
    "best_off_nadir_deg": 1, "best_time_utc": None, "time_utc": None, "sigma_time_s": 1,
    "off_nadir_deg": 2, "sigma_ground_km": 1, "side": None, "azimuth_deg": 1, "heading_deg": 1,
    "ground_km": 1, "slant_km": 1, "elevation_deg": 2, "nadir_lon": 4, "nadir_lat": 4,
    "altitude_km": 1, "sun_elevation_deg": 2, "moon_elevation_deg": 2, "moon_illumination": 3,
    "tle_epoch_utc": None, "tle_age_h": 2,
}  # fmt: skip


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan to a new file: GeoJSON, or CSV by the ending of its name."""
    names = {"name": "place", "lon": "place_lon", "lat": "place_lat"}
    of_best = ("frame", "quality", "off_nadir_deg", "time_utc")
    wanted = plan.wanted.rename(columns=names | {name: f"best_{name}" for name in of_best})
    wanted = wanted.assign(
        place=wanted["place"].map(escape_invisible),
        country=wanted["country"].map(escape_invisible, na_action="ignore").replace("", None),
        best_frame=wanted["best_frame"].map(escape_invisible, na_action="ignore"),
        best_time_utc=wanted["best_time_utc"].map(_moment, na_action="ignore"),
    )
    passes = plan.passes.rename(columns={"place": "number"}).join(wanted, on="number")
    # Side of the ground track on which the place is
    turn_deg = (passes["azimuth_deg"] - passes["heading_deg"]) % 360.0
    passes = passes.assign(
        rank=passes["number"] + 1,
        time_utc=[_moment(plan.start + timedelta(seconds=s)) for s in passes["seconds"]],
        side=np.where(turn_deg < 180.0, "right", "left"),
        tle_epoch_utc=_moment(plan.element_set.epoch_utc),
        population=passes["population"].astype("Int64"),
    )
    passes = passes.round({name: digits for name, digits in COLUMNS.items() if digits is not None})
    table = passes[list(COLUMNS)].astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    if path.suffix.lower() == ".csv":
        write_csv(path, COLUMNS, ([cell(*item) for item in row.items()] for row in rows))
        return
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [row["place_lon"], row["place_lat"]]},
            "properties": row,
        }
        for row in rows
    ]
    layer = {"type": "FeatureCollection", "features": plain(features, str)}
    text = json.dumps(layer, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _moment(time: datetime) -> str:
    near = time + timedelta(milliseconds=50)
    return f"{near:%Y-%m-%dT%H:%M:%S}.{near.microsecond // 100_000}Z"
