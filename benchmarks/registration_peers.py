"""What a user would try instead: features or phase correlation, and a homography onto the map."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.registration_crop import MapCrop, Picture, grey_levels
from benchmarks.registration_light import city_light
from regengine.evaluate.registration import GroundPoints, distance_m

FloatArray = NDArray[np.float64]

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
    """Run all peers on a photo and a crop of the map.

    Parameters
    ----------
    photo : Path
    crop : MapCrop
    scale : float
        Crop pixels a stored photo pixel, about: the log-polar peer starts from it, since a user
        knows the lens.

    Returns
    -------
    list of PeerAnswer
    """
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

    Parameters
    ----------
    photo, target : ndarray of uint8
    scale : float
        Target pixels a photo pixel, about.

    Returns
    -------
    ndarray, shape (3, 3)

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
