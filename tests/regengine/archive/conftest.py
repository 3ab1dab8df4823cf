"""An archive on this machine, and a client that waits without losing time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from regengine.archive.web import ArchiveClient
from tests.regengine.archive.archive_server import ArchiveServer, archive_server


@pytest.fixture
def archive() -> Iterator[ArchiveServer]:
    with archive_server() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """Pauses that a client would have made."""
    return []


@pytest.fixture
def client(pauses: list[float]) -> Callable[..., ArchiveClient]:
    def make(**manners: float) -> ArchiveClient:
        given = {"pause_s": 0.0, "attempts": 3, "backoff_s": 1.0, "idle_s": 5.0, **manners}
        web = ArchiveClient(**given)
        web.sleep = pauses.append
        web.random = random.Random(1)
        return web

    return make
