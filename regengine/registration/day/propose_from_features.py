"""Locate a daytime photo on a map by matches of local features that agree geometrically.

References
----------
Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
Arandjelović, R., Zisserman, A. (2012). Three things everyone should know to improve object
retrieval. CVPR: the square root of the descriptor.
Barath, D. et al. (2020). MAGSAC++, a fast, reliable and accurate robust estimator. CVPR.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolArray, FloatArray, FloatImage, IndexArray
from regengine.registration.day.parameters import FeatureParams


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Local features of an image.

    Attributes
    ----------
    places : ndarray, shape (n, 2)
        Positions in pixels.
    sizes, turns : ndarray, shape (n,)
        Sizes in pixels, and orientations in degrees.
    described : ndarray of float32, shape (n, 128)
        RootSIFT descriptors of unit length.
    """

    places: FloatArray
    sizes: FloatArray
    turns: FloatArray
    described: FloatImage

    def __len__(self) -> int:
        return len(self.places)

    def scaled(self, factor: float) -> Features:
        """Scale the features to the image resized by a factor."""
        return replace(self, places=(self.places + 0.5) * factor - 0.5, sizes=self.sizes * factor)


def split_bands(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Split an image (h, w, 3) into grey and red, which has less haze; a grey one is used twice."""
    if picture.shape[2] == 1:
        return (picture[:, :, 0], picture[:, :, 0])
    return (
        np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8),
        np.ascontiguousarray(picture[:, :, 0]),
    )


def find_features(
    picture: NDArray[np.uint8], counted: BoolArray | None, most: int, params: FeatureParams
) -> Features:
    """Extract the strongest features of an image within a mask."""
    clahe = cv2.createCLAHE(clipLimit=params.clip_limit, tileGridSize=(8, 8))
    mask = None if counted is None else counted.astype(np.uint8)
    sift = cv2.SIFT_create(nfeatures=most, contrastThreshold=params.contrast)  # type: ignore[attr-defined]
    points, found = sift.detectAndCompute(clahe.apply(picture), mask)
    if found is None:
        nothing = np.zeros(0)
        return Features(
            places=np.zeros((0, 2)),
            sizes=nothing,
            turns=nothing,
            described=np.zeros((0, 128), np.float32),
        )
    root = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9))
    return Features(
        places=np.array([point.pt for point in points]),
        sizes=np.array([point.size for point in points]),
        turns=np.array([point.angle for point in points]),
        described=np.asarray(root, np.float32),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Matched features of a photo and a map.

    Attributes
    ----------
    here, there : ndarray, shape (n, 2)
        Pixels of the photo and of the map.
    turn_deg : ndarray, shape (n,)
        Rotation from the orientation in the photo to that on the map.
    octaves : ndarray, shape (n,)
        Logarithm to base two of the ratio of their sizes.
    """

    here: FloatArray
    there: FloatArray
    turn_deg: FloatArray
    octaves: FloatArray

    def __len__(self) -> int:
        return len(self.here)

    def chosen(self, which: BoolArray | IndexArray) -> Matches:
        """Select some of the matches."""
        return Matches(
            here=self.here[which],
            there=self.there[which],
            turn_deg=self.turn_deg[which],
            octaves=self.octaves[which],
        )

    @classmethod
    def together(cls, some: Iterable[Matches]) -> Matches:
        """Concatenate matches, for example of several bands."""
        parts = [(one.here, one.there, one.turn_deg, one.octaves) for one in some]
        here, there, turn, octaves = (np.concatenate(each) for each in zip(*parts, strict=True))
        return cls(here=here, there=there, turn_deg=turn, octaves=octaves)


def match_features(photo: Features, there: Features, params: FeatureParams) -> Matches:
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
        same = (away <= params.same_place_px) & (rival[left] > -1.0)
        near[left[same], second[same]] = -1.0
        left = left[same]
    apart, next_apart = (np.sqrt(np.maximum(2.0 - 2.0 * each, 0.0)) for each in (likeness, rival))
    kept = np.flatnonzero(apart < params.max_ratio * next_apart)
    best = best[kept]
    return Matches(
        here=photo.places[kept],
        there=there.places[best],
        turn_deg=there.turns[best] - photo.turns[kept],
        octaves=np.log2(there.sizes[best] / photo.sizes[kept]),
    )


def count_places(here: FloatArray, there: FloatArray, cell_px: float) -> int:
    """Count the distinct places of matches, in the photo or on the map, whichever has fewer.

    Places are cells of a grid, since many features of one spot are not independent. The result is
    the minimum over three grid offsets.
    """
    if not len(here):
        return 0
    return min(
        len(np.unique(np.floor(places / cell_px + shift), axis=0))
        for places in (here, there)
        for shift in (0.0, 1.0 / 3.0, 2.0 / 3.0)
    )


def gather_by_votes(
    matches: Matches, middle: FloatArray, long_px: FloatArray, side_px: int, params: FeatureParams
) -> list[Matches]:
    """Group matches that imply nearly the same position and rotation, by number of places.

    Each match of a near-nadir frame determines the position of its centre and its rotation. These
    votes are counted in two sets of bins, offset from each other.

    Parameters
    ----------
    middle : ndarray, shape (2,)
        Pixel of the photo.
    long_px : ndarray, shape (n,)
        Long side of the photo on the map where each match lies, pixels.
    side_px : int
        The same in the photo.
    """
    alike = np.abs(matches.octaves - np.log2(long_px / side_px)) < params.vote_octaves
    matches, long_px = matches.chosen(alike), long_px[alike]
    turn = np.radians(matches.turn_deg)
    x, y = ((middle - matches.here) * (long_px / side_px)[:, None]).T
    votes = matches.there + np.stack(
        [np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], axis=1
    )
    # The bins have one width for all votes, from the median scale
    across = votes / (params.vote_share * float(np.median(long_px)) if len(long_px) else 1.0)
    turns = round(360.0 / params.vote_turn_deg)
    bins = [
        np.column_stack(
            [
                np.floor(across + shift),
                np.floor(matches.turn_deg / params.vote_turn_deg + shift) % turns,
            ]
        ).astype(int)
        for shift in (0.0, 0.5)
    ]
    found: list[tuple[int, Matches]] = []
    for each in bins:
        _, bin_of, n_votes = np.unique(each, axis=0, return_inverse=True, return_counts=True)
        for k in np.argsort(-n_votes, kind="stable")[: params.n_bins]:
            some = matches.chosen(np.flatnonzero(bin_of.ravel() == k))
            found.append((count_places(some.here, some.there, params.cell_px), some))
    found.sort(key=lambda one: -one[0])
    return [some for count, some in found[: params.n_bins] if count >= params.least_matches]


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Matches that agree with one homography of photo and map, and their number of places."""

    here: FloatArray
    there: FloatArray
    homography: FloatArray
    n_places: int


def find_agreements(matches: Matches, params: FeatureParams) -> list[Agreement]:
    """Find homographies that matches agree on, best first.

    Matches are sorted by rotation and by ratio of sizes into overlapping windows. If the photo
    shows a part of the map, correct matches are in one window, and wrong ones are spread over all.
    In each window, three matches determine an affine map. All matches near the best affine maps are
    used to fit a homography.
    """
    rng = np.random.default_rng(params.seed)
    found: list[tuple[int, FloatArray]] = []
    for octave, turn in product(params.octaves, range(-180, 180, params.turn_step_deg)):
        off = (matches.turn_deg - turn + 180.0) % 360.0 - 180.0
        inside = np.abs(matches.octaves - octave) < params.octave_reach
        k = np.flatnonzero(inside & (np.abs(off) < params.turn_reach_deg))
        if len(k) < params.least_matches:
            continue
        here, there = matches.here[k], matches.there[k]
        affine = _find_affine(here, there, rng, params)
        if affine is not None:
            near = _measure_away(affine, here, there)[0] < params.affine_px
            found.append((count_places(here[near], there[near], params.cell_px), affine))
    found.sort(key=lambda one: -one[0])
    agreements: list[Agreement] = []
    known: set[bytes] = set()  # sets of agreeing matches, since several windows can give the same
    for _, affine in found[: params.n_affines]:
        gathered = np.flatnonzero(
            _measure_away(affine, matches.here, matches.there)[0] < params.gather_px
        )
        here, there = matches.here[gathered], matches.there[gathered]
        if len(here) < params.least_matches:
            continue
        homography, mask = cv2.findHomography(
            here, there, cv2.USAC_MAGSAC, params.homography_px, maxIters=10_000, confidence=0.9999
        )
        if homography is None:
            continue
        kept = np.flatnonzero(mask)
        agreeing = gathered[kept].tobytes()
        if agreeing in known:
            continue
        known.add(agreeing)
        agreements.append(
            Agreement(
                here=here[kept],
                there=there[kept],
                homography=np.asarray(homography),
                n_places=count_places(here[kept], there[kept], params.cell_px),
            )
        )
    agreements.sort(key=lambda one: -one.n_places)
    return agreements


def _find_affine(
    here: FloatArray, there: FloatArray, rng: np.random.Generator, params: FeatureParams
) -> FloatArray | None:
    """Find the affine map, (1, 3, 2), of three matches that most others agree with, or None."""
    chosen = rng.random((params.n_samples, len(here))).argpartition(2, axis=1)[:, :3]
    corners = np.concatenate([here[chosen], np.ones((len(chosen), 3, 1))], axis=-1)
    spread = np.abs(np.linalg.det(corners)) > params.cell_px**2
    affine = np.linalg.solve(corners[spread], there[chosen[spread]])
    # Both singular values
    half = 0.5 * (affine[:, :2] ** 2).sum(axis=(1, 2))
    root = np.sqrt(np.maximum(half**2 - np.linalg.det(affine[:, :2]) ** 2, 0.0))
    longest, shortest = np.sqrt(half + root), np.sqrt(np.maximum(half - root, 1e-12))
    area = np.linalg.det(affine[:, :2])
    low, high = params.area_range
    sane = (area > low) & (area < high) & (longest < params.max_stretch * shortest)
    affine = affine[sane]
    if not len(affine):
        return None
    agree = (_measure_away(affine, here, there) < params.affine_px).sum(axis=1)
    k = int(agree.argmax())
    return affine[k : k + 1] if agree[k] >= params.least_matches - 1 else None


def _measure_away(affine: FloatArray, here: FloatArray, there: FloatArray) -> FloatArray:
    """Compute the residuals of places under affine maps, (k, 3, 2); shape (k, n)."""
    moved = here @ affine[:, :2] + affine[:, 2:]
    return np.asarray(np.hypot(*np.moveaxis(moved - there, -1, 0)))
