"""Choose the frames of a catalogue for a package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from matchers.geometry.footprint import WGS84

if TYPE_CHECKING:
    from regengine.collection.catalogue.query import Catalogue

MIN_KM_PER_DEGREE = 110.5  # of latitude, at the equator
# What is None asks for all; boxes across the antimeridian have their western edge beyond their
# eastern one
CHOSEN = """
SELECT frame, sha256, store, frame_index, path, time_utc, quality, sharpness, cloud, off_nadir_deg,
    resolution_m, centre_lon, centre_lat, geometry, place, place_country, city, country, city_km
FROM frames
WHERE list_contains($verdicts, verdict)
    AND ($frames::VARCHAR[] IS NULL OR list_contains($frames, frame))
    AND ($place_id::BIGINT IS NULL OR place_id = $place_id)
    AND ($first_utc::TIMESTAMPTZ IS NULL OR time_utc >= $first_utc)
    AND ($end_utc::TIMESTAMPTZ IS NULL OR time_utc < $end_utc)
    AND ($least_quality::DOUBLE IS NULL OR quality >= $least_quality)
    AND ($max_off_nadir_deg::DOUBLE IS NULL OR off_nadir_deg <= $max_off_nadir_deg)
    AND ($reach_deg::DOUBLE IS NULL OR abs(centre_lat - $lat) <= $reach_deg)
    AND ($lon::DOUBLE IS NULL OR $reach_deg IS NOT NULL OR geometry IS NOT NULL
        AND $lat BETWEEN south AND north AND CASE WHEN west <= east
        THEN $lon BETWEEN west AND east ELSE $lon >= west OR $lon <= east END)
ORDER BY quality DESC NULLS LAST, frame, sha256
"""


@dataclass(frozen=True, kw_only=True)
class PackagePlace:
    """A place on the map, degrees; its title is its name, or where it lies."""

    title: str
    lon: float
    lat: float


@dataclass(frozen=True, kw_only=True)
class PackageChoice:
    """Conditions on frames."""

    place: PackagePlace | None = None  # that they show
    radius_km: float | None = None  # or instead: maximum distance of their centre from it
    place_id: int | None = None  # of the catalogue
    frames: tuple[str, ...] = ()  # ids; empty for all
    verdicts: tuple[str, ...] = ("accepted",)
    first_utc: datetime | None = None
    end_utc: datetime | None = None  # they were taken before it
    least_quality: float | None = None
    max_off_nadir_deg: float | None = None
    best: int | None = None  # maximum number, by best quality


def choose_rows(catalogue: Catalogue, choice: PackageChoice) -> list[dict[str, Any]]:
    """Rows of the catalogue that meet the conditions, the best first.

    Frames without a quality come last; equal ones are sorted by id.
    """
    import shapely

    place, radius_km = choice.place, choice.radius_km

    def is_shown(row: dict[str, Any]) -> bool:
        geometry = row.pop("geometry")
        if place is None:
            return True
        if radius_km is None:
            return bool(shapely.intersects_xy(shapely.from_wkb(geometry), place.lon, place.lat))
        centre = row["centre_lon"], row["centre_lat"]
        if None in centre:  # sky
            return False
        return bool(WGS84.inv(place.lon, place.lat, *centre)[2] <= 1e3 * radius_km)

    named = ("place_id", "first_utc", "end_utc", "least_quality", "max_off_nadir_deg")
    values = {name: getattr(choice, name) for name in named}
    values |= {"verdicts": list(choice.verdicts), "frames": list(choice.frames) or None}
    values |= {"lon": None, "lat": None} if place is None else {"lon": place.lon, "lat": place.lat}
    values["reach_deg"] = None if radius_km is None else radius_km / MIN_KM_PER_DEGREE
    rows = catalogue.ask(CHOSEN, values).dicts()
    return list(islice(filter(is_shown, rows), choice.best))
