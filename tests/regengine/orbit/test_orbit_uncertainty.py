from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.orbit import uncertainty as table
from regengine.orbit.uncertainty import AGE_DAYS, ALONG_UNKNOWN_KM, along_track_p90_km, orbit_sigma

RESULT = Path(__file__).parents[3] / "benchmarks" / "results" / "orbit-uncertainty.md"


def test_the_numbers_are_those_of_the_benchmark():
    measured = {}
    sizes = RESULT.read_text(encoding="utf-8").partition("## On which side")[0]
    for line in sizes.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith(("| +", "| -")):
            measured[float(cells[0])] = [[float(v) for v in c.split("/")[:2]] for c in cells[2:]]
    assert len(measured) == 2 * len(AGE_DAYS)
    for sign, side in ((1.0, "BEFORE"), (-1.0, "AFTER")):
        for column, part in enumerate(("ALONG", "CROSS", "RADIAL")):
            constants = getattr(table, f"{part}_{side}_KM")
            found = np.array([measured[sign * age][column] for age in AGE_DAYS]).T
            rising = np.maximum.accumulate(found, axis=1)
            np.testing.assert_allclose(constants, rising, rtol=0.006, atol=0.006)


def test_sigma_at_a_tabulated_age():
    before, after = (orbit_sigma(sign * 24.0 * 7) for sign in (1.0, -1.0))
    assert before.along_km == pytest.approx(987 / 1.645)  # the tail decides
    assert after.along_km == pytest.approx(918 / 1.645)
    assert before.cross_km == pytest.approx(1.4826 * 1.12)  # the median decides
    assert before.radial_km == pytest.approx(1.96 / 1.645)


def test_sigma_is_interpolated_between_logarithms():
    middle_h = 24.0 * np.sqrt(7.0 * 10.0)
    expected = np.sqrt(987.0 * 2080.0) / 1.645
    assert orbit_sigma(middle_h).along_km == pytest.approx(expected)


@given(st.floats(0.0, 8760.0), st.floats(0.0, 8760.0))
def test_older_is_never_better(one, other):
    young, old = sorted([one, other])
    for sign in (1.0, -1.0):
        better, worse = orbit_sigma(sign * young), orbit_sigma(sign * old)
        for part in ("along_km", "cross_km", "radial_km"):
            assert getattr(better, part) <= getattr(worse, part) * 1.000001
        assert better.along_km >= 0.3
        assert worse.along_km <= ALONG_UNKNOWN_KM


@given(st.floats(6.0, 24.0 * 20))
def test_a_set_issued_afterwards_is_better(age_h):
    assert orbit_sigma(-age_h).along_km < orbit_sigma(age_h).along_km


def test_p90_has_no_sign():
    np.testing.assert_allclose(along_track_p90_km([-7.0, 7.0, 0.0]), [987.0, 987.0, 2.48])
