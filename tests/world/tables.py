"""Tables of tests: rows that have a name."""

from __future__ import annotations

from typing import Protocol


class Named(Protocol):
    """A row."""

    @property
    def name(self) -> str: ...


def by_name(row: Named) -> str:
    """Its id, as pytest asks for it."""
    return row.name
