"""Cameras for far tilts, at which a picture must be drawn as a map before it is compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.blind.dense import dense_levels, propose_dense
from regengine.blind.earth_index import EarthIndex
from regengine.blind.proposals import (
    ALTITUDE_KM,
    Proposal,
    propose_levelled,
    smoothed,
    suitable_levels,
)
from regengine.blind.tilts import FAR_LIGHT_RINGS, FAR_RINGS, far_nadirs, stretch

FloatArray = NDArray[np.float64]


def far_figures(
    index: EarthIndex,
    image: LightImage,
    lens: Camera,
    pixel_km: float,
    ways: list[FloatArray],
) -> list[Proposal]:
    """Cameras that figures of towns speak for, the picture drawn as a map for each direction.

    Parameters
    ----------
    index : EarthIndex
    image : LightImage
        The photo; of a mirrored one, flipped.
    lens : Camera
        Of the stored image, not mirrored.
    pixel_km : float
        The level.
    ways : list of ndarray of float64, shape (3,)
        Directions of the nadir.

    Returns
    -------
    list of Proposal
        In no order.
    """
    smooth = smoothed(image)
    return [
        proposal
        for nadir in ways
        for proposal in propose_levelled(
            index, pixel_km, smooth, lens, nadir, ALTITUDE_KM, of_limb=False
        )
    ]


def far_out(
    index: EarthIndex, image: LightImage, stored: Camera, upright: bool
) -> Iterator[list[Proposal]]:
    """Try figures in all far rings, each at the level that suits it; upright as in `far_nadirs`."""
    for off_nadir_deg, count in FAR_RINGS:
        stretched = stretch(off_nadir_deg, ALTITUDE_KM)
        ways = far_nadirs(off_nadir_deg, count, upright)
        for pixel_km in suitable_levels(stored, index.levels, stretched)[:1]:
            yield far_figures(index, image, stored, pixel_km, ways)


def far_light(
    index: EarthIndex, image: LightImage, stored: Camera, upright: bool, finer: int
) -> list[Proposal]:
    """Cameras that light around towns speaks for, in all far rings.

    Parameters
    ----------
    index, image, stored
        As of `far_figures`.
    upright : bool
        As of `far_nadirs`.
    finer : int
        Which of the useful levels of each ring: 0 is the coarsest.

    Returns
    -------
    list of Proposal
        In no order.
    """
    found = []
    for off_nadir_deg, count in FAR_LIGHT_RINGS:
        levels = dense_levels(stored, list(index.levels), stretch(off_nadir_deg, ALTITUDE_KM))
        ways = far_nadirs(off_nadir_deg, count, upright)
        for pixel_km in levels[finer : finer + 1]:
            found += propose_dense(index, pixel_km, image, stored, ways)
    return found
