"""``regengine solve``: which stars a photo shows, and so where it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detectors.constants import FOCAL_RANGE_MM
from regengine.commands import options as common
from regengine.commands.line_output import LineRun, with_line_options


@with_line_options
def main(
    photos: common.Photos,
    focal_mm: Annotated[
        float | None,
        typer.Option(
            min=FOCAL_RANGE_MM[0],
            max=FOCAL_RANGE_MM[1],
            help="Focal length; overrides EXIF, tried first.",
        ),
    ] = None,
    pixel_pitch_um: Annotated[
        float | None,
        typer.Option(min=0.1, max=100.0, help="Pixel pitch of the file; overrides EXIF."),
    ] = None,
    fov_deg: Annotated[
        float | None,
        typer.Option(min=1.0, max=140.0, help="Field of view along x, tried first."),
    ] = None,
    lens: common.Lens = None,
    method: common.Method = None,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, help="Processor time to search for each photo.")
    ] = 30.0,
    wcs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a FITS WCS header per solved photo."),
    ] = None,
    overlay: common.PhotoOverlays = None,
    matches: Annotated[
        bool, typer.Option("--matches", help="With --json: list every identified star.")
    ] = False,
    *,
    run: LineRun,
) -> None:
    """Identify the stars of photos: attitude, focal length, distortion, or that it cannot be told.

    Nothing needs to be known of the lens. A photo that is no star field is not solved; that is
    no error.

    \b
    Examples:
      regengine solve stars.jpg
      regengine solve photos/ --json --wcs wcs --overlay overlays > solved.ndjson
      regengine solve photos/ --out solved.ndjson --workers 4
    """
    given = dict(locals())  # options have the names of `regengine.api.SolveOptions`
    from dataclasses import replace
    from functools import partial

    from regengine import api
    from regengine.batch.discover import existing_photos

    found = existing_photos(photos, exclude=[overlay, wcs])
    options = {name: given[name] for name in api.SolveOptions.__annotations__}
    job = api.solve_job(found, **options)
    settings = options | {"method": job.detector.name, "matches": matches}
    del settings["wcs"], settings["overlay"]
    run = replace(run, limit_s=60.0 + 10.0 * max_seconds)
    run.tell_each(
        found,
        partial(job.answer, matches=matches),
        "solve",
        settings,
        header="",
        doing="solving",
    )
