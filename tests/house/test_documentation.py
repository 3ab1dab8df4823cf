"""What the documentation says can be typed, followed and found."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from collections import Counter
from contextlib import suppress
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

import regengine as rg
import regengine.errors
from regengine.commands import RegengineGroup
from regengine.commands.lazy import leaves, load_command
from tests.conftest import ROOT
from tests.world.sources import nodes_of

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


def inline_code(page: Path) -> list[str]:
    """What stands between backticks in the running text, one line each."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]


@cache
def groups() -> dict[str, set[str]]:
    """Commands that have commands of their own, each with the names of those."""
    found: dict[str, set[str]] = {}
    for name in RegengineGroup.summaries:
        below = {path[1].name or "" for path in leaves_of(name) if len(path) > 1}
        if below:
            found[name] = below
    return found


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_commands_that_pages_name_exist(page: Path) -> None:
    """Whole ones, ``regengine lights get``, short ones, ``lights get``, and ``… and `build` ``."""
    if page.name == "CHANGELOG.md":
        return  # what is gone was there
    below = groups()
    wrong: list[str] = []
    for code in inline_code(page):
        words = code.split()
        if words[0] == "regengine":
            with suppress(ValueError):  # a quotation mark that stands alone
                calls = (named(call) for call in regengine_calls(code))
                whole = (call for call in calls if call and call not in [[name] for name in below])
                wrong += [code for call in whole if unknown_parts(call)]
        elif words[0] in below and len(words) > 1 and re.fullmatch("[a-z]+", words[1]):
            wrong += [] if words[1] in below[words[0]] else [code]
    text = " ".join(page.read_text(encoding="utf-8").split())
    also = r"`(?:regengine )?(\w+) \w+`(?:\]\([^)]*\))?,? (?:and|or) `([a-z]+)`"
    for group, word in re.findall(also, text):
        if group in below and word not in {*below[group], *RegengineGroup.summaries}:
            wrong.append(f"{group} … {word}")
    assert wrong == []


def named(call: list[str]) -> list[str]:
    """Words of a call up to the first that stands for something: ``register PHOTO…``."""
    placeholder = r"[A-Z…\[].*|.*…|[^-].*[.*/].*"
    return list(takewhile(lambda word: not re.fullmatch(placeholder, word), call))


def anchors(page: Path) -> set[str]:
    """What links may name of a page: its headings, as sites of Markdown spell them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ +(.*)$", text, re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8"))
    for target, part in links:
        if "://" not in target:
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not part or part in anchors(there), (target, part)


def test_every_page_is_listed() -> None:
    """The index leads to lists of pages, and these to all others."""
    lists = [ROOT / "docs" / f"{name}.md" for name in ("index", "howto", "reference", "methods")]
    listed = " ".join(page.read_text(encoding="utf-8") for page in lists)
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES[len(AT_THE_ROOT) :]]
    assert [page for page in pages if page != "index.md" and f"({page})" not in listed] == []


def codes_of(value: ast.expr) -> list[str]:
    """Texts that an expression can be: a constant, one of two, the first of a tuple."""
    match value:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return [*codes_of(one), *codes_of(other)]
        case ast.Tuple(elts=[first, *_]):
            return codes_of(first)
    return []


def codes_of_the_product() -> set[str]:
    """What reasons and errors carry: ``code=…``, ``code = …`` and ``failed(task, …)``."""
    found: list[str] = []
    for path in (ROOT / "regengine").rglob("*.py"):
        for node in nodes_of(path):
            match node:
                case ast.keyword(arg="code", value=value):
                    found += codes_of(value)
                case ast.Assign(targets=[target], value=value):
                    if ast.unparse(target).strip("()").partition(",")[0] == "code":
                        found += codes_of(value)
                case ast.Call(func=ast.Name(id="failed"), args=[_, value, *_]):
                    found += codes_of(value)
    return set(found)


def test_each_code_is_explained_once() -> None:
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| code \| says \|\n(.*?)(?:\n\n|\Z)", page, re.M | re.S)
    cells = [line.split("|")[1] for table in tables for line in table.splitlines()[1:]]
    explained = [code for cell in cells for code in re.findall(r"`(\w+)`", cell)]
    assert [code for code, count in Counter(explained).items() if count > 1] == []
    assert codes_of_the_product() - set(explained) == set()
    source = "".join(path.read_text("utf-8") for path in (ROOT / "regengine").rglob("*.py"))
    assert [code for code in explained if f'"{code}"' not in source] == []


PYTHON_PAGES = [*PAGES, *sorted((ROOT / "docs").rglob("*.ipynb"))]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_the_package_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    used = re.findall(r"\brg\.(\w+)", text)
    if page.name in ("python.md", "api.md"):
        used += re.findall(r"\b[A-Z]\w*Error\b", text)
    assert [name for name in used if not hasattr(rg, name)] == []


def test_every_error_can_be_imported_from_the_package() -> None:
    errors = [
        name
        for name, thing in vars(regengine.errors).items()
        if isinstance(thing, type) and issubclass(thing, rg.RegengineError)
    ]
    assert len(errors) > 5
    assert [name for name in errors if getattr(rg, name, None) is None] == []
    assert set(errors) <= set(rg.__all__)


def test_the_page_of_licences_tells_what_the_packages_say() -> None:
    """``python .ci/licences.py`` writes it anew."""
    made = runpy.run_path(str(ROOT / ".ci" / "licences.py"))
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    assert made["HEAD"] + made["rows"]() in page
