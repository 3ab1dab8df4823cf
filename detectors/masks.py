"""Masks of captions, blank bars, window frames, station hardware and smooth glare."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from detectors.types import BoolImage, FloatArray, FloatImage

# Linear light of 1.5 8-bit sRGB steps: areas that are darker everywhere are filled in, not exposed
BLANK_LIGHT = 1.5 / 255.0 / 12.92
# The following lengths are in working pixels
MIN_LINE_PX = 24.0  # chosen by eye
SIDES_PX = (2.0, 4.0)  # distances on both sides of a line at which light is compared

# A caption strip: rows with at least this share of white, starting at the border
CAPTION_SHARE = 0.6

# Grain is structure finer than this, measured over windows of WINDOW_PX
GRAIN_PX = 1.5
WINDOW_PX = 9  # chosen by eye
STRONG_SIGMAS = 6.0  # the grain of weaker light is lost in noise
# The rim of smooth light is steep, and half of its window is outside. A disc blurred by a quarter
# of its radius, like a thundercloud lit from within, extends outwards by 2 sigma of that blur
RIM_SHARE = 0.5


def mask_caption_strips(white: BoolImage, *, margin_px: int) -> BoolImage:
    """Mask caption strips, given the white pixels of an image, shape (h, w).

    A strip begins within `margin_px` rows of the border. It includes `margin_px` rows from its last
    white row on, to cover the blurred edge.
    """
    masked = np.zeros(white.shape, bool)
    for axis in (0, 1):
        share = white.mean(axis=1 - axis)
        for step in (1, -1):
            rows = share[::step] >= CAPTION_SHARE
            # Rows with letters are less white: the strip extends to the last white row in reach
            reach = int(0.12 * len(rows)) + 1  # a caption is at most this share of the image deep
            found = np.flatnonzero(rows[:reach])
            if rows[:margin_px].any() and len(found):
                depth = int(found[-1]) + margin_px
                strip = np.s_[:depth] if step == 1 else np.s_[-depth:]
                np.moveaxis(masked, axis, 0)[strip] = True
    return masked


def blank_parts(light: FloatImage) -> BoolImage:
    """Mask black bars, corners of rotated copies and entirely dark window frames.

    `light` (h, w): linear luminance, 0 to 1. A blank part is a black area at the border. Its
    outline has few corners, the pixels around it are not black, and it contains no lights. A sea
    with clipped blacks fails these tests: its outline is ragged, it contains the lights of a
    coast, or the pixels around it are black, too.
    """
    height, width = light.shape
    black = (light < BLANK_LIGHT).astype(np.uint8)
    black = np.asarray(cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(black, connectivity=4)
    mask = np.zeros(light.shape, bool)
    for label in range(1, count):
        left, top, wide, high, area = stats[label].tolist()
        gap = min(left, top, width - left - wide, height - top - high)
        # Edited copies may have thin lines of 4 px drawn around them
        if area < 0.004 * light.size or gap > 4:
            continue
        part = (labels == label).astype(np.uint8)
        near = cv2.dilate(part, np.ones((5, 5), np.uint8))
        ring = (cv2.dilate(part, np.ones((17, 17), np.uint8)) > 0) & (near == 0)  # 6 px around
        # Share of black pixels around: 0.1 to 0.3 around the bars and the corner of two real
        # copies. It is far higher around a sea with clipped blacks, where the black continues
        dark_around = float((light[ring] < BLANK_LIGHT).mean()) if ring.any() else 1.0
        if dark_around >= 0.5:
            continue
        outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(outlines, key=len)
        inside = cv2.drawContours(np.zeros_like(part), [outline], -1, 1, cv2.FILLED)
        # A bar or corner is entirely black, a night sea with a town in it is not
        is_full = int((inside > part).sum()) <= 1e-3 * int(part.sum())
        # A polygon with few corners fits it
        if is_full and len(cv2.approxPolyDP(outline, 0.006 * max(part.shape), True)) <= 6:
            mask |= near > 0
    return mask


def mask_window_frames(light: FloatImage, *, sky: BoolImage | None = None) -> BoolImage:
    """Mask parts cut off by a straight edge from border to border, without points of light.

    `light` (h, w): linear luminance, 0 to 1. `sky` (h, w): known sky; keeps the limb from being
    taken for a window frame.
    """
    height, width = light.shape
    size = choose_working_size(light.shape, 400)
    small = cv2.resize(np.asarray(light, np.float32), size, interpolation=cv2.INTER_AREA)
    value = np.power(np.clip(small, 0.0, 1.0), np.float32(1.0 / 2.2))
    above = np.zeros(value.shape, bool)
    if sky is not None:
        above = cv2.resize(sky.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    # Contrast of a point of light against 4 px around it
    points = cv2.morphologyEx(value, cv2.MORPH_TOPHAT, kernel) > 0.06
    calm = np.asarray(cv2.medianBlur(value, 5), np.float32)
    mask = np.zeros(value.shape, bool)
    # The longest straight edges in compressed light: x1, y1, x2, y2, shape (N, 4)
    brightest = max(float(np.percentile(value[::2, ::2], 99.5)), 0.05)
    image = (np.clip(value / brightest, 0.0, 1.0) * 255.0).astype(np.uint8)
    lines, length = _find_straight_edges(image, cv2.LSD_REFINE_STD)
    longest = np.argsort(length)[::-1][:60]
    for line in np.asarray(lines[longest[length[longest] >= MIN_LINE_PX]]):
        part = _cut_off(calm, points, line, above)
        if part is not None:
            mask |= part
    full = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(full > 0)


def _cut_off(
    value: FloatImage, points: BoolImage, line: FloatArray, above: BoolImage
) -> BoolImage | None:
    """Mask the smaller side of a line across the image; None if it is not a window frame."""
    height, width = value.shape
    along = (line[2:] - line[:2]) / np.hypot(*(line[2:] - line[:2]))
    across = np.array([-along[1], along[0]])
    y, x = np.ogrid[:height, :width]
    distance = (x - line[0]) * across[0] + (y - line[1]) * across[1]
    if (distance > 0).mean() > 0.5:
        distance, across = -distance, -across
    part = distance > -1.0
    within = distance > SIDES_PX[1]
    if not 0.004 < within.mean() < 0.35 or not (part & ~above).any():
        return None
    # A window frame has few points of light (glints)
    if float(points[within].mean()) > 3e-4:
        return None
    # The step in light across the line, at each of its pixels away from the limb
    way = np.arange(-np.hypot(height, width), np.hypot(height, width))
    places = line[:2] + way[:, None] * along
    margin = SIDES_PX[1] + 1.0
    inside = np.all(places > margin, axis=1) & np.all(
        places < np.array([width, height]) - 1.0 - margin, axis=1
    )
    places = places[inside]
    ones = np.ones((13, 13), np.uint8)  # 6 px around
    rim = cv2.morphologyEx(above.astype(np.uint8), cv2.MORPH_GRADIENT, ones) > 0
    column, row = np.rint(places).astype(int).T
    places = places[~rim[row, column]]
    if len(places) < MIN_LINE_PX:
        return None
    levels = []
    for side in (1.0, -1.0):
        total = np.zeros(len(places))
        for away in SIDES_PX:
            where = (places + side * away * across).astype(np.float32)
            total += cv2.remap(value, where[:, 0], where[:, 1], cv2.INTER_LINEAR).ravel()
        levels.append(total / len(SIDES_PX))
    steps = np.asarray(levels[0] - levels[1])
    sign = np.sign(np.median(steps))
    # Along most of the line the step has the same sign and at least three 8-bit steps
    if (steps * sign > 0.012).mean() < 0.7:
        return None
    # The spread of light in a window frame is at most half of the step at its edge
    low, high = np.percentile(value[within], (10, 90))
    return None if high - low > 0.5 * abs(float(np.median(steps))) else np.asarray(part)


def mask_hardware(light: FloatImage, sky: BoolImage | None = None) -> BoolImage:
    """Mask station hardware and window rims by their straight edges.

    Solar panels, trusses, arms and window frames have straight edges longer than a tenth of the
    image; lamps, streets, coasts and clouds do not. The mask covers these edges and the area
    between parallel ones.

    `light` (h, w): linear luminance, 0 to 1. `sky` (h, w): known sky; edges in it or along the limb
    are ignored, since the sky is masked separately.
    """
    height, width = light.shape
    size = choose_working_size(light.shape, 640)
    small = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
    # Straight edges that are too long for roads: x1, y1, x2, y2, shape (N, 4). Roads and coasts
    # give segments shorter than a tenth of the long side: there is none of this length in images
    # of Osaka and Nagoya
    logarithm = np.log(small + 0.3 * float(np.median(small)) + 2e-4)
    low, high = np.quantile(logarithm, (0.02, 0.998))
    spread = high - low if high - low >= 1e-6 else np.inf  # none in an even picture
    grey = np.clip((logarithm - low) / spread * 255.0, 0.0, 255.0)
    segments, length = _find_straight_edges(grey.astype(np.uint8), cv2.LSD_REFINE_ADV)
    segments = segments[length >= 0.1 * max(small.shape)]
    if sky is not None and len(segments):
        # Edges in the sky or along its rim: at least two of both ends and the midpoint
        wide = cv2.resize(sky.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        wide = cv2.dilate(wide, np.ones((25, 25), np.uint8))
        part = np.array([0.0, 0.5, 1.0])
        x = segments[:, :1] + part * (segments[:, 2:3] - segments[:, :1])
        y = segments[:, 1:2] + part * (segments[:, 3:] - segments[:, 1:2])
        column = np.clip(np.round(x), 0, size[0] - 1).astype(int)
        row = np.clip(np.round(y), 0, size[1] - 1).astype(int)
        segments = segments[~np.asarray((wide[row, column] > 0).sum(axis=1) >= 2)]
    mask = np.zeros(small.shape, np.uint8)
    for x1, y1, x2, y2 in np.round(segments).astype(int):
        cv2.line(mask, (int(x1), int(y1)), (int(x2), int(y2)), 1, 11)
    # Parallel neighbouring edges in groups, of which those of three or more are filled
    beside = np.zeros((len(segments),) * 2, bool)
    for i, k in zip(*np.tril_indices(len(segments), -1), strict=True):
        (x1, y1, x2, y2), other = segments[i], segments[k]
        length, other_length = np.hypot(x2 - x1, y2 - y1), np.hypot(*(other[2:] - other[:2]))
        along = np.array([x2 - x1, y2 - y1]) / length
        across = np.array([-along[1], along[0]])
        turn = np.degrees(np.arcsin(min(1.0, abs(across @ (other[2:] - other[:2])) / other_length)))
        ends = (other.reshape(2, 2) - segments[i, :2]) @ along
        overlap = min(length, ends.max()) - max(0.0, ends.min())
        apart = abs((0.5 * (other[:2] + other[2:]) - segments[i, :2]) @ across)
        # Of one direction, side by side over a third of the shorter one, within a fifth of the side
        beside[i, k] = turn <= 6.0 and overlap >= 0.3 * min(length, other_length)
        beside[i, k] &= apart <= 0.2 * max(small.shape)
    group = connected_components(beside, False)[1]
    for number in np.flatnonzero(np.bincount(group) >= 3):
        corners = segments[group == number].reshape(-1, 2).astype(np.float32)
        cv2.fillConvexPoly(mask, np.round(cv2.convexHull(corners)).astype(np.int32), 1)
    if not mask.any():
        return np.zeros(light.shape, bool)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), bool)


def choose_working_size(shape: tuple[int, ...], long_side_px: int) -> tuple[int, int]:
    """Width and height of an image downscaled to a given long side; both at least 16."""
    height, width = shape
    scale = min(1.0, long_side_px / max(height, width))
    return max(16, round(width * scale)), max(16, round(height * scale))


def _find_straight_edges(grey: NDArray[np.uint8], refinement: int) -> tuple[FloatArray, FloatArray]:
    """Detect straight edges with LSD: x1, y1, x2, y2, shape (N, 4), and their lengths.

    References
    ----------
    Grompone von Gioi, R., Jakubowicz, J., Morel, J.-M., Randall, G. (2012). LSD: a line segment
    detector. Image Processing On Line 2, 35-55.
    """
    found = cv2.createLineSegmentDetector(refinement).detect(grey)[0]
    if found is None:
        return np.zeros((0, 4)), np.zeros(0)
    lines = np.asarray(found, float).reshape(-1, 4)
    return lines, np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])


def smooth_light(
    light: FloatImage,
    level: FloatImage,
    noise: FloatImage,
    saturated: FloatImage,
    least_px: int,
) -> BoolImage:
    """Mask strong light without grain over more than a few pixels, including its rims, (h, w).

    City light consists of lamps and streets and is grainy at every scale. Light that reaches the
    camera through cloud or glass is smooth.

    `light` (h, w): linear light. `level`, `noise` (h, w): diffuse background and its noise.
    `saturated` (h, w): share of clipped pixels. Clipped light has no grain, so it is masked only
    together with smooth light around it. `least_px`: narrower smooth areas are not masked, since
    they may be defocused lamps.
    """
    excess = np.maximum(light - level, 0.0)
    grain = light - cv2.GaussianBlur(light, (0, 0), GRAIN_PX)
    size = (WINDOW_PX, WINDOW_PX)
    mean = np.asarray(cv2.blur(excess, size), np.float32)
    square = np.asarray(cv2.blur(grain * grain, size), np.float32)
    # Of white noise, 0.9 is finer than the grain
    grain_rms = np.sqrt(np.maximum(square - (0.9 * noise) ** 2, 0.0))
    strong = mean > STRONG_SIGMAS * noise
    # RMS grain over mean light. City light in archive photographs near nadir: 0.32 to 1.9 (2nd to
    # 80th percentile; Osaka, Nagoya, Tokyo); simulated: 0.23 and more; lightning, reflections and
    # twilight: 0 to 0.15
    smooth = strong & (grain_rms < 0.16 * mean)
    # Light with slightly more grain also counts as smooth if it adjoins smooth light
    nearly = strong & (grain_rms < 0.25 * mean)
    clipped = np.asarray(cv2.blur(saturated, size)) >= 0.1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (least_px | 1, least_px | 1))
    open_light = (smooth & ~clipped).astype(np.uint8)
    solid = cv2.morphologyEx(open_light, cv2.MORPH_OPEN, disc) > 0
    if not solid.any():
        return solid
    # Connected areas with a sufficient share of smooth light
    n_areas, area = cv2.connectedComponents((solid | (nearly | clipped)).astype(np.uint8))
    n_pixels = np.bincount(area.ravel(), minlength=n_areas)
    n_smooth = np.bincount(area[solid], minlength=n_areas)
    belongs = n_smooth >= 0.3 * np.maximum(n_pixels, 1)
    belongs[0] = False
    solid |= (nearly | clipped) & np.asarray(belongs[area])
    # Areas extended by their steep rims, which are wider for larger areas
    label = np.asarray(cv2.connectedComponents(solid.astype(np.uint8))[1], np.intp)
    depth = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5)
    radius = np.zeros(int(label.max()) + 1, np.float32)
    np.maximum.at(radius, label[solid], depth[solid])
    outside, nearest = cv2.distanceTransformWithLabels(
        (~solid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Map the label that the transform gives to each pixel of an area to the label of that area
    area_of = np.zeros(int(nearest.max()) + 1, np.intp)
    area_of[nearest[solid]] = label[solid]
    reach = np.maximum(WINDOW_PX, RIM_SHARE * radius)
    return np.asarray(outside <= reach[area_of[nearest]])


def extract_grainy_light(light: FloatImage) -> FloatImage:
    """Extract light narrower than a few pixels by a white top-hat transform.

    In a photo that resolves streets, city light is grainy. Moonlit cloud, lightning, reflections
    and haze are smooth, and only smooth light remains after a morphological opening. The result is
    linear light, shape (h, w), minus its opening by a disc of 5 px; not negative.

    References
    ----------
    Serra, J. (1982). Image Analysis and Mathematical Morphology. Academic Press, chapter XII.
    """
    # 3, 5 and 7 px performed alike on 27 telephoto frames of the training half, at 640 to 1,600 px
    # along the long side
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return np.asarray(cv2.morphologyEx(light, cv2.MORPH_TOPHAT, disc), np.float32)
