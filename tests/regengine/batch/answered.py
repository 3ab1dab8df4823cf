"""Answers that cost nothing, for tests of the loop around them; importable by workers."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from regengine.batch.each_photo import AnswerOptions, Taken, answers
from regengine.errors import FrameError
from regengine.result import Answer, Failure


def answer(path: Path) -> Answer:
    """The size of a photo, or what its name says that goes wrong."""
    if path.stem.startswith("bad"):
        raise FrameError(f"{path} is no photo; give another")
    record = {"frame": path.stem, "path": str(path), "size": path.stat().st_size}
    return Answer(line=json.dumps(record), text=f"{path.stem} {record['size']}")


@dataclass(frozen=True)
class Deadly:
    """Ends the process at each photo named deadly until there are so many marks in a folder."""

    marks: Path
    deaths: int

    def __call__(self, path: Path) -> Answer:
        if path.stem == "deadly" and len(list(self.marks.iterdir())) < self.deaths:
            (self.marks / str(time.time_ns())).touch()
            os._exit(9)
        return answer(path)


def slow_answer(path: Path) -> Answer:
    """The same after a while."""
    time.sleep(0.15)
    return answer(path)


def options(out: Path | None, **changes: object) -> AnswerOptions:
    plain = {"command": "test", "parameters_sha256": "a" * 64, "out": out}
    return AnswerOptions(**{**plain, **changes})  # type: ignore[arg-type]


def told(photos, out, function=answer, **changes):
    """What a run tells of each photo: its text, a code, or whether it was there."""
    said = {}
    for path, outcome in answers(photos, function, options(out, **changes)):
        if isinstance(outcome, Failure):
            said[path.name] = outcome.code
        else:
            said[path.name] = "there" if isinstance(outcome, Taken) else outcome.text
    return said


def make_photos(folder: Path, names: list[str]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(bytes([number % 256]) * (number + 1))
    return [folder / name for name in names]
