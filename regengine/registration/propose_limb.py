"""The proposer of photos whose limb tells which way is down: sweeps along the track.

With the nadir direction known, only the azimuth is left at every place on the track, and all of
them cost milliseconds: a sweep covers thousands of kilometres, where the element set is weeks old
or the clock is minutes off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from detectors.limb import Limb
from detectors.limb_geometry import nadir_vector
from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.dense import DenseParameters, Peak
from matchers.panorama import panorama, search_azimuth
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    CoarseView,
    Look,
    merged,
    same_view,
    unmirrored,
    unmirrored_ray,
)
from regengine.registration.lens_prior import (
    CROP_SCALES,
    SIGMA_LOG_FOCAL,
    SIGMA_LOG_FOCAL_CROPPED,
    Scale,
)
from regengine.registration.map_window import (
    FARTHEST_DEG,
    LEAST_SAMPLE_KM,
    ground_reach_km,
)
from regengine.registration.search import Proposals, Step
from regengine.registration.search_order import (
    HAZY_SURPRISE,
    MIRROR_SURPRISE,
    look_at,
    offset_surprise,
)
from regengine.registration.tracks import Track

if TYPE_CHECKING:
    from regengine.registration.search import Search

ORDER = 50
# Sweeps come before looks without a limb, and may take this share of the time
BEFORE_LOOKS = 20.0
TIME_SHARE = 0.5
# Long side of the light image: the limb's obliques compress the ground, towns are small
SWEEP_PX = 96
STEP_KM = 60.0  # alignment makes up for the 30 km that a place is off at most
BAND_KM = 1500.0  # a sweep covers this much of the track, on one side
ALIGNED_PER_SWEEP = 5
OTHER_SCALE_SURPRISE = 1.0
# The arc's curvature speaks for another focal length where it differs by so many of its sigmas
CURVATURE_SIGMAS = 2.0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A stretch of a track, a scale, one of the photo's light images, mirrored or not."""

    track: Track
    offsets_km: tuple[float, ...]
    scale: float
    sigma_log_focal: float
    mirrored: bool
    hazy: bool


def propose(search: Search) -> Iterator[Step]:
    """Sweep along all tracks, the likeliest stretches first."""
    if search.limb is None or "limb" not in search.parameters.methods:
        return
    for surprise, sweep in plan_sweeps(search.tracks, search.limb, search.focal_known):
        yield Step(
            kind="sweep",
            take=partial(take_sweep, search, sweep, TIME_SHARE),
            surprise=(surprise - BEFORE_LOOKS, 0, 0.0),
            time_share=TIME_SHARE,
        )


def plan_sweeps(
    tracks: Sequence[Track], limb: Limb, focal_known: bool
) -> Iterator[tuple[float, Sweep]]:
    """Everything worth a sweep and how unlikely it is, the likeliest first."""
    scales = [(1.0, SIGMA_LOG_FOCAL if focal_known else SIGMA_LOG_FOCAL_CROPPED, 0.0)]
    ratio, sigma = limb.focal_ratio, limb.focal_ratio_sigma
    if abs(ratio - 1.0) > CURVATURE_SIGMAS * max(sigma, SIGMA_LOG_FOCAL):
        scales.append((ratio, SIGMA_LOG_FOCAL_CROPPED, 0.5 * OTHER_SCALE_SURPRISE))
    scales += [
        (crop, SIGMA_LOG_FOCAL_CROPPED, OTHER_SCALE_SURPRISE + 0.3 * k)
        for k, crop in enumerate(CROP_SCALES)
    ]
    options: list[tuple[float, int, Sweep]] = []
    stretches = [stretch for track in tracks for stretch in stretches_of(track)]
    for (scale, spread, surprise), mirrored, hazy, (track, offsets, where) in product(
        scales, (False, True), (False, True), stretches
    ):
        total = surprise + MIRROR_SURPRISE * mirrored + HAZY_SURPRISE * hazy + where
        sweep = Sweep(
            track=track,
            offsets_km=offsets,
            scale=scale,
            sigma_log_focal=spread,
            mirrored=mirrored,
            hazy=hazy,
        )
        options.append((total, len(options), sweep))
    for surprise, _, sweep in sorted(options, key=lambda o: o[:2]):
        yield surprise, sweep


def stretches_of(track: Track) -> Iterator[tuple[Track, tuple[float, ...], float]]:
    """Stretches of a track, and how unlikely the camera is on them for what they cost."""
    for offsets in bands(track.reach_km):
        middle, length = 0.5 * (offsets[0] + offsets[-1]), abs(offsets[-1] - offsets[0])
        surprise = float(offset_surprise(middle, track, length + STEP_KM))
        places = track.place_surprise(np.array(offsets))
        surprise -= float(np.log(np.mean(np.exp(-places))))
        surprise += math.log(len(offsets))  # what it costs
        wanted = tuple(o for o in offsets if o != 0.0) if track.shares_start else offsets
        yield track, wanted, surprise


def bands(reach_km: float) -> list[tuple[float, ...]]:
    """Stretches of offsets, the middle one on both sides of 0, the others ever farther out."""
    count = max(1, math.ceil(reach_km / STEP_KM - 0.5))
    per_band = int(BAND_KM / STEP_KM)
    middle = min(count, per_band)
    found = [tuple(STEP_KM * k for k in range(-middle, middle + 1))]
    for first in range(middle + 1, count + 1, per_band):
        last = min(first + per_band - 1, count)
        outward = tuple(STEP_KM * k for k in range(first, last + 1))
        found += [outward, tuple(-o for o in outward)]
    return found


def nadir_at_scale(limb: Limb, scale: float) -> FloatArray:
    """Nadir direction when the arc stays where it is in the image and the focal length changes."""
    arc_deg = limb.off_nadir_deg - limb.angle_deg  # from the optical axis, along the roll
    if abs(arc_deg) >= 85.0:
        return limb.nadir
    turned = math.degrees(math.atan(math.tan(math.radians(arc_deg)) / scale))
    return nadir_vector(limb.angle_deg + turned, limb.roll_deg)


def take_sweep(search: Search, sweep: Sweep, time_share: float) -> Iterator[Proposals]:
    """What one sweep finds within a share of the photo's time."""
    found = best_of_sweep(search, sweep, time_share)
    search.looks_taken += 1
    yield Proposals(found)


def best_of_sweep(search: Search, sweep: Sweep, time_share: float) -> list[Candidate]:
    """Search one stretch of the track and align its best distinct peaks."""
    assert search.limb is not None
    stored, window, parameters = search.limb_lens, search.window, DenseParameters()
    light = search.lights.of(sweep.hazy)
    image = light.resized(SWEEP_PX, parameters.smooth_px, parameters.detail_px)
    scaled = replace(stored, focal_px=stored.focal_px * sweep.scale)
    photo = replace(image.camera(scaled), mirrored=False)
    image = unmirrored(image, sweep.mirrored)
    wanted = panorama(
        image.values,
        image.weight,
        photo,
        unmirrored_ray(nadir_at_scale(search.limb, sweep.scale), sweep.mirrored),
        FARTHEST_DEG,
        smooth_px=parameters.smooth_px,
        detail_px=parameters.detail_px,
    )
    if wanted is None:
        return []
    nearest_km = window.slant_km(float(np.degrees(wanted.off_nadir_rad[0])))
    step_km = max(nearest_km / photo.focal_px, LEAST_SAMPLE_KM)
    reach_km = ground_reach_km(window.altitude_km, FARTHEST_DEG)
    peaks: list[tuple[float, float, Peak]] = []
    offsets = np.array(sweep.offsets_km)
    for offset in sorted(offsets[sweep.track.may_be_night(offsets)].tolist(), key=abs):
        if search.expired(time_share):
            break
        x, y, z = sweep.track.position(offset).tolist()
        levels = window.around((x, y, z), reach_km, step_km)
        if levels is not None:
            search.spend("place of a sweep")
            search.covered = True
            peaks += [(p.score, offset, p) for p in search_azimuth(levels, wanted, (x, y, z))]
    peaks.sort(key=lambda found: -found[0])
    chosen: list[tuple[float, Peak]] = []
    for _, offset, peak in peaks:
        if len(chosen) >= ALIGNED_PER_SWEEP:
            break
        if not any(same_view(peak.camera, other.camera, 2.0 * SAME_SHARE) for _, other in chosen):
            chosen.append((offset, peak))
    found: list[Candidate] = []
    search.spend("sweep")
    search.spend("alignment", len(chosen))
    for offset, peak in chosen:
        levels = window.around(peak.camera.position_ecef_m, reach_km, step_km)
        assert levels is not None
        view = CoarseView(stored=stored, picture=image, levels=levels, parameters=parameters)
        found = merged(found, view.aligned([peak.camera], [look_of(sweep, offset, stored)]))
    return found


def look_of(sweep: Sweep, offset_km: float, stored: Camera) -> Look:
    """The look that a sweep amounts to at one place of the track."""
    scale = Scale(
        ratio=sweep.scale,
        sigma_log_focal=sweep.sigma_log_focal,
        cropped=sweep.sigma_log_focal > SIGMA_LOG_FOCAL,
    )
    look = look_at(sweep.track, offset_km, STEP_KM, stored, scale)
    return replace(look, mirrored=sweep.mirrored, hazy=sweep.hazy)
