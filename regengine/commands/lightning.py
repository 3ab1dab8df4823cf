"""``regengine lightning``: flashes of placed photos beside what GLM or ISS-LIS saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands import options as common


def tidy_arguments(arguments: list[str]) -> list[str]:
    """Arguments in which ``--glm`` and ``--lis`` take all files up to the next option."""
    done: list[str] = []
    files_of = ""
    for argument in arguments:
        if argument.startswith("-"):
            files_of = argument if argument in ("--glm", "--lis") else ""
            done += [] if files_of else [argument]
        else:
            done += [files_of, argument] if files_of else [argument]
    return done


def main(
    store: common.StoreFile,
    flashes: Annotated[
        Path | None,
        typer.Option(help="Flashes in the photos: output of regengine detect, or CSV: path,x,y."),
    ] = None,
    glm: Annotated[
        list[Path] | None, typer.Option(help="Files of GLM L2 (netCDF), 20 s each.")
    ] = None,
    lis: Annotated[list[Path] | None, typer.Option(help="Files of ISS-LIS (netCDF).")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Table to write: .csv or .gpkg.  [CSV to standard output]")
    ] = None,
    cloud_height_km: Annotated[
        float, typer.Option(min=0.0, max=25.0, help="Height of the cloud tops.")
    ] = 13.5,
    exposure_s: Annotated[
        float | None,
        typer.Option(min=1e-4, max=60.0, help="Exposure time; overrides the photos' EXIF."),
    ] = None,
    clock_window: Annotated[
        float, typer.Option(min=1.0, max=3600.0, help="Maximum error of the camera's clock.")
    ] = 130.0,
    clock_sigma_s: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=60.0,
            help="Uncertainty of a clock that its flashes do not determine, 1 sigma.",
        ),
    ] = 1.0,
    verdict: common.Verdicts = "accepted",
    reviewed: common.Reviewed = False,
    where: common.Where = None,
    seed: common.Seed = 0,
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Match flashes in placed photos with lightning observed by GLM or ISS-LIS.

    Also determines the clock of a time-lapse from the pattern of about five flashes or more.

    \b
    Examples:
      regengine lightning run.h5 --flashes flashes.ndjson --glm glm/*.nc --out table.csv
      regengine lightning run.h5 --flashes flashes.csv --lis ISS_LIS_SC.nc --json
    """
    import json
    from functools import partial

    from regengine.errors import ConfigError
    from regengine.frames.select import choose
    from regengine.io.atomic import check_new_file, replace_files
    from regengine.io.console import print_data, say
    from regengine.io.extras import need
    from regengine.io.plain import format_count
    from regengine.io.tables import csv_lines
    from regengine.studies.lightning import cross_reference as study
    from regengine.studies.lightning.pulses import join_series, read_glm, read_lis

    if flashes is None:
        raise ConfigError(
            "--flashes is missing: give the flashes that a detector found in the photos, or a "
            "table with the columns path, x, y."
        )
    if bool(glm) == bool(lis):
        raise ConfigError("give files of one instrument: --glm FILE… or --lis FILE….")
    if out is not None:
        if out.suffix.lower() == ".gpkg":
            need("--out FILE.gpkg", "geopandas", "pyogrio")
        check_new_file(out, study.ENDINGS, force=force)
    params = study.CrossParams(
        cloud_height_m=1e3 * cloud_height_km,
        exposure_s=exposure_s,
        clock_sigma_s=clock_sigma_s,
        clock_window_s=clock_window,
        seed=seed,
    )
    photo_flashes = study.read_flashes(flashes)
    read = partial(read_glm if glm else read_lis, cloud_height_m=params.cloud_height_m)
    series = join_series([read(path) for path in glm or lis or ()])
    verdicts = common.parse_verdicts(verdict)
    chosen = choose(store, verdicts=verdicts, reviewed=reviewed, where=where)
    lapses, left_out, doubts = study.cross_reference(chosen, photo_flashes, series, params)
    rows = [row for lapse in lapses for row in lapse["flashes"]]
    if out is not None:
        with replace_files((out,)) as (temporary,):
            study.write_table(rows, temporary)
    if as_json:
        for lapse in lapses:
            print_data(json.dumps(lapse))
    elif out is None:
        print_data("\n".join(csv_lines([list(study.COLUMNS), *map(study.to_cells, rows)])))
    if quiet:
        return
    for doubt in doubts:
        say(f"Warning: {doubt}", err=True)
    for lapse in lapses:
        if lapse["clock"] is not None:
            code = lapse["clock"]["code"]
            say(f"{f'{code}: ' if code else ''}{lapse['clock']['text']}.", err=True)
    matched = [row for row in rows if row["status"] == "matched"]
    by_chance = sum(row["chance"] for row in matched)
    left = "".join(f"; {format_count(n, 'photo')} {what}" for what, n in left_out.items())
    say(
        f"{format_count(len(rows), 'flash', 'flashes')}, {len(matched)} matched with "
        f"{series.instrument} (expected by chance: {by_chance:.2g}){left}",
        err=True,
    )
