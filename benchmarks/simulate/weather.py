"""What lies between the lights and the camera: clouds, aurora, storms, limb, stars, flares."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.camera import SimCamera, ecef_of, wgs84
from benchmarks.simulate.noise import GroundNoise, blur_image, fractal_tile


@dataclass(frozen=True, kw_only=True)
class CloudLayer:
    """A layer of cloud."""

    coverage: float = 0.3  # share of the visible ground that it touches, 0 to 1
    # In its thickest parts, seen from straight above: 8 hides the lights, 0.7 is a veil
    optical_depth: float = 8.0
    brightness_nw: float = 4.0  # of its moonlit top, nW cm^-2 sr^-1
    scale_km: float = 250.0  # size of its largest features


@dataclass(frozen=True, kw_only=True)
class SceneParameters:
    """What the air, the lens, the sensor and the file do to the light."""

    seed: int = 0  # of clouds, stars and noise
    saturation_nw: float = 150.0  # radiance that fills the sensor, nW cm^-2 sr^-1
    # full_well_electrons and read_noise_electrons: of one pixel of the stored picture, at the ISO
    # used
    full_well_electrons: float = 6000.0
    read_noise_electrons: float = 12.0
    ground_nw: float = 0.15  # radiance of moonlit land; the sea has a third of it.
    extinction: float = 0.25  # optical depth of clear air towards the zenith
    side_light: float = 0.4  # how much less a lamp sends to the horizon than to the zenith, 0 to 1
    psf_sigma_px: float = 0.8  # defocus and lens blur
    # motion_px and motion_deg: length and direction of the smear
    motion_px: float = 0.0
    motion_deg: float = 0.0
    # halo_share and halo_sigma_px: light that the lens and the air spread widely
    halo_share: float = 0.06
    halo_sigma_px: float = 12.0
    bloom_share: float = 0.03  # share of the light above saturation that spills to the neighbours
    clouds: tuple[CloudLayer, ...] = field(default=())
    boats: int = 0  # fishing boats, which no map knows
    lightning_nw: float = 0.0  # brightness of a thundercloud lit from within; 0 for none.
    airglow_nw: float = 6.0  # brightness of the airglow layer at the limb
    stars_per_square_degree: float = 0.6  # visible ones
    vignetting: float = 0.25  # loss of light in the corners, 0 to 1
    reflection_nw: float = 0.0  # brightness of lamps of the cabin mirrored in the window
    hot_pixels: float = 5e-6  # share of the pixels
    tone_contrast: float = 0.15  # of the camera's picture style on top of sRGB; 0 is plain sRGB.
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # gains of red, green and blue
    jpeg_quality: int = 90
    most_lamps: int = 2_000_000  # rough bound on the lamps drawn: fewer is faster and grainier


BOAT_RGB = (0.80, 1.05, 1.10)  # metal-halide lamps over the water
BOAT_POWER = 2.0  # nW cm^-2 sr^-1 km^2, as a village
FLEET_KM = 15.0
FLARE_RGB = (1.9, 0.9, 0.25)  # a flame of 1,800 K
FLARE_POWER = 15.0  # nW cm^-2 sr^-1 km^2, as a small town out of one point
FIELD_KM = 40.0
FLASH_RGB = (0.85, 0.90, 1.20)
FLASH_KM = 25.0  # a thundercloud lit from within


def boat_light(camera: SimCamera, boats: int, rng: np.random.Generator) -> ImageArray:
    """Fishing boats in up to three fleets anywhere on the visible ground."""
    if boats <= 0:
        return np.zeros((3, camera.height_px, camera.width_px), np.float32)
    fleet = rng.integers(0, 3, boats)
    centre_x = rng.uniform(0, camera.width_px, 3)[fleet]
    centre_y = rng.uniform(0, camera.height_px, 3)[fleet]
    spread_px = _spread_px(camera, FLEET_KM)
    x = centre_x + spread_px * rng.standard_normal(boats)
    y = centre_y + spread_px * rng.standard_normal(boats)
    return _points(camera, x, y, BOAT_POWER * rng.exponential(1.0, boats), BOAT_RGB)


def flare_light(camera: SimCamera, flares: int, rng: np.random.Generator) -> ImageArray:
    """Gas flares in one field on the visible ground, RGB as above."""
    if flares <= 0:
        return np.zeros((3, camera.height_px, camera.width_px), np.float32)
    spread_px = _spread_px(camera, FIELD_KM)
    x = rng.uniform(0, camera.width_px) + spread_px * rng.standard_normal(flares)
    y = rng.uniform(0, camera.height_px) + spread_px * rng.standard_normal(flares)
    power = FLARE_POWER * np.exp(0.8 * rng.standard_normal(flares))
    return _points(camera, x, y, power, FLARE_RGB)


def _spread_px(camera: SimCamera, km: float) -> float:
    return km / (camera.height_m / 1000.0 / camera.focal_px)


def _points(
    camera: SimCamera,
    x: FloatArray,
    y: FloatArray,
    power: FloatArray,
    rgb: tuple[float, float, float],
) -> ImageArray:
    """Light of single lamps at places in the image; those on the sky or outside have none."""
    height, width = camera.height_px, camera.width_px
    light = np.zeros((3, height, width), np.float32)
    _, _, distance_m = camera.ground(x, y)
    strength = power * (camera.focal_px / (distance_m / 1000.0)) ** 2
    column, row = np.round(x).astype(int), np.round(y).astype(int)
    seen = np.isfinite(distance_m) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    for channel in range(3):
        added = (rgb[channel] * strength[seen]).astype(np.float32)
        np.add.at(light[channel], (row[seen], column[seen]), added)
    return light


@dataclass(frozen=True, kw_only=True)
class ViewGrid:
    """What a coarse grid of pixels sees; brought to full size by bilinear interpolation."""

    # x and y: shape (rows, cols): Pixels of the grid
    x: FloatArray
    y: FloatArray
    # lon and lat: shape (rows, cols): Ground, degrees; NaN for the sky.
    lon: FloatArray
    lat: FloatArray
    # Shape (rows, cols): Of the angle between the ground's vertical and the camera; NaN for the
    # sky.
    cosine: FloatArray
    perigee_m: FloatArray  # shape (rows, cols): Least height along the sight; below 0 for ground.

    def full_size(self, values: FloatArray, width: int, height: int) -> ImageArray:
        """Bilinear interpolation of values on the grid, shape (height, width)."""
        step_x, step_y = self.x[0, 1] - self.x[0, 0], self.y[1, 0] - self.y[0, 0]
        column = (np.arange(width, dtype=np.float32) - self.x[0, 0]) / step_x
        row = (np.arange(height, dtype=np.float32) - self.y[0, 0]) / step_y
        map_x, map_y = np.meshgrid(column.astype(np.float32), row.astype(np.float32))
        return np.asarray(
            cv2.remap(values.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR), dtype=np.float32
        )


def view_grid(camera: SimCamera) -> ViewGrid:
    """Ground and sky on about 30,000 pixels, evenly spaced and covering the picture."""
    aspect = camera.width_px / camera.height_px
    cols = max(int(np.sqrt(30_000 * aspect)), 2)
    rows = max(int(np.sqrt(30_000 / aspect)), 2)
    x, y = np.meshgrid(
        np.linspace(-0.5, camera.width_px - 0.5, cols),
        np.linspace(-0.5, camera.height_px - 0.5, rows),
    )
    lon, lat, _ = camera.ground(x, y)
    seen = np.isfinite(lon)
    cosine = np.full(lon.shape, np.nan)
    cosine[seen] = camera.project(lon[seen], lat[seen])[3]
    return ViewGrid(x=x, y=y, lon=lon, lat=lat, cosine=cosine, perigee_m=camera.perigee_m(x, y))


@lru_cache(maxsize=2)
def _cloud_tile(variant: int) -> NDArray[np.float32]:
    return fractal_tile(np.random.default_rng([77, variant]), 1024, 1.55)


def cloud_depth(layer: CloudLayer, view: ViewGrid, rng: np.random.Generator) -> FloatArray:
    """Optical depth of a cloud layer along the sight, on the view's grid."""
    ground = np.isfinite(view.lon)
    noise = GroundNoise(
        tile=_cloud_tile(int(rng.integers(2))),
        spacing_km=layer.scale_km / 250.0,
        lat0_deg=float(view.lat[ground].mean()) if ground.any() else 0.0,
        turn_deg=float(rng.uniform(0.0, 360.0)),
    )
    offset = rng.uniform(-20.0, 20.0, 2)
    if not ground.any() or layer.coverage <= 0.0:
        return np.zeros(view.lon.shape)
    value = noise.at(np.nan_to_num(view.lon) + offset[0], np.nan_to_num(view.lat) + offset[1])
    # The share is of the picture's ground; fields of cloud thicken from their edges inwards.
    threshold = np.quantile(value[ground], 1.0 - min(layer.coverage, 1.0))
    thick = np.clip((value - threshold) / 0.9, 0.0, 1.5)
    cosine = np.nan_to_num(view.cosine)
    # Near the horizon the grid is too coarse for clouds: they dissolve into haze.
    near = np.clip((cosine - 0.10) / 0.12, 0.0, 1.0)
    return np.asarray(layer.optical_depth * thick * near / np.clip(cosine, 0.3, 1.0))


def limb_light(perigee_m: ImageArray, airglow_nw: float) -> NDArray[np.float32]:
    """Light of the airglow and of the lit air at the limb, shape (3, height, width), RGB.

    The green layer of atomic oxygen lies near 95 km, a faint red one near 250 km.
    """
    height_km = perigee_m / 1000.0
    above = height_km > 0.0
    layer = np.exp(-0.5 * ((height_km - 93.0) / 5.0) ** 2)
    # Below its tangent height a thin shell is crossed twice, ever less obliquely.
    depth_km = np.maximum(93.0 - height_km, 0.0)
    below = 0.35 / np.sqrt(1.0 + depth_km / 3.0) * (height_km <= 93.0)
    # The far half of the shell is hidden where the ground ends the sight.
    green = airglow_nw * (layer + np.where(above, below, 0.5 * below))
    red = 0.12 * airglow_nw * np.exp(-0.5 * ((height_km - 230.0) / 70.0) ** 2) * above
    haze = 0.8 * airglow_nw * np.exp(-np.abs(height_km) / 9.0)
    colour = np.stack(
        [0.35 * green + red + 0.7 * haze, green + 0.6 * haze, 0.25 * green + 0.5 * haze]
    )
    return np.asarray(colour, dtype=np.float32)


def star_light(
    camera: SimCamera, perigee_m: ImageArray, per_square_degree: float, rng: np.random.Generator
) -> ImageArray:
    """Stars at random in the sky part of the picture, nW cm^-2 sr^-1, one pixel each."""
    height, width = perigee_m.shape
    square_degrees = height * width * np.degrees(1.0 / camera.focal_px) ** 2
    count = rng.poisson(per_square_degree * square_degrees)
    row, column = rng.integers(0, height, count), rng.integers(0, width, count)
    bright = 8.0 * (1.0 - rng.random(count)) ** -1.1  # ten times the stars at a tenth the light
    image = np.zeros((height, width), np.float32)
    np.add.at(image, (row, column), np.minimum(bright, 2000.0).astype(np.float32))
    image[perigee_m < 8_000.0] = 0.0
    return image


EARTH_RADIUS_M = 6_371_000.0
OVAL_RADIUS_DEG = 24.0  # of the auroral oval about its pole
HEIGHTS_KM = np.concatenate([np.arange(90.0, 150.0, 3.0), np.arange(150.0, 320.0, 9.0)])
# Atomic oxygen: green (558 nm) peaks near 110 km, red (630 nm) above 200; nitrogen's violet edge.
SHEET_KM = 40.0  # so much of a curtain's height shines at full brightness
GREEN_KM, RED_KM = (108.0, 25.0), (230.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class AuroraBand:
    """A part of the auroral oval ahead of the camera."""

    seed: int  # of its folds and rays
    azimuth_deg: float  # from the station to its nearest part
    distance_deg: float  # from the nadir to its nearest part, along the ground
    brightness_nw: float  # of a curtain seen edge on, nW cm^-2 sr^-1


def aurora_light(
    camera: SimCamera, band: AuroraBand, x: FloatArray, y: FloatArray
) -> NDArray[np.float32]:
    """Light of a band at pixels."""
    rng = np.random.default_rng([band.seed, 6])
    waves = rng.uniform(0.0, 2.0 * np.pi, 12)
    pole_lon, pole_lat, _ = wgs84().fwd(
        camera.lon_deg,
        camera.lat_deg,
        band.azimuth_deg,
        (band.distance_deg + OVAL_RADIUS_DEG) * np.pi / 180.0 * EARTH_RADIUS_M,
    )
    pole = _unit(ecef_of(pole_lon, pole_lat))
    origin = camera.position_ecef_m
    side = _unit(np.cross(pole, origin))
    front = np.cross(side, pole)
    rays = camera.rays(x, y)
    light = np.zeros((3, *x.shape), np.float32)
    for height_km, thick_km in zip(HEIGHTS_KM, np.gradient(HEIGHTS_KM), strict=True):
        green = np.exp(-0.5 * ((height_km - GREEN_KM[0]) / GREEN_KM[1]) ** 2)
        red = 0.35 * np.exp(-0.5 * ((height_km - RED_KM[0]) / RED_KM[1]) ** 2)
        for point in _crossings(origin, rays, EARTH_RADIUS_M + 1000.0 * height_km):
            curtain = _curtain(point, pole, side, front, waves)
            strength = band.brightness_nw * thick_km / SHEET_KM * curtain
            light[0] += (0.15 * green + red) * strength
            light[1] += (green + 0.1 * red) * strength
            light[2] += (0.35 * green + 0.25 * red) * strength
    return light


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def _crossings(
    origin_m: FloatArray, rays: FloatArray, radius_m: float
) -> tuple[FloatArray, FloatArray]:
    """Points where rays meet a sphere; NaN where they do not, or the Earth hides them."""
    nearest = -(rays @ origin_m)
    closest_sq = origin_m @ origin_m - nearest**2
    depth = np.sqrt(np.where(closest_sq < radius_m**2, radius_m**2 - closest_sq, np.nan))
    hits_ground = (closest_sq < EARTH_RADIUS_M**2) & (nearest > 0.0)
    near, far = nearest - depth, np.where(hits_ground, np.nan, nearest + depth)
    first, second = (
        origin_m + np.where(along > 0.0, along, np.nan)[..., None] * rays for along in (near, far)
    )
    return first, second


def _curtain(
    point: FloatArray, pole: FloatArray, side: FloatArray, front: FloatArray, waves: FloatArray
) -> FloatArray:
    """Brightness 0 to about 1 by the distance from the folded line of the oval."""
    unit = _unit(point)
    from_pole = np.degrees(np.arccos(np.clip(unit @ pole, -1.0, 1.0)))
    along = np.arctan2(unit @ side, unit @ front)
    folds = zip((1.0, 0.5, 0.25, 0.1), (5.0, 14.0, 37.0, 90.0), waves[:4], strict=True)
    line = OVAL_RADIUS_DEG + sum(size * np.sin(n * along + phase) for size, n, phase in folds)
    rays = 0.65 + 0.35 * np.sin(160.0 * along + 3.0 * np.sin(23.0 * along + waves[4]) + waves[5])
    gaps = np.clip(0.7 + 0.6 * np.sin(4.0 * along + waves[6]), 0.0, 1.0)
    away = from_pole - line
    # A sharp curtain, and a wide faint glow on its poleward side.
    shape = np.exp(-0.5 * (away / 0.22) ** 2) + 0.15 * np.exp(-0.5 * ((away + 1.5) / 1.5) ** 2)
    return np.nan_to_num(shape * rays * gaps)


def storm_light(
    camera: SimCamera, brightness_nw: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lightning somewhere on the visible ground, RGB, nW cm^-2 sr^-1, shape (3, height, width)."""
    height, width = camera.height_px, camera.width_px
    light = np.zeros((3, height, width), np.float32)
    x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
    lon, lat, distance_m = camera.ground(x, y)
    if brightness_nw <= 0.0 or not np.isfinite(lon):
        return light
    cosine = float(camera.project(lon, lat)[3])
    tall = FLASH_KM * 1000.0 * camera.focal_px / float(distance_m)
    # The cloud lies flat on a tilted ground; its light is spread over a patch of that ground.
    flat = max(cosine, 0.25)
    turn = float(rng.uniform(0.0, 180.0))
    spot = np.zeros((height, width), np.float32)
    for _ in range(8):
        jitter = 0.5 * tall * rng.standard_normal(2) * (1.0, flat)
        size = max(tall * float(rng.uniform(0.1, 0.45)), 1.0)
        centre = round(x + jitter[0]), round(y + jitter[1])
        axes = max(round(size), 1), max(round(size * flat), 1)
        cv2.ellipse(spot, centre, axes, turn, 0, 360, float(rng.uniform(0.2, 1.0)), -1)
    spot = blur_image(spot, max(0.18 * tall, 1.0))
    tile = fractal_tile(rng, 256, 1.3)
    reach = max(int(4.0 * tall), 8)
    texture = np.ones((height, width), np.float32)
    left, top = max(int(x) - reach, 0), max(int(y) - reach, 0)
    right, bottom = min(int(x) + reach, width), min(int(y) + reach, height)
    if right > left and bottom > top:
        texture[top:bottom, left:right] = np.exp(
            0.6 * cv2.resize(tile, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        )
    for channel in range(3):
        light[channel] = np.float32(brightness_nw * FLASH_RGB[channel]) * spot * texture
    return light
