"""The house keeps its order: imports one way, tests through doors, pages that can be typed."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from docs.field_tables import fill_in
from regengine.commands import RegengineGroup
from regengine.commands.lazy import leaves, load_command
from tests.conftest import ROOT
from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.sources import nodes_of

PACKAGES = ("detectors", "matchers", "regengine", "cli", "benchmarks")  # lowest first
PRODUCT = PACKAGES[:4]
ROOMS = (  # of `regengine`, lowest first; `api` and `options` are doors, which commands open
    *("errors", "io", "photo", "orbit", "maps", "store", "scene", "sky", "registration", "runs"),
    *("frames", "export", "score", "studies", "pages", "options", "api", "commands", "__main__"),
)
# What users have, and what tests of promises may import of the product
DOORS = {
    *("regengine", "regengine.errors", "regengine.orbit", "regengine.registration.parameters"),
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


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    files = {name: path for name, path in modules().items() if is_within(name, [package])}
    assert files
    wrong = {name: find_wrong_imports(package, nodes_of(path)) for name, path in files.items()}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_rooms_import_what_lies_below_them() -> None:
    wrong = []
    for name, path in modules().items():
        room = name.split(".")[1] if name.startswith("regengine.") else ""
        for one in imported_names(nodes_of(path)) if room else ():
            other = one.split(".")[1] if one.startswith("regengine.") else ""
            if other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
                wrong.append(f"{name}: {one}")
    assert wrong == []
    assert {path.name for path in (ROOT / "regengine").iterdir() if path.is_dir()} <= {
        *ROOMS, "data", "__pycache__"
    }  # fmt: skip


def test_no_modules_import_each_other() -> None:
    """Each can be read after what it needs: imports of types count as all others."""
    files = modules()
    needs = {
        name: {one for one in imported_names(nodes_of(path)) if one in files and one != name}
        for name, path in files.items()
    }
    assert sum(map(len, needs.values())) > len(files)  # they were looked at
    TopologicalSorter(needs).prepare()  # raises the circle


def test_no_files_of_the_page_import_each_other() -> None:
    source = ROOT / "regengine" / "pages" / "review" / "page" / "src"
    named = re.compile(r'\b(?:from|import)\b\s*\(?\s*"(\.[^"]*)"')
    needs: dict[Path, set[Path]] = {}
    for path in source.rglob("*.ts"):
        beside = [(path.parent / one).resolve() for one in named.findall(path.read_text("utf-8"))]
        files = [file for one in beside for file in (one.with_suffix(".ts"), one / "index.ts")]
        needs[path.resolve()] = {file for file in files if file.is_file()}
    assert sum(map(len, needs.values())) > len(needs)  # they were looked at
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


def test_each_class_has_a_name_of_its_own() -> None:
    files = [path for name, path in modules().items() if is_within(name, PRODUCT)]
    names = [
        node.name for path in files for node in nodes_of(path) if isinstance(node, ast.ClassDef)
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_tests_import_no_private_name() -> None:
    wrong = [
        f"{name}: {one}"
        for name, path in modules().items()
        if is_within(name, ["tests"])
        for one in imported_names(nodes_of(path))
        if is_within(one, PACKAGES) and re.search(r"\._(?!_)", one)
    ]
    assert wrong == []


def test_no_file_of_tests_stands_for_a_module_of_python() -> None:
    """Their folders are on the path of what tests start; two of one name pytest itself refuses."""
    files = [path for path in project_files() if path.is_relative_to(ROOT / "tests")]
    assert [path for path in files if path.stem in sys.stdlib_module_names] == []


@pytest.mark.slow
def test_a_photo_takes_the_path_that_newcomers_are_told(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    path = re.findall(r"^\d+\. `(regengine/\S+\.py)` `(\w+)`:", text, re.M)
    assert len(path) == 10
    taken: dict[tuple[str, str], None] = {}  # each where it was called first

    def note(frame: Any, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            taken[code.co_filename[len(str(ROOT)) + 1 :], code.co_name] = None

    words = ("--tle", ELEMENTS, "--lights", LIGHTS, "--store", tmp_path / "run.h5", "--workers", 0)
    sys.setprofile(note)
    try:
        said = run("register", SAMPLES / "ISS990-E-000103.jpg", *words)
    finally:
        sys.setprofile(None)
    assert said.code == 0, said.err
    assert [step for step in taken if step in path] == path


def test_a_photo_loads_nothing_that_few_photos_need() -> None:
    """Solvers of star fields and clients of servers are loaded where they are called."""
    code = "import sys, regengine.runs.register, regengine.runs.pipeline; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(told.stdout.split())
    assert "regengine.registration.register" in loaded, told.stderr
    assert loaded & {"scipy.optimize", "scipy.stats", "urllib3", "astropy", "sklearn"} == set()


# How much a reader has to know. A change that needs one more says here, behind the number, which it
# replaces, or why it replaces none
MOST = {
    "rooms": 15,
    "loose modules": 3,
    # detectors/__init__.py sets what OpenCV is to use, before any module imports it
    # sky.satellites.photo held predicted tracks and identification, too; detectors.star_trails is
    # what detectors of stars and of streaks share: three subjects that had no file of their own
    # compiled loops of streaks are apart: numba is imported by those alone who run them
    # scene.regions counts lights above and below the limb: no features of a whole picture
    # propose_from_station is a proposer of its own: the map in the station's projection
    "files": 226,
    # PatchFit is the part of Fit that points need, MapMatches what photo and map both show: neither
    # stands for another; Option is what a message names on both doors, and took the place of
    # sentences that were rewritten; Workers are elsewhere, an Executor works where it is asked;
    # LimbRegions are drawn, their LimbLights told; StationView and Sights are of the new proposer
    "classes": 378,
    "commands": 36,
    # classify --solve stands for classify and solve over all photos, which gave two answers
    # review --sheet, and --no-checks, which nobody can leave out for another
    # export --points, --resampling, --co and overlay --matches, which none could say
    # classify --overlay draws what the category follows from
    # import --confirm stands for opening each untouched photo in review to accept it
    "options": 319,
}


def test_the_house_grows_no_larger() -> None:
    product = [
        path
        for name, path in modules().items()
        if is_within(name, PRODUCT[:3]) and path.read_text(encoding="utf-8").count("\n") > 3
    ]
    kinds = Counter(type(node) for path in product for node in nodes_of(path))
    rooms = ROOT / "regengine"
    paths = [path for name in RegengineGroup.summaries for path in leaves_of(name)]
    options = [one for path in paths for one in path[-1].params if one.param_type_name == "option"]
    found = {
        "rooms": len(list(rooms.glob("*/__init__.py"))),
        "loose modules": len(list(rooms.glob("*.py"))) - 2,
        "files": len(product),
        "classes": kinds[ast.ClassDef],
        "commands": len(paths),
        "options": sum(one.name != "help" for one in options),
    }
    assert {name: n for name, n in found.items() if n > MOST[name]} == {}


AT_THE_ROOT = [ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")]
PAGES = [*AT_THE_ROOT, *sorted((ROOT / "docs").rglob("*.md"))]
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def test_pages_tell_the_bounds_that_the_shipped_calibration_holds() -> None:
    text = (ROOT / "regengine" / "registration" / "calibration.json").read_text(encoding="utf-8")
    kinds = {one["kind"]: one for one in json.loads(text)["tested"]["kinds"]}
    readme, concepts, method = (
        (ROOT / page).read_text(encoding="utf-8")
        for page in ("README.md", "docs/concepts.md", "docs/methods/probability.md")
    )
    told = {name: [method] for name in kinds}
    told["time told"], told["nothing told"] = [method, readme, concepts], [method, readme]
    for name, pages in told.items():
        accepted, bound = f"{kinds[name]['accepted']:,}", 100.0 * kinds[name]["wrong_rate_upper_95"]
        for page in pages:
            (line,) = (one for one in page.splitlines() if re.search(rf"\b{accepted}\b", one))
            assert min(abs(float(one) - bound) for one in re.findall(r"([\d.]+) %", line)) < 0.01


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
    """Those of pages to files; `make docs` sees their parts."""
    wrong = [
        (page.name, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert wrong == []


def test_each_code_is_explained_once() -> None:
    page = fill_in((ROOT / "docs" / "concepts.md").read_text(encoding="utf-8"))
    tables = re.findall(r"^\| code \| says \|[^\n]*\n(.*?)(?:\n\n|\Z)", page, re.M | re.S)
    cells = [line.split("|")[1] for table in tables for line in table.splitlines()[1:]]
    explained = [code for cell in cells for code in re.findall(r"`(\w+)`", cell)]
    assert [code for code, count in Counter(explained).items() if count > 1] == []
    source = "".join(path.read_text("utf-8") for path in (ROOT / "regengine").rglob("*.py"))
    assert set(re.findall(r'\bcode="(\w+)"', source)) - set(explained) == set()
    assert [code for code in explained if f'"{code}"' not in source] == []
