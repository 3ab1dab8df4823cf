"""Patches held back from the fit: where they land, and what that proves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.patches import PatchMatches, groups_of
from matchers.refine import RefineParameters
from matchers.view import render_known
from regengine.registration import verification as evidence
from regengine.registration.refinement import Solution
from regengine.registration.verification import FOLDS, LANDED_PX, SHARES_LANDED, HeldOut, held_out
from tests.regengine.registration.simulated_frames import Solved

PARAMETERS = RefineParameters()
DRAWS = 30


def groups_seen(solution: Solution) -> NDArray[np.intp]:
    """Which of the patches show the same light."""
    refinement = solution.refinement
    view, _ = render_known(solution.levels, refinement.rendered, 2)
    return groups_of(view, refinement.matches)


def lights_seen(solution: Solution) -> int:
    """Lights that the patches show: so many are independent."""
    return len(np.unique(groups_seen(solution)))


def displaced(solution: Solution, dx: NDArray[np.float64], dy: NDArray[np.float64]) -> Solution:
    """The solution with its patches found elsewhere in the photo."""
    matches = replace(solution.refinement.matches, dx=dx, dy=dy)
    return replace(solution, refinement=replace(solution.refinement, matches=matches))


def landing(solution: Solution, share: float, seed: int = 0) -> tuple[Solution, float]:
    """A share of the patches where the camera puts them, the others 3 px off; and that share."""
    rng = np.random.default_rng(seed)
    count = len(solution.refinement.matches)
    off = rng.permutation(count) >= round(share * count)
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    return (
        displaced(
            solution, np.where(off, 3.0 * np.cos(angle), 0), np.where(off, 3.0 * np.sin(angle), 0)
        ),
        1.0 - float(off.mean()),
    )


def expected_odds(share: float, count: float, shares: tuple[float, ...]) -> float:
    """Of so many independent patches of which a share landed, against those of a wrong camera.

    Those peak anywhere within 4 px, the reach of the last round: 7 x 7 places of the peak.
    """
    chance = np.pi * LANDED_PX**2 / 49.0
    best = max(
        share * np.log10(s / chance) + (1.0 - share) * np.log10((1.0 - s) / (1.0 - chance))
        for s in shares
    )
    return count * best - np.log10(len(shares))


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65, 0.8, 1.0])
def test_the_odds_follow_from_the_share_that_lands(near_nadir: Solved, share: float) -> None:
    solution, landed = landing(near_nadir.best.solution, share)
    count = lights_seen(solution)
    assert count > 0.5 * len(solution.refinement.matches)
    assert solution.image.values.size / PARAMETERS.patch_px**2 > count
    found = held_out(solution, PARAMETERS)
    expected = expected_odds(landed, count, SHARES_LANDED)
    # Where most are off, the fit is drawn aside and a patch more or less lands
    assert found.log10_odds == pytest.approx(expected, abs=0.1 if share >= 0.5 else 1.5)
    assert found.log10_odds > 4.0
    assert (found.residual_px < 1.0) == (share > 0.5)


def test_no_patch_is_seen_by_the_fit_that_it_judges(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    solution = near_nadir.best.solution
    seen: list[set[tuple[float, float]]] = []
    fit = evidence.fit_pose

    def noted(start, matches, *rest):  # type: ignore[no-untyped-def]
        seen.append(set(zip(matches.x.tolist(), matches.y.tolist(), strict=True)))
        return fit(start, matches, *rest)

    monkeypatch.setattr(evidence, "fit_pose", noted)
    held_out(solution, PARAMETERS)
    matches = solution.refinement.matches
    every = set(zip(matches.x.tolist(), matches.y.tolist(), strict=True))
    assert len(seen) == FOLDS
    left_out = [every - one for one in seen]
    assert set.union(*left_out) == every
    assert sum(len(one) for one in left_out) == len(every)


def test_overlapping_patches_do_not_count_twice(near_nadir: Solved) -> None:
    """Of patches of 61 px only 41 fit side by side into 480 x 320 px."""
    solution, landed = landing(near_nadir.best.solution, 0.8)
    large = RefineParameters(patch_px=61)
    count = solution.image.values.size / 61**2
    assert count < lights_seen(solution)
    found = held_out(solution, large)
    assert found.log10_odds == pytest.approx(expected_odds(landed, count, SHARES_LANDED), rel=0.08)


def test_fewer_may_land_than_in_a_clear_frame(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third lands, as under cloud: five times chance, and that is told at a small price."""
    solution, landed = landing(near_nadir.best.solution, 0.33)
    several = held_out(solution, PARAMETERS).log10_odds
    monkeypatch.setattr(evidence, "SHARES_LANDED", (0.6,))
    one = held_out(solution, PARAMETERS).log10_odds
    count = lights_seen(solution)
    assert one == pytest.approx(expected_odds(landed, count, (0.6,)), abs=2.0)
    assert several > one + 3.0


def scattered(solution: Solution, seed: int) -> HeldOut:
    """As under a wrong camera: every patch peaks somewhere within its reach."""
    rng = np.random.default_rng(seed)
    count = len(solution.refinement.matches)
    dx, dy = rng.uniform(-3.5, 3.5, (2, count))
    return held_out(displaced(solution, dx, dy), PARAMETERS)


@pytest.mark.parametrize("name", ["near_nadir", "oblique"])
def test_patches_at_random_places_prove_nothing(name: str, request: pytest.FixtureRequest) -> None:
    """In thirty draws: never odds of a hundred, and a median clearly against the camera."""
    solved: Solved = request.getfixturevalue(name)
    found = [scattered(solved.best.solution, seed) for seed in range(DRAWS)]
    odds = np.array([one.log10_odds for one in found])
    assert odds.max() < 2.0
    assert np.median(odds) < -1.0
    assert min(one.residual_px for one in found) > 1.5


def test_patches_that_moved_together_are_followed(near_nadir: Solved) -> None:
    """A camera turned by 2 px: the others tell where the ones left out must land."""
    solution = near_nadir.best.solution
    count = len(solution.refinement.matches)
    shifted = displaced(solution, np.full(count, 2.0), np.full(count, -1.5))
    found = held_out(shifted, PARAMETERS)
    assert found.log10_odds > 0.9 * expected_odds(1.0, lights_seen(solution), SHARES_LANDED)
    assert found.residual_px < 0.3


def repeated(matches: PatchMatches, few: NDArray[np.intp]) -> PatchMatches:
    """Some of the patches, each nine times: moved by a pixel or two, and off alike."""
    nine = matches.chosen(np.repeat(few, 9))
    dx, dy = (side.ravel() for side in np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]))
    return replace(nine, x=nine.x + np.tile(dx, len(few)), y=nine.y + np.tile(dy, len(few)))


def test_one_light_in_many_patches_is_one_light(near_nadir: Solved) -> None:
    """Three lone towns that a wrong camera met by chance, seen by 27 patches: no proof."""
    solution = near_nadir.best.solution
    leaders = np.unique(groups_seen(solution), return_index=True)[1]
    matches = repeated(solution.refinement.matches, leaders[:3])
    refinement = replace(solution.refinement, matches=matches)
    lone = replace(solution, refinement=refinement)
    lone = displaced(lone, np.zeros(27), np.zeros(27))
    assert lights_seen(lone) == 3
    found = held_out(lone, PARAMETERS)
    assert found.log10_odds <= expected_odds(1.0, 3, SHARES_LANDED) + 1e-9
    # Were each patch a proof of its own, a patch off with its light would be foretold by the rest
    angle = np.repeat(2.0 * np.pi * np.arange(3) / 3.0, 9)
    apart = displaced(lone, 3.0 * np.cos(angle), 3.0 * np.sin(angle))
    assert held_out(apart, PARAMETERS).residual_px > 1.0


def test_a_fit_that_all_lights_agree_on_does_not_move(near_nadir: Solved) -> None:
    """Exact patches: leaving a third out changes the camera by nothing worth naming."""
    exact, _ = landing(near_nadir.best.solution, 1.0)
    assert held_out(exact, PARAMETERS).spread_share < 1e-3


def test_lights_that_pull_one_way_a_third_at_a_time_move_the_fit(near_nadir: Solved) -> None:
    """Each fold of lights displaced on its own: what is left out is what holds the camera."""
    solution = near_nadir.best.solution
    folds = groups_seen(solution) % FOLDS
    angle = 2.0 * np.pi * folds / FOLDS
    spread = [
        held_out(displaced(solution, px * np.cos(angle), px * np.sin(angle)), PARAMETERS)
        for px in (0.5, 1.0)
    ]
    # Thirds at 0, 120 and 240 degrees: the mean without one moves by half the displacement, so the
    # jackknife says at least sqrt(2 / 3 * 3 / 4) of it, and twice that for twice the displacement
    diagonal_px = float(np.hypot(*solution.image.values.shape))
    assert spread[0].spread_share * diagonal_px > 0.5 * np.sqrt(0.5)
    ratio = spread[1].spread_share / spread[0].spread_share
    assert ratio == pytest.approx(2.0, rel=0.35)
