"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def real_data_folder() -> Path:
    """Folder that holds the real photographs, whether or not it is there."""
    given = Path(os.environ.get("REGENGINE_REAL_DATA", "../shared/real"))
    return given if given.is_absolute() else (ROOT / given).resolve()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data; skips where it is absent."""
    folder = real_data_folder()
    if not (folder / "photos" / "index.csv").is_file():
        pytest.skip(f"no real data at {folder}: set REGENGINE_REAL_DATA to the folder that has it")
    return folder
