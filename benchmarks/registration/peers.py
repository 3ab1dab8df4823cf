"""What a user would try instead: features or phase correlation, and a homography onto the map."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Proj

from benchmarks.registration.score_frame import city_light
from benchmarks.registration.scores import MAP_PIXEL_M, GroundPoints, distance_m
from matchers.camera import Camera
from matchers.footprint import visible_ground
from regengine.registration.map_window import HasWindows

# The part of the map that a user would cut out for a photo whose place he knows well.

FloatArray = NDArray[np.float64]
Picture = NDArray[np.uint8]

MARGIN = 0.3  # of the footprint's sides, added on each
LARGEST_CROP_PX = 1800  # SIFT and AKAZE grow slow and no better beyond
BRIGHTEST_QUANTILE = 0.998
LATTICE_PX = 8  # places are computed this far apart and interpolated


@dataclass(frozen=True, kw_only=True)
class MapCrop:
    """A piece of a map in an azimuthal equidistant projection, north up.

    Attributes
    ----------
    picture : ndarray of uint8, shape (h, w)
        Log light as grey levels.
    lon, lat : float
        Centre of the projection, degrees.
    west_m, north_m : float
        Projected position of the centre of the first pixel.
    step_m : float
        Pixel size.
    """

    picture: Picture
    lon: float
    lat: float
    west_m: float
    north_m: float
    step_m: float

    def lonlat(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Places of pixels, degrees; infinite beyond the projection's reach."""
        east = self.west_m + self.step_m * np.asarray(x, float)
        north = self.north_m - self.step_m * np.asarray(y, float)
        lon, lat = equidistant(self.lon, self.lat)(east, north, inverse=True)
        return np.asarray(lon), np.asarray(lat)


def grey_levels(values: NDArray[np.float32]) -> Picture:
    """Log light as 8-bit grey levels; the brightest pixels are white."""
    lit = values[values > 0.0]
    white = float(np.quantile(lit, BRIGHTEST_QUANTILE)) if lit.size else 1.0
    return np.asarray(np.clip(255.0 / white * values + 0.5, 0.0, 255.0), np.uint8)


def equidistant(lon: float, lat: float) -> Proj:
    """Azimuthal equidistant projection about a place, on WGS84."""
    return Proj(proj="aeqd", lon_0=lon, lat_0=lat, ellps="WGS84")


def crop_around(light_map: HasWindows, camera: Camera) -> tuple[MapCrop, float]:
    """Cut out what a camera sees and a margin."""
    lon, lat = visible_ground(camera)
    middle = float(np.median(lon)), float(np.median(lat))
    east, north = equidistant(*middle)(lon, lat)
    low = np.array([np.min(east), np.min(north)])
    high = np.array([np.max(east), np.max(north)])
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    step_m = max(MAP_PIXEL_M, float((high - low).max()) / LARGEST_CROP_PX)
    width, height = (int(side) for side in np.ceil((high - low) / step_m))
    blank = MapCrop(
        picture=np.zeros((height, width), np.uint8),
        lon=middle[0],
        lat=middle[1],
        west_m=float(low[0]),
        north_m=float(high[1]),
        step_m=step_m,
    )
    values = crop_light(light_map, blank)
    crop = MapCrop(**{**vars(blank), "picture": grey_levels(values)})
    return crop, crop_scale(camera, crop)


def crop_light(light_map: HasWindows, crop: MapCrop) -> NDArray[np.float32]:
    """The map's log light at every pixel of a crop."""
    height, width = crop.picture.shape
    x = np.arange(0, width + LATTICE_PX, LATTICE_PX)
    y = np.arange(0, height + LATTICE_PX, LATTICE_PX)
    lon, lat = crop.lonlat(*np.meshgrid(x, y))
    lon = crop.lon + (lon - crop.lon + 180.0) % 360.0 - 180.0
    resolution = crop.step_m / MAP_PIXEL_M / 240.0
    grid = light_map.window(lon.min(), lat.min(), lon.max(), lat.max(), resolution)
    positions = np.dstack(grid.to_pixel(lon, lat)).astype(np.float32)
    at_x, at_y = np.meshgrid(
        np.arange(width, dtype=np.float32) / LATTICE_PX,
        np.arange(height, dtype=np.float32) / LATTICE_PX,
    )
    col, row = cv2.split(cv2.remap(positions, at_x, at_y, cv2.INTER_LINEAR))
    return np.asarray(cv2.remap(grid.values, col, row, cv2.INTER_LINEAR), np.float32)


def crop_scale(camera: Camera, crop: MapCrop) -> float:
    """Crop pixels a photo pixel, in the median over the visible ground."""
    x, y = (
        side.ravel()
        for side in np.meshgrid(
            np.linspace(0.0, camera.width_px - 2.0, 9), np.linspace(0.0, camera.height_px - 2.0, 9)
        )
    )
    project = equidistant(crop.lon, crop.lat)
    corners = [
        np.stack(project(*camera.pixel_to_lonlat(x + dx, y + dy))) / crop.step_m
        for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    ]
    (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[0]
    area = np.abs(ax * by - ay * bx)
    return float(np.sqrt(np.median(area[np.isfinite(area)])))


RATIO = 0.8  # of the nearest to the second nearest descriptor; Lowe 2004, section 7.1
INLIER_PX = 3.0
TRIALS = 100_000
CONFIDENCE = 0.9999
MOST_FEATURES = 10_000
LARGEST_PX = 1200


@dataclass(frozen=True, kw_only=True)
class PeerAnswer:
    """What a peer says of one photo.

    Attributes
    ----------
    name : str
    homography : ndarray, shape (3, 3), or None
        Photo pixels as stored → pixels of the map crop; None without an answer.
    inliers : int or None
        Where the method counts them.
    seconds : float
        Wall time, without reading the photo and cutting the map.
    """

    name: str
    homography: FloatArray | None
    inliers: int | None
    seconds: float

    def errors_m(self, points: GroundPoints, crop: MapCrop) -> FloatArray:
        """Distance of each point from where the homography puts its pixel; infinite without one."""
        if self.homography is None:
            return np.full(len(points), np.inf)
        flat = np.stack([points.x, points.y, np.ones(len(points))])
        u, v, w = self.homography @ flat
        with np.errstate(divide="ignore", invalid="ignore"):
            lon, lat = crop.lonlat(u / w, v / w)
        return distance_m(lon, lat, points.lon, points.lat)


def ask_peers(photo: Path, crop: MapCrop, scale: float) -> list[PeerAnswer]:
    """Run all peers on a photo and a crop of the map."""
    values, factor = city_light(photo, LARGEST_PX)
    picture = grey_levels(values)
    from_stored = resizing(factor)
    methods: dict[str, Callable[[], tuple[FloatArray | None, int | None]]] = {
        "SIFT + MAGSAC": lambda: match_features(_sift(), cv2.NORM_L2, picture, crop.picture),
        "AKAZE + MAGSAC": lambda: match_features(_akaze(), cv2.NORM_HAMMING, picture, crop.picture),
        "log-polar": lambda: (log_polar(picture, crop.picture, scale / factor), None),
    }
    answers = []
    for name, method in methods.items():
        started = time.perf_counter()
        found, inliers = method()
        seconds = time.perf_counter() - started
        homography = None if found is None else found @ from_stored
        answers.append(
            PeerAnswer(name=name, homography=homography, inliers=inliers, seconds=seconds)
        )
    return answers


def resizing(factor: float) -> FloatArray:
    """Pixels of a picture → pixels of its resized copy; areas, not centres, scale."""
    shift = 0.5 * factor - 0.5
    return np.array([[factor, 0.0, shift], [0.0, factor, shift], [0.0, 0.0, 1.0]])


def _sift() -> Any:
    opencv: Any = cv2
    return opencv.SIFT_create(nfeatures=MOST_FEATURES)


def _akaze() -> Any:
    # OpenCV 5 moved AKAZE to the contributed modules.
    opencv: Any = cv2
    home = opencv if hasattr(opencv, "AKAZE_create") else opencv.xfeatures2d
    return home.AKAZE_create(max_points=MOST_FEATURES)


def match_features(
    detector: Any, norm: int, photo: Picture, target: Picture
) -> tuple[FloatArray | None, int]:
    """Homography from ratio-tested nearest descriptors by MAGSAC++, and its inliers."""
    (keys_a, found_a), (keys_b, found_b) = (
        detector.detectAndCompute(picture, None) for picture in (photo, target)
    )
    if found_a is None or found_b is None or len(keys_b) < 2:
        return None, 0
    pairs = cv2.BFMatcher(norm).knnMatch(found_a, found_b, k=2)
    good = [(a, b) for a, b in pairs if a.distance < RATIO * b.distance]
    good.sort(key=lambda pair: pair[0].distance / max(pair[1].distance, 1e-9))
    if len(good) < 4:
        return None, 0
    source = np.array([keys_a[a.queryIdx].pt for a, _ in good])
    landed = np.array([keys_b[a.trainIdx].pt for a, _ in good])
    homography, mask = cv2.findHomography(
        source, landed, cv2.USAC_MAGSAC, INLIER_PX, maxIters=TRIALS, confidence=CONFIDENCE
    )
    if homography is None:
        return None, 0
    return np.asarray(homography, float), int(mask.sum())


def log_polar(photo: Picture, target: Picture, scale: float) -> FloatArray:
    """Similarity between two pictures by Fourier-Mellin phase correlation.

    References
    ----------
    Reddy, B. S., Chatterji, B. N. (1996). An FFT-based technique for translation, rotation, and
    scale-invariant image registration. IEEE Trans. Image Processing 5 (8), 1266-1271.
    """
    width, height = (max(16, round(side * scale)) for side in photo.shape[::-1])
    mode = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(photo, (width, height), interpolation=mode), np.uint8)
    side = cv2.getOptimalDFTSize(max(*target.shape, *small.shape))
    framed, into = _framed(small, side)
    goal, into_goal = _framed(target, side)
    middle = ((side - 1) / 2.0, (side - 1) / 2.0)
    radius = side / 2.0
    (across, down), _ = cv2.phaseCorrelate(*(
        cv2.warpPolar(_spectrum(picture), (side, side), (side / 2, side / 2), radius,
                      cv2.WARP_POLAR_LOG)
        for picture in (framed, goal)
    ))  # fmt: skip
    # A picture drawn larger has a smaller spectrum.
    zoom = float(np.clip(np.exp(-across * np.log(radius) / side), 0.5, 2.0))
    angle_deg = -360.0 * down / side
    best, height_of_peak = np.eye(3), -np.inf
    for turn in (0.0, 180.0):
        turned = cv2.getRotationMatrix2D(middle, angle_deg + turn, zoom)
        drawn = cv2.warpAffine(framed, turned, (side, side))
        (dx, dy), peak = cv2.phaseCorrelate(drawn, goal)
        if peak > height_of_peak:
            height_of_peak = peak
            shift = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy], [0.0, 0.0, 1.0]])
            best = shift @ np.vstack([turned, [0.0, 0.0, 1.0]])
    return np.linalg.inv(into_goal) @ best @ into @ resizing(scale)


def _framed(picture: Picture, side: int) -> tuple[NDArray[np.float32], FloatArray]:
    """A picture faded out at its rim in the middle of a square, and the shift to there."""
    height, width = picture.shape
    left, top = (side - width) // 2, (side - height) // 2
    frame = np.zeros((side, side), np.float32)
    fade = cv2.createHanningWindow((width, height), cv2.CV_32F)
    frame[top : top + height, left : left + width] = picture * fade
    return frame, np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])


def _spectrum(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log magnitude spectrum, the origin in the middle, low frequencies damped."""
    side = len(picture)
    magnitude = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(picture))))
    wave = np.cos(np.pi * np.fft.fftshift(np.fft.fftfreq(side)))
    low = np.outer(wave, wave)
    return np.asarray((1.0 - low) * (2.0 - low) * magnitude, np.float32)
