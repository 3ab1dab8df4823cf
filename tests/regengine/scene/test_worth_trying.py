"""What register tries: everything that may be a city at night."""

from __future__ import annotations

from regengine.scene.classify import LEAST_CITIES, SURE, not_worth_trying
from regengine.scene.model import SceneAnswer


def answer(*, explained: bool = True, **probabilities: float) -> SceneAnswer:
    return SceneAnswer(
        category=max(probabilities, key=lambda name: probabilities[name]),
        probabilities=probabilities,
        also=(),
        explained=explained,
        log_likelihood=0.0,
    )


def test_daylight_is_not_tried_and_the_sentence_says_what_to_do() -> None:
    reason = not_worth_trying(answer(day=0.9, cities=0.01))
    assert reason is not None
    assert reason.code == "not_a_night_city_frame"
    assert "looks like day (probability 0.90)" in reason.text
    assert "--any-category" in reason.text


def test_classes_without_night_ground_count_together() -> None:
    assert not_worth_trying(answer(day=0.5 * SURE, infrared=0.55 * SURE)) is not None
    assert not_worth_trying(answer(day=0.5 * SURE, infrared=0.45 * SURE)) is None


def test_what_is_known_to_be_something_else_is_not_tried_and_the_unknown_is() -> None:
    reason = not_worth_trying(answer(other=0.6, day=0.2, cities=0.01))
    assert reason is not None
    assert "looks like something else (probability 0.60)" in reason.text
    assert not_worth_trying(answer(explained=False, other=0.9, cities=0.01)) is None


def test_a_dark_frame_and_one_with_cities_beside_are_tried() -> None:
    assert not_worth_trying(answer(night_nocity=0.95, cities=0.01)) is None
    assert not_worth_trying(answer(moon=0.95, cities=0.01)) is None
    assert not_worth_trying(answer(sunset_sunrise=0.9, cities=LEAST_CITIES)) is None
