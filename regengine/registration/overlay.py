"""One picture per frame: the photo, the proposal over it, the verdict in words."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import map_coordinates

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    great_circle_km,
    incidence_deg,
    surface_to_lonlat,
)
from matchers.geometry.footprint import MAX_INCIDENCE_DEG
from matchers.geometry.map_grid import LATTICE_PX, MapGrid, lattice
from regengine.errors import MapError
from regengine.io.plain import restore_bytes
from regengine.maps.lights import KindName
from regengine.maps.places import COAST_TOLERANCE_KM, coast_lines, place_index
from regengine.maps.reference import RasterMap
from regengine.photo.formats import PhotoFile
from regengine.photo.notations import wrap_lon
from regengine.scene.drawing import Colour, Picture, write_picture
from regengine.store.records import VERDICT_WORDS, degrees_text, summary_words
from regengine.store.result import ControlPoint, FrameResult

if TYPE_CHECKING:
    from regengine.registration.points.compare_maps import MapMatches

# West, south, east, north, and the finest pixel, degrees
Region = tuple[float, float, float, float, float]

# A pixel farther towards the limb smears over tens of kilometres
MAX_MAP_INCIDENCE_DEG = 86.0
LIT = 0.3  # log10(1 + L): 1 nW cm^-2 sr^-1, about the faintest village in annual composites

WHITE: Colour = (255, 255, 255)
GREY: Colour = (150, 150, 150)
COAST: Colour = (235, 235, 235)
TOWN: Colour = (255, 240, 190)
POINT: Colour = (90, 255, 90)
# Blues and magenta do not occur among street lamps
CONTOURS: tuple[Colour, ...] = ((0, 110, 200), (0, 200, 255), (255, 0, 230))
STREET: Colour = (0, 150, 255)
BACKGROUND: Colour = (24, 26, 30)
LETTERING = cv2.FONT_HERSHEY_SIMPLEX
VERDICT_COLOURS: dict[str, Colour] = {
    "accepted": (90, 255, 90),
    "review": (255, 200, 60),
    "no_match": (190, 190, 190),
    "failed": (255, 90, 90),
}
# Letters that are no others with a mark; the font has those of ASCII alone
LETTERS = str.maketrans("øØłŁđĐðÐıəƏ–’ʻ", "oOlLdDdDiaA-''") | str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th"}
)


@dataclass(frozen=True, kw_only=True)
class Label:
    """A text and the pixel that it names; one that ``must`` be written may go farther off."""

    x: float
    y: float
    text: str
    colour: Colour
    must: bool = False


def write_overlay(
    result: FrameResult,
    photo: Path | PhotoFile,
    light_map: RasterMap | None,
    folder: Path,
    *,
    hashed: bool = False,
    matches: bool = False,
) -> Path:
    """Write the overlay of one frame into a folder, made if need be; see `overlay_path`."""
    path = overlay_path(result, folder, hashed=hashed)
    write_picture(make_overlay(result, photo, light_map, matches=matches), path)
    return path


def overlay_path(result: FrameResult, folder: Path, *, hashed: bool = False) -> Path:
    """Where the overlay of a frame lies: ``STEM.overlay.png``.

    `hashed`, for runs in which several photos have the same name: ``STEM-HASH.overlay.png`` with
    the start of the file's SHA-256.
    """
    mark = f"-{result.sha256[:8]}" if hashed else ""
    return folder / f"{Path(restore_bytes(result.path)).stem}{mark}.overlay.png"


def make_overlay(
    result: FrameResult,
    photo: Path | PhotoFile,
    light_map: RasterMap | None,
    *,
    matches: bool = False,
) -> Picture:
    """The overlay of one frame, without the map's contours where there is no map.

    `matches`: with lines from what the photo shows to where the map has it. Raises FrameError if
    the photo cannot be read.
    """
    from regengine.photo.image import read_display_rgb

    # Fits a screen, and a map of 15 arc seconds needs no more
    rgb, factor = read_display_rgb(photo, max_long_side_px=1400)
    zoom = max(1, round(1000 / max(rgb.shape[:2])))
    if zoom > 1:
        rgb = np.asarray(cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
    grid = found = None
    if light_map is not None and result.solved is not None:
        camera = result.solved.camera
        grid = read_visible_map(light_map, camera)
        if matches:
            from regengine.registration.points.compare_maps import find_matches, read_beside_map

            beside = read_beside_map(result.reference_kind, photo, camera, light_map)
            found = find_matches(camera, beside)
    return draw_overlay(result, rgb, factor * zoom, grid, found)


def read_visible_map(
    light_map: RasterMap, camera: Camera, most_pixels: float = 12e6
) -> MapGrid | None:
    """Read the map of what a camera sees, see `find_visible_region`; None without data."""
    region = find_visible_region(camera, most_pixels)
    try:
        return None if region is None else light_map.window(*region)
    except MapError:  # the map holds nothing there
        return None


def draw_overlay(
    result: FrameResult,
    display_rgb: Picture,
    factor: float,
    grid: MapGrid | None = None,
    matches: MapMatches | None = None,
) -> Picture:
    """The photo with the proposal drawn over it, photo and map side by side, and the verdict.

    Photo and map, half as large and with the points by number, lie below a landscape and to the
    right of a portrait. Lines of matches run from one to the other.
    """
    photo = brighten(display_rgb)
    height, width = photo.shape[:2]
    blocks = [(photo, 0, 0)]  # left, top
    lines = np.zeros((2, 0, 2))  # ends of matches in the photo, and where the map has them
    if result.solved is not None:
        camera = result.solved.camera.scaled(factor, width, height)
        points, main, views, labels = result.control_points, photo.copy(), [], []
        points_px = np.array([(point.x, point.y) for point in points], float).reshape(-1, 2)
        scale_box = None
        region = find_visible_region(camera)
        if region is not None:
            if grid is not None:
                rendered = render_map(camera, grid)
                draw_marks(main, rendered, result.reference_kind)
                tinted = tint_map(rendered)
                draw_coast(tinted, camera, region)
                views = [(photo, "photo"), (tinted, "map through the solved camera")]
            draw_coast(main, camera, region)
            labels = draw_graticule(main, camera, region)
            labels = [*draw_towns(main, camera, region), *labels]
            scale_box = draw_scale(main, camera, (points_px + 0.5) * factor - 0.5)
        texts = [
            f"{k}  {degrees_text(point.lon, point.lat, digits=3)}\n"
            f"±{point.sigma_px:.1f} px, ±{point.sigma_m / 1000:.2f} km"
            for k, point in enumerate(points, start=1)
        ]
        if matches is not None:
            seen = (np.stack([matches.x, matches.y]) + 0.5) * factor - 0.5
            of_map = camera.lonlat_to_pixel(matches.lon, matches.lat)
            lines = np.swapaxes(np.stack([seen, np.stack(of_map)]), 1, 2)
            draw_matches(main, *lines)
        blocks = [(draw_points(main, points, factor, texts, labels, scale_box), 0, 0)]
        gap = 4
        size = (width - gap) // 2, (height - gap) // 2
        first, last = ((width + gap, 0), (width + gap, height - size[1]))
        if width >= height:
            first, last = (0, height + gap), (width - size[0], height + gap)
        for (panel, title), (left, top) in zip(views, (first, last), strict=False):
            panel = np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), np.uint8)
            numbers = [str(k) for k in range(1, len(points) + 1)]
            label = Label(x=0.5 * size[0], y=0.0, text=title, colour=WHITE, must=True)
            scale = factor * size[0] / width
            blocks.append((draw_points(panel, points, scale, numbers, [label]), left, top))
    across = max(left + block.shape[1] for block, left, _ in blocks)
    down = max(top + block.shape[0] for block, _, top in blocks)
    header = write_header(result, max(across, 1000))  # words have room above a small photo
    whole = np.full((len(header) + down, header.shape[1], 3), BACKGROUND, np.uint8)
    whole[: len(header)] = header
    for block, left, top in blocks:
        x, y = left + (header.shape[1] - across) // 2, top + len(header)
        whole[y : y + block.shape[0], x : x + block.shape[1]] = block
    if len(blocks) == 3:
        aside, small = (header.shape[1] - across) // 2, blocks[1][0].shape[1] / width
        corners = ((left + aside, top + len(header)) for _, left, top in blocks[1:])
        ends = (one * small + corner for one, corner in zip(lines, corners, strict=True))
        draw_matches(whole, *ends)
    return whole


def draw_matches(picture: Picture, seen_px: FloatArray, map_px: FloatArray) -> None:
    """Draw lines from places in the photo to those of the map, (n, 2), in place, with rings."""
    if not len(seen_px):
        return
    shades = np.full((1, len(seen_px), 3), 255, np.uint8)
    shades[..., 0] = np.arange(len(seen_px)) * 111 % 180  # hues of neighbours differ
    colours = cv2.cvtColor(shades, cv2.COLOR_HSV2RGB)
    for start, end, colour in zip(seen_px, map_px, colours[0].tolist(), strict=True):
        line = to_fixed_point(np.stack([start, end]))
        cv2.polylines(picture, [line], False, colour, 1, cv2.LINE_AA, shift=4)
        cv2.circle(picture, line[0, 0].tolist(), 16 * 4, colour, 1, cv2.LINE_AA, shift=4)


def write_header(result: FrameResult, width: int) -> Picture:
    """The verdict in words: what is said of the camera, then the reasons."""
    size, gap = 17, 8
    letters = max(40, round(width / (0.52 * size)))
    # Phrases are not broken
    phrases = " · ".join(word.replace(" ", "\xa0") for word in summary_words(result))
    lines = [
        line.strip("· ").replace("\xa0", " ")
        for line in textwrap.wrap(phrases, letters, break_long_words=False, break_on_hyphens=False)
    ]
    for reason in result.reasons:
        lines += textwrap.wrap(f"{reason.code}: {reason.text}", letters)
    image = Image.new("RGB", (width, (len(lines) + 1) * (size + gap) + 2 * gap), BACKGROUND)
    draw = ImageDraw.Draw(image)
    verdict = f"{VERDICT_WORDS[result.verdict]}   {result.frame}"
    large, font = (ImageFont.load_default(size=px) for px in (size + 2, size))
    draw.text((gap, gap), verdict, fill=VERDICT_COLOURS[result.verdict], font=large)
    for number, line in enumerate(lines, start=1):
        draw.text((gap, gap + number * (size + gap)), line, fill=WHITE, font=font)
    return np.array(image)


def find_visible_region(camera: Camera, most_pixels: float = 12e6) -> Region | None:
    """West, south, east, north of the ground that an image shows, and its finest pixel, degrees.

    The pixel is larger where there would be more than ``most_pixels``; None for the sky.
    """
    sides = (np.linspace(0, side - 1, 33) for side in (camera.width_px, camera.height_px))
    x, y = np.meshgrid(*sides)
    ground = camera.pixel_to_ecef(x, y)
    ground = ground[incidence_deg(camera.position_ecef_m, ground) <= MAX_MAP_INCIDENCE_DEG]
    if not len(ground):
        return None
    lon, lat = surface_to_lonlat(ground)
    range_m = np.linalg.norm(ground - np.asarray(camera.position_ecef_m), axis=-1)
    middle = float(ecef_to_geodetic(camera.position_ecef_m)[0])
    lon = middle + (lon - middle + 180.0) % 360.0 - 180.0
    west, east, south, north = lon.min(), lon.max(), lat.min(), lat.max()
    step_deg = float(range_m.min()) / camera.focal_px / 1e3 / KM_PER_DEGREE
    margin = max(2.0 * step_deg, 0.02 * max(east - west, north - south))
    west, east = max(west - margin, middle - 180.0), min(east + margin, middle + 180.0)
    south, north = max(south - margin, -90.0), min(north + margin, 90.0)
    coarsest = math.sqrt((east - west) * (north - south) / most_pixels)
    return float(west), float(south), float(east), float(north), max(step_deg, coarsest)


def render_map(camera: Camera, grid: MapGrid) -> FloatImage:
    """Map values at each pixel of a camera's image; NaN for the sky and the limb.

    By SciPy: a picture for the eye does not wait for compiled code.
    """
    size = camera.width_px, camera.height_px
    nodes = np.meshgrid(*map(lattice, size))
    ground = camera.pixel_to_ecef(nodes[0], nodes[1])
    ground[~(incidence_deg(camera.position_ecef_m, ground) <= MAX_MAP_INCIDENCE_DEG)] = np.nan
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) / LATTICE_PX for side in size))
    col, row = (
        cv2.remap(at_nodes.astype(np.float32), x, y, cv2.INTER_LINEAR)
        for at_nodes in grid.to_pixel(*surface_to_lonlat(ground))
    )
    values = map_coordinates(grid.values, (row, col), order=1)
    values[np.isnan(col)] = np.nan
    return np.asarray(values, np.float32)


def brighten(rgb: Picture) -> Picture:
    """Stretch a night photo for the eye: percentiles to full range, dark parts lifted."""
    red, green, blue = cv2.split(rgb)
    grey = cv2.max(cv2.max(red, green), blue)
    black, white = np.percentile(grey, (1.0, 99.7))
    scaled = np.clip((np.arange(256.0) - black) / max(white - black, 16.0), 0.0, 1.0)
    lookup = np.rint(255.0 * scaled**0.7).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, lookup), dtype=np.uint8)


def tint_map(rendered: FloatImage) -> Picture:
    """The rendered map as a picture that looks like a night photo; sky in dark blue."""
    lit = rendered[rendered > LIT]
    white = float(np.percentile(lit, 99.0)) if lit.size else 1.0
    steps = 4095.0  # of the table of colours
    colours = 255.0 * (np.arange(steps + 1.0)[:, None] / steps) ** np.array([1.0, 1.25, 2.0])
    level = np.clip(np.nan_to_num(rendered) / white, 0.0, 1.0)
    tinted = np.rint(colours).astype(np.uint8)[np.rint(steps * level).astype(np.intp)]
    tinted[np.isnan(rendered)] = (16, 22, 40)
    return tinted


def draw_marks(picture: Picture, rendered: FloatImage, kind: KindName) -> None:
    """Draw what stands out in a map of a kind, in place.

    Streets are drawn so that the lamps on them shine through. Of other maps, what is bright is
    outlined, at quantiles of what is lit in the view.
    """
    lit = rendered[rendered > LIT]
    if not lit.size:
        return
    if kind == "streets":
        share = 0.6 * np.clip(np.nan_to_num(rendered) / np.quantile(lit, 0.9), 0.0, 1.0)[..., None]
        picture[:] = np.rint((1.0 - share) * picture + share * np.array(STREET)).astype(np.uint8)
        return
    # Ground by day has structure everywhere: its larger shapes are enough
    smooth_px = 6.0 if kind == "day" else 1.2
    smooth = cv2.GaussianBlur(np.nan_to_num(rendered), (0, 0), smooth_px)
    for level, colour in zip(np.quantile(lit, (0.40, 0.75, 0.95)), CONTOURS, strict=True):
        mask = (smooth >= level).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        large = [line for line in outlines if len(line) >= 5.0 * smooth_px]
        cv2.drawContours(picture, large, -1, colour, 1, cv2.LINE_AA)


def draw_coast(picture: Picture, camera: Camera, region: Region) -> None:
    """Draw the coast, in place, where it lies within ten pixels of its place."""
    if 10.0 * region[4] * KM_PER_DEGREE < COAST_TOLERANCE_KM:
        return
    shade = picture.copy()
    for line in coast_lines(*region[:4]):
        draw_ground_line(shade, camera, line[:, 0], line[:, 1], COAST, MAX_INCIDENCE_DEG)
    cv2.addWeighted(shade, 0.7, picture, 0.3, 0.0, dst=picture)


def draw_graticule(picture: Picture, camera: Camera, region: Region) -> list[Label]:
    """Draw meridians and parallels, in place; what they are called, where they begin."""
    west, south, east, north, _ = region
    labels = []
    shade = picture.copy()
    spans = (west, east), (south, north)
    for axis, (low, high) in enumerate(spans):
        steps = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # eight lines at most
        step = next((step for step in steps if (high - low) / step <= 8), 20.0)
        for degrees in step * np.arange(math.ceil(low / step), math.floor(high / step) + 1):
            line = [np.full(200, degrees), np.linspace(*spans[1 - axis], 200)]
            lon, lat = line if axis == 0 else line[::-1]
            draw_ground_line(shade, camera, lon, lat, GREY, MAX_MAP_INCIDENCE_DEG)
            x, y = camera.lonlat_to_pixel(lon, lat)
            inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
            here = wrap_lon(float(degrees))
            text = f"{abs(here):g}°{'EWNS'[2 * axis + (here < 0.0)]}"
            for k in np.flatnonzero(inside)[:1]:
                labels.append(Label(x=float(x[k]), y=float(y[k]), text=text, colour=GREY))
    cv2.addWeighted(shade, 0.6, picture, 0.4, 0.0, dst=picture)
    return labels


def draw_ground_line(
    picture: Picture,
    camera: Camera,
    lon_deg: FloatArray,
    lat_deg: FloatArray,
    colour: Colour,
    max_incidence_deg: float,
) -> None:
    """Draw a line of the ground, in place, as far as it lies in or near the picture."""
    x, y = camera.lonlat_to_pixel(lon_deg, lat_deg)
    ground = geodetic_to_ecef(lon_deg, lat_deg)
    near = incidence_deg(camera.position_ecef_m, ground) <= max_incidence_deg
    # Far outside, distortion brings back what lies behind
    for at, side in ((x, camera.width_px), (y, camera.height_px)):
        near &= np.isfinite(at) & (at > -side) & (at < 2 * side)
    for run in np.ma.clump_masked(np.ma.array(x, mask=near)):
        points = to_fixed_point(np.stack([x[run], y[run]], axis=-1))
        cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA, shift=4)


def draw_scale(
    picture: Picture, camera: Camera, points_px: FloatArray
) -> tuple[slice, slice] | None:
    """Draw a scale bar and an arrow to the north, in place; rows and columns that they take.

    Both are true for the ground that is nearest to the middle of the picture. They stand in the
    corner that is farthest from the points, shape (n, 2).
    """
    middle = np.array([0.5 * (camera.width_px - 1), 0.5 * (camera.height_px - 1)])
    shares = np.stack(np.meshgrid(*2 * (np.linspace(-0.9, 0.9, 19),)), axis=-1).reshape(-1, 2)
    places = middle * (1.0 + shares[np.argsort(np.linalg.norm(shares, axis=1), kind="stable")])
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(*places.T))
    seen = np.flatnonzero(slant <= MAX_INCIDENCE_DEG)  # NaN of the sky is not
    if not seen.size:
        return None
    x, y = places[seen[0]]
    aside_px = 0.01 * camera.width_px
    lon, lat = camera.pixel_to_lonlat(x + aside_px * np.array([-1.0, 0.0, 1.0]), np.full(3, y))
    km_per_px = float(great_circle_km(lon[0], lat[0], lon[2], lat[2])) / (2.0 * aside_px)
    step_deg = 5.0 * km_per_px / KM_PER_DEGREE
    north = np.array(camera.lonlat_to_pixel(lon[1], min(lat[1] + step_deg, 90.0))) - (x, y)
    north /= np.linalg.norm(north)
    most_km = 0.15 * camera.width_px * km_per_px
    if not np.isfinite([most_km, *north]).all():  # there is sky, or a pole
        return None
    decade = 10.0 ** math.floor(math.log10(most_km))
    length_km = max(one * decade for one in (1.0, 2.0, 5.0) if one * decade <= most_km)
    bar_px, height = length_km / km_per_px, 60
    width = round(max(bar_px, 60.0)) + 90
    corners = list(product((0, camera.width_px - width), (0, camera.height_px - height)))
    box = np.array([width, height])
    gaps = [
        np.linalg.norm(np.maximum(np.abs(points_px - corner - box / 2) - box / 2, 0.0), axis=1)
        for corner in np.array(corners)
    ]
    left, top = max(zip(corners, gaps, strict=True), key=lambda one: one[1].min(initial=np.inf))[0]
    hub = np.array([left + 35.0, top + 30.0])
    tail, tip = np.rint([hub - 18.0 * north, hub + 14.0 * north]).astype(int).tolist()
    tick_x, tick_y = (
        left + 72.0 + np.array([0.0, 0.0, bar_px, bar_px]),
        top + np.array([34, 40, 40, 34]),
    )
    ends = np.stack([tick_x, tick_y], axis=-1)
    at_n = np.rint(hub + 23.0 * north + (-5.0, 5.0)).astype(int).tolist()
    for colour, thick in (((0, 0, 0), 4), (WHITE, 1)):
        cv2.arrowedLine(picture, tail, tip, colour, thick, cv2.LINE_AA, tipLength=0.4)
        cv2.polylines(picture, [to_fixed_point(ends)], False, colour, thick, cv2.LINE_AA, shift=4)
        for text, at in (("N", at_n), (f"{length_km:g} km", (left + 72, top + 26))):
            cv2.putText(picture, text, at, LETTERING, 0.45, colour, thick, cv2.LINE_AA)
    rows, columns = (
        slice(max(at, 0), max(at, 0) + size) for at, size in ((top, height), (left, width))
    )
    return rows, columns


def draw_towns(picture: Picture, camera: Camera, region: Region) -> list[Label]:
    """Mark the largest towns in sight, in place; their names, none beside a larger one's."""
    west, south, east, north, _ = region
    box = (-180.0, 180.0) if east - west >= 360.0 else (wrap_lon(west), wrap_lon(east))
    found = place_index().inside(box[0], south, box[1], north, 400)
    lon, lat = np.array([(place.lon, place.lat) for place in found], float).reshape(-1, 2).T
    x, y = camera.lonlat_to_pixel(lon, lat)
    slant = incidence_deg(camera.position_ecef_m, geodetic_to_ecef(lon, lat))
    inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
    apart_px = 0.06 * camera.long_side_px
    labels: list[Label] = []
    for k in np.flatnonzero(inside & (slant <= MAX_INCIDENCE_DEG)):
        if len(labels) == 16:
            break
        if all(math.hypot(x[k] - other.x, y[k] - other.y) >= apart_px for other in labels):
            centre = to_fixed_point(np.array([x[k], y[k]])).ravel().tolist()
            cv2.circle(picture, centre, 16 * 3, TOWN, 1, cv2.LINE_AA, shift=4)
            # In the letters of ASCII: ``Sao Paulo``
            apart = unicodedata.normalize("NFKD", found[k].name.translate(LETTERS))
            text = apart.encode("ascii", "ignore").decode()
            labels.append(Label(x=float(x[k]), y=float(y[k]), text=text, colour=TOWN))
    return labels


def draw_points(
    picture: Picture,
    points: Sequence[ControlPoint],
    scale: float,
    texts: Sequence[str],
    labels: Sequence[Label],
    taken: tuple[slice, slice] | None = None,
) -> Picture:
    """The picture with control points, a text to each, and other labels beside them.

    A point is a cross, and a circle of three sigma that is no smaller than the gap in the middle of
    the cross: their lights stay seen. ``scale``: of the picture to the image as stored. Texts stand
    on dark boxes; those that must be written choose first. No box covers another, a cross, what is
    taken (rows and columns), or the picture's edge.
    """
    picture, free = picture.copy(), np.ones(picture.shape[:2], bool)
    if taken is not None:
        free[taken] = False
    labels = list(labels)
    gap_px, arm_px = 8.0, 15.0
    axes = ((1, 0), (0, 1), (-1, 0), (0, -1))
    for point, text in zip(points, texts, strict=True):
        x, y = (point.x + 0.5) * scale - 0.5, (point.y + 0.5) * scale - 0.5
        arms = [np.array([x, y]) + np.outer((gap_px, arm_px), axis) for axis in axes]
        centre = to_fixed_point(np.array([x, y])).ravel().tolist()
        sigma_px = point.sigma_px * scale if np.isfinite(point.sigma_px) else 0.0
        radius = round(16 * max(3.0 * sigma_px, gap_px))
        for colour, width in (((0, 0, 0), 3), (POINT, 1)):
            ends = [to_fixed_point(arm) for arm in arms]
            cv2.polylines(picture, ends, False, colour, width, cv2.LINE_AA, shift=4)
            cv2.circle(picture, centre, radius, colour, width, cv2.LINE_AA, shift=4)
        cross = np.array([y, x]) + np.array([[-arm_px], [arm_px + 1.0]])
        (top, left), (bottom, right) = np.maximum(cross, 0.0).round().astype(int)
        free[top:bottom, left:right] = False
        labels.append(Label(x=x, y=y, text=text, colour=POINT, must=True))
    image = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(image, "RGBA"), ImageFont.load_default(size=13)
    # A text that must be written may go far, with a line to what it names
    reaches = (13, 20, 30, 45, 65, 90, 125, 170, 230, 310)
    directions = np.radians(
        (0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202, 67, 113, 247, 293)
    )
    for label in sorted(labels, key=lambda one: not one.must):
        left, top, right, bottom = draw.multiline_textbbox((0, 0), label.text, font=font)
        margin = 3
        width, height = math.ceil(right - left) + 2 * margin, math.ceil(bottom - top) + 2 * margin
        ways = product(reaches, directions) if label.must else product((7,), directions[:8])
        for reach, direction in ways:
            x = round(label.x + math.cos(direction) * (reach + 0.5 * width) - 0.5 * width)
            y = round(label.y + math.sin(direction) * (reach + 0.5 * height) - 0.5 * height)
            room = free[max(y, 0) : y + height, max(x, 0) : x + width]
            if x >= 0 and y >= 0 and room.shape == (height, width) and room.all():
                room[:] = False
                end = np.clip((label.x, label.y), (x, y), (x + width, y + height))
                if math.hypot(end[0] - label.x, end[1] - label.y) >= 25.0:
                    draw.line((label.x, label.y, *end), fill=(*label.colour, 150), width=1)
                draw.rectangle((x, y, x + width - 1, y + height - 1), fill=(0, 0, 0, 170))
                at = x + margin - left, y + margin - top
                draw.multiline_text(at, label.text, fill=label.colour, font=font)
                break
    return np.array(image)


def to_fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """OpenCV's fixed-point coordinates with 4 fractional bits."""
    return np.rint(np.asarray(points) * 16.0).astype(np.int32).reshape(-1, 1, 2)
