"""Scores of scene classification, counted by hand or by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score

from regengine.evaluate.scene_report import report_facts, report_lines
from regengine.evaluate.scenes import SceneReport, evaluate_scenes
from regengine.evaluate.tables import table
from regengine.scene.crossval import cross_validate
from regengine.scene.features import feature_names
from regengine.scene.measures import calibration_score, class_scores, macro_f1
from regengine.scene.measures import confusion_matrix as ours
from regengine.scene.samples import Samples

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 4, 200)
SAID = np.where(RNG.random(200) < 0.6, TRUTH, RNG.integers(0, 4, 200))


def test_confusion_and_f1_are_those_of_sklearn() -> None:
    assert np.array_equal(ours(TRUTH, SAID, 4), confusion_matrix(TRUTH, SAID))
    theirs = f1_score(TRUTH, SAID, labels=[0, 2, 3], average="macro")
    assert macro_f1(TRUTH, SAID, [0, 2, 3]) == pytest.approx(theirs)
    votes = RNG.random(200)
    theirs = f1_score(TRUTH, SAID, average="macro", sample_weight=votes)
    assert macro_f1(TRUTH, SAID, range(4), votes) == pytest.approx(theirs)


def test_a_class_that_is_not_there() -> None:
    assert macro_f1(np.array([0, 0]), np.array([0, 0]), [0, 1]) == 0.5
    assert np.isnan(macro_f1(np.array([0]), np.array([0]), []))


def test_groups_are_missed_when_most_of_their_photos_are() -> None:
    truth, said = np.array([0, 0, 0, 0, 0, 1]), np.array([0, 1, 1, 1, 0, 1])
    day, night = class_scores(truth, said, ["a", "a", "b", "b", "b", "c"], ["day", "night"])
    assert (day.frames, day.groups, day.groups_missed) == (5, 2, 1)
    assert (day.precision, day.recall) == (1.0, 0.4)
    assert (night.precision, night.recall, night.groups_missed) == (0.25, 1.0, 0)


def test_brier_score_is_that_of_sklearn() -> None:
    p = RNG.random(500)
    happened = RNG.random(500) < p
    assert calibration_score(p, happened).brier == pytest.approx(brier_score_loss(happened, p))


def test_calibration_counts_votes() -> None:
    p, happened = np.array([0.9, 0.9, 0.9]), np.array([True, False, False])
    even = calibration_score(p, happened)
    voted = calibration_score(p, happened, np.array([1.0, 0.5, 0.5]))
    assert even.expected_error == pytest.approx(0.9 - 1 / 3)
    assert voted.expected_error == pytest.approx(0.9 - 1 / 2)
    assert voted.brier == pytest.approx((0.01 + 0.81) / 2)


def test_calibration_error() -> None:
    honest = calibration_score(np.full((50, 2), 0.25), np.arange(100).reshape(50, 2) % 4 == 0)
    assert honest.expected_error == pytest.approx(0.0)
    assert honest.counts.tolist() == [100]
    boaster = calibration_score(np.array([0.95, 0.95, 0.05, 1.0]), np.array([1, 0, 0, 1], bool))
    assert boaster.expected_error == pytest.approx((3 * abs(2.9 / 3 - 2 / 3) + 0.05) / 4)


def made() -> Samples:
    """Two classes parted by one of the six features that vary; one photo has the wrong label."""
    rng = np.random.default_rng(0)
    rows = np.zeros((60, len(feature_names())))
    rows[:, :6] = 0.1 * rng.normal(size=(60, 6))
    labels = ["day"] * 30 + ["inside"] * 30
    rows[30:, 2] += 5.0
    labels[7] = "inside"
    return Samples(
        features=rows,
        labels=tuple((label,) for label in labels),
        groups=tuple(str(n) for n in range(60)),
        simulated=np.zeros(60, bool),
        names=tuple(f"folder/{n}.jpg" for n in range(60)),
    )


@pytest.fixture(scope="module")
def report() -> SceneReport:
    return evaluate_scenes(cross_validate(made(), seed=0))


@pytest.mark.slow
def test_the_wrong_label_is_the_surest_mistake(report: SceneReport) -> None:
    worst = report.mistakes[0]
    assert (worst.name, worst.labels, worst.said) == ("folder/7.jpg", ("inside",), "day")
    assert worst.probability_said > 0.8 > 0.3 > worst.probability_true


@pytest.mark.slow
def test_the_report_in_words_and_as_json(report: SceneReport) -> None:
    lines = report_lines(made(), report)
    assert lines[0] == "60 photos in 60 groups; macro-F1 over inside, day."
    row = next(line for line in lines if line.startswith("| folder/7.jpg"))
    assert [cell.strip() for cell in row.split("|")][2:4] == ["inside", "day"]
    facts = report_facts(report)
    assert {fact["table"] for fact in facts} == {
        "methods",
        "mistakes",
    }
    taken = [fact for fact in facts if fact.get("taken")]
    assert len(taken) == 1
    assert np.sum(taken[0]["confusion"]) == 60
    other = next(c for c in taken[0]["classes"] if c["name"] == "other")
    assert other["recall"] is None


def test_a_table() -> None:
    assert table(["name", "n"], [["a", "12"], ["long", "3"]]) == [
        "| name |  n |",
        "|------|---:|",
        "| a    | 12 |",
        "| long |  3 |",
    ]
