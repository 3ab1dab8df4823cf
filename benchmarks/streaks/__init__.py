"""How well streak detectors find simulated streaks, by strength and length, beside their peers.

``python -m benchmarks streaks`` prints the tables; ``--peers`` adds what other libraries find in
the same frames; ``--real FOLDER`` adds real frames; ``--paper`` adds the frames of Farzaneh et al.
2021; ``--out FOLDER`` writes all as Markdown, dated, with figures if ``--plot``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.pages import command_of, title_lines
from benchmarks.processes import Columns
from benchmarks.row_tables import Row, read_rows
from benchmarks.simulate.streak_frames import TEST_SEED0
from benchmarks.streaks.methods import StreakMethod, streak_methods
from benchmarks.streaks.real import paper_lines, real_lines
from benchmarks.streaks.report import (
    by_method,
    condition_table,
    draw_streak_figures,
    ends_table,
    look_elsewhere_sigma,
    main_table,
    matched_table,
    problem_lines,
)
from benchmarks.streaks.run import SIZES, Task, run_tasks

SHOWN_PATHS = ("--out", "--real", "--table", "--overlays")


def tasks_of(methods: list[StreakMethod], arguments: argparse.Namespace) -> list[Task]:
    """Every method on every frame, frame by frame; slow methods and large frames on fewer."""
    tasks = []
    for size, frames in (("1024", arguments.frames), ("large", arguments.large_frames)):
        for k in range(frames):
            for method in methods:
                if method.slow and (size == "large" or k >= arguments.slow_frames):
                    continue
                tasks.append(Task(seed=arguments.seed0 + k, size=size, method=method.name))
    return tasks


def _tell(task: Task, columns: Columns) -> None:
    hit = columns.get("hit", ())
    print(
        f"{task.size} {task.seed} {task.method}: {int(sum(hit))} of {len(hit)}, "
        f"{columns.get('false')} false, {columns.get('seconds', 0.0):.2f} s "
        f"{columns.get('problem', '')}",
        file=sys.stderr,
    )


def simulated_lines(rows: list[Row]) -> list[str]:
    """Tables of all simulated frames in the table."""
    lines: list[str] = []
    for size, settings in SIZES.items():
        methods = by_method(rows, size)
        if not methods:
            continue
        pixels = float(settings.width_px * settings.height_px)
        lines += [f"## Frames of {settings.width_px} x {settings.height_px} pixels", ""]
        lines += [*main_table(methods), "", "Recall by integrated SNR, all streaks:", ""]
        lines += [*matched_table(methods, pixels), ""]
        lines += ["False ones a frame, by the sky:", "", *condition_table(methods), ""]
        lines += ["Ends of the streaks found at SNR 1 and more, median / 90 %, px:", ""]
        lines += ends_table(methods)
        lines += [*problem_lines([row for of in methods.values() for row in of]), ""]
    return lines


def explained() -> list[str]:
    """What the columns mean."""
    sigma = look_elsewhere_sigma(1024.0**2)
    return [
        "Simulated frames (`benchmarks/simulate/streak_frames.py`), seeds that nothing was tuned "
        "on. SNR is the peak of the mean cross profile over the noise of sky and read-out. Found "
        "is a line RMS of at most 3 px and an overlap of at least a half: the stretch that both "
        "cover over the stretch that either covers; each streak and each detection once. *Recall* "
        "is the mean over the cells of SNR and length, so that each counts alike; streaks outside "
        "of the cells are neither wanted nor false. *False* are detections a frame where no "
        "streak is, *pieces* those that lie along a true streak but are not its one detection. "
        "*End px* is the median distance of an end from the true one, at SNR 1 and more. *CPU s* "
        "is the median processor time of a frame on one thread.",
        "",
        f"The ideal matched filter knows every shape, and needs {sigma:.1f} sigma for 0.05 false "
        "streaks a frame among all places, directions and lengths.",
        "",
    ]


def _chosen(arguments: argparse.Namespace) -> list[StreakMethod]:
    known = streak_methods(peers=arguments.peers or bool(arguments.methods))
    if not arguments.methods:
        return list(known.values())
    names = [name.strip() for name in arguments.methods.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no method is called {unknown[0]!r}: there are {', '.join(known)}", file=sys.stderr)
        raise SystemExit(2)
    return [known[name] for name in names]


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks streaks", description=__doc__)
    made.add_argument("--frames", type=int, default=24, help="of 1024 x 1024 pixels")
    made.add_argument("--large-frames", type=int, default=0, help="of 4000 x 3000 pixels")
    made.add_argument("--slow-frames", type=int, default=8, help="that slow peers are asked about")
    made.add_argument("--seed0", type=int, default=TEST_SEED0)
    made.add_argument("--methods", help="these alone, separated by commas")
    made.add_argument("--peers", action="store_true", help="also run other libraries")
    made.add_argument("--paper", action="store_true", help="also the frames of the paper")
    made.add_argument("--real", type=Path, metavar="DIR", help="folder of real frames")
    made.add_argument("--overlays", type=Path, metavar="DIR", help="pictures of the real frames")
    made.add_argument("--workers", type=int, default=1)
    made.add_argument("--limit", type=float, default=300.0, help="seconds a frame may take")
    made.add_argument("--table", type=Path, help="CSV file that the run continues")
    made.add_argument("--report-only", action="store_true", help="run nothing, report the table")
    made.add_argument("--plot", action="store_true", help="also draw figures")
    made.add_argument("--out", type=Path, help="folder for the dated Markdown file and figures")
    return made


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    arguments = parser().parse_args(argv)
    methods = _chosen(arguments)
    with tempfile.TemporaryDirectory() as folder:
        table = arguments.table or Path(folder) / "rows.csv"
        if not arguments.report_only:
            run_tasks(
                tasks_of(methods, arguments),
                table,
                workers=arguments.workers,
                limit_s=arguments.limit,
                tell=_tell,
            )
        rows = read_rows([table])
    lines = simulated_lines(rows)
    if arguments.paper:
        lines += paper_lines(methods)
    if arguments.real:
        lines += real_lines(methods, arguments.real, arguments.overlays)
    print("\n".join(lines))
    if arguments.out:
        _write(arguments, argv, rows, lines)
    return 0


def _write(
    arguments: argparse.Namespace, argv: list[str], rows: list[Row], lines: list[str]
) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = f"streaks-{datetime.now(UTC):%Y-%m-%d}"
    peers = {name for name, method in streak_methods().items() if method.peer}
    links: list[str] = []
    small = by_method(rows, "1024")
    if arguments.plot and small:
        figures = draw_streak_figures(small, peers, 1024.0**2, arguments.out / stem)
        links = ["", *(f"![{path.stem}]({stem}/{path.name})" for path in figures)]
    shown = list(argv)
    for k, word in enumerate(shown[:-1]):
        if word in SHOWN_PATHS:
            shown[k + 1] = "FOLDER" if word != "--table" else "TABLE.csv"
    head = title_lines("Streaks", command_of("streaks", shown), "\n".join(explained()))
    target = arguments.out / f"{stem}.md"
    target.write_text("\n".join([*head, *lines, *links]) + "\n", "utf-8")
    print(f"written to {target}", file=sys.stderr)
