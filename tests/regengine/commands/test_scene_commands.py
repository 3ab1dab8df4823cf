"""``regengine train`` and ``regengine bench scenes`` on small photos of three kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from regengine.evaluate import scenes as scene_trials
from regengine.scene import clustering, crossval
from regengine.scene.features import measure_features
from regengine.scene.model_file import read_scene_model
from regengine.scene.picture import read_scene_picture
from regengine.scene.samples import grouped_folds
from regengine.scene.supervised import CANDIDATES
from tests.command_line import invoke

COUNT = 6


@pytest.fixture(autouse=True, scope="module")
def _few_trials() -> Iterator[None]:
    """Fewer folds, draws and shuffles: what they come to is tested where they are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grouped_folds.__kwdefaults__, "count", 4)
        patch.setattr(crossval, "INNER_FOLDS", 3)
        patch.setitem(crossval.choose_candidate.__kwdefaults__, "candidates", CANDIDATES[::5])
        patch.setattr(clustering, "COUNTS", (1, 2, 3, 5, 8))
        patch.setattr(scene_trials, "DRAWS", 2)
        patch.setattr(scene_trials, "SHUFFLES", 2)
        yield


def photo(path: Path, kind: str, number: int) -> None:
    """Lamps in the dark; bright haze; brightness that runs from black to white."""
    rng = np.random.default_rng([number, len(kind)])
    rows = np.mgrid[:80, :120][0]
    if kind == "cities":
        image = np.zeros((80, 120))
        image[rng.integers(0, 80, 60), rng.integers(0, 120, 60)] = 255.0
        image = 3.0 * cv2.GaussianBlur(image, (0, 0), 1.0 + 0.1 * number)
    elif kind == "day":
        image = 150.0 + 5.0 * number + 0.0 * rows
    else:
        image = rows * (2.0 + 0.1 * number)
    image = image + rng.normal(0.0, 4.0, image.shape)
    cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    lines = ["path,label,group"]
    for kind in ("cities", "day", "inside"):
        for number in range(COUNT):
            photo(folder / f"{kind}{number}.png", kind, number)
            lines.append(f"{kind}{number}.png,{kind},")
    path = folder / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(labels: Path):
    out = labels.with_name("model.json")
    return invoke("train", labels, "--out", out), out


def test_a_model_is_trained_and_written(labels: Path, trained) -> None:
    result, out = trained
    assert result.exit_code == 0, result.output
    model = read_scene_model(out)
    assert model.classes == ("cities", "inside", "day", "other")
    assert model.training.source == "labels.csv"
    photo(labels.with_name("new.png"), "day", 5)
    row = measure_features(read_scene_picture(labels.with_name("new.png")))
    assert model.answer(row).category == "day"


def test_the_tables_on_standard_output(trained) -> None:
    result, out = trained
    matrix = [line for line in result.stdout.splitlines() if line.startswith("| cities")][-1]
    assert matrix.split("|")[2].strip() == str(COUNT)
    assert f"written to {out}" in result.stdout
    # A slow machine is told how far it is
    assert [line for line in result.stderr.splitlines() if " photos, " not in line] == []


def test_bad_photos_change_nothing_but_the_exit_code(labels: Path, trained, tmp_path: Path) -> None:
    """The tables' content as JSON, and equal photos give a model of equal bytes."""
    worse = labels.parent / "worse"
    worse.mkdir()
    (worse / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n cut short")
    head, *rows = labels.read_text("utf-8").splitlines()
    rows = [f"../{row}" for row in rows] + ["bad.png,day,", "gone.png,day,"]
    (worse / labels.name).write_text("\n".join([head, *rows]), encoding="utf-8")
    out = tmp_path / "model.json"
    result = invoke("train", worse / labels.name, "--out", out, "--json")
    assert result.exit_code == 1
    assert "bad.png" in result.stderr
    assert "gone.png" in result.stderr
    facts = json.loads(result.stdout)
    assert facts["classes"] == ["cities", "inside", "day", "other"]
    assert facts["photos"] == [COUNT, COUNT, COUNT, 0]
    assert np.sum(facts["confusion"]) == 3 * COUNT
    assert np.trace(facts["confusion"]) >= 3 * COUNT - 2
    assert out.read_bytes() == trained[1].read_bytes()


def test_what_cannot_be_trained_on(labels: Path, tmp_path: Path) -> None:
    none = tmp_path / "none.csv"
    none.write_text("path,label\na.jpg,day\n", encoding="utf-8")
    result = invoke("train", none, "--out", tmp_path / "m.json")
    assert (result.exit_code, "names no photo" in result.stderr) == (3, True)
    few = labels.with_name("few.csv")
    few.write_text("path,label\nday1.png,day\nday2.png,day\n", encoding="utf-8")
    result = invoke("train", few, "--out", tmp_path / "m.json")
    assert result.exit_code == 2
    assert "at least two classes" in result.stderr
    result = invoke("train", labels, "--out", tmp_path / "none" / "m.json")
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr
    assert not (tmp_path / "m.json").exists()


def test_the_bench_as_tables_and_figures(labels: Path, tmp_path: Path) -> None:
    result = invoke("bench", "scenes", labels, "--plot", tmp_path / "figures")
    assert result.exit_code == 0, result.output
    assert "## Methods" in result.stdout
    assert f"{3 * COUNT} photos in {3 * COUNT} groups" in result.stdout
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    kinds = ("confusion", "calibration", "mistakes")
    assert names == {f"scenes_{kind}.png" for kind in kinds}
    for name in names:
        assert cv2.imread(str(tmp_path / "figures" / name)).std() > 5.0 or "mistakes" in name


def test_the_bench_as_json(labels: Path) -> None:
    few = labels.with_name("two_kinds.csv")
    named = [f"{kind}{number}.png,{kind}" for kind in ("cities", "day") for number in range(3)]
    few.write_text("\n".join(["path,label", *named]), encoding="utf-8")
    result = invoke("bench", "scenes", few, "--json", "--quiet")
    assert result.stderr == ""
    facts = [json.loads(line) for line in result.stdout.splitlines()]
    methods = {fact["method"]: fact for fact in facts if fact["table"] == "methods"}
    assert set(methods) == {"gmm", "kmeans", "gmm_discriminant", "supervised"}
    assert methods["supervised"]["macro_f1"] > 0.9
    assert invoke("bench", "scenes", labels.with_name("no.csv")).exit_code == 2
