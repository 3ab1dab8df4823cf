"""A camera on its way from finalist to proof, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatImage
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.patches import groups_of
from matchers.photo_light import LightImage
from matchers.refine import PARTS, Refinement, Refits, jackknife
from matchers.verify import Proof, Towns
from matchers.view import render_known
from regengine.registration.candidates import Candidate, field_share

# What has these odds, the cameras tried taken off, is no chance: one in a thousand. Of 41 decoys
# and 24 wrong cameras of the training half the largest odds of towns, patches and picture together
# were 1.5
CLEAR_LOG10_ODDS = 3.0
# One look tries about this many attitudes that differ: 7 to 29 tiles x 60 rolls x 49 x 49 shifts
LOG10_ATTITUDES_PER_LOOK = 6.0
# Two kinds of proposers agree on the right place so many times as often as on a wrong one: of 24
# right cameras of the training half 8 had been proposed by two, though most searches end before a
# second kind is asked; of 59 wrong ones, 41 of them decoys, 2
AGREEMENT_LOG10_ODDS = 1.0
# A fit is tested where patches that were left out of it land where it says, so many times likelier
# than anywhere in their reach. Fits of the right place that are bent (another lens, another place
# on the track, half of the picture) leave them scattered: nine of the training half that were off
# by 1 to 16 % of the diagonal had odds of -7.0 to 0.8
TESTED_LOG10_ODDS = 1.0
SURE_LOG10_ODDS = 8.0  # beyond these all control points of the right place were right
# Towns of bent fits of the training half had at most 20.7; those of whole ones under cloud 28 to
# 118. A bent crop of the test half had 29.6 by a third of its picture: see `HeldOut.met_beside`
WHOLE_TOWN_LOG10_ODDS = 25.0


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
    other_lens: bool = False  # another is believed than that of its look

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

    @cached_property
    def seen(self) -> tuple[FloatImage, FloatImage]:
        """The map through the camera whose view the patches are of, and where it is known."""
        return render_known(self.levels, self.refinement.rendered, 2)

    @cached_property
    def refits(self) -> Refits | None:
        """Cameras without some of the lights; None for too few lights."""
        return self.refits_without(PARTS)

    def refits_without(self, parts: int) -> Refits | None:
        """Cameras without each of so many parts of the picture, at most; None for too few lights.

        What errs together over more than a part shows without larger ones alone.
        """
        groups = groups_of(self.seen[0], self.refinement.matches)
        return jackknife(self.refinement, groups, parts)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Patches that the fit did not see: one sigma per axis, and their odds against chance.

    in_part: Whether hardly any land in some quarter of the picture.
    met_beside: Whether the photo's towns are met there about as often as in the other quarters.
    """

    residual_px: float
    log10_odds: float
    in_part: bool = False
    met_beside: bool = True

    def log10_odds_beside(self, town_log10_odds: float) -> float:
        """Their odds, none for a fit that holds in a part, where towns do not say that it is whole.

        Clouds and boats leave a quarter empty, too.
        """
        whole = self.met_beside and town_log10_odds >= WHOLE_TOWN_LOG10_ODDS
        bent = self.in_part and not whole
        return min(self.log10_odds, 0.0) if bent else self.log10_odds


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A solution, how the patches that were left out of it land, and which towns it meets.

    holds: Whether it is tested, and stays where it is without some of the lights.
    contradicted: Whether one with another lens is confirmed as well, and puts patches elsewhere.
    """

    solution: Solution
    left_out: HeldOut
    proof: Proof
    photo_towns: Towns
    view: NDArray[np.float32]
    holds: bool = False
    contradicted: bool = False

    @property
    def patch_log10_odds(self) -> float:
        """Odds of the patches that were left out; none of a fit that is or may be bent.

        See `HeldOut.log10_odds_beside` and `Refinement.settled`.
        """
        odds = self.left_out.log10_odds_beside(self.proof.log10_odds)
        bent = self.contradicted or not self.solution.refinement.settled
        return min(odds, 0.0) if bent else odds

    @property
    def lights(self) -> Towns:
        """Towns of the photo that the map confirms, pixels of the solution's image."""
        return self.photo_towns.chosen(self.proof.met_towns)


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
    picture_log10_odds: float
    runner_up_picture_log10_odds: float
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
    def tested(self) -> bool:
        """Whether lights that are left out of the fit lie where it says.

        Towns and the picture tell the place, and agree with a camera that is kilometres off.
        """
        return self.patch_log10_odds >= TESTED_LOG10_ODDS

    @property
    def whole(self) -> bool:
        """Whether towns say that the fit holds all over the picture, whatever else is in doubt."""
        return self.town_log10_odds >= WHOLE_TOWN_LOG10_ODDS

    @property
    def beyond_chance(self) -> bool:
        """Whether lights alone say that it is this place of all that were tried.

        That figures of towns and the light around towns tell the same place adds to its odds.
        """
        agreement = AGREEMENT_LOG10_ODDS if self.agreeing > 1 else 0.0
        return self.log10_odds + agreement >= CLEAR_LOG10_ODDS

    @property
    def rivalled(self) -> bool:
        """Whether chance does not explain the runner-up, either."""
        return self.runner_up_log10_odds > 0.0

    def held_against(
        self, ncc: float, town_log10_odds: float, picture_log10_odds: float
    ) -> Evidence:
        """The same with another runner-up, where that has more for it."""
        known = self.runner_up_town_log10_odds + self.runner_up_picture_log10_odds
        if town_log10_odds + picture_log10_odds <= known:
            return self
        return replace(
            self,
            runner_up_ncc=ncc,
            runner_up_town_log10_odds=town_log10_odds,
            runner_up_picture_log10_odds=picture_log10_odds,
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
