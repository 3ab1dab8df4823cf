"""Draw over a photo: what was detected in it, outlines, labels and legends."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.limb import mask_sky
from detectors.types import (
    FloatArray,
    LightDetections,
    LightningDetections,
    PointFlag,
    StarDetections,
    StreakDetections,
)
from regengine.io.atomic import check_folder, write_whole
from regengine.photo.image import read_display_rgb
from regengine.scene.regions import ABOVE_DEG, BELOW_DEG, LimbRegions

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]  # red, green, blue

GREEN, YELLOW, RED, CYAN = (90, 255, 90), (255, 220, 60), (255, 80, 80), (80, 220, 255)
SHADOW = (120, 120, 150)
# Lengths of the drawn picture, pixels
LONG_SIDE_PX = 1600
BOX_GAP_PX = 3.0  # between the light of a flash and the box around it
STREAK_GAP_PX = 4.0  # between a streak's edge and the lines beside it
LABEL_RIGHT_PX, LABEL_UP_PX = 5, 4  # from what a label names
LETTER_SIZE = 0.42
LEGEND_LEFT_PX, LEGEND_LINE_PX = 8, 18
BRIGHTEST = 40  # stars; the number that star solvers use
# Quarter turns to the left, after a mirroring of left and right, by EXIF orientation
UPRIGHT = {1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True),
           5: (1, True), 6: (3, False), 7: (3, True), 8: (1, False)}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PicturePaths:
    """Paths of the overlays of photos; the same memory for ten photos and for a million."""

    folder: Path
    suffix: str  # appended to a photo's name, with the ending: ``_lights.png``
    # Names, in lower case, that several photos share: their overlays get a unique suffix
    repeated: frozenset[str]

    def of(self, photo: Path) -> Path:
        """Path of a photo's overlay."""
        name = photo.stem
        if name.lower() in self.repeated:
            name += "_" + hashlib.sha256(str(photo.absolute()).encode()).hexdigest()[:8]
        return self.folder / f"{name}{self.suffix}"


def picture_paths(
    photos: Sequence[Path], folder: Path, what: str, *, ending: str = ".png"
) -> PicturePaths:
    """Paths of the overlays of a command, named after the photos and the drawn content.

    Raises StoreError if the folder cannot be made or written.
    """
    check_folder(folder)
    uses = Counter(photo.stem.lower() for photo in photos)
    repeated = frozenset(name for name, count in uses.items() if count > 1)
    return PicturePaths(folder=folder, suffix=f"_{what}{ending}", repeated=repeated)


def draw_lights(photo: Path, lights: LightDetections, target: Path) -> None:
    """Draw the lights of a photo: green; yellow where blended; red where saturated."""
    picture, factor = brighten(photo)
    for x, y, radius, flags in zip(lights.x, lights.y, lights.radius_px, lights.flags, strict=True):
        colour = (
            RED if flags & PointFlag.SATURATED else YELLOW if flags & PointFlag.BLENDED else GREEN
        )
        draw_circle(picture, x, y, radius, factor, colour)
    draw_legend(picture, {"light": GREEN, "blended": YELLOW, "saturated": RED})
    write_picture(picture, target)


def draw_lightning(photo: Path, flashes: LightningDetections, target: Path) -> None:
    """Draw boxes around the lightning of a photo: green; red where saturated."""
    picture, factor = brighten(photo)
    corners = zip(flashes.x1, flashes.y1, flashes.x2, flashes.y2, strict=True)
    for (x1, y1, x2, y2), flags in zip(corners, flashes.flags, strict=True):
        first = picture_pixel(x1 - BOX_GAP_PX / factor, y1 - BOX_GAP_PX / factor, factor)
        second = picture_pixel(x2 + BOX_GAP_PX / factor, y2 + BOX_GAP_PX / factor, factor)
        colour = RED if flags & PointFlag.SATURATED else GREEN
        cv2.rectangle(picture, first, second, colour, 1, cv2.LINE_AA)
    draw_legend(picture, {"lightning": GREEN, "saturated": RED})
    write_picture(picture, target)


def draw_stars(photo: Path, stars: StarDetections, target: Path) -> None:
    """Draw the stars of a photo: the forty brightest green, others cyan; red where saturated.

    Trails are lines of the common length and direction.
    """
    picture, factor = brighten(photo)
    for i, (x, y) in enumerate(zip(stars.x, stars.y, strict=True)):
        colour = GREEN if i < BRIGHTEST else CYAN
        if stars.flags[i] & PointFlag.SATURATED:
            colour = RED
        if stars.trail_px is not None:
            dx, dy = (0.5 * side for side in stars.trail_px)
            ends = [picture_pixel(x + s * dx, y + s * dy, factor) for s in (-1.0, 1.0)]
            cv2.line(picture, ends[0], ends[1], colour, 1, cv2.LINE_AA)
        draw_circle(picture, x, y, 1.5 * float(stars.fwhm_px[i]), factor, colour)
    brightest = f"{BRIGHTEST} brightest stars"
    draw_legend(picture, {brightest: GREEN, "other star": CYAN, "saturated": RED})
    write_picture(picture, target)


def draw_streaks(photo: Path, streaks: StreakDetections, target: Path) -> None:
    """Draw the streaks of a photo in green, numbered as in the record, the surest first."""
    picture, factor = brighten(photo)
    ends = np.column_stack([streaks.x1, streaks.y1, streaks.x2, streaks.y2])
    for i, end in enumerate(ends):
        width_px = float(streaks.width_px[i])
        middle, across = draw_streak_outline(
            picture, end, factor, GREEN, width_px=width_px, bow_px=float(streaks.bow_px[i])
        )
        # Between the line and the number
        x, y = middle + ((STREAK_GAP_PX + 12.0) / factor + 0.5 * width_px) * across
        draw_label(picture, str(i + 1), picture_pixel(x, y, factor), GREEN)
    write_picture(picture, target)


def draw_scene(
    photo: Path, regions: LimbRegions | None, remarks: Sequence[str], target: Path
) -> None:
    """Draw sky and Earth over a photo, the lights on either side, and what it is taken for.

    The lights in the sky cyan, those on the Earth yellow; the limb green, and thin lines where the
    lights of either side begin. Without a limb, remarks alone.
    """
    picture, _ = brighten(photo)
    if regions is not None:
        for margin_deg, thickness in ((0.0, 2), (-ABOVE_DEG, 1), (BELOW_DEG, 1)):
            sky = mask_sky(regions.limb, picture.shape[:2], margin_deg=margin_deg)
            edges = cv2.findContours(sky.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
            for edge in edges:
                # The borders of the picture are no limb
                at = edge[:, 0]
                inner = ((at > 0) & (at < np.array(picture.shape[1::-1]) - 1)).all(axis=1)
                for x, y in at[inner].tolist():
                    cv2.circle(picture, (x, y), thickness - 1, GREEN, -1)
        factor = max(picture.shape) / max(regions.limb.shape)
        for lights, colour in ((regions.above, CYAN), (regions.below, YELLOW)):
            for x, y in lights:
                draw_circle(picture, x, y, 1.0, factor, colour)
        draw_legend(
            picture, {"limb": GREEN, "light in the sky": CYAN, "light on the Earth": YELLOW}
        )
    text = ", ".join(remarks).replace("°", " deg")  # the font has no sign for it
    draw_label(picture, text, (LEGEND_LEFT_PX, picture.shape[0]), GREEN)
    write_picture(picture, target)


def draw_comparison(
    photo: Path, found: FloatArray, false: FloatArray, missed: FloatArray, target: Path
) -> None:
    """Draw the comparison of detections and labels: found green, false red, missed cyan.

    Positions (N, 2), or end points x1, y1, x2, y2 of streaks (N, 4), pixels of the picture as
    stored. Raises FrameError if the photo cannot be read or the picture cannot be written.
    """
    picture, factor = brighten(photo)
    for places, colour in ((found, GREEN), (false, RED), (missed, CYAN)):
        for place in places:
            if len(place) == 2:
                draw_circle(picture, place[0], place[1], 0.0, factor, colour)
            else:
                draw_streak_outline(picture, place, factor, colour)
    draw_legend(picture, {"found": GREEN, "false": RED, "missed": CYAN})
    write_picture(picture, target)


def brighten(photo: Path) -> tuple[Picture, float]:
    """A photo to draw on, with faint parts enhanced, and its scale."""
    rgb, factor = read_display_rgb(photo, LONG_SIDE_PX)
    # 8-bit display values are raised to this power: it enhances faint towns and keeps cores
    # distinct
    bright = np.rint(255.0 * (np.arange(256) / 255.0) ** 0.6).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, bright)), factor


def turn_upright(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A picture as it was held, by its EXIF orientation."""
    turns, mirrored = UPRIGHT.get(orientation, (0, False))
    return np.rot90(picture[:, ::-1] if mirrored else picture, turns)


def draw_circle(
    picture: Picture, x: float, y: float, radius_px: float, factor: float, colour: Colour
) -> None:
    centre = picture_pixel(x, y, factor)
    radius = round(max(4.0, radius_px * factor))
    cv2.circle(picture, centre, radius, colour, 1, cv2.LINE_AA)


def picture_pixel(x: float, y: float, factor: float) -> tuple[int, int]:
    return round((x + 0.5) * factor - 0.5), round((y + 0.5) * factor - 0.5)


def draw_label(picture: Picture, text: str, at: tuple[int, int], colour: Colour) -> None:
    """Draw a text with a dark outline, shifted into the picture if necessary."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, LETTER_SIZE, 1)
    x = int(np.clip(at[0], 2, max(2, picture.shape[1] - width - 2)))
    y = int(np.clip(at[1], height + 2, max(height + 2, picture.shape[0] - 4)))
    for shift, ink in ((1, (0, 0, 0)), (0, colour)):
        place = (x + shift, y + shift)
        cv2.putText(picture, text, place, font, LETTER_SIZE, ink, 1, cv2.LINE_AA)


def draw_legend(picture: Picture, marks: Mapping[str, Colour]) -> None:
    for line, (meaning, colour) in enumerate(marks.items(), start=1):
        draw_label(picture, meaning, (LEGEND_LEFT_PX, line * LEGEND_LINE_PX), colour)


def draw_streak_outline(
    picture: Picture,
    ends: Sequence[float] | FloatArray,
    factor: float,
    colour: Colour,
    *,
    width_px: float = 0.0,
    bow_px: float = 0.0,
    gap_px: float = STREAK_GAP_PX,
) -> tuple[FloatArray, FloatArray]:
    """Draw an outline around a streak, at a distance that keeps its light visible."""
    first, second = np.array(ends[:2], float), np.array(ends[2:], float)
    along = (second - first) / max(float(np.hypot(*(second - first))), 1e-9)
    across = np.array([-along[1], along[0]])  # to the right of who goes along and sees y down
    gap = gap_px / factor + 0.5 * width_px
    count = 33 if bow_px else 3  # rounded to pixels, more make a straight line uneven
    steps = np.linspace(-1.0, 1.0, count)[:, None]
    middle = 0.5 * (first + second + steps * (second - first)) + bow_px * (1 - steps**2) * across
    sides = [middle + gap * across, second[None] + gap * along, middle[::-1] - gap * across]
    points = np.concatenate([*sides, first[None] - gap * along])
    pixels = np.array([picture_pixel(x, y, factor) for x, y in points], np.int32)
    cv2.polylines(picture, [pixels], True, colour, 1, cv2.LINE_AA)
    return middle[count // 2], across


def write_picture(picture: Picture, target: Path) -> None:
    """Write a PNG atomically; StoreError if that fails."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_whole(target, data.tobytes(), with_folder=True)
