"""Fit the probability of registrations to a table of simulated cases, and judge it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.confidence.fit import (
    FloatArray,
    Model,
    Proposals,
    acceptance,
    choose_threshold,
    cross_validated,
    fit_model,
    proposals_of,
    read_rows,
    threshold_interval,
)
from benchmarks.confidence.report import Judged, judgement_text, model_text
from benchmarks.trials.outcomes import calibration as calibration_figures
from regengine.errors import ConfigError
from regengine.registration.calibration import (
    FEATURES,
    Calibration,
    Training,
    shipped_calibration,
    write_calibration,
)

TARGET = 0.001  # wrong among accepted


def run(options: argparse.Namespace) -> int:
    """Read, fit, judge, write."""
    names = tuple(options.features.split(","))
    if unknown := [name for name in names if name not in FEATURES]:
        raise ValueError(f"no feature is called {unknown[0]!r}; there are {', '.join(FEATURES)}")
    if not 0.0 < options.target < 0.1:
        raise ValueError("--target is not a rate between 0 and 0.1")
    rows = read_rows(options.table)
    training = proposals_of(rows, "train", names)
    judged: list[Judged] = []
    if training is None:
        if options.write:
            raise ValueError("no proposal of the training half in the tables: nothing to fit")
        calibration = shipped_calibration()
        print("No training rows: the calibration of the package is judged.\n")
    else:
        model = fit_model(training.features, training.right, training.blocks)
        p = cross_validated(training.features, training.right, training.blocks)
        calibration = calibration_of(model, training, p, names, options.target)
        print(model_text(calibration, model.penalty))
        judged.append(Judged(name="Training half, left out in turn", p=p, proposals=training))
    test = proposals_of(rows, "test", calibration.features)
    if test is not None:
        p = calibration.probability_of(calibration.score(test.features))
        judged.append(Judged(name="Test half", p=p, proposals=test))
    for one in judged:
        print(judgement_text(one, calibration.accept_probability))
    if options.plot and judged:
        from benchmarks.confidence.report import plot_reliability

        print(f"figure: {plot_reliability(judged, calibration, options.plot)}")
    if options.write:
        write_calibration(options.write, calibration)
        print(f"calibration: {options.write}")
    return 0


def calibration_of(
    model: Model, training: Proposals, p: FloatArray, names: tuple[str, ...], target: float
) -> Calibration:
    """The calibration that a model makes, with its threshold and what supports it."""
    curve, right = model.curve, training.right
    by_curve = curve.probability(model.left_out_scores)
    threshold = choose_threshold(by_curve[~training.doubted], curve.ceiling, target)
    let_in = acceptance(by_curve, right, training.doubted, threshold)
    figures = calibration_figures(p, right)
    return Calibration(
        features=names,
        weights=tuple(float(w) for w in model.regression.weights),
        intercept=model.regression.intercept,
        slope=curve.slope,
        offset=curve.offset,
        floor=curve.floor,
        ceiling=curve.ceiling,
        accept_probability=threshold,
        accept_interval_95=threshold_interval(model, training, target),
        target_wrong_rate=target,
        training=Training(
            source=training.source,
            cases=training.cases,
            proposals=len(training),
            right=int(np.sum(right)),
            accepted=let_in.accepted,
            accepted_wrong=let_in.wrong,
            expected_wrong_rate=let_in.expected_wrong_rate,
            wrong_rate_upper_95=let_in.wrong_rate_upper_95,
            expected_calibration_error=figures.expected_error,
            brier_score=figures.brier,
            cross_validated=True,
        ),
    )


def main(argv: list[str]) -> int:
    """Fit on the training half where there is one, judge on the test half where there is one."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks confidence",
        description=__doc__,
        epilog="Tables: python -m benchmarks registration --simulated --half train --table "
        "cases.csv. Tables without training rows judge the calibration of the package.",
    )
    parser.add_argument("table", type=Path, nargs="+", help="CSV of simulated cases")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the calibration (JSON)")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write reliability.png there")
    parser.add_argument("--target", type=float, default=TARGET, help="wrong among accepted")
    parser.add_argument(
        "--features",
        default=",".join(FEATURES),
        help="names, comma between, of what the score may depend on (default: all)",
    )
    options = parser.parse_args(argv)
    try:
        return run(options)
    except (ConfigError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
