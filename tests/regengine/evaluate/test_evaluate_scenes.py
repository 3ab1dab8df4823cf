"""Scores of scene classification, counted by hand or by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from regengine.evaluate import scene_report
from regengine.evaluate.scenes import evaluate_scenes, score_calibration, score_class
from regengine.evaluate.tables import table
from regengine.scene import training
from regengine.scene.features import feature_names
from regengine.scene.labels import Samples

RNG = np.random.default_rng(0)


def test_groups_are_missed_when_most_of_their_photos_are() -> None:
    truth, said = np.array([0, 0, 0, 0, 0, 1]), np.array([0, 1, 1, 1, 0, 1])
    groups = np.array(["a", "a", "b", "b", "b", "c"])
    day, night = (score_class("it", truth == k, said == k, groups) for k in (0, 1))
    assert (day.frames, day.groups, day.groups_missed) == (5, 2, 1)
    assert (day.precision, day.recall) == (1.0, 0.4)
    assert (night.precision, night.recall, night.groups_missed) == (0.25, 1.0, 0)


def test_brier_score_is_that_of_sklearn() -> None:
    p = RNG.random(500)
    happened = RNG.random(500) < p
    assert score_calibration(p, happened).brier == pytest.approx(brier_score_loss(happened, p))


def test_calibration_counts_votes() -> None:
    p, happened = np.array([0.9, 0.9, 0.9]), np.array([True, False, False])
    even = score_calibration(p, happened)
    voted = score_calibration(p, happened, np.array([1.0, 0.5, 0.5]))
    assert even.expected_error == pytest.approx(0.9 - 1 / 3)
    assert voted.expected_error == pytest.approx(0.9 - 1 / 2)
    assert voted.brier == pytest.approx((0.01 + 0.81) / 2)


def test_calibration_error() -> None:
    honest = score_calibration(np.full((50, 2), 0.25), np.arange(100).reshape(50, 2) % 4 == 0)
    assert honest.expected_error == pytest.approx(0.0)
    assert honest.counts.tolist() == [100]
    boaster = score_calibration(np.array([0.95, 0.95, 0.05, 1.0]), np.array([1, 0, 0, 1], bool))
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


@pytest.mark.slow
def test_the_wrong_label_is_the_surest_mistake() -> None:
    worst = evaluate_scenes(training.cross_validate(made(), seed=0)).mistakes[0]
    assert (worst.name, worst.labels, worst.said) == ("folder/7.jpg", ("inside",), "day")
    assert worst.probability_said > 0.8 > 0.3 > worst.probability_true


class Taught:
    """A classifier and gate that go by what stands in features: scores, and whether explained."""

    def scores(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[:, :3])

    def explains(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows[:, 3] > 0.0)


def known(
    labels: Sequence[str], said: Sequence[str], simulated: int = 0
) -> tuple[Samples, training.CrossValidation]:
    """A photo alone and groups of two; every method says the same of them; "?": unexplained."""
    names = ("inside", "day", "other")
    scores = np.array([[3.0 * (one == name) for name in names] for one in said])
    gate = np.array([[one != "?"] for one in said])
    drawn = len(labels) - simulated
    samples = Samples(
        features=np.hstack([scores, gate]),
        labels=tuple((label,) for label in labels),
        groups=tuple(f"g{(n + 1) // 2}" if n < drawn else f"s{n}" for n in range(len(labels))),
        simulated=np.arange(len(labels)) >= drawn,
        names=tuple(f"folder/{n}.jpg" for n in range(len(labels))),
    )
    taught: Any = Taught()
    fitted = training.Fitted(gate=taught, classifiers=dict.fromkeys(training.METHODS, taught))
    validation = training.cross_validate(samples, seed=0, fit=lambda rows, seed: fitted)
    return samples, validation


def test_a_report_tells_what_was_said_of_which_photos() -> None:
    """Nine photos by day, one taken for the inside and one for nothing known; four of inside."""
    labels = ["day"] * 9 + ["inside"] * 4 + ["day"] * 2
    said = ["inside", *["day"] * 7, "?", *["inside"] * 4, *["day"] * 2]
    samples, validation = known(labels, said, simulated=2)
    report = evaluate_scenes(validation)
    lines = scene_report.report_lines(samples, report)
    told = "13 photos in 7 groups, and 2 simulated frames in training; macro-F1 over day."
    assert lines[0] == told
    headings = ["Methods", "Confusion of gmm", "Classes by gmm", "Mistakes of gmm"]
    assert [line[3:] for line in lines if line.startswith("## ")] == headings
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    (taken,) = [row for row in rows if row[-1] == "taken"]
    assert taken[:4] == ["gmm", "0.875", "0.824", "0.846"]
    assert taken[-2] == "1"
    assert ["day", "1", "7", "1"] in rows
    assert ["inside", "4", ".", "."] in rows
    assert ["day", "9", "5", "1", "1.000", "0.778", "0.875", ""] in rows
    assert ["inside", "4", "2", "0", "0.800", "1.000", "0.889", "not scored"] in rows
    mistakes = {row[0]: (*row[1:3], row[-1]) for row in rows if row[0].startswith("folder/")}
    assert mistakes == {
        "folder/0.jpg": ("day", "inside", ""),
        "folder/8.jpg": ("day", "other", "beyond the gate"),
    }
    (fact,) = [fact for fact in scene_report.report_facts(report) if fact.get("taken")]
    assert fact["confusion"] == [[4, 0, 0], [1, 7, 1], [0, 0, 0]]
    assert [one["recall"] for one in fact["classes"]] == [1.0, pytest.approx(7 / 9), None]


def test_many_simulated_frames_are_thinned_class_by_class() -> None:
    labels = ["day", "inside"] * 6
    samples, _ = known(labels, labels, simulated=8)
    kept = [samples.names.index(name) for name in training.thin_samples(samples, 2).names]
    assert kept == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_table() -> None:
    assert table(["name", "n"], [["a", "12"], ["long", "3"]]) == [
        "| name |  n |",
        "|------|---:|",
        "| a    | 12 |",
        "| long |  3 |",
    ]
