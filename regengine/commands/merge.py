"""``regengine merge``: the stores of many machines as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Json
from regengine.io.console import print_data, say
from regengine.io.plain import format_count


def main(
    stores: Annotated[list[Path], typer.Argument(help="Stores of runs; not changed.")],
    out: Annotated[Path, typer.Option(metavar="OUT", help="Store to write.", show_default=False)],
    grow: Annotated[
        bool, typer.Option("--grow", help="Add to OUT; its frames keep their numbers.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the frames of several stores into one.

    A photo of several stores is kept once: a successful result rather than a failed one, else the
    later one.

    \b
    Examples: regengine merge shard1.h5 shard2.h5 shard3.h5 --out run.h5
              regengine merge tonight.h5 --out archive.h5 --grow
    """
    from regengine.store.writer import merge_stores

    taken, repeated = merge_stores(stores, out, grow=grow)
    frames = sum(taken.values())
    if as_json:
        of = [{"store": str(store), "frames": count} for store, count in taken.items()]
        facts = {"store": str(out), "frames": frames, "repeated": repeated, "taken": of}
        print_data(json.dumps(facts))
        return
    for store, count in taken.items():
        say(f"{format_count(count, 'frame'):>15} from {store}")
    left_out = f", {format_count(repeated, 'duplicate')} left out" if repeated else ""
    say(f"{format_count(frames, 'frame'):>15} in {out}{left_out}")
