"""In which order the search tries places on the track, scales and mirror images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from matchers.camera import Camera
from regengine.hypotheses import Look
from regengine.track import Track

# From one position the ground is seen well enough to be found while the distortion that a wrong
# position causes stays below this share of the template's half side
POSITION_TOLERANCE = 0.06
STEP_LIMITS_KM = (90.0, 200.0)
# Tiles farther off nadir see ground that is more than twice as far away: half the positions do
FAR_OFF_NADIR_DEG = 40.0
FAR_STEP_RATIO = 2.0
# Edited copies are crops (1.28 and 1.4 times seen): the focal length in pixels is then larger
CROP_SCALES = (1.25, 1.55, 0.8, 1.95)
SIGMA_LOG_FOCAL = 0.03  # zooms and focusing: 2-3 % on originals
SIGMA_LOG_FOCAL_CROPPED = 0.12
# and the lens' axis is anywhere in them: half a frame has it at a quarter of the whole from its own
# middle
SIGMA_PRINCIPAL_SHARE = 0.2
# Night lenses in order of use (counts of 9,403 archive records), millimetres
USUAL_LENSES_MM = (85.0, 50.0, 400.0, 180.0, 28.0, 58.0, 24.0, 35.0, 105.0, 135.0, 300.0, 16.0)
SIGMA_LOG_FOCAL_UNKNOWN = 0.12
# How unlikely a look is, as a negative log-probability; only the order depends on it
FAR_SURPRISE = 0.7  # half of the located photos show a city more than 315 km from the nadir
CROP_SURPRISE = 3.5  # originals of the archive are seldom crops
CROPPED_SURPRISE = 1.0  # where the shape is not the sensor's
MIRROR_SURPRISE = 2.8
LENS_SURPRISE = 0.4
HAZY_SURPRISE = 1.6  # of 18 simulated frames that one light image failed on, the other solved 4
# Offsets are mostly small with a long tail: a third of one sigma is their usual size
USUAL_SHARE_OF_SIGMA = 1.0 / 3.0
LEAST_USUAL_OFFSET_KM = 150.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A focal length to try, relative to the nominal one."""

    ratio: float
    sigma_log_focal: float
    surprise: float
    cropped: bool


def step_km(camera: Camera, altitude_km: float) -> float:
    """Distance between positions on the track that need a look of their own."""
    half = max(camera.width_px, camera.height_px) / 2.0 / camera.focal_px
    return float(np.clip(2.0 * altitude_km * POSITION_TOLERANCE / half, *STEP_LIMITS_KM))


def offsets_outward(reach_km: float, step: float) -> list[float]:
    """0, +step, -step, +2 step … until no place within the reach is farther than half a step."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [0.0] + [sign * k * step for k in range(1, count + 1) for sign in (1.0, -1.0)]


def scales(focal_known: bool, may_be_cropped: bool) -> list[Scale]:
    """Focal lengths worth a look, relative to the nominal one."""
    if not focal_known:
        return [
            Scale(
                ratio=lens / USUAL_LENSES_MM[0],
                sigma_log_focal=SIGMA_LOG_FOCAL_UNKNOWN,
                surprise=LENS_SURPRISE * k,
                cropped=may_be_cropped,
            )
            for k, lens in enumerate(USUAL_LENSES_MM)
        ]
    first = CROPPED_SURPRISE if may_be_cropped else CROP_SURPRISE
    crops = [
        Scale(
            ratio=r, sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED, surprise=first + 0.3 * k, cropped=True
        )
        for k, r in enumerate(CROP_SCALES)
    ]
    nominal = Scale(
        ratio=1.0, sigma_log_focal=SIGMA_LOG_FOCAL, surprise=0.0, cropped=may_be_cropped
    )
    return [nominal, *crops]


def plan(
    stored: Camera,
    tracks: Sequence[Track],
    altitude_km: float,
    focal_known: bool,
    may_be_cropped: bool,
) -> Iterator[Look]:
    """Everything worth a look, the likeliest first.

    Parameters
    ----------
    stored : Camera
        Camera of the stored image at the nominal focal length.
    tracks : sequence of Track
        Where it may have been; all share their start.
    altitude_km : float
        Height above the ground.
    focal_known : bool
        Whether the nominal focal length means anything; if not, the usual lenses are tried.
    may_be_cropped : bool
        Whether the image's shape speaks for a crop.

    Yields
    ------
    Look
    """
    options = []
    for scale in scales(focal_known, may_be_cropped):
        step = step_km(stored.scaled(scale.ratio, stored.width_px, stored.height_px), altitude_km)
        for mirrored in (False, True):
            for far, hazy in product((False, True), (False, True)):
                spacing = step * FAR_STEP_RATIO if far else step
                surprise = scale.surprise + MIRROR_SURPRISE * mirrored
                surprise += FAR_SURPRISE * far + HAZY_SURPRISE * hazy
                for number, track in enumerate(tracks):
                    for offset in offsets_outward(track.reach_km, spacing):
                        if offset == 0.0 and number > 0:
                            continue
                        total = surprise + offset_surprise(offset, track)
                        options.append(
                            (total, number, -offset, far, mirrored, hazy, scale, spacing)
                        )
    options.sort(key=lambda o: o[:6])
    for _, number, minus_offset, far, mirrored, hazy, scale, spacing in options:
        track = tracks[number]
        sigma_along = min(0.6 * spacing, track.sigma_along_km)
        longest = max(stored.width_px, stored.height_px)
        yield Look(
            offset_km=-minus_offset,
            scale=scale.ratio,
            mirrored=mirrored,
            hazy=hazy,
            speed_km_s=track.speed_km_s,
            prior=track.prior(
                -minus_offset,
                sigma_along,
                replace(stored, focal_px=stored.focal_px * scale.ratio),
                scale.sigma_log_focal,
                SIGMA_PRINCIPAL_SHARE * longest if scale.cropped else 0.0,
            ),
            off_nadir_deg=(FAR_OFF_NADIR_DEG, 90.0) if far else (0.0, FAR_OFF_NADIR_DEG),
        )


def offset_surprise(offset_km: float, track: Track) -> float:
    """Negative log-probability of an offset, up to a constant: a Cauchy distribution."""
    usual = max(LEAST_USUAL_OFFSET_KM, USUAL_SHARE_OF_SIGMA * track.sigma_along_km)
    return math.log1p((offset_km / usual) ** 2)
