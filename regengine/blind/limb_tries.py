"""What is tried where the limb tells the tilt: the photo drawn as a map around its nadir."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from detectors.limb import Limb
from matchers.camera import Camera
from regengine.blind.attempt import Attempt, attempt
from regengine.blind.earth_index import EarthIndex
from regengine.blind.proposals import (
    LEVELLED_ALTITUDES_KM,
    LEVELLED_PIXELS_KM,
    propose_levelled,
    smoothed,
)
from regengine.hypotheses import PhotoLights
from regengine.lenses import CROP_SCALES, SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_CROPPED
from regengine.limb_sweep import nadir_at_scale


def along_limb(
    index: EarthIndex, lights: PhotoLights, stored: Camera, limb: Limb
) -> Iterator[Attempt]:
    """Try the heights and scales of a photo whose limb tells its tilt.

    Parameters
    ----------
    index : EarthIndex
    lights : PhotoLights
        Of the photo.
    stored : Camera
        Camera of the stored image at the focal length with which the limb was found.
    limb : Limb
        The photo's.

    Yields
    ------
    Attempt
    """
    scales = [(1.0, SIGMA_LOG_FOCAL), (limb.focal_ratio, SIGMA_LOG_FOCAL_CROPPED)]
    scales += [(crop, SIGMA_LOG_FOCAL_CROPPED) for crop in CROP_SCALES]
    levels = [level for level in LEVELLED_PIXELS_KM if level in index.levels]
    for mirrored, (scale, sigma), hazy in product((False, True), scales, (False, True)):
        lens = replace(stored, focal_px=stored.focal_px * scale)
        image, nadir = lights.of(hazy), nadir_at_scale(limb, scale)
        if mirrored:
            image, nadir = image.flipped(), nadir * np.array([-1.0, 1.0, 1.0])
        smooth = smoothed(image)
        for pixel_km in levels:
            found = [
                proposal
                for altitude_km in LEVELLED_ALTITUDES_KM
                for proposal in propose_levelled(index, pixel_km, smooth, lens, nadir, altitude_km)
            ]
            yield attempt(found, sigma, mirrored=mirrored, hazy=hazy)
