"""``regengine solve``: which stars a photo shows, and so where it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands import options as common
from regengine.commands.options import begin_lines, with_options, work_through
from regengine.options import LineOptions, SolveOptions


@with_options
def main(
    *,
    photos: common.Photos,
    options: SolveOptions,
    matches: Annotated[
        bool, typer.Option("--matches", help="With --json: list every identified star.")
    ] = False,
    run: LineOptions,
) -> None:
    """Solve star fields: attitude, focal length and distortion of photos of stars.

    The lens may be unknown. A photo that is not a star field stays unsolved, which is not an error.

    \b
    Examples:
      regengine solve stars.jpg
      regengine solve photos/ --json --wcs wcs --overlay overlays > solved.ndjson
      regengine solve photos/ --out solved.ndjson --workers 4
    """
    begin_lines(run)
    from functools import partial

    from regengine import api
    from regengine.runs.remote import find_existing_photos

    folders = [Path(one) for one in (options.overlay, options.wcs) if one is not None]
    paths = find_existing_photos(photos, exclude=folders)
    job = api.solve_job(paths, options)
    settings = {**vars(options), "method": job.detector.name, "matches": matches}
    del settings["wcs"], settings["overlay"]
    code = work_through(
        run,
        paths,
        partial(job.answer, matches=matches),
        "solve",
        settings,
        doing="solving",
        limit_s=60.0 + 10.0 * options.max_seconds,
    )
    raise typer.Exit(code)
