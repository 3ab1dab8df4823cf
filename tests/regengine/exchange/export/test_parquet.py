"""GeoParquet, read back by GeoPandas and DuckDB."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import geopandas as gpd
import pytest

from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export, try_export


def test_geopandas_reads_footprints_and_types(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames.parquet"
    export(everywhere, "parquet", out, "--table", "frames")
    ground = gpd.read_parquet(out)
    assert ground.crs.to_string() == "OGC:CRS84"
    assert ground.geometry.is_valid.all()
    assert list(ground.frame) == ["sea", "limb", '<b>"é\n🌃']
    assert ground.bounds.maxx[0] == 180.0
    assert ground.matched_lights.dtype.kind == "i"
    assert ground.mirrored.dtype.kind == "b"
    assert ground.time_utc[0].isoformat() == "2012-03-28T15:46:41+00:00"


def test_points_have_all_their_digits(everywhere: Path, tmp_path: Path) -> None:
    out = tmp_path / "points.parquet"
    export(everywhere, "parquet", out)
    points = gpd.read_parquet(out)
    expected = proposal().control_points
    assert [(point.x, point.y) for point in points.geometry[:4]] == [
        (point.lon, point.lat) for point in expected
    ]
    assert list(points.sigma_m[:4]) == [point.sigma_m for point in expected]


def test_duckdb_asks_for_what_is_missing(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames.parquet"
    export(store, "parquet", out, "--table", "frames", "--verdict", "all")
    rows = duckdb.sql(
        "SELECT frame, focal_px, geometry IS NULL, extract(year FROM time_utc) "
        f"FROM read_parquet('{out}') ORDER BY frame_index"
    ).fetchall()
    assert rows == [
        ("ISS030-E-184140", 1506.1, False, 2012),
        ("ISS030-E-184141", 1506.1, False, 2012),
        ("ISS001-E-1", None, True, None),
    ]


def test_without_pyarrow_it_is_said_what_to_do(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = try_export(store, "parquet", tmp_path / "p.parquet")
    assert result.exit_code == 2
    assert "regengine[parquet]" in result.stderr
    assert list(tmp_path.iterdir()) == []
