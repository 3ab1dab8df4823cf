"""What speaks for a solved camera: correlation, towns, patches held back from the fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import bdtr

from detectors.types import BoolArray, FloatArray, FloatImage, IndexArray
from matchers.footprint import diagonal_km
from matchers.patches import PatchMatches, choose_patches, groups_of, match_patches
from matchers.photo_light import LightImage
from matchers.pose import FOCAL
from matchers.refine import cells_of, fit_pose
from matchers.verify import Proof, Towns, find_towns, prove
from matchers.view import render_known
from regengine.registration.control_points import allowed_error_m, vagueness_m
from regengine.registration.evidence import (
    CLEAR_LOG10_ODDS,
    TESTED_LOG10_ODDS,
    Finalist,
    Fit,
    HeldOut,
    Solution,
    log10_tried,
)
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL_ANY, SIGMA_PRINCIPAL_SHARE
from regengine.registration.map_window import footprint_window, ground_sample_km
from regengine.registration.refinement import COMPARED_PX, aligned_finalist, solve
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
# Of a right fit most land within half of what a control point may be off
RIGHT_SHARE, SHARES_RIGHT = 0.5, (0.6, 0.8)
# More than twice what chance brings do in every quarter of the picture, or the fit is bent: of 13
# tested ones that were made to bend the worst quarter had 0.00 to 0.09 in nine; of 137 good ones of
# the training half 135 had 0.12 and more. That is told where half of what is allowed is so many
# pixels: in less, patches scatter as far
LEAST_OF_QUARTER, TOLD_FROM_PX = 0.12, 2.0
# Towns say that a fit holds there, too, where so few being met is no rarer than this
LEAST_AS_OFTEN = 0.05
# Median distance of two independent normal errors, in sigmas (Rayleigh distribution)
RAYLEIGH_MEDIAN = 1.1774
# Fewer towns that agree with the map prove nothing
FEW_TOWNS = 8


def towns_proof(image: LightImage, seen: tuple[FloatImage, FloatImage]) -> tuple[Proof, Towns]:
    """Weigh the towns of a photo under a camera, given what that sees of the map."""
    view, known = seen
    weight = image.weight * known
    photo = find_towns(image.values, weight, TOWNS_OF_PHOTO)
    return prove(photo, find_towns(view, weight, TOWNS_OF_MAP)), photo


def finalist_log10_odds(search: Search, finalist: Finalist) -> float:
    """Towns' odds of a finalist at twice the scale where finalists are compared."""
    image = search.lights.of(finalist.candidate.look.hazy).resized(COMPARED_PX * 2)
    camera = image.camera(finalist.camera)
    step_km = ground_sample_km(camera) / 1.2
    levels = footprint_window(search.light_map, finalist.camera, 25.0, step_km)
    if levels is None:
        return 0.0
    return towns_proof(image, render_known(levels, camera, 2))[0].log10_odds


def held_out(
    solution: Solution, seen: tuple[FloatImage, FloatImage], towns: Towns, met: IndexArray
) -> HeldOut:
    """Fit without every third light and see where its patches land; of patches of several sizes.

    ``seen`` is what the camera sees of the map, ``towns`` are the photo's, and ``met`` those of
    them that the map confirms.
    """
    right_px = max(RIGHT_SHARE * allowed_px(solution), LANDED_PX)
    scattered = [landing(solution, seen, *patches, LANDED_PX) for patches in TESTING_PATCHES]
    right = [landing(solution, seen, *patches, right_px) for patches in TESTING_PATCHES]
    odds = [one.log10_odds(SHARES_LANDED) for one in scattered]
    odds += [one.log10_odds(SHARES_RIGHT) for one in right]
    parts = Parts.of(right) if right_px >= TOLD_FROM_PX else None
    return HeldOut(
        residual_px=scattered[0].residual_px,
        log10_odds=float(np.mean(odds)),
        in_part=parts is not None and bool(len(parts.empty)),
        met_beside=parts is None or parts.are_met(towns, met),
    )


def allowed_px(solution: Solution) -> float:
    """What a control point may be off, pixels of the solution's image, in the mean over that."""
    share = allowed_error_m(solution.camera) / 1e3 / diagonal_km(solution.camera)
    return share * float(np.hypot(*solution.image.values.shape))


@dataclass(frozen=True, kw_only=True)
class Landing:
    """How patches land that fits did not see.

    x, y: Where they are in the picture, pixels.
    distance_px: From where they should be, by the fit to the others or by the solution, whichever
        is farther; infinite where that is nowhere.
    independent: So many of them are: of patches that overlap or show one light, no more than fit
        side by side, or than there are lights.
    landed_px: Who is nearer has landed.
    """

    x: FloatArray
    y: FloatArray
    distance_px: FloatArray
    independent: float
    landed_px: float

    @property
    def landed(self) -> BoolArray:
        """Which have landed."""
        return self.distance_px < self.landed_px

    @property
    def residual_px(self) -> float:
        """One sigma per axis, infinite where they are too few."""
        if len(self.x) < FEWEST_PATCHES:
            return float("inf")
        return float(np.median(self.distance_px)) / RAYLEIGH_MEDIAN

    def log10_odds(self, shares: Sequence[float]) -> float:
        """That one of these shares of them should land, against chance."""
        if len(self.x) < FEWEST_PATCHES:
            return 0.0
        # A wrong camera's patches peak anywhere within their reach
        chance = np.pi * self.landed_px**2 / (2.0 * reach_px(self.landed_px) - 1.0) ** 2
        landed = float(self.landed.mean())
        odds = max(
            landed * np.log10(share / chance)
            + (1.0 - landed) * np.log10((1.0 - share) / (1.0 - chance))
            for share in shares
        )
        return float(self.independent * odds - np.log10(len(shares)))


def reach_px(landed_px: float) -> int:
    """How far patches are sought."""
    return math.ceil(REACH * landed_px)


def landing(
    solution: Solution,
    seen: tuple[FloatImage, FloatImage],
    size_px: int,
    along: int,
    landed_px: float,
) -> Landing:
    """How patches of some size land, so many along the picture, of what the camera sees."""
    photo, (view, known), far_px = solution.image.values, seen, reach_px(landed_px)
    cells = cells_of(along, photo.shape)
    centres = choose_patches(view, solution.image.weight * known, size_px, cells, far_px)
    matches = match_patches(photo, view, centres, size_px, far_px)
    return landing_of(solution, matches, groups_of(view, matches), landed_px)


def landing_of(
    solution: Solution, matches: PatchMatches, groups: IndexArray, landed_px: float
) -> Landing:
    """How patches land, each by a fit to others; those of a group, of one light, go together.

    Others follow the patches, within their reach, to where the solution has not gone: so it has to
    have them there, too. Of 87 wrong cameras of the training half that began with a lens 4 to 25 %
    off, seven had odds of 10 to 10^7.6 by the fits to others alone; with that none of 101 had 10.
    """
    start, fit = solution.camera, solution.refinement
    folds = groups % FOLDS
    aside = np.hypot(matches.dx, matches.dy)
    distance = np.full(len(matches), np.inf)
    ground_ecef_m = start.pixel_to_ecef(matches.x, matches.y)
    for fold in np.unique(folds):
        left_out = folds == fold
        if left_out.all():
            continue
        fitted = fit_pose(start, matches.chosen(~left_out), fit.prior, fit.free)
        judged = matches.chosen(left_out)
        x, y = fitted.camera.ecef_to_pixel(ground_ecef_m[left_out])
        apart = np.hypot(judged.x + judged.dx - x, judged.y + judged.dy - y)
        distance[left_out] = np.maximum(apart, aside[left_out])
    area = solution.image.values.size / matches.size_px**2
    return Landing(
        x=matches.x,
        y=matches.y,
        distance_px=np.where(np.isfinite(distance), distance, np.inf),
        independent=min(len(np.unique(groups)), area),
        landed_px=landed_px,
    )


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Quarters of a picture, halves of halves as its patches lie, and who lands there.

    centre, axes: Of the patches; along them, and across.
    middles: Half of them lie before the first one along, half of either half before the others
        across.
    landed: Share of the patches that land, by quarter; 1 where there is none.
    """

    centre: FloatArray
    axes: FloatArray
    middles: tuple[float, float, float]
    landed: FloatArray

    @classmethod
    def of(cls, tests: Sequence[Landing]) -> Parts | None:
        """Tell by patches of several sizes; None where there are too few."""
        counted = [test for test in tests if len(test.x) >= FEWEST_PATCHES]
        if not counted:
            return None
        places = np.concatenate([np.stack([test.x, test.y], axis=1) for test in counted])
        centre = places.mean(axis=0)
        axes = np.linalg.svd(places - centre, full_matrices=False)[2]
        along, across = axes @ (places - centre).T
        middle = float(np.median(along))
        halves = along < middle, along >= middle
        near, far = (float(np.median(across[half])) for half in halves)
        parts = cls(centre=centre, axes=axes, middles=(middle, near, far), landed=np.ones(4))
        numbers = parts.numbers(places)
        landed = np.bincount(
            numbers, np.concatenate([test.landed for test in counted]), minlength=4
        )
        count = np.bincount(numbers, minlength=4)
        return replace(parts, landed=np.where(count > 0, landed / np.maximum(count, 1), 1.0))

    @property
    def empty(self) -> IndexArray:
        """Numbers of the quarters where hardly any land."""
        return np.flatnonzero(self.landed < LEAST_OF_QUARTER)

    def numbers(self, places: FloatArray) -> IndexArray:
        """In which quarter places (n, 2) lie."""
        along, across = self.axes @ (places - self.centre).T
        middle, near, far = self.middles
        beyond = along >= middle
        return np.asarray(2 * beyond + (across >= np.where(beyond, far, near)), np.intp)

    def are_met(self, towns: Towns, met: IndexArray) -> bool:
        """Whether the map confirms towns in the empty quarters about as often as in the others."""
        beside = np.isin(self.numbers(towns.positions), self.empty)
        is_met = np.isin(np.arange(len(towns)), met)
        if not beside.any() or not is_met[beside].any():
            return False
        share = is_met[~beside].mean() if not beside.all() else 0.0
        return bool(bdtr(is_met[beside].sum(), beside.sum(), share) >= LEAST_AS_OFTEN)


# The fit of a finalist, with its lens as told or, where that does not fit, with another.

# Without odds above these the patches left out do not confirm the camera: the lens may be another.
# Right lenses had 4 to 15 in frames of the training half, a light counted once; noise has 0
LEAST_LOG10_ODDS = 3.0
# Nor does a lens that is told fit where the lights pull it away by so many of its sigmas: of 100
# fits of the training half 7 did, with lenses that were told wrong; the others by 2.5 at most
MOST_LENS_SIGMAS = 3.0
# A fit that is confirmed by a tenth is no better for being stiffer
AS_GOOD_LOG10_ODDS = 1.0


def best_fit(search: Search, finalist: Finalist) -> Fit | None:
    """Fit a finalist to the end, with the lens that its lights confirm.

    A crop that has the shape of a whole picture, or a wrong focal length, brings a candidate to
    the right place with the wrong lens; the patches show it, or that the fit bends the lens away
    from what was told, or moves where some of the lights are left out. Then it is set free. Where
    that is no better, and the place beyond chance, the axis is freed, or held where it was found,
    with the lens as told and free: six fits of the training half that were loose, or bent and
    wrong, were right and held with one of these each.
    """
    told = fit_of(search, finalist)
    if told is not None and confirmed(told):
        return told
    longest = max(search.stored.width_px, search.stored.height_px)
    anywhere_px = SIGMA_PRINCIPAL_SHARE * longest
    prior = finalist.candidate.look.prior
    fits = [told, fit_with(search, finalist, SIGMA_LOG_FOCAL_ANY, anywhere_px)]
    best = best_of(fits)
    if best is None or confirms(best) or not beyond_chance(search, best):
        return best
    other_px = 0.0 if prior.sigma_principal_px > 0.0 else anywhere_px
    fits.append(fit_with(search, finalist, prior.sigma_log_focal, other_px))
    fits.append(fit_with(search, finalist, SIGMA_LOG_FOCAL_ANY, 0.0))
    return best_of(fits)


def confirmed(fit: Fit) -> bool:
    """Whether a fit needs no other lens than the one that it was made with."""
    prior = fit.solution.refinement.prior
    bent = abs(prior.departure(fit.solution.camera)[FOCAL])
    return bent <= MOST_LENS_SIGMAS * prior.sigma_log_focal and confirms(fit)


def confirms(fit: Fit) -> bool:
    """Whether lights that are left out of a fit confirm it, in all parts of the picture."""
    return fit.left_out.log10_odds_beside(0.0) > LEAST_LOG10_ODDS and fit.holds


def best_of(fits: Sequence[Fit | None]) -> Fit | None:
    """The fit that lights left out confirm most; of those as good as that, one that holds.

    Nothing tells it from another that they confirm as well: where that has some of its patches
    elsewhere, neither is to be believed, be it bent or not.
    """
    found = [fit for fit in fits if fit is not None]
    most = max((fit.patch_log10_odds for fit in found), default=0.0)
    good = [fit for fit in found if fit.patch_log10_odds >= most - AS_GOOD_LOG10_ODDS]
    best = max(good, key=lambda fit: (fit.holds, fit.patch_log10_odds), default=None)
    if best is None or not any(contradicts(fit, best) for fit in found):
        return best
    return replace(best, contradicted=True)


def contradicts(other: Fit, fit: Fit) -> bool:
    """Whether a fit that lights left out confirm as well has patches farther off than allowed."""
    if other.left_out.log10_odds < fit.left_out.log10_odds - AS_GOOD_LOG10_ODDS:
        return False
    refinement = fit.solution.refinement
    ground = refinement.rendered.pixel_to_ecef(refinement.matches.x, refinement.matches.y)
    x, y = fit.solution.camera.ecef_to_pixel(ground)
    other_x, other_y = other.solution.camera.ecef_to_pixel(ground)
    return bool((np.hypot(other_x - x, other_y - y) > allowed_px(fit.solution)).any())


def beyond_chance(search: Search, fit: Fit) -> bool:
    """Whether a fit shows the right place, as far as its lights tell."""
    picture = fit.solution.finalist.picture_log10_odds
    together = picture + fit.proof.log10_odds + max(fit.patch_log10_odds, 0.0)
    return together - log10_tried(search.looks_taken) >= CLEAR_LOG10_ODDS


def fit_with(
    search: Search, finalist: Finalist, sigma_log_focal: float, sigma_principal_px: float
) -> Fit | None:
    """A fit with another belief about the lens: how sure its focal length is, and its axis."""
    search.spend("fit")
    freed = with_lens(finalist, sigma_log_focal, sigma_principal_px)
    aligned = aligned_finalist(search, freed, COMPARED_PX)
    return None if aligned is None else fit_of(search, aligned)


def fit_of(search: Search, finalist: Finalist) -> Fit | None:
    """One fit, and the tests of it."""
    solution = solve(search, finalist)
    if solution is None:
        return None
    seen = render_known(solution.levels, solution.camera, 2)
    proof, towns = towns_proof(solution.image, seen)
    fit = Fit(
        solution=solution,
        left_out=held_out(solution, seen, towns, proof.met_towns),
        proof=proof,
        photo_towns=towns,
        view=seen[0],
    )
    odds = fit.patch_log10_odds
    if odds < TESTED_LOG10_ODDS:
        return fit
    return replace(fit, holds=vagueness_m(solution, fit.lights, proof.log10_odds, odds) == 0.0)


def with_lens(finalist: Finalist, sigma_log_focal: float, sigma_principal_px: float) -> Finalist:
    """A finalist whose focal length (relative) and axis are believed to be so unsure."""
    look = finalist.candidate.look
    prior = replace(
        look.prior, sigma_log_focal=sigma_log_focal, sigma_principal_px=sigma_principal_px
    )
    candidate = replace(finalist.candidate, look=replace(look, prior=prior))
    return replace(finalist, candidate=candidate, other_lens=True)
