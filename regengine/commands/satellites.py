"""``regengine satellites``: which satellites cross a photo, and which of them drew its streaks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.commands import options as common
from regengine.commands.line_output import begin_lines, print_answers
from regengine.commands.typer_options import with_options
from regengine.options import LineOptions

if TYPE_CHECKING:
    from regengine.sky.satellites.observer import GroundSite


class Mount(StrEnum):
    """How the camera was held."""

    AUTO = "auto"
    STARS = "stars"
    STILL = "still"


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
    site: Annotated[
        str | None,
        typer.Option(
            metavar="LON,LAT,HEIGHT_M",
            help="Position of the camera on the ground: degrees, degrees, metres.",
        ),
    ] = None,
    station_tle: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Element sets of the satellite that carried the camera."),
    ] = None,
    clock_sigma_s: Annotated[
        float, typer.Option(min=0.0, max=60.0, help="Uncertainty of the camera's clock, 1 sigma.")
    ] = 1.0,
    mount: Annotated[
        Mount,
        typer.Option(help="Whether the camera followed the stars or stood still."),
    ] = Mount.AUTO,
    wcs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="FITS header of the solved field, for one photo."),
    ] = None,
    method: common.Method = None,
    tracks_only: Annotated[
        bool, typer.Option("--tracks-only", help="Predict tracks, without looking for streaks.")
    ] = False,
    overlay: common.PhotoOverlays = None,
    run: LineOptions,
) -> None:
    """Predict satellite passes through photos of the sky, and identify their streaks.

    Needs the pointing (solved from the stars, or --wcs), the time and the camera's position.

    \b
    Examples:
      regengine satellites sky.jpg --tle catalogue.txt --site=-3.7,40.4,650
      regengine satellites iss.jpg --tle all.txt --station-tle iss.txt --clock-sigma-s 5
      regengine satellites photos/ --tle all.txt --site=-3.7,40.4,650 --out named.ndjson
    """
    given = dict(locals())
    begin_lines(run)
    import logging

    from regengine.batch.at_hand import choose_element_sets
    from regengine.batch.console import open_result_stream
    from regengine.batch.remote import find_existing_photos
    from regengine.errors import ConfigError
    from regengine.orbit.position import element_sets
    from regengine.orbit.tle import load_tle_file
    from regengine.orbit.tle_format import describe_skipped
    from regengine.sky.detection.kinds import STREAKS
    from regengine.sky.drawing import picture_paths
    from regengine.sky.satellites.catalogue import load_catalogue
    from regengine.sky.satellites.naming import CSV_COLUMNS, TERMINAL_HEADER
    from regengine.sky.satellites.photo import SatelliteJob

    logger = logging.getLogger("regengine")
    if site is not None and station_tle is not None:
        raise ConfigError("--site and --station-tle name two positions: give one of them.")
    found = find_existing_photos(photos, exclude=[overlay])
    if len(found) > 1 and (wcs is not None or time is not None):
        raise ConfigError(
            f"--wcs and --time apply to one photo, and {len(found)} were found: name one."
        )
    catalogue = load_catalogue(tle)
    if catalogue.skipped:
        logger.warning("%s", describe_skipped(tle, catalogue.skipped))
    job = SatelliteJob(
        catalogue=catalogue,
        site=None if site is None else parse_site(site),
        station=None if station_tle is None else load_tle_file(station_tle),
        iss=element_sets(choose_element_sets()) if site is None else None,
        time_utc=None if time is None else common.parse_time(time),
        exposure_s=exposure_s,
        clock_sigma_s=clock_sigma_s,
        mount=str(mount),
        wcs=wcs,
        detector=None if tracks_only else STREAKS.detector(method),
        overlays=None if overlay is None else picture_paths(found, overlay, "satellites"),
        on_terminal=open_result_stream().isatty(),
    )
    names = ("tle", "exposure_s", "site", "station_tle", "clock_sigma_s", "wcs")
    settings = {name: given[name] for name in names} | {
        "time": job.time_utc,
        "mount": str(mount),
        "method": None if job.detector is None else job.detector.name,
    }
    print_answers(
        run,
        found,
        job,
        "satellites",
        settings,
        header=TERMINAL_HEADER if job.on_terminal else ",".join(CSV_COLUMNS),
        doing="naming",
    )


def parse_site(text: str) -> GroundSite:
    """A place out of ``LON,LAT`` or ``LON,LAT,HEIGHT_M``."""
    from regengine.errors import ConfigError
    from regengine.sky.satellites.observer import GroundSite

    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (2, 3):
        raise ConfigError(
            f"--site {text!r} is not a valid position: write longitude, latitude in degrees and "
            "height in metres, like -3.70,40.42,650."
        )
    return GroundSite(lon=values[0], lat=values[1], height_m=values[2] if len(values) > 2 else 0.0)
