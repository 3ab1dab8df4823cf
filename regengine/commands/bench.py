"""``regengine bench``: how every method does on labelled photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from detectors.types import LightDetector
    from regengine.evaluate.detections import DetectionScore
    from regengine.evaluate.light_labels import LabelledPhoto

app = typer.Typer(
    help="Score detection and classification on labelled samples.\n\n"
    "Example: regengine bench lights labels.csv",
    no_args_is_help=True,
)
EXIT_FRAMES_FAILED = 1
EXIT_NOT_STARTED = 3
HEADER = (
    f"{'method':12s} {'photos':>6s} {'labels':>7s} {'complete':>8s} {'in flux':>8s} "
    f"{'false/photo':>11s} {'false':>7s} {'error px':>9s} {'90 %':>7s} {'s/photo':>8s}"
)


@app.command(no_args_is_help=True)
def lights(
    labels: Annotated[
        Path, typer.Argument(help="CSV: path,x,y[,flux][,radius_px] (a light a row).")
    ],
    method: Annotated[
        str | None, typer.Option(help="Only this method; without it every method.")
    ] = None,
    tolerance_px: Annotated[
        float, typer.Option(min=0.1, help="How far off a detection may be, beside its size.")
    ] = 3.0,
    max_side_px: Annotated[
        int, typer.Option(min=64, help="Average larger photos down to this long side first.")
    ] = 1500,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw what was found, false and missed into this folder."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print NDJSON, a line per method, instead of a table.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no messages.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Messages on standard error as JSON lines.")
    ] = False,
) -> None:
    """Score the methods that find lights against lights that you marked.

    Completeness is the part of the labels that was found; false is what is no label, per photo
    and as a part of all detections; the error is that of the centroids, median and 90 %.

    \b
    Examples:
      regengine bench lights labels.csv
      regengine bench lights labels.csv --json --plot figures
    """
    import json

    from detectors.registry import light_detectors
    from regengine.batch.logs import configure_logging
    from regengine.batch.progress import progress
    from regengine.detection_overlay import picture_paths
    from regengine.evaluate.light_labels import read_light_labels
    from regengine.photo_lights import light_detector

    configure_logging(quiet=quiet, as_json=log_json)
    photos = read_light_labels(labels)
    if not any(photo.path.exists() for photo in photos):
        typer.echo(
            f"Error: {labels} names no photo that is there: paths count from its folder.", err=True
        )
        raise typer.Exit(EXIT_NOT_STARTED)
    chosen = [light_detector(method)] if method else list(light_detectors().values())
    if not as_json:
        typer.echo(HEADER)
    failed = 0
    with progress(len(chosen) * len(photos), quiet=quiet) as advance:
        for detector in chosen:
            scores = []
            paths = [photo.path for photo in photos]
            pictures = {} if plot is None else picture_paths(paths, plot, detector.name)
            for photo in photos:
                picture = pictures.get(photo.path)
                score = score_photo(photo, detector, tolerance_px, max_side_px, picture)
                failed += score is None
                scores += [] if score is None else [score]
                advance()
            facts = summary(detector.name, scores)
            typer.echo(json.dumps(facts) if as_json else table_line(facts))
    if failed:
        raise typer.Exit(EXIT_FRAMES_FAILED)


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

    from regengine.batch.logs import configure_logging
    from regengine.batch.progress import progress
    from regengine.commands.train import labelled_samples
    from regengine.evaluate.scene_figures import draw_mistakes, draw_report
    from regengine.evaluate.scene_report import report_facts, report_lines
    from regengine.evaluate.scenes import evaluate_scenes
    from regengine.scene.crossval import cross_validate
    from regengine.scene.folds import grouped_folds

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


def score_photo(
    photo: LabelledPhoto,
    detector: LightDetector,
    tolerance_px: float,
    max_side_px: int,
    picture: Path | None,
) -> DetectionScore | None:
    """Score of one method on one photo; None, and a message, where it cannot be read."""
    import logging

    import numpy as np

    from regengine.detection_overlay import draw_comparison
    from regengine.errors import FrameError
    from regengine.evaluate.detections import (
        MATCH_RADIUS_PX,
        match_positions,
        match_tolerance_px,
        score_frame,
    )
    from regengine.photo_lights import detect_lights

    truth = np.column_stack([photo.x, photo.y])
    tolerance = match_tolerance_px(photo.radius_px) - MATCH_RADIUS_PX + tolerance_px
    try:
        result = detect_lights(photo.path, detector, max_long_side_px=max_side_px)
        found = np.column_stack([result.lights.x, result.lights.y])
        matches = match_positions(truth, found, tolerance)
        if picture is not None:
            draw_comparison(
                photo.path,
                found[matches.found],
                np.delete(found, matches.found, axis=0),
                np.delete(truth, matches.truth, axis=0),
                picture,
            )
    except FrameError as error:
        logging.getLogger("regengine").error("Error: %s", error)
        return None
    return score_frame(
        matches, np.ones(photo.x.size, bool), len(found), flux=photo.flux, seconds=result.seconds
    )


def summary(method: str, scores: list[DetectionScore]) -> dict[str, Any]:
    """What is said of one method, ready for JSON; None stands for what is not known."""
    import math

    from regengine.evaluate.detections import total_score

    total = total_score(scores)
    frames = max(total.frames, 1)
    facts: dict[str, Any] = {
        "method": method,
        "photos": total.frames,
        "labels": total.wanted,
        "completeness": total.completeness,
        "flux_completeness": total.flux_completeness,
        "false_per_photo": total.false / frames,
        "false_fraction": total.false_fraction,
        "centroid_error_px": total.error_px(0.5),
        "centroid_error_p90_px": total.error_px(0.9),
        "seconds_per_photo": round(total.seconds / frames, 4),
    }
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in facts.items()
    }


def table_line(facts: dict[str, Any]) -> str:
    """The same facts as a line under `HEADER`."""

    def cell(key: str, form: str, width: int) -> str:
        return f"{'-' if facts[key] is None else format(facts[key], form):>{width}s}"

    return (
        f"{facts['method']:12s} {facts['photos']:6d} {facts['labels']:7d} "
        f"{cell('completeness', '.3f', 8)} {cell('flux_completeness', '.3f', 8)} "
        f"{cell('false_per_photo', '.1f', 11)} {cell('false_fraction', '.1%', 7)} "
        f"{cell('centroid_error_px', '.2f', 9)} {cell('centroid_error_p90_px', '.2f', 7)} "
        f"{cell('seconds_per_photo', '.3f', 8)}"
    )
