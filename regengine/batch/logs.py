"""Messages on standard error: plain lines, or JSON for other programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO


class JsonLines(logging.Formatter):
    """One JSON object a message."""

    def format(self, record: logging.LogRecord) -> str:
        """The message as JSON: time, level, message, and the traceback where there is one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class StandardError(logging.StreamHandler):
    """Writes to the ``sys.stderr`` of the moment, which a progress bar may have redirected."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """The standard error of now."""
        return sys.stderr


def configure_logging(*, quiet: bool, as_json: bool) -> None:
    """Send regengine's messages to standard error.

    Parameters
    ----------
    quiet : bool
        Only errors.
    as_json : bool
        JSON lines instead of plain ones.
    """
    handler = StandardError()
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(message)s"))
    logger = logging.getLogger("regengine")
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    logger.propagate = False
