"""A telephoto frame fitted to streets: cells of the picture fit the camera, others prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.stats import binom

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray, FloatImage
from matchers.align import correlation
from matchers.camera import Camera
from matchers.footprint import visible_outline
from matchers.light_grid import LightGrid, pyramid
from matchers.patches import PatchMatches, match_patches
from matchers.photo_light import LightImage
from matchers.pose import PARAMETERS, PosePrior
from matchers.refine import fit_pose
from matchers.view import render_known
from regengine.registration.parameters import StreetParams
from regengine.registration.propose_from_streets import draw_lamps, even_picture
from regengine.registration.windows import StreetMap


@dataclass(frozen=True, kw_only=True, eq=False)
class StreetPicture:
    """A photo and the street map at one scale.

    Attributes
    ----------
    image : LightImage
        Square root of the photo's light.
    evened : ndarray of float32, shape (h, w)
        Its lines, see `even_picture`.
    levels : tuple of LightGrid
        Lamps' density around what it shows, finest first.
    """

    image: LightImage
    evened: FloatImage
    levels: tuple[LightGrid, ...]
    params: StreetParams

    def render(self, camera: Camera) -> tuple[FloatImage, FloatImage]:
        """Lines of the streets through a camera of this image, and what of it counts."""
        density, known = render_known(self.levels, camera, self.params.supersample)
        weight = np.asarray(known * self.image.weight, np.float32)
        return even_picture(draw_lamps(density, self.params), weight, self.params), weight

    def correlate(self, camera: Camera) -> float:
        """Correlation of photo and streets through a camera of the stored image."""
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


def scale_picture(
    light: LightImage, streets: StreetMap, camera: Camera, sample_m: float, params: StreetParams
) -> StreetPicture | None:
    """Photo and streets at pixels of some size on the ground; None where the map has none of it.

    Never finer than the photo. Across the line of sight, that is: along it they are longer.
    """
    long_m = max(measure_sides_m(camera))
    if not np.isfinite(long_m):
        return None
    small = light.resized(round(long_m / sample_m), params.smooth_px)
    image = replace(small, values=np.sqrt(np.maximum(small.values, 0.0), dtype=np.float32))
    lon, lat = camera.pixel_to_lonlat(*visible_outline(camera, per_side=9))
    west, south, east, north = streets.bounds
    reach = params.margin_km / KM_PER_DEGREE
    reach_lon = reach / float(np.cos(np.radians(lat.mean())))
    turn = 360.0 * round((float(lon.mean()) - 0.5 * (west + east)) / 360.0)
    west, south = max(west + turn, lon.min() - reach_lon), max(south, lat.min() - reach)
    east, north = min(east + turn, lon.max() + reach_lon), min(north, lat.max() + reach)
    step_deg = sample_m / 1e3 / KM_PER_DEGREE
    if min(east - west, north - south) < 16.0 * step_deg:
        return None
    grid = streets.window((west, south, east, north), 1.2 * step_deg)
    if grid is None:
        return None
    return StreetPicture(
        image=image,
        evened=even_picture(image.values, image.weight, params),
        levels=pyramid(grid, 6),
        params=params,
    )


def measure_sides_m(camera: Camera) -> tuple[float, float]:
    """Width and height of a frame across the line of sight, at the distance of its middle."""
    middle = camera.pixel_to_ecef((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    slant_m = float(np.linalg.norm(middle - np.asarray(camera.position_ecef_m)))
    per_pixel = slant_m / camera.focal_px
    return camera.width_px * per_pixel, camera.height_px * per_pixel


def settle(
    picture: StreetPicture,
    camera: Camera,
    prior: PosePrior,
    free: Sequence[int],
    patch_px: int,
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
        matches = picture.match(*picture.render(at), (0,), patch_px, params.fit_reach_px)
        if len(matches) < params.min_matches:
            break
        refinement = fit_pose(at, matches, belief, unknown)
        before, after = (
            np.stack(one.ecef_to_pixel(at.pixel_to_ecef(x, y))) for one in (at, refinement.camera)
        )
        at = refinement.camera
        if not np.isfinite(after).all() or float(np.abs(after - before).max()) < params.settled_px:
            break
    return picture.image.stored_camera(at, camera)


@dataclass(frozen=True, kw_only=True, eq=False)
class StreetProof:
    """How patches of cells that the fit did not see agree with it, at one scale.

    score: -log10 of the probability that chance has so many agree.
    residual_px: Of those that agree, shape (n, 2).
    ncc: Correlation of photo and streets in the whole frame.
    """

    sample_m: float
    n_matched: int
    n_agreeing: int
    score: float
    residual_px: FloatArray
    ncc: float


def prove_on_streets(
    picture: StreetPicture, camera: Camera, sample_m: float, patch_px: int
) -> StreetProof:
    """Count the patches of odd cells that lie where a camera says, against chance."""
    params = picture.params
    reach_px = params.proof_reach_px
    view, weight = picture.render(picture.image.camera(camera))
    matches = picture.match(view, weight, (1,), patch_px, reach_px)
    agree = np.hypot(matches.dx, matches.dy) <= params.agreeing_px
    # A peak lies anywhere within the reach but on its border
    chance = np.pi * params.agreeing_px**2 / (2.0 * reach_px - 1.0) ** 2
    log_tail = float(binom.logsf(agree.sum() - 1, len(matches), chance)) if len(matches) else 0.0
    return StreetProof(
        sample_m=sample_m,
        n_matched=len(matches),
        n_agreeing=int(agree.sum()),
        score=min(params.max_score, -log_tail / np.log(10.0)),
        residual_px=np.stack([matches.dx, matches.dy], axis=1)[agree],
        ncc=correlation(picture.evened, view, weight),
    )
