"""``regengine bench``: how methods, and other systems, do on labelled photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from regengine.batch.console import configure_logging, print_data, say
from regengine.commands import options as common
from regengine.commands.typer_options import typer_option
from regengine.options import DetectOptions

if TYPE_CHECKING:
    from detectors.types import FloatArray
    from regengine.api import Kind
    from regengine.sky.detection.detect import PhotoDetections

    DetectJob = Callable[[Path], PhotoDetections[Any]]

app = typer.Typer(
    help="Score detection and classification on labelled samples.\n\n"
    "Example: regengine bench lights labels.csv",
    no_args_is_help=True,
)


SAYS = {
    "lights": """Score light detectors against lights that you marked.

    LABELS is a CSV: path,x,y[,flux][,radius_px]; one light per row. Completeness is the share of
    labels that are detected; false detections match no label, and are given per photo and as a
    share of all detections; the error is that of the centroids, median and 90th percentile.
    """,
    "lightning": """Score the methods that find lightning against flashes that you marked.

    LABELS is a CSV: path,x1,y1,x2,y2 (the box around a flash a row). A flash is found if a
    detection lies in its box, or beside it within 3 px and a quarter of its shorter side; false is
    what lies in no box. Other columns are those of `bench lights`.
    """,
    "stars": """Score star detectors against stars that you marked.

    LABELS and the columns are those of `bench lights`.
    """,
    "streaks": """Score streak detectors against streaks that you marked.

    LABELS is a CSV: path,x1,y1,x2,y2 (one streak per row), or path,mask. Recall is the share of
    labels that are detected within 3 px RMS over at least half of their length; false detections
    match no label, pieces match part of one.
    """,
}
EXAMPLES = """
    \b
    Examples:
      regengine bench {kind} labels.csv
      regengine bench {kind} labels.csv --json --plot figures
    """


def detections(
    context: typer.Context,
    labels: Annotated[Path, typer.Argument(help="Table of what you marked.")],
    method: Annotated[str | None, typer.Option(help="Only this method.  [all methods]")] = None,
    tolerance_px: Annotated[
        float,
        typer.Option(
            min=0.1, help="Lights and stars: tolerance in position, beyond the light's own size."
        ),
    ] = 3.0,
    max_side_px: Annotated[int | None, typer_option(DetectOptions, "max_side_px")] = None,
    whole_frame: common.WholeFrame = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw correct, false and missed detections into this folder."
        ),
    ] = None,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
    log_json: common.LogJson = False,
) -> None:
    """Score methods of the kind that the command is named for, a line each."""
    import json
    import logging
    from dataclasses import replace
    from functools import partial

    import numpy as np

    from detectors import registry
    from regengine.api import detect_job
    from regengine.batch.console import show_progress
    from regengine.errors import FrameError
    from regengine.evaluate import detections, labelled_flashes, labelled_streaks
    from regengine.evaluate.streak_labels import read_streak_labels
    from regengine.evaluate.streak_scores import streak_rows
    from regengine.scene.labels import check_photos_exist
    from regengine.sky.drawing import picture_paths

    configure_logging(quiet=quiet, as_json=log_json)
    kind = cast("Kind", context.info_name)
    looked_at = DetectOptions(max_side_px=max_side_px, whole_frame=whole_frame)
    methods = [method] if method else list(registry.Kind[Any](kind).detectors())
    jobs = {name: detect_job(kind, replace(looked_at, method=name)) for name in methods}
    photos: dict[Path, Any]
    score: Callable[..., Any]
    summary: Callable[..., dict[str, Any]]
    if kind == "streaks":
        photos = {photo.path: photo for photo in read_streak_labels(labels)}
        score, summary = labelled_streaks.score_streak_photo, labelled_streaks.streak_summary
        table = labelled_streaks.STREAK_TABLE
    elif kind == "lightning":
        photos = {photo.path: photo for photo in labelled_flashes.read_flash_labels(labels)}
        score = labelled_flashes.score_flash_photo
        summary, table = detections.summary, detections.DETECTION_TABLE
    else:
        photos = {photo.path: photo for photo in detections.read_light_labels(labels)}
        score = partial(detections.score_photo, tolerance_px=tolerance_px)
        summary, table = detections.summary, detections.DETECTION_TABLE
    check_photos_exist(labels, list(photos))
    if not as_json:
        say(table.header)
    failed, summaries = 0, []
    with show_progress(len(jobs) * len(photos), quiet=quiet, doing="scoring") as advance:
        for name, job in jobs.items():
            pictures = None if plot is None else picture_paths(list(photos), plot, name)

            def find(path: Path, job: DetectJob = job) -> tuple[FloatArray, float]:
                of = job(path)
                if kind == "streaks":
                    return streak_rows(of.found), of.seconds
                return np.column_stack([of.found.x, of.found.y]), of.seconds

            scores: list[Any] = []
            for path, photo in photos.items():
                try:
                    picture = None if pictures is None else pictures.of(path)
                    scores.append(score(photo, find, picture=picture))
                except FrameError as error:
                    failed += 1
                    logging.getLogger("regengine").error("Error: %s", error)
                advance()
            summaries.append(summary(name, scores))
            line = json.dumps(summaries[-1]) if as_json else table.line(summaries[-1])
            print_data(line)
    if kind == "streaks" and not as_json:
        say(*labelled_streaks.recall_lines(summaries))
    if failed:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)


for kind, says in SAYS.items():
    app.command(kind, help=says + EXAMPLES.format(kind=kind), no_args_is_help=True)(detections)


@app.command(no_args_is_help=True)
def scenes(
    labels: common.SceneLabels,
    seed: Annotated[int, typer.Option(help="Random seed of folds and fits.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw figures and the worst errors into this folder."),
    ] = None,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
    log_json: common.LogJson = False,
) -> None:
    """Score every kind of scene model on groups of photos left out of its training.

    Prints confusion, precision and recall of every class, the calibration of the probabilities, and
    the worst mistakes.

    \b
    Examples:
      regengine bench scenes labels.csv
      regengine bench scenes labels.csv --json --plot figures
    """
    import json
    from functools import partial

    from regengine.batch.console import show_progress
    from regengine.evaluate.scene_report import (
        draw_mistakes,
        draw_report,
        report_facts,
        report_lines,
    )
    from regengine.evaluate.scenes import evaluate_scenes
    from regengine.scene.labels import deal_folds
    from regengine.scene.training import cross_validate, measure_labelled

    configure_logging(quiet=quiet, as_json=log_json)
    samples, complete = measure_labelled(
        labels, partial(show_progress, quiet=quiet, doing="measuring")
    )
    with show_progress(
        len(deal_folds(samples, seed=seed)), quiet=quiet, doing="training"
    ) as advance:
        validation = cross_validate(samples, seed=seed, advance=advance)
    report = evaluate_scenes(validation)
    if as_json:
        print_data("\n".join(json.dumps(fact) for fact in report_facts(report)))
    else:
        say(*report_lines(samples, report))
    if plot is not None:
        draw_report(report, plot)
        draw_mistakes(report.mistakes, plot)
    if not complete:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)


@app.command(no_args_is_help=True)
def registration(
    truth: Annotated[
        Path, typer.Argument(help="CSV of the true cameras of the benchmark's photos.")
    ],
    answers: Annotated[
        Path,
        typer.Argument(
            help="CSV or HDF5 with photo, x, y, lon, lat[, probability]; or a store of register."
        ),
    ],
    as_json: common.Json = False,
    quiet: common.Quiet = False,
    log_json: common.LogJson = False,
) -> None:
    """Score any system's control points against the true cameras of photos.

    A photo is right if it has at least four control points, all within 1 % of the diagonal of its
    true footprint, or 1 km if that is more. Prints how many photos are right for each allowed
    number of wrong ones, with the threshold on the probability.

    \b
    Examples:
      regengine bench registration reference_cameras.csv run.h5
      regengine bench registration reference_cameras.csv answers.csv --json
    """
    import json

    from regengine.evaluate.registration import (
        read_answers,
        read_true_photos,
        registration_facts,
        registration_lines,
        score_answers,
    )

    configure_logging(quiet=quiet, as_json=log_json)
    facts = registration_facts(score_answers(read_true_photos(truth), read_answers(answers)))
    if as_json:
        print_data("\n".join(json.dumps(fact) for fact in facts))
    else:
        say(*registration_lines(facts))
