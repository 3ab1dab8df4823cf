"""The maps, element sets and towns that the package brings, made again byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.windows import Window
from typer import Argument, Option

from benchmarks.earth_towns import make_towns
from benchmarks.pages import tell
from regengine.errors import EphemerisError
from regengine.io.checksums import NAME, compute_sha256
from regengine.maps.at_hand import DAY, ELEMENT_SETS, FOLDER, LIGHTS, PHOTO
from regengine.maps.make import index_lights
from regengine.maps.opening import open_light_map
from regengine.maps.places import LIT_GROUND, TABLE_REACH_KM, TOWNS, sum_lit_ground
from regengine.orbit.tle import TleSet, check_pairs, load_tle_file
from regengine.orbit.tle_format import LINE_LENGTH, ElementSet

# Of the folder of real data
LIGHTS_SOURCE = Path("lights/blackmarble_15as.tif")
DAY_SOURCE = Path("day/bluemarble_z8_world.tif")
SEAS = "seas.csv"
ELEMENT_SOURCES = (Path("orbit/iss_tles.txt"), Path("orbit/iss_tles_dense.txt"))

GREY_LEVELS = 15  # besides 0; on the scale of square roots they differ by the noise of the map
MIN_GREY = 2.0
STRIP_ROWS = 512  # of the map that is made: one row of its tiles


def write_lights(source: Path, out: Path) -> None:
    """Write the night-light map with twice the pixel size and 16 grey levels.

    A level is ``q = max(1, rint(15 sqrt(v / 255)))`` of the mean ``v`` of four pixels where that is
    2 or more, else 0; it is stored as ``rint((q / 15)^2 * 255)``.
    """
    with rasterio.open(source) as fine:
        step_deg = 2.0 * fine.res[0]
        profile = {
            "driver": "GTiff", "dtype": "uint8", "count": 1, "crs": fine.crs,
            "width": fine.width // 2, "height": fine.height // 2,
            "transform": from_origin(fine.bounds.left, fine.bounds.top, step_deg, step_deg),
            "tiled": True, "blockxsize": 512, "blockysize": 512,
            "compress": "deflate", "zlevel": 9, "sparse_ok": True,
        }  # fmt: skip
        with rasterio.open(out, "w", **profile) as made:
            made.update_tags(
                PRODUCT="Black Marble 2016",
                CREDIT="NASA Earth Observatory; tiles by FreeTiler.com",
                AREA_OR_POINT="Area",
            )
            for top in range(0, made.height, STRIP_ROWS):
                rows = min(STRIP_ROWS, made.height - top)
                strip = fine.read(1, window=Window(0, 2 * top, fine.width, 2 * rows))
                for left in range(0, made.width, 512):
                    grey = reduce_grey(strip[:, 2 * left : 2 * left + 1024])
                    if grey.any():  # tiles without light are not stored
                        window = Window(left, top, grey.shape[1], rows)
                        made.write(grey, 1, window=window)


def reduce_grey(fine: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average two by two grey values, and round them to the levels of `write_lights`."""
    corners = [fine[i::2, j::2].astype(np.float32) for i in (0, 1) for j in (0, 1)]
    mean = np.float32(0.25) * sum(corners[1:], corners[0])
    level = np.maximum(1.0, np.rint(GREY_LEVELS * np.sqrt(mean / 255.0)))
    grey = np.rint((level / GREY_LEVELS) ** 2 * 255.0)
    return np.where(mean >= MIN_GREY, grey, 0.0).astype(np.uint8)


def write_lit_ground(lights: Path, out: Path) -> None:
    """Write the table of the light on the ground around each place of one degree."""
    light_map = open_light_map([lights])
    whole = light_map.window(*light_map.bounds, 0.5)
    lit_dex = sum_lit_ground(whole, TABLE_REACH_KM)
    np.savez_compressed(out, lit_dex=lit_dex.round(2).astype(np.float16))


def write_day(source: Path, out: Path) -> None:
    """Copy the day map, and add coarser levels, from a quarter of its resolution.

    One of half of it would take a quarter of the file again.
    """
    shutil.copyfile(source, out)
    levels = {
        "COMPRESS_OVERVIEW": "WEBP",
        "WEBP_LEVEL_OVERVIEW": 30,
        "GDAL_TIFF_OVR_BLOCKSIZE": 512,
    }
    with rasterio.Env(**levels), rasterio.open(out, "r+") as made:
        made.build_overviews([4, 8, 16, 32, 64], Resampling.average)


def choose_daily(files: list[TleSet]) -> list[tuple[str, str]]:
    """Choose the last element set of each day (UTC) that its neighbours do not contradict."""
    days: dict[int, tuple[float, str, str]] = {}
    for tles in files:
        for number, epoch in enumerate(tles.epoch_days.tolist()):
            day = int(np.floor(epoch + 0.5))  # days are counted from noon
            if day in days and days[day][0] >= epoch:
                continue
            if tles.disagreement(number) is None:
                days[day] = (epoch, tles[number].line1, tles[number].line2)
    return [(line1, line2) for _, (_, line1, line2) in sorted(days.items())]


def main(
    real: Annotated[Path, Argument(help="folder of the real data, with the sources")],
    *,
    out: Annotated[Path, Option(help="folder of the files")] = FOLDER,
) -> None:
    """Make the files of `regengine/data` and their checksums."""
    out.mkdir(parents=True, exist_ok=True)
    write_lights(real / LIGHTS_SOURCE, out / LIGHTS.name)
    index_lights([out / LIGHTS.name], overwrite=True)
    write_lit_ground(out / LIGHTS.name, out / LIT_GROUND.name)
    write_day(real / DAY_SOURCE, out / DAY.name)
    sets = choose_daily([load_tle_file(real / one) for one in ELEMENT_SOURCES])
    write_element_table(sets, out / ELEMENT_SETS.name)
    make_towns(out / TOWNS.name)
    drawn = FOLDER / SEAS  # by hand
    if out != FOLDER:
        shutil.copyfile(drawn, out / SEAS)
        shutil.copyfile(PHOTO, out / PHOTO.name)
    endings = (".csv", ".idx", ".jpg", ".npz", ".tif")
    files = sorted(path for path in out.iterdir() if path.suffix in endings)
    sums = "".join(f"{compute_sha256(path)}  {path.name}\n" for path in files)
    (out / NAME).write_text(sums, encoding="ascii")
    for path in files:
        tell(f"{path.stat().st_size / 1e6:6.2f} MB  {path}")


def write_element_table(pairs: Sequence[tuple[str, str]], out: Path) -> None:
    """Write checked element sets, given as their two lines, as a table that is read fast."""
    sets = [ElementSet(line1=one, line2=two, line_number=0) for one, two in pairs]
    fine, epoch_days, wrong = check_pairs(sets)
    if wrong:
        raise EphemerisError(f"{out}: {wrong[0].reason}")
    lines = np.array([(one.line1[:LINE_LENGTH], one.line2[:LINE_LENGTH]) for one in fine], "S69")
    np.savez_compressed(out, epoch_days=epoch_days, lines=lines)
