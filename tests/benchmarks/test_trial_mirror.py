"""The control in the mirror: map and camera are mirrored alike, and the photo is the seed's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trial_parts import looking

from benchmarks.simulate.cases import SAMPLE_MAP
from benchmarks.simulate.light_map import RadianceMap, write_geotiff
from benchmarks.trials.attempt import camera_of
from benchmarks.trials.mirrored import FIRST_MIRRORED, MirroredMap, in_the_mirror
from benchmarks.trials.run import TrialSettings, open_workshop
from regengine.lights.map import LightMap, open_light_map


@pytest.fixture
def world(tmp_path: Path) -> LightMap:
    """All of the Earth in pixels of a degree, each of its own light."""
    values = np.random.default_rng(3).uniform(1.0, 50.0, (180, 360)).astype(np.float32)
    path = tmp_path / "world.tif"
    write_geotiff(path, RadianceMap(radiance=values, west=-180.0, north=90.0, step_deg=1.0))
    return open_light_map([path])


@pytest.mark.parametrize("west", [-12.0, 165.0])
def test_every_place_has_the_light_of_its_mirror_image(world: LightMap, west: float) -> None:
    mirrored = MirroredMap(original=world)
    grid = mirrored.window(west, 40.0, west + 30.0, 50.0, 1.0)
    rows, cols = np.indices(grid.values.shape)
    lon, lat = grid.lon0_deg + cols * grid.step_deg, grid.lat0_deg - rows * grid.step_deg
    assert grid.to_pixel(np.array([west + 0.5]), np.array([49.5]))[0] == pytest.approx(0.0)
    there = 2.0 * mirrored.meridian_deg - lon
    whole = world.window(-180.0, -90.0, 180.0, 90.0, 1.0)
    x, y = (np.round(value).astype(int) for value in whole.to_pixel(there, lat))
    assert np.array_equal(grid.values, whole.values[y, x])


def test_a_map_of_a_region_stays_where_it_is() -> None:
    original = open_light_map([SAMPLE_MAP])
    mirrored = MirroredMap(original=original)
    box = (*original.info.bounds, 0.1)
    assert np.array_equal(mirrored.window(*box).values, original.window(*box).values[:, ::-1])
    assert mirrored.window(*box).lon0_deg == pytest.approx(original.window(*box).lon0_deg)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_camera_in_the_mirror_sees_the_mirrored_places(flipped: bool) -> None:
    camera = replace(looking(40.0), principal_x=120.0, k1=-0.05, mirrored=flipped)
    x, y = np.array([3.0, 150.0, 290.0]), np.array([190.0, 20.0, 111.0])
    lon, lat = camera_of(camera).pixel_to_lonlat(x, y)
    seen_lon, seen_lat = camera_of(in_the_mirror(camera, 15.0)).pixel_to_lonlat(x, y)
    assert np.isfinite(lon).all()
    assert seen_lon == pytest.approx(30.0 - lon, abs=1e-6)
    assert seen_lat == pytest.approx(lat, abs=1e-6)


@pytest.mark.slow
def test_the_photo_is_the_one_of_its_seed() -> None:
    shop = open_workshop(TrialSettings())
    city, control = shop.draw(5), shop.draw(FIRST_MIRRORED + 5)
    assert (city.kind, control.kind) == ("city", "mirrored_map")
    assert (control.photo, control.tle_text) == (city.photo, city.tle_text)
    assert not control.registrable
    assert isinstance(shop.map_of(control), MirroredMap)
    assert shop.map_of(city) is shop.light_map
