"""A self-made world: lamps along the streets of invented towns and roads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.lamps import (
    COLD_WHITE,
    SODIUM,
    WARM_WHITE,
    Clusters,
    Lamps,
    Realisation,
    district_gain,
)
from benchmarks.simulate.land import Land, PlaceParameters, Places, Region, draw_land, settle
from benchmarks.simulate.noise import UintArray, key_of, normal, uniform
from detectors.types import FloatArray

METRES_PER_DEGREE = 111_200.0


@dataclass(frozen=True, kw_only=True)
class TownWorld:
    """Towns and roads of an invented land, each with its own streets."""

    seed: int
    land: Land
    places: Places
    key: UintArray = field(repr=False)

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        """Places whose centres lie in a box of degrees."""
        lon, lat = self.places.lon, self.places.lat
        row = np.flatnonzero((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))
        return Clusters(
            key=self.key[row],
            lon=lon[row],
            lat=lat[row],
            power=self.places.power[row],
            radius_m=self.places.radius_m[row],
            row=row,
        )

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps of the places, so many in each."""
        # Villages come and go, cities stay.
        gone = realisation.gone_fraction * np.minimum(np.sqrt(20.0 / clusters.power), 1.5)
        counts = np.where(uniform(clusters.key, 900 + realisation.number) < gone, 0, counts)
        which = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        key = key_of(clusters.key[which], number, realisation.number)
        is_road = self.places.is_road[clusters.row]
        east, north, weight = _street_plan(
            key,
            clusters.key,
            which,
            clusters.radius_m,
            self.places.angle_rad[clusters.row],
            is_road,
        )
        lat = clusters.lat[which] + north / METRES_PER_DEGREE
        lon = clusters.lon[which] + east / (
            METRES_PER_DEGREE * np.cos(np.radians(clusters.lat[which]))
        )
        gain = np.exp(realisation.gain_sigma * normal(clusters.key, 950 + realisation.number))
        power = (clusters.power * np.clip(gain, 0.3, 3.0) / np.maximum(counts, 1))[which]
        power = power * weight * district_gain(lon, lat, realisation, common_sigma=0.55)
        sodium_share = 0.2 + 0.75 * uniform(clusters.key, 11)
        draw = uniform(key, 12)
        cold = draw > sodium_share[which] + 0.6 * (1.0 - sodium_share[which])
        colour = np.where(
            draw < sodium_share[which], SODIUM, np.where(cold, COLD_WHITE, WARM_WHITE)
        )
        lit = ~self.land.is_water(lon, lat)
        return Lamps(
            lon=lon[lit], lat=lat[lit], power=power[lit], colour=colour[lit].astype(np.uint8)
        )


def draw_town_world(
    seed: int, region: Region, parameters: PlaceParameters | None = None
) -> TownWorld:
    """Invent a world of towns in a region."""
    rng = np.random.default_rng([seed, 1])
    land = draw_land(rng, region)
    places = settle(rng, land, parameters or PlaceParameters())
    return TownWorld(seed=seed, land=land, places=places, key=places.keys(seed))


def _street_plan(
    key: UintArray,
    place_key: UintArray,
    which: NDArray[np.int64],
    radius_m: FloatArray,
    angle_rad: FloatArray,
    is_road: NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """East and north of the place's centre in metres, and relative power, of each lamp."""
    scale = radius_m[which]
    kind = uniform(key, 1)
    bearing = 2.0 * np.pi * uniform(key, 2)
    reach = scale * np.sqrt(-np.log(uniform(key, 3))) * _lobes(bearing, place_key, which)
    x, y = _on_grid(key, reach * np.cos(bearing), reach * np.sin(bearing), place_key, which)
    arm = (kind > 0.70) & (kind < 0.88) & (scale > 900.0)
    if arm.any():
        x[arm], y[arm] = _on_arm(key[arm], place_key, which[arm], scale[arm])
    ring = (kind >= 0.88) & (kind < 0.90) & (scale > 3000.0)
    if ring.any():
        circle = scale[ring] * (1.0 + 0.08 * np.cos(3.0 * bearing[ring]))
        x[ring], y[ring] = circle * np.cos(bearing[ring]), circle * np.sin(bearing[ring])
    strip = is_road[which]
    if strip.any():
        x[strip] = scale[strip] * (2.0 * uniform(key[strip], 4) - 1.0)
        y[strip] = 25.0 * normal(key[strip], 5)
    turn = angle_rad[which]
    east = np.cos(turn) * x - np.sin(turn) * y
    north = np.sin(turn) * x + np.cos(turn) * y
    return east, north, -np.log(uniform(key, 6))


def _lobes(bearing: FloatArray, place_key: UintArray, which: NDArray[np.int64]) -> FloatArray:
    """Towns are not round: how far they reach in a direction."""
    lobes = np.ones_like(bearing)
    for order, stream in ((1, 20), (2, 22), (3, 24)):
        size = 0.30 * uniform(place_key, stream)[which]
        phase = 2.0 * np.pi * uniform(place_key, stream + 1)[which]
        lobes += size * np.cos(order * bearing - phase)
    return np.asarray(np.maximum(lobes, 0.2))


def _on_grid(
    key: UintArray,
    x: FloatArray,
    y: FloatArray,
    place_key: UintArray,
    which: NDArray[np.int64],
) -> tuple[FloatArray, FloatArray]:
    """Move most lamps to the nearest street of a grid; every sixth street is an avenue."""
    spacing = (110.0 + 160.0 * uniform(place_key, 30))[which]
    draw = uniform(key, 7)
    spacing = np.where(draw < 0.30, 6.0 * spacing, spacing)
    along_x = uniform(key, 8) < 0.5
    snapped_x = np.where(along_x, x, np.round(x / spacing) * spacing)
    snapped_y = np.where(along_x, np.round(y / spacing) * spacing, y)
    loose = draw > 0.85
    return np.where(loose, x, snapped_x), np.where(loose, y, snapped_y)


def _on_arm(
    key: UintArray, place_key: UintArray, which: NDArray[np.int64], scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Lamps of the arterial roads that leave the town, gently curved."""
    arms = 3 + (5.0 * uniform(place_key, 31)[which]).astype(np.int64)
    arm = (arms * uniform(key, 9)).astype(np.int64)
    arm_key = key_of(place_key[which], arm)
    distance = -1.1 * scale * np.log(uniform(key, 10))
    heading = 2.0 * np.pi * (arm + 0.5 * uniform(arm_key, 1)) / arms
    heading = heading + 0.35 * (uniform(arm_key, 2) - 0.5) * distance / scale
    sideways = 15.0 * normal(key, 11)
    return (
        distance * np.cos(heading) - sideways * np.sin(heading),
        distance * np.sin(heading) + sideways * np.cos(heading),
    )
