"""Predict the tracks of catalogued satellites in a picture during its exposure, with errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.constants import ORBITAL_SPEED_KM_S
from detectors.types import BoolArray, FloatArray
from regengine.sky.satellites.catalogue import TAIL_FACTOR, Satellites
from regengine.sky.satellites.observer import (
    EARTH_KM,
    Exposure,
    are_hidden_by_earth,
    lines_of_sight,
    orbit_axes,
    states,
    sun_teme,
    sunlit_share,
)

CULL_STEP_S = 20.0
MAX_INSTANTS = 24  # of the preselection; longer exposures have longer steps
TRACK_STEP_S = 0.4  # a low satellite moves by half a degree: straight to a thousandth of that
MIN_STEPS, MAX_STEPS = 17, 385
CLOCK_SIGMAS = 5.0
MAX_SLIDE_S = 15.0  # time range ahead and behind, in addition to the clock error
MARGIN_SIGMAS = 4.0
ATTACHED_KM = 5.0  # the observer itself, and vehicles docked to it


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks:
    """Tracks of n satellites at T times, in pixels of the picture as stored."""

    rows: NDArray[np.intp]  # shape (n,): indices of the given satellites
    # Shape (T,): times from mid-exposure; they extend beyond the exposure by the uncertainty of
    # clock and orbits
    seconds: FloatArray
    # Shape (n, T, 2): positions for the attitude at mid-exposure; NaN behind the camera or the
    # Earth
    xy: FloatArray
    # Shape (n, T, 2, K): shift by one sigma of each error: the satellite along, across and above
    # its orbit, then the observer
    per_sigma: FloatArray
    # Shape (n, T): distance from the observer, and height above the equatorial radius
    range_km: FloatArray
    height_km: FloatArray
    sunlit: FloatArray  # shape (n, T): visible share of the Sun's disc

    def __len__(self) -> int:
        return int(self.rows.size)


def predict_tracks(satellites: Satellites, exposure: Exposure) -> Tracks:
    """Predict the tracks of all satellites that may be in a picture."""
    sigma_km = satellites.sigma_km()
    usual_km = float(np.median(sigma_km[0]))
    slack_s = CLOCK_SIGMAS * exposure.clock_sigma_s + min(
        MARGIN_SIGMAS * TAIL_FACTOR * usual_km / ORBITAL_SPEED_KM_S, MAX_SLIDE_S
    )
    half_s = 0.5 * exposure.exposure_s + slack_s
    rows = _select_near_picture(satellites, exposure, half_s, sigma_km[0])
    steps = int(np.clip(np.ceil(2.0 * half_s / TRACK_STEP_S) + 1, MIN_STEPS, MAX_STEPS))
    seconds = np.linspace(-half_s, half_s, steps)
    records = [satellites.records[row] for row in rows]
    position, velocity = states(records, exposure.days(seconds))
    observer = exposure.observer.position_km(exposure.days(seconds))
    sight = lines_of_sight(position, velocity, observer)
    x, y = exposure.pixels(sight)
    gone = are_hidden_by_earth(position, observer[None])
    xy = np.where(gone[..., None], np.nan, np.stack([x, y], axis=-1))
    # Steps are shorter than the picture's size, and a track has at least two samples
    size = np.array([exposure.field.width_px, exposure.field.height_px])
    slack = 0.5 * size.max()
    near = ((xy > -slack) & (xy < size + slack)).all(axis=-1)
    keep = np.count_nonzero(near, axis=1) > 1
    rows, xy, sight = rows[keep], xy[keep], sight[keep]
    position, velocity = position[keep], velocity[keep]
    offsets = [
        one[rows][:, None, None] * axis
        for one, axis in zip(sigma_km, orbit_axes(position, velocity), strict=True)
    ]
    offsets += [-other for other in exposure.observer.uncertainty_km(exposure.middle_days)]
    moved = [np.stack(exposure.pixels(sight + offset), axis=-1) - xy for offset in offsets]
    return Tracks(
        rows=rows,
        seconds=seconds,
        xy=xy,
        per_sigma=np.stack(moved, axis=-1),
        range_km=np.linalg.norm(sight, axis=-1),
        height_km=np.linalg.norm(position, axis=-1) - EARTH_KM,
        sunlit=sunlit_share(position, sun_teme(exposure.middle_utc)),
    )


def touch_picture(tracks: Tracks, exposure: Exposure) -> BoolArray:
    """Which tracks cross the picture during the nominal exposure, shape (n,)."""
    seen = np.zeros(len(tracks), bool)
    for row in range(len(tracks)):
        x, y = sample_track(tracks, row, exposure)
        w, h = exposure.field.width_px, exposure.field.height_px
        seen[row] = bool(np.any((x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)))
    return seen


def sample_track(
    tracks: Tracks, row: int, exposure: Exposure, steps: int = 33
) -> tuple[FloatArray, FloatArray]:
    """Pixels of one track, from the exposure's start to its end.

    If the camera is fixed to its observer, the track is drawn relative to trailing stars: each
    position is for its own time.
    """
    half = 0.5 * exposure.exposure_s
    seconds = np.linspace(-half, half, steps)
    x, y = (np.interp(seconds, tracks.seconds, tracks.xy[row, :, k]) for k in range(2))
    return exposure.carried(x, y, -seconds)


def _select_near_picture(
    satellites: Satellites, exposure: Exposure, half_s: float, along_km: FloatArray
) -> NDArray[np.intp]:
    """Satellites whose distance from the picture's cone they may cover in that time."""
    count = int(np.clip(np.ceil(2.0 * half_s / CULL_STEP_S), 1, MAX_INSTANTS))
    step_s = 2.0 * half_s / count
    seconds = -half_s + step_s * (np.arange(count) + 0.5)
    days = exposure.days(seconds)
    position, velocity = states(satellites.records, days)
    observer = exposure.observer.position_km(days)
    later = exposure.observer.position_km(exposure.days(seconds + 1.0))
    sight = position - observer
    range_km = np.linalg.norm(sight, axis=-1)
    speed = np.linalg.norm(velocity - (later - observer), axis=-1)
    reach_km = 0.5 * step_s * speed + MARGIN_SIGMAS * along_km[:, None]
    middle, radius = exposure.cone
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.clip(sight @ (exposure.to_icrs.T @ middle) / range_km, -1.0, 1.0)
        angle = np.arccos(cosine) - radius
        angle -= exposure.exposure_s * float(np.linalg.norm(exposure.turning))
        near = (reach_km >= range_km) | (angle <= np.arcsin(np.minimum(reach_km / range_km, 1.0)))
        near &= range_km > ATTACHED_KM
    return np.flatnonzero(near.any(axis=1))
