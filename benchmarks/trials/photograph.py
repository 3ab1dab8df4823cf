"""Take the photograph of a trial, keeping what its parts contribute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import ImageArray
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.hardware import LIGHT_RGB, draw_foreground
from benchmarks.simulate.light_map import lamp_planes
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.render import CLOUD_RGB, GLOW_KM, LAMP_RGB, cabin_reflection, expose
from benchmarks.simulate.weather import (
    ViewGrid,
    aurora_light,
    boat_light,
    cloud_depth,
    flare_light,
    limb_light,
    star_light,
    storm_light,
    view_grid,
)
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.shot import Conditions, Shot

OPAQUE_DEPTH = 4.0  # layers thicker than this hide what is below them


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A picture and what it is made of, on its own pixels."""

    picture: NDArray[np.uint8]  # shape (height, width, 3)
    # Shape (height, width): Light of the world's lamps behind cloud, air and hardware, before the
    # lens blurs it; share of what fills the sensor, mean of red, green and blue.
    lamps: ImageArray
    veil: ImageArray  # shape (height, width): All other light, likewise
    opaque: ImageArray  # shape (height, width): Optical depth of the opaque clouds
    cover: ImageArray  # shape (height, width): 1 where hardware stands in front


def take_photograph(
    shot: Shot, world: SeenWorld | None, conditions: Conditions, sky: ImageArray | None = None
) -> Photograph:
    """Render the stored picture of a shot; the same for the same arguments.

    ``sky`` is starlight, nW cm^-2 sr^-1, in place of invented stars.
    """
    camera, scene = shot.camera, conditions.scene
    rng = np.random.default_rng([scene.seed, 9])
    width, height = camera.width_px, camera.height_px
    view = view_grid(camera)
    lamps = _lamp_light(camera, world, conditions)
    perigee_m = view.full_size(view.perigee_m, width, height)
    veil = np.zeros((3, height, width), np.float32)
    veil += np.float32(scene.ground_nw) * (perigee_m < 0.0)
    veil += boat_light(camera, scene.boats, rng)
    veil += flare_light(camera, conditions.flares, rng)
    opaque = _cover_with_clouds(lamps, veil, camera, conditions, view, rng)
    veil += storm_light(camera, scene.lightning_nw, rng)
    if float(np.nanmax(view.perigee_m)) > -50_000.0:
        veil += limb_light(perigee_m, scene.airglow_nw)
        invented = star_light(camera, perigee_m, scene.stars_per_square_degree, rng)
        veil += invented if sky is None else sky
    if conditions.aurora is not None:
        band = aurora_light(camera, conditions.aurora, view.x, view.y)
        veil += np.stack([view.full_size(plane.astype(float), width, height) for plane in band])
    cover = _put_hardware_in_front(lamps, veil, conditions)
    veil += cabin_reflection(rng, width, height, scene.reflection_nw)
    falloff = _falloff(shot, scene.vignetting)
    unit = falloff / np.float32(scene.saturation_nw)
    lamp_level, veil_level = lamps.mean(axis=0) * unit, veil.mean(axis=0) * unit
    picture = expose(lamps + veil, scene, rng, falloff)
    return Photograph(
        picture=picture, lamps=lamp_level, veil=veil_level, opaque=opaque, cover=cover
    )


def _lamp_light(
    camera: SimCamera, world: SeenWorld | None, conditions: Conditions
) -> NDArray[np.float32]:
    """Lamps of the world in clear air, RGB, nW cm^-2 sr^-1."""
    light = np.zeros((3, camera.height_px, camera.width_px), np.float32)
    if world is None:
        return light
    scene = conditions.scene
    planes = lamp_planes(
        camera,
        world,
        conditions.lights,
        extinction=scene.extinction,
        side_light=scene.side_light,
        most_lamps=scene.most_lamps,
    )
    for channel in range(3):
        for kind in range(3):
            light[channel] += np.float32(LAMP_RGB[kind, channel]) * planes[kind]
    return light


def _cover_with_clouds(
    lamps: ImageArray,
    veil: ImageArray,
    camera: SimCamera,
    conditions: Conditions,
    view: ViewGrid,
    rng: np.random.Generator,
) -> ImageArray:
    """Dim what lies below the clouds and add their tops and glow to the veil, in place."""
    width, height = camera.width_px, camera.height_px
    glow_px = GLOW_KM * camera.focal_px / (camera.height_m / 1000.0)
    opaque = np.zeros((height, width), np.float32)
    for layer in conditions.scene.clouds:
        depth = view.full_size(cloud_depth(layer, view, rng), width, height)
        if layer.optical_depth > OPAQUE_DEPTH:
            opaque += depth
        clear = np.exp(-depth)
        # Reflectance of a thick non-absorbing cloud grows as depth / (depth + 7).
        white = depth / (depth + np.float32(7.0)) * np.float32(2.0 * layer.brightness_nw)
        for channel in range(3):
            # Thick cloud lets a tenth of the light of the towns below through, spread widely.
            glow = (1.0 - clear) * np.float32(0.10) * blur_image(lamps[channel], glow_px)
            lamps[channel] *= clear
            veil[channel] *= clear
            veil[channel] += white * np.float32(CLOUD_RGB[channel]) + glow
    return opaque


def _put_hardware_in_front(
    lamps: ImageArray, veil: ImageArray, conditions: Conditions
) -> ImageArray:
    """Hide what is behind the station's parts, in place; return how far each pixel is hidden."""
    _, height, width = lamps.shape
    if conditions.hardware is None:
        return np.zeros((height, width), np.float32)
    front = draw_foreground(conditions.hardware, width, height)
    colour = LIGHT_RGB[conditions.hardware.lit_by]
    for channel in range(3):
        lamps[channel] *= 1.0 - front.cover
        veil[channel] *= 1.0 - front.cover
        veil[channel] += front.light * np.float32(colour[channel] * conditions.scene.saturation_nw)
    return front.cover


def _falloff(shot: Shot, loss: float) -> ImageArray:
    """The lens's loss of light about the place of its axis in the stored picture."""
    camera = shot.camera
    axis_x = camera.principal_x
    if camera.mirrored:
        axis_x = camera.width_px - 1 - axis_x
    x = np.arange(camera.width_px, dtype=np.float32) - np.float32(axis_x)
    y = np.arange(camera.height_px, dtype=np.float32) - np.float32(camera.principal_y)
    corner_sq = (shot.whole.width_px**2 + shot.whole.height_px**2) / 4.0
    away = (x[None, :] ** 2 + y[:, None] ** 2) / np.float32(corner_sq)
    return np.asarray(1.0 - loss * away, dtype=np.float32)
