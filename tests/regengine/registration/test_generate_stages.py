"""What is tried first, and that what is tried depends on what is known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from regengine.orbit import position_from_nadir
from regengine.registration.generate_stages import generate_stages, list_places
from regengine.registration.parameters import LENS
from regengine.registration.priors.seen import Seen
from regengine.registration.register import pose_problem
from regengine.registration.report_result import measure_covered_share
from regengine.registration.types import Photo, Prior, Problem
from tests.regengine.registration.conftest import Solved
from tests.regengine.registration.made_limb import found_limb


@pytest.fixture
def problem(over_city: Solved) -> Problem:
    """A photo whose time, orbit and lens are known."""
    return over_city.problem


def with_photo(problem: Problem, **changes: object) -> Problem:
    """The same of another photo."""
    photo: Photo = replace(problem.photo, **changes)  # type: ignore[arg-type]
    return replace(problem, photo=photo)


def with_prior(problem: Problem, **changes: object) -> Problem:
    """The same of which something else is known."""
    prior: Prior = replace(problem.prior, **changes)  # type: ignore[arg-type]
    return pose_problem(problem.photo, prior, problem.references, problem.params)


def test_an_unknown_lens_is_sought_among_the_usual_ones(problem: Problem) -> None:
    def ratios(one: Problem) -> set[float]:
        return {round(stage.lens.ratio, 2) for stage in generate_stages(one)}

    known, unknown = problem, with_photo(problem, focal_known=False)
    assert generate_stages(known)[0].lens.sigma_log_focal == LENS.sigma_log_focal
    unsure = {stage.lens.sigma_log_focal for stage in generate_stages(unknown)}
    assert min(unsure) > LENS.sigma_log_focal
    assert len(ratios(unknown)) > 8
    # With a lens that is told only crops of it are tried
    assert max(abs(np.log(ratio)) for ratio in ratios(known)) < 1.0
    # and as if it was unknown what was tried with it is left out
    tried_px = known.photo.nominal.focal_px
    doubted = with_photo(problem, focal_known=False, doubted_focal_px=tried_px)
    assert 0 < len(ratios(doubted)) < len(ratios(unknown))
    assert (
        min(abs(np.log(ratio)) for ratio in ratios(doubted)) >= LENS.sigma_log_focal_unsure - 0.01
    )


def test_a_limb_tells_the_tilt(problem: Problem) -> None:
    nominal = problem.photo.nominal
    nadir = np.array([0.0, np.sin(np.radians(62.0)), np.cos(np.radians(62.0))])
    limb = found_limb(nadir, nominal.focal_px, (nominal.height_px, nominal.width_px))
    stages = generate_stages(with_photo(problem, limb=limb))
    light = next(stage for stage in stages if stage.method == "light")
    for _, nadirs in light.views:
        assert nadirs == pytest.approx(nadir[None], abs=1e-6)
    # It may be a false one
    assert any(stage.views and len(stage.views[0][1]) > 1 for stage in stages)


def test_of_what_nothing_is_known_the_whole_earth_is_asked(problem: Problem) -> None:
    blind = with_prior(problem, position=None)
    stages = generate_stages(blind)
    assert {stage.method for stage in stages} == {"light"}
    assert {stage.region.name for stage in stages if stage.region} == {"earth"}


def test_a_position_may_be_wrong_altogether_but_for_what_the_user_bounds(problem: Problem) -> None:
    def regions(one: Problem) -> set[str]:
        return {stage.region.name for stage in generate_stages(one) if stage.region}

    # The index of the samples lies in sight of the place: nothing is elsewhere
    assert regions(problem) == {"near", "wide"}
    assert regions(replace(problem, references=replace(problem.references, index=None))) == set()


@pytest.mark.parametrize(
    ("bounds", "share"),
    [
        ((-180.0, -65.0, 180.0, 75.0), 1.0),
        ((10.0, -65.0, 60.0, 75.0), 0.5),
        ((-10.0, 44.98, 30.0, 75.0), 0.49),  # the east and west of a circle bend to the equator
        ((100.0, -65.0, 170.0, 75.0), 0.0),
    ],
)
def test_a_map_covers_a_share_of_the_ground_in_sight(
    problem: Problem, bounds: tuple[float, ...], share: float
) -> None:
    for turn in (0.0, 170.0):  # across the antimeridian
        west, south, east, north = bounds
        info = SimpleNamespace(bounds=(west + turn, south, east + turn, north))
        light_map: Any = Mock(info=info, overview=lambda _: None)
        position = position_from_nadir(10.0 + turn, 45.0, 400.0, "option")
        prior = replace(problem.prior, position=position)
        references = replace(problem.references, light_map=light_map)
        there = pose_problem(problem.photo, prior, references, problem.params)
        assert measure_covered_share(there) == pytest.approx(share, abs=0.03)


def test_nothing_is_tried_where_the_index_holds_no_light_in_sight(problem: Problem) -> None:
    away = position_from_nadir(10.0, -45.0, 410.0, "option")
    there = with_prior(problem, position=away, may_be_elsewhere=False)
    assert generate_stages(there) == []


def test_where_only_a_place_is_known_cameras_stand_all_around_it(problem: Problem) -> None:
    position = problem.prior.position
    assert position is not None
    seen = Seen(lon=position.lon, lat=position.lat, radius_km=50.0)
    around = position_from_nadir(position.lon, position.lat, 415.0, "centre")
    places = list_places(with_prior(problem, position=around, seen=seen), 150.0, 5.0)
    away_km = np.array(
        [
            great_circle_km(seen.lon, seen.lat, *ecef_to_geodetic(place.position_ecef_m)[:2])
            for _, place in places
        ]
    )
    shares = np.array([place.share for _, place in places])
    assert away_km[0] < 150.0
    # As of the archive's photos: half see what is nearer than 315 km, nine in ten than 1,134 km
    assert 0.3 < shares[away_km < 315.0].sum() < 0.7
    assert shares[away_km < 1134.0].sum() > 0.8
    near = [
        place
        for _, place in places
        if great_circle_km(position.lon, position.lat, *ecef_to_geodetic(place.position_ecef_m)[:2])
        < 900.0
    ]
    bearings = np.array([np.subtract(p.position_ecef_m, around.position_ecef_m) for p in near])
    assert np.linalg.matrix_rank(bearings, tol=1e5) >= 2  # to all sides, and not along a line
