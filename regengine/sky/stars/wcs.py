"""FITS headers of solved frames: gnomonic projection, with SIP polynomials for distortion.

The reference pixel is the lens' principal point, about which a pinhole camera is exactly a TAN
projection. The distortion is converted to SIP polynomials of the lowest order that fits it to a
twentieth of a pixel.

References
----------
Calabretta, M. R., Greisen, E. W. (2002). Representations of celestial coordinates in FITS. A&A 395,
1077-1122.
Shupe, D. L. et al. (2005). The SIP convention for representing distortion in FITS image headers.
ADASS XIV, ASP Conference Series 347, 491.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.geometry.sky_camera import SkyCamera, sky_vectors
from regengine.errors import FrameError
from regengine.io.regular import open_regular
from regengine.sky.drawing import write_photo_file
from regengine.sky.stars.solve import StarSolution

if TYPE_CHECKING:
    from astropy.wcs import WCS

Value = bool | int | float | str

ORDERS = (3, 5, 7, 9)  # radial terms are odd; SIP ends at nine
GOOD_ENOUGH_PX = 0.05
LONGEST_BYTES = 40 * 2880  # of a header: 230 cards if polynomials have order nine
GRID = 41  # nodes along each side for the polynomial fit


def wcs_header(solution: StarSolution) -> dict[str, Value]:
    """Keywords of the FITS header of a solved frame, in order.

    FITS counts pixels from one: a position (x, y) of the interface is pixel (x + 1, y + 1), and row
    one is the image's upper one.
    """
    camera = solution.camera
    px, py = camera.principal_point
    if camera.mirrored:
        px = camera.width_px - 1 - px
    # Radians of (east, north) per pixel of (x, y) at the axis
    axis = camera.matrix[:, 2]
    # Unit vectors to the east and north of the axis, shape (2, 3)
    east = np.array([-axis[1], axis[0], 0.0])
    if np.hypot(axis[0], axis[1]) < 1e-12:
        east = np.array([0.0, 1.0, 0.0])
    east = east / np.linalg.norm(east)
    tangents = np.stack([east, np.cross(axis, east)])
    right = -camera.matrix[:, 0] if camera.mirrored else camera.matrix[:, 0]
    matrix = tangents @ np.stack([right, camera.matrix[:, 1]], axis=1) / camera.focal_px
    order, polynomials = _distortion_part(camera, matrix, tangents, (px, py))
    kind = "-TAN-SIP" if order else "-TAN"
    header: dict[str, Value] = {
        "SIMPLE": True,
        "BITPIX": 8,
        "NAXIS": 0,
        "WCSAXES": 2,
        "RADESYS": "ICRS",
        "CTYPE1": f"RA--{kind}",
        "CTYPE2": f"DEC-{kind}",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": float(np.degrees(np.arctan2(axis[1], axis[0])) % 360.0),
        "CRVAL2": float(np.degrees(np.arcsin(np.clip(axis[2], -1.0, 1.0)))),
        "CRPIX1": px + 1.0,
        "CRPIX2": py + 1.0,
        "LONPOLE": 180.0,
    }
    for i in range(2):
        for j in range(2):
            header[f"CD{i + 1}_{j + 1}"] = float(np.degrees(matrix[i, j]))
    for name, coefficients in polynomials.items():
        header[f"{name}_ORDER"] = order
        header |= {f"{name}_{p}_{q}": value for (p, q), value in coefficients.items()}
    header["IMAGEW"], header["IMAGEH"] = camera.width_px, camera.height_px
    header["CATEPOCH"] = solution.catalogue_epoch
    header["LOGODDS"] = round(solution.log10_odds, 2)
    header["NMATCH"] = len(solution)
    header["RMSPX"] = round(solution.rms_px, 4)
    return header


@dataclass(frozen=True, kw_only=True, eq=False)
class HeaderField:
    """Pointing of a picture by the header of its solved field; pixels count from zero."""

    width_px: int
    height_px: int
    wcs: WCS
    rms_px: float  # residual of the stars

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Return unit vectors in ICRS of pixels, shape (..., 3)."""
        return sky_vectors(*self.wcs.all_pix2world(np.asarray(x), np.asarray(y), 0))

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return pixels of directions; NaN behind the picture and where polynomials are invalid."""
        vectors = np.asarray(vectors_icrs, float)
        pixels = np.full((2, *vectors.shape[:-1]), np.nan)
        ahead = vectors @ sky_vectors(*self.wcs.wcs.crval) > 0
        x, y, z = vectors[ahead].T
        ra_dec = np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])
        pixels[:, ahead] = self.wcs.wcs_world2pix(*ra_dec, 0)
        if self.wcs.sip is None:
            return pixels[0], pixels[1]
        # Polynomials are fitted to the picture: beyond its long side, they may fold
        place = np.moveaxis(pixels, 0, -1) - (self.wcs.wcs.crpix - 1.0)
        near = np.linalg.norm(place, axis=-1) < 1.5 * max(self.width_px, self.height_px)
        pixels[:, ~near] = np.nan
        bent = self.wcs.all_world2pix(*ra_dec[:, near[ahead]], 0, tolerance=1e-5, quiet=True)
        side_rad = np.radians(abs(np.linalg.det(self.wcs.pixel_scale_matrix)) ** 0.5)
        off = np.linalg.norm(self.to_sky(*bent) - vectors[near], axis=-1)
        pixels[:, near] = np.where(off < 1e-3 * side_rad, bent, np.nan)
        return pixels[0], pixels[1]


def read_wcs(path: Path, size_px: tuple[int, int]) -> HeaderField:
    """Read a header that `write_wcs` wrote.

    ``size_px`` is the picture's width and height. Raises FrameError if the file is another one, or
    of a picture of another size.
    """
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    try:
        with open_regular(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = Header.fromstring(stream.read(LONGEST_BYTES))
            kinds = [header[name][:8] for name in ("CTYPE1", "CTYPE2", "RADESYS")]
            order, rms_px = header.get("A_ORDER", 0), float(header["RMSPX"])
            size = header["IMAGEW"], header["IMAGEH"]
            if kinds != ["RA---TAN", "DEC--TAN", "ICRS"] or order not in (0, *ORDERS):
                raise ValueError("another projection")
            wcs = WCS(header, naxis=2, fix=False)
            numbers = [*wcs.wcs.crval, *wcs.wcs.crpix, rms_px]
            if not (np.isfinite(numbers).all() and abs(np.linalg.det(wcs.pixel_scale_matrix)) > 0):
                raise ValueError("no place or scale")
    except OSError as error:
        what = error.strerror or str(error)
        raise FrameError(f"{path}: the header cannot be read ({what}).") from error
    except FrameError:
        raise
    except Exception as error:  # wcslib fails in many ways
        raise FrameError(
            f"{path} is not a header that regengine solve --wcs wrote: solve the photo with it."
        ) from error
    if size != size_px:
        raise FrameError(
            f"{path}: its field is of a picture of {size[0]} x {size[1]} px, and the photo has "
            f"{size_px[0]} x {size_px[1]}: solve this photo with regengine solve."
        )
    return HeaderField(width_px=size_px[0], height_px=size_px[1], wcs=wcs, rms_px=rms_px)


def write_wcs(solution: StarSolution, target: Path) -> None:
    """Write the header of a solved frame as a FITS file without image data."""
    from astropy.io.fits import Header

    text = Header(wcs_header(solution).items()).tostring(padding=True)
    write_photo_file(target, text.encode("ascii"))


def _distortion_part(
    camera: SkyCamera,
    matrix: FloatArray,
    tangents: FloatArray,
    reference_px: tuple[float, float],
) -> tuple[int, dict[str, dict[tuple[int, int], float]]]:
    """SIP order, and polynomials A, B (pixels to undistorted) and AP, BP (inverse); 0 for none."""
    if not any(camera.distortion):
        return 0, {}
    x, y = np.meshgrid(
        np.linspace(-0.5, camera.width_px - 0.5, GRID),
        np.linspace(-0.5, camera.height_px - 0.5, GRID),
    )
    sky = camera.to_sky(x.ravel(), y.ravel())
    plane = tangents @ sky.T / (sky @ camera.matrix[:, 2])
    straight = np.asarray(np.linalg.solve(matrix, plane), float)
    bent = np.stack([x.ravel() - reference_px[0], y.ravel() - reference_px[1]])
    for order in ORDERS:
        found, worst = {}, 0.0
        for names, source, target in ((("A", "B"), bent, straight), (("AP", "BP"), straight, bent)):
            for axis_number, name in enumerate(names):
                wanted = (target - source)[axis_number]
                # Least-squares polynomial of two variables, without its linear part
                powers = [
                    (p, q)
                    for p in range(order + 1)
                    for q in range(order + 1)
                    if 2 <= p + q <= order
                ]
                scale = float(np.abs(source).max())
                u, v = source / scale
                terms = np.stack([u**p * v**q for p, q in powers], axis=1)
                values = np.linalg.lstsq(terms, wanted, rcond=None)[0]
                miss = float(np.abs(terms @ values - wanted).max())
                found[name] = {
                    power: float(value / scale ** sum(power))
                    for power, value in zip(powers, values, strict=True)
                }
                worst = max(worst, miss)
        if worst < GOOD_ENOUGH_PX:
            break
    return order, found
