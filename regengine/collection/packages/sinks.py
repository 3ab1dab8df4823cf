"""Where a package's files go: a folder or a ZIP file, each whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from regengine.errors import ConfigError, StoreError
from regengine.io.atomic import check_new_file, put_in_place, sync_folder, unwritable_told
from regengine.io.checksums import sha256_of

SUMS = "SHA256SUMS"
README = "README.md"
BLOCK = 1 << 20
EPOCH = (1980, 1, 1, 0, 0, 0)  # of a ZIP file: the same content gives the same bytes


class ChangedError(Exception):
    """A file is gone, or not the one that it was; the sentence says which."""


class Sink(Protocol):
    """Takes a package's files, one by one."""

    def add_text(self, name: str, text: str) -> None:
        """A text that was made for the package."""
        ...

    def add_file(self, name: str, source: Path, sha256: str | None = None) -> None:
        """A file as it is, byte for byte."""
        ...


class FolderSink:
    """A folder; photos may be links to where they lie."""

    def __init__(self, folder: Path, *, link: bool) -> None:
        self.folder, self.link = folder, link
        self.sums: dict[str, str] = {}

    def add_text(self, name: str, text: str) -> None:
        """See `Sink`."""
        content = text.encode("utf-8")
        with self._new(name).open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        self.sums[name] = hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, source: Path, sha256: str | None = None) -> None:
        """See `Sink`."""
        path = self._new(name)
        if self.link:
            found = file_sha256(source)
            _check_same(source, found, sha256)
            path.symlink_to(source.absolute())
        else:
            try:
                with _opened(source) as stream, path.open("xb") as target:
                    found = _copied(stream, target)
                    target.flush()
                    os.fsync(target.fileno())
                _check_same(source, found, sha256)
            except ChangedError:
                path.unlink(missing_ok=True)
                raise
        self.sums[name] = found

    def _new(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class ZipSink:
    """A ZIP file; photos are stored as they are, since they are compressed already."""

    def __init__(self, file: zipfile.ZipFile, top: str) -> None:
        self.file, self.top = file, top
        self.sums: dict[str, str] = {}

    def add_text(self, name: str, text: str) -> None:
        """See `Sink`."""
        content = text.encode("utf-8")
        self.file.writestr(self._entry(name, zipfile.ZIP_DEFLATED), content)
        self.sums[name] = hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, source: Path, sha256: str | None = None) -> None:
        """See `Sink`; what is written into a ZIP file stays, so files are read twice."""
        before = file_sha256(source)
        _check_same(source, before, sha256)
        entry = self._entry(name, zipfile.ZIP_STORED)
        with _opened(source) as stream, self.file.open(entry, "w", force_zip64=True) as target:
            found = _copied(stream, target)
        if found != before:
            raise StoreError(f"{source} changed while it was read: run it again.")
        self.sums[name] = found

    def _entry(self, name: str, compression: int) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(f"{self.top}/{name}", EPOCH)
        entry.compress_type = compression
        entry.external_attr = 0o100644 << 16
        return entry


@contextmanager
def _told(source: Path) -> Iterator[None]:
    """ChangedError where a file cannot be read."""
    try:
        yield
    except OSError as error:
        raise ChangedError(f"{source} cannot be read ({error.strerror})") from error


def _opened(source: Path) -> IO[bytes]:
    with _told(source):
        return source.open("rb")


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy a stream; SHA-256 of what it holds."""
    digest = hashlib.sha256()
    while True:
        with _told(Path(source.name)):
            block = source.read(BLOCK)
        if not block:
            return digest.hexdigest()
        digest.update(block)
        target.write(block)


def file_sha256(source: Path) -> str:
    """SHA-256 of a file; ChangedError where it cannot be read."""
    with _told(source):
        return sha256_of(source)


def _check_same(source: Path, found: str, wanted: str | None) -> None:
    if wanted is not None and found != wanted:
        raise ChangedError(f"{source} is not the photo that was registered")


def check_package(out: Path, *, link: bool, force: bool) -> None:
    """ConfigError, before anything is read, unless a package can be written.

    What is no package is not replaced, whatever is forced.
    """
    if out.suffix.lower() == ".zip":
        if link:
            raise ConfigError("--link: a ZIP file holds no links; name a folder with --out.")
        check_new_file(out, (".zip",), force=force)
        return
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
def package_sink(out: Path, *, link: bool, force: bool) -> Iterator[Sink]:
    """A package that appears at the end of the block, with its sums, or not at all."""
    temporary = out.absolute().with_name(f".{os.getpid()}.{out.name[:100]}.tmp")
    try:
        with unwritable_told(out):
            if out.suffix.lower() == ".zip":
                with zipfile.ZipFile(temporary, "x") as file:
                    packed = ZipSink(file, out.stem or "package")
                    yield packed
                    packed.add_text(SUMS, sums_text(packed.sums))
                put_in_place(temporary, out)
            else:
                temporary.mkdir()
                folder = FolderSink(temporary, link=link)
                yield folder
                folder.add_text(SUMS, sums_text(folder.sums))
                _settle(temporary, out.absolute(), force)
                sync_folder(out.absolute().parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()


def sums_text(sums: dict[str, str]) -> str:
    """Sums as ``sha256sum -c`` reads them."""
    return "".join(f"{sum_}  {name}\n" for name, sum_ in sorted(sums.items()))


def _settle(made: Path, out: Path, force: bool) -> None:
    """Put a finished folder in its place; what was there is kept until it is."""
    for folder in (made, *(path for path in made.rglob("*") if path.is_dir())):
        sync_folder(folder)
    if os.path.lexists(out) and not _may_replace(out, force):
        raise ConfigError(f"--out {out} exists by now: nothing was written.")
    if not out.is_dir():
        made.rename(out)
        return
    old = out.with_name(f"{made.name}.old")
    out.rename(old)
    try:
        made.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
