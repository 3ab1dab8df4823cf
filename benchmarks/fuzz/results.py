"""What became of damaged files: lines of NDJSON that a later run goes on from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.fuzz.cases import Case, case_of
from benchmarks.fuzz.pool import Outcome, read_all

FINE = ("ok", "refused")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file by one way; the columns are those of `Outcome`, with what the file was."""

    source: str
    number: int
    way: str
    about: str
    what: str
    text: str
    cpu_s: float
    peak_mb: float

    @classmethod
    def of(
        cls, source: str, number: int, way: str, about: str, outcome: Outcome, hide: str = "\0"
    ) -> Row:
        """A row; a folder's name is left out of the text."""
        return cls(
            source=source,
            number=number,
            way=way,
            about=about,
            what=outcome.what,
            text=outcome.text.replace(hide, "FOLDER"),
            cpu_s=round(outcome.cpu_s, 4),
            peak_mb=round(outcome.peak_mb, 1),
        )

    @property
    def is_finding(self) -> bool:
        """Whether something is wrong."""
        return self.what not in FINE


class Table:
    """Rows in memory, and in a file if there is one.

    Parameters
    ----------
    path : Path or None
        The file; rows of the same seed that it holds are taken over.
    seed : int
        Of the damage.
    """

    def __init__(self, path: Path | None, *, seed: int) -> None:
        self._path, self._seed = path, seed
        self.rows: list[Row] = []
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                values = json.loads(line)
                if values.pop("seed") == seed:
                    self.rows.append(Row(**values))
        self._done = {(row.source, row.number, row.way) for row in self.rows}

    def has(self, source: str, number: int, way: str) -> bool:
        """Whether a file is done."""
        return (source, number, way) in self._done

    def add(self, row: Row) -> None:
        """Keep a row."""
        self.rows.append(row)
        self._done.add((row.source, row.number, row.way))
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"seed": self._seed} | asdict(row)) + "\n")

    def findings(self) -> list[Row]:
        """Rows of files with which something is wrong."""
        return [row for row in self.rows if row.is_finding]


# Files that were findings, cut down to what the finding needs.

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
