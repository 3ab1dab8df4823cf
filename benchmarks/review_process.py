"""A review server as a process of its own, which can be killed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
ROOT = Path(__file__).resolve().parents[1]


class ReviewProcess:
    """``regengine review`` on a store, from its start until the block is left.

    Parameters
    ----------
    store : Path
        The store to review.
    *options : str
        Further options of the command.
    port : int
        Port to listen on; 0 takes any.

    Attributes
    ----------
    store : Path
        The store.
    address : str
        Where a browser finds the page, with the token.
    port : int
        Where it listens.
    pid : int
        Of the process.

    Raises
    ------
    RuntimeError
        If the server ends before it has told its address.
    """

    def __init__(self, store: Path, *options: str, port: int = 0) -> None:
        self.store = store
        command = [sys.executable, str(ROOT / "cli.py"), "review", str(store)]
        self._process = subprocess.Popen(
            [*command, "--no-browser", "--port", str(port), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self.pid = self._process.pid
        self.address = self._told_address()
        self.port = urlsplit(self.address).port or 0

    def __enter__(self) -> ReviewProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._leave()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._leave()

    def _leave(self) -> None:
        try:
            self._process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _told_address(self) -> str:
        said: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = ADDRESS.search(line)
            if found is not None:
                return found[0]
            said.append(line)
        self._leave()
        raise RuntimeError("the review server did not start: " + "".join(said))
