"""A run of registrations into one store: what it is given, what it would do, what it does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from regengine import pipeline
from regengine.batch.console import VERDICTS, Advance
from regengine.batch.parameters import parameters_of
from regengine.batch.plan import stored_verdicts
from regengine.batch.preview import preview
from regengine.batch.run import BatchOptions, BatchSummary, Report, run_batch
from regengine.errors import ConfigError
from regengine.exchange.remote.photos import photos_at_hand
from regengine.io.urls import Url
from regengine.pipeline import RunInputs
from regengine.registration.blind.options import TIMES_AS_LONG
from regengine.store.writer import StoreWriter


@dataclass(frozen=True, kw_only=True)
class RegisterRun:
    """Photos, what is known of them, and the store that they go to.

    Attributes
    ----------
    photos : sequence of Path or Url
    inputs : RunInputs
        What all photos share; results depend on nothing else.
    store : Path
        An existing one grows.
    workers : int
        Worker processes; 0 works in this process.
    resume : bool
        Take over what the store has of the same photo with the same settings.
    retry : collection of str
        Verdicts that are not taken over.
    memory_mb : int
        Memory that a worker may use, MiB; 0 for no limit.
    scheduler : str or None
        Address of a Dask cluster that does the work.
    """

    photos: Sequence[Path | Url]
    inputs: RunInputs
    store: Path
    workers: int = 1
    resume: bool = True
    retry: Collection[str] = ()
    memory_mb: int = 3000
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if wrong := sorted(set(self.retry) - set(VERDICTS)):
            raise ConfigError(
                f"--retry {', '.join(wrong)} is no verdict: write some of {', '.join(VERDICTS)}, "
                "separated by commas."
            )

    def preview(self, *, as_json: bool) -> Iterator[str]:
        """What `start` would do, a line a photo; nothing is fetched, done or written."""
        stored = {}
        if self.resume:
            stored = stored_verdicts(
                self.photos,
                self.store,
                parameters_sha256=parameters_of(self.inputs)[1],
                retry=self.retry,
            )
        return preview(self.photos, self.inputs, stored=stored, as_json=as_json)

    def start(
        self,
        writer: StoreWriter,
        report: Report,
        *,
        stop: Callable[[], bool] = bool,
        advance: Advance | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> BatchSummary:
        """Register the photos.

        Parameters
        ----------
        writer : StoreWriter
            The store, open.
        report : callable
            Called with each result, once it is safely in the store and final.
        stop, advance, prepare : callable
            See `regengine.batch.run.BatchOptions`.

        Raises
        ------
        StoreError
            If the store cannot be written any more.
        WorkerError, ClusterError
            If the work cannot be done where it is to be done.
        """
        parameters, parameters_sha256 = parameters_of(self.inputs)
        # A time that was given for all photos tells nothing of their clocks
        share = self.inputs.share and self.inputs.tle and self.inputs.frame.time_utc is None
        options = BatchOptions(
            parameters=parameters,
            parameters_sha256=parameters_sha256,
            resume=self.resume,
            retry=frozenset(self.retry),
            workers=self.workers,
            limit_s=60.0 + 10.0 * _search_seconds(self.inputs),
            memory_mb=self.memory_mb,
            prepare=prepare,
            facts_of=partial(pipeline.facts_of_photo, inputs=self.inputs) if share else None,
            stop=stop,
            advance=advance,
        )
        with photos_at_hand(self.photos, writer, options) as (photos, at_hand):
            if self.scheduler is None:
                process = partial(pipeline.process_photo, inputs=self.inputs)
                return run_batch(photos, process, writer, at_hand, report)
            from regengine.batch.dask_client import run_on_cluster

            inputs = self.inputs.found_anywhere()
            process = partial(pipeline.process_photo, inputs=inputs)
            return run_on_cluster(
                photos,
                process,
                writer,
                at_hand,
                report,
                scheduler=self.scheduler,
                check=inputs.open,
            )


def _search_seconds(inputs: RunInputs) -> float:
    """Longest processor time that the search of one photo may take."""
    longer = 1.0 if inputs.blind is None else TIMES_AS_LONG
    return longer * inputs.register.max_seconds
