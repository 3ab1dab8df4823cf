"""The cities near places, for tables.

Source: GeoNames (geonames.org, CC BY 4.0), spelled as there; see `regengine.places`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regengine.export.stance import LonLat

METRES = 3  # decimals of kilometres: a city's middle is not known better


@dataclass(frozen=True, kw_only=True)
class Town:
    """The city near a place.

    Attributes
    ----------
    city, country : str or None
        Spelled as GeoNames does; None far from all.
    city_km : float or None
        From the place to the city's middle.
    """

    city: str | None = None
    country: str | None = None
    city_km: float | None = None


NOWHERE = Town()


def towns_near(places: Sequence[LonLat | None]) -> list[Town]:
    """The nearest city of each place.

    Parameters
    ----------
    places : sequence of (lon, lat) or None
        Degrees; what is not finite is no place.

    Returns
    -------
    list of Town
        `NOWHERE` for what is no place, and farther than `regengine.places.FARTHEST_KM` from all.
    """
    from regengine.places import place_index

    index, no_place = place_index(), (float("nan"), float("nan"))
    lon, lat = zip(*(no_place if one is None else one for one in places), strict=True)
    numbers, distances = index.near(lon, lat)
    named = {number: index.place(number) for number in set(numbers.tolist())}
    return [
        NOWHERE
        if (place := named[number]) is None
        else Town(city=place.name, country=place.country, city_km=round(distance, METRES))
        for number, distance in zip(numbers.tolist(), distances.tolist(), strict=True)
    ]
