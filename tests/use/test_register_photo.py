"""Simulated photos against their truth: however they were taken, stored, cut and described."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import regengine
from regengine import Registration
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.simulated import (
    EXPOSURES,
    HEIGHT,
    RARE,
    USUAL,
    WIDTH,
    Region,
    SimCamera,
    camera_misses_m,
    camera_over,
    draw,
    enlarged,
    is_right,
    moved,
    picture_of,
    point_misses_m,
    sample_camera,
    true_camera,
    wgs84,
    write_land,
    write_photo_of_map,
    write_png,
    write_raw,
    write_shifted_map,
    write_stale_elements,
)

MAP_PIXEL_M = 463.0  # 15 arc seconds


def found_right(found: Registration, camera: SimCamera, *, median_m: float = MAP_PIXEL_M) -> None:
    """Accepted, its points right, and its camera as well."""
    assert found.verdict == "accepted", found
    misses_m = point_misses_m(camera, found.control_points)
    assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])
    assert np.nanmedian(camera_misses_m(camera, found.camera)) < median_m


def told(name: str) -> dict[str, Any]:
    """What a simulated photo's file says of time and lens, for a copy that does not."""
    exposure = EXPOSURES[name]
    return {"time": exposure.time_utc, "focal_mm": exposure.focal_mm, "tle": ELEMENTS}


# As they were taken


@pytest.fixture
def taken(request: pytest.FixtureRequest, name: str) -> Path:
    """The folder in which an exposure was registered."""
    folder: Path = request.getfixturevalue("simulated" if name in USUAL else "rare")
    return folder


@pytest.mark.parametrize(
    "name", [*USUAL, *(pytest.param(name, marks=pytest.mark.slow) for name in RARE)]
)
def test_a_photo_is_placed_to_a_part_of_a_map_pixel(taken: Path, name: str) -> None:
    found = regengine.open_store(taken / "run.h5")[name]
    found_right(found, true_camera(taken / f"{name}.jpg"), median_m=0.6 * MAP_PIXEL_M)
    assert found.camera.mirrored == EXPOSURES[name].mirrored
    assert found.to_dict()["image"]["orientation"] == EXPOSURES[name].orientation
    late_s = found.to_dict()["camera"]["along_track_offset_s"]
    assert late_s == pytest.approx(-EXPOSURES[name].clock_error_s, abs=5.0)


@pytest.mark.slow
def test_over_the_set_points_lie_as_far_off_as_their_sigmas_say(
    simulated: Path, rare: Path
) -> None:
    """Of two axes with one sigma each the squared distance has a mean of two squared sigmas."""
    squares = []
    for folder in (simulated, rare):
        for found in regengine.open_store(folder / "run.h5"):
            misses_m = point_misses_m(true_camera(folder / found.path.name), found.control_points)
            squares += list(0.5 * (misses_m / found.control_points.sigma_m) ** 2)
    assert len(squares) == 4 * len(EXPOSURES)
    assert 0.15 < np.mean(squares) < 1.5
    assert np.max(squares) < 0.5 * 4.0**2


@pytest.mark.parametrize("size", [1.0, pytest.param(2.7, marks=pytest.mark.slow)])
def test_no_half_pixel_is_lost_between_file_and_map(
    simulated: Path, tmp_path: Path, size: float
) -> None:
    """The map itself, photographed without noise, in pixels larger and smaller than its own."""
    camera = enlarged(true_camera(simulated / "nadir.jpg"), size)
    photo = write_photo_of_map(tmp_path / "map.png", camera)
    found = regengine.register(photo, lights=LIGHTS, any_category=True, **told("nadir"))
    assert found.camera is not None
    x, y = (a.ravel() for a in np.meshgrid(*(np.linspace(0.05, 0.95, 9),) * 2))
    x, y = x * camera.width_px, y * camera.height_px
    lon, lat, distance_m = camera.ground(x, y)
    azimuth, _, away_m = wgs84().inv(lon, lat, *found.camera.pixel_to_lonlat(x, y))
    # of the coarser of the two: pixels of the photo, and of the map
    units = away_m / np.maximum(distance_m / camera.focal_px, MAP_PIXEL_M)
    assert abs(np.median(units * np.sin(np.radians(azimuth)))) < 0.1
    assert abs(np.median(units * np.cos(np.radians(azimuth)))) < 0.1
    assert np.median(units) < 0.15


# As they are stored


@pytest.mark.parametrize(
    "kind",
    [
        "TIFF of 16 bit",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("PNG turned", "raw")),
    ],
)
def test_the_same_exposure_in_another_file_is_the_same_place(
    simulated: Path, tmp_path: Path, kind: str
) -> None:
    """By pixels as stored, however the file says it is to be turned."""
    picture = picture_of(simulated / "tele.jpg")
    if kind == "PNG turned":
        photo = tmp_path / "tele.png"
        exif = replace(EXPOSURES["tele"], orientation=3).exif()
        write_png(photo, picture, exif=exif)
    elif kind == "TIFF of 16 bit":
        photo = tmp_path / "tele.tif"
        tags = [(274, "H", 1, 7, True)]  # turned and mirrored
        tifffile.imwrite(photo, picture.astype(np.uint16) * 257, photometric="rgb", extratags=tags)
    else:
        photo = write_raw(tmp_path / "tele.dng", picture)
    found = regengine.register(photo, lights=LIGHTS, **told("tele"))
    found_right(found, true_camera(simulated / "tele.jpg"), median_m=150.0)
    if kind != "raw":
        assert found.to_dict()["image"]["orientation"] == {"PNG turned": 3}.get(kind, 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part"),
    [("nadir", "upper"), ("slanted", "left")],
)
def test_half_of_a_photo_shows_the_same_places(
    simulated: Path, tmp_path: Path, name: str, part: str
) -> None:
    """The lens' axis meets its edge, and nobody says which part of the sensor it is."""
    picture = picture_of(simulated / f"{name}.jpg")
    half = picture[: HEIGHT // 2] if part == "upper" else picture[:, : WIDTH // 2]
    pitch_um = 36_000.0 / WIDTH
    photo = write_png(tmp_path / "half.png", half)
    found = regengine.register(photo, lights=LIGHTS, pixel_pitch_um=pitch_um, **told(name))
    camera = true_camera(simulated / f"{name}.jpg")
    found_right(found, replace(camera, width_px=half.shape[1], height_px=half.shape[0]))


@pytest.mark.slow
def test_a_photo_without_any_word_of_its_lens_turned_upside_down(
    simulated: Path, tmp_path: Path
) -> None:
    picture = picture_of(simulated / "slanted.jpg")[::-1, ::-1]
    photo = write_png(tmp_path / "turned.png", np.ascontiguousarray(picture))
    found = regengine.register(
        photo, lights=LIGHTS, time=EXPOSURES["slanted"].time_utc, tle=ELEMENTS
    )
    camera = true_camera(simulated / "slanted.jpg")
    turned = replace(camera, axes=camera.axes @ np.diag([-1.0, -1.0, 1.0]))
    found_right(found, turned)


# As they are described


@pytest.mark.slow
def test_elements_of_days_before_lead_to_the_place_along_the_orbit(
    simulated: Path, tmp_path: Path
) -> None:
    stale = write_stale_elements(tmp_path / "tle.txt", EXPOSURES["nadir"].time_utc, 5.0, 300.0)
    found = regengine.register(simulated / "nadir.jpg", lights=LIGHTS, tle=stale)
    found_right(found, true_camera(simulated / "nadir.jpg"))
    assert found.to_dict()["camera"]["along_track_offset_s"] == pytest.approx(-300 / 7.66, abs=3.0)


@pytest.mark.slow
def test_a_bare_nadir_is_enough_and_may_be_60_km_off(simulated: Path, tmp_path: Path) -> None:
    camera = true_camera(simulated / "nadir.jpg")
    photo = write_png(tmp_path / "nadir.png", picture_of(simulated / "nadir.jpg"))
    nadir = camera.lon_deg + 0.45, camera.lat_deg + 0.38
    found = regengine.register(photo, lights=LIGHTS, nadir=nadir, altitude_km=416.0, focal_mm=50.0)
    found_right(found, camera)
    assert found.nadir.source == "option"


def test_a_window_that_is_told_keeps_a_clock_wrong_by_an_hour_out(simulated: Path) -> None:
    told_late = {**told("nadir"), "time": EXPOSURES["nadir"].time_utc + timedelta(hours=1)}
    found = regengine.register(simulated / "nadir.jpg", lights=LIGHTS, clock_window=20, **told_late)
    assert (found.verdict, found.camera) == ("no_match", None)
    assert found.reasons


def test_seconds_that_are_allowed_are_a_brake_and_told(simulated: Path) -> None:
    """A clock that is looked at once a step, and is a second later each time."""
    params = regengine.RegisterParams(clock=itertools.count().__next__)
    found = regengine.register(
        simulated / "slanted.jpg", lights=LIGHTS, tle=ELEMENTS, max_seconds=0.5, params=params
    )
    assert found.verdict == "no_match"
    assert [one.code for one in found.reasons] == ["search_budget"]
    assert "--max-seconds" in found.reasons[0].text


@pytest.mark.slow
def test_across_the_antimeridian(simulated: Path, tmp_path: Path) -> None:
    """Camera and map turned about the Earth's axis until the city lies at 180 degrees."""
    east_deg = -28.0
    camera = moved(true_camera(simulated / "nadir.jpg"), east_deg)
    photo = write_png(tmp_path / "nadir.png", picture_of(simulated / "nadir.jpg"))
    maps = write_shifted_map(tmp_path, east_deg)
    found = regengine.register(
        photo,
        lights=maps,
        nadir=(camera.lon_deg, camera.lat_deg),
        altitude_km=camera.height_m / 1e3,
        focal_mm=50.0,
    )
    found_right(found, camera)
    corners = np.array(found.footprint)[:, 0]
    assert corners.min() < -170.0
    assert corners.max() > 170.0
    assert ((corners >= -180.0) & (corners < 180.0)).all()


@pytest.mark.slow
def test_at_the_northernmost_nadir(tmp_path: Path) -> None:
    world = write_land(tmp_path, Region(west=-12.0, south=49.0, size_deg=10.0), seed=7)
    camera = camera_over((-5.9, 54.3))
    photo = write_png(tmp_path / "north.png", draw(camera, world, EXPOSURES["nadir"].scene))
    found = regengine.register(
        photo,
        lights=tmp_path / "lights.tif",
        nadir=(camera.lon_deg, camera.lat_deg),
        altitude_km=camera.height_m / 1e3,
        focal_mm=50.0,
    )
    found_right(found, camera)


# With nothing known


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ISS990-E-000103", "ISS990-E-000106"])
def test_lights_alone_place_a_photo(tmp_path: Path, name: str) -> None:
    """From nearly above, and with the limb; neither time nor lens nor nadir."""
    photo = write_png(tmp_path / "photo.png", picture_of(SAMPLES / f"{name}.jpg"))
    found = regengine.register(photo, lights=LIGHTS, blind="always")
    found_right(found, sample_camera(name))
    assert found.nadir.source == "lights"


@pytest.mark.slow
def test_a_wrong_date_is_doubted_and_the_time_that_fits_is_told() -> None:
    name = "ISS990-E-000103"
    found = regengine.register(
        SAMPLES / f"{name}.jpg", lights=LIGHTS, tle=ELEMENTS, time="2014-01-29T10:57:58Z"
    )
    assert found.verdict in ("accepted", "review")
    assert found.reasons[0].code == "clock_suspect"
    assert "2014-01-30 10:1" in found.reasons[0].text
    misses_m = point_misses_m(sample_camera(name), found.control_points)
    assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])


@pytest.mark.slow
@pytest.mark.parametrize("focal_mm", [8.0, 500.0])
def test_a_lens_told_wrong_by_any_factor_is_found_out(simulated: Path, focal_mm: float) -> None:
    found = regengine.register(
        simulated / "nadir.jpg", lights=LIGHTS, **{**told("nadir"), "focal_mm": focal_mm}
    )
    found_right(found, true_camera(simulated / "nadir.jpg"))
    assert "lens_suspect" in {one.code for one in found.reasons}
    assert found.to_dict()["image"]["focal_mm"] == focal_mm


RIGHT_ROW = {
    "time_utc": "2014-01-30T10:14:58Z",
    "nadir_lat": 34.51,
    "nadir_lon": -153.29,
    "altitude_km": 418,
    "focal_mm": 50,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "verdict", "code", "says"),
    [
        (
            {"altitude_km": 225, "time_utc": ""},
            *("review", "altitude_suspect", "altitude of the frame record, 225 km"),
        ),
        ({"altitude_km": 225}, "accepted", "altitude_suspect", "not the 225 km that the frame"),
        ({"nadir_lat": 40.4, "nadir_lon": -3.7}, "accepted", "clock_suspect", "-3.7,40.4: check"),
        ({"focal_mm": 100}, "accepted", "lens_suspect", "not the given 100 mm"),
        ({"time_utc": "2009-01-30T10:14:58Z"}, "review", "altitude_suspect", "check the date"),
        ({}, "accepted", None, None),
    ],
)
def test_a_table_that_is_wrong_in_one_column_is_doubted_there(
    tmp_path: Path, wrong: dict[str, Any], verdict: str, code: str | None, says: str | None
) -> None:
    name = "ISS990-E-000103"
    photo = write_png(tmp_path / f"{name}.png", picture_of(SAMPLES / f"{name}.jpg"))
    row = {"frame_id": name, **RIGHT_ROW, **wrong}
    table = tmp_path / "frames.csv"
    table.write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n")
    found = regengine.register(photo, lights=LIGHTS, tle=ELEMENTS, metadata=table)
    told = {one.code: one.text for one in found.reasons}
    assert (found.verdict, list(told)) == (verdict, [] if code is None else [code])
    assert code is None or says in told[code]


@pytest.mark.slow
def test_a_clock_that_was_never_set_is_told(simulated: Path) -> None:
    camera = true_camera(simulated / "nadir.jpg")
    found = regengine.register(
        simulated / "nadir.jpg",
        lights=LIGHTS,
        time="1970-01-01T00:00:00Z",
        nadir=(camera.lon_deg, camera.lat_deg),
        focal_mm=50.0,
    )
    found_right(found, camera)
    assert [one.code for one in found.reasons] == ["clock_suspect"]
    assert "before the station's first flight" in found.reasons[0].text


@pytest.mark.slow
def test_a_place_in_the_picture_is_enough(simulated: Path) -> None:
    camera = true_camera(simulated / "nadir.jpg")
    lon, lat, _ = camera.ground(np.array([0.4 * camera.width_px]), np.array([10.0]))
    found = regengine.register(
        simulated / "nadir.jpg",
        lights=LIGHTS,
        centre=(float(lon[0]), float(lat[0])),
        radius_km=30.0,
        focal_mm=50.0,
        blind="never",
    )
    found_right(found, camera)
    assert found.nadir.source == "centre"
    assert found.reasons == ()


@pytest.mark.slow
@pytest.mark.parametrize("centre", ["-146,38", "10,50"])
def test_a_wrong_place_in_the_picture_makes_no_wrong_answer(simulated: Path, centre: str) -> None:
    found = regengine.register(
        simulated / "nadir.jpg", lights=LIGHTS, centre=centre, radius_km=30.0, focal_mm=50.0
    )
    if found.verdict == "accepted":
        found_right(found, true_camera(simulated / "nadir.jpg"))
        assert found.reasons[0].code == "centre_suspect"
