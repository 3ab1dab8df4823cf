"""What is published of GLM, ISS-LIS, clocks and element sets, on the agencies' own files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.lightning_match import CASES, pair_rows, real_flashes, try_clocks
from regengine.lightning.glm import LIGHT_M_S, read_glm
from regengine.lightning.lis import read_lis
from regengine.orbit import load_tle_file, track_positions

pytestmark = pytest.mark.real

CLOUD_M = 13_500.0
OFFSET_KM = (3.47, -2.05)  # GLM less ISS-LIS as both publish their places


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    if not (real_data / "lightning").is_dir():
        pytest.skip(f"no lightning in {real_data}")
    return real_data / "lightning"


def test_groups_of_both_instruments_are_the_same_light(folder: Path) -> None:
    glm = read_glm(next(folder.glob("*_s2020236*.nc")), CLOUD_M)
    count, rows = pair_rows(glm, read_lis(next(folder.glob("ISS_LIS_*.nc")), CLOUD_M))
    within_ms, matched, east_km, north_km, _, _, by_chance = map(str, rows[3])
    assert (within_ms, count) == ("10", 23)
    assert int(matched) >= 20
    assert np.hypot(float(east_km) - OFFSET_KM[0], float(north_km) - OFFSET_KM[1]) < 1.0
    assert float(by_chance) < 0.1


def test_the_way_of_light_is_what_glm_itself_takes_off(folder: Path) -> None:
    """Newer files tell arrival at the satellite, too."""
    path = next(folder.glob("*_s2020236*.nc"))
    glm = read_glm(path, CLOUD_M)
    with h5py.File(path) as file:
        arrival, left = (
            file[f"group_{name}time_offset"][...].view("<u2") * 0.00038147
            for name in ("frame_", "")
        )
        turn = np.radians(float(file["nominal_satellite_subpoint_lon"][()]))
    satellite = 42_164_160.0 * np.array([np.cos(turn), np.sin(turn), 0.0])
    path_s = np.linalg.norm(glm.pulses.position_ecef_m - satellite, axis=1) / LIGHT_M_S
    late_s = arrival - left - path_s
    assert np.std(late_s) < 2e-4
    assert 0.0 < np.mean(late_s) < 2e-3  # half a frame of 2 ms


def test_older_files_are_read_as_newer_ones(folder: Path) -> None:
    for path in folder.glob("OR_GLM*.nc"):
        read = read_glm(path, CLOUD_M)
        after_s = read.pulses.time_s - read.spans_s[0, 0]
        assert -2.0 < after_s.min() < after_s.max() < 20.0
        assert 100.0 < np.median(read.pulses.area_km2) < 200.0
        assert np.ptp(read.spans_s) == pytest.approx(20.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1/30 s, 8 flashes", "1 s, 8 flashes"])
def test_eight_flashes_tell_the_clock(folder: Path, name: str) -> None:
    flashes = real_flashes(sorted(folder.glob("*_s2018183*.nc")))
    (case,) = (one for one in CASES if one.name == name)
    found = try_clocks(flashes, case, trials=20, seed=71)
    assert np.mean([error <= 0.3 for error, _ in found]) >= 0.95
    for error, clock in found:
        if clock.is_sure:
            assert error <= max(0.3, 3.0 * clock.sigma_s)
    assert np.mean([clock.is_sure for _, clock in found]) > 0.8


def test_fresh_element_sets_have_the_station_within_a_kilometre(folder: Path) -> None:
    """Nine in ten sets of the half day after the record, which their neighbours bear out."""
    with h5py.File(next(folder.glob("ISS_LIS_*.nc"))) as file:
        sound = file["one_second_ephemeris_quality_flag"][()] == 0
        told_s = file["one_second_TAI93_time"][()][sound] - 10.0  # leap seconds from 1993 to 2017
        told_m = file["one_second_position_vector"][()][sound]
    begin = datetime(1993, 1, 1, tzinfo=UTC) + timedelta(seconds=told_s[0])
    middle = begin + timedelta(seconds=float(np.ptp(told_s)) / 2.0)
    tles = load_tle_file(folder.parent / "orbit" / "iss_tles_dense.txt")
    off_m = [
        np.linalg.norm(track_positions(tles[row], begin, told_s - told_s[0], 0.0) - told_m, axis=1)
        for row in range(len(tles.epoch_days))
        if -12.0 < tles[row].age_h(middle) <= 0.0 and tles.disagreement(row) is None
    ]
    assert np.quantile(np.sqrt(np.mean(np.square(off_m), axis=1)), 0.9) < 1000.0
