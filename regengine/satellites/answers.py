"""What is said of the satellites of each photo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regengine.batch.answers import Answer
from regengine.detection_lines import csv_text
from regengine.satellites.photo import SatelliteJob
from regengine.satellites.records import csv_rows, json_line


@dataclass(frozen=True)
class SatelliteAnswers:
    """The answers of a job; call it with a path."""

    job: SatelliteJob

    def __call__(self, path: Path) -> Answer:
        """The photo's record and rows."""
        photo = self.job(path)
        return Answer(line=json_line(photo), text=csv_text(csv_rows(photo)))
