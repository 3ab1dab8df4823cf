"""Which frames of a catalogue go into a package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from matchers.footprint import WGS84
from regengine.collection.catalogue.ground import IN_BOX, covers

if TYPE_CHECKING:
    from regengine.collection.catalogue.query import Catalogue

MIN_KM_PER_DEGREE = 110.5  # of latitude, at the equator
_COLUMNS = (
    *("frame", "sha256", "store", "frame_index", "path", "time_utc", "quality", "sharpness"),
    *("cloud", "off_nadir_deg", "resolution_m", "centre_lon", "centre_lat", "geometry"),
    *("place", "place_country", "city", "country", "city_km"),
)


@dataclass(frozen=True, kw_only=True)
class PackagePlace:
    """A place on the map, degrees; its title is its name, or where it lies."""

    title: str
    lon: float
    lat: float


@dataclass(frozen=True, kw_only=True)
class PackageChoice:
    """Conditions that frames are to meet."""

    place: PackagePlace | None = None  # that they show
    radius_km: float | None = None  # instead, that their middle is no farther from it
    place_id: int | None = None  # of the catalogue
    frames: tuple[str, ...] = ()  # ids; empty for all
    verdicts: tuple[str, ...] = ("accepted",)
    first_utc: datetime | None = None
    end_utc: datetime | None = None  # they are before it
    least_quality: float | None = None
    max_off_nadir_deg: float | None = None
    best: int | None = None  # so many at most, those of the best quality


def chosen_rows(catalogue: Catalogue, choice: PackageChoice) -> list[dict[str, Any]]:
    """Rows of the catalogue that meet the conditions, the best first.

    Frames without a quality come last; of equals the earlier ids come first.
    """
    place, radius_km = choice.place, choice.radius_km
    conditions: dict[str, list[Any]] = {"list_contains(?, f.verdict)": [list(choice.verdicts)]}
    if choice.frames:
        conditions["list_contains(?, f.frame)"] = [list(choice.frames)]
    for condition, value in (
        ("f.place_id = ?", choice.place_id),
        ("f.time_utc >= ?", choice.first_utc),
        ("f.time_utc < ?", choice.end_utc),
        ("f.quality >= ?", choice.least_quality),
        ("f.off_nadir_deg <= ?", choice.max_off_nadir_deg),
    ):
        if value is not None:
            conditions[condition] = [value]
    if place is not None and radius_km is None:
        # Numbers of our own making, written out: they stand in the condition several times
        box = IN_BOX.format(lon=f"({place.lon!r}::DOUBLE)", lat=f"({place.lat!r}::DOUBLE)")
        conditions[f"f.geometry IS NOT NULL AND ({box})"] = []
    elif place is not None and radius_km is not None:
        reach = radius_km / MIN_KM_PER_DEGREE
        conditions["f.centre_lat BETWEEN ? AND ?"] = [place.lat - reach, place.lat + reach]
    asked = (
        f"SELECT {', '.join(_COLUMNS)} FROM frames f WHERE {' AND '.join(conditions)} "  # noqa: S608
        "ORDER BY quality DESC NULLS LAST, frame, sha256"
    )
    rows: list[dict[str, Any]] = []
    for row in catalogue.ask(
        asked, [one for found in conditions.values() for one in found]
    ).dicts():
        if len(rows) == choice.best:
            break
        if place is None:
            shown = True
        elif radius_km is None:
            shown = covers(row["geometry"], place.lon, place.lat)
        else:
            centre = row["centre_lon"], row["centre_lat"]
            shown = WGS84.inv(place.lon, place.lat, *centre)[2] <= 1e3 * radius_km
        if shown:
            rows.append({name: value for name, value in row.items() if name != "geometry"})
    return rows
