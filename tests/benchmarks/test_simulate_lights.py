"""Worlds of lamps and the maps summed from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import (
    LightMapParameters,
    RadianceMap,
    draw_light_map,
    read_geotiff,
    write_geotiff,
)
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.worlds import (
    Clusters,
    Lamps,
    RasterWorld,
    Realisation,
    TownWorld,
    draw_town_world,
)

REGION = Region(west=-160.0, south=34.0, size_deg=4.0)
FRAMES, MAP = Realisation(number=2), Realisation(number=1)


class OneLamp:
    """A world of a single lamp."""

    def __init__(self, lon: float, lat: float, power: float = 10.0) -> None:
        self.lon, self.lat, self.power = lon, lat, power

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        inside = west <= self.lon <= east and south <= self.lat <= north
        n = int(inside)
        return Clusters(
            key=np.ones(n, np.uint64),
            lon=np.full(n, self.lon),
            lat=np.full(n, self.lat),
            power=np.full(n, self.power),
            radius_m=np.ones(n),
            row=np.zeros(n, np.int64),
        )

    def scatter(self, clusters: Clusters, counts: np.ndarray, realisation: Realisation) -> Lamps:
        n = len(clusters.row)
        return Lamps(
            lon=clusters.lon,
            lat=clusters.lat,
            power=clusters.power,
            colour=np.ones(n, np.uint8),
        )


@pytest.fixture(scope="module")
def world() -> TownWorld:
    return draw_town_world(5, REGION)


def test_wide_blur_keeps_light_and_place() -> None:
    image = np.zeros((121, 161), np.float32)
    image[60, 80] = 1.0
    for sigma in (0.0, 2.0, 15.0):
        out = blur_image(image, sigma)
        rows, cols = np.mgrid[:121, :161]
        assert out.sum() == pytest.approx(1.0, rel=0.02)
        assert (out * cols).sum() / out.sum() == pytest.approx(80.0, abs=0.3)
        assert (out * rows).sum() / out.sum() == pytest.approx(60.0, abs=0.3)


def test_a_world_is_a_land_with_towns_on_it(world: TownWorld) -> None:
    places = world.places
    assert len(places.lon) > 1000
    assert places.is_road.any()
    assert world.land.is_land(places.lon, places.lat).mean() > 0.99
    assert 0.2 < (world.land.height > 0).mean() < 0.9
    assert not world.land.is_land([-170.0], [36.0])[0]
    # Sizes follow a power law: the brightest tenth has most of the light.
    power = np.sort(places.power)[::-1]
    assert power[: len(power) // 10].sum() > 0.6 * power.sum()


def test_realisations_share_places_and_differ_in_lamps(world: TownWorld) -> None:
    clusters = world.near(*REGION.bounds)
    clusters = clusters.take((clusters.power > 200.0) & ~world.places.is_road[clusters.row])
    counts = np.full(len(clusters.row), 400)
    one, two = (world.scatter(clusters, counts, r) for r in (MAP, FRAMES))
    assert len(np.intersect1d(one.lon, two.lon)) == 0

    def town_centre(lamps: Lamps, i: int) -> np.ndarray:
        near = np.hypot(lamps.lon - clusters.lon[i], lamps.lat - clusters.lat[i]) < 0.05
        return np.array([lamps.lon[near].mean(), lamps.lat[near].mean()])

    gap = [np.abs(town_centre(one, i) - town_centre(two, i)).max() for i in range(5)]
    assert max(gap) < 0.01
    total = one.power.sum() / two.power.sum()
    assert 0.5 < total < 2.0
    assert total != pytest.approx(1.0, abs=1e-6)


def test_no_lamps_at_sea(world: TownWorld) -> None:
    clusters = world.near(*REGION.bounds)
    lamps = world.scatter(clusters, np.full(len(clusters.row), 20), FRAMES)
    assert not world.land.is_water(lamps.lon, lamps.lat).any()
    assert set(np.unique(lamps.colour)) == {0, 1, 2}


def test_a_lamp_falls_into_its_pixel_of_the_map_on_disk(tmp_path: Path) -> None:
    lon, lat = -158.4321, 36.7654
    parameters = LightMapParameters(glow_share=0.0, floor_nw=0.0)
    drawn = draw_light_map(OneLamp(lon, lat), (-159.0, 36.0, -158.0, 37.0), MAP, parameters)
    write_geotiff(tmp_path / "map.tif", drawn)
    with rasterio.open(tmp_path / "map.tif") as source:
        grid = source.transform
        col, row = int((lon - grid.c) / grid.a), int((lat - grid.f) / grid.e)
        values = source.read(1)
        assert source.crs.to_epsg() == 4326
        assert source.bounds == pytest.approx((-159.0, 36.0, -158.0, 37.0))
    assert np.unravel_index(values.argmax(), values.shape) == (row, col)
    pixel_km2 = (111.2 / 240.0) ** 2 * np.cos(np.radians(lat))
    assert values.sum() * pixel_km2 == pytest.approx(10.0, rel=0.02)
    again = read_geotiff(tmp_path / "map.tif")
    assert (again.west, again.north, again.step_deg) == pytest.approx((-159.0, 37.0, 1.0 / 240.0))
    np.testing.assert_allclose(again.radiance, drawn.radiance, rtol=0.009)


def small_map() -> RadianceMap:
    radiance = np.zeros((60, 80), np.float32)
    radiance[20, 30], radiance[40, 50] = 20.0, 200.0
    return RadianceMap(radiance=radiance, west=179.5, north=11.0, step_deg=1.0 / 60.0)


def test_raster_lamps_lie_inside_their_pixels() -> None:
    given = small_map()
    world = RasterWorld.from_raster(
        given.radiance, west=given.west, north=given.north, step_deg=given.step_deg
    )
    clusters = world.near(179.0, 9.0, 182.0, 12.0)
    assert len(clusters.row) == 2
    lamps = world.scatter(clusters, np.array([4000, 4000]), replace(FRAMES, gone_fraction=0.0))
    column = (lamps.lon - given.west) * 60.0
    row = (given.north - lamps.lat) * 60.0
    assert set(zip(np.floor(row).astype(int), np.floor(column).astype(int), strict=True)) == {
        (20, 30),
        (40, 50),
    }
    # Spread over the pixel on a scale much finer than a quarter of it.
    inside = np.floor(8.0 * (column[:4000] % 1.0)) + 8.0 * np.floor(8.0 * (row[:4000] % 1.0))
    assert len(np.unique(inside)) == 64
    # Powers add up to radiance times area, but for the gains of town and district.
    area = (111.2 / 60.0) ** 2
    assert 0.3 < lamps.power[:4000].sum() / (20.0 * area) < 3.0


def test_raster_of_classes_on_disk(tmp_path: Path) -> None:
    classes = np.zeros((50, 40), np.uint8)
    classes[10, 20] = 6
    with rasterio.open(
        tmp_path / "classes.tif",
        "w",
        driver="GTiff",
        width=40,
        height=50,
        count=1,
        dtype="uint8",
        crs="EPSG:4326",
        transform=rasterio.Affine(0.1, 0.0, 5.0, 0.0, -0.1, 45.0),
    ) as target:
        target.write(classes, 1)
    table = np.zeros(256)
    table[6] = 17.0
    clusters = RasterWorld.from_file(tmp_path / "classes.tif", table).near(0.0, 40.0, 10.0, 46.0)
    np.testing.assert_allclose([clusters.lon[0], clusters.lat[0]], [7.05, 43.95])
    size_km2 = (0.1 * 111.2) ** 2 * np.cos(np.radians(43.95))
    assert clusters.power[0] == pytest.approx(17.0 * size_km2, rel=1e-6)
    plain = RasterWorld.from_file(tmp_path / "classes.tif").near(0.0, 40.0, 10.0, 46.0)
    assert plain.power[0] == pytest.approx(6.0 * size_km2, rel=1e-6)
