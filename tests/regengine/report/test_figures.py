"""Figures of a run: verdicts, reliability, times, clocks, lenses, and fair samples."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import accepted, collected, collected_of, failed, figures_of, stored

from regengine.report.clocks import ORBITAL_SPEED_KM_S, clock_offset
from regengine.report.figures import (
    Distribution,
    decades,
    fair_shares,
    thinned,
)
from regengine.result import NadirInput, Reason
from tests.example_results import nothing_found, proposal

RUN = [
    accepted("a1", probability=0.999),
    accepted("a2", probability=0.9995, camera_body="NIKON D5"),
    proposal("r1", verdict="review"),
    nothing_found("n1"),
    failed("f1", "unreadable", "f1 is no image."),
    failed("f2", "timed_out"),
    failed("f3", "unreadable", "f3 is no image."),
]


def test_verdicts_are_counted_by_category_and_body() -> None:
    figures = figures_of(RUN)
    assert figures["photos"] == 7
    assert figures["verdicts"] == {"accepted": 2, "review": 1, "no_match": 1, "failed": 3}
    assert [(row["category"], row["photos"]) for row in figures["by_category"]] == [
        ("unknown", 4),
        ("cities", 3),
    ]
    bodies = {row["camera_body"]: row["verdicts"] for row in figures["by_camera_body"]}
    assert bodies["NIKON D3S"] == {"accepted": 1, "review": 1, "no_match": 0, "failed": 0}
    assert bodies["NIKON D5"]["accepted"] == 1


def test_reasons_have_counts_and_sentences() -> None:
    reasons = {row["code"]: row for row in figures_of(RUN)["reasons"]}
    assert next(iter(reasons)) == "unreadable"  # the commonest first
    assert reasons["unreadable"]["photos"] == 2
    assert reasons["unreadable"]["different_sentences"] == 2
    assert reasons["unreadable"]["sentences"] == ["f1 is no image.", "f3 is no image."]
    assert reasons["low_margin"]["verdicts"]["review"] == 1


def test_a_reason_given_twice_counts_one_photo() -> None:
    twice = replace(nothing_found(), reasons=(Reason(code="x", text="A."),) * 2)
    assert figures_of([twice])["reasons"][0]["photos"] == 1


def test_the_expected_number_of_right_ones_is_the_sum_of_probabilities() -> None:
    known = figures_of(RUN)["reliability"]
    assert known["accepted"] == 2
    assert known["expected_right"] == pytest.approx(1.9985)
    assert known["expected_wrong"] == pytest.approx(0.0015)
    probability = known["probability"]["accepted"]
    edges, bins = probability["edges"], probability["bins"]
    assert bins[edges.index(0.999)] == 2  # 0.999 itself belongs to the upper bin


def test_the_worst_point_tells_a_proposals_sigma() -> None:
    worse = replace(proposal().control_points[1], sigma_m=777.0)
    points = (worse, *proposal().control_points[:3])
    known = figures_of([accepted(control_points=points)])["reliability"]["distributions"]
    assert known["sigma_m"]["accepted"]["p50"] == 777.0
    assert known["margin"]["accepted"]["p50"] == pytest.approx(0.29)
    assert known["sigma_m"]["review"]["count"] == 0
    assert known["sigma_m"]["review"]["p50"] is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_every_value_is_in_one_bin(values: list[float]) -> None:
    known = Distribution(decades(0, 3))
    known.add(np.array([*values, float("nan")]))
    figures = known.figures()
    assert sum(figures["bins"]) == figures["count"] == len(values)
    assert figures["p50"] == pytest.approx(np.median(values))


def test_failures_are_told_by_code_and_photo() -> None:
    failures = figures_of(RUN)["failed"]
    assert failures["photos"] == 3
    assert failures["codes"] == {"unreadable": 2, "timed_out": 1}
    assert failures["shown"][0] == {
        "frame": "f1",
        "path": "f1.jpg",
        "code": "unreadable",
        "text": "f1 is no image.",
    }


def test_the_slowest_photos_come_first() -> None:
    results = [replace(nothing_found(f"f{k}"), seconds=float(k % 30)) for k in range(60)]
    slowest = figures_of(results)["times"]["slowest"]
    assert [s["seconds"] for s in slowest][:4] == [29.0, 29.0, 28.0, 28.0]
    assert [s["frame"] for s in slowest][:2] == ["f29", "f59"]
    assert len(slowest) == 20


def test_the_times_of_a_run() -> None:
    # two workers at once for a minute, then half an hour of nothing, then one for 30 s
    done = [(1, 60.0), (1, 60.0), (40, 30.0)]
    frames = [
        replace(frame, processed_utc=f"2026-01-02T03:{minute:02d}:00Z")
        for (minute, _), frame in zip(
            done, stored([replace(nothing_found(), seconds=s) for _, s in done]), strict=True
        )
    ]
    times = collected_of(frames).figures["times"]
    assert times["total_seconds"] == pytest.approx(150.0)
    assert times["first_utc"] == "2026-01-02T03:01:00Z"
    assert times["last_utc"] == "2026-01-02T03:40:00Z"


def test_places_are_counted_where_photos_looked_else_where_they_were_taken() -> None:
    nadir = NadirInput(
        lon=-0.5, lat=-0.5, altitude_km=400.0, source="tle", sigma_along_km=1.0, sigma_cross_km=1.0
    )
    places = figures_of([accepted(), replace(nothing_found(), nadir=nadir), nothing_found()])
    cells = {(c["lon"], c["lat"]): c["verdicts"] for c in places["places"]["cells"]}
    assert places["places"]["photos"] == 2
    assert cells[136, 34]["accepted"] == 1  # the centre, 136.9, 35.7, in cells of two degrees
    assert cells[-2, -2]["no_match"] == 1


def test_an_empty_store_has_figures_too() -> None:
    figures = figures_of([])
    assert figures["photos"] == 0
    assert figures["reliability"]["expected_right"] == 0.0


def test_of_many_photos_each_verdict_keeps_its_share() -> None:
    results = [nothing_found(f"n{k}") for k in range(500)] + [accepted("a")] * 3
    known = collected(results, most_frames=20)
    assert known.figures["photos"] == 503
    verdicts = [result.verdict for result in known.frames]
    assert len(verdicts) <= 20
    assert verdicts.count("accepted") == 3
    assert verdicts.count("no_match") >= 10


def test_a_verdict_of_a_strange_store_does_no_harm() -> None:
    strange = replace(nothing_found(), verdict="<b>")  # type: ignore[arg-type]
    assert figures_of([strange])["photos"] == 1


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
    told = clock_offset(offsets.tolist(), zeros.tolist(), zeros.tolist())
    assert told["median_s"] == pytest.approx(20.0, abs=0.5)
    assert told["spread_s"] == pytest.approx(3.0, rel=0.12)


def test_photos_that_disagree_show_it() -> None:
    offsets = [0.0, 1.0, 2.0, 60.0]
    assert clock_offset(offsets, [1.0] * 4, [1.0] * 4)["agree"] == 0.75


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


@given(st.lists(st.integers()), st.integers(1, 20))
def test_thinning_keeps_order_and_bound(items: list[int], most: int) -> None:
    kept = thinned(items, most)
    assert len(kept) == min(most, len(items))
    assert kept[:1] == items[:1]


@given(st.dictionaries(st.text(), st.integers(0, 1000), min_size=1), st.integers(0, 2000))
def test_shares_are_fair(counts: dict[str, int], most: int) -> None:
    shares = fair_shares(counts, most)
    assert sum(shares.values()) == min(most, sum(counts.values()))
    cut = [name for name in counts if shares[name] < counts[name]]
    assert all(shares[name] >= max(shares.values()) - 1 for name in cut)
