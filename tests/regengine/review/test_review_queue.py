"""The queue: what a filter keeps, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regengine.result import FrameResult, Reason
from regengine.review.decisions import Decisions
from regengine.review.frames import FrameColumns, ReviewFrames
from regengine.review.queue import FramePlaces, Queue, QueueFilter, Standings
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import WORK
from tests.regengine.review.test_review_decisions import judged

DECIDED = {1: ("Ada",), 4: ("Ada", "Bo"), 6: ("Bo",)}
BODIES = ("NIKON D5", "", "NIKON Z 9")


def made_up(number: int) -> FrameResult:
    """Frames that differ in everything that is filtered by."""
    chance = np.random.default_rng(number)
    verdict = ("accepted", "review", "no_match", "failed")[number % 4]
    codes = ["low_margin", "few_lights", "not_a_night_city_frame"][: int(chance.integers(0, 4))]
    year = 2000 + int(chance.integers(0, 25))
    has_proposal = verdict in ("accepted", "review")
    return replace(
        proposal(f"ISS030-E-{number}") if has_proposal else nothing_found(f"ISS030-E-{number}"),
        verdict=verdict,  # type: ignore[arg-type]
        probability=float(chance.uniform()) if has_proposal else None,
        reasons=tuple(Reason(code=code, text=code) for code in codes),
        time_utc=None if number % 5 == 0 else f"{year}-06-0{1 + number % 9}T01:02:03Z",
        camera_body=BODIES[number % 3] or None,
        category=("cities", "aurora")[number % 2],
    )


RESULTS = [made_up(number) for number in range(40)]


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    folder = tmp_path_factory.mktemp("queue")
    frames = ReviewFrames(write_store(folder / "run.h5", RESULTS))
    decisions = Decisions(folder / "d.sqlite")
    for number, people in DECIDED.items():
        about = replace(judged(number), sha256=RESULTS[number].sha256)
        for choice, who in zip(("accepted", "rejected"), people, strict=False):
            work = WORK | {"tags": ["fog"] if who == "Bo" else []}
            decisions.save(about, who, choice, work)  # type: ignore[arg-type]
    other_photo = replace(judged(9), sha256="0" * 64)
    decisions.save(other_photo, "Ada", "accepted", WORK)
    standings = Standings(decisions, "Ada")
    standings.update(frames.rows)
    yield Queue(rows=frames.rows, standings=standings, places=FramePlaces())
    frames.close()
    decisions.close()


def keeps(number: int, wanted: QueueFilter) -> bool:
    """The filter as a sentence would say it, a frame at a time."""
    result, people = RESULTS[number], DECIDED.get(number, ())
    codes = {reason.code for reason in result.reasons}
    time = result.time_utc or ""
    return (
        (not wanted.verdict or result.verdict in wanted.verdict)
        and (not wanted.reason or bool(codes & set(wanted.reason)))
        and (not wanted.category or result.category in wanted.category)
        and (not wanted.camera or (result.camera_body or "") in wanted.camera)
        and (not wanted.date_from or time >= wanted.date_from)
        and (not wanted.date_to or ("" < time[: len(wanted.date_to)] <= wanted.date_to))
        and wanted.text.casefold() in f"{result.frame}\n{result.path}".casefold()
        and (not wanted.tag or (wanted.tag == "fog" and "Bo" in people))
        and {
            "all": True,
            "open": not people,
            "done": bool(people),
            "disputed": len(people) > 1,
            "second": bool(people) and "Ada" not in people,
        }[wanted.status]
    )


def some(*values: str) -> Any:
    return st.lists(st.sampled_from(values), max_size=2).map(tuple)


@settings(max_examples=60)
@given(
    wanted=st.builds(
        QueueFilter,
        verdict=some("accepted", "review", "no_match", "failed", "nonsense"),
        reason=some("low_margin", "few_lights", "low", "nonsense"),
        category=some("cities", "aurora"),
        camera=some("NIKON D5", "NIKON", "NIKON Z 9"),
        date_from=st.sampled_from(("", "2008", "2011-06-03", "2012-06-01T01:02:03Z")),
        date_to=st.sampled_from(("", "2020", "2015-06", "2019-06-04")),
        text=st.sampled_from(("", "iss030", "E-1", "PHOTOS/", "ß")),
        status=st.sampled_from(("all", "open", "done", "disputed", "second")),
        tag=st.sampled_from(("", "fog", "f")),
        sort=st.sampled_from(("doubt", "time", "name")),
    )
)
def test_a_filter_keeps_what_it_says(queue: Queue, wanted: QueueFilter) -> None:
    rows = queue.chosen(wanted).tolist()
    assert sorted(rows) == [n for n in range(len(RESULTS)) if keeps(n, wanted)]
    results = [RESULTS[row] for row in rows]
    if wanted.sort == "name":
        assert [r.frame for r in results] == sorted(r.frame for r in results)
    if wanted.sort == "time":
        known = [r.time_utc for r in results if r.time_utc]
        assert known == sorted(known)
        assert [r.time_utc for r in results[: len(known)]] == known


def test_the_most_doubtful_come_first(queue: Queue) -> None:
    rows = queue.chosen(QueueFilter())
    results = [RESULTS[row] for row in rows.tolist()]
    verdicts = [result.verdict for result in results]
    assert list(dict.fromkeys(verdicts)) == ["review", "accepted", "no_match", "failed"]
    for verdict in ("review", "accepted"):
        unsure = [
            abs(round(min(max(r.probability or 0.0, 0.005), 0.995), 2) - 0.5)
            for r in results
            if r.verdict == verdict and "not_a_night_city_frame" not in [c.code for c in r.reasons]
        ]
        assert unsure == sorted(unsure)
    none = ["not_a_night_city_frame" in [c.code for c in r.reasons] for r in results[20:30]]
    assert none == sorted(none)


def test_where_probabilities_read_alike_odds_lead_and_sigma_tell(tmp_path: Path) -> None:
    def sure(frame: str, odds: float, runner_up: float, sigma_m: float) -> FrameResult:
        made = proposal(frame, "review")
        assert made.fit is not None
        fit = replace(made.fit, log10_odds=odds, runner_up_log10_odds=runner_up)
        points = tuple(replace(point, sigma_m=sigma_m) for point in made.control_points)
        return replace(made, fit=fit, control_points=points, probability=0.9991 + odds * 1e-5)

    frames = ReviewFrames(
        write_store(
            tmp_path / "run.h5",
            [
                sure("leads far", 12.0, 1.0, 100.0),
                sure("leads little", 12.0, 8.0, 100.0),
                sure("precise", 14.0, 8.0, 100.0),
                sure("vague", 14.0, 8.0, 900.0),
                sure("few odds", 11.0, 5.0, 100.0),
            ],
        )
    )
    order = [frames.rows.text("frame", row) for row in frames.rows.by_doubt.tolist()]
    assert order == ["leads little", "few odds", "vague", "precise", "leads far"]
    frames.close()


def test_progress_counts_whoever_decided_and_what_may_be_accepted(queue: Queue) -> None:
    wanted = QueueFilter(verdict=("accepted", "no_match"), status="open")
    begun = replace(queue, drafted=frozenset({8}))
    assert begun.progress(wanted) == {"all": 20, "decided": 2, "acceptable": 8}
    assert begun.acceptable(wanted) == [0, 12, 16, 20, 24, 28, 32, 36]


def test_facets_count_every_frame(queue: Queue) -> None:
    told = queue.facets()
    assert told["verdict"] == dict.fromkeys(("accepted", "failed", "no_match", "review"), 10)
    for code in ("low_margin", "few_lights"):
        assert told["reason"][code] == sum(code in [r.code for r in f.reasons] for f in RESULTS)
    assert told["camera"] == {"NIKON D5": 14, "NIKON Z 9": 13}
    assert told["tag"] == {"fog": 2}
    times = sorted(result.time_utc for result in RESULTS if result.time_utc)
    assert (told["first_time"], told["last_time"]) == (times[0], times[-1])


def test_decisions_on_another_photo_do_not_count(queue: Queue) -> None:
    row = queue.line(9)
    assert (row["decision"], row["reviewers"]) == (None, 0)
    row = queue.line(4)
    assert (row["decision"], row["reviewers"], row["disputed"]) == ("rejected", 2, True)


@pytest.mark.parametrize(
    ("bbox", "kept"),
    [
        ((130.0, 30.0, 146.0, 46.0), [0]),
        ((170.0, -90.0, -170.0, 90.0), [1, 2]),
        ((-180.0, -90.0, 180.0, 90.0), [0, 1, 2, 3]),
        ((9.0, 49.0, 11.0, 51.0), [3]),
    ],
)
def test_boxes_cross_the_antimeridian(queue: Queue, bbox: Any, kept: list[int]) -> None:
    def column(*values: float) -> Any:
        return np.array([*values, *[np.nan] * (len(RESULTS) - len(values))])

    rows = replace(
        queue.rows,
        shown_lon=column(140.0, 179.0, -175.0),
        shown_lat=column(35.0, 0.0, 0.0),
        nadir_lon=column(0.0, 0.0, 0.0, 10.0),
        nadir_lat=column(0.0, 0.0, 0.0, 50.0),
    )
    found = replace(queue, rows=rows).chosen(QueueFilter(bbox=bbox))
    assert sorted(found.tolist()) == kept


def test_a_frame_whose_middle_is_sky_lies_amid_its_points(tmp_path: Path) -> None:
    result = made_up(1)
    assert result.solved is not None
    camera = replace(result.solved.camera, quaternion=(0.0, 0.0, 0.0, 1.0))  # to the pole star
    points = tuple(
        replace(point, lon=lon, lat=10.0)
        for point, lon in zip(result.control_points, (179.0, -179.0, 179.0, -179.0), strict=True)
    )
    solved = replace(result.solved, camera=camera)
    store = write_store(
        tmp_path / "run.h5", [replace(result, solved=solved, control_points=points), made_up(2)]
    )
    rows: FrameColumns = ReviewFrames(store).rows
    assert np.isnan(rows.centre_lon).all()
    assert abs(rows.shown_lon[0]) == pytest.approx(180.0)
    assert rows.shown_lat[0] == pytest.approx(10.0, abs=0.01)
    assert np.isnan(rows.shown_lon[1])
