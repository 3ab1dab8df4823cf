"""The table finds the pairs that comparing everything with everything finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers import code_table
from matchers.code_table import CodeTable, parts


@given(seed=st.integers(0, 10_000), numbers=st.sampled_from([3, 5]))
def test_pairs_are_those_of_brute_force(seed: int, numbers: int) -> None:
    rng = np.random.default_rng(seed)
    spread = rng.choice([1.5, 6.0, 30.0])
    ours = rng.uniform(-spread, spread, (int(rng.integers(1, 60)), numbers))
    # Some stand beyond all that the table has, some on the borders of its cells
    asked = np.concatenate([rng.uniform(-2 * spread, 2 * spread, (40, numbers)), np.round(ours)])
    row, found = CodeTable.of(ours).alike(asked)
    apart = np.linalg.norm(asked[:, None] - ours[None], axis=2)
    expected = set(zip(*np.nonzero(apart <= 1.0), strict=True))
    assert len(row) == len(expected)
    assert set(zip(row, found, strict=True)) == expected


def test_long_runs_are_cut_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    ours, asked = rng.uniform(-2, 2, (200, 3)), rng.uniform(-2, 2, (50, 3))
    whole = CodeTable.of(ours).alike(asked)
    monkeypatch.setattr(code_table, "PAIRS_AT_ONCE", 100)
    cut = CodeTable.of(ours).alike(asked)
    assert [a.tolist() for a in cut] == [a.tolist() for a in whole]
    slices = parts(np.array([90, 90, 500, 0, 1]))
    assert [i for s in slices for i in range(s.start, s.stop)] == [0, 1, 2, 3, 4]
    assert len(slices) > 1
