"""Lines of NDJSON that say which photo they are of, and how they are known again."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from regengine.batch.mishaps import Mishap
from regengine.frame_id import frame_id_of
from regengine.records import printable

# All records begin alike; what is known of the photo's file stands at their end. Between the two
# may lie megabytes, which need not be read as JSON to know the photo again.
_TEXT = rb'"((?:[^"\\]|\\.)*)"'
_HEAD = re.compile(rb'\{"frame": ' + _TEXT + rb', "path": ' + _TEXT + rb'(, "failed": \{)?')
_TAIL = re.compile(
    rb', "command": "([a-z ]+)", "sha256": "([0-9a-f]{64})?", '
    rb'"parameters_sha256": "([0-9a-f]{64})"\}\n\Z'
)
TAIL_BYTES = 300
BEGINNING = b'{"frame": "'


@dataclass(frozen=True, kw_only=True)
class LineFacts:
    """What a line says of its photo.

    Attributes
    ----------
    command : str
        That wrote it.
    path, sha256 : str
        The photo's file as it was given, and its content; empty where it could not be read.
    parameters_sha256 : str
        Hash of the settings.
    failed : bool
        It says why there is no result.
    """

    command: str
    path: str
    sha256: str
    parameters_sha256: str
    failed: bool


def stamped(line: str, *, command: str, sha256: str, parameters_sha256: str) -> str:
    """A record's line with the command, the photo's hash and that of the settings at its end.

    Parameters
    ----------
    line : str
        A JSON object, without its line's end.
    command, sha256, parameters_sha256 : str
        Of this run.

    Returns
    -------
    str
    """
    known = {"command": command, "sha256": sha256, "parameters_sha256": parameters_sha256}
    return f"{line[:-1]}, {json.dumps(known)[1:]}"


def failed_line(path: Path, mishap: Mishap) -> str:
    """The record of a photo without a result."""
    return json.dumps(
        {
            "frame": printable(frame_id_of(path)),
            "path": printable(str(path)),
            "failed": {"code": mishap.code, "text": printable(mishap.text)},
        }
    )


def facts_of(line: bytes) -> LineFacts | None:
    """What a whole line, its end included, says of its photo; None if it was not stamped."""
    head, tail = _HEAD.match(line), _TAIL.search(line[-TAIL_BYTES:])
    if head is None or tail is None:
        return None
    try:
        path = json.loads(b'"' + head[2] + b'"')
    except ValueError:
        return None
    return LineFacts(
        command=tail[1].decode(),
        path=printable(path),
        sha256=(tail[2] or b"").decode(),
        parameters_sha256=tail[3].decode(),
        failed=head[3] is not None,
    )


def identity(path: str, sha256: str) -> int:
    """A number for what makes two photos the same: content and name, or path if unreadable.

    64 bits: of a million photos, two are taken for one with a chance of 3e-8.
    """
    text = f"{sha256}\n{Path(path).name}" if sha256 else f"\n{path}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def may_be_own(line: bytes) -> bool:
    """Whether a file's first line, damaged or cut as it is, may be a stamped one."""
    if line.endswith(b"}") and facts_of(line + b"\n") is None:
        return False  # whole, but not ours
    return line.startswith(BEGINNING) or BEGINNING.startswith(line)
