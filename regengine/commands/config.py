"""`regengine config show`: every setting and where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from regengine.commands import lazy
from regengine.commands.options import Json
from regengine.errors import ConfigError
from regengine.io.console import print_data, say

app = typer.Typer(
    help="Show every setting and its source.\n\n"
    "Example: regengine config show register --max-seconds 30",
    no_args_is_help=True,
)


@app.callback()
def config() -> None:
    """Keep ``show`` a sub-command although it is the only one."""


@app.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "allow_interspersed_args": False,
    }
)
def show(
    ctx: typer.Context,
    command: Annotated[
        str | None, typer.Argument(help="Show only this command, with the options that follow it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every setting and its source.

    Sources, strongest first: an option on the command line; a variable such as
    REGENGINE_REGISTER_MAX_SECONDS; regengine.toml in the current folder; regengine.toml in the
    user's configuration folder; the built-in default.

    Options after COMMAND show the settings it would run with.

    \b
    Examples:
      regengine config show
      regengine config show register --max-seconds 30
      regengine config show --json
    """
    root = ctx.find_root()
    names = tuple(root.command.commands)  # type: ignore[attr-defined]
    if command is not None and command not in names:
        raise ConfigError(f"{command} is not a command: choose from {', '.join(names)}.")
    settings = lazy.read_settings(root.params.get("config"))
    lazy.settings_of(settings, (), names)
    rows = [
        setting
        for name in ([command] if command else names)
        for setting in command_settings(root, settings, name, list(ctx.args))
    ]
    if as_json:
        for row in rows:
            print_data(json.dumps(row, default=str))
        return
    for path in settings:
        say(f"# read {path}")
    table = []
    for row in rows:
        value = row["value"]
        if isinstance(value, list | tuple):
            value = " ".join(map(str, value))
        shown = "-" if value in (None, "") else str(value)
        table.append((f"{row['command']} --{row['option']}", shown, row["source"]))
    first, second = (max(len(line[column]) for line in table) for column in (0, 1))
    say(*(f"{name:{first}}  {value:{second}}  {source}" for name, value, source in table))


def command_settings(
    root: Any, settings: lazy.Settings, name: str, arguments: list[str]
) -> Iterator[dict[str, Any]]:
    """Settings of one command and its sub-commands: their values, and what set them."""
    loaded = lazy.load_command(name)
    root.default_map = {name: lazy.defaults(settings, loaded, (name,))}
    chosen = tuple(arguments)
    for path in lazy.leaves(loaded):
        names = tuple(str(step.name) for step in path)
        sub_commands = names[1:]
        if chosen and chosen[: len(sub_commands)] != sub_commands:
            continue
        context = root
        for step in path[:-1]:
            context = step.context_class(step, info_name=step.name, parent=context)
        context = path[-1].make_context(
            names[-1], list(chosen[len(sub_commands) :]), parent=context, resilient_parsing=True
        )
        known = lazy.options(path[-1])
        of_files = lazy.settings_of(settings, names, known)
        for option, parameter in known.items():
            source = getattr(context.get_parameter_source(parameter.name), "name", "")
            named = {"COMMANDLINE": "option"}
            if source == "ENVIRONMENT":
                named[source] = f"environment {parameter.envvar}"
            elif option in of_files:
                named["DEFAULT_MAP"] = str(of_files[option][1])
            yield {
                "command": " ".join(names),
                "option": option,
                "value": context.params.get(parameter.name),
                "source": named.get(source, "default"),
            }
