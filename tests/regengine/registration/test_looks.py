"""The order of the search: likely things first, and nothing within reach left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.camera import Camera
from regengine.orbit.propagation import position_from_nadir
from regengine.orbit.uncertainty import slide_belief
from regengine.registration.candidates import Look
from regengine.registration.lens_prior import (
    LENS_LADDER,
    SIGMA_LOG_FOCAL_CROPPED,
    Scale,
    dense_scales,
    sparse_scales,
)
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
    offsets_between,
    offsets_outward,
    step_km,
)
from regengine.registration.tracks import Track, tracks_for
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.beliefs import bell
from tests.regengine.registration.made_search import made_search, planned_looks


def straight_track(name: str, reach_km: float, sigma_km: float) -> Track:
    """A track along the equator."""
    return Track(
        name=name,
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


@given(reach=st.floats(0.0, 5000.0), step=st.floats(50.0, 400.0))
def test_places_between_halve_the_step(reach: float, step: float) -> None:
    both = [*offsets_outward(reach, step), *offsets_between(reach, step)]
    assert np.diff(sorted(both)) == pytest.approx(0.5 * step)
    # Within the outermost of both kinds no place is farther than a quarter of a step
    assert len(both) % 2 == 1
    assert len(offsets_between(reach, step)) == len(offsets_outward(reach, step)) - 1


def test_figures_are_sought_half_way_once_they_failed_on_either_side() -> None:
    found = [look for look in looks() if kind_of(look) == (True, 1.0, (1.0,), False, False, False)]
    offsets = [look.offset_km for look in found]
    for offset in (80.0, -80.0, 240.0):
        assert offsets.index(offset) > offsets.index(offset - 80.0)
        assert offsets.index(offset) > offsets.index(offset + 80.0)
    assert not any(is_between(look) for look in looks() if look.mirrored or look.hazy)


def looks(reach_km: float = 900.0, sigma_km: float = 300.0, **given: bool) -> list[Look]:
    settings = {"focal_known": True, "may_be_cropped": False, **given}
    track = straight_track("tle", reach_km, sigma_km)
    return planned(stored(), track, **settings)


def planned(camera: Camera, *tracks: Track, **settings: bool) -> list[Look]:
    return planned_looks(made_search(camera, tracks=tracks, **settings))


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
    both = [*dense_scales(focal_known, False), *sparse_scales(focal_known, False)]
    by_ratio = {(scale.ratio, scale.ladder): scale for scale in both}
    surprise = [
        surprise_of(look, by_ratio) + surprise_of_place(look, track)
        for look in looks(focal_known=focal_known)
    ]
    assert surprise == pytest.approx(sorted(surprise))
    assert max(surprise) < MOST_SURPRISE


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
    pictures, figures = len(dense_scales(True, False)), len(sparse_scales(True, False))
    assert len(kinds) == (2 * pictures + figures) * 2 * 2
    track = straight_track("tle", 900.0, 300.0)
    both = [*dense_scales(True, False), *sparse_scales(True, False)]
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


def test_by_day_no_city_is_photographed() -> None:
    """Offsets at which the Sun is up are left out, the others stay in their order."""
    track = replace(straight_track("tle", 900.0, 300.0), may_be_night=lambda km: km < 150.0)
    assert night_offsets(track, 200.0) == [0.0, -200.0, -400.0, -600.0, -800.0]
    found = planned(stored(), track)
    assert found
    assert all(look.offset_km < 150.0 for look in found)


def test_a_wrong_hour_is_tried_late_and_told() -> None:
    here = straight_track("tle", 300.0, 300.0)
    hour = replace(here, name="tle +1 h", clock_s=3600.0, surprise=4.5)
    found = planned(stored(), here, hour)
    assert found[0].clock_s == 0.0
    starts = [
        look for look in found if look.offset_km == 0.0 and kind_of(look) == kind_of(found[0])
    ]
    assert [look.clock_s for look in starts] == [0.0, 3600.0]


def test_looks_start_where_they_say() -> None:
    track = straight_track("tle", 900.0, 300.0)
    for look in looks()[:20]:
        assert look.prior.position_ecef_m == pytest.approx(track.position(look.offset_km))
        assert look.prior.focal_px == pytest.approx(1400.0 * look.scale)
        assert look.speed_km_s == 7.66


def test_near_and_far_looks_leave_no_gap() -> None:
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


@pytest.mark.parametrize("scales", [dense_scales, sparse_scales])
def test_a_crop_is_less_surprising_where_the_shape_speaks_for_it(
    scales: Callable[[bool, bool], list[Scale]],
) -> None:
    usual, cropped = scales(True, False), scales(True, True)
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


@pytest.mark.parametrize("scales", [dense_scales, sparse_scales])
def test_an_unknown_lens_may_be_any_usual_one(
    scales: Callable[[bool, bool], list[Scale]],
) -> None:
    found = scales(False, False)
    in_mm = sorted(85.0 * s.ratio / step for s in found for step in s.ladder)
    assert in_mm[0] <= 24.0
    assert in_mm[-1] >= 400.0
    surprise = [s.surprise for s in found]
    assert surprise == sorted(surprise)
    # Neighbouring lenses overlap within three sigma
    steps = np.diff(np.log(in_mm))
    assert steps.max() <= 6.0 * min(s.sigma_log_focal for s in found)


def test_ladders_widen_what_one_look_compares() -> None:
    """Steps up and down around what is asked for, none of them twice."""
    assert len(set(LENS_LADDER)) == len(LENS_LADDER)
    assert min(LENS_LADDER) < 1.0 < max(LENS_LADDER)
    assert {s.ladder for s in sparse_scales(False, False)} == {LENS_LADDER}
    assert [s.ladder for s in sparse_scales(True, True)[1:]] == [LENS_LADDER] * 3
    assert {s.ladder for s in dense_scales(False, False)} == {(1.0,)}


@given(focal=st.floats(200.0, 20_000.0))
def test_wide_lenses_need_closer_positions(focal: float) -> None:
    step = step_km(stored(focal), 410.0)
    assert STEP_LIMITS_KM[0] <= step <= STEP_LIMITS_KM[1]
    assert step <= step_km(stored(1.2 * focal), 410.0)
