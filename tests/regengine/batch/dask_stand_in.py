"""Registration for tests of clusters: by file names, with workers that are lost."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from regengine.errors import LightMapError
from regengine.registration.neighbour_priors import NeighbourPrior
from regengine.result import FrameResult
from tests.example_results import fake_process
from tests.regengine.batch.sharing_stand_in import register


def lossy(path: Path, hints: NeighbourPrior | None = None) -> FrameResult:
    """As `sharing_stand_in.register`; ``loses`` in a name kills the worker the first time.

    Each search of a photo leaves a line in the file ``searched`` beside the folder.
    """
    with (path.parent.parent / "searched").open("a") as log:
        log.write(f"{path.stem}\n")
    killed = path.parent.parent / f"killed_{path.stem}"
    if "loses" in path.stem and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return register(path, hints)


def unhurried(path: Path) -> FrameResult:
    """As `fake_process`, a tenth of a second each."""
    time.sleep(0.1)
    return fake_process(path)


def missing_map() -> None:
    raise LightMapError("lights.tif does not exist.")


def missing_map_soon(flag: Path) -> None:
    """Nothing at first; the map is gone as soon as the flag is there."""
    if flag.exists():
        missing_map()
