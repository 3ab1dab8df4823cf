"""Write rational polynomial coefficients of a solved camera, next to the photo or in a VRT of it.

GDAL reads ``PHOTO_RPC.TXT`` and ``PHOTO.RPB`` only next to TIFF files, the VRT and
``PHOTO.aux.xml`` with any photo. The footprint is the ground where the coefficients are valid: a
cutline for gdalwarp.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from matchers.geometry.footprint import MAX_INCIDENCE_DEG
from regengine.exchange.export.footprint import join_at, make_footprints
from regengine.exchange.export.format import (
    ExportOptions,
    FolderFormat,
    choose_kinds,
    explain_no_camera,
    stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.layers import geojson_geometry
from regengine.exchange.export.rational import GOOD_PX, WORST_PX, Rational, fit_rational
from regengine.exchange.export.virtual import metadata, write_aux, write_vrt
from regengine.io.gdal import raise_write_failures
from regengine.io.plain import make_printable, plain

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


def residual_text(fitted: Rational) -> str:
    """Residuals and limit in a sentence."""
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
    return residual_text(fitted)


FORMATS = {
    "rpc": FolderFormat(names=_names, write=_write, lacks=explain_no_camera, places_photo=True)
}
