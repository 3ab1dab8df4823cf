"""From a photo with a limb to its attitude: detect the stars above, identify them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from math import hypot

import numpy as np
from numpy.typing import NDArray

from detectors.limb import sky_mask
from detectors.limb_geometry import limb_angle_deg
from matchers.sky_camera import SkyCamera
from matchers.star_fit import LensPrior
from regengine.celestial_rotation import icrs_to_itrf, turned_by_clock
from regengine.image import read_linear_light
from regengine.lenses import SIGMA_LOG_FOCAL
from regengine.looks import likely_offsets
from regengine.photo_stars import detect_stars
from regengine.stars.attitude import LEAST_STAR_HEIGHT_KM, StarAttitude, attitude_of
from regengine.stars.catalogue import StarCatalogue, load_catalogue
from regengine.stars.limb_solver import solve_above_limb
from regengine.stars.sky import SkyView
from regengine.stars.solution import StarSolution

FloatArray = NDArray[np.float64]

# Stars are points; larger pictures are averaged down to this
DETECTION_PX = 2000
LEAST_SKY = 0.04  # of the picture: below it stars are too few, and the time is saved
# Half a degree along the orbit; the solver bears 0.8
NADIR_STEP_KM = 80.0
NADIRS_PER_GROUP, MOST_NADIRS = 60, 240
# The arc's curvature is that of a horizon to so much, and agrees with what is told within these
LEAST_CURVATURE_SIGMA, AGREEING_SIGMAS = 0.02, 2.0
# The lens' axis in pictures whose shape is the sensor's, and in others: shares of the long side
USUAL_SHARE, CROPPED_SHARE = 0.01, 0.15
MEAN_YEAR, FAINTEST_MAG = 2015.0, 8.0


def read_sky(view: SkyView) -> StarAttitude | None:
    """The attitude that the stars above a limb tell, if they prove one.

    Parameters
    ----------
    view : SkyView
        The photo.

    Returns
    -------
    StarAttitude or None

    Raises
    ------
    FrameError
        If the photo cannot be read.
    CatalogueError
        If the star catalogue is missing or damaged.
    """
    time_utc = view.frame.time_utc
    if time_utc is None:
        return None
    # The sky begins where refraction no longer bends starlight
    raised_deg = limb_angle_deg(view.altitude_km, LEAST_STAR_HEIGHT_KM) - view.limb.hard_edge_deg
    if sky_mask(view.limb, view.limb.shape, margin_deg=-raised_deg).mean() < LEAST_SKY:
        return None
    picture = read_linear_light(view.frame.path, max_long_side_px=DETECTION_PX)
    sky = sky_mask(view.limb, picture.light.shape, margin_deg=-raised_deg)
    stars = detect_stars(picture, mask=~sky)
    for focal_px, sigma_log_focal in focal_guesses(view):
        solution = solve_above_limb(
            stars,
            view.limb,
            nominal_lens(view, focal_px),
            LensPrior(
                log_focal=sigma_log_focal,
                principal_share=CROPPED_SHARE if view.frame.may_be_cropped else USUAL_SHARE,
            ),
            nadirs(view),
            _catalogue(),
            float(sky.mean()),
        )
        if isinstance(solution, StarSolution):
            return attitude_of(solution, time_utc)
    return None


def focal_guesses(view: SkyView) -> list[tuple[float, float]]:
    """Focal lengths worth trying, pixels of the stored image, with their relative sigmas.

    The limb's curvature tells one to a few percent: it stands against what is told, if that is
    far from it, and otherwise beside it.
    """
    limb = view.limb
    factor = max(view.stored.width_px, view.stored.height_px) / max(limb.shape)
    ratio, sigma = limb.focal_ratio, max(limb.focal_ratio_sigma, LEAST_CURVATURE_SIGMA)
    used_px = limb.focal_px * factor
    if not view.focal_known:
        return [(used_px * ratio, hypot(sigma, SIGMA_LOG_FOCAL))]
    off = math.log(ratio)
    if abs(off) > AGREEING_SIGMAS * hypot(sigma, SIGMA_LOG_FOCAL):
        return [(used_px * ratio, hypot(sigma, SIGMA_LOG_FOCAL)), (used_px, SIGMA_LOG_FOCAL)]
    share = SIGMA_LOG_FOCAL**2 / (SIGMA_LOG_FOCAL**2 + sigma**2)
    return [(used_px * math.exp(share * off), SIGMA_LOG_FOCAL)]


def nominal_lens(view: SkyView, focal_px: float) -> SkyCamera:
    """The lens of the stored image as it is believed to be."""
    width, height = view.stored.width_px, view.stored.height_px
    return SkyCamera(
        width_px=width,
        height_px=height,
        focal_px=focal_px,
        principal_point=((width - 1) / 2.0, (height - 1) / 2.0),
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )


def nadirs(view: SkyView) -> Iterator[list[FloatArray]]:
    """Where the nadir may be among the stars: unit vectors in ICRS, the likeliest first."""
    assert view.frame.time_utc is not None
    rotation = icrs_to_itrf(view.frame.time_utc)
    places = [
        (surprise, number, offset_km)
        for number, track in enumerate(view.tracks)
        for offset_km, surprise in likely_offsets(track, NADIR_STEP_KM)
    ]
    ordered = iter(sorted(places)[:MOST_NADIRS])
    while group := list(islice(ordered, NADIRS_PER_GROUP)):
        found = []
        for _, number, offset_km in group:
            track = view.tracks[number]
            position = track.position(offset_km)
            turned = turned_by_clock(rotation, track.clock_at(offset_km))
            found.append(turned.T @ (-position / math.hypot(*position)))
        yield found


@lru_cache(maxsize=1)
def _catalogue() -> StarCatalogue:
    """The stars, at an epoch from which hardly one moves by a pixel in the station's years."""
    return load_catalogue(epoch_year=MEAN_YEAR, faintest_g=FAINTEST_MAG)
