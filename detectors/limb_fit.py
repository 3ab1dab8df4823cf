"""An arc of the limb in an image: where exactly it runs, and how much speaks for it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.limb_geometry import (
    EdgeField,
    compute_tangent_axes,
    count_nadir_votes,
    find_best_cells,
    make_arc_rays,
    nadir_vector,
    project_directions,
)
from detectors.types import BoolImage, FloatArray

BORDER_PX = 3.0  # no arc is looked for so near to the border
MIN_ARC_PX = 24.0
COLUMN_PX = 6.0  # arcs are judged at so many pixels' spacing: blur and median reach less far
COHERENT = 0.85  # cosine between gradient and radius from which on an edge runs along the arc
COHERENT_SHARE = 0.18  # of all directions
MIN_SIGNED = 0.8  # normalised gradient of an edge
STRONGEST = 2.5  # more does not count more
WINDOW_PX = 3.0  # edges are taken so far from the arc
EDGE_SIGMA_PX = 0.8  # chosen above the 0.2 to 0.7 px by which simulated limbs scatter: lenses bend
# A true arc shows an edge at this share of its length: the rest is behind hardware or aurora
SHOWN = 0.75
CHANCE_LIMITS = (0.04, 0.6)
SHEARS = 31

CELLS = 10
FINALISTS = 4  # an arc of the limb collects twice as many edges as any other, the first time


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The image unrolled along an arc."""

    # (rows, cols): gradient towards the nadir where an edge runs along the arc, else 0; 0 outside
    signed: FloatArray
    offset_deg: FloatArray  # (rows,): beyond the arc as seen from the nadir
    azimuth_deg: FloatArray  # (cols,)
    inside: BoolImage  # (rows, cols): whether that place is in the image
    length_px: float  # of the arc within the image


@dataclass(frozen=True, kw_only=True)
class ArcEdges:
    """Edges found along an arc."""

    # azimuth_deg, offset_deg, (n,): where an edge was found, and how far beyond the arc
    azimuth_deg: FloatArray
    offset_deg: FloatArray
    shown: float  # share of the arc with an edge near it
    # For the arc against chance edges, before correction for the number of arcs tried
    log10_odds: float
    length_px: float


def unroll(
    field: EdgeField,
    focal_px: float,
    nadir: FloatArray,
    angle_deg: float,
    reach_deg: float,
    step_deg: float,
    column_px: float = COLUMN_PX,
) -> Strip | None:
    """Sample the edges about an arc; None where too little of the arc is in the image.

    `nadir` (3,); `angle_deg`: of the arc from the nadir; `reach_deg`, `step_deg`: how far to both
    sides of the arc, and how densely; `column_px`: spacing along the arc.
    """
    height, width = field.gx.shape
    fine = np.arange(-180.0, 180.5, 0.5)
    x, y = project_directions(
        make_arc_rays(nadir, np.full(fine.shape, angle_deg), fine), focal_px, field.centre
    )
    inside = (x > BORDER_PX) & (x < width - 1 - BORDER_PX)
    inside &= (y > BORDER_PX) & (y < height - 1 - BORDER_PX)
    pieces = np.where(inside[1:] & inside[:-1], np.hypot(np.diff(x), np.diff(y)), 0.0)
    run = np.concatenate([[0.0], np.cumsum(pieces)])
    if run[-1] < MIN_ARC_PX:
        return None
    azimuth = np.interp(np.arange(column_px / 2.0, run[-1], column_px), run, fine)
    half = round(reach_deg / step_deg)
    offset = np.asarray(np.arange(-half, half + 1) * step_deg, float)
    rays = make_arc_rays(nadir, offset[:, None] + angle_deg, azimuth[None, :])
    px, py = (part.astype(np.float32) for part in project_directions(rays, focal_px, field.centre))
    gx = cv2.remap(field.gx, px, py, cv2.INTER_LINEAR, borderValue=0.0)
    gy = cv2.remap(field.gy, px, py, cv2.INTER_LINEAR, borderValue=0.0)
    down_x, down_y = -np.gradient(px, axis=0), -np.gradient(py, axis=0)
    size = cv2.magnitude(down_x, down_y)
    signed = (gx * down_x + gy * down_y) / np.maximum(size, 1e-6)
    coherent = np.abs(signed) > COHERENT * cv2.magnitude(gx, gy)
    visible = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
    return Strip(
        signed=np.where(coherent & visible, signed, 0.0),
        offset_deg=offset,
        azimuth_deg=azimuth,
        inside=visible,
        length_px=float(run[-1]),
    )


def align(
    strip: Strip, nadir: FloatArray, most_shift_deg: float, most_shear_deg: float
) -> tuple[float, FloatArray]:
    """The nadir whose arc collects most edges, among shifts and turns of a strip's arc."""
    gains = np.clip(strip.signed, 0.0, STRONGEST)
    step = strip.offset_deg[1] - strip.offset_deg[0]
    middle, columns = len(strip.offset_deg) // 2, np.arange(gains.shape[1])
    sine = np.sin(np.radians(strip.azimuth_deg))
    lever = sine - sine.mean()
    slopes = np.linspace(-most_shear_deg, most_shear_deg, SHEARS) / max(np.abs(lever).max(), 1e-6)
    shifts = np.arange(-int(most_shift_deg / step), int(most_shift_deg / step) + 1)
    bend = np.rint(slopes[:, None] * lever / step).astype(np.intp)
    rows = np.clip(middle + shifts[:, None, None] + bend, 0, len(strip.offset_deg) - 1)
    collected = gains[rows, columns].sum(axis=-1)
    best = np.unravel_index(int(np.argmax(collected)), collected.shape)
    wanted = shifts[best[0]] * step + slopes[best[1]] * lever
    moved, _ = fit_nadir_to_places(nadir, strip.azimuth_deg, wanted, np.ones(len(columns)))
    return float(collected[best]) / len(columns), moved


def fit_nadir_to_places(
    nadir: FloatArray, azimuth_deg: FloatArray, offset_deg: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The nadir whose arc passes through places seen beside a nadir's arc (least squares).

    Gives `nadir` (3,) and `normal` (2, 2): normal matrix of off-nadir angle and sideways angle, per
    square degree of a place's sigma.
    """
    azimuth = np.radians(azimuth_deg)
    design = np.stack([-np.cos(azimuth), np.sin(azimuth)], axis=1)
    normal = design.T @ (weight[:, None] * design)
    # A short arc hardly tells both parts
    regular = normal + 1e-6 * np.eye(2) * max(float(np.trace(normal)), 1e-12)
    shift = np.radians(np.linalg.solve(regular, design.T @ (weight * offset_deg)))
    lean, across = compute_tangent_axes(nadir)
    moved = nadir + shift[0] * lean + shift[1] * across
    return moved / np.linalg.norm(moved), normal


def estimate_edge_chance(field: EdgeField) -> float:
    """Chance that an arc laid anywhere finds an edge along it within the window."""
    strength = np.hypot(field.gx[::2, ::2], field.gy[::2, ::2])
    somewhere = float((strength > MIN_SIGNED).mean()) * COHERENT_SHARE
    # Within the window lie about as many independent edges as blurs fit into it
    window = 1.0 - (1.0 - somewhere) ** (2.0 * WINDOW_PX / 2.5)
    return float(np.clip(window, *CHANCE_LIMITS))


def find_edges_along(
    strip: Strip, step_px: float, chance: float, middle_deg: float = 0.0
) -> ArcEdges:
    """The strongest edge near the arc in every column, and what that says for the arc.

    `step_px`: height of a row of the strip in pixels of the image; `middle_deg`: offset of the arc
    asked for from the strip's own.
    """
    step = strip.offset_deg[1] - strip.offset_deg[0]
    centre = len(strip.offset_deg) // 2 + round(middle_deg / step)
    reach = max(1, round(WINDOW_PX / step_px))
    first, last = max(0, centre - reach), min(len(strip.offset_deg), centre + reach + 1)
    window = strip.signed[first:last]
    seen = strip.inside[first:last].all(axis=0)
    row = window.argmax(axis=0)
    column = np.arange(window.shape[1])
    peak = window[row, column]
    below = window[np.maximum(row - 1, 0), column]
    above = window[np.minimum(row + 1, len(window) - 1), column]
    curve = np.minimum(below + above - 2.0 * peak, -1e-3)
    fine = np.clip(0.5 * (below - above) / curve, -0.5, 0.5)
    offset = strip.offset_deg[first] + (row + fine) * step
    away_px = (offset - middle_deg) / step * step_px
    hit = seen & (peak > MIN_SIGNED)
    inner = np.exp(-0.5 * (away_px / EDGE_SIGMA_PX) ** 2) / (EDGE_SIGMA_PX * np.sqrt(2.0 * np.pi))
    # One edge in five of a true arc belongs to something else
    density = SHOWN * (0.8 * inner + 0.2 / (2.0 * WINDOW_PX))
    gain = np.log10(density / (chance / (2.0 * WINDOW_PX)))
    loss = np.log10((1.0 - SHOWN) / (1.0 - chance))
    odds = float(np.where(hit, gain, loss)[seen].sum())
    return ArcEdges(
        azimuth_deg=strip.azimuth_deg[hit],
        offset_deg=offset[hit],
        shown=float(hit[seen].mean()) if seen.any() else 0.0,
        log10_odds=odds,
        length_px=strip.length_px * float(seen.mean()),
    )


@dataclass(frozen=True, kw_only=True)
class FoundArc:
    """A candidate arc in the working image."""

    nadir: FloatArray
    focal_px: float
    angle_deg: float
    edges: ArcEdges


def find_arc_candidates(
    field: EdgeField, focal_px: float, angles: tuple[float, float], chance: float
) -> list[FoundArc]:
    """Arcs that the votes point at, aligned and judged."""
    middle = 0.5 * (angles[0] + angles[1])
    votes = count_nadir_votes(field, focal_px, angles)
    pixel = pixel_deg(focal_px)
    aligned: list[tuple[float, FloatArray]] = []
    for off_nadir, roll in find_best_cells(votes, CELLS):
        nadir = nadir_vector(off_nadir, roll)
        reach = 5.0
        strip = unroll(field, focal_px, nadir, middle, reach, max(pixel, reach / 60.0), 4.0)
        if strip is not None:
            aligned.append(align(strip, nadir, 2.2, 2.5))
    aligned.sort(key=lambda one: -one[0])
    again = min(1.0, 30.0 * pixel)
    found: list[FoundArc] = []
    for _, nadir in aligned[:FINALISTS]:
        strip = unroll(field, focal_px, nadir, middle, 1.6 * again, 0.5 * pixel, 4.0)
        if strip is None:
            continue
        _, finer = align(strip, nadir, 0.6 * again, again)
        settled = settle(field, focal_px, finer, middle, chance)
        if settled is not None:
            found.append(settled)
    return found


def settle(
    field: EdgeField, focal_px: float, nadir: FloatArray, angle_deg: float, chance: float
) -> FoundArc | None:
    """An arc after two robust fits to its edges."""
    pixel = pixel_deg(focal_px)
    for last in (False, False, True):
        strip = unroll(field, focal_px, nadir, angle_deg, 5.0 * pixel, 0.5 * pixel)
        if strip is None:
            return None
        edges = find_edges_along(strip, 0.5, chance)
        if last:
            break
        if len(edges.azimuth_deg) < 6:
            return None
        weight = weigh_robustly(edges.offset_deg, pixel)
        nadir, _ = fit_nadir_to_places(nadir, edges.azimuth_deg, edges.offset_deg, weight)
    return FoundArc(nadir=nadir, focal_px=focal_px, angle_deg=angle_deg, edges=edges)


def tilt_nadir(found: FoundArc, angle_deg: float) -> FloatArray:
    """The nadir of the same arc if it lies at another angle from it."""
    azimuth = found.edges.azimuth_deg
    offset = np.full(azimuth.shape, found.angle_deg - angle_deg)
    # The arc stays: seen from the new nadir it is so much farther or nearer
    return fit_nadir_to_places(found.nadir, azimuth, offset, np.ones(azimuth.shape))[0]


def measure_curvature_ratio(found: FoundArc) -> tuple[float, float]:
    """Curvature of an arc over that of the horizon by the focal length used, and its sigma."""
    edges = found.edges
    azimuth = np.radians(edges.azimuth_deg)
    pixel = pixel_deg(found.focal_px)
    weight = weigh_robustly(edges.offset_deg, pixel)
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


def pixel_deg(focal_px: float) -> float:
    """Angle that a pixel of the working image covers at its centre."""
    return float(np.degrees(1.0 / focal_px))


def measure_scatter_deg(found: FoundArc) -> float:
    """Robust sigma of the edges about an arc, at least 0.3 px."""
    spread = 1.4826 * float(np.median(np.abs(found.edges.offset_deg)))
    return max(0.3 * pixel_deg(found.focal_px), spread)


def weigh_robustly(offset_deg: FloatArray, scale_deg: float) -> FloatArray:
    """Cauchy's weights about the median."""
    away = (offset_deg - np.median(offset_deg)) / scale_deg
    return np.asarray(1.0 / (1.0 + away * away))
