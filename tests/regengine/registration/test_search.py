"""When a proof is begun, and when it is enough."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.pose import turned
from regengine import registration
from regengine.registration import register
from regengine.registration.acceptance import (
    default_accept_probability,
    place_probability,
)
from regengine.registration.candidates import Candidate, CoarseView, Look
from regengine.registration.evidence import (
    TESTED_LOG10_ODDS,
    Finalist,
    Verified,
    log10_tried,
)
from regengine.registration.propose_dense import take_look
from regengine.registration.register import (
    LEAD_WORTH_VERIFYING,
    LEAST_GAIN,
    LEAST_GAIN_LOG10_ODDS,
    compare_opinions,
    conclude,
    leads,
    no_better,
    proposers,
    search_frame,
    take_steps,
    weigh,
)
from regengine.registration.search import PhotoLights, Proposals, Search, SearchAids, Step
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.made_limb import found_limb
from tests.regengine.registration.made_search import made_search
from tests.regengine.registration.recording_map import RecordingMap
from tests.regengine.registration.simulated_frames import Solved, light_map


def with_evidence(proven: Verified, **said: float) -> Verified:
    """With other figures; the picture as a whole says nothing where nothing else is said."""
    said.setdefault("picture_log10_odds", 0.0)
    return replace(proven, evidence=replace(proven.evidence, **said))


@pytest.fixture
def proven(near_nadir: Solved) -> Verified:
    return near_nadir.best


def candidates(
    proven: Verified, correlations: list[float], turn_deg: float = 0.0
) -> list[Candidate]:
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

    def noted(search: Search) -> None:
        begun.append(search.candidates[0].ncc)

    def as_found(search: Search) -> list[Finalist]:
        """What alignment on the finer image would change does not matter here."""
        found = search.candidates[:8]
        return [Finalist(camera=c.camera, ncc=c.ncc, even_ncc=c.ncc, candidate=c) for c in found]

    monkeypatch.setattr(register, "verify_best", noted)
    monkeypatch.setattr(register, "preselected", as_found)
    return begun


def weighed(search: Search, found: list[Candidate]) -> None:
    weigh(search, Proposals(found))


def ends(best: Verified) -> bool:
    """Whether a search ends with what it has verified."""
    return made_search(best.camera, best=best).conclusive


def below_the_limb(turn_deg: float = 0.0) -> tuple[Camera, Limb]:
    """A camera held level over an oblique, and the limb that its photo shows."""
    camera = camera_over(10.0, 50.0, off_nadir=62.0, roll=turn_deg)
    nadir = camera.matrix.T @ camera.nadir_ecef
    return camera, found_limb(nadir, camera.focal_px, (camera.height_px, camera.width_px))


@pytest.mark.parametrize("turn_deg", [0.0, 120.0])
def test_a_camera_that_sees_ground_high_above_the_limb_is_refused(turn_deg: float) -> None:
    camera, limb = below_the_limb(turn_deg)
    search = made_search(camera, limb=limb)
    assert search.allows(camera)
    upside_down = turned(camera, [0.0, 0.0, np.pi])
    assert not search.allows(upside_down)
    assert not search.allows(camera_over(10.0, 50.0))
    # The other of the limb's two edges may have been found, and a first camera is rough
    for tilt in np.radians([-2.5, 2.5]):
        assert search.allows(turned(camera, [tilt, 0.0, 0.0]))
    assert made_search(camera).allows(upside_down)  # whose photo shows no limb
    placed = SearchAids(placement=upside_down)  # by a person, whom no limb gainsays
    assert made_search(camera, limb=limb, aids=placed).allows(upside_down)


def test_refused_cameras_are_not_weighed(proven: Verified, proofs: list[float]) -> None:
    camera, limb = below_the_limb()
    search = made_search(camera, limb=limb, looks_taken=1)
    good, bad = candidates(proven, [0.5, 0.9])
    good, bad = replace(good, camera=camera), replace(bad, camera=turned(camera, [0.0, 0.0, 3.1]))
    step = Step(kind="made", take=lambda: iter([Proposals([bad, good])]))
    take_steps(search, [iter([step])])
    assert search.candidates == [good]
    assert proofs == [0.5]
    assert [camera for _, camera in search.proposed] == [good.camera]


def test_what_stands_out_is_proven_at_once_and_once(proven: Verified, proofs: list[float]) -> None:
    search = made_search(proven.camera, looks_taken=1)
    weighed(search, candidates(proven, [0.34, 0.32, 0.31, 0.30, 0.29]))
    assert proofs == []
    weighed(search, candidates(proven, [0.7], turn_deg=200.0))
    assert proofs == [0.7]
    # Nothing is gained by the same view that fits hardly better, or by one that hardly leads
    weighed(search, candidates(proven, [0.7], turn_deg=200.0))
    weighed(search, candidates(proven, [0.7 + 0.5 * LEAST_GAIN], turn_deg=200.0))
    assert proofs == [0.7]
    again = 0.7 + 1.1 * LEAST_GAIN
    weighed(search, candidates(proven, [again], turn_deg=200.0))
    assert proofs == [0.7, again]
    weighed(search, candidates(proven, [again + 0.5 * LEAD_WORTH_VERIFYING], turn_deg=240.0))
    assert proofs == [0.7, again]
    assert len(search.candidates) == 7
    assert [c.ncc for c in search.candidates] == sorted(c.ncc for c in search.candidates)[::-1]


def test_a_picture_that_stands_out_is_proven_at_once_and_once(proven: Verified) -> None:
    """Though another place correlates nearly as well."""
    first, second = (
        Finalist(camera=c.camera, ncc=0.4, even_ncc=0.4, candidate=c)
        for c in candidates(proven, [0.4, 0.4])
    )
    assert not leads([first, second], 10)
    told = replace(first, picture_log10_odds=log10_tried(10))
    assert leads([told, second], 10)
    assert not leads([told, second], 11)
    better = replace(second, even_ncc=0.4 + 1.1 * LEAD_WORTH_VERIFYING)
    assert leads([better, first], 10)
    assert not leads([first, second, better], 10)
    assert no_better(told, told)
    gained = told.picture_log10_odds + LEAST_GAIN_LOG10_ODDS
    assert not no_better(replace(told, picture_log10_odds=gained), told)
    assert not no_better(second, first)


def test_nothing_found_is_nothing_to_prove(proven: Verified, proofs: list[float]) -> None:
    search = made_search(proven.camera, looks_taken=6)
    weighed(search, [])
    assert proofs == []
    assert search.candidates == []


ACCEPTED, DOUBTED = 40.0, 0.0  # leads, log10, that are accepted unseen, and that are not


def test_the_search_ends_with_strong_evidence_alone(proven: Verified) -> None:
    """All that speaks for a camera together, over its rival's, and a fit that is tested."""
    tried = proven.evidence.log10_tried
    strong = {
        "town_log10_odds": 0.0,
        "patch_log10_odds": TESTED_LOG10_ODDS,
        "picture_log10_odds": ACCEPTED + tried,
        "runner_up_town_log10_odds": 0.0,
        "runner_up_picture_log10_odds": 0.0,
    }
    sure = with_evidence(proven, **strong)
    assert place_probability(sure.evidence) > default_accept_probability()
    assert ends(sure)
    for figure, value in (
        ("picture_log10_odds", DOUBTED + tried - TESTED_LOG10_ODDS),
        ("picture_log10_odds", float("nan")),
        ("runner_up_picture_log10_odds", ACCEPTED + tried - DOUBTED),
        ("patch_log10_odds", TESTED_LOG10_ODDS - 0.1),
    ):
        assert not ends(with_evidence(sure, **strong | {figure: value})), figure
    many = {"town_log10_odds": 100.0, "patch_log10_odds": 0.0}
    assert not ends(with_evidence(sure, **strong | many)), "another fit may be tested"


def test_the_last_chance_is_for_what_never_stood_out(
    proven: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Search] = []
    monkeypatch.setattr(register, "compare_finalists", lambda search: begun.append(search) or [])
    found = candidates(proven, [0.5, 0.4])
    sure = {"town_log10_odds": 50.0, "patch_log10_odds": 50.0, "ncc": 0.8, "runner_up_ncc": 0.3}
    weak = {**sure, "patch_log10_odds": -50.0}
    for best, count in (
        (None, 1),
        (with_evidence(proven, **weak), 2),
        (with_evidence(proven, **sure), 2),
    ):
        conclude(made_search(proven.camera, candidates=found, best=best, covered=True))
        assert len(begun) == count
    nothing = made_search(proven.camera)
    conclude(nothing)
    assert len(begun) == 2
    assert nothing.futile is not None


@pytest.mark.parametrize("image", ["sharp", "hazy", "flat"])
def test_a_look_takes_its_own_light_image_and_is_counted(proven: Verified, image: str) -> None:
    look = proven.solution.finalist.candidate.look
    look = replace(look, hazy=image == "hazy", flat=image == "flat")
    light = proven.solution.image
    dark = replace(light, values=np.zeros_like(light.values))
    lights = PhotoLights(sharp=dark, hazy=dark, flat=dark)
    lights = replace(lights, **{image: light})
    found, seen = candidates(proven, [0.5]), []

    def find(search: Search, view: CoarseView, asked: Look) -> list[Candidate]:
        seen.append(asked)
        assert view.picture.values.max() > 0.0
        return found

    search = made_search(proven.camera, light_map(), lights)
    (proposals,) = take_look(search, look, find)
    assert (seen, proposals.candidates) == ([look], found)
    assert (search.looks_taken, search.covered) == (1, True)
    beyond = made_search(proven.camera, RecordingMap(outside="outside_map"), lights)
    assert list(take_look(beyond, look, find)) == []
    assert (beyond.looks_taken, beyond.covered, len(seen)) == (1, False, 1)


def test_a_proposer_takes_part_by_being_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near_nadir: Solved
) -> None:
    """Beside the others, in its place in the order; no other file knows of it."""
    (tmp_path / "propose_zeppelin.py").write_text(
        "from regengine.registration.search import Proposals, Step\n"
        "ORDER = 15\n"
        "def propose(search):\n"
        "    yield Step(kind='zeppelin', take=lambda: iter([Proposals(FOUND)]))\n"
        "FOUND = []\n"
    )
    monkeypatch.setattr(registration, "__path__", [*registration.__path__, str(tmp_path)])
    names = [[one.__name__.rsplit("_")[-1] for one in group] for group in proposers()]
    assert names[:3] == [["manual"], ["zeppelin"], ["neighbours"]]
    assert names[-1] == ["asterisms", "dense", "index", "stars"]
    import_module("regengine.registration.propose_zeppelin").FOUND.append(
        near_nadir.best.finalists[0].candidate
    )
    parameters = replace(near_nadir.search.parameters, methods=())
    search = search_frame(near_nadir.frame, near_nadir.position, light_map(), parameters)
    assert search.best is not None
    assert search.best.camera == near_nadir.best.camera
    del sys.modules["regengine.registration.propose_zeppelin"]


def test_another_way_to_an_unsure_camera_is_fitted_too(
    proven: Verified, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []
    monkeypatch.setattr(register, "verify_best", lambda search: fitted.append(search.candidates[0]))
    (candidate,) = candidates(proven, [0.5])
    sure = made_search(proven.camera, best=proven, candidates=[candidate])
    compare_opinions(sure, "pictures", [candidate])
    assert fitted == []
    unsure = with_evidence(proven, town_log10_odds=6.0, patch_log10_odds=0.0)
    search = made_search(proven.camera, best=unsure, candidates=[candidate])
    compare_opinions(search, "pictures", [candidate])
    compare_opinions(search, "pictures", [candidate])
    assert len(fitted) == 1
    other = replace(candidate, ncc=0.4)
    compare_opinions(search, "figures", [other])
    assert len(fitted) == 2
    assert fitted[1] is other
    assert [kind for kind, _ in search.proposed] == ["pictures", "pictures", "figures"]
