"""Fit a frame to a drawn map on half of the image cells, and verify the fit on the other half."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.special import bdtrc

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import PARAMETERS, PosePrior
from matchers.geometry.view import render_known
from matchers.lights.gauss_newton import correlation
from matchers.lights.patch_fit import fit_to_patches
from matchers.lights.patches import PatchMatches, match_patches
from matchers.lights.photo_light import LightImage, detail, normalize_contrast
from regengine.registration.cell_parameters import CellParams

# Of float32, over sums of some hundred pixels; 8-bit images averaged over 16 x 16 pixels still
# differ by seven times as much
ROUNDING = 1e-5


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

    Attributes
    ----------
    image : LightImage
        Square root of the photo's light.
    evened : ndarray of float32, shape (h, w)
        Structure of the photo, see `even_picture`.
    levels : tuple of LightGrid
        The map around the ground in the photo, finest first.
    params : CellParams
        Parameters of the fit.
    draw : callable
        Converts the rendered map to the appearance of a photo.
    rendered : dict
        Cache of the last rendering, by its camera.
    """

    image: LightImage
    evened: FloatImage
    levels: tuple[LightGrid, ...]
    params: CellParams
    draw: Callable[[FloatImage], FloatImage] = lambda values: values
    rendered: dict[Camera, tuple[FloatImage, FloatImage]] = field(default_factory=dict, repr=False)

    def render(self, camera: Camera) -> tuple[FloatImage, FloatImage]:
        """Render the map's structure through a camera of this image, with the weight of pixels."""
        if camera not in self.rendered:
            values, known = render_known(self.levels, camera, self.params.supersample)
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
        found = []
        for i in range(0, height, cell):
            for j in range(0, width, cell):
                if (i // cell + j // cell) % 2 not in parities:
                    continue
                for y in i + spots:
                    for x in j + spots:
                        if not (rim <= x < width - rim and rim <= y < height - rim):
                            continue
                        lines, lights, counted = (float(each[y, x]) for each in holds)
                        if counted > 0.95 and min(lines, lights) > self.params.min_structure:
                            found.append((x, y))
        centres = np.array(found, np.intp).reshape(-1, 2)
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
    unknown = np.zeros(PARAMETERS, bool)
    unknown[list(free)] = True
    x, y = (np.array([0.1, 0.5, 0.9])[:, None] * [at.width_px, at.height_px]).T
    x, y = (each.ravel() for each in np.meshgrid(x, y))
    for _ in range(params.max_rounds):
        matches = picture.match(
            *picture.render(at), (0,), patch_px, reach_px or params.fit_reach_px
        )
        if len(matches) < params.min_matches:
            break
        refinement = fit_to_patches(at, matches, belief, unknown)
        before, after = (
            np.stack(one.ecef_to_pixel(at.pixel_to_ecef(x, y))) for one in (at, refinement.camera)
        )
        at = refinement.camera
        if not np.isfinite(after).all() or float(np.abs(after - before).max()) < params.settled_px:
            break
    return picture.image.stored_camera(at, camera)


@dataclass(frozen=True, kw_only=True, eq=False)
class CellProof:
    """Agreement of patches in held-out cells with the fit, at one scale.

    sample_m: Scale, metres per pixel.
    n_matched, n_agreeing: Number of matched patches, and of those that agree with the camera.
    score: -log10 of the probability that as many patches agree by chance.
    residual_px: Residuals of the agreeing patches, shape (n, 2).
    ncc: Normalized cross-correlation of photo and map over the whole frame.
    """

    sample_m: float
    n_matched: int
    n_agreeing: int
    score: float
    residual_px: FloatArray
    ncc: float


def prove_on_map(picture: MapPicture, camera: Camera, sample_m: float, patch_px: int) -> CellProof:
    """Count patches of odd cells that lie where a camera predicts them, and compare with chance."""
    params = picture.params
    reach_px = params.proof_reach_px
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
        n_matched=len(matches),
        n_agreeing=n_agreeing,
        score=min(params.max_score, 0.0 - np.log10(max(tail, np.finfo(float).tiny))),
        residual_px=np.stack([matches.dx, matches.dy], axis=1)[agree],
        ncc=correlation(picture.evened, view, weight),
    )
