"""From files of many kinds to one row a photo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from regengine.archive.camera_text import interpret_text, looks_like_camera_text
from regengine.archive.cells import clean_text, id_in, mission_in
from regengine.archive.exif_row import interpret_dump, looks_like_exif
from regengine.archive.interpret import interpret
from regengine.archive.row import FrameRow, merged
from regengine.archive.table_file import read_any_text, read_cells, refused


@dataclass(frozen=True, kw_only=True)
class FrameTable:
    """One row a photo.

    Attributes
    ----------
    rows : tuple of FrameRow
        In the order in which the photos came first.
    read : int
        Rows that were read.
    nameless : int
        Of these, rows that name no photo.
    """

    rows: tuple[FrameRow, ...]
    read: int
    nameless: int

    @property
    def doubtful(self) -> int:
        """How many photos have a value that was left out or that tables disagree on."""
        return sum(bool(row.problems) for row in self.rows)


def gathered(rows: Iterable[FrameRow | None]) -> FrameTable:
    """Rows of the same photo put together, see `regengine.archive.row.merged`.

    Parameters
    ----------
    rows : iterable of FrameRow or None
        None for a row that names no photo.

    Returns
    -------
    FrameTable
    """
    by_id: dict[str, FrameRow] = {}
    read = nameless = 0
    for row in rows:
        read += 1
        if row is None:
            nameless += 1
            continue
        known = by_id.get(row.frame_id)
        by_id[row.frame_id] = row if known is None else merged(known, row)
    return FrameTable(rows=tuple(by_id.values()), read=read, nameless=nameless)


def read_tables(paths: Iterable[Path]) -> FrameTable:
    """Read files that tell of photos, whoever has written them, into one table.

    Parameters
    ----------
    paths : iterable of Path
        Files as `regengine.archive.table_file.read_cells` takes them. What an earlier one tells
        of a photo comes before what a later one tells.

    Returns
    -------
    FrameTable

    Raises
    ------
    ConfigError
        If a file cannot be read, or names no photo at all.
    """
    return gathered(row for path in paths for row in _rows(path))


def _rows(path: Path) -> list[FrameRow | None]:
    name, frame_id = clean_text(path.name), id_in(path.stem)
    if frame_id is not None and path.suffix.lower() == ".txt":
        text = read_any_text(path)
        if looks_like_camera_text(text):
            return [interpret_text(text, frame_id, name)]
    mission = mission_in(path.stem)
    rows: list[FrameRow | None] = []
    for cells in read_cells(path):
        if looks_like_exif(cells.by_heading):
            rows.append(interpret_dump(cells.by_heading, source=name))
        else:
            rows.append(interpret(cells.by_heading, source=name, mission=mission))
    if not any(row is not None for row in rows):
        raise refused(path, "none of its rows names a photo, such as ISS030-E-184140")
    return rows
