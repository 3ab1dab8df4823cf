"""What speaks for a solved camera: correlation, towns, patches held back from the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.patches import groups_of
from matchers.photo_light import LightImage
from matchers.refine import Refinement, RefineParameters, fit_pose
from matchers.verify import Proof, Towns, find_towns, prove
from matchers.view import render_known
from regengine.registration.lens_prior import SIGMA_PRINCIPAL_SHARE
from regengine.registration.map_window import footprint_window, ground_sample_km
from regengine.registration.refinement import (
    COMPARED_PX,
    Finalist,
    Solution,
    aligned_finalist,
    fine_free,
    solve,
)

if TYPE_CHECKING:
    from regengine.registration.search import Search

TOWNS_OF_PHOTO = 150
TOWNS_OF_MAP = 300
FOLDS = 3
FEWEST_PATCHES = 8
LANDED_PX = 1.0
# Share of held-out patches that land under the right camera: clouds and new lights spoil some, and
# in frames with few lights most; each is tried
SHARES_LANDED = (0.3, 0.45, 0.6, 0.8)
# Median distance of two independent normal errors, in sigmas (Rayleigh distribution)
RAYLEIGH_MEDIAN = 1.1774
# Fewer towns that agree with the map prove nothing
FEW_TOWNS = 8
# Contrast evened, wrong cameras of training frames (also of aurora, noise, and another continent)
# led by 0.089 at most
CLEAR_MARGIN = 0.12
# and what leads by less has a rival
LOW_MARGIN = 0.08
# What has these odds, the cameras tried taken off, is no chance: one in a thousand, which is what
# is aimed at among the accepted. Of 41 decoys and 24 wrong cameras of the training half the largest
# odds of towns, patches and picture together were 1.5
CLEAR_LOG10_ODDS = 3.0
# One look tries about this many attitudes that differ: 7 to 29 tiles x 60 rolls x 49 x 49 shifts
LOG10_ATTITUDES_PER_LOOK = 6.0
# Towns or patches with such odds hold the fit that they belong to: beyond chance among the
# attitudes that one look tries
SUPPORTED_LOG10_ODDS = LOG10_ATTITUDES_PER_LOOK
# Two kinds of proposers agree on the right place so many times as often as on a wrong one: of 24
# right cameras of the training half 8 had been proposed by two, though most searches end before a
# second kind is asked; of 59 wrong ones, 41 of them decoys, 2
AGREEMENT_LOG10_ODDS = 1.0

# A fit is precise where patches that were left out of it land, one sigma, within this many pixels,
# or within the second where neither towns nor patches hold it (right ones to 1.5, one that was
# 2.3 % of the long side off 1.8, one 5 % off 2.5); frames without patches to leave out have other
# evidence
PRECISE_PX = 2.6
PRECISE_UNCONFIRMED_PX = 1.6
# and where the fit without a third of the lights moves no patch by more than this share of the
# diagonal (one sigma of the jackknife): 1 % counts as right. Of 16 training frames 15 were right
# and at 0.0001 to 0.006, one was 1.7 % off in a corner and at 0.015
PRECISE_SPREAD = 0.0075


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Patches that the fit did not see: one sigma per axis, and their odds against chance."""

    residual_px: float
    log10_odds: float
    spread_share: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Figures from which the confidence follows.

    ncc, runner_up_ncc: Correlation of the proposal and of the best distinct other finalist at the
        scale where finalists are compared; the latter as if it had the proposal's field.
    town_log10_odds, patch_log10_odds, runner_up_log10_odds: Towns, and patches held back from the
        fit, against chance, the number of attitudes tried taken off; the runner-up's are those of
        its towns.
    towns, met_towns: Towns of the photo, and those that the map confirms.
    patches: Patches that agree with the camera.
    residual_px, held_out_residual_px: One sigma per axis of the patches, in the fit and held back
        from it, pixels of the solution's image.
    field_share: What a correlation of that field's width is worth, see `candidates.field_share`.
    even_ncc, runner_up_even_ncc: As ``ncc`` and ``runner_up_ncc``, of pictures whose contrast was
        evened; not a number in tables that were made without.
    picture_log10_odds, runner_up_picture_log10_odds: Of the picture as a whole under the fitted
        camera, and of the runner-up's, against shifts of itself, see `matchers.verify`; the number
        of attitudes tried taken off. Not a number in tables that were made without.
    spread_share: How far the fit moves the worst of its patches when a third of the lights is left
        out, one sigma of the jackknife, as a share of the image's diagonal; not a number where
        nothing can be left out.
    agreeing: Kinds of proposers that found the camera without knowing of each other.
    log10_tried: Of the number of attitudes tried, which each of the odds has taken off.
    """

    ncc: float
    runner_up_ncc: float
    town_log10_odds: float
    patch_log10_odds: float
    runner_up_log10_odds: float
    towns: int
    met_towns: int
    patches: int
    residual_px: float
    held_out_residual_px: float
    field_share: float = 1.0
    even_ncc: float = float("nan")
    runner_up_even_ncc: float = float("nan")
    picture_log10_odds: float = float("nan")
    runner_up_picture_log10_odds: float = float("nan")
    spread_share: float = float("nan")
    agreeing: int = 1
    log10_tried: float = LOG10_ATTITUDES_PER_LOOK

    @property
    def log10_odds(self) -> float:
        """Towns, patches and picture together against chance, the attitudes tried taken off once.

        Chance hardly ever brings about more than one of them: see `CLEAR_LOG10_ODDS`.
        """
        together = self.town_log10_odds + self.patch_log10_odds + self.picture_log10_odds
        return together + 2.0 * self.log10_tried

    @property
    def runner_up_joint_log10_odds(self) -> float:
        """The same of the runner-up, whose patches are not known."""
        together = self.runner_up_log10_odds + self.runner_up_picture_log10_odds
        return together + self.log10_tried

    @property
    def lead_log10_odds(self) -> float:
        """Its odds over the runner-up's, where those are for it: what the probability follows."""
        return self.log10_odds - max(self.runner_up_joint_log10_odds, 0.0)

    @property
    def even_margin(self) -> float:
        """Evened correlation above the runner-up's, as far as lenses can be compared."""
        return (self.even_ncc - self.runner_up_even_ncc) * self.field_share

    @property
    def supported(self) -> bool:
        """Whether towns or patches hold the fit: how many places were tried does not matter."""
        best = max(self.town_log10_odds, self.patch_log10_odds)
        return best + self.log10_tried > SUPPORTED_LOG10_ODDS

    @property
    def precise(self) -> bool:
        """Whether lights that are left out of the fit lie where it says.

        Where neither towns nor patches nor the picture are beyond chance, nothing tells: at the
        limb a lead over other cameras has proven places whose control points were 18 km off.
        """
        if self.log10_odds < CLEAR_LOG10_ODDS:
            return False
        within_px = PRECISE_PX if self.supported else PRECISE_UNCONFIRMED_PX
        loose = np.isfinite(self.held_out_residual_px) and self.held_out_residual_px > within_px
        return not loose and not self.spread_share > PRECISE_SPREAD

    @property
    def agreement_log10_odds(self) -> float:
        """What it says for a place that several kinds of proposers came to it by themselves."""
        return AGREEMENT_LOG10_ODDS if self.agreeing > 1 else 0.0

    @property
    def rivalled(self) -> bool:
        """Whether another camera fits nearly as well: it may be the right one of the same place."""
        return self.even_margin < LOW_MARGIN

    @property
    def clear(self) -> bool:
        """Whether all that speaks for it is no chance, and what the runner-up has nothing else."""
        return self.log10_odds >= CLEAR_LOG10_ODDS and self.runner_up_joint_log10_odds <= 0.0


def log10_tried(looks: int) -> float:
    """Logarithm of the number of cameras that the search has tried."""
    return LOG10_ATTITUDES_PER_LOOK + float(np.log10(max(looks, 1)))


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


def held_out(solution: Solution, parameters: RefineParameters) -> HeldOut:
    """Fit without every third light and see where its patches land."""
    refinement = solution.refinement
    count = len(refinement.matches)
    if count < FEWEST_PATCHES:
        return HeldOut(residual_px=float("inf"), log10_odds=0.0, spread_share=float("nan"))
    prior = solution.finalist.candidate.look.prior.for_image(solution.image.factor)
    start = refinement.rendered
    # A patch is held out only with all that show the same light
    groups = groups_of(render_known(solution.levels, start, 2)[0], refinement.matches)
    folds = groups % FOLDS
    distance = np.full(count, np.inf)
    ground_ecef_m = start.pixel_to_ecef(refinement.matches.x, refinement.matches.y)
    moved_px = []
    for fold in np.unique(folds):
        left_out = folds == fold
        if left_out.all():
            continue
        fitted = fit_pose(
            start,
            refinement.matches.chosen(~left_out),
            prior,
            fine_free(prior, k1=True),
            parameters.outlier_sigmas,
        )
        matches = refinement.matches.chosen(left_out)
        moved_px.append(_moved_px(solution.camera, fitted.camera, ground_ecef_m))
        x, y = fitted.camera.ecef_to_pixel(ground_ecef_m[left_out])
        distance[left_out] = np.hypot(matches.x + matches.dx - x, matches.y + matches.dy - y)
    distance = np.where(np.isfinite(distance), distance, np.inf)
    # A wrong camera's patches peak anywhere within the reach of the last round
    chance = np.pi * LANDED_PX**2 / (2.0 * parameters.reaches_px[-1] - 1.0) ** 2
    landed = float((distance < LANDED_PX).mean())
    # Of patches that overlap or show one light, no more are independent than fit side by side, or
    # than there are lights
    area = solution.image.values.size / parameters.patch_px**2
    independent = min(len(np.unique(groups)), area)
    odds = max(
        landed * np.log10(share / chance)
        + (1.0 - landed) * np.log10((1.0 - share) / (1.0 - chance))
        for share in SHARES_LANDED
    )
    tried = np.log10(len(SHARES_LANDED))
    return HeldOut(
        residual_px=float(np.median(distance)) / RAYLEIGH_MEDIAN,
        log10_odds=float(independent * odds - tried),
        spread_share=_jackknife_px(moved_px) / float(np.hypot(*solution.image.values.shape)),
    )


def _moved_px(fitted: Camera, without: Camera, ground_ecef_m: FloatArray) -> FloatArray:
    """Distance in pixels between where two cameras see places, shape (n,)."""
    seen = [np.stack(camera.ecef_to_pixel(ground_ecef_m), -1) for camera in (fitted, without)]
    return np.asarray(np.hypot(*(seen[1] - seen[0]).T), np.float64)


def _jackknife_px(moved_px: Sequence[FloatArray]) -> float:
    """Largest sigma of places by a grouped jackknife (Efron 1982, chapter 3)."""
    count = len(moved_px)
    if count < 2:
        return float("nan")
    variance = (count - 1) / count * np.sum(np.square(moved_px), axis=0)
    return float(np.sqrt(np.max(variance)))


def agreeing_patches(refinement: Refinement) -> int:
    """Patches that the robust fit believes."""
    return int((refinement.weights >= 0.5).sum())


# The fit of a finalist, with its lens as told or, where that does not fit, with any lens.

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
