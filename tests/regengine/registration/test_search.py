"""When a proof is begun, and when it is enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matchers.pose import turned
from regengine.registration import search
from regengine.registration.acceptance import (
    CONFIRMED_LOG10_ODDS,
    EVEN_NCC,
    LONELY_LOG10_ODDS,
    LONELY_MARGIN,
    LONELY_Z,
    PROVEN_LOG10_ODDS,
    PROVEN_MARGIN,
    PROVEN_PICTURE_LOG10_ODDS,
    Proven,
    default_accept_probability,
    probability,
)
from regengine.registration.candidates import Candidate, Look
from regengine.registration.map_window import SearchWindow
from regengine.registration.propose_dense import PhotoLights
from regengine.registration.refinement import Aligned, Finalist
from regengine.registration.search import (
    LEAD_WORTH_PROVING,
    LEAST_GAIN,
    LEAST_GAIN_LOG10_ODDS,
    SearchState,
    add_candidates,
    last_chance,
    leads,
    no_better,
    search_one,
)
from regengine.registration.verification import (
    CLEAR_MARGIN,
    FEW_TOWNS,
    PRECISE_PX,
    PRECISE_SPREAD,
    log10_tried,
)
from tests.regengine.registration.recording_map import RecordingMap
from tests.regengine.registration.simulated_frames import Solved, light_map


def with_evidence(proven: Proven, **said: float) -> Proven:
    """With other figures; the picture as a whole says nothing where nothing else is said."""
    said.setdefault("picture_log10_odds", 0.0)
    return replace(proven, evidence=replace(proven.evidence, **said))


@pytest.fixture
def proven(near_nadir: Solved) -> Proven:
    return near_nadir.best


def candidates(proven: Proven, correlations: list[float], turn_deg: float = 0.0) -> list[Candidate]:
    """As many different views of one photo, best first."""
    look = proven.solution.finalist.candidate.look
    turns = np.radians(turn_deg + 40.0 * np.arange(len(correlations)))
    return [
        Candidate(camera=turned(proven.camera, [0.0, 0.0, turn]), ncc=ncc, look=look)
        for turn, ncc in zip(turns, correlations, strict=True)
    ]


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Correlations of the candidates for which a proof was begun; none is carried out."""
    begun: list[float] = []

    def noted(lights: object, stored: object, light_map: object, state: SearchState) -> None:
        begun.append(state.candidates[0].ncc)

    def as_found(
        light_map: object, lights: object, stored: object, found: list[Candidate], known: Aligned
    ) -> list[Finalist]:
        """What alignment on the finer image would change does not matter here."""
        return [
            Finalist(camera=c.camera, ncc=c.ncc, even_ncc=c.ncc, candidate=c) for c in found[:8]
        ]

    monkeypatch.setattr(search, "prove_best", noted)
    monkeypatch.setattr(search, "preselected", as_found)
    return begun


def add(state: SearchState, found: list[Candidate], proven: Proven) -> None:
    light = proven.solution.image
    lights = PhotoLights(sharp=light, hazy=light, flat=light)
    add_candidates(found, lights, proven.camera, light_map(), state)


def test_what_stands_out_is_proven_at_once_and_once(proven: Proven, proofs: list[float]) -> None:
    state = SearchState(looks=1)
    add(state, candidates(proven, [0.34, 0.32, 0.31, 0.30, 0.29]), proven)
    assert proofs == []
    add(state, candidates(proven, [0.7], turn_deg=200.0), proven)
    assert proofs == [0.7]
    # Nothing is gained by the same view that fits hardly better, or by one that hardly leads
    add(state, candidates(proven, [0.7], turn_deg=200.0), proven)
    add(state, candidates(proven, [0.7 + 0.5 * LEAST_GAIN], turn_deg=200.0), proven)
    assert proofs == [0.7]
    again = 0.7 + 1.1 * LEAST_GAIN
    add(state, candidates(proven, [again], turn_deg=200.0), proven)
    assert proofs == [0.7, again]
    add(state, candidates(proven, [again + 0.5 * LEAD_WORTH_PROVING], turn_deg=240.0), proven)
    assert proofs == [0.7, again]
    assert len(state.candidates) == 7
    assert [c.ncc for c in state.candidates] == sorted(c.ncc for c in state.candidates)[::-1]


def test_a_picture_that_stands_out_is_proven_at_once_and_once(proven: Proven) -> None:
    """Though another place correlates nearly as well."""
    first, second = (
        Finalist(camera=c.camera, ncc=0.4, even_ncc=0.4, candidate=c)
        for c in candidates(proven, [0.4, 0.4])
    )
    assert not leads([first, second], 10)
    told = replace(first, picture_log10_odds=log10_tried(10))
    assert leads([told, second], 10)
    assert not leads([told, second], 11)
    better = replace(second, even_ncc=0.4 + 1.1 * LEAD_WORTH_PROVING)
    assert leads([better, first], 10)
    assert not leads([first, second, better], 10)
    assert no_better(told, told)
    gained = told.picture_log10_odds + LEAST_GAIN_LOG10_ODDS
    assert not no_better(replace(told, picture_log10_odds=gained), told)
    assert not no_better(second, first)


def test_nothing_found_is_nothing_to_prove(proven: Proven, proofs: list[float]) -> None:
    state = SearchState(looks=6)
    add(state, [], proven)
    assert proofs == []
    assert state.candidates == []


def test_the_search_ends_with_strong_evidence_alone(proven: Proven) -> None:
    assert not SearchState().proven
    sure = {"town_log10_odds": PROVEN_LOG10_ODDS + 1.0, "patch_log10_odds": PROVEN_LOG10_ODDS + 1.0}
    apart = {
        "ncc": 0.8,
        "runner_up_ncc": 0.8 - PROVEN_MARGIN - 0.01,
        "coarse_z": 1.0,
        "even_ncc": 0.5,
        "runner_up_even_ncc": 0.5,
    }
    assert SearchState(best=with_evidence(proven, **sure, **apart)).proven
    twins = {**apart, "runner_up_ncc": 0.79}
    assert not SearchState(best=with_evidence(proven, **sure, **twins)).proven
    weak = {"town_log10_odds": 1.0, "patch_log10_odds": 1.0}
    assert not SearchState(best=with_evidence(proven, **weak, **apart)).proven


def test_evened_pictures_that_agree_as_no_wrong_camera_does_end_the_search(
    proven: Proven,
) -> None:
    """One of towns and patches that confirms is enough: the search's length eats up the other."""
    alone = {
        "town_log10_odds": -2.0,
        "patch_log10_odds": CONFIRMED_LOG10_ODDS + 4.0,
        "runner_up_log10_odds": -8.0,
        "ncc": 0.6,
        "runner_up_ncc": 0.25,
        "coarse_z": 3.0,
        "even_ncc": EVEN_NCC + 0.1,
        "runner_up_even_ncc": EVEN_NCC + 0.09 - CLEAR_MARGIN,
        "field_share": 1.0,
    }
    assert SearchState(best=with_evidence(proven, **alone)).proven
    for figure, value in (
        ("even_ncc", EVEN_NCC - 0.01),
        ("runner_up_even_ncc", EVEN_NCC + 0.11 - CLEAR_MARGIN),
        ("field_share", 0.5),
        ("patch_log10_odds", CONFIRMED_LOG10_ODDS - 0.1),
        ("held_out_residual_px", 1.1 * PRECISE_PX),
        ("spread_share", 1.1 * PRECISE_SPREAD),
    ):
        assert not SearchState(best=with_evidence(proven, **{**alone, figure: value})).proven
    poor = {
        "town_log10_odds": -8.0,
        "patch_log10_odds": CONFIRMED_LOG10_ODDS,
        "met_towns": FEW_TOWNS,
        "patches": 3,
        "held_out_residual_px": 0.95 * PRECISE_PX,
        "picture_log10_odds": -3.0,
        "runner_up_ncc": 0.6,
    }
    doubtful = with_evidence(proven, **{**alone, **poor})
    assert probability(doubtful.evidence) < default_accept_probability()
    assert not SearchState(best=doubtful).proven


def test_a_picture_that_is_no_chance_ends_the_search(proven: Proven) -> None:
    """Where towns are few and other places correlate nearly as well, if it is probable enough."""
    picture = {
        "town_log10_odds": 8.0,
        "patch_log10_odds": 8.0,
        "runner_up_log10_odds": -8.0,
        "ncc": 0.6,
        "runner_up_ncc": 0.3,
        "coarse_z": 3.0,
        "met_towns": FEW_TOWNS - 1,
        "even_ncc": 0.5,
        "runner_up_even_ncc": 0.45,
        "field_share": 1.0,
        "picture_log10_odds": PROVEN_PICTURE_LOG10_ODDS,
        "runner_up_picture_log10_odds": -1.0,
    }
    assert SearchState(best=with_evidence(proven, **picture)).proven
    for figure, value in (
        ("picture_log10_odds", PROVEN_PICTURE_LOG10_ODDS - 0.1),
        ("runner_up_picture_log10_odds", 0.1),
        ("held_out_residual_px", 1.1 * PRECISE_PX),
    ):
        assert not SearchState(best=with_evidence(proven, **{**picture, figure: value})).proven


def test_a_lonely_proof_may_be_weaker(proven: Proven) -> None:
    """Telephoto frames hold few towns; nothing else must come near then."""
    lonely = {
        "town_log10_odds": LONELY_LOG10_ODDS + 0.1,
        "patch_log10_odds": LONELY_LOG10_ODDS + 0.1,
        "ncc": 0.8,
        "runner_up_ncc": 0.8 - LONELY_MARGIN - 0.01,
        "coarse_z": LONELY_Z + 0.1,
        "even_ncc": 0.5,
        "runner_up_even_ncc": 0.5,
    }
    assert SearchState(best=with_evidence(proven, **lonely)).proven
    for figure, value in (
        ("town_log10_odds", LONELY_LOG10_ODDS - 0.3),
        ("runner_up_ncc", 0.8 - LONELY_MARGIN + 0.01),
        ("coarse_z", LONELY_Z - 0.1),
    ):
        assert not SearchState(best=with_evidence(proven, **{**lonely, figure: value})).proven


def test_the_last_chance_is_for_what_was_never_proven(proven: Proven, proofs: list[float]) -> None:
    light = proven.solution.image
    lights = PhotoLights(sharp=light, hazy=light, flat=light)
    found = candidates(proven, [0.5, 0.4])
    sure = {"town_log10_odds": 50.0, "patch_log10_odds": 50.0, "ncc": 0.8, "runner_up_ncc": 0.3}
    weak = {**sure, "patch_log10_odds": -50.0, "runner_up_even_ncc": 0.9}
    for best, begun in (
        (None, 1),
        (with_evidence(proven, **weak), 2),
        (with_evidence(proven, **sure), 2),
    ):
        state = SearchState(candidates=found, best=best)
        last_chance(lights, proven.camera, light_map(), state)
        assert len(proofs) == begun
    last_chance(lights, proven.camera, light_map(), SearchState())
    assert len(proofs) == 2


@pytest.mark.parametrize("sparse", [True, False])
def test_a_look_is_taken_as_it_asks(
    proven: Proven, monkeypatch: pytest.MonkeyPatch, sparse: bool
) -> None:
    """By figures of towns, or by pictures; from its own light image; and it is counted."""
    seen: list[tuple[str, Look]] = []
    found = candidates(proven, [0.5])

    def by_figures(levels: object, lights: object, stored: object, look: Look, *_: object) -> list:
        seen.append(("figures", look))
        return found

    def by_pictures(levels: object, coarse: object, stored: object, look: Look, _: object) -> list:
        seen.append(("pictures", look))
        return found

    monkeypatch.setattr(search, "take_sparse_look", by_figures)
    monkeypatch.setattr(search, "take_look", by_pictures)
    look = replace(proven.solution.finalist.candidate.look, sparse=sparse)
    light = proven.solution.image
    lights = PhotoLights(sharp=light, hazy=light, flat=light)
    state = SearchState()
    window = SearchWindow(light_map(), 410.0)
    search_one(look, lights, proven.camera, window, light_map(), state)
    assert seen == [("figures" if sparse else "pictures", look)]
    assert state.looks == 1
    assert state.covered
    assert state.candidates == found
    nowhere = RecordingMap(outside="outside_map")
    beyond = SearchState()
    search_one(look, lights, proven.camera, SearchWindow(nowhere, 410.0), nowhere, beyond)
    assert (beyond.looks, beyond.covered, beyond.candidates) == (1, False, [])
    assert len(seen) == 1
