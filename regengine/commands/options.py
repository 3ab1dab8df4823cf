"""Options that several commands have, each declared once, the exit codes, and lines of photos."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import datetime
from functools import partial, wraps
from inspect import Parameter, signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from regengine.commands.lazy import STANDARD_OUTPUT
from regengine.errors import ConfigError
from regengine.io.atomic import UNWRITABLE
from regengine.io.console import (
    configure_logging,
    print_data,
    say,
    show_progress,
    show_steps,
    stop_on_signals,
)
from regengine.io.plain import format_count
from regengine.options import (
    AnyPath,
    DetectOptions,
    LineOptions,
    Options,
    OutputOptions,
    Paths,
    Place,
    RegisterOptions,
    RunOptions,
)
from regengine.options import Time as AnyTime

if TYPE_CHECKING:
    from regengine.maps.make import Listener
    from regengine.runs.run_inputs import RunFiles
    from regengine.store.result import Answer

# What is typed for the wider types that Python takes
TYPED: dict[Any, Any] = {
    Paths | None: list[Path] | None,
    AnyPath: Path,
    AnyPath | None: Path | None,
    AnyTime | None: str | None,
    Place | None: str | None,
    Collection[str]: str | None,
}


def typer_option(options: type[Options], name: str) -> Any:
    """What Typer is shown of an option of a class."""
    info = next(one.metadata for one in fields(options) if one.name == name)
    low, high = (None if math.isinf(bound) else bound for bound in info["bounds"])
    shown = {"help": info["help"], "metavar": info["metavar"]}
    return typer.Option(*info["names"], **shown, min=low, max=high)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of its parameters of option classes in the place of these."""
    parameters: list[Parameter] = []
    classes: dict[str, type[Options]] = {}
    for parameter in signature(command, eval_str=True).parameters.values():
        kind = parameter.annotation
        if not (isinstance(kind, type) and issubclass(kind, Options)):
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
            continue
        classes[parameter.name], types = kind, get_type_hints(kind)
        for one in fields(kind):
            if not one.metadata["help"]:
                continue
            default = one.metadata["typed_default"]
            default = one.default if default is None else default
            typed = TYPED.get(types[one.name], types[one.name])
            parameters.append(
                Parameter(
                    one.name,
                    Parameter.KEYWORD_ONLY,
                    annotation=Annotated[typed, typer_option(kind, one.name)],
                    default=None if default == () else default,
                )
            )

    @wraps(command)
    def called(**arguments: Any) -> None:
        collected = {
            name: kind(
                **{
                    one.name: value
                    for one in fields(kind)
                    if one.name in arguments and (value := arguments.pop(one.name)) is not None
                }
            )
            for name, kind in classes.items()
        }
        command(**arguments, **collected)

    called.__dict__["__signature__"] = signature(command).replace(parameters=parameters)
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called


EXIT_FRAMES_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_STARTED = 3
EXIT_INTERRUPTED = 130

# What is worked on

PHOTOS = (
    "Photos, folders, patterns, archive ids such as ISS030-E-188140, or text files that list "
    "these, one per line."
)
Photos = Annotated[list[str], typer.Argument(help=PHOTOS)]
StoreFile = Annotated[Path, typer.Argument(help="Store of a run, such as run.h5.")]
MovedPhotos = Annotated[
    Path | None,
    typer.Option(
        "--photos",
        metavar="DIR",
        help="Folder where the photos are now, if they have moved.  [where they were, or beside "
        "the store]",
        exists=True,
        file_okay=False,
    ),
]
Verdicts = Annotated[str, typer.Option(help="Verdicts to include, comma-separated, or all.")]
Reviewed = Annotated[bool, typer.Option("--reviewed", help="Only photos accepted in review.")]
Where = Annotated[
    str | None, typer.Option(help="SQL condition on columns of frames: off_nadir_deg < 30")
]

# What is known of it

LightMaps = Annotated[list[Path] | None, typer_option(RegisterOptions, "lights")]
StreetMaps = Annotated[list[Path] | None, typer_option(RegisterOptions, "streets")]
DayMaps = Annotated[list[Path] | None, typer_option(RegisterOptions, "day")]
Bbox = Annotated[
    str | None, typer.Option("--bbox", metavar="WEST,SOUTH,EAST,NORTH", help="Only this region.")
]
ElementSets = Annotated[Path | None, typer_option(RegisterOptions, "tle")]
Metadata = Annotated[Path | None, typer_option(RegisterOptions, "metadata")]
Lens = Annotated[list[Path] | None, typer_option(RegisterOptions, "lens")]

# How it is worked on

WholeFrame = Annotated[bool, typer_option(DetectOptions, "whole_frame")]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Workers = Annotated[int, typer_option(RunOptions, "workers")]
MaxMemory = Annotated[int, typer_option(RunOptions, "max_memory_mb")]


# What comes out

PhotoOverlays = Annotated[Path | None, typer_option(RegisterOptions, "overlay")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Json = Annotated[bool, typer_option(OutputOptions, "as_json")]
Quiet = Annotated[bool, typer_option(OutputOptions, "quiet")]
LogJson = Annotated[bool, typer_option(OutputOptions, "log_json")]


@contextmanager
def text_out(out: Path, ending: str) -> Iterator[Path]:
    """The file to write text to; for ``-`` one whose text then goes to standard output."""
    if out != STANDARD_OUTPUT:
        yield out
        return
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"out{ending}"
        yield file
        with file.open(encoding="utf-8", newline="") as text:
            while lines := text.readlines(1 << 20):  # bytes
                print_data("".join(lines).removesuffix("\n"))


def parse_time(text: str) -> datetime:
    """A time out of an option's text; one without a zone is UTC, and a note says so."""
    from regengine.api import utc_time
    from regengine.io.times import names_zone

    time = utc_time(text)
    if not names_zone(text):
        typer.echo(f"Note: --time {text} has no time zone and is taken as UTC.", err=True)
    return time


def parse_range(option: str, text: str | None) -> tuple[float, float] | None:
    """A lowest and a highest number, ``28,85``, or one that is both."""
    if text is None:
        return None
    try:
        low, *rest = (float(part) for part in text.split(","))
        (high,) = rest or (low,)
    except ValueError:
        low = high = float("nan")
    if not -float("inf") < low <= high < float("inf"):
        raise ConfigError(f"{option} {text!r} is not a valid range: write LOW,HIGH.")
    return low, high


def parse_verdicts(text: str, *, with_rejected: bool = False) -> tuple[str, ...]:
    """Verdicts out of an option's text, which may be ``all``; exports have nothing rejected."""
    from regengine.store.result import STATES, VERDICTS

    known = STATES if with_rejected else VERDICTS
    verdicts = known if text == "all" else tuple(text.split(","))
    if unknown := [one for one in verdicts if one not in known]:
        raise ConfigError(
            f"--verdict {unknown[0]} is unknown: choose from {', '.join(known)}, all."
        )
    return verdicts


def run_files(store: Path, given: Mapping[str, object]) -> RunFiles:
    """Files of the run of a store; say which are not there any more, and were not named anew."""
    from regengine.runs.run_inputs import find_run_files

    made_with = find_run_files(store)
    for option, sentence in made_with.lost:
        if given.get(option, "") is None:
            say(sentence, err=True)
    return made_with


@contextmanager
def listen(*, quiet: bool) -> Iterator[Listener]:
    """Show on standard error how the making of a map goes on; of a quiet one warnings alone."""
    from regengine.maps.make import Listener

    with show_steps(quiet=quiet) as progress:
        yield Listener(
            progress=progress,
            message=lambda text: None if quiet else say(text, err=True),
            warning=lambda text: say(text, err=True),
        )


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
    show: Callable[[Answer], None] | None = None,
    doing: str,
    limit_s: float = 600.0,
) -> int:
    """Go through photos; errors and progress go to standard error. Gives the exit code.

    Each answer is printed, below a ``header`` unless it is JSON, or shown as ``show`` does, as soon
    as it is final and, with a file, safe. ``settings`` is what lines depend on, beside the photo;
    one that takes longer than ``limit_s`` is given up.
    """
    import logging

    from regengine.runs.lines import answer_photos
    from regengine.runs.map_photos import TeamOptions
    from regengine.store.reasons import Reason
    from regengine.store.result import Answer

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

    show = show or print_answer
    failed = taken = done = 0
    unwritable = False
    try:
        with (
            stop_on_signals() as stop,
            show_progress(len(photos), quiet=run.quiet, doing=doing) as advance,
            closing(
                answer_photos(
                    photos,
                    function,
                    options,
                    stop,
                    command=command,
                    settings=settings,
                    out=out,
                    retry=run.retry,
                )
            ) as outcomes,
        ):
            for outcome in outcomes:
                there = isinstance(outcome, str)
                bad = isinstance(outcome, Reason) or outcome == "failed"
                if isinstance(outcome, Reason):
                    unwritable |= outcome.code in UNWRITABLE
                    logging.getLogger("regengine").error("Error: %s", outcome.text)
                elif isinstance(outcome, Answer):
                    show(outcome)
                done += 1
                failed += bad
                taken += there
                advance("failed" if bad else "done", resumed=there)
            stopped = stop() and done < len(photos)
    except KeyboardInterrupt:
        stopped = True
    if out is not None:
        known = f" ({format_count(taken, 'was', 'were')} already there)" if taken else ""
        again = " (retry them with the same command and --retry failed)"
        again = f"; {failed} failed{again}" if failed else ""
        text = f"{format_count(done, 'photo')}{known}{again}; saved to {out}"
        logging.getLogger("regengine").info("%s", text)
    if stopped:
        how = " without --retry all" if run.retry == "all" else ""
        text = f"interrupted; run the same command{how} again to resume"
        if out is None:
            text = "interrupted; with --out FILE.ndjson a run can be resumed"
        logging.getLogger("regengine").warning("%s", text)
        return EXIT_INTERRUPTED
    return EXIT_NOT_STARTED if unwritable else EXIT_FRAMES_FAILED if failed else 0


def begin_lines(run: LineOptions) -> None:
    """Make ready for a run whose options are sound (ConfigError if they are not)."""
    out = None if run.out is None else Path(run.out)
    if out is not None and out.suffix.lower() in OTHER_ENDINGS:
        raise ConfigError(
            f"--out {out}: the file holds one JSON record per line, not what {out.suffix} stands "
            "for: choose a name that ends in .ndjson or .jsonl; to save the printed text, use > "
            f"{out.name}."
        )
    configure_logging(quiet=run.quiet, as_json=run.log_json)
