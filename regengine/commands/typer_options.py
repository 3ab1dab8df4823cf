"""Command-line options out of the classes of `regengine.options`."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import Field, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from regengine.options import AnyPath, Box, Options, Paths, Place, Time, option_info

# What is typed for the wider types that Python takes
TYPED: dict[Any, Any] = {
    Paths | None: list[Path] | None,
    AnyPath | None: Path | None,
    Time | None: str | None,
    Place | None: str | None,
    Box | None: str | None,
    Collection[str]: str | None,
}


def typer_option(options: type[Options], name: str) -> Any:
    """What Typer is told of an option of a class."""
    info = option_info(next(one for one in fields(options) if one.name == name))
    return typer.Option(
        *info.names,
        help=info.help,
        metavar=info.metavar,
        min=None if info.minimum == -math.inf else info.minimum,
        max=None if info.maximum == math.inf else info.maximum,
    )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of its parameters of option classes in the place of these."""
    types = get_type_hints(command)
    classes: dict[str, type[Options]] = {
        name: kind
        for name, kind in types.items()
        if isinstance(kind, type) and issubclass(kind, Options)
    }
    parameters: list[Parameter] = []
    for parameter in signature(command, eval_str=True).parameters.values():
        if parameter.name in classes:
            parameters += _parameters(classes[parameter.name])
        else:
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))

    @wraps(command)
    def called(**arguments: Any) -> None:
        collected = {
            name: kind(
                **{
                    one.name: value
                    for one in fields(kind)
                    if one.name in arguments and (value := arguments.pop(one.name)) is not None
                }
            )
            for name, kind in classes.items()
        }
        command(**arguments, **collected)

    called.__dict__["__signature__"] = signature(command).replace(parameters=parameters)
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


def _parameters(kind: type[Options]) -> list[Parameter]:
    types = get_type_hints(kind)
    return [
        Parameter(
            one.name,
            Parameter.KEYWORD_ONLY,
            annotation=Annotated[
                TYPED.get(types[one.name], types[one.name]), typer_option(kind, one.name)
            ],
            default=_find_typed_default(one),
        )
        for one in fields(kind)
        if option_info(one).help
    ]


def _find_typed_default(one: Field[Any]) -> Any:
    other = option_info(one).typed_default
    default = one.default if other is None else other
    return None if default == () else default
