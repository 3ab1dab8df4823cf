"""One picture per frame: the photo, the proposal over it, the verdict in words."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from matchers.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.io.atomic import write_whole
from regengine.records import VERDICT_WORDS, degrees_text, summary_words
from regengine.registration.overlay_layers import (
    LABEL_PX,
    POINT,
    WHITE,
    Colour,
    Picture,
    brighten,
    draw_contours,
    draw_graticule,
    draw_points,
    on_picture,
    render_map,
    tint,
    visible_region,
    write_labels,
)
from regengine.result import FrameResult

if TYPE_CHECKING:
    from regengine.lights.map import LightMap

LONG_SIDE_PX = 1400  # fits a screen, and a 15-arc-second map needs no more
MIN_WIDTH_PX = 1000  # so that the words have room above a small photo
GAP_PX = 4
BACKGROUND: Colour = (24, 26, 30)
VERDICT_COLOURS: dict[str, Colour] = {
    "accepted": (90, 255, 90),
    "review": (255, 200, 60),
    "no_match": (190, 190, 190),
    "failed": (255, 90, 90),
}


def draw_result(
    result: FrameResult, photo: Path, light_map: LightMap, folder: Path, *, hashed: bool = False
) -> Path:
    """Draw the overlay of one frame into a folder.

    Parameters
    ----------
    result : FrameResult
        What is said of it.
    photo : Path
        Its file.
    light_map : LightMap
        The night-light map.
    folder : Path
        Where the picture goes, made if need be.
    hashed : bool
        See `overlay_path`.

    Returns
    -------
    Path
        The picture, named as in `overlay_path`.
    """
    path = overlay_path(result, folder, hashed=hashed)
    write_overlay(overlay_picture(result, photo, light_map), path)
    return path


def overlay_picture(result: FrameResult, photo: Path, light_map: LightMap | None) -> Picture:
    """The overlay of one frame, without the map's contours where there is no map.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    """
    from regengine.photo.image import read_display_rgb

    rgb, factor = read_display_rgb(photo, max_long_side_px=LONG_SIDE_PX)
    zoom = max(1, round(1000 / max(rgb.shape[:2])))
    if zoom > 1:
        rgb = np.asarray(cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
    grid = None if light_map is None else grid_for(result, light_map)
    return draw_overlay(result, rgb, factor * zoom, grid)


def overlay_path(result: FrameResult, folder: Path, *, hashed: bool = False) -> Path:
    """Where the overlay of a frame lies.

    Parameters
    ----------
    result : FrameResult
        What is said of the frame.
    folder : Path
        Folder of the overlays.
    hashed : bool
        For runs in which several photos have the same name.

    Returns
    -------
    Path
        ``STEM.overlay.png``, or ``STEM-HASH.overlay.png`` with the start of the file's SHA-256.
    """
    mark = f"-{result.sha256[:8]}" if hashed else ""
    return folder / f"{Path(result.path).stem}{mark}.overlay.png"


def grid_for(result: FrameResult, light_map: LightMap) -> LightGrid | None:
    """The part of the map that a solved frame shows; None without a solution or a map there."""
    region = None if result.solved is None else visible_region(result.solved.camera)
    if region is None:
        return None
    try:
        return light_map.window(*region)
    except LightMapError:
        return None


def write_overlay(picture: Picture, path: Path) -> None:
    """Write a picture as PNG, whole or not at all; makes the folder."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", compress_level=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, stream.getvalue())


def draw_overlay(
    result: FrameResult, display_rgb: Picture, factor: float, grid: LightGrid | None = None
) -> Picture:
    """The photo with the proposal drawn over it, photo and map side by side, and the verdict."""
    photo = brighten(display_rgb)
    height, width = photo.shape[:2]
    if result.solved is None:
        return _stack([_header(result, max(width, MIN_WIDTH_PX)), photo])
    camera = result.solved.camera.scaled(factor, width, height)
    main, views = photo.copy(), []
    if grid is not None:
        rendered = render_map(camera, grid)
        draw_contours(main, rendered)
        views = [(photo, "photo"), (tint(rendered), "map through the solved camera")]
    degrees = draw_graticule(main, camera)
    draw_points(main, result.control_points, factor)
    main = write_labels(main, degrees, (200, 200, 200), LABEL_PX)
    main = write_labels(main, _point_labels(result, factor), POINT, LABEL_PX)
    body = _with_views(main, views) if views else main
    return _stack([_header(result, max(body.shape[1], MIN_WIDTH_PX)), body])


def _point_labels(result: FrameResult, factor: float) -> list[tuple[float, float, str]]:
    labels = []
    for number, point in enumerate(result.control_points, start=1):
        x, y = on_picture(point.x, point.y, factor)
        place = degrees_text(point.lon, point.lat, digits=3)
        sigma = f"±{point.sigma_px:.1f} px, ±{point.sigma_m / 1000:.2f} km"
        labels.append((x + 13, y + 8, f"{number}  {place}\n{sigma}"))
    return labels


def _header(result: FrameResult, width: int) -> Picture:
    size, gap = 17, 8
    letters = max(40, round(width / (0.52 * size)))
    verdict = f"{VERDICT_WORDS[result.verdict]}   {result.frame}"
    lines = [verdict, *_wrapped(summary_words(result), letters)]
    for reason in result.reasons:
        lines += textwrap.wrap(f"{reason.code}: {reason.text}", letters)
    image = Image.new("RGB", (width, len(lines) * (size + gap) + 2 * gap), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        colour = VERDICT_COLOURS[result.verdict] if number == 0 else WHITE
        font = ImageFont.load_default(size=size + 2 if number == 0 else size)
        draw.text((gap, gap + number * (size + gap)), line, fill=colour, font=font)
    return np.array(image)


def _wrapped(words: list[str], letters: int) -> list[str]:
    """Join phrases by commas into lines, never inside a phrase."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 3 + len(word) <= letters:
            lines[-1] += f" · {word}"
        else:
            lines.append(word)
    return lines


def _with_views(main: Picture, views: list[tuple[Picture, str]]) -> Picture:
    """The two half-size views below a landscape, to the right of a portrait."""
    height, width = main.shape[:2]
    size = ((width - GAP_PX) // 2, (height - GAP_PX) // 2)
    panels = [
        write_labels(
            np.asarray(cv2.resize(view, size, interpolation=cv2.INTER_AREA), dtype=np.uint8),
            [(4, 4, title)],
            WHITE,
            LABEL_PX,
        )
        for view, title in views
    ]
    portrait = height > width
    shape = (height, GAP_PX, 3) if portrait else (GAP_PX, width, 3)
    between = np.full(shape, BACKGROUND, np.uint8)
    if portrait:
        column = np.full((height, size[0], 3), BACKGROUND, np.uint8)
        column[: size[1]], column[-size[1] :] = panels
        return np.concatenate([main, between, column], axis=1)
    row = np.full((size[1], width, 3), BACKGROUND, np.uint8)
    row[:, : size[0]], row[:, -size[0] :] = panels
    return np.concatenate([main, between, row], axis=0)


def _stack(rows: list[Picture]) -> Picture:
    width = max(row.shape[1] for row in rows)
    picture = np.full((sum(row.shape[0] for row in rows), width, 3), BACKGROUND, np.uint8)
    top = 0
    for row in rows:
        left = (width - row.shape[1]) // 2
        picture[top : top + row.shape[0], left : left + row.shape[1]] = row
        top += row.shape[0]
    return picture
