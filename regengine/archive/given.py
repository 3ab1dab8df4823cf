"""Photos as they are named to a command: by archive id, or by tables that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regengine.archive.cells import composed_id
from regengine.archive.read import read_tables
from regengine.errors import ConfigError
from regengine.frame_id import archive_frame_id


def frames_given(arguments: Sequence[str]) -> list[str]:
    """Archive ids that arguments stand for, each once, in their order.

    Parameters
    ----------
    arguments : sequence of str
        Ids in any spelling, and files as `regengine frames read` takes them.

    Returns
    -------
    list of str

    Raises
    ------
    ConfigError
        If an argument is neither.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            found.update(dict.fromkeys(row.frame_id for row in read_tables([path]).rows))
        elif (frame_id := _id(argument)) is not None:
            found[frame_id] = None
        else:
            raise ConfigError(
                f"{argument} is neither a photo's id, such as ISS030-E-184140, nor a table of them."
            )
    return list(found)


def _id(argument: str) -> str | None:
    parts = argument.split("-")
    composed = composed_id(*parts) if len(parts) == 3 else None
    if composed is None and "/" not in argument and "." not in argument:
        composed = archive_frame_id(argument)
    return composed
