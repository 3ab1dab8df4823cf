"""Folders with entries that are no files, or bear strange names: each costs itself alone."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fuzz.folders import COMMANDS, ENTRIES, LIGHTS, strange_folder, untold
from regengine.batch.console import print_data
from regengine.records import record_line
from regengine.store.snapshot import read_store
from tests.command_line import invoke
from tests.kit.skies import night, save

LONGEST_S = 120


@pytest.fixture(autouse=True)
def _waits_for_nothing() -> Iterator[None]:
    """What opens a pipe or reads a device to its end would go on for ever."""

    def too_long(*_: object) -> None:
        raise AssertionError(f"no end within {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    save(night(), made / "sound.png")
    for name, (make, _) in ENTRIES.items():
        make(made / f"{name}.jpg")
    (made / "round").symlink_to(made)
    (made / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    return made


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("classify", "photos"),
        ("lights", "photos"),
        ("stars", "photos/*.*"),
        ("solve", "each"),
        ("register", "each"),
        pytest.param("register", "photos/*.*", marks=pytest.mark.slow),
        pytest.param("register", "photos", marks=pytest.mark.slow),
        pytest.param("streaks", "photos", marks=pytest.mark.slow),
    ],
)
def test_what_is_no_file_is_a_failed_photo_with_a_sentence(
    folder: Path, command: str, given: str
) -> None:
    names = [f"photos/{name}.jpg" for name in ENTRIES]
    photos = ["photos/sound.png", *names] if given == "each" else [given]
    workers = 2 if (command, given) == ("register", "photos") else 0
    result = invoke(*COMMANDS[command], "--json", "--workers", workers, *photos)
    assert result.exit_code == 1, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    told = {record["path"]: record for record in records}
    assert "photos/sound.png" in told
    for name, (_, what) in ENTRIES.items():
        path = f"photos/{name}.jpg"
        if command == "register":
            sentences = told[path]["reason_texts"]
        else:
            sentences = [line for line in result.stderr.splitlines() if f"{path} " in line]
        (sentence,) = sentences
        assert what in sentence
        assert ";" in sentence


@pytest.mark.parametrize("name", ENTRIES)
def test_one_alone_is_a_failed_photo_too(folder: Path, name: str) -> None:
    result = invoke(*COMMANDS["register"], "--workers", 0, f"photos/{name}.jpg")
    assert result.exit_code == 1
    assert ENTRIES[name][1] in result.stdout
    assert "1 failed" in result.stderr


def test_a_map_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "map.tif")
    result = invoke("lights", "info", tmp_path)
    assert result.exit_code == 3
    assert "map.tif is a named pipe" in result.stderr


def test_a_folder_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(night(), tmp_path / "a.png")
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    result = invoke("classify", tmp_path, "--workers", 0)
    assert result.exit_code == 0
    assert "locked cannot be read (Permission denied)" in result.stderr


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] if seed > 5 else []) for seed in range(24)]
)
def test_any_folder_is_told_entry_by_entry_and_commands_no_terminal(
    tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    made = strange_folder(folder, random.Random(seed))
    name = list(COMMANDS)[seed % len(COMMANDS)]
    store = ("--store", tmp_path / "run.h5") if name == "register" else ()
    for form in ((), ("--json",)):
        result = invoke(*COMMANDS[name], *store, *form, "--workers", 0, folder)
        assert result.exit_code == 1, result.output
        assert untold(name, form, result.stdout, result.stderr, made) == []


def test_data_are_harmless_on_a_terminal_and_exact_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\x1b[2J\u202e.jpg"
    print_data(f"frame,{name}\n")
    assert name in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_data(f"frame,{name}\nb")
    assert capsys.readouterr().out == "frame,a\\x1b[2J\\u202e.jpg\nb\n"


@pytest.mark.parametrize("name", ["a\x1b[2J.h5", "a\nError: b.h5", "a\u202e5h.h5", "a\x9b31m.h5"])
def test_names_in_messages_command_no_terminal(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no store")
    for words in (
        ("show", tmp_path / name),
        ("verify", tmp_path / name),
        ("show", tmp_path / "run.h5", name, name),
        ("register", tmp_path / name, "--lights", tmp_path / name),
        ("register", tmp_path / name, "--lights", LIGHTS, f"--{name}"),
    ):
        result = invoke(*words)
        assert result.exit_code in (1, 2, 3)
        assert all(line.isprintable() for line in result.output.split("\n")), result.output
        assert "\nError: b" not in result.output


def test_what_is_printed_of_a_strange_name_is_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "a\t\tb\n.jpg").write_bytes(b"\xff\xd8\xff no photo")
    store = tmp_path / "run.h5"
    result = invoke(*COMMANDS["register"], "--store", store, "--json", "--workers", 0, tmp_path)
    (stored,) = read_store(store)
    assert result.stdout == record_line(stored.result) + "\n"
