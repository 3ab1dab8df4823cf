"""The same photos and settings give the same store, wherever and beside whatever they are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.same import compare
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"
FRAMES = ("ISS990-E-000103", "ISS990-E-000105")
# What keeps a core, and the memory between it and the others, busy until it is ended
BUSY = "import numpy\nwhile True: numpy.sort(numpy.random.default_rng(0).random(1 << 20))"

pytestmark = pytest.mark.slow


def registered(store: Path, *options: str, threads: str = "1") -> Path:
    """The store of the sample photos, as a user makes it."""
    command = [sys.executable, "-m", "cli", "register"]
    command += [str(SAMPLES / f"{frame}.jpg") for frame in FRAMES]
    command += ["--lights", str(SAMPLES / "lights.tif"), "--tle", str(SAMPLES / "tle.txt")]
    subprocess.run(
        [*command, "--store", str(store), "--quiet", *options],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        check=True,
        capture_output=True,
    )
    return store


@contextmanager
def load() -> Iterator[None]:
    """A task for every core beside what is run."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In one process."""
    return registered(tmp_path_factory.mktemp("alone") / "run.h5", "--workers", "0")


def differences(one: Path, other: Path) -> list[str]:
    return [str(difference) for difference in compare(one, other)]


def test_a_run_that_differs_is_told(alone: Path, tmp_path: Path) -> None:
    """What the others hold against each other, columns and all, can differ."""
    other = Path(shutil.copy(alone, tmp_path / "run.h5"))
    with h5py.File(other, "r+") as file:
        lon = file["control_points/lon"]
        lon[0] = np.nextafter(lon[0], 180.0)
    assert any("lon" in difference for difference in differences(alone, other))


def test_on_a_busy_machine_and_with_many_threads(alone: Path, tmp_path: Path) -> None:
    with load():
        store = registered(tmp_path / "run.h5", "--workers", "2", threads="4")
    assert differences(alone, store) == []


def test_on_a_dask_cluster_two_at_a_time(alone: Path, tmp_path: Path, socket_enabled: None) -> None:
    distributed = pytest.importorskip("distributed", reason="needs distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        store = registered(tmp_path / "run.h5", "--scheduler", cluster.scheduler_address)
    assert differences(alone, store) == []
