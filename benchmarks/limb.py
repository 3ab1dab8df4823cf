"""How well the limb is found: nadir and sky on simulated obliques, false limbs where there is none.

``python -m benchmarks limb --frames 200`` takes half of them with the horizon in or near the
picture and half as the random cases of registration come, at 640 px.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.simulate.camera import Pointing, SimCamera, east_north_up, ecef_of
from benchmarks.simulate.cases import (
    CaseSource,
    Shot,
    default_source,
    draw_case,
    draw_lights,
    draw_scene,
)
from benchmarks.simulate.orbit import nadir_for
from benchmarks.simulate.render import render, to_jpeg
from detectors.limb import find_limb, sky_mask
from detectors.types import FloatArray

LENSES_MM = (24.0, 28.0, 35.0, 50.0, 58.0, 85.0)
LENS_SHARES = (0.2, 0.3, 0.1, 0.25, 0.1, 0.05)
LONG_SIDE_PX, SHORT_SIDE_PX = 640, 426
SENSOR_MM = 36.0
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


def oblique_frame(seed: int, source: CaseSource | None = None) -> LimbFrame:
    """A photograph with the horizon in or near it, any roll."""
    source = source or default_source()
    rng = np.random.default_rng([seed, 77])
    focal_mm = float(rng.choice(LENSES_MM, p=LENS_SHARES))
    error = float(np.clip(0.012 * rng.standard_normal(), -0.03, 0.03))
    lon, lat, _ = source.targets[int(rng.integers(len(source.targets)))]
    height_m = float(rng.uniform(395e3, 425e3))
    half_field = float(np.degrees(np.arctan(0.5 * SENSOR_MM / focal_mm)))
    off_nadir = float(rng.uniform(max(35.0, 70.0 - half_field), 68.0 + 0.5 * half_field))
    below = nadir_for(lon, lat, height_m, min(off_nadir, 60.0), float(rng.uniform(0.0, 360.0)))
    roll = rng.uniform(-180.0, 180.0) if rng.random() < 0.5 else rng.normal(0.0, 15.0)
    pointing = Pointing(off_nadir_deg=off_nadir, azimuth_deg=below[2], roll_deg=float(roll))
    upright = rng.random() < 0.15
    camera = SimCamera.pointed(
        position_ecef_m=ecef_of(below[0], below[1], height_m),
        pointing=pointing,
        width_px=SHORT_SIDE_PX if upright else LONG_SIDE_PX,
        height_px=LONG_SIDE_PX if upright else SHORT_SIDE_PX,
        focal_px=focal_mm * (1.0 + error) / SENSOR_MM * LONG_SIDE_PX,
        k1=float(rng.uniform(-0.04, 0.01)),
        mirrored=bool(rng.random() < 0.03),
    )
    shot = Shot(camera=camera, focal_mm=focal_mm)
    scene = draw_scene(rng, "city", seed, shot, large=False)
    picture = render(camera, source.world, draw_lights(rng, seed), scene)
    return _stored(to_jpeg(picture, scene.jpeg_quality), camera, focal_mm)


def any_frame(seed: int) -> LimbFrame:
    """One of the random cases of registration, seldom with a limb."""
    case = draw_case(seed, long_side_px=LONG_SIDE_PX)
    return _stored(case.photo, case.camera, case.focal_mm)


def _stored(photo: bytes, camera: SimCamera, focal_mm: float) -> LimbFrame:
    picture = np.asarray(Image.open(BytesIO(photo)).convert("RGB"))
    focal_px = focal_mm / SENSOR_MM * LONG_SIDE_PX
    return LimbFrame(light=linear(picture), camera=camera, focal_px=focal_px)


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
    clear = 0
    for index in range(options.frames):
        seed = options.seed + index
        frame = oblique_frame(seed) if index % 2 else any_frame(seed)
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
