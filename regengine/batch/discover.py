"""Photos behind files, folders and patterns, and shares of them."""

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
from regengine.io.urls import hide_secrets, is_photo, is_url

# Folders in which disks and systems keep thumbnails, deleted files and pieces of files, by their
# names in small letters; those that begin with a dot are hidden anyhow
NO_PHOTOS = frozenset(
    {
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"),
        *("$recycle.bin", "system volume information", "lost+found", "__macosx"),
        *(".thumbnails", ".@__thumb", ".trashes"),
    }
)


def find_photos(patterns: Sequence[str], *, exclude: Sequence[Path] = ()) -> list[Path]:
    """Photos that files, folders and glob patterns stand for, each once.

    A file stands for itself, whatever its ending and even if it is missing; a folder for the photos
    in it and below, but for hidden folders and those of `NO_PHOTOS`, which count where they are
    named themselves; a pattern (``**`` goes into folders) for what matches it; both in alphabetical
    order. ``exclude`` are files, and folders with their content, that are never taken: the
    night-light maps, and the folder that overlays are written to.
    """
    found: dict[Path, Path] = {}
    # Not Path.resolve, which raises where a link leads in circles
    left_out = [Path(os.path.realpath(path)) for path in exclude]
    for pattern in patterns:
        for path in _expand(pattern):
            whole = Path(os.path.realpath(path))
            if any(whole.is_relative_to(barred) for barred in left_out):
                continue
            found.setdefault(path.absolute(), path)
    return list(found.values())


def find_existing_photos(
    patterns: Sequence[str], *, exclude: Sequence[Path | None] = ()
) -> list[Path]:
    """As `find_photos`; None in ``exclude`` excludes nothing; NoPhotoError if none exists."""
    found = find_photos(patterns, exclude=[path for path in exclude if path is not None])
    if not any(is_there(path) for path in found):
        raise make_no_photo_error(patterns)
    return found


def is_there(path: Path) -> bool:
    """Whether a folder has an entry of this name, be it a photo or something else."""
    return os.path.lexists(path)


def make_no_photo_error(patterns: Sequence[str]) -> NoPhotoError:
    """The error for patterns that stand for no photo."""
    names = ", ".join(patterns[:3]) + (" and others" if len(patterns) > 3 else "")
    return NoPhotoError(
        f"{names}: no photo found; name image files, a folder of them, or a pattern in quotes."
    )


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    # Those of os.path take whatever a name or a link is made of for an answer, and raise nothing
    if os.path.isdir(path):
        return _walk_photos(path)
    if is_url(pattern) and not is_there(path):
        raise ConfigError(
            f"{hide_secrets(pattern)} is a URL, which only regengine register downloads: give the "
            "path of a local copy."
        )
    if is_there(path) or not glob.has_magic(pattern):
        return [path]
    # Folders that bear the very name that is written are no patterns: pictures[1]/*.jpg
    there = next((one for one in path.parents if os.path.isdir(one)), Path())
    below = str(path.relative_to(there))
    matches = sorted(
        Path(match)
        for match in glob.glob(os.path.join(glob.escape(str(there)), below), recursive=True)
    )
    # Names that are written in a pattern are meant
    written = {part.lower() for part in path.parts}
    matches = [
        match
        for match in matches
        if not any(part.lower() in NO_PHOTOS - written for part in match.parts)
    ]
    photos = [match for match in matches if is_photo(match.name) and not os.path.isdir(match)]
    photos += [below for match in matches if os.path.isdir(match) for below in _walk_photos(match)]
    return sorted(set(photos)) or [match for match in matches if os.path.isfile(match)]


def _walk_photos(folder: Path) -> list[Path]:
    found, passed_over = [], Counter[str]()
    for parent, folders, names in os.walk(folder, onerror=_tell_unread):
        passed_over.update(name for name in folders if name.lower() in NO_PHOTOS)
        folders[:] = [
            name for name in folders if not (name.startswith(".") or name.lower() in NO_PHOTOS)
        ]
        found += [
            Path(parent, name) for name in names if is_photo(name) and not name.startswith(".")
        ]
    if passed_over:
        logging.getLogger("regengine").info(
            "%s: skipped %s of thumbnails and deleted files (%s); name such a folder to include "
            "it.",
            folder,
            format_count(passed_over.total(), "folder"),
            ", ".join(sorted(passed_over)),
        )
    return sorted(found)


def _tell_unread(error: OSError) -> None:
    """A folder that may not be read costs its own photos, and says so."""
    logging.getLogger("regengine").warning(
        "%s cannot be read (%s): its photos are skipped.", error.filename, error.strerror
    )


Photo = TypeVar("Photo")


def select_share(photos: Sequence[Photo], share: str) -> list[Photo]:
    """A share of the photos, written ``3/16``: the third of sixteen; neighbours stay together.

    ConfigError if it is no such text, or there is no such share.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", share.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--shard {share!r} is not valid: write number and total, like 3/16 (1/16 to 16/16)."
        )
    number, count = int(match[1]), int(match[2])
    return list(photos[(number - 1) * len(photos) // count : number * len(photos) // count])
