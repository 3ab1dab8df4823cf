"""Which lenses are tried where none is told, with which pixels on the ground, in what order."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from regengine.blind.tilts import (
    FAR_LIGHT_RINGS,
    FAR_RINGS,
    FIRST_RINGS,
    OTHER_RINGS,
    Held,
    Rings,
    Way,
)

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
        As `regengine.blind.tilts.nadirs` takes them.
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


PLANS = (
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
    """Everything that is tried of a photo whose lens is not known, one thing after the other.

    Parameters
    ----------
    levels : container of float
        Sizes of pixels that the index has, kilometres.

    Yields
    ------
    plan : LensPlan
    steps : tuple of (float, float)
        Those of its steps that are one attempt.
    """
    for plan in PLANS:
        steps = tuple(step for step in plan.steps if step[1] in levels)
        if plan.together:
            yield plan, steps
        else:
            yield from ((plan, (step,)) for step in steps)
