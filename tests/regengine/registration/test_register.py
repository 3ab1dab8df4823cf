"""Frames registered from end to end, on photographs that the simulator took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.camera import Pointing, wgs84
from benchmarks.simulate.weather import CloudLayer
from regengine.orbit.propagation import position_from_elements, position_from_nadir
from regengine.registration.acceptance import default_accept_probability
from regengine.registration.propose_index import anywhere
from regengine.registration.register import register_frame
from regengine.registration.search import METHODS, RegisterParams
from regengine.result import FrameResult
from tests.regengine.registration.orbits_overhead import overhead, vantage_at
from tests.regengine.registration.simulated_frames import (
    CITY,
    CLEAR,
    HEIGHT,
    MAP_PIXEL_M,
    TIME,
    WIDTH,
    Solved,
    camera_miss_m,
    light_map,
    miss_m,
    other_land,
    point_miss_m,
    position_of,
    register,
    shoot,
    shoot_from,
    write,
)

Pixels = NDArray[np.float64]
WGS84 = wgs84()


def right(result: FrameResult, misses: Pixels) -> bool:
    """The project's definition: every point within 1 % of the diagonal, or 1 km."""
    assert result.footprint_diagonal_km is not None
    return bool(misses.max() <= max(1000.0, 10.0 * result.footprint_diagonal_km))


@pytest.mark.parametrize("name", ["near_nadir", "slanted", "oblique"])
def test_places_are_right_to_a_fraction_of_a_map_pixel(
    name: str, request: pytest.FixtureRequest
) -> None:
    solved: Solved = request.getfixturevalue(name)
    assert solved.result.verdict == "accepted"
    assert np.median(camera_miss_m(solved.shot, solved.result)) < 0.5 * MAP_PIXEL_M
    assert right(solved.result, point_miss_m(solved.shot, solved.result))


def test_a_wrong_clock_and_a_late_satellite_are_found(near_nadir: Solved, tmp_path: Path) -> None:
    shot = near_nadir.shot
    position = position_of(shot, clock_s=18.0, slide_s=40.0, sigma_along_km=200.0)
    result = register(shot, tmp_path / "late.png", position)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(shot, result)) < 0.5 * MAP_PIXEL_M
    assert result.solved is not None
    assert result.solved.along_track_offset_s == pytest.approx(-60.0, abs=4.0)


def test_a_stale_element_set_slides_to_the_right_place(tmp_path: Path) -> None:
    """Five days old; by now the satellite is 45 s ahead of it, on the same orbit."""
    elements = overhead(tmp_path, CITY, 5)
    believed = position_from_elements(elements, TIME)
    assert believed.sigma_along_km > 100.0
    vantage = vantage_at(believed)
    lon, lat, _ = vantage.moved(slide_s=45.0).nadir()
    pointing = Pointing(off_nadir_deg=35.0, azimuth_deg=WGS84.inv(lon, lat, *CITY)[0], roll_deg=9.0)
    shot = shoot_from(vantage.moved(slide_s=45.0), pointing)
    result = register(shot, tmp_path / "stale.png", believed)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(shot, result)) < 0.5 * MAP_PIXEL_M
    assert result.solved is not None
    assert result.solved.along_track_offset_s == pytest.approx(45.0, abs=3.0)


Edit = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
Back = Callable[[Pixels, Pixels], tuple[Pixels, Pixels]]
EDITS: dict[str, tuple[Edit, Back]] = {
    "turned left": (lambda p: np.rot90(p, 1), lambda x, y: (WIDTH - 1 - y, x)),
    "turned round": (lambda p: np.rot90(p, 2), lambda x, y: (WIDTH - 1 - x, HEIGHT - 1 - y)),
    "mirrored": (lambda p: p[:, ::-1], lambda x, y: (WIDTH - 1 - x, y)),
}
CROP_X, CROP_Y = 70, 47  # half of the area remains


def compared(
    solved: Solved, result: FrameResult, size: tuple[int, int], back: Back
) -> tuple[Pixels, Pixels]:
    """Metres between the places of the same picture content: all over it, and at the points."""
    assert result.solved is not None
    assert solved.result.solved is not None
    width, height = size
    lattice = np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 7))
    x, y = (axis.ravel() for axis in lattice)
    before = solved.result.solved.camera

    def apart(x: Pixels, y: Pixels) -> Pixels:
        lon, lat = before.pixel_to_lonlat(*back(x, y))
        incidence = solved.shot.camera.project(np.nan_to_num(lon), np.nan_to_num(lat))[3]
        lon = np.where(incidence > np.cos(np.radians(75.0)), lon, np.nan)
        return miss_m(lon, lat, result, np.stack([x, y], axis=1))

    points = np.array([(p.x, p.y) for p in result.control_points])
    return apart(x, y), apart(points[:, 0], points[:, 1])


@pytest.mark.parametrize(
    ("name", "edit"),
    [("near_nadir", "turned left"), ("near_nadir", "mirrored"), ("oblique", "turned round")],
)
def test_a_turned_or_mirrored_photo_shows_the_same_places(
    name: str, edit: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    solved: Solved = request.getfixturevalue(name)
    change, back = EDITS[edit]
    picture = np.ascontiguousarray(change(solved.shot.picture))
    edited = solved.shot.edited(picture)
    result = register(edited, tmp_path / "edited.png", solved.position, clock_window_s=5.0)
    assert result.verdict == "accepted"
    assert result.solved is not None
    assert result.solved.camera.mirrored == (edit == "mirrored")
    all_over, at_points = compared(solved, result, picture.shape[1::-1], back)
    assert np.quantile(all_over, 0.9) < MAP_PIXEL_M
    assert at_points.max() < MAP_PIXEL_M


@pytest.mark.parametrize("name", ["near_nadir", "oblique"])
def test_a_cropped_photo_shows_the_same_places(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """An editor cut the margins off; the file's shape does not tell."""
    solved: Solved = request.getfixturevalue(name)
    picture = solved.shot.picture[CROP_Y:-CROP_Y, CROP_X:-CROP_X]
    cropped = solved.shot.edited(picture)
    result = register(cropped, tmp_path / "cropped.png", solved.position, clock_window_s=5.0)
    assert result.verdict == "accepted"
    size = (WIDTH - 2 * CROP_X, HEIGHT - 2 * CROP_Y)
    all_over, at_points = compared(solved, result, size, lambda x, y: (x + CROP_X, y + CROP_Y))
    assert np.median(all_over) < MAP_PIXEL_M
    assert at_points.max() < MAP_PIXEL_M


@pytest.mark.parametrize(("name", "half"), [("near_nadir", "upper"), ("oblique", "left")])
def test_half_of_a_photo_shows_the_same_places(
    name: str, half: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The lens' axis meets the crop's edge, and nobody says which part of the sensor it is."""
    solved: Solved = request.getfixturevalue(name)
    part = {"upper": np.s_[: HEIGHT // 2], "left": np.s_[:, : WIDTH // 2]}[half]
    cropped = solved.shot.edited(solved.shot.picture[part])
    frame = replace(write(cropped, tmp_path / "half.png"), may_be_cropped=True)
    result = register_frame(
        frame,
        solved.position,
        light_map(),  # type: ignore[arg-type]
        RegisterParams(clock_window_s=5.0, max_seconds=120.0),
    )
    assert result.verdict == "accepted"
    size = cropped.picture.shape[1::-1]
    all_over, at_points = compared(solved, result, size, lambda x, y: (x, y))
    assert np.median(all_over) < 0.5 * MAP_PIXEL_M
    assert at_points.max() < MAP_PIXEL_M


@pytest.mark.parametrize("case", ["clouds over the sea", "another land", "noise"])
def test_what_is_not_on_the_map_is_never_accepted(case: str, tmp_path: Path) -> None:
    """Sea under moonlit cloud; a land that no map shows, which stands for a wrong continent."""
    if case == "clouds over the sea":
        clouds = (CloudLayer(coverage=0.6, optical_depth=8.0, brightness_nw=6.0),)
        shot = shoot((-158.0, 27.5), scene=replace(CLEAR, clouds=clouds, ground_nw=0.5))
    else:
        places = other_land().places
        k = int(np.argmax(places.power))
        shot = shoot((float(places.lon[k]), float(places.lat[k])), world=other_land())
    if case == "noise":
        rng = np.random.default_rng(0)
        shot = shot.edited(rng.integers(0, 60, shot.picture.shape, dtype=np.uint8))
    result = register(shot, tmp_path / "wrong.png", position_of(shot), max_seconds=2.0)
    assert result.verdict != "accepted"
    if case != "another land":
        assert result.verdict == "no_match"
    assert result.reasons != ()


def test_a_place_that_the_map_does_not_hold(near_nadir: Solved, tmp_path: Path) -> None:
    elsewhere = position_from_nadir(10.0, -45.0, 410.0, "option")
    result = register(near_nadir.shot, tmp_path / "far.png", elsewhere, max_seconds=3.0)
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["outside_map"]


def test_a_bare_nadir_is_enough(near_nadir: Solved, tmp_path: Path) -> None:
    """Read off a record, 60 km beside the true one along the track, its direction unknown."""
    moved = near_nadir.shot.vantage.moved(slide_s=8.0)
    lon, lat, height_m = moved.nadir()
    nadir = position_from_nadir(lon, lat, height_m / 1e3, "record", time_utc=TIME)
    result = register(near_nadir.shot, tmp_path / "nadir.png", nadir)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(near_nadir.shot, result)) < 0.5 * MAP_PIXEL_M


def test_a_photo_that_hardly_shows_cities_is_worth_less_work_along_its_track(
    near_nadir: Solved,
) -> None:
    known = near_nadir.search
    unlikely = known.anew(aids=replace(known.aids, cities=False))
    everywhere = unlikely.anew(position=anywhere())
    done = 0.9 * known.parameters.most_work
    for search, expired in ((known.anew(), False), (unlikely, True), (everywhere, False)):
        search.work_done = done
        assert search.expired(1.0) is expired


def test_defaults_are_those_of_the_command() -> None:
    parameters = RegisterParams()
    assert (parameters.clock_window_s, parameters.max_seconds) == (None, 240.0)
    assert parameters.accept_probability == default_accept_probability()
    assert parameters.methods == METHODS == ("index", "sparse", "dense")
