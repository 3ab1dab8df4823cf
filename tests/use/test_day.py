"""Pictures by day: got from a service of tiles, built of one's own."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window

import regengine
from tests.world.pages import ReviewProcess
from tests.world.program import run
from tests.world.runs import LIGHTS
from tests.world.services import TileService


def test_a_region_is_fetched_once_and_built(
    tiles: TileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    get = ("day", "get", "--url", tiles.template, "--bbox", "11,42,12,43", "--level", "5")
    said = run(*get)
    out = tmp_path / "data" / "day" / "day.tif"
    assert (said.code, said.out) == (0, f"{out}\n"), said.err
    assert said.err.startswith("2 tiles, 0 already there: about ")
    assert run(*get).code == 2
    assert run(*get, "--force", "-q").code == 0
    assert tiles.asked.total() == 2
    with rasterio.open(out) as dataset:
        assert dataset.bounds == pytest.approx((11, 42, 12, 43), abs=0.05)
        assert dataset.read(4, window=dataset.window(11.2, 42.2, 11.8, 42.8)).min() == 255
    shown = run("day", "build", out, "--out", tmp_path / "again.tif", "--credit", "me")
    assert shown.code == 0, shown.err
    with rasterio.open(out) as first, rasterio.open(tmp_path / "again.tif") as again:
        assert again.tags()["CREDIT"] == "me"
        np.testing.assert_array_equal(first.read(), again.read())


def test_a_picture_is_told_in_words_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "BlueMarble_2004.tif"
    shape = {"count": 3, "height": 60, "width": 90, "dtype": "uint8", "crs": "EPSG:4326"}
    place = rasterio.Affine(1 / 240, 0.0, 5.0, 0.0, -1 / 240, 50.0)
    with rasterio.open(path, "w", driver="GTiff", transform=place, nodata=0, **shape) as file:
        picture = np.full((3, 60, 90), 90, np.uint8)
        picture[:, :, :30] = 0
        file.write(picture)
    built = tmp_path / "built.tif"
    assert run("day", "build", path, "--out", built, "--credit", "me", "-q").code == 0
    for one, credit in ((path, ""), (built, "me")):
        (told,) = run("day", "info", one, "--json").records
        assert (told["product"], told["date"], told["credit"]) == ("Blue Marble", "2004", credit)
        assert told["bounds"] == pytest.approx([5.0, 49.75, 5.375, 50.0])
        assert (told["resolution_arcsec"], told["bands"]) == (15.0, 3)
        assert told["valid_fraction"] == pytest.approx(2 / 3, abs=1e-4)
        lines = run("day", "info", one).out.splitlines()
        assert "resolution_deg     0.00416667" in lines
    said = run("streets", "info", built)
    assert (said.code, said.err.count("\n")) == (3, 1)
    assert "is a map of day, not of streets" in said.err


def test_the_colours_of_a_palette_are_built(tmp_path: Path) -> None:
    path, built = tmp_path / "palette.tif", tmp_path / "day.tif"
    shape = {"count": 1, "height": 60, "width": 90, "dtype": "uint8", "crs": "EPSG:4326"}
    place = rasterio.Affine(1 / 240, 0.0, 5.0, 0.0, -1 / 240, 50.0)
    with rasterio.open(path, "w", driver="GTiff", transform=place, nodata=3, **shape) as file:
        file.write(np.full((1, 60, 90), 39, np.uint8))
        file.write(np.full((1, 60, 30), 3, np.uint8), window=Window(0, 0, 30, 60))
        file.write_colormap(1, {39: (99, 163, 221, 255), 3: (9, 9, 9, 255)})
    assert run("day", "build", path, "--out", built, "-q").code == 0
    with rasterio.open(built) as file:
        samples = file.read()
    assert samples[:, 20, 60].tolist() == [99, 163, 221, 255]
    assert samples[3, 20, 10] == 0


def test_what_is_no_picture_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "raw.tif"
    shape = {"count": 1, "height": 9, "width": 9, "dtype": "uint16", "crs": "EPSG:4326"}
    place = rasterio.Affine(0.1, 0.0, 5.0, 0.0, -0.1, 50.0)
    with rasterio.open(path, "w", driver="GTiff", transform=place, **shape) as file:
        file.write(np.ones((1, 9, 9), np.uint16))
    said = run("day", "build", path, "--out", tmp_path / "day.tif")
    assert (said.code, said.out) == (3, "")
    assert "not a picture of 8 bits in one or three bands" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.slow
def test_register_places_a_photo_by_day_where_a_map_is_at_hand(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    folder = real_data / "day"
    photo = folder / "photos" / "lampone_075759.jpg"
    given = {"lights": LIGHTS, "nadir": (9.6218, 40.5351), "altitude_km": 406.6}
    packaged = regengine.register(photo, **given)
    assert packaged.verdict == "accepted"
    named = dict(packaged.result.sources)["reference"]
    assert named.startswith("day, Blue Marble, 2,290 m per pixel")
    found = regengine.register(photo, day=sorted(folder.glob("*.tif")), **given)
    assert found.verdict == "accepted"
    assert dict(found.result.sources)["reference"] != named


@pytest.mark.slow
def test_a_review_offers_the_day_map_that_the_run_was_made_with(tmp_path: Path) -> None:
    day, photo, store = (tmp_path / name for name in ("day.tif", "black.png", "run.h5"))
    transform = rasterio.Affine(0.1, 0.0, -5.0, 0.0, -0.1, 5.0)
    profile = {"width": 100, "height": 100, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(day, "w", driver="GTiff", transform=transform, **profile) as file:
        file.write(np.full((3, 100, 100), 90, np.uint8))
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(photo)
    words = ("register", photo, "--lights", LIGHTS, "--nadir", "0,0", "--store", store)
    assert run(*words, "--day", day).code == 0
    with ReviewProcess(store) as review, httpx.Client(follow_redirects=True) as person:
        page = person.get(review.address)
        assert "day" in person.get(page.url.join("/api/session")).json()["maps"]
        assert person.get(page.url.join("/api/maps/day/0/0/0.png")).status_code == 200
    (tmp_path / "notes.tif").write_text("no picture")
    refused = run(*words, "--day", tmp_path / "notes.tif")
    # As a map of night lights that cannot be read, before any photo
    assert refused.code == 3
    assert "notes.tif is not a GeoTIFF" in refused.err
    assert refused.err.count("\n") == 1
