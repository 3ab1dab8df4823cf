"""Display colours of images that have none, such as FITS: dark sky, visible faint light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Black lies so many sigma below the median, and light is compressed beyond as many above it
BLACK_SIGMAS, LINEAR_SIGMAS = 2.0, 4.0
WHITE_SHARE = 0.9995  # of the pixels lie below white
LEAST_WHITE_SIGMAS = 40.0


def stretched(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light of any range as colours to look at.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w, 3) or (h, w, 1)
        Finite; any scale and sign.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Inverse hyperbolic sine of the light above the sky (Lupton et al. 2004), the same for all
        colours. A constant image is one dark grey.

    References
    ----------
    Lupton, R. et al. (2004). Preparing red-green-blue images from CCD data. PASP 116, 133-137.
    """
    planes = []
    for k in range(light.shape[2]):
        plane = light[..., k].astype(np.float64)
        middle = np.median(plane)
        # The darker half: stars and nebulae do not count
        sigma = 1.4826 * float(np.median(middle - plane[plane <= middle]))
        planes.append((plane - middle, sigma))
    sigma = max(sigma for _, sigma in planes)
    above = np.stack([plane for plane, _ in planes], axis=-1)
    white = float(np.quantile(above, WHITE_SHARE))
    if sigma == 0.0:
        sigma = white / LEAST_WHITE_SIGMAS if white > 0.0 else 1.0
    white = max(white, LEAST_WHITE_SIGMAS * sigma)
    softening = LINEAR_SIGMAS * sigma
    low = np.arcsinh(-BLACK_SIGMAS * sigma / softening)
    value = (np.arcsinh(above / softening) - low) / (np.arcsinh(white / softening) - low)
    shown = np.rint(255.0 * np.clip(value, 0.0, 1.0)).astype(np.uint8)
    return shown if shown.shape[2] == 3 else np.repeat(shown, 3, axis=2)
