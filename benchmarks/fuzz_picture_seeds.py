"""Small sound pictures of every kind that is read, as bytes to be damaged."""

from __future__ import annotations

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from benchmarks.simulate.raw_file import write_dng

Seeds = dict[str, bytes]
SIZE = (72, 96)  # rows, columns: enough to be looked at, little to decode


def night(seed: int = 0) -> NDArray[np.float64]:
    """A dark picture with some lamps, 0 to 1."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    light = rng.normal(0.06, 0.01, SIZE)
    for _ in range(25):
        row, column = rng.uniform((3, 3), np.subtract(SIZE, 3))
        light += rng.uniform(0.2, 1.0) * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2)
    return np.clip(light, 0.0, 1.0)


def camera_exif() -> Image.Exif:
    """EXIF as a camera on the station writes it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = "NIKON CORPORATION", "NIKON D3S", 1
    ratio = TiffImagePlugin.IFDRational
    exif.get_ifd(0x8769).update(
        {
            0x829A: ratio(1, 50),
            0x829D: ratio(14, 10),
            0x8827: 3200,
            0x9003: "2012:03:28 15:46:41",
            0x9291: "20",
            0x9011: "+00:00",
            0x920A: ratio(85, 1),
            0xA405: 85,
            0xA434: "85.0 mm f/1.4",
        }
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (ratio(35), ratio(41), ratio(0))})
    return exif


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _colour() -> Image.Image:
    light = np.stack([night(k) for k in range(3)], axis=-1)
    return Image.fromarray((255.0 * light).astype(np.uint8))


def jpegs() -> Seeds:
    """Baseline, progressive, grey, CMYK, with restart marks."""
    photo, exif = _colour(), camera_exif()
    return {
        "baseline.jpg": _encoded(photo, "JPEG", quality=90, exif=exif),
        "progressive.jpg": _encoded(photo, "JPEG", quality=80, progressive=True, exif=exif),
        "grey.jpg": _encoded(photo.convert("L"), "JPEG", comment=b"a comment"),
        "ink.jpg": _encoded(photo.convert("CMYK"), "JPEG"),
        "restart.jpg": _encoded(photo, "JPEG", restart_marker_rows=1, subsampling=0),
        "profile.jpg": _encoded(photo, "JPEG", icc_profile=bytes(range(256)) * 3, exif=exif),
    }


def pngs() -> Seeds:
    """Grey, colour, palette, transparent, interlaced, 16 bits, with texts and profiles."""
    photo, exif = _colour(), camera_exif()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "A city at night")
    notes.add_text("Comment", "x" * 500, zip=True)
    notes.add_itxt("Author", "Somebody", "en", "Author", zip=True)
    seeds = {
        "colour.png": _encoded(photo, "PNG", exif=exif, pnginfo=notes),
        "grey.png": _encoded(photo.convert("L"), "PNG"),
        "palette.png": _encoded(photo.quantize(64), "PNG", transparency=3),
        "alpha.png": _encoded(photo.convert("RGBA"), "PNG", icc_profile=bytes(600)),
        "bits.png": _encoded(photo.convert("1"), "PNG"),
        "two.png": _encoded(photo, "PNG", save_all=True, append_images=[photo.rotate(90)]),
    }
    deep = Image.fromarray((65535.0 * night()).astype(np.uint16))
    return seeds | {"deep.png": _encoded(deep, "PNG")}


def _tiff(**options: Any) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, **options)
    return buffer.getvalue()


def tiffs() -> Seeds:
    """Strips, tiles, every compression at hand, 8 and 16 bits, big, planar, with a palette."""
    photo, exif = _colour(), camera_exif()
    rgb = np.asarray(photo)
    deep = (65535.0 * night()).astype(np.uint16)
    return {
        "exif.tif": _encoded(photo, "TIFF", exif=exif),
        "lzw.tif": _encoded(photo, "TIFF", compression="tiff_lzw"),
        "deflate.tif": _encoded(photo, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": _encoded(photo, "TIFF", compression="jpeg"),
        "packed.tif": _encoded(photo.convert("L"), "TIFF", compression="packbits"),
        "fax.tif": _encoded(photo.convert("1"), "TIFF", compression="group4"),
        "palette.tif": _encoded(photo.quantize(64), "TIFF"),
        "ink.tif": _encoded(photo.convert("CMYK"), "TIFF"),
        "alpha.tif": _encoded(photo.convert("RGBA"), "TIFF"),
        "tiles.tif": _tiff(data=rgb, tile=(32, 32), photometric="rgb"),
        "deep.tif": _tiff(data=deep, rowsperstrip=16, photometric="minisblack"),
        "swapped.tif": _tiff(data=deep, byteorder=">", photometric="minisblack"),
        "big.tif": _tiff(data=rgb, bigtiff=True, photometric="rgb"),
        "planar.tif": _tiff(
            data=np.moveaxis(rgb, -1, 0).copy(), planarconfig="separate", photometric="rgb"
        ),
        "zip.tif": _tiff(data=deep, tile=(16, 16), compression="zlib", predictor=True),
    }


def raws() -> Seeds:
    """A camera's raw file, by itself and under a maker's ending."""
    sensor = (16383.0 * night()).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        data = write_dng(Path(folder) / "made.dng", sensor).read_bytes()
    return {"made.dng": data, "made.nef": data}


def fits_files() -> Seeds:
    """Integers, reals with gaps, colours, several units, packed in gzip and tile by tile."""
    from astropy.io import fits

    counts = 3000.0 * night() + 500.0
    whole = np.rint(counts).astype(np.int16)
    gaps = counts.astype(np.float32)
    gaps[:20, :20] = np.nan

    def encoded(*hdus: Any) -> bytes:
        buffer = io.BytesIO()
        fits.HDUList(list(hdus)).writeto(buffer)
        return buffer.getvalue()

    def packed(kind: str, samples: NDArray[Any]) -> bytes:
        return encoded(fits.PrimaryHDU(), fits.CompImageHDU(samples, compression_type=kind))

    plain = fits.PrimaryHDU(np.rint(counts).astype(np.uint16))
    plain.header["DATE-OBS"] = "2012-03-28T15:46:41"
    plain.header["EXPTIME"], plain.header["FOCALLEN"] = 0.02, 85.0
    column = fits.Column(name="a", format="J", array=[1, 2])
    scaled = encoded(plain)
    return {
        "scaled.fits": scaled,
        "gaps.fits": encoded(fits.PrimaryHDU(gaps)),
        "colour.fits": encoded(fits.PrimaryHDU(np.stack([gaps, gaps, gaps]))),
        "several.fits": encoded(
            fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column]), fits.ImageHDU(whole)
        ),
        "zipped.fits.gz": gzip.compress(scaled, 6, mtime=0),
        "rice.fits.fz": packed("RICE_1", whole),
        "gzip.fits.fz": packed("GZIP_2", gaps),
        "wavelet.fits.fz": packed("HCOMPRESS_1", whole),
        "plio.fits.fz": packed("PLIO_1", whole),
    }
