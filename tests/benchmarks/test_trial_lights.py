"""What a photograph shows of the map's lights: nothing lost at borders, the drawn share changed."""

from __future__ import annotations

import numpy as np
import pytest
from trial_parts import Beacons, looking

from benchmarks.trials.lights import SeenWorld, street_gain, thin_patches


def field_of_beacons(step_deg: float = 0.05, power: float = 0.5) -> Beacons:
    lon, lat = np.meshgrid(np.arange(-10.0, 30.0, step_deg), np.arange(30.0, 60.0, step_deg))
    return Beacons(lon.ravel(), lat.ravel(), power)


@pytest.mark.parametrize("off_nadir_deg", [0.0, 40.0, 62.0])
def test_every_light_in_the_picture_is_found_once(off_nadir_deg: float) -> None:
    camera, world = looking(off_nadir_deg), field_of_beacons()
    found = SeenWorld(world, camera, 0.0, 1).mapped
    assert len(np.unique(found.key)) == len(found.key)
    x, y, _, _ = camera.project(world.lon, world.lat)
    inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
    assert set(np.flatnonzero(inside)) <= set(found.key.tolist())
    assert inside.sum() > 1000


def test_the_drawn_share_of_faint_lights_changes() -> None:
    world = field_of_beacons()
    seen = SeenWorld(world, looking(55.0), 0.3, 7)
    kept = np.isin(seen.mapped.key, seen.shown.key)
    new = ~np.isin(seen.shown.key, seen.mapped.key)
    assert np.mean(~kept) == pytest.approx(0.15, abs=0.03)
    assert new.sum() / len(kept) == pytest.approx(0.15, abs=0.03)
    moved = np.hypot(seen.shown.lon[new] % 0.05, seen.shown.lat[new] % 0.05)
    assert np.mean(moved > 1e-6) > 0.99
    other = SeenWorld(world, looking(55.0), 0.3, 8)
    assert set(other.shown.key.tolist()) != set(seen.shown.key.tolist())


def test_thinning_keeps_the_light() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(0, 1, (2, 40_000))
    clusters = Beacons(lon, lat, rng.lognormal(0.0, 1.5, 40_000)).near(0.0, 0.0, 1.0, 1.0)
    fewer = thin_patches(clusters, 8_000)
    assert len(fewer.key) == pytest.approx(8_000, rel=0.1)
    assert fewer.power.sum() == pytest.approx(clusters.power.sum(), rel=0.05)
    assert thin_patches(clusters, 50_000) is clusters


def test_streets_neither_add_nor_take_light() -> None:
    rng = np.random.default_rng(1)
    gain = street_gain(rng.uniform(0, 20, 100_000), rng.uniform(-10, 10, 100_000))
    assert gain.mean() == pytest.approx(1.0, abs=0.05)
    assert gain.min() > 0.0
