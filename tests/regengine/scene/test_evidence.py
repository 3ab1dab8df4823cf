"""What is known beside the picture moves what the picture leaves open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.simulate.scene_frames import draw
from regengine.errors import ConfigError
from regengine.scene.classify import ClassifyInputs, classify_photo
from regengine.scene.evidence import camera_factors, checked_priors, parse_priors, with_factors
from regengine.scene.training import changed_copy
from tests.command_line import invoke

CLASSES = ("cities", "day", "infrared", "other")


def test_infrared_is_rare_unless_said_otherwise() -> None:
    assert checked_priors({}, CLASSES)["infrared"] < 1.0
    assert checked_priors({"infrared": 1.0}, CLASSES) == {"infrared": 1.0}
    assert checked_priors({}, ("cities", "other")) == {}
    open_question = {"day": 0.5, "infrared": 0.5}
    moved = with_factors(open_question, checked_priors({}, CLASSES))
    assert moved["infrared"] < 0.3 < 0.6 < moved["day"]


def test_the_camera_is_evidence() -> None:
    crew, school = camera_factors("NIKON D5"), camera_factors("RP_imx477")
    assert crew["infrared"] < 1.0 < school["infrared"]
    assert school["cities"] < 1.0
    assert camera_factors(None) == camera_factors("Lumia 925") == {}
    # and no rule: a picture that leaves no doubt stays what it is
    sure = with_factors({"infrared": 0.995, "day": 0.004}, crew)
    assert sure["infrared"] > sure["day"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("infrared", "is not of the form"),
        ("infrared=much", "is not of the form"),
        ("birds=2", "the model's classes are"),
        ("infrared=0", "give a number from"),
        ("infrared=nan", "give a number from"),
    ],
)
def test_priors_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        checked_priors(parse_priors(text), CLASSES)


def test_priors_and_camera_reach_the_answer(tmp_path: Path) -> None:
    picture = Image.fromarray(draw("infrared", np.random.default_rng(424_242)))
    exif = Image.Exif()
    exif[0x0110] = "NIKON D5"
    plain, nikon = tmp_path / "plain.jpg", tmp_path / "nikon.jpg"
    picture.save(plain, quality=95)
    picture.save(nikon, quality=95, exif=exif)

    def infrared(path: Path, **priors: float) -> float:
        return classify_photo(path, ClassifyInputs(priors=priors)).probabilities["infrared"]

    assert infrared(nikon) < infrared(plain) < infrared(plain, infrared=1.0)
    even = classify_photo(plain, ClassifyInputs(priors={"infrared": 1.0, "day": 1e-4}))
    assert even.probabilities["day"] < classify_photo(plain, ClassifyInputs()).probabilities["day"]


def test_a_wrong_prior_is_said_before_any_photo(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    result = invoke("classify", tmp_path, "--priors", "birds=2")
    assert result.exit_code == 2
    assert "birds" in result.output


def test_changed_copies_are_the_same_every_time_and_still_pictures() -> None:
    rgb = draw("day", np.random.default_rng(3))
    one, two = (changed_copy(rgb, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)
    other = changed_copy(rgb, np.random.default_rng(6))
    assert other.shape != one.shape or not np.array_equal(other, one)
    assert other.dtype == np.uint8
    assert abs(float(one.mean()) - float(rgb.mean())) < 80.0
