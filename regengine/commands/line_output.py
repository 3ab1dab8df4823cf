"""Goes through photos for a command, tells each, and ends with the right exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.commands import options as common
from regengine.io.console import configure_logging, print_data, show_progress, stop_on_signals
from regengine.io.plain import format_count
from regengine.options import LineOptions

if TYPE_CHECKING:
    from regengine.store.result import Answer

# Of files that other programs open as something else than lines of JSON
OTHER_ENDINGS = frozenset(
    {
        *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".parquet", ".gpkg", ".geojson", ".sqlite"),
        *(".db", ".h5", ".hdf5", ".fits", ".fit", ".vot", ".xml", ".html", ".jpg", ".jpeg"),
        *(".png", ".tif"),
    }
)


def work_through(
    run: LineOptions,
    photos: Sequence[Path],
    function: Callable[[Path], Answer],
    command: str,
    settings: Mapping[str, Any],
    *,
    header: str = "",
    tell: Callable[[Answer], None] | None = None,
    doing: str,
    limit_s: float = 600.0,
) -> int:
    """Go through photos; errors and progress go to standard error. Gives the exit code.

    What is said of each photo is printed, below a ``header`` unless it is JSON, or told as
    ``tell`` does, as soon as it is final and, with a file, safe. ``settings`` is what lines depend
    on, beside the photo; one that takes longer than ``limit_s`` is given up.
    """
    import logging

    from regengine.runs.lines import LineFile, answer_photos, hash_line_parameters
    from regengine.runs.map_photos import TeamOptions
    from regengine.store.result import Answer, Reason

    out = None if run.out is None else Path(run.out)
    options = TeamOptions(
        workers=run.workers if len(photos) > 1 else 0,
        limit_s=limit_s,
        memory_mb=run.max_memory_mb,
        prepare=partial(configure_logging, quiet=run.quiet, as_json=run.log_json),
    )
    if header and not run.as_json:
        print_data(header)

    def print_answer(answer: Answer) -> None:
        if text := answer.line if run.as_json else answer.text:
            print_data(text)

    tell = tell or print_answer
    failed = taken = done = 0
    try:
        with (
            stop_on_signals() as stop,
            show_progress(len(photos), quiet=run.quiet, doing=doing) as advance,
            ExitStack() as opened,
        ):
            file = None
            if out is not None:
                parameters = hash_line_parameters(command, settings)
                file = LineFile(out, command=command, parameters_sha256=parameters)
                opened.enter_context(closing(file))
            told = answer_photos(photos, function, options, stop, file=file, retry=run.retry)
            for outcome in opened.enter_context(closing(told)):
                there = isinstance(outcome, str)
                bad = isinstance(outcome, Reason) or outcome == "failed"
                if isinstance(outcome, Reason):
                    logging.getLogger("regengine").error("Error: %s", outcome.text)
                elif isinstance(outcome, Answer):
                    tell(outcome)
                done += 1
                failed += bad
                taken += there
                advance("failed" if bad else "done", resumed=there)
            stopped = stop() and done < len(photos)
    except KeyboardInterrupt:
        stopped = True
    logger = logging.getLogger("regengine")
    if out is not None:
        again = (
            f"; {failed} failed (retry them with the same command and --retry failed)"
            if failed
            else ""
        )
        known = f" ({format_count(taken, 'was', 'were')} already there)" if taken else ""
        logger.info("%s%s%s; saved to %s", format_count(done, "photo"), known, again, out)
    if stopped and out is None:
        logger.warning("interrupted; with --out FILE.ndjson a run can be resumed")
    elif stopped:
        how = " without --retry all" if run.retry == "all" else ""
        logger.warning("interrupted; run the same command%s again to resume", how)
    if stopped:
        return common.EXIT_INTERRUPTED
    return common.EXIT_FRAMES_FAILED if failed else 0


def begin_lines(run: LineOptions) -> None:
    """Make ready for a run whose options are sound (ConfigError if they are not)."""
    from regengine.errors import ConfigError

    out = None if run.out is None else Path(run.out)

    if out is not None and out.suffix.lower() in OTHER_ENDINGS:
        raise ConfigError(
            f"--out {out}: the file holds one JSON record per line, not what {out.suffix} stands "
            "for: choose a name that ends in .ndjson or .jsonl; to save the printed text, use > "
            f"{out.name}."
        )
    configure_logging(quiet=run.quiet, as_json=run.log_json)
