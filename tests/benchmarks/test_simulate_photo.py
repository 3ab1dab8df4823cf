"""From lamps to a stored picture: places, weather, sensor, file."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import ExifTags, Image
from trial_parts import CLEAN, Beacons

from benchmarks.simulate.camera import Pointing, SimCamera, ecef_of
from benchmarks.simulate.light_map import lamp_planes
from benchmarks.simulate.photo_files import CameraSettings, exif_bytes
from benchmarks.simulate.render import (
    expose,
    render,
    to_jpeg,
    tone,
)
from benchmarks.simulate.truth import camera_truth, footprint, reference_points
from benchmarks.simulate.weather import (
    CloudLayer,
    SceneParameters,
    cloud_depth,
    view_grid,
)
from benchmarks.simulate.worlds import Realisation

FRAMES = Realisation(number=2)


def camera_at(lean: float = 0.0, *, width: int = 480, height: int = 320) -> SimCamera:
    return SimCamera.pointed(
        position_ecef_m=ecef_of(-150.0, 36.0, 415e3),
        pointing=Pointing(off_nadir_deg=lean, azimuth_deg=30.0, roll_deg=12.0),
        width_px=width,
        height_px=height,
        focal_px=1.4 * width,
        k1=-0.03,
    )


def centroid(image: np.ndarray, x: float, y: float, reach: int = 8) -> tuple[float, float]:
    row, col = round(y), round(x)
    part = image[row - reach : row + reach + 1, col - reach : col + reach + 1].astype(float)
    rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return (
        col + float((part * cols).sum() / part.sum()),
        row + float((part * rows).sum() / part.sum()),
    )


@pytest.mark.parametrize("lean", [0.0, 45.0])
def test_a_lamp_appears_where_the_camera_says(lean: float) -> None:
    camera = camera_at(lean)
    spots = [(120.3, 80.7), (333.6, 200.2), (400.0, 40.5)]
    lon, lat, _ = camera.ground(*np.array(spots).T)
    planes = lamp_planes(
        camera, Beacons(list(lon), list(lat), 10.0), FRAMES, extinction=0.0, side_light=0.0
    )
    for x, y in spots:
        found = centroid(planes[1], x, y, 3)
        np.testing.assert_allclose(found, (x, y), atol=0.01)
    picture = render(camera, Beacons(list(lon), list(lat), 3.0), FRAMES, CLEAN)
    linear = (picture[:, :, 1] / 255.0) ** 2.2
    for x, y in spots:
        np.testing.assert_allclose(centroid(linear, x, y), (x, y), atol=0.1)


def test_radiance_is_intensity_over_ground_area() -> None:
    camera = camera_at()
    planes = lamp_planes(
        camera, Beacons([-150.0], [36.0], 10.0), FRAMES, extinction=0.0, side_light=0.0
    )
    km_per_px = 415.0 / camera.focal_px
    assert planes.sum() == pytest.approx(10.0 / km_per_px**2, rel=1e-3)
    assert planes[[0, 2]].sum() == 0.0


def test_same_parameters_same_bytes_and_other_seed_other_noise() -> None:
    camera, world = camera_at(), Beacons([-150.0], [36.0], 10.0)
    scene = SceneParameters(seed=4, clouds=(CloudLayer(),), reflection_nw=3.0, motion_px=2.0)
    one, two = (to_jpeg(render(camera, world, FRAMES, scene), 90) for _ in range(2))
    assert one == two
    other = SceneParameters(seed=5, clouds=(CloudLayer(),), reflection_nw=3.0, motion_px=2.0)
    assert to_jpeg(render(camera, world, FRAMES, other), 90) != one


@pytest.mark.parametrize("coverage", [0.2, 0.6])
def test_clouds_cover_the_share_asked_for(coverage: float) -> None:
    view = view_grid(camera_at(20.0))
    depth = cloud_depth(CloudLayer(coverage=coverage), view, np.random.default_rng(3))
    assert (depth > 0).mean() == pytest.approx(coverage, abs=0.02)
    none = cloud_depth(CloudLayer(coverage=0.0), view, np.random.default_rng(3))
    assert not none.any()


def test_noise_has_the_electrons_spread() -> None:
    scene = SceneParameters(
        psf_sigma_px=0.0, halo_share=0.0, vignetting=0.0, tone_contrast=0.0, hot_pixels=0.0,
        saturation_nw=100.0, full_well_electrons=2000.0, read_noise_electrons=20.0,
    )  # fmt: skip
    light = np.full((3, 200, 300), 25.0, np.float32)
    picture = expose(light, scene, np.random.default_rng(0)).astype(float) / 255.0
    linear = ((picture + 0.055) / 1.055) ** 2.4
    expected = np.sqrt(0.25 / 2000.0 + (20.0 / 2000.0) ** 2)
    assert linear.std() == pytest.approx(expected, rel=0.05)
    assert linear.mean() == pytest.approx(0.25, rel=0.02)


def test_exif_says_what_the_camera_knows() -> None:
    settings = CameraSettings(
        clock_utc=datetime(2014, 2, 1, 8, 38, 12, 340000, tzinfo=UTC),
        focal_mm=85.0,
        iso=6400,
        orientation=8,
    )
    data = to_jpeg(np.zeros((20, 30, 3), np.uint8), 90, exif_bytes(settings))
    exif = Image.open(io.BytesIO(data)).getexif()
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    assert exif[ExifTags.Base.Model] == "NIKON D3S"
    assert exif[ExifTags.Base.Orientation] == 8
    assert detail[ExifTags.Base.DateTimeOriginal] == "2014:02:01 08:38:12"
    assert detail[ExifTags.Base.SubsecTimeOriginal] == "34"
    assert float(detail[ExifTags.Base.FocalLength]) == 85.0
    assert detail[ExifTags.Base.ISOSpeedRatings] == 6400
    assert settings.pixel_pitch_um(1600, 1065) == pytest.approx(22.5)
    assert settings.pixel_pitch_um(1065, 1600) == pytest.approx(22.5)


def test_truth_points_lie_on_lamps() -> None:
    camera = camera_at(20.0)
    lon, lat, _ = camera.ground(np.array([40.0, 240.0, 440.0]), np.array([30.0, 160.0, 300.0]))
    points = reference_points(camera, Beacons(list(lon), list(lat), 10.0), FRAMES)
    found = sorted((p["x"], p["y"], p["lon"], p["lat"]) for p in points)
    expected = list(zip([40.0, 240.0, 440.0], [30.0, 160.0, 300.0], lon, lat, strict=True))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    record = camera_truth(camera)
    assert record["distortion"] == [-0.03, 0.0, 0.0, 0.0, 0.0]
    assert record["altitude_km"] == pytest.approx(415.0)
    corner_lon, corner_lat, _ = camera.ground(479.0, 0.0)
    assert footprint(camera)[1] == pytest.approx([float(corner_lon), float(corner_lat)])


def test_tone_is_srgb_and_clips() -> None:
    linear = np.array([[-1.0, 0.0, 0.0031308, 0.2140411, 1.0, 9.0]], np.float32)
    np.testing.assert_array_equal(tone(linear, 0.0)[0], [0, 0, 10, 128, 255, 255])
    assert tone(linear, 0.3)[0, 2] < 10
