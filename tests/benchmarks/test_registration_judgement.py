"""Who is right: the reference camera of the photo, of its copies and variants too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from example_results import nadir_camera, proposal

from benchmarks.registration.run import page_lines, reference_score, result_columns
from benchmarks.registration.truth import read_reference_cameras
from benchmarks.registration.variants import VARIANTS, kept_part
from regengine.result import ControlPoint

CAMERA = nadir_camera()


def changed_points(variant: str) -> tuple[ControlPoint, ...]:
    """The example's control points where a variant of the picture shows them."""
    size = CAMERA.width_px, CAMERA.height_px
    found = []
    for point in proposal().control_points:
        x, y = VARIANTS[variant].place(np.array([point.x]), np.array([point.y]), size)
        found.append(replace(point, x=float(x[0]), y=float(y[0])))
    return tuple(found)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("off_deg", "right"), [(0.0, True), (0.05, False)])
def test_a_variant_is_judged_by_the_reference_of_the_photo(
    variant: str, off_deg: float, right: bool
) -> None:
    # 0.05 degrees of longitude are 4.5 km there, the bar is at most 2 km
    points = tuple(replace(point, lon=point.lon + off_deg) for point in changed_points(variant))
    score = reference_score(CAMERA, points, CAMERA, variant)
    assert score["right"] is right
    if not off_deg:
        assert max(score["point_error_m"]) < 1.0


@pytest.mark.parametrize("variant", ["middle half", "first half"])
def test_the_part_that_a_crop_keeps_sees_what_it_shows(variant: str) -> None:
    kept = kept_part(CAMERA, variant)
    assert (kept.width_px, kept.height_px) == (320, 426)
    for point in changed_points(variant):
        assert kept.pixel_to_lonlat(point.x, point.y) == pytest.approx((point.lon, point.lat))
    # Half of the long side is left of the diagonal as well
    halved = reference_score(CAMERA, changed_points(variant), CAMERA, variant)["diagonal_km"]
    whole = reference_score(CAMERA, changed_points(""), CAMERA, "")["diagonal_km"]
    assert halved / whole == pytest.approx(np.hypot(320, 426) / np.hypot(640, 426), rel=0.01)


def test_the_page_counts_what_must_be_placed_and_names_what_is_wrong() -> None:
    """A right answer, a wrong one, and a photo that failed."""
    score = reference_score(CAMERA, changed_points(""), CAMERA, "")
    told = {"note": "", "variant": "", "any_category": False, "plain": True}
    spent = {"seconds_wall": 2.0, "seconds_cpu": 1.5, "peak_mb": 500.0}
    right = told | spent | result_columns(proposal()) | score
    (file, *_) = (one.file for one in read_reference_cameras().values() if one.must_be_placed)
    rows = [right | {"name": "first", "file": file}]
    rows += [right | {"name": "second", "file": "cities/none.jpg", "right": False}]
    rows += [told | spent | {"name": "third", "file": "x", "verdict": "failed", "problem": "lost"}]
    page = "\n".join(page_lines(rows, []))
    assert "Right and accepted: 1 of 1 (100 %, 20.7 to 100.0)" in page
    assert "wrong and accepted: second (aim: none)" in page
    assert "2 accepted, 1 failed" in page
    assert "| third |" in page
    assert page.count("| first |") == 1
