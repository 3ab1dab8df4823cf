from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regengine.result import SolvedCamera
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An accepted frame, one to review, and one without a proposal."""
    results = [proposal(), proposal("ISS030-E-184141", "review"), nothing_found()]
    return write_store(tmp_path_factory.mktemp("export") / "run.h5", results)


@pytest.fixture(scope="session")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo across the antimeridian, one to the limb, one with a hostile name."""
    results = []
    for name, lon, tilt in (("sea", 179.9, 20.0), ("limb", 10.0, 68.0), ('<b>"é\n🌃', 20.0, 0.0)):
        camera = nadir_camera(lon, 20.0, tilt_deg=tilt)
        solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=tilt)
        results.append(replace(proposal(name), solved=solved, path=f"{name}.jpg"))
    return write_store(tmp_path_factory.mktemp("everywhere") / "run.h5", results)
