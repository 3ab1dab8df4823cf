"""Simulated photographs of the real sky through a lens: what it does to light, and the frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.arrays import FloatArray, ImageArray
from matchers.geometry.sky_camera import SkyCamera

# Wings of star images are Moffat's with beta about 3 (Trujillo et al. 2001, MNRAS 328, 977; lenses
# between 2.5 and 4.8)
MOFFAT_BETA = 3
# a = FWHM / (2 sqrt(2^(1 / beta) - 1))
_SCALE_PER_FWHM = 0.5 / (2.0 ** (1.0 / MOFFAT_BETA) - 1.0) ** 0.5
_GAUSS_NODE = 0.5 / 3.0**0.5  # two-point Gauss-Legendre across a pixel
_LARGEST_HALF_PX = 90  # of the windows that stars are drawn into
# Stars end where a pixel has less than this share of the background's noise; whose brightest pixel
# has less are not drawn
_END_OF_NOISE = 0.05


@dataclass(frozen=True, kw_only=True)
class SkyLens:
    """How sharp and how bright a lens draws, by the distance from the optical axis."""

    # fwhm_px and fwhm_corner_px: full width at half maximum of stars in the middle and half a
    # diagonal away; it grows with the square of the distance.
    fwhm_px: float = 1.8
    fwhm_corner_px: float = 2.6
    # Share of the light that arrives: 1 + a1 r^2 + a2 r^4 + a3 r^6, r in half diagonals
    falloff: tuple[float, float, float] = (-0.75, 0.35, -0.10)

    def fwhm(self, camera: SkyCamera, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Full width at half maximum of stars at some pixels."""
        grown = (self.fwhm_corner_px - self.fwhm_px) * half_diagonals(camera, x, y) ** 2
        return np.asarray(self.fwhm_px + grown, float)

    def arrives(self, camera: SkyCamera, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Share of the light that arrives at some pixels, 1 on the axis."""
        r2 = half_diagonals(camera, x, y) ** 2
        a1, a2, a3 = self.falloff
        return np.asarray(np.maximum(1.0 + r2 * (a1 + r2 * (a2 + r2 * a3)), 0.0), float)


def half_diagonals(camera: SkyCamera, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Distance of pixels from the principal point in half diagonals of the image."""
    px, py = camera.principal_point
    half = 0.5 * float(np.hypot(camera.width_px, camera.height_px))
    return np.asarray(np.hypot(np.asarray(x, float) - px, np.asarray(y, float) - py) / half)


def add_stars(
    image: ImageArray,
    x: FloatArray,
    y: FloatArray,
    electrons: FloatArray,
    fwhm_px: FloatArray,
    noise_electrons: float,
) -> None:
    """Draw stars as Moffat profiles, integrated over the pixels, in place."""
    height, width, _ = image.shape
    scales = fwhm_px * _SCALE_PER_FWHM
    peaks = (MOFFAT_BETA - 1) / np.pi * electrons.max(axis=1, initial=0.0) / scales**2
    end = _END_OF_NOISE * noise_electrons
    for k in np.flatnonzero(peaks > end):
        reach = scales[k] * ((peaks[k] / end) ** (1.0 / MOFFAT_BETA) - 1.0) ** 0.5
        half = int(min(np.ceil(reach), _LARGEST_HALF_PX))
        column, row = round(x[k]), round(y[k])
        columns = np.arange(max(column - half, 0), min(column + half + 1, width))
        rows = np.arange(max(row - half, 0), min(row + half + 1, height))
        profile = np.zeros((rows.size, columns.size))
        for down in (-_GAUSS_NODE, _GAUSS_NODE):
            for right in (-_GAUSS_NODE, _GAUSS_NODE):
                r2 = (rows[:, None] + down - y[k]) ** 2 + (columns + right - x[k]) ** 2
                profile += 0.25 / (1.0 + r2 / scales[k] ** 2) ** MOFFAT_BETA
        profile *= (MOFFAT_BETA - 1) / np.pi / scales[k] ** 2
        if profile.size:
            light = profile[..., None] * electrons[k]
            image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += light.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class SkySensor:
    """A sensor and its software; the defaults are a D3S at ISO 6,400, brought down to 1,500 px."""

    full_scale_electrons: float = 15_000.0  # of a pixel of the picture at its largest value
    read_noise_electrons: float = 9.0  # one sigma
    hot_pixels: int = 40  # how many; each shines in one channel.
    # Mean brightness of hot pixels in units of the full scale (exponentially distributed)
    hot_full_scales: float = 0.2


def expose_sky(
    electrons: ImageArray, sensor: SkySensor, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Picture of mean electrons: RGB in 256 steps of the curve of sRGB."""
    height, width, _ = electrons.shape
    spread = np.sqrt(np.maximum(electrons, 0.0) + np.float32(sensor.read_noise_electrons**2))
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    counted = (electrons + spread * noise) / np.float32(sensor.full_scale_electrons)
    hot_x = rng.integers(0, width, sensor.hot_pixels)
    hot_y = rng.integers(0, height, sensor.hot_pixels)
    channel = rng.integers(0, 3, sensor.hot_pixels)
    counted[hot_y, hot_x, channel] += sensor.hot_full_scales * rng.exponential(
        size=sensor.hot_pixels
    )
    return _srgb(np.clip(counted, 0.0, 1.0).astype(np.float32))


_STEPS = 65_535


def _srgb(light: ImageArray) -> NDArray[np.uint8]:
    table = np.arange(_STEPS + 1) / _STEPS
    curve = np.where(table <= 0.0031308, 12.92 * table, 1.055 * table ** (1 / 2.4) - 0.055)
    values = np.round(255.0 * curve).astype(np.uint8)
    return np.asarray(values[np.round(light * _STEPS).astype(np.int32)])


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
    faintest_mag: float = 12.0  # fainter catalogue stars are left out


@dataclass(frozen=True, kw_only=True)
class SkyFrame:
    """A simulated frame and its truth: the stars whose middle lies within the picture."""

    picture: NDArray[np.uint8]  # shape (h, w, 3)
    index: NDArray[np.int64]  # shape (N,): Rows of the directions given, brightest first
    # x and y: shape (N,): Pixel
    x: FloatArray
    y: FloatArray
    magnitude: FloatArray  # shape (N,)


def sky_frame(
    camera: SkyCamera,
    directions: FloatArray,
    magnitudes: FloatArray,
    settings: SkySettings,
    rng: np.random.Generator,
    *,
    colours: FloatArray,
) -> SkyFrame:
    """Photograph the sky."""
    lens, sensor = settings.lens, settings.sensor
    index = _in_view(camera, directions, magnitudes, settings)
    x, y = camera.project(directions[index])
    lost = ~np.isfinite(x + y)
    x[lost], y[lost] = -1e6, -1e6  # outside of every picture
    electrons = _starlight(magnitudes[index], colours[index], settings, rng)
    electrons = electrons * lens.arrives(camera, x, y)[:, None]
    image = _background(camera, settings)
    dim = float(np.sqrt(image[..., 1].min() + sensor.read_noise_electrons**2))
    add_stars(image, x, y, electrons, lens.fwhm(camera, x, y), dim)
    inside = (np.abs(x - 0.5 * (camera.width_px - 1)) <= 0.5 * camera.width_px) & (
        np.abs(y - 0.5 * (camera.height_px - 1)) <= 0.5 * camera.height_px
    )
    kept = np.nonzero(inside & (electrons[:, 1] > 0.0))[0]
    return SkyFrame(
        picture=expose_sky(image, sensor, rng),
        index=index[kept].astype(np.int64),
        x=x[kept],
        y=y[kept],
        magnitude=magnitudes[index[kept]],
    )


def _in_view(
    camera: SkyCamera, directions: FloatArray, magnitudes: FloatArray, settings: SkySettings
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
    reach = float(np.arccos(np.clip(corners @ middle, -1.0, 1.0)).max()) + 0.02
    chosen = (directions @ middle > np.cos(reach)) & (magnitudes <= settings.faintest_mag)
    chosen = np.nonzero(chosen)[0]
    return np.asarray(chosen[np.argsort(magnitudes[chosen], kind="stable")], np.int64)


def _starlight(
    magnitudes: FloatArray,
    colours: FloatArray,
    settings: SkySettings,
    rng: np.random.Generator,
) -> FloatArray:
    """Electrons by star and channel; colours that are not known are drawn."""
    colour = rng.normal(0.0, COLOUR_SPREAD_MAG, magnitudes.size)
    colour = np.where(np.isfinite(colours), colours - SUN_COLOUR, colour)
    in_band = magnitudes[:, None] + colour[:, None] * np.array(COLOUR_TERMS)
    rate = 10.0 ** (0.4 * (np.array(settings.zero_point_mag) - in_band))
    return np.asarray(settings.exposure_s * rate, float)


def _background(camera: SkyCamera, settings: SkySettings) -> ImageArray:
    """Mean electrons without stars, shape (h, w, 3)."""
    row, column = np.mgrid[: camera.height_px, : camera.width_px].astype(np.float32)
    sky = np.asarray(settings.sky_electrons_s, np.float32) * np.float32(settings.exposure_s)
    image = np.ones((*row.shape, 1), np.float32) * sky
    image *= settings.lens.arrives(camera, column, row)[..., None].astype(np.float32)
    return np.asarray(image, np.float32)
