"""The command line, as tests call it."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from regengine.commands import app


def invoke(*words: object) -> Result:
    """Call ``regengine`` with these words; what it raises is in the result."""
    return CliRunner().invoke(app, [str(word) for word in words])
