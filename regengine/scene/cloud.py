"""How much of the ground in a picture lies under clouds, by day and by moonlight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

DAY, NIGHT = ("day",), ("night_nocity", "cities")
# Space, station and window frames are darker than ground by day
DARK_BY_DAY = 0.08
LEAST_GROUND = 0.05  # share of the picture
# Haze lies over the whole ground: what the darkest twentieth has of each colour is taken off.
DARKEST = 0.05
# Clouds are then white: their least colour is above this (as displayed, 0 to 1) and above this
# share of the brightest cloud's, and they are not more colourful than that. Set on 23 real day
# photos whose cover was estimated by eye: 0.11 mean error, rank correlation 0.83.
WHITE_FROM, WHITE_SHARE, COLOURFUL = 0.20, 0.45, 0.60
# By moonlight ground and clouds must be this light, and clouds no more colourful than this
LIGHT_BY_NIGHT, GREY_BY_NIGHT = 0.07, 0.30
FLASH = 0.75  # lightning and the lit limb are lighter
LEAST_MOONLIT = 0.12  # share of the picture that is lit evenly, as only the Moon does it
# How far two classes of brightness must stand apart: share of the variance (Otsu 1979)
APART = 0.6
# Lamps make their surroundings uneven: standard deviation over mean, as displayed
EVEN = 0.16
LAMP_PX, SMOOTH_PX = 9, 5


def cloud_fraction(picture: ScenePicture, category: str) -> float | None:
    """Share of the ground under clouds.

    Parameters
    ----------
    picture : ScenePicture
    category : str
        Class of the scene.

    Returns
    -------
    float or None
        0 to 1; None where it cannot be told: neither a day nor a night on Earth, too little
        ground, or a night too dark or too even. Snow, salt and white sand count as clouds, an
        overcast without a gap as none.

    References
    ----------
    Chavez, P. (1988), Remote Sensing of Environment 24, 459: haze by the darkest objects.
    Otsu, N. (1979), IEEE Transactions on Systems, Man, and Cybernetics 9, 62.
    """
    if category in DAY:
        return _by_day(picture)
    if category in NIGHT:
        return _by_moonlight(picture)
    return None


def _by_day(picture: ScenePicture) -> float | None:
    ground = picture.shown & (picture.lightness > DARK_BY_DAY)
    if ground.mean() < LEAST_GROUND:
        return None
    clear = picture.rgb[ground]
    clear = np.maximum(clear - np.quantile(clear, DARKEST, axis=0), 0.0)
    least = clear.min(axis=1)
    bright = max(WHITE_FROM, WHITE_SHARE * float(np.quantile(least, 0.998)))
    return float(np.mean((least > bright) & (_colourfulness(clear) < COLOURFUL)))


def _by_moonlight(picture: ScenePicture) -> float | None:
    import cv2

    stored = np.round(255.0 * picture.rgb).astype(np.uint8)
    # Lamps are small: the median about them is that of the ground
    calm = cv2.medianBlur(stored, LAMP_PX).astype(np.float32) / np.float32(255.0)
    mean = np.asarray(cv2.GaussianBlur(calm, (0, 0), SMOOTH_PX), np.float32)
    raw = picture.rgb.max(axis=2)
    size = (2 * LAMP_PX + 1, 2 * LAMP_PX + 1)
    level = cv2.blur(raw, size)
    spread = np.sqrt(np.maximum(cv2.blur(raw * raw, size) - level**2, 0.0))
    light, grey = mean.max(axis=2), _colourfulness(mean) < GREY_BY_NIGHT
    lit = (
        picture.shown & (light > LIGHT_BY_NIGHT) & (light < FLASH) & (spread < EVEN * level + 0.02)
    )
    if (lit & grey).mean() < LEAST_MOONLIT:
        return None
    bright, apart = _threshold(light[lit])
    if apart < APART:
        return None
    return float((lit & grey & (light > bright)).sum() / lit.sum())


def _colourfulness(rgb: NDArray[np.floating]) -> NDArray[np.float32]:
    """Saturation, 0 for greys to 1."""
    highest, lowest = rgb.max(axis=-1), rgb.min(axis=-1)
    return np.asarray((highest - lowest) / np.maximum(highest, 1e-6), np.float32)


def _threshold(values: NDArray[np.float32]) -> tuple[float, float]:
    """Otsu's threshold, and the share of the variance that lies between the two sides."""
    counts, edges = np.histogram(values, 128, (0.0, 1.0))
    middle = 0.5 * (edges[1:] + edges[:-1])
    share = counts / counts.sum()
    below, first = np.cumsum(share), np.cumsum(share * middle)
    total = first[-1]
    variance = float((share * (middle - total) ** 2).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (total * below - first) ** 2 / (below * (1.0 - below))
    between = np.nan_to_num(between, nan=0.0, posinf=0.0)
    best = int(np.argmax(between))
    return float(edges[best + 1]), float(between[best]) / max(variance, 1e-12)
