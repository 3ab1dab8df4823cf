"""What none of the clusters explains, and probabilities that fit what is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regengine.errors import ConfigError
from regengine.scene import model_file
from regengine.scene.labels import deal_folds, join_samples
from regengine.scene.models import Calibration, fit_calibration, fit_gate, fit_gmm
from regengine.scene.training import fit_methods
from tests.regengine.scene.made_up import labelled, samples

FEATURES = 12
MADE = samples(60, features=FEATURES)
GATE = fit_gate(fit_gmm(MADE.features, seed=0), MADE, seed=0)


def test_new_photos_of_known_classes_are_explained() -> None:
    """As many fall as the quantile says, within what 300 draws allow."""
    explained = GATE.explains(samples(100, seed=3, features=FEATURES).features)
    assert 1.0 - explained.mean() < 5.0 * 0.01


def drawn(count: int, slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and outcomes of two classes with P = sigmoid(slope * score - 1)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.0, 2.0 / slope, (count, 2))
    return scores, rng.random((count, 2)) < 1.0 / (1.0 + np.exp(-(slope * scores - 1.0)))


def fitted(
    scores: np.ndarray, targets: np.ndarray, explained: np.ndarray | None = None
) -> Calibration:
    votes = np.ones(len(scores))
    inside = np.ones(len(scores), bool) if explained is None else explained
    return fit_calibration(scores, targets, inside, votes, np.array([500, 500]), 1)


@pytest.mark.parametrize("slope", [0.05, 1.0, 20.0])
def test_the_curve_is_found(slope: float) -> None:
    odds = fitted(*drawn(4000, slope))
    assert odds.slope == pytest.approx(slope, rel=0.15)
    assert odds.offset == pytest.approx(-1.0, abs=0.1)


def test_the_class_ahead_of_all_others_is_probable_however_low_its_score() -> None:
    """Scores without meaning but for their order: one of three classes is always there."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    scores = rng.normal(0.0, 5.0, (600, 1)) + rng.normal(0.0, 0.1, (600, 3))
    targets = np.eye(3, dtype=bool)[truth]
    scores[targets] += 2.0
    odds = fit_calibration(scores, targets, np.ones(600, bool), np.ones(600), np.full(3, 500), 2)
    p = odds.probabilities(scores, np.ones(600, bool), 2)
    assert p[targets].min() > 0.9
    assert p[~targets].max() < 0.1


def test_few_photos_never_give_certainty() -> None:
    scores = np.array([[9.0, -9.0], [8.0, -9.0], [-9.0, 9.0], [-9.0, 7.0]])
    odds = fit_calibration(scores, scores > 0, np.ones(4, bool), np.ones(4), np.array([2, 2]), 1)
    p = odds.probabilities(np.array([[1e3, -1e3], [-1e3, 1e3]]), np.ones(2, bool), 1)
    assert p.max() <= 3 / 4
    assert p.min() >= 1 / 6


def test_what_fell_before_says_how_sure_other_is() -> None:
    scores, targets = drawn(400, 1.0)
    explained = np.arange(400) >= 20
    targets[:20] = [False, True]
    assert fitted(scores, targets, explained).unexplained == pytest.approx(21 / 22)
    targets[:20] = [True, False]
    assert fitted(scores, targets, explained).unexplained == 0.51


def test_a_model_that_divides_by_nothing_is_refused_although_its_seal_is_whole(
    tmp_path: Path,
) -> None:
    model, path = model_file.load_scene_model(), tmp_path / "model.json"
    mixture = model.gate.mixture
    scale = np.where(np.arange(len(model.feature_names)) == 3, 0.0, 1.0)
    axes = replace(mixture.axes, scaler=replace(mixture.axes.scaler, scale=scale))
    gate = replace(model.gate, mixture=replace(mixture, axes=axes))
    path.write_text(model_file.scene_model_text(replace(model, gate=gate)), encoding="utf-8")
    with pytest.raises(ConfigError, match="a scale is not positive"):
        model_file.read_scene_model(path)


def test_a_model_of_the_former_format_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"format": "regengine-scene-model", "format_version": 1}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"format_version is 1, not 2.*regengine train"):
        model_file.read_scene_model(path)


def test_a_model_read_again_answers_as_before(tmp_path: Path) -> None:
    """Of each kind of classifier."""
    shipped, path = model_file.load_scene_model(), tmp_path / "model.json"
    made = samples(20)
    fitted = fit_methods(made, seed=0)
    for classifier in fitted.classifiers.values():
        model = replace(
            shipped,
            classes=made.classes,
            classifier=classifier,
            gate=fitted.gate,
            calibration=replace(shipped.calibration, ceiling=np.full(len(made.classes), 0.9)),
            training=replace(
                shipped.training,
                **dict.fromkeys(("photos", "groups", "simulated"), (1,) * len(made.classes)),
                confusion=np.eye(len(made.classes), dtype=np.intp),
            ),
        )
        model_file.write_scene_model(path, model)
        again = model_file.read_scene_model(path)
        assert [again.answer(row) for row in made.features] == [
            model.answer(row) for row in made.features
        ]


def test_copies_share_the_vote_of_their_group_and_are_never_tested() -> None:
    made = samples(6)
    copies = labelled(made.features, made.labels, made.groups, np.ones(len(made), bool))
    both = join_samples([made, copies])
    assert both.copies.tolist() == [False] * len(made) + [True] * len(made)
    assert both.weights.sum() == pytest.approx(made.weights.sum())
    assert both.simulated_counts().sum() == 0
    for fold in deal_folds(both):
        assert not both.simulated[fold.test].any()
        tested = {both.groups[row] for row in fold.test}
        assert not tested & {both.groups[row] for row in fold.train}
