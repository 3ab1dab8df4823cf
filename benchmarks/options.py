"""Options that several benchmarks have, said once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from regengine.errors import ConfigError

Real = Annotated[Path, typer.Option(metavar="FOLDER", help="folder of the real data")]
MaybeReal = Annotated[
    Path | None, typer.Option("--real", metavar="FOLDER", help="folder of the real data")
]
Out = Annotated[Path | None, typer.Option(metavar="FOLDER", help="folder for the dated page")]
Seeds = Annotated[str, typer.Option(metavar="FIRST:LAST", help="what is drawn; LAST excluded")]
Workers = Annotated[int, typer.Option(min=1, help="processes of one thread each")]


def seeds_of(text: str) -> range:
    """Seeds from FIRST:LAST; none from nothing."""
    first, _, last = (text or "0:0").partition(":")
    try:
        return range(int(first), int(last))
    except ValueError:
        raise ConfigError(f"{text!r} is no range of seeds: say FIRST:LAST, as in 0:100.") from None


def some_of(text: str, known: Collection[str], option: str) -> tuple[str, ...]:
    """Those of the known words that a list with commas names, in their own order; all if empty."""
    wanted = {word.strip() for word in text.split(",") if word.strip()}
    if wanted - set(known):
        raise ConfigError(f"{option} {text}: name some of {', '.join(known)}.")
    return tuple(word for word in known if not wanted or word in wanted)
