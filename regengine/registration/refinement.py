"""The best candidates on finer and finer images, and the one that is fitted to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.align import align
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage, detail, evened
from matchers.pose import K1, PARAMETERS, PRINCIPAL_X, PRINCIPAL_Y, PosePrior
from matchers.refine import refine
from matchers.verify import picture_log10_odds
from matchers.view import render_known
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    coarse_free,
    same_view,
)
from regengine.registration.evidence import Finalist, Solution
from regengine.registration.map_window import footprint_window, ground_sample_km
from regengine.registration.search import Search

# Finer than what finalists are aligned by: outlines of districts, which few cameras share
PICTURE_DETAIL_PX = 3.0
PICTURE_SMOOTH_PX = 0.8
# Shifts shorter than this times the detail's scale show the same place
SAME_PICTURE = 3.0


def picture_odds(
    image: LightImage, camera: Camera, levels: Sequence[LightGrid], size_px: int
) -> float:
    """Weigh the picture as a whole under a camera against chance."""
    scale_px = PICTURE_DETAIL_PX
    picture = image.resized(size_px, detail_px=scale_px)
    view, known = render_known(levels, picture.camera(camera), 2)
    view = np.asarray(cv2.GaussianBlur(view, (0, 0), PICTURE_SMOOTH_PX), np.float32)
    weight = np.asarray(picture.weight * known, np.float32)
    photo = evened(picture.values, scale_px, weight)
    # What hides the photo hides nothing of the map under its other shifts
    shown = evened(detail(view, scale_px, known), scale_px, known) * known
    return picture_log10_odds(photo, shown, weight, SAME_PICTURE * scale_px)


# Under clouds a few wrong cameras may top the right one's coarse correlation; at twice the scale
# it stands out
FIRST_FINALISTS = 8
# Small flat pictures of cities are alike: of nine telephoto frames the right one was the 1st to the
# 68th by them, and the first in eight by the odds of the picture at the next scale
FIRST_IF_FLAT = 200
FINALISTS = 4
# Broader structure than this many pixels is left out of every comparison
DETAIL_PX = 10.0
COMPARED_PX = 256  # long side at which finalists are compared
# The map's own blur (VIIRS DNB pixels of 0.74 km) at the finest image's scale
FINEST_SMOOTH_PX = 1.0
# Telephoto frames are fitted at pixels of this size, below the map's 0.46 km
FITTED_SAMPLE_KM = 0.33
LEAST_FITTED_PX = 96  # three patches side by side


def fine_free(prior: PosePrior, k1: bool) -> NDArray[np.bool_]:
    """Unknowns of the fine fits: all; the radial distortion only where asked for, the principal
    point only in what may be a crop.
    """
    free = np.ones(PARAMETERS, bool)
    free[K1] = k1
    free[[PRINCIPAL_X, PRINCIPAL_Y]] = prior.sigma_principal_px > 0.0
    return free


def compare_finalists(search: Search) -> list[Finalist]:
    """Align the best distinct candidates at a finer scale and order them anew."""
    aligned = [aligned_once(search, f, COMPARED_PX) for f in preselected(search)]
    kept: list[Finalist] = []
    for finalist in ordered(aligned):
        if not any(same_view(finalist.camera, other.camera, SAME_SHARE) for other in kept):
            kept.append(finalist)
    return kept


def leading(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The best candidates of flat light and of other light, which compare at finer scales only."""
    return [
        candidate
        for flat, most in ((False, FIRST_FINALISTS), (True, FIRST_IF_FLAT))
        for candidate in [c for c in candidates if c.look.flat == flat][:most]
    ]


def preselected(search: Search) -> list[Finalist]:
    """The best candidates at half of the scale at which finalists are compared, best first."""
    first = [
        Finalist(camera=c.camera, ncc=c.ncc, even_ncc=c.ncc, candidate=c)
        for c in leading(search.candidates)
    ]
    return ordered([aligned_once(search, f, COMPARED_PX // 2) for f in first])[:FINALISTS]


def ordered(aligned: Sequence[Finalist | None]) -> list[Finalist]:
    """Those that could be aligned, best first.

    Of 13 hard frames of the training half the right one was first in 6 by evened correlation, in
    11 by the odds of the picture.
    """
    found = (f for f in aligned if f is not None)
    return sorted(found, key=lambda f: (-f.picture_log10_odds, -f.score))


def aligned_once(search: Search, finalist: Finalist, size_px: int) -> Finalist | None:
    """As `aligned_finalist`, or what that came to before.

    At the larger size what was found with glows is aligned without them, too, and the better is
    taken: glows lead to a city, its towns are told apart without.
    """
    key = (finalist.candidate, size_px)
    if key not in search.aligned:
        versions = [finalist]
        if finalist.candidate.look.hazy and size_px == COMPARED_PX:
            sharp = replace(finalist.candidate, look=replace(finalist.candidate.look, hazy=False))
            versions.append(replace(finalist, candidate=sharp))
        search.spend("finalist" if size_px == COMPARED_PX else "small finalist", len(versions))
        aligned = [aligned_finalist(search, version, size_px) for version in versions]
        search.aligned[key] = next(iter(ordered(aligned)), None)
    return search.aligned[key]


def aligned_finalist(search: Search, finalist: Finalist, size_px: int) -> Finalist | None:
    """A finalist aligned on its light image, and held against one that is neither flat nor small.

    None where the map holds nothing of its ground.
    """
    look = finalist.candidate.look
    image = search.lights.of(look.hazy, look.flat).resized(size_px, detail_px=DETAIL_PX)
    camera = image.camera(finalist.camera)
    step_km = ground_sample_km(camera) / 1.5
    levels = footprint_window(search.light_map, finalist.camera, 60.0, step_km)
    if levels is None:
        return None
    prior = look.prior.for_image(image.factor)
    free = coarse_free() if size_px < COMPARED_PX else fine_free(prior, k1=False)
    aligned = align(
        levels,
        image.values,
        image.weight,
        camera,
        prior,
        free=free,
        detail_px=DETAIL_PX,
        supersample=2,
    )
    found = image.stored_camera(aligned.camera, search.stored)
    light = search.lights.of(look.hazy)
    return Finalist(
        camera=found,
        ncc=aligned.ncc,
        even_ncc=aligned.even_ncc,
        candidate=finalist.candidate,
        picture_log10_odds=picture_odds(light, found, levels, size_px),
        other_lens=finalist.other_lens,
    )


def map_scale_px(camera: Camera) -> int:
    """Long side of an image of a telephoto frame whose pixels suit the map where it looks.

    Its finest light image is made for slanted views: below, it shows streets that no map has.
    """
    middle = camera.pixel_to_ecef((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    slant_km = float(np.linalg.norm(middle - np.asarray(camera.position_ecef_m))) / 1e3
    if not np.isfinite(slant_km):
        return LEAST_FITTED_PX
    field_km = slant_km * max(camera.width_px, camera.height_px) / camera.focal_px
    return max(LEAST_FITTED_PX, round(field_km / FITTED_SAMPLE_KM))


def solve(search: Search, finalist: Finalist) -> Solution | None:
    """Fit a finalist to the end on patches at the map's scale."""
    fine = search.lights.of(finalist.candidate.look.hazy)
    size_px = max(fine.values.shape)
    if finalist.candidate.look.flat:
        size_px = min(size_px, map_scale_px(finalist.camera))
    image = fine.resized(size_px, FINEST_SMOOTH_PX)
    camera = image.camera(finalist.camera)
    step_km = ground_sample_km(camera) / 1.2
    levels = footprint_window(search.light_map, finalist.camera, 25.0, step_km)
    if levels is None:
        return None
    prior = finalist.candidate.look.prior.for_image(image.factor)
    aligned = align(
        levels,
        detail(image.values, DETAIL_PX, image.weight),
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
