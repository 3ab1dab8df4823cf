"""What `regengine register` does with photos once its options are understood."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from regengine import pipeline
from regengine.batch.logs import configure_logging
from regengine.batch.parameters import parameters_of
from regengine.batch.preview import preview
from regengine.batch.progress import VERDICTS, progress
from regengine.batch.run import BatchOptions, BatchSummary, run_batch
from regengine.batch.stored_already import stored_verdicts
from regengine.blind.dates_output import PhotoDates, dated_line
from regengine.blind.options import TIMES_AS_LONG
from regengine.frame_table import table_header, table_line
from regengine.pipeline import RunInputs
from regengine.records import record_line
from regengine.remote.at_hand import photos_at_hand
from regengine.remote.urls import Url
from regengine.result import FrameResult
from regengine.store.writer import StoreWriter


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
    """Register photos into a store, printing each once it is stored.

    Parameters
    ----------
    photos : sequence of Path or Url
        The photos.
    inputs : RunInputs
        What results depend on.
    settings : RunSettings
        What they do not depend on.
    stop : callable
        True when no more photos are to be begun.

    Returns
    -------
    BatchSummary

    Raises
    ------
    StoreError
        If the store cannot be used, or not be written any more.
    """
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
                from regengine.batch.dask_batch import run_on_cluster

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
    """What `run` would do, a line a photo; nothing is done or written.

    Raises
    ------
    StoreError
        If there is a store that cannot be read.
    """
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
