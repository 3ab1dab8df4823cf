"""Lightning in one frame, or in one that neighbours of its sequence are laid over.

A flash lights a cloud from within: a broad, smooth, white to blue light that stands alone, and that
is not there in the next frame. ``docs/methods/lightning.md`` gives the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import siegelslopes

from detectors.background import flag_lights, read_clipped_map
from detectors.types import BoolImage, FloatImage, IndexArray, LightningDetections

# Registered are frames with so many points in common; frames of other places have fewer than 15
MIN_INLIERS = 40


def lay_over(
    levels: FloatImage, neighbour: FloatImage, ignored: BoolImage, ignored_there: BoolImage
) -> tuple[FloatImage, BoolImage, BoolImage] | None:
    """Lay a neighbour over a frame: points, a homography, and a smooth flow on top.

    `levels`, `neighbour` (h, w, 3): display levels, 0 to 255; `ignored`, `ignored_there` (h, w):
    sky, structure and captions of each. Returns the neighbour's colours at the frame's pixels, in
    the frame's gain, (h, w, 3), where it shows the same ground, and what stands still in both
    frames, so is no ground, (h, w). None if they have too little in common.
    """
    height, width = ignored.shape
    here, there = _even_contrast(levels), _even_contrast(neighbour)
    sift = cv2.SIFT.create(nfeatures=4000)
    points, words = sift.detectAndCompute(here, (~ignored).astype(np.uint8))
    others, other_words = sift.detectAndCompute(there, (~ignored_there).astype(np.uint8))
    if len(points) < MIN_INLIERS or len(others) < MIN_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words, other_words, k=2)
    # A nearest descriptor is at most 0.8 as far as the next one (Lowe 2004)
    good = [two[0] for two in pairs if len(two) == 2 and two[0].distance < 0.8 * two[1].distance]
    if len(good) < MIN_INLIERS:
        return None
    at = np.array([points[match.queryIdx].pt for match in good])
    to = np.array([others[match.trainIdx].pt for match in good])
    homography, inlier = cv2.findHomography(at, to, cv2.RANSAC, 3.0)
    if homography is None or int(inlier.sum()) < MIN_INLIERS:
        return None
    # Still is where points of both frames lie near one pixel although the ground has moved on
    ground = cv2.perspectiveTransform(at[:, None], np.asarray(homography))[:, 0]
    way = np.hypot(*(ground - at).T)
    # What hardly moves where the ground moves by 5 px and more: the station's structure, and what a
    # player or an editor drew into the frame
    stands = (np.hypot(*(to - at).T) < 0.25 * way) & (way > 5.0)
    marked = np.zeros((height, width), np.uint8)
    for at_x, at_y in np.rint(at[stands]).astype(int):
        cv2.circle(marked, (int(at_x), int(at_y)), 24, 1, -1)
    # Between two points of one thing
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (101, 101))
    still = np.asarray(cv2.morphologyEx(marked, cv2.MORPH_CLOSE, disc) > 0)
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    moved = cv2.perspectiveTransform(np.stack([x, y], axis=-1), homography)
    warped = _remap(there, moved)
    flow: NDArray[Any] = np.zeros((height, width, 2), np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(here, warped, flow)
    # A homography leaves the sphere and what stands above the ground: a smooth flow mends them
    for axis in (0, 1):
        plain = cv2.medianBlur(np.ascontiguousarray(flow[..., axis]), 5)
        flow[..., axis] = cv2.GaussianBlur(plain, (0, 0), 12.0)
    # A pixel shows there what lies at the place that the flow leads to, seen through the homography
    path = cv2.perspectiveTransform(np.stack([x, y], axis=-1) + flow, homography)
    hidden = ignored_there.astype(np.uint8)
    to_x, to_y = cv2.split(path.astype(np.float32))
    outside = cv2.remap(hidden, to_x, to_y, cv2.INTER_NEAREST, borderValue=1)
    valid = np.asarray(outside == 0) & ~still
    laid = _remap(neighbour, path)
    fitted = valid & ~ignored
    if not fitted.any():
        return None
    # In the gain and offset of the frame's channels, by their quantiles. Flashes of one frame alone
    # change the uppermost: repeated medians (Siegel 1982) do not follow them
    shares = np.linspace(0.02, 0.98, 49)
    for channel in range(3):
        theirs = np.quantile(laid[..., channel][fitted], shares)
        if np.ptp(theirs) > 0.0:
            ours = np.quantile(levels[..., channel][fitted], shares)
            slope, offset = siegelslopes(ours, theirs)
            laid[..., channel] = slope * laid[..., channel] + offset
    return laid, valid, still


def _remap(picture: NDArray[Any], path: NDArray[Any]) -> NDArray[Any]:
    """A picture at places (h, w, 2) by linear interpolation; its rim goes on beyond it."""
    x, y = cv2.split(path.astype(np.float32))
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _even_contrast(levels: FloatImage) -> NDArray[np.uint8]:
    """Grey of a frame with local contrast evened (CLAHE: Zuiderveld 1994)."""
    grey = np.clip(levels.mean(axis=2), 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(grey), np.uint8)


LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear red, green and blue (IEC 61966-2-1)


# What a flash is: least and most of each measure. Levels are those of 8-bit sRGB, lengths pixels of
# the frame given; half of its peak bounds it
BLUR_PX = 2.5  # sigma of the Gaussian under which peaks are sought
MIN_PEAK_LEVELS = 25.0  # of the blurred excess; chosen by eye
Limits = dict[str, tuple[float, float]]
LONE: Limits = {
    "blueness": (-0.07, np.inf),  # (blue - red) / sum, linear, of the light above the ring about it
    "greenness": (-np.inf, 0.08),  # (2 green - red - blue) / sum: airglow, fishing boats
    "width_px": (5.5, np.inf),  # across, as of an even ellipse: stars and lamps are narrower
    "elongation": (0.0, 6.5),  # length over width
    "core_balance": (0.62, np.inf),  # darkest over brightest colour of its core, levels
    # rms of what is finer than 2 px, over the mean, times the width: lamps and streets are grains
    "grain": (0.0, 1.9),
}
FLASHES: dict[str, Limits] = {
    # Bright and white: moonlit cloud is neither
    "bright": LONE
    | {
        "height": (90.0, np.inf),
        "core_levels": (135.0, np.inf),  # darkest colour of its core
        "prominence": (0.25, np.inf),  # share of its peak by which it rises above the ring about it
        "contrast": (4.5, np.inf),  # the same over the spread in the ring
    },
    "faint": LONE
    | {
        "snr": (5.0, np.inf),  # of the peak over the noise of the blurred frame
        "core_levels": (30.0, np.inf),
        "prominence": (0.55, np.inf),
        "contrast": (9.0, np.inf),
        "core_balance": (0.86, np.inf),
        "greenness": (-0.12, 0.08),  # reflections of cabin lamps are purple
        "uniqueness": (0.3, np.inf),  # as prominence, of a ring six radii wide: fields of lamps
    },
    # A distant one is small, and quite alone
    "small": LONE
    | {
        "width_px": (5.5, 12.0),
        "core_levels": (70.0, np.inf),
        "core_balance": (0.8, np.inf),
        "prominence": (0.75, np.inf),
        "contrast": (7.0, np.inf),
        "uniqueness": (0.9, np.inf),
        "grain": (0.0, 2.6),  # a narrow light has more
    },
    # What neighbours laid over the frame do not show, and no edge that moved otherwise
    "new": {
        "area_px": (40.0, np.inf),
        "blueness": (0.0, np.inf),
        "core_levels": (45.0, np.inf),
        "prominence": (0.25, np.inf),
        "contrast": (4.5, np.inf),
        "grain": (0.0, 1.9),
    },
}


# Of a frame of the same sequence and size: linear red, green and blue, (h, w, 3), and where sky,
# structure and captions are, (h, w)
Neighbour = tuple[NDArray[np.generic], BoolImage]


@dataclass(frozen=True, kw_only=True)
class Lightning:
    """Lightning as excess of white and blue light over its surroundings and its neighbours."""

    name: ClassVar[str] = "excess"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
        neighbours: Sequence[Neighbour] = (),
    ) -> LightningDetections:
        """Find the flashes of a frame.

        `light` (h, w, 3): linear red, green and blue, 1 at full scale; grey of shape (h, w) has no
        colour to tell by, and no flashes; `mask` (h, w): True where pixels must be ignored: sky,
        structure, captions; `saturated` (h, w): fraction of clipped pixels under each pixel;
        `neighbours`: frames before and after. Where they show the same ground, a flash is what none
        of them shows. Those of other places are left out.
        """
        if light.ndim != 3 or light.shape[2] != 3 or min(light.shape[:2]) < 32:
            return LightningDetections.empty()
        linear = np.asarray(light, np.float32)
        ignored = ~np.isfinite(linear).all(axis=2)
        ignored |= np.zeros(ignored.shape, bool) if mask is None else mask
        linear = np.clip(np.where(ignored[..., None] & ~np.isfinite(linear), 0.0, linear), 0.0, 1.0)
        if ignored.all():
            return LightningDetections.empty()
        levels = convert_to_levels(linear)
        white = remove_red(levels)
        # Median of the square of 161 px about each pixel, computed at a quarter of the size
        height, width = white.shape
        small = cv2.resize(
            np.clip(white, 0.0, 255.0), (width // 4, height // 4), interpolation=cv2.INTER_AREA
        )
        median = cv2.medianBlur(np.rint(small).astype(np.uint8), 41)
        excess = white - np.asarray(
            cv2.resize(median.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        )
        blurred = np.where(ignored, np.float32(0.0), excess)
        blurred = cv2.GaussianBlur(blurred, (0, 0), BLUR_PX)
        noise = 0.3 + 1.4826 * float(np.median(np.abs(blurred[~ignored])))

        # Where neighbours show the same ground, their light is what lies around
        base = np.full(linear.shape, np.nan, np.float32)
        new = np.full(excess.shape, np.inf, np.float32)
        for other, ignored_there in neighbours:
            there = convert_to_levels(np.asarray(other, np.float32))
            laid = lay_over(levels, there, ignored, ignored_there)
            if laid is None:
                continue
            neighbour_levels, valid, still = laid
            ignored |= still
            valid = valid & ~ignored
            added = cv2.GaussianBlur(white - remove_red(neighbour_levels), (0, 0), BLUR_PX)
            lower = valid & (added < new)
            new[lower] = added[lower]
            base[lower] = convert_to_light(neighbour_levels)[lower]
        compared = np.isfinite(new)
        blurred = np.where(ignored, np.float32(0.0), np.where(compared, new, blurred))

        flashes: list[dict[str, Any]] = []
        done = np.zeros(ignored.shape, bool)  # lit by a peak that was looked at
        glow = ignored.copy()  # what no ring may lie in
        highest = cv2.dilate(blurred, np.ones((7, 7), np.uint8))
        rows, cols = np.nonzero((blurred >= highest) & (blurred > MIN_PEAK_LEVELS))
        # The brightest; more have frames full of lamps or without any night
        order = np.argsort(-blurred[rows, cols], kind="stable")[:150]
        for row, col in zip(rows[order].tolist(), cols[order].tolist(), strict=True):
            if done[row, col] or ignored[row, col]:
                continue
            lit = flood(blurred, row, col)
            if lit is None:
                continue
            done[lit] = True
            peak = _measure_peak(blurred, noise, excess, linear, levels, base, glow, lit)
            kinds = ("new",) if compared[row, col] else ("bright", "faint", "small")
            if peak is not None and any(
                all(least <= peak[name] <= most for name, (least, most) in FLASHES[kind].items())
                for kind in kinds
            ):
                flashes.append(peak)
                glow[lit] = True
        return _describe(flashes, ignored, read_clipped_map(saturated, linear.max(axis=2)))


def convert_to_levels(linear: FloatImage) -> FloatImage:
    """Levels of sRGB (IEC 61966-2-1), 0 to 255, not rounded, of linear light."""
    light = np.clip(linear, 0.0, 1.0)
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(255.0 * curved, np.float32)


def convert_to_light(levels: FloatImage) -> FloatImage:
    """Linear light, 0 to 1, of levels of sRGB."""
    value = np.clip(levels / 255.0, 0.0, 1.0)
    curved = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(curved, np.float32)


def remove_red(levels: FloatImage) -> FloatImage:
    """Blue, less what red has more than it nearby: sodium lamps are dark, white light stays."""
    blue = levels[..., 2]
    redder = cv2.GaussianBlur(levels[..., 0] - blue, (0, 0), 1.5)
    return np.asarray(blue - np.maximum(redder, 0.0), np.float32)


def flood(image: FloatImage, row: int, col: int) -> tuple[IndexArray, IndexArray] | None:
    """Rows and columns connected to a peak and above half of it; None where one is higher."""
    height, width = image.shape
    half = 0.5 * float(image[row, col])
    for reach in (24, 72, max(height, width)):
        top, left = max(row - reach, 0), max(col - reach, 0)
        part = image[top : row + reach + 1, left : col + reach + 1]
        label = np.asarray(
            cv2.connectedComponents((part > half).astype(np.uint8), connectivity=4)[1]
        )
        lit = label == label[row - top, col - left]
        rows, cols = np.nonzero(lit)
        rows, cols = rows + top, cols + left
        inside = rows.min() > top or top == 0
        inside &= cols.min() > left or left == 0
        inside &= bool(rows.max() < row + reach or row + reach >= height - 1)
        inside &= bool(cols.max() < col + reach or col + reach >= width - 1)
        if inside:
            break
    return None if image[rows, cols].max() > image[row, col] else (rows, cols)


def _measure_peak(
    blurred: FloatImage,
    noise: float,
    excess: FloatImage,
    linear: FloatImage,
    levels: FloatImage,
    base: FloatImage,
    glow: BoolImage,
    lit: tuple[IndexArray, IndexArray],
) -> dict[str, Any] | None:
    """Measure a peak against the rings about it, for `FLASHES` and the table; None if hidden."""
    rows, cols = lit
    radius = float(np.sqrt(rows.size / np.pi))
    reach = int(6.0 * radius) + 12
    window = (
        slice(max(int(rows.min()) - reach, 0), int(rows.max()) + reach + 1),
        slice(max(int(cols.min()) - reach, 0), int(cols.max()) + reach + 1),
    )
    inside = np.zeros(glow[window].shape, bool)
    inside[rows - window[0].start, cols - window[1].start] = True
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    free = ~glow[window]
    ring = free & (away > 0.6 * radius + 2.0) & (away <= 1.6 * radius + 6.0)
    wide = free & (away > 1.2 * radius + 4.0) & (away <= 6.0 * radius + 10.0)
    if int(ring.sum()) < 10:
        return None

    light, own = blurred[window], linear[window]
    height = float(light[inside].max())
    middle = float(np.median(light[ring]))
    spread = 1.4826 * float(np.median(np.abs(light[ring] - middle)))
    far = float(np.percentile(light[wide], 97)) if wide.any() else 0.0

    # Colours of what is added: its halo, where nothing is clipped, tells more than its core
    around = np.median(own[ring], axis=0)
    behind = np.where(np.isfinite(base[window]), base[window], around)
    halo = (
        (away <= 0.6 * radius + 2.0) & (excess[window] > 0.15 * height) & ~(glow[window] & ~inside)
    )
    halo &= levels[window].max(axis=2) < 250.0
    red, green, blue = (own - behind)[halo if int(halo.sum()) >= 5 else inside].sum(axis=0)
    total = max(float(red + green + blue), 1e-9)
    core = levels[window][inside & (light >= 0.8 * height)].mean(axis=0)

    fine = cv2.GaussianBlur(excess[window], (0, 0), 1.0)
    grain = fine - cv2.GaussianBlur(fine, (0, 0), 2.0)
    texture = float(np.sqrt(np.mean(grain[inside] ** 2)) / max(fine[inside].mean(), 1e-6))
    weight = light[inside]
    moments_px2 = np.cov(np.stack([cols, rows])) + np.eye(2) / 12.0
    # Width and length of an even ellipse of these moments
    width, length = (4.0 * float(axis) for axis in np.sqrt(np.linalg.eigvalsh(moments_px2)))
    return {
        "height": height,
        "snr": height / noise,
        "area_px": rows.size,
        "x": float(np.average(cols, weights=weight)),
        "y": float(np.average(rows, weights=weight)),
        # The centroid is uncertain by a fifth of the flash's extent
        "covariance_px2": 0.2**2 * moments_px2,
        "x1": cols.min(),
        "y1": rows.min(),
        "x2": cols.max(),
        "y2": rows.max(),
        "width_px": width,
        "elongation": length / width,
        "fwhm_px": np.sqrt(np.prod((width, length))),
        "flux": float(((own - behind)[inside] @ LUMINANCE).sum()),
        "blueness": float(blue - red) / total,
        "greenness": float(2.0 * green - red - blue) / total,
        "core_levels": float(core.min()),
        "core_balance": float(core.min() / max(core.max(), 1.0)),
        "prominence": (height - float(np.percentile(light[ring], 97))) / height,
        "contrast": (height - middle) / (spread + 1.5),
        "uniqueness": (height - far) / height,
        "grain": texture * width,
    }


def _describe(
    flashes: list[dict[str, Any]], ignored: BoolImage, clipped: BoolImage
) -> LightningDetections:
    if not flashes:
        return LightningDetections.empty()
    flashes = sorted(flashes, key=lambda peak: -peak["flux"])
    names = [one.name for one in fields(LightningDetections) if one.name != "flags"]
    column = {name: np.array([peak[name] for peak in flashes], float) for name in names}
    x, y, radius_px = column["x"], column["y"], 0.5 * column["fwhm_px"]
    return LightningDetections(**column, flags=flag_lights(x, y, radius_px, ignored, clipped))


DETECTORS = (Lightning(),)
