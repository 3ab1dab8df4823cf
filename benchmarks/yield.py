"""How many photos of the archive, drawn before any is seen, are placed, reviewed and refused.

``python -m benchmarks yield IDS FOLDER -- OPTIONS`` fetches the photos of a list of archive ids
into ``FOLDER/photos``, registers them into ``FOLDER/run.h5`` with the options of ``regengine
register``, goes on where it was interrupted, and prints a table by class and lens with 95 %
intervals (Wilson's). Reviews beside the store count in columns of their own: review it, and run
this once more with ``--table-only``. ``--draw N TABLE`` draws the list instead, from a table with
a column ``frame_id``; ``benchmarks/yield_ids.txt`` has 200 ids of night photos, drawn with seed 71.
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pages import NONE, command_of, parser, table, title_lines, write_page
from benchmarks.trials.outcomes import wilson_interval
from regengine.errors import ConfigError
from regengine.photo.frame_ids import archive_frame_id
from regengine.store.read import iter_frames
from regengine.store.reviews import read_reviews

LENSES = (
    (35.0, "up to 35 mm"),
    (70.0, "36 to 70 mm"),
    (135.0, "71 to 135 mm"),
    (300.0, "136 to 300 mm"),
)
LONGEST = "above 300 mm"
VOLUNTEERS = (991, 1210)  # photos that volunteers identified, of those that they were shown
HEADER = (
    "photos", "looked at", "placed", "of them rejected by a person", "placed by a person",
    "left to review", "refused", "failed",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Photo:
    """What became of a photo: the engine's verdict, and what a person decided, if anybody did."""

    verdict: str
    decision: str | None
    category: str
    lens: str


def draw_ids(ids: Iterable[str], count: int, seed: int) -> list[str]:
    """Archive ids drawn by their numbers alone, in order; ConfigError if there are fewer."""
    known = sorted({found for one in ids if (found := archive_frame_id(one)) is not None})
    if count > len(known):
        raise ConfigError(f"--draw {count}: the table names {len(known):,} photos alone.")
    return sorted(random.Random(seed).sample(known, count))


def read_ids(path: Path) -> list[str]:
    """Ids of a list, a line each; ConfigError for a line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a list of archive ids ({error}).") from error
    for line in lines:
        if archive_frame_id(line) != line:
            raise ConfigError(f"{path}: {line[:40]!r} is no archive id such as ISS030-E-184140.")
    if not lines:
        raise ConfigError(f"{path} names no photo.")
    return lines


def lens_of(focal_mm: float | None) -> str:
    """A group of focal lengths."""
    if focal_mm is None:
        return "not known"
    return next((name for most, name in LENSES if focal_mm <= most), LONGEST)


def read_photos(store: Path, ids: Sequence[str]) -> dict[str, Photo]:
    """What a store says of the drawn photos, by their ids; the last where it has one twice."""
    wanted, reviews = set(ids), read_reviews(store)
    found = {}
    for frame in iter_frames(store):
        result, review = frame.result, reviews.get(frame.frame_index)
        name = archive_frame_id(result.frame or Path(result.path).name)
        if name in wanted:
            found[name] = Photo(
                verdict=result.verdict,
                decision=None if review is None else review.decision,
                category=result.category or "not told",
                lens=lens_of(result.focal_mm),
            )
    return found


def share(hits: int, tried: int) -> str:
    """A count with its share and interval, per cent."""
    if not tried:
        return NONE
    low, high = (100.0 * end for end in wilson_interval(hits, tried))
    return f"{hits} ({100.0 * hits / tried:.0f} %, {low:.0f} to {high:.0f})"


def yield_row(name: str, photos: Sequence[Photo]) -> list[str]:
    """A row of the table."""
    placed = [one for one in photos if one.verdict == "accepted"]
    rest = [one for one in photos if one.verdict != "accepted"]
    by_hand = [one for one in rest if one.decision == "accepted"]
    left = [one.verdict for one in rest if one.decision != "accepted"]
    counts = (len(placed), sum(one.decision == "rejected" for one in placed), len(by_hand))
    of = (len(photos), len(placed), len(photos))
    return [
        name,
        str(len(photos)),
        *(share(hits, tried) for hits, tried in zip(counts, of, strict=True)),
        *(share(left.count(verdict), len(photos)) for verdict in ("review", "no_match", "failed")),
    ]


def page_lines(ids: Sequence[str], photos: dict[str, Photo]) -> list[str]:
    """The tables as Markdown lines."""
    groups: dict[str, dict[str, list[Photo]]] = {
        "class": defaultdict(list),
        "lens": defaultdict(list),
    }
    for photo in photos.values():
        groups["class"][photo.category].append(photo)
        groups["lens"][photo.lens].append(photo)
    order = [*(name for _, name in LENSES), LONGEST, "not known"]
    missing = len(ids) - len(photos)
    lines = [
        f"Drawn {len(ids)}, in the store {len(photos)}, missing {missing} (not fetched, or not "
        "registered). Intervals are Wilson's at 95 %, of those looked at.",
        "",
        *table(HEADER, [yield_row("all", list(photos.values()))], right=7),
        "",
        f"Volunteers identified {share(*VOLUNTEERS)} of {VOLUNTEERS[1]:,} photos.",
    ]
    for name, found in groups.items():
        names = sorted(found) if name == "class" else [one for one in order if one in found]
        rows = [yield_row(one, found[one]) for one in names]
        lines += ["", f"## By {name}", "", *table((name, *HEADER[1:]), rows, right=7)]
    return lines


def run_regengine(*words: str) -> int:
    """Run the program; its exit code."""
    return subprocess.run([sys.executable, "-m", "regengine", *words], check=False).returncode


def main(argv: list[str]) -> int:
    """Draw a list, or run one; 2 for a list or a table that cannot be used."""
    own, _, options = (
        (argv, "", [])
        if "--" not in argv
        else (argv[: argv.index("--")], "--", argv[argv.index("--") + 1 :])
    )
    given = parser("yield", __doc__)
    given.add_argument("ids", type=Path, help="list of archive ids; with --draw, the one to write")
    given.add_argument("folder", type=Path, nargs="?", help="for photos and store")
    given.add_argument("--draw", nargs=2, metavar=("N", "TABLE"), help="draw N ids from a table")
    given.add_argument("--seed", type=int, default=71)
    given.add_argument("--table-only", action="store_true", help="neither fetch nor register")
    told = given.parse_args(own)
    try:
        if told.draw is not None:
            count, source = told.draw
            with Path(source).open(encoding="utf-8", newline="") as file:
                rows = [row.get("frame_id") or "" for row in csv.DictReader(file)]
            ids = draw_ids(rows, int(count), told.seed)
            told.ids.write_text("\n".join(ids) + "\n", encoding="utf-8")
            return 0
        if told.folder is None:
            raise ConfigError("Name the folder for photos and store, or --draw a list.")
        ids = read_ids(told.ids)
        photos, store = told.folder / "photos", told.folder / "run.h5"
        if not told.table_only:
            run_regengine("frames", "download", *ids, "--out", str(photos))  # what is there stays
            run_regengine("register", str(photos), "--store", str(store), *options)
        if not store.is_file():
            raise ConfigError(f"{store} is not there: no photo was registered.")
        lines = page_lines(ids, read_photos(store, ids))
    except (ConfigError, OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    command = command_of("yield", argv)
    note = "Photos were drawn by their numbers alone, before any was seen."
    write_page(told.out, "yield", [*title_lines("Yield", command, note), *lines])
    return 0
