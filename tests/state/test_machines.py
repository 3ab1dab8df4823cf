"""Machines of states: a store under runs, crashes and merges, and two people who decide."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import regengine as rg
from tests.world.batches import (
    CrashError,
    crashing,
    options_of,
    register_as_written,
    run_stand_in,
)
from tests.world.pages import WORK, Client, copy_store, serve
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


PEOPLE, FRAMES = ("Ada", "Bob"), (8, 24)
STATUSES = ("done", "disputed", "second", "dependent")
WHO, FRAME = st.sampled_from(PEOPLE), st.sampled_from((8, 8, 8, 24))  # they meet
TAGS = st.lists(st.sampled_from(("fog", "moon")), max_size=2, unique=True)


class ReviewMachine(RuleBasedStateMachine):
    """The review's server beside a list of what was decided."""

    def __init__(self, store: Path) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.copy = copy_store(store, Path(self.folder.name) / "store")
        self.servers: dict[str, AbstractContextManager[Client]] = {}
        self.clients: dict[str, Client] = {}
        self.history: dict[int, list[dict[str, Any]]] = {frame: [] for frame in FRAMES}
        self.drafts: dict[tuple[str, int], dict[str, Any]] = {}
        self.looks = 0
        for who in PEOPLE:
            self.begin(who)

    def begin(self, who: str) -> None:
        """All look at the same store, each by a server of his own."""
        self.servers[who] = serve(self.copy, reviewer=who)
        self.clients[who] = self.servers[who].__enter__()

    def teardown(self) -> None:
        """End all servers."""
        for server in self.servers.values():
            server.__exit__(None, None, None)
        self.folder.cleanup()

    def of(self, who: str, frame: int) -> list[dict[str, Any]]:
        """What one person decided of a frame, oldest first."""
        return [one for one in self.history[frame] if one["reviewer"] == who]

    def heads(self, frame: int) -> list[dict[str, Any]]:
        """What each person decided last, newest first."""
        latest = [one for who in PEOPLE for one in self.of(who, frame)[-1:]]
        return sorted(latest, key=lambda one: -one["revision"])

    def decide(self, who: str, frame: int, decision: str, base: int, **work: Any) -> dict[str, Any]:
        """A decision, which is told what its page had not loaded; what was sent."""
        before, count = self.of(who, frame), sum(map(len, self.history.values()))
        sent = WORK | work | {"base": base, "seconds": float(count), "tab": who}
        answer = self.clients[who].decide(frame, decision, **sent)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        unseen = [one["revision"] for one in before[-1:] if one["revision"] != base]
        assert [one["revision"] for one in [told["conflict"]] if one] == unseen
        assert told["revision"] == count + 1
        made = {"reviewer": who, "decision": decision, "revision": count + 1}
        self.history[frame].append(made | {name: sent[name] for name in ("tags", "comment")})
        self.drafts.pop((who, frame), None)
        others = [one["revision"] for one in self.heads(frame) if one["reviewer"] != who]
        assert [one["revision"] for one in told["others"]] == others
        return sent

    @rule(who=WHO, frame=FRAME, comment=st.sampled_from(("", "so far", None)))
    def draft(self, who: str, frame: int, comment: str | None) -> None:
        """Unfinished work is kept, in place of what was there, or thrown away."""
        client, address = self.clients[who], f"/api/frames/{frame}/draft"
        self.drafts.pop((who, frame), None)
        if comment is None:
            assert client.ask("DELETE", f"{address}?tab={who}").status_code == 204
        else:
            self.drafts[who, frame] = WORK | {"comment": comment}
            body = self.drafts[who, frame] | {"tab": who}
            assert client.ask("PUT", address, json=body).status_code == 200

    @rule(
        who=WHO,
        frame=FRAME,
        decision=st.sampled_from(("rejected", "unsure")),
        tags=TAGS,
        stale=st.booleans(),
        drafted=st.booleans(),
        twice=st.booleans(),
    )
    def choose(
        self, who: str, frame: int, decision: str, tags: list[str], stale: bool,
        drafted: bool, twice: bool,
    ) -> None:  # fmt: skip
        """On what the page had loaded: the person's last revision, or one before it."""
        if drafted:
            self.draft(who, frame, "so far")
        known = [0, *(one["revision"] for one in self.of(who, frame))]
        sent = self.decide(who, frame, decision, known[-2:][0] if stale else known[-1], tags=tags)
        if twice:  # the answer was lost: it is there once
            answer = self.clients[who].decide(frame, decision, **sent).json()
            last = self.of(who, frame)[-1]["revision"]
            assert (answer["revision"], answer["conflict"]) == (last, None)

    @rule(who=WHO, frame=FRAME)
    def accept(self, who: str, frame: int) -> None:
        """As the engine proposed it."""
        told = self.clients[who].told(f"frames/{frame}")
        base = max((one["revision"] for one in self.of(who, frame)), default=0)
        self.decide(who, frame, "accepted", base, camera=told["camera"], points=told["points"])

    @rule(who=WHO, frame=FRAME)
    def undo(self, who: str, frame: int) -> None:
        """What stood before the last decision stands again, as a decision of its own."""
        own = self.of(who, frame)
        if len(own) > 1 and own[-2]["decision"] != "accepted":
            work = {name: own[-2][name] for name in ("tags", "comment")}
            self.decide(who, frame, own[-2]["decision"], own[-1]["revision"], **work)

    @rule(who=WHO)
    def begin_again(self, who: str) -> None:
        """A server ends, and another looks at the same files."""
        self.servers[who].__exit__(None, None, None)
        self.begin(who)

    @invariant()
    def what_is_told_follows_what_was_done(self) -> None:
        """Each time to another person, of each frame."""
        self.looks += 1
        who, status = PEOPLE[self.looks % 2], STATUSES[self.looks // 2 % 4]
        client = self.clients[who]
        rows = {row["id"]: row for row in client.told("frames?id=8&id=24")["frames"]}
        expected: dict[str, set[int]] = {name: set() for name in STATUSES}
        tags: Counter[str] = Counter()
        for frame, history in self.history.items():
            told, heads = client.told(f"frames/{frame}/history"), self.heads(frame)
            names = ("reviewer", "decision", "revision", "tags", "comment")
            assert [{name: one[name] for name in names} for one in told] == history[::-1]
            told = client.told(f"frames/{frame}")
            latest = [one["revision"] for one in told["decisions"]]
            assert latest == [one["revision"] for one in heads]
            assert told["draft"] == self.drafts.get((who, frame))
            disputed = len({one["decision"] for one in heads}) > 1
            row = rows[frame]
            assert row["decision"] == (heads[0]["decision"] if heads else None)
            assert (row["reviewers"], row["disputed"]) == (len(heads), disputed)
            tags.update({tag for one in heads for tag in one["tags"]})
            second = bool(history) and not self.of(who, frame)
            for name, is_so in zip(STATUSES, (bool(heads), disputed, second, False), strict=True):
                expected[name] |= {frame} if is_so else set()
        assert set(client.told(f"queue?status={status}&limit=0")["ids"]) == expected[status]
        assert client.told("facets")["tag"] == tags


@pytest.mark.parametrize("examples", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_two_people_in_any_order(store: Path, examples: int) -> None:
    run_state_machine_as_test(
        partial(ReviewMachine, store),
        settings=settings(
            max_examples=examples, stateful_step_count=10, derandomize=True, deadline=None
        ),
    )
