"""Prepare a telephoto frame and the streets under it at one scale."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from detectors.constants import KM_PER_DEGREE
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import trace_visible_outline
from matchers.geometry.light_grid import make_pyramid
from matchers.lights.photo_light import LightImage
from regengine.registration.refine_on_map import MapPicture, even_picture
from regengine.registration.streets.parameters import StreetParams
from regengine.registration.streets.propose_from_streets import draw_lamps
from regengine.registration.windows import StreetMap


def scale_picture(
    light: LightImage, streets: StreetMap, camera: Camera, sample_m: float, params: StreetParams
) -> MapPicture | None:
    """Scale photo and streets to a ground sample; None if the map does not cover the frame.

    The sample is never finer than that of the photo. It is measured across the line of sight;
    pixels are longer along it.
    """
    long_m = max(measure_sides_m(camera))
    if not np.isfinite(long_m):
        return None
    small = light.resized(round(long_m / sample_m), params.smooth_px)
    image = replace(small, values=np.sqrt(np.maximum(small.values, 0.0), dtype=np.float32))
    lon, lat = camera.pixel_to_lonlat(*trace_visible_outline(camera, per_side=9))
    west, south, east, north = streets.bounds
    reach = params.margin_km / KM_PER_DEGREE
    reach_lon = reach / float(np.cos(np.radians(lat.mean())))
    turn = 360.0 * round((float(lon.mean()) - 0.5 * (west + east)) / 360.0)
    west, south = max(west + turn, lon.min() - reach_lon), max(south, lat.min() - reach)
    east, north = min(east + turn, lon.max() + reach_lon), min(north, lat.max() + reach)
    step_deg = sample_m / 1e3 / KM_PER_DEGREE
    if min(east - west, north - south) < 16.0 * step_deg:
        return None
    grid = streets.window(west, south, east, north, 1.2 * step_deg)
    if grid is None:
        return None
    return MapPicture(
        image=image,
        evened=even_picture(image.values, image.weight, params),
        levels=make_pyramid(grid, 6),
        params=params,
        draw=partial(draw_lamps, params=params),
    )


def suit_patch_px(picture: MapPicture, params: StreetParams) -> int:
    """Choose the side of patches: a tenth of the image's short side, for enough cells."""
    least, most = params.patch_px
    return min(most, max(least, min(picture.evened.shape) // 10))


def measure_sides_m(camera: Camera) -> tuple[float, float]:
    """Measure width and height of a frame across the line of sight, at its centre's distance."""
    middle = camera.pixel_to_ecef((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    slant_m = float(np.linalg.norm(middle - np.asarray(camera.position_ecef_m)))
    per_pixel = slant_m / camera.focal_px
    return camera.width_px * per_pixel, camera.height_px * per_pixel
