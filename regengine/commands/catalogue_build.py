"""``regengine catalogue build``: a catalogue out of stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def build(
    stores: Annotated[list[Path], typer.Argument(help="Stores of runs, such as run.h5.")],
    out: Annotated[Path, typer.Option(help="File to write, a .parquet.", show_default=False)],
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Look at the photos that are there: sharpness and clouds.",
        ),
    ] = True,
    lights: Annotated[
        list[Path] | None,
        typer.Option(help="Night-light maps, to tell clouds by the lights that they hide."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was built as a JSON object.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
) -> None:
    """Build a catalogue: a row for each photo of all stores, by place and time.

    \b
    Examples: regengine catalogue build run1.h5 run2.h5 --out archive.parquet
              regengine catalogue build run.h5 --out archive.parquet --lights earth.tif
              regengine catalogue build run.h5 --out archive.parquet --no-pictures
    """
    from regengine.batch.progress import progress
    from regengine.catalogue.build import build as build_catalogue
    from regengine.catalogue.build import check_out, count_frames
    from regengine.catalogue.pictures import NOTHING_SEEN, PictureFacts, look
    from regengine.errors import ConfigError
    from regengine.export.frame import ExportFrame
    from regengine.lights import open_light_map
    from regengine.records import printable

    check_out(out, force)
    if lights and not pictures:
        raise ConfigError("--lights is compared with the photos: leave out --no-pictures.")
    light_map = open_light_map(lights) if lights else None
    total = count_frames(stores)

    def seen(frame: ExportFrame) -> PictureFacts:
        return look(frame, light_map) if pictures else NOTHING_SEEN

    with progress(total, quiet=quiet, doing="cataloguing") as advance:
        built = build_catalogue(stores, out, look=seen, advance=advance)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **vars(built)}))
    if not quiet:
        copies = f", {built.copies:,} more of the same photos" if built.copies else ""
        typer.echo(
            printable(
                f"{out}: {built.frames:,} photos{copies}, {built.places:,} places, "
                f"{built.nights:,} nights"
            ),
            err=True,
        )
