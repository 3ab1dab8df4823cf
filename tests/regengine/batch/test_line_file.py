"""A file of lines loses nothing that was safe, and touches nothing that is not its own."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from regengine.batch import ndjson as line_file
from regengine.batch.ndjson import LineFile, facts_of, identity, stamped
from regengine.errors import StoreError

SETTINGS, OTHERS = "a" * 64, "b" * 64


def opened(path, *, parameters=SETTINGS, **changes):
    return LineFile(path, **{"command": "test", "parameters_sha256": parameters, **changes})


def line(name, value=0, *, parameters=SETTINGS, failed=False, sha256=None):
    record = {"frame": name, "path": f"photos/{name}.jpg"}
    record |= {"failed": {"code": "timed_out", "text": "late"}} if failed else {"value": value}
    sha256 = sha_of(name) if sha256 is None else sha256
    return stamped(json.dumps(record), command="test", sha256=sha256, parameters_sha256=parameters)


def sha_of(name):
    return f"{identity(name, ''):064x}"


def write(path, lines, **changes):
    file = opened(path, **changes)
    for one in lines:
        file.add(one)
    file.flush()
    file.finish()
    file.close()


def values(path):
    records = [json.loads(one) for one in path.read_text().splitlines()]
    return {record["frame"]: record.get("value", "failed") for record in records}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.ndjson"


def state(path, name, **changes):
    file = opened(path, **changes)
    try:
        return file.has(Path(f"elsewhere/{name}.jpg"), sha_of(name))
    finally:
        file.close()


def test_a_line_says_which_photo_it_is_of_without_being_read_whole():
    text = r'{"frame": "a\"b", "path": "x\\y/\u00e9\udc80.jpg", "stars": [{"path": "no"}]}'
    made = stamped(text, command="detect stars", sha256="c" * 64, parameters_sha256=SETTINGS)
    facts = facts_of(made.encode() + b"\n")
    assert facts is not None
    assert facts.path == "x\\y/é\\udc80.jpg"
    assert (facts.command, facts.sha256, facts.failed) == ("detect stars", "c" * 64, False)
    assert json.loads(made)["sha256"] == "c" * 64
    assert facts_of(text.encode() + b"\n") is None
    assert facts_of(made.encode()) is None  # torn before its end


def test_photos_are_known_by_content_and_name_wherever_they_lie(out):
    write(out, [line("a"), line("b", failed=True)])
    assert state(out, "a") == "done"
    assert state(out, "b") == "failed"
    assert state(out, "c") is None
    assert state(out, "a", parameters=OTHERS) is None


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_last_line_is_cut_off_and_nothing_else(out, cut):
    write(out, [line("a", 1), line("b", 2)])
    whole = out.read_bytes()
    out.write_bytes(whole[:-cut])
    file = opened(out)
    assert file.has(Path("a.jpg"), sha_of("a")) == "done"
    assert file.has(Path("b.jpg"), sha_of("b")) is None
    file.add(line("b", 2))
    file.flush()
    assert out.read_bytes() == whole
    file.close()


def test_a_file_that_was_torn_in_its_first_line_is_begun_again(out):
    out.write_bytes(line("a").encode()[:40])
    write(out, [line("b", 3)])
    assert values(out) == {"b": 3}


def test_damaged_lines_cost_their_photos_and_no_others(out, caplog):
    write(out, [line("a", 1), line("b", 2), line("c", 3)])
    first, _, last = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(first + bytes(100) + b"\n" + last)
    write(out, [line("b", 2)])
    assert values(out) == {"a": 1, "c": 3, "b": 2}
    assert "1 damaged lines" in caplog.text


@pytest.mark.parametrize(
    "content",
    [b"", b'{"a": 1}', b'{"frame": "a", "path": "b", "stars": []}', b"\xff\xd8\xff\xe0 photo"],
)
@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("anew", [False, True])
def test_files_of_others_are_left_alone(out, content, end, anew):
    out.write_bytes(content + end)
    if not content and not end:
        write(out, [line("a", 1)], anew=anew)
        assert values(out) == {"a": 1}
        return
    with pytest.raises(StoreError, match="name another file"):
        opened(out, anew=anew)
    assert out.read_bytes() == content + end
    assert list(out.parent.iterdir()) == [out]


def test_another_commands_lines_are_left_alone(out):
    write(out, [line("a")])
    with pytest.raises(StoreError, match="what regengine test wrote"):
        opened(out, command="classify")


def test_of_a_photo_that_is_done_again_the_newer_line_stays_in_its_place(out):
    write(out, [line("a", 1), line("b", failed=True), line("c", 3)])
    write(out, [line("b", 2)])
    assert list(values(out).items()) == [("a", 1), ("b", 2), ("c", 3)]
    write(out, [line("a", 10)], parameters=OTHERS)
    assert list(values(out).items()) == [("a", 10), ("b", 2), ("c", 3)]


def test_a_photo_that_could_not_be_read_and_now_can_has_one_line(out):
    write(out, [line("a", failed=True, sha256=""), line("b", 2)])
    assert state(out, "a") is None
    write(out, [line("a", 1)])
    assert values(out) == {"b": 2, "a": 1}


def test_written_anew_the_old_file_stays_until_the_new_one_is_whole(out):
    write(out, [line("a", 1), line("b", 2)])
    old = out.read_bytes()
    file = opened(out, anew=True)
    assert file.has(Path("a.jpg"), sha_of("a")) is None
    file.add(line("a", 10))
    file.flush()
    file.close()  # the run was interrupted
    assert out.read_bytes() == old
    again = opened(out)
    assert again.has(Path("a.jpg"), sha_of("a")) == "done"
    assert again.has(Path("b.jpg"), sha_of("b")) is None
    again.add(line("b", 20))
    again.finish()
    again.close()
    assert values(out) == {"a": 10, "b": 20}
    assert list(out.parent.iterdir()) == [out]


def test_a_second_writer_is_refused_and_a_dead_one_is_not_in_the_way(out):
    file = opened(out)
    with pytest.raises(StoreError, match="being written by another"):
        opened(out)
    file.close()
    process = multiprocessing.get_context("fork").Process(target=die_with_lock, args=[out])
    process.start()
    process.join()
    assert process.exitcode == 3
    write(out, [line("a", 1)])
    assert values(out) == {"a": 1}


def die_with_lock(out):
    opened(out)
    os._exit(3)


def test_a_full_disk_costs_only_what_was_never_safe(out, monkeypatch):
    file = opened(out)
    file.add(line("a", 1))
    file.flush()
    safe = out.read_bytes()
    real = line_file._write_all

    def full(stream, content):
        real(stream, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(line_file, "_write_all", full)
    file.add(line("b", 2))
    with pytest.raises(StoreError, match=r"disk is full .* 1 lines of this run are safe"):
        file.flush()
    file.close()
    assert out.read_bytes() == safe


def test_lines_are_due_together_or_after_a_second(out):
    now = [0.0]
    file = opened(out, clock=lambda: now[0])
    file.add(line("a"))
    assert not file.due()
    now[0] = 1.5
    assert file.due()
    file.flush()
    assert not file.due()
    for number in range(64):
        assert not file.due()
        file.add(line(f"f{number}"))
    assert file.due()
    file.close()


def test_folders_and_places_that_cannot_be_are_told(tmp_path):
    with pytest.raises(StoreError, match="is no file"):
        opened(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        opened(tmp_path / "file" / "out.ndjson")
