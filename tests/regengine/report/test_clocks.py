"""Clock offsets and focal lengths: those that the photos were made with come out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from reported import accepted, figures_of

from regengine.report.clocks import ORBITAL_SPEED_KM_S, clock_offset
from regengine.result import NadirInput
from tests.example_results import proposal

DAY = "2012-03-28T15:46:41Z"
NEXT_DAY = "2012-03-29T00:00:01Z"


def test_each_body_and_day_has_its_median() -> None:
    run = [accepted(offset_s=seconds) for seconds in (-9.0, -10.0, -12.0)]
    run += [accepted(offset_s=4.0, time_utc=NEXT_DAY), accepted(offset_s=7.0, camera_body="B")]
    rows = {(r["camera_body"], r["day"]): r for r in figures_of(run)["clocks"]["rows"]}
    assert set(rows) == {
        ("NIKON D3S", "2012-03-28"),
        ("NIKON D3S", "2012-03-29"),
        ("B", "2012-03-28"),
    }
    first = rows["NIKON D3S", "2012-03-28"]
    assert (first["photos"], first["median_s"]) == (3, -10.0)
    assert (first["lowest_s"], first["highest_s"], first["agree"]) == (-12.0, -9.0, 1.0)
    assert first["median_km"] == pytest.approx(-10.0 * ORBITAL_SPEED_KM_S)
    assert first["tle_age_h"] == 157.0
    assert first["tle_sigma_s"] == pytest.approx(60.0 / ORBITAL_SPEED_KM_S)
    assert math.isnan(rows["B", "2012-03-28"]["spread_s"])  # one photo tells no spread


def test_the_spread_is_a_standard_deviation_that_strays_do_not_move() -> None:
    offsets = np.random.default_rng(0).normal(20.0, 3.0, 2000)
    offsets[:100] = 500.0
    zeros = np.zeros(2000)
    told = clock_offset("b", "d", offsets.tolist(), zeros.tolist(), zeros.tolist())
    assert told.median_s == pytest.approx(20.0, abs=0.5)
    assert told.spread_s == pytest.approx(3.0, rel=0.12)


def test_photos_that_disagree_show_it() -> None:
    offsets = [0.0, 1.0, 2.0, 60.0]
    assert clock_offset("b", "d", offsets, [1.0] * 4, [1.0] * 4).agree == 0.75


def test_only_accepted_photos_placed_by_element_sets_count() -> None:
    nadir = NadirInput(
        lon=1.0, lat=1.0, altitude_km=400.0, source="option", sigma_along_km=1.0, sigma_cross_km=1.0
    )
    run = [proposal(verdict="review"), replace(proposal(), nadir=nadir)]
    run += [accepted(time_utc=None), accepted(camera_body=None)]
    figures = figures_of(run)
    assert figures["clocks"] == {"groups": 0, "rows": []}
    assert figures["lenses"]["groups"] == 0


def test_a_lens_has_its_ratio() -> None:
    nominal_px = 1e3 * 85.0 / 56.25
    lens, other = figures_of([accepted(), accepted(), accepted(focal_mm=50.0)])["lenses"]["rows"][
        ::-1
    ]
    assert (lens["focal_mm"], lens["photos"]) == (85.0, 2)
    assert lens["median"] == pytest.approx(1506.1 / nominal_px)
    assert lens["spread"] == 0.0
    assert other["median"] == pytest.approx(1506.1 / nominal_px * 85.0 / 50.0)
