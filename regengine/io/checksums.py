"""What tells whether a file of any size is the same as before."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from regengine.io.atomic import write_whole

EDGE_BYTES = 1 << 20  # maps of gigabytes: their size, beginning and end tell them apart


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's size, beginning and end; of a folder's names and sizes.

    Parameters
    ----------
    path : Path
        A file, read whole up to 2 MiB, or a folder.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for below in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{below.relative_to(path)} {below.stat().st_size}\n".encode())
        return digest.hexdigest()
    size = path.stat().st_size
    digest.update(f"{size}\n".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(EDGE_BYTES))
        stream.seek(max(size - EDGE_BYTES, stream.tell()))
        digest.update(stream.read())
    return digest.hexdigest()


# The file SHA256SUMS of a folder, which ``sha256sum --check`` reads, too.

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9._-]+)")
_CHUNK = 1 << 20


def read_sums(folder: Path) -> dict[str, str]:
    """Check sums by file name; a line that was cut short does not count.

    Parameters
    ----------
    folder : Path
        With or without a list of sums.
    """
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = (_LINE.fullmatch(line) for line in lines)
    return {line[2]: line[1] for line in found if line}


def add_sum(folder: Path, name: str, sha256: str, known: dict[str, str]) -> None:
    """Note a file's sum, on the disk when this returns.

    Parameters
    ----------
    folder : Path
        Of the file.
    name : str
        The file's.
    sha256 : str
        Its sum.
    known : dict of str to str
        All sums of the folder; gets the new one.
    """
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


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
