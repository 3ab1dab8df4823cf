"""What the program works out on fixed inputs has not changed unseen."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.figures import asking, placing, sky
from tests.figures.compare import compare
from tests.figures.record import read_recorded
from tests.figures.summary import summarise

MODULES = (asking, placing, sky)
SECTIONS: dict[str, Callable[..., Any]] = {
    name: section
    for module in MODULES
    for name, section in vars(module).items()
    if inspect.isfunction(section)
    and section.__module__ == module.__name__
    and not name.startswith("_")
}
SEARCHED = {name for name, section in SECTIONS.items() if section.__module__ != asking.__name__}


@pytest.fixture
def given(section: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a section asks for, made before its time is taken."""
    wanted = inspect.signature(SECTIONS[section]).parameters
    return {name: request.getfixturevalue(name) for name in wanted}


@pytest.mark.parametrize("section", SECTIONS)
def test_numbers_are_those_recorded(section: str, given: dict[str, Any]) -> None:
    figures = summarise(SECTIONS[section](**given))
    assert figures
    if folder := os.environ.get("REGENGINE_RECORD_FIGURES"):
        text = json.dumps(figures)
        (Path(folder) / f"{section}.json").write_text(text, encoding="utf-8")
        return
    moved = compare(figures, read_recorded().get(section, {}), searched=section in SEARCHED)
    assert not moved, "\n".join([f"{section}: {len(moved)} figures moved:", *moved[:40]])


TABLE = {
    "p.points.x": [10.0, 20.0],
    "p.points.lat": [45.0, 46.0],
    "p.points.sigma_px": [0.4, 0.2],
    "p.points.sigma_m": [60.0, 30.0],
    "p.verdict": "accepted",
    "p.fit.log10_odds": 7.31,
    "p.fit.ncc": 0.712345,
    "p.probability": 0.9531,
    "p.fit.matched_lights": 100,
    "p.time_s": 20.0,
    "p.lights.x": [30, 30.0, 4650.0, 932_050.0, *map(float, range(5, 305, 15))],
    "p.told": "saved 1 photo: 35 lights at 2.4 px",
}


@pytest.mark.parametrize(
    ("key", "near", "far"),
    [
        ("p.points.x", [10.19, 20.09], [10.19, 20.11]),  # half of each one's own sigma
        ("p.points.lat", [45.0, 46.0 + 14.0 / 111_195], [45.0, 46.0 + 16.0 / 111_195]),
        ("p.points.sigma_px", [0.41, 0.2], [0.43, 0.2]),
        ("p.points.sigma_m", [62.0, 31.0], [64.0, 30.0]),
        ("p.verdict", "accepted", "review"),
        ("p.fit.log10_odds", 7.40, 7.42),
        ("p.fit.ncc", 0.717, 0.718),
        ("p.probability", 0.9600, 0.9700),  # 0.07 and 0.2 in the logarithm of odds
        ("p.fit.matched_lights", 103, 104),
        ("p.time_s", 20.002, 20.01),  # a ten-thousandth
        ("p.lights.x", [30, 30.0, 4652.0, 932_900.0, *map(float, range(5, 305, 15))],
         [30, 30.0, 4650.0, 932_050.0, *map(float, range(5, 290, 15)), 300.0]),
        ("p.told", "saved 1 photo: 36 lights at 2.5 px", "saved 1 photo: 35 lamps at 2.4 px"),
    ],
)  # fmt: skip
def test_a_figure_is_held_in_units_of_what_it_means(key: str, near: Any, far: Any) -> None:
    assert compare(TABLE, TABLE, searched=True) == []
    assert compare(TABLE | {key: near}, TABLE, searched=True) == []
    assert compare(TABLE | {key: far}, TABLE, searched=True) != []


def test_arithmetic_is_held_to_its_digits() -> None:
    for key in ("p.points.sigma_m", "p.fit.ncc", "p.fit.matched_lights"):
        value = TABLE[key]
        moved = [1.001 * x for x in value] if isinstance(value, list) else 1.013 * value
        assert compare(TABLE | {key: moved}, TABLE, searched=False) != []
    assert compare({"x": 1.0}, {"y": 1.0}, searched=True) == ["y is gone", "x is new"]
