"""The kinds of look that a search takes at every place of the track."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from matchers.camera import Camera
from regengine.lenses import Scale, dense_scales, field_deg, is_telephoto, sparse_scales

# From one position the ground is seen well enough to be found while the distortion that a wrong
# position causes stays below this share of the template's half side
POSITION_TOLERANCE = 0.06
STEP_LIMITS_KM = (90.0, 200.0)
# Figures bear so much with wide lenses, too: of nine trials at 24 to 58 mm that they find from the
# true place they found all from 60 km along the track and eight from 80; of 16 at 85 mm all from
# 45, 13 from 60, 11 from 80 and 8 from 100. So the places in between are looked at once those are
# through: one frame in ten is found there only
LEAST_FIGURES_STEP_KM = 160.0
BETWEEN_SURPRISE = 2.3
# Tiles farther off nadir see ground that is more than twice as far away: half the positions do.
# Not for telephoto: seven frames of the training half were found in 12 of 14 looks from 100 km
# beside the true position, near nadir as far off, and in 8 of 14 from 200 km
FAR_OFF_NADIR_DEG = 40.0
FAR_STEP_RATIO = 2.0
# How unlikely a look is, as a negative log-probability; only the order depends on it
FAR_SURPRISE = 0.7  # half of the located photos show a city more than 315 km from the nadir
# Of 35 training frames at their true place, figures of towns failed on 21; of these pictures found
# 2 near the nadir and 2 far off, at twice the time, figures in the hazy image 1
DENSE_SURPRISE = 3.7
HAZY_SURPRISE = 3.4
# At 400 mm, from the true position, figures found 3 of 18 frames of the training half, pictures 11
# of 14
NO_FIGURES_FIELD_DEG = 7.0
SPARSE_SURPRISE = 3.0
# Where the lens is unknown, such pictures stand against figures of wider lenses: each of the near
# and the far look finds a third of these frames in 0.4 s, figures 0.85 of those in 0.2 s
LONG_LENS_SURPRISE = 1.5
MIRROR_SURPRISE = 3.5  # 2 of 135 training frames


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of look, wherever on the track it is taken; its fields are those of `Look`.

    ``between`` takes it half way between the places a spacing apart that begin at offset 0.
    """

    scale: Scale
    sparse: bool
    far: bool
    mirrored: bool
    hazy: bool
    spacing_km: float
    surprise: float
    between: bool = False


def step_km(camera: Camera, altitude_km: float) -> float:
    """Distance between positions on the track that need a look of their own."""
    half = max(camera.width_px, camera.height_px) / 2.0 / camera.focal_px
    return float(np.clip(2.0 * altitude_km * POSITION_TOLERANCE / half, *STEP_LIMITS_KM))


def method_surprise(lens: Camera, sparse: bool) -> float:
    """How unlikely it is that figures of towns, or pictures, find a frame of some lens."""
    if field_deg(lens) < NO_FIGURES_FIELD_DEG:
        return LONG_LENS_SURPRISE + SPARSE_SURPRISE * sparse
    return 0.0 if sparse else DENSE_SURPRISE


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
            near_step = max(step, LEAST_FIGURES_STEP_KM) if sparse and not flat else step
            for far in (False,) if sparse else (False, True):
                for mirrored, hazy in product((False, True), (False,) if flat else (False, True)):
                    surprise = scale.surprise + MIRROR_SURPRISE * mirrored + HAZY_SURPRISE * hazy
                    kind = Kind(
                        scale=scale,
                        sparse=sparse,
                        far=far,
                        mirrored=mirrored,
                        hazy=hazy,
                        spacing_km=far_step if far else near_step,
                        surprise=surprise + how + FAR_SURPRISE * far,
                    )
                    yield kind
                    if sparse and not (flat or mirrored or hazy):
                        yield replace(kind, between=True, surprise=kind.surprise + BETWEEN_SURPRISE)
