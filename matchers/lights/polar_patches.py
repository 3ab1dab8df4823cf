"""Polar patch descriptors: light in rings around a point, for matching at any rotation.

A rotation only shifts a ring, and small errors of scale or tilt hardly change it. Rings are sampled
with a blur that grows with their radius (geometric blur), because errors of scale and tilt displace
light more at larger radii. The descriptor has the angular harmonics of each ring, without the mean,
which carries brightness but no position.

A patch matched to a reference point at a rotation angle determines the rotation of the whole photo.
The other patches of the photo must then correlate with the reference where they are projected.

References
----------
Berg, A. C., Malik, J. (2001). Geometric blur for template matching. CVPR, I-607-614.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from detectors.types import FloatArray, FloatImage, IndexArray
from matchers.points.asterism_match import fit_rotations, fit_scales, rescale_tangents
from matchers.points.asterisms import lengths, turns_about_z

ComplexArray = NDArray[np.complex64]

# Layout of the patches stored in index files
RINGS_PX = (2.0, 3.0, 4.5, 6.5, 9.0, 12.5, 17.0, 23.0, 31.0)
ANGLES, HARMONICS = 32, 8
UNIT = 127.0 / 0.5  # scale of the stored integers; coefficients are clipped at 0.5


def _turn_back(n_harmonics: int, n_angles: int) -> tuple[FloatImage, FloatImage]:
    """Make inverse-transform matrices of odd and even harmonics for the first half of angles."""
    turns = 2.0 * np.pi * np.arange(n_angles // 2) / n_angles
    odd, even = (np.outer(turns, range(first, n_harmonics + 1, 2)) for first in (1, 2))
    odd_back, even_back = (
        np.stack([np.cos(angles), -np.sin(angles)], axis=2)
        .reshape(n_angles // 2, -1)
        .astype(np.float32)
        for angles in (odd, even)
    )
    return odd_back, even_back


# Low harmonics, at fewer angles, are sufficient to reject most reference points
LOW_ANGLES, LOW_HARMONICS = 16, 6
ALL_BACK, LOW_BACK = _turn_back(HARMONICS, ANGLES), _turn_back(LOW_HARMONICS, LOW_ANGLES)
BATCH = 48  # number of patches compared with the reference at once
CHUNK = 128  # number of reference points per step, so that correlations fit into the cache


# log10 likelihood ratio of a correlation at the correct point against one at a wrong point to
# which the photo was rotated. It is linear above min_correlation (fitted to histograms of the
# training half at 0.65 km), and 0 below it or without a reference point
MIN_CORRELATION = 0.25
LOG10_PER_UNIT = 3.0
NEAREST = 2  # number of nearest reference points that a patch may match
# Maximum distance of matches: pixels, plus a share of the distance from the placed patch; smaller
# after the fit of the rotation (by eye)
ROUGH_REACH = (4.0, 0.1)
FINE_REACH = (3.0, 0.03)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchTable:
    """Patches of many reference points.

    coefficients: Real and imaginary parts of each harmonic, rings side by side, in units of 1 /
        `UNIT`; of about unit length together, shape (HARMONICS, n, 2 * rings).
    weights: Factors applied to the harmonics before, shape (rings, HARMONICS).
    """

    coefficients: NDArray[np.int8]
    weights: FloatImage

    def __len__(self) -> int:
        return self.coefficients.shape[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMap:
    """Reference points: unit vectors, local frames (`matchers.points.asterisms`), and patches."""

    vectors: FloatArray
    frames: FloatArray
    tree: cKDTree
    table: PatchTable
    pixel_rad: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchPhoto:
    """Points of a photo with their patches, in the level frame of a direction of the nadir."""

    axes: FloatArray  # (3, 3): camera frame to level frame, `matchers.lights.level_ground`
    vectors: FloatArray  # (n, 3): unit vectors of the level frame
    # (n, 3, 3): columns are right and up of the image from which patches were cut, and the point
    frames: FloatArray
    queries: ComplexArray  # (n, rings, HARMONICS): of `normalize_queries`
    chosen: IndexArray  # (m,): patches that are placed


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchPlacement:
    """A rotation hypothesis from the match of one patch of a photo."""

    photo: PatchPhoto
    rotation: FloatArray  # (3, 3): level frame to that of the reference, after `rescale_tangents`
    scale: float
    log10_odds: float  # of the other patches, less the logarithm of the rank of the placed one
    own: int  # the placed patch


def sample_rings(
    picture: FloatImage,
    weight: FloatImage | None,
    x: ArrayLike,
    y: ArrayLike,
    stretch_x: ArrayLike = 1.0,
) -> tuple[FloatImage, FloatImage]:
    """Sample light in rings around points of an image, pixels x and y (n,).

    In the log light `picture`, north, or the direction that represents it, is up; `weight` is 0 for
    pixels to ignore; `stretch_x` is the horizontal over the vertical scale at each point. Returns
    values and weights (0 or 1), (n, rings, ANGLES), anticlockwise from the right.
    """
    at_x, at_y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    angles = 2.0 * np.pi * np.arange(ANGLES) / ANGLES
    wide = np.broadcast_to(np.asarray(stretch_x, float), at_x.shape)[:, None]
    lit = picture if weight is None else picture * weight
    counted = np.ones_like(picture) if weight is None else weight
    values = np.zeros((len(at_x), len(RINGS_PX), ANGLES), np.float32)
    weights = np.zeros_like(values)
    for ring, radius_px in enumerate(RINGS_PX):
        # A blur of 0.16 of a ring's radius is about the spacing of its samples
        sigma_px = max(0.8, 0.16 * radius_px)
        covered = blur_to_dark(counted, sigma_px)
        light = blur_to_dark(lit, sigma_px) / np.maximum(covered, 1e-3)
        columns = (at_x[:, None] + wide * radius_px * np.cos(angles)).astype(np.float32)
        rows = (at_y[:, None] - radius_px * np.sin(angles)).astype(np.float32)
        for start in range(0, len(at_x), 30_000):  # OpenCV's remap allows fewer than 32,767 rows
            part = np.s_[start : start + 30_000]
            values[part, ring] = cv2.remap(light, columns[part], rows[part], cv2.INTER_LINEAR)
            weights[part, ring] = cv2.remap(covered, columns[part], rows[part], cv2.INTER_LINEAR)
    return values, (weights > 0.6).astype(np.float32)  # by eye


def blur_to_dark(picture: FloatImage, sigma_px: float) -> FloatImage:
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT), np.float32
    )


def harmonics(values: FloatImage, weights: FloatImage) -> ComplexArray:
    """Compute harmonics (n, rings, HARMONICS) of `sample_rings`.

    Samples of weight 0 are replaced by the mean of the ring.
    """
    count = weights.sum(axis=2, keepdims=True)
    mean = (values * weights).sum(axis=2, keepdims=True) / np.maximum(count, 1.0)
    without = np.where(count >= 10, (values - mean) * weights, 0.0)
    return np.fft.rfft(without, axis=2)[..., 1 : HARMONICS + 1].astype(np.complex64)


def build_table(found: ComplexArray) -> PatchTable:
    """Make a table from harmonics of many points, shape (n, rings, HARMONICS)."""
    spread = np.sqrt((np.abs(found) ** 2).mean(axis=0)) if len(found) else np.ones(found.shape[1:])
    weights = np.maximum(spread, 1e-9) / max(float(np.median(spread)), 1e-9)
    weights **= -0.5  # halves the log ratio of the coefficients' spreads
    weighted = found * weights
    size = np.sqrt((np.abs(weighted) ** 2).sum(axis=(1, 2)))
    # Limits the amplification of faint points
    least = 0.3 * float(np.median(size)) if len(found) else 1.0
    weighted /= np.maximum(np.hypot(size, least), 1e-9)[:, None, None]
    parts = np.concatenate([weighted.real, weighted.imag], axis=1).transpose(2, 0, 1)
    return PatchTable(
        coefficients=np.ascontiguousarray(np.clip(np.rint(UNIT * parts), -127, 127), np.int8),
        weights=weights.astype(np.float32),
    )


def normalize_queries(table: PatchTable, found: ComplexArray) -> ComplexArray:
    """Weight the harmonics of a photo's points as in a table, and normalise to unit length."""
    weighted = found * table.weights
    size = np.sqrt((np.abs(weighted) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(weighted / np.maximum(size, 1e-9), np.complex64)


def project(queries: ComplexArray) -> FloatImage:
    """Make factors, (q, HARMONICS, 2, 2 * rings), whose product with a table is the cross-spectrum.

    The product has its real and imaginary parts, in units of correlation.
    """
    real, imaginary = queries.real.transpose(0, 2, 1), queries.imag.transpose(0, 2, 1)
    parts = [np.concatenate(pair, axis=2) for pair in ((real, imaginary), (-imaginary, real))]
    return np.ascontiguousarray(np.stack(parts, axis=2) / UNIT, np.float32)


def correlate(coefficients: NDArray[np.int8], projections: FloatImage) -> FloatImage:
    """Correlate patches of `project` with columns of a table at all rotations, (ANGLES, q, n).

    Rotations are in steps of 1 / ANGLES of the circle, anticlockwise.
    """
    even, odd = _correlate_halves(coefficients, projections, ALL_BACK)
    turned = np.concatenate([even + odd, even - odd])
    return np.asarray(turned.reshape(ANGLES, len(projections), -1))


def correlate_at_best(
    coefficients: NDArray[np.int8],
    projections: FloatImage,
    back: tuple[FloatImage, FloatImage],
) -> FloatImage:
    """Compute the maximum correlation (q, n) over rotations of each patch with each column.

    ``back`` is `ALL_BACK`, or `LOW_BACK` for low harmonics only.
    """
    even, odd = _correlate_halves(coefficients, projections, back)
    np.abs(odd, out=odd)
    odd += even
    return np.asarray(odd.max(axis=0).reshape(len(projections), -1))


def _correlate_halves(
    coefficients: NDArray[np.int8], projections: FloatImage, back: tuple[FloatImage, FloatImage]
) -> tuple[FloatImage, FloatImage]:
    """Compute correlations of even and odd harmonics for half of the angles, (angles / 2, q * n).

    After a further rotation by 180 degrees, even terms are the same and odd terms change sign.
    """
    found = []
    for first, turned_back in enumerate(back):
        orders = np.s_[first : first + turned_back.shape[1] : 2]
        sides = projections[:, orders].transpose(1, 2, 0, 3)
        sides = sides.reshape(len(sides), -1, projections.shape[3])
        spectra = sides @ coefficients[orders].astype(np.float32).transpose(0, 2, 1)
        found.append(turned_back @ spectra.reshape(turned_back.shape[1], -1))
    odd, even = found
    return even, odd


def place_patches(
    reference: PatchMap, photos: Sequence[PatchPhoto], n_places: int
) -> list[PatchPlacement]:
    """Match the chosen patches of photos to similar points of the reference.

    Patches of all photos are compared with the reference at once, which is faster than one photo
    after another. ``n_places`` points are tried for each patch; its most probable placements are
    returned.
    """
    photos = [photo for photo in photos if len(photo.chosen)]
    if not photos or len(reference.vectors) < NEAREST:
        return []
    n_places = min(n_places, len(reference.vectors))
    queries = np.concatenate([photo.queries[photo.chosen] for photo in photos])
    ends = np.cumsum([len(photo.chosen) for photo in photos])[:-1]
    places, turns_rad = find_places(reference.table, queries, n_places)
    parts = np.split(places, ends), np.split(turns_rad, ends)
    found: list[PatchPlacement] = []
    for photo, near, turned_rad in zip(photos, *parts, strict=True):
        own = np.repeat(photo.chosen, n_places)
        turns = turns_about_z(turned_rad.ravel())
        frames = reference.frames[near.ravel()]
        rotations = frames @ turns @ np.swapaxes(photo.frames[own], 1, 2)
        unscaled = np.ones(len(own))
        odds = weigh(reference, photo, own, rotations, unscaled, ROUGH_REACH)[0]
        odds = odds.reshape(-1, n_places) - np.log10(1.0 + np.arange(n_places))
        best = np.argsort(-odds, axis=1, kind="stable")[:, :5]  # placements of a patch, by eye
        for i in (best + n_places * np.arange(len(best))[:, None]).ravel().tolist():
            found.append(
                PatchPlacement(
                    photo=photo,
                    rotation=rotations[i],
                    scale=1.0,
                    log10_odds=float(odds.flat[i]),
                    own=int(own[i]),
                )
            )
    return found


def find_places(
    table: PatchTable, queries: ComplexArray, n_places: int
) -> tuple[IndexArray, FloatArray]:
    """Find the points of a table most similar to each query, and the rotation angles in radians.

    Both have shape (q, n_places), best first. In large tables, all points are compared by their low
    harmonics first. The best of these are then compared by all harmonics.
    """
    count, projections = len(table), project(queries)
    # Points compared by all harmonics are the best by the low ones, 32 for each wanted: the correct
    # camera kept its rank in 147 hypotheses of 69 simulated frames; two lost it with four harmonics
    # and 16. Tables up to 16 times as large are compared whole
    n_compared = 32 * n_places
    in_two_passes = count > 16 * n_compared
    back = LOW_BACK if in_two_passes else ALL_BACK
    places = np.zeros((len(queries), n_places), np.intp)
    turns_rad = np.zeros((len(queries), n_places))
    everywhere, room = np.arange(count), np.empty((min(len(queries), BATCH), count), np.float32)
    for first in range(0, len(queries), BATCH):
        batch = projections[first : first + BATCH]
        scores = room[: len(batch)]
        for start in range(0, count, CHUNK):
            part = np.s_[start : start + CHUNK]
            scores[:, part] = correlate_at_best(table.coefficients[:, part], batch, back)
        for row, found in enumerate(scores):
            query, likely = batch[row : row + 1], everywhere
            if in_two_passes:
                # Estimate the threshold from every eighth score; if all are equal, keep all
                every_eighth, most = found[::8], n_compared // 8
                least = np.partition(every_eighth, -most)[-most]
                likely = np.flatnonzero(found >= least)
                compared = np.take(table.coefficients, likely, axis=1)
                found = correlate_at_best(compared, query, ALL_BACK)[0]
            best = np.argpartition(found, len(found) - n_places)[len(found) - n_places :]
            best = best[np.argsort(-found[best], kind="stable")]
            turns = correlate(table.coefficients[:, likely[best]], query)[:, 0].argmax(axis=0)
            places[first + row] = likely[best]
            turns_rad[first + row] = 2.0 * np.pi * turns / ANGLES
    return places, turns_rad


def fit_placements(
    reference: PatchMap, photo: PatchPhoto, placements: Sequence[PatchPlacement]
) -> list[PatchPlacement]:
    """Fit rotations and scales of placements to all patches that each of them matches."""
    if not placements:
        return []
    which = np.arange(len(placements))
    rotations = np.stack([one.rotation for one in placements])
    scales = np.array([one.scale for one in placements])
    own = np.array([one.own for one in placements])
    unscaled = np.ones(len(placements))
    odds, near, patch_odds = weigh(reference, photo, own, rotations, unscaled, ROUGH_REACH)
    ranks = odds - [one.log10_odds for one in placements]
    for _ in range(2):
        share = np.maximum(patch_odds, 0.0)
        # The placed patch, whose evidence is its rank, has at least this weight
        share[which, own] = np.maximum(share.mean(axis=1), 0.3)
        placed = rescale_tangents(photo.vectors[own], scales[:, None])
        near[which, own] = reference.tree.query(np.einsum("mij,mj->mi", rotations, placed))[1]
        targets = reference.vectors[near]
        # Heights of 330 to 430 km, and a focal length within 3 %
        scales = fit_scales(photo.vectors, targets, share, scales, 0.15)
        scaled = rescale_tangents(photo.vectors[None], scales[:, None, None])
        rotations = fit_rotations(scaled, targets, share, rotations)
        odds, near, patch_odds = weigh(reference, photo, own, rotations, scales, FINE_REACH)
    return [
        replace(
            one,
            rotation=rotations[i],
            scale=float(scales[i]),
            log10_odds=float(odds[i] - ranks[i]),
        )
        for i, one in enumerate(placements)
    ]


def weigh(
    reference: PatchMap,
    photo: PatchPhoto,
    own: IndexArray,
    rotations: FloatArray,
    scales: FloatArray,
    reach: tuple[float, float],
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Compute odds of rotations, the reference point matched by each patch, and its log odds.

    Patch ``own`` of each rotation is excluded. The ``reach`` is in pixels, plus a share of the
    distance from that patch.
    """
    from matchers.lights.compiled_patches import fill_best_matches

    placed = rescale_tangents(photo.vectors[None], scales[:, None, None]) @ np.swapaxes(
        rotations, 1, 2
    )
    apart = lengths(photo.vectors[own][:, None] - photo.vectors[None])
    reach_rad = reach[0] * reference.pixel_rad + reach[1] * apart
    distance, places = reference.tree.query(
        placed.reshape(-1, 3), k=NEAREST, distance_upper_bound=float(reach_rad.max())
    )
    distance, places = (each.reshape(*apart.shape, -1) for each in (distance, places))
    which = np.arange(len(rotations))
    reach_rad[which, own] = 0.0
    best, first = np.full(apart.shape, -1.0), np.zeros(apart.shape, np.int64)
    fill_best_matches(
        distance,
        places,
        reach_rad,
        np.ascontiguousarray(rotations),
        reference.frames,
        np.ascontiguousarray(photo.frames[:, :, 0]),
        np.require(np.asarray(reference.table.coefficients), np.int8, "C"),
        project(photo.queries),
        np.array((-0.1, 0.0, 0.1)),  # radians: half a step of the rings
        best,
        first,
    )
    near = np.take_along_axis(places, first[..., None], axis=2)[..., 0] % len(reference.vectors)
    patch_odds = LOG10_PER_UNIT * np.maximum(best - MIN_CORRELATION, 0.0)
    patch_odds[which, own] = 0.0
    return patch_odds.sum(axis=1), near, patch_odds
