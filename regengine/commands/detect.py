"""``regengine detect``: where the lights, lightning, stars and streaks of photos are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from detectors.constants import LONG_SIDE_PX
from regengine.commands import options as common
from regengine.commands.options import begin_lines, with_options, work_through
from regengine.options import DetectOptions, LineOptions


@with_options
def main(
    *,
    kind: Annotated[
        Literal["lights", "lightning", "stars", "streaks"],
        typer.Argument(help="What to detect: lights, lightning, stars or streaks."),
    ],
    photos: common.Photos,
    options: DetectOptions,
    run: LineOptions,
    overlay: common.PhotoOverlays = None,
    neighbours: Annotated[
        bool,
        typer.Option(
            "--neighbours",
            help="Lightning: compare each photo with the ones before and after it, by name.",
        ),
    ] = False,
) -> None:
    """Find lights, lightning, stars or streaks in photos: sub-pixel position, flux, SNR and shape.

    Positions are pixels of the picture as stored, for star trails their middle. Flux is in units of
    full scale times pixels. Where the Earth's limb is visible, stars and streaks are searched only
    above it, and lightning only below.

    \b
    Examples:
      regengine detect lights night.jpg > lights.csv
      regengine detect lightning timelapse/ --neighbours --json --overlay overlays
      regengine detect stars photos/ --json --overlay overlays
      regengine detect streaks frames/ --out streaks.ndjson --workers 4
    """
    begin_lines(run)
    from functools import partial

    from regengine.errors import ConfigError
    from regengine.runs.remote import find_existing_photos
    from regengine.scene.detection import SOUGHT, list_beside
    from regengine.scene.drawing import picture_paths

    sought = SOUGHT[kind]
    if neighbours and kind != "lightning":
        raise ConfigError(f"--neighbours is for lightning: leave it out for {kind}.")
    detector = sought.detector(options.method)
    paths = find_existing_photos(photos, exclude=[overlay])
    side_px = options.max_side_px or LONG_SIDE_PX[kind]
    settings = {"method": detector.name, "max_side_px": side_px, "whole_frame": options.whole_frame}
    beside: dict[str, Any] = {"neighbours": list_beside(paths)} if neighbours else {}
    code = work_through(
        run,
        paths,
        partial(
            sought.answer,
            detector=detector,
            max_long_side_px=side_px,
            sky_only=not options.whole_frame,
            overlays=None if overlay is None else picture_paths(paths, overlay, kind),
            **beside,
        ),
        f"detect {kind}",
        settings | dict.fromkeys(beside, True),
        header=",".join(sought.columns),
        doing=f"detecting {kind}",
    )
    raise typer.Exit(code)
