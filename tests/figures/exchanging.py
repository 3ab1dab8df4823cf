"""Files for other programs: tables, cameras, and pictures of what was found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import shapely

from tests.figures.summary import read_picture, read_table
from tests.world.program import run
from tests.world.runs import LIGHTS

NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
NO_NUMBER = re.compile(r"[\w:.-]*/[\w./-]+|\b[0-9a-f]{32,}\b")
SOME = ("--where", "frame_index IN (0, 5, 24)", "--verdict", "accepted,review")


def _export(store: Path, out: Path, *words: object) -> Path:
    said = run("export", store, "--out", out, *SOME, *words)
    assert said.code == 0, said.err
    return out


def exported_tables(store: Path, tmp_path: Path) -> Any:
    points = _export(store, tmp_path / "points.csv")
    frames = _export(store, tmp_path / "frames.csv", "--table", "frames")
    shapes = _export(store, tmp_path / "a.geojson")
    sql = _export(store, tmp_path / "a.sql", "--format", "sql", "--dialect", "postgresql")
    return {
        "points": read_table(points.read_text(encoding="utf-8")),
        "frames": read_table(frames.read_text(encoding="utf-8")),
        "geojson": [
            {"geometry": one["geometry"], **one["properties"]}
            for one in json.loads(shapes.read_text(encoding="utf-8"))["features"]
        ],
        "gpkg": _read_layers(_export(store, tmp_path / "a.gpkg")),
        "sql": _numbers(sql.read_text(encoding="utf-8")),
    }


def _read_layers(path: Path) -> dict[str, Any]:
    import pyogrio

    found = {}
    for name, _ in pyogrio.list_layers(path):
        table = pyogrio.read_dataframe(path, layer=name)
        bounds = table.geometry.bounds.to_numpy()
        plain = table.drop(columns="geometry").to_dict("list")
        found[str(name)] = {
            "bounds": bounds,
            "area": shapely.area(table.geometry.to_numpy()),
            **plain,
        }
    return found


def _numbers(text: str) -> list[float]:
    """Numbers of a text, but for those in paths and sums."""
    return [float(word) for word in NUMBER.findall(NO_NUMBER.sub("", text))]


def exported_cameras(store: Path, tmp_path: Path) -> Any:
    found: dict[str, Any] = {}
    for form, words in (
        ("gcp", ("--files", "vrt,aux")),
        ("rpc", ("--files", "txt,vrt,footprint,rpb,aux")),
        ("qgis", ("--files", "points,project")),
        ("stac", ()),
    ):
        out = _export(store, tmp_path / form, "--format", form, *words)
        for path in sorted(out.rglob("*")):
            if path.is_file() and path.suffix not in (".jpg", ".png"):
                name = path.relative_to(out).as_posix().replace("/", "_").replace(".", "_")
                text = path.read_text(encoding="utf-8", errors="replace")
                is_json = path.suffix in (".json", ".geojson")
                found[f"{form}_{name}"] = json.loads(text) if is_json else _numbers(text)
    return found


def overlays(store: Path, tmp_path: Path) -> Any:
    near_pole = ("--where", "ABS(centre_lat) > 80", "--verdict", "all")
    for folder, words in (("o", ("--lights", LIGHTS, *SOME[:2])), ("p", near_pole)):
        said = run("overlay", store, *words, "--out", tmp_path / folder, "--json")
        assert said.code == 0, said.err
    return {
        f"{path.parent.name}{path.stem}": read_picture(path)
        for path in sorted(tmp_path.glob("[op]/*.png"))
    }
