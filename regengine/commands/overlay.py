"""``regengine overlay``: pictures of stored results over their photos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from regengine.commands import options as common
from regengine.options import MAX_MEMORY_MB


def main(
    store: common.StoreFile,
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            help="Frame ids, file names, paths, or beginnings of a file's SHA-256.  [all]"
        ),
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the pictures.", show_default=False)
    ],
    folder: common.MovedPhotos = None,
    matches: Annotated[
        bool,
        typer.Option("--matches", help="Draw lines from the photo's lights to those of the map."),
    ] = False,
    verdict: common.Verdicts = "accepted,review,no_match",
    where: common.Where = None,
    lights: common.LightMaps = None,
    streets: common.StreetMaps = None,
    day: common.DayMaps = None,
    workers: common.Workers = 0,
    max_memory_mb: common.MaxMemory = MAX_MEMORY_MB,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Draw stored results over their photos, as `register --overlay` does.

    Uses the maps of the run unless others are named. Prints the path of each picture.

    \b
    Examples: regengine overlay run.h5 --out overlays
              regengine overlay run.h5 ISS030-E-184140 --out overlays --matches
              regengine overlay run.h5 --verdict review --where "off_nadir_deg > 50" --out look
    """
    from functools import partial

    from regengine.frames.select import choose
    from regengine.io import console
    from regengine.io.atomic import UNWRITABLE, check_folder
    from regengine.io.plain import format_count
    from regengine.runs.map_photos import TeamOptions
    from regengine.runs.overlays import draw_overlays, has_repeated_names, list_stored_drawings
    from regengine.store.read import find_frames
    from regengine.store.reasons import Reason

    configure = partial(console.configure_logging, quiet=quiet, as_json=False)
    configure()
    check_folder(out)
    verdicts = common.parse_verdicts(verdict, with_rejected=True)
    numbers: Sequence[int] = choose(store, verdicts=verdicts, where=where).numbers
    if photos:
        named = {one.frame_index for name in photos for one in find_frames(store, name)}
        numbers = [number for number in numbers if number in named]
    given = {"lights": lights, "streets": streets, "day": day}
    common.run_files(store, {f"--{kind}": paths for kind, paths in given.items()})
    maps = {kind: tuple(paths) for kind, paths in given.items() if paths}
    total = len(numbers)
    options = TeamOptions(
        workers=workers if total > 1 else 0, memory_mb=max_memory_mb, prepare=configure
    )
    drawn = failed = 0
    unwritable = False
    with (
        console.stop_on_signals() as stop,
        console.show_progress(total, quiet=quiet, doing="drawing") as advance,
    ):
        hashed = has_repeated_names(store)
        drawings = list_stored_drawings(store, numbers, maps, folder)
        for result, outcome in draw_overlays(
            drawings, out, options, stop, hashed=hashed, matches=matches
        ):
            lacks = isinstance(outcome, Reason)
            drawn, failed = drawn + (not lacks), failed + lacks
            if isinstance(outcome, Reason):
                unwritable |= outcome.code in UNWRITABLE
                console.say(f"{outcome.text.rstrip('.')}.", err=True)
            if as_json:
                record: dict[str, object] = {"frame": result.frame, "path": result.path}
                record |= {"overlay": None if lacks else str(outcome)}
                record |= {"failed": vars(outcome) if lacks else None}
                console.print_data(json.dumps(record))
            elif not lacks:
                console.say(str(outcome))
            advance("failed" if lacks else "drawn")
    if not quiet:
        lacking = f"; {failed} failed" if failed else ""
        console.say(f"{out}: {format_count(drawn, 'overlay')}{lacking}", err=True)
    if drawn + failed < total:
        raise typer.Exit(common.EXIT_INTERRUPTED)
    if failed:
        raise typer.Exit(common.EXIT_NOT_STARTED if unwritable else common.EXIT_FRAMES_FAILED)
