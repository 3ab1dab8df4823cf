"""A line along which the camera may have been, with the belief that the search walks along."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.constants import EARTH_GM_M3_S2, ORBITAL_SPEED_KM_S, SEMI_MAJOR_M
from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.pose import PosePrior, moved
from regengine.orbit.propagation import (
    CameraPosition,
    drag_shift_km,
    nadir_track_positions,
    track_positions,
)
from regengine.orbit.rotation import EARTH_RATE_RAD_S
from regengine.orbit.sun_moon import sun_direction
from regengine.orbit.uncertainty import (
    OffsetBelief,
    even,
    nadir_belief,
    slide_belief,
    usual_clock,
    with_clock,
    with_drag,
)
from regengine.registration.priors.lens import SIGMA_PRINCIPAL_SHARE, LensBelief
from regengine.registration.priors.lit_ground import weigh_places


@dataclass(frozen=True, kw_only=True)
class Track:
    """A one-dimensional family of camera positions.

    position: Offset along the track in kilometres → ECEF position, metres, shape (3,).
    velocity: Offset along the track in kilometres → direction of motion over the ground, shape
        (3,).
    sigma_along_km: One sigma of the offset around 0, its long tail left aside.
    belief: How probable each stretch of the track is, and how far it reaches.
    sigma_across_km: Offset along the track in kilometres → one sigma of the distance across it.
    sigma_up_km: One sigma of the height.
    speed_km_s: Kilometres along the track (at orbit height) a second.
    clock_s: How far the camera's clock is taken to be behind at offset 0.
    shares_start: Whether another track has the same offset 0.
    neg_log_prior: How unlikely the track is, as a negative log-probability.
    may_be_night: Offsets in kilometres, shape (n,) → whether a camera there may have photographed
        city lights, shape (n,).
    clock_at: Offset along the track in kilometres → how many seconds the camera's clock is taken to
        be behind there: by so much the Earth, and an attitude among the stars with it, has turned
        on.
    place_neg_log_prior: Offsets in kilometres, shape (n,) → how unlikely such photographs are there
        as against elsewhere, a negative logarithm, shape (n,).
    """

    position: Callable[[float], FloatArray]
    velocity: Callable[[float], FloatArray]
    sigma_along_km: float
    belief: OffsetBelief
    sigma_across_km: Callable[[float], float]
    sigma_up_km: float
    speed_km_s: float
    clock_s: float = 0.0
    shares_start: bool = False
    neg_log_prior: float = 0.0
    may_be_night: Callable[[FloatArray], NDArray[np.bool_]] = lambda km: np.ones(len(km), bool)
    place_neg_log_prior: Callable[[FloatArray], FloatArray] = lambda km: np.zeros(len(km))
    clock_at: Callable[[float], float] = lambda km: 0.0

    @property
    def reach_km(self) -> float:
        """Offsets beyond this are not looked at."""
        return self.belief.reach_km


def believe_camera(
    track: Track, offset_km: float, spread_km: float, nominal: Camera, lens: LensBelief
) -> PosePrior:
    """Belief about a camera at a place of a track with one focal length, for the stored image."""
    x, y, z = track.position(offset_km).tolist()
    vx, vy, vz = track.velocity(offset_km).tolist()
    longest = max(nominal.width_px, nominal.height_px)
    return PosePrior(
        position_ecef_m=(x, y, z),
        velocity_ecef=(vx, vy, vz),
        focal_px=nominal.focal_px * lens.ratio,
        sigma_along_m=1e3 * min(spread_km, track.sigma_along_km),
        sigma_across_m=1e3 * track.sigma_across_km(offset_km),
        sigma_up_m=1e3 * track.sigma_up_km,
        sigma_log_focal=lens.sigma_log_focal,
        sigma_k1=SIGMA_K1,
        principal_point=nominal.principal_point,
        sigma_principal_px=SIGMA_PRINCIPAL_SHARE * longest if lens.is_cropped else 0.0,
        k1=nominal.distortion[0],
    )


# Radial distortion of photographic lenses of 24 mm and longer, as the coefficient k1 in units of
# the focal length: a few percent at the corner
SIGMA_K1 = 0.05


# The tracks along which the camera may have been: by an element set, a velocity or a nadir.

# EXIF clocks were 8, 18 and 32 s off in three frames solved by hand: root mean square 21 s
CLOCK_SIGMA_S = 21.0
# Of a track offset o, a share that no one knows is the camera's clock, which turns the Earth too
UNKNOWN_CLOCK_SHARE = 0.4
# A nadir that was written down may be off in any direction
NADIR_SIGMA_ACROSS_KM = 25.0
STATE_SIGMA_ACROSS_KM = 5.0
# Clocks are believed to be right to two minutes; where that leads nowhere, to ten, and then to
# whole hours: time zones and summer time
USUAL_CLOCK_S, WIDEST_CLOCK_S = 120.0, 600.0
HOUR_S = 3600.0
MOST_HOURS = 12  # time zones
# Nothing measures how often: the archive blanks the times that it finds wrong. Nine frames with
# fresh element sets were all within two minutes; Laplace's rule of succession, over right, minutes
# and hours, makes that 10 to 1 to 1 (an hour: half to either side). Further hours, of local time,
# are rare, since cameras on board keep UTC. Only the order of looks depends on it
FRAMES_WITHIN_USUAL = 9
MINUTES_SURPRISE = math.log(FRAMES_WITHIN_USUAL + 1.0)
HOUR_SURPRISE = math.log(2.0 * (FRAMES_WITHIN_USUAL + 1.0))
FURTHER_HOURS_SURPRISE, EACH_HOUR_SURPRISE = 6.5, 0.1
# Of the archive's night frames 2 % contradict their orbit by hundreds of kilometres
ALTERNATIVE_SURPRISE = 3.0
# The Sun may stand this high over the nadir while cities 1,500 km away are in the dark
NIGHT_SUN_DEG = 10.0


def tracks_for(
    position: CameraPosition, clock_window_s: float | None, lit_dex: FloatArray | None = None
) -> tuple[Track, ...]:
    """The tracks along which the camera may have been."""
    if position.alternative is not None:
        others = tracks_for(position.alternative, clock_window_s, lit_dex)
        return (
            *tracks_for(replace(position, alternative=None), clock_window_s, lit_dex),
            *(replace(t, neg_log_prior=t.neg_log_prior + ALTERNATIVE_SURPRISE) for t in others),
        )
    widest_s = WIDEST_CLOCK_S if clock_window_s is None else clock_window_s
    if position.element_set is not None and position.time_utc is not None:
        slide = slide_belief(position.sigma_along_km, before=(position.tle_age_h or 0.0) > 0.0)
        slide = with_drag(slide, drag_shift_km(position.element_set, position.time_utc))
        speed_km_s = circular_speed_km_s(position)
        usual_s = min(widest_s, USUAL_CLOCK_S)
        usual = believed_clock(slide, 0.0, usual_s, speed_km_s)
        tracks = [_tle_track(position, usual, (0.0, usual_s), 0, lit_dex)]
        if widest_s > USUAL_CLOCK_S:
            minutes = believed_clock(slide, USUAL_CLOCK_S, widest_s, speed_km_s)
            tracks.append(_tle_track(position, minutes, (USUAL_CLOCK_S, widest_s), 0, lit_dex))
        if clock_window_s is None:
            for hours in range(1, MOST_HOURS + 1):
                tracks += [
                    _tle_track(position, usual, (0.0, usual_s), sign * hours, lit_dex)
                    for sign in (1, -1)
                ]
        return tuple(tracks)
    if position.velocity_ecef_m_s is not None:
        return (_state_track(position, widest_s),)
    return tuple(_nadir_track(position, ascending) for ascending in (True, False))


def circular_speed_km_s(position: CameraPosition) -> float:
    """Speed on a circular orbit through a position (WGS84 GM)."""
    radius_km = float(np.linalg.norm(position.position_ecef_m)) / 1e3
    return float(np.sqrt(EARTH_GM_M3_S2 / 1e9 / radius_km))


def believed_clock(
    slide: OffsetBelief, least_s: float, most_s: float, speed_km_s: float
) -> OffsetBelief:
    """Where the camera may have been if its clock was off by so much; from 0 on, mostly little."""
    least_km, most_km = least_s * speed_km_s, most_s * speed_km_s
    if least_s > 0.0:
        return with_clock(slide, even(least_km, most_km), most_km, least_km)
    return with_clock(slide, usual_clock(most_km, speed_km_s), most_km)


def _tle_track(
    position: CameraPosition,
    belief: OffsetBelief,
    clock_range_s: tuple[float, float],
    hours: int,
    lit_dex: FloatArray | None,
) -> Track:
    """The orbit of an element set, from where it has the station by a clock so many hours off.

    Where the clock may be off by little, an offset is shared between it and the orbit; where it is
    off by more than is usual, the clock has all of it, as far as it may.
    """
    element_set, time_utc = position.element_set, position.time_utc
    assert element_set is not None
    assert time_utc is not None
    assert position.velocity_ecef_m_s is not None
    least_s, most_s = clock_range_s
    radius_km = float(np.linalg.norm(position.position_ecef_m)) / 1e3
    speed_km_s = circular_speed_km_s(position)
    clock_km = CLOCK_SIGMA_S * speed_km_s
    slide_km = position.sigma_along_km
    clock_share = 1.0 if least_s > 0.0 else clock_km**2 / (clock_km**2 + slide_km**2)
    earth_km_s = EARTH_RATE_RAD_S * radius_km * float(np.cos(np.radians(position.lat)))

    off_s = HOUR_S * hours
    sun = sun_direction(time_utc + timedelta(seconds=off_s))

    def clock(offsets_km: FloatArray) -> FloatArray:
        return np.clip(clock_share * (offsets_km / speed_km_s), -most_s, most_s)

    def places(offsets_km: FloatArray) -> FloatArray:
        seconds, clock_s = offsets_km / speed_km_s, clock(offsets_km)
        return track_positions(element_set, time_utc, off_s + clock_s, seconds - clock_s)

    def may_be_night(offsets_km: FloatArray) -> NDArray[np.bool_]:
        there = places(np.asarray(offsets_km, float))
        limit = np.sin(np.radians(NIGHT_SUN_DEG)) * np.linalg.norm(there, axis=1)
        return np.asarray(there @ sun < limit)

    def weigh(offsets_km: FloatArray) -> FloatArray:
        return weigh_places(places(np.asarray(offsets_km, float)), lit_dex, sun)

    def across(offset_km: float) -> float:
        unknown_s = min(abs(UNKNOWN_CLOCK_SHARE * offset_km / speed_km_s), most_s)
        if least_s > 0.0:
            unknown_s = min(unknown_s, slide_km / speed_km_s)
        return float(
            np.hypot(position.sigma_cross_km, earth_km_s * max(unknown_s, CLOCK_SIGMA_S / 2))
        )

    neg_log_prior = MINUTES_SURPRISE if least_s > 0.0 else 0.0
    if hours:
        far = FURTHER_HOURS_SURPRISE + EACH_HOUR_SURPRISE * abs(hours)
        neg_log_prior = HOUR_SURPRISE if abs(hours) == 1 else far
    return Track(
        position=lambda offset_km: places(np.array([offset_km]))[0],
        velocity=lambda offset_km: np.diff(places(offset_km + np.array([-1.0, 1.0])), axis=0)[0],
        sigma_along_km=float(np.hypot(clock_km, slide_km)),
        belief=belief,
        sigma_across_km=across,
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=speed_km_s,
        clock_s=off_s,
        neg_log_prior=neg_log_prior,
        may_be_night=may_be_night,
        place_neg_log_prior=weigh,
        clock_at=lambda offset_km: off_s + float(clock(np.array(offset_km))),
    )


def _state_track(position: CameraPosition, clock_window_s: float) -> Track:
    """A great circle over the ground along a known velocity."""
    velocity = position.velocity_ecef_m_s
    assert velocity is not None
    speed_km_s = float(np.linalg.norm(velocity)) / 1e3

    def at(offset_km: float) -> FloatArray:
        return moved(position.position_ecef_m, velocity, 1e3 * offset_km, 0.0, 0.0)

    slide = nadir_belief(position.sigma_along_km)
    return Track(
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=float(np.hypot(CLOCK_SIGMA_S * speed_km_s, position.sigma_along_km)),
        belief=believed_clock(slide, 0.0, clock_window_s, speed_km_s),
        sigma_across_km=lambda _: max(position.sigma_cross_km, STATE_SIGMA_ACROSS_KM),
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=speed_km_s,
    )


def _nadir_track(position: CameraPosition, ascending: bool) -> Track:
    start = position.position_ecef_m

    def at(offset_km: float) -> FloatArray:
        return nadir_track_positions(
            position.lon,
            position.lat,
            position.altitude_km,
            np.array([offset_km * SEMI_MAJOR_M / float(np.linalg.norm(start))]),
            ascending,
        )[0]

    return Track(
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=position.sigma_along_km,
        belief=nadir_belief(position.sigma_along_km),
        sigma_across_km=lambda _: max(position.sigma_cross_km, NADIR_SIGMA_ACROSS_KM),
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=ORBITAL_SPEED_KM_S,
        shares_start=not ascending,
    )


# Places along a track, by how likely the camera was there


MIN_SHARE = 1e-9  # of probability, that a logarithm can be taken of


def weigh_offsets(offset_km: ArrayLike, track: Track, step_km: float) -> FloatArray:
    """Negative log-probability that the camera was within half a step of offsets."""
    middle = np.asarray(offset_km, float)
    share = track.belief.share(middle - 0.5 * step_km, middle + 0.5 * step_km)
    return np.asarray(track.neg_log_prior - np.log(np.maximum(share, MIN_SHARE)))


def list_offsets(
    track: Track, step_km: float, *, between: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Offsets a step apart at which it may be night, and their negative log-priors.

    They begin at offset 0, or (``between``) half a step from it; one that two tracks share is the
    first one's.
    """
    count = max(0, math.ceil((track.reach_km - 0.5 * step_km) / step_km))
    if between:
        offsets = step_km * (np.arange(-count, count, dtype=np.float64) + 0.5)
    else:
        offsets = step_km * np.arange(-count, count + 1, dtype=np.float64)
    kept = track.may_be_night(offsets) if len(offsets) else np.zeros(0, bool)
    if track.shares_start:
        kept &= offsets != 0.0
    offsets = offsets[kept]
    if not len(offsets):
        return offsets, offsets
    neg_log_prior = weigh_offsets(offsets, track, step_km) + track.place_neg_log_prior(offsets)
    order = np.argsort(neg_log_prior, kind="stable")
    return offsets[order], neg_log_prior[order]
