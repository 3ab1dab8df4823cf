"""``regengine solve``: which stars a photo shows, and so where it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.line_output import (
    MAX_MEMORY_MB,
    MaxMemory,
    Out,
    Resume,
    Retry,
    RetryOption,
    Workers,
)


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
    out: Out = None,
    resume: Resume = True,
    retry: RetryOption = None,
    workers: Workers = 1,
    max_memory_mb: MaxMemory = MAX_MEMORY_MB,
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
      regengine solve photos/ --out solved.ndjson --workers 4
    """
    from regengine.batch.console import configure_logging
    from regengine.batch.each_photo import AnswerOptions
    from regengine.batch.ndjson import line_parameters
    from regengine.commands.line_output import photos_or_exit, tell_each
    from regengine.orbit.tle import load_tle_file
    from regengine.photo.lens_profile_file import load_profiles
    from regengine.sky.stars.photo import SolveAnswers, SolveJob, sky

    configure_logging(quiet=quiet, as_json=log_json)
    found = photos_or_exit(photos, exclude=[overlay, wcs])
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
    settings = {
        "focal_mm": focal_mm,
        "pixel_pitch_um": pixel_pitch_um,
        "fov_deg": fov_deg,
        "lens": lens,
        "tle": tle,
        "method": job.detector.name,
        "max_seconds": max_seconds,
        "matches": matches,
    }
    tell_each(
        found,
        SolveAnswers(job, matches=matches),
        AnswerOptions(
            command="solve",
            parameters_sha256="" if out is None else line_parameters("solve", settings),
            out=out,
            resume=resume,
            retry_failed=retry is Retry.FAILED,
            workers=workers,
            limit_s=60.0 + 10.0 * max_seconds,
            memory_mb=max_memory_mb,
        ),
        header="",
        doing="solving",
        as_json=as_json,
        quiet=quiet,
        log_json=log_json,
    )
