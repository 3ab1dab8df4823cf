"""Options that several commands have, each declared once, and the exit codes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from regengine.batch.at_hand import RunFiles

EXIT_FRAMES_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_STARTED = 3
EXIT_INTERRUPTED = 130

# What is worked on

Photos = Annotated[list[str], typer.Argument(help="Photos, folders of them, or patterns.")]
StoreFile = Annotated[Path, typer.Argument(help="The store of a run, such as run.h5.")]
SceneLabels = Annotated[Path, typer.Argument(help="CSV: path,label[,group] (a photo a row).")]
Verdicts = Annotated[
    str, typer.Option(help="Verdicts of the photos that are wanted, by commas; all for all.")
]
Reviewed = Annotated[bool, typer.Option("--reviewed", help="Only photos that a person accepted.")]
Where = Annotated[
    str | None,
    typer.Option(help="SQL condition on columns of docs/store.md: off_nadir_deg < 30"),
]

# What is known of it

LightMaps = Annotated[
    list[Path] | None,
    typer.Option(
        help="Night-light map: a file or a folder; may be given several times. Without it, what "
        "lights get made."
    ),
]
StreetMaps = Annotated[
    list[Path] | None,
    typer.Option(
        help="Street map for telephoto frames; may be given several times. Without it, what "
        "streets build and streets get made."
    ),
]
DayMaps = Annotated[
    list[Path] | None,
    typer.Option(
        help="Picture of the Earth by day, for photos by day: any georeferenced raster, or a "
        "folder; may be given several times. Without it, those of the data folder's folder day."
    ),
]
Region = Annotated[
    str | None,
    typer.Option(metavar="WEST,SOUTH,EAST,NORTH", help="Only this part, degrees."),
]
ElementSets = Annotated[
    Path | None,
    typer.Option(
        help="TLE file with element sets around the photos' dates, or a folder of such files. "
        "Without it, those of the data folder."
    ),
]
Time = Annotated[
    str | None, typer.Option(help="Time of the photo (ISO 8601, UTC); overrides EXIF.")
]
Nadir = Annotated[
    str | None,
    typer.Option(metavar="LON,LAT", help="Place below the camera; overrides the TLE."),
]
Metadata = Annotated[
    Path | None, typer.Option(help="Table (CSV) of frame records: time, nadir, lens, camera.")
]
Lens = Annotated[
    list[Path] | None,
    typer.Option(
        help="Lens profile of regengine lens fit, or a folder of them; each photo takes that "
        "of its camera and lens. May be given several times."
    ),
]

# How it is worked on

Method = Annotated[
    str | None, typer.Option(help="Detection method; without it the benchmark's best.")
]
MaxSide = Annotated[
    int, typer.Option(min=64, help="Average larger photos down to this long side first.")
]
WholeFrame = Annotated[
    bool, typer.Option("--whole-frame", help="Search below the Earth's limb, too.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes; 0 works in this process.")]
MaxMemory = Annotated[
    int,
    typer.Option(min=0, help="Memory that a worker may take, MB (0: no limit); more fails."),
]


class Retry(StrEnum):
    """What of the file of ``--out`` is done again."""

    FAILED = "failed"


LinesOut = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.ndjson",
        help="Write the records to this file, too; the same command goes on where one stopped.",
    ),
]
LinesResume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="With --out: take up what the file has of the same photo with the same settings.",
    ),
]
LinesRetry = Annotated[
    Retry | None, typer.Option(help="With --out: do photos again that failed before.")
]

# What comes out

PhotoOverlays = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Draw a picture per photo into this folder.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text: an object, or one a line.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages.")]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
]


def parse_time(text: str) -> datetime:
    """A time out of an option's text; one without a zone is UTC, and a note says so."""
    from regengine.api import utc_time
    from regengine.io.times import names_zone

    time = utc_time(text)
    if not names_zone(text):
        typer.echo(f"Note: --time {text} names no zone and is taken as UTC.", err=True)
    return time


def parse_range(option: str, text: str | None) -> tuple[float, float] | None:
    """A lowest and a highest number, ``28,85``, or one that is both."""
    from regengine.errors import ConfigError

    if text is None:
        return None
    try:
        low, *rest = (float(part) for part in text.split(","))
        (high,) = rest or (low,)
    except ValueError:
        low = high = float("nan")
    if not -float("inf") < low <= high < float("inf"):
        raise ConfigError(f"{option} {text!r} is no range: write LOW,HIGH.")
    return low, high


def parse_verdicts(text: str) -> tuple[str, ...]:
    """Verdicts out of an option's text, which may be ``all``."""
    from regengine.errors import ConfigError
    from regengine.exchange.export.selection import VERDICTS

    verdicts = VERDICTS if text == "all" else tuple(text.split(","))
    if unknown := [one for one in verdicts if one not in VERDICTS]:
        raise ConfigError(f"--verdict {unknown[0]}: it is none of {', '.join(VERDICTS)}, all.")
    return verdicts


def tell_lost(made_with: RunFiles, given: Mapping[str, object]) -> None:
    """Say which files of a run are not there any more, and were not named anew."""
    from regengine.batch.console import say

    for option, sentence in made_with.lost:
        if given.get(option, "") is None:
            say(sentence, err=True)
