"""STAC's JSON with a line for each thing that is told, as quick as it can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

# Made once: `json.dumps` makes one each time, and with an indent none in C
_line = json.JSONEncoder(allow_nan=False).encode
_lines = json.JSONEncoder(allow_nan=False, separators=(",\n    ", ": ")).encode
# What a line each is given to. Values that are lists break as well where all is written at once
AT_ONCE = ("properties",)
ONE_BY_ONE = ("assets", "links", "item_assets", "summaries", "providers")


def stac_text(told: dict[str, Any]) -> str:
    """JSON of an item or a collection; ASCII.

    Parameters
    ----------
    told : dict
        Plain and finite.

    Returns
    -------
    str
        Ends with a line break.
    """
    return "{\n" + ",\n".join(f'  "{key}": {_value(key)(told[key])}' for key in told) + "\n}\n"


def _value(key: str) -> Callable[[Any], str]:
    if key in AT_ONCE:
        return lambda value: f"{{\n    {_lines(value)[1:-1]}\n  }}"
    return _opened if key in ONE_BY_ONE else _line


def _opened(value: Any) -> str:
    if not value:
        return _line(value)
    if isinstance(value, dict):
        lines = [f"    {_line(key)}: {_line(item)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + "\n  }"
    return "[\n" + ",\n".join(f"    {_line(item)}" for item in value) + "\n  ]"
