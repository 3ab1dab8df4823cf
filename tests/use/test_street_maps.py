"""Street maps by the command line: built of files, got from a service that behaves or does not."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import pytest
import rasterio
from shapely import LineString

from tests.world.osm import osm_pbf
from tests.world.program import Said, run
from tests.world.services import Service

BOX = (2.0, 48.5, 2.7, 49.2)
HERE = "2.35,48.85"  # towns by name take seconds to be read


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Path:
    """Where maps go."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data" / "streets"


@pytest.fixture
def roads(tmp_path: Path) -> Path:
    """An extract with a road of 1.5 km and a footway."""
    lines = [LineString([(2.3, 48.8), (2.32, 48.8)]), LineString([(2.3, 48.81), (2.32, 48.81)])]
    path = tmp_path / "town.geojson"
    columns = {"highway": ["residential", "footway"]}
    geopandas.GeoDataFrame(columns, geometry=lines, crs=4326).to_file(path)
    return path


def osm_file() -> bytes:
    """An extract in OpenStreetMap's own format: a street of 1.5 km and a long track."""
    track = [(2.3 + 1e-5 * n, 48.81 + 3e-6 * (n * n % 89)) for n in range(500)]
    street = [(2.3, 48.8), (2.32, 48.8)]
    return osm_pbf([(street, {"highway": "primary"}), (track, {"highway": "track"})])


def feature(service: Service, name: str, box: tuple[float, float, float, float]) -> object:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]},
        "properties": {"id": name, "urls": {"pbf": service.url(f"/{name}-latest.osm.pbf")}},
    }


@pytest.fixture
def extracts(service: Service) -> Service:
    """A list of two extracts, one within the other, and one elsewhere."""
    features = [
        feature(service, "europe", (-10.0, 35.0, 30.0, 70.0)),
        feature(service, "ile-de-france", BOX),
        feature(service, "kanto", (138.0, 34.0, 141.0, 37.0)),
        {"type": "Feature", "geometry": None, "properties": {"id": "empty"}},
    ]
    service.files["/index-v1.json"] = json.dumps({"features": features}).encode()
    service.files["/ile-de-france-latest.osm.pbf"] = osm_file()
    return service


def get(service: Service, *words: object) -> Said:
    return run("streets", "get", "--url", service.url("/index-v1.json"), *words)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_map_is_built_and_said(data: Path, roads: Path) -> None:
    said = run("streets", "build", roads)
    assert said.code == 0, said.err
    assert "MB of roads; building temporarily needs" in said.err
    assert "1 of 2 lines are lit roads, 1 km; 2.29,48.80," in said.err
    assert names(data) == ["town.tif"]
    again = run("streets", "build", roads)
    assert again.code == 2
    assert "town.tif exists" in again.err
    assert run("streets", "build", roads, "--force", "--quiet") == Said(0, "", "")


def test_broken_roads_are_counted(data: Path, roads: Path) -> None:
    table = geopandas.read_file(roads)
    around = LineString([(179.9, 1.0), (-179.9, 1.0)])
    extra = {"highway": ["primary"] * 2, "geometry": [None, around]}
    broken = geopandas.GeoDataFrame(extra, crs=4326)
    path = roads.with_name("broken.gpkg")
    geopandas.pd.concat([table, broken]).to_file(path)
    said = run("streets", "build", path)
    assert said.code == 0, said.err
    assert "2 of 4 lines skipped: their geometry is broken." in said.err


def test_a_street_map_is_told_in_words_and_numbers(data: Path, roads: Path) -> None:
    out = roads.with_name("town.tif")
    assert run("streets", "build", roads, "--out", out, "--date", "2026-01-31").code == 0
    (told,) = run("streets", "info", out, "--json").records
    assert told["date"] == "2026-01-31"
    assert told["credit"] == "© OpenStreetMap contributors (ODbL)"
    assert told["resolution_arcsec"] == pytest.approx(0.4)
    west, south, east, north = told["bounds"]
    assert west < 2.3 < 2.32 < east
    assert south < 48.8 < north
    assert 0.0 < told["lit_fraction"] < told["valid_fraction"] <= 1.0
    assert f"lit_fraction       {told['lit_fraction']:.6g}" in run("streets", "info", out).out


def test_the_smallest_extract_of_a_place_is_got_and_built(data: Path, extracts: Service) -> None:
    said = get(extracts, "Paris")
    out = data / "paris.tif"
    assert (said.code, said.out) == (0, f"{out}\n"), said.err
    assert "ile-de-france-latest.osm.pbf: 0.0 MB, into" in said.err
    assert sorted(extracts.asked) == ["/ile-de-france-latest.osm.pbf", "/index-v1.json"]
    with rasterio.open(out) as made:
        assert made.tags()["PRODUCT"] == "OpenStreetMap roads (ile-de-france)"
        assert made.bounds.left < 2.3 < 2.32 < made.bounds.right
    assert get(extracts, "--bbox", "2.2,48.7,2.4,48.9", "--quiet").code == 0
    assert get(extracts, "2.31,48.8", "--quiet").code == 0
    assert "exists" in get(extracts, "2.31,48.8").err
    # What is in the cache is not got again
    assert extracts.asked["/ile-de-france-latest.osm.pbf"] == 1


@pytest.mark.parametrize("faults", [["cut", "cut"], [503], ["half", "long"]])
def test_a_download_that_breaks_off_goes_on(
    data: Path, extracts: Service, faults: list[object]
) -> None:
    whole = "/ile-de-france-latest.osm.pbf"
    extracts.faults[whole] = list(faults)
    said = get(extracts, HERE, "--quiet")
    if "half" in faults:  # whole, as far as its server says, and no extract
        assert said.code == 3
        assert "damaged or truncated" in said.err
        said = get(extracts, HERE, "--quiet")
    assert said.code == 0, said.err
    ranges = [request.headers.get("Range") for request in extracts.requests]
    if faults[0] == "cut":
        half = len(osm_file()) // 2
        assert ranges[2] == f"bytes={half}-"


def test_another_run_goes_on_with_the_same_file_and_not_with_another(
    data: Path, extracts: Service, tmp_path: Path
) -> None:
    whole = "/ile-de-france-latest.osm.pbf"
    extracts.faults[whole] = ["cut", 403]
    assert get(extracts, HERE, "--quiet").code == 3
    assert names(data) == []
    extracts.faults[whole] = ["cut", 403]
    extracts.files[whole] = osm_file() + osm_file()
    assert get(extracts, HERE, "--quiet").code == 3
    extracts.files[whole] = osm_file()  # made anew meanwhile: begun anew, not mixed
    assert get(extracts, HERE, "--quiet").code == 0
    kept = tmp_path / "cache" / "streets" / "ile-de-france.osm.pbf"
    assert kept.read_bytes() == osm_file()


def test_a_place_or_service_that_is_not_there_is_one_sentence(
    data: Path, extracts: Service
) -> None:
    for words, code, sentence in [
        (("Nowhereville-on-Sea",), 2, "No town named"),
        (("0,-60",), 3, "No extract of 127.0.0.1 covers"),
        ((), 2, "Give a place or --bbox"),
        (("95,200",), 2, "not a valid LON,LAT"),
    ]:
        said = get(extracts, *words, "--quiet")
        assert (said.code, said.err.count("\n")) == (code, 1), said
        assert sentence in said.err
    extracts.always["/index-v1.json"] = "login"
    assert "something other than a list of files" in get(extracts, HERE).err
    extracts.always["/index-v1.json"] = 404
    assert "status 404" in get(extracts, HERE).err
    assert names(data) == []
