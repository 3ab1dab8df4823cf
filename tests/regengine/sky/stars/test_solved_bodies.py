"""The Moon of a solved frame: in its record and its picture, from where the camera was."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.types import StarDetections
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.propagation import camera_position
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import FrameOptions, read_frame
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.bodies import bodies_in_frame, sky_bodies
from regengine.sky.stars.catalogue import load_catalogue
from regengine.sky.stars.overlay import draw_solution
from regengine.sky.stars.photo import SolvedPhoto, SolveJob, record_of
from regengine.sky.stars.solve import SolveOptions, StarSolution

TIME = datetime(2020, 3, 10, 12, 0, tzinfo=UTC)
WIDTH, HEIGHT = 640, 480
MOON = next(one for one in sky_bodies(TIME) if one.name == "Moon")


def camera() -> SkyCamera:
    """Looks at the Moon, as the Earth's centre sees it."""
    sight = np.array(MOON.direction_icrs)
    right = np.cross([0.0, 0.0, 1.0], sight)
    right /= np.linalg.norm(right)
    return SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=2000.0,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        quaternion_icrs=matrix_quaternion(np.stack([right, np.cross(sight, right), sight], axis=1)),
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "sky.png"
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH), 10, np.uint8))
    return path


def solved(photo: Path, time_utc: datetime | None = TIME) -> SolvedPhoto:
    none = np.zeros(0)
    solution = StarSolution(
        camera=camera(),
        log10_odds=30.0,
        x=none,
        y=none,
        detection=np.zeros(0, np.intp),
        star=np.zeros(0, np.intp),
        vectors_icrs=np.zeros((0, 3)),
        magnitude_g=np.array([6.0]),
        residual_px=np.zeros((1, 2)),
        catalogue_epoch=2016.0,
    )
    frame = replace(read_frame(photo), time_utc=time_utc)
    return SolvedPhoto(frame=frame, stars=StarDetections.empty(), outcome=solution, seconds=0.1)


def test_without_a_time_there_are_no_bodies(photo: Path) -> None:
    assert record_of(solved(photo, None))["bodies"] is None


def test_the_record_has_the_moon_and_how_well_its_place_is_known(photo: Path) -> None:
    (moon,) = (one for one in record_of(solved(photo))["bodies"] if one["name"] == "Moon")
    assert moon["sigma_deg"] == pytest.approx(1.1)  # seen from the Earth's centre
    assert math.hypot(moon["x"] - WIDTH / 2, moon["y"] - HEIGHT / 2) < 2.0


def test_from_the_station_the_moon_stands_elsewhere(photo: Path) -> None:
    samples = Path(__file__).resolve().parents[4] / "data_samples" / "tle.txt"
    tles = load_tle_file(samples)
    moment = tles[0].epoch_utc
    job = SolveJob(
        detector=STARS.detector(),
        frame_options=FrameOptions(),
        options=SolveOptions(),
        tles=tles,
    )
    frame = replace(read_frame(photo), time_utc=moment)
    position = job._position(frame)
    assert position is not None
    np.testing.assert_allclose(position, camera_position(tles, moment).position_ecef_m)
    assert job._position(replace(frame, time_utc=None)) is None
    # A hundred years from every element set: the Earth's centre has to do
    assert job._position(replace(frame, time_utc=TIME.replace(year=1957))) is None


def test_the_moon_is_drawn_where_it_is_and_as_large(photo: Path, tmp_path: Path) -> None:
    one = solved(photo)
    assert isinstance(one.outcome, StarSolution)
    target = tmp_path / "drawn.png"
    bodies = bodies_in_frame(one.outcome.camera, TIME)
    catalogue = load_catalogue(faintest_g=4.0)
    plain = tmp_path / "plain.png"
    draw_solution(photo, one.stars, one.outcome, catalogue, plain)
    draw_solution(photo, one.stars, one.outcome, catalogue, target, bodies=bodies)
    drawn, before = cv2.imread(str(target)).astype(int), cv2.imread(str(plain)).astype(int)
    rows, columns = np.nonzero(np.abs(drawn - before).max(axis=2))
    scale = drawn.shape[1] / WIDTH
    radius = next(b.radius_px for b in bodies if b.body.name == "Moon") * scale
    gaps = np.hypot(columns - drawn.shape[1] / 2, rows - drawn.shape[0] / 2)
    assert np.sum(np.abs(gaps - radius) < 3.0) > 3.0 * radius
