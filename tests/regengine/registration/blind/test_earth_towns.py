"""Towns of the Earth: each found once, where it is, across strips, pieces and the antimeridian."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from matchers.earth import great_circle_km
from matchers.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.registration.blind.index import towns_of_earth

# A kilometre from borders of strips and pieces, on both sides of the antimeridian, far north
TOWNS = np.array(
    [
        [0.01, -0.01],
        [19.99, 2.01],
        [19.99, 40.3],
        [-179.98, 10.0],
        [179.9, 10.6],
        [33.3, 67.0],
        [-70.1, -53.2],
    ]
)
SIGMA_KM = 2.5


class TownsOnly:
    """A map of some round towns, drawn for each window."""

    info = SimpleNamespace(bounds=(-180.0, -90.0, 180.0, 90.0), resolution_deg=1 / 240)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        near = (TOWNS[:, 1] > south - 1) & (TOWNS[:, 1] < north + 1)
        middle = 0.5 * (west + east)
        turned = middle + (TOWNS[:, 0] - middle + 180.0) % 360.0 - 180.0
        near &= (turned > west - 1) & (turned < east + 1)
        if not near.any():
            raise LightMapError("nothing there", code="outside_map")
        step = resolution_deg * 0.9
        lon = np.arange(west + step / 2, east, step)
        lat = np.arange(north - step / 2, south, -step)
        values = np.zeros((len(lat), len(lon)), np.float32)
        for town_lon, town_lat in zip(turned[near], TOWNS[near, 1], strict=True):
            dx = (lon - town_lon) * 111.195 * np.cos(np.radians(town_lat))
            dy = (lat - town_lat) * 111.195
            values += np.exp(-0.5 * (dx[None] ** 2 + dy[:, None] ** 2) / SIGMA_KM**2)
        return LightGrid(
            values=values, valid=None, lon0_deg=float(lon[0]), lat0_deg=float(lat[0]), step_deg=step
        )


def test_each_town_is_found_once_where_it_is() -> None:
    calls: list[tuple[int, int]] = []
    found = towns_of_earth(TownsOnly(), 2.6, lambda done, total: calls.append((done, total)))
    assert calls[-1][0] == calls[-1][1] == len(calls)
    assert len(found) == len(TOWNS)
    lon, lat = found[:, None, 0], found[:, None, 1]
    apart = great_circle_km(lon, lat, TOWNS[None, :, 0], TOWNS[None, :, 1])
    assert sorted(apart.argmin(axis=1)) == list(range(len(TOWNS)))
    assert apart.min(axis=1).max() < 0.8  # of pixels of 2.6 km
    assert (np.abs(found[:, 0]) <= 180.0).all()


def test_a_map_that_cannot_be_read_is_told() -> None:
    class Damaged(TownsOnly):
        def window(self, *_: float) -> LightGrid:
            raise LightMapError("damaged", code="light_map")

    with pytest.raises(LightMapError, match="damaged"):
        towns_of_earth(Damaged(), 5.2)
