"""The camera of a person's points, each value as a solver of its own has it; points that snap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import move_on_orbit, turn_camera
from matchers.geometry.pose_fit import PoseFit
from matchers.lights.photo_light import LightImage
from regengine import open_light_map
from regengine.errors import ConfigError
from regengine.points.compare_maps import PhotoBesideMap, snap
from regengine.points.resection import (
    Disagreement,
    Free,
    PointPairs,
    Start,
    Unknowns,
    choose_best,
    disagreeing_points,
    fit_from_starts,
    free_parameters,
    make_rough_prior,
    residuals_px,
)
from regengine.points.solve_points import PositionPrior, solve
from regengine.references.reference import LightMap
from regengine.result import ReviewedPoint
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


def brute(start: Camera, points: Sequence[ReviewedPoint], freed: Sequence[str]) -> Camera:
    """The camera by SciPy's least squares on OpenCV's projection, with points' sigmas grown."""
    free = np.repeat(["attitude", "focal length", "position", "distortion"], [3, 1, 3, 1])
    columns = np.flatnonzero(np.isin(free, freed))
    unit = np.where(np.isfinite(SIGMAS), SIGMAS, 0.01)
    sigma = np.array([p.sigma_px for p in points])[:, None]

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


def test_what_is_odd_is_told_by_its_number() -> None:
    points = points_of(9, 1.0)
    for k, away in ((2, 60.0), (5, -80.0)):
        points[k] = replace(points[k], x=points[k].x + away)
    found = solve(TRUTH, points, "focal")
    assert np.flatnonzero(found.fit.doubts.suspect).tolist() == [2, 5]
    two = "2 points disagree with the others: the camera is fitted without them."
    assert found.warning == two
    hidden = [*points[:2], replace(points[2], lon=70.0), *points[3:]]
    beyond = solve(TRUTH, hidden, "focal")
    assert beyond.warning == f"{two} One point is beyond the horizon of this camera."
    hidden[5] = replace(hidden[5], lon=-60.0)
    assert str(solve(TRUTH, hidden, "focal").warning).endswith(
        "2 points are beyond the horizon of this camera."
    )
    four = points_of(4)
    four[1] = replace(four[1], x=four[1].x + 200.0)
    undecided = solve(TRUTH, four, "focal")
    assert not undecided.fit.doubts.suspect.any()
    assert str(undecided.warning).startswith("The points disagree, and they are too few to find")


def test_points_weigh_by_their_sigma_and_clicks_by_the_map() -> None:
    """Unknown: 1.5 px and 250 m on the ground; never less than half a pixel."""
    points = points_of(6, 2.0, sigma_px=None)
    places = ecef([p.lon for p in points], [p.lat for p in points])
    away_m = np.linalg.norm(places - np.asarray(TRUTH.position_ecef_m), axis=1)
    clicks = np.hypot(1.5, TRUTH.focal_px * 250.0 / away_m)
    given = [*clicks[:4].tolist(), 0.1, 0.1]
    counted = [*clicks[:4].tolist(), 0.5, 0.5]
    asked = [*points[:4], *(replace(p, sigma_px=0.1) for p in points[4:])]
    explicit = [replace(p, sigma_px=s) for p, s in zip(points, counted, strict=True)]
    assert given != counted
    found = solve(TRUTH, asked, "focal").fit.camera
    assert apart_px(found, brute(TRUTH, explicit, FREE["zoom"])) < 0.02


def test_a_camera_far_off_is_found_by_what_is_known_or_anywhere() -> None:
    points = points_of(6, 0.3, sigma_px=0.5)
    far = moved(TRUTH, [0.3, -0.4, 0.2, 0.0, 900e3, -300e3, 0.0, 0.0])
    for known in (
        PositionPrior(cameras=(moved(TRUTH, [0.1, 0.0, 0.0, 0.01, 2e3, 1e3, 0.0, 0.0]),)),
        PositionPrior(track_ecef_m=TRACK),
        PositionPrior(track_ecef_m=TRACK[10:11]),
        None,
    ):
        found = solve(far, points, "auto", known)
        assert apart_px(found.fit.camera, TRUTH) < 6.0
        assert (found.attitude_only is None) == (known is None)
        assert apart_m(found.fit.camera, TRUTH) < 20e3
        kept = solve(far, points, "focal", known).fit.camera
        assert apart_m(kept, far) < 1e-3
    zoomed = replace(TRUTH, focal_px=2.2 * TRUTH.focal_px)
    unknown = replace(FLOWN, lens_known=False)
    wide = solve(zoomed, points, "auto", unknown)
    assert wide.fit.camera.focal_px == pytest.approx(TRUTH.focal_px, rel=0.02)
    few = [solve(zoomed, points[:n], "auto", unknown).fit.freed for n in (1, 2, 3, 4)]
    assert few == [("aim",), FREE["zoom"], FREE["zoom"], FREE["place"]]


def test_of_a_place_that_nobody_knows_the_picture_is_carried_to_its_points() -> None:
    """Its slant and scale stay, and so does the height."""
    far = camera_over(19.0, 41.0, off_nadir=35.0, azimuth=30.0, roll=25.0, **LENS)
    for count in (1, 2):
        points = points_of(count)
        camera = solve(far, points, "auto").fit.camera
        assert np.abs(residuals(camera, points)).max() < 5.0
        height, before = (float(geodetic(one.position_ecef_m)[2]) for one in (camera, far))
        assert height == pytest.approx(before, abs=1.0)
        assert camera.off_nadir_deg == pytest.approx(far.off_nadir_deg, abs=0.5)
        assert (apart_m(camera, TRUTH) < 15e3) == (count == 2)
    assert apart_m(solve(far, points_of(2), "auto", FLOWN).fit.camera, far) > 1e5
    assert solve(far, points_of(3), "auto").fit.freed == FREE["place"]


def test_what_is_no_camera_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="at least one point"):
        solve(TRUTH, [])
    place = np.asarray(TRUTH.position_ecef_m)
    for height_m in (-10e3, 5000e3):
        away = replace(
            TRUTH, position_ecef_m=tuple((place * (1 + (height_m - 410e3) / 6.78e6)).tolist())
        )
        with pytest.raises(ConfigError, match="not above the Earth"):
            solve(away, points_of(3))
    for ratio, fine in ((0.2, True), (0.199, False), (40.0, True), (40.1, False)):
        camera = replace(TRUTH, focal_px=ratio * WIDTH)
        if fine:
            check_camera(camera, SIZE)
        else:
            with pytest.raises(ConfigError, match="which is impossible"):
                check_camera(camera, SIZE)
    with pytest.raises(ConfigError, match="but the photo has"):
        check_camera(TRUTH, (HEIGHT, WIDTH))


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


def beside(light: LightImage, lights: LightMap) -> PhotoBesideMap:
    return PhotoBesideMap(kind="lights", image=light, reference=lights)


def picture(camera: Camera, lamps: LampWorld, factor: float = 1.0) -> LightImage:
    """What a camera, or its picture resized, sees of them."""
    small = camera.scaled(factor, round(camera.width_px * factor), round(camera.height_px * factor))
    values = log_picture(small, lamps)
    return LightImage(values=values, weight=np.ones_like(values), factor=factor)


def point_at(camera: Camera, x: float, y: float, dx: float = 0.0, dy: float = 0.0) -> ReviewedPoint:
    """The place that a camera sees at a pixel, said to be seen beside it."""
    lon, lat = (float(one) for one in camera.pixel_to_lonlat(x, y))
    return ReviewedPoint(x=x + dx, y=y + dy, lon=lon, lat=lat, sigma_px=None, origin="person")


@pytest.mark.parametrize("photo_moves", [True, False])
@pytest.mark.parametrize("kind", ["as it is", "mirrored", "half as large"])
def test_a_point_snaps_back_by_what_it_was_shifted(
    kind: str, photo_moves: bool, lamps: LampWorld, lights: Any
) -> None:
    """Whatever the camera's aim, which the point holds; both sides of the pair."""
    factor = 0.5 if kind == "half as large" else 1.0
    true = SEEN.scaled(1.0 / factor, round(320 / factor), round(240 / factor))
    true = replace(true, mirrored=kind == "mirrored")
    light = picture(true, lamps, factor)
    camera = moved(true, [0.03, -0.02, 0.0, 0.0, 2e3, 0.0, 0.0, 0.0])
    for x, y, dx, dy in (
        (160.0, 120.0, 3.0, -3.0),
        (70.0, 150.0, -3.0, 3.0),
        (230.0, 60.0, 3.0, 3.0),
    ):
        x, y, dx, dy = (one / factor for one in (x, y, dx, dy))
        first = point_at(true, x, y, dx, dy)
        found = snap(camera, first, beside(light, lights), photo_moves=photo_moves)
        assert found.why is None
        assert found.point is not None
        assert found.point.origin == "snap"
        now = found.point
        left = project(true, ecef([now.lon], [now.lat]))[0] - [now.x, now.y]
        assert np.abs(left).max() < 0.5 / factor
        assert found.moved_px == pytest.approx(np.hypot(dx, dy), abs=0.6 / factor)
        assert (now.lon, now.lat) == (first.lon, first.lat) or not photo_moves
        assert (now.x, now.y) == (first.x, first.y) or photo_moves
        assert 0.6 < (found.ncc or 0.0) < 1.0
        assert 0.25 / factor <= (now.sigma_px or 0.0) < 1.0 / factor


def test_a_point_that_does_not_snap_says_why(lamps: LampWorld, lights: Any) -> None:
    light = picture(SEEN, lamps)

    def said(point: ReviewedPoint, light: LightImage = light, camera: Camera = SEEN) -> str:
        found = snap(camera, point, beside(light, lights), photo_moves=True)
        assert found.point is None
        assert found.moved_px is None
        return str(found.why)

    good, outside = point_at(SEEN, 160.0, 120.0), "the point is outside the photo."
    dark = replace(light, values=np.zeros_like(light.values))
    assert said(good, dark) == "photo and map show nothing there to compare."
    assert said(good, replace(light, weight=dark.values)) == said(good, dark)
    for x, y in ((-1.0, 100.0), (320.0, 100.0), (100.0, -1.0), (100.0, 240.0)):
        assert said(replace(good, x=x, y=y)) == outside
    for x, y in ((0.0, 100.0), (319.0, 100.0), (100.0, 0.0), (100.0, 239.0)):
        there = replace(point_at(SEEN, x, y))
        assert snap(SEEN, there, beside(light, lights), photo_moves=True).why != outside
    beyond = "the place is beyond the horizon of this camera."
    assert said(replace(good, lon=60.0)) == beyond
    nowhere = replace(good, lon=10.5, lat=30.0)
    far = camera_over(10.5, 30.0, width=320, height=240, focal_px=700.0)
    assert said(nowhere, camera=far) == "the map has no data there."
    turned = light.values[::-1, ::-1]
    alike, strange = (
        replace(light, values=light.values + np.float32(share) * turned) for share in (0.8, 1.0)
    )
    assert snap(SEEN, good, beside(alike, lights), photo_moves=True).why is None
    assert said(good, strange).startswith("photo and map are too different there")
    for x, y, dx, dy in ((-4, 80, 5, 0), (323, 80, -5, 0), (100, -4, 0, 5), (160, 243, 0, -5)):
        edge = point_at(SEEN, x, y, dx, dy)
        assert said(edge) == "the match is outside the photo."
        assert snap(SEEN, edge, beside(light, lights), photo_moves=False).why is None


# Fits of points by themselves: rough starts, wrong points
CORNERS = np.array([[0.1, 0.1], [0.9, 0.14], [0.86, 0.9], [0.12, 0.88]])
SPREAD = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 5), np.linspace(0.1, 0.9, 4)), -1).reshape(
    -1, 2
)
EAST = np.array([-0.17, 0.98, 0.0])


def view(
    focal_px: float = 5900.0, off_nadir: float = 35.0, lon: float = 10.0, mirrored: bool = False
) -> Camera:
    seen = {"width": WIDTH, "height": HEIGHT, "off_nadir": off_nadir, "azimuth": 60.0, "roll": 25.0}
    return camera_over(lon, 45.0, focal_px=focal_px, mirrored=mirrored, **seen)


def pairs_of(camera: Camera, shares: FloatArray, sigma_px: float, seed: int = 0) -> PointPairs:
    """Points of a camera by OpenCV's projection, with noise of a sigma."""
    lon, lat = camera.pixel_to_lonlat(*(shares * [WIDTH, HEIGHT]).T)
    ground = ecef(lon, lat)
    noise = np.random.default_rng(seed).normal(0.0, sigma_px, shares.shape)
    return PointPairs(
        pixels=project(camera, ground) + noise,
        ground_ecef_m=ground,
        sigma_px=np.full(len(shares), sigma_px),
    )


def rough(
    camera: Camera, along_km: float, focal: float, turn: tuple[float, float, float]
) -> Camera:
    """The camera moved along an eastward track, zoomed, and turned about its axes."""
    x, y, z = move_on_orbit(camera.position_ecef_m, EAST, 1e3 * along_km, 2e3, 1e3).tolist()
    start = replace(camera, position_ecef_m=(x, y, z), focal_px=camera.focal_px * focal)
    return turn_camera(start, turn)


def fit_points(
    start: Camera, pairs: PointPairs, free: Free = "auto"
) -> tuple[PoseFit, Disagreement]:
    unknowns = Unknowns(
        pairs=pairs, belief=make_rough_prior(start, EAST), freed=free_parameters(len(pairs), free)
    )
    return fit_from_starts(start, unknowns), disagreeing_points(start, unknowns)


def worst_px(found: Camera, truth: Camera) -> float:
    """How far the whole picture is off."""
    shares = np.concatenate([SPREAD, CORNERS])
    exact = pairs_of(truth, shares, 1e-9)
    return float(np.hypot(*residuals_px(found, exact).T).max())


@given(
    focal_px=st.floats(3500.0, 20000.0),
    along_km=st.floats(-60.0, 60.0),
    focal=st.floats(0.93, 1.07),
    turn=st.tuples(*[st.floats(-2.0, 2.0)] * 3),
    mirrored=st.booleans(),
    lon=st.sampled_from([10.0, 179.9, -179.0]),
)
def test_good_points_bring_a_camera_back_from_wherever_it_looks(
    focal_px: float,
    along_km: float,
    focal: float,
    turn: tuple[float, float, float],
    mirrored: bool,
    lon: float,
) -> None:
    truth = view(focal_px, mirrored=mirrored, lon=lon)
    start = rough(truth, along_km, focal, turn)
    found, _ = fit_points(start, pairs_of(truth, SPREAD, 0.1))
    assert worst_px(found.camera, truth) < 1.0


def test_four_clicks_of_three_pixels_place_the_whole_picture_to_a_few() -> None:
    errors = []
    for truth in (view(), view(12000.0, 20.0)):
        start = rough(truth, 20.0, 1.01, (1.0, 1.0, 1.0))
        clicks = [pairs_of(truth, CORNERS, 3.0, seed) for seed in range(8)]
        errors += [worst_px(fit_points(start, pairs)[0].camera, truth) for pairs in clicks]
    assert np.median(errors) < 10.0
    assert max(errors) < 25.0


@pytest.mark.parametrize("count", [5, 8, 20])
def test_a_wrong_point_is_told_from_the_others(count: int) -> None:
    truth = view()
    shares = np.concatenate([CORNERS, [[0.45, 0.5]], SPREAD])[:count]
    points = pairs_of(truth, shares, 2.0)
    points.pixels[1] += [60.0, -45.0]
    found = fit_points(truth, points, "focal")[1]
    assert found.suspect.tolist() == [index == 1 for index in range(count)]
    assert found.left_out_px[1] == pytest.approx(75.0, abs=25.0)
    assert not found.undecided


def test_a_start_that_fits_is_kept_whatever_else_would() -> None:
    truth = view()
    points = pairs_of(truth, CORNERS, 2.0)
    near = rough(truth, 60.0, 1.03, (0.1, 0.0, 0.0))
    starts = [Start(camera=one, belief=make_rough_prior(one, EAST)) for one in (near, truth)]
    assert choose_best(starts[0], [starts[1:]], points) is starts[0]
    far = rough(truth, 1500.0, 1.0, (0.0, 0.0, 0.0))
    first = Start(camera=far, belief=make_rough_prior(far, EAST))
    assert choose_best(first, [[], starts[1:]], points) is starts[1]


def test_good_points_are_not_suspected() -> None:
    truth = view()
    draws = [pairs_of(truth, SPREAD[::3], 3.0, seed) for seed in range(30)]
    assert sum(fit_points(truth, pairs)[1].suspect.any() for pairs in draws) <= 2
    found, odd = fit_points(truth, pairs_of(truth, np.repeat(CORNERS[:1], 4, axis=0), 1.0))
    assert np.hypot(*found.residual_px.T).max() < 5.0  # all on one spot
    assert not odd.suspect.any()
