"""``regengine bench``: how every method does on labelled photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from detectors.types import FloatArray
    from regengine.evaluate.detections import DetectionScore, Finder
    from regengine.evaluate.labelled_streaks import StreakTruth
    from regengine.evaluate.streak_scores import StreakScore

# What every ``regengine bench`` of detections does: each method, each photo, a line each.

S = TypeVar("S")
EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3


def bench_methods(
    labels: Path,
    photos: list[Path],
    methods: list[str],
    score: Callable[[str, Path, Path | None], S],
    summary: Callable[[str, list[S]], dict[str, Any]],
    table: tuple[str, Callable[[dict[str, Any]], str]] | None,
    plot: Path | None,
    *,
    quiet: bool,
    at_end: Callable[[list[dict[str, Any]]], list[str]] | None = None,
) -> None:
    """Score methods on photos and print what is said of each, as JSON where there is no table."""
    import json
    import logging

    from regengine.batch.console import progress
    from regengine.errors import FrameError
    from regengine.sky.detection.overlay import picture_paths

    if not any(path.exists() for path in photos):
        typer.echo(
            f"Error: {labels} names no photo that is there: paths count from its folder.", err=True
        )
        raise typer.Exit(EXIT_NOT_STARTED)
    if table is not None:
        typer.echo(table[0])
    failed, said = 0, []
    with progress(len(methods) * len(photos), quiet=quiet) as advance:
        for name in methods:
            scores = []
            pictures = None if plot is None else picture_paths(photos, plot, name)
            for path in photos:
                try:
                    picture = None if pictures is None else pictures.of(path)
                    scores.append(score(name, path, picture))
                except FrameError as error:
                    failed += 1
                    logging.getLogger("regengine").error("Error: %s", error)
                advance()
            said.append(summary(name, scores))
            typer.echo(json.dumps(said[-1]) if table is None else table[1](said[-1]))
    if table is not None and at_end is not None:
        for line in at_end(said):
            typer.echo(line)
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)


app = typer.Typer(
    help="Score detection and classification on labelled samples.\n\n"
    "Example: regengine bench lights labels.csv",
    no_args_is_help=True,
)


Labels = Annotated[Path, typer.Argument(help="CSV: path,x,y[,flux][,radius_px] (one a row).")]
Method = Annotated[str | None, typer.Option(help="Only this method; without it every method.")]
Tolerance = Annotated[
    float, typer.Option(min=0.1, help="How far off a detection may be, beside its size.")
]
MaxSide = Annotated[
    int, typer.Option(min=64, help="Average larger photos down to this long side first.")
]
WholeFrame = Annotated[
    bool, typer.Option("--whole-frame", help="Search below the Earth's limb, too.")
]
Plot = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Draw what was found, false and missed into this folder."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print NDJSON, a line per method, instead of a table.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
]


@app.command(no_args_is_help=True)
def lights(
    labels: Labels,
    method: Method = None,
    tolerance_px: Tolerance = 3.0,
    max_side_px: MaxSide = 1500,
    plot: Plot = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Score the methods that find lights against lights that you marked.

    Completeness is the part of the labels that was found; false is what is no label, per photo
    and as a part of all detections; the error is that of the centroids, median and 90 %.

    \b
    Examples:
      regengine bench lights labels.csv
      regengine bench lights labels.csv --json --plot figures
    """
    from regengine.batch.console import configure_logging

    configure_logging(quiet=quiet, as_json=log_json)
    finders = _point_finders("lights", method, max_side_px=max_side_px)
    bench_detections(labels, finders, tolerance_px, plot, as_json=as_json, quiet=quiet)


@app.command(no_args_is_help=True)
def stars(
    labels: Labels,
    method: Method = None,
    tolerance_px: Tolerance = 3.0,
    max_side_px: MaxSide = 3000,
    whole_frame: WholeFrame = False,
    plot: Plot = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Score the methods that find stars against stars that you marked.

    Columns are those of `bench lights`.

    \b
    Examples:
      regengine bench stars labels.csv
      regengine bench stars labels.csv --json --plot figures
    """
    from regengine.batch.console import configure_logging

    configure_logging(quiet=quiet, as_json=log_json)
    finders = _point_finders("stars", method, max_side_px=max_side_px, sky_only=not whole_frame)
    bench_detections(labels, finders, tolerance_px, plot, as_json=as_json, quiet=quiet)


@app.command(no_args_is_help=True)
def streaks(
    labels: Annotated[
        Path,
        typer.Argument(
            help="CSV: path,x1,y1,x2,y2 (a streak a row) or path,mask; or a folder of YOLO labels."
        ),
    ],
    method: Method = None,
    max_side_px: MaxSide = 4300,
    whole_frame: WholeFrame = False,
    plot: Plot = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Score the methods that find streaks against streaks that you marked.

    Recall is the part of the labels that was found: followed within 3 px (root mean square) over
    at least half of the length; false is what is no label, pieces are what is a part of one.

    \b
    Examples:
      regengine bench streaks labels.csv
      regengine bench streaks dataset/ --json --plot figures
    """
    from functools import cache

    from regengine.batch.console import configure_logging
    from regengine.evaluate.labelled_streaks import (
        STREAK_TABLE,
        FoundStreaks,
        read_streak_truth,
        recall_lines,
        score_streak_photo,
        streak_summary,
    )
    from regengine.evaluate.streak_labels import read_streak_labels
    from regengine.evaluate.streak_scores import streak_rows
    from regengine.sky.detection.kinds import STREAKS

    configure_logging(quiet=quiet, as_json=log_json)
    detectors = STREAKS.detectors(method or None)
    photos = {photo.path: photo for photo in read_streak_labels(labels)}

    @cache
    def truth(path: Path) -> StreakTruth:
        return read_streak_truth(photos[path])

    def score(name: str, path: Path, picture: Path | None) -> StreakScore:
        def find(photo: Path) -> FoundStreaks:
            found = STREAKS.in_photo(
                photo, detectors[name], max_long_side_px=max_side_px, sky_only=not whole_frame
            )
            return FoundStreaks(rows=streak_rows(found.found), seconds=found.seconds)

        return score_streak_photo(truth(path), find, picture)

    bench_methods(
        labels,
        list(photos),
        list(detectors),
        score,
        streak_summary,
        None if as_json else (STREAK_TABLE.header, STREAK_TABLE.line),
        plot,
        quiet=quiet,
        at_end=recall_lines,
    )


@app.command(no_args_is_help=True)
def scenes(
    labels: Annotated[Path, typer.Argument(help="CSV: path,label[,group] (a photo a row).")],
    seed: Annotated[int, typer.Option(help="Of folds, fits and draws.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw figures and the worst mistakes into this folder."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON, a line per row, instead of tables.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
    ] = False,
) -> None:
    """Score every kind of scene model on groups of photos that it has not seen.

    Confusion, precision and recall of every class, how well probabilities fit, what few labels
    buy, what each feature is worth, and the worst mistakes.

    \b
    Examples:
      regengine bench scenes labels.csv
      regengine bench scenes labels.csv --json --plot figures
    """
    import json

    from regengine.batch.console import configure_logging, progress
    from regengine.commands.train import labelled_samples
    from regengine.evaluate.scene_report import (
        draw_mistakes,
        draw_report,
        report_facts,
        report_lines,
    )
    from regengine.evaluate.scenes import evaluate_scenes
    from regengine.scene.crossval import cross_validate
    from regengine.scene.samples import grouped_folds

    configure_logging(quiet=quiet, as_json=log_json)
    samples, complete = labelled_samples(labels, quiet=quiet)
    with progress(len(grouped_folds(samples, seed=seed)), quiet=quiet, doing="training") as advance:
        validation = cross_validate(samples, seed=seed, advance=advance)
    report = evaluate_scenes(validation, seed=seed)
    if as_json:
        typer.echo("\n".join(json.dumps(fact) for fact in report_facts(report)))
    else:
        typer.echo("\n".join(report_lines(samples, report)))
    if plot is not None:
        draw_report(report, plot)
        draw_mistakes(report.mistakes, plot)
    if not complete:
        raise typer.Exit(EXIT_FRAMES_FAILED)


def _point_finders(
    kind: str, method: str | None, *, max_side_px: int, sky_only: bool = True
) -> dict[str, Finder]:
    """What finds lights or stars in a photo, by the names of the methods."""
    import numpy as np

    from regengine.sky.detection.kinds import SOUGHT

    sought = SOUGHT[kind]

    def finder(detector: Any) -> Finder:
        def find(path: Path) -> tuple[FloatArray, float]:
            photo = sought.in_photo(path, detector, max_long_side_px=max_side_px, sky_only=sky_only)
            return np.column_stack([photo.found.x, photo.found.y]), photo.seconds

        return find

    return {name: finder(one) for name, one in sought.detectors(method or None).items()}


def bench_detections(
    labels: Path,
    finders: dict[str, Finder],
    tolerance_px: float,
    plot: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score methods that find places, by name, on labelled photos; print a line each."""
    from regengine.evaluate.detections import (
        DETECTION_TABLE,
        read_light_labels,
        score_photo,
        summary,
    )

    photos = {photo.path: photo for photo in read_light_labels(labels)}

    def score(name: str, path: Path, picture: Path | None) -> DetectionScore:
        return score_photo(photos[path], finders[name], tolerance_px, picture)

    bench_methods(
        labels,
        list(photos),
        list(finders),
        score,
        summary,
        None if as_json else (DETECTION_TABLE.header, DETECTION_TABLE.line),
        plot,
        quiet=quiet,
    )
