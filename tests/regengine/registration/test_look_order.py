"""The order of looks on real orbits: figures before pictures, hours late, nothing by day."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchers.sparse import SparseParameters
from regengine.orbit.propagation import CameraPosition, position_from_elements
from regengine.orbit.tle import load_tle_file
from regengine.orbit.uncertainty import CLOCK_CORE_SIGMA_S, slide_belief
from regengine.registration.candidates import Look
from regengine.registration.lens_prior import LADDER_LENSES_MM, LENS_LADDER, sparse_scales
from regengine.registration.search_order import (
    FAR_STEP_RATIO,
    LEAST_FIGURES_STEP_KM,
    MOST_SURPRISE,
    STEP_LIMITS_KM,
    night_offsets,
    offset_surprise,
    offsets_outward,
)
from regengine.registration.tracks import NIGHT_SUN_DEG, Track, tracks_for
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.made_search import made_search, planned_looks
from tests.tle_lines import Elements

TIME = datetime(2016, 5, 1, 13, tzinfo=UTC)
STORED = camera_over(0.0, 0.0, width=1000, height=667, focal_px=1400.0)
ALTITUDE_KM = 410.0
HOUR_S = 3600.0
# How far a ladder's step reaches, so far is the focal length found by figures of towns
REACH_LOG = SparseParameters().log_size_tolerance


@pytest.fixture(scope="module")
def position(tmp_path_factory: pytest.TempPathFactory) -> CameraPosition:
    """A fresh element set, by night, 20 minutes of flight from the terminator."""
    path: Path = tmp_path_factory.mktemp("tle") / "iss.txt"
    path.write_text(Elements(anomaly_deg=180.0).text(), encoding="utf-8")
    believed = position_from_elements(load_tle_file(path).best_for(TIME), TIME)
    return replace(believed, sigma_along_km=5.0)


def looks(tracks: tuple[Track, ...], *, focal_known: bool = True) -> list[Look]:
    return planned_looks(made_search(STORED, tracks=tuple(tracks), focal_known=focal_known))


@pytest.fixture(scope="module")
def unbounded(position: CameraPosition) -> list[Look]:
    """What is tried where no window is told, by orbit and clock alone."""
    tracks = tracks_for(position, None)
    return looks(tuple(replace(t, place_surprise=lambda km: np.zeros(len(km))) for t in tracks))


@pytest.fixture(scope="module")
def unknown_lens(position: CameraPosition) -> list[Look]:
    return looks(tracks_for(position, 120.0), focal_known=False)


def seen_by(look: Look) -> tuple[object, ...]:
    """When, at what scale and on which image; not how, nor from where."""
    return look.clock_s, look.scale, look.mirrored, look.hazy


@pytest.mark.parametrize("plan_of", ["unbounded", "unknown_lens"])
def test_figures_come_before_pictures(plan_of: str, request: pytest.FixtureRequest) -> None:
    """Around one place, at one scale and image; they are as good and faster."""
    found: list[Look] = request.getfixturevalue(plan_of)
    by_figures: dict[tuple[object, ...], list[tuple[int, float]]] = {}
    for number, look in enumerate(found):
        if look.sparse and look.ladder[0] == 1.0:
            by_figures.setdefault(seen_by(look), []).append((number, look.offset_km))
    held = 0
    for number, look in enumerate(found):
        if not look.sparse and seen_by(look) in by_figures:
            numbers, offsets = np.array(by_figures[seen_by(look)]).T
            near = numbers[np.abs(offsets - look.offset_km) <= 0.5 * LEAST_FIGURES_STEP_KM]
            held += near.size > 0
            assert not near.size or near.min() < number
    assert held > 0.1 * sum(not look.sparse for look in found)
    assert found[0].sparse


def plain(found: list[Look], clock_s: float) -> list[Look]:
    """Looks by figures at the told focal length, as the picture is, on one track."""
    return [
        look
        for look in found
        if look.sparse
        and look.ladder == (1.0,)
        and not (look.mirrored or look.hazy)
        and look.clock_s == clock_s
    ]


def test_a_wrong_hour_comes_after_what_is_usual_of_clocks(
    position: CameraPosition, unbounded: list[Look]
) -> None:
    """Three sigma of a clock first; the ends of ten minutes come later than the first hours."""
    usual_km = 3.0 * CLOCK_CORE_SIGMA_S * 7.67
    hour = min(n for n, look in enumerate(unbounded) if look.clock_s != 0.0)
    believed = [look for look in plain(unbounded, 0.0) if abs(look.offset_km) < usual_km]
    assert len(believed) >= 3
    assert max(unbounded.index(look) for look in believed) < hour
    assert abs(unbounded[hour].clock_s) == HOUR_S
    farthest = max(plain(unbounded, 0.0), key=lambda look: abs(look.offset_km))
    assert unbounded.index(farthest) > hour
    # Nearer hours sooner, each begun where it has the camera, if it is night there
    dark = {t.clock_s for t in tracks_for(position, None) if t.may_be_night(np.zeros(1)).all()}
    began: dict[float, Look] = {}
    for look in unbounded:
        if look.clock_s in dark:
            began.setdefault(look.clock_s, look)
    assert len(began) > 5
    assert all(abs(look.offset_km) < 500.0 for look in began.values())
    hours = [abs(clock_s) for clock_s in began]
    assert hours == sorted(hours)


def test_all_that_is_within_reach_is_looked_at(
    position: CameraPosition, unbounded: list[Look]
) -> None:
    """Ten minutes of clock about the told time, two about every other hour, where it is night.

    And what the element set may err by, as far as it is not too unlikely.
    """
    step = LEAST_FIGURES_STEP_KM
    tried = {look.clock_s for look in unbounded}
    tracks = tracks_for(position, None)
    for track in tracks:
        places = np.linspace(-track.reach_km, track.reach_km, 121)
        dark = places[track.may_be_night(places - step) & track.may_be_night(places + step)]
        dark = dark[offset_surprise(dark, track, step) < MOST_SURPRISE - 1.0]
        if not dark.size:
            continue
        assert track.clock_s in tried
        offsets = np.array([look.offset_km for look in plain(unbounded, track.clock_s)])
        assert np.abs(dark[:, None] - offsets).min(axis=1).max() <= 0.5 * step + 1e-6
        reach_km = max(t.reach_km for t in tracks if t.clock_s == track.clock_s)
        assert np.abs(offsets).max() < reach_km + step
    here = np.array([look.offset_km for look in plain(unbounded, 0.0)])
    assert np.abs(here).max() / 7.66 > 550.0  # seconds
    away = [look.offset_km for look in unbounded if look.clock_s != 0.0]
    slide_km = slide_belief(position.sigma_along_km, before=True).reach_km
    assert np.abs(away).max() / 7.66 < 120.0 + (slide_km + step) / 7.66


@pytest.mark.parametrize("window_s", [0.0, 30.0, 120.0, 600.0])
def test_a_window_that_is_told_leaves_out_the_hours(
    position: CameraPosition, window_s: float
) -> None:
    tracks = tracks_for(position, window_s)
    found = looks(tracks)
    assert {look.clock_s for look in found} == {0.0}
    slide_km = slide_belief(position.sigma_along_km, before=True).reach_km
    reach_km = window_s * 7.68 + slide_km
    widest = STEP_LIMITS_KM[1] * FAR_STEP_RATIO  # a look serves half a step to both sides
    assert max(abs(look.offset_km) for look in found) <= reach_km + 0.5 * widest


@given(focal_mm=st.floats(16.0, 800.0))
def test_the_ladders_of_an_unknown_lens_leave_no_gap(focal_mm: float) -> None:
    tried = [85.0 * s.ratio / step for s in sparse_scales(False, False) for step in s.ladder]
    assert min(abs(math.log(focal_mm / lens)) for lens in tried) <= REACH_LOG


@given(wrong=st.floats(0.6, 3.2))
def test_the_ladder_of_crops_leaves_no_gap(wrong: float) -> None:
    """Focal length over the told one: crops to a third are longer, converters make it shorter."""
    tried = [s.ratio / step for s in sparse_scales(True, False) for step in s.ladder]
    assert min(abs(math.log(wrong / ratio)) for ratio in tried) <= REACH_LOG


def test_an_unknown_lens_is_tried_from_the_likeliest_on(unknown_lens: list[Look]) -> None:
    order = []
    for look in unknown_lens:
        if look.sparse and look.scale not in order:
            order.append(look.scale)
    tried = [85.0 * scale for scale in order]
    assert sorted(tried) == pytest.approx(sorted(LADDER_LENSES_MM))
    assert tried[0] == pytest.approx(LADDER_LENSES_MM[0])
    # Long lenses need fewer places, each of which is likelier to be the one
    short = [lens for lens in LADDER_LENSES_MM if lens < 60.0]
    assert [lens for lens in tried if lens < 60.0] == pytest.approx(short)
    assert {look.ladder for look in unknown_lens if look.sparse} == {LENS_LADDER}


def sun_elevation_deg(track: Track, offsets_km: list[float]) -> NDArray[np.float64]:
    """Of the Sun above the horizontal below the camera, by astropy, at the track's time."""
    from astropy.coordinates import ITRS, get_sun
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        when = Time(TIME + timedelta(seconds=track.clock_s))
        sun = get_sun(when).transform_to(ITRS(obstime=when)).cartesian.xyz.value
    there = np.array([track.position(offset) for offset in offsets_km])
    up = there / np.linalg.norm(there, axis=1, keepdims=True)
    return np.asarray(np.degrees(np.arcsin(up @ (sun / np.linalg.norm(sun)))))


@pytest.mark.parametrize("hours", [0, 1, -2, 5])
def test_what_is_left_out_lies_in_daylight(position: CameraPosition, hours: int) -> None:
    """Twenty minutes of flight either way, judged by astropy's Sun."""
    stale = replace(position, sigma_along_km=3000.0)
    track = next(t for t in tracks_for(stale, None) if t.clock_s == HOUR_S * hours)
    every, kept = offsets_outward(track.reach_km, 200.0), night_offsets(track, 200.0)
    assert [offset for offset in every if offset in kept] == kept
    left_out = [offset for offset in every if offset not in kept]
    assert kept
    assert left_out
    assert sun_elevation_deg(track, kept).max() < NIGHT_SUN_DEG + 0.05
    assert sun_elevation_deg(track, left_out).min() > NIGHT_SUN_DEG - 0.05


def test_no_look_is_taken_by_day(position: CameraPosition, unbounded: list[Look]) -> None:
    by_hour = {track.clock_s: track for track in tracks_for(position, None)}
    for clock_s, track in by_hour.items():
        offsets = [look.offset_km for look in unbounded if look.clock_s == clock_s]
        if offsets:
            assert sun_elevation_deg(track, offsets).max() < NIGHT_SUN_DEG + 0.05
    tried = {look.clock_s for look in unbounded}
    # Half an orbit of day and a turning Earth: some hours have the whole window in daylight
    assert 0 < len(set(by_hour) - tried) < len(by_hour) - 1
