"""Sweeps along the track: which, in what order, and that they find a camera far from its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from detectors.limb import Limb
from detectors.limb_geometry import (
    AIRGLOW_TOP_KM,
    arc_rays,
    limb_angle_deg,
    nadir_vector,
    pixels_of,
    pointing_of,
)
from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.pose import moved
from regengine.registration.candidates import Candidate
from regengine.registration.lens_prior import (
    CROP_SCALES,
    SIGMA_LOG_FOCAL,
    SIGMA_LOG_FOCAL_CROPPED,
    SIGMA_PRINCIPAL_SHARE,
)
from regengine.registration.propose_limb import (
    ALIGNED_PER_SWEEP,
    BAND_KM,
    STEP_KM,
    Sweep,
    bands,
    nadir_at_scale,
    plan_sweeps,
    take_sweep,
)
from regengine.registration.register import RegisterParams
from regengine.registration.tracks import Track
from tests.matchers import lamp_world
from tests.matchers.lamp_world import (
    LampWorld,
    camera_over,
    east_north_up,
    light_grid,
    town_lamps,
)
from tests.regengine.registration.beliefs import bell, made_track
from tests.regengine.registration.made_limb import found_limb
from tests.regengine.registration.made_search import lights_of, made_search
from tests.regengine.registration.simulated_frames import MemoryMap, halved

ALTITUDE_KM = 410.0
WIDTH, HEIGHT = 240, 160


def limb_of(nadir: FloatArray, focal_px: float) -> Limb:
    return found_limb(nadir, focal_px, (HEIGHT, WIDTH))


LIMB = limb_of(nadir_vector(60.0, 20.0), 200.0)


def track_through(
    camera: Camera, displaced_km: float, reach_km: float, velocity: Sequence[float]
) -> Track:
    """A great circle over the ground whose offset ``-displaced_km`` is the camera's place."""
    start = moved(camera.position_ecef_m, velocity, 1e3 * displaced_km, 0.0, 0.0)
    # The direction of motion turns with the position
    ahead = moved(camera.position_ecef_m, velocity, 1e3 * (displaced_km + 1.0), 0.0, 0.0)

    def at(offset_km: float) -> FloatArray:
        return moved(start, ahead - start, 1e3 * offset_km, 0.0, 0.0)

    belief = bell(0.5 * reach_km, reach_km)
    return made_track(at, belief, sigma_along_km=500.0, sigma_up_km=2.0)


OVER_ROME = camera_over(12.0, 42.0, 1e3 * ALTITUDE_KM)
EASTWARD = (-3000.0, 6000.0, 2000.0)


def planned(
    limb: Limb = LIMB, *, focal_known: bool = True, reach_km: float = 4000.0, tracks: int = 1
) -> list[Sweep]:
    """The sweeps of a photo from over Rome, of one track or of several that are alike."""
    track = track_through(OVER_ROME, 0.0, reach_km, EASTWARD)
    others = [replace(track, name=f"made {k}") for k in range(tracks)]
    return [sweep for _, sweep in plan_sweeps(others, limb, focal_known)]


@given(reach=st.floats(0.0, 22_000.0))
def test_bands_cover_the_reach_once(reach: float) -> None:
    """No place within the reach is farther than half a step from an offset; none comes twice."""
    found = bands(reach)
    offsets = [offset for band in found for offset in band]
    assert len(set(offsets)) == len(offsets)
    assert max(offsets) == -min(offsets)
    assert max(offsets) >= reach - 0.5 * STEP_KM - 1e-6
    assert max(offsets) <= max(reach + 0.5 * STEP_KM + 1e-6, STEP_KM)
    assert np.diff(sorted(offsets)) == pytest.approx(STEP_KM)
    for band in found:
        assert max(band) - min(band) <= (2.0 if 0.0 in band else 1.0) * BAND_KM
    # The middle one first, then ever farther out, both sides in turn
    assert 0.0 in found[0]
    nearest = [min(abs(offset) for offset in band) for band in found]
    assert nearest == sorted(nearest)
    assert {tuple(-o for o in band) for band in found[1:]} == set(found[1:])


@given(
    arc=st.floats(-55.0, 40.0),
    roll=st.floats(-180.0, 180.0),
    scale=st.floats(0.6, 2.2),
    angle=st.sampled_from([limb_angle_deg(h, AIRGLOW_TOP_KM) for h in (350.0, 420.0)]),
)
def test_another_focal_length_leaves_the_arc_where_it_is(
    arc: float, roll: float, scale: float, angle: float
) -> None:
    """The arc's point nearest to the axis: the same pixel before and after."""
    focal, centre = 200.0, (119.5, 79.5)
    limb = replace(limb_of(nadir_vector(angle + arc, roll), focal), angle_deg=angle)
    scaled = nadir_at_scale(limb, scale)
    assert np.linalg.norm(scaled) == pytest.approx(1.0)
    top = np.array(angle), np.array(0.0)
    before = pixels_of(arc_rays(limb.nadir, *top), focal, centre)
    after = pixels_of(arc_rays(scaled, *top), focal * scale, centre)
    assert np.array(after) == pytest.approx(np.array(before), abs=1e-6)
    assert nadir_at_scale(limb, 1.0) == pytest.approx(limb.nadir)
    # The camera's turn is seen in the picture whatever the focal length
    found_off_nadir, found_roll = pointing_of(scaled)
    assert found_off_nadir == pytest.approx(
        angle + math.degrees(math.atan(math.tan(math.radians(arc)) / scale))
    )
    assert (found_roll - roll + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1e-6)


def test_everything_is_swept_once() -> None:
    sweeps = planned(tracks=2)
    keys = [(s.track.name, s.offsets_km, s.scale, s.mirrored, s.hazy) for s in sweeps]
    assert len(set(keys)) == len(keys)
    assert len(keys) == 2 * len(bands(4000.0)) * (1 + len(CROP_SCALES)) * 2 * 2


def test_what_is_likelier_in_every_way_comes_earlier() -> None:
    """Near before far, plain before mirrored or hazy, the nominal scale before crops."""
    order = [1.0, *CROP_SCALES]
    ranks = [
        (min(map(abs, s.offsets_km)), order.index(s.scale), s.mirrored, s.hazy) for s in planned()
    ]
    for place, later in enumerate(ranks):
        for earlier in ranks[:place]:
            surpassed = all(a >= b for a, b in zip(earlier, later, strict=True))
            assert not surpassed or earlier == later
    # and none of the four rules all others: all kinds are met early
    early = planned()[: len(ranks) // 2]
    assert {s.scale for s in early} == set(order)
    assert {s.mirrored for s in early} == {s.hazy for s in early} == {True, False}
    assert len({s.offsets_km for s in early}) > 1


def test_a_curvature_that_contradicts_the_focal_length_is_heard_before_crops() -> None:
    said = planned(replace(LIMB, focal_ratio=1.4, focal_ratio_sigma=0.08))
    scales = list(dict.fromkeys(s.scale for s in said))
    assert scales == [1.0, 1.4, *CROP_SCALES]
    assert next(s for s in said if s.scale == 1.4).sigma_log_focal == SIGMA_LOG_FOCAL_CROPPED
    vague = planned(replace(LIMB, focal_ratio=1.4, focal_ratio_sigma=0.25))
    assert 1.4 not in {s.scale for s in vague}
    agreeing = planned(replace(LIMB, focal_ratio=1.05, focal_ratio_sigma=0.001))
    assert 1.05 not in {s.scale for s in agreeing}


def test_an_unknown_focal_length_is_as_free_as_a_crops() -> None:
    assert planned()[0].sigma_log_focal == SIGMA_LOG_FOCAL
    assert planned(focal_known=False)[0].sigma_log_focal == SIGMA_LOG_FOCAL_CROPPED


BOX = -20.0, 26.0, 46.0, 62.0  # west, south, east, north


@dataclass(frozen=True)
class Land:
    """Towns, and their map."""

    lamps: LampWorld
    light_map: MemoryMap


@pytest.fixture(scope="module")
def land() -> Land:
    lamps = town_lamps(2, *BOX, towns=9000, lamps_per_town=15, radius_km=5.0)
    levels = [light_grid(lamps, *BOX, 0.04)]
    while len(levels) < 4:
        levels.append(halved(levels[-1]))
    return Land(lamps, MemoryMap(levels=tuple(levels)))


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


def miss_px(found: Camera, truth: Camera) -> float:
    """How far ground within 60 degrees of the nadir moves in the found camera's picture."""
    x, y = np.meshgrid(np.linspace(3.0, WIDTH - 4.0, 13), np.linspace(3.0, HEIGHT - 4.0, 9))
    ground = truth.pixel_to_ecef(x, y)
    range_km = np.linalg.norm(ground - np.asarray(truth.position_ecef_m), axis=-1) / 1e3
    near = range_km < 1100.0
    assert near.sum() > 10
    return float(np.median(lamp_world.miss_px(found, truth, x[near], y[near])))


def stopped() -> float:
    """A clock by which there is time enough."""
    return 0.0


def taken(
    sweep: Sweep,
    limb: Limb,
    stored: Camera,
    truth: Camera,
    land: Land,
    clock: Callable[[], float] = stopped,
) -> tuple[list[Candidate], bool]:
    """What one sweep finds of a true camera's picture, and whether the map holds any of it."""
    given = {
        "limb": replace(limb, focal_px=stored.focal_px),
        "parameters": RegisterParams(clock=clock),
    }
    search = made_search(stored, land.light_map, lights_of(truth, land.lamps), **given)
    (proposals,) = take_sweep(search, sweep, 1.0)
    assert search.looks_taken == 1
    return list(proposals.candidates), search.covered


def swept(
    truth: Camera,
    land: Land,
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
    return taken(sweep, limb, stored, truth, land, clock)


@pytest.mark.parametrize("displaced_km", [-710.0, 700.0])
def test_a_sweep_finds_a_camera_far_along_the_track(land: Land, displaced_km: float) -> None:
    """Of three thousand kilometres, the place, the attitude and nothing else like it."""
    truth = oblique()
    found, covered = swept(truth, land, displaced_km=displaced_km, offsets=bands(1500.0)[0])
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
def test_mirror_images_are_found_as_such_only(land: Land, mirrored: bool, tried: bool) -> None:
    truth = oblique(mirrored=mirrored, roll=-35.0)
    found, _ = swept(truth, land, mirrored=tried)
    assert all(candidate.camera.mirrored == tried for candidate in found)
    if mirrored == tried:
        assert miss_px(found[0].camera, truth) < 2.0
    else:
        assert all(candidate.ncc < 0.6 for candidate in found)


def test_a_crop_is_found_at_its_scale(land: Land) -> None:
    """The focal length that the metadata tell is 1 / 1.3 of the picture's."""
    truth = oblique(focal_px=260.0)
    found, _ = swept(truth, land, scale=1.25, told_focal_px=200.0)
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


def test_a_sweep_that_runs_out_of_time_uses_what_it_has(land: Land) -> None:
    offsets = tuple(STEP_KM * k for k in range(-3, 4))
    truth = oblique()
    assert swept(truth, land, offsets=offsets, clock=after(0)) == ([], False)
    some, covered = swept(truth, land, offsets=offsets, clock=after(5))
    assert covered
    assert miss_px(some[0].camera, truth) < 2.0
    assert len({candidate.look.offset_km for candidate in some}) <= 5


def test_by_day_nothing_is_swept(land: Land) -> None:
    truth = oblique()
    day = replace(track_through(truth, 0.0, 500.0, EASTWARD), may_be_night=lambda km: km > 50.0)
    sweep = replace(planned()[0], track=day, offsets_km=(-60.0, 0.0, 60.0))
    found, _ = taken(sweep, seen_limb(truth), truth, truth, land)
    assert {candidate.look.offset_km for candidate in found} == {60.0}


def test_a_hazy_sweep_takes_the_other_image(land: Land) -> None:
    found, covered = swept(oblique(), land, hazy=True)
    assert covered
    assert all(candidate.ncc < 0.1 for candidate in found)


def test_outside_the_map_nothing_is_covered(land: Land) -> None:
    truth = oblique()
    track = track_through(truth, 9000.0, 1500.0, EASTWARD)
    sweep = replace(planned()[0], track=track, offsets_km=(0.0, 60.0))
    assert taken(sweep, seen_limb(truth), truth, truth, land) == ([], False)


@pytest.mark.parametrize("roll", [0.0, 130.0])
def test_a_photo_without_near_ground_is_not_searched(land: Land, roll: float) -> None:
    """A camera that looks up has its nadir behind it."""
    up = limb_of(nadir_vector(105.0, roll), 200.0)
    assert taken(planned()[0], up, oblique(), oblique(), land) == ([], False)
