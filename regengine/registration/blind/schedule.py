"""What a blind search tries, one thing after the other, the likeliest and cheapest first."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.propose_asterisms import (
    ALTITUDE_KM,
    Attempt,
    EarthView,
    Proposal,
    attempt,
    propose_far,
    propose_tilted,
    suitable_levels,
)
from regengine.registration.blind.propose_dense import dense_levels, propose_dense
from regengine.registration.blind.propose_limb import along_limb
from regengine.registration.blind.tilts import (
    FAR_LIGHT_RINGS,
    FAR_RINGS,
    FIRST_RINGS,
    OTHER_RINGS,
    Held,
    Rings,
    Way,
    directions,
    ground_stretch,
)
from regengine.registration.candidates import unmirrored
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.registration.search import Search

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
class Plan:
    """Tilts that are tried together.

    Attributes
    ----------
    way : str
        "figures" of towns, or the "light" around them.
    rings : tuple of (float, int)
        As `regengine.registration.blind.tilts.directions` takes them.
    held : str or None
        Of far rings, for which a picture is drawn as a map first: directions of cameras that are
        held "level", or "turned" ones.
    mirrored, hazy : bool
        Whether the picture is flipped, and whether it keeps glows.
    levels : tuple of int
        Of a told lens: the first and the end of the useful levels that are tried.
    steps : tuple of (float, float)
        Of a lens that nothing tells: focal length of a full frame, millimetres, and size of a
        level's pixels, kilometres.
    """

    rings: Rings
    way: Way = "figures"
    held: Held | None = None
    mirrored: bool = False
    hazy: bool = False
    levels: tuple[int, int | None] = (0, None)
    steps: Steps = ()

    @property
    def together(self) -> bool:
        """Whether all lenses are one attempt, of which the best are looked at."""
        return self.way == "light"

    def view(self, search: Search, index: EarthIndex) -> EarthView:
        """The photo as it is tried."""
        image = unmirrored(search.lights.of(self.hazy), self.mirrored)
        return EarthView(index=index, image=image, lens=search.stored)

    def proposals(
        self, view: EarthView, pixel_km: float, rings: Rings | None = None
    ) -> list[Proposal]:
        """Cameras at one level, for all of the rings or some."""
        nadirs = directions(rings or self.rings, self.held)
        if self.way == "light":
            return propose_dense(view, pixel_km, nadirs)
        if self.held is not None:
            return propose_far(view, pixel_km, nadirs)
        return propose_tilted(view, pixel_km, nadirs)


LENS_PLANS = (
    Plan(rings=STEEP_RINGS, steps=USUAL_STEPS),
    Plan(rings=SLANTED_RINGS, steps=USUAL_STEPS),
    Plan(rings=FIRST_RINGS, steps=LIGHT_STEPS, way="light"),
    Plan(rings=FIRST_RINGS, steps=RARE_STEPS),
    Plan(rings=NEAR_FAR_RINGS, steps=FAR_STEPS, held="level"),
    Plan(rings=NEAR_FAR_LIGHT_RINGS, steps=FAR_STEPS, way="light", held="level"),
    Plan(rings=OTHER_RINGS, steps=USUAL_STEPS),
    Plan(rings=NEAR_FAR_LIGHT_RINGS, steps=FAR_STEPS, way="light", held="turned"),
    Plan(rings=NEAR_FAR_RINGS, steps=FAR_STEPS, held="turned"),
    Plan(rings=FIRST_RINGS, steps=USUAL_STEPS, hazy=True),
    Plan(rings=OTHER_RINGS, steps=RARE_STEPS),
    Plan(rings=FIRST_RINGS, steps=RARE_STEPS, hazy=True),
    Plan(rings=FIRST_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True),
    Plan(rings=OTHER_RINGS, steps=USUAL_STEPS + RARE_STEPS, hazy=True),
    Plan(rings=OTHER_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True),
    Plan(rings=FIRST_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True, hazy=True),
)


def lens_tries(levels: Container[float]) -> Iterator[tuple[Plan, Steps]]:
    """Everything that is tried of a photo whose lens is not known, one thing after the other."""
    for plan in LENS_PLANS:
        steps = tuple(step for step in plan.steps if step[1] in levels)
        if plan.together:
            yield plan, steps
        else:
            yield from ((plan, (step,)) for step in steps)


# The best of all lenses together, where light is compared
ANY_LENS_LOOKED_AT = 12


def any_lens(search: Search, index: EarthIndex) -> Iterator[Attempt]:
    """Try the lenses that an unknown picture may have been taken with."""
    longest = max(search.stored.width_px, search.stored.height_px)
    for plan, steps in lens_tries(index.levels):
        view = plan.view(search, index)
        found = []
        for focal_mm, pixel_km in steps:
            lens = replace(search.stored, focal_px=focal_mm / FULL_FRAME_MM[0] * longest)
            found += plan.proposals(replace(view, lens=lens), pixel_km)
        yield attempt(
            found,
            SIGMA_LOG_FOCAL_CROPPED,
            mirrored=plan.mirrored,
            hazy=plan.hazy,
            looked_at=ANY_LENS_LOOKED_AT if plan.together else 0,
        )


STEEP_STRETCH = ground_stretch(FIRST_RINGS[-1][0], ALTITUDE_KM)


# At far tilts light finds more than figures do, in half as much time again; cameras are mostly held
# level there, and these directions are few
PLANS = (
    Plan(rings=FIRST_RINGS),
    Plan(way="light", rings=FIRST_RINGS),
    Plan(rings=OTHER_RINGS, levels=(0, 1)),
    Plan(held="level", rings=FAR_RINGS, levels=(0, 1)),
    Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(0, 1)),
    Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(1, 2)),
    Plan(way="light", rings=FIRST_RINGS, hazy=True),
    Plan(rings=FIRST_RINGS, hazy=True),
    Plan(way="light", held="turned", rings=FAR_LIGHT_RINGS, levels=(0, 1)),
    Plan(held="turned", rings=FAR_RINGS, levels=(0, 1)),
    Plan(way="light", held="turned", rings=FAR_LIGHT_RINGS, levels=(1, 2)),
    Plan(rings=OTHER_RINGS, levels=(1, None)),
    Plan(rings=FIRST_RINGS, mirrored=True),
    Plan(rings=OTHER_RINGS, hazy=True),
    Plan(rings=OTHER_RINGS, mirrored=True),
    Plan(way="light", rings=FIRST_RINGS, mirrored=True),
    Plan(rings=FIRST_RINGS, mirrored=True, hazy=True),
    Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(0, 1), mirrored=True),
    Plan(way="light", held="turned", rings=FAR_LIGHT_RINGS, levels=(0, 1), mirrored=True),
)
# Of light, so many of an attempt's best are looked at. Of ten photos of the training half the right
# camera was the first or second of a steep attempt's in nine
LOOKED_AT, FAR_LOOKED_AT = 3, 12


def attempts(search: Search, index: EarthIndex) -> Iterator[Attempt]:
    """Try everything."""
    if search.limb is not None:
        yield from along_limb(search, search.limb, index)
    elif search.focal_known:
        yield from told_lens(search, index)
    else:
        yield from any_lens(search, index)


def told_lens(search: Search, index: EarthIndex) -> Iterator[Attempt]:
    """Try all tilts of a known lens."""
    for plan in PLANS:
        view = plan.view(search, index)
        looked_at = 0
        if plan.way == "light":
            looked_at = LOOKED_AT if plan.held is None else FAR_LOOKED_AT
        for found in proposals_of(view, plan):
            yield attempt(
                found,
                SIGMA_LOG_FOCAL,
                mirrored=plan.mirrored,
                hazy=plan.hazy,
                looked_at=looked_at,
            )


def proposals_of(view: EarthView, plan: Plan) -> Iterator[list[Proposal]]:
    """Proposals of a plan, level by level or ring by ring; those by light of far rings together."""
    if plan.held is None:
        for pixel_km in useful_levels(view, plan, STEEP_STRETCH):
            yield plan.proposals(view, pixel_km)
        return
    of_rings = (
        plan.proposals(view, pixel_km, (ring,))
        for ring in plan.rings
        for pixel_km in useful_levels(view, plan, ground_stretch(ring[0], ALTITUDE_KM))
    )
    if plan.way == "light":
        yield [proposal for found in of_rings for proposal in found]
    else:
        yield from of_rings


def useful_levels(view: EarthView, plan: Plan, stretched: float) -> list[float]:
    """The levels of the index in which a plan tries ground that is stretched by so much."""
    first, end = plan.levels
    if plan.way == "light":
        return dense_levels(view.lens, list(view.index.levels), stretched)[first:end]
    if plan.held is None:
        stretched = 1.0
    return suitable_levels(view.lens, view.index.levels, stretched)[first:end]
