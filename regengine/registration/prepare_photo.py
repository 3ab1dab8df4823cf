"""Prepare a photo for the search: its nominal camera, its limb, and its city light."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import Background, estimate_diffuse_background, find_hot_pixels
from detectors.constants import SEMI_MAJOR_M
from detectors.limb import Limb, find_limb, mask_sky
from detectors.masks import (
    blank_parts,
    extract_grainy_light,
    mask_hardware,
    mask_window_frames,
    smooth_light,
)
from matchers.geometry.camera import Camera
from matchers.lights.photo_light import light_image
from matchers.lights.verify import find_light_peaks
from regengine.orbit.position import expect_height_km
from regengine.orbit.rotation import sun_moon
from regengine.photo.frame import Frame
from regengine.photo.image import LinearLight, mask_captions, read_linear_light, reduce_light
from regengine.registration.parameters import LENS, RegisterParams
from regengine.registration.priors import is_telephoto
from regengine.registration.types import EvenedImages, Photo, Prior
from regengine.store.reasons import Reason

# Ground sample at nadir of the photo's finest light image. Light is averaged to about the map's
# pixels *before* its dynamic range is compressed, as in the map
FINE_SAMPLE_KM = 0.33
# Range of its long side (by eye). Telephoto frames are mostly slanted and show more ground than at
# nadir
FINE_LIMITS_PX = (256, 1200)
# Telephoto frames are read at this size, so that streets are visible as texture (by eye)
GRAIN_PX = 1024
# Light that is broader than cities is diffuse (by eye)
DIFFUSE_KM = 12.0
# If a frame is hardly larger than that, diffuse light cannot be separated (by eye)
MAX_DIFFUSE_SHARE = 0.5
DARKEST_QUANTILE = 0.01  # by eye
# City cores saturate in patches; a solid saturated disc of this size is not a city (by eye)
GLARE_KM = 10.0
# The darkest tenth of a daytime frame is brighter than this. It is 0.12 or more in photographs of
# ground by day, and 0.04 in a night frame with lightning over half of it
DAY_DARKEST, DAY_DARKEST_SHARE = 0.07, 0.1


# The signal-to-noise ratio of lights is that of the brightest thousandth; noise in linear light
BRIGHTEST_LIT_QUANTILE, MIN_NOISE = 0.999, 1e-5

# Fewer lights that match the map are no proof
MIN_LIGHTS = 8
# Compiled modules of the search
COMPILED = ("matchers.lights.compiled_patches", "matchers.geometry.compiled_view")


def prepare_photo(frame: Frame, prior: Prior, params: RegisterParams) -> Photo:
    """Read a photo and compute what all search methods need.

    Raises FrameError if the photo cannot be read.
    """
    position, placed = prior.position, prior.placement
    altitude_km = expect_height_km(frame)[0] if position is None else position.altitude_km
    nominal = make_nominal_camera(frame, placed)
    focal_known = frame.focal_mm is not None or placed is not None
    fine = side_px = fine_px(nominal, altitude_km)
    # What may be telephoto, as a crop to half of the sensor, is read finer than its light images
    if not focal_known or is_telephoto(replace(nominal, focal_px=nominal.focal_px * 1.95)):
        side_px = max(fine, GRAIN_PX)
    finest = read_linear_light(frame.file, max_long_side_px=side_px, small_jpeg=True)
    light = reduce_light(finest, fine)
    photo = Photo(frame=frame, nominal=nominal, focal_known=focal_known)
    # A city can fill a telephoto frame and be exposed so long that no part of it is dark
    may_be_filled = False
    if (
        focal_known
        and is_telephoto(nominal)
        and position is not None
        and position.time_utc is not None
    ):
        sun = sun_moon(position.time_utc, position.lon, position.lat)
        # After nautical dusk light is from lamps or the Moon
        may_be_filled = sun.sun_elevation_deg < -12.0
    if placed is None and not may_be_filled:
        darkest, middle = np.quantile(light.light[::4, ::4], [DAY_DARKEST_SHARE, 0.5])
        # Median linear luminance of a frame exposed for daylight (mid grey)
        if middle > 0.18 and darkest > DAY_DARKEST and not params.any_category:
            reason = Reason(code="not_a_night_city_frame", values={"median_light": float(middle)})
            return replace(photo, skip_reason=reason)
    limb = find_limb(
        light.light,
        focal_px=nominal.focal_px * light.factor if focal_known else None,
        altitude_km=altitude_km,
        ignored=mask_captions(light) | blank_parts(light.light),
    )
    images = find_photo_lights(light, altitude_km / nominal.focal_px / light.factor, limb, finest)
    load_compiled()
    # A placement by a person is more reliable than the limb
    if limb is not None and placed is None:
        # Pixels that certainly show sky: so far above the limb it is, whichever of its two edges,
        # 2.3 degrees apart, was detected
        pixel = nominal.long_side_px / 20.0
        shape = max(round(nominal.height_px / pixel), 1), max(round(nominal.width_px / pixel), 1)
        rows, cols = np.nonzero(mask_sky(limb, shape, margin_deg=-3.0))
        sky_px = pixel * (cols + 0.5).astype(float) - 0.5, pixel * (rows + 0.5).astype(float) - 0.5
        photo = replace(photo, limb=limb, sky_px=sky_px)
    photo = replace(photo, images=images)
    if position is None:
        n_lights = count_light_peaks(photo)
        if n_lights < MIN_LIGHTS:
            few = Reason(code="few_lights", values={"n_lights": n_lights})
            return replace(photo, skip_reason=few)
    return photo


def count_light_peaks(photo: Photo) -> int:
    """Count the resolved light peaks in the photo, up to 15."""
    small = photo.image("narrow").resized(200, 0.8)  # by eye
    return len(find_light_peaks(small.values, small.weight, 15))


def make_nominal_camera(frame: Frame, placed: Camera | None = None) -> Camera:
    """Make the camera of the stored image from the metadata; its pose is arbitrary.

    If the lens is calibrated, or a person placed the photo, the camera has that lens.
    """
    size = frame.width_px, frame.height_px
    longest = max(size)
    pitch_um = frame.pixel_pitch_um or 36_000.0 / longest  # full-frame sensor, 36 mm
    focal_mm = frame.focal_mm or LENS.usual_focal_mm
    camera = Camera(
        width_px=frame.width_px,
        height_px=frame.height_px,
        focal_px=1e3 * focal_mm / pitch_um,
        principal_point=((frame.width_px - 1) / 2.0, (frame.height_px - 1) / 2.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(SEMI_MAJOR_M + 1e3 * expect_height_km(frame)[0], 0.0, 0.0),
    )
    lens = placed or (None if frame.profile is None else frame.profile.for_picture(*size))
    if lens is not None:
        camera = replace(
            camera,
            focal_px=lens.focal_px,
            principal_point=lens.principal_point,
            distortion=lens.distortion,
            pixel_aspect=lens.pixel_aspect,
        )
    return camera


def fine_px(stored: Camera, altitude_km: float) -> int:
    return int(
        np.clip(
            stored.long_side_px / stored.focal_px * altitude_km / FINE_SAMPLE_KM, *FINE_LIMITS_PX
        )
    )


def find_photo_lights(
    light: LinearLight,
    sample_km: float,
    limb: Limb | None = None,
    finest: LinearLight | None = None,
) -> EvenedImages:
    """Extract the photo's city light, without diffuse light, hot pixels, glare and captions.

    `sample_km`: ground size of a pixel of `light` at nadir; `limb`: the sky above it is masked;
    `finest`: the image that `light` was reduced from, whose texture gives the clipped image.
    """
    hot = find_hot_pixels(light.light)
    ignored = find_glare(light, sample_km) | mask_captions(light) | blank_parts(light.light)
    sky = None if limb is None else mask_sky(limb, light.light.shape)
    ignored |= mask_window_frames(light.light, sky=sky) | mask_hardware(light.light, sky)
    if sky is not None:
        ignored |= sky
    scale_px = max(16.0, DIFFUSE_KM / sample_km)
    if scale_px <= MAX_DIFFUSE_SHARE * max(light.light.shape):
        background = estimate_diffuse_background(light.light, scale_px=scale_px, mask=hot | ignored)
        # Light that is smooth over more than 5 km is not a city; grain is measured in 9 pixels
        least_px = max(9, round(5.0 / sample_km))
        cleaned = np.where(hot, background.level, light.light)
        smooth = smooth_light(
            cleaned, background.level, background.noise, light.saturated, least_px
        )
        if smooth.any():
            ignored |= smooth
            background = estimate_diffuse_background(
                light.light, scale_px=scale_px, mask=hot | ignored
            )
    else:
        # A telephoto frame may lie within a city. Then only the level of its darkest pixels is
        # known to be diffuse. Its pixels are means of hundreds of raw pixels, so the noise is zero
        level = np.full_like(light.light, np.float32(np.quantile(light.light, DARKEST_QUANTILE)))
        background = Background(level=level, noise=np.zeros_like(level))
    weight = np.where(ignored, np.float32(0.0), np.float32(1.0))
    cleaned = np.where(hot, background.level, light.light)
    narrow = light_image(cleaned, background.level, background.noise, weight, light.factor)
    finest = light if finest is None else finest
    grain = replace(finest, light=extract_grainy_light(finest.light))
    coarse = reduce_light(grain, max(light.light.shape))
    # In the clipped image of a telephoto frame, light is blurred to about a map pixel before it is
    # compressed, and clipped at a share of its maximum. In nine frames of the training half at 400
    # mm, the right camera had the best coarse correlation in 3 without clipping, and in 7 with a
    # share of 0.3 or 0.15
    sigma_px = max(coarse.light.shape) / 128.0
    lit = cv2.GaussianBlur(coarse.light * weight, (0, 0), sigma_px)
    counted = cv2.GaussianBlur(weight, (0, 0), sigma_px)
    blurred = np.asarray(lit / np.maximum(counted, 1e-3), np.float32)
    seen = blurred[weight > 0.5]
    darkest = float(np.quantile(seen, DARKEST_QUANTILE)) if seen.size else 0.0
    clipped = light_image(
        blurred,
        np.full_like(blurred, darkest),
        np.zeros_like(blurred),
        weight,
        coarse.factor,
        0.2,
    )
    half = np.s_[::2, ::2]
    excess = (cleaned[half] - background.level[half]) * (weight[half] > 0.5)
    sigmas = excess / np.maximum(background.noise[half], MIN_NOISE)
    return EvenedImages(
        narrow=narrow,
        clipped=clipped,
        brightest_sigmas=float(np.quantile(sigmas, BRIGHTEST_LIT_QUANTILE)),
    )


def find_glare(light: LinearLight, sample_km: float) -> NDArray[np.bool_]:
    """Mask lightning, the Moon and lit hardware, which saturate more broadly than any city.

    The mask covers solid saturated areas wider than `GLARE_KM` and their halo. `sample_km`: ground
    size of a pixel of `light` at nadir.
    """
    side = max(7, round(GLARE_KM / sample_km)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    core = cv2.erode((light.saturated > 0.5).astype(np.uint8), disc)
    if cv2.countNonZero(core):
        core = cv2.dilate(cv2.dilate(core, disc), disc)
    return np.asarray(core, bool)


def load_compiled() -> None:
    """Load the compiled modules; of processes that start together, only one compiles them."""
    if all(name in sys.modules for name in COMPILED):
        return
    spec = find_spec("detectors.compiled")
    handle = None
    # Without file locks, or when run from an archive, each process compiles for itself
    with suppress(OSError):
        handle = os.open(str(spec and spec.origin), os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        for name in COMPILED:
            import_module(name)
    finally:
        if handle is not None:
            os.close(handle)
