"""The made-up command, for the tests of the command line."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Annotated

import pytest
import typer
from made_up_command import Behaviour

from regengine import settings
from regengine.commands import RegengineGroup


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Behaviour:
    """A made-up command ``sample`` and group ``tools`` in the place of the real ones."""
    behaviour = Behaviour()

    def main(
        photos: list[Path],
        max_seconds: float = 15.0,
        lights: Annotated[list[Path] | None, typer.Option()] = None,
        quiet: bool = False,
    ) -> None:
        """Do something.

        Example: regengine sample photo.jpg
        """
        behaviour.seen = {"max_seconds": max_seconds, "lights": lights, "quiet": quiet}
        if behaviour.error is not None:
            raise behaviour.error
        typer.echo("done")

    tools = typer.Typer(help="Tools.", no_args_is_help=True)

    @tools.command("fetch")
    def fetch(radius_km: float = 500.0, token: str = "") -> None:
        """Fetch. Example: regengine tools fetch"""
        behaviour.seen = {"radius_km": radius_km}

    modules = {"sample": {"main": main}, "tools": {"app": tools}}
    for name, content in modules.items():
        module = types.ModuleType(f"regengine.commands.{name}")
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    summaries = {"sample": "Do something.", "tools": "Tools.", "config": "Settings."}
    monkeypatch.setattr(RegengineGroup, "summaries", summaries)
    monkeypatch.chdir(tmp_path)
    paths = (tmp_path / "regengine.toml", tmp_path / "home" / "regengine.toml")
    paths[1].parent.mkdir()
    monkeypatch.setattr(settings, "settings_paths", lambda: paths)
    for variable in [name for name in os.environ if name.startswith("REGENGINE_")]:
        monkeypatch.delenv(variable)
    return behaviour
