"""What all frames of scenes share: what a camera above the Earth sees, developed to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.noise import bilinear, blurred, fractal_tile
from benchmarks.simulate.render import smear, to_jpeg, tone, vignette


@dataclass(frozen=True, kw_only=True)
class Look:
    """Ranges that a frame's development is drawn from."""

    # quantile and level: the exposure brings this quantile of the luminance to a share of what
    # fills the sensor, drawn evenly in its logarithm
    quantile: float
    level: tuple[float, float]
    # Range of the noise of a full pixel's hundredth, as a share of it, logarithmic
    noise: tuple[float, float] = (0.03, 0.3)
    cast: float = 0.12  # spread of the logarithm of the white balance's gains
    crop: float = 0.3  # share of frames of which a part is kept
    grey: float = 0.0  # share of frames by sensors that see no colour


def develop(light: ImageArray, look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take a picture of light."""
    full = max(float(np.quantile(light.mean(axis=2), look.quantile)), 1e-9)
    picture = light * np.float32(np.exp(rng.uniform(*np.log(look.level))) / full)
    picture = _through_lens(picture, rng)
    gains = np.exp(look.cast * rng.standard_normal(3))
    picture = picture * (gains / gains[1]).astype(np.float32)
    level = picture.mean(axis=2, keepdims=True)  # more or less colourful than the light
    picture = np.maximum(
        level + np.float32(rng.uniform(0.65, 1.5)) * (np.minimum(picture, 30.0) - level), 0.0
    )
    picture = picture + _noise(picture, look, rng)
    picture += np.float32(max(rng.normal(0.0, 0.004), -0.004)) * np.float32(
        rng.uniform(0.7, 1.3, 3)
    )
    if look.grey > 0.0 and rng.random() < look.grey:
        picture = np.repeat(picture[..., 1:2], 3, axis=2)
    contrast = float(rng.uniform(-0.15, 0.5))
    gamma = float(np.exp(0.12 * rng.standard_normal()))
    stored = tone(np.clip(picture, 0.0, 1.0) ** np.float32(gamma), contrast)
    return stored_file(stored, rng, crop=look.crop)


def _through_lens(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Defocus, motion, the glow about bright things, darker corners."""
    height, width = picture.shape[:2]
    # Most photos are far larger than what the classifier sees of them, and sharp at its size
    sigma = float(np.exp(rng.normal(np.log(0.4), 0.6)))
    motion = float(rng.exponential(3.0)) if rng.random() < 0.15 else 0.0
    turn = float(rng.uniform(0.0, 180.0))
    halo, wide = float(rng.uniform(0.0, 0.06)), float(rng.uniform(6.0, 40.0))
    falloff = vignette(width, height, float(rng.uniform(0.0, 0.6)))
    planes = []
    for channel in range(3):
        # A window's glare is of what the sensor could hold some thousand times over
        plane = np.minimum(np.ascontiguousarray(picture[..., channel]), 3000.0)
        plane = smear(plane, motion, turn)
        plane = (1.0 - halo) * blurred(plane, sigma) + halo * blurred(plane, wide)
        planes.append(plane * falloff)
    return np.stack(planes, axis=-1).astype(np.float32)


def _noise(picture: ImageArray, look: Look, rng: np.random.Generator) -> ImageArray:
    height, width = picture.shape[:2]
    share = float(np.exp(rng.uniform(*np.log(look.noise))))
    noise = rng.standard_normal((height, width, 3), dtype=np.float32)
    noise = blurred(noise, float(rng.choice([0.0, 0.6, 1.2])))  # as the camera smooths it
    noise /= noise.std()
    noise = noise + rng.uniform(0.0, 1.0) * (noise.mean(axis=2, keepdims=True) - noise)
    spread = share * np.sqrt(0.01 * np.clip(picture, 0.0, 1.0) + np.float32(2e-5))
    return np.asarray(spread * noise, np.float32)


def stored_file(
    picture: NDArray[np.uint8], rng: np.random.Generator, *, crop: float
) -> NDArray[np.uint8]:
    """A picture turned, mirrored, cropped (so many of them), scaled, through a JPEG."""
    turns = int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1]))
    picture = np.rot90(picture, turns)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < crop:
        height, width = picture.shape[:2]
        keep_y, keep_x = rng.uniform(0.6, 1.0, 2)
        top = int(rng.uniform(0.0, 1.0 - keep_y) * height)
        left = int(rng.uniform(0.0, 1.0 - keep_x) * width)
        picture = picture[top : top + int(keep_y * height), left : left + int(keep_x * width)]
    scale = float(np.exp(rng.uniform(np.log(0.75), np.log(1.4))))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    scaled = np.asarray(
        cv2.resize(np.ascontiguousarray(picture), size, interpolation=method), np.uint8
    )
    encoded = np.frombuffer(to_jpeg(scaled, int(rng.integers(55, 97))), np.uint8)
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)


EARTH_RADIUS_KM = 6371.0
TILE = 512
LEVELS = 6
LONG_SIDE_PX = (480, 660)
ASPECTS = (1.5, 1.5, 1.5, 4 / 3, 4 / 3, 16 / 9, 1.0)


@dataclass(frozen=True, kw_only=True)
class View:
    """Sights of a frame's pixels."""

    width_px: int
    height_px: int
    focal_px: float
    # Shape (3, 3): Columns right, down and forward of the camera; rows towards the far limb,
    # sideways and up.
    axes: FloatArray
    altitude_km: float
    # Shape (height, width): Least height along the sight, below 0 for ground
    perigee_km: FloatArray
    # ahead_km and aside_km: shape (height, width): Ground seen, from the nadir along the Earth's
    # curve; that of the limb for the sky.
    ahead_km: FloatArray
    aside_km: FloatArray
    distance_km: FloatArray  # shape (height, width): To that ground
    # Shape (height, width): Of the angle between the sight and the ground's vertical, 0 to 1
    cosine: FloatArray

    @property
    def ground(self) -> ImageArray:
        """1 on ground and 0 on sky, with a soft edge of a pixel, shape (height, width)."""
        km_per_px = np.sqrt(2.0 * EARTH_RADIUS_KM * self.altitude_km) / self.focal_px
        return np.asarray(np.clip(0.5 - self.perigee_km / km_per_px, 0.0, 1.0), np.float32)

    @property
    def footprint_km(self) -> FloatArray:
        """Size of a pixel on the ground, shape (height, width)."""
        return self.distance_km / self.focal_px / np.sqrt(np.clip(self.cosine, 0.02, 1.0))

    def pixels_of(self, points_km: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        """Pixels of points about the Earth's centre, shape (n, 3), and whether they are seen."""
        origin = np.array([0.0, 0.0, EARTH_RADIUS_KM + self.altitude_km])
        sight = points_km - origin
        local = sight @ self.axes
        ahead = local[:, 2] > 1e-3
        depth = np.where(ahead, local[:, 2], 1.0)
        along = sight / np.linalg.norm(sight, axis=1, keepdims=True)
        towards = -(along @ origin)
        hidden = (towards > 0.0) & (origin @ origin - towards**2 < EARTH_RADIUS_KM**2)
        hidden &= np.linalg.norm(sight, axis=1) > towards
        x = 0.5 * (self.width_px - 1) + self.focal_px * local[:, 0] / depth
        y = 0.5 * (self.height_px - 1) + self.focal_px * local[:, 1] / depth
        return x, y, ahead & ~hidden


def limb_off_nadir_deg(altitude_km: float) -> float:
    """Angle between the nadir and the limb, degrees."""
    return float(np.degrees(np.arcsin(EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km))))


def frame_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a frame, pixels."""
    longest = int(rng.integers(*LONG_SIDE_PX))
    shortest = round(longest / float(rng.choice(ASPECTS)))
    return (shortest, longest) if rng.random() < 0.12 else (longest, shortest)


def draw_view(
    rng: np.random.Generator,
    *,
    limb: tuple[float, float] | None = None,
    off_nadir_deg: tuple[float, float] = (0.0, 45.0),
    field_deg: tuple[float, float] = (12.0, 80.0),
) -> View:
    """Draw where a camera looks."""
    width, height = frame_size(rng)
    field = np.exp(rng.uniform(*np.log(field_deg)))
    focal = 0.5 * max(width, height) / np.tan(np.radians(0.5 * field))
    altitude_km = float(rng.uniform(340.0, 430.0))
    if limb is None:
        lean, roll = float(rng.uniform(*off_nadir_deg)), float(rng.uniform(-180.0, 180.0))
    else:
        away = float(np.degrees(np.arctan(0.5 * min(width, height) / focal)))
        lean = limb_off_nadir_deg(altitude_km) - float(rng.uniform(*limb)) * away
        # Mostly held level, some obliquely, and a few anyhow
        roll = float(rng.choice([4.0, 25.0, 180.0], p=[0.5, 0.35, 0.15]) * rng.uniform(-1.0, 1.0))
    return view_at(width, height, focal, altitude_km, lean, roll)


def view_at(
    width: int, height: int, focal_px: float, altitude_km: float, lean_deg: float, roll_deg: float
) -> View:
    """Sights of a camera that leans from the nadir and is turned about its axis."""
    lean, roll = np.radians([lean_deg, roll_deg])
    forward = np.array([np.sin(lean), 0.0, -np.cos(lean)])
    top = np.array([np.cos(lean), 0.0, np.sin(lean)])
    right = np.cos(roll) * np.cross(forward, top) - np.sin(roll) * top
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    u = (np.arange(width) - 0.5 * (width - 1)) / focal_px
    v = (np.arange(height) - 0.5 * (height - 1)) / focal_px
    local = np.stack(np.broadcast_arrays(u[None, :], v[:, None], 1.0), axis=-1)
    rays = local @ axes.T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    radius = EARTH_RADIUS_KM + altitude_km
    towards = -radius * rays[..., 2]
    closest = np.sqrt(np.maximum(radius**2 - towards**2, 0.0))
    perigee = np.where(towards > 0.0, closest - EARTH_RADIUS_KM, altitude_km - towards)
    depth = np.sqrt(np.maximum(EARTH_RADIUS_KM**2 - closest**2, 0.0))
    distance = np.where(
        towards > 0.0, towards - depth, np.sqrt(2.0 * EARTH_RADIUS_KM * altitude_km)
    )
    point = distance[..., None] * rays + (0.0, 0.0, radius)
    flat = np.hypot(point[..., 0], point[..., 1])
    arc = EARTH_RADIUS_KM * np.arctan2(flat, point[..., 2]) / np.maximum(flat, 1e-9)
    return View(
        width_px=width,
        height_px=height,
        focal_px=float(focal_px),
        axes=axes,
        altitude_km=altitude_km,
        perigee_km=perigee,
        ahead_km=arc * point[..., 0],
        aside_km=arc * point[..., 1],
        distance_km=distance,
        cosine=np.clip(depth / EARTH_RADIUS_KM, 0.0, 1.0),
    )


def ground_texture(
    rng: np.random.Generator, view: View, *, scale_km: float, slope: float, stretch: float = 1.0
) -> ImageArray:
    """A fractal field on the ground as the pixels see it, smoothed where they see much ground."""
    tile = fractal_tile(rng, TILE, slope)
    spacing = 3.0 * scale_km / TILE
    turn = rng.uniform(0.0, 2.0 * np.pi)
    along = np.cos(turn) * view.ahead_km - np.sin(turn) * view.aside_km
    across = np.sin(turn) * view.ahead_km + np.cos(turn) * view.aside_km
    level = np.clip(np.log2(np.maximum(view.footprint_km / spacing, 1e-6)), 0.0, LEVELS - 1.0)
    offset = rng.uniform(0.0, TILE, 2)
    result = np.zeros(along.shape)
    for number in range(LEVELS):
        share = np.maximum(1.0 - np.abs(level - number), 0.0)
        if share.any():
            size = len(tile)
            step = spacing * 2.0**number
            column = (along / stretch / step + offset[0] / 2.0**number) % size
            row = (across / step + offset[1] / 2.0**number) % size
            result += share * bilinear(tile, column, row, cv2.BORDER_WRAP)
        half = (len(tile) // 2, len(tile) // 2)
        tile = np.asarray(cv2.resize(tile, half, interpolation=cv2.INTER_AREA), np.float32)
    return result.astype(np.float32)


def star_field(
    rng: np.random.Generator,
    width: int,
    height: int,
    number: int,
    trail: FloatArray | None = None,
) -> ImageArray:
    """Stars as points or as trails, shape (height, width, 3)."""
    x, y = rng.uniform(0, width, number), rng.uniform(0, height, number)
    flux = np.minimum((1.0 - rng.random(len(x))) ** (-1.0 / rng.uniform(0.5, 1.4)), 400.0)
    # Stars are nearly white, but a single pixel of a mosaic sensor catches one colour of them
    warm = rng.normal(0.1, rng.uniform(0.15, 0.8), len(x))
    colour = np.stack([np.exp(0.7 * warm), np.ones_like(warm), np.exp(-warm)], axis=1)
    size = rng.uniform(0.35, 0.9)
    image = np.zeros((height, width, 3), np.float32)
    for step in np.zeros((1, 2)) if trail is None else trail:
        add_points(image, x + step[0], y + step[1], flux[:, None] * colour)
    for channel in range(3):
        image[..., channel] = cv2.GaussianBlur(image[..., channel], (0, 0), size)
    return image


def add_points(image: ImageArray, x: FloatArray, y: FloatArray, light: FloatArray) -> None:
    """Add points of light to a picture between its pixels, in place; light has shape (n, 3)."""
    height, width = image.shape[:2]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            column, row = left + right, top + down
            share = (1.0 - np.abs(x - column)) * (1.0 - np.abs(y - row))
            seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weight = (share[:, None] * light)[seen].astype(np.float32)
            np.add.at(image, (row[seen], column[seen]), weight)
