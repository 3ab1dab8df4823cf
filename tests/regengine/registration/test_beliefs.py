"""What is believed of a camera before its lights are asked: places seen, lenses, neighbours."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from regengine.photo.frame import read_frame
from regengine.registration.prepare_photo import make_nominal_camera
from regengine.registration.priors import lens, neighbours
from regengine.registration.priors.seen import Seen
from regengine.registration.stage_yields import StageYields
from tests.world.results import nadir_camera, proposal, solved

RADIUS_KM = 6371.0


# ---- a place that the photo shows


@pytest.mark.parametrize("radius_km", [50.0, 400.0])
def test_places_are_weighed_by_how_far_photos_reach(radius_km: float) -> None:
    """As an exponential distribution of distances spread over rings, and 3 in 1,000 anywhere."""
    seen = Seen(lon=10.0, lat=0.0, radius_km=radius_km)
    away_km = np.array([0.0, 0.9 * radius_km, radius_km, 1.5 * radius_km, 1500.0, 12000.0])
    there = geodetic_to_ecef(10.0 + np.degrees(away_km / RADIUS_KM), 0.0, 410e3)
    expected = []
    for km in away_km.tolist():
        share = 1.0 if km <= radius_km else radius_km / km * math.exp((radius_km - km) / 454.0)
        expected.append(-math.log(0.997 * share + 0.003))
    assert seen.weigh(there) == pytest.approx(expected, abs=1e-6)


def test_a_place_is_seen_where_it_lies_within_its_radius_of_some_pixel() -> None:
    """Against all pixels of the rim, one by one: the nearest ground of a camera lies there."""
    camera = nadir_camera(0.0, 0.0)
    x, y = np.array([(x, y) for x in range(640) for y in (0, 425)]).T
    _, lat = camera.pixel_to_lonlat(x, y)
    for side in (1.0, -1.0):
        for beyond_km in (20.0, 100.0):
            rim = float((side * lat).max())
            place = side * (rim + math.degrees(beyond_km / RADIUS_KM))
            for radius_km, is_shown in ((beyond_km * 0.9, False), (beyond_km * 1.1, True)):
                seen = Seen(lon=0.0, lat=place, radius_km=radius_km)
                assert seen.is_shown_by(camera) == is_shown, (side, beyond_km, radius_km)
    # Within the picture however small the radius, to its very rim
    for px in ((0.5, 0.5), (638.5, 424.5), (319.5, 212.5), (300.1, 7.7)):
        lon_at, lat_at = (float(v) for v in camera.pixel_to_lonlat(*px))
        assert Seen(lon=lon_at, lat=lat_at, radius_km=0.01).is_shown_by(camera)
    for px in ((-3.0, 212.5), (642.0, 212.5), (319.5, -3.0), (319.5, 428.0)):
        lon_at, lat_at = (float(v) for v in camera.pixel_to_lonlat(*px))
        assert not Seen(lon=lon_at, lat=lat_at, radius_km=0.2).is_shown_by(camera)
        assert Seen(lon=lon_at, lat=lat_at, radius_km=1.5).is_shown_by(camera)
    assert not Seen(lon=0.0, lat=0.0, radius_km=1000.0).is_shown_by(nadir_camera(tilt_deg=150.0))


# ---- focal lengths

YIELDS = StageYields(
    tables={
        "lens_ladder_whole": {"1.0": 0.9, "1.5": 0.1},
        "lens_single_crop": {"1.0": 0.7, "2.0": 0.3},
        "lens_single_whole": {"1.0": 1.0},
        "lens_single_unknown": {"50": 0.3, "85": 0.5, "180": 0.2},
    }
)


@pytest.mark.parametrize(("degrees", "is_one"), [(11.9, True), (12.1, False)])
@pytest.mark.parametrize("size_px", [(640, 426), (426, 640)])
def test_a_telephoto_frame_is_narrower_than_twelve_degrees(
    degrees: float, is_one: bool, size_px: tuple[int, int]
) -> None:
    focal_px = 320.0 / math.tan(math.radians(degrees / 2.0))
    camera = replace(nadir_camera(), width_px=size_px[0], height_px=size_px[1], focal_px=focal_px)
    assert lens.is_telephoto(camera) == is_one


def test_a_lens_that_is_known_is_tried_as_it_is_and_as_crops_of_it() -> None:
    whole = lens.list_lens_beliefs(
        nadir_camera(), YIELDS, steps="ladder", focal_known=True, may_be_cropped=False
    )
    assert [(one.ratio, one.share) for one in whole] == [(1.0, 0.9), (1.5, 0.1)]
    assert [one.sigma_log_focal for one in whole] == [0.03, 0.12]
    assert [one.is_cropped for one in whole] == [False, True]
    assert [one.ladder for one in whole] == [(1.0,), (1.0, 0.8, 1.25)]
    crop = lens.list_lens_beliefs(
        nadir_camera(), YIELDS, steps="single", focal_known=True, may_be_cropped=True
    )
    assert [(one.is_cropped, one.ladder) for one in crop] == [(True, (1.0,))] * 2


def test_a_lens_that_is_not_known_is_one_of_the_usual_on_a_full_frame() -> None:
    camera = nadir_camera()
    told: dict[str, Any] = {"steps": "single", "focal_known": False}
    found = lens.list_lens_beliefs(camera, YIELDS, may_be_cropped=False, **told)
    focal_px = [one.ratio * camera.focal_px for one in found]
    assert focal_px == pytest.approx([mm / 36.0 * 640 for mm in (50, 85, 180)])
    assert [one.share for one in found] == [0.3, 0.5, 0.2]
    assert {(one.sigma_log_focal, one.is_cropped) for one in found} == {(0.12, False)}
    # What is within 12 % of a focal length that led nowhere, or of a crop of it, is left out
    doubted_px = 85.0 / 36.0 * 640
    for factor, left in ((1.0, [50]), (1.12, [50]), (1.13, [50, 85]), (0.5, [50, 180])):
        found = lens.list_lens_beliefs(
            camera, YIELDS, may_be_cropped=True, doubted_focal_px=factor * doubted_px, **told
        )
        assert [round(one.ratio * camera.focal_px * 36.0 / 640) for one in found] == left, factor
    for doubted, is_cropped in ((None, False), (1.0, True)):
        found = lens.list_lens_beliefs(
            camera, YIELDS, may_be_cropped=False, doubted_focal_px=doubted, **told
        )
        assert [one.is_cropped for one in found] == [is_cropped] * 3


# ---- what frames of one camera share

TIME = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)


def frame_at(seconds: float, name: str = "mine", **other: Any) -> neighbours.FrameFacts:
    facts = neighbours.FrameFacts(
        frame=name,
        camera_body="NIKON D3S",
        time_utc=TIME + timedelta(seconds=seconds),
        focal_mm=85.0,
        size_px=(640, 426),
    )
    return replace(facts, **other)


def solved_at(
    seconds: float,
    offset_s: float = 10.0,
    focal_ratio: float = 1.0,
    camera: Camera | None = None,
    **other: Any,
) -> neighbours.SolvedReference:
    return neighbours.SolvedReference(
        facts=frame_at(seconds, f"F{seconds:g}", **other),
        camera=camera or nadir_camera(),
        offset_s=offset_s,
        focal_ratio=focal_ratio,
    )


def told(*references: neighbours.SolvedReference, **mine: Any) -> neighbours.NeighbourPrior | None:
    return neighbours.make_neighbour_prior(frame_at(0.0, **mine), references)


def frames_of(prior: neighbours.NeighbourPrior | None) -> tuple[str, ...]:
    return () if prior is None else prior.frames


def test_one_frame_of_the_same_ten_minutes_tells_and_two_of_the_half_day_do() -> None:
    for away in (600.0, -600.0):
        assert frames_of(told(solved_at(away))) == (f"F{away:g}",)
    assert told(solved_at(600.1)) is None
    assert frames_of(told(solved_at(601.0), solved_at(43200.0))) == ("F601", "F43200")
    assert told(solved_at(601.0), solved_at(43200.1)) is None
    assert told(solved_at(60.0, camera_body="NIKON D4")) is None
    # Who is near is asked alone
    assert frames_of(told(solved_at(700.0), solved_at(-20.0), solved_at(800.0))) == ("F-20",)
    # Of those of the day half must agree
    assert frames_of(told(*(solved_at(700.0 + k, 20.0 * (k // 2)) for k in range(4)))) == (
        "F700",
        "F701",
    )
    assert told(*(solved_at(700.0 + k, 20.0 * (k // 2)) for k in range(5))) is None


def test_clocks_agree_within_five_seconds_and_the_nearest_frames_decide() -> None:
    near = told(solved_at(1.0, 10.0), solved_at(2.0, 15.0), solved_at(3.0, 12.0))
    assert near is not None
    assert near.frames == ("F1", "F2", "F3")
    assert near.offset_s == 12.0
    assert near.spread_s == pytest.approx(np.std([10.0, 15.0, 12.0]))
    apart = told(solved_at(1.0, 10.0), solved_at(2.0, 15.1), solved_at(3.0, 12.0))
    assert apart is not None
    assert (apart.frames, apart.offset_s, apart.spread_s) == (("F1", "F3"), 11.0, 2.0)
    assert frames_of(told(solved_at(-2.0, 30.0), solved_at(1.0, 10.0))) == ("F1",)


def test_the_lens_is_the_median_of_those_that_agree_within_three_in_a_hundred() -> None:
    ratios = [1.0, 1.029, 1.01, 1.2]
    prior = told(*(solved_at(k + 1.0, focal_ratio=ratio) for k, ratio in enumerate(ratios)))
    assert prior is not None
    assert prior.focal_ratio == pytest.approx(1.01)
    assert prior.frames == ("F1", "F2", "F3", "F4")
    assert [one.frame for one in prior.neighbours] == ["F1", "F2"]
    other = told(solved_at(1.0, focal_ratio=1.2, focal_mm=50.0))
    assert other is not None
    assert (other.focal_ratio, other.neighbours, other.offset_s) == (1.0, (), 10.0)


def test_neighbours_are_two_minutes_near_and_of_the_same_size() -> None:
    prior = told(solved_at(120.0), solved_at(-120.1))
    assert prior is not None
    assert [one.frame for one in prior.neighbours] == ["F120"]
    upright = told(solved_at(5.0, focal_ratio=1.02), size_px=(426, 640))
    assert upright is not None
    assert (upright.neighbours, upright.focal_ratio) == ((), pytest.approx(1.02))


@pytest.mark.parametrize(("off_px", "is_crop"), [(6.3, False), (6.5, True)])
def test_most_frames_tell_whether_pictures_are_mirrored_or_crops(
    off_px: float, is_crop: bool
) -> None:
    """An axis off the middle by a hundredth of the long side is that of a crop."""
    odd = replace(
        nadir_camera(), mirrored=True, principal_point=(319.5 - 0.6 * off_px, 212.5 + 0.8 * off_px)
    )
    for many, is_most in ((1, False), (2, True)):
        prior = told(
            *(solved_at(k, camera=odd if k < many else None) for k in range(2 * many - 1, -1, -1)),
            solved_at(90.0, camera=odd if is_most else None),
        )
        assert prior is not None
        assert (prior.mirrored, prior.cropped) == (is_most, is_most and is_crop)


@pytest.mark.parametrize(
    ("hint", "is_worth"),
    [
        ({}, False),
        ({"offset_s": 2.99}, False),
        ({"offset_s": 3.0}, True),
        ({"offset_s": -3.0}, True),
        ({"focal_ratio": 1.03}, False),
        ({"focal_ratio": 1.031}, True),
        ({"focal_ratio": 1 / 1.031}, True),
        ({"mirrored": True}, True),
        ({"cropped": True}, False),
        ({"neighbours": (neighbours.Neighbour(frame="B", camera=nadir_camera()),)}, True),
    ],
)
def test_a_hint_is_worth_a_search_where_it_leads_elsewhere(
    hint: dict[str, Any], is_worth: bool
) -> None:
    prior = neighbours.NeighbourPrior(**{"frames": ("A",), "offset_s": 0.0, "spread_s": 2.0} | hint)
    assert prior.is_worth_trying() == is_worth
    assert replace(prior, first_probability=0.3).sha256 == prior.sha256
    assert replace(prior, offset_s=0.1).sha256 != prior.sha256
    near = ", neighbour B" if prior.neighbours else ""
    assert prior.source == f"searched again with clock and lens of A{near}"


def test_a_stretched_copy_tells_its_clock_but_no_lens() -> None:
    stretched = replace(nadir_camera(), pixel_aspect=1.5)
    prior = told(solved_at(60.0, -3.0, focal_ratio=0.67, camera=stretched))
    assert prior is not None
    assert (prior.offset_s, prior.focal_ratio, prior.neighbours) == (-3.0, 1.0, ())


def test_a_stretched_copy_that_a_person_placed_is_searched_with_its_own_lens(
    tmp_path: Path,
) -> None:
    path = tmp_path / "square.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
    placed = replace(nadir_camera(), width_px=64, height_px=64, pixel_aspect=1.5)
    nominal = make_nominal_camera(read_frame(path), placed)
    assert (nominal.focal_px, nominal.pixel_aspect) == (placed.focal_px, 1.5)


def test_only_accepted_frames_placed_by_an_orbit_tell_anything() -> None:
    result = replace(proposal(), solved=solved(nadir_camera(), -13.7))
    reference = neighbours.SolvedReference.from_result(result)
    assert reference is not None
    assert reference.offset_s == -13.7
    # 85 mm on pixels of 56.25 micrometres are 1511.1 px
    assert reference.focal_ratio == pytest.approx(1506.1 / 1511.111, rel=1e-6)
    assert (reference.facts.size_px, reference.facts.time_utc) == ((640, 426), TIME)
    assert reference.facts.seconds_after(frame_at(-7.5)) == 7.5
    unknown = neighbours.SolvedReference.from_result(replace(result, focal_mm=None))
    assert unknown is not None
    assert unknown.focal_ratio == reference.focal_ratio
    assert result.nadir is not None
    for change in (
        {"verdict": "review"},
        {"solved": None},
        {"nadir": None},
        {"nadir": replace(result.nadir, source="option")},
        {"pixel_pitch_um": None},
        {"camera_body": None},
        {"time_utc": None},
        {"width_px": None},
    ):
        assert neighbours.SolvedReference.from_result(replace(result, **change)) is None, change  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(0, 4))
def test_the_most_values_within_a_width_agree(values: list[int], width: int) -> None:
    """Against every choice of them."""
    found = neighbours.find_agreeing([float(v) for v in values], float(width))
    assert found == sorted(found)
    chosen = [values[k] for k in found]
    best = 0
    for low in values:
        best = max(best, sum(low <= v <= low + width for v in values))
    assert len(found) == best
    if chosen:
        assert max(chosen) - min(chosen) <= width
        same = [[k for k, v in enumerate(values) if low <= v <= low + width] for low in set(values)]
        assert found[0] == min(group[0] for group in same if len(group) == best)
