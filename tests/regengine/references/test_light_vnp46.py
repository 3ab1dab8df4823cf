"""Black Marble tiles, made here from the User Guide's description, not from the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from light_map_makers import blob, centroid, write_vnp46

from regengine import open_light_map
from regengine.errors import LightMapError

SIZE = 240  # a tenth of the true tile: pixels of 1/24 degree
PIXEL = 10.0 / SIZE

COLLECTION_1: dict[str, Any] = {
    "_FillValue": np.array([65535], np.uint16),
    "scale_factor": np.array([0.1]),
    "add_offset": np.array([0.0]),
    "units": np.bytes_("nWatts/(cm^2 sr)"),
}
COLLECTION_2: dict[str, Any] = {
    "_FillValue": np.float32(-999.9),
    "scale_factor": 1.0,
    "offset": 0.0,
    "units": "nWatts/(cm^2 sr)",
}


def stored(collection: int, radiance: np.ndarray) -> np.ndarray:
    if collection == 1:
        return np.rint(radiance * 10.0).astype(np.uint16)
    return radiance.astype(np.float32)


@pytest.mark.parametrize(
    ("collection", "name", "group", "data_set"),
    [
        (1, "VNP46A4.A2019001.h31v05.001.2021133201102.h5", "VIIRS_Grid_DNB_2d",
         "NearNadir_Composite_Snow_Free"),
        (2, "VNP46A4.A2020001.h31v05.002.2024123456789.h5", "VIIRS_Grid_DNB_2d",
         "AllAngle_Composite_Snow_Free"),
        (2, "VNP46A3.A2020061.h31v05.002.2024123456789.h5", "A_Name_Of_The_Future",
         "OffNadir_Composite_Snow_Free"),
        (1, "VNP46A2.A2020061.h31v05.001.2024123456789.h5", "VNP_Grid_DNB",
         "Gap_Filled_DNB_BRDF-Corrected_NTL"),
        (2, "VNP46A2.A2020061.h31v05.002.2024123456789.h5", "VIIRS_Grid_DNB_2d",
         "DNB_BRDF-Corrected_NTL"),
    ],
)  # fmt: skip
def test_both_collections_are_placed_and_scaled(
    tmp_path: Path, collection: int, name: str, group: str, data_set: str
) -> None:
    radiance = blob(SIZE, SIZE, 100.3, 57.8)
    path = write_vnp46(
        tmp_path / name, stored(collection, radiance), group=group, data_set=data_set,
        attributes=COLLECTION_1 if collection == 1 else COLLECTION_2,
    )  # fmt: skip
    light_map = open_light_map([path])
    grid = light_map.window(130.0, 30.0, 140.0, 40.0, PIXEL)
    assert light_map.info.bounds == pytest.approx((130.0, 30.0, 140.0, 40.0))
    assert light_map.info.kind == "radiance"
    assert light_map.info.product == f"Black Marble {name[:7]}"
    assert light_map.info.date == ("2020-03-01" if "061" in name else f"{name[9:13]}-01-01")
    assert 10.0 ** grid.values.max() - 1.0 == pytest.approx(radiance.max(), abs=0.06)
    lon, lat = centroid(grid)
    assert lon == pytest.approx(130.0 + 58.3 * PIXEL, abs=0.05 * PIXEL)
    assert lat == pytest.approx(40.0 - 100.8 * PIXEL, abs=0.05 * PIXEL)


def tile(path: Path, samples: np.ndarray) -> Path:
    """A tile of the second collection with its usual lights."""
    name = "AllAngle_Composite_Snow_Free"
    return write_vnp46(path, samples, group="G", data_set=name, attributes=COLLECTION_2)


def even_tile(folder: Path, name: str, level: float) -> Path:
    return tile(folder / name, stored(2, np.full((SIZE, SIZE), level)))


@pytest.mark.parametrize(("collection", "fill"), [(1, 65535), (2, -999.9)])
def test_fill_is_not_valid(tmp_path: Path, collection: int, fill: float) -> None:
    data = stored(collection, np.full((SIZE, SIZE), 4.0))
    data[:120] = fill
    path = write_vnp46(
        tmp_path / "x.h15v00.h5", data, group="G", data_set="AllAngle_Composite_Snow_Free",
        attributes=COLLECTION_1 if collection == 1 else COLLECTION_2,
    )  # fmt: skip
    grid = open_light_map([path]).window(-30.0, 80.0, -20.0, 90.0, PIXEL)
    assert not grid.valid[:120].any()
    assert grid.valid[120:].all()
    assert 10.0 ** grid.values[120:] - 1.0 == pytest.approx(4.0, rel=1e-4)


def test_the_unit_of_a_tile_counts(tmp_path: Path) -> None:
    path = write_vnp46(
        tmp_path / "x.h31v05.h5", np.full((SIZE, SIZE), 4e-9, np.float32), group="G",
        data_set="AllAngle_Composite_Snow_Free",
        attributes={**COLLECTION_2, "units": np.bytes_("Watts/(cm^2 sr)")},
    )  # fmt: skip
    grid = open_light_map([path]).window(130.0, 30.0, 140.0, 40.0, PIXEL)
    assert 10.0**grid.values - 1.0 == pytest.approx(4.0, rel=1e-4)


def test_a_folder_of_tiles_is_one_map(tmp_path: Path) -> None:
    even_tile(tmp_path, "VNP46A4.A2020001.h31v05.002.1.h5", 1.0)
    even_tile(tmp_path, "VNP46A4.A2020001.h32v05.002.1.h5", 2.0)
    even_tile(tmp_path, "VNP46A4.A2019001.h31v05.002.1.h5", 9.0)  # an older year of the same place
    light_map = open_light_map([tmp_path])
    assert light_map.info.bounds == pytest.approx((130.0, 30.0, 150.0, 40.0))
    grid = light_map.window(139.0, 34.0, 141.0, 36.0, PIXEL)
    radiance = 10.0**grid.values - 1.0
    assert grid.valid is None
    assert radiance[:, : radiance.shape[1] // 2] == pytest.approx(1.0, rel=1e-4)
    assert radiance[:, radiance.shape[1] // 2 :] == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_truncated_tile_is_refused(tmp_path: Path, kept: float) -> None:
    rng = np.random.default_rng(4)
    samples = stored(2, rng.random((SIZE, SIZE)))
    path = tile(tmp_path / "VNP46A4.A2020001.h31v05.002.1.h5", samples)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(LightMapError, match=r"h31v05.*cannot be read: it is damaged or truncated"):
        open_light_map([path])


def test_other_hdf5_files_are_refused(tmp_path: Path) -> None:
    path = write_vnp46(
        tmp_path / "x.h31v05.h5", np.ones((4, 4), np.float32), group="G",
        data_set="Cloud_Optical_Depth", attributes={},
    )  # fmt: skip
    with pytest.raises(LightMapError, match=r"x\.h31v05\.h5 has no known night-light"):
        open_light_map([path])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("tile.h5", "has no georeference"),
     ("x.h36v05.h5", "a tile off the Earth, h36v05")],
)  # fmt: skip
def test_a_tile_without_a_place_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    samples = np.ones((4, 4), np.float32)
    path = tile(tmp_path / name, samples)
    with pytest.raises(LightMapError, match=sentence):
        open_light_map([path])
