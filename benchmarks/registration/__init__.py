"""How real photographs are registered: errors, verdicts, time and memory.

``python -m benchmarks registration --real FOLDER`` registers every city photo of a folder of real
data and prints the tables; ``--simulated`` registers hard simulated ones, drawn
from seeds, by the hundred. ``--told nothing`` registers the same without time, orbit and nadir.
``--out FOLDER`` writes the tables as Markdown, dated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.pages import write_page
from benchmarks.registration.real import real_report
from regengine.errors import RegengineError
from regengine.registration.parameters import RegisterParams


def report(given: argparse.Namespace) -> int:
    """Simulated or real registrations; 0 when done, 2 if they cannot be started."""
    from benchmarks.trials import run_simulated_report

    words = ["registration", "simulated" if given.simulated else "real"]
    given.page = "-".join(words + ([] if given.told == "all" else ["told-nothing"]))
    make = run_simulated_report if given.simulated else real_report
    try:
        lines = make(given, tell)
    except RegengineError as error:
        tell(str(error))
        return 2
    if lines:
        write_page(given.out, given.page, lines)
    return 0


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    """Run the benchmark; 0 when done, 2 if it cannot be started."""
    from benchmarks.trials import add_options  # which imports how registrations are scored

    parser = argparse.ArgumentParser(prog="python -m benchmarks registration", description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of the real data")
    parser.add_argument("--out", type=Path, help="folder for the dated Markdown files")
    parser.add_argument("--overlays", type=Path, help="folder for a picture per case")
    parser.add_argument("--cache", type=Path, help="keeps the built light map for the next run")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument(
        "--all-categories", action="store_true", help="photos that show no night city, too"
    )
    parser.add_argument("--no-variants", action="store_true", help="no turned and cropped copies")
    parser.add_argument(
        "--told", choices=("all", "nothing"), default="all", help="of time, orbit and nadir"
    )
    parser.add_argument("--index", type=Path, help="of the map, where it is not the one beside it")
    parser.add_argument(
        "--max-work",
        type=float,
        default=RegisterParams().work_budget,
        help="of a search, in seconds of the machine where its costs were measured",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    add_options(parser)
    given = parser.parse_args(argv)
    if given.simulated:
        return report(given)
    if given.real is None:
        parser.print_usage(sys.stderr)
        tell("say --real FOLDER or --simulated")
        return 2
    if not (given.real / "photos" / "index.csv").is_file():
        tell(f"{given.real} holds no photos/index.csv: give the folder of the real data")
        return 2
    return report(given)
