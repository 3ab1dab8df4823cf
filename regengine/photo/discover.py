"""Find photos by files, folders and glob patterns, and divide them into shares."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from regengine.errors import ConfigError, NoPhotoError
from regengine.io.plain import format_count
from regengine.io.urls import is_photo

# Folders of thumbnails, deleted files and file fragments that systems create, in lower case.
# Folders that begin with a dot are hidden in any case.
NO_PHOTOS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
        *("$recycle.bin", "system volume information", "lost+found", "__macosx"),
        *(".thumbnails", ".@__thumb", ".trashes"),
    }
)


def find_photos(patterns: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path]:
    """Return the photos of files, folders and glob patterns, without duplicates.

    A file stands for itself, with any suffix and even if it is missing. A folder stands for the
    photos in it and its subfolders, except hidden folders and those of `NO_PHOTOS`; these count if
    they are named explicitly. A pattern (``**`` matches folders) stands for its matches. Photos of
    folders and patterns are in alphabetical order. ``exclude`` lists files, and folders with their
    content, that are never returned: the night-light maps and the overlay folder.
    """
    found: dict[Path, Path] = {}
    # Not Path.resolve, which raises for circular links
    left_out = [Path(os.path.realpath(path)) for path in exclude]
    for pattern in patterns:
        for path in _expand(pattern):
            whole = Path(os.path.realpath(path))
            if any(whole.is_relative_to(barred) for barred in left_out):
                continue
            found.setdefault(path.absolute(), path)
    return list(found.values())


def make_no_photo_error(patterns: Sequence[str]) -> NoPhotoError:
    """Return the error for patterns that match no photo."""
    names = ", ".join(patterns[:3]) + (" and others" if len(patterns) > 3 else "")
    return NoPhotoError(
        f"{names}: no photo found; name image files, a folder of them, or a pattern in quotes."
    )


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    # The functions of os.path accept any name or link and raise nothing
    if os.path.isdir(path):
        return _walk_photos(path)
    if os.path.lexists(path) or not glob.has_magic(pattern):
        return [path]
    # Existing folders whose names contain glob characters are not patterns: pictures[1]/*.jpg
    there = next((one for one in path.parents if os.path.isdir(one)), Path())
    below = str(path.relative_to(there))
    found = glob.glob(os.path.join(glob.escape(str(there)), below), recursive=True)
    # Names that a pattern contains explicitly are not skipped
    skipped = NO_PHOTOS - {part.lower() for part in path.parts}
    matches = [
        match
        for match in sorted(map(Path, found))
        if not any(part.lower() in skipped for part in match.parts)
    ]
    photos = [match for match in matches if is_photo(match.name) and not os.path.isdir(match)]
    photos += [below for match in matches if os.path.isdir(match) for below in _walk_photos(match)]
    return sorted(set(photos)) or [match for match in matches if os.path.isfile(match)]


def _walk_photos(folder: Path) -> list[Path]:
    found, passed_over = [], Counter[str]()
    log = logging.getLogger("regengine")

    def tell(error: OSError) -> None:
        # Only the photos of a folder that cannot be read are missing
        log.warning(
            "%s cannot be read (%s): its photos are skipped.", error.filename, error.strerror
        )

    for parent, folders, names in os.walk(folder, onerror=tell):
        passed_over.update(name for name in folders if name.lower() in NO_PHOTOS)
        shown = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in shown if name.lower() not in NO_PHOTOS]
        found += [Path(parent, name) for name in names if is_photo(name) and name[0] != "."]
    if passed_over:
        log.info(
            "%s: skipped %s of thumbnails and deleted files (%s); name such a folder to include "
            "it.",
            folder,
            format_count(passed_over.total(), "folder"),
            ", ".join(sorted(passed_over)),
        )
    return sorted(found)


Photo = TypeVar("Photo")


def select_share(photos: Sequence[Photo], share: str) -> list[Photo]:
    """Return a share of the photos, written ``3/16``: the third of sixteen, in contiguous blocks.

    Raises ConfigError if the text is invalid, or there is no such share.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", share.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--shard {share!r} is not valid: write number and total, like 3/16 (1/16 to 16/16)."
        )
    number, count = int(match[1]), int(match[2])
    return list(photos[(number - 1) * len(photos) // count : number * len(photos) // count])
