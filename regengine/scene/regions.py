"""Sky and Earth in a picture, on either side of the limb, and the lights in each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.limb import Limb, find_limb, mask_sky
from detectors.types import FloatArray
from regengine.scene.picture import ScenePicture

# Of the station, to half a degree of the horizon's dip
ALTITUDE_KM = 410.0
# Lights count as below the limb from here on below the horizon, where haze and towns at the limb
# end, and as above it from here on above it, where the airglow ends (2.3 degrees) with some error:
# its band has peaks of its own
BELOW_DEG, ABOVE_DEG = 1.5, 3.0
# A light is a peak of the difference of these Gaussians: as wide as a star's image, and its
# surroundings, pixels
LIGHT_PX, AROUND_PX = 1.0, 3.0
# It rises above the noise by so many robust sigmas (one chance peak in 10⁹ pixels), and by so many
# levels of an 8-bit file, below which compression makes peaks
PEAK_SIGMAS, PEAK_LEVELS = 6.0, 2.0


@dataclass(frozen=True, kw_only=True)
class LimbLights:
    """Numbers of lights in the sky above the airglow, and on the Earth below the limb."""

    above: int
    below: int


@dataclass(frozen=True, kw_only=True)
class LimbRegions:
    """Sky and Earth in a picture, and the lights in each, as pixels x, y of shape (N, 2)."""

    limb: Limb
    above: FloatArray
    below: FloatArray

    @property
    def lights(self) -> LimbLights:
        return LimbLights(above=len(self.above), below=len(self.below))


def find_limb_regions(picture: ScenePicture) -> LimbRegions | None:
    """Find the limb and the lights on either side of it; None if it is not in view."""
    light = picture.brightest
    hidden = ~picture.shown
    limb = find_limb(light, focal_px=None, altitude_km=ALTITUDE_KM, ignored=hidden)
    if limb is None:
        return None
    fine, coarse = (
        cv2.GaussianBlur(light, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
        for sigma_px in (LIGHT_PX, AROUND_PX)
    )
    detail = fine - coarse
    noise = 1.4826 * float(np.median(np.abs(detail - np.median(detail))))
    highest = cv2.dilate(detail, np.ones((3, 3), np.uint8))
    peaks = (detail >= highest) & (detail > PEAK_SIGMAS * noise + PEAK_LEVELS / 255.0)
    peaks &= picture.shown
    above = mask_sky(limb, peaks.shape, margin_deg=-ABOVE_DEG)
    below = ~mask_sky(limb, peaks.shape, margin_deg=BELOW_DEG)
    lights = (np.argwhere(peaks & side)[:, ::-1].astype(np.float64) for side in (above, below))
    return LimbRegions(limb=limb, above=next(lights), below=next(lights))
