"""Define tracks, along which the camera may have been, and the prior of each position on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.constants import EARTH_GM_M3_S2, ORBITAL_SPEED_KM_S, SEMI_MAJOR_M
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.pose import PosePrior, move_on_orbit
from regengine.orbit.propagation import (
    CameraPosition,
    drag_shift_km,
    nadir_track_positions,
    position_from_nadir,
    track_positions,
)
from regengine.orbit.rotation import EARTH_RATE_RAD_S
from regengine.orbit.sun_moon import sun_direction
from regengine.orbit.uncertainty import (
    OffsetBelief,
    even,
    make_belief,
    make_nadir_belief,
    make_slide_belief,
    usual_clock,
    with_clock,
    with_drag,
)
from regengine.registration.parameters import LENS, TrackParams
from regengine.registration.priors.lens import LensBelief
from regengine.registration.priors.lit_ground import Seen, weigh_places


@dataclass(frozen=True, kw_only=True)
class Track:
    """A one-dimensional family of camera positions.

    The functions take offsets along the track in kilometres, a number or an array of shape (n,).

    position: ECEF position, metres, shape (3,).
    velocity: Direction of motion over the ground, ECEF, shape (3,).
    sigma_along_km: Standard deviation of the offset around 0, without its long tail.
    belief: Prior of the offset, and its range.
    sigma_across_km, sigma_up_km: Standard deviations of the distance across the track, and of the
        altitude.
    speed_km_s: Speed along the track at orbit altitude, kilometres per second.
    clock_s: Assumed delay of the camera's clock at offset 0.
    shares_start: Whether another track has the same position at offset 0.
    neg_log_prior: Negative log-prior of the track.
    may_be_night: Whether city lights may be visible at the offsets.
    place_neg_log_prior: Negative log-prior of photographs at the offsets, relative to other places.
    source: What was given for it, as in `CameraPosition`.
    clock_at: Assumed delay of the clock in seconds. During this time the Earth rotates, so an
        attitude from the stars must be rotated with it.
    """

    position: Callable[[float], FloatArray]
    velocity: Callable[[float], FloatArray]
    sigma_along_km: float
    belief: OffsetBelief
    sigma_across_km: Callable[[float], float]
    sigma_up_km: float
    speed_km_s: float
    source: str = ""
    clock_s: float = 0.0
    shares_start: bool = False
    neg_log_prior: float = 0.0
    may_be_night: Callable[[FloatArray], NDArray[np.bool_]] = lambda km: np.ones(len(km), bool)
    place_neg_log_prior: Callable[[FloatArray], FloatArray] = lambda km: np.zeros(len(km))
    clock_at: Callable[[float], float] = lambda km: 0.0


def believe_camera(
    track: Track, offset_km: float, spread_km: float, nominal: Camera, lens: LensBelief
) -> PosePrior:
    """Make the pose prior of a camera at a place on a track with one lens (of the stored image)."""
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
        sigma_k1=LENS.sigma_k1,
        principal_point=nominal.principal_point,
        sigma_principal_px=LENS.sigma_principal_share * longest if lens.is_cropped else 0.0,
        k1=nominal.distortion[0],
    )


def make_tracks(
    position: CameraPosition,
    clock_window_s: float | None,
    lit_dex: FloatArray | None = None,
    params: TrackParams = TrackParams(),
) -> tuple[Track, ...]:
    """Make the tracks along which the camera may have been, from an element set or a nadir.

    Two orbits pass through a nadir. If a velocity is given, only the one in its direction is used.
    """
    if position.alternative is not None:
        more = params.alternative_neg_log_prior
        others = make_tracks(position.alternative, clock_window_s, lit_dex, params)
        return (
            *make_tracks(replace(position, alternative=None), clock_window_s, lit_dex, params),
            *(replace(track, neg_log_prior=track.neg_log_prior + more) for track in others),
        )
    if position.source == "centre":
        return tuple(make_tracks_around(position, params))
    widest_s = params.widest_clock_s if clock_window_s is None else clock_window_s
    if position.element_set is None or position.time_utc is None:
        velocity = position.velocity_ecef_m_s
        ways = (True, False) if velocity is None else (bool(velocity[2] > 0.0),)
        return tuple(make_nadir_track(position, ascending, params) for ascending in ways)
    slide = make_slide_belief(position.sigma_along_km, before=(position.tle_age_h or 0.0) > 0.0)
    slide = with_drag(slide, drag_shift_km(position.element_set, position.time_utc))
    speed_km_s = circular_speed_km_s(position)
    usual_s = min(widest_s, params.usual_clock_s)
    usual_km, widest_km = usual_s * speed_km_s, widest_s * speed_km_s
    usual = with_clock(slide, usual_clock(usual_km, speed_km_s), usual_km)
    tracks = [make_tle_track(position, usual, (0.0, usual_s), 0, lit_dex, params)]
    if widest_s > usual_s:
        minutes = with_clock(slide, even(usual_km, widest_km), widest_km, usual_km)
        tracks.append(make_tle_track(position, minutes, (usual_s, widest_s), 0, lit_dex, params))
    if clock_window_s is None:
        for hours in range(1, 13):
            tracks += [
                make_tle_track(position, usual, (0.0, usual_s), sign * hours, lit_dex, params)
                for sign in (1, -1)
            ]
    return tuple(tracks)


def circular_speed_km_s(position: CameraPosition) -> float:
    """Speed on a circular orbit through a position (WGS84 GM)."""
    radius_km = float(np.linalg.norm(position.position_ecef_m)) / 1e3
    return float(np.sqrt(EARTH_GM_M3_S2 / 1e9 / radius_km))


def make_tle_track(
    position: CameraPosition,
    belief: OffsetBelief,
    clock_range_s: tuple[float, float],
    hours: int,
    lit_dex: FloatArray | None,
    params: TrackParams,
) -> Track:
    """Make the track of an element set, starting at the time of a clock that is some hours off.

    For small clock errors, an offset along the track is divided between clock and orbit. If the
    clock error is larger than usual, the whole offset is attributed to the clock, up to the maximum
    of its range.
    """
    element_set, time_utc = position.element_set, position.time_utc
    assert element_set is not None
    assert time_utc is not None
    least_s, most_s = clock_range_s
    radius_km = float(np.linalg.norm(position.position_ecef_m)) / 1e3
    speed_km_s = circular_speed_km_s(position)
    clock_km, slide_km = params.clock_sigma_s * speed_km_s, position.sigma_along_km
    clock_share = 1.0 if least_s > 0.0 else clock_km**2 / (clock_km**2 + slide_km**2)
    off_s = 3600.0 * hours
    sun = sun_direction(time_utc + timedelta(seconds=off_s))
    neg_log_prior = params.minutes_neg_log_prior if least_s > 0.0 else 0.0
    if abs(hours) == 1:  # as likely as minutes, half for each sign
        neg_log_prior = params.minutes_neg_log_prior + math.log(2.0)
    elif hours:
        neg_log_prior = params.hours_neg_log_prior + 0.1 * abs(hours)  # smaller errors first

    def clock(offsets_km: FloatArray) -> FloatArray:
        return np.clip(clock_share * (offsets_km / speed_km_s), -most_s, most_s)

    def places(offsets_km: FloatArray) -> FloatArray:
        seconds, clock_s = offsets_km / speed_km_s, clock(offsets_km)
        return track_positions(element_set, time_utc, off_s + clock_s, seconds - clock_s)

    def may_be_night(offsets_km: FloatArray) -> NDArray[np.bool_]:
        there = places(np.asarray(offsets_km, float))
        limit = np.sin(np.radians(params.night_sun_deg)) * np.linalg.norm(there, axis=1)
        return np.asarray(there @ sun < limit)

    def sigma_across_km(offset_km: float) -> float:
        unknown_s = min(abs(params.unknown_clock_share * offset_km / speed_km_s), most_s)
        if least_s > 0.0:
            unknown_s = min(unknown_s, slide_km / speed_km_s)
        earth_km_s = EARTH_RATE_RAD_S * radius_km * float(np.cos(np.radians(position.lat)))
        turned_km = earth_km_s * max(unknown_s, params.clock_sigma_s / 2)
        return float(np.hypot(position.sigma_cross_km, turned_km))

    return Track(
        position=lambda offset_km: places(np.array([offset_km]))[0],
        velocity=lambda offset_km: np.diff(places(offset_km + np.array([-1.0, 1.0])), axis=0)[0],
        sigma_along_km=float(np.hypot(clock_km, slide_km)),
        belief=belief,
        sigma_across_km=sigma_across_km,
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=speed_km_s,
        source=position.source,
        clock_s=off_s,
        neg_log_prior=neg_log_prior,
        may_be_night=may_be_night,
        place_neg_log_prior=lambda km: weigh_places(places(np.asarray(km, float)), lit_dex, sun),
        clock_at=lambda offset_km: off_s + float(clock(np.array(offset_km))),
    )


def make_nadir_track(position: CameraPosition, ascending: bool, params: TrackParams) -> Track:
    """Make the track of the orbit through a nadir, northward or southward."""
    radius_m = float(np.linalg.norm(position.position_ecef_m))
    nadir = position.lon, position.lat, position.altitude_km

    def at(offset_km: float) -> FloatArray:
        on_ground_km = np.array([offset_km * SEMI_MAJOR_M / radius_m])
        return nadir_track_positions(*nadir, on_ground_km, ascending)[0]

    return Track(
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=position.sigma_along_km,
        belief=make_nadir_belief(position.sigma_along_km),
        sigma_across_km=lambda _: max(position.sigma_cross_km, params.nadir_sigma_across_km),
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=ORBITAL_SPEED_KM_S,
        source=position.source,
        shares_start=not ascending and position.velocity_ecef_m_s is None,
    )


def make_tracks_around(position: CameraPosition, params: TrackParams) -> Iterator[Track]:
    """Make parallel tracks around a place; the camera is equally likely on all of them."""
    middle = make_nadir_track(position, True, params)
    start_m, ahead = middle.position(0.0), middle.velocity(0.0)
    step_km, reach_km, farthest_deg = (
        300.0,
        position.sigma_along_km,
        51.9,
    )  # latitude limit of the orbit
    n_aside = round(reach_km / step_km)
    for number in range(-n_aside, n_aside + 1):
        aside_m = move_on_orbit(start_m, ahead, 0.0, 1e3 * number * step_km, 0.0)
        lon, lat, _ = (float(value) for value in ecef_to_geodetic(aside_m))
        if abs(lat) > farthest_deg:
            continue
        nadir = position_from_nadir(
            lon,
            lat,
            position.altitude_km,
            position.source,
            time_utc=position.time_utc,
            sigma_km=(reach_km, 0.5 * step_km, position.sigma_radial_km),
        )
        track = make_nadir_track(nadir, True, params)
        # The prior along a track is uniform; the given place weighs the positions (`expect_seen`)
        yield replace(
            track,
            belief=make_belief(even(0.0, reach_km), reach_km),
            neg_log_prior=-math.log(2.0 * reach_km / step_km),
        )


def expect_seen(track: Track, seen: Seen) -> Track:
    """Add to the prior of a track how likely a given place is visible from its positions."""

    def weigh(offsets_km: FloatArray) -> FloatArray:
        each = np.asarray(offsets_km, float)
        if not len(each):
            return each
        places = np.array([track.position(float(km)) for km in each])
        return np.asarray(track.place_neg_log_prior(each) + seen.weigh(places))

    return replace(track, place_neg_log_prior=weigh)


def weigh_offsets(offset_km: ArrayLike, track: Track, step_km: float) -> FloatArray:
    """Negative log-prior that the camera was within half a step of each offset."""
    middle = np.asarray(offset_km, float)
    share = track.belief.share(middle - 0.5 * step_km, middle + 0.5 * step_km)
    return np.asarray(track.neg_log_prior - np.log(np.maximum(share, 1e-9)))


def list_offsets(
    track: Track, step_km: float, *, between: bool = False
) -> tuple[FloatArray, FloatArray]:
    """List offsets at which it may be night, and their negative log-priors, likeliest first.

    Offsets are multiples of the step, or (``between``) lie half a step between them. A start that
    two tracks share is listed only for the first.
    """
    count = max(0, math.ceil((track.belief.reach_km - 0.5 * step_km) / step_km))
    numbers = np.arange(-count, count + (not between), dtype=np.float64)
    offsets = step_km * (numbers + 0.5 * between)
    if len(offsets):
        offsets = offsets[track.may_be_night(offsets) & ~(track.shares_start & (offsets == 0.0))]
    if not len(offsets):
        return offsets, offsets
    neg_log_prior = weigh_offsets(offsets, track, step_km) + track.place_neg_log_prior(offsets)
    order = np.argsort(neg_log_prior, kind="stable")
    return offsets[order], neg_log_prior[order]
