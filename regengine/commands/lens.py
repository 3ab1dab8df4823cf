"""``regengine lens``: calibrate lenses on star photos, and show what a profile says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from detectors.constants import FOCAL_RANGE_MM
from regengine.commands.options import EXIT_FRAMES_FAILED, Json, LogJson, Metadata, Quiet
from regengine.io.console import configure_logging, print_data, say, show_progress
from regengine.io.plain import format_count

app = typer.Typer(
    help="Calibrate lenses on photographs of stars, and show profiles.\n\n"
    "Example: regengine lens fit stars/*.jpg --out d3s-50mm.toml",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
def fit(
    photos: Annotated[list[str], typer.Argument(help="Star photos of one camera with one lens.")],
    out: Annotated[Path, typer.Option(help="Profile (TOML) to write; replaced if it exists.")],
    solutions: Annotated[
        Path | None,
        typer.Option(help="Output of regengine solve --json, instead of solving here."),
    ] = None,
    metadata: Metadata = None,
    camera: Annotated[str | None, typer.Option(help="Camera name, for photos without one.")] = None,
    lens: Annotated[str | None, typer.Option(help="Lens name, for photos without one.")] = None,
    focal_mm: Annotated[
        float | None,
        typer.Option(
            min=FOCAL_RANGE_MM[0],
            max=FOCAL_RANGE_MM[1],
            help="Nominal focal length, as written on the lens.",
        ),
    ] = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Fit a lens profile to the stars of one or many photos.

    Fits focal length, principal point and distortion with their covariance, light falloff towards
    the corners, zero points by colour, limiting magnitude. Prints the profile as JSON.

    \b
    Examples: regengine lens fit stars/*.jpg --out d3s-50mm.toml
              regengine solve stars/*.jpg --json > solved.ndjson
              regengine lens fit stars/*.jpg --solutions solved.ndjson --out d3s-50mm.toml
    """
    import logging

    from regengine.errors import FrameError
    from regengine.io.atomic import check_file
    from regengine.orbit.position import find_records, frame_records
    from regengine.photo.frame import FrameOptions
    from regengine.photo.lens_profile import save_profile
    from regengine.runs.remote import find_existing_photos
    from regengine.sky.stars import lens_calibration as fitting
    from regengine.sky.stars.catalogue import load_catalogue
    from regengine.sky.stars.photo import read_solved

    configure_logging(quiet=quiet, as_json=log_json)
    logger = logging.getLogger("regengine")
    check_file(out)
    paths = find_existing_photos(photos)
    alike = find_records(metadata, paths)
    records = None if metadata is None else frame_records(metadata, alike)
    options = FrameOptions(focal_mm=focal_mm)
    solved = None if solutions is None else read_solved(solutions)
    with show_progress(len(paths), quiet=quiet, doing="measuring") as advance:
        measured, failed = fitting.measure_photos(
            paths,
            records=records,
            options=options,
            camera=camera,
            lens=lens,
            solutions=solved,
            advance=advance,
        )
    if not measured:
        raise FrameError(
            "none of the photos was solved, so no profile is written: give photos with visible "
            "stars."
        )
    catalogue = load_catalogue(
        epoch_year=fitting.mean_epoch_year(measured), faintest_g=fitting.FAINTEST_NEIGHBOUR_G
    )
    calibration = fitting.calibrate(measured, catalogue)
    profile = calibration.profile
    if calibration.falloff_refused:
        logger.warning(
            "%s: %s: the falloff is left out of the profile, the geometry is kept; for a falloff "
            "give photos with an even sky, without the Earth, aurora or twilight.",
            out,
            calibration.falloff_refused,
        )
    save_profile(profile, out)
    print_data(json.dumps(asdict(profile)))
    logger.info(
        "%s: %d stars of %s, residual %.3f px per axis, focal length %.2f +- %.2f px",
        out,
        profile.stars,
        format_count(profile.frames, "photo"),
        profile.rms_px,
        profile.focal_px,
        profile.sigma("focal_px"),
    )
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)


@app.command(no_args_is_help=True)
def info(
    profiles: Annotated[list[Path], typer.Argument(help="Lens profiles, or folders of them.")],
    as_json: Json = False,
) -> None:
    """Show lens profiles.

    \b
    Example: regengine lens info d3s-50mm.toml
    """
    from regengine.photo.lens_profile import load_profiles, profile_lines

    for k, profile in enumerate(load_profiles(profiles)):
        if as_json:
            print_data(json.dumps(asdict(profile)))
        else:
            say(*([""] if k else []), *profile_lines(profile))
