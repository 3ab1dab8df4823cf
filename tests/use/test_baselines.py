"""What users see and what stored runs depend on stays as it is kept in files, or is changed there.

``REGENGINE_KEEP_BASELINES=1`` writes the files anew: look at what differs before it is committed.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.world.program import run

BASELINES = Path(__file__).parent / "baselines"
# Names are those of commands in words, and of the program itself
KEPT = sorted(path.stem for path in (BASELINES / "help").glob("*.txt"))


def assert_kept(name: str, text: str) -> None:
    """A text equals the one that is kept in a file of this name."""
    path = BASELINES / name
    if os.environ.get("REGENGINE_KEEP_BASELINES") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def read_help(*command: str) -> str:
    said = run(*command, "--help")
    assert said.code == 0
    return said.out


def list_commands(*above: str) -> list[tuple[str, ...]]:
    """Commands that the help names, with those of groups, each in words."""
    named = read_help(*above).partition("\nCommands:\n")[2]
    found = re.findall(r"^  ([a-z]\S*)  ", named, re.MULTILINE)
    return [above, *(words for name in found for words in list_commands(*above, name))]


@pytest.mark.parametrize("name", KEPT)
def test_help_says_what_it_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    command = [] if name == "regengine" else name.split("-")
    assert_kept(f"help/{name}.txt", read_help(*command))


def test_the_help_of_every_command_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = {"-".join(words) or "regengine": words for words in list_commands()}
    for name in commands.keys() - set(KEPT):
        assert_kept(f"help/{name}.txt", read_help(*commands[name]))
    assert set(KEPT) <= commands.keys()


def without_path(known: dict[str, Any]) -> dict[str, Any]:
    """Where a file lies is no part of a run's settings."""
    return {name: value for name, value in known.items() if name != "path"}


def test_a_run_depends_on_the_settings_that_it_depended_on(simulated: Path) -> None:
    """What a store compares to tell whether its results hold: other settings do photos again."""
    with h5py.File(simulated / "run.h5") as store:
        group = store["provenance"]
        texts = {group["parameters"].asstr()[k] for k in range(len(group["parameters"]))}
        hashes = set(group["parameters_sha256"].asstr()[:])
    (text,), (sha256,) = texts, hashes
    assert len(sha256) == 64
    kept = {"sha256": sha256, "settings": json.loads(text, object_hook=without_path)}
    assert_kept("settings.json", json.dumps(kept, indent=1, sort_keys=True) + "\n")
