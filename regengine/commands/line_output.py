"""Goes through photos for a command, tells each, and ends with the right exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial, wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from regengine.api import MAX_MEMORY_MB
from regengine.commands import options as common
from regengine.io.plain import counted

if TYPE_CHECKING:
    from regengine.result import Answer

# Of files that other programs open as something else than lines of JSON
OTHER_ENDINGS = frozenset(
    {
        *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".parquet", ".gpkg", ".geojson", ".sqlite"),
        *(".db", ".h5", ".hdf5", ".fits", ".fit", ".vot", ".xml", ".html", ".jpg", ".jpeg"),
        *(".png", ".tif"),
    }
)


@dataclass(frozen=True, kw_only=True)
class LineRun:
    """How a command that says a line of each photo goes through them: its options."""

    out: Path | None  # file that the lines go to, beside standard output
    resume: bool
    retry: common.Retry | None
    workers: int
    max_memory_mb: int
    as_json: bool  # records instead of tables for people
    quiet: bool
    log_json: bool
    limit_s: float = 600.0  # a photo that takes longer is given up

    def tell_each(
        self,
        photos: Sequence[Path],
        function: Callable[[Path], Answer],
        command: str,
        settings: Mapping[str, Any],
        *,
        header: str,
        doing: str,
    ) -> None:
        """Print what is said of each photo, as soon as it is final and, with a file, safe."""
        from regengine.batch.console import print_data

        if header and not self.as_json:
            print_data(header)

        def tell(answer: Answer) -> None:
            if text := answer.line if self.as_json else answer.text:
                print_data(text)

        code = self.work_through(photos, function, command, settings, tell=tell, doing=doing)
        if code:
            raise typer.Exit(code)

    def work_through(
        self,
        photos: Sequence[Path],
        function: Callable[[Path], Answer],
        command: str,
        settings: Mapping[str, Any],
        *,
        tell: Callable[[Answer], None],
        doing: str,
    ) -> int:
        """Go through photos; errors and progress go to standard error. Gives the exit code.

        ``settings`` is what lines depend on, beside the photo.
        """
        import logging

        from regengine.batch.console import configure_logging, progress, stop_on_signals
        from regengine.batch.each_photo import AlreadyDone, AnswerOptions, answers
        from regengine.batch.ndjson import line_parameters
        from regengine.result import Answer, Reason

        options = AnswerOptions(
            command=command,
            parameters_sha256="" if self.out is None else line_parameters(command, settings),
            out=self.out,
            resume=self.resume,
            retry_failed=self.retry is common.Retry.FAILED,
            workers=self.workers if len(photos) > 1 else 0,
            limit_s=self.limit_s,
            memory_mb=self.max_memory_mb,
            prepare=partial(configure_logging, quiet=self.quiet, as_json=self.log_json),
        )
        failed = taken = done = 0
        try:
            with (
                stop_on_signals() as stop,
                progress(len(photos), quiet=self.quiet, doing=doing) as advance,
                closing(answers(photos, function, options, stop)) as told,
            ):
                for outcome in told:
                    there = isinstance(outcome, AlreadyDone)
                    bad = isinstance(outcome, Reason) or outcome == AlreadyDone(failed=True)
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
        if self.out is not None:
            again = f"; {failed} failed (--retry failed tries them again)" if failed else ""
            known = f" ({counted(taken, 'was', 'were')} there already)" if taken else ""
            logger.info("%s%s%s; stored in %s", counted(done, "photo"), known, again, self.out)
        if stopped and self.out is None:
            logger.warning(
                "interrupted; with --out FILE.ndjson a run can be taken up where it stopped"
            )
        elif stopped:
            how = "" if self.resume else " without --no-resume"
            logger.warning("interrupted; give the same command%s again to go on", how)
        if stopped:
            return common.EXIT_INTERRUPTED
        return common.EXIT_FRAMES_FAILED if failed else 0


def check_lines_out(out: Path | None) -> None:
    """Refuse a file of lines whose name promises another format (ConfigError)."""
    from regengine.errors import ConfigError

    if out is not None and out.suffix.lower() in OTHER_ENDINGS:
        raise ConfigError(
            f"--out {out}: it would hold a record a line (NDJSON), not what {out.suffix} stands "
            "for: give a name that ends in .ndjson or .jsonl; what is printed without --json goes "
            f"to a file by > {out.name}."
        )


def with_line_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a `LineRun` in the place of its parameter ``run``."""
    given = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in (
            ("out", common.LinesOut, None),
            ("resume", common.LinesResume, True),
            ("retry", common.LinesRetry, None),
            ("workers", common.Workers, 1),
            ("max_memory_mb", common.MaxMemory, MAX_MEMORY_MB),
            ("as_json", common.Json, False),
            ("quiet", common.Quiet, False),
            ("log_json", common.LogJson, False),
        )
    ]

    @wraps(command)
    def with_options(**arguments: Any) -> None:
        from regengine.batch.console import configure_logging

        run = LineRun(**{option.name: arguments.pop(option.name) for option in given})
        check_lines_out(run.out)
        configure_logging(quiet=run.quiet, as_json=run.log_json)
        command(**arguments, run=run)

    own = signature(command, eval_str=True)
    parameters: list[Parameter] = []
    for parameter in own.parameters.values():
        parameters += given if parameter.name == "run" else [parameter]
    with_options.__dict__["__signature__"] = own.replace(parameters=parameters)
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options
