"""Detection of the Earth's limb in a photo, which gives the nadir direction and a sky mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.masks import choose_working_size
from detectors.types import BoolImage, FloatArray, FloatImage

# The emission of atomic oxygen at 557.7 nm peaks at 93-97 km and is some 10 km deep, so its upper
# edge, the first rise of light from the sky down, lies near 100 km (Leinert et al. 1998, A&AS 127)
AIRGLOW_TOP_KM = 99.0
# The last opaque air, haze and high cloud: chosen between the 0 km of the simulator and the 12 km
# that the gap of 2.1 to 2.2 degrees read off the profiles of some moonlit real photos would have
HARD_EDGE_KM = 8.0

# A pixel r focal lengths from the centre looks 1 + BARREL r² times as far off the axis (tangents):
# the median of ten cameras of the training half whose distortion is known, 0.034 to 0.059
BARREL = 0.04
# Relative standard deviation of focal lengths by the limb's curvature about those of the cameras
# known in the training half: lenses differ from that distortion, and so do copies out of an editor
CURVATURE_SIGMA = 0.04

CELL_DEG = 1.0  # of the votes for nadirs


def limb_angle_deg(altitude_km: float, height_km: float) -> float:
    """Angle between the nadir and sights that touch a shell of that height about the Earth.

    Degrees; 70 for the ground and 72.5 for the airglow from 415 km. Raises ValueError if the shell
    is not below the camera.
    """
    if not 0.0 <= height_km < altitude_km:
        raise ValueError(
            f"a camera at {altitude_km:g} km sees no limb at {height_km:g} km: give its altitude"
        )
    sine = (EARTH_RADIUS_KM + height_km) / (EARTH_RADIUS_KM + altitude_km)
    return float(np.degrees(np.arcsin(sine)))


def compute_rays(
    x: FloatArray, y: FloatArray, focal_px: float, centre: tuple[float, float]
) -> FloatArray:
    """Unit vectors (x right, y down, z forward) along which pixels look, shape (..., 3).

    The lens has the distortion `BARREL`.
    """
    u, v = (x - centre[0]) / focal_px, (y - centre[1]) / focal_px
    farther = 1.0 + BARREL * (u * u + v * v)
    u, v = u * farther, v * farther
    rays = np.stack([u, v, np.ones_like(u)], axis=-1)
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def project_directions(
    rays: FloatArray, focal_px: float, centre: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Pixels of directions, shape (...); NaN for those behind the camera."""
    depth = np.where(rays[..., 2] > 1e-3, rays[..., 2], np.nan)
    u, v = rays[..., 0] / depth, rays[..., 1] / depth
    # The root of r + BARREL r³ = hypot(u, v), relative to that
    steep = np.maximum(1.5 * np.sqrt(3.0 * BARREL) * np.hypot(u, v), 1e-6)
    nearer = 3.0 * focal_px * np.sinh(np.arcsinh(steep) / 3.0) / steep
    return u * nearer + centre[0], v * nearer + centre[1]


def turn_by_scale(angle_deg: float, scale: float) -> float:
    """Angle from the axis at which a pixel is seen with a focal length so many times as long."""
    angle = np.radians(angle_deg)
    x, y = project_directions(np.array([np.sin(angle), 0.0, np.cos(angle)]), 1.0, (0.0, 0.0))
    ray = compute_rays(x, y, scale, (0.0, 0.0))
    return float(np.degrees(np.arctan2(ray[0], ray[2])))


def nadir_vector(off_nadir_deg: float, roll_deg: float) -> FloatArray:
    """Nadir direction in the camera frame; the reverse of `compute_pointing`."""
    lean, roll = np.radians(off_nadir_deg), np.radians(roll_deg)
    return np.array([np.sin(lean) * np.sin(roll), np.sin(lean) * np.cos(roll), np.cos(lean)])


def compute_pointing(nadir: FloatArray) -> tuple[float, float]:
    """How far the camera looks from the nadir, and how it is rolled.

    `nadir` (3,): unit vector in the camera frame. Gives `off_nadir_deg`, `roll_deg`: the roll is 0
    where the nadir lies below the image's centre, 90 where to the right of it: the camera's turn
    about its axis, clockwise as seen from behind the camera.
    """
    off_nadir = np.degrees(np.arctan2(np.hypot(nadir[0], nadir[1]), nadir[2]))
    return float(off_nadir), float(np.degrees(np.arctan2(nadir[0], nadir[1])))


def compute_tangent_axes(nadir: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors perpendicular to the nadir: of growing off-nadir angle and of growing roll."""
    off_nadir, roll = np.radians(compute_pointing(nadir))
    lean = np.array(
        [np.cos(off_nadir) * np.sin(roll), np.cos(off_nadir) * np.cos(roll), -np.sin(off_nadir)]
    )
    return lean, np.array([np.cos(roll), -np.sin(roll), 0.0])


def make_arc_rays(nadir: FloatArray, angle_deg: FloatArray, azimuth_deg: FloatArray) -> FloatArray:
    """Directions at an angle from the nadir.

    Azimuth 0 leads through the camera's axis; shape of the broadcast arguments + (3,).
    """
    lean, across = compute_tangent_axes(nadir)
    angle, azimuth = np.radians(angle_deg)[..., None], np.radians(azimuth_deg)[..., None]
    # Growing off-nadir angle moves the nadir away from the axis: towards the axis is -lean
    return np.asarray(
        np.cos(angle) * nadir + np.sin(angle) * (np.sin(azimuth) * across - np.cos(azimuth) * lean)
    )


@dataclass(frozen=True, kw_only=True)
class EdgeField:
    """Gradient of the compressed light, divided by its root mean square around."""

    # gx, gy, (h, w): towards what is brighter
    gx: FloatImage
    gy: FloatImage

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the image, pixels (x, y)."""
        return (self.gx.shape[1] - 1) / 2.0, (self.gx.shape[0] - 1) / 2.0


def count_nadir_votes(
    field: EdgeField, focal_px: float, angles_deg: tuple[float, ...], turn_deg: float
) -> FloatArray:
    """Votes of the edges for nadir directions.

    An edge pixel, brighter on the ground's side, together with an angle of the limb from the
    nadir, names one nadir: so far from it, across the edge.

    `angles_deg`: angles between the nadir and the limb; `turn_deg`: steps in which an edge's
    direction is uncertain. Gives shape (off-nadir angle in degrees, roll in degrees from -180).
    """
    strength = np.hypot(field.gx, field.gy)
    # Pixels where the gradient is greatest across the edge
    steep = np.abs(field.gx) > np.abs(field.gy)
    sideways = np.maximum(np.roll(strength, 1, 1), np.roll(strength, -1, 1))
    upright = np.maximum(np.roll(strength, 1, 0), np.roll(strength, -1, 0))
    greatest = strength >= np.where(steep, sideways, upright)
    greatest &= strength > 1.0  # normalised gradient from which on a pixel may vote
    greatest[:2] = greatest[-2:] = False
    greatest[:, :2] = greatest[:, -2:] = False
    row, col = np.nonzero(greatest)
    x, y = col.astype(float), row.astype(float)
    size = strength[row, col].astype(float)
    nx, ny = field.gx[row, col] / size, field.gy[row, col] / size
    rays = compute_rays(x, y, focal_px, field.centre)
    # A pixel's step across the edge as a direction perpendicular to its ray
    step = np.stack([nx, ny, np.zeros_like(nx)], axis=-1)
    down = step - rays * np.sum(step * rays, axis=-1, keepdims=True)
    # The edge itself is what must be perpendicular to the way down
    along = np.stack([-ny, nx, np.zeros_like(nx)], axis=-1)
    along -= rays * np.sum(along * rays, axis=-1, keepdims=True)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    across = np.cross(along, rays)
    across *= np.sign(np.sum(across * down, axis=-1, keepdims=True))
    # Single precision moves few edges to the next cell
    kind = np.dtype("f4" if turn_deg > 1.0 else "f8")
    rays, across, along = (
        np.asarray(np.ascontiguousarray(part.T).astype(kind)) for part in (rays, across, along)
    )
    rows, cols = int(135.0 / CELL_DEG), int(360.0 / CELL_DEG)
    votes = np.zeros(rows * cols)
    weight = np.minimum(size, 3.0)
    for angle in np.radians(angles_deg):
        # An edge's direction is uncertain by some degrees
        for turn in np.radians(np.arange(-8.0, 8.1, turn_deg)):
            towards = float(np.cos(turn)) * across + float(np.sin(turn)) * along
            nadir = float(np.cos(angle)) * rays + float(np.sin(angle)) * towards
            lean = np.degrees(np.arctan2(np.hypot(nadir[0], nadir[1]), nadir[2]))
            roll = np.degrees(np.arctan2(nadir[0], nadir[1]))
            cell_row = (lean / CELL_DEG).astype(int)
            cell_col = ((roll + 180.0) / CELL_DEG).astype(int) % cols
            inside = cell_row < rows
            likely = np.exp(-0.5 * (np.degrees(turn) / 3.0) ** 2)
            votes += likely * np.bincount(
                (cell_row * cols + cell_col)[inside], weight[inside], rows * cols
            )
    return votes.reshape(rows, cols)


COLUMN_PX = 6.0  # arcs are judged at so many pixels' spacing: blur and median reach less far
MIN_SIGNED = 0.8  # normalised gradient of an edge
WINDOW_PX = 3.0  # edges are taken so far from the arc
EDGE_SIGMA_PX = 0.8  # chosen above the 0.2 to 0.7 px by which simulated limbs scatter: lenses bend
# A true arc shows an edge at this share of its length: the rest is behind hardware or aurora
SHOWN = 0.75

FINALISTS = 4  # an arc of the limb collects twice as many edges as any other, the first time
# Peaks of the votes that are aligned, arcs that are settled, spacing along them (px) and step of
# an edge's direction (degrees) for one lens, and for all lenses together where none is known: with
# these, 157 of 158 real photos get the answer of a full search of every lens
ONE_LENS = (10, FINALISTS, 4.0, 1.0)
ALL_LENSES = (14, 6, 8.0, 8.0 / 3.0)
# Log-odds from which on an arc is fitted again with its own focal length: a limb needs 32
MIN_REFIT_LOG10_ODDS = 8.0


@dataclass(frozen=True, kw_only=True)
class LimbStrip:
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
) -> LimbStrip | None:
    """Sample the edges about an arc; None where too little of the arc is in the image.

    `nadir` (3,); `angle_deg`: of the arc from the nadir; `reach_deg`, `step_deg`: how far to both
    sides of the arc, and how densely; `column_px`: spacing along the arc.
    """
    height, width = field.gx.shape
    fine = np.arange(-180.0, 180.5, 0.5)
    x, y = project_directions(
        make_arc_rays(nadir, np.full(fine.shape, angle_deg), fine), focal_px, field.centre
    )
    # No arc is looked for within 3 px of the border
    inside = (x > 3.0) & (x < width - 4.0) & (y > 3.0) & (y < height - 4.0)
    pieces = np.where(inside[1:] & inside[:-1], np.hypot(np.diff(x), np.diff(y)), 0.0)
    run = np.concatenate([[0.0], np.cumsum(pieces)])
    if run[-1] < 24.0:
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
    # Cosine between gradient and radius from which on an edge runs along the arc
    coherent = np.abs(signed) > 0.85 * cv2.magnitude(gx, gy)
    visible = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
    return LimbStrip(
        signed=np.where(coherent & visible, signed, 0.0),
        offset_deg=offset,
        azimuth_deg=azimuth,
        inside=visible,
        length_px=float(run[-1]),
    )


def align(
    strip: LimbStrip, nadir: FloatArray, most_shift_deg: float, most_shear_deg: float
) -> tuple[float, FloatArray]:
    """The nadir whose arc collects most edges, among shifts and turns of a strip's arc."""
    gains = np.clip(strip.signed, 0.0, 2.5)  # more does not count more
    step = strip.offset_deg[1] - strip.offset_deg[0]
    middle, columns = len(strip.offset_deg) // 2, np.arange(gains.shape[1])
    sine = np.sin(np.radians(strip.azimuth_deg))
    lever = sine - sine.mean()
    slopes = np.linspace(-most_shear_deg, most_shear_deg, 31) / max(np.abs(lever).max(), 1e-6)
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


def find_edges_along(
    strip: LimbStrip, step_px: float, chance: float, middle_deg: float = 0.0
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
    field: EdgeField, focals_px: list[float], angles: tuple[float, float], chance: float
) -> list[FoundArc]:
    """Arcs that the votes point at, aligned and judged; of several lenses the best of all."""
    middle = 0.5 * (angles[0] + angles[1])
    peaks, finalists, column_px, turn_deg = ONE_LENS if len(focals_px) == 1 else ALL_LENSES
    cells = [
        cell for focal in focals_px for cell in find_vote_peaks(field, focal, angles, turn_deg)
    ]
    cells.sort(key=lambda cell: -cell[0])
    aligned: list[tuple[float, FloatArray, float]] = []
    reach = 5.0
    for _, focal, nadir in cells[:peaks]:
        step = max(pixel_deg(focal), reach / 60.0)
        strip = unroll(field, focal, nadir, middle, reach, step, column_px)
        if strip is not None:
            aligned.append((*align(strip, nadir, 2.2, 2.5), focal))
    aligned.sort(key=lambda one: -one[0])
    found: list[FoundArc] = []
    for _, nadir, focal in aligned[:finalists]:
        pixel = pixel_deg(focal)
        again = min(1.0, 30.0 * pixel)
        strip = unroll(field, focal, nadir, middle, 1.6 * again, 0.5 * pixel, column_px)
        if strip is None:
            continue
        _, finer = align(strip, nadir, 0.6 * again, again)
        settled = settle(field, focal, finer, middle, chance)
        if settled is not None:
            found.append(settled)
    return found


def find_vote_peaks(
    field: EdgeField, focal_px: float, angles: tuple[float, float], turn_deg: float
) -> list[tuple[float, float, FloatArray]]:
    """The ten strongest peaks of the votes: their height, the focal length and the nadir."""
    votes = count_nadir_votes(field, focal_px, angles, turn_deg)
    wrapped = np.concatenate([votes[:, -8:], votes, votes[:, :8]], axis=1)
    smooth = cv2.GaussianBlur(wrapped, (0, 0), 1.0)
    is_peak = smooth >= cv2.dilate(smooth, np.ones((5, 5), np.uint8))
    smooth, is_peak = smooth[:, 8:-8], is_peak[:, 8:-8]
    row, col = np.nonzero(is_peak & (smooth > 0.0))
    off_nadir, roll = (row + 0.5) * CELL_DEG, (col + 0.5) * CELL_DEG - 180.0
    return [
        (float(smooth[row[i], col[i]]), focal_px, nadir_vector(off_nadir[i], roll[i]))
        for i in np.argsort(smooth[row, col])[::-1][:10].tolist()
    ]


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


# Allowed distance between the two edges of the pair, as a share of the nominal distance: if the arc
# is certain by its curvature, and if only the pair tells it from other arcs
PAIR_LIMITS, CLOSE_PAIR_LIMITS = (0.75, 1.4), (0.88, 1.14)
# Log-odds of both edges, and of the second, that stand for a curvature that is not measured
MIN_PAIR_LOG10_ODDS, MIN_SECOND_LOG10_ODDS = 24.0, 8.0

# Long sides to try in turn. At the first, the 10 km of the airglow are 1.4 px for a 28 mm lens; the
# second averages the noise of short exposures
WORKING_PX = (400, 200)
TRIALS_LOG10 = 4.5  # 135 x 360 cells of directions, of which fewer are independent


def _find_other_edge(
    field: EdgeField, found: FoundArc, gap_deg: float, chance: float
) -> tuple[bool, float, bool]:
    """Whether an edge exists near a given distance from an arc, its odds, and if that is in view.

    The log-odds are those at `CLOSE_PAIR_LIMITS` of the distance.
    """
    pixel = pixel_deg(found.focal_px)
    far = (PAIR_LIMITS[1] + 0.7) * abs(gap_deg)
    step = max(0.5 * pixel, far / 80.0)
    strip = unroll(field, found.focal_px, found.nadir, found.angle_deg, far, step)
    if strip is None:
        return False, 0.0, False
    share = strip.offset_deg / gap_deg
    in_range = (share > PAIR_LIMITS[0]) & (share < PAIR_LIMITS[1]) & strip.inside.any(axis=1)
    if not in_range.any():
        return False, 0.0, False
    odds = np.array(
        [
            find_edges_along(strip, step / pixel, chance, float(offset)).log10_odds
            for offset in strip.offset_deg[in_range]
        ]
    )
    close = (share[in_range] > CLOSE_PAIR_LIMITS[0]) & (share[in_range] < CLOSE_PAIR_LIMITS[1])
    # Averaging along the arc reveals an edge that is lost in the noise at single positions
    count = np.maximum(strip.inside.sum(axis=1), 1)
    mean = strip.signed.sum(axis=1) / count
    spread = np.sqrt((strip.signed**2).sum(axis=1) / count / count)
    around = (share > PAIR_LIMITS[0] - 0.3) & (share < PAIR_LIMITS[1] + 0.7) & (count > 8)
    peak = int(np.argmax(np.where(in_range, mean, -np.inf)))
    rise = mean[peak] - float(np.median(mean[around])) if around.any() else 0.0
    seen = odds.max() > 5.0
    seen |= rise > max(0.2, 5.0 * spread[peak])
    in_view = strip.inside[in_range].mean() > 0.5
    return bool(seen), float(odds[close].max(initial=0.0)), bool(in_view)


@dataclass(frozen=True, kw_only=True)
class Limb:
    """The Earth's limb detected in an image."""

    # (3,): unit vector towards the Earth's centre in the camera frame (x right, y down, z forward)
    # of the image as given (for a mirrored image, the mirrored frame)
    nadir: FloatArray
    # The nadir as angles: between the optical axis and the nadir, and the camera's roll. The roll
    # is 0 if the nadir is below the image centre, and 90 if it is to the right
    off_nadir_deg: float
    roll_deg: float
    # (2, 2): covariance of the nadir direction, square degrees: along the off-nadir angle, and
    # across it (roll times the sine of the off-nadir angle)
    covariance_deg2: FloatArray
    paired: bool  # whether both edges, 2.3 degrees apart, were found, so that which is certain
    shown: float  # share of the arc's length with an edge
    log10_odds: float  # against chance edges, corrected for the number of arcs tried
    angle_deg: float  # angle between the nadir and the arc of the edge that it was fitted to
    hard_edge_deg: float  # angle between the nadir and the ground horizon, where the sky begins
    focal_px: float  # in pixels of the image: as given, or fitted to the curvature of the arc
    # Focal length implied by the curvature, relative to the one used
    focal_ratio: float
    focal_ratio_sigma: float
    shape: tuple[int, int]  # height and width of the image

    def nadir_at_scale(self, scale: float) -> FloatArray:
        """Compute the nadir for a scaled focal length, with the arc fixed in the image."""
        arc_deg = self.off_nadir_deg - self.angle_deg  # angle from the optical axis to the arc
        if abs(arc_deg) >= 85.0:
            return self.nadir
        return nadir_vector(self.angle_deg + turn_by_scale(arc_deg, scale), self.roll_deg)


def find_limb(
    light: FloatImage,
    *,
    focal_px: float | None,
    altitude_km: float,
    ignored: BoolImage | None = None,
) -> Limb | None:
    """Find the Earth's limb or the airglow above it.

    Each edge votes for the nadirs whose horizon passes through it. The best arcs are aligned with
    the image. Each is scored by the edges along it against the rate of chance edges, which is
    measured in the image. An arc is accepted if its curvature is also that of a horizon. None if no
    arc is certain.

    `light` (h, w): linear luminance, 0 to 1, of any size; processed at 400 px. `focal_px`: focal
    length in pixels of `light`; None tries lenses of 18 to 85 mm. `altitude_km`: altitude of the
    camera. `ignored` (h, w): pixels to ignore, such as captions and window frames. Raises
    ValueError if `light` is not an image, or if the altitude is below the airglow.
    """
    if light.ndim != 2 or min(light.shape) < 16:
        raise ValueError(f"light must be an image of 16 pixels or more, not {light.shape}")
    angles = (
        limb_angle_deg(altitude_km, AIRGLOW_TOP_KM),
        limb_angle_deg(altitude_km, HARD_EDGE_KM),
    )
    for working_px in WORKING_PX:
        # Edges at the working size, and the scale from the given size
        size = choose_working_size(light.shape, working_px)
        small = cv2.resize(np.asarray(light, np.float32), size, interpolation=cv2.INTER_AREA)
        value = np.power(np.clip(np.asarray(small, np.float32), 0.0, 1.0), np.float32(1.0 / 2.2))
        value = np.asarray(cv2.medianBlur(value, 5))  # stars and lamps are smaller
        smooth = cv2.GaussianBlur(value, (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
        # Scharr's kernel sums to 32 over two pixels
        gx, gy = (
            cv2.Scharr(smooth, cv2.CV_32F, *way, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
            for way in ((1, 0), (0, 1))
        )
        if ignored is not None and ignored.any():
            # No edges where, and so near to which that the blur brings them in, pixels are ignored
            reached = cv2.resize(ignored.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            near = cv2.dilate((reached > 0.0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
            gx[near] = gy[near] = 0.0
        # Edges are compared with what lies around within about 12 px
        power = cv2.GaussianBlur(gx * gx + gy * gy, (0, 0), 12.0)
        # Gradients below one half of an 8-bit step a pixel are rounding
        even = 1.0 / np.sqrt(power + np.float32((0.5 / 255.0) ** 2))
        field = EdgeField(
            gx=np.asarray(gx * even, np.float32), gy=np.asarray(gy * even, np.float32)
        )
        scale = size[0] / light.shape[1]
        limb = _find_limb_at_size(field, None if focal_px is None else focal_px * scale, angles)
        if limb is not None:
            shape = (light.shape[0], light.shape[1])
            return replace(limb, focal_px=limb.focal_px / scale, shape=shape)
    return None


def mask_sky(limb: Limb, shape: tuple[int, int], *, margin_deg: float = 0.5) -> BoolImage:
    """Mask sky, airglow and the haze at the horizon, for the same image at any scale.

    The mask extends to `margin_deg` below the horizon, where the incidence angle at the ground
    exceeds 86 degrees.
    """
    height, width = shape
    focal_px = limb.focal_px * max(shape) / max(limb.shape)
    centre, x = ((width - 1) / 2.0, (height - 1) / 2.0), np.arange(float(width))
    edge = np.cos(np.radians(limb.hard_edge_deg - margin_deg))
    # Row by row, since the rays of a photo of full size would fill a gigabyte
    rows = (compute_rays(x, np.full(width, y), focal_px, centre) for y in np.arange(float(height)))
    return np.array([rays @ limb.nadir < edge for rays in rows])


def _find_limb_at_size(
    field: EdgeField, focal_px: float | None, angles: tuple[float, float]
) -> Limb | None:
    """Find the limb at one working size; the focal length returned is for that size."""
    # 18 to 85 mm on a sensor 36 mm long
    focals = [ratio * max(field.gx.shape) for ratio in (0.5, 0.78, 1.15, 1.7, 2.4)]
    # Chance that an arc laid anywhere finds an edge along it within the window
    strength = np.hypot(field.gx[::2, ::2], field.gy[::2, ::2])
    # Along an arc run the edges of 0.18 of all directions
    somewhere = float((strength > MIN_SIGNED).mean()) * 0.18
    # Within the window lie about as many independent edges as blurs fit into it
    window = 1.0 - (1.0 - somewhere) ** (2.0 * WINDOW_PX / 2.5)
    chance = float(np.clip(window, 0.04, 0.6))
    lenses = focals if focal_px is None else [focal_px]
    candidates = find_arc_candidates(field, lenses, angles, chance)
    if focal_px is None:
        refitted = [
            _refit_focal(field, found, found.angle_deg, chance)
            for found in candidates
            if found.edges.log10_odds > MIN_REFIT_LOG10_ODDS
        ]
        candidates = [found for found in refitted if found is not None]
    candidates.sort(key=lambda found: -found.edges.log10_odds)
    for found in candidates[:FINALISTS]:
        limb = _judge_candidate(field, found, angles, chance, known_focal=focal_px is not None)
        if limb is not None:
            return limb
    return None


def _refit_focal(
    field: EdgeField, found: FoundArc, angle_deg: float, chance: float
) -> FoundArc | None:
    """The arc with the focal length for which a horizon has its curvature, and its place kept."""
    bent = float(np.clip(measure_curvature_ratio(found)[0], 0.6, 1.6))
    off_nadir, roll = compute_pointing(found.nadir)
    turned = turn_by_scale(off_nadir - found.angle_deg, 1.0 / bent)
    nadir = nadir_vector(angle_deg + turned, roll)
    return settle(field, found.focal_px / bent, nadir, angle_deg, chance)


def _judge_candidate(
    field: EdgeField,
    found: FoundArc,
    angles: tuple[float, float],
    chance: float,
    *,
    known_focal: bool,
) -> Limb | None:
    """Make a limb from a candidate arc; None if it is not certainly a limb."""
    certain = _is_certain(field, found, known_focal=known_focal)
    if not certain and not (known_focal and _may_be_short_limb(found)):
        return None
    # Which of the two edges the arc is, by where the other one is
    gap = angles[0] - angles[1]
    above, other_odds, room_above = _find_other_edge(field, found, gap, chance)
    paired, angle = above, angles[1]
    if not above:
        paired, other_odds, _ = _find_other_edge(field, found, -gap, chance)
        # If the airglow would be outside the image, the arc is probably the hard edge
        angle = angles[0] if paired or room_above else angles[1]
    if not paired:
        other_odds = 0.0
    both_odds = found.edges.log10_odds - TRIALS_LOG10 + other_odds
    is_pair = both_odds > MIN_PAIR_LOG10_ODDS and other_odds > MIN_SECOND_LOG10_ODDS
    if not certain and not is_pair:
        return None
    azimuth = found.edges.azimuth_deg
    offset = np.full(azimuth.shape, found.angle_deg - angle)
    # The arc stays: seen from the new nadir it is so much farther or nearer
    tilted = fit_nadir_to_places(found.nadir, azimuth, offset, np.ones(azimuth.shape))[0]
    settled = settle(field, found.focal_px, tilted, angle, chance)
    if settled is not None and not known_focal:
        # The curvature that belongs to a focal length is that of one of the edges
        settled = _refit_focal(field, settled, angle, chance)
    if settled is None:
        return None
    certain = certain and _is_certain(field, settled, known_focal=known_focal)
    if not certain and not (known_focal and is_pair and _may_be_short_limb(settled)):
        return None
    curvature, curvature_sigma = measure_curvature_ratio(settled)
    ratio = 1.0 / curvature
    ratio_sigma = float(np.hypot(curvature_sigma * ratio * ratio, CURVATURE_SIGMA))
    off_nadir, roll = compute_pointing(settled.nadir)
    edges = settled.edges
    weight = weigh_robustly(edges.offset_deg, pixel_deg(settled.focal_px))
    _, normal = fit_nadir_to_places(settled.nadir, edges.azimuth_deg, edges.offset_deg, weight)
    covariance = measure_scatter_deg(settled) ** 2 * np.linalg.pinv(normal)
    # Nominal focal lengths of original photos are accurate to 2 to 3 %
    error = max(0.03, ratio_sigma, abs(ratio - 1.0))
    # Scaled with the focal length, by the angle of the arc's middle from the axis
    stretched = np.degrees(0.5 * np.sin(2.0 * np.radians(angle - off_nadir)) * error)
    # 0.2 degrees due to the ellipsoid, the height of the airglow and weak distortion
    covariance[0, 0] += stretched**2 + 0.2**2
    covariance[1, 1] += 0.2**2
    if not paired:
        # Corresponds to 1 in 15 unpaired arcs being the other edge, 2.3 degrees away (assumed)
        covariance[0, 0] += 0.6**2
    return Limb(
        nadir=settled.nadir,
        off_nadir_deg=off_nadir,
        roll_deg=roll,
        covariance_deg2=np.asarray(covariance),
        paired=paired,
        shown=settled.edges.shown,
        log10_odds=settled.edges.log10_odds - TRIALS_LOG10,
        angle_deg=angle,
        hard_edge_deg=angles[1],
        focal_px=settled.focal_px,
        focal_ratio=ratio,
        focal_ratio_sigma=ratio_sigma,
        shape=(0, 0),
    )


def _is_certain(field: EdgeField, found: FoundArc, *, known_focal: bool) -> bool:
    """Whether an arc has beyond doubt the edges, the length and the curvature of a horizon."""
    doubted = not known_focal or found.edges.shown < 0.8
    # More for an unknown lens, or an incomplete arc: rivers and window rims fit some focal length,
    # and coasts match parts of an arc
    least = 28.0 if doubted else 16.0
    if found.edges.log10_odds - TRIALS_LOG10 < least or found.edges.length_px < 90.0:
        return False
    # Measured over expected curvature; the wider limits, since focal lengths of edited crops are
    # wrong by up to a factor of 1.4
    low, high = (0.5, 1.8) if known_focal else (0.7, 1.4)
    ratio, sigma = measure_curvature_ratio(found)
    # The limb scatters about its circle by 0.2 to 0.7 px (160 simulated limbs), and edges of clouds
    # by more. A lens correction in an editor also increases the scatter: a rougher arc is accepted
    # if its curvature is well determined
    rough_px = 1.2 * max(field.gx.shape) / WORKING_PX[0]
    rough = measure_scatter_deg(found) > rough_px * pixel_deg(found.focal_px)
    return low < ratio < high and sigma < (0.08 if rough else 0.22)


def _may_be_short_limb(found: FoundArc) -> bool:
    """Whether an arc too short to measure its curvature may be a limb, if its pair is found too.

    The ground must be on the side of the image's centre: edges of the airglow look alike from both.
    """
    ratio, sigma = measure_curvature_ratio(found)
    likely = found.edges.log10_odds - TRIALS_LOG10 > 9.0 and found.edges.shown > 0.7
    below = compute_pointing(found.nadir)[0] < found.angle_deg
    return likely and below and abs(ratio - 1.0) < 2.0 * sigma
