"""The page on orthophotos: what it tells is done, and GDAL takes the pixels that cameras see."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from scipy.ndimage import map_coordinates

from tests.world.exports import export
from tests.world.orthophoto import Terrain, misses_px, nearer_middle
from tests.world.samples import SAMPLES, sample_store, true_camera

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]
OBLIQUE, NEAR = "ISS990-E-000106", "ISS990-E-000101"  # to the limb; near the nadir


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page's commands: samples with their true cameras, exported to ``gis``."""
    folder = tmp_path_factory.mktemp("orthophoto")
    store = sample_store(folder, [(OBLIQUE, OBLIQUE), (NEAR, NEAR)])
    export(store, "rpc", folder / "gis", "--verdict", "all")
    return folder


@pytest.mark.parametrize("frame", [OBLIQUE, NEAR])
def test_gdal_takes_the_pixel_whose_ray_meets_the_ground(
    frame: str, exported: Path, tmp_path: Path
) -> None:
    virtual = exported / "gis" / f"{frame}.rpc.vrt"
    off = misses_px(true_camera(frame), virtual, tmp_path, 200, 71)
    assert len(off) == 200
    assert off.max() < 1.0
    assert np.sqrt(np.mean(off**2)) < 0.1


def test_the_page_draws_an_orthophoto(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "orthophoto.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    camera = true_camera(OBLIQUE)
    terrain = Terrain(*nearer_middle(camera))
    terrain.write(exported / "dem.tif")
    monkeypatch.chdir(exported)
    exec(compile(code, "orthophoto.md", "exec"), {})
    with rasterio.open(exported / "orthophoto.tif") as drawn:
        found = drawn.read(1).astype(float)
    lon, lat = np.meshgrid(*terrain.axes())
    x, y = camera.lonlat_to_pixel(lon, lat, terrain.height_m(lon, lat))
    photo = np.asarray(Image.open(SAMPLES / f"{OBLIQUE}.jpg"), float)[..., 0]
    seen = (x > 2) & (y > 2) & (x < camera.width_px - 3) & (y < camera.height_px - 3)
    wanted = map_coordinates(photo, [y[seen], x[seen]], order=1)
    assert seen.mean() > 0.9
    assert np.corrcoef(found[seen], wanted)[0, 1] > 0.99
    x, y = camera.lonlat_to_pixel(lon[seen], lat[seen])
    without = map_coordinates(photo, [y, x], order=1)
    assert np.corrcoef(found[seen], without)[0, 1] < 0.95
