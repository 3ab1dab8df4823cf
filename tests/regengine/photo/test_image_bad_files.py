"""Files that are no photo, or no longer one: one sentence each, nothing else."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from regengine.errors import FrameError
from regengine.io.decoding import MAX_PIXELS, decoding
from regengine.photo.formats import read_image_header
from regengine.photo.frame import read_frame
from regengine.photo.image import read_display_rgb, read_linear_light

ADVICE = ("get ", "give ", "use ", "check ", "save ", "copy ", "free ", "run: ")


def sentence_of(path: Path) -> str:
    """What is said of a file that cannot be registered: by its header, or when it is decoded."""

    def look_then_decode() -> None:
        read_frame(path)
        read_linear_light(path, max_long_side_px=500)

    with pytest.raises(FrameError) as caught:
        look_then_decode()
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert any(f"; {word}" in text for word in ADVICE), text
    return text


def noise(mode: str = "RGB") -> Image.Image:
    samples = np.random.default_rng(7).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    return Image.fromarray(samples).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


def tiff_header(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (262, 1), (273, 8), (277, 1), (279, 1)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + struct.pack("<I", 0)


def jpeg_header(width: int, height: int) -> bytes:
    data = encoded(noise(), "JPEG")
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


BOMBS = {"jpg": jpeg_header, "png": png_header, "tif": tiff_header}


@pytest.mark.parametrize("extension", BOMBS)
def test_header_bomb_is_refused_without_memory(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"bomb.{extension}"
    path.write_bytes(BOMBS[extension](60_000, 60_000))
    sentence_of(path)  # imports what is needed
    tracemalloc.start()
    try:
        text = sentence_of(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert "150 megapixels" in text


def test_just_above_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(15_000, MAX_PIXELS // 15_000 + 1))
    assert "15000 x 10001 pixels" in sentence_of(path)
    path.write_bytes(png_header(15_000, MAX_PIXELS // 15_000))
    assert read_image_header(path).width_px == 15_000


KINDS: dict[str, dict[str, Any]] = {
    "baseline.jpg": {"kind": "JPEG"},
    "progressive.jpg": {"kind": "JPEG", "progressive": True},
    "plain.png": {"kind": "PNG"},
    "plain.tif": {"kind": "TIFF"},
    "lzw.tif": {"kind": "TIFF", "compression": "tiff_lzw"},
}


@pytest.mark.parametrize("name", KINDS)
def test_cut_short_anywhere_is_an_error_and_never_grey(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options = dict(KINDS[name])
    data = encoded(noise(), options.pop("kind"), **options)
    path = tmp_path / name
    path.write_bytes(data)
    whole = read_linear_light(path, max_long_side_px=500).light
    refusals = []
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99):
        path.write_bytes(data[: int(share * len(data))])
        try:
            light = read_linear_light(path, max_long_side_px=500).light
        except FrameError as error:
            refusals.append(str(error))
        else:
            np.testing.assert_array_equal(light, whole)
    assert len(refusals) >= 7
    known = ("damaged or cut short", "unknown format", "is text")
    assert all(any(words in text for words in known) for text in refusals), refusals
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_deep_image_cut_short(
    tmp_path: Path, extension: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"deep.{extension}"
    samples = np.random.default_rng(8).integers(0, 65536, (96, 128, 3), dtype=np.uint16)
    assert cv2.imwrite(str(path), samples)
    path.write_bytes(path.read_bytes()[:30_000])
    assert "damaged or cut short" in sentence_of(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"Hello, this is no photo.\n", "is text"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"GIF89a" + bytes(60), "a GIF image"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(60), "damaged or cut short"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(60), "a sound"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "a HEIC"),
        (bytes(range(255, 190, -1)), "unknown format"),
        (b"\xff\xd8\xff", "damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
        (b"II*\0", "damaged or cut short"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "names no image size"),
    ],
)
def test_no_photo(tmp_path: Path, contents: bytes, words: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(contents)
    with pytest.raises(FrameError, match=words):
        read_linear_light(path, max_long_side_px=100)
    sentence_of(path)


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (400, 31)])
def test_too_small_to_register(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "photo.png"
    Image.new("L", size).save(path)
    assert f"{size[0]} x {size[1]} pixels, too few" in sentence_of(path)
    with pytest.raises(FrameError) as caught:
        read_frame(path)
    assert caught.value.code == "too_small"


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in sentence_of(tmp_path)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    assert "is a named pipe" in sentence_of(path)


def test_name_that_no_file_can_have() -> None:
    with pytest.raises(FrameError, match="cannot be opened"):
        read_frame(Path("photo\0.jpg"))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    noise().save(path)

    def refuse(name: Path, *arguments: Any) -> Any:  # the superuser may read everything
        raise PermissionError(13, "Permission denied", str(name))

    monkeypatch.setattr(os, "open", refuse)
    text = sentence_of(path)
    assert "Permission denied" in text
    assert "permission to read it" in text


def test_file_that_vanishes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.jpg"
    noise().save(path)

    def refuse(file: object, digest: str) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    with pytest.raises(FrameError, match="could not be read to its end"):
        read_frame(path)


def test_memory_that_runs_out_and_faults_without_words(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    with pytest.raises(FrameError, match="needs more memory"), decoding(path):
        raise MemoryError
    with pytest.raises(FrameError, match="make no sense"), decoding(path):
        raise KeyError("tile")
    with pytest.raises(FrameError, match="its picture cannot be decoded"), decoding(path):
        raise OSError
    with pytest.raises(FrameError, match=r"fails \(input/output error\)"), decoding(path):
        raise OSError(5, "Input/output error")


# What decoders say, and what is told of it
SAID = {
    "unpack_from requires a buffer of at least 4 bytes for unpacking 4": "it ends too early",
    "image file is truncated (0 bytes not processed)": "it ends too early",
    "Truncated File Read": "it ends too early",
    "crc.tif, band 1: IReadBlock failed at X offset 0: libpng: Read Error": "it ends too early",
    "broken PNG file (bad header checksum in b'IDAT')": "a check sum is wrong",
    "crc.tif: _TIFFVSetField:/photos/crc.tif: Null count": "its TIFF tags make no sense",
    'crc.tif: TIFFFetchNormalTag:Incorrect count for "RowsPerStrip"': "its TIFF tags make no",
    'crc.tif: MissingRequired:TIFF directory is missing "StripOffsets"': "its TIFF tags make no",
    "cannot load this image": "its header cannot be read",
    "crc.tif, band 1: IReadBlock failed at X offset 0, Y offset 5": "its picture cannot be decoded",
    "broken data stream when reading image file": "its picture cannot be decoded",
    "crc.tif: of no meaning to anybody": "its picture cannot be decoded",
}


@pytest.mark.parametrize(("said", "told"), SAID.items())
def test_what_decoders_say_is_told_in_plain_words(said: str, told: str) -> None:
    path = Path("photos/crc.tif")
    with pytest.raises(FrameError) as caught, decoding(path):
        raise OSError(said)
    assert f"damaged or cut short: {told}" in str(caught.value)
    assert said not in str(caught.value)


@pytest.mark.real
def test_malformed_files_of_others_are_told_in_plain_words(real_data: Path) -> None:
    clear = {told for told in SAID.values() if not told.endswith("no")} | {
        "its TIFF directory names no image size",
        "its contents make no sense",
        "a packed part of it cannot be unpacked",
    }
    details = set()
    for path in (real_data / "badinput").rglob("*"):
        if path.is_file():
            try:
                read_linear_light(path, max_long_side_px=500)
            except FrameError as error:
                text = str(error).replace(str(path), "")
                details |= set(re.findall("cut short: (.*); get", text))
                assert not re.search(r"[A-Za-z_]+\(|_from|TIFF[A-Z]|/", text), text
    assert details <= clear


def test_errors_reach_another_process() -> None:
    import pickle

    with pytest.raises(FrameError) as caught:
        read_frame(Path("/nowhere/photo.jpg"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, FrameError)
    assert str(copy) == str(caught.value)


def test_pictures_of_90_megapixels_raise_no_warning(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 9_500)).save(path)  # Pillow warns from 89 megapixels on
    assert read_linear_light(path, max_long_side_px=100).light.shape == (95, 100)
    assert read_display_rgb(path, 100)[0].shape == (95, 100, 3)


PROBE = """
import json, resource, signal, sys, warnings
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
warnings.simplefilter("error")
from regengine.errors import FrameError
from regengine.photo.frame import read_frame
from regengine.photo.image import read_display_rgb, read_linear_light

class TooLong(BaseException):
    pass

def stop(*_):
    raise TooLong

signal.signal(signal.SIGALRM, stop)
for line in sys.stdin:
    path = Path(json.loads(line))
    for read in (
        read_frame,
        lambda path: read_linear_light(path, max_long_side_px=1536),
        lambda path: read_display_rgb(path, 1536),
    ):
        signal.alarm(20)
        try:
            read(path)
            answer = "ok"
        except FrameError as error:
            answer = "refused" if str(path) in str(error) else f"unnamed: {error}"
        except BaseException as error:
            answer = repr(error)
        signal.alarm(0)
        print(json.dumps([str(path), answer]), flush=True)
"""


@pytest.mark.real
def test_malformed_files_of_public_suites(real_data: Path) -> None:
    folder = real_data / "badinput"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 500
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input="".join(json.dumps(str(path)) + "\n" for path in files),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, answers[-1:]  # a crash ends after this file
    assert [answer for answer in answers if answer[1] not in ("ok", "refused")] == []
    assert len(answers) == 3 * len(files)
    assert done.stderr == ""
    assert sum(answer == "ok" for _, answer in answers) > 100
