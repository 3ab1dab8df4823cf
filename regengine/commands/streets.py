"""`regengine streets`: draw the roads of an extract of OpenStreetMap as lamps, or get one first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Bbox, Force, Json, Quiet, listen
from regengine.errors import ConfigError
from regengine.io.console import say

app = typer.Typer(
    help="Get, inspect or build street maps for telephoto photos.\n\n"
    "Example: regengine streets get Paris",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
def build(
    roads: Annotated[
        list[Path],
        typer.Argument(
            help="Extracts: .osm.pbf, GeoPackage, FlatGeobuf, Shapefile, GeoJSON, GeoParquet."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="GeoTIFF to create.  [in the data folder]"),
    ] = None,
    region: Bbox = None,
    product: Annotated[str, typer.Option(help="Name of the product.")] = "",
    date: Annotated[str, typer.Option(help="Date of the roads: 2026-01-31.")] = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Build a street-lamp map from extracts of OpenStreetMap.

    \b
    Examples:
      regengine streets build ile-de-france.osm.pbf
      regengine streets build roads.gpkg --out paris.tif --bbox 1.8,48.5,2.9,49.2
    """
    from regengine.maps.make import build_streets
    from regengine.maps.reference import parse_bounds

    bounds = None if region is None else parse_bounds(region, "--bbox")
    with listen(quiet=quiet) as listener:
        build_streets(
            roads,
            out,
            bounds=bounds,
            product=product,
            date=date,
            overwrite=force,
            listener=listener,
        )


@app.command(no_args_is_help=True)
def info(
    maps: Annotated[list[Path], typer.Argument(help="Street maps: files, or folders of files.")],
    as_json: Json = False,
) -> None:
    """Show product, date, credit, resolution, extent and lit share of street maps.

    \b
    Examples:
      regengine streets info paris.tif
    """
    from regengine.maps.describe import list_facts

    say(*list_facts("streets", maps, as_json=as_json))


@app.command(no_args_is_help=True)
def get(
    place: Annotated[
        str | None, typer.Argument(help="A town, 'TOWN, COUNTRY', or LON,LAT: the 60 km around it.")
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option(metavar="WEST,SOUTH,EAST,NORTH", help="This region instead."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="List of extracts.  [Geofabrik's]")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Download the OpenStreetMap roads around a place and build a street-lamp map.

    To resume an interrupted download, run the same command again.

    \b
    Examples:
      regengine streets get Paris
      regengine streets get "Portland, United States"
      regengine streets get --bbox 134.9,34.1,136.1,35.1
    """
    from regengine.maps.make import get_streets
    from regengine.maps.reference import parse_bounds

    if (place is None) == (bbox is None):
        raise ConfigError("Give a place or --bbox: regengine streets get Paris.")
    bounds = None if bbox is None else parse_bounds(bbox)
    with listen(quiet=quiet) as listener:
        out = get_streets(place, bounds=bounds, url=url, overwrite=force, listener=listener)
    say(str(out))
