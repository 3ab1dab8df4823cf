"""What the page on a run of simulated registrations is made from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.trials.report import Page, in_order
from benchmarks.trials.table import Row, read_rows
from regengine.register import RegisterParams

NAME = "registration-simulated"
# Columns before the verdict that are no factor to put into bins
NO_FACTORS = {
    *("seed", "half", "kind", "registrable", "places", "lon", "lat", "time_utc", "seconds_draw")
}


def peers_table(table: Path) -> Path:
    """Where the answers of other methods lie beside a table of trials."""
    return table.with_name(f"{table.stem}-peers.csv")


def rows_of(given: argparse.Namespace) -> list[Row]:
    """Trials of the half, of all tables."""
    return in_order(read_rows(given.table), given.half)


def drawn_columns(rows: Sequence[Row]) -> tuple[str, ...]:
    """Columns that hold what was drawn: those before the verdict."""
    names = list(rows[0]) if rows else ["verdict"]
    return tuple(name for name in names[: names.index("verdict")] if name not in NO_FACTORS)


def page_of(given: argparse.Namespace) -> Page:
    """What the page is made from."""
    rows = rows_of(given)
    return Page(
        rows=rows,
        peers=read_rows([peers_table(table) for table in given.table]),
        ablations=[in_order(read_rows([table]), given.half) for table in given.ablation],
        command=command_words(given),
        drawn=drawn_columns(rows),
        note=note_on(rows, given.half),
        figures="" if given.out is None else f"{NAME}-{datetime.now(UTC):%Y-%m-%d}",
    )


def note_on(rows: Sequence[Row], half: str) -> str:
    """A sentence on what the trials of a table were run with."""
    made = any((row.get("continent") or "").startswith("made") for row in rows)
    world = "the self-made land of `data_samples/`" if made else "VIIRS 2023 (product B)"
    used = {
        name: ", ".join(sorted({row.get(name) or "not known" for row in rows}))
        for name in ("map", "budget_s", "commit")
    }
    return (
        f"World: {world}; {half} half; map: {used['map']}; search budget, s: {used['budget_s']}; "
        f"run at commit: {used['commit']}. docs/benchmarks.md explains *right*, the factors and "
        "the figures."
    )


def command_words(given: argparse.Namespace) -> str:
    """The command again, without the folders of one machine."""
    words = ["python -m benchmarks registration --simulated"]
    words += ["--smoke"] if given.smoke else [f"--half {given.half}"]
    words += [f"--seeds {given.seeds}"] if given.seeds and not given.smoke else []
    words += [] if given.real is None else ["--real FOLDER --lights MAP_A.tif"]
    words += [f"--peers {given.peers}"] if given.peers else []
    if given.max_seconds != RegisterParams().max_seconds and not given.smoke:
        words.append(f"--max-seconds {given.max_seconds:g}")
    return " ".join(words)
