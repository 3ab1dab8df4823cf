"""Which places an archive has a good frame of, and what is the best of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from matchers.earth import geodetic_to_ecef
from regengine.catalogue.covers import IN_BOX, covers
from regengine.tasking.targets import Target

if TYPE_CHECKING:
    from regengine.catalogue.reader import Catalogue

_COLUMNS = "frame, time_utc, quality, nadir_lon, nadir_lat, altitude_km, geometry"
# Frames whose footprint's box has a place in it; the polygon decides
_PAIRS = f"""
FROM frames f JOIN (SELECT unnest(?) AS number, unnest(?) AS lon, unnest(?) AS lat) p
ON {IN_BOX.format(lon="p.lon", lat="p.lat")}
WHERE f.verdict = 'accepted' AND f.geometry IS NOT NULL
"""
_ALL = f"SELECT p.number, {_COLUMNS} {_PAIRS}"  # nosec B608
# Of large archives a few of the best frames of each place are enough, mostly
FEW = 20
_BEST = f"""
SELECT number, unnest(few, recursive := true) FROM (
SELECT p.number AS number, max_by(struct_pack({_COLUMNS}), f.quality, {FEW}) AS few {_PAIRS}
AND f.quality >= ? AND (? IS NULL OR f.time_utc >= ?) GROUP BY p.number)
"""  # nosec B608


@dataclass(frozen=True, kw_only=True)
class Good:
    """What makes a frame a good one of a place.

    Attributes
    ----------
    least_quality : float
        Of the catalogue's score, 0 to 1.
    max_off_nadir_deg : float
        Angle at the camera between the nadir and the place.
    max_age : timedelta or None
        Before the first pass that is planned; None: photos do not age.
    """

    least_quality: float
    max_off_nadir_deg: float
    max_age: timedelta | None


@dataclass(frozen=True, kw_only=True)
class FrameOfPlace:
    """A frame that shows a place.

    Attributes
    ----------
    frame : str
    time_utc : datetime or None
    quality : float or None
        None where the catalogue has none: such a frame is not good.
    off_nadir_deg : float or None
        Of the place, not of the frame's middle.
    lacks : tuple of str
        What a good frame has and this one has not: ``quality``, ``off_nadir``, ``age``.
    """

    frame: str
    time_utc: datetime | None
    quality: float | None
    off_nadir_deg: float | None
    lacks: tuple[str, ...]


def best_frames(
    catalogue: Catalogue, targets: Sequence[Target], good: Good, now: datetime
) -> dict[int, FrameOfPlace]:
    """The best frame of each place that has any.

    Parameters
    ----------
    catalogue : Catalogue
        Its accepted frames count.
    targets : sequence of Target
    good : Good
    now : datetime
        From which age is counted.

    Returns
    -------
    dict of int to FrameOfPlace
        By the places' numbers: a good frame where there is one; else the one that lacks least; of
        several, the one of the best quality.
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
