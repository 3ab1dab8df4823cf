"""Draw overlays of stored results in worker processes; the photos are located again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from regengine.errors import FrameError
from regengine.io.plain import restore_bytes
from regengine.runs.map_photos import TeamOptions, start_executor
from regengine.runs.plan import Task, compute_file_sha256, describe_failure
from regengine.runs.run_inputs import RunFiles, find_settings_files
from regengine.store.file import photo_file
from regengine.store.read import iter_blocks, iter_frames
from regengine.store.reasons import Reason
from regengine.store.result import FrameResult
from regengine.store.rows import StoredFrame, select


@dataclass(frozen=True, kw_only=True)
class Drawing(Task):
    """Inputs of an overlay; its path is that of the photo in the result."""

    result: FrameResult
    photos: tuple[Path, ...]  # possible paths of the photo
    maps: RunFiles


def draw_overlay(
    drawing: Drawing, folder: Path, *, hashed: bool, matches: bool = False
) -> Path | Reason:
    """Draw an overlay; return its path or the failure; options as in `write_overlay`."""
    from regengine.maps.opening import map_of_kind
    from regengine.registration.overlay import write_overlay

    result = drawing.result
    try:
        reference = None
        if result.solved is not None:
            maps = drawing.maps
            reference = map_of_kind(result.reference_kind, maps.lights, maps.streets, maps.day)
        hashes = {compute_file_sha256(path): path for path in drawing.photos}
        photo = hashes.get(result.sha256)
        if photo is None or not result.sha256:
            raise FrameError(
                f"{result.path} is missing or has changed: put it back or beside the store, or "
                "name the folder where it is now with --photos"
            )
        return write_overlay(result, photo, reference, folder, hashed=hashed, matches=matches)
    except Exception as error:  # a photo or map that fails affects only its own overlay
        return describe_failure(drawing.path, error)


def is_drawn(stored: StoredFrame, folder: Path, *, hashed: bool) -> bool:
    """Whether an overlay exists that is not older than the result."""
    from regengine.registration.overlay import overlay_path

    path = overlay_path(stored.result, folder, hashed=hashed)
    try:
        made_s = datetime.fromisoformat(stored.processed_utc).timestamp()
        # 2 s: the store rounds times to seconds, and a result is stored with a short delay
        return path.is_file() and path.stat().st_mtime >= made_s - stored.result.seconds - 2.0
    except (OSError, ValueError):
        return False


def list_stored_drawings(
    store: Path, numbers: Sequence[int], maps: Mapping[str, tuple[Path, ...]], folder: Path | None
) -> Iterator[Drawing]:
    """List inputs of overlays of stored results: photos by stored path, maps of their run.

    ``maps`` replace the maps of their kind, ``lights``, ``streets`` or ``day``. Photos that have
    moved are searched for in ``folder``, too.
    """
    for stored in iter_frames(store, numbers, hypotheses=False):
        photo = photo_file(stored.result.path, store, stored.result.sha256, folder)
        yield Drawing(
            path=Path(restore_bytes(stored.result.path)),
            result=stored.result,
            photos=() if photo is None else (photo,),
            maps=replace(find_settings_files(stored.parameters), **dict[str, Any](maps)),
        )


def has_repeated_names(store: Path) -> bool:
    """Whether photos of a store share a name, so that overlay names need a hash."""
    stems = [
        Path(path.decode()).stem
        for tables in iter_blocks(store, select("frames/path"))
        for path in tables["frames"]["path"].tolist()
    ]
    return len(set(stems)) < len(stems)


def draw_overlays(
    drawings: Iterable[Drawing],
    folder: Path,
    options: TeamOptions,
    stop: Callable[[], bool] = bool,
    *,
    hashed: bool,
    matches: bool = False,
) -> Generator[tuple[FrameResult, Path | Reason]]:
    """Draw overlays into a folder, with options as in `write_overlay`.

    Yields each result with its overlay or failure, in the order of completion.
    """
    draw = partial(draw_overlay, folder=folder, hashed=hashed, matches=matches)
    tasks: Iterator[tuple[Drawing, Path | None]] = ((drawing, None) for drawing in drawings)
    with (
        closing(start_executor(draw, options)) as executor,
        closing(executor.map_photos(tasks, stop)) as turns,
    ):
        for finished in turns:
            for drawing, outcome in finished:
                yield drawing.result, outcome
