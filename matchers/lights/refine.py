"""Fine camera from patch matches: robust least squares over the physical unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.types import BoolArray, FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import PosePrior, other_pose
from matchers.geometry.pose_fit import FitParameters, fit_camera
from matchers.geometry.view import render_known
from matchers.lights.patches import PatchMatches, choose_patches, match_patches, measure_texture


@dataclass(frozen=True, kw_only=True)
class RefineParameters:
    """How the fine fit looks at a photo.

    A camera that took lights for the ones beside them holds itself there, and the rest of the
    picture lies beyond where its patches are sought. Looked for farther away they fit another
    camera, so many times likelier: that is followed, and what still fits another so much better is
    bent. Of 258 fits of the training half, begun with lenses 5 to 20 % off, 178 were whole, all but
    one with less than 10 in the end; not followed, bent ones had up to 10^78.
    """

    patch_px: int = 31  # side of a patch; chosen: 10 km
    # How far patches may move in each round, the widest first
    reaches_px: tuple[int, ...] = (20, 8, 5, 4)
    cells: int = 14  # along the long side of the frame, one patch in each
    # A match is never better than this: map pixels, light growth and parallax of towns on hills
    floor_px: float = 0.25
    min_matches: int = 4  # of a fit
    outlier_sigmas: float = 2.5  # usual for the Cauchy weight, which tames wrong matches
    rounds: int = 12  # of least squares, fewer where no step is so much of a sigma
    settled: float = 1e-4
    max_wide_looks: int = 4
    followed_log10_odds: float = 1.0
    bent_log10_odds: float = 3.0
    # Half of the patches lie where the camera shows them but for a pixel, the others anywhere
    scatter_px: float = 1.0
    share_found: float = 0.5
    # Overlapping patches share their noise: what neighbours have in common else is read off pairs
    # that stand side by side, so many patch sides apart
    beside_sides: tuple[float, float] = (1.0, 2.0)
    min_pairs: int = 12
    reach_sides: float = 1.5  # of a local offset: less than that no two patches tell of
    max_parts: int = 16  # of the picture, that are left out in turn; a power of two
    min_parts: int = 4  # fewer say nothing of how much refits differ


USUAL = RefineParameters()
FLOOR_PX, PARTS, BENT_LOG10_ODDS = USUAL.floor_px, USUAL.max_parts, USUAL.bent_log10_odds


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A fine camera, what it was fitted to and how sure it is.

    rendered: The camera whose view the patches were taken from: the start of the last round.
    covariance: Of the pose parameters, the prior included, scaled by the residuals where these are
        larger than expected, shape (10, 10).
    matches: Patches of the last round, as found before its step.
    residual_px: What the solution leaves of them, shape (n, 2).
    weights: Robust weight of each, in (0, 1], shape (n,).
    prior: What was believed before.
    free: The unknowns, shape (10,).
    aside_log10_odds: Of what a last look at the widest reach fits, against this camera.
    """

    camera: Camera
    rendered: Camera
    covariance: FloatArray
    matches: PatchMatches
    residual_px: FloatArray
    weights: FloatArray
    prior: PosePrior
    free: BoolArray
    aside_log10_odds: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether nothing that lies farther away than its patches fits another far better."""
        return self.aside_log10_odds < USUAL.bent_log10_odds

    @property
    def rms_px(self) -> float:
        """Weighted root mean square residual per axis, pixels."""
        total = float(self.weights.sum())
        square = float((self.weights[:, None] * self.residual_px**2).sum())
        return (square / (2.0 * total)) ** 0.5 if total > 0.0 else float("inf")


def refine(
    levels: Sequence[LightGrid],
    photo: FloatImage,
    weight: FloatImage,
    camera: Camera,
    prior: PosePrior,
    free: BoolArray,
    parameters: RefineParameters = USUAL,
) -> Refinement | None:
    """Fit the camera to local matches, round after round.

    Parameters
    ----------
    photo, weight : ndarray of float32, shape (h, w)
        The photo's light image and what of it counts.
    camera : Camera
        Start, good to a few pixels.
    prior : PosePrior
        Belief about position, focal length and distortion.

    Returns
    -------
    Refinement or None
        None where fewer than four patches match.
    """
    cells = cells_of(parameters.cells, photo.shape)

    def find_patches(camera: Camera, reach: int) -> PatchMatches:
        view, known = render_known(levels, camera, 2)
        texture = measure_texture(view, weight * known, parameters.patch_px)
        centres = choose_patches(texture, parameters.patch_px, cells, reach)
        return match_patches(photo, view, centres, parameters.patch_px, reach)

    widest, *narrower = parameters.reaches_px
    result: Refinement | None = None
    for _ in range(parameters.max_wide_looks):
        matches, fits = find_patches(camera, widest), []
        if len(matches) >= parameters.min_matches:
            # The other pose sees almost the same: begun there, too, where it sees the ground
            starts, other = [camera], other_pose(camera)
            ground = camera.pixel_to_ecef(matches.x, matches.y)
            seen = ground[np.isfinite(ground[:, 0])]
            if other is not None and np.isfinite(other.ecef_to_pixel(seen)).all():
                starts.append(other)
            fits = [fit_pose(camera, matches, prior, free, start) for start in starts]
        wide = max(fits, key=lambda fit: aside_log10_odds(fit, widest), default=None)
        if result is not None:
            gained = 0.0 if wide is None else aside_log10_odds(wide, widest)
            result = replace(result, aside_log10_odds=gained)
            if gained < parameters.followed_log10_odds:
                break
        camera = camera if wide is None else wide.camera
        for reach in narrower:
            matches = find_patches(camera, reach)
            if len(matches) < parameters.min_matches:
                break
            result = fit_pose(camera, matches, prior, free)
            camera = result.camera
    return result


def aside_log10_odds(wide: Refinement, reach_px: int) -> float:
    """Odds of a camera that was fitted to patches within a reach, against where these are from.

    Patches that overlap tell the same twice, and count once.
    """
    matches, area = wide.matches, (2.0 * reach_px + 1.0) ** 2
    scatter_sq = USUAL.scatter_px**2
    peak = area * USUAL.share_found / (1.0 - USUAL.share_found) / (2.0 * np.pi * scatter_sq)
    moved = np.stack([matches.dx, matches.dy], axis=-1)
    fitted, before = (
        np.log10(1.0 + peak * np.exp(-(off**2).sum(axis=1) / (2.0 * scatter_sq)))
        for off in (wide.residual_px, moved)
    )
    return float(((fitted - before) / matches.overlap.sum(axis=1)).sum())


def cells_of(along: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Cells across and down a picture (h, w) of which so many lie along its long side."""
    height, width = shape
    longest = max(shape)
    return max(2, round(along * width / longest)), max(2, round(along * height / longest))


def fit_pose(
    camera: Camera,
    matches: PatchMatches,
    prior: PosePrior,
    free: BoolArray,
    start: Camera | None = None,
) -> Refinement:
    """Robust Gauss-Newton (Cauchy weights) of the pose on patch matches with a Gaussian prior.

    Patches that overlap tell the same twice: each counts by the inverse of what lies on it. The
    camera is the one that the matches were rendered with, and where the fit starts if nothing else
    is given.
    """
    ground = camera.pixel_to_ecef(matches.x, matches.y)
    seen = np.isfinite(ground[:, 0])
    matches, ground = matches.chosen(seen), ground[seen]
    fit = fit_camera(
        start or camera,
        ground,
        np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=-1),
        stated_noise(matches)[1],
        prior,
        free,
        FitParameters(
            outlier_sigmas=USUAL.outlier_sigmas, rounds=USUAL.rounds, settled=USUAL.settled
        ),
        counted=1.0 / matches.overlap.sum(axis=1),
        compiled=True,
    )
    return Refinement(
        camera=fit.camera,
        rendered=camera,
        covariance=fit.covariance,
        matches=matches,
        residual_px=fit.residual_px,
        weights=fit.weights,
        prior=prior,
        free=free,
    )


def stated_noise(matches: PatchMatches) -> tuple[FloatArray, FloatArray]:
    """Covariance of every match, shape (n, 2, 2), never below the floor, and what whitens it."""
    noise = matches.covariance + USUAL.floor_px**2 * np.eye(2)
    return noise, np.linalg.cholesky(np.linalg.inv(noise)).transpose(0, 2, 1)


@dataclass(frozen=True, kw_only=True)
class LocalOffsets:
    """Where the photo lies beside the fitted camera, at every patch or at other places."""

    offset_px: FloatArray  # (k, 2): photo minus camera, as far as neighbouring patches bear it out
    covariance: FloatArray  # (k, 2, 2): of that; 0 where neighbours have nothing in common
    noise: FloatArray  # (n, 2, 2): of each patch by itself


def local_offsets(refinement: Refinement, places_px: FloatArray | None = None) -> LocalOffsets:
    """Smooth part of what a fit leaves of its patches, by Gaussian-process regression.

    At the patches, or at `places_px` of the rendered view, shape (k, 2).

    A patch by itself is off by a pixel: its towns have grown, or shine more on one side than on
    the map. Twenty patches of a camera are not, unless the camera is wrong there (a lens that one
    coefficient does not describe, heights, an edited picture), and then neighbours are off alike.
    How much they are follows from the residuals of pairs side by side.

    References
    ----------
    Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning, 2.2.
    """
    matches, residual = refinement.matches, refinement.residual_px
    patches = np.stack([matches.x, matches.y], axis=1)
    places = patches if places_px is None else places_px
    count = len(places)
    if not len(matches):
        return LocalOffsets(
            offset_px=np.zeros((count, 2)),
            covariance=np.zeros((count, 2, 2)),
            noise=np.zeros((0, 2, 2)),
        )
    # Each patch as the fit has found it: as stated, widened by the residuals, and for what the fit
    # believes little by its weight
    stated, whiten = stated_noise(matches)
    white = np.einsum("nij,nj->ni", whiten, residual)
    widened = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
    noise = stated * (widened / refinement.weights)[:, None, None]

    distance = np.linalg.norm(np.concatenate([patches, places])[:, None] - patches, axis=2)
    distance /= matches.size_px
    nearness = np.exp(-0.5 * (distance / USUAL.reach_sides) ** 2)
    kernel, to_places = np.split(nearness, [len(patches)])
    nearest, farthest = USUAL.beside_sides
    beside = np.triu((distance[: len(patches)] >= nearest) & (distance[: len(patches)] <= farthest))
    variance = 0.0  # an axis, of what neighbours share
    if beside.sum() >= USUAL.min_pairs:
        pair = np.outer(refinement.weights, refinement.weights)[beside]
        product = (residual @ residual.T / 2.0)[beside]
        variance = float((pair * product).sum() / (pair * kernel[beside]).sum())
    if variance <= 0.0:
        return LocalOffsets(
            offset_px=np.zeros((count, 2)), covariance=np.zeros((count, 2, 2)), noise=noise
        )
    # What widened the sigmas of single patches is partly what they have in common
    typical = float(np.median(np.trace(noise, axis1=1, axis2=2))) / 2.0
    noise = noise * max(1.0 - variance / typical, 1.0 / widened)
    root = np.linalg.cholesky(noise)
    common = variance * np.kron(kernel, np.eye(2))
    own = np.einsum("ij,iac,jbc->iajb", matches.overlap, root, root).reshape(common.shape)
    shared = variance * np.kron(to_places, np.eye(2))
    gain = np.linalg.solve(common + own, shared.T).T
    known = np.einsum("kim,kjm->kij", gain.reshape(count, 2, -1), shared.reshape(count, 2, -1))
    return LocalOffsets(
        offset_px=(gain @ residual.ravel()).reshape(count, 2),
        covariance=variance * np.eye(2) - known,
        noise=noise,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Refits:
    """A camera, and those of the same fit without one part of the picture each."""

    camera: Camera
    without: tuple[Camera, ...]

    def covariance_px(self, ground_ecef_m: FloatArray) -> FloatArray:
        """Of where the camera sees places (k, 3), square pixels of the fitted image, (k, 2, 2).

        It has one degree of freedom less than there are refits.
        """
        count = len(self.without)
        here, *there = (
            np.stack(camera.ecef_to_pixel(ground_ecef_m), axis=-1)
            for camera in (self.camera, *self.without)
        )
        off = np.stack(there) - here
        return np.asarray((count - 1) / count * np.einsum("pki,pkj->kij", off, off))


def jackknife(refinement: Refinement, groups: IndexArray, max_parts: int = PARTS) -> Refits | None:
    """Fit a camera again without a part of the picture, each in turn.

    The covariance of a least-squares fit holds where patches err as they say and apart from each
    other. Towns grow on one side, a lone one pulls all patches that show it, and a string of them
    may be taken for the next ones; a camera with many unknowns follows. What happens without them
    tells by how much.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Light that each of its patches shows, see `matchers.lights.patches.groups_of`: patches of
        one are left out together.
    max_parts : int
        Into so many the picture is cut at most, a power of two.

    Returns
    -------
    Refits or None
        None where there are too few lights to leave any out.

    References
    ----------
    Efron, B. (1982). The Jackknife, the Bootstrap and Other Resampling Plans. SIAM, chapter 3.
    Künsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations.
    Annals of Statistics 17, 1217-1241: blocks, for what errs together.
    """
    matches = refinement.matches
    found, first, group = np.unique(groups, return_index=True, return_inverse=True)
    places = np.stack([matches.x[first], matches.y[first]], axis=-1)
    parts = [np.arange(len(found))]
    while 2 * len(parts) <= max_parts and any(len(part) > 1 for part in parts):
        halves = []  # of halves, each across its longer side
        for part in parts:
            axis = int(np.argmax(np.ptp(places[part], axis=0)))
            order = part[np.argsort(places[part, axis], kind="stable")]
            halves += [half for half in np.array_split(order, 2) if len(half)]
        parts = halves
    kept = [~np.isin(group, part) for part in parts]
    without = tuple(
        fit_pose(
            refinement.rendered, matches.chosen(rest), refinement.prior, refinement.free
        ).camera
        for rest in kept
        if rest.sum() >= USUAL.min_matches
    )
    if len(without) < USUAL.min_parts:
        return None
    return Refits(camera=refinement.camera, without=without)


def wider(covariance: FloatArray, other: FloatArray) -> FloatArray:
    """Covariances (..., 2, 2) that are in no direction less than either of two.

    In the axes that make a circle of the first one the second is at least as long as that.
    """
    root = np.linalg.cholesky(covariance)
    inverse = np.linalg.inv(root)
    ratio, axes = np.linalg.eigh(inverse @ other @ np.swapaxes(inverse, -1, -2))
    stretched = root @ axes * np.sqrt(np.maximum(ratio, 1.0))[..., None, :]
    return np.asarray(stretched @ np.swapaxes(stretched, -1, -2))
