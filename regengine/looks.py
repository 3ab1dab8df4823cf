"""In which order the search tries places on the track, scales and mirror images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.camera import Camera
from regengine.hypotheses import Look
from regengine.track import Track

FloatArray = NDArray[np.float64]

# From one position the ground is seen well enough to be found while the distortion that a wrong
# position causes stays below this share of the template's half side
POSITION_TOLERANCE = 0.06
STEP_LIMITS_KM = (90.0, 200.0)
# Tiles farther off nadir see ground that is more than twice as far away: half the positions do.
# Not for telephoto: seven frames of the training half were found in 12 of 14 looks from 100 km
# beside the true position, near nadir as far off, and in 8 of 14 from 200 km
FAR_OFF_NADIR_DEG = 40.0
FAR_STEP_RATIO = 2.0
# Edited copies are crops (1.28 and 1.4 times seen): the focal length in pixels is then larger
CROP_SCALES = (1.25, 1.55, 0.8, 1.95)
SIGMA_LOG_FOCAL = 0.03  # zooms and focusing: 2-3 % on originals
SIGMA_LOG_FOCAL_CROPPED = 0.12
# and the lens' axis is anywhere in them: half a frame has it at a quarter of the whole from its own
# middle
SIGMA_PRINCIPAL_SHARE = 0.2
# Night lenses, millimetres, and how many of 9,403 archive records are theirs. What has lost its
# EXIF is often a crop, too: a tenth of a lens' records is counted for 1.25 and for 1.55 times it
USUAL_LENSES_MM = (85.0, 400.0, 180.0, 50.0, 58.0, 105.0, 135.0, 28.0, 300.0, 24.0, 35.0, 16.0)
LENS_RECORDS = (4220, 1650, 1320, 950, 500, 420, 420, 370, 130, 60, 50, 40)
SIGMA_LOG_FOCAL_UNKNOWN = 0.12
# Figures of towns are compared at each of these shares of the focal length at once; the first
# steps then reach from 0.7 to 1.4 times a lens
LENS_LADDER = (1.0, 0.8, 1.25)
LADDER_LENSES_MM = (85.0, 400.0, 50.0, 200.0, 128.0, 28.0, 700.0, 17.0)
LADDER_RECORDS = (4220, 1650, 1520, 1320, 480, 450, 200, 65)
CROP_LADDER = (0.8, 0.64, 1.25, 0.51, 1.5)
# How unlikely a look is, as a negative log-probability; only the order depends on it
FAR_SURPRISE = 0.7  # half of the located photos show a city more than 315 km from the nadir
# Of 35 training frames at their true place, figures of towns failed on 21; of these pictures found
# 2 near the nadir and 2 far off, at twice the time, figures in the hazy image 1
DENSE_SURPRISE = 3.7
HAZY_SURPRISE = 3.4
TELE_FIELD_DEG = 12.0
# At 400 mm, from the true position, figures found 3 of 18 frames of the training half, pictures 11
# of 14
NO_FIGURES_FIELD_DEG = 7.0
SPARSE_SURPRISE = 3.0
# Originals of the archive are seldom crops; a focal length is wrong for one frame in twenty, and
# a ladder takes two to three times the time of a look
CROP_SURPRISE = 2.8
CROPPED_SURPRISE = 1.0  # where the shape is not the sensor's
MIRROR_SURPRISE = 3.5  # 2 of 135 training frames
MOST_SURPRISE = 18.0  # no search comes that far
LEAST_SHARE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A focal length to try, relative to the nominal one."""

    ratio: float
    sigma_log_focal: float
    surprise: float
    cropped: bool
    ladder: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of look, wherever on the track it is taken; its fields are those of `Look`."""

    scale: Scale
    sparse: bool
    far: bool
    mirrored: bool
    hazy: bool
    flat: bool
    spacing_km: float
    surprise: float


def step_km(camera: Camera, altitude_km: float) -> float:
    """Distance between positions on the track that need a look of their own."""
    half = max(camera.width_px, camera.height_px) / 2.0 / camera.focal_px
    return float(np.clip(2.0 * altitude_km * POSITION_TOLERANCE / half, *STEP_LIMITS_KM))


def field_deg(camera: Camera) -> float:
    """Angle that the long side of an image covers."""
    longest = max(camera.width_px, camera.height_px)
    return float(np.degrees(2.0 * np.arctan(0.5 * longest / camera.focal_px)))


def is_telephoto(camera: Camera) -> bool:
    """Whether a frame lies within one city: its lights are then compared flat."""
    return field_deg(camera) < TELE_FIELD_DEG


def method_surprise(lens: Camera, sparse: bool) -> float:
    """How unlikely it is that figures of towns, or pictures, find a frame of some lens."""
    if field_deg(lens) < NO_FIGURES_FIELD_DEG:
        return SPARSE_SURPRISE if sparse else 0.0
    return 0.0 if sparse else DENSE_SURPRISE


def offsets_outward(reach_km: float, step: float) -> list[float]:
    """0, +step, -step, +2 step … until no place within the reach is farther than half a step."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [0.0] + [sign * k * step for k in range(1, count + 1) for sign in (1.0, -1.0)]


def night_offsets(track: Track, step: float) -> list[float]:
    """Offsets at which the photo may have been taken, outward; a shared start is the first's."""
    offsets = np.array(offsets_outward(track.reach_km, step))
    kept = track.may_be_night(offsets)
    if track.shares_start:
        kept &= offsets != 0.0
    return [float(offset) for offset in offsets[kept]]


def dense_scales(focal_known: bool, may_be_cropped: bool) -> list[Scale]:
    """Focal lengths that are worth a comparison of pictures."""
    if not focal_known:
        return [
            Scale(
                ratio=lens / USUAL_LENSES_MM[0],
                sigma_log_focal=SIGMA_LOG_FOCAL_UNKNOWN,
                surprise=math.log(LENS_RECORDS[0] / records),
                cropped=may_be_cropped,
            )
            for lens, records in zip(USUAL_LENSES_MM, LENS_RECORDS, strict=True)
        ]
    first = CROPPED_SURPRISE if may_be_cropped else CROP_SURPRISE
    crops = [
        Scale(
            ratio=r, sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED, surprise=first + 0.3 * k, cropped=True
        )
        for k, r in enumerate(CROP_SCALES)
    ]
    return [nominal_scale(may_be_cropped), *crops]


def sparse_scales(focal_known: bool, may_be_cropped: bool) -> list[Scale]:
    """Focal lengths that are worth a look by figures of towns, which covers a ladder of them."""
    if not focal_known:
        return [
            Scale(
                ratio=lens / USUAL_LENSES_MM[0],
                sigma_log_focal=SIGMA_LOG_FOCAL_UNKNOWN,
                surprise=math.log(LADDER_RECORDS[0] / records),
                cropped=may_be_cropped,
                ladder=LENS_LADDER,
            )
            for lens, records in zip(LADDER_LENSES_MM, LADDER_RECORDS, strict=True)
        ]
    crops = Scale(
        ratio=1.0,
        sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED,
        surprise=CROPPED_SURPRISE if may_be_cropped else CROP_SURPRISE,
        cropped=True,
        ladder=CROP_LADDER,
    )
    return [nominal_scale(may_be_cropped), crops]


def nominal_scale(may_be_cropped: bool) -> Scale:
    """The focal length that the metadata has."""
    return Scale(ratio=1.0, sigma_log_focal=SIGMA_LOG_FOCAL, surprise=0.0, cropped=may_be_cropped)


def kinds_of_look(
    stored: Camera, altitude_km: float, focal_known: bool, may_be_cropped: bool
) -> Iterator[Kind]:
    """All kinds of look, in no order."""
    for sparse in (True, False):
        scales = (sparse_scales if sparse else dense_scales)(focal_known, may_be_cropped)
        for scale in scales:
            lens = stored.scaled(scale.ratio, stored.width_px, stored.height_px)
            step = step_km(lens, altitude_km)
            flat = is_telephoto(lens)
            how = method_surprise(lens, sparse)
            far_step = step if flat else step * FAR_STEP_RATIO
            for far in (False,) if sparse else (False, True):
                for mirrored, hazy in product((False, True), (False,) if flat else (False, True)):
                    surprise = scale.surprise + MIRROR_SURPRISE * mirrored + HAZY_SURPRISE * hazy
                    yield Kind(
                        scale=scale,
                        sparse=sparse,
                        far=far,
                        mirrored=mirrored,
                        hazy=hazy,
                        flat=flat,
                        spacing_km=far_step if far else step,
                        surprise=surprise + how + FAR_SURPRISE * far,
                    )


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
        Where it may have been.
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
    kinds = list(kinds_of_look(stored, altitude_km, focal_known, may_be_cropped))
    options: list[tuple[float, int, float, int]] = []
    for number, track in enumerate(tracks):
        places = {
            spacing: likely_offsets(track, spacing) for spacing in {k.spacing_km for k in kinds}
        }
        for which, kind in enumerate(kinds):
            for offset, surprise in places[kind.spacing_km]:
                if kind.surprise + surprise >= MOST_SURPRISE:
                    break
                options.append((kind.surprise + surprise, number, -offset, which))
    for _, number, minus_offset, which in sorted(options):
        yield look_of_kind(kinds[which], tracks[number], -minus_offset, stored)


def likely_offsets(track: Track, spacing_km: float) -> list[tuple[float, float]]:
    """Offsets a spacing apart at which it may be night, the likeliest first, and their surprise."""
    offsets = np.array(night_offsets(track, spacing_km))
    surprise = offset_surprise(offsets, track, spacing_km)
    order = np.argsort(surprise, kind="stable")
    return list(zip(offsets[order].tolist(), surprise[order].tolist(), strict=True))


def look_of_kind(kind: Kind, track: Track, offset_km: float, stored: Camera) -> Look:
    """A kind of look at one place of a track."""
    scale = kind.scale
    longest = max(stored.width_px, stored.height_px)
    off_nadir_deg = (FAR_OFF_NADIR_DEG, 90.0) if kind.far else (0.0, FAR_OFF_NADIR_DEG)
    return Look(
        offset_km=offset_km,
        scale=scale.ratio,
        mirrored=kind.mirrored,
        hazy=kind.hazy,
        flat=kind.flat,
        speed_km_s=track.speed_km_s,
        clock_s=track.clock_s,
        prior=track.prior(
            offset_km,
            min(0.6 * kind.spacing_km, track.sigma_along_km),
            replace(stored, focal_px=stored.focal_px * scale.ratio),
            scale.sigma_log_focal,
            SIGMA_PRINCIPAL_SHARE * longest if scale.cropped else 0.0,
        ),
        off_nadir_deg=(0.0, 90.0) if kind.sparse else off_nadir_deg,
        sparse=kind.sparse,
        ladder=scale.ladder,
    )


def offset_surprise(offset_km: ArrayLike, track: Track, spacing_km: float) -> FloatArray:
    """Negative log-probability that the camera was within half a spacing of offsets."""
    middle = np.asarray(offset_km, float)
    share = track.belief.share(middle - 0.5 * spacing_km, middle + 0.5 * spacing_km)
    return np.asarray(track.surprise - np.log(np.maximum(share, LEAST_SHARE)))
