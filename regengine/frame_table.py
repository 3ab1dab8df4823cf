"""The table that `register` and `show` print: one line a frame."""

from __future__ import annotations

from regengine.result import FrameResult
from regengine.words import centre_text, probability_text

WIDTHS = (24, 9, 11, 18, 9, 6, 6, 7)
TITLES = ("frame", "verdict", "probability", "centre", "off-nadir", "lights", "margin", "seconds")


def table_header() -> str:
    """Titles of the columns."""
    return _line(TITLES, "reason")


def table_line(result: FrameResult) -> str:
    """One frame.

    Parameters
    ----------
    result : FrameResult
        What is said of it.

    Returns
    -------
    str
        Frame, verdict, probability, place of the image centre, angle off the nadir, lights that
        match the map, correlation margin over the best other solution, seconds, reasons. A
        failed frame's sentence takes the place of its codes.
    """
    fit, solved = result.fit, result.solved
    cells = (
        result.frame,
        result.verdict,
        probability_text(result.probability),
        centre_text(result),
        "" if solved is None else f"{solved.off_nadir_deg:.0f}°",
        "" if fit is None else str(fit.matched_lights),
        "" if fit is None else f"{fit.margin:.2f}",
        f"{result.seconds:.1f}",
    )
    codes = ", ".join(reason.code for reason in result.reasons)
    texts = "; ".join(f"{reason.code}: {reason.text}" for reason in result.reasons)
    return _line(cells, texts if result.verdict == "failed" else codes)


def _line(cells: tuple[str, ...], last: str) -> str:
    # Words to the left, numbers to the right.
    texts = [
        f"{cell:<{width}}" if number in (0, 1, 3) else f"{cell:>{width}}"
        for number, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    return "  ".join([*texts, last]).rstrip()
