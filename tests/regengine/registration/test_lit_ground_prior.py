"""Where and when city lights are photographed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from pyproj import Geod

from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.light_grid import LightGrid
from regengine.orbit import sun_direction, sun_moon
from regengine.registration.priors.lit_ground import (
    SUN_DEG,
    SUN_NEG_LOG_PRIOR,
    measure_lit_ground,
    weigh_places,
)

REACH_KM = 800.0

WGS84 = Geod(ellps="WGS84")
TIME = datetime(2016, 5, 1, 13, tzinfo=UTC)


def world_with(*towns: tuple[float, float], step_deg: float = 0.5) -> LightGrid:
    """One lit pixel around each longitude and latitude."""
    rows, cols = round(180.0 / step_deg), round(360.0 / step_deg)
    values = np.zeros((rows, cols), np.float32)
    for lon, lat in towns:
        values[int((90.0 - lat) / step_deg), int((lon + 180.0) / step_deg)] = 1.0
    return LightGrid(
        values=values,
        lon0_deg=-180.0 + 0.5 * step_deg,
        lat0_deg=90.0 - 0.5 * step_deg,
        step_deg=step_deg,
    )


class OverviewMap:
    """A map that has an overview."""

    def __init__(self, whole: LightGrid) -> None:
        self.whole = whole

    def overview(self, resolution_deg: float) -> LightGrid:
        assert resolution_deg == self.whole.step_deg
        return self.whole


@pytest.mark.parametrize(
    "town", [(10.25, 0.25), (-179.75, 45.25), (100.25, -72.75), (30.25, 86.25)]
)
def test_light_counts_as_far_as_a_circle_reaches(town: tuple[float, float]) -> None:
    """Across the antimeridian and around the poles, too."""
    summed = 10.0 ** measure_lit_ground(OverviewMap(world_with(town))) - 1.0
    lit = summed > 1e-6
    lon, lat = np.meshgrid(np.arange(360) - 179.5, np.arange(180) - 89.5)
    middle = np.floor(town[0]) + 0.5, np.floor(town[1]) + 0.5
    away = WGS84.inv(lon, lat, *(np.full(lon.shape, at) for at in middle))[2] / 1e3
    assert lit[away < REACH_KM - 120.0].all()
    assert not lit[away > REACH_KM + 120.0].any()
    if abs(town[1]) < 60.0:  # as far to the north as to the south, and to the east as to the west
        rows = np.flatnonzero(lit.any(axis=1))
        assert (rows[0] + rows[-1]) / 2 == int(np.floor(town[1])) + 90
        own = int(np.floor(town[0])) + 180
        assert np.array_equal(
            np.roll(lit, -own, axis=1)[:, 1:], np.roll(lit, -own, axis=1)[:, :0:-1]
        )
    # Half a degree square, once
    area_km2 = 55.6**2 * np.cos(np.radians(town[1]))
    assert summed[lit] == pytest.approx(area_km2, rel=0.01)


def test_the_ocean_is_less_likely_than_a_land_of_cities() -> None:
    rng = np.random.default_rng(3)
    towns = [(float(lon), float(lat)) for lon, lat in rng.uniform([0, 40], [15, 55], (300, 2))]
    lit_dex = measure_lit_ground(OverviewMap(world_with(*towns)))
    places = geodetic_to_ecef(np.array([7.0, -40.0]), np.array([48.0, 30.0]), 410e3)
    night = -sun_direction(TIME)
    land, ocean = weigh_places(places, lit_dex, night) - weigh_places(places, None, night)
    assert ocean == pytest.approx(3.2)
    assert land < ocean - 4.0


@pytest.mark.parametrize(
    ("lon", "lat"), [(-75.0, 40.0), (160.0, -20.0), (100.0, 5.0), (20.0, 50.0)]
)
def test_twilight_is_less_likely_than_night(lon: float, lat: float) -> None:
    place = geodetic_to_ecef(lon, lat, 410e3)[None]
    elevation = sun_moon(TIME, lon, lat).sun_elevation_deg
    expected = np.interp(elevation, SUN_DEG, SUN_NEG_LOG_PRIOR)
    neg_log_prior = weigh_places(place, None, sun_direction(TIME))
    # The geodetic vertical is 0.2 degrees beside the geocentric
    assert neg_log_prior == pytest.approx([expected], abs=0.06)
    assert (np.diff(SUN_NEG_LOG_PRIOR) > 0.0).all()
