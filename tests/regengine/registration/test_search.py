"""What every method of proposing cameras keeps to, and how a search ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulate.camera import SimCamera
from benchmarks.trials.attempt import camera_of
from matchers.geometry.camera import Camera
from matchers.geometry.pose import turn_camera
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit import CameraPosition, icrs_to_itrf, load_tle_file, position_from_nadir
from regengine.orbit.position import choose_position
from regengine.photo.frame import read_frame
from regengine.references.opening import open_light_map
from regengine.registration.align import is_same_view, score_hypothesis
from regengine.registration.generate_stages import generate_stages
from regengine.registration.index.earth import EarthIndex, index_in_memory
from regengine.registration.parameters import RegisterParams, SearchParams
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.priors.neighbours import Neighbour, NeighbourPrior
from regengine.registration.register import PROPOSERS, pose_problem, search, search_frame
from regengine.registration.types import (
    Hypothesis,
    Method,
    Prior,
    Problem,
    SearchReferences,
    StopReason,
    keeps_sky_free,
)
from regengine.sky.stars.attitude import StarAttitude
from tests.regengine.registration.conftest import Solved
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.simulated import sample_camera, true_camera, write_city_map

STAGES, RANK = 12, 6
FAR_KM = 700.0  # beyond what a clock of 20 s and a slide along the track bring about
SAME = SearchParams().same_view_share
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


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The map of the city without a light."""
    return write_city_map(tmp_path_factory.mktemp("dark") / "dark.tif", np.zeros_like)


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
    return Prior(position=case.position)


def pose(case: Case, prior: Prior, index: EarthIndex | None, lights: Path = LIGHTS) -> Problem:
    params = RegisterParams(clock_window_s=20.0)
    photo = prepare_photo(read_frame(case.photo), prior, params)
    references = SearchReferences(light_map=open_light_map([lights]), index=index)
    return pose_problem(photo, prior, references, params)


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
    """The city; for stars a photo that has a sky."""
    if method != "stars":
        return city
    return case_of(SAMPLES / f"{LIMB}.jpg", sample_camera(LIMB))


@pytest.mark.slow
def test_the_true_camera_is_among_the_best_and_the_same_again(
    method: Method, case: Case, samples_index: EarthIndex
) -> None:
    first, again = (
        propose(pose(case, prior_for(method, case), samples_index), method) for _ in range(2)
    )
    assert any(is_same_view(h.camera, case.truth, SAME) for few in first for h in few[:RANK])
    assert all(h.source == method for few in first for h in few)
    assert [[(h.camera, score_hypothesis(h)) for h in few] for few in first] == [
        [(h.camera, score_hypothesis(h)) for h in few] for few in again
    ]


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
    for few in propose(problem, method, stages=2):
        for one in few:
            apart_m = np.subtract(one.camera.position_ecef_m, prior.position.position_ecef_m)
            assert np.linalg.norm(apart_m) / 1e3 < FAR_KM
            size = one.camera.width_px, one.camera.height_px
            assert size == (case.truth.width_px, case.truth.height_px)
            assert keeps_sky_free(problem.photo, one.camera)


def test_a_map_without_lights_brings_nothing(method: Method, case: Case, dark: Path) -> None:
    index = index_in_memory(open_light_map([dark]))
    problem = pose(case, prior_for(method, case), index, dark)
    for stage in generate_stages(problem)[:3]:
        assert all(score_hypothesis(one) <= 0.0 for one in PROPOSERS[stage.method](problem, stage))


def test_a_map_without_any_light_is_not_searched(city: Case, dark: Path) -> None:
    for position in (city.position, position_from_nadir(-153.0, 34.0, 415.0, "option")):
        problem = pose(city, Prior(position=position), None, dark)
        state = search(problem, problem.params.clock())
        assert (state.work, state.stop_reason) == (0.0, StopReason.EXHAUSTED)


@pytest.mark.parametrize("method", ["light", "asterisms", "dense"])
def test_each_method_alone_places_a_city(
    city: Case, samples_index: EarthIndex, method: Method
) -> None:
    params = RegisterParams(search=SearchParams(methods=(method,)))
    references = SearchReferences(light_map=open_light_map([LIGHTS]), index=samples_index)
    prior = Prior(position=city.position)
    _, state, _ = search_frame(read_frame(city.photo), prior, references, params)
    assert state is not None
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
        (replace(problem.params, max_seconds=0.0), StopReason.CPU_LIMIT),
        (
            replace(problem.params, search=SearchParams(methods=(), min_chance=0.5)),
            StopReason.EXHAUSTED,
        ),
    ):
        state = search(replace(problem, params=params), params.clock() - 1.0)
        assert (state.stop_reason, state.match, state.work) == (reason, None, 0.0)


def test_work_is_the_same_again(over_city: Solved) -> None:
    again = search(over_city.problem, over_city.problem.params.clock())
    assert again.work_of == over_city.state.work_of
    assert again.match is not None
    assert again.match.camera == over_city.match.camera


@pytest.mark.slow
def test_a_class_that_surely_shows_no_city_is_worth_less_work(over_city: Solved) -> None:
    first = generate_stages(over_city.problem)[0]
    params = replace(over_city.problem.params, work_budget=1.8 * first.work)
    for probability, tried in ((0.5, True), (0.001, False)):
        prior = replace(over_city.problem.prior, cities_probability=probability)
        problem = replace(over_city.problem, prior=prior, params=params)
        found = search(problem, params.clock())
        assert (first.method in found.work_of) is tried
