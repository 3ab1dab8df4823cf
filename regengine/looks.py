"""In which order the search tries places on the track, scales and mirror images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from matchers.camera import Camera
from regengine.hypotheses import Look
from regengine.track import Track

# From one position the ground is seen well enough to be found while the distortion that a wrong
# position causes stays below this share of the template's half side
POSITION_TOLERANCE = 0.06
STEP_LIMITS_KM = (90.0, 200.0)
# EXIF clocks seen so far were within 32 s, 245 km: this far out is looked at first
USUAL_OFFSET_KM = 260.0
# Edited copies are crops: the focal length in pixels is then larger than it seems
CROP_SCALES = (1.25, 1.55, 0.8, 1.95)
SIGMA_LOG_FOCAL = 0.03  # zooms and focusing: 2-3 % on originals
SIGMA_LOG_FOCAL_CROPPED = 0.12
# Night lenses in order of use (counts of 9,403 archive records), millimetres
USUAL_LENSES_MM = (85.0, 50.0, 400.0, 180.0, 28.0, 58.0, 24.0, 35.0, 105.0, 135.0, 300.0, 16.0)
SIGMA_LOG_FOCAL_UNKNOWN = 0.12


def step_km(camera: Camera, altitude_km: float) -> float:
    """Distance between positions on the track that need a look of their own."""
    half = max(camera.width_px, camera.height_px) / 2.0 / camera.focal_px
    return float(np.clip(2.0 * altitude_km * POSITION_TOLERANCE / half, *STEP_LIMITS_KM))


def offsets_outward(reach_km: float, step: float) -> list[float]:
    """0, +step, -step, +2 step … until no place within the reach is farther than half a step."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [0.0] + [sign * k * step for k in range(1, count + 1) for sign in (1.0, -1.0)]


def plan(
    stored: Camera, tracks: Sequence[Track], altitude_km: float, focal_known: bool
) -> Iterator[Look]:
    """Everything worth a look, the likeliest first.

    First the nominal scale near the expected place, then far along the track; then crops, then
    mirror images.

    Parameters
    ----------
    stored : Camera
        Camera of the stored image at the nominal focal length.
    tracks : sequence of Track
        Where it may have been.
    altitude_km : float
        Height above the ground.
    focal_known : bool
        Whether the nominal focal length means anything; if not, the usual lenses are tried.

    Yields
    ------
    Look
    """
    if not focal_known:
        reference = USUAL_LENSES_MM[0]
        for lens in USUAL_LENSES_MM:
            yield from _along(
                stored, tracks, altitude_km, lens / reference, SIGMA_LOG_FOCAL_UNKNOWN, 0.0, False
            )
        return
    usual, far = USUAL_OFFSET_KM, float("inf")
    yield from _along(stored, tracks, altitude_km, 1.0, SIGMA_LOG_FOCAL, usual, False)
    for scale in CROP_SCALES:
        yield from _along(stored, tracks, altitude_km, scale, SIGMA_LOG_FOCAL_CROPPED, 0.0, False)
    yield from _along(stored, tracks, altitude_km, 1.0, SIGMA_LOG_FOCAL, 0.0, True)
    yield from _along(stored, tracks, altitude_km, 1.0, SIGMA_LOG_FOCAL, far, False, usual)
    yield from _along(stored, tracks, altitude_km, 1.0, SIGMA_LOG_FOCAL, far, True, 1.0)
    for scale in CROP_SCALES:
        yield from _along(
            stored, tracks, altitude_km, scale, SIGMA_LOG_FOCAL_CROPPED, usual, False, 1.0
        )


def _along(
    stored: Camera,
    tracks: Sequence[Track],
    altitude_km: float,
    scale: float,
    sigma_log_focal: float,
    farthest_km: float,
    mirrored: bool,
    nearest_km: float = 0.0,
) -> Iterator[Look]:
    """Looks at one scale along all tracks, outward; the start, which they share, once."""
    focal_px = stored.focal_px * scale
    step = step_km(stored.scaled(scale, stored.width_px, stored.height_px), altitude_km)
    places = [
        (abs(offset), number, offset, track)
        for number, track in enumerate(tracks)
        for offset in offsets_outward(track.reach_km, step)
        if nearest_km <= abs(offset) <= farthest_km and (offset != 0.0 or number == 0)
    ]
    for _, _, offset, track in sorted(places, key=lambda p: (p[0], p[1], -p[2])):
        sigma_along = min(0.6 * step, track.sigma_along_km)
        yield Look(
            offset_km=offset,
            scale=scale,
            mirrored=mirrored,
            speed_km_s=track.speed_km_s,
            prior=track.prior(offset, sigma_along, focal_px, sigma_log_focal),
        )
