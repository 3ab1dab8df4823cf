"""A run that is killed at any instant has lost nothing that it reported."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from regengine.store.snapshot import parts_folder, read_store
from tests.conftest import ROOT

PHOTOS = 16
LINES = (1, 4, 9, 13, PHOTOS, 1, PHOTOS, PHOTOS)  # the run is killed after so many lines
SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from regengine.batch.discover import find_photos
    from regengine.batch.run import BatchOptions, run_batch
    from regengine.records import record_line
    from regengine.store import writer as writer_module
    from tests.example_results import fake_process

    writer_module.PART_FRAMES = 2
    options = BatchOptions(parameters="{}", parameters_sha256="p", workers=0)
    with writer_module.StoreWriter(Path(sys.argv[2])) as writer:
        report = lambda result: print(record_line(result), flush=True)
        run_batch(find_photos([sys.argv[1]]), fake_process, writer, options, report)
    print("end", flush=True)
    """
)


def start(photos: Path, store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(photos), str(store)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(PHOTOS):
        (folder / f"f{number:02d}.jpg").write_bytes(bytes([number]))
    return folder


def test_nothing_reported_is_lost(tmp_path: Path, photos: Path) -> None:
    chance = random.Random(20120328)
    store = tmp_path / "run0.h5"
    reported: set[str] = set()
    for trial, last_line in enumerate(LINES):
        if len(reported) == PHOTOS:  # all would be resumed from here on
            store = tmp_path / f"run{trial}.h5"
            reported.clear()
        run = start(photos, store)
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(last_line)]
        time.sleep(chance.uniform(0.0, 0.12))
        run.send_signal(signal.SIGKILL)
        rest = run.stdout.read()  # `communicate` forgets what was read ahead
        run.communicate()
        lines += rest.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("}\n")]
        reported |= {json.loads(line)["frame"] for line in whole}
        kept = {stored.result.frame for stored in read_store(store)}
        assert reported <= kept
    finished = start(photos, store)
    out, _ = finished.communicate()
    assert finished.returncode == 0
    assert out.endswith("end\n")
    names = [stored.result.frame for stored in read_store(store)]
    assert names == [f"f{number:02d}" for number in range(PHOTOS)]
    assert not parts_folder(store).exists()
    assert [json.loads(line)["frame"] for line in out.splitlines()[:-1]] == names
