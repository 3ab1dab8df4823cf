"""Files that were findings, cut down to what the finding needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.fuzz_cases import Case, case_of
from benchmarks.fuzz_pool import read_all
from benchmarks.fuzz_table import Row
from benchmarks.fuzz_worker import Outcome

MOST_TRIALS = 120


def same_fault(first: Outcome | Row, second: Outcome | Row) -> bool:
    """Whether two findings are of a kind: what went wrong, and the beginning of how."""

    def mark(text: str) -> str:
        return re.sub(r"/\S+|\d+", "", text)[:40]

    return first.what == second.what and mark(first.text) == mark(second.text)


def reduced(data: bytes, still: Callable[[bytes], bool]) -> bytes:
    """The data without the parts that a finding does not need.

    Parts are left out, the largest first (Zeller and Hildebrandt 2002, "Simplifying and isolating
    failure-inducing input", without the finest steps).

    Parameters
    ----------
    data : bytes
    still : callable
        Whether data show the finding.
    """
    trials, size = 0, len(data) // 2
    while size >= 8 and trials < MOST_TRIALS:
        at = 0
        while at < len(data) and trials < MOST_TRIALS:
            shorter = data[:at] + data[at + size :]
            trials += 1
            if still(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def keep_reduced(findings: Sequence[Row], seed: int, folder: Path, *, limit_s: float) -> None:
    """Write the damaged files of findings into a folder, named by way, seed and number."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in findings:
        if row.source != "damaged":
            continue
        case = case_of(seed, row.number)

        def still(data: bytes, case: Case = case, row: Row = row) -> bool:
            job = ((0, row.way, replace(case, data=data)),)
            outcome = next(read_all(job, workers=1, limit_s=limit_s))[1]
            return same_fault(outcome, row)

        data = reduced(case.data, still) if row.what != "hang" else case.data
        (folder / f"{row.way}-{seed}-{row.number}-{case.name}").write_bytes(data)
