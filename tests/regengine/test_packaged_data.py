"""The files of the package: their checksums, which of them is used, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sgp4.api import Satrec

from regengine import data
from regengine.batch.at_hand import choose_element_sets, choose_maps
from regengine.errors import ConfigError
from regengine.io.checksums import compute_sha256, read_sums
from regengine.orbit.tle import load_element_sets, load_tle_file
from regengine.references.opening import open_references
from regengine.registration.index.earth import read_earth_index
from tests.world.maps import write_geotiff


def test_the_files_are_those_of_the_checksums() -> None:
    named = read_sums(data.FOLDER)
    files = [one for one in data.FOLDER.iterdir() if one.suffix in (".csv", ".tif", ".idx", ".npz")]
    assert {path.name: compute_sha256(path) for path in files} == named


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / data.LIGHTS.name
    damaged.write_bytes(data.LIGHTS.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match=r"black_marble\.tif.* damaged: install"):
        data.check_packaged(damaged)


def test_the_index_belongs_to_the_map_and_has_no_level_finer_than_it() -> None:
    index = read_earth_index(data.LIGHTS.with_name(f"{data.LIGHTS.name}.idx"), [data.LIGHTS])
    assert index.sizes_km == (1.3, 2.6, 5.2)  # 30 arcsec are 0.93 km
    lengths = np.linalg.norm(index[1.3].vectors, axis=1)
    assert np.abs(lengths - 1.0).max() < 1e-6


def write_map(path: Path, bounds: tuple[float, float, float, float]) -> Path:
    """A radiance map of a region."""
    path.parent.mkdir(parents=True, exist_ok=True)
    west, south, east, north = bounds
    step = (east - west) / 180.0
    values = np.full((round((north - south) / step), 180), 3.0, np.float32)
    return write_geotiff(path, values, west=west, north=north, step=step)


@pytest.mark.parametrize(
    ("own", "given", "used"),
    [
        ((), (), ("packaged",)),
        (((0, 40, 9, 49),), (), ("own0.tif", "packaged")),  # fills what a region lacks
        (((-180, -80, 180, 80),), (), ("own0.tif",)),
        (((0, 40, 9, 49),), ("named.tif",), ("named.tif",)),
    ],
)
def test_maps_are_the_named_ones_then_the_data_folders_then_the_packages(
    own: tuple[tuple[float, float, float, float], ...],
    given: tuple[str, ...],
    used: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    for number, bounds in enumerate(own):
        write_map(tmp_path / "lights" / f"own{number}.tif", bounds)
    paths = choose_maps("lights", [Path(name) for name in given])
    assert tuple("packaged" if path == data.LIGHTS else path.name for path in paths) == used
    if not given:
        assert {one.path for one in open_references("lights", paths)} == set(paths)


def test_of_all_element_sets_the_nearest_in_time_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that was added is used about its epoch, the package's elsewhere."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    before = datetime(2012, 3, 28, 12, tzinfo=UTC)
    packaged = load_tle_file(data.ELEMENT_SETS)
    own = packaged.best_for(before)
    (tmp_path / "tle").mkdir()
    added = tmp_path / "tle" / "own.txt"
    added.write_text(f"{own.line1}\n{own.line2}\n", encoding="ascii")
    assert choose_element_sets() == (tmp_path / "tle", data.ELEMENT_SETS)
    both = load_element_sets(choose_element_sets())
    assert len(both) == len(packaged) + 1
    assert both.best_for(own.epoch_utc).path == added
    years = timedelta(days=4 * 365)
    assert both.best_for(before + years).path == data.ELEMENT_SETS
    assert choose_element_sets(added) == (added,)


def test_the_table_holds_sets_as_sgp4_reads_them() -> None:
    sets = load_tle_file(data.ELEMENT_SETS)
    assert len(sets) == 10_005
    assert (np.diff(sets.epoch_days) > 0.0).all()
    assert np.sort(np.diff(sets.epoch_days))[-4] < 10.0  # longest gaps 42, 17 and 16 days
    for number in (0, 5000, 10_004):
        record = Satrec.twoline2rv(sets[number].line1, sets[number].line2)
        days = record.jdsatepoch + record.jdsatepochF - 2451545.0
        assert sets.epoch_days[number] == pytest.approx(days, abs=1e-7)
