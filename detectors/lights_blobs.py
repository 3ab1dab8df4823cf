"""Multi-scale blob detection of lights: scale-space peaks, fitted and subtracted, finest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.background import (
    as_float_image,
    estimate_diffuse_level,
    find_hot_pixels,
    lift_above_zero,
    mask_ignored_pixels,
    read_clipped_map,
)
from detectors.blob_measures import HALF_LIGHT_SIGMAS, MeasuredLights, draw_blobs, fit_blobs
from detectors.blobs import Surroundings, find_peaks
from detectors.frame import ClippedAreas, flag_lights
from detectors.scale_space import BASE_SIGMA, make_first_base, make_next_base, make_octave
from detectors.types import BoolImage, FloatImage, LightDetections

BASE_NOISE_GAIN = 1.0 / (2.0 * np.pi**0.5 * BASE_SIGMA)  # of white noise under the base Gaussian
SHORTEST_SIDE_PX = 8  # smaller octaves consist only of border
RADIUS_MARGIN = 1.25  # measured radii are noisy: accept slightly larger ones than the limit
# Lower bound of centroid errors, independent of brightness (measured on simulated isolated lights
# at SNR > 200)
CENTROID_FLOOR_PX = 0.02


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Multi-scale blob detector for towns and lamps on a bright diffuse background.

    It works octave by octave, from lamps of one pixel to towns. In each octave it finds maxima of
    a difference-of-Gaussians scale space, fits Gaussians to them and subtracts these. Subtraction
    keeps a group of lights from being detected again as one large light.
    ``docs/methods/lights.md`` gives the equations.
    """

    min_snr: float = 5.0  # minimum SNR of a peak in the filtered image
    largest_radius_px: float = 40.0  # half-light radius of the largest lights to detect
    background_scale_px: float = 128.0  # box size for the estimate of the diffuse light
    # Minimum prominence of a peak, as a fraction of its height: it must rise this far above every
    # profile across it. Excludes the limb, edges of hardware and smooth roads
    min_prominence: float = 0.5
    min_unexplained: float = 0.6  # minimum fraction of a peak not explained by finer lights
    clutter_weight: float = 0.8  # weight of surrounding texture (cloud, hardware) as noise
    saturation_light: float = 0.97  # pixels at or above count as clipped even without `saturated`
    name: ClassVar[str] = "blobs"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> LightDetections:
        """Find the lights of an image; see `detectors.types.Detector`."""
        image = as_float_image(light)
        ignored = mask_ignored_pixels(image, mask)
        clipped = (image >= self.saturation_light) | read_clipped_map(saturated, image)
        clipped &= ~ignored
        areas = ClippedAreas.of(clipped)
        # Clipped areas too large for a town: caption strips, lightning, the sunlit limb
        ignored |= areas.larger_than(2.0 * self.largest_radius_px)
        if ignored.all() or np.ptp(image[~ignored]) == 0.0:
            return LightDetections.empty()
        image = lift_above_zero(image, ignored)
        level = estimate_diffuse_level(image, scale_px=self.background_scale_px, mask=ignored)
        image = np.where(find_hot_pixels(image) | ignored, level, image)
        found = self._find_blobs(image, level, ignored, areas)
        h, w = ignored.shape
        inside = (found.x >= 0) & (found.x <= w - 1) & (found.y >= 0) & (found.y <= h - 1)
        found = found.select(inside & (found.flux > 0.0))
        found = found.select(found.radius_px <= RADIUS_MARGIN * self.largest_radius_px)
        found = found.select(found.signal / found.noise >= self.min_snr)
        found = found.select(~found.echoes())
        found = found.select(np.argsort(-found.flux, kind="stable"))
        # Cramer-Rao bound of a Gaussian's centre in white noise: 2 M / SNR^2
        own_snr = found.signal / found.own_noise
        bound = 2.0 * found.moments / own_snr[:, None, None] ** 2
        return LightDetections(
            x=found.x,
            y=found.y,
            flux=found.flux,
            snr=found.signal / found.noise,
            radius_px=found.radius_px,
            covariance_px2=bound + CENTROID_FLOOR_PX**2 * np.eye(2),
            flags=flag_lights(found.x, found.y, found.radius_px, ignored, clipped),
        )

    def _find_blobs(
        self,
        image: FloatImage,
        level: FloatImage,
        ignored: BoolImage,
        areas: ClippedAreas,
    ) -> MeasuredLights:
        """Find, fit and subtract peaks octave by octave."""
        full = rest = make_first_base(image - level)
        around: Surroundings | None = None
        lights, step = [MeasuredLights.none()], 1
        while step * HALF_LIGHT_SIGMAS <= self.largest_radius_px:
            if min(rest.shape) < SHORTEST_SIDE_PX:
                break
            whole = make_octave(full)
            left = whole if rest is full else make_octave(rest)
            if around is None:
                around = first = Surroundings.of_first_octave(
                    whole, self.background_scale_px, level=level, ignored=ignored, areas=areas
                )
            else:
                around = first.of_coarser(whole, step, around)
            peaks = find_peaks(
                around,
                left,
                min_snr=self.min_snr,
                min_prominence=self.min_prominence,
                min_unexplained=self.min_unexplained,
                clutter_weight=self.clutter_weight,
            )
            if len(peaks) == 0:
                rest = whole.halved if rest is full else left.halved
            else:
                own = around.noise_under_light(peaks.row, peaks.col)
                base_noise = own * (BASE_NOISE_GAIN / step)
                fitted = fit_blobs(rest, peaks.x, peaks.y, peaks.sigma_px, base_noise)
                rest = make_next_base(rest - draw_blobs(rest.shape, fitted))
                noise = around.between_lights(peaks.row, peaks.col)
                lights.append(
                    MeasuredLights.from_octave(peaks, fitted, step=step, noise=noise, own_noise=own)
                )
            full, step = whole.halved, 2 * step
        return MeasuredLights.joined(lights)


DETECTORS = (Blobs(),)
