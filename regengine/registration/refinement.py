"""The best candidates on finer and finer images, and the one that is fitted to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.align import align
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage, detail, evened
from matchers.pose import K1, PARAMETERS, PRINCIPAL_X, PRINCIPAL_Y, PosePrior
from matchers.refine import Refinement, RefineParameters, refine
from matchers.verify import picture_log10_odds
from matchers.view import render_known
from regengine.registration.candidates import SAME_SHARE, Candidate, field_share, same_view
from regengine.registration.map_window import HasWindows, footprint_window, ground_sample_km
from regengine.registration.propose_dense import PhotoLights, coarse_free

# How surely the picture as a whole lies where a camera puts it.

# Finer than what finalists are aligned by: outlines of districts, which few cameras share
PICTURE_DETAIL_PX = 3.0
PICTURE_SMOOTH_PX = 0.8
# Shifts shorter than this times the detail's scale show the same place
SAME_PICTURE = 3.0


def picture_proof(
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
FINALISTS = 4
# Broader structure than this many pixels is left out of every comparison
DETAIL_PX = 10.0
COMPARED_PX = 256  # long side at which finalists are compared
# The map's own blur (VIIRS DNB pixels of 0.74 km) at the finest image's scale
FINEST_SMOOTH_PX = 1.0
# Telephoto frames are fitted at pixels of this size, below the map's 0.46 km
FITTED_SAMPLE_KM = 0.33
LEAST_FITTED_PX = 96


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A candidate aligned at the scale where finalists are compared.

    ``ncc`` is its correlation, ``even_ncc`` that of both pictures with their contrast evened, see
    `matchers.photo_light.evened`; ``picture_log10_odds``, of that picture against shifts of itself,
    order the finalists: see `matchers.verify`.
    """

    camera: Camera
    ncc: float
    even_ncc: float
    candidate: Candidate
    picture_log10_odds: float = 0.0  # as yet nothing

    @property
    def share(self) -> float:
        """What a correlation of this field's width is worth."""
        return field_share(self.camera)

    @property
    def score(self) -> float:
        """Evened correlation as far as it can be compared between lenses."""
        return self.even_ncc * self.share


# Alignments by candidate and size; None where the map holds nothing of its ground
Aligned = dict[tuple[Candidate, int], Finalist | None]


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
    light_map: HasWindows,
    lights: PhotoLights,
    stored: Camera,
    candidates: Sequence[Candidate],
    known: Aligned,
) -> list[Finalist]:
    """Align the best distinct candidates at a finer scale and order them anew."""
    found = preselected(light_map, lights, stored, candidates, known)
    aligned = [aligned_once(light_map, lights, stored, f, COMPARED_PX, known) for f in found]
    found = ordered(aligned)
    kept: list[Finalist] = []
    for finalist in found:
        if not any(same_view(finalist.camera, other.camera, SAME_SHARE) for other in kept):
            kept.append(finalist)
    return kept


def leading(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The best candidates of flat light and of other light, which compare at finer scales only."""
    return [
        candidate
        for flat in (False, True)
        for candidate in [c for c in candidates if c.look.flat == flat][:FIRST_FINALISTS]
    ]


def preselected(
    light_map: HasWindows,
    lights: PhotoLights,
    stored: Camera,
    candidates: Sequence[Candidate],
    known: Aligned,
) -> list[Finalist]:
    """The best candidates at half of the scale at which finalists are compared, best first."""
    first = [
        Finalist(camera=c.camera, ncc=c.ncc, even_ncc=c.ncc, candidate=c)
        for c in leading(candidates)
    ]
    aligned = [aligned_once(light_map, lights, stored, f, COMPARED_PX // 2, known) for f in first]
    return ordered(aligned)[:FINALISTS]


def ordered(aligned: Sequence[Finalist | None]) -> list[Finalist]:
    """Those that could be aligned, best first.

    Of 13 hard frames of the training half the right one was first in 6 by evened correlation, in
    11 by the odds of the picture.
    """
    found = (f for f in aligned if f is not None)
    return sorted(found, key=lambda f: (-f.picture_log10_odds, -f.score))


def aligned_once(
    light_map: HasWindows,
    lights: PhotoLights,
    stored: Camera,
    finalist: Finalist,
    size_px: int,
    known: Aligned,
) -> Finalist | None:
    """As `aligned_finalist`, or what that came to before.

    At the larger size what was found with glows is aligned without them, too, and the better is
    taken: glows lead to a city, its towns are told apart without.
    """
    key = (finalist.candidate, size_px)
    if key in known:
        return known[key]
    versions = [finalist]
    if finalist.candidate.look.hazy and size_px == COMPARED_PX:
        sharp = replace(finalist.candidate, look=replace(finalist.candidate.look, hazy=False))
        versions.append(replace(finalist, candidate=sharp))
    aligned = []
    for version in versions:
        look = version.candidate.look
        image = lights.of(look.hazy, look.flat).resized(size_px, detail_px=DETAIL_PX)
        light = lights.of(look.hazy)
        aligned.append(aligned_finalist(light_map, image, light, stored, version, size_px))
    best = next(iter(ordered(aligned)), None)
    known[key] = best
    return best


def aligned_finalist(
    light_map: HasWindows,
    image: LightImage,
    light: LightImage,
    stored: Camera,
    finalist: Finalist,
    size_px: int,
) -> Finalist | None:
    """A finalist aligned on an image and held against the photo's light, neither flat nor small.

    None where the map holds nothing of its ground.
    """
    camera = image.camera(finalist.camera)
    step_km = ground_sample_km(camera) / 1.5
    levels = footprint_window(light_map, finalist.camera, 60.0, step_km)
    if levels is None:
        return None
    prior = finalist.candidate.look.prior.for_image(image.factor)
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
    found = image.stored_camera(aligned.camera, stored)
    return Finalist(
        camera=found,
        ncc=aligned.ncc,
        even_ncc=aligned.even_ncc,
        candidate=finalist.candidate,
        picture_log10_odds=picture_proof(light, found, levels, size_px),
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


def solve(
    light_map: HasWindows, fine: LightImage, finalist: Finalist, parameters: RefineParameters
) -> Solution | None:
    """Fit a finalist to the end on patches at the map's scale."""
    size_px = max(fine.values.shape)
    if finalist.candidate.look.flat:
        size_px = min(size_px, map_scale_px(finalist.camera))
    image = fine.resized(size_px, FINEST_SMOOTH_PX)
    camera = image.camera(finalist.camera)
    levels = footprint_window(light_map, finalist.camera, 25.0, ground_sample_km(camera) / 1.2)
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
