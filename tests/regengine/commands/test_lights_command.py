"""`regengine lights` as people type it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from regengine.commands import lights
from regengine.errors import ConfigError, LightMapError
from regengine.lights import fetch, open_light_map
from regengine.lights.fetch import GIBS_BLACK_MARBLE, LAADS, Fetched
from regengine.lights.tiles import Circle
from regengine.registration.index.earth import read_earth_index
from regengine.registration.index.options import BlindOptions, earth_index, index_file
from tests.command_line import invoke
from tests.conftest import ROOT

STEP = 1.0 / 240.0
LIGHTS = ROOT / "data_samples" / "lights.tif"
TOWNS = "-155,33,-150,37"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "BlackMarble_2016.tif"
    samples = np.random.default_rng(1).integers(0, 256, (200, 300)).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=1, height=200, width=300,
        crs="EPSG:4326", transform=Affine(STEP, 0.0, 10.0, 0.0, -STEP, 50.0),
    ) as dataset:  # fmt: skip
        dataset.write(samples, 1)
    return path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = invoke("lights", *arguments)
    return result.exit_code, result.stdout, result.stderr


def test_info_says_what_a_map_is(picture: Path) -> None:
    code, shown, said = run("info", picture)
    assert (code, said) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert lines["product"] == "Black Marble"
    assert lines["date"] == "2016"
    assert lines["kind"] == "display"
    assert lines["resolution"].startswith("15 arcsec")
    assert lines["extent"] == "10 to 11.25 east, 49.1667 to 50 north"
    assert lines["CRS"] == "EPSG:4326"
    assert lines["saturation"] == "from 24.77 nW/cm²/sr"


def test_info_as_json_is_one_line(picture: Path) -> None:
    code, shown, _ = run("info", picture, "--json")
    facts = json.loads(shown)
    assert code == 0
    assert shown.count("\n") == 1
    assert facts["paths"] == [str(picture)]
    assert facts["bounds"] == pytest.approx([10.0, 49.166667, 11.25, 50.0])
    assert facts["saturation_nw"] == pytest.approx(24.77, abs=0.02)
    assert facts["quantiles_nw"]["1"] == pytest.approx(29.35, abs=0.02)
    assert facts["valid_fraction"] == 1.0


def test_info_of_a_radiance_map_and_of_classes(picture: Path) -> None:
    code, shown, _ = run("info", picture, "--classes", "5=1.4,13=134")
    assert code == 0
    assert "saturation   none" in shown
    code, _, said = run("info", picture, "--classes", "5:1.4")
    assert code == 2
    assert "5=1.4,6=2.7" in said


def test_build_makes_a_map_that_info_knows(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "earth.tif"
    code, shown, said = run("build", picture, "--out", out, "--product", "Mine", "--date", "2017")
    assert (code, shown) == (0, "")
    assert said.startswith(f"{out}: ")
    facts = json.loads(run("info", out, "--json")[1])
    assert (facts["product"], facts["date"]) == ("Mine", "2017")
    assert facts["saturation_nw"] == pytest.approx(24.77, abs=0.02)
    code, _, said = run("build", picture, "--out", out)
    assert code == 2
    assert "--force" in said
    assert run("build", picture, "--out", out, "--force", "--quiet") == (0, "", "")


def test_build_of_a_part(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "part.tif"
    assert run("build", picture, "--out", out, "--bbox", "10.5,49.5,11,50", "-q")[0] == 0
    assert open_light_map([out]).info.bounds == pytest.approx((10.5, 49.5, 11.0, 50.0))
    for wrong in ("1,2,3", "a,b,c,d", "10,50,11,49", "0,-95,5,5"):
        code, _, said = run("build", picture, "--out", tmp_path / "x.tif", "--bbox", wrong)
        assert code == 2
        assert "WEST,SOUTH,EAST,NORTH" in said
    code, _, said = run("build", picture, "--out", tmp_path / "x.tif", "--bbox", "170,0,-170,9")
    assert code == 3
    assert "choose a region that they cover" in said


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of some towns, built together with its index."""
    out = tmp_path_factory.mktemp("built") / "earth.tif"
    code, shown, said = run("build", LIGHTS, "--out", out, "--bbox", TOWNS)
    assert (code, shown) == (0, "")
    assert f"{out}.idx: " in said
    return out


def test_build_makes_the_index_beside_the_map(indexed: Path, tmp_path: Path) -> None:
    read = earth_index(BlindOptions(), [indexed])
    assert read is not None
    assert len(read.levels[1.3].figures) > 0
    assert index_file(BlindOptions(), [indexed]) == Path(f"{indexed}.idx")
    out = tmp_path / "plain.tif"
    assert run("build", LIGHTS, "--out", out, "--bbox", TOWNS, "--no-index", "-q") == (0, "", "")
    assert list(tmp_path.iterdir()) == [out]


def test_an_index_is_of_the_lights_whatever_their_file(indexed: Path, tmp_path: Path) -> None:
    index = Path(f"{indexed}.idx")
    again = tmp_path / "renamed.tif"
    run("build", indexed, "--out", again, "--product", "Another name", "--date", "1999", "-q")
    assert again.read_bytes() != indexed.read_bytes()
    assert read_earth_index(index, [again]).levels
    darker = tmp_path / "darker.tif"
    shutil.copy(indexed, darker)
    with rasterio.open(darker, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.update_tags(LIGHTS_SHA256="0" * 64)
    with pytest.raises(ConfigError, match=r"made of earth\.tif, which is not what --lights names"):
        read_earth_index(index, [darker])


def test_an_index_of_a_file_that_says_nothing_of_its_lights_stays_good(
    indexed: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "lights.tif"
    with rasterio.open(indexed) as dataset:
        told = {key: text for key, text in dataset.tags().items() if key != "LIGHTS_SHA256"}
        shape = dict(dataset.profile, driver="GTiff")
        with rasterio.open(plain, "w", **shape) as copy:
            copy.update_tags(**told)
            copy.write(dataset.read())
    code, shown, said = run("index", plain)
    assert (code, shown) == (0, "")
    assert said.startswith(f"{plain}.idx: ")
    moved = plain.rename(tmp_path / "moved.tif")
    assert read_earth_index(Path(f"{plain}.idx"), [moved]).levels
    code, _, said = run("index", moved, plain)
    assert code == 2
    assert "name it with --out" in said


def test_a_map_of_too_few_towns_is_built_without_an_index(tmp_path: Path) -> None:
    dark = tmp_path / "dark.tif"
    with rasterio.open(
        dark, "w", driver="GTiff", dtype="float32", count=1, height=40, width=40,
        crs="EPSG:4326", transform=Affine(STEP, 0.0, 10.0, 0.0, -STEP, 50.0),
    ) as dataset:  # fmt: skip
        dataset.write(np.full((40, 40), 0.01, np.float32), 1)
    code, _, said = run("build", dark, "--out", tmp_path / "earth.tif")
    assert code == 0
    assert "No index was made: " in said
    assert "too few towns" in said
    assert not (tmp_path / "earth.tif.idx").exists()


class Asked:
    """What the command asked of the function that downloads."""

    values: dict[str, object]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    asked = Asked()

    def pretend(circle: Circle, folder: Path | None, **more: object) -> Fetched:
        asked.values = {"circle": circle, "folder": folder, **more}
        return Fetched(folder=folder or tmp_path / "cache", downloaded=3, present=2, absent=1)

    monkeypatch.setattr(fetch, "fetch_tiles", pretend)
    monkeypatch.setattr("regengine.lights.fetch.fetch_vnp46", pretend)
    return asked


def test_fetch_prints_the_folder_alone(asked: Asked, tmp_path: Path) -> None:
    code, shown, said = run("fetch", "--nadir", "-8.9,34.0", "--radius-km", "500")
    assert code == 0
    assert shown == f"{tmp_path / 'cache'}\n"
    assert said == "3 downloaded, 2 there already, 1 do not exist\n"
    assert asked.values["circle"] == Circle(-8.9, 34.0, 500.0)
    assert asked.values["template"] == GIBS_BLACK_MARBLE
    assert asked.values["level"] == 8


def test_fetch_takes_its_options(asked: Asked, tmp_path: Path) -> None:
    url = "https://tiles.example.org/{z}/{x}/{y}.png"
    code, shown, said = run(
        "fetch", "--nadir", "1,2", "--radius-km", "9", "--url", url, "--level", "0",
        "--out", tmp_path, "--timeout-s", "5", "--quiet",
    )  # fmt: skip
    assert (code, shown, said) == (0, f"{tmp_path}\n", "")
    assert asked.values["template"] == url
    assert asked.values["level"] == 0
    assert asked.values["downloader"].timeout_s == 5.0  # type: ignore[attr-defined]
    assert asked.values["downloader"].token == ""  # type: ignore[attr-defined]


def test_fetch_of_a_product_uses_the_token(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", " secret\n")
    place = ("fetch", "--nadir", "1,2", "--radius-km", "9", "--product", "VNP46A4")
    code, shown, said = run(*place, "--date", "2020")
    assert code == 0
    assert asked.values["product"] == "VNP46A4"
    assert asked.values["when"] == "2020"
    assert asked.values["downloader"].token == "secret"  # type: ignore[attr-defined]
    assert "secret" not in shown + said
    assert LAADS.startswith("https://")
    code, _, said = run(*place)
    assert code == 2
    assert "needs --date" in said
    for more in (["--level", "3"], ["--url", "https://x/{z}/{x}/{y}"]):
        code, _, said = run(*place, "--date", "2020", *more)
        assert code == 2
        assert "leave them out with --product" in said


@pytest.mark.parametrize("nadir", ["136.9", "a,b", "1,2,3", ""])
def test_fetch_of_no_place_is_told(asked: Asked, nadir: str) -> None:
    code, _, said = run("fetch", "--nadir", nadir, "--radius-km", "9")
    assert code == 2
    assert "LON,LAT such as 136.9,35.7" in said


def test_fetch_with_a_date_but_no_product_is_told(asked: Asked) -> None:
    code, _, said = run("fetch", "--nadir", "1,2", "--radius-km", "9", "--date", "2020")
    assert code == 2
    assert "--date goes with --product" in said


def test_fetch_that_fails_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LightMapError("example.org cannot be reached.", code="offline")

    monkeypatch.setattr(fetch, "fetch_tiles", fail)
    code, shown, said = run("fetch", "--nadir", "1,2", "--radius-km", "9")
    assert (code, shown, said) == (3, "", "Error: example.org cannot be reached.\n")


def test_a_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "terminal").open("w+") as terminal:
        monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stderr", terminal)
        with lights.progress_bar("Building", quiet=False) as progress:
            progress(1, 2)
            progress(2, 2)
        with lights.progress_bar("Building", quiet=True) as progress:
            progress(1, 2)
        monkeypatch.undo()
        terminal.seek(0)
        shown = terminal.read()
    assert "Building" in shown
    assert "100%" in shown
