"""Decisions are kept whatever happens, and the right ones count."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regengine.errors import StoreError
from regengine.review.bodies import camera_json
from regengine.review.decisions import (
    Choice,
    Decision,
    Decisions,
    Judged,
    KeptSearch,
    decisions_path,
)
from regengine.review.reviewed import ReviewedPoint, reviewed, state_of
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import WORK

POINT = {"x": 1.0, "y": 2.0, "lon": 3.0, "lat": 4.0, "sigma_px": None, "origin": "person"}


def judged(number: int = 0, **other: Any) -> Judged:
    result = proposal(f"ISS030-E-{number}")
    sha256, points = state_of(result)
    known = Judged(
        frame_index=number, sha256=sha256, verdict="review", probability=0.5, proposal_sha256=points
    )
    return replace(known, **other)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.h5.review.sqlite"


def save(file: Path, about: Judged, who: str, choice: Choice, **work: Any) -> Decision:
    decisions = Decisions(file)
    saved, _ = decisions.save(about, who, choice, WORK | work)
    decisions.close()
    return saved


def test_a_decision_comes_back_as_it_was_saved(file: Path) -> None:
    work = WORK | {"comment": "Köln <b>'; DROP TABLE decisions;--", "tags": ["a"], "quality": 5}
    decisions = Decisions(file)
    saved, conflict = decisions.save(judged(), "Ada", "accepted", work, seconds=2.5)
    decisions.close()
    again = Decisions(file)
    assert again.heads(0, judged().sha256) == [saved]
    assert (saved.work, saved.seconds, saved.judged, conflict) == (work, 2.5, judged(), None)
    again.close()


def test_what_a_search_found_stays_with_the_photo(file: Path) -> None:
    search = KeptSearch(
        frame_index=3,
        sha256="ab",
        reviewer="Ada",
        seconds=4.5,
        verdict="no_match",
        probability=None,
        start={"focal_px": 1500.0, "principal_point": [1.0, 2.0]},
        found={"reasons": ["outside_map"], "camera": None},
    )
    decisions = Decisions(file)
    for verdict in ("no_match", "review"):
        decisions.keep_search(replace(search, verdict=verdict))
    decisions.close()
    again = Decisions(file, readonly=True)
    later, earlier = again.searches(3, "ab")
    assert replace(earlier, time_utc="") == search
    assert (later.verdict, later.time_utc >= earlier.time_utc > "2020") == ("review", True)
    assert again.searches(3, "another photo") == again.searches(4, "ab") == []
    again.close()
    other_hand = sqlite3.connect(file)
    with pytest.raises(sqlite3.IntegrityError, match="not changed"):
        other_hand.execute("UPDATE searches SET verdict = 'accepted'")
    other_hand.close()


def test_a_file_that_knows_no_searches_is_read_and_gets_them(file: Path) -> None:
    save(file, judged(), "Ada", "accepted")
    other_hand = sqlite3.connect(file)
    other_hand.executescript("DROP TABLE searches; DROP TABLE open_pages;")
    other_hand.close()
    old = Decisions(file, readonly=True)
    assert (old.searches(0, "ab"), old.shown_by(0, "one")) == ([], [])
    old.close()
    new = Decisions(file)
    new.show("one", 0, "Ada")
    assert (len(new.all_heads()), new.shown_by(0, "two")) == (1, ["Ada"])
    new.close()


def test_who_has_a_frame_before_them_is_told_for_a_while(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Decisions(file), Decisions(file)
    ours.show("one", 0, "Ada")
    theirs.show("two", 0, "Bob")
    theirs.show("three", 1, "Bob")
    assert (ours.shown_by(0, "one"), theirs.shown_by(0, "two")) == (["Bob"], ["Ada"])
    theirs.show("two", 1, "Bob")
    assert ours.shown_by(0, "one") == []
    assert ours.shown_by(1, "one") == ["Bob", "Bob"]
    monkeypatch.setattr("regengine.review.decisions.PRESENT_S", -1)
    assert ours.shown_by(1, "one") == []
    ours.close()
    theirs.close()


def test_frames_decided_together_are_decided_once(file: Path) -> None:
    decisions = Decisions(file)
    decisions.save(judged(1), "Bob", "rejected", WORK)
    decisions.keep_draft(2, judged(2).sha256, "Bob", WORK)
    assert decisions.drafted() == {2}
    frames = [(judged(number), WORK | {"tags": ["unseen"]}) for number in range(3)]
    assert decisions.save_together("Ada", "accepted", frames) == 2
    heads = {head.judged.frame_index: head for head in decisions.all_heads()}
    assert {n: (h.reviewer, h.decision) for n, h in heads.items()} == {
        0: ("Ada", "accepted"),
        1: ("Bob", "rejected"),
        2: ("Ada", "accepted"),
    }
    decisions.close()


def test_decisions_are_never_changed_or_deleted(file: Path) -> None:
    save(file, judged(), "Ada", "accepted")
    other_hand = sqlite3.connect(file)
    for command in ("UPDATE decisions SET decision = 'rejected'", "DELETE FROM decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="decisions are not"):
            other_hand.execute(command)
    other_hand.close()


def test_a_decision_whose_answer_was_lost_is_there_once_when_it_comes_again(file: Path) -> None:
    decisions = Decisions(file)
    first, _ = decisions.save(judged(), "Ada", "accepted", WORK, seconds=2.5)
    assert decisions.save(judged(), "Ada", "accepted", WORK, seconds=2.5) == (first, None)
    again, conflict = decisions.save(judged(), "Ada", "accepted", WORK, seconds=3.0)
    assert conflict == first  # another window's
    later, conflict = decisions.save(
        judged(), "Ada", "accepted", WORK, base=again.revision, seconds=3.0
    )
    assert (later.revision > again.revision, conflict) == (True, None)
    assert len(decisions.history(0, judged().sha256)) == 3
    decisions.close()


def test_what_was_saved_outlives_a_process_that_dies(file: Path) -> None:
    program = (
        "import os, pathlib; from regengine.review.decisions import Decisions, Judged\n"
        f"decisions = Decisions(pathlib.Path({str(file)!r}))\n"
        f"decisions.keep_draft(1, 'x', 'Ada', {WORK!r})\n"
        f"decisions.save({judged()!r}, 'Ada', 'accepted', {WORK!r})\n"
        "decisions._connection.execute('BEGIN IMMEDIATE')\n"
        "decisions._connection.execute('DELETE FROM drafts')\n"
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    decisions = Decisions(file)
    assert [head.decision for head in decisions.heads(0, judged().sha256)] == ["accepted"]
    assert decisions.draft(1, "x", "Ada") == WORK
    decisions.close()


def test_readonly_writes_nothing(file: Path) -> None:
    decisions = Decisions(file, readonly=True)
    assert (decisions.all_heads(), decisions.draft(0, "x", "Ada")) == ([], None)
    decisions.close()
    assert list(file.parent.iterdir()) == []
    save(file, judged(), "Ada", "accepted")
    decisions, before = Decisions(file, readonly=True), file.read_bytes()
    with pytest.raises(StoreError, match="nothing was saved"):
        decisions.save(judged(), "Ada", "rejected", WORK)
    assert len(decisions.diary()) == 1
    decisions.close()
    assert file.read_bytes() == before


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("kind", ["text", "stranger", "newer"])
def test_other_files_are_refused_and_left_alone(file: Path, kind: str, readonly: bool) -> None:
    if kind == "text":
        file.write_bytes(b"This is no database. " * 100)
    else:
        other = Decisions(file) if kind == "newer" else None
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE mine (x)" if other is None else "PRAGMA user_version = 99")
        connection.commit()
        connection.close()
        if other is not None:
            other.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"run\.h5\.review\.sqlite"):
        Decisions(file, readonly=readonly)
    assert file.read_bytes() == before


def test_a_full_disk_saves_nothing_and_says_so(file: Path) -> None:
    decisions = Decisions(file)
    decisions.save(judged(), "Ada", "accepted", WORK)
    pages = decisions._connection.execute("PRAGMA page_count").fetchone()[0]
    decisions._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="nothing was saved"):
        decisions.save(judged(1), "Ada", "rejected", WORK | {"comment": "x" * 200_000})
    decisions._connection.execute("PRAGMA max_page_count = 100000")
    decisions.save(judged(2), "Ada", "unsure", WORK)
    assert [head.decision for head in decisions.all_heads()] == ["unsure", "accepted"]
    decisions.close()


class TestReviewed:
    """What exports take."""

    def test_nothing_is_made_where_nobody_decided(self, tmp_path: Path) -> None:
        store = write_store(tmp_path / "run.h5", [proposal()])
        before = sorted(tmp_path.iterdir())
        assert reviewed(store) == {}
        assert sorted(tmp_path.iterdir()) == before

    def test_the_latest_counts(self, tmp_path: Path) -> None:
        store = write_store(tmp_path / "run.h5", [proposal(f"ISS030-E-{n}") for n in range(3)])
        camera = nadir_camera()
        file = decisions_path(store)
        save(file, judged(2), "Ada", "rejected")
        save(
            file,
            judged(2),
            "Bo",
            "accepted",
            points=[POINT],
            camera=camera_json(camera),
            comment="so",
        )
        save(file, judged(0), "Ada", "unsure", tags=["fog"], quality=1)
        found = reviewed(store)
        assert list(found) == [0, 2]
        assert (found[0].decision, found[0].tags, found[0].quality) == ("unsure", ("fog",), 1)
        assert (found[0].disputed, found[0].stale, found[0].camera) == (False, False, None)
        assert (found[2].decision, found[2].reviewer, found[2].comment) == ("accepted", "Bo", "so")
        assert found[2].camera == camera
        assert found[2].points == (ReviewedPoint(**POINT),)
        assert found[2].disputed

    def test_stale_is_what_the_engine_says_otherwise_by_now(self, tmp_path: Path) -> None:
        results = [proposal("ISS030-E-0"), proposal("ISS030-E-1")]
        file = decisions_path(write_store(tmp_path / "run.h5", results))
        for number in range(2):
            save(file, judged(number), "Ada", "accepted")
        moved = replace(results[1], control_points=results[1].control_points[::-1])
        again = tmp_path / "again"
        again.mkdir()
        write_store(again / "run.h5", [results[0], moved]).replace(tmp_path / "run.h5")
        found = reviewed(tmp_path / "run.h5")
        assert [found[number].stale for number in (0, 1)] == [False, True]

    def test_another_photo_under_the_number_has_no_decision(self, tmp_path: Path) -> None:
        store = write_store(tmp_path / "run.h5", [nothing_found(), proposal("ISS030-E-1")])
        save(decisions_path(store), judged(0), "Ada", "accepted")
        save(decisions_path(store), judged(7), "Ada", "accepted")
        assert reviewed(store) == {}
