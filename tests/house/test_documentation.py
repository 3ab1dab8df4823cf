"""What the documentation says can be typed, followed and found, on its site too."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from regengine.commands import RegengineGroup
from regengine.commands.lazy import leaves, load_command
from tests.conftest import ROOT

AT_THE_ROOT = [ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")]
PAGES = [*AT_THE_ROOT, *sorted((ROOT / "docs").rglob("*.md"))]
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def shell_lines(page: Path) -> list[str]:
    """Commands in the page's shell examples, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    text = "\n".join(blocks).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def regengine_calls(line: str) -> list[list[str]]:
    """Words after ``regengine`` of each call in a line, also inside ``$(…)``."""
    words = shlex.split(re.sub(r"\$\(|\)|\|", " ", line), comments=True)
    words = [word.removeprefix("TILES=") for word in words if word not in ("TILES=", ">")]
    starts = [number for number, word in enumerate(words) if word == "regengine"]
    return [words[start + 1 :] for start in starts]


@cache
def leaves_of(name: str) -> list[tuple[Any, ...]]:
    """All commands below one of ours, each as the path that leads to it."""
    return leaves(load_command(name))


def unknown_parts(call: list[str]) -> list[str]:
    """Words of a call that the program would not understand."""
    while call and call[0].startswith("--"):
        call = call[2:] if call[0] == "--config" else call[1:]
    if not call or call[0] == "COMMAND":
        return []
    if call[0] not in RegengineGroup.summaries:
        return call[:1]
    paths = leaves_of(call[0])
    path = max(
        (path for path in paths if [step.name for step in path] == call[: len(path)]),
        key=len,
        default=None,
    )
    if path is None:
        return call[:2]
    if [step.name for step in path] == ["config", "show"]:
        return unknown_parts(call[2:])
    known = {text for option in path[-1].params for text in (*option.opts, *option.secondary_opts)}
    given = [word.partition("=")[0] for word in call if re.match(r"--?[a-z]", word)]
    return [word for word in given if word not in known | {"--help", "--json"}]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_shell_examples_can_be_typed(page: Path) -> None:
    wrong = [
        (line, parts)
        for line in shell_lines(page)
        for call in regengine_calls(line)
        if (parts := unknown_parts(call))
    ]
    assert wrong == []


def test_links_lead_somewhere() -> None:
    """Those of pages to files; `test_every_link_of_the_site_leads_somewhere` sees their parts."""
    wrong = [
        (page.name, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert wrong == []


def test_each_code_is_explained_once() -> None:
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| code \| says \|\n(.*?)(?:\n\n|\Z)", page, re.M | re.S)
    cells = [line.split("|")[1] for table in tables for line in table.splitlines()[1:]]
    explained = [code for cell in cells for code in re.findall(r"`(\w+)`", cell)]
    assert [code for code, count in Counter(explained).items() if count > 1] == []
    source = "".join(path.read_text("utf-8") for path in (ROOT / "regengine").rglob("*.py"))
    assert set(re.findall(r'\bcode="(\w+)"', source)) - set(explained) == set()
    assert [code for code in explained if f'"{code}"' not in source] == []


def test_the_page_of_licences_tells_what_the_packages_say() -> None:
    """``python .ci/licences.py`` writes it anew."""
    made = runpy.run_path(str(ROOT / ".ci" / "licences.py"))
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert made["HEAD"] + made["rows"]() in page


class Page(HTMLParser):
    """Links of a page of the site, and the places in it that links may name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name == "id" and value:
                self.places.add(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx", reason="needs sphinx: make docs")
    out = tmp_path_factory.mktemp("site")
    command = "-m sphinx --quiet --fail-on-warning --builder html --conf-dir docs ."
    built = subprocess.run(
        [sys.executable, *command.split(), out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    return out


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = target in pages
            if not target.exists() or (
                known and parts.fragment and unquote(parts.fragment) not in pages[target].places
            ):
                wrong.append((path.relative_to(site).as_posix(), link))
    assert wrong == []
