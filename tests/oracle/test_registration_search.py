"""How a search proposes cameras and ends; four places out of a solved camera, and their sigmas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.camera import SimCamera, wgs84
from benchmarks.trials.attempt import camera_of
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.pose import ALONG, track_offsets_m, turn_camera
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from matchers.lights.patches import fit_to_patches
from regengine.maps.index.earth import EarthIndex
from regengine.maps.opening import open_light_map
from regengine.orbit import CameraPosition, icrs_to_itrf, load_tle_file, position_from_nadir
from regengine.orbit.position import choose_position
from regengine.photo.frame import read_frame
from regengine.registration.align import is_same_view, score_hypothesis
from regengine.registration.control_points import (
    LIGHTS_REACH_PX,
    MIN_APART_SHARE,
    choose_four,
    hull_area,
    measure_spread,
    project_covariance,
    select_control_points,
)
from regengine.registration.generate_stages import generate_stages
from regengine.registration.parameters import RegisterParams, SearchParams
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.priors import Neighbour, NeighbourPrior, Seen
from regengine.registration.register import PROPOSERS, search, state_problem
from regengine.registration.report_result import measure_offset_sigma_s
from regengine.registration.types import (
    Fit,
    Hypothesis,
    Method,
    Prior,
    Problem,
    SearchReferences,
    StopReason,
    keeps_sky_free,
)
from regengine.sky.stars.solve import StarAttitude
from regengine.store.result import ControlPoint
from tests.oracle.conftest import Solved
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.simulated import sample_camera, true_camera
from tests.world.towns import camera_over, ecef

STAGES, RANK = 12, 6
FAR_KM = 700.0  # beyond what a clock of 20 s and a slide along the track bring about
LIMB = "ISS990-E-000106"


@dataclass(frozen=True)
class Case:
    """A photo, its true camera, and where that was by its time."""

    photo: Path
    truth: Camera
    position: CameraPosition


def case_of(photo: Path, camera: SimCamera) -> Case:
    position = choose_position(read_frame(photo), load_tle_file(ELEMENTS))
    return Case(photo, camera_of(camera), position)


@pytest.fixture(scope="module")
def city(simulated: Path) -> Case:
    """A city from nearly above."""
    return case_of(simulated / "nadir.jpg", true_camera(simulated / "nadir.jpg"))


def attitude_of(case: Case) -> StarAttitude:
    """What the stars would tell of a camera."""
    time_utc, truth = case.position.time_utc, case.truth
    assert time_utc is not None
    camera = SkyCamera(
        width_px=truth.width_px,
        height_px=truth.height_px,
        focal_px=truth.focal_px,
        principal_point=truth.principal_point,
        quaternion_icrs=matrix_quaternion(icrs_to_itrf(time_utc).T @ truth.matrix),
        distortion=truth.distortion,
    )
    return StarAttitude(
        camera=camera, sigma_rad=1e-4, sigma_log_focal=1e-3, stars=20, time_utc=time_utc
    )


def prior_for(method: Method, case: Case) -> Prior:
    """What a way of proposing needs to have something to say."""
    if method == "placement":  # laid on the map by eye
        placed = turn_camera(case.truth, [0.01, -0.01, 0.03])
        return Prior(position=case.position, placement=placed)
    if method == "neighbours":
        neighbour = Neighbour(frame="before", camera=turn_camera(case.truth, [0.02, 0.0, 0.01]))
        told = NeighbourPrior(
            frames=("before",), offset_s=0.0, spread_s=2.0, neighbours=(neighbour,)
        )
        return Prior(position=case.position, neighbours=told)
    if method == "stars":
        return Prior(position=case.position, read_stars=lambda _: attitude_of(case))
    if method == "horizon":  # and a place somewhere in the picture
        x, y = case.truth.width_px / 3.0, case.truth.height_px - 1.0
        lon, lat = (float(one) for one in case.truth.pixel_to_lonlat(x, y))
        return Prior(position=case.position, seen=Seen(lon=lon, lat=lat, radius_km=100.0))
    return Prior(position=case.position)


def pose(case: Case, prior: Prior, index: EarthIndex | None, lights: Path = LIGHTS) -> Problem:
    params = RegisterParams(clock_window_s=20.0)
    photo = prepare_photo(read_frame(case.photo), prior, params)
    references = SearchReferences(light_map=open_light_map([lights]), index=index)
    return state_problem(photo, prior, references, params)


def propose(problem: Problem, method: Method, stages: int = STAGES) -> list[list[Hypothesis]]:
    """What comes of the first stages of a method, the best first."""
    chosen = [stage for stage in generate_stages(problem) if stage.method == method][:stages]
    assert chosen, f"no stage of {method}"
    return [
        sorted(PROPOSERS[method](problem, stage), key=lambda one: -score_hypothesis(one))
        for stage in chosen
    ]


@pytest.fixture(params=PROPOSERS, scope="module")
def method(request: pytest.FixtureRequest) -> Method:
    """Each that is there."""
    found: Method = request.param
    return found


@pytest.fixture(scope="module")
def case(method: Method, city: Case) -> Case:
    """The city; a photo that has a sky where that is needed."""
    if method not in ("stars", "horizon"):
        return city
    return case_of(SAMPLES / f"{LIMB}.jpg", sample_camera(LIMB))


@pytest.mark.slow
def test_the_true_camera_is_among_the_best_and_the_same_again(
    method: Method, case: Case, samples_index: EarthIndex
) -> None:
    first, again = (
        propose(pose(case, prior_for(method, case), samples_index), method) for _ in range(2)
    )
    rank = 1 if method == "horizon" else RANK
    assert any(is_same_view(h.camera, case.truth) for few in first for h in few[:rank])
    assert all(h.source == method for few in first for h in few)
    assert [[(h.camera, score_hypothesis(h)) for h in few] for few in first] == [
        [(h.camera, score_hypothesis(h)) for h in few] for few in again
    ]


@pytest.mark.slow
@pytest.mark.parametrize("above", ["somewhere", "track"])
def test_a_far_oblique_is_first_among_nadirs(above: str, samples_index: EarthIndex) -> None:
    """No place in it is known: of all nadirs on Earth, and of those of the orbit."""
    case = case_of(SAMPLES / f"{LIMB}.jpg", sample_camera(LIMB))
    prior = Prior(position=case.position) if above == "track" else Prior()
    problem = pose(case, prior, samples_index)
    first, again = (propose(problem, "horizon")[0] for _ in range(2))
    assert is_same_view(first[0].camera, case.truth)
    assert [one.camera for one in first] == [one.camera for one in again]


def test_what_is_known_is_kept_to(method: Method, case: Case, samples_index: EarthIndex) -> None:
    """Nothing far from where the photo was taken from, even if the lights are elsewhere."""
    prior = prior_for(method, case)
    if prior.placement is None:  # what a person placed is where it is placed
        away = position_from_nadir(
            case.position.lon + 9.0,
            case.position.lat + 7.0,
            415.0,
            "option",
            time_utc=case.position.time_utc,
        )
        if prior.neighbours is not None:
            away = replace(away, velocity_ecef_m_s=case.position.velocity_ecef_m_s)
        prior = replace(prior, position=away)
    assert prior.position is not None
    problem = pose(case, prior, samples_index)
    known, far_km = prior.position.position_ecef_m, FAR_KM
    if prior.seen is not None:  # from where a place is in view
        known, far_km = ecef(prior.seen.lon, prior.seen.lat, 415e3), 2400.0
    for few in propose(problem, method, stages=2):
        for one in few:
            apart_m = np.subtract(one.camera.position_ecef_m, known)
            assert np.linalg.norm(apart_m) / 1e3 < far_km
            size = one.camera.width_px, one.camera.height_px
            assert size == (case.truth.width_px, case.truth.height_px)
            assert keeps_sky_free(problem.photo, one.camera)


@pytest.mark.parametrize("method", ["light", "asterisms", "dense"])
def test_each_method_alone_places_a_city(
    city: Case, samples_index: EarthIndex, method: Method
) -> None:
    params = RegisterParams(search=SearchParams(methods=(method,)))
    problem = pose(city, Prior(position=city.position), samples_index)
    state = search(replace(problem, params=params))
    assert state.stop_reason is StopReason.PROVEN
    assert state.match is not None
    assert state.match.hypothesis.source == method
    assert is_same_view(state.match.camera, city.truth, 0.01)


def test_a_search_ends_by_its_work_or_its_time_and_says_which(over_city: Solved) -> None:
    problem = over_city.problem
    assert over_city.state.stop_reason is StopReason.PROVEN
    assert over_city.state.work == pytest.approx(sum(over_city.state.work_of.values()))
    for params, reason in (
        (replace(problem.params, work_budget=0.01), StopReason.WORK_BUDGET),
        (replace(problem.params, max_seconds=-1.0), StopReason.CPU_LIMIT),
        (
            replace(problem.params, search=SearchParams(methods=(), min_chance=0.5)),
            StopReason.EXHAUSTED,
        ),
    ):
        state = search(replace(problem, params=params))
        assert (state.stop_reason, state.match, state.work) == (reason, None, 0.0)


@pytest.mark.parametrize(
    ("cities_probability", "reason"),
    [(1.0, StopReason.PROVEN), (0.02, StopReason.PROVEN), (1e-4, StopReason.WORK_BUDGET)],
)
def test_a_photo_costs_what_its_chance_of_cities_is_worth(
    over_city: Solved, cities_probability: float, reason: StopReason
) -> None:
    """The likeliest stages are tried where cities are unlikely, none where there is no hope."""
    prior = replace(over_city.problem.prior, cities_probability=cities_probability)
    state = search(replace(over_city.problem, prior=prior))
    assert (state.stop_reason, state.work > 0.0) == (reason, reason is StopReason.PROVEN)


def pixel_errors(solved: Solved, points: tuple[ControlPoint, ...]) -> NDArray[np.float64]:
    """Pixel of each point minus the pixel that truly shows its place, shape (n, 2)."""
    x, y, _, _ = solved.truth.project([p.lon for p in points], [p.lat for p in points])
    return np.array([(p.x, p.y) for p in points]) - np.stack([x, y], axis=1)


def with_patches(solution: Fit, chosen: NDArray[np.intp]) -> Fit:
    """Some of its patches alone; the map confirms no light of the photo."""
    refinement = solution.refinement
    some = replace(
        refinement,
        matches=refinement.matches.select(chosen),
        residual_px=refinement.residual_px[chosen],
        weights=refinement.weights[chosen],
    )
    matched = np.zeros(0, np.intp)
    return replace(solution, refinement=some, groups=solution.groups[chosen], matched=matched)


def random_subsets(solved: Solved, count: int) -> list[tuple[ControlPoint, ...]]:
    """Control points out of different halves of a solution's patches."""
    fit, rng = solved.match.fit, np.random.default_rng(0)
    halves = [np.flatnonzero(rng.random(len(fit.refinement.matches)) < 0.4) for _ in range(count)]
    return [select_control_points(with_patches(fit, half), solved.match.camera) for half in halves]


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


def test_the_offset_along_the_orbit_has_a_sigma_but_not_through_a_keyhole(
    over_city: Solved, slanted: Solved
) -> None:
    """What few patches in the middle show, they show with another tilt from elsewhere, too."""
    for solved in (over_city, slanted):
        match, refinement = solved.match, solved.match.fit.refinement
        found, truth = (
            track_offsets_m(refinement.prior, camera.position_ecef_m)[0]
            for camera in (match.camera, camera_of(solved.truth))
        )
        sigma_s = measure_offset_sigma_s(match)
        assert sigma_s is not None
        assert solved.result.solved is not None
        assert solved.result.solved.along_track_sigma_s == sigma_s
        sigma_m = 1e3 * sigma_s * match.hypothesis.track.speed_km_s
        assert abs(found - truth) < 3.0 * sigma_m
        # Not below what the fit alone says, and a tenth of what was believed beforehand
        assert refinement.covariance[ALONG, ALONG] <= sigma_m**2 * (1.0 + 1e-9)
        assert sigma_m < 0.1 * refinement.prior.sigma_along_m
        places = np.stack([refinement.matches.x, refinement.matches.y], axis=-1)
        near = np.argsort(np.linalg.norm(places - places.mean(axis=0), axis=1))[:6]
        few = fit_to_patches(
            *(refinement.rendered, refinement.matches.select(near)),
            *(refinement.prior, refinement.free),
        )
        keyhole = replace(match.fit, refinement=few, groups=match.fit.groups[near])
        vague_s = measure_offset_sigma_s(replace(match, fit=keyhole))
        # Height and scale tell how long the slant is, but not straight down
        assert vague_s is None if solved is over_city else vague_s > 10.0 * sigma_s


def test_a_triangle_of_patches_is_filled_up_with_the_best_and_no_two_lie_on_one_spot() -> None:
    places = np.array([[0, 0], [100, 0], [0, 100], [20, 20], [30, 25], [25, 30]], float)
    ncc = np.array([0.9, 0.9, 0.9, 0.7, 0.85, 0.6])
    assert sorted(choose_four(places, ncc, np.ones(6, bool))) == [0, 1, 2, 4]
    assert sorted(choose_four(places, ncc, np.arange(6) != 4)) == [0, 1, 2, 3]
    assert choose_four(places, ncc, np.arange(6) < 3) == [0, 1, 2]
    # Towns along a road, and a dense town at its end: the outermost alone are all there
    rng = np.random.default_rng(1)
    road = np.stack([np.linspace(0.0, 600.0, 25), rng.normal(200.0, 3.0, 25)], axis=-1)
    places = np.concatenate([road, rng.normal((620.0, 200.0), 6.0, (25, 2))])
    four = choose_four(places, np.repeat([0.7, 0.9], 25), np.ones(50, bool))
    assert len(set(four)) == 4
    assert measure_spread(places[four], hull_area(places))[1]
    apart = np.linalg.norm(places[four][:, None] - places[four][None], axis=2)
    assert apart[np.triu_indices(4, 1)].min() >= MIN_APART_SHARE * apart.max()


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
    left = fit.light_peaks.select(left_met)
    factor = fit.image.factor
    for met, beyond in ((all_met, True), (left_met, False)):
        points = select_control_points(replace(fit, matched=met), match.camera)
        assert len(points) == 4
        assert all(point.n_lights > 0 for point in points)
        far_px = max((point.x + 0.5) * factor - 0.5 for point in points) - left.x.max()
        assert (far_px > LIGHTS_REACH_PX) == beyond


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


def test_uncertainty_on_slanted_ground_is_stretched() -> None:
    """At 60 degrees of incidence a pixel is twice as long away from the camera as across."""
    camera = camera_over(0.0, 0.0, off_nadir=55.0, azimuth=0.0, focal_px=800.0)
    place = ecef(*(float(v) for v in camera.pixel_to_lonlat(149.5, 99.5)))
    (east, _), (_, north) = project_covariance(camera, place, np.eye(2))
    incidence = np.radians(float(incidence_deg(camera.position_ecef_m, place)))
    assert np.sqrt(north / east) == pytest.approx(1.0 / np.cos(incidence), rel=0.05)
