"""How the archive's server is treated: one request at a time, with pauses, and patiently."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How often, how patiently and how much.

    Attributes
    ----------
    pause_s : float
        From the beginning of one request to the next.
    attempts : int
        Tries per request where the fault may pass.
    backoff_s : float
        Pause before the second try, doubled each time, times a random 0.5 to 1.5 so that many
        clients do not come back at once.
    longest_wait_s : float
        A server that asks to wait longer (Retry-After) is left alone.
    idle_s : float
        Longest silence of the server.
    total_s : float
        Longest time for one answer or file.
    """

    pause_s: float = 1.0
    attempts: int = 5
    backoff_s: float = 2.0
    longest_wait_s: float = 300.0
    idle_s: float = 60.0
    total_s: float = 1800.0


@dataclass
class Pace:
    """Keeps the time between requests; one for all that a program asks of a server."""

    manners: Manners
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: random.Random = field(default_factory=random.Random)
    _last: float | None = None

    def before_request(self) -> None:
        """Wait until the next request may begin."""
        if self._last is not None:
            left_s = self._last + self.manners.pause_s - self.clock()
            if left_s > 0.0:
                self.sleep(left_s)
        self._last = self.clock()

    def before_try(self, number: int, asked_s: float | None) -> None:
        """Wait before a further try.

        Parameters
        ----------
        number : int
            1 before the second try.
        asked_s : float or None
            What the server asks for at least.
        """
        backoff_s = self.manners.backoff_s * 2.0 ** (number - 1) * self.random.uniform(0.5, 1.5)
        self.sleep(max(backoff_s, asked_s or 0.0))


def retry_after_s(text: str | None, now: Callable[[], datetime] | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3).

    Parameters
    ----------
    text : str or None
        Seconds, or a date.
    now : callable, optional
        The present moment, aware.

    Returns
    -------
    float or None
        Not below zero; None where the header is missing or none.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    present = datetime.now(UTC) if now is None else now()
    return max((moment - present).total_seconds(), 0.0)
