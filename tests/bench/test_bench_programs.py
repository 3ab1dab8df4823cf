"""The programs of developers: how they start, what they tell apart, what they measure."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio

from benchmarks import __main__ as launcher
from benchmarks import orbit_uncertainty, same
from benchmarks.registration.cases import Settings
from benchmarks.simulate import SAMPLE_MAP
from benchmarks.trials.attempt import outcome_columns
from benchmarks.trials.run import Workshop
from regengine.orbit import load_tle_file
from tests.conftest import ROOT
from tests.world.elements import Elements

# Asks each benchmark for help where nothing but the core is installed
CORE_ALONE = """
import contextlib, io, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from benchmarks import __main__ as launcher
for name in launcher.available():
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = launcher.main([name, "--help"])
    print(name, code, said.getvalue().strip(), sep="|")
"""


@pytest.mark.slow
def test_every_benchmark_says_in_a_sentence_what_to_install() -> None:
    absent = "geopandas,h5py,matplotlib,pandas,pebble,pyarrow,rasterio,sklearn"
    words = [sys.executable, "-c", CORE_ALONE, absent]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    told = dict(line.split("|", 1) for line in done.stdout.splitlines())
    assert set(told) == set(launcher.available())
    assert told["confidence"].startswith("2|")
    for name, text in told.items():
        assert text.startswith("0|") or re.fullmatch(
            rf"2\|Error: The benchmark {name} needs \w+, which is not installed: pip install .*\.",
            text,
        ), text


@pytest.mark.parametrize("name", sorted(launcher.available()))
def test_every_benchmark_tells_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main([name, "--help"]) == 0
    assert "--help" in capsys.readouterr().out


@pytest.mark.slow
def test_a_trial_is_registered_and_scored(tmp_path: Path) -> None:
    shop = Workshop(Settings(lights=SAMPLE_MAP))
    trial = shop.draw(0)
    found = shop.register(trial, tmp_path)
    row = outcome_columns(trial, found)
    assert row["verdict"] == "accepted"
    assert row["right"]
    assert row["grid_median_units"] < 1.0
    # The same answer is wrong for another camera, whatever the verdict
    elsewhere = replace(trial.camera, lon_deg=trial.camera.lon_deg + 5.0)
    assert not outcome_columns(replace(trial, camera=elsewhere), found)["right"]
    broken = shop.register(replace(trial, photo=b"no picture"), tmp_path)
    assert outcome_columns(trial, broken)["verdict"] == "failed"
    assert str(tmp_path) not in broken.problem


# Differences between two runs

FRAMES = ("ISS001-E-1", "ISS001-E-2", "ISS001-E-3")


def write_run(folder: Path, order: tuple[int, ...] = (0, 1, 2), seconds: float = 1.0) -> Path:
    """A store, records, and a file of each format that an export may have."""
    folder.mkdir()
    names = [FRAMES[number] for number in order]
    with h5py.File(folder / "run.h5", "w") as file:
        file.attrs["created"] = f"at {seconds}"
        frames, points = file.create_group("frames"), file.create_group("control_points")
        frames["frame_index"] = np.arange(len(order))
        frames["frame"] = np.array(names, dtype="S")
        frames["path"] = np.array([f"photos/{name}.jpg" for name in names], dtype="S")
        frames["probability"] = np.array([np.nan if number == 1 else 0.5 for number in order])
        frames["seconds"] = np.full(len(order), seconds)
        frames["seconds"].attrs["volatile"] = np.uint8(1)
        points["frame_index"] = np.repeat(np.arange(len(order)), 2)
        points["lon"] = np.array([[number, number + 0.5] for number in order]).ravel()
    records = [
        {"frame": FRAMES[n], "points": [{"lon": n / 3}], "engine": {"seconds": seconds}}
        for n in order
    ]
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "run.ndjson").write_text(text, "utf-8")
    (folder / "points.csv").write_text("frame,x\nISS001-E-1,1\nISS001-E-2,2\n", "utf-8")
    (folder / "text.sql").write_text("INSERT 1;\nINSERT 2;\n", "utf-8")
    (folder / "made.log").write_text(f"written to {folder}\n", "utf-8")
    (folder / "where.txt").write_text(f"{folder}/points.csv: 2 photos\n", "utf-8")
    pq.write_table(pa.table({"frame": FRAMES, "x": [1.0, 2.0, 3.0]}), folder / "t.parquet")
    with sqlite3.connect(folder / "layers.gpkg") as database:
        database.execute("CREATE TABLE points (frame TEXT, x REAL, last_change TEXT)")
        database.execute("INSERT INTO points VALUES ('ISS001-E-1', 1.0, ?)", (str(folder),))
    database.close()
    shape = {"width": 2, "height": 2, "count": 1, "dtype": "uint8", "crs": 4326}
    transform = rasterio.Affine(0.1, 0, 1, 0, -0.1, 2)
    with rasterio.open(folder / "p.tif", "w", driver="GTiff", transform=transform, **shape) as out:
        out.update_tags(TIFFTAG_DATETIME=str(folder))
        out.write(np.ones((1, 2, 2), dtype=np.uint8))
    return folder


def test_rows_are_joined_by_frame_and_what_is_volatile_may_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_run(tmp_path / "first")
    second = write_run(tmp_path / "second", (2, 0, 1), 7.5)
    assert launcher.main(["same", str(first), str(second)]) == 0
    assert capsys.readouterr().out == "the same\n"
    fewer = write_run(tmp_path / "fewer", (0, 2))
    (fewer / "points.csv").unlink()
    found = {
        (one.file, one.row.partition(" ")[0], one.second) for one in same.compare(first, fewer)
    }
    assert found >= {("run.h5", FRAMES[1], None), ("run.ndjson", FRAMES[1], None)}
    assert ("points.csv", "", None) in found


def change(path: Path) -> None:
    """Change the last value of a file."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file["control_points/lon"][3] = np.nextafter(1.5, 2)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"frame": FRAMES, "x": [1.0, 2.0, 3.5]}), path)
    elif path.suffix == ".gpkg":
        with sqlite3.connect(path) as database:
            database.execute("UPDATE points SET x = 2.0")
        database.close()
    elif path.suffix == ".tif":
        with rasterio.open(path, "r+") as image:
            image.write(np.array([[[1, 1], [1, 2]]], dtype=np.uint8))
    else:
        before, _, after = path.read_text("utf-8").rpartition("2")
        path.write_text(f"{before}3{after}", "utf-8")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "run.h5",
            "ISS001-E-2 ISS001-E-2.jpg: control_points/lon[1]: 1.5 | 1.5000000000000002",
        ),
        ("points.csv", "ISS001-E-2: x: '2' | '3'"),
        ("text.sql", "line 2: 'INSERT 2;\\n' | 'INSERT 3;\\n'"),
        ("t.parquet", "ISS001-E-3: x: 3.0 | 3.5"),
        ("layers.gpkg", "points ISS001-E-1: x: 1.0 | 2.0"),
        ("p.tif", "band 1: pixels[1, 1]: 1 | 2"),
    ],
)
def test_a_change_is_told_where_it_is_with_both_values(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = write_run(tmp_path / "first"), tmp_path / "second"
    shutil.copytree(first, second)
    change(second / name)
    assert launcher.main(["same", str(first), str(second)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(name)]
    assert f"{name}: {told}" in lines


def test_what_cannot_be_compared_ends_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run")
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"no store")
    for other in (tmp_path / "none.h5", tmp_path, folder / "run.ndjson", broken):
        assert launcher.main(["same", str(folder / "run.h5"), str(other)]) == 2
        assert capsys.readouterr().err.startswith("Error: ")


# What is measured


def test_the_uncertainty_of_element_sets_is_that_which_was_built_in(tmp_path: Path) -> None:
    """Each second set is late by 0.1 degrees (12 km), and its node 0.01 degrees beside."""
    base = Elements(epoch=datetime(2016, 1, 1, tzinfo=UTC))
    sets = [base.later(0.5 * step) for step in range(90)]
    sets[1::2] = [
        replace(one, anomaly_deg=one.anomaly_deg + 0.1, node_deg=one.node_deg + 0.01)
        for one in sets[1::2]
    ]
    (tmp_path / "tles.txt").write_text("".join(one.text() for one in sets))
    tles = load_tle_file(tmp_path / "tles.txt")
    pairs = orbit_uncertainty.differences(tles, np.ones(len(tles), bool), seed=1)
    other_kind = np.round(2.0 * np.abs(pairs[:, 0])) % 2 == 1
    size = np.abs(pairs[:, 1:])
    np.testing.assert_allclose(size[other_kind, 0], 12.6, atol=1.5)  # 0.1 degrees and the node's
    assert np.median(size[~other_kind], axis=0).max() < 0.2
    # 0.01 degrees of node: a plane turned by 0.01 sin(51.6) degrees, 0.93 km at its widest
    assert 0.8 < size[other_kind, 1].max() < 1.1
    assert size[:, 2].max() < 0.5
