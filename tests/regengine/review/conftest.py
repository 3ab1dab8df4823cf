"""The review of the sample photographs, for all tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.regengine.review.made_review import Browser, opened
from tests.regengine.review.sample import LIGHTS, sample_store


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    store = sample_store(tmp_path_factory.mktemp("review") / "run")
    with opened(store, lights=[LIGHTS], reviewer="tester") as browser:
        yield browser
