"""``regengine show``: a run, or one frame of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from regengine.store.rows import StoredFrame


def main(
    store: Annotated[Path, typer.Argument(help="The store of a run, such as run.h5.")],
    frame: Annotated[
        str | None,
        typer.Argument(help="Frame id, file name, path, or the start of the file's SHA-256."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON records instead of text.")
    ] = False,
) -> None:
    """Show the frames of a run, or everything about one of them.

    A store can be shown while its run is under way.

    \b
    Examples: regengine show run.h5
              regengine show run.h5 ISS030-E-184140
              regengine show run.h5 --json | jq .verdict
    """
    from regengine.frame_table import table_header, table_line
    from regengine.records import record_line
    from regengine.store.reader import read_store

    frames = read_store(store)
    if frame is not None:
        frames = select_frames(frames, frame, store)
    if as_json:
        for stored in frames:
            typer.echo(record_line(stored.result))
    elif frame is None:
        typer.echo(table_header())
        for stored in frames:
            typer.echo(table_line(stored.result))
    else:
        from regengine.frame_sheet import frame_sheet

        typer.echo("\n\n".join(frame_sheet(stored) for stored in frames))


def select_frames(frames: list[StoredFrame], name: str, store: Path) -> list[StoredFrame]:
    """Frames that a name stands for.

    Parameters
    ----------
    frames : list of StoredFrame
        All frames of the store.
    name : str
        Frame id in any spelling, file name, path, or at least six digits of the SHA-256.
    store : Path
        For the message.

    Returns
    -------
    list of StoredFrame
        At least one.

    Raises
    ------
    ConfigError
        If there is none.
    """
    from regengine.errors import ConfigError
    from regengine.frame_id import archive_frame_id

    wanted = {name, archive_frame_id(name) or name}

    def named(stored: StoredFrame) -> bool:
        result = stored.result
        names = {result.frame, result.path, Path(result.path).name}
        hashed = len(name) >= 6 and result.sha256.startswith(name.lower())
        return bool(names & wanted) or hashed

    found = [stored for stored in frames if named(stored)]
    if not found:
        raise ConfigError(
            f"{store} holds no frame {name}: regengine show {store} lists the {len(frames)} it has."
        )
    return found
