"""What speaks against trusting a proposal unseen, as codes with sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matchers.camera import Camera
from regengine.control_points import allowed_error_m
from regengine.evidence import CLEAR_MARGIN, FEW_TOWNS
from regengine.result import ControlPoint, Reason

if TYPE_CHECKING:
    from regengine.proven import Proven
    from regengine.search import SearchState

LOW_MARGIN = 0.08
# Share of the photo's city light that falls on saturated map above which the map has no texture
SATURATED_SHARE = 0.25
# of the error that still counts as right, one sigma
IMPRECISE_SHARE = 0.5


def unsure(p_right: float, accept_probability: float) -> Reason:
    """Why a proposal without a particular doubt is still not accepted."""
    return Reason(
        code="low_probability",
        text=f"the evidence gives a probability of {p_right:.4f}, below the acceptance threshold "
        f"of {accept_probability:.4f}",
    )


def unfinished(state: SearchState) -> tuple[Reason, ...]:
    """That time ran out: no doubt of its own, since the probability knows such searches."""
    if state.exhausted or state.proven:
        return ()
    text = "time ran out before everything was tried; raise --max-seconds"
    return (Reason(code="search_budget", text=text),)


def doubts_about(best: Proven) -> tuple[Reason, ...]:
    """Everything that a person should know before trusting a proposal."""
    evidence = best.evidence
    doubts = []
    # Streets and districts tell a city apart where its towns are few, or those of another place
    # correlate nearly as well
    if not evidence.clear_picture and min(evidence.towns, evidence.met_towns) < FEW_TOWNS:
        doubts.append(
            Reason(
                code="few_lights",
                text=f"only {evidence.met_towns} of {evidence.towns} lights of the photo agree "
                "with the map",
            )
        )
    if not evidence.clear_picture and evidence.even_margin < LOW_MARGIN:
        doubts.append(
            Reason(
                code="low_margin",
                text=f"another place fits nearly as well (evened correlation "
                f"{evidence.even_ncc:.2f} against {evidence.runner_up_even_ncc:.2f})",
            )
        )
    if not evidence.precise:
        doubts.append(
            Reason(
                code="imprecise",
                text="the fit is loose, even if the place is right: lights that were left out of "
                f"it land {evidence.held_out_residual_px:.1f} px beside, and move it by "
                f"{100.0 * evidence.spread_share:.1f} % of the photo's diagonal",
            )
        )
    # Without structure a place has twins; where none comes near, enough of it is left
    if saturated_share(best) > SATURATED_SHARE and evidence.even_margin < CLEAR_MARGIN:
        doubts.append(
            Reason(
                code="map_saturated",
                text="the night-light map is saturated where the photo is bright and shows no "
                "structure there; use a radiance product",
            )
        )
    return tuple(doubts)


def doubts_about_points(points: tuple[ControlPoint, ...], camera: Camera) -> tuple[Reason, ...]:
    """Whether the control points themselves are too few or too uncertain to be used unseen."""
    if len(points) < 4:
        text = f"only {len(points)} places of the photo can be tied to the map"
        return (Reason(code="few_control_points", text=text),)
    worst_m = max(point.sigma_m for point in points)
    if are_vague(points, camera):
        text = f"a control point is uncertain by {worst_m / 1e3:.1f} km (one sigma)"
        return (Reason(code="imprecise", text=text),)
    return ()


def are_vague(points: tuple[ControlPoint, ...], camera: Camera) -> bool:
    """Whether a control point's sigma is a large part of the error that counts as right."""
    return any(point.sigma_m > IMPRECISE_SHARE * allowed_error_m(camera) for point in points)


def chance_of_right_points(points: tuple[ControlPoint, ...], camera: Camera) -> float:
    """Probability that a vague control point of a right camera still counts as right.

    The place may be beyond doubt where a point of the photo is not: near the limb, or in a crop
    whose lens the fit hardly knows. Two axes of the same sigma leave the worst point within the
    allowed error with 1 - exp(-allowed^2 / (2 sigma^2)). Points that are not vague are part of
    what the calibration has measured.

    Parameters
    ----------
    points : tuple of ControlPoint
        Of a proposal.
    camera : Camera
        Of the stored image.

    Returns
    -------
    float
        1 where no point is vague.
    """
    if not are_vague(points, camera):
        return 1.0
    worst_m = max(point.sigma_m for point in points)
    return -math.expm1(-0.5 * (allowed_error_m(camera) / worst_m) ** 2)


def saturated_share(best: Proven) -> float:
    """Share of the solved view's light that lies on saturated map pixels."""
    saturation = best.solution.levels[0].saturation
    if saturation is None:
        return 0.0
    view = best.view
    lit = view > 0.05
    return float((view[lit] >= 0.97 * saturation).mean()) if lit.any() else 0.0
