"""The review's server, asked as its page asks: who is let in, what is kept and worked out."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

import regengine
from regengine.errors import RegengineError
from tests.world.exports import decide, ecef_of, nadir_camera, proposal, seen_by, write_store
from tests.world.hand import camera_error_km, known_pairs
from tests.world.pages import (
    BASE,
    PORT,
    WORK,
    Client,
    ReviewProcess,
    copy_store,
    hold_frames,
    serve,
)
from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.samples import camera_of, sample_store, true_json, truth_of
from tests.world.tables import by_name

WRONG, RIGHT = 2, 3  # samples by number: turned away, and proposed as it is
FRAME, OF_RIGHT, OBLIQUE = "ISS990-E-000103", "ISS990-E-000104", "ISS990-E-000106"


def is_refused(answer: httpx.Response, status: int, says: str = "") -> bool:
    """Whether that is the status, and a sentence says why."""
    told = answer.json()
    said = says in told["detail"] and len(told["detail"]) > 8
    return answer.status_code == status and set(told) == {"detail"} and said


@pytest.fixture
def client(review_store: Path) -> Iterator[Client]:
    with serve(review_store) as client:
        yield client


@pytest.fixture(scope="module")
def refusing(store: Path, samples: Path, tmp_path_factory: Any) -> Iterator[dict[str, Client]]:
    """Reviews of the hand-made frames and of the samples with their map, for refusals alone."""
    folder = tmp_path_factory.mktemp("refusing")
    with (
        serve(copy_store(store, folder / "made")) as made,
        serve(copy_store(samples, folder / "samples"), lights=[LIGHTS], tle=[ELEMENTS]) as drawn,
        serve(copy_store(store, folder / "looked at"), readonly=True) as readonly,
    ):
        yield {"made": made, "samples": drawn, "readonly": readonly}


# Requests that are refused -----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A request that is answered by a status and a sentence, after which nothing is kept."""

    name: str
    ask: str
    status: int
    says: str = ""
    body: Any = None  # a text is sent as it is
    headers: dict[str, str] = field(default_factory=dict)
    of: str = "made"


UNSURE = WORK | {"decision": "unsure", "base": 0}
LOOKED = {"wrong": [], "doubtful": [], "seconds": 9.0}
POINT = {"x": 1, "y": 1, "lon": 0, "lat": 9, "sigma_px": None, "origin": "person"}
DECIDE, DRAFT = "PUT /api/frames/0/decision", "PUT /api/frames/0/draft"
FOREIGN: tuple[tuple[dict[str, str], int], ...] = (
    ({"host": f"evil.example:{PORT}"}, 421),  # a stranger's name that has come to point here
    ({"host": f"127.0.0.1.evil:{PORT}"}, 421),
    ({"origin": "http://evil.example"}, 403),
    ({"origin": f"http://localhost:{PORT}"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),  # another port of this machine
    ({"content-type": "text/plain"}, 422),  # what a foreign form can send
)
PATHS = (
    "/../app.py", "/%2e%2e/%2e%2e/context.py", "/..%5c..%5cpyproject.toml", "/%2fetc%2fpasswd",
    "/api/frames/0/..%2f..%2fphoto.jpg",
)  # fmt: skip
NONSENSE: dict[str, Any] = {
    "latitude": {"points": [POINT | {"lat": 91}]},
    **{f"sigma {s}": {"points": [POINT | {"sigma_px": s}]} for s in (-1.0, 0.0, 1e-300, 1e308)},
    "longitude": {"points": [POINT | {"lon": 400.0}]},
    "quality": {"quality": 9},
    "comment": {"comment": "x" * 10_001},
    "base": {"base": 10**20},
    "not finite": {"seconds": float("nan")},
}
GIVEN: dict[str, Any] = {
    "before the Station": {"time_utc": "1990-01-01 12:00:00"},
    "short lens": {"focal_px": 1.0},
    "far north": {"nadir": {"lon": 0.0, "lat": 80.0, "altitude_km": 410.0}},
}
OUTSIDE = {"left": (-0.6, 10.0), "below": (10.0, 480.0)}
JSON = {"content-type": "application/json"}
REFUSED = (
    *(Refused(name=f"foreign {headers}", ask=DECIDE, body=UNSURE, headers=headers, status=status)
      for headers, status in FOREIGN),
    *(Refused(name=path, ask=f"GET {path}", status=404) for path in PATHS),
    *(Refused(name=f"{name} of nonsense", ask=DECIDE, status=422, body=UNSURE | changed)
      for name, changed in NONSENSE.items()),
    Refused(name="deep", ask=DECIDE, status=400, body="[" * 5000),
    Refused(name="no JSON", ask=DECIDE, status=422, body="\x00"),
    *(Refused(name=f"{name} in a draft", ask=DRAFT, status=422, body=WORK | {"given": given})
      for name, given in GIVEN.items()),
    *(Refused(name=f"{name} in {ask}", ask=ask, status=422, says="outside the photo",
              body=body | {"points": [POINT | {"x": x, "y": y}]})
      for name, (x, y) in OUTSIDE.items() for ask, body in ((DRAFT, WORK), (DECIDE, UNSURE))),
    *(Refused(name=path, ask=f"GET /api/{path}", status=404, of="samples")
      for path in ("frames/99", "frames/99/photo.jpg", "maps/lights/3/8/0.png")),
    *(Refused(name=f"{decision} for one frame", ask=DECIDE, status=422,
              body=UNSURE | {"decision": decision}) for decision in ("glanced", "confirmed")),
    *(Refused(name=f"{ask} of a sheet that is none", ask=ask, status=404, of="samples", body=body)
      for ask, body in (("GET /api/sheets/0a/0/map.jpg", None), ("POST /api/sheets/0a", LOOKED))),
    Refused(name="a sheet of thousands", ask="POST /api/sheets?count=5000", status=422),
    Refused(name="a sheet for lookers", ask="POST /api/sheets/0a", body=LOOKED, status=403,
            of="readonly"),
    Refused(name="box", ask="GET /api/frames?bbox=0,9,0,8", status=422, says="west"),
    Refused(name="search without a map", ask="POST /api/frames/8/search", status=422,
            body={"camera": true_json(OF_RIGHT)}, says="night-light map"),
    Refused(name="nadir at noon", ask="GET /api/nadir?time_utc=noon", status=422, of="samples"),
    Refused(name="nadir without elements", ask="GET /api/nadir?time_utc=2014-02-04T12:00:00Z",
            status=422, says="element sets"),
    *(Refused(name=f"{ask} for lookers", ask=ask, body=body, status=403, of="readonly")
      for ask, body in ((DECIDE, UNSURE), (DRAFT, WORK), ("DELETE /api/frames/0/draft", None))),
    Refused(name="no points to compare", ask=f"POST /api/frames/{RIGHT}/evidence", status=422,
            of="samples", body={"camera": true_json(OF_RIGHT), "points": []}),
)  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=by_name)
def test_a_request_is_refused_in_a_sentence_and_changes_nothing(
    refusing: dict[str, Client], row: Refused
) -> None:
    client, (method, path) = refusing[row.of], row.ask.split(" ", 1)
    content = row.body if isinstance(row.body, str | None) else json.dumps(row.body)
    answer = client.ask(method, path, content=content, headers=JSON | row.headers)
    assert is_refused(answer, row.status, row.says), (answer.status_code, answer.text)
    assert client.told("frames/0/history") == []
    assert client.told("frames/0")["draft"] is None


WRONG_CAMERAS: dict[str, dict[str, Any]] = {
    "of a smaller copy": {  # of the photo of 1600 x 1065 pixels
        "width_px": 800,
        "height_px": 532,
        "focal_px": true_json(OF_RIGHT)["focal_px"] / 2.0,
        "principal_point": [399.5, 265.5],
    },
    "too short": {"focal_px": 1.0},
    "no rotation": {"quaternion": [0.0, 0.0, 0.0, 0.0]},
    "on the ground": {"position_ecef_m": [6378137.0, 0.0, 0.0]},
}


@pytest.mark.parametrize("wrong", WRONG_CAMERAS)
def test_a_camera_that_cannot_have_taken_the_photo_is_refused_everywhere(
    refusing: dict[str, Client], wrong: str
) -> None:
    client, frame = refusing["samples"], f"/api/frames/{RIGHT}"
    told = client.told(f"frames/{RIGHT}")
    camera, points = told["camera"] | WRONG_CAMERAS[wrong], told["points"]
    held = [point | {"origin": "person", "by_hand": True} for point in points]
    work = WORK | {"camera": camera, "points": held}
    for ask, body in {
        f"PUT {frame}/draft": work,
        f"PUT {frame}/decision": work | {"decision": "accepted", "base": 0},
        f"PUT {frame}/decision#": work | {"decision": "unsure", "base": 0},
        f"POST {frame}/solve": {"points": held, "start": camera},
        f"POST {frame}/snap": {"camera": camera, "point": points[0], "moves": "photo"},
        f"POST {frame}/evidence": {"camera": camera, "points": points},
        f"POST {frame}/marks": {"camera": camera},
        f"POST {frame}/search": {"camera": camera},
    }.items():
        assert is_refused(client.ask(*ask.rstrip("#").split(), json=body), 422), ask
    assert client.told(f"frames/{RIGHT}/history") == []
    assert client.told(f"frames/{RIGHT}")["draft"] is None


# Who is let in -----------------------------------------------------------------------------------


def test_only_the_printed_address_lets_in(review_store: Path) -> None:
    with serve(review_store, admitted=False) as client:
        for path in ("/", "/app.js", "/api/session", "/api/frames/0", "/?token=guess", "/?token="):
            assert is_refused(client.ask("GET", path), 401)
        answer = client.ask("GET", f"/?token={client.token}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert client.token not in answer.headers["set-cookie"]
        assert client.ask("GET", "/").headers["content-type"].startswith("text/html")
        own = {"origin": BASE, "sec-fetch-site": "same-origin"}
        assert client.ask("GET", "/api/session", headers=own).status_code == 200
        kept = client.cookies
    with serve(review_store, admitted=False) as other:
        assert other.token != client.token
        other.cookies = kept
        assert is_refused(other.ask("GET", "/api/session"), 401)
        # The token of the started browser works once
        assert other.ask("GET", f"/?token={other.once}").status_code == 303
        assert is_refused(other.ask("GET", f"/?token={other.once}"), 401)


def test_long_requests_are_not_read(refusing: dict[str, Client]) -> None:
    async def pieces() -> Any:
        for _ in range(1000):
            yield b" " * 1024

    answer = refusing["made"].ask("PUT", "/api/frames/0/draft", content=pieces(), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/", "/api/session", "/nothing"])
def test_every_answer_forbids_framing_and_foreign_scripts(review_store: Path, path: str) -> None:
    layer = "Streets | https://tiles.example.org/{z}/{x}/{y}.png | them"
    with serve(review_store, layers=[layer]) as client:
        headers = client.ask("GET", path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("http") == policy.count("https://tiles.example.org") == 2
    expected = {"x-frame-options": "DENY", "x-content-type-options": "nosniff"}
    expected |= {"cross-origin-opener-policy": "same-origin"}
    assert {name: headers[name] for name in expected} == expected
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] == ("no-store" if "/api" in path else "no-cache")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "999.999.1.1"), "cannot listen on 999.999.1.1, port"),
        (("--reviewer", " "), "--reviewer"),
        (("--layer", "Streets | ftp://x/{z}/{x}/{y}"), "--layer"),
    ],
)
def test_a_review_that_cannot_begin_says_why(
    review_store: Path, words: tuple[str, ...], said: str
) -> None:
    answer = run("review", review_store, "--no-browser", *words)
    assert (answer.code, said in answer.err, answer.err.count("\n")) == (2, True, 1)


# The queue ---------------------------------------------------------------------------------------

FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "verdict=review&verdict=failed": lambda row: row["verdict"] in ("review", "failed"),
    "reason=low_margin": lambda row: "low_margin" in row["reasons"],
    "id=3&id=9": lambda row: row["id"] in (3, 9),
    "text=japan": lambda row: "Japan" in (row["place"] or ""),
    "date_from=2012-03-28T17&date_to=2012-03-28T18": lambda row: (
        "2012-03-28T17" <= (row["time_utc"] or "") <= "2012-03-28T18:59:59Z"
    ),
}


def test_a_filter_keeps_what_says_so_and_facets_count_it(client: Client) -> None:
    """Those of what was decided: `tests.state.test_machines`."""
    everything = client.told("frames?limit=100")["frames"]
    assert len(everything) == 40
    for query, says_so in FILTERS.items():
        found = client.told(f"frames?limit=100&{query}")
        expected = {row["id"] for row in everything if says_so(row)}
        assert {row["id"] for row in found["frames"]} == expected, query
        assert found["total"] == len(expected) > 0, query
    facets = client.told("facets")
    for name in ("verdict", "reason", "category", "camera"):
        for value, count in facets[name].items():
            query = httpx.QueryParams({name: value, "limit": 0})
            assert client.told(f"frames?{query}")["total"] == count
    pages = [client.told(f"frames?offset={k}&limit=15")["frames"] for k in (0, 15, 30)]
    assert [row["id"] for page in pages for row in page] == [row["id"] for row in everything]
    # Boxes cross the antimeridian
    seen = client.told("frames?limit=100&bbox=170,-90,-170,90")["frames"]
    assert {row["frame"] for row in seen} >= {
        row["frame"] for row in everything if row["frame"].startswith("ISS055")
    }


def test_names_and_texts_command_no_terminal_and_no_page(client: Client) -> None:
    client.decide(39, "unsure", comment="ESC\x1b[31m <b>", tags=["<i>"])
    for path in ("frames?limit=100", "frames/39", "frames/39/history", "facets"):
        answer = client.ask("GET", f"/api/{path}")
        assert answer.headers["content-type"] == "application/json"
        assert "\x1b" not in answer.text
    frame = client.told("frames/39")
    assert "\x1b" not in frame["frame"] + frame["category"] + frame["camera_body"]
    assert frame["decisions"][0]["comment"] == "ESC[31m <b>"
    assert "\u202e" not in json.dumps(client.told("frames/35"), ensure_ascii=False)


def test_a_store_that_a_run_adds_to_is_seen(
    sample_review: Path, review_store: Path, monkeypatch: Any
) -> None:
    with serve(sample_review) as client:
        client.decide(0, "unsure")
        os.replace(review_store, sample_review)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 60.0)
        rows = client.told("frames?limit=100&sort=name")["frames"]
        # Frame 0 is another photo by now: the decision is not about it
        assert (len(rows), {row["decision"] for row in rows}) == (40, {None})


# What is decided ---------------------------------------------------------------------------------


def test_a_decision_shows_everywhere_and_is_exported(client: Client, review_store: Path) -> None:
    saved = client.accept(8, comment="two\nlines", tags=[" a  b "], quality=4)
    assert saved.status_code == 200, saved.text
    assert (saved.json()["conflict"], saved.json()["others"]) == (None, [])
    (row,) = client.told("frames?status=done")["frames"]
    assert (row["id"], row["decision"], row["reviewers"]) == (8, "accepted", 1)
    assert client.told("facets")["tag"] == {"a b": 1}
    frame = client.told("frames/8")
    (kept,) = frame["decisions"]
    assert (kept["comment"], kept["reviewer"], kept["seconds"]) == ("two\nlines", "Ada", 1.5)
    assert (kept["camera"], kept["points"]) == (frame["camera"], frame["points"])
    assert client.told("frames/8/history") == [kept]
    assert exported(review_store) == [frame["frame"]] * 4


def test_an_older_tab_replaces_no_newer_unfinished_work(client: Client) -> None:
    address = "/api/frames/8/draft"

    def keep(comment: str, **seen: Any) -> int:
        body = WORK | {"comment": comment} | seen
        return client.ask("PUT", address, json=body).status_code

    def kept() -> str:
        return client.told("frames/8")["draft"]["comment"]  # type: ignore[no-any-return]

    # Both tabs have loaded the frame before either kept anything
    assert (keep("A", tab="a"), keep("A 2", tab="a"), keep("A 2", tab="b")) == (200, 200, 200)
    assert is_refused(client.ask("PUT", address, json=WORK | {"tab": "c"}), 409, "another tab")
    assert is_refused(client.ask("PUT", address, json=WORK), 409)
    assert is_refused(client.ask("DELETE", f"{address}?tab=c"), 409)
    assert kept() == "A 2"
    # One that has loaded what there is goes on with it; then the first is the older one
    version = client.told("frames/8")["draft_version"]
    assert (keep("B", tab="c", draft=version), keep("A 3", tab="a"), kept()) == (200, 409, "B")
    # A decision takes its own unfinished work with it, and says if another tab's is kept
    told = client.decide(8, "unsure", tab="a").json()
    assert (told["draft_kept"], kept()) == (True, "B")
    told = client.decide(8, "rejected", base=told["revision"], tab="c").json()
    assert (told["draft_kept"], client.told("frames/8")["draft"]) == (False, None)


@pytest.mark.parametrize(
    ("point", "more", "why"),
    [
        ({"sigma_px": -1.0}, {}, "sigma_px -1"),
        ({"sigma_px": 1e308}, {}, "sigma_px 1e+308"),
        ({"lat": 95.0}, {}, "not on Earth"),
        ({"x": float("nan")}, {}, "outside the photo"),
        ({}, {"quality": 9}, "quality is 9"),
    ],
)
def test_what_is_stored_opens_and_is_shown_as_bad_until_it_is_decided_again(
    client: Client, review_store: Path, point: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    """Of an earlier version, or another program."""
    frame = client.told("frames/8")
    done = WORK | {"camera": frame["camera"], "points": frame["points"]} | more
    done["points"][1] |= point
    result = regengine.open_store(review_store)[frame["frame"]].result
    decide(review_store, 8, result, "accepted", done, "Ada")
    (decision,) = client.told("frames/8")["decisions"]
    assert why in decision["problem"]
    assert decision["independent"] is False
    work = {name: decision[name] for name in WORK}
    assert client.ask("PUT", "/api/frames/8/draft", json=work).status_code == 200
    body = {"points": work["points"], "camera": work["camera"]}
    assert client.post("frames/8/points", body).status_code == 200
    assert len(exported(review_store)) == len(work["points"])
    assert run("verify", review_store).code == 1
    assert client.decide(8, "unsure", **work, base=decision["revision"]).status_code == 200
    assert client.told("frames/8")["decisions"][0]["problem"] is None
    assert run("verify", review_store).code == 0


def exported(store: Path) -> list[str]:
    """Frames of the points that people accepted, a row a point."""
    out = store.parent / "out.csv"
    words = ("--format", "csv", "--out", out, "--reviewed", "--force")
    assert run("export", store, *words).code == 0
    return [line.split(",")[1] for line in out.read_text(encoding="utf-8").splitlines()[1:]]


def test_a_sheet_is_glanced_at_which_is_no_confirmation(
    sample_client: Client, sample_review: Path
) -> None:
    client = sample_client
    sheet = client.post("sheets?count=12", None).json()
    assert {tile["verdict"] for tile in sheet["tiles"]} == {"accepted", "review"}
    frames = [tile["frame"] for tile in sheet["tiles"]]
    assert (sheet["left"], sorted(frames)) == (4, [0, WRONG, RIGHT, 5])
    assert is_refused(client.post(f"sheets/{sheet['sheet']}", LOOKED), 422, "4 pictures")
    assert is_refused(client.ask("GET", f"/api/sheets/{sheet['sheet']}/4/photo.jpg"), 404)
    for layer in ("photo", "map"):
        answer = client.ask("GET", f"/api/sheets/{sheet['sheet']}/0/{layer}.jpg")
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (picture.format, max(picture.size)) == ("JPEG", 480)
    again, answer = client.look_through(12, [frames.index(WRONG)], [frames.index(5)])
    assert [tile["frame"] for tile in again["tiles"]] == frames
    assert answer["kept"] == {"glanced": 2, "rejected": 1, "unsure": 1}
    # What was marked comes first in the queue, and is still to be decided
    rows = client.told("frames?status=open")["frames"]
    assert [(row["id"], row["decision"], row["marked"]) for row in rows[:2]] == [
        (5, None, "unsure"), (WRONG, None, "rejected")
    ]  # fmt: skip
    assert client.told("frames?status=sheet")["total"] == 0
    (kept,) = client.told("frames/0/history")
    assert (kept["decision"], kept["reviewer"], kept["sheet"]) == ("glanced", "Ada", again["sheet"])
    # A glance is none of the accepted, changes no verdict, and gives way to a decision
    assert exported(sample_review) == []
    assert client.accept(RIGHT).status_code == 200
    with serve(sample_review, lights=[LIGHTS], reviewer="Bo") as other:
        assert other.decide(0, "rejected").status_code == 200
        rows = {row["id"]: row for row in other.told("frames?status=done")["frames"]}
    assert [(row["decision"], row["disputed"]) for _, row in sorted(rows.items())] == [
        ("rejected", True), (None, False), ("accepted", False), (None, False)
    ]  # fmt: skip
    shown = {one["frame"]: one for one in run("show", sample_review, "--json").records}
    said = {name: one["decision"]["decision"] for name, one in shown.items() if "decision" in one}
    assert sorted(said.values()) == ["accepted", "rejected", "rejected", "unsure"]
    assert len(exported(sample_review)) == 4


def test_wrong_cameras_are_among_thirty_and_nothing_is_kept_of_them(tmp_path: Path) -> None:
    copies = [(OF_RIGHT, f"copy {number}") for number in range(34)]
    store = sample_store(tmp_path / "store", copies)
    with serve(store, lights=[LIGHTS]) as client:
        sheet, answer = client.look_through(30)
        (missed,) = answer["missed"]
        assert answer["checks"] == {"found": 0, "shown": 1}
        assert (answer["kept"]["glanced"], answer["hidden"]) == (29, 0.0)
        assert len({frozenset(tile) for tile in sheet["tiles"]}) == 1
        frame = sheet["tiles"][missed]["frame"]
        assert frame not in [row["id"] for row in client.told("frames?status=done")["frames"]]
        assert client.told(f"frames/{frame}/history") == []
    with serve(store, lights=[LIGHTS], checks=False) as client:
        assert client.look_through(30)[1]["checks"] == {"found": 0, "shown": 0}


def test_a_sheet_waits_for_no_frame_of_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sample_store(tmp_path / "store", [(OF_RIGHT, f"copy {n:02}") for n in range(24)])
    may_read = hold_frames(monkeypatch, 12)
    with serve(store, lights=[LIGHTS], checks=False, sheet=True) as client:
        sheet = client.post("sheets?count=12", None).json()
        assert [tile["frame"] for tile in sheet["tiles"]] == [*range(12)]
        assert client.ask("GET", f"/api/sheets/{sheet['sheet']}/11/map.jpg").is_success
        may_read.set()
        assert len(client.look_through(24)[0]["tiles"]) == 24


@pytest.mark.parametrize(("version", "by"), [(1, "an older"), (3, "a newer")])
def test_decisions_of_another_format_are_refused_and_left_untouched(
    review_store: Path, version: int, by: str
) -> None:
    file = Path(f"{review_store}.review.sqlite")
    decide(review_store, 8, proposal("ISS030-E-8"), "unsure", WORK, "Ada")
    with closing(sqlite3.connect(file)) as other:
        other.execute(f"PRAGMA user_version = {version}")
        other.execute("PRAGMA journal_mode = DELETE")
    before = file.read_bytes()
    for command, code in (("show", 3), ("review", 3), ("verify", 1)):
        said = run(command, review_store, *(("--no-browser",) if command == "review" else ()))
        assert said.code == code
        assert f"written by {by} regengine (format version {version}, this one reads 2 alone)" in (
            said.err + said.out
        )
    assert file.read_bytes() == before


def test_a_glance_ends_with_its_proposal(sample_review: Path, samples: Path) -> None:
    with serve(sample_review, lights=[LIGHTS]) as client:
        client.accept(RIGHT)
        assert client.look_through(12)[1]["kept"]["glanced"] == 3
    decided = [one for one in run("show", sample_review, "--json").records if "decision" in one]
    assert len(decided) == 4
    # Another proposal of the same photo was seen by nobody
    with h5py.File(sample_review, "r+") as changed:
        changed["control_points/x"][...] += 1.0
    decided = [one for one in run("show", sample_review, "--json").records if "decision" in one]
    assert [one["decision"]["decision"] for one in decided] == ["accepted"]
    with serve(sample_review, lights=[LIGHTS]) as client:
        assert client.told("frames?status=sheet")["total"] == 3
        assert client.look_through(12)[1]["kept"]["glanced"] == 3


def turned_away(told: dict[str, Any], by_px: float) -> dict[str, Any]:
    """The proposal's camera turned so that all is that far off."""
    turn = Rotation.from_euler("y", by_px / told["camera"]["focal_px"])
    turned = (Rotation.from_quat(told["camera"]["quaternion"]) * turn).as_quat().tolist()
    return told["camera"] | {"quaternion": turned}


def followers(camera: dict[str, Any], points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same pixels at the places where a camera has them, as if a person stood behind them."""
    lon, lat = camera_of(camera).pixel_to_lonlat(*([p[name] for p in points] for name in "xy"))
    places = zip(points, lon.tolist(), lat.tolist(), strict=True)
    return [point | {"lon": x, "lat": y, "origin": "person"} for point, x, y in places]


@dataclass(frozen=True)
class Accepting:
    """A camera and points with which frame 8 is accepted, or a part of why it is not.

    Of points that the engine measured: ``e`` as they are, ``c`` confirmed, ``p`` placed by hand. Of
    the same pixels where the turned camera has them: ``f`` as a person's, ``k`` confirmed, ``h`` by
    hand, ``s`` snapped. ``+`` appends what is changed besides.
    """

    name: str
    camera: str  # proposed, own, turned, solved (from the points), none
    points: str
    says: str = ""  # empty: it is accepted
    by_px: float = 15.0


FOUR = "needs a camera and four confirmed points"
AGAINST = "contradict those measured"
ACCEPTING = (
    Accepting("two of four", "own", "p0 p1 e2 e3", "2 of 4 points confirmed"),
    Accepting("the engine's points", "own", "e0 e1 e2 e3", "0 of 4 points confirmed"),
    Accepting("no camera", "none", "e0 e1 e2 e3", FOUR),
    Accepting("as proposed", "proposed", "e0 e1 e2 e3"),
    Accepting("four placed", "own", "p0 p1 p2 p3"),
    Accepting("four confirmed", "solved", "c0 c1 c2 c3"),
    Accepting("followers", "turned", "f0 f1 f2 f3", FOUR),
    Accepting("confirmed followers", "turned", "k0 k1 k2 k3", FOUR),
    Accepting("a drag and its followers", "turned", "h0 f1 f2 f3", FOUR),
    Accepting("all dragged", "turned", "h0 h1 h2 h3"),
    Accepting("another camera for right points", "turned", "c0 c1 c2 c3", AGAINST),
    Accepting("dragged against the others", "solved", "h0 c1 c2 c3", AGAINST),
    Accepting("snapped against the others", "solved", "s0 c1 c2 c3", AGAINST),
    Accepting("snapped a little", "solved", "s0 c1 c2 c3", by_px=1.0),
    Accepting("three and a wrong one off", "solved", "h0+off c0 c1 c2", "3 of 3 points confirmed"),
    Accepting("four and a wrong one off", "solved", "h0+off c0 c1 c2 c3"),
    Accepting("far away", "own", "p0+far p1+far p2+far p3+far", "out of sight where"),
    Accepting("a search's", "own", "p0+found p1+found p2+found p3+found"),
    Accepting("a fifth far away", "own", "p0 p1 p2 p3 p0+far", AGAINST),
)  # fmt: skip
KINDS = {"e": "engine", "c": "confirmed", "p": "person", "f": "person", "k": "confirmed",
         "h": "person", "s": "snap"}  # fmt: skip


def points_of(row: Accepting, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The points of a row, as a page sends them."""
    follow, found = followers(turned_away(told, row.by_px), told["points"]), []
    for word in row.points.split():
        kind, number, changes = word[0], int(word[1]), word.split("+")[1:]
        point = (told["points"] if kind in "ecp" else follow)[number] | {"origin": KINDS[kind]}
        if kind in "ph":
            point["by_hand"] = True
        if kind in "fk":
            point["sigma_px"] = None
        if "far" in changes:
            point["lon"] += 40.0
        if "found" in changes:
            point["origin"] = "search"
        if "off" in changes:
            point["off"] = True
        found.append(point)
    return found


@pytest.mark.parametrize("row", ACCEPTING, ids=by_name)
def test_what_is_accepted_and_what_is_not(client: Client, row: Accepting) -> None:
    told = client.told("frames/8")
    points = points_of(row, told)
    own = told["camera"] | {"focal_px": told["camera"]["focal_px"] + 1.0}
    cameras = {"proposed": told["camera"], "own": own, "none": None}
    cameras["turned"] = turned_away(told, row.by_px)
    if row.camera == "solved":
        used = [point for point in points if not point.get("off")]
        body = {"points": used, "start": told["camera"]}
        cameras["solved"] = client.post("frames/8/solve", body).json()["camera"]
        assert (used == points) or is_refused(
            client.post("frames/8/solve", body | {"points": points}), 422, "switched off"
        )
    work = {"camera": cameras[row.camera], "points": points}
    answer = client.decide(8, "accepted", **work)
    if row.says:
        assert is_refused(answer, 422, row.says), answer.text
        assert client.told("frames/8/history") == []
        assert client.decide(8, "rejected", **work).status_code == 200
    else:
        assert answer.status_code == 200, answer.text
        (kept,) = client.told("frames/8/history")
        assert (kept["points"], kept["camera"]) == (points, work["camera"])
        assert kept["independent"]


def test_points_that_are_switched_off_are_not_exported(client: Client, review_store: Path) -> None:
    told = client.told("frames/8")
    aside = told["points"][0] | {"origin": "person", "by_hand": True, "off": True, "lon": 9.0}
    points = [aside, *(point | {"origin": "confirmed"} for point in told["points"])]
    assert client.decide(8, "accepted", camera=told["camera"], points=points).status_code == 200
    assert len(exported(review_store)) == 4
    # QGIS counts from the upper left corner of the first pixel, downwards as negative
    answer = client.post("frames/8/points", {"points": points, "camera": told["camera"]}).json()
    assert answer["name"].endswith(".points")
    rows = [row.split(",") for row in answer["text"].splitlines()[2:]]
    assert [row[4] for row in rows] == [*"01111"]
    for row, point in zip(rows, points, strict=True):
        assert [float(row[k]) for k in (0, 1)] == pytest.approx([point["lon"], point["lat"]])
        assert (float(row[2]), float(row[3])) == (point["x"] + 0.5, -(point["y"] + 0.5))


def test_a_proposal_as_it_is_has_its_own_points(sample_client: Client) -> None:
    told = sample_client.told(f"frames/{WRONG}")
    runner_up = told["hypotheses"][1]["camera"]
    spread = [point | {"origin": "engine"} for point in followers(runner_up, told["points"])]
    for points, status in ((told["points"], 422), (spread, 200)):
        answer = sample_client.decide(WRONG, "accepted", camera=runner_up, points=points)
        assert answer.status_code == status, answer.text


def test_a_neighbours_camera_is_carried_along_the_orbit(tmp_path: Path) -> None:
    over = nadir_camera(tilt_deg=10.0)
    series = [
        ("first", "12:00:00Z", 35.7, "NIKON D4", 85.0),
        ("half a minute later", "12:00:30Z", 37.6, "NIKON D4", 170.0),
        ("other camera", "12:00:20Z", 37.0, "NIKON D3S", 85.0),
        ("long after", "12:09:00Z", 60.0, "NIKON D4", 85.0),
    ]
    results = [
        replace(
            proposal(name),
            time_utc=f"2014-02-04T{time}",
            camera_body=body,
            focal_mm=focal_mm,
            verdict="no_match" if number else "accepted",
            solved=None if number else seen_by(proposal(), over).solved,
            nadir=replace(proposal().nadir, lon=136.9, lat=lat, altitude_km=391.2),
        )
        for number, (name, time, lat, body, focal_mm) in enumerate(series)
    ]
    with serve(write_store(tmp_path / "run.h5", results)) as client:
        (one,) = client.told("frames/1/neighbours")["neighbours"]
        assert (one["frame"], one["seconds"], one["verdict"]) == ("first", -30.0, "accepted")
        carried = camera_of(one["camera"])
        above = np.array(carried.position_ecef_m)
        assert np.linalg.norm(above - ecef_of(136.9, 37.6, 391.2e3)) < 4_000.0
        assert carried.off_nadir_deg == pytest.approx(over.off_nadir_deg, abs=0.3)
        assert carried.focal_px == pytest.approx(2.0 * over.focal_px)
        # It looks as far ahead as the other did
        seen, other = (c.pixel_to_lonlat(*c.principal_point) for c in (carried, over))
        assert float(seen[1] - other[1]) == pytest.approx(1.9, abs=0.05)
        assert client.told("frames/2/neighbours")["neighbours"] == []
        assert client.decide(0, "rejected").status_code == 200
        (refused,) = client.told("frames/1/neighbours")["neighbours"]
        assert refused["camera"] is None


def test_decisions_are_sqlite_that_others_read_and_nobody_changes(
    client: Client, review_store: Path
) -> None:
    client.accept(8)
    with closing(sqlite3.connect(f"{review_store}.review.sqlite")) as others:
        question = "SELECT frame_index, reviewer, decision, verdict, work FROM decisions"
        ((number, reviewer, decision, verdict, work),) = others.execute(question)
        assert (number, reviewer, decision, verdict) == (8, "Ada", "accepted", "review")
        assert len(json.loads(work)["points"]) == 4
        for change in ("UPDATE decisions SET decision = 'rejected'", "DELETE FROM decisions"):
            with pytest.raises(sqlite3.IntegrityError, match="decisions are not"):
                others.execute(change)


def test_other_programs_files_are_refused_and_left_alone(review_store: Path) -> None:
    file = Path(f"{review_store}.review.sqlite")
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE stamps (id INTEGER)")
    before = file.read_bytes()
    refused = pytest.raises(RegengineError, match=r"run\.h5\.review\.sqlite")
    with refused, serve(review_store):
        pass
    assert file.read_bytes() == before


@pytest.mark.slow
def test_what_was_answered_outlives_kill_9_and_a_signal_ends_in_order(review_store: Path) -> None:
    with ReviewProcess(review_store, "--reviewer", "Ada", "--port", 0) as review:
        with httpx.Client(follow_redirects=True, timeout=60.0) as person:
            page = person.get(review.address)
            assert "token" not in str(page.url)
            saved = person.put(str(page.url.join("/api/frames/5/decision")), json=UNSURE)
            assert saved.status_code == 200, saved.text
        review.process.send_signal(signal.SIGKILL)
        review.end()
    with ReviewProcess(review_store, "--reviewer", "Bo") as again:
        # The store's usual port: what a browser had not sent belongs to it
        assert httpx.URL(again.address).port == page.url.port
        with httpx.Client(follow_redirects=True, timeout=60.0) as person:
            person.get(again.address)
            (kept,) = person.get(page.url.join("/api/frames/5/history")).json()
        assert (kept["decision"], kept["reviewer"]) == ("unsure", "Ada")
        again.process.send_signal(signal.SIGTERM)
        again.end()
        assert again.process.returncode == 0


# What the engine works out -----------------------------------------------------------------------


def known_points(count: int = 4, frame: str = FRAME) -> list[dict[str, Any]]:
    """Known pixels of a sample with their places, far from each other."""
    shares = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5), (0.3, 0.6), (0.7, 0.4)]
    said = {"sigma_px": None, "origin": "person"}
    chosen = known_pairs(frame, *shares[:count])
    return [{name: one[name] for name in ("x", "y", "lon", "lat")} | said for one in chosen]


def test_four_drags_put_a_wrong_proposal_right(sample_client: Client) -> None:
    start = sample_client.told(f"frames/{WRONG}")["camera"]
    errors_km = [camera_error_km(start, FRAME)]
    for count in (1, 2, 3, 4):
        body = {"points": known_points(count), "start": start}
        answer = sample_client.post(f"frames/{WRONG}/solve", body).json()
        errors_km.append(camera_error_km(answer["camera"], FRAME))
    assert errors_km[0] > 20.0 > 1.0 > errors_km[-1]
    # Residuals are those of the camera that is told, and their root mean square
    camera, points = camera_of(answer["camera"]), body["points"]
    x, y = camera.lonlat_to_pixel(*([p[name] for p in points] for name in ("lon", "lat")))
    off_px = np.hypot(x - [p["x"] for p in points], y - [p["y"] for p in points])
    told = [one["residual_px"] for one in answer["points"]]
    assert told == pytest.approx(off_px, abs=1e-6)
    assert answer["rms_px"] == pytest.approx(np.sqrt(np.mean(off_px**2)))
    metres = [one["residual_m"] for one in answer["points"]]
    assert answer["rms_m"] == pytest.approx(np.sqrt(np.mean(np.square(metres))))
    assert answer["off_nadir_deg"] == pytest.approx(camera.off_nadir_deg)
    assert answer["freed"] == ["attitude", "focal length", "position"]
    assert (answer["observations"], answer["over"]) == (8, 1)
    assert answer["warning"] is None


def test_a_point_that_contradicts_the_others_is_named_and_left_out(sample_client: Client) -> None:
    points = known_points(7)
    points[5]["x"] += 30.0
    body = {"points": points, "start": true_json(FRAME), "free": "focal"}
    answer = sample_client.post(f"frames/{WRONG}/solve", body).json()
    assert [point["suspect"] for point in answer["points"]] == [k == 5 for k in range(7)]
    assert answer["points"][5]["left_out_px"] == pytest.approx(30.0, rel=0.15)
    assert "fitted without it" in answer["warning"]
    # Of the six others twelve, for attitude and focal length
    assert (answer["observations"], answer["over"]) == (12, 8)
    assert camera_error_km(answer["camera"], FRAME) < 1.0
    # Two that disagree, of an oblique, ask for four
    points = known_points(2, OBLIQUE)
    body = {"points": points, "start": true_json(OBLIQUE)}
    assert sample_client.post(f"frames/{WRONG}/solve", body).json()["too_few"] is None
    points[1]["x"] -= 400.0
    answer = sample_client.post(f"frames/{WRONG}/solve", body).json()
    assert "four points before a search: these 2 leave" in answer["too_few"]


def test_the_lights_of_photo_and_map_are_compared_at_each_point(sample_client: Client) -> None:
    """An error of a pair shows there, whatever the camera says."""
    camera = sample_client.told(f"frames/{RIGHT}")["camera"]
    pairs, more = truth_of(OF_RIGHT)["reference_points"][:12], {"sigma_px": None}
    points = [{key: pair[key] for key in ("x", "y", "lon", "lat")} | more for pair in pairs]
    points = [point | {"origin": "person"} for point in points]
    x, y, z, w = camera["quaternion"]
    turned = camera | {"quaternion": [x + 0.02 * w, y - 0.02 * z, z + 0.02 * y, w - 0.02 * x]}

    def compare(camera: dict[str, Any], shift: float) -> list[dict[str, Any]]:
        moved = [point | {"x": point["x"] + shift, "y": point["y"] - shift} for point in points]
        body = {"camera": camera, "points": moved}
        answer = sample_client.post(f"frames/{RIGHT}/evidence", body).json()
        assert all((one["off_px"] is None) == bool(one["why"]) for one in answer["points"])
        return [one for one in answer["points"] if one["off_px"] is not None]

    for seen_with in (camera, turned):
        right, wrong = compare(seen_with, 0.0), compare(seen_with, 9.0)
        assert min(len(right), len(wrong)) >= 3
        assert np.median([one["off_px"] for one in right]) < 2.5
        assert np.median([one["off_px"] for one in wrong]) == pytest.approx(9 * 2**0.5, abs=2.5)
        assert not [one for one in wrong if one["off_px"] < 3.717 * one["sigma_px"]]
    # What a point claims of itself is part of what the offset is measured by
    points = [point | {"sigma_px": 5.0} for point in points]
    assert min(one["sigma_px"] for one in compare(camera, 0.0)) >= 5.0


def test_the_strongest_lights_of_the_map_are_met_where_the_camera_is_right(
    sample_client: Client,
) -> None:
    told, met = sample_client.told(f"frames/{RIGHT}"), []
    for camera in (told["camera"], turned_away(told, 25.0)):
        answer = sample_client.post(f"frames/{RIGHT}/marks", {"camera": camera}).json()
        lights = answer["marks"]
        assert 50 < len(lights) <= 100
        places = ([each[n] for each in lights] for n in ("lon", "lat"))
        x, y = camera_of(camera).lonlat_to_pixel(*places)
        for at, size in ((x, "width_px"), (y, "height_px")):
            assert ((at > 0.0) & (at < camera[size])).all()
        met.append(sum(each["met"] for each in lights) / len(lights))
        assert 0.0 < answer["chance"] < 0.2
    assert met[0] > 0.6 > 0.2 > met[1]


def test_a_search_from_here_finds_and_can_be_stopped(sample_client: Client) -> None:
    start = sample_client.told(f"frames/{RIGHT}")["camera"]
    first, second = (
        sample_client.post(f"frames/{RIGHT}/search", {"camera": start, "seconds": 30.0}).json()
        for _ in range(2)
    )
    stopped = sample_client.ask("DELETE", f"/api/jobs/{second['job']}").json()
    assert stopped["state"] == "cancelled"
    deadline = time.monotonic() + 240.0
    while (found := sample_client.told(f"jobs/{first['job']}"))["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (found["state"], found["result"]["verdict"]) == ("done", "accepted")
    assert camera_error_km(found["result"]["camera"], OF_RIGHT) < 1.0
    assert {point["origin"] for point in found["result"]["points"]} == {"search"}
    assert len(found["result"]["points"]) == 4


def test_a_time_tells_the_nadir(refusing: dict[str, Client]) -> None:
    client, truth = refusing["samples"], truth_of("ISS990-E-000101")
    told = client.told(f"nadir?time_utc={truth['time_utc']}")
    lon, lat = told["track"][30]  # of 20 s a step, ten minutes to both sides
    assert (len(told["track"]), told["source"]) == (61, "tle")
    assert [lon % 360.0, lat] == pytest.approx([told["lon"] % 360.0, told["lat"]], abs=1e-4)
    steps = np.diff(ecef_of(*np.array(told["track"]).T), axis=0)
    # 7.2 km/s on the ground, the Earth turning below
    assert np.linalg.norm(steps, axis=1) == pytest.approx(20 * 7.2e3, rel=0.05)


# Pictures ----------------------------------------------------------------------------------------


def test_a_preview_is_the_photo_and_kept_by_the_browser(refusing: dict[str, Client]) -> None:
    client, address = refusing["samples"], f"/api/frames/{RIGHT}/preview.jpg?size=320"
    first = client.ask("GET", address)
    with Image.open(io.BytesIO(first.content)) as preview:
        small = np.asarray(preview.convert("L"), float)
    assert (first.headers["content-type"], max(small.shape)) == ("image/jpeg", 320)
    with Image.open(LIGHTS.parent / f"{OF_RIGHT}.jpg") as photo:
        whole = photo.convert("L").resize(small.shape[::-1], Image.Resampling.BOX)
    assert np.abs(small - np.asarray(whole, float)).mean() < 4.0


def test_another_photo_is_not_shown_in_place_of_one_that_changed(sample_review: Path) -> None:
    photo, address = (
        sample_review.parent / "photos" / f"{OF_RIGHT}.jpg",
        "/api/frames/3/preview.jpg",
    )
    with serve(sample_review) as client:
        Image.new("RGB", (640, 426)).save(photo)
        assert is_refused(client.ask("GET", address), 409, "has changed")
        photo.unlink()
        assert is_refused(client.ask("GET", address), 404, "is missing")


def test_the_ground_in_sight_is_seen_edge_on_at_its_outline(refusing: dict[str, Client]) -> None:
    for number in (3, 8, 24, 28):
        frame = refusing["made"].told(f"frames/{number}")
        nadir, ring = frame["nadir"], np.array(frame["horizon"])
        eye = ecef_of(nadir["lon"], nadir["lat"], 1e3 * nadir["altitude_km"])
        ground, above = (ecef_of(*ring.T, height_m) for height_m in (0.0, 1000.0))
        sight = (eye - ground) / np.linalg.norm(eye - ground, axis=1)[:, None]
        rise = (sight * (above - ground)).sum(axis=1) / 1000.0
        assert np.abs(np.degrees(np.arcsin(rise))).max() < 0.01
        assert np.abs(np.diff(ring[:, 0])).max() < 180.0
