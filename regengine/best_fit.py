"""The fit of a finalist, with its lens as told or, where that does not fit, with any lens."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matchers.camera import Camera
from matchers.refine import RefineParameters
from regengine.evidence import HeldOut, held_out
from regengine.finalists import COMPARED_PX, DETAIL_PX, Finalist, Solution, aligned_finalist, solve
from regengine.hypotheses import PhotoLights
from regengine.lenses import SIGMA_PRINCIPAL_SHARE
from regengine.light_windows import HasWindows

# Without odds above these the patches left out do not confirm the camera: the lens may be another.
# Right lenses had 4 to 15 in frames of the training half, a light counted once; noise has 0
LEAST_LOG10_ODDS = 3.0
# of which nothing is known then; crops to a third have it three times as long
SIGMA_LOG_FOCAL_ANY = 1.0


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A solution and how the patches that were left out of it land."""

    solution: Solution
    left_out: HeldOut


def best_fit(
    light_map: HasWindows, lights: PhotoLights, stored: Camera, finalist: Finalist
) -> Fit | None:
    """Fit a finalist to the end.

    A crop that has the shape of a whole picture, or a wrong focal length, brings a candidate to
    the right place with the wrong lens; the patches show it, and then the lens is set free.

    Parameters
    ----------
    light_map : HasWindows
        The map.
    lights : PhotoLights
        The photo's city light.
    stored : Camera
        Camera of the stored image (for its size).
    finalist : Finalist
        Where to start.

    Returns
    -------
    Fit or None
        The better of both; None where the photo holds too little to be fitted.
    """
    told = fit_of(light_map, lights, finalist)
    if told is not None and told.left_out.log10_odds > LEAST_LOG10_ODDS:
        return told
    look = finalist.candidate.look
    image = lights.of(look.hazy, look.flat).resized(COMPARED_PX, detail_px=DETAIL_PX)
    any_lens = with_any_lens(finalist, stored)
    light = lights.of(look.hazy)
    free = aligned_finalist(light_map, image, light, stored, any_lens, COMPARED_PX)
    freed = None if free is None else fit_of(light_map, lights, free)
    fits = [fit for fit in (told, freed) if fit is not None]
    return max(fits, key=lambda fit: fit.left_out.log10_odds, default=None)


def fit_of(light_map: HasWindows, lights: PhotoLights, finalist: Finalist) -> Fit | None:
    """One fit, and the test of it."""
    parameters = RefineParameters()
    fine = lights.of(finalist.candidate.look.hazy)
    solution = solve(light_map, fine, finalist, parameters)
    if solution is None:
        return None
    return Fit(solution=solution, left_out=held_out(solution, parameters))


def with_any_lens(finalist: Finalist, stored: Camera) -> Finalist:
    """A finalist whose focal length and axis are believed to be anything."""
    look = finalist.candidate.look
    longest = max(stored.width_px, stored.height_px)
    prior = replace(
        look.prior,
        sigma_log_focal=SIGMA_LOG_FOCAL_ANY,
        sigma_principal_px=SIGMA_PRINCIPAL_SHARE * longest,
    )
    candidate = replace(finalist.candidate, look=replace(look, prior=prior))
    return replace(finalist, candidate=candidate)
