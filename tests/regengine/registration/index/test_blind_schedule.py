"""Lenses and tilts that a blind search tries leave no gaps, and none is tried twice."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from detectors.limb_geometry import nadir_vector
from regengine.registration.index.earth import LOG_SIZE_TOLERANCE
from regengine.registration.index.figures import ALTITUDE_KM, LEAST_PX, MOST_PX
from regengine.registration.index.schedule import (
    FAR_LIGHT_RINGS,
    FAR_RINGS,
    FIRST_RINGS,
    LENS_PLANS,
    OTHER_RINGS,
    PLANS,
    UPRIGHT_DEG,
    directions,
    ground_stretch,
    lens_tries,
)


@pytest.mark.parametrize("ring", FAR_RINGS)
def test_each_direction_of_a_far_ring_is_tried_once(ring: tuple[float, int]) -> None:
    off_nadir_deg, count = ring
    upright = directions((ring,), "level")
    both = np.array(upright + directions((ring,), "turned"))
    assert both.shape == (count, 3)
    assert np.degrees(np.arccos(both[:, 2])) == pytest.approx(off_nadir_deg)
    assert len({tuple(nadir) for nadir in both.round(6).tolist()}) == count
    # Held level, the nadir lies below the picture's middle
    for nadir in upright:
        assert abs(np.degrees(np.arctan2(nadir[0], nadir[1]))) <= UPRIGHT_DEG + 1e-6
    assert 2 <= len(upright) <= count // 5


def test_no_far_tilt_is_farther_from_those_that_are_tried_than_half_a_step() -> None:
    tried = np.array(directions(FAR_RINGS))
    rng = np.random.default_rng(1)
    for _ in range(300):
        true = nadir_vector(rng.uniform(36.0, 62.0), rng.uniform(-180.0, 180.0))
        nearest = np.arccos(np.clip((tried @ true).max(), -1.0, 1.0))
        assert np.degrees(nearest) < 5.5


FIGURES = [
    (plan, steps) for plan, steps in lens_tries() if plan.way == "figures" and plan.held is None
]


def test_any_focal_length_from_15_to_210_mm_is_tried_with_the_first_tilts() -> None:
    """Within what figures bear of one that is tried; usual lenses with all steep tilts."""
    tried: dict[float, set[float]] = {}
    for plan, steps in FIGURES:
        for off_nadir_deg, _count in plan.rings:
            tried.setdefault(off_nadir_deg, set()).update(focal_mm for focal_mm, _ in steps)
    assert set(tried) == {off_nadir_deg for off_nadir_deg, _ in (*FIRST_RINGS, *OTHER_RINGS)}
    for off_nadir_deg, lenses in tried.items():
        rare = off_nadir_deg in dict(FIRST_RINGS)
        assert without_gaps(lenses)
        assert min(lenses) < (17.5 if rare else 24.0)
        assert max(lenses) > (180.0 if rare else 80.0)


@pytest.mark.parametrize("way", ["figures", "light"])
def test_crops_to_two_fifths_and_wrong_lenses_leave_no_gap(way: str) -> None:
    tried = [ratio for plan in PLANS if plan.way == way for ratio in plan.ratios]
    assert without_gaps(set(tried))
    assert min(tried) * math.exp(-LOG_SIZE_TOLERANCE) < 1.0 / 1.5
    assert max(tried) * math.exp(LOG_SIZE_TOLERANCE) > 2.5


def test_usual_lenses_are_tried_with_far_tilts_and_by_their_light() -> None:
    tried: dict[tuple[str, str | None, float], set[float]] = {}
    for plan in LENS_PLANS:
        for ring in plan.rings:
            key = plan.way, plan.held, ring[0]
            tried.setdefault(key, set()).update(mm for mm, _ in plan.steps)
    for off_nadir_deg, _ in FIRST_RINGS:
        assert without_gaps(tried["light", None, off_nadir_deg])
    far = [("figures", "level", ring) for ring in FAR_RINGS[:3]]
    far += [("light", held, ring) for held in ("level", "turned") for ring in FAR_LIGHT_RINGS[:2]]
    for way, held, (off_nadir_deg, _) in far:
        lenses = tried[way, held, off_nadir_deg]
        assert without_gaps(lenses)
        assert min(lenses) < 30.0
        assert max(lenses) > 84.0


def without_gaps(lenses: set[float]) -> bool:
    """Whether figures bear what lies between neighbours."""
    return all(
        math.log(longer / shorter) <= 2.0 * LOG_SIZE_TOLERANCE
        for shorter, longer in pairwise(sorted(lenses))
    )


def test_no_step_is_tried_twice_and_each_suits_its_level() -> None:
    seen = []
    for plan, steps in lens_tries():
        for focal_mm, pixel_km in steps:
            for ring in plan.rings:
                stretched = 1.0 if plan.held is None else ground_stretch(ring[0], ALTITUDE_KM)
                field_px = 36.0 / focal_mm * ALTITUDE_KM * stretched / pixel_km
                assert LEAST_PX <= field_px <= MOST_PX
                kind = plan.way, plan.held, plan.mirrored, plan.hazy
                seen.append((kind, ring, focal_mm, pixel_km))
    assert len(seen) == len(set(seen))
    assert sum(len(plan.rings) * len(plan.steps) for plan in LENS_PLANS) == len(seen)
