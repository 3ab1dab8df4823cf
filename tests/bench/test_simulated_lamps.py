"""Worlds of lamps, the maps summed from them, and what a photograph shows of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import (
    LightMapParameters,
    draw_light_map,
    read_geotiff,
    write_geotiff,
)
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.worlds import Lamps, RasterWorld, Realisation, TownWorld, draw_town_world
from benchmarks.trials.lights import street_gain, thin_patches
from benchmarks.trials.photograph import Photograph, separable_places
from tests.world.lamps import CLEAN, Beacons, looking

REGION = Region(west=-160.0, south=34.0, size_deg=4.0)
FRAMES, MAP = Realisation(number=2), Realisation(number=1)
STEP_DEG = 1.0 / 240.0


@pytest.fixture(scope="module")
def world() -> TownWorld:
    return draw_town_world(5, REGION)


def test_wide_blur_keeps_light_and_place() -> None:
    image = np.zeros((121, 161), np.float32)
    image[60, 80] = 1.0
    rows, cols = np.mgrid[:121, :161]
    for sigma in (0.0, 2.0, 15.0):
        out = blur_image(image, sigma)
        assert out.sum() == pytest.approx(1.0, rel=0.02)
        assert (out * cols).sum() / out.sum() == pytest.approx(80.0, abs=0.3)
        assert (out * rows).sum() / out.sum() == pytest.approx(60.0, abs=0.3)


def test_a_world_is_a_land_with_towns_on_it(world: TownWorld) -> None:
    places = world.places
    assert world.land.is_land(places.lon, places.lat).mean() > 0.99
    assert not world.land.is_land([-170.0], [36.0])[0]
    # Sizes follow a power law: the brightest tenth has most of the light
    power = np.sort(places.power)[::-1]
    assert power[: len(power) // 10].sum() > 0.6 * power.sum()
    lamps = world.scatter(near := world.near(*REGION.bounds), np.full(len(near.row), 20), FRAMES)
    assert not world.land.is_water(lamps.lon, lamps.lat).any()
    assert set(np.unique(lamps.colour)) == {0, 1, 2}


def test_realisations_share_places_and_differ_in_lamps(world: TownWorld) -> None:
    clusters = world.near(*REGION.bounds)
    clusters = clusters.take((clusters.power > 200.0) & ~world.places.is_road[clusters.row])
    counts = np.full(len(clusters.row), 400)
    one, two = (world.scatter(clusters, counts, r) for r in (MAP, FRAMES))
    assert len(np.intersect1d(one.lon, two.lon)) == 0

    def town_centre(lamps: Lamps, i: int) -> np.ndarray:
        near = np.hypot(lamps.lon - clusters.lon[i], lamps.lat - clusters.lat[i]) < 0.05
        return np.array([lamps.lon[near].mean(), lamps.lat[near].mean()])

    assert max(np.abs(town_centre(one, i) - town_centre(two, i)).max() for i in range(5)) < 0.01
    assert 0.5 < one.power.sum() / two.power.sum() < 2.0


def test_a_lamp_falls_into_its_pixel_of_the_map_on_disk(tmp_path: Path) -> None:
    lon, lat = -158.4321, 36.7654
    parameters = LightMapParameters(glow_share=0.0, floor_nw=0.0)
    lamp = Beacons(np.array([lon]), np.array([lat]), 10.0)
    drawn = draw_light_map(lamp, (-159.0, 36.0, -158.0, 37.0), MAP, parameters)
    write_geotiff(tmp_path / "map.tif", drawn)
    with rasterio.open(tmp_path / "map.tif") as source:
        grid, values = source.transform, source.read(1)
        assert source.crs.to_epsg() == 4326
    at = int((lat - grid.f) / grid.e), int((lon - grid.c) / grid.a)
    assert np.unravel_index(values.argmax(), values.shape) == at
    pixel_km2 = (111.2 * STEP_DEG) ** 2 * np.cos(np.radians(lat))
    assert values.sum() * pixel_km2 == pytest.approx(10.0, rel=0.02)
    again = read_geotiff(tmp_path / "map.tif")
    assert (again.west, again.north, again.step_deg) == pytest.approx((-159.0, 37.0, STEP_DEG))
    np.testing.assert_allclose(again.radiance, drawn.radiance, rtol=0.009)


def test_raster_lamps_lie_inside_their_pixels() -> None:
    radiance = np.zeros((60, 80), np.float32)
    radiance[20, 30], radiance[40, 50] = 20.0, 200.0
    world = RasterWorld.from_raster(radiance, west=179.5, north=11.0, step_deg=1.0 / 60.0)
    clusters = world.near(179.0, 9.0, 182.0, 12.0)
    lamps = world.scatter(clusters, np.array([4000, 4000]), replace(FRAMES, gone_fraction=0.0))
    column, row = (lamps.lon - 179.5) * 60.0, (11.0 - lamps.lat) * 60.0
    pixels = set(zip(np.floor(row).astype(int), np.floor(column).astype(int), strict=True))
    assert pixels == {(20, 30), (40, 50)}
    # Powers add up to radiance times area, but for the gains of town and district
    assert 0.3 < lamps.power[:4000].sum() / (20.0 * (111.2 / 60.0) ** 2) < 3.0


def test_raster_of_classes_on_disk(tmp_path: Path) -> None:
    classes = np.zeros((1, 50, 40), np.uint8)
    classes[0, 10, 20] = 6
    path = tmp_path / "classes.tif"
    shape = {"width": 40, "height": 50, "count": 1, "dtype": "uint8", "crs": "EPSG:4326"}
    transform = rasterio.Affine(0.1, 0.0, 5.0, 0.0, -0.1, 45.0)
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **shape) as target:
        target.write(classes)
    size_km2 = (0.1 * 111.2) ** 2 * np.cos(np.radians(43.95))
    for table, radiance in ((17.0 * (np.arange(256) == 6), 17.0), (None, 6.0)):
        clusters = RasterWorld.from_file(path, table).near(0.0, 40.0, 10.0, 46.0)
        np.testing.assert_allclose([clusters.lon[0], clusters.lat[0]], [7.05, 43.95])
        assert clusters.power[0] == pytest.approx(radiance * size_km2, rel=1e-6)


# What one camera sees of a world


def test_neither_thinning_nor_streets_add_or_take_light() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(0, 1, (2, 40_000))
    clusters = Beacons(lon, lat, rng.lognormal(0.0, 1.5, 40_000)).near(0.0, 0.0, 1.0, 1.0)
    fewer = thin_patches(clusters, 8_000)
    assert len(fewer.key) == pytest.approx(8_000, rel=0.1)
    assert fewer.power.sum() == pytest.approx(clusters.power.sum(), rel=0.05)
    gain = street_gain(rng.uniform(0, 20, 100_000), rng.uniform(-10, 10, 100_000))
    assert gain.mean() == pytest.approx(1.0, abs=0.05)


# Separable lit places


def places_of(camera: SimCamera, beacons: Beacons, level: float, scene=CLEAN):
    """Places of a picture that one level of light fills."""
    lamps = np.full((camera.height_px, camera.width_px), level, np.float32)
    dark = np.zeros_like(lamps)
    picture = np.zeros((*lamps.shape, 3), np.uint8)
    photo = Photograph(picture=picture, lamps=lamps, veil=dark, opaque=dark, cover=dark)
    clusters = beacons.near(-180.0, -90.0, 180.0, 90.0)
    return separable_places(camera, clusters, STEP_DEG, photo, scene)


def grid_of_beacons(camera: SimCamera, spacing_px: int) -> Beacons:
    x, y = np.meshgrid(
        np.arange(20.0, camera.width_px - 20, spacing_px),
        np.arange(20.0, camera.height_px - 20, spacing_px),
    )
    lon, lat, _ = camera.ground(x.ravel(), y.ravel())
    return Beacons(lon, lat, np.linspace(1.0, 2.0, len(lon)))


def test_places_apart_are_all_counted_where_they_are() -> None:
    camera = looking(focal_px=600.0)  # 0.67 km a pixel: coarser than the map
    beacons = grid_of_beacons(camera, 20)
    places = places_of(camera, beacons, 0.2)
    assert len(places) == len(beacons.lon)
    x, y, _, _ = camera.project(beacons.lon, beacons.lat)
    for px, py in zip(places.x, places.y, strict=True):
        assert np.hypot(x - px, y - py).min() < 1.0


def test_of_two_places_within_four_map_pixels_the_brighter_counts() -> None:
    camera = looking(focal_px=4000.0)  # 0.1 km a pixel: finer than the map
    lon, lat, _ = camera.ground(150.0, 100.0)
    for distance_px, expected in ((3.4, 1), (4.6, 2)):
        brighter = lat + distance_px * STEP_DEG
        pair = Beacons(np.array([lon, lon]), np.array([lat, brighter]), np.array([1.0, 2.0]))
        places = places_of(camera, pair, 0.5)
        assert len(places) == expected
        assert places.lat[0] == pytest.approx(brighter, abs=STEP_DEG)


@pytest.mark.parametrize("focal_px", [600.0, 4000.0])
def test_a_place_stands_five_sigma_out_of_the_noise(focal_px: float) -> None:
    camera = looking(focal_px=focal_px)
    beacons = grid_of_beacons(camera, 40)
    scene = replace(CLEAN, read_noise_electrons=100.0, full_well_electrons=1e4)
    # 1 % of noise a pixel; a finer photo averages the 0.46 km of a map pixel
    map_px = STEP_DEG * 111_200.0 * np.sqrt(np.cos(np.radians(45.0))) * focal_px / 400e3
    side = max(1.0, 2.0 ** round(np.log2(map_px)))
    for times, counted in ((4.0, 0), (8.0, len(beacons.lon))):
        assert len(places_of(camera, beacons, times * 0.01 / side, scene)) == counted
