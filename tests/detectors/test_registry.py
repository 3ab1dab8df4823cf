from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from detectors import registry
from detectors.types import LightDetections, LightDetector

SOURCE = """
from dataclasses import dataclass
from typing import ClassVar
from detectors.lights_blobs import Blobs
from detectors.types import LightDetections

@dataclass(frozen=True, kw_only=True)
class Nothing:
    name: ClassVar[str] = "{name}"

    def detect(self, light, mask=None, saturated=None):
        return LightDetections.empty()
"""


@pytest.fixture
def fresh():
    registry.light_detectors.cache_clear()
    yield
    registry.light_detectors.cache_clear()


def dropped(tmp_path, monkeypatch, source):
    (tmp_path / "lights_dropped.py").write_text(source)
    monkeypatch.setattr(
        registry.detectors, "__path__", [*registry.detectors.__path__, str(tmp_path)]
    )
    monkeypatch.delitem(sys.modules, "detectors.lights_dropped", raising=False)


def test_blobs_is_there():
    assert "blobs" in registry.light_detectors()


def test_a_method_is_found_by_being_there(tmp_path, monkeypatch, fresh):
    dropped(tmp_path, monkeypatch, SOURCE.format(name="nothing"))
    found = registry.light_detectors()
    assert set(found) >= {"blobs", "nothing"}
    assert isinstance(found["nothing"].detect(np.zeros((9, 9))), LightDetections)


def test_two_of_one_name_are_refused(tmp_path, monkeypatch, fresh):
    dropped(tmp_path, monkeypatch, SOURCE.format(name="blobs"))
    with pytest.raises(TypeError, match="two light detectors are called 'blobs'"):
        registry.light_detectors()


def test_a_module_without_a_method_is_refused():
    with pytest.raises(TypeError, match="must define one class"):
        registry.detectors_of(types.ModuleType("lights_empty"), LightDetector)
