"""What a blind search tries, one thing after the other, the likeliest and cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.blind.dense import dense_levels, propose_dense
from regengine.blind.earth_index import EarthIndex
from regengine.blind.lens_steps import Rings, lens_tries
from regengine.blind.proposals import (
    ALTITUDE_KM,
    LEVELLED_ALTITUDES_KM,
    LEVELLED_PIXELS_KM,
    Proposal,
    propose_levelled,
    propose_tilted,
    smoothed,
    suitable_levels,
    towns_at,
)
from regengine.blind.tilts import FAR_RINGS, FIRST_RINGS, OTHER_RINGS, far_nadirs, nadirs, stretch
from regengine.camera_bodies import FULL_FRAME_MM
from regengine.hypotheses import PhotoLights
from regengine.lenses import CROP_SCALES, SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.limb_sweep import nadir_at_scale

FloatArray = NDArray[np.float64]

STEEP_STRETCH = stretch(FIRST_RINGS[-1][0], ALTITUDE_KM)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One round of steep tilts: whether the picture is flipped, whether it keeps its glows.

    ``levels`` are the first and the end of the suitable levels in which towns are sought.
    """

    rings: Rings
    mirrored: bool = False
    hazy: bool = False
    levels: tuple[int, int | None] = (0, None)


PLANS = (
    Plan(rings=FIRST_RINGS),
    Plan(rings=OTHER_RINGS, levels=(0, 1)),
    Plan(rings=FIRST_RINGS, hazy=True),
    Plan(rings=OTHER_RINGS, levels=(1, None)),
    Plan(rings=FIRST_RINGS, mirrored=True),
    Plan(rings=OTHER_RINGS, hazy=True),
    Plan(rings=OTHER_RINGS, mirrored=True),
    Plan(rings=FIRST_RINGS, mirrored=True, hazy=True),
)
# Before these rounds those far tilts follow at which cameras are held level, and the others
BEFORE_UPRIGHT, BEFORE_FAR = 2, 4
# and before this one the light around towns is compared. Of ten photos of the training half the
# right camera was the first or second of an attempt's in nine
BEFORE_DENSE, DENSE_LOOKED_AT = 1, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Attempt:
    """Proposals of one thing that was tried.

    Attributes
    ----------
    proposals : list of Proposal
        For the stored image, not mirrored.
    mirrored : bool
        Whether the picture was flipped first.
    sigma_log_focal : float
        How well the focal length is believed that was tried.
    looked_at : int
        So many of its best proposals are looked at whatever their odds.
    """

    proposals: list[Proposal]
    mirrored: bool
    sigma_log_focal: float
    looked_at: int = 0


def attempts(
    index: EarthIndex,
    lights: PhotoLights,
    stored: Camera,
    focal_known: bool,
    limb: Limb | None,
    limb_focal_px: float,
) -> Iterator[Attempt]:
    """Try everything.

    Parameters
    ----------
    index : EarthIndex
    lights : PhotoLights
        Of the photo.
    stored : Camera
        Camera of the stored image at the nominal focal length.
    focal_known : bool
        Whether that means anything.
    limb : Limb or None
        The photo's.
    limb_focal_px : float
        Focal length with which the limb was found, pixels of the stored image.

    Yields
    ------
    Attempt
    """
    if limb is not None:
        yield from along_limb(index, lights, replace(stored, focal_px=limb_focal_px), limb)
        return
    if not focal_known:
        yield from any_lens(index, lights, stored)
        return
    for number, plan in enumerate(PLANS):
        if number == BEFORE_DENSE:
            yield from light_around(index, lights, stored)
        if number in (BEFORE_UPRIGHT, BEFORE_FAR):
            yield from far_out(index, lights.sharp, stored, number == BEFORE_UPRIGHT)
        image = lights.of(plan.hazy)
        if plan.mirrored:
            image = image.flipped()
        first, end = plan.levels
        for pixel_km in suitable_levels(stored, index.levels)[first:end]:
            towns, small = towns_at(image, stored, pixel_km)
            found = propose_tilted(index, pixel_km, towns, small, stored, nadirs(plan.rings))
            yield attempt(found, plan.mirrored, plan.hazy, SIGMA_LOG_FOCAL)


def light_around(index: EarthIndex, lights: PhotoLights, stored: Camera) -> Iterator[Attempt]:
    """Try steep tilts by the light around towns instead of by their figures."""
    for hazy in (False, True):
        for pixel_km in dense_levels(stored, list(index.levels), STEEP_STRETCH):
            found = propose_dense(index, pixel_km, lights.of(hazy), stored, nadirs(FIRST_RINGS))
            tried = attempt(found, False, hazy, SIGMA_LOG_FOCAL)
            yield replace(tried, looked_at=DENSE_LOOKED_AT)


def any_lens(index: EarthIndex, lights: PhotoLights, stored: Camera) -> Iterator[Attempt]:
    """Try the lenses that an unknown picture may have been taken with."""
    longest = max(stored.width_px, stored.height_px)
    for plan, focal_mm, pixel_km in lens_tries(index.levels):
        image = lights.of(plan.hazy)
        if plan.mirrored:
            image = image.flipped()
        lens = replace(stored, focal_px=focal_mm / FULL_FRAME_MM[0] * longest)
        if plan.far is None:
            towns, small = towns_at(image, lens, pixel_km)
            found = propose_tilted(index, pixel_km, towns, small, lens, nadirs(plan.rings))
        else:
            ways = [
                nadir
                for off_nadir_deg, count in plan.rings
                for nadir in far_nadirs(off_nadir_deg, count, plan.far == "upright")
            ]
            found = drawn_proposals(index, pixel_km, smoothed(image), lens, ways)
        yield attempt(found, plan.mirrored, plan.hazy, SIGMA_LOG_FOCAL_CROPPED)


def far_out(
    index: EarthIndex, image: LightImage, stored: Camera, upright: bool
) -> Iterator[Attempt]:
    """Try tilts at which towns run into each other, each with the picture drawn as a map."""
    smooth = smoothed(image)
    for off_nadir_deg, count in FAR_RINGS:
        stretched = stretch(off_nadir_deg, ALTITUDE_KM)
        ways = far_nadirs(off_nadir_deg, count, upright)
        for pixel_km in suitable_levels(stored, index.levels, stretched)[:1]:
            found = drawn_proposals(index, pixel_km, smooth, stored, ways)
            yield attempt(found, False, False, SIGMA_LOG_FOCAL)


def drawn_proposals(
    index: EarthIndex, pixel_km: float, smooth: LightImage, lens: Camera, ways: list[FloatArray]
) -> list[Proposal]:
    """Cameras for some directions of the nadir, the picture drawn as a map for each."""
    return [
        proposal
        for nadir in ways
        for proposal in propose_levelled(
            index, pixel_km, smooth, lens, nadir, ALTITUDE_KM, of_limb=False
        )
    ]


def along_limb(
    index: EarthIndex, lights: PhotoLights, stored: Camera, limb: Limb
) -> Iterator[Attempt]:
    """Try the heights and scales of a photo whose limb tells its tilt."""
    scales = [(1.0, SIGMA_LOG_FOCAL), (limb.focal_ratio, SIGMA_LOG_FOCAL_CROPPED)]
    scales += [(crop, SIGMA_LOG_FOCAL_CROPPED) for crop in CROP_SCALES]
    levels = [level for level in LEVELLED_PIXELS_KM if level in index.levels]
    for mirrored, (scale, sigma), hazy in product((False, True), scales, (False, True)):
        lens = replace(stored, focal_px=stored.focal_px * scale)
        image, nadir = lights.of(hazy), nadir_at_scale(limb, scale)
        if mirrored:
            image, nadir = image.flipped(), nadir * np.array([-1.0, 1.0, 1.0])
        smooth = smoothed(image)
        for pixel_km in levels:
            found = [
                proposal
                for altitude_km in LEVELLED_ALTITUDES_KM
                for proposal in propose_levelled(index, pixel_km, smooth, lens, nadir, altitude_km)
            ]
            yield attempt(found, mirrored, hazy, sigma)


def attempt(found: list[Proposal], mirrored: bool, hazy: bool, sigma_log_focal: float) -> Attempt:
    """An attempt's proposals, the best first."""
    ordered = sorted(found, key=lambda proposal: -proposal.log10_odds)
    return Attempt(
        proposals=[replace(proposal, hazy=hazy) for proposal in ordered],
        mirrored=mirrored,
        sigma_log_focal=sigma_log_focal,
    )
