"""``regengine export``: results for other programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from regengine.commands import options as common
from regengine.commands.lazy import STANDARD_OUTPUT
from regengine.export.formats import MODULES, RESAMPLINGS, TEXTS, format_name, format_of
from regengine.io.plain import format_count


def main(
    store: common.StoreFile,
    out: Annotated[
        Path,
        typer.Option(
            help="File to write (- for standard output), or folder for files per photo.",
            show_default=False,
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Format: {', '.join(MODULES)}.  [by the ending of --out]",
        ),
    ] = None,
    verdict: common.Verdicts = "accepted",
    reviewed: common.Reviewed = False,
    where: common.Where = None,
    points: Annotated[
        int,
        typer.Option(
            min=4, max=1000, help="Control points per photo, if as many match the map again."
        ),
    ] = 4,
    table: Annotated[
        str,
        typer.Option(
            help="Tables: points, frames, or matches (a row per light that matches the map)."
        ),
    ] = "points",
    kinds: Annotated[
        str | None,
        typer.Option(
            "--files",
            metavar="LIST",
            help="Files per photo, comma-separated. gcp: vrt, aux, tif.  [vrt]  qgis: points, "
            "project.  [points]  rpc: txt, vrt, footprint, rpb, aux.  [the first three]",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="geojson, gpkg: footprints, nadirs, points, comma-separated.  [all]",
        ),
    ] = None,
    crs: Annotated[
        str, typer.Option(help="geotiff: coordinate system, such as EPSG:3857 or EPSG:32654.")
    ] = "EPSG:4326",
    resolution: Annotated[
        float | None,
        typer.Option(help="geotiff, kmz: pixel size in units of --crs.  [that of the photo]"),
    ] = None,
    resampling: Annotated[
        str,
        typer.Option(
            metavar="NAME", help=f"geotiff, kmz: how pixels are read: {', '.join(RESAMPLINGS)}."
        ),
    ] = "bilinear",
    co: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="geotiff: creation option of GDAL's driver COG; may be repeated.",
            show_default=False,
        ),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="sql: server, mysql (also MariaDB) or postgresql.",
            show_default=False,
        ),
    ] = None,
    photos: common.MovedPhotos = None,
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Write control points, footprints and pictures for other programs.

    \b
    Examples: regengine export run.h5 --format qgis --out photos
              regengine export run.h5 --out points.csv --verdict accepted,review
              regengine export run.h5 --table frames --out frames.csv --verdict all
    """
    from regengine.errors import ConfigError
    from regengine.export.formats import ExportOptions, check_options
    from regengine.export.run import check_out, write_chosen
    from regengine.frames.select import choose
    from regengine.io.console import print_data, say, show_progress

    verdicts = common.parse_verdicts(verdict)
    options = ExportOptions(
        points=points,
        table=table,
        kinds=tuple(kinds.split(",")) if kinds else (),
        layers=tuple(layers.split(",")) if layers else (),
        crs=crs,
        resolution=resolution,
        resampling=resampling,
        creation=tuple(co or ()),
        dialect=dialect,
    )
    format = format_of(out) if format is None else format_name(format)
    check_options(format, options)
    if out == STANDARD_OUTPUT and (format not in TEXTS or as_json):
        why = (
            "so does --json"
            if as_json
            else f"choose {', '.join(TEXTS)}, or name the file or folder for {format}"
        )
        raise ConfigError(f"--out - writes text to standard output: {why}.")
    with common.text_out(out, f".{format}") as written_to:
        check_out(written_to, format, force)
        chosen = choose(store, verdicts=verdicts, reviewed=reviewed, where=where)
        chosen = replace(chosen, folder=photos)
        with show_progress(len(chosen.numbers), quiet=quiet, doing="writing") as advance:
            written = write_chosen(
                chosen, format, written_to, options, force=force, advance=advance
            )
    if as_json:
        print_data(json.dumps({"out": str(out), "format": format, **written}))
    if not quiet:
        for path, what in (written["remarks"] | written["failed"]).items():
            say(f"{path}: {what}", err=True)
        left = ", ".join(f"{count:,} {why}" for why, count in sorted(written["left_out"].items()))
        tail = f"; excluded: {left}" if left else ""
        many = written["reviewed"]
        who = f", {many:,} as corrected or accepted in review" if many else ""
        say(f"{out}: {format_count(written['frames'], 'photo')}{who}{tail}", err=True)
    if written["failed"]:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)
