"""``regengine verify``: whether a store is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from regengine.batch.console import say
from regengine.commands.options import EXIT_FRAMES_FAILED, StoreFile


def main(
    store: StoreFile,
    salvage: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", help="Write the photos that are whole into a new store; list the others."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as a JSON object.")
    ] = False,
) -> None:
    """Check that a store is sound.

    Looks at the layout, the checksums and the rows of the store, and of parts that are not merged
    yet, which are never written to. Exits with 1 if something is wrong.

    \b
    Examples: regengine verify run.h5
              regengine verify run.h5 --json | jq .problems
              regengine verify run.h5 --salvage whole.h5
    """
    from regengine.errors import StoreError
    from regengine.store.salvage import salvage as save
    from regengine.store.verify import Problem, Verification, verify_store

    saved = None if salvage is None else save(store, salvage)
    try:
        found = verify_store(store)
    except StoreError as error:
        if saved is None:
            raise
        refused = Problem(code=error.code, text=str(error), file=store)
        found = Verification(frames=0, parts=0, problems=(refused,))
    if as_json:
        said: dict[str, Any] = {
            "store": str(store),
            "sound": not found.problems,
            "frames": found.frames,
            "parts": found.parts,
            "problems": [
                {
                    "code": problem.code,
                    "text": problem.text,
                    "file": str(problem.file),
                    "count": problem.count,
                    "frame_index": list(problem.frame_index),
                }
                for problem in found.problems
            ],
        }
        if saved is not None:
            lost = [vars(lost) | {"file": str(lost.file)} for lost in saved.lost]
            said["salvaged"] = {"out": str(salvage), "frames": saved.frames, "lost": lost}
        typer.echo(json.dumps(said))
    elif found.problems:
        for problem in found.problems:
            say(problem.text)
    else:
        parts = f", {found.parts} parts not merged yet" if found.parts else ""
        say(f"{store} is sound: {found.frames:,} frames{parts}.")
    if saved is not None and not as_json:
        for one in saved.lost:
            which = ", ".join(map(str, one.frame_index))
            numbers = f" (frame_index {which})" if which else ""
            say(f"{one.file}: not whole: {one.why}{numbers}")
        say(f"{salvage}: {saved.frames:,} photos are whole.")
    if found.problems:
        raise typer.Exit(EXIT_FRAMES_FAILED)
