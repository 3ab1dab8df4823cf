"""``regengine verify``: whether a store is sound."""

from __future__ import annotations

import json

import typer

from regengine.batch.console import print_data, say
from regengine.commands.options import EXIT_FRAMES_FAILED, Json, StoreFile
from regengine.io.plain import format_count


def main(
    store: StoreFile,
    as_json: Json = False,
) -> None:
    """Check a store for damage.

    Checks layout, checksums and rows of the store and of its unmerged journal; changes neither.
    Exits with 1 if something is wrong.

    \b
    Examples: regengine verify run.h5
              regengine verify run.h5 --json | jq .problems
    """
    from regengine.store.verify import verify_store

    found = verify_store(store)
    if as_json:
        said = {
            "store": str(store),
            "sound": not found.problems,
            "frames": found.frames,
            "unmerged_frames": found.unmerged_frames,
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
        print_data(json.dumps(said))
    elif found.problems:
        for problem in found.problems:
            say(problem.text)
    else:
        unmerged = f", {found.unmerged_frames:,} of them only in its journal"
        unmerged = unmerged if found.unmerged_frames else ""
        say(f"{store} is sound: {format_count(found.frames, 'frame')}{unmerged}.")
    if found.problems:
        raise typer.Exit(EXIT_FRAMES_FAILED)
