"""Text of strangers (file names, messages) as a page may hold it."""

from __future__ import annotations

import json
import re
from typing import Any

from regengine.plain_json import plain

# Control characters, line and paragraph separators, what turns the direction of writing (a name
# could show its end first), and halves of surrogate pairs, which no encoding can hold
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def shown(text: str) -> str:
    r"""Text in which nothing is invisible: such characters become ``\uXXXX``.

    Parameters
    ----------
    text : str
        Of any origin. Line breaks are escaped, too.

    Returns
    -------
    str
        Can be encoded as UTF-8.
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def script_json(value: Any) -> str:
    """JSON that stands inside a ``<script>`` element and cannot end it.

    Parameters
    ----------
    value : object
        See `regengine.plain_json.plain`.

    Returns
    -------
    str
        ASCII without ``<``.
    """
    text = json.dumps(
        plain(value, shown), ensure_ascii=True, allow_nan=False, separators=(",", ":")
    )
    return text.replace("<", "\\u003c")
