"""The map itself, photographed without noise, is found again to a tenth of a pixel."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.simulate.camera import SimCamera, wgs84
from benchmarks.simulate.cases import SAMPLE_MAP
from benchmarks.simulate.light_map import lamp_planes, read_geotiff
from benchmarks.simulate.noise import blurred
from benchmarks.simulate.render import tone
from benchmarks.simulate.worlds import RasterWorld, Realisation
from benchmarks.trials.attempt import camera_of, ground_grid, resolution_m
from regengine.registration.refinement import solve
from tests.regengine.registration.made_search import begun_anew
from tests.regengine.registration.simulated_frames import Solved

# Every pixel of the map shines as the map has it
AS_MAPPED = Realisation(number=1, gain_sigma=0.0, gone_fraction=0.0, district_sigma=0.0)


@lru_cache(maxsize=1)
def world_of_the_map() -> RasterWorld:
    given = read_geotiff(SAMPLE_MAP)
    return RasterWorld.from_raster(
        given.radiance, west=given.west, north=given.north, step_deg=given.step_deg
    )


def enlarged(camera: SimCamera, factor: float) -> SimCamera:
    return replace(
        camera,
        width_px=round(camera.width_px * factor),
        height_px=round(camera.height_px * factor),
        focal_px=camera.focal_px * factor,
        principal_x=(camera.principal_x + 0.5) * factor - 0.5,
        principal_y=(camera.principal_y + 0.5) * factor - 0.5,
    )


def photograph(camera: SimCamera, path: Path) -> None:
    """A stored picture of the map's own light: lens blur and tone curve, nothing random."""
    planes = lamp_planes(camera, world_of_the_map(), AS_MAPPED, extinction=0.0, side_light=0.0)
    light = blurred(planes.sum(axis=0), 0.8)
    grey = tone(light / np.float32(np.quantile(light, 0.998)), 0.0)
    Image.fromarray(np.dstack([grey] * 3)).save(path)


@pytest.mark.parametrize("size", [1.0, 2.7])
def test_the_map_photographed_is_found_to_a_tenth_of_a_pixel(
    solved: Solved, size: float, tmp_path: Path
) -> None:
    """Half a pixel anywhere between file and map, on either side, would be seen at once."""
    photograph(enlarged(solved.shot.camera, size), tmp_path / "map.png")
    fine = solved.fine(tmp_path / "map.png")
    fine = replace(fine, factor=fine.factor * size)  # over the picture that was registered
    solution = solve(begun_anew(solved.search, fine), solved.best.finalists[0])
    found = solution.image.stored_camera(solution.camera, solved.best.camera)
    truth = camera_of(solved.shot.camera)
    grid = ground_grid(truth)
    lon, lat = found.pixel_to_lonlat(grid.x, grid.y)
    azimuth, _, off_m = wgs84().inv(grid.lon, grid.lat, lon, lat)
    units = off_m / resolution_m(truth, grid.x, grid.y)
    east, north = units * np.sin(np.radians(azimuth)), units * np.cos(np.radians(azimuth))
    # Found: 0.014 to 0.086, the latter where a pixel of the photo is 1.3 of the map's
    assert np.median(units) < 0.12
    assert np.quantile(units, 0.95) < 0.25
    assert abs(np.median(east)) < 0.06
    assert abs(np.median(north)) < 0.06
