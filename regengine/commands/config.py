"""`regengine config show`: every setting and where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from regengine.batch.console import say
from regengine.commands.lazy import defaults, leaves, load_command, options, variable_in_use
from regengine.commands.options import Json
from regengine.errors import ConfigError
from regengine.settings import SettingsFile, find_setting, read_settings

app = typer.Typer(
    help="Show every setting and where it came from.\n\n"
    "Example: regengine config show register --max-seconds 30",
    no_args_is_help=True,
)


@app.callback()
def config() -> None:
    """Keep ``show`` a sub-command although it is the only one."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One option of one command, what it is set to, and what set it."""

    command: str
    option: str
    value: Any
    source: str


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
        str | None, typer.Argument(help="Show this command alone, with options that follow it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every setting and where it came from.

    The strongest source wins: an option on the command line; a variable such as
    REGENGINE_REGISTER_MAX_SECONDS; regengine.toml in the current folder; regengine.toml in the
    user's configuration folder; the built-in default.

    Options after COMMAND show what that command would run with.

    \b
    Examples:
      regengine config show
      regengine config show register --max-seconds 30
      regengine config show --json
    """
    root = ctx.find_root()
    names = tuple(root.command.commands)  # type: ignore[attr-defined]
    if command is not None and command not in names:
        raise ConfigError(f"{command} is no command: choose one of {', '.join(names)}.")
    files = read_settings(root.params.get("config"), known_tables=names)
    rows = [
        setting
        for name in ([command] if command else names)
        for setting in command_settings(root, files, name, list(ctx.args))
    ]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(asdict(row), default=str))
        return
    for file in files:
        say(f"# read {file.path}")
    widths = [max(len(text) for text in column) for column in zip(*map(cells, rows), strict=True)]
    for row in rows:
        texts = zip(cells(row), widths, strict=True)
        say("  ".join(text.ljust(width) for text, width in texts).rstrip())


def cells(row: Setting) -> tuple[str, str, str]:
    """A setting as the three columns of the table."""
    value = row.value
    if isinstance(value, list | tuple):
        value = " ".join(str(item) for item in value)
    shown = "-" if value in (None, "") else str(value)
    return f"{row.command} --{row.option}", shown, row.source


def command_settings(
    root: Any, files: tuple[SettingsFile, ...], name: str, arguments: list[str]
) -> Iterator[Setting]:
    """Settings of one command and its sub-commands."""
    loaded = load_command(name)
    root.default_map = {name: defaults(files, loaded, (name,))}
    chosen = tuple(arguments)
    for path in leaves(loaded):
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
        for option, parameter in options(path[-1]).items():
            yield Setting(
                command=" ".join(names),
                option=option,
                value=context.params.get(parameter.name),
                source=source_name(context, files, names, option, parameter),
            )


def source_name(
    context: Any,
    files: tuple[SettingsFile, ...],
    path: tuple[str, ...],
    option: str,
    parameter: Any,
) -> str:
    """What set a parameter: option, environment variable, file or default."""
    source = getattr(context.get_parameter_source(parameter.name), "name", "DEFAULT")
    if source == "COMMANDLINE":
        return "option"
    if source == "ENVIRONMENT":
        return f"environment {variable_in_use(parameter)}"
    if source == "DEFAULT_MAP":
        setting = find_setting(files, path, option)
        return str(setting[1]) if setting else "default"
    return "default"
