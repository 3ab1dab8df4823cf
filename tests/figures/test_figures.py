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
from tests.figures.record import compare, read_recorded
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
    moved = compare(section, figures, read_recorded())
    assert not moved, "\n".join([f"{len(moved)} figures moved:", *moved[:40]])
