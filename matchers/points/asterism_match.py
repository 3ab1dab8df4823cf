"""Point-pattern matching: find the rotation of a photo's points to those of a reference.

Asterisms of the photo are matched to asterisms of the reference with a similar code. Each match
votes for pairs of points and for a rotation angle about them. The pairs and angles with most votes
give rotation hypotheses. Each hypothesis is fitted to the points that it matches, and scored by all
but those that proposed it, against chance.

References
----------
Markley, F. L. (1988). Attitude determination using vector observations and the singular value
decomposition. Journal of the Astronautical Sciences 36 (3), 245-258.
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from detectors.types import BoolArray, Columns, FloatArray, IndexArray
from matchers.points import asterisms


@dataclass(frozen=True, kw_only=True)
class MatchParameters:
    """Parameters for matching a photo's points to those of the reference."""

    brightest: int = 30  # number of brightest photo points to use
    neighbours: int = 8  # as in `AsterismParameters`, for the photo
    sigma_rad: float = 1e-3  # one sigma of the positions of points, per axis
    # Added to `sigma_rad` per radian of distance from the centre of the rotation, for errors of the
    # focal length, of the lens and of the camera's position
    sigma_share: float = 0.0
    max_sigmas: float = 3.5  # maximum distance between matching points
    # Fraction of the photo's points that match for the correct rotation, as in
    # `matchers.lights.verify.LightParams`; 0.44 to 0.64 for light peaks of training frames
    match_share: float = 0.5
    # Matches whose rotation angles agree to this (and up to twice it) vote for the same rotation
    turn_step_deg: float = 4.0
    weighed: int = 300  # number of rotations with most votes to score
    # Number of rotations with the best initial odds to fit
    fitted: int = 120
    kept: int = 20  # maximum number of rotations returned
    scale_free: bool = False  # also fit the scale, within the size tolerance of the asterisms
    # Factors of the tangents of the photo's angles to try in turn; 1 for a known focal length
    scales: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotations(Columns):
    """Rotations of a photo's points, with their matches and odds."""

    rotations: FloatArray  # (v, 3, 3): photo to reference
    scales: FloatArray  # (v,)
    # (v, n): points of the asterism that proposed the rotation, which are excluded from the odds
    own: BoolArray
    log10_odds: FloatArray  # (v,): against chance
    near: IndexArray  # (v, n): reference point nearest to each photo point
    met: BoolArray  # (v, n): whether the photo point matches it

    def fit_again(
        self, index: asterisms.AsterismIndex, rays: FloatArray, parameters: MatchParameters
    ) -> Rotations:
        """Refit the rotations to their matched points, and recompute the odds."""
        targets = index.vectors[self.near % len(index.vectors)]
        share = self.met.astype(float)
        scales = self.scales
        if parameters.scale_free:
            most = index.parameters.log_size_tolerance
            scales = fit_scales(rays, targets, share, scales, most)
        scaled = rescale_tangents(rays[None], scales[:, None, None])
        rotations = fit_rotations(scaled, targets, share, self.rotations)
        placed = scaled @ np.swapaxes(rotations, 1, 2)
        count = np.maximum(share.sum(axis=1, keepdims=True), 1.0)
        centres = np.einsum("vn,vni->vi", share, placed) / count
        odds, near, met = weigh(index, placed, centres, self.own, parameters)
        return replace(
            self, rotations=rotations, scales=scales, log10_odds=odds, near=near, met=met
        )

    def better_of(self, other: Rotations) -> Rotations:
        """Select, for each rotation, the version with the better odds."""
        better = other.log10_odds > self.log10_odds
        columns = {}
        for name, column in vars(self).items():
            rows = better.reshape(-1, *[1] * (column.ndim - 1))
            columns[name] = np.where(rows, getattr(other, name), column)
        return Rotations(**columns)


def weigh(
    index: asterisms.AsterismIndex,
    placed: FloatArray,
    centres: FloatArray,
    own: BoolArray,
    parameters: MatchParameters,
) -> tuple[FloatArray, IndexArray, BoolArray]:
    """Compute odds of rotations against chance, nearest reference points, and matches.

    A photo point is either a reference point with a Gaussian error G, with the probability h, or an
    unrelated point at a random position. The likelihood ratio against chance is 1 - h + h G /
    density, where the density is that of reference points there. If several photo points match one
    reference point, only the nearest counts.
    """
    sigma = parameters.sigma_rad + parameters.sigma_share * asterisms.lengths(
        placed - centres[:, None]
    )
    distance, near = index.point_tree.query(
        placed.reshape(-1, 3), distance_upper_bound=parameters.max_sigmas * float(sigma.max())
    )
    distance, near = distance.reshape(sigma.shape), near.reshape(sigma.shape)
    inside = distance < parameters.max_sigmas * sigma
    # For each reference point, sort photo points within the limit first, nearest first among them
    nearness = np.where(inside, 0.5 * distance / parameters.max_sigmas / sigma.max(), 0.75)
    order = np.argsort(near + nearness, axis=1)
    first = np.diff(np.take_along_axis(near, order, axis=1), axis=1, prepend=-1) != 0
    np.put_along_axis(first, order, first.copy(), axis=1)
    variance, share = sigma**2, parameters.match_share
    gauss = np.exp(-0.5 * distance**2 / variance) / (2.0 * np.pi * variance)
    likelier = share * gauss / index.density[near % len(index.vectors)]
    ratio = 1.0 - share + np.where(inside & first, likelier, 0.0)
    return np.where(own, 0.0, np.log10(ratio)).sum(axis=1), near, ratio > 1.0


def rescale_tangents(vectors: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Multiply the tangents of angles from the z axis by a scale; return unit vectors."""
    factors = np.ones((*np.shape(scale)[:-1], 3)) if np.ndim(scale) else np.ones(3)
    factors[..., :2] = scale
    stretched = vectors * factors
    return np.asarray(stretched / asterisms.lengths(stretched)[..., None])


def fit_scales(
    rays: FloatArray, targets: FloatArray, share: FloatArray, now: FloatArray, most: float
) -> FloatArray:
    """Fit scales (v,) at which matched photo points have the same spread as their targets.

    ``rays``, shape (n, 3), are not rescaled. ``share``, shape (v, n), are weights of the matches.
    ``most`` is the maximum absolute logarithm of a scale.
    """
    scaled = rescale_tangents(rays[None], now[:, None, None])
    count = np.maximum(share.sum(axis=1), 1.0)[:, None]
    squares = []
    for points in (targets, scaled):
        middle = np.einsum("vn,vni->vi", share, points) / count
        squares.append(np.einsum("vn,vn->v", share, ((points - middle[:, None]) ** 2).sum(axis=2)))
    change = 0.5 * np.log(np.maximum(squares[0], 1e-18) / np.maximum(squares[1], 1e-18))
    change = np.where((share > 0.0).sum(axis=1) >= 4, change, 0.0)
    return np.exp(np.clip(np.log(now) + change, -most, most))


def fit_rotations(
    points: FloatArray, targets: FloatArray, share: FloatArray, otherwise: FloatArray
) -> FloatArray:
    """Fit least-squares rotations (v, 3, 3) of points to targets (Wahba's problem; Markley 1988).

    Points and targets have shape (v, n, 3), the weights ``share`` (v, n). Rotations with fewer than
    two points are taken from ``otherwise``.
    """
    profile = np.einsum("vn,vni,vnj->vij", share, targets, points)
    u, _, vt = np.linalg.svd(profile)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.where((share > 0.0).sum(axis=1)[:, None, None] >= 2, u @ vt, otherwise)


@dataclass(frozen=True, kw_only=True, eq=False)
class Attitude:
    """An attitude hypothesis: a rotation of a photo's points to those of the reference.

    rotation: Rotates photo vectors (rescaled by `scale`) into the reference frame, shape (3, 3).
    scale: Factor of the tangents of the photo's angles. The focal length is the nominal one divided
        by it.
    inliers: Indices of photo points and of the reference points that they match, shape (k, 2).
    log10_odds: Odds of this rotation against chance, without the points of the asterism that
        proposed it, and minus the logarithm of the number of matched asterisms.
    own: Photo points of the asterism that proposed it, shape (m,).
    figures_met: Number of matched asterisms.
    """

    rotation: FloatArray
    scale: float
    inliers: IndexArray
    log10_odds: float
    own: IndexArray
    figures_met: int


def match(
    index: asterisms.AsterismIndex,
    photo_vectors: ArrayLike,
    photo_brightness: ArrayLike,
    parameters: MatchParameters,
) -> list[Attitude]:
    """Find attitudes of a photo's points, most probable first.

    Parameters
    ----------
    photo_vectors : array_like, shape (n, 3)
        Directions in the camera frame, z forward, of any length.
    photo_brightness : array_like, shape (n,)
        In any unit; larger is brighter.

    Returns
    -------
    list of Attitude
        Distinct attitudes; empty if the photo and the reference do not have similar asterisms.

    Raises
    ------
    ValueError
        If a vector is zero or not finite.
    """
    vectors, brightness = asterisms.unit(photo_vectors), np.asarray(photo_brightness, float)
    chosen = np.argsort(-brightness, kind="stable")[: parameters.brightest]
    vectors = vectors[chosen]
    found: list[Attitude] = []
    for scale in parameters.scales:
        rays = rescale_tangents(vectors, scale)
        alike = find_alike_asterisms(index, rays, brightness[chosen], parameters.neighbours)
        n_met = len(alike[0])
        if n_met == 0:
            continue
        fit = best = rotate_as_voted(index, rays, *alike, parameters)
        for _ in range(2):  # by eye
            fit = fit.fit_again(index, rays, parameters)
            best = best.better_of(fit)
        for v, odds in enumerate(best.log10_odds):
            met = np.flatnonzero(best.met[v])
            found.append(
                Attitude(
                    rotation=best.rotations[v],
                    scale=float(scale * best.scales[v]),
                    inliers=np.stack([chosen[met], best.near[v, met]], axis=1),
                    log10_odds=float(odds - np.log10(n_met)),
                    own=chosen[best.own[v]],
                    figures_met=n_met,
                )
            )
    return keep_distinct(found, vectors, parameters)


def find_alike_asterisms(
    index: asterisms.AsterismIndex, rays: FloatArray, brightness: FloatArray, neighbours: int
) -> tuple[IndexArray, IndexArray, FloatArray, FloatArray]:
    """Match asterisms of the photo's unit vectors (n, 3) to similar ones of the reference.

    Returns members in the photo and in the reference, in the same order, and the rotation angles
    from the photo's frame at each member to that of the reference, all of shape (c, 3). The last
    item is the natural logarithm of the ratio of lengths, reference over photo, shape (c,).
    """
    p = index.parameters
    slack = np.exp(p.log_size_tolerance)
    size_rad = (p.size_rad[0] / slack, p.size_rad[1] * slack)
    members = asterisms.group_neighbours(
        rays, brightness, replace(p, neighbours=neighbours, size_rad=size_rad)
    )
    photo = asterisms.encode_every_order(rays, members, p.shape_tolerance).within(size_rad)
    photo_tree = cKDTree(asterisms.scale_codes(photo.codes, p))
    alike = photo_tree.sparse_distance_matrix(index.code_tree, 1.0, output_type="ndarray")
    mine, its = alike["i"], alike["j"]
    return (
        photo.members[mine],
        index.figures.members[its],
        index.azimuths_rad[its] - asterisms.azimuths(rays, photo)[mine],
        index.figures.codes[its, -1] - photo.codes[mine, -1],
    )


def rotate_as_voted(
    index: asterisms.AsterismIndex,
    rays: FloatArray,
    members: IndexArray,
    reference_members: IndexArray,
    turn_rad: FloatArray,
    log_scale: FloatArray,
    parameters: MatchParameters,
) -> Rotations:
    """Find the rotations with most votes of at least one asterism match, best odds first.

    A vote is for a pair of points and a rotation angle about them. Bins of the angle are two steps
    wide and overlap, so that a bin edge does not split a cluster.
    """
    n = len(rays)
    steps = max(3, round(360.0 / parameters.turn_step_deg))
    turn, photo, reference = (each.ravel() for each in (turn_rad, members, reference_members))
    pair = (photo * np.int64(len(index.vectors)) + reference) * steps
    step = np.floor(turn / (2.0 * np.pi) * steps).astype(np.int64) % steps
    # Store the vote number in the low bits, so that one sort orders votes by bin
    bits = (2 * len(turn)).bit_length()
    votes = np.concatenate([pair + step, pair + (step + 1) % steps]) << bits
    votes = np.sort(votes | np.arange(len(votes)))
    starts = np.flatnonzero(np.diff(votes >> bits, prepend=-1))
    counts = np.diff(starts, append=len(votes))
    top = np.argsort(-counts, kind="stable")[: parameters.weighed]
    counts = counts[top]
    begins = np.cumsum(counts) - counts
    rows = np.arange(counts.sum()) + np.repeat(starts[top] - begins, counts)
    voters = (votes[rows] & ((1 << bits) - 1)) % len(turn)
    sine, cosine = (np.add.reduceat(f(turn[voters]), begins) for f in (np.sin, np.cos))
    most = index.parameters.log_size_tolerance * float(parameters.scale_free)
    log_scale = np.add.reduceat(log_scale[voters // 3], begins) / counts
    scales = np.exp(np.clip(log_scale, -most, most))
    first = voters[begins]
    own = np.zeros((len(top), n), bool)
    own[np.arange(len(top))[:, None], members[first // 3]] = True
    # The voted rotation maps the pair's photo point before scaling. Correct it by the smallest
    # rotation that undoes the shift due to the scale, as a product of two reflections
    centres, at = index.vectors[reference[first]], rays[photo[first]]
    turned = asterisms.frames(centres) @ asterisms.turns_about_z(np.arctan2(sine, cosine))
    rotations = turned @ np.swapaxes(asterisms.frames(at), 1, 2)
    scaled = rescale_tangents(rays[None], scales[:, None, None])
    moved = scaled[np.arange(len(top)), photo[first]]
    half = (moved + at) / asterisms.lengths(moved + at)[:, None]
    for mirror in (half, moved):
        rotations = rotations - 2.0 * (rotations @ mirror[..., None]) * mirror[:, None]
    odds, near, met = weigh(index, scaled @ np.swapaxes(rotations, 1, 2), centres, own, parameters)
    found = Rotations(
        rotations=rotations, scales=scales, own=own, log10_odds=odds, near=near, met=met
    )
    return found.select(np.argsort(-odds, kind="stable")[: parameters.fitted])


def keep_distinct(
    attitudes: list[Attitude], vectors: FloatArray, parameters: MatchParameters
) -> list[Attitude]:
    """Keep the most probable attitudes without duplicates.

    Two attitudes are duplicates if they rotate the points to nearly the same positions, or if they
    share more than half of their inliers.
    """
    if not attitudes:
        return []
    best = sorted(attitudes, key=lambda a: -a.log10_odds)
    spread = float(np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()))
    limit = 4.0 * parameters.sigma_rad + parameters.sigma_share * spread
    scaled = rescale_tangents(vectors, np.array([[[a.scale]] for a in best]))
    placed = scaled @ np.swapaxes(np.stack([a.rotation for a in best]), 1, 2)
    partners = np.full((len(best), 1 + max(a.inliers[:, 0].max(initial=0) for a in best)), -1)
    for number, attitude in enumerate(best):
        partners[number, attitude.inliers[:, 0]] = attitude.inliers[:, 1]
    paired = partners >= 0
    counts = paired.sum(axis=1)
    kept: list[int] = []
    for number in range(len(best)):
        if len(kept) == parameters.kept:
            break
        shared = (paired[number] & (partners[kept] == partners[number])).sum(axis=1)
        apart = np.linalg.norm(placed[kept] - placed[number], axis=2).mean(axis=1)
        alike = 2 * shared > np.minimum(counts[number], counts[kept])
        if not (alike | (apart < limit)).any():
            kept.append(number)
    return [best[number] for number in kept]
