"""A store under any sequence of runs, crashes, torn files, merges: what was reported is in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import regengine as rg
from tests.world.batches import (
    CrashError,
    crashing,
    options_of,
    register_as_written,
    run_stand_in,
)
from tests.world.program import run

NAMES = tuple("abcdef")
Key = tuple[str, str]  # a photo: name and SHA-256


class StoreMachine(RuleBasedStateMachine):
    """The model: for each photo in the store its number, and the run that its result is of."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = self.folder / "run.h5"
        self.photos = self.folder / "photos"
        self.photos.mkdir()
        self.known: dict[Key, tuple[int, int]] = {}
        self.contents: dict[str, str] = {}  # SHA-256 → content
        self.settings: list[str] = [""]  # of each run

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def read(self) -> dict[Key, tuple[int, int]]:
        """The store by the door, with what it says of each photo compared to the photo."""
        if not self.store.exists() and not self.store.with_name("run.h5.journal").exists():
            return {}
        found = {}
        store = rg.open_store(self.store)
        for frame, index in zip(store, store.frames["frame_index"], strict=True):
            result = frame.result
            verdict, number = self.contents[result.sha256].split()
            assert result.verdict == verdict
            assert [point.x for point in result.control_points[:1]] == (
                [] if verdict == "no_match" else [float(number)]
            )
            key = result.frame, result.sha256
            assert key not in found
            found[key] = int(index), int(result.seconds)
        return found

    def present(self) -> list[Key]:
        hashes = {path.stem: path.read_bytes() for path in sorted(self.photos.iterdir())}
        return [(name, hashlib.sha256(content).hexdigest()) for name, content in hashes.items()]

    @rule(
        name=st.sampled_from(NAMES),
        verdict=st.sampled_from(("accepted", "review", "no_match")),
        number=st.integers(1, 400),
    )
    def put_photo(self, name: str, verdict: str, number: int) -> None:
        content = f"{verdict} {number}"
        (self.photos / f"{name}.jpg").write_text(content)
        self.contents[hashlib.sha256(content.encode()).hexdigest()] = content

    @rule(name=st.sampled_from(NAMES))
    def lose_photo(self, name: str) -> None:
        (self.photos / f"{name}.jpg").unlink(missing_ok=True)

    @rule(
        moment=st.none() | st.integers(1, 14),
        effort=st.sampled_from(("normal", "normal", "thorough")),
        resume=st.sampled_from((True, True, True, False)),
        retry=st.sampled_from((frozenset(), frozenset(), frozenset({"review"}))),
        share=st.sampled_from((1, 1, 2)),
    )
    def register(
        self, moment: int | None, effort: str, resume: bool, retry: frozenset[str], share: int
    ) -> None:
        given = json.dumps({"register": {"effort": effort}})
        options = options_of(given, resume=resume, retry=retry)
        number = len(self.settings)
        self.settings.append(given)
        process = partial(register_as_written, run=number)
        photos = sorted(self.photos.iterdir())[::share]
        wanted = self.present()[::share]
        reported: list[rg.FrameResult] = []
        died = False
        with crashing(moment):
            try:
                run_stand_in(photos, self.store, options, process, reported)
            except CrashError:
                died = True
        there = self.read()
        # Nothing goes, and numbers stay
        assert there.keys() >= self.known.keys()
        assert {key: there[key][0] for key in self.known} == {
            key: index for key, (index, _) in self.known.items()
        }
        assert len({index for index, _ in there.values()}) == len(there)
        for result in reported:
            assert there[result.frame, result.sha256][1] == int(result.seconds)
        for key, (_, made_by) in there.items():
            before = self.known.get(key, (0, 0))[1]
            stands = (
                before > 0
                and resume
                and self.settings[before] == given
                and self.contents[key[1]].split()[0] not in retry
            )
            allowed = {before} if stands or key not in wanted else {number}
            assert made_by in allowed | ({before} if died else set())
        if not died:
            assert set(wanted) <= there.keys()
            assert len(reported) == len(wanted)
            assert {path.name for path in self.folder.iterdir()} <= {"run.h5", "photos"}
        self.known = there

    @precondition(lambda self: self.store.with_name("run.h5.journal").exists())
    @rule(share=st.floats(0.0, 0.99))
    def tear_journal(self, share: float) -> None:
        """What was on its way as the power went: a line without its end."""
        journal = self.store.with_name("run.h5.journal")
        for line in journal.read_bytes().splitlines()[-1:]:
            with journal.open("ab") as file:
                file.write(line[: int(share * len(line))])

    @precondition(lambda self: self.store.exists())
    @rule(grow=st.booleans())
    def merge(self, grow: bool) -> None:
        """Into itself by way of a copy: the union is the store."""
        other = self.folder / "other.h5"
        assert run("merge", self.store, "--out", other).code == 0
        if grow:
            assert run("merge", self.store, "--out", other, "--grow").code == 0
        before = other.read_bytes()
        assert run("merge", self.store, "--out", other).code == 2  # exists
        assert other.read_bytes() == before
        assert run("verify", other).code == 0
        merged = {
            (one.result.frame, one.result.sha256): int(one.result.seconds)
            for one in rg.open_store(other)
        }
        other.unlink()
        assert merged == {key: made_by for key, (_, made_by) in self.known.items()}

    @precondition(lambda self: self.store.exists())
    @rule()
    def verify(self) -> None:
        said = run("verify", self.store, "--json")
        assert said.code == 0, said.out
        assert said.records[0]["frames"] == len(self.known)

    @invariant()
    def holds_what_it_held(self) -> None:
        assert self.read() == self.known


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=settings.default.max_examples // 2, stateful_step_count=12
)
