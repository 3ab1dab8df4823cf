"""Simulated frames for star detectors: Moffat stars of known place over a sky, as electrons.

Nothing here is shared with ``detectors``: profiles are integrated numerically, the truth's
signal-to-noise ratios and bounds come from the noise that was put in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray

HOT_ELECTRONS = 50.0  # the faintest; full well is the brightest
TRACK_ELECTRONS = (300.0, 6000.0)  # of a whole track
TRACK_PX = (0.3, 15.0)
TRACK_STEP_PX = 0.1


def add_hot_pixels(
    rng: np.random.Generator, electrons: FloatArray, count: int, well: float
) -> None:
    """Add charge to single pixels, from a little to a full well, log-uniformly; in place."""
    h, w = electrons.shape
    charge = np.exp(rng.uniform(np.log(HOT_ELECTRONS), np.log(well), count))
    np.add.at(electrons, (rng.integers(0, h, count), rng.integers(0, w, count)), charge)


def add_cosmic_rays(
    rng: np.random.Generator,
    electrons: FloatArray,
    count: int,
    track_px: tuple[float, float] = TRACK_PX,
) -> None:
    """Add straight tracks of one pixel's width, as particles leave them; in place."""
    h, w = electrons.shape
    for _ in range(count):
        length, angle = rng.uniform(*track_px), rng.uniform(0.0, np.pi)
        steps = np.arange(0.0, length, TRACK_STEP_PX)
        row = np.rint(rng.uniform(0, h) + steps * np.sin(angle)).astype(int)
        col = np.rint(rng.uniform(0, w) + steps * np.cos(angle)).astype(int)
        inside = (row >= 0) & (row < h) & (col >= 0) & (col < w)
        charge = np.exp(rng.uniform(*np.log(TRACK_ELECTRONS))) / steps.size
        np.add.at(electrons, (row[inside], col[inside]), charge)


def add_stamp(scene: FloatArray, stamp: FloatArray, row: int, col: int) -> None:
    """Add a square stamp about a pixel, as far as it lies inside; in place."""
    half = stamp.shape[0] // 2
    h, w = scene.shape
    top, left = max(0, row - half), max(0, col - half)
    bottom, right = min(h, row + half + 1), min(w, col + half + 1)
    if top < bottom and left < right:
        scene[top:bottom, left:right] += stamp[
            top - row + half : bottom - row + half, left - col + half : right - col + half
        ]


OVERSAMPLED = 5
STEP_PX = 0.05  # half of the step of the numerical derivatives
HALF_STAMP_PX = 16


@dataclass(frozen=True, kw_only=True)
class StarfieldSettings:
    """What the frames are like; ranges are drawn uniformly (electrons: log-uniformly) for each."""

    width_px: int = 1024
    height_px: int = 1024
    stars: tuple[int, int] = (100, 400)
    faintest_peak_sigma: float = 2.0  # peak of the faintest stars over the noise of the sky
    flux_slope: tuple[float, float] = (0.6, 1.1)  # N(> F) ~ F^-slope; 0.6 to 1 along the Milky Way
    fwhm_px: tuple[float, float] = (1.8, 3.5)
    moffat_beta: tuple[float, float] = (2.5, 5.0)
    sky_electrons: tuple[float, float] = (20.0, 500.0)
    gradient: tuple[float, float] = (0.0, 0.6)  # of the sky, from side to side
    read_noise_electrons: tuple[float, float] = (2.0, 12.0)
    full_well_electrons: float = 30_000.0
    hot_pixels: tuple[int, int] = (0, 80)
    cosmic_rays: tuple[int, int] = (0, 20)
    trailed: float = 0.25  # share of frames in which the camera turned
    trail_px: tuple[float, float] = (4.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class Starfield:
    """A simulated frame and its truth."""

    light: NDArray[np.float32]  # shape (h, w): Linear light, 1 at full well
    saturated: NDArray[np.float32]  # shape (h, w): 1 where a pixel is full
    # x and y: shape (N,): Middle of each star, pixels
    x: FloatArray
    y: FloatArray
    flux: FloatArray  # shape (N,): In units of the image times square pixels
    peak_snr: FloatArray  # shape (N,): Brightest pixel over the noise of sky and read-out there
    # Shape (N, 2): Cramer-Rao bound of x and y: one sigma of the best unbiased centroid of the star
    # alone
    bound_px: FloatArray
    # Shape (N,): Inside the frame by three pixels, and no other star hides its maximum
    resolved: NDArray[np.bool_]
    fwhm_px: float  # of the profile
    trail_px: tuple[float, float] | None  # from end to end, x >= 0


def simulate_starfield(
    rng: np.random.Generator, settings: StarfieldSettings = StarfieldSettings()
) -> Starfield:
    """Draw one frame."""
    h, w = settings.height_px, settings.width_px
    sky = _sky(rng, settings)
    read = float(np.exp(rng.uniform(*np.log(settings.read_noise_electrons))))
    profile = _Profile.draw_one(rng, settings)
    count = int(rng.integers(settings.stars[0], settings.stars[1] + 1))
    x, y = rng.uniform(-0.5, w - 0.5, count), rng.uniform(-0.5, h - 0.5, count)
    slope = rng.uniform(*settings.flux_slope)
    strength = settings.faintest_peak_sigma * np.minimum(1.0 + rng.pareto(slope, count), 2e4)
    at = (np.rint(y).astype(int), np.rint(x).astype(int))
    noise = np.sqrt(sky[at] + read**2)
    centre = profile.stamp(0.0, 0.0).max()
    flux = strength * noise / centre
    scene = np.zeros((h, w))
    peak, bound = np.zeros(count), np.zeros((count, 2))
    for i in range(count):
        stamp = profile.stamp(x[i] - at[1][i], y[i] - at[0][i])
        add_stamp(scene, flux[i] * stamp, at[0][i], at[1][i])
        peak[i] = flux[i] * stamp.max() / noise[i]
        bound[i] = profile.bound(x[i] - at[1][i], y[i] - at[0][i], flux[i], noise[i] ** 2)
    resolved = _resolved(scene, x, y, profile)
    electrons = rng.poisson(sky + scene) + rng.normal(0.0, read, (h, w))
    well = settings.full_well_electrons
    add_hot_pixels(rng, electrons, int(rng.integers(*settings.hot_pixels, endpoint=True)), well)
    add_cosmic_rays(rng, electrons, int(rng.integers(*settings.cosmic_rays, endpoint=True)))
    light = np.clip(np.rint(electrons), 0.0, well) / well
    return Starfield(
        light=light.astype(np.float32),
        saturated=(electrons >= well).astype(np.float32),
        x=x,
        y=y,
        flux=flux / well,
        peak_snr=peak,
        bound_px=bound,
        resolved=resolved,
        fwhm_px=profile.fwhm_px,
        trail_px=profile.trail_px,
    )


@dataclass(frozen=True, kw_only=True)
class _Profile:
    """A Moffat profile of unit flux, drawn out along a trail."""

    fwhm_px: float
    beta: float
    trail_px: tuple[float, float] | None

    @classmethod
    def draw_one(cls, rng: np.random.Generator, settings: StarfieldSettings) -> _Profile:
        trail = None
        if rng.random() < settings.trailed:
            length, angle = rng.uniform(*settings.trail_px), rng.uniform(-0.5, 0.5) * np.pi
            trail = (float(length * np.cos(angle)), float(length * np.sin(angle)))
        return cls(
            fwhm_px=float(rng.uniform(*settings.fwhm_px)),
            beta=float(rng.uniform(*settings.moffat_beta)),
            trail_px=trail,
        )

    @property
    def half(self) -> int:
        reach = 0.0 if self.trail_px is None else 0.5 * max(np.abs(self.trail_px))
        return HALF_STAMP_PX + int(np.ceil(reach))

    def stamp(self, dx: float, dy: float) -> FloatArray:
        """The profile about (dx, dy), integrated over pixels, shape (n, n)."""
        size = 2 * self.half + 1
        fine = (np.arange(size * OVERSAMPLED) + 0.5) / OVERSAMPLED - 0.5 - self.half
        core = 0.5 * self.fwhm_px / np.sqrt(2.0 ** (1.0 / self.beta) - 1.0)
        steps = [(0.0, 0.0)]
        if self.trail_px is not None:
            count = 2 * int(np.ceil(np.hypot(*self.trail_px)))  # half a pixel apart
            along = (np.arange(count) + 0.5) / count - 0.5
            steps = [(float(t * self.trail_px[0]), float(t * self.trail_px[1])) for t in along]
        drawn = np.zeros((fine.size, fine.size))
        for step_x, step_y in steps:
            across = np.square(fine - dx - step_x) / core**2
            down = np.square(fine - dy - step_y) / core**2
            drawn += (1.0 + across[None, :] + down[:, None]) ** -self.beta
        norm = (self.beta - 1.0) / (np.pi * core**2) / len(steps) / OVERSAMPLED**2
        blocks = drawn.reshape(size, OVERSAMPLED, size, OVERSAMPLED)
        return np.asarray(norm * blocks.sum(axis=(1, 3)))

    def bound(self, dx: float, dy: float, flux: float, sky_variance: float) -> FloatArray:
        """Cramer-Rao bound of x and y with Poisson noise of star and sky, one sigma each.

        Of the Fisher information of x, y and flux; the sky is known.
        """
        stamp = self.stamp(dx, dy)
        by_x = self.stamp(dx + STEP_PX, dy) - self.stamp(dx - STEP_PX, dy)
        by_y = self.stamp(dx, dy + STEP_PX) - self.stamp(dx, dy - STEP_PX)
        slopes = np.stack([flux * by_x / (2 * STEP_PX), flux * by_y / (2 * STEP_PX), stamp])
        slopes = slopes.reshape(3, -1)
        variance = (sky_variance + flux * stamp).ravel()
        fisher = (slopes / variance) @ slopes.T
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(fisher))[:2]))


def _sky(rng: np.random.Generator, settings: StarfieldSettings) -> FloatArray:
    """Sky in electrons: a slope and a broad bow, as airglow above the limb has."""
    h, w = settings.height_px, settings.width_px
    level = np.exp(rng.uniform(*np.log(settings.sky_electrons)))
    strength, angle = rng.uniform(*settings.gradient), rng.uniform(0.0, 2.0 * np.pi)
    across = np.cos(angle) * (np.arange(w) / w - 0.5)[None, :]
    along = across + np.sin(angle) * (np.arange(h) / h - 0.5)[:, None]
    bow = 0.5 * np.exp(-0.5 * ((along - rng.uniform(-0.4, 0.4)) / 0.15) ** 2)
    return np.asarray(level * (1.0 + strength * (along + bow)))


def _resolved(
    scene: FloatArray, x: FloatArray, y: FloatArray, profile: _Profile
) -> NDArray[np.bool_]:
    """Stars with a maximum of their own in the noise-free scene, well inside the frame.

    Trails have theirs in the scene under their own filter: along a trail there is no peak.
    """
    h, w = scene.shape
    seen = scene.astype(np.float32)
    if profile.trail_px is not None:
        kernel = profile.stamp(0.0, 0.0).astype(np.float32)
        seen = np.asarray(cv2.filter2D(seen, cv2.CV_32F, kernel))
    highest = cv2.dilate(seen, np.ones((3, 3), np.uint8))
    row, col = np.nonzero((seen >= highest) & (seen > 0.0))
    maxima = np.zeros((h, w), np.uint8)
    maxima[row, col] = 1
    near = cv2.dilate(maxima, np.ones((3, 3), np.uint8)) > 0
    inside = (x >= 3.0) & (x <= w - 4.0) & (y >= 3.0) & (y <= h - 4.0)
    at = np.rint(y).astype(int), np.rint(x).astype(int)
    own = near[at]
    # Of two stars at one maximum the brighter has it
    brightness = seen[at]
    for i in np.flatnonzero(own):
        close = np.flatnonzero((np.abs(x - x[i]) < 2.0) & (np.abs(y - y[i]) < 2.0))
        own[i] = not (brightness[close] > brightness[i]).any()
    return np.asarray(inside & own)
