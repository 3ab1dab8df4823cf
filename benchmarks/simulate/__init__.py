"""Simulated night photographs with known cameras, and the light maps to register them on.

Nothing here imports ``matchers``: positions come from PROJ, orbits from SGP4 and astropy, the
camera is written anew, so that a mistake in the engine cannot cancel itself in its tests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulate.camera import Pointing, SimCamera
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import LightMapParameters, draw_light_map, write_geotiff
from benchmarks.simulate.orbit import (
    Elements,
    elements_at,
    pass_over,
    slip_elements,
    state_ecef,
    tle_lines,
)
from benchmarks.simulate.render import render, to_jpeg
from benchmarks.simulate.truth import (
    CameraSettings,
    camera_truth,
    exif_bytes,
    footprint,
    reference_points,
)
from benchmarks.simulate.weather import CloudLayer, SceneParameters
from benchmarks.simulate.worlds import Realisation, TownWorld, draw_town_world

SAMPLE_SEED = 991
SAMPLE_REGION = Region(west=-162.0, south=26.0, size_deg=24.0)  # open ocean in the real world
SAMPLE_MAP = Path(__file__).resolve().parents[2] / "data_samples" / "lights.tif"


def utc_of_2014(month: int, day: int, hour: int, minute: int, second: int) -> datetime:
    """A time of the year in which the samples were never taken."""
    return datetime(2014, month, day, hour, minute, second, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class SampleFrame:
    """How one sample photograph is taken."""

    frame_id: str
    time_utc: datetime  # true time
    clock_error_s: float = 0.0  # camera clock minus true time
    focal_mm: float  # as EXIF says
    focal_error: float  # true focal length over the nominal one, minus 1
    k1: float = 0.0  # radial distortion
    pointing: Pointing
    width_px: int = 1600
    height_px: int = 1065
    body: str = "NIKON D3S"
    orientation: int = 1  # EXIF orientation
    scene: SceneParameters = field(default_factory=SceneParameters)


MOONLIT_CLOUDS = (
    CloudLayer(coverage=0.45, optical_depth=12.0, brightness_nw=7.0, scale_km=200.0),
    CloudLayer(coverage=0.45, optical_depth=1.0, brightness_nw=4.0, scale_km=420.0),
)

FRAMES = (
    SampleFrame(
        frame_id="ISS990-E-000101",
        time_utc=utc_of_2014(1, 17, 7, 46, 2),
        clock_error_s=1.0,
        focal_mm=50.0,
        focal_error=0.011,
        pointing=Pointing(off_nadir_deg=14.0, azimuth_deg=215.0, roll_deg=-68.0),
        scene=SceneParameters(seed=101, ground_nw=0.5, clouds=MOONLIT_CLOUDS, motion_px=1.5),
    ),
    SampleFrame(
        frame_id="ISS990-E-000102",
        time_utc=utc_of_2014(1, 18, 6, 58, 40),
        clock_error_s=1.0,
        focal_mm=58.0,
        focal_error=-0.006,
        pointing=Pointing(off_nadir_deg=17.0, azimuth_deg=150.0, roll_deg=12.0),
        scene=SceneParameters(
            seed=102,
            ground_nw=0.4,
            clouds=(
                CloudLayer(coverage=0.45, optical_depth=5.0, brightness_nw=6.0, scale_km=120.0),
                CloudLayer(coverage=0.30, optical_depth=0.6, brightness_nw=2.0, scale_km=300.0),
            ),
        ),
    ),
    SampleFrame(
        frame_id="ISS990-E-000103",
        time_utc=utc_of_2014(1, 30, 10, 14, 58),
        focal_mm=50.0,
        focal_error=-0.008,
        pointing=Pointing(off_nadir_deg=11.0, azimuth_deg=125.0, roll_deg=35.0),
        width_px=2128,
        height_px=1416,
        scene=SceneParameters(seed=103),
    ),
    SampleFrame(
        frame_id="ISS990-E-000104",
        time_utc=utc_of_2014(1, 31, 9, 26, 37),
        focal_mm=85.0,
        focal_error=0.017,
        pointing=Pointing(off_nadir_deg=11.0, azimuth_deg=250.0, roll_deg=200.0),
        scene=SceneParameters(seed=104, saturation_nw=200.0, motion_px=2.0, motion_deg=40.0),
    ),
    SampleFrame(
        frame_id="ISS990-E-000105",
        time_utc=utc_of_2014(2, 1, 8, 37, 40),
        clock_error_s=12.0,
        focal_mm=50.0,
        focal_error=0.004,
        k1=-0.03,
        pointing=Pointing(off_nadir_deg=15.0, azimuth_deg=235.0, roll_deg=107.0),
        orientation=8,
        scene=SceneParameters(seed=105, saturation_nw=90.0),
    ),
    SampleFrame(
        frame_id="ISS990-E-000106",
        time_utc=utc_of_2014(2, 4, 7, 50, 0),
        clock_error_s=-2.0,
        focal_mm=28.0,
        focal_error=-0.012,
        k1=-0.025,
        pointing=Pointing(off_nadir_deg=52.0, azimuth_deg=243.0, roll_deg=-4.0),
        width_px=2128,
        height_px=1416,
        body="NIKON D4",
        scene=SceneParameters(
            seed=106,
            saturation_nw=70.0,
            ground_nw=0.3,
            clouds=(
                CloudLayer(coverage=0.15, optical_depth=4.0, brightness_nw=2.0, scale_km=500.0),
            ),
        ),
    ),
)

# Epochs of the element sets shipped, and how far each runs ahead of the true orbit in a day, km.
ELEMENT_SETS = (
    (utc_of_2014(1, 16, 20, 11, 30), 2.0),
    (utc_of_2014(1, 18, 1, 40, 0), -1.5),
    (utc_of_2014(1, 24, 9, 5, 0), 3.0),
    (utc_of_2014(1, 30, 2, 20, 0), -4.0),
)


MAP_LIGHTS = Realisation(number=1)
PHOTO_LIGHTS = Realisation(number=2)


def true_orbit() -> Elements:
    return pass_over(-153.0, 34.2, utc_of_2014(1, 17, 7, 45, 40), northbound=True)


def sample_world(seed: int = SAMPLE_SEED) -> TownWorld:
    return draw_town_world(seed, SAMPLE_REGION)


def sample_camera(frame: SampleFrame, orbit: Elements, scale: float = 1.0) -> SimCamera:
    """The camera of a sample frame; a scale below 1 makes a smaller picture of the same view."""
    width, height = round(frame.width_px * scale), round(frame.height_px * scale)
    position, _ = state_ecef(orbit.satrec(), frame.time_utc)
    pitch_um = _settings(frame).pixel_pitch_um(width, height)
    return SimCamera.pointed(
        position_ecef_m=position,
        pointing=frame.pointing,
        width_px=width,
        height_px=height,
        focal_px=1000.0 * frame.focal_mm * (1.0 + frame.focal_error) / pitch_um,
        k1=frame.k1,
    )


def _settings(frame: SampleFrame) -> CameraSettings:
    return CameraSettings(
        clock_utc=frame.time_utc + timedelta(seconds=frame.clock_error_s),
        focal_mm=frame.focal_mm,
        body=frame.body,
        orientation=frame.orientation,
    )


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
    """Write the sample frames, their element sets, light map and truth files."""
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    world, orbit = sample_world(seed), true_orbit()
    # Right at their epochs, drifting away from the truth
    sets = [slip_elements(elements_at(orbit, epoch), drift) for epoch, drift in ELEMENT_SETS]
    text = "".join(tle_lines(elements, "ISS (SIMULATED)") for elements in sets)
    (folder / "tle.txt").write_text(text, encoding="ascii")
    for frame in FRAMES:
        camera = sample_camera(frame, orbit, scale)
        (folder / f"{frame.frame_id}.jpg").write_bytes(render_sample(frame, camera, world))
        truth = json.dumps(sample_truth(frame, camera, world, sets), indent=1)
        (folder / "truth" / f"{frame.frame_id}.json").write_text(truth + "\n", encoding="utf-8")
    parameters = LightMapParameters(step_deg=step_arcsec / 3600.0)
    # The box of the land with a margin of a degree, in whole degrees
    lon, lat = world.places.lon, world.places.lat
    west, south = (float(np.floor(side.min() - 1.0)) for side in (lon, lat))
    east, north = (float(np.ceil(side.max() + 1.0)) for side in (lon, lat))
    light_map = draw_light_map(world, (west, south, east, north), MAP_LIGHTS, parameters)
    write_geotiff(folder / "lights.tif", light_map)
