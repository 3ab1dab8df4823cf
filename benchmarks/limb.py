"""How well the limb is found: nadir and sky on simulated photographs, false limbs where none is.

``python -m benchmarks limb --frames 200`` takes trials of the self-made land by their seeds, half
of them of aurorae and stars, which have the limb in or near the picture.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.simulate.camera import SimCamera, east_north_up
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.exposures import Kind
from benchmarks.trials.source import Trial, made_source
from detectors.limb import find_limb, sky_mask
from detectors.types import FloatArray

KINDS: tuple[Kind, ...] = ("city", "aurora", "dark", "stars")
SKY_M = 60_000.0  # a frame has a limb to find where it looks past this height
STEEP_M = 1.0e6  # the closest point of sights that lead away from the Earth means nothing
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # IEC 61966-2-1


@dataclass(frozen=True, kw_only=True)
class LimbFrame:
    """A simulated photograph and what is true of its limb."""

    light: NDArray[np.float32]
    camera: SimCamera
    focal_px: float

    @property
    def nadir(self) -> FloatArray:
        """Nadir direction in the frame of the picture as stored."""
        up = np.asarray(east_north_up(self.camera.lon_deg, self.camera.lat_deg)[2])
        nadir = -up @ self.camera.axes
        return nadir * np.array([-1.0 if self.camera.mirrored else 1.0, 1.0, 1.0])

    def sky(self, height_m: float) -> NDArray[np.bool_]:
        """Pixels that look past a height above the ground."""
        height, width = self.light.shape
        x, y = np.meshgrid(np.arange(0.0, width), np.arange(0.0, height))
        perigee = self.camera.perigee_m(x, y)
        return np.asarray((perigee >= height_m) & (perigee < STEEP_M))


def linear(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear luminance of an sRGB picture (IEC 61966-2-1)."""
    value = np.arange(256) / 255.0
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(curve[picture] @ LUMINANCE, np.float32)


def limb_frame(trial: Trial) -> LimbFrame:
    """A trial's photograph in linear light, with its true camera."""
    picture = np.asarray(Image.open(BytesIO(trial.photo)).convert("RGB"))
    return LimbFrame(
        light=linear(picture), camera=trial.camera, focal_px=float(trial.camera.focal_px)
    )


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
    clear, source = 0, made_source("test")
    for index in range(options.frames):
        seed = options.seed + index
        frame = limb_frame(draw_trial(seed, source, KINDS[index % len(KINDS)]))
        start = time.perf_counter()
        altitude_km = frame.camera.height_m / 1e3
        limb = find_limb(frame.light, focal_px=frame.focal_px, altitude_km=altitude_km)
        seconds.append(time.perf_counter() - start)
        share = float(frame.sky(SKY_M).mean())
        if share == 0.0:
            clear += 1
            if limb is not None:
                false.append(seed)
            continue
        (large if share >= 0.05 else small).append(limb is not None)
        if limb is None:
            continue
        errors.append(float(np.degrees(np.arccos(np.clip(limb.nadir @ frame.nadir, -1.0, 1.0)))))
        true, found = frame.sky(0.0), sky_mask(limb, frame.light.shape, margin_deg=0.0)
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
