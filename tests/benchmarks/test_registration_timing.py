"""Large simulated photographs are timed, with the truth that they were drawn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import registration
from benchmarks.registration import timing as registration_timing
from benchmarks.registration.scores import pixel_errors_px
from benchmarks.registration.timing import HEADER, elements_for, timing_row, truth_of
from benchmarks.simulate.camera import geodetic_of
from benchmarks.simulate.cases import Case, CaseSource, draw_case, town_source
from benchmarks.simulate.lamps import Realisation
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import (
    LightMapParameters,
    draw_light_map,
)
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.town_world import draw_town_world


@pytest.fixture(scope="module")
def source() -> CaseSource:
    region = Region(west=-160.0, south=30.0, size_deg=12.0)
    world = draw_town_world(3, region)
    light_map = draw_light_map(
        world, region.bounds, Realisation(number=1), LightMapParameters(step_deg=1.0 / 120.0)
    )
    return town_source(world, draw_town_world(4, region), light_map)


@pytest.fixture(scope="module")
def drawn(source: CaseSource) -> Case:
    return draw_case(5, kind="city", source=source, long_side_px=600)


def test_the_element_set_puts_the_station_as_told(drawn: Case) -> None:
    position, velocity = state_ecef(elements_for(drawn).satrec(), drawn.time_utc)
    lon, lat, height_m = (float(value) for value in geodetic_of(position))
    assert lon == pytest.approx(drawn.prior.lon, abs=0.01)
    assert lat == pytest.approx(drawn.prior.lat, abs=0.01)
    assert height_m / 1000.0 == pytest.approx(drawn.prior.altitude_km, abs=1.0)
    told = np.array(drawn.prior.velocity_ecef_m_s)
    cosine = velocity @ told / np.linalg.norm(velocity) / np.linalg.norm(told)
    assert np.degrees(np.arccos(cosine)) < 2.0


def test_the_simulated_truth_is_one(drawn: Case) -> None:
    truth = truth_of(drawn)
    assert truth.camera is not None
    assert truth.points is not None
    assert pixel_errors_px(truth.camera, truth.points).max() < 0.1


def test_large_photographs_are_timed(
    drawn: Case,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    asked = []

    def draw(seed: int, *, kind: str, long_side_px: int) -> Case:
        asked.append((seed, kind, long_side_px))
        return replace(drawn, seed=seed)

    monkeypatch.setattr(registration_timing, "draw_case", draw)
    monkeypatch.setattr(registration_timing, "SIZES_PX", {"small": 600})
    arguments = ["--timing", "--photos", "1", "--max-seconds", "4", "--out", str(tmp_path)]
    assert registration.main(arguments) == 0
    assert asked == [(1, "city", 600)]
    printed = capsys.readouterr().out
    (row,) = (line for line in printed.splitlines() if line.startswith("| small |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == len(HEADER)
    assert cells[4] in ("accepted", "review", "no_match")
    assert float(cells[7]) > 0.0
    assert len(list(tmp_path.glob("registration-timing-*.md"))) == 1


def test_a_photo_that_failed_has_a_row_too(drawn: Case) -> None:
    from benchmarks.registration.cases import Case as RealCase
    from benchmarks.registration.process import Outcome

    case = RealCase(name="x", file="x.jpg", photo=Path("x.jpg"))
    failed = Outcome(case=case, truth=truth_of(drawn), problem="the process died")
    assert timing_row("12 MP", drawn, failed)[-1] == "the process died"
