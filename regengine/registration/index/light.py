"""Cameras that the light around a photo's light peaks speaks for, looked up in an index."""

from __future__ import annotations

import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.lights.level_ground import ground_plane, level_axes, placed_camera
from matchers.lights.photo_light import LightImage
from matchers.lights.polar_patches import (
    Laid,
    PatchMap,
    PatchPhoto,
    asked,
    blurred,
    fitted,
    harmonics,
    lay,
    sampled,
)
from matchers.lights.verify import find_light_peaks
from matchers.points.asterisms import frames
from regengine.registration.index.earth import EarthIndex
from regengine.registration.parameters import IndexParams


def look_up_light(
    index: EarthIndex,
    level_km: float,
    image: LightImage,
    lens: Camera,
    altitude_km: float,
    nadirs: FloatArray,
    params: IndexParams,
    *,
    is_earth: bool,
) -> list[tuple[float, Camera]]:
    """Cameras of a photo that is not mirrored, for some directions of the nadir, and their odds.

    Patches of light around the strongest peaks of the photo, drawn on its ground, are laid on the
    places of the index that look alike; the other patches weigh each way.
    """
    level = index[level_km]
    reference = PatchMap(
        vectors=level.vectors,
        frames=frames(level.vectors),
        tree=level.tree,
        table=level.patches,
        pixel_rad=level_km / EARTH_RADIUS_KM,
    )
    n_laid, n_places = params.light_earth if is_earth else params.light_near
    small = image.camera(lens)
    photos: list[tuple[PatchPhoto, FloatArray]] = []
    ways: list[tuple[Laid, int]] = []
    for nadir in nadirs:
        axes = level_axes(nadir)
        plane = ground_plane(image, small, axes, altitude_km, level_km)
        if plane is not None:
            lit = (plane.values / np.maximum(plane.weight, 0.1)).astype(np.float32)
            smooth = blurred(lit, params.light_smooth_px)
            peaks = find_light_peaks(smooth, plane.weight, params.n_patches)
            values, weights = sampled(lit, plane.weight, peaks.x, peaks.y)
            vectors = plane.points(peaks.x, peaks.y)
            # Frames: the plane's right as far as it is level, up and outwards
            right = plane.axes[0] - vectors * (vectors @ plane.axes[0])[:, None]
            right /= np.linalg.norm(right, axis=1, keepdims=True)
            photo = PatchPhoto(
                vectors=vectors,
                frames=np.stack([right, np.cross(vectors, right), vectors], axis=-1),
                queries=asked(level.patches, harmonics(values, weights)),
            )
            # Those whose rings lie within the photo for the most part
            laid = np.flatnonzero(weights.mean(axis=(1, 2)) > 0.5)[:n_laid]
            if len(peaks) < params.min_patches:
                laid = laid[:0]
            ways += [(way, len(photos)) for way in lay(reference, photo, laid, n_places)]
            photos.append((photo, axes))
    ways.sort(key=lambda way: -way[0].log10_odds)
    best = ways[: params.n_light_fitted]
    found: list[tuple[float, Camera]] = []
    for number, (photo, axes) in enumerate(photos):
        for way in fitted(reference, photo, [way for way, of in best if of == number]):
            # A scale of the level frame is a height
            camera = placed_camera(lens, axes, altitude_km * way.scale, way.rotation)
            found.append((way.log10_odds, camera))
    return found
