"""How much of the ground clouds hide, by night: the share of the map's lights that are not seen.

The strongest towns of the map under the solved camera are sought among the towns of the photo. What
meets by chance is told by shifting them, and taken off; a part is not met under a clear sky
either. Of 69 simulated frames seen by their true cameras (25 clear, the others under opaque clouds
up to 0.56 of the ground, with thin ones beside) the result was off by 0.08 in the mean, and clear
ones came out at 0.05. Where a quarter or more was covered, 0.36 in the mean, it told 0.21: it ranks
frames, and is no measure of the area. Lights that were switched off since the map was made count as
hidden, and so do those behind smoke or thick haze.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matchers.camera import Camera
from matchers.photo_light import LightImage
from matchers.towns import Towns, find_towns
from matchers.verify import MEETING_PX, chance_shifts
from matchers.view import render_known
from regengine.light_windows import HasWindows, footprint_window, ground_sample_km

FloatArray = NDArray[np.float64]

COMPARED_PX = 512  # long side
MARGIN_KM = 25.0
EXPECTED = 40  # strongest of the map: 20 and 80 did no better
FEWEST_EXPECTED = 15
FEWEST_SEEN = 5  # of the photo: with fewer its exposure is in doubt
MOST_SEEN = 400
NEIGHBOURS = 4
# Grain of clouds and noise meet many: what is seen counts if its contrast, over the map's, is this
# share of what it is in the median of the frame; 0 and 0.5 did no better in the mean, but without
# it a sample half under moonlit cloud came out at 0.13 instead of 0.24
LEAST_SHARE = 0.3
# Median share of the expected that was met beyond chance in the clear frames (quartiles 0.79, 0.89)
MET_IF_CLEAR = 0.84


def hidden_share(image: LightImage, camera: Camera, light_map: HasWindows) -> float | None:
    """Share of the expected lights that clouds hide.

    Parameters
    ----------
    image : LightImage
        City light of the photo.
    camera : Camera
        The solved camera of the stored image.
    light_map : HasWindows
        The night-light map.

    Returns
    -------
    float or None
        0 to 1; None where the map has too few lights in sight, or the photo has hardly any.
    """
    picture = image.resized(COMPARED_PX)
    small = picture.camera(camera)
    levels = footprint_window(light_map, camera, MARGIN_KM, ground_sample_km(small) / 1.2)
    if levels is None:
        return None
    view, known = render_known(levels, small, 2)
    weight = np.asarray(picture.weight * known, np.float32)
    expected = find_towns(view, weight, EXPECTED)
    seen = find_towns(picture.values, weight, MOST_SEEN)
    if len(expected) < FEWEST_EXPECTED or len(seen) < FEWEST_SEEN:
        return None
    met, chance = met_shares(expected, seen, (picture.values.shape[1], picture.values.shape[0]))
    beyond_chance = (met - chance) / max(1.0 - chance, 1e-9)
    return float(np.clip(1.0 - beyond_chance / MET_IF_CLEAR, 0.0, 1.0))


def met_shares(expected: Towns, seen: Towns, size_px: tuple[int, int]) -> tuple[float, float]:
    """Share of expected towns that are met by seen ones as strong, and what chance alone gives.

    Parameters
    ----------
    expected, seen : Towns
        Of one picture.
    size_px : tuple of int
        Its width and height.

    Returns
    -------
    met, chance : float
        0 to 1.
    """
    brightest = brightest_within(expected.positions, seen)
    share = brightest / expected.contrast
    met = brightest > 0.0
    usual = float(np.median(share[met])) if met.any() else 0.0
    least = LEAST_SHARE * usual * expected.contrast
    shifted = expected.positions[None] + chance_shifts()[:, None]
    inside = ((shifted >= 0.0) & (shifted < np.array(size_px))).all(axis=2)
    by_chance = brightest_within(shifted.reshape(-1, 2), seen).reshape(inside.shape)
    counts = (by_chance > least) & (by_chance > 0.0)
    chance = float(counts[inside].mean()) if inside.any() else 0.0
    return float((met & (brightest >= least)).mean()), chance


def brightest_within(places: FloatArray, towns: Towns) -> FloatArray:
    """Contrast of the strongest town that meets each place, shape (n,); 0 where none does."""
    near = cKDTree(towns.positions).query(
        places, k=min(NEIGHBOURS, len(towns)), distance_upper_bound=MEETING_PX
    )[1]
    contrast = np.append(towns.contrast, 0.0)  # for the neighbours that are not there
    return np.asarray(contrast[near.reshape(len(places), -1)].max(axis=1), np.float64)
