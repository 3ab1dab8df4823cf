"""The same photos and settings give the same store, wherever and beside whatever they are run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.same import compare
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"
FRAMES = ("ISS990-E-000103", "ISS990-E-000105")

pytestmark = pytest.mark.slow


def registered(store: Path, *options: str) -> Path:
    """The store of the sample photos, as a user makes it."""
    command = [sys.executable, "-m", "cli", "register"]
    command += [str(SAMPLES / f"{frame}.jpg") for frame in FRAMES]
    command += ["--lights", str(SAMPLES / "lights.tif"), "--tle", str(SAMPLES / "tle.txt")]
    subprocess.run(
        [*command, "--store", str(store), "--quiet", *options],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    return store


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In one process."""
    return registered(tmp_path_factory.mktemp("alone") / "run.h5", "--workers", "0")


def differences(one: Path, other: Path) -> list[str]:
    return [str(difference) for difference in compare(one, other)]


def test_on_a_dask_cluster_two_at_a_time(alone: Path, tmp_path: Path, socket_enabled: None) -> None:
    distributed = pytest.importorskip("distributed", reason="needs distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        store = registered(tmp_path / "run.h5", "--scheduler", cluster.scheduler_address)
    assert differences(alone, store) == []
