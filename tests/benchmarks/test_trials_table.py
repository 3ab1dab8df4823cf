"""The table of trials on disk: whole lines, new columns, torn ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.row_tables import RowTable, cell, flags, numbers, read_rows, values


def test_cells() -> None:
    given = [None, True, np.False_, 0.1 + 0.2, 7, "a, b", [1.5, np.inf], float("nan")]
    told = ["", "1", "0", "0.3", "7", "a, b", "1.5;inf", "nan"]
    assert [cell(value) for value in given] == told


def test_rows_come_back(tmp_path: Path) -> None:
    table = RowTable(tmp_path / "new" / "t.csv")
    table.append({"seed": 1, "right": True, "z": [0.5, -2.0], "text": 'it said "no",\nthen died'})
    table.append({"seed": 2, "right": None})
    rows = table.rows()
    assert [row["seed"] for row in rows] == ["1", "2"]
    assert rows[0]["text"] == 'it said "no", then died'
    assert flags(rows, "right").tolist() == [True, False]
    assert np.isnan(numbers(rows, "right")[1])
    assert values(rows, "z").tolist() == [0.5, -2.0]
    assert values(rows, "absent").tolist() == []


def test_new_columns_widen_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    RowTable(path).append({"seed": 1})
    again = RowTable(path)
    again.append({"seed": 2, "verdict": "review"})
    again.append({"verdict": "accepted"})
    assert path.read_text() == "seed,verdict\n1,\n2,review\n,accepted\n"


@pytest.mark.parametrize("torn", ["2", "2,acc", '2,"half a'])
def test_a_torn_line_is_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("seed,verdict\n1,review\n" + torn)
    table = RowTable(path)
    table.append({"seed": 2, "verdict": "accepted"})
    assert path.read_text() == "seed,verdict\n1,review\n2,accepted\n"


def test_a_torn_head_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("seed,ver")
    RowTable(path).append({"seed": 2})
    assert path.read_text() == "seed\n2\n"
    assert read_rows([path, tmp_path / "none.csv"]) == [{"seed": "2"}]
