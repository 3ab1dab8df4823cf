"""What a person judged, as a hash: whether the engine says something else by now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from regengine.result import FrameResult
from regengine.store.schema import select
from regengine.store.snapshot import PartGoneError, Snapshot

OF_STATE = select(
    "frames/sha256",
    *(f"control_points/{name}" for name in ("x", "y", "lon", "lat")),
)


def proposal_sha256(points: Iterable[Sequence[float]]) -> str:
    """Hash of a proposal's control points.

    Parameters
    ----------
    points : iterable of sequence of float
        x, y, lon, lat of each; none where there is no proposal.

    Returns
    -------
    str
        Hexadecimal.
    """
    text = json.dumps([[float(value) for value in point] for point in points])
    return hashlib.sha256(text.encode()).hexdigest()


def state_of(result: FrameResult) -> tuple[str, str]:
    """Hash of the photo and of the proposal, as decisions keep them."""
    points = [(point.x, point.y, point.lon, point.lat) for point in result.control_points]
    return result.sha256, proposal_sha256(points)


def states(store: Path, wanted: Collection[int]) -> Iterator[tuple[int, str, str]]:
    """Number, hash of the photo and hash of the proposal of some frames of a store.

    Parameters
    ----------
    store : Path
        The store; a run may be writing it.
    wanted : collection of int
        Numbers of the frames; those that the store does not have are left out.

    Yields
    ------
    frame_index : int
    sha256, proposal : str

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    last: int | None = None
    sought = np.array(sorted(wanted), dtype=np.int64)
    while True:
        try:
            with Snapshot.of(store) as snapshot:
                for tables in snapshot.blocks(after=last, groups=OF_STATE, frames=4096):
                    frames, points = tables["frames"], tables["control_points"]
                    values = np.stack([points[name] for name in ("x", "y", "lon", "lat")], axis=-1)
                    numbers = frames["frame_index"]
                    first = np.searchsorted(points["frame_index"], numbers, side="left").tolist()
                    beyond = np.searchsorted(points["frame_index"], numbers, side="right").tolist()
                    hashes = frames["sha256"].tolist()
                    for row in np.flatnonzero(np.isin(numbers, sought)).tolist():
                        proposal = values[first[row] : beyond[row]].tolist()
                        yield int(numbers[row]), hashes[row].decode(), proposal_sha256(proposal)
                    last = int(numbers[-1])
            return
        except PartGoneError:
            continue
