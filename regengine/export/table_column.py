"""A column of a table that is handed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from regengine.export.frame import ExportFrame

Kind = Literal["text", "real", "whole", "flag"]


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column of a table.

    Attributes
    ----------
    name : str
        Its name; units are in it.
    kind : str
        ``text``, ``real``, ``whole`` or ``flag``; every value may be missing.
    says : str
        What it holds.
    value : callable
        Takes the frame and, in a table of points, the number of the point.
    """

    name: str
    kind: Kind
    says: str
    value: Callable[[ExportFrame, int], Any]
