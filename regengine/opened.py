"""Files that all photos of a run share, read once per process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from regengine.frame_records import FrameRecords, load_frame_records
from regengine.tle import TleSet, load_tle_file


@lru_cache(maxsize=4)
def element_sets(path: Path) -> TleSet:
    """Element sets of a TLE file, see `regengine.tle.load_tle_file`."""
    return load_tle_file(path)


@lru_cache(maxsize=4)
def frame_records(path: Path) -> FrameRecords:
    """Records of a table, see `regengine.frame_records.load_frame_records`."""
    return load_frame_records(path)
