"""Batches with photos by URL: fetched ahead, once, told by their URL, and gone afterwards."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from regengine.batch.remote import AHEAD, PREFIX, find_given, passing_folder, photos_at_hand
from regengine.batch.run import BatchOptions, BatchSummary, run_batch
from regengine.errors import ConfigError
from regengine.io.urls import Url
from regengine.registration.neighbour_priors import NeighbourPrior
from regengine.result import FrameResult
from regengine.store.snapshot import read_store
from regengine.store.writer import StoreWriter
from tests.example_results import fake_process
from tests.regengine.batch import sharing_stand_in
from tests.regengine.io.photo_server import PhotoServer, photo_server

OPTIONS = BatchOptions(parameters="{}", parameters_sha256="p", workers=0)


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


def serve(server: PhotoServer, *names: str) -> list[Url]:
    for name in names:
        server.files[f"/p/{name}"] = name.encode()
    return [Url(server.url(f"/p/{name}")) for name in names]


def run(
    photos: list[Path | Url],
    store: Path,
    folder: Path,
    options: BatchOptions = OPTIONS,
    process=fake_process,
) -> tuple[dict[str, FrameResult], BatchSummary]:
    reported: list[FrameResult] = []
    folder.mkdir(exist_ok=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        StoreWriter(store) as writer,
    ):
        patch.setattr("tempfile.tempdir", str(folder))
        with photos_at_hand(photos, writer, options) as (at_hand, told):
            summary = run_batch(at_hand, process, writer, told, reported.append)
            (passing,) = folder.iterdir()
            assert [path.name for path in passing.iterdir()] == ["lock"]
    assert list(folder.iterdir()) == []
    assert len(reported) == len({result.path for result in reported})
    return {result.path: result for result in reported}, summary


def test_photos_are_told_by_their_url(tmp_path: Path, server: PhotoServer) -> None:
    urls = serve(server, "a.jpg", "bad.jpg", "crash.jpg", "dark.jpg")
    missing = Url(server.url("/p/missing.jpg?token=abc"))
    here = tmp_path / "here.jpg"
    here.write_bytes(b"here")
    told, summary = run([*urls[:2], here, *urls[2:], missing], tmp_path / "run.h5", tmp_path / "f")
    assert list(told) == [
        *map(str, urls[:2]),
        str(here),
        *map(str, urls[2:]),
        server.url("/p/missing.jpg?token=***"),
    ]
    assert summary.verdicts == {"accepted": 2, "no_match": 1, "failed": 3}
    by_name = {result.frame: result for result in told.values()}
    assert by_name["a"].sha256 == hashlib.sha256(b"a.jpg").hexdigest()
    codes = {name: r.reasons[0].code for name, r in by_name.items() if r.verdict == "failed"}
    assert codes == {"bad": "unreadable", "crash": "internal_error", "missing": "not_found"}
    for name in ("bad", "crash", "missing"):
        text = by_name[name].reasons[0].text
        assert text.startswith(server.url(f"/p/{name}.jpg"))
        assert str(tmp_path) not in text


def test_workers_get_copies_too(tmp_path: Path, server: PhotoServer) -> None:
    urls = serve(server, *(f"{n}.jpg" for n in range(3 * AHEAD)))
    told, summary = run(list(urls), tmp_path / "r.h5", tmp_path / "f", replace(OPTIONS, workers=1))
    assert summary.verdicts == {"accepted": len(urls)}
    assert set(told) == set(map(str, urls))


def test_what_the_store_has_is_not_fetched_again(tmp_path: Path, server: PhotoServer) -> None:
    urls = serve(server, "a.jpg", "dark.jpg")
    missing = Url(server.url("/p/late.jpg"))
    store = tmp_path / "run.h5"
    first, _ = run([*urls, missing], store, tmp_path / "f")
    (new,) = serve(server, "new.jpg")
    serve(server, "late.jpg")
    again, summary = run([new, *urls, missing], store, tmp_path / "f")
    assert summary.resumed == 2
    assert summary.verdicts == {"accepted": 3, "no_match": 1}
    assert {path: again[path] for path in map(str, urls)} == {
        path: first[path] for path in map(str, urls)
    }
    # What could not be fetched is tried again, and takes its own place in the store
    assert dict(server.asked) == {
        "/p/a.jpg": 1,
        "/p/dark.jpg": 1,
        "/p/late.jpg": 2,
        "/p/new.jpg": 1,
    }
    assert len(read_store(store)) == 4
    run([urls[0]], store, tmp_path / "f", replace(OPTIONS, resume=False))
    assert server.asked["/p/a.jpg"] == 2


def test_the_same_photo_of_two_addresses_is_done_once(tmp_path: Path, server: PhotoServer) -> None:
    (url,) = serve(server, "a.jpg")
    server.files["/q/a.jpg"] = server.files["/p/a.jpg"]
    told, _ = run([url, Url(server.url("/q/a.jpg"))], tmp_path / "run.h5", tmp_path / "f")
    assert list(told) == [str(url)]


def test_a_second_pass_fetches_what_it_searches_again(tmp_path: Path, server: PhotoServer) -> None:
    def process(path: Path, hints: NeighbourPrior | None = None) -> FrameResult:
        assert path.read_bytes() == path.name.encode()
        return sharing_stand_in.register(path, hints)

    urls = serve(server, "0000_a.jpg", "0500_b_hard.jpg", "0900_dark.jpg")
    options = replace(OPTIONS, facts_of=sharing_stand_in.facts_of)
    told, summary = run(list(urls), tmp_path / "run.h5", tmp_path / "f", options, process)
    assert summary.verdicts == {"accepted": 2, "no_match": 1}
    assert [server.asked[f"/p/{n}.jpg"] for n in ("0000_a", "0500_b_hard", "0900_dark")] == [
        1,
        2,
        1,
    ]
    assert {frame.result.path for frame in read_store(tmp_path / "run.h5")} == set(told)


def test_no_more_than_a_few_lie_ready(tmp_path: Path, server: PhotoServer) -> None:
    urls = serve(server, *(f"{n}.jpg" for n in range(4 * AHEAD)))
    most = 0

    def process(path: Path) -> FrameResult:
        nonlocal most
        most = max(most, len(list(path.parent.parent.iterdir())))
        return fake_process(path)

    run(list(urls), tmp_path / "run.h5", tmp_path / "f", process=process)
    assert 1 < most <= AHEAD + 2


def test_the_folder_goes_with_the_run_and_a_killed_one_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"{PREFIX}killed"
    left.mkdir()
    (left / "lock").touch()
    (left / "x.jpg").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
    with passing_folder() as one:
        assert not left.exists()
        (one / "x.jpg").touch()
        with passing_folder() as other:
            assert one.exists()
            assert other != one
        assert not other.exists()
    assert not one.exists()
    assert (tmp_path / "elsewhere").exists()


def test_arguments_are_paths_urls_and_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.jpg", "@c.jpg"):
        Path(name).touch()
    Path("list.txt").write_text("# mine\n\nhttps://a.org/1.jpg\n  b.jpg\nhttps://a.org/2.jpg\r\n")
    found = find_given(["a.jpg", "@list.txt", "https://a.org/1.jpg", "*.jpg"])
    one, two = Url("https://a.org/1.jpg"), Url("https://a.org/2.jpg")
    assert found == [Path("a.jpg"), one, Path("b.jpg"), two, Path("@c.jpg")]
    assert find_given(["@c.jpg"]) == [Path("@c.jpg")]
    with pytest.raises(ConfigError, match=r"nothing\.txt cannot be read as a list of photos"):
        find_given(["@nothing.txt"])


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def absent(scheme: str) -> None:
        raise ImportError(f"Install {scheme}fs to access it")

    monkeypatch.setattr(fsspec, "get_filesystem_class", absent)
    with pytest.raises(ConfigError, match=r"s3://b/x\.jpg cannot be fetched \(Install s3fs"):
        find_given(["s3://b/x.jpg"])
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ConfigError, match=r"pip install 'regengine\[remote\]'"):
        find_given(["s3://b/x.jpg"])
    assert find_given(["https://a.org/x.jpg"]) == [Url("https://a.org/x.jpg")]
