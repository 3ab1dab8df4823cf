"""The constants that the methods page tells are those of the code."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "methods" / "registration.md"
ROW = re.compile(r"^\| `([\w.]+)` \| ([\d.]+) \|", re.M)
CONSTANTS = ROW.findall(PAGE.read_text(encoding="utf-8"))


def value_of(name: str) -> float:
    """Value of a dotted name: a module's constant, or a parameter's default."""
    package, module, *attributes = name.split(".")
    found: object = import_module(f"{package}.{module}")
    for attribute in attributes:
        found = getattr(found, attribute)
    assert isinstance(found, int | float)
    return float(found)


def test_the_page_tells_constants() -> None:
    assert len(CONSTANTS) > 30


@pytest.mark.parametrize(("name", "value"), CONSTANTS)
def test_a_constant_has_the_value_that_the_page_tells(name: str, value: str) -> None:
    assert value_of(name) == pytest.approx(float(value))
