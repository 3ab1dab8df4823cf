"""The detector that CONTRIBUTING.md writes is found, and finds stars."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import numpy as np
import pytest
from light_scene import NOISE, nearest
from star_scene import star_frame, star_list

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
SHAPE = (240, 320)


def test_the_detector_of_the_page_does_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"^   ```python\n(.*?)^   ```", PAGE.read_text("utf-8"), re.M | re.S)
    assert block
    module = ModuleType("detectors.stars_peaks")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(dedent(block[1]), PAGE.name, "exec"), module.__dict__)
    (detector,) = module.DETECTORS
    assert detector.name == "peaks"
    stars = star_list(25, SHAPE)
    found = detector.detect(star_frame(stars, SHAPE))
    assert len(found) <= len(stars) + 2
    assert max(nearest(found, star.x, star.y)[1] for star in stars) < 0.4
    sky = np.random.default_rng(5).normal(0.1, NOISE, SHAPE).astype(np.float32)
    assert len(detector.detect(sky)) <= 6
