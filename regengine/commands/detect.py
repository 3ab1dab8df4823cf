"""``regengine detect``: where the lights, stars and streaks of photos are."""

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

app = typer.Typer(
    help="Find city lights, stars or streaks in photographs.\n\n"
    "Example: regengine detect lights night.jpg --json --overlay overlays",
    no_args_is_help=True,
)

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
    out: Out = None,
    resume: Resume = True,
    retry: RetryOption = None,
    workers: Workers = 1,
    max_memory_mb: MaxMemory = MAX_MEMORY_MB,
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
      regengine detect lights photos/ --out lights.ndjson --workers 4
    """
    _detect(
        "lights",
        photos,
        method,
        max_side_px,
        overlay,
        out=out,
        resume=resume,
        retry=retry,
        workers=workers,
        memory_mb=max_memory_mb,
        as_json=as_json,
        quiet=quiet,
        log_json=log_json,
    )


@app.command(no_args_is_help=True)
def stars(
    photos: Photos,
    method: Method = None,
    max_side_px: MaxSide = 3000,
    whole_frame: WholeFrame = False,
    overlay: Overlay = None,
    out: Out = None,
    resume: Resume = True,
    retry: RetryOption = None,
    workers: Workers = 1,
    max_memory_mb: MaxMemory = MAX_MEMORY_MB,
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
    _detect(
        "stars",
        photos,
        method,
        max_side_px,
        overlay,
        whole_frame=whole_frame,
        out=out,
        resume=resume,
        retry=retry,
        workers=workers,
        memory_mb=max_memory_mb,
        as_json=as_json,
        quiet=quiet,
        log_json=log_json,
    )


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
    out: Out = None,
    resume: Resume = True,
    retry: RetryOption = None,
    workers: Workers = 1,
    max_memory_mb: MaxMemory = MAX_MEMORY_MB,
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
    _detect(
        "streaks",
        photos,
        method,
        max_side_px,
        overlay,
        whole_frame=whole_frame,
        profiles=profiles,
        out=out,
        resume=resume,
        retry=retry,
        workers=workers,
        memory_mb=max_memory_mb,
        as_json=as_json,
        quiet=quiet,
        log_json=log_json,
    )


def _detect(
    kind: str,
    photos: list[str],
    method: str | None,
    max_side_px: int,
    overlay: Path | None,
    *,
    whole_frame: bool = False,
    profiles: bool = False,
    out: Path | None,
    resume: bool,
    retry: Retry | None,
    workers: int,
    memory_mb: int,
    as_json: bool,
    quiet: bool,
    log_json: bool,
) -> None:
    """Go through photos and print what was found in each."""
    from regengine.batch.console import configure_logging
    from regengine.batch.each_photo import AnswerOptions
    from regengine.batch.ndjson import line_parameters
    from regengine.commands.line_output import photos_or_exit, tell_each
    from regengine.sky.detection.detect import HEAD_COLUMNS, DetectAnswers, DetectJob
    from regengine.sky.detection.kinds import SOUGHT
    from regengine.sky.detection.overlay import picture_paths

    sought = SOUGHT[kind]
    detector = sought.detector(method)
    configure_logging(quiet=quiet, as_json=log_json)
    found = photos_or_exit(photos, exclude=[overlay])
    command = f"detect {kind}"
    settings = {"method": detector.name, "max_side_px": max_side_px}
    settings |= {"whole_frame": whole_frame, "profiles": profiles}
    job = DetectJob(
        sought=sought,
        detector=detector,
        max_long_side_px=max_side_px,
        sky_only=not whole_frame,
        pictures=None if overlay is None else picture_paths(found, overlay, kind),
    )
    together = sought.sequences is not None
    tell_each(
        found,
        job if together else DetectAnswers(job, profiles=profiles),
        AnswerOptions(
            command=command,
            parameters_sha256="" if out is None else line_parameters(command, settings),
            out=out,
            resume=resume,
            retry_failed=retry is Retry.FAILED,
            workers=workers,
            memory_mb=memory_mb,
            units=sought.sequences,
            finish=sought.answers_of_sequence if together else None,
        ),
        header=",".join((*HEAD_COLUMNS, *sought.columns)),
        doing=f"detecting {kind}",
        as_json=as_json,
        quiet=quiet,
        log_json=log_json,
    )
