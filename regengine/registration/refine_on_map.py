"""A frame fitted to a drawn map: cells of the picture fit the camera, others prove it."""

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


def even_picture(values: FloatImage, weight: FloatImage, params: CellParams) -> FloatImage:
    """What photo and map have in common: structure, as strong everywhere."""
    smooth = np.asarray(cv2.GaussianBlur(values, (0, 0), params.smooth_px), np.float32)
    return (
        normalize_contrast(detail(smooth, params.detail_px, weight), params.deviation_px, weight)
        * weight
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class MapPicture:
    """A photo and a map at one scale.

    Attributes
    ----------
    image : LightImage
        Square root of the photo's light.
    evened : ndarray of float32, shape (h, w)
        Its structure, see `even_picture`.
    levels : tuple of LightGrid
        The map around what it shows, finest first.
    draw : callable
        What a photo shows of the rendered map.
    rendered : dict
        What was rendered last, by its camera.
    """

    image: LightImage
    evened: FloatImage
    levels: tuple[LightGrid, ...]
    params: CellParams
    draw: Callable[[FloatImage], FloatImage] = lambda values: values
    rendered: dict[Camera, tuple[FloatImage, FloatImage]] = field(default_factory=dict, repr=False)

    def render(self, camera: Camera) -> tuple[FloatImage, FloatImage]:
        """The map's structure through a camera of this image, and what of it counts."""
        if camera not in self.rendered:
            values, known = render_known(self.levels, camera, self.params.supersample)
            weight = np.asarray(known * self.image.weight, np.float32)
            self.rendered.clear()
            self.rendered[camera] = even_picture(self.draw(values), weight, self.params), weight
        return self.rendered[camera]

    def correlate(self, camera: Camera) -> float:
        """Correlation of photo and map through a camera of the stored image."""
        return correlation(self.evened, *self.render(self.image.camera(camera)))

    def match(
        self,
        view: FloatImage,
        weight: FloatImage,
        parities: Sequence[int],
        patch_px: int,
        reach_px: int,
    ) -> PatchMatches:
        """Patches of a view's even (0) or odd (1) cells of a chessboard found in the photo.

        Cells hold two by two patches, and more ground between them where there are more of them
        than are needed.
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
    """Fit a camera (of the stored image) to the even cells of a picture until nothing moves."""
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
    """How patches of cells that the fit did not see agree with it, at one scale.

    score: -log10 of the probability that chance has so many agree.
    residual_px: Of those that agree, shape (n, 2).
    ncc: Correlation of photo and map in the whole frame.
    """

    sample_m: float
    n_matched: int
    n_agreeing: int
    score: float
    residual_px: FloatArray
    ncc: float


def prove_on_map(picture: MapPicture, camera: Camera, sample_m: float, patch_px: int) -> CellProof:
    """Count the patches of odd cells that lie where a camera says, against chance."""
    params = picture.params
    reach_px = params.proof_reach_px
    view, weight = picture.render(picture.image.camera(camera))
    matches = picture.match(view, weight, (1,), patch_px, reach_px)
    agree = np.hypot(matches.dx, matches.dy) <= params.agreeing_px
    # A peak lies anywhere within the reach but on its border
    chance = np.pi * params.agreeing_px**2 / (2.0 * reach_px - 1.0) ** 2
    n_agreeing = int(agree.sum())
    # So many or more of them
    tail = float(bdtrc(n_agreeing - 1, len(matches), chance)) if len(matches) else 1.0
    return CellProof(
        sample_m=sample_m,
        n_matched=len(matches),
        n_agreeing=n_agreeing,
        score=min(params.max_score, 0.0 - np.log10(max(tail, np.finfo(float).tiny))),
        residual_px=np.stack([matches.dx, matches.dy], axis=1)[agree],
        ncc=correlation(picture.evened, view, weight),
    )
