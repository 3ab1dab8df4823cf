"""Labelled photos: their tables, their weights, their folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.scene.crossval import thinned
from regengine.scene.samples import Samples, grouped_folds, in_usual_order, read_scene_labels
from tests.regengine.scene.made_up import labelled, samples


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "group,path,label,note\nn1,a/b.jpg, cities ; aurora;cities,x\n,c.jpg,day,\n",
    )
    first, second = read_scene_labels(path)
    assert first.path == tmp_path / "a/b.jpg"
    assert first.labels == ("cities", "aurora")
    assert first.group == "n1"
    assert second.labels == ("day",)
    assert second.group == "c.jpg"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,group\na.jpg,1\n", "lacks the column label"),
        ("path,label\n", "labels no photo"),
        ("", "lacks the column path, label"),
        ("path,label\na.jpg,day\na.jpg,day\n", "line 3: a.jpg is labelled a second time"),
        ("path,label\na.jpg, ; \n", "line 2: the label is empty"),
        ("path,label\n,day\n", "line 2: the path is empty"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_scene_labels(table(tmp_path, text))


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xff\xd8\xff\xe0" * 10)
    with pytest.raises(ConfigError, match="cannot be read as a table"):
        read_scene_labels(path)
    with pytest.raises(ConfigError, match="cannot be read as a table"):
        read_scene_labels(tmp_path / "none.csv")


def test_the_order_of_classes() -> None:
    assert in_usual_order(["other", "zoo", "day", "cities", "bay", "day"]) == (
        "cities",
        "day",
        "bay",
        "zoo",
        "other",
    )


ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.booleans()), min_size=1, max_size=60
)


def made(rows: list[tuple[str, int, bool]]) -> Samples:
    labels, groups, simulated = zip(*rows, strict=True)
    return labelled(np.zeros((len(rows), 1)), [(one,) for one in labels], groups, simulated)


@given(rows=ROWS, count=st.integers(1, 12), seed=st.integers(0, 3), alone=st.integers(0, 6))
def test_no_leak(rows: list[tuple[str, int, bool]], count: int, seed: int, alone: int) -> None:
    samples = made(rows)
    groups = np.array(samples.groups)
    folds = grouped_folds(samples, count=count, seed=seed, alone_below=alone)
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert not samples.simulated[fold.test].any()
    tested = np.concatenate([fold.test for fold in folds]) if folds else np.zeros(0)
    assert sorted(tested.tolist()) == np.flatnonzero(~samples.simulated).tolist()


def test_rare_classes_are_left_out_group_by_group() -> None:
    rows = [("a", n, False) for n in range(30)] + [("b", 30 + n // 2, False) for n in range(6)]
    folds = grouped_folds(made(rows), count=5)
    sizes = [len(fold.test) for fold in folds]
    assert sizes == [6, 6, 6, 6, 6, 2, 2, 2]


def test_every_fold_has_its_share_of_a_class() -> None:
    rows = [("abc"[n % 3], n, False) for n in range(60)]
    samples = made(rows)
    for fold in grouped_folds(samples, count=5):
        assert np.bincount(samples.primary[fold.test], minlength=3)[:3].tolist() == [4, 4, 4]


def test_simulated_frames_of_a_tested_group_do_not_train() -> None:
    samples = made([("a", 1, False), ("a", 1, True), ("a", 2, False), ("b", 3, True)])
    by_test = {tuple(f.test): f.train.tolist() for f in grouped_folds(samples, count=2)}
    assert by_test == {(0,): [2, 3], (2,): [0, 1, 3]}


def test_clusters_see_all_photos_and_some_simulated_frames() -> None:
    made = samples()
    even = np.arange(len(made)) % 2 == 0
    own = tuple(
        f"drawn{n}" if is_even else g
        for n, (g, is_even) in enumerate(zip(made.groups, even, strict=True))
    )
    drawn = replace(made, simulated=even, groups=own)
    few = thinned(drawn, 3)
    assert few.classes == drawn.classes
    assert (~few.simulated).sum() == (~drawn.simulated).sum()
    counts = np.bincount(few.primary[few.simulated], minlength=len(few.classes))
    of_all = np.bincount(drawn.primary[drawn.simulated], minlength=len(few.classes))
    assert counts.tolist() == np.minimum(of_all, 3).tolist()
    assert of_all.max() > 3
