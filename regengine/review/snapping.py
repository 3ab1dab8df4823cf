"""A point moved to where the lights of photo and map around it agree best."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from matchers.camera import Camera
from matchers.patches import PatchMatches, match_patches
from matchers.photo_light import Image, LightImage
from matchers.refine import FLOOR_PX
from matchers.resection_points import point_pairs
from matchers.resection_start import turned_to
from matchers.view import render_known
from regengine.control_points import GOOD_NCC
from regengine.light_windows import HasWindows, footprint_window, ground_sample_km
from regengine.review.reviewed import ReviewedPoint

PATCH_PX = 31  # of the photo's light image: about 10 km, as the engine's own patches
# How far the point may lie beside the match; then again from there
REACHES_PX = (16, 5)
MARGIN_KM = 25.0
FINER = 1.2  # map pixels to one of the image
LEAST_KNOWN = 0.5  # of the map under the patch


@dataclass(frozen=True, kw_only=True)
class Snapped:
    """What came of moving a point to the best match.

    Attributes
    ----------
    point : ReviewedPoint or None
        Where photo and map agree; None where they do nowhere near.
    ncc : float or None
        Correlation there; None where there is nothing to compare.
    moved_px : float or None
        How far the point moved, in pixels of the photo, whichever side moved.
    why : str or None
        Why there is no match.
    """

    point: ReviewedPoint | None = None
    ncc: float | None = None
    moved_px: float | None = None
    why: str | None = None


def snap(
    camera: Camera,
    point: ReviewedPoint,
    *,
    photo_moves: bool,
    light: LightImage,
    light_map: HasWindows,
) -> Snapped:
    """Find where the map around a point's place lies in the photo around its pixel.

    The map is drawn as the camera sees it, turned so that the point lies on itself: only how photo
    and map are turned, scaled and slanted is taken from the camera, not where it looks.

    Parameters
    ----------
    camera : Camera
        Of the stored image, right to some degrees of turn.
    point : ReviewedPoint
        Off by at most some kilometres.
    photo_moves : bool
        Whether the pixel moves, else the place.
    light : LightImage
        The photo's city light.
    light_map : HasWindows
        The map.

    Returns
    -------
    Snapped

    Raises
    ------
    LightMapError
        If the map is damaged.
    """
    now, ncc, spread_px = point, None, 0.0
    for reach_px in REACHES_PX:
        held = held_by(camera, now)
        if not np.isfinite(held.lonlat_to_pixel(now.lon, now.lat)[0]):
            return Snapped(why="the place lies beyond the horizon of this camera.")
        cut = cut_out(held, now, light, PATCH_PX // 2 + reach_px + 2)
        if cut is None:
            return Snapped(why="the point lies outside of the photo.")
        photo, seen = cut
        levels = footprint_window(light_map, seen, MARGIN_KM, ground_sample_km(seen) / FINER)
        if levels is None:
            return Snapped(why="the night-light map has nothing there.")
        view, known = render_known(levels, seen, 2)
        if float(known.mean()) < LEAST_KNOWN:
            return Snapped(why="the night-light map has nothing there.")
        middle = np.full((1, 2), photo.shape[0] // 2, np.intp)
        found = match_patches(photo, view, middle, PATCH_PX, reach_px)
        if len(found) == 0:
            return Snapped(
                ncc=ncc, why="photo and map hold no lights there by which they could be compared."
            )
        ncc, spread_px = float(found.ncc[0]), _sigma_px(found) / light.factor
        now = moved(now, held, found, light.factor, photo_moves=photo_moves)
    assert ncc is not None
    if ncc < GOOD_NCC:
        return Snapped(ncc=ncc, why="photo and map look too different there: try another light.")
    x, y = held_by(camera, point).lonlat_to_pixel(now.lon, now.lat)
    away = (now.x - point.x, now.y - point.y) if photo_moves else (x - point.x, y - point.y)
    return Snapped(
        point=replace(now, sigma_px=spread_px, origin="snap"),
        ncc=ncc,
        moved_px=float(np.hypot(*away)),
    )


def held_by(camera: Camera, point: ReviewedPoint) -> Camera:
    """The camera turned, by as little as can be, so that a point's pixel sees its place."""
    return turned_to(camera, point_pairs([[point.x, point.y]], [[point.lon, point.lat]], [1.0]))


def cut_out(
    camera: Camera, point: ReviewedPoint, light: LightImage, half_px: int
) -> tuple[Image, Camera] | None:
    """The photo's light around a point, dark beyond its edges, and the camera of that piece.

    Returns
    -------
    tuple or None
        Image of ``2 * half_px + 1`` pixels a side, whose middle is the pixel nearest the point,
        and its camera; None where the point is outside of the photo.
    """
    height, width = light.values.shape
    col = round((point.x + 0.5) * light.factor - 0.5)
    row = round((point.y + 0.5) * light.factor - 0.5)
    if not (0 <= col < width and 0 <= row < height):
        return None
    padded = np.pad(light.values * light.weight, half_px)
    side = 2 * half_px + 1
    photo = padded[row : row + side, col : col + side]
    whole = light.camera(camera)
    x, y = whole.principal_point
    # Of a mirrored picture the columns count from the other edge
    left = width - 1 - col - half_px if camera.mirrored else col - half_px
    piece = replace(
        whole, width_px=side, height_px=side, principal_point=(x - left, y - (row - half_px))
    )
    return np.ascontiguousarray(photo, np.float32), piece


def moved(
    point: ReviewedPoint, held: Camera, found: PatchMatches, factor: float, *, photo_moves: bool
) -> ReviewedPoint:
    """The point after what was found: its pixel moved on, or its place the other way."""
    dx, dy = float(found.dx[0]) / factor, float(found.dy[0]) / factor
    if photo_moves:
        return replace(point, x=point.x + dx, y=point.y + dy)
    lon, lat = held.pixel_to_lonlat(point.x - dx, point.y - dy)
    # Close to the limb, that may be sky: then the place stays
    seen = bool(np.isfinite(lon))
    return replace(point, lon=float(lon), lat=float(lat)) if seen else point


def _sigma_px(found: PatchMatches) -> float:
    variance = float(np.trace(found.covariance[0])) / 2.0
    return float(np.sqrt(variance + FLOOR_PX**2))
