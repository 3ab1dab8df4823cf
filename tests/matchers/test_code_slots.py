"""Slots give all rows that a search among the keys would, and little more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matchers.code_table import MOST_SLOTS, CodeSlots

SPAN = 1024.0


@given(seed=st.integers(0, 10_000), crowd=st.sampled_from([1, 20, 3000]))
def test_runs_hold_what_lies_within_bounds(seed: int, crowd: int) -> None:
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 9, crowd) * 3
    last = rng.uniform(0.0, 12.0, crowd)
    keys = np.sort(cell * SPAN + last)
    slots = CodeSlots.of(keys, SPAN)
    asked = rng.integers(-2, 30, 50)
    least = rng.uniform(-20.0, 30.0, 50)
    most = least + rng.uniform(0.0, 3.0, 50)
    first, count = slots.runs(asked, least, most)
    for number in range(50):
        run = keys[first[number] : first[number] + count[number]]
        wanted = (keys >= asked[number] * SPAN + least[number]) & (
            keys <= asked[number] * SPAN + most[number]
        )
        wanted &= keys // SPAN == asked[number]
        assert np.isin(keys[wanted], run).all()
        assert (run // SPAN == asked[number]).all()
        beyond = run - asked[number] * SPAN
        assert (beyond >= least[number] - slots.width - 1e-9).all()
        assert (beyond <= most[number] + slots.width + 1e-9).all()


def test_a_crowded_cell_has_as_many_slots_as_are_worth_it() -> None:
    keys = np.linspace(0.0, 10.0, 100_000)
    assert CodeSlots.of(keys, SPAN).slots == MOST_SLOTS
    assert CodeSlots.of(keys[:3], SPAN).slots == 1
