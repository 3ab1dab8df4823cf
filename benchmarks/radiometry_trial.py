"""One simulated scene through `regengine.radiometry`, and what came of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.radiometry_scene import RadiometryScene
from benchmarks.simulate.light_map import write_geotiff
from regengine.export.choice import FrameChoice, choose
from regengine.lights import open_light_map
from regengine.radiometry.measure import Radiometry, measure
from regengine.radiometry.photo_cells import air_mass
from regengine.result import ControlPoint, FrameResult, SolvedCamera
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

PHOTO, MAP, STORE = "photo.jpg", "lights.tif", "run.h5"
NEAR_KM = 4.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a scene.

    Attributes
    ----------
    gain_ratio, gain_sigma_ratio : float
        Gain and its sigma over the true gain.
    exponent, scatter, r_squared : float
        As measured.
    planted, found : int
        Lights that are new or gone, and those of them that were found.
    false : int
        Changes where there is none.
    """

    gain_ratio: float
    gain_sigma_ratio: float
    exponent: float
    scatter: float
    r_squared: float
    planted: int
    found: int
    false: int


def write_trial(scene: RadiometryScene, folder: Path, sigma_px: float | None = None) -> Path:
    """Photo, map and a store in which the photo is registered; the store's path.

    Parameters
    ----------
    scene : RadiometryScene
        The scene.
    folder : Path
        Where to; it exists.
    sigma_px : float, optional
        Sigma that the control points are given; that of the scene without it.
    """
    sigma = scene.wish.sigma_px if sigma_px is None else sigma_px
    (folder / PHOTO).write_bytes(scene.photo)
    write_geotiff(folder / MAP, scene.light_map)
    camera = scene.camera
    x = np.array([0.1, 0.9, 0.9, 0.1]) * camera.width_px
    y = np.array([0.1, 0.1, 0.9, 0.9]) * camera.height_px
    lon, lat = camera.pixel_to_lonlat(x, y)
    points = tuple(
        ControlPoint(
            x=float(px),
            y=float(py),
            lon=float(a),
            lat=float(b),
            sigma_px=sigma,
            sigma_m=200.0 * sigma,
            covariance_px=(sigma**2, 0.0, sigma**2),
            covariance_m=((200.0 * sigma) ** 2, 0.0, (200.0 * sigma) ** 2),
            lights=10,
        )
        for px, py, a, b in zip(x, y, lon, lat, strict=True)
    )
    result = FrameResult(
        frame=f"SIM-{scene.wish.seed}",
        path=str(folder / PHOTO),
        sha256=hashlib.sha256(scene.photo).hexdigest(),
        verdict="accepted",
        probability=0.999,
        reasons=(),
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=SolvedCamera(
            camera=camera, along_track_offset_s=0.0, off_nadir_deg=camera.off_nadir_deg
        ),
        control_points=points,
    )
    store = folder / STORE
    with StoreWriter(store) as writer:
        writer.add(StoredFrame(frame_index=0, result=result))
        writer.flush()
    return store


def measured(store: Path) -> Radiometry:
    """The only photo of a store of `write_trial` against its map."""
    (frame,) = choose(store, FrameChoice()).frames()
    return measure(frame, open_light_map([store.with_name(MAP)]))


def judged(scene: RadiometryScene, found: Radiometry) -> Outcome:
    """Hold what was measured against what is true."""
    angles = np.linspace(0.0, 80.0, 4001)
    masses = air_mass(np.cos(np.radians(angles)))
    true = scene.true_gain(float(np.interp(found.gain.air_mass, masses, angles)))
    hit = [False] * len(scene.planted)
    false = 0
    for change in found.changes:
        near = [
            number
            for number, (kind, lon, lat) in enumerate(scene.planted)
            if _km(change.lon, change.lat, lon, lat) < NEAR_KM
            and (kind == "new") == (change.sigma > 0.0)
        ]
        for number in near:
            hit[number] = True
        if not near and not scene.changed_near(change.lon, change.lat, change.sigma):
            false += 1
    return Outcome(
        gain_ratio=found.gain.gain / true,
        gain_sigma_ratio=found.gain.gain_sigma / true,
        exponent=found.gain.exponent,
        scatter=found.gain.scatter,
        r_squared=found.gain.r_squared,
        planted=len(hit),
        found=sum(hit),
        false=false,
    )


def _km(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    return 111.2 * float(np.hypot((lon - other_lon) * np.cos(np.radians(lat)), lat - other_lat))
