"""Frames by day on a picture of the Earth: placed with a proof, and nowhere else."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin
from rasterio.windows import Window

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84
from regengine.errors import LightMapError
from regengine.io.gdal import open_gdal_session
from regengine.orbit import position_from_nadir
from regengine.photo.frame import FrameOptions, read_frame
from regengine.references.opening import DayMap, open_day_map
from regengine.registration.day.map_features import MapFeatures, make_features
from regengine.registration.day.parameters import FeatureParams
from regengine.registration.day.register_on_day import register_on_day
from regengine.registration.types import Prior
from regengine.result import FrameResult
from tests.world.by_day import (
    ALTITUDE_KM,
    COLS,
    FAR_MM,
    FINE_DEG,
    FOCAL_PX,
    HEIGHT,
    NORTH,
    PITCH_UM,
    ROWS,
    SEA,
    STEP_DEG,
    WEST,
    WIDTH,
    draw_earth,
    look_aside,
    stand_beside,
    take_far_photo,
    take_photo,
    write_map,
)


@pytest.fixture(scope="module")
def earth(tmp_path_factory: pytest.TempPathFactory) -> DayMap:
    return write_map(draw_earth(1), tmp_path_factory.mktemp("map") / "earth.tif")


@pytest.fixture(scope="module")
def truth() -> Camera:
    return stand_beside()


@pytest.fixture(scope="module")
def photo(truth: Camera, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_photo(truth, tmp_path_factory.mktemp("photo") / "day.jpg")


def place(
    photo: Path, maps: DayMap, lon: float = 16.0, lat: float = 39.5, focal_scale: float = 1.0
) -> FrameResult:
    focal_mm = 1e-3 * PITCH_UM * FOCAL_PX * focal_scale
    options = FrameOptions(focal_mm=focal_mm, pixel_pitch_um=PITCH_UM)
    nadir = position_from_nadir(lon, lat, ALTITUDE_KM, "option", sigma_km=(20.0, 5.0, 2.0))
    return register_on_day(read_frame(photo, options=options), Prior(position=nadir), maps)


def test_a_frame_is_accepted_to_half_a_pixel_of_the_map(
    photo: Path, earth: DayMap, truth: Camera
) -> None:
    placed = place(photo, earth)
    assert placed.verdict == "accepted"
    assert placed.solved is not None
    x, y = (each.ravel() for each in np.meshgrid([170.0, 330.0, 480.0], [100.0, 240.0, 380.0]))
    off_m = placed.solved.camera.pixel_to_ecef(x, y) - truth.pixel_to_ecef(x, y)
    assert np.median(np.linalg.norm(off_m, axis=-1)) < 500.0  # a pixel is 1,110 by 860 m
    assert len(placed.control_points) == 4
    for point in placed.control_points:
        assert point.sigma_m > 1000.0  # a pixel of the map
        x, y = truth.lonlat_to_pixel(point.lon, point.lat)
        assert np.hypot(x - point.x, y - point.y) * 620.0 < 2.0 * point.sigma_m
    # It says what it rests on
    sources = dict(placed.sources)
    assert sources["reference"].startswith("day")
    assert "held-out patches agree" in sources["proof"]
    assert placed.fit is not None
    assert placed.fit.log10_odds >= 6.0


@pytest.mark.slow
def test_a_mirrored_frame_is_not_accepted(photo: Path, earth: DayMap, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored.jpg"
    Image.fromarray(np.asarray(Image.open(photo))[:, ::-1]).save(mirrored, quality=90)
    assert place(mirrored, earth).verdict == "no_match"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_another_place_is_not_accepted(photo: Path, seed: int, tmp_path: Path) -> None:
    result = place(photo, write_map(draw_earth(seed), tmp_path / "other.tif"))
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["few_structures"]


@pytest.mark.slow
@pytest.mark.parametrize("focal_scale", [0.85, 1.15])
def test_a_frame_is_placed_with_a_focal_length_that_is_15_percent_off(
    photo: Path, earth: DayMap, truth: Camera, focal_scale: float
) -> None:
    result = place(photo, earth, focal_scale=focal_scale)
    assert result.verdict == "accepted"
    assert result.solved is not None
    off_m = result.solved.camera.pixel_to_ecef(330, 240) - truth.pixel_to_ecef(330, 240)
    assert np.linalg.norm(off_m) < 1500.0


@pytest.mark.slow
def test_a_frame_above_the_sea_or_of_cloud_says_so(
    photo: Path, earth: DayMap, tmp_path: Path
) -> None:
    sea = np.full((ROWS, COLS, 3), SEA, np.uint8)
    (reason,) = place(photo, write_map(sea, tmp_path / "sea.tif")).reasons
    assert reason.code == "sea"
    rng = np.random.default_rng(7)
    cloud = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)), (0, 0), 9)
    codes = np.clip(225.0 + 12.0 * cloud / cloud.std(), 0.0, 255.0).astype(np.uint8)
    Image.fromarray(np.stack([codes] * 3, axis=-1)).save(tmp_path / "cloud.jpg")
    result = place(tmp_path / "cloud.jpg", earth)
    assert (result.verdict, [one.code for one in result.reasons]) == ("no_match", ["cloud"])


def test_painted_sea_floor_holds_no_structure(earth: DayMap) -> None:
    grid = earth.window(22.0, 34.5, 22.9, 35.5, STEP_DEG)
    assert np.ptp(grid.values) == 0.0


@pytest.mark.parametrize(
    ("focal_mm", "asked"), [(None, ["--focal-mm"]), (400.0, ["--time", "--nadir"])]
)
def test_one_sentence_says_what_a_frame_lacks(
    focal_mm: float | None, asked: list[str], photo: Path, earth: DayMap
) -> None:
    frame = read_frame(photo, options=FrameOptions(focal_mm=focal_mm))
    result = register_on_day(frame, Prior(position=None), earth)
    assert result.verdict == "no_match"
    (reason,) = result.reasons
    assert all(option in reason.text for option in asked)


@pytest.mark.slow
def test_a_wide_frame_is_found_on_a_regional_map_without_time_or_nadir(
    photo: Path, earth: DayMap, truth: Camera
) -> None:
    options = FrameOptions(focal_mm=1e-3 * PITCH_UM * FOCAL_PX, pixel_pitch_um=PITCH_UM)
    result = register_on_day(read_frame(photo, options=options), Prior(position=None), earth)
    assert result.verdict == "accepted"
    assert result.solved is not None
    assert result.nadir is not None
    assert result.nadir.source == "lights"
    off_m = result.solved.camera.pixel_to_ecef(330, 240) - truth.pixel_to_ecef(330, 240)
    assert np.linalg.norm(off_m) < 1500.0


def test_a_place_off_the_map_names_how_to_get_one(photo: Path, earth: DayMap) -> None:
    result = place(photo, earth, lon=-100.0)
    (reason,) = result.reasons
    assert reason.code == "outside_map"
    assert "regengine day get" in reason.text


def test_a_raster_without_georeference_is_no_day_map(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(path)
    with pytest.raises(LightMapError):
        open_day_map([path])


@pytest.fixture(scope="module")
def far_truth() -> Camera:
    return look_aside()


@pytest.fixture(scope="module")
def far_photo(far_truth: Camera, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_far_photo(far_truth, tmp_path_factory.mktemp("photo") / "far.jpg")


def place_far(photo: Path, maps: DayMap) -> FrameResult:
    frame = read_frame(photo, options=FrameOptions(focal_mm=FAR_MM))
    nadir = position_from_nadir(7.8, 43.9, ALTITUDE_KM, "option")
    return register_on_day(frame, Prior(position=nadir), maps)


@pytest.mark.slow
def test_a_telephoto_frame_takes_the_fine_map_of_two_and_not_that_of_another_place(
    far_photo: Path, far_truth: Camera, tmp_path: Path
) -> None:
    write_map(draw_earth(4), tmp_path / "fine.tif", FINE_DEG)
    write_map(draw_earth(1), tmp_path / "coarse.tif")
    result = place_far(far_photo, open_day_map([tmp_path / "coarse.tif", tmp_path / "fine.tif"]))
    assert result.verdict == "accepted"
    assert result.solved is not None
    x, y = (each.ravel() for each in np.meshgrid([100.0, 320.0, 540.0], [80.0, 240.0, 400.0]))
    off_m = result.solved.camera.pixel_to_ecef(x, y) - far_truth.pixel_to_ecef(x, y)
    assert np.median(np.linalg.norm(off_m, axis=-1)) < 50.0  # a pixel is 55 by 40 m
    assert all(point.sigma_m < 200.0 for point in result.control_points)
    others = write_map(draw_earth(5), tmp_path / "fine.tif", FINE_DEG)
    assert place_far(far_photo, others).verdict == "no_match"


@pytest.mark.slow
def test_a_squared_copy_is_found_and_its_pixels_are_stretched(
    far_truth: Camera, tmp_path: Path
) -> None:
    maps = write_map(draw_earth(4), tmp_path / "fine.tif", FINE_DEG)
    truth = replace(far_truth, height_px=427, principal_point=(319.5, 213.0))
    squared = tmp_path / "squared.png"
    with Image.open(take_far_photo(truth, tmp_path / "whole.png")) as picture:
        picture.resize((WIDTH, WIDTH), Image.Resampling.LANCZOS).save(squared)
    result = place_far(squared, maps)
    assert result.verdict == "accepted"
    assert result.solved is not None
    camera = result.solved.camera
    assert (camera.width_px, camera.height_px, camera.pixel_aspect) == (WIDTH, WIDTH, 1.5)
    x, y = (each.ravel() for each in np.meshgrid([100.0, 320.0, 540.0], [80.0, 240.0, 560.0]))
    ground = truth.pixel_to_ecef(x, (y + 0.5) * 427.0 / WIDTH - 0.5)
    assert np.median(np.linalg.norm(camera.pixel_to_ecef(x, y) - ground, axis=-1)) < 50.0


@pytest.mark.slow
def test_a_map_that_reaches_far_beyond_the_horizon_is_searched_below_the_camera(
    far_photo: Path, tmp_path: Path
) -> None:
    path = tmp_path / "wide.tif"
    with (
        open_gdal_session(),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=round(120.0 / FINE_DEG),
            height=ROWS,
            count=3,
            dtype="uint8",
            crs="EPSG:4326",
            transform=from_origin(WEST, NORTH, FINE_DEG, FINE_DEG),
            photometric="RGB",
            tiled=True,
            compress="deflate",
            sparse_ok=True,
        ) as out,
    ):
        out.write(np.moveaxis(draw_earth(4), -1, 0), window=Window(0, 0, COLS, ROWS))
    assert place_far(far_photo, open_day_map([path])).verdict == "accepted"
    # Too large for all of it to be looked at
    assert not [*tmp_path.glob("wide.tif.*.features")]


def draw_ground(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=(ROWS, COLS)).astype(np.float32)
    codes = np.clip(110.0 + 300.0 * cv2.GaussianBlur(noise, (0, 0), 4), 0.0, 255.0)
    return np.stack([codes.astype(np.uint8)] * 3, axis=-1)


def features_made_with(maps: DayMap, **ways: float) -> MapFeatures:
    (reference,) = maps
    return make_features(reference, 0.2, replace(FeatureParams(), **ways))


def test_features_kept_of_other_parameters_are_not_used(tmp_path: Path) -> None:
    maps = write_map(draw_ground(4), tmp_path / "fine.tif", FINE_DEG)
    many = features_made_with(maps)
    few = features_made_with(maps, map_density=0.001)
    assert 0 < len(few.columns["sizes"]) < 0.5 * len(many.columns["sizes"])


def test_features_of_a_copy_with_the_tags_of_another_map_are_its_own(tmp_path: Path) -> None:
    maps = write_map(draw_ground(4), tmp_path / "fine.tif", FINE_DEG)
    others = write_map(draw_ground(5), tmp_path / "copy.tif", FINE_DEG)
    for kept in tmp_path.glob("fine.tif.*.features"):
        kept.unlink()
    # What `day build` writes stays with a picture that other programs change
    maps, others = (DayMap([replace(each[0], content_sha256="5" * 64)]) for each in (maps, others))
    first = features_made_with(maps)
    (kept,) = tmp_path.glob("fine.tif.*.features")
    kept.rename(kept.with_name(kept.name.replace("fine", "copy")))
    second = features_made_with(others)
    assert not np.array_equal(first.columns["places"], second.columns["places"])


def test_features_that_are_damaged_or_of_another_map_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "fine.tif"
    maps = write_map(draw_ground(4), path, FINE_DEG)
    first = features_made_with(maps)
    (kept,) = tmp_path.glob("fine.tif.*.features")
    made = kept.read_bytes()
    with np.load(kept) as file:
        whole = dict(file)
    for spoilt in (
        made[: len(made) // 2],
        b"nothing of that kind",
        {name: values for name, values in whole.items() if name != "places"},
        whole | {"turns": np.zeros((len(first), 7))},
        whole | {"grid": np.zeros(2)},
        whole | {"map": np.array("another")},
    ):
        if isinstance(spoilt, bytes):
            kept.write_bytes(spoilt)
        else:
            with kept.open("wb") as stream:
                np.savez(stream, **spoilt)
        os.utime(path)  # whatever was read before is read again
        again = features_made_with(maps)
        assert kept.read_bytes() == made
        for name, values in first.columns.items():
            np.testing.assert_array_equal(again.columns[name], values)


@pytest.mark.slow
def test_a_full_disk_costs_the_file_of_features_alone(tmp_path: Path) -> None:
    path = tmp_path / "fine.tif"
    write_map(draw_ground(4), path, FINE_DEG)
    lines = (
        "import logging, resource, sys; logging.basicConfig(level=logging.INFO);"
        "from regengine.references.opening import open_day_map;"
        "from regengine.registration.day.map_features import make_features;"
        "from regengine.registration.day.parameters import FeatureParams;"
        "one, = open_day_map(sys.argv[1:]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "print(len(make_features(one, 0.1, FeatureParams()).columns['sizes']))"
    )
    said = subprocess.run(
        (sys.executable, "-c", lines, path), capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) > 1000
    assert "disk is full" in said.stderr
    assert "Traceback" not in said.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["fine.tif"]


def test_features_that_can_be_kept_nowhere_are_found_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    maps = write_map(draw_ground(4), tmp_path / "fine.tif", FINE_DEG)
    for octave in range(4):
        (tmp_path / f"fine.tif.{octave}.features").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "file"))
    assert len(features_made_with(maps).columns["sizes"]) > 500
    assert "REGENGINE_CACHE" in caplog.text


@pytest.mark.slow
def test_a_telephoto_frame_asks_for_a_finer_map(far_photo: Path, earth: DayMap) -> None:
    (reason,) = place_far(far_photo, earth).reasons
    assert reason.code == "outside_map"
    assert "fine enough" in reason.text
    assert "pixels of at most 107 m" in reason.text  # 200 of 21.3 km
    assert "day build" in reason.text


@pytest.mark.slow
def test_a_real_frame_lies_within_a_pixel_of_the_map(real_data: Path) -> None:
    folder = real_data / "day"
    rows = csv.DictReader((folder / "photos/index.csv").read_text("utf-8").splitlines())
    said = next(row for row in rows if row["file"] == "lampone_075759.jpg")
    rows = csv.DictReader((folder / "truth.csv").read_text("utf-8").splitlines())
    truth = next(row for row in rows if row["file"] == said["file"])
    nadir = position_from_nadir(
        float(said["nadir_lon"]),
        float(said["nadir_lat"]),
        float(said["altitude_km"]),
        "option",
        sigma_km=(10.0, 5.0, 2.0),
    )
    earth = open_day_map(sorted(folder.glob("*.tif")))
    frame = read_frame(folder / "photos" / said["file"])
    result = register_on_day(frame, Prior(position=nadir), earth)
    assert result.verdict == "accepted"
    assert result.solved is not None
    lon, lat = result.solved.camera.pixel_to_lonlat(647.5, 485.5)
    away_m = WGS84.inv(
        float(truth["centre_lon"]), float(truth["centre_lat"]), float(lon), float(lat)
    )[2]
    # The map is drawn 0.56 km too far east, which the truth has taken off
    assert away_m < 1200.0
