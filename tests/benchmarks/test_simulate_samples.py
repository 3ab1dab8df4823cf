"""The sample photographs: remade the same, true to their truth files, fit for registration."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import ExifTags, Image
from scipy import ndimage
from sgp4.api import Satrec

from benchmarks import simulate as samples
from benchmarks.simulate.__main__ import main
from benchmarks.simulate.light_map import draw_light_map
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.worlds import TownWorld
from matchers.camera import Camera

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


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        main(
            [
                *("samples", "--out", str(tmp_path / name), "--scale", "0.06"),
                *("--seed", "7", "--map-step-arcsec", "900"),
            ]
        )
    written = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert len(written) == 14  # six photographs, six truth files, the elements, the map
    for name in written:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_committed_frame_is_what_the_command_makes(world: TownWorld) -> None:
    frame = samples.FRAMES[4]
    camera = samples.sample_camera(frame, samples.true_orbit())
    made = np.asarray(Image.open(io.BytesIO(samples.render_sample(frame, camera, world))))
    stored = np.asarray(Image.open(FOLDER / f"{frame.frame_id}.jpg"))
    assert stored.shape == made.shape
    # Other versions of the JPEG library may round otherwise, by a grey level here and there.
    assert np.abs(stored.astype(int) - made).mean() < 0.1


def test_the_committed_map_is_what_the_command_makes(world: TownWorld) -> None:
    west, south, east, north = -151.75, 39.75, -151.0, 40.25
    made = draw_light_map(world, (west, south, east, north), samples.MAP_LIGHTS).radiance
    with rasterio.open(FOLDER / "lights.tif") as source:
        grid = source.transform
        col, row = round((west - grid.c) / grid.a), round((north - grid.f) / grid.e)
        window = rasterio.windows.Window(col, row, made.shape[1], made.shape[0])
        stored = source.read(1, window=window)
    inner = (slice(20, -20), slice(20, -20))  # light of the neighbours is blurred in at the edges
    np.testing.assert_allclose(stored[inner], made[inner], rtol=0.02, atol=0.6)
    assert stored[inner].max() > 50.0


def test_folder_is_small_and_complete() -> None:
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) < 15_000_000
    assert sorted(p.stem for p in FOLDER.glob("*.jpg")) == FRAME_IDS
    assert sorted(p.stem for p in (FOLDER / "truth").glob("*.json")) == FRAME_IDS


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


def test_reference_points_are_many_except_at_sea() -> None:
    counts = {name: len(truth_of(name)["reference_points"]) for name in FRAME_IDS}
    assert counts.pop("ISS990-E-000102") == 0
    assert min(counts.values()) >= 15


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


@pytest.mark.parametrize("frame_id", FRAME_IDS)
def test_exif_carries_the_wrong_clock(frame_id: str) -> None:
    truth = truth_of(frame_id)
    with Image.open(FOLDER / f"{frame_id}.jpg") as picture:
        detail = picture.getexif().get_ifd(ExifTags.IFD.Exif)
    date, clock = detail[ExifTags.Base.DateTimeOriginal].split(" ")
    stamp = np.datetime64(f"{date.replace(':', '-')}T{clock}")
    true = np.datetime64(truth["time_utc"].removesuffix("Z"))
    assert (stamp - true) / np.timedelta64(1, "s") == truth["clock_error_s"]
    nominal = float(detail[ExifTags.Base.FocalLength])
    assert abs(truth["focal_mm"] / nominal - 1.0) < 0.03


@pytest.mark.parametrize(
    "frame_id", ["ISS990-E-000101", "ISS990-E-000103", "ISS990-E-000104", "ISS990-E-000105"]
)
def test_photo_and_map_show_the_same_lights_at_the_same_place(frame_id: str) -> None:
    """Correlate the photo with the map through the true camera: the peak lies at no shift."""
    frame = next(f for f in samples.FRAMES if f.frame_id == frame_id)
    camera = samples.sample_camera(frame, samples.true_orbit())
    grey = np.asarray(Image.open(FOLDER / f"{frame_id}.jpg").convert("L"), float) / 255.0
    step_px = 8.0
    light = ndimage.gaussian_filter(grey**2.2, 0.4 * step_px)
    x, y = np.meshgrid(
        np.arange(30.0, camera.width_px - 30.0, step_px),
        np.arange(30.0, camera.height_px - 30.0, step_px),
    )
    with rasterio.open(FOLDER / "lights.tif") as source:
        grid, radiance = source.transform, ndimage.gaussian_filter(source.read(1), 1.2)
    log_light = np.log(1e-3 + light)

    def correlation(shift_x: float, shift_y: float) -> float:
        lon, lat, _ = camera.ground(x + shift_x, y + shift_y)
        rows, cols = (lat - grid.f) / grid.e - 0.5, (lon - grid.c) / grid.a - 0.5
        seen = np.log(1.0 + ndimage.map_coordinates(radiance, [rows, cols], order=1))
        photo = ndimage.map_coordinates(log_light, [y, x], order=1)
        photo = photo - ndimage.gaussian_filter(photo, 12.0)
        return float(np.corrcoef(seen.ravel(), photo.ravel())[0, 1])

    assert correlation(0.0, 0.0) > 0.4
    for axis in ((1.0, 0.0), (0.0, 1.0)):
        away = 6.0
        low, mid, high = (correlation(s * axis[0], s * axis[1]) for s in (-away, 0.0, away))
        peak_px = 0.5 * away * (low - high) / (low - 2.0 * mid + high)
        km_per_px = camera.height_m / 1000.0 / camera.focal_px
        assert abs(peak_px * km_per_px) < 0.15  # a third of a map pixel
