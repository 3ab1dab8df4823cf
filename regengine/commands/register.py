"""``regengine register``: photos in, control points and verdicts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detectors.constants import FOCAL_RANGE_MM, HEIGHT_RANGE_KM, PIXEL_PITCH_RANGE_UM, SEEN_RANGE_KM
from regengine.api import MAX_MEMORY_MB
from regengine.commands import options as common
from regengine.errors import EphemerisError
from regengine.io.plain import counted

if TYPE_CHECKING:
    from regengine.batch.run import BatchSummary
    from regengine.result import FrameResult
    from regengine.store.verify import Problem


def main(
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photos, folders of them, patterns, URLs, names of photos of NASA's archive such "
            "as ISS030-E-188140, or text files that name these a line."
        ),
    ],
    lights: common.LightMaps = None,
    streets: common.StreetMaps = None,
    day: common.DayMaps = None,
    tle: common.ElementSets = None,
    store: Annotated[Path, typer.Option(help="Store for the results; an existing one grows.")] = (
        Path("run.h5")
    ),
    metadata: common.Metadata = None,
    time: common.Time = None,
    nadir: common.Nadir = None,
    centre: Annotated[
        str | None,
        typer.Option(
            metavar="LON,LAT",
            help="A place that the picture shows, such as its city, where that is known and the "
            "nadir is not, or beside a time.",
        ),
    ] = None,
    radius_km: Annotated[
        float | None,
        typer.Option(
            min=SEEN_RANGE_KM[0],
            max=SEEN_RANGE_KM[1],
            help="Some part of the picture lies within it of --centre.  [100]",
        ),
    ] = None,
    altitude_km: Annotated[
        float | None,
        typer.Option(
            min=HEIGHT_RANGE_KM[0],
            max=HEIGHT_RANGE_KM[1],
            help="Height of the camera above the ellipsoid.",
        ),
    ] = None,
    focal_mm: Annotated[
        float | None,
        typer.Option(
            min=FOCAL_RANGE_MM[0],
            max=FOCAL_RANGE_MM[1],
            help="Focal length of the lens; overrides EXIF.",
        ),
    ] = None,
    pixel_pitch_um: Annotated[
        float | None,
        typer.Option(
            min=PIXEL_PITCH_RANGE_UM[0],
            max=PIXEL_PITCH_RANGE_UM[1],
            help="Size of one pixel of the file on the sensor.",
        ),
    ] = None,
    lens: common.Lens = None,
    clock_window: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="How wrong the camera's clock may be at most, seconds. Without it two minutes are "
            "believed, and ten and whole hours tried where that leads nowhere.",
        ),
    ] = None,
    max_seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="CPU-time limit per photo; searches end by their work before.",
        ),
    ] = 240.0,
    effort: Annotated[
        str,
        typer.Option(
            metavar="[quick|normal|thorough]",
            help="Work that a photo is worth: quick finds nine in ten of what normal finds, "
            "thorough a few more in twice the time.",
        ),
    ] = "normal",
    any_category: Annotated[
        bool, typer.Option("--any-category", help="Try photos that do not look like cities, too.")
    ] = False,
    workers: common.Workers = 1,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Take over what the store has of the same photo with the same settings.",
        ),
    ] = True,
    retry: Annotated[
        str | None,
        typer.Option(
            metavar="VERDICTS",
            help="Work stored photos of these verdicts out again: failed,review for instance.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Do only the I-th of N shares of the photos."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run on the Dask cluster of this scheduler: tcp://HOST:PORT."
        ),
    ] = None,
    max_memory_mb: common.MaxMemory = MAX_MEMORY_MB,
    share: Annotated[
        bool,
        typer.Option(
            "--share/--no-share",
            help="Let photos of one camera tell each other how wrong its clock is.",
        ),
    ] = True,
    stars: Annotated[
        bool,
        typer.Option(
            "--stars/--no-stars",
            help="Let stars above the limb tell where the camera looked.",
        ),
    ] = True,
    blind: Annotated[
        str,
        typer.Option(
            metavar="[always|auto|never]",
            help="Find photos by their lights alone, anywhere on Earth: all of them, or with auto "
            "those of which neither time with a TLE nor nadir is known.",
        ),
    ] = "auto",
    index: Annotated[
        Path | None, typer.Option(help="Index of the map, where it is not beside the map.")
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option(
            metavar="WEST,SOUTH,EAST,NORTH", help="For --blind: only towns of this region."
        ),
    ] = None,
    mission: Annotated[
        str | None,
        typer.Option(help="For --blind: mission, such as ISS030."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done with each photo, and stop.")
    ] = False,
    overlay: common.PhotoOverlays = None,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
    log_json: common.LogJson = False,
) -> None:
    """Place night photographs on the map by their city lights.

    Prints a line per photo once its result is safely in the store.

    \b
    Examples: regengine register night.jpg
              regengine register ISS030-E-188140
              regengine register photos/ --tle iss.txt --lights lights.tif \\
                  --store run.h5 --overlay overlays --workers 4
              regengine register night.jpg --nadir 136.9,35.7 --altitude-km 391 --lights lights.tif
              regengine register night.jpg --centre 2.35,48.86 --lights lights.tif
              regengine register --blind night.jpg --lights lights.tif
    """
    given = dict(locals())  # options have the names of `regengine.api.RunOptions`
    from functools import partial

    from regengine import api
    from regengine.batch.console import (
        configure_logging,
        print_data,
        progress,
        say,
        stop_on_signals,
    )
    from regengine.records import record_line
    from regengine.report.frame_text import table_header, table_line
    from regengine.store.writer import StoreWriter

    configure = partial(configure_logging, quiet=quiet, as_json=log_json)
    configure()
    options = {name: given[name] for name in api.RunOptions.__annotations__}
    options |= {
        "time": None if time is None else common.parse_time(time),
        "retry": [part.strip() for part in (retry or "").split(",") if part.strip()],
    }
    run = api.register_run(photos, store, **options)
    if dry_run:
        for line in run.preview(as_json=as_json):
            print_data(line) if as_json else say(line)
        return
    untried: list[str] = []  # why photos could not even be tried

    def report(result: FrameResult) -> None:
        say(record_line(result) if as_json else table_line(result))
        untried.extend(why.text for why in result.reasons if why.code == EphemerisError.code)

    try:
        with (
            stop_on_signals() as stop,
            StoreWriter(run.store) as writer,
            progress(len(run.photos), quiet=quiet) as advance,
        ):
            if not as_json:
                say(table_header())
            summary = run.start(writer, report, stop=stop, advance=advance, prepare=configure)
    except KeyboardInterrupt:
        raise typer.Exit(common.EXIT_INTERRUPTED) from None
    _tell(summary, writer.problems, store, advise=not log_json)
    if summary.interrupted:
        raise typer.Exit(common.EXIT_INTERRUPTED)
    if summary.verdicts["failed"] or writer.problems:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)
    if untried and len(untried) == summary.verdicts.total():
        raise EphemerisError(f"No photo could be tried: {untried[0]}")


def tidied(arguments: list[str]) -> list[str]:
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
    summary: BatchSummary, problems: tuple[Problem, ...], store: Path, *, advise: bool
) -> None:
    """Say on standard error what became of the photos."""
    import logging
    import shlex

    from regengine.batch.console import VERDICTS
    from regengine.io.plain import printable

    stored = summary.verdicts + summary.unsettled
    counts = [f"{stored[verdict]} {verdict}" for verdict in VERDICTS]
    taken = f" ({summary.resumed} taken from the store)" if summary.resumed else ""
    advice = ""
    if summary.interrupted:
        untold = summary.unsettled.total()
        which = (
            f" and be told of {counted(untold, 'photo')} that others may still change"
            if untold
            else ""
        )
        advice = f"; interrupted, give the same command again to go on{which}"
    elif summary.verdicts["failed"]:
        advice = "; --retry failed tries those that failed again"
    log = logging.getLogger("regengine")
    log.info(
        "%s%s: %s; stored in %s%s%s",
        counted(stored.total(), "photo"),
        taken,
        ", ".join(counts),
        store,
        "" if problems else ", checked",
        advice,
    )
    placed = summary.verdicts["accepted"] + summary.verdicts["review"]
    if advise and placed and not summary.interrupted:
        named = printable(shlex.quote(str(store)))
        log.info(
            "Look at them with regengine review %s, list them with regengine show %s, hand them "
            "over with regengine export %s --format qgis --out points",
            named,
            named,
            named,
        )
    for problem in problems:
        log.warning("%s", problem.text)
