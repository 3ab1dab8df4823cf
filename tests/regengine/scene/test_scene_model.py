"""Training, the frozen model, and its file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from regengine.errors import ConfigError
from regengine.scene import clustering, crossval, model_file, training
from regengine.scene.crossval import METHODS, CrossValidation, cross_validate
from regengine.scene.features import feature_names, feature_versions
from regengine.scene.model import SceneModel
from regengine.scene.model_file import (
    load_scene_model,
    read_scene_model,
    scene_model_text,
    write_scene_model,
)
from regengine.scene.samples import joined
from regengine.scene.supervised import CANDIDATES
from regengine.scene.training import check_samples, chosen_method, train_scene_model
from tests.regengine.scene.made_up import CENTRES, WIDTH, labelled, samples

MADE = samples()
NEW = samples(seed=1)
FEW = MADE.subset([0, 2, 24, 26])  # as few as are taken: two groups of two classes


@pytest.fixture(autouse=True, scope="module")
def _few_candidates() -> Iterator[None]:
    """Fewer models to choose from: their choice is tested where it is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(crossval.choose_candidate.__kwdefaults__, "candidates", CANDIDATES[::5])
        patch.setattr(clustering, "COUNTS", (1, 2, 3, 5, 8))
        yield


@pytest.fixture(scope="module")
def trained() -> tuple[SceneModel, CrossValidation]:
    return train_scene_model(MADE, source="made up", seed=0)


@pytest.fixture(scope="module")
def fitted() -> crossval.Fitted:
    """A classifier of each kind."""
    return crossval.fit_methods(MADE, seed=0)


@pytest.fixture(scope="module", params=METHODS)
def model(request, trained, fitted) -> SceneModel:
    """A model of each kind."""
    _, validation = trained
    return dataclasses.replace(
        trained[0],
        method=request.param,
        classifier=fitted.classifiers[request.param],
        odds=validation.odds(request.param, fitted.classifiers[request.param]),
    )


def test_every_kind_tells_new_photos(model: SceneModel) -> None:
    answers = [model.answer(row) for row in NEW.features]
    told = [a.category for a in answers if a.explained]
    true = [labels[0] for a, labels in zip(answers, NEW.labels, strict=True) if a.explained]
    assert told == true
    assert len(told) > 0.9 * len(NEW)
    for answer in answers:
        assert all(0.0 < p < 1.0 for p in answer.probabilities.values())
        assert max(answer.probabilities, key=lambda n: answer.probabilities[n]) == answer.category


def test_an_outlier_is_other(model: SceneModel) -> None:
    answer = model.answer(np.full(len(feature_names()), -30.0 * WIDTH))
    assert answer.category == "other"
    assert not answer.explained
    assert answer.probabilities["other"] >= 0.5
    assert max(p for name, p in answer.probabilities.items() if name != "other") < 0.5


def test_the_record_of_the_training(trained) -> None:
    model, validation = trained
    told = model.training
    assert dict(zip(model.classes, told.photos, strict=True)) == {
        **dict.fromkeys(CENTRES, 24),
        "other": 0,
    }
    assert set(told.groups) == {12, 0}
    assert told.confusion.sum() == len(MADE)
    assert np.trace(told.confusion) >= 0.9 * len(MADE)
    assert set(told.macro_f1) == set(METHODS)
    assert told.scored == ("cities", "inside", "day")
    assert np.array_equal(validation.confusion(model.method), told.confusion)


def test_clusters_are_taken_unless_a_supervised_model_is_better(trained, monkeypatch) -> None:
    scores = {"gmm": 0.80, "kmeans": 0.75, "gmm_discriminant": 0.85, "supervised": 0.87}
    monkeypatch.setattr(CrossValidation, "macro_f1", lambda self, method: scores[method])
    assert chosen_method(trained[1]) == "gmm_discriminant"
    scores["supervised"] = 0.871
    assert chosen_method(trained[1]) == "supervised"
    assert training.WORTH_SUPERVISION == 0.02


@pytest.mark.slow
def test_no_model_has_seen_what_it_is_judged_by() -> None:
    """Labels by chance: whoever sees the test would tell more than chance."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(90, len(feature_names())))
    noise = labelled(
        np.repeat(rows, 2, axis=0),
        [("day" if n % 2 else "inside",) for n in rng.permutation(90) for _ in "ab"],
        [n for n in range(90) for _ in "ab"],
    )
    validation = cross_validate(noise, seed=0)
    for method in METHODS:
        right = (validation.scores(method)[:, :2].argmax(axis=1) == validation.truth).mean()
        assert right < 0.65


def test_simulated_frames_teach_a_class_and_are_not_judged() -> None:
    photos = FEW
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, len(feature_names()))) * WIDTH - 3.0
    made = labelled(rows, [("moon",)] * 20, [f"made{n}" for n in range(20)], [True] * 20)
    model, validation = train_scene_model(joined([photos, made]), source="", seed=0)
    moon = model.classes.index("moon")
    assert model.training.simulated[moon] == 20
    assert model.training.photos[moon] == 0
    assert model.training.confusion[moon].sum() == 0
    assert len(validation.tested) == len(photos)
    assert model.answer(rows.mean(axis=0)).category == "moon"


def test_simulated_frames_do_not_outvote_photos() -> None:
    many = labelled(
        np.zeros((103, 1)),
        [("day",)] * 100 + [("moon",)] * 3,
        ["a", "a", *range(101)],
        [False] * 2 + [True] * 101,
    )
    assert many.weights[:2].tolist() == [0.5, 0.5]
    assert many.weights[2:100].sum() == pytest.approx(5.0)
    assert many.weights[100:].tolist() == [1.0, 1.0, 1.0]


def test_too_few_photos_are_refused() -> None:
    few = MADE.subset([0, 1, 24, 25])
    with pytest.raises(ConfigError, match="two photos each that are not of one group"):
        check_samples(few)
    train_scene_model(FEW, source="four photos", seed=0)


def test_the_file_gives_the_same_answers_to_the_last_bit(model: SceneModel, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    write_scene_model(path, model)
    read = read_scene_model(path)
    for ours, theirs in zip(
        model.probabilities(NEW.features), read.probabilities(NEW.features), strict=True
    ):
        assert np.array_equal(ours, theirs)
    assert scene_model_text(read) == path.read_text(encoding="utf-8")
    assert read.training.macro_f1 == model.training.macro_f1
    assert read.method == model.method


def test_equal_training_gives_equal_bytes() -> None:
    one, other = (train_scene_model(FEW, source="made up", seed=0)[0] for _ in range(2))
    assert scene_model_text(one) == scene_model_text(other)


def test_other_features_are_refused(trained, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "model.json"
    write_scene_model(path, trained[0])
    versions = feature_versions()
    family = min(versions)
    monkeypatch.setattr(model_file, "feature_versions", lambda: {**versions, family: 99, "new": 1})
    with pytest.raises(ConfigError) as raised:
        read_scene_model(path)
    text = str(raised.value)
    assert f"{family} has version {versions[family]} there and 99 here" in text
    assert "new has version 0 there and 1 here" in text
    assert text.count(". ") == 0
    monkeypatch.setattr(model_file, "feature_versions", lambda: versions)
    monkeypatch.setattr(model_file, "feature_names", lambda: feature_names()[::-1])
    with pytest.raises(ConfigError, match="their names differ"):
        read_scene_model(path)


def resealed(text: str, change) -> str:
    """The file with a change that its seal knows of."""
    content = json.loads(text)
    del content["sha256"]
    change(content)
    return json.dumps({**content, "sha256": model_file._seal(content)})


def drop_class(content: dict) -> None:
    content["classes"] = content["classes"][:-1]


CHANGES = {
    "no classes": lambda c: c.pop("classes"),
    "a class less": drop_class,
    "no other": lambda c: c.update(classes=["a", "b", "c", "d"]),
    "a shape": lambda c: c["gate"]["clusters"].update(means=[[0.0]]),
    "a ragged array": lambda c: c["gate"]["clusters"].update(means=[[0.0], [0.0, 1.0]]),
    "text for a number": lambda c: c["gate"].update(threshold="low"),
    "nothing for a part": lambda c: c.update(gate=None),
    "a scale of 0": lambda c: c["gate"]["clusters"]["standardiser"]["scale"].__setitem__(0, 0.0),
    "not finite": lambda c: c["odds"].update(slope=float("inf")),
    "a probability of 1": lambda c: c["odds"]["ceiling"].__setitem__(0, 1.0),
    "a weight of 0": lambda c: c["gate"]["clusters"]["weights"].__setitem__(0, 0.0),
    "another format": lambda c: c.update(format="something"),
    "a later version": lambda c: c.update(format_version=99),
    "versions that are none": lambda c: c.update(feature_versions=3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_is_unsound_is_refused(trained, tmp_path: Path, change) -> None:
    path = tmp_path / "model.json"
    path.write_text(resealed(scene_model_text(trained[0]), change), encoding="utf-8")
    with pytest.raises(ConfigError, match="not a sound scene model"):
        read_scene_model(path)


def test_the_resealed_file_itself_is_sound(trained, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(resealed(scene_model_text(trained[0]), lambda c: None), encoding="utf-8")
    read_scene_model(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_file_that_is_cut_short_is_refused(trained, tmp_path: Path, share: float) -> None:
    text = scene_model_text(trained[0])
    path = tmp_path / "model.json"
    path.write_text(text[: int(share * len(text))], encoding="utf-8")
    with pytest.raises(ConfigError, match="not a sound scene model"):
        read_scene_model(path)


def test_one_digit_that_changed_is_noticed(trained, tmp_path: Path) -> None:
    text = scene_model_text(trained[0])
    at = text.index('"threshold": ') + len('"threshold": ') + 2
    path = tmp_path / "model.json"
    path.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :], encoding="utf-8")
    with pytest.raises(ConfigError, match="changed or damaged"):
        read_scene_model(path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scene_model(tmp_path / "none.json")
    (tmp_path / "photo.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_scene_model(tmp_path / "photo.json")


def test_a_folder_that_is_not_there(trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_scene_model(tmp_path / "none" / "model.json", trained[0])
