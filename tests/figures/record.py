"""Record the figures anew, and what other processors make of them.

``python -m tests.figures.record`` runs every section, or those named, and writes ``figures.json``;
with ``--out`` a run of its own, such as one under other settings. ``--spread FILES`` then gives
each figure that differs among such runs a tolerance of its own, and leaves out those that differ
too much. A tolerance stays until the next ``--spread``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("figures.json")
TOLERANCE = 1e-4  # relative
FLOOR = 1e-9  # what is less than this is zero
OF_SPREAD = 3.0
MOST = 1e-2  # a figure that differs by more among processors is none
LEFT_OUT = None
LAST_DIGITS = 4
NUMBER = re.compile(r"\d+\.?\d*(?:e[-+]?\d+)?")

Sections = dict[str, dict[str, Any]]


def read_recorded(path: Path = RECORDED) -> dict[str, Sections]:
    """Figures, and the tolerances that are not `TOLERANCE`, by section and key."""
    if not path.exists():
        return {"figures": {}, "tolerances": {}}
    loaded: dict[str, Sections] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def difference(was: Any, now: Any) -> float:
    """How far two figures are apart, relative to them; of a list, to the size of its entries.

    Texts are compared by the numbers in them, and by all else letter by letter. A number that was
    rounded to two decimals or more may differ by one in the last.
    """
    one, other = (value if isinstance(value, list) else [value] for value in (was, now))
    if len(one) != len(other):
        return float("inf")
    numbers = [abs(x) for x in one if isinstance(x, (int, float))]
    size = (sum(x * x for x in numbers[-20:]) / max(len(numbers[-20:]), 1)) ** 0.5
    size = size if len(one) > 1 else 0.0
    return max((_apart(a, b, size) for a, b in zip(one, other, strict=True)), default=0.0)


def _apart(a: Any, b: Any, size: float) -> float:
    if isinstance(a, str) or isinstance(b, str):
        one, other = str(a), str(b)
        if one == other:
            return 0.0
        if NUMBER.sub("#", one) != NUMBER.sub("#", other):
            return float("inf")
        pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
        return max(_apart(float(x), float(y), 0.0) for x, y in pairs)
    apart = abs(a - b)
    digits = min(len(repr(float(x)).partition(".")[2]) for x in (a, b))
    last = 1.01 * 10.0**-digits if 2 <= digits <= LAST_DIGITS else 0.0
    return 0.0 if apart <= max(FLOOR, last) else float(apart / max(abs(a), abs(b), size))


def compare(
    section: str, now: Mapping[str, Any], recorded: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What moved: section, key, what was and what is."""
    was = recorded["figures"].get(section, {})
    tolerances = recorded["tolerances"].get(section, {})
    moved = []
    for key in dict.fromkeys([*was, *now]):
        if key in tolerances and tolerances[key] is LEFT_OUT:
            continue
        if key not in was or key not in now:
            moved.append(f"{section} {key} is {'new' if key in now else 'gone'}")
        elif difference(was[key], now[key]) > tolerances.get(key, TOLERANCE):
            moved.append(f"{section} {key} was {was[key]}, is {now[key]}")
    return moved


def collect(sections: Sequence[str] = ()) -> Sections:
    """Run the sections, and return their figures."""
    import pytest

    test = str(Path(__file__).with_name("test_figures.py"))
    words = [f"{test}::test_numbers_are_those_recorded[{one}]" for one in sections] or [test]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REGENGINE_RECORD_FIGURES"] = folder
        if code := pytest.main(["-q", "-p", "no:cacheprovider", "--durations=10", *words]):
            sys.exit(int(code))
        return {
            path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(Path(folder).glob("*.json"))
        }


def write(path: Path, figures: Sections, tolerances: Sections) -> None:
    """Write figures, a line a key, and the tolerances of those that are there."""
    kept = {
        section: {
            key: limit
            for key, limit in limits.items()
            if key in figures[section] or limit is LEFT_OUT
        }
        for section, limits in sorted(tolerances.items())
        if section in figures
    }
    shown = {
        section: {k: v for k, v in found.items() if kept.get(section, {}).get(k, 1.0) is not None}
        for section, found in sorted(figures.items())
    }
    parts = [
        f'"{name}": {_lines(part)}' for name, part in (("figures", shown), ("tolerances", kept))
    ]
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def _lines(sections: Sections) -> str:
    parts = []
    for section, found in sections.items():
        if found:
            rows = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
            parts.append(f"{json.dumps(section)}: {{\n" + ",\n".join(rows) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}"


def spread(runs: Sequence[Sections]) -> Sections:
    """Tolerances of figures that differ among runs of one state of the program."""
    found: Sections = {}
    for section, first in runs[0].items():
        for key in dict.fromkeys(key for run in runs for key in run[section]):
            values = [run[section].get(key) for run in runs]
            worst = max(
                float("inf") if one is None else difference(first.get(key, one), one)
                for one in values
            )
            if worst > TOLERANCE / OF_SPREAD:
                limit = float(f"{max(OF_SPREAD * worst, TOLERANCE):.2g}")
                found.setdefault(section, {})[key] = LEFT_OUT if worst > MOST else limit
    return found


def main() -> None:
    """Record, or compare recorded runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help="only these")
    parser.add_argument("--out", type=Path, default=RECORDED, help="file to write")
    parser.add_argument("--spread", type=Path, nargs="+", help="runs under other settings")
    given = parser.parse_args()
    if given.spread:
        runs = [read_recorded(path)["figures"] for path in given.spread]
        tolerances = spread(runs)
        write(RECORDED, runs[0], tolerances)
        limits = [limit for found in tolerances.values() for limit in found.values()]
        total = sum(len(found) for found in runs[0].values())
        own = [limit for limit in limits if limit is not LEFT_OUT]
        print(f"{total} figures; {total - len(limits)} held to {TOLERANCE:g}")
        for low, high in ((1e-5, 1e-4), (1e-4, 1e-3), (1e-3, 1.0)):
            print(f"{sum(low <= one < high for one in own)} to {low:g} .. {high:g}")
        print(f"{len(limits) - len(own)} left out")
        return
    before = read_recorded(given.out)
    figures = before["figures"] if given.sections else {}
    write(given.out, figures | collect(given.sections), before["tolerances"])


if __name__ == "__main__":
    main()
