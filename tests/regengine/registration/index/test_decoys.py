"""Decoys: the same lights at another longitude, found there as they are found here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matchers.earth import ecef_to_geodetic, great_circle_km, surface_to_lonlat
from matchers.light_grid import LightGrid
from regengine.lights.map import LightMap
from regengine.lights.source import LightMapInfo
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import position_from_nadir
from regengine.orbit.rotation import turn_about_pole
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import read_frame
from regengine.registration.candidates import SAME_SHARE, same_view
from regengine.registration.decoys import (
    TurnedIndex,
    TurnedMap,
    decoy_of,
    turn_for,
    turned_back,
)
from regengine.registration.index.earth import EarthIndex
from regengine.registration.outcome import result_of
from regengine.registration.preparation import prepare
from regengine.registration.register import search_decoy, search_frame
from regengine.registration.search import RegisterParams, SearchAids
from tests.regengine.registration.index.conftest import SAMPLES
from tests.regengine.registration.index.test_blind_register import STEEP

TURN_DEG = 105.0
PHOTO = SAMPLES / f"{STEEP}.jpg"
WORK = RegisterParams(most_work=3.0)


class World:
    """The samples' map as one of the whole Earth, dark elsewhere."""

    def __init__(self, light_map: LightMap) -> None:
        self.light_map = light_map

    @property
    def info(self) -> LightMapInfo:
        return replace(self.light_map.info, bounds=(-180.0, -90.0, 180.0, 90.0))

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        return self.light_map.window(west, south, east, north, resolution_deg)

    def overview(self, resolution_deg: float) -> LightGrid | None:
        return self.light_map.overview(resolution_deg)


def test_a_turned_map_has_every_light_so_much_farther_west(light_map: LightMap) -> None:
    west, south, east, north = light_map.info.bounds
    plain = light_map.window(west, south, east, north, 0.05)
    turned = TurnedMap(light_map=light_map, turn_deg=TURN_DEG)
    grid = turned.window(west - TURN_DEG, south, east - TURN_DEG, north, 0.05)
    assert np.array_equal(grid.values, plain.values)
    assert grid.lon0_deg == pytest.approx(plain.lon0_deg - TURN_DEG)


def test_a_turned_index_has_the_same_figures_so_much_farther_west(index: EarthIndex) -> None:
    level = max(index.levels)
    whole = index.levels[level]
    there = turn_about_pole(whole.vectors[:3], -np.radians(TURN_DEG))
    turned = TurnedIndex(
        levels=index.levels, patches=index.patches, turn_rad=np.radians(TURN_DEG)
    ).around(there, 0.1)
    plain = index.around(whole.vectors[:3], 0.1)
    here, moved = plain.levels[level], turned.levels[level]
    assert len(moved.vectors) > 3
    lon, lat = surface_to_lonlat(here.vectors)
    lon_there, lat_there = surface_to_lonlat(moved.vectors)
    assert great_circle_km(lon, lat, lon_there + TURN_DEG, lat_there).max() < 1e-3
    assert np.array_equal(moved.figures.codes, here.figures.codes)
    assert moved.point_tree.query(moved.vectors[1])[1] == 1


@pytest.mark.slow
def test_a_photo_is_found_on_a_turned_map_as_on_the_map_itself(
    light_map: LightMap, index: EarthIndex
) -> None:
    """By construction: seen from so much farther west, the turned map looks the same."""
    frame = read_frame(PHOTO)
    world = World(light_map)
    position = choose_position(frame, load_tle_file(SAMPLES / "tle.txt"))
    found = search_frame(frame, position, world, WORK, SearchAids(index=index))
    assert found.best is not None
    lon, lat, height_m = (float(v) for v in ecef_to_geodetic(found.best.camera.position_ecef_m))
    farther = position_from_nadir(
        lon - TURN_DEG, lat, height_m / 1e3, "option", sigma_km=(30.0, 30.0, 5.0)
    )
    turned = search_frame(
        frame,
        farther,
        TurnedMap(light_map=world, turn_deg=TURN_DEG),
        WORK,
        SearchAids(
            index=TurnedIndex(
                levels=index.levels, patches=index.patches, turn_rad=np.radians(TURN_DEG)
            )
        ),
    )
    assert turned.best is not None
    assert turned.best.evidence.tested
    back = turned_back(turned.best.camera, TURN_DEG)
    assert same_view(back, found.best.camera, 0.1 * SAME_SHARE)
    # The decoy of the photo itself has nothing but dark sea below
    decoy = search_decoy(found)
    assert decoy is not None
    assert result_of(decoy).verdict == "no_match"


def test_the_turn_is_one_with_as_many_towns_in_sight(index: EarthIndex) -> None:
    level = max(index.levels)
    towns = index.levels[level].vectors
    twice = np.concatenate([towns, turn_about_pole(towns, np.radians(TURN_DEG))])
    two = EarthIndex(
        levels={level: replace(index.levels[level], vectors=twice)}, patches=index.patches
    )
    lon, lat = surface_to_lonlat(towns[:1])
    above = position_from_nadir(float(lon[0]), float(lat[0]), 410.0, "option", sigma_km=(5, 5, 2))
    assert turn_for(above, two) == TURN_DEG


def test_there_are_no_decoys_on_a_map_of_a_region(light_map: LightMap, index: EarthIndex) -> None:
    frame = read_frame(PHOTO)
    position = choose_position(frame, load_tle_file(SAMPLES / "tle.txt"))
    assert decoy_of(prepare(frame, position, light_map, WORK, SearchAids(index=index))) is None
