"""Proposals of one thing that a blind search tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regengine.blind.proposals import Proposal


@dataclass(frozen=True, kw_only=True, eq=False)
class Attempt:
    """Proposals of one thing that was tried.

    Attributes
    ----------
    proposals : list of Proposal
        For the stored image, not mirrored; the best first.
    mirrored : bool
        Whether the picture was flipped first.
    sigma_log_focal : float
        How well the focal length is believed that was tried.
    looked_at : int
        So many of its best proposals, and of the best that wait, are looked at whatever their odds;
        its others do not wait.
    """

    proposals: list[Proposal]
    mirrored: bool
    sigma_log_focal: float
    looked_at: int = 0


def attempt(
    found: list[Proposal],
    sigma_log_focal: float,
    *,
    mirrored: bool = False,
    hazy: bool = False,
    looked_at: int = 0,
) -> Attempt:
    """An attempt's proposals in order; ``hazy`` says that all are of the hazy light image."""
    ordered = sorted(found, key=lambda proposal: -proposal.log10_odds)
    return Attempt(
        proposals=[replace(one, hazy=hazy or one.hazy) for one in ordered],
        mirrored=mirrored,
        sigma_log_focal=sigma_log_focal,
        looked_at=looked_at,
    )
