"""Commands that are imported only when they run, with settings as their defaults.

The value of an option is taken from the first of: the command line; the environment variable
``REGENGINE_COMMAND_OPTION``; ``regengine.toml`` in the current folder; ``regengine.toml`` in the
user's configuration folder; the built-in default. Each command has its table::

    [register]
    max-seconds = 30
    lights = ["~/maps/lights.tif"]

    [maps.get]
    level = 7
"""

from __future__ import annotations

import difflib
import importlib
import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from regengine.errors import ConfigError, RegengineError
from regengine.io.tables import read_text

FILE_NAME = "regengine.toml"
# Content of each settings file, by its path, in order of precedence
Settings = Mapping[Path, Mapping[str, Any]]


def read_settings(given: Path | None = None) -> Settings:
    """Read the settings files that exist.

    ``given`` is read instead of those in the usual places, and must exist. Raises ConfigError if a
    file cannot be read, or is not TOML.
    """
    usual = (Path(FILE_NAME).absolute(), Path(typer.get_app_dir("regengine")) / FILE_NAME)
    settings = {}
    for path in [path for path in usual if path.is_file()] if given is None else [given]:
        try:
            settings[path] = tomllib.loads(read_text(path))
        except OSError as error:
            raise ConfigError(
                f"{path}: the settings file cannot be read ({error}): check the path."
            ) from error
        except (ValueError, RecursionError) as error:  # not text, or not TOML
            raise ConfigError(f"{path}: the settings file is not valid TOML ({error}).") from error
    return settings


def settings_of(
    settings: Settings, command: tuple[str, ...], known: Collection[str]
) -> dict[str, tuple[Any, Path]]:
    """Return values in the table of a command such as ("maps", "get"), each with its file.

    Raises ConfigError for an unknown name, which would otherwise be ignored silently, and for a
    plain value in place of a table.
    """
    found: dict[str, tuple[Any, Path]] = {}
    for path, table in settings.items():
        for depth, name in enumerate(command, start=1):
            table = table.get(name, {})
            if not isinstance(table, Mapping):
                where = ".".join(command[:depth])
                raise ConfigError(f"{path}: {where} must be a table: write [{where}].")
        for name, value in table.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                listed = f"known settings are {', '.join(sorted(known))}."
                where = f"[{'.'.join(command)}] has" if command else "there is"
                hint = f"did you mean {close[0]}?" if close else listed
                raise ConfigError(f"{path}: {where} no setting {name}: {hint}")
            found.setdefault(name, (_expand_home(value), path))
    return found


def _expand_home(value: Any) -> Any:
    """Replace ``~/`` at the start of the texts of a value by the home folder."""
    if isinstance(value, list):
        return [_expand_home(item) for item in value]
    return str(Path(value).expanduser()) if str(value).startswith("~/") else value


# What to write for an option, by the name of its type
VALUES = {"path": "FILE", "Path": "FILE", "str": "TEXT", "int": "N", "float": "NUMBER"}
# Of options that many commands have
SHORT_FORMS = {"out": "-o", "workers": "-j", "quiet": "-q"}
STANDARD_OUTPUT = Path("-")
# Commands whose --out may be that; what others write is no text, or a run goes on from it
TO_STANDARD_OUTPUT = (
    "export",
    "archive read",
    "archive query",
    "catalogue tasking",
    "catalogue query",
)


def load_command(name: str) -> Any:
    """Import the command ``NAME``: the module ``regengine.commands.NAME``.

    It has either ``app``, a ``typer.Typer`` with sub-commands, or ``main``, a plain function that
    becomes the command.
    """
    module = importlib.import_module(f"regengine.commands.{name}")
    if hasattr(module, "app"):
        module.app.rich_markup_mode = None
        command: Any = typer.main.get_group(module.app)
    else:
        wrapper = typer.Typer(rich_markup_mode=None, add_completion=False)
        asks = [one.default is one.empty for one in signature(module.main).parameters.values()]
        wrapper.command(name, no_args_is_help=any(asks))(module.main)
        command = typer.main.get_command(wrapper)
    command.name = name
    for path in leaves(command):
        leaf, names = path[-1], [str(step.name) for step in path]
        leaf.callback = _with_results_alone(leaf.callback, " ".join(names))
        # Every option can be set by REGENGINE_COMMAND_OPTION: the documentation states that once
        for option, parameter in options(leaf).items():
            parameter.envvar = "_".join(["regengine", *names, option]).replace("-", "_").upper()
            parameter.show_envvar = False
            if option in SHORT_FORMS:
                parameter.opts.append(SHORT_FORMS[option])
        for parameter in leaf.params:
            kind = parameter.display_type(None).strip("<>")
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = lambda ctx: None
            elif parameter.type_descriptor.is_choice:
                parameter.metavar = parameter.metavar or f"[{kind}]"
            elif not parameter.is_flag:
                one = kind.removeprefix("list[").rstrip("]").partition(" ")[0]
                parameter.metavar = parameter.metavar or VALUES[one]
    return command


def _with_results_alone(callback: Callable[..., Any], command: str) -> Callable[..., Any]:
    """A command that leaves standard output to its results, and writes only text there."""

    @wraps(callback)
    def run(*arguments: Any, **options: Any) -> Any:
        from regengine.io.atomic import find_full_disk, make_refusal
        from regengine.io.console import reserve_standard_output

        if options.get("out") == STANDARD_OUTPUT and command not in TO_STANDARD_OUTPUT:
            raise ConfigError(
                f"--out -: regengine {command} cannot write to standard output: name a file."
            )
        with reserve_standard_output():
            try:
                return callback(*arguments, **options)
            except Exception as error:
                full = find_full_disk(error)
                if full is None or isinstance(error, RegengineError):
                    raise
                raise make_refusal(full.filename or "the output", full) from error

    return run


def leaves(command: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All commands below one, each as the path of commands that leads to it."""
    path = (*above, command)
    if not isinstance(command, TyperGroup):
        return [path]
    return [leaf for child in command.commands.values() for leaf in leaves(child, path)]


def options(command: Any) -> dict[str, Any]:
    """Options of a command that a settings file may give, by their spelling without dashes."""
    return {
        option_name(parameter): parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.is_eager
    }


def defaults(settings: Settings, command: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """Click's default map of one command, from the settings files."""
    if isinstance(command, TyperGroup):
        settings_of(settings, path, command.commands)
        return {
            name: defaults(settings, child, (*path, name))
            for name, child in command.commands.items()
        }
    known = options(command)
    found: dict[str, Any] = {}
    for name, (value, _) in settings_of(settings, path, known).items():
        many = known[name].multiple or known[name].nargs != 1
        found[known[name].name] = [value] if many and not isinstance(value, list) else value
    return found


def value_origin(error: typer.BadParameter, ctx: Any) -> str | None:
    """Where the value that an error complains of was set; None if on the command line."""
    where, parameter = error.ctx, error.param
    if where is None or parameter is None or parameter.name is None:
        return None
    source = getattr(where.get_parameter_source(parameter.name), "name", "")
    if source == "ENVIRONMENT":
        variable = str(parameter.envvar)
        return f"environment variable {variable} = {os.environ.get(variable, '')!r}"
    if source == "DEFAULT_MAP":
        path = tuple(where.command_path.split()[1:])
        read = read_settings(ctx.params.get("config"))
        settings = settings_of(read, path, options(where.command))
        name = option_name(parameter)
        return f"{settings[name][1]}, [{'.'.join(path)}] {name} = {settings[name][0]!r}"
    return None


def option_name(parameter: Any) -> str:
    return str(max(parameter.opts, key=len)).lstrip("-")
