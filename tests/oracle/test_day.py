"""Frames by day on a picture of the Earth: placed with a proof, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from matchers.geometry.camera import Camera
from regengine.maps.opening import DayMap, open_day_map
from regengine.orbit import position_from_nadir
from regengine.photo.frame import FrameOptions, read_frame
from regengine.registration.points.compare_maps import (
    find_matches,
    read_beside_map,
    select_more_points,
)
from regengine.registration.propose_on_day import OF_MAPS, make_features
from regengine.registration.register_on_day import register_on_day
from regengine.registration.types import Prior
from regengine.store.result import FrameResult
from tests.world.by_day import (
    ALTITUDE_KM,
    COLS,
    FAR_MM,
    FINE_DEG,
    FOCAL_PX,
    HEIGHT,
    PITCH_UM,
    ROWS,
    SEA,
    WIDTH,
    draw_earth,
    look_aside,
    stand_beside,
    take_far_photo,
    take_oblique_photo,
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


def test_more_points_and_matches_lie_where_they_truly_are(
    photo: Path, earth: DayMap, truth: Camera
) -> None:
    """Through a camera that is a pixel off at the rim; none where cloud and window hide the map."""
    camera = replace(truth, focal_px=1.004 * truth.focal_px)
    beside = read_beside_map("day", photo, camera, earth)
    points = select_more_points(camera, beside, np.array([[330.0, 240.0]]), 20)
    rows = find_matches(camera, beside)
    assert len(points) == 20
    assert len(rows) > 40
    placed = np.array([(one.x, one.y, one.lon, one.lat) for one in points])
    matched = np.stack([rows.x, rows.y, rows.lon, rows.lat], axis=-1)
    for (x, y, lon, lat), most_px in ((placed.T, 1.5), (matched.T, 0.7)):
        assert np.hypot(x - 330.0, y - 240.0).max() < 235.0
        assert np.hypot(x - 200.0, y - 150.0).min() > 45.0
        at_x, at_y = truth.lonlat_to_pixel(lon, lat)
        assert np.median(np.hypot(x - at_x, y - at_y)) < most_px
    at_x, at_y = truth.lonlat_to_pixel(*placed[:, 2:].T)
    sigma_px = np.array([one.sigma_px for one in points])
    assert (np.hypot(*(placed[:, :2].T - (at_x, at_y))) < 4.0 * sigma_px).all()
    apart = np.linalg.norm(placed[:, None, :2] - placed[:, :2], axis=-1) + 1e3 * np.eye(20)
    assert apart.min() > 15.0


@pytest.mark.slow
def test_another_place_and_a_mirrored_frame_are_not_accepted(
    photo: Path, earth: DayMap, tmp_path: Path
) -> None:
    result = place(photo, write_map(draw_earth(2), tmp_path / "other.tif"))
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["few_structures"]
    mirrored = tmp_path / "mirrored.jpg"
    Image.fromarray(np.asarray(Image.open(photo))[:, ::-1]).save(mirrored, quality=90)
    assert place(mirrored, earth).verdict == "no_match"


@pytest.mark.slow
def test_a_frame_is_placed_with_a_focal_length_that_is_15_percent_off_and_without_a_nadir(
    photo: Path, earth: DayMap, truth: Camera
) -> None:
    known = FrameOptions(focal_mm=1e-3 * PITCH_UM * FOCAL_PX, pixel_pitch_um=PITCH_UM)
    anywhere = register_on_day(read_frame(photo, options=known), Prior(position=None), earth)
    assert anywhere.nadir is not None
    assert anywhere.nadir.source == "lights"
    for result in (place(photo, earth, focal_scale=0.85), anywhere):
        assert result.verdict == "accepted"
        assert result.solved is not None
        off_m = result.solved.camera.pixel_to_ecef(330, 240) - truth.pixel_to_ecef(330, 240)
        assert np.linalg.norm(off_m) < 1500.0


@pytest.mark.slow
@pytest.mark.parametrize("shown", [(19.0, 38.6), (13.2, 40.6)])
def test_an_oblique_frame_with_a_lens_3_percent_off_is_placed(
    shown: tuple[float, float], earth: DayMap, tmp_path: Path
) -> None:
    truth, photo = take_oblique_photo(shown, tmp_path / "oblique.jpg")
    assert truth.off_nadir_deg > 30.0
    result = place(photo, earth, focal_scale=2.0)
    assert result.verdict == "accepted"
    assert result.solved is not None
    off_m = result.solved.camera.pixel_to_ecef(320, 240) - truth.pixel_to_ecef(320, 240)
    assert np.linalg.norm(off_m) < 1000.0  # a pixel of the map


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


def test_a_place_off_the_map_names_how_to_get_one(photo: Path, earth: DayMap) -> None:
    result = place(photo, earth, lon=-100.0)
    (reason,) = result.reasons
    assert reason.code == "outside_map"
    assert "regengine maps get --kind day" in reason.text


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


def test_features_that_are_damaged_or_of_another_map_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "fine.tif"
    noise = np.random.default_rng(4).normal(size=(ROWS, COLS)).astype(np.float32)
    codes = np.clip(110.0 + 300.0 * cv2.GaussianBlur(noise, (0, 0), 4), 0.0, 255.0)
    (reference,) = write_map(np.stack([codes.astype(np.uint8)] * 3, axis=-1), path, FINE_DEG)
    first = make_features(reference, 0.2)
    (kept,) = (tmp_path / "cache").rglob("*.features")
    made = kept.read_bytes()
    with np.load(kept) as file:
        whole = dict(file)
    for spoilt in (whole | {"turns": np.zeros((len(first), 7))}, made[: len(made) // 2]):
        with kept.open("wb") as stream:
            if isinstance(spoilt, bytes):
                stream.write(spoilt)
            else:
                np.savez(stream, **spoilt)
        os.utime(path)  # whatever was read before is read again
        again = make_features(reference, 0.2)
        assert kept.read_bytes() == made
        for name, values in first.columns.items():
            np.testing.assert_array_equal(again.columns[name], values)
    monkeypatch.setitem(OF_MAPS, "map_density", 0.001)
    os.utime(path)
    few = make_features(reference, 0.2)
    assert 0 < len(few.columns["sizes"]) < 0.5 * len(first.columns["sizes"])


@pytest.mark.slow
def test_a_telephoto_frame_asks_for_a_finer_map(far_photo: Path, earth: DayMap) -> None:
    (reason,) = place_far(far_photo, earth).reasons
    assert reason.code == "outside_map"
    assert "fine enough" in reason.text
    assert "pixels of at most 107 m" in reason.text  # 200 of 21.3 km
    assert "maps build" in reason.text
