"""Propose cameras of a photo by day from the view of the map from the station.

Where the station was and the focal length are known, so three angles are to be found. In a
stereographic projection from the station, which is conformal, the map looks like any narrow view
of it, straight down or oblique, but for a turn and a local scale of 1 + tan^2(theta / 2). One match
of a feature then tells the whole attitude.

References
----------
Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, p. 154-163.
Kabsch, W. (1976). A solution for the best rotation to relate two sets of vectors. Acta Cryst. A32.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    geodetic_to_ecef,
    incidence_deg,
    intersect_ellipsoid,
    local_axes,
    surface_to_lonlat,
)
from matchers.geometry.footprint import Bounds, trace_visible_outline
from matchers.geometry.map_grid import (
    LATTICE_PX,
    MapGrid,
    draw,
    lattice,
    make_pyramid,
    stereographic_rays,
)
from matchers.geometry.pose import PosePrior, with_attitude
from regengine.maps.opening import SEA, DayMap
from regengine.maps.reference import Reference
from regengine.registration.propose_on_day import (
    OF_MAPS,
    FeatureMatches,
    Features,
    find_features,
    fit_to_places,
    match_features,
    split_bands,
)

# Values are those of a prototype that placed nine of 43 photos that nobody had chosen
# The long side of the photo in the view, and its features; maps of a region, of which there is
# less, are looked at once more with the second
LOOKS = ((260, 1200), (368, 3000))
# The focal lengths of views, pixels per radian: steps of half an octave
FOCALS_PX = tuple(125.0 * 2.0 ** (k / 2.0) for k in range(15))
# More of a photo's long side than this, in octaves, is no view of it
MAX_SCALE_OCTAVES = 0.55
# Side of a pixel of the map straight below, pixels of the view: Blue Marble is for lenses up to
# 280 mm
MAX_MAP_PX = 2.2
# Pixels along a photo: of maps that are fetched for it, and of those that need not be finer
FETCHED_PX, FINE_MAP_PX = 512, 200
# The map is drawn to this incidence, from the middle of a square of this side: features keep their
# places on the ground, and look the same from the whole square
MAX_INCIDENCE_DEG, PLACE_DEG = 72.0, 1.0
BLOCK_PX, BLOCK_RIM_PX = 1024, 32
CELL_FRAMES = 1.5  # side of the cells in which a match is the nearest, long sides of the photo
SEA_SHADES = (0.1, 0.55)  # red light of the sea, and of the sea with the Sun's glint
MAX_OCTAVES = 0.6  # difference of a match's sizes from the local scale
BIN_FRAMES, BIN_DEG, MOST_BINS = 0.33, 40.0, 60  # votes
# Members of a bin agree with one match within these shares of the photo's long side and of the
# distance from that match, and within this turn; then with a pair of them within the first
NEAR_SHARE, DRIFT_SHARE, MEMBER_DEG, PAIRS = 0.02, 0.22, 35.0, 100
MIN_AGREEING, MOST_CAMERAS = 5, 6


@dataclass(frozen=True, kw_only=True, eq=False)
class StationView:
    """Features of the map as seen from near a station.

    focal_px: Of the stereographic projection, pixels per radian at its middle, straight down.
    axes: East, south and down there, rows of ECEF, shape (3, 3).
    cells: Features of grey and red in squares of the view; pixels from its middle.
    position_ecef_m: Where it is seen from, shape (3,).
    """

    focal_px: float
    axes: FloatArray
    position_ecef_m: FloatArray
    cells: tuple[tuple[Features, Features], ...] = ()

    def to_pixels(self, directions: FloatArray) -> FloatArray:
        """Project unit vectors (ECEF) to pixels from the middle, shape (n, 2)."""
        x, y, z = np.moveaxis(directions @ self.axes.T, -1, 0)
        return (
            np.stack([x, y], axis=-1) * (2.0 * self.focal_px / np.maximum(1.0 + z, 1e-3))[:, None]
        )


def measure_long_side(lens: Camera) -> float:
    """Measure the long side of an image that a lens takes, in units of the focal length."""
    return max(lens.width_px, lens.height_px / (lens.pixel_aspect or 1.0)) / lens.focal_px


def choose_focal_px(
    nominal: Camera, side_px: float, pixel_km: float, altitude_km: float
) -> float | None:
    """Choose a view that shows a photo's long side at this size; None on too coarse a map."""
    wanted = side_px / measure_long_side(nominal)
    drawn = [one for one in FOCALS_PX if one * pixel_km <= MAX_MAP_PX * altitude_km]
    best = min(drawn, key=lambda one: abs(np.log2(one / wanted)), default=np.inf)
    return best if abs(np.log2(best / wanted)) < MAX_SCALE_OCTAVES else None


def box_around(lon: float, lat: float, reach_km: float) -> Bounds:
    """Compute bounds (west, south, east, north) that contain a circle around a place."""
    reach_deg = reach_km / KM_PER_DEGREE
    reach_lon = reach_deg / float(np.cos(np.radians(min(abs(lat), 80.0))))
    return lon - reach_lon, max(lat - reach_deg, -90.0), lon + reach_lon, min(lat + reach_deg, 90.0)


def round_place(lon: float, lat: float, altitude_km: float) -> tuple[float, float, float]:
    """Round a nadir to the middle of its square of `PLACE_DEG`, and the height to 10 km."""
    lat = PLACE_DEG * round(lat / PLACE_DEG)
    step_deg = PLACE_DEG / float(np.cos(np.radians(lat)))
    return step_deg * round(lon / step_deg), lat, 10.0 * round(altitude_km / 10.0)


def box_in_sight(
    lon: float, lat: float, altitude_km: float, incidence: float = MAX_INCIDENCE_DEG
) -> Bounds:
    """Compute bounds that contain the ground in sight up to an incidence angle, degrees."""
    ratio = EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km)
    flattest = np.radians(incidence)
    angle = float(flattest - np.arcsin(ratio * np.sin(flattest)))
    return box_around(lon, lat, EARTH_RADIUS_KM * angle)


def find_sea(grid: MapGrid) -> BoolArray:
    """Find the pixels of a map's bands that have the colour of the sea."""
    colour = np.asarray(SEA[2][: len(grid.values)], np.float32)
    return np.asarray((grid.values == colour[:, None, None]).all(axis=0))


def read_ground(day_map: DayMap, camera: Camera, step_deg: float) -> Iterator[tuple[MapGrid, ...]]:
    """Read red light of the map where a camera looks, and a tenth around, as pyramids.

    The sea has its shade without glint; then, if there is any, that with glint. None where the
    camera sees nothing of the map.
    """
    lon, lat = camera.pixel_to_lonlat(*trace_visible_outline(camera))
    if not len(lon):
        return
    lon = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
    rims = [0.1 * float(np.ptp(each)) + 2.0 * step_deg for each in (lon, lat)]
    low, high = ([float(end(each)) for each in (lon, lat)] for end in (np.min, np.max))
    west, south = np.subtract(low, rims).tolist()
    east, north = np.add(high, rims).tolist()
    if (grid := day_map.find_bands(west, south, east, north, step_deg)) is None:
        return
    sea, red = find_sea(grid), grid.values[0] / np.float32(255.0)
    for shade in SEA_SHADES if sea.any() else SEA_SHADES[:1]:
        yield make_pyramid(replace(grid, values=np.where(sea, np.float32(shade), red)), 7)


@lru_cache(maxsize=4)
def make_view(
    reference: Reference,
    version: object,
    lon: float,
    lat: float,
    altitude_km: float,
    focal_px: float,
    side_px: float,
) -> StationView:
    """Draw a map as it is seen from above a place, block by block, and extract features.

    Photos are about that long in it.
    """
    position = geodetic_to_ecef(lon, lat, 1e3 * altitude_km)
    east, north, up = local_axes(lon, lat)
    bare = StationView(
        focal_px=focal_px, axes=np.stack([east, -north, -up]), position_ecef_m=position
    )
    # Where the view shows the map
    day_map, around = DayMap([reference]), box_in_sight(lon, lat, altitude_km)
    shown = [np.zeros((0, 2))]
    for one, turn in day_map.reaching(around):
        west, south, east, north = one.grid.bounds
        sides = (
            (west + turn, around[0], east + turn, around[2]),
            (south, around[1], north, around[3]),
        )
        edges = [np.linspace(max(a, b), min(c, d), 33) for a, b, c, d in sides]
        ground = geodetic_to_ecef(*(each.ravel() for each in np.meshgrid(*edges)))
        ground = ground[incidence_deg(position, ground) < MAX_INCIDENCE_DEG]
        sights = ground - position
        shown.append(bare.to_pixels(sights / np.linalg.norm(sights, axis=1, keepdims=True)))
    corners = np.concatenate(shown)
    if not len(corners):
        return bare
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    found: list[list[Features]] = [[], []]
    for y0 in range(int(top), int(bottom) + 1, BLOCK_PX):
        for x0 in range(int(left), int(right) + 1, BLOCK_PX):
            for band, features in enumerate(find_in_block(bare, day_map, x0, y0)):
                found[band].append(features)
    cells: tuple[tuple[Features, Features], ...] = ()  # of an empty sea
    if found[0]:
        grey, red = (Features.joined(parts) for parts in found)
        cells = cut_cells(grey, red, CELL_FRAMES * side_px)
    return replace(bare, cells=cells)


def find_in_block(view: StationView, day_map: DayMap, x0: int, y0: int) -> list[Features]:
    """Extract features of grey and red in a block of a view; none where it shows nothing."""
    side, position = BLOCK_PX + 2 * BLOCK_RIM_PX, view.position_ecef_m
    corner = np.array([x0, y0]) - BLOCK_RIM_PX
    x, y = np.meshgrid(*(each + lattice(side) for each in corner))
    ground = intersect_ellipsoid(position, stereographic_rays(x, y, view.focal_px) @ view.axes)
    flat = np.nan_to_num(incidence_deg(position, ground), nan=90.0)
    seen = flat < MAX_INCIDENCE_DEG
    if not seen.any():
        return []
    lon, lat = surface_to_lonlat(ground[seen])
    lon = lon[0] + (lon - lon[0] + 180.0) % 360.0 - 180.0
    away_km = float(np.linalg.norm(ground[seen] - position, axis=1).min()) / 1e3
    step_deg = away_km / view.focal_px / KM_PER_DEGREE
    rim = 2.0 * LATTICE_PX * step_deg
    west, south = float(lon.min()) - rim, float(lat.min()) - rim
    east, north = float(lon.max()) + rim, float(lat.max()) + rim
    if (grid := day_map.find_bands(west, south, east, north, step_deg)) is None:
        return []
    at = np.meshgrid(*2 * (np.arange(side, dtype=np.float32) / LATTICE_PX,))
    inside = cv2.remap(np.asarray(seen, np.float32), *at, cv2.INTER_LINEAR) > 0.99
    found, sea = [], find_sea(grid)
    for band in split_bands(np.moveaxis(grid.values, 0, -1).astype(np.uint8)):
        light = np.where(sea, np.float32(255.0 * SEA_SHADES[0]), band.astype(np.float32))
        levels = make_pyramid(replace(grid, values=light), 7)
        drawn, known = draw(levels, ground, (side, side), LATTICE_PX, mean_side=True)
        shown = np.asarray(np.clip(drawn, 0.0, 255.0), np.uint8)
        if not inside.any() or np.ptp(shown[inside]) < 2:  # the sea
            return []
        features = find_features(
            shown, inside & (known > 0.99), round(OF_MAPS["map_density"] * side**2)
        )
        core = (features.places >= BLOCK_RIM_PX) & (features.places < BLOCK_RIM_PX + BLOCK_PX)
        moved = replace(features, places=features.places + corner)
        found.append(moved.select(np.asarray(core.all(axis=1))))
    return found


def cut_cells(
    grey: Features, red: Features, side_px: float
) -> tuple[tuple[Features, Features], ...]:
    """Sort features into squares of the view."""
    numbers = [np.floor(one.places / side_px).astype(int) for one in (grey, red)]
    cells = np.unique(np.concatenate(numbers), axis=0)

    def pick(cell: NDArray[np.int64], band: int, one: Features) -> Features:
        return one.select((numbers[band] == cell).all(axis=1))

    return tuple((pick(cell, 0, grey), pick(cell, 1, red)) for cell in cells)


def find_photo_features(
    shown: NDArray[np.uint8], inside: BoolArray, camera: Camera, focal_px: float, most: int
) -> tuple[Features, ...]:
    """Extract features of a photo drawn in its own stereographic projection.

    `camera`: of the picture `shown`. Pixels are from the middle of the projection.
    """
    # First to about the scale of the view, by areas
    factor = min(1.0, focal_px / camera.focal_px / min(camera.pixel_aspect or 1.0, 1.0))
    height, width = inside.shape
    size = round(width * factor), round(height * factor)
    small = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.uint8)
    small = small.reshape(*size[::-1], -1)
    weight = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    lens = camera.scaled(factor, *size)
    half = int(0.75 * focal_px * measure_long_side(camera)) + 8
    x, y = np.meshgrid(*2 * (np.arange(-half, half + 1, dtype=float),))
    rays = stereographic_rays(x, y, focal_px)
    at_x, at_y = (np.nan_to_num(each, nan=-1e6).astype(np.float32) for each in lens.image_of(rays))
    known = np.asarray(cv2.remap(weight, at_x, at_y, cv2.INTER_LINEAR) > 0.5)
    features = []
    for band in split_bands(small):
        drawn = np.asarray(cv2.remap(band, at_x, at_y, cv2.INTER_LINEAR), np.uint8)
        found = find_features(drawn, known, most)
        features.append(replace(found, places=found.places - half))
    return tuple(features)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sights:
    """Matches of a photo with a view, and the attitude that each of them tells.

    rays, sights: Unit vectors in the camera's frame and (ECEF) to the ground, shape (n, 3).
    attitudes: Camera to ECEF, shape (n, 3, 3).
    axis_px, turn_deg: Where it then looks in the view, and how it is turned there.
    """

    matches: FeatureMatches
    rays: FloatArray
    sights: FloatArray
    attitudes: FloatArray
    axis_px: FloatArray
    turn_deg: FloatArray


def orient_matches(view: StationView, seen: Sequence[Features], position: FloatArray) -> Sights:
    """Match a photo's features in each cell, and compute the attitude of each match.

    `position`: of the station, near that of the view (ECEF, metres).
    """
    matches = FeatureMatches.joined(
        [
            match_features(one, there)
            for cell in view.cells
            for one, there in zip(seen, cell, strict=True)
        ]
    )
    square = np.square(np.stack([matches.there, matches.here])).sum(axis=-1)
    # Local scales of both projections, octaves
    scale = np.log2(1.0 + square / (2.0 * view.focal_px) ** 2)
    kept = np.abs(matches.octaves - (scale[0] - scale[1])) < MAX_OCTAVES
    matches = matches.select(kept)

    def see(places: FloatArray) -> FloatArray:
        sky = stereographic_rays(places[:, 0], places[:, 1], view.focal_px) @ view.axes
        return intersect_ellipsoid(view.position_ecef_m, sky) - position

    sights = see(matches.there)
    rays = stereographic_rays(matches.here[:, 0], matches.here[:, 1], view.focal_px)
    sights /= np.linalg.norm(sights, axis=1, keepdims=True)
    # A match tells how the photo is turned: a direction in it, along x, and the same in the view
    turn = np.radians(matches.turn_deg)
    step_px = 0.5
    beside = stereographic_rays(matches.here[:, 0] + step_px, matches.here[:, 1], view.focal_px)
    other = see(matches.there + step_px * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    attitudes = _frames(sights, other) @ np.swapaxes(_frames(rays, beside), 1, 2)
    axis = attitudes[:, :, 2]
    axis_px = view.to_pixels(axis)
    right = view.to_pixels(axis + 1e-3 * attitudes[:, :, 0]) - axis_px
    turn_deg = np.degrees(np.arctan2(right[:, 1], right[:, 0]))
    finite = np.isfinite(attitudes).all(axis=(1, 2)) & (axis @ view.axes[2] > -0.5)
    return Sights(
        matches=matches.select(finite),
        rays=rays[finite],
        sights=sights[finite],
        attitudes=attitudes[finite],
        axis_px=axis_px[finite],
        turn_deg=turn_deg[finite],
    )


def _frames(first: FloatArray, second: FloatArray) -> FloatArray:
    """Make right-handed frames, (n, 3, 3), of which the first column points along a vector."""
    along = first / np.linalg.norm(first, axis=-1, keepdims=True)
    aside = second - (second * along).sum(axis=-1, keepdims=True) * along
    aside /= np.maximum(np.linalg.norm(aside, axis=-1, keepdims=True), 1e-12)
    return np.stack([along, aside, np.cross(along, aside)], axis=-1)


def propose_from_station(
    view: StationView, seen: Sequence[Features], nominal: Camera, prior: PosePrior
) -> Iterator[tuple[Camera, int, float]]:
    """Propose cameras by the attitudes that most matches agree on, most places first.

    Yields cameras, fitted to these matches, the numbers of places, and the median distance (km) of
    these.
    """
    position = np.asarray(prior.position_ecef_m, float)
    sights = orient_matches(view, seen, position)
    side = measure_long_side(nominal)
    side_px = side * view.focal_px
    rng = np.random.default_rng(1)
    found: list[tuple[int, FloatArray, IndexArray]] = []
    for members in gather_members(sights, side_px, side):
        agreed = agree_in_pairs(sights, members, side, rng)
        if agreed is not None:
            found.append((sights.matches.select(agreed[1]).n_places, *agreed))
    found.sort(key=lambda one: -one[0])
    met: list[FloatArray] = []
    near = 1.0 + 2.0 * np.cos(0.1 * side)  # trace of a rotation: a tenth of the photo
    there = replace(nominal, position_ecef_m=prior.position_ecef_m)
    here = np.stack(nominal.image_of(sights.rays), axis=-1)
    ground = intersect_ellipsoid(position, sights.sights)
    for n_places, attitude, agreeing in found:
        if n_places < MIN_AGREEING or len(met) == MOST_CAMERAS:
            break
        if any(float((attitude * other).sum()) > near for other in met):
            continue
        met.append(attitude)
        camera = with_attitude(there, attitude)
        for _ in range(2):  # with the lens and the position free, more may agree
            fit = fit_to_places(nominal, here[agreeing], ground[agreeing], prior, NEAR_SHARE)
            if fit is None:
                break
            miss_px = np.hypot(*(np.stack(fit.camera.ecef_to_pixel(ground), axis=-1) - here).T)
            near_it = np.flatnonzero(miss_px < NEAR_SHARE * nominal.long_side_px)
            if len(near_it) < MIN_AGREEING:
                break
            camera, agreeing = fit.camera, near_it
        n_places = max(n_places, sights.matches.select(agreeing).n_places)
        away_km = float(np.nanmedian(np.linalg.norm(ground[agreeing] - position, axis=1))) / 1e3
        yield camera, n_places, away_km


def gather_members(sights: Sights, side_px: float, side: float) -> Iterator[IndexArray]:
    """Iterate over groups of matches that tell nearly the same attitude, by votes."""
    across, turns = sights.axis_px / (BIN_FRAMES * side_px), round(360.0 / BIN_DEG)
    bins: list[tuple[int, IndexArray]] = []
    for shift in (0.0, 0.5):
        turn = np.floor(sights.turn_deg / BIN_DEG + shift) % turns
        cells = np.column_stack([np.floor(across + shift), turn]).astype(int)
        _, bin_of, n_votes = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        for most in np.argsort(-n_votes, kind="stable")[:MOST_BINS]:
            bins.append((int(n_votes[most]), np.flatnonzero(bin_of.ravel() == most)))
    bins.sort(key=lambda one: -one[0])
    for count, voters in bins[:MOST_BINS]:
        if count < MIN_AGREEING:
            break
        middle, turn = np.median(sights.axis_px[voters], axis=0), sights.turn_deg[voters[0]]
        off = (sights.turn_deg - turn + 180.0) % 360.0 - 180.0
        away = np.hypot(*(sights.axis_px - middle).T)
        around = np.flatnonzero((away < side_px) & (np.abs(off) < BIN_DEG + MEMBER_DEG))
        best: IndexArray = np.zeros(0, np.intp)
        for k in range(min(len(voters), 30)):
            seed = int(voters[k])
            moved = sights.rays[around] @ sights.attitudes[seed].T
            miss = np.linalg.norm(moved - sights.sights[around], axis=1)
            apart = np.linalg.norm(sights.rays[around] - sights.rays[seed], axis=1)
            off = (sights.turn_deg[around] - sights.turn_deg[seed] + 180.0) % 360.0 - 180.0
            member = (miss < NEAR_SHARE * side + DRIFT_SHARE * apart) & (np.abs(off) < MEMBER_DEG)
            if np.count_nonzero(member) > len(best):
                best = np.asarray(around[member])
        yield best


def agree_in_pairs(
    sights: Sights, members: IndexArray, side: float, rng: np.random.Generator
) -> tuple[FloatArray, IndexArray] | None:
    """Find the attitude of two members that most others agree with, fitted to these."""
    if len(members) < MIN_AGREEING:
        return None
    rays, there = sights.rays[members], sights.sights[members]
    one, two = rng.integers(len(members), size=(2, PAIRS))
    apart = np.linalg.norm(rays[one] - rays[two], axis=1) > 0.05 * side
    if not apart.any():
        return None
    one, two = one[apart], two[apart]
    pairs = [_frames(each[one] + each[two], each[two] - each[one]) for each in (there, rays)]
    attitudes = pairs[0] @ np.swapaxes(pairs[1], 1, 2)
    miss = np.linalg.norm(rays @ np.swapaxes(attitudes, 1, 2) - there, axis=-1)
    attitude = attitudes[int((miss < NEAR_SHARE * side).sum(axis=1).argmax())]
    agreeing = np.zeros(0, np.intp)
    for _ in range(3):
        miss = np.linalg.norm(rays @ attitude.T - there, axis=1)
        agreeing = np.flatnonzero(miss < NEAR_SHARE * side)
        if len(agreeing) < 3:
            return None
        with warnings.catch_warnings():  # all in one spot: the patches decide
            warnings.simplefilter("ignore", UserWarning)
            turn, _ = Rotation.align_vectors(there[agreeing], rays[agreeing])
        attitude = turn.as_matrix()
    return attitude, members[agreeing]
