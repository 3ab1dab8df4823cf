"""The frames of a package: from the catalogue's rows back to the stores that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regengine.errors import StoreError
from regengine.export.frame import ExportFrame, engine_frame
from regengine.export.names import photo_name, photo_names
from regengine.export.reviewed_frame import with_review
from regengine.report.photos import photo_file
from regengine.review.reviewed import reviewed
from regengine.store.reader import OF_FRAMES, frames_of
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import PartGoneError, Snapshot

PHOTOS = "photos"


@dataclass(frozen=True, kw_only=True)
class PackedFrame:
    """A frame of a package.

    Attributes
    ----------
    frame : ExportFrame
        As exports have it: what a person accepted counts. Its path is that in the package.
    row : dict
        Of the catalogue.
    name : str
        Of its photo in the package.
    photo : Path
        Where the photo lies.
    """

    frame: ExportFrame
    row: dict[str, Any]
    name: str
    photo: Path


def packed_frames(rows: Sequence[dict[str, Any]]) -> tuple[list[PackedFrame], dict[str, str]]:
    """Frames of a catalogue's rows, in their order.

    Parameters
    ----------
    rows : sequence of dict
        Of `regengine.packages.choice.chosen_rows`.

    Returns
    -------
    frames : list of PackedFrame
    failed : dict of str to str
        Photos that cannot be had, by their names in the package, and why.
    """
    names = photo_names(
        {number: photo_name(row["path"], number) for number, row in enumerate(rows)},
        {number: row["sha256"] for number, row in enumerate(rows)},
    )
    frames: list[PackedFrame] = []
    failed: dict[str, str] = {}
    reviews: dict[str, Any] = {}
    for number, row in enumerate(rows):
        store = Path(row["store"])
        try:
            if row["store"] not in reviews:
                reviews[row["store"]] = reviewed(store)
            stored = stored_frame(store, row["frame_index"], row["sha256"])
        except StoreError as error:
            failed[names[number]] = str(error)
            continue
        review = reviews[row["store"]].get(row["frame_index"])
        if review is not None and review.decision == "rejected":
            failed[names[number]] = "a person rejected it since the catalogue was built"
            continue
        photo = photo_file(stored.result.path, store)
        if photo is None:
            failed[names[number]] = f"{stored.result.path} is not there"
            continue
        packed = replace(stored, result=replace(stored.result, path=f"{PHOTOS}/{names[number]}"))
        frame = with_review(engine_frame(packed, store), review)
        frames.append(PackedFrame(frame=frame, row=row, name=names[number], photo=photo))
    return frames, failed


def stored_frame(store: Path, frame_index: int, sha256: str) -> StoredFrame:
    """One frame of a store, without reading the others.

    Raises
    ------
    StoreError
        If the store cannot be read, or has another frame by now.
    """
    while True:
        try:
            with Snapshot.of(store) as snapshot:
                found = frames_of(snapshot.tables(frame_index, frame_index + 1, OF_FRAMES), store)
            break
        except PartGoneError:
            continue
    if len(found) != 1 or found[0].result.sha256 != sha256:
        raise StoreError(
            f"{store} does not hold the frame any more that the catalogue has of it: build the "
            "catalogue again."
        )
    return found[0]
