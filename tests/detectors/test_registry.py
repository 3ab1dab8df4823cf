from __future__ import annotations

import sys

import pytest

from detectors import registry
from detectors.registry import LIGHTS, STARS, STREAKS
from detectors.types import Detector

SOURCE = """
from dataclasses import dataclass
from typing import ClassVar
from detectors.stamps import find_nearest_pixels
from detectors.types import {found}

@dataclass(frozen=True, kw_only=True)
class Family:
    def detect(self, light, mask=None, saturated=None):
        return {found}.empty()

class One(Family):
    name: ClassVar[str] = "{first}"

class Other(Family):
    name: ClassVar[str] = "other"

DETECTORS = (One(), Other())
"""
FOUND = {"lights": "LightDetections", "stars": "StarDetections", "streaks": "StreakDetections"}


@pytest.fixture
def drop(tmp_path, monkeypatch):
    """Puts a file of methods beside the others, for as long as the test runs."""

    def dropped(kind, first):
        source = SOURCE.format(found=FOUND[kind], first=first)
        (tmp_path / f"{kind}_dropped.py").write_text(source)
        paths = [*registry.detectors.__path__, str(tmp_path)]
        monkeypatch.setattr(registry.detectors, "__path__", paths)
        monkeypatch.delitem(sys.modules, f"detectors.{kind}_dropped", raising=False)

    registry._load_detectors.cache_clear()
    yield dropped
    registry._load_detectors.cache_clear()


@pytest.mark.parametrize("kind", [LIGHTS, STARS, STREAKS], ids=lambda kind: kind.name)
def test_all_methods_of_a_file_are_found_by_being_there(drop, kind):
    before = set(kind.detectors())
    registry._load_detectors.cache_clear()
    drop(kind.name, "one")
    methods = kind.detectors()
    assert list(methods) == sorted(before | {"one", "other"})
    assert all(isinstance(one, Detector) and one.name == name for name, one in methods.items())


def test_two_of_one_name_are_refused(drop):
    drop("lights", "blobs")
    with pytest.raises(TypeError, match="two light detectors are named 'blobs'"):
        LIGHTS.detectors()
