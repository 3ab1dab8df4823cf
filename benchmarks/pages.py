"""Markdown pages of results: the heading with date, machine and commit, tables, numbers, shares."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.stats import binomtest

NONE = "–"


def title_lines(title: str, note: str = "") -> list[str]:
    """Heading: what was run, when, on what."""
    return [
        f"# {title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {os.cpu_count()} CPUs "
        f"({processor()}), Python {platform.python_version()}: `{command()}`.",
        "",
        *([note, ""] if note else []),
    ]


def command() -> str:
    """The command that this process runs, without the folders of one machine."""
    shown = ["python -m benchmarks", *sys.argv[1:]]
    for k, word in enumerate(shown):
        name, equals, _ = word.partition("=")
        if name in ("--out", "--real", "--overlays", "--mistakes"):
            if equals:
                shown[k] = f"{name}=FOLDER"
            elif k + 1 < len(shown):
                shown[k + 1] = "FOLDER"
    return " ".join(shown)


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(header: str | Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> list[str]:
    """A Markdown table, the last ``right`` columns aligned to the right; "a | b" heads two."""
    header = header.split(" | ") if isinstance(header, str) else header
    marks = ["---"] * (len(header) - right) + ["---:"] * right
    lines = [header, marks, *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def number(value: float | None, digits: int = 2) -> str:
    """A number with thousands separated; a dash for none, a sign for what has no end."""
    if value is None or np.isnan(value):
        return NONE
    return "∞" if np.isinf(value) else f"{value:,.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    return NONE if np.isnan(share) else f"{100.0 * share:.{digits}f} %"


def interval(
    hits: int, tried: int, method: Literal["wilson", "exact"] = "wilson"
) -> tuple[float, float]:
    """Two-sided 95 % interval of a share, Wilson's or Clopper and Pearson's; NaN of nothing."""
    if tried == 0:
        return float("nan"), float("nan")
    found = binomtest(int(hits), int(tried)).proportion_ci(0.95, method)
    return float(found.low), float(found.high)


def share(hits: int, tried: int, method: Literal["wilson", "exact"] = "wilson") -> str:
    """A count with its share and 95 % interval, per cent."""
    low, high = (100.0 * end for end in interval(hits, tried, method))
    said = f" ({100.0 * hits / tried:.0f} %, {low:.1f} to {high:.1f})" if tried else ""
    return f"{hits} of {tried}{said}"


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def commit() -> str:
    """The checkout's commit, with a plus if files have changed since; "unknown" without git."""
    # No shell: the developer's own git, with fixed words
    words = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.check_output(words, cwd=Path(__file__).parent, text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def add_date(name: str) -> str:
    return f"{name}-{datetime.now(UTC):%Y-%m-%d}"


def write_page(folder: Path | None, name: str, lines: Sequence[str]) -> None:
    """Print a page, and keep it in a folder under its name and date, where one is given."""
    page = "\n".join(lines) + "\n"
    print(page, end="")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{add_date(name)}.md").write_text(page, encoding="utf-8")
