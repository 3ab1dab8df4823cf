"""What is wrong with a store, each kind of thing in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXAMPLES = 3  # frames named in a sentence


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One kind of thing that is wrong in one file.

    Attributes
    ----------
    code : str
        Short and stable, for machines.
    text : str
        One sentence that names the file.
    file : Path
        The store, or the part of it.
    count : int
        How often; 1 for what concerns the file as a whole.
    frame_index : tuple of int
        Numbers of the first frames that it concerns.
    """

    code: str
    text: str
    file: Path
    count: int = 1
    frame_index: tuple[int, ...] = ()


@dataclass(kw_only=True)
class _Kind:
    count: int = 0
    frame_index: list[int] = field(default_factory=list)
    more: bool = False

    def examples(self) -> str:
        return ", ".join(map(str, self.frame_index)) + (" …" if self.more else "")


class Findings:
    """Gathers what is wrong in one file while it is read in blocks."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._whole: list[Problem] = []
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def file_wrong(self, code: str, text: str) -> None:
        """Note something about the file as a whole."""
        self._whole.append(Problem(code=code, text=f"{self.file}: {text}.", file=self.file))

    def rows_wrong(self, code: str, what: str, wrong: Any, frame_index: NDArray[np.int64]) -> None:
        """Note rows.

        Parameters
        ----------
        code : str
            Of the kind of thing.
        what : str
            Continues "17 ", such as "control points lie outside their frame".
        wrong : array_like of bool, shape (rows,)
            Which rows.
        frame_index : ndarray of int64, shape (rows,)
            The frames that they belong to.
        """
        numbers = frame_index[np.asarray(wrong, dtype=bool)]
        if not len(numbers):
            return
        kind = self._kinds.setdefault((code, what), _Kind())
        kind.count += len(numbers)
        for number in dict.fromkeys(numbers.tolist()):
            if number not in kind.frame_index:
                kind.more |= len(kind.frame_index) == EXAMPLES
                kind.frame_index += [] if kind.more else [number]

    def problems(self) -> list[Problem]:
        """Everything that was noted."""
        return self._whole + [
            Problem(
                code=code,
                text=f"{self.file}: {kind.count:,} {what} (frame_index {kind.examples()}).",
                file=self.file,
                count=kind.count,
                frame_index=tuple(kind.frame_index),
            )
            for (code, what), kind in self._kinds.items()
        ]
