"""Nothing is accepted that is not where it says: photos that the map does not hold, or hardly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import regengine
from regengine import Registration
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.shared import make_once
from tests.world.simulated import (
    CITY,
    CLEAR,
    EXPOSURES,
    HEIGHT,
    WIDTH,
    Region,
    SimCamera,
    camera_over,
    draw,
    draw_town_world,
    is_right,
    picture_of,
    point_misses_m,
    true_camera,
    write_city_map,
    write_png,
)

SECONDS = 1.0  # a search that finds nothing ends by then
RNG = np.random.default_rng(4)


def register(photo: Path, lights: Path, **options: Any) -> Registration:
    """A photo, tried whatever it looks like, from where the simulated "nadir" was taken."""
    given = {"time": EXPOSURES["nadir"].time_utc, "focal_mm": 50.0, "tle": ELEMENTS}
    given |= {"any_category": True, "max_seconds": SECONDS, "clock_window": 20}
    return regengine.register(photo, lights=lights, **{**given, **options})


def is_refused(found: Registration) -> None:
    assert found.verdict != "accepted", found
    assert found.reasons
    if found.verdict == "no_match":
        assert len(found.control_points) == 0
        assert found.camera is None


def is_where_it_says(found: Registration, camera: SimCamera) -> None:
    misses_m = point_misses_m(camera, found.control_points)
    assert is_right(misses_m, found.to_dict()["footprint_diagonal_km"])


def by_its_lights_alone(picture: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Other pictures out of one of a city."""
    width = picture.shape[1]
    twice = picture.copy()
    twice[:, : width // 2] = picture[:, width // 2 :]  # what is right lies left as well
    shuffled = np.concatenate([np.roll(picture[k::4], 37 * k, axis=1) for k in range(4)])
    return {"a city pasted twice": twice, "a city cut into strips": shuffled}


def lattice() -> NDArray[np.uint8]:
    picture = RNG.normal(6.0, 1.5, (HEIGHT, WIDTH, 3))
    for y in range(20, HEIGHT, 30):
        for x in range(20, WIDTH, 30):
            cv2.circle(picture, (x, y), 2, (220.0, 210.0, 180.0), -1)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def spots(count: int, where: tuple[int, int] = (WIDTH, HEIGHT)) -> NDArray[np.uint8]:
    picture = RNG.normal(6.0, 1.5, (HEIGHT, WIDTH, 3))
    for x, y in RNG.uniform(0.05, 0.95, (count, 2)) * where:
        cv2.circle(picture, (int(x), int(y)), 2, (230.0, 220.0, 200.0), -1)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _draw_refused(folder: Path) -> None:
    """Photos that show nothing of the map of the city."""
    write_city_map(folder / "lights.tif")
    camera = camera_over(CITY)
    sea = camera_over((-158.0, 27.5))
    other = draw_town_world(77, Region(west=-156.0, south=29.0, size_deg=10.0))
    pictures = {
        "noise": RNG.integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        "dark sea": draw(sea, None, CLEAR),
        "a land of no map": draw(camera, other, CLEAR),
        "stars": spots(150),
        "lights on a lattice": lattice(),
        "lights in a corner": spots(40, (WIDTH // 6, HEIGHT // 6)),
    }
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture)


@pytest.fixture(scope="session")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each."""
    return make_once(tmp_path_factory, "refused", _draw_refused)


@pytest.mark.parametrize(
    "name",
    [
        "noise",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "a land of no map",
                "lights on a lattice",
                "dark sea",
                "stars",
                "lights in a corner",
            )
        ),
    ],
)
def test_what_shows_nothing_of_the_map_is_not_accepted(refused: Path, name: str) -> None:
    """Cloud over the sea is one of the samples (`test_first_run`)."""
    found = register(refused / f"{name}.png", refused / "lights.tif")
    is_refused(found)
    if name in ("noise", "dark sea"):
        assert found.verdict == "no_match"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a city pasted twice", "a city cut into strips"])
def test_a_picture_that_no_camera_takes_is_refused(
    simulated: Path, refused: Path, tmp_path: Path, name: str
) -> None:
    """But where what is left of the city lies, if that is all that its points are of."""
    picture = by_its_lights_alone(picture_of(simulated / "nadir.jpg"))[name]
    found = register(write_png(tmp_path / "made.png", picture), refused / "lights.tif")
    if found.verdict == "accepted":
        assert name == "a city pasted twice"
        is_where_it_says(found, true_camera(simulated / "nadir.jpg"))
    else:
        is_refused(found)


@pytest.mark.slow
def test_a_wrong_map_is_believed_by_nobody(simulated: Path, tmp_path: Path) -> None:
    lights = write_city_map(
        tmp_path / "lights.tif", lambda radiance: np.roll(radiance[::-1], 1000, axis=0)
    )
    is_refused(register(simulated / "nadir.jpg", lights))


@pytest.mark.slow
def test_a_map_without_any_light_is_told(simulated: Path, tmp_path: Path) -> None:
    lights = write_city_map(tmp_path / "lights.tif", np.zeros_like)
    found = register(simulated / "nadir.jpg", lights)
    assert (found.verdict, [one.code for one in found.reasons]) == ("no_match", ["dark_map"])
    assert "has no lights at all" in found.reasons[0].text


def test_a_place_that_the_map_does_not_hold_is_told(simulated: Path, refused: Path) -> None:
    found = register(
        simulated / "nadir.jpg", refused / "lights.tif", nadir=(10.0, -45.0), altitude_km=410.0
    )
    assert (found.verdict, [one.code for one in found.reasons]) == ("no_match", ["outside_map"])


def test_a_bright_photo_without_structure_is_not_placed(tmp_path: Path) -> None:
    """Rounding makes the same pattern in a constant photo and a constant sea: it is no ground."""
    day = write_png(tmp_path / "day.png", np.full((HEIGHT, WIDTH, 3), 180, np.uint8))
    found = register(day, LIGHTS, any_category=False)
    assert found.verdict == "no_match"
    assert [one.code for one in found.reasons] == ["not_a_night_city_frame"]


def test_a_time_by_day_is_doubted(simulated: Path, tmp_path: Path) -> None:
    photo = write_png(tmp_path / "photo.png", picture_of(simulated / "nadir.jpg"))
    found = register(photo, LIGHTS, time="2014-01-17T22:40:00Z")
    is_refused(found)
    assert {one.code for one in found.reasons} <= {"clock_suspect", "outside_map", "no_agreement"}


def test_neither_time_nor_place_nor_lights_enough_is_no_match(tmp_path: Path) -> None:
    photo = write_png(tmp_path / "four.png", spots(4))
    found = register(photo, LIGHTS, time=None, tle=None)
    assert (found.verdict, [one.code for one in found.reasons]) == ("no_match", ["few_lights"])
    never = register(photo, LIGHTS, time=None, tle=None, blind="never")
    assert [one.code for one in never.reasons] == ["no_ephemeris"]


@pytest.mark.slow
def test_a_search_of_the_whole_earth_that_was_cut_short_claims_nothing_of_it(
    tmp_path: Path,
) -> None:
    photo = write_png(tmp_path / "sixty.png", spots(60))
    found = register(photo, LIGHTS, time=None, tle=None, focal_mm=None, max_seconds=0.1)
    assert (found.verdict, [one.code for one in found.reasons]) == ("no_match", ["search_budget"])
    assert "--max-seconds" in found.reasons[0].text
    assert found.nadir is None


@pytest.mark.slow
def test_the_more_of_a_photo_is_hidden_the_less_it_claims(
    simulated: Path, refused: Path, tmp_path: Path
) -> None:
    """And what it still claims is right."""
    whole, camera = picture_of(simulated / "nadir.jpg"), true_camera(simulated / "nadir.jpg")
    odds, chances = [], []
    for kept in (1.0, 0.3, 0.08):
        picture = whole.copy()
        picture[:, round(kept * WIDTH) :] = 6
        part = write_png(tmp_path / "part.png", picture)
        found = register(part, refused / "lights.tif", max_seconds=60.0 if kept == 1.0 else SECONDS)
        chances.append(found.probability or 0.0)
        odds.append(found.fit.log10_odds if found.fit is not None else 0.0)
        if found.verdict == "accepted":
            is_where_it_says(found, camera)
    assert odds[0] == max(odds) > 50.0
    assert chances[0] == max(chances) > 0.99
    assert chances[-1] < 0.5
