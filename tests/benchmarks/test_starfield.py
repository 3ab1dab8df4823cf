"""The benchmark of stars tells a method that finds them from one that finds nothing."""

from __future__ import annotations

import numpy as np

from benchmarks.simulate.streaks_open import open_exposure
from benchmarks.stars import completeness, detector_method, method_cells, run_method
from detectors.registry import STARS


def test_the_benchmark_tells_a_method_that_finds_nothing() -> None:
    fields = [open_exposure(9, side_px=512, streaks=False).starfield()]
    good = run_method(detector_method(STARS.detectors()["matched"]), fields)
    none = run_method(lambda field: np.zeros((0, 2)), fields)
    assert completeness(good, 10.0, np.inf)[0] > 0.8
    assert completeness(none, 10.0, np.inf)[0] == 0.0
    name, *found = method_cells("nothing", none)[:7]
    assert name == "nothing"
    assert set(found) <= {"0.000", "–"}
