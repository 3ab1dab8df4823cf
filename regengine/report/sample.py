"""A bounded number of items, spread evenly over however many come by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

Item = TypeVar("Item")


class EvenSample(Generic[Item]):
    """Every item while they are few; every second, fourth, eighth … of more.

    Parameters
    ----------
    most : int
        How many are kept at any time.

    Attributes
    ----------
    seen : int
        How many came by.
    items : list
        Those kept, in the order in which they came.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen = 0
        self.items: list[Item] = []
        self._step = 1

    def add(self, item: Item) -> None:
        """Take the next item, or let it pass."""
        if self.seen % self._step == 0 and self.most > 0:
            if len(self.items) == self.most:
                self.items = self.items[::2]
                self._step *= 2
            if self.seen % self._step == 0:
                self.items.append(item)
        self.seen += 1


def thinned(items: list[Item], most: int) -> list[Item]:
    """At most so many of some items, evenly spread over them.

    Parameters
    ----------
    items : list
        In their order.
    most : int
        How many may stay.

    Returns
    -------
    list
    """
    if len(items) <= most:
        return items
    return [items[k * len(items) // most] for k in range(most)]


def fair_shares(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """How many of each kind to show: kinds with few whole, the rest shared equally.

    Parameters
    ----------
    counts : mapping of str to int
        How many there are.
    most : int
        How many may be shown altogether.

    Returns
    -------
    dict of str to int
        No more than there are, together no more than ``most``.
    """
    shares: dict[str, int] = {}
    left = most
    for done, (name, count) in enumerate(sorted(counts.items(), key=lambda pair: pair[1])):
        shares[name] = min(count, left // (len(counts) - done))
        left -= shares[name]
    return {name: shares[name] for name in counts}
