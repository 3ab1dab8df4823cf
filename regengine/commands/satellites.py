"""``regengine satellites``: which satellites cross a photo, and which of them drew its streaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from regengine.commands import options as common
from regengine.commands.options import begin_lines, with_options, work_through
from regengine.options import LineOptions


@with_options
def main(
    *,
    photos: common.Photos,
    tle: Annotated[
        Path, typer.Option(metavar="CATALOGUE", help="Element sets (TLE) of all satellites.")
    ],
    time: Annotated[
        str | None,
        typer.Option(help="Start of the exposure (ISO 8601, UTC); overrides EXIF and header."),
    ] = None,
    exposure_s: Annotated[
        float | None,
        typer.Option(min=1e-4, max=7200.0, help="Exposure time; overrides EXIF and header."),
    ] = None,
    station_tle: Annotated[
        Path | None,
        typer.Option(help="Element sets of the camera's satellite.  [the ISS]"),
    ] = None,
    clock_sigma_s: Annotated[
        float, typer.Option(min=0.0, max=60.0, help="Uncertainty of the camera's clock, 1 sigma.")
    ] = 1.0,
    mount: Annotated[
        Literal["auto", "stars", "still"],
        typer.Option(help="Whether the camera followed the stars or stood still."),
    ] = "auto",
    wcs: Annotated[
        Path | None,
        typer.Option(help="Header by regengine solve --wcs, for one photo."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Detection method; none predicts tracks, without looking for streaks.  [the best "
            "in the benchmark]"
        ),
    ] = None,
    overlay: common.PhotoOverlays = None,
    run: LineOptions,
) -> None:
    """Predict satellite passes through photos of the sky, and identify their streaks.

    Needs the pointing (solved from the stars, or --wcs) and the time; the camera's position is the
    station's.

    \b
    Examples:
      regengine satellites iss.jpg --tle catalogue.txt --clock-sigma-s 5
      regengine satellites photos/ --tle catalogue.txt --station-tle iss.txt --out named.ndjson
    """
    given = dict(locals())
    begin_lines(run)
    from regengine.errors import ConfigError
    from regengine.io.console import open_result_stream
    from regengine.maps.at_hand import choose_element_sets
    from regengine.orbit.position import element_sets
    from regengine.runs.remote import find_existing_photos
    from regengine.scene.detection import STREAKS
    from regengine.scene.drawing import picture_paths
    from regengine.sky.satellites.photo import CSV_COLUMNS, TERMINAL_HEADER, SatelliteJob

    paths = find_existing_photos(photos, exclude=[overlay])
    if len(paths) > 1 and (wcs is not None or time is not None):
        raise ConfigError(
            f"--wcs and --time apply to one photo, and {len(paths)} were found: name one."
        )
    job = SatelliteJob(
        catalogue=element_sets((tle,), every=True),
        station=element_sets(choose_element_sets(station_tle)),
        time_utc=None if time is None else common.parse_time(time),
        exposure_s=exposure_s,
        clock_sigma_s=clock_sigma_s,
        mount=mount,
        wcs=wcs,
        detector=None if method == "none" else STREAKS.detector(method),
        overlays=None if overlay is None else picture_paths(paths, overlay, "satellites"),
        on_terminal=open_result_stream().isatty(),
    )
    names = ("tle", "exposure_s", "station_tle", "clock_sigma_s", "mount", "wcs")
    settings = {name: given[name] for name in names} | {
        "time": job.time_utc,
        "method": None if job.detector is None else job.detector.name,
    }
    code = work_through(
        run,
        paths,
        job,
        "satellites",
        settings,
        header=TERMINAL_HEADER if job.on_terminal else ",".join(CSV_COLUMNS),
        doing="naming",
    )
    raise typer.Exit(code)
