"""How many streaks as clear as one noise alone would show in a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr

FloatArray = NDArray[np.float64]

# Independent segments a pixel: places, directions and lengths that a fit may choose from. An
# estimate: in white noise as many candidates rise above a threshold as 14 normal numbers a pixel
# would, and the fit, free to move ends, bow and width, is given ten times that
TRIALS_PER_PIXEL = 150.0


def log10_false_alarm(snr: ArrayLike, pixels: int) -> FloatArray:
    """Decimal logarithm of the expected number of noise streaks of at least that SNR.

    Expected number = trials a pixel x pixels x Q(snr), with the tail Q of the normal distribution:
    the look-elsewhere correction.

    Parameters
    ----------
    snr : array of float
    pixels : int
        Of the frame.
    """
    tail = log_ndtr(-np.asarray(snr, float)) / np.log(10.0)
    return np.asarray(tail + np.log10(TRIALS_PER_PIXEL * pixels))


def snr_for(log10_expected: float, pixels: int) -> float:
    """Signal-to-noise ratio at which noise shows so many streaks in a frame."""
    return float(
        brentq(lambda snr: float(log10_false_alarm(snr, pixels)) - log10_expected, 0.0, 40.0)
    )
