"""Four places out of a solved camera: spread, each by itself, and honest about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.camera import wgs84
from matchers.geometry.earth import incidence_deg
from regengine.registration.control_points import (
    choose_four,
    compute_allowed_error_m,
    compute_sigma_at_lights_m,
    hull_area,
    measure_spread,
    project_covariance,
    select_control_points,
)
from regengine.registration.parameters import PointParams
from regengine.registration.types import Fit
from regengine.result import ControlPoint
from tests.regengine.registration.conftest import Solved
from tests.world.towns import camera_over, ecef

NONE = np.zeros(0, np.intp)
PARAMS = PointParams()


def matching(fit: Fit, lights: NDArray[np.intp]) -> Fit:
    """A fit of whose photo the map confirms some lights alone."""
    return replace(fit, matched=lights)


def pixel_errors(solved: Solved, points: tuple[ControlPoint, ...]) -> NDArray[np.float64]:
    """Pixel of each point minus the pixel that truly shows its place, shape (n, 2)."""
    x, y, _, _ = solved.truth.project([p.lon for p in points], [p.lat for p in points])
    return np.array([(p.x, p.y) for p in points]) - np.stack([x, y], axis=1)


def with_patches(solution: Fit, chosen: NDArray[np.intp]) -> Fit:
    refinement = solution.refinement
    return replace(
        solution,
        refinement=replace(
            refinement,
            matches=refinement.matches.chosen(chosen),
            residual_px=refinement.residual_px[chosen],
            weights=refinement.weights[chosen],
        ),
        groups=solution.groups[chosen],
    )


def random_subsets(solved: Solved, count: int) -> list[tuple[ControlPoint, ...]]:
    """Control points out of different halves of a solution's patches."""
    solution = solved.match.fit
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        chosen = np.flatnonzero(rng.random(len(solution.refinement.matches)) < 0.4)
        found.append(
            select_control_points(
                matching(with_patches(solution, chosen), NONE), solved.match.camera
            )
        )
    return found


def test_a_camera_is_less_sure_of_lights_where_it_was_fitted_to_none(over_city: Solved) -> None:
    match, fit = over_city.match, over_city.match.fit
    lights = fit.matched_lights
    sure = compute_sigma_at_lights_m(fit, lights, fit.refits)
    assert sure.shape == (len(lights),)
    assert sure.max() < 0.3 * compute_allowed_error_m(match.camera)
    matches = fit.refinement.matches
    width = fit.image.values.shape[1]
    left = with_patches(fit, np.flatnonzero(matches.x < 0.35 * width))
    half = compute_sigma_at_lights_m(left, lights, left.refits)
    there, here = lights.x > 0.7 * width, lights.x < 0.3 * width
    assert np.median(half[there] / sure[there]) > 3.0
    assert np.median(half[there]) > 2.0 * np.median(half[here])


def test_sigma_is_honest(over_city: Solved, slanted: Solved) -> None:
    """Over two photographs: the true place lies within three sigma, and sigma is not idle."""
    pulls, ground_pulls = [], []
    for solved in (over_city, slanted):
        for points in random_subsets(solved, 8):
            sigma = np.array([p.sigma_px for p in points])
            pulls.append(pixel_errors(solved, points) / sigma[:, None])
            lon, lat, _ = solved.truth.ground([p.x for p in points], [p.y for p in points])
            away = wgs84().inv(lon, lat, [p.lon for p in points], [p.lat for p in points])[2]
            ground_pulls.append(np.asarray(away) / np.array([p.sigma_m for p in points]))
    pull, ground_pull = np.abs(np.concatenate(pulls)), np.concatenate(ground_pulls)
    assert len(ground_pull) == 2 * 8 * 4
    assert (pull < 3.0).mean() >= 0.95
    # Two axes: a distance of 3.5 sigma is passed by two in a thousand
    assert (ground_pull < 3.5).mean() >= 0.95
    assert np.median(pull) > 0.1


def test_patches_that_the_fit_does_not_believe_rest_on_the_camera(over_city: Solved) -> None:
    """Four patches are left, of which two point at random: all four points are right."""
    match, fit = over_city.match, over_city.match.fit
    refinement = fit.refinement
    believed = np.flatnonzero(refinement.weights > 0.5)
    some = with_patches(fit, believed[:: max(1, len(believed) // 4)][:4])
    wild = np.array([[0.0, 0.0], [6.0, -3.0], [-4.0, 5.0], [0.0, 0.0]])
    matches = some.refinement.matches
    spoilt = replace(
        some.refinement,
        matches=replace(matches, dx=matches.dx + wild[:, 0], dy=matches.dy + wild[:, 1]),
        residual_px=some.refinement.residual_px + wild,
        weights=np.where(np.any(wild != 0.0, axis=1), 0.01, some.refinement.weights),
    )
    points = select_control_points(matching(replace(some, refinement=spoilt), NONE), match.camera)
    assert len(points) == 4
    errors = np.hypot(*pixel_errors(over_city, points).T)
    assert (errors < 4.0 * np.array([p.sigma_px for p in points])).all()
    assert errors.max() < 2.0 / fit.image.factor


def test_as_many_points_as_there_are_patches(over_city: Solved) -> None:
    match, fit = over_city.match, over_city.match.fit
    for count in (0, 2, 3):
        some = with_patches(fit, np.arange(count))
        assert len(select_control_points(matching(some, NONE), match.camera)) == count


def test_a_disagreeing_patch_pays_with_its_sigma(over_city: Solved) -> None:
    """The same four patches, one of which lies 3 px from where the camera has it."""
    match, fit = over_city.match, over_city.match.fit
    four = select_control_points(matching(fit, NONE), match.camera)
    refinement = fit.refinement
    matches, factor = refinement.matches, fit.image.factor
    at = np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=1)
    here = np.array([((p.x + 0.5) * factor - 0.5, (p.y + 0.5) * factor - 0.5) for p in four])
    chosen = np.linalg.norm(at[None] - here[:, None], axis=2).argmin(axis=1)
    only = with_patches(fit, chosen)
    steady = select_control_points(matching(only, NONE), match.camera)
    residual = only.refinement.residual_px.copy()
    residual[2] += [3.0, 0.0]
    spoilt = replace(only, refinement=replace(only.refinement, residual_px=residual))
    after = select_control_points(matching(spoilt, NONE), match.camera)
    assert after[2].sigma_px > 2.0 / factor * 0.9
    assert after[2].sigma_m > 2.0 * steady[2].sigma_m
    for k in (0, 1, 3):
        assert after[k] == steady[k]


def test_a_triangle_of_patches_is_filled_up_with_the_best_of_the_others() -> None:
    x = np.array([0.0, 100.0, 0.0, 20.0, 30.0, 25.0])
    y = np.array([0.0, 0.0, 100.0, 20.0, 25.0, 30.0])
    places = np.stack([x, y], axis=-1)
    ncc = np.array([0.9, 0.9, 0.9, 0.7, 0.85, 0.6])
    assert sorted(choose_four(places, ncc, np.ones(6, bool))) == [0, 1, 2, 4]
    usable = np.array([True, True, True, True, False, True])
    assert sorted(choose_four(places, ncc, usable)) == [0, 1, 2, 3]
    assert choose_four(places, ncc, np.arange(6) < 3) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_in_a_strip_no_two_lie_on_one_spot(seed: int) -> None:
    """Towns along a road, and a dense town at its end: the outermost alone are all there."""
    rng = np.random.default_rng(seed)
    road = np.stack([np.linspace(0.0, 600.0, 25), rng.normal(200.0, 3.0, 25)], axis=-1)
    town = rng.normal((620.0, 200.0), 6.0, (25, 2))
    places, ncc = np.concatenate([road, town]), np.repeat([0.7, 0.9], 25)
    four = choose_four(places, ncc, np.ones(50, bool))
    assert len(set(four)) == 4
    assert measure_spread(places[four], hull_area(places))[1]
    apart = np.linalg.norm(places[four][:, None] - places[four][None], axis=2)
    assert apart[np.triu_indices(4, 1)].min() >= PARAMS.min_apart_share * apart.max()


def test_spread_is_told_of_what_the_four_span() -> None:
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    assert hull_area(np.concatenate([square, [[5.0, 5.0]]])) == pytest.approx(100.0)
    assert hull_area(square[:2]) == 0.0
    for order in ([0, 1, 2, 3], [0, 2, 1, 3], [3, 1, 0, 2]):
        assert measure_spread(square[order], 200.0) == (pytest.approx(0.5), True)
    assert measure_spread(square, 401.0) == (pytest.approx(100.0 / 401.0), False)
    near = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.5, 0.0]])
    assert not measure_spread(near, 60.0)[1]
    assert not measure_spread(np.zeros((4, 2)), 60.0)[1]
    assert not measure_spread(square[:3], 60.0)[1]


def test_no_point_lies_on_dark_ground_beyond_the_lights(over_city: Solved) -> None:
    """The map confirms those of the left alone; patches farther out are as good."""
    match, fit = over_city.match, over_city.match.fit
    all_met, every = fit.matched, fit.matched_lights
    left_met = all_met[every.x < np.median(every.x)]
    left = fit.lights.chosen(left_met)
    factor = fit.image.factor
    for met, beyond in ((all_met, True), (left_met, False)):
        points = select_control_points(matching(fit, met), match.camera)
        assert len(points) == 4
        assert all(point.lights > 0 for point in points)
        far_px = max((point.x + 0.5) * factor - 0.5 for point in points) - left.x.max()
        assert (far_px > PARAMS.lights_reach_px) == beyond


def test_sigmas_of_points_follow_from_their_covariances(over_city: Solved) -> None:
    """The map's own error comes on top of the camera's on the ground."""
    camera = over_city.match.camera
    for point in select_control_points(over_city.match.fit, camera):
        xx, xy, yy = point.covariance_px
        assert point.sigma_px == pytest.approx(np.sqrt((xx + yy) / 2.0))
        east, cross, north = point.covariance_m
        assert point.sigma_m == pytest.approx(np.sqrt((east + north) / 2.0))
        in_image = np.array([[xx, xy], [xy, yy]])
        seen = project_covariance(camera, ecef(point.lon, point.lat), in_image)
        assert [east, cross, north] == pytest.approx(
            [seen[0, 0] + 50.0**2, seen[0, 1], seen[1, 1] + 50.0**2], rel=1e-6
        )


def test_a_pixel_straight_down_is_the_height_over_the_focal_length() -> None:
    camera = camera_over(10.0, 40.0, focal_px=800.0)
    on_ground = project_covariance(camera, ecef(10.1, 40.05), np.diag([0.64, 1.44]))
    expected = (410e3 / 800.0) ** 2 * (0.64 + 1.44)
    assert np.trace(on_ground) == pytest.approx(expected, rel=0.008)
    assert np.linalg.det(on_ground) > 0.0


def test_uncertainty_on_slanted_ground_is_stretched() -> None:
    """At 60 degrees of incidence a pixel is twice as long away from the camera as across."""
    camera = camera_over(0.0, 0.0, off_nadir=55.0, azimuth=0.0, focal_px=800.0)
    place = ecef(*(float(v) for v in camera.pixel_to_lonlat(149.5, 99.5)))
    (east, _), (_, north) = project_covariance(camera, place, np.eye(2))
    incidence = np.radians(float(incidence_deg(camera.position_ecef_m, place)))
    assert np.sqrt(north / east) == pytest.approx(1.0 / np.cos(incidence), rel=0.05)
