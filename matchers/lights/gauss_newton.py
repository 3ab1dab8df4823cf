"""Dense alignment of a camera by maximising the correlation of photo and rendered map.

It uses Gauss-Newton steps on the normalised correlation. The derivative of the rendered image by
the pose is the image gradient times the motion of the ground points. One rendering per iteration is
therefore sufficient.

References
----------
Evangelidis, G. D., Psarakis, E. Z. (2008). Parametric image alignment using enhanced correlation
coefficient maximization. IEEE Transactions on Pattern Analysis 30 (10), 1858-1865.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import MapGrid, render_known
from matchers.geometry.pose import PARAMETERS, PosePrior, differentiate_pixels, step_camera
from matchers.lights.photo_light import count_around, detail, normalize_contrast


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """A camera, and the correlation of the map rendered through it with the photo.

    ``even_ncc`` is the correlation after contrast normalisation of both images, see
    `matchers.lights.photo_light.normalize_contrast`.
    """

    camera: Camera
    ncc: float
    even_ncc: float = 0.0


def correlation(photo: FloatImage, view: FloatImage, weight: FloatImage) -> float:
    """Compute the weighted correlation coefficient of two images."""
    total = float(weight.sum(dtype=float))
    if total <= 0.0:
        return 0.0
    share = weight / np.float64(total)
    p, v = (image - np.vdot(share, image) for image in (photo, view))
    spread = float(np.vdot(share * p, p) * np.vdot(share * v, v))
    return float(np.vdot(share * p, v)) / spread**0.5 if spread * total**2 > 1e-12 else 0.0


def align(
    levels: Sequence[MapGrid],
    photo: FloatImage,
    weight: FloatImage,
    camera: Camera,
    prior: PosePrior,
    *,
    free: BoolArray,
    iterations: int = 6,
    smooth_px: float = 0.8,
    detail_px: float = 0.0,
    supersample: int = 1,
) -> Alignment:
    """Refine a camera on a small light image (h, w), with the weight of its pixels.

    `prior`: for an image of that size; `smooth_px`: blur of the rendered image; `detail_px`: scale
    above which structure is removed from the rendered image, the same as for the photo, or 0 to
    keep it. Returns the camera with the highest correlation of all iterations, including the start.
    """
    best: Alignment | None = None
    best_view: tuple[FloatImage, FloatImage] | None = None
    current = camera
    broad = count_around(weight, detail_px) if detail_px > 0.0 else None
    for iteration in range(iterations + 1):
        view, known = render_known(levels, current, supersample)
        if smooth_px > 0.0:
            view = np.asarray(cv2.GaussianBlur(view, (0, 0), smooth_px), np.float32)
        if detail_px > 0.0:
            view = detail(view, detail_px, weight, broad)
        counted = weight * known
        if counted.sum() < 0.3 * weight.sum():  # too little overlap for a reliable correlation
            break
        ncc = correlation(photo, view, counted)
        # Gains of correlation that no longer move the camera, by eye
        if best is not None and ncc <= best.ncc + 1e-5 and iteration > 2:
            break
        if best is None or ncc > best.ncc:
            best = Alignment(camera=current, ncc=ncc)
            best_view = view, counted
        if iteration == iterations:
            break
        step = gauss_newton_step(photo, view, counted, current, prior, free)
        if step is None:
            break
        current = step_camera(current, prior.velocity_ecef, step)
    if best is None or best_view is None:
        return Alignment(camera=camera, ncc=0.0)
    if detail_px <= 0.0:
        return replace(best, even_ncc=best.ncc)
    view, counted = best_view
    even_photo, even_view = (
        normalize_contrast(image, detail_px, counted) for image in (photo, view)
    )
    return replace(best, even_ncc=correlation(even_photo, even_view, counted))


def gauss_newton_step(
    photo: FloatImage,
    view: FloatImage,
    weight: FloatImage,
    camera: Camera,
    prior: PosePrior,
    free: BoolArray,
) -> FloatArray | None:
    """Compute one step of all free parameters; None if the images do not constrain them."""
    from matchers.lights.compiled_patches import fill_design

    columns = np.flatnonzero(free)
    sigmas = prior.sigmas[columns]
    scale = np.where(np.isfinite(sigmas), sigmas, 0.05)  # radians, for the condition alone
    # Pixel motion per unit of each pose parameter on a lattice from corner to corner
    sides = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = np.meshgrid(*(np.linspace(0.0, side, 14) for side in sides))
    ground = camera.pixel_to_ecef(x.ravel(), y.ravel())
    motion = differentiate_pixels(camera, prior.velocity_ecef, ground)[1]
    motion = np.ascontiguousarray(motion[..., columns]).reshape(*x.shape, 2, -1)
    design = np.empty((len(columns) + 2, *view.shape), np.float32)
    weighted = np.empty_like(design)
    fill_design(view, weight, motion, scale, design, weighted)
    design, weighted = (each.reshape(len(design), -1) for each in (design, weighted))
    normal = (weighted @ design.T).astype(float)
    right = (weighted @ photo.ravel()).astype(float)
    # Offset and amplitude that fit the view to the photo, and the residual variance
    (a, b), (_, c) = normal[:2, :2].tolist()
    first, second = right[:2].tolist()
    area = a * c - b * b
    if area <= 1e-6 * a * c:  # the view is constant
        return None
    offset, amplitude = (c * first - b * second) / area, (a * second - b * first) / area
    if amplitude <= 1e-6:
        return None
    left = float((weight * photo**2).sum()) - offset * first - amplitude * second
    noise = max(left / max(float(weight.sum()), 1.0), 1e-9)
    # Unknowns of the linear system are amplitude x step / scale; the prior applies to the step.
    # Neighbouring pixels of blurred images are not independent: assume one independent sample per
    # about 3 x 3 px, and at most 400 of them
    per_sample = max(9.0, view.size / 400.0)
    departure = prior.departure(camera)[columns] / scale
    stiffness = np.where(np.isfinite(sigmas), noise * per_sample / amplitude**2, 1e-9)
    normal[2:, 2:] += np.diag(stiffness)
    right[2:] -= stiffness * amplitude * departure
    try:
        solution = np.linalg.solve(normal, right)
    except np.linalg.LinAlgError:
        return None
    if solution[1] <= 0.0:
        return None
    step = np.zeros(PARAMETERS)
    step[columns] = solution[2:] / solution[1] * scale
    largest = float(np.abs(motion @ step[columns]).max())
    limit = 0.08 * max(view.shape)  # the linearisation is valid for a few pixels
    return step * min(1.0, limit / max(largest, 1e-9))
