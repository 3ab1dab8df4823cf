"""Element sets: kept, told; where the station was at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sgp4.api import Satrec

from tests.conftest import ROOT
from tests.world.elements import Elements, with_checksum
from tests.world.program import run
from tests.world.services import Service

SAMPLES = ROOT / "data_samples"
SETS = SAMPLES / "tle.txt"
# The samples' satellite is made up: here its sets are the ISS's
LINES = [
    with_checksum(f"{line[:2]}25544{line[7:]}")
    for line in SETS.read_text().splitlines()
    if line[:2] in ("1 ", "2 ")
]
FIRST, SECOND = LINES[:2]
ONE = f"{FIRST}\n{SECOND}\n"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of element sets that are kept, which is not there yet."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "tle"


def info(path: Path, *words: str) -> dict[str, Any]:
    said = run("tle", "info", path, "--json", *words)
    assert said.code == 0, said.err
    (facts,) = said.records
    return facts


def register(*words: object) -> Any:
    return run("register", *words, "--lights", SAMPLES / "lights.tif", "--dry-run", "--json")


def test_the_latest_sets_are_fetched_and_found_by_the_next_command(
    service: Service, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_CELESTRAK", service.url("/gp.php?CATNR=25544"))
    service.files["/gp.php"] = SETS.read_bytes()
    said = run("tle", "get")
    assert said.code == 0
    (path,) = kept.iterdir()
    assert said.out.startswith(f"{path}: ")
    assert path.read_bytes() == SETS.read_bytes()
    assert [one.query for one in service.requests] == [{"CATNR": "25544"}]
    assert register(SAMPLES / "ISS990-E-000102.jpg").code == 0
    said = run("tle", "get", "--time", "2012-03-28T15:46:41Z")
    assert said.code == 3
    for words in ("2012-03-28", "space-track.org", "regengine tle add FILE"):
        assert words in said.err
    assert len(service.requests) == 1


@pytest.mark.parametrize(("at", "lost", "name"), [(2, 1, ()), (5, 2, ("0 ISS",))])
def test_a_set_that_lost_a_line_is_named_and_the_others_are_used(
    kept: Path, tmp_path: Path, at: int, lost: int, name: tuple[str, ...]
) -> None:
    """By all commands that read the file, for the set around it may be days away."""
    begun = Elements(epoch=datetime(2014, 1, 28, 12, tzinfo=UTC))
    sets = [begun.later(float(k)).lines() for k in range(6)]
    lines = [line for pair in sets for line in (*name, *pair)]
    size = len(name) + 2
    del lines[size * at + len(name) + lost - 1]
    path = tmp_path / "lost.txt"
    path.write_text("\n".join(lines) + "\n")
    facts = info(path)
    (skipped,) = facts["skipped"]
    number = size * at + len(name) + 1
    this, other = ("second", "first") if lost == 1 else ("first", "second")
    said = f"line {number} is the {this} line of a set whose {other} is missing"
    told = (facts["element_sets"], skipped["line"], skipped["reason"])
    assert told == (5, number, said)
    added = run("tle", "add", path)
    assert (added.code, "5 element sets" in added.out) == (0, True)
    assert f"lost.txt: 1 element set is left out ({said}); the others are used." in added.err
    assert said in register(SAMPLES / "ISS990-E-000103.jpg", "--tle", path).err


def epoch_of(line1: str) -> datetime:
    return datetime(2000 + int(line1[18:20]), 1, 1) + timedelta(days=float(line1[20:32]) - 1.0)


@pytest.mark.parametrize(
    ("content", "words", "code", "sentence"),
    [
        (None, [], 3, "no such file"),
        ("<html>404</html>\n", [], 3, "no element set"),
        (f"{FIRST}\n", [], 3, "line 1 is the first line of a set whose second is missing"),
        (f"{FIRST}\n{SECOND[:60]}\n", [], 3, "line 2 has 60 characters instead of 69"),
        (ONE, ["--satellite", "5"], 3, "no element set of satellite 00005"),
        (ONE, ["--time", "2050-01-01T00:00Z"], 3, "more than a year"),
        (ONE, ["--time", "yesterday"], 2, "'yesterday' is"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(
    tmp_path: Path, content: str | None, words: list[str], code: int, sentence: str
) -> None:
    path = tmp_path / "iss.txt"
    if content is not None:
        path.write_text(content)
    said = run("tle", "info", path, *words)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert sentence in said.err


def as_message(line1: str, line2: str) -> dict[str, object]:
    """A set as the orbit mean-elements message that catalogues give."""
    return {
        "OBJECT_NAME": "ISS (ZARYA)",
        "OBJECT_ID": "1998-067A",
        "EPOCH": epoch_of(line1).isoformat(timespec="microseconds"),
        "MEAN_MOTION": float(line2[52:63]),
        "ECCENTRICITY": float(f"0.{line2[26:33]}"),
        "INCLINATION": float(line2[8:16]),
        "RA_OF_ASC_NODE": float(line2[17:25]),
        "ARG_OF_PERICENTER": float(line2[34:42]),
        "MEAN_ANOMALY": float(line2[43:51]),
        "NORAD_CAT_ID": 25544,
        "BSTAR": Satrec.twoline2rv(line1, line2).bstar,
    }


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_mean_elements_messages_are_element_sets(tmp_path: Path, kind: str) -> None:
    messages = [as_message(*LINES[k : k + 2]) for k in range(0, len(LINES), 2)]
    file = tmp_path / f"omm.{kind}"
    if kind == "json":
        file.write_text(json.dumps(messages))
    else:
        rows = [",".join(messages[0])] + [",".join(map(str, one.values())) for one in messages]
        file.write_text("\n".join(["sep=,", "# of a catalogue, by me", "", *rows]) + "\n")
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(LINES) + "\n")
    told, wanted = (info(one, "--time", "2014-01-30T12:00:00Z") for one in (file, lines))
    assert told["element_sets"] == wanted["element_sets"] == len(messages)
    for name in ("lon", "lat"):
        assert told["at"]["nadir"][name] == pytest.approx(wanted["at"]["nadir"][name], abs=1e-3)


def test_a_message_that_is_none_costs_no_other_and_six_digits_are_found(tmp_path: Path) -> None:
    good = as_message(FIRST, SECOND)
    file = tmp_path / "omm.json"
    file.write_text(json.dumps([{**good, "EPOCH": "yesterday"}, {"NORAD_CAT_ID": 1}, good]))
    facts = info(file)
    assert (facts["element_sets"], len(facts["skipped"])) == (1, 2)
    assert "yesterday" in facts["skipped"][0]["reason"]
    pair = [with_checksum(line[:2] + "T0000" + line[7:]) for line in LINES[:2]]
    file.write_text("\n".join([*LINES, *pair]) + "\n")
    for asked in ("270000", "t0000"):
        facts = info(file, "--satellite", asked)
        assert (facts["satellite"], facts["element_sets"]) == ("T0000", 1)
