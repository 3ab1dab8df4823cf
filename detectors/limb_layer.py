"""Which edge of the limb was seen, and how well it tells the nadir."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.limb_arc import edges_along, moved_nadir, unroll
from detectors.limb_candidates import FoundArc, pixel_deg, robust_weight, scatter_deg
from detectors.limb_geometry import pointing_of
from detectors.limb_votes import EdgeField

FloatArray = NDArray[np.float64]
Layer = Literal["airglow", "hard_edge"]

# Where the other edge of the pair may lie from the one found, as a share of its nominal distance
PAIR_LIMITS = (0.75, 1.4)
LEAST_PAIR_LOG10_ODDS = 5.0
# Mean normalised gradient of the other edge above what lies around
LEAST_PAIR_RISE = 0.2
PAIR_SIGMAS = 5.0
FOCAL_ERROR = 0.03  # nominal focal lengths of originals are good to 2 to 3 %
PLACE_ERROR_DEG = 0.2  # the ellipsoid's, the height of the airglow, weak distortion
# As if one in fifteen arcs without a pair were the other edge, 2.3 degrees off (assumed)
UNPAIRED_ERROR_DEG = 0.6


def layer_of(
    field: EdgeField, found: FoundArc, angles: tuple[float, float], chance: float
) -> tuple[Layer, bool]:
    """Which of the two edges an arc is, and whether the other one was seen, too."""
    gap = angles[0] - angles[1]
    above, room_above = _other_edge(field, found, gap, chance)
    if above:
        return "hard_edge", True
    below, _ = _other_edge(field, found, -gap, chance)
    if below:
        return "airglow", True
    # Where the airglow would be out of the picture, the hard edge may well be the only one
    return "airglow" if room_above else "hard_edge", False


def _other_edge(
    field: EdgeField, found: FoundArc, gap_deg: float, chance: float
) -> tuple[bool, bool]:
    """Whether there is an edge beside an arc at about a distance, and whether that is in view."""
    pixel = pixel_deg(found.lens)
    far = (PAIR_LIMITS[1] + 0.7) * abs(gap_deg)
    step = max(0.5 * pixel, far / 80.0)
    strip = unroll(field, found.lens, found.nadir, found.angle_deg, far, step)
    if strip is None:
        return False, False
    share = strip.offset_deg / gap_deg
    asked = (share > PAIR_LIMITS[0]) & (share < PAIR_LIMITS[1]) & strip.inside.any(axis=1)
    if not asked.any():
        return False, False
    odds = [
        edges_along(strip, step / pixel, chance, float(offset)).log10_odds
        for offset in strip.offset_deg[asked]
    ]
    # Means along the arc see an edge that is lost in the noise of every single place
    count = np.maximum(strip.inside.sum(axis=1), 1)
    mean = strip.signed.sum(axis=1) / count
    spread = np.sqrt((strip.signed**2).sum(axis=1) / count / count)
    around = (share > PAIR_LIMITS[0] - 0.3) & (share < PAIR_LIMITS[1] + 0.7) & (count > 8)
    peak = int(np.argmax(np.where(asked, mean, -np.inf)))
    rise = mean[peak] - float(np.median(mean[around])) if around.any() else 0.0
    seen = max(odds) > LEAST_PAIR_LOG10_ODDS
    seen |= rise > max(LEAST_PAIR_RISE, PAIR_SIGMAS * spread[peak])
    in_view = strip.inside[asked].mean() > 0.5
    return bool(seen), bool(in_view)


def nadir_covariance(
    found: FoundArc,
    angle_deg: float,
    focal_ratio: tuple[float, float],
    paired: bool,
    known_focal: bool,
) -> FloatArray:
    """Covariance of the nadir's direction, square degrees (along off-nadir angle, across)."""
    ratio, ratio_sigma = focal_ratio
    edges = found.edges
    pixel = pixel_deg(found.lens)
    weight = robust_weight(edges.offset_deg, pixel)
    _, normal = moved_nadir(found.nadir, edges.azimuth_deg, edges.offset_deg, weight)
    scatter = scatter_deg(edges, found.lens)
    covariance = scatter**2 * np.linalg.pinv(normal)
    # The arc's middle is this far from the axis; a wrong focal length stretches that
    away = np.radians(angle_deg - pointing_of(found.nadir)[0])
    error = max(FOCAL_ERROR, ratio_sigma, abs(ratio - 1.0) if known_focal else 0.0)
    stretched = np.degrees(0.5 * np.sin(2.0 * away) * error)
    covariance[0, 0] += stretched**2 + PLACE_ERROR_DEG**2
    covariance[1, 1] += PLACE_ERROR_DEG**2
    if not paired:
        covariance[0, 0] += UNPAIRED_ERROR_DEG**2
    return np.asarray(covariance)
