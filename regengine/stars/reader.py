"""From a photo with a limb to its attitude: detect the stars above, identify them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from detectors.limb import sky_mask
from detectors.limb_geometry import limb_angle_deg
from matchers.sky_camera import SkyCamera
from regengine.celestial_rotation import icrs_to_itrf, turned_by_clock
from regengine.image import read_linear_light
from regengine.lenses import SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_UNKNOWN
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
NADIRS_PER_GROUP, MOST_NADIRS = 60, 600
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
    scale = view.limb.focal_px * max(view.stored.width_px, view.stored.height_px)
    focal_px = view.stored.focal_px if view.focal_known else scale / max(view.limb.shape)
    solution = solve_above_limb(
        stars,
        view.limb,
        nominal_lens(view, focal_px),
        SIGMA_LOG_FOCAL if view.focal_known else SIGMA_LOG_FOCAL_UNKNOWN,
        nadirs(view),
        _catalogue(),
        float(sky.mean()),
    )
    return attitude_of(solution, time_utc) if isinstance(solution, StarSolution) else None


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
