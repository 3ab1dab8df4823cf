"""With the nadir known, the azimuth alone is searched, and found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.dense import Peak
from matchers.earth import intersect_ellipsoid
from matchers.light_grid import LightGrid, pyramid
from matchers.panorama import (
    Panorama,
    map_panorama,
    panorama,
    search_azimuth,
)
from matchers.photo_light import detail
from tests.matchers.lamp_world import (
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    drawn_camera,
    east_north_up,
    geodetic,
    light_grid,
    log_picture,
    town_lamps,
)

WEST, SOUTH, EAST, NORTH = -20.0, 26.0, 46.0, 62.0
FARTHEST_DEG = 67.0
WIDTH, HEIGHT = 96, 64
DETAIL_PX = 4.0
SIDES = {"width": WIDTH, "height": HEIGHT}
FINISH = {"smooth_px": 0.8, "detail_px": DETAIL_PX}


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(1, WEST, SOUTH, EAST, NORTH, towns=9000, lamps_per_town=15, radius_km=5.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return pyramid(light_grid(lamps, WEST, SOUTH, EAST, NORTH, 0.05), 5)


def random_camera(seed: int) -> Camera:
    """An oblique that shows the limb or comes near it, with a lens of 24 to 50 mm."""
    rng = np.random.default_rng(seed)
    camera = drawn_camera(rng, (8.0, 18.0), (41.0, 47.0), (46.0, 66.0), **SIDES)
    return replace(camera, focal_px=WIDTH / 36.0 * float(rng.choice([24.0, 28.0, 35.0, 50.0])))


def nadir_of(camera: Camera) -> FloatArray:
    """Direction of the nadir in the camera frame, by PROJ."""
    lon, lat, _ = geodetic(camera.position_ecef_m)
    down = -east_north_up(float(lon), float(lat))[2]
    return Rotation.from_quat(camera.quaternion).inv().apply(down)


def leaning(nadir: FloatArray, angle_deg: float) -> FloatArray:
    """The nadir moved away from the boresight by an angle."""
    axis = np.cross([0.0, 0.0, 1.0], nadir)
    axis *= np.radians(angle_deg) / np.linalg.norm(axis)
    return Rotation.from_rotvec(axis).apply(nadir)


def beside(nadir: FloatArray, angle_deg: float) -> FloatArray:
    """The nadir moved across that by an angle."""
    axis = np.cross(nadir, np.cross([0.0, 0.0, 1.0], nadir))
    axis *= np.radians(angle_deg) / np.linalg.norm(axis)
    return Rotation.from_rotvec(axis).apply(nadir)


def panorama_of(truth: Camera, lamps: LampWorld, nadir: FloatArray) -> Panorama:
    values = detail(log_picture(truth, lamps), DETAIL_PX)
    blank = replace(truth, quaternion=(0.0, 0.0, 0.0, 1.0))
    wanted = panorama(values, np.ones_like(values), blank, nadir, FARTHEST_DEG, **FINISH)
    assert wanted is not None
    return wanted


def found_from(truth: Camera, lamps: LampWorld, nadir: FloatArray, levels: object) -> list[Peak]:
    wanted = panorama_of(truth, lamps, nadir)
    return search_azimuth(levels, wanted, truth.position_ecef_m)  # type: ignore[arg-type]


def miss_px(found: Camera, truth: Camera) -> float:
    """How far the ground that counts moves in the found camera's picture, median."""
    x, y = np.meshgrid(np.linspace(3.0, WIDTH - 4.0, 13), np.linspace(3.0, HEIGHT - 4.0, 9))
    ground = truth.pixel_to_ecef(x, y)
    down = np.einsum("...k,k", ground - truth.position_ecef_m, -east_north_up_of(truth))
    lean = np.arccos(down / np.linalg.norm(ground - truth.position_ecef_m, axis=-1))
    counts = np.degrees(lean) < FARTHEST_DEG
    assert counts.sum() > 5
    at_x, at_y = found.ecef_to_pixel(ground[counts])
    moved = np.hypot(at_x - x[counts], at_y - y[counts])
    return float(np.median(np.where(np.isfinite(moved), moved, 1e3)))


def east_north_up_of(camera: Camera) -> FloatArray:
    lon, lat, _ = geodetic(camera.position_ecef_m)
    return east_north_up(float(lon), float(lat))[2]


@pytest.mark.parametrize("seed", range(12))
def test_the_attitude_is_found_from_the_right_nadir(
    lamps: LampWorld, levels: Levels, seed: int
) -> None:
    truth = random_camera(seed)
    peaks = found_from(truth, lamps, nadir_of(truth), levels)
    best = peaks[0]
    assert miss_px(best.camera, truth) < 1.5
    assert angle_between_deg(best.camera, truth) < 1.5
    assert best.score > 0.7
    assert best.camera.position_ecef_m == truth.position_ecef_m
    assert best.camera.focal_px == truth.focal_px
    # Nothing else comes near: the search is a test of the whole circle
    assert peaks[1].score < 0.4


@pytest.mark.parametrize("angle_deg", [-1.2, -0.6, 0.6, 1.2])
@pytest.mark.parametrize("seed", [1, 3, 9])
def test_a_nadir_that_leans_wrongly_is_put_right(
    lamps: LampWorld, levels: Levels, seed: int, angle_deg: float
) -> None:
    """Shifts down the panorama are turns of the camera: of the error less than a half is left."""
    truth = random_camera(seed)
    best = found_from(truth, lamps, leaning(nadir_of(truth), angle_deg), levels)[0]
    believed = np.degrees(np.arccos(nadir_of(truth)[2])) + angle_deg
    assert abs(best.camera.off_nadir_deg - believed) > 0.5 * abs(angle_deg)
    assert abs(best.camera.off_nadir_deg - truth.off_nadir_deg) < 0.5
    # A row is up to 0.77 degrees; uncorrected, 1.2 degrees are 1.6 px and more
    assert miss_px(best.camera, truth) < 1.2


@pytest.mark.parametrize("angle_deg", [-1.0, 1.0])
def test_a_nadir_that_is_rolled_wrongly_does_not_hide_the_azimuth(
    lamps: LampWorld, levels: Levels, angle_deg: float
) -> None:
    truth = random_camera(1)
    best = found_from(truth, lamps, beside(nadir_of(truth), angle_deg), levels)[0]
    assert miss_px(best.camera, truth) < 2.0
    assert angle_between_deg(best.camera, truth) < 2.0


def test_a_picture_that_holds_the_nadir_is_found(lamps: LampWorld, levels: Levels) -> None:
    """A lens of 16 mm, straight down to the limb: rows begin at the nadir itself."""
    lens = {"focal_px": 43.0, **SIDES}
    truth = camera_over(12.0, 44.0, off_nadir=33.0, azimuth=250.0, roll=100.0, **lens)
    wanted = panorama_of(truth, lamps, nadir_of(truth))
    assert np.degrees(wanted.off_nadir_rad[0]) < 3.0
    best = search_azimuth(levels, wanted, truth.position_ecef_m)[0]
    assert miss_px(best.camera, truth) < 1.5


def oblique(azimuth: float) -> Camera:
    """A view of 56 degrees from the vertical, with a lens of 35 mm."""
    lens = {"focal_px": 93.0, **SIDES}
    return camera_over(12.0, 44.0, off_nadir=56.0, azimuth=azimuth, roll=15.0, **lens)


def ending_map(grid: LightGrid, truth: Camera, kept_share: float, side: str) -> LightGrid:
    """The map without what lies beyond a meridian that leaves a share of the view on one side.

    Where it holds no data the land stands upside down: whoever counts that is misled.
    """
    x, y = np.meshgrid(np.arange(float(WIDTH)), np.arange(float(HEIGHT)))
    lon, _ = truth.pixel_to_lonlat(x, y)
    columns = grid.lon0_deg + np.arange(grid.values.shape[1]) * grid.step_deg
    if side == "east":
        kept = columns > np.nanquantile(lon, 1.0 - kept_share)
    else:
        kept = columns < np.nanquantile(lon, kept_share)
    valid = np.broadcast_to(kept, grid.values.shape).copy()
    return replace(grid, values=np.where(valid, grid.values, grid.values[::-1]), valid=valid)


@pytest.mark.parametrize("side", ["west", "east"])
def test_a_map_that_ends_inside_the_view_is_searched_where_it_is(
    lamps: LampWorld, levels: Levels, side: str
) -> None:
    """Of the ground in view a quarter lies where the map holds nothing."""
    truth = oblique(10.0)
    nadir = nadir_of(truth)
    told = ending_map(levels[0], truth, 0.75, side)
    best = found_from(truth, lamps, nadir, pyramid(told, 5))[0]
    assert miss_px(best.camera, truth) < 1.5
    untold = found_from(truth, lamps, nadir, pyramid(replace(told, valid=None), 5))[0]
    assert best.score > untold.score + 0.02
    nowhere = replace(told, valid=np.zeros_like(told.values, bool))
    assert found_from(truth, lamps, nadir, pyramid(nowhere, 5)) == []


def test_a_view_that_is_mostly_beyond_the_map_is_not_compared(
    lamps: LampWorld, levels: Levels
) -> None:
    """A third of a picture correlates with anything: even the right azimuth is left out."""
    truth = oblique(80.0)
    for kept_share, found in ((0.8, True), (0.3, False)):
        told = ending_map(levels[0], truth, kept_share, "west")
        peaks = found_from(truth, lamps, nadir_of(truth), pyramid(told, 5))
        assert any(miss_px(peak.camera, truth) < 3.0 for peak in peaks) == found


def test_a_dark_map_gives_nothing(lamps: LampWorld, levels: Levels) -> None:
    truth = random_camera(0)
    dark = tuple(replace(level, values=np.zeros_like(level.values)) for level in levels)
    assert found_from(truth, lamps, nadir_of(truth), dark) == []


def test_a_picture_without_near_ground_has_no_panorama(lamps: LampWorld) -> None:
    """Looking up, or masked all over."""
    up, down = camera_over(12.0, 44.0, off_nadir=110.0, focal_px=93.0, **SIDES), random_camera(0)
    zeros, ones = np.zeros((HEIGHT, WIDTH), np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    assert panorama(zeros, ones, up, nadir_of(up), FARTHEST_DEG, **FINISH) is None
    assert panorama(zeros, ones, down, nadir_of(down), FARTHEST_DEG, **FINISH) is not None
    assert panorama(zeros, zeros, down, nadir_of(down), FARTHEST_DEG, **FINISH) is None


def test_the_maps_panorama_shows_lights_where_they_are() -> None:
    """Off-nadir angle down, azimuth from north by way of east across, by PROJ's axes."""
    camera = camera_over(12.0, 44.0, off_nadir=56.0, focal_px=93.0, **SIDES)
    zeros, ones = np.zeros((HEIGHT, WIDTH), np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    wanted = panorama(zeros, ones, camera, nadir_of(camera), FARTHEST_DEG, **FINISH)

    def light(lon: FloatArray, lat: FloatArray) -> FloatArray:
        """Four round towns of two pixels, one on the northern seam of the panorama."""
        places = [(12.0, 48.5), (19.0, 44.2), (10.6, 39.9), (3.9, 45.0)]
        shares = [
            np.hypot((lon - at_lon) * np.cos(np.radians(lat)), lat - at_lat) / 0.25
            for at_lon, at_lat in places
        ]
        return np.sum([np.exp(-0.5 * share**2) for share in shares], axis=0)

    step = 0.03
    lon, lat = -8.0 + step * np.arange(1300), 62.0 - step * np.arange(1200)
    grid = LightGrid(
        values=light(*np.meshgrid(lon, lat)).astype(np.float32),
        lon0_deg=-8.0,
        lat0_deg=62.0,
        step_deg=step,
    )
    seen, known = map_panorama(pyramid(grid, 4), wanted, camera.position_ecef_m)
    assert known is None
    lean, turn = np.meshgrid(wanted.off_nadir_rad, wanted.azimuth_rad, indexing="ij")
    level = np.stack([np.sin(turn), np.cos(turn)], axis=-1) * np.sin(lean)[..., None]
    rays = np.dstack([level, -np.cos(lean)]) @ east_north_up(12.0, 44.0)
    ground_lon, ground_lat, _ = geodetic(intersect_ellipsoid(camera.position_ecef_m, rays))
    expected = light(ground_lon, ground_lat)
    assert seen.shape == expected.shape
    assert expected.max() > 0.9
    # Half a pixel beside would be 0.15 at the towns' slopes
    assert np.abs(seen - expected).max() < 0.06
