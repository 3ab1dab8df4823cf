"""Registration that looks at file names: what is solved alone, and what only with neighbours."""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from regengine.registration.priors import NeighbourPrior
from regengine.registration.report_result import iso_utc
from regengine.store.reasons import Reason
from regengine.store.result import DetectedLights, FrameResult
from tests.world.results import proposal

START = datetime(2016, 5, 1, 12, tzinfo=UTC)
OFFSET_S = 300.0
DOUBT = Reason(code="low_probability", values={"message": "Not enough."})


def register(path: Path, neighbours: NeighbourPrior | None = None) -> FrameResult:
    """Accepted; where the name says ``hard``, only with a hint; ``hopeless``, never.

    Names such as ``0010_hard.jpg`` are of a frame ten seconds after the first. ``never_again``:
    the whole process dies in the second search.
    """
    again = neighbours is not None
    if "never_again" in path.stem and again:
        os.kill(os.getpid(), signal.SIGKILL)
    made = proposal(path.stem)
    assert made.solved is not None
    told = neighbours is not None and abs(neighbours.offset_s - OFFSET_S) < 5.0
    good = "hopeless" not in path.stem and (told or not ("hard" in path.stem or again))
    likelihood = 0.9997 if good else 0.4 if again else 0.5
    # Two lights: results that differ in nothing else differ in them
    lights = DetectedLights(
        x=np.array([1.0, 2.0]),
        y=np.array([3.0, 4.5]),
        contrast=np.array([likelihood, 0.25]),
        matched=np.array([1, 0], dtype=np.uint8),
    )
    return replace(
        made,
        path=str(path),
        sha256=hashlib.sha256(path.name.encode()).hexdigest(),  # tests write the name as content
        verdict="accepted" if good else "review",
        time_utc=iso_utc(START + timedelta(seconds=int(path.stem.partition("_")[0]))),
        probability=likelihood,
        reasons=() if good else (DOUBT,),
        solved=replace(made.solved, along_track_offset_s=OFFSET_S),
        seconds=1.0,
        detections=lights,
        sources=made.sources
        if neighbours is None
        else (*made.sources, ("hint", neighbours.source)),
    )
