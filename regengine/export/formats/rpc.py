"""Write rational polynomial coefficients of a solved camera, next to the photo or in a VRT of it.

GDAL reads ``PHOTO_RPC.TXT`` and ``PHOTO.RPB`` only next to TIFF files, the VRT and
``PHOTO.aux.xml`` with any photo. The footprint is the ground where the coefficients are valid: a
cutline for gdalwarp.

Row and column are each a ratio of two cubic polynomials of longitude, latitude and height (RPC00B).
They are fitted to the camera, including its distortion, over the visible ground up to 80 degrees of
incidence. Ground where the polynomials do not fit is excluded from their range of validity.

References
----------
STDI-0002-1, appendix E (2011). The Compendium of Controlled Extensions for NITF: RPC00B.
Tao, C. V. and Hu, Y. (2001). A comprehensive study of the rational function model for
photogrammetric processing. Photogrammetric Engineering and Remote Sensing 67 (12), 1347-1357.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera, ManyCameras
from matchers.geometry.earth import ecef_to_geodetic, incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, trace_visible_outlines
from regengine.export.format import (
    ExportOptions,
    FolderFormat,
    LeftOutError,
    choose_kinds,
    explain_no_camera,
    stem,
)
from regengine.export.virtual import metadata, write_aux, write_vrt
from regengine.frames.columns import geojson_geometry
from regengine.frames.frame import ExportFrame
from regengine.frames.geometry import join_at, make_footprints
from regengine.io.gdal import raise_write_failures
from regengine.io.plain import make_printable, plain

HEIGHTS_M = (0.0, 2000.0, 4000.0)  # heights of the ground for the fit
BETWEEN_M = (0.0, 1000.0, 2000.0, 3000.0, 4000.0)  # heights of the ground for the test of the fit
PER_SIDE = 25  # pixels along each side of the grid for the fit
JUDGED_PER_SIDE = 47
# Attempts as (ridge, number of reweighting rounds): the ridge limits coefficients that the ground
# does not determine. If a denominator has a zero within the ground, the next attempt is better
ATTEMPTS = ((1e-6, 3), (1e-6, 1), (1e-3, 3))
MIN_PLACES = 200  # places: with fewer, they do not determine 78 coefficients
GOOD_PX = 0.5  # a greater error is reported
WORST_PX = 3.0  # a greater error is rejected
STEP_DEG = 1.0  # step by which the limit of incidence is lowered


@dataclass(frozen=True, kw_only=True, eq=False)
class Rational:
    """Coefficients of a camera, and their residuals.

    offsets, scales: Of row, column, latitude, longitude (degrees) and height (metres above the
        ellipsoid); (0, 0) is the centre of the upper left pixel.
    line_num, line_den, samp_num, samp_den: In the order of RPC00B, shape (20,).
    incidence_deg: The coefficients are valid up to this incidence.
    rms_px, worst_px: Distance from the camera's pixels up to there, from 0 to 4 km of height.
    worst_at: Pixel x and y, and incidence, degrees, of the greatest error.
    """

    offsets: tuple[float, float, float, float, float]
    scales: tuple[float, float, float, float, float]
    line_num: FloatArray
    line_den: FloatArray
    samp_num: FloatArray
    samp_den: FloatArray
    incidence_deg: float
    rms_px: float
    worst_px: float
    worst_at: tuple[float, float, float]


def fit_rational(camera: Camera) -> Rational:
    """Fit coefficients to a camera, on as much ground as they fit to three pixels.

    The limit of incidence is lowered by whole degrees from 80 until they do. LeftOutError if no
    ground is left.
    """
    limit = MAX_INCIDENCE_DEG
    places = ground_places(camera, limit, PER_SIDE, HEIGHTS_M)
    if len(places) < MIN_PLACES:
        raise LeftOutError(
            f"too little ground below an incidence angle of {limit:g} degrees to fit coefficients"
        )
    while len(places) >= MIN_PLACES:
        tried = []
        for ridge, rounds in ATTEMPTS:
            tried.append(_fit(camera, places, limit, ridge, rounds))
            if tried[-1].worst_px <= GOOD_PX:
                break
        best = min(tried, key=lambda one: one.worst_px)
        if best.worst_px <= WORST_PX:
            return best
        limit -= STEP_DEG
        places = ground_places(camera, limit, PER_SIDE, HEIGHTS_M)
    raise LeftOutError(f"no coefficients match its camera to {WORST_PX:g} px: use --format geotiff")


def _fit(camera: Camera, places: FloatArray, limit: float, ridge: float, rounds: int) -> Rational:
    """Fit coefficients to places up to an incidence, and compute their residuals."""
    low, high = places[:, :5].min(axis=0), places[:, :5].max(axis=0)
    offsets, scales = (high + low) / 2.0, (high - low) / 2.0
    line, samp, lat, lon, height = ((places[:, :5] - offsets) / scales).T
    terms = _terms(lat, lon, height)
    line_num, line_den = _ratio(terms, line, ridge, rounds)
    samp_num, samp_den = _ratio(terms, samp, ridge, rounds)

    judged = ground_places(camera, limit, JUDGED_PER_SIDE, BETWEEN_M)
    judged[:, 3] = (judged[:, 3] - offsets[3] + 180.0) % 360.0 - 180.0 + offsets[3]
    line, samp, lat, lon, height = ((judged[:, :5] - offsets) / scales).T
    terms = _terms(lat, lon, height)
    below = terms @ line_den, terms @ samp_den
    off = np.hypot(
        (terms @ line_num / below[0] - line) * scales[0],
        (terms @ samp_num / below[1] - samp) * scales[1],
    )
    if min(part.min() for part in below) <= 0.0:  # a pole of the ratio within the ground
        off = np.full_like(off, np.inf)
    worst = int(np.argmax(off))
    offsets[3] = (offsets[3] + 180.0) % 360.0 - 180.0
    return Rational(
        offsets=_five(offsets),
        scales=_five(scales),
        line_num=line_num,
        line_den=line_den,
        samp_num=samp_num,
        samp_den=samp_den,
        incidence_deg=limit,
        rms_px=float(np.sqrt(np.mean(off**2))),
        worst_px=float(off[worst]),
        worst_at=(float(judged[worst, 1]), float(judged[worst, 0]), float(judged[worst, 5])),
    )


def _five(values: FloatArray) -> tuple[float, float, float, float, float]:
    line, samp, lat, lon, height = values.tolist()
    return line, samp, lat, lon, height


def ground_places(
    camera: Camera, limit_deg: float, per_side: int, heights_m: tuple[float, ...]
) -> FloatArray:
    """Row, column, latitude, longitude, height and incidence of visible ground, shape (n, 6).

    Pixels are of a grid around the ground on the ellipsoid that is visible up to the limit.
    """
    edge_x, edge_y, seen = trace_visible_outlines(ManyCameras.of([camera]), 17, limit_deg)
    if not seen[0]:
        return np.zeros((0, 6))
    x, y = np.meshgrid(
        np.linspace(edge_x.min() - 0.5, edge_x.max() + 0.5, per_side),
        np.linspace(edge_y.min() - 0.5, edge_y.max() + 0.5, per_side),
    )
    found = []
    for height_m in heights_m:
        ground = camera.pixel_to_ecef(x, y, height_m)
        angle = incidence_deg(camera.position_ecef_m, ground)
        held = angle <= limit_deg
        lon, lat, height = ecef_to_geodetic(ground[held])
        found.append(np.stack([y[held], x[held], lat, lon, height, angle[held]], axis=1))
    places = np.concatenate(found)
    if len(places):
        places[:, 3] = (places[:, 3] - places[0, 3] + 180.0) % 360.0 - 180.0 + places[0, 3]
    return places


def _terms(lat: FloatArray, lon: FloatArray, height: FloatArray) -> FloatArray:
    """The twenty cubic terms in the order of RPC00B, shape (n, 20)."""
    p, l, h = lat, lon, height  # noqa: E741 - as the standard calls them
    terms = [
        np.ones_like(p), l, p, h, l * p, l * h, p * h, l * l, p * p, h * h,
        p * l * h, l**3, l * p * p, l * h * h, l * l * p, p**3, p * h * h,
        l * l * h, p * p * h, h**3,
    ]  # fmt: skip
    return np.stack(terms, axis=-1)


def _ratio(
    terms: FloatArray, values: FloatArray, ridge: float, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """Fit numerator and denominator, whose first coefficient is 1, of a ratio to values.

    Minimises the sum of squares of numerator minus value times denominator, divided by the
    denominator of the previous round, so that it converges to the residual of the ratio. Three
    heights do not determine the cubic term of the height, which has no coefficient.
    """
    told = terms[:, :19]
    rows = np.concatenate([told, -values[:, None] * told[:, 1:]], axis=1)
    small = ridge * np.sqrt(len(values)) * np.eye(rows.shape[1])
    weight = np.ones_like(values)
    numerator = denominator = np.zeros(20)
    for _ in range(rounds):
        left = np.concatenate([rows * weight[:, None], small])
        right = np.concatenate([values * weight, np.zeros(len(small))])
        solved = np.linalg.lstsq(left, right, rcond=None)[0]
        numerator = np.append(solved[:19], 0.0)
        denominator = np.concatenate([[1.0], solved[19:], [0.0]])
        weight = 1.0 / (terms @ denominator)
    return numerator, denominator


UNKNOWN = "-1.0"  # errors on the ground, metres: the standard's value for unknown
OF_FIVE = ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
fit_once = lru_cache(maxsize=4)(fit_rational)  # several files of a frame need the same fit


def coefficients(fitted: Rational) -> dict[str, list[float]]:
    """The four polynomials by their names in GDAL's metadata."""
    return {
        "LINE_NUM_COEFF": fitted.line_num.tolist(),
        "LINE_DEN_COEFF": fitted.line_den.tolist(),
        "SAMP_NUM_COEFF": fitted.samp_num.tolist(),
        "SAMP_DEN_COEFF": fitted.samp_den.tolist(),
    }


def normalisation(fitted: Rational) -> dict[str, float]:
    """Offsets and scales by their names in GDAL's metadata."""
    return {
        f"{name}_{kind}": value
        for kind, values in (("OFF", fitted.offsets), ("SCALE", fitted.scales))
        for name, value in zip(OF_FIVE, values, strict=True)
    }


def residuals(fitted: Rational) -> dict[str, str]:
    """Residuals of the coefficients and their limit of incidence, for metadata."""
    x, y, angle = fitted.worst_at
    return {
        "REGENGINE_RPC_RMS_PX": f"{fitted.rms_px:.3f}",
        "REGENGINE_RPC_WORST_PX": f"{fitted.worst_px:.3f}",
        "REGENGINE_RPC_WORST_X": f"{x:.1f}",
        "REGENGINE_RPC_WORST_Y": f"{y:.1f}",
        "REGENGINE_RPC_WORST_INCIDENCE_DEG": f"{angle:.1f}",
        "REGENGINE_RPC_LIMIT_INCIDENCE_DEG": f"{fitted.incidence_deg:g}",
    }


def place_by(fitted: Rational) -> Callable[[Any], None]:
    """A function that adds the coefficients to a raster."""
    told = {"ERR_BIAS": UNKNOWN, "ERR_RAND": UNKNOWN}
    told |= {name: repr(value) for name, value in normalisation(fitted).items()}
    told |= {name: " ".join(map(repr, values)) for name, values in coefficients(fitted).items()}

    def place(dataset: Any) -> None:
        dataset.update_tags(ns="RPC", **told)
        dataset.update_tags(**residuals(fitted))

    return place


def write_virtual(frame: ExportFrame, fitted: Rational, path: Path) -> None:
    """Write a virtual raster of the photo with the coefficients."""
    write_vrt(frame, path, place_by(fitted))


def write_beside(frame: ExportFrame, fitted: Rational, path: Path) -> None:
    """Write ``PHOTO.aux.xml`` with the coefficients."""
    write_aux(frame, path, place_by(fitted))


def write_txt(frame: ExportFrame, fitted: Rational, path: Path) -> None:
    """Write ``PHOTO_RPC.TXT``, one line per number."""
    lines = [f"ERR_BIAS: {UNKNOWN}", f"ERR_RAND: {UNKNOWN}"]
    lines += [f"{name}: {value!r}" for name, value in normalisation(fitted).items()]
    for name, values in coefficients(fitted).items():
        lines += [f"{name}_{number}: {value!r}" for number, value in enumerate(values, start=1)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_rpb(frame: ExportFrame, fitted: Rational, path: Path) -> None:
    """Write ``PHOTO.RPB``, the same in DigitalGlobe's format."""
    lines = ['satId = "ISS";', 'bandId = "RGB";', 'SpecId = "RPC00B";', "BEGIN_GROUP = IMAGE"]
    lines += [f"\terrBias = {UNKNOWN};", f"\terrRand = {UNKNOWN};"]
    for name, value in normalisation(fitted).items():
        what, kind = name.lower().split("_")
        lines.append(f"\t{what}{'Offset' if kind == 'off' else 'Scale'} = {value!r};")
    for name, values in coefficients(fitted).items():
        what, part, _ = name.lower().split("_")
        lines.append(f"\t{what}{part.title()}Coef = (")
        lines += [f"\t\t\t{value!r}," for value in values[:-1]]
        lines.append(f"\t\t\t{values[-1]!r});")
    path.write_text("\n".join([*lines, "END_GROUP = IMAGE", "END;"]) + "\n", encoding="ascii")


def write_footprint(frame: ExportFrame, fitted: Rational, path: Path) -> None:
    """Write the ground where the coefficients are valid, as GeoJSON.

    Across the antimeridian its longitudes continue, as those of the coefficients do: a cutline that
    is cut there makes gdalwarp draw once around the Earth.
    """
    assert frame.camera is not None
    (rings,) = make_footprints([frame.camera], fitted.incidence_deg)
    feature = {
        "type": "Feature",
        "geometry": geojson_geometry(join_at(rings, fitted.offsets[3])),
        "properties": metadata(frame) | residuals(fitted),
    }
    told = plain({"type": "FeatureCollection", "features": [feature]}, make_printable)
    path.write_text(json.dumps(told) + "\n", encoding="utf-8")


Writer = Callable[[ExportFrame, Rational, Path], None]
# File name derived from the photo's, and the function that writes the file
KINDS: dict[str, tuple[Callable[[str], str], Writer]] = {
    "txt": (lambda photo: f"{stem(photo)}_RPC.TXT", write_txt),
    "vrt": (lambda photo: f"{stem(photo)}.rpc.vrt", write_virtual),
    "footprint": (lambda photo: f"{stem(photo)}.rpc.geojson", write_footprint),
    "rpb": (lambda photo: f"{stem(photo)}.RPB", write_rpb),
    "aux": (lambda photo: f"{photo}.aux.xml", write_beside),
}
USUAL = ("txt", "vrt", "footprint")


def _names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(KINDS[kind][0](photo) for kind in choose_kinds(options, KINDS, USUAL))


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> str:
    assert frame.camera is not None
    fitted = fit_once(frame.camera)
    for kind, path in zip(choose_kinds(options, KINDS, USUAL), paths, strict=True):
        with raise_write_failures(path, []):
            KINDS[kind][1](frame, fitted, path)
    text = f"coefficients match the camera to {max(fitted.worst_px, 0.01):.2f} px"
    if fitted.worst_px > GOOD_PX:
        x, y, angle = fitted.worst_at
        text += (
            f", worst at x {max(x, 0.0):.0f}, y {max(y, 0.0):.0f}, where the incidence angle is "
            f"{angle:.0f} degrees"
        )
    if fitted.incidence_deg < MAX_INCIDENCE_DEG:
        text += (
            f"; beyond an incidence angle of {fitted.incidence_deg:g} degrees they would be off "
            f"by more than {WORST_PX:g} px, so the footprint ends there"
        )
    return text


FORMATS = {
    "rpc": FolderFormat(names=_names, write=_write, lacks=explain_no_camera, places_photo=True)
}
