"""``regengine bench``: how methods, and other systems, do on labelled photos."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from regengine.commands import options as common
from regengine.io.atomic import check_folder
from regengine.io.console import configure_logging, print_data, say, show_progress
from regengine.io.plain import plain
from regengine.options import DetectOptions, Kind

BenchKind = Literal["lights", "lightning", "stars", "streaks", "scenes", "registration"]
KINDS = get_args(BenchKind)
# Of which kinds each option is
OF_KINDS = {
    "method": ("lights", "lightning", "stars", "streaks"),
    "tolerance_px": ("lights", "stars"),
    "max_side_px": ("lights", "lightning", "stars", "streaks"),
    "whole_frame": ("lightning", "stars", "streaks"),
    "seed": ("scenes",),
    "plot": ("lights", "lightning", "stars", "streaks", "scenes"),
}


def main(
    kind: Annotated[BenchKind, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="CSV, one row per label: path,x,y[,flux][,radius_px] of lights and stars; "
            "path,x1,y1,x2,y2 of streaks (or path,mask) and of the box around a flash; "
            "path,label[,group] of scenes; true cameras of photos for registration.",
        ),
    ],
    answers: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ANSWERS]",
            help="Registration: CSV or HDF5 with photo, x, y, lon, lat[, probability], or a store.",
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Only this method.  [all methods]")] = None,
    tolerance_px: Annotated[
        float | None,
        typer.Option(min=0.1, help="Tolerance in position, beyond the light's own size.  [3]"),
    ] = None,
    max_side_px: Annotated[
        int | None, typer.Option(min=64, help="Downsample larger photos to this long side first.")
    ] = None,
    whole_frame: common.WholeFrame = False,
    seed: Annotated[int | None, typer.Option(help="Random seed of folds and fits.  [0]")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw correct, false and missed detections, or figures of scenes, into this "
            "folder.",
        ),
    ] = None,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
    log_json: common.LogJson = False,
) -> None:
    """Score detectors, scene models or placed photos against labels.

    Lights, stars, lightning: completeness is the share of labels that are detected; false
    detections match no label; the error is that of the centroids, median and 90th percentile. A
    flash is found if a detection lies in its box, or beside it within 3 px and a quarter of its
    shorter side.

    Streaks: recall is the share of labels that are detected within 3 px RMS over at least half of
    their length; pieces match part of a label.

    Scenes: every kind of model on groups of photos left out of its training.

    Registration: a photo is right if it has at least four control points, all within 1 % of the
    diagonal of its true footprint, or 1 km if that is more.

    \b
    Examples:
      regengine bench lights labels.csv
      regengine bench streaks labels.csv --json --plot figures
      regengine bench registration frames.csv run.h5
    """
    given = dict(locals())
    configure_logging(quiet=quiet, as_json=log_json)
    for name, kinds in OF_KINDS.items():
        if kind not in kinds and given[name] is not None and given[name] is not False:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"{option} is not an option of bench {kind}; omit it.")
    if plot is not None:
        check_folder(plot)
    if (answers is None) == (kind == "registration"):
        needed = "needs ANSWERS after the true cameras" if answers is None else "takes one file"
        raise typer.BadParameter(f"bench {kind} {needed}.")
    if answers is not None:
        from regengine.score import registration

        # How many photos are right for each allowed number of wrong ones
        scores = registration.score_answers(
            registration.read_true_photos(labels), registration.read_answers(answers)
        )
        facts = registration.registration_facts(scores)
        if as_json:
            print_data("\n".join(json.dumps(fact) for fact in facts))
        else:
            say(*registration.registration_lines(facts))
    elif kind == "scenes":
        _score_scenes(labels, seed or 0, plot, as_json=as_json, quiet=quiet)
    elif kind != "registration":
        from detectors.constants import LONG_SIDE_PX
        from regengine.score.detections import MATCH_RADIUS_PX

        looked_at = DetectOptions(
            max_side_px=max_side_px or LONG_SIDE_PX[kind], whole_frame=whole_frame, method=method
        )
        tolerance = MATCH_RADIUS_PX if tolerance_px is None else tolerance_px
        _score_detectors(kind, labels, looked_at, plot, tolerance, as_json=as_json, quiet=quiet)


def _score_detectors(
    kind: Kind,
    labels: Path,
    looked_at: DetectOptions,
    plot: Path | None,
    tolerance_px: float,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score methods on labelled photos, a line each; ``looked_at`` is how they are looked at."""
    from dataclasses import replace

    import numpy as np

    from detectors import types
    from regengine.api import detect_job
    from regengine.errors import FrameError
    from regengine.scene.drawing import draw_comparison, picture_paths
    from regengine.scene.labels import check_photos_exist
    from regengine.score import detections, streak_scores
    from regengine.score.labels import check_labels, fact_line, read_labels

    every = types.ObjectKind[Any](kind).detectors()
    methods = [looked_at.method] if looked_at.method else list(every)
    jobs = {name: detect_job(kind, replace(looked_at, method=name)) for name in methods}
    photos = read_labels(labels, kind)
    paths = [photo.path for photo in photos]
    check_photos_exist(labels, paths)
    table = streak_scores.STREAK_TABLE if kind == "streaks" else detections.DETECTION_TABLE
    if not as_json:
        say(fact_line(table))
    failed, summaries = 0, []
    with show_progress(len(jobs) * len(photos), quiet=quiet, doing="scoring") as advance:
        for name, job in jobs.items():
            pictures = None if plot is None else picture_paths(paths, plot, name)
            scores: list[Any] = []
            score: Any
            for photo in photos:
                try:
                    check_labels(photo)
                    answer = job(photo.path)
                    if kind == "streaks":
                        places = streak_scores.streak_rows(answer.found)
                        score, false, missed = streak_scores.score_streak_photo(
                            photo, places, answer.seconds
                        )
                    else:
                        places = np.column_stack([answer.found.x, answer.found.y])
                        score, false, missed = detections.score_points(
                            photo, places, answer.seconds, tolerance_px
                        )
                    if pictures is not None:
                        places = places[:, :4]
                        picture = pictures.of(photo.path)
                        draw_comparison(photo.path, places[~false], places[false], missed, picture)
                    scores.append(score)
                except FrameError as error:
                    failed += 1
                    logging.getLogger("regengine").error("Error: %s", error)
                advance()
            if kind == "streaks":
                summaries.append(streak_scores.summarise_streaks(name, scores))
            else:
                summaries.append(detections.summarise_detections(name, scores))
            print_data(json.dumps(summaries[-1]) if as_json else fact_line(table, summaries[-1]))
    if kind == "streaks" and not as_json:
        say(*streak_scores.recall_lines(summaries))
    if failed:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)


def _score_scenes(
    labels: Path, seed: int, plot: Path | None, *, as_json: bool, quiet: bool
) -> None:
    """Score every kind of scene model on groups of photos left out of its training."""
    from functools import partial

    from regengine.scene.labels import deal_folds
    from regengine.scene.training import cross_validate, measure_labelled
    from regengine.score import scenes as scoring

    samples, complete = measure_labelled(
        labels, partial(show_progress, quiet=quiet, doing="measuring")
    )
    n_folds = len(deal_folds(samples, seed=seed))
    with show_progress(n_folds, quiet=quiet, doing="training") as advance:
        validation = cross_validate(samples, seed=seed, advance=advance)
    report = scoring.evaluate_scenes(validation)
    if as_json:
        tables = {"methods": report.methods, "mistakes": report.mistakes}
        facts = [{"table": name, **one} for name, rows in tables.items() for one in rows]
        print_data("\n".join(json.dumps(plain(fact, str)) for fact in facts))
    else:
        say(*scoring.report_lines(samples, report))
    if plot is not None:
        scoring.draw_report(report, plot)
        scoring.draw_mistakes(report.mistakes, plot)
    if not complete:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)
