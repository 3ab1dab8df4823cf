"""Frames with true stars and streaks, by three generators that take different things for granted.

Seeds 0 to 999 are for tuning, those from 10,000 on for the benchmark alone. Nothing here is shared
with ``detectors``.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.simulate.frames.camera import camera_exposure
from benchmarks.simulate.frames.crowded import crowded_exposure
from benchmarks.simulate.frames.exposures import Generator
from benchmarks.simulate.frames.open import open_exposure

GENERATORS: Mapping[str, Generator] = {
    "open": open_exposure,
    "crowded": crowded_exposure,
    "camera": camera_exposure,
}
