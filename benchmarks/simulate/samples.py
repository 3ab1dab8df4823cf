"""The sample photographs of ``data_samples/``: six frames, their orbit, map and truth."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulate.case_sources import SAMPLE_REGION, SAMPLE_SEED
from benchmarks.simulate.exif import CameraSettings, exif_bytes
from benchmarks.simulate.lamps import Realisation
from benchmarks.simulate.light_map import LightMapParameters, draw_light_map, write_geotiff
from benchmarks.simulate.orbit import (
    Elements,
    elements_at,
    pass_over,
    slipped,
    state_ecef,
    tle_lines,
)
from benchmarks.simulate.render import render, to_jpeg
from benchmarks.simulate.sample_frames import (
    ELEMENT_SETS,
    FRAMES,
    SampleFrame,
    utc_of_2014,
)
from benchmarks.simulate.sim_camera import SimCamera
from benchmarks.simulate.town_world import TownWorld, draw_town_world
from benchmarks.simulate.truth import camera_truth, footprint, reference_points

MAP_LIGHTS = Realisation(number=1)
PHOTO_LIGHTS = Realisation(number=2)


def true_orbit() -> Elements:
    """The orbit from which all sample frames are taken."""
    return pass_over(-153.0, 34.2, utc_of_2014(1, 17, 7, 45, 40), northbound=True)


def sample_world(seed: int = SAMPLE_SEED) -> TownWorld:
    """The invented land of the samples."""
    return draw_town_world(seed, SAMPLE_REGION)


def shipped_elements(orbit: Elements) -> list[Elements]:
    """The element sets of ``tle.txt``: right at their epochs, drifting away from the truth."""
    return [slipped(elements_at(orbit, epoch), drift) for epoch, drift in ELEMENT_SETS]


def sample_camera(frame: SampleFrame, orbit: Elements, scale: float = 1.0) -> SimCamera:
    """The camera of a sample frame; a scale below 1 makes a smaller picture of the same view."""
    width, height = round(frame.width_px * scale), round(frame.height_px * scale)
    position, _ = state_ecef(orbit.satrec(), frame.time_utc)
    return SimCamera.pointed(
        position_ecef_m=position,
        pointing=frame.pointing,
        width_px=width,
        height_px=height,
        focal_px=_focal_px(frame, width, height),
        k1=frame.k1,
    )


def _settings(frame: SampleFrame) -> CameraSettings:
    return CameraSettings(
        clock_utc=frame.time_utc + timedelta(seconds=frame.clock_error_s),
        focal_mm=frame.focal_mm,
        body=frame.body,
        orientation=frame.orientation,
    )


def _focal_px(frame: SampleFrame, width_px: int, height_px: int) -> float:
    pitch_um = _settings(frame).pixel_pitch_um(width_px, height_px)
    return 1000.0 * frame.focal_mm * (1.0 + frame.focal_error) / pitch_um


def render_sample(frame: SampleFrame, camera: SimCamera, world: TownWorld) -> bytes:
    """The JPEG file of a sample frame."""
    scale = camera.width_px / frame.width_px
    scene = replace(
        frame.scene,
        psf_sigma_px=frame.scene.psf_sigma_px * scale,
        most_lamps=max(int(frame.scene.most_lamps * scale**2), 20_000),
    )
    picture = render(camera, world, PHOTO_LIGHTS, scene)
    return to_jpeg(picture, scene.jpeg_quality, exif_bytes(_settings(frame)))


def sample_truth(
    frame: SampleFrame, camera: SimCamera, world: TownWorld, sets: list[Elements]
) -> dict[str, Any]:
    """What is true of a sample frame, for its JSON file."""
    age = min((frame.time_utc - s.epoch_utc for s in sets), key=lambda a: abs(a.total_seconds()))
    return {
        "frame": frame.frame_id,
        "time_utc": frame.time_utc.isoformat().replace("+00:00", "Z"),
        "clock_error_s": frame.clock_error_s,
        "tle_age_h": age / timedelta(hours=1),
        "focal_mm": frame.focal_mm * (1.0 + frame.focal_error),
        "off_nadir_deg": frame.pointing.off_nadir_deg,
        "azimuth_deg": frame.pointing.azimuth_deg,
        "roll_deg": frame.pointing.roll_deg,
        "camera": camera_truth(camera),
        "reference_points": reference_points(camera, world, PHOTO_LIGHTS),
        "footprint": footprint(camera),
    }


def write_samples(
    folder: Path, *, seed: int = SAMPLE_SEED, scale: float = 1.0, step_arcsec: float = 15.0
) -> None:
    """Write the sample frames, their element sets, light map and truth files.

    Parameters
    ----------
    folder : Path
        Made where it is missing; files of the same names are replaced.
    seed : int
        Of the invented land.
    scale : float
        Of the pictures.
    step_arcsec : float
        Pixel of the light map.
    """
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    world, orbit = sample_world(seed), true_orbit()
    sets = shipped_elements(orbit)
    text = "".join(tle_lines(elements, "ISS (SIMULATED)") for elements in sets)
    (folder / "tle.txt").write_text(text, encoding="ascii")
    for frame in FRAMES:
        camera = sample_camera(frame, orbit, scale)
        (folder / f"{frame.frame_id}.jpg").write_bytes(render_sample(frame, camera, world))
        truth = json.dumps(sample_truth(frame, camera, world, sets), indent=1)
        (folder / "truth" / f"{frame.frame_id}.json").write_text(truth + "\n", encoding="utf-8")
    parameters = LightMapParameters(step_deg=step_arcsec / 3600.0)
    light_map = draw_light_map(world, _map_bounds(world), MAP_LIGHTS, parameters)
    write_geotiff(folder / "lights.tif", light_map)


def _map_bounds(world: TownWorld) -> tuple[float, float, float, float]:
    """The box of the land with a margin of a degree, in whole degrees."""
    lon, lat = world.places.lon, world.places.lat
    return (
        float(np.floor(lon.min() - 1.0)),
        float(np.floor(lat.min() - 1.0)),
        float(np.ceil(lon.max() + 1.0)),
        float(np.ceil(lat.max() + 1.0)),
    )
