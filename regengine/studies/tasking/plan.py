"""Plan passes for each place without a good frame."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.constants import DAY_S, EARTH_RADIUS_KM, ORBITAL_SPEED_KM_S
from detectors.types import FloatArray
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, local_axes
from matchers.geometry.footprint import WGS84
from regengine.errors import ConfigError, EphemerisError
from regengine.io.html import escape_invisible
from regengine.io.plain import format_count, plain
from regengine.io.tables import cell, read_csv, read_text, write_csv
from regengine.maps.places import place_index
from regengine.orbit.propagation import drag_shift_km, track_positions
from regengine.orbit.rotation import days_since_j2000, sun_moon_over
from regengine.orbit.tle import ElementSet, TleSet
from regengine.orbit.uncertainty import orbit_sigma
from regengine.photo.notations import parse_number, wrap_lon

if TYPE_CHECKING:
    import pandas as pd

    from regengine.frames.catalogue import Catalogue


# Of a table of places. ``weight``: the larger, the sooner; own priority, else thousands of people,
# else 1
TARGET_COLUMNS = ("name", "country", "lon", "lat", "population", "weight")
SPELLINGS = {
    "longitude": "lon", "long": "lon", "lng": "lon", "latitude": "lat", "people": "population",
    "priority": "weight",
}  # fmt: skip
NAMES = ("name", "place", "city", "target", "site")  # the first that there is names the place
# Word of a heading, and lowest and highest value of each number
RANGES = {
    "lon": ("lon", -180.0, 360.0), "lat": ("lat", -90.0, 90.0),
    "population": ("population", 0.0, 1e10), "weight": ("priority", 0.0, 1e12),
}  # fmt: skip
_REMEDY = "give a CSV file with the columns name, lon, lat, and optionally priority"


def list_city_targets(least_people: int) -> pd.DataFrame:
    """Cities of GeoNames with at least this population, the largest first.

    At least 5,000, because the table of towns has few smaller ones.
    """
    import pandas as pd

    index = place_index()
    cities = (index[number] for number in np.flatnonzero(index.population >= least_people).tolist())
    rows = [(c.name, c.country, c.lon, c.lat, c.population, c.population / 1e3) for c in cities]
    return pd.DataFrame(rows, columns=TARGET_COLUMNS)


def read_listed_targets(path: Path) -> pd.DataFrame:
    """Read a list of places: CSV with a header, separated by commas, semicolons or tabs.

    It has ``name``, ``lon``, ``lat``, and optionally ``country``, ``population``, ``priority``;
    other columns are ignored. ConfigError if it cannot be read, or a row is not a valid place.
    """
    import pandas as pd

    def name_column(heading: str) -> str:
        word = re.sub(r"[^a-z]", "", heading.lower())
        return word if word in {*TARGET_COLUMNS, *NAMES} else SPELLINGS.get(word, "")

    try:
        table = [*read_csv(read_text(path), name_column)] or [(1, [])]
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(f"{path}: the list of places cannot be read ({error}): {_REMEDY}.") from (
            error
        )
    columns = {name: at for at, name in enumerate(map(name_column, table[0][1])) if name}
    named = next((columns[name] for name in NAMES if name in columns), None)
    if named is not None:
        columns["name"] = named
    if not {"name", "lon", "lat"} <= columns.keys():
        raise ConfigError(f"{path} is not a list of places: {_REMEDY}.")
    targets: list[dict[str, Any]] = []
    for line, cells in table[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        row = {name: cells[at].strip() if at < len(cells) else "" for name, at in columns.items()}
        numbers: dict[str, float | None] = {}
        for name, (word, low, high) in RANGES.items():
            text = row.get(name, "")
            value = numbers[name] = parse_number(text)
            if text and (value is None or not low <= value <= high):
                raise ConfigError(
                    f"{path}, line {line}: {word} {text!r} is not a number from {low:g} to "
                    f"{high:g}."
                )
        lon, lat, people, weight = numbers.values()
        if lon is None or lat is None or not row["name"]:
            raise ConfigError(f"{path}, line {line}: name, lon or lat is missing.")
        if weight is None:
            numbers["weight"] = 1.0 if people is None else people / 1e3
        targets.append(row | numbers | {"lon": wrap_lon(lon)})
    if not targets:
        raise ConfigError(f"{path} lists no places: {_REMEDY}.")
    return pd.DataFrame(targets, columns=TARGET_COLUMNS)


STEP_S = 60.0
KNOT_H = 6.0  # step between ages at which the uncertainty is tabulated


def find_passes(
    element_set: ElementSet,
    start: datetime,
    span_s: float,
    lon: FloatArray,
    lat: FloatArray,
    *,
    max_off_nadir_deg: float,
) -> pd.DataFrame:
    """Closest approaches of a satellite to places, degrees, (n,), in a span of time.

    The off-nadir angle is at the camera, between the geodetic nadir and the place. A row for each,
    ordered by place, then time: ``place``, its number; ``seconds`` from the start to the moment of
    least distance; ``off_nadir_deg``; ``elevation_deg`` of the camera above the place's horizon;
    ``slant_km`` from the camera to the place, ``ground_km`` from the nadir to it; ``azimuth_deg``
    from the nadir to it and ``heading_deg`` of the flight over the ground, east of north, [0, 360);
    ``nadir_lon``, ``nadir_lat``, ``altitude_km``.
    """
    import pandas as pd

    def station(seconds: FloatArray) -> FloatArray:
        return track_positions(element_set, start, seconds, 0.0)

    ground = geodetic_to_ecef(lon, lat).reshape(-1, 3)
    grid = np.arange(-STEP_S, span_s + 2.0 * STEP_S, STEP_S)
    place, seconds = _nearest_steps(grid, station(grid), ground, max_off_nadir_deg)
    towards = ground[place]
    for half_s in (30.0, 5.0, 1.0):  # the vertex of a parabola through three squared distances
        before, now, after = (
            np.sum((station(seconds + off) - towards) ** 2, axis=-1)
            for off in (-half_s, 0.0, half_s)
        )
        step_s = 0.5 * half_s * (before - after) / (before - 2.0 * now + after)
        seconds = seconds + np.clip(step_s, -STEP_S, STEP_S)
    within = (seconds >= 0.0) & (seconds < span_s)
    place, seconds = place[within], seconds[within]

    position, flight = station(seconds), station(seconds + 0.5) - station(seconds - 0.5)
    nadir_lon, nadir_lat, height_m = ecef_to_geodetic(position)
    towards = ground[place] - position
    slant_m = np.linalg.norm(towards, axis=-1)
    azimuth, _, ground_m = WGS84.inv(nadir_lon, nadir_lat, lon[place], lat[place])
    east, north, up = np.moveaxis(local_axes(nadir_lon, nadir_lat), -2, 0)
    cosine = np.sum(towards * -up, axis=-1) / slant_m
    sine = np.sum(-towards * local_axes(lon[place], lat[place])[..., 2, :], axis=-1) / slant_m
    heading = np.arctan2(np.sum(flight * east, axis=-1), np.sum(flight * north, axis=-1))
    passes = pd.DataFrame(
        {
            "place": place,
            "seconds": seconds,
            "off_nadir_deg": np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))),
            "elevation_deg": np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))),
            "slant_km": slant_m / 1e3,
            "ground_km": np.asarray(ground_m, float) / 1e3,
            "azimuth_deg": np.asarray(azimuth, float) % 360.0,
            "heading_deg": np.degrees(heading) % 360.0,
            "nadir_lon": nadir_lon,
            "nadir_lat": nadir_lat,
            "altitude_km": height_m / 1e3,
        }
    )
    seen = (passes["off_nadir_deg"] <= max_off_nadir_deg) & (passes["elevation_deg"] > 0.0)
    return passes[seen].sort_values(["place", "seconds"], ignore_index=True)


def _nearest_steps(
    grid: FloatArray, track: FloatArray, ground: FloatArray, max_off_nadir_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Places and steps at which the track is closer to the place than a step before and after."""
    ratio = float(np.linalg.norm(track, axis=-1).max()) / 6.35e6  # the poles' radius, rounded down
    reach_rad = np.arccos(1.0 / ratio)  # to the horizon
    sine = ratio * np.sin(np.radians(min(max_off_nadir_deg, 90.0)))
    if sine < 1.0:  # geodetic and geocentric nadir are up to 0.2 degrees apart
        reach_rad = min(np.arcsin(sine) - np.radians(max_off_nadir_deg) + 0.01, reach_rad)
    directions = track / np.linalg.norm(track, axis=-1, keepdims=True)
    places = ground / np.linalg.norm(ground, axis=-1, keepdims=True)
    rows = max(1, 4_000_000 // len(track))  # cosines of angles at a time: 32 MB
    numbers, moments = [np.empty(0, np.int64)], [np.empty(0)]
    for start in range(0, len(places), rows):
        cosine = places[start : start + rows] @ directions.T
        inner = cosine[:, 1:-1]
        # From the nearest time step to the closest approach: half a step at 7.4 km/s, as an angle
        # about the Earth's centre
        near = inner > np.cos(reach_rad + 0.5 * STEP_S * 7.4 / EARTH_RADIUS_KM)
        place, column = np.nonzero(near & (inner > cosine[:, :-2]) & (inner >= cosine[:, 2:]))
        numbers.append(place + start)
        moments.append(grid[column + 1])
    return np.concatenate(numbers), np.concatenate(moments)


def pass_sigma(element_set: ElementSet, ages_h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One sigma of an orbit by age of its element set: along the track, seconds; across it, km."""
    if len(ages_h) == 0:
        return np.empty(0), np.empty(0)
    knots = np.arange(ages_h.min(), ages_h.max() + 2.0 * KNOT_H, KNOT_H)
    along, cross = [], []
    for age_h in knots.tolist():
        along_km, cross_km, _ = orbit_sigma(age_h)
        drag_km = drag_shift_km(element_set, element_set.epoch_utc + timedelta(hours=age_h))
        along.append(np.hypot(along_km, drag_km))
        cross.append(cross_km)
    return np.interp(ages_h, knots, along) / ORBITAL_SPEED_KM_S, np.interp(ages_h, knots, cross)


ACCEPTED = """
SELECT frame, time_utc, quality, nadir_lon, nadir_lat, altitude_km, geometry FROM frames
WHERE verdict = 'accepted' AND geometry IS NOT NULL
"""
OF_BEST = ["frame", "time_utc", "quality", "off_nadir_deg", "lacks"]
GOOD = ("quality", "off_nadir", "age")  # criteria of a good frame


def find_best_frames(
    catalogue: Catalogue,
    targets: pd.DataFrame,
    now: datetime,
    *,
    min_quality: float,
    max_off_nadir_deg: float,
    max_age: timedelta | None,
) -> pd.DataFrame:
    """The best of a catalogue's accepted frames of each place that has any.

    A good frame where there is one; else the one that lacks least; of several, the one of the best
    quality. Good is a frame of that quality (0 to 1), with the place at most at that angle between
    the camera's nadir and it, and of at most that age now; without ``max_age`` frames do not age.

    Columns by the places' numbers: ``frame``, ``time_utc``, ``quality``, ``off_nadir_deg`` of the
    place (not of the frame's middle), and ``lacks``, what a good frame has, by commas: quality,
    off_nadir, age.
    """
    import pandas as pd
    import shapely

    best = pd.DataFrame()
    ground = geodetic_to_ecef(targets["lon"].to_numpy(), targets["lat"].to_numpy())
    tree = shapely.STRtree(shapely.points(targets["lon"], targets["lat"]))
    names, found = catalogue.ask(ACCEPTED)
    while rows := list(islice(found, 50_000)):  # in memory
        frames = pd.DataFrame(rows, columns=names)
        frames["time_utc"] = pd.to_datetime(frames["time_utc"], utc=True, format="ISO8601")
        number, place = tree.query(shapely.from_wkb(frames.pop("geometry")), "intersects")
        shown = frames.iloc[number].assign(place=place)  # a row for each place that a frame shows
        lon, lat, altitude_km = (
            shown.pop(name).to_numpy(float) for name in ("nadir_lon", "nadir_lat", "altitude_km")
        )
        camera = geodetic_to_ecef(lon, lat, 1e3 * altitude_km)
        down, towards = geodetic_to_ecef(lon, lat) - camera, ground[place] - camera
        lengths = np.linalg.norm(down, axis=-1) * np.linalg.norm(towards, axis=-1)
        cosine = np.sum(down * towards, axis=-1) / lengths
        shown["off_nadir_deg"] = np.degrees(np.arccos(np.minimum(cosine, 1.0)))
        met = (
            shown["quality"] >= min_quality,
            shown["off_nadir_deg"] <= max_off_nadir_deg,
            True if max_age is None else now - shown["time_utc"] <= max_age,
        )
        lacking = ~np.stack(np.broadcast_arrays(*met), axis=1)
        shown["lacks"] = [",".join(compress(GOOD, row)) for row in lacking]
        shown["lacking"] = lacking.sum(axis=1)
        shown["rank"] = -shown["quality"].fillna(0.0)
        best = pd.concat([best, shown]).sort_values(["lacking", "rank"], kind="stable")
        best = best.drop_duplicates("place")
    if best.empty:
        return pd.DataFrame(columns=OF_BEST, index=pd.RangeIndex(0), dtype=object)
    return best.set_index("place")[OF_BEST]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Passes over places.

    wanted: Places without a good frame, the most urgent first, of equals in the order given, with
        their best frames, ``priority``, and ``need``, the reason in a few words.
    passes: Those of `find_passes` that are worth a photo, by place (its number in `wanted`), then
        time. They include the Sun and Moon over the place, one sigma of the pass's time
        (``sigma_time_s``) and of the resulting distance from the place (``sigma_ground_km``), and
        ``tle_age_h``.
    uncertain: Passes that were excluded because their time is too uncertain.
    """

    wanted: pd.DataFrame
    passes: pd.DataFrame
    start: datetime
    element_set: ElementSet
    uncertain: int


def plan_passes(
    targets: pd.DataFrame,
    best: pd.DataFrame | None,
    tles: TleSet,
    start: datetime,
    days: float,
    *,
    max_off_nadir_deg: float,
    max_sun_deg: float,
    max_moon_deg: float | None,
    max_sigma_s: float,
    most: int,
) -> Plan:
    """Passes over the places without a good frame, by the best element set for the start.

    Of each place at most so many, those with the smallest off-nadir angle, with the Sun and Moon
    over it no higher than that (None: the Moon anywhere), and the time within that one sigma.
    ``best`` is of `find_best_frames`; without it no place has a frame. EphemerisError if the
    element set is too old to predict the time of a pass at the start.
    """
    wanted = targets.assign(**dict.fromkeys(OF_BEST)) if best is None else targets.join(best)
    wanted = wanted[wanted["lacks"] != ""]
    # A place with a frame that fails a criterion is less urgent than one without any
    share = np.where(wanted["frame"].isna(), 1.0, 0.5)
    wanted = wanted.assign(
        priority=wanted["weight"] * share, need=wanted["lacks"].fillna("no_frame")
    ).sort_values("priority", ascending=False, kind="stable", ignore_index=True)
    element_set = tles.best_for(start)
    age_h = element_set.age_h(start)
    sigma_s = float(pass_sigma(element_set, np.array([age_h]))[0][0])
    if sigma_s > max_sigma_s:
        raise EphemerisError(
            f"{element_set.path}: the nearest element set is of {element_set.epoch_utc:%Y-%m-%d}, "
            f"{format_count(round(abs(age_h) / 24.0), 'day')} from {start:%Y-%m-%d}; pass times "
            f"are uncertain by {sigma_s:.0f} s: give a newer one, or allow more with "
            "--max-sigma-s.",
            code="tle_stale",
        )
    lon, lat = wanted["lon"].to_numpy(float), wanted["lat"].to_numpy(float)
    passes = find_passes(
        element_set, start, DAY_S * days, lon, lat, max_off_nadir_deg=max_off_nadir_deg
    )
    place, seconds = passes["place"].to_numpy(), passes["seconds"].to_numpy()
    days_utc = days_since_j2000(start) + seconds / DAY_S
    ages_h = age_h + seconds / 3600.0
    sigma_time_s, cross_km = pass_sigma(element_set, ages_h)
    # Speed at which the Earth rotates below a station that is late
    turned_km = 0.465 * np.cos(np.radians(lat[place])) * sigma_time_s
    passes = passes.assign(
        **sun_moon_over(days_utc, lon[place], lat[place]),
        sigma_time_s=sigma_time_s,
        sigma_ground_km=np.hypot(cross_km, turned_km),
        tle_age_h=ages_h,
    )
    dark = passes["sun_elevation_deg"] <= max_sun_deg
    if max_moon_deg is not None:
        dark &= passes["moon_elevation_deg"] <= max_moon_deg
    certain = passes["sigma_time_s"] <= max_sigma_s
    steepest = passes[dark & certain].sort_values("off_nadir_deg", kind="stable")
    return Plan(
        wanted=wanted,
        passes=steepest.groupby("place").head(most).sort_index(ignore_index=True),
        start=start,
        element_set=element_set,
        uncertain=int((dark & ~certain).sum()),
    )


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
