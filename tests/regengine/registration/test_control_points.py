"""Four places out of a solved camera: spread, each by itself, and honest about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import ConvexHull

from benchmarks.simulate.camera import wgs84
from matchers.earth import incidence_deg
from matchers.verify import Towns, find_towns
from matchers.view import render_known
from regengine.registration.control_points import (
    LEAST_SPREAD,
    LIGHTS_REACH_PX,
    NEAREST_SHARE,
    allowed_error_m,
    control_point,
    hull_area,
    propose,
    sigma_at_lights_m,
    spread_of,
    stored_pixels,
    well_spread,
    worth_of,
)
from regengine.registration.evidence import Solution
from regengine.registration.refinement import solve
from regengine.result import ControlPoint
from tests.matchers.lamp_world import camera_over, ecef
from tests.regengine.registration.made_search import begun_anew
from tests.regengine.registration.simulated_frames import Solved

NO_LIGHTS = Towns(x=np.zeros(0), y=np.zeros(0), contrast=np.zeros(0))


def points_of(solved: Solved, picture_path: Path) -> tuple[ControlPoint, ...]:
    """Control points of another state of the same photograph, from the same finalist."""
    fine = solved.fine(picture_path)
    solution = solve(begun_anew(solved.search, fine), solved.best.finalists[0])
    camera = solution.image.stored_camera(solution.camera, solved.best.camera)
    return propose(solution, camera, NO_LIGHTS)


def pixel_errors(solved: Solved, points: tuple[ControlPoint, ...]) -> NDArray[np.float64]:
    """Pixel of each point minus the pixel that truly shows its place, shape (n, 2)."""
    x, y, _, _ = solved.shot.camera.project([p.lon for p in points], [p.lat for p in points])
    return np.array([(p.x, p.y) for p in points]) - np.stack([x, y], axis=1)


def shifted_town(
    picture: NDArray[np.uint8], at: ControlPoint, dx: float, dy: float, radius_px: float = 22.0
) -> NDArray[np.uint8]:
    """The picture with everything around a place moved, blended into its surroundings."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    inside = np.clip((radius_px + 4.0 - np.hypot(x - at.x, y - at.y)) / 8.0, 0.0, 1.0)[..., None]
    move = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    moved = cv2.warpAffine(picture, move, (width, height))
    return np.asarray((inside * moved + (1.0 - inside) * picture).round(), np.uint8)


def test_a_shifted_town_moves_its_own_point_alone(slanted: Solved, tmp_path: Path) -> None:
    """Three pixels are ten sigma: the point must not stay there with a small sigma."""
    before = points_of(slanted, slanted.frame.path)
    errors = pixel_errors(slanted, before)
    kept = 0
    for k, (dx, dy) in enumerate([(3.0, 0.0), (0.0, -3.0), (-3.0, 0.0), (0.0, 3.0)]):
        path = tmp_path / "shifted.png"
        Image.fromarray(shifted_town(slanted.shot.picture, before[k], dx, dy)).save(path)
        after = points_of(slanted, path)
        new_errors = pixel_errors(slanted, after)
        for number, point in enumerate(after):
            apart = [float(np.hypot(point.x - p.x, point.y - p.y)) for p in before]
            if apart[k] < 15.0:
                moved = float(np.hypot(*(new_errors[number] - errors[k])))
                assert moved > 1.5 or point.sigma_px > 3.0 * before[k].sigma_px
                assert point.sigma_px > 3.0 * before[k].sigma_px
            nearest = int(np.argmin(apart))
            if nearest != k and apart[nearest] < 5.0:
                kept += 1
                assert new_errors[number] == pytest.approx(errors[nearest], abs=0.1)
                assert point.sigma_px < 1.5 * before[nearest].sigma_px
        assert (np.hypot(*new_errors.T) < 4.0 * np.array([p.sigma_px for p in after])).all()
    assert kept >= 9  # of twelve: the others may be exchanged for better spread ones


def with_patches(solution: Solution, chosen: NDArray[np.intp]) -> Solution:
    refinement = solution.refinement
    return replace(
        solution,
        refinement=replace(
            refinement,
            matches=refinement.matches.chosen(chosen),
            residual_px=refinement.residual_px[chosen],
            weights=refinement.weights[chosen],
        ),
    )


def random_subsets(solved: Solved, count: int) -> list[tuple[ControlPoint, ...]]:
    """Control points out of different halves of a solution's patches."""
    solution = solved.best.solution
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        chosen = np.flatnonzero(rng.random(len(solution.refinement.matches)) < 0.4)
        found.append(propose(with_patches(solution, chosen), solved.best.camera, NO_LIGHTS))
    return found


def test_a_camera_is_less_sure_of_lights_where_it_was_fitted_to_none(near_nadir: Solved) -> None:
    best = near_nadir.best
    lights = best.photo_towns.chosen(best.met)
    sure = sigma_at_lights_m(best.solution, lights, best.solution.refits)
    assert sure.shape == (len(lights),)
    assert sure.max() < 0.3 * allowed_error_m(best.camera)
    matches = best.solution.refinement.matches
    width = best.solution.image.values.shape[1]
    left = with_patches(best.solution, np.flatnonzero(matches.x < 0.35 * width))
    half = sigma_at_lights_m(left, lights, left.refits)
    there, here = lights.x > 0.7 * width, lights.x < 0.3 * width
    assert np.median(half[there] / sure[there]) > 3.0
    assert np.median(half[there]) > 2.0 * np.median(half[here])


def test_sigma_is_honest(near_nadir: Solved, oblique: Solved, slanted: Solved) -> None:
    """Over three photographs: the true place lies within three sigma, and sigma is not idle."""
    pulls, ground_pulls = [], []
    for solved in (near_nadir, oblique, slanted):
        for points in random_subsets(solved, 8):
            sigma = np.array([p.sigma_px for p in points])
            pulls.append(pixel_errors(solved, points) / sigma[:, None])
            lon, lat, _ = solved.shot.camera.ground([p.x for p in points], [p.y for p in points])
            away = wgs84().inv(lon, lat, [p.lon for p in points], [p.lat for p in points])[2]
            ground_pulls.append(np.asarray(away) / np.array([p.sigma_m for p in points]))
    pull, ground_pull = np.abs(np.concatenate(pulls)), np.concatenate(ground_pulls)
    assert len(ground_pull) == 3 * 8 * 4
    assert (pull < 3.0).mean() >= 0.95
    # Two axes: a distance of 3.5 sigma is passed by two in a thousand
    assert (ground_pull < 3.5).mean() >= 0.95
    assert np.median(pull) > 0.1


def test_four_points_well_spread_on_lit_ground(solved: Solved) -> None:
    points = solved.result.control_points
    assert len(points) == 4
    x, y = np.array([(p.x, p.y) for p in points]).T
    corners = np.stack([x, y], axis=1)
    lit = solved.best.photo_towns.positions[solved.best.met]
    factor = solved.best.solution.image.factor
    hull = ConvexHull((lit + 0.5) / factor - 0.5)
    assert ConvexHull(corners).volume >= 0.4 * hull.volume
    height, width = solved.shot.picture.shape[:2]
    assert ((x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)).all()
    ground = ecef([p.lon for p in points], [p.lat for p in points])
    assert incidence_deg(solved.best.camera.position_ecef_m, ground).max() <= 80.0
    # Clockwise from the top left
    assert np.argmin(x + y) == 0
    turns = np.cross(
        np.c_[np.roll(corners, -1, axis=0) - corners, np.zeros(4)],
        np.c_[np.roll(corners, -2, axis=0) - np.roll(corners, -1, axis=0), np.zeros(4)],
    )[:, 2]
    assert (turns > 0.0).all() or (turns >= 0.0).sum() >= 3
    assert all(p.sigma_px > 0.0 and p.sigma_m > 0.0 for p in points)


def test_lights_near_a_point_are_counted(near_nadir: Solved) -> None:
    best = near_nadir.best
    bare = propose(best.solution, best.camera, NO_LIGHTS)
    assert [p.lights for p in bare] == [0, 0, 0, 0]
    factor = best.solution.image.factor
    here = np.array([(p.x, p.y) for p in bare])
    x, y = (here[1] + 0.5) * factor - 0.5
    lights = Towns(x=np.repeat(x, 5), y=np.repeat(y, 5), contrast=np.ones(5))
    found = propose(best.solution, best.camera, lights)
    nearest = min(found, key=lambda p: np.hypot(p.x - here[1, 0], p.y - here[1, 1]))
    assert nearest.lights == 5


def test_poor_patches_are_used_only_where_there_are_no_better(near_nadir: Solved) -> None:
    best = near_nadir.best
    refinement = best.solution.refinement
    count = len(refinement.matches)
    believed = np.flatnonzero(refinement.weights > 0.5)[:8]
    some = with_patches(best.solution, believed)
    poor = replace(some.refinement.matches, ncc=np.full(8, 0.4))
    found = propose(
        replace(some, refinement=replace(some.refinement, matches=poor)), best.camera, NO_LIGHTS
    )
    assert len(found) == 4
    mixed = replace(refinement.matches, ncc=np.where(np.arange(count) < 10, 0.36, 0.9))
    chosen = propose(
        replace(best.solution, refinement=replace(refinement, matches=mixed)),
        best.camera,
        NO_LIGHTS,
    )
    factor = best.solution.image.factor
    x, y = np.array([(p.x, p.y) for p in chosen]).T
    at = np.stack([mixed.x + mixed.dx, mixed.y + mixed.dy], axis=1)
    here = (np.stack([x, y], axis=1) + 0.5) * factor - 0.5
    assert np.linalg.norm(at[None] - here[:, None], axis=2).argmin(axis=1).min() >= 10


def test_patches_that_the_fit_does_not_believe_rest_on_the_camera(near_nadir: Solved) -> None:
    """Four patches are left, of which two point at random: all four points are right."""
    best = near_nadir.best
    refinement = best.solution.refinement
    believed = np.flatnonzero(refinement.weights > 0.5)
    some = with_patches(best.solution, believed[:: max(1, len(believed) // 4)][:4])
    wild = np.array([[0.0, 0.0], [6.0, -3.0], [-4.0, 5.0], [0.0, 0.0]])
    matches = some.refinement.matches
    spoilt = replace(
        some.refinement,
        matches=replace(matches, dx=matches.dx + wild[:, 0], dy=matches.dy + wild[:, 1]),
        residual_px=some.refinement.residual_px + wild,
        weights=np.where(np.any(wild != 0.0, axis=1), 0.01, some.refinement.weights),
    )
    points = propose(replace(some, refinement=spoilt), best.camera, NO_LIGHTS)
    assert len(points) == 4
    errors = np.hypot(*pixel_errors(near_nadir, points).T)
    assert (errors < 4.0 * np.array([p.sigma_px for p in points])).all()
    assert errors.max() < 2.0 / best.solution.image.factor


def test_as_many_points_as_there_are_patches(near_nadir: Solved) -> None:
    best = near_nadir.best
    for count in (0, 2, 3):
        some = with_patches(best.solution, np.arange(count))
        assert len(propose(some, best.camera, NO_LIGHTS)) == count


def test_a_disagreeing_patch_pays_with_its_sigma(near_nadir: Solved) -> None:
    """The same four patches, one of which lies 3 px from where the camera has it."""
    best = near_nadir.best
    four = propose(best.solution, best.camera, NO_LIGHTS)
    refinement = best.solution.refinement
    matches, factor = refinement.matches, best.solution.image.factor
    at = np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=1)
    here = np.array([((p.x + 0.5) * factor - 0.5, (p.y + 0.5) * factor - 0.5) for p in four])
    chosen = np.linalg.norm(at[None] - here[:, None], axis=2).argmin(axis=1)
    only = with_patches(best.solution, chosen)
    steady = propose(only, best.camera, NO_LIGHTS)
    residual = only.refinement.residual_px.copy()
    residual[2] += [3.0, 0.0]
    spoilt = replace(only, refinement=replace(only.refinement, residual_px=residual))
    after = propose(spoilt, best.camera, NO_LIGHTS)
    assert after[2].sigma_px > 2.0 / factor * 0.9
    assert after[2].sigma_m > 2.0 * steady[2].sigma_m
    for k in (0, 1, 3):
        assert after[k] == steady[k]


def test_a_triangle_of_patches_is_filled_up_with_the_best_of_the_others() -> None:
    x = np.array([0.0, 100.0, 0.0, 20.0, 30.0, 25.0])
    y = np.array([0.0, 0.0, 100.0, 20.0, 25.0, 30.0])
    places = np.stack([x, y], axis=-1)
    ncc = np.array([0.9, 0.9, 0.9, 0.7, 0.85, 0.6])
    assert sorted(well_spread(places, ncc, np.ones(6, bool))) == [0, 1, 2, 4]
    usable = np.array([True, True, True, True, False, True])
    assert sorted(well_spread(places, ncc, usable)) == [0, 1, 2, 3]
    assert well_spread(places, ncc, np.arange(6) < 3) == [0, 1, 2]


def test_a_sure_place_is_taken_before_a_vague_one_a_little_farther_out() -> None:
    corners = np.array([(0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0)])
    places = np.concatenate([corners, 0.9 * corners + 5.0])
    equal = np.ones(8)
    vague = np.repeat([1.0, 0.3], 4)
    for vagueness, taken in ((vague, [4, 5, 6, 7]), (vague[::-1], [0, 1, 2, 3])):
        four = well_spread(places, worth_of(equal, equal, vagueness), np.ones(8, bool))
        assert sorted(four) == taken
    # Spread counts, too: nothing is taken from half as far out
    places[4:] = 0.5 * corners + 25.0
    assert sorted(well_spread(places, worth_of(equal, equal, vague), np.ones(8, bool))) != [
        4,
        5,
        6,
        7,
    ]


@pytest.mark.parametrize("seed", range(6))
def test_in_a_strip_no_two_lie_on_one_spot(seed: int) -> None:
    """Towns along a road, and a dense town at its end: the outermost alone are all there."""
    rng = np.random.default_rng(seed)
    road = np.stack([np.linspace(0.0, 600.0, 25), rng.normal(200.0, 3.0, 25)], axis=-1)
    town = rng.normal((620.0, 200.0), 6.0, (25, 2))
    places, ncc = np.concatenate([road, town]), np.repeat([0.7, 0.9], 25)
    four = well_spread(places, ncc, np.ones(50, bool))
    assert len(set(four)) == 4
    assert spread_of(places[four], hull_area(places)).wide
    apart = np.linalg.norm(places[four][:, None] - places[four][None], axis=2)
    assert apart[np.triu_indices(4, 1)].min() >= NEAREST_SHARE * apart.max()


def test_spread_is_told_of_what_the_four_span() -> None:
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    assert hull_area(np.concatenate([square, [[5.0, 5.0]]])) == pytest.approx(100.0)
    assert hull_area(square[:2]) == 0.0
    for order in ([0, 1, 2, 3], [0, 2, 1, 3], [3, 1, 0, 2]):
        spread = spread_of(square[order], 200.0)
        assert spread.hull_share == pytest.approx(0.5)
        assert spread.nearest_share == pytest.approx(np.sqrt(0.5))
        assert spread.wide
    assert not spread_of(square, 401.0).wide
    near = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.5, 0.0]])
    assert not spread_of(near, 60.0).wide
    assert not spread_of(np.zeros((4, 2)), 60.0).wide


def test_points_lie_on_lights_of_photo_and_map(solved: Solved) -> None:
    """Where an eye looks for them: a town of the photo, and of the map at the told place."""
    best, points = solved.best, solved.result.control_points
    factor = best.solution.image.factor
    at = (np.array([(p.x, p.y) for p in points]) + 0.5) * factor - 0.5
    lights = best.photo_towns.positions[best.met]
    to_photo = np.linalg.norm(lights[None] - at[:, None], axis=2).min(axis=1)
    view, known = render_known(best.solution.levels, best.solution.camera, 2)
    shown = np.stack(
        best.solution.camera.lonlat_to_pixel([p.lon for p in points], [p.lat for p in points]),
        axis=-1,
    )
    of_map = find_towns(view, known, 300).positions
    to_map = np.linalg.norm(of_map[None] - shown[:, None], axis=2).min(axis=1)
    on_both = (to_photo < 4.0) & (to_map < 1.5)
    assert on_both.sum() >= 3
    assert spread_of(at, hull_area(lights)).hull_share >= LEAST_SPREAD


def test_no_point_lies_on_dark_ground_beyond_the_lights(near_nadir: Solved) -> None:
    """The map confirms those of the left alone; patches farther out are as good."""
    best = near_nadir.best
    met = best.photo_towns.chosen(best.met)
    left = met.chosen(np.flatnonzero(met.x < np.median(met.x)))
    factor = best.solution.image.factor
    for lights, beyond in ((met, True), (left, False)):
        points = propose(best.solution, best.camera, lights)
        assert len(points) == 4
        assert all(point.lights > 0 for point in points)
        far_px = max((point.x + 0.5) * factor - 0.5 for point in points) - left.x.max()
        assert (far_px > LIGHTS_REACH_PX) == beyond


def test_a_light_that_only_the_photo_shows_takes_no_point(near_nadir: Solved) -> None:
    best = near_nadir.best
    bare = propose(best.solution, best.camera, NO_LIGHTS)
    x, y = np.meshgrid(np.arange(2.0, 60.0, 8.0), np.arange(2.0, 40.0, 8.0))
    elsewhere = Towns(x=x.ravel() - 500.0, y=y.ravel(), contrast=np.ones(x.size))
    assert propose(best.solution, best.camera, elsewhere) == bare


def test_a_point_of_a_resized_picture_in_stored_pixels() -> None:
    """Half-pixel rule: pixel 10 of a picture brought down four times lies at 41.5."""
    camera = camera_over(10.0, 40.0, focal_px=800.0)
    place, covariance = np.array([10.0, 20.0]), np.diag([0.04, 0.09])
    point = control_point(camera, ecef(10.1, 40.05), *stored_pixels(place, covariance, 4.0), 3)
    assert (point.x, point.y) == (41.5, 81.5)
    assert (point.lon, point.lat) == pytest.approx((10.1, 40.05), abs=1e-9)
    assert point.covariance_px == pytest.approx((16 * 0.04, 0.0, 16 * 0.09))
    assert point.sigma_px == pytest.approx(4.0 * np.sqrt((0.04 + 0.09) / 2.0))
    assert point.lights == 3
    # A pixel is 410 km / 800 px = 512 m; the map's own error comes on top
    metres = 410e3 / 800.0
    expected = np.sqrt((16 * (0.04 + 0.09) / 2.0) * metres**2 + 50.0**2)
    assert point.sigma_m == pytest.approx(expected, rel=0.004)
    east, cross, north = point.covariance_m
    assert east * north > cross**2


def test_uncertainty_on_slanted_ground_is_stretched() -> None:
    """At 60 degrees of incidence a pixel is twice as long away from the camera as across."""
    camera = camera_over(0.0, 0.0, off_nadir=55.0, azimuth=0.0, focal_px=800.0)
    lon, lat = (float(v) for v in camera.pixel_to_lonlat(149.5, 99.5))
    point = control_point(camera, ecef(lon, lat), np.array([149.5, 99.5]), np.eye(2), 0)
    east, _, north = point.covariance_m
    incidence = np.radians(float(incidence_deg(camera.position_ecef_m, ecef(lon, lat))))
    assert np.sqrt(north / east) == pytest.approx(1.0 / np.cos(incidence), rel=0.05)
