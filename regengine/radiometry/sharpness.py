"""How much sharper one of photo and map is than the other, out of their own fine structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.radiometry.smoothing import blurred, blurred_by

Image = NDArray[np.float32]

# Structure finer than this blur of Gaussian shape is fine, cells
FINE_CELLS = 1.5
# Blurs that are tried, cells; between them straight lines
TRIED_CELLS = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class Pair:
    """Luminance of the photo and radiance of the map, shape (h, w), and what of them counts.

    ``stretch`` is the size of a cell across over that down, inverted: blurs across over down.
    """

    luminance: Image
    radiance_nw: Image
    weight: Image
    stretch: float


def matched_blurs(
    pair: Pair, pixels: Image, place: float, given: float | None
) -> tuple[float, float]:
    """Blurs that make photo and map equally sharp.

    Pictures of the same lights have the same share of fine structure if they are equally sharp,
    also where single lights differ: a correlation would ask for ever more blur then.

    Parameters
    ----------
    pair : Pair
        Photo and map.
    pixels : ndarray of float32, shape (h, w)
        Blur of the photo by its pixels, which the map is given in any case, cells.
    place : float
        Blur that both are given for the registration's error, cells.
    given : float or None
        Blur of the map, if it is known, cells.

    Returns
    -------
    of_map, of_photo : float
        What the photo and what the map is to be blurred by beyond that, cells; one of them is 0.
    """
    if given is not None:
        return given, 0.0

    def photo(sigma: float) -> float:
        own = float(np.hypot(place, sigma))
        return fine_share(blurred(pair.luminance, pair.weight, (own, own * pair.stretch)), pair)

    def map_(sigma: float) -> float:
        fuzzy = np.hypot(pixels, np.float32(np.hypot(place, sigma)))
        return fine_share(blurred_by(pair.radiance_nw, pair.weight, fuzzy, pair.stretch), pair)

    aim_map, aim_photo = map_(0.0), photo(0.0)
    if aim_photo >= aim_map:
        return _where(photo, aim_photo, aim_map), 0.0
    return 0.0, _where(map_, aim_map, aim_photo)


def fine_share(image: Image, pair: Pair) -> float:
    """Share of an image's spread that lies in its fine structure."""
    counts = pair.weight > 0.0
    smooth = blurred(image, pair.weight, (FINE_CELLS, FINE_CELLS * pair.stretch))
    spread = float(np.var(image[counts], dtype=float))
    fine = float(np.mean((image - smooth)[counts] ** 2, dtype=float))
    return float(np.sqrt(fine / spread)) if spread > 0.0 else 0.0


def _where(share: Callable[[float], float], first: float, aim: float) -> float:
    """The blur at which the share of fine structure comes down to a value."""
    before, value = 0.0, first
    for sigma in TRIED_CELLS[1:]:
        now = share(sigma)
        if now <= aim:
            part = np.log(value / aim) / np.log(value / now) if now < value else 1.0
            return float(before + part * (sigma - before))
        before, value = sigma, now
    return TRIED_CELLS[-1]
