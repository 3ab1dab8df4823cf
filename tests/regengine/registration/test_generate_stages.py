"""What is tried first, and that what is tried depends on what is known."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from matchers.earth import ecef_to_geodetic, great_circle_km
from regengine.orbit import position_from_nadir
from regengine.registration.generate_stages import generate_stages, list_places, space_places
from regengine.registration.parameters import LENS
from regengine.registration.priors.neighbours import Neighbour, NeighbourPrior
from regengine.registration.priors.seen import Seen
from regengine.registration.stage_yields import read_stage_yields
from regengine.registration.types import Photo, Problem, Stage
from tests.example_results import nadir_camera
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


def longer(problem: Problem, times: float) -> Problem:
    """The same with a longer lens."""
    nominal = problem.photo.nominal
    return with_photo(problem, nominal=replace(nominal, focal_px=times * nominal.focal_px))


def test_most_hits_for_a_unit_of_work_come_first(problem: Problem) -> None:
    stages = generate_stages(problem)
    rates = [stage.chance / stage.work for stage in stages]
    assert rates == sorted(rates, reverse=True)
    assert all(0.0 < stage.chance < 1.0 and stage.work > 0.0 for stage in stages)
    assert min(stage.chance for stage in stages) >= problem.params.search.min_chance


def test_boxes_do_not_hold_more_than_everything(problem: Problem) -> None:
    """Of one method; the two halves of dense views are one box each."""
    for name in ("light", "asterisms", "dense"):
        found = sum(s.chance for s in generate_stages(problem) if s.method == name)
        assert 0.0 < found < 1.0


def test_where_the_time_is_good_the_first_look_is_from_there(problem: Problem) -> None:
    first = generate_stages(problem)[0]
    assert (first.method, first.mirrored, first.lens.ratio) == ("asterisms", False, 1.0)
    assert first.place is not None
    assert abs(first.place.offset_km) < 100.0
    assert first.place.track.clock_s == 0.0


def test_a_mirrored_picture_comes_late_by_its_share(problem: Problem) -> None:
    by_hand: dict[bool, list[Stage]] = {False: [], True: []}
    for stage in generate_stages(problem):
        by_hand[stage.mirrored].append(stage)
    hand = read_stage_yields().tables["hand"]
    ratio = hand["mirrored"] / hand["plain"]
    assert by_hand[True][0].chance == pytest.approx(ratio * by_hand[False][0].chance)


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


def test_a_long_lens_is_correlated_from_the_place(problem: Problem) -> None:
    """There it is likelier found than by asterisms, elsewhere not."""
    nominal = problem.photo.nominal
    focal_mm = nominal.focal_px / nominal.width_px * 36.0
    for wanted_mm, by_dense in ((85.0, False), (400.0, True)):
        chance = {"dense": 0.0, "asterisms": 0.0}
        for stage in generate_stages(longer(problem, wanted_mm / focal_mm)):
            if stage.method in chance:
                chance[stage.method] = max(chance[stage.method], stage.chance)
        assert (chance["dense"] > chance["asterisms"]) is by_dense


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
    blind = replace(problem, prior=replace(problem.prior, position=None))
    stages = generate_stages(blind)
    assert {stage.method for stage in stages} == {"light"}
    assert {stage.region.name for stage in stages if stage.region} == {"earth"}


def test_a_position_may_be_wrong_altogether_but_for_what_the_user_bounds(problem: Problem) -> None:
    def regions(one: Problem) -> set[str]:
        return {stage.region.name for stage in generate_stages(one) if stage.region}

    # The index of the samples lies in sight of the place: nothing is elsewhere
    assert regions(problem) == {"near", "wide"}
    assert regions(replace(problem, references=replace(problem.references, index=None))) == set()


def test_neighbours_and_a_placement_come_before_all_else(problem: Problem) -> None:
    camera = problem.photo.nominal
    told = NeighbourPrior(
        frames=("a",),
        offset_s=3.0,
        spread_s=2.0,
        mirrored=True,
        neighbours=(Neighbour(frame="a", camera=camera),),
    )
    prior = replace(problem.prior, neighbours=told)
    stages = generate_stages(replace(problem, prior=prior))
    assert stages[0].method == "neighbours"
    assert stages[0].mirrored
    # What was searched before without them is not searched again
    again = replace(problem, prior=replace(prior, neighbours=replace(told, beat=0.1)))
    assert {s.method for s in generate_stages(again)} == {"neighbours", "asterisms", "dense"}
    assert all(s.place and abs(s.place.offset_km) < 50.0 for s in generate_stages(again))
    placed = replace(problem, prior=replace(problem.prior, placement=camera))
    assert [s.method for s in generate_stages(placed)] == ["placement", "dense", "dense"]


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
        there = replace(
            problem,
            prior=replace(problem.prior, position=position),
            references=replace(problem.references, light_map=light_map),
        )
        assert there.covered_share == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    ("focal_px", "altitude_km", "expected_km"),
    [(800.0, 400.0, 120.0), (640.0, 410.0, 90.0), (3000.0, 400.0, 180.0), (300.0, 400.0, 90.0)],
)
def test_places_are_as_far_apart_as_their_field_allows(
    focal_px: float, altitude_km: float, expected_km: float
) -> None:
    """6 % of the half side of the ground, to both sides; 90 to 180 km."""
    camera = replace(nadir_camera(), focal_px=focal_px)
    assert space_places(camera, altitude_km) == pytest.approx(expected_km)


def test_every_yield_has_its_origin_and_shares_are_shares() -> None:
    text = (files("regengine.registration") / "stage_yields.csv").read_text(encoding="utf-8")
    assert all(len(line.split(",", 3)[3].strip()) >= 5 for line in text.splitlines()[1:])
    tables = read_stage_yields().tables
    for name, table in tables.items():
        if name.startswith(("lens_", "tilt", "hand", "half", "region")):
            assert 0.9 < sum(table.values()) <= 1.15
        assert all(value > 0.0 for value in table.values())


def test_nothing_is_tried_where_the_index_holds_no_light_in_sight(problem: Problem) -> None:
    away = position_from_nadir(10.0, -45.0, 410.0, "option")
    prior = replace(problem.prior, position=away, may_be_elsewhere=False)
    assert generate_stages(replace(problem, prior=prior)) == []


def test_a_place_that_is_seen_makes_places_around_it_likelier(problem: Problem) -> None:
    """And none impossible: what is told may be wrong."""
    position = problem.prior.position
    assert position is not None
    first = {}
    for name, seen in (
        ("none", None),
        ("below", Seen(lon=position.lon, lat=position.lat, radius_km=50.0)),
        ("far", Seen(lon=position.lon + 180.0, lat=-position.lat, radius_km=50.0)),
    ):
        stages = generate_stages(replace(problem, prior=replace(problem.prior, seen=seen)))
        of_place = [stage for stage in stages if stage.place is not None]
        first[name] = of_place[0]
        assert of_place[0].place is not None
        assert abs(of_place[0].place.offset_km) < 100.0
    # A place at the other end of the world changes nothing
    assert first["far"].chance == pytest.approx(first["none"].chance, rel=0.01)
    assert first["below"].chance > first["none"].chance


def test_where_only_a_place_is_known_cameras_stand_all_around_it(problem: Problem) -> None:
    position = problem.prior.position
    assert position is not None
    seen = Seen(lon=position.lon, lat=position.lat, radius_km=50.0)
    around = position_from_nadir(position.lon, position.lat, 415.0, "centre")
    prior = replace(problem.prior, position=around, seen=seen)
    places = list_places(replace(problem, prior=prior), 150.0, 5.0)
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
