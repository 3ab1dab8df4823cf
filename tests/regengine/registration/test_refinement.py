"""The best candidates on finer images: which stay, in which order, and how surely they lie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matchers.pose import turned
from regengine.registration import refinement as finalists
from regengine.registration.candidates import SAME_SHARE, Candidate, same_view
from regengine.registration.evidence import LOG10_ATTITUDES_PER_LOOK, Finalist
from regengine.registration.refinement import (
    COMPARED_PX,
    FINALISTS,
    LEAST_FITTED_PX,
    compare_finalists,
    map_scale_px,
    picture_odds,
)
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.made_search import begun_anew
from tests.regengine.registration.simulated_frames import Solved


def compared(solved: Solved, *candidates: Candidate) -> list[Finalist]:
    """The finalists of some candidates, whose light image is the same with and without glows."""
    fine = solved.fine(solved.frame.path)
    return compare_finalists(begun_anew(solved.search, fine, candidates=list(candidates)))


def wrong_ones(candidate: Candidate, count: int) -> list[Candidate]:
    """Views turned about the axis, which correlate well by accident."""
    return [
        replace(candidate, camera=turned(candidate.camera, [0.0, 0.0, 0.5 + 0.6 * k]), ncc=0.9)
        for k in range(count)
    ]


def test_the_right_candidate_stands_out_on_finer_images(near_nadir: Solved) -> None:
    """Though it came last of the coarse ones."""
    right = replace(near_nadir.best.finalists[0].candidate, ncc=0.1)
    found = compared(near_nadir, *wrong_ones(right, 6), right)
    assert found[0].candidate is right
    assert 1 <= len(found) <= FINALISTS
    odds = [f.picture_log10_odds for f in found]
    assert odds == sorted(odds, reverse=True)
    assert odds[0] > max([0.0, *odds[1:]]) + 3.0
    pairs = [(a, b) for k, a in enumerate(found) for b in found[k + 1 :]]
    assert not any(same_view(a.camera, b.camera, SAME_SHARE) for a, b in pairs)


def test_finalists_are_ordered_by_what_they_are_worth(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a narrow field a higher correlation is expected; the odds of the picture go before."""
    wide = near_nadir.best.finalists[0].candidate
    turned_away = turned(wide.camera, [0.0, 0.0, 2.0])
    tele = replace(wide, camera=replace(turned_away, focal_px=16.0 * wide.camera.focal_px))
    reached = {id(wide): 0.5, id(tele): 0.8}
    odds = {id(wide): 4.0, id(tele): 4.0}

    def aligned(_search: object, f: Finalist, _: int) -> Finalist:
        this = id(f.candidate)
        return replace(f, even_ncc=reached[this], picture_log10_odds=odds[this])

    monkeypatch.setattr(finalists, "aligned_finalist", aligned)
    found = compared(near_nadir, tele, wide)
    assert [f.candidate for f in found] == [wide, tele]
    reached[id(wide)] = 0.2
    found = compared(near_nadir, tele, wide)
    assert [f.candidate for f in found] == [tele, wide]
    odds[id(wide)] = 5.0
    found = compared(near_nadir, tele, wide)
    assert [f.candidate for f in found] == [wide, tele]


def test_nothing_is_aligned_twice_and_glows_are_left_out_where_that_is_better(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate found with glows is tried without them at the finer size."""
    found = near_nadir.best.finalists[0].candidate
    glowing = replace(found, look=replace(found.look, hazy=True))
    calls: list[tuple[bool, int]] = []

    def aligned(_search: object, f: Finalist, px: int) -> Finalist:
        calls.append((f.candidate.look.hazy, px))
        return replace(f, even_ncc=0.3 if f.candidate.look.hazy else 0.5)

    monkeypatch.setattr(finalists, "aligned_finalist", aligned)
    search = begun_anew(near_nadir.search, candidates=[glowing])
    (best,) = compare_finalists(search)
    assert calls == [(True, COMPARED_PX // 2), (True, COMPARED_PX), (False, COMPARED_PX)]
    assert not best.candidate.look.hazy
    assert best.score == 0.5
    assert compare_finalists(search) == [best]
    assert len(calls) == 3


def test_telephoto_frames_are_fitted_at_the_maps_scale() -> None:
    """A field of a tenth of the distance: 41 km below, 82 km where the ground is twice as far."""
    tele = camera_over(0.0, 0.0, 410e3, width=1000, height=667, focal_px=10_000.0)
    assert map_scale_px(tele) == round(41.0 / 0.33)
    aside = camera_over(0.0, 0.0, 410e3, off_nadir=57.3, width=1000, height=667, focal_px=10_000.0)
    assert map_scale_px(aside) == pytest.approx(2.05 * 41.0 / 0.33, rel=0.05)
    longer = camera_over(0.0, 0.0, 410e3, width=1000, height=667, focal_px=40_000.0)
    assert map_scale_px(longer) == LEAST_FITTED_PX
    sky = camera_over(0.0, 0.0, 410e3, off_nadir=120.0, width=1000, height=667, focal_px=10_000.0)
    assert map_scale_px(sky) == LEAST_FITTED_PX


@pytest.mark.parametrize("size_px", [COMPARED_PX // 2, COMPARED_PX])
def test_the_picture_proves_the_right_camera_alone(solved: Solved, size_px: int) -> None:
    solution, camera = solved.best.solution, solved.best.camera
    odds = picture_odds(solution.image, camera, solution.levels, size_px)
    assert odds > LOG10_ATTITUDES_PER_LOOK + 3.0
    field = max(camera.width_px, camera.height_px) / camera.focal_px
    for turn in ([0.0, 0.1 * field, 0.0], [0.0, 0.0, 0.5], [0.05 * field, 0.15 * field, 0.2]):
        wrong = turned(camera, turn)
        assert (
            picture_odds(solution.image, wrong, solution.levels, size_px) < LOG10_ATTITUDES_PER_LOOK
        )
