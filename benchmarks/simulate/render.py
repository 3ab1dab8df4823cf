"""The photograph: light in, stored picture out."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.simulate.lamp_image import lamp_planes
from benchmarks.simulate.lamps import Realisation, World
from benchmarks.simulate.noise_field import blurred
from benchmarks.simulate.scene import SceneParameters
from benchmarks.simulate.sensor import expose, window_reflection
from benchmarks.simulate.sim_camera import SimCamera
from benchmarks.simulate.transients import boat_light, flash_light
from benchmarks.simulate.weather import ViewGrid, cloud_depth, limb_light, star_light, view_grid

ImageArray = NDArray[np.float32]

# Colours of SODIUM, WARM_WHITE and COLD_WHITE lamps as a camera balanced for daylight sees them.
LAMP_RGB = np.array([[1.75, 0.95, 0.30], [1.30, 1.02, 0.68], [0.92, 1.03, 1.05]])
CLOUD_RGB = np.array([0.95, 1.0, 1.08])  # moonlight
GLOW_KM = 6.0  # clouds spread the light of the town below over about this far


def render(
    camera: SimCamera, world: World | None, realisation: Realisation, scene: SceneParameters
) -> NDArray[np.uint8]:
    """Take a photograph.

    Parameters
    ----------
    camera : SimCamera
    world : World or None
        None leaves the ground dark.
    realisation : Realisation
        Which state of the lights.
    scene : SceneParameters

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        RGB; the same for the same arguments.
    """
    rng = np.random.default_rng([scene.seed, 2])
    view = view_grid(camera)
    light = scene_light(camera, world, realisation, scene, view, rng)
    light += window_reflection(rng, camera.width_px, camera.height_px, scene.reflection_nw)
    return expose(light, scene, rng)


def scene_light(
    camera: SimCamera,
    world: World | None,
    realisation: Realisation,
    scene: SceneParameters,
    view: ViewGrid,
    rng: np.random.Generator,
) -> ImageArray:
    """Light that enters the lens, RGB in nW cm^-2 sr^-1, shape (3, height, width)."""
    width, height = camera.width_px, camera.height_px
    perigee_m = view.full_size(view.perigee_m, width, height)
    light = np.zeros((3, height, width), np.float32)
    if world is not None:
        planes = lamp_planes(
            camera,
            world,
            realisation,
            extinction=scene.extinction,
            side_light=scene.side_light,
            most_lamps=scene.most_lamps,
        )
        for channel in range(3):
            for kind in range(3):
                light[channel] += np.float32(LAMP_RGB[kind, channel]) * planes[kind]
    light += np.float32(scene.ground_nw) * (perigee_m < 0.0)
    light += boat_light(camera, scene.boats, rng)
    _cover_with_clouds(light, camera, scene, view, rng)
    light += flash_light(camera, scene.lightning_nw, rng)
    light += limb_light(perigee_m, scene.airglow_nw) * np.float32(_limb_weight(view))
    light += star_light(camera, perigee_m, scene.stars_per_square_degree, rng)
    return light


def _limb_weight(view: ViewGrid) -> float:
    """Airglow over the ground matters only where the limb is in the picture."""
    return 1.0 if np.nanmax(view.perigee_m) > -50_000.0 else 0.0


def _cover_with_clouds(
    light: ImageArray,
    camera: SimCamera,
    scene: SceneParameters,
    view: ViewGrid,
    rng: np.random.Generator,
) -> None:
    """Dim the lights below clouds, spread a part of them, and add the moonlit tops; in place."""
    ground_px_per_km = camera.focal_px / (camera.height_m / 1000.0)
    for layer in scene.clouds:
        depth = view.full_size(cloud_depth(layer, view, rng), camera.width_px, camera.height_px)
        clear = np.exp(-depth)
        # Reflectance of a thick non-absorbing cloud grows as depth / (depth + 7).
        white = depth / (depth + np.float32(7.0)) * np.float32(2.0 * layer.brightness_nw)
        for channel in range(3):
            spread = blurred(light[channel], GLOW_KM * ground_px_per_km)
            # Thick cloud lets a tenth of the light of the towns below through, spread widely.
            light[channel] *= clear
            light[channel] += (1.0 - clear) * np.float32(0.10) * spread
            light[channel] += white * np.float32(CLOUD_RGB[channel])


def to_jpeg(picture: NDArray[np.uint8], quality: int, exif: bytes = b"") -> bytes:
    """Encode a picture as a JPEG with fixed settings (4:2:0, baseline, standard tables)."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(
        buffer, "JPEG", quality=quality, subsampling=2, optimize=False, progressive=False, exif=exif
    )
    return buffer.getvalue()
