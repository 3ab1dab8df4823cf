"""What a blind search tries, one thing after the other, the likeliest and cheapest first."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.propose_asterisms import (
    ALTITUDE_KM,
    Attempt,
    Proposal,
    attempt,
    propose_tilted,
    suitable_levels,
    towns_at,
)
from regengine.registration.blind.propose_dense import (
    dense_levels,
    far_figures,
    far_light,
    far_out,
    propose_dense,
)
from regengine.registration.blind.propose_limb import along_limb
from regengine.registration.blind.tilts import (
    FAR_LIGHT_RINGS,
    FAR_RINGS,
    FIRST_RINGS,
    OTHER_RINGS,
    Held,
    Rings,
    Way,
    far_nadirs,
    nadirs,
    stretch,
)
from regengine.registration.preparation import SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.registration.propose_dense import PhotoLights

# Which lenses are tried where none is told, with which pixels on the ground, in what order.

Steps = tuple[tuple[float, float], ...]

# Focal lengths of a full frame, or of crops as if of them, and the level of the index in which the
# towns are sought. Neighbouring focal lengths are apart by what the scale of figures bears. What
# finds more a second stands first: of 13 frames of the training half whose towns had odds above 10
# for the true lens and tilt, the first five steps found 12. Wide lenses are found in the finer of
# two levels as often as in the usual one; 85 mm costs four times as much in its finer level
USUAL_STEPS: Steps = (
    (50.0, 1.3),
    (29.0, 2.6),
    (29.0, 1.3),
    (85.0, 1.3),
    (66.0, 1.3),
    (85.0, 0.65),
    (22.0, 2.6),
    (38.0, 1.3),
)
# Longer ones show fewer towns than are needed
RARE_STEPS: Steps = ((17.0, 5.2), (17.0, 2.6), (110.0, 0.65), (142.0, 0.65), (184.0, 0.65))
# Light bears what figures bear of a scale; a finer level costs three times as much
LIGHT_STEPS: Steps = (
    (85.0, 1.3),
    (50.0, 1.3),
    (29.0, 2.6),
    (66.0, 1.3),
    (38.0, 1.3),
    (22.0, 2.6),
    (110.0, 0.65),
)
# Towards 41 degrees, where pixels are 1.6 times as long on the ground as straight down
FAR_STEPS: Steps = ((85.0, 1.3), (50.0, 2.6), (29.0, 2.6), (66.0, 1.3), (38.0, 2.6))
STEEP_RINGS, SLANTED_RINGS = FIRST_RINGS[:2], FIRST_RINGS[2:]
NEAR_FAR_RINGS, NEAR_FAR_LIGHT_RINGS = FAR_RINGS[:3], FAR_LIGHT_RINGS[:2]


@dataclass(frozen=True, kw_only=True)
class LensPlan:
    """Tilts and lenses that are tried together.

    Attributes
    ----------
    rings : tuple of (float, int)
        As `regengine.registration.blind.tilts.nadirs` takes them.
    steps : tuple of (float, float)
        Focal length of a full frame, millimetres, and size of a level's pixels, kilometres.
    way : str
        "figures" of towns, or the "light" around them.
    held : str or None
        Of far rings, which picture is drawn as a map first: directions of cameras that are held
        "level", or "turned" ones.
    mirrored, hazy : bool
        Whether the picture is flipped, and whether it keeps glows.
    """

    rings: Rings
    steps: Steps
    way: Way = "figures"
    held: Held | None = None
    mirrored: bool = False
    hazy: bool = False

    @property
    def together(self) -> bool:
        """Whether all lenses are one attempt, of which the best are looked at."""
        return self.way == "light"


LENS_PLANS = (
    LensPlan(rings=STEEP_RINGS, steps=USUAL_STEPS),
    LensPlan(rings=SLANTED_RINGS, steps=USUAL_STEPS),
    LensPlan(rings=FIRST_RINGS, steps=LIGHT_STEPS, way="light"),
    LensPlan(rings=FIRST_RINGS, steps=RARE_STEPS),
    LensPlan(rings=NEAR_FAR_RINGS, steps=FAR_STEPS, held="level"),
    LensPlan(rings=NEAR_FAR_LIGHT_RINGS, steps=FAR_STEPS, way="light", held="level"),
    LensPlan(rings=OTHER_RINGS, steps=USUAL_STEPS),
    LensPlan(rings=NEAR_FAR_LIGHT_RINGS, steps=FAR_STEPS, way="light", held="turned"),
    LensPlan(rings=NEAR_FAR_RINGS, steps=FAR_STEPS, held="turned"),
    LensPlan(rings=FIRST_RINGS, steps=USUAL_STEPS, hazy=True),
    LensPlan(rings=OTHER_RINGS, steps=RARE_STEPS),
    LensPlan(rings=FIRST_RINGS, steps=RARE_STEPS, hazy=True),
    LensPlan(rings=FIRST_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True),
    LensPlan(rings=OTHER_RINGS, steps=USUAL_STEPS + RARE_STEPS, hazy=True),
    LensPlan(rings=OTHER_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True),
    LensPlan(rings=FIRST_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True, hazy=True),
)


def lens_tries(levels: Container[float]) -> Iterator[tuple[LensPlan, Steps]]:
    """Everything that is tried of a photo whose lens is not known, one thing after the other."""
    for plan in LENS_PLANS:
        steps = tuple(step for step in plan.steps if step[1] in levels)
        if plan.together:
            yield plan, steps
        else:
            yield from ((plan, (step,)) for step in steps)


# What is tried where nothing tells the lens: the usual ones in turn.

# The best of all lenses together, where light is compared
ANY_LENS_LOOKED_AT = 12


def any_lens(index: EarthIndex, lights: PhotoLights, stored: Camera) -> Iterator[Attempt]:
    """Try the lenses that an unknown picture may have been taken with."""
    for plan, steps in lens_tries(index.levels):
        image = lights.of(plan.hazy)
        if plan.mirrored:
            image = image.flipped()
        found = [
            proposal
            for focal_mm, pixel_km in steps
            for proposal in of_lens(index, image, stored, plan, focal_mm, pixel_km)
        ]
        yield attempt(
            found,
            SIGMA_LOG_FOCAL_CROPPED,
            mirrored=plan.mirrored,
            hazy=plan.hazy,
            looked_at=ANY_LENS_LOOKED_AT if plan.together else 0,
        )


def of_lens(
    index: EarthIndex,
    image: LightImage,
    stored: Camera,
    plan: LensPlan,
    focal_mm: float,
    pixel_km: float,
) -> list[Proposal]:
    """Cameras for one lens of a plan."""
    longest = max(stored.width_px, stored.height_px)
    lens = replace(stored, focal_px=focal_mm / FULL_FRAME_MM[0] * longest)
    if plan.held is None:
        ways = nadirs(plan.rings)
        if plan.way == "light":
            return propose_dense(index, pixel_km, image, lens, ways)
        towns, small = towns_at(image, lens, pixel_km)
        return propose_tilted(index, pixel_km, towns, small, lens, ways)
    ways = [
        nadir
        for off_nadir_deg, count in plan.rings
        for nadir in far_nadirs(off_nadir_deg, count, plan.held == "level")
    ]
    if plan.way == "light":
        return propose_dense(index, pixel_km, image, lens, ways)
    return far_figures(index, image, lens, pixel_km, ways)


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
    """Try everything."""
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
