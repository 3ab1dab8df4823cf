"""Goes through photos for a command, tells each, and ends with the right exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from regengine.batch.each_photo import Answer, AnswerOptions

EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3
EXIT_INTERRUPTED = 130


def photos_or_exit(named: Sequence[str], *, exclude: Sequence[Path | None] = ()) -> list[Path]:
    """Photos that are named; a sentence and exit code 3 where none is there."""
    from regengine.batch.discover import find_photos
    from regengine.commands.register import nothing_found

    found = find_photos(named, exclude=[path for path in exclude if path is not None])
    if not any(path.exists() for path in found):
        typer.echo(f"Error: {nothing_found(list(named))}", err=True)
        raise typer.Exit(EXIT_NOT_STARTED)
    return found


def tell_each(
    photos: Sequence[Path],
    function: Callable[[Path], Any],
    options: AnswerOptions,
    *,
    header: str,
    doing: str,
    as_json: bool,
    quiet: bool,
    log_json: bool,
) -> None:
    """Print what is said of each photo, as soon as it is final and, with a file, safe."""
    if header and not as_json:
        print(header, flush=True)

    def tell(answer: Answer) -> None:
        print(answer.line if as_json else answer.text, flush=True)

    code = work_through(
        photos, function, options, tell=tell, doing=doing, quiet=quiet, log_json=log_json
    )
    if code:
        raise typer.Exit(code)


def work_through(
    photos: Sequence[Path],
    function: Callable[[Path], Any],
    options: AnswerOptions,
    *,
    tell: Callable[[Answer], None],
    doing: str,
    quiet: bool,
    log_json: bool,
) -> int:
    """Go through photos; errors and progress go to standard error."""
    import logging

    from regengine.batch.console import configure_logging, progress, stop_on_signals
    from regengine.batch.each_photo import Answer, Taken, answers
    from regengine.batch.plan import Mishap

    logger = logging.getLogger("regengine")
    options = replace(
        options,
        workers=options.workers if len(photos) > 1 else 0,
        prepare=partial(configure_logging, quiet=quiet, as_json=log_json),
    )
    failed = taken = done = 0
    try:
        with (
            stop_on_signals() as stop,
            progress(len(photos), quiet=quiet, doing=doing) as advance,
            closing(answers(photos, function, options, stop)) as told,
        ):
            for _, outcome in told:
                if isinstance(outcome, Mishap):
                    logger.error("Error: %s", outcome.text)
                elif isinstance(outcome, Answer):
                    tell(outcome)
                done += 1
                bad = isinstance(outcome, Mishap) or (isinstance(outcome, Taken) and outcome.failed)
                failed += bad
                taken += isinstance(outcome, Taken)
                advance("failed" if bad else "done", resumed=isinstance(outcome, Taken))
            stopped = stop() and done < len(photos)
    except KeyboardInterrupt:
        stopped = True
    _tell_end(options, done, taken, failed, stopped=stopped)
    if stopped:
        return EXIT_INTERRUPTED
    return EXIT_FRAMES_FAILED if failed else 0


def _tell_end(options: AnswerOptions, done: int, taken: int, failed: int, *, stopped: bool) -> None:
    """Say on standard error what became of the photos, and how to go on."""
    import logging

    logger = logging.getLogger("regengine")
    if options.out is not None:
        again = f"; {failed} failed (--retry failed tries them again)" if failed else ""
        there = f" ({taken} were there already)" if taken else ""
        logger.info("%d photos%s%s; stored in %s", done, there, again, options.out)
    if stopped and options.out is None:
        logger.warning("interrupted; with --out FILE.ndjson a run can be taken up where it stopped")
    elif stopped:
        how = "" if options.resume else " without --no-resume"
        logger.warning("interrupted; give the same command%s again to go on", how)


# Options of the commands that say a line of each photo.


class Retry(StrEnum):
    """What of the file is done again."""

    FAILED = "failed"


Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.ndjson",
        help="Write the records to this file, too; the same command goes on where one stopped.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="With --out: take up what the file has of the same photo with the same settings.",
    ),
]
RetryOption = Annotated[
    Retry | None, typer.Option(help="With --out: do photos again that failed before.")
]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes; 0 works in this process.")]
MaxMemory = Annotated[
    int,
    typer.Option(min=0, help="Memory that a worker may take, MB (0: no limit); more fails."),
]
MAX_MEMORY_MB = 3000  # streaks of 17 megapixels take 1.6 GB, stars and solving 0.9
