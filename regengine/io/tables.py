"""Texts as cells of CSV that no spreadsheet takes for a formula.

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, also in a CSV file (OWASP, "CSV
Injection"). Names of photos come from strangers, so they are not to begin so.
"""

from __future__ import annotations

from pathlib import Path

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def name_cell(text: str) -> str:
    """A name as a cell: with an apostrophe before what would be a formula.

    Parameters
    ----------
    text : str
        A frame id or another name; records in NDJSON have it as it is.

    Returns
    -------
    str
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def path_cell(path: Path | str) -> str:
    """A path as a cell: ``./=a.jpg`` names the same file as ``=a.jpg``."""
    text = str(path)
    return f"./{text}" if text.startswith(FORMULA_STARTS) else text
