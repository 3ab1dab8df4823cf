"""NetCDF maps, written here without a coordinate system, as many people's are."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from light_map_makers import STEP, blob, centroid
from scipy.io import netcdf_file

from regengine import open_light_map
from regengine.errors import LightMapError


@pytest.fixture(autouse=True)
def driver() -> None:
    with rasterio.Env() as env:
        if "netCDF" not in env.drivers():
            pytest.skip("this rasterio has no netCDF driver")


def write_netcdf(path: Path, *variables: np.ndarray, step: float = STEP, units: str = "") -> Path:
    """Classic netCDF by the CF conventions: coordinates are those of pixel centres."""
    rows, cols = variables[0].shape[-2:]
    with netcdf_file(path, "w") as file:
        for name, size in (("time", None), ("lat", rows), ("lon", cols)):
            file.createDimension(name, size)
        for name, start, sign, size in (("lat", 20.0, -1, rows), ("lon", 70.0, 1, cols)):
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = start + sign * step * (np.arange(size) + 0.5)
            axis.units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        for number, samples in enumerate(variables):
            variable = file.createVariable(f"light{number}", "f4", ("time", "lat", "lon"))
            variable._FillValue = np.float32(-999.0)
            if units:
                variable.units = units
            variable[:] = samples.reshape(-1, rows, cols).astype(np.float32)
    return path


def test_one_variable_is_placed(tmp_path: Path) -> None:
    samples = blob(40, 50, 17.0, 31.0)
    samples[0, 0] = -999.0
    light_map = open_light_map([write_netcdf(tmp_path / "viirs_2019.nc", samples)])
    grid = light_map.window(*light_map.info.bounds, STEP)
    assert np.argwhere(~grid.valid).tolist() == [[0, 0]]
    assert centroid(grid) == pytest.approx((70.0 + 31.5 * STEP, 20.0 - 17.5 * STEP), abs=1e-5)


def test_the_unit_of_a_variable_counts(tmp_path: Path) -> None:
    samples = 1e-9 * blob(40, 50, 17.0, 31.0)
    path = write_netcdf(tmp_path / "watts.nc", samples, units="W cm-2 sr-1")
    light_map = open_light_map([path])
    values = light_map.window(*light_map.info.bounds, STEP).values
    assert 10.0 ** values.max() - 1.0 == pytest.approx(50.0, rel=1e-3)
    (doubt,) = open_light_map([write_netcdf(tmp_path / "bare.nc", samples)]).doubts
    assert "has no unit" in doubt


def test_several_variables_are_refused(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "m.nc", np.ones((20, 20)), np.ones((20, 20)))
    with pytest.raises(LightMapError, match=r"m\.nc has 2 variables: extract the radiance"):
        open_light_map([path])


def test_coarse_pixels_are_read_and_damaged_files_refused(tmp_path: Path) -> None:
    path = write_netcdf(tmp_path / "coarse.nc", np.full((4, 4), 9.0), step=2.0)
    assert open_light_map([path]).window(71.0, 13.0, 75.0, 19.0, 2.0).values.max() == 1.0
    cut = tmp_path / "cut.nc"
    cut.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LightMapError, match=r"cut\.nc"):
        open_light_map([cut])


@pytest.mark.parametrize("name", ["m.nc", "VNP46A4.A2020001.h31v05.002.1.h5"])
def test_values_of_other_files_are_not_read(tmp_path: Path, name: str) -> None:
    """A stranger's map could name any file of the one who opens it."""
    private = tmp_path / "private"
    private.write_bytes(bytes(range(65, 91)) * 100)
    with h5py.File(tmp_path / name, "w") as file:
        lat, lon = (file.create_dataset(axis, data=0.1 * np.arange(40)) for axis in ("lat", "lon"))
        values = file.create_dataset(
            "AllAngle_Composite_Snow_Free", (40, 40), "u1", external=[(str(private), 0, 1600)]
        )
        for place, axis, units in ((0, lat, b"degrees_north"), (1, lon, b"degrees_east")):
            axis.make_scale()
            axis.attrs["units"] = np.bytes_(units)
            values.dims[place].attach_scale(axis)
    with pytest.raises(LightMapError, match="refers to other files for its values"):
        open_light_map([tmp_path / name])


@pytest.mark.real
def test_of_months_the_last_one_counts(real_data: Path) -> None:
    source = real_data / "lights" / "samples" / "EOG_VIIRS_monthly_mumbai_radiance.nc"
    last = open_light_map([source])
    assert last.info.date == "2023-01-01"
    assert last.info.bounds == pytest.approx((72.78125, 18.847916, 72.98125, 19.26875), abs=1e-5)
