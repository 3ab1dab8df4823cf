"""Lights as blobs: peaks of a scale space, measured and taken away, the finest first."""

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

BASE_NOISE_GAIN = 1.0 / (2.0 * np.pi**0.5 * BASE_SIGMA)  # white noise under the base's Gaussian
SHORTEST_SIDE_PX = 8  # an octave smaller than this has no inside
RADIUS_MARGIN = 1.25  # radii are measured, so the limit is not sharp
# Centroids of bright lights on real pixels are not better than this, however bright (measured on
# simulated isolated lights at SNR > 200)
CENTROID_FLOOR_PX = 0.02


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """Multi-scale blob detector for towns and lamps over bright glow.

    Octave by octave, from lamps of a pixel to towns, maxima of a difference-of-Gaussians scale
    space are found, fitted by Gaussians and taken away, so that a group of lights does not come
    back as one great light. ``docs/methods/lights.md`` gives the equations.
    """

    min_snr: float = 5.0  # that a peak of the filtered image needs
    largest_radius_px: float = 40.0  # half-light radius of the largest lights sought
    background_scale_px: float = 128.0  # size of the boxes in which the diffuse light is estimated
    # Fraction of its height by which a peak must rise above any way across it: the limb, edges of
    # hardware and smooth roads do not
    min_prominence: float = 0.5
    min_unexplained: float = 0.6  # of a peak, by finer lights found before
    clutter_weight: float = 0.8  # how much texture all around counts as noise (cloud, hardware)
    saturation_light: float = 0.97  # pixels at or above are clipped, also without a map of that
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
        # Caption strips, lightning, the sunlit limb: too large for a town
        ignored |= areas.larger_than(2.0 * self.largest_radius_px)
        if ignored.all() or np.ptp(image[~ignored]) == 0.0:
            return LightDetections.empty()
        image = lift_above_zero(image, ignored)
        level = estimate_diffuse_level(image, scale_px=self.background_scale_px, mask=ignored)
        image = np.where(find_hot_pixels(image) | ignored, level, image)
        found = self._find_blobs(image, level, ignored, areas)
        return self._describe_blobs(found, ignored, clipped)

    def _find_blobs(
        self,
        image: FloatImage,
        level: FloatImage,
        ignored: BoolImage,
        areas: ClippedAreas,
    ) -> MeasuredLights:
        """Octave by octave: peaks, their measures, and their light taken away."""
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

    def _describe_blobs(
        self, found: MeasuredLights, ignored: BoolImage, clipped: BoolImage
    ) -> LightDetections:
        """Signal-to-noise ratios, covariances and flags; sorted by flux."""
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


DETECTORS = (Blobs(),)
