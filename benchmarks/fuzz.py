"""Whether any file can crash, hang or bloat the engine, or make it say something unclear.

``python -m benchmarks fuzz`` damages small sound files of every kind that is read, blindly and with
knowledge of their format, and reads them by the ways of the commands in worker processes with a
limit on time and memory. A seed and a number always give the same file. ``--keep FOLDER`` keeps
every file that was a finding.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import struct
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.made_up import make_store
from benchmarks.pages import command_of, parser, table, title_lines, write_page
from benchmarks.processes import Lost, work_through
from benchmarks.simulate.photo_files import CameraSettings, exif_bytes, write_dng
from regengine.errors import RegengineError

Damage = Callable[[bytes, np.random.Generator], bytes]
Reader = Callable[[Path], None]
WHEN = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
SAMPLES = Path(__file__).resolve().parents[1] / "data_samples"
# What lengths and counts are blown up to, and what breaks signs and sums
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD_BYTES = 512  # headers come first: half of the damage is done there
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
TOKENS: tuple[bytes, ...] = (
    *(b"", b"0", b"-1", b"1e999", b"-1e308", b"nan", b"inf", b"1_000", b"1e-320", b"9" * 5000),
    *("\u0663".encode(), b"\0", b'"', b"\\", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n"),
    *(b"\x1b[2J", "\u202e".encode(), b"[" * 3000, b'{"a":' * 2000, b"a" * 200_000, b",,,, "),
    *(b"../../x", b"=1+1", b"true", b"null", b"[]", b"9999-12-31T23:59:60Z", b"0000-00-00"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 10**30, "", "x" * 2000, [], [[]], {}, {"a": []}, "../.."),
    *(float("nan"), float("inf"), [1.0], [[1.0, 2.0], [3.0]], "1", [None], 1e-320),
)


def _pick(options: Sequence[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


def bytes_damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bits turned, numbers blown up, parts that are noise, missing, doubled or nothing."""
    end = min(len(data), HEAD_BYTES) if rng.random() < 0.5 else len(data)
    at, length = int(rng.integers(max(end, 1))), int(rng.integers(1, 257))
    head, part, tail = data[:at], data[at : at + length], data[at + length :]
    what = int(rng.integers(8))
    if what == 0 and data:
        return head + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
    if what == 1:
        size = int(rng.choice([1, 2, 4, 8]))
        value = int(rng.choice(EXTREMES)) % (1 << 8 * size)
        number = value.to_bytes(size, "little" if rng.random() < 0.5 else "big")
        return head + number + data[at + size :]
    return {
        2: head + rng.bytes(length) + tail,
        3: data[: int(rng.integers(len(data) + 1))],
        4: head + tail,
        5: head + part * int(rng.integers(2, 9)) + tail,
        6: head + bytes(len(part)) + tail,
    }.get(what, data + rng.bytes(length))


def text_damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A number that became something else, a token between the rest, lines moved or doubled."""
    found = list(NUMBER.finditer(data[:200_000]))
    what = int(rng.integers(4))
    if what < 2 and found:
        number = _pick(found, rng)
        return data[: number.start()] + _pick(TOKENS, rng) + data[number.end() :]
    if what == 2:
        at = int(rng.integers(len(data) + 1))
        return data[:at] + _pick(TOKENS, rng) + data[at:]
    lines = data.splitlines(keepends=True) or [b""]
    k, j = (int(rng.integers(len(lines))) for _ in range(2))
    lines[j:j] = [lines[k]] * int(rng.choice([0, 1, 300]))
    lines[k] = _pick((b"", lines[k].rstrip(b"\r\n"), lines[j]), rng)
    return b"".join(lines)


def json_damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A value deep inside that became another, or went missing."""
    try:
        part = content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    while isinstance(part, dict | list) and part:
        key = _pick(list(part) if isinstance(part, dict) else range(len(part)), rng)
        if isinstance(part[key], dict | list) and part[key] and rng.random() < 0.75:
            part = part[key]
            continue
        if rng.random() < 0.25:
            del part[key]
        else:
            part[key] = _pick(VALUES, rng)
        break
    return json.dumps(content).encode()


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents of a PNG's chunks, as far as they can be followed."""
    found, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length > len(data):
            break
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG with right check sums."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, contents in chunks:
        parts += [struct.pack(">I", len(contents)), name, contents]
        parts.append(struct.pack(">I", zlib.crc32(name + contents)))
    return b"".join(parts)


def png_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A chunk damaged under a right check sum, or a header that tells another picture."""
    chunks = png_chunks(data)
    if not chunks:
        return data
    k = int(rng.integers(len(chunks))) if rng.random() < 0.5 else 0
    name, contents = chunks[k]
    if k == 0 and len(contents) == 13:
        fields = list(struct.unpack(">IIBBBBB", contents))
        which = int(rng.integers(7))
        large = (*EXTREMES, 100, 12_000, 60_000)
        fields[which] = int(_pick(large, rng)) if which < 2 else int(rng.integers(33))
        chunks[0] = (name, struct.pack(">IIBBBBB", *fields))
    else:
        chunks[k] = (name, bytes_damaged(contents, rng))
    return png_of(chunks)


def jpeg_parts(data: bytes) -> list[bytes]:
    """Marker segments of a JPEG up to its first scan, and all the rest as one."""
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append(data[at:end])
        at = end
    return [*parts, data[at:]]


def jpeg_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A segment damaged under a right length, or a frame that tells another picture."""
    parts = jpeg_parts(data)
    k = int(rng.integers(1, len(parts)))
    frame = parts[k][1:2] in (b"\xc0", b"\xc1", b"\xc2") and len(parts[k]) > 10
    if frame:
        changed = bytearray(parts[k])
        value = int(_pick((0, 1, 31, 33, 500, 12_000, 65_500, 65_535), rng))
        changed[(at := int(_pick((5, 7), rng))) : at + 2] = struct.pack(">H", value)
        parts[k] = bytes(changed)
    elif k < len(parts) - 1:
        body = bytes_damaged(parts[k][4:], rng)[:65533]
        parts[k] = parts[k][:2] + struct.pack(">H", len(body) + 2) + body
    else:
        parts[k] = bytes_damaged(parts[k], rng)
    return b"".join(parts)


def tiff_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """Tag, type, count or value of an entry of the first directory that says something else."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 18 or struct.unpack(order + "H", data[2:4])[0] != 42:
        return data
    (start,) = struct.unpack(order + "I", data[4:8])
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack(order + "H", data[start : start + 2])
    count = min(count, (len(data) - start - 2) // 12)
    if count < 1:
        return data
    changed, at = bytearray(data), start + 2 + 12 * int(rng.integers(count))
    offset, size = _pick(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I")), rng)
    value = int(_pick((*EXTREMES, 2, 3, 5, 8, 16, 330, 34665, start, len(data)), rng))
    struct.pack_into(order + size, changed, at + offset, value % (1 << 8 * struct.calcsize(size)))
    return bytes(changed)


def night() -> np.ndarray:
    """A dark picture with some lamps, 0 to 1, shape (72, 96)."""
    rng = np.random.default_rng(0)
    light = rng.normal(0.06, 0.01, (72, 96))
    light[rng.integers(3, 69, 25), rng.integers(3, 93, 25)] += rng.uniform(0.2, 1.0, 25)
    return np.clip(light, 0.0, 1.0)


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photos(kind: str) -> dict[str, bytes]:
    """Sound photos of a kind of file: the ways to store a picture that are common."""
    grey = Image.fromarray((255.0 * night()).astype(np.uint8))
    colour, deep = grey.convert("RGB"), Image.fromarray((65535.0 * night()).astype(np.uint16))
    exif = exif_bytes(CameraSettings(clock_utc=WHEN, focal_mm=85.0))
    if kind == "jpeg":
        return {
            "baseline.jpg": _encoded(colour, "JPEG", quality=90, exif=exif),
            "progressive.jpg": _encoded(colour, "JPEG", progressive=True, exif=exif),
            "grey.jpg": _encoded(grey, "JPEG", comment=b"a comment"),
            "ink.jpg": _encoded(colour.convert("CMYK"), "JPEG"),
        }
    if kind == "png":
        return {
            "colour.png": _encoded(colour, "PNG", exif=exif),
            "palette.png": _encoded(colour.quantize(64), "PNG", transparency=3),
            "alpha.png": _encoded(colour.convert("RGBA"), "PNG", icc_profile=bytes(600)),
            "deep.png": _encoded(deep, "PNG"),
        }
    if kind == "tiff":
        return {
            "exif.tif": _encoded(colour, "TIFF", exif=exif),
            "lzw.tif": _encoded(colour, "TIFF", compression="tiff_lzw"),
            "deflate.tif": _encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
            "palette.tif": _encoded(colour.quantize(64), "TIFF"),
        }
    with tempfile.TemporaryDirectory() as folder:
        sensor = (16383.0 * night()).astype(np.uint16)
        return {"made.dng": write_dng(Path(folder) / "made.dng", sensor).read_bytes()}


def fits_files() -> dict[str, bytes]:
    """Integers, and reals with gaps packed tile by tile."""
    from astropy.io import fits

    counts = (3000.0 * night() + 500.0).astype(np.float32)
    plain = fits.PrimaryHDU(np.rint(counts).astype(np.uint16))
    plain.header["DATE-OBS"], plain.header["EXPTIME"] = "2012-03-28T15:46:41", 0.02
    packed = fits.CompImageHDU(counts, compression_type="RICE_1", dither_seed=1)
    found = {}
    for name, units in (("plain.fits", [plain]), ("rice.fits.fz", [fits.PrimaryHDU(), packed])):
        buffer = io.BytesIO()
        fits.HDUList(units).writeto(buffer)
        found[name] = buffer.getvalue()
    return found


RECORDS = {
    "ours.csv": (
        b"frame_id,time_utc,nadir_lat,nadir_lon,altitude_km,camera,focal_mm,shutter,iso\n"
        b"ISS030-E-184140,2012-03-28T15:46:41Z,35.7,136.9,391.2,NIKON D3S,85,1/50,3200\n"
        b'ISS030-E-184141,2012-03-28T15:46:44Z,35.9,137.1,391.2,"NIKON, D3S",85,1/50,3200\n'
    ),
    "archive.tsv": (
        b"mission\troll\tframe\tgmt_date\tgmt_time\tnadir_lat\tnadir_lon\taltitude_nmi\n"
        b"ISS030\tE\t184140\t20120328\t154641\t35.7\t136.9\t211\n"
    ),
}
LABELS = {
    "scenes.csv": b"path,label,group\na.jpg,cities;aurora,1\nb.jpg,stars,1\nc.jpg,day,\n",
    "lights.csv": b"path,x,y,flux,radius_px\na.jpg,10.5,20.25,3.5,1.5\nb.jpg,,,,\n",
    "solved.ndjson": (
        b'{"frame": "a", "solved": true, "quaternion_icrs": [0, 0, 0, 1], "fov_x_deg": 24.0, '
        b'"distortion": [0.01, 0, 0, 0, 0]}\n{"frame": "b", "solved": false}\n'
    ),
}
SETTINGS = b'[register]\nmax-seconds = 30\nlights = ["~/maps/lights.tif"]\nnadir = "136.9,35.7"\n'


def models() -> dict[str, bytes]:
    """The shipped model of scenes, and the calibration of probabilities."""
    from regengine.registration.calibration import SHIPPED as CALIBRATION
    from regengine.scene.model_file import SHIPPED

    return {
        "scene.json": Path(str(files("regengine.scene") / SHIPPED)).read_bytes(),
        "calibration.json": Path(str(files("regengine.registration") / CALIBRATION)).read_bytes(),
    }


def stores() -> dict[str, bytes]:
    """A store of six frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        make_store(path, 6)
        return {path.name: path.read_bytes()}


def maps() -> dict[str, bytes]:
    """A map of radiance, and one as it is built."""
    import rasterio
    from affine import Affine

    from regengine.lights import open_light_map
    from regengine.lights.build import build_map

    lamps = (50.0 * night()).astype(np.float32)
    place = Affine(1.0 / 240.0, 0.0, 136.0, 0.0, -1.0 / 240.0, 36.0)
    with tempfile.TemporaryDirectory() as name:
        plain, built = Path(name) / "radiance.tif", Path(name) / "built.tif"
        profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 72, "width": 96}
        with rasterio.open(plain, "w", crs="EPSG:4326", transform=place, **profile) as dataset:
            dataset.write(lamps[None])
        build_map(open_light_map([plain]), built)
        return {path.name: path.read_bytes() for path in (plain, built)}


INSIDES = re.compile(r"object at 0x|<class|Traceback|\bb'")  # of Python


class UnclearSentence(Exception):
    """A refusal that is not one clear sentence; the message is what was said."""


def checked_sentence(error: Exception, path: Path | None = None) -> str:
    """A refusal's sentence."""
    text = str(error)
    clear = (
        text.isprintable()
        and len(text.replace(str(path), "")) <= 600
        and not INSIDES.search(text)
        and any(mark in text for mark in ("; ", ": "))
        and (path is None or path.name in text)
    )
    if not clear:
        raise UnclearSentence(repr(text))
    return text


def read_photo(path: Path) -> None:
    """Header, EXIF and hash; then the picture as it is measured, classified and drawn."""
    from regengine.photo.frame import read_frame
    from regengine.photo.image import read_display_rgb, read_linear_light
    from regengine.scene.picture import read_scene_picture

    read_frame(path)
    read_linear_light(path, max_long_side_px=1500)
    read_display_rgb(path, 1500)
    read_scene_picture(path)


def read_elements(path: Path) -> None:
    """Element sets, and where they put the camera."""
    from regengine.orbit.propagation import camera_position
    from regengine.orbit.tle import load_tle_file
    from regengine.sky.satellites.catalogue import load_catalogue

    tles = load_tle_file(path)
    for when in (WHEN, tles[0].epoch_utc):
        try:
            camera_position(tles, when)
        except RegengineError as error:
            checked_sentence(error)
    load_catalogue(path)


def read_records(path: Path) -> None:
    """A table of frame records."""
    from regengine.photo.frame_records import load_frame_records

    load_frame_records(path)


def read_labels(path: Path) -> None:
    """Labels of scenes and lights, solved frames: told apart by the name of the sound file."""
    from regengine.evaluate.detections import read_light_labels
    from regengine.scene.samples import read_scene_labels
    from regengine.sky.stars.photo import camera_of_record, read_solved

    if path.name == "scenes.csv":
        read_scene_labels(path)
    elif path.name == "lights.csv":
        read_light_labels(path)
    else:
        for record in read_solved(path).values():
            try:
                camera_of_record(record, 96, 72)
            except RegengineError as error:  # names the frame, not the file
                checked_sentence(error)


def read_settings(path: Path) -> None:
    """A settings file, as every command takes it."""
    from typer.testing import CliRunner

    from regengine.commands import app

    result = CliRunner().invoke(app, ["--config", str(path), "config", "show"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    said = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    if result.exit_code != 0:
        raise RegengineError(said[-1].removeprefix("Error: ") if said else result.stderr)


def read_model(path: Path) -> None:
    """A model of scenes, with an answer of it; or a calibration."""
    from regengine.registration.calibration import read_calibration
    from regengine.scene.model_file import read_scene_model

    if path.name.startswith("calibration"):
        read_calibration(path)
        return
    model = read_scene_model(path)
    with np.errstate(all="ignore"):
        model.answer(np.zeros(len(model.feature_names)))


def read_result_store(path: Path) -> None:
    """A store with its frames, as `regengine show` lists them."""
    from regengine.records import record_line
    from regengine.store.snapshot import read_store

    for frame in read_store(path):
        record_line(frame.result)


def read_map(path: Path) -> None:
    """A night-light map, some of it at two resolutions."""
    from regengine.lights import open_light_map

    light_map = open_light_map([path])
    west, south, east, north = light_map.info.bounds
    region = (west, max(south, north - 0.5), min(east, west + 0.5), north)
    for factor in (1.0, 3.0):
        light_map.window(*region, max(light_map.info.resolution_deg, 1 / 960) * factor)


class Kind(NamedTuple):
    """How sound files of a kind are made, damaged and read, and how many of them there are."""

    sound: Callable[[], dict[str, bytes]]
    damage: Damage
    read: Reader
    share: int = 1


KINDS = {
    "jpeg": Kind(lambda: photos("jpeg"), jpeg_lies, read_photo, 4),
    "png": Kind(lambda: photos("png"), png_lies, read_photo, 3),
    "tiff": Kind(lambda: photos("tiff"), tiff_lies, read_photo, 3),
    "raw": Kind(lambda: photos("raw"), tiff_lies, read_photo),
    "fits": Kind(fits_files, text_damaged, read_photo, 2),
    "map": Kind(maps, tiff_lies, read_map, 2),
    "store": Kind(stores, bytes_damaged, read_result_store),
    "tle": Kind(
        lambda: {"plain.txt": (SAMPLES / "tle.txt").read_bytes()}, text_damaged, read_elements
    ),
    "records": Kind(lambda: RECORDS, text_damaged, read_records),
    "labels": Kind(lambda: LABELS, text_damaged, read_labels),
    "settings": Kind(lambda: {"regengine.toml": SETTINGS}, text_damaged, read_settings),
    "model": Kind(models, json_damaged, read_model),
}
ROUND = tuple(name for name, kind in KINDS.items() for _ in range(kind.share))
LIMIT_BYTES = 1_500_000_000
FINE = ("ok", "refused")
sound_files = cache(lambda kind: KINDS[kind].sound())


@dataclass(frozen=True, kw_only=True)
class Case:
    """A damaged file: its kind, name and contents."""

    kind: str
    name: str
    data: bytes


def case_of(seed: int, number: int) -> Case:
    """The damaged file that a number stands for under a seed; always the same one."""
    rng = np.random.default_rng([seed, number])
    kind = ROUND[number % len(ROUND)]
    sound = sound_files(kind)
    name = _pick(sorted(sound), rng)
    data = sound[name]
    for _ in range(int(rng.integers(1, 4))):
        damage = KINDS[kind].damage if rng.random() < 0.6 else bytes_damaged
        data = damage(data, rng)
    return Case(kind=kind, name=name, data=data)


_chatter: Any = None  # what libraries write to a worker's standard error


def prepare() -> None:
    """Limit a worker's memory, and listen to its standard error."""
    global _chatter
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _chatter = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  until the process ends
    os.dup2(_chatter.fileno(), 2)


@dataclass(frozen=True)
class ReadFile:
    """Reads the files of numbers; pickles, so that workers can have it."""

    seed: int

    def __call__(self, number: int) -> dict[str, Any]:
        """How it went: ``what`` is "ok", "refused", or what is wrong, and ``text`` how."""
        case = case_of(self.seed, number)
        _chatter.truncate(0)
        _chatter.seek(0)
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / case.name
            path.write_bytes(case.data)
            what, text = attempt(KINDS[case.kind].read, path)
        said = os.pread(_chatter.fileno(), 300, 0).decode(errors="replace")
        return (
            {"what": "chatter", "text": said}
            if what in FINE and said
            else {"what": what, "text": text[:600]}
        )


def attempt(read: Reader, path: Path) -> tuple[str, str]:
    """Read a file: "ok", "refused" with a clear sentence, or what else became of it, and how."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read(path)
    except RegengineError as error:
        try:
            text = checked_sentence(error, path)
        except UnclearSentence as unclear:
            return "unclear", str(unclear)
        return ("memory" if "more memory" in text else "refused"), text
    except UnclearSentence as error:
        return "unclear", str(error)
    except BaseException as error:  # whatever it is, it is what is looked for
        return "foreign", f"{type(error).__name__}: {' '.join(str(error).split())}"
    return "ok", ""


def main(argv: list[str]) -> int:
    """Run the benchmark; returns 1 if there was a finding."""
    given = parser("fuzz", __doc__)
    given.add_argument("--seed", type=int, default=1, help="of the damage")
    given.add_argument("--count", type=int, default=20_000, help="damaged files")
    given.add_argument("--workers", type=int, default=2, help="processes")
    given.add_argument("--limit-s", type=float, default=60.0, help="time for a file")
    given.add_argument("--keep", type=Path, help="folder for files that were findings")
    args = given.parse_args(argv)
    counts: Counter[tuple[str, str]] = Counter()
    answers = work_through(
        range(args.count),
        ReadFile(args.seed),
        workers=args.workers,
        limit_s=args.limit_s,
        prepare=prepare,
    )
    for number, answer in answers:
        if isinstance(answer, Lost):
            what = "hang" if answer.problem.startswith("killed") else "crash"
            answer = {"what": what, "text": answer.problem}
        case = case_of(args.seed, number)
        counts[case.kind, answer["what"]] += 1
        if answer["what"] in FINE:
            continue
        print(
            f"{number} {case.kind} {answer['what']}: {case.name}: {answer['text']}", file=sys.stderr
        )
        if args.keep is not None:
            args.keep.mkdir(parents=True, exist_ok=True)
            (args.keep / f"{args.seed}-{number}-{case.name}").write_bytes(case.data)
    rows = []
    for kind in KINDS:
        of_kind = {what: times for (one, what), times in counts.items() if one == kind}
        wrong = sum(times for what, times in of_kind.items() if what not in FINE)
        cells = (sum(of_kind.values()), of_kind.get("ok", 0), of_kind.get("refused", 0), wrong)
        rows.append((kind, *map(str, cells)))
    lines = table(("files", "damaged", "read", "refused", "findings"), rows, right=4)
    title = title_lines("Damaged files", command_of("fuzz", argv), "")
    write_page(args.out, "fuzz", [*title, *lines])
    return int(any(what not in FINE for _, what in counts))
