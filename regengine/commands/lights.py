"""`regengine lights`: what a night-light map is, build one file out of any, download tiles."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.batch.console import LINE_EVERY_S, say
from regengine.commands.options import Bbox, Force, Json, Quiet
from regengine.errors import ConfigError, StoreError
from regengine.io.plain import counted

if TYPE_CHECKING:
    from regengine.references.kinds import KindName
    from regengine.references.reference import LightMap
    from regengine.references.services import TileSet

app = typer.Typer(
    help="Get, inspect, build or index night-light maps.\n\nExample: regengine lights get",
    no_args_is_help=True,
)

Maps = Annotated[list[Path], typer.Argument(help="Night-light maps: files, or folders of files.")]
# Seen from the station: its orbit reaches 51.7 degrees, its horizon 20 beyond
SEEN = (-180.0, -72.0, 180.0, 72.0)


@app.command()
def get(
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Map, or folder of maps, that you have: nothing is downloaded. May be given "
            "several times.",
        ),
    ] = None,
    region: Bbox = None,
    product: Annotated[
        str | None,
        typer.Option(help="VNP46A2, A3 or A4 of the region instead; needs EARTHDATA_TOKEN."),
    ] = None,
    date: Annotated[
        str | None, typer.Option(help="Of the product: 2020-03-14, 2020-03 or 2020.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Tile service with {z}, {x}, {y} or {-y}, or archive of the product; NASA's if "
            "not given."
        ),
    ] = None,
    level: Annotated[
        int, typer.Option(min=0, max=8, help="Zoom level of the tiles; each less is a quarter.")
    ] = 8,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Get the night lights of the Earth once; every command finds them from then on.

    Downloads NASA's Black Marble, or takes what you have, and makes map and index in the data
    folder. What was interrupted goes on with the same command.

    \b
    Examples:
      regengine lights get
      regengine lights get --bbox -12,34,32,60
      regengine lights get --from VNP46A4/
      regengine lights get --product VNP46A4 --date 2020 --bbox -12,34,32,60
    """
    from regengine.batch.at_hand import usual_map
    from regengine.io.folders import make_folder
    from regengine.references.build import build, write_reference
    from regengine.references.reference import parse_bounds
    from regengine.registration.index.options import index_beside

    bounds = None if region is None else parse_bounds(region, "--bbox")
    if source and url is not None:
        raise ConfigError("--url is for what is downloaded: leave it out with --from.")
    if (product is None) != (date is None) or (product and (source or region is None)):
        raise ConfigError(
            "--product, --date and --bbox go together, without --from: VNP46A4 of 2020, say."
        )
    out = usual_map()
    index = index_beside(out)
    if out.exists() and index.exists() and not force:
        raise ConfigError(f"{out} is there already, with its index: --force makes it anew.")
    make_folder(out.parent)
    with made_alone(out, quiet):
        if force or not out.exists():
            folder = None
            if product and date and bounds:
                folder = _fetch_product(bounds, product, date, url, quiet)
                source = [folder]
            if source:
                maps = _open(source).references
                write = partial(build, "lights", maps, out, region=bounds, overwrite=force)
            else:
                tiles = fetch_tiles("lights", bounds or SEEN, url, level, out, quiet)
                folder, grid = tiles.folder, tiles.grid
                place = (grid.bounds, grid.step_deg, tiles.read_block, tiles.tags)
                write = partial(write_reference, "lights", out, *place, overwrite=force)
            with progress_bar("Building", quiet=quiet) as progress:
                write(progress=progress)
            if not quiet:
                say(f"{out}: {out.stat().st_size / 1e6:,.1f} MB", err=True)
            if not quiet and folder:
                say(f"The files in {folder} are not needed any more.", err=True)
        if force or not index.exists():
            _make_index_if_towns(out, quiet)
    if not quiet:
        say("regengine register PHOTO finds them from now on.", err=True)
    say(str(out))


def show_facts(kind: KindName, maps: list[Path], *, as_json: bool) -> None:
    """Print what there is to say of maps of a kind, as lines or as a line of JSON."""
    from regengine.references import open_references
    from regengine.references.describe import facts_of, table

    facts = facts_of(open_references(kind, maps))
    say(*([json.dumps(facts)] if as_json else table(facts)))


@contextmanager
def made_alone(out: Path, quiet: bool) -> Iterator[None]:
    """Make a file that no other run is making: that one is waited for, once this is told."""
    from regengine.io.atomic import alone, unwritable_told

    is_busy = False

    def tell_busy() -> None:
        nonlocal is_busy
        is_busy = True
        if not quiet:
            say(f"Another run is making {out}: waiting for it.", err=True)

    with unwritable_told(out), alone(out, tell_busy):
        if is_busy and out.exists() and not quiet:
            say(f"{out} is what that run made; --force makes it anew.", err=True)
        yield


def fetch_tiles(
    kind: KindName,
    bounds: tuple[float, float, float, float],
    url: str | None,
    level: int,
    out: Path,
    quiet: bool,
) -> TileSet:
    """Fetch the tiles of a region, once it is told how much that is."""
    from regengine.references.build import check_free_space, estimate_bytes, plan_grid
    from regengine.references.services import SERVICES, TileSet

    tiles = TileSet(kind=kind, template=url or SERVICES[kind], level=level, bounds=bounds)
    missing, made = tiles.missing(), "map and index" if kind == "lights" else "the map"
    fetched_bytes = tiles.measure_bytes(missing)
    # An index takes about half of what its map does while it is made: 230 MB for the Earth
    grid = plan_grid(bounds, 360.0 / 2**level / 256)  # pixels of a tile, mostly
    made_bytes = estimate_bytes(kind, grid) * (1.5 if kind == "lights" else 1.0)
    if not quiet:
        say(
            f"{counted(len(tiles.wanted), 'tile')}, {len(tiles.wanted) - len(missing):,} there "
            f"already: about {fetched_bytes / 1e6:,.1f} MB to download into {tiles.folder}, "
            f"{made_bytes / 1e6:,.1f} MB for {made} in {out.parent}.",
            err=True,
        )
    for folder, wanted in ((tiles.folder, fetched_bytes), (out.parent, made_bytes)):
        check_free_space(folder, 1.5 * wanted, "what is fetched or made of it")
    with progress_bar("Fetching", quiet=quiet) as progress:
        tiles.fetch(tiles.missing(), progress)
    return tiles


def _fetch_product(
    bounds: tuple[float, float, float, float],
    product: str,
    date: str,
    archive: str | None,
    quiet: bool,
) -> Path:
    """Fetch the tiles of a radiance product, of about 100 MB each; their folder."""
    from regengine.references.services import LAADS, TOKEN_VARIABLE, Downloader, fetch_vnp46

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    with progress_bar("Fetching", quiet=quiet) as progress:
        return fetch_vnp46(
            bounds,
            product=product,
            when=date,
            downloader=Downloader(connections=2, token=token),
            archive=archive or LAADS,
            progress=progress,
        )


@app.command(no_args_is_help=True)
def info(
    maps: Maps,
    as_json: Json = False,
) -> None:
    """Show product, date, resolution, extent and the spread of radiances of maps.

    Several maps are shown as the one map that --lights makes of them.

    \b
    Examples:
      regengine lights info earth.tif
      regengine lights info PAR_2019_01.tif earth.tif --json
    """
    show_facts("lights", maps, as_json=as_json)


@app.command(no_args_is_help=True)
def build(
    sources: Maps,
    out: Annotated[Path, typer.Option(help="File to make, a GeoTIFF.")],
    product: Annotated[str, typer.Option(help="Name of the product, if the file lacks it.")] = "",
    date: Annotated[str, typer.Option(help="What it shows: 2016, 2019-01 or 2016-01-01.")] = "",
    bbox: Bbox = None,
    with_index: Annotated[
        bool, typer.Option("--index/--no-index", help="Make its index beside it, OUT.idx.")
    ] = True,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Build one map that opens in milliseconds out of maps of any format, and its index.

    \b
    Examples:
      regengine lights build BlackMarble_2016.tif --out earth.tif
      regengine lights build VNP46A4/ --out europe.tif --bbox -12,34,32,60 --no-index
    """
    from regengine.references.build import build as build_reference
    from regengine.references.reference import parse_bounds

    region = None if bbox is None else parse_bounds(bbox)
    light_map = _open(sources)
    start = time.monotonic()
    with progress_bar("Building", quiet=quiet) as progress:
        build_reference(
            "lights",
            light_map.references,
            out,
            region=region,
            overwrite=force,
            progress=progress,
            PRODUCT=product,
            DATE=date,
        )
    if not quiet:
        size_mb, seconds = out.stat().st_size / 1e6, time.monotonic() - start
        say(f"{out}: {size_mb:.1f} MB in {seconds:.0f} s", err=True)
    if with_index:
        _make_index_if_towns(out, quiet)


@app.command(no_args_is_help=True)
def index(
    maps: Maps,
    out: Annotated[
        Path | None, typer.Option(help="File to make; beside the map, MAP.idx, if not given.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Index the towns of a map, so that photos are found anywhere on Earth.

    Takes one processor minutes for the Earth, once: the time to go is shown. Beside the map it is
    found by itself, and stays good for a map of the same lights, whatever that is called.

    \b
    Examples:
      regengine lights index earth.tif
      regengine register night.jpg --lights earth.tif
    """
    from regengine.io.atomic import check_new_file
    from regengine.registration.index.options import index_beside

    if out is None and len(maps) > 1:
        raise ConfigError("The index of several maps lies beside none of them: name it with --out.")
    out = index_beside(maps[0]) if out is None else out
    check_new_file(out, (), force=force)
    _make_index(maps, out, quiet)


def _make_index_if_towns(path: Path, quiet: bool) -> None:
    """Make the index beside a map; of one with too few towns say that it has none."""
    from regengine.registration.index.options import index_beside

    try:
        _make_index([path], index_beside(path), quiet)
    except (ConfigError, StoreError) as error:
        say(f"No index was made: {error}", err=True)


def _make_index(maps: list[Path], out: Path, quiet: bool) -> None:
    """Make the index of a map and say so."""
    from regengine.registration.index.earth import build_earth_index, write_earth_index

    light_map = _open(maps)
    start = time.monotonic()
    with progress_bar("Indexing", quiet=quiet) as progress:
        earth = build_earth_index(light_map, progress)
    write_earth_index(earth, maps, out)
    if not quiet:
        size_mb, seconds = out.stat().st_size / 1e6, time.monotonic() - start
        lights = max(len(earth[size_km].vectors) for size_km in earth.sizes_km)
        say(
            f"{out}: {lights:,} lights at the finest scale, {size_mb:.1f} MB in {seconds:.0f} s",
            err=True,
        )


def _open(maps: list[Path]) -> LightMap:
    """Open maps; what is doubtful of them is told."""
    from regengine.references import open_light_map

    light_map = open_light_map(maps)
    for doubt in light_map.references.doubts:
        say(f"Warning: {doubt}", err=True)
    return light_map


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far the block is: what it gets is called with done and total.

    On a terminal that is a bar with the time to go; elsewhere a line every half minute. The time is
    that of what was done in this block, so that it tells of this machine.
    """
    if quiet:
        yield lambda done, total: None
        return
    if not sys.stderr.isatty():
        begun_s = last_s = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if 0 < done < total and now_s - last_s >= LINE_EVERY_S:
                last_s = now_s
                to_go = timedelta(seconds=round((now_s - begun_s) * (total - done) / done))
                say(f"{what}: {100 * done // total} %, {to_go} to go", err=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import Progress

    # On a copy of standard error: while a map is written, what appears on the real one is caught.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        console = Console(file=terminal, force_terminal=True)
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)
