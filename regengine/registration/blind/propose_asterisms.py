"""Cameras that the figures of a photo's towns speak for, anywhere on Earth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.types import FloatArray
from matchers.asterism_match import match
from matchers.asterism_odds import MatchParameters
from matchers.asterisms import AsterismIndex
from matchers.camera import Camera
from matchers.level_ground import (
    EARTH_RADIUS_KM,
    ground_points,
    level_axes,
    level_points,
    levelled,
    seen_box,
)
from matchers.photo_light import LightImage
from matchers.verify import find_towns
from regengine.registration.blind.index import NEIGHBOURS, EarthIndex
from regengine.registration.blind.tilts import LevelView, lean_ways, leant_camera
from regengine.registration.blind.town_fit import TownPairs, town_pairs

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A camera of the stored image that towns speak for.

    Attributes
    ----------
    camera : Camera
        Roughly: tilt and height are those that were tried, or nearly.
    log10_odds : float
        Of the towns against chance, see `matchers.asterism_match.Attitude`.
    towns : int
        That it brings together with the map's.
    hazy : bool
        Whether they are of the photo's hazy light image.
    pairs : TownPairs or None
        These towns, where they are such of figures.
    """

    camera: Camera
    log10_odds: float
    towns: int
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

    def smoothed(self) -> EarthView:
        """The same at the image's own size, as it is drawn as a map."""
        image = self.image.resized(max(self.image.values.shape), SMOOTH_PX)
        return replace(self, image=image)


def propose_tilted(
    view: EarthView, pixel_km: float, nadirs: Sequence[FloatArray]
) -> list[Proposal]:
    """Cameras for some directions of the nadir, the towns sought in the picture as it is."""
    small = view.image.resized(round(field_straight_down_km(view.lens) / pixel_km), SMOOTH_PX)
    towns = find_towns(small.values, small.weight, PHOTO_TOWNS)
    camera = small.camera(view.lens)
    found = []
    parameters = match_parameters(pixel_km)
    for nadir in nadirs:
        axes = level_axes(nadir)
        points = ground_points(camera, axes, ALTITUDE_KM, towns.x, towns.y)
        level = LevelView(axes=axes, altitude_km=ALTITUDE_KM, stored=view.lens)
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
        for proposal in propose_levelled(smooth, pixel_km, nadir, ALTITUDE_KM, of_limb=False)
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
                towns=len(attitude.inliers),
                pairs=town_pairs(points[seen][ours], towns, view, parameters.sigma_rad),
            )
        )
    return proposals


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
