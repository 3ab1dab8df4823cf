"""Bounded samples: never more than asked, spread over all, everything while it is little."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regengine.report.figures import EvenSample, fair_shares, thinned


@given(st.integers(0, 40), st.integers(0, 500))
def test_a_sample_is_bounded_even_and_whole_while_small(most: int, count: int) -> None:
    sample = EvenSample[int](most)
    for number in range(count):
        sample.add(number)
    assert sample.seen == count
    assert len(sample.items) <= most
    if count <= most:
        assert sample.items == list(range(count))
    elif most > 1:
        steps = {b - a for a, b in zip(sample.items, sample.items[1:], strict=False)}
        assert sample.items[0] == 0
        assert len(steps) <= 1
        assert 2 * len(sample.items) >= most - 1


@given(st.lists(st.integers()), st.integers(1, 20))
def test_thinning_keeps_order_and_bound(items: list[int], most: int) -> None:
    kept = thinned(items, most)
    assert len(kept) == min(most, len(items))
    assert kept[:1] == items[:1]


@given(st.dictionaries(st.text(), st.integers(0, 1000), min_size=1), st.integers(0, 2000))
def test_shares_are_fair(counts: dict[str, int], most: int) -> None:
    shares = fair_shares(counts, most)
    assert sum(shares.values()) == min(most, sum(counts.values()))
    cut = [name for name in counts if shares[name] < counts[name]]
    assert all(shares[name] >= max(shares.values()) - 1 for name in cut)
