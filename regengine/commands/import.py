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
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm", help="Accept points that nobody moved, too: they were looked at."
        ),
    ] = False,
    reviewer: Annotated[
        str | None, typer.Option(help="Who made the points.  [the user's name]")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import control points from QGIS or a table, and score the engine's camera against them.

    Photos of which a point was moved are accepted; of others the proposal stays as it is.

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
    beside = decisions_path(store)
    with closing(Decisions(beside, readonly=True)) as decisions:
        works = [
            importing.read_imported_work(
                one.result,
                file,
                points,
                decisions.heads(one.frame_index, one.result.sha256),
                confirmed=confirm,
            )
            for one, (file, _, points) in zip(stored, imported, strict=True)
        ]
    kept = [keep and (confirm or any(moved)) for _, moved in works]
    if any(kept):
        with closing(Decisions(beside)) as decisions:
            for one, (work, _), is_kept in zip(stored, works, kept, strict=True):
                if not is_kept:
                    continue
                number, result = one.frame_index, one.result
                heads = decisions.heads(number, result.sha256)
                own = [head.revision for head in heads if head.reviewer == name]
                decisions.save(number, result, name, "accepted", work, base=own[0] if own else 0)
    photos = zip(stored, imported, works, kept, strict=True)
    for one, (file, _, placed), (work, moved), is_kept in photos:
        if keep and not is_kept:
            say(
                f"{one.result.frame}: none of its points was moved, so nothing is saved: --confirm "
                "says that they were looked at.",
                err=True,
            )
        elif not is_independent("accepted", work):
            say(
                f"{one.result.frame}: these points come from the engine's own camera, so they "
                "check nothing: review the photo with regengine review.",
                err=True,
            )
        scores = importing.score(one.result, placed)
        stats = importing.summary(scores)
        if as_json:
            columns = scores | {"right": [None if v != v else v == 1.0 for v in scores["right"]]}
            points = [
                importing.pick(vars(point))
                | dict(zip(columns, row, strict=True))
                | {"moved": is_moved}
                for point, row, is_moved in zip(
                    placed, zip(*columns.values(), strict=True), moved, strict=True
                )
            ]
            record = {"frame": one.result.frame, "file": str(file), "kept": is_kept}
            record["moved"] = sum(moved)
            value = plain(record | stats | {"points": points}, make_printable)
            print_data(json.dumps(value, allow_nan=False))
        elif stats["rms_m"] is None:
            say(
                f"{one.result.frame}: {format_count(stats['count'], 'point')}, no solved camera to "
                "compare with"
            )
        else:
            pixels = "" if stats["rms_px"] is None else f"{stats['rms_px']:.2f} px, "
            say(
                f"{one.result.frame}: {format_count(stats['count'], 'point')}, {sum(moved)} moved, "
                f"engine's camera off by {pixels}{stats['rms_m'] / 1e3:.2f} km RMS, right at "
                f"{stats['right']}"
            )
    if not quiet:
        done = f"{sum(kept)} saved as decisions of {name}" if keep else "not saved"
        say(f"{store}: points of {format_count(len(imported), 'photo')}, {done}", err=True)
