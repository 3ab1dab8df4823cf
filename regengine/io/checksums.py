"""What tells whether a file of any size is the same as before; check sums as sha256sum has them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from regengine.io.atomic import write_whole
from regengine.io.regular import open_regular

NAME = "SHA256SUMS"  # of a folder, which ``sha256sum --check`` reads, too
EDGE_BYTES = 1 << 20  # maps of gigabytes: their size, beginning and end tell them apart
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9._-]+)")


def compute_sha256(path: Path) -> str:
    """SHA-256 of a regular file, hexadecimal; OSError where it is none or cannot be read."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's size, beginning and end; of a folder's names with those of its files.

    Hexadecimal; a file is read whole up to 2 MiB.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for below in sorted(p for p in path.rglob("*") if p.is_file()):
            try:
                known = fingerprint(below)
            except OSError:  # whoever needs it will tell that it cannot be read
                known = str(below.stat().st_size)
            digest.update(f"{below.relative_to(path)} {known}\n".encode())
        return digest.hexdigest()
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        digest.update(f"{size}\n".encode())
        digest.update(stream.read(EDGE_BYTES))
        stream.seek(max(size - EDGE_BYTES, stream.tell()))
        digest.update(stream.read())
    return digest.hexdigest()


def read_sums(folder: Path) -> dict[str, str]:
    """Check sums by file name, none without a list; a line that was cut short does not count."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = (_LINE.fullmatch(line) for line in lines)
    return {line[2]: line[1] for line in found if line}


def add_sum(folder: Path, name: str, sha256: str, known: dict[str, str]) -> None:
    """Note a file's sum in the folder's list and in ``known``, on the disk when this returns."""
    replaces = name in known
    known[name] = sha256
    if replaces:
        lines = "".join(f"{known[name]}  {name}\n" for name in sorted(known))
        write_whole(folder / NAME, lines.encode())
        return
    with (folder / NAME).open("ab+") as stream:
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # the last line was cut short by a kill
                stream.write(b"\n")
        stream.write(f"{sha256}  {name}\n".encode())
        stream.flush()
        os.fsync(stream.fileno())
