"""A photo before the search: its nominal camera, and its city light at the map's scale."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import diffuse_background, hot_pixels
from detectors.limb import Limb, find_limb, sky_mask
from detectors.masks import (
    blank_parts,
    caption_strips,
    grainy_light,
    hardware_mask,
    smooth_light,
    window_frames,
)
from matchers.camera import Camera
from matchers.photo_light import LightImage, light_image
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame
from regengine.photo.image import LinearLight, brought_down
from regengine.registration.propose_dense import PhotoLights
from regengine.result import Reason

# The focal lengths that a search tries: the one told, crops of it, or the usual lenses.

# Edited copies are crops (1.28 and 1.4 times seen): the focal length in pixels is then larger
CROP_SCALES = (1.25, 1.55, 0.8, 1.95)
SIGMA_LOG_FOCAL = 0.03  # zooms and focusing: 2-3 % on originals
SIGMA_LOG_FOCAL_CROPPED = 0.12
# and the lens' axis is anywhere in them: half a frame has it at a quarter of the whole from its own
# middle
SIGMA_PRINCIPAL_SHARE = 0.2
# Night lenses, millimetres, and how many of 9,403 archive records are theirs. What has lost its
# EXIF is often a crop, too: a tenth of a lens' records is counted for 1.25 and for 1.55 times it
USUAL_LENSES_MM = (85.0, 400.0, 180.0, 50.0, 58.0, 105.0, 135.0, 28.0, 300.0, 24.0, 35.0, 16.0)
LENS_RECORDS = (4220, 1650, 1320, 950, 500, 420, 420, 370, 130, 60, 50, 40)
SIGMA_LOG_FOCAL_UNKNOWN = 0.12
# Figures of towns are compared at each of these shares of the focal length at once; the first
# steps then reach from 0.7 to 1.4 times a lens
LENS_LADDER = (1.0, 0.8, 1.25)
LADDER_LENSES_MM = (85.0, 400.0, 50.0, 200.0, 128.0, 28.0, 700.0, 17.0)
LADDER_RECORDS = (4220, 1650, 1520, 1320, 480, 450, 200, 65)
# Towns are sought at the size that a focal length gives them, so that a ladder finds frames of 0.72
# to 1.39 times its own (19 and 16 of 26 frames of the training half from their true places, in the
# middle 21, at 0.64 and 1.56 times 6): one for mild crops, one for those to a third of the frame,
# one for what is wider than told
CROP_CENTRES = (1.3, 2.3, 0.75)
# How unlikely a focal length is, as a negative log-probability; only the order depends on it
# Originals of the archive are seldom crops; a focal length is wrong for one frame in twenty
CROP_SURPRISE = 2.8
CROPPED_SURPRISE = 1.0  # where the shape is not the sensor's
# The same for ladders of crops: shapes other than the sensor's come from crops of any size, the
# sensor's own shape from mild ones. With towns sought at each one's size, instead of at the told
# one's for a ladder of five, 5 of the 6 missed crops of the training half were found that figures
# find from the true place
CROPPED_CENTRE_SURPRISES = (0.5, 0.8, 3.0)
CROP_CENTRE_SURPRISES = (2.5, 7.0, 3.5)
# Fields below this (171 mm) lie within one city
TELE_FIELD_DEG = 12.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A focal length to try, relative to the nominal one."""

    ratio: float
    sigma_log_focal: float
    surprise: float
    cropped: bool
    ladder: tuple[float, ...] = (1.0,)


def field_deg(camera: Camera) -> float:
    """Angle that the long side of an image covers."""
    longest = max(camera.width_px, camera.height_px)
    return float(np.degrees(2.0 * np.arctan(0.5 * longest / camera.focal_px)))


def is_telephoto(camera: Camera) -> bool:
    """Whether a frame lies within one city: its lights are then compared flat."""
    return field_deg(camera) < TELE_FIELD_DEG


def dense_scales(focal_known: bool, may_be_cropped: bool) -> list[Scale]:
    """Focal lengths that are worth a comparison of pictures."""
    if not focal_known:
        return [
            Scale(
                ratio=lens / USUAL_LENSES_MM[0],
                sigma_log_focal=SIGMA_LOG_FOCAL_UNKNOWN,
                surprise=math.log(LENS_RECORDS[0] / records),
                cropped=may_be_cropped,
            )
            for lens, records in zip(USUAL_LENSES_MM, LENS_RECORDS, strict=True)
        ]
    first = CROPPED_SURPRISE if may_be_cropped else CROP_SURPRISE
    crops = [
        Scale(
            ratio=r, sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED, surprise=first + 0.3 * k, cropped=True
        )
        for k, r in enumerate(CROP_SCALES)
    ]
    return [nominal_scale(may_be_cropped), *crops]


def sparse_scales(focal_known: bool, may_be_cropped: bool) -> list[Scale]:
    """Focal lengths that are worth a look by figures of towns, which covers a ladder of them."""
    if not focal_known:
        return [
            Scale(
                ratio=lens / USUAL_LENSES_MM[0],
                sigma_log_focal=SIGMA_LOG_FOCAL_UNKNOWN,
                surprise=math.log(LADDER_RECORDS[0] / records),
                cropped=may_be_cropped,
                ladder=LENS_LADDER,
            )
            for lens, records in zip(LADDER_LENSES_MM, LADDER_RECORDS, strict=True)
        ]
    surprises = CROPPED_CENTRE_SURPRISES if may_be_cropped else CROP_CENTRE_SURPRISES
    crops = [
        Scale(
            ratio=ratio,
            sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED,
            surprise=surprise,
            cropped=True,
            ladder=LENS_LADDER,
        )
        for ratio, surprise in zip(CROP_CENTRES, surprises, strict=True)
    ]
    return [nominal_scale(may_be_cropped), *crops]


def nominal_scale(may_be_cropped: bool) -> Scale:
    """The focal length that the metadata has."""
    return Scale(ratio=1.0, sigma_log_focal=SIGMA_LOG_FOCAL, surprise=0.0, cropped=may_be_cropped)


# The photo's finest light image: pixels of a third of a kilometre below, so that light is averaged
# to about the map's pixels *before* it is compressed, as the map's own was
FINE_SAMPLE_KM = 0.33
# Telephoto frames are mostly slanted and show more ground than straight down
FINE_LIMITS_PX = (256, 1200)
# Telephoto frames are read at this size, where streets are grain
GRAIN_PX = 1024
# Diffuse light is what is broader than towns, or than the largest cities
SHARP_DIFFUSE_KM = 12.0
HAZY_DIFFUSE_KM = 60.0
LEAST_DIFFUSE_PX = 16.0
# Of frames hardly larger than that nothing is known to be diffuse
MOST_DIFFUSE_SHARE = 0.5
# Light without grain over more than this is no city
SMOOTH_KM = 5.0
LEAST_SMOOTH_PX = 9
DARKEST_QUANTILE = 0.01
# Light is blurred to about a map pixel of a telephoto frame before it is compressed, and cut off at
# this share of its brightest: of nine frames of the training half at 400 mm the right camera came
# first among the coarse correlations in 3 as the light is, in 7 with a share of 0.3 or 0.15
FLAT_BLURS = 128.0
FLAT_SHARE = 0.2
# City cores saturate in patches; what is white over a solid disc of this size is no city
GLARE_KM = 10.0
LEAST_GLARE_PX = 7
CAPTION_MARGIN_PX = 3
DAY_LIGHT = 0.18  # median linear luminance of a frame exposed for daylight (mid grey)
# and its darkest tenth is brighter than this: that of such photographs of ground by day has 0.12
# and more, lightning over half a night frame leaves it at 0.04
DAY_DARKEST, DAY_DARKEST_SHARE = 0.07, 0.1


def nothing_to_register(light: LinearLight, any_category: bool) -> Reason | None:
    """Why a photo need not be searched for cities at all; None where it must."""
    darkest, middle = np.quantile(light.light[::4, ::4], [DAY_DARKEST_SHARE, 0.5])
    if middle > DAY_LIGHT and darkest > DAY_DARKEST and not any_category:
        return Reason(
            code="not_a_night_city_frame",
            text=f"the frame is bright all over (median linear light {middle:.2f}), not a night "
            "frame; use --any-category to try it all the same",
        )
    return None


def fine_px(stored: Camera, altitude_km: float) -> int:
    """Long side of the photo's finest light image."""
    longest = max(stored.width_px, stored.height_px)
    return int(np.clip(longest / stored.focal_px * altitude_km / FINE_SAMPLE_KM, *FINE_LIMITS_PX))


def read_px(stored: Camera, altitude_km: float, focal_known: bool) -> int:
    """Long side at which a photo is read: finer than its light images where it may be telephoto."""
    longest_lens = replace(stored, focal_px=stored.focal_px * max(CROP_SCALES))
    fine = fine_px(stored, altitude_km)
    return fine if focal_known and not is_telephoto(longest_lens) else max(fine, GRAIN_PX)


def limb_of_photo(
    light: LinearLight, stored: Camera, focal_known: bool, altitude_km: float
) -> Limb | None:
    """The Earth's limb, where the photo shows it beyond doubt."""
    return find_limb(
        light.light,
        focal_px=stored.focal_px * light.factor if focal_known else None,
        altitude_km=altitude_km,
        ignored=captions(light) | blank_parts(light.light),
    )


def lights_of_photo(
    light: LinearLight,
    sample_km: float,
    limb: Limb | None = None,
    finest: LinearLight | None = None,
) -> PhotoLights:
    """Step 1: the photo's city light without diffuse light, hot pixels, glare and captions.

    Parameters
    ----------
    light : LinearLight
        Linear light at the finest scale.
    sample_km : float
        Size of its pixels on the ground below.
    limb : Limb, optional
        The sky above it does not count.
    finest : LinearLight, optional
        What ``light`` was brought down from; its grain makes the flat image.

    Returns
    -------
    PhotoLights
    """
    hot = hot_pixels(light.light)
    ignored = glare(light, sample_km) | captions(light) | blank_parts(light.light)
    sky = None if limb is None else sky_mask(limb, light.light.shape)
    ignored |= window_frames(light.light, sky=sky) | hardware_mask(light.light, sky)
    if sky is not None:
        ignored |= sky
    scale_px = max(LEAST_DIFFUSE_PX, SHARP_DIFFUSE_KM / sample_km)
    if scale_px <= MOST_DIFFUSE_SHARE * max(light.light.shape):
        background = diffuse_background(light.light, scale_px=scale_px, mask=hot | ignored)
        least_px = max(LEAST_SMOOTH_PX, round(SMOOTH_KM / sample_km))
        cleaned = np.where(hot, background.level, light.light).astype(np.float32)
        ignored |= smooth_light(
            cleaned, background.level, background.noise, light.saturated, least_px
        )
    images = [
        without_diffuse(light, max(LEAST_DIFFUSE_PX, width_km / sample_km), hot, ignored)
        for width_km in (SHARP_DIFFUSE_KM, HAZY_DIFFUSE_KM)
    ]
    finest = light if finest is None else finest
    grain = replace(finest, light=grainy_light(finest.light))
    flat = flat_light(
        brought_down(grain, max(light.light.shape)),
        np.where(ignored, np.float32(0.0), np.float32(1.0)),
    )
    return PhotoLights(sharp=images[0], hazy=images[1], flat=flat)


def flat_light(light: LinearLight, weight: NDArray[np.float32]) -> LightImage:
    """City light of a photo that may be city all over, cut off where maps saturate."""
    sigma_px = max(light.light.shape) / FLAT_BLURS
    lit = cv2.GaussianBlur(light.light * weight, (0, 0), sigma_px)
    counted = cv2.GaussianBlur(weight, (0, 0), sigma_px)
    blurred = np.asarray(lit / np.maximum(counted, 1e-3), np.float32)
    seen = blurred[weight > 0.5]
    darkest = float(np.quantile(seen, DARKEST_QUANTILE)) if seen.size else 0.0
    return light_image(
        blurred,
        np.full_like(blurred, darkest),
        np.zeros_like(blurred),
        weight,
        light.factor,
        FLAT_SHARE,
    )


def without_diffuse(
    light: LinearLight, scale_px: float, hot: NDArray[np.bool_], ignored: NDArray[np.bool_]
) -> LightImage:
    """City light of a photo without what is broader than a scale."""
    weight = np.where(ignored, np.float32(0.0), np.float32(1.0))
    if scale_px > MOST_DIFFUSE_SHARE * max(light.light.shape):
        # A telephoto frame may be city all over: nothing in it is known to be diffuse but what
        # its darkest places have; its pixels are means of hundreds, without noise
        darkest = np.float32(np.quantile(light.light, DARKEST_QUANTILE))
        level, noise = np.full_like(light.light, darkest), np.zeros_like(light.light)
    else:
        background = diffuse_background(light.light, scale_px=scale_px, mask=hot | ignored)
        level, noise = background.level, background.noise
    cleaned = np.where(hot, level, light.light).astype(np.float32)
    return light_image(cleaned, level, noise, weight, light.factor)


def glare(light: LinearLight, sample_km: float) -> NDArray[np.bool_]:
    """Where lightning, the Moon or lit hardware is saturated more broadly than any city.

    Parameters
    ----------
    light : LinearLight
        Linear light and its saturated share.
    sample_km : float
        Size of its pixels on the ground below.

    Returns
    -------
    ndarray of bool, shape (h, w)
        Solid saturated areas wider than `GLARE_KM` and their halo.
    """
    side = max(LEAST_GLARE_PX, round(GLARE_KM / sample_km)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    clipped = (light.saturated > 0.5).astype(np.uint8)
    solid = cv2.morphologyEx(clipped, cv2.MORPH_OPEN, disc)
    return np.asarray(cv2.dilate(solid, disc), bool)


def captions(light: LinearLight) -> NDArray[np.bool_]:
    """White strips along the picture's borders, as archives print captions into."""
    return caption_strips(light.saturated > 0.5, margin_px=CAPTION_MARGIN_PX)


def nominal_camera(frame: Frame, position: CameraPosition) -> tuple[Camera, bool]:
    """Camera of the stored image as the metadata has it, and whether its focal length is known.

    Where the lens was calibrated, it is that lens.
    """
    size = frame.width_px, frame.height_px
    longest = max(size)
    pitch_um = frame.pixel_pitch_um or 36_000.0 / longest  # full-frame sensor, 36 mm
    focal_mm = frame.focal_mm or USUAL_LENSES_MM[0]
    x, y, z = position.position_ecef_m.tolist()
    camera = Camera(
        width_px=frame.width_px,
        height_px=frame.height_px,
        focal_px=1e3 * focal_mm / pitch_um,
        principal_point=((frame.width_px - 1) / 2.0, (frame.height_px - 1) / 2.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    lens = None if frame.profile is None else frame.profile.for_picture(*size)
    if lens is not None:
        camera = replace(
            camera,
            focal_px=lens.focal_px,
            principal_point=lens.principal_point,
            distortion=lens.distortion,
        )
    return camera, frame.focal_mm is not None
