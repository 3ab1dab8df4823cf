"""The facts of `regengine.evaluate.labelled_streaks` as lines of text."""

from __future__ import annotations

from typing import Any

STREAK_HEADER = (
    f"{'method':14s} {'photos':>6s} {'labels':>7s} {'recall':>7s} {'false/photo':>11s} "
    f"{'pieces':>7s} {'end px':>7s} {'90 %':>7s} {'s/photo':>8s}"
)
_METHOD = 14


def streak_line(facts: dict[str, Any]) -> str:
    """One method's facts as a line under `STREAK_HEADER`."""

    def cell(key: str, form: str, width: int) -> str:
        return f"{'-' if facts[key] is None else format(facts[key], form):>{width}s}"

    return (
        f"{facts['method']:{_METHOD}s} {facts['photos']:6d} {facts['labels']:7d} "
        f"{cell('recall', '.3f', 7)} {cell('false_per_photo', '.3f', 11)} "
        f"{cell('pieces_per_photo', '.3f', 7)} {cell('end_error_px', '.2f', 7)} "
        f"{cell('end_error_p90_px', '.2f', 7)} {cell('seconds_per_photo', '.3f', 8)}"
    )


def recall_lines(methods: list[dict[str, Any]]) -> list[str]:
    """Recall of all methods by brightness and length; no line where neither is known."""
    names = [facts["method"] for facts in methods]
    table: dict[tuple[str, str], dict[str, str]] = {}
    for facts in methods:
        for cell in facts["recall_by"]:
            place = (_range(cell["peak_snr"]), _range(cell["length_px"]))
            row = table.setdefault(place, {"labels": str(cell["labels"])})
            row[facts["method"]] = f"{cell['recall']:.2f}"
    if not table:
        return []
    widths = [max(6, len(name)) for name in names]
    head = [f"{name:>{width}s}" for name, width in zip(names, widths, strict=True)]
    lines = ["", f"{'peak SNR':>9s} {'length px':>10s} {'labels':>7s} " + " ".join(head)]
    for (snr, length), row in table.items():
        cells = [f"{row.get(n, '-'):>{width}s}" for n, width in zip(names, widths, strict=True)]
        lines.append(f"{snr:>9s} {length:>10s} {row['labels']:>7s} " + " ".join(cells))
    return lines


def _range(ends: list[float | None]) -> str:
    low, high = ends
    return f"over {low:g}" if high is None else f"{low:g}-{high:g}"
