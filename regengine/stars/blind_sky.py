"""The stars above a limb, solved without the limb: where its arc or the orbit mislead."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.star_types import StarDetections
from matchers.star_search import StarIndices
from regengine.stars.catalogue import StarCatalogue
from regengine.stars.solution import NotSolved, StarSolution
from regengine.stars.solve import SolveOptions, solve_stars

# Of processor time for each focal length, and the least that a look is worth. Of the real limb
# frames that `regengine.stars.limb_solver` could not solve and this can, each took less
SECONDS_PER_FOCAL = 2.5
# Six detections on stars may prove a turn about a known nadir; figures of unknown ones need more
FEWEST_DETECTIONS = 12
# Editors crop, and curvature is a few percent off: rungs of the ladder to both sides
LOG_FOCAL_SIGMA = 0.1


def solve_blindly(
    stars: StarDetections,
    size_px: tuple[int, int],
    focals_px: Sequence[float],
    catalogue: StarCatalogue,
    indices: StarIndices,
) -> StarSolution | NotSolved:
    """Identify stars by their figures alone, with lenses that are about right.

    Parameters
    ----------
    stars : StarDetections
        Above the limb, pixels of the image as stored.
    size_px : tuple of int
        (width, height) of that image.
    focals_px : sequence of float
        Focal lengths worth trying, in pixels of it, the likeliest first.
    catalogue : StarCatalogue
        Stars, the brightest first.
    indices : StarIndices
        Its figures.

    Returns
    -------
    StarSolution or NotSolved
    """
    if len(stars) < FEWEST_DETECTIONS:
        return NotSolved(code="few_stars", text=f"only {len(stars)} stars were found")
    for focal_px in focals_px:
        options = SolveOptions(
            focal_px=focal_px,
            log_focal_sigma=LOG_FOCAL_SIGMA,
            focal_only=True,
            max_seconds=SECONDS_PER_FOCAL,
        )
        outcome = solve_stars(stars, *size_px, catalogue, indices, options)
        if isinstance(outcome, StarSolution):
            return outcome
    return NotSolved(code="no_match", text="no figure of stars is known for one of these lenses")
