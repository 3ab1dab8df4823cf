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
from matchers.points.asterism_fit import fitted_rotations, fitted_scales, rescaled
from matchers.points.asterisms import lengths, turns_about_z

ComplexArray = NDArray[np.complex64]

# Of the patches in the file of an index
RINGS_PX = (2.0, 3.0, 4.5, 6.5, 9.0, 12.5, 17.0, 23.0, 31.0)
ANGLES, HARMONICS = 32, 8
UNIT = 127.0 / 0.5  # of the stored whole numbers; beyond 0.5 they are cut


def _turn_back(orders: range) -> FloatImage:
    """What brings spectra of some harmonics back to the first half of the turns."""
    angles = np.outer(2.0 * np.pi * np.arange(ANGLES // 2) / ANGLES, orders)
    return (
        np.stack([np.cos(angles), -np.sin(angles)], axis=2)
        .reshape(ANGLES // 2, -1)
        .astype(np.float32)
    )


ODD_BACK, EVEN_BACK = _turn_back(range(1, HARMONICS + 1, 2)), _turn_back(range(2, HARMONICS + 1, 2))


@dataclass(frozen=True, kw_only=True)
class PatchParameters:
    """How patches are made, which an index rests on, and compared."""

    blur_share: float = 0.16  # of a ring's radius: near to the angle between its samples
    min_blur_px: float = 0.8
    min_weight: float = 0.6  # blurred, for a sample to count
    min_samples: int = 10  # of a ring, for it to count
    whitening: float = 0.5  # halves the logarithm of how much coefficients' spreads differ
    ridge: float = 0.3  # of the median structure: fainter places are not blown up to as much
    # Logarithm (base 10) of how much likelier a correlation is at the right place than at a wrong
    # one that the photo was carried to: a straight line through histograms of the training half
    # at 0.65 km. Below, and where the reference has no place, it is a little less likely
    min_correlation: float = 0.25
    log10_per_unit: float = 3.0
    unmet_log10: float = -0.25
    nearest: int = 2  # places of the reference that a patch may have fallen on
    turns_rad: tuple[float, ...] = (-0.1, 0.0, 0.1)  # tried beside the turn of a rotation
    # Places are met within so many pixels and a share of the distance from the patch laid down;
    # less once the rotation is fitted
    rough_reach: tuple[float, float] = (4.0, 0.1)
    fine_reach: tuple[float, float] = (3.0, 0.03)
    max_log_scale: float = 0.15  # heights of 330 to 430 km, and a focal length within 3 %
    fit_rounds: int = 2
    min_own_share: float = 0.3  # weight of the patch laid down, whose own evidence is its rank
    kept: int = 5  # ways to lay down each patch are returned


PATCHES = PatchParameters()


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchTable:
    """Patches of many places, to compare others with.

    coefficients: Real and imaginary parts of each harmonic, rings side by side, in units of 1 /
        `UNIT`; of about unit length together, shape (HARMONICS, n, 2 * rings).
    weights: What harmonics were multiplied by before, shape (rings, HARMONICS).
    """

    coefficients: NDArray[np.int8]
    weights: FloatImage

    def __len__(self) -> int:
        return self.coefficients.shape[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMap:
    """Places of the reference: unit vectors, frames (`matchers.points.asterisms`), and patches."""

    vectors: FloatArray
    frames: FloatArray
    tree: cKDTree
    table: PatchTable
    pixel_rad: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchPhoto:
    """Places of a photo."""

    vectors: FloatArray  # (n, 3): unit vectors of the level frame
    # (n, 3, 3): right and up of the picture that the patches were cut from, and the place, columns
    frames: FloatArray
    queries: ComplexArray  # (n, rings, HARMONICS): of `asked`


@dataclass(frozen=True, kw_only=True, eq=False)
class Laid:
    """A way to lay a photo on the reference."""

    rotation: FloatArray  # (3, 3): level frame to that of the reference, after `rescaled`
    scale: float
    log10_odds: float  # of the other patches, less the logarithm of the rank of the one laid down
    own: int  # the patch laid down


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
        sigma_px = max(PATCHES.min_blur_px, PATCHES.blur_share * radius_px)
        covered = blurred(counted, sigma_px)
        light = blurred(lit, sigma_px) / np.maximum(covered, 1e-3)
        columns = (at_x[:, None] + wide * radius_px * np.cos(angles)).astype(np.float32)
        rows = (at_y[:, None] - radius_px * np.sin(angles)).astype(np.float32)
        for start in range(0, len(at_x), 30_000):  # OpenCV's pictures have fewer than 32,767 rows
            part = np.s_[start : start + 30_000]
            values[part, ring] = cv2.remap(light, columns[part], rows[part], cv2.INTER_LINEAR)
            weights[part, ring] = cv2.remap(covered, columns[part], rows[part], cv2.INTER_LINEAR)
    return values, (weights > PATCHES.min_weight).astype(np.float32)


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
    without = np.where(count >= PATCHES.min_samples, (values - mean) * weights, 0.0)
    return np.fft.rfft(without, axis=2)[..., 1 : HARMONICS + 1].astype(np.complex64)


def table_of(found: ComplexArray) -> PatchTable:
    """A table of harmonics of many places, shape (n, rings, HARMONICS)."""
    spread = np.sqrt((np.abs(found) ** 2).mean(axis=0)) if len(found) else np.ones(found.shape[1:])
    weights = np.maximum(spread, 1e-9) / max(float(np.median(spread)), 1e-9)
    weights **= -PATCHES.whitening
    weighted = found * weights
    size = np.sqrt((np.abs(weighted) ** 2).sum(axis=(1, 2)))
    least = PATCHES.ridge * float(np.median(size)) if len(found) else 1.0
    weighted /= np.maximum(np.hypot(size, least), 1e-9)[:, None, None]
    parts = np.concatenate([weighted.real, weighted.imag], axis=1).transpose(2, 0, 1)
    return PatchTable(
        coefficients=np.ascontiguousarray(np.clip(np.rint(UNIT * parts), -127, 127), np.int8),
        weights=weights.astype(np.float32),
    )


def asked(table: PatchTable, found: ComplexArray) -> ComplexArray:
    """Harmonics of a photo's places as they are held against a table: of unit length each."""
    weighted = found * table.weights
    size = np.sqrt((np.abs(weighted) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(weighted / np.maximum(size, 1e-9), np.complex64)


def project(queries: ComplexArray) -> FloatImage:
    """What rows of a table are multiplied by, shape (q, HARMONICS, 2, 2 * rings).

    Real and imaginary parts of the cross-spectrum come of it, in units of correlation.
    """
    real, imaginary = queries.real.transpose(0, 2, 1), queries.imag.transpose(0, 2, 1)
    parts = [np.concatenate(pair, axis=2) for pair in ((real, imaginary), (-imaginary, real))]
    return np.ascontiguousarray(np.stack(parts, axis=2) / UNIT, np.float32)


def correlate(coefficients: NDArray[np.int8], projections: FloatImage) -> FloatImage:
    """Correlation (ANGLES, q, n) of patches of `project` with columns of a table, at every turn.

    In steps of 1 / ANGLES of the circle, anticlockwise.
    """
    even, odd = _correlate_halves(coefficients, projections)
    turned = np.concatenate([even + odd, even - odd])
    return np.asarray(turned.reshape(ANGLES, len(projections), -1))


def correlate_at_best(coefficients: NDArray[np.int8], projections: FloatImage) -> FloatImage:
    """The highest correlation (q, n) of each patch with each column at any turn."""
    even, odd = _correlate_halves(coefficients, projections)
    np.abs(odd, out=odd)
    odd += even
    return np.asarray(odd.max(axis=0).reshape(len(projections), -1))


def _correlate_halves(
    coefficients: NDArray[np.int8], projections: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """What even and odd harmonics give at the first half of the turns, (ANGLES / 2, q * n) each.

    Half a circle farther on even ones are the same, and odd ones have the other sign.
    """
    sides = projections.transpose(1, 2, 0, 3).reshape(HARMONICS, -1, projections.shape[3])
    spectra = sides @ coefficients.astype(np.float32).transpose(0, 2, 1)
    even = EVEN_BACK @ np.ascontiguousarray(spectra[1::2]).reshape(HARMONICS, -1)
    odd = ODD_BACK @ np.ascontiguousarray(spectra[0::2]).reshape(HARMONICS, -1)
    return even, odd


def lay(reference: PatchMap, photo: PatchPhoto, laid: IndexArray, best: int) -> list[Laid]:
    """Lay some of a photo's patches on the places that each looks like.

    Parameters
    ----------
    laid : ndarray of int, shape (q,)
        The patches to lay down.
    best : int
        So many places are tried for each.

    Returns
    -------
    list of Laid
        The likeliest few of each patch.
    """
    count = len(reference.vectors)
    if len(laid) == 0 or count < PATCHES.nearest:
        return []
    best = min(best, count)
    table, projections = reference.table, project(photo.queries[laid])
    scores = np.empty((len(laid), count), np.float32)
    step = max(64, 4600 // len(laid))  # correlations of so many stay in the cache
    for start in range(0, count, step):
        part = np.s_[start : start + step]
        scores[:, part] = correlate_at_best(table.coefficients[:, part], projections)
    ways = []
    for row, own in enumerate(laid.tolist()):
        places = np.argpartition(-scores[row], best - 1)[:best]
        places = places[np.argsort(-scores[row, places], kind="stable")]
        found = correlate(table.coefficients[:, places], projections[row : row + 1])
        turns = turns_about_z(2.0 * np.pi * found[:, 0].argmax(axis=0) / ANGLES)
        ways.append(reference.frames[places] @ turns @ photo.frames[own].T)
    turned, own = np.concatenate(ways), np.repeat(laid, best)
    odds = weigh(reference, photo, own, turned, np.ones(len(own)), PATCHES.rough_reach)[0]
    odds -= np.tile(np.log10(1.0 + np.arange(best)), len(laid))
    order = np.argsort(-odds.reshape(-1, best), axis=1, kind="stable")[:, : PATCHES.kept]
    return [
        Laid(rotation=turned[i], scale=1.0, log10_odds=float(odds[i]), own=int(own[i]))
        for i in (order + best * np.arange(len(laid))[:, None]).ravel().tolist()
    ]


def fitted(reference: PatchMap, photo: PatchPhoto, ways: Sequence[Laid]) -> list[Laid]:
    """Ways to lay a photo fitted, with their scales, to all that each brings together."""
    if not ways:
        return []
    p, which = PATCHES, np.arange(len(ways))
    rotations = np.stack([way.rotation for way in ways])
    scales, own = np.array([way.scale for way in ways]), np.array([way.own for way in ways])
    unscaled = np.ones(len(ways))
    odds, near, said = weigh(reference, photo, own, rotations, unscaled, p.rough_reach)
    ranks = odds - [way.log10_odds for way in ways]
    for _ in range(p.fit_rounds):
        share = np.maximum(said, 0.0)
        share[which, own] = np.maximum(share.mean(axis=1), p.min_own_share)
        laid = rescaled(photo.vectors[own], scales[:, None])
        near[which, own] = reference.tree.query(np.einsum("mij,mj->mi", rotations, laid))[1]
        targets = reference.vectors[near]
        scales = fitted_scales(photo.vectors, targets, share, scales, p.max_log_scale)
        scaled = rescaled(photo.vectors[None], scales[:, None, None])
        rotations = fitted_rotations(scaled, targets, share, rotations)
        odds, near, said = weigh(reference, photo, own, rotations, scales, p.fine_reach)
    return [
        Laid(
            rotation=rotations[i],
            scale=float(scales[i]),
            log10_odds=float(odds[i] - ranks[i]),
            own=way.own,
        )
        for i, way in enumerate(ways)
    ]


def weigh(
    reference: PatchMap,
    photo: PatchPhoto,
    own: IndexArray,
    rotations: FloatArray,
    scales: FloatArray,
    reach: tuple[float, float],
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Odds of rotations by all patches but one each, what each patch fell on, and what it says.

    What patch ``own`` of each rotation falls on is not looked for. The reach is in pixels, and a
    share of the distance from that patch.
    """
    from matchers.lights.compiled_patches import best_met

    placed = rescaled(photo.vectors[None], scales[:, None, None]) @ np.swapaxes(rotations, 1, 2)
    apart = lengths(photo.vectors[own][:, None] - photo.vectors[None])
    reach_rad = reach[0] * reference.pixel_rad + reach[1] * apart
    distance, places = reference.tree.query(
        placed.reshape(-1, 3), k=PATCHES.nearest, distance_upper_bound=float(reach_rad.max())
    )
    distance, places = (each.reshape(*apart.shape, -1) for each in (distance, places))
    which = np.arange(len(rotations))
    reach_rad[which, own] = 0.0
    best, first = np.full(apart.shape, -1.0), np.zeros(apart.shape, np.int64)
    best_met(
        distance,
        places,
        reach_rad,
        np.ascontiguousarray(rotations),
        reference.frames,
        np.ascontiguousarray(photo.frames[:, :, 0]),
        np.require(np.asarray(reference.table.coefficients), np.int8, "C"),
        project(photo.queries),
        np.array(PATCHES.turns_rad),
        best,
        first,
    )
    near = np.take_along_axis(places, first[..., None], axis=2)[..., 0] % len(reference.vectors)
    above = best - PATCHES.min_correlation
    said = np.where(above > 0.0, PATCHES.log10_per_unit * above, PATCHES.unmet_log10)
    said[which, own] = 0.0
    return said.sum(axis=1), near, said
