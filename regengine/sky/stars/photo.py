"""Detect and identify the stars of a photo, write its files, and write and read its record."""

from __future__ import annotations

import json
import math
import time
import warnings
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray, StarDetections, StarDetector
from matchers.geometry.earth import local_axes, measure_lonlat, unit_vectors
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import ConfigError, FrameError, escape_terminal
from regengine.io.atomic import write_whole
from regengine.io.decoding import open_regular
from regengine.io.tables import read_text, split_lines
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.scene import drawing
from regengine.scene.detection import STARS
from regengine.sky.stars.catalogue import (
    StarCatalogue,
    compute_named_star_vectors,
    load_catalogue,
    star_names,
)
from regengine.sky.stars.solve import SolveParams, StarIndices, StarSolution, solve_stars
from regengine.store.reasons import Reason
from regengine.store.result import Answer

if TYPE_CHECKING:
    from astropy.wcs import WCS

Value = bool | int | float | str

ORDERS = (3, 5, 7, 9)  # radial terms are odd; SIP ends at nine
GOOD_ENOUGH_PX = 0.05  # largest error of a polynomial; chosen by eye
LONGEST_BYTES = 40 * 2880  # of a header: 230 cards if polynomials have order nine
GRID = 41  # nodes along each side for the polynomial fit


def write_wcs(solution: StarSolution, target: Path) -> None:
    """Write the header of a solved frame as a FITS file without image data.

    FITS counts pixels from one: a position (x, y) of the interface is pixel (x + 1, y + 1), and row
    one is the image's upper one.
    """
    from astropy.io.fits import Header

    camera = solution.camera
    px, py = camera.principal_point
    if camera.mirrored:
        px = camera.width_px - 1 - px
    ra, dec = measure_lonlat(camera.matrix[:, 2]).tolist()
    tangents = local_axes(ra, dec)[:2]  # unit vectors to the east and north of the axis
    # Radians of (east, north) per pixel of (x, y) at the axis
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
        "CRVAL1": ra % 360.0,
        "CRVAL2": dec,
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
    text = Header(header.items()).tostring(padding=True)
    write_whole(target, text.encode("ascii"), with_folder=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeaderField:
    """Pointing of a picture by the header of its solved field; pixels count from zero."""

    width_px: int
    height_px: int
    wcs: WCS
    rms_px: float  # residual of the stars

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Return unit vectors in ICRS of pixels, shape (..., 3)."""
        return unit_vectors(*self.wcs.all_pix2world(np.asarray(x), np.asarray(y), 0))

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return pixels of directions; NaN behind the picture and where polynomials are invalid."""
        vectors = np.asarray(vectors_icrs, float)
        pixels = np.full((2, *vectors.shape[:-1]), np.nan)
        ahead = vectors @ unit_vectors(*self.wcs.wcs.crval) > 0
        ra_dec = measure_lonlat(vectors[ahead])
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


FAINTEST_G = 10.0  # limit of the catalogue file: 5 degree fields need its stars
EXIF_LOG_FOCAL_SIGMA = 0.05  # zoom and focus: 2-3 % on originals; crops are solved as any lens
_REMEDY = "give the output of regengine solve --json"


@dataclass(frozen=True, kw_only=True, eq=False)
class SolvedPhoto:
    """Result of solving one photo."""

    frame: Frame
    stars: StarDetections  # in pixels of the image as stored
    outcome: StarSolution | Reason
    seconds: float


@cache
def load_sky() -> tuple[StarCatalogue, StarIndices]:
    """The catalogue and its asterism indices, loaded once per process.

    Raises CatalogueError if the catalogue is missing or damaged.
    """
    catalogue = load_catalogue(faintest_g=FAINTEST_G)
    return catalogue, StarIndices(vectors=catalogue.vectors)


@dataclass(frozen=True, kw_only=True)
class SolveJob:
    """Settings for solving photos; call it with a path; picklable."""

    detector: StarDetector = field(default_factory=STARS.detector)
    frame_options: FrameOptions = field(default_factory=FrameOptions)
    options: SolveParams = field(default_factory=SolveParams)
    fov_deg: float | None = None  # field of view along x, if given
    # Files to write for each photo
    headers: drawing.PicturePaths | None = None
    overlays: drawing.PicturePaths | None = None
    max_long_side_px: int | None = None  # larger photos are reduced to this first

    def __call__(self, path: Path) -> SolvedPhoto:
        """Detect the stars of a photo, identify them, and write its files.

        Raises RegengineError if the photo cannot be read or a file cannot be written.
        """
        catalogue, indices = load_sky()
        started = time.perf_counter()
        frame = read_frame(path, options=self.frame_options)
        side_px = self.max_long_side_px
        stars = STARS.in_photo(frame.file, self.detector, max_long_side_px=side_px).found
        options, size = self.options, (frame.width_px, frame.height_px)
        lens = None if frame.profile is None else frame.profile.for_picture(*size)
        if lens is not None:
            options = replace(
                options,
                focal_px=lens.focal_px,
                distortion=lens.distortion,
                principal_point=lens.principal_point,
                log_focal_sigma=EXIF_LOG_FOCAL_SIGMA,
            )
        elif self.fov_deg is not None:
            focal_px = 0.5 * frame.width_px / math.tan(math.radians(0.5 * self.fov_deg))
            # Typical accuracy of a field of view given by a user
            options = replace(options, focal_px=focal_px, log_focal_sigma=0.1)
        elif options.focal_px is None and frame.focal_px is not None:
            sigma = EXIF_LOG_FOCAL_SIGMA
            options = replace(options, focal_px=frame.focal_px, log_focal_sigma=sigma)
        solution = solve_stars(stars, *size, catalogue, indices, options)
        seconds = time.perf_counter() - started
        if isinstance(solution, StarSolution):
            if self.headers is not None:
                write_wcs(solution, self.headers.of(path))
            if self.overlays is not None:
                draw_solution(path, stars, solution, catalogue, self.overlays.of(path))
        return SolvedPhoto(frame=frame, stars=stars, outcome=solution, seconds=seconds)

    def count_stars(self, path: Path) -> int:
        """Number of identified stars of a photo; 0 if it is not solved."""
        outcome = self(path).outcome
        return len(outcome) if isinstance(outcome, StarSolution) else 0

    def answer(self, path: Path, *, matches: bool) -> Answer:
        """Output of ``regengine solve`` for a photo."""
        solved = self(path)
        return Answer(line=json.dumps(record_of(solved, matches=matches)), text=text_line(solved))


def draw_solution(
    photo: Path,
    stars: StarDetections,
    solution: StarSolution,
    catalogue: StarCatalogue,
    target: Path,
) -> None:
    """Draw a solved frame.

    Green: identified stars. Cyan: predicted bright stars without a detection. Red: bright
    detections that are not in the catalogue. Names of bright stars in yellow.
    """
    picture, factor = drawing.brighten(photo)
    camera = solution.camera
    radius = max(4.0 / factor, 4.0 * solution.rms_px)
    others = np.setdiff1d(np.arange(len(stars)), solution.detection)
    for i in others[np.argsort(-stars.snr[others], kind="stable")][:200]:
        drawing.draw_circle(picture, stars.x[i], stars.y[i], radius, factor, drawing.RED)
    for x, y in zip(solution.x, solution.y, strict=True):
        drawing.draw_circle(picture, x, y, radius, factor, drawing.GREEN)
    # Missed stars are a magnitude brighter than the faintest tenth of the matched ones
    limit = float(np.percentile(solution.magnitude_g, 90)) - 1.0
    bright = np.arange(np.searchsorted(catalogue.magnitude_g, limit))
    missed = np.setdiff1d(bright, solution.star)
    px, py = camera.project(catalogue.vectors[missed])
    for i in np.flatnonzero(camera.sees(px, py)):
        drawing.draw_circle(picture, px[i], py[i], 2.0 * radius, factor, drawing.CYAN)
    px, py = camera.project(compute_named_star_vectors(solution.catalogue_epoch))
    for i in np.flatnonzero(camera.sees(px, py)):
        column, row = drawing.picture_pixel(px[i], py[i], factor)
        drawing.draw_label(picture, star_names()[i], (column + 8, row - 6), drawing.YELLOW)
    caption = (
        f"RA {camera.ra_dec_deg[0]:.3f} Dec {camera.ra_dec_deg[1]:+.3f} "
        f"roll {camera.roll_deg:.1f} field {camera.fov_x_deg:.2f} deg  "
        f"{len(solution)} stars, rms {solution.rms_px:.2f} px, odds 1e{solution.log10_odds:.0f}"
    )
    drawing.draw_label(
        picture, caption, (drawing.LEGEND_LEFT_PX, picture.shape[0] - 10), drawing.YELLOW
    )
    marks = {
        "identified": drawing.GREEN,
        "not in the catalogue": drawing.RED,
        "not detected": drawing.CYAN,
    }
    drawing.draw_legend(picture, marks | {"name": drawing.YELLOW})
    drawing.write_picture(picture, target)


def record_of(solved: SolvedPhoto, *, matches: bool = False) -> dict[str, Any]:
    """The record of a photo as JSON-serialisable values."""
    head = {"frame": solved.frame.frame_id, "path": str(solved.frame.path)}
    outcome = solved.outcome
    if not isinstance(outcome, StarSolution):
        return {
            **head,
            "solved": False,
            "reason": outcome.code,
            "text": outcome.text,
            "stars": len(solved.stars),
            "seconds": round(solved.seconds, 3),
        }
    camera = outcome.camera
    ra, dec = camera.ra_dec_deg
    record: dict[str, Any] = {
        **head,
        "solved": True,
        "ra_deg": round(ra, 6),
        "dec_deg": round(dec, 6),
        "roll_deg": round(camera.roll_deg, 5),
        "fov_x_deg": round(camera.fov_x_deg, 6),
        "log10_odds": round(outcome.log10_odds, 2),
        "matched_stars": len(outcome),
        "quaternion_icrs": [round(value, 10) for value in camera.quaternion_icrs],
        "distortion": [float(f"{value:.6g}") for value in camera.distortion],
        "catalogue_epoch": outcome.catalogue_epoch,
        "focal_px": round(camera.focal_px, 4),
        "principal_point": [round(value, 3) for value in camera.principal_point],
        "mirrored": camera.mirrored,
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "rms_px": round(outcome.rms_px, 4),
        "faintest_g": round(float(outcome.magnitude_g.max()), 2),
        "stars": len(solved.stars),
        "seconds": round(solved.seconds, 3),
    }
    if matches:  # each identified star: position, identifier and residual
        x, y, z = outcome.vectors_icrs.T
        ra, dec = np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arcsin(z))
        record["matches"] = [
            {
                "x": round(float(outcome.x[i]), 3),
                "y": round(float(outcome.y[i]), 3),
                "ra_deg": round(float(ra[i]), 6),
                "dec_deg": round(float(dec[i]), 6),
                "g": round(float(outcome.magnitude_g[i]), 3),
                "id": int(load_sky()[0].identifier[outcome.star[i]]),
                "dx_px": round(float(outcome.residual_px[i, 0]), 3),
                "dy_px": round(float(outcome.residual_px[i, 1]), 3),
            }
            for i in range(len(outcome))
        ]
    return record


def text_line(solved: SolvedPhoto) -> str:
    """One photo's result as a line of text."""
    outcome = solved.outcome
    if not isinstance(outcome, StarSolution):
        return (
            f"{escape_terminal(solved.frame.frame_id)}: not solved ({outcome.code}): {outcome.text}"
        )
    camera = outcome.camera
    ra, dec = camera.ra_dec_deg
    return (
        f"{escape_terminal(solved.frame.frame_id)}: RA {ra:.4f} Dec {dec:+.4f} roll "
        f"{camera.roll_deg:.2f} "
        f"field {camera.fov_x_deg:.3f} deg, {len(outcome)} stars, rms {outcome.rms_px:.2f} px, "
        f"log10 odds {outcome.log10_odds:.1f}"
    )


def read_solved(path: Path) -> dict[str, dict[str, Any]]:
    """Read the records of solved frames from ``regengine solve --json``, by frame id.

    Raises ConfigError if the file cannot be read or a line is not such a record.
    """
    try:
        lines = split_lines(read_text(path))
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: solved frames cannot be read ({error}): {_REMEDY}.") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if "failed" in record:  # an unreadable photo
                continue
            if record["solved"]:
                _numbers(record["quaternion_icrs"], 4)
                found[str(record["frame"])] = record
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ConfigError(
                f"{path}, line {number}, is not a record of a solved frame: {_REMEDY}."
            ) from error
    return found


def camera_of_record(
    record: dict[str, Any], width_px: int | None = None, height_px: int | None = None
) -> SkyCamera:
    """Camera of a record of `read_solved`, for an image of this size as stored.

    The image may be a smaller or larger copy of that of the record, whose size is taken if none is
    given.

    Raises ConfigError if attitude, lens or size are missing or not plausible, or the record is of
    an image with another aspect ratio.
    """
    whose = f"The record of {record.get('frame')}"
    try:
        sides = [record["width_px"], record["height_px"], record["focal_px"]]
        own_width, own_height, focal_px = _numbers(sides, 3)
        px, py = _numbers(record["principal_point"], 2)
        k1, k2, p1, p2, k3 = _numbers(record["distortion"], 5)
        qx, qy, qz, qw = _numbers(record["quaternion_icrs"], 4)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ConfigError(f"{whose} lacks its attitude, lens or size: {_REMEDY}.") from error
    # Beyond this distortion, or an axis ten image sizes away, it is not a lens but a damaged file
    may_be = min(own_width, own_height) >= 1.0 and max(own_width, own_height) < 100_000.0
    may_be = may_be and max(map(abs, (k1, k2, p1, p2, k3))) < 1e3
    may_be = may_be and max(abs(px), abs(py)) < 10.0 * max(own_width, own_height)
    may_be = may_be and 1e-3 < 0.5 * own_width / max(focal_px, 1e-9) < 11.5
    may_be = may_be and 0.5 < math.hypot(qx, qy, qz, qw) < 2.0
    if not may_be:
        raise ConfigError(f"{whose} has an impossible attitude, lens or size: {_REMEDY}.")
    width_px, height_px = width_px or int(own_width), height_px or int(own_height)
    scale = max(width_px, height_px) / max(own_width, own_height)
    off_px = max(abs(own_width * scale - width_px), abs(own_height * scale - height_px))
    if off_px > max(scale, 1.0):
        raise ConfigError(
            f"{whose} is for a picture of {own_width:.0f} x {own_height:.0f} px, and the photo has "
            f"{width_px} x {height_px}: {_REMEDY}."
        )
    return SkyCamera(
        width_px=width_px,
        height_px=height_px,
        focal_px=focal_px * scale,
        principal_point=((px + 0.5) * scale - 0.5, (py + 0.5) * scale - 0.5),
        distortion=(k1, k2, p1, p2, k3),
        quaternion_icrs=(qx, qy, qz, qw),
        mirrored=bool(record.get("mirrored", False)),
    )


def _numbers(values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError("wrong number of values")
    numbers = [float(value) for value in values]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("not finite")
    return numbers
