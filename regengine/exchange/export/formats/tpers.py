"""The photo in a coordinate reference system of its own: PROJ's tilted perspective.

In a VRT of the photo, or in a file next to it for GDAL; for lenses with distortion, in an
undistorted copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from matchers.geometry.camera import Camera
from regengine.errors import FrameError
from regengine.exchange.export.format import (
    ExportOptions,
    FolderFormat,
    LeftOutError,
    choose_kinds,
    explain_no_camera,
    stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.rational import GOOD_PX
from regengine.exchange.export.tilted import TiltedPerspective, fit_tilted
from regengine.exchange.export.virtual import metadata, write_aux, write_vrt
from regengine.exchange.export.warp import find_photo
from regengine.io.gdal import raise_write_failures

KINDS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "vrt": lambda photo: (f"{stem(photo)}.tpers.vrt",),
    "aux": lambda photo: (f"{photo}.aux.xml",),
    "straight": lambda photo: (
        f"{stem(photo)}.straight.tif",
        f"{stem(photo)}.straight.tif.aux.xml",
    ),
}
BLOCK = 256  # rows that are undistorted at once
fit_once = lru_cache(maxsize=4)(fit_tilted)  # several files of a frame need the same fit


def residuals(fitted: TiltedPerspective) -> dict[str, str]:
    """Residuals of the perspective, for metadata."""
    x, y = fitted.worst_at
    return {
        "REGENGINE_TPERS_RMS_PX": f"{fitted.rms_px:.3f}",
        "REGENGINE_TPERS_WORST_PX": f"{fitted.worst_px:.3f}",
        "REGENGINE_TPERS_WORST_X": f"{x:.1f}",
        "REGENGINE_TPERS_WORST_Y": f"{y:.1f}",
    }


def _place_by(fitted: TiltedPerspective) -> Callable[[Any], None]:
    """A function that adds the coordinate reference system and transform to a raster."""
    from affine import Affine
    from rasterio.crs import CRS

    def place(dataset: Any) -> None:
        dataset.crs = CRS.from_proj4(fitted.proj)
        dataset.transform = Affine(*fitted.transform)
        dataset.update_tags(**residuals(fitted))

    return place


def straighten_camera(camera: Camera) -> Camera:
    """The camera with a distortion-free lens."""
    return replace(camera, distortion=(0.0, 0.0, 0.0, 0.0, 0.0))


def write_straight(frame: ExportFrame, path: Path) -> None:
    """Write the photo's colours, 8 bits each, without distortion."""
    import rasterio

    from regengine.photo.image import read_display_rgb

    camera = frame.camera
    assert camera is not None
    try:
        longest = max(camera.width_px, camera.height_px)
        rgb, _ = read_display_rgb(find_photo(frame), max_long_side_px=longest)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    if rgb.shape[:2] != (camera.height_px, camera.width_px):
        raise LeftOutError("the photo's size differs from its camera's")
    profile = {
        "width": camera.width_px,
        "height": camera.height_px,
        "count": 3,
        "dtype": "uint8",
        "photometric": "RGB",
        "compress": "deflate",
        "predictor": 2,
        "interleave": "pixel",
        "bigtiff": "if_safer",
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver="GTiff", **profile) as raster,
    ):
        for top in range(0, camera.height_px, BLOCK):
            rows = np.arange(top, min(top + BLOCK, camera.height_px), dtype=float)
            x, y = np.meshgrid(np.arange(camera.width_px, dtype=float), rows)
            local = straighten_camera(camera).rays(x, y)
            x, y = camera.image_of(np.where(camera.holds(local)[..., None], local, np.nan))
            with np.errstate(invalid="ignore"):
                seen = (x >= -0.5) & (x <= camera.width_px - 0.5)
                seen &= (y >= -0.5) & (y <= camera.height_px - 0.5)
            x, y = (np.where(seen, a, -2.0).astype(np.float32) for a in (x, y))
            colours = cv2.remap(rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            window = rasterio.windows.Window(0, top, camera.width_px, len(rows))
            colours = np.where(seen[..., None], colours, 0)
            raster.write(np.moveaxis(colours, -1, 0), window=window)
            raster.write_mask(seen, window=window)


def write_place(frame: ExportFrame, fitted: TiltedPerspective, path: Path) -> None:
    """Write GDAL's auxiliary file: TIFF cannot store the coordinate reference system itself."""
    from rasterio.crs import CRS

    root = ElementTree.Element("PAMDataset")
    system = ElementTree.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2")
    system.text = CRS.from_proj4(fitted.proj).to_wkt()
    a, b, c, d, e, f = fitted.transform
    lines = ElementTree.SubElement(root, "GeoTransform")
    lines.text = ", ".join(map(repr, (c, a, b, f, d, e)))
    known = ElementTree.SubElement(root, "Metadata")
    for key, value in (metadata(frame) | residuals(fitted)).items():
        ElementTree.SubElement(known, "MDI", key=key).text = value
    ElementTree.ElementTree(root).write(path, encoding="utf-8")


def _kinds(options: ExportOptions) -> tuple[str, ...]:
    return choose_kinds(options, KINDS, ("vrt",))


def _names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(name for kind in _kinds(options) for name in KINDS[kind](photo))


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> str:
    camera, waiting = frame.camera, list(paths)
    assert camera is not None
    said = ""
    for kind in _kinds(options):
        path = waiting.pop(0)
        fitted = fit_once(straighten_camera(camera) if kind == "straight" else camera)
        with raise_write_failures(path, []):
            if kind == "straight":
                write_straight(frame, path)
                write_place(frame, fitted, waiting.pop(0))
            else:
                (write_vrt if kind == "vrt" else write_aux)(frame, path, _place_by(fitted))
        if fitted.worst_px > GOOD_PX or not said:
            said = _residual_text(fitted)
    return said


def _residual_text(fitted: TiltedPerspective) -> str:
    text = f"the perspective matches the camera to {max(fitted.worst_px, 0.01):.2f} px"
    if fitted.worst_px > GOOD_PX:
        x, y = fitted.worst_at
        text += (
            f", worst at x {max(x, 0.0):.0f}, y {max(y, 0.0):.0f}; --files straight writes an "
            "undistorted copy"
        )
    return text


FORMATS = {
    "tpers": FolderFormat(names=_names, write=_write, lacks=explain_no_camera, places_photo=True)
}
