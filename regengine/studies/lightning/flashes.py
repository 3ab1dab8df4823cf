"""Read flashes in photos from a detector's output: NDJSON or a table."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import LightningError
from regengine.io.tables import decode_text, read_csv, unquote_name

NAMES = ("lightning", "flashes")  # keys of records with flashes
COLUMNS = ("path", "frame", "sha256", "x", "y", "exposure_s")


@dataclass(frozen=True, kw_only=True)
class PhotoFlash:
    """A flash in a photo, pixels of the image as stored.

    ``photo`` is the path of the photo, or its frame id; ``sha256`` is empty if not given.
    """

    photo: str
    sha256: str
    x: float
    y: float
    exposure_s: float | None = None


def read_flashes(path: Path) -> list[PhotoFlash]:
    """Read detections: NDJSON of ``regengine detect``, or CSV with path (frame), x, y.

    If a photo has several lines, the last is used. LightningError if the file is neither, or
    contains other detections than flashes.
    """
    try:
        text = decode_text(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise LightningError(f"{path} cannot be read ({why}): give a file of flashes.") from error
    rows = _of_lines(path, text) if text.lstrip()[:1] == "{" else _of_table(path, text)
    flashes = []
    for number, row in rows:
        try:
            photo = unquote_name(str(row.get("path") or row.get("frame") or ""))
            x, y = float(row["x"]), float(row["y"])
            exposure = row.get("exposure_s")
            exposure_s = None if exposure in (None, "") else float(exposure)
        except (KeyError, TypeError, ValueError):
            photo, x, y, exposure_s = "", math.nan, math.nan, None
        if not photo or not math.isfinite(x + y):
            raise LightningError(
                f"{path}, line {number}: a flash needs the path of its photo, x and y; give the "
                "output of regengine detect, or a table with the columns path, x, y."
            )
        sha256 = str(row.get("sha256") or "")
        flashes.append(PhotoFlash(photo=photo, sha256=sha256, x=x, y=y, exposure_s=exposure_s))
    return flashes


def _of_lines(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    photos: dict[object, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            found: Any = next((record[name] for name in NAMES if name in record), None)
            if found is None and "failed" in record:
                continue
            photos[record.get("sha256") or record.get("path")] = [
                (number, {**record, **flash}) for flash in found
            ]
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise LightningError(
                f"{path}, line {number}: no flashes of a photo; give a file written by regengine "
                "detect lightning."
            ) from error
    for several in photos.values():
        yield from several


def _column(heading: str) -> str:
    name = heading.strip().lower()
    return name if name in COLUMNS else ""


def _of_table(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        rows = read_csv(text, _column)
        _, header = next(rows, (1, []))
        for number, cells in rows:
            if any(cells):
                yield number, dict(zip(map(_column, header), cells, strict=False))
    except csv.Error as error:
        raise LightningError(
            f"{path} is not a table of flashes ({error}); its columns are path, x, y."
        ) from error
