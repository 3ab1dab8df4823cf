"""Compute fingerprints that identify files of any size, and read and write sha256sum lists."""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

from regengine.io.atomic import raise_as_store_error, write_whole
from regengine.io.decoding import open_regular
from regengine.io.tables import decode_text, split_lines

NAME = "SHA256SUMS"  # list of a folder, which ``sha256sum --check`` reads, too
MAX_FILES = 10_000  # whose hashes are kept
EDGE_BYTES = 1 << 20  # for maps of gigabytes: size, beginning and end distinguish them
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9._-]+)")


def compute_sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file, hexadecimal; OSError if another type or unreadable."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def compute_sha256_once(path: Path) -> str:
    """Return `compute_sha256`, cached until the file changes."""
    status = path.stat()
    return _compute_sha256_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=MAX_FILES)
def _compute_sha256_of(path: Path, mtime_ns: int, size: int) -> str:
    return compute_sha256(path)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's size, beginning and end, or of a folder's names and files.

    Hexadecimal; a file of up to 2 MiB is read completely.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for below in sorted(p for p in path.rglob("*") if p.is_file()):
            try:
                known = fingerprint(below)
            except OSError:  # the caller that needs the file reports that it cannot be read
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
    """Return checksums by file name; empty without a list; truncated lines are ignored."""
    try:
        lines = split_lines(decode_text((folder / NAME).read_bytes(), errors="replace"))
    except OSError:
        return {}
    matches = (_LINE.fullmatch(line) for line in lines)
    return {line[2]: line[1] for line in matches if line}


def add_sum(folder: Path, name: str, sha256: str, known: dict[str, str]) -> None:
    """Add a file's checksum to ``known`` and, flushed to the disk, to the folder's list.

    Raises StoreError if the list cannot be written.
    """
    replaces = name in known
    known[name] = sha256
    if replaces:
        lines = "".join(f"{known[name]}  {name}\n" for name in sorted(known))
        write_whole(folder / NAME, lines.encode())
        return
    with raise_as_store_error(folder / NAME), (folder / NAME).open("ab+") as stream:
        stream.seek(0, os.SEEK_END)
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":  # the last line was truncated by a kill
                stream.write(b"\n")
        stream.write(f"{sha256}  {name}\n".encode())
        stream.flush()
        os.fsync(stream.fileno())
