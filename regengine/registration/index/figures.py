"""Cameras that the figures of a photo's towns speak for, anywhere on Earth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.asterism_fit import MatchParameters, fitted_rotations, fitted_scales, rescaled
from matchers.asterism_match import Attitude, match
from matchers.asterisms import AsterismIndex, unit
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, surface_to_lonlat
from matchers.level_ground import (
    ground_points,
    leaning,
    leant_points,
    level_axes,
    level_points,
    levelled,
    placed_camera,
    seen_box,
)
from matchers.photo_light import LightImage
from matchers.pose import PosePrior
from matchers.resection import ASKED, LEAST_POINTS, PointPairs, Unknowns, resected, residuals_px
from matchers.verify import find_towns
from regengine.registration.index.earth import NEIGHBOURS, EarthIndex

# Geometric mean of the 330 and 430 km between which the station has flown: straight down, a height
# is but a scale
ALTITUDE_KM = 377.0
# Towards the limb it is not: heights are tried, those of most photos first
LEVELLED_ALTITUDES_KM = (412.0, 350.0, 385.0)
# Long side, in pixels of a level, at which towns are told apart as in the level
USUAL_PX, LEAST_PX, MOST_PX = 200.0, 90.0, 420.0
SMOOTH_PX = 0.8
PHOTO_TOWNS, LEVELLED_TOWNS = 60, 80
FEWEST_TOWNS = 6
# Ground beyond is seen too flat to tell towns apart
LEVELLED_REACH_KM = 1700.0
LEAST_BOX_PX = 16
# Towns are found anew in the other picture within a pixel and a half; tilts in between those that
# are tried, and heights, add 4 % of the distance from the towns that a rotation rests on
SIGMA_PX, SIGMA_SHARE = 1.5, 0.04
TURN_STEP_DEG = 6.0
# Where there is one way down, more rotations can be weighed; fewer towns at the limb meet
LEVELLED_SHARE, LEVELLED_WEIGHED, LEVELLED_FITTED = 0.4, 300, 60
# The best rotations of one direction out of many, and of one that the limb tells
KEPT, LEVELLED_KEPT = 3, 8


# One sigma, of either direction: half a step of the tilts that are tried
LEAN_RAD = np.radians(1.5)
MOST_LOG_SCALE = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelView:
    """What turns a level frame into a camera: its axes, the height tried, the stored lens."""

    axes: FloatArray
    altitude_km: float
    stored: Camera


def lean_ways(points: FloatArray, altitude_km: float) -> FloatArray:
    """How points of the level frame move when the camera leans by one sigma."""
    return np.stack(
        [
            leant_points(points, altitude_km, leaning(*about)) - points
            for about in ((LEAN_RAD, 0.0), (0.0, LEAN_RAD))
        ]
    )


def leant_camera(
    level: AsterismIndex, points: FloatArray, attitude: Attitude, view: LevelView
) -> Camera:
    """The camera of an attitude that was fitted with `lean_ways`."""
    lean = leaning(*(LEAN_RAD * attitude.bends).tolist())
    seen, towns = attitude.inliers.T
    moved = leant_points(points[seen], view.altitude_km, lean)
    whole = np.isfinite(moved).all(axis=1)
    scale, rotation = attitude.scale, attitude.rotation
    if whole.any():
        # To first order the lean leaves turn and scale as they are: they are fitted to all of it
        moved, targets = unit(moved[whole]), level.vectors[towns[whole]][None]
        share = np.ones((1, len(moved)))
        now = np.array([scale])
        now = fitted_scales(moved, targets, share, now, MOST_LOG_SCALE)
        sized = rescaled(moved[None], now[:, None, None])
        rotation = fitted_rotations(sized, targets, share, rotation[None])[0]
        scale = float(now[0])
    # A scale of the level frame is a height
    return placed_camera(view.stored, lean @ view.axes, view.altitude_km * scale, rotation)


# A proposed camera is fitted to the towns that it brings together, with all that is unknown at
# once. Figures are compared on a sphere, at a height and with a lens that were tried, and the lean
# of the camera is fitted to first order. Towards the limb, where a degree moves the ground by a
# hundred kilometres, that leaves the camera tens of kilometres off, from where no alignment finds
# back. The same pairs of towns tell it to a few kilometres.
# The lens' distortion is freed where every unknown may be; fewer pairs leave the camera as it is
LEAST_PAIRS = LEAST_POINTS["distortion"]
ROUNDS = 3
# Pairs count that miss by so many times the median, which for two-dimensional noise is 2.9 sigmas,
# or by one sigma
OUTLIER_MEDIANS = 2.5


@dataclass(frozen=True, kw_only=True, eq=False)
class TownPairs:
    """Towns of a photo and of the Earth that were brought together.

    pixels, shape (n, 2): Of the stored image.
    ground_ecef_m, shape (n, 3): On the ellipsoid.
    sigma_km: How well towns are found again.
    """

    pixels: FloatArray
    ground_ecef_m: FloatArray
    sigma_km: float

    def seen_by(self, camera: Camera) -> PointPairs:
        """As pairs of a resection, with the precision that a camera at that distance sees."""
        away_m = np.linalg.norm(self.ground_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
        return PointPairs(
            pixels=self.pixels,
            ground_ecef_m=self.ground_ecef_m,
            sigma_px=1e3 * self.sigma_km * camera.focal_px / away_m,
        )


def town_pairs(
    points: FloatArray, towns: FloatArray, view: LevelView, sigma_rad: float
) -> TownPairs:
    """Pairs out of a level frame."""
    stands = np.array([0.0, 0.0, EARTH_RADIUS_KM + view.altitude_km])
    pixels = view.stored.image_of((EARTH_RADIUS_KM * points - stands) @ view.axes)
    return TownPairs(
        pixels=np.stack(pixels, axis=-1),
        ground_ecef_m=geodetic_to_ecef(*surface_to_lonlat(towns)),
        sigma_km=sigma_rad * EARTH_RADIUS_KM,
    )


def fitted_to_towns(camera: Camera, pairs: TownPairs, belief: PosePrior) -> Camera:
    """A camera fitted to its pairs of towns, without those that the others contradict."""
    counts = np.ones(len(pairs.pixels), bool)
    for _ in range(ROUNDS):
        if counts.sum() < LEAST_PAIRS:
            return camera
        whole = pairs.seen_by(camera)
        unknowns = Unknowns(pairs=whole.chosen(counts), belief=belief, freed=ASKED["all"])
        camera = resected(camera, unknowns).camera
        misses = np.linalg.norm(residuals_px(camera, whole), axis=1) / whole.sigma_px
        counts = misses < max(1.0, OUTLIER_MEDIANS * float(np.nanmedian(misses[counts])))
    return camera


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A camera of the stored image that towns speak for.

    camera: Roughly: tilt and height are those that were tried, or nearly.
    log10_odds: Of the towns against chance, see `matchers.asterism_match.Attitude`.
    hazy: Whether they are of the photo's hazy light image.
    pairs: The towns that it brings together, where they are such of figures.
    """

    camera: Camera
    log10_odds: float
    hazy: bool = False
    pairs: TownPairs | None = None


def suitable_levels(camera: Camera, levels: Iterable[float], stretched: float = 1.0) -> list[float]:
    """Levels in whose pixels a photo has a useful size, the best first."""
    field_km = field_straight_down_km(camera) * stretched
    useful = [level for level in levels if LEAST_PX <= field_km / level <= MOST_PX]
    return sorted(useful, key=lambda level: abs(np.log(field_km / level / USUAL_PX)))


def field_straight_down_km(camera: Camera) -> float:
    """Long side of the ground that a camera would show straight down."""
    return max(camera.width_px, camera.height_px) / camera.focal_px * ALTITUDE_KM


@dataclass(frozen=True, kw_only=True, eq=False)
class EarthView:
    """A photo's light image, not mirrored, and its lens, held against the towns of the Earth."""

    index: EarthIndex
    image: LightImage
    lens: Camera
    altitude_km: float = ALTITUDE_KM

    def smoothed(self) -> EarthView:
        """The same at the image's own size, as it is drawn as a map."""
        image = self.image.resized(max(self.image.values.shape), SMOOTH_PX)
        return replace(self, image=image)


def propose_tilted(
    view: EarthView, pixel_km: float, nadirs: Sequence[FloatArray]
) -> list[Proposal]:
    """Cameras for some directions of the nadir, the towns sought in the picture as it is."""
    field_km = field_straight_down_km(view.lens) * view.altitude_km / ALTITUDE_KM
    small = view.image.resized(round(field_km / pixel_km), SMOOTH_PX)
    towns = find_towns(small.values, small.weight, PHOTO_TOWNS)
    camera = small.camera(view.lens)
    found = []
    parameters = match_parameters(pixel_km)
    for nadir in nadirs:
        axes = level_axes(nadir)
        points = ground_points(camera, axes, view.altitude_km, towns.x, towns.y)
        level = LevelView(axes=axes, altitude_km=view.altitude_km, stored=view.lens)
        found += matched(view.index.levels[pixel_km], points, towns.contrast, level, parameters)
    return found


def propose_levelled(
    view: EarthView, pixel_km: float, nadir: FloatArray, altitude_km: float, of_limb: bool = True
) -> list[Proposal]:
    """Cameras for a smoothed photo, drawn as a map around its nadir before towns are sought."""
    axes = level_axes(nadir)
    camera = view.image.camera(view.lens)
    box = seen_box(camera, axes, altitude_km, pixel_km, LEVELLED_REACH_KM)
    if box is None or min(box.right - box.left, box.top - box.bottom) < LEAST_BOX_PX:
        return []
    values, weight = levelled(view.image, camera, axes, altitude_km, pixel_km, box)
    towns = find_towns(values, weight, LEVELLED_TOWNS if of_limb else PHOTO_TOWNS)
    points = level_points(towns.x + box.left, box.top - towns.y, pixel_km)
    level = LevelView(axes=axes, altitude_km=altitude_km, stored=view.lens)
    parameters = match_parameters(pixel_km)
    if of_limb:
        parameters = replace(
            parameters,
            match_share=LEVELLED_SHARE,
            weighed=LEVELLED_WEIGHED,
            fitted=LEVELLED_FITTED,
            kept=LEVELLED_KEPT,
        )
    return matched(view.index.levels[pixel_km], points, towns.contrast, level, parameters)


def propose_far(view: EarthView, pixel_km: float, nadirs: Sequence[FloatArray]) -> list[Proposal]:
    """Cameras for far tilts, the picture drawn as a map for each direction."""
    smooth = view.smoothed()
    return [
        proposal
        for nadir in nadirs
        for proposal in propose_levelled(smooth, pixel_km, nadir, view.altitude_km, of_limb=False)
    ]


def match_parameters(pixel_km: float) -> MatchParameters:
    """How towns sought in pixels of some size are compared."""
    return MatchParameters(
        brightest=LEVELLED_TOWNS,
        neighbours=NEIGHBOURS,
        sigma_rad=SIGMA_PX * pixel_km / EARTH_RADIUS_KM,
        sigma_share=SIGMA_SHARE,
        turn_step_deg=TURN_STEP_DEG,
        weighed=100,
        fitted=30,
        kept=KEPT,
        scale_free=True,
    )


def matched(
    level: AsterismIndex,
    points: FloatArray,
    contrast: FloatArray,
    view: LevelView,
    parameters: MatchParameters,
) -> list[Proposal]:
    """Cameras whose points of the level frame fall on the Earth's towns."""
    ways = lean_ways(points, view.altitude_km)
    seen = np.isfinite(points[:, 0]) & np.isfinite(ways).all(axis=(0, 2))
    if seen.sum() < FEWEST_TOWNS:
        return []
    found = match(level, points[seen], contrast[seen], parameters, ways[:, seen])
    proposals = []
    for attitude in found:
        ours, theirs = attitude.inliers.T
        towns = level.vectors[theirs]
        proposals.append(
            Proposal(
                camera=leant_camera(level, points[seen], attitude, view),
                log10_odds=attitude.log10_odds,
                pairs=town_pairs(points[seen][ours], towns, view, parameters.sigma_rad),
            )
        )
    return proposals


@dataclass(frozen=True, kw_only=True, eq=False)
class Attempt:
    """One thing to try, told before it costs anything.

    find: Proposals for the stored image, not mirrored, in any order.
    mirrored, hazy: Whether the picture was flipped first, and whether it is the hazy one.
    sigma_log_focal: How well the focal length is believed that is tried.
    surprise: How unlikely it is to find a photo whose place is nearly known; see `search.Step`.
    tilts, drawn: So many are tried, and whether the picture is drawn as a map for each.
    looked_at: So many of its best proposals, and of the best that wait, are looked at whatever
        their odds; its others do not wait.
    """

    find: Callable[[], list[Proposal]]
    sigma_log_focal: float
    mirrored: bool = False
    hazy: bool = False
    surprise: float = 0.0
    looked_at: int = 0
    tilts: int = 1
    drawn: bool = False

    def cost(self, anywhere: bool) -> str:
        """The name of what each tilt costs along tracks, or where the whole Earth is looked up."""
        return f"{'drawn ' * self.drawn}tilt in the index{' of the Earth' * anywhere}"

    @property
    def kind(self) -> str:
        """Light or figures, which do not know of each other."""
        return "index light" if self.looked_at else "index figures"

    @cached_property
    def proposals(self) -> list[Proposal]:
        """What it finds, the best first."""
        ordered = sorted(self.find(), key=lambda proposal: -proposal.log10_odds)
        return [replace(one, hazy=self.hazy or one.hazy) for one in ordered]
