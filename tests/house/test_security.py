"""Nothing that comes in is executed, unpickled or fetched, and nothing goes out of its folder."""

from __future__ import annotations

import ast
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from regengine.errors import MapError
from regengine.io.tables import name_cell, path_cell
from regengine.maps.services import read_tile
from regengine.photo.notations import frame_id_of
from regengine.registration.overlay import overlay_path
from regengine.scene.drawing import picture_paths
from tests.conftest import ROOT
from tests.world.program import run
from tests.world.results import nothing_found
from tests.world.sources import nodes_of

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

PACKAGES = ("regengine", "detectors", "matchers")
# What runs, or builds objects of any class from, what it reads
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "yaml"}
FORBIDDEN_MODULES |= {"code", "ctypes", "runpy", "subprocess"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every import and call of the packages, with its place."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in nodes_of(path):
                if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def called(node: ast.Call) -> str:
    """Name of what is called, of one part or two."""
    if isinstance(node.func, ast.Name):
        return node.func.id
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return f"{node.func.value.id}.{node.func.attr}"
    return ""


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_nothing_that_executes_or_unpickles_is_imported_or_called() -> None:
    found = []
    for place, node in nodes():
        for module in imported(node):
            if module.partition(".")[0] in FORBIDDEN_MODULES:
                found.append(f"{place} imports {module}")
        if isinstance(node, ast.Call):
            name = called(node)
            if name in FORBIDDEN_CALLS:
                found.append(f"{place} calls {name}")
            if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                found.append(f"{place} may unpickle")
    assert found == []


def test_libraries_are_told_which_format_a_file_may_have() -> None:
    """Left alone, Pillow starts Ghostscript for PostScript, and GDAL reads a hundred formats."""
    wanted = {"Image.open": "formats", "rasterio.open": "driver"}
    found, seen = [], 0
    for place, node in nodes():
        name = called(node) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in wanted:
            seen += 1
            named = {keyword.arg for keyword in node.keywords}
            # The builder of maps reads again what it has just written, by a profile with a driver
            if wanted[name] not in named and not place.startswith("regengine/maps/build.py"):
                found.append(f"{place}: {name} without {wanted[name]}")
    assert found == []
    assert seen >= 6


def test_postscript_that_calls_itself_a_map_tile_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, programs = tmp_path / "ran", tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    tile = tmp_path / "7.png"
    tile.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n")
    with pytest.raises(MapError):
        read_tile(tile, 64)
    assert not marker.exists()


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True), st.booleans())
def test_pictures_stay_in_their_folder(names: list[str], hashed: bool) -> None:
    folder, photos = Path("/out/overlays"), [Path(name) for name in names]
    pictures, result = picture_paths(photos, folder, "lights"), nothing_found()
    for photo in photos:
        object.__setattr__(result, "path", str(photo))
        for target in (pictures.of(photo), overlay_path(result, folder, hashed=hashed)):
            assert Path(os.path.normpath(target)).parent == folder
        assert "/" not in frame_id_of(photo)


@given(st.text())
def test_no_cell_is_a_formula_and_paths_name_the_same_file(name: str) -> None:
    assert not name_cell(name).startswith(FORMULA_STARTS)
    assert not path_cell(name).startswith(FORMULA_STARTS)
    assert Path(path_cell(name)) == Path(name)


def test_a_photo_called_as_a_formula_is_no_formula_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = np.zeros((64, 64), np.uint8)
    picture[30:33, 30:33] = 200
    Image.fromarray(picture).save("=HYPERLINK(1).png")
    said = run("detect", "lights", "=HYPERLINK(1).png")
    assert said.code == 0, said.err
    row = said.out.splitlines()[1]
    assert row.startswith("'=HYPERLINK(1),./=HYPERLINK(1).png,")
