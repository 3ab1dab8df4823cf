"""The order of the search: likely things first, nothing within reach left out, nothing by day."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.sparse import SparseParameters
from regengine.orbit.propagation import CameraPosition, position_from_elements, position_from_nadir
from regengine.orbit.tle import load_tle_file
from regengine.orbit.uncertainty import CLOCK_CORE_SIGMA_S, slide_belief
from regengine.registration.candidates import Look
from regengine.registration.lens_prior import (
    LADDER_LENSES_MM,
    LENS_LADDER,
    SIGMA_LOG_FOCAL_CROPPED,
    Scale,
    lens_scales,
)
from regengine.registration.lit_ground_prior import LEAST_PLACE_SURPRISE
from regengine.registration.search_order import (
    BETWEEN_SURPRISE,
    FAR_OFF_NADIR_DEG,
    FAR_STEP_RATIO,
    FAR_SURPRISE,
    HAZY_SURPRISE,
    LEAST_FIGURES_STEP_KM,
    MIRROR_SURPRISE,
    MOST_SURPRISE,
    STEP_LIMITS_KM,
    likely_offsets,
    method_surprise,
    night_offsets,
    offset_surprise,
    offsets_outward,
    plan,
    step_km,
)
from regengine.registration.tracks import NIGHT_SUN_DEG, Track, tracks_for
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.beliefs import bell
from tests.regengine.registration.made_search import made_search, planned_looks
from tests.tle_lines import Elements


def straight_track(name: str, reach_km: float, sigma_km: float) -> Track:
    """A track along the equator."""
    return Track(
        position=lambda km: 6.788e6 * np.array([np.cos(km / 6788.0), np.sin(km / 6788.0), 0.0]),
        velocity=lambda km: np.array([-np.sin(km / 6788.0), np.cos(km / 6788.0), 0.0]),
        sigma_along_km=sigma_km,
        belief=bell(sigma_km, reach_km),
        sigma_across_km=lambda _: 5.0,
        sigma_up_km=1.0,
        speed_km_s=7.66,
    )


def stored(focal_px: float = 1400.0) -> Camera:
    return camera_over(0.0, 0.0, width=1000, height=667, focal_px=focal_px)


@given(reach=st.floats(0.0, 5000.0), step=st.floats(50.0, 400.0))
def test_offsets_cover_the_reach_from_the_middle_outward(reach: float, step: float) -> None:
    offsets = offsets_outward(reach, step)
    assert offsets[0] == 0.0
    sizes = np.abs(offsets)
    assert (np.diff(sizes) >= 0.0).all()
    places = np.linspace(-reach, reach, 201)
    nearest = np.abs(places[:, None] - np.array(offsets)).min(axis=1)
    assert nearest.max() <= 0.5 * step + 1e-6
    assert sizes.max() < reach + step
    assert len(set(offsets)) == len(offsets)


def test_figures_are_sought_half_way_once_they_failed_on_either_side() -> None:
    found = [look for look in looks() if kind_of(look) == (True, 1.0, (1.0,), False, False, False)]
    offsets = [look.offset_km for look in found]
    for offset in (80.0, -80.0, 240.0):
        assert offsets.index(offset) > offsets.index(offset - 80.0)
        assert offsets.index(offset) > offsets.index(offset + 80.0)
    assert not any(is_between(look) for look in looks() if look.mirrored or look.hazy)


def planned(camera: Camera, *tracks: Track, **settings: bool) -> list[Look]:
    return planned_looks(made_search(camera, tracks=tracks, **settings))


def looks(**settings: bool) -> list[Look]:
    return planned(stored(), straight_track("tle", 900.0, 300.0), **settings)


Kind = tuple[bool, float, tuple[float, ...], bool, bool, bool]


def kind_of(look: Look) -> Kind:
    far = look.off_nadir_deg[0] > 0.0
    return look.sparse, look.scale, look.ladder, look.mirrored, far, look.hazy


def dense(found: list[Look]) -> list[Look]:
    return [look for look in found if not look.sparse]


def test_the_likeliest_look_comes_first() -> None:
    """By figures of towns: cheap, and at all tilts."""
    first = looks()[0]
    assert first.sparse
    assert first.offset_km == 0.0
    assert (first.scale, first.ladder) == (1.0, (1.0,))
    assert not first.mirrored
    assert not first.hazy
    assert first.off_nadir_deg == (0.0, 90.0)
    pictures = dense(looks())[0]
    assert pictures.offset_km == 0.0
    assert pictures.scale == 1.0
    assert pictures.off_nadir_deg == (0.0, FAR_OFF_NADIR_DEG)


def surprise_of(look: Look, scales: dict[tuple[float, tuple[float, ...]], Scale]) -> float:
    return (
        scales[look.scale, look.ladder].surprise
        + MIRROR_SURPRISE * look.mirrored
        + FAR_SURPRISE * (look.off_nadir_deg[0] > 0.0)
        + HAZY_SURPRISE * look.hazy
        + method_surprise(stored(look.prior.focal_px), look.sparse)
        + BETWEEN_SURPRISE * is_between(look)
    )


def is_between(look: Look) -> bool:
    """Half way between the places that begin at offset 0."""
    return look.offset_km / spacing_of(look) % 1.0 == 0.5


def spacing_of(look: Look) -> float:
    if look.sparse and not look.flat:
        return max(step_km(stored(1400.0 * look.scale), 410.0), LEAST_FIGURES_STEP_KM)
    spacing = step_km(stored(1400.0 * look.scale), 410.0)
    wide_far = look.off_nadir_deg[0] > 0.0 and not look.flat
    return spacing * FAR_STEP_RATIO if wide_far else spacing


def surprise_of_place(look: Look, track: Track) -> float:
    return float(offset_surprise(look.offset_km, track, spacing_of(look)))


@pytest.mark.parametrize("focal_known", [True, False])
def test_surprise_never_falls_and_has_an_end(focal_known: bool) -> None:
    track = straight_track("tle", 900.0, 300.0)
    both = [*lens_scales(False, focal_known, False), *lens_scales(True, focal_known, False)]
    by_ratio = {(scale.ratio, scale.ladder): scale for scale in both}
    surprise = [
        surprise_of(look, by_ratio) + surprise_of_place(look, track)
        for look in looks(focal_known=focal_known)
    ]
    assert surprise == pytest.approx(sorted(surprise))
    assert max(surprise) < MOST_SURPRISE


@pytest.mark.parametrize("sparse", [True, False])
def test_a_track_that_light_and_dark_speak_for_comes_as_early_as_it_should(sparse: bool) -> None:
    track = straight_track("tle", 900.0, 300.0)
    lit = replace(track, surprise=2.0, place_surprise=lambda km: LEAST_PLACE_SURPRISE + 0.0 * km)
    places = [place for place, _ in plan(made_search(stored(), tracks=(track, lit)), sparse)]
    assert places == sorted(places)
    assert places[0][1] == 1  # -0.1 together


def test_far_places_on_the_track_are_more_surprising() -> None:
    track = straight_track("tle", 900.0, 300.0)
    near, far, left, beyond = offset_surprise([60.0, 400.0, -400.0, 2000.0], track, 120.0)
    assert near < far < beyond
    assert left == pytest.approx(far)
    # The normal distribution's share between 0 and 0.4 sigma
    assert near == pytest.approx(-np.log(0.15542), abs=1e-3)
    # A stretch twice as long is likelier, an unlikely track less likely
    assert offset_surprise(400.0, track, 240.0) < far
    other = replace(track, surprise=4.5)
    assert offset_surprise(400.0, other, 120.0) == pytest.approx(far + 4.5)


def test_the_side_on_which_the_station_is_likelier_comes_first() -> None:
    """Reboosts leave it behind its element set."""
    behind = slide_belief(600.0, before=True)
    track = replace(straight_track("tle", 900.0, 300.0), belief=behind)
    order = [o for o, _ in likely_offsets(track, 200.0)]
    assert order[0] == 0.0
    assert order.index(-2000.0) < order.index(2000.0)
    assert order.index(-2000.0) < order.index(1200.0)
    assert sorted(order) == sorted(night_offsets(track, 200.0))


def test_every_kind_of_look_covers_the_whole_reach() -> None:
    """Figures and pictures, near and far, sharp and hazy, as it is and mirrored, at every scale."""
    found = sorted(looks(), key=kind_of)
    kinds = {kind: list(group) for kind, group in groupby(found, key=kind_of)}
    pictures, figures = len(lens_scales(False, True, False)), len(lens_scales(True, True, False))
    assert len(kinds) == (2 * pictures + figures) * 2 * 2
    track = straight_track("tle", 900.0, 300.0)
    both = [*lens_scales(False, True, False), *lens_scales(True, True, False)]
    by_ratio = {(s.ratio, s.ladder): s for s in both}
    for group in kinds.values():
        spacing = spacing_of(group[0])
        places = np.linspace(-900.0, 900.0, 301)
        # unless it is too unlikely to be looked at
        left = MOST_SURPRISE - surprise_of(group[0], by_ratio)
        limits = offset_surprise(np.abs(places) + spacing, track, spacing) < left
        places = places[limits]
        nearest = np.abs(places[:, None] - [look.offset_km for look in group]).min(axis=1)
        assert nearest.max() <= 0.5 * spacing + 1e-6
        # and the fit may slide from one look to the next
        assert group[0].prior.sigma_along_m >= 0.5e3 * min(spacing, 300.0)


def test_long_lenses_are_sought_by_flat_pictures_at_every_step() -> None:
    track = straight_track("tle", 900.0, 300.0)
    found = planned(stored(11_000.0), track)
    assert not found[0].sparse
    assert all(look.flat and not look.hazy for look in found if look.scale >= 1.0)
    for far in (False, True):
        same = [
            look
            for look in dense(found)
            if kind_of(look) == (False, 1.0, (1.0,), False, far, False)
        ]
        assert sorted(look.offset_km for look in same) == [-800.0 + 200.0 * k for k in range(9)]
    # Figures are not given up, and come before pictures where lenses are shorter
    assert any(look.sparse for look in found)
    shorter = planned(stored(6000.0), track)
    assert all(look.sparse and look.flat for look in shorter[:3])
    near = replace(shorter[0], sparse=False, thorough=False, off_nadir_deg=(0.0, FAR_OFF_NADIR_DEG))
    places = [look.offset_km for look in shorter[: shorter.index(near)] if look.sparse]
    assert len(places) > 3
    assert not any(look.flat for look in looks() if look.scale < 1.9)


def test_looks_start_where_they_say() -> None:
    track = straight_track("tle", 900.0, 300.0)
    for look in looks()[:20]:
        assert look.prior.position_ecef_m == pytest.approx(track.position(look.offset_km))
        assert look.prior.focal_px == pytest.approx(1400.0 * look.scale)
        assert look.speed_km_s == 7.66
    # Near and far pictures leave no gap
    bounds = {look.off_nadir_deg for look in dense(looks())}
    assert bounds == {(0.0, FAR_OFF_NADIR_DEG), (FAR_OFF_NADIR_DEG, 90.0)}


def test_two_tracks_share_their_start() -> None:
    tracks = tracks_for(position_from_nadir(10.0, 40.0, 410.0, "option"), 120.0)
    found = planned(stored(), *tracks)
    plain = [look for look in found if kind_of(look) == kind_of(found[0])]
    starts = [look for look in plain if look.offset_km == 0.0]
    assert len(starts) == 1
    away = [look for look in plain if look.offset_km != 0.0]
    assert len(away) % 2 == 0
    places = {tuple(np.round(look.prior.position_ecef_m)) for look in plain}
    assert len(places) == len(plain)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_crop_is_less_surprising_where_the_shape_speaks_for_it(sparse: bool) -> None:
    usual, cropped = lens_scales(sparse, True, False), lens_scales(sparse, True, True)
    assert [(s.ratio, s.ladder) for s in usual] == [(s.ratio, s.ladder) for s in cropped]
    assert (usual[0].ratio, usual[0].ladder) == (1.0, (1.0,))
    assert usual[0].surprise == cropped[0].surprise == 0.0
    assert all(c.surprise < u.surprise for c, u in zip(cropped[1:], usual[1:], strict=True))
    # Edited copies: 1.28 and 1.4 times seen. A ladder's steps divide the focal length
    tried = [s.ratio / step for s in usual[1:] for step in s.ladder]
    for seen in (1.28, 1.4):
        assert min(abs(np.log(ratio / seen)) for ratio in tried) < 0.12
    assert all(s.sigma_log_focal == SIGMA_LOG_FOCAL_CROPPED for s in usual[1:])


def test_the_lens_axis_may_be_anywhere_in_a_crop_alone() -> None:
    for look in looks():
        nominal = look.scale == 1.0 and look.ladder == (1.0,)
        assert (look.prior.sigma_principal_px == 0.0) == nominal
        assert look.prior.principal_point == (499.5, 333.0)
    assert all(look.prior.sigma_principal_px > 0.0 for look in looks(may_be_cropped=True))


def test_an_unknown_lens_may_be_any_usual_one() -> None:
    found = lens_scales(False, False, False)
    in_mm = sorted(85.0 * s.ratio / step for s in found for step in s.ladder)
    assert in_mm[0] <= 24.0
    assert in_mm[-1] >= 400.0
    surprise = [s.surprise for s in found]
    assert surprise == sorted(surprise)
    # Neighbouring lenses overlap within three sigma
    steps = np.diff(np.log(in_mm))
    assert steps.max() <= 6.0 * min(s.sigma_log_focal for s in found)


@given(focal=st.floats(200.0, 20_000.0))
def test_wide_lenses_need_closer_positions(focal: float) -> None:
    step = step_km(stored(focal), 410.0)
    assert STEP_LIMITS_KM[0] <= step <= STEP_LIMITS_KM[1]
    assert step <= step_km(stored(1.2 * focal), 410.0)


TIME = datetime(2016, 5, 1, 13, tzinfo=UTC)
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


@pytest.fixture(scope="module")
def unbounded(position: CameraPosition) -> list[Look]:
    """What is tried where no window is told, by orbit and clock alone."""
    tracks = tracks_for(position, None)
    return planned(
        stored(), *(replace(t, place_surprise=lambda km: np.zeros(len(km))) for t in tracks)
    )


@pytest.fixture(scope="module")
def unknown_lens(position: CameraPosition) -> list[Look]:
    return planned(stored(), *tracks_for(position, 120.0), focal_known=False)


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
    found = planned(stored(), *tracks_for(position, window_s))
    assert {look.clock_s for look in found} == {0.0}
    slide_km = slide_belief(position.sigma_along_km, before=True).reach_km
    reach_km = window_s * 7.68 + slide_km
    widest = STEP_LIMITS_KM[1] * FAR_STEP_RATIO  # a look serves half a step to both sides
    assert max(abs(look.offset_km) for look in found) <= reach_km + 0.5 * widest


@given(focal_mm=st.floats(16.0, 800.0))
def test_the_ladders_of_an_unknown_lens_leave_no_gap(focal_mm: float) -> None:
    tried = [85.0 * s.ratio / step for s in lens_scales(True, False, False) for step in s.ladder]
    assert min(abs(math.log(focal_mm / lens)) for lens in tried) <= REACH_LOG


@given(wrong=st.floats(0.6, 3.2))
def test_the_ladder_of_crops_leaves_no_gap(wrong: float) -> None:
    """Focal length over the told one: crops to a third are longer, converters make it shorter."""
    tried = [s.ratio / step for s in lens_scales(True, True, False) for step in s.ladder]
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
