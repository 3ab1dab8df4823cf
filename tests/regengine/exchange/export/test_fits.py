"""FITS headers of the sky above the limb: astropy reads them, and knows where the sky is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import GCRS, ITRS, CartesianRepresentation, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS

from regengine.result import FrameResult, SolvedCamera
from tests.example_results import nadir_camera, proposal
from tests.regengine.exchange.export.exported import export, photographed, write_store


@pytest.fixture
def limb() -> FrameResult:
    """A mirrored photo of a wide lens across the limb."""
    camera = nadir_camera(136.9, 35.7, tilt_deg=70.0)
    bent = (-0.1, 0.02, 0.001, -0.002, 0.0)
    camera = replace(camera, focal_px=600.0, distortion=bent, mirrored=True)
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=70.0)
    return replace(proposal("it's / ünusual"), solved=solved)


# Of a header without a picture, which is what was asked for
@pytest.mark.filterwarnings("ignore:The WCS transformation has more axes")
def test_astropy_sees_the_same_sky(limb: FrameResult, tmp_path: Path) -> None:
    limb = photographed(limb, tmp_path / "limb.jpg")
    store = write_store(tmp_path / "run.h5", [limb])
    export(store, "fits", tmp_path / "o", "--as", "wcs,image")
    with fits.open(tmp_path / "o" / "limb.sky.fits") as file:
        file.verify("exception")
        image, header = file[0].data, file[0].header
    assert header["FRAMEID"] == "it_s / _nusual"
    assert image.shape == (426, 640)
    assert np.abs(image[0, :5].astype(int) - np.arange(5) * 2 / 3).max() < 30  # the upper row
    alone = fits.getheader(tmp_path / "o" / "limb.wcs")
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0, 639, 7), np.linspace(0, 425, 5)))
    assert limb.solved is not None
    camera = limb.solved.camera
    rays = camera.rays(x, y) @ camera.matrix.T
    with iers.conf.set_temp("auto_download", False):
        time = Time(limb.time_utc)
        direction = SkyCoord(CartesianRepresentation(rays.T), frame=ITRS(obstime=time))
        expected = direction.transform_to(GCRS(obstime=time))
        for told in (header, alone):
            ra, dec = WCS(told).all_pix2world(x + 1, y + 1, 1)
            # GCRS has ICRS's axes; polar motion and the twentieth of a pixel of SIP are left
            found = SkyCoord(ra * u.deg, dec * u.deg, frame=GCRS(obstime=time))
            pixel = np.degrees(1.0 / camera.focal_px) * u.deg
            assert found.separation(expected).max() < 0.06 * pixel


def test_frames_without_sky_or_time_are_told(limb: FrameResult, tmp_path: Path) -> None:
    results = [limb, proposal("ground"), replace(limb, frame="timeless", time_utc=None)]
    store = write_store(tmp_path / "run.h5", results)
    result = export(store, "fits", tmp_path / "o", "--json")
    assert json.loads(result.stdout)["left_out"] == {"no sky in view": 1, "no time": 1}
