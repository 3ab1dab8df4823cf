"""Pictures of detections: the photo, brightened, with a circle around each light or star."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import (
    FloatArray,
    LightDetections,
    LightFlag,
    StarDetections,
    StarFlag,
    StreakDetections,
    StreakKind,
)
from regengine.errors import FrameError
from regengine.io.atomic import write_whole
from regengine.photo.image import read_display_rgb

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]  # red, green, blue

LONG_SIDE_PX = 1600
SMALLEST_CIRCLE_PX = 4.0
BRIGHTEST = 40  # what solvers of star fields look at
GREEN, YELLOW, RED, CYAN = (90, 255, 90), (255, 220, 60), (255, 80, 80), (80, 220, 255)
LETTER_SIZE = 0.42
GAP_PX = 4.0  # of the picture, between a streak's edge and the lines beside it
CURVE_POINTS = 33
# 8-bit display values are drawn with this power: faint towns come out, cores stay apart
BRIGHTEN_POWER = 0.6

MAGENTA, WHITE = (255, 110, 255), (230, 230, 230)
COLOURS: dict[StreakKind, Colour] = {
    StreakKind.SATELLITE: GREEN,
    StreakKind.METEOR: YELLOW,
    StreakKind.AIRCRAFT: RED,
    StreakKind.COSMIC_RAY: CYAN,
    StreakKind.TRAIN: MAGENTA,
    StreakKind.UNKNOWN: WHITE,
}
LABEL_GAP_PX = 12.0  # of the picture, between the line and the number


@dataclass(frozen=True, kw_only=True)
class PicturePaths:
    """Where the picture of each photo goes; the same size for ten photos and for a million."""

    folder: Path
    suffix: str  # what stands behind a photo's name, with the ending: ``_lights.png``
    # Names, in small letters, that several photos have: theirs are told apart
    repeated: frozenset[str]

    def of(self, photo: Path) -> Path:
        """The picture of a photo."""
        name = photo.stem
        if name.lower() in self.repeated:
            name += "_" + hashlib.sha256(str(photo.absolute()).encode()).hexdigest()[:8]
        return self.folder / f"{name}{self.suffix}"


def picture_paths(
    photos: Sequence[Path], folder: Path, what: str, *, ending: str = ".png"
) -> PicturePaths:
    """Where the pictures of all photos of a command go: named after them and what is drawn."""
    uses = Counter(photo.stem.lower() for photo in photos)
    repeated = frozenset(name for name, count in uses.items() if count > 1)
    return PicturePaths(folder=folder, suffix=f"_{what}{ending}", repeated=repeated)


def draw_lights(photo: Path, lights: LightDetections, target: Path) -> None:
    """Draw the lights of a photo: green; yellow where blended; red where saturated."""
    picture, factor = brightened(photo)
    for x, y, radius, flags in zip(lights.x, lights.y, lights.radius_px, lights.flags, strict=True):
        colour = (
            RED if flags & LightFlag.SATURATED else YELLOW if flags & LightFlag.BLENDED else GREEN
        )
        circle(picture, x, y, radius, factor, colour)
    write_picture(picture, target)


def draw_stars(photo: Path, stars: StarDetections, target: Path) -> None:
    """Draw the stars of a photo: the forty brightest green, others cyan; red where saturated.

    Trails are lines of the common length and direction.
    """
    picture, factor = brightened(photo)
    for i, (x, y) in enumerate(zip(stars.x, stars.y, strict=True)):
        colour = GREEN if i < BRIGHTEST else CYAN
        if stars.flags[i] & StarFlag.SATURATED:
            colour = RED
        if stars.trail_px is not None:
            dx, dy = (0.5 * side for side in stars.trail_px)
            ends = [picture_pixel(x + s * dx, y + s * dy, factor) for s in (-1.0, 1.0)]
            cv2.line(picture, ends[0], ends[1], colour, 1, cv2.LINE_AA)
        circle(picture, x, y, 1.5 * float(stars.fwhm_px[i]), factor, colour)
    write_picture(picture, target)


def draw_streaks(photo: Path, streaks: StreakDetections, target: Path) -> None:
    """Draw the streaks of a photo, numbered as in the record, the surest first.

    Satellites green, meteors yellow, aircraft red, cosmic rays cyan, trains magenta, others white.
    """
    picture, factor = brightened(photo)
    ends = np.column_stack([streaks.x1, streaks.y1, streaks.x2, streaks.y2])
    for i, end in enumerate(ends):
        colour, width_px = COLOURS[streaks.kind[i]], float(streaks.width_px[i])
        middle, across = outline(
            picture, end, factor, colour, width_px=width_px, bow_px=float(streaks.bow_px[i])
        )
        x, y = middle + ((GAP_PX + LABEL_GAP_PX) / factor + 0.5 * width_px) * across
        label(picture, str(i + 1), picture_pixel(x, y, factor), colour)
    write_picture(picture, target)


def draw_comparison(
    photo: Path, found: FloatArray, false: FloatArray, missed: FloatArray, target: Path
) -> None:
    """Draw how detections compare with labels: found green, false red, missed cyan.

    Positions (N, 2), or end points x1, y1, x2, y2 of streaks (N, 4), pixels of the picture as
    stored. Raises FrameError if the photo cannot be read or the picture not be written.
    """
    picture, factor = brightened(photo)
    for places, colour in ((found, GREEN), (false, RED), (missed, CYAN)):
        for place in places:
            if len(place) == 2:
                circle(picture, place[0], place[1], 0.0, factor, colour)
            else:
                outline(picture, place, factor, colour)
    write_picture(picture, target)


def brightened(photo: Path) -> tuple[Picture, float]:
    """A photo to draw on, its faint parts brought out, and its scale."""
    rgb, factor = read_display_rgb(photo, LONG_SIDE_PX)
    bright = np.rint(255.0 * (np.arange(256) / 255.0) ** BRIGHTEN_POWER).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, bright)), factor


def circle(
    picture: Picture, x: float, y: float, radius_px: float, factor: float, colour: Colour
) -> None:
    """Draw a circle at a place of the photo, of a radius in its pixels."""
    centre = picture_pixel(x, y, factor)
    radius = round(max(SMALLEST_CIRCLE_PX, radius_px * factor))
    cv2.circle(picture, centre, radius, colour, 1, cv2.LINE_AA)


def picture_pixel(x: float, y: float, factor: float) -> tuple[int, int]:
    """Pixel of the picture at a place of the photo."""
    return round((x + 0.5) * factor - 0.5), round((y + 0.5) * factor - 0.5)


def label(picture: Picture, text: str, at: tuple[int, int], colour: Colour) -> None:
    """Write a text with a dark edge, moved into the picture where it would leave it."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, LETTER_SIZE, 1)
    x = int(np.clip(at[0], 2, max(2, picture.shape[1] - width - 2)))
    y = int(np.clip(at[1], height + 2, max(height + 2, picture.shape[0] - 4)))
    for shift, ink in ((1, (0, 0, 0)), (0, colour)):
        place = (x + shift, y + shift)
        cv2.putText(picture, text, place, font, LETTER_SIZE, ink, 1, cv2.LINE_AA)


def outline(
    picture: Picture,
    ends: Sequence[float] | FloatArray,
    factor: float,
    colour: Colour,
    *,
    width_px: float = 0.0,
    bow_px: float = 0.0,
    gap_px: float = GAP_PX,
) -> tuple[FloatArray, FloatArray]:
    """Draw two lines beside a streak, closed at its ends, so that the light stays in view."""
    first, second = np.array(ends[:2], float), np.array(ends[2:], float)
    along = (second - first) / max(float(np.hypot(*(second - first))), 1e-9)
    across = np.array([-along[1], along[0]])  # to the right of who goes along and sees y down
    gap = gap_px / factor + 0.5 * width_px
    count = CURVE_POINTS if bow_px else 3  # rounded to pixels, more make a straight line uneven
    steps = np.linspace(-1.0, 1.0, count)[:, None]
    middle = 0.5 * (first + second + steps * (second - first)) + bow_px * (1 - steps**2) * across
    sides = [middle + gap * across, second[None] + gap * along, middle[::-1] - gap * across]
    points = np.concatenate([*sides, first[None] - gap * along])
    pixels = np.array([picture_pixel(x, y, factor) for x, y in points], np.int32)
    cv2.polylines(picture, [pixels], True, colour, 1, cv2.LINE_AA)
    return middle[count // 2], across


def write_picture(picture: Picture, target: Path) -> None:
    """Write a PNG whole or not at all; FrameError if that cannot be done."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data.tobytes())
    except OSError as error:
        raise FrameError(
            f"{target} cannot be written ({error.strerror}): give a folder that can be written."
        ) from error
