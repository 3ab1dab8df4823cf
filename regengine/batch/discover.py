"""Photos behind files, folders and patterns, and shares of them."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from regengine.errors import ConfigError, NoPhotoError
from regengine.io.urls import is_photo


def find_photos(patterns: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path]:
    """Photos that files, folders and glob patterns stand for, each once.

    A file stands for itself, whatever its ending and even if it is missing; a folder for the photos
    in it and below; a pattern (``**`` goes into folders) for what matches it; both in alphabetical
    order. ``exclude`` are files, and folders with their content, that are never taken: the
    night-light maps, and the folder that overlays are written to.
    """
    found: dict[Path, Path] = {}
    left_out = [path.resolve() for path in exclude]
    for pattern in patterns:
        for path in _expand(pattern):
            whole = path.resolve()
            if any(whole.is_relative_to(barred) for barred in left_out):
                continue
            found.setdefault(path.absolute(), path)
    return list(found.values())


def existing_photos(patterns: Sequence[str], *, exclude: Sequence[Path | None] = ()) -> list[Path]:
    """As `find_photos`; None in ``exclude`` excludes nothing; NoPhotoError if none exists."""
    found = find_photos(patterns, exclude=[path for path in exclude if path is not None])
    if not any(path.exists() for path in found):
        raise no_photo(patterns)
    return found


def no_photo(patterns: Sequence[str]) -> NoPhotoError:
    """The error for patterns that stand for no photo."""
    names = ", ".join(patterns[:3]) + (" and others" if len(patterns) > 3 else "")
    return NoPhotoError(
        f"{names}: no photo there; name image files, a folder that holds some, or a pattern "
        "in quotes."
    )


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return _photos_below(path)
    if path.exists() or not glob.has_magic(pattern):
        return [path]
    matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True))
    photos = [below for match in matches if match.is_dir() for below in _photos_below(match)]
    files = [match for match in matches if match.is_file()]
    return sorted({*photos, *(f for f in files if is_photo(f.name))}) or files


def _photos_below(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name) for name in names if is_photo(name) and not name.startswith(".")
        ]
    return sorted(found)


Photo = TypeVar("Photo")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The ``number``-th of ``count`` shards, counted from 1; each photo is in one of them."""

    number: int
    count: int

    def of(self, photos: Sequence[Photo]) -> list[Photo]:
        """The photos of this shard.

        Whole blocks of photos that learn from each other (`regengine.batch.sharing`) are dealt
        out in turn, as far as the photos reach; fewer photos than that are dealt out in smaller
        pieces, so that no shard is left without work.
        """
        from regengine.batch.sharing import BLOCK_PHOTOS

        piece = min(BLOCK_PHOTOS, max(1, -(-len(photos) // self.count)))
        starts = range((self.number - 1) * piece, len(photos), self.count * piece)
        return [path for start in starts for path in photos[start : start + piece]]


def parse_shard(text: str) -> Shard:
    """A shard as options write it, ``3/16``.

    ConfigError if it is no such text, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--shard {text!r} is no share of a batch: write its number and how many there are, "
            "like 3/16 (from 1/16 to 16/16)."
        )
    return Shard(number=int(match[1]), count=int(match[2]))
