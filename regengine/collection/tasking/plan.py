"""Plan passes for each place without a good frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import compress, islice
from typing import TYPE_CHECKING

import numpy as np

from detectors.constants import DAY_S
from matchers.geometry.earth import geodetic_to_ecef
from regengine.collection.tasking.passes import find_passes, pass_sigma
from regengine.errors import EphemerisError
from regengine.io.plain import format_count
from regengine.orbit.rotation import days_since_j2000
from regengine.orbit.sun_moon import sun_moon_over
from regengine.orbit.tle import ElementSet, TleSet

if TYPE_CHECKING:
    import pandas as pd

    from regengine.collection.catalogue.query import Catalogue

ACCEPTED = """
SELECT frame, time_utc, quality, nadir_lon, nadir_lat, altitude_km, geometry FROM frames
WHERE verdict = 'accepted' AND geometry IS NOT NULL
"""
BATCH = 50_000  # frames in memory
OF_BEST = ["frame", "time_utc", "quality", "off_nadir_deg", "lacks"]
GOOD = ("quality", "off_nadir", "age")  # criteria of a good frame

# A place with a frame that fails a criterion is less urgent than one without any
SHARE_WITH_A_FRAME = 0.5
EQUATOR_KM_S = 0.465  # speed at which the Earth rotates below a station that is late


@dataclass(frozen=True, kw_only=True)
class Good:
    """Criteria of a good frame of a place."""

    least_quality: float  # of the catalogue's score, 0 to 1
    max_off_nadir_deg: float  # angle at the camera between the nadir and the place
    max_age: timedelta | None  # before the first pass that is planned; None: photos do not age


def find_best_frames(
    catalogue: Catalogue, targets: pd.DataFrame, good: Good, now: datetime
) -> pd.DataFrame:
    """The best of a catalogue's accepted frames of each place that has any.

    A good frame where there is one; else the one that lacks least; of several, the one of the best
    quality. Age is counted from now.

    Returns
    -------
    pd.DataFrame
        By the places' numbers: ``frame``, ``time_utc``, ``quality``, ``off_nadir_deg`` of the place
        (not of the frame's middle), and ``lacks``, what a good frame has, by commas: quality,
        off_nadir, age.
    """
    import pandas as pd

    best = pd.DataFrame()
    for shown in _frames_of_places(catalogue, targets):
        met = (
            shown["quality"] >= good.least_quality,
            shown["off_nadir_deg"] <= good.max_off_nadir_deg,
            True if good.max_age is None else now - shown["time_utc"] <= good.max_age,
        )
        lacks = [
            list(compress(GOOD, lacking))
            for lacking in ~np.stack(np.broadcast_arrays(*met), axis=1)
        ]
        shown["lacks"] = [",".join(words) for words in lacks]
        shown["lacking"] = [len(words) for words in lacks]
        shown["rank"] = -shown["quality"].fillna(0.0)
        best = pd.concat([best, shown]).sort_values(["lacking", "rank"], kind="stable")
        best = best.drop_duplicates("place")
    if best.empty:
        return pd.DataFrame(columns=OF_BEST, index=pd.RangeIndex(0), dtype=object)
    return best.set_index("place")[OF_BEST]


def _frames_of_places(catalogue: Catalogue, targets: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Frames in blocks, one row for each place that a frame shows."""
    import pandas as pd
    import shapely

    tree = shapely.STRtree(shapely.points(targets["lon"], targets["lat"]))
    answer = catalogue.ask(ACCEPTED)
    while rows := list(islice(answer.rows, BATCH)):
        frames = pd.DataFrame(rows, columns=answer.names)
        number, place = tree.query(shapely.from_wkb(frames.pop("geometry")), "intersects")
        shown = frames.iloc[number].assign(place=place)
        lon, lat, altitude_km = (
            shown.pop(name).to_numpy(float) for name in ("nadir_lon", "nadir_lat", "altitude_km")
        )
        camera = geodetic_to_ecef(lon, lat, 1e3 * altitude_km)
        down = geodetic_to_ecef(lon, lat) - camera
        at = targets.iloc[place]
        towards = geodetic_to_ecef(at["lon"].to_numpy(), at["lat"].to_numpy()) - camera
        lengths = np.linalg.norm(down, axis=-1) * np.linalg.norm(towards, axis=-1)
        cosine = np.sum(down * towards, axis=-1) / lengths
        yield shown.assign(off_nadir_deg=np.degrees(np.arccos(np.minimum(cosine, 1.0))))


@dataclass(frozen=True, kw_only=True)
class PassLimits:
    """Criteria of passes that are worth a photo."""

    max_off_nadir_deg: float = 45.0  # angle at the camera between the nadir and the place
    max_sun_deg: float = -12.0  # elevation over the place
    max_moon_deg: float | None = None  # likewise; None: any
    max_sigma_s: float = 180.0  # of the time of a pass
    most: int = 3  # passes per place, those with the smallest off-nadir angle


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Passes over places.

    wanted: Places, the most urgent first, with their best frames, ``priority`` and ``need``.
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


def select_wanted_places(targets: pd.DataFrame, best: pd.DataFrame | None) -> pd.DataFrame:
    """Places without a good frame, the most urgent first; of equals, in the order given.

    They have ``priority``, and ``need``: the reason in a few words.
    """
    wanted = targets.assign(**dict.fromkeys(OF_BEST)) if best is None else targets.join(best)
    wanted = wanted[wanted["lacks"] != ""]
    share = np.where(wanted["frame"].isna(), 1.0, SHARE_WITH_A_FRAME)
    wanted = wanted.assign(
        priority=wanted["weight"] * share, need=wanted["lacks"].fillna("no_frame")
    )
    return wanted.sort_values("priority", ascending=False, kind="stable", ignore_index=True)


def plan_passes(
    wanted: pd.DataFrame, tles: TleSet, start: datetime, days: float, limits: PassLimits
) -> Plan:
    """Passes over places in the days after a start time, by the best element set for the start.

    EphemerisError if the element set is too old to predict the time of a pass at the start.
    """
    element_set = tles.best_for(start)
    age_h = element_set.age_h(start)
    sigma_s = float(pass_sigma(element_set, np.array([age_h]))[0][0])
    if sigma_s > limits.max_sigma_s:
        raise EphemerisError(
            f"{element_set.path}: the nearest element set is of {element_set.epoch_utc:%Y-%m-%d}, "
            f"{format_count(round(abs(age_h) / 24.0), 'day')} from {start:%Y-%m-%d}; pass times "
            f"are uncertain by {sigma_s:.0f} s: give a newer one, or allow more with "
            "--max-sigma-s.",
            code="tle_stale",
        )
    lon, lat = wanted["lon"].to_numpy(float), wanted["lat"].to_numpy(float)
    passes = find_passes(
        element_set, start, DAY_S * days, lon, lat, max_off_nadir_deg=limits.max_off_nadir_deg
    )
    place, seconds = passes["place"].to_numpy(), passes["seconds"].to_numpy()
    over = sun_moon_over(days_since_j2000(start) + seconds / DAY_S, lon[place], lat[place])
    ages_h = age_h + seconds / 3600.0
    sigma_time_s, cross_km = pass_sigma(element_set, ages_h)
    turned_km = EQUATOR_KM_S * np.cos(np.radians(lat[place])) * sigma_time_s
    passes = passes.assign(
        **vars(over),
        sigma_time_s=sigma_time_s,
        sigma_ground_km=np.hypot(cross_km, turned_km),
        tle_age_h=ages_h,
    )
    dark = passes["sun_elevation_deg"] <= limits.max_sun_deg
    if limits.max_moon_deg is not None:
        dark &= passes["moon_elevation_deg"] <= limits.max_moon_deg
    certain = passes["sigma_time_s"] <= limits.max_sigma_s
    steepest = passes[dark & certain].sort_values("off_nadir_deg", kind="stable")
    return Plan(
        wanted=wanted,
        passes=steepest.groupby("place").head(limits.most).sort_index(ignore_index=True),
        start=start,
        element_set=element_set,
        uncertain=int((dark & ~certain).sum()),
    )
