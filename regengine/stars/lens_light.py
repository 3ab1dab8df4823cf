"""Zero points and limiting magnitude of photos whose lens was fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.star_types import StarFlag
from matchers.lens_terms import LensChoice
from matchers.star_pairs import StarPairs
from regengine.lens_profile import ChannelPhotometry, Exposure, Falloff
from regengine.stars.catalogue import StarCatalogue
from regengine.stars.lens_photo import LensPhoto
from regengine.stars.photometry import fit_channel, limiting_magnitude

FloatArray = NDArray[np.float64]


def light_of_stars(
    photos: Sequence[LensPhoto],
    pairs: Sequence[StarPairs],
    choice: LensChoice,
    catalogue: StarCatalogue,
    falloff: Falloff | None,
) -> tuple[Exposure | None, tuple[ChannelPhotometry, ...]]:
    """Zero points of the photos that share the first one's aperture and sensitivity.

    Parameters
    ----------
    photos : sequence of LensPhoto
    pairs : sequence of StarPairs
        Detections and stars of each photo.
    choice : LensChoice
        The lens.
    catalogue : StarCatalogue
    falloff : Falloff or None
        Of the lens; taken out where it is known.

    Returns
    -------
    exposure : Exposure or None
        None, and no channel, where stars are too few.
    channels : tuple of ChannelPhotometry
    """
    first = photos[0].frame
    alike = [
        k
        for k, photo in enumerate(photos)
        if (photo.frame.aperture_f, photo.frame.iso) == (first.aperture_f, first.iso)
        and (photo.frame.exposure_s is None) == (first.exposure_s is None)
        and photo.channels.keys() == photos[0].channels.keys()
    ]
    channels = []
    for name in photos[0].channels:
        columns = [_starlight(photos[k], pairs[k], name, choice, catalogue, falloff) for k in alike]
        magnitude, colour, flux, sigma = (
            np.concatenate(part) for part in zip(*columns, strict=True)
        )
        channel = fit_channel(name, magnitude, colour, flux, sigma)
        if channel is not None:
            channels.append(channel)
    same = [k for k in alike if photos[k].frame.exposure_s == first.exposure_s]
    limit = limiting_magnitude(
        np.concatenate([catalogue.magnitude_g[pairs[k].star] for k in same]),
        np.concatenate([photos[k].stars.snr[pairs[k].detection] for k in same]),
    )
    if limit is None or not channels:
        return None, ()
    exposure = Exposure(
        exposure_s=first.exposure_s,
        aperture_f=first.aperture_f,
        iso=first.iso,
        limiting_mag=limit[0],
        limiting_scatter_mag=limit[1],
    )
    return exposure, tuple(channels)


def _starlight(
    photo: LensPhoto,
    pairs: StarPairs,
    channel: str,
    choice: LensChoice,
    catalogue: StarCatalogue,
    falloff: Falloff | None,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Magnitudes, colours, light a second without the falloff, and its sigma, of whole stars."""
    light = photo.channels[channel]
    clear = (photo.stars.flags[pairs.detection] & StarFlag.SATURATED) == 0
    kept = clear & light.whole[pairs.detection]
    detection, star = pairs.detection[kept], pairs.star[kept]
    scale = np.full(detection.size, photo.frame.exposure_s or 1.0)
    if falloff is not None:
        lens = choice.fit.cameras[0]
        half = 0.5 * float(np.hypot(lens.width_px, lens.height_px))
        px, py = lens.principal_point
        r = np.hypot(photo.stars.x[detection] - px, photo.stars.y[detection] - py) / half
        scale = scale * np.maximum(falloff.arrives(r), 0.05)
    colour = catalogue.magnitude_bp[star] - catalogue.magnitude_rp[star]
    return (
        catalogue.magnitude_g[star],
        colour,
        light.flux[detection] / scale,
        light.sigma[detection] / scale,
    )
