"""Runs of the program over the samples and over simulated photos, made once a session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.world.program import start
from tests.world.shared import make_once

SAMPLES = ROOT / "data_samples"
LIGHTS, ELEMENTS = SAMPLES / "lights.tif", SAMPLES / "tle.txt"
# The sample that shows no city would be sought for six times as long; the others take half of it
BRAKE = ("--max-seconds", 5)

# Every Python process of a run imports this first. Attempts are written down, so that one which is
# caught and survived still counts.
NO_NETWORK = """
import os
import socket


class OfflineSocket(socket.socket):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse("connect", address)
        return super().connect(address)

    connect_ex = connect


def refuse(*what, **_):
    with open(os.environ["NETWORK_ATTEMPTS"], "a") as attempts:
        attempts.write(f"{what}\\n")
    raise OSError("the network is off limits here")


socket.socket = OfflineSocket
socket.getaddrinfo = refuse
"""


def offline(folder: Path) -> dict[str, str]:
    """Environment in which programs reach no network, and note in ``attempts`` that they tried."""
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    (modules / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    return {
        "PYTHONPATH": os.pathsep.join([str(modules), str(ROOT)]),
        "NETWORK_ATTEMPTS": str(folder / "attempts"),
    }


def _register_samples(folder: Path) -> None:
    said = start(
        *("register", *sorted(SAMPLES.glob("*.jpg")), "--tle", ELEMENTS, "--lights", LIGHTS),
        *("--store", "run.h5", "--overlay", "overlays", "--json", *BRAKE),
        cwd=folder,
        environment=offline(folder),
    )
    assert said.code == 0, said.err
    (folder / "records.ndjson").write_text(said.out, encoding="utf-8")
    (folder / "messages.txt").write_text(said.err, encoding="utf-8")


def _register_photos(folder: Path) -> None:
    words = ("register", SAMPLES / "photos", "--store", "run.h5", "--overlay", "overlays")
    said = start(*words, cwd=folder, environment=offline(folder))
    assert said.code == 0, said.err


def _register_simulated(folder: Path, names: Sequence[str]) -> None:
    from tests.world.simulated import write_photos  # as long to load as the program

    write_photos(folder, names)
    said = start(
        *("register", *(folder / f"{name}.jpg" for name in names), "--tle", ELEMENTS),
        *("--lights", LIGHTS, "--store", "run.h5", "--json", "--workers", "0"),
        cwd=folder,
    )
    assert said.code == 0, said.err
    (folder / "records.ndjson").write_text(said.out, encoding="utf-8")


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The six samples, registered by the command as a user types it, but for `BRAKE`.

    It reaches no network.

    ``run.h5``, ``records.ndjson`` (its standard output), ``messages.txt`` (its standard error),
    ``overlays/`` and, if it sought a network, ``attempts``. To be copied, never changed.
    """
    return make_once(tmp_path_factory, "demo_run", _register_samples)


@pytest.fixture(scope="session")
def packaged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twelve photos of NASA, registered by the command with what the package brings.

    ``run.h5``, ``overlays/`` and, if it sought a network, ``attempts``. To be copied.
    """
    return make_once(tmp_path_factory, "packaged_run", _register_photos)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos of `tests.world.simulated.USUAL`, registered in one run.

    ``NAME.jpg`` with its true camera in ``NAME.json``, ``run.h5`` and ``records.ndjson``. To be
    copied, never changed.
    """
    from tests.world.simulated import USUAL

    return make_once(
        tmp_path_factory, "simulated", lambda folder: _register_simulated(folder, USUAL)
    )


@pytest.fixture(scope="session")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of `tests.world.simulated.RARE`."""
    from tests.world.simulated import RARE

    return make_once(tmp_path_factory, "rare", lambda folder: _register_simulated(folder, RARE))
