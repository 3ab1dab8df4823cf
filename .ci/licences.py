"""Licences of what regengine runs with, as rows of a table, out of the packages' own metadata.

``python .ci/licences.py`` writes the table of docs/licences.md anew.
"""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = "| package | licence | needed by |\n|---|---|---|\n"
OF_TESTS = ("dev", "docs")
LONGEST = 60  # of what is a name, and no text of a licence


def licence_of(about: PackageMetadata) -> str:
    """Licence by its SPDX expression, else by what the package says in short."""
    if expression := about.get("License-Expression"):
        return str(expression)
    prefix = "License :: OSI Approved :: "
    kinds = [c.removeprefix(prefix) for c in about.get_all("Classifier") or [] if prefix in c]
    said = (about.get("License") or "").strip()
    short = said if "\n" not in said and 0 < len(said) <= LONGEST else ""
    return short or ", ".join(kinds) or "see the package"


def name_of(requirement: str) -> str:
    """The package's name in a requirement or a line of a lock."""
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0].lower()


def needed_by() -> dict[str, list[str]]:
    """Of each package what asks for it: the core, extras, or another package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asking = {"regengine": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for who, wanted in asking.items():
        for requirement in wanted if who not in OF_TESTS else ():
            found.setdefault(name_of(requirement), []).append(
                who if who == "regengine" else f"extra `{who}`"
            )
    lock = (ROOT / ".ci" / "requirements-core.txt").read_text().splitlines()
    for line in lock:
        if "==" in line and name_of(line) != "setuptools":
            found.setdefault(name_of(line), ["another package"])
    return dict(sorted(found.items()))


def rows() -> str:
    """The table's rows."""
    lines = []
    for name, who in needed_by().items():
        try:
            about = metadata(name)
        except PackageNotFoundError:
            about = metadata(f"{name}-headless")  # the other build of OpenCV
        lines.append(f"| {name} | {licence_of(about)} | {', '.join(who)} |\n")
    return "".join(lines)


def main() -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, after = text.partition(HEAD)
    rest = re.sub(r"\A(\|.*\n)*", "", after)
    PAGE.write_text(before + HEAD + rows() + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
