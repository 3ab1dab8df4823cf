"""The index and its file: the same after reading, refused where it is not what it should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from matchers.asterism_match import match
from matchers.asterisms import build_index
from matchers.earth import surface_to_lonlat
from regengine.errors import ConfigError
from regengine.registration.blind.index import (
    FORMAT_VERSION,
    PIXELS_KM,
    EarthIndex,
    figure_parameters,
    read_earth_index,
    write_earth_index,
)
from regengine.registration.blind.propose_asterisms import match_parameters
from tests.regengine.registration.blind.conftest import LIGHTS

LEVEL_KM = 1.3


def turned_piece(index: EarthIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forty neighbouring towns of the index, turned: as a photo would have them."""
    level = index.levels[LEVEL_KM]
    chosen = level.point_tree.query(level.vectors[np.argmax(level.brightness)], k=40)[1]
    q, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    rotation = q * np.linalg.det(q)
    return level.vectors[chosen] @ rotation, level.brightness[chosen], rotation


def test_a_file_gives_back_the_index(index: EarthIndex, index_path: Path) -> None:
    read = read_earth_index(index_path, [LIGHTS])
    assert tuple(sorted(read.levels)) == PIXELS_KM
    for pixel_km, level in index.levels.items():
        same = read.levels[pixel_km]
        assert same.vectors == pytest.approx(level.vectors)
        assert np.array_equal(same.figures.members, level.figures.members)
    points, brightness, rotation = turned_piece(index)
    for kind in (index, read):
        best = match(kind.levels[LEVEL_KM], points, brightness, match_parameters(LEVEL_KM))[0]
        assert best.rotation == pytest.approx(rotation, abs=2e-4)
        assert len(best.inliers) >= 36


def test_its_figures_are_those_of_an_index_made_at_once(index: EarthIndex) -> None:
    level = index.levels[5.2]
    plain = build_index(level.vectors, level.brightness, figure_parameters(5.2))
    assert sorted(map(tuple, plain.figures.members.tolist())) == sorted(
        map(tuple, level.figures.members.tolist())
    )
    assert level.code_table is not None
    rows = np.arange(0, len(level.figures), 37)
    asked, found = level.code_table.alike(level.code_table.codes[rows])
    own = {(a, rows[a]) for a in range(len(rows))}
    assert own <= set(zip(asked.tolist(), found.tolist(), strict=True))


def test_bounds_leave_the_figures_within(index: EarthIndex) -> None:
    bounds = (-155.0, 33.0, -150.0, 37.0)
    for pixel_km, level in index.within(bounds).levels.items():
        whole = index.levels[pixel_km]
        assert 0 < len(level.figures) < len(whole.figures)
        lon, lat = surface_to_lonlat(level.vectors[level.figures.members.ravel()])
        assert lon.min() >= -155.0
        assert lon.max() <= -150.0
        assert lat.min() >= 33.0
        assert lat.max() <= 37.0
    nowhere = index.within((10.0, 0.0, 20.0, 5.0)).levels[LEVEL_KM]
    points, brightness, _ = turned_piece(index)
    assert match(nowhere, points, brightness, match_parameters(LEVEL_KM)) == []


def test_bounds_may_cross_the_antimeridian(index: EarthIndex) -> None:
    everything = index.within((100.0, -60.0, 100.0 + 200.0, 60.0))
    assert len(everything.levels[2.6].figures) == len(index.levels[2.6].figures)


def test_nothing_but_this_map_s_whole_index_is_read(index_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such index: make it anew"):
        read_earth_index(tmp_path / "none.idx", [LIGHTS])
    other = tmp_path / "other.tif"
    other.write_bytes(LIGHTS.read_bytes() + b"more")
    with pytest.raises(ConfigError, match=r"was made of lights\.tif, which is not what --lights"):
        read_earth_index(index_path, [other])
    text = tmp_path / "text.idx"
    text.write_text("earth")
    with pytest.raises(ConfigError, match="is no index, or it is damaged"):
        read_earth_index(text, [LIGHTS])
    with h5py.File(tmp_path / "store.h5", "w") as file:
        file.attrs["format"] = "another"
    with pytest.raises(ConfigError, match="no index of the Earth's lights"):
        read_earth_index(tmp_path / "store.h5", [LIGHTS])
    newer = tmp_path / "newer.idx"
    shutil.copy(index_path, newer)
    with h5py.File(newer, "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(ConfigError, match=f"format {FORMAT_VERSION + 1}, this program reads"):
        read_earth_index(newer, [LIGHTS])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_damage_is_noticed(index_path: Path, tmp_path: Path, share: float) -> None:
    content = bytearray(index_path.read_bytes())
    at = int(share * len(content))
    cut, flipped = tmp_path / "cut.idx", tmp_path / "flipped.idx"
    cut.write_bytes(content[:at])
    content[at] ^= 0x10
    flipped.write_bytes(content)
    for path in (cut, flipped):
        with pytest.raises(ConfigError, match="damaged"):
            read_earth_index(path, [LIGHTS])


def test_a_map_without_towns_makes_no_index(index: EarthIndex, tmp_path: Path) -> None:
    empty = index.within((10.0, 0.0, 20.0, 5.0))
    out = tmp_path / "empty.idx"
    with pytest.raises(ConfigError, match="too few towns"):
        write_earth_index(empty, [LIGHTS], out)
    assert list(tmp_path.iterdir()) == []
