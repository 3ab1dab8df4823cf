"""Cameras that the light around a photo's towns speaks for, anywhere on Earth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.asterisms import frames
from matchers.camera import Camera
from matchers.level_ground import GroundPlane, ground_plane, level_axes, placed_camera
from matchers.polar_patches import (
    Laid,
    PatchMap,
    PatchPhoto,
    PatchTable,
    asked,
    blurred,
    fitted,
    harmonics,
    lay,
    sampled,
)
from matchers.verify import find_towns
from regengine.registration.index.figures import (
    EarthView,
    Proposal,
    field_straight_down_km,
)

# Long side, in pixels of a level, at which patches are worth comparing
LEAST_PX, MOST_PX = 100.0, 420.0
MOST_LEVELS = 2
SMOOTH_PX = 0.6
PHOTO_PATCHES = 24
# The strongest towns whose rings lie within the photo for the most part are laid on the Earth
LAID_PATCHES, LEAST_COVERED = 12, 0.5
FEWEST_PATCHES = 6
PLACES_EACH = 50
# Ways that are fitted, the likeliest of all directions
FITTED = 24
# The right place stands among the first hundred of a patch as often at one power of ten as at the
# next; see `matchers.polar_patches.Laid`
RANKS_LOG10 = 1.0


def dense_levels(camera: Camera, levels: Sequence[float], stretched: float) -> list[float]:
    """Levels in whose pixels a photo's patches are compared, the coarsest, and cheapest, first."""
    field_km = field_straight_down_km(camera) * stretched
    useful = [level for level in levels if LEAST_PX <= field_km / level <= MOST_PX]
    return sorted(useful, reverse=True)[:MOST_LEVELS]


def propose_dense(view: EarthView, pixel_km: float, nadirs: Sequence[FloatArray]) -> list[Proposal]:
    """Cameras for some directions of the nadir."""
    level, table = view.index.levels[pixel_km], view.index.patches[pixel_km]
    reference = PatchMap(
        vectors=level.vectors,
        frames=frames(level.vectors),
        tree=level.point_tree,
        table=table,
        pixel_rad=pixel_km / EARTH_RADIUS_KM,
    )
    small = view.image.camera(view.lens)
    photos: list[tuple[PatchPhoto, FloatArray]] = []
    found: list[tuple[Laid, int]] = []
    for nadir in nadirs:
        axes = level_axes(nadir)
        plane = ground_plane(view.image, small, axes, view.altitude_km, pixel_km)
        if plane is not None:
            photo, laid = patches_of(plane, table)
            found += [(way, len(photos)) for way in lay(reference, photo, laid, PLACES_EACH)]
            photos.append((photo, axes))
    found.sort(key=lambda way: -way[0].log10_odds)
    tried = RANKS_LOG10 + np.log10(max(1, len(nadirs)))
    best = found[:FITTED]
    proposals: dict[int, Proposal] = {}
    for number, (photo, axes) in enumerate(photos):
        ranks = [rank for rank, (_, of) in enumerate(best) if of == number]
        ways = fitted(reference, photo, [best[rank][0] for rank in ranks])
        for rank, way in zip(ranks, ways, strict=True):
            # A scale of the level frame is a height
            camera = placed_camera(view.lens, axes, view.altitude_km * way.scale, way.rotation)
            odds = way.log10_odds - tried
            proposals[rank] = Proposal(camera=camera, log10_odds=odds)
    return [proposals[rank] for rank in range(len(best))]


def patches_of(plane: GroundPlane, table: PatchTable) -> tuple[PatchPhoto, NDArray[np.intp]]:
    """Patches around a photo's towns, and which of them are laid on the Earth."""
    lit = (plane.values / np.maximum(plane.weight, 0.1)).astype(np.float32)
    towns = find_towns(blurred(lit, SMOOTH_PX), plane.weight, PHOTO_PATCHES)
    values, weights = sampled(lit, plane.weight, towns.x, towns.y)
    vectors = plane.points(towns.x, towns.y)
    photo = PatchPhoto(
        vectors=vectors,
        frames=frames_along(vectors, plane.axes[0]),
        queries=asked(table, harmonics(values, weights)),
    )
    covered = weights.mean(axis=(1, 2))
    laid = np.flatnonzero(covered > LEAST_COVERED)[:LAID_PATCHES]
    return photo, laid if len(towns) >= FEWEST_PATCHES else laid[:0]


def frames_along(vectors: FloatArray, right: FloatArray) -> FloatArray:
    """Frames at unit vectors: right, up and outwards as columns, shape (n, 3, 3)."""
    first = right - vectors * (vectors @ right)[:, None]
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(vectors, first), vectors], axis=-1)
