"""From detections to a camera among the stars, with or without a notion of the lens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from detectors.types import FloatArray, IndexArray, PointFlag, StarDetections
from matchers.sky_camera import SkyCamera
from matchers.star_search import (
    Proposal,
    SearchStage,
    StarIndices,
    StarSearchParams,
    focal_ladder,
    propose,
)
from matchers.star_verify import StarField, VerifyParameters, verify
from regengine.io.plain import counted
from regengine.result import Reason
from regengine.sky.stars.catalogue import StarCatalogue

ACCEPT_LOG10_ODDS = 9.0  # as astrometry.net: Lang et al. (2010), section 3
CLEAR_LOG10_ODDS = 6.0  # of a proposal: verified before other lenses are tried
LEAST_FLUX = 1e-12
FEWEST_STARS = 5  # four that a figure and a fit need, and one to judge by
# Fields of 5 to 120 degrees across corners: 400 mm to 12 mm on a full frame
WIDEST_TANGENT, NARROWEST_TANGENT = 1.75, 0.045
# A detection against the fitted lens, as a share of the long side: trails and soft corners
CEILING_SHARE = 0.001
ALL_DETECTIONS = 3000
# A camera is whole if, of so many bright detections, it explains in its best corner (of so many) a
# part of what it explains in the middle. Nine real fields show as much there as in the middle, a
# fisheye lens a fifth; the part was chosen by these, and no other fields have tried it
JUDGED_STARS, FEWEST_IN_CORNER, LEAST_INSIDE, CORNER_SHARE = 200, 5, 0.3, 0.4
FINAL = VerifyParameters(detections=ALL_DETECTIONS, depths=(25, 75, 225, 700, 2500))


@dataclass(frozen=True, kw_only=True, eq=False)
class StarSolution:
    """A camera among the stars, and the stars that prove it."""

    camera: SkyCamera  # attitude, focal length and distortion, in pixels of the image as stored
    # Of this camera against chance, by detections that did not propose it, less the logarithm of
    # the number of cameras tried
    log10_odds: float
    # Shape (k,): detections that were identified, pixels of the image as stored
    x: FloatArray
    y: FloatArray
    detection: IndexArray  # shape (k,): which of the detections given they are
    star: IndexArray  # shape (k,): which stars of the catalogue they are
    vectors_icrs: FloatArray  # shape (k, 3): directions of these stars
    magnitude_g: FloatArray  # shape (k,): their magnitudes
    residual_px: FloatArray  # shape (k, 2): detection less projected star, (x, y)
    catalogue_epoch: float  # Julian year of the catalogue's positions

    def __len__(self) -> int:
        return int(self.x.size)

    @property
    def rms_px(self) -> float:
        """Root mean square of the residuals, per axis, pixels."""
        return float(np.sqrt(np.mean(self.residual_px**2)))


@dataclass(frozen=True, kw_only=True)
class SolveOptions:
    """What is known beforehand, and how long to search."""

    # Focal length in pixels of the stored image, if there is a notion of it
    focal_px: float | None = None
    log_focal_sigma: float = 0.1  # how well it is known: one sigma of its natural logarithm
    focal_only: bool = False  # other lenses are not tried when this one does not fit
    # k1, k2, p1, p2, k3 of the lens, where they are known
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    principal_point: tuple[float, float] | None = None  # the same; None: the middle
    max_seconds: float = 30.0  # processor time after which no further lens is tried


def solve_stars(
    stars: StarDetections,
    width_px: int,
    height_px: int,
    catalogue: StarCatalogue,
    indices: StarIndices,
    options: SolveOptions | None = None,
) -> StarSolution | Reason:
    """Identify the stars of a picture of this size, in pixels of the picture as stored.

    The indices are those of the catalogue; figures made for one picture serve the next. Where they
    are not identified, the reason has the code ``few_stars`` or ``no_match``, and ``lens`` where
    those in the middle alone are.
    """
    options = options or SolveOptions()
    chosen = _usable(stars)
    if len(chosen) < FEWEST_STARS:
        return Reason(
            code="few_stars",
            text=f"{counted(len(chosen), 'star was', 'stars were')} found and {FEWEST_STARS} are "
            "needed: nothing can be told from fewer.",
        )
    x, y, snr = stars.x[chosen], stars.y[chosen], stars.snr[chosen]
    limit = time.process_time() + options.max_seconds
    ceiling = max(2.0, CEILING_SHARE * max(width_px, height_px))
    if stars.trail_px is not None:
        ceiling = max(ceiling, 0.25 * float(np.hypot(*stars.trail_px)))
    magnitude = -2.5 * np.log10(np.maximum(stars.flux[chosen], LEAST_FLUX))
    field = StarField(
        x=x,
        y=y,
        vectors_icrs=catalogue.vectors,
        magnitude=magnitude,
        star_magnitude=catalogue.magnitude_g,
    )

    def accepted(proposal: Proposal, tried: float) -> StarSolution | None:
        verified = verify(
            proposal.camera,
            proposal.pairs,
            proposal.own,
            field,
            VerifyParameters(ceiling_px=ceiling, shape_tolerance=proposal.shape_tolerance),
        )
        if verified is None:
            return None
        odds = verified.log10_odds - float(np.log10(tried))
        if odds < ACCEPT_LOG10_ODDS:
            return None
        # All detections and fainter stars, the lens fitted once more
        deeper = verify(
            verified.fit.camera,
            verified.pairs,
            np.zeros(0, np.intp),
            replace(field, magnitude=None),
            replace(FINAL, ceiling_px=ceiling),
        )
        best = deeper if deeper and len(deeper.pairs) >= len(verified.pairs) else verified
        detection, star = chosen[best.pairs[:, 0]], best.pairs[:, 1]
        seen = np.stack([stars.x[detection], stars.y[detection]], axis=1)
        vectors = catalogue.vectors[star]
        return StarSolution(
            camera=best.fit.camera,
            log10_odds=odds,
            x=seen[:, 0],
            y=seen[:, 1],
            detection=detection,
            star=star,
            vectors_icrs=vectors,
            magnitude_g=catalogue.magnitude_g[star],
            residual_px=seen - np.stack(best.fit.camera.project(vectors), axis=1),
            catalogue_epoch=catalogue.epoch_year,
        )

    tried = 1.0
    for stage, lenses in _generate_stages(width_px, height_px, options, indices.params):
        waiting: list[Proposal] = []
        for lens in lenses:
            if time.process_time() > limit:
                break
            proposals = list(propose(indices, lens, x, y, snr, stage))
            tried += max((p.figures_met for p in proposals), default=0)
            for proposal in proposals:
                if proposal.log10_odds >= CLEAR_LOG10_ODDS:
                    found = accepted(proposal, tried)
                    if found is not None:
                        return _if_whole(found, stars, chosen)
                else:
                    waiting.append(proposal)
        for proposal in sorted(waiting, key=lambda p: -p.log10_odds)[: stage.verified]:
            found = accepted(proposal, tried)
            if found is not None:
                return _if_whole(found, stars, chosen)
    return Reason(
        code="no_match",
        text="No camera explains the stars found: it may be no star field, or one narrower than "
        "5 degrees; give the focal length with --focal-mm if it is known.",
    )


def _if_whole(
    found: StarSolution, stars: StarDetections, chosen: IndexArray
) -> StarSolution | Reason:
    """A solution, or that it explains the middle alone; `chosen`: detections, brightest first."""
    bright = chosen[:JUDGED_STARS]
    explained = np.isin(bright, found.detection)
    size_px = found.camera.width_px, found.camera.height_px
    x, y = (2.0 * at[bright] / n - 1.0 for at, n in zip((stars.x, stars.y), size_px, strict=True))
    radius, corner = np.hypot(x, y) / 2.0**0.5, 2 * (x > 0.0) + (y > 0.0)
    inside = explained[radius < 0.5].mean() if (radius < 0.5).any() else 0.0
    shares = [
        explained[there].mean()
        for k in range(4)
        if np.count_nonzero(there := (radius > 0.65) & (corner == k)) >= FEWEST_IN_CORNER
    ]
    if len(shares) < 2 or inside < LEAST_INSIDE or max(shares) > CORNER_SHARE * inside:
        return found
    return Reason(
        code="lens",
        text=f"{100.0 * inside:.0f} % of the bright stars in the middle are identified and "
        f"{100.0 * max(shares):.0f} % at most in any corner: the lens bends otherwise than "
        "was assumed, as fisheye lenses do; fit it by `regengine lens fit` and give its "
        "profile.",
    )


def _usable(stars: StarDetections) -> IndexArray:
    """Detections that may be stars, the most significant first."""
    good = (stars.flags & PointFlag.EDGE) == 0
    good &= np.isfinite(stars.x) & np.isfinite(stars.y) & (stars.snr > 0.0)
    order = np.argsort(-stars.snr, kind="stable")
    return order[good[order]][:ALL_DETECTIONS]


def _generate_stages(
    width_px: int, height_px: int, options: SolveOptions, params: StarSearchParams
) -> Iterator[tuple[SearchStage, list[SkyCamera]]]:
    """What is tried, in order: the lens that is believed in, then all others."""
    half = float(np.hypot(width_px, height_px)) / 2.0
    middle = ((width_px - 1) / 2.0, (height_px - 1) / 2.0)
    blank = SkyCamera(
        width_px=width_px,
        height_px=height_px,
        focal_px=half,
        principal_point=middle,
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )
    if options.focal_px is not None:
        known = replace(
            blank,
            distortion=options.distortion,
            principal_point=options.principal_point or middle,
        )
        spread = np.exp(2.0 * options.log_focal_sigma)
        tangent = half / options.focal_px
        # Rungs overlap: with the tolerance of size, the outermost reach beyond two sigma
        rungs = [options.focal_px]
        if spread > 1.12:
            rungs += focal_ladder(half, tangent * spread, tangent / spread, params.ladder_step)
        for stage in params.stages:
            yield stage, [replace(known, focal_px=focal) for focal in rungs]
        if options.focal_only:
            return
    rungs = focal_ladder(half, WIDEST_TANGENT, NARROWEST_TANGENT, params.ladder_step)
    for stage in params.stages:
        yield stage, [replace(blank, focal_px=focal) for focal in rungs]
