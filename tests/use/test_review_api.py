"""The review's server, asked as its page asks: who is let in, what is kept and worked out."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer
from scipy.spatial.transform import Rotation

from matchers.geometry.earth import ecef_to_geodetic
from regengine.errors import RegengineError
from tests.example_results import nadir_camera, proposal, solved
from tests.world.hand import camera_error_km
from tests.world.pages import BASE, PORT, WORK, Client, ReviewProcess, Serve, serve
from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.samples import camera_of, true_json, truth_of, turned_json
from tests.world.stores import write_store

WRONG, RIGHT = 2, 3  # samples by number: turned away, and proposed as it is
FRAME = "ISS990-E-000103"
LAYER = "Streets | https://tiles.example.org/{z}/{x}/{y}.png | them"


def is_refused(answer: httpx.Response, status: int) -> bool:
    """Whether that is the status, and a sentence says why."""
    return answer.status_code == status and len(answer.json()["detail"]) > 8


@pytest.fixture
def client(review_server: Serve, review_store: Path) -> Iterator[Client]:
    """A review of the 40 hand-made frames."""
    with review_server(review_store) as client:
        yield client


def known_points(count: int = 4, frame: str = FRAME, **changed: Any) -> list[dict[str, Any]]:
    """Known pixels of a sample with their places, far from each other."""
    known = truth_of(frame)["reference_points"]
    shares = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5), (0.3, 0.6), (0.7, 0.4)]
    size = truth_of(frame)["camera"]
    chosen = [
        min(
            known,
            key=lambda p: np.hypot(p["x"] - u * size["width_px"], p["y"] - v * size["height_px"]),
        )
        for u, v in shares[:count]
    ]
    said = {"sigma_px": None, "origin": "person"} | changed
    return [{name: one[name] for name in ("x", "y", "lon", "lat")} | said for one in chosen]


# Who is let in


def test_only_the_printed_address_lets_in(review_server: Serve, review_store: Path) -> None:
    with review_server(review_store, admitted=False) as client:
        for path in ("/", "/app.js", "/api/session", "/api/frames/0", "/?token=guess", "/?token="):
            assert is_refused(client.ask("GET", path), 401)
        answer = client.ask("GET", f"/?token={client.token}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert client.token not in answer.headers["set-cookie"]
        assert client.ask("GET", "/").headers["content-type"].startswith("text/html")
        kept = client.cookies
    with review_server(review_store, admitted=False) as other:
        assert other.token != client.token
        other.cookies = kept
        assert is_refused(other.ask("GET", "/api/session"), 401)


def test_the_token_of_the_started_browser_works_once(
    review_server: Serve, review_store: Path
) -> None:
    with review_server(review_store, admitted=False) as client:
        assert client.ask("GET", f"/?token={client.once}").status_code == 303
        assert is_refused(client.ask("GET", f"/?token={client.once}"), 401)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": f"evil.example:{PORT}"}, 421),  # a stranger's name that has come to point here
        ({"host": "127.0.0.1:1"}, 421),
        ({"host": f"127.0.0.1.evil:{PORT}"}, 421),
        ({"host": f"localhost@evil:{PORT}"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://localhost:{PORT}"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),  # another port of this machine
        ({"content-type": "text/plain"}, 422),  # what a foreign form can send
        ({"content-type": "application/x-www-form-urlencoded"}, 422),
        ({"origin": BASE, "sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_other_pages_and_names_cannot_ask(
    client: Client, headers: dict[str, str], status: int
) -> None:
    body = json.dumps(WORK | {"decision": "unsure", "base": 0})
    sent = {"content-type": "application/json"} | headers
    answer = client.ask("PUT", "/api/frames/0/decision", content=body, headers=sent)
    assert answer.status_code == status, answer.text
    assert len(client.told("frames/0/history")) == (status == 200)


def test_a_link_from_elsewhere_leads_to_the_page(client: Client) -> None:
    answer = client.ask("GET", "/", headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, 'http-equiv="refresh"' in answer.text) == (200, True)


@pytest.mark.parametrize("announced", [True, False])
def test_long_requests_are_not_read(client: Client, announced: bool) -> None:
    async def pieces() -> Any:
        for _ in range(1000):
            yield b" " * 1024

    body = b" " * (300 * 1024) if announced else pieces()
    headers = {"content-type": "application/json"}
    answer = client.ask("PUT", "/api/frames/0/draft", content=body, headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/%2e%2e/context.py",
        "/..%5c..%5cpyproject.toml",
        "/%2fetc%2fpasswd",
        "/static/index.html",
        "/index.html%00.js",
        "/api/frames/..%2f..%2f..%2fetc%2fpasswd",
        "/api/frames/0/photo/0/0/..%2f..%2fphoto.jpg",
    ],
)
def test_no_path_leads_out_of_the_page(client: Client, path: str) -> None:
    answer = client.ask("GET", path)
    assert answer.status_code in (404, 422)
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/session", "/nothing", "/api/x"])
def test_every_answer_forbids_framing_and_foreign_scripts(
    review_server: Serve, review_store: Path, path: str
) -> None:
    with review_server(review_store, layers=[LAYER]) as client:
        headers = client.ask("GET", path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("http") == policy.count("https://tiles.example.org") == 2
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_streets_and_days_at_hand_are_maps_of_the_page(
    review_server: Serve, review_store: Path, tmp_path: Path
) -> None:
    roads = {"type": "LineString", "coordinates": [[0.001, 0.05], [0.1, 0.05]]}
    road = {"type": "Feature", "properties": {"highway": "residential"}, "geometry": roads}
    drawn = tmp_path / "roads.geojson"
    drawn.write_text(json.dumps({"type": "FeatureCollection", "features": [road]}))
    streets = tmp_path / "streets.tif"
    run("streets", "build", str(drawn), "--out", str(streets))
    with review_server(review_store, streets=[streets]) as client:
        maps = client.told("session")["maps"]
        assert list(maps) == ["streets"]
        assert "OpenStreetMap" in maps["streets"]["attribution"]
        # The tile that holds 0.05 degrees north and east
        address = "/api/maps/streets/12/2048/2047.png"
        picture = np.asarray(Image.open(io.BytesIO(client.ask("GET", address).content)))
        assert picture[..., 0].max() > 100
        assert is_refused(client.ask("GET", address.replace("streets", "day")), 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": [{"x": 1, "y": 1, "lon": 0, "lat": 91, "sigma_px": None, "origin": "person"}]},
        {"points": [{"x": 1, "y": 1, "lon": 0, "lat": 9, "sigma_px": None, "origin": "nobody"}]},
        {"quality": 6},
        {"comment": "x" * 10_001},
        {"tags": ["x"] * 33},
        {"camera": {"focal_px": -1}},
        {"decision": "perhaps"},
        {"base": 10**20},
        {"surprise": 1},
        {"seconds": float("nan")},
        "[" * 5000,
        "\x00",
    ],
)
def test_nonsense_is_refused_in_a_sentence_and_saves_nothing(client: Client, wrong: Any) -> None:
    body = WORK | {"decision": "unsure", "base": 0}
    text = wrong if isinstance(wrong, str) else json.dumps(body | wrong)
    headers = {"content-type": "application/json"}
    answer = client.ask("PUT", "/api/frames/0/decision", content=text, headers=headers)
    assert is_refused(answer, 400) or is_refused(answer, 422)
    assert client.told("frames/0/history") == []


# The queue

FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "verdict=review&verdict=failed": lambda row: row["verdict"] in ("review", "failed"),
    "reason=low_margin": lambda row: "low_margin" in row["reasons"],
    "category=cities": lambda row: row["category"] == "cities",
    "text=iss055": lambda row: "ISS055" in row["frame"],
    "text=japan": lambda row: "Japan" in (row["place"] or ""),
    "date_from=2012-03-28T17&date_to=2012-03-28T18": lambda row: (
        "2012-03-28T17" <= (row["time_utc"] or "") <= "2012-03-28T18:59:59Z"
    ),
    "status=done": lambda row: row["id"] in (1, 2),
    "status=open": lambda row: row["id"] not in (1, 2),
    "status=disputed": lambda row: row["id"] == 1,
    "status=second": lambda row: row["id"] == 2,
    "tag=fog": lambda row: row["id"] == 2,
}


def test_a_filter_keeps_what_says_so_and_facets_count_it(
    client: Client, review_server: Serve, review_store: Path
) -> None:
    client.decide(1, "rejected")
    with review_server(review_store, reviewer="Bo") as other:
        other.decide(1, "unsure")
        other.decide(2, "unsure", tags=["fog"])
    deadline = time.monotonic() + 60.0
    while not client.told("frames?limit=0")["named"] and time.monotonic() < deadline:
        time.sleep(0.1)  # the towns are read after the first pictures
    everything = client.told("frames?limit=100")["frames"]
    assert len(everything) == 40
    for query, says_so in FILTERS.items():
        found = client.told(f"frames?limit=100&{query}")
        expected = {row["id"] for row in everything if says_so(row)}
        assert {row["id"] for row in found["frames"]} == expected, query
        assert found["total"] == len(expected) > 0, query
    facets = client.told("facets")
    for name in ("verdict", "reason", "category", "tag"):
        for value, count in facets[name].items():
            query = httpx.QueryParams({name: value, "limit": 0})
            assert client.told(f"frames?{query}")["total"] == count
    assert client.told("frames?limit=0&verdict=accepted")["progress"] == {
        "all": facets["verdict"]["accepted"],
        "decided": 2,
    }


def test_boxes_cross_the_antimeridian_and_hold_the_poles(client: Client) -> None:
    def names(bbox: str) -> set[str]:
        rows = client.told(f"frames?limit=100&bbox={bbox}")["frames"]
        return {row["frame"] for row in rows if row["frame"].startswith(("ISS055", "ISS061"))}

    everywhere = names("-180,-90,180,90")
    assert len(everywhere) == 8
    assert names("170,-90,-170,90") >= {name for name in everywhere if "ISS055" in name}
    assert len(names("-180,80,180,90")) == 2
    for wrong in ("1,2,3", "0,9,0,8", "a,b,c,d", "nan,0,1,1"):
        assert is_refused(client.ask("GET", f"/api/frames?bbox={wrong}"), 422)


def test_the_most_doubtful_come_first(client: Client) -> None:
    rows = client.told("frames?limit=100")["frames"]
    order = ["review", "accepted", "no_match", "failed"]
    ranks = [order.index(row["verdict"]) for row in rows]
    assert ranks == sorted(ranks)
    for verdict in ("review", "accepted"):
        doubts = [abs(row["probability"] - 0.5) for row in rows if row["verdict"] == verdict]
        assert doubts == sorted(doubts)
    times = [row["time_utc"] or "9" for row in client.told("frames?limit=100&sort=time")["frames"]]
    assert times == sorted(times)
    pages = [client.told(f"frames?offset={k}&limit=15")["frames"] for k in (0, 15, 30)]
    assert [row["id"] for page in pages for row in page] == [row["id"] for row in rows]


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
    sample_review: Path,
    review_server: Serve,
    review_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with review_server(sample_review) as client:
        client.decide(0, "unsure")
        os.replace(review_store, sample_review)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 60.0)
        rows = client.told("frames?limit=100&sort=name")["frames"]
        # Frame 0 is another photo by now: the decision is not about it
        assert (len(rows), {row["decision"] for row in rows}) == (40, {None})


# What is decided


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
    out = review_store.parent / "out.csv"
    words = ("--format", "csv", "--out", out, "--reviewed")
    assert run("export", review_store, *words).code == 0
    assert frame["frame"] in out.read_text(encoding="utf-8")
    assert len(out.read_text(encoding="utf-8").splitlines()) == 5  # a line a point


def test_accepting_needs_four_confirmed_points_or_an_untouched_proposal(client: Client) -> None:
    told = client.told("frames/8")
    same = [told["points"][0]] * 4
    held = [point | {"origin": "person"} for point in told["points"]]
    own = told["camera"] | {"focal_px": told["camera"]["focal_px"] + 1.0}
    for work in (
        {},
        {"camera": own, "points": held[:2] + told["points"][2:]},
        {"camera": own, "points": told["points"]},
        {"camera": own, "points": [held[0]] * 4},
        {"camera": told["camera"]},
        {"points": told["points"]},
        {"camera": told["camera"], "points": told["points"][:3]},
        {"camera": told["camera"], "points": same},
    ):
        answer = client.decide(8, "accepted", **work)
        assert is_refused(answer, 422)
        assert "four" in answer.json()["detail"]
        assert client.decide(8, "rejected", **work).status_code == 200
    assert {one["decision"] for one in client.told("frames/8/history")} == {"rejected"}
    assert client.decide(8, "accepted", camera=own, points=held).status_code == 200


def followers(camera: dict[str, Any], points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same pixels at the places where a camera has them, as if a person stood behind them."""
    lon, lat = camera_of(camera).pixel_to_lonlat(*([p[name] for p in points] for name in "xy"))
    places = zip(points, lon.tolist(), lat.tolist(), strict=True)
    return [point | {"lon": x, "lat": y, "origin": "person"} for point, x, y in places]


def wrong_drag(told: dict[str, Any], by_px: float = 15.0) -> tuple[dict[str, Any], Any]:
    """The proposal's camera turned so that all is that far off, and what it has at its points."""
    turn = Rotation.from_euler("y", by_px / told["camera"]["focal_px"])
    turned = (Rotation.from_quat(told["camera"]["quaternion"]) * turn).as_quat().tolist()
    camera = told["camera"] | {"quaternion": turned}
    return camera, followers(camera, told["points"])


@pytest.mark.parametrize("sigma_px", [None, 0.6])
@pytest.mark.parametrize("origin", ["person", "confirmed"])
def test_a_camera_does_not_confirm_itself(
    client: Client, origin: str, sigma_px: float | None
) -> None:
    """Points that lie where it has them: also those of which one was dragged, and moved it."""
    camera, points = wrong_drag(client.told("frames/8"))
    points = [point | {"origin": origin, "sigma_px": sigma_px} for point in points]
    for sent in (points, [points[0] | {"origin": "person", "by_hand": True}, *points[1:]]):
        answer = client.decide(8, "accepted", camera=camera, points=sent)
        assert is_refused(answer, 422)
        assert "four confirmed points" in answer.json()["detail"]
    assert client.told("frames/8/history") == []
    by_hand = [point | {"origin": "person", "by_hand": True} for point in points]
    assert client.decide(8, "accepted", camera=camera, points=by_hand).status_code == 200


def test_a_right_proposal_can_be_confirmed_point_by_point(client: Client) -> None:
    told = client.told("frames/8")
    points = [point | {"origin": "confirmed"} for point in told["points"]]
    camera = client.post("frames/8/solve", {"points": points, "start": told["camera"]}).json()[
        "camera"
    ]
    assert client.decide(8, "accepted", camera=camera, points=points).status_code == 200
    (kept,) = client.told("frames/8/history")
    assert (kept["points"], kept["independent"]) == (points, True)


@pytest.mark.parametrize("moved", ["person", "snap"])
def test_what_was_moved_and_what_the_engine_measured_must_agree(client: Client, moved: str) -> None:
    """One point off by more than chance, and the others as they were measured."""
    told = client.told("frames/8")
    for by_px, status in ((15.0, 422), (1.0, 200)):
        _, points = wrong_drag(told, by_px)
        first = points[0] | {"origin": moved, "by_hand": moved == "person"}
        others = [point | {"origin": "confirmed"} for point in told["points"][1:]]
        body = {"points": [first, *others], "start": told["camera"]}
        camera = client.post("frames/8/solve", body).json()["camera"]
        answer = client.decide(8, "accepted", camera=camera, points=body["points"])
        assert answer.status_code == status, answer.text
        assert status == 200 or "contradict those measured" in answer.json()["detail"]
    # Nor is another camera accepted for points that are right
    confirmed = [point | {"origin": "confirmed"} for point in told["points"]]
    answer = client.decide(8, "accepted", camera=wrong_drag(told)[0], points=confirmed)
    assert "contradict those measured" in answer.json()["detail"]


def test_points_that_are_switched_off_do_not_count(client: Client, review_store: Path) -> None:
    told = client.told("frames/8")
    points = [point | {"origin": "confirmed"} for point in told["points"]]
    # One that contradicts the others, put aside
    aside = wrong_drag(told)[1][0] | {"by_hand": True, "off": True}
    body = {"points": points, "start": told["camera"]}
    camera = client.post("frames/8/solve", body).json()["camera"]
    refused = client.post("frames/8/solve", body | {"points": [aside, *points]})
    assert is_refused(refused, 422)
    three = [aside, *points[:3]]
    for sent in (three, [*points[:3], points[3] | {"off": True}]):
        answer = client.decide(8, "accepted", camera=camera, points=sent)
        assert is_refused(answer, 422)
        assert "3 of 3 points confirmed" in answer.json()["detail"]
    assert client.decide(8, "accepted", camera=camera, points=[aside, *points]).status_code == 200
    (kept,) = client.told("frames/8/history")
    assert (kept["points"], kept["independent"]) == ([aside, *points], True)
    out = review_store.parent / "out.csv"
    words = ("--format", "csv", "--out", out, "--reviewed")
    assert run("export", review_store, *words).code == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1 + len(points)
    text = client.post("frames/8/points", {"points": [aside, *points], "camera": camera})
    rows = [row.split(",") for row in text.json()["text"].splitlines()[2:]]
    assert [row[4] for row in rows] == ["0", *"1" * len(points)]


def test_a_proposal_as_it_is_has_its_own_points(sample_client: Client) -> None:
    told = sample_client.told(f"frames/{WRONG}")
    first, *others = told["points"]
    moved = first | {"lon": first["lon"] + 0.1, "origin": "person", "by_hand": True}
    runner_up = told["hypotheses"][1]["camera"]
    spread = [point | {"origin": "engine"} for point in followers(runner_up, told["points"])]
    for camera, points, status in (
        (told["camera"], [moved, *others], 422),
        (runner_up, told["points"], 422),
        (runner_up, spread, 200),
        (told["camera"], told["points"], 200),
    ):
        answer = sample_client.decide(WRONG, "accepted", camera=camera, points=points)
        assert answer.status_code == status, answer.text


def test_what_was_accepted_for_followers_is_named(client: Client, review_store: Path) -> None:
    """As a page of an earlier version sent it."""
    camera, points = wrong_drag(client.told("frames/8"))
    assert client.decide(8, "unsure", camera=camera, points=points).status_code == 200
    with closing(sqlite3.connect(f"{review_store}.review.sqlite")) as file, file:
        names = "frame_index, sha256, reviewer, time_utc, base, seconds, verdict, probability"
        names += ", proposal_sha256, work"
        file.execute(
            f"INSERT INTO decisions (decision, {names}) SELECT 'accepted', {names} FROM decisions"
        )
    client.accept(24)
    rows = {row["id"]: row["independent"] for row in client.told("frames?status=done")["frames"]}
    assert rows == {8: False, 24: True}
    (row,) = client.told("frames?status=dependent")["frames"]
    kept, _ = client.told("frames/8/history")
    assert (row["id"], kept["independent"], kept["points"]) == (8, False, points)
    (figures,) = run("report", review_store, "--json").records
    told = figures["decisions"]
    assert (told["photos"], told["choices"]["accepted"]) == (2, 2)
    assert told["not_independent"]["photos"] == 1
    (shown,) = told["not_independent"]["shown"]
    assert (shown["frame"], shown["reviewer"]) == (client.told("frames/8")["frame"], "Ada")
    page = review_store.parent / "report.html"
    assert run("report", review_store, "--out", page).code == 0
    assert "Not independent" in page.read_text(encoding="utf-8")
    # Readable as before, and put right by a decision that is
    out = review_store.parent / "out.csv"
    assert run("export", review_store, "--format", "csv", "--out", out, "--reviewed").code == 0
    assert client.accept(8, base=kept["revision"]).status_code == 200
    assert client.told("frames?status=dependent")["frames"] == []


def test_a_neighbours_camera_is_carried_along_the_orbit(
    review_server: Serve, tmp_path: Path
) -> None:
    placed = proposal("first")
    assert placed.nadir is not None
    over = nadir_camera(tilt_deg=10.0)
    series = [
        ("first", "12:00:00Z", 35.7, "NIKON D4"),
        ("half a minute later", "12:00:30Z", 37.6, "NIKON D4"),
        ("other camera", "12:00:20Z", 37.0, "NIKON D3S"),
        ("long after", "12:09:00Z", 60.0, "NIKON D4"),
    ]
    results = [
        replace(
            placed,
            frame=name,
            path=f"{name}.jpg",
            sha256=f"{number:064x}",
            time_utc=f"2014-02-04T{time}",
            camera_body=body,
            verdict="no_match" if number else "accepted",
            solved=None if number else solved(over),
            nadir=replace(placed.nadir, lon=136.9, lat=lat, altitude_km=391.2),
        )
        for number, (name, time, lat, body) in enumerate(series)
    ]
    with review_server(write_store(tmp_path / "run.h5", results)) as client:
        (one,) = client.told("frames/1/neighbours")["neighbours"]
        assert (one["frame"], one["seconds"], one["verdict"]) == ("first", -30.0, "accepted")
        carried = camera_of(one["camera"])
        lon, lat, height_m = ecef_to_geodetic(carried.position_ecef_m)
        assert (lon, lat) == pytest.approx((136.9, 37.6), abs=0.02)
        assert height_m == pytest.approx(391.2e3, rel=0.01)
        assert carried.off_nadir_deg == pytest.approx(over.off_nadir_deg, abs=0.3)
        # It looks as far ahead as the other did
        seen, other = (c.pixel_to_lonlat(*c.principal_point) for c in (carried, over))
        assert float(seen[1] - other[1]) == pytest.approx(1.9, abs=0.05)
        (back,) = client.told("frames/0/neighbours")["neighbours"]
        assert (back["seconds"], back["camera"]) == (30.0, None)
        assert client.told("frames/2/neighbours")["neighbours"] == []
        assert client.decide(0, "rejected").status_code == 200
        (refused,) = client.told("frames/1/neighbours")["neighbours"]
        assert refused["camera"] is None
        assert is_refused(client.ask("GET", "/api/frames/99/neighbours"), 404)


@pytest.mark.parametrize("at", [(-0.6, 10.0), (10.0, 480.0), (700.0, 10.0)])
def test_points_outside_of_the_photo_are_refused(
    client: Client, review_store: Path, at: tuple[float, float]
) -> None:
    point = client.told("frames/8")["points"][0] | {"x": at[0], "y": at[1]}
    for sent in (
        client.decide(8, "unsure", points=[point]),
        client.ask("PUT", "/api/frames/8/draft", json=WORK | {"points": [point]}),
        client.post(
            "frames/8/solve", {"points": [point], "start": client.told("frames/8")["camera"]}
        ),
    ):
        assert is_refused(sent, 422)
        assert "outside the photo" in sent.json()["detail"]
    table = review_store.parent / "points.csv"
    name = client.told("frames/8")["frame"]
    table.write_text(f"frame,x,y,lon,lat\n{name},{at[0]},{at[1]},10,10\n", encoding="utf-8")
    said = run("import", review_store, table)
    assert (said.code, "outside the photo" in said.err) == (2, True)
    assert client.told("frames/8/history") == []


def test_the_same_decision_again_adds_nothing_and_an_unseen_one_is_told(client: Client) -> None:
    first = client.decide(1, "rejected").json()
    assert client.decide(1, "rejected").json()["revision"] == first["revision"]  # sent again
    second = client.decide(1, "unsure").json()
    assert second["conflict"]["revision"] == first["revision"]
    third = client.decide(1, "rejected", base=second["revision"]).json()
    assert third["conflict"] is None
    kept = [one["decision"] for one in client.told("frames/1/history")]
    assert kept == ["rejected", "unsure", "rejected"]


def test_unfinished_work_comes_back_to_its_person_until_it_is_decided(
    client: Client, review_server: Serve, review_store: Path
) -> None:
    points = client.told("frames/8")["points"]
    nadir = {"lon": 190.0, "lat": 4.0, "altitude_km": 410.0}
    given = {"time_utc": "2012-03-28T15:46:41Z", "nadir": nadir, "focal_px": 2000.0}
    draft = WORK | {"comment": "so far", "points": points, "given": given}
    assert client.ask("PUT", "/api/frames/8/draft", json=draft).status_code == 200
    with review_server(review_store) as after_a_crash:
        kept = after_a_crash.told("frames/8")["draft"]
        assert kept == draft | {"given": given | {"nadir": nadir | {"lon": -170.0}}}
    with review_server(review_store, reviewer="Bo") as other:
        assert other.told("frames/8")["draft"] is None
    client.decide(8, "unsure")
    assert client.told("frames/8")["draft"] is None
    client.ask("PUT", "/api/frames/8/draft", json=draft)
    assert client.ask("DELETE", "/api/frames/8/draft").status_code == 204
    assert client.told("frames/8")["draft"] is None


def test_looking_only_changes_nothing(review_server: Serve, review_store: Path) -> None:
    before = sorted(review_store.parent.rglob("*"))
    with review_server(review_store, readonly=True) as client:
        assert client.told("session")["readonly"] is True
        for answer in (
            client.decide(0, "rejected"),
            client.ask("PUT", "/api/frames/0/draft", json=WORK),
            client.ask("DELETE", "/api/frames/0/draft"),
        ):
            assert is_refused(answer, 403)
        assert client.told("frames/0")["decisions"] == []
    assert sorted(review_store.parent.rglob("*")) == before


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


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("kind", ["text", "stranger", "newer"])
def test_other_programs_files_are_refused_and_left_alone(
    review_server: Serve, review_store: Path, kind: str, readonly: bool
) -> None:
    file = Path(f"{review_store}.review.sqlite")
    if kind == "text":
        file.write_text("no database, but long enough to be taken for something" * 20)
    else:
        with closing(sqlite3.connect(file)) as other, other:
            other.execute("CREATE TABLE stamps (id INTEGER)")
            if kind == "newer":
                other.execute(f"PRAGMA application_id = {0x52454752}")
                other.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with (
        pytest.raises(RegengineError, match=r"run\.h5\.review\.sqlite"),
        review_server(review_store, readonly=readonly),
    ):
        pass
    assert file.read_bytes() == before


@pytest.mark.slow
def test_what_was_answered_outlives_kill_9_and_a_signal_ends_in_order(review_store: Path) -> None:
    with ReviewProcess(review_store, "--reviewer", "Ada", "--port", 0) as review:
        with httpx.Client(follow_redirects=True, timeout=60.0) as person:
            page = person.get(review.address)
            assert "token" not in str(page.url)
            body = WORK | {"decision": "unsure", "base": 0}
            saved = person.put(str(page.url.join("/api/frames/5/decision")), json=body)
            assert saved.status_code == 200, saved.text
        review.process.send_signal(signal.SIGKILL)
        review.end()
    with ReviewProcess(review_store, "--reviewer", "Bo") as again:
        # The store's usual port: what a browser had not sent belongs to it
        assert httpx.URL(again.address).port == page.url.port
        with httpx.Client(follow_redirects=True, timeout=60.0) as person:
            page = person.get(again.address)
            (kept,) = person.get(page.url.join("/api/frames/5/history")).json()
        assert (kept["decision"], kept["reviewer"]) == ("unsure", "Ada")
        again.process.send_signal(signal.SIGTERM)
        again.end()
        assert again.process.returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "999.999.1.1"), "cannot listen on 999.999.1.1, port"),
        (("--reviewer", " "), "--reviewer"),
        (("--layer", "Streets | ftp://x/{z}/{x}/{y}"), "--layer"),
        (("--layer", "A | https://user@x.org/{z}/{x}/{y}"), "--layer"),
        (("--layer", LAYER, "--layer", LAYER), "same name"),
    ],
)
def test_a_review_that_cannot_begin_says_why(
    review_store: Path, words: tuple[str, ...], said: str
) -> None:
    answer = run("review", review_store, "--no-browser", *words)
    assert (answer.code, said in answer.err, answer.err.count("\n")) == (2, True, 1)


WRONG_CAMERAS: dict[str, dict[str, Any]] = {
    "another size": {"width_px": 10, "height_px": 10},
    "a turned size": {"width_px": 480, "height_px": 640},
    "too short": {"focal_px": 1.0},
    "too long": {"focal_px": 1e6},
    "no rotation": {"quaternion": [0.0, 0.0, 0.0, 0.0]},
    "too large a rotation": {"quaternion": [1.0, 1.0, 1.0, 1.0]},
    "in the Earth": {"position_ecef_m": [0.0, 0.0, 0.0]},
    "on the ground": {"position_ecef_m": [6378137.0, 0.0, 0.0]},
    "not a number": {"focal_px": "wide"},
}


@pytest.mark.parametrize("wrong", WRONG_CAMERAS)
def test_a_camera_that_cannot_have_taken_the_photo_is_refused_everywhere(
    sample_client: Client, wrong: str
) -> None:
    told = sample_client.told(f"frames/{RIGHT}")
    camera = told["camera"] | WRONG_CAMERAS[wrong]
    frame, points = f"frames/{RIGHT}", told["points"]
    held = [point | {"origin": "person", "by_hand": True} for point in points]
    work = WORK | {"camera": camera, "points": held}
    answers = [
        sample_client.ask("PUT", f"/api/{frame}/draft", json=work),
        sample_client.decide(RIGHT, "accepted", camera=camera, points=held),
        sample_client.decide(RIGHT, "unsure", camera=camera, points=held),
        sample_client.post(f"{frame}/solve", {"points": held, "start": camera}),
        sample_client.post(
            f"{frame}/snap", {"camera": camera, "point": points[0], "moves": "photo"}
        ),
        sample_client.post(f"{frame}/evidence", {"camera": camera, "points": points}),
        sample_client.post(f"{frame}/marks", {"camera": camera}),
        sample_client.post(f"{frame}/search", {"camera": camera}),
        sample_client.post(f"{frame}/points", {"camera": camera, "points": points}),
    ]
    assert [is_refused(answer, 422) for answer in answers] == [True] * len(answers)
    assert sample_client.told(f"{frame}/history") == []
    assert sample_client.told(frame)["draft"] is None


def test_points_that_count_lie_where_the_camera_has_them(client: Client) -> None:
    told = client.told("frames/8")
    own = told["camera"] | {"focal_px": told["camera"]["focal_px"] + 1.0}
    held = [point | {"origin": "person", "by_hand": True} for point in told["points"]]
    far = [point | {"lon": point["lon"] + 40.0} for point in held]
    # Off by a tenth of the picture, and one of five that is switched off
    beside = held[0] | {"x": held[0]["x"] + (64.0 if held[0]["x"] < 320.0 else -64.0)}
    for points, status in (
        (far, 422),
        ([point | {"origin": "search"} for point in far], 422),
        ([beside, *held[1:]], 422),
        ([*held, far[0]], 422),
        ([*held, far[0] | {"off": True}], 200),
    ):
        answer = client.decide(8, "accepted", camera=own, points=points)
        assert answer.status_code == status, answer.text
        assert status == 200 or re.search("has its place|contradict", answer.json()["detail"])


@pytest.mark.parametrize(
    "given",
    [
        {"time_utc": "noon"},
        {"time_utc": "1990-01-01 12:00:00"},
        {"time_utc": "2900-01-01 12:00:00"},
        {"focal_px": 1.0},
        {"focal_px": 1e6},
        {"nadir": {"lon": 0.0, "lat": 80.0, "altitude_km": 410.0}},
        {"nadir": {"lon": 0.0, "lat": 0.0, "altitude_km": 1.0}},
    ],
)
def test_what_cannot_be_of_the_station_is_not_kept(client: Client, given: dict[str, Any]) -> None:
    draft = client.ask("PUT", "/api/frames/8/draft", json=WORK | {"given": given})
    assert is_refused(draft, 422)
    assert is_refused(client.decide(8, "unsure", given=given), 422)
    assert client.told("frames/8")["draft"] is None


# What the engine works out


def test_four_drags_put_a_wrong_proposal_right(sample_client: Client) -> None:
    start = sample_client.told(f"frames/{WRONG}")["camera"]
    errors_km = [camera_error_km(start, FRAME)]
    for count in (1, 2, 3, 4):
        body = {"points": known_points(count), "start": start}
        answer = sample_client.post(f"frames/{WRONG}/solve", body).json()
        errors_km.append(camera_error_km(answer["camera"], FRAME))
    assert errors_km[0] > 20.0 > 1.0 > errors_km[-1]
    assert (answer["rms_px"] < 1.0, answer["rms_m"] < 300.0) == (True, True)
    assert answer["freed"] == ["attitude", "focal length", "position"]
    assert (answer["observations"], answer["over"]) == (8, 1)
    assert answer["warning"] is None
    assert len(answer["attitude_only"]["points"]) == 4
    body = {"points": known_points(4), "start": turned_json(FRAME, away_km=1473.0)}
    answer = sample_client.post(f"frames/{WRONG}/solve", body).json()
    assert camera_error_km(answer["camera"], FRAME) < 1.0


def test_an_oblique_with_two_points_that_disagree_asks_for_four(sample_client: Client) -> None:
    oblique = "ISS990-E-000106"
    points = known_points(2, oblique)
    body = {"points": points, "start": true_json(oblique)}
    assert sample_client.post(f"frames/{WRONG}/solve", body).json()["too_few"] is None
    points[1]["x"] -= 400.0
    answer = sample_client.post(f"frames/{WRONG}/solve", body).json()
    assert "four points before a search: these 2 leave" in answer["too_few"]
    assert answer["too_few"] in answer["warning"]


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


def test_points_snap_to_the_lights_or_say_why_not(sample_client: Client) -> None:
    truth = sample_client.told(f"frames/{RIGHT}")
    known = truth_of("ISS990-E-000104")["reference_points"]
    found = 0
    for one in known[:6]:
        point = {"x": one["x"] + 6.0, "y": one["y"] - 4.0, "lon": one["lon"], "lat": one["lat"]}
        point |= {"sigma_px": None, "origin": "person"}
        body = {"camera": truth["camera"], "point": point, "moves": "photo"}
        answer = sample_client.post(f"frames/{RIGHT}/snap", body).json()
        if answer["found"]:
            at = answer["point"]
            found += np.hypot(at["x"] - one["x"], at["y"] - one["y"]) < 2.5
            assert (at["lon"], at["origin"]) == (one["lon"], "snap")
        else:
            assert answer["why"]
    assert found >= 3
    hidden = body | {"point": point | {"lon": 20.0, "lat": -50.0}}
    assert "horizon" in sample_client.post(f"frames/{RIGHT}/snap", hidden).json()["why"]
    lost = body | {"camera": truth["camera"] | {"position_ecef_m": [0.0, 0.0, 0.0]}}
    assert is_refused(sample_client.post(f"frames/{RIGHT}/snap", lost), 422)
    assert is_refused(sample_client.post("frames/99/snap", body), 404)


def test_the_lights_of_photo_and_map_are_compared_at_each_point(sample_client: Client) -> None:
    """An error of a pair shows there, whatever the camera says."""
    told = sample_client.told(f"frames/{RIGHT}")
    camera, more = told["camera"], {"sigma_px": None, "origin": "person"}
    pairs = truth_of("ISS990-E-000104")["reference_points"][:12]
    points = [{key: pair[key] for key in ("x", "y", "lon", "lat")} | more for pair in pairs]
    x, y, z, w = camera["quaternion"]
    turned = camera | {"quaternion": [x + 0.02 * w, y - 0.02 * z, z + 0.02 * y, w - 0.02 * x]}

    def compare(camera: dict[str, Any], shift: float) -> list[dict[str, Any]]:
        moved = [point | {"x": point["x"] + shift, "y": point["y"] - shift} for point in points]
        answer = sample_client.post(
            f"frames/{RIGHT}/evidence", {"camera": camera, "points": moved}
        ).json()
        assert all((one["off_px"] is None) == bool(one["why"]) for one in answer["points"])
        return [one for one in answer["points"] if one["off_px"] is not None]

    for seen_with in (camera, turned):
        right, wrong = compare(seen_with, 0.0), compare(seen_with, 9.0)
        assert min(len(right), len(wrong)) >= 3
        assert np.median([one["off_px"] for one in right]) < 2.5
        assert np.median([one["off_px"] for one in wrong]) == pytest.approx(9 * 2**0.5, abs=2.5)
        assert not [one for one in wrong if one["off_px"] < 3.717 * one["sigma_px"]]
    hidden = {"camera": camera, "points": [points[0] | {"lon": 20.0, "lat": -50.0}]}
    (nothing,) = sample_client.post(f"frames/{RIGHT}/evidence", hidden).json()["points"]
    assert (nothing["off_px"], nothing["sigma_px"]) == (None, None)
    assert "horizon" in nothing["why"]
    none = {"camera": camera, "points": []}
    assert is_refused(sample_client.post(f"frames/{RIGHT}/evidence", none), 422)


@pytest.mark.slow
@pytest.mark.slow
def test_a_wrong_drag_is_seen_in_all_of_two_hundred(sample_client: Client) -> None:
    """One point of a right proposal dragged by 12 px, anywhere.

    Twelve pixels of the photo. On a screen of 1440 x 900 that shows all of it, twelve of the screen
    are twice as many and more: then all pairs that the engine measured are 10 px off.
    """
    chance = math.sqrt(-2.0 * math.log(0.001))  # as the page has it
    draw = np.random.default_rng(70)
    proposed = [sample_client.told(f"frames/{number}") for number in (0, RIGHT, 5)]
    red = 0
    for k in range(200):
        told, dragged, way = proposed[k % 3], int(draw.integers(4)), draw.uniform(0.0, 2.0 * np.pi)
        others = [point for i, point in enumerate(told["points"]) if i != dragged]
        at_x, at_y = ([each[axis] for each in others] for axis in "xy")
        frame = f"frames/{told['id']}"
        for px in (24.0, 12.0):
            point = told["points"][dragged] | {"origin": "person", "by_hand": True}
            step = px * np.cos(way), px * np.sin(way)
            for axis, by, size in (("x", step[0], "width_px"), ("y", step[1], "height_px")):
                inside = 0.0 <= point[axis] + by < told[size]
                point[axis] += float(by if inside else -by)
            solve = {"points": [point], "start": told["camera"]}
            camera = sample_client.post(f"{frame}/solve", solve).json()["camera"]
            seen = camera_of(camera)
            x, y = seen.lonlat_to_pixel(*([each[n] for each in others] for n in ("lon", "lat")))
            off_px = np.hypot(x - at_x, y - at_y)
            assert off_px.min() > (10.0 if px > 12.0 else 5.0), (k, px, off_px)
        points = [point, *(each | {"origin": "engine"} for each in followers(camera, others))]
        body = {"camera": camera, "points": points}
        found = sample_client.post(f"{frame}/evidence", body).json()["points"]
        sigmas = [one["off_px"] / one["sigma_px"] for one in found if one["off_px"] is not None]
        assert min(sigmas, default=math.inf) > chance, (k, found)  # none is green
        red += max(sigmas, default=0.0) > 2.0 * chance
        # Nor is it accepted, whatever is confirmed besides
        held = [point, *(each | {"origin": "confirmed"} for each in others)]
        solve = {"points": held, "start": told["camera"]}
        camera = sample_client.post(f"{frame}/solve", solve).json()["camera"]
        assert is_refused(
            sample_client.decide(told["id"], "accepted", camera=camera, points=held), 422
        )
    # The others lie where clouds, or the photo's edge, leave no lights to compare
    assert red >= 195


def test_the_strongest_lights_of_the_map_are_met_where_the_camera_is_right(
    sample_client: Client,
) -> None:
    told = sample_client.told(f"frames/{RIGHT}")
    turn = Rotation.from_euler("y", 25.0 / told["camera"]["focal_px"])
    turned = (Rotation.from_quat(told["camera"]["quaternion"]) * turn).as_quat().tolist()
    met = []
    for camera in (told["camera"], told["camera"] | {"quaternion": turned}):
        answer = sample_client.post(f"frames/{RIGHT}/marks", {"camera": camera}).json()
        lights = answer["marks"]
        assert 50 < len(lights) <= 100
        x, y = camera_of(camera).lonlat_to_pixel(
            *([each[n] for each in lights] for n in ("lon", "lat"))
        )
        assert (x > 0.0).all()
        assert (x < camera["width_px"]).all()
        assert (y > 0.0).all()
        assert (y < camera["height_px"]).all()
        met.append(sum(each["met"] for each in lights) / len(lights))
        assert 0.0 < answer["chance"] < 0.2
    assert met[0] > 0.6
    assert met[1] < 0.2
    unplaced = sample_client.post("frames/99/marks", {"camera": told["camera"]})
    assert is_refused(unplaced, 404)


def test_a_search_from_here_finds_and_can_be_stopped(sample_client: Client) -> None:
    def ended(job: str) -> dict[str, Any]:
        deadline = time.monotonic() + 240.0
        while (told := sample_client.told(f"jobs/{job}"))["state"] in ("waiting", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return told  # type: ignore[no-any-return]

    start = sample_client.told(f"frames/{RIGHT}")["camera"]
    first, second = (
        sample_client.post(f"frames/{RIGHT}/search", {"camera": start, "seconds": 30.0}).json()
        for _ in range(2)
    )
    stopped = sample_client.ask("DELETE", f"/api/jobs/{second['job']}").json()
    assert stopped["state"] == "cancelled"
    found = ended(first["job"])
    assert (found["state"], found["result"]["verdict"]) == ("done", "accepted")
    assert camera_error_km(found["result"]["camera"], "ISS990-E-000104") < 1.0
    assert len(found["result"]["points"]) == 4
    assert is_refused(sample_client.ask("GET", f"/api/jobs/{'0' * 16}"), 404)


def test_without_a_map_search_and_snap_say_so(client: Client) -> None:
    told = client.told("frames/8")
    body = {"camera": told["camera"], "point": told["points"][0], "moves": "map"}
    compared = {"camera": told["camera"], "points": told["points"]}
    asked = (("snap", body), ("evidence", compared), ("search", {"camera": told["camera"]}))
    for path, sent in asked:
        answer = client.post(f"frames/8/{path}", sent)
        assert (answer.status_code, "night-light map" in answer.json()["detail"]) == (422, True)
    assert is_refused(client.ask("GET", "/api/maps/lights/0/0/0.png"), 404)


def test_a_time_tells_the_nadir(review_server: Serve, sample_review: Path) -> None:
    with review_server(sample_review, tle=[ELEMENTS]) as client:
        truth = truth_of("ISS990-E-000101")
        told = client.told(f"nadir?time_utc={truth['time_utc']}")
        assert told["source"] == "tle"
        assert abs(told["lat"]) < 52.0
        assert len(told["track"]) == 61
        for wrong in ("noon", "1990-01-01"):
            assert is_refused(client.ask("GET", f"/api/nadir?time_utc={wrong}"), 422)


def test_points_for_qgis_lie_at_pixel_edges(client: Client) -> None:
    """QGIS counts from the upper left corner of the first pixel, downwards as negative."""
    told = client.told("frames/8")
    answer = client.post(
        "frames/8/points", {"points": told["points"], "camera": told["camera"]}
    ).json()
    assert answer["name"].endswith(".points")
    rows = [line.split(",") for line in answer["text"].splitlines() if line[0] in "-0123456789"]
    assert len(rows) == 4
    for row, point in zip(rows, told["points"], strict=True):
        assert float(row[0]) == pytest.approx(point["lon"], abs=1e-7)
        assert float(row[2]) == pytest.approx(point["x"] + 0.5)
        assert float(row[3]) == pytest.approx(-(point["y"] + 0.5))


# Pictures


def test_tiles_and_previews_are_the_photo_and_kept_by_the_browser(
    sample_client: Client, sample_review: Path
) -> None:
    frame = sample_client.told(f"frames/{RIGHT}")
    path = sample_review.parent / frame["path"]
    with Image.open(path) as photo:
        whole = np.asarray(photo.convert("L"), float)
    assert whole.shape == (frame["height_px"], frame["width_px"])

    def picture(address: str, **headers: str) -> np.ndarray:
        answer = sample_client.ask("GET", f"/api/frames/{RIGHT}/{address}", headers=headers)
        assert answer.headers["content-type"] == "image/jpeg", answer.text
        return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"), float)

    top = frame["max_zoom"]
    tile = picture(f"photo/{top}/0/0.jpg")
    assert tile.shape == (512, 512)
    rows = min(512, whole.shape[0])
    assert np.abs(tile[:rows] - whole[:rows, :512]).mean() < 2.0
    small = picture("preview.jpg?size=320")
    assert max(small.shape) == 320
    expected = Image.open(path).convert("L").resize(small.shape[::-1], Image.Resampling.BOX)
    assert np.abs(small - np.asarray(expected, float)).mean() < 4.0
    address = f"/api/frames/{RIGHT}/preview.jpg?size=320"
    first = sample_client.ask("GET", address)
    again = sample_client.ask("GET", address, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    named = sample_client.ask("GET", f"{address}&v={frame['version']}")
    assert "immutable" in named.headers["cache-control"]
    for wrong in (f"photo/{top + 1}/0/0.jpg", f"photo/{top}/99/0.jpg", "photo/-1/0/0.jpg"):
        assert is_refused(sample_client.ask("GET", f"/api/frames/{RIGHT}/{wrong}"), 404)


def test_another_photo_is_not_shown_in_place_of_one_that_changed(
    review_server: Serve, sample_review: Path
) -> None:
    photo = sample_review.parent / "photos" / "ISS990-E-000104.jpg"
    with review_server(sample_review) as client:
        address = f"/api/frames/{RIGHT}/preview.jpg"
        Image.new("RGB", (640, 426)).save(photo)
        answer = client.ask("GET", address)
        assert (answer.status_code, "has changed" in answer.json()["detail"]) == (409, True)
        photo.unlink()
        answer = client.ask("GET", address)
        assert (answer.status_code, "is missing" in answer.json()["detail"]) == (404, True)


def test_map_tiles_show_the_lights_where_they_are(sample_client: Client) -> None:
    """Grey is log10(1 + L) of the radiance L, black at 0 and white at 3."""
    place = truth_of(FRAME)["reference_points"][0]
    zoom, half_turn = 9, np.arcsinh(np.tan(np.radians(place["lat"]))) / np.pi
    x = int((place["lon"] + 180.0) / 360.0 * 2**zoom)
    y = int((1.0 - half_turn) / 2.0 * 2**zoom)
    answer = sample_client.ask("GET", f"/api/maps/lights/{zoom}/{x}/{y}.png")
    tile = np.asarray(Image.open(io.BytesIO(answer.content)).convert("LA"), float)
    across = (np.arange(256) + 0.5) / 256.0
    lon = (x + across) / 2**zoom * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * (y + across) / 2**zoom))))
    with rasterio.open(LIGHTS) as lights:
        values = lights.read(1)
        columns = np.floor((lon - lights.bounds.left) / lights.res[0]).astype(int)
        rows = np.floor((lights.bounds.top - lat) / lights.res[1]).astype(int)
    expected = np.log10(1.0 + np.maximum(values[np.ix_(rows, columns)], 0.0)) / 3.0 * 255.0
    assert tile[..., 1].min() == 255
    assert np.corrcoef(expected.ravel(), tile[..., 0].ravel())[0, 1] > 0.95
    assert abs((expected - tile[..., 0]).mean()) < 3.0
    sea = sample_client.ask("GET", "/api/maps/lights/5/0/16.png")
    assert np.asarray(Image.open(io.BytesIO(sea.content)).convert("LA"))[..., 1].max() == 0
    assert is_refused(sample_client.ask("GET", "/api/maps/lights/3/8/0.png"), 404)


def test_towns_are_found_by_name_and_in_a_box(client: Client) -> None:
    (paris, *_) = client.told("places/search?q=paris, us")["places"]
    assert (paris["name"], paris["country"]) == ("Paris", "United States")
    assert client.told("places/search?q=東京&limit=1")["places"][0]["name"] == "Tokyo"
    inside = client.told("places?bbox=138,34,141,37&limit=5")["places"]
    assert inside[0]["name"] == "Tokyo"
    assert all(138 <= one["lon"] <= 141 and 34 <= one["lat"] <= 37 for one in inside)
    outline = client.told("outlines/5/28/12.json")
    assert outline["unit_deg"] > 0
    assert len(outline) > 1
    assert is_refused(client.ask("GET", "/api/outlines/4/0/0.json"), 404)


def test_the_page_starts_at_what_was_told_and_not_at_what_was_refuted(
    review_server: Serve, tmp_path: Path
) -> None:
    told = replace(
        proposal(), verdict="no_match", solved=None, control_points=(), footprint=None, fit=None,
        hypotheses=(), footprint_diagonal_km=None,
    )  # fmt: skip
    assert told.nadir is not None
    found = replace(told, frame="anywhere", nadir=replace(told.nadir, source="lights"))
    with review_server(write_store(tmp_path / "run.h5", [told, found])) as client:
        first, second = (client.told(f"frames/{number}") for number in (0, 1))
    assert (first["nadir"]["lon"], first["nadir"]["source"]) == (136.9, "tle")
    assert len(first["horizon"]) > 2
    assert (second["nadir"], second["horizon"], second["camera"]) == (None, [], None)


def test_the_ground_in_sight_is_seen_edge_on_at_its_outline(client: Client) -> None:
    ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    for number in (3, 8, 24, 28):
        frame = client.told(f"frames/{number}")
        nadir, ring = frame["nadir"], np.array(frame["horizon"])
        eye = np.array(ecef.transform(nadir["lon"], nadir["lat"], 1e3 * nadir["altitude_km"]))
        ground, above = (
            np.stack(ecef.transform(*ring.T, np.full(len(ring), height_m)), axis=1)
            for height_m in (0.0, 1000.0)
        )
        sight = (eye - ground) / np.linalg.norm(eye - ground, axis=1)[:, None]
        rise = (sight * (above - ground)).sum(axis=1) / 1000.0
        assert np.abs(np.degrees(np.arcsin(rise))).max() < 0.01


def test_photos_that_have_moved_are_shown(store_copy: Path, tmp_path: Path) -> None:
    (store_copy.parent / "photos").rename(tmp_path / "elsewhere")
    for photos, there in ((None, False), (tmp_path / "elsewhere", True)):
        with serve(store_copy, photos=photos) as client:
            assert client.told("frames/0")["photo"] is there
            assert client.ask("GET", "/api/frames/0/preview.jpg").status_code == (
                200 if there else 404
            )
