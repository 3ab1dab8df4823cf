"""Questions to a review server in another process, and what they cost it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.review_process import ReviewProcess

TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An answer: seconds on the clock, seconds of the server's processor time, and its body."""

    clock_s: float
    cpu_s: float
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)

    @property
    def size(self) -> int:
        """Of the body, bytes."""
        return len(self.body)


class Review:
    """A server from its start until the block is left; asked as its page asks it.

    Parameters
    ----------
    store : Path
        The store to review.
    lights : Path
        Night-light map.

    Attributes
    ----------
    started : Asked
        What it took until the server told its address.
    """

    def __init__(self, store: Path, lights: Path) -> None:
        begun = time.perf_counter()
        self._process = ReviewProcess(store, "--lights", str(lights), "--reviewer", "bench")
        clock_s = time.perf_counter() - begun
        self.started = Asked(clock_s=clock_s, cpu_s=self._cpu_s())
        parts = urlsplit(self._process.address)
        self._client = httpx.Client(
            base_url=f"{parts.scheme}://{parts.netloc}", timeout=TIMEOUT_S, follow_redirects=True
        )
        self._client.get(f"/?{parts.query}").raise_for_status()

    def __enter__(self) -> Review:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()
        self._process.__exit__(kind, error, traceback)

    def ask(self, path: str) -> Asked:
        """GET a path; RuntimeError where the answer is an error."""
        return self._measured(partial(self._client.get, f"/{path}"))

    def peak_mb(self) -> float:
        """Largest resident memory of the server so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024

    def _measured(self, get: Callable[[], httpx.Response]) -> Asked:
        cpu, clock = self._cpu_s(), time.perf_counter()
        answer = get()
        clock_s = time.perf_counter() - clock
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.url}: {answer.status_code} {answer.text}")
        return Asked(clock_s=clock_s, cpu_s=self._cpu_s() - cpu, body=answer.content)

    def _cpu_s(self) -> float:
        """Processor time of all threads so far, in steps of 10 ms."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
