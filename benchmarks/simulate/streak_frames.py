"""Simulated frames for streak detectors: streaks of known place and strength over a starry sky.

Nothing here is shared with ``detectors``. ``streak_frame(seed)`` is a frame; seeds 0 to 999 are
for tuning, those from 10,000 on for the benchmark alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.starfield import add_cosmic_rays, add_hot_pixels
from benchmarks.simulate.streak_draw import DrawnStreak, StreakSettings, draw_streaks
from benchmarks.simulate.streak_light import Ground, Sky, SkySettings, add_streak, draw_sky
from benchmarks.simulate.streak_stars import StarSettings, add_stars, bleed, draw_point, draw_trail
from benchmarks.simulate.streak_truth import StreakTruth

TEST_SEED0 = 10_000
LONG_RAYS, LONG_RAY_PX = 0.2, (15.0, 40.0)  # share of the cosmic rays that graze the sensor


@dataclass(frozen=True, kw_only=True)
class StreakFrameSettings:
    """What the frames are like; ranges are drawn uniformly (electrons: log-uniformly) for each."""

    width_px: int = 1024
    height_px: int = 1024
    sky: SkySettings = field(default_factory=SkySettings)
    stars: StarSettings = field(default_factory=StarSettings)
    streaks: StreakSettings = field(default_factory=StreakSettings)
    read_noise_electrons: tuple[float, float] = (2.0, 12.0)
    full_well_electrons: float = 30_000.0
    hot_pixels_per_megapixel: tuple[int, int] = (0, 80)
    cosmic_rays_per_megapixel: tuple[int, int] = (0, 20)


LARGE = StreakFrameSettings(width_px=4000, height_px=3000)


@dataclass(frozen=True, kw_only=True)
class StreakFrame:
    """A simulated frame and its truth."""

    # Shape (h, w): Linear light, 1 at full well, in steps of one electron
    light: NDArray[np.float32]
    saturated: NDArray[np.float32]  # shape (h, w): 1 where a pixel is full
    truth: StreakTruth  # all streaks, also those too faint or too short to be wanted
    seed: int
    cloudy: bool
    trail_px: tuple[float, float] | None  # of all stars, from end to end
    fwhm_px: float  # of a star
    stars: int


def streak_frame(seed: int, settings: StreakFrameSettings = StreakFrameSettings()) -> StreakFrame:
    """Draw one frame."""
    rng = np.random.default_rng([seed, settings.width_px, settings.height_px])
    width, height = settings.width_px, settings.height_px
    drawn = draw_streaks(rng, seed, width, height, settings.streaks)
    sky = draw_sky(rng, width, height, settings.sky)
    return compose(rng, seed, drawn, sky, settings)


def compose(
    rng: np.random.Generator,
    seed: int,
    drawn: list[DrawnStreak],
    sky: Sky,
    settings: StreakFrameSettings,
) -> StreakFrame:
    """The frame of these streaks before this sky; stars, noise and defects are drawn."""
    width, height = settings.width_px, settings.height_px
    read = float(np.exp(rng.uniform(*np.log(settings.read_noise_electrons))))
    ground = Ground(variance=sky.electrons + read**2, passed=sky.passed)
    point = draw_point(rng, settings.stars)
    trail = draw_trail(rng, settings.stars)
    scene = np.zeros((height, width))
    sigma = float(np.sqrt(np.median(ground.variance)))
    stars = add_stars(rng, scene, sigma, point, trail, settings.stars)
    scene *= sky.passed
    well = settings.full_well_electrons
    true = [add_streak(scene, one, point, ground, well) for one in drawn]
    electrons = rng.poisson(sky.electrons + scene) + rng.normal(0.0, read, scene.shape)
    megapixels = width * height / 2**20
    hot = round(megapixels * rng.uniform(*settings.hot_pixels_per_megapixel))
    rays = round(megapixels * rng.uniform(*settings.cosmic_rays_per_megapixel))
    add_hot_pixels(rng, electrons, hot, well)
    grazing = int(rng.binomial(rays, LONG_RAYS))
    add_cosmic_rays(rng, electrons, rays - grazing)
    add_cosmic_rays(rng, electrons, grazing, LONG_RAY_PX)
    if rng.random() < settings.stars.bleeding:
        bleed(electrons, well)
    light = np.clip(np.rint(electrons), 0.0, well) / well
    return StreakFrame(
        light=light.astype(np.float32),
        saturated=(electrons >= well).astype(np.float32),
        truth=StreakTruth.of([one for one in true if one is not None]),
        seed=seed,
        cloudy=sky.cloudy,
        trail_px=trail,
        fwhm_px=point.fwhm_px,
        stars=stars,
    )
