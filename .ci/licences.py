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
HEAD = "| licence | packages |\n|---|---|\n"
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


def packages() -> dict[str, list[str]]:
    """Each package, direct or not, and the extras that ask for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, list[str]] = {}
    for extra, wanted in project["optional-dependencies"].items():
        for requirement in wanted if extra not in OF_TESTS else ():
            found.setdefault(name_of(requirement), []).append(extra)
    for line in (ROOT / ".ci" / "requirements-core.txt").read_text().splitlines():
        if "==" in line and name_of(line) != "setuptools":
            found.setdefault(name_of(line), [])
    found.pop("regengine", None)  # the extra `all` asks for the others
    return dict(sorted(found.items()))


def rows() -> str:
    """The table's rows."""
    of_licence: dict[str, list[str]] = {}
    for name, extras in packages().items():
        try:
            about = metadata(name)
        except PackageNotFoundError:
            about = metadata(f"{name}-headless")  # the other build of OpenCV
        shown = f"{name} (`{'`, `'.join(extras)}`)" if extras else name
        of_licence.setdefault(licence_of(about), []).append(shown)
    lines = (f"| {licence} | {', '.join(names)} |\n" for licence, names in of_licence.items())
    return "".join(sorted(lines))


def main() -> None:
    """Put the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, after = text.partition(HEAD)
    rest = re.sub(r"\A(\|.*\n)*", "", after)
    PAGE.write_text(before + HEAD + rows() + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
