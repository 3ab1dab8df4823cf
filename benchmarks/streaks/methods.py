"""Every way of finding streaks under one roof: our detectors, and what other libraries have."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.registry import STREAKS
from detectors.types import StreakDetector, StreakKind
from regengine.evaluate.streak_scores import streak_rows

# What a user would otherwise find streaks with, as their documentation has them called.

FloatArray = NDArray[np.float64]
LightArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
FULL_SCALE = 65_535.0

BOX_PX = 32
STAR_SIGMA, ROUND, STAR_GROWN_PX = 4.0, 2.0, 2
SMOOTH_PX = 1.0
SHORTEST_PX = 25
MRT_SIDE_PX = 512
LSD_SIGMA = (2.0, 10.0)  # of the smoothed frame: black and white


@dataclass(frozen=True, kw_only=True)
class Hough:
    """How a probabilistic Hough transform is asked."""

    sigma: float  # of the smoothed frame
    votes: int
    gap_px: int


STRICT = Hough(sigma=3.0, votes=30, gap_px=5)
LENIENT = Hough(sigma=2.5, votes=22, gap_px=8)


@dataclass(frozen=True, kw_only=True)
class StreakPeer:
    """Another library's detector.

    Attributes
    ----------
    name : str
    find : callable
        Light, shape (h, w) → ends x1, y1, x2, y2, shape (M, 4).
    slow : bool
        Takes many seconds a frame.
    """

    name: str
    find: Callable[[LightArray], FloatArray]
    slow: bool = False


def streak_peers() -> list[StreakPeer]:
    """Each peer that can be imported."""
    peers = [
        StreakPeer(name="OpenCV LSD", find=_lsd),
        StreakPeer(name="OpenCV HoughLinesP", find=_opencv_hough),
        StreakPeer(name="scikit-image Hough", find=_skimage_hough),
    ]
    if importlib.util.find_spec("acstools") is not None:
        peers.append(StreakPeer(name="acstools satdet", find=_satdet))
        if importlib.util.find_spec("photutils") is not None:
            peers.append(StreakPeer(name="acstools findsat_mrt", find=_findsat_mrt, slow=True))
    return peers


def _rows(lines: Any) -> FloatArray:
    return np.asarray(lines, float).reshape(-1, 4)


def above_background(light: LightArray) -> tuple[LightArray, LightArray]:
    """Light without background in units of its noise, and the same smoothed to unit noise."""
    sep = importlib.import_module("sep")
    image = np.ascontiguousarray(light, np.float32)
    sky = sep.Background(image, bw=BOX_PX, bh=BOX_PX)
    above = (image - sky.back(dtype=np.float32)) / np.maximum(sky.rms(dtype=np.float32), 1e-9)
    smooth = cv2.GaussianBlur(above, (0, 0), SMOOTH_PX)
    # White noise under a Gaussian: sigma / (2 sqrt(pi) s)
    return above, np.asarray(smooth * (2.0 * np.sqrt(np.pi) * SMOOTH_PX), np.float32)


def star_mask(above: LightArray) -> BoolArray:
    """Pixels of round sources, grown a little."""
    sep = importlib.import_module("sep")
    sep.set_extract_pixstack(3_000_000)
    objects, label = sep.extract(above, STAR_SIGMA, err=1.0, segmentation_map=True)
    round_ones = np.flatnonzero(objects["a"] < ROUND * objects["b"]) + 1
    mask = np.isin(label, round_ones).astype(np.uint8)
    side = 2 * STAR_GROWN_PX + 1
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(grown > 0)


def _bright_pixels(light: LightArray, sigma: float) -> BoolArray:
    above, smooth = above_background(light)
    return np.asarray((smooth > sigma) & ~star_mask(above))


def _lsd(light: LightArray) -> FloatArray:
    _, smooth = above_background(light)
    black, white = LSD_SIGMA
    grey = np.rint(255.0 * np.clip((smooth - black) / (white - black), 0.0, 1.0)).astype(np.uint8)
    lines = cv2.createLineSegmentDetector().detect(grey)[0]
    if lines is None:
        return np.zeros((0, 4))
    rows = _rows(lines)
    return rows[np.hypot(rows[:, 2] - rows[:, 0], rows[:, 3] - rows[:, 1]) >= SHORTEST_PX]


def _opencv_hough(light: LightArray) -> FloatArray:
    lines = cv2.HoughLinesP(
        _bright_pixels(light, STRICT.sigma).astype(np.uint8),
        1.0,
        np.pi / 360.0,
        STRICT.votes,
        minLineLength=SHORTEST_PX,
        maxLineGap=STRICT.gap_px,
    )
    return np.zeros((0, 4)) if lines is None else _rows(lines)


def _skimage_hough(light: LightArray) -> FloatArray:
    transform = importlib.import_module("skimage.transform")
    lines = transform.probabilistic_hough_line(
        _bright_pixels(light, LENIENT.sigma),
        threshold=LENIENT.votes,
        line_length=SHORTEST_PX,
        line_gap=LENIENT.gap_px,
        theta=np.linspace(-np.pi / 2.0, np.pi / 2.0, 360, endpoint=False),
        rng=0,
    )
    return _rows(lines)


def _satdet(light: LightArray) -> FloatArray:
    """With its defaults; it reads FITS files of ACS and takes the first extension."""
    fits = importlib.import_module("astropy.io.fits")
    satdet = importlib.import_module("acstools.satdet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.fits"
        image = fits.ImageHDU((FULL_SCALE * light).astype(np.float32))
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
        found, errors = satdet.detsat(str(path), chips=[1], n_processes=1, verbose=False)
    if errors:
        raise RuntimeError(str(next(iter(errors.values()))))
    return _rows(next(iter(found.values())))


def _findsat_mrt(light: LightArray) -> FloatArray:
    """With its defaults, on one core; trails of status 2, those that it would mask.

    Frames are brought down by sums of blocks, as its documentation does with those of ACS.
    """
    module = importlib.import_module("acstools.findsat_mrt")
    image = (FULL_SCALE * (light - np.median(light))).astype(np.float64)
    step = -(-max(image.shape) // MRT_SIDE_PX)
    if step > 1:
        h, w = (side // step * step for side in image.shape)
        image = image[:h, :w].reshape(h // step, step, w // step, step).sum(axis=(1, 3))
    finder = module.TrailFinder(image, processes=1, save_catalog=False, save_diagnostic=False)
    finder.run_mrt()
    finder.find_mrt_sources()
    if finder.source_list is None:
        return np.zeros((0, 4))
    finder.filter_sources()
    trails = [one["endpoints"] for one in finder.source_list if one["status"] == 2]
    return (_rows(trails) + 0.5) * step - 0.5


PEER_WIDTH_PX = 3.0  # peers give lines without a width


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a method says of a frame.

    Attributes
    ----------
    rows : ndarray of float64, shape (M, 5)
        Ends and bow.
    width_px : ndarray of float64, shape (M,)
    """

    rows: FloatArray
    width_px: FloatArray


@dataclass(frozen=True, kw_only=True)
class StreakMethod:
    """A way of finding streaks.

    Attributes
    ----------
    name : str
    find : callable
        Light, mask of pixels to ignore or None, and clipped share or None, each of shape (h, w)
        → Found.
    peer : bool
    slow : bool
        Takes many seconds a frame.
    mask : callable or None
        Light, shape (h, w) → pixels that it takes for streaks, if the method tells.
    """

    name: str
    find: Callable[[Any, BoolArray | None, Any], Found]
    peer: bool = False
    slow: bool = False
    mask: Callable[[Any], BoolArray] | None = None


def streak_methods(*, peers: bool = True) -> dict[str, StreakMethod]:
    """All of them, ours first."""
    methods = [_of_detector(one) for one in STREAKS.detectors().values()]
    if peers:
        methods += [_of_peer(one) for one in streak_peers()]
    return {one.name: one for one in methods}


def _of_detector(detector: StreakDetector) -> StreakMethod:
    def find(light: Any, mask: BoolArray | None, saturated: Any) -> Found:
        found = detector.detect(light, mask, saturated)
        kept = np.array([kind is not StreakKind.COSMIC_RAY for kind in found.kind], bool)
        return Found(rows=streak_rows(found), width_px=found.width_px[kept])

    return StreakMethod(
        name=detector.name, find=find, mask=getattr(detector, "streak_pixels", None)
    )


def _of_peer(peer: StreakPeer) -> StreakMethod:
    def find(light: Any, mask: BoolArray | None, saturated: Any) -> Found:
        filled = light if mask is None else np.where(mask, np.median(light[~mask]), light)
        rows = peer.find(np.asarray(filled, np.float32))
        rows = np.column_stack([rows, np.zeros(len(rows))])
        return Found(rows=rows, width_px=np.full(len(rows), PEER_WIDTH_PX))

    return StreakMethod(name=peer.name, find=find, peer=True, slow=peer.slow)
