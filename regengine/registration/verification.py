"""What speaks for a solved camera: correlation, towns, patches held back from the fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detectors.types import IndexArray
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.patches import PatchMatches, choose_patches, groups_of, match_patches
from matchers.photo_light import LightImage
from matchers.refine import RefineParameters, cells_of, fit_pose
from matchers.verify import Proof, Towns, find_towns, prove
from matchers.view import render_known
from regengine.registration.evidence import Finalist, Fit, HeldOut, Solution
from regengine.registration.lens_prior import SIGMA_PRINCIPAL_SHARE
from regengine.registration.map_window import footprint_window, ground_sample_km
from regengine.registration.refinement import COMPARED_PX, aligned_finalist, fine_free, solve
from regengine.registration.search import Search

TOWNS_OF_PHOTO = 150
TOWNS_OF_MAP = 300
FOLDS = 3
FEWEST_PATCHES = 8
# Patches that test a fit: their sides, and so many cells along the picture as hold one each. What
# few of one size tell is unsure; the mean of the odds is no more than chance allows
# (Vovk & Wang 2021, E-values: calibration, combination and applications)
TESTING_PATCHES = ((31, 14), (25, 17), (21, 20))
# A patch is sought so many times as far away as it may lie to have landed
REACH = 4.0
# Places of patches scatter by a pixel: of those held out so many land within one under the right
# camera. Clouds and new lights spoil some, and in frames with few lights most; each is tried
LANDED_PX, SHARES_LANDED = 1.0, (0.3, 0.45, 0.6, 0.8)
# A fit is right within 1 % of the diagonal: most land within half of that, or it holds in a part
RIGHT_SHARE, SHARES_RIGHT = 0.005, (0.6, 0.8)
# Median distance of two independent normal errors, in sigmas (Rayleigh distribution)
RAYLEIGH_MEDIAN = 1.1774
# Fewer towns that agree with the map prove nothing
FEW_TOWNS = 8


def towns_proof(
    image: LightImage, camera: Camera, levels: Sequence[LightGrid]
) -> tuple[Proof, Towns, NDArray[np.float32]]:
    """Weigh the towns of a photo under a camera (of that image)."""
    view, known = render_known(levels, camera, 2)
    weight = image.weight * known
    photo = find_towns(image.values, weight, TOWNS_OF_PHOTO)
    return prove(photo, find_towns(view, weight, TOWNS_OF_MAP)), photo, view


def finalist_log10_odds(search: Search, finalist: Finalist) -> float:
    """Towns' odds of a finalist at twice the scale where finalists are compared."""
    image = search.lights.of(finalist.candidate.look.hazy).resized(COMPARED_PX * 2)
    camera = image.camera(finalist.camera)
    step_km = ground_sample_km(camera) / 1.2
    levels = footprint_window(search.light_map, finalist.camera, 25.0, step_km)
    if levels is None:
        return 0.0
    return towns_proof(image, camera, levels)[0].log10_odds


def held_out(solution: Solution) -> HeldOut:
    """Fit without every third light and see where its patches land; of patches of several sizes."""
    photo = solution.image.values
    view, known = render_known(solution.levels, solution.camera, 2)
    right_px = max(RIGHT_SHARE * float(np.hypot(*photo.shape)), LANDED_PX)
    tests = []
    for landed_px, shares in ((LANDED_PX, SHARES_LANDED), (right_px, SHARES_RIGHT)):
        far_px = reach_px(landed_px)
        for size_px, along in TESTING_PATCHES:
            cells = cells_of(along, photo.shape)
            weight = solution.image.weight * known
            centres = choose_patches(view, weight, size_px, cells, far_px)
            matches = match_patches(photo, view, centres, size_px, far_px)
            # A patch is held out only with all that show the same light
            groups = groups_of(view, matches)
            tests.append(landing(solution, matches, groups, landed_px, shares))
    return HeldOut(
        residual_px=tests[0].residual_px,
        log10_odds=float(np.mean([test.log10_odds for test in tests])),
    )


def reach_px(landed_px: float) -> int:
    """How far patches are sought."""
    return math.ceil(REACH * landed_px)


def landing(
    solution: Solution,
    matches: PatchMatches,
    groups: IndexArray,
    landed_px: float,
    shares: Sequence[float],
) -> HeldOut:
    """How patches land, each by a fit to other groups, if one of these shares of them should."""
    count = len(matches)
    if count < FEWEST_PATCHES:
        return HeldOut(residual_px=float("inf"), log10_odds=0.0)
    start, prior = solution.camera, solution.finalist.candidate.look.prior
    prior = prior.for_image(solution.image.factor)
    folds = groups % FOLDS
    distance = np.full(count, np.inf)
    ground_ecef_m = start.pixel_to_ecef(matches.x, matches.y)
    for fold in np.unique(folds):
        left_out = folds == fold
        if left_out.all():
            continue
        fitted = fit_pose(
            start,
            matches.chosen(~left_out),
            prior,
            fine_free(prior, k1=True),
            RefineParameters().outlier_sigmas,
        )
        judged = matches.chosen(left_out)
        x, y = fitted.camera.ecef_to_pixel(ground_ecef_m[left_out])
        distance[left_out] = np.hypot(judged.x + judged.dx - x, judged.y + judged.dy - y)
    distance = np.where(np.isfinite(distance), distance, np.inf)
    # A wrong camera's patches peak anywhere within their reach
    chance = np.pi * landed_px**2 / (2.0 * reach_px(landed_px) - 1.0) ** 2
    landed = float((distance < landed_px).mean())
    # Of patches that overlap or show one light, no more are independent than fit side by side, or
    # than there are lights
    area = solution.image.values.size / matches.size_px**2
    independent = min(len(np.unique(groups)), area)
    odds = max(
        landed * np.log10(share / chance)
        + (1.0 - landed) * np.log10((1.0 - share) / (1.0 - chance))
        for share in shares
    )
    return HeldOut(
        residual_px=float(np.median(distance)) / RAYLEIGH_MEDIAN,
        log10_odds=float(independent * odds - np.log10(len(shares))),
    )


# The fit of a finalist, with its lens as told or, where that does not fit, with any lens.

# Without odds above these the patches left out do not confirm the camera: the lens may be another.
# Right lenses had 4 to 15 in frames of the training half, a light counted once; noise has 0
LEAST_LOG10_ODDS = 3.0
# of which nothing is known then; crops to a third have it three times as long
SIGMA_LOG_FOCAL_ANY = 1.0


def best_fit(search: Search, finalist: Finalist) -> Fit | None:
    """Fit a finalist to the end.

    A crop that has the shape of a whole picture, or a wrong focal length, brings a candidate to
    the right place with the wrong lens; the patches show it, and then the lens is set free.
    """
    told = fit_of(search, finalist)
    if told is not None and told.left_out.log10_odds > LEAST_LOG10_ODDS:
        return told
    search.spend("fit")
    free = aligned_finalist(search, with_any_lens(finalist, search.stored), COMPARED_PX)
    freed = None if free is None else fit_of(search, free)
    fits = [fit for fit in (told, freed) if fit is not None]
    return max(fits, key=lambda fit: fit.left_out.log10_odds, default=None)


def fit_of(search: Search, finalist: Finalist) -> Fit | None:
    """One fit, and the test of it."""
    parameters = RefineParameters()
    solution = solve(search, finalist, parameters)
    if solution is None:
        return None
    return Fit(solution=solution, left_out=held_out(solution))


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
