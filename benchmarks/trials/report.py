"""The page on a run of simulated registrations: numbers, tables, and the trials that failed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from benchmarks.pages import NONE, number, table, title_lines
from benchmarks.trials.attempt import REASON_MARK
from benchmarks.trials.outcomes import (
    FACTORS,
    OUTCOMES,
    RIGHT_ACCEPTED,
    RIGHT_REVIEW,
    WRONG_ACCEPTED,
    bins_of,
    calibration,
    quantile,
    share_beyond,
    values,
    wilson_interval,
    within_one_sigma,
)
from regengine.evaluate.tables import bound_share
from regengine.records import probability_text

MIN_TO_TELL = 30  # below, a number says nothing on whether it is met
MIN_FOR_TAIL = 300  # accepted cases: thirty of them are their tail
MIN_FOR_CLAIM = 3000  # accepted cases without a wrong one bound their share at 1 in 1,000
STEEP_DEG = 45.0
WELL_LIT = 15
LONG_LENS_MM = 250.0
MAX_WRONG = 1e-3


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number: what it is, what is asked of it, what was measured, whether that is met.

    ``met`` is None where there is too little to tell.
    """

    what: str
    asked: str
    measured: str
    n: int
    interval: str
    met: bool | None

    def cells(self) -> list[str]:
        """The row of the table."""
        met = self.met if self.n >= MIN_TO_TELL else None
        words = {True: "met", False: "**falls short**", None: "too few to tell"}
        said = "" if self.asked == NONE else words[met]
        return [self.what, self.asked, self.measured, str(self.n), self.interval, said]


NUMBERS_HEADER = ("number", "asked for", "measured", "n", "95 % interval", "")


def percent(share: float, digits: int = 1) -> str:
    """A share as per cent; a dash for NaN."""
    return NONE if np.isnan(share) else f"{100.0 * share:.{digits}f} %"


def interval_words(hits: int, tried: int) -> str:
    """Wilson's interval as per cent."""
    low, high = wilson_interval(hits, tried)
    return NONE if tried == 0 else f"{100.0 * low:.1f} to {100.0 * high:.1f} %"


def hits_of(trials: pd.DataFrame) -> int:
    """How many are right and accepted."""
    return int((trials.outcome == RIGHT_ACCEPTED).sum())


def recall_figure(what: str, least: float, trials: pd.DataFrame) -> Figure:
    """Share of registrable trials that are right and accepted."""
    hits, tried = hits_of(trials), len(trials)
    return Figure(
        what=f"right and accepted, {what}",
        asked=f"≥ {100.0 * least:.0f} %",
        measured=percent(hits / tried) if tried else NONE,
        n=tried,
        interval=interval_words(hits, tried),
        met=hits >= least * tried if tried else None,
    )


def wrong_figures(accepted: pd.DataFrame) -> list[Figure]:
    """Wrong among accepted, with the exact one-sided bound; where they are many by their tail."""
    wrong, n = int((~accepted.is_right).sum()), len(accepted)
    met = wrong <= MAX_WRONG * n
    figures = [
        Figure(
            what="wrong among accepted, all kinds of trials",
            asked="≤ 1 in 1,000",
            measured=f"{wrong} of {n}",
            n=n,
            interval=f"≤ {percent(bound_share(wrong, n), 3)} (exact, one-sided)",
            met=met if n >= MIN_FOR_CLAIM or not met else None,
        )
    ]
    tail = None
    if n >= MIN_FOR_TAIL:
        tail = share_beyond(accepted.worst_point_km / accepted.bar_km, 1.0)
    if tail is not None:
        share, most = tail
        figures.append(
            Figure(
                what="wrong among accepted, by the tail of their errors",
                asked="≤ 1 in 1,000",
                measured=percent(share, 3),
                n=n,
                interval=f"≤ {percent(most, 3)} (likelihood, one-sided)",
                met=True if most <= MAX_WRONG else False if share > MAX_WRONG else None,
            )
        )
    return figures


def limit_figure(
    what: str, limit: float, measured: float | None, n: int, digits: int = 2
) -> Figure:
    """A number that must not exceed a limit."""
    value = np.nan if measured is None else measured
    return Figure(
        what=what,
        asked=f"≤ {limit:g}",
        measured=number(measured, digits),
        n=n,
        interval=NONE,
        met=None if np.isnan(value) else bool(value <= limit),
    )


def figures_of(trials: pd.DataFrame) -> list[Figure]:
    """All numbers of a run, in the order in which they are asked for."""
    can = trials[trials.registrable]
    unknown = can[can.focal_told == "unknown"]
    if told_nothing(trials):
        lit = can[can.places >= WELL_LIT]
        recalls = [
            recall_figure(f"≥ {WELL_LIT} lit places", 0.80, lit),
            recall_figure("unknown focal length", 0.40, unknown),
        ]
    else:
        telephoto = can[can.focal_mm >= LONG_LENS_MM]
        recalls = [
            recall_figure("off-nadir ≤ 45°", 0.95, can[can.off_nadir_deg <= STEEP_DEG]),
            recall_figure("off-nadir beyond 45°", 0.85, can[can.off_nadir_deg > STEEP_DEG]),
            recall_figure("clock error ±120 s", 0.90, can[can.clock_class == "120s"]),
            recall_figure("unknown focal length", 0.75, unknown),
            recall_figure(f"focal length ≥ {LONG_LENS_MM:g} mm", 0.65, telephoto),
        ]
    return [
        *recalls,
        *wrong_figures(trials[trials.verdict == "accepted"]),
        *probability_figures(trials),
        *error_figures(trials[trials.outcome == RIGHT_ACCEPTED]),
        *seconds_figures(trials),
    ]


def told_nothing(trials: pd.DataFrame) -> bool:
    """Whether these were registered without time and orbit."""
    return bool(len(trials)) and trials.told.iloc[0] == "nothing"


def probability_figures(trials: pd.DataFrame) -> list[Figure]:
    """Expected calibration error, of proposals and of everything with a probability."""
    found = []
    for what, some in (
        ("proposals", trials[trials.is_proposal]),
        ("all trials with a probability", trials[np.isfinite(trials.probability)]),
    ):
        error = calibration(some.probability, some.is_right).expected_error
        name = f"expected calibration error, {what}"
        found.append(limit_figure(name, 0.02, error, len(some), 4))
    return found


def error_figures(right: pd.DataFrame) -> list[Figure]:
    """Errors and sigmas of what is right and accepted."""
    found = []
    for what, errors in (
        ("error of control points", values(right.point_error_units)),
        ("frames' median error over the visible ground", right.grid_median_units),
    ):
        for name, share, limit in (("median", 0.5, 0.5), ("95th percentile", 0.95, 2.0)):
            words = f"{what}, {name}, in units of max(map pixel, photo pixel)"
            found.append(limit_figure(words, limit, quantile(errors, share), len(errors)))
    z = values([*right.z_east, *right.z_north])
    share = within_one_sigma(z)
    sigma = Figure(
        what="control points of right and accepted within one sigma, per axis",
        asked="68 ± 8 %",
        measured=percent(share),
        n=len(z),
        interval=NONE,  # the points of one frame share its camera: not independent
        met=None if np.isnan(share) else bool(abs(share - 0.68) <= 0.08),
    )
    return [*found, sigma]


def seconds_figures(trials: pd.DataFrame) -> list[Figure]:
    """Seconds a frame on one core."""
    accepted, nothing = trials[trials.verdict == "accepted"], told_nothing(trials)
    found = []
    for name, some, share, limit in (
        ("accepted, median", accepted, 0.5, 3.0 if nothing else 1.5),
        ("median", trials, 0.5, 3.0 if nothing else 2.5),
        ("95th percentile", trials, 0.95, 8.0),
    ):
        words, n = f"CPU seconds a frame, {name}", int(np.isfinite(some.seconds_cpu).sum())
        found.append(limit_figure(words, limit, quantile(some.seconds_cpu, share), n))
    return found


WORST = 10
NO_CODE = "no reason given"
CASE_HEADER = (
    *("seed", "kind", "lit places", "off-nadir", "lens mm", "told", "clock", "TLE days"),
    *("along-track km", "cloud", "verdict", "probability", "right", "error km", "reasons"),
)


def list_missed(trials: pd.DataFrame) -> pd.DataFrame:
    """Registrable trials that were not right and accepted: those with most lit places first."""
    found = trials[trials.registrable & (trials.outcome != RIGHT_ACCEPTED)]
    return found.sort_values("places", ascending=False, kind="stable")


def worst_seeds(trials: pd.DataFrame, most: int = WORST) -> list[int]:
    """Seeds of the worst failures: wrong and accepted first, then the best-lit that were missed."""
    wrong = trials[trials.outcome == WRONG_ACCEPTED]
    ordered = dict.fromkeys([*wrong.seed, *list_missed(trials).seed])
    return [int(seed) for seed in ordered][:most]


def code_of(trial: pd.Series) -> str:
    """The first reason of a trial; the kind of problem where it failed."""
    if trial.problem:
        return str(trial.problem).partition(":")[0]
    return str(trial.reasons).partition(REASON_MARK)[0] or NO_CODE


def case_cells(trial: pd.Series) -> list[str]:
    """One trial of a list of failures."""
    return [
        trial.seed,
        trial.kind or NONE,
        NONE if np.isnan(trial.places) else f"{trial.places:.0f}",
        number(trial.off_nadir_deg, 0),
        number(trial.focal_mm, 0),
        trial.focal_told or NONE,
        trial.clock_class or NONE,
        number(trial.tle_age_days, 1),
        number(trial.along_track_error_km, 0),
        number(max(trial.cloud_opaque, trial.cloud_thin), 2),
        trial.verdict or NONE,
        NONE if np.isnan(trial.probability) else probability_text(trial.probability),
        {"1": "yes", "0": "no"}.get(trial.right, NONE),
        number(trial.worst_point_km, 1),
        (trial.reasons or trial.problem or NONE).replace(REASON_MARK, ", "),
    ]


def wrong_lines(trials: pd.DataFrame) -> list[str]:
    """Every trial that is wrong and accepted."""
    wrong = trials[trials.outcome == WRONG_ACCEPTED]
    rows = [case_cells(trial) for _, trial in wrong.iterrows()]
    return table(CASE_HEADER, rows) if rows else ["None."]


REASON_HEADER = ("reason", "trials", *OUTCOMES[1:])


def reason_lines(trials: pd.DataFrame) -> list[str]:
    """Registrable trials that were missed, counted by their first reason."""
    lost = list_missed(trials)
    if lost.empty:
        return ["None."]
    groups = [(str(code), group) for code, group in lost.groupby(lost.apply(code_of, axis=1))]
    lines = [
        [code, str(len(group)), *outcome_cells(group)[1:]]
        for code, group in sorted(groups, key=lambda item: -len(item[1]))
    ]
    return table(REASON_HEADER, lines, right=len(REASON_HEADER) - 1)


PROBABILITY_EDGES = (0.0, 0.05, 0.5, 0.9, 0.99, 0.999, 1.1)


def page_lines(trials: pd.DataFrame, command: str, picture: str = "") -> list[str]:
    """The whole page as Markdown lines; the picture is a file beside it."""
    sections = (
        ("Numbers", table(NUMBERS_HEADER, [figure.cells() for figure in figures_of(trials)])),
        ("Outcomes by kind of trial", kind_lines(trials)),
        ("Registrable trials by factor", factor_lines(trials[trials.registrable])),
        ("Errors", error_lines(trials)),
        ("Probability", probability_bins(trials)),
        ("Wrong and accepted", wrong_lines(trials)),
        ("Registrable trials that were missed, by reason", reason_lines(trials)),
    )
    heading = "Simulated registrations" + (", nothing told" if told_nothing(trials) else "")
    lines = title_lines(heading, command, "docs/benchmarks.md explains the terms.")
    lines += [f"{len(trials)} trials, {trials.registrable.sum()} of them registrable."]
    if picture:
        lines += ["", f"![Recall by angle, seconds, errors over their sigmas]({picture})"]
    for title, body in sections:
        if body:
            lines += ["", f"## {title}", "", *body]
    return lines


def outcome_cells(trials: pd.DataFrame) -> list[str]:
    """Counts of all outcomes."""
    return [str((trials.outcome == name).sum()) for name in OUTCOMES]


def kind_lines(trials: pd.DataFrame) -> list[str]:
    """Outcomes of every kind of trial; registrable and other cities apart."""
    cities = np.where(trials.registrable, "city, registrable", "city, too few lit places")
    kinds = np.where(trials.kind == "city", cities, trials.kind.replace("", "not drawn"))
    groups = [*trials.groupby(kinds), ("all", trials)]
    cells = [[str(kind), str(len(group)), *outcome_cells(group)] for kind, group in groups]
    return table(("kind", "trials", *OUTCOMES), cells, right=len(OUTCOMES) + 1)


def factor_lines(can: pd.DataFrame) -> list[str]:
    """Outcomes in the bins of every factor, what is right and accepted with intervals."""
    header = ("factor", "", "n", "recall", "95 % interval", *OUTCOMES)
    cells: list[list[str]] = []
    for factor in FACTORS:
        title = factor.title
        for label, group in bins_of(can, factor):
            hits, tried = hits_of(group), len(group)
            recall = [str(tried), percent(hits / tried), interval_words(hits, tried)]
            cells.append([title, label, *recall, *outcome_cells(group)])
            title = ""
    return table(header, cells, right=len(header) - 2) if cells else []


def error_lines(trials: pd.DataFrame) -> list[str]:
    """Errors and sigmas of right proposals, by verdict."""
    header = (
        *("proposals", "n", "control points m: median", "95 %", "units: median", "95 %"),
        *("visible ground m: median", "95 % of the largest", "units", "% of diagonal"),
        *("within one sigma: east", "north"),
    )
    cells = []
    for outcome in (RIGHT_ACCEPTED, RIGHT_REVIEW):
        group = trials[trials.outcome == outcome]
        shown = [outcome, str(len(group))]
        for column, digits in (("point_error_m", 0), ("point_error_units", 2)):
            errors = values(group[column])
            shown += [number(quantile(errors, share), digits) for share in (0.5, 0.95)]
        shown.append(number(quantile(group.grid_median_m, 0.5), 0))
        shown.append(number(quantile(group.grid_max_m, 0.95), 0))
        shown.append(number(quantile(group.grid_median_units, 0.5), 2))
        shown.append(number(quantile(group.grid_median_percent, 0.5), 2))
        shown += [percent(within_one_sigma(values(z))) for z in (group.z_east, group.z_north)]
        cells.append(shown)
    return table(header, cells, right=len(header) - 1)


def probability_bins(trials: pd.DataFrame) -> list[str]:
    """Share right by stated probability, in bins that tell the extremes apart."""
    cells = []
    for low, high in pairwise(PROBABILITY_EDGES):
        inside = trials[(trials.probability >= low) & (trials.probability < high)]
        hits, n = int(inside.is_right.sum()), len(inside)
        words = [f"{low:g} to {min(high, 1.0):g}", str(n), number(inside.probability.mean(), 5)]
        cells.append([*words, str(hits), percent(hits / n) if n else NONE, interval_words(hits, n)])
    header = ("stated probability", "n", "mean", "right", "share right", "95 % interval")
    return table(header, cells, right=5)
