"""The plan: for each place without a good frame, the passes that could bring one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.earth import geodetic_to_ecef
from regengine.collection.catalogue.ground import IN_BOX, covers
from regengine.collection.tasking.passes import Passes, StationOrbit, find_passes, station_orbit
from regengine.collection.tasking.targets import Target
from regengine.errors import EphemerisError
from regengine.orbit.rotation import days_since_j2000, utc_of
from regengine.orbit.sun_moon import SunMoonOver, sun_moon_over
from regengine.orbit.tle import TleSet

if TYPE_CHECKING:
    from regengine.collection.catalogue.query import Catalogue

_COLUMNS = "frame, time_utc, quality, nadir_lon, nadir_lat, altitude_km, geometry"
# Frames whose footprint's box has a place in it; the polygon decides
_PAIRS = f"""
FROM frames f JOIN (SELECT unnest(?) AS number, unnest(?) AS lon, unnest(?) AS lat) p
ON {IN_BOX.format(lon="p.lon", lat="p.lat")}
WHERE f.verdict = 'accepted' AND f.geometry IS NOT NULL
"""
_ALL = f"SELECT p.number, {_COLUMNS} {_PAIRS}"
# Of large archives a few of the best frames of each place are enough, mostly
FEW = 20
_BEST = f"""
SELECT number, unnest(few, recursive := true) FROM (
SELECT p.number AS number, max_by(struct_pack({_COLUMNS}), f.quality, {FEW}) AS few {_PAIRS}
AND f.quality >= ? AND (? IS NULL OR f.time_utc >= ?) GROUP BY p.number)
"""  # noqa: S608

# A place of which there is a frame that lacks something can wait longer than one without any
SHARE_WITH_A_FRAME = 0.5
EQUATOR_KM_S = 0.465  # by which the Earth turns away below a station that comes late


@dataclass(frozen=True, kw_only=True)
class Good:
    """What makes a frame a good one of a place."""

    least_quality: float  # of the catalogue's score, 0 to 1
    max_off_nadir_deg: float  # angle at the camera between the nadir and the place
    max_age: timedelta | None  # before the first pass that is planned; None: photos do not age


@dataclass(frozen=True, kw_only=True)
class FrameOfPlace:
    """A frame that shows a place."""

    frame: str
    time_utc: datetime | None
    quality: float | None  # where the catalogue has none, the frame is not good
    off_nadir_deg: float | None  # of the place, not of the frame's middle
    lacks: tuple[str, ...]  # what a good frame has: quality, off_nadir, age


def best_frames(
    catalogue: Catalogue, targets: Sequence[Target], good: Good, now: datetime
) -> dict[int, FrameOfPlace]:
    """The best of a catalogue's accepted frames of each place that has any, by the places' numbers.

    A good frame where there is one; else the one that lacks least; of several, the one of the best
    quality. Age is counted from now.
    """
    best: dict[int, FrameOfPlace] = {}

    def judge(asked: str, numbers: list[int], values: list[Any]) -> None:
        lon, lat = ([getattr(targets[one], name) for one in numbers] for name in ("lon", "lat"))
        for row in catalogue.ask(asked, [numbers, lon, lat, *values]).dicts():
            number = row["number"]
            known = best.get(number)
            # A good frame of no less quality is there already: most rows end here
            if known and not known.lacks and (known.quality or 0.0) >= (row["quality"] or 0.0):
                continue
            if covers(row["geometry"], targets[number].lon, targets[number].lat):
                found = _judged(row, targets[number], good, now)
                if known is None or _order(found) < _order(known):
                    best[number] = found

    everywhere = list(range(len(targets)))
    oldest = None if good.max_age is None else now - good.max_age
    judge(_BEST, everywhere, [good.least_quality, oldest, oldest])
    left = [number for number in everywhere if number not in best or best[number].lacks]
    if left:
        judge(_ALL, left, [])
    return best


def _judged(row: dict[str, Any], target: Target, good: Good, now: datetime) -> FrameOfPlace:
    angle = _off_nadir_deg(row, target)
    lacks = {
        "quality": row["quality"] is None or row["quality"] < good.least_quality,
        "off_nadir": angle is None or angle > good.max_off_nadir_deg,
        "age": good.max_age is not None
        and (row["time_utc"] is None or now - row["time_utc"] > good.max_age),
    }
    return FrameOfPlace(
        frame=row["frame"],
        time_utc=row["time_utc"],
        quality=row["quality"],
        off_nadir_deg=angle,
        lacks=tuple(name for name, so in lacks.items() if so),
    )


def _off_nadir_deg(row: dict[str, Any], target: Target) -> float | None:
    place = (row["nadir_lon"], row["nadir_lat"], row["altitude_km"])
    if None in place:
        return None
    lon, lat, altitude_km = place
    camera = geodetic_to_ecef(lon, lat, 1e3 * altitude_km)
    down = geodetic_to_ecef(lon, lat) - camera
    towards = geodetic_to_ecef(target.lon, target.lat) - camera
    cosine = down @ towards / (np.linalg.norm(down) * np.linalg.norm(towards))
    return float(np.degrees(np.arccos(min(float(cosine), 1.0))))


def _order(frame: FrameOfPlace) -> tuple[int, float]:
    return len(frame.lacks), -(frame.quality or 0.0)


@dataclass(frozen=True, kw_only=True)
class PassLimits:
    """Which passes are worth a photo."""

    max_off_nadir_deg: float = 45.0  # angle at the camera between the nadir and the place
    max_sun_deg: float = -12.0  # elevation over the place
    max_moon_deg: float | None = None  # the same; None: as it comes
    max_sigma_s: float = 180.0  # of the time of a pass
    most: int = 3  # of each place, those that look down most steeply


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A place to photograph, and the best frame that there is of it, if any."""

    target: Target
    best: FrameOfPlace | None

    @property
    def priority(self) -> float:
        """By which the plan is sorted."""
        return self.target.weight * (1.0 if self.best is None else SHARE_WITH_A_FRAME)

    @property
    def need(self) -> str:
        """Why it is wanted, in short words."""
        return "no_frame" if self.best is None else ",".join(self.best.lacks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Passes of places.

    wanted: Places, the most urgent first; `passes` numbers them.
    passes: By place, then time.
    over: What stands over the place at each pass.
    sigma_s, sigma_km, shape (n,): One sigma of each pass's time, and of how far beside the place it
        leads.
    age_h, shape (n,): Of the element set.
    uncertain: Passes that were left out for their time being too uncertain.
    """

    wanted: tuple[Wanted, ...]
    passes: Passes
    over: SunMoonOver
    sigma_s: FloatArray
    sigma_km: FloatArray
    age_h: FloatArray
    orbit: StationOrbit
    uncertain: int

    @property
    def places(self) -> int:
        """How many places have a pass."""
        return len(np.unique(self.passes.place))


def wanted_places(
    targets: Iterable[Target], best: Mapping[int, FrameOfPlace]
) -> tuple[Wanted, ...]:
    """Places without a good frame, the most urgent first; of equals, in the order given."""
    wanted = [
        Wanted(target=target, best=best.get(number))
        for number, target in enumerate(targets)
        if number not in best or best[number].lacks
    ]
    return tuple(sorted(wanted, key=lambda one: -one.priority))


def plan_passes(
    wanted: tuple[Wanted, ...], tles: TleSet, start: datetime, days: float, limits: PassLimits
) -> Plan:
    """Passes of places in the days from a time on, by the best element set for the start.

    EphemerisError if that is too old to tell the time of a pass at the start.
    """
    first = days_since_j2000(start)
    orbit = station_orbit(tles, first)
    _refuse_stale(orbit, first, limits.max_sigma_s)
    lon = np.array([one.target.lon for one in wanted])
    lat = np.array([one.target.lat for one in wanted])
    passes = find_passes(
        orbit, first, first + days, lon, lat, max_off_nadir_deg=limits.max_off_nadir_deg
    )
    over = sun_moon_over(passes.days, lon[passes.place], lat[passes.place])
    dark = over.sun_elevation_deg <= limits.max_sun_deg
    if limits.max_moon_deg is not None:
        dark &= over.moon_elevation_deg <= limits.max_moon_deg
    sigma_s, cross_km = orbit.sigma(passes.days)
    certain = sigma_s <= limits.max_sigma_s
    rows = _best_of_each(passes, np.flatnonzero(dark & certain), limits.most)
    turned_km = EQUATOR_KM_S * np.cos(np.radians(lat[passes.place])) * sigma_s
    return Plan(
        wanted=wanted,
        passes=passes.take(rows),
        over=over.take(rows),
        sigma_s=sigma_s[rows],
        sigma_km=np.hypot(cross_km, turned_km)[rows],
        age_h=orbit.age_h(passes.days[rows]),
        orbit=orbit,
        uncertain=int((dark & ~certain).sum()),
    )


def _refuse_stale(orbit: StationOrbit, first: float, max_sigma_s: float) -> None:
    sigma_s = float(orbit.sigma(np.array([first]))[0][0])
    if sigma_s > max_sigma_s:
        age_days = float(orbit.age_h(np.array([first]))[0]) / 24.0
        raise EphemerisError(
            f"{orbit.element_set.path}: the nearest element set is of "
            f"{orbit.element_set.epoch_utc:%Y-%m-%d}, {abs(age_days):.0f} days from "
            f"{utc_of(first):%Y-%m-%d}, so that passes are known to {sigma_s:.0f} s alone: give a "
            "newer one, or allow more with --max-sigma-s.",
            code="tle_stale",
        )


def _best_of_each(passes: Passes, rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Of some passes, those of each place that look down most steeply, in their order."""
    order = rows[np.lexsort((passes.off_nadir_deg[rows], passes.place[rows]))]
    place = passes.place[order]
    starts = np.searchsorted(place, place, side="left")
    return np.sort(order[np.arange(len(order)) - starts < most])
