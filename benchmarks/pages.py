"""Markdown pages of results: the heading with date, machine and commit, tables, numbers."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

NONE = "–"


def parser(name: str, text: str | None) -> argparse.ArgumentParser:
    """A benchmark's parser, with ``--out`` for `write_page`."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=text)
    made.add_argument("--out", type=Path, help="folder for the dated Markdown file")
    return made


def title_lines(title: str, command: str, map_note: str) -> list[str]:
    """Heading: what was run, when, on what."""
    return [
        f"# {title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {os.cpu_count()} CPUs "
        f"({processor()}), Python {platform.python_version()}: `{command}`.",
        "",
        map_note,
        "",
    ]


def command_of(name: str, arguments: Sequence[str]) -> str:
    """A benchmark's command again, without the folders of one machine."""
    shown = ["python -m benchmarks", name, *arguments]
    for k, word in enumerate(shown):
        name, equals, _ = word.partition("=")
        if name in ("--out", "--real"):
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


def commit() -> str:
    """The checkout's commit, with a plus if files have changed since; "unknown" without git."""
    # No shell: the developer's own git, with fixed words
    words = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(
            words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def add_date(name: str) -> str:
    """A page's name with the day on which it is written."""
    return f"{name}-{datetime.now(UTC):%Y-%m-%d}"


def write_page(folder: Path | None, name: str, lines: Sequence[str]) -> None:
    """Print a page, and keep it in a folder under its name and date, where one is given."""
    page = "\n".join(lines) + "\n"
    print(page, end="")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{add_date(name)}.md").write_text(page, encoding="utf-8")
