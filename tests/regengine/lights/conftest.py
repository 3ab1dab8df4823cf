"""What the tests of downloads share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tile_server import TileServer

from regengine.lights.downloader import Downloader


@pytest.fixture
def server(socket_enabled: None) -> Iterator[TileServer]:
    """A tile service on this machine."""
    service = TileServer()
    yield service
    service.close()


@pytest.fixture
def downloader() -> Downloader:
    """With short pauses between attempts; as patient as a real one with a machine that is busy."""
    return Downloader(attempts=3, backoff_s=0.01)
