"""The photo's template for the dense search: turned to every roll, transformed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from matchers.tiles import stereographic

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# Opposite rolls share one window for the map's spread unless half a turn changes this share of the
# mask: with sky or hardware on one side the spread would be taken where the photo shows nothing
MOST_TURNED_SHARE = 0.02
# Tiles reach beyond half a step, since neighbours in other rings do not face each other
TILE_OVERLAP = 1.2
# All turns of a larger tile leave the processor's cache
LARGEST_FFT_PX = 256


@dataclass(frozen=True, kw_only=True)
class DenseParameters:
    """How finely the dense search looks.

    Attributes
    ----------
    template_px : int
        Long side of the photo's small light image.
    corner_px : float
        The template is turned in steps so small that its corners are off by at most this, about
        the blur of both images: 6 degrees for 64 px.
    displaced_share : float
        What lies in the template's corners may be off by this share of its half diagonal where
        the template lies in the corner of a tile: sets how large tiles are.
    max_off_nadir_deg : float
        Boresights reach this far; the horizon of the ISS lies at 70 degrees.
    peaks_per_view : int
        Peaks kept for every tile and roll.
    peak_reach_px : int
        They are farther apart than this.
    smooth_px : float
        Blur of both images, template pixels.
    detail_px : float
        Broader structure than this is taken out of both images.
    """

    template_px: int = 64
    corner_px: float = 2.1
    displaced_share: float = 0.06
    max_off_nadir_deg: float = 70.0
    peaks_per_view: int = 3
    peak_reach_px: int = 3
    smooth_px: float = 0.8
    detail_px: float = 4.0


@dataclass(frozen=True)
class TurnedTemplates:
    """Spectra of the photo's template at every roll, and of fewer windows, for one FFT size.

    Where there are windows for half of the rolls, they serve the opposite ones, too.
    """

    rolls_deg: FloatArray
    images: Image
    image_spectra: NDArray[np.complex64]
    mask_spectra: NDArray[np.complex64]
    pixels: Image
    side_px: int
    fft_px: int
    step_deg: float = 0.0

    @property
    def window_of(self) -> NDArray[np.intp]:
        """Which window serves each roll, shape (n,)."""
        return np.arange(len(self.rolls_deg)) % len(self.pixels)


def turned_templates(
    template: Image, mask: Image, rolls_deg: FloatArray, fft_px: int
) -> TurnedTemplates:
    """Turn a template to every roll and transform it.

    Parameters
    ----------
    template : ndarray of float32, shape (h, w)
        The photo's small light image.
    mask : ndarray of float32, shape (h, w)
        1 where it counts, 0 where not.
    rolls_deg : ndarray of float64, shape (n,)
        Rolls, as in `matchers.attitude.off_nadir_attitude`.
    fft_px : int
        Side of the transforms.

    Returns
    -------
    TurnedTemplates
    """
    h, w = template.shape
    side = int(np.ceil(np.hypot(h, w))) | 1
    centre = (side - 1) / 2.0
    images = np.zeros((len(rolls_deg), fft_px, fft_px), np.float32)
    masks = np.zeros_like(images)
    for k, roll in enumerate(np.radians(rolls_deg)):
        c, s = np.cos(roll), np.sin(roll)
        matrix = np.array(
            [
                [c, -s, centre - c * (w - 1) / 2 + s * (h - 1) / 2],
                [s, c, centre - s * (w - 1) / 2 - c * (h - 1) / 2],
            ]
        )
        turned_mask = cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_LINEAR)
        turned_image = cv2.warpAffine(template, matrix, (side, side), flags=cv2.INTER_LINEAR)
        inside = (turned_mask > 0.6).astype(np.float32)
        count = max(float(inside.sum()), 1.0)
        mean = float((turned_image * inside).sum()) / count
        centred = (turned_image - mean) * inside
        norm = float(np.sqrt((centred**2).sum()))
        images[k, :side, :side] = centred / max(norm, 1e-12)
        masks[k, :side, :side] = inside
    windows = masks[: len(masks) // 2] if same_when_turned(mask) else masks
    return TurnedTemplates(
        rolls_deg=rolls_deg,
        images=images,
        image_spectra=np.conj(fft.rfft2(images)),
        mask_spectra=np.conj(fft.rfft2(windows)),
        pixels=windows.sum(axis=(1, 2)).astype(np.float32),
        side_px=side,
        fft_px=fft_px,
    )


def same_when_turned(mask: Image) -> bool:
    """Whether a mask is about the same after half a turn, as that of a whole rectangle is."""
    changed = float(np.abs(mask - mask[::-1, ::-1]).sum())
    return changed <= MOST_TURNED_SHARE * float(mask.sum())


def even_rolls_deg(half_diagonal_px: float, corner_px: float) -> FloatArray:
    """Rolls all round, as many opposite ones, such that corners are off by at most some pixels."""
    widest_deg = math.degrees(2.0 * corner_px / half_diagonal_px)
    count = 2 * math.ceil(180.0 / widest_deg)
    return np.arange(count) * 360.0 / count


def tile_step_deg(half_diagonal_tan: float, parameters: DenseParameters) -> float:
    """Spacing of the boresights at which a photo fits tiles well enough everywhere.

    Between stereographic images about two axes, an angle ``theta`` apart, a photo's centre is
    enlarged by ``1 + a^2`` with ``a = tan(theta / 2)``, and a point at ``t = tan(phi / 2)`` from
    it is displaced by a further ``a t`` of that distance.

    Parameters
    ----------
    half_diagonal_tan : float
        Tangent of the angle between the optical axis and the photo's corner.
    parameters : DenseParameters
        With the displacement that is allowed.

    Returns
    -------
    float
        Degrees.
    """
    t = math.tan(0.5 * math.atan(half_diagonal_tan))
    a = 0.5 * (math.sqrt(t * t + 4.0 * parameters.displaced_share) - t)
    # Of a square grid's cells the corners are farthest from a node
    return math.degrees(2.0 * math.atan(a)) * math.sqrt(2.0)


def templates_for(
    template: Image, mask: Image, focal_px: float, parameters: DenseParameters
) -> TurnedTemplates:
    """Turned templates large enough for tiles of a focal length.

    Parameters
    ----------
    template, mask : ndarray of float32, shape (h, w)
        The photo's small light image and what of it counts.
    focal_px : float
        Focal length of that image, pixels.
    parameters : DenseParameters
        How finely to look.

    Returns
    -------
    TurnedTemplates
    """
    diagonal = float(np.hypot(*template.shape))
    side = math.ceil(diagonal) | 1
    widest_deg = tile_step_deg(0.5 * diagonal / focal_px, parameters)
    reach_px = 4.0 * focal_px * math.tan(0.25 * math.radians(TILE_OVERLAP * widest_deg))
    reach_px = min(reach_px, LARGEST_FFT_PX - side)
    step_deg = math.degrees(4.0 * math.atan(reach_px / (4.0 * focal_px))) / TILE_OVERLAP
    fft_px = int(fft.next_fast_len(int(side + reach_px), real=True))
    rolls = even_rolls_deg(0.5 * diagonal, parameters.corner_px)
    flat, counted = (stereographic(image, focal_px) for image in (template, mask))
    return replace(turned_templates(flat, counted, rolls, fft_px), step_deg=step_deg)
