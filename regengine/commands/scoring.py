"""What every ``regengine bench`` of detections does: each method, each photo, a line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer

S = TypeVar("S")
EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3


def bench_methods(
    labels: Path,
    photos: list[Path],
    methods: list[str],
    score: Callable[[str, Path, Path | None], S],
    summary: Callable[[str, list[S]], dict[str, Any]],
    table: tuple[str, Callable[[dict[str, Any]], str]] | None,
    plot: Path | None,
    *,
    quiet: bool,
    at_end: Callable[[list[dict[str, Any]]], list[str]] | None = None,
) -> None:
    """Score methods on photos and print what is said of each, as JSON where there is no table.

    Parameters
    ----------
    labels : Path
        For messages.
    photos : list of Path
    methods : list of str
    score : callable
        Of a method, a photo and the picture to draw, if any.
    summary : callable
        Facts of a method, of its scores.
    table : (str, callable) or None
        Header, and the line of a method's facts.
    plot : Path, optional
        Folder of the pictures.
    quiet : bool
    at_end : callable, optional
        Lines to print below the table, of the facts of all methods.

    Raises
    ------
    typer.Exit
        If no photo is there, or some could not be scored.
    """
    import json
    import logging

    from regengine.batch.progress import progress
    from regengine.detection_overlay import picture_paths
    from regengine.errors import FrameError

    if not any(path.exists() for path in photos):
        typer.echo(
            f"Error: {labels} names no photo that is there: paths count from its folder.", err=True
        )
        raise typer.Exit(EXIT_NOT_STARTED)
    if table is not None:
        typer.echo(table[0])
    failed, said = 0, []
    with progress(len(methods) * len(photos), quiet=quiet) as advance:
        for name in methods:
            scores = []
            pictures = None if plot is None else picture_paths(photos, plot, name)
            for path in photos:
                try:
                    picture = None if pictures is None else pictures.of(path)
                    scores.append(score(name, path, picture))
                except FrameError as error:
                    failed += 1
                    logging.getLogger("regengine").error("Error: %s", error)
                advance()
            said.append(summary(name, scores))
            typer.echo(json.dumps(said[-1]) if table is None else table[1](said[-1]))
    if table is not None and at_end is not None:
        for line in at_end(said):
            typer.echo(line)
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)
