"""Files of map services: tried again, checked, and the token only where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from regengine.errors import LightMapError
from regengine.io.atomic import replacements
from regengine.io.http import HttpClient, HttpFailure, RetryPolicy
from regengine.io.urls import host_of

# The name of a variable, not what is in it
TOKEN_VARIABLE = "EARTHDATA_TOKEN"  # noqa: S105
TOKEN_HOSTS = ("earthdata.nasa.gov", "earthdatacloud.nasa.gov", "eosdis.nasa.gov")

Check = Callable[[Path], None]
Progress = Callable[[int, int], None]  # done, in total


class WrongContent(Exception):
    """What came is whole but not what was asked for; the message ends a sentence."""


@dataclass(frozen=True, kw_only=True)
class Downloader:
    """Downloads files, some at a time."""

    connections: int = 4  # files at a time
    # Earthdata bearer token, sent to NASA's Earthdata hosts over https and nowhere else.
    token: str = field(default="", repr=False)

    def save(self, url: str, path: Path, check: Check) -> bool:
        """Download one file; it appears under its name only when it is whole and checked.

        ``check`` raises WrongContent, or an HttpFailure, after which it is tried again, if the file
        at a path is not what it should be. False if the server has no such file (404).
        LightMapError if the host cannot be reached, refuses, or keeps failing.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacements((path,), ending=".part", sync=False) as (part,):
                self._client.retry(lambda: self._transfer(url, part, check))
            return True
        except HttpFailure as failure:
            if failure.status in (404, 410):
                return False
            raise _sentence(failure, host_of(url)) from failure
        except WrongContent as error:
            raise LightMapError(f"{host_of(url)} answered {error}.") from error
        except OSError as error:
            if isinstance(error, LightMapError):
                raise
            raise LightMapError(
                f"{path} cannot be written ({error.strerror}): make sure that the folder may be "
                "written to and has room, then run the same command again."
            ) from error

    def save_all(
        self, jobs: Iterable[Callable[[], None]], progress: Progress = lambda done, total: None
    ) -> None:
        """Run jobs, a few at a time; the first failure stops those not begun and is raised."""
        with ThreadPoolExecutor(max_workers=self.connections) as pool:
            futures = [pool.submit(job) for job in jobs]
            total, left = len(futures), set(futures)
            try:
                while left:
                    done, left = wait(left, timeout=0.2, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    progress(total - len(left), total)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _client(self) -> HttpClient:
        return HttpClient(
            RetryPolicy(connect_attempts=2),
            may_follow=lambda source, target: True,
            authorization=self._authorization,
            connections=self.connections,
        )

    def _authorization(self, url: str) -> str | None:
        return f"Bearer {self.token}" if self.token and may_have_token(url) else None

    def _transfer(self, url: str, part: Path, check: Check) -> None:
        with part.open("wb") as file:
            self._client.copy(url, file)
        check(part)


def may_have_token(url: str) -> bool:
    """Whether an address is one of NASA's Earthdata hosts, over https."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme == "https" and any(
        host == name or host.endswith(f".{name}") for name in TOKEN_HOSTS
    )


def _sentence(failure: HttpFailure, host: str) -> LightMapError:
    status = failure.status
    if status in (401, 403):
        return LightMapError(
            f"{host} refuses access (status {status}): get a token at "
            f"urs.earthdata.nasa.gov, put it into the environment variable {TOKEN_VARIABLE}, "
            "and accept the product's terms there if it has any."
        )
    if status and not failure.passes:
        return LightMapError(
            f"{host} rejects the request with status {status}: check the address and the level."
        )
    if status:
        return LightMapError(
            f"{host} failed with status {status} in {failure.tries} attempts: try again later; "
            "what was fetched is kept."
        )
    if failure.kind == "away":
        return LightMapError(
            f"{host} answered with a redirection to something that is no web address."
        )
    detail = f"only {failure}" if failure.kind == "cut" else failure
    return LightMapError(
        f"{host} cannot be reached ({detail}): check the network connection and run the same "
        "command again (what was fetched is kept), or give a map that you have: "
        "regengine lights get --from MAP.",
        code="offline",
    )
