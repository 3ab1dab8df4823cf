"""Download current element sets from a source that requires no account."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from detectors.constants import DAY_S
from regengine.errors import EphemerisError
from regengine.io.http import HttpClient, HttpFailure, RetryPolicy
from regengine.io.urls import parse_host
from regengine.orbit.tle_format import check_pairs, pair_lines

CELESTRAK = "https://celestrak.org/NORAD/elements/gp.php?CATNR=25544&FORMAT=tle"
# Downloaded sets are current; for older photos, the place along the orbit is unknown
LATEST_DAYS = 30.0
WHERE_ELSE = (
    "get element sets of the ISS (25544) around that date from space-track.org (GP history, free "
    "account) or from CelesTrak's archive (celestrak.org/NORAD/archives), and add the file with "
    "regengine tle add FILE"
)


def check_reach(around: datetime, now: datetime | None = None) -> None:
    """Raise EphemerisError, with a source of files, for a time that current sets do not cover."""
    days = abs(((now or datetime.now(UTC)) - around).total_seconds()) / DAY_S
    if days > LATEST_DAYS:
        raise EphemerisError(
            f"No source without an account has element sets of {around:%Y-%m-%d}: {WHERE_ELSE}."
        )


def fetch_latest() -> bytes:
    """Download the ISS's latest element sets; EphemerisError if the source fails or has none.

    The source is CelesTrak, or the address in the environment variable REGENGINE_CELESTRAK.
    """
    url = os.environ.get("REGENGINE_CELESTRAK") or CELESTRAK
    client = HttpClient(
        RetryPolicy(attempts=3),
        # Redirections to another host are only followed to https
        may_follow=lambda source, target: target.startswith("https://"),
    )
    try:
        content = client.read(url, 20)
    except HttpFailure as failure:
        raise EphemerisError(
            f"{parse_host(url)} cannot be reached for element sets ({failure}): try again later, "
            f"or {WHERE_ELSE}."
        ) from failure
    pairs, _ = pair_lines(content.decode("utf-8", errors="replace"))
    if not check_pairs(pairs)[0]:
        raise EphemerisError(
            f"{parse_host(url)} answered with something other than element sets: try again later."
        )
    return content
