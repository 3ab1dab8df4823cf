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
    to_xyz,
)
from matchers.geometry.footprint import Bounds
from matchers.geometry.map_grid import (
    LATTICE_PX,
    MapGrid,
    draw,
    lattice,
    make_pyramid,
    stereographic_rays,
)
from matchers.geometry.pose import with_attitude
from regengine.maps.opening import SEA, DayMap
from regengine.registration.propose_on_day import (
    OF_MAPS,
    FeatureMatches,
    Features,
    find_features,
    match_features,
    split_bands,
)

# Values are those of a prototype that placed nine of 43 photos that nobody had chosen
SIDE_PX = 260  # the long side of the photo in the view
# The focal lengths of views, pixels per radian: steps of half an octave
FOCALS_PX = tuple(125.0 * 2.0 ** (k / 2.0) for k in range(8))
# More of a photo's long side than this, in octaves, is no view of it: its lens is longer than 280
# mm, or wider than 10 mm
MAX_SCALE_OCTAVES = 0.55
# The map is drawn to this incidence, from the middle of a square of this side: features keep their
# places on the ground, and look the same from the whole square
MAX_INCIDENCE_DEG, PLACE_DEG = 72.0, 1.0
GROUND_KM = 0.55  # as fine as Blue Marble: finer maps are for lenses that see less
BLOCK_PX, BLOCK_RIM_PX = 1024, 32
CELL_FRAMES = 1.5  # side of the cells in which a match is the nearest, long sides of the photo
SEA_SHADES = (0.1, 0.55)  # red light of the sea, and of the sea with the Sun's glint
PHOTO_FEATURES = 1200
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
    cells: tuple[tuple[Features, Features], ...]

    def to_pixels(self, directions: FloatArray) -> FloatArray:
        """Project unit vectors (ECEF) to pixels from the middle, shape (n, 2)."""
        x, y, z = np.moveaxis(directions @ self.axes.T, -1, 0)
        return (
            np.stack([x, y], axis=-1) * (2.0 * self.focal_px / np.maximum(1.0 + z, 1e-3))[:, None]
        )


def choose_focal_px(nominal: Camera) -> float | None:
    """Choose the scale of the view for a photo's lens; None where none suits it."""
    wanted = SIDE_PX * nominal.focal_px / nominal.long_side_px
    best = min(FOCALS_PX, key=lambda one: abs(np.log2(one / wanted)))
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


@lru_cache(maxsize=1)
def read_ground(
    day_map: DayMap, versions: tuple[object, ...], lon: float, lat: float, altitude_km: float
) -> tuple[tuple[MapGrid, ...], ...]:
    """Read the map around a place as far as it is seen: pyramids of grey and red light, 0 to 1.

    The sea has its shade without glint. Raises MapError with code ``outside_map``.
    """
    flattest = np.radians(MAX_INCIDENCE_DEG)
    ratio = EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km)
    reach_km = EARTH_RADIUS_KM * float(flattest - np.arcsin(ratio * np.sin(flattest)))
    region = box_around(lon, lat, reach_km + PLACE_DEG * KM_PER_DEGREE)
    grid = day_map.bands(*region, GROUND_KM / KM_PER_DEGREE)
    codes = grid.values
    sea = (codes == np.asarray(SEA[2][: len(codes)], np.float32)[:, None, None]).all(axis=0)
    picture = np.moveaxis(codes, 0, -1).astype(np.uint8)
    pyramids = []
    for band in split_bands(picture):
        light = np.where(sea, np.float32(SEA_SHADES[0]), band.astype(np.float32) / 255.0)
        pyramids.append(make_pyramid(replace(grid, values=light), 7))
    return tuple(pyramids)


def glare(levels: Sequence[MapGrid]) -> tuple[MapGrid, ...]:
    """The same ground with glint on the sea; nothing where there is no sea."""
    fine = levels[0].values
    sea = fine == np.float32(SEA_SHADES[0])
    if not sea.any():
        return ()
    light = np.where(sea, np.float32(SEA_SHADES[1]), fine)
    return make_pyramid(replace(levels[0], values=light), 7)


@lru_cache(maxsize=4)
def make_view(
    day_map: DayMap,
    versions: tuple[object, ...],
    lon: float,
    lat: float,
    altitude_km: float,
    focal_px: float,
) -> StationView:
    """Draw the map as it is seen from above a place, block by block, and extract features."""
    position = geodetic_to_ecef(lon, lat, 1e3 * altitude_km)
    east, north, up = local_axes(lon, lat)
    axes = np.stack([east, -north, -up])
    grey, red = read_ground(day_map, versions, lon, lat, altitude_km)
    ratio = EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km)
    widest = np.arcsin(ratio * np.sin(np.radians(MAX_INCIDENCE_DEG)))
    half = int(2.0 * focal_px * np.tan(widest / 2.0)) + 1
    most = OF_MAPS["map_density"]
    found: list[list[Features]] = [[], []]
    for top in range(-half, half, BLOCK_PX):
        for left in range(-half, half, BLOCK_PX):
            x0, y0 = left - BLOCK_RIM_PX, top - BLOCK_RIM_PX
            side = BLOCK_PX + 2 * BLOCK_RIM_PX
            x, y = np.meshgrid(x0 + lattice(side), y0 + lattice(side))
            ground = intersect_ellipsoid(position, stereographic_rays(x, y, focal_px) @ axes)
            flat = incidence_deg(position, ground)
            seen = np.asarray(np.nan_to_num(flat, nan=90.0) < MAX_INCIDENCE_DEG, np.float32)
            if not seen.any():
                continue
            at = np.meshgrid(*2 * (np.arange(side, dtype=np.float32) / LATTICE_PX,))
            inside = cv2.remap(seen, *at, cv2.INTER_LINEAR) > 0.99
            for band, levels in enumerate((grey, red)):
                light, known = draw(levels, ground, (side, side), LATTICE_PX, mean_side=True)
                shown = np.asarray(np.clip(255.0 * light, 0.0, 255.0), np.uint8)
                if not inside.any() or np.ptp(shown[inside]) < 2:  # the sea
                    continue
                features = find_features(shown, inside & (known > 0.99), round(most * side**2))
                places = features.places
                core = (places >= BLOCK_RIM_PX) & (places < BLOCK_RIM_PX + BLOCK_PX)
                kept = np.asarray(core.all(axis=1))
                moved = replace(features, places=places + np.array([x0, y0]))
                found[band].append(moved.select(kept))
    # None around an empty sea, or beyond the map
    cells = cut_cells(*(Features.joined(parts) for parts in found)) if all(found) else ()
    return StationView(focal_px=focal_px, axes=axes, position_ecef_m=position, cells=cells)


def cut_cells(grey: Features, red: Features) -> tuple[tuple[Features, Features], ...]:
    """Sort features into squares of the view."""
    side_px = CELL_FRAMES * SIDE_PX
    numbers = [np.floor(one.places / side_px).astype(int) for one in (grey, red)]
    cells = np.unique(np.concatenate(numbers), axis=0)

    def pick(cell: NDArray[np.int64], band: int, one: Features) -> Features:
        return one.select((numbers[band] == cell).all(axis=1))

    return tuple((pick(cell, 0, grey), pick(cell, 1, red)) for cell in cells)


def find_photo_features(
    shown: NDArray[np.uint8], inside: BoolArray, camera: Camera, focal_px: float
) -> tuple[Features, ...]:
    """Extract features of a photo drawn in its own stereographic projection.

    `camera`: of the picture `shown`. Pixels are from the middle of the projection.
    """
    # First to about the scale of the view, by areas
    factor = min(1.0, focal_px / camera.focal_px)
    height, width = inside.shape
    size = round(width * factor), round(height * factor)
    small = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), np.uint8)
    small = small.reshape(*size[::-1], -1)
    weight = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    lens = camera.scaled(factor, *size)
    half = int(0.75 * max(size)) + 8
    x, y = np.meshgrid(*2 * (np.arange(-half, half + 1, dtype=float),))
    rays = stereographic_rays(x, y, focal_px)
    at_x, at_y = (np.nan_to_num(each, nan=-1e6).astype(np.float32) for each in lens.image_of(rays))
    known = np.asarray(cv2.remap(weight, at_x, at_y, cv2.INTER_LINEAR) > 0.5)
    features = []
    for band in split_bands(small):
        drawn = np.asarray(cv2.remap(band, at_x, at_y, cv2.INTER_LINEAR), np.uint8)
        found = find_features(drawn, known, PHOTO_FEATURES)
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
    view: StationView, seen: Sequence[Features], nominal: Camera, position: FloatArray
) -> Iterator[tuple[Camera, int, float]]:
    """Propose cameras by the attitudes that most matches agree on, most places first.

    Yields cameras, the numbers of places, and the median distance (km) of these.
    """
    if not view.cells:
        return
    sights = orient_matches(view, seen, position)
    side_px = view.focal_px * nominal.long_side_px / nominal.focal_px
    side = side_px / view.focal_px
    rng = np.random.default_rng(1)
    found: list[tuple[int, FloatArray, IndexArray]] = []
    for members in gather_members(sights, side_px, side):
        agreed = agree_in_pairs(sights, members, side, rng)
        if agreed is not None:
            found.append((sights.matches.select(agreed[1]).n_places, *agreed))
    found.sort(key=lambda one: -one[0])
    met: list[FloatArray] = []
    near = 1.0 + 2.0 * np.cos(0.1 * side)  # trace of a rotation: a tenth of the photo
    there = replace(nominal, position_ecef_m=to_xyz(position))
    for n_places, attitude, agreeing in found:
        if n_places < MIN_AGREEING or len(met) == MOST_CAMERAS:
            break
        if any(float((attitude * other).sum()) > near for other in met):
            continue
        met.append(attitude)
        ground = intersect_ellipsoid(position, sights.sights[agreeing])
        away_km = float(np.nanmedian(np.linalg.norm(ground - position, axis=1))) / 1e3
        yield with_attitude(there, attitude), n_places, away_km


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
