"""What became of damaged files: lines of NDJSON that a later run goes on from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fuzz_worker import Outcome

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
