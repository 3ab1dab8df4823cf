"""A registration run into one store: its settings, its preview, and its execution."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regengine.errors import (
    ConfigError,
    EphemerisError,
    FrameError,
    check_known,
)
from regengine.io.checksums import fingerprint
from regengine.io.console import VERDICTS, Advance, fit_cell
from regengine.io.plain import format_count, make_printable, restore_bytes
from regengine.io.times import iso_utc
from regengine.io.urls import Url, hide_secrets
from regengine.maps.at_hand import identify_frame_to_fetch
from regengine.maps.index.earth import index_file, load_earth_index
from regengine.orbit.position import choose_position
from regengine.orbit.tle import TleSet
from regengine.photo.frame import read_frame
from regengine.photo.frame_ids import archive_frame_id
from regengine.photo.records import FrameRecords
from regengine.registration.priors import NeighbourPrior
from regengine.runs.overlays import Drawing, draw_overlays, is_drawn
from regengine.runs.plan import RunSettings, compare_with_store
from regengine.runs.remote import add_needed_maps, provide_photos
from regengine.runs.run import BatchOptions, BatchSummary, Report, run_batch
from regengine.runs.run_inputs import RunInputs
from regengine.store.read import iter_frames
from regengine.store.reasons import Reason
from regengine.store.records import degrees_text
from regengine.store.result import FrameResult
from regengine.store.writer import StoreWriter

SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")  # of a Dask scheduler's address


@dataclass(frozen=True, kw_only=True)
class RegisterRun:
    """Photos, the data for their registration, and the store for the results."""

    photos: Sequence[Path | Url]
    inputs: RunInputs  # common to all photos; results depend on nothing else
    store: Path  # results are added to an existing store
    fetches_maps: bool = False  # those that photos need and that are not at hand, first
    workers: int = 1  # worker processes; 0 works in this process
    resume: bool = True  # reuse stored results of the same photo with the same settings
    retry: Collection[str] = ()  # verdicts that are not reused
    memory_mb: int = 3000  # memory limit per worker, MiB; 0 for no limit
    scheduler: str | None = None  # address of a Dask cluster that does the work

    def __post_init__(self) -> None:
        check_known("--retry", self.retry, VERDICTS)
        address = self.scheduler
        if address is not None and not address.startswith(SCHEMES):
            raise ConfigError(
                f"--scheduler {hide_secrets(address)!r} is not a valid address: write it like "
                "tcp://node1:8786, as dask scheduler prints it."
            )

    def preview(self, *, as_json: bool) -> Iterator[str]:
        """Yield what `start` would do, one line per photo; decode, fetch and write nothing."""
        stored = self._read_stored(collect_settings(self.inputs), read_photos=True)
        _, tles, records = self.inputs.open()
        for photo in self.photos:
            known = _preview(photo, self.inputs, tles, records, stored.get(photo))
            yield json.dumps(known) if as_json else _preview_text(known)

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

        ``report`` is called with each result once it is final and safely in the open store.
        ``stop``, ``advance`` and ``prepare`` are those of `regengine.runs.run.BatchOptions`.
        Raises StoreError if the store can no longer be written. Raises WorkerError or ClusterError
        if the workers or the cluster cannot do the work.
        """
        inputs = self.inputs
        if self.fetches_maps:
            # Before any worker starts, and before the settings, which name the maps
            inputs = add_needed_maps(self.photos, inputs, stop)
        settings = collect_settings(inputs)
        self._read_stored(settings)
        # A time that the user gave for all photos does not determine their clock errors
        neighbours = inputs.neighbours and inputs.tle and inputs.frame.time_utc is None
        options = BatchOptions(
            settings=settings,
            resume=self.resume,
            retry=frozenset(self.retry),
            workers=self.workers if len(self.photos) > 1 else 0,
            limit_s=60.0 + 5.0 * inputs.register.max_seconds,
            memory_mb=self.memory_mb,
            prepare=prepare,
            neighbours=bool(neighbours),
            stop=stop,
            advance=advance,
        )
        undrawn: list[Path] = []
        if inputs.overlays is not None:
            from regengine.registration.overlay import overlay_path

        def report_and_look(result: FrameResult) -> None:
            report(result)
            if inputs.overlays is not None and result.verdict != "failed":
                hashed = inputs.overlay_names_hashed
                overlay = overlay_path(result, inputs.overlays, hashed=hashed)
                undrawn.extend([] if overlay.is_file() else [overlay])

        with provide_photos(self.photos, writer, options) as (photos, at_hand):
            if self.scheduler is None:
                process = partial(process_photo, inputs=inputs)
                summary = run_batch(photos, process, writer, at_hand, report_and_look)
            else:
                from regengine.runs.cluster import ClusterWorkers, check_workers, connect_client

                # What the workers get can be pickled, and all its paths are absolute
                absolute = inputs.found_anywhere()
                process = partial(process_photo, inputs=absolute)
                with connect_client(self.scheduler) as client:
                    check_workers(client, absolute.open)
                    start = partial(
                        ClusterWorkers,
                        client,
                        scheduler=self.scheduler,
                        limit_s=at_hand.limit_s,
                        check=absolute.open,
                    )
                    there = replace(at_hand, executor=start)
                    summary = run_batch(photos, process, writer, there, report_and_look)
        if inputs.overlays is not None and summary.taken and not summary.interrupted:
            self._draw_taken(summary, options, inputs)
        summary.undrawn = sum(not overlay.is_file() for overlay in undrawn)
        summary.unfetched = inputs.unfetched
        return summary

    def _read_stored(
        self, settings: RunSettings, *, read_photos: bool = False
    ) -> dict[Path | Url, str]:
        """Return the verdicts of stored results that stand; log why others are made again."""
        stands: dict[Path | Url, str] = {}
        again: Counter[str] = Counter()
        if not self.resume:
            return stands
        known = compare_with_store(
            self.photos, self.store, settings=settings, retry=self.retry, read_photos=read_photos
        )
        for photo, verdict, reasons in known:
            if reasons:
                again["; ".join(reasons)] += 1
            else:
                stands[photo] = verdict
        if again:
            told = ", ".join(f"{reason} ({count:,})" for reason, count in again.most_common())
            many = format_count(again.total(), "stored photo", "stored photos")
            logging.getLogger("regengine").info("%s processed again: %s", many, told)
        return stands

    def _draw_taken(self, summary: BatchSummary, options: BatchOptions, inputs: RunInputs) -> None:
        """Draw missing overlays of results that were reused from the store."""
        logger = logging.getLogger("regengine")
        assert inputs.overlays is not None
        folder, hashed = inputs.overlays, inputs.overlay_names_hashed
        given = defaultdict[str, list[Path]](list)
        for photo in self.photos:
            if isinstance(photo, Path):
                given[photo.name].append(photo)

        drawings = (
            Drawing(path=path, result=stored.result, photos=tuple(given[path.name]), maps=inputs)
            for stored in iter_frames(self.store, summary.taken, hypotheses=False)
            for path in (Path(restore_bytes(stored.result.path)),)
            if stored.result.verdict != "failed" and not is_drawn(stored, folder, hashed=hashed)
        )
        drawn = 0
        pictures = draw_overlays(drawings, folder, options, options.stop, hashed=hashed)
        for result, outcome in pictures:
            drawn += isinstance(outcome, Path)
            if isinstance(outcome, Reason):
                logger.warning("overlay of %s not drawn: %s", result.path, outcome.text)
        if drawn:
            logger.info("%s drawn of stored results", format_count(drawn, "overlay"))


def process_photo(
    path: Path, inputs: RunInputs, hints: NeighbourPrior | None = None
) -> FrameResult:
    """Register one photo; see `regengine.runs.pipeline.process_photo`."""
    # Imported where photos are processed: in a worker, if there are any
    from regengine.runs.pipeline import process_photo as process

    return process(path, inputs, hints)


def collect_settings(inputs: RunInputs) -> RunSettings:
    """Collect all settings that the results of a run depend on, except the photo.

    The parameters are a JSON object with sorted keys, in which files appear by name, fingerprint
    and absolute path. The hash is the SHA-256, hexadecimal, of the same object without the paths,
    so that moving files does not change it.
    """
    files = {name: getattr(inputs, name) for name in ("lights", "streets", "day", "tle")}
    files["metadata"] = () if inputs.metadata is None else (inputs.metadata,)
    register = asdict(inputs.register)
    del register["clock"]  # how elapsed time is measured does not change results
    described = {
        kind: [{"name": path.name, "fingerprint": fingerprint(path)} for path in paths]
        for kind, paths in files.items()
    }
    settings: dict[str, object] = {
        "engine_version": version("regengine"),
        **described,
        "frame": asdict(inputs.frame),
        "register": register,
        "neighbours": inputs.neighbours,
        "stars": inputs.stars,
    }
    index = index_file(inputs.blind, inputs.lights)
    settings["blind"] = {
        **asdict(inputs.blind),
        "index": None if index is None else fingerprint(index),
    }
    text = json.dumps(settings, sort_keys=True, default=str)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    # With their paths, by which `regengine.runs.run_inputs.find_run_files` finds them again
    for kind, paths in files.items():
        known = zip(described[kind], paths, strict=True)
        settings[kind] = [one | {"path": str(path.absolute())} for one, path in known]
    return RunSettings(parameters=json.dumps(settings, sort_keys=True, default=str), sha256=sha256)


def _preview(
    photo: Path | Url,
    inputs: RunInputs,
    tles: TleSet | None,
    records: FrameRecords | None,
    stored: str | None,
) -> dict[str, Any]:
    """Describe a photo and the start of its search, or its verdict if it is stored."""
    facts: dict[str, Any] = {
        "frame": make_printable(archive_frame_id(photo.stem) or photo.stem),
        "path": make_printable(str(photo)),
        "stored": stored,
    }
    if isinstance(photo, Url) or identify_frame_to_fetch(photo) is not None:
        return facts | {"would_fetch": stored is None}
    blind, position = inputs.blind, None  # of a blind search
    try:
        frame = read_frame(photo, records=records, options=inputs.frame)
        if blind.mode != "always":
            position = choose_position(frame, tles)
    except (FrameError, EphemerisError) as error:
        is_sought = isinstance(error, EphemerisError) and blind.mode != "never"
        if not is_sought or load_earth_index(blind, inputs.lights) is None:
            return facts | {
                "would_register": False,
                "reason": error.code,
                "reason_text": str(error),
            }
    nadir: dict[str, Any] | None = None
    if position is not None:
        nadir = {"lon": position.lon, "lat": position.lat, "altitude_km": position.altitude_km}
        nadir |= {"source": position.source, "tle_age_h": position.tle_age_h}
    return facts | {
        "time_utc": None if frame.time_utc is None else iso_utc(frame.time_utc),
        "camera_body": frame.camera_body,
        "focal_mm": frame.focal_mm,
        "pixel_pitch_um": frame.pixel_pitch_um,
        "sources": frame.sources,
        "nadir": nadir,
        "place": None if frame.place is None else make_printable(frame.place),
        "would_register": stored is None,
    }


def _preview_text(facts: dict[str, Any]) -> str:
    frame = fit_cell(facts["frame"], 24, keep_end=True)
    if facts["stored"] is not None:
        return f"{frame}  done: {facts['stored']}"
    if "would_fetch" in facts:
        return f"{frame}  to be downloaded first"
    if not facts["would_register"]:
        return f"{frame}  {facts['reason']}: {facts['reason_text']}"
    nadir, place = facts["nadir"], "position unknown: whole Earth searched"
    if facts["place"] is not None:
        place = f"position unknown: {facts['place']}, then whole Earth searched"
    if nadir is not None:
        place = f"nadir {degrees_text(nadir['lon'], nadir['lat'])} from {nadir['source']}"
    lens = "focal length unknown" if facts["focal_mm"] is None else f"{facts['focal_mm']:g} mm"
    return f"{frame}  {facts['time_utc'] or 'time unknown'}  {place}  {lens}"
