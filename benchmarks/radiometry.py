"""Photos of known gain with planted changes: gain, new and lost lights, false ones."""

from __future__ import annotations

import argparse
import hashlib
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.radiometry_scene import RadiometryScene, SceneWish, draw_radiometry_scene
from benchmarks.simulate.light_map import write_geotiff
from benchmarks.simulate.scene import CloudLayer, SceneParameters
from regengine.collection.radiometry.cells import air_mass
from regengine.collection.radiometry.measure import Radiometry, measure
from regengine.exchange.export.selection import FrameChoice, choose
from regengine.lights import open_light_map
from regengine.result import ControlPoint, FrameResult, SolvedCamera
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

# One simulated scene through `regengine.radiometry`, and what came of it.

PHOTO, MAP, STORE = "photo.jpg", "lights.tif", "run.h5"
NEAR_KM = 4.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a scene."""

    # gain_ratio and gain_sigma_ratio: gain and its sigma over the true gain
    gain_ratio: float
    gain_sigma_ratio: float
    # exponent, scatter and r_squared: as measured
    exponent: float
    scatter: float
    r_squared: float
    # planted and found: lights that are new or gone, and those of them that were found
    planted: int
    found: int
    false: int  # changes where there is none


def write_trial(scene: RadiometryScene, folder: Path, sigma_px: float | None = None) -> Path:
    """Photo, map and a store in which the photo is registered; the store's path."""
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


PLAIN = SceneParameters(tone_contrast=0.0, vignetting=0.0)
THIN_CLOUD = CloudLayer(coverage=0.3, optical_depth=1.0, brightness_nw=1.0)
# What each case differs in from a plain one
CASES: dict[str, Callable[[SceneWish], SceneWish]] = {
    "equal lights": lambda wish: wish,
    "lights differ by 40 %": lambda wish: replace(wish, scatter=0.3),
    "the same, nothing planted": lambda wish: replace(wish, scatter=0.3, changes=0),
    "registration off by 1 px": lambda wish: replace(wish, scatter=0.3, sigma_px=1.0),
    "35° off nadir, corners lose 30 %": lambda wish: replace(
        wish, scatter=0.3, off_nadir_deg=35.0, scene=replace(PLAIN, vignetting=0.3)
    ),
    "tone curve, contrast 0.15": lambda wish: replace(
        wish, scatter=0.3, scene=replace(PLAIN, tone_contrast=0.15)
    ),
    "tone curve, contrast 0.3": lambda wish: replace(
        wish, scatter=0.3, scene=replace(PLAIN, tone_contrast=0.3)
    ),
    "thin cloud over 30 %": lambda wish: replace(
        wish, scatter=0.3, scene=replace(PLAIN, clouds=(THIN_CLOUD,))
    ),
}


def main(argv: list[str]) -> int:
    """Run the cases and print their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks radiometry", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="scenes of each case")
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    parser.add_argument("--out", type=Path, help="folder for the page of results")
    options = parser.parse_args(argv)
    lines = [
        "| photos | gain / true, median (worst) | its sigma | within 2 sigma | exponent | R² "
        "| changes found | false |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    seconds = 0.0
    for name, changed in CASES.items():
        outcomes = []
        for seed in range(options.first, options.first + options.seeds):
            outcome, took = _trial(changed(SceneWish(seed=seed)))
            outcomes.append(outcome)
            seconds += took
        lines.append(_line(name, outcomes))
        print(lines[-1], flush=True)
    if options.out is not None:
        count = options.seeds * len(CASES)
        (options.out / f"radiometry-{datetime.now(UTC):%Y-%m-%d}.md").write_text(
            "# Radiometry of simulated photos\n\n"
            f"`python -m benchmarks radiometry --seeds {options.seeds} --first {options.first}`, "
            f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, "
            f"Python {platform.python_version()}; 800 x 533 px, "
            f"{seconds / count:.2f} s of processor time a photo.\n\n" + "\n".join(lines) + "\n",
            encoding="utf-8",
        )
    return 0


def _trial(wish: SceneWish) -> tuple[Outcome, float]:
    scene = draw_radiometry_scene(wish)
    with tempfile.TemporaryDirectory() as folder:
        store = write_trial(scene, Path(folder))
        start = time.process_time()
        found = measured(store)
        seconds = time.process_time() - start
    return judged(scene, found), seconds


def _line(name: str, outcomes: list[Outcome]) -> str:
    ratio = np.array([one.gain_ratio for one in outcomes])
    sigma = np.array([one.gain_sigma_ratio for one in outcomes])
    within = np.mean(np.abs(ratio - 1.0) < 2.0 * sigma)
    worst = ratio[np.argmax(np.abs(ratio - 1.0))]
    found, planted = sum(one.found for one in outcomes), sum(one.planted for one in outcomes)
    return (
        f"| {name} | {np.median(ratio):.3f} ({worst:.2f}) | {np.median(sigma):.3f} | {within:.0%} "
        f"| {np.median([one.exponent for one in outcomes]):.2f} "
        f"| {np.median([one.r_squared for one in outcomes]):.2f} "
        f"| {f'{found} of {planted}' if planted else '–'} | {sum(one.false for one in outcomes)} |"
    )
