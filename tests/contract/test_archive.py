"""The archive of astronaut photos: its database asked, its pictures fetched, its photos by name."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.world.maps import made
from tests.world.program import Said, run
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.services import ArchiveService, night_picture

FRAME = "ISS990-E-101"
Ask = Callable[..., Said]


@pytest.fixture(autouse=True)
def place(
    archive: ArchiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """A key, a cache, a data folder and an empty folder to work in; nobody waits."""
    monkeypatch.setenv("JSC_PHOTOS_KEY", archive.KEY)
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


# The database ------------------------------------------------------------------------------------


def ask(*words: object) -> Said:
    return run("archive", "query", "--mission", "iss990", *words)


def numbers(said: Said) -> list[int]:
    assert said.code == 0, said.err
    return sorted(int(row["frame_id"].rpartition("-")[2]) for row in said.records)


def test_both_tables_are_asked_and_put_together(archive: ArchiveService) -> None:
    day = "20250827"  # far from any element set: nothing contradicts the nadir
    archive.add_frame(1, day=day, catalogued=True)
    archive.add_frame(2, day=day)
    archive.add_frame(3, day=day, focal=None)  # no record of its camera: a join alone would lose it
    archive.add_frame(4, mission="ISS991")
    said = ask("--json")
    assert numbers(said) == [1, 2, 3]
    first, second, third = said.records
    assert (first["place"], first["centre_lat"]) == ("PACIFIC", 35.5)
    assert (first["sources"], first["problems"]) == (["frames", "nadir"], [])
    assert (second["focal_mm"], second["camera"]) == (50.0, "Nikon D3S")
    assert (third["focal_mm"], third["nadir_lon"]) == (None, -151.8)
    assert "3 questions, 0 from the cache" in said.err
    assert ask("--out", "found.csv").code == 0
    assert list(pd.read_csv("found.csv").frame_id) == [f"ISS990-E-{n}" for n in (1, 2, 3)]
    asked = len(archive.requests)
    said = ask("--out", "found.csv")  # never replaced, nothing asked
    assert (said.code, len(archive.requests)) == (2, asked)
    said = ask("--dry-run")
    assert (len(said.out.splitlines()), len(archive.requests)) == (3, asked)
    assert archive.KEY not in said.out


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["--sun-elevation", "night"], [1, 3, 4]),
        (["--focal-mm", "50,85"], [1, 2]),
        (["--from", "2014-01-18", "--to", "2014-02-02"], [2, 3]),
        (["--bbox", "170,-60,-150,60"], [1, 2, 3]),
        (["--table", "frames"], [2]),
    ],
)
def test_conditions_hold(archive: ArchiveService, wanted: list[str], expected: list[int]) -> None:
    archive.add_frame(1)
    archive.add_frame(2, day="20140118", sun=5.0, focal="85", catalogued=True)
    archive.add_frame(3, day="20140202", lon=179.9, focal="400")
    archive.add_frame(4, lon=120.0, focal=None)
    assert numbers(ask(*wanted, "--json")) == expected


@pytest.mark.parametrize(("limit", "is_dated"), [("rows", True), ("bytes", False)])
def test_answers_that_are_cut_are_asked_for_in_parts(
    archive: ArchiveService, limit: str, is_dated: bool
) -> None:
    draw = random.Random(7)
    for number in draw.sample(range(1, 2_000_000), 310):
        archive.add_frame(number, day=f"201401{draw.choice(['05', '17', '17', '17', '30'])}")
    if limit == "rows":
        archive.most_rows = 150  # more on one day than an answer may have
    else:
        archive.most_bytes = 15_000
    days = ("--from", "2014-01-01", "--to", "2014-01-31") if is_dated else ()
    assert len(numbers(ask("--table", "nadir", *days, "--json"))) == 310
    asked = len(archive.requests)
    assert asked < 120
    assert len(numbers(ask("--table", "nadir", *days, "--json"))) == 310
    assert len(archive.requests) - asked < asked / 2
    # Each half ends where the other begins
    queries = [request.query["query"] for request in archive.requests]
    ends = {end: {int(n) for query in queries for n in re.findall(rf"frame\|{end}\|(\d+)", query)}
            for end in ("ge", "le")}  # fmt: skip
    assert {low - 1 for low in ends["ge"] if low} <= ends["le"]
    assert len(ends["ge"]) > 1


def test_an_interrupted_query_goes_on(
    archive: ArchiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add_frame(1)
    archive.add_frame(2, day="20140220")
    wanted = ("--from", "2014-01-01", "--to", "2014-02-28", "--table", "nadir", "--json")
    archive.faults["*"] = ["ok", "ok", *[500] * 5]
    said = ask(*wanted)
    assert (said.code, said.out) == (3, "")
    said = ask(*wanted)
    assert numbers(said) == [1, 2]
    assert "2 questions, 2 from the cache" in said.err
    kept = sorted((tmp_path / "cache").rglob("*.json"))
    assert len(kept) == 4
    assert not any(archive.KEY in str(path) + path.read_text() for path in kept)
    # All is known: no key, no network
    monkeypatch.delenv("JSC_PHOTOS_KEY")
    asked = len(archive.requests)
    assert (numbers(ask(*wanted)), len(archive.requests)) == ([1, 2], asked)
    # Damaged answers are asked for anew
    monkeypatch.setenv("JSC_PHOTOS_KEY", archive.KEY)
    for path, content in zip(kept, ("{", "[]", '{"question": 1, "rows": 2}', "["), strict=True):
        path.write_text(content)
    assert (numbers(ask(*wanted)), len(archive.requests)) == ([1, 2], asked + 4)


MISSION = ("query", "--mission", "ISS990")
# Words, address of the archive, code, part of the sentence
SENSELESS: tuple[tuple[tuple[str, ...], str, int, str], ...] = (
    (("query", "--sun-elevation", "night"), "", 2, "the whole database is too much"),
    (("query", "--mission", "ISS030|x|eq|1"), "", 2, "--mission"),
    (("query", "--from", "2014-01-01"), "", 2, "--from and --to together"),
    (("query", "--from", "yesterday", "--to", "2014-01-01"), "", 2, "--from"),
    ((*MISSION, "--focal-mm", "1,2,3"), "", 2, "--focal-mm"),
    ((*MISSION, "--bbox", "0,50,1,40"), "", 2, "--bbox"),
    ((*MISSION, "--table", "users"), "", 2, "--table 'users'"),
    ((*MISSION, "--sun-elevation", "-9,-10"), "", 2, "--sun-elevation"),
    (("fetch", "../../etc/none"), "", 2, "neither a photo's id"),
    (("fetch", FRAME, "--out", "file"), "", 3, "cannot be written"),
    (MISSION, "http://example.org", 2, "expose the key"),
    (("fetch", FRAME), "https://me:pw@example.org", 2, "write https"),
    (MISSION, "file:///etc/passwd", 2, "write https"),
)


@pytest.mark.parametrize(
    ("words", "copy", "code", "why"), SENSELESS, ids=[f"{row[0]}{row[1]}" for row in SENSELESS]
)
def test_questions_without_sense_are_refused_before_anything_is_asked(
    archive: ArchiveService, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], copy: str,
    code: int, why: str,
) -> None:  # fmt: skip
    Path("file").write_text("")
    if copy:
        monkeypatch.setenv("REGENGINE_ARCHIVE", copy)
    out = ("--out", "photos") if words[0] == "fetch" and "--out" not in words else ()
    said = run("archive", *words, *out)
    assert (said.code, why in said.err) == (code, True), said.err
    assert not copy or "REGENGINE_ARCHIVE" in said.err
    assert "pw" not in said.err.replace("passwd", "")
    assert archive.requests == []


# Pictures ----------------------------------------------------------------------------------------


@pytest.fixture
def fetch(archive: ArchiveService) -> Ask:
    """``archive fetch`` into a folder that is not there yet."""
    for number in (101, 102, 103):
        archive.add_picture(f"ISS990-E-{number}", night_picture())
    return lambda *words: run("archive", "fetch", *words, "--out", "photos", "--json")


def test_pictures_come_whole_with_their_sums(archive: ArchiveService, fetch: Ask) -> None:
    Path("found.csv").write_text("frame_id\nISS990-E-102\nISS990-E-101\n")
    said = fetch("iss990e000101", "found.csv", "ISS990-E-9")
    assert said.code == 1
    assert "2 fetched, 1 absent" in said.err
    assert [one["status"] for one in said.records] == ["fetched", "fetched", "absent"]
    assert made(Path("photos")) == ["ISS990-E-101.JPG", "ISS990-E-102.JPG", "SHA256SUMS"]
    path = Path("photos/ISS990-E-101.JPG")
    assert path.read_bytes() == night_picture()
    told = [said.records[0][name] for name in ("sha256", "bytes", "file")]
    whole = hashlib.sha256(night_picture()).hexdigest(), len(night_picture())
    assert told == [*whole, str(path)]
    if shutil.which("sha256sum"):  # the list is what that program reads
        check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
        subprocess.run(check, cwd="photos", check=True)
    asked = len(archive.requests)
    said = fetch("ISS990-E-101")
    assert (said.code, said.records[0]["status"], len(archive.requests)) == (0, "present", asked)
    archive.add_picture("ISS990-E-102", night_picture() * 2, size="small")
    said = fetch("ISS990-E-102", FRAME, "--size", "small", "--force", "--max-gigabytes", 1e-6)
    assert [one["bytes"] for one in said.records] == [2 * len(night_picture())]
    assert "1e-06 GB fetched: raise the limit with --max-gigabytes" in said.err


def test_pictures_that_were_changed_are_told_and_kept(fetch: Ask) -> None:
    fetch(FRAME)
    path, other = Path(f"photos/{FRAME}.JPG"), Path("photos/ISS990-E-102.JPG")
    path.write_bytes(night_picture() + b"edited")
    assert "has changed since it was fetched" in fetch(FRAME).records[0]["why"]
    assert path.read_bytes() == night_picture() + b"edited"
    fetch(FRAME, "--force")
    assert path.read_bytes() == night_picture()
    other.write_bytes(b"mine")  # somebody's own file
    sums = Path("photos/SHA256SUMS")
    sums.write_bytes(sums.read_bytes() + b"0123")  # a line that a kill cut short
    assert fetch("ISS990-E-102", "ISS990-E-103").code == 0
    assert other.read_bytes() == b"mine"
    assert sums.read_text().count(".JPG") == 3


# Photos by name ----------------------------------------------------------------------------------


@pytest.fixture
def register(archive: ArchiveService, tmp_path: Path) -> Ask:
    archive.add_frame(101, day="20250827", lat=-35.1, lon=151.8)
    archive.add_picture(FRAME, night_picture())
    # Elements are years from the photos: no orbit is known
    where = ("--lights", LIGHTS, "--tle", ELEMENTS, "--store", tmp_path / "run.h5")
    how = ("--workers", "0", "--json", "--max-seconds", "1")
    return lambda *words: run("register", *where, *how, *words)


@pytest.mark.slow  # two searches of what is no town
def test_a_photo_by_name_comes_once_with_what_the_archive_knows(
    archive: ArchiveService, register: Ask, tmp_path: Path
) -> None:
    (told,) = register("iss990e000101", "--dry-run").records
    assert (told["frame"], told["would_fetch"]) == (FRAME, True)
    archive.add_picture("ISS990-E-102", night_picture() + b"small", size="small")  # no large one
    said = register("iss990e000101", "ISS990-E-9", "ISS990-E-102")
    assert said.code == 1
    by_frame = {record["frame"]: record for record in said.records}
    assert by_frame["ISS990-E-9"]["reasons"] == ["not_found"]
    assert by_frame["ISS990-E-9"]["reason_texts"][0].startswith("ISS990-E-9 is not in the archive")
    assert by_frame["ISS990-E-102"]["nadir"] is None
    assert "ISS990-E-102: time and place unknown" in said.err
    photo = by_frame[FRAME]
    assert Path(photo["path"]) == tmp_path / "data" / "photos" / "ISS990" / f"{FRAME}.JPG"
    assert Path(photo["path"]).read_bytes() == night_picture()
    assert photo["time_utc"] == "2025-08-27T07:46:02Z"
    assert (photo["nadir"]["lat"], photo["nadir"]["lon"]) == (-35.1, 151.8)
    assert photo["nadir"]["altitude_km"] == pytest.approx(413.0 + 7.0, abs=1.0)
    assert (photo["image"]["focal_mm"], photo["image"]["camera_body"]) == (50.0, "NIKON D3S")
    # What is there is not asked for again; what the archive learns later is
    asked = Counter(archive.asked)
    archive.add_frame(102, day="20250827", lat=10.0)
    said = register(FRAME, "ISS990-E-102", "--no-resume", "--store", tmp_path / "again.h5")
    assert said.code == 0
    assert archive.asked - asked == {archive.PAGE: 1}
    nadirs = {record["frame"]: record["nadir"]["lat"] for record in said.records}
    assert nadirs == {FRAME: -35.1, "ISS990-E-102": 10.0}


def test_names_are_taken_as_people_write_them_and_a_file_of_that_name_comes_first(
    archive: ArchiveService, register: Ask
) -> None:
    Path("names.txt").write_text("# of one pass\nISS990-E-101\n\niss990e000101\n")
    page = "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS990&roll=E&frame=101"
    for word in ("iss990e101_lrg.jpg", page, "@names.txt"):
        (told,) = register(word, "--dry-run").records
        assert (told["frame"], told.get("would_fetch")) == (FRAME, True)
    Path("ISS990-E-101.JPG").write_bytes(night_picture())
    (told,) = register("ISS990-E-101.JPG", "--dry-run").records
    assert "would_fetch" not in told
    assert archive.requests == []
    assert register("photos/ISS990-E-101.JPG", "--dry-run").code == 3  # a path is no name


def test_without_a_network_each_name_fails_with_a_sentence(
    register: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("REGENGINE_ARCHIVE", f"http://127.0.0.1:{closed.getsockname()[1]}")
    said = register(*(f"ISS990-E-{number}" for number in range(101, 106)))
    assert said.code == 1
    texts = sorted(record["reason_texts"][0] for record in said.records)
    assert sum("127.0.0.1 cannot be reached: check the network" in text for text in texts) == 3
    assert sum("was not requested" in text for text in texts) == 2
    monkeypatch.setenv("REGENGINE_ARCHIVE", "http://example.org")
    said = register("ISS990-E-107")
    assert (said.code, "REGENGINE_ARCHIVE" in said.err) == (2, True)
