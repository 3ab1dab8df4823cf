"""``regengine catalogue``: frames of many stores by place, quality and date."""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperGroup

from regengine.commands.catalogue_build import build
from regengine.commands.catalogue_lists import best, changes, coverage, places, query
from regengine.commands.catalogue_package import package
from regengine.commands.catalogue_stars import stars
from regengine.commands.catalogue_tasking import tasking


class CatalogueGroup(TyperGroup):
    """Takes ``regengine catalogue STORE…`` for ``regengine catalogue build STORE…``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the sub-command before stores and options that have none."""
        if args and args[0] not in self.commands and _is_for_build(args[0]):
            args = ["build", *args]
        return super().parse_args(ctx, args)


def _is_for_build(word: str) -> bool:
    """Whether a word is an option or a file, and no misspelt sub-command."""
    if word.startswith("-"):
        return word not in ("-h", "--help")
    return os.path.exists(word) or "." in word or os.sep in word


app = typer.Typer(
    cls=CatalogueGroup,
    help="Frames of many stores by place, quality and date: one file to ask.\n\n"
    "Example: regengine catalogue build run1.h5 run2.h5 --out archive.parquet",
    no_args_is_help=True,
)
app.command("build", no_args_is_help=True)(build)
app.command("places", no_args_is_help=True)(places)
app.command("best", no_args_is_help=True)(best)
app.command("coverage", no_args_is_help=True)(coverage)
app.command("changes", no_args_is_help=True)(changes)
app.command("query", no_args_is_help=True)(query)
app.command("package", no_args_is_help=True)(package)
app.command("tasking", no_args_is_help=True)(tasking)
app.command("stars", no_args_is_help=True)(stars)
