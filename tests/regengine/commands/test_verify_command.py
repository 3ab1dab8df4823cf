"""`regengine verify` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import h5py
import pytest

from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.command_line import invoke
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "run.h5", [proposal(), nothing_found()])


verify = partial(invoke, "verify")


def test_a_sound_store_is_called_so(store: Path) -> None:
    result = verify(store)
    assert (result.exit_code, result.stdout) == (0, f"{store} is sound: 2 frames.\n")
    with StoreWriter(store) as writer:
        writer.add(StoredFrame(frame_index=2, result=nothing_found("b")))
        writer.flush()
        assert verify(store).stdout == f"{store} is sound: 3 frames, 1 parts not merged yet.\n"


def test_problems_are_told_a_sentence_each(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        file["control_points/x"][:2] = 1e9
        file["frames/probability"][0] = 1.0
    result = verify(store)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{store}: 1 probabilities are not between 0 and 1, or not within their intervals "
        "(frame_index 0).",
        f"{store}: 2 control points lie outside their frame (frame_index 0).",
    ]
    told = json.loads(verify(store, "--json").stdout)
    assert told["sound"] is False
    assert told["problems"][1] == {
        "code": "point_outside",
        "text": result.stdout.splitlines()[1],
        "file": str(store),
        "count": 2,
        "frame_index": [0],
    }


def test_what_cannot_be_opened_exits_with_3(store: Path) -> None:
    store.write_bytes(store.read_bytes()[:1000])
    assert verify(store).exit_code == 3
