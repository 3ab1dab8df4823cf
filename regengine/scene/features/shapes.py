"""Features of outlines: the Moon, the Sun, and man-made structures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

DISC = {
    "disc_area": "log area of the largest bright patch; day and inside large, Moon and Sun small",
    "disc_share": "its share of all bright pixels: Moon, Sun and one storm high, cities low",
    "disc_round": "its area over that of the circle around it; Moon and port-holes near 1",
    "disc_solid": "its area over that of its convex hull; crescents and storms below 1",
    "disc_arc": "share of its outline on the circle around it; Moon high even as a crescent",
    "disc_rim": "how sharply its light ends; Moon sharp, lightning and Sun soft",
    "disc_halo": "light around it against its own; Sun and lightning high, Moon none",
    "disc_dark_around": "share of the frame beyond its surroundings that is dark; Moon near 1",
    "disc_clipped": "share of it that is clipped; Sun high",
}
BRIGHT = 0.5  # of the brightest thousandth, as displayed
MIN_BRIGHT = 0.1
DARK = 0.1
CLIPPED = 0.97
STRUCTURE = {
    "structure_length": "length of lines beyond a twentieth of the frame, by area; inside high",
    "structure_long": "share of that length in lines longer than a tenth of the frame; hardware",
    "structure_longest": "length of the longest line; solar panels, trusses, racks",
    "structure_one_way": "how far long lines share one direction; trusses, trails",
    "structure_right_angles": "how far long lines stand at right angles; racks, panels",
    "structure_straight_edges": "share of strong edges that lie on lines; hardware high, land low",
    "structure_edges": "log share of pixels on strong edges; inside high, night low",
    "structure_hard": "how steep the steepest edges are for their contrast; hardware hard",
    "structure_round": "how far strong edges lie on one circle: port-hole, cupola's window",
    "structure_round_size": "radius of that circle over half the long side, 0 without one",
    "structure_panes": "log number of large bright patches on dark: windows of the cupola",
    "structure_rim_dark": "how much darker it is beyond that circle than within: port-holes",
}
LEVEL = 0.6  # as displayed: the 98th percentile is raised to this, by at most
STRONG = 0.06  # gradient per pixel, as displayed after that
RINGS = 32
CIRCLE = ("structure_round", "structure_round_size", "structure_rim_dark")


def measure_disc(picture: ScenePicture) -> dict[str, float]:
    """Disc features: size, roundness, edge sharpness and halo of the largest bright patch.

    Supports moon (round or a crescent, sharp edge, on black), the Sun (clipped, halo, rays),
    lightning (irregular, bluish, soft edge) and windows and port-holes (large, with structure
    inside).
    """
    value = picture.half.brightest
    if min(value.shape) < 8:
        return dict.fromkeys(DISC, 0.0)
    smooth = np.asarray(
        cv2.GaussianBlur(value, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE), np.float32
    )
    rank = len(value.ravel()) * 999 // 1000
    top = float(np.partition(smooth, rank, axis=None)[rank])
    if top < MIN_BRIGHT:
        return dict.fromkeys(DISC, 0.0)
    bright = (smooth > BRIGHT * top).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    patch = labels == largest
    area = float(stats[largest, cv2.CC_STAT_AREA])
    contours, _ = cv2.findContours(patch.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len)
    hull = cv2.convexHull(outline)
    centre, radius = cv2.minEnclosingCircle(hull)
    away = np.hypot(*(outline[:, 0].astype(float) - centre).T)
    # Tolerance: one pixel of rounding, and the irregularity of a blurred edge
    on_circle = float(np.mean(away > radius * 0.96 - 1.0))
    # Contours run through pixel centres: half a pixel is added on every side
    hull_area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0
    size = float(np.sqrt(patch.sum() / np.pi))
    reach = int(np.clip(size, 2, 24))
    mask = patch.astype(np.uint8)
    square = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.dilate(mask, square).astype(bool)
    close = cv2.dilate(mask, np.ones((5, 5), np.uint8)).astype(bool)
    rim = close & ~patch
    within = smooth[patch]
    around, far = smooth[near & ~close], smooth[~near]
    features = {
        "disc_area": np.log10(area / value.size),
        "disc_share": area / float(bright.sum()),
        "disc_round": min(1.0, area / (np.pi * (radius + 0.5) ** 2)),
        "disc_solid": min(1.0, area / hull_area),
        # In patches of a few pixels, all points are on the circle
        "disc_arc": on_circle * min(1.0, radius / 6.0),
        "disc_rim": 1.0 - float(smooth[rim].mean()) / (BRIGHT * top) if rim.any() else 0.0,
        "disc_halo": float(around.mean()) / top if around.size else 1.0,
        "disc_dark_around": float(np.sum(far < DARK)) / smooth.size,
        "disc_clipped": float(np.mean(within > CLIPPED)),
    }
    return {name: float(features[name]) for name in DISC}


def measure_structure(picture: ScenePicture) -> dict[str, float]:
    """Structure features: straight lines and hard edges of man-made objects.

    Supports inside (many lines, long ones, two or three directions at right angles) and hardware in
    other frames (few very long hard edges); evidence against land, cloud and city webs (short, any
    direction). Lines by the detector of Grompone von Gioi et al. 2010 at half size, after
    normalising the brightest part, so that hardware in dark frames counts equally.
    """
    value = picture.half.lightness
    if min(value.shape) < 16:
        return dict.fromkeys(STRUCTURE, 0.0)
    rank = value.size * 98 // 100
    gain = LEVEL / max(float(np.partition(value, rank, axis=None)[rank]), LEVEL / 4.0)
    value = np.minimum(value * np.float32(gain), np.float32(1.0))
    gx, gy = _gradient(value)
    slope = cv2.magnitude(gx, gy)
    strong = slope > STRONG
    # Flipped so that the brighter halves come first: the line detector scans by rows
    seen, edges = value, strong
    across, along = seen.mean(axis=0), seen.mean(axis=1)
    height, width = seen.shape
    if height > width or (height == width and np.var(along) < np.var(across)):
        seen, edges, across, along = seen.T, edges.T, along, across
    flips = []
    for means in (along, across):
        places = np.arange(len(means)) - (len(means) - 1) / 2.0
        flips.append(np.s_[:: -1 if places @ means > 0.0 else 1])
    turned = (np.ascontiguousarray(each[tuple(flips)]) for each in (seen, edges))
    features = _lines(*turned)
    small = np.minimum(picture.half.half.lightness * np.float32(gain), np.float32(1.0))
    features |= _circle(small)
    # Large patches of the brighter of two levels, by Otsu's threshold
    bytes_ = np.round(small * 255.0).astype(np.uint8)
    _, bright = cv2.threshold(bytes_, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, _, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    # Share of the frame
    large = np.sum(stats[1:, cv2.CC_STAT_AREA] > 0.004 * small.size)
    lit = bright > 0
    apart = float(small[lit].mean() - small[~lit].mean()) if 0 < lit.sum() < lit.size else 0.0
    # Patches of low contrast are not panes
    certain = float(np.clip(apart / 0.15 - 1.0, 0.0, 1.0))
    features["structure_panes"] = certain * float(np.log10(1.0 + large))
    steepest = np.partition(slope, slope.size * 99 // 100, axis=None)[slope.size * 99 // 100 :]
    square = np.ones((7, 7), np.uint8)
    contrast = cv2.dilate(value, square) - cv2.erode(value, square)
    hard = slope[strong] / contrast[strong] if strong.any() else np.zeros(1)
    features["structure_edges"] = float(np.log10(strong.mean() + 1e-3))
    features["structure_hard"] = float(hard.mean()) if steepest.mean() > STRONG else 0.0
    return {name: float(features[name]) for name in STRUCTURE}


def _lines(value: NDArray[np.float32], strong: NDArray[np.bool_]) -> dict[str, float]:
    """Number, lengths and directions of straight lines."""
    bytes_ = (value * 255.0).astype(np.uint8)
    found = cv2.createLineSegmentDetector().detect(bytes_)[0]
    ends = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(float)
    along = (ends[:, 2] - ends[:, 0]) + 1j * (ends[:, 3] - ends[:, 1])
    length = np.abs(along)
    side = float(max(value.shape))
    total = float(length.sum())
    long = length > 0.1 * side
    weight = length[long] ** 2
    turn = (along[long] / np.maximum(length[long], 1e-9)) ** 2
    # The length of one long line is added as a neutral prior
    norm = float(weight.sum()) + (0.15 * side) ** 2
    drawn = np.zeros(value.shape, np.uint8)
    for x1, y1, x2, y2 in np.round(ends[length > 0.04 * side]).astype(int):
        cv2.line(drawn, (x1, y1), (x2, y2), 1, 3)
    return {
        "structure_length": float(length[length > 0.05 * side].sum()) * side / value.size,
        "structure_long": float(length[long].sum()) / (total + 0.5 * side),
        "structure_longest": float(length.max(initial=0.0)) / side,
        "structure_one_way": float(np.abs((weight * turn).sum())) / norm,
        "structure_right_angles": float(np.abs((weight * turn**2).sum())) / norm,
        "structure_straight_edges": float((strong & (drawn > 0)).sum()) / (strong.sum() + 50.0),
    }


def _gradient(value: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    border = cv2.BORDER_REPLICATE
    gx = cv2.Sobel(value, cv2.CV_32F, 1, 0, scale=0.125, borderType=border)
    gy = cv2.Sobel(value, cv2.CV_32F, 0, 1, scale=0.125, borderType=border)
    return np.asarray(gx, np.float32), np.asarray(gy, np.float32)


def _circle(value: NDArray[np.float32]) -> dict[str, float]:
    """The circle with most edge pixels: its centre is where the edge normals intersect."""
    gx, gy = _gradient(value)
    slope = np.hypot(gx, gy)
    strong = slope > STRONG
    rows, columns = np.nonzero(strong)
    if len(rows) < 40:
        return dict.fromkeys(CIRCLE, 0.0)
    half = max(value.shape) / 2.0
    middle = (np.array(value.shape) - 1.0) / 2.0
    place = (np.column_stack([columns, rows]) - middle[::-1]) / half
    normal = np.column_stack([gx[strong], gy[strong]]) / slope[strong][:, None]
    weight = np.ones(len(place))
    centre = np.zeros(2)
    for _ in range(4):
        across = np.column_stack([-normal[:, 1], normal[:, 0]])
        matrix = (across * weight[:, None]).T @ across + 1e-3 * len(place) * np.eye(2)
        target = (across * weight[:, None]).T @ (across * place).sum(axis=1)
        centre = np.linalg.solve(matrix, target)
        away = place - centre
        missed = (across * away).sum(axis=1)
        weight = 1.0 / (1.0 + (missed / 0.05) ** 2)
    radius = np.hypot(*away.T)
    pointing = np.abs((normal * away).sum(axis=1)) / np.maximum(radius, 1e-6) > 0.97
    usable = pointing & (radius > 0.15) & (radius < 1.2)
    rings = np.histogram(radius[usable], RINGS, (0.0, 1.28))[0]
    smooth = np.convolve(rings, (0.5, 1.0, 0.5), "same")
    size = (np.argmax(smooth) + 0.5) * 1.28 / RINGS
    # Relative to the circle's length in pixels: 1 if it is complete and one pixel wide
    seen = float(smooth.max() / (2.0 * np.pi * size * half))
    # Without a circle, size and rim are undefined: both fade to zero
    certain = float(np.clip((seen - 0.2) / 0.4, 0.0, 1.0))
    y, x = np.ogrid[: value.shape[0], : value.shape[1]]
    distance = np.hypot((x - middle[1]) / half - centre[0], (y - middle[0]) / half - centre[1])
    within = value[distance < 0.9 * size].mean() if (distance < 0.9 * size).any() else 0.0
    beyond = value[distance > 1.1 * size].mean() if (distance > 1.1 * size).any() else within
    values = min(seen, 3.0), certain * float(size), certain * float(within - beyond)
    return dict(zip(CIRCLE, values, strict=True))
