"""What the page asks and gets: frames, decisions, whatever the names and comments are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import regengine.review
from regengine.result import Reason
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import WORK, Browser, opened
from tests.regengine.review.sample import SAMPLES, truth_of

TYPES = Path(regengine.review.__file__).parent / "page" / "src" / "types.ts"
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe\x1b[31m'\"&"
POINT = {"x": 1, "y": 2, "lon": 190, "lat": 4, "sigma_px": None, "origin": "person"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evil = replace(
        nothing_found("evil"),
        frame=HOSTILE,
        path=f"photos/{HOSTILE}.jpg",
        camera_body=HOSTILE,
        reasons=(Reason(code="unreadable", text=HOSTILE),),
    )
    return write_store(
        tmp_path_factory.mktemp("api") / "run.h5",
        [proposal("ISS030-E-1", "review"), evil, proposal("ISS030-E-2")],
    )


@pytest.fixture
def browser(store: Path) -> Iterator[Browser]:
    with opened(store) as known:
        yield known
    for file in store.parent.glob("*.sqlite*"):
        file.unlink()


def keys_of(interface: str) -> set[str]:
    """Keys that the page expects, out of its own source."""
    text = TYPES.read_text(encoding="utf-8")
    found = re.search(rf"interface {interface}(?: extends (\w+))? {{\n(.*?)\n}}", text, re.S)
    assert found is not None
    own = set(re.findall(r"^  (\w+)\??:", found[2], re.M))
    return own | (keys_of(found[1]) if found[1] else set())


def decide(browser: Browser, number: int, choice: str, base: int = 0, **work: Any) -> Any:
    body = WORK | work | {"decision": choice, "base": base, "seconds": 1.5}
    answer = browser.put(f"/api/frames/{number}/decision", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_answers_have_the_keys_that_the_page_expects(browser: Browser) -> None:
    decide(browser, 0, "accepted", points=[POINT])
    queue = browser.get("/api/frames").json()
    frame = browser.get("/api/frames/0").json()
    assert set(browser.get("/api/session").json()) == keys_of("Session")
    assert set(browser.get("/api/facets").json()) == keys_of("Facets")
    assert [set(row) for row in queue["frames"]] == [keys_of("QueueRow")] * 3
    assert set(frame) == keys_of("Frame")
    assert set(frame["camera"]) == keys_of("Camera")
    assert set(frame["points"][0]) == keys_of("Point")
    assert set(frame["hypotheses"][1]) == keys_of("Hypothesis")
    assert set(frame["decisions"][0]) == keys_of("Decision") - {"given"}  # told by few
    assert set(WORK) == keys_of("Draft") - {"given"}


def test_a_frame_says_what_the_engine_said(browser: Browser) -> None:
    result, frame = proposal("ISS030-E-1", "review"), browser.get("/api/frames/0").json()
    assert result.solved is not None
    assert frame["camera"]["quaternion"] == list(result.solved.camera.quaternion)
    assert frame["camera"]["position_ecef_m"] == list(result.solved.camera.position_ecef_m)
    assert [(p["x"], p["lon"]) for p in frame["points"]] == [
        (point.x, point.lon) for point in result.control_points
    ]
    assert (frame["orientation"], frame["max_zoom"], frame["photo"]) == (6, 1, False)
    assert [each["rank"] for each in frame["hypotheses"]] == [0, 1]
    assert frame["reason_texts"] == [reason.text for reason in result.reasons]


def test_a_decision_shows_everywhere(browser: Browser) -> None:
    saved = decide(browser, 0, "accepted", points=[POINT], comment="two\nlines", tags=[" a  b "])
    assert (saved["conflict"], saved["others"]) == (None, [])
    (shown,) = browser.get("/api/frames?status=done").json()["frames"]
    assert (shown["id"], shown["decision"], shown["reviewers"]) == (0, "accepted", 1)
    assert browser.get("/api/facets").json()["tag"] == {"a b": 1}
    assert [row["id"] for row in browser.get("/api/frames?tag=a+b").json()["frames"]] == [0]
    (kept,) = browser.get("/api/frames/0").json()["decisions"]
    assert (kept["comment"], kept["reviewer"], kept["seconds"]) == ("two\nlines", "Ada", 1.5)
    assert kept["points"] == [POINT | {"lon": -170.0}]
    assert browser.get("/api/frames/0/history").json() == [kept]


def test_an_unseen_decision_of_the_same_person_is_a_conflict(browser: Browser) -> None:
    first = decide(browser, 0, "accepted")
    second = decide(browser, 0, "rejected")
    assert second["conflict"]["revision"] == first["revision"]
    assert decide(browser, 0, "unsure", base=second["revision"])["conflict"] is None
    kept = [one["decision"] for one in browser.get("/api/frames/0/history").json()]
    assert kept == ["unsure", "rejected", "accepted"]


def test_two_people_are_told_of_each_other(store: Path, browser: Browser) -> None:
    decide(browser, 2, "accepted")
    with opened(store, reviewer="Bo") as other:
        assert [f["id"] for f in other.get("/api/frames?status=second").json()["frames"]] == [2]
        saved = decide(other, 2, "rejected")
        assert [each["reviewer"] for each in saved["others"]] == ["Ada"]
        assert other.get("/api/frames?status=second").json()["total"] == 0
    (row,) = browser.get("/api/frames?status=disputed").json()["frames"]
    assert (row["id"], row["reviewers"], row["decision"]) == (2, 2, "rejected")
    stats = browser.get("/api/stats").json()
    assert (stats["disputed"], stats["agreement"]["compared"], stats["agreement"]["same"]) == (
        1,
        1,
        0,
    )


def test_unfinished_work_comes_back(store: Path, browser: Browser) -> None:
    draft = WORK | {"comment": "so far", "points": [POINT | {"lon": -170.0}]}
    assert browser.put("/api/frames/0/draft", json=draft).status_code == 200
    with opened(store) as after_a_crash:
        assert after_a_crash.get("/api/frames/0").json()["draft"] == draft
    with opened(store, reviewer="Bo") as other:
        assert other.get("/api/frames/0").json()["draft"] is None
    assert browser.ask("DELETE", "/api/frames/0/draft").status_code == 204
    assert browser.get("/api/frames/0").json()["draft"] is None
    browser.put("/api/frames/0/draft", json=draft)
    decide(browser, 0, "accepted")
    assert browser.get("/api/frames/0").json()["draft"] is None


def test_readonly_shows_and_refuses(store: Path, browser: Browser) -> None:
    decide(browser, 0, "accepted")
    body = WORK | {"decision": "rejected", "base": 0}
    with opened(store, readonly=True) as looking:
        assert looking.get("/api/session").json()["readonly"] is True
        assert looking.get("/api/frames?status=done").json()["total"] == 1
        for answer in (
            looking.put("/api/frames/0/decision", json=body),
            looking.put("/api/frames/0/draft", json=WORK),
            looking.ask("DELETE", "/api/frames/0/draft"),
        ):
            assert (answer.status_code, "looking only" in answer.json()["detail"]) == (403, True)
    assert len(browser.get("/api/frames/0/history").json()) == 1


def test_hostile_text_stays_text(browser: Browser) -> None:
    decide(browser, 1, "unsure", comment=HOSTILE, tags=[HOSTILE])
    for path in ("frames", "frames/1", "frames/1/history", "facets", "stats"):
        answer = browser.get(f"/api/{path}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "\x1b" not in answer.text
    frame = browser.get("/api/frames/1").json()
    assert frame["frame"] == HOSTILE.replace("\u202e", r"\u202e").replace("\x1b", r"\u001b")
    assert frame["decisions"][0]["comment"] == HOSTILE.replace("\x1b", "")
    # What turns the direction of writing is seen in names, and left to the page in comments
    assert "\u202e" not in frame["path"] + frame["camera_body"] + frame["reason_texts"][0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": [POINT | {"lat": 91}]},
        {"points": [POINT | {"x": "NaN"}]},
        {"points": [POINT] * 1001},
        {"quality": 6},
        {"comment": "x" * 10_001},
        {"tags": ["x"] * 33},
        {"camera": {"focal_px": -1}},
        {"decision": "perhaps"},
        {"surprise": 1},
    ],
)
def test_nonsense_is_refused_whole(browser: Browser, wrong: dict[str, Any]) -> None:
    body = WORK | {"decision": "accepted", "base": 0} | wrong
    answer = browser.put("/api/frames/0/decision", json=body)
    assert (answer.status_code, list(answer.json())) == (422, ["detail"])
    assert browser.get("/api/frames/0/history").json() == []


def test_a_store_that_grows_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regengine.review.frames.LOOK_AGAIN_S", 0.0)
    path = write_store(tmp_path / "run.h5", [proposal("ISS030-E-1")])
    with opened(path) as browser:
        decide(browser, 0, "accepted")
        (tmp_path / "more").mkdir()
        grown = [proposal("ISS030-E-1"), proposal("ISS030-E-2")]
        write_store(tmp_path / "more" / "run.h5", grown).replace(path)
        rows = browser.get("/api/frames?sort=name").json()["frames"]
        assert [row["frame"] for row in rows] == ["ISS030-E-1", "ISS030-E-2"]
        assert [row["decision"] for row in rows] == ["accepted", None]
        assert browser.get("/api/frames/1").json()["frame"] == "ISS030-E-2"


def test_what_is_filtered_is_accepted_together(browser: Browser) -> None:
    query = "frames?text=iss030&status=open&limit=0"
    told = browser.get(f"/api/{query}").json()
    assert told["progress"] == {"all": 2, "decided": 0, "acceptable": 2}
    address = "/api/frames/accept?text=iss030&status=open&count="
    stale = browser.post(f"{address}3", None)
    assert (stale.status_code, stale.json()["detail"][:12]) == (409, "there are 2 ")
    assert browser.post(f"{address}2", None).json() == {"accepted": 2}
    for number in (0, 2):
        frame = browser.get(f"/api/frames/{number}").json()
        (decision,) = frame["decisions"]
        assert (decision["decision"], decision["tags"]) == ("accepted", ["accepted unseen"])
        assert (decision["camera"], decision["points"]) == (frame["camera"], frame["points"])
    assert browser.get("/api/frames?tag=accepted%20unseen").json()["total"] == 2
    assert browser.get(f"/api/{query}").json()["progress"]["acceptable"] == 0


def test_nothing_is_accepted_where_one_only_looks(store: Path) -> None:
    with opened(store, readonly=True) as browser:
        assert browser.post("/api/frames/accept?count=2", None).status_code == 403
        shown = browser.put("/api/frames/0/shown?page=abcdefgh").json()
    assert shown == {"others": [], "decisions": []}
    assert not [*store.parent.glob("*.sqlite")]


def test_two_reviews_know_of_each_other(store: Path, browser: Browser) -> None:
    assert browser.put("/api/frames/0/shown?page=abcdefgh").json()["others"] == []
    with opened(store, reviewer="Bob") as other:
        assert other.put("/api/frames/0/shown?page=ijklmnop").json()["others"] == ["Ada"]
        decide(other, 0, "rejected")
    told = browser.put("/api/frames/0/shown?page=abcdefgh").json()
    assert told["others"] == ["Bob"]
    assert [each["reviewer"] for each in told["decisions"]] == ["Bob"]


def test_what_a_person_says_of_the_photo_is_kept(browser: Browser) -> None:
    nadir = {"lon": 190.0, "lat": 4.0, "altitude_km": 410.0}
    given = {"time_utc": "2012-03-28T15:46:41Z", "nadir": nadir, "focal_px": 2000.0}
    decide(browser, 0, "unsure", given=given)
    decide(browser, 1, "unsure")
    kept = browser.get("/api/frames/0").json()["decisions"][0]["given"]
    assert kept == given | {"nadir": nadir | {"lon": -170.0}}
    assert "given" not in browser.get("/api/frames/1").json()["decisions"][0]
    wrong = WORK | {"given": given | {"nadir": nadir | {"altitude_km": 1.0}}}
    assert browser.put("/api/frames/0/draft", json=wrong).status_code == 422


def test_a_time_tells_the_nadir(store: Path) -> None:
    with opened(store, tle=SAMPLES / "tle.txt") as browser:
        time_utc = truth_of("ISS990-E-000101")["time_utc"]
        told = browser.get(f"/api/nadir?time_utc={time_utc}").json()
        assert told["source"] == "tle"
        assert abs(told["lat"]) < 52.0
        assert len(told["track"]) == 61
        far = browser.get("/api/nadir?time_utc=1990-01-01")
        assert (far.status_code, "--" in far.json()["detail"]) == (422, False)
        assert browser.get("/api/nadir?time_utc=noon").status_code == 422
    with opened(store) as browser:
        assert "no element sets" in browser.get("/api/nadir?time_utc=2012").json()["detail"]
