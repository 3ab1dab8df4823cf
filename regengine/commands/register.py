"""``regengine register``: photos in, control points and verdicts out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from regengine import pipeline
from regengine.batch.console import VERDICTS, configure_logging, progress
from regengine.batch.parameters import parameters_of
from regengine.batch.plan import stored_verdicts
from regengine.batch.preview import preview
from regengine.batch.run import BatchOptions, BatchSummary, run_batch
from regengine.exchange.remote.photos import photos_at_hand
from regengine.io.urls import Url
from regengine.pipeline import RunInputs
from regengine.records import record_line
from regengine.registration.blind.dates_report import PhotoDates, dated_line
from regengine.registration.blind.options import TIMES_AS_LONG
from regengine.report.frame_text import table_header, table_line
from regengine.result import FrameResult
from regengine.store.writer import StoreWriter

EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3
EXIT_INTERRUPTED = 130


def main(
    photos: Annotated[
        list[str], typer.Argument(help="Photos, folders of them, patterns, URLs, or @LIST.")
    ],
    lights: Annotated[
        list[Path],
        typer.Option(help="Night-light map: a file or a folder; may be given several times."),
    ],
    tle: Annotated[
        Path | None, typer.Option(help="TLE file with element sets around the photos' dates.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Store for the results; an existing one grows.")] = (
        Path("run.h5")
    ),
    metadata: Annotated[
        Path | None, typer.Option(help="Table (CSV) of frame records: time, nadir, lens.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Time of the photo (ISO 8601, UTC); overrides EXIF.")
    ] = None,
    nadir: Annotated[
        str | None,
        typer.Option(metavar="LON,LAT", help="Place below the camera; overrides the TLE."),
    ] = None,
    altitude_km: Annotated[
        float | None, typer.Option(help="Height of the camera above the ellipsoid.")
    ] = None,
    focal_mm: Annotated[
        float | None, typer.Option(help="Focal length of the lens; overrides EXIF.")
    ] = None,
    pixel_pitch_um: Annotated[
        float | None, typer.Option(help="Size of one pixel of the file on the sensor.")
    ] = None,
    lens: Annotated[
        list[Path] | None,
        typer.Option(
            help="Lens profile of regengine lens fit, or a folder of them; each photo takes that "
            "of its camera and lens. May be given several times."
        ),
    ] = None,
    clock_window: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="How wrong the camera's clock may be at most, seconds. Without it two minutes are "
            "believed, and ten and whole hours tried where that leads nowhere.",
        ),
    ] = None,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, help="Processor time that the search of one photo may take.")
    ] = 15.0,
    any_category: Annotated[
        bool, typer.Option("--any-category", help="Try photos that do not look like cities, too.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes; 0 works in this process.")
    ] = 1,
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
    max_memory_mb: Annotated[
        int,
        typer.Option(min=0, help="Memory that a worker may use, MiB; 0 for no limit."),
    ] = 3000,
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
            metavar="[always|auto]",
            help="Find photos by their lights alone, anywhere on Earth: all of them, or with auto "
            "those of which neither time with a TLE nor nadir is known. Needs --index.",
        ),
    ] = "never",
    index: Annotated[
        Path | None, typer.Option(help="Index of the map, of regengine lights index; for --blind.")
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option(
            metavar="WEST,SOUTH,EAST,NORTH", help="For --blind: only towns of this region."
        ),
    ] = None,
    mission: Annotated[
        str | None,
        typer.Option(help="For --blind and --date-from-place: mission, such as ISS030."),
    ] = None,
    date_from_place: Annotated[
        bool, typer.Option("--date-from-place", help="List when the station of --tle was there.")
    ] = False,
    date_range: Annotated[
        str | None,
        typer.Option(metavar="FROM,TO", help="For --date-from-place: dates between which to look."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done with each photo, and stop.")
    ] = False,
    overlay: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw a picture per photo into this folder.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON records instead of a table.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Place night photographs on the map by their city lights.

    Prints a line per photo once its result is safely in the store.

    \b
    Examples: regengine register night.jpg --tle iss.txt --lights lights.tif
              regengine register photos/ --tle iss.txt --lights lights.tif \\
                  --store run.h5 --overlay overlays --workers 4
              regengine register night.jpg --nadir 136.9,35.7 --altitude-km 391 --lights lights.tif
              regengine register --blind night.jpg --lights lights.tif --index earth.idx
    """
    from regengine.batch.console import configure_logging, stop_on_signals
    from regengine.batch.parameters import parse_shard
    from regengine.commands.tle import parse_time
    from regengine.exchange.remote.inputs import any_there, find_given
    from regengine.photo.frame import FrameOptions
    from regengine.photo.lens_profile_file import load_profiles
    from regengine.pipeline import RunInputs
    from regengine.registration.blind.dates_report import photo_dates
    from regengine.registration.blind.options import blind_options
    from regengine.registration.register import RegisterParams

    configure_logging(quiet=quiet, as_json=log_json)
    found = find_given(photos, exclude=[*lights, *([] if overlay is None else [overlay])])
    if not any_there(found):
        typer.echo(f"Error: {nothing_found(photos)}", err=True)
        raise typer.Exit(EXIT_NOT_STARTED)
    inputs = RunInputs(
        lights=tuple(lights),
        tle=tle,
        metadata=metadata,
        frame=FrameOptions(
            time_utc=None if time is None else parse_time(time),
            focal_mm=focal_mm,
            pixel_pitch_um=pixel_pitch_um,
            nadir=None if nadir is None else parse_nadir(nadir),
            altitude_km=altitude_km,
            lenses=load_profiles(lens or ()),
        ),
        register=RegisterParams(
            clock_window_s=clock_window,
            max_seconds=max_seconds,
            any_category=any_category,
            seed=seed,
        ),
        overlays=overlay,
        overlay_names_hashed=len({path.stem for path in found}) < len(found),
        share=share,
        stars=stars,
        blind=blind_options(blind, index, bbox, mission, date_from_place),
    )
    inputs.open()
    settings = RunSettings(
        store=store,
        workers=workers,
        resume=resume,
        retry=parse_verdicts(retry),
        memory_mb=max_memory_mb,
        scheduler=scheduler,
        as_json=as_json,
        quiet=quiet,
        log_json=log_json,
        dates=photo_dates(date_from_place, date_range, mission, tle),
    )
    chosen = found if shard is None else parse_shard(shard).of(found)
    if dry_run:
        for line in preview_lines(chosen, inputs, settings):
            typer.echo(line)
        return
    try:
        with stop_on_signals() as stop:
            summary = run(chosen, inputs, settings, stop)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if summary.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if summary.verdicts["failed"]:
        raise typer.Exit(EXIT_FRAMES_FAILED)


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


def parse_verdicts(text: str | None) -> frozenset[str]:
    """Verdicts out of an option's text, separated by commas."""
    from regengine.batch.console import VERDICTS
    from regengine.errors import ConfigError

    named = frozenset(part.strip() for part in (text or "").split(",") if part.strip())
    if wrong := sorted(named - set(VERDICTS)):
        raise ConfigError(
            f"--retry {', '.join(wrong)} is no verdict: write some of {', '.join(VERDICTS)}, "
            "separated by commas."
        )
    return named


def parse_nadir(text: str) -> tuple[float, float]:
    """Longitude and latitude out of an option's text."""
    from regengine.errors import ConfigError

    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--nadir {text!r} is no place: write longitude, comma, latitude, like 136.9,35.7."
        ) from None
    return lon, lat


def nothing_found(photos: list[str]) -> str:
    """The sentence for arguments that stand for no photo."""
    names = ", ".join(photos[:3]) + (" and others" if len(photos) > 3 else "")
    return (
        f"{names}: no photo there; name image files, a folder that holds some, or a pattern "
        "in quotes."
    )


# What `regengine register` does with photos once its options are understood.


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run is done and told; nothing of it changes a result.

    Attributes
    ----------
    store : Path
        Where the results go.
    workers : int
        Worker processes; 0 to work in this process.
    resume : bool
        Take over what the store has.
    retry : frozenset of str
        Verdicts that are not taken over.
    memory_mb : int
        Memory that a worker may use, MiB; 0 for no limit.
    scheduler : str or None
        Address of a Dask cluster that does the work; None for this machine.
    as_json, quiet, log_json : bool
        Records instead of a table; no progress and messages; messages as JSON.
    dates : PhotoDates or None
        Tells when photos may have been taken that were placed without their time.
    """

    store: Path
    workers: int
    resume: bool
    retry: frozenset[str]
    memory_mb: int
    scheduler: str | None
    as_json: bool
    quiet: bool
    log_json: bool
    dates: PhotoDates | None = None


def run(
    photos: Sequence[Path | Url], inputs: RunInputs, settings: RunSettings, stop: Callable[[], bool]
) -> BatchSummary:
    """Register photos into a store, printing each once it is stored."""
    parameters, parameters_sha256 = parameters_of(inputs)
    # A time that was given for all photos tells nothing of their clocks
    share = inputs.share and inputs.tle is not None and inputs.frame.time_utc is None
    with (
        StoreWriter(settings.store) as writer,
        progress(len(photos), quiet=settings.quiet) as advance,
    ):
        options = BatchOptions(
            parameters=parameters,
            parameters_sha256=parameters_sha256,
            resume=settings.resume,
            retry=settings.retry,
            workers=settings.workers,
            limit_s=60.0 + 10.0 * search_seconds(inputs),
            memory_mb=settings.memory_mb,
            prepare=partial(configure_logging, quiet=settings.quiet, as_json=settings.log_json),
            facts_of=partial(pipeline.facts_of_photo, inputs=inputs) if share else None,
            stop=stop,
            advance=advance,
        )
        if not settings.as_json:
            print(table_header(), flush=True)
        line: Callable[[FrameResult], str] = record_line if settings.as_json else table_line
        if settings.dates is not None:
            line = dated_line(settings.dates, line, settings.as_json)

        def report(result: FrameResult) -> None:
            print(line(result), flush=True)

        with photos_at_hand(photos, writer, options) as (at_hand, told):
            if settings.scheduler is None:
                process = partial(pipeline.process_photo, inputs=inputs)
                summary = run_batch(at_hand, process, writer, told, report)
            else:
                from regengine.batch.dask_client import run_on_cluster

                inputs = inputs.found_anywhere()
                process = partial(pipeline.process_photo, inputs=inputs)
                summary = run_on_cluster(
                    at_hand,
                    process,
                    writer,
                    told,
                    report,
                    scheduler=settings.scheduler,
                    check=inputs.open,
                )
    _tell(summary, settings)
    return summary


def search_seconds(inputs: RunInputs) -> float:
    """Longest processor time that the search of one photo may take."""
    longer = 1.0 if inputs.blind is None else TIMES_AS_LONG
    return longer * inputs.register.max_seconds


def preview_lines(
    photos: Sequence[Path | Url], inputs: RunInputs, settings: RunSettings
) -> Iterator[str]:
    """What `run` would do, a line a photo; nothing is done or written."""
    stored = {}
    if settings.resume:
        stored = stored_verdicts(
            photos,
            settings.store,
            parameters_sha256=parameters_of(inputs)[1],
            retry=settings.retry,
        )
    return preview(photos, inputs, stored=stored, as_json=settings.as_json)


def _tell(summary: BatchSummary, settings: RunSettings) -> None:
    """Say on standard error what became of the photos."""
    counts = [f"{summary.verdicts[verdict]} {verdict}" for verdict in VERDICTS]
    taken = f" ({summary.resumed} taken from the store)" if summary.resumed else ""
    advice = ""
    if summary.interrupted:
        advice = "; interrupted, give the same command again to go on"
    elif summary.verdicts["failed"]:
        advice = "; --retry failed tries those that failed again"
    logging.getLogger("regengine").info(
        "%d photos%s: %s; stored in %s%s",
        summary.verdicts.total(),
        taken,
        ", ".join(counts),
        settings.store,
        advice,
    )
