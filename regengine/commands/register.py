"""``regengine register``: photos in, control points and verdicts out."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.commands import options as common
from regengine.commands.options import with_options
from regengine.errors import EphemerisError, StoreError
from regengine.io.extras import has_extra
from regengine.io.plain import format_command, format_count
from regengine.options import OutputOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from regengine.io.urls import Url
    from regengine.runs.register import RegisterRun
    from regengine.runs.run import BatchSummary
    from regengine.store.result import FrameResult
    from regengine.store.verify import Problem


@with_options
def main(
    *,
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photos, folders, patterns, URLs, archive ids such as ISS030-E-188140, or text "
            "files that list these, one per line."
        ),
    ],
    options: RunOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done with each photo, and stop.")
    ] = False,
    output: OutputOptions,
) -> None:
    """Place photographs on the map: by city lights, streets, or ground.

    Prints a line per photo once its result is saved in the store.

    \b
    Examples: regengine register night.jpg
              regengine register ISS030-E-188140
              regengine register photos/ --tle iss.txt --lights lights.tif \\
                  --store run.h5 --overlay overlays --workers 4
              regengine register night.jpg --nadir 136.9,35.7 --altitude-km 391 --lights lights.tif
              regengine register night.jpg --centre 2.35,48.86 --lights lights.tif
              regengine register night.jpg --place "Portland, Oregon"
              regengine register --blind night.jpg --lights lights.tif
    """
    from dataclasses import replace
    from functools import partial

    from regengine import api
    from regengine.io import console
    from regengine.pages.report.frame_text import measure_columns, table_header, table_line
    from regengine.photo.notations import frame_id_of
    from regengine.runs.plan import COSTLY
    from regengine.store.records import record_line
    from regengine.store.writer import StoreWriter

    configure = partial(console.configure_logging, quiet=output.quiet, as_json=output.log_json)
    configure()
    verdicts = [part.strip() for part in str(options.retry or "").split(",") if part.strip()]
    time = None if options.time is None else common.parse_time(str(options.time))
    run = api.register_run(photos, replace(options, time=time, retry=verdicts))
    if dry_run:
        for line in run.preview(as_json=output.as_json):
            console.print_data(line) if output.as_json else console.say(line)
        return
    # What photos show is not known yet: few names are longer
    listed = () if output.as_json else run.photos
    names = (frame_id_of(Path(str(photo))) for photo in listed)
    wide = measure_columns(names, ["Oklahoma City, United States"])
    untried: list[str] = []  # why photos could not even be tried
    given_up: list[str] = []  # codes of failures that are tried again only on request

    def report(result: FrameResult) -> None:
        console.say(
            record_line(result)
            if output.as_json
            else table_line(result, width=console.output_width(), wide=wide)
        )
        untried.extend(why.text for why in result.reasons if why.code == EphemerisError.code)
        given_up.extend(why.code for why in result.reasons if why.code in COSTLY)

    try:
        with (
            console.stop_on_signals() as stop,
            StoreWriter(run.store) as writer,
            console.show_progress(len(run.photos), quiet=output.quiet) as advance,
        ):
            if not output.as_json:
                console.say(table_header(console.output_width(), wide))
            run = replace(run, stop=stop, advance=advance, prepare=configure)
            summary = run.start(writer, report)
    except KeyboardInterrupt:
        raise typer.Exit(common.EXIT_INTERRUPTED) from None
    _tell(summary, writer.problems, run, given_up, advise=not output.log_json)
    if summary.interrupted:
        raise typer.Exit(common.EXIT_INTERRUPTED)
    if summary.undrawn:
        many = format_count(summary.undrawn, "overlay is", "overlays are")
        raise StoreError(
            f"{many} missing in {options.overlay}: the reasons are above; the same command draws "
            "what is missing."
        )
    if summary.verdicts["failed"] or writer.problems or summary.unfetched:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)
    if untried and len(untried) == summary.verdicts.total():
        raise EphemerisError(f"No photo could be processed: {untried[0]}")


def tidy_arguments(arguments: list[str]) -> list[str]:
    """Arguments in which ``--blind`` alone, before a photo or another option, means always."""
    done: list[str] = []
    for number, argument in enumerate(arguments):
        following = arguments[number + 1 : number + 2]
        alone = argument == "--blind" and following not in (["always"], ["auto"], ["never"])
        done.append("--blind=always" if alone else argument)
        if argument == "--":
            return done + arguments[number + 1 :]
    return done


def _tell(
    summary: BatchSummary,
    problems: list[Problem],
    run: RegisterRun,
    given_up: list[str],
    *,
    advise: bool,
) -> None:
    """Say on standard error what became of the photos."""
    import logging

    from regengine.io.console import VERDICTS

    stored = summary.verdicts + summary.unsettled
    counts = [f"{stored[verdict]} {verdict}" for verdict in VERDICTS]
    taken = f" ({len(summary.taken)} from the store)" if summary.taken else ""
    advice = ""
    if summary.interrupted:
        untold = summary.unsettled.total()
        which = (
            f" and to report {format_count(untold, 'photo')} that may still change"
            if untold
            else ""
        )
        advice = f"; interrupted; run the same command again to resume{which}"
    elif summary.verdicts["failed"]:
        advice = "; the same command tries failed photos again"
        if given_up:
            advice += ", with --retry failed those too that a limit ended"
    log = logging.getLogger("regengine")
    log.info(
        "%s%s: %s; saved to %s%s%s",
        format_count(stored.total(), "photo"),
        taken,
        ", ".join(counts),
        run.store,
        "" if problems else " (verified)",
        advice,
    )
    placed = summary.verdicts["accepted"] + summary.verdicts["review"]
    if advise and placed and not summary.interrupted:
        log.info("Next: %s", "; ".join(list_next(run.store, run.photos, summary.verdicts)))
    if summary.unfetched:
        log.warning("photos were searched without maps that they need: %s", summary.unfetched)
    for problem in problems:
        log.warning("%s", problem["text"])


def list_next(
    store: Path, photos: Sequence[Path | Url], verdicts: Mapping[str, int]
) -> Iterator[str]:
    """Commands that can be typed after a run, each with what it does."""
    if has_extra("review"):
        yield f"review them with {format_command('review', store)}"
    else:
        yield f"look at them on a page with {format_command('report', store)}"
    yield f"list them with {format_command('show', store)}"
    if verdicts["accepted"]:
        # The pictures of URLs are not kept
        kept = all(isinstance(photo, Path) for photo in photos)
        form, folder = ("geotiff", "gis") if kept else ("qgis", "points")
        names = chain([folder], (f"{folder}{number}" for number in count(2)))
        free = next(name for name in names if not Path(name).exists())
        export = format_command("export", store, "--format", form, "--out", free)
        yield f"open them in QGIS with {export}"
