"""FITS headers judged by astropy: pixels go where the camera says, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.spatial.transform import Rotation

from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from regengine.errors import FrameError
from regengine.sky.stars.solve import StarSolution
from regengine.sky.stars.wcs import read_wcs, wcs_header, write_wcs


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


@pytest.mark.parametrize("changes", CASES)
def test_what_was_written_is_read_as_the_same_field(
    changes: dict[str, object], tmp_path: Path
) -> None:
    solved = solution(4, **changes)
    write_wcs(solved, tmp_path / "a_wcs.fits")
    field = read_wcs(tmp_path / "a_wcs.fits", (4256, 2832))
    apart_px = np.linalg.norm(field.to_sky(solved.x, solved.y) - solved.vectors_icrs, axis=1)
    assert apart_px.max() * solved.camera.focal_px < 0.1
    x, y = field.project(solved.vectors_icrs)
    assert np.hypot(x - solved.x, y - solved.y).max() < 0.1
    assert np.isnan(field.project(-solved.vectors_icrs)).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"RMSPX": None}, "is not a header that regengine solve --wcs wrote"),
        ({"CTYPE1": "RA---ZEA"}, "is not a header"),
        ({"RADESYS": "FK5"}, "is not a header"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "is not a header"),
        ({"A_ORDER": 100_000}, "is not a header"),
        ({"IMAGEW": 2128, "IMAGEH": 1416}, "is of a picture of 2128 x 1416 px"),
    ],
)
def test_other_headers_are_refused_in_a_sentence(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "a_wcs.fits"
    write_wcs(solution(5), path)
    header = fits.getheader(path)
    for name, value in change.items():
        if value is None:
            del header[name]
        else:
            header[name] = value
    path.write_text(header.tostring(padding=True))
    with pytest.raises(FrameError, match=sentence) as told:
        read_wcs(path, (4256, 2832))
    assert "\n" not in str(told.value)
