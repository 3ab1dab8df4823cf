"""The page on real photographs: the aim first, then every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.reference_cameras import read_reference_cameras
from benchmarks.registration_categories import category_lines
from benchmarks.registration_compare import CHANGED_HEADER, TWIN_HEADER, changed_rows, twin_rows
from benchmarks.registration_headline import headline
from benchmarks.registration_report import (
    CHECK_HEADER,
    RESULT_HEADER,
    check_row,
    peer_table,
    result_row,
    table,
)
from benchmarks.registration_run import Outcome
from benchmarks.registration_summary import summary_lines


def page_lines(
    outcomes: Sequence[Outcome],
    others: Sequence[Outcome] | None = None,
    overlays: Path | None = None,
) -> list[str]:
    """All tables, as Markdown lines.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of the city photos, told and shown in all ways.
    others : sequence of Outcome, optional
        Of the photos of other categories and of what was tried again; None where they were not
        asked for.
    overlays : Path, optional
        Folder of pictures, if there is one.

    Returns
    -------
    list of str
    """
    references = read_reference_cameras().values()
    checked = [o for o in outcomes if o.case.plain and o.points_score is not None]
    peers = peer_table(outcomes)
    twins, changed = twin_rows(outcomes), changed_rows(outcomes)
    lines = ["## The frames that must be placed", ""]
    lines += headline(references, outcomes, others or ())
    lines += ["", "## In short", "", *summary_lines(outcomes), "", "## Photographs", ""]
    lines += table(RESULT_HEADER, [result_row(o) for o in outcomes if not o.case.variant])
    if others is not None:
        lines += ["", "## All categories", "", *category_lines(outcomes, others, overlays)]
    if checked:
        lines += ["", "## The older reference points", ""]
        lines += table(CHECK_HEADER, [check_row(o) for o in checked], right=13)
    if peers:
        lines += ["", "## What else could be tried", "", *peers]
    if twins:
        lines += ["", "## Copies of the same frame", "", *table(TWIN_HEADER, twins)]
    if changed:
        lines += ["", "## The same photo, told or shown otherwise", ""]
        lines += table(CHANGED_HEADER, changed)
    return lines
