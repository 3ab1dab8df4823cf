from __future__ import annotations

from pathlib import Path

import pytest

from regengine.errors import ConfigError
from regengine.scene.samples import in_usual_order, read_scene_labels


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


def test_paths_may_be_absolute(tmp_path: Path) -> None:
    path = table(tmp_path, f"path,label\n{tmp_path / 'x.jpg'},day\n")
    assert read_scene_labels(path)[0].path == tmp_path / "x.jpg"


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
