"""Tables as CSV, read back by pandas and DuckDB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from regengine.exchange.export.columns import FRAME_COLUMNS, POINT_COLUMNS
from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export, try_export, write_store


def test_pandas_reads_every_number_back(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "points.csv"
    export(store, "csv", out, "--verdict", "all")
    table = pd.read_csv(out)
    assert list(table.columns) == [column.name for column in POINT_COLUMNS]
    points = proposal().control_points
    assert list(table.frame) == ["ISS030-E-184140"] * 4 + ["ISS030-E-184141"] * 4
    for name in ("x", "y", "lon", "lat", "sigma_px", "sigma_m"):
        assert list(table[name][:4]) == [getattr(point, name) for point in points]
    assert list(table.covariance_m_en[:4]) == [point.covariance_m[1] for point in points]
    kinds = {"x": "f", "point": "i", "lights": "i"}
    assert {name: table[name].dtype.kind for name in kinds} == kinds


def test_duckdb_finds_frames_and_what_they_lack(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames.csv"
    export(store, "csv", out, "--table", "frames", "--verdict", "all")
    rows = duckdb.sql(
        "SELECT frame, mirrored, matched_lights, focal_px, width_px, off_nadir_deg IS NULL "
        f"FROM read_csv('{out}') ORDER BY frame_index"
    ).fetchall()
    assert rows == [
        ("ISS030-E-184140", False, 143, 1506.1, 640, False),
        ("ISS030-E-184141", False, 143, 1506.1, 640, False),
        ("ISS001-E-1", None, None, None, 640, True),
    ]
    names = duckdb.sql(f"SELECT * FROM read_csv('{out}')").columns
    assert names == [column.name for column in FRAME_COLUMNS]


def test_hostile_text_is_text(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", 'a"b,c', "two\nlines", "émoji 🌃", "-1"]
    results = [replace(proposal(name), path=f"={name}.jpg") for name in names]
    store = write_store(tmp_path / "run.h5", results)
    export(store, "csv", tmp_path / "f.csv", "--table", "frames")
    table = pd.read_csv(tmp_path / "f.csv", dtype=str)
    assert list(table.frame) == ["'=cmd|' /C calc'!A0", 'a"b,c', "two\nlines", "émoji 🌃", "'-1"]
    assert all(path.startswith("./=") for path in table.path)


@pytest.mark.parametrize(
    ("out", "arguments"),
    [
        ("points.txt", []),
        ("no_such_folder/points.csv", []),
        ("points.csv", ["--table", "photos"]),
        ("there.csv", []),
        ("link.csv", []),
    ],
)
def test_what_cannot_be_written_is_told_and_left(
    store: Path, tmp_path: Path, out: str, arguments: list[str]
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    before = set(tmp_path.rglob("*"))
    result = try_export(store, "csv", tmp_path / out, *arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.csv").read_text() == "mine"
    if out == "there.csv":
        export(store, "csv", tmp_path / out, "--force")
        assert (tmp_path / "there.csv").read_text() != "mine"
