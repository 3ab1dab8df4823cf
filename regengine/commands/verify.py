"""``regengine verify``: whether a store is sound."""

from __future__ import annotations

import json

import typer

from regengine.commands.options import EXIT_FRAMES_FAILED, Json, StoreFile
from regengine.io.console import print_data, say
from regengine.io.plain import format_count


def main(store: StoreFile, as_json: Json = False) -> None:
    """Check a store for damage.

    Checks layout, checksums and rows of the store and of its unmerged journal; changes neither.
    Exits with 1 if something is wrong.

    \b
    Examples: regengine verify run.h5
              regengine verify run.h5 --json | jq .problems
    """
    from regengine.store.verify import verify_store

    n_frames, n_unmerged, problems = verify_store(store)
    if as_json:
        facts = {
            "store": str(store),
            "sound": not problems,
            "frames": n_frames,
            "unmerged_frames": n_unmerged,
            "problems": problems,
        }
        print_data(json.dumps(facts))
    elif problems:
        for problem in problems:
            say(problem["text"])
    else:
        unmerged = f", {n_unmerged:,} of them only in its journal" if n_unmerged else ""
        say(f"{store} is sound: {format_count(n_frames, 'frame')}{unmerged}.")
    if problems:
        raise typer.Exit(EXIT_FRAMES_FAILED)
