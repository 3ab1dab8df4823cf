"""The program as a user starts it: in this process, or as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from regengine.commands import app
from tests.conftest import ROOT


@dataclass(frozen=True)
class Said:
    """What a call of the program left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it printed as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def invoke(*words: object) -> Result:
    """Call ``regengine`` with these words; what it raises is in the result."""
    return CliRunner().invoke(app, [str(word) for word in words])


def run(*words: object) -> Said:
    """``regengine WORDS`` within this process."""
    result = invoke(*words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def begin(
    *words: object, program: tuple[str, ...] = ("-m", "regengine"), **settings: Any
) -> subprocess.Popen[str]:
    """``regengine WORDS`` as a process of its own, not waited for."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings.pop("environment", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, *program, *map(str, words)]
    return subprocess.Popen(command, env=environment, **(pipes | settings))


def start(*words: object, **settings: Any) -> Said:
    """``regengine WORDS`` as a process of its own, to its end."""
    process = begin(*words, **settings)
    out, err = process.communicate(timeout=300)
    return Said(process.returncode, out, err)
