"""Two people decide on the same frames in any order: history only grows, heads follow it."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.world.pages import WORK, Client, copy_store, serve

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
        sent = WORK | work | {"base": base, "seconds": float(count)}
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
            assert client.ask("DELETE", address).status_code == 204
        else:
            self.drafts[who, frame] = WORK | {"comment": comment}
            assert client.ask("PUT", address, json=self.drafts[who, frame]).status_code == 200

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
