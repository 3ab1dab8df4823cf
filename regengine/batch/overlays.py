"""Overlays of results that a store has: each photo found again, drawn by a worker."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from regengine.batch.at_hand import RunFiles, find_settings_files
from regengine.batch.map_photos import map_photos
from regengine.batch.plan import compute_file_sha256, describe_failure
from regengine.batch.worker_processes import TeamOptions, start_executor
from regengine.errors import FrameError
from regengine.result import FrameResult, Reason
from regengine.store.file import photo_file
from regengine.store.read import iter_blocks, iter_frames_numbered
from regengine.store.rows import StoredFrame
from regengine.store.schema import select

CLOCK_S = 2.0  # the store keeps whole seconds, and a result waits a moment for its place in it


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What an overlay is made of; pickles."""

    result: FrameResult
    photos: tuple[Path, ...]  # where the photo may lie
    maps: RunFiles

    @property
    def path(self) -> Path:
        """The photo, as the result names it."""
        return Path(self.result.path)


def draw_overlay(drawing: Drawing, folder: Path, *, hashed: bool) -> Path | Reason:
    """The overlay that was written, or why it could not be; ``hashed`` as of `overlay_path`."""
    from regengine.references.run_maps import map_of_kind
    from regengine.registration.overlay import write_overlay

    result = drawing.result
    try:
        reference = None
        if result.solved is not None:
            reference = map_of_kind(result.reference_kind, drawing.maps)
        photo = find_photo(result, drawing.photos)
        return write_overlay(result, photo, reference, folder, hashed=hashed)
    except Exception as error:  # one photo or map that fails costs its own picture
        return describe_failure(Path(result.path), error)


def is_drawn(stored: StoredFrame, folder: Path, *, hashed: bool) -> bool:
    """Whether there is an overlay that was drawn when the result was made, or later."""
    from regengine.registration.overlay import overlay_path

    path = overlay_path(stored.result, folder, hashed=hashed)
    try:
        made_s = datetime.fromisoformat(stored.processed_utc).timestamp()
        return path.stat().st_mtime >= made_s - stored.result.seconds - CLOCK_S
    except (OSError, ValueError):
        return False


def find_photo(result: FrameResult, photos: Iterable[Path]) -> Path:
    """The photo of a result among files; FrameError if it is none of them."""
    for path in photos:
        if result.sha256 and compute_file_sha256(path) == result.sha256:
            return path
    raise FrameError(f"{result.path} is missing or has changed: its overlay cannot be drawn")


def list_stored_drawings(
    store: Path, numbers: Sequence[int], maps: Mapping[str, tuple[Path, ...]] = MappingProxyType({})
) -> Iterator[Drawing]:
    """What overlays of stored results are made of: photos where the store says, maps of their run.

    ``maps`` are those of a kind, ``lights``, ``streets`` or ``day``, that take the place of these.
    """
    for stored in iter_frames_numbered(store, np.array(numbers, dtype=np.int64)):
        photo = photo_file(stored.result.path, store)
        yield Drawing(
            result=stored.result,
            photos=() if photo is None else (photo,),
            maps=replace(find_settings_files(stored.parameters), **dict[str, Any](maps)),
        )


def has_repeated_names(store: Path) -> bool:
    """Whether photos of a store have one name, so that overlays need more to be told apart."""
    seen: set[str] = set()
    for tables in iter_blocks(store, select("frames/path")):
        for path in tables["frames"]["path"].tolist():
            stem = Path(path.decode()).stem
            if stem in seen:
                return True
            seen.add(stem)
    return False


def draw_overlays(
    drawings: Iterable[Drawing],
    folder: Path,
    options: TeamOptions,
    stop: Callable[[], bool] = bool,
    *,
    hashed: bool,
) -> Generator[tuple[FrameResult, Path | Reason]]:
    """Draw overlays into a folder, ``hashed`` as of `overlay_path`.

    Of each result comes the picture, or why there is none, as they are finished.
    """
    draw = partial(draw_overlay, folder=folder, hashed=hashed)
    tasks = ((drawing, None) for drawing in drawings)
    with (
        closing(start_executor(draw, options)) as executor,
        closing(map_photos(tasks, executor, stop)) as turns,
    ):
        for finished in turns:
            for drawing, outcome in finished:
                yield drawing.result, outcome
