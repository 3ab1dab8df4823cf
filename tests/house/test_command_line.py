"""Errors of commands: one sentence, and their exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from made_up_command import Behaviour, invoke

from regengine.errors import (
    ConfigError,
    EphemerisError,
    FrameError,
    LightMapError,
    RegengineError,
    StoreError,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FrameError("a.jpg: truncated; get it again."), 1),
        (ConfigError("--shard 3/2: too many; use 1/2."), 2),
        (LightMapError("l.tif: no CRS; give one."), 3),
        (EphemerisError("t.txt: no element sets; check it."), 3),
        (StoreError("s.h5: cannot be written; free some space."), 3),
        (RegengineError("something; do that."), 3),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(
    behaviour: Behaviour, error: Exception, code: int
) -> None:
    behaviour.error = error
    assert invoke("sample", "a.jpg") == (code, "", f"Error: {error}\n")


def test_success_exits_with_zero(behaviour: Behaviour) -> None:
    assert invoke("sample", "a.jpg") == (0, "done\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "a.jpg", "--no-such-option"],
        ["sample", "a.jpg", "--max-seconds", "soon"],
        ["smple"],
        ["tools", "fetsh"],
        [],
        ["tools"],
        ["sample"],
    ],
)
def test_usage_errors_exit_with_two(behaviour: Behaviour, arguments: list[str]) -> None:
    code, _, complaint = invoke(*arguments)
    assert code == 2
    assert "Traceback" not in complaint


def test_a_misspelt_command_is_met_with_the_right_one(behaviour: Behaviour) -> None:
    assert "Did you mean 'sample'" in invoke("smple")[2]


def test_an_unforeseen_error_is_one_sentence(behaviour: Behaviour) -> None:
    behaviour.error = TypeError("first line\nsecond line")
    code, output, complaint = invoke("sample", "a.jpg")
    assert (code, output) == (1, "")
    assert complaint.count("\n") == 1
    assert "TypeError: first line second line" in complaint
    assert "--debug" in complaint


@pytest.mark.parametrize("arguments", [["--debug", "sample", "a"], ["sample", "a", "--debug"]])
def test_debug_prints_the_traceback_wherever_it_stands(
    behaviour: Behaviour, arguments: list[str]
) -> None:
    behaviour.error = LightMapError("l.tif: no CRS; give one.")
    code, _, complaint = invoke(*arguments)
    assert code == 3
    assert "Traceback" in complaint
    assert complaint.endswith("Error: l.tif: no CRS; give one.\n")


def test_debug_after_a_double_dash_is_a_file_name(behaviour: Behaviour) -> None:
    behaviour.error = LightMapError("l.tif: no CRS; give one.")
    assert "Traceback" not in invoke("sample", "--", "--debug")[2]


def test_missing_opengl_is_explained(behaviour: Behaviour) -> None:
    behaviour.error = ImportError("libGL.so.1: cannot open shared object file")
    assert "opencv-contrib-python-headless" in invoke("sample", "a.jpg")[2]


def test_an_interrupt_exits_with_130(behaviour: Behaviour) -> None:
    behaviour.error = KeyboardInterrupt()
    code, _, complaint = invoke("sample", "a.jpg")
    assert code == 130
    assert "Traceback" not in complaint


def test_giving_up_at_a_question_is_no_error_of_ours(behaviour: Behaviour) -> None:
    behaviour.error = typer.Abort()
    assert "unforeseen" not in invoke("sample", "a.jpg")[2]


def test_a_reader_that_goes_away_is_met_with_silence(behaviour: Behaviour) -> None:
    behaviour.error = BrokenPipeError(32, "Broken pipe")
    assert invoke("sample", "a.jpg") == (141, "", "")


def test_a_closed_pipe_is_quiet_in_a_real_process() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(
        [sys.executable, "cli.py", "config", "show", "config"],
        cwd=ROOT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)
    assert (result.returncode, result.stderr) == (141, b"")


def test_linear_algebra_takes_one_thread_on_which_digits_depend() -> None:
    program = (
        "import os, sys; sys.argv = ['regengine', '--version']; import regengine.commands as c\n"
        "try: c.run()\n"
        "except SystemExit: print(*(os.environ[name] for name in c.ONE_THREAD))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS")}
    for environment in (kept, kept | {"OMP_NUM_THREADS": "2"}):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True
        )
        assert done.stdout.splitlines()[-1] == "1 1"
