"""The house keeps its order: imports one way, tests through doors, nothing of strangers."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.world.sources import nodes_of

PACKAGES = ("detectors", "matchers", "regengine", "cli", "benchmarks")  # lowest first
PRODUCT = PACKAGES[:4]
# Arithmetic alone, and how words are read: no files, logs, clocks or network
PURE = (
    *("detectors", "matchers", "regengine.photo.record_values", "regengine.points.resection"),
    "regengine.sky.satellites.streak_naming",
    *("regengine.sky.stars.lens_fit", "regengine.sky.stars.star_fit"),
    *("regengine.sky.stars.star_search", "regengine.sky.stars.star_verify"),
)
IMPURE_MODULES = {"logging", "urllib", "socket", "http", "requests", "subprocess", "pathlib"}
IMPURE_CALLS = {"open", "print", "imread", "imwrite", "fromfile", "tofile", "memmap", "loadtxt"}
# What users have, and what tests of promises may import of the product
DOORS = {
    *("regengine", "regengine.errors", "regengine.orbit", "regengine.registration.parameters"),
    *("regengine.registration.day.parameters", "regengine.registration.streets.parameters"),
}
THROUGH_DOORS = ("tests.contract.", "tests.state.")


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


def module_name(path: Path) -> str:
    """The name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Files of Python, of tests too, by the names by which they are imported."""
    tops = (*PACKAGES, "tests")
    files = [path for path in project_files() if path.suffix == ".py"]
    named = {module_name(path): path for path in files}
    return {name: path for name, path in named.items() if name.split(".")[0] in tops}


def is_within(name: str, tops: Iterable[str]) -> bool:
    """Whether a module is one of these, or lies in one."""
    return any(name == top or name.startswith(f"{top}.") for top in tops)


def called_name(node: ast.Call) -> str:
    function = node.func
    return getattr(function, "attr", None) or getattr(function, "id", "")


def imported_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What is imported, within functions and for types too: modules, and names of them."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and called_name(node) == "import_module":
            text = (
                node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            )
            if isinstance(text, ast.Constant):
                yield str(text.value)


def find_wrong_imports(package: str, nodes: Iterable[ast.AST]) -> list[str]:
    """Imports from above, of tests, or relative ones."""
    above = {*PACKAGES[PACKAGES.index(package) + 1 :], "tests"}
    return [name for name in imported_names(nodes) if name[0] == "." or is_within(name, above)]


def find_impurities(nodes: Iterable[ast.AST]) -> list[str]:
    """Where arithmetic would touch files, logs, clocks or the network."""
    nodes = list(nodes)
    found = [name for name in imported_names(nodes) if name.split(".")[0] in IMPURE_MODULES]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return found + [called_name(node) for node in calls if called_name(node) in IMPURE_CALLS]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    files = {name: path for name, path in modules().items() if is_within(name, [package])}
    assert files
    wrong = {name: find_wrong_imports(package, nodes_of(path)) for name, path in files.items()}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_arithmetic_touches_no_file_and_logs_nothing() -> None:
    files = {name: path for name, path in modules().items() if is_within(name, PURE)}
    assert len(files) > len(PURE)
    wrong = {name: find_impurities(nodes_of(path)) for name, path in files.items()}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_no_modules_import_each_other() -> None:
    """Each can be read after what it needs: imports of types count as all others."""
    files = modules()
    needs = {
        name: {one for one in imported_names(nodes_of(path)) if one in files and one != name}
        for name, path in files.items()
    }
    assert sum(map(len, needs.values())) > len(files)  # they were looked at
    TopologicalSorter(needs).prepare()  # raises the circle


def test_tests_of_promises_go_through_the_doors() -> None:
    """Those of the product that users have; `detectors` and `matchers` are libraries."""
    wrong = {}
    for name, path in modules().items():
        if name.startswith(THROUGH_DOORS):
            ours = [one for one in imported_names(nodes_of(path)) if is_within(one, ["regengine"])]
            behind = [
                one for one in ours if one not in DOORS and one.rpartition(".")[0] not in DOORS
            ]
            wrong |= {name: behind} if behind else {}
    assert wrong == {}


def test_tests_import_no_private_name() -> None:
    wrong = [
        f"{name}: {one}"
        for name, path in modules().items()
        if is_within(name, ["tests"])
        for one in imported_names(nodes_of(path))
        if is_within(one, PACKAGES) and re.search(r"\._(?!_)", one)
    ]
    assert wrong == []


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    """pytest imports them by their bare names: of two alike, the second is not collected.

    Their folders are on the path of what tests start: none may stand for a module of Python.
    """
    files = [path for path in project_files() if path.is_relative_to(ROOT / "tests")]
    names = Counter(path.name for path in files if fnmatch(path.name, "test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []
    assert [path for path in files if path.stem in sys.stdlib_module_names] == []
    assert names["test_architecture.py"] == 1  # they were looked at


# Words of one machine or of one package index, which mean nothing to a reader elsewhere.
FOREIGN = re.compile(
    r"/(?:root|mnt)/|(?<!\.)/(?:work)/|/(?:home|Users|opt)/\w|[A-Z]:\\\\"
    r"|file:///(?!etc/|x\b)|--(?:extra-)?index-url|pypi\.org|pythonhosted|mirror(?:s)?\.\w|artifactory|/simple/"
)
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b|raise NotImplementedError")
BINARY = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".h5", ".npz", ".gz", ".idx"}


def test_text_names_no_machine_and_no_index_and_nothing_is_left_unfinished() -> None:
    found = []
    for path in project_files():
        if path.suffix.lower() in BINARY or path == Path(__file__):
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        is_ours = path.suffix == ".py" and is_within(module_name(path), PACKAGES)
        for number, line in enumerate(lines, start=1):
            if FOREIGN.search(line) or (is_ours and UNFINISHED.search(line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line}")
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


def test_astropy_never_downloads() -> None:
    """Its readers of FITS files and of their projections, all that is used, fetch nothing."""
    names = {
        one
        for name, path in modules().items()
        if is_within(name, PRODUCT)
        for one in imported_names(nodes_of(path))
        if is_within(one, ["astropy"])
    }
    assert names
    assert [one for one in names if not is_within(one, ("astropy.io", "astropy.wcs"))] == []


HEAVY = ("numpy", "numba", "cv2", "astropy", "rasterio", "scipy", "sklearn", "skimage", "h5py")
LOAD_COMMANDS = f"""
import sys
from regengine.commands import RegengineGroup, run
from regengine.commands.lazy import load_command

def tell(what):
    print(what, [name for name in {(*HEAVY, "pyproj")} if sys.modules.pop(name, None)])

sys.argv = ["regengine", "--help"]
try:
    run()
except SystemExit:
    print()
tell("help")
for name in RegengineGroup.summaries:
    load_command(name)
    tell(name)
"""


def test_neither_help_nor_the_modules_of_commands_import_anything_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOAD_COMMANDS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = result.stdout.rpartition("\n\n")[2].splitlines()
    assert len(lines) > 20
    assert [line for line in lines if not line.endswith(" []")] == []
