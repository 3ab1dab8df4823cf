"""A query from beginning to end: asked in parts, cut finer where answers are, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from regengine.archive.answer import KEY_VARIABLE, Row, rows_of
from regengine.archive.answer_cache import AnswerCache
from regengine.archive.interpret import interpret
from regengine.archive.question import FrameQuery, Question, questions
from regengine.archive.read import FrameTable, gathered
from regengine.archive.row import FrameRow
from regengine.archive.web import Absent, TooMuchError, Web, host_of
from regengine.errors import ArchiveError, ConfigError

DATABASE = "https://eol.jsc.nasa.gov/SearchPhotos/PhotosDatabaseAPI/PhotosDatabaseAPI.pl"
ANSWER_MB = 64
# Servers cut answers at round numbers of rows. One answer in fifty is as long by chance, and costs
# two further questions.
ROUND_ROWS, LEAST_CUT_ROWS = 50, 100
MANNERED_QUESTIONS = 5000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a query found.

    Attributes
    ----------
    table : FrameTable
        The photos.
    requests, kept : int
        Questions that were sent, and those that had been answered before.
    strays : int
        Rows that the database sent although they are not what was asked for, left out.
    """

    table: FrameTable
    requests: int
    kept: int
    strays: int


def ask(
    wanted: FrameQuery,
    *,
    web: Web,
    key: str,
    cache: AnswerCache,
    url: str = DATABASE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Asked:
    """Ask the database for all photos that are wanted.

    Parameters
    ----------
    wanted : FrameQuery
        Which.
    web : Web
        How the server is treated.
    key : str
        The user's own; needed where something has to be asked.
    cache : AnswerCache
        Answers of before.
    url : str, optional
        Of the database.
    progress : callable, optional
        Called with questions answered, and known so far.

    Returns
    -------
    Asked

    Raises
    ------
    ConfigError
        There is no key.
    ArchiveError
        The database cannot be reached, refuses, or answers something else; what came is kept.
    """
    waiting = questions(wanted)[::-1]
    rows: list[FrameRow | None] = []
    requests = kept = done = 0
    while waiting:
        question = waiting.pop()
        name = "\n".join((url, question.conditions, "|".join(question.fields)))
        answer, finer = cache.find(name), None
        if answer is not None:
            kept += 1
        else:
            if requests >= MANNERED_QUESTIONS:
                raise ArchiveError(
                    f"The query takes more than {MANNERED_QUESTIONS:,} questions: ask for fewer "
                    "days or missions; what came is kept."
                )
            requests += 1
            try:
                answer = _answer(question, web, key, url)
                cache.keep(name, answer)
            except TooMuchError:
                finer = question.halves(())
                if finer is None:
                    raise
        if answer is not None and looks_cut(answer):
            finer = question.halves(_numbers(answer, question))
        done += 1
        if finer is not None:
            waiting += finer[::-1]
        elif answer is not None:
            rows += [interpret(row, source=question.table) for row in answer]
        progress(done, done + len(waiting))
    fitting = [row for row in rows if row is None or fits(row, wanted)]
    return Asked(
        table=gathered(fitting), requests=requests, kept=kept, strays=len(rows) - len(fitting)
    )


def _answer(question: Question, web: Web, key: str, url: str) -> list[Row]:
    if not key:
        raise ConfigError(
            f"The photo database needs a key of your own: ask {host_of(url)} for one, and put it "
            f"into the environment variable {KEY_VARIABLE}."
        )
    address = f"{address_of(question, url)}&{urlencode({'key': key})}"
    try:
        body = web.text(address, ANSWER_MB)
    except Absent:
        raise ArchiveError(
            f"{host_of(url)} has no photo database at that address: check --url."
        ) from None
    return rows_of(body, question.table, host_of(url), secret=key)


def address_of(question: Question, url: str = DATABASE) -> str:
    """Address of a question, without the key."""
    asked = {"query": question.conditions, "return": "|".join(question.fields)}
    return f"{url}?{urlencode(asked, safe='|')}"


def looks_cut(rows: list[Row]) -> bool:
    """Whether an answer has as many rows as a server allows rather than as there are."""
    return len(rows) >= LEAST_CUT_ROWS and len(rows) % ROUND_ROWS == 0


def _numbers(rows: Iterable[Row], question: Question) -> list[int]:
    texts = (row.get(f"{question.table}.frame", "").strip() for row in rows)
    return [int(text) for text in texts if text.isascii() and text.isdecimal()]


def fits(row: FrameRow, wanted: FrameQuery) -> bool:
    """Whether a row is what was asked for, as far as it tells.

    Parameters
    ----------
    row : FrameRow
        Of an answer.
    wanted : FrameQuery
        What was asked for.

    Returns
    -------
    bool
    """
    if wanted.missions and row.frame_id.partition("-")[0] not in wanted.missions:
        return False
    if wanted.first is not None and wanted.last is not None and row.time_utc is not None:
        day = row.time_utc.date()
        if day < wanted.first or day > wanted.last:
            return False
    if wanted.nadir_box is not None and row.nadir_lat is not None and row.nadir_lon is not None:
        west, south, east, north = wanted.nadir_box
        inside = west <= row.nadir_lon <= east
        if west > east:
            inside = row.nadir_lon >= west or row.nadir_lon <= east
        # A place on the antimeridian is written as either of its longitudes
        on_edge = row.nadir_lon == -180.0 and 180.0 in (west, east)
        if not (south <= row.nadir_lat <= north and (inside or on_edge)):
            return False
    pairs = (
        (row.focal_mm, wanted.focal_mm),
        (row.sun_elevation_deg, wanted.sun_elevation_deg),
    )
    return all(
        value is None or limits is None or limits[0] <= value <= limits[1]
        for value, limits in pairs
    )
