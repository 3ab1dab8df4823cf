"""Element sets: kept, told, which lines are one, and which of several is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sgp4.api import Satrec
from sgp4.exporter import export_omm

from regengine.errors import EphemerisError
from regengine.orbit import load_tle_file, position
from tests.world.elements import Elements, with_checksum
from tests.world.program import run
from tests.world.runs import ELEMENTS as SETS
from tests.world.runs import LIGHTS, SAMPLES
from tests.world.services import Service

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
    return run("register", *words, "--lights", LIGHTS, "--dry-run", "--json")


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


@pytest.mark.parametrize(
    ("content", "words", "code", "sentence"),
    [
        (None, [], 3, "no such file"),
        ("<html>404</html>\n", [], 3, "no element set"),
        (f"{FIRST}\n", [], 3, "line 1 is the first line of a set whose second is missing"),
        (f"{FIRST}\n{SECOND[:60]}\n", [], 3, "line 2 has 60 characters instead of 69"),
        (
            '<?xml version="1.0"?>\n<ndm><omm id="CCSDS_OMM_VERS" version="2.0"/></ndm>\n',
            *([], 3, "XML: download it as JSON, CSV or two-line sets"),
        ),
        (
            "CCSDS_OMM_VERS = 2.0\nOBJECT_NAME = ISS\nNORAD_CAT_ID = 25544\n",
            *([], 3, "KEY = VALUE: download it as JSON, CSV or two-line sets"),
        ),
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
    return dict(export_omm(Satrec.twoline2rv(line1, line2), "ISS (ZARYA)"))


def write_messages(path: Path, messages: list[dict[str, object]]) -> Path:
    """As JSON or as CSV."""
    texts = [["" if cell is None else str(cell) for cell in one.values()] for one in messages]
    rows = "".join(",".join(row) + "\n" for row in [list(messages[0]), *texts])
    path.write_text(json.dumps(messages) if path.suffix == ".json" else rows)
    return path


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_mean_elements_messages_are_element_sets(tmp_path: Path, kind: str) -> None:
    messages = [as_message(*LINES[k : k + 2]) for k in range(0, len(LINES), 2)]
    file = write_messages(tmp_path / f"omm.{kind}", messages)
    if kind == "csv":
        file.write_text(f"sep=,\n# of a catalogue, by me\n\n{file.read_text()}")
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


FOREIGN: dict[str, tuple[object, ...]] = {
    "MEAN_ELEMENT_THEORY": ("SGP4-XP", "DSST"),
    "EPHEMERIS_TYPE": (4, "3"),
    "REF_FRAME": ("EME2000", "ITRF2000", "TEMEOFEPOCH"),
    "TIME_SYSTEM": ("TAI", "GPS", "TDB"),
    "CENTER_NAME": ("MARS", "EARTH BARYCENTER"),
}
SAME = ("SGP4", "SGP/SGP4"), (0, "2", None), ("TEME", "teme", " "), ("UTC",), ("EARTH", "Earth")


@pytest.mark.parametrize("field", FOREIGN)
@pytest.mark.parametrize("kind", ["json", "csv"])
def test_messages_that_sgp4_cannot_propagate_are_left_out_and_named(
    tmp_path: Path, kind: str, field: str
) -> None:
    same = dict(zip(FOREIGN, SAME, strict=True))[field]

    def write(*values: object) -> Path:
        messages = [{**as_message(FIRST, SECOND), field: value} for value in values]
        return write_messages(tmp_path / f"omm.{kind}", messages)

    facts = info(write(*FOREIGN[field], *same))
    assert (facts["element_sets"], len(facts["skipped"])) == (len(same), len(FOREIGN[field]))
    for value, skipped in zip(FOREIGN[field], facts["skipped"], strict=True):
        assert str(value) in skipped["reason"]
    photo = SAMPLES / "ISS990-E-000103.jpg"
    for words in (("tle", "info"), ("tle", "add"), ("register", photo, "--tle")):
        said = run(*words, write(*FOREIGN[field]))
        assert (said.code, said.err.count("\n")) == (3, 1)
        assert str(FOREIGN[field][0]) in said.err


def test_sets_of_another_type_are_left_out_and_named_by_every_command(
    kept: Path, tmp_path: Path
) -> None:
    path, pairs = tmp_path / "types.txt", []
    for type_, later in zip("0 2456", range(6), strict=True):
        first, second = BASE.later(float(later)).lines()
        pairs += [with_checksum(f"{first[:62]}{type_}{first[63:]}"), second]
    path.write_text("\n".join(pairs) + "\n")
    facts = info(path)
    assert (facts["element_sets"], [one["line"] for one in facts["skipped"]]) == (3, [7, 9, 11])
    assert "type 4 (SGP4-XP)" in facts["skipped"][0]["reason"]
    photo = SAMPLES / "ISS990-E-000103.jpg"
    for words in (
        ("tle", "add", path),
        ("register", photo, "--tle", path, "--dry-run"),
        ("satellites", photo, "--tle", path, "--method", "none"),
    ):
        position.element_sets.cache_clear()
        said = run(*words)
        assert "types.txt: 3 element sets are left out (line 7 has elements of type 4" in said.err


Pair = tuple[str, str]
BASE = Elements()
BASE_FIRST, BASE_SECOND = BASE.lines()
LATER = BASE.later(1.0)
TWO = BASE.text() + LATER.text()
IN_ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def tle_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "iss.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def uneven(count: int) -> list[Pair]:
    """Sets of one orbit, a quarter of a day to two days apart."""
    gaps_days = np.random.default_rng(count).uniform(0.25, 2.0, count)
    return [BASE.later(float(days)).lines() for days in np.cumsum(gaps_days)]


def lines_of(pairs: list[Pair]) -> list[str]:
    return [line for pair in pairs for line in pair]


def read_lines(path: Path) -> list[Pair]:
    """The pairs of lines that are read of a file, none where it has no set that can be used."""
    try:
        return [(one.line1, one.line2) for one in load_tle_file(path)]
    except EphemerisError:
        return []


FEW, MANY = uneven(9), uneven(80)

# Which lines are a set ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        TWO.replace("\n", "\r\n"),
        "  " + TWO.replace("\n", "   \n\t\n"),
        "# from an archive\n" + TWO.replace("\n2 ", "\n# between the lines\n2 "),
        "".join(f"0 ISS (ZARYA)\n{e.text()}" for e in (BASE, LATER)),
        TWO.encode("utf-16"),
        LATER.text() + BASE.text(),
        TWO.replace("\n", "     0.00      4320.0        360.00\n"),  # as in SGP4-VER.TLE
    ],
)
def test_every_way_of_writing_a_file_is_read(
    tle_file: Callable[[str | bytes], Path], content: str | bytes
) -> None:
    tles = load_tle_file(tle_file(content))
    assert [(s.line1, s.line2) for s in tles] == [BASE.lines(), LATER.lines()]
    assert (tles.skipped, tles.satellite) == ((), "25544")


def test_fields_are_those_that_sgp4_reads(tle_file: Callable[[str], Path]) -> None:
    padded = with_checksum(BASE_SECOND.replace("  51.6400", " 051.6400"))
    assert padded != BASE_SECOND
    tles = load_tle_file(tle_file(f"{BASE_FIRST}\n{padded}\n"))
    assert tles[0].satrec().inclo == Satrec.twoline2rv(BASE_FIRST, BASE_SECOND).inclo
    years = (1957, 1999, 2000, 2026, 2056)
    elements = [replace(BASE, epoch=datetime(year, 3, 1, 6, 7, 8, tzinfo=UTC)) for year in years]
    tles = load_tle_file(tle_file("".join(e.text() for e in elements)))
    for row, days in enumerate(tles.epoch_days):
        assert abs(tles[row].epoch_utc - elements[row].epoch) < timedelta(milliseconds=1)
        record = Satrec.twoline2rv(tles[row].line1, tles[row].line2)
        assert days == pytest.approx(record.jdsatepoch - 2451545.0 + record.jdsatepochF, abs=1e-8)


@given(place=st.integers(0, 137), digit=st.integers(1, 9))
@IN_ONE_FILE
def test_any_changed_digit_is_noticed(
    tle_file: Callable[[str], Path], place: int, digit: int
) -> None:
    text = BASE_FIRST + BASE_SECOND
    if not text[place].isdigit() or place in (0, 69):
        return
    changed = text[:place] + str((int(text[place]) + digit) % 10) + text[place + 1 :]
    tles = load_tle_file(tle_file(f"{changed[:69]}\n{changed[69:]}\n{LATER.text()}"))
    assert (len(tles), len(tles.skipped)) == (1, 1)


# Lines of two sets are never paired --------------------------------------------------------------


@given(lost=st.sets(st.integers(0, 17), min_size=1, max_size=3))
@settings(IN_ONE_FILE, max_examples=60)
def test_where_lines_are_lost(tle_file: Callable[[str], Path], lost: set[int]) -> None:
    """A second line and the first after it are lost, too: only the orbit tells of that."""
    left = [line for place, line in enumerate(lines_of(FEW)) if place not in lost]
    read = read_lines(tle_file("\n".join(left)))
    assert set(read) <= set(FEW)
    if len({place % 2 for place in lost}) == 1:  # the rest is in order
        assert read == [pair for k, pair in enumerate(FEW) if not {2 * k, 2 * k + 1} & lost]


@pytest.mark.parametrize("sets", [MANY[:2], MANY], ids=len)
def test_a_sorted_file_holds_no_set(tle_file: Callable[[str], Path], sets: list[Pair]) -> None:
    lines = lines_of(sets)
    by_day = sorted(lines, key=lambda line: line.split()[3])
    for ordered in (sorted(lines), sorted(lines, reverse=True), lines[::-1], by_day):
        path = tle_file("\n".join(ordered))
        assert set(read_lines(path)) <= set(sets)
        with pytest.raises(EphemerisError, match="download the element set again"):
            load_tle_file(path)


# Which set is chosen -----------------------------------------------------------------------------


@given(
    epochs=st.lists(st.floats(0.0, 300.0), min_size=1, max_size=12),
    photo=st.floats(-20.0, 320.0),
)
@IN_ONE_FILE
def test_a_set_issued_after_the_photo_is_worth_three_before_it(
    tle_file: Callable[[str], Path], epochs: list[float], photo: float
) -> None:
    tles = load_tle_file(tle_file("".join(BASE.later(days).text() for days in epochs)))
    time = BASE.epoch + timedelta(days=photo)

    def cost(age_h: float) -> float:
        return 3.0 * age_h if age_h > 0 else -age_h

    ages_h = [24.0 * (photo - days) for days in epochs]
    best = tles.best_for(time).age_h(time)
    assert min(abs(best - age_h) for age_h in ages_h) < 1e-3
    assert cost(best) == pytest.approx(min(map(cost, ages_h)), abs=1e-2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"node_deg": 10.0}, "orbital plane is 7.8 degrees"),  # 10 degrees * sin 51.64
        ({"anomaly_deg": 3.0}, "it is 355 km along the track"),  # of 6,780 km
    ],
)
def test_one_wrong_set_is_found_and_passed_over(
    tle_file: Callable[[str], Path], wrong: dict[str, float], says: str
) -> None:
    sets = [BASE.later(0.4 * step) for step in range(9)]
    (what, by), right = next(iter(wrong.items())), sets[4]
    sets[4] = replace(right, **{what: getattr(right, what) + by})
    tles = load_tle_file(tle_file("".join(one.text() for one in sets)))
    assert [row for row in range(9) if tles.disagreement(row) is not None] == [4]
    chosen, passed_over = tles.choose(right.epoch)
    assert chosen.line1 == sets[5].lines()[0]
    assert [one.line_number for one in passed_over] == [9]
    assert says in passed_over[0].reason
    assert passed_over[0].reason.startswith("line 9: ")
