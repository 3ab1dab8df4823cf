"""Record the figures anew: ``python -m tests.figures.record`` runs every section, or those named.

``figures.json`` is written, or with ``--out`` another file, such as for a look at what other
settings move.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("figures.json")

Sections = dict[str, dict[str, Any]]


def read_recorded(path: Path = RECORDED) -> Sections:
    """Figures by section and key."""
    found: Sections = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


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


def write(path: Path, figures: Sections) -> None:
    """Write figures, a line a key."""
    parts = []
    for section, found in sorted(figures.items()):
        rows = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
        parts.append(f"{json.dumps(section)}: {{\n" + ",\n".join(rows) + "\n}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Record what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help="only these")
    parser.add_argument("--out", type=Path, default=RECORDED, help="file to write")
    given = parser.parse_args()
    figures = read_recorded(given.out) if given.sections else {}
    write(given.out, figures | collect(given.sections))


if __name__ == "__main__":
    main()
