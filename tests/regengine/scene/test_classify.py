"""A photo's scene: picture, model, Sun and Moon; and what is not worth a search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.simulate.scene_frames import draw
from regengine.errors import FrameError
from regengine.photo.frame import FrameOptions
from regengine.scene.classify import (
    LEAST_CITIES,
    SURE,
    ClassifyInputs,
    SceneOfSearch,
    classify_photo,
    not_worth_trying,
)
from regengine.scene.evidence import with_factors
from regengine.scene.features import feature_names
from regengine.scene.model import SceneAnswer, also_shown
from regengine.scene.model_file import load_scene_model
from tests.tle_lines import Elements

NIGHT = FrameOptions(
    time_utc=datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC), nadir=(136.9, 35.7), altitude_km=391.0
)
NOON = FrameOptions(
    time_utc=datetime(2012, 3, 28, 3, 0, tzinfo=UTC), nadir=(136.9, 35.7), altitude_km=391.0
)


@pytest.fixture(scope="module")
def day_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated frame by day that none of the training's seeds has drawn."""
    path = tmp_path_factory.mktemp("scenes") / "ISS030-E-1.png"
    Image.fromarray(draw("day", np.random.default_rng(987_654))).save(path)
    return path


@given(
    st.dictionaries(
        st.sampled_from(["cities", "day", "stars", "moon"]),
        st.floats(0.001, 0.999),
        min_size=1,
    ),
    st.floats(0.02, 1.0),
)
def test_equal_factors_move_nothing_and_all_stays_a_probability(
    probabilities: dict[str, float], factor: float
) -> None:
    same = with_factors(probabilities, dict.fromkeys(probabilities, factor))
    assert same == pytest.approx(probabilities, rel=1e-9)
    moved = with_factors(probabilities, {"cities": factor, "moon": 0.02})
    assert all(0.0 < p < 1.0 for p in moved.values())


def test_the_hour_decides_what_the_picture_leaves_open() -> None:
    open_question = {"cities": 0.5, "day": 0.5}
    by_night = with_factors(open_question, {"cities": 1.0, "day": 0.02})
    assert by_night["cities"] > 0.6 > 0.05 > by_night["day"]
    sure = {"cities": 0.99, "day": 0.01}
    assert with_factors(sure, {"cities": 0.02, "day": 1.0})["cities"] > 0.97


def test_also_shown_is_what_it_rather_shows_than_not() -> None:
    shown = {"cities": 0.9, "aurora": 0.6, "stars": 0.8, "day": 0.1}
    assert also_shown(shown, "cities") == ("stars", "aurora")


def test_a_day_frame(day_photo: Path) -> None:
    scene = classify_photo(day_photo, ClassifyInputs(features=True, quality=True, thumbnails=True))
    assert scene.frame == "ISS030-E-1"
    assert scene.category == "day"
    assert set(scene.probabilities) == set(load_scene_model().classes)
    assert scene.ephemeris is None
    assert scene.no_ephemeris is not None
    assert scene.features is not None
    assert tuple(scene.features) == feature_names()
    assert scene.quality is not None
    assert scene.thumbnail.startswith(b"\xff\xd8")


def test_the_clock_agrees_or_is_suspected(day_photo: Path) -> None:
    noon = classify_photo(day_photo, ClassifyInputs(frame=NOON))
    assert noon.ephemeris.light == "day"
    assert noon.disagreement is None
    night = classify_photo(day_photo, ClassifyInputs(frame=NIGHT))
    assert night.ephemeris.light == "night"
    assert night.category == "day"  # what is seen is not overruled
    assert night.disagreement.startswith("clock_suspect: ")


def test_an_old_element_set_tells_no_hour(day_photo: Path, tmp_path: Path) -> None:
    """After sixty days the station may be anywhere on its orbit: no hour, no suspicion."""
    tle = tmp_path / "iss.txt"
    tle.write_text(Elements().text())
    epoch = Elements().epoch
    for days, known in ((1, True), (60, False)):
        frame = FrameOptions(time_utc=epoch + timedelta(days=days))
        scene = classify_photo(day_photo, ClassifyInputs(tle=tle, frame=frame))
        assert (scene.ephemeris is not None) == known
    assert scene.no_ephemeris is not None
    assert "km only" in scene.no_ephemeris


def odd_pictures(folder: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 90, (300, 450, 3), dtype=np.uint8)
    made = {
        "grey.jpg": Image.fromarray(rgb[..., 0]),
        "alpha.png": Image.fromarray(np.dstack([rgb, rgb[..., :1]])),
        "cmyk.jpg": Image.fromarray(rgb).convert("CMYK"),
        "palette.png": Image.fromarray(rgb).convert("P"),
        "black.jpg": Image.new("RGB", (640, 426)),
        "white.jpg": Image.new("RGB", (640, 426), (255, 255, 255)),
        "panorama.jpg": Image.fromarray(np.resize(rgb, (100, 2000, 3))),
        "large.jpg": Image.fromarray(cv2.resize(rgb, (4300, 2900))),
    }
    paths = {}
    for name, image in made.items():
        paths[name] = folder / name
        image.save(paths[name])
    deep = (rgb.astype(np.uint16) * 257)[..., ::-1]
    for name in ("deep.png", "deep.tif"):
        paths[name] = folder / name
        cv2.imwrite(str(paths[name]), deep)
    return paths


def test_an_answer_for_any_kind_of_file(tmp_path: Path) -> None:
    for name, path in odd_pictures(tmp_path).items():
        scene = classify_photo(path, ClassifyInputs(quality=True))
        assert scene.category in scene.probabilities, name
        assert all(0.0 < p < 1.0 for p in scene.probabilities.values()), name


def test_broken_exif_is_no_matter(tmp_path: Path, day_photo: Path) -> None:
    path = tmp_path / "broken_exif.jpg"
    picture = Image.open(day_photo).convert("RGB")
    picture.save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\x12", quality=95)
    assert classify_photo(path, ClassifyInputs()).category == "day"


@pytest.mark.parametrize("cut", [200, 5_000])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, day_photo: Path, cut: int) -> None:
    whole = tmp_path / "whole.jpg"
    Image.open(day_photo).convert("RGB").save(whole)
    short = tmp_path / "short.jpg"
    short.write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(FrameError, match=r"short\.jpg"):
        classify_photo(short, ClassifyInputs())


def test_a_picture_of_eight_pixels_is_one_sentence(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
    with pytest.raises(FrameError, match=r"8 x 8 pixels"):
        classify_photo(tmp_path / "tiny.png", ClassifyInputs())


def answer(*, explained: bool = True, **probabilities: float) -> SceneAnswer:
    return SceneAnswer(
        category=max(probabilities, key=lambda name: probabilities[name]),
        probabilities=probabilities,
        also=(),
        explained=explained,
    )


def test_daylight_is_not_tried_and_the_sentence_says_what_to_do() -> None:
    reason = not_worth_trying(answer(day=0.9, cities=0.01))
    assert reason.code == "not_a_night_city_frame"
    assert "looks like day (probability 0.90)" in reason.text
    assert "--any-category" in reason.text


def test_classes_without_night_ground_count_together() -> None:
    assert not_worth_trying(answer(day=0.5 * SURE, infrared=0.55 * SURE)) is not None
    assert not_worth_trying(answer(day=0.5 * SURE, infrared=0.45 * SURE)) is None


def test_what_is_known_to_be_something_else_is_not_tried_and_the_unknown_is() -> None:
    reason = not_worth_trying(answer(other=0.6, day=0.2, cities=0.01))
    assert "looks like something else (probability 0.60)" in reason.text
    assert not_worth_trying(answer(explained=False, other=0.9, cities=0.01)) is None


def test_a_dark_frame_and_one_with_cities_beside_are_tried() -> None:
    assert not_worth_trying(answer(night_nocity=0.95, cities=0.01)) is None
    assert not_worth_trying(answer(moon=0.95, cities=0.01)) is None
    assert not_worth_trying(answer(sunset_sunrise=0.9, cities=LEAST_CITIES)) is None


def test_at_night_towns_may_stand_behind_hardware() -> None:
    assert not_worth_trying(answer(other=0.9, cities=0.01), night=True) is None
    assert not_worth_trying(answer(inside=0.9, cities=0.01), night=True) is not None


def test_what_picture_or_place_leaves_open_is_tried() -> None:
    day, city = answer(day=0.9, cities=0.01), answer(day=0.3, cities=0.5)
    for picture, in_place in ((day, city), (city, day)):
        scene = SceneOfSearch(picture=picture, in_place=in_place, night=False)
        assert scene.not_worth_trying is None
        assert scene.may_show_cities
    scene = SceneOfSearch(picture=day, in_place=day, night=False)
    assert scene.not_worth_trying == not_worth_trying(day)
    assert not scene.may_show_cities
