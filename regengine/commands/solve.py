"""``regengine solve``: which stars a photo shows, and so where it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3


def main(
    photos: Annotated[list[str], typer.Argument(help="Photos, folders of them, or patterns.")],
    focal_mm: Annotated[
        float | None,
        typer.Option(min=1.0, max=3000.0, help="Focal length; overrides EXIF, tried first."),
    ] = None,
    pixel_pitch_um: Annotated[
        float | None,
        typer.Option(min=0.1, max=100.0, help="Pixel pitch of the file; overrides EXIF."),
    ] = None,
    fov_deg: Annotated[
        float | None,
        typer.Option(min=1.0, max=140.0, help="Field of view along x, tried first."),
    ] = None,
    lens: Annotated[
        list[Path] | None,
        typer.Option(
            help="Lens profile of regengine lens fit, or a folder of them; each photo takes that "
            "of its camera and lens. May be given several times."
        ),
    ] = None,
    tle: Annotated[
        Path | None,
        typer.Option(help="Element sets of the ISS: from there the Moon is up to a degree aside."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Detection method; without it the benchmark's best.")
    ] = None,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, help="Processor time to search for each photo.")
    ] = 30.0,
    wcs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a FITS WCS header per solved photo."),
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw a picture per solved photo.")
    ] = None,
    matches: Annotated[
        bool, typer.Option("--matches", help="With --json: list every identified star.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON records instead of a line of text.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
    ] = False,
) -> None:
    """Identify the stars of photos: attitude, focal length, distortion, or that it cannot be told.

    Nothing needs to be known of the lens. A photo that is no star field is not solved; that is
    no error.

    \b
    Examples:
      regengine solve stars.jpg
      regengine solve photos/ --json --wcs wcs --overlay overlays > solved.ndjson
    """
    import logging

    from regengine.batch.discover import find_photos
    from regengine.batch.each import each_photo
    from regengine.batch.logs import configure_logging
    from regengine.batch.mishaps import Mishap
    from regengine.batch.progress import progress
    from regengine.commands.register import nothing_found
    from regengine.lens_profile_file import load_profiles
    from regengine.stars.photo import json_line, sky, text_line
    from regengine.stars.solve_job import SolveJob
    from regengine.tle import load_tle_file

    configure_logging(quiet=quiet, as_json=log_json)
    found = find_photos(photos, exclude=[folder for folder in (overlay, wcs) if folder])
    if not any(path.exists() for path in found):
        typer.echo(f"Error: {nothing_found(photos)}", err=True)
        raise typer.Exit(EXIT_NOT_STARTED)
    job = SolveJob.prepared(
        found,
        focal_mm=focal_mm,
        pixel_pitch_um=pixel_pitch_um,
        fov_deg=fov_deg,
        method=method,
        max_seconds=max_seconds,
        wcs=wcs,
        overlay=overlay,
        lenses=load_profiles(lens or ()),
        tles=None if tle is None else load_tle_file(tle),
    )
    sky()
    failed = 0
    with progress(len(found), quiet=quiet, doing="solving") as advance:
        for _, solved in each_photo(found, job):
            if isinstance(solved, Mishap):
                failed += 1
                logging.getLogger("regengine").error("Error: %s", solved.text)
            else:
                print(
                    json_line(solved, matches=matches) if as_json else text_line(solved), flush=True
                )
            advance()
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)
