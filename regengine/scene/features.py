"""Hand-crafted features in families.

A family has a version, which is increased whenever the value of a feature for the same picture
changes. Its ``meaning`` documents what each feature measures and which class it supports. Its
function returns exactly these features, as finite floats.

Features use only the standard picture, never its original size, EXIF or JPEG tables: these identify
the source, not the scene. Rotating or mirroring the picture changes none of them beyond rounding:
an astronaut's camera has no preferred orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.psf import cut_stamps
from detectors.types import FloatImage
from regengine.scene.picture import ScenePicture, linear_light

# Colours as a function of brightness

COLOUR = {
    "colour_bright_red": "red minus green share of the brightest tenth's light; lamps, sunsets",
    "colour_bright_blue": "blue minus green share of the brightest tenth's light; lightning, day",
    "colour_dim_red": "red minus green share of the dimmer half's light; airglow and dark ground",
    "colour_dim_blue": "blue minus green share of the dimmer half's light; twilight, moonlight",
    "colour_green_light": "root of the share of light that is green beyond red and blue: aurora",
    "colour_green_area": "root of the share of lit pixels that are green, be it pale: aurora",
    "colour_purple_area": "root of the share of lit pixels that are purple: aurora's upper rim",
    "colour_red_light": "share of light that is red beyond green, blue below: sunset, 630 nm",
    "colour_orange_area": "share of lit pixels that are orange: sodium lamps, deserts, infrared",
    "colour_blue_area": "share of lit pixels that are blue: day, twilight",
    "colour_neutral_area": "share of lit pixels without colour: clouds, white panels",
    "colour_warmth_slope": "how much bluer bright pixels are than dim ones; infrared casts high",
    "colourfulness": "spread and strength of opponent colours over the brightness (Hasler 2003)",
    "colour_dark_red": "red minus blue share of the darker lit ground; day low, infrared high",
    "colour_dark_warmer": "how much redder that is than the brightest ground or cloud; the same",
    "colour_detail_warm": "how much warmer fine bright detail is: orange lamps high, cloud below 0",
    "colour_detail_green": "how much greener it is: aurora's curtains, fishing boats",
    "colour_hues": "bits of the hues' histogram weighted by saturation; inside high",
}
# Ten eight-bit steps at the foot of the sRGB curve: below, chromaticity fades to grey, because
# editors distort colours there
LIGHT_FLOOR = 10.0 / 255.0 / 12.92
LIT = 0.1  # as displayed, of the brightest channel
GREEN = 0.05  # of the light, excess over red and blue; airglow above the Earth stays below
HUES = 24  # bins of 15 degrees
# Lit ground: brighter than a share of nearly the maximum, and this many pixels away from darker
# areas, where windows end and colours bleed
RIM = np.ones((5, 5), np.uint8)
# Luminance quantiles of its darker and of its brightest pixels; clipped ones are excluded
DARKER, BRIGHTEST = (0.05, 0.35), (0.80, 0.97)


def measure_colour(picture: ScenePicture) -> dict[str, float]:
    """Colour features: hues, and their dependence on brightness.

    Supports aurora (green line of oxygen at 557.7 nm, red at 630 nm, purple of nitrogen), cities
    (orange lamps), day (blue haze), cameras without an infrared filter (dark ground is brown, not
    blue) and inside (white panels, many hues). Measured at a quarter of the size: colours vary
    slowly.

    Through the air, dark ground is bluer than cloud, because air scatters blue light most (as the
    fourth power of its frequency; Rayleigh 1871). A near-infrared camera records almost none of
    that light, but stray infrared in its optics, to which red pixels are most sensitive: its dark
    ground is as grey as its clouds, or brown.
    """
    quarter = picture.half.half
    light = _planes(quarter.linear)
    shown = _planes(quarter.rgb)
    red, green, blue = light
    total = red + green + blue + np.float32(3.0 * LIGHT_FLOOR)
    order = quarter.luminance.ravel()
    ranks = [order.size // 2, order.size * 9 // 10]
    middle, bright = np.partition(order, ranks)[ranks]
    features: dict[str, float] = {}
    for name, part in (("bright", order >= bright), ("dim", order <= middle)):
        mean = light[:, part].mean(axis=1) + LIGHT_FLOOR
        features[f"colour_{name}_red"] = float((mean[0] - mean[1]) / mean.sum())
        features[f"colour_{name}_blue"] = float((mean[2] - mean[1]) / mean.sum())
    whole = float(total.sum())
    brightness = quarter.brightest.ravel()
    lit = brightness > LIT
    # Aurora over moonlit cloud is pale green, recognisable only by its light
    greener = green - np.maximum(red, blue)
    pale = greener > GREEN * total
    features |= {
        "colour_green_area": np.sqrt(np.sum(pale & lit) / (np.sum(lit) + 16.0)),
        "colour_green_light": np.sqrt(float(np.maximum(greener, 0).sum()) / whole),
        "colour_red_light": float(np.maximum(red - np.maximum(green, blue), 0).sum()) / whole,
    }
    features |= _areas(shown[:, lit])
    features |= _ground(quarter)
    # Red relative to blue as a function of the brightness of lit pixels; the floor suppresses the
    # slope of a picture of uniform brightness
    features["colour_warmth_slope"] = 0.0
    if lit.sum() >= 16:
        offset = brightness[lit] - brightness[lit].mean()
        warmth = ((red - blue) / total)[lit]
        slope = float(np.mean(offset * warmth) / (np.mean(offset**2) + 0.002))
        features["colour_warmth_slope"] = -slope
    opponents = shown[0] - shown[1], (shown[0] + shown[1]) / 2.0 - shown[2]
    spread = np.hypot(*(np.std(opponent) for opponent in opponents))
    strength = np.hypot(*(np.mean(opponent) for opponent in opponents))
    features["colourfulness"] = float((spread + 0.3 * strength) / (shown.mean() + LIT))
    # Slopes of opponent colours against brightness among fine detail
    red, green, blue = _planes(picture.half.rgb - _blur(picture.half.rgb, 3.0))
    value = (red + green + blue) / 3.0
    energy = float(value @ value) + len(value) * (1.5 / 255.0) ** 2
    features["colour_detail_warm"] = float((red - blue) @ value) / energy
    features["colour_detail_green"] = float((green - (red + blue) / 2.0) @ value) / energy
    return {name: float(features[name]) for name in COLOUR}


def _planes(image: FloatImage) -> FloatImage:
    """The channels as rows, shape (3, h * w): sums over pixels are fast."""
    return np.ascontiguousarray(image.reshape(-1, 3).T)


def _blur(image: FloatImage, sigma_px: float, border: int = cv2.BORDER_REPLICATE) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=border), np.float32)


def _areas(lit: FloatImage) -> dict[str, float]:
    """Shares of the lit pixels by hue, and the histogram of hues."""
    if lit.shape[1] < 16:
        names = ("purple_area", "orange_area", "blue_area", "neutral_area", "hues")
        return {f"colour_{name}": 0.0 for name in names}
    converted = cv2.cvtColor(lit.T[None].copy(), cv2.COLOR_RGB2HSV)
    hue, saturation, value = _planes(np.asarray(converted, np.float32))
    coloured = saturation > 0.25
    weights = saturation * value
    counts = np.histogram(hue, HUES, (0.0, 360.0), weights=weights)[0]
    # The hue of nearly grey pixels is only rounding: a uniform floor dominates it
    floor = 0.02 * lit.shape[1]
    share = (counts + floor / HUES) / (counts.sum() + floor)
    return {
        "colour_purple_area": float(np.sqrt(np.mean(coloured & (hue > 265) & (hue < 340)))),
        "colour_orange_area": float(np.mean(coloured & (hue > 12) & (hue < 55))),
        "colour_blue_area": float(np.mean(coloured & (hue > 190) & (hue < 260))),
        "colour_neutral_area": float(np.mean(saturation < 0.12)),
        "colour_hues": float(-np.sum(share * np.log2(share))),
    }


def _ground(quarter: ScenePicture) -> dict[str, float]:
    """Medians of red relative to blue where lit ground is dark and where it is bright."""
    warmth, _ = sort_ground_warmth(quarter)
    if not len(warmth):
        return {"colour_dark_red": 0.0, "colour_dark_warmer": 0.0}
    dark, bright = (
        float(np.median(warmth[int(start * len(warmth)) : int(stop * len(warmth))]))
        for start, stop in (DARKER, BRIGHTEST)
    )
    return {"colour_dark_red": dark, "colour_dark_warmer": dark - bright}


def sort_ground_warmth(quarter: ScenePicture) -> tuple[FloatImage, FloatImage]:
    """Red minus blue share of the light of lit ground, and its luminance, the darkest first.

    Both of shape (N,), N = 0 for fewer than 64 pixels of ground.
    """
    brightness = quarter.brightest
    lit = brightness > LIT
    ground = np.zeros(lit.shape, bool)
    if lit.any():
        least = max(LIT, 0.25 * float(np.quantile(brightness[lit], 0.9)))
        ground = cv2.erode((brightness > least).astype(np.uint8), RIM).astype(bool)
    if ground.sum() < 64:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    red, green, blue = _planes(quarter.linear[ground])
    order = np.argsort(quarter.luminance[ground], kind="stable")
    warmth = (red - blue) / (red + green + blue + np.float32(3.0 * LIGHT_FLOOR))
    return warmth[order], quarter.luminance[ground][order]


# Ground as an infrared camera records it: its dark parts are bluer than grey by less than this
# share of light, and its warmth rises with the brightness by less than this correlation. So are 16
# of 17 infrared photos of four cameras, and 4 of 88 photos by day, of one hazy pass over land
MAX_DARK_BLUE, MAX_TREND = 0.03, 0.15


def has_infrared_ground(picture: ScenePicture) -> bool:
    """Whether lit ground has the colours of a camera without an infrared filter.

    See `measure_colour`: through the air, dark ground is bluer than what is bright.
    """
    warmth, luminance = sort_ground_warmth(picture.half.half)
    if not len(warmth) or not np.ptp(luminance) or not np.ptp(warmth):
        return False
    dark = np.median(warmth[int(DARKER[0] * len(warmth)) : int(DARKER[1] * len(warmth))])
    trend = np.corrcoef(warmth, luminance)[0, 1]
    return bool(dark > -MAX_DARK_BLUE and trend < MAX_TREND)


# Small bright sources, and the amount of detail at each size

POINTS = {
    "points_count": "log number of bright peaks; cities and stars high, empty nights low",
    "points_bright_only": "high peaks against as deep holes; lamps and stars near 1, land near 0",
    "points_strong": "log number of peaks a fifth of the brightness range high; lamps of cities",
    "points_contrast": "log number of peaks that far outshine their surroundings; cities, stars",
    "points_wide": "root of the share of cells that have such a peak; lightning low, cities high",
    "points_slope": "mean log of peak heights over the threshold; lamps reach far above",
    "points_extended": "median width of peaks; lightning and soft cloud wide, stars narrow",
    "points_common_direction": "how far peaks are drawn out along one direction: trails",
    "points_light": "share of all light above its surroundings in the peaks",
    "points_excess": "share of all light that stands above the darkest nearby; cities, day low",
    "points_web": "share of bright detail's light in thin parts: roads high, lightning's blobs low",
    "points_patches": "log number of patches of bright detail; cities high",
    "points_warm_area": "log share of the frame with warm bright detail: cities, even under cloud",
    "points_clipped": "root of the share of bright detail that is clipped: lightning",
}
FINE_CELLS = 16  # along each side of the picture
CLIPPED = 0.97  # as displayed, of the brightest channel
WARM_DETAIL = 0.15  # brightness above the surroundings, as displayed
MAX_LIGHT = 0.5  # linear, 1 is full scale
CORE_PX, AROUND_PX = 0.8, 3.0  # sigmas of the difference of Gaussians
MIN_HEIGHT = 10.0 / 255.0  # as displayed: lower peaks may be compression artefacts
MIN_ABOVE = 1e-4  # over its neighbours, beyond rounding
MAX_PEAKS = 500  # that are measured individually, the strongest

TEXTURE = {
    "texture_band_2px": "log contrast of details of about 2 px at half size; grain, lamps, land",
    "texture_band_8px": "log contrast of details of about 8 px; cloud, windows, hardware",
    "texture_slope": "growth of contrast with size; soft frames high, webs and grain low",
    "texture_bend": "whether middle sizes stand out of that growth: cloud fields, crops",
    "texture_peaks": "how far fine contrast exceeds the usual one in few places: lamps, stars",
    "texture_upward": "whether the strongest fine details are bright (lamps) or dark (gaps)",
    "texture_flat": "share of blocks without contrast: sky, space, dark nights",
    "texture_busy": "root of the share of blocks of strong contrast; inside, hardware, cloud",
    "texture_uneven": "log ratio of busy to quiet blocks' contrast; night with cities high",
    "texture_grain": "log contrast within the quiet blocks: a sensor's noise at night",
}
BLOCK_PX = 8
# One eight-bit step: lower contrasts are rounding
CONTRAST_FLOOR = 1.0 / 255.0
# Blocks count in full below the first and above twice the second, and in part up to twice the first
# and from the second
FLAT = 1.5 / 255.0
BUSY = 13.0 / 255.0


def measure_points(picture: ScenePicture) -> dict[str, float]:
    """Point features: number, size and shape of small bright sources.

    Supports cities (many, merged into webs) and stars (many, small); evidence against lightning and
    moonlit cloud (few large blobs). Fast detection: peaks of a difference of Gaussians above the
    noise, on the brightest channel as displayed.
    """
    value = picture.scene.brightest
    if min(value.shape) < 16:
        return dict.fromkeys(POINTS, 0.0)
    core, around = _blur(value, CORE_PX), _blur(value, AROUND_PX)
    detail = core - around
    # The noise is estimated from the quietest fifth, because roads may cover the rest. Its limit is
    # 0.2533 sigma
    quiet = np.sort(np.abs(detail[1::3, 1::3]), axis=None)
    noise = float(quiet[len(quiet) // 5]) / 0.2533
    threshold = float(np.clip(6.0 * noise, MIN_HEIGHT, 0.1))
    # Higher than all eight neighbours: on a straight edge, pixels are equal
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    peak = (detail > cv2.dilate(detail, ring) + MIN_ABOVE) & (detail > threshold)
    hole = (detail < cv2.erode(detail, ring) - MIN_ABOVE) & (detail < -threshold)
    rows, columns = np.nonzero(peak)
    count, heights, depths = len(rows), detail[rows, columns], -detail[hole]
    # Gaps between lamps are also holes, but shallow ones
    high_from = 0.5 * float(np.quantile(np.append(heights, depths), 0.9)) if count else threshold
    high, deep = int(np.sum(heights > high_from)), int(np.sum(depths > high_from))
    strongest = np.argsort(-heights, kind="stable")[:MAX_PEAKS]
    rows, columns, heights = rows[strongest], columns[strongest], heights[strongest]
    contrast = heights / (around[rows, columns] + 0.05) > 0.6
    height, width = detail.shape
    cells = np.unique(
        (2 * rows[contrast] + 1) * FINE_CELLS // (2 * height) * FINE_CELLS
        + (2 * columns[contrast] + 1) * FINE_CELLS // (2 * width)
    )
    features: dict[str, float] = {
        "points_count": np.log10(1.0 + count),
        "points_strong": np.log10(1.0 + np.sum(heights > 0.2)),
        "points_contrast": np.log10(1.0 + np.sum(contrast)),
        "points_wide": np.sqrt(len(cells)) / FINE_CELLS,
        # Three of each sign are added as a neutral prior
        "points_bright_only": (high - deep) / (high + deep + 6.0),
        "points_slope": np.log(heights / threshold).sum() / (len(heights) + 3.0),
        **_shapes(rows, columns, heights, core, detail),
        **_patches(picture.half.brightest, threshold),
    }
    peaked = value[detail > threshold]
    features["points_light"] = float(peaked @ peaked) / (float(value.ravel() @ value.ravel()) + 1.0)
    # Light above the dark ground, and the coincidence of local brightness and warmth; clipped: a
    # single flash must not dominate the frame
    clipped = np.minimum(linear_light(picture.half.brightest), np.float32(MAX_LIGHT))
    ground = cv2.blur(cv2.erode(_blur(clipped, 0.7), np.ones((7, 7), np.uint8)), (7, 7))
    mean_and_warmth = np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, -1]], np.float32)
    both = cv2.transform(picture.half.rgb, mean_and_warmth)
    light, warmth = cv2.split(both - cv2.blur(both, (11, 11), borderType=cv2.BORDER_REPLICATE))
    excess = float((clipped - ground).sum()) / (float(clipped.sum()) + clipped.size * 1e-3)
    warm = np.count_nonzero((light > WARM_DETAIL) & (warmth > 0.6 * WARM_DETAIL)) / light.size
    features |= {"points_excess": excess, "points_warm_area": np.log10(warm + 1e-4)}
    return {name: float(features[name]) for name in POINTS}


def _shapes(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    heights: FloatImage,
    core: FloatImage,
    detail: FloatImage,
) -> dict[str, float]:
    """Widths from the ratio of height and curvature; directions from structure tensors."""
    if len(rows) < 3:
        return {"points_extended": 0.0, "points_common_direction": 0.0}
    curvature = -cv2.Laplacian(core, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE)
    width = np.sqrt(heights / np.maximum(curvature[rows, columns], heights / 30.0))
    window = cut_stamps(detail, rows, columns, 4)
    gx = (window[:, 1:-1, 2:] - window[:, 1:-1, :-2]).reshape(len(window), -1)
    gy = (window[:, 2:, 1:-1] - window[:, :-2, 1:-1]).reshape(len(window), -1)
    turned = gx + 1j * gy
    twice = (turned**2).sum(axis=1) / (np.square(np.abs(turned)).sum(axis=1) + 1e-9)
    return {"points_extended": np.median(width), "points_common_direction": np.abs(twice.mean())}


def _patches(value: FloatImage, threshold: float) -> dict[str, float]:
    """Areas brighter than their wide surroundings, at half size: thin or thick, one or many."""
    small = cv2.resize(value, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    ground = cv2.blur(small, (9, 9), borderType=cv2.BORDER_REPLICATE)
    ground = cv2.resize(ground, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
    above = value - ground
    bright = (above > np.float32(max(2.0 * threshold, 0.08))).astype(np.uint8)
    area = int(bright.sum())
    _, _, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    thick = cv2.erode(bright, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    thick = cv2.dilate(thick, np.ones((5, 5), np.uint8))
    light = float(above[bright > 0].sum())
    thick_light = float(above[(thick > 0) & (bright > 0)].sum())
    clipped = int(np.count_nonzero((value > CLIPPED) & (bright > 0)))
    return {
        # Some light and area are added as a neutral prior
        "points_web": 1.0 - (thick_light + 0.5) / (light + 1.0),
        "points_patches": np.log10(1.0 + np.sum(stats[1:, cv2.CC_STAT_AREA] >= 2)),
        "points_clipped": np.sqrt(clipped / (area + 5.0)),
    }


def measure_texture(picture: ScenePicture) -> dict[str, float]:
    """Texture features: amount of detail at each size, and its distribution.

    Supports day (much, everywhere, at all sizes), cities (few sharp peaks above a smooth ground),
    moonlit cloud (soft: little at small sizes) and empty nights (only grain). Measured from half
    size downwards: smaller detail depends on the camera and on how often the photo was saved.
    """
    value = picture.half.lightness
    if min(value.shape) < 2 * BLOCK_PX:
        return dict.fromkeys(TEXTURE, 0.0)
    # Differences of Gaussians, one per octave; the coarser ones at a quarter of the size
    first = _blur(value, 1.0, cv2.BORDER_REFLECT)
    second = _blur(first, 1.7, cv2.BORDER_REFLECT)
    size = (value.shape[1] + 1) // 2, (value.shape[0] + 1) // 2
    small = np.asarray(cv2.resize(second, size, interpolation=cv2.INTER_AREA), np.float32)
    third = _blur(small, 1.7, cv2.BORDER_REFLECT)
    fourth = _blur(third, 3.4, cv2.BORDER_REFLECT)
    bands = [value - first, first - second, small - third, third - fourth]
    spread = np.array([_log(float(np.std(band))) for band in bands])
    steps = np.arange(len(bands)) - (len(bands) - 1) / 2.0
    # Root mean square of fine detail in blocks; the remainder is cut evenly at the borders
    detail = bands[0] + bands[1]
    height, width = (side // BLOCK_PX * BLOCK_PX for side in detail.shape)
    top, left = (detail.shape[0] - height) // 2, (detail.shape[1] - width) // 2
    squares = np.square(detail[top : top + height, left : left + width], dtype=np.float64)
    mean = squares.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    blocks = np.sort(np.asarray(np.sqrt(mean.mean(axis=(1, 3)))).ravel())
    quiet, busy = blocks[len(blocks) // 10], blocks[len(blocks) * 9 // 10]
    fine = np.sort(bands[1], axis=None)
    # Distance from zero of the lowest and the highest thousandth; their log ratio to the spread of
    # the quartiles is 0.6 for Gaussian noise
    reach, quarter = max(1, len(fine) // 500), len(fine) // 4
    low, high = -float(fine[:reach].mean()), float(fine[-reach:].mean())
    middle = float(fine[-quarter] - fine[quarter])
    return {
        "texture_band_2px": spread[0],
        "texture_band_8px": spread[2],
        "texture_slope": float(steps @ spread / (steps @ steps)),
        "texture_bend": float(spread[1:3].mean() - spread[[0, 3]].mean()),
        "texture_peaks": _log((low + high) / 2.0) - _log(middle),
        "texture_upward": (high - low) / (high + low + CONTRAST_FLOOR),
        "texture_flat": float(np.mean(np.clip(2.0 - blocks / FLAT, 0.0, 1.0))),
        "texture_busy": float(np.sqrt(np.mean(np.clip(blocks / BUSY - 1.0, 0.0, 1.0)))),
        "texture_uneven": _log(float(busy)) - _log(float(quiet)),
        "texture_grain": _log(float(quiet)),
    }


def _log(value: float) -> float:
    return float(np.log10(value + CONTRAST_FLOOR / 4.0))


# Outlines: the Moon, the Sun, and man-made structures

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
MIN_BRIGHT = 0.1  # of that, as displayed: darker pictures have no disc
DARK = 0.1  # as displayed
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
RINGS = 32  # of radii up to 1.28 half long sides
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
    smooth = _blur(value, 1.0)
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


def _lines(value: FloatImage, strong: NDArray[np.bool_]) -> dict[str, float]:
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


def _gradient(value: FloatImage) -> tuple[FloatImage, FloatImage]:
    border = cv2.BORDER_REPLICATE
    gx = cv2.Sobel(value, cv2.CV_32F, 1, 0, scale=0.125, borderType=border)
    gy = cv2.Sobel(value, cv2.CV_32F, 0, 1, scale=0.125, borderType=border)
    return np.asarray(gx, np.float32), np.asarray(gy, np.float32)


def _circle(value: FloatImage) -> dict[str, float]:
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


class Family(NamedTuple):
    """A family of features."""

    version: int
    meaning: Mapping[str, str]
    measure: Callable[[ScenePicture], Mapping[str, float]]


FAMILIES: Mapping[str, Family] = {
    "colour": Family(2, COLOUR, measure_colour),
    "disc": Family(1, DISC, measure_disc),
    "points": Family(1, POINTS, measure_points),
    "structure": Family(1, STRUCTURE, measure_structure),
    "texture": Family(1, TEXTURE, measure_texture),
}


def feature_names() -> tuple[str, ...]:
    """Names of all features, in the order of `measure_features`."""
    return tuple(name for family in FAMILIES.values() for name in family.meaning)


def feature_versions() -> dict[str, int]:
    return {name: family.version for name, family in FAMILIES.items()}


def measure_features(picture: ScenePicture) -> NDArray[np.float64]:
    """All features of a picture, shape (F,), in the order of `feature_names`; finite."""
    values: list[float] = []
    for family in FAMILIES.values():
        measured = family.measure(picture)
        values.extend(measured[name] for name in family.meaning)
    return np.array(values, np.float64)
