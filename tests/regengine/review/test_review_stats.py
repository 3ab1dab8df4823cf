"""Statistics: counted by hand, agreement by its definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matchers.camera import Camera
from regengine.review.bodies import camera_json
from regengine.review.decisions import Decision, Decisions, decisions_path
from regengine.review.frames import ReviewFrames
from regengine.review.stats import apart_px, kappa, review_stats
from tests.command_line import invoke
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import WORK
from tests.regengine.review.test_review_decisions import POINT, judged


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = [proposal(f"ISS030-E-{n}", "review") for n in range(5)]
    path = write_store(tmp_path_factory.mktemp("stats") / "run.h5", [*results, nothing_found()])
    decisions = Decisions(decisions_path(path))

    def decide(number: int, who: str, choice: Any, seconds: float, **work: Any) -> None:
        about = replace(judged(number), sha256=[*results, nothing_found()][number].sha256)
        decisions.save(about, who, choice, WORK | work, seconds=seconds)

    engines = POINT | {"origin": "engine"}
    decide(0, "Ada", "accepted", 2.0, points=[engines], hypothesis=0, quality=4)
    decide(1, "Ada", "accepted", 30.0, points=[engines, POINT], hypothesis=0, tags=["fog"])
    decide(2, "Ada", "accepted", 9.0, points=[engines], hypothesis=1)
    decide(5, "Ada", "accepted", 90.0, points=[POINT], comment="from nothing")
    decide(3, "Ada", "rejected", 1.0)
    decide(3, "Ada", "unsure", 5.0)
    decide(0, "Bo", "accepted", 4.0, points=[engines], hypothesis=0)
    decide(3, "Bo", "rejected", 3.0)
    decisions.close()
    return path


def test_every_figure_is_counted(store: Path) -> None:
    frames = ReviewFrames(store)
    told = review_stats(store, frames.rows)
    frames.close()
    assert (told["frames"], told["decided"], told["open"]) == (6, 5, 1)
    assert told["decisions"] == {"accepted": 4, "rejected": 1, "unsure": 0}
    assert told["work"] == {"as_proposed": 1, "put_right": 2, "from_nothing": 1, "with_comment": 1}
    assert (told["disputed"], told["tags"], told["quality"]) == (1, {"fog": 1}, {})
    assert told["seconds"] == {"accepted": 19.5, "rejected": 3.0, "unsure": None}
    ada, bo = told["reviewers"]
    assert (ada["reviewer"], ada["decisions"], ada["frames"]) == ("Ada", 6, 5)
    assert (ada["median_seconds"], bo["median_seconds"]) == (7.0, 3.5)
    assert told["agreement"]["frames"] == 2
    (pair,) = told["agreement"]["pairs"]
    assert (pair["reviewers"], pair["compared"], pair["same"]) == (["Ada", "Bo"], 2, 1)


def test_the_command_prints_them(store: Path) -> None:
    found = invoke("review", str(store), "--stats")
    assert found.exit_code == 0
    assert "5 of 6 frames decided: 4 accepted, 1 rejected, 0 unsure" in found.stdout
    assert "Ada and Bo: 1 of 2 the same" in found.stdout


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], None),
        ([("a", "a")] * 5, None),
        ([("a", "a"), ("b", "b")], 1.0),
        ([("a", "b"), ("b", "a")], -1.0),
        # Cohen's own kind of table: 20, 5 / 10, 15 of 50: agreed 0.7, by chance 0.5
        ([("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15, 0.4),
    ],
)
def test_kappa_is_agreement_beyond_chance(
    pairs: list[tuple[str, str]], expected: float | None
) -> None:
    assert kappa(pairs) == expected


def test_two_placements_are_apart_by_what_one_was_moved() -> None:
    def placed(camera: Camera | None, choice: Any = "accepted") -> Decision:
        return Decision(
            revision=1,
            judged=judged(),
            reviewer="Ada",
            time_utc="2026-01-01T00:00:00Z",
            decision=choice,
            seconds=None,
            work=WORK | {"camera": None if camera is None else camera_json(camera)},
        )

    camera = replace(nadir_camera(), distortion=(0.0,) * 5)
    x, y = camera.principal_point
    moved = replace(camera, principal_point=(x + 3.0, y - 4.0))
    assert apart_px(placed(camera), placed(camera)) == pytest.approx(0.0, abs=1e-6)
    assert apart_px(placed(camera), placed(moved)) == pytest.approx(5.0, abs=1e-6)
    assert apart_px(placed(camera), placed(None)) is None
    assert apart_px(placed(camera), placed(moved, "rejected")) is None
