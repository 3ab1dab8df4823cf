"""The camera of a person's points, each value as a solver of its own has it; points that snap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.lights.photo_light import EvenedImage
from regengine import open_light_map
from regengine.errors import ConfigError
from regengine.maps.reference import RasterMap
from regengine.registration.points.compare_maps import PhotoBesideMap, snap
from regengine.registration.points.solve_points import PositionPrior, solve
from regengine.store.result import ReviewedPoint
from regengine.store.reviews import check_camera
from tests.world.maps import STEP, write_geotiff
from tests.world.towns import (
    LampWorld,
    camera_over,
    east_north_up,
    ecef,
    geodetic,
    log_picture,
    project,
    radiance_grid,
    town_lamps,
)

Array = NDArray[np.float64]


SIZE = WIDTH, HEIGHT = 4256, 2832
LENS: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "focal_px": 5900.0}
TRUTH = camera_over(10.0, 45.0, off_nadir=35.0, azimuth=60.0, roll=25.0, **LENS)
SHARES = np.array(
    [
        *((0.1, 0.1), (0.9, 0.15), (0.85, 0.9), (0.1, 0.9), (0.5, 0.45)),
        *((0.3, 0.7), (0.7, 0.3), (0.55, 0.8), (0.2, 0.4)),
    ]
)
GRID = np.stack(np.meshgrid(np.linspace(0.05, 0.95, 5), np.linspace(0.05, 0.95, 4)), -1)
PLACES = ecef(*TRUTH.pixel_to_lonlat(*(GRID.reshape(-1, 2) * SIZE).T))
# What one may be free of a camera, and what is believed of it: one sigma
FREE: dict[str, Sequence[str]] = {
    "turn": ("attitude",),
    "zoom": ("attitude", "focal length"),
    "place": ("attitude", "focal length", "position"),
    "all": ("attitude", "focal length", "position", "distortion"),
}
SIGMAS = np.array([np.inf, np.inf, np.inf, 0.1, 60e3, 60e3, 5e3, 0.03])


def points_of(count: int, noise_px: float = 0.0, *, sigma_px: float | None = 2.0, seed: int = 0):
    """Places that the true camera sees, at the pixels of OpenCV's projection, with noise."""
    shares = SHARES[:count]
    lon, lat = TRUTH.pixel_to_lonlat(*(shares * SIZE).T)
    noise = noise_px * np.random.default_rng(seed).normal(size=shares.shape)
    pixels = (project(TRUTH, ecef(lon, lat)) + noise).tolist()
    return [
        ReviewedPoint(x=x, y=y, lon=o, lat=a, sigma_px=sigma_px, origin="person")
        for (x, y), o, a in zip(pixels, lon.tolist(), lat.tolist(), strict=True)
    ]


def moved(camera: Camera, step: Sequence[float]) -> Camera:
    """Turned by a vector, zoomed by a logarithm, moved east, north and up in metres, bent by k1."""
    turn = Rotation.from_quat(camera.quaternion) * Rotation.from_rotvec(step[:3])
    lon, lat, _ = (float(one) for one in geodetic(camera.position_ecef_m))
    place = np.asarray(camera.position_ecef_m) + np.asarray(step[4:7]) @ east_north_up(lon, lat)
    return replace(
        camera,
        quaternion=tuple(turn.as_quat().tolist()),
        focal_px=camera.focal_px * float(np.exp(step[3])),
        position_ecef_m=tuple(place.tolist()),
        distortion=(camera.distortion[0] + float(step[7]), *camera.distortion[1:]),
    )


def residuals(camera: Camera, points: Sequence[ReviewedPoint]) -> Array:
    places = ecef([p.lon for p in points], [p.lat for p in points])
    return np.array([(p.x, p.y) for p in points]) - project(camera, places)


def sigma_of(camera: Camera, point: ReviewedPoint) -> float:
    """What a point says, or what a click on a photo (1.5 px) and on a map (250 m) is good to."""
    away_m = np.linalg.norm(ecef(point.lon, point.lat) - np.asarray(camera.position_ecef_m))
    return point.sigma_px or float(np.hypot(1.5, 250.0 * camera.focal_px / away_m))


def brute(start: Camera, points: Sequence[ReviewedPoint], freed: Sequence[str]) -> Camera:
    """The camera by SciPy's least squares on OpenCV's projection, with points' sigmas grown."""
    free = np.repeat(["attitude", "focal length", "position", "distortion"], [3, 1, 3, 1])
    columns = np.flatnonzero(np.isin(free, freed))
    unit = np.where(np.isfinite(SIGMAS), SIGMAS, 0.01)
    sigma = np.array([sigma_of(start, p) for p in points])[:, None]

    def camera_of(step: Array) -> Camera:
        whole = np.zeros(8)
        whole[columns] = step * unit[columns]
        return moved(start, whole)

    spare, growth = 2 * len(points) - len(columns), 1.0
    for _ in range(2):

        def away(step: Array, growth: float = growth) -> Array:
            belief = np.where(np.isfinite(SIGMAS[columns]), step, 0.0)
            misses = residuals(camera_of(step), points) / (growth * sigma)
            return np.concatenate([misses.ravel(), belief])

        found = least_squares(away, np.zeros(len(columns)), method="lm", xtol=1e-12, ftol=1e-12)
        if spare < 4:
            break
        growth = max(1.0, 2.0 * found.cost / spare) ** 0.5
    return camera_of(found.x)


def apart_m(one: Camera, other: Camera) -> float:
    return float(np.linalg.norm(np.subtract(one.position_ecef_m, other.position_ecef_m)))


def apart_px(one: Camera, other: Camera) -> float:
    """How far two cameras are from each other anywhere in the picture."""
    return float(np.linalg.norm(project(one, PLACES) - project(other, PLACES), axis=1).max())


START = moved(TRUTH, [0.01, -0.02, 0.015, 0.02, 8e3, -5e3, 1.5e3, 0.0])
STEPS_M = np.linspace(-400e3, 400e3, 21)
TRACK = START.position_ecef_m + STEPS_M[:, None] * east_north_up(10.0, 45.0)[0]
FLOWN = PositionPrior(track_ecef_m=TRACK)
MIN_COUNT = {
    "auto": {"attitude": 2, "focal length": 3, "position": 4},
    "attitude": {"attitude": 2},
    "focal": {"attitude": 2, "focal length": 2},
    "position": {"attitude": 2, "focal length": 2, "position": 3},
    "all": {"attitude": 2, "focal length": 2, "position": 3, "distortion": 4},
}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 9])
def test_a_camera_is_that_of_least_squares_with_what_so_many_points_free(count: int) -> None:
    points = points_of(count, 2.0 if count > 3 else 0.0)
    points[2::3] = [replace(point, sigma_px=None) for point in points[2::3]]
    by_hand = cache(lambda freed: brute(START, points, freed))
    for free, least in MIN_COUNT.items():
        known = PositionPrior() if free != "auto" else PositionPrior(track_ecef_m=TRACK[10:11])
        found = solve(START, points, free, known)
        freed = tuple(name for name, n in least.items() if count >= n) or ("aim",)
        assert found.fit.freed == freed, (free, count)
        camera = found.fit.camera
        assert found.warning is None
        assert (camera.focal_px != START.focal_px) == ("focal length" in freed)
        assert (apart_m(camera, START) > 1.0) == ("position" in freed)
        assert (camera.distortion != START.distortion) == ("distortion" in freed)
        misses = residuals(camera, points)
        assert found.fit.residual_px == pytest.approx(misses, abs=1e-6)
        here = camera.pixel_to_lonlat([p.x for p in points], [p.y for p in points])
        away = Geod(ellps="WGS84").inv(*here, [p.lon for p in points], [p.lat for p in points])[2]
        assert found.fit.residual_m == pytest.approx(away, rel=1e-3, abs=0.01)
        if freed == ("aim",):
            assert np.abs(misses).max() < 0.05
            continue
        assert apart_px(camera, by_hand(freed)) < 0.05
        assert (found.attitude_only is None) == (freed == ("attitude",))
        if found.attitude_only is not None:
            assert apart_px(found.attitude_only.camera, by_hand(FREE["turn"])) < 0.05
            assert found.attitude_only.freed == ("attitude",)
        if "position" in freed:
            assert apart_px(camera, TRUTH) < 8.0


def test_each_points_left_out_residual_is_that_of_a_fit_of_the_others() -> None:
    points = points_of(6, 2.0)
    found = solve(START, points, "focal").fit
    for k, point in enumerate(points):
        others = brute(START, points[:k] + points[k + 1 :], ["attitude", "focal length"])
        away = float(np.linalg.norm(residuals(others, [point])))
        assert found.doubts.left_out_px[k] == pytest.approx(away, rel=0.03, abs=0.05)


def test_the_planted_bad_point_is_the_suspect_and_no_other() -> None:
    for bad in range(6):
        free: Any = "auto" if bad == 3 else "focal"
        points = points_of(6, 1.0, seed=bad)
        points[bad] = replace(points[bad], x=points[bad].x + 70.0, y=points[bad].y - 50.0)
        found = solve(TRUTH, points, free, FLOWN)
        assert found.fit.doubts.suspect.tolist() == [k == bad for k in range(6)]
        assert found.warning == (
            "One point disagrees with the others: the camera is fitted without it."
        )
        rest = points[:bad] + points[bad + 1 :]
        assert apart_px(found.fit.camera, solve(TRUTH, rest, free, FLOWN).fit.camera) < 0.5
        assert np.abs(found.fit.residual_px[bad] - [70.0, -50.0]).max() < 15.0


def test_a_camera_far_off_is_found_by_what_is_known_or_anywhere() -> None:
    points = points_of(6, 0.3, sigma_px=0.5)
    far = moved(TRUTH, [0.3, -0.4, 0.2, 0.0, 900e3, -300e3, 0.0, 0.0])
    beside = moved(TRUTH, [0.1, 0.0, 0.0, 0.01, 2e3, 1e3, 0.0, 0.0])
    for known in (PositionPrior(cameras=(beside,)), PositionPrior(track_ecef_m=TRACK), None):
        found = solve(far, points, "auto", known)
        assert apart_px(found.fit.camera, TRUTH) < 6.0
        assert (found.attitude_only is None) == (known is None)
        assert apart_m(found.fit.camera, TRUTH) < 20e3
        assert apart_m(solve(far, points, "focal", known).fit.camera, far) < 1e-3
    zoomed = replace(TRUTH, focal_px=2.2 * TRUTH.focal_px)
    unknown = replace(FLOWN, lens_known=False)
    wide = solve(zoomed, points, "auto", unknown)
    assert wide.fit.camera.focal_px == pytest.approx(TRUTH.focal_px, rel=0.02)
    few = [solve(zoomed, points[:n], "auto", unknown).fit.freed for n in (1, 2, 3, 4)]
    assert few == [("aim",), FREE["zoom"], FREE["zoom"], FREE["place"]]
    # Of a place that nobody knows the picture is carried to its points: height and slant stay
    away = camera_over(19.0, 41.0, off_nadir=35.0, azimuth=30.0, roll=25.0, **LENS)
    camera = solve(away, points[:2], "auto").fit.camera
    assert np.abs(residuals(camera, points[:2])).max() < 5.0
    height, before = (float(geodetic(one.position_ecef_m)[2]) for one in (camera, away))
    assert height == pytest.approx(before, abs=1.0)
    assert camera.off_nadir_deg == pytest.approx(away.off_nadir_deg, abs=0.5)


def test_what_is_no_camera_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="at least one point"):
        solve(TRUTH, [])
    place = np.asarray(TRUTH.position_ecef_m)
    below = replace(TRUTH, position_ecef_m=tuple((place * (1 - 420e3 / 6.78e6)).tolist()))
    with pytest.raises(ConfigError, match="not above the Earth"):
        solve(below, points_of(3))
    for ratio in (0.2, 40.0):
        check_camera(replace(TRUTH, focal_px=ratio * WIDTH), SIZE)
    for ratio in (0.199, 40.1):
        with pytest.raises(ConfigError, match="which is impossible"):
            check_camera(replace(TRUTH, focal_px=ratio * WIDTH), SIZE)


# Points that snap: a picture of towns, and the map of them

BOX = 8.5, 43.5, 12.5, 46.5  # west, south, east, north
SEEN = camera_over(
    10.5, 44.6, off_nadir=15.0, azimuth=20.0, roll=30.0, width=320, height=240, focal_px=700.0
)


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(3, *BOX, towns=500, lamps_per_town=15)


@pytest.fixture(scope="module")
def lights(lamps: LampWorld, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The map of the towns."""
    radiance = radiance_grid(lamps, *BOX, STEP).astype(np.float32)
    path = tmp_path_factory.mktemp("lights") / "towns.tif"
    return open_light_map([write_geotiff(path, radiance, west=BOX[0], north=BOX[3])])


def beside(light: EvenedImage, lights: RasterMap) -> PhotoBesideMap:
    return PhotoBesideMap(kind="lights", image=light, reference=lights)


def picture(camera: Camera, lamps: LampWorld, factor: float = 1.0) -> EvenedImage:
    """What a camera, or its picture resized, sees of them."""
    small = camera.scaled(factor, round(camera.width_px * factor), round(camera.height_px * factor))
    values = log_picture(small, lamps)
    return EvenedImage(values=values, weight=np.ones_like(values), factor=factor)


def point_at(camera: Camera, x: float, y: float, dx: float = 0.0, dy: float = 0.0) -> ReviewedPoint:
    """The place that a camera sees at a pixel, said to be seen beside it."""
    lon, lat = (float(one) for one in camera.pixel_to_lonlat(x, y))
    return ReviewedPoint(x=x + dx, y=y + dy, lon=lon, lat=lat, sigma_px=None, origin="person")


@pytest.mark.parametrize("photo_moves", [True, False])
@pytest.mark.parametrize("kind", ["mirrored", "half as large"])
def test_a_point_snaps_back_by_what_it_was_shifted(
    kind: str, photo_moves: bool, lamps: LampWorld, lights: Any
) -> None:
    """Whatever the camera's aim, which the point holds; both sides of the pair."""
    factor = 0.5 if kind == "half as large" else 1.0
    true = SEEN.scaled(1.0 / factor, round(320 / factor), round(240 / factor))
    true = replace(true, mirrored=kind == "mirrored")
    light = picture(true, lamps, factor)
    camera = moved(true, [0.03, -0.02, 0.0, 0.0, 2e3, 0.0, 0.0, 0.0])
    for x, y, dx, dy in ((160.0, 120.0, 3.0, -3.0), (70.0, 150.0, -3.0, 3.0)):
        x, y, dx, dy = (one / factor for one in (x, y, dx, dy))
        first = point_at(true, x, y, dx, dy)
        found = snap(camera, first, beside(light, lights), photo_moves=photo_moves)
        assert found.point is not None
        now = found.point
        left = project(true, ecef([now.lon], [now.lat]))[0] - [now.x, now.y]
        assert np.abs(left).max() < 0.5 / factor
        assert found.moved_px == pytest.approx(np.hypot(dx, dy), abs=0.6 / factor)
        assert ((now.lon, now.lat) == (first.lon, first.lat)) == photo_moves
        assert ((now.x, now.y) == (first.x, first.y)) != photo_moves
        assert 0.6 < (found.ncc or 0.0) < 1.0
        assert 0.25 / factor <= (now.sigma_px or 0.0) < 1.0 / factor


def test_a_point_that_does_not_snap_says_why_and_stays(lamps: LampWorld, lights: Any) -> None:
    light = picture(SEEN, lamps)
    good = point_at(SEEN, 160.0, 120.0)
    dark = replace(light, values=np.zeros_like(light.values))
    strange = replace(light, values=light.values + light.values[::-1, ::-1])
    for point, shown, says in (
        (good, dark, "show nothing there to compare"),
        (good, strange, "too different there"),
        (replace(good, x=320.0), light, "the point is outside the photo"),
        (replace(good, lon=60.0), light, "beyond the horizon of this camera"),
        (point_at(SEEN, 323.0, 80.0, -5.0), light, "the match is outside the photo"),
    ):
        found = snap(SEEN, point, beside(shown, lights), photo_moves=True)
        assert found.point is found.moved_px is None
        assert says in str(found.why)
