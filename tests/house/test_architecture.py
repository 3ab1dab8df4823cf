"""The house keeps its order: imports one way, nothing of strangers."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from tests.world.sources import parsed

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("detectors", "matchers", "regengine", "cli", "benchmarks")  # lowest first
TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "benchmarks",
    "cli.py",
    "data_samples",
    "detectors",
    "docs",
    "matchers",
    "LICENSE",
    "pyproject.toml",
    "regengine",
    "tests",
}
PURE = ("detectors", "matchers")
# Arithmetic of one package alone, and how words are read
PURE_MODULES = (
    "regengine.photo.record_values",
    "regengine.points.resection",
    "regengine.sky.satellites.streak_naming",
    *("regengine.sky.stars.lens_fit", "regengine.sky.stars.star_fit"),
    *("regengine.sky.stars.star_search", "regengine.sky.stars.star_verify"),
)
FORBIDDEN_MODULES = {"logging", "urllib", "socket", "http", "requests", "subprocess", "pathlib"}
FORBIDDEN_CALLS = {"open", "print", "imread", "imwrite", "fromfile", "tofile", "memmap", "loadtxt"}


@cache
def project_files() -> tuple[Path, ...]:
    """Files of the project: all but those that .gitignore names."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(line.rstrip("/") for line in lines if line)]

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in ignored):
                continue
            if path.is_dir() and not path.is_symlink():
                yield from walk(path)
            else:
                yield path

    return tuple(walk(ROOT))


def modules(*packages: str) -> list[Path]:
    found = [ROOT / "cli.py"] if "cli" in packages else []
    for package in packages:
        found += sorted((ROOT / package).rglob("*.py"))
    return found


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Everything that a module imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and node.args and called_name(node) == "import_module":
            text = node.args[0]
            if isinstance(text, ast.JoinedStr):
                text = text.values[0]
            if isinstance(text, ast.Constant):
                yield str(text.value)


def called_name(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def wrong_imports(package: str, tree: ast.AST) -> list[str]:
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    allowed_elsewhere = {"tests", *above}
    names = imported_names(tree)
    return [name for name in names if name.split(".")[0] in allowed_elsewhere or name[0] == "."]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in modules(package)
        if (names := wrong_imports(package, parsed(path)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "source",
    [
        "import regengine",
        "from regengine.errors import FrameError",
        "def f():\n    import benchmarks.simulate",
        "from . import earth",
        "import importlib\nimportlib.import_module('regengine.photo.frame')",
    ],
)
def test_the_import_rule_sees_what_it_forbids(source: str) -> None:
    assert wrong_imports("matchers", ast.parse(source)) != []


def module_name(path: Path) -> str:
    """The name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needed_modules(name: str, tree: ast.AST, known: Collection[str]) -> set[str]:
    """Modules of the project that one names: for types alone and within functions, too.

    Of plug-ins, which are found by being there, no name is written down. A package is needed where
    it is named: that one is there before its modules is Python's business.
    """
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                named |= {node.module, f"{node.module}.{alias.name}"}
    return {one for one in named if one in known and one != name}


def circles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Modules that need each other, by circle: strongly connected components (Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        path.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
            if other in path:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == number[name]:
            first = path.index(name)
            if len(path) > first + 1:
                found.append(sorted(path[first:]))
            del path[first:]

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return found


def test_no_modules_import_each_other() -> None:
    """Each can be read after what it needs: the imports of types count as all others."""
    files = {module_name(path): path for path in modules(*PACKAGES, "tests")}
    graph = {name: needed_modules(name, parsed(path), files) for name, path in files.items()}
    assert sum(map(len, graph.values())) > len(graph)  # they were looked at
    assert circles(graph) == []


@pytest.mark.parametrize(
    "source",
    [
        "import a.two",
        "from a.two import f",
        "from a import two",
        "def f():\n    import a.two",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.two import f",
    ],
)
def test_the_rule_of_circles_sees_what_it_forbids(source: str) -> None:
    trees = {"a": "", "a.one": source, "a.two": "import a.three", "a.three": "import a.one"}
    graph = {name: needed_modules(name, ast.parse(text), trees) for name, text in trees.items()}
    assert circles(graph) == [["a.one", "a.three", "a.two"]]
    assert circles(graph | {"a.three": set()}) == []


SHARED_BY_COMMANDS = {"help_text", "lazy", "line_output", "options", "typer_options"}


def test_no_command_imports_another() -> None:
    """What two of them need lies where Python can call it; a group names its own commands."""
    files = {path.stem: path for path in (ROOT / "regengine" / "commands").glob("[!_]*.py")}
    assert files.keys() > SHARED_BY_COMMANDS
    known = {f"regengine.commands.{name}" for name in files.keys() - SHARED_BY_COMMANDS}
    wrong = {}
    for name, path in files.items():
        others = needed_modules(module_name(path), parsed(path), known)
        if strangers := {x for x in others if not x.startswith(f"{module_name(path)}_")}:
            wrong[name] = strangers
    assert wrong == {}


def test_top_level_holds_only_what_the_layout_names() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in project_files()}
    assert entries - TOP_LEVEL == set()


def test_no_file_is_a_link() -> None:
    """It would lead out of the project, or nowhere, on another machine."""
    assert [path for path in project_files() if path.is_symlink()] == []


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    """pytest imports them by their bare names: of two alike, the second is not collected."""
    names = Counter(path.name for path in project_files() if fnmatch(path.name, "test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []
    assert names["test_architecture.py"] == 1  # they were looked at


def impurities(tree: ast.AST) -> list[str]:
    """Where arithmetic would touch files, logs, clocks or the network."""
    found = [name for name in imported_names(tree) if name.split(".")[0] in FORBIDDEN_MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called_name(node) in FORBIDDEN_CALLS:
            found.append(f"line {node.lineno}: {called_name(node)}()")
    return found


def pure_files() -> list[Path]:
    alone = [ROOT / f"{name.replace('.', '/')}.py" for name in PURE_MODULES]
    return [*modules(*PURE), *alone]


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_arithmetic_touches_no_file_and_logs_nothing(path: Path) -> None:
    assert impurities(parsed(path)) == []


@pytest.mark.parametrize(
    "source",
    ["open('a')", "import logging", "def f():\n    from urllib import request", "print(1)"],
)
def test_the_purity_rule_sees_what_it_forbids(source: str) -> None:
    assert impurities(ast.parse(source)) != []


# Tests rely on what users have: the doors, and not what lies behind them

PRODUCT = ("regengine", "detectors", "matchers", "cli")
DOORS = (
    *("regengine", "regengine.errors", "regengine.orbit"),
    "regengine.registration.parameters",
    *("regengine.registration.day.parameters", "regengine.registration.streets.parameters"),
    *("detectors", "matchers"),
)
OF_TESTS = (
    "tests.world",
    "tests.example_results",
    "tests.command_line",
    "tests.conftest",
    "tests.tle_lines",
)
MAX_REPLACED = 3  # of the product by tests; this only goes down
MIN_SHARE_BY_DOORS = 0.56  # and this only up


def sources_of_tests() -> Iterator[tuple[Path, ast.Module]]:
    for path in modules("tests"):
        yield path.relative_to(ROOT), parsed(path)


def bound_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names that a module imports from the product: as they are called, and where they are from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in PRODUCT:
                    yield (alias.asname or alias.name.split(".")[0]), alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PRODUCT:
            for alias in node.names:
                yield (alias.asname or alias.name), str(node.module)


def replacements(tree: ast.AST) -> list[int]:
    """Lines in which something of the product is replaced for a test."""
    ours = {name for name, _ in bound_names(tree)}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if called_name(node) not in ("setattr", "patch", "object", "dict"):
            continue
        function = ast.unparse(node.func)
        if not re.search(r"\bsetattr$|\bpatch(\.object|\.dict)?$", function):
            continue
        target = ast.unparse(node.args[0]).strip("'\"")
        if target.split(".")[0] in {*ours, *PRODUCT} and function != "setattr":
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("from regengine import batch\nmonkeypatch.setattr(batch, 'run', None)", 1),
        ("monkeypatch.setattr('regengine.batch.run', None)", 1),
        ("from unittest import mock\nmock.patch('regengine.batch.run')", 1),
        ("import os\nmonkeypatch.setattr(os, 'replace', None)", 0),
        ("monkeypatch.setattr('socket.socket', None)", 0),
    ],
)
def test_the_rule_of_replacing_sees_what_it_counts(source: str, count: int) -> None:
    assert len(replacements(ast.parse(source))) == count


def test_no_more_of_the_product_is_replaced_by_tests_than_before() -> None:
    found = {str(path): lines for path, tree in sources_of_tests() if (lines := replacements(tree))}
    count = sum(map(len, found.values()))
    assert count <= MAX_REPLACED, found


def test_tests_of_use_go_through_the_doors_alone() -> None:
    wrong = {}
    for path in sorted((ROOT / "tests" / "use").glob("*.py")):
        names = set(imported_names(parsed(path)))
        ours = {name for name in names if name.split(".")[0] in {*PRODUCT, "benchmarks", "tests"}}
        inside = {
            name
            for name in ours - set(DOORS)
            if not name.startswith(("detectors.", "matchers.", *OF_TESTS))
        }
        if inside:
            wrong[path.name] = sorted(inside)
    assert wrong == {}


def test_names_come_through_the_doors_as_often_as_before() -> None:
    """Of those of the product that tests import."""
    names = [where for _, tree in sources_of_tests() for _, where in bound_names(tree)]
    doors = {*DOORS, *PURE_MODULES}
    by_door = [name for name in names if name in doors or name.split(".")[0] in PURE]
    assert len(by_door) / len(names) >= MIN_SHARE_BY_DOORS, (len(by_door), len(names))


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions, methods and classes without a docstring."""

    def visit(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
        for child in node.body:
            if not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                continue
            if child.name.startswith("_") or "overload" in map(ast.unparse, child.decorator_list):
                continue
            if not ast.get_docstring(child):
                yield f"{prefix}{child.name}"
            if isinstance(child, ast.ClassDef):
                yield from visit(child, f"{child.name}.")

    missing = list(visit(tree, ""))
    return missing if ast.get_docstring(tree) or not tree.body else ["the module", *missing]


def test_everything_public_is_documented() -> None:
    missing = {
        str(path.relative_to(ROOT)): names
        for path in modules("regengine", "detectors", "matchers", "cli")
        if (names := undocumented(parsed(path)))
    }
    assert missing == {}


# Words of one machine or of one package index, which mean nothing to a reader elsewhere.
FOREIGN = re.compile(
    r"/(?:root|mnt)/|(?<!\.)/(?:work)/|/(?:home|Users|opt)/\w|[A-Z]:\\\\"
    r"|file:///(?!etc/|x\b)|--(?:extra-)?index-url|pypi\.org|pythonhosted|mirror(?:s)?\.\w|artifactory|/simple/"
)
BINARY = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".h5", ".npz"}


def test_text_names_no_machine_and_no_index() -> None:
    found = []
    for path in project_files():
        if path.suffix.lower() in BINARY or path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        lines = enumerate(text.splitlines(), start=1)
        found += [f"{path.relative_to(ROOT)}:{n}: {x}" for n, x in lines if FOREIGN.search(x)]
    assert found == []


def test_nothing_is_left_unfinished() -> None:
    unfinished = re.compile(r"\b(?:TODO|FIXME|XXX)\b|raise NotImplementedError")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in modules(*PACKAGES)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unfinished.search(line)
    ]
    assert found == []


SMALLEST_COPY = 64  # bytes: smaller files, such as an empty line, are alike by chance


# Of NASA, free to publish, each by its name: no folder is exempt
FREE_COPIES = {
    "regengine/data/blue_marble.tif",
    *(
        f"data_samples/photos/ISS{frame}.jpg"
        for frame in (
            *("028-E-31144", "029-E-34192", "030-E-184140", "030-E-68922", "030-E-82770"),
            *("031-E-151873", "038-E-11205", "038-E-36641", "043-E-298868", "053-E-13244"),
            "071-E-234765",
        )
    ),
}


def test_nothing_of_the_real_data_is_in_the_project(real_data: Path) -> None:
    """Compares by size first, so that only a few of the real files have to be read."""
    ours = {
        path: size
        for path in project_files()
        if (size := path.stat().st_size) >= SMALLEST_COPY
        and path.relative_to(ROOT).as_posix() not in FREE_COPIES
    }
    sizes = set(ours.values())
    theirs = [path for path in real_data.rglob("*") if path.is_file()]
    alike = [path for path in theirs if path.stat().st_size in sizes]
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in alike}
    copied = [
        path.relative_to(ROOT)
        for path in ours
        if hashlib.sha256(path.read_bytes()).hexdigest() in hashes
    ]
    assert copied == []


def test_samples_are_small() -> None:
    samples = [path for path in project_files() if path.is_relative_to(ROOT / "data_samples")]
    assert sum(path.stat().st_size for path in samples) <= 15_000_000


ASTROPY_GUARD = "auto_download"


def test_astropy_never_downloads() -> None:
    """Whatever imports astropy while running says, before it is used, that nothing is fetched.

    Its readers of FITS files and of their projections fetch nothing of themselves.
    """
    users = [
        path
        for path in modules("regengine", "detectors", "matchers", "cli")
        if any(
            name.split(".")[0] == "astropy" and not name.startswith(("astropy.io", "astropy.wcs"))
            for name in imported_names(parsed(path))
        )
    ]
    assert len(users) <= 1, "astropy is imported in more than one module"
    assert [path for path in users if ASTROPY_GUARD not in path.read_text(encoding="utf-8")] == []
