"""Star counts: frames whose completeness is known by construction, views by astropy's WCS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from regengine.errors import ConfigError
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.sky.stars.photo import camera_of_record
from regengine.sky.stars.star_counts import (
    count_stars,
    fit_completeness,
    magnitude_bins,
    stars_in_view,
)

LOOKED_FOR = 2500

WIDTH, HEIGHT, FOCAL = 900, 600, 1500.0


def camera(ra_deg: float = 120.0, dec_deg: float = -35.0) -> SkyCamera:
    """A lens without distortion; north is up."""
    forward = sky_vectors(ra_deg, dec_deg)
    east = sky_vectors(ra_deg + 90.0, 0.0)
    north = np.cross(forward, east)
    axes = np.stack([-east, -north, forward], axis=-1)  # x right is west, y down is south
    return SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=FOCAL,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        quaternion_icrs=matrix_quaternion(axes),
    )


def catalogue(count: int = 60_000, faintest: float = 10.0) -> StarCatalogue:
    """Stars all over the sky, three times as many a magnitude."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(count, 3))
    magnitude = np.sort(faintest + np.log(rng.uniform(size=count)) / math.log(3.0))
    unknown = np.full(count, np.nan)
    return StarCatalogue(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        magnitude_g=magnitude,
        magnitude_bp=unknown,
        magnitude_rp=unknown,
        identifier=np.arange(count) + 7,
        epoch_year=2016.0,
    )


def record(name: str, identified: NDArray[np.int64] | list[int], **other: Any) -> dict[str, Any]:
    lens = camera()
    made = {
        "frame": name,
        "path": f"photos/{name}.jpg",
        "solved": True,
        "ra_deg": 120.0,
        "dec_deg": -35.0,
        "fov_x_deg": lens.fov_x_deg,
        "quaternion_icrs": list(lens.quaternion_icrs),
        "distortion": [0.0] * 5,
        "principal_point": list(lens.principal_point),
        "mirrored": False,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "rms_px": 0.3,
        "stars": len(identified) + 4,
        "matches": [{"id": int(one)} for one in identified],
    }
    return made | other


def fleming(magnitude: NDArray[np.float64], plateau: float, limit: float, slope: float):
    away = slope * (magnitude - limit)
    return 0.5 * plateau * (1.0 - away / np.sqrt(1.0 + away**2))


def drawn(plateau: float, limit: float, seed: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    magnitude = 9.0 + np.log(rng.uniform(size=1500)) / math.log(3.0)
    return magnitude, rng.uniform(size=1500) < fleming(magnitude, plateau, limit, 4.0)


@settings(max_examples=12)
@given(plateau=st.floats(0.5, 1.0), limit=st.floats(7.0, 8.3), seed=st.integers(0, 2**32 - 1))
def test_the_limit_is_the_one_that_the_frame_was_made_with(
    plateau: float, limit: float, seed: int
) -> None:
    depth = fit_completeness(*drawn(plateau, limit, seed))
    assert depth.reached
    assert depth.limit_sigma is not None
    assert abs(depth.limit_g - limit) < max(5.0 * depth.limit_sigma, 0.2)
    bright = fleming(np.array([2.0]), depth.plateau, depth.limit_g, depth.slope)
    assert float(bright[0]) == pytest.approx(plateau, abs=0.2)


def test_sigma_of_the_limit_is_its_spread() -> None:
    depths = [fit_completeness(*drawn(0.8, 7.6, seed)) for seed in range(24)]
    limits = np.array([one.limit_g for one in depths if one is not None])
    sigmas = np.array([one.limit_sigma for one in depths if one is not None], float)
    assert len(limits) == 24
    assert 0.55 < limits.std() / np.median(sigmas) < 1.7
    assert abs(limits.mean() - 7.6) < 4.0 * limits.std() / math.sqrt(24)


def test_a_limit_beyond_what_was_looked_for_is_a_bound() -> None:
    magnitude, _ = drawn(0.9, 20.0)
    found = np.random.default_rng(2).uniform(size=len(magnitude)) < 0.9
    depth = fit_completeness(magnitude, found)
    assert not depth.reached
    assert depth.limit_sigma is None
    assert depth.limit_g == magnitude.max()
    assert depth.plateau == pytest.approx(0.9, abs=0.03)


def test_bins_count_every_star_once() -> None:
    magnitude, found = drawn(0.8, 7.0)
    bins = magnitude_bins(magnitude, found)
    edges = [one["from_g"] for one in bins] + [bins[-1]["to_g"]]
    assert [one["expected"] for one in bins] == np.histogram(magnitude, edges)[0].tolist()
    assert [one["found"] for one in bins] == np.histogram(magnitude[found], edges)[0].tolist()
    assert magnitude_bins(np.empty(0), np.empty(0, bool)) == []


@pytest.mark.parametrize("dec_deg", [-89.0, -35.0, 0.0, 60.0])
def test_stars_in_view_are_those_that_astropy_has_in_the_picture(dec_deg: float) -> None:
    from astropy.wcs import WCS

    stars = catalogue()
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [120.0, dec_deg]
    wcs.wcs.crpix = [(WIDTH + 1) / 2.0, (HEIGHT + 1) / 2.0]
    scale = math.degrees(1.0 / FOCAL)
    wcs.wcs.cd = [[-scale, 0.0], [0.0, -scale]]
    x, y, z = stars.vectors.T
    ahead = stars.vectors @ sky_vectors(120.0, dec_deg) > 0.5
    px, py = wcs.all_world2pix(np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z)), 0)
    inside = ahead & (np.abs(px - (WIDTH - 1) / 2) <= WIDTH / 2)
    inside &= np.abs(py - (HEIGHT - 1) / 2) <= HEIGHT / 2
    seen = stars_in_view(camera(dec_deg=dec_deg), stars)
    assert len(seen) > 300
    np.testing.assert_array_equal(seen, np.flatnonzero(inside))


def test_a_frame_is_counted_against_the_stars_in_view() -> None:
    stars = catalogue()
    seen = stars_in_view(camera(), stars)
    found = seen[stars.magnitude_g[seen] < 8.5]
    counts = count_stars(record("a", stars.identifier[found]), stars)
    assert counts.depth.limit_g == pytest.approx(8.5, abs=0.1)
    assert counts.depth.plateau > 0.99
    assert counts.found <= counts.expected <= counts.found + 3
    assert sum(one["expected"] for one in counts.bins) == len(seen)
    assert sum(one["found"] for one in counts.bins) == len(found)


def test_only_so_many_stars_are_looked_for_as_the_solver_does() -> None:
    stars = catalogue(600_000)
    seen = stars_in_view(camera(), stars)
    assert len(seen) > LOOKED_FOR
    counts = count_stars(record("a", stars.identifier[seen]), stars)
    assert not counts.depth.reached
    assert counts.expected == counts.found == LOOKED_FOR
    assert counts.faintest_sought_g == stars.magnitude_g[seen[LOOKED_FOR - 1]]


def test_a_record_of_a_smaller_copy_has_the_same_directions() -> None:
    record = {
        "frame": "sky",
        "quaternion_icrs": [0.1, -0.2, 0.3, 0.927],
        "fov_x_deg": 40.0,
        "distortion": [-0.05, 0.01, 0.0, 0.0, 0.0],
        "principal_point": [460.0, 290.0],
        "width_px": 900,
        "height_px": 600,
    }
    own, large = (camera_of_record(record, 900 * k, 600 * k) for k in (1, 2))
    x, y = np.array([0.0, 899.0, 300.0]), np.array([0.0, 17.0, 599.0])
    assert large.to_sky(2 * x + 0.5, 2 * y + 0.5) == pytest.approx(own.to_sky(x, y), abs=1e-9)
    with pytest.raises(ConfigError, match="for a picture of 900 x 600 px"):
        camera_of_record(record, 900, 900)
