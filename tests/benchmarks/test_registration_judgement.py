"""Who is right: the reference camera; what copies and variants say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from example_results import nothing_found, proposal
from registration_outcomes import (
    CAMERA,
    elsewhere,
    outcome,
    score_of,
    scored,
    with_case,
)

from benchmarks.registration.process import reference_score
from benchmarks.registration.report import (
    CHANGED_HEADER,
    TWIN_HEADER,
    changed_rows,
    is_accepted,
    judgement,
    twin_rows,
)
from benchmarks.registration.variants import VARIANTS, kept_part, stored_pixels
from matchers.camera import Camera
from regengine.result import ControlPoint

# 1 % of the diagonal of the reference's footprint
BAR_M = 10.0 * score_of(0.0).diagonal_km


@pytest.mark.parametrize(("error_m", "word"), [(BAR_M - 1.0, "right"), (BAR_M + 1.0, "wrong")])
@pytest.mark.parametrize("verdict", ["accepted", "review"])
def test_the_reference_camera_decides(error_m: float, word: str, verdict: str) -> None:
    one = scored(error_m, verdict=verdict)
    assert judgement(one) == word
    assert is_accepted(one, word) == (verdict == "accepted")


def test_what_is_not_known_is_not_judged() -> None:
    assert judgement(outcome()) == "unknown"
    assert judgement(replace(scored(), result=nothing_found())) == "no proposal"
    assert judgement(outcome(verdict="failed")) == "no proposal"


def changed_points(variant: str) -> tuple[ControlPoint, ...]:
    """The example's control points where a variant of the picture shows them."""
    size = CAMERA.width_px, CAMERA.height_px
    found = []
    for point in proposal().control_points:
        x, y = VARIANTS[variant].place(np.array([point.x]), np.array([point.y]), size)
        found.append(replace(point, x=float(x[0]), y=float(y[0])))
    return tuple(found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_pixels_of_a_variant_lead_back_to_the_photo(variant: str) -> None:
    moved = changed_points(variant)
    x, y = (np.array([getattr(point, axis) for point in moved]) for axis in "xy")
    back = stored_pixels(x, y, (CAMERA.width_px, CAMERA.height_px), variant)
    stored = [[point.x, point.y] for point in proposal().control_points]
    np.testing.assert_allclose(back.T, stored, atol=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("off_deg", "right"), [(0.0, True), (0.05, False)])
def test_a_variant_is_judged_by_the_reference_of_the_photo(
    variant: str, off_deg: float, right: bool
) -> None:
    # 0.05 degrees of longitude are 4.5 km there, the bar is at most 2 km
    points = tuple(replace(point, lon=point.lon + off_deg) for point in changed_points(variant))
    score = reference_score(CAMERA, points, CAMERA, variant)
    assert score.right is right
    if not off_deg:
        assert score.control_point_error_m.max() < 1.0


@pytest.mark.parametrize("variant", ["middle half", "first half"])
def test_the_part_that_a_crop_keeps_sees_what_it_shows(variant: str) -> None:
    kept = kept_part(CAMERA, variant)
    assert (kept.width_px, kept.height_px) == (320, 426)
    for point in changed_points(variant):
        assert kept.pixel_to_lonlat(point.x, point.y) == pytest.approx((point.lon, point.lat))
    # Half of the long side is left of the diagonal as well
    halved = reference_score(CAMERA, changed_points(variant), CAMERA, variant).diagonal_km
    whole = reference_score(CAMERA, changed_points(""), CAMERA, "").diagonal_km
    assert halved / whole == pytest.approx(np.hypot(320, 426) / np.hypot(640, 426), rel=0.01)


def test_a_turned_picture_keeps_its_footprint() -> None:
    assert kept_part(CAMERA, "turned 90°") is CAMERA
    assert isinstance(kept_part(CAMERA, ""), Camera)


def test_what_changed_is_compared_with_the_photo_as_it_is() -> None:
    base = scored()
    cases = [
        elsewhere(base, 0.05, moved_km=-100.0),
        elsewhere(base, 0.05, variant="mirrored"),
        elsewhere(base, 0.05, lights="clip.tif"),
    ]
    rows = changed_rows([base, *cases, outcome("Tokyo")])
    assert [row[:2] for row in rows] == [
        ["Osaka", "nadir -100 km"],
        ["Osaka", "mirrored"],
        ["Osaka", "clip.tif map"],
    ]
    said = [dict(zip(CHANGED_HEADER, row, strict=True)) for row in rows]
    assert [row["judged"] for row in said] == ["right"] * 3
    # 0.05 degrees at 391 km are 341 m
    moved_px = float(said[0]["places moved, map px: median"])
    assert moved_px == pytest.approx(341.0 / 463.3, abs=0.02)


def test_copies_of_a_frame_are_compared() -> None:
    one = with_case(outcome("edit"), same_frame="ISS030-E-184140")
    other = with_case(outcome("original"), same_frame="ISS030-E-184140")
    (row,) = twin_rows([one, other, outcome("third")])
    assert len(row) == len(TWIN_HEADER)
    assert row == ["ISS030-E-184140", "accepted, accepted", "0.0", "0.0", "0.0", "-131.7, -131.7"]
    nothing = replace(other, result=nothing_found())
    assert twin_rows([one, nothing])[0][2:] == ["–"] * 4
    failed = replace(other, result=None)
    assert twin_rows([one, failed]) == []
