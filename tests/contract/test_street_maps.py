"""Roads drawn as lamps: how much light where, of all vocabularies and formats; what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from pyproj import Geod
from shapely import LineString, MultiLineString, Point

from tests.world.maps import made
from tests.world.osm import osm_pbf
from tests.world.program import Said, run

LON, LAT = 2.30003, 48.80003  # within a pixel
STEP = 1.0 / 9000.0
EAST = LineString([(LON, LAT), (LON + 0.02, LAT)])  # 1.47 km
NORTH = LineString([(LON, LAT + 0.002), (LON, LAT + 0.012), (LON + 0.005, LAT + 0.012)])
ROADS = [EAST, NORTH, EAST.parallel_offset(0.002), NORTH.parallel_offset(0.003)]
WGS84 = Geod(ellps="WGS84")
EAST_M, NORTH_M = (WGS84.geometry_length(line) for line in (EAST, NORTH))


def write(path: Path, lines: list[Any], crs: str = "EPSG:4326", **columns: list[Any]) -> Path:
    frame = geopandas.GeoDataFrame(columns, geometry=lines, crs=crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


def build(*sources: Path) -> tuple[tuple[int, int, int], Path]:
    """Lit roads, lines and broken lines, as they are told, and the map."""
    out = sources[0].parent / "streets.tif"
    said = run("maps", "build", "--kind", "streets", *sources, "--out", out, "--force")
    assert said.code == 0, said.err
    roads, lines = map(int, re.search(r"(\d+) of (\d+) lines? (?:is|are) lit", said.err).groups())
    broken = re.search(r"(\d+) of \d+ lines? skipped: ", said.err)
    return (roads, lines, int(broken[1]) if broken else 0), out


def metres_in(path: Path) -> float:
    """Weighted metres of road by the map's codes: a hundred is a lamp every 12.5 m of a pixel."""
    with rasterio.open(path) as dataset:
        codes, top = dataset.read(1), dataset.bounds.top
    lat = top - (np.arange(codes.shape[0]) + 0.5) * STEP
    ring = [0, STEP, STEP, 0], [LAT, LAT, LAT + STEP, LAT + STEP]
    pixel_m2 = abs(WGS84.polygon_area_perimeter(*ring)[0])
    area = pixel_m2 / np.cos(np.radians(LAT)) * np.cos(np.radians(lat))
    return float((np.where(codes == 255, 0, codes) / 100.0 * area[:, None]).sum() / 12.5)


@pytest.mark.parametrize(
    ("name", "weight"),
    [("residential", 1.0), ("motorway", 0.25), ("trunk", 0.5)],
)
def test_the_light_of_a_road_is_its_length_by_class(
    tmp_path: Path, name: str, weight: float
) -> None:
    path = write(tmp_path / "roads.geojson", [EAST, NORTH], highway=[name, name])
    _, out = build(path)
    assert metres_in(out) == pytest.approx(weight * (EAST_M + NORTH_M), rel=0.005)
    with rasterio.open(out) as dataset:
        assert dataset.res == pytest.approx((STEP, STEP))
        assert dataset.tags()["KIND"] == "streets"
        assert dataset.tags()["CREDIT"] == "© OpenStreetMap contributors (ODbL)"
        row, col = dataset.index(LON + 0.01, LAT)
        codes = dataset.read(1).astype(float)
    across = codes[row - 3 : row + 4, col]
    assert across[2:5].sum() == across.sum() > 0
    middle = (np.arange(-3, 4) * across).sum() / across.sum()
    exact = (dataset.bounds.top - LAT) / STEP - row - 0.5
    assert middle == pytest.approx(exact, abs=0.5)


VOCABULARIES: dict[str, dict[str, list[Any]]] = {
    "osm.geojson": {
        "HIGHWAY": ["Residential", " primary ", "secondary", "Footway"],
        "tunnel": ["no", None, "yes", None],
    },
    "geofabrik.shp": {
        "fclass": ["residential", "primary", "secondary", "footway"],
        "tunnel": ["F", "F", "T", "F"],
    },
    "openmaptiles.gpkg": {
        "class": ["minor", "primary", "secondary", "path"],
        "brunnel": ["bridge", None, "tunnel", None],
    },
    "overture.parquet": {
        "class": ["residential", "primary", "secondary", "footway"],
        "road_flags": ['[{"values": ["is_bridge"]}]', None, '[{"values": ["is_tunnel"]}]', None],
    },
    "osmnx.gpkg": {
        "highway": ["['residential', 'service']", "['path', 'primary']", "primary", "['steps']"],
        "tunnel": ["['no']", None, "['no', 'yes']", None],
    },
    "json.geojson": {
        "highway": ['["residential", "service"]', '["Primary"]', "primary", '["steps", "path"]'],
        "tunnel": ['["no"]', "null", '["building_passage"]', None],
    },
    "lists.geojson": {
        "highway": [["residential", "service"], ["path", "primary"], ["primary"], ["steps"]],
        "tunnel": [["no"], [], ["no", "yes"], []],
    },
    "lists.parquet": {
        "highway": [["residential", "service"], ["path", "primary"], ["primary"], ["steps"]],
        "is_tunnel": [[False], [], [False, True], []],
    },
    "semicolons.geojson": {
        "highway": ["residential;service", "path; primary", "primary", "steps;path"],
        "brunnel": ["bridge", None, "bridge;tunnel", None],
    },
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_all_vocabularies_draw_the_same_without_tunnels(tmp_path: Path, name: str) -> None:
    counts, out = build(write(tmp_path / name, ROADS, **VOCABULARIES[name]))
    assert counts == (2, 4, 0)
    assert metres_in(out) == pytest.approx(EAST_M + NORTH_M, rel=0.005)


def test_a_file_of_openstreetmap_is_read(tmp_path: Path) -> None:
    path = tmp_path / "roads.osm.pbf"
    tunnel = {"highway": "primary", "tunnel": "yes"}
    content = osm_pbf([(EAST.coords, {"highway": "residential"}), (NORTH.coords, tunnel)])
    path.write_bytes(content)
    counts, out = build(path)
    assert counts == (1, 2, 0)
    assert metres_in(out) == pytest.approx(EAST_M, rel=0.005)
    path.write_bytes(content[:-7])
    out.unlink()
    assert "roads.osm.pbf is damaged or truncated" in refusal(path)


def test_parts_of_lines_in_several_layers_and_files_count_and_broken_ones_are_left_out(
    tmp_path: Path,
) -> None:
    first = write(tmp_path / "a.geojson", [MultiLineString([EAST, NORTH])], highway=["primary"])
    second = write(tmp_path / "b.gpkg", [EAST], highway=["primary"])
    place = geopandas.GeoDataFrame({"name": ["x"]}, geometry=[Point(LON, LAT)], crs=4326)
    place.to_file(second, layer="places")
    assert metres_in(build(first, second)[1]) == pytest.approx(2 * EAST_M + NORTH_M, rel=0.005)
    off_earth = LineString([(LON, 95.0), (LON, 96.0)])
    around_it = LineString([(179.9, 1.0), (-179.9, 1.0)])
    with np.errstate(invalid="ignore"):
        not_finite = LineString([(LON, LAT), (float("nan"), LAT)])
    lines = [EAST, None, not_finite, off_earth, around_it]
    counts, _ = build(write(tmp_path / "a.parquet", lines, highway=["primary"] * 5))
    assert counts == (1, 5, 4)


def test_a_map_is_told_replaced_by_force_and_kept_where_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    source = write(tmp_path / "town.geojson", [EAST, NORTH], highway=["residential", "footway"])
    said = run("maps", "build", "--kind", "streets", source, "--date", "2026-01-31")
    assert said.code == 0, said.err
    assert "1 of 2 lines are lit roads, 1 km; 2.29,48.80," in said.err
    assert "town.tif exists" in run("maps", "build", "--kind", "streets", source).err
    out = tmp_path / "data" / "streets" / "town.tif"
    (told,) = run("maps", "info", "--kind", "streets", out, "--json").records
    assert (told["date"], told["resolution_arcsec"]) == ("2026-01-31", pytest.approx(0.4))
    with rasterio.open(out) as dataset:
        codes = dataset.read(1)
    assert told["valid_fraction"] == pytest.approx((codes != 255).mean(), abs=2e-4)
    assert 0.0 < told["lit_fraction"] < told["valid_fraction"] <= 1.0
    assert run("maps", "build", "--kind", "streets", source, "--force", "--quiet") == Said(
        0, "", ""
    )


def refusal(*sources: Path, region: str | None = None, code: int = 3) -> str:
    """What ``regengine maps build`` says, in one line; it leaves nothing behind."""
    before = made(sources[0].parent)
    part = () if region is None else ("--bbox", region)
    out = sources[0].parent / "out.tif"
    said = run("maps", "build", "--kind", "streets", *sources, *part, "--out", out, "--quiet")
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
    assert made(sources[0].parent) == before
    return said.err


def test_what_cannot_be_built_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write(tmp_path / "good.geojson", [EAST], highway=["primary"])
    rivers = write(tmp_path / "rivers.gpkg", [EAST], waterway=["river"])
    assert "rivers.gpkg has no lit roads: give an extract" in refusal(rivers)
    paths = write(tmp_path / "paths.gpkg", [EAST, NORTH], highway=["path", "['steps', 'track']"])
    said = refusal(paths)
    assert "paths.gpkg has no lit roads (its classes: ['steps', 'track'], path): give an" in said
    elsewhere = refusal(good, region="10,50,11,51")
    assert "good.geojson has no lit roads between" in elsewhere
    assert "it covers 2.30,48.80,2.32,48.80" in elsewhere
    assert "gigapixels" in refusal(good, region="-10,40,30,60", code=2)
    nowhere = write(tmp_path / "nowhere.shp", [EAST], highway=["primary"])
    (tmp_path / "nowhere.prj").unlink()
    assert "has no coordinate system" in refusal(nowhere)
    metres = [LineString([(x * 111_000.0, y * 111_000.0) for x, y in EAST.coords])]
    as_degrees = write(tmp_path / "metres.gpkg", metres, highway=["primary"])
    assert "has coordinates that are not degrees" in refusal(as_degrees)
    as_metres = write(tmp_path / "degrees.gpkg", [EAST], "EPSG:3857", highway=["primary"])
    assert "has coordinates that look like degrees" in refusal(as_metres)
    table = tmp_path / "table.parquet"
    geopandas.pd.DataFrame({"highway": ["primary"]}).to_parquet(table)
    assert "Parquet without geometries" in refusal(table)
    usage = shutil.disk_usage(tmp_path)._replace(free=500)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert "building temporarily needs about" in refusal(good)
