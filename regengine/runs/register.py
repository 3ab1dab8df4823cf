"""A registration run into one store: its settings, its preview, and its execution."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regengine.errors import EphemerisError, FrameError
from regengine.io.checksums import fingerprint
from regengine.io.console import fit_cell
from regengine.io.plain import format_count, make_printable, restore_bytes
from regengine.io.times import iso_utc
from regengine.io.urls import Url
from regengine.maps.at_hand import identify_frame_to_fetch
from regengine.maps.index.earth import index_file, load_earth_index
from regengine.orbit.tle import TleSet
from regengine.photo.frame import read_frame
from regengine.photo.notations import archive_frame_id
from regengine.photo.records import FrameRecords
from regengine.runs.overlays import Drawing, draw_overlays, is_drawn
from regengine.runs.pipeline import find_position, process_photo
from regengine.runs.plan import RunSettings, compare_with_store
from regengine.runs.remote import add_needed_maps, provide_photos
from regengine.runs.run import BatchOptions, BatchSummary, Report, run_batch
from regengine.runs.run_inputs import RunInputs
from regengine.store.read import iter_frames
from regengine.store.reasons import Reason
from regengine.store.records import degrees_text
from regengine.store.result import FrameResult
from regengine.store.writer import StoreWriter


@dataclass(frozen=True, kw_only=True)
class RegisterRun(BatchOptions):
    """Photos, the data for their registration, and the store for the results."""

    photos: Sequence[Path | Url]
    inputs: RunInputs  # common to all photos; results depend on nothing else
    store: Path  # results are added to an existing store
    fetches_maps: bool = False  # those that photos need and that are not at hand, first
    scheduler: str | None = None  # address of a Dask cluster that does the work

    def preview(self, *, as_json: bool) -> Iterator[str]:
        """Yield what `start` would do, one line per photo; decode, fetch and write nothing."""
        stored = self._read_stored(read_photos=True)
        _, tles, records = self.inputs.open()
        for photo in self.photos:
            known = _preview(photo, self.inputs, tles, records, stored.get(photo))
            yield json.dumps(known) if as_json else _preview_text(known)

    def start(self, writer: StoreWriter, report: Report) -> BatchSummary:
        """Register the photos.

        ``report`` is called with each result once it is final and safely in the open store. Raises
        StoreError if the store can no longer be written. Raises WorkerError or ClusterError if the
        workers or the cluster cannot do the work.
        """
        run, undrawn = self, list[Path]()
        if self.fetches_maps:
            # Before any worker starts, and before the settings, which name the maps
            fetched = add_needed_maps(self.photos, self.inputs, self.stop)
            run = replace(self, inputs=fetched, settings=collect_settings(fetched))
        run._read_stored()
        inputs = run.inputs
        if inputs.overlays is not None:
            from regengine.registration.overlay import overlay_path

        def report_and_look(result: FrameResult) -> None:
            report(result)
            if inputs.overlays is not None and result.verdict != "failed":
                hashed = inputs.overlay_names_hashed
                overlay = overlay_path(result, inputs.overlays, hashed=hashed)
                undrawn.extend([] if overlay.is_file() else [overlay])

        with provide_photos(run.photos, writer, run) as (photos, at_hand):
            if run.scheduler is None:
                process = partial(process_photo, inputs=inputs)
                summary = run_batch(photos, process, writer, at_hand, report_and_look)
            else:
                from regengine.runs.cluster import ClusterWorkers, check_workers, connect_client

                # What the workers get can be pickled, and all its paths are absolute
                absolute = inputs.found_anywhere()
                process = partial(process_photo, inputs=absolute)
                with connect_client(run.scheduler) as client:
                    check_workers(client, absolute.open)
                    start = partial(
                        ClusterWorkers,
                        client,
                        scheduler=run.scheduler,
                        limit_s=run.limit_s,
                        check=absolute.open,
                    )
                    there = replace(at_hand, executor=start)
                    summary = run_batch(photos, process, writer, there, report_and_look)
        if inputs.overlays is not None and summary.taken and not summary.interrupted:
            run._draw_taken(summary, inputs.overlays)
        summary.undrawn = sum(not overlay.is_file() for overlay in undrawn)
        summary.unfetched = inputs.unfetched
        return summary

    def _read_stored(self, *, read_photos: bool = False) -> dict[Path | Url, str]:
        """Return the verdicts of stored results that stand; log why others are made again."""
        stands: dict[Path | Url, str] = {}
        again: Counter[str] = Counter()
        if not self.resume:
            return stands
        known = compare_with_store(
            self.photos,
            self.store,
            settings=self.settings,
            retry=self.retry,
            read_photos=read_photos,
        )
        for photo, verdict, reasons in known:
            if reasons:
                again["; ".join(reasons)] += 1
            else:
                stands[photo] = verdict
        if again:
            counts = ", ".join(f"{reason} ({count:,})" for reason, count in again.most_common())
            many = format_count(again.total(), "stored photo", "stored photos")
            logging.getLogger("regengine").info("%s processed again: %s", many, counts)
        return stands

    def _draw_taken(self, summary: BatchSummary, folder: Path) -> None:
        """Draw missing overlays of results that were reused from the store."""
        logger, inputs = logging.getLogger("regengine"), self.inputs
        hashed = inputs.overlay_names_hashed
        given = defaultdict[str, list[Path]](list)
        for photo in self.photos:
            if isinstance(photo, Path):
                given[photo.name].append(photo)

        drawings = (
            Drawing(
                path=path, result=stored.result, photos=tuple(given[path.name]), maps=self.inputs
            )
            for stored in iter_frames(self.store, summary.taken, hypotheses=False)
            for path in (Path(restore_bytes(stored.result.path)),)
            if stored.result.verdict != "failed" and not is_drawn(stored, folder, hashed=hashed)
        )
        drawn = 0
        for result, outcome in draw_overlays(drawings, folder, self, self.stop, hashed=hashed):
            drawn += isinstance(outcome, Path)
            if isinstance(outcome, Reason):
                logger.warning("overlay of %s not drawn: %s", result.path, outcome.text)
        if drawn:
            logger.info("%s drawn of stored results", format_count(drawn, "overlay"))


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
    try:
        frame = read_frame(photo, records=records, options=inputs.frame)
        position = find_position(frame, tles, inputs.blind)
        if isinstance(position, EphemerisError):
            is_sought = inputs.blind.mode != "never"
            if not is_sought or load_earth_index(inputs.blind, inputs.lights) is None:
                raise position
            position = None
    except (FrameError, EphemerisError) as error:
        why = {"reason": error.code, "reason_text": str(error)}
        return facts | {"would_register": False, **why}
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
