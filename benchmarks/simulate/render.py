"""The photograph: light in, stored picture out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.light_map import lamp_planes
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.weather import (
    SceneParameters,
    ViewGrid,
    boat_light,
    cloud_depth,
    limb_light,
    star_light,
    view_grid,
)
from benchmarks.simulate.worlds import Realisation, World

Floating = TypeVar("Floating", np.float32, np.float64)


def cabin_reflection(
    rng: np.random.Generator, width: int, height: int, brightness_nw: float
) -> ImageArray:
    """A lit cabin mirrored in the window: a veil, lamps out of focus, edges of racks."""
    rows, cols = max(height // 4, 2), max(width // 4, 2)
    if brightness_nw <= 0.0:
        return np.zeros((3, height, width), np.float32)
    slope = rng.uniform(-1.0, 1.0, 2)
    y, x = np.mgrid[0:rows, 0:cols]
    veil = 0.08 * (1.0 + slope[0] * (2 * x / cols - 1) + slope[1] * (2 * y / rows - 1))
    small = np.clip(veil, 0.0, 1.0).astype(np.float32)
    for _ in range(int(rng.integers(1, 5))):  # racks and handrails, out of focus
        start = rng.uniform(0.0, 1.0, 2) * (cols, rows)
        end = start + rng.normal(0.0, 0.3, 2) * cols
        grey, thick = float(rng.uniform(0.1, 0.4)), int(cols * rng.uniform(0.01, 0.06)) + 1
        cv2.line(small, start.astype(int).tolist(), end.astype(int).tolist(), grey, thick)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), cols / 50.0 + 0.5), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        centre = (int(rng.integers(0, cols)), int(rng.integers(0, rows)))
        long = cols * float(rng.uniform(0.01, 0.10))
        axes = (int(long) + 1, int(long * rng.uniform(0.2, 1.0)) + 1)
        lamp = np.zeros_like(small)
        cv2.ellipse(lamp, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        lamp = np.asarray(cv2.GaussianBlur(lamp, (0, 0), cols / 200.0 + 0.5), np.float32)
        small = np.maximum(small, lamp)
    plane = cv2.resize(brightness_nw * small, (width, height))
    colour = rng.uniform(0.7, 1.2, 3)
    return np.asarray(colour[:, None, None] * plane, dtype=np.float32)


def expose(
    light: ImageArray,
    scene: SceneParameters,
    rng: np.random.Generator,
    falloff: ImageArray | None = None,
) -> NDArray[np.uint8]:
    """Lens blur, exposure, noise and tone curve."""
    _, height, width = light.shape
    if falloff is None:
        falloff = vignette(width, height, scene.vignetting)
    picture = np.empty((height, width, 3), np.uint8)
    counts = rng.poisson(scene.hot_pixels * width * height, 3)
    hot = [(rng.integers(0, height, n), rng.integers(0, width, n)) for n in counts]
    for channel in range(3):
        plane = smear(light[channel], scene.motion_px, scene.motion_deg)
        plane = blur_image(plane, scene.psf_sigma_px)
        halo = blur_image(plane, scene.halo_sigma_px)
        plane = (1.0 - scene.halo_share) * plane + scene.halo_share * halo
        plane *= falloff * np.float32(scene.white_balance[channel] / scene.saturation_nw)
        if scene.bloom_share > 0.0:
            over = np.maximum(plane - 1.0, 0.0)
            plane += np.float32(scene.bloom_share) * blur_image(over, 3.0)
        # Clipped first: the Poisson spread of a full pixel is of no interest.
        plane = np.minimum(plane, 1.5)
        noise = rng.standard_normal((height, width), dtype=np.float32)
        read = np.float32((scene.read_noise_electrons / scene.full_well_electrons) ** 2)
        plane = plane + np.sqrt(plane / np.float32(scene.full_well_electrons) + read) * noise
        plane[hot[channel]] += 0.3
        picture[:, :, channel] = tone(plane, scene.tone_contrast)
    return picture


def vignette(width: int, height: int, loss: float) -> ImageArray:
    """Share of the light that arrives, 1 in the middle and ``1 - loss`` in the corners."""
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32) * np.float32(height / width)
    corner = 1.0 + (height / width) ** 2
    return np.asarray(1.0 - loss * (x[None, :] ** 2 + y[:, None] ** 2) / corner, dtype=np.float32)


def tone(linear: ImageArray, contrast: float) -> NDArray[np.uint8]:
    """The camera's curve: sRGB (IEC 61966-2-1), then an S-curve that darkens the shadows."""
    clipped = np.clip(linear, 0.0, 1.0)
    curve = to_srgb(np.linspace(0.0, 1.0, 16385))
    bent = curve - contrast * np.sin(2.0 * np.pi * curve) / (2.0 * np.pi)
    lookup = np.round(255.0 * bent).astype(np.uint8)
    return np.asarray(lookup[np.round(clipped * 16384.0).astype(np.int32)])


def smear(image: ImageArray, length_px: float, angle_deg: float) -> ImageArray:
    """Motion blur along a line (degrees from +x towards +y), one plane."""
    if length_px < 0.5:
        return image
    size = (int(np.ceil(length_px)) | 1) + 2
    part = np.linspace(-0.5, 0.5, 8 * size + 1)
    x = (size - 1) / 2.0 + part * length_px * np.cos(np.radians(angle_deg))
    y = (size - 1) / 2.0 + part * length_px * np.sin(np.radians(angle_deg))
    # Bilinear shares keep the kernel's centre of gravity in its middle.
    index = np.arange(size)
    share_x = np.maximum(1.0 - np.abs(index[:, None] - x), 0.0)
    share_y = np.maximum(1.0 - np.abs(index[:, None] - y), 0.0)
    kernel = (share_y @ share_x.T).astype(np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.float32)


# Colours of SODIUM, WARM_WHITE and COLD_WHITE lamps as a camera balanced for daylight sees them.
LAMP_RGB = np.array([[1.75, 0.95, 0.30], [1.30, 1.02, 0.68], [0.92, 1.03, 1.05]])
CLOUD_RGB = np.array([0.95, 1.0, 1.08])  # moonlight
GLOW_KM = 6.0  # clouds spread the light of the town below over about this far


def render(
    camera: SimCamera, world: World | None, realisation: Realisation, scene: SceneParameters
) -> NDArray[np.uint8]:
    """Take a photograph, without lightning."""
    rng = np.random.default_rng([scene.seed, 2])
    view = view_grid(camera)
    light = scene_light(camera, world, realisation, scene, view, rng)
    light += cabin_reflection(rng, camera.width_px, camera.height_px, scene.reflection_nw)
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
    light = lamp_light(camera, world, realisation, scene)
    light += np.float32(scene.ground_nw) * (perigee_m < 0.0)
    light += boat_light(camera, scene.boats, rng)
    _cover_with_clouds(light, camera, scene, view, rng)
    # Airglow over the ground matters only where the limb is in the picture
    near_limb = np.nanmax(view.perigee_m) > -50_000.0
    light += limb_light(perigee_m, scene.airglow_nw) * np.float32(near_limb)
    light += star_light(camera, perigee_m, scene.stars_per_square_degree, rng)
    return light


def lamp_light(
    camera: SimCamera, world: World | None, realisation: Realisation, scene: SceneParameters
) -> ImageArray:
    """Lamps of a world in clear air, RGB, nW cm^-2 sr^-1."""
    light = np.zeros((3, camera.height_px, camera.width_px), np.float32)
    if world is None:
        return light
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
    return light


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
            spread = blur_image(light[channel], GLOW_KM * ground_px_per_km)
            # Thick cloud lets a tenth of the light of the towns below through, spread widely.
            light[channel] *= clear
            light[channel] += (1.0 - clear) * np.float32(0.10) * spread
            light[channel] += white * np.float32(CLOUD_RGB[channel])


def to_srgb(light: NDArray[Floating]) -> NDArray[Floating]:
    """Values from 0 to 1 of linear light (IEC 61966-2-1)."""
    curve = 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curve)


def to_linear(value: NDArray[Floating]) -> NDArray[Floating]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_jpeg(picture: NDArray[np.uint8], quality: int, exif: bytes = b"") -> bytes:
    """Encode a picture as a JPEG with fixed settings (4:2:0, baseline, standard tables)."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(
        buffer, "JPEG", quality=quality, subsampling=2, optimize=False, progressive=False, exif=exif
    )
    return buffer.getvalue()


def through_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(to_jpeg(picture, quality))) as image:
        return np.asarray(image)


@dataclass(frozen=True, kw_only=True)
class Moffat:
    """A Moffat profile of unit flux (Moffat 1969, A&A 3, 455), taken at pixel centres."""

    fwhm_px: float  # full width at half maximum of a point
    beta: float  # exponent, above 1.5: small ones have wide wings

    def point(self, square_px2: ArrayLike) -> FloatArray:
        """Light per square pixel at a squared distance."""
        core2 = np.square(0.5 * self.fwhm_px / float(np.sqrt(2.0 ** (1.0 / self.beta) - 1.0)))
        fall = (1.0 + np.asarray(square_px2, float) / core2) ** -self.beta
        return np.asarray((self.beta - 1.0) / (np.pi * core2) * fall)
