"""The columns of the catalogue, for its writer, its reader and the docs."""

from __future__ import annotations

from typing import Any

from regengine.exchange.export.columns import FRAME_COLUMNS
from regengine.exchange.export.layers import GEOMETRY, arrow_types, geoparquet_metadata
from regengine.io.extras import need
from regengine.store.schema import Field, Kind

FORMAT = "regengine.catalogue"  # key in the file's metadata
FORMAT_VERSION = 1
ROWS = 65_536  # of a row group: what is not asked for is skipped by the group

_EXPORTED = {column.name: column for column in FRAME_COLUMNS}


def _column(name: str, kind: Kind, description: str) -> Field:
    return Field(name=name, kind=kind, description=description)


def _exported(name: str) -> Field:
    """A field that means what it means in ``--table frames``."""
    return _column(name, _EXPORTED[name].kind, _EXPORTED[name].description)


COLUMNS = (
    # what it is
    _exported("frame"),
    _column("sha256", "text", "SHA-256 of the photo; no two rows have the same"),
    _column("store", "text", "the store that tells of it, a full path"),
    _column("frame_index", "whole", "number of the frame within that store"),
    _column("path", "text", "path of the photo as the store has it"),
    _column("copies", "whole", "how many frames of the stores are this photo"),
    # what is said of it
    _exported("verdict"),
    _column("probability", "real", "calibrated probability that the engine's proposal is right"),
    _exported("decision"),
    _exported("reviewer"),
    _column("rating", "whole", "the person's, 0 (useless) to 5 (excellent)"),
    _column("category", "text", "class of the scene"),
    _exported("category_probability"),
    # when
    _column("time_utc", "moment", "time of the photo"),
    _column("night", "day", "date of the evening of its night, by the mean solar time there"),
    _column("month", "text", "month of that night, such as 2012-03"),
    # where
    _column("centre_lon", "real", "longitude of the image centre; of sky, the nearest ground"),
    _column("centre_lat", "real", "geodetic latitude of the same"),
    _column("nadir_lon", "real", "longitude below the camera: the solved one, else the input"),
    _column("nadir_lat", "real", "geodetic latitude below the camera"),
    _column("altitude_km", "real", "height of the camera above WGS84"),
    _column("west", "real", "western edge of the footprint; beyond east across the antimeridian"),
    _column("south", "real", "its southern edge"),
    _column("east", "real", "its eastern edge"),
    _column("north", "real", "its northern edge"),
    _column("area_km2", "real", "area of the footprint, square kilometres"),
    _column("city", "text", "largest town that is shown, by the light seen; else the nearest"),
    _column("country", "text", "its country"),
    _column("city_km", "real", "from the centre to that city, kilometres"),
    # which place
    _column("place_id", "whole", "number of the place; frames of one place have the same"),
    _column("place", "text", "name of the place: the town that most of its frames show"),
    _column("place_country", "text", "country of that city"),
    _column("place_lon", "real", "longitude of the middle of the place"),
    _column("place_lat", "real", "latitude of the middle of the place"),
    # how
    _column("camera_body", "text", "camera model"),
    _column("focal_mm", "real", "nominal focal length"),
    _column("lens", "text", "focal length in whole millimetres, such as 85 mm"),
    _column("width_px", "whole", "width of the image as stored"),
    _column("height_px", "whole", "height of the image as stored"),
    _exported("off_nadir_deg"),
    _column("resolution_m", "real", "metres on the ground of a pixel at the image centre"),
    _exported("sigma_m"),
    _column("residual_px", "real", "root mean square residual of the engine's fit"),
    _column("held_out_residual_px", "real", "residual of lights held out of that fit"),
    _column("matched_lights", "whole", "lights that agree with the map"),
    _column("ncc", "real", "correlation of the photo with the map"),
    # how good
    _column("sharpness", "real", "1 for detail as fine as the pixels, towards 0 for a smear"),
    _column("cloud", "real", "share of the ground that clouds hide, 0 to 1"),
    _column("cloud_source", "text", "what tells of the clouds: photo or lights"),
    _column("quality", "real", "score of the frame, 0 to 1, by which the best are chosen"),
    _column("best_of_month", "flag", "whether it is the best of its place and month"),
    _column("best_of_year", "flag", "whether it is the best of its place and year of nights"),
    _column(GEOMETRY, "polygons", "footprint, up to 80 degrees of incidence, OGC:CRS84"),
)
NAMES = tuple(column.name for column in COLUMNS)


def arrow_schema() -> Any:
    """The columns as Arrow knows them."""
    import pyarrow as pa

    types = arrow_types()
    return pa.schema([pa.field(column.name, types[column.kind]) for column in COLUMNS])


def file_metadata() -> dict[str, str]:
    """What every catalogue tells of itself: its version, and that it is a GeoParquet file."""
    return {FORMAT: str(FORMAT_VERSION), "geo": geoparquet_metadata("MultiPolygon")}


def need_packages() -> None:
    """See to it that what reads and writes catalogues is there."""
    need("The catalogue", "duckdb", "pyarrow", "pandas", "shapely")
