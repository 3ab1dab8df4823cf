"""`python -m benchmarks faults` sees what is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as launcher
from benchmarks import faults
from tests.world.program import run


@pytest.mark.slow
def test_what_was_reported_and_is_not_there_is_seen(store_copy: Path) -> None:
    store = store_copy
    records = faults.whole_records(run("show", store, "--json").out + '{"torn')
    assert faults.find_losses(records, store) == []
    path = next(iter(records))
    changed = {path: records[path] | {"verdict": "review"}}
    assert faults.find_losses(changed, store) == [f"reported, but changed: {path}"]
    missing = {"no.jpg": json.loads(json.dumps(records[path]))}
    assert faults.find_losses(missing, store) == ["reported, but lost: no.jpg"]


@pytest.mark.slow
def test_killed_runs_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["faults", "--kills", "1", "--photos", "3"]) == 0
    assert "runs killed" in capsys.readouterr().out
