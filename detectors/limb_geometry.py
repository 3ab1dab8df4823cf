"""The Earth's limb on the view sphere: a circle about the nadir."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import BoolImage, FloatArray, FloatImage

# The emission of atomic oxygen at 557.7 nm peaks at 93-97 km and is some 10 km deep, so its upper
# edge, the first rise of light from the sky down, lies near 100 km (Leinert et al. 1998, A&AS 127)
AIRGLOW_TOP_KM = 99.0
# The last opaque air, haze and high cloud: chosen between the 0 km of the simulator and the 12 km
# that the gap of 2.1 to 2.2 degrees read off the profiles of some moonlit real photos would have
HARD_EDGE_KM = 8.0

BLUR_PX = 1.5
RMS_PX = 12.0  # edges are compared with what lies around within about this
# Gradients below one half of an 8-bit step a pixel are rounding
MIN_GRADIENT = 0.5 / 255.0
MIN_EDGE = 1.0  # normalised gradient from which on a pixel may vote
STRONGEST_VOTE = 3.0
TURNS_DEG = np.arange(-8.0, 8.1, 1.0)  # an edge's direction is uncertain by some degrees
TURN_SIGMA_DEG = 3.0
CELL_DEG = 1.0
MAX_OFF_NADIR_DEG = 135.0


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
    """Unit vectors (x right, y down, z forward) along which pixels look, shape (..., 3)."""
    u, v = (x - centre[0]) / focal_px, (y - centre[1]) / focal_px
    rays = np.stack([u, v, np.ones_like(u)], axis=-1)
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def project_directions(
    rays: FloatArray, focal_px: float, centre: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Pixels of directions, shape (...); NaN for those behind the camera."""
    depth = np.where(rays[..., 2] > 1e-3, rays[..., 2], np.nan)
    return (
        focal_px * rays[..., 0] / depth + centre[0],
        focal_px * rays[..., 1] / depth + centre[1],
    )


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


def compute_edge_field(light: FloatImage, hidden: BoolImage | None = None) -> EdgeField:
    """Normalised gradient of an image of linear light.

    `light` (h, w); `hidden` (h, w): where, and so near to which that the blur brings them in, edges
    do not count.
    """
    value = np.power(np.clip(light, 0.0, 1.0), np.float32(1.0 / 2.2))
    value = np.asarray(cv2.medianBlur(value, 5))  # stars and lamps are smaller
    smooth = cv2.GaussianBlur(value, (0, 0), BLUR_PX, borderType=cv2.BORDER_REPLICATE)
    # Scharr's kernel sums to 32 over two pixels
    gx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    if hidden is not None:
        near = cv2.dilate(hidden.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        gx[near] = gy[near] = 0.0
    power = cv2.GaussianBlur(gx * gx + gy * gy, (0, 0), RMS_PX)
    scale = 1.0 / np.sqrt(power + np.float32(MIN_GRADIENT**2))
    return EdgeField(gx=np.asarray(gx * scale, np.float32), gy=np.asarray(gy * scale, np.float32))


def count_nadir_votes(
    field: EdgeField, focal_px: float, angles_deg: tuple[float, ...]
) -> FloatArray:
    """Votes of the edges for nadir directions.

    An edge pixel, brighter on the ground's side, together with an angle of the limb from the
    nadir, names one nadir: so far from it, across the edge.

    `angles_deg`: angles between the nadir and the limb. Gives
    shape (off-nadir angle in degrees, roll in degrees from -180).
    """
    strength = np.hypot(field.gx, field.gy)
    # Pixels where the gradient is greatest across the edge
    steep = np.abs(field.gx) > np.abs(field.gy)
    sideways = np.maximum(np.roll(strength, 1, 1), np.roll(strength, -1, 1))
    upright = np.maximum(np.roll(strength, 1, 0), np.roll(strength, -1, 0))
    greatest = strength >= np.where(steep, sideways, upright)
    greatest &= strength > MIN_EDGE
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
    rows, cols = int(MAX_OFF_NADIR_DEG / CELL_DEG), int(360.0 / CELL_DEG)
    votes = np.zeros(rows * cols)
    weight = np.minimum(size, STRONGEST_VOTE)
    for angle in np.radians(angles_deg):
        for turn in np.radians(TURNS_DEG):
            towards = np.cos(turn) * across + np.sin(turn) * along
            nadir = np.cos(angle) * rays + np.sin(angle) * towards
            lean = np.degrees(np.arctan2(np.hypot(nadir[:, 0], nadir[:, 1]), nadir[:, 2]))
            roll = np.degrees(np.arctan2(nadir[:, 0], nadir[:, 1]))
            cell_row = (lean / CELL_DEG).astype(int)
            cell_col = ((roll + 180.0) / CELL_DEG).astype(int) % cols
            inside = cell_row < rows
            likely = np.exp(-0.5 * (np.degrees(turn) / TURN_SIGMA_DEG) ** 2)
            votes += likely * np.bincount(
                (cell_row * cols + cell_col)[inside], weight[inside], rows * cols
            )
    return votes.reshape(rows, cols)


def find_best_cells(votes: FloatArray, count: int) -> list[tuple[float, float]]:
    """Off-nadir angle and roll (degrees) of the strongest peaks of the votes."""
    wrapped = np.concatenate([votes[:, -8:], votes, votes[:, :8]], axis=1)
    smooth = cv2.GaussianBlur(wrapped, (0, 0), 1.0)
    peaks = smooth >= cv2.dilate(smooth, np.ones((5, 5), np.uint8))
    smooth, peaks = smooth[:, 8:-8], peaks[:, 8:-8]
    row, col = np.nonzero(peaks & (smooth > 0.0))
    best = np.argsort(smooth[row, col])[::-1][:count]
    return [((row[i] + 0.5) * CELL_DEG, (col[i] + 0.5) * CELL_DEG - 180.0) for i in best.tolist()]
