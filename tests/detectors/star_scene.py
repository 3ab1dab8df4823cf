"""Small star fields for the tests of detectors."""

from __future__ import annotations

import numpy as np
from light_scene import NOISE, draw, spread_lights

SIGMA_PX = 1.15  # FWHM 2.7
SHAPE = (240, 320)
LEVEL = 0.02


def star_list(count=25, shape=SHAPE, *, snr=(25.0, 300.0), seed=1, gap=20.0):
    """Stars of one width at random places; SNR is that of a matched filter."""
    return spread_lights(count, shape, snr=snr, seed=seed, gap=gap, sigma=(SIGMA_PX, SIGMA_PX))


def star_frame(stars, shape=SHAPE, *, seed=0, level=LEVEL, noise=NOISE):
    """A frame of them over a dark sky."""
    return draw(stars, shape, level=level, noise=noise, seed=seed)


def trail_frame(stars, trail, shape=SHAPE, *, seed=0, noise=NOISE):
    """A frame in which every star draws the same segment, x and y from end to end."""
    steps = 2 * int(np.hypot(*trail)) + 1
    along = (np.arange(steps) + 0.5) / steps - 0.5
    drawn = [
        type(one)(one.x + t * trail[0], one.y + t * trail[1], one.flux / steps, one.sigma)
        for one in stars
        for t in along
    ]
    return draw(drawn, shape, level=LEVEL, noise=noise, seed=seed)


def turning_frame(stars, pole, turn_rad, shape, *, seed=0, noise=NOISE):
    """A frame in which the sky turns about a pole, x and y: every star draws an arc."""
    drawn = []
    for one in stars:
        dx, dy = one.x - pole[0], one.y - pole[1]
        steps = 2 * int(turn_rad * np.hypot(dx, dy)) + 1
        for angle in ((np.arange(steps) + 0.5) / steps - 0.5) * turn_rad:
            x = pole[0] + np.cos(angle) * dx - np.sin(angle) * dy
            y = pole[1] + np.sin(angle) * dx + np.cos(angle) * dy
            drawn.append(type(one)(x, y, one.flux / steps, one.sigma))
    return draw(drawn, shape, level=LEVEL, noise=noise, seed=seed)
