"""``regengine show``: a run, or one frame of it."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from regengine.batch.console import say
from regengine.commands.options import Json, StoreFile


def main(
    store: StoreFile,
    frame: Annotated[
        str | None,
        typer.Argument(help="Frame id, file name, path, or the start of the file's SHA-256."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the frames of a run, or everything about one of them.

    A store can be shown while its run is under way.

    \b
    Examples: regengine show run.h5
              regengine show run.h5 ISS030-E-184140
              regengine show run.h5 --json | jq .verdict
    """
    from regengine.records import record_line
    from regengine.store.index import find_frames
    from regengine.store.snapshot import iter_frames

    # One after the other: a store may hold a million
    frames = iter_frames(store) if frame is None else iter(find_frames(store, frame))
    if as_json:
        for stored in frames:
            typer.echo(record_line(stored.result))
    elif frame is None:
        from regengine.report.frame_text import table_header, table_line

        first = next(frames, None)  # a store that cannot be read has no table
        say(table_header())
        for stored in chain([] if first is None else [first], frames):
            say(table_line(stored.result))
    else:
        from regengine.report.frame_text import frame_sheet

        say(*"\n\n".join(frame_sheet(stored) for stored in frames).split("\n"))
