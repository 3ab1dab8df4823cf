"""The lenses that are tried leave no gaps, and show a useful part of the Earth at their levels."""

from __future__ import annotations

import math
from itertools import pairwise

from regengine.blind.earth_index import LOG_SIZE_TOLERANCE, PIXELS_KM
from regengine.blind.lens_steps import PLANS, lens_tries
from regengine.blind.proposals import ALTITUDE_KM, LEAST_PX, MOST_PX
from regengine.blind.tilts import FIRST_RINGS, OTHER_RINGS


def test_any_focal_length_from_15_to_210_mm_is_tried_with_all_tilts() -> None:
    """Within what figures bear of one that is tried: each ring has all lenses, in all versions."""
    tried: dict[tuple[float, bool, bool], set[float]] = {}
    for plan, focal_mm, _ in lens_tries(PIXELS_KM):
        for off_nadir_deg, _count in plan.rings:
            key = off_nadir_deg, plan.mirrored, plan.hazy
            tried.setdefault(key, set()).add(focal_mm)
    rings = {off_nadir_deg for off_nadir_deg, _ in (*FIRST_RINGS, *OTHER_RINGS)}
    assert {key for key in tried if not (key[1] and key[2])} == {
        (ring, mirrored, hazy)
        for ring in rings
        for mirrored, hazy in ((False, False), (True, False), (False, True))
    }
    for lenses in tried.values():
        for shorter, longer in pairwise(sorted(lenses)):
            assert math.log(longer / shorter) <= 2.0 * LOG_SIZE_TOLERANCE
        assert min(lenses) < 17.5
        assert max(lenses) > 180.0


def test_no_step_is_tried_twice_and_each_suits_its_level() -> None:
    seen = []
    for plan, focal_mm, pixel_km in lens_tries(PIXELS_KM):
        assert LEAST_PX <= 36.0 / focal_mm * ALTITUDE_KM / pixel_km <= MOST_PX
        seen += [(ring, focal_mm, pixel_km, plan.mirrored, plan.hazy) for ring in plan.rings]
    assert len(seen) == len(set(seen))
    assert sum(len(plan.rings) * len(plan.steps) for plan in PLANS) == len(seen)


def test_a_map_of_a_region_has_only_the_levels_it_was_indexed_at() -> None:
    assert {pixel_km for _, _, pixel_km in lens_tries((1.3,))} == {1.3}
