"""The demonstration's judge: it must see a wrong answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import demo_truth
from regengine.result import ControlPoint, FrameResult

NAME = "ISS990-E-000106"  # the oblique: its upper corners are sky
TRUTH = json.loads((demo_truth.TRUTH / f"{NAME}.json").read_text())
DARK = "ISS990-E-000102"


def true_result(name: str = NAME, *, east_deg: float = 0.0) -> FrameResult:
    """A result whose points are the simulator's own reference places, all moved east."""
    points = tuple(
        ControlPoint(
            x=point["x"],
            y=point["y"],
            lon=point["lon"] + east_deg,
            lat=point["lat"],
            sigma_px=0.5,
            sigma_m=150.0,
            covariance_px=(0.25, 0.0, 0.25),
            covariance_m=(22500.0, 0.0, 22500.0),
            lights=5,
        )
        for point in TRUTH["reference_points"][:4]
    )
    return FrameResult(
        frame=name,
        path=f"data_samples/{name}.jpg",
        sha256="0" * 64,
        verdict="accepted",
        probability=0.999,
        reasons=(),
        control_points=points,
        footprint_diagonal_km=150.0,
    )


def test_points_elsewhere_are_wrong() -> None:
    # 0.03 degrees of longitude at 30 to 36 degrees north are 2.7 to 2.9 km, above 1.5 km.
    result = true_result(east_deg=0.03)
    found = demo_truth.compare(result, TRUTH)
    assert 2600.0 < min(found.errors_m) <= max(found.errors_m) < 3000.0
    assert demo_truth.verdict_on(result, TRUTH, found) == "wrong"


def test_a_point_in_the_sky_is_wrong() -> None:
    result = true_result()
    sky = replace(result.control_points[0], x=0.0, y=0.0)
    found = demo_truth.compare(replace(result, control_points=(sky,)), TRUTH)
    assert not found.right


def test_no_points_are_right_only_where_there_is_nothing() -> None:
    dark = json.loads((demo_truth.TRUTH / f"{DARK}.json").read_text())
    nothing = replace(true_result(), control_points=())
    assert demo_truth.verdict_on(nothing, TRUTH, demo_truth.compare(nothing, TRUTH)) == "missed"
    assert demo_truth.verdict_on(nothing, dark, None).startswith("right")


@pytest.mark.parametrize(("east_deg", "code"), [(0.0, 0), (0.03, 1)])
def test_an_accepted_wrong_answer_fails_the_demonstration(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    east_deg: float,
    code: int,
) -> None:
    (tmp_path / f"{NAME}.json").write_text(json.dumps(TRUTH))
    monkeypatch.setattr(demo_truth, "TRUTH", tmp_path)
    stored = SimpleNamespace(result=true_result(east_deg=east_deg))
    monkeypatch.setattr("regengine.store.snapshot.read_store", lambda path: [stored])
    assert demo_truth.main(["demo.h5", "overlays"]) == code
    assert f"overlays/{NAME}.overlay.png" in capsys.readouterr().out


def test_a_sample_that_was_not_registered_fails_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("regengine.store.snapshot.read_store", lambda path: [])
    assert demo_truth.main(["demo.h5", "overlays"]) == 1
    assert NAME in capsys.readouterr().err
