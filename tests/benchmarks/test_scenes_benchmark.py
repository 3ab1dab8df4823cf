"""The benchmark of scene models: what it reads, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from benchmarks import scenes
from benchmarks.scenes import agrees, goal_lines, page_lines, training_lines, tried_lines
from regengine.evaluate.scenes import SceneReport, evaluate_scenes
from regengine.scene.crossval import Answers, CrossValidation, cross_validate
from regengine.scene.features import feature_names
from regengine.scene.model import SceneAnswer, SceneModel
from regengine.scene.samples import Samples, joined

pytestmark = pytest.mark.slow

INDEX = """file,group,category,note
a/1.jpg,g1,cities_oblique,
a/2.jpg,g1,cities,retouched; also stars
b/3.jpg,astropi_cslab3ogel_5,infrared,also odd
b/4.jpg,astropi_night_81,other,
"""


def made(simulated: bool = False) -> Samples:
    """Two classes, the last photo of cities looking like the other."""
    rng = np.random.default_rng(0)
    rows = np.zeros((40, len(feature_names())))
    rows[:, :6] = 0.1 * rng.normal(size=(40, 6))
    rows[20:, 3] += 4.0
    rows[19] = rows[20:].mean(axis=0)
    labels = ["cities"] * 20 + ["day"] * 20
    return Samples(
        features=rows,
        labels=tuple((label,) for label in labels),
        groups=tuple(f"{simulated}{n}" for n in range(40)),
        simulated=np.full(40, simulated),
        names=tuple(map(str, range(40))),
    )


@pytest.fixture(scope="module")
def report() -> SceneReport:
    return evaluate_scenes(cross_validate(made(), seed=0))


def test_the_index_of_the_photographs(tmp_path: Path) -> None:
    for folder in ("photos", "starfields"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos" / "index.csv").write_text(INDEX, encoding="utf-8")
    for name in ("ost_img0.png", "auromat_ISS029-E-8492.jpg", "index.csv"):
        (tmp_path / "starfields" / name).touch()
    labels = scenes.real_labels(tmp_path)
    assert [label.labels for label in labels] == [
        ("cities",),
        ("cities", "stars"),
        ("infrared",),
        ("other",),
        ("stars",),
    ]
    # One camera behind one window is one group, by day and by night
    assert [label.group for label in labels] == [
        "g1",
        "g1",
        "astropi_cslab3ogel",
        "astropi_cslab3ogel",
        "field ost",
    ]
    assert labels[0].path == tmp_path / "photos/a/1.jpg"


def test_the_half_kept_back_is_whole_groups_and_half_of_every_class() -> None:
    samples = made()
    labels = [*samples.labels, ("cities",)]
    groups = [*samples.groups, samples.groups[0]]
    kept = scenes.halves(labels, groups)
    assert kept.keys() == set(groups)
    assert kept == scenes.halves(labels[::-1], groups[::-1])
    for kind in ("cities", "day"):
        of = {g for g, shows in zip(groups, labels, strict=True) if shows == (kind,)}
        assert sum(kept[group] for group in of) == len(of) / 2


def test_what_a_half_says_of_the_other() -> None:
    lines = scenes.kept_back_lines(made(), seed=0)
    assert "the 20 photos kept back" in lines[0]
    rows = [cells_of(line) for line in lines if line.startswith("|")]
    assert ["cities", "10", "10"] in [row[:3] for row in rows]


def test_the_goals(report: SceneReport) -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in goal_lines(report)[2:]]
    assert [row[0] for row in rows] == [
        "mean recall of 2 classes",
        "recall of cities",
        "precision of cities",
    ]
    assert rows[1] == ["recall of cities", "0.95", "0.950", "met"]
    assert rows[2][2:] == ["1.000", "met"]


def test_the_page(report: SceneReport) -> None:
    samples = joined([made(), made(simulated=True)])
    page = "\n".join(page_lines(["--seed", "1"], samples, report, ["kept"]))
    assert "`python -m benchmarks scenes --seed 1`" in page
    assert "40 photos in 40 groups, and 40 simulated frames in training" in page
    assert "## The half kept back\n\nkept" in page
    rows = [cells_of(line) for line in training_lines(samples)]
    assert ["cities", "20", "20", "20"] in rows


def test_what_register_tries() -> None:
    """Cities are searched and days are not, but for the last city, which looks like a day."""
    samples = made()
    p = np.full((40, len(samples.classes)), 0.02)
    p[:19, samples.classes.index("cities")] = 0.9
    p[19:, samples.classes.index("day")] = 0.9
    told = {tuple(row): values for row, values in zip(samples.features, p, strict=True)}

    def answer(row: np.ndarray) -> SceneAnswer:
        values = dict(zip(samples.classes, told[tuple(row)].tolist(), strict=True))
        first = max(values, key=lambda name: values[name])
        return SceneAnswer(category=first, probabilities=values, also=(), explained=True)

    model = cast(SceneModel, SimpleNamespace(method="supervised", answer=answer))
    answers = Answers(probabilities=p, said=p.argmax(axis=1))
    validation = cast(
        CrossValidation,
        SimpleNamespace(
            samples=samples,
            tested=np.arange(40),
            answers=lambda method: answers,
            explained=lambda: np.ones(40, bool),
        ),
    )
    lines = tried_lines(model, validation)
    rows = {cells[0]: cells[1:] for cells in map(cells_of, lines[4:])}
    assert len(rows) == 40
    assert rows["3"][:4] == ["cities", "must", "tried", "tried"]
    assert rows["30"][:4] == ["day", "must not", "left out", "left out"]
    assert [name for name, cells in rows.items() if cells[-1]] == ["19"]
    assert "of 20 photos of cities 1 left out" in lines[0]


def test_what_is_worth_a_search() -> None:
    should = (("cities",), ("night_nocity", "cities"), ("aurora",), ("night_nocity",))
    assert all(agrees(shows, True) for shows in should)
    assert [agrees(shows, False) for shows in should] == [False, False, True, True]
    assert [agrees((name,), True) for name in ("day", "other", "moon")] == [False, False, True]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_what_the_model_says_it_was_trained_on() -> None:
    text = scenes.source(joined([made(), made(simulated=True)]))
    assert "40 public photographs" in text
    assert "40 simulated frames (cities, day)" in text


def test_simulated_frames_are_the_same_every_time() -> None:
    one, two = (scenes.simulated_samples(["moon"], 2, 3) for _ in range(2))
    assert np.array_equal(one.features, two.features)
    assert not np.array_equal(one.features[0], one.features[1])
    assert one.simulated.all()
    assert one.groups == ("simulated-moon-3-0", "simulated-moon-3-1")


def test_thumbnails_stay_outside_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scenes.main(["--mistakes", str(scenes.PROJECT / "out")])
    assert "outside the project" in capsys.readouterr().err


def test_without_photographs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("REGENGINE_REAL_DATA", str(tmp_path))
    assert scenes.main([]) == 3
    assert "set REGENGINE_REAL_DATA" in capsys.readouterr().err
