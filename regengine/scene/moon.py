"""A Moon in a picture: its disc measured, and whether it is the one that stood there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.rotation import icrs_to_itrf
from regengine.scene.ephemeris import horizon_dip_deg
from regengine.scene.picture import ScenePicture
from regengine.sky.stars.bodies import sky_bodies

# Of its brightest light: towards the terminator a ball darkens, and half of the brightest leaves
# a tenth of a half Moon out
LIT = 0.12
BRIGHTEST_QUANTILE = 0.9995
LEAST_BRIGHT = 0.02  # linear light; below it nothing in the picture is a Moon
LEAST_RADIUS_PX = 6.0
# Share of the lit patch's outline that lies on the disc's rim: a third of a thin crescent's, all of
# a full one's; patches of other shapes touch their best circle here and there
LEAST_ON_RIM = 0.3
# and all round it: the lit limb is half of the circle, but its ends are dark
LEAST_ARC_DEG = 100.0
RIM_SHARE, RIM_PX = 0.03, 1.0
MOST_OUTSIDE = 0.04  # of the patch, beyond the rim
TRIPLES = 300
SEED = 0
SECTOR_DEG = 10.0
# Air lifts what sets by twice the horizontal refraction
REFRACTION_DEG = 1.2
# A disc's illumination is measured to 0.1 in simulated frames, worse where it is overexposed; the
# Moon's changes by at most 0.11 a day
LEAST_DIFFERENT = 0.25
LIKELY_MOON = 0.2


@dataclass(frozen=True, kw_only=True)
class MoonDisc:
    """A disc, lit from one side."""

    radius_share: float  # radius over the picture's long side
    # Lit share of its area, 0 to 1; good to 0.1, less where it is overexposed or hazy
    illumination: float
    # Direction of its lit side in the picture, from right (+x) towards down (+y), [0, 360); says
    # nothing of a full Moon
    bright_limb_image_deg: float


def measure_moon_disc(picture: ScenePicture) -> MoonDisc | None:
    """The disc that a picture's largest lit patch is part of; None where it is part of none.

    The rim of the disc is the circle that most of the patch's outline lies on and that holds the
    patch: a Moon's terminator is an ellipse within it. The lit share of the disc's area is the
    illumination, whatever the phase.
    """
    light = picture.scene.luminance
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), 0.7), np.float32)
    top = float(np.quantile(light, BRIGHTEST_QUANTILE))
    if top < LEAST_BRIGHT:
        return None
    lit = (light > LIT * top).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(lit, connectivity=8)
    if len(stats) < 2:
        return None
    patch = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    contours, _ = cv2.findContours(patch.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len)[:, 0].astype(float)
    rows, columns = np.nonzero(patch)
    circle = _rim(outline, np.stack([columns, rows], axis=1).astype(float))
    if circle is None:
        return None
    x, y, inner = circle
    radius = inner + 0.5  # contours run through pixel centres
    height, width = light.shape
    if not (radius < min(x, y) and x + radius < width - 1 and y + radius < height - 1):
        return None
    lean_x, lean_y = float(columns.mean()) - x, float(rows.mean()) - y
    return MoonDisc(
        radius_share=radius / max(height, width),
        illumination=min(1.0, len(rows) / (np.pi * radius**2)),
        bright_limb_image_deg=float(np.degrees(np.arctan2(lean_y, lean_x)) % 360.0),
    )


@dataclass(frozen=True, kw_only=True)
class MoonCheck:
    """The Moon at a photo's time and place, held against its picture."""

    above_limb_deg: float  # of its middle above the limb as the camera sees it, without refraction
    illumination: float  # lit fraction of its disc
    waxing: bool  # whether it grew
    angular_radius_deg: float  # as seen from the camera
    disc: MoonDisc | None  # what the picture shows; None where no disc could be measured

    @property
    def agrees(self) -> bool | None:
        """Whether the Moon was up, and its phase the disc's; None where no disc was measured."""
        if self.above_limb_deg < -REFRACTION_DEG - self.angular_radius_deg:
            return False
        if self.disc is None:
            return None
        return abs(self.disc.illumination - self.illumination) < LEAST_DIFFERENT

    def record(self) -> dict[str, float | bool | None]:
        """As it stands in a frame's NDJSON record."""
        disc = self.disc
        return {
            "above_limb_deg": round(self.above_limb_deg, 2),
            "illumination": round(self.illumination, 3),
            "waxing": self.waxing,
            "angular_radius_deg": round(self.angular_radius_deg, 4),
            "disc_illumination": None if disc is None else round(disc.illumination, 2),
            "agrees": self.agrees,
        }


def moon_check(position: CameraPosition, disc: MoonDisc | None) -> MoonCheck | None:
    """The Moon at a camera's time and place; None where the time is not known."""
    if position.time_utc is None:
        return None
    moon = sky_bodies(position.time_utc, position.position_ecef_m)[0]
    direction = icrs_to_itrf(position.time_utc) @ np.asarray(moon.direction_icrs)
    up = position.position_ecef_m / np.linalg.norm(position.position_ecef_m)
    elevation_deg = float(np.degrees(np.arcsin(np.clip(up @ direction, -1.0, 1.0))))
    return MoonCheck(
        above_limb_deg=elevation_deg + horizon_dip_deg(position.altitude_km),
        illumination=moon.illumination,
        waxing=moon.bright_limb_deg > 180.0,  # its lit limb points west
        angular_radius_deg=moon.angular_radius_deg,
        disc=disc,
    )


def _rim(outline: FloatArray, patch: FloatArray) -> tuple[float, float, float] | None:
    """Centre and radius of the circle that the outline follows and that holds the patch.

    Circles through three points drawn at random, the best one fitted to its points (RANSAC,
    Fischler and Bolles 1981).
    """
    if len(outline) < 12:
        return None
    rng = np.random.default_rng(SEED)
    best: tuple[int, NDArray[np.bool_]] | None = None
    for _ in range(TRIPLES):
        circle = _circle_through(outline[rng.choice(len(outline), 3, replace=False)])
        if circle is None or circle[2] > 2.0 * np.ptp(outline, axis=0).max():
            continue
        on_rim, holds = _held(circle, outline, patch)
        count = int(on_rim.sum())
        if holds and (best is None or count > best[0]):
            best = count, on_rim
    if best is None or best[0] < LEAST_ON_RIM * len(outline):
        return None
    circle = _circle_through(outline[best[1]])
    if circle is None or circle[2] < LEAST_RADIUS_PX:
        return None
    on_rim, holds = _held(circle, outline, patch)
    arc = np.degrees(np.arctan2(*(outline[on_rim] - circle[:2]).T[::-1])) % 360.0
    covered = SECTOR_DEG * len(np.unique((arc // SECTOR_DEG).astype(int)))
    return circle if holds and covered >= LEAST_ARC_DEG else None


def _held(
    circle: tuple[float, float, float], outline: FloatArray, patch: FloatArray
) -> tuple[NDArray[np.bool_], bool]:
    """Which of the outline's points lie on a circle, and whether it holds the patch."""
    x, y, radius = circle
    margin = max(RIM_PX, RIM_SHARE * radius)
    on_rim = np.abs(np.hypot(*(outline - (x, y)).T) - radius) < margin
    outside = np.hypot(*(patch - (x, y)).T) > radius + margin
    return on_rim, bool(outside.mean() < MOST_OUTSIDE)


def _circle_through(points: FloatArray) -> tuple[float, float, float] | None:
    """Circle of least squares (Kasa 1976); None through points on a line."""
    middle = points.mean(axis=0)
    near = points - middle
    design = np.column_stack([2.0 * near, np.ones(len(near))])
    solution, _, rank, _ = np.linalg.lstsq(design, (near**2).sum(axis=1), rcond=1e-9)
    if rank < 3:
        return None
    x, y, rest = (float(value) for value in solution)
    return x + middle[0], y + middle[1], float(np.sqrt(max(rest + x * x + y * y, 0.0)))
