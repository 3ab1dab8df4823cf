"""What a blind search tries, one thing after the other, the likeliest and cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.blind.any_lens import any_lens
from regengine.blind.attempt import Attempt, attempt
from regengine.blind.dense import dense_levels, propose_dense
from regengine.blind.earth_index import EarthIndex
from regengine.blind.far_tries import far_light, far_out
from regengine.blind.limb_tries import along_limb
from regengine.blind.proposals import (
    ALTITUDE_KM,
    Proposal,
    propose_tilted,
    suitable_levels,
    towns_at,
)
from regengine.blind.tilts import FIRST_RINGS, OTHER_RINGS, Held, Rings, Way, nadirs, stretch
from regengine.hypotheses import PhotoLights
from regengine.lenses import SIGMA_LOG_FOCAL

STEEP_STRETCH = stretch(FIRST_RINGS[-1][0], ALTITUDE_KM)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One round of tilts.

    Attributes
    ----------
    way : str
        "figures" of towns, or the "light" around them.
    rings : tuple of (float, int)
        Steep ones; not used where ``held`` is given.
    held : str or None
        All far rings, for cameras that are held "level" or for "turned" ones.
    mirrored, hazy : bool
        Whether the picture is flipped, and whether it keeps its glows.
    levels : tuple of int
        The first and the end of the useful levels that are tried.
    """

    way: Way = "figures"
    rings: Rings = ()
    held: Held | None = None
    mirrored: bool = False
    hazy: bool = False
    levels: tuple[int, int | None] = (0, None)


# At far tilts light finds more than figures do, in half as much time again; cameras are mostly held
# level there, and these directions are few
PLANS = (
    Plan(rings=FIRST_RINGS),
    Plan(way="light", rings=FIRST_RINGS),
    Plan(rings=OTHER_RINGS, levels=(0, 1)),
    Plan(held="level"),
    Plan(way="light", held="level", levels=(0, 1)),
    Plan(way="light", held="level", levels=(1, 2)),
    Plan(way="light", rings=FIRST_RINGS, hazy=True),
    Plan(rings=FIRST_RINGS, hazy=True),
    Plan(way="light", held="turned", levels=(0, 1)),
    Plan(held="turned"),
    Plan(way="light", held="turned", levels=(1, 2)),
    Plan(rings=OTHER_RINGS, levels=(1, None)),
    Plan(rings=FIRST_RINGS, mirrored=True),
    Plan(rings=OTHER_RINGS, hazy=True),
    Plan(rings=OTHER_RINGS, mirrored=True),
    Plan(way="light", rings=FIRST_RINGS, mirrored=True),
    Plan(rings=FIRST_RINGS, mirrored=True, hazy=True),
    Plan(way="light", held="level", levels=(0, 1), mirrored=True),
    Plan(way="light", held="turned", levels=(0, 1), mirrored=True),
)
# Of light, so many of an attempt's best are looked at. Of ten photos of the training half the right
# camera was the first or second of a steep attempt's in nine
LOOKED_AT, FAR_LOOKED_AT = 3, 12


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
    for plan in PLANS:
        image = lights.of(plan.hazy)
        if plan.mirrored:
            image = image.flipped()
        looked_at = 0
        if plan.way == "light":
            looked_at = LOOKED_AT if plan.held is None else FAR_LOOKED_AT
        for found in proposals_of(index, image, stored, plan):
            yield attempt(
                found,
                SIGMA_LOG_FOCAL,
                mirrored=plan.mirrored,
                hazy=plan.hazy,
                looked_at=looked_at,
            )


def proposals_of(
    index: EarthIndex, image: LightImage, stored: Camera, plan: Plan
) -> Iterator[list[Proposal]]:
    """Proposals of a plan, level by level or ring by ring."""
    first, end = plan.levels
    upright = plan.held == "level"
    if plan.way == "light" and plan.held is not None:
        yield far_light(index, image, stored, upright, first)
    elif plan.held is not None:
        yield from far_out(index, image, stored, upright)
    elif plan.way == "light":
        for pixel_km in dense_levels(stored, list(index.levels), STEEP_STRETCH)[first:end]:
            yield propose_dense(index, pixel_km, image, stored, nadirs(plan.rings))
    else:
        for pixel_km in suitable_levels(stored, index.levels)[first:end]:
            towns, small = towns_at(image, stored, pixel_km)
            yield propose_tilted(index, pixel_km, towns, small, stored, nadirs(plan.rings))
