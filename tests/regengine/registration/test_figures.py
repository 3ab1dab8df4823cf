"""Numbers of a registration, worked out by hand: seconds, kilometres, odds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from matchers.pose import PosePrior
from matchers.verify import Towns
from regengine.registration import outcome
from regengine.registration.candidates import Candidate, Look
from regengine.registration.evidence import Finalist
from regengine.registration.search_order import step_km
from regengine.registration.verification import Landing, reach_px
from tests.example_results import nadir_camera

SPEED_KM_S = 7.36


@pytest.mark.parametrize(("along_km", "across_km"), [(80.0, 0.0), (-50.0, 90.0)])
def test_a_camera_farther_along_the_track_has_a_clock_that_is_late(
    along_km: float, across_km: float
) -> None:
    """Its look is taken 300 km along a track whose start is for a clock 20 s behind."""
    camera, northeast = nadir_camera(10.0, 45.0), (-0.1, 0.7, 0.7)
    prior = PosePrior(
        position_ecef_m=camera.position_ecef_m,
        velocity_ecef=northeast,
        focal_px=camera.focal_px,
        sigma_along_m=1e5,
        sigma_across_m=1e3,
        sigma_up_m=1e3,
        sigma_log_focal=0.01,
        sigma_k1=0.05,
    )
    look = Look(
        offset_km=300.0,
        scale=1.0,
        mirrored=False,
        prior=prior,
        speed_km_s=SPEED_KM_S,
        off_nadir_deg=(0.0, 40.0),
        clock_s=20.0,
    )
    found = Finalist(
        camera=camera, ncc=0.5, even_ncc=0.5, candidate=Candidate(camera=camera, ncc=0.5, look=look)
    )
    start = np.array(camera.position_ecef_m)
    radius_km, up = np.linalg.norm(start) / 1e3, start / np.linalg.norm(start)
    left = np.cross(up, northeast) / np.linalg.norm(np.cross(up, northeast))
    along, across = along_km / radius_km, across_km / radius_km
    ahead = np.cos(along) * up + np.sin(along) * np.cross(left, up)
    x, y, z = (1e3 * radius_km * (np.cos(across) * ahead + np.sin(across) * left)).tolist()
    solved = outcome.solved_camera(replace(camera, position_ecef_m=(x, y, z)), found)
    seconds = 20.0 + (300.0 + along_km) / SPEED_KM_S
    assert solved.along_track_offset_s == pytest.approx(seconds, abs=1e-4)


def test_a_fit_on_a_smaller_image_is_told_in_pixels_of_the_photo_and_metres() -> None:
    """Pixels are counted from their middles: 0 of an image of a quarter's size is 1.5."""
    camera = nadir_camera()
    evidence = SimpleNamespace(
        ncc=0.5,
        runner_up_ncc=0.2,
        residual_px=0.5,
        held_out_residual_px=0.75,
        met_towns=9,
        log10_odds=20.0,
        runner_up_log10_odds=1.0,
    )
    best: Any = SimpleNamespace(
        camera=camera,
        evidence=evidence,
        solution=SimpleNamespace(image=SimpleNamespace(factor=0.25)),
        photo_towns=Towns(
            x=np.array([0.0, 10.0]), y=np.array([1.0, 2.5]), contrast=np.array([2.0, 3.0])
        ),
        met=np.array([1]),
    )
    fit, lights = outcome.fit_figures(best), outcome.detected_lights(best)
    assert (fit.residual_px, fit.held_out_residual_px) == (2.0, 3.0)
    assert fit.residual_m == pytest.approx(2.0 * 391.2e3 / camera.focal_px, rel=0.02)
    assert (lights.x.tolist(), lights.y.tolist()) == ([1.5, 41.5], [5.5, 11.5])
    assert lights.matched.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("focal_px", "altitude_km", "expected_km"),
    [(800.0, 400.0, 120.0), (640.0, 410.0, 98.4), (3000.0, 400.0, 200.0), (300.0, 400.0, 90.0)],
)
def test_looks_are_as_far_apart_as_their_field_allows(
    focal_px: float, altitude_km: float, expected_km: float
) -> None:
    """6 % of the half side of the ground, to both sides; 90 to 200 km."""
    camera = replace(nadir_camera(), focal_px=focal_px)
    assert step_km(camera, altitude_km) == pytest.approx(expected_km)


@pytest.mark.parametrize(
    ("bounds", "share"),
    [
        ((-180.0, -65.0, 180.0, 75.0), 1.0),
        ((10.0, -65.0, 60.0, 75.0), 0.5),
        ((-10.0, 44.98, 30.0, 75.0), 0.49),  # the east and west of a circle bend to the equator
        ((100.0, -65.0, 170.0, 75.0), 0.0),
    ],
)
def test_a_map_covers_a_share_of_the_ground_in_sight(bounds: tuple[float, ...], share: float):
    for turn in (0.0, 170.0):  # across the antimeridian
        west, south, east, north = bounds
        info = SimpleNamespace(bounds=(west + turn, south, east + turn, north))
        search: Any = SimpleNamespace(
            anywhere=False,
            altitude_km=400.0,
            position=SimpleNamespace(lon=10.0 + turn, lat=45.0),
            light_map=SimpleNamespace(info=info),
        )
        assert outcome.covered_share(search) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("landed", [2, 20, 38])
def test_odds_of_patches_that_land_are_those_of_a_binomial(landed: int) -> None:
    """Half as many, or nine of ten, should; of a wrong camera's as many as its area allows."""
    count, near_px, shares = 40, 3.0, (0.5, 0.9)
    tested = Landing(
        x=np.zeros(count),
        y=np.zeros(count),
        distance_px=np.where(np.arange(count) < landed, 1.0, 9.0),
        independent=count,
        landed_px=near_px,
    )
    chance = np.pi * near_px**2 / (2 * reach_px(near_px) - 1) ** 2
    likelihoods = [binom.logpmf(landed, count, share) for share in (*shares, chance)]
    expected = (max(likelihoods[:2]) - likelihoods[2]) / np.log(10.0) - np.log10(2.0)
    assert tested.log10_odds(shares) == pytest.approx(expected)
