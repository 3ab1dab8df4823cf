"""One of n shares of a batch, for job arrays: every photo is in exactly one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from regengine.batch.sharing import STRETCH
from regengine.errors import ConfigError

Photo = TypeVar("Photo")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The ``number``-th of ``count`` shards, counted from 1."""

    number: int
    count: int

    def of(self, photos: Sequence[Photo]) -> list[Photo]:
        """The photos of this shard.

        Whole stretches of photos that learn from each other (`regengine.batch.sharing`) are dealt
        out in turn, as far as the photos reach; fewer photos than that are dealt out in smaller
        pieces, so that no shard is left without work.

        Parameters
        ----------
        photos : sequence
            All photos of the batch, in the same order for every shard.

        Returns
        -------
        list
            In that order.
        """
        piece = min(STRETCH, max(1, -(-len(photos) // self.count)))
        starts = range((self.number - 1) * piece, len(photos), self.count * piece)
        return [path for start in starts for path in photos[start : start + piece]]


def parse_shard(text: str) -> Shard:
    """A shard as options write it, ``3/16``.

    Raises
    ------
    ConfigError
        If it is no such text, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--shard {text!r} is no share of a batch: write its number and how many there are, "
            "like 3/16 (from 1/16 to 16/16)."
        )
    return Shard(number=int(match[1]), count=int(match[2]))
