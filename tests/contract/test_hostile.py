"""What is made to hurt or lies beyond a limit: a result or one sentence, in time and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.world.program import begin, run
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.simulated import write_raw
from tests.world.tables import by_name

LONGEST_S = 120  # a test, or a damaged file
MAX_KB = 400_000  # more than at the beginning


@pytest.fixture(autouse=True)
def _within_time_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise AssertionError(f"no end within {LONGEST_S} s")

    def peak_kb() -> int:
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

    monkeypatch.chdir(tmp_path)
    before_kb = peak_kb()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert peak_kb() - before_kb < MAX_KB


def lights_of(name: str) -> tuple[object, ...]:
    return ("detect", "lights", name, "--json", "--workers", 0, "--quiet")


def answer_to(words: tuple[object, ...], name: str) -> str:
    """What a command says of a file that it refuses; empty where it takes it."""
    said = run(*words)
    if said.code == 0:
        for line in said.out.splitlines() if "--json" in words else ():
            json.dumps(json.loads(line), allow_nan=False)
        return ""
    assert said.code in (1, 2, 3)
    assert said.out == ""
    (sentence,) = said.err.splitlines()
    assert name in sentence
    assert sentence.isprintable()
    assert "unforeseen" not in sentence
    assert "; " in sentence or ": " in sentence
    return sentence


# Sound files -------------------------------------------------------------------------------------

SKY = np.random.default_rng(1).poisson(40.0, (48, 64)).astype(np.uint8)
SKY[20:23, 30:33] = 250
COLOURS = np.dstack([SKY] * 3)


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x0132], tags[0x0110], tags[0x0112] = "2012:03:28 15:46:41", "NIKON D3S", 6
    return tags


@cache
def picture(kind: str) -> bytes:
    """A sound photo of a format."""
    data = io.BytesIO()
    if kind == "fits":
        fits.PrimaryHDU(SKY.astype(np.float32)).writeto(data)
    elif kind == "fits.fz":
        packed = fits.CompImageHDU(SKY.astype(np.int16))
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(data)
    elif kind == "fits.gz":
        return gzip.compress(picture("fits"), mtime=0)
    elif kind == "tif":
        tifffile.imwrite(data, COLOURS, compression="zlib")
    elif kind == "dng":
        return write_raw(Path("sound.dng"), COLOURS).read_bytes()
    else:
        form = {"jpg": "JPEG", "png": "PNG"}[kind]
        Image.fromarray(COLOURS).save(data, form, exif=exif())
    return data.getvalue()


# Of each kind of file that is no photo: its name, whether it is a text, and what reads it; "a.png"
# is a photo beside it
LABELLED = ("classify", "a.png", "--workers", 0, "--quiet")
OTHERS: dict[str, tuple[bool, tuple[object, ...]]] = {
    "run.h5": (False, ("show", "run.h5", "--json")),
    "lights.tif": (False, ("maps", "info", "lights.tif")),
    "tle.txt": (True, ("tle", "info", "tle.txt", "--time", "2014-01-17T07:45:50Z")),
    "records.csv": (True, (*LABELLED, "--metadata", "records.csv")),
}
RECORDS = (
    "frame_id,time_utc,nadir_lat,nadir_lon,altitude_km,camera,focal_mm,shutter,iso\n"
    "a,2012-03-28T15:46:41Z,35.7,136.9,391.2,NIKON D3S,85,1/50,3200\n"
    'ISS030-E-184141,2012-03-28T15:46:44Z,35.9,137.1,391.2,"NIKON, D3S",85,1/50,3200\n'
)


def write_other(path: Path, store: Path) -> bytes:
    """A sound file of a kind that is no photo."""
    if path.name == "lights.tif":
        place = rasterio.Affine(1 / 240, 0.0, 136.0, 0.0, -1 / 240, 36.0)
        with rasterio.open(
            path, "w", driver="GTiff", dtype="float32", count=1, height=48, width=64,
            crs="EPSG:4326", transform=place,
        ) as lights:  # fmt: skip
            lights.write(SKY[None].astype(np.float32))
    elif path.name == "records.csv":
        path.write_text(RECORDS)
    else:
        path.write_bytes((store if path.name == "run.h5" else ELEMENTS).read_bytes())
    return path.read_bytes()


# Damaged by chance -------------------------------------------------------------------------------

# So many damaged files of each kind, other ones in each run
EXAMPLES = os.environ.get("REGENGINE_DAMAGED_FILES")
DAMAGED = settings(
    max_examples=int(EXAMPLES or 15),
    derandomize=EXAMPLES is None,
    suppress_health_check=list(HealthCheck),
)
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
TOKENS = (
    b"", b"0", b"-1", b"1e999", b"-1e308", b"nan", b"1_000", b"1e-320", b"9" * 5000, b"\0", b'"',
    "\u0663".encode(), b"\\", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\x1b[2J",
    "\u202e".encode(), b"[" * 3000, b'{"a":' * 2000, b"a" * 200_000, b",,,, ", b"../../x", b"=1+1",
    b"true", b"null", b"[]", b"9999-12-31T23:59:60Z", b"0000-00-00",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, data: bytes, text: bool = False) -> bytes:
    """Bytes of a file of which some are changed, lost, doubled or new; of a text, numbers too."""
    content = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        head = draw(st.sampled_from([64, 512, len(content)]))  # where headers are, or anywhere
        start = draw(st.integers(0, max(min(head, len(content)) - 1, 0)))
        stop = min(start + draw(st.sampled_from([1, 2, 4, 8, 80, 2880])), len(content))
        number = NUMBER.search(content, start) if text else None
        if number and draw(st.booleans()):
            content[slice(*number.span())] = draw(st.sampled_from(TOKENS))
            continue
        piece = content[start:stop]
        changes = ["zeros", "ones", "noise", "lost", "twice", "cut", *["token"] * text]
        change = draw(st.sampled_from(changes))
        if change == "cut":
            del content[stop:]
        else:
            content[start:stop] = {
                "zeros": bytes(len(piece)),
                "ones": b"\xff" * len(piece),
                "noise": draw(st.binary(min_size=len(piece), max_size=len(piece))),
                "lost": b"",
                "twice": piece * 2,
                "token": draw(st.sampled_from(TOKENS)),
            }[change]
    return bytes(content)


def look_at(name: str, content: bytes, words: tuple[object, ...]) -> None:
    """Have a damaged file read, within the time of one test."""
    signal.alarm(LONGEST_S)
    Path(name).write_bytes(content)
    answer_to(words, name)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "fits", "fits.gz", "fits.fz", "dng"])
def test_damaged_bytes_of_every_format_are_read_or_refused(kind: str) -> None:
    name, sound = f"a.{kind}", picture(kind)
    Path(name).write_bytes(sound)
    assert answer_to(lights_of(name), name) == ""
    for share in (0.05, 0.3, 0.6, 0.8) if kind not in ("fits.gz", "dng") else ():
        Path(name).write_bytes(sound[: int(share * len(sound))])  # refused, and never grey
        assert answer_to(lights_of(name), name), share
    DAMAGED(given(damaged(sound))(lambda content: look_at(name, content, lights_of(name))))()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if words[0] == "classify" else ())
        for name, (_, words) in OTHERS.items()
    ],
)
def test_damaged_files_of_every_other_kind_are_read_or_refused(store: Path, name: str) -> None:
    Path("a.png").write_bytes(picture("png"))
    sound = write_other(Path(name), store)
    is_text, words = OTHERS[name]
    assert answer_to(words, name) == ""
    DAMAGED(given(damaged(sound, is_text))(lambda content: look_at(name, content, words)))()


# Made to hurt ------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """Of which no row is there."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )


def tiff(side: int) -> bytes:
    """One piece of so many pixels a side, of which no byte is there."""
    tags = [(256, 4, side), (257, 4, side), (258, 3, 16), (259, 3, 8), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 2), (278, 4, side), (279, 4, 8)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = zlib.compress(b"")
    start = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return start + struct.pack("<H", len(tags)) + body + bytes(4)


def fits_axes(bits: int, *sides: object, end: bool = True) -> bytes:
    axes = [(f"NAXIS{k}", side) for k, side in enumerate(sides, 1)]
    cards = [("SIMPLE", "T"), ("BITPIX", bits), ("NAXIS", len(sides)), *axes]
    lines = [f"{name:8}= {value!s:>20}" for name, value in cards] + ["END"] * end
    text = "".join(line.ljust(80) for line in lines)
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


def jpeg(width: int, height: int) -> bytes:
    data = picture("jpg")
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


@dataclass(frozen=True)
class Hostile:
    """A file, and whether it is refused at once or read."""

    name: str
    make: Callable[[], bytes]
    refused: bool = True
    words: tuple[object, ...] = ()  # those of a photo


DEEP = b"a = " + b"[" * 100_000
REGISTER = ("register", "a.png", "--lights", LIGHTS)
HOSTILE = (
    Hostile("large.png", lambda: png(60_000, 60_000)),
    Hostile("large.jpg", lambda: jpeg(65_500, 65_500)),
    Hostile("one piece.tif", lambda: tiff(12_000)),
    Hostile("large.fits", lambda: fits_axes(-64, 40_000, 40_000)),
    Hostile("endless.fits.gz",
            lambda: gzip.compress(fits_axes(16, 64, 64, end=False) + b" " * 40_000_000)),
    Hostile("nowhere.fits", lambda: fits_axes(8, "1E300", "NaN")),
    Hostile("http:/a.org/a.png", lambda: picture("png"), False),  # a folder called as an address
    Hostile("lens.toml", lambda: DEEP, words=(*REGISTER, "--lens", "lens.toml")),
    Hostile("tle.txt", lambda: b"\0" * 100_000, words=("tle", "info", "tle.txt")),
)  # fmt: skip


@pytest.mark.parametrize("row", HOSTILE, ids=by_name)
def test_what_is_made_to_hurt_is_refused_at_once_or_read(row: Hostile) -> None:
    Path("a.png").write_bytes(picture("png"))
    Path(row.name).parent.mkdir(parents=True, exist_ok=True)
    Path(row.name).write_bytes(row.make())
    said = answer_to(row.words or lights_of(row.name), Path(row.name).name)
    assert bool(said) == row.refused


def test_texts_of_hdf5_that_lead_in_circles_are_refused(store_copy: Path) -> None:
    """HDF5 itself never comes to an end of them, so that only another process can be timed."""
    content = bytearray(store_copy.read_bytes())
    heap = content.index(b"GCOL\x01")
    content[heap + 16 : heap + 32] = bytes(16)
    store_copy.write_bytes(content)
    program = begin("show", store_copy)
    out, err = program.communicate(timeout=LONGEST_S)
    assert (program.returncode, out, len(err.splitlines())) == (3, "", 1)
    assert store_copy.name in err


# Entries of folders ------------------------------------------------------------------------------


ENTRIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "circle": (lambda path: path.symlink_to(path.name), "in a circle"),
    "nowhere": (lambda path: path.symlink_to("gone"), "a file that does not exist"),
    "pipe": (os.mkfifo, "is a named pipe"),
    "to_pipe": (lambda path: path.symlink_to("pipe.jpg"), "is a named pipe"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "empty": (Path.touch, "is empty"),
}


@pytest.fixture
def folder(tmp_path: Path, socket_enabled: None) -> Path:
    """``photos``: a sound one, and entries of every other kind."""
    made = tmp_path / "photos"
    made.mkdir()
    (made / "sound.png").write_bytes(picture("png"))
    for name, (make, _) in ENTRIES.items():
        make(made / f"{name}.jpg")
    (made / "round").symlink_to(made)
    (made / "folder.jpg").mkdir()
    return made


COMMANDS = {
    "register": ("register", "--lights", LIGHTS, "--blind", "never", "--store", "run.h5"),
    "classify": ("classify",),
}


@pytest.mark.parametrize(
    ("command", "each"), [*((name, False) for name in COMMANDS), ("register", True)]
)
def test_what_is_no_file_is_a_failed_photo_with_a_sentence(
    folder: Path, command: str, each: bool
) -> None:
    paths = {name: f"photos/{name}.jpg" for name in ENTRIES}
    given = ["photos/sound.png", *paths.values()] if each else ["photos"]
    said = run(*COMMANDS[command], *given, "--json", "--workers", 0)
    assert said.code == 1, said.err
    records = {record["path"]: record for record in said.records}
    assert "photos/sound.png" in records
    for name, (_, what) in ENTRIES.items():
        told = records.get(paths[name], {}).get("reason_texts") or [
            line for line in said.err.splitlines() if f"{paths[name]} " in line
        ]
        (sentence,) = told
        assert what in sentence


# Limits of options -------------------------------------------------------------------------------

PHOTO = min(SAMPLES.glob("*.jpg"))
PLACED = ("register", "none.jpg")
DRY = ("register", PHOTO, "--tle", ELEMENTS, "--lights", LIGHTS, "--dry-run")
QUERY = ("archive", "query", "--dry-run")
PLACES = (["360,90", "-360,-90"], ["360.1,0", "-360.1,0", "0,90.1", "0,-90.1"])
NAMES = (["x", "n" * 80], ["n" * 81, " "])
# What the command is called with beside the option, the option, what it accepts and what not
OPTIONS: list[tuple[tuple[object, ...], str, list[str], list[str]]] = [
    (PLACED, "--focal-mm", ["1", "3000"], ["0.999", "3000.1"]),
    (PLACED, "--pixel-pitch-um", ["0.1", "100"], ["0.0999", "100.1"]),
    (PLACED, "--altitude-km", ["50", "2000"], ["49.9", "2000.1"]),
    ((*PLACED, "--centre", "1,2"), "--radius-km", ["1", "2000"], ["0.999", "2000.1"]),
    (PLACED, "--clock-window", ["0"], ["-0.001"]),
    # The orbit reaches 51.7 degrees, its horizon 73, and the photo shows ground within 100 km
    (DRY, "--nadir", ["-180,-55", "360,55"], ["-180.1,0", "360.1,0", "0,55.1", "0,-55.1"]),
    (DRY, "--centre", ["-180,-73.8", "360,73.8"], ["-180.1,0", "360.1,0", "0,74", "0,-90"]),
    (DRY, "--place", ["ZURICH", "Zürich, CH", "Portland, Oregon", "Springfield", "Singapore"],
     ["Zurichh", "Zürich, Oregon", "Lebanon", "a", ""]),
    ((*DRY, "--place", "Zürich"), "--centre", [], ["8.5,47.4"]),
    (DRY, "--shard", ["1/1", "1/16", "16/16"], ["0/1", "17/16", "2/1"]),
    (("detect", "stars", "none.jpg"), "--max-side-px", ["64"], ["63"]),
    (("solve", "none.jpg"), "--fov-deg", ["1", "140"], ["0.99", "140.1"]),
    (("catalogue", "package", "none.gpkg", "--out", "o"), "--place", *PLACES),
    (("catalogue", "query", "none.gpkg", "places"), "--limit", ["0"], ["-1"]),
    (("maps", "build", "none.tif", "--out", "x.tif"), "--bbox",
     ["-180,-90,180,90", "170,-20,-170,10", "0,0,360,1"],
     ["0,-90.1,1,0", "0,0,1,90.1", "0,5,1,5", "5,0,5,1", "0,0,360.1,1", "0,1,1,0"]),
    ((*QUERY, "--mission", "ISS030"), "--bbox", ["-180,0,-179,1", "180,0,181,1"],
     ["-180.1,0,-179,1", "180.1,0,181,1"]),
    ((*QUERY, "--mission", "ISS030"), "--focal-mm", ["28,28", "28"], ["28.1,28", "28,inf"]),
    (("review", "none.h5"), "--reviewer", *NAMES),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "option", "right", "wrong"),
    OPTIONS,
    ids=[f"{words[0]} {option}" for words, option, _, _ in OPTIONS],
)
def test_an_option_is_taken_to_its_limit_and_refused_beyond(
    tmp_path: Path, words: tuple[object, ...], option: str, right: list[str], wrong: list[str]
) -> None:
    """The inputs are missing: what is taken fails for them alone."""
    Path("none.tif").touch()
    for value in right:
        said = run(*words, option, value)
        assert option not in said.err, (value, said.err)
        assert said.code != 2 or "none." in said.err, (value, said.err)
    for value in wrong:
        said = run(*words, option, value)
        named = option in said.err or option.strip("-") in said.err
        assert (said.code, named) == (2, True), (value, said.err)
    assert {path.name for path in tmp_path.iterdir()} == {"none.tif"}
