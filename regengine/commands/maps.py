"""`regengine maps`: get, build, inspect or index maps of lights, streets and days."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from regengine.commands.options import Bbox, Force, Json, Quiet, listen
from regengine.errors import ConfigError
from regengine.io.console import say

app = typer.Typer(
    help="Get, inspect, build or index maps of lights, streets and days.\n\n"
    "Example: regengine maps get",
    no_args_is_help=True,
)

Kind = Annotated[
    Literal["lights", "streets", "day"],
    typer.Option(help="Night lights, street lamps for telephoto photos, or the Earth by day."),
]
Maps = Annotated[list[Path], typer.Argument(help="Maps of that kind: files, or folders of files.")]


@app.command()
def get(
    place: Annotated[
        str | None, typer.Argument(help="A town, 'TOWN, COUNTRY', or LON,LAT: the 60 km around it.")
    ] = None,
    kind: Kind = "lights",
    region: Bbox = None,
    product: Annotated[
        str | None,
        typer.Option(help="Download VNP46A2, A3 or A4 of the region; needs EARTHDATA_TOKEN."),
    ] = None,
    date: Annotated[
        str | None, typer.Option(help="Date of the product: 2020-03-14, 2020-03 or 2020.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Tile service with {z}, {x}, {y} or {-y}, archive of the product, or list of "
            "extracts of OpenStreetMap.  [NASA's, EOX's, Geofabrik's]"
        ),
    ] = None,
    level: Annotated[
        int,
        typer.Option(
            min=0,
            max=22,
            help="Zoom level of the tiles (up to 8; by day to 14, of Sentinel-2); each level down "
            "has a quarter of the pixels.",
        ),
    ] = 8,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Get a map, once; every command uses it from then on.

    Downloads NASA's Black Marble (lights of the whole Earth, with their index), a region of Blue
    Marble (day), or roads of OpenStreetMap around a place (streets), and makes the map in the data
    folder. To resume an interrupted download, run the same command again.

    \b
    Examples:
      regengine maps get
      regengine maps get --product VNP46A4 --date 2020 --bbox -12,34,32,60
      regengine maps get Paris --kind streets
      regengine maps get --kind day --bbox 5,43,8,46
    """
    from regengine.maps.make import get_map
    from regengine.maps.places import parse_bounds

    bounds = None if region is None else parse_bounds(region)
    if (product is None) != (date is None) or (product and region is None):
        raise ConfigError("--product, --date and --bbox go together: for example VNP46A4 of 2020.")
    with listen(quiet=quiet) as listener:
        out = get_map(
            kind,
            place,
            bounds=bounds,
            product=product or "",
            date=date or "",
            url=url,
            level=level,
            overwrite=force,
            listener=listener,
        )
    if not quiet:
        say("regengine register PHOTO uses them from now on.", err=True)
    say(str(out))


@app.command(no_args_is_help=True)
def build(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Night-light maps or folders of them; GeoTIFFs of 8 bits, one band or three (day);"
            " extracts: .osm.pbf, GeoPackage, FlatGeobuf, Shapefile, GeoJSON, GeoParquet (streets)."
        ),
    ],
    kind: Kind = "lights",
    out: Annotated[
        Path | None, typer.Option(help="GeoTIFF to create.  [in the data folder]")
    ] = None,
    region: Bbox = None,
    product: Annotated[str, typer.Option(help="Name of the product, if the file has none.")] = "",
    date: Annotated[
        str, typer.Option(help="Date of the content: 2016, 2019-01 or 2016-01-01.")
    ] = "",
    credit: Annotated[str, typer.Option(help="Credit to show with a day map.")] = "",
    with_index: Annotated[
        bool, typer.Option("--index/--no-index", help="Index lights, OUT.idx beside the map.")
    ] = True,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Build one map that opens in milliseconds from files of any format.

    Of lights with their index. Streets are drawn as lamps from extracts of OpenStreetMap.

    \b
    Examples:
      regengine maps build BlackMarble_2016.tif --out earth.tif
      regengine maps build VNP46A4/ --out europe.tif --bbox -12,34,32,60 --no-index
      regengine maps build ile-de-france.osm.pbf --kind streets
      regengine maps build T31UDQ.tif --kind day --out paris.tif --credit Copernicus
    """
    from regengine.maps.make import build_map
    from regengine.maps.places import parse_bounds

    bounds = None if region is None else parse_bounds(region)
    with listen(quiet=quiet) as listener:
        build_map(
            kind,
            sources,
            out,
            bounds=bounds,
            product=product,
            date=date,
            credit=credit,
            with_index=with_index,
            overwrite=force,
            listener=listener,
        )


@app.command(no_args_is_help=True)
def info(maps: Maps, kind: Kind = "lights", as_json: Json = False) -> None:
    """Show product, date, resolution and extent of maps, of lights their radiances.

    Several maps are shown as the one map that they are combined to.

    \b
    Examples:
      regengine maps info earth.tif
      regengine maps info PAR_2019_01.tif earth.tif --json
      regengine maps info paris.tif --kind streets
    """
    from regengine.maps.opening import list_facts

    say(*list_facts(kind, maps, as_json=as_json))


@app.command(no_args_is_help=True)
def index(
    maps: Maps,
    out: Annotated[
        Path | None, typer.Option(help="File to create.  [MAP.idx beside the map]")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Index the lights of a map, for blind searches.

    Takes minutes for the whole Earth, once; the remaining time is shown. Kept beside the map, the
    index is used automatically, even if the map is renamed.

    \b
    Examples:
      regengine maps index earth.tif
      regengine register night.jpg --lights earth.tif
    """
    from regengine.maps.make import index_lights

    with listen(quiet=quiet) as listener:
        index_lights(maps, out, overwrite=force, listener=listener)
