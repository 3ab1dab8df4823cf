"""Photos by URL, and photos of the archive by name: fetched once, told as they were given."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.world.faults import write_photos
from tests.world.program import Said, run
from tests.world.services import ArchiveService, Service

LIGHTS = ROOT / "data_samples" / "lights.tif"


@pytest.fixture
def photos(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A server of ``/a.png``, ``/b.png`` and ``/c.png``; an empty folder to work in."""
    (tmp_path / "work").mkdir()
    (tmp_path / "copies").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    for name, path in zip("abc", write_photos(tmp_path / "served", 3), strict=True):
        service.files[f"/{name}.png"] = path.read_bytes()
    return service


def register(*words: object) -> Said:
    said = run("register", "--lights", LIGHTS, "--blind", "never", "--workers", 0, "--json", *words)
    # Copies are gone when the run is over
    assert list(Path(tempfile.gettempdir()).iterdir()) == []
    return said


def verdicts(said: Said) -> dict[str, tuple[str, list[str]]]:
    return {record["path"]: (record["verdict"], record["reasons"]) for record in said.records}


def test_photos_by_url_and_list_are_registered_once_and_told_by_their_url(
    photos: Service, tmp_path: Path
) -> None:
    Path("list.txt").write_text(f"{photos.url('/b.png')}\n{photos.url('/gone.png')}\n")
    given = (photos.url("/a.png"), "@list.txt", photos.url("/a.png"))
    said = register(*given)
    assert said.code == 1
    nothing = ("no_match", ["no_ephemeris"])
    assert verdicts(said) == {
        photos.url("/a.png"): nothing,
        photos.url("/b.png"): nothing,
        photos.url("/gone.png"): ("failed", ["not_found"]),
    }
    assert str(tmp_path) not in said.out
    again = register(*given, photos.url("/c.png"))
    assert "4 photos (2 from the store)" in again.err
    assert photos.asked == {"/a.png": 1, "/b.png": 1, "/gone.png": 2, "/c.png": 1}
    register(photos.url("/a.png"), "--no-resume")
    assert photos.asked["/a.png"] == 2


@pytest.mark.slow
def test_workers_get_copies_too(photos: Service) -> None:
    said = register(*(photos.url(f"/{name}.png") for name in "abc"), "--workers", 1)
    assert set(verdicts(said)) == {photos.url(f"/{name}.png") for name in "abc"}


def test_a_dry_run_fetches_nothing(photos: Service) -> None:
    said = register(photos.url("/ISS030-E-1.jpg"), "--dry-run")
    assert said.records == [
        {
            "frame": "ISS030-E-1",
            "path": photos.url("/ISS030-E-1.jpg"),
            "stored": None,
            "would_fetch": True,
        }
    ]
    assert not photos.requests


@pytest.mark.parametrize(
    ("faults", "asked", "reasons"),
    [
        ([503, "cut"], 3, ["no_ephemeris"]),
        ([404], 1, ["not_found"]),
        ([403], 1, ["unreadable"]),
        (["long"] * 3, 3, ["unreadable"]),
        (["login"], 1, ["unreadable"]),
        (["half"], 1, ["unreadable"]),
        (["unsized"], 1, ["no_ephemeris"]),
    ],
)
def test_a_photo_is_whole_or_fails_with_a_sentence(
    photos: Service, faults: list[object], asked: int, reasons: list[str]
) -> None:
    photos.faults["/a.png"] = faults
    said = register(photos.url("/a.png"), photos.url("/b.png"))
    first, second = said.records
    assert (first["reasons"], photos.asked["/a.png"]) == (reasons, asked)
    assert second["reasons"] == ["no_ephemeris"]
    assert "unforeseen" not in said.out
    assert photos.url("/a.png") in first["reason_texts"][0]


def test_redirects_are_followed_on_the_same_host_alone(photos: Service) -> None:
    other = photos.address.replace("127.0.0.1", "localhost")
    photos.faults["/here.png"] = [f"to:{photos.url('/a.png')}"]
    photos.faults["/there.png"] = [f"to:{other}/b.png"]
    photos.always["/round.png"] = f"to:{photos.url('/round.png')}"
    said = register(*map(photos.url, ("/here.png", "/there.png", "/round.png")))
    told = [record["reasons"] for record in said.records]
    assert told == [["no_ephemeris"], ["unreadable"], ["unreadable"]]
    assert photos.asked["/b.png"] == 0


def test_secrets_of_urls_are_nowhere_but_where_the_photo_is_fetched(
    photos: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = photos.url("/a.png")
    secret = bare.replace("://", "://me:pa55word@") + "?token=t0ken"
    monkeypatch.setattr(sys, "argv", ["regengine", "register", secret])
    said = [register(secret, "--debug", *form) for form in ((), ("--dry-run",))]
    assert photos.requests[0].query == {"token": "t0ken"}
    assert photos.requests[0].headers["Authorization"].startswith("Basic ")
    said.append(register("--no-resume", photos.url("/gone.png?pwd=t0ken")))
    said.append(run("show", "run.h5", "a"))
    said.append(run("report", "run.h5", "--out", "report.html"))
    said.append(run("classify", secret))
    assert said[-1].code == 2
    contents = [one.out + one.err for one in said]
    contents += [path.read_bytes().decode("latin-1") for path in Path().iterdir()]
    assert len(contents) == len(said) + 2
    assert not any("pa55word" in text or "t0ken" in text for text in contents)
    with h5py.File("run.h5") as file:
        assert bare in str(file.attrs["command_line"])


@pytest.mark.parametrize(
    "wrong",
    ["file:" + "///etc/passwd", "gopher://a.org/x.jpg", "@nothing.txt", "nowhere://x/y.jpg"],
)
def test_what_is_no_photo_to_fetch_is_a_usage_error(photos: Service, wrong: str) -> None:
    said = register(wrong)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)


@pytest.mark.slow
def test_photos_of_the_archive_are_kept_and_need_no_network_again(
    archive: ArchiveService, photos: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", "data")
    archive.add_frame(7)
    noise = io.BytesIO()
    dark = np.random.default_rng(7).integers(0, 20, (300, 300), np.uint8)
    Image.fromarray(dark).save(noise, "JPEG", quality=90)
    path = archive.add_picture("ISS990-E-7", noise.getvalue())
    words = ("register", "ISS990-E-7", "iss990e000008", "--lights", LIGHTS, "--workers", 0)
    said = run(*words, "--json", "--any-category", "--max-seconds", 1)
    told = {record["frame"]: record for record in said.records}
    assert told["ISS990-E-8"]["reasons"] == ["not_found"]
    assert told["ISS990-E-7"]["verdict"] != "failed", json.dumps(told)
    assert archive.asked[path] == 1
    again = run(*words, "--json", "--any-category", "--max-seconds", 1)
    assert archive.asked[path] == 1
    assert "1 from the store" in again.err
    kept = [name for _, _, names in os.walk("data") for name in names]
    assert "ISS990-E-7.JPG" in kept
