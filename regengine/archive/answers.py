"""Parse and cache answers of the photo database: rows, no rows, or an error message."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.constants import DAY_S
from regengine.archive.web import TooMuchError
from regengine.errors import ArchiveError
from regengine.io.atomic import write_whole
from regengine.photo.frame_ids import ID_PARTS
from regengine.photo.record_values import clean_text

# A row without these is useless; if they are missing from all rows, the format has changed
NEEDED = {"frames": ("pdate", "ptime", "nlat", "nlon"), "nadir": ("pdate", "ptime", "lat", "lon")}
KEY_VARIABLE = "JSC_PHOTOS_KEY"
_TITLE = re.compile(r"<title>(.{1,80}?)</title>", re.IGNORECASE | re.DOTALL)
_ABOUT_KEY = re.compile(r"\bkey\b|authori[sz]|denied|credential", re.IGNORECASE)
CHANGED = "its format may have changed: please report it"

Row = dict[str, str]


def extract_rows(body: bytes, table: str, host: str, *, secret: str = "") -> list[Row]:
    """Return the rows of an answer."""
    text = body.decode("utf-8-sig", errors="replace").strip()
    said = _json(text, host, secret)
    if isinstance(said, dict):
        return _interpret_missing_rows(said, host, secret)
    if not isinstance(said, list):
        raise ArchiveError(
            f"{host} answered {_clean_message(text, secret)[:40]!r}, not rows: {CHANGED}."
        )
    rows = [_row(item, host) for item in said]
    _check(rows, table, host)
    return rows


def _json(text: str, host: str, secret: str) -> Any:
    if text.startswith("<"):
        title = _TITLE.search(text)
        name = f" ({_clean_message(title[1], secret)})" if title else ""
        raise ArchiveError(
            f"{host} answered with a web page instead of JSON{name}: log in to the network first, "
            "or try again later."
        )
    try:
        return json.loads(text)
    except RecursionError:
        raise ArchiveError(
            f"{host} answered with JSON that is nested too deeply: {CHANGED}."
        ) from None
    except ValueError:
        if text[:1] in ("[", "{") and not text.endswith(("]", "}")):
            raise TooMuchError(
                f"{host} sent an incomplete answer: ask for less at a time."
            ) from None
        begins = (
            f", which begins {_clean_message(text[:60], secret)!r}" if text else ", which is empty"
        )
        raise ArchiveError(f"{host} answered with something other than JSON{begins}.") from None


def _interpret_missing_rows(said: dict[str, Any], host: str, secret: str) -> list[Row]:
    """Interpret an object that was returned instead of a list of rows."""
    if "no records" in str(said.get("result", "")).lower():
        return []
    message = next(
        (str(said[name]) for name in ("error", "result", "message") if said.get(name)), ""
    )
    if _ABOUT_KEY.search(message):
        raise ArchiveError(
            f"{host} rejects the key ({_clean_message(message, secret)!r}): check the environment "
            f"variable {KEY_VARIABLE}."
        )
    if message:
        raise ArchiveError(f"{host} rejects the query: {_clean_message(message, secret)!r}.")
    names = _clean_message(", ".join(map(str, said)), secret)
    raise ArchiveError(f"{host} answered with an object of {names!r} instead of rows: {CHANGED}.")


def _clean_message(text: str, secret: str) -> str:
    """Return the message of a server, with limited length and without the key."""
    if secret:
        text = text.replace(secret, "***")
    return clean_text(text)[:120]


def _row(item: Any, host: str) -> Row:
    if not isinstance(item, dict):
        raise ArchiveError(f"{host} answered with rows that are not objects: {CHANGED}.")
    row = {}
    for name, value in item.items():
        if isinstance(value, dict | list | bool):
            raise ArchiveError(f"{host} answered with a list or object in {name!r}: {CHANGED}.")
        row[str(name).lower().replace("|", ".")] = "" if value is None else str(value)
    return row


def _check(rows: Sequence[Row], table: str, host: str) -> None:
    """Raise an error if rows lack the names of their photos or fields that registration needs."""
    for name in (f"{table}.{part}" for part in ID_PARTS):
        if any(not row.get(name) for row in rows):
            raise ArchiveError(f"{host} answered without {name!r}: {CHANGED}.")
    for name in (f"{table}.{part}" for part in NEEDED[table]) if rows else ():
        if all(name not in row for row in rows):
            raise ArchiveError(f"{host} answered without {name!r}: {CHANGED}.")
    for name, form in ((f"{table}.frame", r"\s*\d+\s*"), (f"{table}.pdate", r"\d{8}|\D*|\d{4}\D+")):
        wrong = next((row[name] for row in rows if not re.fullmatch(form, row.get(name, ""))), None)
        if wrong is not None and all(not re.fullmatch(form, row.get(name, "")) for row in rows):
            raise ArchiveError(
                f"{host} answered with {clean_text(wrong)[:40]!r} for {name!r}: {CHANGED}."
            )


@dataclass(frozen=True, kw_only=True)
class AnswerCache:
    """A folder of answers, with which an interrupted query resumes; it never contains the key.

    Questions are identified by address, conditions and fields. Answers older than ``max_age_days``
    are requested again.
    """

    folder: Path
    max_age_days: float = 7.0

    def find(self, question: str) -> list[Row] | None:
        """Return the rows of a recently answered question, or None."""
        path = self._path(question)
        try:
            age_days = (time.time() - path.stat().st_mtime) / DAY_S
            if age_days >= self.max_age_days:
                return None
            kept = json.loads(path.read_text(encoding="utf-8"))
            rows = kept["rows"] if kept["question"] == question else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                return None
            return [{str(name): str(value) for name, value in row.items()} for row in rows]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None  # a damaged answer is requested again

    def keep(self, question: str, rows: Sequence[Row]) -> None:
        """Save an answer; if the disk is full, the next run asks the question again."""
        path = self._path(question)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = {"question": question, "rows": list(rows)}
            write_whole(path, json.dumps(kept).encode())

    def _path(self, question: str) -> Path:
        digest = hashlib.sha256(question.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.json"
