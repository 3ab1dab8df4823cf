"""The vectors that the page's geometry is tested with, by ``npm test``, are the engine's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pyproj import Geod

from tests.regengine.review.geometry_vectors import CASES, VECTORS, aimed_camera, vectors


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


@pytest.mark.parametrize("name", CASES)
def test_the_middle_shows_the_place_and_the_top_lies_in_the_direction_of_the_turn(
    name: str,
) -> None:
    aim, lens = CASES[name]
    camera = aimed_camera(aim, lens)
    assert camera is not None
    x, y = (lens.width_px - 1) / 2.0, (lens.height_px - 1) / 2.0
    assert camera.lonlat_to_pixel(aim.lon, aim.lat) == pytest.approx((x, y), abs=1e-4)
    if name == "straight down":
        for turn_deg in (0.0, 90.0, -135.0):
            camera = aimed_camera(replace(aim, turn_deg=turn_deg), lens)
            assert camera is not None
            top = map(float, camera.pixel_to_lonlat(x, y - 100.0))
            azimuth = Geod(ellps="WGS84").inv(aim.lon, aim.lat, *top)[0]
            assert (azimuth - turn_deg + 180.0) % 360.0 == pytest.approx(180.0, abs=1e-3)
