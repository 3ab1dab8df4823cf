"""The vectors that the page's geometry is tested with, by ``npm test``, are the engine's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.regengine.review.geometry_vectors import VECTORS, vectors


def same(stored: Any, made: Any) -> bool:
    """Whether two pieces of JSON are the same, numbers but for rounding."""
    if isinstance(stored, dict):
        return stored.keys() == made.keys() and all(same(stored[k], made[k]) for k in stored)
    if isinstance(stored, list | tuple):
        return len(stored) == len(made) and all(map(same, stored, made))
    if isinstance(stored, float):
        return bool(made == pytest.approx(stored, rel=1e-9, abs=1e-9))
    return bool(stored == made)


def test_the_vectors_of_the_page_are_those_of_the_engine() -> None:
    stored = json.loads(VECTORS.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(vectors()))
    differing = [a["name"] for a, b in zip(stored, again, strict=True) if not same(a, b)]
    assert not differing, f"{differing}: run python -m tests.regengine.review.geometry_vectors"


def test_they_hold_what_is_seen_what_is_hidden_and_the_sky() -> None:
    cases = vectors()
    for kind, key in (("pixels", "place"), ("places", "pixel")):
        values = [each[key] for case in cases for each in case[kind]]
        assert None in values
        assert sum(value is not None for value in values) > 100
