"""Answers of the database: what they mean, and one sentence for those of another shape."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regengine.archive.answers import rows_of
from regengine.archive.web import TooMuchError
from regengine.errors import ArchiveError

ROW = {
    "nadir.mission": "ISS990",
    "nadir.roll": "E",
    "nadir.frame": "101",
    "nadir.pdate": "20140117",
    "nadir.ptime": "074602",
    "nadir.lat": "35.1",
    "nadir.lon": "-151.8",
}


def told(body: object, secret: str = "k3y") -> str:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(ArchiveError) as error:
        rows_of(text, "nadir", "example.org", secret=secret)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    assert secret not in str(error.value)
    return str(error.value)


def test_rows_and_none() -> None:
    assert rows_of(json.dumps([ROW]).encode(), "nadir", "h") == [ROW]
    odd = {"NADIR|MISSION": "ISS990", "nadir.elev": None, "nadir.azi": 7} | ROW
    told_row = rows_of(json.dumps([odd]).encode(), "nadir", "h")[0]
    assert (told_row["nadir.elev"], told_row["nadir.azi"]) == ("", "7")
    nothing = {"result": "SQL found no records that match the specified criteria"}
    assert rows_of(json.dumps(nothing).encode(), "nadir", "h") == []
    assert rows_of(b"[]", "nadir", "h") == []
    unknown = {**ROW, "nadir.ptime": "07____", "nadir.pdate": "2014____"}
    assert len(rows_of(json.dumps([ROW, unknown]).encode(), "nadir", "h")) == 2


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in ROW.items() if key != f"nadir.{name}"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html><title>Log\nin k3y</title>", "a web page instead of JSON (Log in ***)"),
        (b"", "something else than JSON, it is empty"),
        (b"Software error: k3y", "it begins 'Software error: ***'"),
        (b"[" * 200_000 + b"]", "JSON"),
        ("rows", "answered '\"rows\"', not rows"),
        (7, "'7', not rows"),
        ([1, 2], "rows that are no objects"),
        ([ROW, None], "rows that are no objects"),
        ({"rows": [ROW]}, "an object of 'rows' instead of rows"),
        ({"error": "Invalid API key k3y"}, "refuses the key ('Invalid API key ***')"),
        ({"error": "unknown field"}, "refuses the question: 'unknown field'"),
        ({"result": "SQL error\x1b[31m near x"}, "refuses the question: 'SQL error [31m near x'"),
        ([{**ROW, "nadir.lat": [35.1]}], "a list or object in 'nadir.lat'"),
        ([{**ROW, "nadir.lat": True}], "a list or object in 'nadir.lat'"),
        ([without("mission")], "without 'nadir.mission'"),
        ([ROW, without("frame")], "without 'nadir.frame'"),
        ([without("lat")], "without 'nadir.lat'"),
        ([without("ptime")], "without 'nadir.ptime'"),
        ([{**ROW, "nadir.pdate": "2014-01-17T07:46"}], "'2014-01-17T07:46' for 'nadir.pdate'"),
        ([{**ROW, "nadir.frame": "E101"}], "'E101' for 'nadir.frame'"),
    ],
)
def test_answers_of_another_shape(body: object, why: str) -> None:
    assert why in told(body)


@pytest.mark.parametrize("length", [1, 20, 100])
def test_cut_answers_are_known_as_such(length: int) -> None:
    body = json.dumps([ROW] * 3).encode()[:-1][: -length or None]
    with pytest.raises(TooMuchError, match="cut its answer short"):
        rows_of(body.rstrip(b"}"), "nadir", "h")


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from([*ROW, "result", "error", "x"]), inner, max_size=5
                )
            ),
            max_leaves=20,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_whatever_comes_is_rows_or_a_sentence(body: bytes) -> None:
    rows = []
    with suppress(ArchiveError):  # and no other
        rows = rows_of(body, "nadir", "example.org")
    assert all(isinstance(cell, str) for row in rows for cell in row.values())
