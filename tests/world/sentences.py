"""The sentences that a user can see, out of the sources: errors, reasons, help and progress."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tests.world.sources import parsed

ROOT = Path(__file__).resolve().parents[2]
MIN_WORDS = 3  # fewer are names, keys and headings
_WORD = re.compile(r"(?<![\w<&$/.:-])[A-Za-z][a-z']*(?![\w<&(=/])")
# Texts for other programs: SQL, markup, formats
_FOREIGN = re.compile(
    r"\b(SELECT|CREATE|INSERT|DELETE FROM|UPDATE|PRAGMA|VALUES|COLLATE|NOT NULL)\b"
    r"|^\s*<|\\[dsw(]|xml"
)


class Sentence(NamedTuple):
    """A text of the sources, its placeholders as ``{}``, and what it is for."""

    file: str
    line: int
    kind: str
    text: str


def list_sentences(*packages: str) -> list[Sentence]:
    """Texts of at least three words in packages, without documentation of what is no command."""
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [one for path in files for one in _sentences_of(path)]


def list_page_sentences() -> list[Sentence]:
    """Texts of at least three words in the sources of the review page."""
    source = ROOT / "regengine" / "review" / "page" / "src"
    files = [path for path in sorted(source.rglob("*.ts")) if ".test." not in path.name]
    found = []
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.lstrip().startswith(("//", "*", "/*")):
                continue
            for text in re.findall(r'"([^"\n]*)"|`([^`\n]*)`', line.split(" // ")[0]):
                said = re.sub(r"\$\{[^}]*\}", "{}", "".join(text))
                if len(_WORD.findall(said)) >= MIN_WORDS:
                    found.append(Sentence(str(path.relative_to(ROOT)), number, "page", said))
    return found


def _sentences_of(path: Path) -> list[Sentence]:
    file = str(path.relative_to(ROOT))
    found: list[Sentence] = []

    def walk(node: ast.AST, kind: str) -> None:
        if isinstance(node, ast.Raise):
            kind = "error"
        elif isinstance(node, ast.Call):
            kind = _kind_of_call(node) or kind
        elif isinstance(node, ast.keyword) and node.arg == "help":
            kind = "help"
        if isinstance(node, ast.Constant | ast.JoinedStr):
            text = _text_of(node)
            if len(_WORD.findall(text)) >= MIN_WORDS and not _FOREIGN.search(text):
                found.append(Sentence(file, node.lineno, kind, text))
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.JoinedStr):
            children = [one for one in node.values if isinstance(one, ast.FormattedValue)]
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and ast.get_docstring(_documented(node)):
            children.remove(body[0])
            if _is_command(node, file):
                text = str(ast.get_docstring(_documented(node)))
                found.append(Sentence(file, body[0].lineno, "help", text))
        for child in children:
            walk(child, kind)

    walk(parsed(path), "other")
    return found


def _documented(node: ast.AST) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return node if isinstance(node, documented) else ast.Module([], [])  # type: ignore[return-value]


def _is_command(node: ast.AST, file: str) -> bool:
    """Whether a function is a command, whose documentation is its help."""
    if not isinstance(node, ast.FunctionDef) or not file.startswith("regengine/commands/"):
        return False
    return node.name == "main" or any("app" in ast.dump(one) for one in node.decorator_list)


def _kind_of_call(node: ast.Call) -> str:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    if name in ("Option", "Argument", "option", "Typer"):
        return "help"
    if name == "Reason":
        return "reason"
    if name.endswith(("Error", "BadParameter")):
        return "error"
    if name in ("say", "echo", "print_data", "info", "warning", "message", "progress"):
        return "progress"
    return ""


def _text_of(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)


if __name__ == "__main__":
    for one in list_sentences(*(sys.argv[1:] or ("regengine", "detectors", "matchers"))):
        print(f"{one.file}:{one.line}: {one.kind}: {' '.join(one.text.split())}")
