"""``regengine detect``: where the lights, stars and streaks of photos are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    help="Find city lights, stars or streaks in photographs.\n\n"
    "Example: regengine detect lights night.jpg --json --overlay overlays",
    no_args_is_help=True,
)
EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3


Photos = Annotated[list[str], typer.Argument(help="Photos, folders of them, or patterns.")]
Method = Annotated[
    str | None, typer.Option(help="Detection method; without it the benchmark's best.")
]
MaxSide = Annotated[
    int, typer.Option(min=64, help="Average larger photos down to this long side first.")
]
WholeFrame = Annotated[
    bool, typer.Option("--whole-frame", help="Search below the Earth's limb, too.")
]
Overlay = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Draw a picture per photo into this folder.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print NDJSON, a line per photo, instead of CSV.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
]


@app.command(no_args_is_help=True)
def lights(
    photos: Photos,
    method: Method = None,
    max_side_px: MaxSide = 1500,
    overlay: Overlay = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Find the lights of photos: sub-pixel centre, flux, signal-to-noise ratio and radius.

    Positions are pixels of the picture as stored; flux is in units of full scale times pixels.

    \b
    Examples:
      regengine detect lights night.jpg > lights.csv
      regengine detect lights photos/ --json --overlay overlays
    """
    from regengine.batch.logs import configure_logging
    from regengine.detection_lines import csv_rows, json_line
    from regengine.detection_overlay import draw_lights
    from regengine.photo_lights import CSV_COLUMNS, detect_lights, light_detector, light_records

    configure_logging(quiet=quiet, as_json=log_json)
    detector = light_detector(method)

    def detected(path: Path, picture: Path | None) -> str | list[list[object]]:
        found = detect_lights(path, detector, max_long_side_px=max_side_px)
        if picture is not None:
            draw_lights(path, found.lights, picture)
        records = light_records(found.lights)
        return (
            json_line(found, lights=records) if as_json else csv_rows(found, records, CSV_COLUMNS)
        )

    _print_each(photos, detected, "lights", CSV_COLUMNS, overlay, as_json=as_json, quiet=quiet)


@app.command(no_args_is_help=True)
def stars(
    photos: Photos,
    method: Method = None,
    max_side_px: MaxSide = 3000,
    whole_frame: WholeFrame = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Find the stars of photos: sub-pixel centre, flux, signal-to-noise ratio and width.

    Positions are pixels of the picture as stored; of trails, their middle. Where the Earth's limb
    is seen, what lies below it is left out. What stays at its pixel in three photos of one camera
    while the stars move is flagged as hot.

    \b
    Examples:
      regengine detect stars sky.jpg > stars.csv
      regengine detect stars photos/ --json --overlay overlays
    """
    from regengine.batch.logs import configure_logging
    from regengine.detection_lines import csv_rows, json_line
    from regengine.detection_overlay import draw_stars
    from regengine.photo_stars import (
        CSV_COLUMNS,
        PhotoStars,
        detect_photo_stars,
        star_detector,
        star_records,
        trail_record,
    )
    from regengine.star_sequences import StarSequences

    configure_logging(quiet=quiet, as_json=log_json)
    detector = star_detector(method)

    def find(path: Path) -> PhotoStars:
        return detect_photo_stars(
            path, detector, max_long_side_px=max_side_px, sky_only=not whole_frame
        )

    sequences = StarSequences(_found_photos(photos, overlay), find)

    def detected(path: Path, picture: Path | None) -> str | list[list[object]]:
        found = sequences.stars_of(path)
        if picture is not None:
            draw_stars(path, found.stars, picture)
        records = star_records(found.stars)
        if as_json:
            return json_line(found, stars=records, trail_px=trail_record(found.stars))
        return csv_rows(found, records, CSV_COLUMNS)

    _print_each(photos, detected, "stars", CSV_COLUMNS, overlay, as_json=as_json, quiet=quiet)


@app.command(no_args_is_help=True)
def streaks(
    photos: Photos,
    method: Method = None,
    max_side_px: MaxSide = 4300,
    whole_frame: WholeFrame = False,
    profiles: Annotated[
        bool, typer.Option("--profiles", help="With --json: the light along each streak.")
    ] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Find the streaks of satellites in photos: end points, signal-to-noise ratio, false alarm.

    Positions are pixels of the picture as stored. Where the Earth's limb is seen, what lies below
    it is left out.

    \b
    Examples:
      regengine detect streaks sky.jpg > streaks.csv
      regengine detect streaks frames/ --json --overlay overlays
    """
    from regengine.batch.logs import configure_logging
    from regengine.detection_lines import csv_rows, json_line
    from regengine.photo_streaks import (
        CSV_COLUMNS,
        detect_photo_streaks,
        streak_detector,
        streak_records,
    )
    from regengine.streak_overlay import draw_streaks

    configure_logging(quiet=quiet, as_json=log_json)
    detector = streak_detector(method)

    def detected(path: Path, picture: Path | None) -> str | list[list[object]]:
        found = detect_photo_streaks(
            path, detector, max_long_side_px=max_side_px, sky_only=not whole_frame
        )
        if picture is not None:
            draw_streaks(path, found.streaks, picture)
        records = streak_records(found.streaks, profiles=profiles and as_json)
        if as_json:
            return json_line(found, streaks=records)
        return csv_rows(found, records, CSV_COLUMNS)

    _print_each(photos, detected, "streaks", CSV_COLUMNS, overlay, as_json=as_json, quiet=quiet)


def _found_photos(photos: list[str], overlay: Path | None) -> list[Path]:
    """Photos that are named; pictures of an earlier run are none."""
    from regengine.batch.discover import find_photos

    return find_photos(photos, exclude=[] if overlay is None else [overlay])


def _print_each(
    photos: list[str],
    detected: Callable[[Path, Path | None], Any],
    what: str,
    columns: tuple[str, ...],
    overlay: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print what was found in each photo; a photo that fails is reported and the others go on."""
    import csv
    import logging
    import sys

    from regengine.batch.progress import progress
    from regengine.commands.register import nothing_found
    from regengine.detection_lines import HEAD_COLUMNS
    from regengine.detection_overlay import picture_paths
    from regengine.errors import FrameError

    found = _found_photos(photos, overlay)
    if not any(path.exists() for path in found):
        typer.echo(f"Error: {nothing_found(photos)}", err=True)
        raise typer.Exit(EXIT_NOT_STARTED)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if not as_json:
        table.writerow([*HEAD_COLUMNS, *columns])
    pictures = {} if overlay is None else picture_paths(found, overlay, what)
    failed = 0
    with progress(len(found), quiet=quiet) as advance:
        for path in found:
            try:
                lines = detected(path, pictures.get(path))
            except FrameError as error:
                failed += 1
                logging.getLogger("regengine").error("Error: %s", error)
            else:
                if as_json:
                    typer.echo(lines)
                else:
                    table.writerows(lines)
                sys.stdout.flush()
            advance()
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)
