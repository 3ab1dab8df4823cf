"""``regengine classify``: what photos show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.commands import options as common
from regengine.commands.options import begin_lines, with_options, work_through
from regengine.io.console import say
from regengine.io.plain import format_command
from regengine.options import ClassifyOptions, LineOptions

if TYPE_CHECKING:
    from regengine.scene.result import Scene


@with_options
def main(
    *,
    photos: Annotated[list[str] | None, typer.Argument(help=common.PHOTOS)] = None,
    options: ClassifyOptions,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet (HTML, works offline).")
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Propose clusters of a folder's photos, to be named."),
    ] = None,
    labels: Annotated[
        Path, typer.Option(help="With --fit: table of the proposed clusters, to be edited.")
    ] = Path("clusters.csv"),
    run: LineOptions,
    overlay: common.PhotoOverlays = None,
    seed: common.Seed = 0,
) -> None:
    """Classify what photos show: cities, stars, aurora, inside, day, infrared and others.

    Prints a line per photo. With --features, standard output is NDJSON.

    \b
    Examples: regengine classify photos/ --sheet sheet.html
              regengine classify photos/ --tle iss.txt --json --quality > scenes.ndjson
              regengine classify photos/ --out scenes.ndjson --workers 4
              regengine classify --fit unknown/ --sheet clusters.html --labels clusters.csv
    """
    begin_lines(run)
    from functools import partial

    from regengine import api
    from regengine.errors import ConfigError
    from regengine.io.atomic import check_file
    from regengine.runs.remote import find_existing_photos
    from regengine.scene.classify import answer_scene
    from regengine.scene.drawing import picture_paths
    from regengine.scene.result import TABLE_HEADER, write_sheet
    from regengine.store.result import Answer

    named = [*(photos or []), *([] if fit is None else [str(fit)])]
    if not named:
        raise ConfigError("no photo given: name photos or a folder, or a folder after --fit.")
    if fit is not None and labels.exists():
        raise ConfigError(
            f"{labels} exists and may hold your labels: name another file with --labels."
        )
    if run.out is not None and (sheet is not None or fit is not None):
        raise ConfigError(
            "--sheet and --fit need all photos at once, --out resumes a run: give --out on its own."
        )
    for file in (sheet, None if fit is None else labels):
        if file is not None:
            check_file(file)
    paths = find_existing_photos(named, exclude=[overlay])
    time = None if options.time is None else common.parse_time(str(options.time))
    needed = replace(
        options,
        time=time,
        features=options.features or fit is not None,
        thumbnails=sheet is not None,
    )
    inputs = api.classify_inputs(paths, needed)
    if overlay is not None:
        inputs = replace(inputs, overlays=picture_paths(paths, overlay, "scene"))
    names = ("model", "metadata", "features", "quality", "solve")
    settings = {name: getattr(options, name) for name in names}
    settings |= {"tle": inputs.tle, "frame": inputs.frame}
    scenes: list[Scene] = []

    def show(answer: Answer) -> None:
        if fit is None:
            say(answer.line if run.as_json or options.features else answer.text)
        if answer.kept is not None:
            scenes.append(answer.kept)

    if fit is None and not (run.as_json or options.features):
        say(TABLE_HEADER)
    code = work_through(
        run,
        paths,
        partial(answer_scene, inputs=inputs, keep=sheet is not None or fit is not None),
        "classify",
        settings,
        show=show,
        doing="classifying",
        limit_s=120.0,
    )
    if fit is not None and code != common.EXIT_INTERRUPTED:
        _propose(scenes, sheet, labels, seed)
    elif fit is None and sheet is not None:
        write_sheet(sheet, scenes)
    if code:
        raise typer.Exit(code)


def _propose(scenes: list[Scene], sheet: Path | None, labels: Path, seed: int) -> None:
    """Print the clusters of photos; write their table and sheet."""
    from collections import Counter

    from regengine.scene.result import propose_clusters, write_proposals, write_sheet

    proposals = propose_clusters(scenes, seed=seed)
    write_proposals(labels, proposals)
    if sheet is not None:
        # The cluster stands for the category, with the present model's guess
        shown = [
            replace(
                scene,
                category=cluster,
                probabilities={cluster: share, scene.category: scene.probabilities[scene.category]},
                explained=True,
                disagreement=None,
            )
            for scene, cluster, share in proposals
        ]
        write_sheet(sheet, shown)
    say(f"{'cluster':<12} {'photos':>6}  class by the present model")
    for name in dict.fromkeys(cluster for _, cluster, _ in proposals):
        guesses = Counter(scene.category for scene, cluster, _ in proposals if cluster == name)
        categories = ", ".join(f"{category} {count}" for category, count in guesses.most_common(4))
        say(f"{name:<12} {guesses.total():>6}  {categories}")
    train = format_command("train", labels, "--out", "model.json")
    say(f"Name them in {labels}, then: {train}", err=True)
