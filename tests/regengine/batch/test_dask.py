"""Batches on a Dask cluster: equal to local ones, whatever becomes of the workers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from benchmarks.kills.cluster import LocalCluster, local_cluster
from benchmarks.same import compare
from regengine.batch import cluster as cluster_module
from regengine.batch.cluster import run_on_cluster
from regengine.batch.run import BatchOptions, BatchSummary, run_batch
from regengine.errors import ClusterError, ConfigError
from regengine.result import FrameResult
from regengine.store import writer as writer_module
from regengine.store.snapshot import read_store
from regengine.store.writer import StoreWriter
from tests.example_results import fake_process
from tests.regengine.batch import dask_stand_in
from tests.regengine.batch.dask_stand_in import lossy, missing_map, missing_map_soon, unhurried
from tests.regengine.batch.sharing_stand_in import facts_of
from tests.regengine.batch.test_batch import make

pytest.importorskip("distributed", reason="needs distributed: pip install 'regengine[dask]'")

pytestmark = pytest.mark.server

OPTIONS = BatchOptions(parameters="{}", parameters_sha256="p", workers=0, limit_s=60.0)
SHARING = replace(OPTIONS, facts_of=facts_of)
# Followers within a minute, frames that only hints solve, and workers that are lost
LAPSES = tuple(
    f"{start + second:04d}_{kind}.jpg"
    for start in (0, 1000, 2000)
    for second, kind in (
        (0, "a"),
        (5, "b_hard"),
        (15, "c_loses" if start == 1000 else "c"),
        (200, "d_hard"),
        (310, "e_hopeless"),
        (900, "f_hard_loses" if start == 2000 else "f_hard"),
    )
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two workers; what loses two of them is given up."""
    with local_cluster(
        tmp_path_factory.mktemp("dask") / "cluster", 2, deaths=1, engine=dask_stand_in.__name__
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are reported soon."""
    monkeypatch.setattr(writer_module, "PART_FRAMES", 4)


def run(
    cluster: LocalCluster | str,
    photos: list[Path],
    store: Path,
    process,
    options: BatchOptions = OPTIONS,
    **more,
) -> tuple[list[FrameResult], BatchSummary]:
    reported: list[FrameResult] = []

    address = cluster if isinstance(cluster, str) else cluster.address
    with StoreWriter(store) as writer:
        summary = run_on_cluster(
            photos, process, writer, options, reported.append, scheduler=address, **more
        )
    return reported, summary


def test_a_cluster_that_loses_workers_gives_what_one_process_gives(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    photos = make(tmp_path / "there" / "photos", *LAPSES)
    reported, summary = run(cluster, photos, tmp_path / "there.h5", lossy, SHARING, shard_frames=4)
    assert sorted(r.frame for r in reported) == sorted(path.stem for path in photos)
    assert summary.verdicts.total() == len(photos)
    lost = [path.stem for path in photos if "loses" in path.stem]
    searched = (tmp_path / "there" / "searched").read_text().split()
    assert all(searched.count(name) > 1 for name in lost)

    for name in lost:
        (tmp_path / "there" / f"killed_{name}").touch()
    with StoreWriter(tmp_path / "here.h5") as writer:
        here = run_batch(photos, lossy, writer, SHARING, lambda result: None)
    assert here.verdicts == summary.verdicts
    assert list(compare(tmp_path / "there.h5", tmp_path / "here.h5")) == []
    assert {frame.result for frame in read_store(tmp_path / "there.h5")} == set(reported)


def test_what_a_store_has_is_not_sent(tmp_path: Path, cluster: LocalCluster) -> None:
    photos = make(tmp_path / "photos", "0000_a.jpg", "0001_b.jpg", "0500_c.jpg")
    store = tmp_path / "run.h5"
    run(cluster, photos[:2], store, lossy, SHARING)
    before = (tmp_path / "searched").read_text()
    _, summary = run(cluster, photos, store, lossy, SHARING)
    assert (summary.resumed, summary.verdicts["accepted"]) == (2, 3)
    assert (tmp_path / "searched").read_text() == before + "0500_c\n"


def test_photos_that_lose_all_workers_or_take_too_long_cost_only_themselves(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("a.jpg", "killer.jpg", "bad.jpg", "slow.jpg", *(f"x{n}.jpg" for n in range(20)))
    make(tmp_path / "photos", *names)
    photos = [Path("photos", name) for name in names]
    options = replace(OPTIONS, limit_s=3.0)
    reported, _ = run(cluster, photos, tmp_path / "run.h5", fake_process, options)
    told = {result.frame: result for result in reported}
    assert sorted(told) == sorted(path.stem for path in photos)
    codes = {name: r.reasons[0].code for name, r in told.items() if r.verdict == "failed"}
    assert codes == {"killer": "worker_died", "bad": "unreadable", "slow": "timed_out"}
    assert told["killer"].reasons[0].text == (
        "photos/killer.jpg was lost with its worker 2 times: its file may be damaged; "
        "try it by itself."
    )
    # The workers have another folder: what is told of a photo is its path as it was given
    assert told["bad"].reasons[0].text == "photos/bad.jpg is no image: remove it from the list."
    assert {told["a"].path, told["bad"].path} == {"photos/a.jpg", "photos/bad.jpg"}


@pytest.mark.parametrize("in_order", [True, False], ids=["first Ctrl-C", "second Ctrl-C"])
def test_stopping_keeps_what_is_finished(
    tmp_path: Path, cluster: LocalCluster, in_order: bool
) -> None:
    photos = make(tmp_path / "photos", *(f"{n}.jpg" for n in range(40)))
    store = tmp_path / "run.h5"
    reported: list[str] = []

    def report(result: FrameResult) -> None:
        reported.append(result.frame)
        if len(reported) == 1 and not in_order:
            raise KeyboardInterrupt

    options = replace(OPTIONS, stop=lambda: in_order and bool(reported))
    with StoreWriter(store) as writer:
        summary = run_on_cluster(
            photos, unhurried, writer, options, report, scheduler=cluster.address, shard_frames=10
        )
    assert summary.interrupted
    kept = len(read_store(store))
    assert 0 < kept < len(photos)
    assert kept == len(reported) if in_order else kept >= len(reported)
    _, summary = run(cluster, photos, store, fake_process)
    assert (summary.resumed, summary.verdicts.total()) == (kept, len(photos))


def test_a_shard_that_the_scheduler_has_lost_sight_of_is_begun_again(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client

    submit, asked = Client.submit, count()

    def lose_the_first(client: Client, *given, **more):
        nowhere = {} if next(asked) else {"workers": ["tcp://127.0.0.1:1"]}
        return submit(client, *given, **more, **nowhere)

    monkeypatch.setattr(Client, "submit", lose_the_first)
    monkeypatch.setattr(cluster_module, "LOOK_S", 0.2)
    photos = make(tmp_path / "photos", *(f"{n}.jpg" for n in range(8)))
    _, summary = run(cluster, photos, tmp_path / "run.h5", fake_process, shard_frames=4)
    assert summary.verdicts["accepted"] == len(photos)


def test_a_cluster_without_workers_is_told_and_can_be_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = make(tmp_path / "photos", "a.jpg", "b.jpg")

    def told() -> bool:
        return "has no workers: waiting for some; start them with dask worker tcp://" in caplog.text

    options = replace(OPTIONS, stop=told)
    with local_cluster(tmp_path / "cluster", 0) as empty:
        reported, summary = run(empty, photos, tmp_path / "run.h5", fake_process, options)
    assert summary.interrupted
    assert not reported


def test_a_lost_scheduler_is_told_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_S", 5.0)
    photos = make(tmp_path / "photos", *(f"{n}.jpg" for n in range(40)))
    store = tmp_path / "run.h5"
    reported: list[FrameResult] = []
    with local_cluster(tmp_path / "cluster", 1, engine=dask_stand_in.__name__) as mortal:

        def report(result: FrameResult) -> None:
            reported.append(result)
            if len(reported) == 1:
                mortal.kill_scheduler()

        lost = pytest.raises(ClusterError, match="what was reported is safe, and the same command")
        with StoreWriter(store) as writer, lost:
            run_on_cluster(
                photos, unhurried, writer, OPTIONS, report, scheduler=mortal.address, shard_frames=2
            )
    stored = [frame.result for frame in read_store(store)]
    assert 0 < len(reported) < len(photos)
    assert all(result in stored for result in reported)
    with StoreWriter(store) as writer:
        summary = run_batch(photos, fake_process, writer, OPTIONS, reported.append)
    assert summary.resumed == len(stored)
    assert summary.verdicts["accepted"] == len(photos)


def test_workers_of_another_version_or_without_the_map_are_refused(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = make(tmp_path / "photos", "a.jpg", "b.jpg", "c.jpg")
    store = tmp_path / "run.h5"
    with pytest.raises(ClusterError, match=r"lights\.tif does not exist; workers must see"):
        run(cluster, photos, store, fake_process, check=missing_map)
    # One that comes later is found out by its first shard
    flag = tmp_path / "flag"
    versions, asked = cluster_module.versions_here(), count()

    def versions_of_shards() -> tuple[str, str]:
        if next(asked):  # the first question is that of the check of all workers
            flag.touch()
        return versions

    monkeypatch.setattr(cluster_module, "versions_here", versions_of_shards)
    with pytest.raises(ClusterError, match="a worker of the cluster cannot do the work: lights"):
        run(cluster, photos, store, fake_process, check=partial(missing_map_soon, flag))
    monkeypatch.setattr(cluster_module, "versions_here", lambda: ("9.9", "3.99"))
    sentence = r"tcp://.*: it has regengine .*, this run regengine 9\.9 on Python 3\.99: install"
    with pytest.raises(ClusterError, match=sentence):
        run(cluster, photos, store, fake_process)
    assert not store.exists()


def test_what_is_no_cluster_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = make(tmp_path / "photos", "a.jpg")
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.2)
    with pytest.raises(ConfigError, match="is no address: write one like tcp://node1:8786"):
        run("node1", photos, tmp_path / "run.h5", fake_process)
    with pytest.raises(ClusterError, match="no Dask scheduler answers at tcp://127"):
        run("tcp://127.0.0.1:9", photos, tmp_path / "run.h5", fake_process)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'regengine\[dask\]'"):
        run("tcp://127.0.0.1:9", photos, tmp_path / "run.h5", fake_process)
    assert signal.getsignal(signal.SIGINT) is before
