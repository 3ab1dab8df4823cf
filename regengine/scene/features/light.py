"""Features of colours as a function of brightness."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

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
FLOOR = 10.0 / 255.0 / 12.92
LIT = 0.1  # as displayed, of the brightest channel
GREEN = 0.05  # of the light, excess over red and blue; airglow above the Earth stays below
HUES = 24
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
    total = red + green + blue + np.float32(3.0 * FLOOR)
    order = quarter.luminance.ravel()
    ranks = [order.size // 2, order.size * 9 // 10]
    middle, bright = np.partition(order, ranks)[ranks]
    features: dict[str, float] = {}
    for name, part in (("bright", order >= bright), ("dim", order <= middle)):
        mean = light[:, part].mean(axis=1) + FLOOR
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
    smooth = cv2.GaussianBlur(picture.half.rgb, (0, 0), 3.0, borderType=cv2.BORDER_REPLICATE)
    red, green, blue = _planes(picture.half.rgb - np.asarray(smooth, np.float32))
    value = (red + green + blue) / 3.0
    energy = float(value @ value) + len(value) * (1.5 / 255.0) ** 2
    features["colour_detail_warm"] = float((red - blue) @ value) / energy
    features["colour_detail_green"] = float((green - (red + blue) / 2.0) @ value) / energy
    return {name: float(features[name]) for name in COLOUR}


def _planes(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The channels as rows, shape (3, h * w): sums over pixels are fast."""
    return np.ascontiguousarray(image.reshape(-1, 3).T)


def _areas(lit: NDArray[np.float32]) -> dict[str, float]:
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
    brightness = quarter.brightest
    lit = brightness > LIT
    ground = np.zeros(lit.shape, bool)
    if lit.any():
        least = max(LIT, 0.25 * float(np.quantile(brightness[lit], 0.9)))
        ground = cv2.erode((brightness > least).astype(np.uint8), RIM).astype(bool)
    if ground.sum() < 64:
        return {"colour_dark_red": 0.0, "colour_dark_warmer": 0.0}
    red, green, blue = _planes(quarter.linear[ground])
    warmth = ((red - blue) / (red + green + blue + np.float32(3.0 * FLOOR)))[
        np.argsort(quarter.luminance[ground], kind="stable")
    ]
    dark, bright = (
        float(np.median(warmth[int(start * len(warmth)) : int(stop * len(warmth))]))
        for start, stop in (DARKER, BRIGHTEST)
    )
    return {"colour_dark_red": dark, "colour_dark_warmer": dark - bright}
