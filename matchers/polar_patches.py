"""Light around a place in rings: what a turn only shifts, and a scale or tilt hardly changes.

Rings grow with their radius, and so does the blur with which they are sampled (geometric blur): far
from the middle, where errors of scale and tilt move light the most, it is looked at the most
coarsely. Of each ring the harmonics of its angle are kept, without the mean, which says how bright
the ring is and not where.

A patch that is laid on a place of the reference at some turn carries all of the photo there. The
photo's other patches must then look like what lies where they fall.

References
----------
Berg, A. C., Malik, J. (2001). Geometric blur for template matching. CVPR, I-607-614.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from detectors.types import FloatArray, FloatImage, IndexArray
from matchers.asterism_fit import fitted_rotations, fitted_scales, rescaled
from matchers.asterisms import turns_about_z

ComplexArray = NDArray[np.complex64]
RINGS_PX = (2.0, 3.0, 4.5, 6.5, 9.0, 12.5, 17.0, 23.0, 31.0)
ANGLES = 32
HARMONICS = 8
# Blur of a ring as a share of its radius, near to the angle between its samples
BLUR_SHARE, LEAST_BLUR_PX = 0.16, 0.8
COVERED = 0.6  # a sample counts whose blurred weight is at least this
LEAST_SAMPLES = 10  # of a ring, for it to count
ROWS = 30_000  # OpenCV's pictures have fewer than 32,767
# Weak and strong coefficients are brought halfway to the same spread
WHITENING = 0.5
# Places with hardly any structure are not blown up to as much as others have
RIDGE = 0.3
UNIT = 127.0 / 0.5  # of the stored whole numbers; beyond 0.5 they are cut
CHUNK = 1024  # so that the correlations of a few patches stay in a processor's cache
# Logarithm (base 10) of how much likelier a correlation is at the right place than at a wrong one
# that the photo was carried to, a straight line through histograms of the training half at
# 0.65 km; below, and where the reference has no place, it is a little less likely
LEAST_CORRELATION, LOG10_PER_UNIT, NONE_LOG10 = 0.25, 3.0, -0.25
NEAREST = 2
TURNS_RAD = (-0.1, 0.0, 0.1)
# Places are met within so many pixels and a share of the distance from the patch laid down; less
# once the rotation is fitted
ROUGH, FINE = (4.0, 0.1), (3.0, 0.03)
MOST_LOG_SCALE = 0.15
ROUNDS = 2
LEAST_SHARE = 0.3  # weight of the patch laid down, whose own evidence is its rank
KEPT = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchTable:
    """Patches of many places, to compare others with.

    Attributes
    ----------
    coefficients : ndarray of int8, shape (HARMONICS, n, 2 * rings)
        Real and imaginary parts of each harmonic, rings side by side, in units of 1 / `UNIT`; of
        about unit length together.
    weights : ndarray of float32, shape (rings, HARMONICS)
        What harmonics were multiplied by before.
    """

    coefficients: NDArray[np.int8]
    weights: FloatImage

    def __len__(self) -> int:
        return self.coefficients.shape[1]


def sampled(
    picture: FloatImage,
    weight: FloatImage | None,
    x: ArrayLike,
    y: ArrayLike,
    stretch_x: ArrayLike = 1.0,
) -> tuple[FloatImage, FloatImage]:
    """Light in rings around places of a picture.

    Parameters
    ----------
    picture : ndarray of float32, shape (h, w)
        Log light; north or what stands for it is up.
    weight : ndarray of float32, shape (h, w), or None
        0 where nothing counts.
    x, y : array_like, shape (n,)
        Places, pixels.
    stretch_x : array_like, shape (n,), optional
        How much wider a picture is at each than high.

    Returns
    -------
    values, weights : ndarray of float32, shape (n, rings, ANGLES)
        Anticlockwise from the right; weights are 0 or 1.
    """
    at_x, at_y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    angles = 2.0 * np.pi * np.arange(ANGLES) / ANGLES
    wide = np.broadcast_to(np.asarray(stretch_x, float), at_x.shape)[:, None]
    lit = picture if weight is None else picture * weight
    counted = np.ones_like(picture) if weight is None else weight
    values = np.zeros((len(at_x), len(RINGS_PX), ANGLES), np.float32)
    weights = np.zeros_like(values)
    for ring, radius_px in enumerate(RINGS_PX):
        sigma_px = max(LEAST_BLUR_PX, BLUR_SHARE * radius_px)
        covered = blurred(counted, sigma_px)
        light = blurred(lit, sigma_px) / np.maximum(covered, 1e-3)
        columns = (at_x[:, None] + wide * radius_px * np.cos(angles)).astype(np.float32)
        rows = (at_y[:, None] - radius_px * np.sin(angles)).astype(np.float32)
        for start in range(0, len(at_x), ROWS):
            part = np.s_[start : start + ROWS]
            values[part, ring] = cv2.remap(light, columns[part], rows[part], cv2.INTER_LINEAR)
            weights[part, ring] = cv2.remap(covered, columns[part], rows[part], cv2.INTER_LINEAR)
    return values, (weights > COVERED).astype(np.float32)


def blurred(picture: FloatImage, sigma_px: float) -> FloatImage:
    """A picture that is dark beyond its edges, blurred."""
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT), np.float32
    )


def harmonics(values: FloatImage, weights: FloatImage) -> ComplexArray:
    """Harmonics (n, rings, HARMONICS) of rings of `sampled`; what does not count is as nothing.

    It is taken for the ring's mean.
    """
    count = weights.sum(axis=2, keepdims=True)
    mean = (values * weights).sum(axis=2, keepdims=True) / np.maximum(count, 1.0)
    without = np.where(count >= LEAST_SAMPLES, (values - mean) * weights, 0.0)
    return np.fft.rfft(without, axis=2)[..., 1 : HARMONICS + 1].astype(np.complex64)


def table_of(found: ComplexArray) -> PatchTable:
    """A table of harmonics of many places, shape (n, rings, HARMONICS)."""
    spread = np.sqrt((np.abs(found) ** 2).mean(axis=0)) if len(found) else np.ones(found.shape[1:])
    weights = (np.maximum(spread, 1e-9) / max(float(np.median(spread)), 1e-9)) ** -WHITENING
    weighted = found * weights
    lengths = np.sqrt((np.abs(weighted) ** 2).sum(axis=(1, 2)))
    least = RIDGE * float(np.median(lengths)) if len(found) else 1.0
    weighted /= np.maximum(np.hypot(lengths, least), 1e-9)[:, None, None]
    parts = np.concatenate([weighted.real, weighted.imag], axis=1).transpose(2, 0, 1)
    return PatchTable(
        coefficients=np.ascontiguousarray(np.clip(np.rint(UNIT * parts), -127, 127), np.int8),
        weights=weights.astype(np.float32),
    )


def asked(table: PatchTable, found: ComplexArray) -> ComplexArray:
    """Harmonics of a photo's places as they are held against a table: of unit length each."""
    weighted = found * table.weights
    lengths = np.sqrt((np.abs(weighted) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(weighted / np.maximum(lengths, 1e-9), np.complex64)


def best_correlations(table: PatchTable, queries: ComplexArray) -> FloatImage:
    """Correlation (q, n) of a photo's patches with all of a table, each at its best turn.

    Queries are those of `asked`.
    """
    q, n = len(queries), len(table)
    sides = columns_of(queries).transpose(0, 2, 1)
    back = turns_of_harmonics().T
    best = np.empty((q, n), np.float32)
    for start in range(0, n, CHUNK):
        part = np.s_[start : start + CHUNK]
        rows = table.coefficients[:, part].astype(np.float32)
        spectra = (sides @ rows.transpose(0, 2, 1)).reshape(2 * HARMONICS, -1)
        best[:, part] = (back @ spectra).max(axis=0).reshape(q, -1) / UNIT
    return best


def turns_at(table: PatchTable, rows: IndexArray, query: ComplexArray) -> IndexArray:
    """Turns (m,) at which one patch of a photo looks most like rows of a table.

    In steps of 1 / ANGLES of the circle, anticlockwise.
    """
    spectra = table.coefficients[:, rows].astype(np.float32) @ columns_of(query[None])
    spectra = spectra.transpose(0, 2, 1).reshape(2 * HARMONICS, -1)
    return np.asarray((turns_of_harmonics().T @ spectra).argmax(axis=0))


def columns_of(queries: ComplexArray) -> FloatImage:
    """What a table's rows are multiplied by: columns for the real parts of C, then the imaginary.

    Shape (HARMONICS, 2 * rings, 2 * q).
    """
    real, imaginary = queries.real.transpose(2, 1, 0), queries.imag.transpose(2, 1, 0)
    top, bottom = np.concatenate([real, -imaginary], 2), np.concatenate([imaginary, real], 2)
    return np.concatenate([top, bottom], axis=1).astype(np.float32)


def sides_of(queries: ComplexArray) -> FloatImage:
    """What single rows of a table are multiplied by, shape (q, HARMONICS, 2, 2 * rings).

    Real and imaginary parts of C come of it, in units of correlation.
    """
    sides = (columns_of(queries) / UNIT).reshape(HARMONICS, -1, 2, len(queries))
    return np.ascontiguousarray(sides.transpose(3, 0, 2, 1), np.float32)


def turns_of_harmonics() -> FloatImage:
    """What carries real and imaginary parts of C to s at every turn, (2 HARMONICS, ANGLES)."""
    order = np.arange(1, HARMONICS + 1)[:, None]
    angles = order * (2.0 * np.pi * np.arange(ANGLES) / ANGLES)
    both = np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    return both.reshape(2 * HARMONICS, ANGLES).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMap:
    """Places of the reference: unit vectors, frames (`matchers.asterisms`), and patches."""

    vectors: FloatArray
    frames: FloatArray
    tree: cKDTree
    table: PatchTable
    pixel_rad: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchPhoto:
    """Places of a photo.

    Attributes
    ----------
    vectors : ndarray of float64, shape (n, 3)
        Unit vectors of the level frame.
    frames : ndarray of float64, shape (n, 3, 3)
        Columns: right and up of the picture that the patches were cut from, and the place.
    queries : ndarray of complex64, shape (n, rings, HARMONICS)
        Of `asked`.
    """

    vectors: FloatArray
    frames: FloatArray
    queries: ComplexArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Laid:
    """A way to lay a photo on the reference.

    Attributes
    ----------
    rotation : ndarray of float64, shape (3, 3)
        Level frame to that of the reference, after `rescaled` by ``scale``.
    log10_odds : float
        Of the other patches, less the logarithm of the rank of the one laid down.
    met : int
        Patches that speak for it.
    own : int
        The patch laid down.
    """

    rotation: FloatArray
    scale: float
    log10_odds: float
    met: int
    own: int


def lay(reference: PatchMap, photo: PatchPhoto, laid: IndexArray, best: int) -> list[Laid]:
    """Lay some of a photo's patches on the ``best`` places that each looks like.

    The `KEPT` likeliest of each patch.
    """
    if len(laid) == 0 or len(reference.vectors) < NEAREST:
        return []
    best = min(best, len(reference.vectors))
    scores = best_correlations(reference.table, photo.queries[laid])
    ways = []
    for row, own in enumerate(laid.tolist()):
        places = np.argpartition(-scores[row], best - 1)[:best]
        places = places[np.argsort(-scores[row, places], kind="stable")]
        turns = turns_at(reference.table, places, photo.queries[own])
        ways.append(rotations_of(reference, photo, own, places, turns))
    turned = np.concatenate(ways)
    one = np.ones(len(turned))
    odds, _, said = weigh(reference, photo, np.repeat(laid, best), turned, one, ROUGH)
    odds = odds.reshape(-1, best) - np.log10(1.0 + np.arange(best))
    kept = np.argsort(-odds, axis=1, kind="stable")[:, :KEPT]
    found: list[Laid] = []
    for row, own in enumerate(laid.tolist()):
        for i in (row * best + kept[row]).tolist():
            found.append(
                Laid(
                    rotation=turned[i],
                    scale=1.0,
                    log10_odds=float(odds.flat[i]),
                    met=int((said[i] > 0.0).sum()) + 1,
                    own=own,
                )
            )
    return found


def fitted(reference: PatchMap, photo: PatchPhoto, ways: Sequence[Laid]) -> list[Laid]:
    """Ways to lay a photo fitted, with their scales, to all that each brings together."""
    if not ways:
        return []
    rotations = np.stack([way.rotation for way in ways])
    scales, own = np.array([way.scale for way in ways]), np.array([way.own for way in ways])
    which = np.arange(len(ways))
    odds, near, said = weigh(reference, photo, own, rotations, np.ones(len(ways)), ROUGH)
    ranks = odds - [way.log10_odds for way in ways]
    for _ in range(ROUNDS):
        share = np.maximum(said, 0.0)
        share[which, own] = np.maximum(share.mean(axis=1), LEAST_SHARE)
        near[which, own] = nearest(reference, photo, own, rotations, scales)
        targets = reference.vectors[near]
        scales = fitted_scales(photo.vectors, targets, share, scales, MOST_LOG_SCALE)
        bent = rescaled(photo.vectors[None], scales[:, None, None])
        rotations = fitted_rotations(bent, targets, share, rotations)
        odds, near, said = weigh(reference, photo, own, rotations, scales, FINE)
    return [
        Laid(
            rotation=rotations[i],
            scale=float(scales[i]),
            log10_odds=float(odds[i] - ranks[i]),
            met=int((said[i] > 0.0).sum()) + 1,
            own=way.own,
        )
        for i, way in enumerate(ways)
    ]


def nearest(
    reference: PatchMap,
    photo: PatchPhoto,
    own: IndexArray,
    rotations: FloatArray,
    scales: FloatArray,
) -> IndexArray:
    """The place of the reference nearest to the patch that each way lays down."""
    bent = rescaled(photo.vectors[own], scales[:, None])
    return np.asarray(reference.tree.query(np.einsum("mij,mj->mi", rotations, bent))[1])


def rotations_of(
    reference: PatchMap,
    photo: PatchPhoto,
    query: int,
    places: IndexArray,
    turns: IndexArray,
) -> FloatArray:
    """Rotations that carry one patch onto places at turns, shape (m, 3, 3)."""
    turned = turns_about_z(2.0 * np.pi * turns.astype(float) / ANGLES)
    return np.asarray(reference.frames[places] @ turned @ photo.frames[query].T)


def weigh(
    reference: PatchMap,
    photo: PatchPhoto,
    own: IndexArray,
    rotations: FloatArray,
    scales: FloatArray,
    tolerance: tuple[float, float],
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Odds of rotations by all patches but one each, and what each patch fell on.

    What patch ``own`` of each rotation falls on is not looked for.
    """
    from matchers.compiled_patches import best_met

    which = np.arange(len(rotations))
    bent = rescaled(photo.vectors[None], scales[:, None, None])
    fallen = bent @ np.swapaxes(rotations, 1, 2)
    apart = np.linalg.norm(photo.vectors[:, None] - photo.vectors[None], axis=2)
    reach = tolerance[0] * reference.pixel_rad + tolerance[1] * apart[own]
    distance, places = reference.tree.query(
        fallen.reshape(-1, 3), k=NEAREST, distance_upper_bound=float(reach.max())
    )
    distance, places = (each.reshape(*reach.shape, NEAREST) for each in (distance, places))
    reach[which, own] = 0.0
    table = reference.table
    best, first = np.full(reach.shape, -1.0), np.zeros(reach.shape, np.int64)
    best_met(
        distance,
        places,
        reach,
        np.ascontiguousarray(rotations),
        reference.frames,
        np.ascontiguousarray(photo.frames[:, :, 0]),
        np.require(np.asarray(table.coefficients), np.int8, "C"),
        sides_of(photo.queries),
        np.array(TURNS_RAD),
        best,
        first,
    )
    near = np.take_along_axis(places, first[..., None], axis=2)[..., 0] % len(reference.vectors)
    said = np.where(
        best > LEAST_CORRELATION, LOG10_PER_UNIT * (best - LEAST_CORRELATION), NONE_LOG10
    )
    said[which, own] = 0.0
    return said.sum(axis=1), near, said
