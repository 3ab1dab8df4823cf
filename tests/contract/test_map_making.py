"""Maps are got, built, replaced and indexed whole, or not at all."""

from __future__ import annotations

import json
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

import regengine as rg
from tests.world import by_day, streets
from tests.world.maps import STEP, made, radiance_at, write_geotiff
from tests.world.osm import osm_pbf
from tests.world.program import Said, run
from tests.world.runs import LIGHTS, SAMPLES
from tests.world.services import TileService

TWO_TILES = ("--bbox", "11,42,12,43", "--level", "7")
WEST, EAST = "/7/47/67.png", "/7/47/68.png"
PRODUCT = ("--product", "VNP46A4", "--date", "2020", "--bbox", "139,34,141,36")
NOISE = np.random.default_rng(7).gamma(0.3, 10.0, (1100, 1100)).astype(np.float32)
AT = {"west": 10.0, "north": 50.0}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Path:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    return tmp_path / "data"


def get(tiles: TileService, *words: object) -> Said:
    return run("maps", "get", "--url", tiles.template, *words)


def build(source: Path, out: Path, *words: object) -> Said:
    return run("maps", "build", source, "--out", out, "--no-index", "-q", *words)


def test_a_region_is_fetched_built_indexed_and_not_fetched_again(
    tiles: TileService, data: Path
) -> None:
    said = get(tiles, *TWO_TILES)
    out = data / "lights" / "lights.tif"
    assert (said.code, said.out) == (0, f"{out}\n"), said.err
    assert said.err.startswith("2 tiles, 0 already there: about ")
    assert made(data) == ["lights.tif", "lights.tif.idx"]
    assert sorted(tiles.asked) == [WEST, EAST]
    assert rg.open_light_map(out).info.bounds == pytest.approx((11, 42, 12, 43), abs=0.05)
    assert radiance_at(out, 11.1, 42.5) == pytest.approx(2.9, abs=0.3)  # grey level 90 to 92
    again = get(tiles, *TWO_TILES)
    assert again.code == 2
    assert "--force" in again.err
    assert get(tiles, *TWO_TILES, "--force", "--quiet") == Said(0, f"{out}\n", "")
    assert tiles.asked.total() == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--url", "ftp://x/{z}/{x}/{y}"], "not a valid address of map tiles"),
        (["--bbox", "0,50,9,40"], "WEST,SOUTH,EAST,NORTH"),
        (["--product", "VNP46A4"], "go together"),
        ([*PRODUCT], "needs an Earthdata token"),
        ([*PRODUCT, "--product", "VNP46A2", "--date", "2020-W01-1"], "published by YYYY-MM-DD"),
        ([*PRODUCT, "--product", "MOD09"], "choose from VNP46A2, VNP46A3, VNP46A4"),
    ],
)
def test_a_request_that_makes_no_sense_asks_nobody(
    data: Path, words: list[object], sentence: str
) -> None:
    said = run("maps", "get", *words)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert made(data) == []


def test_a_region_by_day_is_fetched_and_built(tiles: TileService, data: Path) -> None:
    url = tiles.url("/{z}/{-y}/{x}.png")  # rows from the south
    said = run(
        "maps", "get", "--kind", "day", "--url", url, "--bbox", "11,42,12,43", "--level", "5"
    )
    out = data / "day" / "11e_42n_12e_43n-5.tif"
    assert (said.code, said.out) == (0, f"{out}\n"), said.err
    assert sorted(tiles.asked) == [f"/5/{31 - 11}/{x}.png" for x in (16, 17)]
    with rasterio.open(out) as built:
        assert built.bounds == pytest.approx((11, 42, 12, 43), abs=0.05)
        shown = built.read(window=built.window(11.2, 42.2, 11.8, 42.8))
    assert (shown[3].min(), shown[:3].min(), shown[:3].max()) == (255, 90, 92)


@pytest.fixture
def telephoto(tiles: TileService, data: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """How to register a telephoto photo by day, and what maps a server has."""
    monkeypatch.setenv("REGENGINE_GEOFABRIK", tiles.url("/index.json"))
    monkeypatch.setenv("REGENGINE_SENTINEL", tiles.template)
    table, photo = data.with_name("records.csv"), data.with_name("ISS001-E-2.jpg")
    table.write_text(
        "frame_id,centre_lat,centre_lon,radius_km,nadir_lat,nadir_lon,altitude_km,focal_mm\n"
        "ISS001-E-1,45.17,5.16,20,45.1,5.2,400,968\n"
        "ISS001-E-2,43.75,10.33,20,43.9,7.8,400,600\n"
    )
    by_day.take_far_photo(by_day.look_aside(), photo)
    store = data.with_name("run.h5")
    return ["register", photo, "--metadata", table, "--store", store, "--json", "--fetch", "maps"]


@pytest.mark.slow
def test_what_telephoto_photos_need_is_fetched_once_and_places_them(
    telephoto: list[object], tiles: TileService, data: Path
) -> None:
    """Lamps of a city and land by day, by two workers; the next run finds maps and results."""
    night, city = data.with_name("ISS001-E-1.jpg"), streets.Streets(density=streets.draw_city(1))
    streets.take_photo(night, streets.take_aside(), city)
    tiles.files |= by_day.draw_tiles(11)
    ring = [[4, 44], [6, 44], [6, 46], [4, 46], [4, 44]]
    names = {"id": "city", "urls": {"pbf": tiles.url("/city.osm.pbf")}}
    listed = {"geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": names}
    tiles.files["/index.json"] = json.dumps({"features": [listed]}).encode()
    tiles.files["/city.osm.pbf"] = osm_pbf(streets.draw_ways(1))
    said = run(*telephoto, night, "--workers", 2)
    assert [one["verdict"] for one in said.records] == ["accepted", "accepted"], said.err
    truths = {"ISS001-E-1": streets.take_aside(), "ISS001-E-2": by_day.look_aside()}
    for one in said.records:
        for point in one["control_points"]:
            x, y = truths[one["frame"]].lonlat_to_pixel(point["lon"], point["lat"])
            assert np.hypot(x - point["x"], y - point["y"]) < 2.0
    maps = sorted(str(path.relative_to(data)) for path in data.rglob("*.tif"))
    assert maps == ["day/10.33e_43.75n-11.tif", "streets/5.16e_45.17n.tif"]
    assert "ISS001-E-1.jpg: fetching a streets map around 5.16,45.17" in said.err
    assert re.search(r"/city\.osm\.pbf: [\d.]+ MB, into ", said.err)
    asked = tiles.asked.total()
    again = run(*telephoto, night)
    assert "(2 from the store)" in again.err
    assert tiles.asked.total() == asked


@pytest.mark.slow
def test_a_telephoto_photo_without_a_place_is_searched_for_in_all_that_is_in_sight(
    telephoto: list[object], tiles: TileService, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regengine.runs.remote.AREA_INCIDENCE_DEG", 40.0)  # 320 km
    data.with_name("records.csv").write_text(
        "frame_id,nadir_lat,nadir_lon,altitude_km,focal_mm\nISS001-E-2,43.9,7.8,400,600\n"
    )
    tiles.files |= by_day.draw_tiles(10)
    said = run(*telephoto)
    (record,) = said.records
    assert record["verdict"] == "accepted", said.err
    truth = by_day.look_aside()
    for point in record["control_points"]:
        x, y = truth.lonlat_to_pixel(point["lon"], point["lat"])
        assert np.hypot(x - point["x"], y - point["y"]) < 4.0
    assert "a day map of all in sight" in said.err
    assert re.search(r"\d tiles, 0 already there: about [\d.]+ MB to download", said.err)


@pytest.mark.parametrize("lack", ["network", "room", "place"])
def test_a_photo_whose_map_cannot_be_fetched_goes_on_as_before(
    lack: str,
    telephoto: list[object],
    tiles: TileService,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = {"network": "cannot be reached", "room": "more than 1e-06 GB"}.get(lack, "")
    if lack == "network":
        monkeypatch.setenv("REGENGINE_SENTINEL", "http://127.0.0.1:1/{z}/{y}/{x}.png")
    elif lack == "room":
        monkeypatch.setattr("regengine.runs.remote.MAX_MAPS_GB", 1e-6)
    else:
        data.with_name("records.csv").write_text("frame_id,focal_mm\nISS001-E-2,600\n")
    said = run(*telephoto)
    (record,) = said.records
    code = {"network": 1, "place": 3}.get(lack, 0)  # 3: no photo could be tried
    assert (said.code, record["verdict"]) == (code, "no_match")
    assert said.err.count("no day map was fetched: ") == (lack != "place")
    assert sentence in said.err
    # The reason does not advise what has just failed
    told = " ".join(record["reason_texts"])
    advised, explained = "--fetch maps" in told, "cannot be reached" in told
    assert (advised, explained) == (lack == "room", lack == "network")
    assert made(data) == []
    assert bool(tiles.requests) == (lack == "room")


@pytest.mark.parametrize(
    ("name", "nadir", "where", "also"),
    [
        # The largest of the name, or that in view, and the others in one line
        ("Livorno", None, "(Livorno, Italy)", "Livorno, Suriname"),
        ("Livorno", (5.8, -55.2), "(Livorno, Suriname)", None),
        ("Lucca", None, "(Lucca, Italy)", None),
        ("Lucca", (5.8, -55.2), "(Lucca, Italy)", None),  # out of sight
    ],
)
def test_a_map_is_fetched_for_the_town_of_a_name(
    telephoto: list[object],
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    nadir: tuple[float, float] | None,
    where: str,
    also: str | None,
) -> None:
    monkeypatch.setenv("REGENGINE_SENTINEL", "http://127.0.0.1:1/{z}/{y}/{x}.png")
    lat, lon = nadir or ("", "")
    data.with_name("records.csv").write_text(
        f"frame_id,nadir_lat,nadir_lon,focal_mm\nISS001-E-2,{lat},{lon},600\n"
    )
    said = run(*telephoto, "--place", name, "--blind", "never")
    lines = [line for line in said.err.splitlines() if "fetching a day map" in line]
    assert [line.endswith(where) for line in lines] == [True]
    told = [line for line in said.err.splitlines() if line.startswith("also: ")]
    command = "(regengine maps get NAME --kind day)"
    assert told == ([] if also is None else [f"also: {also} {command}"])


def test_a_map_that_one_has_is_taken_without_a_network(data: Path, tmp_path: Path) -> None:
    said = run("maps", "build", LIGHTS, "--bbox", "-153,34,-151,35")
    out = data / "lights" / "lights.tif"
    assert (said.code, f"{out}: " in said.err) == (0, True)
    # "levels of 7.4, ... km, 1,234 lights at the finest, ..."
    assert re.search(r": levels of [\d., ]+ km, [\d,]+ lights at the finest, ", said.err)
    assert rg.open_light_map(out).info.bounds[0] == pytest.approx(-153.0, abs=0.02)
    said = run("maps", "build", tmp_path / "gone.tif", "--force")
    assert said.code == 3
    assert "gone.tif does not exist" in said.err
    assert made(data) == ["lights.tif", "lights.tif.idx"]
    index = data / "lights" / "lights.tif.idx"
    index.unlink()
    assert run("maps", "index", out).code == 0
    register = ("register", SAMPLES / "ISS990-E-000102.jpg", "--index", index, "--dry-run")
    assert run(*register, "--lights", out).code == 0
    said = run(*register, "--lights", shutil.copy(LIGHTS, tmp_path / "other.tif"))
    assert "made from lights.tif, not from the map of --lights" in said.err
    data.rename(tmp_path / "other")
    data.touch()
    said = run("maps", "build", LIGHTS)
    assert (said.code, "REGENGINE_DATA" in said.err) == (3, True)


def test_a_built_map_is_a_cloud_optimised_geotiff_of_log_radiance(tmp_path: Path) -> None:
    lights = NOISE.copy()
    lights[:64, :96] = np.nan
    source = write_geotiff(tmp_path / "SVDNB_npp_20190101-20190131.avg_rad.tif", lights, **AT)
    out = tmp_path / "earth.tif"
    assert build(source, out) == Said(0, "", "")
    with rasterio.open(out) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.dtypes, dataset.scales, dataset.nodata) == (("uint16",), (1e-4,), 65535)
        assert dataset.crs.to_epsg() == 4326
        assert dataset.overviews(1) == [2, 4]
        codes, tags = dataset.read(1)[:1100, :1100], dataset.tags()
    told = (tags["REGENGINE_FORMAT"], tags["KIND"], tags["DATE"])
    assert told == ("night-lights 1", "radiance", "2019-01")
    assert (codes == 65535).sum() == 64 * 96
    known = np.isfinite(lights)
    np.testing.assert_allclose(codes[known], 1e4 * np.log10(1.0 + lights[known]), atol=0.51)
    for step in (STEP, 4 * STEP, 16 * STEP):
        box = (10.0, 46.0, 14.0, 50.0)
        one, two = (rg.open_light_map(path).window(*box, step) for path in (source, out))
        assert (one.lon0_deg, one.lat0_deg) == pytest.approx((two.lon0_deg, two.lat0_deg))
        both = one.valid & two.valid
        np.testing.assert_allclose(one.values[both], two.values[both], atol=2.1e-4)


def test_a_part_is_built_also_across_the_antimeridian(tmp_path: Path) -> None:
    source = write_geotiff(tmp_path / "m.tif", np.full((200, 300), 3.0, np.float32), **AT)
    out = tmp_path / "part.tif"
    assert build(source, out, "--bbox", "10.5,49.5,11,50").code == 0
    assert rg.open_light_map(out).info.bounds == pytest.approx((10.5, 49.5, 11.0, 50.0))
    for box, code in (("a,b,c,d", 2), ("0,-95,5,5", 2), ("170,0,-170,9", 3)):
        assert build(source, tmp_path / "x.tif", "--bbox", box).code == code
    assert made(tmp_path) == ["m.tif", "part.tif"]
    world = np.zeros((60, 720), np.uint8)
    world[:, :3], world[:, -3:] = 100, 200
    path = write_geotiff(tmp_path / "world.tif", world, west=-180.0, north=20.0, step=0.5)
    assert build(path, out, "--bbox", "178,0,-178,10", "--force").code == 0
    left, right = (radiance_at(out, lon, 5.0) for lon in (179.5, -179.5))
    assert left == pytest.approx(-6.6 * np.log1p(-200 / 256), rel=1e-3)
    assert right == pytest.approx(-6.6 * np.log1p(-100 / 256), rel=1e-3)


def test_a_map_is_replaced_only_by_force_and_only_by_a_whole_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out = write_geotiff(tmp_path / "m.tif", NOISE, **AT), tmp_path / "out.tif"
    out.write_bytes(b"the map of before")
    assert build(source, out).code == 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (20_000, 2_000_000):  # in the first and in the second pass
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            said = build(source, out, "--force")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert said.code == 3
        assert "out.tif cannot be written" in said.err
        assert made(tmp_path) == ["m.tif", "out.tif"]
        assert out.read_bytes() == b"the map of before"
    assert capfd.readouterr().err == ""
    assert build(source, out, "--force").code == 0
    assert rg.open_light_map(out).info.kind == "radiance"


def test_a_map_that_cannot_be_built_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_geotiff(tmp_path / "m.tif", NOISE[:600, :600], compress="deflate", **AT)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(5000) + content[middle + 5000 :])
    said = run("maps", "build", path, "--out", tmp_path / "out.tif")
    assert (said.code, "m.tif cannot be read: it is damaged" in said.err) == (3, True)
    path.write_bytes(content)
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    said = run("maps", "build", path, "--out", tmp_path / "out.tif")
    assert (said.code, "0 MB free" in said.err) == (3, True)
    assert made(tmp_path) == ["m.tif"]


def test_a_picture_by_day_is_built_in_its_colours(tmp_path: Path) -> None:
    """From UTM; what the picture does not cover is not covered in the reference."""
    colours = np.empty((3, 520, 550), np.uint8)
    colours[:] = np.array([40, 90, 200], np.uint8)[:, None, None]
    colours[0, 260:262, 270:272] = 255
    place = Affine(10.0, 0.0, 200_000.0, 0.0, -10.0, 5_400_000.0)
    source = write_geotiff(tmp_path / "s2.tif", colours, crs="EPSG:32631", transform=place)
    words = ("--product", "Sentinel-2", "--credit", "Copernicus", "--quiet")
    assert (
        run("maps", "build", "--kind", "day", source, "--out", tmp_path / "day.tif", *words).code
        == 0
    )
    (told,) = run("maps", "info", "--kind", "day", tmp_path / "day.tif", "--json").records
    assert (told["product"], told["credit"], told["bands"]) == ("Sentinel-2", "Copernicus", 3)
    with rasterio.open(tmp_path / "day.tif") as dataset:
        assert dataset.overviews(1) == [2]
        red, green, blue, opaque = dataset.read()
        half = dataset.read(out_shape=(4, dataset.height // 2, dataset.width // 2))
        row, col = np.unravel_index(red.argmax(), red.shape)
        lon, lat = dataset.xy(row, col)
        rows, cols = np.indices(red.shape)
        corner = dataset.transform
    assert told["resolution_arcsec"] == pytest.approx(3600 * corner.a, abs=6e-4)
    x, y = Transformer.from_crs(4326, 32631, always_xy=True).transform(lon, lat)
    assert (x, y) == pytest.approx((202_710.0, 5_397_390.0), abs=12.0)
    assert (half[2, 100:150, 100:150] == 200).all()
    lon, lat = corner @ (cols + 0.5, rows + 0.5)
    x, y = Transformer.from_crs(4326, 32631, always_xy=True).transform(lon, lat)
    inside = np.minimum.reduce([x - 2e5, 205_500 - x, 5.4e6 - y, y - 5_394_800])
    assert (opaque[inside > 12.0] == 255).all()
    assert (opaque[inside < -12.0] == 0).all()
    assert (green[inside > 12.0] == 90).all()
    assert (blue[inside > 12.0] == 200).all()
