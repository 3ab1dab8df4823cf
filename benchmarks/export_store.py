"""Accepted frames as real ones are: straight down, oblique, to the limb, with photos that exist."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from benchmarks.store_frames import VERDICTS, made_up_result, photo_path
from benchmarks.store_scale import make_store
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, incidence_deg, local_axes
from regengine.result import FrameResult, SolvedCamera

WIDTH, HEIGHT = 1064, 708  # a quarter of a D3S's
FOCALS_PX = (700.0, 1475.0, 2500.0, 5250.0)  # 24 to 180 mm
FARTHEST_DEG = 65.0  # the middle is ground, and wide lenses see sky beyond it
FLATTEST_DEG = 75.0  # incidence of control points


def export_store(folder: Path, frames: int) -> Path:
    """A store of accepted frames, and their photos beside it.

    Parameters
    ----------
    folder : Path
        An empty one.
    frames : int
        How many.

    Returns
    -------
    Path
        The store. All photos are one file under many names.
    """
    (folder / "photos").mkdir()
    original = folder / "photo.jpg"
    write_photo(original, WIDTH, HEIGHT)
    sha256 = hashlib.sha256(original.read_bytes()).hexdigest()
    for number in range(frames):
        os.link(original, folder / photo_path(number))
    store = folder / "run.h5"
    make_store(store, frames, partial(accepted_result, sha256=sha256), sha256)
    return store


def write_photo(path: Path, width: int, height: int) -> None:
    """Towns by night, near enough: blurred lights on black, and noise."""
    chance = np.random.default_rng(0)
    small = chance.uniform(size=(height // 8, width // 8)) ** 30 * 255.0
    lights = Image.fromarray(small.astype(np.uint8)).resize((width, height))
    noisy = np.asarray(lights, float)[..., None] + chance.normal(8.0, 4.0, (height, width, 3))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=92)


def accepted_result(number: int, sha256: str) -> FrameResult:
    """One accepted result; its camera follows from its number alone."""
    like = made_up_result(number * len(VERDICTS))
    assert like.nadir is not None
    assert like.detections is not None
    assert like.width_px is not None
    assert like.height_px is not None
    lights = replace(
        like.detections,
        x=like.detections.x * (WIDTH - 1) / (like.width_px - 1),
        y=like.detections.y * (HEIGHT - 1) / (like.height_px - 1),
    )
    chance = np.random.default_rng(number)
    tilt_deg, azimuth_deg = chance.uniform(0.0, FARTHEST_DEG), chance.uniform(0.0, 360.0)
    focal_px = float(chance.choice(FOCALS_PX))
    camera = looking(
        like.nadir.lon, like.nadir.lat, tilt_deg, azimuth_deg, focal_px, (WIDTH, HEIGHT)
    )
    return replace(posed(like, camera), sha256=sha256, detections=lights)


def posed(like: FrameResult, camera: Camera) -> FrameResult:
    """A result with another camera, and what it sees at four control points."""
    points = tuple(
        replace(known, x=x, y=y, lon=lon, lat=lat)
        for known, (x, y, lon, lat) in zip(like.control_points, spread(camera), strict=True)
    )
    solved = SolvedCamera(
        camera=camera, along_track_offset_s=1.5, off_nadir_deg=camera.off_nadir_deg
    )
    return replace(
        like,
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=solved,
        control_points=points,
    )


def looking(
    lon: float,
    lat: float,
    tilt_deg: float,
    azimuth_deg: float,
    focal_px: float,
    size: tuple[int, int],
) -> Camera:
    """A camera 400 km above a place, tilted from the nadir."""
    east, north, up = local_axes(lon, lat)
    turn = Rotation.from_rotvec(up * azimuth_deg, degrees=True)
    tilt = Rotation.from_rotvec(turn.apply(east) * tilt_deg, degrees=True)
    axes = tilt.apply([east, -north, -up])
    return Camera(
        width_px=size[0],
        height_px=size[1],
        focal_px=focal_px,
        principal_point=((size[0] - 1) / 2, (size[1] - 1) / 2),
        quaternion=tuple(Rotation.from_matrix(axes.T).as_quat().tolist()),
        position_ecef_m=tuple(geodetic_to_ecef(lon, lat, 4.0e5).tolist()),
        distortion=(0.01, 0.0, 0.0, 0.0, 0.0),
    )


def spread(camera: Camera) -> list[tuple[float, float, float, float]]:
    """Four pixels that show ground, towards the corners, and what they show."""
    share = np.linspace(0.05, 0.95, 19)
    x, y = (a.ravel() for a in np.meshgrid(share * camera.width_px, share * camera.height_px))
    angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    seen = angle < FLATTEST_DEG
    x, y = x[seen], y[seen]
    ends = [x + y, x - y, -x - y, y - x]
    chosen = [int(np.argmax(end)) for end in ends]
    lon, lat = camera.pixel_to_lonlat(x[chosen], y[chosen])
    return list(
        zip(x[chosen].tolist(), y[chosen].tolist(), lon.tolist(), lat.tolist(), strict=True)
    )
