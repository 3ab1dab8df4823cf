"""New photos placed by a lens that was calibrated on others, and how far off they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.lens_trials import FAINTEST_G, HEIGHT_PX, TAKEN, WIDTH_PX, stars_to
from matchers.lens_fit import fit_lens
from matchers.lens_stars import LensFrame
from matchers.sky_camera import SkyCamera, matrix_quaternion
from matchers.star_pairs import pair_stars
from regengine.stars.apparent import apparent_directions
from regengine.stars.lens_calibration import FAINTEST_G as FAINTEST_USED_G
from regengine.stars.lens_photo import LensPhoto

FloatArray = NDArray[np.float64]


def placed_by(lens: SkyCamera, photo: LensPhoto) -> SkyCamera:
    """Attitude of a photo with a lens that is known, from all stars that are found.

    Parameters
    ----------
    lens : SkyCamera
        Calibrated on other photos.
    photo : LensPhoto

    Returns
    -------
    SkyCamera
    """
    known = stars_to(FAINTEST_G)
    seen = apparent_directions(known.vectors, TAKEN)
    camera, stars = _same_middle(lens, photo.camera), photo.stars
    for tolerance_px, most in ((6.0, 150), (1.5, 5000)):
        pairs = pair_stars(
            camera,
            stars.x[:most],
            stars.y[:most],
            seen,
            known.magnitude_g,
            tolerance_px=tolerance_px,
            blend_px=8.0,
        )
        kept = pairs.alone & (stars.flags[pairs.detection] == 0)
        kept &= known.magnitude_g[pairs.star] <= FAINTEST_USED_G
        chosen = pairs.detection[kept]
        spread = np.einsum("nii->n", stars.covariance_px2[chosen]) / 2.0
        frame = LensFrame(
            camera=camera,
            x=stars.x[chosen],
            y=stars.y[chosen],
            sigma_px=np.sqrt(spread),
            directions_icrs=seen[pairs.star[kept]],
        )
        camera = fit_lens([frame], free=()).cameras[0]
    return camera


def _same_middle(camera: SkyCamera, other: SkyCamera) -> SkyCamera:
    """The camera, turned so that its picture's middle and corners look where the other's do."""
    x, y = np.array([0.0, WIDTH_PX - 1.0] * 2), np.repeat([0.0, HEIGHT_PX - 1.0], 2)
    turn, _ = Rotation.align_vectors(other.to_sky(x, y), camera.rays(x, y))
    return replace(camera, quaternion_icrs=matrix_quaternion(turn.as_matrix()))


def axis_off_arcsec(found: SkyCamera, true: SkyCamera) -> float:
    """Angle between the optical axes that were found and are."""
    return _arcsec(found.matrix[:, 2], true.matrix[:, 2])


def middle_off_arcsec(found: SkyCamera, true: SkyCamera) -> float:
    """Angle between the directions of the picture's middle that were found and are."""
    return _arcsec(found.centre_icrs, true.centre_icrs)


def _arcsec(one: FloatArray, other: FloatArray) -> float:
    return float(np.degrees(2.0 * np.arcsin(0.5 * np.linalg.norm(one - other)))) * 3600.0


def rms(values: Sequence[float]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
