"""Write a package's folder atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regengine.errors import ConfigError
from regengine.io.atomic import raise_as_store_error, sync_folder
from regengine.io.checksums import compute_sha256

SUMS = "SHA256SUMS"
README = "README.md"


class ChangedError(Exception):
    """A file is missing or has changed; the message says which."""


class PackageFolder:
    """Adds files to a package one by one; photos may be links to the originals."""

    def __init__(self, folder: Path, *, link: bool) -> None:
        self.folder, self.link = folder, link

    def path(self, name: str) -> Path:
        """Where a file of the package is to be written."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add_text(self, name: str, text: str) -> None:
        """Add a text that was generated for the package."""
        self.path(name).write_text(text, encoding="utf-8", newline="")

    def add_file(self, name: str, source: Path, sha256: str | None = None) -> None:
        """Add a file unchanged; ChangedError if it is missing or has another hash."""
        content = read_file(source)
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise ChangedError(f"{source} is not the photo that was registered")
        path = self.path(name)
        if self.link:
            path.symlink_to(source.absolute())
        else:
            path.write_bytes(content)


def read_file(source: Path) -> bytes:
    """Contents of a file; ChangedError if it cannot be read."""
    try:
        return source.read_bytes()
    except OSError as error:
        raise ChangedError(f"{source} cannot be read ({error.strerror})") from error


def check_package(out: Path, *, force: bool) -> None:
    """ConfigError, before anything is read, unless a package can be written.

    A folder that is not a package is never replaced, even with ``force``.
    """
    folder = out.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or out.name in ("", ".", ".."):
        raise ConfigError(
            f"--out {out} cannot be written: name a folder inside an existing, writable one."
        )
    if os.path.lexists(out) and not _may_replace(out, force):
        remedy = (
            "replace it with --force" if is_package(out) else ("it is not a package of regengine")
        )
        raise ConfigError(f"--out {out} exists: name another folder; {remedy}.")


def is_package(folder: Path) -> bool:
    """Whether a folder is a package written by this program."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all((folder / name).is_file() for name in (SUMS, README))


def _may_replace(out: Path, force: bool) -> bool:
    empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    return empty or (force and is_package(out))


@contextmanager
def package_folder(out: Path, *, link: bool, force: bool) -> Iterator[PackageFolder]:
    """A package that is completed, with checksums, at the end of the block, or not at all."""
    out = out.absolute()
    made = out.with_name(f".{os.getpid()}.{out.name[:100]}.tmp")
    try:
        with raise_as_store_error(out):
            made.mkdir()
            package = PackageFolder(made, link=link)
            yield package
            files = (path for path in made.rglob("*") if path.is_file())
            sums = {path.relative_to(made).as_posix(): compute_sha256(path) for path in files}
            package.add_text(SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
            for path in (made, *made.rglob("*")):
                if not path.is_symlink():
                    sync_folder(path)  # or file
            if os.path.lexists(out) and not _may_replace(out, force):
                raise ConfigError(f"--out {out} was created meanwhile: nothing was written.")
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
