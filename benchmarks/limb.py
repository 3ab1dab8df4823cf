"""How well the limb is found: nadir and sky on simulated photographs, false limbs where none is.

``python -m benchmarks limb --frames 200`` takes trials of the self-made land by their seeds, half
of them of aurorae and stars, which have the limb in or near the picture.
"""

from __future__ import annotations

import argparse
import time
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.simulate.camera import SimCamera, east_north_up
from benchmarks.simulate.render import SRGB_LIGHT
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.exposures import Kind
from benchmarks.trials.source import make_source
from detectors.limb import find_limb, mask_sky
from detectors.types import FloatArray

KINDS: tuple[Kind, ...] = ("city", "aurora", "dark", "stars")
SKY_M = 60_000.0  # a frame has a limb to find where it looks past this height
STEEP_M = 1.0e6  # the closest point of sights that lead away from the Earth means nothing
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # IEC 61966-2-1


def sky_over(camera: SimCamera, height_m: float) -> NDArray[np.bool_]:
    """Pixels that look past a height above the ground."""
    x, y = np.meshgrid(np.arange(0.0, camera.width_px), np.arange(0.0, camera.height_px))
    perigee = camera.perigee_m(x, y)
    return np.asarray((perigee >= height_m) & (perigee < STEEP_M))


def nadir_of(camera: SimCamera) -> FloatArray:
    """Nadir direction in the frame of the picture as stored."""
    up = np.asarray(east_north_up(camera.lon_deg, camera.lat_deg)[2])
    return (-up @ camera.axes) * np.array([-1.0 if camera.mirrored else 1.0, 1.0, 1.0])


def main(argv: list[str]) -> int:
    """Print how many limbs were found, how well, and how many that are none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks limb", description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="simulated frames")
    parser.add_argument("--seed", type=int, default=5000, help="first seed")
    options = parser.parse_args(argv)
    errors: list[float] = []
    overlaps: list[float] = []
    seconds: list[float] = []
    small: list[bool] = []
    large: list[bool] = []
    false: list[int] = []
    clear, source = 0, make_source("test")
    for index in range(options.frames):
        seed = options.seed + index
        trial = draw_trial(seed, source, KINDS[index % len(KINDS)])
        camera = trial.camera
        picture = np.asarray(Image.open(BytesIO(trial.photo)).convert("RGB"))
        light = np.asarray(SRGB_LIGHT[picture] @ LUMINANCE, np.float32)
        start = time.perf_counter()
        altitude_km = camera.height_m / 1e3
        limb = find_limb(light, focal_px=float(camera.focal_px), altitude_km=altitude_km)
        seconds.append(time.perf_counter() - start)
        share = float(sky_over(camera, SKY_M).mean())
        if share == 0.0:
            clear += 1
            if limb is not None:
                false.append(seed)
            continue
        (large if share >= 0.05 else small).append(limb is not None)
        if limb is None:
            continue
        errors.append(
            float(np.degrees(np.arccos(np.clip(limb.nadir @ nadir_of(camera), -1.0, 1.0))))
        )
        true, found = sky_over(camera, 0.0), mask_sky(limb, light.shape, margin_deg=0.0)
        overlaps.append(float((true & found).sum() / max(int((true | found).sum()), 1)))
    print(f"found: {sum(large)} of {len(large)} with sky over 5 % or more of the frame")
    print(f"       {sum(small)} of {len(small)} with less")
    print(f"false: {len(false)} of {clear} frames without a limb {false}")
    if errors:
        quantiles = np.percentile(errors, [50, 90, 95, 100])
        print("nadir off by, degrees (50, 90, 95, 100 %):", np.round(quantiles, 2))
        print(
            "overlap of the sky (50, 10, 5 %):", np.round(np.percentile(overlaps, [50, 10, 5]), 3)
        )
    print("seconds (50, 95 %):", np.round(np.percentile(seconds, [50, 95]), 3))
    return 0
