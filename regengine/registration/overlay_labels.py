"""Texts on a picture, each beside what it names, none over another."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom

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
