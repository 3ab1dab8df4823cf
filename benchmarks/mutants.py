r"""How many small errors, put into the code at random, the tests find.

What the tests reach is measured once, by the quick tests of a tree::

    cd TREE
    PYTHONPATH=$PWD COVERAGE_FILE=CONTEXTS python -m pytest -q \
        -m "not (slow or real or browser or server)" \
        --cov --cov-report= --cov-context=test --junitxml=TIMES.xml

Then errors are drawn, and each is judged by tests that reach its line (``make mutants``). With
``--module regengine/maps/places.py`` so many are drawn from each such file, and told of each.

An error is *found* where a test fails or does not come to an end. Lines that only a fixture reached
are booked on all tests of the file that asked for it first; compiled functions, whose lines
coverage does not see, on the tests of ``COMPILED``.
"""

from __future__ import annotations

import ast
import copy
import difflib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

from typer import Option

from benchmarks.options import Workers
from benchmarks.pages import share, tell
from regengine.errors import ConfigError

PACKAGES = ("regengine", "detectors", "matchers")
PAIRS: tuple[tuple[type[ast.AST], type[ast.AST]], ...] = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq)),
    *((ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.And, ast.Or)),
)
SWAPS = dict(PAIRS) | {other: one for one, other in PAIRS}
KINDS = ("number", "operator", "rest")  # drawn equally often
FIRST_TESTS = 12
UNTIMED_S = 1.0  # of a test that the report does not have
REST_S = 40.0  # of further tests, where those pass
LIMIT_S = 90.0  # beside eight times what the tests took without an error
# Tests of what is compiled, whose lines coverage does not see
COMPILED = {f"tests/oracle/test_{name}.py" for name in ("geometry", "poses", "patches")}
COMPILED |= {
    f"tests/oracle/test_{name}.py" for name in ("light_matching", "asterisms", "detectors_streaks")
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One error: the text that stands instead of a node of a file."""

    file: str
    kind: str
    lines: tuple[int, ...]
    span: tuple[int, int]
    text: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.span[0]] + self.text.encode() + source[self.span[1] :]


def find_mutants(file: str, source: bytes) -> list[Mutant]:
    """Every place of a file that an error can be put at: within functions, in what they do."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []

    def add(kind: str, node: ast.expr | ast.stmt, text: str, first_line: int) -> None:
        span = (
            starts[node.lineno - 1] + node.col_offset,
            starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0),
        )
        lines = (first_line, *range(node.lineno, (node.end_lineno or 0) + 1))
        found.append(Mutant(file=file, kind=kind, lines=lines, span=span, text=text))

    def visit(node: ast.AST, line: int) -> None:
        if isinstance(node, (ast.Assert, ast.Raise, ast.JoinedStr)) or _is_remark(node):
            return
        line = node.lineno if isinstance(node, ast.stmt) else line
        for kind, changed in _changes(node):
            text = ast.unparse(changed)
            assert isinstance(node, (ast.expr, ast.stmt))
            add(kind, node, text if isinstance(node, ast.stmt) else f"({text})", line)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(
                node, ast.Call
            ):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, line)

    for function in _outer_functions(ast.parse(source)):
        for statement in function.body:
            visit(statement, statement.lineno)
    return found


def _outer_functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child
        elif isinstance(child, (ast.ClassDef, ast.If, ast.Try)):
            yield from _outer_functions(child)


def _is_remark(node: ast.AST) -> bool:
    """A docstring, or a call that logs or warns."""
    if not isinstance(node, ast.Expr):
        return False
    words = ast.unparse(node.value)
    return isinstance(node.value, ast.Constant) or words.startswith(("log", "warnings.", "print("))


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Each error that can take a node's place, and its kind."""
    changed = copy.deepcopy(node)
    match changed:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            yield "number", ast.Constant(value + 1)
        case ast.Compare():
            for k, operator in enumerate(changed.ops):
                if type(operator) in SWAPS:
                    other = copy.deepcopy(changed)
                    other.ops[k] = SWAPS[type(operator)]()  # type: ignore[call-overload]
                    yield "operator", other
        case ast.BinOp() | ast.AugAssign() if type(changed.op) in SWAPS:
            changed.op = SWAPS[type(changed.op)]()  # type: ignore[assignment]
            yield "operator", changed
        case ast.BoolOp():
            changed.op = SWAPS[type(changed.op)]()  # type: ignore[assignment]
            yield "rest", changed
        case ast.UnaryOp(op=ast.Not()):
            yield "rest", changed.operand
        case ast.Expr(value=ast.Call()):
            yield "rest", ast.Pass()
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "rest", ast.Return(ast.Constant(None))


def draw_mutants(tree: Path, module: str, n: int, seed: int) -> list[Mutant]:
    """Errors by package in equal shares of lines, a third of each kind, in random order.

    Of one file or folder, where that is named.
    """
    rng = random.Random(seed)
    weights: Counter[str] = Counter()
    places: dict[str, list[Mutant]] = defaultdict(list)
    for top in PACKAGES:
        for path in sorted((tree / top).rglob("*.py")):
            file = path.relative_to(tree).as_posix()
            if not is_within(file, module):
                continue
            package = "/".join(file.split("/")[:-1][:2])
            source = path.read_bytes()
            weights[package] += source.count(b"\n")
            places[package] += find_mutants(file, source)
    packages = [name for name in weights if places[name]]
    drawn: dict[Mutant, None] = {}
    for _ in range(100 * n):
        package = rng.choices(packages, [weights[name] for name in packages])[0]
        kind = rng.choice(KINDS)
        if choice := [one for one in places[package] if one.kind == kind]:
            drawn[rng.choice(choice)] = None
        if len(drawn) == n:
            break
    return list(drawn)


def is_within(file: str, module: str) -> bool:
    """Whether a file is a module, named by path or with dots, or lies in it; in "" all do."""
    path = module if "/" in module else module.removesuffix(".py").replace(".", "/")
    path = path.removesuffix(".py").rstrip("/")
    return not path or file.removesuffix(".py") == path or file.startswith(f"{path}/")


class Tests:
    """Which tests reach a line, and how long each takes."""

    def __init__(self, contexts: Path, times: Path, known: set[str]) -> None:
        """From coverage's file by test, the session's junit.xml, and the tests that there are."""
        from coverage import CoverageData

        self.data = CoverageData(str(contexts))
        self.data.read()
        cases = list(ET.parse(times).iter("testcase"))  # noqa: S314
        taken = {f"{case.get('classname')}.{case.get('name')}": case for case in cases}
        self.seconds: dict[str, float] = {}
        for test in known:
            case = taken.get(_junit_name(test))
            if case is None or not {child.tag for child in case} & {"failure", "error", "skipped"}:
                self.seconds[test] = UNTIMED_S if case is None else float(case.get("time") or 0.0)
        self.files = self.data.measured_files()

    def reaching(self, mutant: Mutant) -> list[str]:
        """Tests to try, the quickest of each function first; compiled code by its package's."""
        name = next((name for name in self.files if name.endswith("/" + mutant.file)), None)
        by_line = self.data.contexts_by_lineno(name) if name else {}
        seen = {context for line in mutant.lines for context in by_line.get(line, ())} - {""}
        tests = [test for test, _, when in (one.rpartition("|") for one in seen) if when != "setup"]
        fixtures = {one.partition("::")[0] for one in seen if one.endswith("|setup")}
        if "/compiled" in mutant.file:
            fixtures |= COMPILED
        further = [test for test in self.seconds if test.startswith(tuple(fixtures))]
        return [*self._in_order(tests), *self._in_order(set(further) - set(tests))]

    def _in_order(self, tests: Sequence[str] | set[str]) -> list[str]:
        times: Counter[str] = Counter()
        ranked = []
        known = set(tests) & self.seconds.keys()
        for test in sorted(known, key=lambda one: (self.seconds[one], one)):
            function = test.partition("[")[0]
            ranked.append((times[function], test))
            times[function] += 1
        return [test for _, test in sorted(ranked, key=lambda one: one[0])]


def _junit_name(test: str) -> str:
    head, bracket, rest = test.partition("[")
    file, *names = head.split("::")
    return ".".join([file.removesuffix(".py").replace("/", "."), *names]) + bracket + rest


def run_pytest(tree: Path, words: Sequence[str], limit_s: float) -> tuple[int | None, str]:
    """Exit code of a run of pytest in a tree, None where it did not end, and what it printed."""
    own = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=tree,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, ""
    return process.returncode, out


def judge(tree: Path, original: Path, mutant: Mutant, tests: Tests) -> str:
    """What became of an error in a copy of the tree: found, unended, missed or unreached."""
    order = tests.reaching(mutant)
    first = order[:FIRST_TESTS]
    rest, total = [], 0.0
    for test in order[FIRST_TESTS:]:
        total += tests.seconds[test]
        if total > REST_S:
            break
        rest.append(test)
    if not first:
        return "unreached"
    path = tree / mutant.file
    path.write_bytes(mutant.apply(path.read_bytes()))
    try:
        for some in filter(None, (first, rest)):
            limit_s = LIMIT_S + 8.0 * sum(tests.seconds[test] for test in some)
            code, _ = run_pytest(tree, ["-x", *some], limit_s)
            if code != 0:
                return "unended" if code is None else "found"
        return "missed"
    finally:
        # with the times that they had, so that what is compiled and kept stays good
        shutil.copy2(original / mutant.file, path)
        if mutant.file.startswith("matchers/"):
            for cache in (original / "matchers").rglob("__pycache__"):
                again = tree / cache.relative_to(original)
                shutil.copytree(cache, again, dirs_exist_ok=True)


def main(
    *,
    contexts: Annotated[Path, Option(help="coverage's file")],
    times: Annotated[Path, Option(help="the same session's junit.xml")],
    tree: Annotated[Path, Option(help="a checkout; its copies alone are changed")] = Path(),
    module: Annotated[
        list[str] | None, Option(metavar="PATH", help="file or folder: so many errors of each")
    ] = None,
    seed: int = 0,
    n: Annotated[int, Option("-n", help="errors; of each module, where named")] = 100,
    minutes: Annotated[float, Option(help="no error is begun after these")] = 14.0,
    wanted: Annotated[float, Option(help="exit with 1 where a smaller share is found")] = 0.0,
    workers: Workers = 1,
) -> None:
    """Draw errors, judge them in copies of the tree, print what was found and what was not."""
    end, tree = time.monotonic() + 60.0 * minutes, tree.resolve()
    code, said = run_pytest(tree, ["--collect-only"], 600.0)
    if code != 0:
        raise ConfigError(f"The tests of {tree} cannot be collected:\n{said}")
    tests = Tests(contexts, times, {line for line in said.splitlines() if "::" in line})
    drawn = []
    for one in dict.fromkeys(module or [""]):
        drawn += draw_mutants(tree, one, n, seed)
        if not drawn:
            raise ConfigError(f"{one} holds nothing that an error could be put at.")
    fates: list[str | None] = []
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        skipped = shutil.ignore_patterns(".git", ".*_cache", "out", "node_modules")
        for k in range(workers):
            copies.put(shutil.copytree(tree, Path(folder) / str(k), ignore=skipped, symlinks=True))

        def attempt(mutant: Mutant) -> str | None:
            if time.monotonic() > end:
                return None
            place = copies.get()
            try:
                fate = judge(place, tree, mutant, tests)
            finally:
                copies.put(place)
            tell(f"{fate:9s} {mutant.file}:{mutant.lines[0]} {mutant.kind}")
            return fate

        with ThreadPoolExecutor(workers) as pool:
            fates = list(pool.map(attempt, drawn))
    if report(tree, drawn, fates, module or []) < wanted:
        raise SystemExit(1)


def report(
    tree: Path, drawn: Sequence[Mutant], fates: Sequence[str | None], modules: Sequence[str]
) -> float:
    """Print the share that was found, each module's, and every error that was not."""
    tried = [(mutant, fate) for mutant, fate in zip(drawn, fates, strict=True) if fate]
    caught = [mutant for mutant, fate in tried if fate in ("found", "unended")]
    if tried:
        print(f"found {share(len(caught), len(tried))}")
    print(dict(Counter(fate for _, fate in tried)), f"{len(drawn) - len(tried)} not tried")
    for module in filter(None, modules):
        here = [mutant for mutant, _ in tried if is_within(mutant.file, module)]
        print(f"{sum(one in caught for one in here):4d} of {len(here):3d} {module}")
    for mutant, fate in tried:
        if fate != "found":
            source = (tree / mutant.file).read_bytes()
            before, after = source.decode(), mutant.apply(source).decode()
            diff = difflib.unified_diff(
                before.splitlines(), after.splitlines(), mutant.file, fate, n=1, lineterm=""
            )
            print("", *diff, sep="\n")
    return len(caught) / max(len(tried), 1)
