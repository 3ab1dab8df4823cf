"""What places are called: after the nearest city, far from all by where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.places import place_index


def titles(
    lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]
) -> tuple[list[str], list[str | None]]:
    """Names of places and their countries.

    Parameters
    ----------
    lon_deg, lat_deg : ndarray, shape (n,)
        Their middles, degrees.

    Returns
    -------
    names : list of str
        Nearest city as GeoNames spells it; such as ``21.3 N 157.9 W`` far from all.
    countries : list of str or None
        The city's.
    """
    index = place_index()
    near = [index.place(number) for number in index.nearest_of(lon_deg, lat_deg).tolist()]
    names = [
        degrees(lon, lat) if town is None else town.name
        for town, lon, lat in zip(near, lon_deg.tolist(), lat_deg.tolist(), strict=True)
    ]
    return names, [None if town is None else town.country for town in near]


def degrees(lon_deg: float, lat_deg: float) -> str:
    """A place in degrees, such as ``21.3 N 157.9 W``."""
    return f"{abs(lat_deg):.1f} {'NS'[lat_deg < 0]} {abs(lon_deg):.1f} {'EW'[lon_deg < 0]}"
