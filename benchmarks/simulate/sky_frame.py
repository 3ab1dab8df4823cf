"""Frames of the real sky: catalogue stars through a lens onto a sensor, with what is true of them.

Everything is composed of parts that can be used alone: `sky_optics.add_stars` draws stars,
`sky_sensor.expose_sky` develops electrons. Ground below a limb comes in as ``foreground``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.simulate.sky_optics import (
    SkyLens,
    SkyPicture,
    SkyProjection,
    SkySensor,
    add_stars,
    expose_sky,
    peak_share,
)
from detectors.types import FloatArray

ImageArray = NDArray[np.float32]

STEP_PX = 1.0  # trails are drawn as stars this far apart
# Change of a star's red, green and blue magnitude with its colour (a magnitude of BP - RP redder
# than the Sun): the camera's bands lie on both sides of Gaia's G
COLOUR_TERMS = (-0.45, 0.15, 0.75)
SUN_COLOUR = 0.82  # BP - RP, which the zero points are for
COLOUR_SPREAD_MAG = 0.5  # of BP - RP among stars to magnitude 8


@dataclass(frozen=True, kw_only=True)
class SkySettings:
    """The lens, the sensor and the sky of a frame; the defaults are 50 mm f/1.4 for a second."""

    lens: SkyLens = field(default_factory=SkyLens)
    sensor: SkySensor = field(default_factory=SkySensor)
    exposure_s: float = 1.0
    # 10 cm^2, 1,000 photons / (s cm^2 A) at magnitude 0, 900 A, a quarter of them counted: 2.2e6
    # Magnitude of the star of the Sun's colour that gives one electron a second on the axis: red,
    # green, blue
    zero_point_mag: tuple[float, float, float] = (15.2, 15.9, 15.3)
    # 22 mag / arcsec^2 is 36 electrons on a pixel of 99 arcsec; airglow and the window add more
    # Sky background of a pixel on the axis: red, green, blue
    sky_electrons_s: tuple[float, float, float] = (70.0, 120.0, 80.0)
    # Relative change of that from the middle to the right and to the lower edge
    sky_gradient: tuple[float, float] = (0.0, 0.0)
    # Rotation vector (ICRS axes) of the camera in the exposure: what draws stars out
    turn_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    faintest_mag: float = 12.0  # fainter catalogue stars are left out


@dataclass(frozen=True, kw_only=True)
class SkyFrame:
    """A simulated frame and its truth: the stars whose middle lies within the picture."""

    picture: SkyPicture  # what was photographed
    camera: SkyProjection  # at the middle of the exposure
    settings: SkySettings
    index: NDArray[np.int64]  # shape (N,): Rows of the directions given, brightest first
    # x and y: shape (N,): Pixel at the middle of the exposure
    x: FloatArray
    y: FloatArray
    trail_px: FloatArray  # shape (N, 2): Way in x and y during the exposure
    magnitude: FloatArray  # shape (N,)
    electrons: FloatArray  # shape (N, 3): Light that reached the sensor
    # Shape (N,): Mean electrons of the star in its brightest pixel, green, over the noise without
    # it
    peak_snr: FloatArray


def sky_frame(
    camera: SkyProjection,
    directions: FloatArray,
    magnitudes: FloatArray,
    settings: SkySettings,
    rng: np.random.Generator,
    *,
    colours: FloatArray | None = None,
    foreground: ImageArray | None = None,
    clear: ImageArray | None = None,
) -> SkyFrame:
    """Photograph the sky."""
    lens, sensor = settings.lens, settings.sensor
    index = _in_view(camera, directions, magnitudes, settings)
    path_x, path_y = _paths(camera, directions[index], settings.turn_rad)
    middle = path_x.shape[0] // 2
    x, y = path_x[middle], path_y[middle]
    colour = None if colours is None else colours[index]
    electrons = _starlight(magnitudes[index], colour, settings, rng)
    arrives = lens.arrives(camera, x, y)
    if clear is not None:
        arrives = arrives * _nearest(clear, x, y)
    electrons = electrons * arrives[:, None]
    fwhm = lens.fwhm(camera, x, y)
    image = _background(camera, settings, foreground, clear)
    dim = float(np.sqrt(image[..., 1].min() + sensor.read_noise_electrons**2))
    for step_x, step_y in zip(path_x, path_y, strict=True):
        add_stars(image, step_x, step_y, electrons / len(path_x), fwhm, dim)
    inside = (np.abs(x - 0.5 * (camera.width_px - 1)) <= 0.5 * camera.width_px) & (
        np.abs(y - 0.5 * (camera.height_px - 1)) <= 0.5 * camera.height_px
    )
    trail = np.stack([path_x[-1] - path_x[0], path_y[-1] - path_y[0]], axis=1)
    trail *= len(path_x) / max(len(path_x) - 1, 1)  # steps lie half a step within the ends
    noise = np.sqrt(
        settings.sky_electrons_s[1] * settings.exposure_s * arrives + sensor.read_noise_electrons**2
    )
    spread_out = np.maximum(np.hypot(*trail.T) / fwhm, 1.0)  # a trail shares its light out
    share = peak_share(fwhm) / spread_out
    kept = np.nonzero(inside & (electrons[:, 1] > 0.0))[0]
    return SkyFrame(
        picture=expose_sky(image, sensor, rng),
        camera=camera,
        settings=settings,
        index=index[kept].astype(np.int64),
        x=x[kept],
        y=y[kept],
        trail_px=trail[kept],
        magnitude=magnitudes[index[kept]],
        electrons=electrons[kept],
        peak_snr=(share * electrons[:, 1] / noise)[kept],
    )


def _in_view(
    camera: SkyProjection, directions: FloatArray, magnitudes: FloatArray, settings: SkySettings
) -> NDArray[np.int64]:
    """Stars that may reach the picture, brightest first.

    Chosen by angle, as a distorted projection may fold what lies far outside into the picture.
    """
    edge_x = (camera.width_px - 1) * np.array([0.0, 0.5, 1.0, 0.0, 1.0, 0.0, 0.5, 1.0])
    edge_y = (camera.height_px - 1) * np.array([0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0])
    middle = camera.to_sky(0.5 * (camera.width_px - 1), 0.5 * (camera.height_px - 1))
    middle = middle / np.linalg.norm(middle)
    corners = camera.to_sky(edge_x, edge_y)
    corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
    margin = float(np.linalg.norm(settings.turn_rad)) + 0.02
    reach = float(np.arccos(np.clip(corners @ middle, -1.0, 1.0)).max()) + margin
    chosen = (directions @ middle > np.cos(reach)) & (magnitudes <= settings.faintest_mag)
    chosen = np.nonzero(chosen)[0]
    return np.asarray(chosen[np.argsort(magnitudes[chosen], kind="stable")], np.int64)


def _paths(
    camera: SkyProjection, directions: FloatArray, turn_rad: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """Pixels of the stars while the camera turns, shape (steps, N); an odd number of steps."""
    steps = 1
    if any(turn_rad):
        ends = [camera.project(directions @ _turned(turn_rad, part)) for part in (-0.5, 0.5)]
        length = np.hypot(ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
        longest = float(np.nanmax(length, initial=0.0))
        steps = 2 * int(np.ceil(0.5 * longest / STEP_PX)) + 1
    # In the middle of each of so many equal parts of the exposure
    parts = (np.arange(steps) + 0.5) / steps - 0.5
    seen = [camera.project(directions @ _turned(turn_rad, part)) for part in parts]
    x, y = (np.stack(places) for places in zip(*seen, strict=True))
    lost = ~np.isfinite(x + y).all(axis=0)
    x[:, lost], y[:, lost] = -1e6, -1e6  # outside of every picture
    return x, y


def _turned(turn_rad: tuple[float, float, float], part: float) -> FloatArray:
    """Matrix for row vectors: the stars turn against the camera."""
    return np.asarray(Rotation.from_rotvec(part * np.asarray(turn_rad)).as_matrix())


def _starlight(
    magnitudes: FloatArray,
    colours: FloatArray | None,
    settings: SkySettings,
    rng: np.random.Generator,
) -> FloatArray:
    """Electrons by star and channel; colours that are not known are drawn."""
    colour = rng.normal(0.0, COLOUR_SPREAD_MAG, magnitudes.size)
    if colours is not None:
        colour = np.where(np.isfinite(colours), colours - SUN_COLOUR, colour)
    in_band = magnitudes[:, None] + colour[:, None] * np.array(COLOUR_TERMS)
    rate = 10.0 ** (0.4 * (np.array(settings.zero_point_mag) - in_band))
    return np.asarray(settings.exposure_s * rate, float)


def _background(
    camera: SkyProjection,
    settings: SkySettings,
    foreground: ImageArray | None,
    clear: ImageArray | None,
) -> ImageArray:
    """Mean electrons without stars, shape (h, w, 3)."""
    row, column = np.mgrid[: camera.height_px, : camera.width_px].astype(np.float32)
    right, down = settings.sky_gradient
    slope = 1.0 + right * (2.0 * column / (camera.width_px - 1) - 1.0)
    slope = slope + down * (2.0 * row / (camera.height_px - 1) - 1.0)
    sky = np.asarray(settings.sky_electrons_s, np.float32) * np.float32(settings.exposure_s)
    image = slope[..., None].astype(np.float32) * sky
    if clear is not None:
        image *= clear[..., None]
    if foreground is not None:
        image += foreground
    image *= settings.lens.arrives(camera, column, row)[..., None].astype(np.float32)
    return np.asarray(image, np.float32)


def _nearest(image: ImageArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Values of an image at the pixels nearest to places, at its border outside of it."""
    height, width = image.shape
    row = np.clip(np.round(y), 0, height - 1).astype(int)
    column = np.clip(np.round(x), 0, width - 1).astype(int)
    return np.asarray(image[row, column], float)
