"""`regengine day`: pictures of the Earth by day as a reference, from NASA or of one's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from regengine.batch.console import say
from regengine.commands.lights import fetch_tiles, made_alone, progress_bar, show_facts
from regengine.commands.options import Bbox, Force, Json, Quiet
from regengine.errors import ConfigError

app = typer.Typer(
    help="Get, inspect or build pictures by day.\n\nExample: regengine day get --bbox 5,43,8,46",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
def get(
    region: Annotated[
        str, typer.Option("--bbox", metavar="WEST,SOUTH,EAST,NORTH", help="What to get, degrees.")
    ],
    url: Annotated[
        str | None,
        typer.Option(help="Tile service with {z}, {x}, {y} or {-y}; NASA's if not given."),
    ] = None,
    level: Annotated[int, typer.Option(min=0, max=22, help="Zoom level of the tiles.")] = 8,
    out: Annotated[
        Path | None, typer.Option(help="File to make; in the data folder if not given.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Get a region of NASA's Blue Marble, 500 m a pixel, or of another service of tiles.

    What was interrupted goes on with the same command.

    \b
    Examples:
      regengine day get --bbox 5,43,8,46
    """
    from regengine.io.folders import data_folder, make_folder
    from regengine.references.build import write_reference
    from regengine.references.reference import parse_bounds

    bounds = parse_bounds(region, "--bbox")
    if out is None:
        out = make_folder(data_folder() / "day") / "day.tif"
    if out.exists() and not force:
        raise ConfigError(f"{out} is there already: --force makes it anew.")
    with made_alone(out, quiet):
        if force or not out.exists():
            tiles = fetch_tiles("day", bounds, url, level, out, quiet)
            write = partial(write_reference, "day", out, tiles.grid.bounds, tiles.grid.step_deg)
            with progress_bar("Building", quiet=quiet) as progress:
                write(tiles.read_block, tiles.tags, progress, overwrite=force)
    say(str(out))


@app.command(no_args_is_help=True)
def info(
    pictures: Annotated[
        list[Path], typer.Argument(help="Pictures by day: files, or folders of files.")
    ],
    as_json: Json = False,
) -> None:
    """Show product, date, credit, resolution and extent of pictures by day.

    \b
    Examples:
      regengine day info paris.tif
    """
    show_facts("day", pictures, as_json=as_json)


@app.command(no_args_is_help=True)
def build(
    pictures: Annotated[
        list[Path],
        typer.Argument(help="GeoTIFFs of 8 bits, in one band or three, in any projection."),
    ],
    out: Annotated[Path, typer.Option(help="File to make, a GeoTIFF.")],
    region: Bbox = None,
    product: Annotated[str, typer.Option(help="Name of the product.")] = "",
    date: Annotated[str, typer.Option(help="Day of the picture, 2026-01-31.")] = "",
    credit: Annotated[str, typer.Option(help="Whom to name where it is shown.")] = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Build one picture by day that is read in windows out of GeoTIFFs, as of Sentinel-2.

    \b
    Examples:
      regengine day build T31UDQ.tif --out paris.tif --credit Copernicus
    """
    from regengine.references.build import build as build_reference
    from regengine.references.opening import open_references
    from regengine.references.reference import parse_bounds

    bounds = None if region is None else parse_bounds(region, "--bbox")
    tags = {"PRODUCT": product, "DATE": date, "CREDIT": credit}
    sources = open_references("day", pictures)
    with progress_bar("Building", quiet=quiet) as progress:
        build_reference(
            "day", sources, out, region=bounds, overwrite=force, progress=progress, **tags
        )
    say(str(out))
