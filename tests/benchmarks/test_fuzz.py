"""Damaged files: made the same again, read in workers that may die; none of them is a finding."""

from __future__ import annotations

from pathlib import Path

from benchmarks import fuzz
from benchmarks.fuzz.cases import Case, case_of, kind_of, sound_files
from benchmarks.fuzz.damage_pictures import png_chunks, png_of
from benchmarks.fuzz.pool import Outcome, read_all
from benchmarks.fuzz.results import Row, Table, reduced
from regengine.evaluate.streak_labels import read_streak_labels

SEED = 5
BROKEN = "tests.benchmarks.broken_readers"
WHAT = {
    "crash": "crash",
    "hang": "hang",
    "bloat": "memory",
    "foreign": "foreign",
    "warn": "warning",
    "chatter": "chatter",
    "unclear": "unclear",
    "refuse": "refused",
    "fine": "ok",
}


def test_every_kind_of_fault_is_told_and_the_next_file_is_read() -> None:
    case = Case(number=0, kind="png", name="a.png", data=b"x", damage=())
    jobs = [(name, f"{BROKEN}:{name}", case) for name in (*WHAT, "fine")]
    told = dict(read_all(jobs, workers=1, limit_s=1.0))
    assert {name: outcome.what for name, outcome in told.items()} == WHAT
    assert told["crash"].text == "SIGSEGV"
    assert "KeyError" in told["foreign"].text


def test_damaged_files_are_read_or_refused_in_one_sentence() -> None:
    # HDF5 itself may loop for ever on damaged bookkeeping; stores have tests of their own
    numbers = [n for n in range(300) if kind_of(n) != "store"]
    jobs = ((n, kind_of(n), case_of(SEED, n)) for n in numbers)
    told = dict(read_all(jobs, workers=1, limit_s=20.0))
    assert sorted(told) == numbers
    wrong = [(n, o) for n, o in told.items() if o.what not in ("ok", "refused")]
    assert wrong == []
    assert {o.what for o in told.values()} == {"ok", "refused"}


def test_damage_follows_from_the_seed_and_changes_files() -> None:
    cases = [case_of(SEED, number) for number in range(40)]
    assert cases == [case_of(SEED, number) for number in range(40)]
    assert cases != [case_of(SEED + 1, number) for number in range(40)]
    same = sum(case.data == sound_files(case.kind)[case.name] for case in cases)
    assert same < 8
    assert all(case.damage for case in cases)


def test_sound_files_are_read() -> None:
    kinds = sorted({kind_of(number) for number in range(100)} - {"store"})
    cases = [
        Case(number=0, kind=kind, name=name, data=data, damage=())
        for kind in kinds
        for name, data in sound_files(kind).items()
        if name not in ("wide.tle", "fax.tif")
    ]
    jobs = [((case.kind, case.name), case.kind, case) for case in cases]
    for key, outcome in read_all(jobs, workers=1, limit_s=20.0):
        assert outcome.what == "ok", (key, outcome)


def test_chunks_of_a_png_come_apart_and_together() -> None:
    data = sound_files("png")["colour.png"]
    assert png_of(png_chunks(data)) == data


def test_findings_are_cut_down_to_what_they_need() -> None:
    data = bytes(1000) + b"needle" + bytes(5000)
    assert len(reduced(data, lambda some: b"needle" in some)) < 40


def test_a_table_is_gone_on_from(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.ndjson", seed=1)
    outcome = Outcome(what="crash", text="/real/a.png died")
    table.add(Row.of("damaged", 7, "png", "png a.png cut", outcome, hide="/real"))
    again = Table(tmp_path / "t.ndjson", seed=1)
    assert again.has("damaged", 7, "png")
    assert again.findings()[0].text == "FOLDER/a.png died"
    assert not Table(tmp_path / "t.ndjson", seed=2).rows


def test_the_command_writes_its_page(tmp_path: Path) -> None:
    out = tmp_path / "pages"
    assert fuzz.main(["--count", "3", "--seed", "5", "--workers", "1", "--out", str(out)]) == 0
    page = next(out.glob("fuzz-*.md")).read_text()
    assert "Findings: 0." in page
    assert str(tmp_path) not in page


def test_the_sound_labels_are_labels(tmp_path: Path) -> None:
    (tmp_path / "streaks.csv").write_bytes(sound_files("labels")["streaks.csv"])
    assert len(read_streak_labels(tmp_path / "streaks.csv")) == 2
