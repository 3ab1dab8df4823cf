"""Pictures and camera texts: whole, checked, resumed, never replaced unasked."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from regengine.archive.camera_text import interpret_text, text_address
from regengine.archive.download import DownloadOptions, Outcome, download, fetch_texts
from regengine.archive.options import frames_given
from regengine.archive.table import read_tables
from regengine.archive.web import ArchiveClient, PartFile
from regengine.commands import app
from regengine.errors import ArchiveError, ConfigError, StoreError
from regengine.io.checksums import read_sums
from tests.regengine.archive.archive_server import PAGE, PICTURES, ArchiveServer

Client = Callable[..., ArchiveClient]
FRAME = "ISS990-E-101"
TEXT = (
    b"Camera : NIKON D3S S/N: 2007934\r\nShutter: 1/30\r\nAperture: F2.8\r\nLength: 85.0 mm\r\n"
    b"ISO: 6400\r\nMeter Mode: Spot\r\n"
)


def picture(seed: int = 1, size: int = 300) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (size, size), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "JPEG", quality=90)
    return data.getvalue()


@pytest.fixture(autouse=True)
def pictures(archive: ArchiveServer) -> bytes:
    content = picture()
    for number in (101, 102, 103):
        name = f"ISS990-E-{number}"
        archive.pictures[f"{PICTURES}/large/ISS990/{name}.JPG"] = content
    return content


def fetched(
    archive: ArchiveServer, web: ArchiveClient, folder: Path, *frames: str, **options: object
) -> tuple[list[Outcome], str]:
    outcomes: list[Outcome] = []
    given = DownloadOptions(pictures=archive.address + PICTURES, **options)  # type: ignore[arg-type]
    stopped = download(frames or (FRAME,), folder, given, web, outcomes.append)
    return outcomes, stopped


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pictures_come_whole_with_their_sums(
    archive: ArchiveServer, client: Client, tmp_path: Path, pictures: bytes
) -> None:
    out = tmp_path / "new" / "photos"
    outcomes, stopped = fetched(archive, client(), out, FRAME, "ISS990-E-102", "ISS990-E-9", FRAME)
    assert [one.status for one in outcomes] == ["fetched", "fetched", "absent"]
    assert stopped == ""
    assert files(out) == ["ISS990-E-101.JPG", "ISS990-E-102.JPG", "SHA256SUMS"]
    assert (out / f"{FRAME}.JPG").read_bytes() == pictures
    assert outcomes[0].sha256 == hashlib.sha256(pictures).hexdigest()
    if shutil.which("sha256sum"):  # the list is what that program reads
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=out, check=True)
    asked = len(archive.asked)
    outcomes, _ = fetched(archive, client(), out, FRAME)
    assert ([one.status for one in outcomes], len(archive.asked)) == (["present"], asked)


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_picture_goes_on(
    archive: ArchiveServer, client: Client, tmp_path: Path, pictures: bytes, ranges: bool
) -> None:
    archive.ranges = ranges
    archive.faults = ["cut", "cut"]
    outcomes, _ = fetched(archive, client(attempts=2), tmp_path)
    assert outcomes[0].status == "failed"
    assert "bytes arrived" in outcomes[0].why
    assert f"{FRAME}.JPG" not in files(tmp_path)
    kept = PartFile(tmp_path / f"{FRAME}.JPG").path.stat().st_size
    assert 0 < kept < len(pictures)
    archive.headers.clear()
    outcomes, _ = fetched(archive, client(), tmp_path)
    assert outcomes[0].status == "fetched"
    assert (tmp_path / f"{FRAME}.JPG").read_bytes() == pictures
    assert files(tmp_path) == [f"{FRAME}.JPG", "SHA256SUMS"]
    assert archive.headers[0].get("Range") == f"bytes={kept}-"
    assert archive.headers[0].get("If-Range") == f'"{len(pictures)}"'


def test_a_picture_that_has_changed_begins_anew(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    archive.faults = ["cut"]
    fetched(archive, client(attempts=1), tmp_path)
    other = picture(seed=2, size=320)
    archive.pictures[f"{PICTURES}/large/ISS990/{FRAME}.JPG"] = other
    fetched(archive, client(), tmp_path)
    assert (tmp_path / f"{FRAME}.JPG").read_bytes() == other


def test_another_part_than_was_asked_for_is_not_taken(
    archive: ArchiveServer, client: Client, tmp_path: Path, pictures: bytes
) -> None:
    archive.faults = ["cut"]
    fetched(archive, client(attempts=1), tmp_path)
    archive.shift = 7
    outcomes, _ = fetched(archive, client(), tmp_path)
    assert outcomes[0].status == "fetched"
    assert (tmp_path / f"{FRAME}.JPG").read_bytes() == pictures


def test_damaged_parts_begin_anew(
    archive: ArchiveServer, client: Client, tmp_path: Path, pictures: bytes
) -> None:
    part = PartFile(tmp_path / f"{FRAME}.JPG")
    for note in ("{", '{"mark": 7}', '{"mark": "a\\nb"}', f'{{"mark": "\\"{len(pictures)}\\""}}'):
        part.path.write_bytes(b"x" * (len(pictures) + 10))  # longer than the picture itself
        part.note.write_text(note)
        outcomes, _ = fetched(archive, client(), tmp_path, force=True)
        assert outcomes[0].status == "fetched", note
        assert (tmp_path / f"{FRAME}.JPG").read_bytes() == pictures


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<!DOCTYPE html><html>Sorry</html>", "is a web page instead of a whole picture"),
        (b"\xff\xd8\xff" + b"x" * 9000, "is a JPEG without its end"),
        (b"GIF89a", "is something else"),
        (b"", "sends ISS990-E-101.JPG empty"),
    ],
)
def test_what_is_no_picture_is_not_kept(
    archive: ArchiveServer, client: Client, tmp_path: Path, body: bytes, why: str
) -> None:
    archive.faults = [body]
    outcomes, _ = fetched(archive, client(), tmp_path, FRAME, "ISS990-E-102")
    assert [one.status for one in outcomes] == ["failed", "fetched"]  # one does not stop the rest
    assert why in outcomes[0].why
    assert files(tmp_path) == ["ISS990-E-102.JPG", "SHA256SUMS"]


def test_limits(archive: ArchiveServer, client: Client, tmp_path: Path, pictures: bytes) -> None:
    archive.pictures[f"{PICTURES}/large/ISS990/{FRAME}.JPG"] = b"\xff\xd8\xff" + bytes(2 << 20)
    frames = (FRAME, "ISS990-E-102", "ISS990-E-103")
    size_gb = len(pictures) / 2e9
    outcomes, stopped = fetched(
        archive, client(), tmp_path, *frames, max_megabytes=1, max_gigabytes=size_gb
    )
    assert [one.status for one in outcomes] == ["failed", "fetched"]
    assert "a file of 2 MB, more than 1 MB: allow it with --max-megabytes" in outcomes[0].why
    assert "allow more with --max-gigabytes" in stopped


def test_a_server_that_fails_is_left_alone(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    archive.faults = [500] * 100
    frames = [f"ISS990-E-{number}" for number in range(50)]
    outcomes, stopped = fetched(archive, client(attempts=2), tmp_path, *frames)
    assert len(outcomes) == 3
    assert len(archive.asked) == 6
    assert "3 pictures in a row did not come" in stopped


def test_pictures_that_were_changed_are_told_and_kept(
    archive: ArchiveServer, client: Client, tmp_path: Path, pictures: bytes
) -> None:
    fetched(archive, client(), tmp_path)
    path = tmp_path / f"{FRAME}.JPG"
    path.write_bytes(pictures + b"edited")
    outcomes, _ = fetched(archive, client(), tmp_path)
    assert "is not as it came" in outcomes[0].why
    assert path.read_bytes() == pictures + b"edited"
    outcomes, _ = fetched(archive, client(), tmp_path, force=True)
    assert path.read_bytes() == pictures
    (tmp_path / "ISS990-E-102.JPG").write_bytes(b"mine")  # somebody's own file of that name
    sums = tmp_path / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes() + b"0123")  # a line that a kill cut short
    fetched(archive, client(), tmp_path, "ISS990-E-102", "ISS990-E-103")
    assert (tmp_path / "ISS990-E-102.JPG").read_bytes() == b"mine"
    assert set(read_sums(tmp_path)) == set(files(tmp_path)) - {"SHA256SUMS"}


def test_two_programs_do_not_write_one_picture(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    with PartFile(tmp_path / f"{FRAME}.JPG").opened():
        outcomes, _ = fetched(archive, client(), tmp_path)
    assert "is being fetched by another program" in outcomes[0].why
    assert archive.asked == []


def test_folders_that_cannot_be(archive: ArchiveServer, client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        fetched(archive, client(), tmp_path / "file")
    (tmp_path / "out" / f".{FRAME}.JPG.part").mkdir(parents=True)  # where the part should lie
    with pytest.raises(StoreError, match="cannot be written"):
        fetched(archive, client(), tmp_path / "out")


@pytest.mark.parametrize("frame_id", ["../../etc/passwd", "ISS990-E-1/x", "a-b-c", "ISS30-E-1", ""])
def test_only_archive_ids_become_names(
    archive: ArchiveServer, client: Client, tmp_path: Path, frame_id: str
) -> None:
    outcomes, _ = fetched(archive, client(), tmp_path, frame_id)
    assert "is no archive id" in outcomes[0].why
    assert files(tmp_path) == []
    assert archive.asked == []


def test_photos_are_named_by_id_and_by_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("frame_id\nISS990-E-7\nISS990-E-101\n")
    given = ["iss990e000101", "STS099-744-38", str(tmp_path / "t.csv")]
    assert frames_given(given) == [FRAME, "STS099-744-38", "ISS990-E-7"]
    with pytest.raises(ConfigError, match="neither a photo's id"):
        frames_given(["no-such.csv"])


def test_camera_texts(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.texts[f"/meta/{FRAME}.txt"] = TEXT
    command = ["frames", "exif", FRAME, "ISS990-E-9", "--out", str(tmp_path), "--json"]
    command += ["--url", archive.address + PAGE, "--pause-s", "0"]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.stderr
    assert [json.loads(line)["status"] for line in run.stdout.splitlines()] == ["fetched", "absent"]
    assert files(tmp_path) == [f"{FRAME}.txt"]
    assert (tmp_path / f"{FRAME}.txt").read_bytes() == TEXT
    row = read_tables([tmp_path / f"{FRAME}.txt"]).rows[0]
    assert (row.camera, row.focal_mm, row.iso) == ("NIKON D3S S/N: 2007934", 85.0, 6400.0)
    assert (row.exposure_s, row.aperture_f) == (1 / 30, 2.8)
    asked = len(archive.asked)
    run = CliRunner().invoke(app, [*command[:3], *command[4:]])
    assert json.loads(run.stdout)["status"] == "present"
    assert len(archive.asked) == asked
    other = interpret_text(
        "Camera Model Name : NIKON D5\nDate/Time Original : 2017:05:01 10:11:12\n"
        "Focal Length : 50.0 mm\nExposure Time : 1/8\n",
        FRAME,
        "x",
    )
    assert other.time_utc is not None
    assert (other.camera, other.time_utc.hour, other.focal_mm) == ("NIKON D5", 10, 50.0)


def test_texts_that_do_not_come(archive: ArchiveServer, client: Client, tmp_path: Path) -> None:
    archive.texts[f"/meta/{FRAME}.txt"] = TEXT
    page = archive.address + PAGE
    frames = [FRAME, "ISS990-E-102", *(f"ISS990-E-{number}" for number in range(9))]
    archive.faults = [None, "html", 404, *[500] * 100]
    outcomes = list(fetch_texts(frames, tmp_path, client(), page=page, force=False))
    assert [one.status for one in outcomes] == ["failed", "absent", "failed", "failed", "failed"]
    assert "a web page instead of the camera text" in outcomes[0].why
    assert files(tmp_path) == []
    archive.faults.clear()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        list(fetch_texts([FRAME], tmp_path / "file", client(), page=page, force=False))


def test_pages_of_another_shape_are_told(archive: ArchiveServer, client: Client) -> None:
    address = f"{archive.address}{PAGE}?frame=101"
    with pytest.raises(ArchiveError, match="does not tell of ISS990-E-101"):
        text_address(b"<html>Welcome to the hotel</html>", address, FRAME)
    away = b"<input value='View camera metadata' onclick=\"open('//evil.example/x')\"> 101"
    assert text_address(away, address, FRAME) is None
    assert (
        text_address(b"\xff<<<input value='camera metadata' onclick=>101", address, FRAME) is None
    )


def test_the_download_command(archive: ArchiveServer, tmp_path: Path, pictures: bytes) -> None:
    (tmp_path / "found.csv").write_text(f"frame_id\n{FRAME}\n")
    command = ["frames", "download", str(tmp_path / "found.csv"), "--out", str(tmp_path / "photos")]
    command += ["--url", archive.address + PICTURES, "--pause-s", "0"]
    run = CliRunner().invoke(app, [*command, "--json"])
    assert run.exit_code == 0, run.stderr
    record = json.loads(run.stdout)
    assert (record["status"], record["bytes"]) == ("fetched", len(pictures))
    assert Path(record["file"]).read_bytes() == pictures
    run = CliRunner().invoke(app, [*command, "--quiet", "ISS990-E-9"])
    assert run.exit_code == 1
    run = CliRunner().invoke(app, [*command, "--size", "huge"])
    assert (run.exit_code, "--size huge" in run.stderr) == (2, True)
    with Image.open(tmp_path / "photos" / f"{FRAME}.JPG") as image:
        assert image.size == (300, 300)
