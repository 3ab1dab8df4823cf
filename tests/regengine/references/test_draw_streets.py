"""Roads drawn as lamps: how much light where, of all vocabularies and formats; what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from pyproj import Geod
from shapely import LineString, MultiLineString, Point

from regengine.references.streets import StreetMapSummary, draw_streets
from tests.world.osm import osm_pbf
from tests.world.program import run

LON, LAT = 2.30003, 48.80003  # within a pixel
EAST = LineString([(LON, LAT), (LON + 0.02, LAT)])  # 1.47 km
NORTH = LineString([(LON, LAT + 0.002), (LON, LAT + 0.012), (LON + 0.005, LAT + 0.012)])


def write(path: Path, lines: list[Any], crs: str = "EPSG:4326", **columns: list[Any]) -> Path:
    frame = geopandas.GeoDataFrame(columns, geometry=lines, crs=crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


def build(*sources: Path, **options: Any) -> tuple[StreetMapSummary, rasterio.DatasetReader]:
    out = sources[0].parent / "streets.tif"
    summary = draw_streets(sources, out, overwrite=True, **options)
    return summary, rasterio.open(out)


def metres_in(dataset: rasterio.DatasetReader) -> float:
    """Weighted metres of road by the map's codes."""
    codes = dataset.read(1)
    lat = dataset.bounds.top - (np.arange(dataset.height) + 0.5) * dataset.res[1]
    area = (
        Geod(ellps="WGS84").polygon_area_perimeter(
            [0, dataset.res[0], dataset.res[0], 0],
            [LAT, LAT, LAT + dataset.res[1], LAT + dataset.res[1]],
        )[0]
        / np.cos(np.radians(LAT))
        * np.cos(np.radians(lat))
    )
    return float((np.where(codes == 255, 0, codes) / 100.0 * area[:, None]).sum() / 12.5)


@pytest.mark.parametrize(("name", "weight"), [("residential", 1.0), ("motorway", 0.25),
                                              ("trunk", 0.5), ("motorway_link", 1.0)])  # fmt: skip
def test_the_light_of_a_road_is_its_length_by_class(
    tmp_path: Path, name: str, weight: float
) -> None:
    path = write(tmp_path / "roads.geojson", [EAST, NORTH], highway=[name, name])
    summary, dataset = build(path)
    length_m = sum(Geod(ellps="WGS84").geometry_length(line) for line in (EAST, NORTH))
    assert summary.road_km == pytest.approx(weight * length_m / 1e3, rel=1e-4)
    assert metres_in(dataset) == pytest.approx(weight * length_m, rel=0.01)
    assert dataset.res == pytest.approx((1 / 9000, 1 / 9000))
    assert dataset.tags()["KIND"] == "streets"
    assert dataset.tags()["CREDIT"] == "© OpenStreetMap contributors (ODbL)"
    row, col = dataset.index(LON + 0.01, LAT)
    codes = dataset.read(1)
    assert codes[row - 1 : row + 2, col].max() > 0
    assert codes[row - 3, col] == codes[row + 3, col] == 0


ROADS = [EAST, NORTH, EAST.parallel_offset(0.002), NORTH.parallel_offset(0.003)]
VOCABULARIES: dict[str, dict[str, list[Any]]] = {
    "osm": {
        "highway": ["residential", "primary", "secondary", "footway"],
        "tunnel": ["no", None, "yes", None],
    },
    "geofabrik": {
        "fclass": ["residential", "primary", "secondary", "footway"],
        "tunnel": ["F", "F", "T", "F"],
    },
    "openmaptiles": {
        "class": ["minor", "primary", "secondary", "path"],
        "brunnel": ["bridge", None, "tunnel", None],
    },
    "overture": {
        "class": ["residential", "primary", "secondary", "footway"],
        "road_flags": ['[{"values": ["is_bridge"]}]', None, '[{"values": ["is_tunnel"]}]', None],
    },
}


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".parquet"])
def test_all_vocabularies_draw_the_same_without_tunnels(
    tmp_path: Path, name: str, ending: str
) -> None:
    summary, dataset = build(write(tmp_path / f"roads{ending}", ROADS, **VOCABULARIES[name]))
    assert (summary.n_lines, summary.n_roads, summary.n_broken) == (4, 2, 0)
    length_m = sum(Geod(ellps="WGS84").geometry_length(line) for line in (EAST, NORTH))
    assert metres_in(dataset) == pytest.approx(length_m, rel=0.01)


@pytest.mark.parametrize("ending", [".shp", ".fgb", ".parquet"])
def test_a_projected_system_draws_the_same(tmp_path: Path, ending: str) -> None:
    whole = build(write(tmp_path / "a.geojson", [EAST, NORTH], highway=["primary"] * 2))[1].read(1)
    there = geopandas.GeoSeries([EAST, NORTH], crs="EPSG:4326").segmentize(1e-4).to_crs("EPSG:2154")
    path = write(tmp_path / f"b{ending}", list(there), "EPSG:2154", highway=["primary"] * 2)
    again = build(path)[1].read(1)
    assert np.array_equal(again == 255, whole == 255)
    # Other points along the same lines: a pixel more or less has one of them
    rows, cols = whole.shape
    blocks = [
        np.where(codes == 255, 0, codes).reshape(rows // 8, 8, cols // 8, 8).mean(axis=(1, 3))
        for codes in (whole, again)
    ]
    assert np.abs(blocks[0] - blocks[1]).max() < 2.0


def test_a_file_of_openstreetmap_is_read(tmp_path: Path) -> None:
    path = tmp_path / "roads.osm.pbf"
    tunnel = {"highway": "primary", "tunnel": "yes"}
    whole = osm_pbf([(EAST.coords, {"highway": "residential"}), (NORTH.coords, tunnel)])
    path.write_bytes(whole)
    summary, dataset = build(path)
    assert (summary.n_lines, summary.n_roads) == (2, 1)
    length_m = Geod(ellps="WGS84").geometry_length(EAST)
    assert metres_in(dataset) == pytest.approx(length_m, rel=0.01)
    path.write_bytes(whole[:-7])
    (tmp_path / "streets.tif").unlink()
    assert "roads.osm.pbf is damaged or truncated" in refusal(path)


def test_parts_of_a_line_and_lines_of_several_layers_and_files_count(tmp_path: Path) -> None:
    both = MultiLineString([EAST, NORTH])
    first = write(tmp_path / "a.geojson", [both], highway=["primary"])
    second = write(tmp_path / "b.gpkg", [EAST], highway=["primary"])
    geopandas.GeoDataFrame({"name": ["x"]}, geometry=[Point(LON, LAT)], crs=4326).to_file(
        second, layer="places"
    )
    geod = Geod(ellps="WGS84")
    assert build(first)[0].road_km * 1e3 == pytest.approx(geod.geometry_length(both), rel=1e-4)
    twice = geod.geometry_length(both) + geod.geometry_length(EAST)
    assert build(first, second)[0].road_km * 1e3 == pytest.approx(twice, rel=1e-4)


def test_what_is_beyond_the_lines_is_not_covered_and_gaps_are(tmp_path: Path) -> None:
    around = [(0.0, 0.0), (0.06, 0.0), (0.06, 0.06), (0.0, 0.06), (0.0, 0.0)]
    ring = LineString([(LON + x, LAT + y) for x, y in around]).segmentize(0.002)
    far = LineString([(LON + 0.4, LAT), (LON + 0.41, LAT)])
    path = write(tmp_path / "a.geojson", [ring, far], highway=["track", "residential"])
    _, dataset = build(path)
    value = [next(dataset.sample([(LON + x, LAT + 0.03)]))[0] for x in (0.03, 0.3)]
    assert value == [0, 255]
    # What is averaged in the overviews is what is known
    with rasterio.open(dataset.name, overview_level=0) as half:
        assert set(np.unique(half.read(1)[:, half.width // 2])) <= {255}


def test_a_region_is_cut_out_in_whole_cells(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fgb", [EAST], highway=["primary"])
    whole = build(path)[1]
    summary, part = build(path, region=(LON - 1.0, LAT - 1.0, LON + 0.01, LAT + 1.0))
    assert 0.4 < summary.road_km / 1.468 < 0.9
    both = (max(whole.bounds.left, part.bounds.left), part.bounds.bottom, part.bounds.right,
            part.bounds.top)  # fmt: skip
    one, other = (d.read(1, window=d.window(*both)) for d in (whole, part))
    assert np.array_equal(one, other)


def test_broken_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    off_earth = LineString([(LON, 95.0), (LON, 96.0)])
    around_it = LineString([(179.9, 1.0), (-179.9, 1.0)])
    with np.errstate(invalid="ignore"):
        not_finite = LineString([(LON, LAT), (float("nan"), LAT)])
    lines = [EAST, None, not_finite, off_earth, around_it]
    path = write(tmp_path / "a.parquet", lines, highway=["primary"] * 5)
    summary, _ = build(path)
    assert (summary.n_lines, summary.n_roads, summary.n_broken) == (5, 1, 4)


def refusal(*sources: Path, region: str | None = None, code: int = 3) -> str:
    """What ``regengine streets build`` says, in one line; it leaves nothing behind."""
    before = sorted(sources[0].parent.iterdir())
    part = () if region is None else ("--bbox", region)
    out = sources[0].parent / "out.tif"
    said = run("streets", "build", *sources, *part, "--out", out, "--quiet")
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
    assert sorted(sources[0].parent.iterdir()) == before
    return said.err


def test_what_cannot_be_built_is_one_sentence(tmp_path: Path) -> None:
    good = write(tmp_path / "good.geojson", [EAST], highway=["primary"])
    rivers = write(tmp_path / "rivers.gpkg", [EAST], waterway=["river"])
    assert "rivers.gpkg has no lit roads: give an extract" in refusal(rivers)
    paths = write(tmp_path / "paths.geojson", [EAST], highway=["footway"])
    assert "paths.geojson has no lit roads" in refusal(paths)
    elsewhere = refusal(good, region="10,50,11,51")
    assert "good.geojson has no lit roads between" in elsewhere
    assert "it covers 2.30,48.80,2.32,48.80" in elsewhere
    assert "gigapixels" in refusal(good, region="-10,40,30,60", code=2)
    assert "is not a valid region" in refusal(good, region="nowhere", code=2)
    assert "does not exist" in refusal(tmp_path / "none.osm.pbf")
    cut = tmp_path / "cut.gpkg"
    cut.write_bytes(rivers.read_bytes()[:3000])
    assert "cannot be read as roads" in refusal(cut)
    nowhere = tmp_path / "nowhere.shp"
    write(nowhere, [EAST], highway=["primary"])
    (tmp_path / "nowhere.prj").unlink()
    assert "has no coordinate system" in refusal(nowhere)
    table = tmp_path / "table.parquet"
    geopandas.pd.DataFrame({"highway": ["primary"]}).to_parquet(table)
    assert "Parquet without geometries" in refusal(table)
    text = tmp_path / "text.osm.pbf"
    text.write_text(json.dumps({}))
    assert "damaged or truncated" in refusal(text)
    (tmp_path / "out.tif").touch()
    assert "out.tif exists" in refusal(good, code=2)


@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".shp", ".parquet"])
def test_classes_and_fields_in_other_spellings_are_read(tmp_path: Path, ending: str) -> None:
    classes = ["Residential", " PRIMARY ", "Living Street", "Footway"]
    path = write(
        tmp_path / f"a{ending}",
        ROADS,
        HIGHWAY=classes,
        Tunnel=["no", "F", "Yes", None],
        Note=["a"] * 4,
    )
    summary, dataset = build(path)
    assert (summary.n_lines, summary.n_roads, summary.n_broken) == (4, 2, 0)
    length_m = sum(Geod(ellps="WGS84").geometry_length(line) for line in (EAST, NORTH))
    assert metres_in(dataset) == pytest.approx(length_m, rel=0.01)


@pytest.mark.parametrize("ending", [".geojson", ".gpkg", ".parquet"])
def test_coordinates_that_are_no_degrees_are_told(tmp_path: Path, ending: str) -> None:
    """And those that are degrees where a system in metres is named."""
    lines = list(geopandas.GeoSeries([EAST, NORTH], crs="EPSG:4326").to_crs("EPSG:3857"))
    path = write(tmp_path / f"metres{ending}", lines, highway=["primary"] * 2)
    said = refusal(path)
    assert f"metres{ending} has coordinates that are not degrees of longitude and latitude" in said
    assert "ogr2ogr -a_srs EPSG:3857" in said
    if ending != ".parquet":  # GDAL tells the extent of others
        assert "which are not degrees" in refusal(path, region="2,48,3,49")
    if ending != ".geojson":  # GDAL writes it in degrees
        path = write(tmp_path / f"degrees{ending}", [EAST], "EPSG:2154", highway=["primary"])
        assert "look like degrees" in refusal(path)
    mixed = write(tmp_path / f"mixed{ending}", [EAST, lines[1]], highway=["primary"] * 2)
    assert build(mixed)[0].n_broken == 1


def test_a_small_disk_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.osm.pbf"
    path.write_bytes(bytes(1000))
    usage = shutil.disk_usage(tmp_path)._replace(free=500)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert "building temporarily needs about" in refusal(path)
