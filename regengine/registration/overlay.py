"""One picture per frame: the photo, the proposal over it, the verdict in words."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detectors.constants import KM_PER_DEGREE
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, great_circle_km, incidence_deg
from matchers.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.photo.frame_records import wrap_lon
from regengine.places import COAST_TOLERANCE_KM, coast_lines, place_index
from regengine.records import VERDICT_WORDS, degrees_text, summary_words
from regengine.registration.map_window import HasWindows
from regengine.result import ControlPoint, FrameResult
from regengine.sky.drawing import Colour, Picture, write_picture

Box = tuple[float, float, float, float]  # left, top, right, bottom

# The night-light map as a camera would see it.

SAMPLES = 33  # per axis, to find what the photo covers
MAX_INCIDENCE_DEG = 86.0  # beyond, a pixel smears over tens of kilometres
MAX_WINDOW_PIXELS = 12e6  # 48 MB of float32


def visible_region(camera: Camera) -> tuple[float, float, float, float, float] | None:
    """Part of the Earth that a camera's image shows."""
    x, y = np.meshgrid(
        np.linspace(0, camera.width_px - 1, SAMPLES), np.linspace(0, camera.height_px - 1, SAMPLES)
    )
    lon, lat = _ground(camera, x, y)
    seen = np.isfinite(lon)
    if not seen.any():
        return None
    middle = float(ecef_to_geodetic(camera.position_ecef_m)[0])
    turned = middle + (lon[seen] - middle + 180.0) % 360.0 - 180.0
    next_lon, next_lat = _ground(camera, x + 1.0, y)
    step_km = great_circle_km(lon, lat, next_lon, next_lat)[seen]
    step_km = step_km[np.isfinite(step_km)]
    step_deg = float(np.percentile(step_km, 10)) / KM_PER_DEGREE if step_km.size else 0.05
    west, east = float(turned.min()), float(turned.max())
    south, north = float(lat[seen].min()), float(lat[seen].max())
    margin = max(2.0 * step_deg, 0.02 * max(east - west, north - south))
    west, east, south, north = west - margin, east + margin, south - margin, north + margin
    coarsest = math.sqrt((east - west) * (north - south) / MAX_WINDOW_PIXELS)
    return west, south, east, north, max(step_deg, coarsest)


def render_map(camera: Camera, grid: LightGrid) -> NDArray[np.float32]:
    """Map values at each pixel of a camera's image."""
    x, y = np.meshgrid(np.arange(camera.width_px, dtype=float), np.arange(camera.height_px))
    lon, lat = _ground(camera, x, y)
    col, row = grid.to_pixel(lon, lat)
    values = cv2.remap(
        grid.values,
        np.nan_to_num(col, nan=-1e6).astype(np.float32),
        np.nan_to_num(row, nan=-1e6).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    return np.where(np.isfinite(lon), values, np.nan).astype(np.float32)


def _ground(
    camera: Camera, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ground = camera.pixel_to_ecef(x, y)
    lon, lat, _ = ecef_to_geodetic(ground)
    grazing = ~(incidence_deg(camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG)
    return np.where(grazing, np.nan, lon), np.where(grazing, np.nan, lat)


WHITE: Colour = (255, 255, 255)
GREY: Colour = (150, 150, 150)
COAST: Colour = (235, 235, 235)
TOWN: Colour = (255, 240, 190)
POINT: Colour = (90, 255, 90)
# Blues and magenta do not occur among street lamps.
CONTOURS: tuple[Colour, ...] = ((0, 110, 200), (0, 200, 255), (255, 0, 230))
CONTOUR_QUANTILES = (0.40, 0.75, 0.95)  # of the map's lit pixels in the view
LIT = 0.3  # log10(1 + L): 1 nW cm^-2 sr^-1, about the faintest village in annual composites
GRATICULE_STEPS_DEG = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
LABEL_PX = 13
# Arms of a control point's cross, from the light that it marks outwards
CLEAR_PX, CROSS_PX = 8.0, 15.0
COAST_OFF_PX = 10.0  # that it may lie beside its place
MOST_SOUGHT, MOST_TOWNS = 400, 16
TOWNS_APART = 0.06  # of the long side
MAX_NAMED_INCIDENCE_DEG = 80.0


def brighten(rgb: Picture) -> Picture:
    """Stretch a night photo for the eye: percentiles to full range, dark parts lifted."""
    grey = rgb.max(axis=2)
    black, white = np.percentile(grey, (1.0, 99.7))
    scaled = np.clip((np.arange(256.0) - black) / max(white - black, 16.0), 0.0, 1.0)
    lookup = np.rint(255.0 * scaled**0.7).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, lookup), dtype=np.uint8)


def tint(rendered: NDArray[np.float32]) -> Picture:
    """The rendered map as a picture that looks like a night photo; sky in dark blue."""
    lit = rendered[np.isfinite(rendered) & (rendered > LIT)]
    white = float(np.percentile(lit, 99.0)) if lit.size else 1.0
    level = np.clip(np.nan_to_num(rendered, nan=0.0) / white, 0.0, 1.0)[..., None]
    picture = np.rint(255.0 * level ** np.array([1.0, 1.25, 2.0])).astype(np.uint8)
    picture[np.isnan(rendered)] = (16, 22, 40)
    return picture


def contour_levels(rendered: NDArray[np.float32]) -> list[float]:
    """Map values to draw contours at, faint to bright; none where the map is dark."""
    lit = rendered[np.isfinite(rendered) & (rendered > LIT)]
    if lit.size == 0:
        return []
    levels = [float(level) for level in np.quantile(lit, CONTOUR_QUANTILES)]
    apart = [high for low, high in pairwise(levels) if high - low >= 0.1]
    return [levels[0], *apart]


def draw_contours(picture: Picture, rendered: NDArray[np.float32]) -> None:
    """Outline the map's lights, in place."""
    smooth = cv2.GaussianBlur(np.nan_to_num(rendered, nan=0.0), (0, 0), 1.2)
    levels = contour_levels(rendered)
    for level, colour in zip(levels, CONTOURS[-len(levels) :] if levels else (), strict=True):
        mask = (smooth >= level).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        large = [line for line in outlines if len(line) >= 6]
        cv2.drawContours(picture, large, -1, colour, 1, cv2.LINE_AA)


def draw_coast(picture: Picture, camera: Camera) -> None:
    """Draw the coast, in place, where it is known as precisely as the picture shows it."""
    region = visible_region(camera)
    if region is None or region[4] * KM_PER_DEGREE < COAST_TOLERANCE_KM / COAST_OFF_PX:
        return
    shade = picture.copy()
    for line in coast_lines(*region[:4]):
        _draw_on_ground(shade, camera, line[:, 0], line[:, 1], COAST)
    cv2.addWeighted(shade, 0.7, picture, 0.3, 0.0, dst=picture)


def _draw_on_ground(
    picture: Picture,
    camera: Camera,
    lon_deg: NDArray[np.float64],
    lat_deg: NDArray[np.float64],
    colour: Colour,
    most_incidence_deg: float = MAX_NAMED_INCIDENCE_DEG,
) -> None:
    """Draw a line of the ground, in place, as far as it lies in or near the picture."""
    x, y = camera.lonlat_to_pixel(lon_deg, lat_deg)
    ground = geodetic_to_ecef(lon_deg, lat_deg)
    near = incidence_deg(camera.position_ecef_m, ground) <= most_incidence_deg
    # Far outside, distortion brings back what lies behind
    for at, side in ((x, camera.width_px), (y, camera.height_px)):
        near &= np.isfinite(at) & (at > -side) & (at < 2 * side)
    for run in np.ma.clump_masked(np.ma.array(x, mask=near)):
        points = np.stack([x[run], y[run]], axis=-1)
        cv2.polylines(picture, [_fixed(points)], False, colour, 1, cv2.LINE_AA, shift=4)


def town_labels(picture: Picture, camera: Camera) -> list[Label]:
    """Mark the largest towns in sight, in place; their names, none beside a larger one's."""
    region = visible_region(camera)
    if region is None:
        return []
    west, south, east, north, _ = region
    whole = east - west >= 360.0
    box = (-180.0, 180.0) if whole else (wrap_lon(west), wrap_lon(east))
    found = place_index().inside(box[0], south, box[1], north, MOST_SOUGHT)
    lon, lat = np.array([(place.lon, place.lat) for place in found], float).reshape(-1, 2).T
    x, y = camera.lonlat_to_pixel(lon, lat)
    slant = incidence_deg(camera.position_ecef_m, geodetic_to_ecef(lon, lat))
    inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
    apart_px = TOWNS_APART * max(camera.width_px, camera.height_px)
    labels: list[Label] = []
    for k in np.flatnonzero(inside & (slant <= MAX_NAMED_INCIDENCE_DEG)):
        if any(math.hypot(x[k] - other.x, y[k] - other.y) < apart_px for other in labels):
            continue
        centre = tuple(int(v) for v in _fixed(np.array([x[k], y[k]])).ravel())
        cv2.circle(picture, centre, 16 * 3, TOWN, 1, cv2.LINE_AA, shift=4)
        text = plain_letters(found[k].name)
        labels.append(Label(x=float(x[k]), y=float(y[k]), text=text, colour=TOWN))
        if len(labels) == MOST_TOWNS:
            break
    return labels


def draw_graticule(picture: Picture, camera: Camera) -> list[Label]:
    """Draw meridians and parallels, in place; what they are called, where they begin."""
    region = visible_region(camera)
    if region is None:
        return []
    west, south, east, north, _ = region
    lons = graticule_values(west, east)
    lats = graticule_values(south, north)
    lines = [(np.full(200, lon), np.linspace(south, north, 200), _lon_text(lon)) for lon in lons]
    lines += [(np.linspace(west, east, 200), np.full(200, lat), _lat_text(lat)) for lat in lats]
    labels = []
    shade = picture.copy()
    for lon, lat, text in lines:
        x, y = camera.lonlat_to_pixel(lon, lat)
        inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
        if not inside.any():
            continue
        _draw_on_ground(shade, camera, lon, lat, GREY, MAX_INCIDENCE_DEG)
        at = int(np.flatnonzero(inside)[0])
        labels.append(Label(x=float(x[at]), y=float(y[at]), text=text, colour=GREY))
    cv2.addWeighted(shade, 0.6, picture, 0.4, 0.0, dst=picture)
    return labels


def graticule_values(low: float, high: float) -> list[float]:
    """Round degrees between two bounds, three to eight of them where the steps allow."""
    step = next((s for s in GRATICULE_STEPS_DEG if (high - low) / s <= 8), 20.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def draw_points(picture: Picture, points: Sequence[ControlPoint], scale: float) -> None:
    """Draw control points, in place: a cross, and a circle of three sigma; their lights stay seen.

    The circle is no smaller than the gap in the middle of the cross.
    """
    for point in points:
        x, y = on_picture(point.x, point.y, scale)
        sigma_px = point.sigma_px if np.isfinite(point.sigma_px) else 0.0
        radius = max(3.0 * sigma_px * scale, CLEAR_PX)
        for colour, width in (((0, 0, 0), 3), (POINT, 1)):
            for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1)):
                ends = _fixed(np.array([[x + k * dx, y + k * dy] for k in (CLEAR_PX, CROSS_PX)]))
                cv2.polylines(picture, [ends], False, colour, width, cv2.LINE_AA, shift=4)
            centre = tuple(int(v) for v in _fixed(np.array([x, y])).ravel())
            cv2.circle(picture, centre, round(16 * radius), colour, width, cv2.LINE_AA, shift=4)


def on_picture(x: float, y: float, scale: float) -> tuple[float, float]:
    """Position in a resized picture: areas scale, pixel centres do not."""
    return (x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5


def _lon_text(lon: float) -> str:
    lon = (lon + 180.0) % 360.0 - 180.0
    return f"{abs(lon):g}°{'E' if lon >= 0 else 'W'}"


def _lat_text(lat: float) -> str:
    return f"{abs(lat):g}°{'N' if lat >= 0 else 'S'}"


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """OpenCV's fixed-point coordinates with 4 fractional bits."""
    return np.rint(np.asarray(points) * 16.0).astype(np.int32).reshape(-1, 1, 2)


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
    result: FrameResult, photo: Path, light_map: HasWindows, folder: Path, *, hashed: bool = False
) -> Path:
    """Draw the overlay of one frame into a folder, made if need be; see `overlay_path`."""
    path = overlay_path(result, folder, hashed=hashed)
    write_picture(overlay_picture(result, photo, light_map), path)
    return path


def overlay_picture(result: FrameResult, photo: Path, light_map: HasWindows | None) -> Picture:
    """The overlay of one frame, without the map's contours where there is no map.

    Raises FrameError if the photo cannot be read.
    """
    from regengine.photo.image import read_display_rgb

    rgb, factor = read_display_rgb(photo, max_long_side_px=LONG_SIDE_PX)
    zoom = max(1, round(1000 / max(rgb.shape[:2])))
    if zoom > 1:
        rgb = np.asarray(cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
    grid = None if light_map is None else grid_for(result, light_map)
    return draw_overlay(result, rgb, factor * zoom, grid)


def overlay_path(result: FrameResult, folder: Path, *, hashed: bool = False) -> Path:
    """Where the overlay of a frame lies: ``STEM.overlay.png``.

    `hashed`, for runs in which several photos have the same name: ``STEM-HASH.overlay.png`` with
    the start of the file's SHA-256.
    """
    mark = f"-{result.sha256[:8]}" if hashed else ""
    return folder / f"{Path(result.path).stem}{mark}.overlay.png"


def grid_for(result: FrameResult, light_map: HasWindows) -> LightGrid | None:
    """The part of the map that a solved frame shows; None without a solution or a map there."""
    region = None if result.solved is None else visible_region(result.solved.camera)
    if region is None:
        return None
    try:
        return light_map.window(*region)
    except LightMapError:
        return None


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
        shown = tint(rendered)
        draw_coast(shown, camera)
        views = [(photo, "photo"), (shown, "map through the solved camera")]
    draw_coast(main, camera)
    degrees = draw_graticule(main, camera)
    towns = town_labels(main, camera)
    points = result.control_points
    draw_points(main, points, factor)
    labels = [*_point_labels(points, factor), *towns, *degrees]
    main = write_labels(main, labels, LABEL_PX, _crosses(points, factor))
    body = _with_views(main, views, points, factor) if views else main
    return _stack([_header(result, max(body.shape[1], MIN_WIDTH_PX)), body])


def _point_labels(points: Sequence[ControlPoint], factor: float) -> list[Label]:
    labels = []
    for number, point in enumerate(points, start=1):
        x, y = on_picture(point.x, point.y, factor)
        place = degrees_text(point.lon, point.lat, digits=3)
        sigma = f"±{point.sigma_px:.1f} px, ±{point.sigma_m / 1000:.2f} km"
        text = f"{number}  {place}\n{sigma}"
        labels.append(Label(x=x, y=y, text=text, colour=POINT, must=True))
    return labels


def _crosses(points: Sequence[ControlPoint], scale: float) -> list[Box]:
    return [around(*on_picture(point.x, point.y, scale), CROSS_PX) for point in points]


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


def _with_views(
    main: Picture,
    views: list[tuple[Picture, str]],
    points: Sequence[ControlPoint],
    factor: float,
) -> Picture:
    """The two half-size views below a landscape, to the right of a portrait; points by number."""
    height, width = main.shape[:2]
    size = ((width - GAP_PX) // 2, (height - GAP_PX) // 2)
    scale = factor * size[0] / width
    panels = []
    for view, title in views:
        panel = np.asarray(cv2.resize(view, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        draw_points(panel, points, scale)
        labels = [Label(x=0.0, y=0.0, text=title, colour=WHITE, must=True, line=False)]
        for number, point in enumerate(points, start=1):
            x, y = on_picture(point.x, point.y, scale)
            labels.append(Label(x=x, y=y, text=str(number), colour=POINT, must=True))
        panels.append(write_labels(panel, labels, LABEL_PX, _crosses(points, scale)))
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


# Texts on a picture, each beside what it names, none over another.

MARGIN_PX = 3.0  # of the dark box around a text, and to the picture's edge
NEAR_PX = 7.0
# How far a text may go that must be written, with a line to what it names
FAR_PX = (13.0, 20.0, 30.0, 45.0, 65.0, 90.0, 125.0, 170.0, 230.0, 310.0)
LINE_FROM_PX = 25.0
DIRECTIONS_DEG = (0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202, 67, 113, 247, 293)
# Letters that are no others with a mark; the font has those of ASCII alone
_LETTERS = str.maketrans("øØłŁđĐðÐıəƏ–’ʻ", "oOlLdDdDiaA-''") | str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th"}
)


@dataclass(frozen=True, kw_only=True)
class Label:
    """A text and the pixel that it names."""

    x: float
    y: float
    text: str
    colour: Colour
    must: bool = False  # be written, if not near its pixel, farther off; others are left out then
    line: bool = True  # from there to its pixel


def write_labels(
    picture: Picture, labels: Sequence[Label], size: int, kept_free: Sequence[Box] = ()
) -> Picture:
    """The picture with texts on dark boxes; those that must be written choose first.

    No box covers another, one of ``kept_free``, or the picture's edge.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(size=size)
    taken = list(kept_free)
    for label in sorted(labels, key=lambda one: not one.must):
        left, top, right, bottom = draw.multiline_textbbox((0, 0), label.text, font=font)
        extent = right - left + 2.0 * MARGIN_PX, bottom - top + 2.0 * MARGIN_PX
        box = _room(label, extent, image.size, taken)
        if box is None:
            continue
        taken.append(box)
        if label.line:
            _draw_line(draw, label, box)
        draw.rectangle(box, fill=(0, 0, 0, 170))
        at = box[0] + MARGIN_PX - left, box[1] + MARGIN_PX - top
        draw.multiline_text(at, label.text, fill=label.colour, font=font)
    return np.array(image)


def around(x: float, y: float, reach_px: float) -> Box:
    """A box around a pixel, to be kept free."""
    return x - reach_px, y - reach_px, x + reach_px, y + reach_px


def plain_letters(text: str) -> str:
    """A name in the letters of ASCII: ``Sao Paulo``."""
    apart = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return apart.encode("ascii", "ignore").decode()


def _room(
    label: Label, extent: tuple[float, float], size: tuple[int, int], taken: Sequence[Box]
) -> Box | None:
    """The first place for a text that covers nothing."""
    for box in _places(label, extent):
        inside = box[0] >= 0.0 and box[1] >= 0.0 and box[2] < size[0] and box[3] < size[1]
        if inside and not any(_cover(box, other) for other in taken):
            return box
    return None


def _places(label: Label, extent: tuple[float, float]) -> Iterator[Box]:
    width, height = extent
    for reach in FAR_PX if label.must else (NEAR_PX,):
        for direction in DIRECTIONS_DEG if label.must else DIRECTIONS_DEG[:8]:
            across, down = math.cos(math.radians(direction)), math.sin(math.radians(direction))
            x = label.x + across * (reach + 0.5 * width)
            y = label.y + down * (reach + 0.5 * height)
            yield x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height


def _cover(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw_line(draw: ImageDraw.ImageDraw, label: Label, box: Box) -> None:
    x, y = min(max(label.x, box[0]), box[2]), min(max(label.y, box[1]), box[3])
    if math.hypot(x - label.x, y - label.y) >= LINE_FROM_PX:
        draw.line((label.x, label.y, x, y), fill=(*label.colour, 150), width=1)
