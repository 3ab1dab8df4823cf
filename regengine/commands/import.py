"""``regengine import``: control points that people made in other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from regengine.commands.options import Json, Quiet, StoreFile
from regengine.io.console import print_data, say
from regengine.io.plain import format_count, make_printable, plain


def main(
    store: StoreFile,
    files: Annotated[list[Path], typer.Argument(help="Control points: .points, .csv.")],
    frame: Annotated[
        str | None,
        typer.Option(help="Frame that the points belong to, if the file's name does not say."),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(help="Save the points as decisions beside the store, or only score them."),
    ] = True,
    reviewer: Annotated[
        str | None, typer.Option(help="Who made the points.  [the user's name]")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import control points from QGIS or a table, and score the engine's camera against them.

    \b
    Examples: regengine import run.h5 photos/*.points
              regengine import run.h5 points.csv --no-keep --json
    """
    from contextlib import closing

    from regengine.errors import ConfigError
    from regengine.frames import importing
    from regengine.store.read import find_frames
    from regengine.store.reviews import Decisions, decisions_path, is_independent, reviewer_name

    name = reviewer_name(reviewer)
    if frame is not None and len(files) > 1:
        raise ConfigError("--frame names one frame: give one file with it.")
    # All files are read and understood before anything is kept
    imported = [(path, *photo) for path in files for photo in importing.read_points(path).items()]
    if frame is not None:
        stored = find_frames(store, frame)
        if len(stored) > 1:
            raise ConfigError(
                f"{store} has {len(stored)} frames named {frame}: give the beginning of the "
                "SHA-256 of one."
            )
        if len(imported) != 1:
            raise ConfigError(
                f"{files[0]} has points of {len(imported)} photos: leave --frame out."
            )
    else:
        known = importing.frames_by_name(store, [photo for _, photo, _ in imported])
        stored = [known[photo] for _, photo, _ in imported]
    works = [
        importing.read_imported_work(one.result, file, points)
        for one, (file, _, points) in zip(stored, imported, strict=True)
    ]
    if keep:
        with closing(Decisions(decisions_path(store))) as decisions:
            for one, work in zip(stored, works, strict=True):
                number, result = one.frame_index, one.result
                heads = decisions.heads(number, result.sha256)
                own = [head.revision for head in heads if head.reviewer == name]
                decisions.save(number, result, name, "accepted", work, base=own[0] if own else 0)
    for one, (file, _, placed), work in zip(stored, imported, works, strict=True):
        if not is_independent("accepted", work):
            say(
                f"{one.result.frame}: these points come from the engine's own camera, so they "
                "check nothing: review the photo with regengine review.",
                err=True,
            )
        scores = importing.score(one.result, placed)
        told = importing.summary(scores)
        if as_json:
            columns = scores | {"right": [None if v != v else v == 1.0 for v in scores["right"]]}
            points = [
                {name: getattr(point, name) for name in ("x", "y", "lon", "lat", "sigma_px")}
                | dict(zip(columns, row, strict=True))
                for point, row in zip(placed, zip(*columns.values(), strict=True), strict=True)
            ]
            record = {"frame": one.result.frame, "file": str(file), "kept": keep}
            value = plain(record | told | {"points": points}, make_printable)
            print_data(json.dumps(value, allow_nan=False))
        elif told["rms_m"] is None:
            say(
                f"{one.result.frame}: {format_count(told['count'], 'point')}, no solved camera to "
                "compare with"
            )
        else:
            pixels = "" if told["rms_px"] is None else f"{told['rms_px']:.2f} px, "
            say(
                f"{one.result.frame}: {format_count(told['count'], 'point')}, engine's camera off "
                f"by {pixels}{told['rms_m'] / 1e3:.2f} km RMS, right at {told['right']}"
            )
    if not quiet:
        done = f"saved as decisions of {name}" if keep else "not saved"
        say(f"{store}: points of {format_count(len(imported), 'photo')}, {done}", err=True)
