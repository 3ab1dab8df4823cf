"""`python -m benchmarks same`: equal runs are the same, and every difference is found."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from benchmarks import __main__ as launcher
from benchmarks import same

FRAMES = ("ISS001-E-1", "ISS001-E-2", "ISS001-E-3")


def write_store(path: Path, order: tuple[int, ...] = (0, 1, 2), seconds: float = 1.0) -> None:
    """Two groups as the store has them: a row a frame, and two points for each."""
    names = [FRAMES[number] for number in order]
    with h5py.File(path, "w") as file:
        file.attrs["created"] = f"at {seconds}"
        frames = file.create_group("frames")
        frames["frame_index"] = np.arange(len(order))
        frames["frame"] = np.array(names, dtype="S")
        frames["path"] = np.array([f"photos/{name}.jpg" for name in names], dtype="S")
        frames["probability"] = np.array([np.nan if number == 1 else 0.5 for number in order])
        frames["seconds"] = np.full(len(order), seconds)
        frames["seconds"].attrs["volatile"] = np.uint8(1)
        points = file.create_group("control_points")
        points["frame_index"] = np.repeat(np.arange(len(order)), 2)
        points["lon"] = np.array([[number, number + 0.5] for number in order]).ravel()


def write_records(path: Path, order: tuple[int, ...] = (0, 1, 2), seconds: float = 1.0) -> None:
    records = [
        {"frame": FRAMES[n], "points": [{"lon": n / 3}], "engine": {"seconds": seconds}}
        for n in order
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def write_exports(folder: Path) -> None:
    """A file of each format that an export may have."""
    folder.mkdir()
    (folder / "points.csv").write_text("frame,x\nISS001-E-1,1\nISS001-E-2,2\n", "utf-8")
    (folder / "text.sql").write_text("INSERT 1;\nINSERT 2;\n", "utf-8")
    (folder / "made.log").write_text(f"written to {folder}\n", "utf-8")
    (folder / "where.txt").write_text(f"{folder}/points.csv: 2 photos\n", "utf-8")
    pq.write_table(pa.table({"frame": FRAMES, "x": [1.0, 2.0, 3.0]}), folder / "t.parquet")
    with sqlite3.connect(folder / "layers.gpkg") as database:
        database.execute("CREATE TABLE gpkg_contents (table_name TEXT, last_change TEXT)")
        database.execute("INSERT INTO gpkg_contents VALUES ('points', ?)", (str(folder),))
        database.execute("CREATE TABLE points (frame TEXT, x REAL)")
        database.execute("INSERT INTO points VALUES ('ISS001-E-1', 1.0)")
    database.close()
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "uint8"}
    transform = Affine(0.1, 0, 1, 0, -0.1, 2)
    with rasterio.open(folder / "p.tif", "w", **profile, crs=4326, transform=transform) as image:
        image.update_tags(TIFFTAG_DATETIME=str(folder))
        image.write(np.ones((1, 2, 2), dtype=np.uint8))


def test_rows_are_joined_by_frame_and_what_is_volatile_may_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, write in (("h5", write_store), ("ndjson", write_records)):
        first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
        write(first)
        write(second, (2, 0, 1), 7.5)
        assert launcher.main(["same", str(first), str(second)]) == 0
    assert capsys.readouterr().out == "the same\n" * 2


def test_one_value_off_is_told_with_frame_column_and_both_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    write_store(first)
    write_store(second)
    with h5py.File(second, "r+") as file:
        file["control_points/lon"][3] = np.nextafter(1.5, 2)
    assert launcher.main(["same", str(first), str(second)]) == 1
    told, count = capsys.readouterr().out.splitlines()
    assert told == "ISS001-E-2 ISS001-E-2.jpg: control_points/lon[1]: 1.5 | 1.5000000000000002"
    assert count == "1 differences"
    assert launcher.main(["same", str(first), str(second), "--ignore", "lon"]) == 0


@pytest.mark.parametrize(("kind", "write"), [("h5", write_store), ("ndjson", write_records)])
def test_a_missing_frame_is_told(
    kind: str, write: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    write(first)
    write(second, (0, 2))
    assert launcher.main(["same", str(first), str(second)]) == 1
    (told, _) = capsys.readouterr().out.splitlines()
    assert "ISS001-E-2" in told
    assert told.endswith("'there' | nothing")


def test_folders_of_exports_are_compared_file_by_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_exports(first)
    write_exports(second)
    assert list(same.compare(first, second)) == []
    for name in ("points.csv", "t.parquet"):
        (second / name).unlink()
    missing = list(same.compare(first, second))
    assert [(found.file, found.second) for found in missing] == [
        ("points.csv", None),
        ("t.parquet", None),
    ]


def _change_text(path: Path) -> None:
    before, _, after = path.read_text("utf-8").rpartition("2")
    path.write_text(f"{before}3{after}", "utf-8")


def _change_parquet(path: Path) -> None:
    pq.write_table(pa.table({"frame": FRAMES, "x": [1.0, 2.0, 3.5]}), path)


def _change_layer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE points SET x = 2.0")
    database.close()


def _change_pixel(path: Path) -> None:
    with rasterio.open(path, "r+") as image:
        image.write(np.array([[[1, 1], [1, 2]]], dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "change", "row", "column"),
    [
        ("points.csv", _change_text, "ISS001-E-2", "x"),
        ("text.sql", _change_text, "line 2", ""),
        ("t.parquet", _change_parquet, "ISS001-E-3", "x"),
        ("layers.gpkg", _change_layer, "points ISS001-E-1", "x"),
        ("p.tif", _change_pixel, "band 1", "pixels[1, 1]"),
    ],
)
def test_a_changed_export_is_told_where_it_changed(
    name: str, change: Callable[[Path], None], row: str, column: str, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_exports(first)
    shutil.copytree(first, second)
    change(second / name)
    found = [item for item in same.compare(first, second) if item.file == name]
    assert (row, column) in [(item.row, item.column) for item in found]


def test_what_cannot_be_compared_ends_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, records = tmp_path / "a.h5", tmp_path / "a.ndjson"
    write_store(store)
    write_records(records)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no store")
    for other in (tmp_path / "none.h5", tmp_path, records, broken):
        assert launcher.main(["same", str(store), str(other)]) == 2
        assert capsys.readouterr().err.startswith("Error: ")
