"""A thousand requests that make no sense: each is answered by a sentence, none breaks anything."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store
from tests.regengine.review.made_review import BASE, WORK, opened

PER_ROUTE = 13  # thinking them up takes most of the time: each is sent in several wrong ways
SENT = ("method", "url", "params", "json", "content", "data", "headers")
GARBAGE = ("", "{", "[" * 5000, "null", '"\\ud800"', "1e999", '{"a":' * 500, "\x00\xff", "[1,2")
SEGMENTS = ("-1", "9" * 30, "NaN", "%00", "..%2f..", "%F0%9F%92%A9", "1e5", "' OR 1=1--", "%ff")


def worse(sent: dict[str, Any], path: str, number: int) -> Iterator[dict[str, Any]]:
    """The same request with a frame that there is, with other nonsense in its path and its body."""
    there = re.sub(r"{\w+}", "0", path)
    odd = re.sub(r"{\w+}", lambda _: SEGMENTS[number % len(SEGMENTS)], path)
    yield sent | {"url": BASE + there}
    yield sent | {"url": BASE + odd}
    garbage = GARBAGE[number % len(GARBAGE)]
    headers = {"content-type": "application/json"}
    yield {k: v for k, v in sent.items() if k != "json"} | {
        "url": BASE + there,
        "content": garbage.encode("latin-1"),
        "headers": headers,
        "params": dict.fromkeys(("limit", "bbox", "q", "size", "sort", "text"), garbage[:99]),
    }
    yield sent | {"url": BASE + there, "json": [sent.get("json")]}


class Asker:
    """Sends what a server's description does not allow, and keeps what is answered."""

    def __init__(self, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client, self._loop = client, loop
        self.answers: list[tuple[str, httpx.Response]] = []

    def ask(self, label: str, **sent: Any) -> httpx.Response:
        answer = self._loop.run_until_complete(self._client.request(**sent))
        self.answers.append((label, answer))
        return answer

    def ask_nonsense(self, operation: Any) -> None:
        """Some requests to one route."""

        @settings(
            max_examples=PER_ROUTE,
            database=None,
            derandomize=True,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def ask(case: schemathesis.Case) -> None:
            whole = case.as_transport_kwargs(base_url=BASE)
            sent = {name: whole[name] for name in SENT if name in whole}
            for other in (sent, *worse(sent, operation.full_path, len(self.answers))):
                self.ask(operation.label, **other)

        try:
            ask()
        except Unsatisfiable:  # a route that takes nothing can be asked no nonsense
            self.ask(operation.label, method=operation.method, url=operation.full_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the tool's own
def test_a_thousand_malformed_requests(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [proposal(), nothing_found()])
    loop = asyncio.new_event_loop()
    with opened(store) as browser:
        asker = Asker(
            httpx.AsyncClient(transport=browser.transport, base_url=BASE, cookies=browser.cookies),
            loop,
        )
        browser.get("/api/jobs/none")  # from then on the whole server answers
        description = asker.ask("", method="GET", url="/api/openapi.json").json()
        operations = [
            found.ok() for found in schemathesis.openapi.from_dict(description).get_all_operations()
        ]
        for operation in operations:
            asker.ask_nonsense(operation)
        wrong = [
            (label, answer.status_code, str(answer.request.url), answer.text[:200])
            for label, answer in asker.answers
            if answer.status_code >= 500
            or (answer.status_code >= 400 and not isinstance(answer.json().get("detail"), str))
        ]
        assert wrong == []
        refused = Counter(label for label, answer in asker.answers if answer.status_code >= 400)
        assert len(asker.answers) >= 1000
        assert sum(refused.values()) > 0.8 * len(asker.answers)
        # And it works as before
        body = WORK | {"decision": "accepted", "base": 0}
        saved = asker.ask("", method="PUT", url="/api/frames/1/decision", json=body)
        assert saved.status_code == 200
    loop.close()
