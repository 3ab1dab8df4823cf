"""Windows held back from the fit: the sigma told of their places is put to the test."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.registration.windows import Windows, held_back, share_within, window_lines
from detectors.types import FloatArray
from matchers.patches import groups_of
from matchers.photo_light import LightImage
from matchers.refine import fit_pose
from regengine.registration.candidates import Candidate, Look
from regengine.registration.evidence import Finalist, Solution
from regengine.registration.refinement import fine_free
from tests.matchers.lamp_world import blob_grid, camera_over, matched, prior_of

CAMERA = camera_over(10.5, 42.5, width=600, height=400, focal_px=700.0)
PRIOR = prior_of(CAMERA, sigma_along_m=4e3, sigma_log_focal=0.01)
COUNT = 120


def solution_of(off_px: FloatArray) -> Solution:
    """A fit to windows of 30 px that lie so far from where the camera has them."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(20, 579, COUNT), rng.uniform(20, 379, COUNT)
    matches = matched(x, y, off_px, 0.03, size_px=30)
    refinement = fit_pose(CAMERA, matches, PRIOR, fine_free(PRIOR, k1=True))
    look = Look(
        offset_km=0.0,
        scale=1.0,
        mirrored=False,
        prior=PRIOR,
        speed_km_s=7.66,
        off_nadir_deg=(0.0, 40.0),
    )
    candidate = Candidate(camera=CAMERA, ncc=0.8, look=look)
    picture = np.zeros((400, 600), np.float32)
    return Solution(
        camera=refinement.camera,
        refinement=refinement,
        image=LightImage(values=picture, weight=picture + 1.0, factor=1.0),
        levels=(blob_grid(10.5, 42.5, 1.0, 0.05, 60),),
        finalist=Finalist(camera=CAMERA, ncc=0.8, even_ncc=0.8, candidate=candidate),
    )


def noise(sigma_px: float) -> FloatArray:
    return np.random.default_rng(1).normal(0.0, sigma_px, (COUNT, 2))


def test_windows_that_err_by_themselves_are_two_thirds_within_one_sigma() -> None:
    """However wide they scatter: less than the fit allows for, or more."""
    for sigma_px in (0.1, 0.8):
        windows = held_back(solution_of(noise(sigma_px)), None)
        z = windows.offset_px / windows.sigma_px
        assert len(z) == COUNT
        assert 0.6 < share_within(z, 1.0) < 0.8
        assert share_within(z, 2.0) > 0.9


def test_a_window_held_back_does_not_draw_the_fit_to_itself() -> None:
    """A light shines 6 px beside its place on the map: all its windows are that far off."""
    calm = noise(0.3)
    solution = solution_of(calm)
    lights = groups_of(solution.seen[0], solution.refinement.matches)
    moved = lights == np.argmax(np.bincount(lights))
    assert moved.sum() >= 3
    before = held_back(solution, None)
    after = held_back(solution_of(calm + np.where(moved[:, None], [6.0, 0.0], 0.0)), None)
    shift = after.offset_px - before.offset_px
    assert shift[moved, 0] == pytest.approx(np.full(moved.sum(), 6.0), abs=0.3)
    assert (after.offset_px[moved, 0] / after.sigma_px[moved, 0] > 4.0).all()
    assert np.median(np.abs(shift[~moved])) < 0.2


def test_flight_draws_lights_out_while_the_shutter_is_open() -> None:
    """Straight down from 410 km: 7.66 km in a second, a pixel for 586 m; all of it forward."""
    windows = held_back(solution_of(noise(0.3)), 1.0)
    length = np.linalg.norm(windows.trail_px, axis=1)
    middle = windows.off_nadir_deg < 5.0
    assert length[middle] == pytest.approx(np.full(middle.sum(), 13.1), rel=0.05)
    assert np.isnan(held_back(solution_of(noise(0.3)), None).trail_px).all()
    way = windows.trail_px / length[:, None]
    along = np.einsum("ni,ni->n", windows.offset_px, way)
    assert np.sign(windows.along[:, 0]) == pytest.approx(np.sign(along))
    assert share_within(windows.along, 1.0) > 0.55


def made(
    off_nadir_deg: float, offset_px: float, trail_px: float, own_share: float = 0.5
) -> Windows:
    """Ten windows of a photo on five lights, with a sigma of 1 px."""
    return Windows(
        offset_px=np.full((10, 2), offset_px),
        sigma_px=np.ones((10, 2)),
        own_share=np.full(10, own_share),
        trail_px=np.tile([trail_px, 0.0], (10, 1)),
        along=np.full((10, 2), offset_px),
        off_nadir_deg=np.full(10, off_nadir_deg),
        agreement=np.full(10, 0.7),
        photo=np.zeros(10, np.intp),
        light=np.repeat(np.arange(5), 2),
    )


def test_the_table_has_a_row_a_bin() -> None:
    lines = window_lines([made(20.0, 0.5, 0.2), made(60.0, 1.5, 4.0), made(70.0, 0.5, np.nan, 0.2)])
    cells = [[cell.strip() for cell in line.split("|")] for line in lines if line[:1] == "|"]
    rows = {row[1]: row[2:-1] for row in cells}
    assert rows["all"] == ["3", "15", "30", "67%", "100%", "33%", "1.50"]
    assert rows["off-nadir, degrees, 55 and more"][:4] == ["2", "10", "20", "50%"]
    assert rows["off-nadir, degrees, 30 to 55"][0] == "–"
    assert rows["trail, px, 3 and more"][:4] == ["1", "5", "10", "0%"]
    assert rows["trail not told"][:4] == ["1", "5", "10", "100%"]
    assert rows["agreement 0.65 to 0.8"][0] == "3"
    assert any("+1.50 px along the trail" in line for line in lines)
    assert window_lines([]) == []


def test_photos_without_trails_say_so() -> None:
    lines = window_lines([made(20.0, 0.5, 0.2)])
    assert "No lights are drawn out by three pixels or more." in lines
