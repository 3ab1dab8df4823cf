"""What a session makes once: one folder for all of its processes, never changed by a test."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Folder that the first process of the session to ask for it fills; others wait for it.

    A maker that fails is not tried again: every test that asks then fails with its one sentence.
    """
    base = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent  # that of the session, not of one of its processes
    folder, made, failed = base / name, base / f"{name}.made", base / f"{name}.failed"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if failed.exists():
            pytest.fail(f"{name} could not be made: {failed.read_text(encoding='utf-8')}")
        if not made.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException as error:
                failed.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
                raise
            made.touch()
    return folder


def records_of(folder: Path) -> list[dict[str, Any]]:
    """The records that the run which made such a folder printed."""
    lines = (folder / "records.ndjson").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
