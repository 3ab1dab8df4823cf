"""Three photographs ten seconds apart, by a clock that is wrong, and their registration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from PIL import Image

from benchmarks.simulate import FRAMES
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.cases import SAMPLE_REGION, SAMPLE_SEED
from benchmarks.simulate.photo_files import CameraSettings, exif_bytes
from benchmarks.simulate.render import render
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import Realisation, draw_town_world
from regengine.orbit.propagation import position_from_elements
from regengine.orbit.tle import load_tle_file
from regengine.pipeline import RunInputs, facts_of_photo, process_photo
from regengine.registration.neighbour_priors import FrameFacts, NeighbourPrior
from regengine.registration.search import RegisterParams
from regengine.result import FrameResult
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"
BEHIND_S = 40.0  # what the camera's clock is behind
APART_S = 10.0
SAMPLE = FRAMES[2]
WIDTH, HEIGHT = 480, 320
NAMES = ("lapse_1.jpg", "lapse_2_hard.jpg", "lapse_3.jpg")


@dataclass
class Ticks:
    """A clock that is one second on at each look at it: a budget of so many looks."""

    seconds: float = 0.0

    def __call__(self) -> float:
        """The time."""
        self.seconds += 1.0
        return self.seconds


def inputs(looks: float) -> RunInputs:
    """What a run is given; the search may make so many looks."""
    return RunInputs(
        lights=(SAMPLES / "lights.tif",),
        tle=SAMPLES / "tle.txt",
        register=RegisterParams(max_seconds=looks, clock=Ticks()),
    )


def photograph(folder: Path) -> tuple[list[Path], list[SimCamera]]:
    """The photos, and their true cameras."""
    world = draw_town_world(SAMPLE_SEED, SAMPLE_REGION)
    elements = load_tle_file(SAMPLES / "tle.txt").best_for(SAMPLE.time_utc)
    paths, cameras = [], []
    for number, name in enumerate(NAMES):
        moment = SAMPLE.time_utc + timedelta(seconds=APART_S * number)
        camera = SimCamera.pointed(
            position_ecef_m=position_from_elements(elements, moment).position_ecef_m,
            pointing=SAMPLE.pointing,
            width_px=WIDTH,
            height_px=HEIGHT,
            focal_px=SAMPLE.focal_mm / 36.0 * WIDTH,
        )
        picture = render(camera, world, Realisation(number=2), SceneParameters(seed=number))
        clock_utc = moment - timedelta(seconds=BEHIND_S)
        settings = CameraSettings(clock_utc=clock_utc, focal_mm=SAMPLE.focal_mm)
        path = folder / name
        Image.fromarray(picture).save(path, quality=95, exif=exif_bytes(settings))
        paths.append(path)
        cameras.append(camera)
    return paths, cameras


def register(path: Path, hints: NeighbourPrior | None = None) -> FrameResult:
    """Register a photo; what is named hard has little time."""
    return process_photo(path, inputs(0.5 if "hard" in path.name else 300.0), hints)


def facts_of(path: Path) -> FrameFacts | None:
    """Time and camera of a photo."""
    return facts_of_photo(path, inputs(0.0))
