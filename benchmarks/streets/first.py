"""Lamps along roads, some where no map has a road, and a picture of them: the first generator."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import SimCamera, ecef_of
from benchmarks.streets.maps import CLASSES, KM_PER_DEG, City, Roads, SmoothField

SODIUM, LED = np.array([1.0, 0.52, 0.16]), np.array([0.86, 0.92, 1.0])
Light = NDArray[np.float32]  # (rows, columns, 3): red, green, blue


@dataclass(frozen=True, kw_only=True)
class Lamps:
    """Points of light on the ground."""

    xy: FloatArray  # (n, 2): metres east and north of the scene's middle
    light: FloatArray  # (n, 3): red, green and blue


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The ground that a shot sees: metres east and north of a middle."""

    middle: FloatArray  # longitude and latitude
    low: FloatArray  # (2,): corners, metres
    high: FloatArray
    roads: Roads  # metres

    def to_lonlat(self, xy: FloatArray) -> tuple[FloatArray, FloatArray]:
        degrees = xy / _metres_per_degree(self.middle[1]) + self.middle
        return degrees[:, 0], degrees[:, 1]


def see_scene(city: City, camera: SimCamera) -> Scene:
    """The roads that a camera sees, in metres about the middle of its frame."""
    x = np.linspace(-20.0, camera.width_px + 19.0, 9)
    y = np.linspace(-20.0, camera.height_px + 19.0, 9)
    lon, lat, _ = camera.ground(*np.meshgrid(x, y))
    west, east, south, north = lon.min(), lon.max(), lat.min(), lat.max()
    middle = np.array([(west + east) / 2.0, (south + north) / 2.0])
    scale = _metres_per_degree(middle[1])
    roads = city.near(west, south, east, north)
    return Scene(
        middle=middle,
        low=(np.array([west, south]) - middle) * scale,
        high=(np.array([east, north]) - middle) * scale,
        roads=Roads(xy=(roads.xy - middle) * scale, starts=roads.starts, classes=roads.classes),
    )


def _metres_per_degree(lat_deg: float) -> FloatArray:
    """About how many, of longitude and latitude; roads and lamps go through the same."""
    return 1e3 * KM_PER_DEG * np.array([np.cos(np.radians(lat_deg)), 1.0])


def draw_lamps(rng: np.random.Generator, scene: Scene) -> Lamps:
    """Lamps every 25 to 40 m along roads, with gaps, and lights that are on no map."""
    roads = scene.roads
    district_sigma = float(rng.uniform(0.6, 0.9))
    missing = float(rng.uniform(0.2, 0.4))
    shifted, unmapped = rng.uniform(0.02, 0.06, 2)
    private = float(rng.uniform(0.2, 0.5))
    named = {name: index for index, name in enumerate(CLASSES)}
    n_lines = len(roads.classes)
    is_lit = roads.classes <= named["minor"]
    # A part of the yards and footways is lit; motorways and trunks by district
    is_lit |= rng.random(n_lines) < 0.15
    is_minor = roads.classes == named["minor"]
    is_lit &= ~(is_minor & (rng.random(n_lines) < missing))
    for name, share in (("motorway", 0.15), ("trunk", 0.45)):
        is_lit &= ~((roads.classes == named[name]) & (rng.random(n_lines) > share))
    roads = roads.take(is_lit)
    n_lines = len(roads.classes)
    # Roads that the map has wrong: moved; those that it has not: turned and moved far
    moves = rng.normal(0.0, 30.0, (n_lines, 2)) * (rng.random(n_lines) < shifted)[:, None]
    extra = roads.take(np.flatnonzero(rng.random(n_lines) < unmapped))
    owner = np.repeat(np.arange(len(extra.classes)), np.diff(extra.starts))
    first = extra.xy[extra.starts[:-1]][owner] if len(extra.classes) else extra.xy
    turned = (extra.xy - first) @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    away = rng.uniform(-200.0, 200.0, (len(extra.classes), 2))[owner]
    moved = roads.xy + np.repeat(moves, np.diff(roads.starts), axis=0)
    all_lines = Roads(
        xy=np.concatenate([moved, first + turned + away]),
        starts=np.concatenate([roads.starts, roads.starts[-1] + extra.starts[1:]]),
        classes=np.concatenate([roads.classes, extra.classes]),
    )
    lengths = all_lines.lengths()
    spacing = rng.uniform(25.0, 40.0, len(lengths))
    phase = rng.random(len(lengths)) * spacing
    counts = np.maximum(np.floor((lengths - phase) / spacing) + 1, 0).astype(np.int64)
    line = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    distance = phase[line] + number * spacing[line] + rng.normal(0.0, 2.0, len(line))
    keep = rng.random(len(line)) > 0.08  # lamps that have gone out
    line, distance = line[keep], distance[keep]
    xy, _ = all_lines.points_at(line, distance)
    class_gain = np.array([1.0, 1.2, 1.6, 1.4, 1.2, 0.8, 0.5, 0.6])[all_lines.classes]
    gain = class_gain * np.exp(rng.normal(0.0, 0.5, len(lengths)))
    gains = gain[line] * np.exp(rng.normal(0.0, 0.35, len(line)))
    # Private lights: near the streets, not on them
    n_private = int(private * len(line))
    near = xy[rng.integers(len(xy), size=n_private)] if len(xy) else np.zeros((0, 2))
    near = near + rng.normal(0.0, 45.0, near.shape)
    xy = np.concatenate([xy, near])
    gains = np.concatenate([gains, np.exp(rng.normal(-0.4, 0.9, len(near)))])
    led = SmoothField(rng, scene.low, scene.high, 2000.0).at(xy)
    is_led = led + 0.5 * rng.normal(size=len(xy)) > rng.normal(0.3, 0.7)
    gains *= np.exp(district_sigma * SmoothField(rng, scene.low, scene.high, 1500.0).at(xy))
    gains *= _dark_places(rng, scene, xy)
    return Lamps(xy=xy, light=gains[:, None] * np.where(is_led[:, None], LED, SODIUM))


def _dark_places(rng: np.random.Generator, scene: Scene, xy: FloatArray) -> FloatArray:
    """What is left of the light of lamps (n, 2) in parks and on rivers: 1 elsewhere."""
    left = np.ones(len(xy))
    area_km2 = np.prod(scene.high - scene.low) / 1e6
    for _ in range(rng.poisson(area_km2 / 25.0)):
        centre = rng.uniform(scene.low, scene.high)
        radii, angle = np.exp(rng.uniform(np.log(150.0), np.log(1000.0), 2)), rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        inside = (((xy - centre) @ turn / radii) ** 2).sum(axis=1) < 1.0
        left[inside] *= 0.06
    for _ in range(rng.integers(0, 3)):
        angle, centre = rng.uniform(0.0, np.pi), rng.uniform(scene.low, scene.high)
        along = (xy - centre) @ [np.cos(angle), np.sin(angle)]
        across = (xy - centre) @ [-np.sin(angle), np.cos(angle)]
        across += 600.0 * np.sin(along / rng.uniform(1500.0, 5000.0) + rng.uniform(0, 6.0))
        left[np.abs(across) < rng.uniform(40.0, 140.0)] *= 0.1
    return left


def draw_blobs(
    rng: np.random.Generator, scene: Scene, camera: SimCamera, lamps: Lamps, shape: tuple[int, int]
) -> Light:
    """Lit buildings, yards and ports: even patches of 40 to 350 m."""
    canvas = np.zeros((*shape, 3), np.float32)
    area_km2 = np.prod(scene.high - scene.low) / 1e6
    n_blobs = rng.poisson(0.6 * area_km2)
    if not len(lamps.xy) or not n_blobs:
        return canvas
    centres = lamps.xy[rng.integers(len(lamps.xy), size=n_blobs)]
    centres = centres + rng.normal(0.0, 120.0, centres.shape)
    halves = 0.5 * np.exp(rng.uniform(np.log(40.0), np.log(350.0), (n_blobs, 2)))
    angles = rng.uniform(0.0, np.pi, n_blobs)
    unit = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    turn = np.stack([np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles)], -1)
    corners = centres[:, None] + (unit * halves[:, None]) @ turn.reshape(-1, 2, 2)
    x, y, _, _ = camera.project(*scene.to_lonlat(corners.reshape(-1, 2)))
    polygons = np.stack([x, y], axis=-1).reshape(n_blobs, 4, 2)
    # A lamp of one unit a pixel's area of 30 x 30 m, brighter or darker
    scale = _pixel_area_m2(camera) / 900.0
    for polygon in polygons[np.isfinite(polygons).all(axis=(1, 2))]:
        colour = (LED if rng.random() < 0.6 else SODIUM) * np.exp(rng.normal(0.3, 0.8)) * scale
        points = np.rint(polygon * 16).astype(np.int32)
        low, high = polygon.min(axis=0), polygon.max(axis=0)
        if (high < 0).any() or low[0] > shape[1] or low[1] > shape[0]:
            continue
        cv2.fillConvexPoly(canvas, points, colour.tolist(), cv2.LINE_AA, shift=4)
    return canvas


def splat(camera: SimCamera, scene: Scene, lamps: Lamps) -> Light:
    """Lamps as points in the picture, shared bilinearly among four pixels."""
    x, y, _, _ = camera.project(*scene.to_lonlat(lamps.xy))
    rows, cols = camera.height_px, camera.width_px
    seen = (x > -1) & (x < cols) & (y > -1) & (y < rows)
    x, y, light = x[seen] + 1, y[seen] + 1, lamps.light[seen]
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    canvas = np.zeros((3, (rows + 2) * (cols + 2)))
    for right in (0, 1):
        for down in (0, 1):
            share = np.abs(1 - right - (x - left)) * np.abs(1 - down - (y - top))
            place = (top + down) * (cols + 2) + left + right
            for band in range(3):
                canvas[band] += np.bincount(place, share * light[:, band], len(canvas[band]))
    inner = canvas.reshape(3, rows + 2, cols + 2)[:, 1:-1, 1:-1]
    return np.ascontiguousarray(np.moveaxis(inner, 0, -1), np.float32)


def _pixel_area_m2(camera: SimCamera) -> float:
    """Ground area of the pixel in the middle of a frame."""
    x, y = (camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0
    lon, lat, _ = camera.ground([x, x + 1.0, x], [y, y, y + 1.0])
    points = ecef_of(lon, lat)
    return float(np.linalg.norm(np.cross(points[1] - points[0], points[2] - points[0])))


def veil(light: Light, share: float, sigma_px: float) -> Light:
    """Light of which haze spreads a share widely."""
    rows, cols = light.shape[:2]
    small = cv2.resize(light, (max(cols // 8, 1), max(rows // 8, 1)), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(small, (0, 0), max(sigma_px / 8.0, 0.5))
    spread = cv2.resize(wide, (cols, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray((1.0 - share) * light + share * spread, np.float32)


def smear(light: Light, path: FloatArray) -> Light:
    """Light along a path of offsets (n, 2), pixels, its centroid in the middle."""
    path = path - path.mean(axis=0)
    reach = int(np.ceil(np.abs(path).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for x, y in path + reach:
        left, top = int(x), int(y)
        for right in (0, 1):
            for down in (0, 1):
                share = abs(1 - right - (x - left)) * abs(1 - down - (y - top))
                kernel[top + down, left + right] += share / len(path)
    # Filters correlate: a turned kernel convolves
    return np.asarray(cv2.filter2D(light, cv2.CV_32F, kernel[::-1, ::-1].copy()), np.float32)


def expose(rng: np.random.Generator, scene: Scene, camera: SimCamera) -> tuple[Light, int]:
    """A picture of 0 to 1 by the first generator, and the quality of its JPEG."""
    lamps = draw_lamps(rng, scene)
    light = splat(camera, scene, lamps)
    light += draw_blobs(rng, scene, camera, lamps, light.shape[:2])
    blur_px, motion_px = float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.0, 9.0))
    haze, haze_px = float(rng.uniform(0.0, 0.3)), float(rng.uniform(15.0, 60.0))
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), blur_px), np.float32)
    if motion_px > 0.5:
        angle = rng.uniform(0.0, np.pi)
        steps = np.linspace(-0.5, 0.5, 33)[:, None] * motion_px
        light = smear(light, steps * [np.cos(angle), np.sin(angle)])
    light = veil(light, haze, haze_px)
    # Exposed so that some of the streets are at the top
    bright = np.percentile(light[::3, ::3, 0], rng.uniform(97.5, 99.7))
    light = light / max(float(bright), 1e-9) + float(rng.uniform(0.003, 0.03))
    full, read = float(np.exp(rng.uniform(np.log(800), np.log(10_000)))), float(rng.uniform(3, 8))
    noise = rng.standard_normal(light.shape, np.float32)
    light += noise * np.sqrt(light / full + (read / full) ** 2)
    picture = np.clip(light, 0.0, 1.0) ** (1.0 / 2.2)
    return np.asarray(picture, np.float32), int(rng.integers(72, 97))
