"""``regengine radiometry``: luminance of photos against the radiance of a map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regengine.commands import options as common
from regengine.io.plain import format_count


def main(
    store: common.StoreFile,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for rasters and tables.", show_default=False)
    ],
    lights: common.LightMaps = None,
    verdict: common.Verdicts = "accepted",
    reviewed: common.Reviewed = False,
    where: common.Where = None,
    lens: common.Lens = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Also draw photo, map, residual and scatter as PNG.")
    ] = False,
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Compare registered photos with a night-light map: gain, background, new and lost lights.

    \b
    Examples: regengine radiometry run.h5 --out radiometry
              regengine radiometry run.h5 --lights viirs.tif --out r --where "off_nadir_deg < 30"
              regengine radiometry run.h5 --lights viirs.tif --out r --plot --json
    """
    from regengine.frames.select import choose
    from regengine.io.console import print_data, say, show_progress
    from regengine.maps.at_hand import choose_maps
    from regengine.maps.opening import open_light_map
    from regengine.photo.lens_profile import load_profiles
    from regengine.studies.radiometry.run import ORDERS, measure_chosen

    verdicts = common.parse_verdicts(verdict)
    profiles = load_profiles(lens or ())
    if lights is None:
        lights = list(common.run_files(store, {"--lights": lights}).lights)
    light_map = open_light_map(choose_maps("lights", lights))
    for doubt in light_map.doubts:
        say(f"Warning: {doubt}", err=True)
    chosen = choose(store, verdicts=verdicts, reviewed=reviewed, where=where)
    with show_progress(len(chosen.numbers), quiet=quiet, doing="measuring") as advance:
        measured, left_out, failed = measure_chosen(
            chosen,
            light_map,
            out,
            profiles=profiles,
            plot=plot,
            force=force,
            advance=advance,
            said=print_data if as_json else lambda line: None,
        )
    if not quiet:
        for path, why in failed.items():
            say(f"{path}: {why}", err=True)
        for row in measured:
            say(
                f"{row['frame']}: gain {row['gain']:.3g} ± {row['gain_sigma']:.1g} per nW/cm²/sr, "
                f"background {row['background_nw']:.2g} nW/cm²/sr, R² {row['r_squared']:.2f}, "
                f"exponent {row['exponent']:.2f}, {row['lit_cells']:,} lit of {row['cells']:,} "
                f"cells; {row['brighter']} brighter, {row['fainter']} fainter; "
                + ORDERS[row["earlier"]].format(row["lights_date"]),
                err=True,
            )
        left = ", ".join(f"{count:,} {why}" for why, count in sorted(left_out.items()))
        tail = f"; excluded: {left}" if left else ""
        say(f"{out}: {format_count(len(measured), 'photo')}{tail}", err=True)
    if failed:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)
