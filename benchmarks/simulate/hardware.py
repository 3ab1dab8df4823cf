"""Parts of the station in front of the Earth: panels, trusses, vehicles, arms, window frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import ImageArray

MAX_COVER = 0.4  # of the picture
PARTS = ("panel", "truss", "vehicle", "arm", "frame")
# What lights it: colour of its surfaces as the camera sees them.
LIGHT_RGB = {
    "dark": (1.0, 1.0, 1.0),
    "moon": (0.85, 0.95, 1.15),
    "lamp": (1.3, 1.0, 0.65),
    "sun": (1.05, 1.0, 0.95),
}


# Around the whole picture, before what else stands in front of it
WINDOW = "window"


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What stands in front."""

    seed: int  # of shapes and places
    # Some of ``PARTS``, or ``WINDOW``, drawn one over the other
    parts: tuple[str, ...]
    size: float  # of a part, as a share of the picture's long side
    lit_by: str  # "dark", "moon", "lamp" or "sun"
    brightness: float  # of its brightest faces, share of what fills the sensor
    blur_px: float  # the lens is focused on the Earth


@dataclass(frozen=True, kw_only=True)
class Foreground:
    """Hardware on the pixels."""

    cover: ImageArray  # shape (height, width): 1 where it hides everything
    # Shape (height, width): Of its surfaces, share of what fills the sensor, already times
    # ``cover``
    light: ImageArray


def draw_foreground(hardware: Hardware, width: int, height: int) -> Foreground:
    """Hardware as it stands in a picture, each part reaching in from an edge.

    What covers more than ``MAX_COVER`` is drawn smaller, or in the end left out.
    """
    for shrink in (1.0, 0.7, 0.5, 0.35, 0.2, 0.0):
        rng = np.random.default_rng([hardware.seed, 8])
        canvas = _Canvas(width, height)
        for part in hardware.parts if shrink > 0.0 else ():
            _DRAWERS[part](canvas, rng, shrink * hardware.size * max(width, height))
        if canvas.cover.mean() <= 255.0 * MAX_COVER:
            break
    cover, shade = (
        cv2.GaussianBlur(plane.astype(np.float32) / np.float32(255.0), (0, 0), hardware.blur_px)
        for plane in (canvas.cover, np.minimum(canvas.shade, canvas.cover))
    )
    return Foreground(
        cover=np.asarray(cover, np.float32),
        light=np.asarray(np.float32(hardware.brightness) * shade, np.float32),
    )


class _Canvas:
    """Two 8-bit planes that polygons are drawn on: cover, and shade of the surfaces."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cover = np.zeros((height, width), np.uint8)
        self.shade = np.zeros((height, width), np.uint8)

    def polygon(self, corners: NDArray[np.float64], shade: float) -> None:
        points = np.round(16.0 * corners).astype(np.int32)  # OpenCV's fixed point: 4 bits
        cv2.fillPoly(self.cover, [points], 255, cv2.LINE_AA, 4)
        cv2.fillPoly(self.shade, [points], _level(shade), cv2.LINE_AA, 4)

    def line(self, start: NDArray[np.float64], end: NDArray[np.float64], thick: float) -> None:
        """A bar: its middle is brighter than its rims, as a cylinder's."""
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
        across = np.array([-along[1], along[0]])
        for part, shade in ((1.0, 0.35), (0.55, 0.75), (0.2, 1.0)):
            half = 0.5 * part * thick * across
            self.polygon(np.array([start - half, end - half, end + half, start + half]), shade)

    def mark(self, corners: NDArray[np.float64], shade: float, thick: float) -> None:
        """Lines on a surface that is there already."""
        points = np.round(16.0 * corners).astype(np.int32)
        width_px = max(round(thick), 1)
        cv2.polylines(self.shade, [points], False, _level(shade), width_px, cv2.LINE_AA, 4)


def _level(shade: float) -> int:
    return int(np.clip(255.0 * shade, 0.0, 255.0))


def _entry(canvas: _Canvas, rng: np.random.Generator) -> tuple[NDArray[np.float64], float]:
    """A point on an edge of the picture and a direction inwards, radians."""
    side = int(rng.integers(4))
    share = float(rng.uniform(0.05, 0.95))
    x, y = share * canvas.width, share * canvas.height
    point = ((x, 0.0), (canvas.width, y), (x, canvas.height), (0.0, y))
    inwards = (0.5 * np.pi, np.pi, -0.5 * np.pi, 0.0)[side]
    return np.array(point[side]), inwards + float(rng.uniform(-0.9, 0.9))


def _frame_of(angle: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along = np.array([np.cos(angle), np.sin(angle)])
    return along, np.array([-along[1], along[0]])


def _panel(canvas: _Canvas, rng: np.random.Generator, scale: float) -> None:
    """A solar array in perspective: two blankets of cells and the mast between them."""
    start, angle = _entry(canvas, rng)
    along, across = _frame_of(angle)
    start = start - 0.3 * scale * along
    length, wide = 1.3 * scale, 0.35 * scale * rng.uniform(0.5, 1.2)
    narrow = float(rng.uniform(0.4, 1.0))  # perspective at the far end
    face = float(rng.uniform(0.1, 0.5))
    for sign in (-1.0, 1.0):
        inner, outer = 0.06 * wide * sign, 0.5 * wide * sign
        far = start + length * along
        near_sides = start + inner * across, start + outer * across
        far_sides = far + inner * narrow * across, far + outer * narrow * across
        corners = np.array([near_sides[0], *far_sides, near_sides[1]])
        canvas.polygon(corners, face)
        rungs = int(rng.integers(8, 30))
        for number in range(rungs + 1):
            part = number / rungs
            one = corners[0] + part * (corners[1] - corners[0])
            other = corners[3] + part * (corners[2] - corners[3])
            canvas.mark(np.array([one, other]), 1.6 * face, 0.004 * scale)
        canvas.mark(corners[[0, 1, 2, 3, 0]], 0.9, 0.006 * scale)
    canvas.line(start, start + length * along, 0.05 * wide)


def _truss(canvas: _Canvas, rng: np.random.Generator, scale: float) -> None:
    """A lattice girder, crossing the picture, with boxes on it."""
    start, angle = _entry(canvas, rng)
    along, across = _frame_of(angle)
    start = start - 0.2 * scale * along
    deep, bay = 0.16 * scale * rng.uniform(0.6, 1.3), 0.18 * scale
    bays = int(rng.integers(4, 9))
    bar = 0.18 * deep
    canvas.line(start, start + bays * bay * along, bar)
    canvas.line(start + deep * across, start + bays * bay * along + deep * across, bar)
    for number in range(bays):
        low = start + number * bay * along
        high = low + deep * across
        canvas.line(low, high, 0.7 * bar)
        canvas.line(low, high + bay * along, 0.5 * bar)
        if rng.random() < 0.45:
            corners = np.array([low, low + bay * along, high + bay * along, high])
            canvas.polygon(corners + 0.1 * deep * across, float(rng.uniform(0.2, 0.8)))


def _vehicle(canvas: _Canvas, rng: np.random.Generator, scale: float) -> None:
    """A docked capsule: body, tapering nose, two dark wings."""
    start, angle = _entry(canvas, rng)
    along, across = _frame_of(angle)
    start = start - 0.1 * scale * along
    wide, length = 0.28 * scale, 0.45 * scale * rng.uniform(0.7, 1.3)
    for sign in (-1.0, 1.0):
        root = start + 0.35 * length * along + 0.5 * wide * sign * across
        tip = root + 0.9 * scale * rng.uniform(0.4, 0.8) * sign * across
        deep = 0.28 * length * along
        canvas.polygon(np.array([root, tip, tip + deep, root + deep]), 0.12)
        for part in np.linspace(0.0, 1.0, 6):
            one = root + part * (tip - root)
            canvas.mark(np.array([one, one + deep]), 0.35, 0.004 * scale)
    canvas.line(start, start + length * along, wide)
    end = start + length * along
    nose = end + 0.22 * length * along
    corners = [end - 0.5 * wide * across, nose - 0.2 * wide * across]
    corners += [nose + 0.2 * wide * across, end + 0.5 * wide * across]
    canvas.polygon(np.array(corners), 0.6)
    for part in (0.3, 0.55, 0.8):
        ring = start + part * length * along
        ends = np.array([ring - 0.5 * wide * across, ring + 0.5 * wide * across])
        canvas.mark(ends, 0.2, 0.01 * scale)


def _arm(canvas: _Canvas, rng: np.random.Generator, scale: float) -> None:
    """A robotic arm: two or three straight booms and the joints between them."""
    point, angle = _entry(canvas, rng)
    thick = 0.035 * scale * rng.uniform(0.7, 1.6)
    for _ in range(int(rng.integers(2, 4))):
        along, _ = _frame_of(angle)
        end = point + scale * rng.uniform(0.35, 0.7) * along
        canvas.line(point, end, thick)
        canvas.polygon(end + 0.75 * thick * _circle(), 0.6)
        point, angle = end, angle + float(rng.uniform(-1.2, 1.2))


def _circle(points: int = 24) -> NDArray[np.float64]:
    turn = np.linspace(0.0, 2.0 * np.pi, points + 1)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _window_frame(canvas: _Canvas, rng: np.random.Generator, scale: float) -> None:
    """The round rim of the window cuts a side or a corner off."""
    width, height = canvas.width, canvas.height
    radius = max(width, height) * float(rng.uniform(0.8, 1.5))
    edge, inwards = _entry(canvas, rng)
    centre = edge + (radius + 0.25 * scale) * _frame_of(inwards)[0]
    rim = centre + radius * _circle(180)
    outside = np.full((height, width), 255, np.uint8)
    cv2.fillPoly(outside, [np.round(16.0 * rim).astype(np.int32)], 0, cv2.LINE_AA, 4)
    canvas.cover = np.maximum(canvas.cover, outside)
    canvas.shade = np.where(outside > 127, _level(0.15), canvas.shade).astype(np.uint8)
    canvas.mark(rim, 0.6, 0.01 * scale)


def _window(canvas: _Canvas, rng: np.random.Generator, scale: float) -> None:
    """The rim of a window of the Cupola on several sides: dark, with lit edges and latches.

    Rounder or squarer, it stands off the middle and hides 8 to 28 % of the picture. Being near the
    camera it has that size whatever the scale of what is outside.
    """
    del scale
    width, height = canvas.width, canvas.height
    longest = max(width, height)
    squareness, turn = float(rng.uniform(2.0, 6.0)), float(rng.uniform(-0.3, 0.3))
    middle = np.array([width, height]) * (0.5 + rng.uniform(-0.12, 0.12, 2))
    circle = _circle(240)
    round_off = (np.abs(circle) ** squareness).sum(axis=1) ** (-1.0 / squareness)
    shape = circle * round_off[:, None] * [width / longest, height / longest]
    shape = shape @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    wanted, low, high = float(rng.uniform(0.08, 0.28)), 0.3, 1.5
    for _ in range(12):  # the size that hides as much
        size = 0.5 * (low + high)
        rim = middle + size * longest * shape
        outside = np.full((height, width), 255, np.uint8)
        cv2.fillPoly(outside, [np.round(16.0 * rim).astype(np.int32)], 0, cv2.LINE_AA, 4)
        low, high = (size, high) if outside.mean() > 255.0 * wanted else (low, size)
    canvas.cover = np.maximum(canvas.cover, outside)
    canvas.shade = np.where(outside > 127, _level(0.1), canvas.shade).astype(np.uint8)
    for grown, shade in ((1.01, 0.5), (1.05, 0.3), (1.09, 0.2)):  # edges of its panes and seals
        first = int(rng.integers(len(rim)))  # lit from one side
        lit = np.roll(middle + grown * (rim - middle), -first, axis=0)[: len(rim) // 2]
        canvas.mark(lit, shade, 0.006 * longest)
    for _ in range(int(rng.integers(2, 8))):  # latches, handles, cables
        at = rim[int(rng.integers(len(rim)))]
        outwards = (at - middle) / max(float(np.linalg.norm(at - middle)), 1.0)
        start = at + 0.02 * longest * outwards
        along = _frame_of(float(rng.uniform(0.0, np.pi)))[0]
        reach = float(rng.uniform(0.02, 0.08)) * longest
        canvas.line(start, start + reach * along, float(rng.uniform(0.005, 0.02)) * longest)


_DRAWERS = {
    "panel": _panel,
    "truss": _truss,
    "vehicle": _vehicle,
    "arm": _arm,
    "frame": _window_frame,
    WINDOW: _window,
}
