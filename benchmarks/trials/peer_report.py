"""Recall of the peers beside our own, bin by bin, on the trials that they were asked about."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.registration_report import NONE, number, table
from benchmarks.trials.headline import Figure, percent
from benchmarks.trials.outcomes import (
    RIGHT_ACCEPTED,
    RIGHT_REVIEW,
    bins_of,
    having,
)
from benchmarks.trials.peer_runs import PEERS, STRATA
from benchmarks.trials.stats import quantile
from benchmarks.trials.table import Row, flags, number_of, numbers

OBLIQUE_DEG, TIMES_OBLIQUE = 40.0, 3.0
OWN = "own"


def joined(rows: Sequence[Row], peers: Sequence[Row]) -> list[Row]:
    """Rows of the trials that the peers were asked about, their answers added."""
    answers = {row["seed"]: row for row in peers}
    return [{**answers[row["seed"]], **row} for row in rows if row["seed"] in answers]


def recalls(rows: Sequence[Row]) -> dict[str, float]:
    """Share right of each peer, and of ours right and accepted (`OWN`)."""
    shares = {name: float(flags(rows, f"{name}_right").mean()) for name in PEERS}
    return {OWN: len(having(rows, RIGHT_ACCEPTED)) / len(rows), **shares}


def peer_lines(rows: Sequence[Row], peers: Sequence[Row]) -> list[str]:
    """A table of recall by bins of off-nadir angle and focal length.

    Parameters
    ----------
    rows, peers : sequence of Row
        All trials, and the peers' answers.

    Returns
    -------
    list of str
    """
    asked = joined(rows, peers)
    if not asked:
        return []
    header = (
        *("bin", "n", "ours: right and accepted", "right, accepted or review"),
        *PEERS.values(),
        "ours over the best of them",
    )
    groups = [("all", asked)]
    for factor in STRATA:
        groups += [(f"{factor.title} {label}", group) for label, group in bins_of(asked, factor)]
    cells = [[label, str(len(group)), *group_cells(group)] for label, group in groups]
    median_s = ", ".join(
        f"{title} {number(quantile(numbers(asked, f'{name}_seconds'), 0.5), 1)} s"
        for name, title in PEERS.items()
    )
    return [*table(header, cells, right=len(header) - 1), "", f"Median wall time: {median_s}."]


def peer_figures(rows: Sequence[Row], peers: Sequence[Row]) -> list[Figure]:
    """The numbers that are asked for beside the peers; none without their answers."""
    asked = joined(rows, peers)
    if not asked:
        return []
    shares = [recalls(group) for factor in STRATA for _, group in bins_of(asked, factor)]
    above = sum(share[OWN] > max(share[name] for name in PEERS) for share in shares)
    bins = Figure(
        what="bins of off-nadir angle and focal length in which recall is above the best peer's",
        asked=f"{len(shares)}",
        measured=f"{above}",
        n=len(asked),
        interval=NONE,
        met=above == len(shares),
    )
    oblique = [row for row in asked if number_of(row["off_nadir_deg"]) >= OBLIQUE_DEG]
    return [bins, oblique_figure(oblique)]


def oblique_figure(oblique: Sequence[Row]) -> Figure:
    """Our recall over the best peer's at large off-nadir angles."""
    own, best = 0.0, 0.0
    if oblique:
        shares = recalls(oblique)
        own, best = shares[OWN], max(shares[name] for name in PEERS)
    return Figure(
        what=f"recall over the best peer's, off-nadir beyond {OBLIQUE_DEG:g}°",
        asked=f"≥ {TIMES_OBLIQUE:g} ×",
        measured=ratio_words(own, best),
        n=len(oblique),
        interval=NONE,
        met=own > 0.0 and own >= TIMES_OBLIQUE * best,
    )


def ratio_words(own: float, best: float) -> str:
    """How many times a recall is another; a dash for none of both."""
    return f"{number(own / best, 1)} ×" if best else "∞ ×" if own else NONE


def group_cells(group: Sequence[Row]) -> list[str]:
    """One bin: our recall, also with what a person would still have to look at, and theirs."""
    shares = recalls(group)
    best = max(shares[name] for name in PEERS)
    with_review = shares[OWN] + len(having(group, RIGHT_REVIEW)) / len(group)
    return [
        *(percent(share) for share in (shares[OWN], with_review)),
        *(percent(shares[name]) for name in PEERS),
        ratio_words(shares[OWN], best),
    ]
