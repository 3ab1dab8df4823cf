"""How surely the picture as a whole lies where a camera puts it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage, detail, evened
from matchers.picture_odds import picture_log10_odds
from matchers.view import render_known

# Finer than what finalists are aligned by: outlines of districts, which few cameras share
PICTURE_DETAIL_PX = 3.0
PICTURE_SMOOTH_PX = 0.8
# Shifts shorter than this times the detail's scale show the same place
SAME_PICTURE = 3.0


def picture_proof(
    image: LightImage, camera: Camera, levels: Sequence[LightGrid], size_px: int
) -> float:
    """Weigh the picture as a whole under a camera against chance.

    Parameters
    ----------
    image : LightImage
        The photo's light, broad structure and all.
    camera : Camera
        Of the stored image.
    levels : sequence of LightGrid
        Map pyramid around what the camera sees.
    size_px : int
        Long side at which they are compared.

    Returns
    -------
    float
        As `matchers.picture_odds.picture_log10_odds`.
    """
    scale_px = PICTURE_DETAIL_PX
    picture = image.resized(size_px, detail_px=scale_px)
    view, known = render_known(levels, picture.camera(camera), 2)
    view = np.asarray(cv2.GaussianBlur(view, (0, 0), PICTURE_SMOOTH_PX), np.float32)
    weight = np.asarray(picture.weight * known, np.float32)
    photo = evened(picture.values, scale_px, weight)
    # What hides the photo hides nothing of the map under its other shifts
    shown = evened(detail(view, scale_px, known), scale_px, known) * known
    return picture_log10_odds(photo, shown, weight, SAME_PICTURE * scale_px)
