"""The numbers that a run is judged by, each with what was asked for, n and an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.pages import NONE, number
from benchmarks.row_tables import Row, flags, numbers, values
from benchmarks.trials.outcomes import (
    RIGHT_ACCEPTED,
    having,
    proposals,
    registrable,
    with_verdict,
)
from benchmarks.trials.stats import (
    calibration,
    quantile,
    upper_bound,
    wilson_interval,
    within_one_sigma,
)

LEAST_TO_TELL = 30  # below, a number says nothing on whether it is met
LEAST_FOR_CLAIM = 3000  # accepted cases without a wrong one bound their share at 1 in 1,000
STEEP_DEG = 45.0
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
        said = {True: "met", False: "**falls short**", None: "too few to tell"}[met]
        return [self.what, self.asked, self.measured, str(self.n), self.interval, said]


HEADER = ("number", "asked for", "measured", "n", "95 % interval", "")


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
    bound = upper_bound(wrong, len(accepted))
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
    return [
        recall_figure("off-nadir ≤ 45°", 0.95, steep),
        recall_figure("off-nadir beyond 45°", 0.85, oblique),
        recall_figure("clock error ±120 s", 0.90, some(lambda r: r["clock_class"] == "120s")),
        recall_figure("unknown focal length", 0.75, some(lambda r: r["focal_told"] == "unknown")),
        wrong_figure(rows),
        *probability_figures(rows),
        *error_figures(having(rows, RIGHT_ACCEPTED)),
        *seconds_figures(rows),
    ]


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
    seconds = numbers(rows, "seconds_cpu")
    seconds = seconds[np.isfinite(seconds)]
    return [
        limit_figure(
            f"CPU seconds a frame, {name}",
            limit,
            quantile(seconds, share),
            len(seconds),
        )
        for name, share, limit in (("median", 0.5, 3.0), ("95th percentile", 0.95, 15.0))
    ]
