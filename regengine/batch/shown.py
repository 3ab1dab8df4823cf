"""Results of photos that were worked on under another path than the one that was given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from regengine.records import printable
from regengine.result import FrameResult


def shown_as(result: FrameResult, path: Path, shown: str) -> FrameResult:
    """A result that tells of a photo by the name that it was given under.

    Parameters
    ----------
    result : FrameResult
        Of a copy of the photo, or of its absolute path.
    path : Path
        Where the work found it.
    shown : str
        What it was given as.

    Returns
    -------
    FrameResult
        With the given name as its path and in the sentences of its reasons.
    """
    worked_on, given = printable(str(path)), printable(shown)
    reasons = tuple(
        replace(reason, text=reason.text.replace(worked_on, given)) for reason in result.reasons
    )
    return replace(result, path=given, reasons=reasons)
