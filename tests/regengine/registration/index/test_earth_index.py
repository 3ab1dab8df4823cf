"""The index of the Earth: each town found once, kept in a file, refused where it does not fit."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from matchers.geometry.earth import great_circle_km, surface_to_lonlat
from matchers.geometry.light_grid import LightGrid
from regengine.errors import ConfigError, LightMapError
from regengine.registration.index.earth import (
    SIZES_KM,
    EarthIndex,
    build_level,
    read_earth_index,
    write_earth_index,
)

# A kilometre from borders of strips and pieces, on both sides of the antimeridian, far north
TOWNS = np.array(
    [
        [0.01, -0.01],
        [19.99, 2.01],
        [19.99, 40.3],
        [-179.98, 10.0],
        [179.9, 10.6],
        [33.3, 67.0],
        [-70.1, -53.2],
    ]
)
SIGMA_KM = 2.5


class TownsOnly:
    """A map of some round towns, drawn for each window."""

    info = SimpleNamespace(bounds=(-180.0, -90.0, 180.0, 90.0), resolution_deg=1 / 240)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        near = (TOWNS[:, 1] > south - 1) & (TOWNS[:, 1] < north + 1)
        middle = 0.5 * (west + east)
        turned = middle + (TOWNS[:, 0] - middle + 180.0) % 360.0 - 180.0
        near &= (turned > west - 1) & (turned < east + 1)
        if not near.any():
            raise LightMapError("nothing there", code="outside_map")
        step = resolution_deg * 0.9
        lon = np.arange(west + step / 2, east, step)
        lat = np.arange(north - step / 2, south, -step)
        values = np.zeros((len(lat), len(lon)), np.float32)
        for town_lon, town_lat in zip(turned[near], TOWNS[near, 1], strict=True):
            dx = (lon - town_lon) * 111.195 * np.cos(np.radians(town_lat))
            dy = (lat - town_lat) * 111.195
            values += np.exp(-0.5 * (dx[None] ** 2 + dy[:, None] ** 2) / SIGMA_KM**2)
        return LightGrid(
            values=values, valid=None, lon0_deg=float(lon[0]), lat0_deg=float(lat[0]), step_deg=step
        )


def test_each_town_is_found_once_where_it_is() -> None:
    calls: list[tuple[int, int]] = []
    level = build_level(TownsOnly(), 2.6, lambda done, total: calls.append((done, total)))
    found = np.stack(surface_to_lonlat(level.vectors), axis=1)
    assert calls[-1][0] == calls[-1][1] == len(calls)
    assert len(found) == len(TOWNS)
    lon, lat = found[:, None, 0], found[:, None, 1]
    apart = great_circle_km(lon, lat, TOWNS[None, :, 0], TOWNS[None, :, 1])
    assert sorted(apart.argmin(axis=1)) == list(range(len(TOWNS)))
    assert apart.min(axis=1).max() < 0.8  # of pixels of 2.6 km
    assert (np.abs(found[:, 0]) <= 180.0).all()


def test_a_file_gives_back_the_index(index: EarthIndex, index_path: Path, lights: Path) -> None:
    read = read_earth_index(index_path, [lights])
    assert read.sizes_km == index.sizes_km == SIZES_KM
    for size_km in index.sizes_km:
        assert read[size_km].vectors == pytest.approx(index[size_km].vectors)
        assert read[size_km].contrast == pytest.approx(index[size_km].contrast)
        patches = index[size_km].patches
        assert np.array_equal(read[size_km].patches.coefficients, patches.coefficients)


def test_bounds_may_cross_the_antimeridian(index: EarthIndex) -> None:
    everything = index.within((100.0, -60.0, 100.0 + 200.0, 60.0))
    assert len(everything[2.6].vectors) == len(index[2.6].vectors)


def test_nothing_but_this_map_s_whole_index_is_read(
    index_path: Path, tmp_path: Path, lights: Path
) -> None:
    with pytest.raises(ConfigError, match="the index does not exist: make it again"):
        read_earth_index(tmp_path / "none.idx", [lights])
    other = tmp_path / "other.tif"
    other.write_bytes(lights.read_bytes() + b"more")
    with pytest.raises(
        ConfigError, match=r"was made from lights\.tif, not from the map of --lights"
    ):
        read_earth_index(index_path, [other])
    text = tmp_path / "text.idx"
    text.write_text("earth")
    with pytest.raises(ConfigError, match="is not an index, or is damaged"):
        read_earth_index(text, [lights])
    with h5py.File(tmp_path / "store.h5", "w") as file:
        file.attrs["format"] = "another"
    with pytest.raises(ConfigError, match="not an index of the Earth's lights"):
        read_earth_index(tmp_path / "store.h5", [lights])
    other = tmp_path / "other.idx"
    shutil.copy(index_path, other)
    for version in (3, 5):
        with h5py.File(other, "r+") as file:
            file.attrs["format_version"] = version
        with pytest.raises(ConfigError, match=f"format {version}, and this program reads 4"):
            read_earth_index(other, [lights])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_damage_is_noticed(index_path: Path, tmp_path: Path, share: float, lights: Path) -> None:
    content = bytearray(index_path.read_bytes())
    at = int(share * len(content))
    cut, flipped = tmp_path / "cut.idx", tmp_path / "flipped.idx"
    cut.write_bytes(content[:at])
    content[at] ^= 0x10
    flipped.write_bytes(content)
    for path in (cut, flipped):
        with pytest.raises(ConfigError, match="damaged"):
            read_earth_index(path, [lights])


def test_a_map_without_lights_makes_no_index(
    index: EarthIndex, tmp_path: Path, lights: Path
) -> None:
    empty = index.within((10.0, 0.0, 20.0, 5.0))
    out = tmp_path / "empty.idx"
    with pytest.raises(ConfigError, match="too few lights"):
        write_earth_index(empty, [lights], out)
    assert list(tmp_path.iterdir()) == []
