"""Tables of tests: rows that have a name."""

from __future__ import annotations

from operator import attrgetter

by_name = attrgetter("name")  # of a row: its id, as pytest asks for it
