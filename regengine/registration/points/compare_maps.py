"""Compare a photo with the map that it is placed on: night lights, streets, or ground by day."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from detectors.constants import KM_PER_DEGREE
from detectors.types import BoolArray, Columns, FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.map_grid import render_known
from matchers.lights.patches import (
    FLOOR_PX,
    MIN_MATCHES,
    choose_patches,
    count_cells,
    fit_to_patches,
    group_patches,
    match_patches,
    measure_texture,
)
from matchers.lights.photo_light import EvenedImage
from matchers.lights.verify import LIGHTS, find_light_peaks, score_lights, spread_shifts
from regengine.maps.lights import KindName
from regengine.maps.reference import RasterMap
from regengine.photo.formats import PhotoFile
from regengine.photo.image import read_linear_light
from regengine.registration.align import free_unknowns
from regengine.registration.control_points import MAP_SIGMA_M as LIGHTS_SIGMA_M
from regengine.registration.control_points import select_control_points
from regengine.registration.points.solve_points import (
    make_rough_prior,
    pair_points,
    turn_to_places,
)
from regengine.registration.prepare_photo import find_photo_lights, fine_px
from regengine.registration.refine_on_map import even_picture
from regengine.registration.register_on_day import (
    DAY,
    FINE_SIDE_PX,
    MAX_OVERSAMPLING,
    read_day_light,
)
from regengine.registration.register_on_streets import (
    LEVELS_M,
    MAP_SIGMA_M,
    STREETS,
    draw_lamps,
    measure_sides_m,
    read_lamps,
    reduce_photo,
)
from regengine.registration.types import PatchFit
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window
from regengine.store.result import ControlPoint, ReviewedPoint

# Patch of the photo's image: about 10 km of lights, as in the automatic fit
PATCH_PX = 31
# Search radius around the point, and of the second search around the first match
REACHES_PX = (16, 5)
# Two sigma of the difference of correlations of 0.7 with the hundred samples of a patch
NCC_NOISE = 0.1
AGREEING_PX = 3.0  # of patches of the map that are marked


@dataclass(frozen=True, kw_only=True)
class CompareParams:
    """How a photo is compared with a map of one kind around a point."""

    # Ground read around what the camera sees, and the smallest pixel of the map that is read
    margin_km: float = 25.0
    finest_deg: float = 1.0 / 240.0
    # Drawn around a patch, so that its contrast is that of the whole image
    rim_px: int = 0
    # Minimum mean square of a patch of photo and map, of structure of equal local contrast: one is
    # the mean of the image (by eye)
    min_structure: float = 0.0
    # Minimum correlation of a match, as for a good control point
    min_ncc: float = 0.6


COMPARED = {
    "lights": CompareParams(),
    "streets": CompareParams(
        margin_km=1.0, finest_deg=1e-4, rim_px=24, min_ncc=0.5, min_structure=0.2
    ),
    "day": CompareParams(finest_deg=1e-4, rim_px=36, min_structure=0.2),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoBesideMap:
    """A photo as it looks beside a map of one kind.

    image: City lights of the photo; for streets and by day, structure of equal local contrast.
    """

    kind: KindName
    image: EvenedImage
    reference: RasterMap

    @property
    def map_sigma_m(self) -> float:
        """Position error of the map, metres, beyond that of a match with it."""
        if self.kind == "day":
            return 1e3 * KM_PER_DEGREE * self.reference.info.resolution_deg
        return MAP_SIGMA_M if self.kind == "streets" else 0.0

    def draw(self, camera: Camera) -> tuple[FloatImage, FloatImage] | None:
        """Draw the map through a camera of ``image`` to look like it, with the pixels covered.

        None outside the map, or if the camera sees no ground.
        """
        params = COMPARED[self.kind]
        step_km = compute_ground_sample_km(camera) / 1.2  # map pixels in one of the image
        levels = find_footprint_window(
            self.reference, camera, params.margin_km, step_km, params.finest_deg
        )
        if levels is None:
            return None
        view, covered = render_known(levels, camera, 2)
        weight = np.asarray(covered, np.float32)
        if self.kind == "streets":
            view = even_picture(draw_lamps(view), weight, STREETS)
        elif self.kind == "day":
            view = even_picture(view, weight, DAY)
        return view, weight

    def choose_patches(
        self, view: FloatImage, weight: FloatImage, reach_px: int, along: int = 12
    ) -> IndexArray:
        """Choose patches of a drawn map with the most structure, shape (n, 2), strongest first.

        One for each cell of a grid, of which ``along`` lie along the long side.
        """
        texture = measure_texture(view, weight, PATCH_PX)
        centres = choose_patches(texture, PATCH_PX, count_cells(along, view.shape), reach_px)
        square = cv2.boxFilter(view * view, -1, (PATCH_PX, PATCH_PX))
        return centres[square[centres[:, 1], centres[:, 0]] >= COMPARED[self.kind].min_structure]


def choose_side_px(kind: KindName, camera: Camera, reference: RasterMap) -> int:
    """Choose the long side of the photo, pixels, at which it is compared with a map."""
    if kind == "lights":
        return fine_px(camera, float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3)
    long_km = max(measure_sides_m(camera)) / 1e3
    if kind == "streets":
        side_px = 1e3 * long_km / min(LEVELS_M)
    else:
        finest_km = MAX_OVERSAMPLING * reference.info.resolution_deg * KM_PER_DEGREE
        side_px = min(FINE_SIDE_PX, long_km / finest_km)
    if not np.isfinite(side_px):  # the middle of the photo shows the sky
        return min(camera.long_side_px, FINE_SIDE_PX)
    # In steps of a fifth, so that a slightly different camera needs no other image
    return int(
        np.clip(2.0 ** (np.round(4.0 * np.log2(side_px)) / 4.0), 256, max(camera.long_side_px, 256))
    )


def read_beside_map(
    kind: KindName, file: Path | PhotoFile, camera: Camera, reference: RasterMap
) -> PhotoBesideMap:
    """Read a photo for the comparison with a map, at the long side of `choose_side_px`.

    ``camera`` gives the scale of its lights. FrameError if the photo cannot be read.
    """
    side_px = choose_side_px(kind, camera, reference)
    if kind == "day":
        red, _ = read_day_light(file)
        small = red.resized(side_px, DAY.smooth_px)
        image = replace(small, values=even_picture(small.values, small.weight, DAY))
    else:
        lights_px = choose_side_px("lights", camera, reference)
        linear = read_linear_light(file, max_long_side_px=lights_px)
        sample_km = compute_ground_sample_km(camera) / linear.factor
        lights = find_photo_lights(linear, sample_km).narrow
        # Smoothed to about the map's own point spread
        image = lights.resized(lights_px, 1.0)
        if kind == "streets":
            # The lights tell which pixels count; streets are seen in finer ones
            small = reduce_photo(read_lamps(file, side_px, lights.weight), side_px)
            image = replace(small, values=even_picture(small.values, small.weight, STREETS))
    return PhotoBesideMap(kind=kind, image=image, reference=reference)


@dataclass(frozen=True, kw_only=True)
class SnapResult:
    """Result of snapping a point to the best match."""

    point: ReviewedPoint | None = None  # position of the match; None without one
    ncc: float | None = None  # correlation there; None without data to compare
    # How far the point moved, in pixels of the photo, whichever side moved
    moved_px: float | None = None
    why: str | None = None  # why there is no match


def snap(
    camera: Camera,
    point: ReviewedPoint,
    beside: PhotoBesideMap,
    *,
    photo_moves: bool,
    reaches_px: tuple[int, ...] = REACHES_PX,
) -> SnapResult:
    """Match the map around a point's place with the photo around its pixel.

    The map is rendered through the camera, rotated so that the place is projected to the pixel.
    So only rotation, scale and perspective are taken from the camera, but not its pointing.
    """
    image, params = beside.image, COMPARED[beside.kind]
    height, width = image.values.shape
    now, ncc, sigma_px, first = point, None, 0.0, None
    for reach_px in reaches_px:
        held = turn_to_places(camera, pair_points(camera, [now]))
        first = first or held
        if not np.isfinite(held.lonlat_to_pixel(now.lon, now.lat)[0]):
            return SnapResult(why="the place is beyond the horizon of this camera.")
        col = round((now.x + 0.5) * image.factor - 0.5)
        row = round((now.y + 0.5) * image.factor - 0.5)
        if not (0 <= col < width and 0 <= row < height):
            what = "point" if now is point else "match"
            return SnapResult(ncc=ncc, why=f"the {what} is outside the photo.")
        # The photo around the point, dark beyond its edges, and the camera of that piece
        half_px = PATCH_PX // 2 + reach_px + 2 + params.rim_px
        side = 2 * half_px + 1
        padded = np.pad(image.values * image.weight, half_px)
        photo = np.ascontiguousarray(padded[row : row + side, col : col + side], np.float32)
        whole = image.camera(held)
        x, y = whole.principal_point
        # Of a mirrored picture the columns count from the other edge
        left = width - 1 - col - half_px if held.mirrored else col - half_px
        axis = (x - left, y - (row - half_px))
        piece = replace(whole, width_px=side, height_px=side, principal_point=axis)
        drawn = beside.draw(piece)
        if drawn is None or float(drawn[1].mean()) < 0.5:
            return SnapResult(why="the map has no data there.")
        middle = np.full((1, 2), half_px, np.intp)
        found = match_patches(photo, drawn[0], middle, PATCH_PX, reach_px)
        inner = half_px - PATCH_PX // 2
        core = np.s_[inner : side - inner, inner : side - inner]
        structure = min(float(np.square(one[core]).mean()) for one in (photo, drawn[0]))
        if len(found) == 0 or structure < params.min_structure:
            return SnapResult(ncc=ncc, why="photo and map show nothing there to compare.")
        ncc = float(found.ncc[0])
        map_px = beside.map_sigma_m / 1e3 / compute_ground_sample_km(piece)
        patch_variance_px = float(np.trace(found.covariance[0])) / 2.0
        variance_px = patch_variance_px + FLOOR_PX**2 + map_px**2
        sigma_px = variance_px**0.5 / image.factor
        dx, dy = float(found.dx[0]) / image.factor, float(found.dy[0]) / image.factor
        lon, lat = held.pixel_to_lonlat(now.x - dx, now.y - dy)
        if photo_moves:
            now = replace(now, x=now.x + dx, y=now.y + dy)
        elif np.isfinite(lon):  # close to the limb, that may be sky: then the place stays
            now = replace(now, lon=float(lon), lat=float(lat))
    assert ncc is not None
    assert first is not None
    if ncc < params.min_ncc:
        return SnapResult(ncc=ncc, why="photo and map are too different there: try another place.")
    if not (-0.5 <= now.x <= camera.width_px - 0.5 and -0.5 <= now.y <= camera.height_px - 0.5):
        return SnapResult(ncc=ncc, why="the match is outside the photo.")
    shown = (now.x, now.y) if photo_moves else first.lonlat_to_pixel(now.lon, now.lat)
    return SnapResult(
        point=replace(now, sigma_px=sigma_px, origin="snap"),
        ncc=ncc,
        moved_px=float(np.hypot(shown[0] - point.x, shown[1] - point.y)),
    )


def compare_at_point(camera: Camera, point: ReviewedPoint, beside: PhotoBesideMap) -> SnapResult:
    """How far the map lies from the photo at a point, as `snap` finds it.

    As in the fit, which the verdict follows from, a match near the point counts before one farther
    away that is no better, and ``sigma_px`` includes that of the point. At the rim of the photo
    most of the patch is dark: there nothing is compared.
    """
    image = beside.image
    half = PATCH_PX // 2
    at = ((point.x, image.values.shape[1]), (point.y, image.values.shape[0]))
    inside = 1.0
    for place, side in at:
        middle = (place + 0.5) * image.factor - 0.5
        inside *= max(min(middle + half, side - 1.0) - max(middle - half, 0.0), 0.0) / (2.0 * half)
    if inside < 0.6:  # by eye
        return SnapResult(why="the point is too near the photo's edge to be compared.")
    found = snap(camera, point, beside, photo_moves=True)
    if found.point is None or found.ncc is None or found.moved_px is None:
        return found
    near = snap(camera, point, beside, photo_moves=True, reaches_px=REACHES_PX[1:])
    if near.point is not None and near.ncc is not None and near.ncc > found.ncc - NCC_NOISE:
        found = near
    assert found.point is not None
    sigma_px = math.hypot(found.point.sigma_px or 0.0, point.sigma_px or 0.0)
    return replace(found, point=replace(found.point, sigma_px=sigma_px))


@dataclass(frozen=True, kw_only=True)
class MapMarks:
    """Where the map stands out in a camera's view, the strongest first, each shape (n,).

    lon, lat: Degrees.
    met: Whether the photo shows the same where the camera has it.
    chance: Share that would be met if the camera had nothing to do with the photo.
    """

    lon: FloatArray
    lat: FloatArray
    met: BoolArray
    chance: float


def find_marks(camera: Camera, beside: PhotoBesideMap, most: int = 100) -> MapMarks | None:
    """Where the map stands out in a camera's view, and whether the photo shows the same there.

    On lights these are the strongest lights, met by lights of the photo; what chance alone meets is
    measured on the photo: the lights are shifted by many amounts, as `score_lights` does. On
    streets and by day these are the patches with the most structure, met if they are found in the
    photo within `AGREEING_PX`. None where the map shows nothing there.
    """
    image = beside.image
    small = image.camera(camera)
    drawn = beside.draw(small)
    if drawn is None:
        return None
    view, covered = drawn
    weight = np.asarray(image.weight * covered, np.float32)
    if beside.kind != "lights":
        size_px, reach_px = PATCH_PX, REACHES_PX[0]
        centres = beside.choose_patches(view, weight, reach_px)[:most]
        found = match_patches(image.values * image.weight, view, centres, size_px, reach_px)
        agree = np.hypot(found.dx, found.dy) <= AGREEING_PX
        agreeing = {tuple(centre) for centre in found.centres[agree].tolist()}
        lon, lat = small.pixel_to_lonlat(*centres.T.astype(float))
        return MapMarks(
            lon=lon,
            lat=lat,
            met=np.array([tuple(centre) in agreeing for centre in centres.tolist()], bool),
            # By chance a peak lies anywhere within the search window
            chance=float(np.pi * AGREEING_PX**2 / (2.0 * reach_px - 1.0) ** 2),
        )
    lights = find_light_peaks(view, weight, most)
    seen = find_light_peaks(image.values, weight, LIGHTS.n_map)
    lon, lat = small.pixel_to_lonlat(lights.x, lights.y)
    if len(lights) == 0 or len(seen) == 0:
        return MapMarks(lon=lon, lat=lat, met=np.zeros(len(lights), bool), chance=0.0)
    nearest = cKDTree(seen.positions)
    shifted = lights.positions + spread_shifts()[:, None]
    height, width = view.shape
    inside = ((shifted >= 0.0) & (shifted < (width, height))).all(axis=2)
    by_chance = (nearest.query(shifted)[0] < LIGHTS.match_px)[inside]
    return MapMarks(
        lon=lon,
        lat=lat,
        met=nearest.query(lights.positions)[0] < LIGHTS.match_px,
        chance=float(by_chance.mean()) if len(by_chance) else 0.0,
    )


@dataclass(frozen=True, kw_only=True)
class MapMatches(Columns):
    """What a photo shows where a camera has it by the map, each shape (n,).

    x, y: Pixel of the stored image.
    lon, lat: Place by the map, degrees.
    residual_px: Distance of the pixel from where the camera has that place.
    """

    x: FloatArray
    y: FloatArray
    lon: FloatArray
    lat: FloatArray
    residual_px: FloatArray


def find_matches(camera: Camera, beside: PhotoBesideMap) -> MapMatches:
    """Find what photo and map both show through a camera, which is kept.

    These are the lights that the engine counts as matched, strongest first. On streets and by day
    they are patches that are found within `AGREEING_PX`.
    """
    image, found = beside.image, np.zeros((2, 0, 2))  # of the photo, and where the map has them
    small = image.camera(camera)
    drawn = beside.draw(small)
    if drawn is not None:
        weight = np.asarray(image.weight * drawn[1], np.float32)
        if beside.kind == "lights":
            seen = find_light_peaks(image.values, weight, LIGHTS.n_photo).positions
            of_map = find_light_peaks(drawn[0], weight, LIGHTS.n_map).positions
            if len(seen) and len(of_map):
                away, nearest = cKDTree(of_map).query(seen)
                found = np.stack([seen, of_map[nearest]])[:, away < LIGHTS.match_px]
        else:
            centres = beside.choose_patches(drawn[0], weight, REACHES_PX[0])
            patches = match_patches(
                image.values * image.weight, drawn[0], centres, PATCH_PX, REACHES_PX[0]
            )
            moved = np.stack([patches.dx, patches.dy], axis=-1)
            there = np.stack([patches.x, patches.y], axis=-1)
            agree = np.hypot(patches.dx, patches.dy) <= AGREEING_PX
            found = np.stack([there + moved, there])[:, agree]
    lon, lat = small.pixel_to_lonlat(*found[1].T)
    (x, y), (map_x, map_y) = ((one.T + 0.5) / image.factor - 0.5 for one in found)
    rows = MapMatches(x=x, y=y, lon=lon, lat=lat, residual_px=np.hypot(x - map_x, y - map_y))
    return rows.select(np.isfinite(lon))  # close to the limb, a light may be sky


def select_more_points(
    camera: Camera, beside: PhotoBesideMap, points_px: FloatArray, n_more: int
) -> tuple[ControlPoint, ...]:
    """Select up to `n_more` control points of a solved camera beside its own, (n, 2).

    Patches of the map are found in the photo through the camera, which is kept. A fit to them gives
    the covariances, as in `select_control_points`.
    """
    image = beside.image
    small = image.camera(camera)
    drawn = beside.draw(small)
    if drawn is None:
        return ()
    view, reach_px = drawn[0], REACHES_PX[-1]
    weight = np.asarray(image.weight * drawn[1], np.float32)
    # Patches of an image of 900 pixels lie side by side
    centres = beside.choose_patches(view, weight, reach_px, along=28)
    matches = match_patches(image.values * image.weight, view, centres, PATCH_PX, reach_px)
    matches = matches.select(np.isfinite(small.pixel_to_ecef(matches.x, matches.y)[:, 0]))
    if len(matches) < MIN_MATCHES:
        return ()
    prior = make_rough_prior(camera).for_image(image.factor)
    fitted = fit_to_patches(small, matches, prior, free_unknowns(prior, fine=True, k1=True))
    lights = find_light_peaks(image.values, weight, LIGHTS.n_photo * (beside.kind == "lights"))
    of_map = find_light_peaks(view, weight, LIGHTS.n_map)
    fit = PatchFit(
        camera=small,
        refinement=replace(fitted, residual_px=np.stack([matches.dx, matches.dy], axis=-1)),
        image=image,
        light_peaks=lights,
        matched=score_lights(lights, of_map)[1],
        patch_view=(view, weight),
        groups=group_patches(view, matches.centres, PATCH_PX),
    )
    sigma_m = beside.map_sigma_m or LIGHTS_SIGMA_M
    return select_control_points(fit, camera, sigma_m, points_px, n_more)
