"""Identify the format of a reference file: its grid, and the meaning of its samples."""

from __future__ import annotations

import math
import mmap
import re
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.warp import calculate_default_transform
from rasterio.warp import transform as warp_points

from matchers.geometry.footprint import Bounds
from regengine.errors import MapError
from regengine.io.decoding import is_packed, open_regular
from regengine.io.gdal import open_raster, raise_read_failures
from regengine.io.hdf5 import HDF5_SIGNATURE, heaps_end, open_hdf5
from regengine.io.plain import format_count
from regengine.maps.lights import (
    FORMAT_TAG,
    KINDS,
    KindName,
    date_of_name,
    display_saturation,
    product_of_name,
    radiance_factor,
    radiance_values,
)
from regengine.maps.reference import FACTORS, PixelGrid, Reference

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NETCDF_MAGIC = b"CDF"
MAP_SUFFIXES = (".tif", ".tiff", ".h5", ".hdf5", ".he5", ".nc")
# What else people hold in their hands, and what to do with it.
OTHER_FORMATS = (
    (
        (b"\x89PNG", b"\xff\xd8\xff"),
        "is a picture without coordinate system: get its GeoTIFF, or, if a world file lies beside "
        "it, make one with gdal_translate -a_srs EPSG:4326 (of a palette with -expand rgba)",
    ),
    (b"\x0e\x03\x13\x01", "is HDF4, which no night-light product uses: get VNP46 as HDF5"),
)
SET_PLACE = "set its position with gdal_translate -a_srs EPSG:4326 -a_ullr"
COUNTS_PATTERN = r"cf_?cvg|cloud_?free|_Num(_|$)"
RADIANCE_BAND_PATTERN = r"avg_rad|(AllAngle|NearNadir)_Composite_Snow_Free$"
# Of Black Marble (VNP46A1 to A4 and their NOAA-20 twins), HDF-EOS5
TILE_DEG, TILE_PX = 10.0, 2400
EDGE_ATTRIBUTES = [f"{side}BoundingCoord" for side in ("West", "South", "East", "North")]
# Best first: all angles have the most observations; gap-filled has a value wherever one was ever.
DATA_SETS = (
    "AllAngle_Composite_Snow_Free",
    "NearNadir_Composite_Snow_Free",
    "OffNadir_Composite_Snow_Free",
    "Gap_Filled_DNB_BRDF-Corrected_NTL",
    "DNB_BRDF-Corrected_NTL",
    "DNB_At_Sensor_Radiance_500m",
    "DNB_At_Sensor_Radiance",
)


# In units of any coordinate system: the Earth's girth is 1.3e8 feet; GDAL warps without end beyond
FARTHEST = 1e9
MAX_STEP_DEG = 10.0  # the world is 36 pixels wide
# Clips of one city or country are small; world maps are never looked through for border zeros
MAX_CLIP_PIXELS = 4_000_000
MAX_ZEROS_INSIDE = 0.02  # share of a clip's patch; inside a composite an exact 0 hardly occurs
DMSP_STEP_DEG = 1.0 / 120.0  # 30 arcsec; VIIRS composites have 15


def open_files(kind: KindName, path: Path) -> list[Reference]:
    """Open the references of a kind in a file or folder; MapError if there are none."""
    if path.is_dir():
        # Newest name first: of two tiles of the same place the later one counts.
        files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in MAP_SUFFIXES), reverse=True
        )
        if not files:
            raise MapError(
                f"{path} has no map of {kind}: it should contain GeoTIFF files, or VNP46 or "
                "netCDF of lights."
            )
        return [one for file in files for one in open_files(kind, file)]
    try:
        with open_regular(path) as file:
            magic = file.read(512)
    except OSError as error:
        raise MapError(f"{error}.") from error
    if magic.startswith(TIFF_MAGICS):
        return [open_with_gdal(kind, path, "GTiff")]
    is_hdf5 = magic.startswith(HDF5_SIGNATURE)
    if kind == "lights" and is_hdf5:
        # NetCDF 4 is HDF5, too, and GDAL's library has the same endless loop as h5py's
        with (
            raise_read_failures(path),
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            if not heaps_end(data):
                raise ValueError("a heap that does not end")

            def check(name: str, thing: h5py.Group | h5py.Dataset) -> None:
                # Values that are stored in other files an untrusted map could choose
                if isinstance(thing, h5py.Dataset) and (thing.external or thing.is_virtual):
                    raise MapError(
                        f"{path} refers to other files for its values: give a file that contains "
                        "them."
                    )

            with open_hdf5(path, MapError) as hdf5:
                hdf5.visititems(check)
        if path.suffix.lower() != ".nc":
            return [open_vnp46(path)]
    if kind == "lights" and (is_hdf5 or magic.startswith(NETCDF_MAGIC)):
        return [open_with_gdal(kind, path, "netCDF")]
    if is_packed(magic):
        raise MapError(f"{path} is compressed: unpack it first.")
    for start, what in OTHER_FORMATS:
        if magic.startswith(start):
            raise MapError(f"{path} {what}.")
    if kind != "lights":
        raise MapError(
            f"{path} is not a GeoTIFF: make one with `regengine maps build --kind {kind}`."
        )
    raise MapError(
        f"{path} is not a night-light map, despite its name: give a GeoTIFF, a VNP46 tile (HDF5), "
        "a netCDF file, or a folder of them."
    )


def open_with_gdal(kind: KindName, path: Path, driver: Literal["GTiff", "netCDF"]) -> Reference:
    """Open a built reference, or a source raster in any coordinate system."""
    with open_raster(path, driver=driver) as dataset:
        if dataset.count == 0:
            raise MapError(
                f"{path} has {format_count(len(dataset.subdatasets), 'variable')}: extract the "
                "radiance with gdal_translate NETCDF:file.nc:variable out.tif and give that file."
            )
        # By the CF conventions a netCDF is in degrees where no other system is named
        crs = CRS.from_epsg(4326) if driver == "netCDF" and not dataset.crs else dataset.crs
        if crs is None or dataset.transform == Affine.identity():
            raise MapError(
                f"{path} has no coordinate system: get the georeferenced file, or {SET_PLACE}."
            )
        if driver == "GTiff" and not has_all_blocks(path, dataset, 64):
            raise MapError(f"{path} is truncated: get it again.")
        grid, warp = None, True
        if max(map(abs, dataset.bounds)) <= FARTHEST:
            to_lonlat, (rows, cols) = dataset.transform, dataset.shape
            step = (to_lonlat.a - to_lonlat.e) / 2.0
            skew = abs(to_lonlat.b) * rows + abs(to_lonlat.d) * cols
            skew += abs(to_lonlat.a + to_lonlat.e) / 2.0 * max(cols, rows)
            # North-up and square within 0.02 pixels over the whole file
            is_square = step > 0.0 and skew <= 0.02 * step
            warp = crs.to_epsg() != 4326 or not is_square
            west, north = to_lonlat.c, to_lonlat.f
            grid = PixelGrid(west=west, north=north, step_deg=step, cols=cols, rows=rows)
            grid = _lonlat_grid(dataset, crs) if warp else grid
        if grid is None:
            raise _make_place_error(path, dataset.bounds)
        _check_place(path, grid)
        masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]  # a mask, or opacity
        raw = Reference(
            path=path, kind=kind, grid=grid, crs=crs.to_string(), warp=warp, masked=masked,
            driver=driver,
        )  # fmt: skip
        tags = dataset.tags()
        if FORMAT_TAG in tags:
            return _identify_built(raw, dataset, tags)
        if kind == "streets":
            raise MapError(
                f"{path} is not a street map: make one with `regengine maps build ROADS --kind "
                "streets`."
            )
        with suppress(ValueError):  # without a palette; one of GDAL's own inverts white-is-zero
            # Grey if its palette is; transparent entries are no data
            palette = dataset.colormap(1)
            if dataset.count > 1 and ColorInterp.alpha not in dataset.colorinterp:
                raise MapError(
                    f"{raw.path} has a palette and other bands besides: expand its colours first, "
                    f"with gdal_translate -b 1 -expand rgb {raw.path.name} colours.tif."
                )
            colours = [colour for *colour, opaque in palette.values() if opaque]
            is_grey = all(red == green == blue for red, green, blue in colours)
            raw = replace(
                raw, palette=True, bands=(1,) if is_grey else (1, 2, 3), opacity=(4, 255.0)
            )
        return _picture(raw, dataset) if kind == "day" else _lights(raw, dataset)


def _check_place(path: Path, grid: PixelGrid) -> None:
    """Raise MapError if a grid is not on the Earth."""
    if (
        not (grid.west >= -361.0 and grid.east <= 541.0)
        or not min(grid.south + 90.0, 90.0 - grid.north) >= -2.0 * grid.step_deg
        # At least a tenth of a metre
        or not 1e-6 <= grid.step_deg <= MAX_STEP_DEG
    ):
        raise _make_place_error(path, grid.bounds)


def _make_place_error(path: Path, bounds: Bounds) -> MapError:
    return MapError(
        f"{path} has a position off the Earth (west {bounds[0]:g}, north {bounds[3]:g}): get it "
        f"again, or {SET_PLACE}."
    )


def read_content_sha256(path: Path) -> str | None:
    """Read the SHA-256 of grid and lights of a built map, hexadecimal; None for other maps."""
    try:
        with open_raster(path, driver="GTiff") as dataset:
            return dataset.tags().get("LIGHTS_SHA256")
    except MapError:
        return None


def _identify_built(
    raw: Reference, dataset: rasterio.DatasetReader, tags: dict[str, str]
) -> Reference:
    """Identify a reference made by `regengine maps build`."""
    spec = KINDS[raw.kind]
    if tags[FORMAT_TAG] != spec.format:
        other = next((kind for kind in KINDS if KINDS[kind].format == tags[FORMAT_TAG]), None)
        if other is not None:
            raise MapError(f"{raw.path} is a map of {other}, not of {raw.kind}.")
        raise MapError(
            f"{raw.path} was built by another version ({tags[FORMAT_TAG]!r}, this one reads "
            f"{spec.format!r}): build it again with `regengine maps build --kind "
            f"{raw.kind}`."
        )
    grid, saturation = raw.grid, tags.get("SATURATION_CODE", "")
    exact = (f for f in dataset.overviews(1) if not (grid.cols % f or grid.rows % f or f & (f - 1)))
    return replace(
        raw,
        product=tags.get("PRODUCT", ""),
        date=tags.get("DATE", ""),
        credit=tags.get("CREDIT", ""),
        measured=tags.get("KIND") not in ("display", "day"),
        saturation=float(saturation) * spec.scale if saturation else None,
        content_sha256=tags.get(f"{raw.kind.upper()}_SHA256", ""),
        bands=(1, 2, 3) if spec.bands == 4 else (1,),
        nodata=None if spec.nodata is None else float(spec.nodata),
        scale=spec.scale,
        overviews=tuple(exact),
    )


def _picture(raw: Reference, dataset: rasterio.DatasetReader) -> Reference:
    """Identify a day map, with values as displayed."""
    raw = replace(
        raw,
        coding="picture",
        measured=False,
        product=dataset.tags().get("PRODUCT", "") or product_of_name(raw.path.name),
        date=date_of_name(raw.path.name),
    )
    if raw.palette:
        return raw
    if raw.warp:
        raw = _with_overviews(raw, dataset)
    opacity = find_opacity(dataset)
    n_shown = dataset.count - (opacity is not None)
    if set(dataset.dtypes) != {"uint8"} or n_shown not in (1, 3, 4):
        raise MapError(
            f"{raw.path} is not a picture of 8 bits in one or three bands: make one, for example "
            f"with gdal_translate -ot Byte -b 4 -b 3 -b 2 -scale {raw.path.name} shown.tif."
        )
    bands = (1,) if n_shown == 1 else (1, 2, 3)
    return replace(raw, bands=bands, opacity=opacity, nodata=dataset.nodatavals[0])


def _with_overviews(raw: Reference, dataset: rasterio.DatasetReader) -> Reference:
    """Widen the grid of a warped file to whole pixels of all of its overviews."""
    factors = tuple(one for one in dataset.overviews(1) if one in FACTORS)
    whole = max(factors, default=1)
    cols, rows = (-(-side // whole) * whole for side in (raw.grid.cols, raw.grid.rows))
    return replace(raw, grid=replace(raw.grid, cols=cols, rows=rows), overviews=factors)


def _lights(raw: Reference, dataset: rasterio.DatasetReader) -> Reference:
    """Identify a night-light map by the tags, the data type and the name of a file."""
    path, about = raw.path, dataset.tags().get("PRODUCT", "")
    raw = replace(
        raw,
        product=product_of_name(path.name) or product_of_name(about),
        date=date_of_name(path.name) or date_of_name(about),
    )
    shown = replace(raw, measured=False, saturation=display_saturation())
    if raw.palette:
        return replace(shown, coding="grey" if len(raw.bands) == 1 else "colour")
    opacity = find_opacity(dataset) if raw.driver == "GTiff" else None
    raw, shown = replace(raw, opacity=opacity), replace(shown, opacity=opacity)
    if dataset.count in (3, 4) and set(dataset.dtypes) == {"uint8"}:
        return replace(shown, coding="colour", bands=(1, 2, 3))
    named = (
        number
        for number, text in enumerate(dataset.descriptions, start=1)
        if text and re.search(RADIANCE_BAND_PATTERN, text)
    )
    # Use the last of several times of a netCDF
    band = next(named, dataset.count if raw.driver == "netCDF" else 1)
    since = re.match(r"days since (\d{4}-\d\d-\d\d)", dataset.tags().get("time#units", ""))
    days = re.match(r"\d+", dataset.tags(band).get("NETCDF_DIM_time", ""))
    if since and days:
        day = np.datetime64(since[1]) + np.timedelta64(int(days[0]), "D")
        raw = replace(raw, date=str(day))
    dtype, nodata = dataset.dtypes[band - 1], dataset.nodatavals[band - 1]
    if "complex" in dtype:
        raise MapError(f"{path} has complex numbers instead of radiances: give real numbers.")
    if re.search(COUNTS_PATTERN, f"{path.stem} {dataset.descriptions[band - 1] or ''}"):
        raise MapError(
            f"{path} has counts of observations instead of lights: give the avg_rad file of the "
            "same composite."
        )
    why = "by its name" if "DMSP" in raw.product else ""
    is_dmsp_grid = abs(raw.grid.step_deg / DMSP_STEP_DEG - 1.0) < 0.01
    if dtype == "uint8" and is_dmsp_grid and not why and "Black Marble" not in raw.product:
        shape = tuple(min(side, 1000) for side in dataset.shape)
        samples = dataset.read(band, out_shape=shape)
        # Six bits of the sensor
        if samples[samples != nodata].max(initial=0) <= 63:
            why = "values up to 63 on pixels of 30 arcsec"
    if why:
        raise MapError(
            f"{path} has DMSP digital numbers, not radiances ({why}): convert it once, at about "
            "0.4 nW/cm²/sr per number, for example with gdal_translate -ot Float32 -scale 0 63 0 "
            f"25 {path.name} radiance.tif."
        )
    if dtype == "uint8":
        return replace(shown, coding="grey", bands=(band,), nodata=nodata)
    nodata = choose_nodata(nodata, dtype)
    if nodata is None and raw.opacity is None and zeros_mean_no_data(dataset, band):
        nodata = 0.0
    unit = dataset.units[band - 1] or dataset.tags(band).get("units", "")
    declared = radiance_factor(unit)
    factor = declared or 1.0
    raw = replace(
        raw,
        coding="radiance",
        bands=(band,),
        nodata=nodata,
        scale=dataset.scales[band - 1] * factor,
        offset=dataset.offsets[band - 1] * factor,
    )
    if declared is not None:
        return raw
    return replace(raw, doubt=_doubt_unit(raw, sample_band(dataset, band), unit))


def _doubt_unit(raw: Reference, samples: NDArray[Any], unit: str) -> str:
    """Warn if radiances would be below the noise if they were in nW/cm2/sr; "" otherwise."""
    radiance_nw = samples[samples != raw.nodata] * raw.scale + raw.offset
    brightest = radiance_nw.max(where=radiance_values(radiance_nw)[1], initial=0.0)
    # Noise of VIIRS DNB: of its maps in nW/cm2/sr the brightest pixel lies above, over any desert
    if not 0.0 < brightest < 0.1:
        return ""
    says = f"has the unit {unit!r}" if unit else "has no unit"
    return (
        f"{raw.path} {says}, and its brightest pixel would have {brightest:.2g} nW/cm²/sr, less "
        "than the sensor's noise: no light is detected in it; if it is in W/cm²/sr, convert it "
        f"once with gdal_translate -ot Float32 -scale 0 1 0 1e9 {raw.path.name} radiance.tif "
        "(from W/m²/sr with 1e5)."
    )


def find_opacity(dataset: rasterio.DatasetReader) -> tuple[int, float] | None:
    """Find the opacity band and its value where a map is opaque; None without such a band.

    It is the last one: as the file declares, or, as many programs write it undeclared, one without
    a name that holds nothing but 0 and the highest value.
    """
    band = dataset.count
    if band < 2:
        return None
    dtype = np.dtype(dataset.dtypes[-1])
    top = float(np.iinfo(dtype).max) if dtype.kind in "iu" else 255.0  # as GDAL takes it
    interpretation = dataset.colorinterp[-1]
    if interpretation == ColorInterp.alpha:
        # Some programs write 0 to 1, or 0 to 255 in wider integers
        return band, float(sample_band(dataset, band).max()) or top
    if interpretation != ColorInterp.undefined or dataset.descriptions[-1]:
        return None
    samples = sample_band(dataset, band)
    is_mask = np.isin(samples, (0, top)).all() and (samples == top).any()
    return (band, top) if is_mask else None


def sample_band(dataset: rasterio.DatasetReader, band: int) -> NDArray[Any]:
    """Read samples of a band: all of a clip, or evenly spread blocks of a larger map."""
    if dataset.width * dataset.height <= MAX_CLIP_PIXELS:
        return np.asarray(dataset.read(band)).ravel()
    high, wide = dataset.block_shapes[band - 1]
    rows, cols = -(-dataset.height // high), -(-dataset.width // wide)
    # Maps that are not looked through are sampled in 16 blocks
    chosen = np.unique(np.linspace(0, rows * cols - 1, 16).astype(int))
    windows = (dataset.block_window(band, *divmod(int(block), cols)) for block in chosen)
    return np.concatenate([dataset.read(band, window=one).ravel() for one in windows])


def zeros_mean_no_data(dataset: rasterio.DatasetReader, band: int) -> bool:
    """Whether exact zeros mark the area outside a clip.

    Exports of a circle or a country leave 0 around it. In a composite that keeps its background an
    exact 0 hardly occurs inside, so: all other pixels are one patch, with hardly any zero in it.
    (Of a country's clip 99.99 % are in one patch; the lights of Paris, Tokyo or Los Angeles on a
    background of 0 leave 2 % in patches of their own.)
    """
    from scipy.ndimage import binary_fill_holes, label

    if dataset.width * dataset.height > MAX_CLIP_PIXELS:
        return False
    samples = dataset.read(band)
    if samples.dtype.kind != "f" or not np.isfinite(samples).all() or samples.min() < -1e30:
        return False
    other = samples != 0
    patches = label(other, np.ones((3, 3)))[0]
    if patches.max() == 0 or other.all():
        return False
    largest = patches == np.bincount(patches[other]).argmax()
    # Of a country's clip 0.9999 is in one patch, of cities 0.98
    if np.count_nonzero(largest) < 0.995 * np.count_nonzero(other):
        return False
    zeros_inside = np.count_nonzero(binary_fill_holes(largest) & ~other)
    return bool(zeros_inside < MAX_ZEROS_INSIDE * np.count_nonzero(largest))


def _lonlat_grid(dataset: rasterio.DatasetReader, crs: CRS) -> PixelGrid:
    """Make a WGS84 grid as fine as the dataset, beyond 180 degrees across the antimeridian."""
    x, y = dataset.transform * (0.5 * dataset.width, 0.5 * dataset.height)
    middle = warp_points(crs, "EPSG:4326", [x], [y])[0][0]
    around = f"+proj=longlat +datum=WGS84 +lon_wrap={middle if np.isfinite(middle) else 0.0}"
    transform, cols, rows = calculate_default_transform(
        crs, around, dataset.width, dataset.height, *dataset.bounds
    )
    step = min(transform.a, -transform.e)
    cols = math.ceil(cols * transform.a / step)
    rows = math.ceil(rows * -transform.e / step)
    return PixelGrid(west=transform.c, north=transform.f, step_deg=step, cols=cols, rows=rows)


def has_all_blocks(path: Path, dataset: rasterio.DatasetReader, last: int | None = None) -> bool:
    """Whether a GeoTIFF reaches to the end of its blocks, or of the last so many that it holds.

    Those of a world take 0.03 to 0.07 s, too long for each process that opens it.
    """
    size, shape = path.stat().st_size, np.divide(dataset.shape, dataset.block_shapes[0])
    places = (
        [
            dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", 1)
            for what in ("OFFSET", "SIZE")
        ]
        for row, col in reversed(list(np.ndindex(*np.ceil(shape).astype(int))))
    )
    stored = (place for place in places if None not in place)
    return all(sum(map(int, place)) <= size for place in islice(stored, last))


def choose_nodata(declared: float | None, dtype: str) -> float | None:
    """Choose the value that means "no data": as declared, else the last one of wide integers.

    65535 is the fill value of Black Marble, Collection 1. Those of floats are no radiances.
    """
    type_ = np.dtype(dtype)
    if declared is not None or type_.kind not in "iu" or type_.itemsize == 1:
        return declared
    limits = np.iinfo(type_)
    return float(limits.max if type_.kind == "u" else limits.min)


def open_vnp46(path: Path) -> Reference:
    """Open a Black Marble tile, or a part of one, where the file says that its pixels are."""
    data_sets: dict[str, h5py.Dataset] = {}
    edges: dict[str, float] = {}

    def note(name: str, thing: h5py.Group | h5py.Dataset) -> None:
        if isinstance(thing, h5py.Group):
            for key in EDGE_ATTRIBUTES & thing.attrs.keys():
                edges[key] = float(np.ravel(thing.attrs[key])[0])
        elif thing.ndim == 2:
            data_sets.setdefault(name.rsplit("/", 1)[-1], thing)

    with raise_read_failures(path), open_hdf5(path, MapError) as file:
        file.visititems(note)
        note("", file)
        wanted = next((data_sets[name] for name in DATA_SETS if name in data_sets), None)
        if wanted is None:
            raise MapError(
                f"{path} has no known night-light data set ({', '.join(DATA_SETS[:2])}, …): give "
                "a VNP46A2, A3 or A4 tile."
            )
        grid, is_south_up = _locate_tile(path, file, wanted, edges)
        numbers = {  # kept as numbers or arrays of one
            key: float(np.ravel(wanted.attrs[key])[0])
            for key in ("_FillValue", "scale_factor", "add_offset", "offset")
            if key in wanted.attrs
        }
        unit = np.ravel(wanted.attrs.get("units", ""))[0]
        unit = unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)
        data_set, dtype = str(wanted.name), str(wanted.dtype.name)
    factor = radiance_factor(unit) or 1.0
    return Reference(
        path=path,
        kind="lights",
        driver="HDF5",
        data_set=data_set,
        coding="radiance",
        grid=grid,
        is_south_up=is_south_up,
        nodata=choose_nodata(numbers.get("_FillValue"), dtype),
        scale=numbers.get("scale_factor", 1.0) * factor,
        offset=numbers.get("add_offset", numbers.get("offset", 0.0)) * factor,
        product=product_of_name(path.name) or "Black Marble",
        date=date_of_name(path.name),
    )


def _locate_tile(
    path: Path, file: h5py.File, field: h5py.Dataset, edges: dict[str, float]
) -> tuple[PixelGrid, bool]:
    """Locate the pixels of a tile, or of a part of one, and say whether the first row is southern.

    Arrays of longitude and latitude and StructMetadata count first. Attributes and names are often
    kept as they were when a tile is cut, so those of a whole tile are not believed of other sizes.
    """
    rows, cols = field.shape
    is_tile = (rows, cols) == (TILE_PX, TILE_PX)
    lon, lat = (_read_axis(field.parent.get(axis), n) for axis, n in (("lon", cols), ("lat", rows)))
    axes = (lon[0], min(lat), lon[1], max(lat)) if lon and lat else None
    is_south_up = bool(axes and lat and lat[0] < lat[1])
    structure = _read_structure(file, rows, cols)
    others: list[Bounds] = []
    if len(edges) == len(EDGE_ATTRIBUTES):
        west, south, east, north = (edges[key] for key in EDGE_ATTRIBUTES)
        if is_tile or east - west < 0.99 * TILE_DEG:
            others.append((west, south, east, north))
    name = re.search(r"h([0-2]\d|3[0-5])v(0\d|1[0-7])", path.name)
    if name and is_tile:
        west, north = -180.0 + TILE_DEG * int(name[1]), 90.0 - TILE_DEG * int(name[2])
        others.append((west, north - TILE_DEG, west + TILE_DEG, north))

    def is_square(bounds: Bounds) -> bool:
        west, south, east, north = bounds
        wide, high = (east - west) / cols, (north - south) / rows
        return abs(wide - high) * max(rows, cols) < 0.5 * wide

    def agrees(bounds: Bounds) -> bool:
        tolerance = 0.75 * (claims[0][2] - claims[0][0]) / cols
        return all(abs(a - b) < tolerance for a, b in zip(bounds, claims[0], strict=True))

    first = filter(None, (axes, structure))
    claims = list(filter(is_square, first)) or list(filter(is_square, others))
    if not claims:
        raise MapError(
            f"{path} does not say where its {cols:,} x {rows:,} pixels are, or they are not "
            f"square, and it is no whole tile of {TILE_PX:,} x {TILE_PX:,} with hHHvVV in its "
            f"name, such as VNP46A4.A2020001.h31v05.h5: get it again, or {SET_PLACE}."
        )
    if not all(map(agrees, claims)) or (is_south_up and structure):
        places = " and ".join(",".join(f"{edge:.6g}" for edge in one) for one in claims)
        raise MapError(
            f"{path} contradicts itself: its {cols:,} x {rows:,} pixels would be in {places}"
            f"{', from south to north in the first' if is_south_up else ''}: get it again, or "
            f"{SET_PLACE}."
        )
    # Arrays have the centres of pixels, or by some programs their corners: edges are known better
    west, _, east, north = next(filter(agrees, [*claims[1:], *others]), claims[0])
    grid = PixelGrid(west=west, north=north, step_deg=(east - west) / cols, cols=cols, rows=rows)
    _check_place(path, grid)
    return grid, is_south_up


def _read_axis(axis: object, size: int) -> tuple[float, float] | None:
    """Read the outer edges of evenly spaced centres of pixels; None if there are none."""
    if not isinstance(axis, h5py.Dataset) or axis.shape != (size,) or not 1 < size < 1e5:
        return None
    centres = axis[:].astype(float)
    even, step = np.linspace(centres[0], centres[-1], size, retstep=True)
    if not np.abs(centres - even).max() < 0.1 * abs(step):
        return None
    return float(centres[0] - 0.5 * step), float(centres[-1] + 0.5 * step)


def _read_structure(file: h5py.File, rows: int, cols: int) -> Bounds | None:
    """Read the bounds of a grid of so many pixels from the metadata of HDF-EOS5; None without."""
    metadata = file.get("HDFEOS INFORMATION/StructMetadata.0")
    if not isinstance(metadata, h5py.Dataset) or metadata.shape != ():
        return None
    text = str(metadata.asstr(errors="replace")[()])
    texts = dict(re.findall(r"(XDim|YDim|UpperLeftPointMtrs|LowerRightMtrs)=\(?([^)\s]*)", text))
    if (texts.get("XDim"), texts.get("YDim")) != (
        str(cols),
        str(rows),
    ) or "GCTP_GEO" not in text:
        return None
    corners = f"{texts.get('UpperLeftPointMtrs')},{texts.get('LowerRightMtrs')}".split(",")
    if len(corners) != 4:
        return None
    numbers = [float(corner) for corner in corners]
    if max(map(abs, numbers)) > 361.0:  # degrees, minutes and seconds as DDDMMMSSS.SS
        numbers = [
            math.copysign(n // 1e6 + n // 1e3 % 1e3 / 60.0 + n % 1e3 / 3600.0, sign)
            for n, sign in zip(map(abs, numbers), numbers, strict=True)
        ]
    west, north, east, south = numbers
    return west, south, east, north
