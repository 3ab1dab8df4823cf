"""Arcs that may be the limb: voted for, aligned with the image and fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.limb_arc import ArcEdges, Lens, align, edges_along, moved_nadir, unroll
from detectors.limb_geometry import nadir_vector
from detectors.limb_votes import EdgeField, best_cells, nadir_votes

FloatArray = NDArray[np.float64]

CELLS = 10


@dataclass(frozen=True, kw_only=True)
class FoundArc:
    """A candidate arc in the working image."""

    nadir: FloatArray
    lens: Lens
    angle_deg: float
    edges: ArcEdges


def arc_candidates(
    field: EdgeField, lens: Lens, angles: tuple[float, float], chance: float
) -> list[FoundArc]:
    """Arcs that the votes point at, aligned and judged."""
    middle = 0.5 * (angles[0] + angles[1])
    votes = nadir_votes(field, lens.focal_px, lens.centre, angles)
    pixel = pixel_deg(lens)
    found: list[FoundArc] = []
    for off_nadir, roll in best_cells(votes, CELLS):
        nadir = nadir_vector(off_nadir, roll)
        reach = 5.0
        strip = unroll(field, lens, nadir, middle, reach, max(pixel, reach / 60.0), 4.0)
        if strip is None:
            continue
        _, nadir = align(strip, nadir, 2.2, 2.5)
        again = min(1.0, 30.0 * pixel)
        strip = unroll(field, lens, nadir, middle, 1.6 * again, 0.5 * pixel, 4.0)
        if strip is None:
            continue
        _, nadir = align(strip, nadir, 0.6 * again, again)
        settled = settle(field, lens, nadir, middle, chance)
        if settled is not None:
            found.append(settled)
    return found


def settle(
    field: EdgeField, lens: Lens, nadir: FloatArray, angle_deg: float, chance: float
) -> FoundArc | None:
    """An arc after two robust fits to its edges."""
    pixel = pixel_deg(lens)
    for last in (False, False, True):
        strip = unroll(field, lens, nadir, angle_deg, 5.0 * pixel, 0.5 * pixel)
        if strip is None:
            return None
        edges = edges_along(strip, 0.5, chance)
        if last:
            break
        if len(edges.azimuth_deg) < 6:
            return None
        weight = robust_weight(edges.offset_deg, pixel)
        nadir, _ = moved_nadir(nadir, edges.azimuth_deg, edges.offset_deg, weight)
    return FoundArc(nadir=nadir, lens=lens, angle_deg=angle_deg, edges=edges)


def leaned_nadir(found: FoundArc, angle_deg: float) -> FloatArray:
    """The nadir of the same arc if it lies at another angle from it."""
    azimuth = found.edges.azimuth_deg
    offset = np.full(azimuth.shape, found.angle_deg - angle_deg)
    # The arc stays: seen from the new nadir it is so much farther or nearer
    return moved_nadir(found.nadir, azimuth, offset, np.ones(azimuth.shape))[0]


def curvature_ratio(found: FoundArc) -> tuple[float, float]:
    """Curvature of an arc over that of the horizon by the focal length used, and its sigma."""
    edges = found.edges
    azimuth = np.radians(edges.azimuth_deg)
    pixel = pixel_deg(found.lens)
    weight = robust_weight(edges.offset_deg, pixel)
    # The third unknown widens the circle itself
    design = np.stack([-np.cos(azimuth), np.sin(azimuth), np.ones_like(azimuth)], axis=1)
    normal = design.T @ (weight[:, None] * design)
    inverse = np.linalg.pinv(normal)
    solved = inverse @ (design.T @ (weight * edges.offset_deg))
    away = edges.offset_deg - design @ solved
    scatter = max(0.3 * pixel, 1.4826 * float(np.median(np.abs(away))))
    widened, sigma = float(solved[2]), scatter * float(np.sqrt(inverse[2, 2]))
    angle = np.radians(found.angle_deg)
    # The curvature in pixels is cot(angle) / focal length
    slope = np.radians(1.0) / np.sin(angle) ** 2 / (1.0 / np.tan(angle))
    return 1.0 - widened * float(slope), sigma * float(slope)


def pixel_deg(lens: Lens) -> float:
    """Angle that a pixel of the working image covers at its centre."""
    return float(np.degrees(1.0 / lens.focal_px))


def scatter_deg(edges: ArcEdges, lens: Lens) -> float:
    """Robust sigma of the edges about their arc, at least 0.3 px."""
    spread = 1.4826 * float(np.median(np.abs(edges.offset_deg)))
    return max(0.3 * pixel_deg(lens), spread)


def robust_weight(offset_deg: FloatArray, scale_deg: float) -> FloatArray:
    """Cauchy's weights about the median."""
    away = (offset_deg - np.median(offset_deg)) / scale_deg
    return np.asarray(1.0 / (1.0 + away * away))
