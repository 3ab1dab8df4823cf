"""Which proof is kept when a later one has seen more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regengine.search import Proven, better
from tests.regengine.registration.simulated_frames import Solved


def with_evidence(proven: Proven, **said: float) -> Proven:
    return replace(proven, evidence=replace(proven.evidence, **said))


def elsewhere(proven: Proven) -> Proven:
    """The same photograph upside down: another view, whatever its figures."""
    x, y, z, w = proven.camera.quaternion
    return replace(proven, camera=replace(proven.camera, quaternion=(y, -x, w, -z)))


@pytest.fixture
def proven(near_nadir: Solved) -> Proven:
    return near_nadir.best


def test_the_same_view_takes_the_later_figures_even_if_they_are_worse(proven: Proven) -> None:
    """An early margin was held against few candidates; it must not outlive a later one."""
    early = with_evidence(proven, runner_up_ncc=0.1, town_log10_odds=50.0)
    late = with_evidence(proven, runner_up_ncc=0.6, town_log10_odds=49.0)
    assert better(late, early) is late


@pytest.mark.parametrize("later_wins", [True, False])
def test_another_view_that_correlates_better_becomes_the_runner_up(
    proven: Proven, later_wins: bool
) -> None:
    strong = with_evidence(proven, ncc=0.5, runner_up_ncc=0.2, town_log10_odds=60.0)
    weak = with_evidence(elsewhere(proven), ncc=0.48, town_log10_odds=-7.0, patch_log10_odds=-9.0)
    kept = better(strong, weak) if later_wins else better(weak, strong)
    assert kept.camera == strong.camera
    assert kept.evidence.margin == pytest.approx(0.02)
    assert kept.evidence.runner_up_log10_odds == max(
        strong.evidence.runner_up_log10_odds, weak.evidence.town_log10_odds
    )
    assert kept.finalists[:2] == (strong.finalists[0], weak.finalists[0])


def test_another_view_below_the_runner_up_changes_nothing(proven: Proven) -> None:
    strong = with_evidence(proven, ncc=0.5, runner_up_ncc=0.3, town_log10_odds=60.0)
    weak = with_evidence(elsewhere(proven), ncc=0.2, town_log10_odds=-7.0)
    assert better(weak, strong) is strong
