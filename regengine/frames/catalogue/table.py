"""The columns of the catalogue, for writing, reading and documentation."""

from __future__ import annotations

from typing import Any

from regengine.frames.columns import FRAME_COLUMNS
from regengine.frames.layers import GEOMETRY, arrow_types, geoparquet_metadata
from regengine.io.extras import need
from regengine.store.schema import Field, Kind

FORMAT = "regengine.catalogue"  # key in the file's metadata
FORMAT_VERSION = 1
ROWS = 65_536  # rows per row group: groups without requested rows are skipped

_EXPORTED = {column.name: column for column in FRAME_COLUMNS}


def _declare_column(name: str, kind: Kind, description: str) -> Field:
    return Field(name=name, kind=kind, description=description)


def _declare_exported(name: str) -> Field:
    """A field with the same meaning as in ``--table frames``."""
    return _declare_column(name, _EXPORTED[name].kind, _EXPORTED[name].description)


COLUMNS = (
    # what it is
    _declare_exported("frame"),
    _declare_column("sha256", "text", "SHA-256 of the photo; unique"),
    _declare_column("store", "text", "full path of the store that has the frame"),
    _declare_column("frame_index", "whole", "number of the frame within that store"),
    _declare_column("path", "text", "path of the photo as stored"),
    _declare_column("copies", "whole", "number of frames in the stores with this photo"),
    # what is said of it
    _declare_exported("verdict"),
    _declare_column(
        "probability", "real", "calibrated probability that the engine's proposal is right"
    ),
    _declare_exported("decision"),
    _declare_exported("reviewer"),
    _declare_column("rating", "whole", "the reviewer's rating, 0 (useless) to 5 (excellent)"),
    _declare_column("category", "text", "class of the scene"),
    _declare_exported("category_probability"),
    # when
    _declare_column("time_utc", "moment", "time of the photo"),
    _declare_column("night", "day", "date of the evening of that night, in local mean solar time"),
    _declare_column("month", "text", "month of that night, such as 2012-03"),
    # where
    _declare_column(
        "centre_lon",
        "real",
        "longitude of the image centre; none for sky",
    ),
    _declare_column("centre_lat", "real", "geodetic latitude of the same point"),
    _declare_column(
        "nadir_lon", "real", "longitude of the nadir: solved if available, else as given"
    ),
    _declare_column("nadir_lat", "real", "geodetic latitude of the nadir"),
    _declare_column("altitude_km", "real", "height of the camera above WGS84"),
    _declare_column(
        "west", "real", "western edge of the footprint; greater than east across the antimeridian"
    ),
    _declare_column("south", "real", "southern edge"),
    _declare_column("east", "real", "eastern edge"),
    _declare_column("north", "real", "northern edge"),
    _declare_column("area_km2", "real", "area of the footprint, square kilometres"),
    _declare_column(
        "city", "text", "what the photo shows: the largest town in view near its centre, or the sea"
    ),
    _declare_column("country", "text", "country of that town, or about the centre"),
    _declare_column(
        "city_km",
        "real",
        "distance from the image centre, or the ground nearest to it, to that town, km",
    ),
    # which place
    _declare_column("place_id", "whole", "number of the place; frames of one place share it"),
    _declare_column("place", "text", "name of the place: the town that most of its frames show"),
    _declare_column("place_country", "text", "country of that town"),
    _declare_column("place_lon", "real", "longitude of the centre of the place"),
    _declare_column("place_lat", "real", "latitude of the centre of the place"),
    # how
    _declare_column("camera_body", "text", "camera model"),
    _declare_column("focal_mm", "real", "nominal focal length"),
    _declare_column("lens", "text", "focal length in whole millimetres, such as 85 mm"),
    _declare_column("width_px", "whole", "width of the image as stored"),
    _declare_column("height_px", "whole", "height of the image as stored"),
    _declare_exported("off_nadir_deg"),
    _declare_column("resolution_m", "real", "metres on the ground of a pixel at the image centre"),
    _declare_exported("sigma_m"),
    _declare_column("residual_px", "real", "root mean square residual of the engine's fit"),
    _declare_column("held_out_residual_px", "real", "residual of lights held out of that fit"),
    _declare_column("matched_lights", "whole", "number of lights that agree with the map"),
    _declare_column("ncc", "real", "correlation of the photo with the map"),
    # how good
    _declare_column(
        "sharpness", "real", "1 for detail as fine as the pixels, near 0 for a blurred frame"
    ),
    _declare_column("cloud", "real", "share of the ground that clouds hide, 0 to 1"),
    _declare_column(
        "cloud_source", "text", "what the cloud share is measured from: photo or lights"
    ),
    _declare_column(
        "quality", "real", "score of the frame, 0 to 1, by which the best are selected"
    ),
    _declare_column("best_of_month", "flag", "whether it is the best of its place and month"),
    _declare_column(
        "best_of_year", "flag", "whether it is the best of its place and year of nights"
    ),
    _declare_column(GEOMETRY, "polygons", "footprint, up to 80 degrees of incidence, OGC:CRS84"),
)
NAMES = tuple(column.name for column in COLUMNS)


def arrow_schema() -> Any:
    """The columns as an Arrow schema."""
    import pyarrow as pa

    types = arrow_types()
    return pa.schema([pa.field(column.name, types[column.kind]) for column in COLUMNS])


def file_metadata() -> dict[str, str]:
    """Metadata of every catalogue: its version, and GeoParquet's."""
    return {FORMAT: str(FORMAT_VERSION), "geo": geoparquet_metadata("MultiPolygon")}


def need_packages() -> None:
    """Check that the packages to read and write catalogues are installed."""
    need("The catalogue", "duckdb", "pyarrow", "pandas", "shapely")
