"""A camera on its way from finalist to proof, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from matchers.refine import Refinement
from matchers.verify import Towns
from regengine.registration.candidates import Candidate, field_share

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


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The finalist fitted to the end: a camera for `image`, and what it was fitted to."""

    camera: Camera
    refinement: Refinement
    image: LightImage
    levels: tuple[LightGrid, ...]
    finalist: Finalist


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Patches that the fit did not see: one sigma per axis, and their odds against chance."""

    residual_px: float
    log10_odds: float
    spread_share: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A solution and how the patches that were left out of it land."""

    solution: Solution
    left_out: HeldOut


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Figures from which the confidence follows.

    ncc, runner_up_ncc: Correlation of the proposal and of the best distinct other finalist at the
        scale where finalists are compared; the latter as if it had the proposal's field.
    town_log10_odds, patch_log10_odds, picture_log10_odds: Towns, patches held back from the fit,
        and the picture as a whole under the fitted camera, against chance as for one camera alone;
        see `matchers.verify`.
    runner_up_town_log10_odds, runner_up_picture_log10_odds: The same of the runner-up.
    towns, met_towns: Towns of the photo, and those that the map confirms.
    residual_px, held_out_residual_px: One sigma per axis of the patches, in the fit and held back
        from it, pixels of the solution's image.
    field_share: What a correlation of that field's width is worth, see `candidates.field_share`.
    even_ncc, runner_up_even_ncc: As ``ncc`` and ``runner_up_ncc``, of pictures whose contrast was
        evened.
    spread_share: How far the fit moves the worst of its patches when a third of the lights is left
        out, one sigma of the jackknife, as a share of the image's diagonal; not a number where
        nothing can be left out.
    agreeing: Kinds of proposers that found the camera without knowing of each other.
    log10_tried: Of the number of attitudes tried when it was proven.
    """

    ncc: float
    runner_up_ncc: float
    town_log10_odds: float
    patch_log10_odds: float
    runner_up_town_log10_odds: float
    towns: int
    met_towns: int
    residual_px: float
    held_out_residual_px: float
    field_share: float
    even_ncc: float
    runner_up_even_ncc: float
    picture_log10_odds: float
    runner_up_picture_log10_odds: float
    spread_share: float
    log10_tried: float
    agreeing: int = 1

    @property
    def log10_odds(self) -> float:
        """Towns, patches and picture together against chance, the attitudes tried taken off once.

        Chance hardly ever brings about more than one of them: see `CLEAR_LOG10_ODDS`.
        """
        together = self.town_log10_odds + self.patch_log10_odds + self.picture_log10_odds
        return together - self.log10_tried

    @property
    def runner_up_log10_odds(self) -> float:
        """The same of the runner-up, whose patches are not known."""
        together = self.runner_up_town_log10_odds + self.runner_up_picture_log10_odds
        return together - self.log10_tried

    @property
    def lead_log10_odds(self) -> float:
        """Its odds over the runner-up's, where those are for it: what the probability follows."""
        return self.log10_odds - max(self.runner_up_log10_odds, 0.0)

    @property
    def even_margin(self) -> float:
        """Evened correlation above the runner-up's, as far as lenses can be compared."""
        return (self.even_ncc - self.runner_up_even_ncc) * self.field_share

    @property
    def supported(self) -> bool:
        """Whether towns or patches hold the fit: how many places were tried does not matter."""
        return max(self.town_log10_odds, self.patch_log10_odds) > SUPPORTED_LOG10_ODDS

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
    def beyond_chance(self) -> bool:
        """Whether lights alone say that it is this place of all that were tried.

        That figures of towns and the light around towns tell the same place adds to its odds.
        """
        agreement = AGREEMENT_LOG10_ODDS if self.agreeing > 1 else 0.0
        return self.log10_odds + agreement >= CLEAR_LOG10_ODDS

    @property
    def rivalled(self) -> bool:
        """Whether another camera fits nearly as well: it may be the right one of the same place."""
        return self.even_margin < LOW_MARGIN

    @property
    def clear(self) -> bool:
        """Whether all that speaks for it is no chance, and what the runner-up has nothing else."""
        return self.log10_odds >= CLEAR_LOG10_ODDS and self.runner_up_log10_odds <= 0.0

    def held_against(
        self, ncc: float, even_ncc: float, town_log10_odds: float, picture_log10_odds: float
    ) -> Evidence:
        """The same with the figures of another rival, where these are larger."""
        return replace(
            self,
            runner_up_ncc=max(self.runner_up_ncc, ncc),
            runner_up_even_ncc=max(self.runner_up_even_ncc, even_ncc),
            runner_up_town_log10_odds=max(self.runner_up_town_log10_odds, town_log10_odds),
            runner_up_picture_log10_odds=max(self.runner_up_picture_log10_odds, picture_log10_odds),
        )


def log10_tried(looks: int) -> float:
    """Logarithm of the number of cameras that the search has tried."""
    return LOG10_ATTITUDES_PER_LOOK + float(np.log10(max(looks, 1)))


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A solution with its evidence and the finalists that it was chosen from."""

    solution: Solution
    camera: Camera
    evidence: Evidence
    finalists: tuple[Finalist, ...]
    photo_towns: Towns
    met: NDArray[np.intp]
    view: NDArray[np.float32]

    @property
    def pinned(self) -> bool:
        """Whether stars hold its attitude."""
        return self.finalists[0].candidate.look.prior.quaternion is not None
