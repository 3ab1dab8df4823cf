"""In which order the search tries places on the track, scales and mirror images."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.camera import Camera
from regengine.registration.candidates import Look
from regengine.registration.lens_prior import (
    SIGMA_PRINCIPAL_SHARE,
    Scale,
    field_deg,
    is_telephoto,
    lens_scales,
)
from regengine.registration.lit_ground_prior import LEAST_PLACE_SURPRISE
from regengine.registration.search import Search
from regengine.registration.tracks import Track

# From one position the ground is seen well enough to be found while the distortion that a wrong
# position causes stays below this share of the template's half side
POSITION_TOLERANCE = 0.06
STEP_LIMITS_KM = (90.0, 200.0)
# Figures bear so much with wide lenses, too: of nine trials at 24 to 58 mm that they find from the
# true place they found all from 60 km along the track and eight from 80; of 16 at 85 mm all from
# 45, 13 from 60, 11 from 80 and 8 from 100. So the places in between are looked at once those are
# through: one frame in ten is found there only
LEAST_FIGURES_STEP_KM = 160.0
BETWEEN_SURPRISE = 2.3  # one frame in ten
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
# of 21 training frames that figures on the sharp image failed on, the hazy one solved 1
HAZY_SURPRISE = 3.4
# At 400 mm, from the true position, figures found 3 of 18 frames of the training half, pictures 11
# of 14
NO_FIGURES_FIELD_DEG = 7.0
SPARSE_SURPRISE = 3.0  # as pictures elsewhere
# Where the lens is unknown, such pictures stand against figures of wider lenses: each of the near
# and the far look finds a third of these frames in 0.4 s, figures 0.85 of those in 0.2 s
LONG_LENS_SURPRISE = 1.5
# 2 of 135 training frames, but 7 of 47 of those that the first looks did not find
MIRROR_SURPRISE = 2.5


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


def kinds_of_look(search: Search, sparse: bool) -> Iterator[Kind]:
    """All kinds of look by figures (sparse) or by pictures, in no order."""
    stored = search.stored
    for scale in lens_scales(sparse, search.focal_known, search.frame.may_be_cropped):
        lens = stored.scaled(scale.ratio, stored.width_px, stored.height_px)
        step = step_km(lens, search.altitude_km)
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


MOST_SURPRISE = 18.0  # no search comes that far
# Figures of more towns take a third more time, and pay where the camera likely is: of 23 hard
# frames of the training half they found 8 at their places, the usual ones 3
THOROUGH_SURPRISE = 4.0
LEAST_SHARE = 1e-9  # of probability, that a logarithm can be taken of


def offsets_outward(reach_km: float, step: float) -> list[float]:
    """0, +step, -step, +2 step … until no place within the reach is farther than half a step."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [0.0] + [sign * k * step for k in range(1, count + 1) for sign in (1.0, -1.0)]


def offsets_between(reach_km: float, step: float) -> list[float]:
    """+step / 2, -step / 2, +3 step / 2 … half way between the offsets outward."""
    count = max(0, int(np.ceil((reach_km - 0.5 * step) / step)))
    return [sign * (k + 0.5) * step for k in range(count) for sign in (1.0, -1.0)]


def night_offsets(track: Track, step: float, between: bool = False) -> list[float]:
    """Offsets at which the photo may have been taken, outward; a shared start is the first's."""
    outward = offsets_between if between else offsets_outward
    offsets = np.array(outward(track.reach_km, step))
    if not len(offsets):
        return []
    kept = track.may_be_night(offsets)
    if track.shares_start:
        kept &= offsets != 0.0
    return [float(offset) for offset in offsets[kept]]


# What a look is ordered by: its surprise, the number of its track, how far backwards along it
Place = tuple[float, int, float]


def plan(search: Search, sparse: bool) -> Iterator[tuple[Place, Look]]:
    """Everything worth a look by figures (sparse) or by pictures, the likeliest first.

    A track is walked once nothing on those before it is as likely as its best place may be.
    """
    kinds = list(kinds_of_look(search, sparse))
    least = min(kind.surprise for kind in kinds) + LEAST_PLACE_SURPRISE
    ahead = sorted((track.surprise + least, n) for n, track in enumerate(search.tracks))[::-1]
    options: list[tuple[float, int, float, int]] = []
    while ahead or options:
        if ahead and not (options and options[0][0] < ahead[-1][0]):
            options += options_on(search.tracks, ahead.pop()[1], kinds)
            heapq.heapify(options)
            continue
        surprise, number, minus_offset, which = heapq.heappop(options)
        look = look_of_kind(kinds[which], search.tracks[number], -minus_offset, search.stored)
        thorough = look.sparse and surprise < THOROUGH_SURPRISE
        yield (surprise, number, minus_offset), replace(look, thorough=thorough)


def options_on(
    tracks: Sequence[Track], number: int, kinds: Sequence[Kind]
) -> Iterator[tuple[float, int, float, int]]:
    """Surprise, track, how far backwards along it and kind of the looks on one track."""
    places = {
        grid: likely_offsets(tracks[number], *grid)
        for grid in {(k.spacing_km, k.between) for k in kinds}
    }
    for which, kind in enumerate(kinds):
        for offset, surprise in places[kind.spacing_km, kind.between]:
            if kind.surprise + surprise >= MOST_SURPRISE:
                break
            yield kind.surprise + surprise, number, -offset, which


def likely_offsets(
    track: Track, spacing_km: float, between: bool = False
) -> list[tuple[float, float]]:
    """Offsets a spacing apart at which it may be night, the likeliest first, and their surprise."""
    offsets = np.array(night_offsets(track, spacing_km, between))
    if not len(offsets):
        return []
    surprise = offset_surprise(offsets, track, spacing_km) + track.place_surprise(offsets)
    order = np.argsort(surprise, kind="stable")
    return list(zip(offsets[order].tolist(), surprise[order].tolist(), strict=True))


def look_of_kind(kind: Kind, track: Track, offset_km: float, stored: Camera) -> Look:
    """A kind of look at one place of a track."""
    look = look_at(track, offset_km, 0.6 * kind.spacing_km, stored, kind.scale)
    off_nadir_deg = (FAR_OFF_NADIR_DEG, 90.0) if kind.far else (0.0, FAR_OFF_NADIR_DEG)
    return replace(
        look,
        mirrored=kind.mirrored,
        hazy=kind.hazy,
        off_nadir_deg=look.off_nadir_deg if kind.sparse else off_nadir_deg,
        sparse=kind.sparse,
        ladder=kind.scale.ladder,
    )


def look_at(track: Track, offset_km: float, spread_km: float, stored: Camera, scale: Scale) -> Look:
    """A look in all directions at one place of a track, with one focal length."""
    lens = replace(stored, focal_px=stored.focal_px * scale.ratio)
    longest = max(stored.width_px, stored.height_px)
    return Look(
        offset_km=offset_km,
        scale=scale.ratio,
        mirrored=False,
        flat=is_telephoto(lens),
        speed_km_s=track.speed_km_s,
        clock_s=track.clock_s,
        prior=track.prior(
            offset_km,
            min(spread_km, track.sigma_along_km),
            lens,
            scale.sigma_log_focal,
            SIGMA_PRINCIPAL_SHARE * longest if scale.cropped else 0.0,
        ),
        off_nadir_deg=(0.0, 90.0),
    )


def offset_surprise(offset_km: ArrayLike, track: Track, spacing_km: float) -> FloatArray:
    """Negative log-probability that the camera was within half a spacing of offsets."""
    middle = np.asarray(offset_km, float)
    share = track.belief.share(middle - 0.5 * spacing_km, middle + 0.5 * spacing_km)
    return np.asarray(track.surprise - np.log(np.maximum(share, LEAST_SHARE)))
