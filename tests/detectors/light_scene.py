"""Small scenes of Gaussian lights for the tests of detectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOISE = 0.001


@dataclass(frozen=True)
class Light:
    """A round Gaussian light; flux in full scale times square pixels."""

    x: float
    y: float
    flux: float
    sigma: float = 1.2


def draw(lights, shape=(240, 320), *, level=0.01, noise=NOISE, seed=0):
    """Gaussian lights (integrated at pixel centres) over a flat level with white noise."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    image = np.full(shape, float(level))
    for one in lights:
        r2 = (cols - one.x) ** 2 + (rows - one.y) ** 2
        image += one.flux / (2 * np.pi * one.sigma**2) * np.exp(-0.5 * r2 / one.sigma**2)
    if noise:
        image += np.random.default_rng(seed).normal(0.0, noise, shape)
    return image.astype(np.float32)


def flux_of_snr(snr, sigma=1.2, noise=NOISE):
    """Flux at which an ideal matched filter sees a Gaussian light at that SNR."""
    return snr * np.sqrt(4 * np.pi) * sigma * noise


def spread_lights(count, shape, *, snr=(15.0, 300.0), seed=1, gap=22.0, sigma=(0.8, 2.5)):
    """Lights at random places that keep a distance from each other and from the border."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        x, y = rng.uniform(gap, shape[1] - 1 - gap), rng.uniform(gap, shape[0] - 1 - gap)
        if all(np.hypot(x - o.x, y - o.y) > gap for o in found):
            width = rng.uniform(*sigma)
            strength = np.exp(rng.uniform(*np.log(snr)))
            found.append(Light(x, y, flux_of_snr(strength, width), width))
    return found


def nearest(detections, x, y):
    """Index of the detection nearest to a place, and its distance."""
    gap = np.hypot(detections.x - x, detections.y - y)
    return int(np.argmin(gap)), float(gap.min())


def centroid_pulls(detections, lights, reach_px):
    """Squared errors of the places by their covariance, of lights that were found within a reach.

    Chi squared of two degrees: median 1.39.
    """
    pulls = []
    for one in lights:
        index, gap = nearest(detections, one.x, one.y)
        if gap < reach_px:
            error = np.array([detections.x[index] - one.x, detections.y[index] - one.y])
            pulls.append(error @ np.linalg.inv(detections.covariance_px2[index]) @ error)
    return pulls


def detected_turned(detector, image, turns):
    """What is found in an image turned by quarters, with its places turned back."""
    turned = np.ascontiguousarray(np.rot90(image, turns))
    found = detector.detect(turned)
    x, y = found.x, found.y
    height, width = turned.shape
    for _ in range(turns):  # clockwise: np.rot90 turns the other way
        x, y = height - 1 - y, x
        height, width = width, height
    return type(found)(**{**found.__dict__, "x": x, "y": y})
