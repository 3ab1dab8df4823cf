"""Shares of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.batch.parameters import Shard, parse_shard
from regengine.batch.sharing import STRETCH
from regengine.errors import ConfigError


@given(st.integers(0, 1000), st.integers(1, 40))
def test_every_photo_is_in_one_shard(photos: int, count: int) -> None:
    paths = [Path(f"{k}.jpg") for k in range(photos)]
    shards = [Shard(number=k + 1, count=count).of(paths) for k in range(count)]
    assert sorted(p for shard in shards for p in shard) == sorted(paths)
    if photos >= count:
        sizes = [len(shard) for shard in shards]
        assert max(sizes) - min(sizes) <= STRETCH


def test_photos_that_learn_from_each_other_stay_together() -> None:
    paths = [Path(f"{k}.jpg") for k in range(10 * STRETCH)]
    second = Shard(number=2, count=3).of(paths)
    assert second[:STRETCH] == paths[STRETCH : 2 * STRETCH]
    assert second[STRETCH : 2 * STRETCH] == paths[4 * STRETCH : 5 * STRETCH]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_what_is_no_shard_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="like 3/16"):
        parse_shard(text)


def test_a_shard_is_written_as_number_and_count() -> None:
    assert parse_shard(" 3/16 ") == Shard(number=3, count=16)
