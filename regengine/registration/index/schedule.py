"""What a blind search tries, one thing after the other, the likeliest and cheapest first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Literal

from detectors.constants import EARTH_RADIUS_KM
from detectors.limb import Limb
from detectors.limb_geometry import nadir_vector
from detectors.types import FloatArray
from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.registration.candidates import unmirrored, unmirrored_ray
from regengine.registration.index.earth import EarthIndex
from regengine.registration.index.figures import (
    ALTITUDE_KM,
    LEVELLED_ALTITUDES_KM,
    Attempt,
    EarthView,
    Proposal,
    propose_far,
    propose_levelled,
    propose_tilted,
    suitable_levels,
)
from regengine.registration.index.light import dense_levels, propose_dense
from regengine.registration.lens_prior import CROP_SCALES, SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.registration.search import COSTS, Search

Rings = tuple[tuple[float, int], ...]
Way = Literal["figures", "light"]
Held = Literal["level", "turned"]

# Rings of off-nadir angles, and how many directions of the nadir are tried in each: between
# neighbours of all of them ground is foreshortened by 5 % more or less, a shape that figures bear.
# Most photos are found from the first rings already, whose neighbours lie twice as far apart
FIRST_RINGS: Rings = ((0.0, 1), (17.0, 6), (28.0, 8))
OTHER_RINGS: Rings = ((10.0, 6), (23.0, 10), (33.0, 14))
# Farther off, the picture is drawn as a map for each direction, and the towns are sought there.
# Steps of 4 degrees of tilt and of direction: where ground is foreshortened by half, that changes
# shapes by 12 %, and the fit makes up for half a step
FAR_RINGS: Rings = (
    (37.0, 20),
    (41.0, 24),
    (45.0, 28),
    (49.0, 32),
    (53.0, 36),
    (57.0, 40),
    (61.0, 40),
)
# Light around towns bears more: of twelve photos of the training half the right place came first in
# 47 of 66 tries 1 degree off, in 43 at 2.5, in 33 at 4
FAR_LIGHT_RINGS: Rings = (
    (37.0, 18),
    (42.0, 20),
    (47.0, 22),
    (52.0, 24),
    (57.0, 26),
    (61.0, 26),
)
# Where the horizon is near, cameras are mostly held level: these turns are tried first
UPRIGHT_DEG = 20.0


def directions(rings: Rings, held: Held | None = None) -> list[FloatArray]:
    """Nadir directions of some rings in the camera's frame, the steepest views first.

    All of them, or those of cameras that are held level, or the others.
    """
    return [
        nadir_vector(off_nadir_deg, turn)
        for off_nadir_deg, count in rings
        for turn in (360.0 * k / count for k in range(count))
        if held is None or (min(turn, 360.0 - turn) <= UPRIGHT_DEG) == (held == "level")
    ]


def ground_stretch(off_nadir_deg: float, altitude_km: float) -> float:
    """How much longer a pixel is on the ground than straight down: the mean of its two sides."""
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    angle = math.radians(off_nadir_deg)
    incidence = math.asin(min(high * math.sin(angle), 1.0))
    slant_km = high * math.cos(angle) - math.cos(incidence)
    return slant_km * EARTH_RADIUS_KM / altitude_km / math.sqrt(max(math.cos(incidence), 0.1))


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
# Four in ten of the archive's night frames are of this lens: its far tilts come before other lenses
FIRST_FAR, OTHER_FAR = FAR_STEPS[:1], FAR_STEPS[1:]
STEEP_RINGS, SLANTED_RINGS = FIRST_RINGS[:2], FIRST_RINGS[2:]
NEAR_FAR_RINGS, NEAR_FAR_LIGHT_RINGS = FAR_RINGS[:3], FAR_LIGHT_RINGS[:2]
# and beyond the usual lenses alone, at pixels that suit 2 to 4 times
FARTHEST_STEPS: Steps = ((85.0, 2.6), (50.0, 5.2), (29.0, 5.2))
FIRST_FARTHEST, OTHER_FARTHEST = FARTHEST_STEPS[:1], FARTHEST_STEPS[1:]
FARTHEST_RINGS, FARTHEST_LIGHT_RINGS = FAR_RINGS[3:], FAR_LIGHT_RINGS[2:]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Tilts that are tried together.

    way: "figures" of towns, or the "light" around them.
    rings: As `regengine.registration.index.schedule.directions` takes them.
    held: Of far rings, for which a picture is drawn as a map first: directions of cameras that are
        held "level", or "turned" ones.
    mirrored, hazy: Whether the picture is flipped, and whether it keeps glows.
    levels: Of a told lens: the first and the end of the useful levels that are tried.
    steps: Of a lens that nothing tells: focal length of a full frame, millimetres, and size of a
        level's pixels, kilometres.
    ratios: Of a told lens: what its focal length is multiplied by, as for crops.
    """

    rings: Rings
    way: Way = "figures"
    held: Held | None = None
    mirrored: bool = False
    hazy: bool = False
    levels: tuple[int, int | None] = (0, None)
    steps: Steps = ()
    ratios: tuple[float, ...] = (1.0,)

    @property
    def told(self) -> bool:
        """Whether the lens is the one that is told."""
        return not self.steps and self.ratios == (1.0,)

    @property
    def drawn(self) -> bool:
        """Whether the picture is drawn as a map for each tilt."""
        return self.way == "light" or self.held is not None

    def view(self, search: Search, index: EarthIndex) -> EarthView:
        """The photo as it is tried."""
        image = unmirrored(search.lights.of(self.hazy), self.mirrored)
        return EarthView(
            index=index, image=image, lens=search.stored, altitude_km=search.altitude_km
        )

    def proposals(self, view: EarthView, pixel_km: float, rings: Rings) -> list[Proposal]:
        """Cameras at one level, for some of the rings."""
        nadirs = directions(rings, self.held)
        if self.way == "light":
            return propose_dense(view, pixel_km, nadirs)
        if self.held is not None:
            return propose_far(view, pixel_km, nadirs)
        return propose_tilted(view, pixel_km, nadirs)


# What else there is, glows and mirrors, would begin after the work of a photo is done
LENS_PLANS = (
    Plan(rings=STEEP_RINGS, steps=USUAL_STEPS),
    Plan(rings=SLANTED_RINGS, steps=USUAL_STEPS),
    Plan(rings=NEAR_FAR_RINGS, steps=FIRST_FAR, held="level"),
    Plan(rings=FARTHEST_RINGS, steps=FIRST_FARTHEST, held="level"),
    Plan(rings=NEAR_FAR_LIGHT_RINGS, steps=FIRST_FAR, way="light", held="level"),
    Plan(rings=FARTHEST_LIGHT_RINGS, steps=FIRST_FARTHEST, way="light", held="level"),
    Plan(rings=FIRST_RINGS, steps=LIGHT_STEPS, way="light"),
    Plan(rings=NEAR_FAR_RINGS, steps=OTHER_FAR, held="level"),
    Plan(rings=FARTHEST_RINGS, steps=OTHER_FARTHEST, held="level"),
    Plan(rings=FIRST_RINGS, steps=RARE_STEPS),
    Plan(rings=NEAR_FAR_LIGHT_RINGS, steps=OTHER_FAR, way="light", held="level"),
    Plan(rings=FARTHEST_LIGHT_RINGS, steps=OTHER_FARTHEST, way="light", held="level"),
    Plan(rings=OTHER_RINGS, steps=USUAL_STEPS),
    Plan(rings=NEAR_FAR_LIGHT_RINGS, steps=FAR_STEPS, way="light", held="turned"),
)


def lens_tries() -> Iterator[tuple[Plan, Steps]]:
    """Everything that is tried of a photo whose lens is not known, one thing after the other."""
    for plan in LENS_PLANS:
        if plan.way == "light":
            yield plan, plan.steps
        else:
            yield from ((plan, (step,)) for step in plan.steps)


def any_lens(search: Search, index: EarthIndex) -> Iterator[Attempt]:
    """Try the lenses that an unknown picture may have been taken with."""
    longest = max(search.stored.width_px, search.stored.height_px)
    for plan, steps in lens_tries():
        view = plan.view(search, index)
        lenses = [
            (replace(search.stored, focal_px=mm / FULL_FRAME_MM[0] * longest), pixel_km)
            for mm, pixel_km in steps
        ]
        parts = [(replace(view, lens=lens), plan.rings, level) for lens, level in lenses]
        yield attempt_of(plan, parts)


STEEP_STRETCH = ground_stretch(FIRST_RINGS[-1][0], ALTITUDE_KM)
# Crops, and lenses told wrong; figures bear a scale within 15 %
CROP_RATIOS = (1.3, 1.75, 0.77, 2.35)


# At far tilts light finds more than figures do, in half as much time again; cameras are mostly held
# level there, and these directions are few
PLANS = (
    Plan(rings=FIRST_RINGS),
    Plan(way="light", rings=FIRST_RINGS),
    Plan(rings=FIRST_RINGS, levels=(0, 1), ratios=CROP_RATIOS),
    Plan(rings=OTHER_RINGS, levels=(0, 1)),
    Plan(held="level", rings=FAR_RINGS, levels=(0, 1)),
    Plan(rings=FIRST_RINGS, levels=(0, 1), mirrored=True),
    Plan(way="light", rings=FIRST_RINGS, levels=(0, 1), ratios=CROP_RATIOS),
    Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(0, 1)),
    Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(1, 2)),
    Plan(held="level", rings=FAR_RINGS, levels=(0, 1), mirrored=True),
    Plan(way="light", rings=FIRST_RINGS, hazy=True),
    Plan(rings=FIRST_RINGS, hazy=True),
    Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(0, 1), mirrored=True),
    Plan(way="light", rings=FIRST_RINGS, mirrored=True),
    Plan(way="light", held="turned", rings=FAR_LIGHT_RINGS, levels=(0, 1)),
    Plan(held="turned", rings=FAR_RINGS, levels=(0, 1)),
    Plan(way="light", held="turned", rings=FAR_LIGHT_RINGS, levels=(1, 2)),
    Plan(rings=OTHER_RINGS, levels=(1, None)),
    Plan(rings=OTHER_RINGS, hazy=True),
    Plan(rings=OTHER_RINGS, mirrored=True),
    Plan(rings=FIRST_RINGS, mirrored=True, hazy=True),
    Plan(way="light", held="turned", rings=FAR_LIGHT_RINGS, levels=(0, 1), mirrored=True),
)
# Of light, so many of an attempt's best are looked at, the second of many tilts or lenses. Of ten
# photos of the training half the right camera was the first or second of a steep attempt's in nine
LOOKED_AT, MANY_LOOKED_AT = 3, 12


# Where the place is nearly known, figures from there are tried first; then these, in their order,
# by what they cost: an unknown lens has many that cost little
FIRST_SURPRISE, SURPRISE_PER_WORK = 1.0, 1.0
# of photos with a limb most before them, since it tells the tilt
LIMB_SURPRISE, EACH_LIMB_SURPRISE = -12.0, 0.4


def attempts(search: Search, index: EarthIndex) -> Iterator[Attempt]:
    """Try everything."""
    if search.limb is not None:
        yield from along_limb(search, search.limb, index)
        return
    work = 0.0
    for tried in (told_lens if search.focal_known else any_lens)(search, index):
        yield replace(tried, surprise=FIRST_SURPRISE + SURPRISE_PER_WORK * work)
        work += tried.tilts * COSTS[tried.cost(anywhere=False)]


def heights_km(search: Search) -> tuple[float, ...]:
    """Heights that towns are drawn from where the limb tells the tilt."""
    return LEVELLED_ALTITUDES_KM if search.anywhere else (search.altitude_km,)


def told_lens(search: Search, index: EarthIndex) -> Iterator[Attempt]:
    """Try all tilts of a known lens and of crops, level by level or ring by ring."""
    for plan in PLANS:
        view, lens = plan.view(search, index), search.stored
        for ratio in plan.ratios:
            scaled = replace(view, lens=replace(lens, focal_px=ratio * lens.focal_px))
            for parts in parts_of(scaled, plan):
                yield attempt_of(plan, [(scaled, *part) for part in parts])


def attempt_of(plan: Plan, parts: Sequence[tuple[EarthView, Rings, float]]) -> Attempt:
    """One attempt of a plan: views, rings, and their level."""
    looked_at = 0
    if plan.way == "light":
        looked_at = MANY_LOOKED_AT if plan.held or plan.steps else LOOKED_AT

    def find() -> list[Proposal]:
        return [p for view, rings, level in parts for p in plan.proposals(view, level, rings)]

    return Attempt(
        find=find,
        sigma_log_focal=SIGMA_LOG_FOCAL if plan.told else SIGMA_LOG_FOCAL_CROPPED,
        mirrored=plan.mirrored,
        hazy=plan.hazy,
        looked_at=looked_at,
        tilts=sum(len(directions(rings, plan.held)) for _, rings, _ in parts),
        drawn=plan.drawn,
    )


# Rings and the level in which they are tried
Parts = tuple[tuple[Rings, float], ...]


def parts_of(view: EarthView, plan: Plan) -> Iterator[Parts]:
    """What of a plan is one attempt: a level, or a far ring at one; light of far rings together."""
    if plan.held is None:
        for pixel_km in useful_levels(view, plan, STEEP_STRETCH):
            yield ((plan.rings, pixel_km),)
        return
    of_rings = [
        ((ring,), pixel_km)
        for ring in plan.rings
        for pixel_km in useful_levels(view, plan, ground_stretch(ring[0], ALTITUDE_KM))
    ]
    if plan.way == "light":
        yield tuple(of_rings)
    else:
        yield from ((part,) for part in of_rings)


def useful_levels(view: EarthView, plan: Plan, stretched: float) -> list[float]:
    """The levels of the index in which a plan tries ground that is stretched by so much."""
    first, end = plan.levels
    if plan.way == "light":
        return dense_levels(view.lens, list(view.index.levels), stretched)[first:end]
    if plan.held is None:
        stretched = 1.0
    return suitable_levels(view.lens, view.index.levels, stretched)[first:end]


# Sizes of pixels at which towns are sought: most photos are found from the first; the finer one,
# which costs twice as much as both, finds what has few towns
COARSE_PIXELS_KM, FINE_PIXELS_KM = (5.2, 2.6), (1.3,)
# and at which light is compared, in a tenth of a second each: of nine photos of the training half
# the right place came first in seven, in one of them where no figures find it
LIGHT_PIXELS_KM = (2.6, 1.3)
LIMB_LOOKED_AT = 3


def along_limb(search: Search, limb: Limb, index: EarthIndex) -> Iterator[Attempt]:
    """Try the heights and scales of a photo whose limb tells its tilt."""
    told = (1.0, SIGMA_LOG_FOCAL)
    bent = (limb.focal_ratio, SIGMA_LOG_FOCAL_CROPPED)
    tried: list[Attempt] = []
    for mirrored in (False, True):
        views = LimbViews(search=search, limb=limb, index=index, mirrored=mirrored)
        tried += views.figures(told, False, COARSE_PIXELS_KM)
        tried += [views.light(told), *views.figures(told, True, COARSE_PIXELS_KM)]
        tried += [views.light(bent), *views.figures(bent, False, COARSE_PIXELS_KM)]
        tried += views.figures(bent, True, COARSE_PIXELS_KM)
        for lens, hazy in product((told, bent), (False, True)):
            tried += views.figures(lens, hazy, FINE_PIXELS_KM)
        for ratio in CROP_SCALES:
            crop = (ratio, SIGMA_LOG_FOCAL_CROPPED)
            tried += [views.light(crop), *views.figures(crop, False, COARSE_PIXELS_KM)]
            tried += views.figures(crop, True, COARSE_PIXELS_KM)
    for number, one in enumerate(tried):
        yield replace(one, surprise=LIMB_SURPRISE + EACH_LIMB_SURPRISE * number)


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbViews:
    """A photo whose limb is known, to be drawn as a map at several scales."""

    search: Search
    limb: Limb
    index: EarthIndex
    mirrored: bool

    def view(self, scale: float, hazy: bool) -> tuple[EarthView, FloatArray]:
        """The picture without a mirror, its lens at a scale, and the nadir in it."""
        image = self.search.lights.of(hazy)
        focal_px = self.limb.focal_px / image.factor * scale
        view = EarthView(
            index=self.index,
            image=unmirrored(image, self.mirrored),
            lens=replace(self.search.stored, focal_px=focal_px),
            altitude_km=self.search.altitude_km,
        )
        return view, unmirrored_ray(self.limb.nadir_at_scale(scale), self.mirrored)

    def figures(
        self, lens: tuple[float, float], hazy: bool, pixels_km: Sequence[float]
    ) -> list[Attempt]:
        """Try figures of towns, level by level; `lens`: a scale and its relative sigma."""
        scale, sigma_log_focal = lens

        def find(pixel_km: float) -> list[Proposal]:
            view, nadir = self.view(scale, hazy)
            smooth = view.smoothed()
            return [
                proposal
                for altitude_km in heights_km(self.search)
                for proposal in propose_levelled(smooth, pixel_km, nadir, altitude_km)
            ]

        return [
            Attempt(
                find=partial(find, pixel_km),
                sigma_log_focal=sigma_log_focal,
                mirrored=self.mirrored,
                hazy=hazy,
                tilts=len(heights_km(self.search)),
                drawn=True,
            )
            for pixel_km in pixels_km
        ]

    def light(self, lens: tuple[float, float]) -> Attempt:
        """Compare the light around towns, at all levels together."""
        scale, sigma_log_focal = lens

        def find() -> list[Proposal]:
            found = []
            for hazy, pixel_km in product((False, True), LIGHT_PIXELS_KM):
                view, nadir = self.view(scale, hazy)
                proposals = propose_dense(view, pixel_km, [nadir])
                found += [replace(proposal, hazy=hazy) for proposal in proposals]
            return found

        return Attempt(
            find=find,
            sigma_log_focal=sigma_log_focal,
            mirrored=self.mirrored,
            looked_at=LIMB_LOOKED_AT,
            tilts=2 * len(LIGHT_PIXELS_KM),
            drawn=True,
        )
