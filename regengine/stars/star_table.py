"""Tables of star counts: a row for each frame, or for each half magnitude of it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regengine.csv_cells import name_cell, path_cell
from regengine.page.text import shown
from regengine.stars.star_counts import StarCounts

ENDINGS = (".csv", ".ndjson")
Row = dict[str, Any]
_TOLD = ("ra_deg", "dec_deg", "fov_x_deg")


def frame_rows(counts: Sequence[StarCounts]) -> Iterator[Row]:
    """A row for each frame; None for what is missing."""
    for rank, one in enumerate(counts, start=1):
        record, depth = one.record, one.depth
        detections, identified = _number(record, "stars"), len(record["matches"])
        yield {
            "rank": None if depth is None else rank,
            "frame": one.frame,
            "path": _text(record.get("path")),
            "limiting_g": None if depth is None else round(depth.limit_g, 3),
            "limiting_g_sigma": None
            if depth is None or depth.limit_sigma is None
            else round(depth.limit_sigma, 3),
            "limit_reached": None if depth is None else depth.reached,
            "expected": one.expected,
            "found": one.found,
            "completeness": round(one.found / one.expected, 4) if one.expected else None,
            "plateau": None if depth is None else round(depth.plateau, 4),
            "slope_per_mag": None if depth is None else round(depth.slope, 3),
            "faintest_sought_g": round(one.faintest_sought_g, 3) if one.bins else None,
            "detections": detections,
            "identified": identified,
            "unidentified": None if detections is None else int(detections) - identified,
            "rms_px": _number(record, "rms_px"),
            **{name: _number(record, name) for name in _TOLD},
        }


def magnitude_rows(counts: Sequence[StarCounts]) -> Iterator[Row]:
    """A row for each half magnitude of each frame."""
    for one in counts:
        for part in one.bins:
            yield {
                "frame": one.frame,
                "from_g": part.from_g,
                "to_g": part.to_g,
                "expected": part.expected,
                "found": part.found,
                "completeness": round(part.found / part.expected, 4) if part.expected else None,
            }


TABLES: Mapping[str, Callable[[Sequence[StarCounts]], Iterator[Row]]] = {
    "frames": frame_rows,
    "magnitudes": magnitude_rows,
}


def write_rows(rows: Iterator[Row], path: Path) -> None:
    """Write a table into a new file: NDJSON, or CSV where its name ends so."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        if path.suffix.lower() == ".ndjson":
            stream.writelines(json_line(row) + "\n" for row in rows)
            return
        writer = csv.writer(stream, lineterminator="\n")
        for number, row in enumerate(rows):
            if number == 0:
                writer.writerow(row)
            writer.writerow([_cell(name, value) for name, value in row.items()])


def json_line(row: Row) -> str:
    """A row as a line of JSON."""
    return json.dumps(row, allow_nan=False)


def text_lines(rows: Iterator[Row]) -> Iterator[str]:
    """A table for a terminal: columns of a width, without paths; a bar where nothing is known."""
    texts = [{name: _short(value) for name, value in row.items() if name != "path"} for row in rows]
    if not texts:
        return
    widths = {name: max(len(name), *(len(text[name]) for text in texts)) for name in texts[0]}
    for text in ({name: name for name in widths}, *texts):
        cells = (
            text[name].ljust(width) if name == "frame" else text[name].rjust(width)
            for name, width in widths.items()
        )
        yield "  ".join(cells).rstrip()


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else shown(str(value))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return path_cell(shown(value)) if name == "path" else name_cell(shown(value))
    return repr(value)


def _number(record: Row, name: str) -> float | int | None:
    value = record.get(name)
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if known else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
