"""Files made to hurt: each was a finding of the fuzzing, or is known from other programs."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import threading
import zlib
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from astropy.io import fits
from PIL import Image

from benchmarks.fuzz import sound_files
from benchmarks.fuzz.damage import jpeg_parts, png_chunks, png_of
from benchmarks.simulate.photo_files import write_dng
from regengine.errors import ConfigError, FrameError, RegengineError
from regengine.io.gdal import CACHE_BYTES, gdal_session
from regengine.lights import open_light_map
from regengine.photo.exif import Exif, read_exif
from regengine.photo.fits import read_headers
from regengine.photo.formats import read_image_header
from regengine.photo.frame import read_frame
from regengine.photo.image import read_display_rgb, read_linear_light
from regengine.photo.lens_profile_file import load_profile
from regengine.settings import read_settings
from regengine.sky.stars.photo import read_solved

BLOCK = 2880


def refused(path: Path, read: Callable[[Path], object] = read_image_header) -> str:
    with pytest.raises(RegengineError) as caught:
        read(path)
    text = str(caught.value)
    assert path.name in text
    assert text.isprintable()
    return text


def harmless(path: Path, read: Callable[[Path], object]) -> str:
    """The sentence of a refusal; the path where the file is read."""
    try:
        read(path)
    except FrameError as error:
        return str(error)
    return str(path)


def decode(path: Path) -> object:
    return read_linear_light(path, max_long_side_px=500)


def header(*cards: str, end: bool = True) -> bytes:
    text = "".join(card.ljust(80) for card in (*cards, *(("END",) if end else ())))
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode()


def primary(bits: int, *sides: int, end: bool = True) -> bytes:
    cards = [f"SIMPLE  = {'T':>20}", f"BITPIX  = {bits:>20}", f"NAXIS   = {len(sides):>20}"]
    cards += [f"NAXIS{k + 1}  = {side:>20}" for k, side in enumerate(sides)]
    return header(*cards, end=end)


def zipped(path: Path, start: bytes, filler: bytes, times: int) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(times):
            file.write(filler)
    return path


# ---- FITS


def test_a_fits_header_without_end_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.fits.gz", primary(16, 64, 64, end=False), b" " * 1_000_000, 40)
    assert "no end within 400 blocks" in refused(path)
    refused(path, read_headers)


def test_data_before_the_picture_are_not_unpacked_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(primary(8, 1000, 1000, 4000)))
    assert "first 600 megabytes" in refused(path)


def test_a_chain_of_empty_units_ends(tmp_path: Path) -> None:
    cards = ("XTENSION= 'IMAGE   '", f"BITPIX  = {8:>20}", f"NAXIS   = {0:>20}")
    start = primary(8)
    path = zipped(tmp_path / "a.fits.gz", start, header(*cards), 3000)
    assert "without an image" in refused(path)


@pytest.mark.parametrize("bits", [16, -64])
def test_what_takes_more_memory_is_refused_by_its_header(tmp_path: Path, bits: int) -> None:
    side = 9000 if bits == 16 else 6000
    path = tmp_path / "a.fits"
    path.write_bytes(primary(bits, side, side))
    assert f"{64 if bits == 16 else 32} megapixels" in refused(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ZTILE1", 10**9),
        ("ZTILE1", 0.5),
        ("TFIELDS", 10**19),
        ("PCOUNT", 2**31),
        ("PCOUNT", 2**60),
        ("NAXIS2", -5),
        ("BITPIX", 7),
        ("ZBITPIX", 99),
        ("ZNAXIS", 10**9),
        ("NAXIS", True),
    ],
)
def test_lies_of_a_packed_fits_are_told(tmp_path: Path, name: str, value: float) -> None:
    path = tmp_path / "a.fits.fz"
    picture = fits.CompImageHDU(np.arange(64 * 64, dtype=np.int16).reshape(64, 64))
    fits.HDUList([fits.PrimaryHDU(), picture]).writeto(path)
    data = path.read_bytes()
    at = data.index(f"{name:8}=".encode(), BLOCK)
    shown = "T" if value is True else value
    path.write_bytes(data[:at] + f"{name:8}= {shown:>20}".ljust(80).encode() + data[at + 80 :])
    refused(path, decode)


def test_two_headers_that_became_one_are_told(tmp_path: Path) -> None:
    """Without its END the first runs on into the next, which says another number of axes."""
    path = tmp_path / "a.fits.fz"
    picture = fits.CompImageHDU(np.zeros((64, 64), np.int16))
    fits.HDUList([fits.PrimaryHDU(), picture]).writeto(path)
    data = path.read_bytes()
    end, axes = data.index(b"END     "), data.index(b"NAXIS   =", BLOCK)
    lie = f"{10**6:>20}".encode()
    path.write_bytes(data[:end] + b"FIN" + data[end + 3 : axes + 10] + lie + data[axes + 30 :])
    assert "two NAXIS" in refused(path, decode)


def test_a_damaged_gzip_is_no_photo(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(primary(8, 64, 64) + bytes(64 * 64 + 1664), mtime=0))
    path = tmp_path / "a.fits.gz"
    for at in range(10, len(data)):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        path.write_bytes(changed)
        for read in (decode, read_headers):
            assert path.name in harmless(path, read)


def test_a_card_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    image = fits.PrimaryHDU(np.zeros((64, 64), np.float32))
    image.header["FOCALLEN"] = 85.0
    image.writeto(path)
    data = path.read_bytes()
    at = data.index(b"FOCALLEN")
    path.write_bytes(data[:at] + b"FOCALLEN= 'open".ljust(80) + data[at + 80 :])
    assert read_frame(path).focal_mm is None


@pytest.mark.parametrize("lie", ["1E300", "1000000000", "-9E18", "NaN"])
def test_headers_that_lie_of_their_axes_are_passed_over(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "a.wcs"
    path.write_bytes(
        header("SIMPLE  = T", f"BITPIX  = {8:>20}", f"NAXIS   = {lie:>20}", f"NAXIS1  = {lie:>20}")
    )
    assert len(read_headers(path)) == 1


def test_a_large_grey_fits_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(np.random.default_rng(0).normal(size=(200, 300))).writeto(path)
    assert read_display_rgb(path, 100)[0].shape[2] == 3


# ---- pictures


def test_a_progressive_jpeg_has_less_room(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG", progressive=True)
    parts = jpeg_parts(buffer.getvalue())
    for width, fine in ((9_400, True), (9_600, False)):
        changed = [
            part[:5] + struct.pack(">HH", 9_500, width) + part[9:]
            if part[:2] == b"\xff\xc2"
            else part
            for part in parts
        ]
        path = tmp_path / f"{width}.jpg"
        path.write_bytes(b"".join(changed))
        if fine:
            assert read_image_header(path).width_px == width
        else:
            assert "90 megapixels" in refused(path)


def test_a_picture_that_is_one_long_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    head = struct.pack(">IIBBBBB", 4_000_000, 32, 8, 2, 0, 0, 0)
    path.write_bytes(png_of([(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]))
    assert "no side may be longer than 65535" in refused(path)


def test_a_tiff_in_one_huge_piece_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tags = [(256, 4, 12_000), (257, 4, 12_000), (258, 3, 16), (259, 3, 8), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 2), (278, 4, 12_000), (279, 4, 8)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = zlib.compress(b"")
    start = struct.pack("<I", 8 + len(data))
    path.write_bytes(b"II*\0" + start + data + struct.pack("<H", len(tags)) + body + bytes(4))
    assert "pieces of 12000 x 12000 pixels" in refused(path, decode)


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
def test_packed_texts_of_a_png_are_not_unpacked_without_end(tmp_path: Path, name: bytes) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    chunks = png_chunks(buffer.getvalue())
    packed = zlib.compress(bytes(300_000_000), 1)
    head = b"C\0\1\0en\0C\0" if name == b"iTXt" else b"Comment\0\0"
    chunks.insert(1, (name, head + packed))
    path = tmp_path / "a.png"
    path.write_bytes(png_of(chunks))
    before = _peak_kb()
    assert path.name in harmless(path, decode)
    assert _peak_kb() - before < 150_000


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_gdal_keeps_little_in_memory() -> None:
    with gdal_session():
        assert rasterio.env.getenv()["GDAL_CACHEMAX"] == CACHE_BYTES


def test_exif_that_points_to_itself_is_no_exif(tmp_path: Path) -> None:
    loop = b"II*\0" + struct.pack("<IH", 8, 2)
    loop += struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8)
    loop += struct.pack("<I", 8)
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 64)).save(path, exif=b"Exif\0\0" + loop)
    assert read_exif(path) == Exif()


def test_a_raw_file_cut_short_is_told_and_nothing_is_written_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rawpy", reason="needs rawpy")
    sensor = np.full((100, 120), 5000, np.uint16)
    path = write_dng(tmp_path / "a.dng", sensor)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 9000])
    assert "cut short" in refused(path, decode)
    assert capfd.readouterr() == ("", "")


def test_a_raw_file_without_colours_is_told(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="needs rawpy")
    path = tmp_path / "a.dng"
    tags = [(50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "X", True)]
    grey = np.full((100, 120), 5000, np.uint16)
    tifffile.imwrite(path, grey, photometric=1, extratags=tags, metadata=None)
    refused(path, decode)


def test_a_folder_called_as_an_address_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    asked: list[str] = []

    class Server(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            asked.append(str(words))

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.chdir(tmp_path)
        path = Path(f"http://127.0.0.1:{server.server_port}/a.tif")
        path.parent.mkdir(parents=True)
        tifffile.imwrite(path, np.full((64, 64), 200, np.uint8))
        assert decode(path).light.mean() > 0.5  # type: ignore[attr-defined]
        assert asked == []
    finally:
        server.shutdown()
        server.server_close()


# ---- texts

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("regengine.toml", f"a = {DEEP}", read_settings),
        ("lens.toml", f"a = {DEEP}", load_profile),
        ("solved.ndjson", DEEP, read_solved),
    ],
)
def test_endless_nesting_is_refused(
    tmp_path: Path, name: str, text: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    refused(path, read)


def test_numbers_beyond_all_measure_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "solved.ndjson"
    record = {"solved": True, "frame": "a", "quaternion_icrs": [10**400, 0, 0, 1]}
    path.write_text(json.dumps(record))
    refused(path, read_solved)


def test_sentences_stay_one_line_that_commands_no_terminal() -> None:
    name = "a\n\x1b[2J\u202egpj.exe\r\t"
    text = str(FrameError(f"{name} is damaged; {'9' * 100_000}: get it again"))
    assert text.isprintable()
    assert len(text) < 300
    assert "get it again" in text
    path = "/" + "/".join(["d" * 255] * 10)
    assert str(ConfigError(f"{path} is no table; x")) == f"{path} is no table; x"


def test_a_whole_number_without_end_is_no_length_of_a_lens(tmp_path: Path) -> None:
    path = tmp_path / "lens.toml"
    path.write_bytes(sound_files("lens")["lens.toml"])
    assert load_profile(path).focal_mm == 85.0
    path.write_text(re.sub(r"0\.0001", "9" * 400, sound_files("lens")["lens.toml"].decode()))
    assert "damaged lens profile" in refused(path, load_profile)


@pytest.mark.parametrize("lie", ["complex", "beyond the Earth", "infinite", "wide pixels"])
def test_maps_that_cannot_be_are_refused(tmp_path: Path, lie: str) -> None:
    samples = np.full((1, 40, 40), 3e38 if lie == "infinite" else 1.0, np.float32)
    samples = samples.astype(np.complex64) if lie == "complex" else samples
    north = 4e203 if lie == "beyond the Earth" else 36.0
    path = tmp_path / "map.tif"
    profile = {"driver": "GTiff", "dtype": samples.dtype, "count": 1, "height": 40, "width": 40}
    step = 4.6e18 if lie == "wide pixels" else 1 / 240  # GDAL warps such ones without end
    place = Affine(step, 0.0, 136.0, 0.0, -step, north)
    crs = "EPSG:3857" if lie == "wide pixels" else "EPSG:4326"
    with rasterio.open(path, "w", crs=crs, transform=place, **profile) as dataset:
        dataset.write(samples)
        dataset.scales = (1e30,) if lie == "infinite" else (1.0,)

    def look(path: Path) -> object:
        light_map = open_light_map([path])
        return light_map.window(*light_map.info.bounds, 1 / 240)

    refused(path, look)


def test_a_black_marble_tile_shows_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(256)) * 64)
    path = tmp_path / "VNP46A4.A2020001.h31v05.h5"
    with h5py.File(path, "w") as file:
        fields = file.create_group("HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields")
        fields.create_dataset(
            "AllAngle_Composite_Snow_Free",
            shape=(64, 64),
            dtype=np.float32,
            external=[(str(secret), 0, 64 * 64 * 4)],
        )
    assert "no night lights" in refused(path, lambda path: open_light_map([path]))
