"""Cameras that the light around a photo's towns speaks for, anywhere on Earth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from matchers.asterisms import frames
from matchers.camera import Camera
from matchers.level_ground import (
    EARTH_RADIUS_KM,
    GroundPlane,
    ground_plane,
    level_axes,
    placed_camera,
)
from matchers.photo_light import LightImage
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
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.propose_asterisms import (
    ALTITUDE_KM,
    Proposal,
    field_straight_down_km,
    propose_levelled,
    smoothed,
    suitable_levels,
)
from regengine.registration.blind.tilts import FAR_LIGHT_RINGS, FAR_RINGS, far_nadirs, stretch

FloatArray = NDArray[np.float64]

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


def propose_dense(
    index: EarthIndex,
    pixel_km: float,
    image: LightImage,
    stored: Camera,
    nadirs: Sequence[FloatArray],
) -> list[Proposal]:
    """Cameras for some directions of the nadir."""
    level, table = index.levels[pixel_km], index.patches[pixel_km]
    reference = PatchMap(
        vectors=level.vectors,
        frames=frames(level.vectors),
        tree=level.point_tree,
        table=table,
        pixel_rad=pixel_km / EARTH_RADIUS_KM,
    )
    small = image.camera(stored)
    found: list[tuple[Laid, PatchPhoto, FloatArray]] = []
    for nadir in nadirs:
        axes = level_axes(nadir)
        plane = ground_plane(image, small, axes, ALTITUDE_KM, pixel_km)
        if plane is not None:
            photo, laid = patches_of(plane, table)
            found += [(way, photo, axes) for way in lay(reference, photo, laid, PLACES_EACH)]
    found.sort(key=lambda way: -way[0].log10_odds)
    tried = RANKS_LOG10 + np.log10(max(1, len(nadirs)))
    proposals = []
    for rough, photo, axes in found[:FITTED]:
        way = fitted(reference, photo, rough)
        # A scale of the level frame is a height
        camera = placed_camera(stored, axes, ALTITUDE_KM * way.scale, way.rotation)
        proposals.append(Proposal(camera=camera, log10_odds=way.log10_odds - tried, towns=way.met))
    return proposals


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


# Cameras for far tilts, at which a picture must be drawn as a map before it is compared.


def far_figures(
    index: EarthIndex,
    image: LightImage,
    lens: Camera,
    pixel_km: float,
    ways: list[FloatArray],
) -> list[Proposal]:
    """Cameras that figures of towns speak for, the picture drawn as a map for each direction."""
    smooth = smoothed(image)
    return [
        proposal
        for nadir in ways
        for proposal in propose_levelled(
            index, pixel_km, smooth, lens, nadir, ALTITUDE_KM, of_limb=False
        )
    ]


def far_out(
    index: EarthIndex, image: LightImage, stored: Camera, upright: bool
) -> Iterator[list[Proposal]]:
    """Try figures in all far rings, each at the level that suits it; upright as in `far_nadirs`."""
    for off_nadir_deg, count in FAR_RINGS:
        stretched = stretch(off_nadir_deg, ALTITUDE_KM)
        ways = far_nadirs(off_nadir_deg, count, upright)
        for pixel_km in suitable_levels(stored, index.levels, stretched)[:1]:
            yield far_figures(index, image, stored, pixel_km, ways)


def far_light(
    index: EarthIndex, image: LightImage, stored: Camera, upright: bool, finer: int
) -> list[Proposal]:
    """Cameras that light around towns speaks for, in all far rings."""
    found = []
    for off_nadir_deg, count in FAR_LIGHT_RINGS:
        levels = dense_levels(stored, list(index.levels), stretch(off_nadir_deg, ALTITUDE_KM))
        ways = far_nadirs(off_nadir_deg, count, upright)
        for pixel_km in levels[finer : finer + 1]:
            found += propose_dense(index, pixel_km, image, stored, ways)
    return found
