"""`regengine day`: pictures of the Earth by day as a reference, from NASA or of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Bbox, Force, Json, Quiet, listen
from regengine.io.console import say

app = typer.Typer(
    help="Get, inspect or build day maps.\n\nExample: regengine day get --bbox 5,43,8,46",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
def get(
    region: Annotated[
        str, typer.Option("--bbox", metavar="WEST,SOUTH,EAST,NORTH", help="Region to download.")
    ],
    url: Annotated[
        str | None,
        typer.Option(help="Tile service with {z}, {x}, {y} or {-y}.  [NASA's]"),
    ] = None,
    level: Annotated[int, typer.Option(min=0, max=22, help="Zoom level of the tiles.")] = 8,
    out: Annotated[Path | None, typer.Option(help="File to create.  [in the data folder]")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Download a region of NASA's Blue Marble, 500 m a pixel, or of another tile service.

    To resume an interrupted download, run the same command again.

    \b
    Examples:
      regengine day get --bbox 5,43,8,46
    """
    from regengine.maps.make import get_day
    from regengine.maps.reference import parse_bounds

    bounds = parse_bounds(region, "--bbox")
    with listen(quiet=quiet) as listener:
        out = get_day(bounds, out, url=url, level=level, overwrite=force, listener=listener)
    say(str(out))


@app.command(no_args_is_help=True)
def info(
    pictures: Annotated[list[Path], typer.Argument(help="Day maps: files, or folders of files.")],
    as_json: Json = False,
) -> None:
    """Show product, date, credit, resolution and extent of day maps.

    \b
    Examples:
      regengine day info paris.tif
    """
    from regengine.maps.describe import list_facts

    say(*list_facts("day", pictures, as_json=as_json))


@app.command(no_args_is_help=True)
def build(
    pictures: Annotated[
        list[Path],
        typer.Argument(help="GeoTIFFs of 8 bits, one band or three, in any projection."),
    ],
    out: Annotated[Path, typer.Option(help="GeoTIFF to create.")],
    region: Bbox = None,
    product: Annotated[str, typer.Option(help="Name of the product.")] = "",
    date: Annotated[str, typer.Option(help="Date of the picture: 2026-01-31.")] = "",
    credit: Annotated[str, typer.Option(help="Credit to show with the picture.")] = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Build one day map from GeoTIFFs, such as those of Sentinel-2.

    \b
    Examples:
      regengine day build T31UDQ.tif --out paris.tif --credit Copernicus
    """
    from regengine.maps.make import build_day
    from regengine.maps.reference import parse_bounds

    bounds = None if region is None else parse_bounds(region, "--bbox")
    with listen(quiet=quiet) as listener:
        build_day(
            pictures,
            out,
            bounds=bounds,
            product=product,
            date=date,
            credit=credit,
            overwrite=force,
            listener=listener,
        )
    say(str(out))
