"""`regengine merge` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from regengine.store.snapshot import read_store
from tests.command_line import invoke
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    return [
        write_store(tmp_path / "1.h5", [proposal("a"), nothing_found("b")]),
        write_store(tmp_path / "2.h5", [proposal("a")]),
    ]


merge = partial(invoke, "merge")


def test_what_was_taken_is_told(stores: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "all.h5"
    result = merge(*stores, "--into", out)
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["1", "frames", "from", str(stores[0])],
        ["1", "frames", "from", str(stores[1])],
        ["2", "frames", "in", f"{out},", "1", "repeated", "ones", "left", "out"],
    ]
    assert [stored.result.frame for stored in read_store(out)] == ["a", "b"]


def test_json_tells_the_same(stores: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "all.h5"
    merge(stores[1], "--into", out)
    result = merge(stores[0], "--into", out, "--grow", "--json")
    assert json.loads(result.stdout) == {
        "store": str(out),
        "frames": 2,
        "repeated": 1,
        "taken": [{"store": str(out), "frames": 0}, {"store": str(stores[0]), "frames": 2}],
    }


def test_what_cannot_be_merged_is_told_in_one_sentence(stores: list[Path]) -> None:
    taken = merge(*stores, "--into", stores[0])
    assert taken.exit_code == 2
    assert "1.h5 exists already" in taken.stderr
