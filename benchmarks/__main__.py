"""``python -m benchmarks NAME``: run one of our own experiments, or list them."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import typer

from regengine.errors import RegengineError
from regengine.io.extras import make_import_error

OWN = ("benchmarks", "regengine", "matchers", "detectors", "")
FOLDER = Path(__file__).resolve().parent


def available(folder: Path = FOLDER) -> dict[str, str]:
    """Names of the benchmarks beside this file, each with the first line of its docstring.

    A benchmark is a module, or a package, that defines `main`, whose parameters are its options;
    its name has dashes where the file has underscores.
    """
    found = {}
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/__init__.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = path.stem if path.parent == folder else path.parent.name
        if module.startswith("_"):
            continue
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            says = (ast.get_docstring(tree) or "").partition("\n")[0]
            found[module.replace("_", "-")] = says
    return found


def main(argv: list[str]) -> int:
    """Run the benchmark named first, with the rest of the arguments.

    2 for an unknown one, or where it cannot be started, as without a package that it needs.
    """
    benchmarks = available()
    if argv and argv[0] in benchmarks:
        try:
            return run(argv[0], argv[1:])
        except ImportError as error:
            if (error.name or "").partition(".")[0] in OWN:
                raise
            problem = str(make_import_error(f"The benchmark {argv[0]}", error))
        except (RegengineError, OSError) as error:
            problem = str(error)
        print(f"Error: {problem}", file=sys.stderr)
        return 2
    if argv and argv[0] not in ("-h", "--help"):
        print(f"no benchmark is called {argv[0]!r}", file=sys.stderr)
    print("usage: python -m benchmarks NAME [options]\n", file=sys.stderr)
    for name, says in benchmarks.items():
        print(f"  {name:24s} {says}", file=sys.stderr)
    return 2 if argv and argv[0] not in ("-h", "--help") else 0


def run(name: str, words: list[str]) -> int:
    """Run a benchmark; the exit code."""
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(help=module.__doc__)(module.main)
    try:
        app(words, prog_name=f"python -m benchmarks {name}")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
