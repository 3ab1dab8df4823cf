"""`regengine lights`: what a night-light map is, build one file out of any, download tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Bbox, Force, Json, Quiet, listen
from regengine.errors import ConfigError
from regengine.io.console import say

app = typer.Typer(
    help="Get, inspect, build or index night-light maps.\n\nExample: regengine lights get",
    no_args_is_help=True,
)

Maps = Annotated[list[Path], typer.Argument(help="Night-light maps: files, or folders of files.")]


@app.command()
def get(
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Map or folder of maps on disk, instead of a download; may be given several "
            "times.",
        ),
    ] = None,
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
            help="Tile service with {z}, {x}, {y} or {-y}, or archive of the product.  [NASA's]"
        ),
    ] = None,
    level: Annotated[
        int,
        typer.Option(
            min=0,
            max=8,
            help="Zoom level of the tiles; each level down has a quarter of the pixels.",
        ),
    ] = 8,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Get the night lights of the Earth, once; every command uses them from then on.

    Downloads NASA's Black Marble, or takes your own map, and makes map and index in the data
    folder. To resume an interrupted download, run the same command again.

    \b
    Examples:
      regengine lights get
      regengine lights get --bbox -12,34,32,60
      regengine lights get --from VNP46A4/
      regengine lights get --product VNP46A4 --date 2020 --bbox -12,34,32,60
    """
    from regengine.maps.make import get_lights
    from regengine.maps.reference import parse_bounds

    bounds = None if region is None else parse_bounds(region, "--bbox")
    if source and url is not None:
        raise ConfigError("--url is for downloads: leave it out with --from.")
    if (product is None) != (date is None) or (product and (source or region is None)):
        raise ConfigError(
            "--product, --date and --bbox go together, without --from: for example VNP46A4 of 2020."
        )
    with listen(quiet=quiet) as listener:
        out = get_lights(
            sources=source or (),
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
def info(
    maps: Maps,
    as_json: Json = False,
) -> None:
    """Show product, date, resolution, extent and distribution of radiances of maps.

    Several maps are shown as the one map that --lights combines them to.

    \b
    Examples:
      regengine lights info earth.tif
      regengine lights info PAR_2019_01.tif earth.tif --json
    """
    from regengine.maps.describe import list_facts

    say(*list_facts("lights", maps, as_json=as_json))


@app.command(no_args_is_help=True)
def build(
    sources: Maps,
    out: Annotated[Path, typer.Option(help="GeoTIFF to create.")],
    product: Annotated[str, typer.Option(help="Name of the product, if the file has none.")] = "",
    date: Annotated[
        str, typer.Option(help="Date of the lights: 2016, 2019-01 or 2016-01-01.")
    ] = "",
    bbox: Bbox = None,
    with_index: Annotated[
        bool, typer.Option("--index/--no-index", help="Create the index beside it, OUT.idx.")
    ] = True,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Build one map that opens in milliseconds from maps of any format, and its index.

    \b
    Examples:
      regengine lights build BlackMarble_2016.tif --out earth.tif
      regengine lights build VNP46A4/ --out europe.tif --bbox -12,34,32,60 --no-index
    """
    from regengine.maps.make import build_lights
    from regengine.maps.reference import parse_bounds

    region = None if bbox is None else parse_bounds(bbox)
    with listen(quiet=quiet) as listener:
        build_lights(
            sources,
            out,
            bounds=region,
            product=product,
            date=date,
            with_index=with_index,
            overwrite=force,
            listener=listener,
        )


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
      regengine lights index earth.tif
      regengine register night.jpg --lights earth.tif
    """
    from regengine.maps.make import index_lights

    with listen(quiet=quiet) as listener:
        index_lights(maps, out, overwrite=force, listener=listener)
