"""Which stretches of which tracks are swept, and in what order."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.limb_geometry import (
    AIRGLOW_TOP_KM,
    arc_rays,
    limb_angle_deg,
    nadir_vector,
    pixels_of,
    pointing_of,
)
from regengine.registration.lens_prior import CROP_SCALES, SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.registration.propose_limb import BAND_KM, STEP_KM, bands, nadir_at_scale
from tests.regengine.registration.sweep_parts import (
    LIMB,
    limb_of,
    planned,
)

FloatArray = NDArray[np.float64]


@given(reach=st.floats(0.0, 22_000.0))
def test_bands_cover_the_reach_once(reach: float) -> None:
    """No place within the reach is farther than half a step from an offset; none comes twice."""
    found = bands(reach)
    offsets = [offset for band in found for offset in band]
    assert len(set(offsets)) == len(offsets)
    assert max(offsets) == -min(offsets)
    assert max(offsets) >= reach - 0.5 * STEP_KM - 1e-6
    assert max(offsets) <= max(reach + 0.5 * STEP_KM + 1e-6, STEP_KM)
    assert np.diff(sorted(offsets)) == pytest.approx(STEP_KM)
    for band in found:
        assert max(band) - min(band) <= (2.0 if 0.0 in band else 1.0) * BAND_KM
    # The middle one first, then ever farther out, both sides in turn
    assert 0.0 in found[0]
    nearest = [min(abs(offset) for offset in band) for band in found]
    assert nearest == sorted(nearest)
    assert {tuple(-o for o in band) for band in found[1:]} == set(found[1:])


@given(
    arc=st.floats(-55.0, 40.0),
    roll=st.floats(-180.0, 180.0),
    scale=st.floats(0.6, 2.2),
    angle=st.sampled_from([limb_angle_deg(h, AIRGLOW_TOP_KM) for h in (350.0, 420.0)]),
)
def test_another_focal_length_leaves_the_arc_where_it_is(
    arc: float, roll: float, scale: float, angle: float
) -> None:
    """The arc's point nearest to the axis: the same pixel before and after."""
    focal, centre = 200.0, (119.5, 79.5)
    limb = replace(limb_of(nadir_vector(angle + arc, roll), focal), angle_deg=angle)
    scaled = nadir_at_scale(limb, scale)
    assert np.linalg.norm(scaled) == pytest.approx(1.0)
    top = np.array(angle), np.array(0.0)
    before = pixels_of(arc_rays(limb.nadir, *top), focal, centre)
    after = pixels_of(arc_rays(scaled, *top), focal * scale, centre)
    assert np.array(after) == pytest.approx(np.array(before), abs=1e-6)
    assert nadir_at_scale(limb, 1.0) == pytest.approx(limb.nadir)
    # The camera's turn is seen in the picture whatever the focal length
    found_off_nadir, found_roll = pointing_of(scaled)
    assert found_off_nadir == pytest.approx(
        angle + math.degrees(math.atan(math.tan(math.radians(arc)) / scale))
    )
    assert (found_roll - roll + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1e-6)


def test_the_likeliest_sweep_comes_first() -> None:
    first = planned()[0]
    assert first.offsets_km == bands(4000.0)[0]
    assert (first.scale, first.sigma_log_focal) == (1.0, SIGMA_LOG_FOCAL)
    assert not first.mirrored
    assert not first.hazy


def test_everything_is_swept_once() -> None:
    sweeps = planned(tracks=2)
    keys = [(s.track.name, s.offsets_km, s.scale, s.mirrored, s.hazy) for s in sweeps]
    assert len(set(keys)) == len(keys)
    assert len(keys) == 2 * len(bands(4000.0)) * (1 + len(CROP_SCALES)) * 2 * 2


def test_what_is_likelier_in_every_way_comes_earlier() -> None:
    """Near before far, plain before mirrored or hazy, the nominal scale before crops."""
    order = [1.0, *CROP_SCALES]
    ranks = [
        (min(map(abs, s.offsets_km)), order.index(s.scale), s.mirrored, s.hazy) for s in planned()
    ]
    for place, later in enumerate(ranks):
        for earlier in ranks[:place]:
            surpassed = all(a >= b for a, b in zip(earlier, later, strict=True))
            assert not surpassed or earlier == later
    # and none of the four rules all others: all kinds are met early
    early = planned()[: len(ranks) // 2]
    assert {s.scale for s in early} == set(order)
    assert {s.mirrored for s in early} == {s.hazy for s in early} == {True, False}
    assert len({s.offsets_km for s in early}) > 1


def test_a_curvature_that_contradicts_the_focal_length_is_heard_before_crops() -> None:
    said = planned(replace(LIMB, focal_ratio=1.4, focal_ratio_sigma=0.08))
    scales = list(dict.fromkeys(s.scale for s in said))
    assert scales == [1.0, 1.4, *CROP_SCALES]
    assert next(s for s in said if s.scale == 1.4).sigma_log_focal == SIGMA_LOG_FOCAL_CROPPED
    vague = planned(replace(LIMB, focal_ratio=1.4, focal_ratio_sigma=0.25))
    assert 1.4 not in {s.scale for s in vague}
    agreeing = planned(replace(LIMB, focal_ratio=1.05, focal_ratio_sigma=0.001))
    assert 1.05 not in {s.scale for s in agreeing}


def test_an_unknown_focal_length_is_as_free_as_a_crops() -> None:
    assert planned(focal_known=False)[0].sigma_log_focal == SIGMA_LOG_FOCAL_CROPPED
