"""Linear light as a picture stores it."""

from __future__ import annotations

import numpy as np


def encoded(light, full=255):
    """sRGB (IEC 61966-2-1) of light from 0 to 1, of 8 or 16 bits."""
    light = np.clip(light, 0.0, 1.0)
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(full * curved).astype(np.uint8 if full == 255 else np.uint16)
