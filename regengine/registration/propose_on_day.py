"""Locate a daytime photo on a map: by local features that agree geometrically, or by correlation.

Features of a map are stored in the cache. A near-nadir frame is also proposed by dense
correlation in all rotations.

References
----------
Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
Arandjelović, R., Zisserman, A. (2012). Three things everyone should know to improve object
retrieval. CVPR: the square root of the descriptor.
Barath, D. et al. (2020). MAGSAC++, a fast, reliable and accurate robust estimator. CVPR.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import BoolArray, Columns, FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, to_xyz, unit_vectors
from matchers.geometry.footprint import Bounds
from matchers.geometry.map_grid import LATTICE_PX, MapGrid, draw, lattice
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    PARAMETERS,
    UP,
    PoseFit,
    PosePrior,
    fit_pose,
    with_attitude,
)
from matchers.lights.dense import pad_map, slide_window
from regengine.errors import StoreError
from regengine.io.atomic import cache_folder, make_folder, write_whole
from regengine.io.checksums import fingerprint
from regengine.io.gdal import raise_read_failures
from regengine.maps.opening import SEA, DayMap
from regengine.maps.reference import Reference
from regengine.registration.refine_on_map import MapPicture, even_picture

# Values are those of a prototype that was tuned on 11 telephoto frames and found 16 of 21 others.
# Of maps: local contrast of grey and red is equalized (CLAHE), then the strongest features above a
# minimum contrast are extracted, so many a pixel, in blocks with a rim. With twice the density of
# the prototype, nine of the 11 agree at more places, and one at one place fewer
OF_MAPS = {
    "clip_limit": 3.0,
    "contrast": 0.01,
    "map_density": 0.009,
    "block_px": 2048,
    "block_rim_px": 64,
}
ANGLES = (0, 1, 2)
CELL_PX = 3.0  # matches within a cell of this size count once
MIN_MATCHES = 5  # that vote for one camera


@dataclass(frozen=True, kw_only=True, eq=False)
class Features(Columns):
    """Local features of an image.

    places: Positions in pixels, shape (n, 2).
    sizes, turns: Sizes in pixels, and orientations in degrees, shape (n,).
    described: RootSIFT descriptors of unit length, shape (n, 128).
    """

    places: FloatArray
    sizes: FloatArray
    turns: FloatArray
    described: FloatImage

    def scaled(self, factor: float) -> Features:
        return replace(self, places=(self.places + 0.5) * factor - 0.5, sizes=self.sizes * factor)


def split_bands(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Split an image (h, w, 3) into grey and red, which has less haze; a grey one is used twice."""
    if picture.shape[2] == 1:
        return (picture[:, :, 0], picture[:, :, 0])
    return (
        np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8),
        np.ascontiguousarray(picture[:, :, 0]),
    )


def find_features(picture: NDArray[np.uint8], counted: BoolArray | None, most: int) -> Features:
    """Extract the strongest features of an image within a mask."""
    clahe = cv2.createCLAHE(clipLimit=OF_MAPS["clip_limit"], tileGridSize=(8, 8))
    mask = None if counted is None else counted.astype(np.uint8)
    sift = cv2.SIFT_create(nfeatures=most, contrastThreshold=OF_MAPS["contrast"])  # type: ignore[attr-defined]
    points, found = sift.detectAndCompute(clahe.apply(picture), mask)
    if found is None:
        found = np.zeros((0, 128), np.float32)
    root = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9))
    return Features(
        places=np.array([point.pt for point in points], float).reshape(-1, 2),
        sizes=np.array([point.size for point in points], float),
        turns=np.array([point.angle for point in points], float),
        described=np.asarray(root, np.float32),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMatches(Columns):
    """Matched features of a photo and a map.

    here, there: Pixels of the photo and of the map, shape (n, 2).
    turn_deg: Rotation from the orientation in the photo to that on the map, shape (n,).
    octaves: Logarithm to base two of the ratio of their sizes, shape (n,).
    """

    here: FloatArray
    there: FloatArray
    turn_deg: FloatArray
    octaves: FloatArray

    @property
    def n_places(self) -> int:
        """Number of distinct places, in the photo or on the map, whichever has fewer.

        Places are cells of a grid, since many features of one spot are not independent. The result
        is the minimum over three grid offsets.
        """
        if not len(self):
            return 0
        return min(
            len(np.unique(np.floor(places / CELL_PX + shift), axis=0))
            for places in (self.here, self.there)
            for shift in (0.0, 1.0 / 3.0, 2.0 / 3.0)
        )


def match_features(photo: Features, there: Features) -> FeatureMatches:
    """Match each feature of a photo to the nearest of a map, if the second is clearly farther.

    Features at the same place with several orientations are not compared with each other.
    """
    n = len(photo) if len(there) > 1 else 0
    near = photo.described[:n] @ there.described.T
    rows = np.arange(n)
    best = near.argmax(axis=1) if n else np.zeros(0, np.intp)
    likeness = near[rows, best]
    near[rows, best] = -1.0
    rival = np.full(n, -1.0, np.float32)
    left = rows
    while len(left):
        second = near[left].argmax(axis=1)
        rival[left] = near[left, second]
        away = np.hypot(*(there.places[second] - there.places[best[left]]).T)
        # That near features are at the same place
        same = (away <= 3.0) & (rival[left] > -1.0)
        near[left[same], second[same]] = -1.0
        left = left[same]
    apart, next_apart = (np.sqrt(np.maximum(2.0 - 2.0 * each, 0.0)) for each in (likeness, rival))
    # Lowe's test
    kept = np.flatnonzero(apart < 0.92 * next_apart)
    best = best[kept]
    return FeatureMatches(
        here=photo.places[kept],
        there=there.places[best],
        turn_deg=there.turns[best] - photo.turns[kept],
        octaves=np.log2(there.sizes[best] / photo.sizes[kept]),
    )


def gather_by_votes(
    matches: FeatureMatches, middle: FloatArray, long_px: FloatArray, side_px: int
) -> list[FeatureMatches]:
    """Group matches that imply nearly the same position and rotation, by number of places.

    Each match of a near-nadir frame determines the position of its centre and its rotation. These
    votes are counted in two sets of bins, offset from each other.

    `middle`: centre of the photo, a pixel; `long_px`: its long side on the map where each match
    lies, shape (n,); `side_px`: the same in the photo.
    """
    # Bins of votes: half width in octaves
    alike = np.abs(matches.octaves - np.log2(long_px / side_px)) < 0.8
    matches, long_px = matches.select(alike), long_px[alike]
    turn = np.radians(matches.turn_deg)
    x, y = ((middle - matches.here) * (long_px / side_px)[:, None]).T
    votes = matches.there + np.stack(
        [np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], axis=1
    )
    # The bins have one width for all votes: a share of the photo's long side at the median scale
    across = votes / (0.33 * float(np.median(long_px)) if len(long_px) else 1.0)
    turns = round(360.0 / 40.0)
    bins = [
        np.column_stack(
            [np.floor(across + shift), np.floor(matches.turn_deg / 40.0 + shift) % turns]
        ).astype(int)
        for shift in (0.0, 0.5)
    ]
    found: list[FeatureMatches] = []
    for each in bins:
        _, bin_of, n_votes = np.unique(each, axis=0, return_inverse=True, return_counts=True)
        for k in np.argsort(-n_votes, kind="stable")[:12]:  # by eye, as below
            found.append(matches.select(np.flatnonzero(bin_of.ravel() == k)))
    found.sort(key=lambda one: -one.n_places)
    return [some for some in found[:12] if some.n_places >= MIN_MATCHES]


def agree_on_homography(matches: FeatureMatches) -> FeatureMatches:
    """Select the matches that agree on one homography of photo and map; none if it fails."""
    mask = None
    if len(matches) >= MIN_MATCHES:
        _, mask = cv2.findHomography(
            matches.here,
            matches.there,
            cv2.USAC_MAGSAC,
            4.0,
            maxIters=10_000,
            confidence=0.9999,
        )
    return matches.select(np.flatnonzero(np.zeros(0) if mask is None else mask))


def fit_to_places(
    nominal: Camera, here: FloatArray, ground: FloatArray, prior: PosePrior, share: float
) -> PoseFit | None:
    """Fit a camera to ground points (ECEF) at pixels, close to its prior; None if it fails.

    It fails if the median residual is more than a share of the photo's long side, or the focal
    length is off by a fifth.

    The attitude is initialized by Kabsch's (1976) rotation of rays to lines of sight from the prior
    position. Then all parameters are fitted by least squares. A camera on the other side of the
    scene can have nearly the same view, which the prior of the position excludes.
    """
    camera = replace(nominal, position_ecef_m=prior.position_ecef_m)
    rays, sights = camera.rays(*here.T), ground - np.array(prior.position_ecef_m)
    rotation, _ = Rotation.align_vectors(
        *(each / np.linalg.norm(each, axis=1, keepdims=True) for each in (sights, rays))
    )
    side_px = nominal.long_side_px
    # Standard deviation of a match as a share of the long side
    sigma_px = 0.003 * side_px
    fit = fit_pose(
        here,
        ground,
        with_attitude(camera, rotation.as_matrix()),
        prior,
        np.isin(np.arange(PARAMETERS), (*ANGLES, FOCAL, ALONG, ACROSS, UP)),
        covariance_px=np.broadcast_to(sigma_px**2 * np.eye(2), (len(here), 2, 2)),
    )
    off_px = float(np.median(np.hypot(*fit.residual_px.T)))
    is_lens = abs(np.log(fit.camera.focal_px / nominal.focal_px)) < 0.2  # by eye
    return fit if is_lens and off_px < share * side_px else None


VERSION = 3  # of the files
UNIT = 255.0  # scale of descriptors, which are stored as bytes
FARTHEST_DEG = 85.0  # limit of latitude: Mercator's pole is infinitely far
COLUMNS = {"places": (2,), "sizes": (), "turns": (), "bands": (), "described": (128,)}


@dataclass(frozen=True, kw_only=True, eq=False)
class MapFeatures:
    """Features of grey and red of a map in Mercator's projection, which is conformal.

    west, top: Longitude and Mercator's ordinate (degrees on a sphere of radius 1) of its first
        pixel.
    step_deg: Of both, a pixel.
    columns: ``places`` (n, 2) in pixels, ``sizes``, ``turns``, ``bands`` (n,), ``described``
        (n, 128).
    """

    west: float
    top: float
    step_deg: float
    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.columns["sizes"])

    def ground(self, places: FloatArray) -> FloatArray:
        """Convert pixels to ground points (ECEF, metres), shape (n, 3)."""
        lon = self.west + self.step_deg * places[:, 0]
        return geodetic_to_ecef(lon, _latitude(self.top - self.step_deg * places[:, 1]))

    def chosen(self, which: BoolArray | IndexArray) -> Features:
        """Select some of the features, of either band."""
        described = self.columns["described"][which].astype(np.float32)
        described /= np.maximum(np.linalg.norm(described, axis=1, keepdims=True), 1e-9)
        names = ("places", "sizes", "turns")
        places, sizes, turns = (self.columns[name][which].astype(float) for name in names)
        return Features(places=places, sizes=sizes, turns=turns, described=described)

    def pixel_km(self, y: FloatArray) -> FloatArray:
        shrink = np.cos(np.radians(_latitude(self.top - self.step_deg * y)))
        return np.asarray(self.step_deg * KM_PER_DEGREE * shrink)

    def cells(self, side_px: int) -> Iterator[tuple[Features, ...]]:
        """Iterate over squares of the map, with the features of grey and red in each."""
        col, row = (self.columns["places"] // side_px).astype(int).T
        cell = 2 * (row * (int(col.max(initial=0)) + 1) + col) + self.columns["bands"]
        order = np.argsort(cell, kind="stable")
        numbers, starts = np.unique(cell[order], return_index=True)
        parts = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
        nothing = np.zeros(0, np.intp)
        for number in sorted({2 * (one // 2) for one in parts}):
            yield tuple(self.chosen(parts.get(number + band, nothing)) for band in (0, 1))


def make_features(reference: Reference, sample_km: float) -> MapFeatures:
    """Load the features of a map at about a pixel size, or extract them if they are not stored."""
    ratio = sample_km / (reference.grid.step_deg * KM_PER_DEGREE)
    octave = max(0, round(float(np.log2(max(ratio, 1.0)))))
    return _load(reference, reference.version, octave)


@lru_cache(maxsize=16)
def _load(reference: Reference, version: object, octave: int) -> MapFeatures:
    """Load features from the cache, or extract and store them."""
    # Everything that features depend on: the map file, its grid, the parameters
    with raise_read_failures(reference.path):
        file = fingerprint(reference.path)
    grid, ways = reference.grid, [SEA, *OF_MAPS.items()]
    place = (*grid.bounds, grid.step_deg)
    dependencies = (VERSION, octave, file, reference.content_sha256, *place, ways)
    key = hashlib.sha256(repr(dependencies).encode()).hexdigest()
    path = cache_folder() / "day" / f"{key[:32]}.features"
    if (kept := _read(path)) is not None:
        return kept
    logger = logging.getLogger("regengine")
    step_deg = grid.step_deg * 2**octave
    at = f"{reference.path.name} at {step_deg * KM_PER_DEGREE:.3g} km"
    logger.info("extracting features at %s a pixel, once for all photos", at)
    found = find_map_features(DayMap([reference]), grid.bounds, step_deg)
    try:
        make_folder(path.parent, variable="REGENGINE_CACHE")
        content = BytesIO()
        np.savez(content, grid=(found.west, found.top, found.step_deg), **found.columns)  # type: ignore[arg-type]
        write_whole(path, content.getvalue())
    except StoreError as error:
        logger.warning("map features are not cached: %s", error)
    else:
        logger.info("%s features at %s a pixel are cached in %s", f"{len(found):,}", at, path)
    return found


def find_map_features(day_map: DayMap, bounds: Bounds, source_deg: float) -> MapFeatures:
    """Extract features of a region of a map, block by block, at the given pixel size."""
    west, south, east, north = bounds
    south, north = max(south, -FARTHEST_DEG), min(north, FARTHEST_DEG)
    # The pixel size equals that of the map at the middle latitude
    shrink = float(np.cos(np.radians(0.5 * (south + north))))
    step_deg, top = source_deg / np.sqrt(shrink), _ordinate(north)
    cols, rows = (int(each / step_deg) for each in (east - west, top - _ordinate(south)))
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
    core, rim = round(OF_MAPS["block_px"]), round(OF_MAPS["block_rim_px"])
    for row in range(0, rows, core):
        for col in range(0, cols, core):
            x0, y0 = max(col - rim, 0), max(row - rim, 0)
            x1, y1 = min(col + core + rim, cols), min(row + core + rim, rows)
            lon = west + step_deg * np.arange(x0, x1)
            lat = _latitude(top - step_deg * np.arange(y0, y1))
            block = float(lon[0]), float(lat[-1]), float(lon[-1]), float(lat[0])
            if (grid := day_map.find_bands(*block, source_deg)) is None:
                continue
            x, y = (
                np.asarray(each / grid.step_deg, np.float32)
                for each in np.meshgrid(lon - grid.lon0_deg, grid.lat0_deg - lat)
            )
            bands = grid.values.reshape(-1, *grid.values.shape[-2:])
            drawn = np.stack([cv2.remap(one, x, y, cv2.INTER_LINEAR) for one in bands], axis=-1)
            picture = np.asarray(np.clip(drawn, 0.0, 255.0), np.uint8)
            known = None
            if grid.valid is not None:
                valid = cv2.remap(grid.valid.astype(np.float32), x, y, cv2.INTER_LINEAR)
                known = np.asarray(valid > 0.99)
            most = round(OF_MAPS["map_density"] * x.size)
            for band, one in enumerate(split_bands(picture)):
                features = find_features(one, known, most)
                at = features.places + np.array([x0, y0])
                inside = (at >= [col, row]).all(axis=1) & (at < [col + core, row + core]).all(
                    axis=1
                )
                found["places"].append(at[inside].astype(np.float32))
                found["sizes"].append(features.sizes[inside].astype(np.float32))
                found["turns"].append(features.turns[inside].astype(np.float32))
                found["bands"].append(np.full(int(inside.sum()), band, np.uint8))
                described = np.rint(UNIT * features.described[inside])
                found["described"].append(described.astype(np.uint8))
    columns = {
        name: np.concatenate(parts) if parts else np.zeros((0, *COLUMNS[name]), np.uint8)
        for name, parts in found.items()
    }
    return MapFeatures(west=west, top=top, step_deg=step_deg, columns=columns)


def _read(path: Path) -> MapFeatures | None:
    """Read the features in a file; None if it is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            west, top, step_deg = file["grid"].tolist()
            columns = {name: file[name] for name in COLUMNS}
    except (OSError, LookupError, ValueError, TypeError, AttributeError, BadZipFile, EOFError):
        return None
    n = len(columns["sizes"])
    if any(columns[name].shape != (n, *more) for name, more in COLUMNS.items()):
        return None
    return MapFeatures(west=west, top=top, step_deg=step_deg, columns=columns)


def _ordinate(lat_deg: float) -> float:
    return float(np.degrees(np.arctanh(np.sin(np.radians(lat_deg)))))


def _latitude(ordinate_deg: FloatArray) -> FloatArray:
    return np.asarray(np.degrees(np.arcsin(np.tanh(np.radians(ordinate_deg)))))


def _ground_around(
    axes: FloatArray, sample_km: float, side_px: int, x: FloatArray, y: FloatArray
) -> FloatArray:
    """Convert pixels of a map around a nadir to ground points (ECEF, metres), shape (..., 3).

    The projection is azimuthal equidistant (Snyder 1987, p. 191), the nadir at the middle pixel.
    """
    half = side_px // 2
    right, down = (np.asarray(each, float) - half for each in (x, y))
    away = np.hypot(right, down) * sample_km / EARTH_RADIUS_KM
    share = np.sinc(away / np.pi) * sample_km / EARTH_RADIUS_KM
    # Normal of the ellipsoid, whose direction is given by geodetic longitude and latitude
    normal = np.stack([share * right, share * down, np.cos(away)], axis=-1) @ axes
    lon = np.degrees(np.arctan2(normal[..., 1], normal[..., 0]))
    return geodetic_to_ecef(lon, np.degrees(np.arcsin(np.clip(normal[..., 2], -1.0, 1.0))))


def propose_dense_on_day(
    picture: MapPicture,
    nominal: Camera,
    levels: Sequence[MapGrid],
    position_ecef_m: FloatArray,
    ahead_ecef: FloatArray,
    sample_km: float,
    half_width_km: float,
) -> list[Camera]:
    """Propose cameras for which the rectified photo correlates with the map, likeliest first.

    The method is masked correlation by Fourier transforms (Padfield 2012) of images of zero mean,
    with the map drawn around the nadir, ahead at its top.
    """
    # The map around the nadir; its axes point to the right, backwards and to the zenith
    lon, lat, height_m = ecef_to_geodetic(position_ecef_m)
    zenith = unit_vectors(float(lon), float(lat))
    level_ahead = ahead_ecef - (ahead_ecef @ zenith) * zenith
    level_ahead = level_ahead / np.linalg.norm(level_ahead)
    axes = np.stack([np.cross(level_ahead, zenith), -level_ahead, zenith])
    width, step = 2 * round(half_width_km / sample_km), 2 * LATTICE_PX
    nodes = np.meshgrid(*2 * (lattice(width, step),))
    ground = _ground_around(axes, sample_km, width, *nodes)
    values, known = draw(levels, ground, (width, width), step, mean_side=True)
    drawn = even_picture(values, np.asarray(known > 0.99, np.float32), picture.params)
    camera, weight, evened = picture.image.camera(nominal), picture.image.weight, picture.evened
    altitude_km = float(height_m) / 1e3
    half = int(np.hypot(*evened.shape) / 2.0)
    side = 2 * half + 1
    right, down = np.meshgrid(*2 * ((np.arange(side) - half) * sample_km,))
    away = np.hypot(right, down) / EARTH_RADIUS_KM
    sink = EARTH_RADIUS_KM * (1.0 - np.cos(away)) + altitude_km
    share = np.sinc(away / np.pi)
    spectrum, square = (
        np.asarray(cv2.dft(pad_map(each)), np.float32) for each in (drawn, drawn**2)
    )
    rim = drawn.shape[0] - side + 1
    if rim < 3:
        return []
    peaks: list[tuple[float, float, int, int]] = []
    yaws = np.arange(72) * 2.0 * np.pi / 72  # steps of 5 degrees, of a prototype
    energy = np.ones((rim, rim))
    for k, yaw in enumerate(yaws):
        # The ground to the right and down of the view, in the camera's frame
        x = share * (np.cos(yaw) * right + np.sin(yaw) * down)
        y = share * (-np.sin(yaw) * right + np.cos(yaw) * down)
        at_x, at_y = (
            np.asarray(each, np.float32)
            for each in camera.image_of(np.stack([x, y, sink], axis=-1))
        )
        laid, counted = (
            np.asarray(cv2.remap(each, at_x, at_y, cv2.INTER_LINEAR), np.float32)
            for each in (evened, weight)
        )
        counted = np.asarray(counted > 0.5, np.float32)
        laid *= counted
        laid -= counted * (laid.sum() / max(float(counted.sum()), 1.0))
        if k % 4 == 0:
            around = slide_window(square, counted)[:rim, :rim]
            # Minimum energy of the map under the frame as a share of its median
            floor = 0.2 * max(float(np.median(around)), 0.0) + 1e-6
            energy = np.sqrt(np.maximum(around, floor))
        score = slide_window(spectrum, laid)[:rim, :rim]
        score /= energy * max(float(np.linalg.norm(laid)), 1e-6)
        i, j = divmod(int(np.argmax(score)), rim)
        peaks.append((float(score[i, j]), float(yaw), i, j))
    found: list[Camera] = []
    met: list[tuple[float, int, int]] = []
    for _, yaw, i, j in sorted(peaks, reverse=True):
        if len(found) == 4:
            break
        # Peaks of adjacent rotations that near are the same
        if any(
            abs(np.angle(np.exp(1j * (yaw - other)))) < 3.0 * yaws[1]
            and abs(i - row) + abs(j - col) < 12
            for other, row, col in met
        ):
            continue
        met.append((yaw, i, j))
        # The camera looks at this pixel of the map, rotated clockwise from its top
        cosine, sine = np.cos(yaw), np.sin(yaw)
        aside, back, up = axes
        level = np.stack([cosine * aside + sine * back, cosine * back - sine * aside, -up], axis=-1)
        at = np.array(j + half, float), np.array(i + half, float)
        sight = _ground_around(axes, sample_km, len(drawn), *at) - position_ecef_m
        turn, _ = Rotation.align_vectors(sight / np.linalg.norm(sight), -up)  # the smallest
        there = replace(nominal, position_ecef_m=to_xyz(position_ecef_m))
        found.append(with_attitude(there, turn.as_matrix() @ level))
    return found
