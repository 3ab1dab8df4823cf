"""The page on a run of simulated registrations: numbers, tables, and the trials that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.pages import NONE, number, table, title_lines
from benchmarks.row_tables import Row, flags, number_of, numbers, values
from benchmarks.trials.attempt import REASON_MARK
from benchmarks.trials.outcomes import (
    FACTORS,
    OUTCOMES,
    RIGHT_ACCEPTED,
    RIGHT_REVIEW,
    WRONG_ACCEPTED,
    bins_of,
    calibration,
    having,
    outcome_of,
    proposals,
    quantile,
    registrable,
    share_beyond,
    wilson_interval,
    with_verdict,
    within_one_sigma,
)
from regengine.evaluate.tables import most_share
from regengine.records import probability_text

LEAST_TO_TELL = 30  # below, a number says nothing on whether it is met
LEAST_FOR_TAIL = 300  # accepted cases: thirty of them are their tail
LEAST_FOR_CLAIM = 3000  # accepted cases without a wrong one bound their share at 1 in 1,000
STEEP_DEG = 45.0
WELL_LIT = 15
LONG_LENS_MM = 250.0
MOST_WRONG = 1e-3


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
        met = self.met if self.n >= LEAST_TO_TELL else None
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


def recall_figure(what: str, least: float, rows: Sequence[Row]) -> Figure:
    """Share of registrable trials that are right and accepted."""
    hits = len(having(rows, RIGHT_ACCEPTED))
    return Figure(
        what=f"right and accepted, {what}",
        asked=f"≥ {100.0 * least:.0f} %",
        measured=percent(hits / len(rows)) if rows else NONE,
        n=len(rows),
        interval=interval_words(hits, len(rows)),
        met=hits >= least * len(rows) if rows else None,
    )


def wrong_figure(rows: Sequence[Row]) -> Figure:
    """Wrong among accepted, with the exact one-sided bound."""
    accepted = with_verdict(rows, "accepted")
    wrong = int((~flags(accepted, "right")).sum())
    bound = most_share(wrong, len(accepted))
    enough = len(accepted) >= LEAST_FOR_CLAIM
    met: bool | None = wrong <= MOST_WRONG * len(accepted)
    return Figure(
        what="wrong among accepted, all kinds of trials",
        asked="≤ 1 in 1,000",
        measured=f"{wrong} of {len(accepted)}",
        n=len(accepted),
        interval=f"≤ {percent(bound, 3)} (exact, one-sided)",
        met=met if enough or not met else None,
    )


def tail_figures(rows: Sequence[Row]) -> list[Figure]:
    """What the errors of accepted trials say of wrong ones; nothing where they are too few."""
    accepted = with_verdict(rows, "accepted")
    if len(accepted) < LEAST_FOR_TAIL:
        return []
    worst_km = np.array([worst_point_km(row) for row in accepted])
    found = share_beyond(worst_km / numbers(accepted, "bar_km"), 1.0)
    if found is None:
        return []
    share, most = found
    return [
        Figure(
            what="wrong among accepted, by the tail of their errors",
            asked="≤ 1 in 1,000",
            measured=percent(share, 3),
            n=len(accepted),
            interval=f"≤ {percent(most, 3)} (likelihood, one-sided)",
            met=True if most <= MOST_WRONG else False if share > MOST_WRONG else None,
        )
    ]


def limit_figure(
    what: str, limit: float, measured: float | None, n: int, digits: int = 2
) -> Figure:
    """A number that must not exceed a limit."""
    known = measured is not None and not np.isnan(measured)
    return Figure(
        what=what,
        asked=f"≤ {limit:g}",
        measured=number(measured, digits),
        n=n,
        interval=NONE,
        met=bool(measured <= limit) if known and measured is not None else None,
    )


def sigma_figure(rows: Sequence[Row]) -> Figure:
    """Share of the control points' errors within one sigma per axis."""
    z = np.concatenate([values(rows, "z_east"), values(rows, "z_north")])
    share = within_one_sigma(z)
    return Figure(
        what="control points of right and accepted within one sigma, per axis",
        asked="68 ± 8 %",
        measured=percent(share),
        n=len(z),
        interval=NONE,  # the points of one frame share its camera: not independent
        met=None if np.isnan(share) else bool(abs(share - 0.68) <= 0.08),
    )


def figures_of(rows: Sequence[Row]) -> list[Figure]:
    """All numbers of a run, in the order in which they are asked for."""
    can = registrable(rows)
    slant = numbers(can, "off_nadir_deg")

    def some(test: Callable[[Row], bool]) -> list[Row]:
        return [row for row in can if test(row)]

    steep = [row for row, deg in zip(can, slant, strict=True) if deg <= STEEP_DEG]
    oblique = [row for row, deg in zip(can, slant, strict=True) if deg > STEEP_DEG]
    unknown = some(lambda r: r["focal_told"] == "unknown")
    if told_nothing(rows):
        lit = some(lambda r: number_of(r["places"]) >= WELL_LIT)
        recalls = [
            recall_figure(f"≥ {WELL_LIT} lit places", 0.80, lit),
            recall_figure("unknown focal length", 0.40, unknown),
        ]
    else:
        telephoto = some(lambda r: number_of(r["focal_mm"]) >= LONG_LENS_MM)
        recalls = [
            recall_figure("off-nadir ≤ 45°", 0.95, steep),
            recall_figure("off-nadir beyond 45°", 0.85, oblique),
            recall_figure("clock error ±120 s", 0.90, some(lambda r: r["clock_class"] == "120s")),
            recall_figure("unknown focal length", 0.75, unknown),
            recall_figure(f"focal length ≥ {LONG_LENS_MM:g} mm", 0.65, telephoto),
        ]
    return [
        *recalls,
        wrong_figure(rows),
        *tail_figures(rows),
        *probability_figures(rows),
        *error_figures(having(rows, RIGHT_ACCEPTED)),
        *seconds_figures(rows),
    ]


def told_nothing(rows: Sequence[Row]) -> bool:
    """Whether these were registered without time and orbit."""
    return bool(rows) and rows[0].get("told") == "nothing"


def stated(rows: Sequence[Row]) -> list[Row]:
    """The rows with a probability."""
    known = np.isfinite(numbers(rows, "probability"))
    return [row for row, has in zip(rows, known, strict=True) if has]


def probability_figures(rows: Sequence[Row]) -> list[Figure]:
    """Expected calibration error, of proposals and of everything with a probability."""
    found = []
    for what, some in (
        ("proposals", proposals(rows)),
        ("all trials with a probability", stated(rows)),
    ):
        error = calibration(numbers(some, "probability"), flags(some, "right")).expected_error
        name = f"expected calibration error, {what}"
        found.append(limit_figure(name, 0.02, error, len(some), 4))
    return found


def error_figures(right: Sequence[Row]) -> list[Figure]:
    """Errors and sigmas of what is right and accepted."""
    points = values(right, "point_error_units")
    grid = numbers(right, "grid_median_units")
    found = []
    for what, errors in (
        ("error of control points", points),
        ("frames' median error over the visible ground", grid),
    ):
        for name, share, limit in (("median", 0.5, 0.5), ("95th percentile", 0.95, 2.0)):
            words = f"{what}, {name}, in units of max(map pixel, photo pixel)"
            found.append(limit_figure(words, limit, quantile(errors, share), len(errors)))
    return [*found, sigma_figure(right)]


def seconds_figures(rows: Sequence[Row]) -> list[Figure]:
    """Seconds a frame on one core."""
    accepted, nothing = with_verdict(rows, "accepted"), told_nothing(rows)
    found = []
    for name, some, share, limit in (
        ("accepted, median", accepted, 0.5, 3.0 if nothing else 1.5),
        ("median", rows, 0.5, 3.0 if nothing else 2.5),
        ("95th percentile", rows, 0.95, 8.0),
    ):
        seconds = numbers(some, "seconds_cpu")
        words, n = f"CPU seconds a frame, {name}", int(np.isfinite(seconds).sum())
        found.append(limit_figure(words, limit, quantile(seconds, share), n))
    return found


WORST = 10
NO_CODE = "no reason given"
CASE_HEADER = (
    *("seed", "kind", "lit places", "off-nadir", "lens mm", "told", "clock", "TLE days"),
    *("along-track km", "cloud", "verdict", "probability", "right", "error km", "reasons"),
)


def missed(rows: Sequence[Row]) -> list[Row]:
    """Registrable trials that were not right and accepted: those with most lit places first."""
    found = [row for row in registrable(rows) if outcome_of(row) != RIGHT_ACCEPTED]
    return sorted(found, key=lambda row: (-number_of(row.get("places")), int(row["seed"])))


def worst_seeds(rows: Sequence[Row], most: int = WORST) -> list[int]:
    """Seeds of the worst failures: wrong and accepted first, then the best-lit that were missed."""
    wrong = having(rows, WRONG_ACCEPTED)
    ordered = [*wrong, *(row for row in missed(rows) if row not in wrong)]
    return [int(row["seed"]) for row in ordered[:most]]


def code_of(row: Row) -> str:
    """The first reason of a row; the kind of problem where it failed."""
    if row.get("problem"):
        return row["problem"].partition(":")[0]
    return (row.get("reasons") or "").partition(REASON_MARK)[0] or NO_CODE


def worst_point_km(row: Row) -> float:
    """Error of a trial's worst control point; NaN where it has none."""
    errors_m = values([row], "point_error_m")
    return float(errors_m.max()) / 1000.0 if len(errors_m) else float("nan")


def case_cells(row: Row) -> list[str]:
    """One trial of a list of failures."""
    p, kind = number_of(row.get("probability")), row.get("kind") or NONE
    cloud = max(number_of(row.get("cloud_opaque")), number_of(row.get("cloud_thin")))
    return [
        row["seed"],
        kind,
        row.get("places") or NONE,
        number(number_of(row.get("off_nadir_deg")), 0),
        number(number_of(row.get("focal_mm")), 0),
        row.get("focal_told") or NONE,
        row.get("clock_class") or NONE,
        number(number_of(row.get("tle_age_days")), 1),
        number(number_of(row.get("along_track_error_km")), 0),
        number(cloud, 2),
        row.get("verdict") or NONE,
        NONE if p != p else probability_text(p),
        {"1": "yes", "0": "no"}.get(row.get("right") or "", NONE),
        number(worst_point_km(row), 1),
        (row.get("reasons") or row.get("problem") or NONE).replace(REASON_MARK, ", "),
    ]


def wrong_lines(rows: Sequence[Row]) -> list[str]:
    """Every trial that is wrong and accepted."""
    wrong = having(rows, WRONG_ACCEPTED)
    if not wrong:
        return ["None."]
    return table(CASE_HEADER, [case_cells(row) for row in wrong])


REASON_HEADER = ("reason", "trials", *OUTCOMES[1:])


def reason_lines(rows: Sequence[Row]) -> list[str]:
    """Registrable trials that were missed, counted by their first reason."""
    groups: dict[str, list[Row]] = {}
    for row in missed(rows):
        groups.setdefault(code_of(row), []).append(row)
    lines = [
        [code, str(len(group)), *outcome_cells(group)[1:]]
        for code, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    return table(REASON_HEADER, lines, right=len(REASON_HEADER) - 1) if lines else ["None."]


PROBABILITY_EDGES = (0.0, 0.05, 0.5, 0.9, 0.99, 0.999, 1.1)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page is made from."""

    rows: Sequence[Row]  # trials of one half, ordered by seed
    command: str  # what was run
    picture: str = ""  # file beside the page; "" where none is kept


def in_order(rows: Iterable[Row], half: str) -> list[Row]:
    """The rows of one half, one a seed, ordered by seed."""
    found = {int(row["seed"]): row for row in rows if row.get("half") == half}
    return [found[seed] for seed in sorted(found)]


def page_lines(page: Page) -> list[str]:
    """The whole page as Markdown lines."""
    rows = page.rows
    asked = figures_of(rows)
    sections = (
        ("Numbers", table(NUMBERS_HEADER, [figure.cells() for figure in asked])),
        ("Outcomes by kind of trial", kind_lines(rows)),
        ("Registrable trials by factor", factor_lines(page)),
        ("Errors", error_lines(rows)),
        ("Probability", probability_bins(rows)),
        ("Wrong and accepted", wrong_lines(rows)),
        ("Registrable trials that were missed, by reason", reason_lines(rows)),
    )
    heading = "Simulated registrations" + (", nothing told" if told_nothing(rows) else "")
    lines = title_lines(heading, page.command, "docs/benchmarks.md explains the terms.")
    lines += [f"{len(rows)} trials, {len(registrable(rows))} of them registrable."]
    if page.picture:
        lines += ["", f"![Recall by angle, seconds, errors over their sigmas]({page.picture})"]
    for title, body in sections:
        if body:
            lines += ["", f"## {title}", "", *body]
    return lines


def outcome_cells(rows: Sequence[Row]) -> list[str]:
    """Counts of all outcomes."""
    kinds = [outcome_of(row) for row in rows]
    return [str(kinds.count(name)) for name in OUTCOMES]


def kind_lines(rows: Sequence[Row]) -> list[str]:
    """Outcomes of every kind of trial; registrable and other cities apart."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        kind = row.get("kind") or "not drawn"
        if kind == "city":
            many = row.get("registrable") == "1"
            kind = "city, registrable" if many else "city, too few lit places"
        groups.setdefault(kind, []).append(row)
    cells = [
        [kind, str(len(group)), *outcome_cells(group)] for kind, group in sorted(groups.items())
    ]
    cells.append(["all", str(len(rows)), *outcome_cells(rows)])
    return table(("kind", "trials", *OUTCOMES), cells, right=len(OUTCOMES) + 1)


def factor_lines(page: Page) -> list[str]:
    """Outcomes in the bins of every factor, what is right and accepted with intervals."""
    rows = registrable(page.rows)
    header = ("factor", "", "n", "recall", "95 % interval", *OUTCOMES)
    cells: list[list[str]] = []
    for factor in FACTORS:
        title = factor.title
        for label, group in bins_of(rows, factor):
            cells.append([title, label, *recall_cells(group), *outcome_cells(group)])
            title = ""
    return table(header, cells, right=len(header) - 2) if cells else []


def recall_cells(group: Sequence[Row]) -> list[str]:
    """Number of trials, share right and accepted, its interval."""
    hits = len(having(group, RIGHT_ACCEPTED))
    return [str(len(group)), percent(hits / len(group)), interval_words(hits, len(group))]


def error_lines(rows: Sequence[Row]) -> list[str]:
    """Errors and sigmas of right proposals, by verdict."""
    header = (
        *("proposals", "n", "control points m: median", "95 %", "units: median", "95 %"),
        *("visible ground m: median", "95 % of the largest", "units", "% of diagonal"),
        *("within one sigma: east", "north"),
    )
    cells = []
    for outcome in (RIGHT_ACCEPTED, RIGHT_REVIEW):
        group = having(rows, outcome)
        shown = [outcome, str(len(group))]
        for column, digits in (("point_error_m", 0), ("point_error_units", 2)):
            errors = values(group, column)
            shown += [number(quantile(errors, share), digits) for share in (0.5, 0.95)]
        shown.append(number(quantile(numbers(group, "grid_median_m"), 0.5), 0))
        shown.append(number(quantile(numbers(group, "grid_max_m"), 0.95), 0))
        shown.append(number(quantile(numbers(group, "grid_median_units"), 0.5), 2))
        shown.append(number(quantile(numbers(group, "grid_median_percent"), 0.5), 2))
        shown += [percent(within_one_sigma(values(group, name))) for name in ("z_east", "z_north")]
        cells.append(shown)
    return table(header, cells, right=len(header) - 1)


def probability_bins(rows: Sequence[Row]) -> list[str]:
    """Share right by stated probability, in bins that tell the extremes apart."""
    some = stated(rows)
    p = numbers(some, "probability")
    cells = []
    for low, high in pairwise(PROBABILITY_EDGES):
        inside = [row for row, value in zip(some, p, strict=True) if low <= value < high]
        hits = int(flags(inside, "right").sum())
        share = percent(hits / len(inside)) if inside else NONE
        mean = float(numbers(inside, "probability").mean()) if inside else None
        words = [f"{low:g} to {min(high, 1.0):g}", str(len(inside)), number(mean, 5)]
        cells.append([*words, str(hits), share, interval_words(hits, len(inside))])
    header = ("stated probability", "n", "mean", "right", "share right", "95 % interval")
    return table(header, cells, right=5)
