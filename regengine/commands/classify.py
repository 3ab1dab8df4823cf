"""``regengine classify``: what photos show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Generator

    from regengine.scene.classify import ClassifyInputs
    from regengine.scene.result import Scene

EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3


def main(
    photos: Annotated[
        list[str] | None, typer.Argument(help="Photos, folders of them, or patterns.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model of `regengine train`; without it the shipped one.")
    ] = None,
    tle: Annotated[
        Path | None, typer.Option(help="TLE file: tells where the Sun stood for each photo.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="Table (CSV) of frame records: time, nadir.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Time of the photo (ISO 8601, UTC); overrides EXIF.")
    ] = None,
    nadir: Annotated[
        str | None,
        typer.Option(metavar="LON,LAT", help="Place below the camera; overrides the TLE."),
    ] = None,
    quality: Annotated[
        bool,
        typer.Option("--quality", help="Measure sharpness, cloud fraction and exposure, too."),
    ] = False,
    features: Annotated[
        bool, typer.Option("--features", help="Give the features that the answer rests on.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet (HTML, works offline).")
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Propose clusters of a folder's photos to name."),
    ] = None,
    labels: Annotated[
        Path, typer.Option(help="With --fit: table of the proposed clusters, to be edited.")
    ] = Path("clusters.csv"),
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes; 0 works in this process.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON records instead of a table.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> None:
    """Tell what photos show: cities, stars, aurora, inside, day, infrared and others.

    Prints a line per photo. With --features, standard output is NDJSON.

    \b
    Examples: regengine classify photos/ --sheet sheet.html
              regengine classify photos/ --tle iss.txt --json --quality > scenes.ndjson
              regengine classify --fit unknown/ --sheet clusters.html --labels clusters.csv
    """
    from regengine.batch.discover import find_photos
    from regengine.batch.logs import configure_logging
    from regengine.commands.register import nothing_found, parse_nadir
    from regengine.commands.tle import parse_time
    from regengine.errors import ConfigError
    from regengine.frame import FrameOptions
    from regengine.scene.classify import ClassifyInputs

    configure_logging(quiet=quiet, as_json=log_json)
    named = [*(photos or []), *([] if fit is None else [str(fit)])]
    if not named:
        raise ConfigError("no photo given; name photos or a folder, or a folder after --fit.")
    if fit is not None and labels.exists():
        raise ConfigError(f"{labels} exists, perhaps with labels of yours; name another --labels.")
    found = find_photos(named)
    if not any(path.exists() for path in found):
        typer.echo(f"Error: {nothing_found(named)}", err=True)
        raise typer.Exit(EXIT_NOT_STARTED)
    inputs = ClassifyInputs(
        model=model,
        tle=tle,
        metadata=metadata,
        frame=FrameOptions(
            time_utc=None if time is None else parse_time(time),
            nadir=None if nadir is None else parse_nadir(nadir),
        ),
        features=features or fit is not None,
        quality=quality,
        thumbnails=sheet is not None,
    )
    inputs.open()
    failures: list[Path] = []
    scenes = _scenes(found, inputs, workers, failures, quiet=quiet, log_json=log_json)
    if fit is not None:
        _propose(list(scenes), sheet, labels, seed)
    else:
        _tell(scenes, sheet, as_json=as_json or features)
    if failures:
        raise typer.Exit(EXIT_FRAMES_FAILED)


def _scenes(
    photos: list[Path],
    inputs: ClassifyInputs,
    workers: int,
    failures: list[Path],
    *,
    quiet: bool,
    log_json: bool,
) -> Generator[Scene]:
    """Scenes of the photos; those that cannot be read are reported and noted."""
    import logging
    from functools import partial

    from regengine.batch.each import each_photo
    from regengine.batch.logs import configure_logging
    from regengine.batch.mishaps import Mishap
    from regengine.batch.progress import progress
    from regengine.scene.classify import classify_photo

    prepare = partial(configure_logging, quiet=quiet, as_json=log_json)
    function = partial(classify_photo, inputs=inputs)
    with progress(len(photos), quiet=quiet, doing="classifying") as advance:
        for path, scene in each_photo(photos, function, workers=workers, prepare=prepare):
            if isinstance(scene, Mishap):
                failures.append(path)
                logging.getLogger("regengine").error("Error: %s", scene.text)
            else:
                yield scene
            advance()


def _tell(scenes: Generator[Scene], sheet: Path | None, *, as_json: bool) -> None:
    """Print each photo's line; write the contact sheet at the end, and after Ctrl-C, too."""
    from regengine.scene.result import scene_line, table_header, table_line
    from regengine.scene.sheet import entry_of, write_sheet

    entries = []
    if not as_json:
        typer.echo(table_header())
    try:
        for scene in scenes:
            print(scene_line(scene) if as_json else table_line(scene), flush=True)
            if sheet is not None:
                entries.append(entry_of(scene))
    finally:
        if sheet is not None:
            write_sheet(sheet, entries)


def _propose(scenes: list[Scene], sheet: Path | None, labels: Path, seed: int) -> None:
    """Print the clusters of photos; write their table and sheet."""
    from collections import Counter

    from regengine.scene.propose import propose_clusters, sheet_entries, write_proposals
    from regengine.scene.sheet import write_sheet

    proposals = propose_clusters(scenes, seed=seed)
    write_proposals(labels, proposals)
    if sheet is not None:
        write_sheet(sheet, sheet_entries(proposals))
    typer.echo(f"{'cluster':<12} {'photos':>6}  what the present model says")
    for name in dict.fromkeys(proposal.cluster for proposal in proposals):
        guesses = Counter(p.scene.category for p in proposals if p.cluster == name)
        said = ", ".join(f"{category} {count}" for category, count in guesses.most_common(4))
        typer.echo(f"{name:<12} {guesses.total():>6}  {said}")
    typer.echo(f"Name them in {labels}, then: regengine train {labels} --out model.json", err=True)
