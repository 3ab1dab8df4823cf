"""Damaged files: made the same again, read in workers that may die; none of them is a finding."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks import fuzz
from benchmarks.fuzz import (
    KINDS,
    LIMIT_BYTES,
    ReadFile,
    case_of,
    kind_of,
    outcome_of,
    prepare,
    sound_files,
)
from benchmarks.fuzz.damage import png_chunks, png_of
from benchmarks.processes import work_through

pytestmark = pytest.mark.slow

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


def read(ways: dict[int, str], limit_s: float) -> dict[int, dict[str, object]]:
    answers = work_through(
        ways,
        ReadFile(SEED, ways),
        workers=1,
        limit_s=limit_s,
        prepare=prepare,
        prepare_args=(LIMIT_BYTES,),
    )
    return {key: outcome_of(answer) for key, answer in answers}


def test_every_kind_of_fault_is_told_and_the_next_file_is_read() -> None:
    ways = {2 * k: f"{BROKEN}:{name}" for k, name in enumerate((*WHAT, "fine"))}
    told = read(ways, 5.0)
    assert [told[key]["what"] for key in ways] == [*WHAT.values(), "ok"]
    assert "KeyError" in str(told[2 * list(WHAT).index("foreign")]["text"])


def test_damaged_files_are_read_or_refused_in_one_sentence() -> None:
    ways = {2 * n: kind_of(n) for n in range(200)}
    told = read(ways, 60.0)
    assert sorted(told) == sorted(ways)
    assert {key: o for key, o in told.items() if o["what"] not in ("ok", "refused")} == {}
    assert {o["what"] for o in told.values()} == {"ok", "refused"}


def test_damage_follows_from_the_seed_and_changes_files() -> None:
    cases = [case_of(SEED, number) for number in range(40)]
    assert cases == [case_of(SEED, number) for number in range(40)]
    assert cases != [case_of(SEED + 1, number) for number in range(40)]
    same = sum(case.data == sound_files(case.kind)[case.name] for case in cases)
    assert same < 8
    assert all(case.damage for case in cases)


def test_sound_files_are_the_same_at_any_time() -> None:
    first = {kind: KINDS[kind].sound() for kind in ("fits", "store", "map")}
    time.sleep(1.1)
    assert {kind: KINDS[kind].sound() for kind in first} == first


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_sound_files_are_read(kind: str, tmp_path: Path) -> None:
    for name, data in sound_files(kind).items():
        if name not in ("wide.tle", "fax.tif"):
            (tmp_path / name).write_bytes(data)
            KINDS[kind].read(tmp_path / name)


def test_chunks_of_a_png_come_apart_and_together() -> None:
    data = sound_files("png")["colour.png"]
    assert png_of(png_chunks(data)) == data


def test_the_command_tells_what_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    counts = ["--count", "3", "--folders", "1", "--signals", "2"]
    assert fuzz.main([*counts, "--seed", "5", "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "| jpeg | 3 |" in told
    assert "| folders | 1 | 1 |" in told
    assert "| signals | 2 | 2 |" in told
