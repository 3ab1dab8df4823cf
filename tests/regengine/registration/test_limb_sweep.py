"""Sweeps along the track: which, in what order, and that they find a camera far from its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detectors.limb import Limb
from detectors.limb_geometry import (
    nadir_vector,
)
from matchers.camera import Camera
from matchers.photo_light import LightImage
from regengine.registration.candidates import Candidate
from regengine.registration.lens_prior import (
    SIGMA_LOG_FOCAL,
    SIGMA_LOG_FOCAL_CROPPED,
    SIGMA_PRINCIPAL_SHARE,
)
from regengine.registration.preparation import PhotoLights
from regengine.registration.propose_limb import (
    ALIGNED_PER_SWEEP,
    STEP_KM,
    Sweep,
    bands,
    nadir_at_scale,
    take_sweep,
)
from regengine.registration.register import RegisterParams
from tests.matchers.lamp_world import (
    LampWorld,
    camera_over,
    east_north_up,
    light_grid,
    log_picture,
    town_lamps,
)
from tests.regengine.registration.made_search import made_search
from tests.regengine.registration.simulated_frames import MemoryMap, halved
from tests.regengine.registration.sweep_parts import (
    ALTITUDE_KM,
    EASTWARD,
    HEIGHT,
    WIDTH,
    limb_of,
    planned,
    track_through,
)

FloatArray = NDArray[np.float64]


WEST, SOUTH, EAST, NORTH = -20.0, 26.0, 46.0, 62.0


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(2, WEST, SOUTH, EAST, NORTH, towns=9000, lamps_per_town=15, radius_km=5.0)


@pytest.fixture(scope="module")
def light_map(lamps: LampWorld) -> MemoryMap:
    levels = [light_grid(lamps, WEST, SOUTH, EAST, NORTH, 0.04)]
    while len(levels) < 4:
        levels.append(halved(levels[-1]))
    return MemoryMap(levels=tuple(levels))


def oblique(**changes: float | bool) -> Camera:
    given = {"off_nadir": 57.0, "azimuth": 300.0, "roll": 20.0, "focal_px": 200.0, **changes}
    return camera_over(
        14.0,
        43.0,
        1e3 * ALTITUDE_KM,
        width=WIDTH,
        height=HEIGHT,
        **given,  # type: ignore[arg-type]
    )


def seen_limb(camera: Camera) -> Limb:
    """The limb of a camera's picture as it is: mirrored if that is."""
    down = -east_north_up(14.0, 43.0)[2]
    nadir = Rotation.from_quat(camera.quaternion).inv().apply(down)
    if camera.mirrored:
        nadir = nadir * np.array([-1.0, 1.0, 1.0])
    return limb_of(nadir, camera.focal_px)


def lights_of(camera: Camera, lamps: LampWorld) -> PhotoLights:
    values = log_picture(camera, lamps)
    sharp = LightImage(values=values, weight=np.ones_like(values), factor=1.0)
    dark = replace(sharp, values=np.zeros_like(values))
    return PhotoLights(sharp=sharp, hazy=dark, flat=dark)


def miss_px(found: Camera, truth: Camera) -> float:
    """How far ground within 60 degrees of the nadir moves in the found camera's picture."""
    x, y = np.meshgrid(np.linspace(3.0, WIDTH - 4.0, 13), np.linspace(3.0, HEIGHT - 4.0, 9))
    ground = truth.pixel_to_ecef(x, y)
    range_km = np.linalg.norm(ground - np.asarray(truth.position_ecef_m), axis=-1) / 1e3
    near = range_km < 1100.0
    assert near.sum() > 10
    at_x, at_y = found.ecef_to_pixel(ground[near])
    moved_px = np.hypot(at_x - x[near], at_y - y[near])
    return float(np.median(np.where(np.isfinite(moved_px), moved_px, 1e3)))


def stopped() -> float:
    """A clock by which there is time enough."""
    return 0.0


def taken(
    sweep: Sweep,
    limb: Limb,
    stored: Camera,
    lights: PhotoLights,
    light_map: MemoryMap,
    clock: Callable[[], float] = stopped,
) -> tuple[list[Candidate], bool]:
    """What one sweep finds, and whether the map holds any of what it looks at."""
    limb = replace(limb, focal_px=stored.focal_px)
    search = made_search(
        stored, light_map, lights, limb=limb, parameters=RegisterParams(clock=clock)
    )
    (proposals,) = take_sweep(search, sweep, 1.0)
    assert search.looks_taken == 1
    return list(proposals.candidates), search.covered


def swept(
    truth: Camera,
    lamps: LampWorld,
    light_map: MemoryMap,
    *,
    displaced_km: float = 0.0,
    offsets: tuple[float, ...] = (0.0,),
    scale: float = 1.0,
    told_focal_px: float | None = None,
    mirrored: bool = False,
    hazy: bool = False,
    clock: Callable[[], float] = stopped,
) -> tuple[list[Candidate], bool]:
    """What a sweep finds of a picture when its camera is believed elsewhere on the track."""
    focal = told_focal_px or truth.focal_px
    limb = seen_limb(truth)
    if told_focal_px is not None:
        # Found with the wrong focal length: the arc lies where it is in the picture
        limb = limb_of(nadir_at_scale(limb, told_focal_px / truth.focal_px), told_focal_px)
    stored = replace(truth, focal_px=focal, quaternion=(0.0, 0.0, 0.0, 1.0), mirrored=False)
    sweep = Sweep(
        track=track_through(truth, displaced_km, 1500.0, EASTWARD),
        offsets_km=offsets,
        scale=scale,
        sigma_log_focal=SIGMA_LOG_FOCAL if scale == 1.0 else SIGMA_LOG_FOCAL_CROPPED,
        mirrored=mirrored,
        hazy=hazy,
    )
    return taken(sweep, limb, stored, lights_of(truth, lamps), light_map, clock)


@pytest.mark.parametrize("displaced_km", [-710.0, 700.0])
def test_a_sweep_finds_a_camera_far_along_the_track(
    lamps: LampWorld, light_map: MemoryMap, displaced_km: float
) -> None:
    """Of three thousand kilometres, the place, the attitude and nothing else like it."""
    truth = oblique()
    found, covered = swept(
        truth, lamps, light_map, displaced_km=displaced_km, offsets=bands(1500.0)[0]
    )
    assert covered
    best = found[0]
    assert miss_px(best.camera, truth) < 2.0
    assert abs(best.look.offset_km + displaced_km) <= STEP_KM
    beside_km = math.dist(best.camera.position_ecef_m, truth.position_ecef_m) / 1e3
    assert beside_km < 25.0
    assert best.ncc > 0.8
    assert all(other.ncc < 0.6 for other in found[1:])
    assert len(found) <= ALIGNED_PER_SWEEP
    assert best.look.off_nadir_deg[0] <= best.camera.off_nadir_deg <= best.look.off_nadir_deg[1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("tried", [False, True])
def test_mirror_images_are_found_as_such_only(
    lamps: LampWorld, light_map: MemoryMap, mirrored: bool, tried: bool
) -> None:
    truth = oblique(mirrored=mirrored, roll=-35.0)
    found, _ = swept(truth, lamps, light_map, mirrored=tried)
    assert all(candidate.camera.mirrored == tried for candidate in found)
    if mirrored == tried:
        assert miss_px(found[0].camera, truth) < 2.0
    else:
        assert all(candidate.ncc < 0.6 for candidate in found)


def test_a_crop_is_found_at_its_scale(lamps: LampWorld, light_map: MemoryMap) -> None:
    """The focal length that the metadata tell is 1 / 1.3 of the picture's."""
    truth = oblique(focal_px=260.0)
    found, _ = swept(truth, lamps, light_map, scale=1.25, told_focal_px=200.0)
    best = found[0]
    assert miss_px(best.camera, truth) < 2.0
    assert best.camera.focal_px == pytest.approx(260.0, rel=0.03)
    assert best.look.scale == 1.25
    assert best.look.prior.focal_px == pytest.approx(250.0)
    assert best.look.prior.sigma_principal_px == pytest.approx(SIGMA_PRINCIPAL_SHARE * WIDTH)


def after(calls: int) -> Callable[[], float]:
    """A clock on which the time runs out after so many looks at it."""
    told: Iterator[float] = chain(repeat(0.0, calls), repeat(1e9))
    return lambda: next(told)


def test_a_sweep_that_runs_out_of_time_uses_what_it_has(
    lamps: LampWorld, light_map: MemoryMap
) -> None:
    offsets = tuple(STEP_KM * k for k in range(-3, 4))
    truth = oblique()
    assert swept(truth, lamps, light_map, offsets=offsets, clock=after(0)) == ([], False)
    some, covered = swept(truth, lamps, light_map, offsets=offsets, clock=after(5))
    assert covered
    assert miss_px(some[0].camera, truth) < 2.0
    assert len({candidate.look.offset_km for candidate in some}) <= 5


def test_by_day_nothing_is_swept(lamps: LampWorld, light_map: MemoryMap) -> None:
    truth = oblique()
    day = replace(track_through(truth, 0.0, 500.0, EASTWARD), may_be_night=lambda km: km > 50.0)
    sweep = replace(planned()[0], track=day, offsets_km=(-60.0, 0.0, 60.0))
    found, _ = taken(sweep, seen_limb(truth), truth, lights_of(truth, lamps), light_map)
    assert {candidate.look.offset_km for candidate in found} == {60.0}


def test_a_hazy_sweep_takes_the_other_image(lamps: LampWorld, light_map: MemoryMap) -> None:
    found, covered = swept(oblique(), lamps, light_map, hazy=True)
    assert covered
    assert all(candidate.ncc < 0.1 for candidate in found)


def test_outside_the_map_nothing_is_covered(lamps: LampWorld, light_map: MemoryMap) -> None:
    truth = oblique()
    track = track_through(truth, 9000.0, 1500.0, EASTWARD)
    sweep = replace(planned()[0], track=track, offsets_km=(0.0, 60.0))
    lights = lights_of(truth, lamps)
    assert taken(sweep, seen_limb(truth), truth, lights, light_map) == ([], False)


@pytest.mark.parametrize("roll", [0.0, 130.0])
def test_a_photo_without_near_ground_is_not_searched(
    lamps: LampWorld, light_map: MemoryMap, roll: float
) -> None:
    """A camera that looks up has its nadir behind it."""
    up = limb_of(nadir_vector(105.0, roll), 200.0)
    lights = lights_of(oblique(), lamps)
    assert taken(planned()[0], up, oblique(), lights, light_map) == ([], False)
