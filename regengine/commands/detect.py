"""``regengine detect``: where the lights, stars and streaks of photos are."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from regengine.commands import options as common
from regengine.commands.line_output import LineRun, with_line_options
from regengine.sky.detection import LONG_SIDE_PX


class Kind(StrEnum):
    """What is sought."""

    LIGHTS = "lights"
    STARS = "stars"
    STREAKS = "streaks"


SIDES = ", ".join(f"{kind} {side}" for kind, side in LONG_SIDE_PX.items())


@with_line_options
def main(
    kind: Annotated[Kind, typer.Argument(help="City lights, stars, or streaks of satellites.")],
    photos: common.Photos,
    method: common.Method = None,
    max_side_px: Annotated[
        int | None,
        typer.Option(
            min=64, help=f"Average larger photos down to this long side first.  [{SIDES}]"
        ),
    ] = None,
    whole_frame: common.WholeFrame = False,
    overlay: common.PhotoOverlays = None,
    *,
    run: LineRun,
) -> None:
    """Find city lights, stars or streaks in photographs: sub-pixel places, flux, signal and shape.

    Positions are pixels of the picture as stored; of trails of stars, their middle; flux is in
    units of full scale times pixels. Stars and streaks are not sought below the Earth's limb where
    it is seen.

    \b
    Examples:
      regengine detect lights night.jpg > lights.csv
      regengine detect stars photos/ --json --overlay overlays
      regengine detect streaks frames/ --out streaks.ndjson --workers 4
    """
    from functools import partial

    from regengine.batch.discover import existing_photos
    from regengine.sky.detection.kinds import SOUGHT
    from regengine.sky.drawing import picture_paths

    sought = SOUGHT[kind]
    detector = sought.detector(method)
    found = existing_photos(photos, exclude=[overlay])
    side_px = max_side_px or LONG_SIDE_PX[kind]
    run.tell_each(
        found,
        partial(
            sought.answer,
            detector=detector,
            max_long_side_px=side_px,
            sky_only=not whole_frame,
            overlays=None if overlay is None else picture_paths(found, overlay, kind),
        ),
        f"detect {kind}",
        {"method": detector.name, "max_side_px": side_px, "whole_frame": whole_frame},
        header=",".join(sought.columns),
        doing=f"detecting {kind}",
    )
