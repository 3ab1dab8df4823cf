"""Figures of a review as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regengine.records import printable


def stats_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures of `regengine.review.stats.review_stats`, without the long lists.

    Yields
    ------
    str
        One line each.
    """
    decisions, work = figures["decisions"], figures["work"]
    yield (
        f"{printable(figures['store'])}: {figures['decided']:,} of {figures['frames']:,} frames "
        f"decided: {decisions['accepted']:,} accepted, {decisions['rejected']:,} rejected, "
        f"{decisions['unsure']:,} unsure"
    )
    yield (
        f"accepted as proposed {work['as_proposed']:,}, put right {work['put_right']:,}, placed "
        f"from nothing {work['from_nothing']:,}; {work['with_comment']:,} with a comment"
    )
    yield f"{figures['disputed']:,} disputed, {figures['stale']:,} judged before the last run"
    if figures["by_verdict"]:
        yield ""
        yield f"{'verdict':<10} {'frames':>8} {'accepted':>9} {'rejected':>9} {'unsure':>7}"
    for verdict, row in figures["by_verdict"].items():
        counts = f"{row['accepted']:>9,} {row['rejected']:>9,} {row['unsure']:>7,}"
        yield f"{verdict:<10} {row['frames']:>8,} {counts}"
    if figures["reviewers"]:
        yield ""
        yield f"{'reviewer':<24} {'frames':>8} {'seconds a frame':>16} {'last decision':>21}"
    for row in figures["reviewers"]:
        seconds = "" if row["median_seconds"] is None else f"{row['median_seconds']:.1f}"
        yield f"{row['reviewer']:<24} {row['frames']:>8,} {seconds:>16} {row['last_utc']:>21}"
    if figures["agreement"]["compared"]:
        yield ""
    for row in figures["agreement"]["pairs"]:
        beyond = "" if row["kappa"] is None else f", kappa {row['kappa']:.2f}"
        apart = "" if row["apart_px"] is None else f", {row['apart_px']:.1f} px apart"
        same = f"{row['same']:,} of {row['compared']:,} the same"
        yield f"{' and '.join(row['reviewers'])}: {same}{beyond}{apart}"
