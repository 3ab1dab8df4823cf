"""When the evidence is so strong that a search may end."""

from __future__ import annotations

from regengine.confidence import default_accept_probability, probability
from regengine.evidence import CLEAR_MARGIN, FEW_TOWNS, Evidence

# A proof this strong ends the search
PROVEN_LOG10_ODDS = 9.0  # astrometry.net accepts at odds of 1e9
PROVEN_MARGIN = 0.12
# and so does a weaker one where nothing else comes near: telephoto frames hold few towns
LONELY_LOG10_ODDS = 3.0
LONELY_MARGIN = 0.3
LONELY_Z = 8.0
# and so does what is probable enough to be accepted and leads, contrast evened, as no wrong camera
# does
EVEN_NCC = 0.2
# and so does such a one whose picture one of ten thousand searches would bring about by chance;
# of 107 proposals of the training half that were elsewhere four were above 0, the largest 1.5
PROVEN_PICTURE_LOG10_ODDS = 4.0
# and all of that only where towns or patches say so, too: they fall first when the place is right
# and the fit is not, and then a search that goes on often finds the better camera
CONFIRMED_LOG10_ODDS = 6.0


def is_proof(evidence: Evidence, *, pinned: bool = False) -> bool:
    """Whether the evidence is so strong that searching on is pointless.

    Parameters
    ----------
    evidence : Evidence
        For the best camera.
    pinned : bool
        Whether stars hold its attitude: see `stands_alone`.

    Returns
    -------
    bool
    """
    sure = evidence.log10_odds >= PROVEN_LOG10_ODDS and evidence.margin >= PROVEN_MARGIN
    return (
        sure
        or stands_alone(evidence, pinned=pinned)
        or (
            evidence.log10_odds >= LONELY_LOG10_ODDS
            and evidence.margin >= LONELY_MARGIN
            and evidence.coarse_z >= LONELY_Z
        )
    )


def stands_alone(evidence: Evidence, *, pinned: bool = False) -> bool:
    """Whether the picture is no chance, or leads as that of no wrong camera does, and all agrees.

    The picture tells the place and not how precise the fit is: that is in towns and patches, or,
    where the fit is pinned by an attitude among the stars, in that: no search that goes on finds a
    better one.
    """
    clear = evidence.clear_picture and evidence.picture_log10_odds >= PROVEN_PICTURE_LOG10_ODDS
    leads = (
        evidence.met_towns >= FEW_TOWNS
        and evidence.even_ncc * evidence.field_share >= EVEN_NCC
        and evidence.even_margin >= CLEAR_MARGIN
    )
    confirmed = (
        pinned or max(evidence.town_log10_odds, evidence.patch_log10_odds) >= CONFIRMED_LOG10_ODDS
    )
    probable = probability(evidence) >= default_accept_probability()
    return (clear or leads) and confirmed and evidence.precise and probable
