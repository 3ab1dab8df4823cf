"""The best candidates on finer and finer images, and the one that is fitted to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.align import align
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage, detail
from matchers.pose import K1, PARAMETERS, PRINCIPAL_X, PRINCIPAL_Y, PosePrior
from matchers.refine import Refinement, RefineParameters, refine
from regengine.hypotheses import SAME_SHARE, Candidate, coarse_free, same_view
from regengine.light_windows import HasWindows, footprint_window, ground_sample_km

FINALISTS = 4
# Broader structure than this many pixels is left out of every comparison
DETAIL_PX = 10.0
COMPARED_PX = 256  # long side at which finalists are compared
# The map's own blur (VIIRS DNB pixels of 0.74 km) at the finest image's scale
FINEST_SMOOTH_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A candidate aligned at the scale where finalists are compared."""

    camera: Camera
    ncc: float
    candidate: Candidate


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The finalist fitted to the end: a camera for `image`, and what it was fitted to."""

    camera: Camera
    refinement: Refinement
    image: LightImage
    levels: tuple[LightGrid, ...]
    finalist: Finalist


def fine_free(prior: PosePrior, k1: bool) -> NDArray[np.bool_]:
    """Unknowns of the fine fits: all; the radial distortion only where asked for, the principal
    point only in what may be a crop.
    """
    free = np.ones(PARAMETERS, bool)
    free[K1] = k1
    free[[PRINCIPAL_X, PRINCIPAL_Y]] = prior.sigma_principal_px > 0.0
    return free


def compare_finalists(
    light_map: HasWindows, fine: LightImage, stored: Camera, candidates: Sequence[Candidate]
) -> list[Finalist]:
    """Align the best distinct candidates at a finer scale and order them anew.

    Parameters
    ----------
    light_map : HasWindows
        The map.
    fine : LightImage
        The photo's finest light image.
    stored : Camera
        Camera of the stored image (for its size).
    candidates : sequence of Candidate
        What the looks found: distinct, best first.

    Returns
    -------
    list of Finalist
        Best first, all distinct.
    """
    found: list[Finalist] = []
    steps = (COMPARED_PX // 2, COMPARED_PX)
    images = [fine.resized(size, detail_px=DETAIL_PX) for size in steps]
    for candidate in candidates[:FINALISTS]:
        camera, ncc = candidate.camera, candidate.ncc
        step_km = ground_sample_km(images[-1].camera(camera)) / 1.5
        levels = footprint_window(light_map, camera, 60.0, step_km)
        if levels is None:
            continue
        for image in images:
            prior = candidate.look.prior.for_image(image.factor)
            free = coarse_free() if image is images[0] else fine_free(prior, k1=False)
            aligned = align(
                levels,
                image.values,
                image.weight,
                image.camera(camera),
                prior,
                free=free,
                detail_px=DETAIL_PX,
                supersample=2,
            )
            camera = back_to_stored(aligned.camera, image, stored)
            ncc = aligned.ncc
        found.append(Finalist(camera=camera, ncc=ncc, candidate=candidate))
    found.sort(key=lambda f: -f.ncc)
    kept: list[Finalist] = []
    for finalist in found:
        if not any(same_view(finalist.camera, other.camera, SAME_SHARE) for other in kept):
            kept.append(finalist)
    return kept


def back_to_stored(camera: Camera, image: LightImage, stored: Camera) -> Camera:
    """A camera of a light image, for the stored one."""
    return camera.scaled(1.0 / image.factor, stored.width_px, stored.height_px)


def solve(
    light_map: HasWindows, fine: LightImage, finalist: Finalist, parameters: RefineParameters
) -> Solution | None:
    """Fit a finalist to the end on patches at the map's scale.

    Parameters
    ----------
    light_map : HasWindows
        The map.
    fine : LightImage
        The photo's finest light image.
    finalist : Finalist
        Where to start.
    parameters : RefineParameters
        How the fit looks at the photo.

    Returns
    -------
    Solution or None
        None where the photo holds too little to be fitted.
    """
    image = fine.resized(max(fine.values.shape), FINEST_SMOOTH_PX)
    camera = image.camera(finalist.camera)
    levels = footprint_window(light_map, finalist.camera, 25.0, ground_sample_km(camera) / 1.2)
    if levels is None:
        return None
    prior = finalist.candidate.look.prior.for_image(image.factor)
    aligned = align(
        levels,
        detail(image.values, DETAIL_PX),
        image.weight,
        camera,
        prior,
        free=fine_free(prior, k1=True),
        iterations=3,
        detail_px=DETAIL_PX,
        supersample=1,
    )
    refinement = refine(
        levels,
        image.values,
        image.weight,
        aligned.camera,
        prior,
        parameters,
        fine_free(prior, k1=True),
    )
    if refinement is None:
        return None
    return Solution(
        camera=refinement.camera,
        refinement=refinement,
        image=image,
        levels=levels,
        finalist=finalist,
    )
