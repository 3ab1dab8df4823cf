"""The folder of a package: written beside its place, and put there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regengine.errors import ConfigError
from regengine.io.atomic import sync_folder, unwritable_told
from regengine.io.checksums import sha256_of

SUMS = "SHA256SUMS"
README = "README.md"
BLOCK = 1 << 20


class ChangedError(Exception):
    """A file is gone, or not the one that it was; the sentence says which."""


class PackageFolder:
    """Takes a package's files one by one; photos may be links to where they lie."""

    def __init__(self, folder: Path, *, link: bool) -> None:
        self.folder, self.link = folder, link
        self.sums: dict[str, str] = {}

    def add_text(self, name: str, text: str) -> None:
        """A text that was made for the package."""
        content = text.encode("utf-8")
        with self._new(name).open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        self.sums[name] = hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, source: Path, sha256: str | None = None) -> None:
        """A file as it is, byte for byte; ChangedError if it is gone or has another hash."""
        path = self._new(name)
        try:
            found = file_sha256(source) if self.link else _copy(source, path)
            if sha256 is not None and found != sha256:
                raise ChangedError(f"{source} is not the photo that was registered")
        except ChangedError:
            path.unlink(missing_ok=True)
            raise
        if self.link:
            path.symlink_to(source.absolute())
        self.sums[name] = found

    def _new(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _copy(source: Path, path: Path) -> str:
    """Copy a file; SHA-256 of what was written. ChangedError where it cannot be read."""
    digest = hashlib.sha256()
    with _readable(source):
        stream = source.open("rb")
    with stream, path.open("xb") as target:
        while True:
            with _readable(source):
                block = stream.read(BLOCK)
            if not block:
                break
            digest.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()


def file_sha256(source: Path) -> str:
    """SHA-256 of a file; ChangedError where it cannot be read."""
    with _readable(source):
        return sha256_of(source)


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ChangedError(f"{source} cannot be read ({error.strerror})") from error


def check_package(out: Path, *, force: bool) -> None:
    """ConfigError, before anything is read, unless a package can be written.

    What is no package is not replaced, whatever is forced.
    """
    folder = out.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or out.name in ("", ".", ".."):
        raise ConfigError(
            f"--out {out} cannot be written: name a folder in one that exists and that you may "
            "write to."
        )
    if os.path.lexists(out) and not _may_replace(out, force):
        remedy = "replace it with --force" if is_package(out) else "it is no package"
        raise ConfigError(f"--out {out} exists: name another folder; {remedy}.")


def is_package(folder: Path) -> bool:
    """Whether a folder is a package that was made here."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all((folder / name).is_file() for name in (SUMS, README))


def _may_replace(out: Path, force: bool) -> bool:
    empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    return empty or (force and is_package(out))


@contextmanager
def package_folder(out: Path, *, link: bool, force: bool) -> Iterator[PackageFolder]:
    """A package that appears at the end of the block, with its sums, or not at all."""
    out = out.absolute()
    made = out.with_name(f".{os.getpid()}.{out.name[:100]}.tmp")
    try:
        with unwritable_told(out):
            made.mkdir()
            package = PackageFolder(made, link=link)
            yield package
            sums = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(package.sums.items()))
            package.add_text(SUMS, sums)
            for folder in (made, *(path for path in made.rglob("*") if path.is_dir())):
                sync_folder(folder)
            if os.path.lexists(out) and not _may_replace(out, force):
                raise ConfigError(f"--out {out} exists by now: nothing was written.")
            old = out.with_name(f"{made.name}.old")
            if out.is_dir():
                out.rename(old)
            try:
                made.rename(out)
            except OSError:
                if old.is_dir():
                    old.rename(out)
                raise
            shutil.rmtree(old, ignore_errors=True)
            sync_folder(out.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
