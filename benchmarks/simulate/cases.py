"""The samples' land and the map of it in ``data_samples/``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.simulate.land import Region

SAMPLE_SEED = 991
SAMPLE_REGION = Region(west=-162.0, south=26.0, size_deg=24.0)  # open ocean in the real world
SAMPLE_MAP = Path(__file__).resolve().parents[2] / "data_samples" / "lights.tif"
