"""Photos of the archive by name: fetched once with what is known of them, and then at hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regengine import api
from regengine.archive.by_name import ArchivePhotos
from regengine.archive.web import ArchiveClient
from regengine.batch.at_hand import kept_photo
from regengine.batch.remote import find_given, photo_at_hand, photos_at_hand
from regengine.batch.run import BatchOptions, run_batch
from regengine.errors import ConfigError, FrameError
from regengine.photo.frame import read_frame
from regengine.photo.frame_records import record_place
from regengine.result import FrameResult
from regengine.store.writer import StoreWriter
from tests.example_results import fake_process
from tests.regengine.archive.archive_server import PICTURES, ArchiveServer, add_frame
from tests.regengine.archive.test_archive_download import picture

Client = Callable[..., ArchiveClient]
FRAME = "ISS990-E-101"
OPTIONS = BatchOptions(parameters="{}", parameters_sha256="p", workers=0)


@pytest.fixture(autouse=True)
def data(archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's data folder, and an archive that has one photo."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REGENGINE_ARCHIVE", archive.address)
    monkeypatch.chdir(tmp_path)
    add_frame(archive, 101, lat=-35.1, lon=151.8)
    archive.pictures[f"{PICTURES}/large/ISS990/{FRAME}.JPG"] = picture()
    return tmp_path / "data"


@pytest.fixture
def photos(client: Client) -> ArchivePhotos:
    return ArchivePhotos(client())


@pytest.mark.parametrize(
    "name",
    [
        "ISS990-E-101",
        "iss990-e-101",
        "iss990e000101",
        "iss990e101_lrg.jpg",
        "ISS990-E-101.JPG",
        "ISS990_E_101",
        "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS990&roll=E&frame=101",
    ],
)
def test_names_as_people_write_them(name: str) -> None:
    assert find_given([name]) == [kept_photo(FRAME)]


def test_photos_on_film_have_names_too() -> None:
    assert find_given(["iss006-370-12"]) == [kept_photo("ISS006-370-12")]


@pytest.mark.parametrize("path", ["photos/ISS990-E-101.JPG", "my-iss990e101-edit.jpg", "iss.jpg"])
def test_paths_are_no_names(path: str) -> None:
    assert find_given([path]) == [Path(path)]


def test_a_file_of_that_name_comes_first() -> None:
    Path("ISS990-E-101.JPG").write_bytes(b"mine")
    assert find_given(["ISS990-E-101.JPG"]) == [Path("ISS990-E-101.JPG")]
    assert photo_at_hand("ISS990-E-101.JPG") == Path("ISS990-E-101.JPG")


@pytest.mark.parametrize("given", ["names.txt", "@names.txt"])
def test_names_in_a_text_file(given: str) -> None:
    Path("names.txt").write_text("# of one pass\nISS990-E-101\n\niss990e000102\nhere.jpg\n")
    expected = [kept_photo(FRAME), kept_photo("ISS990-E-102"), Path("here.jpg")]
    assert find_given([given, "ISS990-E-101"]) == expected


def test_a_photo_comes_with_its_record(photos: ArchivePhotos, data: Path) -> None:
    place = kept_photo(FRAME)
    photos.fetch(place)
    assert place == data / "photos" / "ISS990" / f"{FRAME}.JPG"
    assert place.read_bytes() == picture()
    frame = read_frame(place)
    assert frame.frame_id == FRAME
    assert frame.time_utc == datetime(2014, 1, 17, 7, 46, 2, tzinfo=UTC)
    assert frame.nadir == (151.8, -35.1)
    assert frame.altitude_km == pytest.approx(413.0 + 7.0, abs=1.0)  # above the ellipsoid
    assert (frame.focal_mm, frame.camera_body) == (50.0, "NIKON D3S")
    assert {frame.sources[name] for name in ("time", "nadir", "focal_mm")} == {"record"}


def test_what_is_there_is_not_asked_for_again(
    archive: ArchiveServer, photos: ArchivePhotos, client: Client
) -> None:
    photos.fetch(kept_photo(FRAME))
    archive.asked.clear()
    ArchivePhotos(client()).fetch(kept_photo(FRAME))
    assert archive.asked == []
    assert photo_at_hand("iss990e101") == kept_photo(FRAME)
    # The record alone was lost
    record_place(kept_photo(FRAME)).unlink()
    photos.fetch(kept_photo(FRAME))
    assert len(archive.asked) == 1
    assert read_frame(kept_photo(FRAME)).nadir == (151.8, -35.1)


def test_where_there_is_no_large_picture_the_small_one_is_taken(
    archive: ArchiveServer, photos: ArchivePhotos
) -> None:
    archive.pictures[f"{PICTURES}/small/ISS990/ISS990-E-102.JPG"] = picture(seed=2)
    photos.fetch(kept_photo("ISS990-E-102"))
    assert kept_photo("ISS990-E-102").read_bytes() == picture(seed=2)


def test_an_interrupted_picture_goes_on_in_the_next_run(
    archive: ArchiveServer, client: Client
) -> None:
    archive.faults = ["cut", "cut"]
    with pytest.raises(FrameError, match="what came is kept"):
        ArchivePhotos(client(attempts=2)).fetch(kept_photo(FRAME))
    assert not kept_photo(FRAME).exists()
    archive.headers.clear()
    ArchivePhotos(client()).fetch(kept_photo(FRAME))
    assert kept_photo(FRAME).read_bytes() == picture()
    assert "Range" in archive.headers[0]


def test_a_page_that_tells_nothing_costs_a_warning(
    archive: ArchiveServer, photos: ArchivePhotos, caplog: pytest.LogCaptureFixture
) -> None:
    archive.tables["nadir"].clear()
    photos.fetch(kept_photo(FRAME))
    assert read_frame(kept_photo(FRAME)).nadir is None
    assert "its lights alone can place it" in caplog.text
    # What the archive learns later is asked for again
    add_frame(archive, 101, lat=10.0)
    photos.fetch(kept_photo(FRAME))
    assert read_frame(kept_photo(FRAME)).nadir == (-151.8, 10.0)


def test_an_unknown_name_is_one_failed_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here.jpg"
    here.write_bytes(b"here")
    given = find_given(["ISS990-E-9", "here.jpg", "ISS990-E-101"])
    monkeypatch.setattr("regengine.archive.by_name.ArchiveClient", unhurried)
    told: list[FrameResult] = []
    with (
        StoreWriter(tmp_path / "run.h5") as writer,
        photos_at_hand(given, writer, OPTIONS) as (at_hand, options),
    ):
        summary = run_batch(at_hand, fake_process, writer, options, told.append)
    assert summary.verdicts == {"failed": 1, "accepted": 2}
    by_frame = {result.frame: result for result in told}
    (reason,) = by_frame["ISS990-E-9"].reasons
    assert reason.code == "not_found"
    assert reason.text.startswith("ISS990-E-9 is no photo of the archive")
    assert by_frame[FRAME].path == str(kept_photo(FRAME))
    assert kept_photo(FRAME).exists()  # it stays, unlike what is given by URL


def unhurried(**manners: float) -> ArchiveClient:
    return ArchiveClient(**{**manners, "pause_s": 0.0})


def test_without_a_network_each_name_fails_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REGENGINE_ARCHIVE", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("regengine.archive.by_name.ArchiveClient", unhurried)
    with pytest.raises(FrameError, match=r"127\.0\.0\.1 cannot be reached: check the network"):
        photo_at_hand(FRAME)
    archive = ArchivePhotos()
    reasons = []
    for number in range(101, 106):
        with pytest.raises(FrameError) as error:
            archive.fetch(kept_photo(f"ISS990-E-{number}"))
        reasons.append(str(error.value))
    assert all("cannot be reached" in text for text in reasons[:3])
    assert all("was not asked for" in text for text in reasons[3:])


def test_only_https_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGENGINE_ARCHIVE", "http://example.org")
    with pytest.raises(ConfigError, match="REGENGINE_ARCHIVE"):
        ArchivePhotos()


def test_a_run_says_what_it_would_fetch(tmp_path: Path, photos: ArchivePhotos) -> None:
    lights = Path(__file__).parents[3] / "data_samples" / "lights.tif"
    run = api.register_run(["iss990e101"], tmp_path / "run.h5", lights=lights)
    assert list(run.preview(as_json=False)) == [f"{FRAME:<24}  would be fetched first"]
    photos.fetch(kept_photo(FRAME))
    (line,) = run.preview(as_json=False)
    assert "2014-01-17T07:46:02Z" in line
    assert "from record" in line
