"""Names are the field's: functions begin with verbs, bounds are min and max."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.world.sources import parsed

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("regengine", "detectors", "matchers", "benchmarks")
MIN_VERB_SHARE = 0.5
# First words of functions that are verbs in the imperative, or the third person of a question
VERBS = frozenset((Path(__file__).parent / "verbs.txt").read_text(encoding="utf-8").split())
# Alone they say what became of something, not what the function does
PARTICIPLES = re.compile(
    r"_?(told|held|shown|found|drawn|seen|known|met|grown|kept|left|given|written|chosen|made|lit"
    r"|[a-z]{3,}(?<![nfs]e)(?<!ce)ed)"
)
BOUNDS = re.compile(r"_?(LEAST|MOST|FEWEST)(_|$)")


def functions(package: str) -> Iterator[tuple[str, str, bool]]:
    """Place and name of each function that is no property, and whether its module has it."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        tree = parsed(path)
        top = {id(one) for one in tree.body}
        for one in ast.walk(tree):
            if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            is_property = any("property" in ast.unparse(it) for it in one.decorator_list)
            if not one.name.startswith("__") and not is_property:
                yield f"{path.relative_to(ROOT)}:{one.lineno}", one.name, id(one) in top


def test_half_of_the_functions_begin_with_a_verb():
    names = [name for package in PACKAGES for _, name, _ in functions(package)]
    verbs = [name for name in names if name.lstrip("_").split("_")[0] in VERBS]
    assert len(verbs) >= MIN_VERB_SHARE * len(names)


def test_no_function_of_a_module_is_called_by_a_participle_alone():
    wrong = [
        f"{place} {name}"
        for package in PACKAGES[:3]
        for place, name, is_top in functions(package)
        if is_top and PARTICIPLES.fullmatch(name)
    ]
    assert not wrong


def test_bounds_are_called_min_and_max():
    wrong = [
        f"{path.relative_to(ROOT)}: {name.id}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "node_modules" not in path.parts
        for name in ast.walk(parsed(path))
        if isinstance(name, ast.Name) and BOUNDS.match(name.id)
    ]
    assert not wrong
