"""The order of the search: likely things first, and nothing within reach left out."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.camera import Camera
from regengine.hypotheses import Look
from regengine.looks import (
    FAR_OFF_NADIR_DEG,
    FAR_SURPRISE,
    HAZY_SURPRISE,
    MIRROR_SURPRISE,
    STEP_LIMITS_KM,
    offset_surprise,
    offsets_outward,
    plan,
    scales,
    step_km,
)
from regengine.orbit import position_from_nadir
from regengine.track import Track, tracks_for
from tests.matchers.lamp_world import camera_over


def straight_track(name: str, reach_km: float, sigma_km: float) -> Track:
    """A track along the equator."""
    return Track(
        name=name,
        position=lambda km: 6.788e6 * np.array([np.cos(km / 6788.0), np.sin(km / 6788.0), 0.0]),
        velocity=lambda km: np.array([-np.sin(km / 6788.0), np.cos(km / 6788.0), 0.0]),
        sigma_along_km=sigma_km,
        reach_km=reach_km,
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


def looks(reach_km: float = 900.0, sigma_km: float = 300.0, **given: bool) -> list[Look]:
    settings = {"focal_known": True, "may_be_cropped": False, **given}
    track = straight_track("tle", reach_km, sigma_km)
    return list(plan(stored(), [track], 410.0, **settings))


def kind_of(look: Look) -> tuple[float, bool, bool, bool]:
    return look.scale, look.mirrored, look.off_nadir_deg[0] > 0.0, look.hazy


def test_the_likeliest_look_comes_first() -> None:
    first = looks()[0]
    assert first.offset_km == 0.0
    assert first.scale == 1.0
    assert not first.mirrored
    assert not first.hazy
    assert first.off_nadir_deg == (0.0, FAR_OFF_NADIR_DEG)


def test_surprise_never_falls() -> None:
    track = straight_track("tle", 900.0, 300.0)
    by_ratio = {scale.ratio: scale.surprise for scale in scales(True, False)}
    surprise = [
        by_ratio[look.scale]
        + MIRROR_SURPRISE * look.mirrored
        + FAR_SURPRISE * (look.off_nadir_deg[0] > 0.0)
        + HAZY_SURPRISE * look.hazy
        + offset_surprise(look.offset_km, track)
        for look in looks()
    ]
    assert surprise == pytest.approx(sorted(surprise))


def test_far_places_on_the_track_are_more_surprising() -> None:
    track = straight_track("tle", 900.0, 300.0)
    sizes = [offset_surprise(km, track) for km in (0.0, 50.0, -100.0, 400.0, -2000.0)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 0.0
    assert offset_surprise(-77.0, track) == offset_surprise(77.0, track)


def test_every_kind_of_look_covers_the_whole_reach() -> None:
    """Near and far, sharp and hazy, as it is and mirrored, at every scale."""
    found = sorted(looks(), key=kind_of)
    kinds = {kind: list(group) for kind, group in groupby(found, key=kind_of)}
    assert len(kinds) == len(scales(True, False)) * 2 * 2 * 2
    for (scale, _, far, _), group in kinds.items():
        spacing = step_km(stored(1400.0 * scale), 410.0) * (2.0 if far else 1.0)
        places = np.linspace(-900.0, 900.0, 301)
        nearest = np.abs(places[:, None] - [look.offset_km for look in group]).min(axis=1)
        assert nearest.max() <= 0.5 * spacing + 1e-6
        # and the fit may slide from one look to the next
        assert group[0].prior.sigma_along_m >= 0.5e3 * min(spacing, 300.0)


def test_looks_start_where_they_say() -> None:
    track = straight_track("tle", 900.0, 300.0)
    for look in looks()[:20]:
        assert look.prior.position_ecef_m == pytest.approx(track.position(look.offset_km))
        assert look.prior.focal_px == pytest.approx(1400.0 * look.scale)
        assert look.speed_km_s == 7.66


def test_near_and_far_looks_leave_no_gap() -> None:
    bounds = {look.off_nadir_deg for look in looks()}
    assert bounds == {(0.0, FAR_OFF_NADIR_DEG), (FAR_OFF_NADIR_DEG, 90.0)}


def test_two_tracks_share_their_start() -> None:
    tracks = tracks_for(position_from_nadir(10.0, 40.0, 410.0, "option"), 120.0)
    found = list(plan(stored(), tracks, 410.0, True, False))
    plain = [look for look in found if kind_of(look) == (1.0, False, False, False)]
    starts = [look for look in plain if look.offset_km == 0.0]
    assert len(starts) == 1
    away = [look for look in plain if look.offset_km != 0.0]
    assert len(away) % 2 == 0
    places = {tuple(np.round(look.prior.position_ecef_m)) for look in plain}
    assert len(places) == len(plain)


def test_a_crop_is_less_surprising_where_the_shape_speaks_for_it() -> None:
    usual = {s.ratio: s.surprise for s in scales(True, False)}
    cropped = {s.ratio: s.surprise for s in scales(True, True)}
    assert usual[1.0] == cropped[1.0] == 0.0
    assert all(cropped[r] < usual[r] for r in usual if r != 1.0)
    assert any(1.2 <= r <= 1.45 for r in usual)  # edited copies: 1.28 and 1.4 times seen


def test_the_lens_axis_may_be_anywhere_in_a_crop_alone() -> None:
    for look in looks():
        assert (look.prior.sigma_principal_px > 0.0) == (look.scale != 1.0)
        assert look.prior.principal_point == (499.5, 333.0)
    assert all(look.prior.sigma_principal_px > 0.0 for look in looks(may_be_cropped=True))


def test_an_unknown_lens_may_be_any_usual_one() -> None:
    found = scales(False, False)
    in_mm = sorted(85.0 * s.ratio for s in found)
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
