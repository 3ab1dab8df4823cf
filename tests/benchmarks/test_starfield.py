"""The simulated star frames are what they say: places, noise, bounds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulate.starfield import StarfieldSettings, simulate_starfield
from benchmarks.stars import completeness, detector_method, run_method, tables
from detectors.registry import STARS

SMALL = StarfieldSettings(
    width_px=256, height_px=220, stars=(20, 30), trailed=0.0, hot_pixels=(0, 0), cosmic_rays=(0, 0)
)


def test_equal_seeds_equal_frames():
    one, other = (simulate_starfield(np.random.default_rng(5), SMALL) for _ in range(2))
    assert np.array_equal(one.light, other.light)
    assert not np.array_equal(one.light, simulate_starfield(np.random.default_rng(6), SMALL).light)


def test_the_light_lies_where_the_truth_says():
    field = simulate_starfield(np.random.default_rng(5), SMALL)
    strong = np.flatnonzero(field.resolved & (field.peak_snr > 10.0))
    assert strong.size >= 2
    for i in strong:
        row, col = round(field.y[i]), round(field.x[i])
        near = field.light[row - 3 : row + 4, col - 3 : col + 4]
        peak_row, peak_col = np.unravel_index(near.argmax(), near.shape)
        assert np.hypot(col - 3 + peak_col - field.x[i], row - 3 + peak_row - field.y[i]) < 1.3


def test_the_bound_of_a_faint_star_is_that_of_a_gaussian():
    field = simulate_starfield(np.random.default_rng(8), SMALL)
    faint = field.peak_snr < 4.0
    # In white noise a Gaussian's centre is known to 2 s^2 / snr^2, s = FWHM / 2.355, and the
    # matched filter's SNR is sqrt(pi) s of that of the peak; Moffat wings cost some of it
    sigma = field.fwhm_px / 2.355
    ideal = sigma * np.sqrt(2.0) / (np.sqrt(np.pi) * sigma * field.peak_snr[faint])
    assert np.median(field.bound_px[faint].mean(axis=1) / ideal) == pytest.approx(1.0, abs=0.25)


def test_the_benchmark_tells_a_method_that_finds_nothing():
    fields = [simulate_starfield(np.random.default_rng(5), SMALL)]
    good = run_method(detector_method(STARS.detectors()["matched"]), fields)
    none = run_method(lambda field: np.zeros((0, 2)), fields)
    assert completeness(good, 10.0, np.inf)[0] > 0.9
    assert completeness(none, 10.0, np.inf)[0] == 0.0
    assert any("| nothing |" in line for line in tables({"nothing": none}))
