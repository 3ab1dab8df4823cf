"""Two 16-bit frames like those of Farzaneh et al. 2021, which have no public copy.

From the paper: 1024 x 1024 pixels of an iXon Ultra 888, exposures of 0.5 s (a) and 1 s (b). One
streak of 300 x 3 px covers 9e-4 of a frame. Counts of stars and the strength of the streak are
not told; ours are a dense field and a streak that is plain to the eye.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.streak_draw import DrawnStreak, curve
from benchmarks.simulate.streak_frames import StreakFrame, StreakFrameSettings, compose
from benchmarks.simulate.streak_sky import SkySettings, draw_sky
from benchmarks.simulate.streak_stars import StarSettings

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
    """Draw frame ``a`` or ``b``.

    Parameters
    ----------
    name : str
    seed : int, optional
        Of stars, noise, and where the streak lies.

    Raises
    ------
    KeyError
        If the name is neither.
    """
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
