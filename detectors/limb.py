"""Detection of the Earth's limb in a photo, which gives the nadir direction and a sky mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from detectors.limb_fit import (
    FINALISTS,
    FoundArc,
    estimate_edge_chance,
    find_arc_candidates,
    find_edges_along,
    fit_nadir_to_places,
    measure_curvature_ratio,
    measure_scatter_deg,
    pixel_deg,
    settle,
    tilt_nadir,
    unroll,
    weigh_robustly,
)
from detectors.limb_geometry import (
    AIRGLOW_TOP_KM,
    HARD_EDGE_KM,
    EdgeField,
    compute_edge_field,
    compute_pointing,
    limb_angle_deg,
    nadir_vector,
)
from detectors.types import BoolImage, FloatArray, FloatImage

Layer = Literal["airglow", "hard_edge"]

# Allowed distance between the two edges of the pair, as a share of the nominal distance
PAIR_LIMITS = (0.75, 1.4)
MIN_PAIR_LOG10_ODDS = 5.0
# Minimum mean normalised gradient of the other edge above its surroundings
MIN_PAIR_RISE = 0.2
PAIR_SIGMAS = 5.0
FOCAL_ERROR = 0.03  # nominal focal lengths of original photos are accurate to 2 to 3 %
PLACE_ERROR_DEG = 0.2  # due to the ellipsoid, the height of the airglow and weak distortion
# Corresponds to 1 in 15 unpaired arcs being the other edge, 2.3 degrees away (assumed)
UNPAIRED_ERROR_DEG = 0.6

# Long sides to try in turn. At the first, the 10 km of the airglow are 1.4 px for a 28 mm lens; the
# second averages the noise of short exposures
WORKING_PX = (400, 200)
TRIALS_LOG10 = 4.5  # 135 x 360 cells of directions, of which fewer are independent
MIN_LOG10_ODDS = 16.0
# For an unknown lens, or an incomplete arc. Rivers and window rims fit some focal length, and
# coasts match parts of an arc
MIN_LOG10_ODDS_DOUBTED = 28.0
MIN_SHOWN = 0.8
MIN_ARC_PX = 90.0
# Measured over expected curvature: focal lengths of edited crops are wrong by up to a factor of 1.4
CURVATURE_LIMITS = (0.5, 1.8)
FITTED_CURVATURE_LIMITS = (0.7, 1.4)  # if the focal length was fitted to the curvature
MAX_CURVATURE_SIGMA = 0.22
# The limb scatters about its circle by 0.2 to 0.7 px (160 simulated limbs), and edges of clouds by
# more. A lens correction in an editor also increases the scatter: a rougher arc is accepted if its
# curvature is well determined
ROUGH_PX = 1.2
MAX_ROUGH_CURVATURE_SIGMA = 0.08
LENSES_PER_LONG_SIDE = (0.5, 0.78, 1.15, 1.7, 2.4)  # 18 to 85 mm on a sensor 36 mm long


def layer_of(
    field: EdgeField, found: FoundArc, angles: tuple[float, float], chance: float
) -> tuple[Layer, bool]:
    """Identify which of the two edges an arc is, and whether the other edge was found, too."""
    gap = angles[0] - angles[1]
    above, room_above = _find_other_edge(field, found, gap, chance)
    if above:
        return "hard_edge", True
    below, _ = _find_other_edge(field, found, -gap, chance)
    if below:
        return "airglow", True
    # If the airglow would be outside the image, the arc is probably the hard edge
    return "airglow" if room_above else "hard_edge", False


def _find_other_edge(
    field: EdgeField, found: FoundArc, gap_deg: float, chance: float
) -> tuple[bool, bool]:
    """Whether an edge exists near a given distance from an arc, and whether that is in view."""
    pixel = pixel_deg(found.focal_px)
    far = (PAIR_LIMITS[1] + 0.7) * abs(gap_deg)
    step = max(0.5 * pixel, far / 80.0)
    strip = unroll(field, found.focal_px, found.nadir, found.angle_deg, far, step)
    if strip is None:
        return False, False
    share = strip.offset_deg / gap_deg
    asked = (share > PAIR_LIMITS[0]) & (share < PAIR_LIMITS[1]) & strip.inside.any(axis=1)
    if not asked.any():
        return False, False
    odds = [
        find_edges_along(strip, step / pixel, chance, float(offset)).log10_odds
        for offset in strip.offset_deg[asked]
    ]
    # Averaging along the arc reveals an edge that is lost in the noise at single positions
    count = np.maximum(strip.inside.sum(axis=1), 1)
    mean = strip.signed.sum(axis=1) / count
    spread = np.sqrt((strip.signed**2).sum(axis=1) / count / count)
    around = (share > PAIR_LIMITS[0] - 0.3) & (share < PAIR_LIMITS[1] + 0.7) & (count > 8)
    peak = int(np.argmax(np.where(asked, mean, -np.inf)))
    rise = mean[peak] - float(np.median(mean[around])) if around.any() else 0.0
    seen = max(odds) > MIN_PAIR_LOG10_ODDS
    seen |= rise > max(MIN_PAIR_RISE, PAIR_SIGMAS * spread[peak])
    in_view = strip.inside[asked].mean() > 0.5
    return bool(seen), bool(in_view)


def compute_nadir_covariance(
    found: FoundArc,
    angle_deg: float,
    focal_ratio: tuple[float, float],
    paired: bool,
    known_focal: bool,
) -> FloatArray:
    """Compute the covariance of the nadir direction, square degrees (along off-nadir, across)."""
    ratio, ratio_sigma = focal_ratio
    edges = found.edges
    pixel = pixel_deg(found.focal_px)
    weight = weigh_robustly(edges.offset_deg, pixel)
    _, normal = fit_nadir_to_places(found.nadir, edges.azimuth_deg, edges.offset_deg, weight)
    scatter = measure_scatter_deg(found)
    covariance = scatter**2 * np.linalg.pinv(normal)
    # Angle of the arc's middle from the axis, which scales with the error of the focal length
    away = np.radians(angle_deg - compute_pointing(found.nadir)[0])
    error = max(FOCAL_ERROR, ratio_sigma, abs(ratio - 1.0) if known_focal else 0.0)
    stretched = np.degrees(0.5 * np.sin(2.0 * away) * error)
    covariance[0, 0] += stretched**2 + PLACE_ERROR_DEG**2
    covariance[1, 1] += PLACE_ERROR_DEG**2
    if not paired:
        covariance[0, 0] += UNPAIRED_ERROR_DEG**2
    return np.asarray(covariance)


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
    layer: Layer  # edge that the nadir was fitted to
    paired: bool  # whether both edges, 2.3 degrees apart, were found, so that the layer is certain
    shown: float  # share of the arc's length with an edge
    log10_odds: float  # against chance edges, corrected for the number of arcs tried
    angle_deg: float  # angle between the nadir and the arc of `layer`
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
        turned = np.degrees(np.arctan(np.tan(np.radians(arc_deg)) / scale))
        return nadir_vector(self.angle_deg + float(turned), self.roll_deg)


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
        height, width = light.shape
        scale = min(1.0, working_px / max(height, width))
        size = (max(16, round(width * scale)), max(16, round(height * scale)))
        small = cv2.resize(np.asarray(light, np.float32), size, interpolation=cv2.INTER_AREA)
        hidden = None
        if ignored is not None and ignored.any():
            reached = cv2.resize(ignored.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            hidden = reached > 0.0
        field = compute_edge_field(np.asarray(small, np.float32), hidden)
        scale = size[0] / width
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
    scale = max(shape) / max(limb.shape)
    centre = ((width - 1) / 2.0, (height - 1) / 2.0)
    u, v = (
        (np.arange(side) - middle) / (limb.focal_px * scale)
        for side, middle in zip((width, height), centre, strict=True)
    )
    down = u * limb.nadir[0] + (v * limb.nadir[1] + limb.nadir[2])[:, None]
    edge = np.cos(np.radians(limb.hard_edge_deg - margin_deg))
    return np.asarray(down < edge * np.sqrt(u * u + (v * v + 1.0)[:, None]))


def _find_limb_at_size(
    field: EdgeField, focal_px: float | None, angles: tuple[float, float]
) -> Limb | None:
    """Find the limb at one working size; the focal length returned is for that size."""
    focals = [ratio * max(field.gx.shape) for ratio in LENSES_PER_LONG_SIDE]
    chance = estimate_edge_chance(field)
    candidates = [
        found
        for focal in (focals if focal_px is None else [focal_px])
        for found in find_arc_candidates(field, focal, angles, chance)
    ]
    if focal_px is None:
        refitted = [_fit_to_curvature(field, found, chance) for found in candidates]
        candidates = [found for found in refitted if found is not None]
    candidates.sort(key=lambda found: -found.edges.log10_odds)
    for found in candidates[:FINALISTS]:
        limb = _judge_candidate(field, found, angles, chance, known_focal=focal_px is not None)
        if limb is not None:
            return limb
    return None


def _judge_candidate(
    field: EdgeField,
    found: FoundArc,
    angles: tuple[float, float],
    chance: float,
    *,
    known_focal: bool,
) -> Limb | None:
    """Make a limb from a candidate arc; None if it is not certainly a limb."""
    if not _is_beyond_doubt(found, known_focal=known_focal):
        return None
    limits = CURVATURE_LIMITS if known_focal else FITTED_CURVATURE_LIMITS
    if not _is_curved_as_horizon(field, found, limits):
        return None
    layer, paired = layer_of(field, found, angles, chance)
    angle = angles[0] if layer == "airglow" else angles[1]
    settled = settle(field, found.focal_px, tilt_nadir(found, angle), angle, chance)
    if settled is None or not _is_beyond_doubt(settled, known_focal=known_focal):
        return None
    if not _is_curved_as_horizon(field, settled, limits):
        return None
    curvature, curvature_sigma = measure_curvature_ratio(settled)
    ratio = 1.0 / curvature
    ratio_sigma = curvature_sigma * ratio * ratio
    off_nadir, roll = compute_pointing(settled.nadir)
    return Limb(
        nadir=settled.nadir,
        off_nadir_deg=off_nadir,
        roll_deg=roll,
        covariance_deg2=compute_nadir_covariance(
            settled, angle, (ratio, ratio_sigma), paired, known_focal
        ),
        layer=layer,
        paired=paired,
        shown=settled.edges.shown,
        log10_odds=settled.edges.log10_odds - TRIALS_LOG10,
        angle_deg=angle,
        hard_edge_deg=angles[1],
        focal_px=found.focal_px,
        focal_ratio=ratio,
        focal_ratio_sigma=ratio_sigma,
        shape=(0, 0),
    )


def _fit_to_curvature(field: EdgeField, found: FoundArc, chance: float) -> FoundArc | None:
    """Fit the focal length for which a horizon has the curvature of the arc."""
    bent = float(np.clip(measure_curvature_ratio(found)[0], 0.6, 1.6))
    # Keep the arc's position in the image
    focal_px, middle = found.focal_px / bent, compute_pointing(found.nadir)
    away = np.radians(middle[0] - found.angle_deg)
    turned = np.degrees(np.arctan(np.tan(away) * bent))
    nadir = nadir_vector(found.angle_deg + float(turned), middle[1])
    return settle(field, focal_px, nadir, found.angle_deg, chance)


def _is_curved_as_horizon(field: EdgeField, found: FoundArc, limits: tuple[float, float]) -> bool:
    """Whether the curvature of an arc is significant and matches that of a horizon."""
    low, high = limits
    ratio, sigma = measure_curvature_ratio(found)
    rough_px = ROUGH_PX * max(field.gx.shape) / WORKING_PX[0]
    rough = measure_scatter_deg(found) > rough_px * pixel_deg(found.focal_px)
    return low < ratio < high and sigma < (
        MAX_ROUGH_CURVATURE_SIGMA if rough else MAX_CURVATURE_SIGMA
    )


def _is_beyond_doubt(found: FoundArc, *, known_focal: bool) -> bool:
    doubted = not known_focal or found.edges.shown < MIN_SHOWN
    least = MIN_LOG10_ODDS_DOUBTED if doubted else MIN_LOG10_ODDS
    odds = found.edges.log10_odds - TRIALS_LOG10
    return odds >= least and found.edges.length_px >= MIN_ARC_PX
