"""Take the photograph of a trial, and count how much of it a map could be recognised by."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import ImageArray
from benchmarks.simulate.camera import SimCamera, ecef_of
from benchmarks.simulate.hardware import LIGHT_RGB, draw_foreground
from benchmarks.simulate.light_map import upward_share
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.render import (
    CLOUD_RGB,
    GLOW_KM,
    cabin_reflection,
    expose,
    lamp_light,
    to_srgb,
)
from benchmarks.simulate.weather import (
    SceneParameters,
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
from benchmarks.simulate.worlds import Clusters
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.shot import Conditions, Shot
from detectors.types import FloatArray

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


def take_photograph(shot: Shot, world: SeenWorld | None, conditions: Conditions) -> Photograph:
    """Render the stored picture of a shot; the same for the same arguments."""
    camera, scene = shot.camera, conditions.scene
    rng = np.random.default_rng([scene.seed, 9])
    width, height = camera.width_px, camera.height_px
    view = view_grid(camera)
    lamps = lamp_light(camera, world, conditions.lights, scene)
    perigee_m = view.full_size(view.perigee_m, width, height)
    veil = np.zeros((3, height, width), np.float32)
    veil += np.float32(scene.ground_nw) * (perigee_m < 0.0)
    veil += boat_light(camera, scene.boats, rng)
    veil += flare_light(camera, conditions.flares, rng)
    opaque = _cover_with_clouds(lamps, veil, camera, conditions, view, rng)
    veil += storm_light(camera, scene.lightning_nw, rng)
    if float(np.nanmax(view.perigee_m)) > -50_000.0:
        veil += limb_light(perigee_m, scene.airglow_nw)
        veil += star_light(camera, perigee_m, scene.stars_per_square_degree, rng)
    if conditions.aurora is not None:
        band = aurora_light(camera, conditions.aurora, view.x, view.y)
        veil += np.stack([view.full_size(plane.astype(float), width, height) for plane in band])
    cover = _put_hardware_in_front(lamps, veil, conditions)
    veil += cabin_reflection(rng, width, height, scene.reflection_nw)
    falloff = _falloff(shot, scene.vignetting)
    unit = falloff / np.float32(scene.saturation_nw)
    return Photograph(
        picture=expose(lamps + veil, scene, rng, falloff),
        lamps=lamps.mean(axis=0) * unit,
        veil=veil.mean(axis=0) * unit,
        opaque=opaque,
        cover=cover,
    )


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


MIN_SIGMA = 5.0
MIN_MAP_PIXELS = 4.0  # from a brighter place
MAX_INCIDENCE_DEG = 80.0
MAX_DEPTH = 1.5  # of opaque cloud over a place: a fifth of its light gets through
MAX_COVER = 0.5
METRES_PER_DEGREE = 111_200.0


@dataclass(frozen=True, kw_only=True)
class Places:
    """Separable lit places of a photograph, brightest first."""

    # x and y: shape (n,): Pixels
    x: FloatArray
    y: FloatArray
    # lon and lat: shape (n,): Ground, degrees
    lon: FloatArray
    lat: FloatArray

    def __len__(self) -> int:
        return len(self.x)


def separable_places(
    camera: SimCamera,
    mapped: Clusters,
    map_step_deg: float,
    photograph: Photograph,
    scene: SceneParameters,
) -> Places:
    """Peaks of the map that the photograph shows above its noise.

    The map is seen through the true camera and blurred to the coarser of its own and the photo's
    resolution. A place counts if it is at least four map pixels from any brighter one, seen at
    less than 80 degrees of incidence, not under opaque cloud, not behind hardware, and if the
    light of lamps there, averaged over a map pixel where that is the coarser, exceeds five sigma
    of the noise of that average: photons of all light there, read noise, and what the file's
    grey levels and its compression take away.
    """
    if not len(mapped.key):
        return Places(**dict.fromkeys(("x", "y", "lon", "lat"), np.zeros(0)))
    image, spread = _map_image(camera, mapped, map_step_deg)
    row, col, brightness = _peaks(image, spread)
    lon, lat, _ = camera.ground(col, row)
    seen = np.isfinite(lon)
    row, col, brightness = row[seen], col[seen], brightness[seen]
    lon, lat = lon[seen], lat[seen]
    cosine = camera.project(lon, lat)[3]
    good = cosine > np.cos(np.radians(MAX_INCIDENCE_DEG))
    good &= photograph.opaque[row, col] < MAX_DEPTH
    good &= photograph.cover[row, col] < MAX_COVER
    good &= signal_to_noise(photograph, scene, spread)[row, col] > MIN_SIGMA
    order = np.argsort(-brightness, kind="stable")
    apart = _apart(lon[order], lat[order], MIN_MAP_PIXELS * map_step_deg * METRES_PER_DEGREE)
    kept = order[apart & good[order]]
    x, y = (side[kept].astype(float) for side in (col, row))
    return Places(x=x, y=y, lon=lon[kept], lat=lat[kept])


def _map_image(
    camera: SimCamera, mapped: Clusters, step_deg: float
) -> tuple[ImageArray, ImageArray]:
    """The map seen by the camera, sharp, and how many pixels a map pixel spans at each place."""
    x, y, distance, cosine = camera.project(mapped.lon, mapped.lat)
    column, row = np.round(x), np.round(y)
    inside = (column >= 0) & (column < camera.width_px) & (row >= 0) & (row < camera.height_px)
    index = (row[inside] * camera.width_px + column[inside]).astype(np.int64)
    light = mapped.power[inside] * (camera.focal_px / (distance[inside] / 1000.0)) ** 2
    light *= upward_share(cosine[inside], 0.25, 0.4)
    shape = (camera.height_px, camera.width_px)
    image = np.bincount(index, weights=light, minlength=shape[0] * shape[1]).reshape(shape)
    return image.astype(np.float32), _pixels_per_map_pixel(camera, step_deg)


def _pixels_per_map_pixel(camera: SimCamera, step_deg: float) -> ImageArray:
    """Side of a map pixel's picture (root of its area), pixels; 0 for the sky."""
    x, y = np.meshgrid(
        np.linspace(0, camera.width_px - 1, 48), np.linspace(0, camera.height_px - 1, 32)
    )
    lon, lat, distance = camera.ground(x, y)
    cosine = np.full(lon.shape, np.nan)
    seen = np.isfinite(lon)
    cosine[seen] = camera.project(lon[seen], lat[seen])[3]
    side_m = step_deg * METRES_PER_DEGREE * np.sqrt(np.cos(np.radians(lat)))
    pixels = side_m * camera.focal_px / distance * np.sqrt(np.maximum(cosine, 0.0))
    small = np.nan_to_num(pixels).astype(np.float32)
    size = camera.width_px, camera.height_px
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _peaks(
    image: ImageArray, spread: ImageArray
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """Row, column and brightness of local maxima, each at the blur that fits its place."""
    # A box of n pixels has the variance of a Gaussian of n / sqrt(12); twice that joins the
    # pixels of a map that stand apart in a fine photo into one surface.
    sigma = np.maximum(2.0 * spread / np.sqrt(12.0), 0.7)
    level = np.round(2.0 * np.log2(sigma)).astype(np.int64)
    found = []
    for number in np.unique(level[spread > 0.0]):
        # At full resolution: peaks must not move to the grid of a reduced copy
        sigma_px = float(2.0 ** (number / 2.0))
        smooth = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT)
        top = cv2.dilate(smooth, np.ones((3, 3), np.uint8))
        row, col = np.nonzero((smooth >= top) & (level == number) & (smooth > 0.0) & (spread > 0))
        found.append((row, col, smooth[row, col].astype(float)))
    found.append((np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)))
    rows, cols, brightness = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows, cols, brightness


def signal_to_noise(
    photograph: Photograph, scene: SceneParameters, spread: ImageArray
) -> ImageArray:
    """Light of lamps over its noise, both averaged over the coarser of a map and a photo pixel."""
    lamps = blur_image(photograph.lamps, scene.psf_sigma_px)
    veil = blur_image(photograph.veil, scene.psf_sigma_px)
    # Where all else already fills the sensor, lamps add nothing.
    signal = np.minimum(lamps, np.clip(1.0 - veil, 0.0, 1.0))
    variance = np.minimum(lamps + veil, 1.0) / np.float32(scene.full_well_electrons)
    variance += np.float32((scene.read_noise_electrons / scene.full_well_electrons) ** 2)
    grey = _light_of_grey_level(veil, scene.tone_contrast)
    result = np.zeros_like(signal)
    size_of = np.round(np.log2(np.maximum(spread, 1.0))).astype(np.int64)
    for number in np.unique(size_of):  # averages over squares, of about the local size
        size = int(2**number)
        mean_signal = cv2.blur(signal, (size, size))
        noise_sq = cv2.blur(variance, (size, size)) / np.float32(size**2)
        noise_sq += (grey * np.float32(_file_sigma(scene, size))) ** 2
        here = size_of == number
        result[here] = (mean_signal / np.sqrt(noise_sq))[here]
    return result


def _file_sigma(scene: SceneParameters, size_px: int) -> float:
    """Grey levels below a fifth of which a spot of a size is lost in the file.

    A spot of amplitude A and s pixels' side has cosine coefficients of about A s^2 / 8 in its
    block of 8 x 8; they are kept if one exceeds half a step q of the file's table (16 at quality
    50 for low frequencies), A > 4 q / s^2, and a spot is no smaller than the lens's blur. Five
    sigma are that, or one and a half grey levels.
    """
    step = 16.0 * (200.0 - 2.0 * scene.jpeg_quality) / 100.0
    side = float(np.clip(max(size_px, 2.5 * scene.psf_sigma_px), 1.0, 8.0))
    return max(0.8 * step / side**2, 1.0 / np.sqrt(12.0))


def _light_of_grey_level(level: ImageArray, contrast: float) -> ImageArray:
    """How much linear light one grey level of the file is, at a level of linear light."""
    table = np.linspace(0.0, 1.0, 4096) ** 2
    curve = to_srgb(table)
    bent = 255.0 * (curve - contrast * np.sin(2.0 * np.pi * curve) / (2.0 * np.pi))
    slope = np.gradient(table, bent)
    return np.asarray(np.interp(level, table, slope), dtype=np.float32)


def _apart(lon: FloatArray, lat: FloatArray, least_m: float) -> NDArray[np.bool_]:
    """Which places, brightest first, have no brighter place nearer than so many metres."""
    from scipy.spatial import cKDTree

    if not len(lon):
        return np.zeros(0, bool)
    ground = ecef_of(lon, lat)
    tree = cKDTree(ground)
    apart = np.ones(len(lon), bool)
    for one, other in tree.query_pairs(least_m, output_type="ndarray"):
        apart[max(one, other)] = False
    return apart
