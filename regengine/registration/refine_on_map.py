"""Fit a frame to a drawn map on half of the image cells, and verify the fit on the other half."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import cv2
import numpy as np
from scipy.special import bdtrc

from detectors.types import FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import MapGrid, render_known
from matchers.geometry.pose import PARAMETERS, PosePrior
from matchers.lights.gauss_newton import correlation
from matchers.lights.patches import PatchMatches, fit_to_patches, match_patches, state_noise
from matchers.lights.photo_light import EvenedImage, detail, normalize_contrast
from regengine.photo.frame import Frame
from regengine.registration.accept import decide
from regengine.registration.control_points import compute_camera_covariances, select_control_points
from regengine.registration.parameters import AcceptParams, Steps
from regengine.registration.report_result import doubt_given, doubt_height, record_match
from regengine.registration.types import (
    CellProof,
    Evidence,
    Hypothesis,
    MapMatch,
    PatchFit,
    Prior,
)
from regengine.store.reasons import Reason
from regengine.store.result import MIN_POINTS, FrameResult, MatchedMap, PatchProof

# Of float32, over sums of some hundred pixels; 8-bit images averaged over 16 x 16 pixels still
# differ by seven times as much
ROUNDING = 1e-5


# Patches that a fit needs: twelve equations for eight unknowns
MIN_MATCHES = 6


@dataclass(frozen=True, kw_only=True)
class CellParams:
    """How a frame is fitted to a drawn map on half of its cells, and verified on the others.

    smooth_px, detail_px, deviation_px: Both images are blurred with the first. Structure broader
        than the second is subtracted. The rest is divided by its local standard deviation at the
        scale of the third.
    fit_reach_px: Search radius of patches in the fit.
    agreeing_px: A held-out patch agrees with the camera if it is found within this distance.
    max_cells: Approximate maximum number of chessboard cells in a fit, each of two by two patches.
    max_rounds: Maximum number of rounds of a fit. It ends earlier if all positions move by less
        than `settled_px`.
    is_noise_found: Whether the noise of patches is taken from the residuals of the last fit if
        these are smaller than stated. Then the covariance of the fit is kept unless refits without
        parts of the image have more than four times this variance.
    """

    smooth_px: float
    detail_px: float
    deviation_px: float
    fit_reach_px: int
    agreeing_px: float
    max_cells: int = 400
    max_rounds: int = 4
    settled_px: float = 0.1
    is_noise_found: bool = False
    # Of 445 wrong matches on streets the highest had 1.33: by Laplace's rule at most one in 447
    # with a score of 6 is wrong. The trials allow no stronger statement
    probability_steps: Steps = field(
        default_factory=lambda: Steps(
            log10_odds=(3.0, 6.0), low=(0.0, 0.3, 0.997), high=(0.1, 0.7, 0.999)
        )
    )

    @property
    def min_score(self) -> float:
        """Minimum of the lower score of both levels for acceptance."""
        return self.probability_steps.log10_odds[-1]


def even_picture(values: FloatImage, weight: FloatImage, params: CellParams) -> FloatImage:
    """Normalize an image to structure of equal local contrast, which photo and map share.

    Differences that rounding makes in a constant image are no structure: normalized, they would be
    the same pattern in photo and map.
    """
    smooth = np.asarray(cv2.GaussianBlur(values, (0, 0), params.smooth_px), np.float32)
    structure = detail(smooth, params.detail_px, weight)
    rounding = ROUNDING * float(np.abs(smooth).max(initial=0.0))
    structure = np.where(np.abs(structure) > rounding, structure, np.float32(0.0))
    return normalize_contrast(structure, params.deviation_px, weight) * weight


@dataclass(frozen=True, kw_only=True, eq=False)
class MapPicture:
    """A photo and a map at one scale.

    image: Square root of the photo's light.
    evened: Structure of the photo, see `even_picture`, shape (h, w).
    levels: The map around the ground in the photo, finest first.
    draw: Converts the rendered map to the appearance of a photo.
    rendered: Cache of the last rendering, by its camera.
    """

    image: EvenedImage
    evened: FloatImage
    levels: tuple[MapGrid, ...]
    params: CellParams
    draw: Callable[[FloatImage], FloatImage] = lambda values: values
    rendered: dict[Camera, tuple[FloatImage, FloatImage]] = field(default_factory=dict, repr=False)

    def render(self, camera: Camera) -> tuple[FloatImage, FloatImage]:
        """Render the map's structure through a camera of this image, with the weight of pixels."""
        if camera not in self.rendered:
            values, known = render_known(self.levels, camera, 1)
            weight = np.asarray(known * self.image.weight, np.float32)
            self.rendered.clear()
            self.rendered[camera] = even_picture(self.draw(values), weight, self.params), weight
        return self.rendered[camera]

    def correlate(self, camera: Camera) -> float:
        """Correlate photo and map through a camera of the stored image."""
        return correlation(self.evened, *self.render(self.image.camera(camera)))

    def match(
        self,
        view: FloatImage,
        weight: FloatImage,
        parities: Sequence[int],
        patch_px: int,
        reach_px: int,
    ) -> PatchMatches:
        """Match patches of a view's even (0) or odd (1) chessboard cells in the photo.

        Each cell has two by two patches. If there would be more cells than `CellParams.max_cells`,
        the cells are larger and the patches farther apart.
        """
        height, width = view.shape
        rim = patch_px // 2 + reach_px + 1
        cell = max(2 * patch_px, round(float(np.sqrt(height * width / self.params.max_cells))))
        half = patch_px // 2 * 2 + 1
        holds = [
            cv2.boxFilter(each, -1, (half, half), borderType=cv2.BORDER_ISOLATED)
            for each in (view * view, self.evened * self.evened, weight)
        ]
        spots = (np.array([0.25, 0.75]) * cell).astype(int)
        axes = np.arange(0, height, cell), np.arange(0, width, cell), spots, spots
        i, j, y, x = (each.ravel() for each in np.meshgrid(*axes, indexing="ij"))
        y, x = i + y, j + x
        inside = (rim <= x) & (x < width - rim) & (rim <= y) & (y < height - rim)
        kept = inside & np.isin((i // cell + j // cell) % 2, parities)
        centres = np.stack([x[kept], y[kept]], axis=1)
        lines, lights, counted = (each[y[kept], x[kept]].astype(float) for each in holds)
        # Mean square of both normalized images
        centres = centres[(counted > 0.95) & (np.minimum(lines, lights) > 0.2)]
        return match_patches(self.evened, view, centres, patch_px, reach_px)


def settle(
    picture: MapPicture,
    camera: Camera,
    prior: PosePrior,
    free: Sequence[int],
    patch_px: int,
    reach_px: int | None = None,
) -> Camera:
    """Fit a camera (of the stored image) to the even cells of a picture until it converges."""
    params = picture.params
    at = picture.image.camera(camera)
    belief = prior.for_image(picture.image.factor)
    unknown = np.isin(np.arange(PARAMETERS), free)
    x, y = (np.array([0.1, 0.5, 0.9])[:, None] * [at.width_px, at.height_px]).T
    x, y = (each.ravel() for each in np.meshgrid(x, y))
    for _ in range(params.max_rounds):
        matches = picture.match(
            *picture.render(at), (0,), patch_px, reach_px or params.fit_reach_px
        )
        if len(matches) < MIN_MATCHES:
            break
        refinement = fit_to_patches(at, matches, belief, unknown)
        before, after = (
            np.stack(one.ecef_to_pixel(at.pixel_to_ecef(x, y))) for one in (at, refinement.camera)
        )
        at = refinement.camera
        if not np.isfinite(after).all() or float(np.abs(after - before).max()) < params.settled_px:
            break
    return picture.image.stored_camera(at, camera)


def prove_on_map(picture: MapPicture, camera: Camera, sample_m: float, patch_px: int) -> CellProof:
    """Count patches of odd cells that lie where a camera predicts them, and compare with chance."""
    params = picture.params
    reach_px = 12  # of a prototype, as `STREETS` and `DAY`
    view, weight = picture.render(picture.image.camera(camera))
    matches = picture.match(view, weight, (1,), patch_px, reach_px)
    agree = np.hypot(matches.dx, matches.dy) <= params.agreeing_px
    # By chance a peak lies anywhere within the search window except on its border
    chance = np.pi * params.agreeing_px**2 / (2.0 * reach_px - 1.0) ** 2
    n_agreeing = int(agree.sum())
    # Probability of at least this many
    tail = float(bdtrc(n_agreeing - 1, len(matches), chance)) if len(matches) else 1.0
    return CellProof(
        sample_m=sample_m,
        n_patches=len(matches),
        n_agreeing=n_agreeing,
        # At least that of the smallest probability that is reported
        log10_chance=-min(300.0, 0.0 - float(np.log10(max(tail, np.finfo(float).tiny)))),
        residual_px=np.stack([matches.dx, matches.dy], axis=1)[agree],
        ncc=correlation(picture.evened, view, weight),
    )


def fit_all_cells(
    picture: MapPicture,
    hypothesis: Hypothesis,
    camera: Camera,
    proofs: tuple[CellProof, ...],
    free: tuple[int, ...],
    patch_px: int,
) -> MapMatch | None:
    """Fit the camera of the last step to even and odd cells together; None if patches are few."""
    params = picture.params
    at = picture.image.camera(camera)
    view, known = picture.render(at)
    sparse = replace(picture, params=replace(params, max_cells=100))
    matches = sparse.match(view, known, (0, 1), patch_px, params.fit_reach_px)
    if len(matches) < MIN_MATCHES:
        return None
    unknown = np.isin(np.arange(PARAMETERS), free)
    belief = hypothesis.prior.for_image(picture.image.factor)
    refinement = fit_to_patches(at, matches, belief, unknown)
    if params.is_noise_found:
        # A posteriori variance of unit weight (Mikhail & Ackermann 1976), robust, where it is less
        # than one: what the patches state has a floor for maps of lights, that streets do not need
        stated, whiten = state_noise(matches)
        white = np.einsum("nij,nj->ni", whiten, refinement.residual_px)
        variance = min(1.0, (1.4826 * float(np.median(np.abs(white)))) ** 2)
        noise = variance * stated
        matches = replace(matches, covariance=noise - (stated - matches.covariance))
        refinement = fit_to_patches(at, matches, belief, unknown)
        # Covariance of an M-estimate (Huber 1981) in place of that of weights, for the Cauchy
        # weight w of residuals r: E[w^2 r^2] / E[w^2]^2 instead of 1 / E[w]
        residual_px, w = refinement.residual_px, refinement.weights
        square = np.einsum("ni,nij,nj->n", residual_px, np.linalg.inv(noise), residual_px) / 2.0
        spread = max(1.0, 1.4826**2 * float(np.median(white**2)) / variance)
        huber = w.mean() * (w**2 * square).mean() / spread / (w**2).mean() ** 2
        refinement = replace(refinement, covariance=float(huber) * refinement.covariance)
    camera = picture.image.stored_camera(refinement.camera, camera)
    residual = proofs[-1].residual_px
    held_out_px = float(np.sqrt((residual**2).mean())) if len(residual) else float("inf")
    fit = PatchFit(
        camera=refinement.camera,
        refinement=refinement,
        image=picture.image,
        patch_view=(view, known),
        groups=np.arange(len(refinement.matches)),
    )
    if params.is_noise_found and fit.refits is not None:
        # A jackknife overestimates variance on average (Efron & Stein 1981), so it is used only
        # where it is much larger
        ground = refinement.rendered.pixel_to_ecef(refinement.matches.x, refinement.matches.y)
        stated = compute_camera_covariances(fit, ground)
        moved = fit.refits.covariance_px(ground)
        if np.trace(moved.sum(axis=0)) < 4.0 * np.trace(stated.sum(axis=0)):
            fit = replace(fit, groups=np.zeros(len(refinement.matches), np.intp))
    return MapMatch(
        fit=fit,
        hypothesis=replace(hypothesis, ncc=proofs[-1].ncc),
        camera=camera,
        evidence=Evidence(
            ncc=proofs[-1].ncc,
            patch_log10_odds=min(proof.score for proof in proofs),
            residual_px=refinement.rms_px,
            held_out_residual_px=held_out_px,
        ),
        proofs=proofs,
    )


def add_proofs(result: FrameResult, proofs: Iterable[PatchProof], **sources: str) -> FrameResult:
    """Add what held-out patches prove, and more sources."""
    kept = tuple(
        PatchProof(**{field.name: getattr(one, field.name) for field in fields(PatchProof)})
        for one in proofs
    )
    texts = {**dict(result.sources), **sources, "proof": "; ".join(one.text for one in kept)}
    return replace(result, proofs=kept, sources=tuple(sorted(texts.items())))


def report_on_map(
    unplaced: FrameResult,
    frame: Frame,
    prior: Prior,
    match: MapMatch,
    steps: Steps,
    params: AcceptParams,
    *,
    map_sigma_m: float,
    reference: MatchedMap,
    reasons: Iterable[Reason] = (),
) -> FrameResult:
    """Make the result of a match: "accepted", "review" or "no_match", from its scores.

    The sigmas of control points combine only the noise of the patches and the error of the map.

    `unplaced`: result with the metadata of the frame; `steps`: probability of a match by its score;
    `map_sigma_m`: one sigma of positions in the map; `reasons`: to review the match, beside a
    height at which the station did not fly.
    """
    reasons = (*doubt_height(frame, prior, match), *reasons)
    points = select_control_points(match.fit, match.camera, map_sigma_m)
    p_right = float(steps.probability(match.score))
    low, high = (float(limit) for limit in steps.interval(match.score))
    if match.score < steps.log10_odds[-1]:
        scales = [
            {"log10_chance": one.log10_chance, "sample_m": one.sample_m} for one in match.proofs
        ]
        reasons = (*reasons, Reason(code="low_probability", values={"scales": scales}))
    if len(points) < MIN_POINTS:
        values = {"n_points": len(points)}
        reasons = (*reasons, Reason(code="few_control_points", values=values))
    title = unplaced.map_title if reference.kind == "day" else ""
    named = ", ".join(filter(None, (reference.kind, title, reference.credit)))
    unplaced = add_proofs(unplaced, match.proofs, reference=named)
    verdict = decide(p_right, reasons, params)
    if verdict != "no_match":
        reasons = (*doubt_given(frame, prior, match), *reasons)
    result = replace(
        unplaced,
        verdict=verdict,
        reasons=reasons,
        probability=p_right,
        probability_low=low,
        probability_high=high,
        reference=reference,
        map_title=named,
    )
    return record_match(result, match, points)
