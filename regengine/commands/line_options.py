"""Options of the commands that say a line of each photo."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Retry(StrEnum):
    """What of the file is done again."""

    FAILED = "failed"


Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.ndjson",
        help="Write the records to this file, too; the same command goes on where one stopped.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="With --out: take up what the file has of the same photo with the same settings.",
    ),
]
RetryOption = Annotated[
    Retry | None, typer.Option(help="With --out: do photos again that failed before.")
]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes; 0 works in this process.")]
MaxMemory = Annotated[
    int,
    typer.Option(min=0, help="Memory that a worker may take, MB (0: no limit); more fails."),
]
MAX_MEMORY_MB = 3000  # streaks of 17 megapixels take 1.6 GB, stars and solving 0.9
