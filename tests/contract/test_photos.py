"""Photos against their truth: what is placed is right however it was taken, stored and described,
and what the map does not hold is not accepted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

import regengine
from benchmarks.simulate import true_orbit
from benchmarks.simulate.land import Region
from benchmarks.simulate.orbit import elements_at, slip_elements, tle_lines
from benchmarks.simulate.worlds import draw_town_world
from benchmarks.trials.attempt import camera_of
from regengine import Registration
from regengine.orbit import camera_position, load_tle_file
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.shared import make_once
from tests.world.simulated import (
    CITY,
    CLEAR,
    EXPOSURES,
    HEIGHT,
    RARE,
    USUAL,
    WIDTH,
    SimCamera,
    camera_misses_m,
    camera_over,
    draw,
    is_right,
    moved,
    picture_of,
    point_misses_m,
    sample_camera,
    true_camera,
    wgs84,
    write_city_map,
    write_photo_of_map,
    write_png,
    write_shifted_map,
)

MAP_PIXEL_M = 463.0  # 15 arc seconds
Image = NDArray[np.uint8]


def is_placed(found: Registration, camera: SimCamera, *, median_m: float = MAP_PIXEL_M) -> None:
    """Accepted, its points right, and its camera as well."""
    assert found.verdict == "accepted", found
    misses_m = point_misses_m(camera, found.control_points)
    assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])
    assert np.nanmedian(camera_misses_m(camera, found.camera)) < median_m


def is_refused(found: Registration, *codes: str) -> None:
    assert found.verdict != "accepted", found
    assert found.reasons
    if codes:
        assert (found.verdict, [one.code for one in found.reasons]) == ("no_match", [*codes])
    if found.verdict == "no_match":
        assert len(found.control_points) == 0
        assert found.camera is None


def known(name: str) -> dict[str, Any]:
    """What a simulated photo's file says of time and lens, for a copy that does not."""
    exposure = EXPOSURES[name]
    return {"time": exposure.time_utc, "focal_mm": exposure.focal_mm, "tle": ELEMENTS}


# ---- as they were taken


@pytest.fixture
def taken(name: str, request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("simulated" if name in USUAL else "rare")
    return folder


@pytest.mark.parametrize(
    "name", [*USUAL, *(pytest.param(name, marks=pytest.mark.slow) for name in RARE)]
)
def test_a_photo_is_placed_to_a_part_of_a_map_pixel(taken: Path, name: str) -> None:
    found = regengine.open_store(taken / "run.h5")[name]
    is_placed(found, true_camera(taken / f"{name}.jpg"), median_m=0.6 * MAP_PIXEL_M)
    assert found.camera.mirrored == EXPOSURES[name].mirrored
    assert found.to_dict()["image"]["orientation"] == EXPOSURES[name].orientation
    late_s = found.to_dict()["camera"]["along_track_offset_s"]
    assert late_s == pytest.approx(-EXPOSURES[name].clock_error_s, abs=5.0)


@pytest.mark.slow
def test_cameras_lie_as_far_along_the_orbit_as_their_sigmas_say(
    simulated: Path, rare: Path
) -> None:
    tles, pulls = load_tle_file(ELEMENTS), []
    for folder in (simulated, rare):
        for found in regengine.open_store(folder / "run.h5"):
            exposure, truth = EXPOSURES[found.path.stem], true_camera(folder / found.path.name)
            along = camera_position(tles, exposure.time_utc).velocity_ecef_m_s
            along /= np.linalg.norm(along)
            off_m = np.subtract(found.camera.position_ecef_m, camera_of(truth).position_ecef_m)
            sigma_s = found.to_dict()["camera"]["along_track_sigma_s"]
            assert sigma_s < 0.01 * exposure.focal_mm
            pulls.append(off_m @ along / (7.66e3 * sigma_s))
    assert len(pulls) == len(EXPOSURES)
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.5
    assert np.abs(pulls).max() < 4.0


@pytest.mark.slow
def test_points_lie_as_far_off_as_their_sigmas_say(simulated: Path, rare: Path) -> None:
    """Of two axes with one sigma each the squared distance has a mean of two squared sigmas."""
    squares = []
    for folder in (simulated, rare):
        for found in regengine.open_store(folder / "run.h5"):
            misses_m = point_misses_m(true_camera(folder / found.path.name), found.control_points)
            squares += list(0.5 * (misses_m / found.control_points.sigma_m) ** 2)
    assert len(squares) == 4 * len(EXPOSURES)
    assert 0.15 < np.mean(squares) < 1.5
    assert np.max(squares) < 0.5 * 4.0**2


@pytest.mark.parametrize("size", [1.0, pytest.param(2.7, marks=pytest.mark.nightly)])
def test_no_half_pixel_is_lost_between_file_and_map(
    simulated: Path, tmp_path: Path, size: float
) -> None:
    """The map itself, photographed without noise, in pixels larger and smaller than its own."""
    camera = true_camera(simulated / "nadir.jpg")
    camera = replace(
        camera,
        width_px=round(camera.width_px * size),
        height_px=round(camera.height_px * size),
        focal_px=camera.focal_px * size,
        principal_x=(camera.principal_x + 0.5) * size - 0.5,
        principal_y=(camera.principal_y + 0.5) * size - 0.5,
    )
    photo = write_photo_of_map(tmp_path / "map.png", camera)
    found = regengine.register(photo, lights=LIGHTS, any_category=True, **known("nadir"))
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


# ---- stored and described in another way: the same place

Copy = Callable[[Path, Path], tuple[Path, dict[str, Any], SimCamera]]  # simulated, own folder


def as_png(name: str, camera: Callable[[SimCamera], SimCamera] = lambda one: one, **known: Any):
    """A copy without EXIF, told these; options that need the true camera are functions of it."""

    def copy(simulated: Path, folder: Path) -> tuple[Path, dict[str, Any], SimCamera]:
        true = camera(true_camera(simulated / f"{name}.jpg"))
        photo = write_png(folder / f"{name}.png", picture_of(simulated / f"{name}.jpg"))
        return photo, {k: v(true) if callable(v) else v for k, v in known.items()}, true

    return copy


def nadir_of(camera: SimCamera) -> tuple[float, float]:
    return camera.lon_deg, camera.lat_deg


def centre_of(camera: SimCamera) -> tuple[float, float]:
    lon, lat, _ = camera.ground(np.array([0.4 * camera.width_px]), np.array([10.0]))
    return float(lon[0]), float(lat[0])


def tiff_of_16_bit(simulated: Path, folder: Path) -> tuple[Path, dict[str, Any], SimCamera]:
    photo = folder / "tele.tif"
    picture = picture_of(simulated / "tele.jpg").astype(np.uint16) * 257
    tags = [(274, "H", 1, 7, True)]  # turned and mirrored
    tifffile.imwrite(photo, picture, photometric="rgb", extratags=tags)
    return photo, known("tele"), true_camera(simulated / "tele.jpg")


def stale_elements(simulated: Path, folder: Path) -> tuple[Path, dict[str, Any], SimCamera]:
    """Of five days before, by which the station is 300 km ahead of where it is."""
    stale = folder / "tle.txt"
    old = elements_at(true_orbit(), EXPOSURES["nadir"].time_utc - timedelta(days=5))
    stale.write_text(tle_lines(slip_elements(old, 300.0 / 5.0), "STALE"), encoding="ascii")
    return simulated / "nadir.jpg", {"tle": stale}, true_camera(simulated / "nadir.jpg")


def antimeridian(simulated: Path, folder: Path) -> tuple[Path, dict[str, Any], SimCamera]:
    """Camera and map turned about the Earth's axis until the city lies at 180 degrees."""
    camera = moved(true_camera(simulated / "nadir.jpg"), -28.0)
    photo = write_png(folder / "nadir.png", picture_of(simulated / "nadir.jpg"))
    given = {"nadir": nadir_of(camera), "altitude_km": camera.height_m / 1e3, "focal_mm": 50.0}
    return photo, {**given, "lights": write_shifted_map(folder, -28.0)}, camera


def named_town(simulated: Path, folder: Path) -> tuple[Path, dict[str, Any], SimCamera]:
    """Camera and map turned until the city lies at Tripoli, the second of its name."""
    east_deg = 35.8 - CITY[0]
    camera = moved(true_camera(simulated / "nadir.jpg"), east_deg)
    photo = write_png(folder / "nadir.png", picture_of(simulated / "nadir.jpg"))
    lights = write_city_map(folder / "lebanon.tif", east_deg=east_deg)
    return photo, {"place": "TRÍPOLI", "focal_mm": 50.0, "lights": lights}, camera


PARIS = (2.35, 48.86)
# A reason that it has, where its nadir is from, how far off at most, how often it is run
COPIES = {
    "TIFF of 16 bit": (tiff_of_16_bit, None, "tle", 150.0, ()),
    "elements of days before": (stale_elements, None, "tle", MAP_PIXEL_M, pytest.mark.slow),
    "across the antimeridian": (antimeridian, None, "option", MAP_PIXEL_M, pytest.mark.slow),
    "a town by its name": (named_town, None, "centre", MAP_PIXEL_M, pytest.mark.slow),
    "a clock that was never set": (
        as_png("nadir", time="1970-01-01T00:00:00Z", nadir=nadir_of, focal_mm=50.0),
        *("clock_suspect", "option", MAP_PIXEL_M, pytest.mark.nightly),
    ),
    "a lens of 8 mm": (
        as_png("nadir", **{**known("nadir"), "focal_mm": 8.0}),
        *("lens_suspect", "tle", MAP_PIXEL_M, pytest.mark.nightly),
    ),
    "a place out of sight": (
        as_png("nadir", **known("nadir"), centre=PARIS),
        *("centre_suspect", "tle", MAP_PIXEL_M, pytest.mark.slow),
    ),
    "a place in the picture": (
        as_png("nadir", centre=centre_of, radius_km=30.0, focal_mm=50.0, blind="never"),
        *(None, "centre", MAP_PIXEL_M, pytest.mark.nightly),
    ),
}


@pytest.mark.parametrize(
    ("make", "code", "source", "median_m"),
    [pytest.param(*row[:4], id=name, marks=row[4]) for name, row in COPIES.items()],
)
def test_the_same_exposure_is_the_same_place(
    simulated: Path, tmp_path: Path, make: Copy, code: str | None, source: str | None,
    median_m: float,
) -> None:  # fmt: skip
    photo, given, camera = make(simulated, tmp_path)
    found = regengine.register(photo, **{"lights": LIGHTS, **given})
    is_placed(found, camera, median_m=median_m)
    assert code is None or code in {one.code for one in found.reasons}
    assert source is None or found.nadir.source == source
    if make is tiff_of_16_bit:
        assert found.to_dict()["image"]["orientation"] == 7
    if make is stale_elements:
        late_s = found.to_dict()["camera"]["along_track_offset_s"]
        assert late_s == pytest.approx(-300 / 7.66, abs=3.0)
    if make is named_town:
        assert found.to_dict()["sources"]["place"] == "option (Tripoli, Lebanon)"
    if make is antimeridian:
        corners = np.array(found.footprint)[:, 0]
        assert corners.min() < -170.0
        assert corners.max() > 170.0
        assert ((corners >= -180.0) & (corners < 180.0)).all()


@pytest.mark.slow
def test_lights_alone_place_a_photo(tmp_path: Path) -> None:
    """Neither time nor lens nor nadir."""
    name = "ISS990-E-000103"
    photo = write_png(tmp_path / "photo.png", picture_of(SAMPLES / f"{name}.jpg"))
    found = regengine.register(photo, lights=LIGHTS, blind="always")
    is_placed(found, sample_camera(name))
    assert found.nadir.source == "lights"


def test_seconds_that_are_allowed_are_a_brake_and_told(simulated: Path) -> None:
    """A clock that is looked at once a step, and is a second later each time."""
    params = regengine.RegisterParams(clock=itertools.count().__next__)
    found = regengine.register(
        simulated / "slanted.jpg", lights=LIGHTS, tle=ELEMENTS, max_seconds=0.5, params=params
    )
    is_refused(found, "search_budget")
    assert "--max-seconds" in found.reasons[0].text


# ---- what the map does not hold

SECONDS = 1.0  # a search that finds nothing ends by then


def register(photo: Path, lights: Path, **options: Any) -> Registration:
    """A photo, tried whatever it looks like, from where the simulated "nadir" was taken."""
    given = {"time": EXPOSURES["nadir"].time_utc, "focal_mm": 50.0, "tle": ELEMENTS}
    given |= {"any_category": True, "max_seconds": SECONDS, "clock_window": 20}
    return regengine.register(photo, lights=lights, **{**given, **options})


def spots(count: int) -> Image:
    """Lights of one size anywhere, over noise."""
    places = np.random.default_rng(count).uniform(0.05, 0.95, (count, 2)) * (WIDTH, HEIGHT)
    picture = np.random.default_rng(4).normal(6.0, 1.5, (HEIGHT, WIDTH, 3))
    for x, y in places:
        cv2.circle(picture, (int(x), int(y)), 2, (230.0, 220.0, 200.0), -1)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


OTHER_LAND = Region(west=-156.0, south=29.0, size_deg=10.0)
# What a picture is tried with, the one reason that it has (more than one may hold: None)
FEW = {"time": None, "tle": None}
NADIR = {**FEW, "nadir": (10.0, -45.0), "altitude_km": 410.0}
REFUSED: dict[str, tuple[Callable[[Path], Image], dict[str, Any], str | None]] = {
    "four lights": (lambda _: spots(4), FEW, "few_lights"),
    "nothing known": (lambda _: spots(4), {**FEW, "blind": "never"}, "no_ephemeris"),
    "outside": (lambda folder: picture_of(folder / "nadir.jpg"), NADIR, "outside_map"),
    "one grey": (lambda _: np.full((HEIGHT, WIDTH, 3), 180, np.uint8), {"any_category": False},
                 "not_a_night_city_frame"),
    "a time by day": (lambda folder: picture_of(folder / "nadir.jpg"),
                      {"time": "2014-01-17T22:40:00Z"}, None),
    "other land": (lambda _: draw(camera_over(CITY), draw_town_world(77, OTHER_LAND), CLEAR), {},
                   None),
    "stars": (lambda _: spots(150), {}, None),
}  # fmt: skip
WEIGHTS = {"other land": pytest.mark.slow, "stars": pytest.mark.nightly}


@pytest.fixture(scope="session")
def city_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lights of the city alone, for searches that are to end soon."""
    folder = make_once(
        tmp_path_factory, "city_map", lambda folder: write_city_map(folder / "lights.tif")
    )
    return folder / "lights.tif"


@pytest.mark.parametrize(
    ("make", "given", "code"),
    [pytest.param(*row, id=name, marks=WEIGHTS.get(name, ())) for name, row in REFUSED.items()],
)
def test_what_shows_nothing_of_the_map_is_not_accepted(
    simulated: Path, city_map: Path, tmp_path: Path, make: Callable[[Path], Image],
    given: dict[str, Any], code: str | None,
) -> None:  # fmt: skip
    photo = write_png(tmp_path / "photo.png", make(simulated))
    found = register(photo, LIGHTS if code in ("few_lights", "no_ephemeris") else city_map, **given)
    is_refused(found, *([code] if code else []))


@pytest.mark.slow
@pytest.mark.parametrize("code", [None, "dark_map"])
def test_a_wrong_map_is_believed_by_nobody(
    simulated: Path, tmp_path: Path, code: str | None
) -> None:
    change = np.zeros_like if code else (lambda radiance: np.roll(radiance[::-1], 1000, axis=0))
    lights = write_city_map(tmp_path / "lights.tif", change)
    is_refused(register(simulated / "nadir.jpg", lights), *([code] if code else []))


@pytest.mark.slow
def test_the_more_of_a_photo_is_hidden_the_less_it_claims(
    simulated: Path, city_map: Path, tmp_path: Path
) -> None:
    """And what it still claims is right."""
    whole, camera = picture_of(simulated / "nadir.jpg"), true_camera(simulated / "nadir.jpg")
    odds, chances = [], []
    for kept in (1.0, 0.3, 0.08):
        picture = whole.copy()
        picture[:, round(kept * WIDTH) :] = 6
        part = write_png(tmp_path / "part.png", picture)
        found = register(part, city_map, max_seconds=60.0 if kept == 1.0 else SECONDS)
        chances.append(found.probability or 0.0)
        odds.append(found.fit.log10_odds if found.fit is not None else 0.0)
        if found.verdict == "accepted":
            misses_m = point_misses_m(camera, found.control_points)
            assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])
    assert odds[0] == max(odds) > 50.0
    assert chances[0] == max(chances) > 0.99
    assert chances[-1] < 0.5
