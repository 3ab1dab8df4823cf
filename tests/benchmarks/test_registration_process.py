"""Cases run in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from child_work import die, held_memory_mb, mapped_memory_mb, whereabouts
from example_results import nadir_camera

from benchmarks.processes import one_thread, peak_memory_mb, run_alone
from benchmarks.registration.process import grid_points
from benchmarks.registration.scores import GroundPoints

CAMERA = nadir_camera()
POINTS = grid_points(CAMERA)


def test_work_is_done_in_a_process_of_its_own_on_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = run_alone(whereabouts, None)
    assert found is not None
    assert found[0] != os.getpid()
    assert found[1] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert "MKL_NUM_THREADS" not in os.environ
    with one_thread():
        assert os.environ["MKL_NUM_THREADS"] == "1"


def test_a_dead_process_costs_its_own_case_only() -> None:
    assert run_alone(die, None) is None


def test_memory_is_that_of_the_child_alone() -> None:
    ballast = np.ones(400 * 2**20, np.uint8)  # ours: must not count
    small, large = run_alone(held_memory_mb, 1), run_alone(held_memory_mb, 300)
    assert small is not None
    assert large is not None
    assert 270.0 < large - small < 330.0
    assert small < 350.0
    assert peak_memory_mb() > 400.0 * ballast[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_mapped_files_are_shared_memory_and_not_a_process_own(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"\1" * 2**20)
    large.write_bytes(b"\1" * 200 * 2**20)
    with_small, with_large = run_alone(mapped_memory_mb, small), run_alone(mapped_memory_mb, large)
    assert with_small is not None
    assert with_large is not None
    assert with_large[0] - with_small[0] > 150.0
    assert abs(with_large[1] - with_small[1]) < 30.0


def test_grid_points_are_what_the_camera_sees() -> None:
    assert isinstance(POINTS, GroundPoints)
    assert len(POINTS) == 49
    x, y = CAMERA.lonlat_to_pixel(POINTS.lon, POINTS.lat)
    np.testing.assert_allclose([x, y], [POINTS.x, POINTS.y], atol=1e-6)
