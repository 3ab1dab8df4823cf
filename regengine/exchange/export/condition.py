"""Check the conditions of ``--where``: one SQL expression on known columns, for any database."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from regengine.errors import ConfigError

LONGEST = 10_000  # characters of a condition
_TOKENS = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|\w+|\S""", re.S
)
# After an opening bracket they begin a query of its own, which would be asked anew of every part of
# a store
_QUERIES = {"select", "from", "values", "with", "table", "describe", "show", "pivot", "summarize"}
# How SQLite and DuckDB name what they do not find
_UNKNOWN = re.compile(r'(?:no such column: "?|column ")([^"]+)')


def wrap_condition(where: str, columns: Collection[str]) -> tuple[str, str]:
    """Make SQL expressions, 0 or 1, of a condition; it is one expression only if both are valid.

    The first is the one to use. The line breaks end a comment before our own words. ConfigError if
    a text in double quotes is no column, which SQLite would compare as text, if a column is in
    single quotes, which makes it a text, or if there is a query within the condition.
    """
    known = {name.casefold() for name in columns}
    tokens = [token for token in _TOKENS.findall(where) if not token.startswith(("--", "/*"))]
    words = [token.strip('"`[]').casefold() for token in tokens]
    try:
        if not tokens or len(where) > LONGEST or "\0" in where:
            raise ValueError("it is empty or too long")
        for before, token, word, after in zip(
            ["", *tokens], tokens, words, [*tokens[1:], ""], strict=False
        ):
            if token.startswith('"') and word not in known and after != ".":
                raise ValueError(find_unknown_column(f"column {token}", columns))
            if token.startswith("'") and (name := token.strip("'").casefold()) in known:
                raise ValueError(f"{token} is text: write the column without quotes, {name}")
            if word in _QUERIES and before in ("", "("):
                raise ValueError(f"{token} begins a query, and a condition is on one frame")
        if known.isdisjoint(words) and any(token.startswith("'") for token in tokens):
            raise ValueError(f"it names no column; the columns are {', '.join(columns)}")
    except ValueError as error:
        raise make_condition_error(where, str(error), columns) from None
    return tuple(  # type: ignore[return-value]
        f"CASE WHEN {opened}\n{where}\n{closed} THEN 1 ELSE 0 END"
        for opened, closed in ("()", ("", ""))
    )


def make_condition_error(where: str, why: str, columns: Collection[str]) -> ConfigError:
    """Make the error of a condition out of a message about it, or that of a database."""
    return ConfigError(
        f"--where {where!r} is not a valid condition ({find_unknown_column(why, columns) or why}): "
        "write an SQL expression such as \"off_nadir_deg < 30 AND category = 'cities'\"."
    )


def find_unknown_column(said: str, columns: Collection[str]) -> str:
    """Describe the column that a database does not find; empty if its message is of other things.

    Most who write an unknown column mean a text.
    """
    found = _UNKNOWN.search(said)
    if found is None:
        return ""
    name = found[1].split(".")[-1]
    return f"text is in single quotes, '{name}', and {describe_unknown_column(name, columns)}"


def describe_unknown_column(name: str, columns: Collection[str]) -> str:
    """Say that there is no such column, the nearest one, and all columns."""
    close = difflib.get_close_matches(name.casefold(), columns, n=1)
    close = close or [one for one in columns if name and one.startswith(name.casefold())]
    meant = f", but {close[0]}" if close else ""
    return f"{name} is not a column{meant}; the columns are {', '.join(columns)}"
