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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera, ManyCameras
from matchers.geometry.earth import ecef_to_geodetic, incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, trace_visible_outlines
from regengine.export.formats import ExportOptions, FolderFormat, LeftOutError
from regengine.export.warp import metadata, write_aux, write_vrt
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
    """Coefficients of a camera, and their residuals."""

    # Offsets and scales of row, column, latitude, longitude (degrees) and height (metres above the
    # ellipsoid), by their names in GDAL's metadata; (0, 0) is the centre of the upper left pixel
    scaling: dict[str, float]
    polynomials: dict[str, list[float]]  # likewise, each in the order of RPC00B
    incidence_deg: float  # the coefficients are valid up to this
    rms_px: float  # distance from the camera's pixels up to there, from 0 to 4 km of height
    worst_px: float
    worst_at: tuple[float, float, float]  # pixel x and y, and incidence, degrees, of the greatest


def fit_rational(camera: Camera) -> Rational:
    """Fit coefficients to a camera, on as much ground as they fit to three pixels.

    The limit of incidence is lowered by whole degrees from 80 until they do. LeftOutError if no
    ground is left.
    """
    limit = MAX_INCIDENCE_DEG
    while len(places := ground_places(camera, limit, PER_SIDE, HEIGHTS_M)) >= MIN_PLACES:
        tried = []
        for ridge, rounds in ATTEMPTS:
            tried.append(_fit(camera, places, limit, ridge, rounds))
            if tried[-1].worst_px <= GOOD_PX:
                break
        best = min(tried, key=lambda one: one.worst_px)
        if best.worst_px <= WORST_PX:
            return best
        limit -= STEP_DEG
    if limit == MAX_INCIDENCE_DEG:
        raise LeftOutError(
            f"too little ground below an incidence angle of {limit:g} degrees to fit coefficients"
        )
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
    five = ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
    return Rational(
        scaling={
            f"{name}_{kind}": value
            for kind, values in (("OFF", offsets), ("SCALE", scales))
            for name, value in zip(five, values.tolist(), strict=True)
        },
        polynomials={
            "LINE_NUM_COEFF": line_num.tolist(),
            "LINE_DEN_COEFF": line_den.tolist(),
            "SAMP_NUM_COEFF": samp_num.tolist(),
            "SAMP_DEN_COEFF": samp_den.tolist(),
        },
        incidence_deg=limit,
        rms_px=float(np.sqrt(np.mean(off**2))),
        worst_px=float(off[worst]),
        worst_at=(float(judged[worst, 1]), float(judged[worst, 0]), float(judged[worst, 5])),
    )


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
    used_terms = terms[:, :19]
    rows = np.concatenate([used_terms, -values[:, None] * used_terms[:, 1:]], axis=1)
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


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> str:
    assert frame.camera is not None
    fitted = fit_rational(frame.camera)
    unknown = "-1.0"  # errors on the ground, metres: the standard's value for unknown

    def place(dataset: Any) -> None:
        tags = {"ERR_BIAS": unknown, "ERR_RAND": unknown}
        tags |= {name: repr(value) for name, value in fitted.scaling.items()}
        tags |= {name: " ".join(map(repr, values)) for name, values in fitted.polynomials.items()}
        dataset.update_tags(ns="RPC", **tags)
        dataset.update_tags(**residuals(fitted))

    for kind, path in zip(RPC.kinds(options), paths, strict=True):
        with raise_write_failures(path, []):
            if kind == "vrt":
                write_vrt(frame, path, place)
            elif kind == "aux":
                write_aux(frame, path, place)
            elif kind == "footprint":
                # Across the antimeridian its longitudes continue, as those of the coefficients do:
                # a cutline that is cut there makes gdalwarp draw once around the Earth
                (rings,) = make_footprints([frame.camera], fitted.incidence_deg)
                feature = {
                    "type": "Feature",
                    "geometry": geojson_geometry(join_at(rings, fitted.scaling["LONG_OFF"])),
                    "properties": metadata(frame) | residuals(fitted),
                }
                layer = {"type": "FeatureCollection", "features": [feature]}
                text = json.dumps(plain(layer, make_printable))
                path.write_text(text + "\n", encoding="utf-8")
            elif kind == "rpb":
                path.write_text(_format_rpb(fitted, unknown), encoding="ascii")
            else:
                lines = [f"ERR_BIAS: {unknown}", f"ERR_RAND: {unknown}"]
                lines += [f"{name}: {value!r}" for name, value in fitted.scaling.items()]
                for name, values in fitted.polynomials.items():
                    lines += [f"{name}_{n}: {value!r}" for n, value in enumerate(values, start=1)]
                path.write_text("\n".join(lines) + "\n", encoding="ascii")
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


def _format_rpb(fitted: Rational, unknown: str) -> str:
    """The coefficients in DigitalGlobe's format."""
    lines = ['satId = "ISS";', 'bandId = "RGB";', 'SpecId = "RPC00B";', "BEGIN_GROUP = IMAGE"]
    lines += [f"\terrBias = {unknown};", f"\terrRand = {unknown};"]
    for name, value in fitted.scaling.items():
        what, kind = name.lower().split("_")
        lines.append(f"\t{what}{'Offset' if kind == 'off' else 'Scale'} = {value!r};")
    for name, values in fitted.polynomials.items():
        what, part, _ = name.lower().split("_")
        lines.append(f"\t{what}{part.title()}Coef = (")
        lines += [f"\t\t\t{value!r}," for value in values[:-1]]
        lines.append(f"\t\t\t{values[-1]!r});")
    return "\n".join([*lines, "END_GROUP = IMAGE", "END;"]) + "\n"


RPC = FolderFormat(
    files={
        "txt": ("{stem}_RPC.TXT",),
        "vrt": ("{stem}.rpc.vrt",),
        "footprint": ("{stem}.rpc.geojson",),
        "rpb": ("{stem}.RPB",),
        "aux": ("{photo}.aux.xml",),
    },
    usual=("txt", "vrt", "footprint"),
    write=_write,
    needs=("camera",),
    places_photo=True,
)
FORMATS = {"rpc": RPC}
