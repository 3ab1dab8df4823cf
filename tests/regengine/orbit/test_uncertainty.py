"""How far an element set may be trusted, and where along a track the camera may have been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.orbit import orbit_sigma
from regengine.orbit import uncertainty as table
from regengine.orbit.uncertainty import (
    AGE_DAYS,
    EDGES_KM,
    LEVELS,
    OffsetBelief,
    even,
    make_slide_belief,
    usual_clock,
    with_clock,
    with_drag,
)

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


@given(st.floats(0.0, 8760.0), st.floats(0.0, 8760.0))
def test_older_is_never_better(one, other):
    young, old = sorted([one, other])
    for sign in (1.0, -1.0):
        better, worse = orbit_sigma(sign * young), orbit_sigma(sign * old)
        for part in ("along_km", "cross_km", "radial_km"):
            assert getattr(better, part) <= getattr(worse, part) * 1.000001
        assert better.along_km >= 0.3
        assert worse.along_km <= 12_300.0


def total(belief: OffsetBelief) -> float:
    return float(belief.cumulative[-1])


def below(belief: OffsetBelief, offset_km: float) -> float:
    return float(belief.share(EDGES_KM[0], offset_km))


def test_the_offsets_are_those_of_the_benchmark() -> None:
    page = RESULT.read_text(encoding="utf-8").split("## On which side")[1].split("\n## ")[0]
    measured = {}
    for line in page.splitlines():
        if line.startswith(("| +", "| -")):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            measured[float(cells[0])] = [float(cell) for cell in cells[2:]]
    ages = AGE_DAYS[AGE_DAYS <= 120.0]
    for sign, constants in ((1.0, table.SLIDE_BEFORE_KM), (-1.0, table.SLIDE_AFTER_KM)):
        np.testing.assert_array_equal(constants, [measured[sign * age] for age in ages])
        assert (np.diff(constants, axis=1) > 0.0).all()


def test_the_shares_of_unusual_drag_are_those_of_the_benchmark() -> None:
    section = RESULT.read_text(encoding="utf-8").split("## Sets with unusual drag")[1]
    (row,) = [line for line in section.splitlines() if line.startswith("| 800 to 21,300")]
    shares = [float(cell) for cell in row.strip("|").split("|")[2:]]
    np.testing.assert_array_equal(table.DRAG_SHARES[1:4], shares[2:5])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("row", [5, 7, 9])
def test_at_a_tabulated_age_the_quantiles_are_met(row: int, before: bool) -> None:
    age_h = 24.0 * AGE_DAYS[row] * (1.0 if before else -1.0)
    belief = make_slide_belief(orbit_sigma(age_h).along_km, before=before)
    constants = (table.SLIDE_BEFORE_KM if before else table.SLIDE_AFTER_KM)[row]
    for level, quantile in zip(LEVELS, constants, strict=True):
        if abs(quantile) > 100.0:  # smaller ones lie within a bin or two
            assert below(belief, quantile) == pytest.approx(level, abs=0.006)
    # The station falls behind far oftener than it gets ahead
    assert below(belief, -1000.0) > 3.0 * (1.0 - below(belief, 1000.0))


@given(sigma=st.floats(0.001, 20_000.0), before=st.booleans())
def test_a_belief_is_a_probability(sigma: float, before: bool) -> None:
    belief = make_slide_belief(sigma, before=before)
    assert (np.diff(belief.cumulative) >= 0.0).all()
    assert 0.95 < total(belief) <= 1.0 + 1e-9
    assert belief.reach_km <= 21_300.0
    outside = total(belief) - float(belief.share(-belief.reach_km - 20.0, belief.reach_km + 20.0))
    assert outside == pytest.approx(0.0, abs=1e-9)
    dragged = with_drag(belief, -3000.0)
    assert (np.diff(dragged.cumulative) >= -1e-12).all()
    assert total(dragged) <= 1.0 + 1e-9
    clocked = with_clock(belief, usual_clock(900.0, 7.66), 900.0)
    assert (np.diff(clocked.cumulative) >= -1e-12).all()
    assert total(clocked) <= 1.0 + 1e-9


def test_a_clock_adds_to_a_slide() -> None:
    """A slide far ahead or far behind, by a clock that is off by up to 1,000 km."""
    apart = np.zeros(len(EDGES_KM) - 1)
    apart[np.searchsorted(EDGES_KM, [-5000.0, 3000.0]) - 1] = (0.8, 0.2)
    slide = table.make_belief(apart, 6000.0)
    both = with_clock(slide, even(0.0, 1000.0), 1000.0)
    assert float(both.share(-6010.0, -3990.0)) == pytest.approx(0.8)
    assert float(both.share(-5500.0, -5000.0)) == pytest.approx(0.2, abs=0.01)
    assert float(both.share(1990.0, 4010.0)) == pytest.approx(0.2)
    assert both.reach_km == 7000.0
    beyond = with_clock(slide, even(0.0, 1000.0), 1000.0, least_km=3500.0)
    assert float(beyond.share(-3400.0, 3400.0)) == 0.0
    assert float(beyond.share(3500.0, 4010.0)) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("shift_km", [-4000.0, 1500.0])
def test_wrong_drag_moves_the_belief_by_its_measured_share(shift_km: float) -> None:
    """Quartiles of what of the shift was so."""
    belief = with_drag(make_slide_belief(5.0, before=True), shift_km)
    for level, share in ((0.25, 0.40), (0.5, 0.89), (0.75, 1.24)):
        farther = below(belief, share * shift_km)
        assert (farther if shift_km > 0.0 else 1.0 - farther) == pytest.approx(level, abs=0.03)
    assert belief.reach_km > 1.6 * abs(shift_km)
    usual = make_slide_belief(5.0, before=True)
    assert with_drag(usual, -200.0) is usual
