"""``regengine detect lights``: where the lights of photos are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Find city lights in photographs.\n\n"
    "Example: regengine detect lights night.jpg --json --overlay overlays",
    no_args_is_help=True,
)
EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3


@app.callback()
def detect() -> None:
    """Keep ``lights`` a sub-command although it is the only one."""


@app.command(no_args_is_help=True)
def lights(
    photos: Annotated[list[str], typer.Argument(help="Photos, folders of them, or patterns.")],
    method: Annotated[
        str | None, typer.Option(help="Detection method; without it the benchmark's best.")
    ] = None,
    max_side_px: Annotated[
        int, typer.Option(min=64, help="Average larger photos down to this long side first.")
    ] = 1500,
    overlay: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw a picture per photo into this folder.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON, a line per photo, instead of CSV.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
    ] = False,
) -> None:
    """Find the lights of photos: sub-pixel centre, flux, signal-to-noise ratio and radius.

    Positions are pixels of the picture as stored; flux is in units of full scale times pixels.

    \b
    Examples:
      regengine detect lights night.jpg > lights.csv
      regengine detect lights photos/ --json --overlay overlays
    """
    import csv
    import logging
    import sys

    from regengine.batch.discover import find_photos
    from regengine.batch.logs import configure_logging
    from regengine.batch.progress import progress
    from regengine.commands.register import nothing_found
    from regengine.errors import FrameError
    from regengine.lights_overlay import draw_lights, picture_paths
    from regengine.photo_lights import (
        CSV_COLUMNS,
        csv_rows,
        detect_lights,
        json_line,
        light_detector,
    )

    configure_logging(quiet=quiet, as_json=log_json)
    detector = light_detector(method)
    found = find_photos(photos, exclude=[] if overlay is None else [overlay])
    if not any(path.exists() for path in found):
        typer.echo(f"Error: {nothing_found(photos)}", err=True)
        raise typer.Exit(EXIT_NOT_STARTED)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if not as_json:
        table.writerow(CSV_COLUMNS)
    pictures = {} if overlay is None else picture_paths(found, overlay, "lights")
    failed = 0
    with progress(len(found), quiet=quiet) as advance:
        for path in found:
            try:
                result = detect_lights(path, detector, max_long_side_px=max_side_px)
                if path in pictures:
                    draw_lights(path, result.lights, pictures[path])
            except FrameError as error:
                failed += 1
                logging.getLogger("regengine").error("Error: %s", error)
            else:
                if as_json:
                    typer.echo(json_line(result))
                else:
                    table.writerows(csv_rows(result))
                sys.stdout.flush()
            advance()
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)
