"""What whatever proposes cameras has to keep: it finds the truth, within what is known, alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulate.camera import SimCamera
from benchmarks.trials.attempt import camera_of
from matchers.camera import Camera
from matchers.pose import turned
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.lights.map import open_light_map
from regengine.orbit import CameraPosition, icrs_to_itrf, load_tle_file, position_from_nadir
from regengine.orbit.position import choose_position
from regengine.photo.frame import read_frame
from regengine.registration.candidates import SAME_SHARE, Candidate, same_view
from regengine.registration.index.earth import EarthIndex, index_in_memory
from regengine.registration.neighbour_priors import Neighbour, NeighbourPrior
from regengine.registration.preparation import prepare
from regengine.registration.register import proposers
from regengine.registration.search import Proposer, RegisterParams, Search, SearchAids, Sky
from regengine.sky.stars.attitude import StarAttitude
from tests.kit.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.kit.simulated import sample_camera, true_camera, write_city_map

METHODS = {str(m.__name__).rsplit(".", 1)[-1]: m for group in proposers() for m in group}
MOST_STEPS, MOST_RANK = 12, 6
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


@pytest.fixture(scope="module")
def index() -> EarthIndex:
    """Of the samples' map."""
    found = index_in_memory(open_light_map([LIGHTS]))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The map of the city without a light."""
    return write_city_map(tmp_path_factory.mktemp("dark") / "dark.tif", np.zeros_like)


def stars_of(case: Case) -> Sky:
    """A sky whose stars tell a camera's attitude."""
    time_utc = case.position.time_utc
    assert time_utc is not None
    truth = case.truth
    camera = SkyCamera(
        width_px=truth.width_px,
        height_px=truth.height_px,
        focal_px=truth.focal_px,
        principal_point=truth.principal_point,
        quaternion_icrs=matrix_quaternion(icrs_to_itrf(time_utc).T @ truth.matrix),
        distortion=truth.distortion,
    )
    found = StarAttitude(
        camera=camera, sigma_rad=1e-4, sigma_log_focal=1e-3, stars=20, time_utc=time_utc
    )
    return lambda _: found


def aids_for(method: str, case: Case, index: EarthIndex) -> SearchAids:
    """What a way of proposing needs to have something to say."""
    if method == "propose_index":
        return SearchAids(index=index)
    if method == "propose_manual":  # laid on the map by eye
        placed = turned(case.truth, [0.01, -0.01, 0.03])
        return SearchAids(placement=placed)
    if method == "propose_neighbours":
        neighbour = Neighbour(frame="before", camera=turned(case.truth, [0.02, 0.0, 0.01]))
        told = NeighbourPrior(frames=("before",), offset_s=0.0, spread_s=2.0)
        return SearchAids(neighbours=replace(told, neighbours=(neighbour,)))
    if method == "propose_stars":
        return SearchAids(sky=stars_of(case))
    return SearchAids()


def search_of(case: Case, aids: SearchAids, lights: Path = LIGHTS) -> Search:
    parameters = RegisterParams(clock_window_s=20.0)
    return prepare(
        read_frame(case.photo), case.position, open_light_map([lights]), parameters, aids
    )


def proposed(search: Search, method: str, steps: int = MOST_STEPS) -> Iterator[list[Candidate]]:
    """What comes of each of the first steps, the best first."""
    proposer: Proposer = METHODS[method]
    for step in islice(proposer.propose(search), steps):
        for proposals in step.take():
            yield sorted(proposals.candidates, key=lambda one: -one.score)


@pytest.fixture(params=METHODS, scope="module")
def method(request: pytest.FixtureRequest) -> str:
    """Each that is there."""
    return str(request.param)


@pytest.fixture(scope="module")
def case(method: str, city: Case) -> Case:
    """The city; for stars a photo that has a sky."""
    if method != "propose_stars":
        return city
    return case_of(SAMPLES / f"{LIMB}.jpg", sample_camera(LIMB))


@pytest.fixture(scope="module")
def first(method: str, case: Case, index: EarthIndex) -> list[list[Candidate]]:
    """What comes of the first step."""
    return list(proposed(search_of(case, aids_for(method, case, index)), method, steps=1))


def test_the_true_camera_is_among_the_best(
    method: str, case: Case, index: EarthIndex, first: list[list[Candidate]]
) -> None:
    later = proposed(search_of(case, aids_for(method, case, index)), method)
    assert any(
        same_view(one.camera, case.truth, SAME_SHARE)
        for found in chain(first, later)
        for one in found[:MOST_RANK]
    )


def test_what_is_known_is_kept_to(method: str, case: Case, index: EarthIndex) -> None:
    """Nothing far from where the photo was taken from, even if the lights are elsewhere."""
    aids = aids_for(method, case, index)
    away = position_from_nadir(
        case.position.lon + 9.0,
        case.position.lat + 7.0,
        415.0,
        "option",
        time_utc=case.position.time_utc,
    )
    if aids.placement is not None:  # what a person placed is where it is placed
        away = case.position
    if aids.neighbours is not None:
        away = replace(away, velocity_ecef_m_s=case.position.velocity_ecef_m_s)
    search = search_of(replace(case, position=away), aids)
    for found in proposed(search, method, steps=2):
        for one in found:
            apart_m = np.subtract(one.camera.position_ecef_m, away.position_ecef_m)
            assert np.linalg.norm(apart_m) / 1e3 < FAR_KM
            assert (one.camera.width_px, one.camera.height_px) == (
                case.truth.width_px,
                case.truth.height_px,
            )
            assert search.allows(one.camera)


def test_a_map_without_lights_brings_nothing(
    method: str, case: Case, index: EarthIndex, dark: Path
) -> None:
    aids = aids_for(method, case, index)
    if aids.index is not None:
        aids = replace(aids, index=index_in_memory(open_light_map([dark])))
    found = list(proposed(search_of(case, aids, dark), method, steps=1))
    assert all(one.score <= 0.0 for few in found for one in few)


def test_the_same_is_proposed_again(
    method: str, case: Case, index: EarthIndex, first: list[list[Candidate]]
) -> None:
    again = search_of(case, aids_for(method, case, index))
    second = list(proposed(again, method, steps=1))
    assert [[one.camera for one in few] for few in first] == [
        [one.camera for one in few] for few in second
    ]
    assert [[one.score for one in few] for few in first] == [
        [one.score for one in few] for few in second
    ]
