"""What colours a picture has, and at which brightness.

Speaks for aurora (green line of oxygen at 557.7 nm, red at 630 nm, purple of nitrogen), for cities
(orange lamps), for day (blue haze), for cameras without an infrared filter (brown land under blue
shadows) and for inside (white panels, many hues). Measured at a quarter of the
size: colours spread far.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

VERSION = 1
MEANING = {
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
    "colour_detail_warm": "how much warmer fine bright detail is: orange lamps high, cloud below 0",
    "colour_detail_green": "how much greener it is: aurora's curtains, fishing boats",
    "colour_hues": "bits of the hues' histogram weighted by saturation; inside high",
}
# Ten eight-bit steps at the sRGB curve's foot: below, chromaticity fades to grey, for editors make
# colours there
FLOOR = 10.0 / 255.0 / 12.92
LIT = 0.1  # as displayed, of the brightest channel
GREEN = 0.05  # of the light beyond red and blue; airglow over a frame's Earth stays below
HUES = 24


def measure(picture: ScenePicture) -> dict[str, float]:
    """Features of colour, see `MEANING`."""
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
    # Aurora over moonlit cloud is a pale green, told by light alone
    greener = green - np.maximum(red, blue)
    pale = greener > GREEN * total
    features |= {
        "colour_green_area": np.sqrt(np.sum(pale & lit) / (np.sum(lit) + 16.0)),
        "colour_green_light": np.sqrt(float(np.maximum(greener, 0).sum()) / whole),
        "colour_red_light": float(np.maximum(red - np.maximum(green, blue), 0).sum()) / whole,
    }
    features |= _areas(shown[:, lit])
    features |= _warmth((red - blue) / total, brightness) | _colourfulness(shown)
    features |= _detail(picture.half)
    return {name: float(features[name]) for name in MEANING}


def _planes(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The channels one after the other, shape (3, h * w): sums over pixels are fast."""
    return np.ascontiguousarray(image.reshape(-1, 3).T)


def _areas(lit: NDArray[np.float32]) -> dict[str, float]:
    """Shares of the lit pixels by hue, and the histogram of hues."""
    import cv2

    names = ("purple", "orange", "blue", "neutral")
    if lit.shape[1] < 16:
        return {f"colour_{name}_area": 0.0 for name in names} | {"colour_hues": 0.0}
    converted = cv2.cvtColor(lit.T[None].copy(), cv2.COLOR_RGB2HSV)
    hue, saturation, value = _planes(np.asarray(converted, np.float32))
    coloured = saturation > 0.25
    weights = saturation * value
    counts = np.histogram(hue, HUES, (0.0, 360.0), weights=weights)[0]
    # Nearly grey pixels have a hue by rounding alone: an even floor stands for them
    floor = 0.02 * lit.shape[1]
    share = (counts + floor / HUES) / (counts.sum() + floor)
    return {
        "colour_purple_area": float(np.sqrt(np.mean(coloured & (hue > 265) & (hue < 340)))),
        "colour_orange_area": float(np.mean(coloured & (hue > 12) & (hue < 55))),
        "colour_blue_area": float(np.mean(coloured & (hue > 190) & (hue < 260))),
        "colour_neutral_area": float(np.mean(saturation < 0.12)),
        "colour_hues": float(-np.sum(share * np.log2(share))),
    }


def _warmth(warmth: NDArray[np.float32], brightness: NDArray[np.float32]) -> dict[str, float]:
    """How red stands against blue over the brightness of the lit pixels."""
    lit = brightness > LIT
    if lit.sum() < 16:
        return {"colour_warmth_slope": 0.0}
    offset = brightness[lit] - brightness[lit].mean()
    # The floor keeps a picture of one brightness from having a slope
    slope = float(np.mean(offset * warmth[lit]) / (np.mean(offset**2) + 0.002))
    return {"colour_warmth_slope": -slope}


def _detail(half: ScenePicture) -> dict[str, float]:
    """Slopes of opponent colours against brightness among fine detail."""
    import cv2

    smooth = cv2.GaussianBlur(half.rgb, (0, 0), 3.0, borderType=cv2.BORDER_REPLICATE)
    red, green, blue = _planes(half.rgb - np.asarray(smooth, np.float32))
    value = (red + green + blue) / 3.0
    energy = float(value @ value) + len(value) * (1.5 / 255.0) ** 2
    return {
        "colour_detail_warm": float((red - blue) @ value) / energy,
        "colour_detail_green": float((green - (red + blue) / 2.0) @ value) / energy,
    }


def _colourfulness(shown: NDArray[np.float32]) -> dict[str, float]:
    red, green, blue = shown
    opponents = red - green, (red + green) / 2.0 - blue
    spread = np.hypot(*(np.std(opponent) for opponent in opponents))
    strength = np.hypot(*(np.mean(opponent) for opponent in opponents))
    return {"colourfulness": float((spread + 0.3 * strength) / (shown.mean() + LIT))}
