"""Runs notebooks without Jupyter; ``python -m tests.world.notebooks FILE`` stores outputs."""

from __future__ import annotations

import ast
import base64
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

SHOWS = {"image/jpeg": "_repr_jpeg_", "image/png": "_repr_png_", "text/html": "_repr_html_"}


def outputs_of(notebook: dict[str, Any], folder: Path) -> list[list[dict[str, Any]]]:
    """What each cell of code prints and shows, run below a folder that has the samples."""
    (folder / "data_samples").symlink_to(ROOT / "data_samples")
    own = folder / "docs" / "examples"  # where Jupyter opens it
    own.mkdir(parents=True)
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    before = Path.cwd()
    os.chdir(own)
    try:
        return [_outputs("".join(cell["source"]), names, n) for n, cell in enumerate(cells, 1)]
    finally:
        os.chdir(before)


def _outputs(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed, value = StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        outputs.append(
            {
                "data": _shown(value),
                "execution_count": number,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return outputs


def _shown(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    for kind, name in SHOWS.items():
        shown = getattr(value, name, lambda: None)()
        if isinstance(shown, bytes):
            data[kind] = base64.b64encode(shown).decode()
        elif shown is not None:
            data[kind] = shown.splitlines(keepends=True)
    return data


def main(path: Path) -> None:
    """Run a notebook and put its outputs into it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        ran = outputs_of(notebook, Path(folder))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, outputs) in enumerate(zip(cells, ran, strict=True), start=1):
        cell |= {"execution_count": number, "outputs": outputs}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
