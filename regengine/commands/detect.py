"""``regengine detect``: where the lights, stars and streaks of photos are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from regengine.commands import options as common
from regengine.commands.line_output import LineRun, with_line_options
from regengine.sky.detection import LONG_SIDE_PX

if TYPE_CHECKING:
    from regengine.api import Kind

app = typer.Typer(
    help="Find city lights, stars or streaks in photographs.\n\n"
    "Example: regengine detect lights night.jpg --json --overlay overlays",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
@with_line_options
def lights(
    photos: common.Photos,
    method: common.Method = None,
    max_side_px: common.MaxSide = LONG_SIDE_PX["lights"],
    overlay: common.PhotoOverlays = None,
    *,
    run: LineRun,
) -> None:
    """Find the lights of photos: sub-pixel centre, flux, signal-to-noise ratio and radius.

    Positions are pixels of the picture as stored; flux is in units of full scale times pixels.

    \b
    Examples:
      regengine detect lights night.jpg > lights.csv
      regengine detect lights photos/ --json --overlay overlays
      regengine detect lights photos/ --out lights.ndjson --workers 4
    """
    _detect("lights", photos, run, overlay, method, max_side_px)


@app.command(no_args_is_help=True)
@with_line_options
def stars(
    photos: common.Photos,
    method: common.Method = None,
    max_side_px: common.MaxSide = LONG_SIDE_PX["stars"],
    whole_frame: common.WholeFrame = False,
    overlay: common.PhotoOverlays = None,
    *,
    run: LineRun,
) -> None:
    """Find the stars of photos: sub-pixel centre, flux, signal-to-noise ratio and width.

    Positions are pixels of the picture as stored; of trails, their middle. Where the Earth's limb
    is seen, what lies below it is left out.

    \b
    Examples:
      regengine detect stars sky.jpg > stars.csv
      regengine detect stars photos/ --json --overlay overlays
    """
    _detect("stars", photos, run, overlay, method, max_side_px, whole_frame)


@app.command(no_args_is_help=True)
@with_line_options
def streaks(
    photos: common.Photos,
    method: common.Method = None,
    max_side_px: common.MaxSide = LONG_SIDE_PX["streaks"],
    whole_frame: common.WholeFrame = False,
    overlay: common.PhotoOverlays = None,
    *,
    run: LineRun,
) -> None:
    """Find the streaks of satellites in photos: end points, signal-to-noise ratio, false alarm.

    Positions are pixels of the picture as stored. Where the Earth's limb is seen, what lies below
    it is left out.

    \b
    Examples:
      regengine detect streaks sky.jpg > streaks.csv
      regengine detect streaks frames/ --json --overlay overlays
    """
    _detect("streaks", photos, run, overlay, method, max_side_px, whole_frame)


def _detect(
    kind: Kind,
    photos: list[str],
    run: LineRun,
    overlay: Path | None,
    method: str | None,
    max_side_px: int,
    whole_frame: bool = False,
) -> None:
    """Go through photos and print what was found."""
    from functools import partial

    from regengine.batch.discover import existing_photos
    from regengine.sky.detection.kinds import SOUGHT
    from regengine.sky.drawing import picture_paths

    sought = SOUGHT[kind]
    detector = sought.detector(method)
    found = existing_photos(photos, exclude=[overlay])
    settings = {
        "method": detector.name,
        "max_side_px": max_side_px,
        "whole_frame": whole_frame,
    }
    run.tell_each(
        found,
        partial(
            sought.answer,
            detector=detector,
            max_long_side_px=max_side_px,
            sky_only=not whole_frame,
            overlays=None if overlay is None else picture_paths(found, overlay, kind),
        ),
        run.answer_options(f"detect {kind}", settings, found),
        header=",".join(sought.columns),
        doing=f"detecting {kind}",
    )
