"""The constants that the methods pages tell are those of the code."""

from __future__ import annotations

import re
from pkgutil import resolve_name

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "docs" / "methods" / f"{name}.md" for name in ("registration", "masks", "attitude")]
ROW = re.compile(r"^\| `([\w.]+)` \| ([\d.]+) \|", re.M)
TOLD = {page.stem: ROW.findall(page.read_text(encoding="utf-8")) for page in PAGES}
CONSTANTS = [row for rows in TOLD.values() for row in rows]


def value_of(name: str) -> float:
    """Value of a dotted name: a module's constant, or a parameter's default."""
    found = resolve_name(name)
    assert isinstance(found, int | float)
    return float(found)


def test_the_pages_tell_constants() -> None:
    assert len(TOLD["registration"]) > 30
    assert len(TOLD["masks"]) > 15


@pytest.mark.parametrize(("name", "value"), CONSTANTS)
def test_a_constant_has_the_value_that_the_page_tells(name: str, value: str) -> None:
    assert value_of(name) == pytest.approx(float(value))
