"""``python -m benchmarks NAME``: run one of our own experiments, or list them."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

from regengine.errors import ConfigError
from regengine.io.extras import make_missing_error

OWN = ("benchmarks", "regengine", "matchers", "detectors", "")
FOLDER = Path(__file__).resolve().parent


def available(folder: Path = FOLDER) -> dict[str, str]:
    """Names of the benchmarks beside this file, each with the first line of its docstring.

    A benchmark is a module, or a package with a ``__main__``-like ``__init__``, that defines
    ``main(argv: list[str]) -> int``; its name has dashes where the file has underscores.
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

    2 for an unknown one, or where a package is missing that it needs.
    """
    benchmarks = available()
    if argv and argv[0] in benchmarks:
        try:
            module = importlib.import_module(f"benchmarks.{argv[0].replace('-', '_')}")
            return int(module.main(argv[1:]))
        except ImportError as error:
            if (error.name or "").partition(".")[0] in OWN:
                raise
            print(
                f"Error: {make_missing_error(f'The benchmark {argv[0]}', error)}", file=sys.stderr
            )
            return 2
        except ConfigError as error:
            if error.code != "not_installed":
                raise
            print(f"Error: {error}", file=sys.stderr)
            return 2
    if argv and argv[0] not in ("-h", "--help"):
        print(f"no benchmark is called {argv[0]!r}", file=sys.stderr)
    print("usage: python -m benchmarks NAME [options]\n", file=sys.stderr)
    for name, says in benchmarks.items():
        print(f"  {name:24s} {says}", file=sys.stderr)
    return 2 if argv and argv[0] not in ("-h", "--help") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
