"""The page on a run of simulated registrations: numbers, tables, and the trials that failed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmarks.pages import NONE, interval, number, percent, table, title_lines
from benchmarks.rows import Row
from benchmarks.trials.attempt import REASON_MARK
from benchmarks.trials.score import quantile
from detectors.types import FloatArray
from regengine.score.labels import bound_share
from regengine.score.scenes import score_calibration

RIGHT_ACCEPTED, RIGHT_REVIEW = "right and accepted", "right but review"
WRONG_ACCEPTED, WRONG_REVIEW = "wrong and accepted", "wrong, review"
NO_MATCH, FAILED = "no match", "failed"
OUTCOMES = (RIGHT_ACCEPTED, RIGHT_REVIEW, WRONG_ACCEPTED, WRONG_REVIEW, NO_MATCH, FAILED)
# By verdict, of what is right and what is not; a proposal that was not scored is wrong
OUTCOME_OF = {
    "accepted": (RIGHT_ACCEPTED, WRONG_ACCEPTED),
    "review": (RIGHT_REVIEW, WRONG_REVIEW),
    "no_match": (NO_MATCH, NO_MATCH),
}
CALIBRATION_BINS = 15  # of equal width, as Guo et al. 2017 count the calibration error


class Factor(NamedTuple):
    """A column and how its values are put into bins."""

    column: str
    title: str
    # Between bins of numbers, the lower edge belonging to its bin; () where each value is a bin.
    edges: tuple[float, ...] = ()


FACTORS = (
    Factor("off_nadir_deg", "off-nadir, °", (15, 30, 45, 55)),
    Factor("focal_mm", "focal length, mm", (35, 70, 135, 250)),
    Factor("focal_told", "focal length told"),
    Factor("clock_error_s", "clock error, s", (2, 30, 120, 600)),
    Factor("tle_age_days", "age of the TLE, days", (1, 3, 5, 7)),
    Factor("cloud_opaque", "opaque cloud", (0.01, 0.2, 0.4, 0.6)),
    Factor("ground_share", "share of ground", (0.4, 0.6, 0.8, 0.999)),
    Factor("hardware_share", "share of hardware", (0.001, 0.1, 0.2, 0.3)),
    Factor("crop_share", "share left by the crop", (0.5, 0.75, 0.999)),
    Factor("resize_px", "long side, px", (640, 1000, 1500, 3000)),
    Factor("jpeg_quality", "JPEG quality", (70, 80, 90)),
    Factor("places", "lit places", (12, 20, 50, 200)),
    Factor("aurora", "aurora"),
    Factor("lightning", "lightning"),
    Factor("reflection", "reflection"),
    Factor("mirrored", "mirrored"),
    Factor("continent", "continent"),
)
TEXTS = ("kind", "verdict", "reasons", "problem", "told", "clock_class", "focal_told")
LISTS = ("point_error_m", "point_error_units", "z_east", "z_north")
NUMBERS = (
    *(factor.column for factor in FACTORS if factor.edges),
    *("probability", "bar_km", "along_track_error_km", "cloud_thin", "seconds_cpu"),
    *("grid_median_m", "grid_max_m", "grid_median_units", "grid_median_percent"),
)


def trials_of(rows: Iterable[Row], half: str) -> pd.DataFrame:
    """Trials of one half, one a seed and ordered by it, each with its outcome.

    Of a seed that comes twice the last row counts. Texts that a row lacks are empty, numbers NaN.
    """
    found = {row["seed"]: row for row in rows if row.get("half") == half}
    trials = pd.DataFrame([found[seed] for seed in sorted(found)])
    every = (*TEXTS, *LISTS, *NUMBERS, *(factor.column for factor in FACTORS))
    every = (*every, "seed", "right", "registrable")
    trials = trials.reindex(columns=list(dict.fromkeys([*trials.columns, *every])))
    trials[list(TEXTS)] = trials[list(TEXTS)].astype(object).fillna("")
    trials[list(NUMBERS)] = trials[list(NUMBERS)].astype(float)
    trials["is_right"], trials["registrable"] = trials.right == True, trials.registrable == True  # noqa: E712
    trials["outcome"] = [
        OUTCOME_OF.get(verdict, (FAILED, FAILED))[not right]
        for verdict, right in zip(trials.verdict, trials.is_right, strict=True)
    ]
    worst_m = [max(values([errors]), default=np.nan) for errors in trials.point_error_m]
    trials["worst_point_km"] = np.array(worst_m, float) / 1000.0
    return trials


def values(cells: Iterable[Any]) -> FloatArray:
    """All numbers of cells that hold lists, one after the other, shape (m,)."""
    return np.concatenate([np.zeros(0), *(cell for cell in cells if isinstance(cell, list))])


def bins_of(trials: pd.DataFrame, factor: Factor) -> list[tuple[str, pd.DataFrame]]:
    """Trials by a factor's bins, empty ones left out; the sign of numbers does not matter."""
    column = trials[factor.column]
    if not factor.edges:
        known = column[column.notna() & (column != "")]
        words = known.map(lambda value: {True: "yes", False: "no"}.get(value, value))
        return [(str(n), trials.loc[rows]) for n, rows in words.groupby(words).groups.items()]
    ends = [-np.inf, *factor.edges, np.inf]
    names = [f"{low:g} to {high:g}" for low, high in pairwise(ends)]
    names[0], names[-1] = f"< {ends[1]:g}", f"≥ {ends[-2]:g}"
    bins = pd.cut(column.abs(), ends, right=False, labels=names)
    return [(str(name), group) for name, group in trials.groupby(bins, observed=True)]


def calibration_error(probability: ArrayLike, right: ArrayLike) -> float:
    """Expected calibration error over 15 bins; NaN of nothing.

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
    networks. ICML.
    """
    p = np.asarray(probability, float)
    if not len(p):
        return float("nan")
    return score_calibration(p, np.asarray(right, bool), bins=CALIBRATION_BINS).expected_error


MIN_TO_TELL = 30  # below, a number says nothing on whether it is met
MIN_FOR_CLAIM = 3000  # accepted cases without a wrong one bound their share at 1 in 1,000
STEEP_DEG, WELL_LIT, LONG_LENS_MM = 45.0, 15, 250.0
MAX_WRONG = 1e-3
NUMBERS_HEADER = ("number", "asked for", "measured", "n", "95 % interval", "")


class Figure(NamedTuple):
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
        met = self.met if self.n >= MIN_TO_TELL else None
        words = {True: "met", False: "**falls short**", None: "too few to tell"}
        return [self.what, self.asked, self.measured, str(self.n), self.interval, words[met]]


def interval_words(hits: int, tried: int) -> str:
    low, high = interval(hits, tried)
    return NONE if tried == 0 else f"{100.0 * low:.1f} to {100.0 * high:.1f} %"


def hits_of(trials: pd.DataFrame) -> int:
    return int((trials.outcome == RIGHT_ACCEPTED).sum())


def told_nothing(trials: pd.DataFrame) -> bool:
    return bool(len(trials)) and trials.told.iloc[0] == "nothing"


def figures_of(trials: pd.DataFrame) -> list[Figure]:
    """All numbers of a run, in the order in which they are asked for."""
    nothing = told_nothing(trials)
    can, accepted = trials[trials.registrable], trials[trials.verdict == "accepted"]
    right = trials[trials.outcome == RIGHT_ACCEPTED]
    unknown = can[can.focal_told == "unknown"]
    recalls = (
        [
            (f"≥ {WELL_LIT} lit places", 0.80, can[can.places >= WELL_LIT]),
            ("unknown focal length", 0.40, unknown),
        ]
        if nothing
        else [
            ("off-nadir ≤ 45°", 0.95, can[can.off_nadir_deg <= STEEP_DEG]),
            ("off-nadir beyond 45°", 0.85, can[can.off_nadir_deg > STEEP_DEG]),
            ("clock error ±120 s", 0.90, can[can.clock_class == "120s"]),
            ("unknown focal length", 0.75, unknown),
            (f"focal length ≥ {LONG_LENS_MM:g} mm", 0.65, can[can.focal_mm >= LONG_LENS_MM]),
        ]
    )
    stated = {
        "proposals": trials[trials.verdict.isin(("accepted", "review"))],
        "all trials with a probability": trials[np.isfinite(trials.probability)],
    }
    point, ground = values(right.point_error_units), right.grid_median_units
    units = "in units of max(map pixel, photo pixel)"
    limits = [
        (f"{what}, {name}, {units}", 0.5 if share == 0.5 else 2.0, errors, share)
        for what, errors in (
            ("error of control points", point),
            ("frames' median error over the visible ground", ground),
        )
        for name, share in (("median", 0.5), ("95th percentile", 0.95))
    ]
    seconds = [
        ("accepted, median", 3.0 if nothing else 1.5, accepted.seconds_cpu, 0.5),
        ("median", 3.0 if nothing else 2.5, trials.seconds_cpu, 0.5),
        ("95th percentile", 8.0, trials.seconds_cpu, 0.95),
    ]
    return [
        *(recall_figure(*one) for one in recalls),
        wrong_figure(accepted),
        *(
            limit_figure(
                f"expected calibration error, {what}", 0.02,
                calibration_error(some.probability, some.is_right), len(some), 4,
            )
            for what, some in stated.items()
        ),
        *(limit_figure(what, most, quantile(e, share), len(e)) for what, most, e, share in limits),
        sigma_figure(values([*right.z_east, *right.z_north])),
        *(
            limit_figure(
                f"CPU seconds a frame, {what}", most, quantile(some, share),
                int(np.isfinite(some).sum()),
            )
            for what, most, some, share in seconds
        ),
    ]  # fmt: skip


def recall_figure(what: str, least: float, trials: pd.DataFrame) -> Figure:
    """Share of registrable trials that are right and accepted."""
    hits, tried = hits_of(trials), len(trials)
    return Figure(
        f"right and accepted, {what}", f"≥ {100.0 * least:.0f} %",
        percent(hits / tried) if tried else NONE, tried, interval_words(hits, tried),
        hits >= least * tried if tried else None,
    )  # fmt: skip


def wrong_figure(accepted: pd.DataFrame) -> Figure:
    """Wrong among accepted, with the exact one-sided bound."""
    wrong, n = int((~accepted.is_right).sum()), len(accepted)
    met = wrong <= MAX_WRONG * n
    bound = f"≤ {percent(bound_share(wrong, n), 3)} (exact, one-sided)"
    return Figure(
        "wrong among accepted, all kinds of trials", "≤ 1 in 1,000", f"{wrong} of {n}", n, bound,
        met if n >= MIN_FOR_CLAIM or not met else None,
    )  # fmt: skip


def limit_figure(
    what: str, limit: float, measured: float | None, n: int, digits: int = 2
) -> Figure:
    known = measured is not None and not np.isnan(measured)
    met = bool(measured <= limit) if known and measured is not None else None
    return Figure(what, f"≤ {limit:g}", number(measured, digits), n, NONE, met)


def within_one_sigma(z: ArrayLike) -> float:
    """Share of errors, in units of their sigma, of at most one; NaN for none."""
    size = np.abs(np.asarray(z, float))
    return float((size <= 1.0).mean()) if len(size) else float("nan")


def sigma_figure(z: FloatArray) -> Figure:
    """How true sigmas are; without an interval: the points of a frame share its camera."""
    share = within_one_sigma(z)
    return Figure(
        "control points of right and accepted within one sigma, per axis", "68 ± 8 %",
        percent(share), len(z), NONE, None if np.isnan(share) else bool(abs(share - 0.68) <= 0.08),
    )  # fmt: skip


NO_CODE = "no reason given"


def reason_lines(trials: pd.DataFrame) -> list[str]:
    """Registrable trials that were not right and accepted, by first reason, or what failed."""
    lost = trials[trials.registrable & (trials.outcome != RIGHT_ACCEPTED)]
    if lost.empty:
        return ["None."]
    reasons = lost.reasons.str.partition(REASON_MARK)[0].replace("", NO_CODE)
    reasons = reasons.mask(lost.problem != "", lost.problem.str.partition(":")[0])
    groups = sorted(lost.groupby(reasons), key=lambda item: -len(item[1]))
    rows = [[str(code), str(len(group)), *outcome_cells(group)[1:]] for code, group in groups]
    return table(("reason", "trials", *OUTCOMES[1:]), rows, right=len(OUTCOMES))


def outcome_cells(trials: pd.DataFrame) -> list[str]:
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
        some = trials[trials.outcome == outcome]
        points_m, points = values(some.point_error_m), values(some.point_error_units)
        shown = [
            *((points_m, share, 0) for share in (0.5, 0.95)),
            *((points, share, 2) for share in (0.5, 0.95)),
            (some.grid_median_m, 0.5, 0),
            (some.grid_max_m, 0.95, 0),
            (some.grid_median_units, 0.5, 2),
            (some.grid_median_percent, 0.5, 2),
        ]
        numbers = [number(quantile(errors, share), digits) for errors, share, digits in shown]
        sigmas = [percent(within_one_sigma(values(z))) for z in (some.z_east, some.z_north)]
        cells.append([outcome, str(len(some)), *numbers, *sigmas])
    return table(header, cells, right=len(header) - 1)


def page_lines(trials: pd.DataFrame) -> list[str]:
    """The whole page as Markdown lines."""
    wrong = list(map(str, trials.seed[trials.outcome == WRONG_ACCEPTED]))
    sections = (
        ("Numbers", table(NUMBERS_HEADER, [figure.cells() for figure in figures_of(trials)])),
        ("Outcomes by kind of trial", kind_lines(trials)),
        ("Registrable trials by factor", factor_lines(trials[trials.registrable])),
        ("Errors", error_lines(trials)),
        ("Wrong and accepted", [f"Seeds: {', '.join(wrong) or 'none'}."]),
        ("Registrable trials that were missed, by reason", reason_lines(trials)),
    )
    heading = "Simulated registrations" + (", nothing told" if told_nothing(trials) else "")
    lines = title_lines(heading, "docs/benchmarks.md explains the terms.")
    lines += [f"{len(trials)} trials, {trials.registrable.sum()} of them registrable."]
    for title, body in sections:
        if body:
            lines += ["", f"## {title}", "", *body]
    return lines
