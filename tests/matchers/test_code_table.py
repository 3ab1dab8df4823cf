"""The table finds the pairs that comparing everything with everything finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.code_table import CodeTable


@given(seed=st.integers(0, 10_000), numbers=st.sampled_from([3, 5]))
def test_pairs_are_those_of_brute_force(seed: int, numbers: int) -> None:
    rng = np.random.default_rng(seed)
    spread = rng.choice([1.5, 6.0, 30.0])
    ours = rng.uniform(-spread, spread, (int(rng.integers(1, 60)), numbers))
    # Some stand beyond all that the table has, some on the borders of its cells
    asked = np.concatenate([rng.uniform(-2 * spread, 2 * spread, (40, numbers)), np.round(ours)])
    row, found = CodeTable.of(ours).alike(asked)
    apart = np.linalg.norm(asked[:, None] - ours[None], axis=2)
    pairs = set(zip(row.tolist(), found.tolist(), strict=True))
    assert len(row) == len(pairs)
    # They are compared in single precision
    assert pairs >= set(
        zip(*(each.tolist() for each in np.nonzero(apart <= 1.0 - 1e-5)), strict=True)
    )
    assert all(apart[pair] <= 1.0 + 1e-5 for pair in pairs)


def test_many_pairs_are_all_found() -> None:
    rng = np.random.default_rng(1)
    ours, asked = rng.uniform(-1.0, 1.0, (900, 3)), rng.uniform(-1.0, 1.0, (200, 3))
    row, found = CodeTable.of(ours).alike(asked)
    apart = np.linalg.norm(asked[:, None] - ours[None], axis=2)
    assert len(row) == pytest.approx((apart <= 1.0).sum(), abs=3)
    assert len(row) > 40_000
    assert apart[row, found].max() < 1.0 + 1e-5
