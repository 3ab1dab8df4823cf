"""Tables of flashes and labels: lines above the header, comments, columns given twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.program import run

# Command that reads a table, a table, and a heading in another spelling of one that it has
TABLES: dict[tuple[str, ...], tuple[str, str]] = {
    ("lightning", "none.h5", "--glm", "none.nc", "--flashes"): ("path,x,y\na.jpg,1,2\n", "X"),
    ("bench", "scenes"): ("path,label\na.jpg,stars\n", "label "),
    ("bench", "lights"): ("path,x,y\na.jpg,1,2\n", "x "),
    ("bench", "lightning"): ("path,x1,y1,x2,y2\na.jpg,1,2,3,4\n", "x1 "),
    ("bench", "streaks"): ("path,x1,y1,x2,y2\na.jpg,1,2,3,4\n", "x1 "),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", TABLES)
@pytest.mark.parametrize("above", ["\ufeff", "\ufeffsep=,\n", "# by me, 2014\n", "Title\n\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_lines_above_the_header_and_comments_are_no_rows(
    folder: Path, words: tuple[str, ...], above: str, separator: str
) -> None:
    """What is missing is said as of the plain table: its photo, or the other file."""
    text, _ = TABLES[words]
    Path("t.csv").write_text(text, encoding="utf-8")
    plain = run(*words, "t.csv")
    assert "none of the photos" in plain.err or "none.nc does not exist" in plain.err
    lines = [line.replace(",", separator) for line in text.splitlines()]
    lines = [lines[0], "# the first", *lines[1:], ""]
    text = above.replace("sep=,", f"sep={separator}") + "\n".join(lines)
    Path("t.csv").write_text(text, encoding="utf-8")
    assert run(*words, "t.csv") == plain


@pytest.mark.parametrize("words", TABLES)
def test_a_column_that_is_given_twice_is_named(folder: Path, words: tuple[str, ...]) -> None:
    text, again = TABLES[words]
    header, first, *_ = text.splitlines()
    for heading in (header.split(",")[-1], again):
        Path("t.csv").write_text(f"{header},{heading}\n{first},9\n", encoding="utf-8")
        said = run(*words, "t.csv")
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert f"'{heading.strip()}' is given twice" in said.err or (
            f", or '{heading.strip()}', is given twice" in said.err
        )
