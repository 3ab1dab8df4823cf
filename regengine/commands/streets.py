"""`regengine streets`: draw the roads of an extract of OpenStreetMap as lamps, or get one first."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.batch.console import say
from regengine.commands.lights import made_alone, progress_bar, show_facts
from regengine.commands.options import Bbox, Force, Json, Quiet
from regengine.errors import ConfigError, LightMapError
from regengine.io.plain import counted

if TYPE_CHECKING:
    from regengine.references.reference import Bounds

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
        typer.Option(help="File to make, a GeoTIFF; in the data folder if not given."),
    ] = None,
    region: Bbox = None,
    product: Annotated[str, typer.Option(help="Name of the product.")] = "",
    date: Annotated[str, typer.Option(help="Day of the roads, 2026-01-31.")] = "",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw roads as lamps: one map of street lights out of extracts of OpenStreetMap.

    \b
    Examples:
      regengine streets build ile-de-france.osm.pbf
      regengine streets build roads.gpkg --out paris.tif --bbox 1.8,48.5,2.9,49.2
    """
    from regengine.io.folders import data_folder, make_folder
    from regengine.references.reference import parse_bounds

    bounds = None if region is None else parse_bounds(region, "--bbox")
    if out is None:
        name = re.sub(r"(-latest)?(\.osm)?\.\w+$", "", roads[0].name)
        out = make_folder(data_folder() / "streets") / f"{name}.tif"
    _build(roads, out, bounds, product, date, force=force, quiet=quiet)


@app.command(no_args_is_help=True)
def info(
    maps: Annotated[list[Path], typer.Argument(help="Street maps: files, or folders of files.")],
    as_json: Json = False,
) -> None:
    """Show product, date, credit, resolution, extent and the lit share of street maps.

    \b
    Examples:
      regengine streets info paris.tif
    """
    show_facts("streets", maps, as_json=as_json)


@app.command(no_args_is_help=True)
def get(
    place: Annotated[
        str | None, typer.Argument(help="A town, 'TOWN, COUNTRY', or LON,LAT: 60 km about it.")
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option(metavar="WEST,SOUTH,EAST,NORTH", help="This region instead, degrees."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="List of extracts; Geofabrik's if not given.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Get the streets about a place: the smallest public extract of it, drawn as lamps.

    What was interrupted goes on with the same command.

    \b
    Examples:
      regengine streets get Paris
      regengine streets get "Portland, United States"
      regengine streets get --bbox 134.9,34.1,136.1,35.1
    """
    from regengine.io.folders import cache_folder, data_folder, make_folder
    from regengine.references.extracts import (
        GEOFABRIK_INDEX,
        ExtractParams,
        box_around,
        download_extract,
        find_extract,
        locate_place,
    )
    from regengine.references.reference import parse_bounds

    if (place is None) == (bbox is None):
        raise ConfigError("Give a place or --bbox: regengine streets get Paris.")
    params = ExtractParams()
    if bbox is not None:
        region = covered = parse_bounds(bbox)
        name = "_".join(f"{edge:g}" for edge in region)
    else:
        assert place is not None
        name, lon, lat = locate_place(place)
        region = box_around(lon, lat, params.reach_km)
        covered = box_around(lon, lat, params.near_km)
    stem = re.sub(r"[^\w.-]+", "-", name.partition(",")[0]).lower().strip("-")
    out = data_folder() / "streets" / f"{stem}.tif"
    if out.exists() and not force:
        raise ConfigError(f"{out} is there already: --force makes it anew.")
    make_folder(out.parent)
    with made_alone(out, quiet):
        if force or not out.exists():
            extract, address = find_extract(covered, url or GEOFABRIK_INDEX)
            folder = cache_folder() / "streets"

            def tell_size(there: int, total: int) -> None:
                if not quiet:
                    known = f", {there / 1e6:,.1f} MB there already" if there else ""
                    size = f"{total / 1e6:,.1f} MB" if total else "of unknown size"
                    say(f"{address}: {size}{known}, into {folder}.", err=True)

            with progress_bar("Downloading", quiet=quiet) as progress:
                path, date = download_extract(extract, address, folder, tell_size, progress)
            product = f"OpenStreetMap roads ({extract})"
            try:
                _build([path], out, region, product, date, force=force, quiet=quiet)
            except LightMapError as error:
                if error.code == "damaged":
                    path.unlink()  # the next time it is got anew
                raise
            if not quiet:
                say(f"{path} is not needed any more.", err=True)
    say(str(out))


def _build(
    roads: list[Path],
    out: Path,
    region: Bounds | None,
    product: str,
    date: str,
    *,
    force: bool,
    quiet: bool,
) -> None:
    """Build a map, told in sizes before and after."""
    from regengine.io.atomic import check_new_file
    from regengine.references.streets import LampParams, build_streets

    check_new_file(out, (".tif", ".tiff"), force=force)
    if not quiet:
        size = sum(path.stat().st_size for path in roads if path.is_file())
        needed = LampParams().disk_share * size
        say(
            f"{size / 1e6:,.1f} MB of roads; building takes up to {needed / 1e6:,.0f} MB of "
            f"{out.absolute().parent} for a while.",
            err=True,
        )
    start = time.monotonic()
    with progress_bar("Building", quiet=quiet) as progress:
        made = build_streets(
            roads,
            out,
            region=region,
            product=product,
            date=date,
            overwrite=force,
            progress=progress,
        )
    if quiet:
        return
    if made.n_broken:
        say(
            f"{made.n_broken:,} of {counted(made.n_lines, 'line')} were left out: "
            "their geometry is broken.",
            err=True,
        )
    west, south, east, north = made.bounds
    say(
        f"{out}: {made.n_roads:,} of {counted(made.n_lines, 'line')} are lit roads, "
        f"{made.road_km:,.0f} km; {west:.2f},{south:.2f},{east:.2f},{north:.2f}, "
        f"{100.0 * made.covered:.0f} % covered; "
        f"{out.stat().st_size / 1e6:,.1f} MB in {time.monotonic() - start:.0f} s. "
        "© OpenStreetMap contributors (ODbL)",
        err=True,
    )
