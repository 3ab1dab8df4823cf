"""Files for other programs, and files of others: exports, imports, decoders, tiles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely

from regengine import open_light_map
from tests.figures.summary import block_means, read_picture, read_records, read_table
from tests.world import skies
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


def exported_pictures(store: Path, tmp_path: Path) -> Any:
    found = {}
    for name, words in (
        ("degrees", ()),
        ("mercator", ("--crs", "EPSG:3857", "--resolution", 500)),
        ("coarse", ("--resolution", 0.02)),
    ):
        out = _export(store, tmp_path / name, "--format", "geotiff", *words)
        for path in sorted(out.rglob("*.tif")):
            with rasterio.open(path) as raster:
                bands = np.moveaxis(raster.read(), 0, -1)
                found[f"{name}_{path.stem}"] = {
                    "means": block_means(bands),
                    "transform": list(raster.transform)[:6],
                    "crs": str(raster.crs),
                    "size": list(bands.shape),
                }
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


def tiles_of_maps() -> Any:
    import io

    from regengine.pages.review.map_tiles import MapTiles

    tiles = MapTiles(open_light_map([LIGHTS]))
    found = {}
    for z, x, y in ((3, 0, 3), (6, 5, 25), (8, 21, 102)):
        found[f"{z}_{x}_{y}"] = read_picture(io.BytesIO(tiles.tile(z, x, y)))
    return found


def maps_built(tmp_path: Path) -> Any:
    out = tmp_path / "part.tif"
    box = ("--bbox", "-153,32,-150,35")
    said = run("maps", "build", LIGHTS, "--out", out, *box, "--quiet")
    assert said.code == 0, said.err
    with rasterio.open(out) as raster:
        built = {"means": block_means(raster.read(1)), "transform": list(raster.transform)}
    info = [read_records(run("maps", "info", path, "--json").out) for path in (LIGHTS, out)]
    index = np.frombuffer(next(tmp_path.glob("*.idx")).read_bytes(), np.uint8)
    return {"built": built, "info": info, "index_bytes": index.size}


def pictures_decoded(tmp_path: Path) -> Any:
    from astropy.io import fits
    from PIL import Image

    light = skies.streaked()
    counts = (1000.0 * light - 20.0).astype(np.float32)
    counts[:30, 200:] = np.nan
    fits.PrimaryHDU(counts).writeto(tmp_path / "a.fits")
    scaled = fits.PrimaryHDU((6e4 * light).astype(np.int16))
    scaled.header["BSCALE"], scaled.header["BZERO"] = 0.5, 32768
    scaled.writeto(tmp_path / "b.fits")
    deep = (65535 * np.clip(light, 0, 1)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "c.png")
    Image.fromarray(skies.stored(light)).save(tmp_path / "d.png")
    Image.fromarray(np.dstack([skies.stored(light)] * 3)).save(tmp_path / "e.tif")
    Image.fromarray(skies.stored(light)).quantize(40).save(tmp_path / "f.png")
    found = {}
    for path in sorted(tmp_path.iterdir()):
        said = run("detect", "streaks", path, "--json", "--workers", 0, "--quiet")
        assert said.code == 0, said.err
        found[path.suffix[1:] + path.stem] = read_records(said.out)
    return found
