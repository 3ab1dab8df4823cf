"""Which lenses are tried where none is told, with which pixels on the ground, in what order."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from regengine.blind.tilts import FAR_RINGS, FIRST_RINGS, OTHER_RINGS

Rings = tuple[tuple[float, int], ...]
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
# Towards 41 degrees, where pixels are 1.6 times as long on the ground as straight down
FAR_STEPS: Steps = ((85.0, 1.3), (50.0, 2.6), (29.0, 2.6), (66.0, 1.3), (38.0, 2.6))
STEEP_RINGS, SLANTED_RINGS = FIRST_RINGS[:2], FIRST_RINGS[2:]
NEAR_FAR_RINGS = FAR_RINGS[:3]


@dataclass(frozen=True, kw_only=True)
class LensPlan:
    """Tilts and lenses that are tried together.

    Attributes
    ----------
    rings : tuple of (float, int)
        As `regengine.blind.tilts.nadirs` takes them.
    steps : tuple of (float, float)
        Focal length of a full frame, millimetres, and size of a level's pixels, kilometres.
    far : str or None
        The picture is drawn as a map for each direction; "upright" takes those of cameras that are
        held level, "other" the others.
    mirrored, hazy : bool
        Whether the picture is flipped, and whether it keeps glows.
    """

    rings: Rings
    steps: Steps
    far: Literal["upright", "other"] | None = None
    mirrored: bool = False
    hazy: bool = False


PLANS = (
    LensPlan(rings=STEEP_RINGS, steps=USUAL_STEPS),
    LensPlan(rings=SLANTED_RINGS, steps=USUAL_STEPS),
    LensPlan(rings=FIRST_RINGS, steps=RARE_STEPS),
    LensPlan(rings=NEAR_FAR_RINGS, steps=FAR_STEPS, far="upright"),
    LensPlan(rings=OTHER_RINGS, steps=USUAL_STEPS),
    LensPlan(rings=NEAR_FAR_RINGS, steps=FAR_STEPS, far="other"),
    LensPlan(rings=FIRST_RINGS, steps=USUAL_STEPS, hazy=True),
    LensPlan(rings=OTHER_RINGS, steps=RARE_STEPS),
    LensPlan(rings=FIRST_RINGS, steps=RARE_STEPS, hazy=True),
    LensPlan(rings=FIRST_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True),
    LensPlan(rings=OTHER_RINGS, steps=USUAL_STEPS + RARE_STEPS, hazy=True),
    LensPlan(rings=OTHER_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True),
    LensPlan(rings=FIRST_RINGS, steps=USUAL_STEPS + RARE_STEPS, mirrored=True, hazy=True),
)


def lens_tries(levels: Container[float]) -> Iterator[tuple[LensPlan, float, float]]:
    """Everything that is tried of a photo whose lens is not known, one thing after the other.

    Parameters
    ----------
    levels : container of float
        Sizes of pixels that the index has, kilometres.

    Yields
    ------
    plan : LensPlan
    focal_mm, pixel_km : float
        One of its steps.
    """
    for plan in PLANS:
        for focal_mm, pixel_km in plan.steps:
            if pixel_km in levels:
                yield plan, focal_mm, pixel_km
