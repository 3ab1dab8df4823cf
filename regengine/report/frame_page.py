"""The result of one photo as a page that opens anywhere: photo, points, map, numbers, files."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError, LightMapError
from regengine.exchange.export.format import photo_stem
from regengine.exchange.export.formats.gcp_qgis import points_text
from regengine.exchange.export.frame import engine_frame
from regengine.io.checksums import sha256_of
from regengine.io.html import data_address, render_page
from regengine.io.plain import rounded
from regengine.io.tables import csv_lines, name_cell
from regengine.records import VERDICT_WORDS, record
from regengine.registration.overlay import overlay_picture
from regengine.report.frame_text import frame_sections
from regengine.report.page import TURNS, turned
from regengine.report.places import coastline, outline_of, place_of
from regengine.result import FrameResult
from regengine.store.file import photo_file
from regengine.store.rows import StoredFrame

if TYPE_CHECKING:
    from regengine.registration.map_window import HasWindows

PICTURE_PX = 1600  # of the longer side: sharp on any screen, some 400 kB
JPEG_QUALITY = 88
POINT_COLUMNS = ("frame", "x", "y", "lon", "lat", "sigma_px", "sigma_m")


def frame_page(stored: StoredFrame, store: Path, light_map: HasWindows | None) -> str:
    """The page (HTML) of a frame: it needs no other file and asks nothing of the internet.

    The photo is left out where it is not where the store says, or changed; what is drawn of the
    night-light map, where there is none.
    """
    result = stored.result
    path = photo_file(result.path, store)
    if path is not None and sha256_of(path) != result.sha256:
        path = None
    place = place_of(result)
    data = {
        "frame": result.frame,
        "verdict": result.verdict,
        "words": VERDICT_WORDS[result.verdict],
        "reasons": [reason.text for reason in result.reasons],
        "photo": None if path is None else _photo(path, result.orientation),
        "overlay": None if path is None else _overlay(result, path, light_map),
        "points": _points(result),
        "sections": frame_sections(stored),
        "coastline": coastline(),
        "outline": outline_of(result),
        "place": place,
        "nadir": None if result.nadir is None else [result.nadir.lon, result.nadir.lat],
        "town": None if place is None else _town(*place),
        "files": _files(stored, store),
    }
    content = files("regengine.report").joinpath("frame.html").read_text(encoding="utf-8")
    return render_page(content, data, title=f"{result.frame}: {VERDICT_WORDS[result.verdict]}")


def _photo(path: Path, orientation: int) -> str | None:
    from regengine.photo.image import read_display_rgb

    try:
        rgb = read_display_rgb(path, PICTURE_PX)[0]
    except (FrameError, OSError):
        return None
    if rgb.ndim == 2:
        rgb = np.repeat(rgb[..., None], 3, axis=2)
    return data_address(_jpeg(turned(rgb, orientation)))


def _overlay(result: FrameResult, path: Path, light_map: HasWindows | None) -> str | None:
    if result.solved is None or light_map is None:
        return None
    try:
        return data_address(_jpeg(overlay_picture(result, path, light_map)))
    except (FrameError, LightMapError, OSError):
        return None


def _jpeg(rgb: NDArray[Any]) -> bytes:
    height, width = rgb.shape[:2]
    scale = min(1.0, PICTURE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.ascontiguousarray(np.asarray(rgb, np.uint8)[..., ::-1])
    if scale < 1.0:
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])


def _points(result: FrameResult) -> list[dict[str, Any]]:
    """Control points with where they lie on the photo as it is looked at, shares of its sides."""
    if not (result.width_px and result.height_px):
        return []
    return [
        {
            "at": turned_share(
                (point.x + 0.5) / result.width_px,
                (point.y + 0.5) / result.height_px,
                result.orientation,
            ),
            "x": rounded(point.x, 2),
            "y": rounded(point.y, 2),
            "lon": rounded(point.lon, 5),
            "lat": rounded(point.lat, 5),
            "sigma_px": rounded(point.sigma_px, 2),
            "sigma_m": rounded(point.sigma_m, 0),
        }
        for point in result.control_points
    ]


def turned_share(u: float, v: float, orientation: int) -> tuple[float, float]:
    """A place on a picture as stored, on the picture as `turned` has it."""
    mirrored, quarters = TURNS.get(orientation, (False, 0))
    if mirrored:
        u = 1.0 - u
    for _ in range(quarters):
        u, v = v, 1.0 - u
    return u, v


def _town(lon: float, lat: float) -> str | None:
    from regengine.places import place_index

    found = place_index().nearest(lon, lat)
    return None if found is None else found.label


def _files(stored: StoredFrame, store: Path) -> list[dict[str, str]]:
    """Files that the page holds: points for QGIS, a table, the record."""
    result = stored.result
    name = photo_stem(result.path, stored.frame_index)
    texts = {".json": json.dumps(record(result), indent=1)}
    if result.control_points:
        texts = {
            ".points": points_text(engine_frame(stored, store)),
            ".csv": _table(result),
        } | texts
    return [
        {"name": f"{name}{ending}", "base64": base64.b64encode(text.encode()).decode("ascii")}
        for ending, text in texts.items()
    ]


def _table(result: FrameResult) -> str:
    rows = [
        (name_cell(result.frame), *(getattr(point, column) for column in POINT_COLUMNS[1:]))
        for point in result.control_points
    ]
    return "\n".join([*csv_lines([POINT_COLUMNS, *rows]), ""])
