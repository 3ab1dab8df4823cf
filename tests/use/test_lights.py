"""Night-light maps: got from services that behave and that do not, built, indexed, told."""

from __future__ import annotations

import json
import re
import resource
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine

import regengine as rg
from tests.conftest import ROOT
from tests.world.program import Said, begin, run
from tests.world.services import TileService

SAMPLE = ROOT / "data_samples" / "lights.tif"
STEP = 1.0 / 240.0  # 15 arcsec
TWO_TILES = ("--bbox", "11,42,12,43", "--level", "7")
WEST, EAST = "/7/47/67.png", "/7/47/68.png"
LISTING = "/VNP46A4/2020/001"
TILES = [f"VNP46A4.A2020001.h{h}v05.002.20240101000{h}.h5" for h in (30, 31, 32)]
PRODUCT = ("--product", "VNP46A4", "--date", "2020", "--bbox", "139,34,141,36")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the map goes; retries do not wait."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return tmp_path / "data" / "lights"


def get(tiles: TileService, *words: object) -> Said:
    return run("lights", "get", "--url", tiles.template, *words)


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def write_map(path: Path, samples: np.ndarray[Any, Any], **profile: Any) -> Path:
    bands = samples if samples.ndim == 3 else samples[None]
    transform = profile.pop("transform", Affine(STEP, 0.0, 10.0, 0.0, -STEP, 50.0))
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    given = {"crs": "EPSG:4326", "dtype": bands.dtype, "transform": transform, **shape, **profile}
    with rasterio.open(path, "w", driver="GTiff", **given) as dataset:
        dataset.write(bands)
    return path


def write_vnp46(path: Path, radiance_nw: float = 0.2) -> Path:
    """A tile of 10 degrees by the User Guide's description of HDF-EOS5 grids."""
    with h5py.File(path, "w") as file:
        fields = file.create_group("HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields")
        lights = np.full((24, 24), radiance_nw, np.float32)
        fields.create_dataset("AllAngle_Composite_Snow_Free", data=lights)
        fields["AllAngle_Composite_Snow_Free"].attrs["_FillValue"] = -999.9
        fields.create_dataset("AllAngle_Composite_Snow_Free_Num", data=np.ones((24, 24), np.uint8))
    return path


def radiance_at(path: Path | list[Path], lon: float, lat: float) -> float:
    window = rg.open_light_map(path).window(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1, STEP)
    return float(10.0 ** np.median(window.values) - 1.0)


@pytest.fixture
def level(tmp_path: Path) -> Path:
    """A radiance map of one level."""
    return write_map(tmp_path / "level.tif", np.full((200, 300), 3.0, np.float32))


def test_a_region_is_fetched_built_indexed_and_not_fetched_again(
    tiles: TileService, data: Path
) -> None:
    said = get(tiles, *TWO_TILES)
    out = data / "lights.tif"
    assert (said.code, said.out) == (0, f"{out}\n"), said.err
    assert said.err.startswith("2 tiles, 0 already there: about ")
    assert made(data) == ["lights.tif", "lights.tif.idx"]
    assert sorted(tiles.asked) == [WEST, EAST]
    assert rg.open_light_map(out).info.bounds == pytest.approx((11, 42, 12, 43), abs=0.05)
    again = get(tiles, *TWO_TILES)
    assert again.code == 2
    assert "--force" in again.err
    assert get(tiles, *TWO_TILES, "--force", "--quiet") == Said(0, f"{out}\n", "")
    assert tiles.asked.total() == 2


@pytest.mark.slow
def test_two_runs_at_once_both_have_their_map(tiles: TileService, data: Path) -> None:
    words = ("lights", "get", "--url", tiles.template, *TWO_TILES)
    runs = [begin(*words) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in runs]
    codes = [process.returncode for process in runs]
    # The second one waits, or begins so late that the map is there
    assert 0 in codes, told
    for code, (_, err) in zip(codes, told, strict=True):
        assert code == 0 or "and its index exist" in err
    assert made(data) == ["lights.tif", "lights.tif.idx"]
    assert tiles.asked[WEST] == tiles.asked[EAST] == 1


def test_what_was_interrupted_goes_on(tiles: TileService, data: Path) -> None:
    tiles.always[EAST] = 403
    said = get(tiles, *TWO_TILES)
    assert (said.code, said.out) == (3, "")
    assert made(data) == []
    tiles.always.clear()
    assert get(tiles, *TWO_TILES).code == 0
    assert tiles.asked[WEST] == 1
    (data / "lights.tif.idx").unlink()
    asked = tiles.asked.total()
    assert get(tiles, *TWO_TILES).code == 0
    assert made(data) == ["lights.tif", "lights.tif.idx"]
    assert tiles.asked.total() == asked


@pytest.mark.parametrize("faults", [[500, 503], [429], ["cut"], ["half"], ["long"]])
def test_faults_that_pass_are_tried_again(
    tiles: TileService, data: Path, faults: list[object]
) -> None:
    tiles.faults[WEST] = list(faults)
    assert get(tiles, *TWO_TILES).code == 0
    assert tiles.asked[WEST] == len(faults) + 1
    assert radiance_at(data / "lights.tif", 11.1, 42.5) == pytest.approx(2.9, abs=0.3)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (500, "failed with status 500"),
        (400, "status 400: check the address"),
        (403, "denies access"),
        ("half", "a picture arrived broken"),
        ("login", "a web page instead of a picture"),
        (b'{"error": "no layer"}', "another format instead of a picture"),
        ("to:ftp://127.0.0.1/x.png", "an invalid web address"),
    ],
)
def test_faults_that_last_are_one_sentence_and_no_map(
    tiles: TileService, data: Path, tmp_path: Path, fault: object, sentence: str
) -> None:
    tiles.always[EAST] = fault
    said = get(tiles, *TWO_TILES, "--quiet")
    assert (said.code, said.out) == (3, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert made(data) == []
    assert not [name for name in made(tmp_path) if name.startswith(".")]


def test_no_network_is_told(data: Path, socket_enabled: None) -> None:
    with socket.socket() as nobody:  # its port is taken, and nobody listens there
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/{{z}}/{{x}}/{{y}}.png"
        said = run("lights", "get", "--url", url, *TWO_TILES)
    assert said.code == 3
    assert "cannot be reached" in said.err
    assert "regengine lights get --from MAP" in said.err
    assert made(data) == []


@pytest.mark.slow
@pytest.mark.parametrize("words", [("index",), ("get", "--from")])
def test_what_takes_minutes_tells_by_what_is_done_how_long_it_still_takes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    source = shutil.copy(SAMPLE, tmp_path / "source.tif")
    clock = iter(range(0, 10**9, 31))  # each step takes longer than the pause between lines
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    said = run("lights", *words, source)
    told = re.findall(r"Indexing: (\d+) %, (\d+):(\d\d):(\d\d) left", said.err)
    assert len(told) > 3
    numbers = np.array(told, float)
    shares, to_go_s = numbers[:, 0], numbers[:, 1:] @ [3600.0, 60.0, 1.0]
    assert (np.diff(shares) >= 0).all()
    assert to_go_s[0] > 31 * len(told) / 2
    assert to_go_s[-1] < to_go_s[0]


def test_a_map_in_another_unit_is_doubted_in_a_sentence(tmp_path: Path) -> None:
    lights = np.random.default_rng(7).gamma(0.3, 10.0, (200, 200)).astype(np.float32)
    watts = write_map(tmp_path / "watts.tif", 1e-9 * lights)
    said = run("lights", "info", watts)
    assert said.code == 0
    assert "has no unit, and its brightest pixel would have" in said.out
    (told,) = run("lights", "info", watts, "--json").records
    assert len(told["doubts"]) == 1
    for words in (
        ("lights", "build", watts, "--out", tmp_path / "built.tif"),
        ("register", ROOT / "data_samples" / "ISS990-E-000101.jpg", "--lights", watts,
         "--store", tmp_path / "run.h5", "--blind", "never", "--workers", 0),
    ):  # fmt: skip
        assert told["doubts"][0] in run(*words).err
    (fine,) = run("lights", "info", write_map(tmp_path / "nw.tif", lights), "--json").records
    assert fine["doubts"] == []


def test_a_grey_picture_of_30_arcsec_is_no_dmsp_map(tmp_path: Path) -> None:
    numbers = np.random.default_rng(3).integers(0, 64, (300, 300), np.uint8)
    fine = Affine(1 / 120, 0.0, 10.0, 0.0, -1 / 120, 50.0)
    dmsp = write_map(tmp_path / "bytes.tif", numbers, transform=fine)
    said = run("lights", "info", dmsp)
    assert said.code == 3
    assert "values up to 63 on pixels of 30 arcsec" in said.err
    grey = write_map(tmp_path / "grey.tif", 4 * numbers, transform=fine)
    (told,) = run("lights", "info", grey, "--json").records
    assert told["kind"] == "display"
    assert told["resolution_arcsec"] == pytest.approx(30.0)


def test_a_projected_map_across_the_antimeridian_is_as_one_beside_it(tmp_path: Path) -> None:
    """The same pixels in two zones of UTM, six degrees apart: one reaches across 180 degrees."""
    row, column = np.indices((200, 200), dtype=np.float32)
    lit = 10.0 * (1.5 + np.sin(row / 9.0) * np.cos(column / 7.0))
    place = Affine(500.0, 0.0, 700_000.0, 0.0, -500.0, 4_000_000.0)
    told, paths = [], []
    for zone in (32659, 32660):
        path = write_map(tmp_path / f"{zone}.tif", lit, crs=f"EPSG:{zone}", transform=place)
        told += run("lights", "info", path, "--json").records
        paths.append(path)
    west, south, east, north = np.transpose([one["bounds"] for one in told])
    assert east[1] > 180.0
    assert (west[1] - west[0], east[1] - east[0]) == pytest.approx((6.0, 6.0), abs=0.02)
    assert (south[1], north[1]) == pytest.approx((south[0], north[0]), abs=0.02)
    assert told[1]["resolution_arcsec"] == pytest.approx(told[0]["resolution_arcsec"], rel=0.15)
    for lon, lat in ((173.6, 35.6), (173.9, 35.8), (174.1, 35.7), (174.2, 35.95)):
        here, there = (
            radiance_at(path, lon + by, lat) for path, by in zip(paths, (0, 6), strict=True)
        )
        assert there == pytest.approx(here, rel=0.1)


def test_a_tile_that_the_service_does_not_have_is_no_data(tiles: TileService, data: Path) -> None:
    tiles.always[EAST] = 404  # east of 11.25 degrees
    assert get(tiles, *TWO_TILES).code == 0
    window = rg.open_light_map(data / "lights.tif").window(11.0, 42.2, 12.0, 42.8, 0.05)
    assert window.valid is not None
    columns = window.valid.all(axis=0)
    assert columns[:4].all()
    assert not columns[6:].any()
    assert get(tiles, *TWO_TILES, "--force").code == 0
    assert tiles.asked[EAST] == 1


def test_rows_counted_from_the_south_are_asked_for_so(tiles: TileService, data: Path) -> None:
    url = tiles.url("/{z}/{x}/{-y}.png")
    assert run("lights", "get", "--url", url, "--bbox", "11.1,42.4,11.2,42.5", *TWO_TILES[2:])
    assert list(tiles.asked) == [f"/7/67/{2**7 - 1 - 47}.png"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--url", "ftp://x/{z}/{x}/{y}"], "not a valid address of map tiles"),
        (["--url", "https://x/{z}/{x}"], "not a valid address of map tiles"),
        (["--url", "https://x/{z}/{x}/{y}/{key}"], "not a valid address of map tiles"),
        (["--bbox", "1,2,3"], "WEST,SOUTH,EAST,NORTH"),
        (["--bbox", "0,50,9,40"], "WEST,SOUTH,EAST,NORTH"),
        (["--from", SAMPLE, "--url", "https://x/{z}/{x}/{y}"], "leave it out with --from"),
        (["--product", "VNP46A4"], "go together"),
        ([*PRODUCT], "needs an Earthdata token"),
        ([*PRODUCT, "--date", "2020-02-30"], "VNP46A4 is published by YYYY"),
        (
            [*PRODUCT, "--product", "VNP46A2", "--date", "2020-W01-1"],
            "VNP46A2 is published by YYYY-MM-DD",
        ),
        ([*PRODUCT, "--product", "MOD09"], "choose VNP46A2, VNP46A3, VNP46A4"),
    ],
)
def test_a_request_that_makes_no_sense_asks_nobody(
    data: Path, words: list[object], sentence: str
) -> None:
    said = run("lights", "get", *words)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert made(data) == []


def test_a_map_that_one_has_is_taken_without_a_network(data: Path, tmp_path: Path) -> None:
    said = run("lights", "get", "--from", SAMPLE, "--bbox", "-153,34,-151,35")
    assert (said.code, said.out) == (0, f"{data / 'lights.tif'}\n")
    assert rg.open_light_map(data / "lights.tif").info.bounds[0] == pytest.approx(-153.0, abs=0.02)
    said = run("lights", "get", "--from", tmp_path / "gone.tif", "--force")
    assert said.code == 3
    assert "gone.tif does not exist" in said.err
    assert made(data) == ["lights.tif", "lights.tif.idx"]


def test_a_data_folder_that_cannot_be_made_is_named() -> None:
    said = run("lights", "get", "--from", SAMPLE)
    assert said.code == 2
    assert "REGENGINE_DATA" in said.err


@pytest.fixture
def earthdata(
    tiles: TileService, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TileService:
    """An archive of Black Marble tiles of 10 degrees."""
    monkeypatch.setenv("EARTHDATA_TOKEN", "sEcret")
    tiles.list_files(LISTING, [*TILES, "../../etc/passwd.h5", "VNP46A3.A2020001.h31v05.002.1.h5"])
    for name in TILES:
        tiles.files[f"/files/{name}"] = write_vnp46(tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
    return tiles


def get_product(archive: TileService) -> Said:
    return run("lights", "get", "--url", archive.address, *PRODUCT)


def test_a_radiance_product_is_got_for_a_region_and_no_stranger_sees_the_token(
    earthdata: TileService, data: Path
) -> None:
    said = get_product(earthdata)
    assert said.code == 0, said.err
    assert set(earthdata.asked) == {LISTING, *(f"/files/{name}" for name in TILES[1:])}
    assert radiance_at(data / "lights.tif", 140.0, 35.0) == pytest.approx(0.2, rel=1e-2)
    assert rg.open_light_map(data / "lights.tif").info.kind == "radiance"
    assert not [one for one in earthdata.requests if "Authorization" in one.headers]
    assert "sEcret" not in said.out + said.err


def test_a_product_that_breaks_off_goes_on(earthdata: TileService, data: Path) -> None:
    path = f"/files/{TILES[1]}"
    earthdata.faults[path] = ["cut"]
    assert get_product(earthdata).code == 0
    ranges = [one.headers.get("Range") for one in earthdata.requests if one.path == path]
    assert ranges == [None, f"bytes={len(earthdata.files[path]) // 2}-"]


@pytest.mark.parametrize(
    ("path", "fault", "sentence"),
    [
        (LISTING, "login", "other than a list of files"),
        (LISTING, b'{"content": []}', "has no VNP46A4 of 2020 for that place"),
        (LISTING, 404, "has no VNP46A4 of 2020 for that place"),
        (f"/files/{TILES[1]}", "login", "instead of an HDF5 file: the token"),
        (f"/files/{TILES[1]}", "half", "an HDF5 file arrived broken"),
        (f"/files/{TILES[1]}", 404, "is listed but missing"),
    ],
)
def test_an_archive_that_refuses_is_told(
    earthdata: TileService, data: Path, path: str, fault: object, sentence: str
) -> None:
    earthdata.always[path] = fault
    said = get_product(earthdata)
    assert (said.code, said.out) == (3, "")
    assert sentence in said.err
    assert made(data) == []


def test_a_built_map_is_a_cloud_optimised_geotiff_of_log_radiance(tmp_path: Path) -> None:
    lights = np.random.default_rng(7).gamma(0.3, 10.0, (1100, 1100)).astype(np.float32)
    lights[:64, :96] = np.nan
    source = write_map(tmp_path / "SVDNB_npp_20190101-20190131.avg_rad.tif", lights)
    out = tmp_path / "earth.tif"
    assert run("lights", "build", source, "--out", out, "--no-index", "-q") == Said(0, "", "")
    with rasterio.open(out) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.dtypes, dataset.scales, dataset.nodata) == (("uint16",), (1e-4,), 65535)
        assert dataset.crs.to_epsg() == 4326
        assert dataset.overviews(1) == [2, 4]
        codes, tags = dataset.read(1)[:1100, :1100], dataset.tags()
    assert (tags["REGENGINE_FORMAT"], tags["KIND"], tags["DATE"]) == (
        *("night-lights 1", "radiance", "2019-01"),
    )
    assert (codes == 65535).sum() == 64 * 96
    known = np.isfinite(lights)
    np.testing.assert_allclose(codes[known], 1e4 * np.log10(1.0 + lights[known]), atol=0.51)
    box = (10.0, 46.0, 14.0, 50.0)
    for step in (STEP, 4 * STEP, 16 * STEP):
        one, two = (rg.open_light_map(path).window(*box, step) for path in (source, out))
        assert (one.lon0_deg, one.lat0_deg) == pytest.approx((two.lon0_deg, two.lat0_deg))
        both = one.valid & two.valid
        np.testing.assert_allclose(one.values[both], two.values[both], atol=2.1e-4)


def test_a_part_is_built_also_across_the_antimeridian(level: Path, tmp_path: Path) -> None:
    out = tmp_path / "part.tif"
    build = ("lights", "build", level, "--out", out, "-q", "--no-index", "--bbox")
    assert run(*build, "10.5,49.5,11,50").code == 0
    assert rg.open_light_map(out).info.bounds == pytest.approx((10.5, 49.5, 11.0, 50.0))
    for box, code in (("a,b,c,d", 2), ("0,-95,5,5", 2), ("170,0,-170,9", 3)):
        assert run(*build[:4], tmp_path / "x.tif", "--bbox", box).code == code
    assert made(tmp_path) == ["level.tif", "part.tif"]
    world = np.zeros((60, 720), np.uint8)
    world[:, :3], world[:, -3:] = 100, 200
    half = Affine(0.5, 0.0, -180.0, 0.0, -0.5, 20.0)
    path = write_map(tmp_path / "world.tif", world, transform=half)
    assert run("lights", "build", path, *build[3:], "178,0,-178,10", "--force").code == 0
    left, right = (radiance_at(out, lon, 5.0) for lon in (179.5, -179.5))
    assert left > right + 5.0 > 5.0


def test_a_map_is_replaced_only_by_force_and_only_by_a_whole_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(9).gamma(0.3, 10.0, (1100, 1100)).astype(np.float32)
    source, out = write_map(tmp_path / "m.tif", noise), tmp_path / "out.tif"
    out.write_bytes(b"the map of before")
    build = ("lights", "build", source, "--out", out, "--no-index")
    assert run(*build).code == 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (20_000, 2_000_000):  # in the first and in the second pass
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            said = run(*build, "--force")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert said.code == 3
        assert "out.tif cannot be written" in said.err
        assert made(tmp_path) == ["m.tif", "out.tif"]
        assert out.read_bytes() == b"the map of before"
    assert capfd.readouterr().err == ""
    assert run(*build, "--force").code == 0
    assert rg.open_light_map(out).info.kind == "radiance"


def test_a_damaged_source_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    samples = np.random.default_rng(9).random((600, 600)).astype(np.float32)
    path = write_map(tmp_path / "m.tif", samples, compress="deflate")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    path.write_bytes(content)
    said = run("lights", "build", path, "--out", tmp_path / "out.tif")
    assert said.code == 3
    assert "m.tif cannot be read: it is damaged" in said.err
    assert made(tmp_path) == ["m.tif"]


def test_an_index_is_of_lights_whatever_their_file(tmp_path: Path) -> None:
    out, region = tmp_path / "earth.tif", "-155,33,-150,37"
    said = run("lights", "build", SAMPLE, "--out", out, "--bbox", region)
    assert (said.code, said.out) == (0, "")
    assert f"{out}.idx: " in said.err
    index, photo = Path(f"{out}.idx"), ROOT / "data_samples" / "ISS990-E-000102.jpg"
    register = ("register", photo, "--index", index, "--dry-run", "--lights")
    renamed, other = tmp_path / "renamed.tif", tmp_path / "other.tif"
    assert (
        run("lights", "build", out, "--out", renamed, "--date", "1999", "--no-index", "-q").code
        == 0
    )
    assert run(*register, renamed).code == 0
    shutil.copy(SAMPLE, other)
    said = run(*register, other)
    assert said.code in (2, 3)
    assert "made from earth.tif, not from the map of --lights" in said.err
    assert run("lights", "index", out, renamed).code == 2  # lies beside neither


def test_a_map_of_too_few_towns_is_built_without_an_index(tmp_path: Path) -> None:
    dark = write_map(tmp_path / "dark.tif", np.full((40, 40), 0.01, np.float32))
    said = run("lights", "build", dark, "--out", tmp_path / "earth.tif")
    assert said.code == 0
    assert "No index was made: " in said.err
    assert made(tmp_path) == ["dark.tif", "earth.tif"]


@pytest.mark.parametrize(
    ("name", "dtype", "facts"),
    [
        ("BlackMarble_2016.tif", "uint8", ("Black Marble", "2016", "display", 24.77)),
        ("VNL_v22_npp_2022_avg_rad.tif", "float32", ("VIIRS DNB composite", "2022", "radiance")),
        ("VNP46A4.A2020001.h19v04.h5", "h5", ("Black Marble VNP46A4", "2020-01-01", "radiance")),
        ("VNP46A4.A2020000.h19v04.h5", "h5", ("Black Marble VNP46A4", "", "radiance")),
    ],
)
def test_a_map_is_told_by_its_name_and_content(
    tmp_path: Path, name: str, dtype: str, facts: tuple[object, ...]
) -> None:
    path = tmp_path / name
    if dtype == "h5":
        write_vnp46(path)
    else:
        samples = np.arange(256, dtype=np.uint8).repeat(200).reshape(256, 200).T + 0.5 * (
            dtype != "uint8"
        )
        write_map(path, samples.astype(dtype))
    said = run("lights", "info", path, "--json")
    told = json.loads(said.out)
    saturation = facts[3] if len(facts) > 3 else None
    assert (told["product"], told["date"], told["kind"]) == facts[:3]
    assert told["saturation_nw"] == (saturation and pytest.approx(saturation, abs=0.02))
    assert told["valid_fraction"] == 1.0
    lines = dict(line.split(maxsplit=1) for line in run("lights", "info", path).out.splitlines())
    assert lines["kind"] == facts[2]
    assert lines["date"] == (facts[1] or "unknown")


def test_where_several_maps_have_data_radiance_counts_before_pictures(
    level: Path, tmp_path: Path
) -> None:
    wide = Affine(STEP, 0.0, 9.0, 0.0, -STEP, 51.0)
    picture = write_map(tmp_path / "p.tif", np.full((900, 900), 200, np.uint8), transform=wide)
    for paths in ([level, picture], [picture, level]):
        assert radiance_at(paths, 10.6, 49.6) == pytest.approx(3.0, rel=1e-3)
        assert radiance_at(paths, 9.5, 48.0) == pytest.approx(10.03, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("gone.tif", None, "does not exist"),
        ("a.tif", b"PK\x03\x04zip", "a.tif"),
        ("a.tif", b"not a map", "is not a night-light map"),
        ("plain.tif", {"crs": None}, "no coordinate system"),
        ("SVDNB_npp_20190101-20190131.cf_cvg.tif", {}, "counts of observations"),
        ("F182013.stable_lights.tif", {"dtype": "uint8"}, "DMSP digital numbers, not radiances"),
    ],
)
def test_a_file_that_is_no_map_is_one_sentence(
    tmp_path: Path, name: str, change: dict[str, Any] | bytes | None, sentence: str
) -> None:
    path = tmp_path / name
    if isinstance(change, bytes):
        path.write_bytes(change)
    elif change is not None:
        write_map(path, np.full((40, 60), 7, change.pop("dtype", "float32")), **change)
    for words in (("info", path), ("build", path, "--out", tmp_path / "out.tif")):
        said = run("lights", *words)
        assert (said.code, said.out) == (3, "")
        assert sentence in said.err
        assert name in said.err
        assert said.err.count("\n") == 1
    assert not (tmp_path / "out.tif").exists()
