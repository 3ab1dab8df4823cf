"""Define what is believed of a camera before the photo is compared with the map.

Lenses: the given focal length, crops of it, or the usual ones; their shares, with those of views
and the yields of methods, are in ``stage_yields.csv``. Places: tracks, along which the camera may
have been, and how likely photos are taken at each position. With a stale element set or a wrong
clock, tens of thousands of kilometres of track are possible. Most of it is ocean, and a part of the
rest is in twilight; few frames are taken there, so these places are tried later. Neighbours:
accepted frames of the same camera, for frames not yet accepted.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.constants import (
    EARTH_GM_M3_S2,
    ORBITAL_SPEED_KM_S,
    SEMI_MAJOR_M,
)
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km, to_xyz
from matchers.geometry.pose import PosePrior, move_on_orbit
from regengine.maps.places import sum_lit_ground
from regengine.maps.reference import RasterMap
from regengine.orbit.propagation import (
    CameraPosition,
    drag_shift_km,
    nadir_track_positions,
    position_from_nadir,
    track_positions,
)
from regengine.orbit.rotation import EARTH_RATE_RAD_S, sun_direction
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
from regengine.registration.parameters import LENS, TRACKS
from regengine.store.result import FrameResult

# Spacing of places along a track (by eye: at 85 mm a frame shows 170 km)
PLACE_STEP_KM = 150.0


@dataclass(frozen=True, kw_only=True)
class LensBelief:
    """A focal length to try, with its prior.

    ratio: Ratio to the nominal focal length.
    share: Probability that the true one is nearer to it than to the others that are tried.
    sigma_log_focal: Standard deviation of its natural logarithm.
    is_cropped: Whether the optical axis may be off the middle.
    ladder: Divisors of the focal length; asterisms are compared at each of these in turn.
    """

    ratio: float
    share: float = 1.0
    sigma_log_focal: float = LENS.sigma_log_focal
    is_cropped: bool = False
    ladder: tuple[float, ...] = (1.0,)


def is_telephoto(camera: Camera) -> bool:
    """Whether a frame lies within one city, by the field of view of its long side."""
    field_deg = np.degrees(2.0 * np.arctan(0.5 * camera.long_side_px / camera.focal_px))
    return bool(field_deg < LENS.telephoto_field_deg)


StageYields = dict[str, dict[str, float]]  # values by table and key


@lru_cache(maxsize=1)
def read_stage_yields() -> StageYields:
    """Read the tables of this version, once per process; the file has the origin of each row.

    ``lens_*``: shares of focal lengths (ratio to the given one, or full-frame millimetres);
    ``tilt``, ``region``, ``hand``, ``half``: shares of views; ``success …``: how often a method
    finds the true camera in its box, given that earlier stages did not; ``work …``: seconds of one
    core of the machine where they were measured.
    """
    tables: StageYields = {}
    path = files("regengine.registration") / "stage_yields.csv"
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        tables.setdefault(row["table"], {})[row["key"]] = float(row["value"])
    return tables


# Half of the located photos show a city less than 315 km from the nadir, nine in ten less than
# 1,134 km. A radius of 400 km discriminates places on the orbit best (1.3 nats), and 800 km hardly
# less (1.2; 1,500 km: 1.1). Oblique views require the larger one
REACH_KM = 800.0
# Decimal logarithm of the light within `REACH_KM`, the sum of map values times square kilometres
LIGHT_DEX = np.array([2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25])
LIGHT_NEG_LOG_PRIOR = np.array([3.2, 2.0, 1.6, 0.7, 0.0, -1.1, -2.1])
# The Sun's elevation at the nadir, degrees. No record has the Sun above the horizon, so the last
# value is chosen
SUN_DEG = np.array([-27.5, -22.5, -17.5, -12.5, -7.5, -2.5, 10.0])
SUN_NEG_LOG_PRIOR = np.array([0.0, 0.6, 1.9, 2.4, 2.6, 3.1, 4.5])


@lru_cache(maxsize=4)
def measure_lit_ground(light_map: RasterMap) -> FloatArray | None:
    """Sum the light within `REACH_KM` of every place; None without an overview."""
    overview = light_map.overview(0.5)
    return None if overview is None else sum_lit_ground(overview, REACH_KM)


def is_dark(light_map: RasterMap) -> bool:
    """Whether a map has no light at all, as far as its overview shows."""
    lit_dex = measure_lit_ground(light_map)
    return lit_dex is not None and not lit_dex.any()


def weigh_places(
    positions_ecef_m: FloatArray, lit_dex: FloatArray | None, sun: FloatArray
) -> FloatArray:
    """Weigh how unlikely it is that a night frame was taken from places, relative to others.

    Returns a negative log-probability ratio, shape (n,). ``lit_dex``: see `measure_lit_ground`.
    """
    sine = positions_ecef_m @ sun / np.linalg.norm(positions_ecef_m, axis=1)
    sun_deg = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    of_sun = np.asarray(np.interp(sun_deg, SUN_DEG, SUN_NEG_LOG_PRIOR), np.float64)
    if lit_dex is None:
        return of_sun
    lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
    row, col = np.clip((lat + 90.0).astype(int), 0, 179), (lon + 180.0).astype(int) % 360
    return np.asarray(np.interp(lit_dex[row, col], LIGHT_DEX, LIGHT_NEG_LOG_PRIOR) + of_sun)


# Probability density of a wrong place: 3 % of given places are wrong, as with other input, and
# these spread over ten times as many places
OUTLIER_SHARE = 0.003


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Some part of the photo shows ground within a radius of a place (lon and lat in degrees)."""

    lon: float
    lat: float
    radius_km: float

    def weigh(self, positions_ecef_m: FloatArray) -> FloatArray:
        """Weigh how unlikely it is that the camera was at places (n, 3), relative to above it.

        Returns a negative log-probability per area, so the probability of a ring of distances is
        divided by its circumference.
        """
        lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
        away_km = np.asarray(great_circle_km(self.lon, self.lat, lon, lat), float)
        beyond_km = np.maximum(away_km - self.radius_km, 0.0)
        ring = self.radius_km / np.maximum(away_km, self.radius_km)
        # The distances from the nadir of the places that photos show agree with an exponential
        # distribution (half of them less than 315 km, nine in ten less than 1,134 km)
        share = ring * np.exp(-beyond_km / 454.0)
        return np.asarray(-np.log((1.0 - OUTLIER_SHARE) * share + OUTLIER_SHARE))

    def is_shown_by(self, camera: Camera) -> bool:
        """Whether ground within the radius is visible to a camera of the stored image."""
        x, y = np.meshgrid(
            np.linspace(0.0, camera.width_px - 1.0, 25),
            np.linspace(0.0, camera.height_px - 1.0, 25),
        )
        lon, lat = camera.pixel_to_lonlat(x.ravel(), y.ravel())
        seen = np.isfinite(lon)
        if not seen.any():
            return False
        at_x, at_y = camera.lonlat_to_pixel(self.lon, self.lat)
        inside = 0.0 <= at_x < camera.width_px and 0.0 <= at_y < camera.height_px
        away_km = great_circle_km(self.lon, self.lat, lon[seen], lat[seen])
        return bool(inside or away_km.min() <= self.radius_km)


@dataclass(frozen=True, kw_only=True)
class Track:
    """A one-dimensional family of camera positions.

    The functions take offsets along the track in kilometres, a number or an array of shape (n,).

    position: ECEF positions, metres, shape (3,) or (n, 3).
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

    position: Callable[[ArrayLike], FloatArray]
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
    return PosePrior(
        position_ecef_m=to_xyz(track.position(offset_km)),
        velocity_ecef=to_xyz(track.velocity(offset_km)),
        focal_px=nominal.focal_px * lens.ratio,
        sigma_along_m=1e3 * min(spread_km, track.sigma_along_km),
        sigma_across_m=1e3 * track.sigma_across_km(offset_km),
        sigma_up_m=1e3 * track.sigma_up_km,
        sigma_log_focal=lens.sigma_log_focal,
        # Radial distortion of lenses of 24 mm and longer: a few percent at the corner
        sigma_k1=0.05,
        principal_point=nominal.principal_point,
        sigma_principal_px=(
            LENS.sigma_principal_share * nominal.long_side_px if lens.is_cropped else 0.0
        ),
        k1=nominal.distortion[0],
    )


def make_tracks(
    position: CameraPosition,
    clock_window_s: float | None,
    lit_dex: FloatArray | None = None,
) -> tuple[Track, ...]:
    """Make the tracks along which the camera may have been, from an element set or a nadir.

    Two orbits pass through a nadir. If a velocity is given, only the one in its direction is used.
    """
    if position.source == "centre":  # an orbit that contradicts it is a start of its own
        return tuple(make_tracks_around(position))
    if position.alternative is not None:
        # 2 % of the archive's night frames contradict their orbit by hundreds of kilometres
        more = 3.0
        others = make_tracks(position.alternative, clock_window_s, lit_dex)
        return (
            *make_tracks(replace(position, alternative=None), clock_window_s, lit_dex),
            *(replace(track, neg_log_prior=track.neg_log_prior + more) for track in others),
        )
    # Clocks are assumed right to two minutes; without a match to ten minutes, then to whole hours
    widest_s = 600.0 if clock_window_s is None else clock_window_s
    if position.element_set is None or position.time_utc is None:
        velocity = position.velocity_ecef_m_s
        ways = (True, False) if velocity is None else (bool(velocity[2] > 0.0),)
        return tuple(make_nadir_track(position, ascending) for ascending in ways)
    slide = make_slide_belief(position.sigma_along_km, before=(position.tle_age_h or 0.0) > 0.0)
    slide = with_drag(slide, drag_shift_km(position.element_set, position.time_utc))
    speed_km_s = circular_speed_km_s(position)
    usual_s = min(widest_s, TRACKS.usual_clock_s)
    usual_km, widest_km = usual_s * speed_km_s, widest_s * speed_km_s
    usual = with_clock(slide, usual_clock(usual_km, speed_km_s), usual_km)
    tracks = [make_tle_track(position, usual, (0.0, usual_s), 0, lit_dex)]
    if widest_s > usual_s:
        minutes = with_clock(slide, even(usual_km, widest_km), widest_km, usual_km)
        tracks.append(make_tle_track(position, minutes, (usual_s, widest_s), 0, lit_dex))
    if clock_window_s is None:
        for hours in range(1, 13):  # all time zones
            tracks += [
                make_tle_track(position, usual, (0.0, usual_s), sign * hours, lit_dex)
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
    clock_km, slide_km = TRACKS.clock_sigma_s * speed_km_s, position.sigma_along_km
    clock_share = 1.0 if least_s > 0.0 else clock_km**2 / (clock_km**2 + slide_km**2)
    off_s = 3600.0 * hours
    sun = sun_direction(time_utc + timedelta(seconds=off_s))
    neg_log_prior = TRACKS.minutes_neg_log_prior if least_s > 0.0 else 0.0
    if abs(hours) == 1:  # as likely as minutes, half for each sign
        neg_log_prior = TRACKS.minutes_neg_log_prior + math.log(2.0)
    elif hours:
        # Cameras on board keep UTC, so errors of more hours are rare; smaller ones come first
        neg_log_prior = 6.5 + 0.1 * abs(hours)  # each 1 in 1,000 or less, by eye

    def clock(offsets_km: FloatArray) -> FloatArray:
        return np.clip(clock_share * (offsets_km / speed_km_s), -most_s, most_s)

    def places(offsets_km: FloatArray) -> FloatArray:
        seconds, clock_s = offsets_km / speed_km_s, clock(offsets_km)
        return track_positions(element_set, time_utc, off_s + clock_s, seconds - clock_s)

    def may_be_night(offsets_km: FloatArray) -> NDArray[np.bool_]:
        there = places(np.asarray(offsets_km, float))
        limit = np.sin(np.radians(TRACKS.night_sun_deg)) * np.linalg.norm(there, axis=1)
        return np.asarray(there @ sun < limit)

    def sigma_across_km(offset_km: float) -> float:
        unknown_s = min(abs(TRACKS.unknown_clock_share * offset_km / speed_km_s), most_s)
        if least_s > 0.0:
            unknown_s = min(unknown_s, slide_km / speed_km_s)
        earth_km_s = EARTH_RATE_RAD_S * radius_km * float(np.cos(np.radians(position.lat)))
        turned_km = earth_km_s * max(unknown_s, TRACKS.clock_sigma_s / 2)
        return float(np.hypot(position.sigma_cross_km, turned_km))

    return Track(
        position=lambda km: places(np.ravel(km)).reshape(*np.shape(km), 3),
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


def make_nadir_track(position: CameraPosition, ascending: bool) -> Track:
    """Make the track of the orbit through a nadir, northward or southward."""
    radius_m = float(np.linalg.norm(position.position_ecef_m))
    nadir = position.lon, position.lat, position.altitude_km

    def at(offset_km: ArrayLike) -> FloatArray:
        on_ground_km = np.ravel(offset_km) * SEMI_MAJOR_M / radius_m
        return nadir_track_positions(*nadir, on_ground_km, ascending).reshape(
            *np.shape(offset_km), 3
        )

    return Track(
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=position.sigma_along_km,
        belief=make_nadir_belief(position.sigma_along_km),
        # A reported nadir may be off in any direction
        sigma_across_km=lambda _: max(position.sigma_cross_km, 25.0),
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=ORBITAL_SPEED_KM_S,
        source=position.source,
        shares_start=not ascending and position.velocity_ecef_m_s is None,
    )


def make_tracks_around(position: CameraPosition) -> Iterator[Track]:
    """Make parallel tracks around a place; the camera is equally likely on all of them."""
    middle = make_nadir_track(position, True)
    start_m, ahead = middle.position(0.0), middle.velocity(0.0)
    # Two steps of the places along a track (by eye)
    step_km, reach_km = 300.0, position.sigma_along_km
    farthest_deg = 51.9  # latitude limit of the orbit
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
        track = make_nadir_track(nadir, True)
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
        return np.asarray(track.place_neg_log_prior(each) + seen.weigh(track.position(each)))

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


# Name and value of the source that results with a neighbour prior record
SOURCE = "hint"
# Clock offset and along-track error are mostly constant over a day, but then two frames must agree.
# EXIF counts whole seconds; an element set one day old is wrong by 1.7 s in one frame of ten
MAX_APART_S = 43_200.0
AGREE_S = 5.0
ORBIT_SIGMA_S = 1.0  # of a common offset, from the same


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The solved camera of a frame of the same size, taken moments before or after."""

    frame: str
    camera: Camera


@dataclass(frozen=True, kw_only=True)
class NeighbourPrior:
    """Prior of a frame from accepted frames of the same camera body.

    frames: Frame ids of the accepted frames.
    offset_s: Their common time offset along the track, as in `regengine.store.result.SolvedCamera`,
        the mean by weight.
    spread_s: Standard deviation of their offsets, or of the mean if that is more, with a lower
        limit.
    focal_ratio: Ratio of their focal length to the nominal one.
    mirrored, cropped: Whether their images are mirrored, or have the optical axis off the middle.
    neighbours: Frames taken so shortly before or after that the attitude may be unchanged.
    first_probability: Probability of the match found without this prior.
    """

    frames: tuple[str, ...]
    offset_s: float
    spread_s: float
    focal_ratio: float = 1.0
    mirrored: bool = False
    cropped: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    first_probability: float = 0.0

    @property
    def source(self) -> str:
        """Description of the prior for the sources of a result."""
        near = " and ".join(neighbour.frame for neighbour in self.neighbours)
        shared = f"clock and lens of {', '.join(self.frames)}"
        camera = f", neighbour {near}" if near else ""
        return f"searched again with {shared}{camera}"

    @property
    def sha256(self) -> str:
        """Hexadecimal hash of the prior; equal for equal priors."""
        settings = asdict(self)
        del settings["first_probability"]  # property of the frame, not of its neighbours
        # Convert NumPy scalars to Python numbers
        text = json.dumps(settings, sort_keys=True, default=lambda number: number.item())
        return hashlib.sha256(text.encode()).hexdigest()

    def is_worth_trying(self) -> bool:
        """Whether it differs enough from the prior of a search without neighbours."""
        # A search without neighbours starts at offset 0, so smaller offsets add nothing
        return (
            bool(self.neighbours)
            or self.mirrored
            or abs(self.offset_s) >= 3.0
            or abs(math.log(self.focal_ratio)) >= LENS.sigma_log_focal
        )


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """Metadata that determine which frames share a camera; the time is by the camera's clock.

    Frames of one camera model on one day are assumed to be from the same camera.

    camera: Camera of a reference: an accepted frame, whose nadir is from a TLE; else None.
    offset_s, sigma_s, focal_ratio: Its time offset along the track with one sigma, and the ratio of
        its focal length to the nominal one.
    """

    frame: str
    camera_body: str
    time_utc: datetime
    focal_mm: float | None
    size_px: tuple[int, int]
    camera: Camera | None = None
    offset_s: float = 0.0
    sigma_s: float = TRACKS.clock_sigma_s
    focal_ratio: float = 1.0

    @property
    def weight(self) -> float:
        """Weight of its offset, 1 / s²."""
        return 1.0 / (ORBIT_SIGMA_S**2 + self.sigma_s**2)

    @classmethod
    def from_result(cls, result: FrameResult) -> FrameFacts | None:
        """Make the facts of a photo from its result; None without a time or a camera body."""
        body, time = result.camera_body, result.time_utc
        width, height = result.width_px, result.height_px
        if body is None or time is None or width is None or height is None:
            return None
        facts = cls(
            frame=result.frame,
            camera_body=body,
            time_utc=datetime.fromisoformat(time),
            focal_mm=result.focal_mm,
            size_px=(width, height),
        )
        solved, offset_s = result.solved, None
        if solved is not None and result.nadir is not None and result.nadir.source == "tle":
            offset_s = solved.along_track_offset_s
        if solved is None or offset_s is None or result.pixel_pitch_um is None:
            return facts
        if result.verdict != "accepted":
            return facts
        nominal_px = 1e3 * (result.focal_mm or LENS.usual_focal_mm) / result.pixel_pitch_um
        ratio = solved.camera.focal_px / nominal_px
        facts = replace(facts, camera=solved.camera, offset_s=offset_s, focal_ratio=ratio)
        if solved.along_track_sigma_s is None:
            return facts
        return replace(facts, sigma_s=solved.along_track_sigma_s)


def make_neighbour_prior(
    facts: FrameFacts, references: Sequence[FrameFacts]
) -> NeighbourPrior | None:
    """Derive the prior of a frame from accepted frames.

    The references may be in any order. They may include another copy of the frame, but not the
    frame itself. The result is None if no frame of the camera body is near in time and those within
    a day do not agree.
    """

    def away_s(one: FrameFacts) -> float:
        return abs((facts.time_utc - one.time_utc).total_seconds())

    same_body = (one for one in references if one.camera_body == facts.camera_body)
    known = sorted(same_body, key=lambda one: (away_s(one), one.frame))
    known = [one for one in known if away_s(one) <= MAX_APART_S]
    # Clock offset and along-track error of an element set are constant over minutes
    near = [one for one in known if away_s(one) <= 600.0]
    pool = near or known
    weights = np.array([one.weight for one in pool])
    agreeing = find_agreeing([one.offset_s for one in pool], AGREE_S, weights)
    group, weights, total = [pool[k] for k in agreeing], weights[agreeing], weights.sum()
    if not near and (len(group) < 2 or weights.sum() < (0.5 - 1e-9) * total):
        return None
    lens = facts.focal_mm, sorted(facts.size_px)
    # The focal length of a stretched copy does not correspond to either side of the sensor
    same_lens = [
        (one, one.camera)
        for one in group
        if (one.focal_mm, sorted(one.size_px)) == lens
        and one.camera is not None
        and one.camera.pixel_aspect is None
    ]
    log_ratios = [math.log(one.focal_ratio) for one, _ in same_lens]
    agreeing = find_agreeing(log_ratios, LENS.sigma_log_focal)
    log_ratio = float(np.median([log_ratios[k] for k in agreeing])) if agreeing else 0.0
    same_lens = [same_lens[k] for k in agreeing]
    n_cropped, neighbours = 0, []
    for one, camera in same_lens:
        sides = np.array([camera.width_px, camera.height_px])
        off_px = math.dist(camera.principal_point, (sides - 1) / 2.0)
        # A frame is a crop if its optical axis is off the middle by this share of the long side
        n_cropped += off_px > 0.01 * sides.max()
        # 900 km along the track, a third of the visible ground up to the horizon
        if one.size_px == facts.size_px and away_s(one) <= 120.0:
            neighbours.append(Neighbour(frame=one.frame, camera=camera))
    offsets_s = np.array([one.offset_s for one in group])
    offset_s = float(np.average(offsets_s, weights=weights))
    scatter_s = float(np.average((offsets_s - offset_s) ** 2, weights=weights)) ** 0.5
    return NeighbourPrior(
        frames=tuple(one.frame for one in group),
        offset_s=offset_s,
        spread_s=max(2.0, scatter_s, float(weights.sum()) ** -0.5),
        focal_ratio=math.exp(log_ratio),
        mirrored=2 * sum(camera.mirrored for _, camera in same_lens) > len(same_lens),
        cropped=bool(2 * n_cropped > len(same_lens)),
        neighbours=tuple(neighbours[:2]),
    )


def find_agreeing(
    values: Sequence[float], width: float, weights: FloatArray | None = None
) -> list[int]:
    """Find the group of most weight within a width of each other; return ascending indices.

    Without weights it is the largest. Values are ordered by importance, most important first. Among
    equal groups, the one with the most important value is chosen.
    """
    weights = np.ones(len(values)) if weights is None else weights
    groups = [[k for k, v in enumerate(values) if low <= v <= low + width] for low in values]
    return max(groups, key=lambda group: (float(weights[group].sum()), -group[0]), default=[])
