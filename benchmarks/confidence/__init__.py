"""Fit the probability of registrations to a table of simulated cases, and judge it."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.confidence.fit import (
    NOTHING_TOLD,
    THRESHOLDS,
    TIME_TOLD,
    fewer_steps,
    learn_then_test,
    left_out_probability,
    probability_of,
    proposals_of,
    read_rows,
    venn_abers,
)
from benchmarks.confidence.report import (
    Judged,
    accepted_lines,
    accepted_told,
    judgement_lines,
    steps_lines,
    threshold_lines,
    trials_told,
)
from benchmarks.pages import command_of, parser, title_lines, write_page
from regengine.errors import ConfigError
from regengine.io.extras import need
from regengine.registration.calibration import (
    Calibration,
    calibration_text,
    read_shipped_calibration,
)

TARGET = 0.001  # wrong among accepted
STRICTEST = THRESHOLDS[0]


def page_of(tables: list[Path], target: float, write: Path | None, plot: Path | None) -> list[str]:
    """Read, fit, test, judge, write; what the page says of it."""
    if not 0.0 < target < 0.1:
        raise ValueError("--target is not a rate between 0 and 0.1")
    if plot:
        need("--plot", "matplotlib.figure")
    rows = read_rows(tables)
    training, test = proposals_of(rows, "train"), proposals_of(rows, "test")
    if write and test is None:
        raise ValueError("the tables need proposals of the test half, to test thresholds with")
    judged: list[Judged] = []
    shipped = read_shipped_calibration()
    fitted_on = shipped.trials
    if training is None:
        steps = shipped.steps
        threshold, blind_threshold = shipped.accept_probability, shipped.accept_probability_blind
        lines = ["No training rows: the calibration of the package is judged.", ""]
    else:
        steps = fewer_steps(venn_abers(training.log10_odds, training.placed))
        threshold, blind_threshold = STRICTEST, None
        left_out = left_out_probability(training)
        judged.append(Judged(name="Training half, left out in turn", p=left_out, trials=training))
        fitted_on = trials_told(judged[0])
        lines = steps_lines(steps, training)
    if test is not None:
        p = probability_of(test, steps)
        judged.append(Judged(name="Test half", p=p, trials=test))
        told, blind = (learn_then_test(p, test, target, kind) for kind in (TIME_TOLD, NOTHING_TOLD))
        lines += threshold_lines(told, target, steps, TIME_TOLD)
        lines += threshold_lines(blind, target, steps, NOTHING_TOLD)
        if write or training is not None:
            threshold, blind_threshold = told.threshold or threshold, blind.threshold
        if write and told.threshold is None:
            raise ValueError("no threshold passes the test on the test half: draw more cases")
        if write:
            calibration = Calibration(
                steps=steps,
                accept_probability=threshold,
                accept_probability_blind=blind_threshold,
                trials=fitted_on,
                tested=accepted_told(judged[-1], told.wrong_rate, threshold, blind_threshold),
            )
            write.write_text(calibration_text(calibration), encoding="utf-8")
    for one in judged:
        lines += [*judgement_lines(one), *accepted_lines(one, threshold, blind_threshold)]
    if plot and judged:
        from benchmarks.confidence.report import plot_reliability

        lines += [f"Figure: {plot_reliability(judged, plot)}", ""]
    return lines


def main(argv: list[str]) -> int:
    """Fit on the training half where there is one; test and judge on the test half."""
    given = parser("confidence", __doc__)
    given.epilog = (
        "Tables: python -m benchmarks registration --simulated --half train --table cases.csv. "
        "Tables without training rows judge the calibration of the package; --write then keeps its "
        "steps and writes the thresholds that they pass."
    )
    given.add_argument("table", type=Path, nargs="+", help="CSV of simulated cases")
    given.add_argument("--write", type=Path, metavar="FILE", help="write the calibration (JSON)")
    given.add_argument("--plot", type=Path, metavar="DIR", help="write reliability.png there")
    given.add_argument("--target", type=float, default=TARGET, help="wrong among accepted")
    chosen = given.parse_args(argv)
    try:
        lines = page_of(chosen.table, chosen.target, chosen.write, chosen.plot)
    except (ConfigError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    title = "How true probabilities are"
    heading = title_lines(title, command_of("confidence", argv), "")
    write_page(chosen.out, "confidence", [*heading[:-2], *lines])
    return 0
