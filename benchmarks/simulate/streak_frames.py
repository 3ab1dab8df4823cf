"""Simulated frames for streak detectors: streaks of known place and strength over a starry sky.

Nothing here is shared with ``detectors``. ``streak_frame(seed)`` is a frame; seeds 0 to 999 are
for tuning, those from 10,000 on for the benchmark alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.starfield import add_cosmic_rays, add_hot_pixels
from benchmarks.simulate.streak_draw import DrawnStreak, StreakSettings, curve, draw_streaks
from benchmarks.simulate.streak_light import Ground, Sky, SkySettings, add_streak, draw_sky
from benchmarks.simulate.streak_stars import StarSettings, add_stars, bleed, draw_point, draw_trail
from benchmarks.simulate.streak_truth import StreakTruth

FloatArray = NDArray[np.float64]
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
    """A simulated frame and its truth.

    Attributes
    ----------
    light : ndarray of float32, shape (h, w)
        Linear light, 1 at full well, in steps of one electron.
    saturated : ndarray of float32, shape (h, w)
        1 where a pixel is full.
    truth : StreakTruth
        All streaks, also those too faint or too short to be wanted.
    seed : int
    cloudy : bool
    trail_px : tuple of float or None
        Of all stars, from end to end.
    fwhm_px : float
        Of a star.
    stars : int
    """

    light: NDArray[np.float32]
    saturated: NDArray[np.float32]
    truth: StreakTruth
    seed: int
    cloudy: bool
    trail_px: tuple[float, float] | None
    fwhm_px: float
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


# Two 16-bit frames like those of Farzaneh et al. 2021, which have no public copy.

EXPOSURE_S = {"a": 0.5, "b": 1.0}
STREAK_PX, PEAK_SNR = 300.0, 6.0
SKY_ELECTRONS_S = 120.0
# Andor's data sheet of the iXon Ultra 888: active pixels hold 80,000 electrons; read noise without
# multiplication 3.5 to 30 electrons, by the rate
WELL_ELECTRONS, READ_ELECTRONS = 80_000.0, 6.0
FULL_SCALE = 65_535


@dataclass(frozen=True, kw_only=True)
class PaperFrame:
    """A frame as the paper's programs read it.

    Attributes
    ----------
    name : str
        ``a`` or ``b``.
    exposure_s : float
    counts : ndarray of uint16, shape (1024, 1024)
    frame : StreakFrame
        The same as light, with the truth.
    """

    name: str
    exposure_s: float
    counts: NDArray[np.uint16]
    frame: StreakFrame


def paper_frame(name: str, seed: int = 0) -> PaperFrame:
    """Draw frame ``a`` or ``b``."""
    exposure = EXPOSURE_S[name]
    sky = SkySettings(
        electrons=(SKY_ELECTRONS_S * exposure,) * 2,
        gradient=(0.1, 0.1),
        vignetting=(0.1, 0.1),
        cloudy=0.0,
    )
    settings = StreakFrameSettings(
        sky=sky,
        stars=StarSettings(
            per_megapixel=(250, 250), fwhm_px=(2.2, 2.2), moffat_beta=(3.0, 3.0), trailed=0.0
        ),
        read_noise_electrons=(READ_ELECTRONS,) * 2,
        full_well_electrons=WELL_ELECTRONS,
    )
    rng = np.random.default_rng([seed, ord(name)])
    angle = rng.uniform(0.0, np.pi)
    middle = rng.uniform(250.0, 773.0, 2)
    step = 0.5 * STREAK_PX * np.array([np.cos(angle), np.sin(angle)])
    first, last = (middle - step).tolist(), (middle + step).tolist()
    x, y = curve(first[0], first[1], last[0], last[1], 0.0)
    streak = DrawnStreak(
        x=x,
        y=y,
        light=np.ones(x.size),
        widen=np.full(x.size, 1.2),  # 3 px wide across
        lanes_px=(0.0,),
        bow_px=0.0,
        peak_snr=PEAK_SNR * float(np.sqrt(exposure / EXPOSURE_S["a"])),
        kind="satellite",
        tumbling=False,
    )
    drawn = draw_sky(rng, settings.width_px, settings.height_px, sky)
    frame = compose(rng, seed, [streak], drawn, settings)
    counts = np.rint(frame.light.astype(np.float64) * FULL_SCALE).astype(np.uint16)
    light = (counts / FULL_SCALE).astype(np.float32)
    return PaperFrame(
        name=name, exposure_s=exposure, counts=counts, frame=replace(frame, light=light)
    )
