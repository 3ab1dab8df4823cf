"""Frames of towns by night with known lights, drawn straight onto the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, gaussian_filter, label, maximum_filter

from benchmarks.arrays import FloatArray
from benchmarks.simulate.frames.exposures import add_stamp, overlap
from benchmarks.simulate.render import SRGB_LIGHT, through_jpeg, to_srgb


@dataclass(frozen=True, kw_only=True)
class FieldSettings:
    """What the simulated frames are like; ranges are drawn uniformly for each frame."""

    width_px: int = 1500
    height_px: int = 1000
    lights: tuple[int, int] = (150, 2500)
    clustered_fraction: tuple[float, float] = (0.2, 0.8)  # the rest is spread evenly
    flux_slope: tuple[float, float] = (0.6, 1.0)  # N(> F) ~ F^-slope; Zipf's law is 1
    # The light that 1 % of the pixels exceed: 0.01 to 0.7 in real frames of lit coasts
    bright_light: tuple[float, float] = (0.03, 0.7)
    half_light_radius_px: tuple[float, float] = (1.0, 40.0)
    blur_sigma_px: tuple[float, float] = (0.6, 1.2)
    foreshortening: tuple[float, float] = (0.4, 1.0)  # the frame's tilt squeezes every town
    glow_light: tuple[float, float] = (0.001, 0.05)
    finest_cloud_px: float = 64.0  # 8 for broken cloud, whose scraps look like towns
    full_well_electrons: tuple[float, float] = (4e3, 4e4)
    read_noise_electrons: tuple[float, float] = (5.0, 30.0)
    hot_pixels: tuple[int, int] = (0, 30)
    jpeg_quality: tuple[int, int] = (85, 97)


@dataclass(frozen=True, kw_only=True)
class LightField:
    """A simulated frame and its truth."""

    light: NDArray[np.float32]  # shape (h, w): Linear light decoded from the frame's JPEG
    saturated: NDArray[np.float32]  # shape (h, w): 1 where the scene was brighter than full scale
    # x, y, flux, radius_px and snr: shape (N,): Centre, integral, half-light radius and signal-to-
    # noise ratio of an ideal matched filter that knows the profile and the noise of everything but
    # the light itself
    x: FloatArray
    y: FloatArray
    flux: FloatArray
    radius_px: FloatArray
    snr: FloatArray
    # Shape (N,): The noise-free scene has a maximum of its own there; else the light is a shoulder
    # of a brighter one and nobody can call it a second light.
    resolved: NDArray[np.bool_]


def draw_towns(rng: np.random.Generator, settings: FieldSettings = FieldSettings()) -> LightField:
    """Draw one frame."""
    h, w = settings.height_px, settings.width_px
    glow = _glow(rng, settings)
    count = int(rng.integers(settings.lights[0], settings.lights[1] + 1))
    x, y = _places(rng, settings, count)
    well = np.exp(rng.uniform(*np.log(settings.full_well_electrons)))
    read = rng.uniform(*settings.read_noise_electrons) / well
    slope = rng.uniform(*settings.flux_slope)
    relative = np.minimum(rng.pareto(slope, count) + 1.0, 1e5)
    low, high = settings.half_light_radius_px
    # equal surface brightness would be the power 0.5; great towns are brighter
    radius = low * relative**0.3 * np.exp(rng.normal(0.0, 0.35, count))
    radius = np.clip(radius, low * 0.3, high)
    squeeze, tilt = rng.uniform(*settings.foreshortening), rng.uniform(0.0, np.pi)
    blur = rng.uniform(*settings.blur_sigma_px)
    stamps = [draw_stamp(rng, x[i], y[i], radius[i], squeeze, tilt, blur) for i in range(count)]
    places = list(zip(np.rint(y).astype(int), np.rint(x).astype(int), strict=True))
    lights = np.zeros((h, w))
    for (stamp, _), place, f in zip(stamps, places, relative, strict=True):
        add_stamp(lights, f * stamp, *place)
    unit = np.exp(rng.uniform(*np.log(settings.bright_light))) / np.quantile(lights, 0.99)
    flux, scene = relative * unit, glow + lights * unit
    seen = np.minimum(scene, 1.0)
    noise_sq = seen / well + read**2 + _rounding_sigma(seen) ** 2
    snr = np.empty(count)  # the shot noise of the light itself is taken away
    for i, ((stamp, _), place) in enumerate(zip(stamps, places, strict=True)):
        image, own = overlap((h, w), stamp.shape[0] // 2, *place)
        profile = flux[i] * stamp[own]
        others = np.maximum(noise_sq[image] - profile / well, 1e-12)
        snr[i] = np.sqrt(np.sum(profile**2 / others))
    seen_radius = np.array([half_light_px for _, half_light_px in stamps])
    electrons = rng.poisson(scene * well) + rng.normal(0.0, read * well, (h, w))
    photo = np.clip(electrons / well, 0.0, 1.0)
    hot = int(rng.integers(settings.hot_pixels[0], settings.hot_pixels[1] + 1))
    photo[rng.integers(0, h, hot), rng.integers(0, w, hot)] += rng.uniform(0.02, 1.0, hot)
    photo = np.minimum(photo, 1.0)
    quality = int(rng.integers(settings.jpeg_quality[0], settings.jpeg_quality[1] + 1))
    stored = np.rint(255.0 * to_srgb(photo)).astype(np.uint8)
    return LightField(
        light=SRGB_LIGHT[through_jpeg(stored, quality)].astype(np.float32),
        saturated=(electrons / well >= 1.0).astype(np.float32),
        x=x,
        y=y,
        flux=flux,
        radius_px=seen_radius,
        snr=snr,
        resolved=_mark_resolved(seen, x, y, seen_radius),
    )


def draw_stamp(
    rng: np.random.Generator,
    x: float,
    y: float,
    radius: float,
    squeeze: float,
    tilt: float,
    blur: float,
) -> tuple[FloatArray, float]:
    """A town's light of unit flux on the pixels around its own, and its half-light radius.

    A Gaussian or an exponential disc, of random axis ratio, squeezed by the view.
    """
    exponential = rng.random() < 0.4
    own_ratio, own_angle = rng.uniform(0.5, 1.0), rng.uniform(0.0, np.pi)
    shape = np.eye(2)
    for angle, along, across in (
        (own_angle, 1.0 / own_ratio**0.5, own_ratio**0.5),
        (tilt, 1.0, squeeze),
    ):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s], [s, c]])
        shape = turn @ np.diag([along, across]) @ turn.T @ shape
    # half-light radius 1.678 scale lengths of a disc, 1.177 sigma of a Gaussian
    scale = radius / (1.678 if exponential else 1.177)
    reach = int(np.ceil((7.0 if exponential else 4.5) * scale * 1.5 + 5.0 * blur)) + 1
    fine = 3 if scale < 3.0 else 1  # a cusp or a lamp smaller than a pixel
    size = 2 * reach + 1
    axis = (np.arange(size * fine) + 0.5) / fine - 0.5 - reach
    dx, dy = axis[None, :] + round(x) - x, axis[:, None] + round(y) - y
    back = np.linalg.inv(shape)
    u, v = back[0, 0] * dx + back[0, 1] * dy, back[1, 0] * dx + back[1, 1] * dy
    r = np.hypot(u, v) / scale
    values = np.exp(-r) if exponential else np.exp(-0.5 * r * r)
    values = gaussian_filter(values, blur * fine, mode="constant")
    values = values.reshape(size, fine, size, fine).mean(axis=(1, 3))
    area = np.sqrt(abs(np.linalg.det(shape)))
    return values / values.sum(), float(np.hypot(radius * area, 1.177 * blur))


def _places(
    rng: np.random.Generator, settings: FieldSettings, count: int
) -> tuple[FloatArray, FloatArray]:
    """Evenly spread towns, conurbations and roads (chains)."""
    h, w = settings.height_px, settings.width_px
    x, y = rng.uniform(0.0, w - 1.0, count), rng.uniform(0.0, h - 1.0, count)
    clustered = int(count * rng.uniform(*settings.clustered_fraction))
    centres = rng.integers(2, 7)
    home = rng.integers(0, centres, clustered)
    cx, cy = rng.uniform(0.0, w, centres), rng.uniform(0.0, h, centres)
    spread = np.exp(rng.uniform(np.log(40.0), np.log(200.0), centres))
    along, angle = rng.normal(size=clustered), rng.uniform(0.0, np.pi, centres)
    across = rng.normal(size=clustered) * rng.uniform(0.08, 1.0, centres)[home]
    cos, sin = np.cos(angle[home]), np.sin(angle[home])
    x[:clustered] = cx[home] + spread[home] * (along * cos - across * sin)
    y[:clustered] = cy[home] + spread[home] * (along * sin + across * cos)
    outside = (x < 0) | (x > w - 1) | (y < 0) | (y > h - 1)
    x[outside] = rng.uniform(0.0, w - 1.0, outside.sum())
    y[outside] = rng.uniform(0.0, h - 1.0, outside.sum())
    return x, y


def _glow(rng: np.random.Generator, settings: FieldSettings) -> FloatArray:
    """Slope, an airglow band and moonlit cloud."""
    h, w = settings.height_px, settings.width_px
    level = np.exp(rng.uniform(*np.log(settings.glow_light)))
    rows, cols = np.mgrid[0:h, 0:w]
    slope = rng.uniform(-0.5, 0.5, 2)
    glow = level * (1.0 + slope[0] * (rows / h - 0.5) + slope[1] * (cols / w - 0.5))
    if rng.random() < 0.5:
        middle, width = rng.uniform(0.0, h), rng.uniform(0.05, 0.2) * h
        bent = rows - middle - rng.uniform(-0.3, 0.3) * h * ((cols / w - 0.5) * 2.0) ** 2
        glow += level * rng.uniform(0.5, 2.0) * np.exp(-0.5 * (bent / width) ** 2)
    if rng.random() < 0.5:
        clouds = np.zeros((h // 8 + 1, w // 8 + 1))
        size = 32.0  # in pixels of the thumbnail: billows of about 250 px, and ever finer ones
        while 8.0 * size >= settings.finest_cloud_px:
            clouds += size * gaussian_filter(rng.normal(size=clouds.shape), size)
            size /= 2.0
        clouds = np.maximum(clouds / clouds.std(), 0.0)
        full = cv2.resize(clouds, (w, h), interpolation=cv2.INTER_CUBIC)
        glow += level * rng.uniform(0.3, 1.5) * np.maximum(full, 0.0)
    return np.asarray(np.maximum(glow, 1e-4), float)


def _rounding_sigma(light: FloatArray) -> FloatArray:
    """Sigma of rounding to 8 bits of sRGB, in linear light."""
    slope = np.where(light < 0.0031308, 1.0 / 12.92, 2.4 / 1.055 * light ** (1.4 / 2.4) * 1.0)
    return np.asarray(slope / 255.0 / np.sqrt(12.0))


def _mark_resolved(
    seen: FloatArray, x: FloatArray, y: FloatArray, radius: FloatArray
) -> NDArray[np.bool_]:
    """Lights that own a maximum of the noise-free scene: a peak, or the middle of a clipped area.

    Each maximum belongs to the one light that lies nearest to it in units of its reach.
    """
    peaks, count = label(seen == maximum_filter(seen, 3), np.ones((3, 3)))
    middles = np.array(center_of_mass(peaks > 0, peaks, np.arange(1, count + 1))).reshape(-1, 2)
    sizes = np.bincount(peaks.ravel(), minlength=count + 1)[1:]
    resolved = np.zeros(x.size, bool)
    for (row, col), size in zip(middles, sizes, strict=True):
        reach = np.maximum(1.0, np.maximum(0.5 * radius, 0.5 * np.sqrt(size / np.pi)))
        gap = np.hypot(x - col, y - row) / reach
        nearest = int(np.argmin(gap))
        if gap[nearest] <= 1.0:
            resolved[nearest] = True
    return resolved


# Skies: smooth glow with large clouds, and broken cloud whose scraps look like towns
SKIES = {"glow": FieldSettings(), "broken cloud": FieldSettings(finest_cloud_px=8.0)}
