"""The sample photographs: remade the same, true to their truth files, fit for registration."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sgp4.api import Satrec

from benchmarks import simulate as samples
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.worlds import TownWorld
from matchers.geometry.camera import Camera

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).resolve().parents[2] / "data_samples"
FRAME_IDS = [frame.frame_id for frame in samples.FRAMES]


def truth_of(frame_id: str) -> dict:
    return json.loads((FOLDER / "truth" / f"{frame_id}.json").read_text(encoding="utf-8"))


def camera_of(truth: dict) -> Camera:
    camera = truth["camera"]
    return Camera(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in camera.items()
            if name not in ("model", "lon", "lat", "altitude_km")
        }
    )


@pytest.fixture(scope="module")
def world() -> TownWorld:
    return samples.sample_world()


def test_a_committed_frame_is_what_the_command_makes(world: TownWorld) -> None:
    frame = samples.FRAMES[4]
    camera = samples.sample_camera(frame, samples.true_orbit())
    made = np.asarray(Image.open(io.BytesIO(samples.render_sample(frame, camera, world))))
    stored = np.asarray(Image.open(FOLDER / f"{frame.frame_id}.jpg"))
    assert stored.shape == made.shape
    # Other versions of the JPEG library may round otherwise, by a grey level here and there.
    assert np.abs(stored.astype(int) - made).mean() < 0.1


@pytest.mark.parametrize("frame_id", FRAME_IDS)
def test_truth_agrees_with_the_engines_camera(frame_id: str) -> None:
    truth = truth_of(frame_id)
    camera = camera_of(truth)
    points = truth["reference_points"]
    if points:
        x, y = camera.lonlat_to_pixel([p["lon"] for p in points], [p["lat"] for p in points])
        np.testing.assert_allclose(x, [p["x"] for p in points], atol=0.05)
        np.testing.assert_allclose(y, [p["y"] for p in points], atol=0.05)
    right, bottom = camera.width_px - 1, camera.height_px - 1
    lon, lat = camera.pixel_to_lonlat([0, right, right, 0], [0, 0, bottom, bottom])
    for corner, corner_lon, corner_lat in zip(truth["footprint"], lon, lat, strict=True):
        if corner is None:
            assert np.isnan(corner_lon)
        else:
            assert corner == pytest.approx([float(corner_lon), float(corner_lat)], abs=1e-4)
    assert camera.off_nadir_deg == pytest.approx(truth["off_nadir_deg"], abs=1e-3)


@pytest.mark.parametrize("frame_id", FRAME_IDS)
def test_elements_on_disk_place_the_camera_as_well_as_the_truth_says(frame_id: str) -> None:
    truth = truth_of(frame_id)
    lines = (FOLDER / "tle.txt").read_text(encoding="ascii").splitlines()
    sets = [Satrec.twoline2rv(*lines[i + 1 : i + 3]) for i in range(0, len(lines), 3)]
    frame = next(f for f in samples.FRAMES if f.frame_id == frame_id)
    ages_h = [
        (frame.time_utc - epoch).total_seconds() / 3600.0 for epoch, _ in samples.ELEMENT_SETS
    ]
    nearest = int(np.argmin(np.abs(ages_h)))
    assert truth["tle_age_h"] == pytest.approx(ages_h[nearest])
    position, _ = state_ecef(sets[nearest], frame.time_utc)
    miss_km = np.linalg.norm(position - truth["camera"]["position_ecef_m"]) / 1000.0
    drift_km_a_day = abs(samples.ELEMENT_SETS[nearest][1])
    assert miss_km == pytest.approx(drift_km_a_day * abs(ages_h[nearest]) / 24.0, abs=1.0)
