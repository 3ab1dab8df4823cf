"""What is published of GLM, ISS-LIS, clocks and element sets, on the agencies' own files.

The storm of a time-lapse is made of real flashes of GLM, each with all its pulses, put at random
times near their places; its photos are drawn as times and places alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.geometry.earth import ecef_to_geodetic, local_axes
from regengine.lightning import clock, match, pulses
from regengine.orbit import load_tle_file, track_positions

pytestmark = pytest.mark.real
FloatArray = NDArray[np.float64]

CLOUD_M = 13_500.0
OFFSET_KM = (3.47, -2.05)  # GLM less ISS-LIS as both publish their places
BOX = (-63.0, -53.0, -38.0, -28.0)  # west, east, south, north of the storm of 2018-07-02
SERIES_S = (-160.0, 400.0)
EVERY_S, FRAMES, FLASHES = 2.0, 100, 8
UNSEEN, FALSE = 0.3, 0.05  # share that the photos' detector misses; false ones a frame
PLACE_KM, SYSTEMATIC_KM, NEAR_KM = 4.0, 4.0, 15.0  # one sigma along each axis
JITTER_S, WIDEST_S, RIGHT_S = 0.02, 120.0, 0.3


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    if not (real_data / "lightning").is_dir():
        pytest.skip(f"no lightning in {real_data}")
    return real_data / "lightning"


def test_groups_of_both_instruments_are_the_same_light(folder: Path) -> None:
    """Within 10 ms and 25 km; by chance hardly any would be as near."""
    groups = pulses.read_glm(next(folder.glob("*_s2020236*.nc")), CLOUD_M)
    seen = pulses.read_lis(next(folder.glob("ISS_LIS_*.nc")), CLOUD_M).pulses
    start_s, end_s = groups.spans_s[0]
    seen = seen.select((seen.time_s >= start_s) & (seen.time_s <= end_s))
    assert len(seen.time_s) == 23
    at = match.Sightings(
        start_s=seen.time_s, end_s=seen.time_s, position_ecef_m=seen.position_ecef_m
    )
    found = match.match(at, groups, 0.01)
    paired = found.select(found.pulse >= 0)
    assert len(paired.pulse) >= 20
    off_km = np.median(paired.east_km), np.median(paired.north_km)
    assert np.hypot(*np.subtract(off_km, OFFSET_KM)) < 1.0
    assert paired.chance.sum() < 0.1


def test_the_way_of_light_is_what_glm_itself_takes_off(folder: Path) -> None:
    """Newer files tell arrival at the satellite, too."""
    path = next(folder.glob("*_s2020236*.nc"))
    groups = pulses.read_glm(path, CLOUD_M)
    with h5py.File(path) as file:
        arrival, left = (
            file[f"group_{name}time_offset"][...].view("<u2") * 0.00038147
            for name in ("frame_", "")
        )
        turn = np.radians(float(file["nominal_satellite_subpoint_lon"][()]))
    satellite = 42_164_160.0 * np.array([np.cos(turn), np.sin(turn), 0.0])
    path_s = np.linalg.norm(groups.pulses.position_ecef_m - satellite, axis=1) / pulses.LIGHT_M_S
    late_s = arrival - left - path_s
    assert np.std(late_s) < 2e-4
    assert 0.0 < np.mean(late_s) < 2e-3  # half a frame of 2 ms


def test_older_files_are_read_as_newer_ones(folder: Path) -> None:
    for path in folder.glob("OR_GLM*.nc"):
        read = pulses.read_glm(path, CLOUD_M)
        after_s = read.pulses.time_s - read.spans_s[0, 0]
        assert -2.0 < after_s.min() < after_s.max() < 20.0
        assert 100.0 < np.median(read.pulses.area_km2) < 200.0
        assert np.ptp(read.spans_s) == pytest.approx(20.0)


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


@pytest.mark.slow
@pytest.mark.parametrize("exposure_s", [1.0 / 30.0, 1.0])
def test_eight_flashes_tell_the_clock(folder: Path, exposure_s: float) -> None:
    flashes = real_flashes(sorted(folder.glob("*_s2018183*.nc")))
    found = try_clocks(flashes, exposure_s, trials=20, seed=71)
    assert np.mean([error <= RIGHT_S for error, _ in found]) >= 0.95
    for error, told in found:
        if told.is_sure:
            assert error <= max(RIGHT_S, 3.0 * told.sigma_s)
    assert np.mean([told.is_sure for _, told in found]) > 0.8


def real_flashes(files: list[Path]) -> list[pulses.Pulses]:
    """Flashes of GLM within the box, each with its pulses, the first at time 0."""
    found = []
    for file in files:
        every = pulses.read_glm(file, CLOUD_M).pulses
        lon, lat, _ = ecef_to_geodetic(every.position_ecef_m)
        west, east, south, north = BOX
        inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
        for flash in np.unique(every.flash[inside]):
            one = every.select(inside & (every.flash == flash))
            found.append(replace(one, time_s=one.time_s - one.time_s.min()))
    return found


def try_clocks(
    flashes: list[pulses.Pulses], exposure_s: float, trials: int, seed: int
) -> list[tuple[float, clock.Clock]]:
    """Errors of the offsets that are told, seconds, and all that is told."""
    found = []
    for k in range(trials):
        rng = np.random.default_rng([seed, k])
        storm = draw_storm(flashes, rng)
        offset_s = rng.uniform(-WIDEST_S, WIDEST_S)
        sightings, frames_s = photograph(storm, exposure_s, offset_s, rng)
        if len(sightings.start_s) == FLASHES:
            params = clock.ClockParams(shuffles=1)
            told = clock.find_clock(sightings, frames_s, storm, 1.5 * JITTER_S, params)
            assert told is not None
            found.append((abs(told.offset_s - offset_s), told))
    return found


def draw_storm(flashes: list[pulses.Pulses], rng: np.random.Generator) -> pulses.Pulses:
    """Pulses of a storm by time, a flash a second, in flashes that are numbered anew."""
    first, last = SERIES_S
    drawn = rng.integers(len(flashes), size=rng.poisson(last - first))
    number = np.repeat(np.arange(len(drawn)), [len(flashes[k].time_s) for k in drawn])
    storm = pulses.Pulses.joined([flashes[k] for k in drawn])
    begun_s = rng.uniform(first, last, len(drawn))
    moved_km = NEAR_KM * rng.standard_normal((len(drawn), 2))
    storm = replace(
        storm,
        time_s=storm.time_s + begun_s[number],
        position_ecef_m=move(storm.position_ecef_m, moved_km[number]),
        flash=number,
    )
    return storm.select(np.argsort(storm.time_s, kind="stable"))


def move(position_ecef_m: FloatArray, east_north_km: FloatArray) -> FloatArray:
    """Places moved along the ground: by the same (2,), or each by its own (n, 2)."""
    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    steps = np.broadcast_to(east_north_km, (len(position_ecef_m), 2))
    return position_ecef_m + 1e3 * np.einsum("ni,nij->nj", steps, local_axes(lon, lat)[:, :2])


def photograph(
    storm: pulses.Pulses, exposure_s: float, offset_s: float, rng: np.random.Generator
) -> tuple[match.Sightings, FloatArray]:
    """Flashes that a time-lapse shows, by a clock to which an offset has to be added."""
    begun_s = EVERY_S * np.arange(FRAMES)
    stamped_s = begun_s - offset_s + JITTER_S * rng.standard_normal(FRAMES)
    faint_km2 = np.median(storm.area_km2)
    frames, places = [], []
    for k, begin_s in enumerate(begun_s):
        low, high = np.searchsorted(storm.time_s, [begin_s, begin_s + exposure_s])
        lit = storm.select(np.arange(low, high))
        for flash in np.unique(lit.flash):
            one = lit.select(lit.flash == flash)
            if one.area_km2.sum() > faint_km2 and rng.random() > UNSEEN:
                frames.append(k)
                places.append(np.average(one.position_ecef_m, axis=0, weights=one.area_km2))
        for _ in range(rng.poisson(FALSE)):
            anywhere = storm.position_ecef_m[rng.integers(len(storm.time_s))][None]
            frames.append(k)
            places.append(move(anywhere, NEAR_KM * rng.standard_normal(2))[0])
    order = rng.permutation(len(frames))[:FLASHES]
    noise_km = PLACE_KM * rng.standard_normal((len(order), 2))
    noise_km += SYSTEMATIC_KM * rng.standard_normal(2)
    start_s = stamped_s[np.array(frames, int)[order]]
    seen = move(np.array(places)[order], noise_km)
    return match.Sightings(
        start_s=start_s, end_s=start_s + exposure_s, position_ecef_m=seen
    ), stamped_s
