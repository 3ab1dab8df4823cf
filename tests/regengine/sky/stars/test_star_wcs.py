"""FITS headers judged by astropy: pixels go where the camera says, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.spatial.transform import Rotation

from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from regengine.sky.stars.solve import StarSolution
from regengine.sky.stars.wcs import wcs_header, write_wcs


def solution(seed: int, **changes: object) -> StarSolution:
    values = {
        "width_px": 4256,
        "height_px": 2832,
        "focal_px": 2300.0,
        "principal_point": (2140.0, 1405.0),
        "quaternion_icrs": matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
    } | changes
    camera = SkyCamera(**values)
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 4255, 60), rng.uniform(0, 2831, 60)
    return StarSolution(
        camera=camera,
        log10_odds=50.0,
        x=x,
        y=y,
        detection=np.arange(60),
        star=np.arange(60),
        vectors_icrs=camera.to_sky(x, y),
        magnitude_g=np.full(60, 4.0),
        residual_px=np.zeros((60, 2)),
        catalogue_epoch=2016.0,
    )


CASES = (
    {},
    {"mirrored": True},
    {"distortion": (-0.03, 0.004, 2e-4, -1e-4, 0.0)},
    {"distortion": (-0.03, 0.004, 2e-4, -1e-4, 0.0), "mirrored": True},
    {"focal_px": 47_000.0, "distortion": (1.5, 0.0, 1e-3, 0.0, 0.0)},
)


# A header without a picture, as astrometry.net writes it, has no axes of its own
@pytest.mark.filterwarnings("ignore:The WCS transformation has more axes")
@pytest.mark.parametrize("changes", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_astropy_sees_the_same_sky(changes: dict[str, object], seed: int, tmp_path: Path) -> None:
    solved = solution(seed, **changes)
    path = tmp_path / "a_wcs.fits"
    write_wcs(solved, path)
    header = fits.getheader(path)
    wcs = WCS(header)
    world = wcs.all_pix2world(solved.x + 1.0, solved.y + 1.0, 1)
    theirs = sky_vectors(*world)
    apart_px = np.linalg.norm(theirs - solved.vectors_icrs, axis=1) * solved.camera.focal_px
    assert apart_px.max() < 0.1
    x, y = wcs.all_world2pix(*world, 0, maxiter=60)
    assert np.hypot(x - solved.x, y - solved.y).max() < 0.1
    assert header["RADESYS"] == "ICRS"
    assert ("SIP" in header["CTYPE1"]) == ("distortion" in changes)


def test_first_pixel_is_one() -> None:
    header = wcs_header(solution(3))
    assert header["CRPIX1"] == pytest.approx(2141.0)
    assert header["CRPIX2"] == pytest.approx(1406.0)
    mirrored = wcs_header(solution(3, mirrored=True))
    assert mirrored["CRPIX1"] == pytest.approx(4256.0 - 2140.0)
