"""FITS headers as fields of the sky, against astropy and against what `regengine solve` writes."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from matchers.sky_camera import SkyCamera, sky_vectors
from regengine.errors import FrameError
from regengine.photo.fits import header_field, is_fits, read_headers
from regengine.sky.stars.solve import StarSolution
from regengine.sky.stars.wcs import write_wcs

PLAIN = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 140.9, "CRVAL2": -26.0,
    "CRPIX1": 210.5, "CRPIX2": 140.0, "CD1_1": 0.024, "CD1_2": 0.004, "CD2_1": -0.0042,
    "CD2_2": 0.025, "IMAGEW": 400, "IMAGEH": 300,
}  # fmt: skip
BENT = PLAIN | {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 3, "B_ORDER": 3,
    "A_2_0": 2e-5, "A_1_1": -1e-5, "A_3_0": 3e-7, "B_0_2": -2e-5, "B_2_1": 2e-7,
}  # fmt: skip
SCALED = {key: value for key, value in PLAIN.items() if not key.startswith("CD")}
OTHERS = {
    "plain": PLAIN,
    "bent": BENT,
    "pole": PLAIN | {"LONPOLE": 150.0},
    "PC": SCALED | {"CDELT1": -0.02, "CDELT2": 0.021, "PC1_1": 0.9, "PC1_2": -0.4, "PC2_1": 0.4,
                    "PC2_2": 0.9},
    "CROTA2": SCALED | {"CDELT1": -0.02, "CDELT2": 0.021, "CROTA2": 35.0},
    "north": PLAIN | {"CRVAL2": 89.5},
}  # fmt: skip
X, Y = (a.ravel() for a in np.meshgrid(np.linspace(0, 399, 7), np.linspace(0, 299, 5)))


def written(tmp_path, keys, name="a.wcs", **picture):
    header = fits.Header()
    for key, value in keys.items():
        header[key] = value
    path = tmp_path / name
    fits.HDUList([fits.PrimaryHDU(header=header, **picture)]).writeto(path)
    return path


@pytest.mark.parametrize("kind", OTHERS)
def test_directions_are_astropys_and_lead_back(tmp_path, kind):
    field = header_field(written(tmp_path, OTHERS[kind]))
    assert (field.width_px, field.height_px) == (400, 300)
    header = fits.Header(OTHERS[kind].items())
    expected = sky_vectors(*WCS(header).all_pix2world(X, Y, 0))
    found = field.to_sky(X, Y)
    np.testing.assert_allclose(found, expected, atol=1e-11)
    x, y = field.project(expected)
    np.testing.assert_allclose(x, X, atol=1e-3)
    np.testing.assert_allclose(y, Y, atol=1e-3)


def test_nothing_behind_or_far_beyond_the_polynomials(tmp_path):
    field = header_field(written(tmp_path, BENT))
    middle = field.to_sky(200.0, 150.0)
    x, _ = field.project(np.stack([-middle, middle, field.to_sky(5.0, 5.0)]))
    assert np.isnan(x[0])
    assert np.isfinite(x[1:]).all()


def test_what_solve_writes_is_read_as_it_was(tmp_path):
    camera = SkyCamera(
        width_px=900, height_px=600, focal_px=700.0, principal_point=(455.0, 290.0),
        distortion=(-0.03, 0.01, 2e-4, -1e-4, 0.0), quaternion_icrs=(0.4, -0.7, -0.5, 0.2),
        mirrored=True,
    )  # fmt: skip
    none = np.zeros(0)
    solution = StarSolution(
        camera=camera, log10_odds=40.0, x=none, y=none, detection=none.astype(int),
        star=none.astype(int), vectors_icrs=np.zeros((0, 3)), magnitude_g=none,
        residual_px=np.full((1, 2), 0.2), catalogue_epoch=2016.0,
    )  # fmt: skip
    write_wcs(solution, tmp_path / "a_wcs.fits")
    field = header_field(tmp_path / "a_wcs.fits")
    assert (field.width_px, field.height_px) == (900, 600)
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(0, 899, 9), np.linspace(0, 599, 7)))
    apart = np.linalg.norm(field.to_sky(x, y) - camera.to_sky(x, y), axis=-1)
    assert apart.max() * camera.focal_px < 0.1
    assert read_headers(tmp_path / "a_wcs.fits")[0]["RMSPX"] == pytest.approx(0.2)


def test_the_projection_may_stand_in_a_later_part_of_a_zipped_file(tmp_path):
    keys = {key: value for key, value in PLAIN.items() if not key.startswith("IMAGE")}
    first = fits.PrimaryHDU(np.zeros((20, 30), np.int16))
    second = fits.ImageHDU(np.zeros((300, 400), np.float32), header=fits.Header(keys.items()))
    fits.HDUList([first, second]).writeto(tmp_path / "a.fits")
    zipped = tmp_path / "a.fits.gz"
    zipped.write_bytes(gzip.compress((tmp_path / "a.fits").read_bytes()))
    for path in (tmp_path / "a.fits", zipped):
        assert is_fits(path)
        field = header_field(path)
        assert (field.width_px, field.height_px) == (400, 300)
        np.testing.assert_allclose(field.to_sky(X, Y), header_field(
            written(tmp_path, PLAIN, f"{path.name}.wcs")).to_sky(X, Y))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"CTYPE1": "RA---ZEA", "CTYPE2": "DEC--ZEA"}, "RA---ZEA"),
        ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "GLON-TAN"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "no scale"),
        ({"CRVAL1": "west"}, "CRVAL1"),
        ({"IMAGEW": ""}, "IMAGEW"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path, change, says):
    with pytest.raises(FrameError, match=says):
        header_field(written(tmp_path, PLAIN | change))


def test_files_without_a_projection(tmp_path):
    with pytest.raises(FrameError, match="CTYPE1"):
        header_field(written(tmp_path, {"IMAGEW": 3}))
    (tmp_path / "b.wcs").write_bytes(b"\xff\xd8\xff\xe0" + bytes(3000))
    (tmp_path / "c.wcs").write_bytes(b"SIMPLE  =" + bytes(range(128)))
    for name in ("b.wcs", "c.wcs", "missing.wcs"):
        with pytest.raises(FrameError, match=name):
            header_field(tmp_path / name)
    assert not is_fits(tmp_path / "b.wcs")
    assert not is_fits(tmp_path / "missing.wcs")


@pytest.mark.real
def test_real_headers_of_solved_frames(real_data):
    folder = real_data / "orbit" / "samples" / "auromat"
    paths = sorted([*folder.glob("*.wcs"), *folder.glob("seq*/*.wcs")])
    assert len(paths) > 10
    for path in paths:
        field = header_field(path)
        header = fits.Header.fromstring(path.read_bytes().decode("ascii"))
        for key in ("NAXIS", "DATE-OBS"):  # of which astropy has an opinion
            del header[key]
        expected = sky_vectors(*WCS(header).all_pix2world([0.0, 4000.0], [0.0, 2000.0], 0))
        np.testing.assert_allclose(field.to_sky([0.0, 4000.0], [0.0, 2000.0]), expected, atol=1e-9)
