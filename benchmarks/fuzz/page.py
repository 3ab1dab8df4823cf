"""The page of the fuzzing benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.fuzz.batch import Batch
from benchmarks.fuzz.cases import kind_of
from benchmarks.fuzz.pool import LIMIT_BYTES, WAYS
from benchmarks.fuzz.results import Row
from benchmarks.pages import table, title_lines

FAULTS = ("foreign", "warning", "unclear", "chatter", "memory", "crash", "hang")
HEAD = ("files", "read as", "all", "read", "refused", *FAULTS, "CPU ms, mean", "CPU s, most")
ABOUT = f"""Files that were damaged on purpose, from sound ones made by our own simulator: bytes
flipped, cut, repeated, spliced, lengths blown up, and damage that knows the format (PNG chunks with
right check sums, JPEG segments, TIFF directories that loop, FITS cards, the bookkeeping of HDF5,
sums of element sets, seals of models). Workers may take {LIMIT_BYTES / 1e9:.1f} GB. *Refused* is
one clear sentence of ours; *foreign* an exception that is none of ours; *warning* one that got out;
*unclear* a refusal that is not one clear sentence; *chatter* a library that wrote to standard
error."""


def summary_lines(rows: Sequence[Row], batches: Sequence[Batch]) -> list[str]:
    """Tables of what became of the files, and the findings."""
    cells = []
    for source in ("damaged", "real"):
        for way in WAYS:
            some = [row for row in rows if row.source == source and row.way == way]
            if some:
                cells.append(_cells(source, way, some))
    cells.append(_cells("all", "", list(rows)))
    lines = table(HEAD, cells, right=len(HEAD) - 2)
    lines += ["", f"Processor time: {sum(row.cpu_s for row in rows) / 60:.1f} min.", ""]
    for batch in batches:
        verdicts = ", ".join(f"{n} {name}" for name, n in batch.verdicts.most_common())
        codes = ", ".join(f"{n} {name}" for name, n in batch.codes.most_common())
        lines += [
            f"`regengine register` on {batch.photos} {batch.what}: exit code {batch.exit_code}; "
            f"in the store: {verdicts} ({codes}); {batch.missing} photos without a verdict; "
            f"{len(batch.faults)} faults of the engine.",
            *(f"- {fault}" for fault in batch.faults[:20]),
            "",
        ]
    found = [row for row in rows if row.is_finding]
    lines += [f"Findings: {len(found)}.", ""]
    for r in found:
        lines.append(f"- {r.source} {r.number}, {r.way}, {r.about}: {r.what}: {r.text[:200]}")
    return lines


def page_lines(rows: Sequence[Row], batches: Sequence[Batch], command: str) -> list[str]:
    """The whole page."""
    kinds = Counter(kind_of(row.number) for row in rows if row.source == "damaged")
    made = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    head = title_lines("Damaged files", command, ABOUT)
    return [*head, f"Damaged files by kind: {made}.", "", *summary_lines(rows, batches)]


def _cells(source: str, way: str, rows: Sequence[Row]) -> list[str]:
    counts = Counter(row.what for row in rows)
    mean_ms = 1000.0 * sum(row.cpu_s for row in rows) / max(len(rows), 1)
    return [
        source,
        "photo" if source == "real" and way == "jpeg" else way,
        f"{len(rows):,}",
        *(f"{counts[what]:,}" for what in ("ok", "refused", *FAULTS)),
        f"{mean_ms:.0f}",
        f"{max((row.cpu_s for row in rows), default=0.0):.1f}",
    ]
