"""Tables of every kind: lines above the header, comments, and columns that are given twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regengine.collection.tasking.targets import read_listed_targets
from regengine.errors import RegengineError
from regengine.evaluate.labelled_flashes import read_flash_labels
from regengine.evaluate.streak_labels import read_streak_labels
from regengine.exchange.importing.points import read_points
from regengine.lightning.flashes import read_flashes
from regengine.scene.labels import read_scene_labels

# Reader, a table, and a heading in another spelling of one that it has
TABLES: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "targets": (read_listed_targets, "name,lon,lat\nBor,22.1,44.1\n", "Longitude"),
    "points": (read_points, "frame,x,y,lon,lat\na,1,2,3,4\nb,5,6,7,8\n", "Longitude"),
    "flashes": (read_flashes, "path,x,y\na.jpg,1,2\n", "X"),
    "scenes": (read_scene_labels, "path,label\na.jpg,stars\n", " label"),
    "boxes": (read_flash_labels, "path,x1,y1,x2,y2\na.jpg,1,2,3,4\n", "x1 "),
    "streaks": (read_streak_labels, "path,x1,y1,x2,y2\na.jpg,1,2,3,4\n", "x1 "),
}


def read_text(folder: Path, read: Callable[[Path], Any], text: str) -> Any:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    return read(path)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("above", ["", "\ufeff", "\ufeffsep=,\n", "# by me, 2014\n", "Title\n\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_lines_above_the_header_and_comments_are_no_rows(
    tmp_path: Path, kind: str, above: str, separator: str
) -> None:
    read, text, _ = TABLES[kind]
    plain = read_text(tmp_path, read, text)
    lines = [line.replace(",", separator) for line in text.splitlines()]
    lines = [lines[0], "# the first", *lines[1:], ""]
    above = above.replace("sep=,", f"sep={separator}")
    other = read_text(tmp_path, read, above + "\n".join(lines))
    assert str(other) == str(plain)


@pytest.mark.parametrize("kind", TABLES)
def test_a_column_that_is_given_twice_is_named(tmp_path: Path, kind: str) -> None:
    read, text, again = TABLES[kind]
    header, first, *_ = text.splitlines()
    for heading in (header.split(",")[-1], again):
        with pytest.raises(RegengineError, match=rf"'{heading.strip()}',? is given twice"):
            read_text(tmp_path, read, f"{header},{heading}\n{first},9\n")
