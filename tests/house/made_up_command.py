"""A made-up command and group in the place of the real ones."""

from __future__ import annotations

from typer.testing import CliRunner

from regengine.commands import app


class Behaviour:
    """What the made-up command does when it runs."""

    error: BaseException | None = None
    seen: dict[str, object]


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr
