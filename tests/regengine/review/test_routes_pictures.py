"""Pictures over HTTP: what is sent, what the browser may keep, what is said where there is none."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image

from regengine.review import routes_pictures, routes_places
from regengine.review.app import answer_problems
from regengine.review.photo_tiles import PhotoPyramids
from tests.regengine.review.made_review import Browser

Get = Callable[..., httpx.Response]


class Frames:
    """Frame 3 is a photo, frame 4 one that killed a worker."""

    def __init__(self, path: Path, sha256: str) -> None:
        self._path, self._sha256 = path, sha256

    def frame(self, number: int) -> Any:
        reasons = {3: (), 4: (SimpleNamespace(code="worker_died"),)}[number]
        return SimpleNamespace(result=SimpleNamespace(sha256=self._sha256, reasons=reasons))

    def photo(self, number: int) -> Path | None:
        return self._path if self._path.is_file() else None


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "evil<script>&.jpg"
    pixels = np.random.default_rng(2).integers(0, 40, (700, 1100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def sha256(photo: Path) -> str:
    return hashlib.sha256(photo.read_bytes()).hexdigest()


def asker(photo: Path) -> Get:
    """Asks a server of one photo, without a map."""
    frames = Frames(photo, hashlib.sha256(photo.read_bytes()).hexdigest())
    context: Any = SimpleNamespace(frames=frames, light_map=None, pyramids=PhotoPyramids())
    app = FastAPI()
    answer_problems(app)
    app.include_router(routes_pictures.router(context))
    app.include_router(routes_places.router(context))

    browser = Browser(app)
    return lambda path, **headers: browser.get(path, headers=headers)


@pytest.fixture
def get(photo: Path) -> Get:
    return asker(photo)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("photo/0/0/0.jpg", (512, 512)),
        ("photo/2/2/1.jpg", (512, 512)),
        ("preview.jpg", (1024, 652)),
        ("preview.jpg?size=110", (110, 70)),
    ],
)
def test_pictures_are_sent(get: Get, path: str, size: tuple[int, int]) -> None:
    answer = get(f"/api/frames/3/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("JPEG", size)


def test_a_picture_is_not_sent_twice(get: Get) -> None:
    path = "/api/frames/3/preview.jpg?size=100"
    first = get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = get(path, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = get("/api/frames/3/preview.jpg?size=101", **{"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


@pytest.mark.parametrize(("digits", "for_ever"), [(16, True), (15, False), (0, False)])
def test_a_picture_of_a_named_photo_is_kept_for_ever(
    get: Get, sha256: str, digits: int, for_ever: bool
) -> None:
    kept = get(f"/api/frames/3/photo/0/0/0.jpg?v={sha256[:digits]}").headers["cache-control"]
    assert ("immutable" in kept) == for_ever


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/frames/5/preview.jpg", 404, "no frame 5"),
        ("/api/frames/4/preview.jpg", 422, "worker process die"),
        ("/api/frames/3/preview.jpg?size=63", 422, "size"),
        ("/api/frames/3/preview.jpg?size=2049", 422, "size"),
        ("/api/frames/3/photo/2/3/0.jpg", 404, "no tile 2/3/0"),
        ("/api/frames/3/photo/2/x/0.jpg", 422, "x"),
        ("/api/frames/..%2f..%2fetc/preview.jpg", 404, "Not Found"),
        ("/api/lights/0/0/0.png", 404, "no night-light map"),
        ("/api/places?bbox=1,2,3", 422, "west,south,east,north"),
        ("/api/places?bbox=1,nan,3,4", 422, "west,south,east,north"),
        ("/api/places?bbox=1,20,3,4", 422, "south below north"),
        ("/api/places?bbox=1,2,3,4&limit=0", 422, "limit"),
        ("/api/places/search?q=" + "a" * 101, 422, "100"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(
    get: Get, path: str, status: int, words: str
) -> None:
    answer = get(path)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_another_photo_is_not_shown_in_its_place(get: Get, photo: Path) -> None:
    assert get("/api/frames/3/preview.jpg").status_code == 200
    whole = photo.read_bytes()
    photo.write_bytes(whole[:-1] + b"\0")
    os.utime(photo, ns=(5, 5))
    changed = get("/api/frames/3/preview.jpg")
    assert (changed.status_code, "has changed" in changed.json()["detail"]) == (409, True)
    photo.unlink()
    assert get("/api/frames/3/preview.jpg").status_code == 404
    photo.write_bytes(whole)
    assert get("/api/frames/3/preview.jpg").status_code == 200


def test_places_are_sent_with_their_countries(get: Get) -> None:
    found = get("/api/places?bbox=178.3,-18.2,178.48,-18.1&limit=1").json()
    assert found == {
        "places": [
            {
                "name": "Suva",
                "country": "Fiji",
                "state": "",
                "lon": pytest.approx(178.44, abs=0.02),
                "lat": pytest.approx(-18.14, abs=0.02),
                "population": 77366,
            }
        ]
    }
    assert get("/api/places/search?q=suva").json()["places"][0]["country"] == "Fiji"


def decoded(line: str, unit_deg: float) -> NDArray[np.float64]:
    """Google's encoded polyline, lon before lat, degrees."""
    steps, value, shift = [], 0, 0
    for letter in line:
        code = ord(letter) - 63
        value |= (code & 0x1F) << shift
        shift += 5
        if code < 0x20:
            steps.append(~(value >> 1) if value & 1 else value >> 1)
            value, shift = 0, 0
    return np.array(steps).reshape(-1, 2).cumsum(axis=0) * unit_deg


def test_outlines_lie_in_their_tile_and_break_at_the_antimeridian(get: Get) -> None:
    for place, least in (("0/0/0", 1000), ("5/31/17", 10), ("5/17/11", 20)):  # Fiji, the Alps
        answer = get(f"/api/outlines/{place}.json").json()
        z, x, y = (int(part) for part in place.split("/"))
        lines = [
            decoded(line, answer["unit_deg"])
            for kind in ("coast", "border", "lake")
            for line in answer.get(kind, [])
        ]
        assert len(lines) >= least
        for line in lines:
            lon, lat = line.T
            assert (np.abs(np.diff(lon)) < 180.0).all()  # nothing crosses the whole map
            across = (lon / 360.0 + 0.5) * 2**z
            down = (0.5 - np.arcsinh(np.tan(np.radians(lat))) / (2.0 * math.pi)) * 2**z
            # Each piece touches the tile
            assert across.max() >= x
            assert across.min() <= x + 1
            assert down.max() >= y
            assert down.min() <= y + 1
    assert get("/api/outlines/5/17/11.json").json()["border"]


def test_the_coast_lies_where_it_is_to_a_kilometre(get: Get) -> None:
    """Cabo da Roca, the most western point of Europe's mainland."""
    answer = get("/api/outlines/5/15/12.json").json()
    coast = np.vstack([decoded(line, answer["unit_deg"]) for line in answer["coast"]])
    near = coast[np.abs(coast[:, 1] - 38.78) < 0.1]
    assert near[:, 0].min() == pytest.approx(-9.50, abs=0.012)


def test_outlines_are_kept_by_the_browser(get: Get) -> None:
    answer = get("/api/outlines/5/17/11.json")
    again = {"If-None-Match": answer.headers["etag"]}
    assert get("/api/outlines/5/17/11.json", **again).status_code == 304
    assert get("/api/outlines/4/0/0.json").status_code == 404
    assert get("/api/outlines/5/32/0.json").status_code == 404
