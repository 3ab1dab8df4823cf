"""The review server, in this process and beside a browser."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from tests.world.browser import CHROMIUM, open_browser
from tests.world.hand import ReviewHand
from tests.world.program import begin
from tests.world.runs import LIGHTS
from tests.world.samples import sample_store
from tests.world.shared import make_once

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Browser, BrowserContext

    from regengine.pages.review.server import Access

PORT = 8123
WITH_MAP = ("--lights", LIGHTS)
BASE = f"http://127.0.0.1:{PORT}"
WORK: dict[str, Any] = {
    "camera": None,
    "points": [],
    "hypothesis": None,
    "comment": "",
    "tags": [],
    "quality": None,
    "place": None,
}


class Client:
    """Asks a server in this process, as a browser does: keeps its cookies, follows nothing.

    ``token`` and ``once`` are those of the addresses that are printed and given to the browser.
    """

    def __init__(self, app: Any, access: Access) -> None:
        import httpx

        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.cookies = httpx.Cookies()
        self.token, self.once = access.token, access.once

    def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        import httpx

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self.transport, base_url=BASE, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **sent)
                self.cookies = client.cookies
                return answer

        return asyncio.run(asked())

    def told(self, path: str) -> Any:
        """What the API answers below ``/api/``."""
        answer = self.ask("GET", f"/api/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.ask("POST", f"/api/{path}", json=body)

    def decide(self, frame: int, decision: str, **work: Any) -> httpx.Response:
        """A decision; what is not told of the work is empty."""
        body = WORK | {"decision": decision, "base": 0, "seconds": 1.5} | work
        return self.ask("PUT", f"/api/frames/{frame}/decision", json=body)

    def look_through(
        self, count: int, wrong: Sequence[int] = (), doubtful: Sequence[int] = ()
    ) -> Any:
        """Begin a sheet, look at all its photos, mark some of them: the sheet, and the answer."""
        sheet = self.post(f"sheets?count={count}", None).json()
        for tile in range(len(sheet["tiles"])):
            answer = self.ask("GET", f"/api/sheets/{sheet['sheet']}/{tile}/photo.jpg")
            assert answer.status_code == 200, answer.text
        said = {"wrong": list(wrong), "doubtful": list(doubtful), "seconds": 60.0}
        answer = self.post(f"sheets/{sheet['sheet']}", said)
        assert answer.status_code == 200, answer.text
        assert self.post(f"sheets/{sheet['sheet']}", said).json() == answer.json()
        return sheet, answer.json()

    def accept(self, frame: int, **work: Any) -> httpx.Response:
        """Accept a frame as the engine proposed it."""
        told = self.told(f"frames/{frame}")
        return self.decide(frame, "accepted", camera=told["camera"], points=told["points"], **work)


@contextmanager
def serve(store: Path, *, admitted: bool = True, **options: Any) -> Iterator[Client]:
    """Serve a store; the client has opened the printed address, if it is ``admitted``."""
    from regengine.pages.review.server import Access, make_guarded_app, open_review

    access = Access()
    with open_review(store, reviewer=options.pop("reviewer", "Ada"), **options) as context:
        client = Client(make_guarded_app(context, access, port=PORT), access)
        if admitted:
            assert client.ask("GET", f"/?token={access.token}").status_code == 303
        yield client


def hold_frames(monkeypatch: pytest.MonkeyPatch, first: int) -> Event:
    """Let no server read frames from that number on, before the event is set."""
    from regengine.pages.review.queue import ReviewFrames

    may_read, read = Event(), ReviewFrames.frame

    def read_late(frames: ReviewFrames, number: int) -> Any:
        assert number < first or may_read.wait(60.0)
        return read(frames, number)

    monkeypatch.setattr(ReviewFrames, "frame", read_late)
    return may_read


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run.h5`` of the samples with right and wrong proposals and their photos; to be copied."""
    return make_once(tmp_path_factory, "samples", lambda folder: sample_store(folder)) / "run.h5"


@pytest.fixture
def sample_review(samples: Path, tmp_path: Path) -> Path:
    return copy_store(samples, tmp_path / "samples")


@pytest.fixture
def review_store(store: Path, tmp_path: Path) -> Path:
    return copy_store(store, tmp_path / "store")


def copy_store(store: Path, folder: Path) -> Path:
    shutil.copytree(store.parent, folder)
    return folder / store.name


@pytest.fixture
def sample_client(sample_review: Path) -> Iterator[Client]:
    """A review of the samples with their map."""
    with serve(sample_review, lights=[LIGHTS]) as client:
        yield client


class ReviewProcess:
    """``regengine review`` as a process, from its start until the block is left.

    Its ``address`` is where a browser finds the page, with the token.
    """

    def __init__(self, store: Path, *words: object) -> None:
        self.store = store
        self.process: subprocess.Popen[str] = begin("review", store, "--no-browser", *words)
        said: list[str] = []
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+token=[\w-]+", line):
                self.address = found[0]
                return
        pytest.fail("the review did not start: " + "".join(said) + self.process.stderr.read())

    def __enter__(self) -> ReviewProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.end()

    def end(self) -> None:
        self.process.communicate(timeout=30)


# The store that the tests of the page share: each decides frames of its own
COPIES = {
    "right": "ISS990-E-000104",
    "wrong": "ISS990-E-000103",
    "runner_up": "ISS990-E-000103",
    "left unplaced": "ISS990-E-000105",
    "far": "ISS990-E-000103",
    "searched": "ISS990-E-000103",
    "limb": "ISS990-E-000106",
    "tabs": "ISS990-E-000104",
    "late one": "ISS990-E-000104",
    "late two": "ISS990-E-000106",
    "seen": "ISS990-E-000104",
    "<img src=x onerror=document.title='run'>": "ISS990-E-000101",
    "\"><script>document.title='run'<\u2215script>": "ISS990-E-000101",
    "\u202egpj.exe": "ISS990-E-000101",
}
FRAMES = {name: number for number, name in enumerate(COPIES)}
PATIENCE_MS = 120_000  # a slow machine is no failure


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file of tests: while it runs, no other test can run an event loop."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(browser: Browser) -> Iterator[BrowserContext]:
    """A person's browser at the smallest screen that is asked: cookies, storage, cache."""
    from playwright.sync_api import expect

    context = browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewProcess]:
    """A server on the frames of `COPIES`, for Ada."""
    folder = tmp_path_factory.mktemp("page") / "a <b>&amp; store"
    store = sample_store(folder, [(sample, name) for name, sample in COPIES.items()])
    with ReviewProcess(store, *WITH_MAP, "--reviewer", "Ada") as process:
        yield process


@pytest.fixture
def hand(desk: BrowserContext, page_server: ReviewProcess) -> Iterator[ReviewHand]:
    """A person who goes to the page; what it throws, or its policy refuses, fails the test."""
    hand = ReviewHand(desk.new_page(), page_server.address)
    yield hand
    assert hand.problems == []
    hand.page.close()
